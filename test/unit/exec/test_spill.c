/*
 * Tiny budgets: every blocking operator spills, and gives the rows it gives with room for all.
 */
#include "spill_plans.h"

#include <string.h>

enum { ROWS = 90000, BUDGET = 3 * 1024 * 1024 };

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static const kit_column columns[3] = {
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .modulus = 50000, .salt = 3, .null_every = 40},
    {.type = {.id = KD_TYPE_TEXT, .modifier = -1}, .modulus = 3000, .salt = 4, .is_long = true},
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .sequential = true}};

static kd_plan *sorted(kit *k, kd_plan *input)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_SORT, input, NULL);
    kit_take_columns(k, plan, false);
    kd_sort_key *keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_sort_key, 2);
    keys[0] = (kd_sort_key){.expr = kit_ref(k, input, 1)};
    keys[1] = (kd_sort_key){.expr = kit_ref(k, input, 2), .descending = true};
    plan->as.sort.keys = keys;
    plan->as.sort.key_count = 2;
    return plan;
}

static kd_plan *grouped(kit *k, kd_plan *input, uint32_t key)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, input, NULL);
    kd_expr **keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 2);
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 2);
    keys[0] = kit_ref(k, input, key);
    keys[1] = kit_ref(k, input, 1);
    calls[0] = kit_aggregate(k, "count*", NULL);
    calls[1] = kit_aggregate(k, "sum", kit_ref(k, input, 2));
    plan->as.aggregate.key_count = 2;
    plan->as.aggregate.keys = keys;
    plan->as.aggregate.call_count = 2;
    plan->as.aggregate.calls = calls;
    kit_add_column(k, plan, keys[0]->type, NULL);
    kit_add_column(k, plan, keys[1]->type, NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    return plan;
}

static kd_plan *joined(kit *k, kd_join_kind kind, bool in_threads)
{
    kd_plan *left = kit_source(k, columns, 3, ROWS);
    kit_column shifted[3] = {columns[0], columns[1], columns[2]};
    shifted[2] =
        (kit_column){.type = int8_type(), .modulus = 2 * ROWS, .salt = 77, .null_every = 30};
    kd_plan *right = kit_source(k, shifted, 3, ROWS);
    if (in_threads) {
        left = kit_cte(k, left);
        right = kit_cte(k, right);
    }
    kd_plan *plan = kit_plan(k, KD_PLAN_HASH_JOIN, left, right);
    bool narrow = kind == KD_JOIN_ANTI || kind == KD_JOIN_SEMI || kind == KD_JOIN_MARK;
    kit_take_columns(k, plan, !narrow);
    if (kind == KD_JOIN_MARK)
        kit_add_column(k, plan, kd_type_of(KD_TYPE_BOOL), &plan->as.join.mark);
    plan->as.join.kind = kind;
    plan->as.join.key_count = 1;
    plan->as.join.left_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.right_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.null_equal = KD_NEW(&k->ctx, k->arena, bool);
    plan->as.join.left_keys[0] = kit_ref(k, left, 2);
    plan->as.join.right_keys[0] = kit_ref(k, right, 2);
    return plan;
}

static kd_plan *plan_make(kit *k, int which, bool in_threads)
{
    static const kd_join_kind kinds[] = {KD_JOIN_INNER, KD_JOIN_FULL, KD_JOIN_ANTI, KD_JOIN_MARK};
    if (which >= 3)
        return joined(k, kinds[which - 3], in_threads);
    kd_plan *source = kit_source(k, columns, 3, ROWS);
    if (in_threads)
        source = kit_cte(k, source);
    return which == 0 ? sorted(k, source) : grouped(k, source, which == 1 ? 2 : 0);
}

static uint64_t digest(kit_rows rows)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rows.count; i++) {
        uint64_t hash = 0;
        for (const char *at = rows.texts[i]; *at != 0; at++)
            hash = hash * 31 + (unsigned char)*at;
        sum += hash * hash + hash;
    }
    return sum;
}

TEST(what_spills_gives_the_same_rows)
{
    for (int which = 0; which < 7; which++) {
        uint64_t sums[3], counts[3];
        for (int round = 0; round < 3; round++) {
            kit *k = kit_open(0, round == 2 ? 2 : 0);
            k->options.memory_limit_bytes = round == 0 ? 0 : BUDGET;
            test_note("plan %d round %d", which, round);
            kit_rows rows = kit_run(k, plan_make(k, which, round == 2));
            sums[round] = digest(rows);
            counts[round] = rows.count;
            if (which == 0)
                for (uint64_t i = 1; i < rows.count; i += 97)
                    CHECK(strcmp(strchr(rows.texts[i - 1], '|'), strchr(rows.texts[i], '|')) <= 0 ||
                          strncmp(strchr(rows.texts[i - 1], 'v'), strchr(rows.texts[i], 'v'), 6) ==
                              0);
            kit_close(k);
        }
        CHECK(counts[0] > 0);
        CHECK_EQ(counts[1], counts[0]);
        CHECK_EQ(counts[2], counts[0]);
        CHECK(sums[1] == sums[0]);
        CHECK(sums[2] == sums[0]);
    }
}

TEST(without_a_directory_the_limit_is_an_error)
{
    for (int which = 0; which < 7; which++) {
        if (which == 2)
            continue; /* Fits by chance or not. */
        kit *k = kit_open(0, 0);
        k->options.memory_limit_bytes = BUDGET;
        k->options.spill_directory = NULL;
        test_note("plan %d", which);
        uint64_t count;
        CHECK_FAILS(&k->ctx, kit_try(k, plan_make(k, which, false), &count), "53200");
        kit_close(k);
    }
}

static uint64_t order_digest(kit_rows rows)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rows.count; i++)
        for (const char *at = rows.texts[i]; *at != 0; at++)
            sum = sum * 31 + (unsigned char)*at;
    return sum;
}

/* Without a limit, within one, and with threads; the spill directory is empty afterwards. */
TEST(whatever_keeps_rows_spills)
{
    for (int which = 0; which < SPILL_PLANS; which++) {
        uint64_t sums[4], counts[4], orders[4];
        const char *name;
        bool in_order;
        for (int round = 0; round < 4; round++) {
            kit *k = kit_open(0, round == 3 ? 2 : 0);
            k->options.memory_limit_bytes = round == 0 ? 0 : round == 2 ? 1 : BUDGET / 2;
            kd_plan *plan = spill_plan(k, which, ROWS / 3, &name, &in_order);
            test_note("%s, round %d", name, round);
            kit_rows rows = kit_run(k, plan);
            sums[round] = digest(rows);
            orders[round] = in_order ? order_digest(rows) : 0;
            counts[round] = rows.count;
            kit_close(k);
            CHECK(counts[0] > 0);
            CHECK_EQ(counts[round], counts[0]);
            CHECK(sums[round] == sums[0]);
            CHECK(orders[round] == orders[0]);
        }
    }
}

TEST(whatever_keeps_rows_says_when_it_cannot_spill)
{
    for (int which = 0; which < SPILL_PLANS; which++) {
        const char *name;
        bool in_order;
        kit *k = kit_open(0, 0);
        k->options.memory_limit_bytes = 1;
        k->options.spill_directory = NULL;
        kd_plan *plan = spill_plan(k, which, ROWS / 3, &name, &in_order);
        uint64_t count;
        test_note("%s", name);
        kd_status status = kit_try(k, plan, &count);
        if (which == 16) /* What APPLY remembers it may forget. */
            CHECK_STATUS(&k->ctx, status);
        else
            CHECK_FAILS(&k->ctx, status, "53200");
        kit_close(k);
        if (status != KD_OK) {
            k = kit_open(0, 0);
            k->options.memory_limit_bytes = 1;
            k->options.spill_limit_bytes = 512 * 1024;
            plan = spill_plan(k, which, ROWS / 3, &name, &in_order);
            CHECK_FAILS(&k->ctx, kit_try(k, plan, &count), "53400");
            kit_close(k);
        }
    }
}

/* In memory and on disk, with the first batch, in the middle, and with the very last one, after
 * which there is only sorting, merging and giving. */
TEST(cancelling_ends_within_a_few_batches)
{
    for (int which = 0; which < SPILL_PLANS; which++)
        for (int round = 0; round < 2; round++) {
            uint64_t total = 0;
            for (int when = 0; when < 4; when++) {
                const char *name;
                bool in_order;
                kit *k = kit_open(0, 0);
                k->options.memory_limit_bytes = round == 0 ? 0 : 1;
                kd_plan *plan = spill_plan(k, which, ROWS / 9, &name, &in_order);
                k->cancel_at = when == 0 ? 0 : when == 1 ? 1 : when == 2 ? total / 2 : total;
                uint64_t count;
                test_note("%s, round %d, batch %llu of %llu", name, round,
                          (unsigned long long)k->cancel_at, (unsigned long long)total);
                kd_status status = kit_try(k, plan, &count);
                if (when == 0) {
                    CHECK_STATUS(&k->ctx, status);
                    total = k->source_batches;
                } else {
                    CHECK_FAILS(&k->ctx, status, "57014");
                    CHECK(k->source_batches - k->cancel_at <= 1);
                }
                kit_close(k);
            }
        }
}
