/*
 * TABLESAMPLE SYSTEM: blocks that are not drawn are not read. The condition itself stays in the
 * scan's filter; here it is asked once per block, about the block's first row.
 */
#include "exec/scan_sample_internal.h"

static const kd_expr *find_block_sample(const kd_expr *condition)
{
    if (condition == NULL)
        return NULL;
    if (condition->kind == KD_EXPR_CALL && strcmp(condition->function->name, "sample_block") == 0)
        return condition;
    const kd_expr *found = NULL;
    for (uint32_t i = 0; condition->kind == KD_EXPR_AND && i < condition->argument_count; i++)
        if (found == NULL)
            found = find_block_sample(condition->arguments[i]);
    return found;
}

static kd_status block_is_drawn(kd_ctx *ctx, void *object, kd_rowref first, bool *out_reads)
{
    const kdi_block_sample *sample = object;
    const void *args[KD_FUNCTION_ARGUMENTS_MAX] = {&first};
    for (uint32_t i = 1; i < sample->env.argument_count; i++)
        args[i] = sample->arguments[i].is_null ? NULL : (const void *)&sample->arguments[i].as;
    kd_call_env env = sample->env;
    _Alignas(16) uint8_t answer[16] = {0};
    bool is_null = false;
    KD_TRY(sample->function->row(ctx, &env, args, answer, &is_null));
    *out_reads = !is_null && answer[0] != 0;
    return KD_OK;
}

kd_status kdi_block_sample_prepare(kd_ctx *ctx, kdi_op *op, const kd_expr *condition,
                                   kd_scan_spec *spec)
{
    const kd_expr *call = find_block_sample(condition);
    if (call == NULL || call->arguments[0]->kind != KD_EXPR_COLUMN)
        return KD_OK;
    kdi_block_sample *sample = KD_NEW(ctx, op->arena, kdi_block_sample);
    if (sample == NULL)
        return KD_NOMEM;
    sample->function = call->function;
    sample->env = (kd_call_env){.facts = op->exec->options->facts,
                                .arena = op->arena,
                                .state_arena = op->arena,
                                .argument_count = call->argument_count,
                                .result_type = call->type,
                                .data = call->function->data};
    for (uint32_t i = 1; i < call->argument_count; i++)
        KD_TRY(kdi_evaluate_now(ctx, op, op->arena, call->arguments[i], &sample->arguments[i]));
    spec->block_test = block_is_drawn;
    spec->block_test_object = sample;
    return KD_OK;
}
