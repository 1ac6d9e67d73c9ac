/*
 * Compaction: segments that are small or have many ended rows are merged.
 *
 * The rows that some snapshot sees are staged, sorted and written as new segments;
 * the publication is that of flush. Groups are bounded by the size of one segment,
 * so memory and the time until something is published are bounded too.
 */
#include "table/segment_build.h"
#include "table/upkeep.h"

enum {
    SMALL_ROWS = KD_SEGMENT_ROWS_MAX / 2,
    ENDED_SHARE = 5, /* A fifth of the rows ended: worth rewriting. */
};

/* How many rows nobody sees. Their own begins are not looked at: rows that came after an old
 * snapshot count as seen by it. */
static uint32_t over_count(const kdi_segment *segment, const kd_live_snapshots *live)
{
    uint32_t count = 0;
    kd_stamp begin = atomic_load(&segment->begin);
    for (uint32_t at = 0; at < segment->vector_count; at++) {
        const kdi_mark_vector *vector = atomic_load(&segment->marks[at]);
        for (uint32_t i = 0; vector != NULL && i < KD_VECTOR_ROWS; i++)
            count += !kdi_version_is_seen(live, begin, kdi_mark_end(vector, i));
    }
    return count;
}

bool kdi_segment_is_over(kdi_segment *segment, const kd_live_snapshots *live, uint32_t share)
{
    enum { MORE_SHARE = 16 };
    uint32_t ended = atomic_load(&segment->ended_count);
    uint64_t oldest = kd_live_snapshots_oldest(live);
    if (ended <= segment->row_count / share)
        return false;
    if (atomic_load(&segment->kept_oldest) == oldest &&
        ended < atomic_load(&segment->kept_ended) + segment->row_count / MORE_SHARE)
        return false;
    if (over_count(segment, live) > segment->row_count / share)
        return true;
    atomic_store(&segment->kept_ended, ended);
    atomic_store(&segment->kept_oldest, oldest);
    return false;
}

static bool is_worth_it(const kdi_rewrite *build, kdi_segment *segment)
{
    return kdi_segment_is_over(segment, &build->live, ENDED_SHARE);
}

static bool may_move(const kdi_segment *segment)
{
    /* The rows of a bulk load in flight have no stamps of their own. A damaged segment stays as it
     * is, for whoever rescues what can be read. */
    return !kdi_is_in_flight(atomic_load(&segment->begin)) && !atomic_load(&segment->is_damaged);
}

typedef struct stage {
    kdi_rewrite *build;
    kdi_segment *segment;
    kdi_remap *remap;
    kd_segment_reader *reader;
    kd_vector *columns;
    uint32_t *slots; /* Per column of the set: slot of the reader, or UINT32_MAX. */
    bool has_rows;
} stage;

static kd_status row_stage(kd_ctx *ctx, stage *in, uint32_t row, uint32_t ordinal, kd_stamp begin)
{
    kdi_rewrite *build = in->build;
    kd_stamp oldest = kd_live_snapshots_oldest(&build->live);
    kdi_chunk *chunk;
    uint32_t slot;
    char scratch[16];
    in->has_rows = true;
    KD_TRY(kdi_rewrite_stage(ctx, build, &chunk, &slot));
    for (uint32_t i = 0; i < build->set->count; i++) {
        const kd_value *missing = &build->set->columns[i].missing;
        if (in->slots[i] == UINT32_MAX) {
            KD_TRY(kdi_chunk_put(ctx, chunk, slot, i, &missing->as, missing->is_null));
            continue;
        }
        bool is_null = kd_vector_is_null(&in->columns[i], row);
        KD_TRY(kdi_chunk_put(ctx, chunk, slot, i,
                             is_null ? NULL : kd_vector_payload(&in->columns[i], row, scratch),
                             is_null));
    }
    return kdi_rewrite_add(ctx, build,
                           (kdi_rewrite_row){.chunk = chunk,
                                             .slot = slot,
                                             .ordinal = ordinal,
                                             .remap = in->remap,
                                             .begin = begin <= oldest ? 0 : begin});
}

static kd_status vector_stage(kd_ctx *ctx, stage *in, uint32_t first, uint32_t count)
{
    const kdi_segment *segment = in->segment;
    const uint64_t *stamps;
    kd_stamp own = atomic_load(&segment->begin);
    for (uint32_t i = 0; i < in->build->set->count; i++) {
        if (in->slots[i] != UINT32_MAX)
            KD_TRY(kd_segment_read(ctx, in->reader, in->slots[i], first, count, &in->columns[i]));
    }
    KD_TRY(kd_segment_read_stamps(ctx, in->reader, first, count, &stamps));
    for (uint32_t row = 0; row < count; row++) {
        kd_stamp end = kdi_segment_end(segment, first + row);
        kd_stamp begin = own != 0 || stamps == NULL ? own : stamps[row];
        if (kdi_version_is_seen(&in->build->live, begin, end))
            KD_TRY(row_stage(ctx, in, row, first + row, begin));
    }
    return KD_OK;
}

static kd_status reader_open(kd_ctx *ctx, stage *in, kd_arena *scratch)
{
    const kdi_column_set *set = in->build->set;
    uint32_t *wanted = KD_NEW_ARRAY(ctx, scratch, uint32_t, set->count);
    in->slots = KD_NEW_ARRAY(ctx, scratch, uint32_t, set->count);
    in->columns = KD_NEW_ARRAY(ctx, scratch, kd_vector, set->count);
    if (wanted == NULL || in->slots == NULL || in->columns == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        int at = kd_segment_find_column(in->segment->file, set->columns[i].column_no);
        in->slots[i] = at < 0 ? UINT32_MAX : count;
        if (at >= 0)
            wanted[count++] = (uint32_t)at;
    }
    return kd_segment_reader_create(ctx, scratch, in->segment->file, wanted, count, &in->reader);
}

static kd_status segment_stage(kd_ctx *ctx, kdi_rewrite *build, kdi_segment *segment)
{
    stage in = {.build = build, .segment = segment};
    KD_TRY(kdi_rewrite_remap(ctx, build, segment->unit, segment->row_count, &in.remap));
    kd_arena *scratch = kd_arena_create(ctx, NULL, "compaction", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = reader_open(ctx, &in, scratch);
    for (uint32_t first = 0; status == KD_OK && first < segment->row_count;
         first += KD_VECTOR_ROWS) {
        uint32_t left = segment->row_count - first;
        uint32_t count = left < KD_VECTOR_ROWS ? left : KD_VECTOR_ROWS;
        status = kd_progress_add(ctx, count);
        if (status == KD_OK)
            status = vector_stage(ctx, &in, first, count);
    }
    kd_segment_reader_destroy(in.reader);
    kd_arena_destroy(scratch);
    if (status == KD_CORRUPT) {
        atomic_store(&segment->is_damaged, true);
        kdi_damage_note_error(ctx, build->table, segment->unit, NULL);
    }
    if (!in.has_rows)
        in.remap->count = 0;
    return status;
}

/* Merges one group that begins at segment `*at`; moves `*at` behind it. */
static kd_status group_compact(kd_ctx *ctx, kd_table *table, const kdi_unit_list *units,
                               uint32_t *at, kdi_rewrite *build)
{
    kd_txn_live_snapshots(table->storage->txns, &build->live);
    uint32_t first = *at;
    uint32_t end = first;
    uint64_t rows = 0;
    bool is_worth = false;
    while (end < units->segment_count && may_move(units->segments[end])) {
        kdi_segment *segment = units->segments[end];
        uint32_t live = segment->row_count - atomic_load(&segment->ended_count);
        bool fits = rows + live <= KD_SEGMENT_ROWS_MAX;
        if (end > first && (!fits || (live > SMALL_ROWS && !is_worth_it(build, segment))))
            break;
        rows += live;
        is_worth |= is_worth_it(build, segment);
        end++;
    }
    if (end == first) {
        (*at)++;
        return KD_OK;
    }
    *at = end;
    if (end - first == 1 && !is_worth)
        return kd_progress_add(ctx, rows);
    for (uint32_t i = first; i < end; i++)
        KD_TRY(segment_stage(ctx, build, units->segments[i]));
    KD_TRY(kdi_rewrite_write(ctx, build, 0));
    kdi_chains_cut(build);
    return kdi_rewrite_move(ctx, build);
}

static kd_status compact_locked(kd_ctx *ctx, kd_table *table)
{
    /* Units only leave the list by moves, and table->upkeep keeps those of others away. */
    const kdi_unit_list *units = atomic_load(&table->units);
    for (uint32_t at = 0; units != NULL && at < units->segment_count;) {
        kdi_rewrite build;
        KD_TRY(kd_check_cancelled(ctx));
        kd_status status = kdi_rewrite_begin(ctx, table, &build);
        if (status == KD_OK) {
            status = group_compact(ctx, table, units, &at, &build);
            kdi_rewrite_end(ctx, &build);
        }
        if (status != KD_OK)
            return status;
    }
    return KD_OK;
}

kd_status kd_table_compact(kd_ctx *ctx, kd_table *table)
{
    kd_txn_manager *txns = table->storage->txns;
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_mutex_lock(&table->upkeep);
    bool is_held = atomic_load(&table->place_holds) > 0;
    kd_status status = is_held ? KD_OK : compact_locked(ctx, table);
    kd_mutex_unlock(&table->upkeep);
    kd_txn_unpin(txns, pin);
    kd_txn_reclaim(txns);
    kd_txn_reclaim_born(txns);
    return status;
}
