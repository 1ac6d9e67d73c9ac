/*
 * Statements about roles: see define_role.c.
 */
#ifndef KD_ENGINE_DEFINE_ROLE_H
#define KD_ENGINE_DEFINE_ROLE_H

#include "engine/define_internal.h"

/* CREATE and ALTER ROLE, USER, GROUP. */
kd_status kdi_role_definition(kd_ctx *ctx, kd_run *run,
                              const kd_ast_create_role *ast) KD_MUST_CHECK;
kd_status kdi_rename_role(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast) KD_MUST_CHECK;
kd_status kdi_drop_roles(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast) KD_MUST_CHECK;
/* GRANT role TO role, REVOKE role FROM role. */
kd_status kdi_grant_roles(kd_ctx *ctx, kd_run *run, const kd_ast_grant *ast) KD_MUST_CHECK;
/* ALTER ROLE ... SET and RESET. */
kd_status kdi_alter_role_setting(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast) KD_MUST_CHECK;

#endif
