/*
 * Roles: who there is, and who is a member of whom.
 *
 * Roles are objects of the catalog. Every database has the owner's role, a superuser, and
 * PostgreSQL's predefined ones without being told: they are stored only once something about them
 * was changed (the owner's password, say), and are found as the others are.
 */
#ifndef KD_SECURITY_ROLE_H
#define KD_SECURITY_ROLE_H

#include "catalog/catalog.h"

/* Roles that every database has: PostgreSQL's numbers. */
enum {
    KD_ROLE_OWNER = KD_OWNER_ROLE_NO, /* "kade": also what sessions without a name are of. */
    KD_ROLE_MONITOR = 3373,
    KD_ROLE_READ_ALL_SETTINGS = 3374,
    KD_ROLE_READ_ALL_STATS = 3375,
    KD_ROLE_STAT_SCAN_TABLES = 3377,
    KD_ROLE_SIGNAL_BACKEND = 4200,
    KD_ROLE_CHECKPOINT = 4544,
    KD_ROLE_READ_SERVER_FILES = 4569,
    KD_ROLE_WRITE_SERVER_FILES = 4570,
    KD_ROLE_EXECUTE_SERVER_PROGRAM = 4571,
    KD_ROLE_DATABASE_OWNER = 6171,
    KD_ROLE_READ_ALL_DATA = 6181,
    KD_ROLE_WRITE_ALL_DATA = 6182,
};

/* Texts live as long as the pin of the catalog version. */
typedef struct kd_role {
    uint32_t object_no;
    kd_slice name;
    bool is_superuser, can_login, can_create_database, can_create_role, inherits, can_replicate;
    bool bypasses_row_security;
    int32_t connection_limit; /* -1: none */
    int64_t valid_until;      /* timestamptz, INT64_MAX: for ever. */
    kd_slice password;        /* SCRAM verifier or empty. */
} kd_role;

/* False where there is none. */
bool kd_role_find(const kd_catalog_version *version, kd_slice name, kd_role *out_role);
bool kd_role_get(const kd_catalog_version *version, uint32_t role_no, kd_role *out_role);
/* The entries themselves; NULL where there is none. */
const kd_role_entry *kd_role_entry_find(const kd_catalog_version *version, kd_slice name);
const kd_role_entry *kd_role_entry_get(const kd_catalog_version *version, uint32_t role_no);
/* The name, or its number as text in `room` where there is no such role. */
enum { KD_ROLE_NAME_ROOM = 16 };
kd_slice kd_role_name(const kd_catalog_version *version, uint32_t role_no,
                      char room[KD_ROLE_NAME_ROOM]);
/* Every role, in order of number: those that every database has too. */
void kd_role_visit(const kd_catalog_version *version,
                   void (*visit)(void *object, const kd_role_entry *role), void *object);

typedef enum kd_member_way {
    KD_MEMBER_ANY = 0,  /* Directly or through others: it may SET ROLE. */
    KD_MEMBER_INHERITS, /* Through roles that inherit all the way: it has the privileges. */
} kd_member_way;

/* Whether a role is another or a member of it. Superusers are members of all. */
bool kd_role_is_member(const kd_catalog_version *version, uint32_t member_no, uint32_t role_no,
                       kd_member_way way);
/* Whether it may make others members of the role. */
bool kd_role_may_admin(const kd_catalog_version *version, uint32_t member_no, uint32_t role_no);
bool kd_role_is_superuser(const kd_catalog_version *version, uint32_t role_no);

#endif
