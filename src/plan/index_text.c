/*
 * What definitions keep as texts, expressions and predicates of indexes and expressions of
 * partition keys, over the columns of a scan.
 */
#include "plan/plan_internal.h"

#include "sql/implication.h"

kd_status kdi_scan_expression(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan, kd_slice text,
                              kd_type wanted, kd_expr **out)
{
    const kd_table_entry *table = scan->as.scan.table;
    kd_column_id *ids, *found;
    kd_expr *bound, **columns;
    kd_id_set own = kdi_set(p), named = kdi_set(p);
    uint32_t count = 0;
    *out = NULL;
    KD_TRY(kd_bind_expression_text(ctx, p->arena, p->options->bind, text, table, wanted, &ids,
                                   &bound));
    KD_TRY(kdi_fold(ctx, p, &bound)); /* As the conditions were. */
    found = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, scan->column_count);
    columns = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, scan->column_count);
    if (found == NULL || columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < scan->column_count; i++) {
        const kd_rel_column *column = &scan->columns[i];
        uint32_t position;
        if (!kdi_scan_position(scan, column->id, &position))
            continue;
        found[count] = ids[position];
        KD_TRY(kd_id_set_add(ctx, &own, ids[position]));
        columns[count] = kdi_make_column(ctx, p, column->id, column->type);
        if (columns[count++] == NULL)
            return KD_NOMEM;
    }
    KD_TRY(kd_expr_columns(ctx, bound, &named));
    return kd_id_set_contains(&own, &named)
               ? kdi_substitute(ctx, p, bound, found, columns, count, out)
               : KD_OK;
}

/* A snapshot may be older than an index's DROP, which took it from the storage for all. */
static bool is_gone(const kdi_planner *p, const kd_rel *scan, const kd_table_index *index)
{
    kd_table *stored = kdi_table_stored(p, scan->as.scan.table);
    return stored != NULL && !kd_table_has_index(stored, index->storage.index_no);
}

/* It is there, and each part of the predicate follows from one of the conditions. */
kd_status kdi_index_holds_all(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan,
                              const kd_table_index *index, const kdi_conditions *conditions,
                              bool *out_holds)
{
    kdi_conditions parts = {0};
    kd_expr *predicate;
    *out_holds = false;
    if (is_gone(p, scan, index))
        return KD_OK;
    *out_holds = index->storage.predicate_column_no < 0;
    if (*out_holds || conditions->count == 0 || p->options->bind == NULL)
        return KD_OK;
    KD_TRY(kdi_scan_expression(ctx, p, scan, index->predicate_text, kd_type_of(KD_TYPE_BOOL),
                               &predicate));
    if (predicate == NULL)
        return KD_OK;
    KD_TRY(kdi_conditions_add(ctx, p, &parts, predicate));
    for (size_t i = 0; i < parts.count; i++) {
        bool follows = false;
        for (size_t k = 0; k < conditions->count && !follows; k++)
            follows = kd_expr_implies(conditions->items[k], parts.items[i]);
        if (!follows)
            return KD_OK;
    }
    *out_holds = true;
    return KD_OK;
}
