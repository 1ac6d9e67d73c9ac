/*
 * Joins of every kind against nested loops in the test, by hash, by loop and by APPLY.
 */
#include "plan_kit.h"

#include <string.h>

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

typedef struct join_case {
    kd_join_kind kind;
    uint64_t left_rows, right_rows;
    uint64_t left_modulus, right_modulus;
    uint32_t null_every;
    bool has_residual;
    bool null_equal;
    kd_type_id key_type;
    kd_vector_form form;
} join_case;

typedef enum join_how { BY_HASH, BY_LOOP, BY_APPLY } join_how;

static bool kind_gives_right(kd_join_kind kind)
{
    return kind == KD_JOIN_INNER || kind == KD_JOIN_LEFT || kind == KD_JOIN_RIGHT ||
           kind == KD_JOIN_FULL || kind == KD_JOIN_SINGLE;
}

static bool kind_keeps_right(kd_join_kind kind)
{
    return kind == KD_JOIN_RIGHT_SEMI || kind == KD_JOIN_RIGHT_ANTI;
}

static const char *text_of(kit *k, const kd_value *value)
{
    if (value->is_null)
        return "NULL";
    if (kd_type_physical(value->type) == KD_PHYS_STR)
        return kd_format_text(&k->ctx, k->arena, "%.*s", (int)value->as.str.size_bytes,
                              kd_str_data(&value->as.str));
    return kd_format_text(
        &k->ctx, k->arena, "%lld",
        (long long)(kd_type_physical(value->type) == KD_PHYS_I32 ? value->as.i32 : value->as.i64));
}

/* 1, 0 or -1 for NULL. */
static int keys_match(const join_case *c, const kd_value *a, const kd_value *b)
{
    if (a->is_null || b->is_null)
        return c->null_equal ? a->is_null && b->is_null : -1;
    return kd_value_compare(a, b) == 0;
}

static void row_give(kit *k, kit_rows *want, const join_case *c, const kd_value *left,
                     const kd_value *right, const char *mark)
{
    const char *a = left == NULL ? "NULL" : text_of(k, &left[0]);
    const char *b = left == NULL ? "NULL" : text_of(k, &left[1]);
    if (mark != NULL)
        kit_rows_add(k, want, "%s|%s|%s", a, b, mark);
    else if (!kind_gives_right(c->kind))
        kit_rows_add(k, want, "%s|%s", a, b);
    else
        kit_rows_add(k, want, "%s|%s|%s|%s", a, b, right == NULL ? "NULL" : text_of(k, &right[0]),
                     right == NULL ? "NULL" : text_of(k, &right[1]));
}

static kit_rows expected_rows(kit *k, const join_case *c, const kit_column *left_columns,
                              const kit_column *right_columns)
{
    kit_rows want = {0};
    kd_value(*right)[2] = kd_alloc_array(&k->ctx, k->arena, c->right_rows + 1, sizeof *right);
    bool *met = KD_NEW_ARRAY(&k->ctx, k->arena, bool, c->right_rows + 1);
    CHECK(right != NULL && met != NULL);
    for (uint64_t r = 0; r < c->right_rows; r++)
        for (int i = 0; i < 2; i++)
            right[r][i] = kit_value(k, &right_columns[i], r);
    for (uint64_t l = 0; l < c->left_rows; l++) {
        kd_value left[2] = {kit_value(k, &left_columns[0], l), kit_value(k, &left_columns[1], l)};
        bool matched = false, open = false;
        for (uint64_t r = 0; r < c->right_rows; r++) {
            int match = keys_match(c, &left[0], &right[r][0]);
            if (c->has_residual && left[1].as.i64 >= right[r][1].as.i64)
                match = 0;
            open |= match < 0;
            if (match != 1)
                continue;
            matched = met[r] = true;
            if (kind_gives_right(c->kind))
                row_give(k, &want, c, left, right[r], NULL);
        }
        switch (c->kind) {
        case KD_JOIN_LEFT:
        case KD_JOIN_FULL:
        case KD_JOIN_SINGLE:
        case KD_JOIN_ANTI:
            if (!matched)
                row_give(k, &want, c, left, NULL, NULL);
            break;
        case KD_JOIN_SEMI:
            if (matched)
                row_give(k, &want, c, left, NULL, NULL);
            break;
        case KD_JOIN_ANTI_NULL:
            if (!matched && !open)
                row_give(k, &want, c, left, NULL, NULL);
            break;
        case KD_JOIN_MARK:
            row_give(k, &want, c, left, NULL, matched ? "1" : open ? "NULL" : "0");
            break;
        default:
            break;
        }
    }
    for (uint64_t r = 0; r < c->right_rows; r++)
        if (!met[r] && (c->kind == KD_JOIN_RIGHT || c->kind == KD_JOIN_FULL))
            row_give(k, &want, c, NULL, right[r], NULL);
    for (uint64_t r = 0; r < c->right_rows && kind_keeps_right(c->kind); r++)
        if (met[r] == (c->kind == KD_JOIN_RIGHT_SEMI))
            kit_rows_add(k, &want, "%s|%s", text_of(k, &right[r][0]), text_of(k, &right[r][1]));
    return want;
}

static kd_plan *join_plan(kit *k, const join_case *c, kd_plan *left, kd_plan *right, join_how how)
{
    kd_plan *plan = kit_plan(k,
                             how == BY_HASH   ? KD_PLAN_HASH_JOIN
                             : how == BY_LOOP ? KD_PLAN_NESTED_LOOP
                                              : KD_PLAN_APPLY,
                             left, right);
    kit_take_columns(k, plan, kind_gives_right(c->kind));
    if (kind_keeps_right(c->kind)) {
        plan->columns = right->columns;
        plan->column_count = right->column_count;
    }
    kd_column_id mark = 0;
    if (c->kind == KD_JOIN_MARK)
        kit_add_column(k, plan, kd_type_of(KD_TYPE_BOOL), &mark);
    kd_expr *a = kit_ref(k, left, 0), *b = kit_ref(k, right, 0);
    const char *equal = c->key_type == KD_TYPE_TEXT ? "t=" : "=";
    kd_expr *same =
        c->null_equal
            ? kit_expr(k, KD_EXPR_NOT, kd_type_of(KD_TYPE_BOOL), 1,
                       kit_expr(k, KD_EXPR_IS_DISTINCT, kd_type_of(KD_TYPE_BOOL), 2, a, b))
            : kit_call(k, equal, a, b);
    kd_expr *residual =
        c->has_residual ? kit_call(k, "<", kit_ref(k, left, 1), kit_ref(k, right, 1)) : NULL;
    kd_expr *whole = residual == NULL
                         ? same
                         : kit_expr(k, KD_EXPR_AND, kd_type_of(KD_TYPE_BOOL), 2, residual, same);
    if (how == BY_APPLY) {
        /* The right side is filtered by the left row's key. */
        kd_plan *filter = kit_plan(k, KD_PLAN_FILTER, right, NULL);
        kit_take_columns(k, filter, false);
        filter->as.filter.condition = same;
        plan->inputs[1] = filter;
        kd_column_id *ids = KD_NEW(&k->ctx, k->arena, kd_column_id);
        *ids = left->columns[0].id;
        plan->as.apply.kind = c->kind;
        plan->as.apply.outer_count = 1;
        plan->as.apply.outer_ids = ids;
        plan->as.apply.condition = residual;
        plan->as.apply.mark = mark;
        return plan;
    }
    plan->as.join.kind = c->kind;
    plan->as.join.mark = mark;
    plan->as.join.residual = how == BY_HASH ? residual : whole;
    if (how == BY_LOOP)
        return plan;
    plan->as.join.key_count = 1;
    plan->as.join.left_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.right_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.null_equal = KD_NEW(&k->ctx, k->arena, bool);
    plan->as.join.left_keys[0] = a;
    plan->as.join.right_keys[0] = b;
    plan->as.join.null_equal[0] = c->null_equal;
    return plan;
}

static void join_check(const join_case *c, join_how how, size_t budget)
{
    test_note("kind %d how %d residual %d null_equal %d rows %d %d", (int)c->kind, (int)how,
              c->has_residual, c->null_equal, (int)c->left_rows, (int)c->right_rows);
    kit *k = kit_open(budget, 0);
    kit_column left[2] = {{.type = kd_type_of(c->key_type),
                           .modulus = c->left_modulus,
                           .salt = 3,
                           .null_every = c->null_every,
                           .form = c->form,
                           .is_long = true},
                          {.type = int8_type(), .modulus = 50, .salt = 4}};
    kit_column right[2] = {{.type = kd_type_of(c->key_type),
                            .modulus = c->right_modulus,
                            .salt = 11,
                            .null_every = c->null_every,
                            .is_long = true},
                           {.type = int8_type(), .modulus = 50, .salt = 6}};
    kd_plan *l = kit_source(k, left, 2, c->left_rows);
    kd_plan *r = kit_source(k, right, 2, c->right_rows);
    kit_check_same(kit_run(k, join_plan(k, c, l, r, how)), expected_rows(k, c, left, right));
    kit_close(k);
}

static void kinds_check(join_how how, join_case base)
{
    for (int kind = KD_JOIN_INNER; kind <= KD_JOIN_RIGHT_ANTI; kind++)
        for (int residual = 0; residual < 2; residual++) {
            if (kind == KD_JOIN_SINGLE || (kind > KD_JOIN_SINGLE && how != BY_HASH))
                continue;
            base.kind = (kd_join_kind)kind;
            base.has_residual = residual;
            bool three_valued = kind == KD_JOIN_MARK || kind == KD_JOIN_ANTI_NULL;
            if (three_valued && how != BY_LOOP && (residual || how == BY_APPLY))
                continue; /* There a NULL's meaning depends on the whole condition. */
            if (how == BY_APPLY && (kind == KD_JOIN_RIGHT || kind == KD_JOIN_FULL))
                continue;
            join_check(&base, how, 0);
        }
}

TEST(hash_joins_agree_with_loops)
{
    kinds_check(BY_HASH, (join_case){.left_rows = 700,
                                     .right_rows = 300,
                                     .left_modulus = 80,
                                     .right_modulus = 60,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
    kinds_check(BY_HASH, (join_case){.left_rows = 2500,
                                     .right_rows = 40,
                                     .left_modulus = 80,
                                     .right_modulus = 60,
                                     .key_type = KD_TYPE_TEXT,
                                     .form = KD_VECTOR_DICT});
    kinds_check(BY_HASH, (join_case){.left_rows = 20,
                                     .right_rows = 2500,
                                     .left_modulus = 4,
                                     .right_modulus = 3,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT4,
                                     .form = KD_VECTOR_FRAME});
}

TEST(hash_joins_with_null_equal_keys)
{
    join_case c = {.left_rows = 500,
                   .right_rows = 200,
                   .left_modulus = 60,
                   .right_modulus = 50,
                   .null_every = 10,
                   .key_type = KD_TYPE_INT8,
                   .null_equal = true};
    kd_join_kind kinds[] = {KD_JOIN_INNER, KD_JOIN_LEFT,       KD_JOIN_FULL,      KD_JOIN_SEMI,
                            KD_JOIN_ANTI,  KD_JOIN_RIGHT_SEMI, KD_JOIN_RIGHT_ANTI};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        c.kind = kinds[i];
        join_check(&c, BY_HASH, 0);
    }
}

TEST(hash_joins_over_an_empty_side)
{
    kinds_check(BY_HASH, (join_case){.left_rows = 300,
                                     .right_rows = 0,
                                     .left_modulus = 80,
                                     .right_modulus = 60,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
    kinds_check(BY_HASH, (join_case){.left_rows = 0,
                                     .right_rows = 300,
                                     .left_modulus = 80,
                                     .right_modulus = 60,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
}

TEST(nested_loops_agree_with_loops)
{
    kinds_check(BY_LOOP, (join_case){.left_rows = 300,
                                     .right_rows = 50,
                                     .left_modulus = 40,
                                     .right_modulus = 30,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
    kinds_check(BY_LOOP, (join_case){.left_rows = 30,
                                     .right_rows = 2100,
                                     .left_modulus = 4,
                                     .right_modulus = 3,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
    kinds_check(BY_LOOP, (join_case){.left_rows = 30,
                                     .right_rows = 0,
                                     .left_modulus = 4,
                                     .right_modulus = 3,
                                     .null_every = 10,
                                     .key_type = KD_TYPE_INT8});
}

TEST(applies_agree_with_loops)
{
    kinds_check(BY_APPLY, (join_case){.left_rows = 200,
                                      .right_rows = 100,
                                      .left_modulus = 40,
                                      .right_modulus = 30,
                                      .null_every = 10,
                                      .key_type = KD_TYPE_INT8});
}

TEST(a_single_join_fails_on_a_second_match)
{
    join_case c = {.kind = KD_JOIN_SINGLE,
                   .left_rows = 20,
                   .right_rows = 10,
                   .left_modulus = 3,
                   .right_modulus = 3,
                   .key_type = KD_TYPE_INT8};
    for (join_how how = BY_HASH; how <= BY_APPLY; how++) {
        kit *k = kit_open(0, 0);
        kit_column left[2] = {{.type = int8_type(), .modulus = 3, .salt = 3},
                              {.type = int8_type(), .modulus = 50, .salt = 4}};
        kd_plan *l = kit_source(k, left, 2, c.left_rows);
        kd_plan *r = kit_source(k, left, 2, c.right_rows);
        uint64_t count;
        CHECK_FAILS(&k->ctx, kit_try(k, join_plan(k, &c, l, r, how), &count), "21000");
        kit_close(k);
    }
}
