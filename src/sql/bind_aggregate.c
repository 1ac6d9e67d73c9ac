/*
 * Aggregate calls: where they belong, their arguments, FILTER, ORDER BY, WITHIN GROUP.
 *
 * A call belongs to the innermost query whose columns its arguments name; to the
 * query it stands in when they name none.
 */
#include "sql/bind_internal.h"

static kd_status not_here(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, const char *message,
                          const char *clause)
{
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42803", "%s%s", message, clause));
}

/* The highest depth in the set that is not below `limit`; -1: none. */
static int deepest_below(uint64_t depths, int limit)
{
    if (limit < 63)
        depths &= ((uint64_t)2 << limit) - 1;
    return depths == 0 ? -1 : 63 - __builtin_clzll(depths);
}

static kdi_scope *query_scope(kdi_scope *scope)
{
    while (scope != NULL && scope->query == NULL)
        scope = scope->outer;
    return scope;
}

/* `*out_direct_depths` is of the arguments before WITHIN GROUP, which do not decide whose call it
 * is. */
static kd_status bind_arguments(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_call *ast, kd_aggregate_call *call,
                                uint64_t *out_direct_depths)
{
    uint32_t sorted = (uint32_t)ast->within_group.count;
    uint32_t count = (uint32_t)ast->arg_count + sorted;
    call->argument_count = count;
    call->arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (call->arguments == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->arg_count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->args[i].value, &call->arguments[i]));
    *out_direct_depths = sorted > 0 ? b->found_depths : 0;
    if (sorted > 0)
        b->found_depths = 0;
    for (uint32_t i = 0; i < sorted; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)ast->within_group.items[i];
        KD_TRY(kdi_bind_expr(ctx, b, scope, sort->value, &call->arguments[ast->arg_count + i]));
    }
    const kd_ast_list *order = sorted > 0 ? &ast->within_group : &ast->order_by;
    call->order_count = (uint32_t)order->count;
    call->order = KD_NEW_ARRAY(ctx, b->arena, kd_sort_key, order->count);
    if (call->order == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < order->count; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)order->items[i];
        kd_expr *expr = NULL;
        if (sorted > 0)
            expr = call->arguments[ast->arg_count + i];
        else
            KD_TRY(kdi_bind_expr(ctx, b, scope, sort->value, &expr));
        KD_TRY(kdi_bind_sort_key(ctx, b, sort, expr, &call->order[i]));
    }
    if (ast->filter != NULL)
        KD_TRY(kdi_bind_condition(ctx, b, scope, ast->filter, "FILTER", &call->filter));
    return KD_OK;
}

static kd_status resolve(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                         kd_aggregate_call *call)
{
    uint32_t count = call->argument_count;
    kd_slice name = ast->function.name;
    bool counts = kd_slice_equal(name, KD_SLICE("count"));
    if (counts && count == 0 && !ast->star)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "count(*) must be used to call a parameterless aggregate function"));
    if (counts && ast->star) {
        call->aggregate = NULL;
        call->type = kd_type_of(KD_TYPE_INT8);
        return KD_OK;
    }
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL || wanted == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = call->arguments[i]->type;
    if (!kd_registry_find_aggregate(b->registry, name, types, count, &call->aggregate, wanted,
                                    &call->type)) {
        KD_FAIL(ctx, KD_INVALID, "42883", "function %s does not exist",
                kdi_signature(ctx, b, name, types, count));
        kd_error_set_hint(ctx, "No function matches the given name and argument types. You might "
                               "need to add explicit type casts.");
        return kdi_at(ctx, b, ast->node.position, KD_INVALID);
    }
    bool ordered_set = call->aggregate->ordered_set != 0;
    /* mode(x) is mode() WITHIN GROUP (ORDER BY x). */
    if (ordered_set && ast->within_group.count == 0 && ast->order_by.count == 0 && count == 1) {
        call->order = KD_NEW(ctx, b->arena, kd_sort_key);
        if (call->order == NULL)
            return KD_NOMEM;
        call->order_count = 1;
        KD_TRY(kdi_coerce(ctx, b, wanted[0], KD_CAST_IMPLICIT, &call->arguments[0]));
        call->order[0].expr = call->arguments[0];
        return KD_OK;
    }
    if (ordered_set != (ast->within_group.count > 0))
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              ordered_set
                                  ? "WITHIN GROUP is required for ordered-set aggregate %.*s"
                                  : "%.*s is not an ordered-set aggregate, so it cannot "
                                    "have WITHIN GROUP",
                              KDI_S(name)));
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &call->arguments[i]));
        if (ordered_set && i >= ast->arg_count)
            call->order[i - ast->arg_count].expr = call->arguments[i];
    }
    return KD_OK;
}

/* DISTINCT sorts by the arguments, so another order has no meaning. Asked before arguments are
 * coerced: a cast that was written makes another expression. */
static kd_status check_distinct_order(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                      const kd_aggregate_call *call)
{
    for (uint32_t i = 0; call->distinct && i < call->order_count; i++) {
        bool found = false;
        for (uint32_t a = 0; a < call->argument_count; a++)
            found |= kd_expr_equal(call->arguments[a], call->order[i].expr);
        if (!found)
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42P10",
                                  "in an aggregate with DISTINCT, ORDER BY expressions must appear "
                                  "in argument list"));
    }
    return KD_OK;
}

static bool same_call(const kd_aggregate_call *a, const kd_aggregate_call *b)
{
    if (a->aggregate != b->aggregate || a->argument_count != b->argument_count ||
        a->distinct != b->distinct || a->order_count != b->order_count ||
        (a->filter == NULL) != (b->filter == NULL) ||
        (a->filter != NULL && !kd_expr_equal(a->filter, b->filter)))
        return false;
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (!kd_expr_equal(a->arguments[i], b->arguments[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!kd_expr_equal(a->order[i].expr, b->order[i].expr) ||
            a->order[i].descending != b->order[i].descending ||
            a->order[i].nulls_first != b->order[i].nulls_first)
            return false;
    return true;
}

static kd_status call_add(kd_ctx *ctx, kdi_binder *b, kdi_query *query, kd_aggregate_call *call,
                          int position, kd_expr **out)
{
    const kd_aggregate_call *found = NULL;
    for (size_t i = 0; i < query->call_count && found == NULL; i++)
        if (same_call(&query->calls[i], call))
            found = &query->calls[i];
    if (found == NULL) {
        kd_aggregate_call *added;
        KD_TRY(
            KD_PUSH(ctx, b->arena, query->calls, query->call_count, query->call_capacity, &added));
        call->output = kdi_next_id(b);
        *added = *call;
        found = added;
    }
    kd_rel_column column = {.id = found->output, .type = found->type};
    *out = kdi_column_expr(ctx, b, &column, position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* Whose call it is: all columns of outer queries make it an outer one's. Those of sub-queries in
 * the arguments do not count. */
static kd_status find_home(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                           uint64_t direct_depths, kdi_scope **io_home)
{
    kdi_scope *home = *io_home, *there = home;
    int found = deepest_below(b->found_depths, home->depth);
    int direct = deepest_below(direct_depths, home->depth);
    if (found >= 0 && direct > found)
        return not_here(ctx, b, ast,
                        "outer-level aggregate cannot contain a lower-level variable in ",
                        "its direct arguments");
    while (found >= 0 && there != NULL && there->depth > found)
        there = there->outer;
    if (found >= 0 && there != NULL && there->is_lateral)
        return not_here(ctx, b, ast, "aggregate functions are not allowed in ",
                        "FROM clause of their own query level");
    while (found >= 0 && home->outer != NULL && query_scope(home->outer) != NULL &&
           home->depth > found)
        home = query_scope(home->outer);
    *io_home = home;
    if (home->query->inside_aggregate)
        return not_here(ctx, b, ast, "aggregate function calls cannot be nested", "");
    return home->query->aggregates_ok
               ? KD_OK
               : not_here(ctx, b, ast, "aggregate functions are not allowed in ",
                          home->query->clause);
}

kd_status kdi_note_direct(kd_ctx *ctx, kdi_binder *b, kdi_query *query, kd_expr *argument)
{
    kd_expr **slot;
    KD_TRY(
        KD_PUSH(ctx, b->arena, query->direct, query->direct_count, query->direct_capacity, &slot));
    *slot = argument;
    return KD_OK;
}

kd_status kdi_bind_aggregate(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                             kd_expr **out)
{
    kdi_scope *home = query_scope(scope);
    if (home == NULL)
        return not_here(ctx, b, ast, "aggregate functions are not allowed in ", "this context");
    int deepest = b->deepest;
    uint64_t depths = b->found_depths, direct_depths;
    b->deepest = -1;
    b->found_depths = 0;
    kdi_query *query = home->query;
    if (query->inside_aggregate)
        return not_here(ctx, b, ast, "aggregate function calls cannot be nested", "");
    query->inside_aggregate = true;
    kd_aggregate_call call = {.distinct = ast->distinct};
    KD_TRY(bind_arguments(ctx, b, scope, ast, &call, &direct_depths));
    query->inside_aggregate = false;
    KD_TRY(check_distinct_order(ctx, b, ast, &call));
    KD_TRY(resolve(ctx, b, ast, &call));
    for (uint32_t i = 0; i < call.argument_count && call.distinct; i++)
        KD_TRY(kdi_check_equality(ctx, b, call.arguments[i]->type, ast->node.position));
    KD_TRY(find_home(ctx, b, ast, direct_depths, &home));
    b->found_depths |= depths | direct_depths;
    if (deepest > b->deepest)
        b->deepest = deepest;
    for (size_t i = 0; i < ast->arg_count && ast->within_group.count > 0; i++)
        KD_TRY(kdi_note_direct(ctx, b, home->query, call.arguments[i]));
    return call_add(ctx, b, home->query, &call, ast->node.position, out);
}
