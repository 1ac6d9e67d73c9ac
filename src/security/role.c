/*
 * Looking roles up, and walking from members to the roles that they are members of.
 *
 * The graph has no loops: GRANT refuses to make one. It is walked to a bounded depth all the same,
 * since what is stored is not trusted.
 */
#include "security/role.h"

#include <assert.h>
#include <stdio.h>

enum { MEMBERSHIP_DEPTH_MAX = 32, MEMBERSHIP_STEPS_MAX = 1 << 16 };

#define NAMED(text)                                    \
    {                                                  \
        .data = (text), .size_bytes = sizeof(text) - 1 \
    }
#define PREDEFINED(number, text)                                                        \
    {                                                                                   \
        .object = {.object_no = (number), .kind = KD_OBJECT_ROLE, .name = NAMED(text)}, \
        .inherits = true, .connection_limit = -1, .valid_until = INT64_MAX              \
    }

static const kd_membership monitors[] = {{KD_ROLE_READ_ALL_SETTINGS, KD_ROLE_OWNER, false},
                                         {KD_ROLE_READ_ALL_STATS, KD_ROLE_OWNER, false},
                                         {KD_ROLE_STAT_SCAN_TABLES, KD_ROLE_OWNER, false}};

/* By number. */
static const kd_role_entry predefined[] = {
    {.object = {.object_no = KD_ROLE_OWNER, .kind = KD_OBJECT_ROLE, .name = NAMED("kade")},
     .is_superuser = true,
     .inherits = true,
     .can_create_role = true,
     .can_create_database = true,
     .can_login = true,
     .can_replicate = true,
     .bypasses_row_security = true,
     .connection_limit = -1,
     .valid_until = INT64_MAX},
    {.object = {.object_no = KD_ROLE_MONITOR, .kind = KD_OBJECT_ROLE, .name = NAMED("pg_monitor")},
     .inherits = true,
     .connection_limit = -1,
     .valid_until = INT64_MAX,
     .membership_count = sizeof monitors / sizeof *monitors,
     .memberships = monitors},
    PREDEFINED(KD_ROLE_READ_ALL_SETTINGS, "pg_read_all_settings"),
    PREDEFINED(KD_ROLE_READ_ALL_STATS, "pg_read_all_stats"),
    PREDEFINED(KD_ROLE_STAT_SCAN_TABLES, "pg_stat_scan_tables"),
    PREDEFINED(KD_ROLE_SIGNAL_BACKEND, "pg_signal_backend"),
    PREDEFINED(KD_ROLE_CHECKPOINT, "pg_checkpoint"),
    PREDEFINED(KD_ROLE_READ_SERVER_FILES, "pg_read_server_files"),
    PREDEFINED(KD_ROLE_WRITE_SERVER_FILES, "pg_write_server_files"),
    PREDEFINED(KD_ROLE_EXECUTE_SERVER_PROGRAM, "pg_execute_server_program"),
    PREDEFINED(KD_ROLE_DATABASE_OWNER, "pg_database_owner"),
    PREDEFINED(KD_ROLE_READ_ALL_DATA, "pg_read_all_data"),
    PREDEFINED(KD_ROLE_WRITE_ALL_DATA, "pg_write_all_data"),
};

enum { PREDEFINED_COUNT = sizeof predefined / sizeof *predefined };

const kd_role_entry *kd_role_entry_find(const kd_catalog_version *version, kd_slice name)
{
    const kd_object *stored = kd_catalog_find_role(version, name);
    if (stored != NULL)
        return (const kd_role_entry *)stored;
    for (int i = 0; i < PREDEFINED_COUNT; i++)
        if (kd_slice_equal(predefined[i].object.name, name))
            return &predefined[i];
    return NULL;
}

const kd_role_entry *kd_role_entry_get(const kd_catalog_version *version, uint32_t role_no)
{
    const kd_object *stored = kd_catalog_get(version, role_no);
    if (stored != NULL)
        return stored->kind == KD_OBJECT_ROLE ? (const kd_role_entry *)stored : NULL;
    for (int i = 0; i < PREDEFINED_COUNT; i++)
        if (predefined[i].object.object_no == role_no)
            return &predefined[i];
    return NULL;
}

static bool fill(const kd_role_entry *entry, kd_role *out_role)
{
    *out_role = (kd_role){0};
    if (entry == NULL)
        return false;
    *out_role = (kd_role){.object_no = entry->object.object_no,
                          .name = entry->object.name,
                          .is_superuser = entry->is_superuser,
                          .can_login = entry->can_login,
                          .can_create_database = entry->can_create_database,
                          .can_create_role = entry->can_create_role,
                          .inherits = entry->inherits,
                          .can_replicate = entry->can_replicate,
                          .bypasses_row_security = entry->bypasses_row_security,
                          .connection_limit = entry->connection_limit,
                          .valid_until = entry->valid_until,
                          .password = entry->password};
    return true;
}

bool kd_role_find(const kd_catalog_version *version, kd_slice name, kd_role *out_role)
{
    return fill(kd_role_entry_find(version, name), out_role);
}

bool kd_role_get(const kd_catalog_version *version, uint32_t role_no, kd_role *out_role)
{
    return fill(kd_role_entry_get(version, role_no), out_role);
}

kd_slice kd_role_name(const kd_catalog_version *version, uint32_t role_no,
                      char room[KD_ROLE_NAME_ROOM])
{
    const kd_role_entry *entry = kd_role_entry_get(version, role_no);
    if (entry != NULL)
        return entry->object.name;
    (void)snprintf(room, KD_ROLE_NAME_ROOM, "%u", role_no);
    return kd_slice_of(room);
}

/* --- All of them --------------------------------------------------------------------------------
 */

typedef struct stored_visit {
    void (*visit)(void *object, const kd_role_entry *role);
    void *object;
} stored_visit;

static void visit_stored(void *object, const kd_object *entry)
{
    const stored_visit *it = object;
    if (entry->kind == KD_OBJECT_ROLE && entry->object_no >= KD_OBJECT_NO_FIRST)
        it->visit(it->object, (const kd_role_entry *)entry);
}

void kd_role_visit(const kd_catalog_version *version,
                   void (*visit)(void *object, const kd_role_entry *role), void *object)
{
    stored_visit stored = {visit, object};
    for (int i = 0; i < PREDEFINED_COUNT; i++)
        visit(object, kd_role_entry_get(version, predefined[i].object.object_no));
    kd_catalog_visit(version, visit_stored, &stored);
}

/* --- Memberships --------------------------------------------------------------------------------
 */

bool kd_role_is_superuser(const kd_catalog_version *version, uint32_t role_no)
{
    if (role_no == KD_ROLE_OWNER)
        return true;
    const kd_role_entry *entry = kd_role_entry_get(version, role_no);
    return entry != NULL && entry->is_superuser;
}

/* A walk from a member to a role, along memberships that pass. */
typedef struct walk {
    const kd_catalog_version *version;
    uint32_t role_no;
    bool inheriting; /* Only through roles that inherit. */
    bool by_admin;   /* The last step must be one with ADMIN OPTION. */
    uint32_t steps;  /* Taken so far: there may be very many ways through a graph. */
} walk;

static bool reaches(walk *it, uint32_t member_no, int depth)
{
    const kd_role_entry *member = kd_role_entry_get(it->version, member_no);
    if (member == NULL || depth == MEMBERSHIP_DEPTH_MAX || it->steps++ == MEMBERSHIP_STEPS_MAX ||
        (it->inheriting && !member->inherits))
        return false;
    for (uint32_t i = 0; i < member->membership_count; i++) {
        const kd_membership *membership = &member->memberships[i];
        if (membership->role_no == it->role_no && (membership->with_admin || !it->by_admin))
            return true;
        if (reaches(it, membership->role_no, depth + 1))
            return true;
    }
    return false;
}

bool kd_role_is_member(const kd_catalog_version *version, uint32_t member_no, uint32_t role_no,
                       kd_member_way way)
{
    walk it = {.version = version, .role_no = role_no, .inheriting = way == KD_MEMBER_INHERITS};
    return member_no == role_no || kd_role_is_superuser(version, member_no) ||
           reaches(&it, member_no, 0);
}

bool kd_role_may_admin(const kd_catalog_version *version, uint32_t member_no, uint32_t role_no)
{
    walk it = {.version = version, .role_no = role_no, .by_admin = true};
    return kd_role_is_superuser(version, member_no) || reaches(&it, member_no, 0);
}
