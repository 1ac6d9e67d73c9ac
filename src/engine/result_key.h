/*
 * Which answers may be kept, and under what.
 */
#ifndef KD_ENGINE_RESULT_KEY_H
#define KD_ENGINE_RESULT_KEY_H

#include "engine/engine_internal.h"

/* Whether the answer of a bound statement, not planned yet, follows from its key and the rows of
 * stored tables. */
kd_status kdi_query_is_repeatable(kd_ctx *ctx, const kd_bound_statement *bound,
                                  bool *out_is_repeatable) KD_MUST_CHECK;
/* Whether the run is a user's query that sees nothing but what other transactions have committed up
 * to its snapshot, so that stamps of changes tell what it sees: not what its own has written, nor
 * what it must note reading (SERIALIZABLE), nor damage that is left out. */
bool kdi_reads_committed_rows(const kd_run *run);
/* The key of the answer that `prepared` has in the run, in `arena`; `*out_is_kept` is false if no
 * answer is kept for it. The run has its facts and parameters, and its transaction is open. */
kd_status kdi_result_key(kd_ctx *ctx, kd_arena *arena, const kd_run *run,
                         const kd_prepared *prepared, kd_slice *out_key,
                         bool *out_is_kept) KD_MUST_CHECK;

#endif
