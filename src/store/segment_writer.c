/*
 * Writing a segment: batches to columns, blocks to the file, the footer last.
 */
#include "store/shred_writer.h"

#include "base/world.h"

#include <assert.h>
#include <stdio.h>

struct kd_segment_writer {
    kd_world *world;
    kd_account *account;
    kd_arena *arena;
    const char *directory;
    uint32_t table_no;
    uint32_t schema_version;
    uint32_t column_count;
    uint32_t row_count;
    uint32_t block_rows; /* Of the current block. */
    bool has_stamps;     /* Some begin stamp is not 0. */
    bool failed;
    bool finished;
    kdi_column_writer *columns; /* column_count, and the begin stamps. */
    kdi_shredder shredder;
    kdi_block_output output;
    char path[KDI_SEGMENT_PATH_BYTES];
};

kd_status kdi_segment_path(kd_ctx *ctx, const char *directory, uint64_t unit, char *path)
{
    int length = snprintf(path, KDI_SEGMENT_PATH_BYTES, "%s/%010llx.seg", directory,
                          (unsigned long long)unit);
    if (length < 0 || length >= KDI_SEGMENT_PATH_BYTES)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "the path of a segment is too long");
    return KD_OK;
}

static kd_status init_columns(kd_ctx *ctx, kd_segment_writer *writer, const kd_segment_shape *shape)
{
    writer->columns = KD_NEW_ARRAY(ctx, writer->arena, kdi_column_writer, writer->column_count + 1);
    if (writer->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < writer->column_count; i++) {
        KD_TRY(kdi_column_writer_init(ctx, &writer->columns[i], writer->arena, shape->types[i], i));
        writer->columns[i].entry.column_no = shape->column_nos[i];
    }
    kdi_column_writer *stamps = &writer->columns[writer->column_count];
    KD_TRY(kdi_column_writer_init(ctx, stamps, writer->arena, kd_type_of(KD_TYPE_INT8),
                                  writer->column_count));
    stamps->mode = KDI_PLAIN; /* Runs, mostly; read as plain numbers. */
    return KD_OK;
}

kd_status kd_segment_writer_create(kd_ctx *ctx, const kd_segment_options *options,
                                   const kd_segment_shape *shape, kd_segment_writer **out_writer)
{
    kd_status status = KD_OK;
    *out_writer = NULL;
    if (shape->column_count > KD_SEGMENT_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "tables can have at most %d columns",
                       KD_SEGMENT_COLUMNS_MAX);
    kd_segment_writer *writer = KD_HEAP_NEW(ctx, options->account, kd_segment_writer);
    if (writer == NULL)
        return KD_NOMEM;
    writer->world = ctx->world;
    writer->account = options->account;
    writer->table_no = shape->table_no;
    writer->schema_version = shape->schema_version;
    writer->column_count = shape->column_count;
    writer->output.identity =
        (kdi_block_identity){.database_id = options->database_id,
                             .unit = shape->unit,
                             .generation = ctx->world->random_u64(ctx->world)};
    writer->arena = kd_arena_create(ctx, NULL, "segment writer", KD_ARENA_UNLIMITED);
    if (writer->arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    writer->directory =
        kd_copy_text(ctx, writer->arena, options->directory, strlen(options->directory));
    if (writer->directory == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    writer->output.block = kd_buffer_in(writer->arena);
    writer->shredder.arena = writer->arena;
    KD_TRY_OUT(init_columns(ctx, writer, shape));
    KD_TRY_OUT(kdi_segment_path(ctx, options->directory, shape->unit, writer->path));
    KD_TRY_OUT(kd_file_sink_open(ctx, &writer->output.sink, options->account, writer->path));
    *out_writer = writer;
    writer = NULL;

out:
    kd_segment_writer_destroy(writer);
    return status;
}

static kd_status end_block(kd_ctx *ctx, kd_segment_writer *writer)
{
    for (uint32_t i = 0; i < writer->column_count + writer->has_stamps; i++)
        KD_TRY(kdi_column_end_block(ctx, &writer->columns[i], &writer->output));
    KD_TRY(kdi_shredder_end_block(ctx, &writer->shredder, &writer->output));
    writer->block_rows = 0;
    return KD_OK;
}

static kd_status stage_stamp_vector(kd_ctx *ctx, kd_segment_writer *writer, const uint64_t *stamps,
                                    uint32_t count)
{
    uint64_t none = 0;
    kd_vector vector = {.type = kd_type_of(KD_TYPE_INT8),
                        .physical = KD_PHYS_I64,
                        .form = stamps == NULL ? KD_VECTOR_CONSTANT : KD_VECTOR_FLAT,
                        .values = stamps == NULL ? &none : kdi_unconst(stamps)};
    kd_batch batch = {.row_count = count, .selected_count = count};
    return kdi_column_stage(ctx, &writer->columns[writer->column_count], &writer->output, &vector,
                            &batch, 0, count);
}

/* The first stamp that is not 0: the rows before get theirs now. */
static kd_status begin_stamps_late(kd_ctx *ctx, kd_segment_writer *writer)
{
    writer->has_stamps = true;
    for (uint32_t block = 0; block < writer->row_count / KD_BLOCK_ROWS; block++) {
        KD_TRY(stage_stamp_vector(ctx, writer, NULL, KD_BLOCK_ROWS));
        KD_TRY(kdi_column_end_block(ctx, &writer->columns[writer->column_count], &writer->output));
    }
    return stage_stamp_vector(ctx, writer, NULL, writer->block_rows);
}

static kd_status stage_stamps(kd_ctx *ctx, kd_segment_writer *writer, const uint64_t *stamps,
                              uint32_t count)
{
    bool any = writer->has_stamps;
    for (uint32_t i = 0; stamps != NULL && i < count && !any; i++)
        any = stamps[i] != 0;
    if (!any)
        return KD_OK;
    if (!writer->has_stamps)
        KD_TRY(begin_stamps_late(ctx, writer));
    return stage_stamp_vector(ctx, writer, stamps, count);
}

static kd_status append_rows(kd_ctx *ctx, kd_segment_writer *writer, const kd_batch *batch,
                             const uint64_t *begin_stamps)
{
    for (uint32_t from = 0; from < batch->selected_count;) {
        uint32_t count = batch->selected_count - from;
        uint32_t room = KD_BLOCK_ROWS - writer->block_rows;
        count = count < room ? count : room;
        for (uint32_t i = 0; i < writer->column_count; i++)
            KD_TRY(kdi_column_stage(ctx, &writer->columns[i], &writer->output, &batch->columns[i],
                                    batch, from, count));
        KD_TRY(kdi_shredder_stage(ctx, &writer->shredder, &writer->output, batch, from, count));
        KD_TRY(stage_stamps(ctx, writer, begin_stamps == NULL ? NULL : begin_stamps + from, count));
        writer->block_rows += count;
        writer->row_count += count;
        from += count;
        if (writer->block_rows == KD_BLOCK_ROWS)
            KD_TRY(end_block(ctx, writer));
    }
    return KD_OK;
}

kd_status kd_segment_writer_append(kd_ctx *ctx, kd_segment_writer *writer, const kd_batch *batch,
                                   const uint64_t *begin_stamps)
{
    assert(!writer->finished);
    assert(batch->column_count >= writer->column_count);
    if (writer->failed)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the segment writer has failed before");
    if (batch->selected_count > KD_SEGMENT_ROWS_MAX - writer->row_count)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a segment holds at most %d rows",
                       KD_SEGMENT_ROWS_MAX);
    kd_status status = KD_OK;
    if (writer->row_count == 0)
        status = kdi_shredder_choose(ctx, &writer->shredder, writer->columns, writer->column_count,
                                     batch);
    if (status == KD_OK)
        status = append_rows(ctx, writer, batch, begin_stamps);
    writer->failed = status != KD_OK;
    return status;
}

uint32_t kd_segment_writer_row_count(const kd_segment_writer *writer)
{
    return writer->row_count;
}

static kd_status build_footer(kd_ctx *ctx, kd_segment_writer *writer, kd_buffer *footer)
{
    uint32_t stored_count = writer->column_count + writer->has_stamps;
    const kdi_shredder *shredder = &writer->shredder;
    kdi_segment_head head = {.table_no = writer->table_no,
                             .schema_version = writer->schema_version,
                             .row_count = writer->row_count,
                             .column_count = writer->column_count,
                             .block_count = (writer->row_count + KD_BLOCK_ROWS - 1) / KD_BLOCK_ROWS,
                             .flags = (writer->has_stamps ? KDI_FOOTER_HAS_STAMPS : 0) |
                                      shredder->count << KDI_FOOTER_SHREDS_SHIFT};
    KD_TRY(kd_buffer_append(ctx, footer, &head, sizeof head));
    for (uint32_t i = 0; i < stored_count; i++)
        KD_TRY(kd_buffer_append(ctx, footer, &writer->columns[i].entry, sizeof(kdi_column_entry)));
    for (uint32_t i = 0; i < shredder->count; i++)
        KD_TRY(kd_buffer_append(ctx, footer, &shredder->shreds[i].column.entry,
                                sizeof(kdi_column_entry)));
    for (uint32_t i = 0; i < stored_count; i++)
        KD_TRY(kd_buffer_append(ctx, footer, writer->columns[i].blocks,
                                head.block_count * sizeof(kdi_block_entry)));
    for (uint32_t i = 0; i < shredder->count; i++)
        KD_TRY(kd_buffer_append(ctx, footer, shredder->shreds[i].column.blocks,
                                head.block_count * sizeof(kdi_block_entry)));
    for (uint32_t i = 0; i < shredder->count; i++) {
        kd_slice keys = shredder->shreds[i].keys.bytes;
        uint32_t size_bytes = (uint32_t)keys.size_bytes;
        KD_TRY(kd_buffer_append(ctx, footer, &size_bytes, sizeof size_bytes));
        KD_TRY(kd_buffer_append_slice(ctx, footer, keys));
    }
    return KD_OK;
}

uint32_t kdi_footer_checksum(uint64_t database_id, uint64_t unit, uint64_t generation,
                             const void *footer, size_t size_bytes)
{
    kdi_block_identity identity = {.database_id = database_id,
                                   .unit = unit,
                                   .generation = generation,
                                   .column = UINT32_MAX,
                                   .block = UINT32_MAX};
    uint32_t sum = kd_crc32c(0, &identity, sizeof identity);
    return kd_crc32c(sum, footer, size_bytes);
}

static kd_status write_footer(kd_ctx *ctx, kd_segment_writer *writer)
{
    kd_file_sink *sink = &writer->output.sink;
    kd_buffer footer = kd_buffer_in(writer->arena);
    KD_TRY(build_footer(ctx, writer, &footer));
    const kdi_block_identity *identity = &writer->output.identity;
    bool is_plain = writer->shredder.count == 0;
    kdi_segment_trailer trailer = {.format =
                                       is_plain ? KDI_SEGMENT_FORMAT_PLAIN : KDI_SEGMENT_FORMAT,
                                   .footer_offset = kd_file_sink_offset(sink),
                                   .database_id = identity->database_id,
                                   .unit = identity->unit,
                                   .generation = identity->generation,
                                   .footer_bytes = (uint32_t)footer.size_bytes};
    memcpy(trailer.magic, KDI_SEGMENT_MAGIC, sizeof trailer.magic);
    trailer.footer_checksum = kdi_footer_checksum(
        trailer.database_id, trailer.unit, trailer.generation, footer.data, footer.size_bytes);
    trailer.checksum = kd_crc32c(0, &trailer, offsetof(kdi_segment_trailer, checksum));
    KD_TRY(kd_file_sink_append(ctx, sink, footer.data, footer.size_bytes));
    return kd_file_sink_finish(ctx, sink, &trailer, sizeof trailer);
}

static kd_status finish(kd_ctx *ctx, kd_segment_writer *writer)
{
    if (writer->block_rows > 0)
        KD_TRY(end_block(ctx, writer));
    for (uint32_t i = 0; i <= writer->column_count; i++)
        KD_TRY(kdi_column_finish(ctx, &writer->columns[i], &writer->output, writer->row_count));
    kdi_shredder_settle(&writer->shredder);
    KD_TRY(kdi_shredder_finish(ctx, &writer->shredder, &writer->output, writer->row_count));
    KD_TRY(write_footer(ctx, writer));
    return ctx->world->directory_sync(ctx, writer->directory);
}

kd_status kd_segment_writer_finish(kd_ctx *ctx, kd_segment_writer *writer)
{
    assert(!writer->finished);
    if (writer->failed)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the segment writer has failed before");
    kd_status status = finish(ctx, writer);
    writer->failed = status != KD_OK;
    writer->finished = status == KD_OK;
    return status;
}

void kdi_segment_writer_force(kd_segment_writer *writer, uint32_t column, kdi_encoding encoding)
{
    writer->columns[column].force = encoding;
}

/* A file that cannot be removed is left to recovery: no root names it. */
static void remove_unfinished(kd_segment_writer *writer)
{
    kd_ctx ctx = {.world = writer->world};
    if (writer->world->path_remove(&ctx, writer->path) != KD_OK)
        kd_error_clear(&ctx);
}

void kd_segment_writer_destroy(kd_segment_writer *writer)
{
    if (writer == NULL)
        return;
    bool file_was_made = writer->output.sink.file != NULL || writer->failed;
    kd_file_sink_close(writer->world, &writer->output.sink);
    if (!writer->finished && file_was_made)
        remove_unfinished(writer);
    kd_arena_destroy(writer->arena);
    kd_heap_free(writer->world, writer->account, writer);
}
