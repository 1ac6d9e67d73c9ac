/*
 * Types: casts that are not written, literals and parameters that take their type
 * from where they stand, and the choice of functions and operators.
 */
#include "sql/bind_internal.h"

/* --- Coercion --- */

static kd_status cannot_coerce(kd_ctx *ctx, kdi_binder *b, const kd_expr *expr, kd_type type)
{
    return kdi_at(ctx, b, expr->position,
                  KD_FAIL(ctx, KD_INVALID, "42846", "cannot cast type %s to %s",
                          kdi_type_text(ctx, b, expr->type), kdi_type_text(ctx, b, type)));
}

static kd_status add_cast(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                          kd_expr **io_expr)
{
    kd_expr *expr = *io_expr;
    const kd_cast *cast = kd_registry_find_cast(b->registry, expr->type, type, context);
    if (cast == NULL && kd_type_same(expr->type, type) && !type.is_array)
        return KD_OK;
    kd_expr *made = kdi_expr_new(ctx, b, KD_EXPR_CAST, type, expr->position, 1);
    if (made == NULL)
        return KD_NOMEM;
    made->arguments[0] = expr;
    made->cast = cast;
    *io_expr = made;
    return KD_OK;
}

static bool has_length(kd_type type)
{
    return !type.is_array && type.modifier >= 0 &&
           (type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_CHAR || type.id == KD_TYPE_BIT ||
            type.id == KD_TYPE_VARBIT);
}

/* An untyped literal takes the type; a length is applied afterwards, as its cast says. */
static kd_status literal_to(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                            kd_expr **io_expr)
{
    const kd_expr *expr = *io_expr;
    bool by_length = has_length(type);
    kd_type parsed = type;
    if (by_length)
        parsed.modifier = -1;
    kd_value value = kd_value_null(type);
    if (!expr->constant.is_null) {
        kd_slice text = kd_str_slice(&expr->constant.as.str);
        kd_status status = kd_value_parse(ctx, b->arena, &b->settings, parsed, text, &value);
        if (status != KD_OK)
            return kdi_at(ctx, b, expr->position, status);
        value.type = parsed;
    }
    kd_expr *made = kdi_constant(ctx, b, value, expr->position);
    if (made == NULL)
        return KD_NOMEM;
    *io_expr = made;
    return by_length && !value.is_null ? add_cast(ctx, b, type, context, io_expr) : KD_OK;
}

static void parameter_to(kdi_binder *b, kd_type type, kd_expr *expr)
{
    type.modifier = -1;
    expr->type = type;
    b->parameter_types[expr->parameter_no - 1] = type;
}

static bool needs_no_cast(kd_type from, kd_type to)
{
    if (!kd_type_same(from, to))
        return false;
    return from.modifier == to.modifier || (to.modifier == -1 && to.id != KD_TYPE_NUMERIC);
}

static kd_status coerce(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                        kd_expr **io_expr)
{
    kd_expr *expr = *io_expr;
    if (needs_no_cast(expr->type, type) || type.id == KD_TYPE_UNKNOWN)
        return KD_OK;
    if (kdi_is_unknown(expr->type)) {
        if (expr->kind == KD_EXPR_CONSTANT)
            return literal_to(ctx, b, type, context, io_expr);
        if (expr->kind == KD_EXPR_PARAMETER) {
            parameter_to(b, type, expr);
            return needs_no_cast(expr->type, type) ? KD_OK
                                                   : add_cast(ctx, b, type, context, io_expr);
        }
    } else if (!kd_registry_can_coerce(b->registry, expr->type, type, context)) {
        return cannot_coerce(ctx, b, expr, type);
    } else if (expr->type.id == KD_TYPE_RECORD && type.id == KD_TYPE_RECORD && !type.is_array) {
        return kdi_coerce_row(ctx, b, type, context, io_expr);
    }
    /* Anything else as varchar(n): its text, which is then cut or refused. */
    if (has_length(type) && (type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_CHAR) &&
        !kd_type_is_string(expr->type))
        KD_TRY(add_cast(ctx, b, kd_type_of(KD_TYPE_TEXT), KD_CAST_EXPLICIT, io_expr));
    return add_cast(ctx, b, type, context, io_expr);
}

kd_status kdi_coerce(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                     kd_expr **io_expr)
{
    bool becomes_row = type.id == KD_TYPE_RECORD && !type.is_array && type.object != 0 &&
                       (*io_expr)->type.id != KD_TYPE_RECORD;
    KD_TRY(coerce(ctx, b, type, context, io_expr));
    return becomes_row ? kdi_check_fields(ctx, b, io_expr) : KD_OK;
}

kd_status kdi_settle(kd_ctx *ctx, kdi_binder *b, kd_expr **io_expr)
{
    if (!kdi_is_unknown((*io_expr)->type))
        return KD_OK;
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_TEXT), KD_CAST_IMPLICIT, io_expr);
}

kd_status kdi_check_equality(kd_ctx *ctx, kdi_binder *b, kd_type type, int position)
{
    kd_record_shape shape = {0};
    bool known, has_equality = type.id != KD_TYPE_JSON && type.id != KD_TYPE_JSONPATH;
    KD_TRY(kdi_row_shape(ctx, b, kd_type_element(type), &shape, &known));
    for (uint32_t i = 0; i < shape.field_count && has_equality; i++) {
        kd_status status = kdi_check_equality(ctx, b, shape.types[i], position);
        if (status != KD_OK && status != KD_INVALID)
            return status;
        has_equality = status == KD_OK;
        kd_error_clear(ctx);
    }
    if (has_equality)
        return KD_OK;
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_INVALID, "42883",
                          "could not identify an equality operator for type %s",
                          kdi_type_text(ctx, b, type)));
}

kd_status kdi_to_boolean(kd_ctx *ctx, kdi_binder *b, const char *what, kd_expr **io_expr)
{
    kd_expr *expr = *io_expr;
    kd_type boolean = kd_type_of(KD_TYPE_BOOL);
    if (!kdi_is_unknown(expr->type) && !kd_type_same(expr->type, boolean))
        return kdi_at(ctx, b, expr->position,
                      KD_FAIL(ctx, KD_INVALID, "42804",
                              "argument of %s must be type boolean, not type %s", what,
                              kdi_type_text(ctx, b, expr->type)));
    return kdi_coerce(ctx, b, boolean, KD_CAST_IMPLICIT, io_expr);
}

static kd_status no_common_type(kd_ctx *ctx, kdi_binder *b, const char *what, kd_expr **exprs,
                                uint32_t count)
{
    const kd_expr *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (kdi_is_unknown(exprs[i]->type))
            continue;
        if (first == NULL)
            first = exprs[i];
        kd_type pair[2] = {first->type, exprs[i]->type}, common;
        if (kd_registry_common_type(b->registry, pair, 2, &common))
            continue;
        return kdi_at(ctx, b, exprs[i]->position,
                      KD_FAIL(ctx, KD_INVALID, "42804", "%s types %s and %s cannot be matched",
                              what, kdi_type_text(ctx, b, first->type),
                              kdi_type_text(ctx, b, exprs[i]->type)));
    }
    return KD_FAIL(ctx, KD_INVALID, "42804", "%s types cannot be matched", what);
}

kd_status kdi_unify(kd_ctx *ctx, kdi_binder *b, const char *what, kd_expr **exprs, uint32_t count,
                    kd_type *out_type)
{
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = exprs[i]->type;
    if (!kd_registry_common_type(b->registry, types, count, out_type))
        return no_common_type(ctx, b, what, exprs, count);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_coerce(ctx, b, *out_type, KD_CAST_IMPLICIT, &exprs[i]));
    return KD_OK;
}

/* --- Functions and operators --- */

const char *kdi_signature(kd_ctx *ctx, kdi_binder *b, kd_slice name, const kd_type *types,
                          uint32_t count)
{
    kd_buffer buffer = kd_buffer_in(b->arena);
    kd_status status = kd_buffer_append_format(ctx, &buffer, "%.*s(", KDI_S(name));
    for (uint32_t i = 0; i < count && status == KD_OK; i++)
        status = kd_buffer_append_format(ctx, &buffer, "%s%s", i > 0 ? ", " : "",
                                         kdi_type_text(ctx, b, types[i]));
    if (status == KD_OK)
        status = kd_buffer_append_text(ctx, &buffer, ")");
    return status == KD_OK ? buffer.data : "?";
}

static kd_status no_function(kd_ctx *ctx, kdi_binder *b, kd_slice name, const kd_type *types,
                             uint32_t count, bool ambiguous, int position)
{
    const char *signature = kdi_signature(ctx, b, name, types, count);
    if (ambiguous) {
        KD_FAIL(ctx, KD_INVALID, "42725", "function %s is not unique", signature);
        kd_error_set_hint(ctx, "Could not choose a best candidate function. You might need to add "
                               "explicit type casts.");
    } else {
        KD_FAIL(ctx, KD_INVALID, "42883", "function %s does not exist", signature);
        kd_error_set_hint(ctx, "No function matches the given name and argument types. You might "
                               "need to add explicit type casts.");
    }
    return kdi_at(ctx, b, position, KD_INVALID);
}

static kd_status call_build(kd_ctx *ctx, kdi_binder *b, const kd_function *function,
                            kd_expr **arguments, const kd_type *wanted, uint32_t count,
                            kd_type result, int position, kd_expr **out)
{
    kd_expr *call = kdi_expr_new(ctx, b, KD_EXPR_CALL, result, position, count);
    if (call == NULL)
        return KD_NOMEM;
    call->function = function;
    for (uint32_t i = 0; i < count; i++) {
        call->arguments[i] = arguments[i];
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &call->arguments[i]));
    }
    *out = call;
    return KD_OK;
}

kd_status kdi_call(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr **arguments, uint32_t count,
                   int position, kd_expr **out)
{
    *out = NULL;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL || wanted == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = arguments[i]->type;
    const kd_function *function;
    kd_type result;
    bool ambiguous = false;
    if (kd_registry_find_function(b->registry, name, types, count, &function, wanted, &result,
                                  &ambiguous))
        return call_build(ctx, b, function, arguments, wanted, count, result, position, out);
    /* A type's name with one argument is a cast: date(x). */
    kd_type type;
    if (count == 1 && !ambiguous && kd_type_find(name, &type) &&
        kd_registry_can_coerce(b->registry, types[0], type, KD_CAST_EXPLICIT)) {
        *out = arguments[0];
        return kdi_coerce(ctx, b, type, KD_CAST_EXPLICIT, out);
    }
    return no_function(ctx, b, name, types, count, ambiguous, position);
}

kd_status kdi_find_operator(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_type left, kd_type right,
                            int position, const kd_function **out_function, kd_type out_types[2],
                            kd_type *out_result)
{
    kd_type types[2] = {left, right};
    bool ambiguous = false;
    if (kd_registry_find_function(b->registry, name, types, 2, out_function, out_types, out_result,
                                  &ambiguous))
        return KD_OK;
    if (ambiguous) {
        KD_FAIL(ctx, KD_INVALID, "42725", "operator is not unique: %s %.*s %s",
                kdi_type_text(ctx, b, left), KDI_S(name), kdi_type_text(ctx, b, right));
        kd_error_set_hint(ctx, "Could not choose a best candidate operator. You might need to add "
                               "explicit type casts.");
    } else {
        KD_FAIL(ctx, KD_INVALID, "42883", "operator does not exist: %s %.*s %s",
                kdi_type_text(ctx, b, left), KDI_S(name), kdi_type_text(ctx, b, right));
        kd_error_set_hint(ctx, "No operator matches the given name and argument types. You might "
                               "need to add explicit type casts.");
    }
    return kdi_at(ctx, b, position, KD_INVALID);
}

static kd_status prefix_operator(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr *operand,
                                 int position, kd_expr **out)
{
    kd_type wanted, result;
    const kd_function *function;
    bool ambiguous = false;
    if (kd_registry_find_function(b->registry, name, &operand->type, 1, &function, &wanted, &result,
                                  &ambiguous))
        return call_build(ctx, b, function, &operand, &wanted, 1, result, position, out);
    KD_FAIL(ctx, KD_INVALID, ambiguous ? "42725" : "42883", "operator %s: %.*s %s",
            ambiguous ? "is not unique" : "does not exist", KDI_S(name),
            kdi_type_text(ctx, b, operand->type));
    kd_error_set_hint(ctx, "No operator matches the given name and argument type. You might need "
                           "to add an explicit type cast.");
    return kdi_at(ctx, b, position, KD_INVALID);
}

/* 'a' || 5: an untyped literal beside something that is no array, json or bytea is text. */
static kd_status settle_concatenation(kd_ctx *ctx, kdi_binder *b, kd_expr **left, kd_expr **right)
{
    bool left_open = kdi_is_unknown((*left)->type), right_open = kdi_is_unknown((*right)->type);
    if (left_open == right_open)
        return KD_OK;
    kd_type typed = left_open ? (*right)->type : (*left)->type;
    if (typed.is_array || typed.id == KD_TYPE_JSONB || typed.id == KD_TYPE_JSON ||
        typed.id == KD_TYPE_BYTEA)
        return KD_OK;
    return kdi_settle(ctx, b, left_open ? left : right);
}

/* date, timestamp, timestamptz; 0: none of them. */
static int moment_rank(kd_type type)
{
    if (type.is_array)
        return 0;
    return type.id == KD_TYPE_DATE          ? 1
           : type.id == KD_TYPE_TIMESTAMP   ? 2
           : type.id == KD_TYPE_TIMESTAMPTZ ? 3
                                            : 0;
}

/* timestamp >= date: with the date as a timestamp it is a comparison of one type, which indexes,
 * zone maps and encoded columns know. A date's column beside a timestamp that is no column stays as
 * it is: the scan turns the timestamp into a date. */
static kd_status same_moments(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr **left,
                              kd_expr **right)
{
    static const char *const converters[] = {NULL, NULL, "kade_timestamp", "kade_timestamptz"};
    int left_rank = moment_rank((*left)->type), right_rank = moment_rank((*right)->type);
    kd_expr **lower = left_rank < right_rank ? left : right,
            *higher = lower == left ? *right : *left;
    kd_id_set columns = {.arena = b->arena};
    if (left_rank == 0 || right_rank == 0 || left_rank == right_rank ||
        memchr("<>=", name.data[0], 3) == NULL)
        return KD_OK;
    KD_TRY(kd_expr_columns(ctx, higher, &columns));
    if (kd_id_set_is_empty(&columns))
        return KD_OK;
    kd_expr *argument = *lower;
    const char *converter = converters[moment_rank(higher->type)];
    return kdi_call(ctx, b, kd_slice_of(converter), &argument, 1, argument->position, lower);
}

kd_status kdi_operator(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr *left, kd_expr *right,
                       int position, kd_expr **out)
{
    *out = NULL;
    if (left != NULL && kd_slice_equal(name, KD_SLICE("||")))
        KD_TRY(settle_concatenation(ctx, b, &left, &right));
    if (left == NULL)
        return prefix_operator(ctx, b, name, right, position, out);
    KD_TRY(same_moments(ctx, b, name, &left, &right));
    kd_type wanted[2], result;
    const kd_function *function;
    KD_TRY(kdi_find_operator(ctx, b, name, left->type, right->type, position, &function, wanted,
                             &result));
    kd_expr *arguments[2] = {left, right};
    return call_build(ctx, b, function, arguments, wanted, 2, result, position, out);
}
