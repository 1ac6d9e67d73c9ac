/*
 * Routines: defining them (define_routine.c) and running them (routine.c).
 */
#ifndef KD_ENGINE_ROUTINE_INTERNAL_H
#define KD_ENGINE_ROUTINE_INTERNAL_H

#include "engine/define_internal.h"
#include "engine/session_function_internal.h"
#include "engine/value_cast.h"

/* The body as statements. */
kd_status kdi_routine_text(kd_ctx *ctx, kd_arena *arena, const kd_routine_entry *routine,
                           kd_slice *out) KD_MUST_CHECK;

kd_status kdi_register_routine_texts(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;

/* What a look at a body finds. */
typedef struct kdi_routine_check {
    kd_run *run;
    uint32_t column_count; /* Of the last statement; 0: it gives no rows. */
    kd_type *column_types;
    uint32_t *depends_on;
    uint32_t depends_count;
    size_t depends_capacity;
} kdi_routine_check;

/* Binds the queries and data changes of a body. `types` are those of its input arguments. */
kd_status kdi_routine_check_body(kd_ctx *ctx, const kd_routine_entry *routine, const kd_type *types,
                                 kdi_routine_check *check) KD_MUST_CHECK;
/* Runs a body; rows of its last statement go to `take` (NULL: nowhere). */
kd_status kdi_routine_run(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                          const kd_routine_entry *routine, const kd_value *arguments,
                          uint32_t count, kdi_take_row take, void *object) KD_MUST_CHECK;

#endif
