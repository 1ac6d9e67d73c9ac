/*
 * What damage was met since the opening: by the opening itself, checks, scrubbing and upkeep.
 */
#include "table/table_internal.h"

#include <stdio.h>
#include <string.h>

static bool is_same(const kd_damage_record *record, const kd_damage *damage, const char *what)
{
    return strcmp(record->damage.file, damage->file) == 0 &&
           record->damage.offset == damage->offset && record->damage.index_no == damage->index_no &&
           strncmp(record->what, what, sizeof record->what - 1) == 0;
}

void kdi_damage_note(kd_storage *storage, const kd_damage *damage, const char *what)
{
    kd_ctx ctx = {.world = storage->world};
    kdi_damage_log *log = &storage->damages;
    kd_mutex_lock(&log->lock);
    if (log->records == NULL)
        log->records =
            kd_heap_alloc(&ctx, &storage->account, KDI_DAMAGE_RECORDS_MAX * sizeof *log->records);
    uint32_t at = 0;
    while (log->records != NULL && at < log->count && !is_same(&log->records[at], damage, what))
        at++;
    if (log->records != NULL && at == log->count && at < KDI_DAMAGE_RECORDS_MAX) {
        log->records[at] = (kd_damage_record){.damage = *damage};
        (void)snprintf(log->records[at].what, sizeof log->records[at].what, "%s", what);
        log->count++;
    }
    kd_mutex_unlock(&log->lock);
}

void kdi_damage_note_error(kd_ctx *ctx, const kd_table *table, uint64_t unit,
                           const kdi_index *index)
{
    kd_damage damage = kd_damage_none();
    damage.status = ctx->error.status;
    damage.table_no = table->table_no;
    if (index != NULL)
        damage.index_no = index->definition.index_no;
    else
        (void)snprintf(damage.file, sizeof damage.file, "units/%010llx.seg",
                       (unsigned long long)unit);
    kdi_damage_note(table->storage, &damage, ctx->error.message);
}

void kd_storage_damage_get(kd_storage *storage, uint32_t at, kd_damage_record *out_record,
                           bool *out_found)
{
    kdi_damage_log *log = &storage->damages;
    kd_mutex_lock(&log->lock);
    *out_found = at < log->count;
    if (*out_found)
        *out_record = log->records[at];
    kd_mutex_unlock(&log->lock);
}
