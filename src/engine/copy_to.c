/*
 * COPY ... TO: a table or query into a file or STDOUT.
 */
#include "engine/copy_internal.h"

#include "engine/copy_binary.h"

#include "lake/arrow_ipc.h"
#include "lake/ndjson_writer.h"

#include <stdio.h>

enum { FLUSH_BYTES = 1 << 20 };

typedef struct unload {
    kd_run *run;
    const kdi_copy_options *options;
    kd_arena *arena; /* Of the buffer; reset after each write. */
    kd_world *world; /* Where files are. */
    kd_file *file;   /* NULL: the session's hook. */
    uint64_t offset;
    kd_slice *names;
    kd_csv_write_options csv;
} unload;

static kd_status write_out(kd_ctx *ctx, unload *work, kd_slice bytes)
{
    kd_session *session = work->run->session;
    if (bytes.size_bytes == 0)
        return KD_OK;
    if (work->file == NULL) {
        if (!session->hooks.copy_write(session->hooks.object, bytes.data, bytes.size_bytes))
            return KD_FAIL(ctx, KD_CANCELLED, "57014", "COPY to stdout failed");
        return KD_OK;
    }
    kd_world *world = ctx->world;
    ctx->world = work->world;
    kd_status status =
        work->world->file_write(ctx, work->file, work->offset, bytes.data, bytes.size_bytes);
    ctx->world = world;
    work->offset += bytes.size_bytes;
    return status;
}

static kd_status open_target(kd_ctx *ctx, unload *work, const kd_ast_copy *ast,
                             uint32_t column_count)
{
    kd_session *session = work->run->session;
    const char *path;
    if (ast->is_standard) {
        if (session->hooks.copy_write == NULL)
            return KD_FAIL(ctx, KD_INVALID, "08P01", "there is nobody to take COPY TO STDOUT here");
        return kdi_copy_announce(ctx, session, false, work->options->format, column_count);
    }
    KD_TRY(kdi_copy_path(ctx, work->run, ast, &path));
    kd_world *world = ctx->world;
    ctx->world = work->world;
    kd_status status = work->world->file_open(
        ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &work->file);
    ctx->world = world;
    return status;
}

static kd_status write_batch(kd_ctx *ctx, unload *work, const kd_batch *batch, kd_buffer *out)
{
    if (work->options->format == KDI_COPY_JSON)
        return kd_ndjson_write_batch(ctx, &work->run->text, work->names, batch, out);
    return kd_csv_write_batch(ctx, &work->csv, &work->run->text, batch, out);
}

static kd_status write_rows(kd_ctx *ctx, unload *work, kd_run *reading)
{
    kd_buffer buffer = kd_buffer_in(work->arena);
    bool is_text = work->options->format == KDI_COPY_CSV || work->options->format == KDI_COPY_TEXT;
    if (is_text && work->options->header != KD_CSV_HEADER_NO)
        KD_TRY(kd_csv_write_header(ctx, &work->csv, work->names, kd_run_column_count(reading),
                                   &buffer));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY(kd_run_next(ctx, reading, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY(write_batch(ctx, work, &batch, &buffer));
        work->run->affected += batch.selected_count;
        if (!end && buffer.size_bytes < FLUSH_BYTES)
            continue;
        KD_TRY(write_out(ctx, work, kd_buffer_slice(&buffer)));
        kd_arena_reset(work->arena);
        buffer = kd_buffer_in(work->arena);
    }
    return KD_OK;
}

/* A row a call of the session's hook, the first with the header. */
static kd_status write_binary(kd_ctx *ctx, unload *work, kd_run *reading)
{
    kd_buffer buffer = kd_buffer_in(work->arena);
    size_t enough = work->file == NULL ? 1 : FLUSH_BYTES;
    KD_TRY(kdi_binary_write_header(ctx, &buffer));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY(kd_run_next(ctx, reading, &batch, &end));
        for (uint32_t i = 0; i < batch.selected_count; i++) {
            KD_TRY(kdi_binary_write_row(ctx, &work->run->text, &batch, kd_batch_row(&batch, i),
                                        &buffer));
            if (buffer.size_bytes < enough)
                continue;
            KD_TRY(write_out(ctx, work, kd_buffer_slice(&buffer)));
            buffer.size_bytes = 0;
        }
        work->run->affected += batch.selected_count;
    }
    KD_TRY(kdi_binary_write_end(ctx, &buffer));
    return write_out(ctx, work, kd_buffer_slice(&buffer));
}

static kd_status append_quoted(kd_ctx *ctx, kd_buffer *out, kd_slice name)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "\""));
    for (size_t i = 0; i < name.size_bytes; i++) {
        if (name.data[i] == '"')
            KD_TRY(kd_buffer_append_text(ctx, out, "\""));
        KD_TRY(kd_buffer_append(ctx, out, &name.data[i], 1));
    }
    return kd_buffer_append_text(ctx, out, "\"");
}

/* The query whose rows are written: as given, or SELECT columns FROM table. */
static kd_status query_text(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast, kd_buffer *out)
{
    if (ast->query != NULL)
        return kd_buffer_append(ctx, out, run->prepared->text.data + ast->query->position,
                                (size_t)(ast->query->end - ast->query->position));
    KD_TRY(kd_buffer_append_text(ctx, out, "SELECT "));
    for (size_t i = 0; i < ast->columns.count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(append_quoted(ctx, out, ast->columns.items[i]));
    }
    KD_TRY(kd_buffer_append_text(ctx, out, ast->columns.count == 0 ? "* FROM " : " FROM "));
    if (ast->table.schema.size_bytes > 0) {
        KD_TRY(append_quoted(ctx, out, ast->table.schema));
        KD_TRY(kd_buffer_append_text(ctx, out, "."));
    }
    return append_quoted(ctx, out, ast->table.name);
}

static kd_status column_names(kd_ctx *ctx, unload *work, const kd_run *reading)
{
    uint32_t count = kd_run_column_count(reading);
    work->names = KD_NEW_ARRAY(ctx, work->run->arena, kd_slice, count);
    if (work->names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        work->names[i] = kd_run_columns(reading)[i].name;
    return KD_OK;
}

/* Writes what the Arrow writer has put into the buffer, and empties it. */
static kd_status drain(kd_ctx *ctx, unload *work, kd_buffer *buffer)
{
    KD_TRY(write_out(ctx, work, kd_buffer_slice(buffer)));
    kd_arena_reset(work->arena);
    *buffer = kd_buffer_in(work->arena);
    return KD_OK;
}

static kd_status write_arrow(kd_ctx *ctx, unload *work, kd_run *reading)
{
    kd_run *run = work->run;
    uint32_t count = kd_run_column_count(reading);
    kd_buffer buffer = kd_buffer_in(work->arena);
    kd_arrow_writer *writer;
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = kd_run_columns(reading)[i].type;
    KD_TRY(kd_arrow_writer_create(ctx, run->arena,
                                  work->options->format == KDI_COPY_ARROW_STREAM ? KD_ARROW_STREAM
                                                                                 : KD_ARROW_FILE,
                                  &run->text, work->names, types, count, &buffer, &writer));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY(kd_run_next(ctx, reading, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY(kd_arrow_writer_batch(ctx, writer, &batch, &buffer));
        run->affected += batch.selected_count;
        KD_TRY(drain(ctx, work, &buffer));
    }
    KD_TRY(kd_arrow_writer_end(ctx, writer, &buffer));
    return drain(ctx, work, &buffer);
}

kd_status kdi_copy_to(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast,
                      const kdi_copy_options *options)
{
    kd_status status = KD_OK;
    kd_prepared *query = NULL;
    kd_run *reading = NULL;
    kd_buffer text = kd_buffer_in(run->arena);
    bool is_csv = options->format == KDI_COPY_CSV;
    kd_world *world = ctx->world;
    unload work = {.run = run,
                   .options = options,
                   .world =
                       run->session->database->is_memory ? kd_world_memory_below(world) : world,
                   .csv = {.format = is_csv ? KD_CSV_CSV : KD_CSV_TEXT,
                           .delimiter = options->delimiter,
                           .quote = options->quote,
                           .escape = options->escape,
                           .quote_all = options->force_quote,
                           .null_text = options->null_text}};
    run->affected = 0;
    work.arena = kd_arena_create(ctx, run->arena, "copy", KD_ARENA_UNLIMITED);
    if (work.arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(query_text(ctx, run, ast, &text));
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, kd_buffer_slice(&text), NULL, 0, &query));
    KD_TRY_OUT(kd_run_begin(ctx, query, NULL, 0, &reading));
    KD_TRY_OUT(column_names(ctx, &work, reading));
    KD_TRY_OUT(open_target(ctx, &work, ast, kd_run_column_count(reading)));
    if (options->format == KDI_COPY_BINARY)
        KD_TRY_OUT(write_binary(ctx, &work, reading));
    else if (options->format >= KDI_COPY_ARROW)
        KD_TRY_OUT(write_arrow(ctx, &work, reading));
    else
        KD_TRY_OUT(write_rows(ctx, &work, reading));
    (void)snprintf(run->tag, sizeof run->tag, "COPY %lld", (long long)run->affected);
out:
    if (reading != NULL && status == KD_OK)
        status = kd_run_end(ctx, reading);
    else
        kd_run_abandon(reading);
    kd_prepared_destroy(query);
    if (work.file != NULL)
        work.world->file_close(work.world, work.file);
    return status;
}
