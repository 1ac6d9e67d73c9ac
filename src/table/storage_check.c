/*
 * Checking an open database: every stored byte, and that indexes and rows agree.
 *
 * Each table is pinned for its turn only, so that a long check holds back no more than one table's
 * old versions. An index is compared with its table only when both can be read.
 */
#include "table/storage_check.h"

#include "table/delta_image.h"
#include "table/upkeep.h"

#include <stdio.h>

/* A watch that also counts. */
typedef struct counter {
    kd_storage *storage;
    const kd_damage_watch *watch;
    uint64_t table_no;
    uint64_t index_no;
    uint64_t found;
} counter;

static kd_status count_found(kd_ctx *ctx, void *object, const kd_damage *damage, const char *what)
{
    counter *self = object;
    kd_damage whole = *damage;
    if (whole.table_no == 0)
        whole.table_no = self->table_no;
    if (whole.index_no == 0)
        whole.index_no = self->index_no;
    self->found += !damage->is_note;
    if (!damage->is_note)
        kdi_damage_note(self->storage, &whole, what);
    return self->watch->found(ctx, self->watch->object, &whole, what);
}

static kd_status count_read(kd_ctx *ctx, void *object, uint64_t bytes)
{
    const counter *self = object;
    return self->watch->read(ctx, self->watch->object, bytes);
}

static kd_status segment_check(kd_ctx *ctx, kd_segment *file, const kd_damage_watch *watch)
{
    uint32_t count = kd_segment_piece_count(file);
    for (uint32_t piece = 0; piece < count; piece++) {
        uint64_t bytes;
        kd_damage damage;
        kd_status status = kd_segment_check_piece(ctx, file, piece, &bytes, &damage);
        KD_TRY(kd_damage_tell(ctx, watch, status, &damage));
        KD_TRY(watch->read(ctx, watch->object, bytes));
    }
    return KD_OK;
}

static kd_status index_check(kd_ctx *ctx, kdi_index *index, const kd_damage_watch *watch)
{
    kd_index_check_place place = {0};
    for (;;) {
        uint64_t bytes;
        kd_damage damage;
        bool is_end;
        kd_status status =
            kd_index_check_piece(ctx, index->index, &place, &bytes, &damage, &is_end);
        if (is_end)
            return KD_OK;
        KD_TRY(kd_damage_tell(ctx, watch, status, &damage));
        KD_TRY(watch->read(ctx, watch->object, bytes));
    }
}

static kd_status not_compared(kd_ctx *ctx, const kdi_index *index, const kd_damage_watch *watch)
{
    kd_damage damage = kd_damage_none();
    char text[KD_ERROR_MESSAGE_BYTES];
    damage.is_note = true;
    (void)snprintf(text, sizeof text,
                   "index \"%.*s\" was not compared with its table, which cannot be read whole",
                   (int)index->definition.name.size_bytes, index->definition.name.data);
    return watch->found(ctx, watch->object, &damage, text);
}

/* The pin of the caller keeps the lists. */
static kd_status table_check(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                             const kd_damage_watch *watch)
{
    counter all = {.storage = table->storage, .watch = watch, .table_no = table->table_no};
    const kd_damage_watch own = {count_found, count_read, &all};
    const kdi_unit_list *units = atomic_load(&table->units);
    const kdi_index_list *indexes = atomic_load(&table->indexes);
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        kd_segment *file = units->segments[i]->file;
        if (file != NULL) /* Else its transaction is still writing it. */
            KD_TRY(segment_check(ctx, file, &own));
    }
    uint64_t of_segments = all.found;
    for (uint32_t i = 0; indexes != NULL && i < indexes->count; i++) {
        kdi_index *index = indexes->items[i];
        uint64_t before = all.found;
        all.index_no = index->definition.index_no;
        KD_TRY(index_check(ctx, index, &own));
        if (all.found > before)
            kdi_index_break(index);
        if (of_segments + (all.found - before) > 0) {
            KD_TRY(not_compared(ctx, index, &own));
            continue;
        }
        kd_mutex_lock(&table->upkeep); /* So that no row moves between two looks at it. */
        kd_status status = kdi_index_compare(ctx, index, snapshot, &own);
        kd_mutex_unlock(&table->upkeep);
        KD_TRY(status);
    }
    return KD_OK;
}

static kd_status tables_check(kd_ctx *ctx, kd_storage *storage, const kd_damage_watch *watch)
{
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; status == KD_OK && i < end; i++) {
        uint32_t pin;
        KD_TRY(kd_txn_pin_all(ctx, storage->txns, &pin));
        kd_snapshot snapshot = {.stamp = kd_txn_watermark(storage->txns)};
        kd_txn_pin_narrow(storage->txns, pin, snapshot.stamp);
        kd_table *table = kdi_live_table(storage, i);
        if (table != NULL)
            status = table_check(ctx, table, snapshot, watch);
        kd_txn_unpin(storage->txns, pin);
    }
    return status;
}

/* --- The first damage as an error ------------------------------------------------------------- */

static kd_status first_found(kd_ctx *ctx, void *object, const kd_damage *damage, const char *what)
{
    (void)object;
    if (damage->is_note)
        return KD_OK;
    const char *code = damage->status == KD_IO   ? "58030"
                       : damage->file[0] == '\0' ? "XX002"
                                                 : "XX001";
    return KD_FAIL(ctx, damage->status, code, "%s", what);
}

static kd_status first_read(kd_ctx *ctx, void *object, uint64_t bytes)
{
    (void)object;
    (void)bytes;
    return kd_check_cancelled(ctx);
}

kd_status kd_storage_check(kd_ctx *ctx, kd_storage *storage)
{
    static const kd_damage_watch watch = {first_found, first_read, NULL};
    return tables_check(ctx, storage, &watch);
}

/* --- Everything ------------------------------------------------------------------------------ */

typedef struct log_look {
    const kd_damage_watch *watch;
    uint64_t read_to; /* Position. */
} log_look;

static kd_status record_look(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    log_look *self = object;
    uint64_t bytes = record->end - record->position;
    self->read_to = record->end;
    return self->watch->read(ctx, self->watch->object, bytes);
}

/* What the next opening would replay. A checkpoint that cuts the log meanwhile ends it. */
static kd_status log_check(kd_ctx *ctx, kd_storage *storage, const kd_damage_watch *watch)
{
    log_look look = {.watch = watch};
    kd_damage damage = kd_damage_none();
    uint64_t from = atomic_load(&storage->checkpoint_position);
    if (storage->wal == NULL || kd_wal_durable_position(storage->wal) <= from)
        return KD_OK;
    (void)snprintf(damage.file, sizeof damage.file, "wal");
    kd_status status = kd_wal_replay(ctx, storage->wal, from <= 1 ? 0 : from, record_look, &look);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        return KD_OK;
    }
    damage.offset = look.read_to;
    return kd_damage_tell(ctx, watch, status, &damage);
}

static kd_status directory_check(kd_ctx *ctx, kd_storage *storage, const kd_damage_watch *watch)
{
    kd_root root;
    bool found;
    kd_arena *arena = kd_arena_create(ctx, NULL, "check", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_mutex_lock(&storage->checkpoint);
    kd_status status = kdi_root_check(ctx, arena, storage->directory, watch, &root, &found);
    kd_arena_destroy(arena);
    if (status == KD_OK && storage->image_unit != 0)
        return kdi_image_check(ctx, storage->units_directory, storage->database_id,
                               storage->image_unit, &storage->checkpoint, watch);
    kd_mutex_unlock(&storage->checkpoint);
    return status;
}

kd_status kd_storage_check_all(kd_ctx *ctx, kd_storage *storage, const kd_damage_watch *watch)
{
    KD_TRY(directory_check(ctx, storage, watch));
    KD_TRY(log_check(ctx, storage, watch));
    KD_TRY(tables_check(ctx, storage, watch));
    return kdi_orphans_tell(ctx, storage, watch);
}
