/*
 * The canonical text of paths: names quoted, parentheses where precedence asks for them.
 *
 * Recursion is bounded by the number of items that the parser allows.
 */
#include "types/jsonb.h"
#include "types/jsonpath.h"

static int priority_of(const kd_jsonpath_item *it)
{
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_OR:
        return 0;
    case KD_JSONPATH_AND:
        return 1;
    case KD_JSONPATH_EQUAL:
    case KD_JSONPATH_NOT_EQUAL:
    case KD_JSONPATH_LESS:
    case KD_JSONPATH_GREATER:
    case KD_JSONPATH_LESS_EQUAL:
    case KD_JSONPATH_GREATER_EQUAL:
    case KD_JSONPATH_STARTS_WITH:
        return 2;
    case KD_JSONPATH_ADD:
    case KD_JSONPATH_SUBTRACT:
        return 3;
    case KD_JSONPATH_MULTIPLY:
    case KD_JSONPATH_DIVIDE:
    case KD_JSONPATH_MODULO:
        return 4;
    case KD_JSONPATH_PLUS:
    case KD_JSONPATH_MINUS:
        return 5;
    default:
        return 6;
    }
}

static const char *const signs[] = {
    [KD_JSONPATH_OR] = " || ",
    [KD_JSONPATH_AND] = " && ",
    [KD_JSONPATH_EQUAL] = " == ",
    [KD_JSONPATH_NOT_EQUAL] = " != ",
    [KD_JSONPATH_LESS] = " < ",
    [KD_JSONPATH_GREATER] = " > ",
    [KD_JSONPATH_LESS_EQUAL] = " <= ",
    [KD_JSONPATH_GREATER_EQUAL] = " >= ",
    [KD_JSONPATH_STARTS_WITH] = " starts with ",
    [KD_JSONPATH_ADD] = " + ",
    [KD_JSONPATH_SUBTRACT] = " - ",
    [KD_JSONPATH_MULTIPLY] = " * ",
    [KD_JSONPATH_DIVIDE] = " / ",
    [KD_JSONPATH_MODULO] = " % ",
};

static const char *const methods[] = {
    [KD_JSONPATH_ABS] = ".abs()",           [KD_JSONPATH_SIZE] = ".size()",
    [KD_JSONPATH_TYPE] = ".type()",         [KD_JSONPATH_FLOOR] = ".floor()",
    [KD_JSONPATH_DOUBLE] = ".double()",     [KD_JSONPATH_CEILING] = ".ceiling()",
    [KD_JSONPATH_KEYVALUE] = ".keyvalue()",
};

static kd_status format_item(kd_ctx *ctx, const kd_jsonpath_item *it, bool brackets,
                             kd_buffer *out);

static kd_status format_operand(kd_ctx *ctx, const kd_jsonpath_item *of,
                                const kd_jsonpath_item *operand, kd_buffer *out)
{
    return format_item(ctx, operand, priority_of(operand) <= priority_of(of), out);
}

static kd_status format_level(kd_ctx *ctx, uint32_t level, kd_buffer *out)
{
    return level == KD_JSONPATH_LAST ? kd_buffer_append_text(ctx, out, "last")
                                     : kd_buffer_append_format(ctx, out, "%u", level);
}

static kd_status format_any(kd_ctx *ctx, const kd_jsonpath_item *it, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, ".**"));
    if (it->first == 0 && it->last == KD_JSONPATH_LAST)
        return KD_OK;
    KD_TRY(kd_buffer_append_byte(ctx, out, '{'));
    KD_TRY(format_level(ctx, it->first, out));
    if (it->first != it->last) {
        KD_TRY(kd_buffer_append_text(ctx, out, " to "));
        KD_TRY(format_level(ctx, it->last, out));
    }
    return kd_buffer_append_byte(ctx, out, '}');
}

static kd_status format_ranges(kd_ctx *ctx, const kd_jsonpath_item *it, kd_buffer *out)
{
    for (size_t i = 0; i < it->range_count; i++) {
        KD_TRY(kd_buffer_append_byte(ctx, out, i == 0 ? '[' : ','));
        KD_TRY(format_item(ctx, it->ranges[i].from, false, out));
        if (it->ranges[i].to == NULL)
            continue;
        KD_TRY(kd_buffer_append_text(ctx, out, " to "));
        KD_TRY(format_item(ctx, it->ranges[i].to, false, out));
    }
    return kd_buffer_append_byte(ctx, out, ']');
}

static kd_status format_like(kd_ctx *ctx, const kd_jsonpath_item *it, kd_buffer *out)
{
    static const char letters[] = "ismxq";
    KD_TRY(format_operand(ctx, it, it->left, out));
    KD_TRY(kd_buffer_append_text(ctx, out, " like_regex "));
    KD_TRY(kd_json_append_string(ctx, it->text, out));
    if (it->flags == 0)
        return KD_OK;
    KD_TRY(kd_buffer_append_text(ctx, out, " flag \""));
    for (int i = 0; letters[i] != '\0'; i++)
        if ((it->flags >> i & 1) != 0)
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)letters[i]));
    return kd_buffer_append_byte(ctx, out, '"');
}

/* `before`, the operand, `after`. */
static kd_status format_wrapped(kd_ctx *ctx, const char *before, const kd_jsonpath_item *operand,
                                const char *after, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, before));
    KD_TRY(format_item(ctx, operand, false, out));
    return kd_buffer_append_text(ctx, out, after);
}

static kd_status format_bracketed(kd_ctx *ctx, const kd_jsonpath_item *it, bool brackets,
                                  kd_buffer *out)
{
    if (brackets)
        KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    if (it->kind == KD_JSONPATH_LIKE_REGEX) {
        KD_TRY(format_like(ctx, it, out));
    } else if (it->kind == KD_JSONPATH_PLUS || it->kind == KD_JSONPATH_MINUS) {
        KD_TRY(kd_buffer_append_byte(ctx, out, it->kind == KD_JSONPATH_PLUS ? '+' : '-'));
        KD_TRY(format_operand(ctx, it, it->left, out));
    } else {
        KD_TRY(format_operand(ctx, it, it->left, out));
        KD_TRY(kd_buffer_append_text(ctx, out, signs[it->kind]));
        KD_TRY(format_operand(ctx, it, it->right, out));
    }
    return brackets ? kd_buffer_append_byte(ctx, out, ')') : KD_OK;
}

static kd_status format_named(kd_ctx *ctx, char before, kd_slice name, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)before));
    return kd_json_append_string(ctx, name, out);
}

/* The item without what follows it. */
static kd_status format_one(kd_ctx *ctx, const kd_jsonpath_item *it, bool brackets, kd_buffer *out)
{
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_ROOT:
        return kd_buffer_append_byte(ctx, out, '$');
    case KD_JSONPATH_CURRENT:
        return kd_buffer_append_byte(ctx, out, '@');
    case KD_JSONPATH_LAST_INDEX:
        return kd_buffer_append_text(ctx, out, "last");
    case KD_JSONPATH_LITERAL:
        return kd_jsonb_format(ctx, it->json, out);
    case KD_JSONPATH_VARIABLE:
        return format_named(ctx, '$', it->text, out);
    case KD_JSONPATH_NOT:
        return format_wrapped(ctx, "!(", it->left, ")", out);
    case KD_JSONPATH_IS_UNKNOWN:
        return format_wrapped(ctx, "(", it->left, ") is unknown", out);
    case KD_JSONPATH_EXISTS:
        return format_wrapped(ctx, "exists (", it->left, ")", out);
    case KD_JSONPATH_KEY:
        return format_named(ctx, '.', it->text, out);
    case KD_JSONPATH_ANY_KEY:
        return kd_buffer_append_text(ctx, out, ".*");
    case KD_JSONPATH_ANY_ELEMENT:
        return kd_buffer_append_text(ctx, out, "[*]");
    case KD_JSONPATH_INDEX:
        return format_ranges(ctx, it, out);
    case KD_JSONPATH_ANY:
        return format_any(ctx, it, out);
    case KD_JSONPATH_FILTER:
        return format_wrapped(ctx, "?(", it->left, ")", out);
    case KD_JSONPATH_DATETIME:
        return it->left == NULL ? kd_buffer_append_text(ctx, out, ".datetime()")
                                : format_wrapped(ctx, ".datetime(", it->left, ")", out);
    case KD_JSONPATH_ABS:
    case KD_JSONPATH_SIZE:
    case KD_JSONPATH_TYPE:
    case KD_JSONPATH_FLOOR:
    case KD_JSONPATH_DOUBLE:
    case KD_JSONPATH_CEILING:
    case KD_JSONPATH_KEYVALUE:
        return kd_buffer_append_text(ctx, out, methods[it->kind]);
    default:
        return format_bracketed(ctx, it, brackets || it->next != NULL, out);
    }
}

static kd_status format_item(kd_ctx *ctx, const kd_jsonpath_item *it, bool brackets, kd_buffer *out)
{
    /* A number has parentheses before a method: (1).type(). */
    bool is_number = it->kind == KD_JSONPATH_LITERAL && it->next != NULL &&
                     kd_jsonb_open(it->json).kind == KD_JSONB_NUMBER;
    if (is_number)
        KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    KD_TRY(format_one(ctx, it, brackets, out));
    if (is_number)
        KD_TRY(kd_buffer_append_byte(ctx, out, ')'));
    for (it = it->next; it != NULL; it = it->next)
        KD_TRY(format_one(ctx, it, true, out));
    return KD_OK;
}

kd_status kd_jsonpath_format(kd_ctx *ctx, const kd_jsonpath *path, kd_buffer *out)
{
    if (path->is_strict)
        KD_TRY(kd_buffer_append_text(ctx, out, "strict "));
    return format_item(ctx, path->root, true, out);
}
