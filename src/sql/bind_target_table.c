/*
 * What INSERT, UPDATE, DELETE and MERGE share: the table written, its columns by
 * name, assignments, defaults, RETURNING.
 */
#include "sql/bind_internal.h"

kd_status kdi_new_ids(kd_ctx *ctx, kdi_binder *b, uint32_t count, kd_column_id **out)
{
    *out = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, count);
    if (*out == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        (*out)[i] = kdi_next_id(b);
    return KD_OK;
}

kd_status kdi_target_source(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                            const kd_column_id *ids, kdi_source *out)
{
    if (b->view != NULL && table == b->target)
        return kdi_view_source(ctx, b, alias, ids, out);
    return kdi_table_source(ctx, b, table, alias, ids, out);
}

kd_status kdi_returning_source(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound,
                               kd_slice alias, kdi_source *out)
{
    KD_TRY(kdi_target_source(ctx, b, bound->target, alias, bound->target_ids, out));
    bound->place_id = kdi_next_id(b);
    bound->leaf_id = kdi_next_id(b);
    if (b->view == NULL) {
        out->place = bound->place_id;
        out->leaf = bound->leaf_id;
    }
    return KD_OK;
}

kd_status kdi_table_source(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                           const kd_column_id *ids, kdi_source *out)
{
    *out = (kdi_source){.alias = alias,
                        .column_count = table->visible_count,
                        .row_object = table->object.object_no};
    out->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, table->visible_count);
    if (out->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->visible_count; i++)
        out->columns[i] = (kd_rel_column){.id = ids[i],
                                          .type = table->columns[i].storage.type,
                                          .name = table->columns[i].storage.name};
    return KD_OK;
}

kd_status kdi_bind_target(kd_ctx *ctx, kdi_binder *b, const kd_ast_name *name, char privilege,
                          kd_bound_statement *bound)
{
    const kd_object *object;
    const kd_virtual_table *system_view;
    KD_TRY(kdi_find_relation(ctx, b, name, false, &object, &system_view));
    b->view = NULL;
    if (object == NULL || (object->kind != KD_OBJECT_TABLE && object->kind != KD_OBJECT_VIEW)) {
        const char *verb = privilege == 'a'   ? "insert into"
                           : privilege == 'd' ? "delete from"
                                              : "update";
        const char *what = object == NULL ? "view" : "relation";
        return kdi_at(ctx, b, name->position,
                      KD_FAIL(ctx, KD_INVALID, object == NULL ? "42809" : "55000",
                              "cannot %s %s \"%.*s\"", verb, what, KDI_S(name->name)));
    }
    KD_TRY(kdi_authorize(ctx, b, object, privilege));
    if (object->kind == KD_OBJECT_VIEW && privilege == 'r') {
        KD_FAIL(ctx, KD_INVALID, "0A000", "cannot execute MERGE on relation \"%.*s\"",
                KDI_S(name->name));
        kd_error_set_detail(ctx, "This operation is not supported for views.");
        return kdi_at(ctx, b, name->position, KD_INVALID);
    }
    if (object->kind == KD_OBJECT_VIEW) {
        KD_TRY(kdi_bind_view_target(ctx, b, (const kd_view_entry *)object, privilege, bound));
        b->target = bound->target;
        return KD_OK;
    }
    bound->target = (const kd_table_entry *)object;
    if (bound->target->query_text.size_bytes > 0)
        return kdi_at(ctx, b, name->position,
                      KD_FAIL(ctx, KD_INVALID, "42809", "cannot change materialized view \"%.*s\"",
                              KDI_S(name->name)));
    b->target = bound->target;
    return kdi_new_ids(ctx, b, bound->target->column_count, &bound->target_ids);
}

kd_status kdi_target_position(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                              const kd_ast_node *node, const char *verb, uint32_t *out_position)
{
    if (node->kind != KD_AST_COLUMN)
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "assignment to a part of a column is not supported"));
    const kd_ast_column *column = (const kd_ast_column *)node;
    kd_slice name = column->parts[0];
    if (column->part_count > 1)
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_INVALID, "42703",
                              "column \"%.*s\" of relation \"%.*s\" does not exist", KDI_S(name),
                              KDI_S(table->object.name)));
    bool is_view = b->view != NULL && table == b->target;
    kd_slice relation = is_view ? kdi_view_name(b->view) : table->object.name;
    int index = is_view ? kdi_view_find_column(b->view, name) : -1;
    if (index >= 0)
        return kdi_at(ctx, b, node->position,
                      kdi_view_position(ctx, b->view, (uint32_t)index, verb, out_position));
    for (uint32_t i = 0; !is_view && i < table->visible_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, name)) {
            *out_position = i;
            return KD_OK;
        }
    return kdi_at(ctx, b, node->position,
                  KD_FAIL(ctx, KD_INVALID, "42703",
                          "column \"%.*s\" of relation \"%.*s\" does not exist", KDI_S(name),
                          KDI_S(relation)));
}

kd_status kdi_assign(kd_ctx *ctx, kdi_binder *b, const kd_column *column, kd_expr **io_expr)
{
    kd_type wanted = column->storage.type, given = (*io_expr)->type;
    if (!kdi_is_unknown(given) &&
        !kd_registry_can_coerce(b->registry, given, wanted, KD_CAST_ASSIGNMENT)) {
        KD_FAIL(ctx, KD_INVALID, "42804",
                "column \"%.*s\" is of type %s but expression is of type %s",
                KDI_S(column->storage.name), kdi_type_text(ctx, b, wanted),
                kdi_type_text(ctx, b, given));
        kd_error_set_hint(ctx, "You will need to rewrite or cast the expression.");
        return kdi_at(ctx, b, (*io_expr)->position, KD_INVALID);
    }
    return kdi_coerce(ctx, b, wanted, KD_CAST_ASSIGNMENT, io_expr);
}

static kd_status next_value(kd_ctx *ctx, kdi_binder *b, const kd_column *column, kd_expr **out)
{
    const kd_object *sequence = kd_catalog_get(b->options->catalog, column->sequence_no);
    const kd_object *schema =
        sequence == NULL ? NULL : kd_catalog_get(b->options->catalog, sequence->schema_no);
    if (schema == NULL)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "column \"%.*s\" has lost its sequence",
                       KDI_S(column->storage.name));
    char *name = kd_format_text(ctx, b->arena, "\"%.*s\".\"%.*s\"", KDI_S(schema->name),
                                KDI_S(sequence->name));
    if (name == NULL)
        return KD_NOMEM;
    kd_value text = kd_value_text(kd_slice_of(name));
    text.type = kd_type_of(KD_TYPE_UNKNOWN);
    kd_expr *argument = kdi_constant(ctx, b, text, -1);
    if (argument == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_call(ctx, b, KD_SLICE("nextval"), &argument, 1, -1, out));
    return kdi_assign(ctx, b, column, out);
}

kd_status kdi_default_expr(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                           uint32_t position, kd_expr **out)
{
    const kd_column *column = &table->columns[position];
    *out = NULL;
    if (column->identity != KD_IDENTITY_NONE)
        return next_value(ctx, b, column, out);
    if (column->default_text.size_bytes == 0 || column->generated) {
        *out = kdi_constant(ctx, b, kd_value_null(column->storage.type), -1);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    kd_ast_node *node;
    KD_TRY(kd_parse_expression(ctx, b->arena, column->default_text, &node));
    kdi_query query = {.clause = "DEFAULT expressions"};
    kdi_scope scope = {.query = &query};
    b->inside_text++;
    KD_TRY(kdi_bind_expr(ctx, b, &scope, node, out));
    b->inside_text--;
    return kdi_assign(ctx, b, column, out);
}

/* --- Assignments --- */

typedef struct assignment_list {
    kd_bound_assignment *items;
    size_t count, capacity;
    bool last_is_part; /* The last was to a part of its column: more may follow. */
} assignment_list;

static kd_status refuse_generated(kd_ctx *ctx, kdi_binder *b, const kd_column *column, int position)
{
    if (!column->generated && column->identity != KD_IDENTITY_ALWAYS)
        return KD_OK;
    KD_FAIL(ctx, KD_INVALID, "428C9", "column \"%.*s\" can only be updated to DEFAULT",
            KDI_S(column->storage.name));
    kd_error_set_detail(ctx,
                        column->generated
                            ? "Column \"%.*s\" is a generated column."
                            : "Column \"%.*s\" is an identity column defined as GENERATED ALWAYS.",
                        KDI_S(column->storage.name));
    return kdi_at(ctx, b, position, KD_INVALID);
}

/* What a column holds, for an assignment to a part of it: the target is the scope's first item. */
static kd_status old_value(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           kd_expr **out)
{
    kd_slice name = ((const kd_ast_column *)node)->parts[0];
    const kdi_source *target = &scope->names.sources[0];
    for (uint32_t i = 0; i < target->column_count; i++)
        if (kd_slice_equal(target->columns[i].name, name)) {
            *out = kdi_column_expr(ctx, b, &target->columns[i], node->position);
            return *out == NULL ? KD_NOMEM : KD_OK;
        }
    return kdi_bind_expr(ctx, b, scope, node, out);
}

/* A part's value made to the whole column's; `before` is an earlier assignment to the column. */
static kd_status complete_part(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_ast_node *target, const kd_column *column,
                               const kd_bound_assignment *before, kd_expr **io_value)
{
    kd_expr *old;
    if (before != NULL)
        old = before->value;
    else
        KD_TRY(old_value(ctx, b, scope, kdi_part_column(target), &old));
    return kdi_assign_part(ctx, b, scope, target, column, old, *io_value, io_value);
}

typedef struct assigned {
    const kd_ast_node *target;
    const kd_ast_node *value; /* NULL: it is bound already. */
    kd_expr *bound;
} assigned;

static kd_status bind_assigned(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_table_entry *table, uint32_t position,
                               const assigned *given, const kd_bound_assignment *before,
                               kd_expr **out)
{
    const kd_column *column = &table->columns[position];
    bool is_part = kdi_is_part(given->target);
    *out = given->bound;
    if (given->value != NULL && given->value->kind == KD_AST_DEFAULT) {
        if (is_part)
            return kdi_at(ctx, b, given->value->position,
                          KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                  given->target->kind == KD_AST_FIELD
                                      ? "cannot set a subfield to DEFAULT"
                                      : "cannot set an array element to DEFAULT"));
        return kdi_default_expr(ctx, b, table, position, out);
    }
    KD_TRY(refuse_generated(ctx, b, column, given->target->position));
    if (*out == NULL)
        KD_TRY(kdi_bind_expr(ctx, b, scope, given->value, out));
    if (is_part)
        KD_TRY(complete_part(ctx, b, scope, given->target, column, before, out));
    return kdi_assign(ctx, b, column, out);
}

static kd_status add_assignment(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_table_entry *table, const kd_ast_node *target,
                                const kd_ast_node *value, kd_expr *bound_value,
                                assignment_list *list)
{
    uint32_t position;
    const assigned given = {target, value, bound_value};
    kd_bound_assignment *before = NULL, *added;
    KD_TRY(kdi_target_position(ctx, b, table, kdi_part_column(target), "update", &position));
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].shape_position == position)
            before = &list->items[i];
    if (before != NULL && (!kdi_is_part(target) || !list->last_is_part))
        return kdi_at(ctx, b, target->position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "multiple assignments to same column \"%.*s\"",
                              KDI_S(table->columns[position].storage.name)));
    list->last_is_part = kdi_is_part(target);
    if (value != NULL && value->kind == KD_AST_DEFAULT && table->columns[position].generated)
        return KD_OK; /* It is computed anyway. */
    kd_expr *expr;
    KD_TRY(bind_assigned(ctx, b, scope, table, position, &given, before, &expr));
    if (before != NULL) {
        before->value = expr;
        return KD_OK;
    }
    KD_TRY(KD_PUSH(ctx, b->arena, list->items, list->count, list->capacity, &added));
    *added = (kd_bound_assignment){.shape_position = position, .value = expr};
    return KD_OK;
}

/* SET (a, b) = (SELECT ...): one row, joined to the statement's rows. */
static kd_status assign_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                              const kd_table_entry *table, const kd_ast_assignment *ast,
                              kd_rel **io_rel, assignment_list *list)
{
    const kd_ast_subquery *subquery = (const kd_ast_subquery *)ast->value;
    if (io_rel == NULL)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "assignment from a query of several columns is not supported here"));
    kd_rel *rows;
    KD_TRY(kdi_bind_query(ctx, b, scope, subquery->query, &rows));
    if (rows->column_count != ast->targets.count)
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_INVALID, "42601", "number of columns does not match number of values"));
    KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_SINGLE, *io_rel, rows, NULL, io_rel));
    (*io_rel)->as.join.lateral = true;
    for (size_t i = 0; i < ast->targets.count; i++) {
        kd_expr *column = kdi_column_expr(ctx, b, &rows->columns[i], ast->node.position);
        if (column == NULL)
            return KD_NOMEM;
        KD_TRY(add_assignment(ctx, b, scope, table, ast->targets.items[i], NULL, column, list));
    }
    return KD_OK;
}

static bool has_star(const kd_ast_list *items)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->items[i]->kind == KD_AST_STAR ||
            (items->items[i]->kind == KD_AST_FIELD && ((kd_ast_field *)items->items[i])->star))
            return true;
    return false;
}

/* SET (a, b) = (x, y): each value by itself, for it may be DEFAULT, unless a star stands for some.
 */
static kd_status assign_row(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_table_entry *table, const kd_ast_assignment *ast,
                            assignment_list *list)
{
    const kd_ast_args *row = (const kd_ast_args *)ast->value;
    kd_expr **exprs = NULL;
    uint32_t count = (uint32_t)row->args.count;
    if (has_star(&row->args))
        KD_TRY(kdi_bind_row(ctx, b, scope, ast->value, &exprs, &count));
    if (count != ast->targets.count)
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_INVALID, "42601", "number of columns does not match number of values"));
    for (uint32_t c = 0; c < count; c++)
        KD_TRY(add_assignment(ctx, b, scope, table, ast->targets.items[c],
                              exprs == NULL ? row->args.items[c] : NULL,
                              exprs == NULL ? NULL : exprs[c], list));
    return KD_OK;
}

kd_status kdi_bind_assignments(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_table_entry *table, const kd_ast_list *list,
                               kd_rel **io_rel, kd_bound_assignment **out, uint32_t *out_count)
{
    assignment_list made = {0};
    for (size_t i = 0; i < list->count; i++) {
        const kd_ast_assignment *ast = (const kd_ast_assignment *)list->items[i];
        if (!ast->is_multiple) {
            KD_TRY(add_assignment(ctx, b, scope, table, ast->targets.items[0], ast->value, NULL,
                                  &made));
            continue;
        }
        if (ast->value->kind == KD_AST_SUBQUERY) {
            KD_TRY(assign_query(ctx, b, scope, table, ast, io_rel, &made));
            continue;
        }
        if (ast->value->kind != KD_AST_ROW)
            return kdi_at(
                ctx, b, ast->node.position,
                KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                        "source for a multiple-column UPDATE item must be a sub-SELECT or "
                        "ROW() expression"));
        KD_TRY(assign_row(ctx, b, scope, table, ast, &made));
    }
    *out = made.items;
    *out_count = (uint32_t)made.count;
    return KD_OK;
}

/* --- RETURNING --- */

kd_status kdi_bind_returning(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                             kd_bound_statement *bound)
{
    if (list->count == 0)
        return KD_OK;
    kdi_targets targets = {0};
    kd_id_set used = {.arena = b->arena};
    scope->query->clause = "RETURNING";
    KD_TRY(kdi_bind_targets(ctx, b, scope, list, &targets));
    bound->returning_count = (uint32_t)targets.count;
    bound->returning = targets.exprs;
    bound->returning_columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, targets.count);
    if (bound->returning_columns == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < targets.count; i++) {
        KD_TRY(kdi_settle(ctx, b, &targets.exprs[i]));
        KD_TRY(kdi_view_substitute(ctx, b, &targets.exprs[i]));
        KD_TRY(kd_expr_columns(ctx, targets.exprs[i], &used));
        bound->returning_columns[i] = (kd_rel_column){
            .id = kdi_next_id(b), .type = targets.exprs[i]->type, .name = targets.names[i]};
    }
    bound->returns_places =
        kd_id_set_has(&used, bound->place_id) || kd_id_set_has(&used, bound->leaf_id);
    return KD_OK;
}
