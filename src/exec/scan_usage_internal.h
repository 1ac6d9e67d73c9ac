/*
 * Counting scans, and noting what they looked for, so that missing indexes are found.
 */
#ifndef KD_EXEC_SCAN_USAGE_INTERNAL_H
#define KD_EXEC_SCAN_USAGE_INTERNAL_H

#include "plan/physical.h"
#include "table/usage.h"

/* A scan of the whole table has ended that read so many rows, of which some passed its condition
 * (`is_filtered`: and the filters of joins above it). */
void kdi_scan_count(const kd_plan *plan, kd_table *table, uint64_t rows_read, uint64_t rows_passed,
                    bool is_filtered);

#endif
