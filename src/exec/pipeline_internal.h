/*
 * Pipelines: a source, operators that stream, and a sink that keeps what arrives.
 *
 * One kdi_op stands for one plan node and is shared by all threads; what a thread needs of its own
 * is a "local" of the op. A runner is one thread's walk through a pipeline; its whole state is
 * data, so it can stop after any batch and go on later, in another thread even.
 *
 * push() answers NEED_INPUT when the input batch is used up, HAVE_MORE when it must be called
 * again with the same batch, BLOCKED when the batch was not taken and must be offered again later
 * (only the root queue does that) and DONE when it wants no more input ever. A batch that an op
 * gives is valid until that op is called again.
 */
#ifndef KD_EXEC_PIPELINE_INTERNAL_H
#define KD_EXEC_PIPELINE_INTERNAL_H

#include "exec/execute.h"
#include "exec/expr_internal.h"
#include "exec/row_store_internal.h"
#include "exec/runtime_filter_internal.h"
#include "exec/spill_file_internal.h"

typedef enum kdi_flow { KDI_NEED_INPUT = 0, KDI_HAVE_MORE, KDI_BLOCKED, KDI_DONE } kdi_flow;

typedef struct kdi_op kdi_op;
typedef struct kdi_pipeline kdi_pipeline;

/* Members that an op does not need are NULL. */
typedef struct kdi_op_class {
    /* As a source or in the middle. `open` runs once, when what the op waits for is done. */
    kd_status (*open)(kd_ctx *ctx, kdi_op *op);
    kd_status (*local_create)(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local);
    void (*local_destroy)(kdi_op *op, void *local);
    kd_status (*next)(kd_ctx *ctx, kdi_op *op, void *local, kd_batch *out, bool *out_end);
    kd_status (*push)(kd_ctx *ctx, kdi_op *op, void *local, const kd_batch *in, kd_batch *out,
                      kdi_flow *out_flow);
    /* After the last input of this thread: HAVE_MORE as long as there is more to give. */
    kd_status (*flush)(kd_ctx *ctx, kdi_op *op, void *local, kd_batch *out, kdi_flow *out_flow);
    /* As a sink. */
    kd_status (*sink_create)(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local);
    void (*sink_destroy)(kdi_op *op, void *local);
    kd_status (*sink)(kd_ctx *ctx, kdi_op *op, void *local, const kd_batch *in, kdi_flow *out_flow);
    /* After its last batch, while other threads are at work. */
    kd_status (*settle)(kd_ctx *ctx, kdi_op *op, void *local);
    /* Hands the thread's work over; one thread at a time. */
    kd_status (*combine)(kd_ctx *ctx, kdi_op *op, void *local);
    kd_status (*finish)(kd_ctx *ctx, kdi_op *op);
    /* How many rows the source may give; for the choice of threads. */
    double (*rows)(kdi_op *op);
    /* Frees what is not in arenas. Called once, whatever happened. */
    void (*close)(kdi_op *op);
} kdi_op_class;

/* First member of every operator's struct. */
struct kdi_op {
    const kdi_op_class *class;
    const kd_plan *plan;
    kd_execution *exec;
    kd_arena *arena; /* The execution's. */
    kdi_op *next_made;
    bool is_serial;      /* Must be run by one thread, in order. */
    bool sink_is_serial; /* What feeds it must be one thread. */
    bool is_open;
    atomic_uint_least64_t rows, batches, time_ns, read_bytes;
    kdi_budget *budget;        /* Its part of the statement's. */
    atomic_uint active_locals; /* Runners that have not left it; all exist before one runs. */
};

struct kdi_pipeline {
    kd_execution *exec;
    kdi_op *source;
    kdi_op **ops;
    size_t op_count, op_capacity;
    kdi_op *sink;         /* NULL: batches are pulled. */
    kdi_pipeline **needs; /* Run before this one. */
    size_t need_count, need_capacity;
    bool is_done, is_running;
    bool is_serial;
};

typedef struct kdi_runner kdi_runner;

/* The executions of one statement share these: the main plan and the right sides of APPLYs. */
typedef struct kdi_shared {
    kd_execution *main;
    const kd_statement_plan *plan;
    const kd_execute_options *options;
    kdi_budget budget;
    kdi_spill_file spill;
    bool keeps_rows;               /* Some operator does. */
    struct kdi_cte **ctes;         /* By number; made at first use. */
    struct kdi_working **workings; /* By number: rows of the current round of a recursion. */
    kd_plan_actual *actuals;
    atomic_uint_fast64_t dictionaries_made; /* For ids of dictionaries that operators make. */
    kdi_op *made;                           /* Ops of the main execution, for actuals. */
} kdi_shared;

struct kd_execution {
    kdi_shared *shared;
    kd_world *world;
    const kd_execute_options *options;
    kd_execute_options own_options;
    kd_arena *arena;
    kd_arena *result_arena;
    kdi_scope scope;
    kdi_op *made; /* Every op, newest first. */
    kdi_pipeline *root;
    kdi_runner *runner;
    kd_statement_plan root_plan;
    bool is_sub; /* Right side of an APPLY, a recursive step. */
    bool is_ended;
    struct kdi_root_queue *queue;
};

/* ---- Building ---- */

/* Appends what `plan` needs to the pipeline: a source, or ops after its input. */
kd_status kdi_build(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan) KD_MUST_CHECK;
kd_status kdi_pipeline_create(kd_ctx *ctx, kd_execution *exec,
                              kdi_pipeline **out_pipeline) KD_MUST_CHECK;
/* `size_bytes` of the op's struct, which begins with a kdi_op. */
kd_status kdi_op_create(kd_ctx *ctx, kd_execution *exec, const kd_plan *plan,
                        const kdi_op_class *op_class, size_t size_bytes,
                        void *out_op) KD_MUST_CHECK;
kd_status kdi_pipeline_add(kd_ctx *ctx, kdi_pipeline *pipeline, kdi_op *op) KD_MUST_CHECK;
/* No row of the table moves until the execution ends. */
kd_status kdi_hold_places(kd_ctx *ctx, kd_execution *exec,
                          const kd_table_entry *table) KD_MUST_CHECK;
kd_status kdi_pipeline_need(kd_ctx *ctx, kdi_pipeline *pipeline,
                            kdi_pipeline *needed) KD_MUST_CHECK;
/* A pipeline over `input` that ends in `sink`, needed by `pipeline`. */
kd_status kdi_build_sink(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *input,
                         kdi_op *sink) KD_MUST_CHECK;

typedef kd_status (*kdi_builder)(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_index_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_function(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_values(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_virtual(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_given(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_filter(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_project(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_hash_join(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_nested_loop(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_apply(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
/* An APPLY whose right side is a quick table function (apply_function.c). */
bool kdi_applies_function(const kd_plan *plan);
kd_status kdi_build_apply_function(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_aggregate(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_window(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_distinct(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_sort(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_limit(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_union_all(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_set_op(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_cte_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_recursive(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_working_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_lock_rows(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
kd_status kdi_build_empty(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan);
/* What the join's complete build side says of a key; NULL: nothing, or not yet. */
const kdi_runtime_filter *kdi_hash_join_filter(const kd_execution *exec, uint32_t join_no,
                                               uint32_t key_no);
/* How far a TOP_N has come, for the scans below it; NULL: it runs elsewhere. */
const kd_scan_bound *kdi_top_bound(const kd_execution *exec, uint32_t top_no);
/* CTEs read somewhere below `plan` must be there before a sub-execution runs it. */
kd_status kdi_need_ctes(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan) KD_MUST_CHECK;

/* ---- Running ---- */

/* Runs what the pipeline needs, opens its ops. */
kd_status kdi_pipeline_prepare(kd_ctx *ctx, kdi_pipeline *pipeline) KD_MUST_CHECK;
/* Runs it into its sink to the end, once. */
kd_status kdi_pipeline_run(kd_ctx *ctx, kdi_pipeline *pipeline) KD_MUST_CHECK;

/* `arena` is of the thread that will run it. The pipeline is prepared. */
kd_status kdi_runner_create(kd_ctx *ctx, kd_arena *arena, kdi_pipeline *pipeline,
                            kdi_runner **out_runner) KD_MUST_CHECK;
kd_status kdi_runner_next(kd_ctx *ctx, kdi_runner *runner, kd_batch *out_batch,
                          bool *out_end) KD_MUST_CHECK;
void kdi_runner_destroy(kdi_runner *runner); /* NULL is allowed. */

/* A plan run by itself on the calling thread, with its own scope: APPLY, recursive steps. */
kd_status kdi_sub_execution_create(kd_ctx *ctx, kd_arena *arena, kd_execution *parent,
                                   const kd_plan *plan, const kdi_scope *scope,
                                   kd_execution **out_execution) KD_MUST_CHECK;

/* ---- Shorthands for operators ---- */

/* Ids of a plan's columns, in order. */
kd_status kdi_plan_ids(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan,
                       kd_column_id **out_ids) KD_MUST_CHECK;
kd_status kdi_plan_types(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan,
                         kd_type **out_types) KD_MUST_CHECK;
/* Compiles for one thread, against the columns of `input`. `expr` NULL gives NULL. */
kd_status kdi_compile(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *expr,
                      const kd_plan *input, kd_compiled_expr **out_compiled) KD_MUST_CHECK;
kd_status kdi_compile_all(kd_ctx *ctx, kdi_op *op, kd_arena *arena, kd_expr *const *exprs,
                          uint32_t count, const kd_plan *input,
                          kd_compiled_expr ***out_compiled) KD_MUST_CHECK;
/* An expression without columns, now: LIMIT, bounds, arguments of functions. */
kd_status kdi_evaluate_now(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *expr,
                           kd_value *out_value) KD_MUST_CHECK;
/* True when running it in several threads or another order could be noticed. */
bool kdi_expr_is_volatile(const kd_expr *expr);
/* FLAT vectors for the columns of a plan. */
kd_status kdi_columns_create(kd_ctx *ctx, kd_arena *arena, const kd_plan *plan,
                             kd_vector **out_columns) KD_MUST_CHECK;
uint32_t kdi_column_find(const kd_plan *plan, kd_column_id id); /* UINT32_MAX: not there. */
/* Views of all columns of a batch. */
kd_status kdi_views_open(kd_ctx *ctx, kd_arena *arena, kdi_view *views, uint32_t count,
                         const kd_vector *columns, const uint16_t *selection,
                         uint32_t row_count) KD_MUST_CHECK;

/* LIMIT and OFFSET as a range of row numbers. */
kd_status kdi_limit_evaluate(kd_ctx *ctx, kdi_op *op, const kd_expr *count, const kd_expr *offset,
                             uint64_t *out_offset, uint64_t *out_end) KD_MUST_CHECK;

/* Called once per local, by its first flush: whether it is the last thread to get there. */
static inline bool kdi_op_leave(kdi_op *op)
{
    return atomic_fetch_sub(&op->active_locals, 1) == 1;
}

/* FLAT columns that hold rows of a store, from `first`. */
static inline void kdi_batch_gather(const kdi_row_layout *layout, char *const *rows, uint32_t count,
                                    kd_vector *columns, kd_batch *out)
{
    for (uint32_t c = 0; c < layout->column_count; c++)
        kdi_rows_gather(layout, c, rows, NULL, count, &columns[c]);
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = layout->column_count,
                      .columns = columns};
}

#endif
