/*
 * May this principal do this to that object?
 *
 * The binder asks for every object that a statement reads or writes. There is one
 * role so far, the owner of the database, and it may do everything; roles, grants
 * and policies will be decided here without the callers changing.
 */
#ifndef KD_SECURITY_AUTHORIZE_H
#define KD_SECURITY_AUTHORIZE_H

#include "catalog/catalog.h"

/* Privileges as PostgreSQL's access control lists write them. */
typedef enum kd_privilege {
    KD_PRIVILEGE_SELECT = 'r',
    KD_PRIVILEGE_INSERT = 'a',
    KD_PRIVILEGE_UPDATE = 'w',
    KD_PRIVILEGE_DELETE = 'd',
} kd_privilege;

typedef struct kd_principal {
    uint32_t role_no;
    const kd_catalog_version *catalog; /* What says what it may do. */
} kd_principal;

/* KD_DENIED 42501 when not. `object` is the kd_principal: this is kd_bind_options.authorize. */
kd_status kd_authorize(kd_ctx *ctx, void *object, const kd_object *entry,
                       char privilege) KD_MUST_CHECK;

#endif
