/*
 * Adding an index: its entries for the rows that are there, and dropping one.
 *
 * The entries of an ordered index are collected as they are and sorted; those of an inverted one,
 * many to a row and few keys among them, by their keys.
 */
#include "table/posting_set.h"
#include "table/table_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_IN_MEMORY = 4096, /* So many are inserted one by one; more become a run. */
    SORT_PIECE = 1 << 16,     /* Sorted or merged between two looks at the cancel flag. */
    POSTINGS_BYTES_MAX = 128 * 1024 * 1024, /* More become a run before all rows are read. */
};

typedef struct builder {
    kdi_index *index;
    kd_arena *arena;
    kd_index_entry *entries;
    size_t count, capacity;
    size_t next;
    kd_key_list keys;
    kdi_posting_set
        *postings; /* Of an inverted index, instead of entries; NULL before the first. */
} builder;

/* What is put into the index, all at once or one by one. */
static bool is_worth_a_run(const builder *build, uint64_t entry_count)
{
    const kd_storage_options *options = &build->index->table->storage->options;
    uint64_t in_memory = options->index_entries_in_memory;
    if (options->read_only)
        return false; /* A recovery that writes nothing. */
    return entry_count > (in_memory == 0 ? ENTRIES_IN_MEMORY : in_memory);
}

static kd_status run_put(kd_ctx *ctx, builder *build, kd_index_source next, void *object)
{
    kd_index_run *run;
    KD_TRY(kd_index_run_write(ctx, build->index->index, next, object, &run));
    kd_status status = kd_index_run_enter(ctx, run);
    kd_index_run_end(run);
    if (status == KD_OK)
        atomic_store(&build->index->is_dirty, true); /* After the entries: see unique.c. */
    return status;
}

static kd_status builder_begin(kd_ctx *ctx, builder *build, kdi_index *index)
{
    *build = (builder){.index = index};
    build->arena = kd_arena_create(ctx, NULL, "index build", KD_ARENA_UNLIMITED);
    if (build->arena == NULL)
        return KD_NOMEM;
    build->keys = kd_key_list_in(build->arena);
    return KD_OK;
}

static void builder_end(builder *build)
{
    kdi_posting_set_destroy(build->postings);
    kd_arena_destroy(build->arena);
}

/* --- Inverted indexes ------------------------------------------------------------------------ */

/* One by one, in order. */
static kd_status postings_insert(kd_ctx *ctx, builder *build)
{
    if (build->postings == NULL)
        return KD_OK;
    KD_TRY(kdi_posting_set_sort(ctx, build->postings));
    for (bool is_end = false; !is_end;) {
        kd_slice key;
        kd_rowref ref;
        KD_TRY(kdi_posting_set_next(ctx, build->postings, &key, &ref, &is_end));
        if (!is_end)
            KD_TRY(kd_index_insert(ctx, build->index->index, key, ref));
    }
    atomic_store(&build->index->is_dirty, true); /* After the entries: see unique.c. */
    return KD_OK;
}

static kd_status postings_put(kd_ctx *ctx, builder *build)
{
    kdi_posting_set *postings = build->postings;
    if (postings == NULL)
        return KD_OK;
    if (is_worth_a_run(build, kdi_posting_set_count(postings))) {
        KD_TRY(kdi_posting_set_sort(ctx, postings));
        KD_TRY(run_put(ctx, build, kdi_posting_set_next, postings));
    } else {
        KD_TRY(postings_insert(ctx, build));
    }
    kdi_posting_set_destroy(postings);
    build->postings = NULL;
    return KD_OK;
}

static kd_status row_add_items(kd_ctx *ctx, builder *build, const kd_batch *batch, uint32_t row,
                               kd_rowref ref)
{
    if (build->postings == NULL)
        KD_TRY(kdi_posting_set_create(ctx, NULL, &build->postings));
    for (uint32_t i = 0; i < build->index->definition.column_count; i++) {
        kd_value value = kd_vector_get(&batch->columns[i], row);
        KD_TRY(kdi_index_column_append(ctx, build->index, i, &value, &build->keys));
    }
    for (size_t i = 0; i < build->keys.count; i++)
        KD_TRY(kdi_posting_set_add(ctx, build->postings, kd_key_list_get(&build->keys, i), ref));
    if (kdi_posting_set_bytes(build->postings) > POSTINGS_BYTES_MAX)
        return postings_put(ctx, build);
    return KD_OK;
}

/* --- Rows ------------------------------------------------------------------------------------ */

static kd_status row_add(kd_ctx *ctx, builder *build, const kd_batch *batch, uint32_t row,
                         kd_rowref ref)
{
    const kd_index_definition *definition = &build->index->definition;
    bool has_null = false;
    kd_key_list_clear(&build->keys);
    if (definition->predicate_column_no >= 0) {
        kd_value predicate = kd_vector_get(&batch->columns[definition->column_count], row);
        if (predicate.is_null || !predicate.as.boolean)
            return KD_OK;
    }
    if (kd_index_is_inverted(definition))
        return row_add_items(ctx, build, batch, row, ref);
    char scratch[16];
    kd_buffer *key = &build->keys.bytes;
    for (uint32_t i = 0; i < definition->column_count; i++) {
        const kd_vector *vector = &batch->columns[i];
        bool is_null = kd_vector_is_null(vector, row);
        has_null |= is_null;
        KD_TRY(kd_key_append(ctx, build->index->types[i],
                             is_null ? NULL : kd_vector_payload(vector, row, scratch), is_null,
                             definition->columns[i].order, key));
    }
    kd_index_entry *added;
    KD_TRY(KD_PUSH(ctx, build->arena, build->entries, build->count, build->capacity, &added));
    added->key.data = kd_copy_text(ctx, build->arena, key->data, key->size_bytes);
    if (added->key.data == NULL)
        return KD_NOMEM;
    added->key.size_bytes = key->size_bytes;
    added->ref = ref;
    added->is_unique = definition->unique && (!has_null || definition->nulls_not_distinct);
    return KD_OK;
}

static kd_status rows_read(kd_ctx *ctx, builder *build, kd_scan_reader *reader)
{
    for (;;) {
        kd_batch batch;
        const kd_rowref *refs;
        bool is_end;
        KD_TRY(kd_scan_reader_next(ctx, reader, &batch, &refs, &is_end));
        if (is_end)
            return KD_OK;
        KD_TRY(kd_progress_add(ctx, batch.selected_count));
        for (uint32_t i = 0; i < batch.selected_count; i++) {
            uint32_t row = kd_batch_row(&batch, i);
            KD_TRY(row_add(ctx, build, &batch, row, refs[row]));
        }
    }
}

static kd_status rows_collect(kd_ctx *ctx, builder *build, kd_snapshot snapshot)
{
    kd_table *table = build->index->table;
    const kd_index_definition *definition = &build->index->definition;
    const kdi_column_set *set = atomic_load(&table->set);
    kd_table_shape shape = {.column_count = set->count, .columns = set->columns};
    bool is_partial = definition->predicate_column_no >= 0;
    uint32_t *positions =
        KD_NEW_ARRAY(ctx, build->arena, uint32_t, definition->column_count + (size_t)1);
    if (positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < definition->column_count; i++)
        positions[i] = (uint32_t)kdi_set_find(set, definition->columns[i].column_no, i);
    if (is_partial)
        positions[definition->column_count] =
            (uint32_t)kdi_set_find(set, (uint32_t)definition->predicate_column_no, 0);
    kd_scan_spec spec = {.shape = &shape,
                         .positions = positions,
                         .position_count = definition->column_count + (is_partial ? 1 : 0),
                         .with_refs = true};
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_status status = KD_OK;
    KD_TRY_OUT(kd_table_scan_open(ctx, build->arena, table, snapshot, &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, build->arena, scan, &reader));
    KD_TRY_OUT(rows_read(ctx, build, reader));
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static int entry_compare(const void *left, const void *right)
{
    const kd_index_entry *a = left;
    const kd_index_entry *b = right;
    int order = kd_slice_compare(a->key, b->key);
    if (order != 0)
        return order;
    return a->ref < b->ref ? -1 : a->ref > b->ref;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The sorted entries [first, middle) and [middle, end) of `from`, as one sequence in `to`. */
static kd_status merge_pieces(kd_ctx *ctx, const kd_index_entry *from, kd_index_entry *to,
                              size_t first, size_t middle, size_t end)
{
    size_t left = first, right = middle;
    for (size_t at = first; at < end; at++) {
        if (at % SORT_PIECE == 0)
            KD_TRY(kd_progress_add(ctx, 0));
        bool takes_left =
            right == end || (left < middle && entry_compare(&from[left], &from[right]) <= 0);
        to[at] = from[takes_left ? left++ : right++];
    }
    return KD_OK;
}

/* Rows often come in the order of a key. */
static bool entries_ascend(const builder *build)
{
    for (size_t i = 1; i < build->count; i++)
        if (entry_compare(&build->entries[i - 1], &build->entries[i]) > 0)
            return false;
    return true;
}

/* In pieces that are merged, so that a cancellation is seen in between. */
static kd_status entries_sort(kd_ctx *ctx, builder *build)
{
    size_t count = build->count;
    if (entries_ascend(build))
        return KD_OK;
    for (size_t first = 0; first < count; first += SORT_PIECE) {
        KD_TRY(kd_progress_add(ctx, 0));
        qsort(build->entries + first, least(SORT_PIECE, count - first), sizeof *build->entries,
              entry_compare);
    }
    if (count <= SORT_PIECE)
        return KD_OK;
    kd_index_entry *other = kd_alloc_raw(ctx, build->arena, count * sizeof *other);
    if (other == NULL)
        return KD_NOMEM;
    for (size_t width = SORT_PIECE; width < count; width *= 2) {
        kd_index_entry *from = build->entries;
        for (size_t first = 0; first < count; first += 2 * width)
            KD_TRY(merge_pieces(ctx, from, other, first, least(first + width, count),
                                least(first + 2 * width, count)));
        build->entries = other;
        other = from;
    }
    return KD_OK;
}

/* The first of the sorted entries whose unique key stood before; NULL: none. */
static const kd_index_entry *duplicate_find(const builder *build)
{
    for (size_t i = 1; i < build->count; i++) {
        const kd_index_entry *one = &build->entries[i];
        if (one->is_unique && kd_slice_equal(one->key, build->entries[i - 1].key))
            return one;
    }
    return NULL;
}

static kd_status duplicates_check(kd_ctx *ctx, const builder *build)
{
    const kd_index_definition *definition = &build->index->definition;
    if (duplicate_find(build) == NULL)
        return KD_OK;
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, definition->exclusion ? "23P01" : "23505",
                definition->exclusion ? "could not create exclusion constraint \"%.*s\""
                                      : "could not create unique index \"%.*s\"",
                (int)definition->name.size_bytes, definition->name.data);
    kd_error_set_detail(ctx, "Key (%.*s) is duplicated.", (int)definition->columns_text.size_bytes,
                        definition->columns_text.data);
    kd_error_set_constraint(ctx, definition->name.data);
    return status;
}

static kd_status entry_next(kd_ctx *ctx, void *object, kd_slice *out_key, uint64_t *out_ref,
                            bool *out_end)
{
    builder *build = object;
    *out_end = build->next == build->count;
    if (build->next % SORT_PIECE == 0)
        KD_TRY(kd_progress_add(ctx, 0));
    if (!*out_end) {
        *out_key = build->entries[build->next].key;
        *out_ref = build->entries[build->next].ref;
        build->next++;
    }
    return KD_OK;
}

static kd_status entries_put(kd_ctx *ctx, builder *build)
{
    if (kd_index_is_inverted(&build->index->definition))
        return postings_put(ctx, build);
    if (is_worth_a_run(build, build->count))
        return run_put(ctx, build, entry_next, build);
    for (size_t i = 0; i < build->count; i++)
        KD_TRY(kd_index_insert(ctx, build->index->index, build->entries[i].key,
                               build->entries[i].ref));
    atomic_store(&build->index->is_dirty, true); /* After the entries: see unique.c. */
    return KD_OK;
}

kd_status kdi_index_build(kd_ctx *ctx, kdi_index *index, kd_snapshot snapshot)
{
    builder build;
    KD_TRY(builder_begin(ctx, &build, index));
    kd_status status = rows_collect(ctx, &build, snapshot);
    if (status == KD_OK)
        status = entries_sort(ctx, &build);
    if (status == KD_OK)
        status = duplicates_check(ctx, &build);
    if (status == KD_OK)
        status = entries_put(ctx, &build);
    builder_end(&build);
    return status;
}

/* --- Adding and dropping --------------------------------------------------------------------- */

kd_status kdi_index_unlink(kd_ctx *ctx, kdi_index *index)
{
    KD_TRY(kdi_index_list_change(ctx, index->table, NULL, index));
    index->is_dropped = true;
    kd_txn_retire(index->table->storage->txns, &index->garbage, kdi_index_destroy, index);
    return KD_OK;
}

static void index_unlink(kdi_index *index)
{
    kd_ctx ctx = {.world = index->table->storage->world};
    if (kdi_index_unlink(&ctx, index) != KD_OK) {
        /* It stays until the database is closed, and is kept up, but no checkpoint names it. */
        kd_error_clear(&ctx);
        atomic_store(&index->created, KD_STAMP_IN_FLIGHT);
    }
}

static void add_committed(void *object, kd_stamp stamp)
{
    kdi_index *index = object;
    atomic_store(&index->created, stamp);
}

static void add_undone(void *object)
{
    index_unlink(object);
}

static void drop_committed(void *object, kd_stamp stamp)
{
    (void)stamp;
    index_unlink(object);
}

static const kdi_structural add_change = {add_committed, add_undone};
static const kdi_structural drop_change = {drop_committed, NULL};

static kd_status index_log(kd_ctx *ctx, kd_txn *txn, const kdi_index *index, kd_buffer *redo)
{
    KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_INDEX, &index->table->table_no, 1));
    return kdi_index_definition_append(ctx, &index->definition, redo);
}

kd_status kd_table_add_index(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                             const kd_index_definition *definition, uint64_t *out_index_no)
{
    kdi_write_set *writes;
    kdi_index *index;
    kd_buffer *redo;
    *out_index_no = 0;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t redo_before = redo->size_bytes;
    kd_index_definition numbered = *definition;
    numbered.index_no = atomic_fetch_add(&table->storage->next_index_no, 1);
    KD_TRY(kdi_index_make(ctx, table, &numbered, (kd_slice){0}, &index));
    atomic_store(&index->created, KD_STAMP_IN_FLIGHT | kd_txn_no(txn));
    kd_progress_begin(ctx, "index", kd_table_row_count_estimate(table));
    kd_status status = kdi_index_build(ctx, index, kd_table_latest(txn));
    if (status == KD_OK)
        status = index_log(ctx, txn, index, redo);
    if (status == KD_OK)
        status = kdi_index_list_change(ctx, table, index, NULL);
    if (status != KD_OK) {
        redo->size_bytes = redo_before;
        index->is_dropped = true;
        kdi_index_destroy(index);
        return status;
    }
    status = kdi_writes_structure(ctx, writes, &add_change, index);
    if (status != KD_OK) {
        redo->size_bytes = redo_before;
        index_unlink(index);
        return status;
    }
    *out_index_no = numbered.index_no;
    return KD_OK;
}

kd_status kd_table_drop_index(kd_ctx *ctx, kd_txn *txn, kd_table *table, uint64_t index_no)
{
    kdi_write_set *writes;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    kdi_index *index = kdi_index_get(ctx, table, index_no);
    if (index == NULL)
        return KD_CONFLICT;
    uint64_t numbers[] = {table->table_no, index_no};
    KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_INDEX_DROP, numbers, 2));
    return kdi_writes_structure(ctx, writes, &drop_change, index);
}

/* --- Segments that recovery brings back ------------------------------------------------------ */

static kd_status segment_rows_add(kd_ctx *ctx, builder *build, kdi_segment *segment,
                                  kd_segment_reader *reader, kd_vector *columns,
                                  const uint32_t *slots, uint32_t column_count)
{
    for (uint32_t first = 0; first < segment->row_count; first += KD_VECTOR_ROWS) {
        uint32_t left = segment->row_count - first;
        uint32_t count = left < KD_VECTOR_ROWS ? left : KD_VECTOR_ROWS;
        for (uint32_t i = 0; i < column_count; i++) {
            if (slots[i] != UINT32_MAX)
                KD_TRY(kd_segment_read(ctx, reader, slots[i], first, count, &columns[i]));
        }
        kd_batch batch = {.row_count = count,
                          .selected_count = count,
                          .column_count = column_count,
                          .columns = columns};
        for (uint32_t row = 0; row < count; row++)
            KD_TRY(row_add(ctx, build, &batch, row, kdi_ref(segment->unit, first + row)));
    }
    return KD_OK;
}

static kd_status segment_index(kd_ctx *ctx, builder *build, kdi_segment *segment)
{
    const kd_index_definition *definition = &build->index->definition;
    const kdi_column_set *set = atomic_load(&build->index->table->set);
    bool is_partial = definition->predicate_column_no >= 0;
    uint32_t count = definition->column_count + (is_partial ? 1 : 0);
    uint32_t *wanted = KD_NEW_ARRAY(ctx, build->arena, uint32_t, count);
    uint32_t *slots = KD_NEW_ARRAY(ctx, build->arena, uint32_t, count);
    kd_vector *columns = KD_NEW_ARRAY(ctx, build->arena, kd_vector, count);
    if (wanted == NULL || slots == NULL || columns == NULL)
        return KD_NOMEM;
    uint32_t wanted_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column_no = i < definition->column_count
                                 ? definition->columns[i].column_no
                                 : (uint32_t)definition->predicate_column_no;
        int at = kd_segment_find_column(segment->file, column_no);
        slots[i] = at < 0 ? UINT32_MAX : wanted_count;
        if (at >= 0) {
            wanted[wanted_count++] = (uint32_t)at;
            continue;
        }
        int known = kdi_set_find(set, column_no, i);
        assert(known >= 0);
        KD_TRY(
            kd_vector_init_constant(ctx, build->arena, &set->columns[known].missing, &columns[i]));
    }
    kd_segment_reader *reader;
    KD_TRY(
        kd_segment_reader_create(ctx, build->arena, segment->file, wanted, wanted_count, &reader));
    kd_status status = segment_rows_add(ctx, build, segment, reader, columns, slots, count);
    kd_segment_reader_destroy(reader);
    return status;
}

/* --- Segments of a bulk load ----------------------------------------------------------------- */

static kd_status key_text(kd_ctx *ctx, const builder *build, const kd_index_entry *one,
                          kd_buffer *out)
{
    const kd_index_definition *definition = &build->index->definition;
    kd_reader reader = kd_reader_of(one->key);
    for (uint32_t i = 0; i < definition->column_count; i++) {
        kd_value value;
        KD_TRY(kd_key_read(ctx, build->arena, build->index->types[i], definition->columns[i].order,
                           &reader, &value));
        KD_TRY(kdi_key_value_text(ctx, i, &value, out));
    }
    return KD_OK;
}

static kd_status key_taken(kd_ctx *ctx, const builder *build, const kd_index_entry *one)
{
    const kd_index_definition *definition = &build->index->definition;
    kd_buffer text = kd_buffer_in(build->arena);
    KD_TRY(key_text(ctx, build, one, &text));
    return kdi_key_taken(ctx, definition, kd_buffer_slice(&text));
}

/* One by one. */
static kd_status keys_enter(kd_ctx *ctx, kdi_write_set *writes, builder *build)
{
    for (size_t i = 0; i < build->count; i++) {
        const kd_index_entry *one = &build->entries[i];
        kd_rowref conflict;
        if (i % KD_VECTOR_ROWS == 0)
            KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kdi_unique_enter_key(ctx, writes, build->index->table, build->index, one->key,
                                    one->is_unique, one->ref, &conflict));
        if (conflict != KD_ROWREF_NONE)
            return key_taken(ctx, build, one);
    }
    return KD_OK;
}

typedef struct run_judge {
    kdi_write_set *writes;
    kd_table *table;
    const kd_index_entry *entry; /* Whose key is not free. */
    kdi_key_state state;
} run_judge;

static kd_status run_rows_judge(kd_ctx *ctx, void *object, const kd_index_entry *entry,
                                const uint64_t *refs, uint32_t count, bool *out_stop)
{
    run_judge *self = object;
    self->entry = entry;
    KD_TRY(kdi_unique_judge(ctx, self->writes, self->table, refs, count, entry->ref, &self->state));
    *out_stop = self->state.conflict != KD_ROWREF_NONE || self->state.blocker != 0;
    return KD_OK;
}

/* All at once, as often as it takes until nobody in flight decides over a key. */
static kd_status run_enter(kd_ctx *ctx, kdi_write_set *writes, const builder *build,
                           kd_index_run *run)
{
    run_judge self = {.writes = writes, .table = build->index->table};
    const kd_index_judge judge = {run_rows_judge, &self};
    for (;;) {
        bool is_entered;
        KD_TRY(
            kd_index_run_enter_unique(ctx, run, build->entries, build->count, &judge, &is_entered));
        if (is_entered)
            return KD_OK;
        if (self.state.conflict != KD_ROWREF_NONE)
            return key_taken(ctx, build, self.entry);
        KD_TRY(kd_txn_wait_for(ctx, writes->txn, self.state.blocker));
    }
}

static kd_status entries_enter(kd_ctx *ctx, kdi_write_set *writes, builder *build)
{
    if (!build->index->definition.unique)
        return entries_put(ctx, build);
    if (build->index->definition.deferrable)
        return keys_enter(ctx, writes, build); /* Those in doubt are noted one by one. */
    const kd_index_entry *twice = duplicate_find(build);
    if (twice != NULL)
        return key_taken(ctx, build, twice);
    if (!is_worth_a_run(build, build->count))
        return keys_enter(ctx, writes, build);
    kd_index_run *run;
    KD_TRY(kd_index_run_write(ctx, build->index->index, entry_next, build, &run));
    kd_status status = run_enter(ctx, writes, build, run);
    kd_index_run_end(run);
    if (status == KD_OK)
        atomic_store(&build->index->is_dirty, true); /* After the entries: see unique.c. */
    return status;
}

/* `writes`: of the transaction that brings the rows, whose keys have to be free; NULL: rows that
 * were there before. */
static kd_status segment_enter(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                               kdi_segment *segment)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    kd_status status = KD_OK;
    for (uint32_t i = 0; status == KD_OK && list != NULL && i < list->count; i++) {
        builder build;
        KD_TRY(builder_begin(ctx, &build, list->items[i]));
        status = segment_index(ctx, &build, segment);
        if (status == KD_OK)
            status = entries_sort(ctx, &build);
        if (status == KD_OK)
            status = writes == NULL ? entries_put(ctx, &build) : entries_enter(ctx, writes, &build);
        builder_end(&build);
    }
    return status;
}

kd_status kdi_indexes_add_segment(kd_ctx *ctx, kd_table *table, kdi_segment *segment)
{
    return segment_enter(ctx, NULL, table, segment);
}

kd_status kdi_indexes_enter_segment(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                                    kdi_segment *segment)
{
    return segment_enter(ctx, writes, table, segment);
}

/* --- Batches of a large transaction ---------------------------------------------------------- */

/* The columns of the index out of those of the set: shallow copies. */
static kd_status batch_columns(kd_ctx *ctx, builder *build, const kdi_column_set *set,
                               const kd_batch *batch, kd_batch *out_batch)
{
    const kd_index_definition *definition = &build->index->definition;
    bool is_partial = definition->predicate_column_no >= 0;
    uint32_t count = definition->column_count + (is_partial ? 1 : 0);
    kd_vector *columns = KD_NEW_ARRAY(ctx, build->arena, kd_vector, count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column_no = i < definition->column_count
                                 ? definition->columns[i].column_no
                                 : (uint32_t)definition->predicate_column_no;
        int at = kdi_set_find(set, column_no, i);
        assert(at >= 0);
        columns[i] = batch->columns[at];
    }
    *out_batch = *batch;
    out_batch->columns = columns;
    out_batch->column_count = count;
    return KD_OK;
}

static kd_status batch_enter(kd_ctx *ctx, kdi_write_set *writes, builder *build,
                             const kd_batch *batch, kd_rowref first)
{
    const kd_index_definition *definition = &build->index->definition;
    for (uint32_t i = 0; i < batch->selected_count; i++)
        KD_TRY(row_add(ctx, build, batch, kd_batch_row(batch, i), first + i));
    if (kd_index_is_inverted(definition))
        return postings_insert(ctx, build);
    return keys_enter(ctx, writes, build);
}

kd_status kdi_indexes_enter_batch(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                                  const kdi_column_set *set, const kd_batch *batch, kd_rowref first)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    kd_status status = KD_OK;
    if (list == NULL || list->count == 0)
        return KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "index batch", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; status == KD_OK && i < list->count; i++) {
        kd_batch own;
        builder build = {.index = list->items[i], .arena = arena};
        build.keys = kd_key_list_in(arena);
        status = batch_columns(ctx, &build, set, batch, &own);
        if (status == KD_OK)
            status = batch_enter(ctx, writes, &build, &own, first);
        kdi_posting_set_destroy(build.postings);
        kd_arena_reset(arena);
    }
    kd_arena_destroy(arena);
    return status;
}
