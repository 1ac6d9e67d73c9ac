/*
 * See sim_session.h.
 */
#include "sim_session.h"

#include <stdlib.h>
#include <string.h>

static bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    sim_session *self = object;
    size_t size_bytes = self->copy_rows == NULL ? 0 : strlen(self->copy_rows);
    *out_bytes = self->copy_is_done || capacity_bytes < size_bytes ? 0 : size_bytes;
    memcpy(target, self->copy_rows, *out_bytes);
    self->copy_is_done = !self->copy_is_done;
    return true;
}

kd_status sim_session_open(kd_ctx *ctx, sim_session *self)
{
    kd_database_options options = {.memory_budget_bytes = (uint64_t)16 << 20,
                                   .worker_count = 1,
                                   .no_background = true,
                                   .wal_file_bytes = 64 << 10,
                                   .redo_stream_bytes = self->redo_stream_bytes,
                                   .bulk_bytes_min = 1};
    self->database = NULL;
    self->session = NULL;
    KD_TRY(kd_database_open(ctx, "db", &options, &self->database));
    return sim_session_join(ctx, self, self);
}

kd_status sim_session_join(kd_ctx *ctx, const sim_session *with, sim_session *self)
{
    kd_session_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_session_hooks hooks = {.object = self, .copy_read = copy_read};
    self->database = with->database;
    KD_TRY(kd_session_open(ctx, self->database, &options, &self->session));
    kd_session_set_hooks(self->session, &hooks);
    return KD_OK;
}

kd_ctx *sim_session_ctx(const sim_session *self)
{
    return kd_session_ctx(self->session);
}

static kd_status batch_append(kd_ctx *ctx, const kd_batch *batch, kd_buffer *out)
{
    static const kd_text_settings settings = {.extra_float_digits = 1};
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        for (uint32_t k = 0; k < batch->column_count; k++) {
            kd_value value = kd_vector_get(&batch->columns[k], kd_batch_row(batch, i));
            if (k > 0)
                KD_TRY(kd_buffer_append_text(ctx, out, "|"));
            if (value.is_null)
                KD_TRY(kd_buffer_append_text(ctx, out, "-"));
            else
                KD_TRY(kd_value_format(ctx, &settings, &value, out));
        }
        KD_TRY(kd_buffer_append_text(ctx, out, "\n"));
    }
    return KD_OK;
}

kd_status sim_statement(sim_session *self, kd_slice sql, kd_buffer *out)
{
    kd_ctx *ctx = kd_session_ctx(self->session);
    kd_prepared *prepared;
    kd_run *going;
    kd_error_clear(ctx);
    KD_TRY(kd_prepared_create(ctx, self->session, sql, NULL, 0, &prepared));
    kd_status status = kd_run_begin(ctx, prepared, NULL, 0, &going);
    for (bool is_end = false; status == KD_OK && !is_end;) {
        kd_batch batch;
        status = kd_run_next(ctx, going, &batch, &is_end);
        if (status == KD_OK && !is_end && out != NULL)
            status = batch_append(ctx, &batch, out);
        if (status != KD_OK)
            kd_run_abandon(going);
        else if (is_end)
            status = kd_run_end(ctx, going);
    }
    kd_prepared_destroy(prepared);
    return status;
}

kd_status sim_script(sim_session *self, const char *sql)
{
    kd_status status = KD_OK;
    while (status == KD_OK && *sql != '\0') {
        size_t size_bytes = strcspn(sql, ";");
        status = sim_statement(self, (kd_slice){sql, size_bytes}, NULL);
        sql += size_bytes + (sql[size_bytes] == ';');
    }
    return status;
}

int64_t sim_number(sim_session *self, const char *sql)
{
    kd_ctx *ctx = kd_session_ctx(self->session);
    kd_arena *arena = test_arena(ctx);
    kd_buffer text = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_buffer_append_text(ctx, &text, ""));
    CHECK_STATUS(ctx, sim_statement(self, kd_slice_of(sql), &text));
    int64_t number = strtoll(text.data, NULL, 10);
    kd_arena_destroy(arena);
    return number;
}
