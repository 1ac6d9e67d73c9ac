/*
 * Hash tables from key columns to rows: aggregates, DISTINCT, set operations, recursion.
 *
 * Keys are equal as kd_payload_equal has it; NULL equals NULL. Slots hold the row's address and 16
 * bits of its hash, so that most misses are decided without touching the row. A batch is looked up
 * as a whole: slots first, then all new rows appended at once, then the comparisons.
 */
#ifndef KD_EXEC_GROUP_TABLE_INTERNAL_H
#define KD_EXEC_GROUP_TABLE_INTERNAL_H

#include "exec/row_store_internal.h"

typedef struct kdi_group_table {
    kd_world *world;
    kd_account *account;
    kdi_row_store store;
    uint32_t key_count; /* Leading columns of the layout. */
    uint64_t *slots;
    uint64_t slot_mask;
    /* Room for one batch. */
    char **match_rows;
    uint16_t *open, *fresh, *match;
    uint32_t *slot_of;
} kdi_group_table;

/* The layout has a header; its first `key_count` columns are the keys, its extra bytes are zeroed
 * in new rows. */
kd_status kdi_group_table_init(kd_ctx *ctx, kd_arena *arena, kdi_group_table *table,
                               kdi_budget *budget, const kdi_row_layout *layout,
                               uint32_t key_count) KD_MUST_CHECK;
void kdi_group_table_clear(kdi_group_table *table); /* Gives all memory back. */
/* Forgets the groups; the rows stay in the store, which the caller has moved away or clears. */
void kdi_group_table_forget(kdi_group_table *table);

/* Makes the slots of rows that were put into the store by themselves, each of a group of its own.
 */
kd_status kdi_group_table_index(kd_ctx *ctx, kdi_group_table *table) KD_MUST_CHECK;

/* Rows for `count` view rows with these hashes, new ones made where needed. `out_fresh` (may be
 * NULL) gets the positions of rows that were new, in order, `out_fresh_count` their number. */
kd_status kdi_group_table_find(kd_ctx *ctx, kdi_group_table *table, const kdi_view *views,
                               const uint64_t *hashes, uint32_t count, char **out_rows,
                               uint16_t *out_fresh, uint32_t *out_fresh_count) KD_MUST_CHECK;
/* The same without making new ones: NULL where there is none. */
void kdi_group_table_lookup(kdi_group_table *table, const kdi_view *views, const uint64_t *hashes,
                            uint32_t count, char **out_rows);
/* A row of the same layout from another store: its own row here, copied when it is new. */
kd_status kdi_group_table_adopt(kd_ctx *ctx, kdi_group_table *table, const char *row,
                                char **out_row, bool *out_is_new) KD_MUST_CHECK;

#endif
