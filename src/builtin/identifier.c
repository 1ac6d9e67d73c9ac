/*
 * parse_ident: a qualified name cut into its parts, folded where they are not quoted.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"

typedef struct reader {
    kd_slice text;
    size_t at;
    kd_value *parts;
    size_t count;
    size_t capacity;
} reader;

static bool at_end(const reader *it)
{
    return it->at >= it->text.size_bytes;
}

static void skip_blanks(reader *it)
{
    while (!at_end(it) && strchr(" \t\n\r\f\v", it->text.data[it->at]) != NULL)
        it->at++;
}

static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static kd_status fail(kd_ctx *ctx, const reader *it, const char *detail)
{
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "22023", "string is not a valid identifier: \"%.*s\"",
                (int)it->text.size_bytes, it->text.data);
    if (detail != NULL)
        kd_error_set_detail(ctx, "%s", detail);
    return status;
}

static kd_status read_quoted(kd_ctx *ctx, reader *it, kd_buffer *out)
{
    for (it->at++; !at_end(it); it->at++) {
        char c = it->text.data[it->at];
        if (c == '"') {
            it->at++;
            if (at_end(it) || it->text.data[it->at] != '"')
                return out->size_bytes == 0 ? fail(ctx, it, "Quoted identifier must not be empty.")
                                            : KD_OK;
        }
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    return fail(ctx, it, "String has unclosed double quotes.");
}

static kd_status read_plain(kd_ctx *ctx, reader *it, kd_buffer *out)
{
    for (; !at_end(it); it->at++) {
        char c = it->text.data[it->at];
        if (!starts_name(c) && c != '$' && !(c >= '0' && c <= '9'))
            break;
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    return KD_OK;
}

static kd_status read_part(kd_ctx *ctx, kd_arena *arena, reader *it)
{
    kd_buffer name = kd_buffer_in(arena);
    skip_blanks(it);
    char first = at_end(it) ? '\0' : it->text.data[it->at];
    if (first == '"')
        KD_TRY(read_quoted(ctx, it, &name));
    else if (starts_name(first))
        KD_TRY(read_plain(ctx, it, &name));
    else
        return fail(ctx, it,
                    it->count > 0  ? "No valid identifier after \".\"."
                    : first == '.' ? "No valid identifier before \".\"."
                                   : NULL);
    kd_value *part;
    KD_TRY(KD_PUSH(ctx, arena, it->parts, it->count, it->capacity, &part));
    *part = kd_value_text(kd_buffer_slice(&name));
    skip_blanks(it);
    return KD_OK;
}

KDI_ROW(parse_ident)
{
    reader it = {.text = kdi_arg_text(args, 0)};
    bool strict = env->argument_count < 2 || KDI_ARG(uint8_t, args, 1);
    while (true) {
        KD_TRY(read_part(ctx, env->arena, &it));
        if (at_end(&it))
            break;
        if (it.text.data[it.at] != '.') {
            if (strict)
                return fail(ctx, &it, NULL);
            break;
        }
        it.at++;
    }
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_TEXT), it.parts, (uint32_t)it.count,
                         result);
}

static const kd_function functions[] = {
    IMMUTABLE("parse_ident", parse_ident, TEXTS, TEXT),
    IMMUTABLE("parse_ident", parse_ident, TEXTS, TEXT, BOOL),
};

kd_status kdi_register_identifier(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
