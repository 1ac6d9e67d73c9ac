/*
 * Probing a hash join by dictionary: each entry of the left key's dictionary is looked up once, and
 * the right columns come out as dictionaries under the key's own codes. It works where no entry
 * has more than one match; other dictionaries are probed row by row.
 *
 * A direct table of few slots and one row per key is such a dictionary itself: a left row's code is
 * its key's slot, and one more code stands for no match.
 */
#ifndef KD_EXEC_JOIN_CODE_INTERNAL_H
#define KD_EXEC_JOIN_CODE_INTERNAL_H

#include "exec/join_table_internal.h"
#include "exec/pipeline_internal.h"

typedef struct kdi_join_codes {
    kd_arena *arena;        /* Of the dictionary at hand. */
    uint64_t dictionary_id; /* The left key's; 0: none. */
    uint64_t failed_id;     /* An entry of it has several matches. */
    uint32_t column_count;
    kd_vector *columns; /* The right columns by code; NULL where there is no match. */
    uint64_t *ids;      /* Of these dictionaries. */
    uint8_t *matched;   /* By code. */
    bool all_matched;
    bool is_of_slots;     /* The codes are those of a direct table. */
    uint64_t probed_rows; /* Before that: a table has to be worth its columns. */
    uint16_t *slot_codes; /* Of a batch, at the rows' positions. */
} kdi_join_codes;

kd_status kdi_join_codes_create(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                                kdi_join_codes **out_codes) KD_MUST_CHECK;
/* Makes `codes` those of the key's dictionary; the right columns stand in the layout after one key.
 * `*out_done` is false when the rows must be probed one by one. */
kd_status kdi_join_codes_open(kd_ctx *ctx, kdi_join_codes *codes, kdi_shared *shared,
                              const kdi_join_table *table, const kdi_row_layout *layout,
                              const kd_vector *key, uint32_t row_count,
                              bool *out_done) KD_MUST_CHECK;
/* The same for a direct table; `io_key` becomes a dictionary of its slots' codes. `view` is of the
 * selected rows' keys. */
kd_status kdi_join_codes_of_slots(kd_ctx *ctx, kdi_join_codes *codes, kdi_shared *shared,
                                  const kdi_join_table *table, const kdi_row_layout *layout,
                                  const kd_batch *batch, const kdi_view *view, kd_vector *io_key,
                                  bool *out_done) KD_MUST_CHECK;
/* Whether such a table and key may be. */
bool kdi_join_codes_fit(const kdi_join_table *table, const kd_vector *key);
/* Right column `c` for the rows of `key`. */
kd_vector kdi_join_codes_column(const kdi_join_codes *codes, const kd_vector *key, uint32_t c);

#endif
