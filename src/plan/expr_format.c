/*
 * Expressions as SQL text, for EXPLAIN and messages.
 */
#include "plan/plan_internal.h"

#include <ctype.h>

static kd_status format(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth);

static kd_status format_list(kd_ctx *ctx, const kd_expr *expr, uint32_t from, const char *between,
                             kd_buffer *out, uint32_t depth)
{
    for (uint32_t i = from; i < expr->argument_count; i++) {
        if (i > from)
            KD_TRY(kd_buffer_append_text(ctx, out, between));
        KD_TRY(format(ctx, expr->arguments[i], out, depth + 1));
    }
    return KD_OK;
}

static kd_status format_constant(kd_ctx *ctx, const kd_value *value, kd_buffer *out)
{
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "NULL");
    bool quoted = !kd_type_is_number(value->type) && value->type.id != KD_TYPE_BOOL;
    quoted |= value->type.is_array != 0;
    if (value->type.id == KD_TYPE_ENUM)
        return kd_buffer_append_format(ctx, out, "enum %d", value->as.i32);
    if (!quoted)
        return value->type.id == KD_TYPE_BOOL
                   ? kd_buffer_append_text(ctx, out, value->as.boolean ? "true" : "false")
                   : kd_value_format(ctx, NULL, value, out);
    kd_buffer text = kd_buffer_in(out->arena);
    KD_TRY(kd_value_format(ctx, NULL, value, &text));
    KD_TRY(kd_buffer_append_byte(ctx, out, '\''));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == '\'')
            KD_TRY(kd_buffer_append_byte(ctx, out, '\''));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text.data[i]));
    }
    KD_TRY(kd_buffer_append_text(ctx, out, "'::"));
    return kd_type_format(ctx, value->type, out);
}

static kd_status format_call(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    const char *name = expr->function->name;
    bool is_operator = !isalpha((unsigned char)name[0]) && name[0] != '_';
    if (is_operator && expr->argument_count == 2) {
        KD_TRY(kd_buffer_append_byte(ctx, out, '('));
        KD_TRY(format(ctx, expr->arguments[0], out, depth + 1));
        KD_TRY(kd_buffer_append_format(ctx, out, " %s ", name));
        KD_TRY(format(ctx, expr->arguments[1], out, depth + 1));
        return kd_buffer_append_byte(ctx, out, ')');
    }
    KD_TRY(kd_buffer_append_format(ctx, out, "%s(", name));
    KD_TRY(format_list(ctx, expr, 0, ", ", out, depth));
    return kd_buffer_append_byte(ctx, out, ')');
}

static kd_status format_case(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    uint32_t pairs = (expr->argument_count - expr->case_has_else) / 2;
    KD_TRY(kd_buffer_append_text(ctx, out, "CASE"));
    for (uint32_t i = 0; i < pairs; i++) {
        KD_TRY(kd_buffer_append_text(ctx, out, " WHEN "));
        KD_TRY(format(ctx, expr->arguments[i * 2], out, depth + 1));
        KD_TRY(kd_buffer_append_text(ctx, out, " THEN "));
        KD_TRY(format(ctx, expr->arguments[i * 2 + 1], out, depth + 1));
    }
    if (expr->case_has_else) {
        KD_TRY(kd_buffer_append_text(ctx, out, " ELSE "));
        KD_TRY(format(ctx, expr->arguments[pairs * 2], out, depth + 1));
    }
    return kd_buffer_append_text(ctx, out, " END");
}

static kd_status format_between(kd_ctx *ctx, const kd_expr *expr, const char *open,
                                const char *between, const char *close, kd_buffer *out,
                                uint32_t depth)
{
    KD_TRY(kd_buffer_append_text(ctx, out, open));
    KD_TRY(format_list(ctx, expr, 0, between, out, depth));
    return kd_buffer_append_text(ctx, out, close);
}

static kd_status format_negated(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    const kd_expr *inner = expr->arguments[0];
    if (inner->kind == KD_EXPR_IS_NULL)
        return format_between(ctx, inner, "(", "", " IS NOT NULL)", out, depth);
    if (inner->kind == KD_EXPR_IS_DISTINCT)
        return format_between(ctx, inner, "(", " IS NOT DISTINCT FROM ", ")", out, depth);
    return format_between(ctx, expr, "(NOT ", "", ")", out, depth);
}

static kd_status format_subscript(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    KD_TRY(format(ctx, expr->arguments[0], out, depth + 1));
    KD_TRY(kd_buffer_append_byte(ctx, out, '['));
    KD_TRY(format_list(ctx, expr, 1, "][", out, depth));
    return kd_buffer_append_byte(ctx, out, ']');
}

static kd_status format_in(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    KD_TRY(format(ctx, expr->arguments[0], out, depth + 1));
    KD_TRY(kd_buffer_append_text(ctx, out, " IN ("));
    KD_TRY(format_list(ctx, expr, 1, ", ", out, depth));
    return kd_buffer_append_text(ctx, out, "))");
}

static kd_status format_any(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    KD_TRY(format(ctx, expr->arguments[0], out, depth + 1));
    KD_TRY(kd_buffer_append_format(ctx, out, " %s %s (", expr->function->name,
                                   expr->all ? "ALL" : "ANY"));
    KD_TRY(format(ctx, expr->arguments[1], out, depth + 1));
    return kd_buffer_append_text(ctx, out, "))");
}

static kd_status format_cast(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    KD_TRY(format(ctx, expr->arguments[0], out, depth + 1));
    KD_TRY(kd_buffer_append_text(ctx, out, "::"));
    return kd_type_format(ctx, expr->type, out);
}

static kd_status format(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out, uint32_t depth)
{
    if (depth > 200)
        return kd_buffer_append_text(ctx, out, "...");
    switch (expr->kind) {
    case KD_EXPR_CONSTANT:
        return format_constant(ctx, &expr->constant, out);
    case KD_EXPR_COLUMN:
        if (expr->name.size_bytes > 0)
            return kd_buffer_append_slice(ctx, out, expr->name);
        return kd_buffer_append_format(ctx, out, "#%u", expr->column);
    case KD_EXPR_PARAMETER:
        return kd_buffer_append_format(ctx, out, "$%u", expr->parameter_no);
    case KD_EXPR_CALL:
        return format_call(ctx, expr, out, depth);
    case KD_EXPR_CAST:
        return format_cast(ctx, expr, out, depth);
    case KD_EXPR_AND:
        return format_between(ctx, expr, "(", " AND ", ")", out, depth);
    case KD_EXPR_OR:
        return format_between(ctx, expr, "(", " OR ", ")", out, depth);
    case KD_EXPR_NOT:
        return format_negated(ctx, expr, out, depth);
    case KD_EXPR_IS_NULL:
        return format_between(ctx, expr, "(", "", " IS NULL)", out, depth);
    case KD_EXPR_IS_DISTINCT:
        return format_between(ctx, expr, "(", " IS DISTINCT FROM ", ")", out, depth);
    case KD_EXPR_CASE:
        return format_case(ctx, expr, out, depth);
    case KD_EXPR_COALESCE:
        return format_between(ctx, expr, "COALESCE(", ", ", ")", out, depth);
    case KD_EXPR_IN_LIST:
        return format_in(ctx, expr, out, depth);
    case KD_EXPR_ARRAY:
        return format_between(ctx, expr, "ARRAY[", ", ", "]", out, depth);
    case KD_EXPR_SUBSCRIPT:
        return format_subscript(ctx, expr, out, depth);
    case KD_EXPR_SUBQUERY:
        return kd_buffer_append_text(ctx, out, "(SubPlan)");
    case KD_EXPR_ANY_ARRAY:
        return format_any(ctx, expr, out, depth);
    case KD_EXPR_FIELD:
        KD_TRY(format_between(ctx, expr, "(", "", ").", out, depth));
        return kd_buffer_append_slice(ctx, out, expr->name);
    case KD_EXPR_GROUPING:
        return format_between(ctx, expr, "GROUPING(", ", ", ")", out, depth);
    case KD_EXPR_ROW:
        return format_between(ctx, expr, "ROW(", ", ", ")", out, depth);
    }
    return KD_OK;
}

kd_status kd_expr_format(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out)
{
    return format(ctx, expr, out, 0);
}
