/*
 * Checking files for themselves: of a database that is not open, or does not open.
 */
#include "table/storage_check.h"

#include "table/delta_image.h"
#include "table/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_BYTES = 1 << 20 }; /* Checks read past the cache; opening a file asks for one. */

typedef struct file_list {
    kd_arena *arena;
    const char **names;
    size_t count, capacity;
} file_list;

typedef struct file_check {
    kd_account *account;
    const char *directory;
    char *units_directory, *wal_directory;
    kd_arena *arena;
    const kd_damage_watch *watch;
    kd_segment_options files;
    kd_root root;
    bool has_root;
} file_check;

static kd_status name_add(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    file_list *list = object;
    const char **name;
    if (entry->is_directory)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, list->arena, list->names, list->count, list->capacity, &name));
    *name = kd_copy_text(ctx, list->arena, entry->name, strlen(entry->name));
    return *name == NULL ? KD_NOMEM : KD_OK;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A folder's files by name; none where it is absent. */
static kd_status names_list(kd_ctx *ctx, kd_arena *arena, const char *directory, file_list *out)
{
    bool exists;
    *out = (file_list){.arena = arena};
    KD_TRY(ctx->world->path_exists(ctx, directory, &exists));
    if (exists)
        KD_TRY(ctx->world->directory_list(ctx, directory, name_add, out));
    if (out->count > 1)
        qsort(out->names, out->count, sizeof *out->names, name_compare);
    return KD_OK;
}

kd_status kdi_root_check(kd_ctx *ctx, kd_arena *arena, const char *directory,
                         const kd_damage_watch *watch, kd_root *out_root, bool *out_found)
{
    kd_damage damage = kd_damage_none();
    (void)snprintf(damage.file, sizeof damage.file, "ROOT");
    kd_status status = kd_root_read(ctx, arena, directory, out_root, out_found);
    if (status == KD_OK && *out_found)
        return watch->read(ctx, watch->object, out_root->body.size_bytes);
    return kd_damage_tell(ctx, watch, status, &damage);
}

static kd_status segment_file_check(kd_ctx *ctx, const file_check *check, const char *name,
                                    uint64_t unit)
{
    kd_segment *segment;
    kd_damage damage = kd_damage_none();
    (void)snprintf(damage.file, sizeof damage.file, "units/%s", name);
    kd_status status = kd_segment_open(ctx, &check->files, unit, &segment);
    if (status != KD_OK)
        return kd_damage_tell(ctx, check->watch, status, &damage);
    uint32_t count = kd_segment_piece_count(segment);
    for (uint32_t piece = 0; status == KD_OK && piece < count; piece++) {
        uint64_t bytes;
        status = kd_segment_check_piece(ctx, segment, piece, &bytes, &damage);
        status = kd_damage_tell(ctx, check->watch, status, &damage);
        if (status == KD_OK)
            status = check->watch->read(ctx, check->watch->object, bytes);
    }
    kd_segment_close(ctx->world, segment);
    return status;
}

static kd_status unit_check(kd_ctx *ctx, const file_check *check, const char *name)
{
    char *end;
    unsigned long long unit = strtoull(name, &end, 16);
    if (strcmp(end, ".seg") == 0)
        return segment_file_check(ctx, check, name, unit);
    if (strcmp(end, ".img") == 0 && check->has_root)
        return kdi_image_check(ctx, check->units_directory, check->root.database_id, unit, NULL,
                               check->watch);
    unsigned long long index_no = strtoull(name, &end, 10);
    unsigned long long run_no = *end == '-' ? strtoull(end + 1, &end, 10) : 0;
    if (run_no != 0 && strcmp(end, ".run") == 0)
        return kd_index_check_file(ctx, &check->files, index_no, (uint32_t)run_no, check->watch);
    return KD_OK;
}

static kd_status record_look(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    const file_check *check = object;
    return check->watch->read(ctx, check->watch->object, record->end - record->position);
}

/* As the opening reads it, but nothing is applied. */
static kd_status log_file_check(kd_ctx *ctx, file_check *check)
{
    kd_reader reader = kd_reader_of(check->root.body);
    (void)kd_read_varint(&reader);
    uint64_t stamp = kd_read_varint(&reader);
    uint64_t position = kd_read_varint(&reader);
    kd_wal *wal = NULL;
    kd_damage damage = kd_damage_none();
    kd_wal_options options = {.directory = check->wal_directory,
                              .log_id = check->root.database_id,
                              .create = check->root.generation == 1,
                              .start_position = position <= 1 ? 0 : position,
                              .known_durable_position = stamp <= 1 ? 0 : stamp,
                              .read_only = true};
    (void)snprintf(damage.file, sizeof damage.file, "wal");
    kd_status status = kd_wal_open(ctx, check->account, &options, record_look, check, &wal);
    kd_wal_abandon(ctx->world, wal);
    return kd_damage_tell(ctx, check->watch, status, &damage);
}

static kd_status not_checked(kd_ctx *ctx, const file_check *check)
{
    kd_damage damage = kd_damage_none();
    damage.is_note = true;
    return check->watch->found(ctx, check->watch->object, &damage,
                               "the log and delta images were not checked: that takes the root");
}

static kd_status files_check(kd_ctx *ctx, file_check *check)
{
    file_list units;
    check->units_directory = kd_format_text(ctx, check->arena, "%s/units", check->directory);
    check->wal_directory = kd_format_text(ctx, check->arena, "%s/wal", check->directory);
    if (check->units_directory == NULL || check->wal_directory == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_root_check(ctx, check->arena, check->directory, check->watch, &check->root,
                          &check->has_root));
    check->files.directory = check->units_directory;
    check->files.account = check->account;
    check->files.database_id = check->has_root ? check->root.database_id : 0;
    KD_TRY(check->has_root ? log_file_check(ctx, check) : not_checked(ctx, check));
    KD_TRY(names_list(ctx, check->arena, check->units_directory, &units));
    for (size_t i = 0; i < units.count; i++)
        KD_TRY(unit_check(ctx, check, units.names[i]));
    return KD_OK;
}

kd_status kd_storage_check_files(kd_ctx *ctx, kd_account *account, const char *directory,
                                 const kd_damage_watch *watch)
{
    file_check check = {.account = account, .directory = directory, .watch = watch};
    check.arena = kd_arena_create(ctx, NULL, "check", KD_ARENA_UNLIMITED);
    kd_status status = check.arena == NULL
                           ? KD_NOMEM
                           : kd_block_cache_create(ctx, account, CACHE_BYTES, &check.files.cache);
    if (status == KD_OK)
        status = files_check(ctx, &check);
    kd_block_cache_destroy(check.files.cache);
    kd_arena_destroy(check.arena);
    return status;
}
