/*
 * Statistics of tables, for the planner: a sample of the rows of each table that was planned for,
 * taken again when the table has grown or shrunk by a fifth. One store per database; any thread.
 */
#ifndef KD_ENGINE_SAMPLE_STORE_H
#define KD_ENGINE_SAMPLE_STORE_H

#include "plan/statistics.h"

typedef struct kdi_sample_store kdi_sample_store;

kd_status kdi_sample_store_create(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                                  kdi_sample_store **out_store) KD_MUST_CHECK;
void kdi_sample_store_destroy(kdi_sample_store *store); /* NULL is allowed. */
/* Forgets the sample of a table (0: of all), so that the next question takes a new one. */
void kdi_sample_store_forget(kdi_sample_store *store, uint64_t table_no);
/* Whether a sample of a table of so many rows tells too little of it when there are others now. */
bool kdi_sample_is_old(uint64_t rows_before, uint64_t rows_now);
/* The planner's questions, for as long as the store is there. */
kd_statistics kdi_sample_store_statistics(kdi_sample_store *store, kd_snapshot snapshot,
                                          const kd_session_facts *facts);
/* The sampled values of a column in the rows' order (copied into `arena`; none for an empty table),
 * the distinct values and the rows of the whole table. */
kd_status kdi_sample_store_column(kd_ctx *ctx, const kd_statistics *statistics, kd_arena *arena,
                                  const kd_table_entry *entry, uint32_t position,
                                  kd_value **out_values, uint32_t *out_count, double *out_distinct,
                                  double *out_population) KD_MUST_CHECK;

#endif
