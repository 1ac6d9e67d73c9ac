/*
 * Expressions: every kind over every form of vector, against one row at a time by hand.
 */
#include "plan_kit.h"

#include <stdio.h>
#include <string.h>

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static kd_type bool_type(void)
{
    return kd_type_of(KD_TYPE_BOOL);
}

static kd_plan *filter_of(kit *k, kd_plan *input, kd_expr *condition)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_FILTER, input, NULL);
    kit_take_columns(k, plan, false);
    plan->as.filter.condition = condition;
    return plan;
}

static kd_plan *project_of(kit *k, kd_plan *input, kd_expr *a, kd_expr *b)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_PROJECT, input, NULL);
    plan->as.project.exprs = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 2);
    plan->as.project.exprs[0] = a;
    plan->as.project.exprs[1] = b;
    kit_add_column(k, plan, a->type, NULL);
    if (b != NULL)
        kit_add_column(k, plan, b->type, NULL);
    return plan;
}

static bool test_holds(const char *op, int64_t a, int64_t b)
{
    if (strcmp(op, "=") == 0)
        return a == b;
    if (strcmp(op, "<>") == 0)
        return a != b;
    if (strcmp(op, "<") == 0)
        return a < b;
    if (strcmp(op, "<=") == 0)
        return a <= b;
    return strcmp(op, ">") == 0 ? a > b : a >= b;
}

TEST(comparisons_with_constants_agree_on_every_form)
{
    const char *ops[] = {"=", "<>", "<", "<=", ">", ">="};
    const int64_t bounds[] = {-10, -5, 0, 3, 96, 97, 5000000000, INT64_MAX, INT64_MIN};
    kit *k = kit_open(0, 0);
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_FRAME; form++) {
        if (form == KD_VECTOR_CONSTANT)
            continue;
        kit_column column = {.type = int8_type(),
                             .modulus = 97,
                             .salt = 3,
                             .null_every = 9,
                             .form = (kd_vector_form)form};
        for (size_t o = 0; o < 6; o++)
            for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
                kd_plan *source = kit_source(k, &column, 1, 4000);
                kd_expr *test =
                    b % 2 == 0 ? kit_call(k, ops[o], kit_ref(k, source, 0), kit_i64(k, bounds[b]))
                               : kit_call(k, ops[o], kit_i64(k, bounds[b]), kit_ref(k, source, 0));
                uint64_t count, expected = 0;
                CHECK_STATUS(&k->ctx, kit_try(k, filter_of(k, source, test), &count));
                for (uint64_t row = 0; row < 4000; row++) {
                    kd_value value = kit_value(k, &column, row);
                    if (!value.is_null)
                        expected += b % 2 == 0 ? test_holds(ops[o], value.as.i64, bounds[b])
                                               : test_holds(ops[o], bounds[b], value.as.i64);
                }
                CHECK_EQ(count, expected);
            }
    }
    kit_close(k);
}

TEST(the_right_arm_is_not_evaluated_where_the_left_decides)
{
    kit *k = kit_open(0, 0);
    kit_column column = {.type = int8_type(), .modulus = 5, .salt = 2, .null_every = 7};
    kd_plan *source = kit_source(k, &column, 1, 3000);
    kd_expr *zero = kit_call(k, "<>", kit_ref(k, source, 0), kit_i64(k, 0));
    kd_expr *divide =
        kit_call(k, ">", kit_call(k, "/", kit_i64(k, 12), kit_ref(k, source, 0)), kit_i64(k, 3));
    kd_expr *both = kit_expr(k, KD_EXPR_AND, bool_type(), 2, zero, divide);
    uint64_t count;
    CHECK_STATUS(&k->ctx, kit_try(k, filter_of(k, source, both), &count));
    CHECK(count > 0);
    kd_expr *is_zero = kit_call(k, "=", kit_ref(k, source, 0), kit_i64(k, 0));
    kd_expr *either = kit_expr(k, KD_EXPR_OR, bool_type(), 2, is_zero, divide);
    CHECK_STATUS(&k->ctx, kit_try(k, project_of(k, source, either, NULL), &count));
    CHECK_EQ(count, 3000);
    CHECK_FAILS(&k->ctx, kit_try(k, filter_of(k, source, divide), &count), "22012");
    kit_close(k);
}

TEST(case_takes_the_first_true_arm_and_only_that)
{
    kit *k = kit_open(0, 0);
    kit_column column = {
        .type = int8_type(), .modulus = 4, .salt = 2, .null_every = 11, .form = KD_VECTOR_FRAME};
    kd_plan *source = kit_source(k, &column, 1, 3000);
    kd_expr *x = kit_ref(k, source, 0);
    kd_expr *chosen =
        kit_expr(k, KD_EXPR_CASE, int8_type(), 5, kit_call(k, "=", x, kit_i64(k, 0)),
                 kit_i64(k, 100), kit_call(k, ">", x, kit_i64(k, 1)),
                 kit_call(k, "/", kit_i64(k, 60), x), kit_call(k, "+", x, kit_i64(k, 1)));
    chosen->case_has_else = true;
    kit_rows got = kit_run(k, project_of(k, source, x, chosen));
    kit_rows want = {0};
    for (uint64_t row = 0; row < 3000; row++) {
        kd_value v = kit_value(k, &column, row);
        if (v.is_null)
            kit_rows_add(k, &want, "NULL|NULL");
        else
            kit_rows_add(k, &want, "%lld|%lld", (long long)v.as.i64,
                         v.as.i64 == 0  ? 100LL
                         : v.as.i64 > 1 ? 60LL / (long long)v.as.i64
                                        : (long long)v.as.i64 + 1);
    }
    kit_check_same(got, want);
    kit_close(k);
}

TEST(three_valued_logic_is_kept)
{
    kit *k = kit_open(0, 0);
    kd_expr *t = kit_call(k, "=", kit_i64(k, 1), kit_i64(k, 1));
    kd_expr *f = kit_call(k, "=", kit_i64(k, 1), kit_i64(k, 2));
    kd_expr *n = kit_null(k, bool_type());
    kd_expr *values[] = {f, t, n};
    const char *and_table[] = {"0", "0", "0", "0", "1", "NULL", "0", "NULL", "NULL"};
    const char *or_table[] = {"0", "1", "NULL", "1", "1", "1", "NULL", "1", "NULL"};
    kit_column column = {.type = int8_type(), .modulus = 4, .salt = 2};
    kd_plan *source = kit_source(k, &column, 1, 1);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            kd_expr *both = kit_expr(k, KD_EXPR_AND, bool_type(), 2, values[a], values[b]);
            kd_expr *either = kit_expr(k, KD_EXPR_OR, bool_type(), 2, values[a], values[b]);
            kit_rows rows = kit_run(k, project_of(k, source, both, either));
            char expected[32];
            (void)snprintf(expected, sizeof expected, "%s|%s", and_table[a * 3 + b],
                           or_table[a * 3 + b]);
            CHECK_TEXT(rows.texts[0], expected);
        }
    kit_close(k);
}

TEST(in_lists_know_null)
{
    kit *k = kit_open(0, 0);
    for (int form = KD_VECTOR_FLAT; form <= KD_VECTOR_DICT; form += 2) {
        kit_column column = {.type = int8_type(),
                             .modulus = 6,
                             .salt = 1,
                             .null_every = 8,
                             .form = (kd_vector_form)form};
        kd_plan *source = kit_source(k, &column, 1, 2500);
        kd_expr *x = kit_ref(k, source, 0);
        kd_expr *in = kit_expr(k, KD_EXPR_IN_LIST, bool_type(), 4, x, kit_i64(k, 1),
                               kit_null(k, int8_type()), kit_i64(k, 4));
        kd_expr *in_columns =
            kit_expr(k, KD_EXPR_IN_LIST, bool_type(), 3, x, kit_call(k, "+", x, kit_i64(k, 1)),
                     kit_call(k, "%", x, kit_i64(k, 3)));
        kit_rows got = kit_run(k, project_of(k, source, in, in_columns));
        kit_rows want = {0};
        for (uint64_t row = 0; row < 2500; row++) {
            kd_value v = kit_value(k, &column, row);
            if (v.is_null)
                kit_rows_add(k, &want, "NULL|NULL");
            else
                kit_rows_add(k, &want, "%s|%d", v.as.i64 == 1 || v.as.i64 == 4 ? "1" : "NULL",
                             v.as.i64 < 3);
        }
        kit_check_same(got, want);
    }
    kit_close(k);
}

TEST(functions_of_a_dictionary_run_once_per_entry)
{
    kit *k = kit_open(0, 0);
    for (uint64_t salt = 2; salt < 4; salt++) {
        kit_column column = {.type = kd_type_of(KD_TYPE_TEXT),
                             .modulus = 50,
                             .salt = salt,
                             .null_every = 13,
                             .form = KD_VECTOR_DICT,
                             .is_long = true};
        kit_column flat = column;
        flat.form = KD_VECTOR_FLAT;
        kit_rows answers[2];
        for (int i = 0; i < 2; i++) {
            kd_plan *source = kit_source(k, i == 0 ? &column : &flat, 1, 5000);
            kd_expr *x = kit_ref(k, source, 0);
            kd_expr *first = kit_expr(k, KD_EXPR_COALESCE, kd_type_of(KD_TYPE_TEXT), 2,
                                      kit_call(k, "upper", x, NULL), kit_text(k, "nothing"));
            answers[i] = kit_run(k, project_of(k, source, first, kit_call(k, "length", x, NULL)));
            CHECK_EQ(answers[i].count, 5000);
        }
        kit_check_same(answers[0], answers[1]);
    }
    kit_close(k);
}

TEST(is_null_and_is_distinct_are_never_null)
{
    kit *k = kit_open(0, 0);
    kit_column columns[2] = {
        {.type = int8_type(), .modulus = 3, .salt = 1, .null_every = 3, .form = KD_VECTOR_DICT},
        {.type = int8_type(), .modulus = 3, .salt = 8, .null_every = 3, .form = KD_VECTOR_FRAME}};
    kd_plan *source = kit_source(k, columns, 2, 2000);
    kd_expr *a = kit_ref(k, source, 0), *b = kit_ref(k, source, 1);
    kit_rows got = kit_run(k, project_of(k, source, kit_expr(k, KD_EXPR_IS_NULL, bool_type(), 1, a),
                                         kit_expr(k, KD_EXPR_IS_DISTINCT, bool_type(), 2, a, b)));
    kit_rows want = {0};
    for (uint64_t row = 0; row < 2000; row++) {
        kd_value x = kit_value(k, &columns[0], row), y = kit_value(k, &columns[1], row);
        bool distinct = x.is_null || y.is_null ? x.is_null != y.is_null : x.as.i64 != y.as.i64;
        kit_rows_add(k, &want, "%d|%d", x.is_null, distinct);
    }
    kit_check_same(got, want);
    kit_close(k);
}

TEST(one_row_evaluates_without_a_batch)
{
    kit *k = kit_open(0, 0);
    kd_column_id ids[2] = {7, 9};
    kd_expr *sum = kit_call(k, "+", kit_id_ref(k, 9, int8_type()), kit_id_ref(k, 7, int8_type()));
    kd_compiled_expr *compiled;
    CHECK_STATUS(&k->ctx,
                 kd_expr_compile(&k->ctx, k->arena, sum, ids, 2, &k->facts, NULL, 0, &compiled));
    kd_value values[2] = {kd_value_i64(40), kd_value_i64(2)};
    kd_value out;
    CHECK_STATUS(&k->ctx, kd_expr_evaluate_row(&k->ctx, compiled, k->arena, values, &out));
    CHECK_EQ(out.as.i64, 42);
    values[1] = kd_value_null(int8_type());
    CHECK_STATUS(&k->ctx, kd_expr_evaluate_row(&k->ctx, compiled, k->arena, values, &out));
    CHECK(out.is_null);
    kit_close(k);
}
