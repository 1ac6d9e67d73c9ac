/*
 * Every allocation, spill write and spill read fails once, in every operator: nothing leaks, and
 * the failure is the statement's. Writes of the spill file are lost or misplaced: that is
 * noticed, or changes nothing.
 */
#include "spill_plans.h"

#include "base/hash.h"
#include "sim_world.h"

#include <string.h>

typedef struct run_case {
    kd_plan *root;
    size_t limit_bytes;
    const char *name;
    uint64_t digest; /* Of the rows that the last run gave, in whatever order. */
} run_case;

static kit *shared;
static run_case current;

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static uint64_t batch_digest(const kd_batch *batch)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint64_t hash = 1;
        for (uint32_t c = 0; c < batch->column_count; c++) {
            kd_value value = kd_vector_get(&batch->columns[c], kd_batch_row(batch, i));
            hash = kd_hash_combine(hash, value.is_null ? 7 : kd_value_hash(&value));
        }
        sum += hash;
    }
    return sum;
}

static kd_status body(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    kd_arena *arena = NULL;
    kd_statement_plan plan = {.root = current.root,
                              .plan_count = shared->next_no,
                              .working_count = 4,
                              .cte_count = shared->cte_count,
                              .ctes = shared->ctes};
    kd_execute_options options = {.spill_directory = "spill",
                                  .facts = &shared->facts,
                                  .memory_limit_bytes = current.limit_bytes};
    current.digest = 0;
    options.governor = kd_governor_create(ctx, 1 << 30);
    if (options.governor == NULL)
        return KD_NOMEM;
    arena = kd_arena_create(ctx, NULL, "statement", KD_ARENA_UNLIMITED);
    if (arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(kd_execution_create(ctx, arena, &plan, &options, &execution));
    for (;;) {
        kd_batch batch;
        bool end;
        KD_TRY_OUT(kd_execution_next(ctx, execution, &batch, &end));
        if (end)
            break;
        current.digest += batch_digest(&batch);
    }
out:
    kd_execution_destroy(execution);
    kd_arena_destroy(arena);
    CHECK_EQ(kd_governor_used_bytes(options.governor), 0);
    kd_governor_destroy(options.governor);
    return status;
}

static void sweep(kd_plan *root, size_t limit_bytes)
{
    current = (run_case){.root = root, .limit_bytes = limit_bytes};
    sim_sweep_faults_tolerated(body, NULL);
}

/* Fails the 1st call, then ever fewer of the later ones: spilling makes thousands. */
static void sample(kd_plan *root, const char *name)
{
    current = (run_case){.root = root, .limit_bytes = 1, .name = name};
    bool fired = true;
    for (uint64_t nth = 1; fired; nth += 1 + nth / 12) {
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, nth);
        kd_ctx ctx = sim_ctx(sim);
        test_note("%s, call %llu", current.name, (unsigned long long)nth);
        sim_fail_nth(sim, nth, false);
        kd_status status = body(sim, &ctx);
        fired = sim_fault_fired(sim);
        if (!fired)
            CHECK_STATUS(&ctx, status);
        CHECK(status == ctx.error.status);
        CHECK_EQ(sim_open_file_count(sim), 0);
        CHECK_EQ(sim_used_bytes(sim), 0);
        sim_destroy(sim);
        sim_disk_destroy(disk);
    }
}

static uint64_t whole_digest(void)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    CHECK_STATUS(&ctx, body(sim, &ctx));
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return current.digest;
}

/* One run whose nth write of the spill file is not done as it was told: whether there was one. */
static bool spoil(uint64_t nth, sim_spoilt_write how, uint64_t right_digest, uint32_t *io_told)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, nth);
    kd_ctx ctx = sim_ctx(sim);
    test_note("%s, write %llu spoilt", current.name, (unsigned long long)nth);
    sim_spoil_nth_write(sim, nth, how);
    kd_status status = body(sim, &ctx);
    bool was_spoilt = sim_write_was_spoilt(sim);
    if (status != KD_OK) {
        CHECK_FAILS_WITH(&ctx, status, "XX001", "spill file \"spill/");
        (*io_told)++;
    } else {
        CHECK(current.digest == right_digest);
    }
    CHECK_EQ(sim_used_bytes(sim), 0);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return was_spoilt;
}

static const kit_column columns[3] = {
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .modulus = 9000, .salt = 3, .null_every = 40},
    {.type = {.id = KD_TYPE_TEXT, .modifier = -1},
     .modulus = 20,
     .salt = 4,
     .is_long = true,
     .form = KD_VECTOR_DICT},
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .sequential = true}};

static kd_plan *grouped(kit *k, kd_plan *input, uint32_t key, bool distinct)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, input, NULL);
    kd_expr **keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 1);
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 2);
    keys[0] = kit_ref(k, input, key);
    calls[0] = kit_aggregate(k, "count*", NULL);
    calls[1] = kit_aggregate(k, "sum", kit_ref(k, input, 2));
    calls[1].distinct = distinct;
    plan->as.aggregate.key_count = 1;
    plan->as.aggregate.keys = keys;
    plan->as.aggregate.call_count = 2;
    plan->as.aggregate.calls = calls;
    kit_add_column(k, plan, keys[0]->type, NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    return plan;
}

static kd_plan *sorted(kit *k, kd_plan *input)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_SORT, input, NULL);
    kit_take_columns(k, plan, false);
    kd_sort_key *keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_sort_key, 1);
    keys[0] = (kd_sort_key){.expr = kit_ref(k, input, 1)};
    plan->as.sort.keys = keys;
    plan->as.sort.key_count = 1;
    return plan;
}

static kd_plan *joined(kit *k, kd_plan *left, kd_plan *right, kd_plan_kind kind)
{
    kd_plan *plan = kit_plan(k, kind, left, right);
    kit_take_columns(k, plan, true);
    plan->as.join.kind = KD_JOIN_FULL;
    if (kind == KD_PLAN_NESTED_LOOP) {
        plan->as.join.residual = kit_call(k, "=", kit_ref(k, left, 2), kit_ref(k, right, 2));
        return plan;
    }
    plan->as.join.key_count = 1;
    plan->as.join.left_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.right_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.null_equal = KD_NEW(&k->ctx, k->arena, bool);
    plan->as.join.left_keys[0] = kit_ref(k, left, 2);
    plan->as.join.right_keys[0] = kit_ref(k, right, 2);
    return plan;
}

TEST(operators_in_memory_survive_every_fault)
{
    kit *k = shared = kit_open(0, 0);
    kd_plan *small = kit_source(k, columns, 3, 60);
    kd_plan *other = kit_source(k, columns, 3, 40);
    sweep(grouped(k, kit_cte(k, small), 1, true), 0);
    sweep(sorted(k, small), 0);
    sweep(joined(k, small, other, KD_PLAN_HASH_JOIN), 0);
    sweep(joined(k, small, other, KD_PLAN_NESTED_LOOP), 0);
    kd_plan *distinct = kit_plan(k, KD_PLAN_DISTINCT, small, NULL);
    kit_take_columns(k, distinct, false);
    sweep(distinct, 0);
    kd_plan *apply = kit_plan(k, KD_PLAN_APPLY, kit_source(k, columns, 3, 3), other);
    kit_take_columns(k, apply, true);
    kd_column_id outer = apply->inputs[0]->columns[0].id;
    apply->as.apply.outer_count = 1;
    apply->as.apply.outer_ids = &outer;
    apply->as.apply.kind = KD_JOIN_LEFT;
    sweep(apply, 0);
    kit_close(k);
}

TEST(spilling_operators_survive_faults)
{
    kit *k = shared = kit_open(0, 0);
    kit_column wide[12];
    for (int c = 0; c < 12; c++)
        wide[c] = (kit_column){
            .type = kd_type_of(KD_TYPE_TEXT), .modulus = 900, .salt = 7, .is_long = true};
    wide[2] = columns[2];
    kd_plan *source = kit_source(k, wide, 12, 4000);
    sample(sorted(k, source), "sort");
    sample(joined(k, source, kit_source(k, wide, 12, 3000), KD_PLAN_HASH_JOIN), "join");
    sample(grouped(k, kit_source(k, columns, 3, 6000), 2, false), "groups");
    kit_close(k);
}

TEST(whatever_keeps_rows_survives_faults)
{
    for (int which = 0; which < SPILL_PLANS; which++) {
        const char *name;
        bool in_order;
        kit *k = shared = kit_open(0, 0);
        kd_plan *plan = spill_plan(k, which, 9000, &name, &in_order);
        sample(plan, name);
        kit_close(k);
    }
}

TEST(a_spill_file_that_lost_or_misplaced_a_write_is_named)
{
    uint32_t told = 0, runs = 0;
    for (int which = 0; which < SPILL_PLANS; which++) {
        const char *name;
        bool in_order;
        kit *k = shared = kit_open(0, 0);
        kd_plan *plan = spill_plan(k, which, 9000, &name, &in_order);
        current = (run_case){.root = plan, .limit_bytes = 1, .name = name};
        uint64_t right_digest = whole_digest();
        for (uint64_t nth = 1; spoil(nth, SIM_WRITE_LOST, right_digest, &told);
             nth += 1 + nth / 4) {
            (void)spoil(nth, SIM_WRITE_SHIFTED, right_digest, &told);
            runs += 2;
        }
        kit_close(k);
    }
    CHECK(runs > 50);
    CHECK(told > runs / 2);
}
