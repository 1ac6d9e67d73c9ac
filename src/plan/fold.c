/*
 * Constant folding: calls of immutable functions on constants, and what follows
 * from constants in AND, OR, NOT, COALESCE and CASE; fields of rows that are
 * written out; parameters where the plan is for given values.
 *
 * A call that fails is left as it is: it may stand in a branch that is never
 * taken, and run time will tell.
 */
#include "plan/plan_internal.h"

static const kd_text_settings plain_settings = {.extra_float_digits = 1};
static const kd_session_facts plain_facts = {.text = &plain_settings};

static bool is_constant(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT;
}

/* Whether all arguments are constants, and whether one is the constant NULL. */
static bool arguments_are_constant(const kd_expr *expr, bool *out_has_null)
{
    bool are_constant = true;
    *out_has_null = false;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (!is_constant(expr->arguments[i]))
            are_constant = false;
        else
            *out_has_null |= expr->arguments[i]->constant.is_null;
    }
    return are_constant;
}

/* --- Calls --- */

typedef struct callee {
    kd_row_function row;
    kd_vector_function vector;
    const void *data;
} callee;

static kd_status call_vector(kd_ctx *ctx, kdi_planner *p, const callee *fn, kd_call_env *env,
                             const kd_expr *expr, kd_value *out)
{
    kd_vector *args = KD_NEW_ARRAY(ctx, p->arena, kd_vector, expr->argument_count);
    uint64_t *validity = KD_NEW_ARRAY(ctx, p->arena, uint64_t, 2);
    void *room = kd_alloc(ctx, p->arena, 256);
    if (args == NULL || validity == NULL || room == NULL)
        return KD_NOMEM;
    validity[0] = validity[1] = UINT64_MAX;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(kd_vector_init_constant(ctx, p->arena, &expr->arguments[i]->constant, &args[i]));
    kd_vector result = {.type = expr->type,
                        .physical = (uint8_t)kd_type_physical(expr->type),
                        .form = KD_VECTOR_FLAT,
                        .values = room,
                        .validity = validity};
    KD_TRY(fn->vector(ctx, env, args, NULL, 1, &result));
    *out = kd_vector_get(&result, 0);
    return KD_OK;
}

static kd_status call_row(kd_ctx *ctx, const callee *fn, kd_call_env *env, const kd_expr *expr,
                          kd_value *out)
{
    const void *args[KD_FUNCTION_ARGUMENTS_MAX];
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        kd_value *constant = &expr->arguments[i]->constant;
        args[i] = constant->is_null ? NULL : kd_value_payload(constant);
    }
    *out = (kd_value){.type = expr->type};
    return fn->row(ctx, env, args, kd_value_payload(out), &out->is_null);
}

/* `*out` stays NULL when the call fails. */
static kd_status call_now(kd_ctx *ctx, kdi_planner *p, const callee *fn, const kd_expr *expr,
                          kd_expr **out)
{
    *out = NULL;
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX];
    if (expr->argument_count > KD_FUNCTION_ARGUMENTS_MAX)
        return KD_OK;
    kd_call_env env = {.facts = &plain_facts,
                       .arena = p->arena,
                       .state_arena = p->arena,
                       .argument_count = expr->argument_count,
                       .argument_types = types,
                       .result_type = expr->type,
                       .data = fn->data};
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        types[i] = expr->arguments[i]->type;
        env.argument_is_constant[i] = true;
    }
    kd_value value;
    kd_status status = fn->row != NULL ? call_row(ctx, fn, &env, expr, &value)
                                       : call_vector(ctx, p, fn, &env, expr, &value);
    if (status == KD_NOMEM)
        return status;
    if (status != KD_OK) {
        kd_error_clear(ctx);
        return KD_OK;
    }
    value.type = expr->type;
    *out = kdi_make_constant(ctx, p, value);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status fold_call(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    kd_expr *expr = *slot, *made;
    const kd_function *function = expr->function;
    bool has_null;
    bool are_constant = arguments_are_constant(expr, &has_null);
    /* Whatever the other arguments are, and whether they fail: as in PostgreSQL. */
    if (has_null && function->strict) {
        made = kdi_make_constant(ctx, p, kd_value_null(expr->type));
        if (made == NULL)
            return KD_NOMEM;
        *slot = made;
        return KD_OK;
    }
    if (expr->spreads || function->volatility != KD_IMMUTABLE || expr->argument_count == 0 ||
        !are_constant || (has_null && function->row == NULL))
        return KD_OK;
    callee fn = {.row = function->row, .vector = function->vector, .data = function->data};
    KD_TRY(call_now(ctx, p, &fn, expr, &made));
    if (made != NULL)
        *slot = made;
    return KD_OK;
}

/* Casts whose result depends on nothing but the value. */
static bool cast_is_immutable(kd_type from, kd_type to)
{
    if (from.is_array || to.is_array)
        return false;
    bool numbers = (kd_type_is_number(from) || from.id == KD_TYPE_BOOL) &&
                   (kd_type_is_number(to) || to.id == KD_TYPE_BOOL);
    bool texts = kd_type_is_string(from) && kd_type_is_string(to);
    bool times = (from.id == KD_TYPE_DATE && to.id == KD_TYPE_TIMESTAMP) ||
                 (from.id == KD_TYPE_TIMESTAMP && to.id == KD_TYPE_DATE) ||
                 (from.id == KD_TYPE_TIMESTAMP && to.id == KD_TYPE_TIMESTAMP);
    return numbers || texts || times;
}

static kd_status fold_cast(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    kd_expr *expr = *slot, *made = NULL;
    const kd_expr *argument = expr->arguments[0];
    if (!is_constant(argument))
        return KD_OK;
    if (argument->constant.is_null) {
        made = kdi_make_constant(ctx, p, kd_value_null(expr->type));
    } else if (expr->cast == NULL || !cast_is_immutable(argument->type, expr->type)) {
        return KD_OK;
    } else if (expr->cast->no_work) {
        kd_value value = argument->constant;
        value.type = expr->type;
        made = kdi_make_constant(ctx, p, value);
    } else {
        callee fn = {.row = expr->cast->row, .vector = expr->cast->vector};
        KD_TRY(call_now(ctx, p, &fn, expr, &made));
        if (made == NULL)
            return KD_OK;
    }
    if (made == NULL)
        return KD_NOMEM;
    *slot = made;
    return KD_OK;
}

/* --- Logic --- */

/* Drops what decides nothing; one that decides all takes the whole place. */
static kd_status fold_and_or(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    kd_expr *expr = *slot;
    bool is_and = expr->kind == KD_EXPR_AND;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        kd_expr *argument = expr->arguments[i];
        if (is_constant(argument) && !argument->constant.is_null) {
            if (argument->constant.as.boolean == is_and)
                continue;
            *slot = argument;
            return KD_OK;
        }
        expr->arguments[kept++] = argument;
    }
    expr->argument_count = kept;
    if (kept == 1)
        *slot = expr->arguments[0];
    if (kept > 0)
        return KD_OK;
    *slot = kdi_make_constant(ctx, p, kd_value_bool(is_and));
    return *slot == NULL ? KD_NOMEM : KD_OK;
}

static kd_status fold_not(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    const kd_expr *argument = (*slot)->arguments[0];
    if (argument->kind == KD_EXPR_NOT) {
        *slot = argument->arguments[0];
        return KD_OK;
    }
    if (!is_constant(argument))
        return KD_OK;
    kd_value value = argument->constant;
    if (!value.is_null)
        value.as.boolean = !value.as.boolean;
    *slot = kdi_make_constant(ctx, p, value);
    return *slot == NULL ? KD_NOMEM : KD_OK;
}

static kd_status fold_is_null(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    const kd_expr *argument = (*slot)->arguments[0];
    if (!is_constant(argument))
        return KD_OK;
    *slot = kdi_make_constant(ctx, p, kd_value_bool(argument->constant.is_null));
    return *slot == NULL ? KD_NOMEM : KD_OK;
}

static void fold_coalesce(kd_expr **slot)
{
    kd_expr *expr = *slot;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        kd_expr *argument = expr->arguments[i];
        bool last = i + 1 == expr->argument_count;
        if (is_constant(argument) && argument->constant.is_null && !(last && kept == 0))
            continue;
        expr->arguments[kept++] = argument;
        if (is_constant(argument))
            break;
    }
    expr->argument_count = kept;
    if (kept == 1)
        *slot = expr->arguments[0];
}

/* Branches that cannot be taken go; one that is always taken is the last. */
static void fold_case(kd_expr **slot)
{
    kd_expr *expr = *slot;
    uint32_t pairs = (expr->argument_count - expr->case_has_else) / 2, kept = 0;
    kd_expr *otherwise = expr->case_has_else ? expr->arguments[pairs * 2] : NULL;
    for (uint32_t i = 0; i < pairs; i++) {
        kd_expr *condition = expr->arguments[i * 2], *value = expr->arguments[i * 2 + 1];
        if (kdi_is_never_true(condition))
            continue;
        if (kdi_is_true(condition)) {
            otherwise = value;
            break;
        }
        expr->arguments[kept++] = condition;
        expr->arguments[kept++] = value;
    }
    if (kept == 0 && otherwise == NULL) {
        expr->arguments[kept++] = expr->arguments[0];
        expr->arguments[kept++] = expr->arguments[1];
    }
    expr->case_has_else = otherwise != NULL;
    if (otherwise != NULL)
        expr->arguments[kept++] = otherwise;
    expr->argument_count = kept;
    if (kept == 1)
        *slot = otherwise;
}

/* In a plan that is for these values alone. */
static kd_status fold_parameter(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    const kd_expr *parameter = *slot;
    uint32_t index = parameter->parameter_no - 1;
    if (index >= p->options->value_count ||
        !kd_type_same(p->options->values[index].type, parameter->type))
        return KD_OK;
    kd_value value = p->options->values[index];
    value.type = parameter->type;
    kd_expr *made = kdi_make_constant(ctx, p, value);
    if (made == NULL)
        return KD_NOMEM;
    made->untyped = parameter->untyped;
    made->position = parameter->position;
    *slot = made;
    return KD_OK;
}

/* The field of a row that is written out. */
static void fold_field(kd_expr **slot)
{
    const kd_expr *row = (*slot)->arguments[0];
    if (row->kind == KD_EXPR_ROW)
        *slot = row->arguments[(*slot)->field];
}

kd_status kdi_fold(kd_ctx *ctx, kdi_planner *p, kd_expr **slot)
{
    kd_expr *expr = *slot;
    KD_TRY(kdi_plan_enter(ctx, p));
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(kdi_fold(ctx, p, &expr->arguments[i]));
    kdi_plan_leave(p);
    switch (expr->kind) {
    case KD_EXPR_PARAMETER:
        return fold_parameter(ctx, p, slot);
    case KD_EXPR_CALL:
        return fold_call(ctx, p, slot);
    case KD_EXPR_CAST:
        return fold_cast(ctx, p, slot);
    case KD_EXPR_AND:
    case KD_EXPR_OR:
        return fold_and_or(ctx, p, slot);
    case KD_EXPR_NOT:
        return fold_not(ctx, p, slot);
    case KD_EXPR_IS_NULL:
        return fold_is_null(ctx, p, slot);
    case KD_EXPR_COALESCE:
        fold_coalesce(slot);
        return KD_OK;
    case KD_EXPR_CASE:
        fold_case(slot);
        return KD_OK;
    case KD_EXPR_FIELD:
        fold_field(slot);
        return KD_OK;
    default:
        return KD_OK;
    }
}

typedef struct folding {
    kdi_planner *p;
} folding;

static kd_status fold_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return kdi_fold(ctx, ((folding *)object)->p, slot);
}

kd_status kdi_fold_tree(kd_ctx *ctx, kdi_planner *p, kd_rel *rel)
{
    folding self = {.p = p};
    KD_TRY(kdi_plan_enter(ctx, p));
    KD_TRY(kd_rel_visit_exprs(ctx, rel, fold_slot, &self));
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(kdi_fold_tree(ctx, p, rel->inputs[i]));
    kdi_plan_leave(p);
    return KD_OK;
}
