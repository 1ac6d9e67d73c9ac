/*
 * Partitions that need not be read, told before their pipelines are made.
 */
#include "exec/partition_gate.h"

#include "sql/expr_walk.h"

/* The scan of one partition below a branch of a UNION ALL, if that is what it is. */
static const kd_plan *scan_of(const kd_plan *branch)
{
    while (branch->kind == KD_PLAN_PROJECT || branch->kind == KD_PLAN_FILTER)
        branch = branch->inputs[0];
    return branch;
}

static kd_status values_evaluate(kd_ctx *ctx, kdi_op *op, const kd_plan_gate *gate, uint32_t count,
                                 kd_value **out_values)
{
    kd_arena *arena = op->exec->arena;
    *out_values = KD_NEW_ARRAY(ctx, arena, kd_value, count);
    if (*out_values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_evaluate_now(ctx, op, arena, gate->values[i], &(*out_values)[i]));
    return KD_OK;
}

static bool same_question(const kd_plan_gate *a, const kd_plan_gate *b)
{
    if (b == NULL || a->key != b->key)
        return false;
    for (uint32_t i = 0; i < a->key->storage.column_count; i++)
        if (!kd_expr_equal(a->values[i], b->values[i]))
            return false;
    return true;
}

/* The branches of one table ask the same, so the key is looked up once for all of them. */
static kd_status key_passes(kd_ctx *ctx, kdi_op *op, const kd_plan_gate *gate,
                            kdi_gate_memory *memory, bool *out_passes)
{
    const kd_execute_options *options = op->exec->options;
    if (!same_question(gate, memory->asked)) {
        kd_value *values;
        KD_TRY(values_evaluate(ctx, op, gate, gate->key->storage.column_count, &values));
        KD_TRY(kd_partition_of_key(ctx, op->exec->arena, options->storage, gate->key, gate->shape,
                                   options->snapshot, values, &memory->partition_no));
        memory->asked = gate;
    }
    *out_passes = memory->partition_no == gate->partition_no;
    return KD_OK;
}

kd_status kdi_gate_passes(kd_ctx *ctx, kdi_op *op, const kd_plan *branch, kdi_gate_memory *memory,
                          bool *out_passes)
{
    const kd_plan *scan = scan_of(branch);
    *out_passes = true;
    for (uint32_t i = 0; i < scan->gate_count && *out_passes; i++) {
        const kd_plan_gate *gate = &scan->gates[i];
        if (gate->bound == NULL) {
            KD_TRY(key_passes(ctx, op, gate, memory, out_passes));
            continue;
        }
        kd_value *value;
        KD_TRY(values_evaluate(ctx, op, gate, 1, &value));
        *out_passes = !kd_partition_excludes(gate->parent, gate->bound, gate->test, value);
    }
    return KD_OK;
}
