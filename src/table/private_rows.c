/*
 * The rows of a large transaction: straight into segments of its own.
 *
 * A private segment stands in its table's list from its first row on, in flight as a
 * whole and without a file: others find its rows through the indexes and wait for the
 * transaction, as for any row in flight. Its rows get their references at once, and
 * their values go to the segment's writer. Before the transaction itself looks at such
 * a row the file is finished, and the next batch begins another segment.
 *
 * Rows that a savepoint takes back cannot leave a file: they are noted as buried, and
 * get an end before every snapshot when somebody could look or the transaction commits.
 *
 * Nothing of this is in the redo until the commit, since a savepoint would cut it off
 * together with rows that stay. kdi_private_prepare logs the segments and the ends.
 */
#include "table/table_internal.h"

enum {
    OPEN_MAX = 16,          /* Segments being written at once: each has its buffers. */
    ROWS_WORTH = 64 * 1024, /* A smaller one sends the transaction back to the delta. */
    BUDGET_SHARE = 8,
    BYTES_MAX = 64 << 20,
    BYTES_MIN = 1 << 20,
};

typedef struct private_segment {
    struct private_segment *next; /* The newest first. */
    kd_table *table;
    kdi_segment *segment;
    const kdi_column_set *set;
    kd_segment_writer *writer; /* NULL: its file is complete. */
    uint32_t row_count;
} private_segment;

typedef struct buried_rows {
    kdi_segment *segment;
    uint32_t first, count;
} buried_rows;

typedef struct kdi_private_set {
    kd_mutex lock; /* Threads that read for the transaction settle too. */
    private_segment *segments;
    uint32_t open_count;
    buried_rows *buried;
    size_t buried_count, buried_capacity;
    size_t write_count; /* Of entries in the write set: each may have to be buried. */
    bool has_failed;    /* A writer failed: the transaction cannot commit. */
    bool is_prepared;
} kdi_private_set;

bool kdi_private_wanted(const kdi_write_set *writes, const kd_table *table)
{
    uint64_t limit = kd_governor_budget_bytes(table->storage->governor) / BUDGET_SHARE;
    limit = limit > BYTES_MAX ? BYTES_MAX : limit;
    limit = limit < BYTES_MIN ? BYTES_MIN : limit;
    const kdi_private_set *set = writes->private;
    return writes->delta_bytes > limit && kd_txn_isolation(writes->txn) != KD_SERIALIZABLE &&
           (set == NULL || (!set->is_prepared && !set->has_failed && set->open_count < OPEN_MAX));
}

static kd_status set_get(kd_ctx *ctx, kdi_write_set *writes, kdi_private_set **out_set)
{
    *out_set = writes->private;
    if (*out_set != NULL)
        return KD_OK;
    *out_set = KD_HEAP_NEW(ctx, &writes->storage->account, kdi_private_set);
    if (*out_set == NULL)
        return KD_NOMEM;
    kd_mutex_init(&(*out_set)->lock, ctx->world);
    writes->private = *out_set;
    return KD_OK;
}

/* --- Opening a segment ----------------------------------------------------------------------- */

static kd_status writer_open(kd_ctx *ctx, kd_table *table, const kdi_column_set *set, uint64_t unit,
                             kd_segment_writer **out_writer)
{
    *out_writer = NULL;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "private segment", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = KD_NOMEM;
    kd_type *types = KD_NEW_ARRAY(ctx, scratch, kd_type, set->count);
    uint32_t *numbers = KD_NEW_ARRAY(ctx, scratch, uint32_t, set->count);
    if (types != NULL && numbers != NULL) {
        for (uint32_t i = 0; i < set->count; i++) {
            types[i] = set->columns[i].type;
            numbers[i] = set->columns[i].column_no;
        }
        kd_segment_shape shape = {.unit = unit,
                                  .table_no = (uint32_t)table->table_no,
                                  .schema_version = set->version,
                                  .column_count = set->count,
                                  .types = types,
                                  .column_nos = numbers};
        status = kd_segment_writer_create(ctx, &table->storage->files, &shape, out_writer);
    }
    kd_arena_destroy(scratch);
    return status;
}

static void segment_committed(void *object, kd_stamp stamp)
{
    kdi_segment *segment = object;
    atomic_store(&segment->begin, stamp);
    kdi_table_note_change(segment->table, stamp);
    /* What has ended by now was buried; the transaction's own ends are counted with their writes.
     */
    atomic_fetch_add(&segment->table->row_count,
                     (int64_t)segment->row_count - (int64_t)atomic_load(&segment->ended_count));
}

static const kdi_structural segment_change = {segment_committed, NULL};

static kd_status segment_publish(kd_ctx *ctx, kd_table *table, kdi_segment *segment)
{
    kdi_unit_list *list;
    kdi_unit_change change = {.add_segments = &segment, .add_segment_count = 1};
    kd_mutex_lock(&table->lock);
    kd_status status = kdi_units_make(ctx, table, &change, &list);
    if (status == KD_OK)
        kdi_units_publish(table, list);
    kd_mutex_unlock(&table->lock);
    return status;
}

static kd_status segment_start(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                               private_segment *out)
{
    kd_storage *storage = table->storage;
    uint64_t unit = atomic_fetch_add(&storage->next_unit, 1);
    kd_stamp begin = KD_STAMP_IN_FLIGHT | kd_txn_no(writes->txn);
    *out = (private_segment){.table = table, .set = atomic_load(&table->set)};
    KD_TRY(writer_open(ctx, table, out->set, unit, &out->writer));
    kd_status status = kdi_segment_make_private(ctx, storage, unit, begin, &out->segment);
    if (status == KD_OK) {
        out->segment->table = table;
        status = kdi_writes_structure(ctx, writes, &segment_change, out->segment);
    }
    if (status == KD_OK) {
        status = segment_publish(ctx, table, out->segment);
        if (status != KD_OK)
            writes->count--; /* Not in the table: nothing to undo. */
    }
    if (status != KD_OK) {
        kdi_segment_close(out->segment);
        kd_segment_writer_destroy(out->writer);
    }
    return status;
}

/* The segment that takes the table's next rows. */
static kd_status segment_get(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                             private_segment **out_segment)
{
    kdi_private_set *set = writes->private;
    const kdi_column_set *columns = atomic_load(&table->set);
    for (private_segment *at = set->segments; at != NULL; at = at->next) {
        if (at->table == table && at->writer != NULL && at->set == columns) {
            *out_segment = at;
            return KD_OK;
        }
    }
    private_segment *made = KD_HEAP_NEW(ctx, &writes->storage->account, private_segment);
    *out_segment = made;
    if (made == NULL)
        return KD_NOMEM;
    kd_status status = segment_start(ctx, writes, table, made);
    if (status != KD_OK) {
        kd_heap_free(ctx->world, &writes->storage->account, made);
        *out_segment = NULL;
        return status;
    }
    made->next = set->segments;
    set->segments = made;
    set->open_count++;
    return KD_OK;
}

/* --- Finishing ------------------------------------------------------------------------------- */

static kd_status segment_finish(kd_ctx *ctx, kdi_private_set *set, private_segment *at)
{
    kd_status status = kd_segment_writer_finish(ctx, at->writer);
    if (status == KD_OK) {
        kd_segment_writer_destroy(at->writer);
        at->writer = NULL;
        set->open_count--;
        status = kdi_segment_complete(ctx, at->segment);
    }
    if (status != KD_OK)
        set->has_failed = true;
    return status;
}

/* The lock is held. */
static kd_status buried_end(kd_ctx *ctx, kdi_private_set *set)
{
    for (; set->buried_count > 0; set->buried_count--) {
        buried_rows *rows = &set->buried[set->buried_count - 1];
        for (; rows->count > 0; rows->count--) {
            _Atomic kd_stamp *end;
            KD_TRY(kdi_segment_mark(ctx, rows->segment, rows->first + rows->count - 1, &end));
            atomic_store(end, KDI_STAMP_OLDEST);
            atomic_fetch_add_explicit(&rows->segment->ended_count, 1, memory_order_relaxed);
        }
    }
    return KD_OK;
}

static kd_status has_not_failed(kd_ctx *ctx, const kdi_private_set *set)
{
    if (!set->has_failed)
        return KD_OK;
    return KD_FAIL(ctx, KD_IO, "58030",
                   "a segment of this transaction could not be written: roll it back");
}

/* The lock is held. */
static kd_status all_finish(kd_ctx *ctx, kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    KD_TRY(has_not_failed(ctx, set));
    for (private_segment *at = set->segments; at != NULL && set->open_count > 0; at = at->next) {
        if (at->writer == NULL)
            continue;
        if (at->row_count < ROWS_WORTH)
            writes->delta_bytes = 0;
        KD_TRY(segment_finish(ctx, set, at));
    }
    return buried_end(ctx, set);
}

static kd_status settle(kd_ctx *ctx, kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    kd_mutex_lock(&set->lock);
    kd_status status = KD_OK;
    if (set->open_count > 0 || set->buried_count > 0 || set->has_failed)
        status = all_finish(ctx, writes);
    kd_mutex_unlock(&set->lock);
    return status;
}

kd_status kdi_private_settle(kd_ctx *ctx, kd_storage *storage, uint64_t txn_no)
{
    kd_txn *txn = txn_no == 0 ? NULL : kd_txn_of_no(storage->txns, txn_no);
    kdi_write_set *writes = txn == NULL ? NULL : kd_txn_attachment(txn);
    return writes == NULL || writes->private == NULL ? KD_OK : settle(ctx, writes);
}

kd_status kdi_private_bury(kd_ctx *ctx, kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    if (set == NULL)
        return KD_OK;
    kd_mutex_lock(&set->lock);
    kd_status status = buried_end(ctx, set);
    kd_mutex_unlock(&set->lock);
    return status;
}

/* --- Inserting ------------------------------------------------------------------------------- */

/* Room to bury every entry there is and one more: undoing cannot fail. */
static kd_status buried_reserve(kd_ctx *ctx, kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    size_t needed = set->buried_count + set->write_count + 1;
    if (needed <= set->buried_capacity)
        return KD_OK;
    size_t capacity = needed < 16 ? 16 : needed * 2;
    buried_rows *grown =
        kd_heap_resize(ctx, &writes->storage->account, set->buried, capacity * sizeof *grown);
    if (grown == NULL)
        return KD_NOMEM;
    set->buried = grown;
    set->buried_capacity = capacity;
    return KD_OK;
}

static kd_status rows_note(kd_ctx *ctx, kdi_write_set *writes, const private_segment *at,
                           uint32_t count)
{
    kdi_write *last = writes->count == 0 ? NULL : &writes->writes[writes->count - 1];
    if (last != NULL && last->kind == KDI_WRITE_PRIVATE && last->object == at->segment &&
        last->savepoint == kd_txn_savepoint_now(writes->txn)) {
        last->count += count;
        return KD_OK;
    }
    KD_TRY(buried_reserve(ctx, writes));
    KD_TRY(kdi_write_push(ctx, writes, KDI_WRITE_PRIVATE, &last));
    last->table = NULL;
    last->object = at->segment;
    last->structural = NULL;
    last->ref = kdi_ref(at->segment->unit, at->row_count);
    last->count = count;
    writes->private->write_count++;
    return KD_OK;
}

/* Notes and appends up to `batch->selected_count` rows; `*out_first` is the first one's place. */
static kd_status rows_append(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                             const kd_batch *batch, kd_batch *part, uint16_t *selection,
                             uint32_t done, kd_rowref *out_first)
{
    private_segment *at;
    KD_TRY(segment_get(ctx, writes, table, &at));
    uint32_t room = KD_SEGMENT_ROWS_MAX - at->row_count;
    uint32_t count = batch->selected_count - done;
    count = count < room ? count : room;
    *part = *batch;
    if (count < batch->selected_count) {
        for (uint32_t i = 0; i < count; i++)
            selection[i] = (uint16_t)kd_batch_row(batch, done + i);
        part->selection = selection;
        part->selected_count = count;
    }
    *out_first = kdi_ref(at->segment->unit, at->row_count);
    kd_status status = rows_note(ctx, writes, at, count);
    if (status == KD_OK) {
        at->row_count += count;
        status = kd_segment_writer_append(ctx, at->writer, part, NULL);
    }
    if (status == KD_OK && count == room)
        return segment_finish(ctx, writes->private, at);
    if (status != KD_OK)
        writes->private->has_failed = true;
    return status;
}

static kd_status columns_arrange(kd_ctx *ctx, kd_arena *arena, const kdi_column_set *set,
                                 const kd_table_shape *shape, kd_batch *batch)
{
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, set->count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at = i;
        if (at >= shape->column_count || shape->columns[at].column_no != set->columns[i].column_no)
            for (at = 0; at < shape->column_count; at++)
                if (shape->columns[at].column_no == set->columns[i].column_no)
                    break;
        if (at < shape->column_count)
            columns[i] = batch->columns[at];
        else
            KD_TRY(kd_vector_init_constant(ctx, arena, &set->columns[i].missing, &columns[i]));
    }
    batch->columns = columns;
    batch->column_count = set->count;
    return KD_OK;
}

static kd_status batch_insert(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                              const kd_batch *batch, kd_rowref *out_refs)
{
    uint16_t selection[KD_BATCH_ROWS];
    for (uint32_t done = 0; done < batch->selected_count;) {
        kd_batch part;
        kd_rowref first;
        kd_mutex_lock(&writes->private->lock);
        kd_status status = rows_append(ctx, writes, table, batch, &part, selection, done, &first);
        kd_mutex_unlock(&writes->private->lock);
        if (status != KD_OK)
            return status;
        KD_TRY(kdi_indexes_enter_batch(ctx, writes, table, atomic_load(&table->set), &part, first));
        for (uint32_t i = 0; out_refs != NULL && i < part.selected_count; i++)
            out_refs[done + i] = first + i;
        done += part.selected_count;
    }
    return KD_OK;
}

kd_status kdi_private_insert(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                             const kd_table_shape *shape, const kd_batch *batch,
                             kd_rowref *out_refs)
{
    kdi_private_set *set;
    kd_batch arranged = *batch;
    KD_TRY(set_get(ctx, writes, &set));
    KD_TRY(columns_arrange(ctx, writes->scratch, atomic_load(&table->set), shape, &arranged));
    kd_status status = batch_insert(ctx, writes, table, &arranged, out_refs);
    kd_arena_reset(writes->scratch);
    return status;
}

/* --- The end --------------------------------------------------------------------------------- */

bool kdi_private_is_unlogged(const kdi_write_set *writes, const kdi_segment *segment)
{
    return segment != NULL && segment->is_private && writes->private != NULL &&
           !writes->private->is_prepared &&
           atomic_load(&segment->begin) == (KD_STAMP_IN_FLIGHT | kd_txn_no(writes->txn));
}

static kd_status segment_log(kd_ctx *ctx, kd_txn *txn, const private_segment *at)
{
    kdi_segment *segment = at->segment;
    uint64_t numbers[] = {at->table->table_no, segment->unit, 1, 0};
    KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_INSTALL, numbers, 4));
    for (uint32_t i = 0; i < segment->row_count; i++) {
        if (kdi_segment_end(segment, i) == KD_STAMP_NONE)
            continue;
        numbers[2] = i;
        KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_END, numbers, 3));
        KD_TRY(kd_txn_redo_added(ctx, txn));
    }
    return KD_OK;
}

kd_status kdi_private_prepare(kd_ctx *ctx, kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    if (set == NULL)
        return KD_OK;
    KD_TRY(settle(ctx, writes));
    for (const private_segment *at = set->segments; at != NULL; at = at->next)
        KD_TRY(segment_log(ctx, writes->txn, at));
    set->is_prepared = true;
    return KD_OK;
}

/* All rows of the segment are gone, and it with them. */
static void segment_drop(kdi_private_set *set, private_segment *at)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->buried_count; i++) {
        if (set->buried[i].segment != at->segment)
            set->buried[kept++] = set->buried[i];
    }
    set->buried_count = kept;
    if (at->writer != NULL) {
        kd_segment_writer_destroy(at->writer); /* Removes the file. */
        at->writer = NULL;
        set->open_count--;
    }
    kdi_segment_undone(at->segment);
}

void kdi_private_undo(kdi_write_set *writes, const kdi_write *write)
{
    kdi_private_set *set = writes->private;
    kd_mutex_lock(&set->lock);
    set->write_count--;
    private_segment **link = &set->segments;
    while ((*link)->segment != write->object)
        link = &(*link)->next;
    uint32_t first = kdi_ref_ordinal(write->ref);
    if (first == 0) {
        private_segment *at = *link;
        *link = at->next;
        segment_drop(set, at);
        kd_heap_free(writes->storage->world, &writes->storage->account, at);
    } else {
        assert(set->buried_count < set->buried_capacity);
        set->buried[set->buried_count++] =
            (buried_rows){.segment = write->object, .first = first, .count = write->count};
    }
    kd_mutex_unlock(&set->lock);
}

void kdi_private_end(kdi_write_set *writes)
{
    kdi_private_set *set = writes->private;
    if (set == NULL)
        return;
    kd_world *world = writes->storage->world;
    kd_account *account = &writes->storage->account;
    while (set->segments != NULL) {
        private_segment *at = set->segments;
        set->segments = at->next;
        if (kdi_is_in_flight(atomic_load(&at->segment->begin)))
            segment_drop(set, at); /* No row of it was ever noted. */
        kd_heap_free(world, account, at);
    }
    kd_heap_free(world, account, set->buried);
    kd_mutex_clear(&set->lock);
    kd_heap_free(world, account, set);
    writes->private = NULL;
}
