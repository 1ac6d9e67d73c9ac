/*
 * Window calls: OVER clauses, named windows, frames.
 */
#include "sql/bind_internal.h"

static kd_status fail_window(kd_ctx *ctx, kdi_binder *b, int position, const char *sqlstate,
                             const char *message)
{
    return kdi_at(ctx, b, position, KD_FAIL(ctx, KD_INVALID, sqlstate, "%s", message));
}

static const kd_ast_window *find_definition(const kdi_query *query, kd_slice name)
{
    for (size_t i = 0; query->window_definitions != NULL && i < query->window_definitions->count;
         i++) {
        const kd_ast_window *it = (const kd_ast_window *)query->window_definitions->items[i];
        if (kd_slice_equal(it->name, name))
            return it;
    }
    return NULL;
}

/* The type of distances between values of a type; UNKNOWN: it has none. */
static kd_type_id distance_of(kd_type type)
{
    switch (type.is_array ? KD_TYPE_UNKNOWN : (kd_type_id)type.id) {
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
    case KD_TYPE_NUMERIC:
        return (kd_type_id)type.id;
    case KD_TYPE_FLOAT4:
    case KD_TYPE_FLOAT8:
        return KD_TYPE_FLOAT8;
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_INTERVAL:
        return KD_TYPE_INTERVAL;
    default:
        return kd_type_is_timestamp(type) ? KD_TYPE_INTERVAL : KD_TYPE_UNKNOWN;
    }
}

/* What an offset of RANGE is cast to: integers go with integers as they are. */
static kd_status range_type(kd_ctx *ctx, kdi_binder *b, kd_type ordered, kd_type given,
                            int position, kd_type *out)
{
    kd_type_id distance = distance_of(ordered);
    *out = kd_type_of(distance);
    if (distance == KD_TYPE_UNKNOWN)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "RANGE with offset PRECEDING/FOLLOWING is not supported for column "
                              "type %s",
                              kdi_type_text(ctx, b, ordered)));
    bool same_kind = kd_type_is_integer(*out) ? kd_type_is_integer(given) && !given.is_array
                                              : given.id == distance && !given.is_array;
    if (same_kind)
        *out = given;
    if (same_kind || kdi_is_unknown(given) ||
        kd_registry_can_coerce(b->registry, given, *out, KD_CAST_IMPLICIT))
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                               "RANGE with offset PRECEDING/FOLLOWING is not supported for column "
                               "type %s and offset type %s",
                               kdi_type_text(ctx, b, ordered), kdi_type_text(ctx, b, given));
    kd_error_set_hint(ctx, "Cast the offset value to an appropriate type.");
    return kdi_at(ctx, b, position, status);
}

static const char *mode_name(kd_frame_mode mode)
{
    return mode == KD_FRAME_ROWS ? "ROWS" : mode == KD_FRAME_RANGE ? "RANGE" : "GROUPS";
}

static kd_status count_of_rows(kd_ctx *ctx, kdi_binder *b, kd_frame_mode mode, int position,
                               kd_expr **io_offset)
{
    kd_type type = kd_type_of(KD_TYPE_INT8), given = (*io_offset)->type;
    if (!kdi_is_unknown(given) &&
        !kd_registry_can_coerce(b->registry, given, type, KD_CAST_ASSIGNMENT))
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42804",
                              "argument of %s must be type bigint, not type %s", mode_name(mode),
                              kdi_type_text(ctx, b, given)));
    return kdi_coerce(ctx, b, type, KD_CAST_ASSIGNMENT, io_offset);
}

static kd_status bind_offset(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_window *window,
                             const kd_ast_node *node, kd_expr **out)
{
    kd_type type;
    *out = NULL;
    if (node == NULL)
        return KD_OK;
    int deepest = b->deepest;
    b->deepest = -1;
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, out));
    if (b->deepest == scope->depth)
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_INVALID, "42P10", "argument of %s must not contain variables",
                              mode_name(window->mode)));
    b->deepest = deepest > b->deepest ? deepest : b->deepest;
    if (kd_expr_has_subquery(*out))
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "sub-queries in the offsets of frames are not supported"));
    if (window->mode != KD_FRAME_RANGE)
        return count_of_rows(ctx, b, window->mode, node->position, out);
    if (window->order_count != 1)
        return fail_window(ctx, b, node->position, "42P20",
                           "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY "
                           "column");
    KD_TRY(range_type(ctx, b, window->order_by[0].expr->type, (*out)->type, node->position, &type));
    return kdi_coerce(ctx, b, type, KD_CAST_IMPLICIT, out);
}

static kd_status bind_frame(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_window *ast,
                            kdi_window *window)
{
    window->mode = KD_FRAME_RANGE;
    window->start = KD_BOUND_UNBOUNDED_PRECEDING;
    window->end = KD_BOUND_CURRENT;
    if (ast->frame == KD_AST_FRAME_NONE)
        return KD_OK;
    window->has_frame = true;
    window->mode = ast->frame == KD_AST_FRAME_ROWS    ? KD_FRAME_ROWS
                   : ast->frame == KD_AST_FRAME_RANGE ? KD_FRAME_RANGE
                                                      : KD_FRAME_GROUPS;
    window->start = (kd_frame_bound)ast->start.what;
    window->end = (kd_frame_bound)ast->end.what;
    window->exclusion = (kd_frame_exclusion)ast->exclude;
    int position = ast->node.position;
    if (window->start == KD_BOUND_UNBOUNDED_FOLLOWING)
        return fail_window(ctx, b, position, "42P20", "frame start cannot be UNBOUNDED FOLLOWING");
    if (window->end == KD_BOUND_UNBOUNDED_PRECEDING)
        return fail_window(ctx, b, position, "42P20", "frame end cannot be UNBOUNDED PRECEDING");
    if (window->start > window->end)
        return fail_window(ctx, b, position, "42P20",
                           window->start == KD_BOUND_FOLLOWING
                               ? "frame starting from following row cannot have preceding rows"
                               : "frame starting from current row cannot have preceding rows");
    if (window->mode == KD_FRAME_GROUPS && window->order_count == 0)
        return fail_window(ctx, b, position, "42P20", "GROUPS mode requires an ORDER BY clause");
    KD_TRY(bind_offset(ctx, b, scope, window, ast->start.offset, &window->start_offset));
    return bind_offset(ctx, b, scope, window, ast->end.offset, &window->end_offset);
}

static kd_status bind_order(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_window *ast,
                            kdi_window *window)
{
    if (ast->partition_by.count > 0) {
        window->partition_count = (uint32_t)ast->partition_by.count;
        window->partition_by = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, window->partition_count);
        if (window->partition_by == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < window->partition_count; i++) {
            KD_TRY(
                kdi_bind_expr(ctx, b, scope, ast->partition_by.items[i], &window->partition_by[i]));
            KD_TRY(kdi_settle(ctx, b, &window->partition_by[i]));
            KD_TRY(kdi_check_equality(ctx, b, window->partition_by[i]->type,
                                      ast->partition_by.items[i]->position));
        }
    }
    if (ast->order_by.count == 0)
        return KD_OK;
    window->order_count = (uint32_t)ast->order_by.count;
    window->order_by = KD_NEW_ARRAY(ctx, b->arena, kd_sort_key, window->order_count);
    if (window->order_by == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < window->order_count; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)ast->order_by.items[i];
        kd_expr *expr;
        KD_TRY(kdi_bind_expr(ctx, b, scope, sort->value, &expr));
        KD_TRY(kdi_bind_sort_key(ctx, b, sort, expr, &window->order_by[i]));
    }
    return KD_OK;
}

static kd_status bind_definition(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                 const kd_ast_window *ast, kdi_window *out)
{
    KD_TRY(kdi_enter(ctx, b));
    kd_slice base = ast->is_reference ? ast->name : ast->base;
    if (base.size_bytes > 0) {
        const kd_ast_window *found = find_definition(scope->query, base);
        if (found == NULL)
            return kdi_at(
                ctx, b, ast->node.position,
                KD_FAIL(ctx, KD_INVALID, "42704", "window \"%.*s\" does not exist", KDI_S(base)));
        KD_TRY(bind_definition(ctx, b, scope, found, out));
        if (ast->is_reference) {
            kdi_leave(b);
            return KD_OK;
        }
        if (out->has_frame)
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42P20",
                                  "cannot copy window \"%.*s\" because it has a frame clause",
                                  KDI_S(base)));
        const char *wrong = ast->partition_by.count > 0 ? "PARTITION BY clause"
                            : ast->order_by.count > 0 && out->order_count > 0 ? "ORDER BY clause"
                                                                              : NULL;
        if (wrong != NULL)
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42P20", "cannot override %s of window \"%.*s\"",
                                  wrong, KDI_S(base)));
    }
    KD_TRY(bind_order(ctx, b, scope, ast, out));
    KD_TRY(bind_frame(ctx, b, scope, ast, out));
    kdi_leave(b);
    return KD_OK;
}

static bool same_window(const kdi_window *a, const kdi_window *b)
{
    if (a->partition_count != b->partition_count || a->order_count != b->order_count)
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++)
        if (!kd_expr_equal(a->partition_by[i], b->partition_by[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!kd_expr_equal(a->order_by[i].expr, b->order_by[i].expr) ||
            a->order_by[i].descending != b->order_by[i].descending ||
            a->order_by[i].nulls_first != b->order_by[i].nulls_first)
            return false;
    return true;
}

/* Types of the window functions that are not aggregates. */
static kd_status resolve_named(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                               kd_window_call *call, bool *out_found)
{
    static const struct {
        const char *name;
        uint8_t min, max;
        uint8_t type; /* UNKNOWN: the first argument's. */
    } forms[] = {
        {"row_number", 0, 0, KD_TYPE_INT8},     {"rank", 0, 0, KD_TYPE_INT8},
        {"dense_rank", 0, 0, KD_TYPE_INT8},     {"percent_rank", 0, 0, KD_TYPE_FLOAT8},
        {"cume_dist", 0, 0, KD_TYPE_FLOAT8},    {"ntile", 1, 1, KD_TYPE_INT4},
        {"lag", 1, 3, KD_TYPE_UNKNOWN},         {"lead", 1, 3, KD_TYPE_UNKNOWN},
        {"first_value", 1, 1, KD_TYPE_UNKNOWN}, {"last_value", 1, 1, KD_TYPE_UNKNOWN},
        {"nth_value", 2, 2, KD_TYPE_UNKNOWN},
    };
    *out_found = false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint32_t count = call->argument_count;
        if (!kd_slice_equal(ast->function.name, kd_slice_of(forms[i].name)) ||
            count < forms[i].min || count > forms[i].max)
            continue;
        *out_found = true;
        call->name = kd_slice_of(forms[i].name);
        call->type = kd_type_of(forms[i].type);
        kd_type integer = kd_type_of(KD_TYPE_INT4);
        if (forms[i].type == KD_TYPE_INT4)
            return kdi_coerce(ctx, b, integer, KD_CAST_IMPLICIT, &call->arguments[0]);
        if (forms[i].type != KD_TYPE_UNKNOWN)
            return KD_OK;
        if (count > 1)
            KD_TRY(kdi_coerce(ctx, b, integer, KD_CAST_IMPLICIT, &call->arguments[1]));
        if (count == 3) {
            kd_expr *pair[2] = {call->arguments[0], call->arguments[2]};
            kd_type type;
            KD_TRY(kdi_unify(ctx, b, "lag/lead", pair, 2, &type));
            call->arguments[0] = pair[0];
            call->arguments[2] = pair[1];
        }
        KD_TRY(kdi_settle(ctx, b, &call->arguments[0]));
        call->type = call->arguments[0]->type;
        return KD_OK;
    }
    return KD_OK;
}

static kd_status resolve(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_window_call *call)
{
    bool found;
    KD_TRY(resolve_named(ctx, b, ast, call, &found));
    if (found)
        return KD_OK;
    bool counts = kd_slice_equal(ast->function.name, KD_SLICE("count"));
    if (counts && call->argument_count == 0 && !ast->star)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "count(*) must be used to call a parameterless aggregate function"));
    if (counts && ast->star) {
        call->type = kd_type_of(KD_TYPE_INT8);
        return KD_OK;
    }
    uint32_t count = call->argument_count;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL || wanted == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = call->arguments[i]->type;
    if (!kd_registry_find_aggregate(b->registry, ast->function.name, types, count, &call->aggregate,
                                    wanted, &call->type)) {
        bool known = kd_registry_has_name(b->registry, ast->function.name);
        if (known && !kd_registry_is_aggregate(b->registry, ast->function.name))
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42809",
                                  "OVER specified, but %.*s is not a window function nor an "
                                  "aggregate function",
                                  KDI_S(ast->function.name)));
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42883", "function %s does not exist",
                              kdi_signature(ctx, b, ast->function.name, types, count)));
    }
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &call->arguments[i]));
    return KD_OK;
}

static kd_status window_find_or_add(kd_ctx *ctx, kdi_binder *b, kdi_query *query,
                                    const kdi_window *wanted, kdi_window **out)
{
    for (size_t i = 0; i < query->window_count; i++)
        if (same_window(query->windows[i], wanted)) {
            *out = query->windows[i];
            return KD_OK;
        }
    kdi_window **slot;
    KD_TRY(
        KD_PUSH(ctx, b->arena, query->windows, query->window_count, query->window_capacity, &slot));
    *slot = KD_NEW(ctx, b->arena, kdi_window);
    if (*slot == NULL)
        return KD_NOMEM;
    **slot = *wanted;
    *out = *slot;
    return KD_OK;
}

static kd_status check_call(kd_ctx *ctx, kdi_binder *b, const kdi_query *query,
                            const kd_ast_call *ast)
{
    int position = ast->node.position;
    if (query == NULL || !query->windows_ok)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42P20", "window functions are not allowed in %s",
                              query == NULL ? "this context" : query->clause));
    if (query->inside_aggregate)
        return fail_window(ctx, b, position, "42803",
                           "aggregate function calls cannot contain window function calls");
    if (query->inside_window)
        return fail_window(ctx, b, position, "42P20", "window function calls cannot be nested");
    if (ast->distinct)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "DISTINCT is not implemented for window functions"));
    if (ast->ignore_nulls || ast->order_by.count > 0 || ast->within_group.count > 0)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "ORDER BY, WITHIN GROUP and IGNORE NULLS are not implemented for "
                              "window functions"));
    return KD_OK;
}

kd_status kdi_bind_window_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                               kd_expr **out)
{
    kdi_query *query = scope == NULL ? NULL : scope->query;
    KD_TRY(check_call(ctx, b, query, ast));
    query->inside_window = true;
    kd_window_call call = {.argument_count = (uint32_t)ast->arg_count};
    call.arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, ast->arg_count);
    if (call.arguments == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->arg_count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->args[i].value, &call.arguments[i]));
    if (ast->filter != NULL)
        KD_TRY(kdi_bind_condition(ctx, b, scope, ast->filter, "FILTER", &call.filter));
    kdi_window wanted = {0};
    KD_TRY(bind_definition(ctx, b, scope, ast->over, &wanted));
    query->inside_window = false;
    KD_TRY(resolve(ctx, b, ast, &call));
    call.mode = wanted.mode;
    call.start = wanted.start;
    call.end = wanted.end;
    call.start_offset = wanted.start_offset;
    call.end_offset = wanted.end_offset;
    call.exclusion = wanted.exclusion;
    call.output = kdi_next_id(b);
    kdi_window *window;
    KD_TRY(window_find_or_add(ctx, b, query, &wanted, &window));
    kd_window_call *added;
    KD_TRY(
        KD_PUSH(ctx, b->arena, window->calls, window->call_count, window->call_capacity, &added));
    *added = call;
    kd_rel_column column = {.id = call.output, .type = call.type};
    *out = kdi_column_expr(ctx, b, &column, ast->node.position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_check_windows(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_list *windows)
{
    for (size_t i = 0; i < windows->count; i++) {
        const kd_ast_window *window = (const kd_ast_window *)windows->items[i];
        for (size_t k = 0; k < i; k++)
            if (kd_slice_equal(((const kd_ast_window *)windows->items[k])->name, window->name))
                return kdi_at(ctx, b, window->node.position,
                              KD_FAIL(ctx, KD_INVALID, "42P20",
                                      "window \"%.*s\" is already defined", KDI_S(window->name)));
        kdi_window unused = {0};
        kd_slice base = window->base;
        for (size_t k = 0; k < i && base.size_bytes > 0; k++)
            if (kd_slice_equal(((const kd_ast_window *)windows->items[k])->name, base))
                base.size_bytes = 0;
        if (base.size_bytes > 0) /* Only those defined before may be extended. */
            return kdi_at(
                ctx, b, window->node.position,
                KD_FAIL(ctx, KD_INVALID, "42704", "window \"%.*s\" does not exist", KDI_S(base)));
        scope->query->inside_window = true;
        KD_TRY(bind_definition(ctx, b, scope, window, &unused));
        scope->query->inside_window = false;
    }
    return KD_OK;
}
