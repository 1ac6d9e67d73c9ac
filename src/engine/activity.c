/*
 * Notes about what sessions do.
 */
#include "engine/activity.h"

#include "engine/engine_internal.h"
#include "engine/statement_log.h"

#include <stdio.h>

static int64_t now_us(const kd_session *session)
{
    kd_world *world = session->database->world;
    return world->wall_us(world);
}

/* As many bytes as fit, cut between characters. */
static void put_text(char *out, size_t capacity_bytes, kd_slice text)
{
    size_t size = text.size_bytes < capacity_bytes ? text.size_bytes : capacity_bytes - 1;
    while (size < text.size_bytes && size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80)
        size--;
    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

void kdi_activity_open(kd_session *session, const kd_session_options *options)
{
    kdi_activity *it = &session->activity;
    kd_mutex_init(&it->mutex, session->database->world);
    it->session_us = it->state_us = now_us(session);
    it->client_port = -1;
    it->is_told = options != NULL && options->tells_activity;
    if (options == NULL || options->client_address == NULL)
        return;
    put_text(it->client_address, sizeof it->client_address, kd_slice_of(options->client_address));
    it->client_port = options->client_port;
}

void kdi_activity_close(kd_session *session)
{
    kd_mutex_clear(&session->activity.mutex);
}

/* A password in the beginning of a text is not shown; a text that only might have one neither. */
static kd_slice without_secrets(kd_session *session, kd_arena *arena, kd_slice text)
{
    kd_ctx own = {.world = session->database->world};
    kd_slice shown;
    kd_error_clear(&own);
    if (arena == NULL || kdi_hide_secrets(&own, arena, text, &shown) != KD_OK)
        return KD_SLICE("");
    return shown;
}

static bool may_have_secrets(kd_slice text)
{
    for (size_t i = 0; i + 8 <= text.size_bytes; i++)
        if ((text.data[i] | 0x20) == 'p' &&
            kd_slice_equal_ignoring_case((kd_slice){text.data + i, 8}, KD_SLICE("password")))
            return true;
    return false;
}

void kdi_activity_begin(kd_session *session, kd_slice text)
{
    kdi_activity *it = &session->activity;
    if (!it->is_told)
        return;
    kd_ctx own = {.world = session->database->world};
    kd_arena *arena = NULL;
    kd_error_clear(&own);
    if (may_have_secrets(text)) {
        arena = kd_arena_create(&own, NULL, "activity", KD_ARENA_UNLIMITED);
        text = without_secrets(session, arena, text);
    }
    int64_t moment_us = now_us(session);
    kd_mutex_lock(&it->mutex);
    it->state = KDI_ACTIVITY_ACTIVE;
    it->statement_us = it->state_us = moment_us;
    if (it->transaction_us == 0)
        it->transaction_us = moment_us;
    put_text(it->text, sizeof it->text, text);
    put_text(it->application_name, sizeof it->application_name, session->settings.application_name);
    kd_mutex_unlock(&it->mutex);
    kd_arena_destroy(arena);
}

void kdi_activity_end(kd_session *session)
{
    static const kdi_activity_state states[] = {KDI_ACTIVITY_IDLE, KDI_ACTIVITY_IN_TRANSACTION,
                                                KDI_ACTIVITY_ABORTED};
    kdi_activity *it = &session->activity;
    if (!it->is_told)
        return;
    int64_t moment_us = now_us(session);
    kd_mutex_lock(&it->mutex);
    it->state = states[session->state];
    it->state_us = moment_us;
    if (session->txn == NULL)
        it->transaction_us = 0;
    put_text(it->application_name, sizeof it->application_name, session->settings.application_name);
    kd_mutex_unlock(&it->mutex);
}

void kdi_activity_read(const kd_session *session, kdi_activity *out_activity)
{
    kdi_activity *it = (kdi_activity *)(uintptr_t)&session->activity;
    kd_mutex_lock(&it->mutex);
    out_activity->is_told = it->is_told;
    out_activity->state = it->state;
    out_activity->session_us = it->session_us;
    out_activity->transaction_us = it->transaction_us;
    out_activity->statement_us = it->statement_us;
    out_activity->state_us = it->state_us;
    out_activity->client_port = it->client_port;
    memcpy(out_activity->application_name, it->application_name, sizeof it->application_name);
    memcpy(out_activity->client_address, it->client_address, sizeof it->client_address);
    memcpy(out_activity->text, it->text, sizeof it->text);
    kd_mutex_unlock(&it->mutex);
}
