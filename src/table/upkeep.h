/*
 * Upkeep of a database in the background, inside module table.
 */
#ifndef KD_TABLE_UPKEEP_H
#define KD_TABLE_UPKEEP_H

#include "table/table_internal.h"

kd_status kdi_upkeep_start(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
void kdi_upkeep_stop(kd_storage *storage); /* Not started is fine. */
/* NULL for one that is not there, or not for everybody. A pin is held. */
kd_table *kdi_live_table(kd_storage *storage, uint64_t number);
/* Reads and checks what may be read since the last tick. */
kd_status kdi_scrub_tick(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Delete marks that lie before every snapshot take their small form. */
kd_status kdi_marks_shrink(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Drops the chunks whose rows no snapshot sees, when there are so many of them. The caller's pin or
 * transaction keeps the table. */
kd_status kdi_flush_over(kd_ctx *ctx, kd_table *table, uint32_t chunks_min) KD_MUST_CHECK;
/* Whether more than one in `share` of the segment's rows are seen by nobody: ended alone is not
 * enough while an old snapshot is held. Table->upkeep or a pin keeps the segment. */
bool kdi_segment_is_over(kdi_segment *segment, const kd_live_snapshots *live, uint32_t share);
/* Flushes the deltas that are over the limit, and drops what nobody sees from the others. */
kd_status kdi_flush_large(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Removes unit files that nothing names. */
kd_status kdi_orphans_remove(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Tells them as notes. Of a database that is open for reading only: else there are always files
 * that nothing names yet, or any more. */
kd_status kdi_orphans_tell(kd_ctx *ctx, kd_storage *storage,
                           const kd_damage_watch *watch) KD_MUST_CHECK;
/* Lets go of tables that were dropped and that no snapshot sees. */
void kdi_dropped_reap(kd_storage *storage);

#endif
