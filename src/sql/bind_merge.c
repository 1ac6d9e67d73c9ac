/*
 * MERGE: the source joined with the target, and what each WHEN does.
 */
#include "sql/bind_internal.h"

typedef struct merge {
    const kd_ast_merge *ast;
    kd_bound_statement *bound;
    kdi_query query;
    kdi_scope both, source_only, target_only;
    kd_rel *rel;
    kd_column_id ref, partition;
} merge;

static kd_status bind_join(kd_ctx *ctx, kdi_binder *b, merge *m)
{
    const kd_ast_merge *ast = m->ast;
    const kd_table_entry *target = m->bound->target;
    kd_rel *scan, *source;
    kd_slice alias =
        ast->target->alias.name.size_bytes > 0 ? ast->target->alias.name : target->object.name;
    KD_TRY(kdi_scan_table(ctx, b, target, alias, true, ast->target->node.position, &scan));
    b->reads_target = false;
    m->ref = scan->columns[target->visible_count].id;
    if (target->strategy != KD_PARTITION_NONE)
        m->partition = scan->columns[target->visible_count + 1].id;
    KD_TRY(kdi_apply_alias(ctx, b, &ast->target->alias, ast->target->name.schema,
                           target->object.name, scan, target->visible_count,
                           &m->target_only.names));
    m->target_only.names.sources[0].rel = scan;
    m->target_only.names.sources[0].is_table = true;
    KD_TRY(kdi_bind_from_item(ctx, b, NULL, ast->source, &m->source_only.names, &source));
    KD_TRY(kdi_names_add(ctx, b, &m->both.names, &m->target_only.names));
    KD_TRY(kdi_names_add(ctx, b, &m->both.names, &m->source_only.names));
    kd_expr *condition;
    m->query.clause = "JOIN conditions";
    KD_TRY(kdi_bind_condition(ctx, b, &m->both, ast->condition, "MERGE/ON", &condition));
    bool inserts = false;
    for (size_t i = 0; i < ast->whens.count; i++) {
        const kd_ast_merge_when *when = (const kd_ast_merge_when *)ast->whens.items[i];
        inserts |= when->match == KD_AST_MERGE_NOT_MATCHED;
    }
    kd_join_kind kind = inserts ? KD_JOIN_LEFT : KD_JOIN_INNER;
    return kdi_rel_join(ctx, b, kind, source, scan, condition, &m->rel);
}

static kd_status bind_insert_action(kd_ctx *ctx, kdi_binder *b, merge *m,
                                    const kd_ast_merge_when *ast, kd_bound_merge_when *when)
{
    const kd_table_entry *table = m->bound->target;
    when->action = KD_MERGE_INSERT;
    if (ast->values == NULL)
        return KD_OK;
    size_t count = ast->values->args.count;
    size_t columns = ast->columns.count > 0 ? ast->columns.count : table->visible_count;
    if (count > columns || (ast->columns.count > 0 && count < columns))
        return kdi_at(ctx, b, ast->values->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              count > columns ? "INSERT has more expressions than target columns"
                                              : "INSERT has more target columns than expressions"));
    when->assignments = KD_NEW_ARRAY(ctx, b->arena, kd_bound_assignment, count);
    if (when->assignments == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const kd_ast_node *value = ast->values->args.items[i];
        uint32_t position = (uint32_t)i;
        if (ast->columns.count > 0)
            KD_TRY(kdi_target_position(ctx, b, table, ast->columns.items[i], "insert into",
                                       &position));
        if (value->kind == KD_AST_DEFAULT)
            continue; /* Not given: takes its default. */
        kd_bound_assignment *made = &when->assignments[when->assignment_count++];
        made->shape_position = position;
        KD_TRY(kdi_bind_expr(ctx, b, &m->source_only, value, &made->value));
        KD_TRY(kdi_assign(ctx, b, &table->columns[position], &made->value));
    }
    return KD_OK;
}

/* --- Sub-queries of the WHENs: columns of the query, since rows are written without a plan
 * -------- */

typedef struct lifting {
    kdi_binder *b;
    merge *m;
} lifting;

static kd_status lift_one(kd_ctx *ctx, void *object, kd_expr **slot)
{
    lifting *work = object;
    kd_rel_column column = {.type = (*slot)->type};
    if ((*slot)->kind != KD_EXPR_SUBQUERY)
        return KD_OK;
    KD_TRY(kdi_rel_append(ctx, work->b, &work->m->rel, *slot, &column.id));
    *slot = kdi_column_expr(ctx, work->b, &column, (*slot)->position);
    return *slot == NULL ? KD_NOMEM : KD_OK;
}

static kd_status lift_subqueries(kd_ctx *ctx, kdi_binder *b, merge *m, kd_bound_merge_when *when)
{
    lifting work = {.b = b, .m = m};
    if (when->condition != NULL)
        KD_TRY(kd_expr_walk(ctx, &when->condition, lift_one, &work));
    for (uint32_t i = 0; i < when->assignment_count; i++)
        if (when->assignments[i].value != NULL)
            KD_TRY(kd_expr_walk(ctx, &when->assignments[i].value, lift_one, &work));
    return KD_OK;
}

static kd_status bind_when(kd_ctx *ctx, kdi_binder *b, merge *m, const kd_ast_merge_when *ast,
                           kd_bound_merge_when *when)
{
    kdi_scope *scope = ast->match == KD_AST_MERGE_MATCHED       ? &m->both
                       : ast->match == KD_AST_MERGE_NOT_MATCHED ? &m->source_only
                                                                : &m->target_only;
    when->matched = ast->match == KD_AST_MERGE_MATCHED;
    m->query.clause = "MERGE WHEN conditions";
    if (ast->condition != NULL)
        KD_TRY(kdi_bind_condition(ctx, b, scope, ast->condition, "MERGE WHEN", &when->condition));
    switch (ast->action) {
    case KD_AST_MERGE_NOTHING:
        when->action = KD_MERGE_NOTHING;
        return KD_OK;
    case KD_AST_MERGE_DELETE:
        when->action = KD_MERGE_DELETE;
        return kdi_authorize(ctx, b, &m->bound->target->object, 'd');
    case KD_AST_MERGE_UPDATE:
        when->action = KD_MERGE_UPDATE;
        KD_TRY(kdi_authorize(ctx, b, &m->bound->target->object, 'w'));
        return kdi_bind_assignments(ctx, b, scope, m->bound->target, &ast->assignments, &m->rel,
                                    &when->assignments, &when->assignment_count);
    case KD_AST_MERGE_INSERT:
        KD_TRY(kdi_authorize(ctx, b, &m->bound->target->object, 'a'));
        return bind_insert_action(ctx, b, m, ast, when);
    }
    return KD_OK;
}

/* A WHEN after one of the same kind without a condition would never be taken. */
static kd_status must_be_reachable(kd_ctx *ctx, kdi_binder *b, const kd_ast_merge *ast, size_t at)
{
    const kd_ast_merge_when *when = (const kd_ast_merge_when *)ast->whens.items[at];
    for (size_t i = 0; i < at; i++) {
        const kd_ast_merge_when *before = (const kd_ast_merge_when *)ast->whens.items[i];
        if (before->match == when->match && before->condition == NULL)
            return kdi_at(ctx, b, when->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42601",
                                  "unreachable WHEN clause specified after unconditional WHEN "
                                  "clause"));
    }
    return KD_OK;
}

/* Row reference, [partition], then every column that a WHEN uses. */
static kd_status build_query(kd_ctx *ctx, kdi_binder *b, merge *m)
{
    kd_id_set used = {.arena = b->arena};
    for (uint32_t i = 0; i < m->bound->when_count; i++) {
        const kd_bound_merge_when *when = &m->bound->whens[i];
        if (when->condition != NULL)
            KD_TRY(kd_expr_columns(ctx, when->condition, &used));
        for (uint32_t a = 0; a < when->assignment_count; a++)
            KD_TRY(kd_expr_columns(ctx, when->assignments[a].value, &used));
    }
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, (size_t)m->rel->column_count + 2);
    if (exprs == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    kd_rel_column ref = {.id = m->ref, .type = kd_type_of(KD_TYPE_INT8)};
    exprs[count++] = kdi_column_expr(ctx, b, &ref, -1);
    if (m->partition != 0) {
        ref.id = m->partition;
        exprs[count++] = kdi_column_expr(ctx, b, &ref, -1);
        m->bound->has_partition_column = true;
    }
    for (uint32_t i = 0; i < m->rel->column_count; i++) {
        const kd_rel_column *column = &m->rel->columns[i];
        if (column->id != m->ref && column->id != m->partition && kd_id_set_has(&used, column->id))
            exprs[count++] = kdi_column_expr(ctx, b, column, -1);
    }
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i] == NULL)
            return KD_NOMEM;
    return kdi_rel_project(ctx, b, m->rel, exprs, NULL, count, true, &m->bound->query);
}

kd_status kdi_bind_merge(kd_ctx *ctx, kdi_binder *b, const kd_ast_merge *ast,
                         kd_bound_statement *bound)
{
    kdi_with *with = b->with;
    if (ast->with.recursive)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "WITH RECURSIVE is not supported for MERGE statement");
    KD_TRY(kdi_bind_with(ctx, b, NULL, &ast->with));
    merge *m = KD_NEW(ctx, b->arena, merge);
    if (m == NULL)
        return KD_NOMEM;
    m->ast = ast;
    m->bound = bound;
    m->both.query = m->source_only.query = m->target_only.query = &m->query;
    if (ast->returning.count > 0)
        return kdi_at(ctx, b, ast->returning.items[0]->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "MERGE RETURNING is not supported"));
    KD_TRY(kdi_bind_target(ctx, b, &ast->target->name, 'r', bound));
    KD_TRY(bind_join(ctx, b, m));
    bound->when_count = (uint32_t)ast->whens.count;
    bound->whens = KD_NEW_ARRAY(ctx, b->arena, kd_bound_merge_when, ast->whens.count);
    if (bound->whens == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->whens.count; i++) {
        const kd_ast_merge_when *when = (const kd_ast_merge_when *)ast->whens.items[i];
        if (when->match == KD_AST_MERGE_NOT_MATCHED_BY_SOURCE)
            return kdi_at(ctx, b, when->node.position,
                          KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                  "WHEN NOT MATCHED BY SOURCE is not supported"));
        KD_TRY(must_be_reachable(ctx, b, ast, i));
        KD_TRY(bind_when(ctx, b, m, when, &bound->whens[i]));
        KD_TRY(lift_subqueries(ctx, b, m, &bound->whens[i]));
    }
    KD_TRY(build_query(ctx, b, m));
    b->with = with;
    return KD_OK;
}
