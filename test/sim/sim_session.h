/*
 * A database in the simulated world with one session, and statements given as text.
 */
#ifndef KD_TEST_SIM_SESSION_H
#define KD_TEST_SIM_SESSION_H

#include "sim_world.h"

#include "engine/database.h"
#include "engine/statement.h"

typedef struct sim_session {
    kd_database *database; /* NULL when the opening failed. */
    kd_session *session;
    uint64_t redo_stream_bytes; /* As in kd_database_options. */
    const char *copy_rows;      /* What COPY FROM STDIN reads; NULL: nothing. */
    bool copy_is_done;
} sim_session;

/* Opens "db" with small files, no background threads, and every load straight into segments. A
 * failure is in ctx->error, also that of the session. */
kd_status sim_session_open(kd_ctx *ctx, sim_session *self);
/* One more session on a database that is open. */
kd_status sim_session_join(kd_ctx *ctx, const sim_session *with, sim_session *self);
/* Where the error of a failed statement is. */
kd_ctx *sim_session_ctx(const sim_session *self);
/* One statement; its rows to the end of `out` (may be NULL): values separated by '|', NULL as "-",
 * one line for each row. */
kd_status sim_statement(sim_session *self, kd_slice sql, kd_buffer *out);
/* Statements separated by ';' (none has one inside), up to the first that fails. */
kd_status sim_script(sim_session *self, const char *sql);
/* The only value of the only row, which must be a number. */
int64_t sim_number(sim_session *self, const char *sql);

#endif
