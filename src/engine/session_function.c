/*
 * Functions that need the session or the catalog: sequences and settings. The
 * catalog version is the one that the running statement has pinned, which comes
 * with the text settings.
 */
#include "engine/session_function_internal.h"

#include "engine/advisory_lock.h"
#include "engine/configuration.h"
#include "engine/notify.h"
#include "engine/session_role.h"
#include "types/array.h"

#include <assert.h>
#include <stdio.h>

kd_session *kdi_call_session(const kd_call_env *env)
{
    return env->facts->session;
}

const kd_catalog_version *kdi_call_catalog(const kd_call_env *env)
{
    return env->facts->text->enum_object;
}

kd_status kdi_return_text(kd_ctx *ctx, const kd_call_env *env, kd_slice text, void *result)
{
    return kd_str_copy(ctx, env->arena, text, result);
}

/* --- Sequences -------------------------------------------------------------------------------- */

static kd_status find_sequence(kd_ctx *ctx, const kd_call_env *env, const void *argument,
                               const kd_sequence_entry **out_sequence)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object = NULL;
    char number[24];
    *out_sequence = NULL;
    kd_slice text;
    if (env->argument_types[0].id == KD_TYPE_OID) {
        int64_t object_no = *(const int64_t *)argument;
        if (object_no > 0 && object_no <= UINT32_MAX)
            object = kd_catalog_get(catalog, (uint32_t)object_no);
        (void)snprintf(number, sizeof number, "%lld", (long long)object_no);
        text = kd_slice_of(number);
    } else {
        text = kd_str_slice(argument);
        KD_TRY(kdi_find_relation_text(ctx, kdi_call_session(env), catalog, text, &object));
    }
    if (object == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s\" does not exist",
                       (int)text.size_bytes, text.data);
    if (object->kind != KD_OBJECT_SEQUENCE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a sequence",
                       (int)object->name.size_bytes, object->name.data);
    *out_sequence = (const kd_sequence_entry *)object;
    return KD_OK;
}

/* What a sequence holds: of one never used, where it will start. */
static kd_status sequence_state(kd_ctx *ctx, const kd_call_env *env, const void *argument,
                                int64_t *out_value, bool *out_is_called)
{
    const kd_sequence_entry *sequence;
    kd_sequence_definition definition;
    KD_TRY(find_sequence(ctx, env, argument, &sequence));
    return kd_sequence_get(ctx, kd_catalog_storage(kdi_call_catalog(env)), sequence->sequence_no,
                           &definition, out_value, out_is_called);
}

static kd_status call_sequence_value(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     void *result, bool *out_is_null)
{
    bool is_called;
    *out_is_null = false;
    return sequence_state(ctx, env, args[0], result, &is_called);
}

static kd_status call_sequence_is_called(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                         void *result, bool *out_is_null)
{
    int64_t value;
    bool is_called = false;
    *out_is_null = false;
    KD_TRY(sequence_state(ctx, env, args[0], &value, &is_called));
    *(uint8_t *)result = is_called;
    return KD_OK;
}

static kd_status call_sequence_last_value(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                          void *result, bool *out_is_null)
{
    bool is_called = false;
    *out_is_null = true;
    KD_TRY(sequence_state(ctx, env, args[0], result, &is_called));
    *out_is_null = !is_called;
    return KD_OK;
}

static kd_status check_writable(kd_ctx *ctx, const kd_session *session, const char *what)
{
    if (session->read_only || (session->txn != NULL && kd_txn_is_read_only(session->txn)))
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot execute %s() in a read-only transaction",
                       what);
    return KD_OK;
}

/* Calls may run on several workers at once: the database's mutex guards the session's list. */
static kd_status remember(kd_ctx *ctx, kd_session *session, uint32_t object_no, int64_t value,
                          bool is_last)
{
    kd_mutex_lock(&session->database->mutex);
    kdi_sequence_value *entry = session->sequence_values;
    while (entry != NULL && entry->object_no != object_no)
        entry = entry->next;
    if (entry == NULL) {
        entry = KD_NEW(ctx, session->arena, kdi_sequence_value);
        if (entry != NULL) {
            entry->object_no = object_no;
            entry->next = session->sequence_values;
            session->sequence_values = entry;
        }
    }
    if (entry != NULL) {
        entry->value = value;
        if (is_last) {
            session->last_sequence_value = value;
            session->has_last_sequence_value = true;
        }
    }
    kd_mutex_unlock(&session->database->mutex);
    return entry == NULL ? KD_NOMEM : KD_OK;
}

static kd_status call_nextval(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    const kd_sequence_entry *sequence;
    kd_session *session = kdi_call_session(env);
    int64_t value;
    *out_is_null = false;
    KD_TRY(check_writable(ctx, session, "nextval"));
    KD_TRY(find_sequence(ctx, env, args[0], &sequence));
    KD_TRY(kd_sequence_next(ctx, session->database->storage, sequence->sequence_no, &value));
    *(int64_t *)result = value;
    return remember(ctx, session, sequence->object.object_no, value, true);
}

static kd_status call_currval(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    const kd_sequence_entry *sequence;
    kd_session *session = kdi_call_session(env);
    *out_is_null = false;
    KD_TRY(find_sequence(ctx, env, args[0], &sequence));
    kd_mutex_lock(&session->database->mutex);
    const kdi_sequence_value *entry = session->sequence_values;
    while (entry != NULL && entry->object_no != sequence->object.object_no)
        entry = entry->next;
    if (entry != NULL)
        *(int64_t *)result = entry->value;
    kd_mutex_unlock(&session->database->mutex);
    if (entry == NULL)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "currval of sequence \"%.*s\" is not yet defined in this session",
                       (int)sequence->object.name.size_bytes, sequence->object.name.data);
    return KD_OK;
}

static kd_status call_lastval(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    kd_session *session = kdi_call_session(env);
    (void)args;
    *out_is_null = false;
    kd_mutex_lock(&session->database->mutex);
    bool is_set = session->has_last_sequence_value;
    *(int64_t *)result = session->last_sequence_value;
    kd_mutex_unlock(&session->database->mutex);
    if (!is_set)
        return KD_FAIL(ctx, KD_INVALID, "55000", "lastval is not yet defined in this session");
    return KD_OK;
}

static kd_status call_setval(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    const kd_sequence_entry *sequence;
    kd_session *session = kdi_call_session(env);
    int64_t value = *(const int64_t *)args[1];
    bool is_called = env->argument_count < 3 || *(const uint8_t *)args[2] != 0;
    *out_is_null = false;
    KD_TRY(check_writable(ctx, session, "setval"));
    KD_TRY(find_sequence(ctx, env, args[0], &sequence));
    kd_sequence_definition definition;
    int64_t last;
    bool was_called;
    KD_TRY(kd_sequence_get(ctx, session->database->storage, sequence->sequence_no, &definition,
                           &last, &was_called));
    if (value < definition.min || value > definition.max)
        return KD_FAIL(ctx, KD_INVALID, "22003",
                       "setval: value %lld is out of bounds for sequence \"%.*s\" (%lld..%lld)",
                       (long long)value, (int)sequence->object.name.size_bytes,
                       sequence->object.name.data, (long long)definition.min,
                       (long long)definition.max);
    KD_TRY(
        kd_sequence_set(ctx, session->database->storage, sequence->sequence_no, value, is_called));
    *(int64_t *)result = value;
    return is_called ? remember(ctx, session, sequence->object.object_no, value, false) : KD_OK;
}

/* --- Settings --------------------------------------------------------------------------------- */

static kd_status call_current_setting(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                      void *result, bool *out_is_null)
{
    kd_session *session = kdi_call_session(env);
    bool missing_ok = env->argument_count > 1 && *(const uint8_t *)args[1] != 0;
    kd_slice value;
    *out_is_null = false;
    if (kdi_show_special(session, kd_str_slice(args[0]), &value))
        return kdi_return_text(ctx, env, value, result);
    kd_status status = kdi_session_show(ctx, env->arena, session, kd_str_slice(args[0]), &value);
    if (status == KD_INVALID && missing_ok) {
        kd_error_clear(ctx);
        *out_is_null = true;
        return KD_OK;
    }
    KD_TRY(status);
    return kdi_return_text(ctx, env, value, result);
}

/* Those of the search path that exist; with pg_catalog before them where it was not named. */
static kd_status call_current_schemas(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                      void *result, bool *out_is_null)
{
    *out_is_null = false;
    const kd_settings *settings = &kdi_call_session(env)->settings;
    kd_value names[KD_SEARCH_PATH_MAX + 1];
    uint32_t count = 0;
    bool names_catalog = false;
    for (uint32_t i = 0; i < settings->search_path_count; i++)
        names_catalog |= kd_slice_equal(settings->search_path[i], KD_SLICE("pg_catalog"));
    if (*(const uint8_t *)args[0] != 0 && !names_catalog)
        names[count++] = kd_value_text(KD_SLICE("pg_catalog"));
    for (uint32_t i = 0; i < settings->search_path_count; i++)
        if (kd_catalog_find_schema(kdi_call_catalog(env), settings->search_path[i]) != NULL ||
            kd_slice_equal(settings->search_path[i], KD_SLICE("pg_catalog")))
            names[count++] = kd_value_text(settings->search_path[i]);
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_TEXT), names, count, result);
}

static kd_status set_one(kd_ctx *ctx, kd_call_env *env, kd_settings *settings, kd_slice name,
                         kd_slice value)
{
    kd_session *session = kdi_call_session(env);
    if (kdi_is_role_setting(name))
        return kdi_set_role(ctx, session, kdi_call_catalog(env), settings, name, &value);
    return kd_settings_set(ctx, session->arena, settings, name, &value, 1);
}

static kd_status call_set_config(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                 void *result, bool *out_is_null)
{
    kd_session *session = kdi_call_session(env);
    bool is_local = *(const uint8_t *)args[2] != 0;
    kd_slice name = kd_str_slice(args[0]);
    *out_is_null = false;
    kd_slice value = kd_str_slice(args[1]);
    kd_mutex_lock(&session->database->mutex);
    kdi_settings_keep(session);
    kd_status status = set_one(ctx, env, &session->settings, name, value);
    if (status == KD_OK && !is_local)
        status = set_one(ctx, env, &session->committed, name, value);
    kd_mutex_unlock(&session->database->mutex);
    KD_TRY(status);
    return kdi_return_text(ctx, env, value, result);
}

/* --- Registration ----------------------------------------------------------------------------- */

#define T(name)                              \
    {                                        \
        .id = KD_TYPE_##name, .modifier = -1 \
    }

/* The row that a cursor stands on: see WHERE CURRENT OF. */
static kd_status call_cursor_place(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object = kd_catalog_get(catalog, (uint32_t) * (const int64_t *)args[1]);
    kd_rowref place = KD_ROWREF_NONE;
    bool found = false;
    if (object != NULL && object->kind == KD_OBJECT_TABLE)
        KD_TRY(kdi_cursor_place(ctx, kdi_call_session(env), kd_str_slice(args[0]), catalog,
                                (const kd_table_entry *)object, &place, &found));
    *out_is_null = !found;
    *(int64_t *)result = (int64_t)place;
    return KD_OK;
}

static const kd_function functions[] = {
    {.name = "nextval",
     .argument_count = 1,
     .arguments = {T(TEXT)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_nextval},
    {.name = "nextval",
     .argument_count = 1,
     .arguments = {T(OID)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_nextval},
    {.name = "currval",
     .argument_count = 1,
     .arguments = {T(TEXT)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_currval},
    {.name = "currval",
     .argument_count = 1,
     .arguments = {T(OID)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_currval},
    {.name = "lastval",
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_lastval},
    {.name = "setval",
     .argument_count = 2,
     .arguments = {T(TEXT), T(INT8)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_setval},
    {.name = "setval",
     .argument_count = 2,
     .arguments = {T(OID), T(INT8)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_setval},
    {.name = "setval",
     .argument_count = 3,
     .arguments = {T(TEXT), T(INT8), T(BOOL)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_setval},
    {.name = "setval",
     .argument_count = 3,
     .arguments = {T(OID), T(INT8), T(BOOL)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_setval},
    {.name = "kade_sequence_value",
     .argument_count = 1,
     .arguments = {T(OID)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_sequence_value},
    {.name = "kade_sequence_is_called",
     .argument_count = 1,
     .arguments = {T(OID)},
     .result = T(BOOL),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_sequence_is_called},
    {.name = "pg_sequence_last_value",
     .argument_count = 1,
     .arguments = {T(OID)},
     .result = T(INT8),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_sequence_last_value},
    {.name = "current_setting",
     .argument_count = 1,
     .arguments = {T(TEXT)},
     .result = T(TEXT),
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_current_setting},
    {.name = "current_setting",
     .argument_count = 2,
     .arguments = {T(TEXT), T(BOOL)},
     .result = T(TEXT),
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_current_setting},
    {.name = "current_schemas",
     .argument_count = 1,
     .arguments = {T(BOOL)},
     .result = {.id = KD_TYPE_TEXT, .is_array = 1, .modifier = -1},
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_current_schemas},
    {.name = "kade_cursor_place",
     .argument_count = 2,
     .arguments = {T(TEXT), T(OID)},
     .result = T(TID),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_cursor_place},
    {.name = "set_config",
     .argument_count = 3,
     .arguments = {T(TEXT), T(TEXT), T(BOOL)},
     .result = T(TEXT),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_set_config},
};

kd_status kdi_register_session_functions(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof functions[0]));
    KD_TRY(kdi_register_catalog_functions(ctx, registry));
    KD_TRY(kdi_register_damage_functions(ctx, registry));
    KD_TRY(kdi_register_enum_functions(ctx, registry));
    KD_TRY(kdi_register_routine_functions(ctx, registry));
    KD_TRY(kdi_register_usage_functions(ctx, registry));
    KD_TRY(kdi_register_backup_functions(ctx, registry));
    KD_TRY(kdi_register_notify_functions(ctx, registry));
    KD_TRY(kdi_register_advisory_functions(ctx, registry));
    return kdi_register_file_functions(ctx, registry);
}
