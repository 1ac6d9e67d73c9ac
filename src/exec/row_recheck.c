/*
 * Looking again at one row: a kd_recheck, compiled.
 *
 * All values that the steps may name stand in one array: the scan's columns, the
 * reference, then what each projection adds.
 */
#include "exec/execute.h"

typedef struct recheck_step {
    kd_compiled_expr *condition;
    uint32_t first, count; /* Of the values that it adds. */
    kd_compiled_expr **exprs;
} recheck_step;

struct kd_row_recheck {
    const kd_recheck *recheck;
    uint32_t id_count;
    kd_column_id *ids;
    kd_value *values;
    recheck_step *steps;
};

/* A column that a projection hands through stands twice in the array; the newer one counts. */
static void ids_add(kd_row_recheck *self, const kd_recheck_step *step)
{
    for (uint32_t i = 0; i < step->count; i++)
        self->ids[self->id_count++] = step->ids[i];
}

static kd_status compile_steps(kd_ctx *ctx, kd_arena *arena, kd_row_recheck *self,
                               const kd_session_facts *facts, const kd_value *parameters,
                               uint32_t parameter_count)
{
    for (uint32_t s = 0; s < self->recheck->step_count; s++) {
        const kd_recheck_step *from = &self->recheck->steps[s];
        recheck_step *step = &self->steps[s];
        step->first = self->id_count;
        step->count = from->count;
        if (from->condition != NULL)
            KD_TRY(kd_expr_compile(ctx, arena, from->condition, self->ids, self->id_count, facts,
                                   parameters, parameter_count, &step->condition));
        step->exprs = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, from->count);
        if (step->exprs == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < from->count; i++)
            KD_TRY(kd_expr_compile(ctx, arena, from->exprs[i], self->ids, self->id_count, facts,
                                   parameters, parameter_count, &step->exprs[i]));
        ids_add(self, from);
    }
    return KD_OK;
}

kd_status kd_row_recheck_create(kd_ctx *ctx, kd_arena *arena, const kd_recheck *recheck,
                                const kd_session_facts *facts, const kd_value *parameters,
                                uint32_t parameter_count, kd_row_recheck **out_recheck)
{
    uint32_t most = recheck->column_count + 1;
    *out_recheck = NULL;
    for (uint32_t s = 0; s < recheck->step_count; s++)
        most += recheck->steps[s].count;
    kd_row_recheck *self = KD_NEW(ctx, arena, kd_row_recheck);
    if (self == NULL)
        return KD_NOMEM;
    self->recheck = recheck;
    self->ids = KD_NEW_ARRAY(ctx, arena, kd_column_id, most);
    self->values = KD_NEW_ARRAY(ctx, arena, kd_value, most);
    self->steps = KD_NEW_ARRAY(ctx, arena, recheck_step, recheck->step_count);
    if (self->ids == NULL || self->values == NULL || self->steps == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < recheck->column_count; i++)
        self->ids[self->id_count++] = recheck->ids[i];
    self->ids[self->id_count++] = recheck->ref_column;
    KD_TRY(compile_steps(ctx, arena, self, facts, parameters, parameter_count));
    *out_recheck = self;
    return KD_OK;
}

kd_status kd_row_recheck_run(kd_ctx *ctx, kd_row_recheck *self, kd_arena *arena,
                             const kd_value *row, kd_rowref ref, bool *out_holds)
{
    const kd_recheck *recheck = self->recheck;
    *out_holds = false;
    for (uint32_t i = 0; i < recheck->column_count; i++)
        self->values[i] = row[recheck->positions[i]];
    self->values[recheck->column_count] = kd_value_i64((int64_t)ref);
    for (uint32_t s = 0; s < recheck->step_count; s++) {
        const recheck_step *step = &self->steps[s];
        if (step->condition != NULL) {
            kd_value holds;
            KD_TRY(kd_expr_evaluate_row(ctx, step->condition, arena, self->values, &holds));
            if (holds.is_null || !holds.as.boolean)
                return KD_OK;
        }
        for (uint32_t i = 0; i < step->count; i++)
            KD_TRY(kd_expr_evaluate_row(ctx, step->exprs[i], arena, self->values,
                                        &self->values[step->first + i]));
    }
    *out_holds = true;
    return KD_OK;
}

const kd_value *kd_row_recheck_value(const kd_row_recheck *self, kd_column_id id)
{
    for (uint32_t i = self->id_count; i-- > 0;) {
        if (self->ids[i] == id)
            return &self->values[i];
    }
    return NULL;
}
