/*
 * Checkpoints: the root's body, and how a new root takes over.
 *
 * Under storage->structure no structural commit is between its stamp and its
 * publication. There the checkpoint takes C, the newest stamp, waits until it is
 * visible, pins it, and notes every table's units and indexes: together they are the
 * database exactly as of C. Everything else runs beside writers: the image (what C
 * sees of the deltas and marks), the index runs, then the log up to now is made
 * durable (runs may name units of later moves), then the root. Replay starts at the
 * oldest part of a transaction in flight at C, or at C; commits up to C are skipped.
 *
 * ROOT BODY, numbers as varints
 *
 *   body version 1, C, replay position, next: unit, table, sequence, index, transaction
 *   image unit (0: none)
 *   tables: count, then each: definition (definition.c), row count,
 *     segments: count, then unit, begin, stamps_max
 *     indexes: count, then definition, manifest (counted bytes, may be empty)
 *   sequences: count, then each: created (a byte; 0: its transaction is in flight), state
 *     (sequence.c)
 */
#include "table/checkpoint.h"

#include "table/delta_image.h"

typedef struct captured_index {
    kdi_index *index;
    kd_slice manifest; /* The new one, or the one that still holds. */
    bool is_new;
} captured_index;

typedef struct captured_table {
    kd_table *table;
    const kdi_unit_list *units;
    uint32_t index_count;
    captured_index *indexes;
    size_t set_count;
    int64_t row_count;
    uint64_t units_gone;
    bool keeps_refs; /* An index could not be rewritten. */
    bool moves_refs; /* Indexes may name what remaps moved: all runs are rewritten. */
    /* Of `units`, found last: neighbours in an index are often neighbours in the table. Its rows
     * below `resolved_rows` are where their references say. */
    uint64_t resolved_unit;
    uint32_t resolved_rows;
} captured_table;

typedef struct capture {
    kd_storage *storage;
    kd_arena *arena;
    uint32_t pin;
    kd_stamp stamp;
    uint64_t replay_position;
    uint64_t oldest_epoch;
    captured_table *tables;
    size_t table_count, table_capacity;
    kd_buffer sequences;
    uint64_t sequence_count;
    kdi_doomed *doomed;
    kd_storage_hold *hold; /* May be NULL. */
} capture;

/* --- Capturing ------------------------------------------------------------------------------- */

static kd_status table_capture(kd_ctx *ctx, capture *all, kd_table *table)
{
    kd_stamp created = atomic_load(&table->created);
    kd_stamp dropped = atomic_load(&table->dropped);
    if (kdi_is_in_flight(created) || (dropped != KD_STAMP_NONE && !kdi_is_in_flight(dropped)))
        return KD_OK;
    captured_table *captured;
    KD_TRY(KD_PUSH(ctx, all->arena, all->tables, all->table_count, all->table_capacity, &captured));
    captured->table = table;
    captured->units = atomic_load(&table->units);
    captured->set_count = atomic_load(&table->sets_committed);
    captured->row_count = atomic_load(&table->row_count);
    for (uint32_t i = 0; captured->units != NULL && i < captured->units->remap_count; i++)
        captured->moves_refs |= captured->units->remaps[i]->unnamed_since == 0;
    captured->units_gone = atomic_load(&table->units_gone);
    captured->moves_refs |= captured->units_gone != table->units_gone_named;
    const kdi_index_list *list = atomic_load(&table->indexes);
    uint32_t count = list == NULL ? 0 : list->count;
    captured->indexes = KD_NEW_ARRAY(ctx, all->arena, captured_index, count);
    if (captured->indexes == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_stamp index_created = atomic_load(&list->items[i]->created);
        if (kdi_is_in_flight(index_created))
            continue; /* Replay builds it, if it comes to be. */
        captured->indexes[captured->index_count++].index = list->items[i];
    }
    return KD_OK;
}

static kd_status sequences_capture(kd_ctx *ctx, capture *all)
{
    kd_storage *storage = all->storage;
    uint64_t end = atomic_load(&storage->sequences.end);
    for (uint64_t i = 0; i < end; i++) {
        kdi_sequence *sequence = kdi_directory_find(&storage->sequences, i);
        if (sequence == NULL)
            continue;
        /* One in flight too: its transaction may have taken values already. */
        bool is_created = !kdi_is_in_flight(atomic_load(&sequence->created));
        kd_mutex_lock(&sequence->lock);
        kd_status status = kd_buffer_append_byte(ctx, &all->sequences, is_created);
        if (status == KD_OK)
            status = kdi_sequence_append(ctx, sequence, &all->sequences);
        /* The record that allows the next values may be before what replay will read: the next
         * value asks for another one. */
        sequence->logged_ahead = 0;
        kd_mutex_unlock(&sequence->lock);
        if (status != KD_OK)
            return status;
        all->sequence_count++;
    }
    return KD_OK;
}

/* storage->structure is held. */
static kd_status capture_all(kd_ctx *ctx, capture *all)
{
    kd_storage *storage = all->storage;
    all->stamp = kd_txn_newest_stamp(storage->txns);
    kd_txn_wait_watermark(storage->txns, all->stamp);
    kd_txn_pin_narrow(storage->txns, all->pin, all->stamp);
    all->replay_position = kd_txn_oldest_part(storage->txns);
    if (all->stamp < all->replay_position)
        all->replay_position = all->stamp;
    all->oldest_epoch = kd_txn_oldest_epoch(storage->txns);
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kdi_directory_find(&storage->tables, i);
        if (table != NULL)
            KD_TRY(table_capture(ctx, all, table));
    }
    KD_TRY(sequences_capture(ctx, all));
    kd_mutex_lock(&storage->doomed_lock);
    all->doomed = storage->doomed;
    storage->doomed = NULL;
    kd_mutex_unlock(&storage->doomed_lock);
    return KD_OK;
}

/* --- Index runs ------------------------------------------------------------------------------ */

/*
 * Where rows were when the tables were captured. Moves since then are not followed: recovery begins
 * with the captured places and replays those moves, so an entry that had followed one already would
 * stand beside the entry for the old place, and an index scan would give the row twice.
 */
static kd_ref_fate ref_resolve(void *object, uint64_t ref, uint64_t *out_ref)
{
    captured_table *captured = object;
    kdi_place place;
    *out_ref = ref;
    if (kdi_ref_unit(ref) == captured->resolved_unit &&
        kdi_ref_ordinal(ref) < captured->resolved_rows)
        return KD_REF_SAME;
    if (kdi_place_find_in(captured->units, ref, &place)) {
        *out_ref = place.ref;
        captured->resolved_unit = kdi_ref_unit(place.ref);
        captured->resolved_rows =
            place.chunk != NULL ? place.chunk->capacity : place.segment->row_count;
        return place.ref == ref ? KD_REF_SAME : KD_REF_MOVED;
    }
    /* A newer unit, or one that nobody knows: then every version behind the entry is gone. (A place
     * beyond a chunk's or segment's rows cannot be: entries are made from rows.) */
    return kdi_place_find(captured->table, ref, &place) ? KD_REF_SAME : KD_REF_GONE;
}

static kd_status index_write(kd_ctx *ctx, capture *all, captured_table *table,
                             captured_index *captured)
{
    kdi_index *index = captured->index;
    captured->manifest = index->manifest;
    bool is_small = table->units == NULL || table->units->segment_count == 0;
    if (is_small && index->manifest.size_bytes == 0 && !table->moves_refs)
        return KD_OK; /* Made again from the delta image at opening. */
    if (!atomic_exchange(&index->is_dirty, false) && !table->moves_refs)
        return KD_OK;
    captured->is_new = true;
    kd_status status = kd_index_checkpoint(ctx, index->index, ref_resolve, table, table->moves_refs,
                                           all->arena, &captured->manifest);
    if (status != KD_OK)
        atomic_store(&index->is_dirty, true);
    else if (kd_index_is_broken(index->index))
        table->keeps_refs = true; /* Its old references go on being read. */
    return status;
}

static kd_status indexes_write(kd_ctx *ctx, capture *all)
{
    for (size_t i = 0; i < all->table_count; i++) {
        captured_table *table = &all->tables[i];
        for (uint32_t k = 0; k < table->index_count; k++)
            KD_TRY(index_write(ctx, all, table, &table->indexes[k]));
    }
    return KD_OK;
}

/* --- The body -------------------------------------------------------------------------------- */

/* The segments of bulk loads that were in flight at the stamp come with the log. */
static bool segment_is_in(const kdi_segment *segment, kd_stamp stamp)
{
    kd_stamp begin = atomic_load(&segment->begin);
    return !kdi_is_in_flight(begin) && begin <= stamp;
}

static kd_status table_body(kd_ctx *ctx, const captured_table *captured, kd_stamp stamp,
                            kd_buffer *out)
{
    const kdi_unit_list *units = captured->units;
    uint32_t segments = 0;
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++)
        segments += segment_is_in(units->segments[i], stamp);
    KD_TRY(kdi_table_append(ctx, captured->table, captured->set_count, out));
    KD_TRY(kd_buffer_append_varint(ctx, out, segments));
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        if (!segment_is_in(units->segments[i], stamp))
            continue;
        KD_TRY(kd_buffer_append_varint(ctx, out, units->segments[i]->unit));
        KD_TRY(kd_buffer_append_varint(ctx, out, atomic_load(&units->segments[i]->begin)));
        KD_TRY(kd_buffer_append_varint(ctx, out, units->segments[i]->stamps_max));
    }
    KD_TRY(kd_buffer_append_varint(ctx, out, captured->index_count));
    for (uint32_t i = 0; i < captured->index_count; i++) {
        KD_TRY(kdi_index_definition_append(ctx, &captured->indexes[i].index->definition, out));
        KD_TRY(kd_buffer_append_counted(ctx, out, captured->indexes[i].manifest));
    }
    return KD_OK;
}

static kd_status body_write(kd_ctx *ctx, const capture *all, uint64_t image_unit, kd_buffer *out)
{
    kd_storage *storage = all->storage;
    /* The next numbers come after everything that was written: runs may name units that a
     * transaction in flight was just filling, and those must never be given out again. */
    uint64_t numbers[] = {KDI_BODY_VERSION,
                          all->stamp,
                          all->replay_position,
                          atomic_load(&storage->next_unit),
                          atomic_load(&storage->next_table_no),
                          atomic_load(&storage->next_sequence_no),
                          atomic_load(&storage->next_index_no),
                          storage->txns == NULL ? 0 : kd_txn_manager_next_no(storage->txns),
                          image_unit,
                          all->table_count};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        KD_TRY(kd_buffer_append_varint(ctx, out, numbers[i]));
    for (size_t i = 0; i < all->table_count; i++)
        KD_TRY(table_body(ctx, &all->tables[i], all->stamp, out));
    KD_TRY(kd_buffer_append_varint(ctx, out, all->sequence_count));
    return kd_buffer_append_slice(ctx, out, kd_buffer_slice(&all->sequences));
}

static kd_status image_write(kd_ctx *ctx, const capture *all, uint64_t unit)
{
    kdi_image_writer writer;
    kd_snapshot snapshot = {.stamp = all->stamp};
    kd_status status = kdi_image_begin(ctx, all->storage, unit, &writer);
    for (size_t i = 0; status == KD_OK && i < all->table_count; i++)
        status =
            kdi_image_table(ctx, &writer, all->tables[i].table, all->tables[i].units, snapshot);
    if (status == KD_OK)
        status = kdi_image_finish(ctx, &writer);
    kdi_image_close(&writer);
    return status;
}

kd_status kdi_root_write_first(kd_ctx *ctx, kd_storage *storage)
{
    capture none = {.storage = storage, .arena = storage->arena, .stamp = 1};
    kd_buffer body = kd_buffer_in(storage->arena);
    none.sequences = kd_buffer_in(storage->arena);
    KD_TRY(body_write(ctx, &none, 0, &body));
    kd_root root = {.database_id = storage->database_id, .generation = 1};
    root.body = kd_buffer_slice(&body);
    storage->root_generation = 1;
    bool old_stays;
    return kd_root_write(ctx, storage->directory, &root, &old_stays);
}

/* --- Afterwards ------------------------------------------------------------------------------ */

static void doom(kd_storage *storage, uint64_t unit, bool is_image, uint64_t index_no,
                 kd_slice manifest)
{
    kd_ctx ctx = {.world = storage->world};
    kdi_doomed *doomed =
        kd_heap_alloc(&ctx, &storage->account, sizeof *doomed + manifest.size_bytes);
    if (doomed == NULL) {
        kd_error_clear(&ctx);
        return;
    }
    doomed->unit = unit;
    doomed->is_image = is_image;
    doomed->index_no = index_no;
    doomed->manifest_bytes = manifest.size_bytes;
    if (manifest.size_bytes > 0)
        memcpy(doomed->manifest, manifest.data, manifest.size_bytes);
    kd_mutex_lock(&storage->doomed_lock);
    doomed->next = storage->doomed;
    storage->doomed = doomed;
    kd_mutex_unlock(&storage->doomed_lock);
}

void kdi_doom(kd_storage *storage, uint64_t unit, uint64_t index_no, kd_slice manifest)
{
    doom(storage, unit, false, index_no, manifest);
}

void kdi_doomed_free(kd_storage *storage, kdi_doomed *list, bool removes_files)
{
    kd_ctx ctx = {.world = storage->world};
    while (list != NULL) {
        kdi_doomed *doomed = list;
        kd_status status = KD_OK;
        list = doomed->next;
        kd_index_options options = {
            .index_no = doomed->index_no, .files = &storage->files, .account = &storage->account};
        if (removes_files && doomed->is_image)
            status = kdi_image_remove(&ctx, storage, doomed->unit);
        else if (removes_files && doomed->unit != 0)
            status = kd_segment_remove(&ctx, &storage->files, doomed->unit);
        else if (removes_files)
            status = kd_index_remove_files(&ctx, &options,
                                           (kd_slice){doomed->manifest, doomed->manifest_bytes});
        if (status != KD_OK)
            kd_error_clear(&ctx); /* An orphan, removed at the next opening. */
        kd_heap_free(storage->world, &storage->account, doomed);
    }
}

static void doomed_put_back(kd_storage *storage, kdi_doomed *list)
{
    kd_mutex_lock(&storage->doomed_lock);
    while (list != NULL) {
        kdi_doomed *doomed = list;
        list = doomed->next;
        doomed->next = storage->doomed;
        storage->doomed = doomed;
    }
    kd_mutex_unlock(&storage->doomed_lock);
}

static void remap_destroy_later(kd_storage *storage, kdi_remap *remap)
{
    kd_txn_retire(storage->txns, &remap->garbage, kdi_remap_destroy, remap);
}

/* No index names what these remaps moved any more, but for those read by whoever began before now:
 * a cursor keeps the version of its index that it was opened on. */
static void remaps_release(const capture *all, const captured_table *captured)
{
    if (!captured->moves_refs || captured->keeps_refs)
        return;
    captured->table->units_gone_named = captured->units_gone;
    uint64_t now = kd_txn_epoch_next(all->storage->txns);
    for (uint32_t i = 0; captured->units != NULL && i < captured->units->remap_count; i++) {
        kdi_remap *remap = captured->units->remaps[i];
        if (remap->unnamed_since == 0 && remap->epoch < all->oldest_epoch)
            remap->unnamed_since = now;
    }
}

static bool remap_is_needed(const kdi_remap *remap, uint64_t oldest_epoch)
{
    return remap->unnamed_since == 0 || remap->unnamed_since >= oldest_epoch;
}

static void table_remaps_drop(kd_ctx *ctx, kd_arena *arena, kd_table *table, uint64_t oldest_epoch)
{
    kdi_unit_list *list = NULL;
    uint32_t count = 0;
    kd_mutex_lock(&table->lock);
    const kdi_unit_list *old = atomic_load(&table->units);
    uint32_t most = old == NULL ? 0 : old->remap_count;
    uint64_t *units = KD_NEW_ARRAY(ctx, arena, uint64_t, most);
    for (uint32_t i = 0; units != NULL && i < most; i++)
        if (!remap_is_needed(old->remaps[i], oldest_epoch))
            units[count++] = old->remaps[i]->unit;
    kdi_unit_change change = {.drop_remaps = units, .drop_remap_count = count};
    if (count > 0 && kdi_units_make(ctx, table, &change, &list) == KD_OK) {
        kdi_units_publish(table, list); /* The caller's pin keeps the old list. */
        for (uint32_t i = 0; i < most; i++)
            if (!remap_is_needed(old->remaps[i], oldest_epoch))
                remap_destroy_later(table->storage, old->remaps[i]);
    }
    kd_mutex_unlock(&table->lock);
    kd_error_clear(ctx); /* Without memory they stay until the next checkpoint. */
}

void kdi_remaps_drop(kd_ctx *ctx, kd_storage *storage, kd_arena *arena)
{
    uint32_t pin;
    if (kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin) != KD_OK) {
        kd_error_clear(ctx);
        return;
    }
    uint64_t oldest_epoch = kd_txn_oldest_epoch(storage->txns);
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kdi_directory_find(&storage->tables, i);
        if (table != NULL)
            table_remaps_drop(ctx, arena, table, oldest_epoch);
    }
    kd_txn_unpin(storage->txns, pin);
}

/* The new root is durable. What fails here costs room, not data. */
static kd_status root_took_over(kd_ctx *ctx, capture *all)
{
    for (size_t i = 0; i < all->table_count; i++) {
        captured_table *table = &all->tables[i];
        for (uint32_t k = 0; k < table->index_count; k++) {
            captured_index *captured = &table->indexes[k];
            if (!captured->is_new)
                continue;
            kdi_index *index = captured->index;
            kd_arena_reset(index->manifest_arena);
            char *copy = kd_copy_text(ctx, index->manifest_arena, captured->manifest.data,
                                      captured->manifest.size_bytes);
            if (copy == NULL)
                return KD_NOMEM;
            index->manifest = (kd_slice){copy, captured->manifest.size_bytes};
        }
        remaps_release(all, table);
    }
    return KD_OK;
}

/* Not known counts as nothing. */
static uint64_t segment_bytes(kd_storage *storage, kd_arena *arena, uint64_t unit)
{
    kd_ctx own = {.world = storage->world};
    kd_file *file = NULL;
    const char *path;
    uint64_t bytes = 0;
    if (kd_segment_file_path(&own, arena, &storage->files, unit, &path) != KD_OK ||
        own.world->file_open(&own, path, KD_FILE_READ, &file) != KD_OK ||
        own.world->file_size(&own, file, &bytes) != KD_OK)
        kd_error_clear(&own);
    own.world->file_close(own.world, file);
    return bytes;
}

/* Segments stay as long as an archive lacks some of the log that may have installed them. */
static void unarchived_spare(capture *all)
{
    uint64_t spared_bytes = 0;
    kdi_doomed *goes = NULL, *stays = NULL;
    atomic_store(&all->storage->spared_bytes, 0);
    if (atomic_load(&all->storage->archived_position) >= all->stamp)
        return;
    while (all->doomed != NULL) {
        kdi_doomed *doomed = all->doomed;
        bool is_segment = doomed->unit != 0 && !doomed->is_image;
        kdi_doomed **list = is_segment ? &stays : &goes;
        if (is_segment)
            spared_bytes += segment_bytes(all->storage, all->arena, doomed->unit);
        all->doomed = doomed->next;
        doomed->next = *list;
        *list = doomed;
    }
    doomed_put_back(all->storage, stays);
    all->doomed = goes;
    atomic_store(&all->storage->spared_bytes, spared_bytes);
}

/* What the root before named and this one does not: gone, unless somebody copies files. */
static kd_status replaced_remove(kd_ctx *ctx, capture *all, uint64_t old_image)
{
    kd_storage *storage = all->storage;
    if (storage->hold_count > 0) {
        if (old_image != 0)
            doom(storage, old_image, true, 0, (kd_slice){0});
        return KD_OK;
    }
    unarchived_spare(all);
    kdi_doomed_free(storage, all->doomed, true);
    all->doomed = NULL;
    for (size_t i = 0; i < all->table_count; i++)
        for (uint32_t k = 0; k < all->tables[i].index_count; k++)
            KD_TRY(kd_index_release_old(ctx, all->tables[i].indexes[k].index->index));
    return old_image == 0 ? KD_OK : kdi_image_remove(ctx, storage, old_image);
}

/* The files that the new root names. */
static kd_status hold_fill(kd_ctx *ctx, const capture *all, uint64_t image_unit)
{
    kd_storage *storage = all->storage;
    kd_storage_hold *hold = all->hold;
    const char *path;
    KD_TRY(kdi_image_path(ctx, hold->arena, storage, image_unit, &path));
    KD_TRY(kdi_hold_add(ctx, hold, path));
    for (size_t i = 0; i < all->table_count; i++) {
        const captured_table *table = &all->tables[i];
        for (uint32_t k = 0; table->units != NULL && k < table->units->segment_count; k++) {
            const kdi_segment *segment = table->units->segments[k];
            if (!segment_is_in(segment, all->stamp))
                continue;
            KD_TRY(kd_segment_file_path(ctx, hold->arena, &storage->files, segment->unit, &path));
            KD_TRY(kdi_hold_add(ctx, hold, path));
        }
        for (uint32_t k = 0; k < table->index_count; k++) {
            kd_index_options options = {.index_no = table->indexes[k].index->definition.index_no,
                                        .files = &storage->files};
            const char *const *paths;
            uint32_t count;
            KD_TRY(kd_index_file_paths(ctx, hold->arena, &options, table->indexes[k].manifest,
                                       &paths, &count));
            for (uint32_t j = 0; j < count; j++)
                KD_TRY(kdi_hold_add(ctx, hold, paths[j]));
        }
    }
    hold->stamp = all->stamp;
    hold->replay_position = all->replay_position;
    return kdi_hold_start(ctx, storage, hold);
}

/* One that no root names. */
static void image_drop(kd_storage *storage, uint64_t image_unit)
{
    kd_ctx own = {.world = storage->world};
    if (kdi_image_remove(&own, storage, image_unit) != KD_OK)
        kd_error_clear(&own); /* An orphan, removed at the next opening, or never made. */
}

static kd_status checkpoint_write(kd_ctx *ctx, capture *all)
{
    kd_storage *storage = all->storage;
    kd_buffer body = kd_buffer_in(all->arena);
    uint64_t image_unit = atomic_fetch_add(&storage->next_unit, 1);
    kd_status status = image_write(ctx, all, image_unit);
    if (status == KD_OK)
        status = indexes_write(ctx, all);
    if (status == KD_OK)
        status = kd_wal_flush(ctx, storage->wal);
    if (status == KD_OK)
        status = body_write(ctx, all, image_unit, &body);
    bool old_stays = true;
    if (status == KD_OK) {
        kd_root root = {.database_id = storage->database_id,
                        .generation = storage->root_generation + 1,
                        .body = kd_buffer_slice(&body)};
        status = kd_root_write(ctx, storage->directory, &root, &old_stays);
    }
    if (status != KD_OK && old_stays)
        image_drop(storage, image_unit);
    if (status != KD_OK)
        return status; /* Whether the new root took over may be for the next opening to see. */
    storage->root_generation++;
    uint64_t old_image = storage->image_unit;
    storage->image_unit = image_unit;
    storage->checkpoint_position = all->replay_position;
    atomic_store(&storage->checkpoint_at_ns, ctx->world->monotonic_ns(ctx->world));
    if (all->hold != NULL)
        KD_TRY(hold_fill(ctx, all, image_unit));
    KD_TRY(root_took_over(ctx, all));
    KD_TRY(replaced_remove(ctx, all, old_image));
    return kd_wal_truncate_before(ctx, storage->wal, all->replay_position);
}

/* No root names what this checkpoint has written of the indexes: the next one writes them again. */
static void indexes_stay_dirty(capture *all)
{
    for (size_t i = 0; i < all->table_count; i++)
        for (uint32_t k = 0; k < all->tables[i].index_count; k++)
            if (all->tables[i].indexes[k].is_new)
                atomic_store(&all->tables[i].indexes[k].index->is_dirty, true);
}

static kd_status checkpoint_run(kd_ctx *ctx, capture *all)
{
    kd_storage *storage = all->storage;
    kd_mutex_lock(&storage->structure);
    kd_status status = capture_all(ctx, all);
    kd_mutex_unlock(&storage->structure);
    if (status == KD_OK)
        status = checkpoint_write(ctx, all);
    if (status != KD_OK)
        indexes_stay_dirty(all);
    doomed_put_back(storage, all->doomed);
    return status;
}

kd_status kdi_checkpoint(kd_ctx *ctx, kd_storage *storage)
{
    return kdi_checkpoint_held(ctx, storage, NULL);
}

kd_status kdi_checkpoint_held(kd_ctx *ctx, kd_storage *storage, kd_storage_hold *hold)
{
    capture all = {.storage = storage, .hold = hold};
    if (storage->wal == NULL)
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database is open for reading only");
    kd_progress_begin(ctx, "checkpoint", 0);
    kd_mutex_lock(&storage->checkpoint);
    kd_status status = kd_txn_pin_all(ctx, storage->txns, &all.pin);
    if (status != KD_OK) {
        kd_mutex_unlock(&storage->checkpoint);
        return status;
    }
    all.arena = kd_arena_create(ctx, NULL, "checkpoint", KD_ARENA_UNLIMITED);
    status = all.arena == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK) {
        all.sequences = kd_buffer_in(all.arena);
        status = checkpoint_run(ctx, &all);
    }
    kd_txn_unpin(storage->txns, all.pin);
    if (status == KD_OK) {
        kdi_remaps_drop(ctx, storage, all.arena);
        atomic_store(&storage->checkpoint_end, kd_wal_next_position(storage->wal));
        atomic_fetch_add(&storage->checkpoint_count, 1);
    }
    kd_arena_destroy(all.arena);
    kd_mutex_unlock(&storage->checkpoint);
    kd_txn_reclaim(storage->txns);
    return status;
}
