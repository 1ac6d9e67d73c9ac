/*
 * Checkpoints, inside module table.
 */
#ifndef KD_TABLE_CHECKPOINT_H
#define KD_TABLE_CHECKPOINT_H

#include "table/table_internal.h"

enum { KDI_BODY_VERSION = 1 };

kd_status kdi_checkpoint(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* The root of an empty database. */
kd_status kdi_root_write_first(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Frees the list; with `removes_files` nothing names the files any more. */
void kdi_doomed_free(kd_storage *storage, kdi_doomed *list, bool removes_files);

#endif
