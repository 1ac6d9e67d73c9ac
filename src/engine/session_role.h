/*
 * The roles that a session has: who opened it, SET SESSION AUTHORIZATION, SET ROLE.
 *
 * They are numbers in the session's settings, so that they follow transactions as other settings
 * do; names are looked up in the catalog that a statement sees.
 */
#ifndef KD_ENGINE_SESSION_ROLE_H
#define KD_ENGINE_SESSION_ROLE_H

#include "engine/engine_internal.h"
#include "security/role.h"

/* The role that a new session is of, and what it begins with. 28000. */
kd_status kdi_session_log_in(kd_ctx *ctx, kd_session *session,
                             const kd_session_options *options) KD_MUST_CHECK;
/* What ALTER ROLE ... SET says, over the database's values. What it does not understand any more
 * stays as it is. */
void kdi_session_role_defaults(const kd_session *session, kd_settings *settings);

/* "role" and "session_authorization". */
bool kdi_is_role_setting(kd_slice name);
/* SET one of them; NULL: to its default. 22023, 42501. */
kd_status kdi_set_role(kd_ctx *ctx, const kd_session *session, const kd_catalog_version *catalog,
                       kd_settings *settings, kd_slice name, const kd_slice *value) KD_MUST_CHECK;
kd_status kdi_show_role(kd_ctx *ctx, kd_arena *arena, const kd_session *session, kd_slice name,
                        kd_slice *out_value) KD_MUST_CHECK;

/* Who statements are run as, and who SET SESSION AUTHORIZATION said. */
uint32_t kdi_current_role_no(const kd_session *session);
/* Until it is called again with what it returns, statements have the rights of this role (0: of the
 * session's): the engine's own, and those of SECURITY DEFINER routines. */
uint32_t kdi_act_as(kd_session *session, uint32_t role_no);
/* NUL-terminated, as long as the catalog version. */
const char *kdi_role_text(const kd_catalog_version *catalog, uint32_t role_no);

/* The role that a statement names: also by "current_user" and the like. 42704. */
kd_status kdi_named_role(kd_ctx *ctx, const kd_run *run, kd_slice name,
                         const kd_role_entry **out_role) KD_MUST_CHECK;

#endif
