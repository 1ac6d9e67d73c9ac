/*
 * Rows: making and opening them, order and hash, text.
 */
#include "types/record.h"

#include "base/hash.h"
#include "types/array.h"

#include <assert.h>

enum { HEADER_BYTES = 1 + 2 + 4 };

static kd_status fail_damaged(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored row is damaged");
}

/* ---- Making ---- */

static kd_status depth_of(kd_ctx *ctx, const kd_value *value, uint8_t *io_depth)
{
    if (value->is_null || value->type.id != KD_TYPE_RECORD)
        return KD_OK;
    if (!value->type.is_array) {
        kd_record inner;
        KD_TRY(kd_record_open(ctx, kd_str_slice(&value->as.str), &inner));
        if (inner.depth > *io_depth)
            *io_depth = inner.depth;
        return KD_OK;
    }
    kd_array array;
    KD_TRY(kd_array_open(ctx, value->type, kd_str_slice(&value->as.str), &array));
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        if (element.is_null)
            continue;
        kd_record inner;
        KD_TRY(kd_record_open(ctx, kd_str_slice(&element.as.str), &inner));
        if (inner.depth > *io_depth)
            *io_depth = inner.depth;
    }
    return KD_OK;
}

kd_status kd_record_make(kd_ctx *ctx, kd_arena *arena, const kd_record_shape *shape,
                         const kd_value *values, kd_str *out)
{
    *out = (kd_str){0};
    assert(shape->field_count <= KD_RECORD_FIELDS_MAX);
    uint8_t depth = 0;
    for (uint32_t i = 0; i < shape->field_count; i++)
        KD_TRY(depth_of(ctx, &values[i], &depth));
    if (depth >= KD_RECORD_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "rows are nested too deeply");
    kd_buffer bytes = kd_buffer_in(arena);
    KD_TRY(kd_buffer_append_byte(ctx, &bytes, (uint8_t)(depth + 1)));
    KD_TRY(kd_buffer_append_u16(ctx, &bytes, (uint16_t)shape->field_count));
    KD_TRY(kd_buffer_append_u32(ctx, &bytes, 0));
    for (uint32_t i = 0; i < shape->field_count; i++) {
        KD_TRY(kd_buffer_append(ctx, &bytes, &shape->types[i], sizeof shape->types[i]));
        KD_TRY(kd_buffer_append_counted(ctx, &bytes, shape->names[i]));
    }
    kd_store_u32(bytes.data + HEADER_BYTES - 4, (uint32_t)bytes.size_bytes - HEADER_BYTES);
    for (uint32_t i = 0; i < shape->field_count; i++)
        KD_TRY(kd_value_append(ctx, &values[i], &bytes));
    if (bytes.size_bytes > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a row is larger than 4 GiB");
    *out = kd_str_from(bytes.data, bytes.size_bytes);
    return KD_OK;
}

/* ---- Opening ---- */

static bool record_open(kd_slice stored, kd_record *out)
{
    kd_reader reader = kd_reader_of(stored);
    *out = (kd_record){0};
    out->depth = kd_read_u8(&reader);
    out->field_count = kd_read_u16(&reader);
    uint32_t described_bytes = kd_read_u32(&reader);
    if (reader.failed || out->depth == 0 || out->depth > KD_RECORD_DEPTH_MAX ||
        out->field_count > KD_RECORD_FIELDS_MAX ||
        described_bytes > (size_t)(reader.end - reader.at)) {
        *out = (kd_record){0};
        return false;
    }
    out->descriptions = kd_reader_of((kd_slice){reader.at, described_bytes});
    out->values = kd_reader_of((kd_slice){reader.at + described_bytes,
                                          (size_t)(reader.end - reader.at) - described_bytes});
    return true;
}

kd_status kd_record_open(kd_ctx *ctx, kd_slice stored, kd_record *out)
{
    return record_open(stored, out) ? KD_OK : fail_damaged(ctx);
}

static bool type_is_known(kd_type type)
{
    return type.id < KD_TYPE_COUNT && type.is_array <= 1;
}

/* One field's description and the bytes of its value; false at the end and where they break. */
static bool field_next(kd_record *record, kd_slice *out_name, kd_type *out_type)
{
    if (record->next_index >= record->field_count)
        return false;
    const char *type = kd_read_bytes(&record->descriptions, sizeof *out_type);
    *out_name = kd_read_slice(&record->descriptions);
    if (record->descriptions.failed)
        return false;
    memcpy(out_type, type, sizeof *out_type);
    record->next_index++;
    return type_is_known(*out_type);
}

kd_status kd_record_next(kd_ctx *ctx, kd_record *record, kd_slice *out_name, kd_value *out_value,
                         bool *out_found)
{
    kd_slice name;
    kd_type type;
    *out_value = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    *out_found = record->next_index < record->field_count;
    if (!*out_found)
        return KD_OK;
    if (!field_next(record, &name, &type))
        return fail_damaged(ctx);
    if (out_name != NULL)
        *out_name = name;
    return kd_value_read(ctx, type, &record->values, out_value);
}

static kd_status unexpected_type(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "42804", "a row is not of the expected type");
}

kd_status kd_record_field_as(kd_ctx *ctx, kd_type type, kd_value *io_field)
{
    kd_type from = io_field->type;
    bool is_fixed = kd_type_physical(type) != KD_PHYS_STR && type.id == KD_TYPE_NUMERIC;
    if (from.id != type.id || from.is_array != type.is_array ||
        kd_type_physical(from) != kd_type_physical(type) ||
        (is_fixed && from.modifier != type.modifier))
        return unexpected_type(ctx);
    io_field->type = type;
    return KD_OK;
}

kd_status kd_record_get(kd_ctx *ctx, kd_slice stored, uint32_t index, kd_type type,
                        kd_value *out_value)
{
    kd_record record;
    bool found = true;
    *out_value = kd_value_null(type);
    KD_TRY(kd_record_open(ctx, stored, &record));
    kd_value value = kd_value_null(type);
    for (uint32_t i = 0; i <= index && found; i++)
        KD_TRY(kd_record_next(ctx, &record, NULL, &value, &found));
    if (!found)
        return unexpected_type(ctx);
    KD_TRY(kd_record_field_as(ctx, type, &value));
    *out_value = value;
    return KD_OK;
}

/* ---- Changed types ---- */

typedef struct conformer {
    kd_arena *arena;
    const kd_text_settings *settings;
} conformer;

static kd_status conform(kd_ctx *ctx, const conformer *self, kd_value *io_value);

static kd_status conform_array(kd_ctx *ctx, const conformer *self, kd_value *io_value)
{
    kd_array array;
    kd_type type = io_value->type;
    KD_TRY(kd_array_open(ctx, type, kd_str_slice(&io_value->as.str), &array));
    kd_value *elements = KD_NEW_ARRAY(ctx, self->arena, kd_value, array.count);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < array.count; i++) {
        elements[i] = kd_array_get(&array, i);
        KD_TRY(conform(ctx, self, &elements[i]));
    }
    return kd_array_make_shaped(ctx, self->arena, kd_type_element(type), &array.shape, elements,
                                &io_value->as.str);
}

static int position_of(const kd_record_shape *shape, kd_slice name)
{
    for (uint32_t i = 0; i < shape->field_count; i++)
        if (kd_slice_equal(shape->names[i], name))
            return (int)i;
    return -1;
}

static kd_status conform_row(kd_ctx *ctx, const conformer *self, kd_value *io_value)
{
    kd_record row;
    kd_record_shape shape;
    KD_TRY(self->settings->row_shape(ctx, self->settings->enum_object, self->arena, io_value->type,
                                     &shape));
    KD_TRY(kd_record_open(ctx, kd_str_slice(&io_value->as.str), &row));
    kd_value *values = KD_NEW_ARRAY(ctx, self->arena, kd_value, shape.field_count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < shape.field_count; i++)
        values[i] = kd_value_null(shape.types[i]);
    bool by_position = row.field_count == shape.field_count;
    for (uint32_t i = 0;; i++) {
        kd_slice name;
        kd_value field;
        bool found;
        KD_TRY(kd_record_next(ctx, &row, &name, &field, &found));
        if (!found)
            break;
        int at = by_position ? (int)i : position_of(&shape, name);
        if (at < 0)
            continue;
        KD_TRY(kd_record_field_as(ctx, shape.types[at], &field));
        KD_TRY(conform(ctx, self, &field));
        values[at] = field;
    }
    return kd_record_make(ctx, self->arena, &shape, values, &io_value->as.str);
}

static kd_status conform(kd_ctx *ctx, const conformer *self, kd_value *io_value)
{
    kd_type type = io_value->type;
    if (io_value->is_null || type.id != KD_TYPE_RECORD || type.object == 0 ||
        (type.object & KD_ROW_IS_LOCAL) != 0)
        return KD_OK;
    return type.is_array ? conform_array(ctx, self, io_value) : conform_row(ctx, self, io_value);
}

kd_status kd_record_conform(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_value *io_value)
{
    const conformer self = {.arena = arena, .settings = settings};
    assert(settings->row_shape != NULL);
    return conform(ctx, &self, io_value);
}

/* ---- Order and hash: what breaks the format reads as the end of the row ---- */

/* Reads on without a context: the flag, then payload bytes into `scratch` or a string. */
static bool payload_next(kd_record *record, kd_type type, bool *out_is_null, void *scratch)
{
    uint8_t flag = kd_read_u8(&record->values);
    *out_is_null = flag == 0;
    if (record->values.failed || flag > 1)
        return false;
    if (flag == 0)
        return true;
    kd_physical physical = kd_type_physical(type);
    if (physical == KD_PHYS_STR) {
        kd_slice bytes = kd_read_slice(&record->values);
        kd_str str = kd_str_from(bytes.data, record->values.failed ? 0 : bytes.size_bytes);
        memcpy(scratch, &str, sizeof str);
        return !record->values.failed;
    }
    const char *bytes = kd_read_bytes(&record->values, kd_physical_bytes(physical));
    if (bytes == NULL)
        return false;
    memcpy(scratch, bytes, kd_physical_bytes(physical));
    return true;
}

typedef struct field {
    kd_type type;
    bool is_null;
    _Alignas(16) char payload[16];
} field;

static bool read_field(kd_record *record, field *out)
{
    kd_slice name;
    return field_next(record, &name, &out->type) &&
           payload_next(record, out->type, &out->is_null, out->payload);
}

static int compare_types(kd_type a, kd_type b)
{
    int left[3] = {a.id, a.is_array, a.id == KD_TYPE_NUMERIC ? a.modifier : -1};
    int right[3] = {b.id, b.is_array, b.id == KD_TYPE_NUMERIC ? b.modifier : -1};
    for (int i = 0; i < 3; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

int kd_record_compare(kd_slice a, kd_slice b)
{
    kd_record left, right;
    if (!record_open(a, &left) || !record_open(b, &right))
        return 0;
    for (;;) {
        field x, y;
        bool has_left = read_field(&left, &x), has_right = read_field(&right, &y);
        if (!has_left || !has_right)
            return (int)has_left - (int)has_right;
        int order = compare_types(x.type, y.type);
        if (order == 0 && (x.is_null || y.is_null))
            order = (int)x.is_null - (int)y.is_null;
        else if (order == 0)
            order = kd_payload_compare(x.type, x.payload, y.payload);
        if (order != 0)
            return order;
    }
}

uint64_t kd_record_hash(kd_slice stored)
{
    kd_record record;
    field it;
    uint64_t hash = kd_hash_u64(0x524f57u);
    if (!record_open(stored, &record))
        return hash;
    while (read_field(&record, &it))
        hash = kd_hash_combine(hash, it.is_null ? 0 : kd_payload_hash(it.type, it.payload));
    return hash;
}

/* ---- Text ---- */

static bool needs_quotes(kd_slice text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (strchr("\"\\(),", text.data[i]) != NULL || strchr(" \t\n\r\v\f", text.data[i]) != NULL)
            return true;
    return text.size_bytes == 0;
}

static kd_status append_quoted(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
    }
    return kd_buffer_append_byte(ctx, out, '"');
}

kd_status kd_record_format(kd_ctx *ctx, const kd_text_settings *settings, kd_slice stored,
                           kd_buffer *out)
{
    kd_record record;
    KD_TRY(kd_record_open(ctx, stored, &record));
    kd_buffer scratch = kd_buffer_in(out->arena);
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    for (uint32_t i = 0;; i++) {
        kd_value value;
        bool found;
        KD_TRY(kd_record_next(ctx, &record, NULL, &value, &found));
        if (!found)
            break;
        if (i > 0)
            KD_TRY(kd_buffer_append_byte(ctx, out, ','));
        if (value.is_null)
            continue;
        scratch.size_bytes = 0;
        KD_TRY(kd_value_format(ctx, settings, &value, &scratch));
        kd_slice text = kd_buffer_slice(&scratch);
        KD_TRY(needs_quotes(text) ? append_quoted(ctx, text, out)
                                  : kd_buffer_append_slice(ctx, out, text));
    }
    return kd_buffer_append_byte(ctx, out, ')');
}

typedef struct parser {
    kd_ctx *ctx;
    kd_slice text;
    const char *at;
    const char *end;
} parser;

static kd_status fail_literal(const parser *self, const char *detail)
{
    kd_status status = KD_FAIL(self->ctx, KD_INVALID, "22P02", "malformed record literal: \"%.*s\"",
                               (int)self->text.size_bytes, self->text.data);
    kd_error_set_detail(self->ctx, "%s", detail);
    return status;
}

static void blanks_skip(parser *self)
{
    while (self->at < self->end && memchr(" \t\n\r\v\f", *self->at, 6) != NULL)
        self->at++;
}

/* A field's text up to the comma or parenthesis that ends it; nothing at all is NULL. */
static kd_status field_take(parser *self, kd_buffer *out, bool *out_is_null)
{
    bool quoted = false;
    *out_is_null = self->at < self->end && (*self->at == ',' || *self->at == ')');
    out->size_bytes = 0;
    KD_TRY(kd_buffer_append_text(self->ctx, out, ""));
    while (quoted || (self->at < self->end && *self->at != ',' && *self->at != ')')) {
        if (self->at >= self->end)
            return fail_literal(self, "Unexpected end of input.");
        char c = *self->at++;
        if (c == '\\') {
            if (self->at >= self->end)
                return fail_literal(self, "Unexpected end of input.");
            c = *self->at++;
        } else if (c == '"') {
            bool doubled = quoted && self->at < self->end && *self->at == '"';
            if (!doubled) {
                quoted = !quoted;
                continue;
            }
            self->at++;
        }
        KD_TRY(kd_buffer_append_byte(self->ctx, out, (uint8_t)c));
    }
    return self->at < self->end ? KD_OK : fail_literal(self, "Unexpected end of input.");
}

kd_status kd_record_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                          const kd_record_shape *shape, kd_slice text, kd_str *out)
{
    *out = (kd_str){0};
    parser self = {.ctx = ctx, .text = text, .at = text.data, .end = text.data + text.size_bytes};
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, shape->field_count);
    if (values == NULL)
        return KD_NOMEM;
    kd_buffer scratch = kd_buffer_in(arena);
    blanks_skip(&self);
    if (self.at == self.end || *self.at != '(')
        return fail_literal(&self, "Missing left parenthesis.");
    self.at++;
    for (uint32_t i = 0; i < shape->field_count; i++) {
        bool is_null;
        if (i > 0) {
            if (self.at == self.end || *self.at != ',')
                return fail_literal(&self, "Too few columns.");
            self.at++;
        }
        KD_TRY(field_take(&self, &scratch, &is_null));
        values[i] = kd_value_null(shape->types[i]);
        if (!is_null)
            KD_TRY(kd_value_parse(ctx, arena, settings, shape->types[i], kd_buffer_slice(&scratch),
                                  &values[i]));
    }
    if (self.at == self.end || *self.at != ')')
        return fail_literal(&self, self.at < self.end && *self.at == ','
                                       ? "Too many columns."
                                       : "Unexpected end of input.");
    self.at++;
    blanks_skip(&self);
    if (self.at != self.end)
        return fail_literal(&self, "Junk after right parenthesis.");
    return kd_record_make(ctx, arena, shape, values, out);
}
