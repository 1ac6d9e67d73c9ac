/*
 * A small database and what can be done with it in one step: for crash_states, which combines
 * steps, and for fault/scenario_sweep, which lets their disk calls fail.
 */
#ifndef KD_TEST_SHORT_WORK_H
#define KD_TEST_SHORT_WORK_H

#include "sim_session.h"

enum {
    SHORT_OPERATIONS = 31,
    SHORT_OPERATIONS_COMBINED = 15, /* The first of them follow each other in any order. */
    SHORT_PLACES = 3,               /* Steps in a row. */
    SHORT_STREAM_BYTES = 600,       /* Larger transactions go to the log in parts. */
};

/* The database after a crash: rows in a segment, in the delta, with marks on both, and in the log
 * alone. */
sim_disk *short_work_base(void);
const char *short_operation_name(unsigned operation);
/* Each operation is one transaction, or leaves all answers alone. `place` (from 0) makes its rows
 * its own. A failure is in ctx->error, also that of the session; `it->database` may be NULL then.
 */
kd_status short_work_do(kd_ctx *ctx, sim_session *it, unsigned operation, unsigned place);
/* All answers as one text, in the arena. */
kd_slice short_work_answers(sim_session *it, kd_arena *arena);
/* Keys, foreign keys and numbers are kept, and the database takes writes; it is another one
 * afterwards. */
void short_work_constraints(sim_session *it);

#endif
