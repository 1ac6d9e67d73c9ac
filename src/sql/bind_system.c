/*
 * System columns of tables: ctid and tableoid.
 *
 * Nothing is read for them until they are named: then the item's scans get their row references,
 * or each partition its number, and what stands over the scans hands the column up. ctid is the
 * reference as a tid. tableoid of a table is a constant; of a partitioned one, a column that says
 * which partition a row is of.
 *
 * Rows move: a place told by one statement may not be there for the next. Within a statement whose
 * scans compare places of one table, its rows are kept from moving.
 */
#include "sql/bind_internal.h"

bool kd_is_system_column(kd_slice name)
{
    static const char *const names[] = {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kd_slice_equal(name, kd_slice_of(names[i])))
            return true;
    return false;
}

bool kdi_has_system_column(const kdi_source *source, kd_slice name)
{
    return (source->is_table || source->place != 0) && kd_is_system_column(name);
}

size_t kdi_system_sources(const kdi_names *names, kd_slice name, const kdi_source **out_source)
{
    size_t found = 0;
    *out_source = NULL;
    if (!kd_is_system_column(name))
        return 0;
    for (size_t i = 0; i < names->source_count; i++) {
        if (!kdi_has_system_column(&names->sources[i], name))
            continue;
        *out_source = &names->sources[i];
        found++;
    }
    return found;
}

/* --- Columns of an item's own nodes: scans, their union, a sample of it ----------------------- */

static kd_status append(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_column_id *out)
{
    *out = kdi_next_id(b);
    return kdi_rel_add_column(ctx, b, rel,
                              (kd_rel_column){.id = *out, .type = kd_type_of(KD_TYPE_INT8)});
}

/* Hands a column of the input up. */
static kd_status pass(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_column_id id)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (rel->columns[i].id == id)
            return KD_OK;
    return kdi_rel_add_column(ctx, b, rel,
                              (kd_rel_column){.id = id, .type = kd_type_of(KD_TYPE_INT8)});
}

/* What a union's inputs give, as one column of the union. */
static kd_status append_union(kd_ctx *ctx, kdi_binder *b, kd_rel *set, const kd_column_id sides[2],
                              kd_column_id *out)
{
    uint32_t count = set->column_count;
    kd_column_id *lists[2] = {set->as.set.left_ids, set->as.set.right_ids};
    for (uint32_t i = 0; i < count; i++)
        if (lists[0][i] == sides[0] && lists[1][i] == sides[1]) {
            *out = set->columns[i].id;
            return KD_OK;
        }
    for (int s = 0; s < 2; s++) {
        kd_column_id *ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, count + 1);
        if (ids == NULL)
            return KD_NOMEM;
        memcpy(ids, lists[s], count * sizeof *ids);
        ids[count] = sides[s];
        lists[s] = ids;
    }
    set->as.set.left_ids = lists[0];
    set->as.set.right_ids = lists[1];
    return append(ctx, b, set, out);
}

/* A second scan of a table whose places are asked for: they will be compared. */
static kd_status note_placed(kd_ctx *ctx, kdi_binder *b, kd_rel *scan)
{
    kd_rel **added;
    if (scan->as.scan.gives_place)
        return KD_OK;
    scan->as.scan.gives_place = true;
    for (size_t i = 0; i < b->placed_count; i++)
        if (b->placed[i]->as.scan.table == scan->as.scan.table)
            scan->as.scan.holds_places = b->placed[i]->as.scan.holds_places = true;
    KD_TRY(KD_PUSH(ctx, b->arena, b->placed, b->placed_count, b->placed_capacity, &added));
    *added = scan;
    return KD_OK;
}

static kd_status add_place(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_column_id *out)
{
    kd_column_id sides[2];
    switch (rel->kind) {
    case KD_REL_SCAN:
        KD_TRY(note_placed(ctx, b, rel));
        if (rel->as.scan.ref_column == 0)
            KD_TRY(append(ctx, b, rel, &rel->as.scan.ref_column));
        *out = rel->as.scan.ref_column;
        return KD_OK;
    case KD_REL_SET:
        for (int s = 0; s < 2; s++)
            KD_TRY(add_place(ctx, b, rel->inputs[s], &sides[s]));
        return append_union(ctx, b, rel, sides, out);
    case KD_REL_VALUES: /* A parent without partitions. */
        return append(ctx, b, rel, out);
    default:
        KD_TRY(add_place(ctx, b, rel->inputs[0], out));
        return pass(ctx, b, rel, *out);
    }
}

/* A partition's scan with the partition's number as its last column. */
static kd_status number_scan(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel, kd_column_id *out)
{
    kd_expr *number =
        kdi_constant(ctx, b, kd_value_i64((*io_rel)->as.scan.table->object.object_no), -1);
    return number == NULL ? KD_NOMEM : kdi_rel_append(ctx, b, io_rel, number, out);
}

static kd_status add_leaf(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel, kd_column_id *out)
{
    kd_rel *rel = *io_rel;
    kd_column_id sides[2];
    switch (rel->kind) {
    case KD_REL_SCAN:
        return number_scan(ctx, b, io_rel, out);
    case KD_REL_SET:
        for (int s = 0; s < 2; s++)
            KD_TRY(add_leaf(ctx, b, &rel->inputs[s], &sides[s]));
        return append_union(ctx, b, rel, sides, out);
    case KD_REL_VALUES:
        return append(ctx, b, rel, out);
    case KD_REL_PROJECT: /* It has been numbered already. */
        for (uint32_t i = 0; i < rel->column_count; i++)
            if (rel->as.project.exprs[i]->kind == KD_EXPR_CONSTANT) {
                *out = rel->columns[i].id;
                return KD_OK;
            }
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a partition's scan has no number");
    default:
        KD_TRY(add_leaf(ctx, b, &rel->inputs[0], out));
        return pass(ctx, b, rel, *out);
    }
}

/* The one table that the item reads; NULL: partitions. */
static const kd_table_entry *only_table(const kd_rel *rel)
{
    while (rel->kind == KD_REL_FILTER)
        rel = rel->inputs[0];
    return rel->kind == KD_REL_SCAN ? rel->as.scan.table : NULL;
}

/* --- Expressions ------------------------------------------------------------------------------ */

static kd_status column_of(kd_ctx *ctx, kdi_binder *b, kd_column_id id, int position, kd_expr **out)
{
    kd_rel_column column = {.id = id, .type = kd_type_of(KD_TYPE_INT8)};
    *out = kdi_column_expr(ctx, b, &column, position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status place_of(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, int position,
                          kd_expr **out)
{
    kd_rel *rel = source->rel;
    if (source->place != 0)
        return column_of(ctx, b, source->place, position, out);
    if (rel->place_column == 0) {
        KD_TRY(add_place(ctx, b, rel, &rel->place_column));
        kd_rel_column column = {.id = rel->place_column, .type = kd_type_of(KD_TYPE_INT8)};
        if (rel->above != NULL)
            KD_TRY(kdi_rel_expose(ctx, b, rel->above, column));
    }
    return column_of(ctx, b, rel->place_column, position, out);
}

/* A constant, which is NULL where an outer join has made the row. */
static kd_status table_number(kd_ctx *ctx, kdi_binder *b, const kdi_source *source,
                              const kd_table_entry *table, int position, kd_expr **out)
{
    kd_value value = {.type = kd_type_of(KD_TYPE_OID), .as.i64 = table->object.object_no};
    *out = kdi_constant(ctx, b, value, position);
    if (*out == NULL)
        return KD_NOMEM;
    if (!kdi_rel_is_nullable(source->rel))
        return KD_OK;
    kd_expr *choice = kdi_expr_new(ctx, b, KD_EXPR_CASE, value.type, position, 2);
    kd_expr *is_null = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, kd_type_of(KD_TYPE_BOOL), position, 1);
    if (choice == NULL || is_null == NULL)
        return KD_NOMEM;
    KD_TRY(place_of(ctx, b, source, position, &is_null->arguments[0]));
    choice->arguments[0] = kdi_not(ctx, b, is_null);
    choice->arguments[1] = *out;
    *out = choice;
    return choice->arguments[0] == NULL ? KD_NOMEM : KD_OK;
}

static kd_status leaf_of(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, int position,
                         kd_expr **out)
{
    kd_rel *rel = source->rel;
    kd_column_id id = source->leaf;
    const kd_table_entry *table = id != 0 ? NULL : only_table(rel);
    if (table != NULL)
        return table_number(ctx, b, source, table, position, out);
    if (id == 0 && rel->leaf_column == 0) {
        kd_rel *same = rel; /* Not a scan: stays the node that it is. */
        KD_TRY(add_leaf(ctx, b, &same, &rel->leaf_column));
        kd_rel_column column = {.id = rel->leaf_column, .type = kd_type_of(KD_TYPE_INT8)};
        if (rel->above != NULL)
            KD_TRY(kdi_rel_expose(ctx, b, rel->above, column));
    }
    KD_TRY(column_of(ctx, b, id != 0 ? id : rel->leaf_column, position, out));
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_OID), KD_CAST_IMPLICIT, out);
}

kd_status kdi_system_column(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, kd_slice name,
                            int position, kd_expr **out)
{
    kdi_note_unclear(b);
    if (kd_slice_equal(name, KD_SLICE("tableoid")))
        return leaf_of(ctx, b, source, position, out);
    if (kd_slice_equal(name, KD_SLICE("ctid"))) {
        kd_expr *place;
        KD_TRY(place_of(ctx, b, source, position, &place));
        return kdi_call(ctx, b, KD_SLICE("kade_place"), &place, 1, position, out);
    }
    (void)kdi_at(ctx, b, position,
                 KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "system column \"%.*s\" is not supported",
                         KDI_S(name)));
    kd_error_set_hint(ctx, "Rows do not keep the numbers of the transactions and commands that "
                           "wrote them.");
    return KD_UNSUPPORTED;
}
