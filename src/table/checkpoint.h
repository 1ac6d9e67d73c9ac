/*
 * Checkpoints, inside module table.
 */
#ifndef KD_TABLE_CHECKPOINT_H
#define KD_TABLE_CHECKPOINT_H

#include "table/table_internal.h"

enum { KDI_BODY_VERSION = 1 };

kd_status kdi_checkpoint(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* The same, and what its root names stays and is told in `hold`, when it is not NULL. */
kd_status kdi_checkpoint_held(kd_ctx *ctx, kd_storage *storage,
                              kd_storage_hold *hold) KD_MUST_CHECK;
/* hold.c: while a checkpoint is held, nothing that it replaced has gone yet. */
kd_status kdi_hold_add(kd_ctx *ctx, kd_storage_hold *hold, const char *path) KD_MUST_CHECK;
kd_status kdi_hold_start(kd_ctx *ctx, kd_storage *storage, kd_storage_hold *hold) KD_MUST_CHECK;
/* hold.c: at the opening of a database that has an archive. */
kd_status kdi_archive_expect(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* The root of an empty database. */
kd_status kdi_root_write_first(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Lets go of remaps that no index and no transaction needs any more. Without memory they stay. */
void kdi_remaps_drop(kd_ctx *ctx, kd_storage *storage, kd_arena *arena);
/* Frees the list; with `removes_files` nothing names the files any more. */
void kdi_doomed_free(kd_storage *storage, kdi_doomed *list, bool removes_files);

#endif
