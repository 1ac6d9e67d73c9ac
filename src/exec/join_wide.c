/*
 * The columns of a join: left's and right's side by side.
 */
#include "exec/join_wide_internal.h"

bool kdi_join_gives_right(kd_join_kind kind)
{
    return kind == KD_JOIN_INNER || kind == KD_JOIN_LEFT || kind == KD_JOIN_RIGHT ||
           kind == KD_JOIN_FULL || kind == KD_JOIN_SINGLE;
}

static kd_status sources_find(kd_ctx *ctx, const kdi_op *op, kd_arena *arena, kdi_join_wide *wide)
{
    const kd_plan *plan = op->plan;
    kd_column_id mark = plan->kind == KD_PLAN_APPLY ? plan->as.apply.mark : plan->as.join.mark;
    uint32_t total = wide->left_count + wide->right_count;
    wide->sources = KD_NEW_ARRAY(ctx, arena, uint32_t, plan->column_count);
    wide->outputs = KD_NEW_ARRAY(ctx, arena, kd_vector, plan->column_count);
    if (wide->sources == NULL || wide->outputs == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < plan->column_count; c++) {
        uint32_t at = 0;
        while (at < total && wide->ids[at] != plan->columns[c].id)
            at++;
        wide->sources[c] = at < total ? at : UINT32_MAX;
        if (at == total && (mark == 0 || plan->columns[c].id != mark))
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a join's column %u comes from nowhere",
                           plan->columns[c].id);
    }
    return KD_OK;
}

static kd_status rooms_create(kd_ctx *ctx, const kd_plan *plan, kd_arena *arena,
                              kdi_join_wide *wide)
{
    uint32_t total = wide->left_count + wide->right_count;
    wide->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, total);
    wide->nulls = KD_NEW_ARRAY(ctx, arena, kd_vector, total);
    if (wide->columns == NULL || wide->nulls == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < total; i++) {
        kd_type type = i < wide->left_count ? plan->inputs[0]->columns[i].type
                                            : plan->inputs[1]->columns[i - wide->left_count].type;
        kd_value null = kd_value_null(type);
        KD_TRY(kd_vector_init_constant(ctx, arena, &null, &wide->nulls[i]));
    }
    KD_TRY(kdi_columns_create(ctx, arena, plan->inputs[0], &wide->left_room));
    KD_TRY(kdi_columns_create(ctx, arena, plan->inputs[1], &wide->right_room));
    return kdi_vector_create(ctx, arena, kd_type_of(KD_TYPE_BOOL), &wide->mark);
}

kd_status kdi_join_wide_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *condition,
                               kdi_join_wide **out_wide)
{
    const kd_plan *plan = op->plan;
    kdi_join_wide *wide = KD_NEW(ctx, arena, kdi_join_wide);
    *out_wide = wide;
    if (wide == NULL)
        return KD_NOMEM;
    wide->left_count = plan->inputs[0]->column_count;
    wide->right_count = plan->inputs[1]->column_count;
    uint32_t total = wide->left_count + wide->right_count;
    wide->ids = KD_NEW_ARRAY(ctx, arena, kd_column_id, total);
    if (wide->ids == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < wide->left_count; i++)
        wide->ids[i] = plan->inputs[0]->columns[i].id;
    for (uint32_t i = 0; i < wide->right_count; i++)
        wide->ids[wide->left_count + i] = plan->inputs[1]->columns[i].id;
    KD_TRY(sources_find(ctx, op, arena, wide));
    KD_TRY(rooms_create(ctx, plan, arena, wide));
    if (condition == NULL)
        return KD_OK;
    return kdi_expr_compile(ctx, arena, condition, wide->ids, total, &op->exec->scope,
                            &wide->condition);
}

void kdi_join_wide_emit(kdi_join_wide *wide, const kdi_op *op, uint32_t row_count,
                        const uint16_t *selection, uint32_t count, kd_batch *out)
{
    uint32_t column_count = op->plan->column_count;
    for (uint32_t c = 0; c < column_count; c++)
        wide->outputs[c] =
            wide->sources[c] == UINT32_MAX ? wide->mark : wide->columns[wide->sources[c]];
    *out = (kd_batch){.row_count = row_count,
                      .selected_count = count,
                      .selection = selection,
                      .column_count = column_count,
                      .columns = wide->outputs};
}

void kdi_join_wide_right_nulls(kdi_join_wide *wide)
{
    memcpy(wide->columns + wide->left_count, wide->nulls + wide->left_count,
           wide->right_count * sizeof *wide->columns);
}

void kdi_join_wide_left_nulls(kdi_join_wide *wide)
{
    memcpy(wide->columns, wide->nulls, wide->left_count * sizeof *wide->columns);
}
