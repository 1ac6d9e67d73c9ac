/*
 * System views of roles: who there is, who is a member of whom, what their sessions begin with.
 */
#include "engine/system_view_internal.h"

#include "engine/session_role.h"
#include "types/datetime.h"

#define PG_ROLES(X)               \
    X(oid, OID)                   \
    X(rolname, TEXT)              \
    X(rolsuper, BOOL)             \
    X(rolinherit, BOOL)           \
    X(rolcreaterole, BOOL)        \
    X(rolcreatedb, BOOL)          \
    X(rolcanlogin, BOOL)          \
    X(rolreplication, BOOL)       \
    X(rolconnlimit, INT4)         \
    X(rolpassword, TEXT)          \
    X(rolvaliduntil, TIMESTAMPTZ) \
    X(rolbypassrls, BOOL) X(rolconfig, TEXT_ARRAY)

/* Rows are made in a visit, whose failures wait for its end. */
typedef struct role_rows {
    kdi_sys_view *view;
    kd_status (*put)(kdi_sys_view *view, const kd_role_entry *role);
    kd_status status;
} role_rows;

static void put_role(void *object, const kd_role_entry *role)
{
    role_rows *rows = object;
    if (rows->status == KD_OK)
        rows->status = rows->put(rows->view, role);
}

static kd_status put_roles(kdi_sys_view *view,
                           kd_status (*put)(kdi_sys_view *view, const kd_role_entry *role))
{
    role_rows rows = {.view = view, .put = put};
    kd_role_visit(view->version, put_role, &rows);
    return rows.status;
}

static void put_until(kdi_sys_view *view, int64_t valid_until)
{
    if (valid_until == INT64_MAX)
        kdi_put_null(view);
    else
        kdi_put_timestamptz(view, valid_until - KD_UNIX_EPOCH_US);
}

/* "name=value", values separated by commas. */
static kd_status setting_text(kdi_sys_view *view, const kd_role_setting *setting, kd_slice *out)
{
    kd_buffer text = kd_buffer_in(view->arena);
    KD_TRY(kd_buffer_append(view->ctx, &text, setting->name.data, setting->name.size_bytes));
    for (uint32_t i = 0; i < setting->value_count; i++) {
        KD_TRY(kd_buffer_append_text(view->ctx, &text, i == 0 ? "=" : ", "));
        KD_TRY(kd_buffer_append(view->ctx, &text, setting->values[i].data,
                                setting->values[i].size_bytes));
    }
    *out = kd_buffer_slice(&text);
    return KD_OK;
}

/* The settings of a role in any database, or in this one; `*out_count` 0: NULL is put. */
static kd_status put_settings(kdi_sys_view *view, const kd_role_entry *role, bool in_database)
{
    uint32_t count = 0;
    kd_slice *texts = KD_NEW_ARRAY(view->ctx, view->arena, kd_slice, role->setting_count + 1);
    if (texts == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < role->setting_count; i++)
        if (role->settings[i].in_database == in_database)
            KD_TRY(setting_text(view, &role->settings[i], &texts[count++]));
    if (count > 0)
        return kdi_put_texts(view, texts, count);
    kdi_put_null(view);
    return KD_OK;
}

static kd_status pg_roles_row(kdi_sys_view *view, const kd_role_entry *role)
{
    const bool flags[] = {role->is_superuser,        role->inherits,  role->can_create_role,
                          role->can_create_database, role->can_login, role->can_replicate};
    kdi_put_oid(view, role->object.object_no);
    kdi_put_text(view, role->object.name);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        kdi_put_bool(view, flags[i]);
    kdi_put_int4(view, role->connection_limit);
    kdi_put_literal(view, "********");
    put_until(view, role->valid_until);
    kdi_put_bool(view, role->bypasses_row_security);
    KD_TRY(put_settings(view, role, false));
    return kdi_sys_emit(view);
}

static kd_status pg_roles(kdi_sys_view *view)
{
    return put_roles(view, pg_roles_row);
}

#define PG_AUTHID(X)        \
    X(oid, OID)             \
    X(rolname, TEXT)        \
    X(rolsuper, BOOL)       \
    X(rolinherit, BOOL)     \
    X(rolcreaterole, BOOL)  \
    X(rolcreatedb, BOOL)    \
    X(rolcanlogin, BOOL)    \
    X(rolreplication, BOOL) \
    X(rolbypassrls, BOOL) X(rolconnlimit, INT4) X(rolpassword, TEXT) X(rolvaliduntil, TIMESTAMPTZ)

static kd_status pg_authid_row(kdi_sys_view *view, const kd_role_entry *role)
{
    const bool flags[] = {role->is_superuser,         role->inherits,  role->can_create_role,
                          role->can_create_database,  role->can_login, role->can_replicate,
                          role->bypasses_row_security};
    kdi_put_oid(view, role->object.object_no);
    kdi_put_text(view, role->object.name);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        kdi_put_bool(view, flags[i]);
    kdi_put_int4(view, role->connection_limit);
    kdi_put_text_or_null(view, role->password);
    put_until(view, role->valid_until);
    return kdi_sys_emit(view);
}

/* Verifiers of passwords are for superusers alone. */
static kd_status refuse_others(kdi_sys_view *view, const char *name)
{
    if (kd_role_is_superuser(view->version, kdi_current_role_no(view->session)))
        return KD_OK;
    return KD_FAIL(view->ctx, KD_DENIED, "42501", "permission denied for table %s", name);
}

static kd_status pg_authid(kdi_sys_view *view)
{
    KD_TRY(refuse_others(view, "pg_authid"));
    return put_roles(view, pg_authid_row);
}

#define PG_USER(X)        \
    X(usename, TEXT)      \
    X(usesysid, OID)      \
    X(usecreatedb, BOOL)  \
    X(usesuper, BOOL)     \
    X(userepl, BOOL)      \
    X(usebypassrls, BOOL) \
    X(passwd, TEXT)       \
    X(valuntil, TIMESTAMPTZ) X(useconfig, TEXT_ARRAY)

static kd_status user_row(kdi_sys_view *view, const kd_role_entry *role, bool shows_password)
{
    if (!role->can_login)
        return KD_OK;
    kdi_put_text(view, role->object.name);
    kdi_put_oid(view, role->object.object_no);
    kdi_put_bool(view, role->can_create_database);
    kdi_put_bool(view, role->is_superuser);
    kdi_put_bool(view, role->can_replicate);
    kdi_put_bool(view, role->bypasses_row_security);
    if (shows_password)
        kdi_put_text_or_null(view, role->password);
    else
        kdi_put_literal(view, "********");
    put_until(view, role->valid_until);
    KD_TRY(put_settings(view, role, false));
    return kdi_sys_emit(view);
}

static kd_status pg_user_row(kdi_sys_view *view, const kd_role_entry *role)
{
    return user_row(view, role, false);
}

static kd_status pg_user(kdi_sys_view *view)
{
    return put_roles(view, pg_user_row);
}

static kd_status pg_shadow_row(kdi_sys_view *view, const kd_role_entry *role)
{
    return user_row(view, role, true);
}

static kd_status pg_shadow(kdi_sys_view *view)
{
    KD_TRY(refuse_others(view, "pg_shadow"));
    return put_roles(view, pg_shadow_row);
}

#define PG_AUTH_MEMBERS(X) X(roleid, OID) X(member, OID) X(grantor, OID) X(admin_option, BOOL)

static kd_status put_memberships(kdi_sys_view *view, const kd_role_entry *member)
{
    for (uint32_t i = 0; i < member->membership_count; i++) {
        const kd_membership *it = &member->memberships[i];
        kdi_put_oid(view, it->role_no);
        kdi_put_oid(view, member->object.object_no);
        kdi_put_oid(view, it->grantor_no);
        kdi_put_bool(view, it->with_admin);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status pg_auth_members(kdi_sys_view *view)
{
    return put_roles(view, put_memberships);
}

#define PG_DB_ROLE_SETTING(X) X(setdatabase, OID) X(setrole, OID) X(setconfig, TEXT_ARRAY)

static kd_status put_role_settings(kdi_sys_view *view, const kd_role_entry *role)
{
    for (int in_database = 0; in_database < 2; in_database++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < role->setting_count; i++)
            count += role->settings[i].in_database == (in_database != 0);
        if (count == 0)
            continue;
        kdi_put_oid(view, in_database != 0 ? KDI_DATABASE_NO : 0);
        kdi_put_oid(view, role->object.object_no);
        KD_TRY(put_settings(view, role, in_database != 0));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status pg_db_role_setting(kdi_sys_view *view)
{
    return put_roles(view, put_role_settings);
}

KDI_VIEW(pg_roles, PG_ROLES)
KDI_VIEW(pg_authid, PG_AUTHID)
KDI_VIEW(pg_user, PG_USER)
KDI_VIEW(pg_shadow, PG_USER)
KDI_VIEW(pg_auth_members, PG_AUTH_MEMBERS)
KDI_VIEW(pg_db_role_setting, PG_DB_ROLE_SETTING)

const kd_virtual_table *kdi_role_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_roles", pg_roles),
        KDI_VIEW_ENTRY("pg_catalog", "pg_authid", pg_authid),
        KDI_VIEW_ENTRY("pg_catalog", "pg_user", pg_user),
        KDI_VIEW_ENTRY("pg_catalog", "pg_shadow", pg_shadow),
        KDI_VIEW_ENTRY("pg_catalog", "pg_auth_members", pg_auth_members),
        KDI_VIEW_ENTRY("pg_catalog", "pg_db_role_setting", pg_db_role_setting),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
