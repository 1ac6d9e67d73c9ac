/*
 * Rows seen so far, of a recursion: a group table while memory lasts, then rows on disk under slots
 * that say where they stand.
 *
 * On disk a slot holds 16 bits of the row's hash, the number of its page and its number there. Rows
 * are looked up a batch at a time, in the order of their pages, so that a page is read once per
 * batch at most.
 */
#ifndef KD_EXEC_SEEN_SET_INTERNAL_H
#define KD_EXEC_SEEN_SET_INTERNAL_H

#include "exec/group_table_internal.h"
#include "exec/row_reader_internal.h"

typedef struct kdi_seen_candidate {
    uint64_t place; /* Page and row. */
    uint64_t slot;
    uint16_t position;
} kdi_seen_candidate;

typedef struct kdi_seen_set {
    kdi_group_table table; /* On disk: its slots and its store. */
    bool is_on_disk;
    kdi_row_reader reader;
    kdi_seen_candidate *candidates; /* Room for a batch. */
    char **rows;
} kdi_seen_set;

/* All columns of the layout, which has a header, are the key. */
kd_status kdi_seen_set_init(kd_ctx *ctx, kd_arena *arena, kdi_seen_set *set, kdi_budget *budget,
                            const kdi_row_layout *layout) KD_MUST_CHECK;
void kdi_seen_set_clear(kdi_seen_set *set);
/* Adds the view rows that are new, and gives their positions, in order. */
kd_status kdi_seen_set_add(kd_ctx *ctx, kdi_seen_set *set, const kdi_view *views,
                           const uint64_t *hashes, uint32_t count, uint16_t *out_fresh,
                           uint32_t *out_fresh_count) KD_MUST_CHECK;

#endif
