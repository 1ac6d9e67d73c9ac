/*
 * Running a plan.
 *
 * An execution is made from a plan, a snapshot and parameters; it yields batches
 * until the end. Pipelines are pushed, morsel by morsel, by worker threads of the
 * pool (kd_workers) into a bounded queue at the root; the caller takes batches
 * from it. An execution that nobody reads parks: it holds a snapshot and memory,
 * never a worker.
 *
 * One thread at a time uses an execution. Cancelling goes through ctx->cancelled.
 */
#ifndef KD_EXEC_EXECUTE_H
#define KD_EXEC_EXECUTE_H

#include "base/governor.h"
#include "plan/physical.h"

typedef struct kd_workers kd_workers; /* The morsel workers of a database. */
kd_status kd_workers_create(kd_ctx *ctx, unsigned thread_count,
                            kd_workers **out_workers) KD_MUST_CHECK;
void kd_workers_destroy(kd_workers *workers); /* NULL is allowed; nothing is running. */

/* Rows that a statement hands to its plan's GIVEN scans: complete batches that stay as they are. */
typedef struct kd_given_rows {
    uint32_t batch_count;
    const kd_batch *batches;
} kd_given_rows;

/*
 * Whoever can plan anew is told when a join is through with its build side and has many more rows
 * there than were expected (Kabra and DeWitt, SIGMOD 1998). It may have the execution stop, which
 * then has given no row and fails with KD_CONFLICT.
 */
typedef struct kd_replanner kd_replanner;
struct kd_replanner {
    kd_status (*surprised)(kd_ctx *ctx, kd_replanner *self, kd_known_rows found,
                           double expected_rows, bool *out_stop);
};

typedef struct kd_execute_options {
    kd_workers *workers; /* NULL: everything on the calling thread. */
    unsigned thread_max; /* Of this statement; 0: as many as there are. */
    kd_governor *governor;
    const char *spill_directory; /* Created when needed; files are removed at the end. */
    uint64_t spill_limit_bytes;  /* Of those files; 0: none. */
    size_t memory_limit_bytes;   /* Of this statement's blocking operators; 0: the governor's. */
    bool waits_for_memory;       /* Before it begins, when many run; it holds no locks. */
    kd_txn *txn;                 /* For row locks (FOR UPDATE) and the snapshot's own work. */
    kd_snapshot snapshot;
    kd_storage *storage;
    const kd_catalog_version *catalog; /* For virtual tables. */
    const kd_session_facts *facts;
    const kd_value *parameters;
    uint32_t parameter_count;
    const kd_given_rows *given; /* By the number of the data-modifying WITH query. */
    uint32_t given_count;
    bool collect_actuals;                 /* EXPLAIN ANALYZE. */
    atomic_uint_least64_t *progress_rows; /* Rows scanned so far; may be NULL. */
    struct kd_scan_skips *skips;          /* Damaged blocks are left out; NULL: they fail. */
    kd_replanner *replanner;              /* NULL: the plan is run as it is. */
} kd_execute_options;

typedef struct kd_execution kd_execution;

kd_status kd_execution_create(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                              const kd_execute_options *options,
                              kd_execution **out_execution) KD_MUST_CHECK;
/* The next batch; its vectors are valid until the next call. Never empty; at the end `*out_end`. */
kd_status kd_execution_next(kd_ctx *ctx, kd_execution *execution, kd_batch *out_batch,
                            bool *out_end) KD_MUST_CHECK;
/* Figures by plan no. Asked for once, at the end. */
const kd_plan_actual *kd_execution_actuals(const kd_execution *execution);
/* Stops the pipelines, waits for them, frees, removes spill files. NULL is allowed. */
void kd_execution_destroy(kd_execution *execution);

/*
 * Expressions by themselves: for constraints, defaults, assignments, VALUES.
 * `ids` says which column id each vector of the input has.
 */
typedef struct kd_compiled_expr kd_compiled_expr;
kd_status kd_expr_compile(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                          const kd_column_id *ids, uint32_t id_count, const kd_session_facts *facts,
                          const kd_value *parameters, uint32_t parameter_count,
                          kd_compiled_expr **out_compiled) KD_MUST_CHECK;
/* The same for kd_expr_evaluate_row alone: takes little memory. */
kd_status kd_expr_compile_row(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                              const kd_column_id *ids, uint32_t id_count,
                              const kd_session_facts *facts, const kd_value *parameters,
                              uint32_t parameter_count,
                              kd_compiled_expr **out_compiled) KD_MUST_CHECK;
/* Over the selected rows of a batch; results are at the rows' own positions (any form). Valid until
 * the next evaluation or until `batch_arena`, which the caller resets between batches, is reset. */
kd_status kd_expr_evaluate(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *batch_arena,
                           const kd_batch *input, kd_vector *out_vector) KD_MUST_CHECK;
/* A condition: writes the positions of rows where it is true. `out_selection` has KD_BATCH_ROWS. */
kd_status kd_expr_select(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *batch_arena,
                         const kd_batch *input, uint16_t *out_selection,
                         uint32_t *out_count) KD_MUST_CHECK;
/* One row without a batch: `values[i]` is the value of ids[i]. */
kd_status kd_expr_evaluate_row(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *arena,
                               const kd_value *values, kd_value *out_value) KD_MUST_CHECK;

/*
 * One row looked at again, after it changed while its lock was waited for: `row` has its values by
 * shape position. `*out_holds`: it is still a row of the query, whose columns
 * kd_row_recheck_value gives (NULL: not one of its columns) until the next run.
 */
typedef struct kd_row_recheck kd_row_recheck;
kd_status kd_row_recheck_create(kd_ctx *ctx, kd_arena *arena, const kd_recheck *recheck,
                                const kd_session_facts *facts, const kd_value *parameters,
                                uint32_t parameter_count,
                                kd_row_recheck **out_recheck) KD_MUST_CHECK;
kd_status kd_row_recheck_run(kd_ctx *ctx, kd_row_recheck *self, kd_arena *arena,
                             const kd_value *row, kd_rowref ref, bool *out_holds) KD_MUST_CHECK;
const kd_value *kd_row_recheck_value(const kd_row_recheck *self, kd_column_id id);

#endif
