/*
 * How many rows an operator gives: rough, by rule. Only the order of sizes matters.
 */
#include "plan/plan_internal.h"

enum { ROWS_UNKNOWN = 1000 };

double kdi_selectivity(const kd_expr *condition)
{
    if (condition == NULL)
        return 1;
    double all = 1;
    switch (condition->kind) {
    case KD_EXPR_AND:
        for (uint32_t i = 0; i < condition->argument_count; i++)
            all *= kdi_selectivity(condition->arguments[i]);
        return all;
    case KD_EXPR_OR:
        for (uint32_t i = 0; i < condition->argument_count; i++)
            all *= 1 - kdi_selectivity(condition->arguments[i]);
        return 1 - all;
    case KD_EXPR_NOT:
        return 1 - kdi_selectivity(condition->arguments[0]);
    case KD_EXPR_IS_NULL:
        return 0.02;
    case KD_EXPR_IN_LIST:
        all = 0.01 * (condition->argument_count - 1);
        return all > 0.5 ? 0.5 : all;
    case KD_EXPR_CALL:
        if (strcmp(condition->function->name, "=") == 0)
            return 0.01;
        if (strcmp(condition->function->name, "<>") == 0)
            return 0.95;
        if (strcmp(condition->function->name, "~~") == 0)
            return 0.05;
        return 0.33;
    default:
        return 0.33;
    }
}

static double scan_rows(const kd_rel *rel, kdi_planner *p)
{
    const kd_table_entry *table = rel->as.scan.table;
    kd_storage *storage =
        p->options->catalog == NULL ? NULL : kd_catalog_storage(p->options->catalog);
    kd_table *stored = storage == NULL ? NULL : kd_table_find(storage, table->table_no);
    return stored == NULL ? ROWS_UNKNOWN : (double)kd_table_row_count_estimate(stored);
}

static double join_rows(kdi_planner *p, kd_rel *rel)
{
    double left = kdi_estimate(p, rel->inputs[0]), right = kdi_estimate(p, rel->inputs[1]);
    double larger = left > right ? left : right;
    kd_expr *sides[2];
    bool null_equal;
    double rows = left * right;
    const kd_expr *condition = rel->as.join.condition;
    if (condition != NULL) {
        uint32_t count = condition->kind == KD_EXPR_AND ? condition->argument_count : 1;
        bool equal = false;
        for (uint32_t i = 0; i < count; i++)
            equal |= kdi_is_equality(condition->kind == KD_EXPR_AND ? condition->arguments[i]
                                                                    : condition,
                                     &sides[0], &sides[1], &null_equal);
        rows = equal ? larger : rows * kdi_selectivity(condition);
    }
    switch (rel->as.join.kind) {
    case KD_JOIN_SEMI:
    case KD_JOIN_ANTI:
    case KD_JOIN_ANTI_NULL:
        return left * 0.5;
    case KD_JOIN_MARK:
    case KD_JOIN_SINGLE:
        return left;
    case KD_JOIN_LEFT:
        return rows > left ? rows : left;
    case KD_JOIN_RIGHT:
        return rows > right ? rows : right;
    case KD_JOIN_FULL:
        return rows > left + right ? rows : left + right;
    default:
        return rows;
    }
}

static double limit_rows(double rows, const kd_expr *count)
{
    if (count == NULL || count->kind != KD_EXPR_CONSTANT || count->constant.is_null)
        return rows;
    double limit = (double)count->constant.as.i64;
    return limit < rows ? limit : rows;
}

static double compute(kdi_planner *p, kd_rel *rel)
{
    uint32_t no;
    double input = rel->inputs[0] == NULL ? 1 : kdi_estimate(p, rel->inputs[0]);
    switch (rel->kind) {
    case KD_REL_SCAN:
        return scan_rows(rel, p);
    case KD_REL_VALUES:
        return rel->as.values.row_count;
    case KD_REL_FUNCTION:
    case KD_REL_VIRTUAL:
    case KD_REL_WORKING:
        return ROWS_UNKNOWN;
    case KD_REL_FILTER:
        return input * kdi_selectivity(rel->as.filter.condition);
    case KD_REL_JOIN:
        return join_rows(p, rel);
    case KD_REL_AGGREGATE:
        return rel->as.aggregate.key_count == 0 ? 1 : input * 0.1;
    case KD_REL_DISTINCT:
        return input * 0.2;
    case KD_REL_LIMIT:
        return limit_rows(input, rel->as.limit.count);
    case KD_REL_SET:
        return input + kdi_estimate(p, rel->inputs[1]);
    case KD_REL_RECURSIVE:
        return input * 10;
    case KD_REL_CTE:
        if (kdi_is_modifying(p->bound, rel->as.cte.cte, &no))
            return ROWS_UNKNOWN;
        return kdi_estimate(p, rel->as.cte.cte->query);
    default:
        return input;
    }
}

double kdi_estimate(kdi_planner *p, kd_rel *rel)
{
    if (rel->row_estimate <= 0) {
        double rows = compute(p, rel);
        rel->row_estimate = rows < 1 ? 1 : rows;
    }
    return rel->row_estimate;
}
