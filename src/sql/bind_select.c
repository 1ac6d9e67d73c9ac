/*
 * SELECT, from the clauses in their logical order to a tree of operators:
 *
 *     FROM, WHERE, GROUP BY, HAVING, windows, set-returning functions, select list,
 *     DISTINCT, ORDER BY, row locks, LIMIT
 *
 * ORDER BY expressions that are not in the select list, and the row references
 * that locks need, travel as extra columns behind it and are cut off at the end.
 */
#include "sql/bind_internal.h"

typedef struct select_state {
    const kd_ast_select *ast;
    kdi_query query;
    kdi_scope scope;
    kd_rel *rel;
    kdi_targets targets; /* Extra columns included, from visible_count on. */
    uint32_t visible_count;
    uint32_t order_count;
    kd_sort_key *order;
    uint32_t *order_targets; /* Per key: which target it is. */
    uint32_t on_count;
    uint32_t *on_targets;
    kd_expr *having, *qualify;
    kd_expr **postponed; /* Per visible target: volatile, computed after the sort; or NULL. */
} select_state;

static kd_status push_target(kd_ctx *ctx, kdi_binder *b, select_state *s, kd_expr *expr)
{
    kd_expr **slot;
    kd_slice *name;
    KD_TRY(KD_PUSH(ctx, b->arena, s->targets.exprs, s->targets.count, s->targets.expr_capacity,
                   &slot));
    KD_TRY(KD_PUSH(ctx, b->arena, s->targets.names, s->targets.name_count, s->targets.name_capacity,
                   &name));
    *slot = expr;
    return KD_OK;
}

static kd_status extra_target(kd_ctx *ctx, kdi_binder *b, select_state *s, kd_expr *expr,
                              uint32_t *out_index)
{
    for (uint32_t i = 0; i < s->targets.count; i++)
        if (kd_expr_equal(s->targets.exprs[i], expr)) {
            *out_index = i;
            return KD_OK;
        }
    *out_index = (uint32_t)s->targets.count;
    return push_target(ctx, b, s, expr);
}

/* ORDER BY and DISTINCT ON items: an output name, a position, or an expression. */
static kd_status bind_output_item(kd_ctx *ctx, kdi_binder *b, select_state *s,
                                  const kd_ast_node *node, const char *clause, uint32_t *out_index)
{
    const kd_ast_column *column = (const kd_ast_column *)node;
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    if (node->kind == KD_AST_COLUMN && column->part_count == 1) {
        uint32_t found = UINT32_MAX;
        for (uint32_t i = 0; i < s->visible_count; i++) {
            if (!kd_slice_equal(s->targets.names[i], column->parts[0]))
                continue;
            if (found != UINT32_MAX && !kd_expr_equal(s->targets.exprs[i], s->targets.exprs[found]))
                return kdi_at(ctx, b, node->position,
                              KD_FAIL(ctx, KD_INVALID, "42702", "%s \"%.*s\" is ambiguous", clause,
                                      KDI_S(column->parts[0])));
            if (found == UINT32_MAX)
                found = i;
        }
        *out_index = found;
        if (found != UINT32_MAX)
            return KD_OK;
    }
    if (node->kind == KD_AST_CONSTANT && constant->what == KD_AST_INTEGER) {
        if (constant->integer < 1 || constant->integer > s->visible_count)
            return kdi_at(ctx, b, node->position,
                          KD_FAIL(ctx, KD_INVALID, "42P10",
                                  "%s position %lld is not in select list", clause,
                                  (long long)constant->integer));
        *out_index = (uint32_t)constant->integer - 1;
        return KD_OK;
    }
    if (node->kind == KD_AST_CONSTANT && constant->what != KD_AST_NULL)
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "non-integer constant in %s", clause));
    kd_expr *expr;
    KD_TRY(kdi_bind_expr(ctx, b, &s->scope, node, &expr));
    KD_TRY(kdi_settle(ctx, b, &expr));
    return extra_target(ctx, b, s, expr, out_index);
}

static kd_status bind_order_by(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    const kd_ast_query_tail *tail = &s->ast->tail;
    s->order_count = tail->order_by_all ? s->visible_count : (uint32_t)tail->order_by.count;
    s->order = KD_NEW_ARRAY(ctx, b->arena, kd_sort_key, s->order_count);
    s->order_targets = KD_NEW_ARRAY(ctx, b->arena, uint32_t, s->order_count);
    if (s->order == NULL || s->order_targets == NULL)
        return KD_NOMEM;
    s->query.clause = "ORDER BY";
    for (uint32_t i = 0; i < s->order_count; i++) {
        const kd_ast_sort *key =
            (const kd_ast_sort *)tail->order_by.items[tail->order_by_all ? 0 : i];
        s->order_targets[i] = i;
        if (!tail->order_by_all)
            KD_TRY(bind_output_item(ctx, b, s, key->value, "ORDER BY", &s->order_targets[i]));
        KD_TRY(kdi_bind_sort_key(ctx, b, key, s->targets.exprs[s->order_targets[i]], &s->order[i]));
        if (s->ast->distinct && s->ast->distinct_on.count == 0 &&
            s->order_targets[i] >= s->visible_count)
            return kdi_at(ctx, b, key->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42P10",
                                  "for SELECT DISTINCT, ORDER BY expressions must appear in "
                                  "select list"));
    }
    return KD_OK;
}

static kd_status bind_distinct_on(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    s->on_count = (uint32_t)s->ast->distinct_on.count;
    s->on_targets = KD_NEW_ARRAY(ctx, b->arena, uint32_t, s->on_count);
    if (s->on_targets == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < s->on_count; i++) {
        const kd_ast_node *node = s->ast->distinct_on.items[i];
        KD_TRY(bind_output_item(ctx, b, s, node, "DISTINCT ON", &s->on_targets[i]));
        KD_TRY(
            kdi_check_equality(ctx, b, s->targets.exprs[s->on_targets[i]]->type, node->position));
    }
    /* The leading ORDER BY items must be the ON items, in any order. */
    for (uint32_t i = 0; i < s->order_count && i < s->on_count; i++) {
        bool found = false;
        for (uint32_t o = 0; o < s->on_count; o++)
            found |= s->on_targets[o] == s->order_targets[i];
        if (!found)
            return kdi_at(ctx, b, s->ast->distinct_on.items[0]->position,
                          KD_FAIL(ctx, KD_INVALID, "42P10",
                                  "SELECT DISTINCT ON expressions must match initial ORDER BY "
                                  "expressions"));
    }
    return KD_OK;
}

/* Whether FROM has the rows of the last round. */
static bool reads_working(const select_state *s)
{
    bool reads = false;
    for (size_t i = 0; i < s->scope.names.source_count; i++)
        reads |= s->scope.names.sources[i].is_working;
    return reads;
}

/* A recursive step hands on what SEARCH and CYCLE keep of the rows that it read. */
static kd_status carry_hidden(kd_ctx *ctx, kdi_binder *b, select_state *s, const kdi_with *step)
{
    if (step == NULL)
        return KD_OK;
    const kd_rel *working = step->working_rel;
    if (working == NULL || !reads_working(s))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "with a SEARCH or CYCLE clause, the recursive reference to WITH query "
                       "\"%.*s\" must be at the top level of its right-hand SELECT",
                       KDI_S(step->name));
    for (uint32_t i = 0; i < step->hidden_count; i++) {
        uint32_t at = working->column_count - step->hidden_count + i, index;
        kd_expr *column = kdi_column_expr(ctx, b, &working->columns[at], -1);
        if (column == NULL)
            return KD_NOMEM;
        KD_TRY(extra_target(ctx, b, s, column, &index));
        s->targets.names[index] = working->columns[at].name;
    }
    return KD_OK;
}

/* A recursive step may not aggregate the rows of the last round. */
static kd_status check_recursive(kd_ctx *ctx, kdi_binder *b, const select_state *s)
{
    if (!reads_working(s) || s->query.call_count == 0)
        return KD_OK;
    return kdi_at(ctx, b, s->ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42P19",
                          "aggregate functions are not allowed in a recursive query's recursive "
                          "term"));
}

static bool is_locked(const kd_ast_locking *locking, const kdi_source *source)
{
    for (size_t i = 0; i < locking->tables.count; i++)
        if (kd_slice_equal(((const kd_ast_name_item *)locking->tables.items[i])->name.name,
                           source->alias))
            return true;
    return locking->tables.count == 0;
}

/* Whether each row of the query is one of its table's, or of tables whose rows it locks. */
static bool is_positioned(const kdi_binder *b, const select_state *s)
{
    const kd_ast_select *ast = s->ast;
    const kdi_query *query = &s->query;
    bool is_simple = s->scope.names.source_count == 1;
    return &ast->node == b->positioned && !ast->distinct && ast->distinct_on.count == 0 &&
           !query->grouped && query->call_count == 0 && query->window_count == 0 &&
           query->srf_count == 0 && (is_simple || ast->tail.locking.count > 0);
}

/* Behind the select list: where each table's row is. */
static kd_status add_positions(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    static const char *const names[2] = {"ctid", "tableoid"};
    kd_bound_position *added;
    for (size_t i = 0; is_positioned(b, s) && i < s->scope.names.source_count; i++) {
        const kdi_source *source = &s->scope.names.sources[i];
        bool is_locked_here = false;
        if (!source->is_table)
            continue;
        for (size_t l = 0; l < s->ast->tail.locking.count; l++)
            is_locked_here |=
                is_locked((const kd_ast_locking *)s->ast->tail.locking.items[l], source);
        for (int c = 0; c < 2; c++) {
            kd_expr *value;
            KD_TRY(kdi_system_column(ctx, b, source, kd_slice_of(names[c]), -1, &value));
            KD_TRY(push_target(ctx, b, s, value));
        }
        KD_TRY(
            KD_PUSH(ctx, b->arena, b->positions, b->position_count, b->position_capacity, &added));
        *added = (kd_bound_position){.object_no = source->row_object, .is_locked = is_locked_here};
    }
    return KD_OK;
}

static kd_status bind_clauses(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    const kd_ast_select *ast = s->ast;
    kdi_query *query = &s->query;
    bool keep_unknown = b->keep_unknown;
    const kdi_with *step = b->step;
    b->keep_unknown = false;
    b->step = NULL;
    b->wants_refs = ast->tail.locking.count > 0;
    KD_TRY(kdi_bind_from(ctx, b, s->scope.outer, &ast->from, &s->scope.names, &s->rel));
    b->wants_refs = false;
    KD_TRY(kdi_sample_query(ctx, b, &ast->sample, &s->rel));
    query->aliases = &ast->targets;
    query->alias_limit = ast->targets.count;
    if (ast->where != NULL) {
        kd_expr *condition;
        query->clause = "WHERE";
        KD_TRY(kdi_bind_condition(ctx, b, &s->scope, ast->where, "WHERE", &condition));
        KD_TRY(kdi_rel_filter(ctx, b, condition, &s->rel));
    }
    query->clause = "SELECT";
    query->aggregates_ok = query->windows_ok = query->srfs_ok = true;
    query->window_definitions = &ast->windows;
    query->grouped = ast->group_by.count > 0 || ast->group_by_all || ast->having != NULL;
    KD_TRY(kdi_bind_targets(ctx, b, &s->scope, &ast->targets, &s->targets));
    KD_TRY(carry_hidden(ctx, b, s, step));
    for (size_t i = 0; !keep_unknown && i < s->targets.count; i++)
        KD_TRY(kdi_settle(ctx, b, &s->targets.exprs[i]));
    s->visible_count = (uint32_t)s->targets.count;
    KD_TRY(add_positions(ctx, b, s));
    query->clause = "GROUP BY";
    query->aggregates_ok = query->windows_ok = false;
    KD_TRY(kdi_bind_group_by(ctx, b, &s->scope, ast, &s->targets));
    query->aggregates_ok = true;
    query->srfs_ok = false;
    query->clause = "HAVING";
    if (ast->having != NULL)
        KD_TRY(kdi_bind_condition(ctx, b, &s->scope, ast->having, "HAVING", &s->having));
    query->windows_ok = true;
    query->clause = "QUALIFY";
    if (ast->qualify != NULL)
        KD_TRY(kdi_bind_condition(ctx, b, &s->scope, ast->qualify, "QUALIFY", &s->qualify));
    query->srfs_ok = true;
    KD_TRY(bind_order_by(ctx, b, s));
    KD_TRY(bind_distinct_on(ctx, b, s));
    KD_TRY(kdi_check_windows(ctx, b, &s->scope, &ast->windows));
    if (&ast->node == b->positioned)
        s->visible_count += 2 * (uint32_t)b->position_count; /* For all to come. */
    return check_recursive(ctx, b, s);
}

/* --- Building --- */

static kd_status rewrite_windows(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    for (size_t w = 0; w < s->query.window_count; w++) {
        kdi_window *window = s->query.windows[w];
        for (uint32_t i = 0; i < window->partition_count; i++)
            KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &window->partition_by[i]));
        for (uint32_t i = 0; i < window->order_count; i++)
            KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &window->order_by[i].expr));
        for (size_t c = 0; c < window->call_count; c++) {
            kd_window_call *call = &window->calls[c];
            for (uint32_t i = 0; i < call->argument_count; i++)
                KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &call->arguments[i]));
            if (call->filter != NULL)
                KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &call->filter));
        }
    }
    return KD_OK;
}

/* Set-returning functions of one level run side by side; those whose arguments hold others come
 * after these. */
static kd_status build_srfs(kd_ctx *ctx, kdi_binder *b, select_state *s, bool grouped)
{
    kd_rel **rels = KD_NEW_ARRAY(ctx, b->arena, kd_rel *, s->query.srf_count);
    if (rels == NULL)
        return KD_NOMEM;
    uint32_t done = 0;
    for (uint32_t level = 0; done < s->query.srf_count && level <= s->query.srf_count; level++) {
        uint32_t count = 0;
        for (size_t i = 0; i < s->query.srf_count; i++) {
            const kdi_srf *srf = &s->query.srfs[i];
            done += srf->level == level;
            if (srf->level == level && srf->grouped == grouped)
                rels[count++] = srf->rel;
        }
        if (count == 0)
            continue;
        kd_rel *rows;
        KD_TRY(kdi_side_by_side(ctx, b, rels, count, &rows));
        KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_INNER, s->rel, rows, NULL, &s->rel));
        s->rel->as.join.lateral = true;
    }
    return KD_OK;
}

/* Functions whose rows are grouped by, and those among their arguments, run first. */
static kd_status note_grouped(kd_ctx *ctx, void *object, kd_expr **slot)
{
    kdi_query *query = object;
    for (size_t i = 0; (*slot)->kind == KD_EXPR_COLUMN && i < query->srf_count; i++) {
        kdi_srf *srf = &query->srfs[i];
        bool mine = false;
        for (uint32_t c = 0; c < srf->rel->column_count; c++)
            mine |= srf->rel->columns[c].id == (*slot)->column;
        if (!mine || srf->grouped)
            continue;
        srf->grouped = true;
        for (uint32_t a = 0; a < srf->rel->as.function.argument_count; a++)
            KD_TRY(kd_expr_walk(ctx, &srf->rel->as.function.arguments[a], note_grouped, query));
    }
    return KD_OK;
}

static kd_status rewrite_grouped(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    for (size_t i = 0; i < s->query.key_count; i++)
        KD_TRY(kd_expr_walk(ctx, &s->query.keys[i], note_grouped, &s->query));
    KD_TRY(build_srfs(ctx, b, s, true));
    for (size_t i = 0; i < s->targets.count; i++)
        KD_TRY(kdi_group_target(ctx, b, &s->scope, (uint32_t)i, &s->targets.exprs[i]));
    if (s->having != NULL)
        KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &s->having));
    if (s->qualify != NULL)
        KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &s->qualify));
    for (size_t i = 0; i < s->query.srf_count; i++) {
        kd_rel *srf = s->query.srfs[i].rel;
        if (s->query.srfs[i].grouped)
            continue;
        for (uint32_t a = 0; a < srf->as.function.argument_count; a++)
            KD_TRY(kdi_group_rewrite(ctx, b, &s->scope, &srf->as.function.arguments[a]));
    }
    KD_TRY(rewrite_windows(ctx, b, s));
    KD_TRY(kdi_check_direct(ctx, b, &s->scope));
    KD_TRY(kdi_group_rel(ctx, b, &s->scope, &s->rel));
    return kdi_rel_filter(ctx, b, s->having, &s->rel);
}

static kd_status build_windows(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    for (size_t w = 0; w < s->query.window_count; w++) {
        const kdi_window *window = s->query.windows[w];
        uint32_t below = s->rel->column_count;
        kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_WINDOW, s->ast->node.position,
                                  below + (uint32_t)window->call_count);
        if (rel == NULL)
            return KD_NOMEM;
        memcpy(rel->columns, s->rel->columns, below * sizeof *rel->columns);
        for (size_t c = 0; c < window->call_count; c++)
            rel->columns[below + c] =
                (kd_rel_column){.id = window->calls[c].output, .type = window->calls[c].type};
        rel->inputs[0] = s->rel;
        rel->as.window.partition_count = window->partition_count;
        rel->as.window.partition_by = window->partition_by;
        rel->as.window.order_count = window->order_count;
        rel->as.window.order_by = window->order_by;
        rel->as.window.call_count = (uint32_t)window->call_count;
        rel->as.window.calls = window->calls;
        s->rel = rel;
    }
    return kdi_rel_filter(ctx, b, s->qualify, &s->rel);
}

static kd_status check_locked_names(kd_ctx *ctx, kdi_binder *b, const select_state *s)
{
    for (size_t l = 0; l < s->ast->tail.locking.count; l++) {
        const kd_ast_locking *locking = (const kd_ast_locking *)s->ast->tail.locking.items[l];
        for (size_t t = 0; t < locking->tables.count; t++) {
            kd_slice name = ((const kd_ast_name_item *)locking->tables.items[t])->name.name;
            bool found = false;
            for (size_t i = 0; i < s->scope.names.source_count; i++)
                found |= kd_slice_equal(s->scope.names.sources[i].alias, name);
            if (!found)
                return kdi_at(ctx, b, locking->tables.items[t]->position,
                              KD_FAIL(ctx, KD_INVALID, "42P01",
                                      "relation \"%.*s\" in FOR UPDATE clause not found in FROM "
                                      "clause",
                                      KDI_S(name)));
        }
    }
    return KD_OK;
}

/* Row references of locked tables travel behind the select list. */
static kd_status lock_targets(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (s->ast->tail.locking.count == 0)
        return KD_OK;
    const char *with = s->ast->distinct || s->on_count > 0 ? "DISTINCT clause"
                       : s->query.grouped          ? "GROUP BY clause or aggregate functions"
                       : s->query.window_count > 0 ? "window functions"
                                                   : NULL;
    if (with != NULL)
        return kdi_at(
            ctx, b, s->ast->tail.locking.items[0]->position,
            KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "FOR UPDATE is not allowed with %s", with));
    b->locks_rows = true;
    KD_TRY(check_locked_names(ctx, b, s));
    for (size_t i = 0; i < s->scope.names.source_count; i++) {
        const kd_rel *scan = s->scope.names.sources[i].scan;
        if (scan == NULL || scan->as.scan.ref_column == 0)
            continue;
        kd_expr *ref = kdi_column_expr(ctx, b, &scan->columns[scan->column_count - 1], -1);
        uint32_t index;
        if (ref == NULL)
            return KD_NOMEM;
        KD_TRY(extra_target(ctx, b, s, ref, &index));
    }
    return KD_OK;
}

static kd_status build_locks(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    static const kd_row_lock modes[] = {[KD_AST_FOR_KEY_SHARE] = KD_LOCK_KEY_SHARE,
                                        [KD_AST_FOR_SHARE] = KD_LOCK_SHARE,
                                        [KD_AST_FOR_NO_KEY_UPDATE] = KD_LOCK_NO_KEY_UPDATE,
                                        [KD_AST_FOR_UPDATE] = KD_LOCK_UPDATE};
    static const kd_wait waits[] = {[KD_AST_LOCK_BLOCK] = KD_WAIT,
                                    [KD_AST_LOCK_NOWAIT] = KD_WAIT_NOT,
                                    [KD_AST_LOCK_SKIP] = KD_WAIT_SKIP};
    for (size_t l = 0; l < s->ast->tail.locking.count; l++) {
        const kd_ast_locking *locking = (const kd_ast_locking *)s->ast->tail.locking.items[l];
        for (size_t i = 0; i < s->scope.names.source_count; i++) {
            const kdi_source *source = &s->scope.names.sources[i];
            if (source->scan == NULL || source->scan->as.scan.ref_column == 0 ||
                !is_locked(locking, source))
                continue;
            kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_LOCK, s->rel);
            if (rel == NULL)
                return KD_NOMEM;
            rel->as.lock.mode = modes[locking->strength];
            rel->as.lock.wait = waits[locking->wait];
            rel->as.lock.table = source->scan->as.scan.table;
            rel->as.lock.ref_column = source->scan->as.scan.ref_column;
            s->rel = rel;
        }
    }
    return KD_OK;
}

static kd_status build_distinct(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (!s->ast->distinct || s->on_count > 0)
        return KD_OK;
    for (uint32_t i = 0; i < s->rel->column_count; i++)
        KD_TRY(kdi_check_equality(ctx, b, s->rel->columns[i].type, s->ast->node.position));
    kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_DISTINCT, s->rel);
    if (rel == NULL)
        return KD_NOMEM;
    s->rel = rel;
    return KD_OK;
}

/* DISTINCT ON keeps the first row of each group in the order asked for. */
static kd_status build_distinct_on(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (s->on_count == 0)
        return KD_OK;
    kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_DISTINCT, s->rel);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.distinct.on_count = s->on_count;
    rel->as.distinct.on = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, s->on_count);
    if (rel->as.distinct.on == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < s->on_count; i++) {
        rel->as.distinct.on[i] = kdi_column_expr(ctx, b, &s->rel->columns[s->on_targets[i]], -1);
        if (rel->as.distinct.on[i] == NULL)
            return KD_NOMEM;
    }
    s->rel = rel;
    return KD_OK;
}

static kd_status build_sort(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (s->order_count == 0)
        return KD_OK;
    kd_rel *rel = kdi_rel_over(ctx, b, KD_REL_SORT, s->rel);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < s->order_count; i++) {
        s->order[i].expr = kdi_column_expr(ctx, b, &s->rel->columns[s->order_targets[i]], -1);
        if (s->order[i].expr == NULL)
            return KD_NOMEM;
    }
    rel->as.sort.key_count = s->order_count;
    rel->as.sort.keys = s->order;
    s->rel = rel;
    return KD_OK;
}

/* --- Volatile targets --- */

typedef struct keeper {
    kdi_binder *b;
    select_state *s;
} keeper;

static bool gives(const kd_rel *rel, kd_column_id id)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (rel->columns[i].id == id)
            return true;
    return false;
}

static kd_status keep_column(kd_ctx *ctx, void *object, kd_expr **slot)
{
    keeper *self = object;
    uint32_t index;
    if ((*slot)->kind != KD_EXPR_COLUMN || !gives(self->s->rel, (*slot)->column))
        return KD_OK;
    kd_expr *column = KD_NEW(ctx, self->b->arena, kd_expr);
    if (column == NULL)
        return KD_NOMEM;
    *column = **slot;
    return extra_target(ctx, self->b, self->s, column, &index);
}

/* nextval and its like are called for the rows that are left, in their order: what they need
 * travels through the sort, and they come after it. */
static kd_status postpone_volatile(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (s->order_count == 0 || s->ast->distinct || s->on_count > 0)
        return KD_OK;
    s->postponed = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, s->visible_count);
    if (s->postponed == NULL)
        return KD_NOMEM;
    keeper self = {b, s};
    for (uint32_t i = 0; i < s->visible_count; i++) {
        bool sorted = false;
        for (uint32_t o = 0; o < s->order_count; o++)
            sorted |= s->order_targets[o] == i;
        if (sorted || !kd_expr_is_volatile(s->targets.exprs[i]))
            continue;
        s->postponed[i] = s->targets.exprs[i];
        KD_TRY(kd_expr_walk_deep(ctx, &s->postponed[i], keep_column, &self));
        s->targets.exprs[i] = kdi_constant(ctx, b, kd_value_null(s->postponed[i]->type), -1);
        if (s->targets.exprs[i] == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

typedef struct srf_search {
    const kdi_query *query;
    bool found;
} srf_search;

static kd_status note_srf(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    srf_search *self = object;
    for (size_t i = 0; (*slot)->kind == KD_EXPR_COLUMN && i < self->query->srf_count; i++)
        self->found |=
            !self->query->srfs[i].grouped && gives(self->query->srfs[i].rel, (*slot)->column);
    return KD_OK;
}

static kd_status has_srf(kd_ctx *ctx, const select_state *s, kd_expr *expr, bool *out)
{
    srf_search search = {.query = &s->query};
    KD_TRY(kd_expr_walk_deep(ctx, &expr, note_srf, &search));
    *out = search.found;
    return KD_OK;
}

/* DISTINCT ON picks rows before set-returning functions make more of them, unless it or the order
 * asks for what they give. What they need travels through the sort. */
static kd_status postpone_srfs(kd_ctx *ctx, kdi_binder *b, select_state *s, bool *out_late)
{
    *out_late = s->on_count > 0 && s->query.srf_count > 0;
    bool uses = false;
    for (uint32_t i = 0; *out_late && i < s->on_count; i++, *out_late = !uses)
        KD_TRY(has_srf(ctx, s, s->targets.exprs[s->on_targets[i]], &uses));
    for (uint32_t i = 0; *out_late && i < s->order_count; i++, *out_late = !uses)
        KD_TRY(has_srf(ctx, s, s->targets.exprs[s->order_targets[i]], &uses));
    if (!*out_late)
        return KD_OK;
    s->postponed = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, s->visible_count);
    if (s->postponed == NULL)
        return KD_NOMEM;
    keeper self = {b, s};
    for (size_t i = 0; i < s->query.srf_count; i++) {
        kd_rel *srf = s->query.srfs[i].rel;
        for (uint32_t a = 0; a < srf->as.function.argument_count && !s->query.srfs[i].grouped; a++)
            KD_TRY(kd_expr_walk_deep(ctx, &srf->as.function.arguments[a], keep_column, &self));
    }
    for (uint32_t i = 0; i < s->visible_count; i++) {
        KD_TRY(has_srf(ctx, s, s->targets.exprs[i], &uses));
        if (!uses)
            continue;
        s->postponed[i] = s->targets.exprs[i];
        KD_TRY(kd_expr_walk_deep(ctx, &s->postponed[i], keep_column, &self));
        s->targets.exprs[i] = kdi_constant(ctx, b, kd_value_null(s->postponed[i]->type), -1);
        if (s->targets.exprs[i] == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

static kd_status cut_extras(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    bool postponed = false;
    for (uint32_t i = 0; s->postponed != NULL && i < s->visible_count; i++)
        postponed |= s->postponed[i] != NULL;
    if (s->rel->column_count == s->visible_count && !postponed)
        return KD_OK;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, s->visible_count);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < s->visible_count; i++) {
        bool late = s->postponed != NULL && s->postponed[i] != NULL;
        exprs[i] = late ? s->postponed[i] : kdi_column_expr(ctx, b, &s->rel->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    return kdi_rel_project(ctx, b, s->rel, exprs, s->targets.names, s->visible_count, true,
                           &s->rel);
}

static kd_status build(kd_ctx *ctx, kdi_binder *b, select_state *s)
{
    if (s->query.call_count > 0)
        s->query.grouped = true;
    if (s->query.grouped)
        KD_TRY(rewrite_grouped(ctx, b, s));
    KD_TRY(build_windows(ctx, b, s));
    bool srfs_are_late;
    KD_TRY(postpone_srfs(ctx, b, s, &srfs_are_late));
    if (!srfs_are_late)
        KD_TRY(build_srfs(ctx, b, s, false));
    KD_TRY(lock_targets(ctx, b, s));
    KD_TRY(postpone_volatile(ctx, b, s));
    KD_TRY(kdi_rel_project(ctx, b, s->rel, s->targets.exprs, s->targets.names,
                           (uint32_t)s->targets.count, true, &s->rel));
    KD_TRY(build_distinct(ctx, b, s));
    KD_TRY(build_sort(ctx, b, s));
    KD_TRY(build_distinct_on(ctx, b, s));
    if (srfs_are_late)
        KD_TRY(build_srfs(ctx, b, s, false));
    KD_TRY(build_locks(ctx, b, s));
    KD_TRY(kdi_bind_limit(ctx, b, s->scope.outer, &s->scope.names, &s->ast->tail, &s->rel));
    return cut_extras(ctx, b, s);
}

kd_status kdi_bind_select(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_select *ast,
                          kd_rel **out)
{
    select_state *s = KD_NEW(ctx, b->arena, select_state);
    if (s == NULL)
        return KD_NOMEM;
    if (ast->into.name.position >= 0)
        return kdi_at(ctx, b, ast->into.name.position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "SELECT ... INTO is not allowed here"));
    s->ast = ast;
    s->scope.outer = outer;
    s->scope.query = &s->query;
    s->scope.depth = outer == NULL ? 0 : outer->depth + 1;
    KD_TRY(bind_clauses(ctx, b, s));
    KD_TRY(build(ctx, b, s));
    *out = s->rel;
    return KD_OK;
}
