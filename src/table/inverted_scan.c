/*
 * Asking an inverted index: the tree of a query becomes a set of row references.
 *
 * Postings are read first and then brought to where their rows are now, by a unit list that is
 * loaded after them. While a pin is held the old places stay known, so it does not matter that a
 * merge may rewrite the index between two items: both references of a row lead to one place. Sets
 * are brought there again before two of them are compared.
 *
 * Of a conjunction the rarest item is read first, and others only while that is cheaper than
 * looking at the rows: the answer may have rows that do not pass.
 */
#include "table/table_internal.h"

#include <stdlib.h>

/* Reading so many postings costs as much as fetching a row and testing it. */
enum { POSTINGS_PER_ROW = 64 };

typedef struct ref_set {
    kd_rowref *refs;
    size_t count;
} ref_set;

/* A node of the query. Items of a conjunction are taken for independent of each other. */
typedef struct branch {
    const kd_item_node *node;
    double rows; /* References that it gives. */
    double cost; /* Of finding them, in rows. */
    uint32_t child_count;
    struct branch *children; /* Of a conjunction: rarest first. */
} branch;

typedef struct asking {
    kd_table *table;
    const kdi_index *index;
    kd_arena *arena;
    kd_snapshot snapshot;
    double table_rows;
} asking;

/* --- Sets ------------------------------------------------------------------------------------ */

static int ref_compare(const void *left, const void *right)
{
    kd_rowref a = *(const kd_rowref *)left;
    kd_rowref b = *(const kd_rowref *)right;
    return a < b ? -1 : a > b;
}

static void set_sort(ref_set *set)
{
    bool is_sorted = true;
    for (size_t i = 1; i < set->count && is_sorted; i++)
        is_sorted = set->refs[i - 1] < set->refs[i];
    if (is_sorted)
        return;
    qsort(set->refs, set->count, sizeof *set->refs, ref_compare);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++)
        if (set->refs[i] != set->refs[kept - 1])
            set->refs[kept++] = set->refs[i];
    set->count = kept;
}

/* To where the rows are now; rows that are gone leave. */
static void set_settle(const kd_table *table, ref_set *set)
{
    const kdi_unit_list *units = atomic_load_explicit(&table->units, memory_order_acquire);
    uint64_t unit_there = UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        kdi_place place;
        kd_rowref ref = set->refs[i];
        if (kdi_ref_unit(ref) != unit_there) {
            if (!kdi_place_find_in(units, ref, &place))
                continue;
            if (place.ref == ref)
                unit_there = kdi_ref_unit(ref);
            ref = place.ref;
        }
        set->refs[kept++] = ref;
    }
    set->count = kept;
    set_sort(set);
}

static void set_intersect(ref_set *set, const ref_set *other)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < set->count; i++) {
        while (at < other->count && other->refs[at] < set->refs[i])
            at++;
        if (at < other->count && other->refs[at] == set->refs[i])
            set->refs[kept++] = set->refs[i];
    }
    set->count = kept;
}

/* --- Branches -------------------------------------------------------------------------------- */

static int branch_compare(const void *left, const void *right)
{
    const branch *a = left;
    const branch *b = right;
    return a->rows < b->rows ? -1 : a->rows > b->rows;
}

/* Whether the branch is worth reading where `rows` are left without it. */
static bool branch_pays(const branch *it, double rows)
{
    return it->rows / POSTINGS_PER_ROW <= rows;
}

static void conjunction_estimate(const asking *ask, branch *it)
{
    qsort(it->children, it->child_count, sizeof *it->children, branch_compare);
    it->rows = it->children[0].rows;
    it->cost = it->children[0].cost;
    for (uint32_t i = 1; i < it->child_count && branch_pays(&it->children[i], it->rows); i++) {
        it->cost += it->children[i].cost;
        if (it->children[i].rows < ask->table_rows)
            it->rows *= it->children[i].rows / ask->table_rows;
    }
}

/* Queries are as deep as the expression or path that they were made of. */
static kd_status branch_make(kd_ctx *ctx, const asking *ask, const kd_item_node *node, branch *out)
{
    *out = (branch){.node = node};
    if (node->kind == KD_ITEM_NODE_EVERY)
        out->rows = out->cost = ask->table_rows;
    if (node->kind == KD_ITEM_NODE_ITEM) {
        uint64_t count;
        KD_TRY(kd_index_key_count(ctx, ask->index->index, node->item, &count));
        out->rows = (double)count;
        out->cost = out->rows / POSTINGS_PER_ROW;
    }
    if (node->count == 0)
        return KD_OK;
    out->children = KD_NEW_ARRAY(ctx, ask->arena, branch, node->count);
    if (out->children == NULL)
        return KD_NOMEM;
    out->child_count = (uint32_t)node->count;
    for (uint32_t i = 0; i < out->child_count; i++) {
        KD_TRY(branch_make(ctx, ask, node->children[i], &out->children[i]));
        out->rows += out->children[i].rows;
        out->cost += out->children[i].cost;
    }
    if (node->kind == KD_ITEM_NODE_AND)
        conjunction_estimate(ask, out);
    return KD_OK;
}

static kd_status branch_read(kd_ctx *ctx, const asking *ask, const branch *from, ref_set *out_set);

static kd_status item_read(kd_ctx *ctx, const asking *ask, kd_slice item, ref_set *out_set)
{
    KD_TRY(kdi_serial_note_range(ctx, ask->table, ask->snapshot, ask->index->definition.index_no,
                                 item, item));
    KD_TRY(kd_index_postings(ctx, ask->arena, ask->index->index, item, &out_set->refs,
                             &out_set->count));
    set_settle(ask->table, out_set);
    return KD_OK;
}

static kd_status all_read(kd_ctx *ctx, const asking *ask, const branch *from, ref_set *out_set)
{
    KD_TRY(branch_read(ctx, ask, &from->children[0], out_set));
    for (uint32_t i = 1; i < from->child_count && out_set->count > 0; i++) {
        ref_set other;
        if (!branch_pays(&from->children[i], (double)out_set->count))
            return KD_OK; /* Nor do those that follow. */
        KD_TRY(branch_read(ctx, ask, &from->children[i], &other));
        set_settle(ask->table, out_set);
        set_settle(ask->table, &other);
        set_intersect(out_set, &other);
    }
    return KD_OK;
}

static kd_status any_read(kd_ctx *ctx, const asking *ask, const branch *from, ref_set *out_set)
{
    ref_set *parts = KD_NEW_ARRAY(ctx, ask->arena, ref_set, from->child_count);
    size_t total = 0;
    if (parts == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < from->child_count; i++) {
        KD_TRY(branch_read(ctx, ask, &from->children[i], &parts[i]));
        total += parts[i].count;
    }
    out_set->refs = KD_NEW_ARRAY(ctx, ask->arena, kd_rowref, total + 1);
    if (out_set->refs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < from->child_count; i++)
        for (size_t k = 0; k < parts[i].count; k++)
            out_set->refs[out_set->count++] = parts[i].refs[k];
    set_settle(ask->table, out_set);
    return KD_OK;
}

/* Every row that the snapshot sees: a query that says nothing. */
static kd_status rows_read(kd_ctx *ctx, const asking *ask, ref_set *out_set)
{
    const kdi_column_set *set = atomic_load(&ask->table->set);
    kd_table_shape shape = {.column_count = set->count, .columns = set->columns};
    kd_scan_spec spec = {.shape = &shape, .with_refs = true};
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_status status = KD_OK;
    size_t capacity = 0;
    KD_TRY_OUT(kd_table_scan_open(ctx, ask->arena, ask->table, ask->snapshot, &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, ask->arena, scan, &reader));
    for (bool is_end = false; !is_end;) {
        kd_batch batch;
        const kd_rowref *refs;
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, &refs, &is_end));
        for (uint32_t i = 0; !is_end && i < batch.selected_count; i++) {
            kd_rowref *slot;
            KD_TRY_OUT(KD_PUSH(ctx, ask->arena, out_set->refs, out_set->count, capacity, &slot));
            *slot = refs[kd_batch_row(&batch, i)];
        }
    }
    set_sort(out_set);
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static kd_status branch_read(kd_ctx *ctx, const asking *ask, const branch *from, ref_set *out_set)
{
    *out_set = (ref_set){0};
    switch (from->node->kind) {
    case KD_ITEM_NODE_EVERY:
        return rows_read(ctx, ask, out_set);
    case KD_ITEM_NODE_NO:
        return KD_OK;
    case KD_ITEM_NODE_ITEM:
        return item_read(ctx, ask, from->node->item, out_set);
    case KD_ITEM_NODE_AND:
        return all_read(ctx, ask, from, out_set);
    case KD_ITEM_NODE_OR:
        return any_read(ctx, ask, from, out_set);
    }
    return KD_OK;
}

static kd_status asking_begin(kd_ctx *ctx, kd_arena *arena, kd_table *table, uint64_t index_no,
                              asking *out)
{
    *out = (asking){.table = table,
                    .index = kdi_index_get(ctx, table, index_no),
                    .arena = arena,
                    .table_rows = (double)kd_table_row_count_estimate(table)};
    return out->index == NULL ? KD_CONFLICT : KD_OK;
}

kd_status kd_table_estimate_items(kd_ctx *ctx, kd_arena *arena, kd_table *table, uint64_t index_no,
                                  const kd_item_node *query, kd_items_estimate *out_estimate)
{
    asking ask;
    branch root;
    *out_estimate = (kd_items_estimate){0};
    KD_TRY(asking_begin(ctx, arena, table, index_no, &ask));
    KD_TRY(branch_make(ctx, &ask, query, &root));
    *out_estimate = (kd_items_estimate){.cost = root.cost + root.rows, .rows = root.rows};
    return KD_OK;
}

kd_status kd_table_find_items(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                              uint64_t index_no, const kd_item_node *query, kd_rowref **out_refs,
                              size_t *out_count)
{
    asking ask;
    branch root;
    ref_set found;
    uint32_t pin;
    *out_refs = NULL;
    *out_count = 0;
    KD_TRY(asking_begin(ctx, arena, table, index_no, &ask));
    ask.snapshot = snapshot;
    KD_TRY(kd_txn_pin(ctx, table->storage->txns, snapshot.stamp, &pin));
    kd_status status = branch_make(ctx, &ask, query, &root);
    if (status == KD_OK)
        status = branch_read(ctx, &ask, &root, &found);
    kd_txn_unpin(table->storage->txns, pin);
    if (status != KD_OK)
        return status;
    *out_refs = found.refs;
    *out_count = found.count;
    return KD_OK;
}
