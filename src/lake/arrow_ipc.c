/*
 * Arrow IPC: messages of FlatBuffers metadata and an aligned body.
 *
 *     message   0xffffffff, metadata size, metadata (padded to 8), body (padded to 8)
 *     body      per column: validity bits, then values; texts: 32-bit offsets, then bytes
 *
 * Field numbers and enumerations are those of Arrow's Message.fbs, Schema.fbs and File.fbs, format
 * version 5.
 */
#include "lake/arrow_ipc.h"

#include "lake/flat_internal.h"
#include "types/datetime.h"

#include <assert.h>
#include <string.h>

enum { METADATA_VERSION_5 = 4, HEADER_SCHEMA = 1, HEADER_BATCH = 3, BODY_ALIGN = 8 };
enum { UNIT_MICROSECOND = 2, UNIT_NANOSECOND = 3, FLOAT_SINGLE = 1, FLOAT_DOUBLE = 2 };

typedef enum arrow_kind {
    ARROW_INT = 2,
    ARROW_FLOAT = 3,
    ARROW_BINARY = 4,
    ARROW_UTF8 = 5,
    ARROW_BOOL = 6,
    ARROW_DECIMAL = 7,
    ARROW_DATE = 8,
    ARROW_TIME = 9,
    ARROW_TIMESTAMP = 10,
    ARROW_INTERVAL = 11,
} arrow_kind;

typedef struct arrow_node {
    int64_t length;
    int64_t null_count;
} arrow_node;

typedef struct arrow_buffer {
    int64_t offset;
    int64_t length;
} arrow_buffer;

typedef struct arrow_block {
    int64_t offset;
    int32_t metadata_bytes;
    int32_t padding;
    int64_t body_bytes;
} arrow_block;
_Static_assert(sizeof(arrow_block) == 24, "the footer's struct");

struct kd_arrow_writer {
    kd_arena *arena;
    kd_arrow_form form;
    const kd_text_settings *settings;
    const kd_slice *names;
    const kd_type *types;
    uint32_t column_count;
    uint64_t position; /* Bytes written so far, wherever the caller put them. */
    arrow_block *blocks;
    size_t block_count;
    size_t block_capacity;
};

static arrow_kind kind_of(kd_type type)
{
    if (type.is_array)
        return ARROW_UTF8;
    switch (type.id) {
    case KD_TYPE_BOOL:
        return ARROW_BOOL;
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
    case KD_TYPE_OID:
        return ARROW_INT;
    case KD_TYPE_FLOAT4:
    case KD_TYPE_FLOAT8:
        return ARROW_FLOAT;
    case KD_TYPE_NUMERIC:
        return kd_numeric_is_fixed(type) ? ARROW_DECIMAL : ARROW_UTF8;
    case KD_TYPE_BYTEA:
        return ARROW_BINARY;
    case KD_TYPE_DATE:
        return ARROW_DATE;
    case KD_TYPE_TIME:
        return ARROW_TIME;
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
        return ARROW_TIMESTAMP;
    case KD_TYPE_INTERVAL:
        return ARROW_INTERVAL;
    default:
        return ARROW_UTF8;
    }
}

/* ---- Metadata ---- */

static kdi_flat_ref type_table(kdi_flat *flat, kd_type type)
{
    kdi_flat_ref zone = 0;
    if (type.id == KD_TYPE_TIMESTAMPTZ || type.id == KD_TYPE_TIMESTAMP_NS)
        zone = kdi_flat_string(flat, KD_SLICE("UTC"));
    kdi_flat_table_begin(flat, 3);
    switch (kind_of(type)) {
    case ARROW_INT:
        kdi_flat_add(flat, 0, 8 * kd_physical_bytes(kd_type_physical(type)), 4);
        kdi_flat_add(flat, 1, 1, 1);
        break;
    case ARROW_FLOAT:
        kdi_flat_add(flat, 0, type.id == KD_TYPE_FLOAT4 ? FLOAT_SINGLE : FLOAT_DOUBLE, 2);
        break;
    case ARROW_DECIMAL:
        kdi_flat_add(flat, 0, (uint64_t)kd_numeric_precision(type), 4);
        kdi_flat_add(flat, 1, (uint64_t)kd_numeric_scale(type), 4);
        kdi_flat_add(flat, 2, 128, 4);
        break;
    case ARROW_DATE:
        kdi_flat_add(flat, 0, 0, 2); /* Days. */
        break;
    case ARROW_TIME:
        kdi_flat_add(flat, 0, UNIT_MICROSECOND, 2);
        kdi_flat_add(flat, 1, 64, 4);
        break;
    case ARROW_TIMESTAMP:
        kdi_flat_add_ref(flat, 1, zone);
        kdi_flat_add(flat, 0, type.id == KD_TYPE_TIMESTAMP_NS ? UNIT_NANOSECOND : UNIT_MICROSECOND,
                     2);
        break;
    case ARROW_INTERVAL:
        kdi_flat_add(flat, 0, 2, 2); /* Months, days, nanoseconds. */
        break;
    case ARROW_BINARY:
    case ARROW_UTF8:
    case ARROW_BOOL:
        break;
    }
    return kdi_flat_table_end(flat);
}

static kdi_flat_ref schema_table(kdi_flat *flat, const kd_arrow_writer *writer)
{
    kdi_flat_ref *fields = KD_NEW_ARRAY(flat->ctx, flat->arena, kdi_flat_ref, writer->column_count);
    if (fields == NULL) {
        flat->status = KD_NOMEM;
        return 0;
    }
    for (uint32_t i = 0; i < writer->column_count; i++) {
        kdi_flat_ref name = kdi_flat_string(flat, writer->names[i]);
        kdi_flat_ref type = type_table(flat, writer->types[i]);
        kdi_flat_ref children = kdi_flat_refs(flat, NULL, 0);
        kdi_flat_table_begin(flat, 6);
        kdi_flat_add_ref(flat, 0, name);
        kdi_flat_add_ref(flat, 3, type);
        kdi_flat_add_ref(flat, 5, children);
        kdi_flat_add(flat, 1, 1, 1);
        kdi_flat_add(flat, 2, kind_of(writer->types[i]), 1);
        fields[i] = kdi_flat_table_end(flat);
    }
    kdi_flat_ref list = kdi_flat_refs(flat, fields, writer->column_count);
    kdi_flat_table_begin(flat, 2);
    kdi_flat_add_ref(flat, 1, list);
    kdi_flat_add(flat, 0, 0, 2); /* Little-endian. */
    return kdi_flat_table_end(flat);
}

static kdi_flat_ref message_table(kdi_flat *flat, uint64_t header_kind, kdi_flat_ref header,
                                  size_t body_bytes)
{
    kdi_flat_table_begin(flat, 4);
    kdi_flat_add(flat, 3, body_bytes, 8);
    kdi_flat_add_ref(flat, 2, header);
    kdi_flat_add(flat, 0, METADATA_VERSION_5, 2);
    kdi_flat_add(flat, 1, header_kind, 1);
    return kdi_flat_table_end(flat);
}

static kd_status pad_to(kd_ctx *ctx, kd_buffer *out, size_t begin, size_t align)
{
    while ((out->size_bytes - begin) % align != 0)
        KD_TRY(kd_buffer_append_byte(ctx, out, 0));
    return KD_OK;
}

/* Appends a message; `*out_metadata_bytes` counts its two leading words. */
static kd_status message_write(kd_ctx *ctx, kd_slice metadata, kd_slice body, kd_buffer *out,
                               int32_t *out_metadata_bytes)
{
    size_t begin = out->size_bytes;
    size_t padded = (metadata.size_bytes + BODY_ALIGN - 1) / BODY_ALIGN * BODY_ALIGN;
    KD_TRY(kd_buffer_append_u32(ctx, out, UINT32_MAX));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)padded));
    KD_TRY(kd_buffer_append_slice(ctx, out, metadata));
    KD_TRY(pad_to(ctx, out, begin, BODY_ALIGN));
    *out_metadata_bytes = (int32_t)(out->size_bytes - begin);
    return kd_buffer_append_slice(ctx, out, body);
}

/* ---- Bodies ---- */

typedef struct body {
    kd_ctx *ctx;
    const kd_text_settings *settings;
    const kd_batch *batch;
    kd_buffer bytes;
    arrow_node *nodes;
    arrow_buffer *buffers;
    uint32_t buffer_count;
} body;

static kd_status body_buffer_end(body *self, size_t begin)
{
    self->buffers[self->buffer_count++] = (arrow_buffer){
        .offset = (int64_t)begin, .length = (int64_t)(self->bytes.size_bytes - begin)};
    return pad_to(self->ctx, &self->bytes, 0, BODY_ALIGN);
}

/* Zeroed room at the end of the body. */
static kd_status body_room(body *self, size_t size_bytes, char **out_at)
{
    KD_TRY(kd_buffer_reserve(self->ctx, &self->bytes, size_bytes, out_at));
    memset(*out_at, 0, size_bytes);
    self->bytes.size_bytes += size_bytes;
    return KD_OK;
}

static kd_status validity_write(body *self, const kd_vector *vector, arrow_node *node)
{
    uint32_t count = self->batch->selected_count;
    size_t begin = self->bytes.size_bytes;
    char *bits;
    KD_TRY(body_room(self, (count + 7) / 8, &bits));
    node->length = count;
    node->null_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool is_null = kd_vector_is_null(vector, kd_batch_row(self->batch, i));
        node->null_count += is_null;
        if (!is_null)
            bits[i / 8] = (char)(bits[i / 8] | 1 << i % 8);
    }
    if (node->null_count == 0)
        self->bytes.size_bytes = begin; /* An absent bitmap says the same. */
    return body_buffer_end(self, begin);
}

/* One value in Arrow's representation: at most 16 bytes. */
static void value_convert(const kd_value *value, char out[16])
{
    switch (kind_of(value->type)) {
    case ARROW_DECIMAL: {
        kd_i128 wide =
            kd_type_physical(value->type) == KD_PHYS_I64 ? (kd_i128)value->as.i64 : value->as.i128;
        memcpy(out, &wide, sizeof wide);
        return;
    }
    case ARROW_DATE: {
        int32_t date = value->as.i32;
        if (kd_date_is_finite(date))
            date -= KD_UNIX_EPOCH_DAYS;
        memcpy(out, &date, sizeof date);
        return;
    }
    case ARROW_TIMESTAMP: {
        int64_t at = value->as.i64;
        if (value->type.id != KD_TYPE_TIMESTAMP_NS && kd_timestamp_is_finite(at))
            at -= KD_UNIX_EPOCH_US;
        memcpy(out, &at, sizeof at);
        return;
    }
    case ARROW_INTERVAL: {
        int64_t nanos = value->as.interval.micros * 1000;
        memcpy(out, &value->as.interval.months, 4);
        memcpy(out + 4, &value->as.interval.days, 4);
        memcpy(out + 8, &nanos, 8);
        return;
    }
    default:
        memcpy(out, &value->as, 16);
        return;
    }
}

static size_t value_bytes(kd_type type)
{
    arrow_kind kind = kind_of(type);
    if (kind == ARROW_DECIMAL || kind == ARROW_INTERVAL)
        return 16;
    return kd_physical_bytes(kd_type_physical(type));
}

static kd_status values_write(body *self, const kd_vector *vector)
{
    uint32_t count = self->batch->selected_count;
    size_t begin = self->bytes.size_bytes;
    size_t width = value_bytes(vector->type);
    bool is_bool = kind_of(vector->type) == ARROW_BOOL;
    char *at;
    KD_TRY(body_room(self, is_bool ? (count + 7) / 8 : count * width, &at));
    for (uint32_t i = 0; i < count; i++) {
        kd_value value = kd_vector_get(vector, kd_batch_row(self->batch, i));
        if (value.is_null)
            continue;
        if (is_bool) {
            at[i / 8] = (char)(at[i / 8] | value.as.boolean << i % 8);
            continue;
        }
        char converted[16];
        value_convert(&value, converted);
        memcpy(at + i * width, converted, width);
    }
    return body_buffer_end(self, begin);
}

static kd_status texts_write(body *self, const kd_vector *vector, kd_arena *scratch)
{
    uint32_t count = self->batch->selected_count;
    bool is_binary = kind_of(vector->type) == ARROW_BINARY;
    bool is_plain = is_binary || (!vector->type.is_array && kd_type_is_string(vector->type));
    kd_buffer texts = kd_buffer_in(scratch);
    size_t begin = self->bytes.size_bytes;
    KD_TRY(kd_buffer_append_u32(self->ctx, &self->bytes, 0));
    for (uint32_t i = 0; i < count; i++) {
        kd_value value = kd_vector_get(vector, kd_batch_row(self->batch, i));
        if (!value.is_null && is_plain)
            KD_TRY(kd_buffer_append_slice(self->ctx, &texts, kd_str_slice(&value.as.str)));
        else if (!value.is_null)
            KD_TRY(kd_value_format(self->ctx, self->settings, &value, &texts));
        if (texts.size_bytes > INT32_MAX)
            return KD_FAIL(self->ctx, KD_LIMIT, "54000", "texts of one Arrow batch exceed 2 GiB");
        KD_TRY(kd_buffer_append_u32(self->ctx, &self->bytes, (uint32_t)texts.size_bytes));
    }
    KD_TRY(body_buffer_end(self, begin));
    begin = self->bytes.size_bytes;
    KD_TRY(kd_buffer_append_slice(self->ctx, &self->bytes, kd_buffer_slice(&texts)));
    return body_buffer_end(self, begin);
}

static kd_status body_make(body *self, kd_arena *scratch)
{
    for (uint32_t c = 0; c < self->batch->column_count; c++) {
        const kd_vector *vector = &self->batch->columns[c];
        arrow_kind kind = kind_of(vector->type);
        KD_TRY(validity_write(self, vector, &self->nodes[c]));
        if (kind == ARROW_UTF8 || kind == ARROW_BINARY)
            KD_TRY(texts_write(self, vector, scratch));
        else
            KD_TRY(values_write(self, vector));
    }
    return KD_OK;
}

static kd_status batch_write(kd_ctx *ctx, kd_arrow_writer *writer, const kd_batch *batch,
                             kd_arena *scratch, kd_buffer *out)
{
    body made = {.ctx = ctx,
                 .settings = writer->settings,
                 .batch = batch,
                 .bytes = kd_buffer_in(scratch),
                 .nodes = KD_NEW_ARRAY(ctx, scratch, arrow_node, batch->column_count),
                 .buffers = KD_NEW_ARRAY(ctx, scratch, arrow_buffer, 3 * batch->column_count)};
    if (made.nodes == NULL || made.buffers == NULL)
        return KD_NOMEM;
    KD_TRY(body_make(&made, scratch));
    kdi_flat flat = kdi_flat_begin(ctx, scratch);
    kdi_flat_ref nodes =
        kdi_flat_structs(&flat, made.nodes, sizeof *made.nodes, batch->column_count);
    kdi_flat_ref buffers =
        kdi_flat_structs(&flat, made.buffers, sizeof *made.buffers, made.buffer_count);
    kdi_flat_table_begin(&flat, 3);
    kdi_flat_add(&flat, 0, batch->selected_count, 8);
    kdi_flat_add_ref(&flat, 1, nodes);
    kdi_flat_add_ref(&flat, 2, buffers);
    kdi_flat_ref header = kdi_flat_table_end(&flat);
    kd_slice metadata;
    KD_TRY(kdi_flat_finish(&flat, message_table(&flat, HEADER_BATCH, header, made.bytes.size_bytes),
                           &metadata));
    arrow_block *block;
    KD_TRY(KD_PUSH(ctx, writer->arena, writer->blocks, writer->block_count, writer->block_capacity,
                   &block));
    block->offset = (int64_t)writer->position;
    block->body_bytes = (int64_t)made.bytes.size_bytes;
    return message_write(ctx, metadata, kd_buffer_slice(&made.bytes), out, &block->metadata_bytes);
}

/* ---- The writer ---- */

static kd_status schema_write(kd_ctx *ctx, const kd_arrow_writer *writer, kd_buffer *out)
{
    kdi_flat flat = kdi_flat_begin(ctx, writer->arena);
    kdi_flat_ref schema = schema_table(&flat, writer);
    kd_slice metadata;
    KD_TRY(kdi_flat_finish(&flat, message_table(&flat, HEADER_SCHEMA, schema, 0), &metadata));
    int32_t ignored;
    return message_write(ctx, metadata, (kd_slice){0}, out, &ignored);
}

kd_status kd_arrow_writer_create(kd_ctx *ctx, kd_arena *arena, kd_arrow_form form,
                                 const kd_text_settings *settings, const kd_slice *names,
                                 const kd_type *types, uint32_t column_count, kd_buffer *out,
                                 kd_arrow_writer **out_writer)
{
    *out_writer = NULL;
    kd_arrow_writer *writer = KD_NEW(ctx, arena, kd_arrow_writer);
    if (writer == NULL)
        return KD_NOMEM;
    *writer = (kd_arrow_writer){.arena = arena,
                                .form = form,
                                .settings = settings,
                                .names = names,
                                .types = types,
                                .column_count = column_count};
    size_t begin = out->size_bytes;
    if (form == KD_ARROW_FILE)
        KD_TRY(kd_buffer_append(ctx, out, "ARROW1\0", 8));
    KD_TRY(schema_write(ctx, writer, out));
    writer->position = out->size_bytes - begin;
    *out_writer = writer;
    return KD_OK;
}

kd_status kd_arrow_writer_batch(kd_ctx *ctx, kd_arrow_writer *writer, const kd_batch *batch,
                                kd_buffer *out)
{
    if (batch->selected_count == 0)
        return KD_OK;
    assert(batch->column_count == writer->column_count);
    kd_arena *scratch = kd_arena_create(ctx, writer->arena, "arrow batch", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    size_t begin = out->size_bytes;
    kd_status status = batch_write(ctx, writer, batch, scratch, out);
    writer->position += out->size_bytes - begin;
    kd_arena_destroy(scratch);
    return status;
}

static kd_status footer_write(kd_ctx *ctx, const kd_arrow_writer *writer, kd_buffer *out)
{
    kdi_flat flat = kdi_flat_begin(ctx, writer->arena);
    kdi_flat_ref schema = schema_table(&flat, writer);
    kdi_flat_ref dictionaries = kdi_flat_structs(&flat, NULL, sizeof(arrow_block), 0);
    kdi_flat_ref blocks =
        kdi_flat_structs(&flat, writer->blocks, sizeof(arrow_block), (uint32_t)writer->block_count);
    kdi_flat_table_begin(&flat, 4);
    kdi_flat_add_ref(&flat, 1, schema);
    kdi_flat_add_ref(&flat, 2, dictionaries);
    kdi_flat_add_ref(&flat, 3, blocks);
    kdi_flat_add(&flat, 0, METADATA_VERSION_5, 2);
    kdi_flat_ref footer = kdi_flat_table_end(&flat);
    kd_slice bytes;
    KD_TRY(kdi_flat_finish(&flat, footer, &bytes));
    KD_TRY(kd_buffer_append_slice(ctx, out, bytes));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)bytes.size_bytes));
    return kd_buffer_append(ctx, out, "ARROW1", 6);
}

kd_status kd_arrow_writer_end(kd_ctx *ctx, kd_arrow_writer *writer, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_u32(ctx, out, UINT32_MAX));
    KD_TRY(kd_buffer_append_u32(ctx, out, 0));
    if (writer->form == KD_ARROW_FILE)
        KD_TRY(footer_write(ctx, writer, out));
    return KD_OK;
}
