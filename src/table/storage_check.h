/*
 * Checks of whole tables, inside module table.
 *
 *   storage_check.c   an open database: every stored byte, then each index
 *   index_check.c     an index against its table, both ways
 *   file_check.c      files for themselves
 */
#ifndef KD_TABLE_STORAGE_CHECK_H
#define KD_TABLE_STORAGE_CHECK_H

#include "store/root.h"
#include "table/table_internal.h"

/* Every row that the snapshot sees is in the index once, and every entry has its row's key; tells
 * the first few places where it is not so. The caller holds table->upkeep. */
kd_status kdi_index_compare(kd_ctx *ctx, kdi_index *index, kd_snapshot snapshot,
                            const kd_damage_watch *watch) KD_MUST_CHECK;
/* The root's file once more, from the disk. */
kd_status kdi_root_check(kd_ctx *ctx, kd_arena *arena, const char *directory,
                         const kd_damage_watch *watch, kd_root *out_root,
                         bool *out_found) KD_MUST_CHECK;

#endif
