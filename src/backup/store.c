/*
 * Which kind of store a target is, and what both kinds share.
 */
#include "backup/store_internal.h"

#include "backup/backup.h"

#include <string.h>

static const char scheme[] = "s3://";

bool kd_backup_is_remote(const char *target)
{
    return strncmp(target, scheme, sizeof scheme - 1) == 0;
}

kd_status kdi_store_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_store **out_store)
{
    return kd_backup_is_remote(target) ? kdi_store_s3_open(ctx, arena, target, out_store)
                                       : kdi_store_directory_open(ctx, arena, target, out_store);
}

void kdi_store_close(kdi_store *store)
{
    if (store != NULL)
        store->kind->close(store);
}

kd_status kdi_store_get(kd_ctx *ctx, kd_arena *arena, kdi_store *store, const char *name,
                        kd_slice *out_bytes)
{
    kd_status status = KD_OK;
    kdi_stored *stored = NULL;
    uint64_t size_bytes;
    size_t got_bytes;
    *out_bytes = (kd_slice){0};
    KD_TRY_OUT(store->kind->read_open(ctx, store, name, &stored));
    KD_TRY_OUT(store->kind->size(ctx, stored, &size_bytes));
    char *bytes = kd_alloc(ctx, arena, size_bytes + 1);
    if (bytes == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(store->kind->read(ctx, stored, 0, bytes, size_bytes, &got_bytes));
    *out_bytes = (kd_slice){bytes, got_bytes};
out:
    store->kind->read_close(ctx, stored);
    return status;
}
