/*
 * UPDATE and DELETE: the query that finds the rows, and what to do with them.
 */
#include "sql/bind_internal.h"

typedef struct change {
    kd_bound_statement *bound;
    kd_slice alias;
    kdi_query query;
    kdi_scope scope; /* Target and FROM, as the query sees them. */
    kd_rel *scan, *rel;
    kd_column_id ref, partition;
    uint32_t target_columns; /* In scope.names.columns, from 0. */
} change;

/* The scans of the target find only the row at `place`: each partition's its own, if any. */
static kd_status set_place(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, const kd_expr *place)
{
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(set_place(ctx, b, rel->inputs[i], place));
    return rel->kind == KD_REL_SCAN ? kdi_copy_expr(ctx, b, place, &rel->as.scan.place) : KD_OK;
}

static kd_status current_of(kd_ctx *ctx, kdi_binder *b, change *c, const kd_ast_current_of *ast)
{
    int position = ast->node.position;
    if (b->view != NULL)
        return kdi_at(
            ctx, b, position,
            KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "WHERE CURRENT OF on a view is not implemented"));
    kd_value table = {.type = kd_type_of(KD_TYPE_OID),
                      .as.i64 = c->bound->target->object.object_no};
    kd_expr *place, *arguments[2] = {kdi_constant(ctx, b, kd_value_text(ast->cursor), position),
                                     kdi_constant(ctx, b, table, position)};
    if (arguments[0] == NULL || arguments[1] == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_call(ctx, b, KD_SLICE("kade_cursor_place"), arguments, 2, position, &place));
    return set_place(ctx, b, c->scan, place);
}

static kd_status begin(kd_ctx *ctx, kdi_binder *b, change *c, const kd_ast_table_ref *table,
                       const kd_ast_list *from, const kd_ast_node *where, char privilege)
{
    c->scope.query = &c->query;
    c->query.clause = "UPDATE";
    KD_TRY(kdi_bind_target(ctx, b, &table->name, privilege, c->bound));
    const kd_table_entry *target = c->bound->target;
    c->alias = table->alias.name.size_bytes > 0 ? table->alias.name : table->name.name;
    KD_TRY(kdi_scan_table(ctx, b, target, c->alias, true, table->node.position, &c->scan));
    b->reads_target = false;
    c->rel = c->scan;
    bool partitioned = target->strategy != KD_PARTITION_NONE;
    c->ref = c->scan->columns[target->visible_count].id;
    c->partition = partitioned ? c->scan->columns[target->visible_count + 1].id : 0;
    kd_rel view_columns, *named = c->scan;
    c->target_columns = target->visible_count;
    if (b->view != NULL) {
        KD_TRY(kdi_view_rel(ctx, b, &c->rel, &view_columns));
        named = &view_columns;
        c->target_columns = view_columns.column_count;
    }
    /* As FROM has it, so that the same table there without an alias is found to be named twice. */
    const kd_object *schema = kd_catalog_get(b->options->catalog, target->object.schema_no);
    bool is_table = b->view == NULL && schema != NULL;
    KD_TRY(kdi_apply_alias(ctx, b, &table->alias, is_table ? schema->name : table->name.schema,
                           table->name.name, named, c->target_columns, &c->scope.names));
    c->scope.names.sources[0].rel = c->scan;
    c->scope.names.sources[0].is_table = b->view == NULL;
    if (from->count > 0) {
        kdi_names names = {0};
        kd_rel *others;
        KD_TRY(kdi_bind_from(ctx, b, NULL, from, &names, &others));
        KD_TRY(kdi_names_add(ctx, b, &c->scope.names, &names));
        KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_INNER, c->rel, others, NULL, &c->rel));
    }
    if (where == NULL)
        return KD_OK;
    kd_expr *condition;
    if (where->kind == KD_AST_CURRENT_OF)
        return current_of(ctx, b, c, (const kd_ast_current_of *)where);
    c->query.clause = "WHERE";
    KD_TRY(kdi_bind_condition(ctx, b, &c->scope, where, "WHERE", &condition));
    return kdi_rel_filter(ctx, b, condition, &c->rel);
}

/* RETURNING sees the target's row as it is afterwards, under ids of its own. */
static kd_status returning(kd_ctx *ctx, kdi_binder *b, change *c, const kd_ast_list *list)
{
    kdi_query query = {0};
    kdi_scope scope = {.query = &query};
    kdi_source source;
    KD_TRY(kdi_returning_source(ctx, b, c->bound, c->alias, &source));
    for (size_t i = 0; i < c->scope.names.column_count; i++) {
        kd_rel_column column = c->scope.names.columns[i];
        if (i < c->target_columns) {
            column.id = source.columns[i].id;
            source.columns[i].name = column.name;
        }
        KD_TRY(kdi_names_add_column(ctx, b, &scope.names, column));
    }
    KD_TRY(kdi_names_add_source(ctx, b, &scope.names, source));
    for (size_t i = 1; i < c->scope.names.source_count; i++)
        KD_TRY(kdi_names_add_source(ctx, b, &scope.names, c->scope.names.sources[i]));
    return kdi_bind_returning(ctx, b, &scope, list, c->bound);
}

typedef struct output {
    kd_expr **exprs;
    size_t count, capacity;
} output;

static kd_status output_add(kd_ctx *ctx, kdi_binder *b, output *out, kd_expr *expr)
{
    if (expr == NULL)
        return KD_NOMEM;
    kd_expr **slot;
    KD_TRY(KD_PUSH(ctx, b->arena, out->exprs, out->count, out->capacity, &slot));
    *slot = expr;
    return KD_OK;
}

/* Row reference, [partition], new values, then what RETURNING wants of FROM's columns. */
static kd_status finish(kd_ctx *ctx, kdi_binder *b, change *c,
                        const kd_bound_assignment *assignments, uint32_t count)
{
    output out = {0};
    kd_rel_column ref = {.id = c->ref, .type = kd_type_of(KD_TYPE_INT8)};
    KD_TRY(output_add(ctx, b, &out, kdi_column_expr(ctx, b, &ref, -1)));
    if (c->partition != 0) {
        ref.id = c->partition;
        KD_TRY(output_add(ctx, b, &out, kdi_column_expr(ctx, b, &ref, -1)));
        c->bound->has_partition_column = true;
    }
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(output_add(ctx, b, &out, assignments[i].value));
    kd_id_set wanted = {.arena = b->arena};
    for (uint32_t i = 0; i < c->bound->returning_count; i++)
        KD_TRY(kd_expr_columns(ctx, c->bound->returning[i], &wanted));
    for (uint32_t i = 0; i < c->rel->column_count; i++)
        if (kd_id_set_has(&wanted, c->rel->columns[i].id))
            KD_TRY(output_add(ctx, b, &out, kdi_column_expr(ctx, b, &c->rel->columns[i], -1)));
    return kdi_rel_project(ctx, b, c->rel, out.exprs, NULL, (uint32_t)out.count, true,
                           &c->bound->query);
}

kd_status kdi_bind_update(kd_ctx *ctx, kdi_binder *b, const kd_ast_update *ast,
                          kd_bound_statement *bound)
{
    kdi_with *with = b->with;
    KD_TRY(kdi_bind_with(ctx, b, NULL, &ast->with));
    change *c = KD_NEW(ctx, b->arena, change);
    if (c == NULL)
        return KD_NOMEM;
    c->bound = bound;
    KD_TRY(begin(ctx, b, c, ast->table, &ast->from, ast->where, 'w'));
    kd_bound_assignment *assignments;
    uint32_t count;
    c->query.clause = "UPDATE";
    KD_TRY(kdi_bind_assignments(ctx, b, &c->scope, bound->target, &ast->assignments, &c->rel,
                                &assignments, &count));
    bound->target_count = count;
    bound->target_positions = KD_NEW_ARRAY(ctx, b->arena, uint32_t, count);
    if (bound->target_positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        bound->target_positions[i] = assignments[i].shape_position;
    KD_TRY(returning(ctx, b, c, &ast->returning));
    KD_TRY(finish(ctx, b, c, assignments, count));
    b->with = with;
    return KD_OK;
}

kd_status kdi_bind_delete(kd_ctx *ctx, kdi_binder *b, const kd_ast_delete *ast,
                          kd_bound_statement *bound)
{
    kdi_with *with = b->with;
    KD_TRY(kdi_bind_with(ctx, b, NULL, &ast->with));
    change *c = KD_NEW(ctx, b->arena, change);
    if (c == NULL)
        return KD_NOMEM;
    c->bound = bound;
    KD_TRY(begin(ctx, b, c, ast->table, &ast->using_from, ast->where, 'd'));
    KD_TRY(returning(ctx, b, c, &ast->returning));
    KD_TRY(finish(ctx, b, c, NULL, 0));
    b->with = with;
    return KD_OK;
}
