/*
 * Statements: prepared once, run any number of times.
 *
 *     kd_prepared_create -> kd_run_begin -> kd_run_next ... -> kd_run_end -> kd_prepared_destroy
 *
 * A prepared query or DML statement holds its plan and the catalog version that
 * it was made for; a run against a newer version plans again, and so does one
 * after settings or statistics have changed. A statement that is destroyed may
 * be kept by its session for when the same text is prepared again. A run of a
 * statement without rows has done everything when kd_run_begin returns.
 */
#ifndef KD_ENGINE_STATEMENT_H
#define KD_ENGINE_STATEMENT_H

#include "engine/session.h"
#include "sql/parser.h"

typedef struct kd_prepared kd_prepared;
typedef struct kd_run kd_run;

/* Exactly one statement; an empty text gives a statement that does nothing (tag ""). Positions of
 * errors count from the start of `text`. `parameter_types` (may be NULL) declares some. */
kd_status kd_prepared_create(kd_ctx *ctx, kd_session *session, kd_slice text,
                             const kd_type *parameter_types, uint32_t parameter_count,
                             kd_prepared **out_prepared) KD_MUST_CHECK;
/* For scripts: a statement that was parsed already; `text` is the script that its positions refer
 * to. Both are copied. */
kd_status kd_prepared_from_script(kd_ctx *ctx, kd_session *session, kd_slice text,
                                  const kd_statement *statement,
                                  kd_prepared **out_prepared) KD_MUST_CHECK;
void kd_prepared_destroy(kd_prepared *prepared); /* NULL is allowed. No run is left. */

uint32_t kd_prepared_parameter_count(const kd_prepared *prepared);
kd_type kd_prepared_parameter_type(const kd_prepared *prepared, uint32_t index); /* From 0. */
/* Result columns; none for statements without rows. */
uint32_t kd_prepared_column_count(const kd_prepared *prepared);
const kd_rel_column *kd_prepared_columns(const kd_prepared *prepared);
/* The name of a type as SQL has it, enums by their own name. */
kd_status kd_session_format_type(kd_ctx *ctx, kd_session *session, kd_type type,
                                 kd_buffer *out) KD_MUST_CHECK;

/* Values are cast to the parameters' types by assignment; text also by its text form. They are
 * copied. Fewer than wanted: the rest is NULL. */
kd_status kd_run_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                       uint32_t parameter_count, kd_run **out_run) KD_MUST_CHECK;
/* The next batch of result rows, valid until the next call. Never empty; at the end `*out_end`. */
kd_status kd_run_next(kd_ctx *ctx, kd_run *run, kd_batch *out_batch, bool *out_end) KD_MUST_CHECK;
/*
 * Ends the run: commits where the statement was its own transaction. A run that failed (in begin:
 * there is none; in next) has been undone already; ending one before its last row drops the rest.
 * The run is gone afterwards in any case.
 */
kd_status kd_run_end(kd_ctx *ctx, kd_run *run) KD_MUST_CHECK;
/* Ends a run after a failure: where the statement was its own transaction, that is rolled back.
 * NULL is allowed. */
void kd_run_abandon(kd_run *run);
/* "INSERT 0 5"; complete when the last row was given. */
const char *kd_run_tag(const kd_run *run);
/* -1 where the statement has no such number. */
int64_t kd_run_affected(const kd_run *run);
/* The run's result columns: those of the prepared statement, but for EXECUTE, FETCH and the like,
 * which know theirs only now. */
uint32_t kd_run_column_count(const kd_run *run);
const kd_rel_column *kd_run_columns(const kd_run *run);
/* How values become text in this run: zone, enum labels. */
const kd_text_settings *kd_run_text_settings(const kd_run *run);

#endif
