/*
 * Roles of sessions.
 */
#include "engine/session_role.h"

#include <assert.h>
#include <stdio.h>

uint32_t kdi_current_role_no(const kd_session *session)
{
    const kd_settings *settings = &session->settings;
    if (session->acting_role_no != 0)
        return session->acting_role_no;
    return settings->role_no != 0 ? settings->role_no : settings->session_role_no;
}

uint32_t kdi_act_as(kd_session *session, uint32_t role_no)
{
    uint32_t before = session->acting_role_no;
    session->acting_role_no = role_no;
    return before;
}

const char *kdi_role_text(const kd_catalog_version *catalog, uint32_t role_no)
{
    const kd_role_entry *entry = kd_role_entry_get(catalog, role_no);
    return entry == NULL ? "" : entry->object.name.data;
}

/* --- Opening ------------------------------------------------------------------------------------
 */

static kd_status keep_settings(kd_ctx *ctx, kd_session *session, const kd_role_entry *role)
{
    kd_role_setting *kept =
        KD_NEW_ARRAY(ctx, session->arena, kd_role_setting, role->setting_count + 1);
    if (kept == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < role->setting_count; i++) {
        const kd_role_setting *from = &role->settings[i];
        kd_slice *values = KD_NEW_ARRAY(ctx, session->arena, kd_slice, from->value_count + 1);
        const char *name =
            kd_copy_text(ctx, session->arena, from->name.data, from->name.size_bytes);
        if (values == NULL || name == NULL)
            return KD_NOMEM;
        for (uint32_t k = 0; k < from->value_count; k++) {
            values[k].size_bytes = from->values[k].size_bytes;
            values[k].data =
                kd_copy_text(ctx, session->arena, from->values[k].data, from->values[k].size_bytes);
            if (values[k].data == NULL)
                return KD_NOMEM;
        }
        kept[i] = (kd_role_setting){
            .name = kd_slice_of(name), .value_count = from->value_count, .values = values};
    }
    session->role_settings = kept;
    session->role_setting_count = role->setting_count;
    return KD_OK;
}

kd_status kdi_session_log_in(kd_ctx *ctx, kd_session *session, const kd_session_options *options)
{
    const char *name = options == NULL || options->user_name == NULL ? "kade" : options->user_name;
    kd_status status = KD_OK;
    session->login_role_no = KD_ROLE_OWNER;
    session->connection_limit = -1;
    (void)snprintf(session->user_name, sizeof session->user_name, "%s", name);
    if (session->is_internal)
        return KD_OK;
    kd_catalog_version *catalog = kd_catalog_pin_newest(session->database->catalog);
    const kd_role_entry *role = kd_role_entry_find(catalog, kd_slice_of(name));
    if (role == NULL) {
        status = KD_FAIL(ctx, KD_DENIED, "28000", "role \"%s\" does not exist", name);
        goto out;
    }
    if (!role->can_login) {
        status = KD_FAIL(ctx, KD_DENIED, "28000", "role \"%s\" is not permitted to log in", name);
        goto out;
    }
    session->login_role_no = role->object.object_no;
    session->connection_limit = role->is_superuser ? -1 : role->connection_limit;
    KD_TRY_OUT(keep_settings(ctx, session, role));
out:
    kd_catalog_unpin(catalog);
    return status;
}

void kdi_session_role_defaults(const kd_session *session, kd_settings *settings)
{
    kd_ctx own = {.world = session->database->world};
    settings->session_role_no = session->login_role_no;
    for (uint32_t i = 0; i < session->role_setting_count; i++) {
        const kd_role_setting *it = &session->role_settings[i];
        kd_settings before = *settings;
        if (kd_settings_set(&own, session->arena, settings, it->name, it->values,
                            it->value_count) == KD_OK)
            continue;
        *settings = before;
        kd_error_clear(&own);
    }
}

/* --- SET and SHOW -------------------------------------------------------------------------------
 */

static bool is_session_authorization(kd_slice name)
{
    return kd_slice_equal_ignoring_case(name, KD_SLICE("session_authorization"));
}

bool kdi_is_role_setting(kd_slice name)
{
    return kd_slice_equal_ignoring_case(name, KD_SLICE("role")) || is_session_authorization(name);
}

kd_status kdi_set_role(kd_ctx *ctx, const kd_session *session, const kd_catalog_version *catalog,
                       kd_settings *settings, kd_slice name, const kd_slice *value)
{
    bool is_session = is_session_authorization(name);
    bool is_none = !is_session && value != NULL && kd_slice_equal(*value, KD_SLICE("none"));
    if (value == NULL || is_none) {
        settings->role_no = 0;
        if (is_session)
            settings->session_role_no = session->login_role_no;
        return KD_OK;
    }
    const kd_role_entry *role = kd_role_entry_find(catalog, *value);
    if (role == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "role \"%.*s\" does not exist",
                       (int)value->size_bytes, value->data);
    uint32_t role_no = role->object.object_no;
    if (is_session) {
        if (role_no != session->login_role_no &&
            !kd_role_is_superuser(catalog, session->login_role_no))
            return KD_FAIL(ctx, KD_DENIED, "42501",
                           "permission denied to set session authorization \"%.*s\"",
                           (int)value->size_bytes, value->data);
        settings->session_role_no = role_no;
        settings->role_no = 0;
        return KD_OK;
    }
    if (!kd_role_is_member(catalog, settings->session_role_no, role_no, KD_MEMBER_ANY))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied to set role \"%.*s\"",
                       (int)value->size_bytes, value->data);
    settings->role_no = role_no;
    return KD_OK;
}

kd_status kdi_show_role(kd_ctx *ctx, kd_arena *arena, const kd_session *session, kd_slice name,
                        kd_slice *out_value)
{
    const kd_settings *settings = &session->settings;
    uint32_t role_no =
        is_session_authorization(name) ? settings->session_role_no : settings->role_no;
    kd_catalog_version *catalog = NULL;
    kd_status status = KD_OK;
    *out_value = KD_SLICE("none");
    if (role_no == 0)
        return KD_OK;
    if (session->txn == NULL) /* The server reports settings between transactions too. */
        catalog = kd_catalog_pin_newest(session->database->catalog);
    else
        KD_TRY(kd_catalog_pin(ctx, session->database->catalog, session->txn, &catalog));
    const char *text = kdi_role_text(catalog, role_no);
    const char *copy = kd_copy_text(ctx, arena, text, strlen(text));
    if (copy == NULL)
        status = KD_NOMEM;
    else
        *out_value = kd_slice_of(copy);
    kd_catalog_unpin(catalog);
    return status;
}

/* --- Names --------------------------------------------------------------------------------------
 */

kd_status kdi_named_role(kd_ctx *ctx, const kd_run *run, kd_slice name,
                         const kd_role_entry **out_role)
{
    const kd_session *session = run->session;
    if (kd_slice_equal(name, KD_SLICE("current_user")) ||
        kd_slice_equal(name, KD_SLICE("current_role")))
        *out_role = kd_role_entry_get(run->catalog, kdi_current_role_no(session));
    else if (kd_slice_equal(name, KD_SLICE("session_user")))
        *out_role = kd_role_entry_get(run->catalog, session->settings.session_role_no);
    else
        *out_role = kd_role_entry_find(run->catalog, name);
    if (*out_role == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42704", "role \"%.*s\" does not exist",
                       (int)name.size_bytes, name.data);
    return KD_OK;
}
