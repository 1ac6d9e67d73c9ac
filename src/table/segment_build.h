/*
 * Building segments out of rows that stand in chunks, and moving rows into them.
 * Inside module table: used by flush, compaction and bulk load.
 */
#ifndef KD_TABLE_SEGMENT_BUILD_H
#define KD_TABLE_SEGMENT_BUILD_H

#include "table/table_internal.h"

/* One row to be written. `remap` and `ordinal` say where it was (remap NULL: nowhere). */
typedef struct kdi_rewrite_row {
    const kdi_chunk *chunk;
    uint32_t slot;
    uint32_t ordinal;
    kdi_remap *remap;
    kd_stamp begin;
} kdi_rewrite_row;

typedef struct kdi_rewrite {
    kd_table *table;
    const kdi_column_set *set; /* The columns that the segments get. */
    kd_arena *arena;
    kdi_rewrite_row *rows;
    size_t row_count, row_capacity;
    kdi_chunk **staged; /* Chunks of the build's own. */
    size_t staged_count, staged_capacity;
    kdi_segment **segments; /* What was written. */
    size_t segment_count, segment_capacity;
    kdi_remap **remaps;
    size_t remap_count, remap_capacity;
    size_t staged_bytes;
    bool has_moved;
    kd_live_snapshots live; /* Who counted when it was decided which versions stay. */
} kdi_rewrite;

kd_status kdi_rewrite_begin(kd_ctx *ctx, kd_table *table, kdi_rewrite *out_build) KD_MUST_CHECK;
/* Frees staging; segments and remaps that were not handed over are closed, their files removed. */
void kdi_rewrite_end(kd_ctx *ctx, kdi_rewrite *build);
/* A slot of the build's own chunks. */
kd_status kdi_rewrite_stage(kd_ctx *ctx, kdi_rewrite *build, kdi_chunk **out_chunk,
                            uint32_t *out_slot) KD_MUST_CHECK;
kd_status kdi_rewrite_add(kd_ctx *ctx, kdi_rewrite *build, kdi_rewrite_row row) KD_MUST_CHECK;
/* In the order of units. Whoever adds none of its rows sets the remap's count to 0: the unit goes
 * without a trace. */
kd_status kdi_rewrite_remap(kd_ctx *ctx, kdi_rewrite *build, uint64_t unit, uint32_t count,
                            kdi_remap **out_remap) KD_MUST_CHECK;
/* Sorts the rows by the table's sort columns and writes them; `begin` is the segments' own. Rows
 * and staging are empty afterwards. Remaps know the new places. */
kd_status kdi_rewrite_write(kd_ctx *ctx, kdi_rewrite *build, kd_stamp begin) KD_MUST_CHECK;
/* version_chain.c: sets the links of versions that stay past those that the remaps leave
 * behind. */
void kdi_chains_cut(kdi_rewrite *build);
/* Logs and publishes the move of what the remaps name. The build gives its segments and remaps
 * away. */
kd_status kdi_rewrite_move(kd_ctx *ctx, kdi_rewrite *build) KD_MUST_CHECK;

#endif
