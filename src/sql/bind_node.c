/*
 * Making bound nodes.
 */
#include "sql/bind_internal.h"

kd_status kdi_at(kd_ctx *ctx, const kdi_binder *b, int position, kd_status status)
{
    if (b->inside_text == 0 && position >= 0)
        kd_error_set_position(ctx, position);
    return status;
}

kd_status kdi_enter(kd_ctx *ctx, kdi_binder *b)
{
    if (++b->depth > KD_BOUND_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
    return KD_OK;
}

kd_column_id kdi_next_id(kdi_binder *b)
{
    return ++b->last_id;
}

kd_expr *kdi_expr_new(kd_ctx *ctx, kdi_binder *b, kd_expr_kind kind, kd_type type, int position,
                      uint32_t argument_count)
{
    kd_expr *expr = KD_NEW(ctx, b->arena, kd_expr);
    if (expr == NULL)
        return NULL;
    expr->kind = kind;
    expr->type = type;
    expr->position = b->inside_text > 0 ? -1 : position;
    expr->argument_count = argument_count;
    if (argument_count > 0) {
        expr->arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, argument_count);
        if (expr->arguments == NULL)
            return NULL;
    }
    return expr;
}

kd_expr *kdi_constant(kd_ctx *ctx, kdi_binder *b, kd_value value, int position)
{
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_CONSTANT, value.type, position, 0);
    if (expr != NULL)
        expr->constant = value;
    return expr;
}

kd_expr *kdi_column_expr(kd_ctx *ctx, kdi_binder *b, const kd_rel_column *column, int position)
{
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_COLUMN, column->type, position, 0);
    if (expr != NULL) {
        expr->column = column->id;
        expr->name = column->name;
    }
    return expr;
}

kd_expr *kdi_not(kd_ctx *ctx, kdi_binder *b, kd_expr *argument)
{
    kd_expr *expr =
        kdi_expr_new(ctx, b, KD_EXPR_NOT, kd_type_of(KD_TYPE_BOOL), argument->position, 1);
    if (expr != NULL)
        expr->arguments[0] = argument;
    return expr;
}

kd_status kdi_and(kd_ctx *ctx, kdi_binder *b, kd_expr *left, kd_expr *right, kd_expr **out)
{
    *out = left == NULL ? right : left;
    if (left == NULL || right == NULL)
        return KD_OK;
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_AND, kd_type_of(KD_TYPE_BOOL), left->position, 2);
    if (expr == NULL)
        return KD_NOMEM;
    expr->arguments[0] = left;
    expr->arguments[1] = right;
    *out = expr;
    return KD_OK;
}

kd_rel *kdi_rel_new(kd_ctx *ctx, kdi_binder *b, kd_rel_kind kind, int position,
                    uint32_t column_count)
{
    kd_rel *rel = KD_NEW(ctx, b->arena, kd_rel);
    if (rel == NULL)
        return NULL;
    rel->kind = kind;
    rel->position = position;
    rel->column_count = column_count;
    rel->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, column_count);
    return rel->columns == NULL ? NULL : rel;
}

kd_rel *kdi_rel_over(kd_ctx *ctx, kdi_binder *b, kd_rel_kind kind, kd_rel *input)
{
    kd_rel *rel = KD_NEW(ctx, b->arena, kd_rel);
    if (rel == NULL)
        return NULL;
    rel->kind = kind;
    rel->position = input->position;
    rel->column_count = input->column_count;
    rel->columns = input->columns;
    rel->inputs[0] = input;
    input->above = rel;
    return rel;
}

kd_rel *kdi_rel_one_row(kd_ctx *ctx, kdi_binder *b)
{
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_VALUES, -1, 0);
    if (rel == NULL)
        return NULL;
    rel->as.values.row_count = 1;
    rel->as.values.rows = KD_NEW_ARRAY(ctx, b->arena, kd_expr **, 1);
    return rel->as.values.rows == NULL ? NULL : rel;
}

kd_status kdi_rel_filter(kd_ctx *ctx, kdi_binder *b, kd_expr *condition, kd_rel **io_rel)
{
    if (condition == NULL)
        return KD_OK;
    kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_FILTER, *io_rel);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.filter.condition = condition;
    *io_rel = rel;
    return KD_OK;
}

static bool gives_column(const kd_rel *rel, kd_column_id id)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (rel->columns[i].id == id)
            return true;
    return false;
}

static bool id_is_taken(const kd_rel *rel, uint32_t before, kd_column_id id)
{
    for (uint32_t i = 0; i < before; i++)
        if (rel->columns[i].id == id)
            return true;
    return false;
}

kd_status kdi_rel_project(kd_ctx *ctx, kdi_binder *b, kd_rel *input, kd_expr **exprs,
                          const kd_slice *names, uint32_t count, bool keep_ids, kd_rel **out)
{
    *out = NULL;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_PROJECT, input->position, count);
    if (rel == NULL)
        return KD_NOMEM;
    rel->inputs[0] = input;
    input->above = rel;
    rel->as.project.exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (rel->as.project.exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        rel->as.project.exprs[i] = exprs[i];
        rel->columns[i].type = exprs[i]->type;
        if (names != NULL)
            rel->columns[i].name = names[i];
        /* An outer query's column gets a number of its own here. */
        bool keeps = keep_ids && exprs[i]->kind == KD_EXPR_COLUMN &&
                     gives_column(input, exprs[i]->column) &&
                     !id_is_taken(rel, i, exprs[i]->column);
        rel->columns[i].id = keeps ? exprs[i]->column : kdi_next_id(b);
    }
    *out = rel;
    return KD_OK;
}

kd_status kdi_rel_append(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel, kd_expr *expr,
                         kd_column_id *out)
{
    uint32_t count = (*io_rel)->column_count;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count + 1);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &(*io_rel)->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    exprs[count] = expr;
    KD_TRY(kdi_rel_project(ctx, b, *io_rel, exprs, NULL, count + 1, true, io_rel));
    *out = (*io_rel)->columns[count].id;
    return KD_OK;
}

kd_status kdi_rel_join(kd_ctx *ctx, kdi_binder *b, kd_join_kind kind, kd_rel *left, kd_rel *right,
                       kd_expr *condition, kd_rel **out)
{
    *out = NULL;
    bool one_side = kind == KD_JOIN_SEMI || kind == KD_JOIN_ANTI;
    uint32_t count = left->column_count + (one_side ? 0 : right->column_count);
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_JOIN, left->position, count);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        rel->columns[i] =
            i < left->column_count ? left->columns[i] : right->columns[i - left->column_count];
    rel->inputs[0] = left;
    rel->inputs[1] = right;
    left->above = right->above = rel;
    rel->as.join.kind = kind;
    rel->as.join.condition = condition;
    *out = rel;
    return KD_OK;
}

kd_status kdi_copy_expr(kd_ctx *ctx, kdi_binder *b, const kd_expr *expr, kd_expr **out)
{
    KD_TRY(kdi_enter(ctx, b));
    *out = KD_NEW(ctx, b->arena, kd_expr);
    if (*out == NULL)
        return KD_NOMEM;
    **out = *expr;
    (*out)->arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, expr->argument_count);
    if ((*out)->arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(kdi_copy_expr(ctx, b, expr->arguments[i], &(*out)->arguments[i]));
    kdi_leave(b);
    return KD_OK;
}
