/*
 * Views as targets of INSERT, UPDATE and DELETE.
 *
 * A view that selects from one table, or from such a view, row for row, is written
 * through: its columns that are columns of the table stand for those, its WHERE says
 * which rows there are, and CHECK OPTION which may come. Everything is bound over ids
 * of the table's columns, once for each set of ids that a statement has for its rows.
 */
#include "sql/bind_internal.h"

#include <assert.h>

typedef struct level {
    const kd_view_entry *view;
    struct level *inner; /* NULL: over the table itself. */
    kd_expr **exprs;     /* Per column of the view. */
    kd_expr *condition;  /* Its own WHERE; NULL: none. */
} level;

struct kdi_view_target {
    const kd_view_entry *view;
    const kd_table_entry *table;
    int32_t *positions; /* Per column of the view: of the table's, or -1 when it is computed. */
    /* Ids that stand for computed columns, and what they stand for. */
    kd_column_id *ids;
    kd_expr **exprs;
    size_t id_count, id_capacity, expr_count, expr_capacity;
};

/* --- Which views ------------------------------------------------------------------------------ */

static kd_status refuse(kd_ctx *ctx, const kd_view_entry *view, char privilege, const char *why)
{
    const char *verb = privilege == 'a'   ? "insert into"
                       : privilege == 'd' ? "delete from"
                                          : "update";
    const char *doing = privilege == 'a'   ? "inserting into"
                        : privilege == 'd' ? "deleting from"
                                           : "updating";
    const char *event = privilege == 'a' ? "INSERT" : privilege == 'd' ? "DELETE" : "UPDATE";
    kd_status status = KD_FAIL(ctx, KD_INVALID, "55000", "cannot %s view \"%.*s\"", verb,
                               KDI_S(view->object.name));
    kd_error_set_detail(ctx, "%s are not automatically updatable.", why);
    kd_error_set_hint(ctx,
                      "To enable %s the view, provide an INSTEAD OF %s trigger or an "
                      "unconditional ON %s DO INSTEAD rule.",
                      doing, event, event);
    return status;
}

/* Why a query cannot be written through, or NULL. */
static const char *obstacle(const kd_ast_node *node)
{
    if (node->kind == KD_AST_SETOP)
        return "Views containing UNION, INTERSECT, or EXCEPT";
    const kd_ast_select *select = (const kd_ast_select *)node;
    if (select->distinct || select->distinct_on.count > 0)
        return "Views containing DISTINCT";
    if (select->group_by.count > 0 || select->group_by_all)
        return "Views containing GROUP BY";
    if (select->having != NULL)
        return "Views containing HAVING";
    if (select->tail.with.ctes.count > 0)
        return "Views containing WITH";
    if (select->tail.limit != NULL || select->tail.offset != NULL || select->tail.limit_all)
        return "Views containing LIMIT or OFFSET";
    if (select->is_values || select->from.count != 1 || select->qualify != NULL ||
        select->from.items[0]->kind != KD_AST_TABLE_REF)
        return "Views that do not select from a single table or view";
    return NULL;
}

/* --- Binding a level over columns ------------------------------------------------------------- */

typedef struct replacing {
    kdi_binder *b;
    const kd_column_id *ids;
    kd_expr *const *exprs;
    size_t count;
} replacing;

static kd_status replace_one(kd_ctx *ctx, void *object, kd_expr **slot)
{
    replacing *r = object;
    for (size_t i = 0; i < r->count; i++)
        if ((*slot)->kind == KD_EXPR_COLUMN && (*slot)->column == r->ids[i])
            return kdi_copy_expr(ctx, r->b, r->exprs[i], slot);
    return KD_OK;
}

static kd_status bind_level(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view, char privilege,
                            const kd_table_entry **io_table, const kd_column_id *base_ids,
                            level **out);

/* What FROM's one item gives: the table's columns under the ids, or those of a view below. */
static kd_status bind_source(kd_ctx *ctx, kdi_binder *b, const kd_ast_table_ref *ref,
                             char privilege, const kd_table_entry **io_table,
                             const kd_column_id *base_ids, level *own, kd_rel *carrier)
{
    const kd_object *object;
    const kd_virtual_table *system_view;
    KD_TRY(kdi_find_relation(ctx, b, &ref->name, false, &object, &system_view));
    if (system_view != NULL || ref->is_file || ref->sample.method.name.size_bytes > 0)
        return refuse(ctx, own->view, privilege,
                      "Views that do not select from a single table or view");
    if (object->kind == KD_OBJECT_VIEW) {
        const kd_view_entry *below = (const kd_view_entry *)object;
        KD_TRY(bind_level(ctx, b, below, privilege, io_table, base_ids, &own->inner));
        carrier->column_count = below->column_count;
    } else if (object->kind == KD_OBJECT_TABLE) {
        *io_table = (const kd_table_entry *)object;
        carrier->column_count = (*io_table)->visible_count;
    } else {
        return refuse(ctx, own->view, privilege,
                      "Views that do not select from a single table or view");
    }
    carrier->kind = KD_REL_PROJECT; /* Only a carrier of names. */
    carrier->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, carrier->column_count);
    if (carrier->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < carrier->column_count; i++) {
        kd_rel_column *column = &carrier->columns[i];
        if (own->inner != NULL)
            *column = (kd_rel_column){.id = kdi_next_id(b),
                                      .type = own->inner->exprs[i]->type,
                                      .name = own->inner->view->column_names[i]};
        else
            *column = (kd_rel_column){.id = base_ids == NULL ? kdi_next_id(b) : base_ids[i],
                                      .type = (*io_table)->columns[i].storage.type,
                                      .name = (*io_table)->columns[i].storage.name};
    }
    return KD_OK;
}

static kd_status bind_list(kd_ctx *ctx, kdi_binder *b, const kd_ast_select *select, char privilege,
                           kdi_scope *scope, level *own)
{
    kdi_query *query = scope->query;
    kdi_targets targets = {0};
    query->aggregates_ok = query->windows_ok = query->srfs_ok = true;
    KD_TRY(kdi_bind_targets(ctx, b, scope, &select->targets, &targets));
    if (query->call_count > 0)
        return refuse(ctx, own->view, privilege, "Views that return aggregate functions");
    if (query->window_count > 0)
        return refuse(ctx, own->view, privilege, "Views that return window functions");
    if (query->srf_count > 0)
        return refuse(ctx, own->view, privilege, "Views that return set-returning functions");
    if (targets.count < own->view->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42P10", "view \"%.*s\" no longer has its columns",
                       KDI_S(own->view->object.name));
    for (size_t i = 0; i < targets.count; i++)
        KD_TRY(kdi_settle(ctx, b, &targets.exprs[i]));
    own->exprs = targets.exprs;
    *query = (kdi_query){.clause = "WHERE"};
    if (select->where == NULL)
        return KD_OK;
    return kdi_bind_condition(ctx, b, scope, select->where, "WHERE", &own->condition);
}

static kd_status bind_level(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view, char privilege,
                            const kd_table_entry **io_table, const kd_column_id *base_ids,
                            level **out)
{
    kd_statement statement;
    level *own = KD_NEW(ctx, b->arena, level);
    *out = own;
    if (own == NULL)
        return KD_NOMEM;
    own->view = view;
    KD_TRY(kdi_enter(ctx, b));
    KD_TRY(kd_parse_statement(ctx, b->arena, view->query_text, &statement));
    const char *why = obstacle(statement.node);
    if (why != NULL)
        return refuse(ctx, view, privilege, why);
    const kd_ast_select *select = (const kd_ast_select *)statement.node;
    const kd_ast_table_ref *ref = (const kd_ast_table_ref *)select->from.items[0];
    kd_rel carrier = {0};
    kdi_query query = {.clause = "SELECT"};
    kdi_scope scope = {.query = &query};
    kdi_with *with = b->with;
    b->with = NULL;
    b->inside_text++;
    KD_TRY(bind_source(ctx, b, ref, privilege, io_table, base_ids, own, &carrier));
    KD_TRY(kdi_apply_alias(ctx, b, &ref->alias, ref->name.schema, ref->name.name, &carrier,
                           carrier.column_count, &scope.names));
    KD_TRY(bind_list(ctx, b, select, privilege, &scope, own));
    b->inside_text--;
    b->with = with;
    kdi_leave(b);
    if (own->inner == NULL)
        return KD_OK;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, carrier.column_count);
    if (ids == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < carrier.column_count; i++)
        ids[i] = carrier.columns[i].id;
    replacing r = {.b = b, .ids = ids, .exprs = own->inner->exprs, .count = carrier.column_count};
    for (uint32_t i = 0; i < view->column_count; i++)
        KD_TRY(kd_expr_walk_deep(ctx, &own->exprs[i], replace_one, &r));
    return own->condition == NULL ? KD_OK
                                  : kd_expr_walk_deep(ctx, &own->condition, replace_one, &r);
}

/* --- The target ------------------------------------------------------------------------------- */

static int32_t position_of(const kd_expr *expr, const kd_column_id *ids, uint32_t count)
{
    for (uint32_t i = 0; expr->kind == KD_EXPR_COLUMN && i < count; i++)
        if (ids[i] == expr->column)
            return (int32_t)i;
    return -1;
}

/* The conditions that new rows must meet: those under CHECK OPTION, innermost first. */
static kd_status add_checks(kd_ctx *ctx, kdi_binder *b, const level *top, kd_bound_statement *bound)
{
    uint32_t depth = 0;
    bool cascaded = false;
    for (const level *it = top; it != NULL; it = it->inner)
        depth++;
    bound->view_checks = KD_NEW_ARRAY(ctx, b->arena, kd_bound_view_check, depth);
    if (bound->view_checks == NULL)
        return KD_NOMEM;
    for (const level *it = top; it != NULL; it = it->inner) {
        bool wanted = cascaded || it->view->check_option != KD_CHECK_OPTION_NONE;
        cascaded |= it->view->check_option == KD_CHECK_OPTION_CASCADED;
        if (!wanted || it->condition == NULL)
            continue;
        if (kd_expr_has_subquery(it->condition))
            return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                           "view \"%.*s\" cannot be written: its check option has a sub-query",
                           KDI_S(it->view->object.name));
        for (uint32_t i = bound->view_check_count; i > 0; i--)
            bound->view_checks[i] = bound->view_checks[i - 1];
        bound->view_checks[0] =
            (kd_bound_view_check){.view = it->view->object.name, .condition = it->condition};
        bound->view_check_count++;
    }
    return KD_OK;
}

kd_status kdi_bind_view_target(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view,
                               char privilege, kd_bound_statement *bound)
{
    const kd_table_entry *table = NULL;
    level *top;
    kdi_view_target *target = KD_NEW(ctx, b->arena, kdi_view_target);
    if (target == NULL)
        return KD_NOMEM;
    /* The table is found on the way down, and only then has ids: so once to find it. */
    KD_TRY(bind_level(ctx, b, view, privilege, &table, NULL, &top));
    if (table->query_text.size_bytes > 0)
        return KD_FAIL(ctx, KD_INVALID, "42809", "cannot change materialized view \"%.*s\"",
                       KDI_S(table->object.name));
    KD_TRY(kdi_new_ids(ctx, b, table->column_count, &bound->target_ids));
    KD_TRY(bind_level(ctx, b, view, privilege, &table, bound->target_ids, &top));
    *target = (kdi_view_target){.view = view, .table = table};
    target->positions = KD_NEW_ARRAY(ctx, b->arena, int32_t, view->column_count);
    if (target->positions == NULL)
        return KD_NOMEM;
    bool any = false;
    for (uint32_t i = 0; i < view->column_count; i++) {
        target->positions[i] = position_of(top->exprs[i], bound->target_ids, table->visible_count);
        any |= target->positions[i] >= 0;
    }
    if (!any && privilege != 'd')
        return refuse(ctx, view, privilege, "Views that have no updatable columns");
    if (privilege != 'd')
        KD_TRY(add_checks(ctx, b, top, bound));
    bound->target = table;
    b->view = target;
    return KD_OK;
}

uint32_t kdi_view_column_count(const kdi_view_target *target)
{
    return target->view->column_count;
}

bool kdi_view_is_computed(const kdi_view_target *target, uint32_t index)
{
    return target->positions[index] < 0;
}

uint32_t kdi_view_position_of(const kdi_view_target *target, uint32_t index)
{
    assert(target->positions[index] >= 0);
    return (uint32_t)target->positions[index];
}

kd_status kdi_view_position(kd_ctx *ctx, const kdi_view_target *target, uint32_t index,
                            const char *verb, uint32_t *out_position)
{
    if (target->positions[index] < 0) {
        kd_status status = KD_FAIL(
            ctx, KD_UNSUPPORTED, "0A000", "cannot %s column \"%.*s\" of view \"%.*s\"", verb,
            KDI_S(target->view->column_names[index]), KDI_S(target->view->object.name));
        kd_error_set_detail(ctx, "View columns that are not columns of their base relation are not "
                                 "updatable.");
        return status;
    }
    *out_position = (uint32_t)target->positions[index];
    return KD_OK;
}

kd_slice kdi_view_name(const kdi_view_target *target)
{
    return target->view->object.name;
}

int kdi_view_find_column(const kdi_view_target *target, kd_slice name)
{
    for (uint32_t i = 0; i < target->view->column_count; i++)
        if (kd_slice_equal(target->view->column_names[i], name))
            return (int)i;
    return -1;
}

kd_status kdi_view_source(kd_ctx *ctx, kdi_binder *b, kd_slice alias, const kd_column_id *ids,
                          kdi_source *out)
{
    kdi_view_target *target = b->view;
    const kd_table_entry *table = NULL;
    level *top;
    KD_TRY(bind_level(ctx, b, target->view, 'r', &table, ids, &top));
    *out = (kdi_source){.alias = alias, .column_count = target->view->column_count};
    out->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, out->column_count);
    if (out->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < out->column_count; i++) {
        kd_column_id *id;
        kd_expr **expr;
        out->columns[i] =
            (kd_rel_column){.type = top->exprs[i]->type, .name = target->view->column_names[i]};
        if (target->positions[i] >= 0) {
            out->columns[i].id = ids[target->positions[i]];
            continue;
        }
        KD_TRY(KD_PUSH(ctx, b->arena, target->ids, target->id_count, target->id_capacity, &id));
        KD_TRY(KD_PUSH(ctx, b->arena, target->exprs, target->expr_count, target->expr_capacity,
                       &expr));
        *id = out->columns[i].id = kdi_next_id(b);
        *expr = top->exprs[i];
    }
    return KD_OK;
}

kd_status kdi_view_substitute(kd_ctx *ctx, kdi_binder *b, kd_expr **slot)
{
    const kdi_view_target *target = b->view;
    if (target == NULL || *slot == NULL)
        return KD_OK;
    replacing r = {.b = b, .ids = target->ids, .exprs = target->exprs, .count = target->id_count};
    return kd_expr_walk_deep(ctx, slot, replace_one, &r);
}

/* --- The rows of the view, with references ---------------------------------------------------- */

/* Filters by every level's WHERE, innermost first. */
static kd_status filter_levels(kd_ctx *ctx, kdi_binder *b, const level *it, kd_rel **io_rel)
{
    if (it->inner != NULL)
        KD_TRY(filter_levels(ctx, b, it->inner, io_rel));
    return it->condition == NULL ? KD_OK : kdi_rel_filter(ctx, b, it->condition, io_rel);
}

kd_status kdi_view_rel(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel, kd_rel *out_named)
{
    const kdi_view_target *target = b->view;
    const kd_table_entry *table = NULL;
    uint32_t base_count = (*io_rel)->column_count, count = target->view->column_count;
    level *top;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, base_count);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, base_count + count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, base_count + count);
    *out_named = (kd_rel){.kind = KD_REL_PROJECT, .column_count = count};
    out_named->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, count);
    if (ids == NULL || exprs == NULL || names == NULL || out_named->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < base_count; i++) {
        ids[i] = (*io_rel)->columns[i].id;
        names[i] = (*io_rel)->columns[i].name;
        exprs[i] = kdi_column_expr(ctx, b, &(*io_rel)->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    KD_TRY(bind_level(ctx, b, target->view, 'r', &table, ids, &top));
    KD_TRY(filter_levels(ctx, b, top, io_rel));
    uint32_t made = base_count;
    for (uint32_t i = 0; i < count; i++)
        if (target->positions[i] < 0) {
            names[made] = target->view->column_names[i];
            exprs[made++] = top->exprs[i];
        }
    KD_TRY(kdi_rel_project(ctx, b, *io_rel, exprs, names, made, true, io_rel));
    made = base_count;
    for (uint32_t i = 0; i < count; i++) {
        int32_t position = target->positions[i];
        out_named->columns[i] = (*io_rel)->columns[position < 0 ? made++ : (uint32_t)position];
        out_named->columns[i].name = target->view->column_names[i];
    }
    return KD_OK;
}
