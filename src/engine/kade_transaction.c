/*
 * Several statements as one transaction in the public API: all of them or none, and again from the
 * start when another transaction won.
 */
#include "engine/kade_internal.h"

static kade_status bind_texts(kade_statement *statement, const kade_operation *operation)
{
    kade_session *session = statement->session;
    if (operation->parameter_count != statement->parameter_count) {
        (void)kdi_api_begin(session);
        return kdi_api_end(session,
                           KD_FAIL(session->ctx, KD_INVALID, "08P01",
                                   "the statement has %u parameters, %u were given",
                                   statement->parameter_count, operation->parameter_count));
    }
    for (uint32_t i = 0; i < operation->parameter_count; i++) {
        const char *text = operation->parameters[i];
        kade_status status = text == NULL ? kade_bind_null(statement, i + 1)
                                          : kade_bind_text(statement, i + 1, text, KADE_NUL);
        if (status != KADE_OK)
            return status;
    }
    return KADE_OK;
}

/* Runs one statement to its end; its rows are dropped. */
static kade_status run_operation(kade_session *session, kade_operation *operation)
{
    kade_statement *statement;
    kade_status status = kade_prepare(session, operation->sql, operation->sql_bytes, &statement);
    if (status != KADE_OK)
        return status;
    status = bind_texts(statement, operation);
    for (bool has_row = true; status == KADE_OK && has_row;)
        status = kade_step(statement, &has_row);
    if (status == KADE_OK)
        operation->rows_affected = kade_rows_affected(statement);
    kade_finalize(statement);
    return status;
}

/* One attempt: what it leaves is committed or rolled back. */
static kade_status attempt(kade_session *session, kade_operation *operations, uint32_t count,
                           kade_transaction_result *result)
{
    result->attempt_count++;
    result->done_count = 0;
    kade_status status = kade_execute(session, "BEGIN", KADE_NUL, NULL, NULL);
    while (status == KADE_OK && result->done_count < count) {
        status = run_operation(session, &operations[result->done_count]);
        result->done_count += status == KADE_OK;
    }
    if (status == KADE_OK && kade_session_transaction(session) != KADE_TRANSACTION_OPEN) {
        (void)kdi_api_begin(session);
        return kdi_api_end(session, KD_FAIL(session->ctx, KD_INVALID, "2D000",
                                            "an operation ended the transaction"));
    }
    if (status == KADE_OK)
        return kade_execute(session, "COMMIT", KADE_NUL, NULL, NULL);
    kd_error record = session->ctx->error; /* What failed is told, not what follows. */
    if (kade_session_transaction(session) != KADE_TRANSACTION_NONE)
        (void)kade_execute(session, "ROLLBACK", KADE_NUL, NULL, NULL);
    session->ctx->error = record;
    return kdi_api_end(session, (kd_status)status);
}

kade_status kade_transaction(kade_session *session, kade_operation *operations, uint32_t count,
                             kade_transaction_result *out_result)
{
    kade_transaction_result result = {0};
    kade_status status;
    if (kade_session_transaction(session) != KADE_TRANSACTION_NONE) {
        (void)kdi_api_begin(session);
        status = kdi_api_end(session, KD_FAIL(session->ctx, KD_INVALID, "25001",
                                              "there is already a transaction in progress"));
    } else {
        status = attempt(session, operations, count, &result);
        for (int i = 0; status == KADE_CONFLICT && i < KDI_CONFLICT_RETRIES; i++) {
            kdi_conflict_pause(session->ctx, i);
            status = attempt(session, operations, count, &result);
        }
    }
    if (out_result != NULL)
        *out_result = result;
    return status;
}
