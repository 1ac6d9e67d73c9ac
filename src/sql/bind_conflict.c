/*
 * INSERT ... ON CONFLICT: which unique indexes it is about, and what is done.
 *
 * The indexes are inferred from columns and expressions, as a set: an index fits when
 * its keys are exactly those, and its predicate follows from the clause's WHERE.
 *
 * Sub-queries in DO UPDATE that do not look at the row become columns of the query that gives the
 * rows. Where one looks at it, WHERE or SET becomes a query of its own, run for each conflict: its
 * parameters, after those of the statement, are the existing row, the excluded one, and what the
 * query gives besides.
 */
#include "sql/bind_internal.h"

#include "sql/ast_define.h"
#include "sql/implication.h"

/* --- Which indexes ---------------------------------------------------------------------------- */

typedef struct inference {
    const kd_table_entry *table;
    uint32_t count;
    kd_expr **keys; /* Over `target_ids`. */
    kd_expr *where;
    kdi_scope stored; /* For texts of the catalog: the table's columns under `target_ids`. */
    const kd_column_id *ids;
} inference;

static kd_status scope_of(kd_ctx *ctx, kdi_binder *b, kdi_source source, kdi_scope *scope)
{
    KD_TRY(kdi_names_add_source(ctx, b, &scope->names, source));
    for (uint32_t i = 0; i < source.column_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, &scope->names, source.columns[i]));
    return KD_OK;
}

static kd_status bind_keys(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                           kdi_scope *scope, inference *out)
{
    out->count = (uint32_t)ast->inference.count;
    out->keys = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, out->count);
    if (out->keys == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < out->count; i++) {
        const kd_ast_index_item *item = (const kd_ast_index_item *)ast->inference.items[i];
        kd_slice name = item->column;
        kd_ast_column column = {.node = {.kind = KD_AST_COLUMN, .position = item->node.position},
                                .parts = &name,
                                .part_count = 1};
        const kd_ast_node *node = item->column.size_bytes > 0 ? &column.node : item->value;
        KD_TRY(kdi_bind_expr(ctx, b, scope, node, &out->keys[i]));
        KD_TRY(kdi_settle(ctx, b, &out->keys[i]));
        KD_TRY(kdi_view_substitute(ctx, b, &out->keys[i]));
    }
    if (ast->inference_where == NULL)
        return KD_OK;
    KD_TRY(kdi_bind_condition(ctx, b, scope, ast->inference_where, "WHERE", &out->where));
    return kdi_view_substitute(ctx, b, &out->where);
}

/* What a key column of an index holds, over `target_ids`. */
static kd_status stored_key(kd_ctx *ctx, kdi_binder *b, inference *work, uint32_t column_no,
                            kd_expr **out)
{
    uint32_t position = 0;
    while (work->table->columns[position].storage.column_no != column_no)
        position++;
    const kd_column *column = &work->table->columns[position];
    kd_rel_column bare = {
        .id = work->ids[position], .type = column->storage.type, .name = column->storage.name};
    if (!column->hidden) {
        *out = kdi_column_expr(ctx, b, &bare, -1);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    kd_ast_node *node;
    KD_TRY(kd_parse_expression(ctx, b->arena, column->default_text, &node));
    b->inside_text++;
    KD_TRY(kdi_bind_expr(ctx, b, &work->stored, node, out));
    b->inside_text--;
    return kdi_settle(ctx, b, out);
}

static bool has_key(const inference *work, const kd_expr *key)
{
    for (uint32_t i = 0; i < work->count; i++)
        if (kd_expr_equal(work->keys[i], key))
            return true;
    return false;
}

static kd_status index_fits(kd_ctx *ctx, kdi_binder *b, inference *work,
                            const kd_table_index *index, bool *out_fits)
{
    const kd_index_definition *storage = &index->storage;
    uint32_t found = 0;
    *out_fits = false;
    if (!storage->unique || storage->exclusion)
        return KD_OK;
    for (uint32_t k = 0; k < work->count; k++) {
        bool has = false;
        for (uint32_t c = 0; c < storage->column_count && !has; c++) {
            kd_expr *key;
            KD_TRY(stored_key(ctx, b, work, storage->columns[c].column_no, &key));
            has = kd_expr_equal(work->keys[k], key);
        }
        if (!has)
            return KD_OK;
    }
    for (uint32_t c = 0; c < storage->column_count; c++) {
        kd_expr *key;
        KD_TRY(stored_key(ctx, b, work, storage->columns[c].column_no, &key));
        found += has_key(work, key);
    }
    *out_fits = found == storage->column_count;
    if (!*out_fits || storage->predicate_column_no < 0)
        return KD_OK;
    kd_expr *predicate;
    KD_TRY(stored_key(ctx, b, work, (uint32_t)storage->predicate_column_no, &predicate));
    *out_fits = work->where != NULL && kd_expr_implies(work->where, predicate);
    return KD_OK;
}

static kd_status no_arbiter(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                            const kd_table_entry *table)
{
    if (ast->constraint.size_bytes > 0)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42704",
                              "constraint \"%.*s\" for table \"%.*s\" does not exist",
                              KDI_S(ast->constraint), KDI_S(table->object.name)));
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42P10",
                          "there is no unique or exclusion constraint matching the ON CONFLICT "
                          "specification"));
}

static kd_status check_arbiter(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                               const kd_table_index *index)
{
    if (index->storage.exclusion && ast->do_update)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "ON CONFLICT DO UPDATE not supported with exclusion constraints"));
    if (!index->storage.deferrable)
        return KD_OK;
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "55000",
                          "ON CONFLICT does not support deferrable unique "
                          "constraints/exclusion constraints as arbiters"));
}

static kd_status find_arbiters(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                               kd_slice alias, kd_bound_statement *bound)
{
    const kd_table_entry *table = bound->target;
    bool by_name = ast->constraint.size_bytes > 0;
    kdi_query query = {.clause = "index expressions"};
    kdi_scope scope = {.query = &query};
    inference work = {.table = table, .ids = bound->target_ids, .stored = {.query = &query}};
    kdi_source source;
    bound->conflict_indexes = KD_NEW_ARRAY(ctx, b->arena, uint32_t, table->index_count);
    if (bound->conflict_indexes == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_target_source(ctx, b, table, alias, bound->target_ids, &source));
    KD_TRY(scope_of(ctx, b, source, &scope));
    KD_TRY(kdi_table_source(ctx, b, table, table->object.name, bound->target_ids, &source));
    KD_TRY(scope_of(ctx, b, source, &work.stored));
    if (!by_name)
        KD_TRY(bind_keys(ctx, b, ast, &scope, &work));
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        bool fits = index->is_constraint && kd_slice_equal(index->object.name, ast->constraint);
        if (!by_name)
            KD_TRY(index_fits(ctx, b, &work, index, &fits));
        if (!fits)
            continue;
        KD_TRY(check_arbiter(ctx, b, ast, index));
        bound->conflict_indexes[bound->conflict_index_count++] = i;
    }
    return bound->conflict_index_count > 0 ? KD_OK : no_arbiter(ctx, b, ast, table);
}

/* --- Sub-queries of DO UPDATE ----------------------------------------------------------------- */

typedef struct lifting {
    kdi_binder *b;
    kd_bound_statement *bound;
    kd_id_set row; /* Ids of the existing and the excluded row. */
} lifting;

typedef struct search {
    lifting *work;
    bool found;
} search;

static kd_status test_one(kd_ctx *ctx, void *object, kd_expr **slot)
{
    search *self = object;
    if ((*slot)->kind != KD_EXPR_SUBQUERY)
        return KD_OK;
    kd_id_set used = {.arena = self->work->b->arena};
    KD_TRY(kd_expr_columns(ctx, *slot, &used));
    self->found |= kd_id_set_overlaps(&used, &self->work->row);
    return KD_OK;
}

/* Whether an expression has a sub-query that looks at the row. */
static kd_status find_dependent(kd_ctx *ctx, lifting *work, kd_expr *expr, bool *io_found)
{
    search self = {.work = work};
    if (expr != NULL)
        KD_TRY(kd_expr_walk(ctx, &expr, test_one, &self));
    *io_found |= self.found;
    return KD_OK;
}

static kd_status lift_one(kd_ctx *ctx, void *object, kd_expr **slot)
{
    lifting *work = object;
    search self = {.work = work};
    if ((*slot)->kind != KD_EXPR_SUBQUERY)
        return KD_OK;
    KD_TRY(test_one(ctx, &self, slot));
    if (self.found)
        return KD_OK;
    kd_rel_column column = {.type = (*slot)->type};
    KD_TRY(kdi_rel_append(ctx, work->b, &work->bound->query, *slot, &column.id));
    *slot = kdi_column_expr(ctx, work->b, &column, (*slot)->position);
    return *slot == NULL ? KD_NOMEM : KD_OK;
}

/* WHERE as a query that has a row where it holds. */
static kd_status make_test(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound)
{
    kd_rel *rel = kdi_rel_one_row(ctx, b);
    kd_expr *one = kdi_constant(ctx, b, kd_value_bool(true), -1);
    if (rel == NULL || one == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_rel_filter(ctx, b, bound->conflict_where, &rel));
    bound->conflict_where = NULL;
    return kdi_rel_project(ctx, b, rel, &one, NULL, 1, false, &bound->conflict_test);
}

/* The new values as a query over what the sub-queries of SET (a, b) = (SELECT ...) give. */
static kd_status make_values(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_bound_statement *bound)
{
    uint32_t count = 0;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, bound->conflict_assignment_count);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < bound->conflict_assignment_count; i++)
        if (bound->conflict_assignments[i].value != NULL)
            exprs[count++] = bound->conflict_assignments[i].value;
    return kdi_rel_project(ctx, b, rel, exprs, NULL, count, false, &bound->conflict_values);
}

/* `rel` is one row, to which the sub-queries of SET (a, b) = (SELECT ...) are joined, if any. */
static kd_status place_subqueries(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, bool has_rel,
                                  kd_bound_statement *bound)
{
    lifting work = {.b = b, .bound = bound, .row = {.arena = b->arena}};
    kd_id_set outside = {.arena = b->arena};
    for (uint32_t i = 0; i < bound->target->column_count; i++) {
        KD_TRY(kd_id_set_add(ctx, &work.row, bound->target_ids[i]));
        KD_TRY(kd_id_set_add(ctx, &work.row, bound->excluded_ids[i]));
    }
    KD_TRY(kd_rel_free_columns(ctx, rel, &outside));
    bool depends = kd_id_set_overlaps(&outside, &work.row), test_depends = false;
    KD_TRY(find_dependent(ctx, &work, bound->conflict_where, &test_depends));
    for (uint32_t i = 0; i < bound->conflict_assignment_count; i++)
        KD_TRY(find_dependent(ctx, &work, bound->conflict_assignments[i].value, &depends));
    for (uint32_t i = 0; i < bound->conflict_assignment_count; i++)
        if (bound->conflict_assignments[i].value != NULL)
            KD_TRY(kd_expr_walk(ctx, &bound->conflict_assignments[i].value, lift_one, &work));
    if (bound->conflict_where != NULL)
        KD_TRY(kd_expr_walk(ctx, &bound->conflict_where, lift_one, &work));
    if (test_depends)
        KD_TRY(make_test(ctx, b, bound));
    if (depends)
        return make_values(ctx, b, rel, bound);
    return !has_rel ? KD_OK
                    : kdi_rel_join(ctx, b, KD_JOIN_INNER, bound->query, rel, NULL, &bound->query);
}

/* --- Parameters ------------------------------------------------------------------------------- */

typedef struct numbering {
    kdi_binder *b;
    const kd_bound_statement *bound;
    uint32_t first; /* Parameter number of the existing row's first column. */
} numbering;

/* The row's columns in order: existing, excluded, and what the query gives behind the target's. */
static bool number_of(const numbering *self, kd_column_id id, uint32_t *out)
{
    const kd_bound_statement *bound = self->bound;
    uint32_t count = bound->target->column_count;
    for (uint32_t i = 0; i < count; i++) {
        if (bound->target_ids[i] != id && bound->excluded_ids[i] != id)
            continue;
        *out = self->first + i + (bound->target_ids[i] == id ? 0 : count);
        return true;
    }
    for (uint32_t i = bound->target_count; i < bound->query->column_count; i++)
        if (bound->query->columns[i].id == id) {
            *out = self->first + 2 * count + i - bound->target_count;
            return true;
        }
    return false;
}

static kd_status number_one(kd_ctx *ctx, void *object, kd_expr **slot)
{
    const numbering *self = object;
    uint32_t number;
    if ((*slot)->kind != KD_EXPR_COLUMN || !number_of(self, (*slot)->column, &number))
        return KD_OK;
    kd_expr *parameter =
        kdi_expr_new(ctx, self->b, KD_EXPR_PARAMETER, (*slot)->type, (*slot)->position, 0);
    if (parameter == NULL)
        return KD_NOMEM;
    parameter->parameter_no = number;
    *slot = parameter;
    return KD_OK;
}

kd_status kdi_number_conflict(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound)
{
    bound->conflict_parameter_no = (uint32_t)b->parameter_count + 1;
    numbering self = {.b = b, .bound = bound, .first = bound->conflict_parameter_no};
    if (bound->conflict_test != NULL)
        KD_TRY(kd_rel_walk(ctx, bound->conflict_test, number_one, &self));
    return bound->conflict_values == NULL
               ? KD_OK
               : kd_rel_walk(ctx, bound->conflict_values, number_one, &self);
}

/* --- The clause ------------------------------------------------------------------------------- */

static kd_status bind_update(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                             kd_slice alias, kd_bound_statement *bound)
{
    KD_TRY(kdi_authorize(ctx, b, &bound->target->object, 'w'));
    KD_TRY(kdi_new_ids(ctx, b, bound->target->column_count, &bound->excluded_ids));
    kdi_query query = {.clause = "ON CONFLICT"};
    kdi_scope scope = {.query = &query};
    kdi_source sources[2];
    KD_TRY(kdi_target_source(ctx, b, bound->target, alias, bound->target_ids, &sources[0]));
    KD_TRY(kdi_target_source(ctx, b, bound->target, KD_SLICE("excluded"), bound->excluded_ids,
                             &sources[1]));
    for (int s = 0; s < 2; s++)
        KD_TRY(scope_of(ctx, b, sources[s], &scope));
    if (bound->query == NULL) { /* DEFAULT VALUES */
        bound->query = kdi_rel_one_row(ctx, b);
        if (bound->query == NULL)
            return KD_NOMEM;
    }
    kd_rel *bottom = kdi_rel_one_row(ctx, b), *rel = bottom;
    if (bottom == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_bind_assignments(ctx, b, &scope, bound->target, &ast->assignments, &rel,
                                &bound->conflict_assignments, &bound->conflict_assignment_count));
    for (uint32_t i = 0; i < bound->conflict_assignment_count; i++)
        KD_TRY(kdi_view_substitute(ctx, b, &bound->conflict_assignments[i].value));
    if (ast->where != NULL) {
        KD_TRY(kdi_bind_condition(ctx, b, &scope, ast->where, "WHERE", &bound->conflict_where));
        KD_TRY(kdi_view_substitute(ctx, b, &bound->conflict_where));
    }
    return place_subqueries(ctx, b, rel, rel != bottom, bound);
}

kd_status kdi_bind_conflict(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                            kd_slice alias, kd_bound_statement *bound)
{
    if (ast == NULL)
        return KD_OK;
    bound->has_on_conflict = true;
    bound->on_conflict_update = ast->do_update;
    bool is_inferred = ast->inference.count > 0 || ast->constraint.size_bytes > 0;
    if (ast->do_update && !is_inferred)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "ON CONFLICT DO UPDATE requires inference specification or "
                              "constraint name"));
    if (ast->do_update)
        KD_TRY(bind_update(ctx, b, ast, alias, bound));
    if (is_inferred)
        return find_arbiters(ctx, b, ast, alias, bound);
    for (uint32_t i = 0; i < bound->target->index_count; i++) /* Every unique key arbitrates. */
        KD_TRY(check_arbiter(ctx, b, ast, &bound->target->indexes[i]));
    return KD_OK;
}
