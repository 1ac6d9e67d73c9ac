/*
 * Queries as wholes: VALUES, LIMIT, sub-queries in expressions.
 */
#include "sql/bind_internal.h"

static kd_status bind_body(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_node *node,
                           kd_rel **out)
{
    bool keep_unknown = b->keep_unknown;
    b->keep_unknown = false;
    if (node->kind == KD_AST_SETOP) {
        const kd_ast_setop *setop = (const kd_ast_setop *)node;
        KD_TRY(kdi_bind_with(ctx, b, outer, &setop->tail.with));
        return kdi_bind_setop(ctx, b, outer, setop, out);
    }
    const kd_ast_select *select = (const kd_ast_select *)node;
    KD_TRY(kdi_bind_with(ctx, b, outer, &select->tail.with));
    b->keep_unknown = keep_unknown && !select->is_values;
    return select->is_values ? kdi_bind_values(ctx, b, outer, select, out)
                             : kdi_bind_select(ctx, b, outer, select, out);
}

kd_status kdi_bind_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_node *node,
                         kd_rel **out)
{
    *out = NULL;
    KD_TRY(kdi_enter(ctx, b));
    kdi_with *with = b->with;
    bool wants_refs = b->wants_refs;
    b->wants_refs = false;
    KD_TRY(bind_body(ctx, b, outer, node, out));
    b->wants_refs = wants_refs;
    b->with = with;
    kdi_leave(b);
    return KD_OK;
}

/* --- LIMIT --- */

/* `names` are those of the query itself, which may not be used; NULL: it has none. */
static kd_status bind_count(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kdi_names *names,
                            const kd_ast_node *node, const char *clause, kd_expr **out)
{
    *out = NULL;
    if (node == NULL)
        return KD_OK;
    kdi_query query = {.clause = clause};
    kdi_scope scope = {
        .outer = outer, .query = &query, .depth = outer == NULL ? 0 : outer->depth + 1};
    if (names != NULL)
        scope.names = *names;
    int deepest = b->deepest;
    b->deepest = -1;
    KD_TRY(kdi_bind_expr(ctx, b, &scope, node, out));
    if (b->deepest == scope.depth)
        return kdi_at(
            ctx, b, node->position,
            KD_FAIL(ctx, KD_INVALID, "42P10", "argument of %s must not contain variables", clause));
    b->deepest = deepest > b->deepest ? deepest : b->deepest;
    if ((*out)->kind == KD_EXPR_CONSTANT && (*out)->constant.is_null) {
        *out = NULL; /* LIMIT NULL is no limit. */
        return KD_OK;
    }
    if ((*out)->kind == KD_EXPR_CONSTANT && (*out)->type.id == KD_TYPE_INT4) {
        int32_t count = (*out)->constant.as.i32;
        if (count < 0)
            return kdi_at(ctx, b, node->position,
                          KD_FAIL(ctx, KD_INVALID, clause[0] == 'L' ? "2201W" : "2201X",
                                  "%s must not be negative", clause));
        *out = kdi_constant(ctx, b, kd_value_i64(count), node->position);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_INT8), KD_CAST_ASSIGNMENT, out);
}

kd_status kdi_bind_limit(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kdi_names *names,
                         const kd_ast_query_tail *tail, kd_rel **io_rel)
{
    if (tail->limit_percent)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "LIMIT in percent is not supported");
    kd_expr *count = NULL, *offset;
    if (!tail->limit_all)
        KD_TRY(bind_count(ctx, b, outer, names, tail->limit, "LIMIT", &count));
    KD_TRY(bind_count(ctx, b, outer, names, tail->offset, "OFFSET", &offset));
    if (tail->with_ties && tail->limit != NULL && count == NULL)
        return KD_FAIL(ctx, KD_INVALID, "2201W",
                       "row count cannot be null in FETCH FIRST ... WITH TIES clause");
    if (count == NULL && offset == NULL)
        return KD_OK;
    kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_LIMIT, *io_rel);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.limit.count = count;
    rel->as.limit.offset = offset;
    rel->as.limit.with_ties = tail->with_ties;
    *io_rel = rel;
    return KD_OK;
}

kd_status kdi_bind_sort_key(kd_ctx *ctx, kdi_binder *b, const kd_ast_sort *ast, kd_expr *expr,
                            kd_sort_key *out)
{
    KD_TRY(kdi_settle(ctx, b, &expr));
    if (expr->type.id == KD_TYPE_JSON || expr->type.id == KD_TYPE_JSONPATH)
        return kdi_at(ctx, b, expr->position,
                      KD_FAIL(ctx, KD_INVALID, "42883",
                              "could not identify an ordering operator for type %s",
                              kdi_type_text(ctx, b, expr->type)));
    out->expr = expr;
    out->descending = ast->direction == KD_AST_DESCENDING;
    if (ast->direction == KD_AST_USING) {
        out->descending = kd_slice_equal(ast->using_operator, KD_SLICE(">"));
        if (!out->descending && !kd_slice_equal(ast->using_operator, KD_SLICE("<")))
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42809",
                                  "operator %.*s is not a valid ordering operator",
                                  KDI_S(ast->using_operator)));
    }
    out->nulls_first =
        ast->nulls == KD_AST_NULLS_DEFAULT ? out->descending : ast->nulls == KD_AST_NULLS_FIRST;
    return KD_OK;
}

/* --- VALUES --- */

static kd_status bind_value_rows(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                 const kd_ast_select *ast, kd_rel *rel)
{
    for (uint32_t r = 0; r < rel->as.values.row_count; r++) {
        const kd_ast_args *row = (const kd_ast_args *)ast->values.items[r];
        if (row->args.count != rel->column_count)
            return kdi_at(
                ctx, b, row->node.position,
                KD_FAIL(ctx, KD_INVALID, "42601", "VALUES lists must all be the same length"));
        rel->as.values.rows[r] = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count);
        if (rel->as.values.rows[r] == NULL)
            return KD_NOMEM;
        for (uint32_t c = 0; c < rel->column_count; c++)
            KD_TRY(kdi_bind_expr(ctx, b, scope, row->args.items[c], &rel->as.values.rows[r][c]));
    }
    return KD_OK;
}

static kd_status unify_column(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, uint32_t column)
{
    uint32_t rows = rel->as.values.row_count;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rows);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t r = 0; r < rows; r++)
        exprs[r] = rel->as.values.rows[r][column];
    KD_TRY(kdi_unify(ctx, b, "VALUES", exprs, rows, &rel->columns[column].type));
    for (uint32_t r = 0; r < rows; r++)
        rel->as.values.rows[r][column] = exprs[r];
    char *name = kd_format_text(ctx, b->arena, "column%u", column + 1);
    if (name == NULL)
        return KD_NOMEM;
    rel->columns[column].name = kd_slice_of(name);
    rel->columns[column].id = kdi_next_id(b);
    return KD_OK;
}

/* ORDER BY over the columns that a query gives: names and positions. */
kd_status kdi_sort_output(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer,
                          const kd_ast_query_tail *tail, kd_rel **io_rel)
{
    kd_rel *input = *io_rel;
    size_t count = tail->order_by_all ? input->column_count : tail->order_by.count;
    if (count == 0)
        return kdi_bind_limit(ctx, b, outer, NULL, tail, io_rel);
    kd_rel *sort = kdi_rel_over(ctx, b, KD_REL_SORT, input);
    if (sort == NULL)
        return KD_NOMEM;
    sort->as.sort.key_count = (uint32_t)count;
    sort->as.sort.keys = KD_NEW_ARRAY(ctx, b->arena, kd_sort_key, count);
    if (sort->as.sort.keys == NULL)
        return KD_NOMEM;
    kdi_query query = {.clause = "ORDER BY"};
    kdi_scope scope = {
        .outer = outer, .query = &query, .depth = outer == NULL ? 0 : outer->depth + 1};
    for (uint32_t i = 0; i < input->column_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, &scope.names, input->columns[i]));
    for (size_t i = 0; i < count; i++) {
        const kd_ast_sort *key =
            (const kd_ast_sort *)tail->order_by.items[tail->order_by_all ? 0 : i];
        const kd_ast_constant *constant = (const kd_ast_constant *)key->value;
        kd_expr *expr;
        bool by_position = !tail->order_by_all && key->value->kind == KD_AST_CONSTANT &&
                           constant->what == KD_AST_INTEGER;
        if (tail->order_by_all || by_position) {
            int64_t at = by_position ? constant->integer : (int64_t)i + 1;
            if (at < 1 || at > input->column_count)
                return kdi_at(ctx, b, key->node.position,
                              KD_FAIL(ctx, KD_INVALID, "42P10",
                                      "ORDER BY position %lld is not in select list",
                                      (long long)at));
            expr = kdi_column_expr(ctx, b, &input->columns[at - 1], key->node.position);
            if (expr == NULL)
                return KD_NOMEM;
        } else {
            KD_TRY(kdi_bind_expr(ctx, b, &scope, key->value, &expr));
            if (input->kind == KD_REL_SET && expr->kind != KD_EXPR_COLUMN)
                return kdi_at(ctx, b, key->node.position,
                              KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                      "invalid UNION/INTERSECT/EXCEPT ORDER BY clause"));
        }
        KD_TRY(kdi_bind_sort_key(ctx, b, key, expr, &sort->as.sort.keys[i]));
    }
    *io_rel = sort;
    return kdi_bind_limit(ctx, b, outer, NULL, tail, io_rel);
}

kd_status kdi_bind_values(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_select *ast,
                          kd_rel **out)
{
    uint32_t rows = (uint32_t)ast->values.count;
    uint32_t columns = (uint32_t)((const kd_ast_args *)ast->values.items[0])->args.count;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_VALUES, ast->node.position, columns);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.values.row_count = rows;
    rel->as.values.rows = KD_NEW_ARRAY(ctx, b->arena, kd_expr **, rows);
    if (rel->as.values.rows == NULL)
        return KD_NOMEM;
    kdi_query query = {.clause = "VALUES"};
    kdi_scope scope = {
        .outer = outer, .query = &query, .depth = outer == NULL ? 0 : outer->depth + 1};
    KD_TRY(bind_value_rows(ctx, b, &scope, ast, rel));
    for (uint32_t c = 0; c < columns; c++)
        KD_TRY(unify_column(ctx, b, rel, c));
    *out = rel;
    return kdi_sort_output(ctx, b, outer, &ast->tail, out);
}

/* --- Sub-queries --- */

kd_status kdi_bind_subquery(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_subquery *ast, kd_expr **out)
{
    kd_rel *rel;
    uint32_t uses = b->working_uses;
    KD_TRY(kdi_bind_query(ctx, b, scope, ast->query, &rel));
    KD_TRY(kdi_refuse_working(ctx, b, uses, "a subquery"));
    kd_type type = kd_type_of(KD_TYPE_BOOL);
    kd_subquery_kind kind = KD_SUBQUERY_EXISTS;
    if (ast->what != KD_AST_SUBQUERY_EXISTS) {
        if (rel->column_count != 1)
            return kdi_at(
                ctx, b, ast->node.position,
                KD_FAIL(ctx, KD_INVALID, "42601", "subquery must return only one column"));
        type = rel->columns[0].type;
        kind = KD_SUBQUERY_SCALAR;
        if (ast->what == KD_AST_SUBQUERY_ARRAY) {
            kind = KD_SUBQUERY_ARRAY;
            type = type.is_array ? type : kd_type_array_of(type);
        }
    }
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_SUBQUERY, type, ast->node.position, 0);
    if (expr == NULL)
        return KD_NOMEM;
    expr->subquery_kind = kind;
    expr->subquery = rel;
    *out = expr;
    return KD_OK;
}

kd_status kdi_bind_quantified_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                    kd_expr **operands, uint32_t count, kd_slice operator_name,
                                    bool is_all, const kd_ast_node *query, int position,
                                    kd_expr **out)
{
    kd_rel *rel;
    uint32_t uses = b->working_uses;
    KD_TRY(kdi_bind_query(ctx, b, scope, query, &rel));
    KD_TRY(kdi_refuse_working(ctx, b, uses, "a subquery"));
    if (rel->column_count != count)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              rel->column_count < count ? "subquery has too few columns"
                                                        : "subquery has too many columns"));
    kd_expr *expr =
        kdi_expr_new(ctx, b, KD_EXPR_SUBQUERY, kd_type_of(KD_TYPE_BOOL), position, count);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (expr == NULL || types == NULL)
        return KD_NOMEM;
    expr->operators = KD_NEW_ARRAY(ctx, b->arena, const kd_function *, count);
    if (expr->operators == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_type wanted[2], result;
        KD_TRY(kdi_find_operator(ctx, b, operator_name, operands[i]->type, rel->columns[i].type,
                                 position, &expr->operators[i], wanted, &result));
        expr->arguments[i] = operands[i];
        KD_TRY(kdi_coerce(ctx, b, wanted[0], KD_CAST_IMPLICIT, &expr->arguments[i]));
        types[i] = wanted[1];
    }
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, &rel));
    expr->subquery_kind = is_all ? KD_SUBQUERY_ALL : KD_SUBQUERY_ANY;
    expr->subquery = rel;
    *out = expr;
    return KD_OK;
}
