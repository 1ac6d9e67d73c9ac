/*
 * Text to arrays and back: '{1,2,NULL,"a b"}', '{{1,2},{3,4}}', '[0:1]={5,6}'.
 *
 * The parser walks the braces with a counter per level instead of recursion; all sub-arrays of one
 * level must have the same length.
 */
#include "types/array.h"

#include "types/number_text.h"

typedef struct parser {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_text_settings *settings;
    kd_type element_type;
    kd_slice text;
    const char *at;
    const char *end;
    kd_value *elements;
    size_t count;
    size_t capacity;
    uint32_t dimensions; /* Known once the first element was reached; 0 before. */
    uint32_t lengths[KD_ARRAY_DIMENSIONS_MAX];  /* Of closed levels; 0 while unknown. */
    uint32_t counters[KD_ARRAY_DIMENSIONS_MAX]; /* Items so far in the open brace of a level. */
} parser;

static kd_status fail_literal(parser *self, const char *detail)
{
    kd_status status = KD_FAIL(self->ctx, KD_INVALID, "22P02", "malformed array literal: \"%.*s\"",
                               (int)self->text.size_bytes, self->text.data);
    kd_error_set_detail(self->ctx, "%s", detail);
    return status;
}

static void blanks_skip(parser *self)
{
    while (self->at < self->end && kd_is_blank(*self->at))
        self->at++;
}

static bool bound_take(parser *self, int32_t *out)
{
    const char *start = self->at;
    if (self->at < self->end && (*self->at == '-' || *self->at == '+'))
        self->at++;
    while (self->at < self->end && *self->at >= '0' && *self->at <= '9')
        self->at++;
    if (start < self->at && *start == '+')
        start++;
    int64_t value;
    if (!kd_parse_int64((kd_slice){start, (size_t)(self->at - start)}, &value) ||
        value > INT32_MAX || value < INT32_MIN)
        return false;
    *out = (int32_t)value;
    return true;
}

/* '[1:2][0:1]=': the shape announced before the braces. */
static kd_status bounds_parse(parser *self, kd_array_shape *out)
{
    *out = (kd_array_shape){0};
    for (blanks_skip(self); self->at < self->end && *self->at == '['; blanks_skip(self)) {
        self->at++;
        if (out->dimensions == KD_ARRAY_DIMENSIONS_MAX)
            return KD_FAIL(self->ctx, KD_INVALID, "54000",
                           "number of array dimensions exceeds the maximum allowed (%d)",
                           KD_ARRAY_DIMENSIONS_MAX);
        int32_t lower = 1;
        int32_t upper;
        if (!bound_take(self, &upper))
            return fail_literal(self,
                                "\"[\" must introduce explicitly-specified array dimensions.");
        if (self->at < self->end && *self->at == ':') {
            self->at++;
            lower = upper;
            if (!bound_take(self, &upper))
                return fail_literal(self, "Missing array dimension value.");
        }
        if (self->at == self->end || *self->at++ != ']')
            return fail_literal(self, "Missing \"]\" after array dimensions.");
        if (upper < lower)
            return KD_FAIL(self->ctx, KD_INVALID, "2202E",
                           "upper bound cannot be less than lower bound");
        out->lengths[out->dimensions] = (uint32_t)((int64_t)upper - lower + 1);
        out->lower_bounds[out->dimensions++] = lower;
    }
    if (out->dimensions > 0) {
        if (self->at == self->end || *self->at != '=')
            return fail_literal(self, "Missing \"=\" after array dimensions.");
        self->at++;
        blanks_skip(self);
    }
    return KD_OK;
}

/* An element's text: quoted with backslash escapes, or bare up to a delimiter. */
static kd_status element_take(parser *self, kd_slice *out, bool *out_is_null)
{
    *out_is_null = false;
    kd_buffer text = kd_buffer_in(self->arena);
    KD_TRY(kd_buffer_reserve(self->ctx, &text, 16, NULL));
    if (*self->at == '"') {
        for (self->at++; self->at < self->end && *self->at != '"'; self->at++) {
            if (*self->at == '\\' && ++self->at == self->end)
                break;
            KD_TRY(kd_buffer_append_byte(self->ctx, &text, (uint8_t)*self->at));
        }
        if (self->at >= self->end)
            return fail_literal(self, "Unexpected end of input.");
        self->at++;
        *out = kd_buffer_slice(&text);
        return KD_OK;
    }
    size_t kept = 0; /* Up to the last character that is no blank, or was escaped. */
    bool has_escape = false;
    while (self->at < self->end && memchr(",{}\"", *self->at, 4) == NULL) {
        bool is_escaped = *self->at == '\\';
        if (is_escaped && ++self->at == self->end)
            return fail_literal(self, "Unexpected end of input.");
        has_escape = has_escape || is_escaped;
        KD_TRY(kd_buffer_append_byte(self->ctx, &text, (uint8_t)*self->at));
        if (is_escaped || !kd_is_blank(*self->at))
            kept = text.size_bytes;
        self->at++;
    }
    if (self->at < self->end && *self->at == '"')
        return fail_literal(self, "Unexpected array element.");
    if (self->at < self->end && *self->at == '{')
        return fail_literal(self, "Unexpected \"{\" character.");
    *out = (kd_slice){text.data, kept};
    if (kept == 0)
        return fail_literal(self, self->at < self->end && *self->at == ','
                                      ? "Unexpected \",\" character."
                                      : "Unexpected \"}\" character.");
    *out_is_null = !has_escape && kd_slice_equal_ignoring_case(*out, KD_SLICE("null"));
    return KD_OK;
}

static kd_status element_parse(parser *self, uint32_t depth)
{
    if (self->dimensions == 0)
        self->dimensions = depth;
    if (depth != self->dimensions)
        return fail_literal(
            self, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    kd_slice text;
    bool is_null;
    KD_TRY(element_take(self, &text, &is_null));
    if (self->count >= KD_ARRAY_ELEMENTS_MAX)
        return KD_FAIL(self->ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                       KD_ARRAY_ELEMENTS_MAX);
    kd_value *element;
    KD_TRY(KD_PUSH(self->ctx, self->arena, self->elements, self->count, self->capacity, &element));
    *element = kd_value_null(self->element_type);
    if (!is_null)
        KD_TRY(kd_value_parse(self->ctx, self->arena, self->settings, self->element_type, text,
                              element));
    self->counters[depth - 1]++;
    return KD_OK;
}

static kd_status brace_close(parser *self, uint32_t depth)
{
    uint32_t level = depth - 1;
    uint32_t length = self->counters[level];
    bool is_first = self->lengths[level] == 0;
    if (length == 0 && depth > 1)
        return fail_literal(self, "Unexpected \"}\" character.");
    if (!is_first && self->lengths[level] != length)
        return fail_literal(
            self, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    self->lengths[level] = length;
    if (level > 0)
        self->counters[level - 1]++;
    return KD_OK;
}

static kd_status braces_parse(parser *self)
{
    uint32_t depth = 0;
    bool expects_item = true; /* Else a comma or a closing brace. */
    do {
        blanks_skip(self);
        if (self->at == self->end)
            return fail_literal(self, "Unexpected end of input.");
        char c = *self->at;
        if (c == '}' && depth > 0 && (!expects_item || self->counters[depth - 1] == 0)) {
            self->at++;
            KD_TRY(brace_close(self, depth--));
            expects_item = false;
        } else if (c == ',' && !expects_item) {
            self->at++;
            expects_item = true;
        } else if (!expects_item) {
            return fail_literal(self, "Unexpected array element.");
        } else if (c == '{') {
            if (depth == KD_ARRAY_DIMENSIONS_MAX)
                return KD_FAIL(self->ctx, KD_INVALID, "54000",
                               "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                               depth + 1, KD_ARRAY_DIMENSIONS_MAX);
            if (self->dimensions != 0 && depth >= self->dimensions)
                return fail_literal(
                    self, "Multidimensional arrays must have sub-arrays with matching dimensions.");
            self->counters[depth++] = 0;
            self->at++;
        } else if (depth == 0) {
            return fail_literal(self,
                                "Array value must start with \"{\" or dimension information.");
        } else {
            KD_TRY(element_parse(self, depth));
            expects_item = false;
        }
    } while (depth > 0);
    blanks_skip(self);
    if (self->at != self->end)
        return fail_literal(self, "Junk after closing right brace.");
    return KD_OK;
}

kd_status kd_array_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type array_type, kd_slice text, kd_str *out)
{
    memset(out, 0, sizeof *out);
    parser self = {.ctx = ctx,
                   .arena = arena,
                   .settings = settings,
                   .element_type = kd_type_element(array_type),
                   .text = text,
                   .at = text.data,
                   .end = text.data + text.size_bytes};
    kd_array_shape announced;
    KD_TRY(bounds_parse(&self, &announced));
    KD_TRY(braces_parse(&self));
    kd_array_shape shape = {.dimensions = self.dimensions};
    for (uint32_t i = 0; i < self.dimensions; i++) {
        shape.lengths[i] = self.lengths[i];
        shape.lower_bounds[i] = 1;
    }
    if (announced.dimensions > 0) {
        bool matches = announced.dimensions == shape.dimensions;
        for (uint32_t i = 0; i < shape.dimensions && matches; i++)
            matches = announced.lengths[i] == shape.lengths[i];
        if (!matches)
            return fail_literal(&self, "Specified array dimensions do not match array contents.");
        shape = announced;
    }
    return kd_array_make_shaped(ctx, arena, self.element_type, &shape, self.elements, out);
}

/* ---- Output ---- */

static bool needs_quotes(kd_slice text)
{
    if (text.size_bytes == 0 || kd_slice_equal_ignoring_case(text, KD_SLICE("null")))
        return true;
    for (size_t i = 0; i < text.size_bytes; i++)
        if (kd_is_blank(text.data[i]) || memchr("{}\",\\", text.data[i], 5) != NULL)
            return true;
    return false;
}

static kd_status element_append(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_value *element, kd_buffer *scratch, kd_buffer *out)
{
    if (element->is_null)
        return kd_buffer_append_text(ctx, out, "NULL");
    scratch->size_bytes = 0;
    KD_TRY(kd_value_format(ctx, settings, element, scratch));
    kd_slice text = kd_buffer_slice(scratch);
    if (!needs_quotes(text))
        return kd_buffer_append_slice(ctx, out, text);
    KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
    }
    return kd_buffer_append_byte(ctx, out, '"');
}

static kd_status bounds_append(kd_ctx *ctx, const kd_array_shape *shape, kd_buffer *out)
{
    bool is_plain = true;
    for (uint32_t i = 0; i < shape->dimensions; i++)
        is_plain = is_plain && shape->lower_bounds[i] == 1;
    if (is_plain)
        return KD_OK;
    for (uint32_t i = 0; i < shape->dimensions; i++)
        KD_TRY(kd_buffer_append_format(ctx, out, "[%d:%lld]", shape->lower_bounds[i],
                                       (long long)shape->lower_bounds[i] + shape->lengths[i] - 1));
    return kd_buffer_append_byte(ctx, out, '=');
}

/* How many innermost-first levels begin or end at element `index`. */
static uint32_t levels_at(const kd_array_shape *shape, uint32_t index)
{
    uint32_t levels = 0;
    for (uint32_t i = shape->dimensions; i-- > 0; levels++) {
        if (index % shape->lengths[i] != 0)
            break;
        index /= shape->lengths[i];
    }
    return levels;
}

kd_status kd_array_format(kd_ctx *ctx, const kd_text_settings *settings, kd_type array_type,
                          kd_slice stored, kd_buffer *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, array_type, stored, &array));
    if (array.count == 0)
        return kd_buffer_append_text(ctx, out, "{}");
    KD_TRY(bounds_append(ctx, &array.shape, out));
    kd_buffer scratch = kd_buffer_in(out->arena);
    KD_TRY(kd_buffer_reserve(ctx, &scratch, 64, NULL));
    for (uint32_t i = 0; i < array.count; i++) {
        uint32_t opened = levels_at(&array.shape, i);
        if (i > 0)
            KD_TRY(kd_buffer_append_byte(ctx, out, ','));
        for (uint32_t level = 0; level < opened; level++)
            KD_TRY(kd_buffer_append_byte(ctx, out, '{'));
        kd_value element = kd_array_get(&array, i);
        KD_TRY(element_append(ctx, settings, &element, &scratch, out));
        uint32_t closed = levels_at(&array.shape, i + 1);
        for (uint32_t level = 0; level < closed; level++)
            KD_TRY(kd_buffer_append_byte(ctx, out, '}'));
    }
    return KD_OK;
}
