/*
 * CREATE, ALTER and DROP ROLE; memberships; what sessions of a role begin with.
 *
 * Who may do what is PostgreSQL 15's: superusers everything, CREATEROLE everything about roles that
 * are no superusers, anybody their own password.
 */
#include "engine/define_role.h"

#include "engine/session_role.h"
#include "security/scram.h"
#include "types/datetime.h"

#include <assert.h>
#include <string.h>

#define NAME(slice) (int)(slice).size_bytes, (slice).data

static const kd_role_entry *current_role(const kd_run *run)
{
    return kd_role_entry_get(run->catalog, kdi_current_role_no(run->session));
}

static bool may_change_roles(const kd_run *run)
{
    const kd_role_entry *self = current_role(run);
    return self != NULL && (self->is_superuser || self->can_create_role);
}

static bool is_super(const kd_run *run)
{
    return kd_role_is_superuser(run->catalog, kdi_current_role_no(run->session));
}

static kd_status check_new_name(kd_ctx *ctx, const kd_run *run, kd_slice name)
{
    static const char *const reserved[] = {"public", "none", "current_user", "current_role",
                                           "session_user"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (kd_slice_equal(name, kd_slice_of(reserved[i])))
            return KD_FAIL(ctx, KD_INVALID, "42939", "role name \"%.*s\" is reserved", NAME(name));
    if (name.size_bytes >= 3 && memcmp(name.data, "pg_", 3) == 0)
        return KD_FAIL(ctx, KD_INVALID, "42939", "role name \"%.*s\" is reserved", NAME(name));
    if (kd_role_entry_find(run->catalog, name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42710", "role \"%.*s\" already exists", NAME(name));
    return KD_OK;
}

/* --- Options ------------------------------------------------------------------------------------
 */

typedef struct role_change {
    kd_run *run;
    kd_role_entry *role;
    bool sets_superuser, sets_replication, sets_bypass;
    bool sets_other; /* What a role may not change about itself. */
    const kd_ast_list *in_roles, *members, *admins;
} role_change;

static bool flag_value(const kd_ast_option *option)
{
    const kd_ast_constant *constant = (const kd_ast_constant *)option->value;
    return constant != NULL && constant->boolean;
}

/* The verifier of a password; one that is given is taken. Its text stays nowhere else. */
static kd_status set_password(kd_ctx *ctx, kd_run *run, const kd_ast_node *value, kd_slice *out)
{
    kd_scram_verifier verifier;
    bool is_verifier;
    *out = (kd_slice){"", 0};
    if (value == NULL)
        return KD_OK;
    kd_slice text = ((const kd_ast_constant *)value)->text;
    if (text.size_bytes == 0) {
        kdi_session_notice(run->session, "NOTICE", "00000",
                           "empty string is not a valid password, clearing password");
        return KD_OK;
    }
    KD_TRY(kd_scram_verifier_parse(ctx, run->arena, text, &is_verifier, &verifier));
    if (is_verifier)
        return kdi_copy_name(ctx, run->arena, text, out);
    return kd_scram_make_verifier(ctx, run->arena, text, out);
}

static kd_status set_limit(kd_ctx *ctx, const kd_ast_node *value, int32_t *out_limit)
{
    kd_slice text = ((const kd_ast_constant *)value)->text;
    int64_t limit = 0;
    bool is_negative = text.size_bytes > 0 && text.data[0] == '-';
    for (size_t i = is_negative; i < text.size_bytes && limit <= INT32_MAX; i++)
        limit = limit * 10 + (text.data[i] - '0');
    limit = is_negative ? -limit : limit;
    if (limit < -1 || limit > INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid connection limit: %.*s", NAME(text));
    *out_limit = (int32_t)limit;
    return KD_OK;
}

static bool *flag_of(role_change *change, kd_slice name)
{
    kd_role_entry *role = change->role;
    const struct {
        const char *name;
        bool *flag, *noted;
    } flags[] = {
        {"superuser", &role->is_superuser, &change->sets_superuser},
        {"replication", &role->can_replicate, &change->sets_replication},
        {"bypassrls", &role->bypasses_row_security, &change->sets_bypass},
        {"createdb", &role->can_create_database, &change->sets_other},
        {"createrole", &role->can_create_role, &change->sets_other},
        {"login", &role->can_login, &change->sets_other},
        {"inherit", &role->inherits, &change->sets_other},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!kd_slice_equal(name, kd_slice_of(flags[i].name)))
            continue;
        *flags[i].noted = true;
        return flags[i].flag;
    }
    return NULL;
}

static kd_status apply_option(kd_ctx *ctx, role_change *change, const kd_ast_option *option)
{
    kd_run *run = change->run;
    kd_role_entry *role = change->role;
    bool *flag = flag_of(change, option->name);
    if (flag != NULL) {
        *flag = flag_value(option);
        return KD_OK;
    }
    if (kd_slice_equal(option->name, KD_SLICE("password")))
        return set_password(ctx, run, option->value, &role->password);
    change->sets_other = true;
    if (kd_slice_equal(option->name, KD_SLICE("connection_limit")))
        return set_limit(ctx, option->value, &role->connection_limit);
    if (kd_slice_equal(option->name, KD_SLICE("valid_until")))
        return kd_timestamptz_parse(ctx, run->arena, &run->text,
                                    ((const kd_ast_constant *)option->value)->text,
                                    &role->valid_until);
    const kd_ast_list *names = &((const kd_ast_args *)option->value)->args;
    if (kd_slice_equal(option->name, KD_SLICE("in_role")))
        change->in_roles = names;
    else if (kd_slice_equal(option->name, KD_SLICE("admin")))
        change->admins = names;
    else
        change->members = names;
    return KD_OK;
}

static kd_status apply_options(kd_ctx *ctx, role_change *change, const kd_ast_list *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)options->items[i];
        for (size_t k = 0; k < i; k++)
            if (kd_slice_equal(option->name, ((const kd_ast_option *)options->items[k])->name))
                return KD_FAIL(ctx, KD_INVALID, "42601", "conflicting or redundant options");
        KD_TRY(apply_option(ctx, change, option));
    }
    return KD_OK;
}

/* --- Memberships --------------------------------------------------------------------------------
 */

static kd_status check_may_admin(kd_ctx *ctx, const kd_run *run, const kd_role_entry *role)
{
    bool may = role->is_superuser
                   ? is_super(run)
                   : may_change_roles(run) ||
                         kd_role_may_admin(run->catalog, kdi_current_role_no(run->session),
                                           role->object.object_no);
    if (may)
        return KD_OK;
    if (role->is_superuser)
        return KD_FAIL(ctx, KD_DENIED, "42501", "must be superuser to alter superusers");
    return KD_FAIL(ctx, KD_DENIED, "42501", "must have admin option on role \"%.*s\"",
                   NAME(role->object.name));
}

static uint32_t find_membership(const kd_role_entry *member, uint32_t role_no)
{
    uint32_t at = 0;
    while (at < member->membership_count && member->memberships[at].role_no != role_no)
        at++;
    return at;
}

static kd_status join_role(kd_ctx *ctx, kd_run *run, const kd_role_entry *member,
                           const kd_role_entry *role, bool with_admin)
{
    uint32_t role_no = role->object.object_no, member_no = member->object.object_no;
    if (role_no == KD_ROLE_DATABASE_OWNER)
        return KD_FAIL(ctx, KD_INVALID, "42939", "role \"%.*s\" cannot have explicit members",
                       NAME(role->object.name));
    bool is_loop =
        role_no == member_no ||
        (!role->is_superuser && kd_role_is_member(run->catalog, role_no, member_no, KD_MEMBER_ANY));
    if (is_loop)
        return KD_FAIL(ctx, KD_INVALID, "0LP01", "role \"%.*s\" is a member of role \"%.*s\"",
                       NAME(role->object.name), NAME(member->object.name));
    uint32_t at = find_membership(member, role_no);
    kd_role_entry changed = *member;
    kd_membership *list =
        KD_NEW_ARRAY(ctx, run->arena, kd_membership, member->membership_count + 1);
    if (list == NULL)
        return KD_NOMEM;
    if (member->membership_count > 0)
        memcpy(list, member->memberships, member->membership_count * sizeof *list);
    if (at < member->membership_count && (list[at].with_admin || !with_admin)) {
        kdi_session_notice(run->session, "NOTICE", "00000",
                           "role \"%.*s\" is already a member of role \"%.*s\"",
                           NAME(member->object.name), NAME(role->object.name));
        return KD_OK;
    }
    list[at] = (kd_membership){role_no, kdi_current_role_no(run->session), with_admin};
    changed.memberships = list;
    changed.membership_count += at == member->membership_count;
    return kdi_put(ctx, run, &changed.object);
}

static kd_status leave_role(kd_ctx *ctx, kd_run *run, const kd_role_entry *member, uint32_t role_no,
                            bool admin_only)
{
    uint32_t at = find_membership(member, role_no), count = member->membership_count;
    kd_role_entry changed = *member;
    kd_membership *list = KD_NEW_ARRAY(ctx, run->arena, kd_membership, count + 1);
    if (list == NULL)
        return KD_NOMEM;
    if (at == count) {
        const kd_role_entry *role = kd_role_entry_get(run->catalog, role_no);
        kdi_session_notice(run->session, "WARNING", "01000",
                           "role \"%.*s\" is not a member of role \"%.*s\"",
                           NAME(member->object.name), NAME(role->object.name));
        return KD_OK;
    }
    memcpy(list, member->memberships, count * sizeof *list);
    if (admin_only) {
        list[at].with_admin = false;
    } else {
        list[at] = list[count - 1];
        changed.membership_count--;
    }
    changed.memberships = list;
    return kdi_put(ctx, run, &changed.object);
}

kd_status kdi_grant_roles(kd_ctx *ctx, kd_run *run, const kd_ast_grant *ast)
{
    kdi_set_tag(run, ast->is_revoke ? "REVOKE ROLE" : "GRANT ROLE");
    for (size_t i = 0; i < ast->privileges.count; i++) {
        const kd_ast_privilege *privilege = (const kd_ast_privilege *)ast->privileges.items[i];
        const kd_role_entry *role, *member;
        if (privilege->columns.count > 0)
            return KD_FAIL(ctx, KD_INVALID, "0LP01",
                           "column names cannot be included in GRANT/REVOKE ROLE");
        KD_TRY(kdi_named_role(ctx, run, privilege->name, &role));
        KD_TRY(check_may_admin(ctx, run, role));
        for (size_t k = 0; k < ast->grantees.count; k++) {
            KD_TRY(kdi_named_role(ctx, run, ast->grantees.items[k], &member));
            if (ast->is_revoke)
                KD_TRY(leave_role(ctx, run, member, role->object.object_no, ast->option_only));
            else
                KD_TRY(join_role(ctx, run, member, role, ast->with_option));
        }
    }
    return KD_OK;
}

static kd_slice listed_name(const kd_ast_list *names, size_t at)
{
    return ((const kd_ast_constant *)names->items[at])->text;
}

/* IN ROLE, ROLE and ADMIN of a role that was just made. */
static kd_status apply_memberships(kd_ctx *ctx, const role_change *change)
{
    kd_run *run = change->run;
    uint32_t role_no = change->role->object.object_no;
    const kd_role_entry *other;
    for (size_t i = 0; change->in_roles != NULL && i < change->in_roles->count; i++) {
        KD_TRY(kdi_named_role(ctx, run, listed_name(change->in_roles, i), &other));
        KD_TRY(check_may_admin(ctx, run, other));
        KD_TRY(join_role(ctx, run, kd_role_entry_get(run->catalog, role_no), other, false));
    }
    const kd_ast_list *const lists[2] = {change->members, change->admins};
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; lists[l] != NULL && i < lists[l]->count; i++) {
            KD_TRY(kdi_named_role(ctx, run, listed_name(lists[l], i), &other));
            KD_TRY(join_role(ctx, run, other, kd_role_entry_get(run->catalog, role_no), l == 1));
        }
    return KD_OK;
}

/* --- CREATE and ALTER ROLE ----------------------------------------------------------------------
 */

static kd_status create_role(kd_ctx *ctx, kd_run *run, const kd_ast_create_role *ast)
{
    kd_role_entry role = {.object = {.kind = KD_OBJECT_ROLE, .comment = {"", 0}},
                          .inherits = true,
                          .can_login = ast->is_user,
                          .connection_limit = -1,
                          .valid_until = INT64_MAX,
                          .password = {"", 0}};
    role_change change = {.run = run, .role = &role};
    kdi_set_tag(run, "CREATE ROLE");
    KD_TRY(apply_options(ctx, &change, &ast->options));
    bool needs_super = role.is_superuser || role.can_replicate || role.bypasses_row_security;
    if (needs_super && !is_super(run))
        return KD_FAIL(ctx, KD_DENIED, "42501", "must be superuser to create %s",
                       role.is_superuser    ? "superusers"
                       : role.can_replicate ? "replication users"
                                            : "bypassrls users");
    if (!may_change_roles(run))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied to create role");
    KD_TRY(check_new_name(ctx, run, ast->name));
    KD_TRY(kdi_copy_name(ctx, run->arena, ast->name, &role.object.name));
    KD_TRY(kd_catalog_next_object_no(ctx, run->session->database->catalog, &role.object.object_no));
    KD_TRY(kdi_put(ctx, run, &role.object));
    return apply_memberships(ctx, &change);
}

/* 42501 for a role that the session's may not touch. */
static kd_status check_may_alter(kd_ctx *ctx, const kd_run *run, const kd_role_entry *role)
{
    if (role->object.object_no != KD_ROLE_OWNER && role->object.object_no < KD_OBJECT_NO_FIRST)
        return KD_FAIL(ctx, KD_INVALID, "42939", "role name \"%.*s\" is reserved",
                       NAME(role->object.name));
    if (role->is_superuser && !is_super(run))
        return KD_FAIL(ctx, KD_DENIED, "42501",
                       "must be superuser to alter superuser roles or change superuser attribute");
    return KD_OK;
}

static kd_status check_alter(kd_ctx *ctx, const role_change *change, const kd_role_entry *before)
{
    const kd_run *run = change->run;
    KD_TRY(check_may_alter(ctx, run, before));
    bool touches_super = change->sets_superuser || change->sets_replication ||
                         change->sets_bypass || before->can_replicate;
    if (touches_super && !is_super(run))
        return KD_FAIL(ctx, KD_DENIED, "42501",
                       "must be superuser to change superuser, replication or bypassrls "
                       "attributes");
    bool is_self = before->object.object_no == kdi_current_role_no(run->session);
    if (!may_change_roles(run) && (change->sets_other || !is_self))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied");
    if (before->object.object_no == KD_ROLE_OWNER &&
        !(change->role->is_superuser && change->role->can_login))
        return KD_FAIL(ctx, KD_INVALID, "0A000",
                       "role \"%.*s\" owns the database: it stays a superuser that may log in",
                       NAME(before->object.name));
    return KD_OK;
}

static kd_status alter_role(kd_ctx *ctx, kd_run *run, const kd_ast_create_role *ast)
{
    const kd_role_entry *before;
    kdi_set_tag(run, "ALTER ROLE");
    KD_TRY(kdi_named_role(ctx, run, ast->name, &before));
    kd_role_entry role = *before;
    role_change change = {.run = run, .role = &role};
    KD_TRY(apply_options(ctx, &change, &ast->options));
    KD_TRY(check_alter(ctx, &change, before));
    KD_TRY(kdi_put(ctx, run, &role.object));
    return apply_memberships(ctx, &change);
}

kd_status kdi_role_definition(kd_ctx *ctx, kd_run *run, const kd_ast_create_role *ast)
{
    return ast->is_alter ? alter_role(ctx, run, ast) : create_role(ctx, run, ast);
}

kd_status kdi_rename_role(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast)
{
    const kd_role_entry *before;
    kdi_set_tag(run, "ALTER ROLE");
    KD_TRY(kdi_named_role(ctx, run, ast->name.name, &before));
    if (before->object.object_no == run->session->settings.session_role_no ||
        before->object.object_no == kdi_current_role_no(run->session))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "session user cannot be renamed");
    KD_TRY(check_may_alter(ctx, run, before));
    if (before->object.object_no == KD_ROLE_OWNER)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "the owner of the database cannot be renamed");
    KD_TRY(check_new_name(ctx, run, ast->new_name));
    if (!may_change_roles(run))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied to rename role");
    kd_role_entry role = *before;
    KD_TRY(kdi_copy_name(ctx, run->arena, ast->new_name, &role.object.name));
    return kdi_put(ctx, run, &role.object);
}

/* --- DROP ROLE ----------------------------------------------------------------------------------
 */

typedef struct member_search {
    uint32_t role_no;
    const kd_role_entry *found;
} member_search;

static void find_member(void *object, const kd_role_entry *role)
{
    member_search *search = object;
    if (find_membership(role, search->role_no) < role->membership_count)
        search->found = role;
}

/* Its members are that no more. */
static kd_status end_memberships(kd_ctx *ctx, kd_run *run, uint32_t role_no)
{
    for (;;) {
        member_search search = {.role_no = role_no};
        kd_role_visit(run->catalog, find_member, &search);
        if (search.found == NULL)
            return KD_OK;
        KD_TRY(leave_role(ctx, run, search.found, role_no, false));
    }
}

static kd_status drop_role(kd_ctx *ctx, kd_run *run, kd_slice name, bool missing_ok)
{
    const kd_session *session = run->session;
    const kd_role_entry *role = kd_role_entry_find(run->catalog, name);
    if (role == NULL && missing_ok) {
        kdi_session_notice(run->session, "NOTICE", "00000",
                           "role \"%.*s\" does not exist, skipping", NAME(name));
        return KD_OK;
    }
    if (role == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42704", "role \"%.*s\" does not exist", NAME(name));
    uint32_t role_no = role->object.object_no;
    if (role_no == kdi_current_role_no(session))
        return KD_FAIL(ctx, KD_INVALID, "55006", "current user cannot be dropped");
    if (role_no == session->settings.session_role_no || role_no == session->login_role_no)
        return KD_FAIL(ctx, KD_INVALID, "55006", "session user cannot be dropped");
    if (role->is_superuser && !is_super(run))
        return KD_FAIL(ctx, KD_DENIED, "42501", "must be superuser to drop superusers");
    if (role_no < KD_OBJECT_NO_FIRST)
        return KD_FAIL(ctx, KD_INVALID, "2BP01",
                       "cannot drop role \"%.*s\" because it is required by the database system",
                       NAME(name));
    KD_TRY(end_memberships(ctx, run, role_no));
    return kdi_remove(ctx, run, role_no);
}

kd_status kdi_drop_roles(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast)
{
    kdi_set_tag(run, "DROP ROLE");
    if (!may_change_roles(run))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied to drop role");
    for (size_t i = 0; i < ast->objects.count; i++) {
        const kd_ast_object *object = (const kd_ast_object *)ast->objects.items[i];
        KD_TRY(drop_role(ctx, run, object->name.name, ast->if_exists));
    }
    return KD_OK;
}

/* --- ALTER ROLE ... SET -------------------------------------------------------------------------
 */

/* The settings of before, without the one named (or any, for RESET ALL), with room for one more. */
static kd_status other_settings(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast,
                                kd_role_entry *role, kd_role_setting **out_list)
{
    bool in_database = ast->database.size_bytes > 0;
    uint32_t count = 0;
    kd_role_setting *list = KD_NEW_ARRAY(ctx, run->arena, kd_role_setting, role->setting_count + 1);
    *out_list = list;
    if (list == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < role->setting_count; i++) {
        bool is_named =
            ast->what == KD_AST_RESET_ALL || kd_slice_equal(role->settings[i].name, ast->name);
        if (!is_named || role->settings[i].in_database != in_database)
            list[count++] = role->settings[i];
    }
    role->settings = list;
    role->setting_count = count;
    return KD_OK;
}

kd_status kdi_alter_role_setting(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast)
{
    kd_session *session = run->session;
    const kd_role_entry *before;
    kd_slice values[KD_SEARCH_PATH_MAX];
    uint32_t count;
    kd_role_setting *list;
    kdi_set_tag(run, "ALTER ROLE");
    if (kd_slice_equal(ast->role, KD_SLICE("all")))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "use ALTER DATABASE ... SET for what all sessions begin with");
    KD_TRY(kdi_named_role(ctx, run, ast->role, &before));
    if (ast->database.size_bytes > 0 &&
        !kd_slice_equal(ast->database, kd_slice_of(session->database->name)))
        return KD_FAIL(ctx, KD_INVALID, "3D000", "database \"%.*s\" does not exist",
                       NAME(ast->database));
    KD_TRY(check_may_alter(ctx, run, before));
    if (!may_change_roles(run) && before->object.object_no != kdi_current_role_no(session))
        return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied");
    kd_role_entry role = *before;
    KD_TRY(other_settings(ctx, run, ast, &role, &list));
    KD_TRY(kdi_setting_values(ctx, ast, values, &count));
    if (count > 0) {
        kd_settings *scratch = KD_NEW(ctx, run->arena, kd_settings);
        if (scratch == NULL)
            return KD_NOMEM;
        *scratch = session->settings; /* What is refused changes nothing. */
        KD_TRY(kd_settings_set(ctx, run->arena, scratch, ast->name, values, count));
        list[role.setting_count++] = (kd_role_setting){.in_database = ast->database.size_bytes > 0,
                                                       .name = ast->name,
                                                       .value_count = count,
                                                       .values = values};
    }
    return kdi_put(ctx, run, &role.object);
}
