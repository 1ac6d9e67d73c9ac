/*
 * Partitions that a query has no need to read: what constants tell at once, and what values that
 * are known only when it runs will tell then.
 */
#include "plan/plan_internal.h"

static int position_of_column(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->visible_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, name))
            return (int)i;
    return -1;
}

static const kd_table_entry *parent_of(const kdi_planner *p, const kd_table_entry *table)
{
    const kd_object *object =
        table->parent_no == 0 ? NULL : kd_catalog_get(p->options->catalog, table->parent_no);
    return object == NULL || object->kind != KD_OBJECT_TABLE ? NULL
                                                             : (const kd_table_entry *)object;
}

/* Where the partition that is read has a column of one of its ancestors; -1: not as it is. */
static int position_below(const kd_table_entry *ancestor, uint32_t column_no,
                          const kd_table_entry *table)
{
    for (uint32_t i = 0; i < ancestor->visible_count; i++)
        if (ancestor->columns[i].storage.column_no == column_no)
            return position_of_column(table, ancestor->columns[i].storage.name);
    return -1;
}

/* What partitions are told apart by, as the scan of one has it. */
typedef struct partition_key {
    int position;  /* -1: not a column that is read. */
    kd_expr *expr; /* The expression that it is; NULL: a column. */
} partition_key;

static kd_status first_key(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan,
                           const kd_table_entry *parent, partition_key *out)
{
    uint32_t at = 0;
    while (parent->columns[at].storage.column_no != parent->partition_column_nos[0])
        at++;
    const kd_column *column = &parent->columns[at];
    *out = (partition_key){.position = -1};
    if (column->hidden && p->options->bind != NULL)
        return kdi_scan_expression(ctx, p, scan, column->default_text, column->storage.type,
                                   &out->expr);
    if (!column->hidden)
        out->position = position_of_column(scan->as.scan.table, column->storage.name);
    return KD_OK;
}

/* The comparisons that say something about a key, one after the other from `*io_next` on. */
static kd_status next_comparison(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                                 const kdi_conditions *conditions, const partition_key *key,
                                 size_t *io_next, kdi_comparison *out, bool *out_found)
{
    *out_found = false;
    while (*io_next < conditions->count && !*out_found) {
        const kd_expr *condition = conditions->items[(*io_next)++];
        if (key->expr != NULL) {
            KD_TRY(kdi_comparison_with(ctx, p, scan, key->expr, condition, out, out_found));
            *out_found = *out_found && out->value != NULL;
            continue;
        }
        KD_TRY(kdi_comparison_of(ctx, p, scan, condition, out, out_found));
        *out_found = *out_found && out->value != NULL && key->position >= 0 &&
                     out->position == (uint32_t)key->position;
    }
    return KD_OK;
}

kd_status kdi_partition_excluded(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                                 const kdi_conditions *conditions, bool *out_excluded)
{
    const kd_table_entry *level = scan->as.scan.table, *parent;
    *out_excluded = false;
    for (; !*out_excluded && (parent = parent_of(p, level)) != NULL; level = parent) {
        partition_key key;
        size_t next = 0;
        bool found = conditions->count > 0;
        KD_TRY(first_key(ctx, p, scan, parent, &key));
        while (found && !*out_excluded) {
            kdi_comparison test;
            KD_TRY(next_comparison(ctx, p, scan, conditions, &key, &next, &test, &found));
            if (found && test.value->kind == KD_EXPR_CONSTANT)
                *out_excluded =
                    kd_partition_excludes(parent, &level->bound, test.test, &test.value->constant);
        }
    }
    return KD_OK;
}

/* Known when the query starts: no columns, not even of an outer query. */
static kd_status is_known_at_start(kd_ctx *ctx, kdi_planner *p, const kd_expr *value, bool *out)
{
    kd_id_set used = kdi_set(p);
    *out = !kd_expr_is_volatile(value);
    KD_TRY(kd_expr_columns(ctx, value, &used));
    for (size_t i = 0; i < used.word_count; i++)
        *out &= used.words[i] == 0;
    return KD_OK;
}

static kd_status add_gate(kd_ctx *ctx, kdi_planner *p, kd_plan *plan, size_t *capacity,
                          kd_plan_gate gate)
{
    kd_plan_gate *added;
    KD_TRY(KD_PUSH(ctx, p->arena, plan->gates, plan->gate_count, *capacity, &added));
    *added = gate;
    return KD_OK;
}

static kd_status bound_gates(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                             const kdi_conditions *conditions, const kd_table_entry *parent,
                             const kd_table_entry *level, kd_plan *plan, size_t *capacity)
{
    partition_key key;
    size_t next = 0;
    KD_TRY(first_key(ctx, p, scan, parent, &key));
    while (!level->bound.is_default) {
        kdi_comparison test;
        bool found, known;
        KD_TRY(next_comparison(ctx, p, scan, conditions, &key, &next, &test, &found));
        if (!found)
            return KD_OK;
        if (test.value->kind == KD_EXPR_CONSTANT)
            continue;
        KD_TRY(is_known_at_start(ctx, p, test.value, &known));
        kd_expr **values = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, 1);
        if (values == NULL)
            return KD_NOMEM;
        values[0] = test.value;
        if (known)
            KD_TRY(add_gate(ctx, p, plan, capacity,
                            (kd_plan_gate){.parent = parent,
                                           .bound = &level->bound,
                                           .test = test.test,
                                           .values = values}));
    }
    return KD_OK;
}

/* The values that equalities give all columns of a key; NULL: not all of them. */
static kd_status key_values(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                            const kdi_conditions *conditions, const kd_table_entry *owner,
                            const kd_index_definition *index, kd_expr ***out_values)
{
    kd_expr **values = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, index->column_count);
    *out_values = NULL;
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < index->column_count; i++) {
        partition_key key = {
            .position = position_below(owner, index->columns[i].column_no, scan->as.scan.table)};
        size_t next = 0;
        bool found = true, known = false;
        while (found && !known) {
            kdi_comparison test;
            KD_TRY(next_comparison(ctx, p, scan, conditions, &key, &next, &test, &found));
            if (!found || test.test != KD_SCAN_EQUAL)
                continue;
            KD_TRY(is_known_at_start(ctx, p, test.value, &known));
            values[i] = test.value;
        }
        if (!known)
            return KD_OK;
    }
    *out_values = values;
    return KD_OK;
}

/* One key that names the row is enough. */
static kd_status key_gate(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                          const kdi_conditions *conditions, const kd_table_entry *owner,
                          kd_plan *plan, size_t *capacity)
{
    for (uint32_t i = 0; i < owner->index_count; i++) {
        const kd_table_index *index = &owner->indexes[i];
        kd_plan_gate gate = {
            .parent = owner, .key = index, .partition_no = scan->as.scan.table->object.object_no};
        if (index->key_table_no == 0 || index->storage.predicate_column_no >= 0)
            continue;
        KD_TRY(key_values(ctx, p, scan, conditions, owner, &index->storage, &gate.values));
        if (gate.values == NULL)
            continue;
        KD_TRY(kd_partition_key_shape(ctx, p->arena, owner, index, &gate.shape));
        return add_gate(ctx, p, plan, capacity, gate);
    }
    return KD_OK;
}

kd_status kdi_partition_gates(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                              const kdi_conditions *conditions, kd_plan *plan)
{
    const kd_table_entry *level = scan->as.scan.table, *parent;
    size_t capacity = 0;
    for (; conditions->count > 0 && (parent = parent_of(p, level)) != NULL; level = parent) {
        KD_TRY(bound_gates(ctx, p, scan, conditions, parent, level, plan, &capacity));
        KD_TRY(key_gate(ctx, p, scan, conditions, parent, plan, &capacity));
    }
    return KD_OK;
}
