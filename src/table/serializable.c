/*
 * SERIALIZABLE by precision locking (Jordan, Banerjee and Batman, SIGMOD 1981).
 *
 * A transaction keeps what it has read as predicates: a table with the scan's filters,
 * or a range of an index. At its commit, with a stamp about to be taken, they are
 * held against the rows that other SERIALIZABLE transactions have written and
 * committed since its snapshot, old versions and new ones alike. If none matches,
 * reading everything again would give the same, so it may stand at this place of the
 * log. Validation, stamp and noting the own write set are under one lock. Readers
 * never validate: they stand where their snapshot was taken.
 *
 * Rows are looked at where they are now: versions ended after the oldest snapshot
 * are still there, moved or not.
 */
#include "table/table_internal.h"

#include <string.h>

enum { PREDICATES_MAX = 4096 }; /* More of one transaction are widened to whole tables. */

typedef enum predicate_kind { WHOLE_TABLE, FILTERED, KEY_RANGE } predicate_kind;

typedef struct kdi_predicate kdi_predicate;
struct kdi_predicate {
    kdi_predicate *next;
    kd_table *table;
    predicate_kind kind;
    uint32_t filter_count;
    uint32_t *column_nos;
    kd_scan_filter *filters;
    uint64_t index_no;
    kd_slice low, high;
};

typedef struct row_range {
    kd_table *table;
    kd_rowref ref;
    uint32_t count;
} row_range;

typedef struct kdi_committed kdi_committed;
struct kdi_committed {
    kdi_committed *next;
    kd_stamp stamp;
    size_t range_count;
    row_range ranges[];
};

/* --- Noting ---------------------------------------------------------------------------------- */

/* The write set of a SERIALIZABLE transaction that may write, or NULL. */
static kd_status noter(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                       kdi_write_set **out_writes)
{
    *out_writes = NULL;
    kd_txn *txn = kd_txn_of_no(table->storage->txns, snapshot.txn_no);
    if (txn == NULL || kd_txn_isolation(txn) != KD_SERIALIZABLE || kd_txn_is_read_only(txn))
        return KD_OK;
    return kdi_writes_get(ctx, txn, table->storage, out_writes);
}

/* predicate_lock is held. */
static kd_status predicate_make(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                                kdi_predicate **out_predicate)
{
    *out_predicate = NULL;
    if (writes->predicate_arena == NULL) {
        writes->predicate_arena = kd_arena_create(ctx, NULL, "predicates", KD_ARENA_UNLIMITED);
        if (writes->predicate_arena == NULL)
            return KD_NOMEM;
    }
    kdi_predicate *predicate = KD_NEW(ctx, writes->predicate_arena, kdi_predicate);
    if (predicate == NULL)
        return KD_NOMEM;
    predicate->table = table;
    predicate->next = writes->predicates;
    writes->predicates = predicate;
    writes->predicate_count++;
    *out_predicate = predicate;
    return KD_OK;
}

static bool is_covered(const kdi_write_set *writes, const kd_table *table)
{
    if (writes->predicate_count < PREDICATES_MAX)
        return false;
    for (const kdi_predicate *at = writes->predicates; at != NULL; at = at->next) {
        if (at->table == table && at->kind == WHOLE_TABLE)
            return true;
    }
    return false;
}

static kd_status filters_copy(kd_ctx *ctx, kdi_write_set *writes, const kd_scan_spec *spec,
                              kdi_predicate *predicate)
{
    kd_arena *arena = writes->predicate_arena;
    uint32_t *numbers = KD_NEW_ARRAY(ctx, arena, uint32_t, spec->filter_count);
    kd_scan_filter *filters = KD_NEW_ARRAY(ctx, arena, kd_scan_filter, spec->filter_count);
    if (numbers == NULL || filters == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < spec->filter_count; i++) {
        numbers[i] = spec->shape->columns[spec->filters[i].shape_position].column_no;
        filters[i] = spec->filters[i];
        KD_TRY(kd_value_copy(ctx, arena, &spec->filters[i].value, &filters[i].value));
    }
    predicate->column_nos = numbers;
    predicate->filters = filters;
    predicate->filter_count = spec->filter_count;
    predicate->kind = FILTERED; /* Last: until here it stands for the whole table. */
    return KD_OK;
}

kd_status kdi_serial_note_scan(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                               const kd_scan_spec *spec)
{
    kdi_write_set *writes;
    kdi_predicate *predicate;
    KD_TRY(noter(ctx, table, snapshot, &writes));
    if (writes == NULL)
        return KD_OK;
    kd_mutex_lock(&writes->predicate_lock);
    kd_status status = KD_OK;
    if (!is_covered(writes, table)) {
        status = predicate_make(ctx, writes, table, &predicate);
        if (status == KD_OK && spec->filter_count > 0 && writes->predicate_count < PREDICATES_MAX)
            status = filters_copy(ctx, writes, spec, predicate);
    }
    kd_mutex_unlock(&writes->predicate_lock);
    return status;
}

static kd_status bound_copy(kd_ctx *ctx, kd_arena *arena, kd_slice bound, kd_slice *out_copy)
{
    *out_copy = (kd_slice){0};
    if (bound.data == NULL)
        return KD_OK;
    out_copy->data = kd_copy_text(ctx, arena, bound.data, bound.size_bytes);
    out_copy->size_bytes = bound.size_bytes;
    return out_copy->data == NULL ? KD_NOMEM : KD_OK;
}

static kd_status range_note(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, uint64_t index_no,
                            kd_slice low, kd_slice high)
{
    kdi_predicate *predicate;
    if (is_covered(writes, table))
        return KD_OK;
    KD_TRY(predicate_make(ctx, writes, table, &predicate));
    if (writes->predicate_count >= PREDICATES_MAX)
        return KD_OK;
    KD_TRY(bound_copy(ctx, writes->predicate_arena, low, &predicate->low));
    KD_TRY(bound_copy(ctx, writes->predicate_arena, high, &predicate->high));
    predicate->index_no = index_no;
    predicate->kind = KEY_RANGE;
    return KD_OK;
}

kd_status kdi_serial_note_range(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                                uint64_t index_no, kd_slice low, kd_slice high)
{
    kdi_write_set *writes;
    KD_TRY(noter(ctx, table, snapshot, &writes));
    if (writes == NULL)
        return KD_OK;
    kd_mutex_lock(&writes->predicate_lock);
    kd_status status = range_note(ctx, writes, table, index_no, low, high);
    kd_mutex_unlock(&writes->predicate_lock);
    return status;
}

/* --- Matching -------------------------------------------------------------------------------- */

static bool test_holds(const kd_scan_filter *filter, const kd_value *value)
{
    if (filter->test == KD_SCAN_IS_NULL)
        return value->is_null;
    if (filter->test == KD_SCAN_IS_NOT_NULL)
        return !value->is_null;
    if (value->is_null || filter->value.is_null)
        return false;
    if (!kd_type_same(filter->value.type, value->type))
        return true; /* Not comparable here: taken for a match. */
    int order = kd_value_compare(value, &filter->value);
    switch (filter->test) {
    case KD_SCAN_EQUAL:
        return order == 0;
    case KD_SCAN_LESS:
        return order < 0;
    case KD_SCAN_LESS_EQUAL:
        return order <= 0;
    case KD_SCAN_GREATER:
        return order > 0;
    case KD_SCAN_GREATER_EQUAL:
        return order >= 0;
    case KD_SCAN_IS_NULL:
    case KD_SCAN_IS_NOT_NULL:
        break;
    }
    return true;
}

static kd_status filters_match(kd_ctx *ctx, kd_arena *scratch, const kdi_predicate *predicate,
                               const kdi_place *place, bool *out_matches)
{
    const kdi_column_set *set = atomic_load(&predicate->table->set);
    *out_matches = true;
    for (uint32_t i = 0; i < predicate->filter_count && *out_matches; i++) {
        kd_value value;
        int at = kdi_set_find(set, predicate->column_nos[i], 0);
        if (at < 0)
            continue;
        KD_TRY(kdi_place_value(ctx, scratch, place, &set->columns[at], (uint32_t)at, &value));
        *out_matches = test_holds(&predicate->filters[i], &value);
    }
    return KD_OK;
}

static kd_status range_matches(kd_ctx *ctx, kd_arena *scratch, const kdi_predicate *predicate,
                               const kdi_place *place, bool *out_matches)
{
    kd_key_list keys = kd_key_list_in(scratch);
    const kdi_index *index = kdi_index_find(predicate->table, predicate->index_no);
    *out_matches = true;
    if (index == NULL)
        return KD_OK;
    KD_TRY(kdi_index_keys_at(ctx, scratch, index, place, &keys));
    *out_matches = false;
    for (size_t i = 0; i < keys.count && !*out_matches; i++) {
        kd_slice whole = kd_key_list_get(&keys, i);
        kd_slice head = whole;
        if (predicate->high.data != NULL && head.size_bytes > predicate->high.size_bytes)
            head.size_bytes = predicate->high.size_bytes; /* A bound includes its extensions. */
        bool is_below = predicate->low.data != NULL && kd_slice_compare(whole, predicate->low) < 0;
        bool is_above = predicate->high.data != NULL && kd_slice_compare(head, predicate->high) > 0;
        *out_matches = !is_below && !is_above;
    }
    return KD_OK;
}

static kd_status row_matches(kd_ctx *ctx, kd_arena *scratch, const kdi_write_set *writes,
                             kd_table *table, kd_rowref ref, bool *out_matches)
{
    kdi_place place;
    *out_matches = false;
    if (!kdi_place_find(table, ref, &place))
        return KD_OK;
    for (const kdi_predicate *at = writes->predicates; at != NULL && !*out_matches; at = at->next) {
        if (at->table != table)
            continue;
        if (at->kind == WHOLE_TABLE)
            *out_matches = true;
        else if (at->kind == FILTERED)
            KD_TRY(filters_match(ctx, scratch, at, &place, out_matches));
        else
            KD_TRY(range_matches(ctx, scratch, at, &place, out_matches));
    }
    return KD_OK;
}

static kd_status committed_matches(kd_ctx *ctx, kd_arena *scratch, const kdi_write_set *writes,
                                   const kdi_committed *other, bool *out_matches)
{
    *out_matches = false;
    for (size_t i = 0; i < other->range_count && !*out_matches; i++) {
        const row_range *range = &other->ranges[i];
        for (uint32_t k = 0; k < range->count && !*out_matches; k++) {
            KD_TRY(row_matches(ctx, scratch, writes, range->table, range->ref + k, out_matches));
            kd_arena_reset(scratch);
        }
    }
    return KD_OK;
}

/* --- Validating ------------------------------------------------------------------------------ */

static kd_status own_prepare(kd_ctx *ctx, kdi_write_set *writes)
{
    kd_storage *storage = writes->storage;
    kdi_committed *own =
        kd_heap_alloc(ctx, &storage->account, sizeof *own + writes->count * sizeof own->ranges[0]);
    if (own == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < writes->count; i++) {
        const kdi_write *write = &writes->writes[i];
        if (write->table != NULL)
            own->ranges[own->range_count++] =
                (row_range){.table = write->table, .ref = write->ref, .count = write->count};
    }
    writes->committed = own;
    return KD_OK;
}

kd_status kdi_serial_validate(kd_ctx *ctx, kdi_write_set *writes)
{
    kd_storage *storage = writes->storage;
    if (kd_txn_isolation(writes->txn) != KD_SERIALIZABLE)
        return KD_OK;
    KD_TRY(own_prepare(ctx, writes));
    kd_mutex_lock(&storage->serial);
    writes->holds_serial = true;
    kd_stamp snapshot = kd_txn_snapshot_stamp(writes->txn);
    for (const kdi_committed *at = storage->committed; at != NULL && at->stamp > snapshot;
         at = at->next) {
        bool matches;
        KD_TRY(committed_matches(ctx, writes->scratch, writes, at, &matches));
        if (!matches)
            continue;
        kd_status status = KD_FAIL(ctx, KD_CONFLICT, "40001",
                                   "could not serialize access due to read/write dependencies "
                                   "among transactions");
        kd_error_set_hint(ctx, "The transaction might succeed if retried.");
        return status;
    }
    return KD_OK;
}

static void committed_free(kd_storage *storage, kdi_committed *list)
{
    while (list != NULL) {
        kdi_committed *next = list->next;
        kd_heap_free(storage->world, &storage->account, list);
        list = next;
    }
}

void kdi_serial_committed(kdi_write_set *writes, kd_stamp stamp)
{
    if (!writes->holds_serial)
        return;
    kd_storage *storage = writes->storage;
    kdi_committed *own = writes->committed;
    writes->committed = NULL;
    own->stamp = stamp;
    own->next = storage->committed; /* Newest first: stamps are taken under the same lock. */
    storage->committed = own;
    kd_stamp oldest = kd_txn_oldest_snapshot(storage->txns);
    kdi_committed **at = &storage->committed;
    while (*at != NULL && (*at)->stamp > oldest)
        at = &(*at)->next;
    kdi_committed *old = *at;
    *at = NULL;
    committed_free(storage, old);
}

void kdi_serial_end(kdi_write_set *writes)
{
    if (writes->holds_serial)
        kd_mutex_unlock(&writes->storage->serial);
    kd_heap_free(writes->storage->world, &writes->storage->account, writes->committed);
    kd_arena_destroy(writes->predicate_arena);
    kd_mutex_clear(&writes->predicate_lock);
}

void kdi_serial_clear(kd_storage *storage)
{
    committed_free(storage, storage->committed);
    storage->committed = NULL;
}
