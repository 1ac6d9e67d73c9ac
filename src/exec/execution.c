/*
 * Executions: from a plan to pipelines, and batches out of the last one.
 */
#include "exec/pipeline_internal.h"

#include "exec/worker_internal.h"

#include <assert.h>

enum { ARENA_BYTES_LEAST = 64 << 20 };

kd_world *kdi_exec_world(const kd_execution *exec)
{
    return exec->world;
}

/* ---- Building blocks ---- */

kd_status kdi_op_create(kd_ctx *ctx, kd_execution *exec, const kd_plan *plan,
                        const kdi_op_class *op_class, size_t size_bytes, void *out_op)
{
    kdi_op *op = kd_alloc(ctx, exec->arena, size_bytes);
    *(void **)out_op = op;
    if (op == NULL)
        return KD_NOMEM;
    op->class = op_class;
    op->plan = plan;
    op->exec = exec;
    op->arena = exec->arena;
    op->budget = KD_NEW(ctx, exec->arena, kdi_budget);
    if (op->budget == NULL)
        return KD_NOMEM;
    kdi_budget_init_part(op->budget, &exec->shared->budget);
    op->next_made = exec->made;
    exec->made = op;
    return KD_OK;
}

kd_status kdi_pipeline_create(kd_ctx *ctx, kd_execution *exec, kdi_pipeline **out_pipeline)
{
    kdi_pipeline *pipeline = KD_NEW(ctx, exec->arena, kdi_pipeline);
    *out_pipeline = pipeline;
    if (pipeline == NULL)
        return KD_NOMEM;
    pipeline->exec = exec;
    return KD_OK;
}

kd_status kdi_pipeline_add(kd_ctx *ctx, kdi_pipeline *pipeline, kdi_op *op)
{
    if (pipeline->source == NULL) {
        pipeline->source = op;
    } else {
        kdi_op **place;
        KD_TRY(KD_PUSH(ctx, pipeline->exec->arena, pipeline->ops, pipeline->op_count,
                       pipeline->op_capacity, &place));
        *place = op;
    }
    pipeline->is_serial |= op->is_serial;
    return KD_OK;
}

kd_status kdi_pipeline_need(kd_ctx *ctx, kdi_pipeline *pipeline, kdi_pipeline *needed)
{
    kdi_pipeline **place;
    KD_TRY(KD_PUSH(ctx, pipeline->exec->arena, pipeline->needs, pipeline->need_count,
                   pipeline->need_capacity, &place));
    *place = needed;
    return KD_OK;
}

kd_status kdi_build_sink(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *input, kdi_op *sink)
{
    kdi_pipeline *below;
    KD_TRY(kdi_pipeline_create(ctx, pipeline->exec, &below));
    KD_TRY(kdi_build(ctx, below, input));
    below->sink = sink;
    pipeline->exec->shared->keeps_rows = true;
    below->is_serial |= sink->sink_is_serial;
    return kdi_pipeline_need(ctx, pipeline, below);
}

kd_status kdi_build(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    static const kdi_builder builders[] = {
        [KD_PLAN_SCAN] = kdi_build_scan,
        [KD_PLAN_INDEX_SCAN] = kdi_build_index_scan,
        [KD_PLAN_FUNCTION] = kdi_build_function,
        [KD_PLAN_VALUES] = kdi_build_values,
        [KD_PLAN_VIRTUAL] = kdi_build_virtual,
        [KD_PLAN_FILTER] = kdi_build_filter,
        [KD_PLAN_PROJECT] = kdi_build_project,
        [KD_PLAN_HASH_JOIN] = kdi_build_hash_join,
        [KD_PLAN_NESTED_LOOP] = kdi_build_nested_loop,
        [KD_PLAN_APPLY] = kdi_build_apply,
        [KD_PLAN_AGGREGATE] = kdi_build_aggregate,
        [KD_PLAN_WINDOW] = kdi_build_window,
        [KD_PLAN_DISTINCT] = kdi_build_distinct,
        [KD_PLAN_SORT] = kdi_build_sort,
        [KD_PLAN_TOP_N] = kdi_build_sort,
        [KD_PLAN_LIMIT] = kdi_build_limit,
        [KD_PLAN_UNION_ALL] = kdi_build_union_all,
        [KD_PLAN_SET_OP] = kdi_build_set_op,
        [KD_PLAN_CTE_SCAN] = kdi_build_cte_scan,
        [KD_PLAN_RECURSIVE] = kdi_build_recursive,
        [KD_PLAN_WORKING_SCAN] = kdi_build_working_scan,
        [KD_PLAN_LOCK_ROWS] = kdi_build_lock_rows,
        [KD_PLAN_EMPTY] = kdi_build_empty,
        [KD_PLAN_GIVEN] = kdi_build_given,
    };
    size_t kind = (size_t)plan->kind;
    if (kind >= sizeof builders / sizeof *builders || builders[kind] == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "plan kind %d cannot be run", (int)plan->kind);
    return builders[kind](ctx, pipeline, plan);
}

/* ---- Shorthands ---- */

kd_status kdi_plan_ids(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan, kd_column_id **out_ids)
{
    *out_ids = KD_NEW_ARRAY(ctx, arena, kd_column_id, plan->column_count);
    if (*out_ids == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < plan->column_count; i++)
        (*out_ids)[i] = plan->columns[i].id;
    return KD_OK;
}

kd_status kdi_plan_types(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan, kd_type **out_types)
{
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, plan->column_count);
    if (*out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < plan->column_count; i++)
        (*out_types)[i] = plan->columns[i].type;
    return KD_OK;
}

kd_status kdi_compile(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *expr,
                      const kd_plan *input, kd_compiled_expr **out_compiled)
{
    *out_compiled = NULL;
    if (expr == NULL)
        return KD_OK;
    kd_column_id *ids;
    KD_TRY(kdi_plan_ids(ctx, arena, input, &ids));
    return kdi_expr_compile(ctx, arena, expr, ids, input->column_count, &op->exec->scope,
                            out_compiled);
}

kd_status kdi_compile_all(kd_ctx *ctx, kdi_op *op, kd_arena *arena, kd_expr *const *exprs,
                          uint32_t count, const kd_plan *input, kd_compiled_expr ***out_compiled)
{
    *out_compiled = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, count);
    if (*out_compiled == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_compile(ctx, op, arena, exprs[i], input, &(*out_compiled)[i]));
    return KD_OK;
}

kd_status kdi_evaluate_now(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *expr,
                           kd_value *out_value)
{
    kd_compiled_expr *compiled;
    KD_TRY(kdi_expr_compile_row(ctx, arena, expr, NULL, 0, &op->exec->scope, &compiled));
    return kd_expr_evaluate_row(ctx, compiled, arena, NULL, out_value);
}

bool kdi_expr_is_volatile(const kd_expr *expr)
{
    if (expr == NULL)
        return false;
    if (expr->kind == KD_EXPR_CALL && expr->function->volatility == KD_VOLATILE)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (kdi_expr_is_volatile(expr->arguments[i]))
            return true;
    return false;
}

kd_status kdi_columns_create(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan,
                             kd_vector **out_columns)
{
    *out_columns = KD_NEW_ARRAY(ctx, arena, kd_vector, plan->column_count);
    if (*out_columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < plan->column_count; i++)
        KD_TRY(kdi_vector_create(ctx, arena, plan->columns[i].type, &(*out_columns)[i]));
    return KD_OK;
}

uint32_t kdi_column_find(const kd_plan *plan, kd_column_id id)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->columns[i].id == id)
            return i;
    return UINT32_MAX;
}

kd_status kdi_views_open(kd_ctx *ctx, kd_arena *arena, kdi_view *views, uint32_t count,
                         const kd_vector *columns, const uint16_t *selection, uint32_t row_count)
{
    for (uint32_t c = 0; c < count; c++)
        KD_TRY(kdi_view_open(ctx, arena, &views[c], &columns[c], selection, row_count));
    return KD_OK;
}

/* ---- Life ---- */

static kd_status root_build(kd_ctx *ctx, kd_execution *exec, const kd_plan *plan)
{
    KD_TRY(kdi_pipeline_create(ctx, exec, &exec->root));
    return kdi_build(ctx, exec->root, plan);
}

static void ops_close(kd_execution *exec)
{
    for (kdi_op *op = exec->made; op != NULL; op = op->next_made)
        if (op->class->close != NULL)
            op->class->close(op);
    exec->made = NULL;
}

static kd_status shared_create(kd_ctx *ctx, kd_execution *exec, const kd_statement_plan *plan)
{
    kdi_shared *shared = KD_NEW(ctx, exec->arena, kdi_shared);
    exec->shared = shared;
    if (shared == NULL)
        return KD_NOMEM;
    shared->main = exec;
    shared->plan = plan;
    shared->options = exec->options;
    size_t limit = exec->options->memory_limit_bytes;
    kdi_budget_init(&shared->budget, exec->options->governor, limit == 0 ? SIZE_MAX : limit);
    uint64_t file_limit = exec->options->spill_limit_bytes;
    kdi_spill_file_init(&shared->spill, ctx->world, exec->options->spill_directory,
                        file_limit == 0 ? UINT64_MAX : file_limit, &shared->budget.account);
    shared->budget.spill = &shared->spill;
    shared->ctes = kd_alloc_array(ctx, exec->arena, plan->cte_count, sizeof *shared->ctes);
    shared->workings =
        kd_alloc_array(ctx, exec->arena, plan->working_count + 1, sizeof *shared->workings);
    shared->actuals = KD_NEW_ARRAY(ctx, exec->arena, kd_plan_actual, plan->plan_count + 1);
    if (shared->ctes == NULL || shared->workings == NULL || shared->actuals == NULL)
        return KD_NOMEM;
    return KD_OK;
}

/* What cannot spill - a string_agg's text, say - ends its statement at the same limit, and not the
 * process at the machine's. Batches and operators need some memory under any limit. */
static size_t arena_limit(const kd_execute_options *options)
{
    size_t limit = options->memory_limit_bytes;
    if (limit == 0)
        limit = options->governor == NULL ? KD_ARENA_UNLIMITED
                                          : kd_governor_budget_bytes(options->governor);
    return limit < ARENA_BYTES_LEAST ? ARENA_BYTES_LEAST : limit;
}

kd_status kd_execution_create(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                              const kd_execute_options *options, kd_execution **out_execution)
{
    kd_status status = KD_OK;
    *out_execution = NULL;
    kd_arena *own = kd_arena_create(ctx, arena, "execution", arena_limit(options));
    if (own == NULL)
        return KD_NOMEM;
    if (options->governor != NULL)
        kd_arena_charge_to(own, kd_governor_account(options->governor));
    kd_execution *exec = KD_NEW(ctx, own, kd_execution);
    if (exec == NULL) {
        kd_arena_destroy(own);
        return KD_NOMEM;
    }
    exec->arena = own;
    exec->world = ctx->world;
    exec->own_options = *options;
    exec->options = &exec->own_options;
    exec->scope = (kdi_scope){.facts = options->facts,
                              .parameters = options->parameters,
                              .parameter_count = options->parameter_count};
    KD_TRY_OUT(shared_create(ctx, exec, plan));
    KD_TRY_OUT(root_build(ctx, exec, plan->root));
    *out_execution = exec;
    exec = NULL;
out:
    kd_execution_destroy(exec);
    return status;
}

kd_status kdi_sub_execution_create(kd_ctx *ctx, kd_arena *arena, kd_execution *parent,
                                   const kd_plan *plan, const kdi_scope *scope,
                                   kd_execution **out_execution)
{
    kd_status status = KD_OK;
    *out_execution = NULL;
    kd_arena *own = kd_arena_create(ctx, arena, "sub-plan", KD_ARENA_UNLIMITED);
    if (own == NULL)
        return KD_NOMEM;
    kd_execution *exec = KD_NEW(ctx, own, kd_execution);
    if (exec == NULL) {
        kd_arena_destroy(own);
        return KD_NOMEM;
    }
    exec->arena = own;
    exec->world = ctx->world;
    exec->options = parent->options;
    exec->shared = parent->shared;
    exec->scope = *scope;
    exec->is_sub = true;
    KD_TRY_OUT(root_build(ctx, exec, plan));
    *out_execution = exec;
    exec = NULL;
out:
    kd_execution_destroy(exec);
    return status;
}

static kd_status execution_step(kd_ctx *ctx, kd_execution *execution, kd_batch *out_batch,
                                bool *out_end)
{
    if (execution->runner == NULL) {
        KD_TRY(kdi_pipeline_prepare(ctx, execution->root));
        KD_TRY(kdi_runner_create(ctx, execution->arena, execution->root, &execution->runner));
    }
    KD_TRY(kdi_runner_next(ctx, execution->runner, out_batch, out_end));
    execution->is_ended = *out_end;
    return KD_OK;
}

kd_status kd_execution_next(kd_ctx *ctx, kd_execution *execution, kd_batch *out_batch,
                            bool *out_end)
{
    kd_governor *governor = execution->options->governor;
    *out_batch = (kd_batch){0};
    *out_end = execution->is_ended;
    if (execution->is_ended)
        return KD_OK;
    if (execution->is_sub || !execution->shared->keeps_rows)
        return execution_step(ctx, execution, out_batch, out_end);
    /* One that was parked holds memory already: it does not wait for any. */
    bool waits = execution->runner == NULL && execution->options->waits_for_memory;
    KD_TRY(kd_governor_enter(ctx, governor, waits));
    kd_status status = execution_step(ctx, execution, out_batch, out_end);
    kd_governor_leave(governor);
    return status;
}

static void most_note(uint64_t *most, uint64_t now)
{
    uint64_t before = __atomic_load_n(most, __ATOMIC_RELAXED);
    while (before < now && !__atomic_compare_exchange_n(most, &before, now, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED))
        ;
}

/* Adds up what the execution's ops have done; right sides of APPLYs do so in any thread. A join has
 * two ops, for its two pipelines: rows and batches are the probing one's, which alone is opened. */
static void actuals_add(const kd_execution *execution)
{
    for (const kdi_op *op = execution->made; op != NULL; op = op->next_made) {
        if (op->plan == NULL || op->plan->no > execution->shared->plan->plan_count)
            continue;
        kd_plan_actual *actual = &execution->shared->actuals[op->plan->no];
        __atomic_fetch_add(&actual->rows, atomic_load(&op->rows), __ATOMIC_RELAXED);
        __atomic_fetch_add(&actual->batches, atomic_load(&op->batches), __ATOMIC_RELAXED);
        __atomic_fetch_add(&actual->time_ns, atomic_load(&op->time_ns), __ATOMIC_RELAXED);
        __atomic_fetch_add(&actual->read_bytes, atomic_load(&op->read_bytes), __ATOMIC_RELAXED);
        __atomic_fetch_add(&actual->spilled_bytes, atomic_load(&op->budget->spilled_bytes),
                           __ATOMIC_RELAXED);
        most_note(&actual->memory_bytes, kdi_budget_most_bytes(op->budget));
        if (op->is_open)
            __atomic_store_n(&actual->was_run, true, __ATOMIC_RELAXED);
    }
}

const kd_plan_actual *kd_execution_actuals(const kd_execution *execution)
{
    actuals_add(execution);
    return execution->shared->actuals;
}

void kd_execution_destroy(kd_execution *execution)
{
    if (execution == NULL)
        return;
    kdi_runner_destroy(execution->runner);
    if (execution->is_sub && execution->options->collect_actuals)
        actuals_add(execution);
    ops_close(execution);
    if (!execution->is_sub && execution->shared != NULL) {
        kd_ctx ctx = {.world = execution->world};
        kdi_spill_file_clear(&ctx, &execution->shared->spill);
    }
    kd_arena_destroy(execution->arena);
}
