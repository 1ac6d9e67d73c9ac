/*
 * Running pipelines: the walk of one thread through source, operators and sink.
 */
#include "exec/pipeline_internal.h"

#include "exec/worker_internal.h"

#include <assert.h>

struct kdi_runner {
    kdi_pipeline *pipeline;
    void *source_local;
    void **locals;
    kd_batch *batches; /* [0] from the source, [i + 1] from op i. */
    bool *pending;     /* Op i has more to give of batches[i]. */
    size_t flushing;   /* Ops before it have flushed. */
    bool source_ended;
};

static void actual_add(kdi_op *op, const kd_batch *batch)
{
    if (batch->selected_count == 0)
        return;
    (void)atomic_fetch_add_explicit(&op->rows, batch->selected_count, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&op->batches, 1, memory_order_relaxed);
}

static uint64_t clock_start(const kdi_op *op)
{
    if (!op->exec->options->collect_actuals)
        return 0;
    kd_world *world = kdi_exec_world(op->exec);
    return world->monotonic_ns(world);
}

static void clock_stop(kdi_op *op, uint64_t start)
{
    if (start == 0)
        return;
    kd_world *world = kdi_exec_world(op->exec);
    (void)atomic_fetch_add_explicit(&op->time_ns, world->monotonic_ns(world) - start,
                                    memory_order_relaxed);
}

kd_status kdi_runner_create(kd_ctx *ctx, kd_arena *arena, kdi_pipeline *pipeline,
                            kdi_runner **out_runner)
{
    kd_status status = KD_OK;
    *out_runner = NULL;
    kdi_runner *runner = KD_NEW(ctx, arena, kdi_runner);
    if (runner == NULL)
        return KD_NOMEM;
    size_t count = pipeline->op_count;
    runner->pipeline = pipeline;
    runner->locals = KD_NEW_ARRAY(ctx, arena, void *, count);
    runner->batches = KD_NEW_ARRAY(ctx, arena, kd_batch, count + 1);
    runner->pending = KD_NEW_ARRAY(ctx, arena, bool, count);
    if (runner->locals == NULL || runner->batches == NULL || runner->pending == NULL)
        return KD_NOMEM;
    kdi_op *source = pipeline->source;
    if (source->class->local_create != NULL)
        KD_TRY_OUT(source->class->local_create(ctx, source, arena, &runner->source_local));
    for (size_t i = 0; i < count; i++) {
        kdi_op *op = pipeline->ops[i];
        (void)atomic_fetch_add(&op->active_locals, 1);
        if (op->class->local_create != NULL)
            KD_TRY_OUT(op->class->local_create(ctx, op, arena, &runner->locals[i]));
    }
    *out_runner = runner;
    runner = NULL;
out:
    kdi_runner_destroy(runner);
    return status;
}

void kdi_runner_destroy(kdi_runner *runner)
{
    if (runner == NULL)
        return;
    kdi_pipeline *pipeline = runner->pipeline;
    for (size_t i = pipeline->op_count; i-- > 0;) {
        kdi_op *op = pipeline->ops[i];
        if (runner->locals[i] != NULL && op->class->local_destroy != NULL)
            op->class->local_destroy(op, runner->locals[i]);
        runner->locals[i] = NULL;
    }
    if (runner->source_local != NULL && pipeline->source->class->local_destroy != NULL)
        pipeline->source->class->local_destroy(pipeline->source, runner->source_local);
    runner->source_local = NULL;
}

/* Gives the level of the batch to go on with, or op_count + 1 when there is none any more. */
static kd_status runner_refill(kd_ctx *ctx, kdi_runner *runner, size_t *out_level)
{
    kdi_pipeline *pipeline = runner->pipeline;
    size_t count = pipeline->op_count;
    *out_level = count + 1;
    if (!runner->source_ended) {
        kdi_op *source = pipeline->source;
        bool end = false;
        uint64_t start = clock_start(source);
        kd_status status =
            source->class->next(ctx, source, runner->source_local, &runner->batches[0], &end);
        clock_stop(source, start);
        if (status != KD_OK)
            return status;
        if (!end) {
            actual_add(source, &runner->batches[0]);
            *out_level = 0;
            return KD_OK;
        }
        runner->source_ended = true;
    }
    while (runner->flushing < count) {
        kdi_op *op = pipeline->ops[runner->flushing];
        kdi_flow flow = KDI_NEED_INPUT;
        kd_batch *out = &runner->batches[runner->flushing + 1];
        *out = (kd_batch){0};
        if (op->class->flush != NULL)
            KD_TRY(op->class->flush(ctx, op, runner->locals[runner->flushing], out, &flow));
        size_t level = runner->flushing + 1;
        if (flow != KDI_HAVE_MORE) {
            runner->flushing++;
        }
        if (out->selected_count > 0) {
            actual_add(op, out);
            *out_level = level;
            return KD_OK;
        }
        KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

/* Op `level` wants nothing more: everything before it is over. */
static void runner_cut(kdi_runner *runner, size_t level)
{
    for (size_t i = 0; i <= level; i++)
        runner->pending[i] = false;
    runner->source_ended = true;
    if (runner->flushing <= level)
        runner->flushing = level + 1;
}

kd_status kdi_runner_next(kd_ctx *ctx, kdi_runner *runner, kd_batch *out_batch, bool *out_end)
{
    kdi_pipeline *pipeline = runner->pipeline;
    size_t count = pipeline->op_count;
    *out_batch = (kd_batch){0};
    *out_end = false;
    for (;;) {
        KD_TRY(kd_progress_add(ctx, 0));
        size_t level = count;
        while (level > 0 && !runner->pending[level - 1])
            level--;
        if (level > 0)
            level--;
        else
            KD_TRY(runner_refill(ctx, runner, &level));
        if (level > count) {
            *out_end = true;
            return KD_OK;
        }
        while (level < count && runner->batches[level].selected_count > 0) {
            kdi_op *op = pipeline->ops[level];
            kdi_flow flow = KDI_NEED_INPUT;
            kd_batch *out = &runner->batches[level + 1];
            *out = (kd_batch){0};
            uint64_t start = clock_start(op);
            kd_status status = op->class->push(ctx, op, runner->locals[level],
                                               &runner->batches[level], out, &flow);
            clock_stop(op, start);
            if (status != KD_OK)
                return status;
            actual_add(op, out);
            runner->pending[level] = flow == KDI_HAVE_MORE;
            if (flow == KDI_DONE)
                runner_cut(runner, level);
            level++;
        }
        if (level == count && runner->batches[count].selected_count > 0) {
            *out_batch = runner->batches[count];
            return KD_OK;
        }
    }
}

/* ---- Whole pipelines ---- */

kd_status kdi_pipeline_prepare(kd_ctx *ctx, kdi_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->need_count; i++)
        KD_TRY(kdi_pipeline_run(ctx, pipeline->needs[i]));
    kdi_op *source = pipeline->source;
    if (!source->is_open && source->class->open != NULL)
        KD_TRY(source->class->open(ctx, source));
    source->is_open = true;
    for (size_t i = 0; i < pipeline->op_count; i++) {
        kdi_op *op = pipeline->ops[i];
        if (!op->is_open && op->class->open != NULL)
            KD_TRY(op->class->open(ctx, op));
        op->is_open = true;
    }
    return KD_OK;
}

kd_status kdi_pipeline_run(kd_ctx *ctx, kdi_pipeline *pipeline)
{
    if (pipeline->is_done)
        return KD_OK;
    if (pipeline->is_running)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a pipeline needs itself");
    pipeline->is_running = true;
    KD_TRY(kdi_pipeline_prepare(ctx, pipeline));
    KD_TRY(kdi_pipeline_drain(ctx, pipeline));
    if (pipeline->sink->class->finish != NULL) {
        uint64_t start = clock_start(pipeline->sink);
        KD_TRY(pipeline->sink->class->finish(ctx, pipeline->sink));
        clock_stop(pipeline->sink, start);
    }
    (void)kdi_budget_most_bytes(pipeline->sink->budget);
    pipeline->is_done = true;
    pipeline->is_running = false;
    return KD_OK;
}

kd_status kdi_sink_feed(kd_ctx *ctx, kdi_pipeline *pipeline, kdi_runner *runner, void *local)
{
    kdi_op *sink = pipeline->sink;
    for (;;) {
        kd_batch batch;
        bool end;
        KD_TRY(kdi_runner_next(ctx, runner, &batch, &end));
        if (end)
            return KD_OK;
        kdi_flow flow = KDI_NEED_INPUT;
        uint64_t start = clock_start(sink);
        KD_TRY(sink->class->sink(ctx, sink, local, &batch, &flow));
        clock_stop(sink, start);
        if (flow == KDI_DONE)
            return KD_OK;
    }
}
