/*
 * Aggregates by code against naive loops: ranges that move, dictionaries, NULL keys, many codes,
 * sums that come near the limits of 64 bits.
 */
#include "plan_kit.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 9000, GROUPS_MAX = 9001 * 2 };

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static kd_plan *aggregate_of(kit *k, kd_plan *input, kd_expr **keys, uint32_t key_count,
                             kd_expr *argument)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, input, NULL);
    plan->as.aggregate.keys = keys;
    plan->as.aggregate.key_count = key_count;
    plan->as.aggregate.call_count = 4;
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 4);
    plan->as.aggregate.calls = calls;
    calls[0] = kit_aggregate(k, "count*", NULL);
    calls[1] = kit_aggregate(k, "sum", argument);
    calls[2] = kit_aggregate(k, "count", argument);
    calls[3] = kit_aggregate(k, "min", argument);
    for (uint32_t i = 0; i < key_count; i++)
        kit_add_column(k, plan, keys[i]->type, NULL);
    for (uint32_t c = 0; c < 4; c++)
        kit_add_column(k, plan, int8_type(), NULL);
    return plan;
}

typedef struct group {
    kd_value keys[2];
    int64_t rows, sum, count, min;
} group;

static bool values_same(const kd_value *a, const kd_value *b)
{
    return a->is_null || b->is_null ? a->is_null == b->is_null : a->as.i64 == b->as.i64;
}

static void group_add(kit *k, group *groups, uint32_t *count, const kit_column *columns,
                      uint32_t key_count, uint64_t row)
{
    kd_value keys[2] = {0};
    for (uint32_t i = 0; i < key_count; i++)
        keys[i] = kit_value(k, &columns[i], row);
    uint32_t at = 0;
    while (at < *count && !(values_same(&groups[at].keys[0], &keys[0]) &&
                            values_same(&groups[at].keys[1], &keys[1])))
        at++;
    if (at == *count) {
        groups[(*count)++] = (group){.keys = {keys[0], keys[1]}, .min = INT64_MAX};
    }
    kd_value value = kit_value(k, &columns[key_count], row);
    groups[at].rows++;
    if (value.is_null)
        return;
    groups[at].count++;
    groups[at].sum += value.as.i64;
    groups[at].min = value.as.i64 < groups[at].min ? value.as.i64 : groups[at].min;
}

static void value_text(const kd_value *value, char *text, size_t size)
{
    if (value->is_null)
        (void)snprintf(text, size, "NULL");
    else
        (void)snprintf(text, size, "%lld", (long long)value->as.i64);
}

/* Every group, as the plan should give it. */
static kit_rows naive(kit *k, const kit_column *columns, uint32_t key_count, uint64_t rows)
{
    static group groups[GROUPS_MAX];
    kit_rows want = {0};
    uint32_t count = 0;
    for (uint64_t row = 0; row < rows; row++)
        group_add(k, groups, &count, columns, key_count, row);
    for (uint32_t g = 0; g < count; g++) {
        char keys[2][32], sum[32] = "NULL", min[32] = "NULL";
        for (uint32_t i = 0; i < key_count; i++)
            value_text(&groups[g].keys[i], keys[i], sizeof keys[i]);
        if (groups[g].count > 0) {
            (void)snprintf(sum, sizeof sum, "%lld", (long long)groups[g].sum);
            (void)snprintf(min, sizeof min, "%lld", (long long)groups[g].min);
        }
        kit_rows_add(k, &want, "%s%s%s%s%lld|%s|%lld|%s", key_count > 0 ? keys[0] : "",
                     key_count > 0 ? "|" : "", key_count > 1 ? keys[1] : "",
                     key_count > 1 ? "|" : "", (long long)groups[g].rows, sum,
                     (long long)groups[g].count, min);
    }
    return want;
}

static void check_keys(kit *k, const kit_column *columns, uint32_t key_count, bool filtered)
{
    kd_plan *source = kit_source(k, columns, key_count + 1, ROWS);
    kd_expr **keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, key_count);
    kd_plan *input = source;
    if (filtered) { /* A selection that keeps all rows with a value, and so drops those without. */
        input = kit_plan(k, KD_PLAN_FILTER, source, NULL);
        kit_take_columns(k, input, false);
        input->as.filter.condition =
            kit_call(k, ">=", kit_ref(k, source, key_count), kit_i64(k, 0));
    }
    for (uint32_t i = 0; i < key_count; i++)
        keys[i] = kit_ref(k, source, i);
    kit_rows got =
        kit_run(k, aggregate_of(k, input, keys, key_count, kit_ref(k, source, key_count)));
    if (!filtered)
        kit_check_same(got, naive(k, columns, key_count, ROWS));
    else
        CHECK(got.count <= naive(k, columns, key_count, ROWS).count);
}

TEST(one_key_of_every_form_and_size)
{
    kit *k = kit_open(0, 0);
    const uint64_t moduli[] = {1, 3, 200, 700, 5000, 1 << 30};
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_FRAME; form++)
        for (size_t m = 0; m < sizeof moduli / sizeof *moduli; m++)
            for (uint32_t nulls = 0; nulls < 2; nulls++) {
                if (moduli[m] > 5000 && form != KD_VECTOR_FLAT)
                    continue;
                kit_column columns[2] = {{.type = int8_type(),
                                          .modulus = moduli[m],
                                          .salt = 5,
                                          .null_every = nulls * 7,
                                          .form = (kd_vector_form)form},
                                         {.type = int8_type(),
                                          .modulus = 1000,
                                          .salt = 9,
                                          .null_every = (1 - nulls) * 5,
                                          .form = KD_VECTOR_FRAME}};
                check_keys(k, columns, 1, false);
            }
    kit_close(k);
}

TEST(a_range_that_grows_with_the_rows_moves_along)
{
    kit *k = kit_open(0, 0);
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_FRAME; form += 3) {
        kit_column columns[2] = {
            {.type = int8_type(), .sequential = true, .form = (kd_vector_form)form},
            {.type = int8_type(), .modulus = 77, .salt = 3, .null_every = 9}};
        check_keys(k, columns, 1, false);
    }
    kit_close(k);
}

TEST(two_keys_whose_codes_are_few_and_many)
{
    kit *k = kit_open(0, 0);
    const uint64_t moduli[][2] = {{2, 3}, {60, 40}, {300, 290}, {900, 900}};
    for (size_t m = 0; m < sizeof moduli / sizeof *moduli; m++)
        for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_FRAME; form++) {
            kit_column columns[3] = {{.type = int8_type(),
                                      .modulus = moduli[m][0],
                                      .salt = 5,
                                      .null_every = 11,
                                      .form = (kd_vector_form)form},
                                     {.type = int8_type(),
                                      .modulus = moduli[m][1],
                                      .salt = 8,
                                      .null_every = 13,
                                      .form = KD_VECTOR_DICT},
                                     {.type = int8_type(),
                                      .modulus = 1000,
                                      .salt = 9,
                                      .null_every = 3,
                                      .form = KD_VECTOR_DICT}};
            check_keys(k, columns, 2, m == 1);
        }
    kit_close(k);
}

TEST(without_keys_everything_is_one_group)
{
    kit *k = kit_open(0, 0);
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_FRAME; form++)
        for (uint32_t nulls = 0; nulls < 2; nulls++) {
            kit_column column = {.type = int8_type(),
                                 .modulus = 60000,
                                 .salt = 4,
                                 .null_every = nulls * 6,
                                 .form = (kd_vector_form)form};
            check_keys(k, &column, 0, false);
        }
    kit_close(k);
}
