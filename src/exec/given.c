/*
 * GIVEN: the rows of a data-modifying WITH query.
 *
 * The engine has run that query before this plan, and keeps what it returned for as
 * long as the statement; the batches are passed on as they are.
 */
#include "exec/pipeline_internal.h"

typedef struct given_op {
    kdi_op op;
    kd_given_rows rows;
    uint32_t next_batch;
    kd_vector *columns;
} given_op;

static kd_status given_open(kd_ctx *ctx, kdi_op *op)
{
    given_op *self = (given_op *)op;
    const kd_execute_options *options = op->exec->options;
    uint32_t no = op->plan->as.cte.cte_no;
    if (no >= options->given_count)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the rows of a modifying query were not given");
    self->rows = options->given[no];
    self->next_batch = 0;
    self->columns = KD_NEW_ARRAY(ctx, op->arena, kd_vector, op->plan->column_count);
    return self->columns == NULL ? KD_NOMEM : KD_OK;
}

static kd_status given_next(kd_ctx *ctx, kdi_op *op, void *local, kd_batch *out, bool *out_end)
{
    (void)ctx;
    (void)local;
    given_op *self = (given_op *)op;
    *out_end = self->next_batch == self->rows.batch_count;
    if (*out_end)
        return KD_OK;
    const kd_batch *batch = &self->rows.batches[self->next_batch++];
    for (uint32_t c = 0; c < op->plan->column_count; c++)
        self->columns[c] = batch->columns[op->plan->as.cte.source_positions[c]];
    *out = (kd_batch){.row_count = batch->row_count,
                      .selected_count = batch->selected_count,
                      .selection = batch->selection,
                      .column_count = op->plan->column_count,
                      .columns = self->columns};
    return KD_OK;
}

static const kdi_op_class given_class = {
    .open = given_open,
    .next = given_next,
};

kd_status kdi_build_given(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    given_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &given_class, sizeof *self, &self));
    self->op.is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
