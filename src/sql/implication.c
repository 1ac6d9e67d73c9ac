/*
 * Whether one condition follows from another.
 *
 * Conditions of one form are taken apart until two comparisons are left: of the same expression,
 * each with a constant of one type. Then the order of the two constants decides.
 */
#include "sql/implication.h"

#include "sql/expr_walk.h"

#include <string.h>

typedef enum order_test { LESS, LESS_EQUAL, EQUAL, NOT_EQUAL, GREATER_EQUAL, GREATER } order_test;

/* `operand` test constant. */
typedef struct comparison {
    const kd_expr *operand;
    order_test test;
    kd_value constant;
} comparison;

/* A constant that is not NULL. Integers are one type: the binder leaves casts of them as they are.
 */
static bool constant_of(const kd_expr *expr, kd_value *out)
{
    while (expr->kind == KD_EXPR_CAST && kd_type_is_integer(expr->type) &&
           kd_type_is_integer(expr->arguments[0]->type))
        expr = expr->arguments[0];
    if (expr->kind != KD_EXPR_CONSTANT || expr->constant.is_null)
        return false;
    *out = expr->constant;
    if (expr->type.id == KD_TYPE_INT2 && !expr->type.is_array)
        *out = kd_value_i64(expr->constant.as.i16);
    if (expr->type.id == KD_TYPE_INT4 && !expr->type.is_array)
        *out = kd_value_i64(expr->constant.as.i32);
    return true;
}

static bool comparison_of(const kd_expr *expr, comparison *out)
{
    static const char *const names[] = {"<", "<=", "=", "<>", ">=", ">"};
    static const order_test swapped[] = {GREATER,   GREATER_EQUAL, EQUAL,
                                         NOT_EQUAL, LESS_EQUAL,    LESS};
    if (expr->kind != KD_EXPR_CALL || expr->argument_count != 2)
        return false;
    bool constant_last = constant_of(expr->arguments[1], &out->constant);
    if (!constant_last && !constant_of(expr->arguments[0], &out->constant))
        return false;
    out->operand = expr->arguments[!constant_last];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(expr->function->name, names[i]) != 0)
            continue;
        out->test = constant_last ? (order_test)i : swapped[i];
        return true;
    }
    return false;
}

/* Whether a value that is so to a constant passes a test, by how it compares with it. */
static bool passes(int order, order_test test)
{
    switch (test) {
    case LESS:
        return order < 0;
    case LESS_EQUAL:
        return order <= 0;
    case EQUAL:
        return order == 0;
    case NOT_EQUAL:
        return order != 0;
    case GREATER_EQUAL:
        return order >= 0;
    case GREATER:
        return order > 0;
    }
    return false;
}

/* All values that pass `given` pass `wanted`; `order` is of their constants. */
static bool test_implies(order_test given, order_test wanted, int order)
{
    switch (given) {
    case EQUAL:
        return passes(order, wanted);
    case NOT_EQUAL:
        return wanted == NOT_EQUAL && order == 0;
    case LESS:
        return order <= 0 && (wanted == LESS || wanted == LESS_EQUAL || wanted == NOT_EQUAL);
    case LESS_EQUAL:
        return wanted == LESS_EQUAL ? order <= 0
                                    : order < 0 && (wanted == LESS || wanted == NOT_EQUAL);
    case GREATER:
        return order >= 0 && (wanted == GREATER || wanted == GREATER_EQUAL || wanted == NOT_EQUAL);
    case GREATER_EQUAL:
        return wanted == GREATER_EQUAL ? order >= 0
                                       : order > 0 && (wanted == GREATER || wanted == NOT_EQUAL);
    }
    return false;
}

static bool comparison_implies(const comparison *given, const comparison *wanted)
{
    return kd_type_same(given->constant.type, wanted->constant.type) &&
           given->constant.type.modifier == wanted->constant.type.modifier &&
           kd_expr_equal(given->operand, wanted->operand) &&
           test_implies(given->test, wanted->test,
                        kd_value_compare(&given->constant, &wanted->constant));
}

/* operand IN (constants): each of them has to pass. */
static bool list_implies(const kd_expr *list, const comparison *wanted)
{
    comparison given = {.operand = list->arguments[0], .test = EQUAL};
    for (uint32_t i = 1; i < list->argument_count; i++) {
        if (!constant_of(list->arguments[i], &given.constant) ||
            !comparison_implies(&given, wanted))
            return false;
    }
    return true;
}

/* Whether a NULL of `part` makes the condition or the value NULL, so that it is not true. */
static bool is_strict_in(const kd_expr *expr, const kd_expr *part)
{
    bool passes_on = (expr->kind == KD_EXPR_CALL && expr->function->strict) ||
                     expr->kind == KD_EXPR_NOT || expr->kind == KD_EXPR_CAST;
    if (kd_expr_equal(expr, part))
        return true;
    if (expr->kind == KD_EXPR_IN_LIST)
        return is_strict_in(expr->arguments[0], part);
    for (uint32_t i = 0; passes_on && i < expr->argument_count; i++)
        if (is_strict_in(expr->arguments[i], part))
            return true;
    return false;
}

static bool atom_implies(const kd_expr *given, const kd_expr *wanted)
{
    comparison left, right;
    if (wanted->kind == KD_EXPR_NOT && wanted->arguments[0]->kind == KD_EXPR_IS_NULL)
        return is_strict_in(given, wanted->arguments[0]->arguments[0]);
    if (!comparison_of(wanted, &right))
        return false;
    if (given->kind == KD_EXPR_IN_LIST)
        return list_implies(given, &right);
    return comparison_of(given, &left) && comparison_implies(&left, &right);
}

static bool any_implies(const kd_expr *given, const kd_expr *wanted)
{
    for (uint32_t i = 0; wanted->kind == KD_EXPR_OR && i < wanted->argument_count; i++)
        if (kd_expr_implies(given, wanted->arguments[i]))
            return true;
    for (uint32_t i = 0; given->kind == KD_EXPR_AND && i < given->argument_count; i++)
        if (kd_expr_implies(given->arguments[i], wanted))
            return true;
    return atom_implies(given, wanted);
}

bool kd_expr_implies(const kd_expr *given, const kd_expr *wanted)
{
    if (kd_expr_equal(given, wanted))
        return true;
    if (wanted->kind == KD_EXPR_AND) {
        for (uint32_t i = 0; i < wanted->argument_count; i++)
            if (!kd_expr_implies(given, wanted->arguments[i]))
                return false;
        return true;
    }
    if (given->kind == KD_EXPR_OR) {
        for (uint32_t i = 0; i < given->argument_count; i++)
            if (!kd_expr_implies(given->arguments[i], wanted))
                return false;
        return true;
    }
    return any_implies(given, wanted);
}
