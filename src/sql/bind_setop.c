/*
 * Set operations: UNION, INTERSECT, EXCEPT, with one type per column.
 */
#include "sql/bind_internal.h"

kd_status kdi_cast_columns(kd_ctx *ctx, kdi_binder *b, const kd_type *types,
                           kd_cast_context context, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, rel->column_count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    bool changed = false;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        /* An untyped literal takes the type where it stands. */
        if (kdi_is_unknown(rel->columns[i].type) && rel->kind == KD_REL_PROJECT) {
            KD_TRY(kdi_coerce(ctx, b, types[i], context, &rel->as.project.exprs[i]));
            rel->columns[i].type = rel->as.project.exprs[i]->type;
        }
        exprs[i] = kdi_column_expr(ctx, b, &rel->columns[i], rel->position);
        if (exprs[i] == NULL)
            return KD_NOMEM;
        names[i] = rel->columns[i].name;
        KD_TRY(kdi_coerce(ctx, b, types[i], context, &exprs[i]));
        changed |= exprs[i]->kind != KD_EXPR_COLUMN;
    }
    if (!changed)
        return KD_OK;
    return kdi_rel_project(ctx, b, rel, exprs, names, rel->column_count, true, io_rel);
}

kd_status kdi_set_rel(kd_ctx *ctx, kdi_binder *b, kd_set_kind kind, bool all, kd_rel *left,
                      kd_rel *right, int position, kd_rel **out)
{
    uint32_t count = left->column_count;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_SET, position, count);
    kd_column_id *left_ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, count);
    kd_column_id *right_ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, count);
    if (rel == NULL || left_ids == NULL || right_ids == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        rel->columns[i] = (kd_rel_column){
            .id = kdi_next_id(b), .type = left->columns[i].type, .name = left->columns[i].name};
        left_ids[i] = left->columns[i].id;
        right_ids[i] = right->columns[i].id;
    }
    rel->inputs[0] = left;
    rel->inputs[1] = right;
    rel->as.set.kind = kind;
    rel->as.set.all = all;
    rel->as.set.left_ids = left_ids;
    rel->as.set.right_ids = right_ids;
    *out = rel;
    return KD_OK;
}

static const char *kind_name(kd_set_kind kind)
{
    return kind == KD_SET_UNION ? "UNION" : kind == KD_SET_INTERSECT ? "INTERSECT" : "EXCEPT";
}

/* UNION BY NAME: the right side's columns in the left's order; missing ones are NULL. */
static kd_status reorder_by_name(kd_ctx *ctx, kdi_binder *b, const kd_slice *names, uint32_t count,
                                 kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t c = 0; c < rel->column_count && exprs[i] == NULL; c++)
            if (kd_slice_equal(rel->columns[c].name, names[i]))
                exprs[i] = kdi_column_expr(ctx, b, &rel->columns[c], rel->position);
        if (exprs[i] == NULL)
            exprs[i] = kdi_constant(ctx, b, kd_value_null(kd_type_of(KD_TYPE_UNKNOWN)), -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    return kdi_rel_project(ctx, b, rel, exprs, names, count, true, io_rel);
}

static kd_status match_names(kd_ctx *ctx, kdi_binder *b, kd_rel **left, kd_rel **right)
{
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice,
                                   (size_t)(*left)->column_count + (*right)->column_count);
    if (names == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    kd_rel *sides[2] = {*left, *right};
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < sides[s]->column_count; i++) {
            uint32_t at = 0;
            while (at < count && !kd_slice_equal(names[at], sides[s]->columns[i].name))
                at++;
            if (at == count)
                names[count++] = sides[s]->columns[i].name;
        }
    KD_TRY(reorder_by_name(ctx, b, names, count, left));
    return reorder_by_name(ctx, b, names, count, right);
}

static kd_status unify_sides(kd_ctx *ctx, kdi_binder *b, kd_set_kind kind, int position,
                             kd_rel **left, kd_rel **right)
{
    if ((*left)->column_count != (*right)->column_count)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "each %s query must have the same number of columns",
                              kind_name(kind)));
    uint32_t count = (*left)->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_type pair[2] = {(*left)->columns[i].type, (*right)->columns[i].type};
        if (!kd_registry_common_type(b->registry, pair, 2, &types[i]))
            return kdi_at(ctx, b, position,
                          KD_FAIL(ctx, KD_INVALID, "42804", "%s types %s and %s cannot be matched",
                                  kind_name(kind), kdi_type_text(ctx, b, pair[0]),
                                  kdi_type_text(ctx, b, pair[1])));
    }
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, left));
    return kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, right);
}

kd_status kdi_bind_setop(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_setop *ast,
                         kd_rel **out)
{
    static const kd_set_kind kinds[] = {[KD_AST_UNION] = KD_SET_UNION,
                                        [KD_AST_INTERSECT] = KD_SET_INTERSECT,
                                        [KD_AST_EXCEPT] = KD_SET_EXCEPT};
    kd_rel *left, *right;
    b->keep_unknown = true;
    KD_TRY(kdi_bind_query(ctx, b, outer, ast->left, &left));
    b->keep_unknown = true;
    KD_TRY(kdi_bind_query(ctx, b, outer, ast->right, &right));
    b->keep_unknown = false;
    kd_set_kind kind = kinds[ast->what];
    if (ast->by_name)
        KD_TRY(match_names(ctx, b, &left, &right));
    KD_TRY(unify_sides(ctx, b, kind, ast->right->position, &left, &right));
    for (uint32_t i = 0; i < left->column_count && !(ast->all && kind == KD_SET_UNION); i++)
        KD_TRY(kdi_check_equality(ctx, b, left->columns[i].type, ast->right->position));
    KD_TRY(kdi_set_rel(ctx, b, kind, ast->all, left, right, ast->node.mark, out));
    if (ast->tail.locking.count > 0)
        return kdi_at(ctx, b, ast->tail.locking.items[0]->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT"));
    return kdi_sort_output(ctx, b, outer, &ast->tail, out);
}
