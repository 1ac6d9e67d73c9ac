/*
 * The tables behind unique keys over all partitions (table_key.h): making them, and keeping them
 * when partitions come and go.
 *
 * Partitions are locked EXCLUSIVE before their rows are read. Writers who waited for that see that
 * the partition or one of its ancestors is another one now (kdi_table_keys_find).
 */
#include "engine/define_internal.h"
#include "engine/table_key.h"

/* --- Rows of partitions ----------------------------------------------------------------------- */

/* Calls `take` with all rows of a partition, batch by batch, in its shape. */
typedef kd_status (*rows_taker)(kd_ctx *ctx, void *object, kd_arena *arena, const kd_batch *rows);

static kd_status read_scan(kd_ctx *ctx, kd_run *run, kd_scan_reader *reader, uint64_t expected,
                           rows_taker take, void *object)
{
    kd_arena *arena = kd_arena_create(ctx, run->arena, "key entries", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_progress_begin(ctx, "key", expected);
    for (;;) {
        kd_batch batch;
        bool end;
        KD_TRY(kd_scan_reader_next(ctx, reader, &batch, NULL, &end));
        if (end)
            break;
        KD_TRY(take(ctx, object, arena, &batch));
        kd_arena_reset(arena);
        KD_TRY(kd_progress_add(ctx, batch.selected_count));
    }
    kd_arena_destroy(arena);
    return KD_OK;
}

static kd_status for_rows(kd_ctx *ctx, kd_run *run, const kd_table_entry *partition,
                          rows_taker take, void *object)
{
    kd_status status = KD_OK;
    kd_session *session = run->session;
    kd_table *storage = kd_table_find(session->database->storage, partition->table_no);
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    uint32_t *positions = KD_NEW_ARRAY(ctx, run->arena, uint32_t, partition->column_count);
    if (storage == NULL || positions == NULL)
        return storage == NULL ? KD_OK : KD_NOMEM;
    for (uint32_t i = 0; i < partition->column_count; i++)
        positions[i] = i;
    const kd_scan_spec spec = {.shape = partition->shape,
                               .positions = positions,
                               .position_count = partition->column_count};
    KD_TRY_OUT(
        kd_table_scan_open(ctx, run->arena, storage, kd_table_settled(session->txn), &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, run->arena, scan, &reader));
    KD_TRY_OUT(read_scan(ctx, run, reader, kd_table_scan_row_estimate(scan), take, object));
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

typedef kd_status (*leaf_visitor)(kd_ctx *ctx, kd_run *run, const kd_table_entry *leaf,
                                  void *object);

/* Visits the partitions below a table that hold rows, or the table itself if it is one, and locks
 * their writers out. */
static kd_status for_leaves(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                            leaf_visitor visit, void *object)
{
    const kd_table_entry **partitions;
    uint32_t count;
    if (table->strategy == KD_PARTITION_NONE) {
        KD_TRY(
            kd_txn_lock_table(ctx, run->session->txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
        return visit(ctx, run, table, object);
    }
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, table->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(for_leaves(ctx, run, partitions[i], visit, object));
    return KD_OK;
}

/* --- Making a key's table --------------------------------------------------------------------- */

typedef struct key_build {
    const kd_table_entry *owner;
    const kd_table_index *index; /* `key_table_no` is set. */
    const kdi_table_key *key;    /* Of the partition that is read. */
    kd_bulk_load *load;
} key_build;

static kd_status load_rows(kd_ctx *ctx, void *object, kd_arena *arena, const kd_batch *rows)
{
    const key_build *build = object;
    return kdi_table_key_load(ctx, build->load, build->key, arena, rows);
}

static kd_status load_leaf(kd_ctx *ctx, kd_run *run, const kd_table_entry *leaf, void *object)
{
    key_build *build = object;
    kdi_table_key key = {.owner = build->owner, .index = build->index};
    KD_TRY(kdi_table_key_of(ctx, run->arena, run, leaf, &key));
    build->key = &key;
    return for_rows(ctx, run, leaf, load_rows, build);
}

static kd_status add_index(kd_ctx *ctx, kd_run *run, kd_table *storage, kd_table_index *index)
{
    uint32_t count = index->storage.column_count;
    kd_index_column *columns = KD_NEW_ARRAY(ctx, run->arena, kd_index_column, count);
    kd_index_definition definition = index->storage;
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        columns[i] =
            (kd_index_column){.column_no = i + 1, .order = index->storage.columns[i].order};
    definition.columns = columns;
    definition.predicate_column_no = -1;
    return kd_table_add_index(ctx, run->session->txn, storage, &definition,
                              &index->storage.index_no);
}

/* PostgreSQL's answer to all such keys. */
static kd_status refuse_deferrable(kd_ctx *ctx, const kd_table_entry *table,
                                   const kd_table_index *index)
{
    kd_status status =
        KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                "unique constraint on partitioned table must include all partitioning columns");
    kd_error_set_detail(ctx,
                        "The deferrable key \"%.*s\" of table \"%.*s\" lacks a column of the "
                        "partition key.",
                        (int)index->object.name.size_bytes, index->object.name.data,
                        (int)table->object.name.size_bytes, table->object.name.data);
    return status;
}

/* The rows that are there come first, so that the index is built over all of them at once. */
static kd_status build_key(kd_ctx *ctx, kdi_draft *draft, kd_table_index *index)
{
    kd_status status = KD_OK;
    kd_run *run = draft->run;
    kd_session *session = run->session;
    key_build build = {.owner = &draft->entry, .index = index};
    const kd_table_shape *shape;
    KD_TRY_OUT(kd_partition_key_shape(ctx, draft->arena, &draft->entry, index, &shape));
    KD_TRY_OUT(kd_table_create(ctx, session->txn, session->database->storage, shape, NULL, 0,
                               &index->key_table_no));
    kd_table *storage = kd_table_find(session->database->storage, index->key_table_no);
    KD_TRY_OUT(kd_bulk_load_begin(ctx, session->txn, storage, shape, &build.load));
    KD_TRY_OUT(for_leaves(ctx, run, &draft->entry, load_leaf, &build));
    KD_TRY_OUT(kd_bulk_load_finish(ctx, build.load));
    KD_TRY_OUT(add_index(ctx, run, storage, index));
out:
    kd_bulk_load_destroy(build.load);
    return status;
}

kd_status kdi_keys_complete(kd_ctx *ctx, kd_run *run, uint32_t table_no)
{
    kdi_draft *draft;
    bool has_built = false;
    KD_TRY(kdi_draft_open(ctx, run, (const kd_table_entry *)kd_catalog_get(run->catalog, table_no),
                          &draft));
    KD_TRY(kdi_draft_sync(ctx, draft));
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        kd_table_index *index = &draft->indexes[i];
        if (index->key_table_no != 0 || !kdi_key_spans_partitions(&draft->entry, index))
            continue;
        if (index->storage.deferrable)
            return refuse_deferrable(ctx, &draft->entry, index);
        KD_TRY(build_key(ctx, draft, index));
        has_built = true;
    }
    return has_built ? kdi_draft_put(ctx, draft) : KD_OK;
}

kd_status kdi_key_drop(kd_ctx *ctx, kd_run *run, kd_table_index *index)
{
    kd_session *session = run->session;
    if (index->key_table_no == 0)
        return KD_OK;
    KD_TRY(kd_txn_lock_table(ctx, session->txn, index->key_table_no, KD_TABLE_EXCLUSIVE, false));
    kd_table *storage = kd_table_find(session->database->storage, index->key_table_no);
    if (storage != NULL)
        KD_TRY(kd_table_drop(ctx, session->txn, storage));
    index->key_table_no = 0;
    index->storage.index_no = 0;
    return KD_OK;
}

kd_status kdi_keys_drop(kd_ctx *ctx, kdi_draft *draft)
{
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        KD_TRY(kdi_key_drop(ctx, draft->run, &draft->indexes[i]));
    return KD_OK;
}

/* --- Partitions that come and go -------------------------------------------------------------- */

typedef struct key_entry {
    kd_txn *txn;
    uint32_t first_no; /* The nearest table whose keys are concerned. */
    const kdi_table_key *keys;
    uint32_t key_count;
} key_entry;

static kd_status enter_rows(kd_ctx *ctx, void *object, kd_arena *arena, const kd_batch *rows)
{
    const key_entry *work = object;
    for (uint32_t k = 0; k < work->key_count; k++)
        KD_TRY(kdi_table_key_insert(ctx, work->txn, &work->keys[k], arena, rows));
    return KD_OK;
}

static kd_status enter_leaf(kd_ctx *ctx, kd_run *run, const kd_table_entry *leaf, void *object)
{
    key_entry *work = object;
    kdi_table_key *keys;
    KD_TRY(
        kdi_table_keys_find(ctx, run->arena, run, leaf, work->first_no, &keys, &work->key_count));
    work->keys = keys;
    return work->key_count == 0 ? KD_OK : for_rows(ctx, run, leaf, enter_rows, work);
}

kd_status kdi_keys_enter(kd_ctx *ctx, kd_run *run, const kd_table_entry *table, uint32_t first_no)
{
    key_entry work = {.first_no = first_no, .txn = run->session->txn};
    return for_leaves(ctx, run, table, enter_leaf, &work);
}

static kd_status leave_batch(kd_ctx *ctx, kd_run *run, const kdi_table_key *key,
                             const kd_batch *batch, const kd_rowref *refs)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        kd_write_outcome outcome;
        if (kd_vector_get(&batch->columns[0], row).as.i64 != key->partition.as.i64)
            continue; /* Zone maps only prune. */
        KD_TRY(kd_table_delete(ctx, run->session->txn, key->storage, refs[row], &outcome));
        if (outcome.result != KD_WRITE_DONE)
            return KD_FAIL(ctx, KD_CONFLICT, "40001",
                           "could not serialize access due to concurrent update");
    }
    return KD_OK;
}

static kd_status leave_key(kd_ctx *ctx, kd_run *run, const kdi_table_key *key)
{
    kd_status status = KD_OK;
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    uint32_t position = key->index->storage.column_count;
    const kd_scan_filter filter = {
        .shape_position = position, .test = KD_SCAN_EQUAL, .value = key->partition};
    const kd_scan_spec spec = {.shape = key->shape,
                               .positions = &position,
                               .position_count = 1,
                               .filters = &filter,
                               .filter_count = 1,
                               .with_refs = true};
    KD_TRY_OUT(kd_table_scan_open(ctx, run->arena, key->storage,
                                  kd_table_settled(run->session->txn), &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, run->arena, scan, &reader));
    for (;;) {
        kd_batch batch;
        const kd_rowref *refs;
        bool end;
        KD_TRY_OUT(kd_check_cancelled(ctx));
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, &refs, &end));
        if (end)
            break;
        KD_TRY_OUT(leave_batch(ctx, run, key, &batch, refs));
    }
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static kd_status leave_leaf(kd_ctx *ctx, kd_run *run, const kd_table_entry *leaf, void *object)
{
    const key_entry *work = object;
    kdi_table_key *keys;
    uint32_t count;
    KD_TRY(kdi_table_keys_find(ctx, run->arena, run, leaf, work->first_no, &keys, &count));
    for (uint32_t k = 0; k < count; k++)
        KD_TRY(leave_key(ctx, run, &keys[k]));
    return KD_OK;
}

kd_status kdi_keys_leave(kd_ctx *ctx, kd_run *run, const kd_table_entry *table, uint32_t first_no)
{
    key_entry work = {.first_no = first_no};
    return first_no == 0 ? KD_OK : for_leaves(ctx, run, table, leave_leaf, &work);
}
