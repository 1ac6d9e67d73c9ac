/*
 * Files in FROM: read_csv, read_ndjson, and FROM 'file.csv', which is the same.
 *
 * A plan relies on the columns that were found when it was made, and the file may
 * have changed since. So the session keeps what was found, and the file is read
 * as that: rows that do not fit fail. Finding something else makes the session's plans
 * stale (file_stamp), so that the newest find is what every plan relies on.
 */
#include "engine/session_function_internal.h"

#include "lake/csv.h"
#include "lake/ndjson.h"

#include <assert.h>

/* What was found in a file. Never changed, only followed by a newer one. */
struct kdi_file_schema {
    kdi_file_schema *next;
    kd_slice path;
    bool is_csv;
    char given_delimiter; /* As the call has it; 0: none. */
    bool has_header;
    char delimiter, quote, escape;
    uint32_t column_count;
    kd_import_column *columns;
};

typedef struct file_cursor {
    kd_text_source *source;
    kd_csv_reader *csv;
    kd_csv_worker *csv_worker;
    kd_ndjson_reader *json;
    kd_ndjson_worker *json_worker;
} file_cursor;

typedef struct file_call {
    kd_session *session;
    bool is_csv;
    kd_slice path;
    char delimiter;
} file_call;

static kd_status read_call(kd_ctx *ctx, const kd_call_env *env, const kd_value *args,
                           uint32_t arg_count, file_call *out)
{
    *out = (file_call){.session = kdi_call_session(env), .is_csv = env->data == NULL};
    if (arg_count < 1 || args[0].is_null)
        return KD_FAIL(ctx, KD_INVALID, "22023", "the name of the file must be a constant");
    out->path = kd_str_slice(&args[0].as.str);
    if (arg_count < 2)
        return KD_OK;
    kd_slice delimiter = args[1].is_null ? KD_SLICE("") : kd_str_slice(&args[1].as.str);
    if (delimiter.size_bytes != 1)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a delimiter is one character");
    out->delimiter = delimiter.data[0];
    return KD_OK;
}

static kd_status open_file(kd_ctx *ctx, kd_arena *arena, const file_call *call,
                           kd_text_source **out_source)
{
    *out_source = NULL;
    const char *path = kd_copy_text(ctx, arena, call->path.data, call->path.size_bytes);
    if (path == NULL)
        return KD_NOMEM;
    /* Files are the machine's, also for a database in memory. */
    kd_world *world = ctx->world;
    ctx->world = call->session->database->is_memory
                     ? kd_world_memory_below(call->session->database->world)
                     : world;
    kd_status status = kd_text_source_open(ctx, arena, path, out_source);
    ctx->world = world;
    return status;
}

/* --- Describing ------------------------------------------------------------------------------- */

static kd_status copy_columns(kd_ctx *ctx, kd_arena *arena, const kd_import_column *columns,
                              uint32_t count, kdi_file_schema *out)
{
    out->columns = KD_NEW_ARRAY(ctx, arena, kd_import_column, count + 1);
    if (out->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        out->columns[i] = columns[i];
        out->columns[i].name.data =
            kd_copy_text(ctx, arena, columns[i].name.data, columns[i].name.size_bytes);
        if (out->columns[i].name.data == NULL)
            return KD_NOMEM;
    }
    out->column_count = count;
    return KD_OK;
}

static kd_status sniff_csv(kd_ctx *ctx, kd_arena *arena, const file_call *call,
                           kd_text_source *source, kdi_file_schema *out)
{
    kd_csv_reader *reader;
    kd_csv_options options = kd_csv_options_default();
    options.delimiter = call->delimiter;
    KD_TRY(kd_csv_reader_create(ctx, arena, source, &options, &reader));
    const kd_csv_schema *found = kd_csv_reader_schema(reader);
    out->has_header = found->has_header;
    out->delimiter = found->delimiter;
    out->quote = found->quote;
    out->escape = found->escape;
    kd_status status = copy_columns(ctx, arena, found->columns, found->column_count, out);
    kd_csv_reader_destroy(reader);
    return status;
}

static kd_status sniff_json(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                            kdi_file_schema *out)
{
    kd_ndjson_reader *reader;
    kd_ndjson_options options = {0};
    const kd_import_column *columns;
    uint32_t count;
    KD_TRY(kd_ndjson_reader_create(ctx, arena, source, &options, &reader));
    kd_ndjson_reader_schema(reader, &columns, &count);
    kd_status status = copy_columns(ctx, arena, columns, count, out);
    kd_ndjson_reader_destroy(reader);
    return status;
}

static bool same_schema(const kdi_file_schema *a, const kdi_file_schema *b)
{
    if (a->has_header != b->has_header || a->delimiter != b->delimiter || a->quote != b->quote ||
        a->escape != b->escape || a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!kd_slice_equal(a->columns[i].name, b->columns[i].name) ||
            memcmp(&a->columns[i].type, &b->columns[i].type, sizeof(kd_type)) != 0)
            return false;
    return true;
}

/* The newest find for a call. The database's mutex is held: calls open on worker threads. */
static const kdi_file_schema *find_schema(const file_call *call)
{
    for (const kdi_file_schema *it = call->session->file_schemas; it != NULL; it = it->next)
        if (it->is_csv == call->is_csv && it->given_delimiter == call->delimiter &&
            kd_slice_equal(it->path, call->path))
            return it;
    return NULL;
}

static kd_status keep_schema(kd_ctx *ctx, const file_call *call, const kdi_file_schema *found)
{
    kd_session *session = call->session;
    const kdi_file_schema *known = find_schema(call);
    if (known != NULL && same_schema(known, found))
        return KD_OK;
    kdi_file_schema *kept = KD_NEW(ctx, session->arena, kdi_file_schema);
    if (kept == NULL)
        return KD_NOMEM;
    *kept = *found;
    kept->is_csv = call->is_csv;
    kept->given_delimiter = call->delimiter;
    kept->path.data = kd_copy_text(ctx, session->arena, call->path.data, call->path.size_bytes);
    kept->path.size_bytes = call->path.size_bytes;
    if (kept->path.data == NULL)
        return KD_NOMEM;
    KD_TRY(copy_columns(ctx, session->arena, found->columns, found->column_count, kept));
    kept->next = session->file_schemas;
    session->file_schemas = kept;
    if (known != NULL)
        session->file_stamp++;
    return KD_OK;
}

static kd_status describe_file(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                               const kd_value *args, uint32_t arg_count, uint32_t *out_column_count,
                               kd_slice **out_names, kd_type **out_types)
{
    file_call call;
    kd_text_source *source;
    kdi_file_schema found = {0};
    *out_column_count = 0;
    *out_names = NULL;
    *out_types = NULL;
    KD_TRY(read_call(ctx, env, args, arg_count, &call));
    KD_TRY(open_file(ctx, arena, &call, &source));
    kd_status status = call.is_csv ? sniff_csv(ctx, arena, &call, source, &found)
                                   : sniff_json(ctx, arena, source, &found);
    kd_text_source_close(source);
    KD_TRY(status);
    kd_mutex_lock(&call.session->database->mutex);
    status = keep_schema(ctx, &call, &found);
    kd_mutex_unlock(&call.session->database->mutex);
    KD_TRY(status);
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, found.column_count + 1);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, found.column_count + 1);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < found.column_count; i++) {
        (*out_names)[i] = found.columns[i].name;
        (*out_types)[i] = found.columns[i].type;
    }
    *out_column_count = found.column_count;
    return KD_OK;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void close_cursor(void *object)
{
    file_cursor *cursor = object;
    kd_csv_reader_destroy(cursor->csv);
    kd_ndjson_reader_destroy(cursor->json);
    kd_text_source_close(cursor->source);
}

static kd_status open_readers(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                              const kdi_file_schema *schema, file_cursor *cursor)
{
    if (!schema->is_csv) {
        kd_ndjson_options options = {.columns = schema->columns,
                                     .column_count = schema->column_count};
        KD_TRY(kd_ndjson_reader_create(ctx, arena, cursor->source, &options, &cursor->json));
        return kd_ndjson_worker_create(ctx, arena, cursor->json, env->facts->text,
                                       &cursor->json_worker);
    }
    kd_csv_options options = kd_csv_options_default();
    options.header = schema->has_header ? KD_CSV_HEADER_YES : KD_CSV_HEADER_NO;
    options.delimiter = schema->delimiter;
    options.quote = schema->quote;
    options.escape = schema->escape;
    options.columns = schema->columns;
    options.column_count = schema->column_count;
    KD_TRY(kd_csv_reader_create(ctx, arena, cursor->source, &options, &cursor->csv));
    return kd_csv_worker_create(ctx, arena, cursor->csv, env->facts->text, &cursor->csv_worker);
}

static kd_status open_cursor(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                             const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    file_call call;
    *out_cursor = NULL;
    KD_TRY(read_call(ctx, env, args, arg_count, &call));
    kd_mutex_lock(&call.session->database->mutex);
    const kdi_file_schema *schema = find_schema(&call);
    kd_mutex_unlock(&call.session->database->mutex);
    if (schema == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "the name of the file must be a constant");
    file_cursor *cursor = KD_NEW(ctx, arena, file_cursor);
    if (cursor == NULL)
        return KD_NOMEM;
    KD_TRY(open_file(ctx, arena, &call, &cursor->source));
    kd_status status = open_readers(ctx, arena, env, schema, cursor);
    if (status != KD_OK) {
        close_cursor(cursor);
        return status;
    }
    *out_cursor = cursor;
    return KD_OK;
}

static kd_status next_rows(kd_ctx *ctx, void *object, kd_batch *out_batch)
{
    file_cursor *cursor = object;
    return cursor->csv_worker != NULL ? kd_csv_worker_next(ctx, cursor->csv_worker, out_batch)
                                      : kd_ndjson_worker_next(ctx, cursor->json_worker, out_batch);
}

#define TEXT                               \
    {                                      \
        .id = KD_TYPE_TEXT, .modifier = -1 \
    }
#define READER(sql_name, count, what)                                                             \
    {                                                                                             \
        .name = sql_name, .argument_count = count, .arguments = {TEXT, TEXT},                     \
        .describe = describe_file, .open = open_cursor, .next = next_rows, .close = close_cursor, \
        .data = what                                                                              \
    }

static const char json[] = "json"; /* As `data`: not CSV. */

static const kd_table_function functions[] = {
    READER("read_csv", 1, NULL),    READER("read_csv", 2, NULL),  READER("read_csv_auto", 1, NULL),
    READER("read_ndjson", 1, json), READER("read_json", 1, json),
};

kd_status kdi_register_file_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, functions,
                                           sizeof functions / sizeof functions[0]);
}
