/*
 * Who may log in, and how they prove who they are.
 */
#ifndef KD_SERVER_LOGIN_H
#define KD_SERVER_LOGIN_H

#include "engine/database.h"

typedef struct kdi_login {
    bool exists;
    bool may_log_in;
    bool is_superuser;
    kd_slice verifier; /* As security/scram.h has it; empty: no password lets them in. */
} kdi_login;

/* A role of this name; one that there is not is no failure. Texts are in `arena`. */
kd_status kdi_login_find(kd_ctx *ctx, kd_arena *arena, kd_database *database, kd_slice name,
                         kdi_login *out_login) KD_MUST_CHECK;

#endif
