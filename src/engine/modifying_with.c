/*
 * Data-modifying WITH: statements that write inside another statement.
 *
 * They run one after the other, in the order in which they are written down, and then
 * the main statement; each to its end, also where nobody reads what it returns. All of
 * them see the tables as they were before the first: only RETURNING carries rows from
 * one to the other. A row that one of them has written is not written again.
 *
 * To see the state before, queries read under a snapshot that hides the transaction's
 * own work. Where the transaction had work before this statement, and for SERIALIZABLE,
 * whose reads are noted through that number, queries that can be are read before the
 * first write instead. What remains is a query that reads a table written by an earlier
 * one, and that one's RETURNING too: there it is refused.
 */
#include "engine/engine_internal.h"

#include <assert.h>

typedef struct with_run {
    kd_run *run;
    const kd_statement_plan *plan; /* The main statement's. */
    uint32_t count;                /* Of the modifying ones. */
    kdi_dml_job *jobs;             /* The main statement's is the last. */
} with_run;

/* --- What a plan reads ------------------------------------------------------------------------ */

typedef struct reads {
    const kd_statement_plan *plan;
    const with_run *with;
    uint32_t before; /* Whether a table is read that one of the first so many writes ... */
    bool written, given;
} reads;

static bool is_written(const reads *r, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < r->before; i++) {
        const kd_table_entry *target = r->with->jobs[i].plan->bound->target;
        if (target == table ||
            (table->parent_no != 0 && table->parent_no == target->object.object_no) ||
            (target->parent_no != 0 && target->parent_no == table->object.object_no))
            return true;
    }
    return false;
}

static void visit(reads *r, const kd_plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->kind == KD_PLAN_SCAN)
        r->written |= is_written(r, plan->as.scan.table);
    else if (plan->kind == KD_PLAN_INDEX_SCAN)
        r->written |= is_written(r, plan->as.index_scan.table);
    else if (plan->kind == KD_PLAN_GIVEN)
        r->given = true;
    else if (plan->kind == KD_PLAN_CTE_SCAN)
        visit(r, r->plan->ctes[plan->as.cte.cte_no]);
    for (uint32_t i = 0; i < plan->more_count; i++)
        visit(r, plan->more[i]);
    for (int i = 0; i < 2; i++)
        visit(r, plan->inputs[i]);
}

/* Reads what may be read before anything is written; refuses what would see too much later. */
static kd_status read_ahead(kd_ctx *ctx, with_run *with)
{
    for (uint32_t i = 0; i <= with->count; i++) {
        kdi_dml_job *job = &with->jobs[i];
        reads r = {.plan = job->plan, .with = with, .before = i};
        visit(&r, job->plan->root);
        if (!r.written)
            continue;
        if (r.given)
            return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                           "in a transaction that has written before, a statement cannot read both "
                           "a table and what a data-modifying WITH query on it returns");
        KD_TRY(kdi_dml_read(ctx, with->run, job->plan, &job->source));
    }
    return KD_OK;
}

/* --- Running ---------------------------------------------------------------------------------- */

static kd_status run_main(kd_ctx *ctx, with_run *with)
{
    kd_run *run = with->run;
    kdi_dml_job *job = &with->jobs[with->count];
    if (with->plan->bound->kind != KD_DML_SELECT) {
        KD_TRY(kdi_dml_one(ctx, run, job));
    } else {
        job->returned = job->source;
        if (job->returned == NULL)
            KD_TRY(kdi_dml_read(ctx, run, with->plan, &job->returned));
        job->affected = (int64_t)job->returned->row_count;
    }
    run->rows = job->returned;
    run->affected = job->affected;
    return KD_OK;
}

kd_status kdi_modifying_with_run(kd_ctx *ctx, kd_run *run, kd_map *written)
{
    const kd_statement_plan *plan = run->plan;
    with_run with = {.run = run, .plan = plan, .count = plan->modifying_count};
    kd_txn *txn = run->session->txn;
    with.jobs = KD_NEW_ARRAY(ctx, run->arena, kdi_dml_job, with.count + 1);
    run->given = KD_NEW_ARRAY(ctx, run->arena, kd_given_rows, with.count);
    if (with.jobs == NULL || run->given == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i <= with.count; i++)
        with.jobs[i] =
            (kdi_dml_job){.plan = i < with.count ? &plan->modifying[i] : plan, .written = written};
    run->hides_own_work = !kd_txn_has_work(txn) && kd_txn_isolation(txn) != KD_SERIALIZABLE;
    if (!run->hides_own_work)
        KD_TRY(read_ahead(ctx, &with));
    for (uint32_t i = 0; i < with.count; i++) {
        KD_TRY(kdi_dml_one(ctx, run, &with.jobs[i]));
        if (with.jobs[i].returned != NULL)
            KD_TRY(kdi_row_set_batches(ctx, with.jobs[i].returned, &run->given[i]));
        run->given_count = i + 1;
    }
    return run_main(ctx, &with);
}
