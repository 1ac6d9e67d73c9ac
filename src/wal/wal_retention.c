/*
 * How long the log is kept: consumer slots, the archive, truncation; and spare files, which come
 * from truncation or are made ahead.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

#include <stdio.h>

static kdi_wal_slot *slot_find(kd_wal *wal, const char *name)
{
    for (int i = 0; i < KDI_SLOT_COUNT_MAX; i++)
        if (strcmp(wal->slots[i].name, name) == 0)
            return &wal->slots[i];
    return NULL;
}

kd_status kd_wal_slot_set(kd_ctx *ctx, kd_wal *wal, const char *name, uint64_t position,
                          uint64_t limit_bytes)
{
    kd_status status = KD_OK;
    if (name[0] == '\0' || strlen(name) >= sizeof wal->slots[0].name)
        return KD_FAIL(ctx, KD_INVALID, "42602", "invalid log slot name \"%s\"", name);
    kd_mutex_lock(&wal->lock);
    kdi_wal_slot *slot = slot_find(wal, name);
    if (slot == NULL)
        slot = slot_find(wal, "");
    if (slot == NULL) {
        status = KD_FAIL(ctx, KD_LIMIT, "53400", "all %d log slots are in use", KDI_SLOT_COUNT_MAX);
    } else if (position < wal->truncated_position) {
        status = KD_FAIL(ctx, KD_INVALID, "58P01",
                         "log slot \"%s\" asks for a position that is no longer kept", name);
    } else {
        (void)snprintf(slot->name, sizeof slot->name, "%s", name);
        slot->position = position;
        slot->limit_bytes = limit_bytes;
    }
    kd_mutex_unlock(&wal->lock);
    return status;
}

void kd_wal_slot_drop(kd_world *world, kd_wal *wal, const char *name)
{
    (void)world;
    kd_mutex_lock(&wal->lock);
    kdi_wal_slot *slot = slot_find(wal, name);
    if (slot != NULL)
        *slot = (kdi_wal_slot){0};
    kd_mutex_unlock(&wal->lock);
}

void kd_wal_slot_find(kd_wal *wal, const char *name, uint64_t *out_position, bool *out_found)
{
    kd_mutex_lock(&wal->lock);
    const kdi_wal_slot *slot = name[0] == '\0' ? NULL : slot_find(wal, name);
    *out_found = slot != NULL;
    *out_position = slot != NULL ? slot->position : 0;
    kd_mutex_unlock(&wal->lock);
}

/* The oldest filled file that the archive has not taken; number 0 when there is none. */
static kdi_wal_file archive_next(kd_wal *wal, uint64_t *out_end_position)
{
    kdi_wal_file found = {0};
    kd_mutex_lock(&wal->lock);
    const kdi_wal_directory *directory = &wal->directory;
    for (size_t i = 0; i + 1 < directory->file_count; i++)
        if (!directory->files[i].is_archived) {
            found = directory->files[i];
            *out_end_position = directory->files[i + 1].start_position;
            break;
        }
    kd_mutex_unlock(&wal->lock);
    return found;
}

kd_status kd_wal_archive(kd_ctx *ctx, kd_wal *wal)
{
    if (wal->options.archive == NULL || wal->is_memory)
        return KD_OK;
    for (;;) {
        uint64_t end_position = 0;
        kdi_wal_file file = archive_next(wal, &end_position);
        if (file.file_no == 0)
            return KD_OK;
        char path[KDI_PATH_BYTES];
        kdi_wal_file_path(&wal->directory, file.file_no, path);
        KD_TRY(wal->options.archive(ctx, wal->options.archive_object, path, file.file_no,
                                    file.start_position, end_position));
        kd_mutex_lock(&wal->lock);
        kdi_wal_file *archived = kdi_wal_directory_find(&wal->directory, file.file_no);
        if (archived != NULL)
            archived->is_archived = true;
        kd_mutex_unlock(&wal->lock);
    }
}

/* Lock held. Slots over their limit go; the rest hold the floor. */
static uint64_t floor_find(kd_wal *wal, uint64_t position)
{
    uint64_t floor = position;
    uint64_t durable = kd_wal_durable_position(wal);
    if (durable < floor)
        floor = durable;
    for (int i = 0; i < KDI_SLOT_COUNT_MAX; i++) {
        kdi_wal_slot *slot = &wal->slots[i];
        if (slot->name[0] != '\0' && slot->limit_bytes != 0 && slot->position < durable &&
            durable - slot->position > slot->limit_bytes) {
            *slot = (kdi_wal_slot){0};
            wal->statistics.slots_lost++;
        }
        if (slot->name[0] != '\0' && slot->position < floor)
            floor = slot->position;
        if (wal->reading_positions[i] < floor)
            floor = wal->reading_positions[i];
    }
    return floor;
}

/* The oldest file, if it lies wholly before the floor; number 0 otherwise. Announces that it goes,
 * so that nobody starts to read it. */
static kdi_wal_file victim_take(kd_wal *wal, uint64_t position)
{
    kdi_wal_file victim = {0};
    kd_mutex_lock(&wal->lock);
    const kdi_wal_directory *directory = &wal->directory;
    if (directory->file_count >= 2) {
        const kdi_wal_file *oldest = &directory->files[0];
        uint64_t end_position = directory->files[1].start_position;
        if (end_position <= floor_find(wal, position) &&
            (wal->options.archive == NULL || oldest->is_archived)) {
            victim = *oldest;
            if (wal->truncated_position < end_position)
                wal->truncated_position = end_position;
        }
    }
    kd_mutex_unlock(&wal->lock);
    return victim;
}

static kd_status victim_recycle(kd_ctx *ctx, kd_wal *wal, const kdi_wal_file *victim)
{
    kd_world *world = ctx->world;
    kdi_wal_directory *directory = &wal->directory;
    char from[KDI_PATH_BYTES], to[KDI_PATH_BYTES];
    kdi_wal_file_path(directory, victim->file_no, from);
    kd_mutex_lock(&wal->lock);
    bool is_kept = directory->spare_count < wal->options.spare_files_max &&
                   victim->file_bytes == wal->options.file_bytes;
    uint64_t spare_no = directory->next_spare_no;
    directory->next_spare_no += is_kept;
    kd_mutex_unlock(&wal->lock);

    if (is_kept) {
        kdi_wal_spare_path(directory, spare_no, to);
        KD_TRY(world->path_rename(ctx, from, to));
    } else {
        KD_TRY(world->path_remove(ctx, from));
    }

    kd_mutex_lock(&wal->lock);
    kd_assert(directory->files[0].file_no == victim->file_no);
    directory->file_count--;
    memmove(directory->files, directory->files + 1,
            directory->file_count * sizeof *directory->files);
    kd_status status = is_kept ? kdi_wal_directory_add_spare(ctx, directory, spare_no) : KD_OK;
    kd_mutex_unlock(&wal->lock);
    return status;
}

kd_status kd_wal_truncate_before(kd_ctx *ctx, kd_wal *wal, uint64_t position)
{
    if (wal->is_memory || wal->options.read_only)
        return KD_OK;
    kd_status status = KD_OK;
    bool has_removed = false;
    kd_mutex_lock(&wal->lock);
    bool is_alone = !wal->is_truncating;
    wal->is_truncating = true;
    kd_mutex_unlock(&wal->lock);
    if (!is_alone)
        return KD_OK; /* The one under way, or the next one, takes the files. */
    KD_TRY_OUT(kd_wal_archive(ctx, wal));
    for (;;) {
        kdi_wal_file victim = victim_take(wal, position);
        if (victim.file_no == 0)
            break;
        KD_TRY_OUT(victim_recycle(ctx, wal, &victim));
        has_removed = true;
    }
    if (has_removed)
        KD_TRY_OUT(ctx->world->directory_sync(ctx, wal->directory.path));
out:
    kd_mutex_lock(&wal->lock);
    wal->is_truncating = false;
    kd_mutex_unlock(&wal->lock);
    return status;
}

static kd_status spare_write(kd_ctx *ctx, kd_wal *wal, const char *path)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    kd_file *file = NULL;
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_DIRECT;
    KD_TRY_OUT(world->file_open(ctx, path, flags, &file));
    for (uint64_t offset = 0; offset < wal->options.file_bytes; offset += KDI_ZEROS_BYTES) {
        uint64_t piece_bytes = wal->options.file_bytes - offset;
        if (piece_bytes > KDI_ZEROS_BYTES)
            piece_bytes = KDI_ZEROS_BYTES;
        KD_TRY_OUT(world->file_write(ctx, file, offset, wal->zeros, piece_bytes));
    }
    KD_TRY_OUT(world->file_sync(ctx, file));
out:
    world->file_close(world, file);
    if (status != KD_OK && file != NULL)
        (void)!world->path_remove(ctx, path); /* What is left of it is found at the next opening. */
    return status;
}

kd_status kd_wal_prepare(kd_ctx *ctx, kd_wal *wal)
{
    if (wal->is_memory || wal->options.read_only)
        return KD_OK;
    kdi_wal_directory *directory = &wal->directory;
    kd_mutex_lock(&wal->lock);
    bool is_due = !wal->has_failed && !wal->is_preparing && directory->spare_count == 0 &&
                  wal->used_bytes > wal->options.file_bytes / 2 &&
                  wal->room_bytes <= wal->options.file_bytes / 2;
    uint64_t spare_no = directory->next_spare_no;
    directory->next_spare_no += is_due;
    wal->is_preparing = wal->is_preparing || is_due;
    kd_mutex_unlock(&wal->lock);
    if (!is_due)
        return KD_OK;

    char path[KDI_PATH_BYTES];
    kdi_wal_spare_path(directory, spare_no, path);
    kd_status status = spare_write(ctx, wal, path);

    kd_mutex_lock(&wal->lock);
    if (status == KD_OK)
        status = kdi_wal_directory_add_spare(ctx, directory, spare_no);
    wal->is_preparing = false;
    kd_mutex_unlock(&wal->lock);
    return status;
}
