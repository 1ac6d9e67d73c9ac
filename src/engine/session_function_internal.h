/*
 * What the functions that need the session share.
 *
 *   session_function.c  sequences and settings
 *   catalog_function.c  pg_get_*, format_type, to_regclass, sizes, privileges
 *   damage_function.c   kade_check, kade_check_files, kade_damage
 *   enum_function.c     enum_first, enum_last, enum_range
 *   backup_function.c   kade_backup and what belongs to it
 *   file_function.c     read_csv, read_ndjson
 *   usage_function.c    pg_stat_reset
 */
#ifndef KD_ENGINE_SESSION_FUNCTION_INTERNAL_H
#define KD_ENGINE_SESSION_FUNCTION_INTERNAL_H

#include "engine/engine_internal.h"

kd_session *kdi_call_session(const kd_call_env *env);
/* The version that the running statement has pinned. */
const kd_catalog_version *kdi_call_catalog(const kd_call_env *env);
kd_status kdi_return_text(kd_ctx *ctx, const kd_call_env *env, kd_slice text,
                          void *result) KD_MUST_CHECK;
/* A relation by its name as written in SQL ("my table", public.t), by the search path; NULL when
 * there is none. 42602 for what is no name. */
kd_status kdi_find_relation_text(kd_ctx *ctx, const kd_session *session,
                                 const kd_catalog_version *catalog, kd_slice text,
                                 const kd_object **out_object) KD_MUST_CHECK;

kd_status kdi_register_catalog_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_register_damage_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_register_enum_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_register_usage_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_register_backup_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_register_file_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;

#endif
