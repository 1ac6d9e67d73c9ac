/*
 * Casts to domains: the value, checked.
 *
 * CAST (v AS d) is CASE WHEN NOT check(v) THEN an error ELSE v END. The value stands there
 * more than once, so volatile ones and sub-queries are left unchecked.
 */
#include "sql/bind_internal.h"

typedef struct value_use {
    kdi_binder *b;
    kd_column_id id;
    const kd_expr *value;
} value_use;

static kd_status put_value(kd_ctx *ctx, void *object, kd_expr **slot)
{
    const value_use *use = object;
    if ((*slot)->kind != KD_EXPR_COLUMN || (*slot)->column != use->id)
        return KD_OK;
    return kdi_copy_expr(ctx, use->b, use->value, slot);
}

/* "check is false", over the value. */
static kd_status check_fails(kd_ctx *ctx, kdi_binder *b, kd_type base, kd_slice text,
                             const kd_expr *value, kd_expr **out)
{
    kd_ast_node *node;
    kd_rel_column column = {.id = kdi_next_id(b), .type = base, .name = KD_SLICE("value")};
    kdi_query query = {.clause = "domain constraints"};
    kdi_scope scope = {.query = &query};
    kdi_source source = {.alias = KD_SLICE("value"), .column_count = 1, .columns = &column};
    kd_expr *condition;
    KD_TRY(kdi_names_add_source(ctx, b, &scope.names, source));
    KD_TRY(kdi_names_add_column(ctx, b, &scope.names, column));
    KD_TRY(kd_parse_expression(ctx, b->arena, text, &node));
    b->inside_text++;
    KD_TRY(kdi_bind_condition(ctx, b, &scope, node, "CHECK", &condition));
    b->inside_text--;
    value_use use = {.b = b, .id = column.id, .value = value};
    KD_TRY(kd_expr_walk_deep(ctx, &condition, put_value, &use));
    *out = kdi_not(ctx, b, condition);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* CASE WHEN `fails` THEN error ELSE value END */
static kd_status guard(kd_ctx *ctx, kdi_binder *b, const kd_domain_entry *domain,
                       kd_slice constraint, kd_expr *fails, kd_expr **io_value)
{
    kd_expr *arguments[3];
    kd_expr *guarded = kdi_expr_new(ctx, b, KD_EXPR_CASE, (*io_value)->type, -1, 3);
    if (guarded == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_copy_expr(ctx, b, *io_value, &arguments[0]));
    arguments[1] = kdi_constant(ctx, b, kd_value_text(domain->object.name), -1);
    arguments[2] = kdi_constant(ctx, b, kd_value_text(constraint), -1);
    if (arguments[1] == NULL || arguments[2] == NULL)
        return KD_NOMEM;
    guarded->arguments[0] = fails;
    KD_TRY(
        kdi_call(ctx, b, KD_SLICE("kade_domain_error"), arguments, 3, -1, &guarded->arguments[1]));
    guarded->arguments[2] = *io_value;
    guarded->case_has_else = true;
    *io_value = guarded;
    return KD_OK;
}

kd_status kdi_check_domain(kd_ctx *ctx, kdi_binder *b, const kd_domain_entry *domain,
                           kd_expr **io_value)
{
    kd_expr *value = *io_value;
    if (kd_expr_is_volatile(value) || kd_expr_has_subquery(value))
        return KD_OK;
    for (uint32_t i = domain->check_count; i > 0; i--) {
        const kd_check *check = &domain->checks[i - 1];
        kd_expr *fails;
        KD_TRY(check_fails(ctx, b, domain->base, check->expression_text, value, &fails));
        KD_TRY(guard(ctx, b, domain, check->name, fails, io_value));
    }
    if (!domain->not_null)
        return KD_OK;
    kd_expr *is_null = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, kd_type_of(KD_TYPE_BOOL), -1, 1);
    if (is_null == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_copy_expr(ctx, b, value, &is_null->arguments[0]));
    return guard(ctx, b, domain, (kd_slice){"", 0}, is_null, io_value);
}
