/*
 * Putting text together: ||, concat, format, quoting; text from arrays and back.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/utf8.h"

/* --- || and concat ---------------------------------------------------------------------------- */

KDI_ROW(text_concat)
{
    kd_slice a = kdi_arg_text(args, 0), b = kdi_arg_text(args, 1);
    size_t total = a.size_bytes + b.size_bytes;
    char small[KD_STR_INLINE_BYTES];
    char *at = small;
    if (total > sizeof small)
        at = kd_alloc_raw(ctx, env->arena, total);
    if (at == NULL)
        return KD_NOMEM;
    if (a.size_bytes > 0)
        memcpy(at, a.data, a.size_bytes);
    if (b.size_bytes > 0)
        memcpy(at + a.size_bytes, b.data, b.size_bytes);
    *(kd_str *)result = kd_str_from(at, total);
    return KD_OK;
}

/* As a cast to text gives it: booleans as words, char(n) without its padding. */
static kd_status append_cast(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                             uint32_t index, kd_buffer *out)
{
    kd_type type = env->argument_types[index];
    if (type.id == KD_TYPE_BOOL && !type.is_array)
        return kd_buffer_append_text(ctx, out, KDI_ARG(uint8_t, args, index) ? "true" : "false");
    if (kd_type_is_string(type))
        return kd_buffer_append_slice(ctx, out, kdi_arg_text(args, index));
    return kdi_append_argument(ctx, env, args, index, out);
}

KDI_ROW(any_concat)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(append_cast(ctx, env, args, 0, &buffer));
    KD_TRY(append_cast(ctx, env, args, 1, &buffer));
    return kdi_return_buffer(result, &buffer);
}

/* concat() writes booleans as "t" and "f", which is what their output function gives. */
KDI_ROW(concat)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    for (uint32_t i = 0; i < env->argument_count; i++)
        KD_TRY(kdi_append_argument(ctx, env, args, i, &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(concat_ws)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_buffer buffer = kd_buffer_in(env->arena);
    bool first = true;
    for (uint32_t i = 1; i < env->argument_count; i++) {
        if (args[i] == NULL)
            continue;
        if (!first)
            KD_TRY(kd_buffer_append_slice(ctx, &buffer, kdi_arg_text(args, 0)));
        first = false;
        KD_TRY(kdi_append_argument(ctx, env, args, i, &buffer));
    }
    return kdi_return_buffer(result, &buffer);
}

/* --- Quoting ---------------------------------------------------------------------------------- */

static kd_status append_quoted(kd_ctx *ctx, kd_slice text, char quote, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)quote));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == quote || (quote == '\'' && text.data[i] == '\\'))
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
    }
    return kd_buffer_append_byte(ctx, out, (uint8_t)quote);
}

static kd_status append_literal(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    if (memchr(text.data, '\\', text.size_bytes) != NULL)
        KD_TRY(kd_buffer_append_byte(ctx, out, 'E'));
    return append_quoted(ctx, text, '\'', out);
}

/* Words that cannot be a column's name without quotes: every keyword that is not unreserved. */
static const char keywords[] =
    " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit "
    "boolean both case cast char character check coalesce collate collation column concurrently "
    "constraint create cross current_catalog current_date current_role current_schema current_time "
    "current_timestamp current_user dec decimal default deferrable desc distinct do else end "
    "except exists extract false fetch float for foreign freeze from full grant greatest group "
    "grouping having ilike in initially inner inout int integer intersect interval into is isnull "
    "join lateral leading least left like limit localtime localtimestamp national natural nchar "
    "none normalize not notnull null nullif numeric offset on only or order out outer overlaps "
    "overlay placing position precision primary real references returning right row select "
    "session_user setof similar smallint some substring symmetric table tablesample then time "
    "timestamp to trailing treat trim true union unique user using values varchar variadic verbose "
    "when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces "
    "xmlparse xmlpi xmlroot xmlserialize xmltable ";

static bool is_plain_identifier(kd_slice text)
{
    char word[32] = " ";
    if (text.size_bytes == 0)
        return false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    if (text.size_bytes > sizeof word - 3)
        return true;
    memcpy(word + 1, text.data, text.size_bytes);
    word[text.size_bytes + 1] = ' ';
    return memmem(keywords, sizeof keywords - 1, word, text.size_bytes + 2) == NULL;
}

static kd_status append_identifier(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    return is_plain_identifier(text) ? kd_buffer_append_slice(ctx, out, text)
                                     : append_quoted(ctx, text, '"', out);
}

KDI_ROW(quote_ident)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(append_identifier(ctx, kdi_arg_text(args, 0), &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(quote_literal)
{
    kd_buffer text = kd_buffer_in(env->arena), buffer = kd_buffer_in(env->arena);
    KD_TRY(append_cast(ctx, env, args, 0, &text));
    KD_TRY(append_literal(ctx, kd_buffer_slice(&text), &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(quote_nullable)
{
    if (args[0] == NULL)
        return kdi_return_text(result, KD_SLICE("NULL"));
    return quote_literal(ctx, env, args, result, out_is_null);
}

/* --- format ----------------------------------------------------------------------------------- */

typedef struct format_spec {
    int64_t width;
    bool left;
    char what;
} format_spec;

static bool read_number(kd_slice text, size_t *io_at, int64_t *out)
{
    size_t start = *io_at;
    *out = 0;
    while (*io_at < text.size_bytes && text.data[*io_at] >= '0' && text.data[*io_at] <= '9') {
        if (*out < INT32_MAX)
            *out = *out * 10 + (text.data[*io_at] - '0');
        (*io_at)++;
    }
    return *io_at > start;
}

static kd_status unterminated(kd_ctx *ctx)
{
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "unterminated format() type specifier");
    kd_error_set_hint(ctx, "For a single \"%%\" use \"%%%%\".");
    return status;
}

static kd_status argument_missing(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "too few arguments for format()");
}

/* A width taken from an argument: negative means to the left. */
static kd_status width_argument(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                uint32_t index, format_spec *spec)
{
    if (index >= env->argument_count)
        return argument_missing(ctx);
    if (args[index] == NULL)
        return KD_OK;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kdi_append_argument(ctx, env, args, index, &text));
    size_t at = text.size_bytes > 0 && text.data[0] == '-';
    spec->left |= at == 1;
    if (!read_number(kd_buffer_slice(&text), &at, &spec->width) || at != text.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type integer: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    return KD_OK;
}

/* What follows a '%': [position$][-][width]type. `*io_next` is the next argument to use. */
static kd_status read_spec(kd_ctx *ctx, kd_call_env *env, const void *const *args, kd_slice format,
                           size_t *io_at, uint32_t *io_next, format_spec *out_spec,
                           uint32_t *out_index)
{
    *out_spec = (format_spec){0};
    size_t at = *io_at;
    int64_t number, position = 0;
    size_t start = at;
    if (read_number(format, &at, &number) && at < format.size_bytes && format.data[at] == '$') {
        if (number == 0)
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "format specifies argument 0, but arguments are numbered from 1");
        position = number;
        at++;
    } else {
        at = start;
    }
    while (at < format.size_bytes && format.data[at] == '-') {
        out_spec->left = true;
        at++;
    }
    if (at < format.size_bytes && format.data[at] == '*') {
        at++;
        start = at;
        uint32_t index = *io_next;
        if (read_number(format, &at, &number) && at < format.size_bytes && format.data[at] == '$') {
            at++;
            if (number == 0)
                return KD_FAIL(ctx, KD_INVALID, "22023",
                               "format specifies argument 0, but arguments are numbered from 1");
            index = (uint32_t)number;
        } else {
            at = start;
        }
        *io_next = index + 1;
        KD_TRY(width_argument(ctx, env, args, index, out_spec));
    } else {
        (void)read_number(format, &at, &out_spec->width);
    }
    if (at >= format.size_bytes)
        return unterminated(ctx);
    out_spec->what = format.data[at++];
    *io_at = at;
    if (out_spec->what == '%')
        return KD_OK;
    *out_index = position > 0 ? (uint32_t)position : *io_next;
    *io_next = *out_index + 1;
    if (out_spec->what != 's' && out_spec->what != 'I' && out_spec->what != 'L') {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22023",
                                   "unrecognized format() type specifier \"%c\"", out_spec->what);
        kd_error_set_hint(ctx, "For a single \"%%\" use \"%%%%\".");
        return status;
    }
    return *out_index >= env->argument_count ? argument_missing(ctx) : KD_OK;
}

static kd_status append_converted(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                  const format_spec *spec, uint32_t index, kd_buffer *out)
{
    kd_buffer text = kd_buffer_in(env->arena), quoted = kd_buffer_in(env->arena);
    KD_TRY(kdi_append_argument(ctx, env, args, index, &text));
    if (args[index] == NULL && spec->what == 'I')
        return KD_FAIL(ctx, KD_INVALID, "22004",
                       "null values cannot be formatted as an SQL identifier");
    if (args[index] == NULL && spec->what == 'L')
        KD_TRY(kd_buffer_append_text(ctx, &quoted, "NULL"));
    else if (spec->what == 'I')
        KD_TRY(append_identifier(ctx, kd_buffer_slice(&text), &quoted));
    else if (spec->what == 'L')
        KD_TRY(append_literal(ctx, kd_buffer_slice(&text), &quoted));
    else
        quoted = text;
    int64_t blanks = spec->width - (int64_t)kd_utf8_length(kd_buffer_slice(&quoted));
    for (int64_t i = 0; i < blanks && !spec->left; i++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    KD_TRY(kd_buffer_append_slice(ctx, out, kd_buffer_slice(&quoted)));
    for (int64_t i = 0; i < blanks && spec->left; i++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return KD_OK;
}

KDI_ROW(format)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_slice text = kdi_arg_text(args, 0);
    kd_buffer buffer = kd_buffer_in(env->arena);
    uint32_t next = 1;
    for (size_t at = 0; at < text.size_bytes;) {
        if (text.data[at] != '%') {
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, (uint8_t)text.data[at++]));
            continue;
        }
        at++;
        format_spec spec;
        uint32_t index = 0;
        if (at >= text.size_bytes)
            return unterminated(ctx);
        KD_TRY(read_spec(ctx, env, args, text, &at, &next, &spec, &index));
        if (spec.what == '%')
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, '%'));
        else
            KD_TRY(append_converted(ctx, env, args, &spec, index, &buffer));
    }
    return kdi_return_buffer(result, &buffer);
}

/* --- Arrays ----------------------------------------------------------------------------------- */

static kd_status array_to_text(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                               const kd_slice *null_text, void *result)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, env->argument_types[0], kdi_arg_text(args, 0), &array));
    kd_buffer buffer = kd_buffer_in(env->arena);
    bool first = true;
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value value = kd_array_get(&array, i);
        if (value.is_null && null_text == NULL)
            continue;
        if (!first)
            KD_TRY(kd_buffer_append_slice(ctx, &buffer, kdi_arg_text(args, 1)));
        first = false;
        if (value.is_null)
            KD_TRY(kd_buffer_append_slice(ctx, &buffer, *null_text));
        else
            KD_TRY(kd_value_format(ctx, kdi_settings(env), &value, &buffer));
    }
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(array_to_string)
{
    return array_to_text(ctx, env, args, NULL, result);
}

KDI_ROW(array_to_string_nulls)
{
    *out_is_null = args[0] == NULL || args[1] == NULL;
    if (*out_is_null)
        return KD_OK;
    kd_slice null_text = args[2] == NULL ? KD_SLICE("") : kdi_arg_text(args, 2);
    return array_to_text(ctx, env, args, args[2] == NULL ? NULL : &null_text, result);
}

typedef struct text_list {
    kd_arena *arena;
    const kd_slice *null_text; /* May be NULL. */
    kd_value *items;
    size_t count;
    size_t capacity;
} text_list;

static kd_status list_add(kd_ctx *ctx, text_list *list, kd_slice text)
{
    kd_value *item;
    KD_TRY(KD_PUSH(ctx, list->arena, list->items, list->count, list->capacity, &item));
    *item = list->null_text != NULL && kd_slice_equal(text, *list->null_text)
                ? kd_value_null(kd_type_of(KD_TYPE_TEXT))
                : kd_value_text(text);
    return KD_OK;
}

/* The separator NULL gives single characters, an empty one the whole text. */
static kd_status split_text(kd_ctx *ctx, kd_slice text, const kd_slice *separator, text_list *list)
{
    size_t start = 0;
    uint32_t width;
    if (text.size_bytes == 0)
        return KD_OK;
    if (separator == NULL) {
        for (; start < text.size_bytes; start += width) {
            (void)kd_utf8_decode(text.data + start, text.size_bytes - start, &width);
            KD_TRY(list_add(ctx, list, (kd_slice){text.data + start, width}));
        }
        return KD_OK;
    }
    while (separator->size_bytes > 0) {
        const char *at = memmem(text.data + start, text.size_bytes - start, separator->data,
                                separator->size_bytes);
        if (at == NULL)
            break;
        kd_slice part = {text.data + start, (size_t)(at - text.data) - start};
        KD_TRY(list_add(ctx, list, part));
        start += part.size_bytes + separator->size_bytes;
    }
    return list_add(ctx, list, (kd_slice){text.data + start, text.size_bytes - start});
}

KDI_ROW(string_to_array)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_slice separator, null_text;
    text_list list = {.arena = env->arena};
    if (args[1] != NULL)
        separator = kdi_arg_text(args, 1);
    if (env->argument_count > 2 && args[2] != NULL) {
        null_text = kdi_arg_text(args, 2);
        list.null_text = &null_text;
    }
    KD_TRY(split_text(ctx, kdi_arg_text(args, 0), args[1] == NULL ? NULL : &separator, &list));
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_TEXT), list.items,
                         (uint32_t)list.count, result);
}

KDI_DESCRIBE(describe_string_to_table)
{
    static const char *const names[1] = {"string_to_table"};
    static const kd_type types[1] = {TEXT};
    return kdi_describe(ctx, arena, 1, names, types, out_column_count, out_names, out_types);
}

KDI_OPEN(string_to_table_open)
{
    static const kd_type types[1] = {TEXT};
    kdi_row_list *rows;
    KD_TRY(kdi_row_list_create(ctx, arena, types, 1, &rows));
    *out_cursor = rows;
    if (args[0].is_null)
        return KD_OK;
    kd_slice separator = kdi_value_text(&args[1]), null_text;
    text_list list = {.arena = arena};
    if (arg_count > 2 && !args[2].is_null) {
        null_text = kdi_value_text(&args[2]);
        list.null_text = &null_text;
    }
    KD_TRY(split_text(ctx, kdi_value_text(&args[0]), args[1].is_null ? NULL : &separator, &list));
    for (size_t i = 0; i < list.count; i++)
        KD_TRY(kdi_row_list_add(ctx, rows, &list.items[i]));
    return KD_OK;
}

#define STRING_TO_TABLE(...)                                                                \
    {                                                                                       \
        KDI_SIGNATURE(__VA_ARGS__), .name = "string_to_table",                              \
                                    .describe = describe_string_to_table,                   \
                                    .open = string_to_table_open, .next = kdi_row_list_next \
    }

static const kd_table_function table_functions[] = {STRING_TO_TABLE(TEXT, TEXT),
                                                    STRING_TO_TABLE(TEXT, TEXT, TEXT)};

/* As casts to text: what depends on the zone and the styles. */
#define TEXT_VOLATILITY(TYPE_ID)                                                  \
    ((TYPE_ID) == KD_TYPE_DATE || (TYPE_ID) == KD_TYPE_TIMESTAMP ||               \
             (TYPE_ID) == KD_TYPE_TIMESTAMPTZ || (TYPE_ID) == KD_TYPE_INTERVAL || \
             (TYPE_ID) == KD_TYPE_ENUM || (TYPE_ID) == KD_TYPE_RECORD             \
         ? KD_STABLE                                                              \
         : KD_IMMUTABLE)
/* Types spelled out, so that an untyped literal beside them is text and not an array. */
#define WITH_TEXT(TYPE_ID)                                                                    \
    {.name = "||",                                                                            \
     .argument_count = 2,                                                                     \
     .arguments = {{.id = KD_TYPE_TEXT, .modifier = -1}, {.id = TYPE_ID, .modifier = -1}},    \
     .result = {.id = KD_TYPE_TEXT, .modifier = -1},                                          \
     .row = any_concat,                                                                       \
     .strict = true,                                                                          \
     .volatility = TEXT_VOLATILITY(TYPE_ID)},                                                 \
    {                                                                                         \
        .name = "||", .argument_count = 2,                                                    \
        .arguments = {{.id = TYPE_ID, .modifier = -1}, {.id = KD_TYPE_TEXT, .modifier = -1}}, \
        .result = {.id = KD_TYPE_TEXT, .modifier = -1}, .row = any_concat, .strict = true,    \
        .volatility = TEXT_VOLATILITY(TYPE_ID)                                                \
    }

static const kd_function functions[] = {
    WITH_TEXT(KD_TYPE_BOOL),
    WITH_TEXT(KD_TYPE_INT2),
    WITH_TEXT(KD_TYPE_INT4),
    WITH_TEXT(KD_TYPE_INT8),
    WITH_TEXT(KD_TYPE_FLOAT4),
    WITH_TEXT(KD_TYPE_FLOAT8),
    WITH_TEXT(KD_TYPE_NUMERIC),
    WITH_TEXT(KD_TYPE_DATE),
    WITH_TEXT(KD_TYPE_TIME),
    WITH_TEXT(KD_TYPE_TIMETZ),
    WITH_TEXT(KD_TYPE_TIMESTAMP),
    WITH_TEXT(KD_TYPE_TIMESTAMPTZ),
    WITH_TEXT(KD_TYPE_INTERVAL),
    WITH_TEXT(KD_TYPE_UUID),
    IMMUTABLE("||", text_concat, TEXT, TEXT, TEXT),
    IMMUTABLE("||", text_concat, BYTEA, BYTEA, BYTEA),
    STABLE("||", any_concat, TEXT, TEXT, NONARRAY),
    STABLE("||", any_concat, TEXT, NONARRAY, TEXT),
    VARIADIC("concat", concat, TEXT, ANY),
    VARIADIC("concat_ws", concat_ws, TEXT, TEXT, ANY),
    STABLE_LENIENT("format", format, TEXT, TEXT),
    VARIADIC("format", format, TEXT, TEXT, ANY),
    IMMUTABLE("quote_ident", quote_ident, TEXT, TEXT),
    IMMUTABLE("quote_literal", quote_literal, TEXT, TEXT),
    STABLE("quote_literal", quote_literal, TEXT, ANY),
    LENIENT("quote_nullable", quote_nullable, TEXT, TEXT),
    STABLE_LENIENT("quote_nullable", quote_nullable, TEXT, ANY),
    STABLE("array_to_string", array_to_string, TEXT, ELEMENTS, TEXT),
    STABLE_LENIENT("array_to_string", array_to_string_nulls, TEXT, ELEMENTS, TEXT, TEXT),
    LENIENT("string_to_array", string_to_array, TEXTS, TEXT, TEXT),
    LENIENT("string_to_array", string_to_array, TEXTS, TEXT, TEXT, TEXT),
};

kd_status kdi_register_concat(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions)));
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
