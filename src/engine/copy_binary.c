/*
 * COPY ... (FORMAT binary), both ways.
 */
#include "engine/copy_binary.h"

#include "engine/value_cast.h"
#include "types/binary.h"

enum { READ_BYTES = 64 << 10, FIELD_BYTES_MAX = 1 << 30, FLAG_OIDS = 1 << 16 };

static const char signature[11] = "PGCOPY\n\377\r\n"; /* And its NUL. */

struct kdi_binary_reader {
    kd_run *run;
    kd_text_source *source;
    const kd_import_column *columns;
    uint32_t column_count;
    kd_arena *bytes_arena; /* Of what was read and not used yet. */
    char *bytes;
    size_t start, end, capacity;
    kd_arena *batch_arena; /* Of one batch. */
    bool at_end;
};

/* --- Bytes ------------------------------------------------------------------------------------ */

static kd_status bad_copy(kd_ctx *ctx, const char *message)
{
    return KD_FAIL(ctx, KD_INVALID, "22P04", "%s", message);
}

/* Room for `size_bytes` behind what waits, which moves to its front. */
static kd_status make_room(kd_ctx *ctx, kdi_binary_reader *reader, size_t size_bytes)
{
    size_t waiting = reader->end - reader->start;
    size_t needed = size_bytes > READ_BYTES ? size_bytes : READ_BYTES;
    if (reader->capacity < needed) {
        kd_arena *arena =
            kd_arena_create(ctx, reader->run->arena, "copy bytes", KD_ARENA_UNLIMITED);
        char *bytes = arena == NULL ? NULL : kd_alloc_raw(ctx, arena, needed);
        if (bytes == NULL) {
            kd_arena_destroy(arena);
            return KD_NOMEM;
        }
        if (waiting > 0)
            memcpy(bytes, reader->bytes + reader->start, waiting);
        kd_arena_destroy(reader->bytes_arena);
        reader->bytes_arena = arena;
        reader->bytes = bytes;
        reader->capacity = needed;
    } else if (waiting > 0) {
        memmove(reader->bytes, reader->bytes + reader->start, waiting);
    }
    reader->start = 0;
    reader->end = waiting;
    return KD_OK;
}

/* The next bytes, valid until the next call. What was announced is not allocated before as much has
 * come, up to a doubling. */
static kd_status take(kd_ctx *ctx, kdi_binary_reader *reader, size_t size_bytes, const char **out)
{
    while (reader->end - reader->start < size_bytes) {
        size_t waiting = reader->end - reader->start, got;
        size_t wanted =
            size_bytes < 2 * waiting + READ_BYTES ? size_bytes : 2 * waiting + READ_BYTES;
        KD_TRY(make_room(ctx, reader, wanted));
        KD_TRY(kd_text_source_read(ctx, reader->source, reader->bytes + reader->end,
                                   reader->capacity - reader->end, &got));
        if (got == 0)
            return bad_copy(ctx, "unexpected EOF in COPY data");
        reader->end += got;
    }
    *out = reader->bytes + reader->start;
    reader->start += size_bytes;
    return KD_OK;
}

static kd_status take_u32(kd_ctx *ctx, kdi_binary_reader *reader, uint32_t *out)
{
    const char *bytes;
    KD_TRY(take(ctx, reader, sizeof *out, &bytes));
    *out = kd_load_big_u32(bytes);
    return KD_OK;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static kd_status read_header(kd_ctx *ctx, kdi_binary_reader *reader)
{
    const char *bytes;
    uint32_t flags, extension;
    KD_TRY(take(ctx, reader, sizeof signature, &bytes));
    if (memcmp(bytes, signature, sizeof signature) != 0)
        return bad_copy(ctx, "COPY file signature not recognized");
    KD_TRY(take_u32(ctx, reader, &flags));
    if ((flags & FLAG_OIDS) != 0)
        return bad_copy(ctx, "invalid COPY file header (WITH OIDS)");
    if (flags >> 16 != 0)
        return bad_copy(ctx, "unrecognized critical flags in COPY file header");
    KD_TRY(take_u32(ctx, reader, &extension));
    if (extension > FIELD_BYTES_MAX)
        return bad_copy(ctx, "invalid COPY file header (wrong length)");
    return take(ctx, reader, extension, &bytes);
}

kd_status kdi_binary_reader_create(kd_ctx *ctx, kd_run *run, kd_text_source *source,
                                   const kd_import_column *columns, uint32_t column_count,
                                   kdi_binary_reader **out_reader)
{
    kdi_binary_reader *reader = KD_NEW(ctx, run->arena, kdi_binary_reader);
    *out_reader = NULL;
    if (reader == NULL)
        return KD_NOMEM;
    *reader = (kdi_binary_reader){
        .run = run, .source = source, .columns = columns, .column_count = column_count};
    reader->batch_arena = kd_arena_create(ctx, run->arena, "copy batch", KD_ARENA_UNLIMITED);
    if (reader->batch_arena == NULL)
        return KD_NOMEM;
    KD_TRY(read_header(ctx, reader));
    *out_reader = reader;
    return KD_OK;
}

/* The bytes are those of the type without its modifier, which an assignment then applies. */
static kd_status read_field(kd_ctx *ctx, kdi_binary_reader *reader, kd_type type,
                            kd_value *out_value)
{
    uint32_t size;
    const char *bytes;
    kd_type plain = type;
    plain.modifier = -1;
    KD_TRY(take_u32(ctx, reader, &size));
    *out_value = kd_value_null(type);
    if (size == UINT32_MAX)
        return KD_OK;
    if (size > FIELD_BYTES_MAX)
        return bad_copy(ctx, "invalid field size");
    KD_TRY(take(ctx, reader, size, &bytes));
    KD_TRY(kd_binary_read(ctx, reader->batch_arena, &reader->run->text, plain,
                          (kd_slice){bytes, size}, out_value));
    if (type.modifier < 0)
        return KD_OK;
    kd_value read = *out_value;
    return kd_value_cast(ctx, reader->batch_arena, reader->run->session->database->registry,
                         &reader->run->facts, &read, type, KD_CAST_ASSIGNMENT, out_value);
}

/* Nothing may stand behind the last row. */
static kd_status read_end(kd_ctx *ctx, kdi_binary_reader *reader)
{
    char byte;
    size_t more = reader->end - reader->start;
    reader->at_end = true;
    if (more == 0)
        KD_TRY(kd_text_source_read(ctx, reader->source, &byte, sizeof byte, &more));
    return more == 0 ? KD_OK : bad_copy(ctx, "received copy data after EOF marker");
}

static kd_status read_row(kd_ctx *ctx, kdi_binary_reader *reader, kd_vector *vectors, uint32_t row)
{
    const char *bytes;
    KD_TRY(take(ctx, reader, sizeof(uint16_t), &bytes));
    int16_t count = (int16_t)kd_load_big_u16(bytes);
    if (count == -1)
        return read_end(ctx, reader);
    if (count < 0 || (uint32_t)count != reader->column_count)
        return KD_FAIL(ctx, KD_INVALID, "22P04", "row field count is %d, expected %u", count,
                       reader->column_count);
    for (uint32_t i = 0; i < reader->column_count; i++) {
        kd_value value;
        KD_TRY(read_field(ctx, reader, reader->columns[i].type, &value));
        if (value.is_null)
            kd_vector_set_null(&vectors[i], row);
        else
            kd_vector_set(&vectors[i], row, &value);
    }
    return KD_OK;
}

kd_status kdi_binary_reader_next(kd_ctx *ctx, kdi_binary_reader *reader, kd_batch *out_batch)
{
    uint32_t rows = 0;
    *out_batch = (kd_batch){0};
    kd_arena_reset(reader->batch_arena);
    kd_vector *vectors =
        KD_NEW_ARRAY(ctx, reader->batch_arena, kd_vector, reader->column_count + 1);
    if (vectors == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < reader->column_count; i++)
        KD_TRY(kd_vector_init_flat(ctx, reader->batch_arena, reader->columns[i].type, KD_BATCH_ROWS,
                                   &vectors[i]));
    while (rows < KD_BATCH_ROWS && !reader->at_end) {
        KD_TRY(read_row(ctx, reader, vectors, rows));
        rows += !reader->at_end;
    }
    *out_batch = (kd_batch){.row_count = rows,
                            .selected_count = rows,
                            .column_count = reader->column_count,
                            .columns = vectors};
    return KD_OK;
}

/* --- Writing ---------------------------------------------------------------------------------- */

kd_status kdi_binary_write_header(kd_ctx *ctx, kd_buffer *out)
{
    KD_TRY(kd_buffer_append(ctx, out, signature, sizeof signature));
    return kd_buffer_append_u64(ctx, out, 0);
}

kd_status kdi_binary_write_row(kd_ctx *ctx, const kd_text_settings *settings, const kd_batch *batch,
                               uint32_t row, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_big_u16(ctx, out, (uint16_t)batch->column_count));
    for (uint32_t i = 0; i < batch->column_count; i++) {
        kd_value value = kd_vector_get(&batch->columns[i], row);
        KD_TRY(kd_binary_append_counted(ctx, settings, &value, out));
    }
    return KD_OK;
}

kd_status kdi_binary_write_end(kd_ctx *ctx, kd_buffer *out)
{
    return kd_buffer_append_big_u16(ctx, out, UINT16_MAX);
}
