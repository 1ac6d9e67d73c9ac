/*
 * Checks of whole tables, inside module table and for its tests.
 */
#ifndef KD_TABLE_STORAGE_CHECK_H
#define KD_TABLE_STORAGE_CHECK_H

#include "table/table_internal.h"

/* Every row that the snapshot sees is in every index once, and every entry has its row's key; else
 * KD_CORRUPT XX002. */
kd_status kdi_table_check_indexes(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot) KD_MUST_CHECK;

#endif
