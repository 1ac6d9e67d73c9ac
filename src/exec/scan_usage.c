/*
 * What a scan of a whole table could have asked an index for: the columns that its condition
 * compares with values known before the scan.
 *
 * The planner has listed comparisons (=, <, ...) for zone maps already; IN lists stand beside
 * them. A scan with a predicate of another kind alone (LIKE, OR, a function of a column) leaves no
 * note, nor do the keys of a join: hash joins would not look into an index.
 */
#include "exec/scan_usage_internal.h"

#include <string.h>

/* One column with a range counts only where none is compared for equality: an index on those would
 * be asked, and what follows in it adds little. */
typedef struct asked_columns {
    const kd_plan *plan;
    uint32_t equal_count;
    uint32_t equal[KD_SEARCH_COLUMNS_MAX];
    bool has_range;
    uint32_t range;
} asked_columns;

/* Ascending, so that one set of columns is one search however it is written. */
static void equal_enter(asked_columns *asked, uint32_t column_no)
{
    uint32_t at = 0;
    while (at < asked->equal_count && asked->equal[at] < column_no)
        at++;
    if (asked->equal_count == KD_SEARCH_COLUMNS_MAX ||
        (at < asked->equal_count && asked->equal[at] == column_no))
        return;
    for (uint32_t i = asked->equal_count; i > at; i--)
        asked->equal[i] = asked->equal[i - 1];
    asked->equal[at] = column_no;
    asked->equal_count++;
}

static void column_ask(asked_columns *asked, uint32_t shape_position, bool is_equal)
{
    const kd_table_entry *table = asked->plan->as.scan.table;
    if (shape_position >= table->visible_count)
        return; /* The key of an expression that has an index. */
    uint32_t column_no = table->columns[shape_position].storage.column_no;
    if (is_equal) {
        equal_enter(asked, column_no);
    } else if (!asked->has_range) {
        asked->has_range = true;
        asked->range = column_no;
    }
}

static void ask_by_id(asked_columns *asked, kd_column_id id)
{
    const kd_plan *plan = asked->plan;
    uint32_t stored = plan->column_count - (plan->as.scan.ref_column != 0);
    for (uint32_t i = 0; i < stored; i++)
        if (plan->columns[i].id == id)
            column_ask(asked, plan->as.scan.positions[i], true);
}

static void ask_list(asked_columns *asked, const kd_expr *expr)
{
    if (expr->kind != KD_EXPR_IN_LIST || expr->arguments[0]->kind != KD_EXPR_COLUMN)
        return;
    for (uint32_t i = 1; i < expr->argument_count; i++)
        if (expr->arguments[i]->kind != KD_EXPR_CONSTANT &&
            expr->arguments[i]->kind != KD_EXPR_PARAMETER)
            return;
    ask_by_id(asked, expr->arguments[0]->column);
}

static void columns_find(asked_columns *asked)
{
    const kd_plan *plan = asked->plan;
    const kd_expr *condition = plan->as.scan.condition;
    for (uint32_t i = 0; i < plan->as.scan.prune_count; i++) {
        kd_scan_test test = plan->as.scan.prunes[i].test;
        if (test <= KD_SCAN_GREATER_EQUAL)
            column_ask(asked, plan->as.scan.prunes[i].shape_position, test == KD_SCAN_EQUAL);
    }
    if (condition != NULL && condition->kind == KD_EXPR_AND)
        for (uint32_t i = 0; i < condition->argument_count; i++)
            ask_list(asked, condition->arguments[i]);
    else if (condition != NULL)
        ask_list(asked, condition);
}

/* How many rows the condition alone let pass: where joins took others away, what was expected. */
static uint64_t condition_passed(const kd_plan *plan, uint64_t rows_read, uint64_t rows_passed,
                                 bool is_filtered)
{
    double expected = plan->row_estimate;
    if (!is_filtered || expected <= (double)rows_passed)
        return rows_passed;
    return expected < (double)rows_read ? (uint64_t)expected : rows_read;
}

void kdi_scan_count(const kd_plan *plan, kd_table *table, uint64_t rows_read, uint64_t rows_passed,
                    bool is_filtered)
{
    kd_table_count(table, &(kd_table_usage){.scans = 1, .scan_rows = rows_read});
    if (rows_read < KD_SEARCH_ROWS_MIN)
        return;
    asked_columns asked = {.plan = plan};
    columns_find(&asked);
    bool is_range = asked.equal_count == 0 && asked.has_range;
    if (is_range)
        asked.equal[asked.equal_count++] = asked.range;
    kd_table_search search = {.is_range = is_range,
                              .scans = 1,
                              .rows_read = rows_read,
                              .rows_passed =
                                  condition_passed(plan, rows_read, rows_passed, is_filtered),
                              .column_count = asked.equal_count};
    memcpy(search.column_nos, asked.equal, asked.equal_count * sizeof *asked.equal);
    kd_table_note_search(table, &search);
}
