/*
 * Rows into segments: sort, write, publish.
 */
#include "table/segment_build.h"

#include <stdlib.h>
#include <string.h>

enum { STAGED_SLOTS = 16 * KDI_CHUNK_SLOTS };

kd_status kdi_rewrite_begin(kd_ctx *ctx, kd_table *table, kdi_rewrite *out_build)
{
    *out_build = (kdi_rewrite){.table = table, .set = atomic_load(&table->set)};
    out_build->arena = kd_arena_create(ctx, NULL, "segment build", KD_ARENA_UNLIMITED);
    return out_build->arena == NULL ? KD_NOMEM : KD_OK;
}

static void staged_free(kdi_rewrite *build)
{
    for (size_t i = 0; i < build->staged_count; i++)
        kdi_chunk_destroy(build->staged[i]);
    build->staged_count = 0;
    build->staged_bytes = 0;
}

void kdi_rewrite_end(kd_ctx *ctx, kdi_rewrite *build)
{
    kd_storage *storage = build->table->storage;
    staged_free(build);
    for (size_t i = 0; i < build->segment_count; i++) {
        uint64_t unit = build->segments[i]->unit;
        kd_ctx own = {.world = ctx->world};
        kdi_segment_close(build->segments[i]);
        if (kd_segment_remove(&own, &storage->files, unit) != KD_OK)
            kd_error_clear(&own); /* An orphan, removed at the next opening. */
    }
    for (size_t i = 0; i < build->remap_count; i++)
        kdi_remap_destroy(build->remaps[i]);
    kd_arena_destroy(build->arena);
    build->arena = NULL;
}

kd_status kdi_rewrite_stage(kd_ctx *ctx, kdi_rewrite *build, kdi_chunk **out_chunk,
                            uint32_t *out_slot)
{
    kdi_chunk *last = build->staged_count == 0 ? NULL : build->staged[build->staged_count - 1];
    *out_chunk = NULL;
    *out_slot = 0;
    if (last == NULL || kdi_chunk_used(last) == last->capacity) {
        kdi_chunk **place;
        if (last != NULL)
            build->staged_bytes += atomic_load(&last->bytes);
        KD_TRY(KD_PUSH(ctx, build->arena, build->staged, build->staged_count,
                       build->staged_capacity, &place));
        kd_status status =
            kdi_chunk_create(ctx, build->table->storage, 0, build->set, STAGED_SLOTS, place);
        if (status != KD_OK) {
            build->staged_count--;
            return status;
        }
        last = *place;
    }
    *out_chunk = last;
    *out_slot = atomic_fetch_add(&last->used, 1);
    return KD_OK;
}

kd_status kdi_rewrite_add(kd_ctx *ctx, kdi_rewrite *build, kdi_rewrite_row row)
{
    kdi_rewrite_row *place;
    KD_TRY(KD_PUSH(ctx, build->arena, build->rows, build->row_count, build->row_capacity, &place));
    *place = row;
    return KD_OK;
}

kd_status kdi_rewrite_remap(kd_ctx *ctx, kdi_rewrite *build, uint64_t unit, uint32_t count,
                            kdi_remap **out_remap)
{
    kdi_remap **place;
    *out_remap = NULL;
    KD_TRY(KD_PUSH(ctx, build->arena, build->remaps, build->remap_count, build->remap_capacity,
                   &place));
    kd_status status = kdi_remap_make(ctx, build->table->storage, unit, count, out_remap);
    if (status != KD_OK) {
        build->remap_count--;
        return status;
    }
    for (uint32_t i = 0; i < count; i++)
        (*out_remap)->refs[i] = KD_ROWREF_NONE;
    *place = *out_remap;
    return KD_OK;
}

/* --- Sorting --------------------------------------------------------------------------------- */

static int column_compare(const kdi_rewrite *build, const kdi_rewrite_row *a,
                          const kdi_rewrite_row *b, uint32_t column_no)
{
    int at_a = kdi_set_find(a->chunk->set, column_no, 0);
    int at_b = kdi_set_find(b->chunk->set, column_no, 0);
    if (at_a < 0 || at_b < 0)
        return (at_b >= 0) - (at_a >= 0); /* Older than the column: together, first. */
    bool null_a = a->chunk->nulls[at_a][a->slot] != 0;
    bool null_b = b->chunk->nulls[at_b][b->slot] != 0;
    if (null_a || null_b)
        return null_a - null_b;
    (void)build;
    return kd_payload_compare(a->chunk->set->columns[at_a].type,
                              kdi_chunk_payload(a->chunk, a->slot, (uint32_t)at_a),
                              kdi_chunk_payload(b->chunk, b->slot, (uint32_t)at_b));
}

static int row_compare(const void *left, const void *right, void *object)
{
    const kdi_rewrite *build = object;
    const kdi_rewrite_row *a = *(const kdi_rewrite_row *const *)left;
    const kdi_rewrite_row *b = *(const kdi_rewrite_row *const *)right;
    for (uint32_t i = 0; i < build->table->sort_column_count; i++) {
        int order = column_compare(build, a, b, build->table->sort_column_nos[i]);
        if (order != 0)
            return order;
    }
    return a < b ? -1 : a > b; /* As they came: one array, so this is their position. */
}

/* --- Writing --------------------------------------------------------------------------------- */

typedef struct row_writer {
    kdi_rewrite *build;
    kd_segment_writer *writer;
    uint64_t unit;
    kd_stamp stamps_max;
    kd_vector *columns;
    uint64_t stamps[KD_VECTOR_ROWS];
} row_writer;

static kd_status writer_open(kd_ctx *ctx, row_writer *out, kd_arena *scratch)
{
    const kdi_column_set *set = out->build->set;
    kd_storage *storage = out->build->table->storage;
    kd_type *types = KD_NEW_ARRAY(ctx, scratch, kd_type, set->count);
    uint32_t *numbers = KD_NEW_ARRAY(ctx, scratch, uint32_t, set->count);
    if (types == NULL || numbers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < set->count; i++) {
        types[i] = set->columns[i].type;
        numbers[i] = set->columns[i].column_no;
    }
    out->unit = atomic_fetch_add(&storage->next_unit, 1);
    out->stamps_max = 0;
    kd_segment_shape shape = {.unit = out->unit,
                              .table_no = (uint32_t)out->build->table->table_no,
                              .schema_version = set->version,
                              .column_count = set->count,
                              .types = types,
                              .column_nos = numbers};
    return kd_segment_writer_create(ctx, &storage->files, &shape, &out->writer);
}

static kd_status columns_prepare(kd_ctx *ctx, row_writer *out, kd_arena *scratch)
{
    const kdi_column_set *set = out->build->set;
    out->columns = KD_NEW_ARRAY(ctx, scratch, kd_vector, set->count);
    if (out->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < set->count; i++)
        KD_TRY(kd_vector_init_flat(ctx, scratch, set->columns[i].type, KD_VECTOR_ROWS,
                                   &out->columns[i]));
    return KD_OK;
}

static void column_gather(row_writer *out, uint32_t column, kdi_rewrite_row *const *rows,
                          uint32_t count)
{
    const kdi_column_set *set = out->build->set;
    const kd_table_column *definition = &set->columns[column];
    kd_vector *vector = &out->columns[column];
    uint32_t width = set->widths[column];
    memset(vector->validity, 0xff, (KD_VECTOR_ROWS / 64) * sizeof(uint64_t));
    for (uint32_t i = 0; i < count; i++) {
        const kdi_rewrite_row *row = rows[i];
        int at = kdi_set_find(row->chunk->set, definition->column_no, column);
        char *target = (char *)vector->values + (size_t)i * width;
        if (at < 0) {
            memcpy(target, &definition->missing.as, width);
            if (definition->missing.is_null)
                kd_bit_clear(vector->validity, i);
        } else if (row->chunk->nulls[at][row->slot] != 0) {
            memset(target, 0, width);
            kd_bit_clear(vector->validity, i);
        } else {
            memcpy(target, kdi_chunk_payload(row->chunk, row->slot, (uint32_t)at), width);
        }
    }
}

static kd_status vector_write(kd_ctx *ctx, row_writer *out, kdi_rewrite_row *const *rows,
                              uint32_t count)
{
    const kdi_column_set *set = out->build->set;
    uint32_t first = kd_segment_writer_row_count(out->writer);
    for (uint32_t column = 0; column < set->count; column++)
        column_gather(out, column, rows, count);
    for (uint32_t i = 0; i < count; i++) {
        out->stamps[i] = rows[i]->begin;
        if (rows[i]->begin > out->stamps_max)
            out->stamps_max = rows[i]->begin;
        if (rows[i]->remap != NULL)
            rows[i]->remap->refs[rows[i]->ordinal] = kdi_ref(out->unit, first + i);
    }
    kd_batch batch = {.row_count = count,
                      .selected_count = count,
                      .column_count = set->count,
                      .columns = out->columns};
    return kd_segment_writer_append(ctx, out->writer, &batch, out->stamps);
}

static kd_status writer_close(kd_ctx *ctx, row_writer *out, kd_stamp begin)
{
    kdi_rewrite *build = out->build;
    kdi_segment **place;
    KD_TRY(KD_PUSH(ctx, build->arena, build->segments, build->segment_count,
                   build->segment_capacity, &place));
    build->segment_count--; /* Counted when it is there. */
    KD_TRY(kd_segment_writer_finish(ctx, out->writer));
    kd_segment_writer_destroy(out->writer);
    out->writer = NULL;
    KD_TRY(kdi_segment_open(ctx, build->table->storage, out->unit, begin, out->stamps_max, place));
    build->segment_count++;
    return KD_OK;
}

static kd_status rows_write(kd_ctx *ctx, row_writer *out, kdi_rewrite_row **rows, size_t count,
                            kd_stamp begin, kd_arena *scratch)
{
    for (size_t done = 0; done < count;) {
        if (out->writer == NULL)
            KD_TRY(writer_open(ctx, out, scratch));
        uint32_t room = KD_SEGMENT_ROWS_MAX - kd_segment_writer_row_count(out->writer);
        size_t part = count - done < KD_VECTOR_ROWS ? count - done : KD_VECTOR_ROWS;
        part = part < room ? part : room;
        KD_TRY(vector_write(ctx, out, rows + done, (uint32_t)part));
        done += part;
        if (part == room || done == count)
            KD_TRY(writer_close(ctx, out, begin));
    }
    return KD_OK;
}

kd_status kdi_rewrite_write(kd_ctx *ctx, kdi_rewrite *build, kd_stamp begin)
{
    kd_status status = KD_OK;
    row_writer out = {.build = build};
    if (build->row_count == 0)
        return KD_OK;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "segment sort", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kdi_rewrite_row **order = KD_NEW_ARRAY(ctx, scratch, kdi_rewrite_row *, build->row_count);
    if (order == NULL) {
        kd_arena_destroy(scratch);
        return KD_NOMEM;
    }
    for (size_t i = 0; i < build->row_count; i++)
        order[i] = &build->rows[i];
    if (build->table->sort_column_count > 0)
        qsort_r(order, build->row_count, sizeof *order, row_compare, build);
    status = columns_prepare(ctx, &out, scratch);
    if (status == KD_OK)
        status = rows_write(ctx, &out, order, build->row_count, begin, scratch);
    kd_segment_writer_destroy(out.writer);
    kd_arena_destroy(scratch);
    build->row_count = 0;
    staged_free(build);
    return status;
}

/* --- Moving ---------------------------------------------------------------------------------- */

/*
 * The move is a transaction of its own. It becomes visible in `prepare`, under the
 * exclusive latch, which is held until its record has its place in the log: so no
 * commit that names a new place can come before it there.
 */
static kd_status move_prepare(kd_ctx *ctx, void *object)
{
    kdi_rewrite *build = object;
    kd_table *table = build->table;
    kd_mutex_lock(&table->storage->structure);
    kd_rwlock_lock_exclusive(&table->publish);
    kd_status status = kdi_move_publish(ctx, table, build->segments, (uint32_t)build->segment_count,
                                        true, build->remaps, (uint32_t)build->remap_count);
    if (status != KD_OK) {
        kd_rwlock_unlock_exclusive(&table->publish);
        kd_mutex_unlock(&table->storage->structure);
        return status;
    }
    build->segment_count = 0;
    build->remap_count = 0;
    build->has_moved = true;
    return KD_OK;
}

static void move_done(void *object)
{
    kdi_rewrite *build = object;
    if (!build->has_moved)
        return;
    kd_rwlock_unlock_exclusive(&build->table->publish);
    kd_mutex_unlock(&build->table->storage->structure);
}

static void move_committed(void *object, kd_stamp stamp)
{
    (void)stamp;
    move_done(object);
}

/* After the move only the log can have failed: the database goes on in memory until it is closed.
 */
static const kd_txn_participant move_participant = {
    .prepare = move_prepare, .committed = move_committed, .rolled_back = move_done};

static kd_status move_log(kd_ctx *ctx, kd_txn *txn, const kdi_rewrite *build)
{
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    for (size_t i = 0; i < build->segment_count; i++) {
        uint64_t numbers[] = {build->table->table_no, build->segments[i]->unit, 0,
                              build->segments[i]->stamps_max};
        KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_INSTALL, numbers, 4));
    }
    for (size_t i = 0; i < build->remap_count; i++) {
        const kdi_remap *remap = build->remaps[i];
        uint64_t numbers[] = {build->table->table_no, remap->unit, remap->count};
        KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_MOVE, numbers, 3));
        KD_TRY(kd_buffer_append(ctx, redo, remap->refs, remap->count * sizeof remap->refs[0]));
    }
    return KD_OK;
}

kd_status kdi_rewrite_move(kd_ctx *ctx, kdi_rewrite *build)
{
    if (build->remap_count == 0)
        return KD_OK;
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION, .durability = KD_DURABLE_LATER};
    KD_TRY(kd_txn_begin(ctx, build->table->storage->txns, &options, &txn));
    kd_status status = move_log(ctx, txn, build);
    if (status == KD_OK)
        status = kd_txn_join(ctx, txn, &move_participant, build);
    if (status == KD_OK)
        status = kd_txn_hold_log(ctx, txn);
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    return kd_txn_commit(ctx, txn);
}
