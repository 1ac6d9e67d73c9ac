/*
 * Scrubbing: everything stored is read again in the background, so slowly that nobody notices.
 *
 * It belongs to the upkeep thread. Each of its ticks has a credit of bytes, by the rate and the
 * time since the last one, and reads piece by piece while there is credit. Where it is is kept as
 * numbers (table, unit, piece, run), which hold when files come and go meanwhile. A pass begins
 * when the interval since the last one's beginning is over.
 */
#include "table/upkeep.h"

static const uint64_t second_ns = 1000u * 1000 * 1000;

static void next_table(kdi_scrub *scrub)
{
    *scrub = (kdi_scrub){.table_at = scrub->table_at + 1, .credit = scrub->credit};
}

static kd_status segment_step(kd_ctx *ctx, kd_table *table, kdi_scrub *scrub, uint64_t *out_bytes,
                              kd_damage *damage, bool *out_done)
{
    const kdi_unit_list *units = atomic_load(&table->units);
    *out_done = false;
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        kdi_segment *segment = units->segments[i];
        kd_segment *file = segment->file;
        if (segment->unit < scrub->unit || file == NULL)
            continue;
        if (segment->unit != scrub->unit) {
            scrub->unit = segment->unit;
            scrub->piece = 0;
        }
        if (scrub->piece < kd_segment_piece_count(file))
            return kd_segment_check_piece(ctx, file, scrub->piece++, out_bytes, damage);
    }
    *out_done = true;
    return KD_OK;
}

static kd_status index_step(kd_ctx *ctx, kd_table *table, kdi_scrub *scrub, uint64_t *out_bytes,
                            kd_damage *damage, bool *out_done)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    *out_done = false;
    while (list != NULL && scrub->index_at < list->count) {
        kdi_index *index = list->items[scrub->index_at];
        bool is_end;
        kd_status status =
            kd_index_check_piece(ctx, index->index, &scrub->place, out_bytes, damage, &is_end);
        if (status == KD_CORRUPT)
            kdi_index_break(index);
        if (!is_end)
            return status;
        scrub->index_at++;
        scrub->place = (kd_index_check_place){0};
    }
    *out_done = true;
    return KD_OK;
}

/* One piece, or on to the next table. The caller's pin keeps the table. */
static kd_status step(kd_ctx *ctx, kd_storage *storage, kdi_scrub *scrub, uint64_t *out_bytes)
{
    kd_table *table = kdi_live_table(storage, scrub->table_at);
    kd_damage damage = kd_damage_none();
    bool is_done = table == NULL;
    kd_status status = KD_OK;
    *out_bytes = 0;
    if (!is_done && !scrub->has_segments)
        status = segment_step(ctx, table, scrub, out_bytes, &damage, &scrub->has_segments);
    else if (!is_done)
        status = index_step(ctx, table, scrub, out_bytes, &damage, &is_done);
    if (is_done)
        next_table(scrub);
    if (!kd_is_damage(status))
        return status;
    damage.status = status;
    damage.table_no = table->table_no;
    kdi_damage_note(storage, &damage, ctx->error.message);
    kd_error_clear(ctx);
    atomic_fetch_add(&storage->scrubbing.found, 1);
    return KD_OK;
}

static void pass_begin(kd_storage *storage, uint64_t now_ns)
{
    kdi_scrubbing *all = &storage->scrubbing;
    all->at = (kdi_scrub){0};
    all->begun_ns = now_ns;
    atomic_store(&all->bytes, 0);
    atomic_store(&all->found, 0);
    atomic_store(&all->begun_at_us, storage->world->wall_us(storage->world));
    atomic_store(&all->is_running, true);
}

static void pass_end(kd_storage *storage)
{
    kdi_scrubbing *all = &storage->scrubbing;
    atomic_store(&all->is_running, false);
    atomic_store(&all->ended_at_us, storage->world->wall_us(storage->world));
    atomic_fetch_add(&all->passes, 1);
}

/* More credit, by the time; not more than a second's, so that a pause is not made up for at once.
 */
static void credit_add(kd_storage *storage, uint64_t rate, uint64_t now_ns)
{
    kdi_scrubbing *all = &storage->scrubbing;
    uint64_t passed_ns = now_ns - all->looked_ns;
    all->looked_ns = now_ns;
    if (passed_ns >= second_ns)
        all->at.credit = (int64_t)rate;
    else
        all->at.credit += (int64_t)((double)rate * (double)passed_ns / (double)second_ns);
    if (all->at.credit > (int64_t)rate)
        all->at.credit = (int64_t)rate;
}

kd_status kdi_scrub_tick(kd_ctx *ctx, kd_storage *storage)
{
    kdi_scrubbing *all = &storage->scrubbing;
    uint64_t rate = atomic_load(&all->bytes_per_second);
    if (rate == 0)
        return KD_OK;
    uint64_t now_ns = storage->world->monotonic_ns(storage->world);
    credit_add(storage, rate, now_ns);
    if (!atomic_load(&all->is_running)) {
        if (all->begun_ns != 0 && now_ns - all->begun_ns < atomic_load(&all->interval_ns))
            return KD_OK;
        int64_t credit = all->at.credit;
        pass_begin(storage, now_ns);
        all->at.credit = credit;
    }
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    while (status == KD_OK && all->at.credit > 0 && all->at.table_at < end) {
        uint64_t bytes;
        status = step(ctx, storage, &all->at, &bytes);
        all->at.credit -= (int64_t)bytes;
        atomic_fetch_add(&all->bytes, bytes);
    }
    kd_txn_unpin(storage->txns, pin);
    if (all->at.table_at >= end)
        pass_end(storage);
    return status;
}

void kd_storage_set_scrubbing(kd_storage *storage, uint64_t bytes_per_second, uint64_t interval_ns)
{
    atomic_store(&storage->scrubbing.bytes_per_second, bytes_per_second);
    atomic_store(&storage->scrubbing.interval_ns, interval_ns);
}

kd_scrub_statistics kd_storage_scrub_statistics(kd_storage *storage)
{
    kdi_scrubbing *all = &storage->scrubbing;
    return (kd_scrub_statistics){.bytes_per_second = atomic_load(&all->bytes_per_second),
                                 .is_running = atomic_load(&all->is_running),
                                 .passes = atomic_load(&all->passes),
                                 .bytes = atomic_load(&all->bytes),
                                 .found = atomic_load(&all->found),
                                 .begun_at_us = atomic_load(&all->begun_at_us),
                                 .ended_at_us = atomic_load(&all->ended_at_us)};
}
