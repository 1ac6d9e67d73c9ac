/*
 * Casting single values to a type, as SQL's casts do.
 */
#ifndef KD_ENGINE_VALUE_CAST_H
#define KD_ENGINE_VALUE_CAST_H

#include "exec/execute.h"

/* The result's bytes are in `arena`. A type of UNKNOWN leaves the value as it is. 42846 when there
 * is no such cast; otherwise the cast's own failures. */
kd_status kd_value_cast(kd_ctx *ctx, kd_arena *arena, const kd_registry *registry,
                        const kd_session_facts *facts, const kd_value *value, kd_type type,
                        kd_cast_context context, kd_value *out_value) KD_MUST_CHECK;

#endif
