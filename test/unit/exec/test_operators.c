/*
 * Operators against naive loops, alone and with workers.
 */
#include "plan_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

enum { GROUPS_MAX = 64 };

typedef struct sums {
    int64_t count, sum, summed, least;
} sums;

static void sums_add(sums *group, kd_value value)
{
    group->count++;
    if (value.is_null)
        return;
    if (group->summed == 0 || value.as.i64 < group->least)
        group->least = value.as.i64;
    group->sum += value.as.i64;
    group->summed++;
}

static kd_plan *aggregate_of(kit *k, kd_plan *input, kd_expr **keys, uint32_t key_count,
                             kd_aggregate_call *calls, uint32_t call_count)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, input, NULL);
    plan->as.aggregate.key_count = key_count;
    plan->as.aggregate.keys = keys;
    plan->as.aggregate.call_count = call_count;
    plan->as.aggregate.calls = calls;
    for (uint32_t i = 0; i < key_count; i++)
        kit_add_column(k, plan, keys[i]->type, NULL);
    for (uint32_t i = 0; i < call_count; i++)
        kit_add_column(k, plan, calls[i].type, NULL);
    return plan;
}

/* Group number modulus stands for NULL. */
static void groups_check(size_t budget, unsigned threads, uint64_t rows, kd_vector_form form,
                         kd_type_id key_type)
{
    kit *k = kit_open(budget, threads);
    kit_column columns[2] = {{.type = kd_type_of(key_type),
                              .modulus = 40,
                              .salt = 5,
                              .null_every = 17,
                              .form = form,
                              .is_long = true},
                             {.type = int8_type(),
                              .modulus = 1000,
                              .salt = 9,
                              .null_every = 5,
                              .form = KD_VECTOR_FRAME}};
    kd_plan *source = kit_source(k, columns, 2, rows);
    kd_expr *keys[1] = {kit_ref(k, source, 0)};
    kd_expr *x = kit_ref(k, source, 1);
    kd_aggregate_call calls[4] = {kit_aggregate(k, "count*", NULL), kit_aggregate(k, "sum", x),
                                  kit_aggregate(k, "count", x), kit_aggregate(k, "min", x)};
    calls[2].filter = kit_call(k, "<", x, kit_i64(k, 500));
    kit_rows got = kit_run(k, aggregate_of(k, source, keys, 1, calls, 4));
    sums groups[41] = {{0}};
    int64_t filtered[41] = {0};
    char *names[41] = {0};
    for (uint64_t row = 0; row < rows; row++) {
        kd_value key = kit_value(k, &columns[0], row);
        kd_value value = kit_value(k, &columns[1], row);
        int g = 0;
        char name[64] = "NULL";
        if (!key.is_null && key_type == KD_TYPE_TEXT)
            (void)snprintf(name, sizeof name, "%.*s", (int)key.as.str.size_bytes,
                           kd_str_data(&key.as.str));
        else if (!key.is_null)
            (void)snprintf(name, sizeof name, "%lld",
                           (long long)(key_type == KD_TYPE_INT4 ? key.as.i32 : key.as.i64));
        while (g < 41 && names[g] != NULL && strcmp(names[g], name) != 0)
            g++;
        if (names[g] == NULL)
            names[g] = kd_copy_text(&k->ctx, k->arena, name, strlen(name));
        sums_add(&groups[g], value);
        filtered[g] += !value.is_null && value.as.i64 < 500;
    }
    kit_rows want = {0};
    for (int g = 0; g < 41 && names[g] != NULL; g++)
        kit_rows_add(k, &want, "%s|%lld|%lld|%lld|%lld", names[g], (long long)groups[g].count,
                     (long long)groups[g].sum, (long long)filtered[g], (long long)groups[g].least);
    kit_check_same(got, want);
    kit_close(k);
}

TEST(groups_agree_with_a_loop)
{
    groups_check(0, 0, 6000, KD_VECTOR_FLAT, KD_TYPE_INT8);
    groups_check(0, 0, 6000, KD_VECTOR_FRAME, KD_TYPE_INT4);
    groups_check(0, 0, 6000, KD_VECTOR_DICT, KD_TYPE_TEXT);
    groups_check(0, 0, 6000, KD_VECTOR_FLAT, KD_TYPE_TEXT);
}

TEST(many_groups_are_all_there)
{
    kit *k = kit_open(0, 0);
    kit_column columns[2] = {{.type = int8_type(), .sequential = true},
                             {.type = int8_type(), .modulus = 3, .salt = 1}};
    kd_plan *source = kit_source(k, columns, 2, 60000);
    kd_expr *keys[2] = {kit_ref(k, source, 0), kit_ref(k, source, 1)};
    kd_aggregate_call calls[1] = {kit_aggregate(k, "sum", kit_ref(k, source, 0))};
    kd_plan *inner = aggregate_of(k, source, keys, 2, calls, 1);
    kd_aggregate_call outer[2] = {kit_aggregate(k, "count*", NULL),
                                  kit_aggregate(k, "sum", kit_ref(k, inner, 2))};
    kit_rows got = kit_run(k, aggregate_of(k, inner, NULL, 0, outer, 2));
    CHECK_EQ(got.count, 1);
    CHECK_TEXT(got.texts[0], "60000|1799970000");
    kit_close(k);
}

TEST(no_input_gives_one_row_without_keys_and_none_with)
{
    kit *k = kit_open(0, 0);
    kit_column column = {.type = int8_type(), .modulus = 3, .salt = 1};
    kd_plan *source = kit_source(k, &column, 1, 0);
    kd_aggregate_call calls[2] = {kit_aggregate(k, "count*", NULL),
                                  kit_aggregate(k, "sum", kit_ref(k, source, 0))};
    kit_rows got = kit_run(k, aggregate_of(k, source, NULL, 0, calls, 2));
    CHECK_EQ(got.count, 1);
    CHECK_TEXT(got.texts[0], "0|NULL");
    kd_expr *keys[1] = {kit_ref(k, source, 0)};
    CHECK_EQ(kit_run(k, aggregate_of(k, source, keys, 1, calls, 2)).count, 0);
    kit_close(k);
}

TEST(grouping_sets_give_each_set_and_its_complement)
{
    kit *k = kit_open(0, 0);
    kit_column columns[2] = {{.type = int8_type(), .modulus = 2, .salt = 3},
                             {.type = int8_type(), .modulus = 3, .salt = 4}};
    kd_plan *source = kit_source(k, columns, 2, 3000);
    kd_expr *keys[2] = {kit_ref(k, source, 0), kit_ref(k, source, 1)};
    kd_aggregate_call calls[1] = {kit_aggregate(k, "count*", NULL)};
    uint64_t sets[3] = {3, 1, 0};
    kd_plan *plan = aggregate_of(k, source, keys, 2, calls, 1);
    plan->as.aggregate.set_count = 3;
    plan->as.aggregate.sets = sets;
    kit_add_column(k, plan, int8_type(), &plan->as.aggregate.grouping_id);
    kit_rows got = kit_run(k, plan);
    CHECK_EQ(got.count, 6 + 2 + 1);
    kit_rows want = {0};
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 4; b++) {
            if (a == 2 && b != 3)
                continue;
            int64_t count = 0;
            for (uint64_t row = 0; row < 3000; row++)
                count += (a == 2 || kit_value(k, &columns[0], row).as.i64 == a) &&
                         (b == 3 || kit_value(k, &columns[1], row).as.i64 == b);
            char left[8] = "NULL", right[8] = "NULL";
            if (a < 2)
                (void)snprintf(left, sizeof left, "%d", a);
            if (b < 3)
                (void)snprintf(right, sizeof right, "%d", b);
            kit_rows_add(k, &want, "%s|%s|%lld|%d", left, right, (long long)count,
                         (a == 2) | (b == 3) << 1);
        }
    kit_check_same(got, want);
    kit_close(k);
}

TEST(distinct_and_ordered_calls)
{
    kit *k = kit_open(0, 0);
    kit_column columns[3] = {{.type = int8_type(), .modulus = 2, .salt = 3},
                             {.type = int8_type(), .modulus = 7, .salt = 4, .null_every = 6},
                             {.type = kd_type_of(KD_TYPE_TEXT), .modulus = 5, .salt = 4}};
    kd_plan *source = kit_source(k, columns, 3, 2500);
    kd_expr *keys[1] = {kit_ref(k, source, 0)};
    kd_sort_key order = {.expr = kit_ref(k, source, 2), .descending = true};
    kd_aggregate_call calls[3] = {kit_aggregate(k, "sum", kit_ref(k, source, 1)),
                                  kit_aggregate(k, "string_agg", kit_ref(k, source, 2)),
                                  kit_aggregate(k, "count", kit_ref(k, source, 1))};
    calls[0].distinct = true;
    calls[1].distinct = true;
    calls[1].order_count = 1;
    calls[1].order = &order;
    calls[2].distinct = true;
    kit_rows got = kit_run(k, aggregate_of(k, source, keys, 1, calls, 3));
    kit_sort(&got);
    CHECK_EQ(got.count, 2);
    CHECK_TEXT(got.texts[0], "0|21|v4,v3,v2,v1,v0|7");
    CHECK_TEXT(got.texts[1], "1|21|v4,v3,v2,v1,v0|7");
    kit_close(k);
}

/* ---- Sorting ---- */

static kd_plan *sort_of(kit *k, kd_plan *input, kd_sort_key *keys, uint32_t key_count)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_SORT, input, NULL);
    kit_take_columns(k, plan, false);
    plan->as.sort.key_count = key_count;
    plan->as.sort.keys = keys;
    return plan;
}

static int values_order(const kd_value *a, const kd_value *b, bool descending, bool nulls_first)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null ? 0 : a->is_null == nulls_first ? -1 : 1;
    int compared = kd_value_compare(a, b);
    return descending ? -compared : compared;
}

static void order_check(size_t budget, uint64_t rows, bool descending, bool nulls_first,
                        kd_type_id type)
{
    kit *k = kit_open(budget, 0);
    kit_column columns[2] = {
        {.type = kd_type_of(type), .modulus = 900, .salt = 5, .null_every = 17, .is_long = true},
        {.type = int8_type(), .sequential = true}};
    kd_plan *source = kit_source(k, columns, 2, rows);
    kd_sort_key keys[2] = {{kit_ref(k, source, 0), descending, nulls_first},
                           {kit_call(k, "%", kit_ref(k, source, 1), kit_i64(k, 10)), true, false}};
    kit_rows got = kit_run(k, sort_of(k, source, keys, 2));
    CHECK_EQ(got.count, rows);
    kd_value before = {0};
    int64_t before_number = 0;
    for (uint64_t i = 0; i < rows; i++) {
        long long number = strtoll(strrchr(got.texts[i], '|') + 1, NULL, 10);
        kd_value value = kit_value(k, &columns[0], (uint64_t)number);
        if (i > 0) {
            int compared = values_order(&before, &value, descending, nulls_first);
            CHECK(compared < 0 || (compared == 0 && before_number % 10 >= number % 10));
        }
        before = value;
        before_number = number;
    }
    kit_close(k);
}

TEST(rows_come_in_order)
{
    order_check(0, 5000, false, false, KD_TYPE_INT8);
    order_check(0, 5000, true, true, KD_TYPE_INT4);
    order_check(0, 5000, true, false, KD_TYPE_TEXT);
    order_check(0, 5000, false, true, KD_TYPE_FLOAT8);
}

TEST(top_n_gives_what_sort_and_limit_give)
{
    kit *k = kit_open(0, 0);
    kit_column columns[2] = {{.type = int8_type(), .modulus = 100000, .salt = 5, .null_every = 50},
                             {.type = int8_type(), .sequential = true}};
    kd_plan *source = kit_source(k, columns, 2, 40000);
    kd_sort_key keys[2] = {{kit_ref(k, source, 0), true, false},
                           {kit_ref(k, source, 1), false, false}};
    kit_rows all = kit_run(k, sort_of(k, source, keys, 2));
    kd_plan *top = sort_of(k, source, keys, 2);
    top->kind = KD_PLAN_TOP_N;
    top->as.sort.count = kit_i64(k, 100);
    top->as.sort.offset = kit_i64(k, 37);
    kit_rows got = kit_run(k, top);
    CHECK_EQ(got.count, 100);
    for (int i = 0; i < 100; i++)
        CHECK_TEXT(got.texts[i], all.texts[i + 37]);
    kit_close(k);
}

TEST(limit_stops_and_skips)
{
    kit *k = kit_open(0, 0);
    kit_column column = {.type = int8_type(), .sequential = true};
    kd_plan *source = kit_source(k, &column, 1, 1000000000);
    kd_plan *limit = kit_plan(k, KD_PLAN_LIMIT, source, NULL);
    kit_take_columns(k, limit, false);
    limit->as.limit.count = kit_i64(k, 3);
    limit->as.limit.offset = kit_i64(k, 1999);
    kit_rows got = kit_run(k, limit);
    CHECK_EQ(got.count, 3);
    CHECK_TEXT(got.texts[0], "1999");
    limit->as.limit.count = kit_i64(k, -1);
    uint64_t count;
    CHECK_FAILS(&k->ctx, kit_try(k, limit, &count), "2201W");
    kit_close(k);
}

TEST(distinct_lets_each_row_pass_once)
{
    kit *k = kit_open(0, 0);
    kit_column columns[2] = {{.type = int8_type(), .modulus = 30, .salt = 5, .null_every = 50},
                             {.type = int8_type(), .modulus = 20, .salt = 7}};
    kd_plan *source = kit_source(k, columns, 2, 9000);
    kd_plan *distinct = kit_plan(k, KD_PLAN_DISTINCT, source, NULL);
    kit_take_columns(k, distinct, false);
    uint64_t count;
    CHECK_STATUS(&k->ctx, kit_try(k, distinct, &count));
    CHECK(count > 600 && count <= 31 * 20);
    kd_expr *on[1] = {kit_ref(k, source, 1)};
    distinct->as.distinct.on_count = 1;
    distinct->as.distinct.on = on;
    CHECK_STATUS(&k->ctx, kit_try(k, distinct, &count));
    CHECK_EQ(count, 20);
    kit_close(k);
}

TEST(set_operations_count_duplicates)
{
    kit *k = kit_open(0, 0);
    /* Left: 0..9 three times each, about; right: 5..14 by another mixing. */
    kit_column left_column = {.type = int8_type(), .modulus = 10, .salt = 5, .null_every = 9};
    kit_column right_column = {.type = int8_type(), .modulus = 7, .salt = 6, .null_every = 9};
    uint64_t left_rows = 40, right_rows = 20;
    int64_t left_counts[11] = {0}, right_counts[11] = {0};
    for (uint64_t row = 0; row < left_rows; row++) {
        kd_value v = kit_value(k, &left_column, row);
        left_counts[v.is_null ? 10 : v.as.i64]++;
    }
    for (uint64_t row = 0; row < right_rows; row++) {
        kd_value v = kit_value(k, &right_column, row);
        right_counts[v.is_null ? 10 : v.as.i64]++;
    }
    for (int kind = KD_SET_INTERSECT; kind <= KD_SET_EXCEPT; kind++)
        for (int all = 0; all < 2; all++) {
            kd_plan *plan = kit_plan(k, KD_PLAN_SET_OP, kit_source(k, &left_column, 1, left_rows),
                                     kit_source(k, &right_column, 1, right_rows));
            kit_take_columns(k, plan, false);
            plan->as.set.kind = (kd_set_kind)kind;
            plan->as.set.all = all;
            kit_rows want = {0};
            for (int v = 0; v < 11; v++) {
                int64_t l = left_counts[v], r = right_counts[v], times;
                if (kind == KD_SET_INTERSECT)
                    times = all ? (l < r ? l : r) : l > 0 && r > 0;
                else
                    times = all ? (l > r ? l - r : 0) : l > 0 && r == 0;
                for (int64_t i = 0; i < times; i++)
                    kit_rows_add(k, &want, v == 10 ? "NULL" : "%d", v);
            }
            kit_check_same(kit_run(k, plan), want);
        }
    kit_close(k);
}

TEST(union_all_reads_one_after_the_other)
{
    kit *k = kit_open(0, 0);
    kit_column column = {.type = int8_type(), .sequential = true};
    kd_plan *parts[3] = {kit_source(k, &column, 1, 2000), kit_source(k, &column, 1, 0),
                         kit_source(k, &column, 1, 500)};
    kd_plan *plan = kit_plan(k, KD_PLAN_UNION_ALL, NULL, NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    plan->more_count = 3;
    plan->more = parts;
    uint64_t count;
    CHECK_STATUS(&k->ctx, kit_try(k, plan, &count));
    CHECK_EQ(count, 2500);
    kit_close(k);
}

TEST(recursion_runs_until_nothing_is_new)
{
    kit *k = kit_open(0, 0);
    kit_column column = {.type = int8_type(), .sequential = true};
    kd_plan *start = kit_source(k, &column, 1, 1);
    kd_plan *working = kit_plan(k, KD_PLAN_WORKING_SCAN, NULL, NULL);
    kit_add_column(k, working, int8_type(), NULL);
    kd_plan *step = kit_plan(k, KD_PLAN_PROJECT, working, NULL);
    kd_expr *exprs[1] = {
        kit_call(k, "%", kit_call(k, "+", kit_ref(k, working, 0), kit_i64(k, 3)), kit_i64(k, 100))};
    step->as.project.exprs = exprs;
    kit_add_column(k, step, int8_type(), NULL);
    kd_plan *plan = kit_plan(k, KD_PLAN_RECURSIVE, start, step);
    kit_add_column(k, plan, int8_type(), NULL);
    uint64_t count;
    CHECK_STATUS(&k->ctx, kit_try(k, plan, &count));
    CHECK_EQ(count, 100);
    kit_close(k);
}

TEST(values_and_nothing)
{
    kit *k = kit_open(0, 0);
    kd_plan *plan = kit_plan(k, KD_PLAN_VALUES, NULL, NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    kd_expr *one[1] = {kit_i64(k, 1)};
    kd_expr *two[1] = {kit_call(k, "+", kit_i64(k, 1), kit_i64(k, 1))};
    kd_expr **rows[2] = {one, two};
    plan->as.values.row_count = 2;
    plan->as.values.rows = rows;
    kit_rows got = kit_run(k, plan);
    CHECK_EQ(got.count, 2);
    CHECK_TEXT(got.texts[1], "2");
    kd_plan *empty = kit_plan(k, KD_PLAN_EMPTY, NULL, NULL);
    kit_add_column(k, empty, int8_type(), NULL);
    CHECK_EQ(kit_run(k, empty).count, 0);
    kit_close(k);
}

TEST(distinct_over_a_dictionary_counts_each_value_once)
{
    kit *k = kit_open(0, 0);
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_DICT; form += 2) {
        kit_column column = {.type = int8_type(),
                             .modulus = 60,
                             .salt = 5,
                             .null_every = 9,
                             .form = (kd_vector_form)form};
        kd_plan *source = kit_source(k, &column, 1, 5000);
        kd_aggregate_call calls[2] = {kit_aggregate(k, "sum", kit_ref(k, source, 0)),
                                      kit_aggregate(k, "count", kit_ref(k, source, 0))};
        calls[0].distinct = calls[1].distinct = true;
        calls[1].filter = kit_call(k, "<", kit_ref(k, source, 0), kit_i64(k, 10));
        kit_rows got = kit_run(k, aggregate_of(k, source, NULL, 0, calls, 2));
        CHECK_EQ(got.count, 1);
        CHECK_TEXT(got.texts[0], "1770|10");
    }
    kit_close(k);
}
