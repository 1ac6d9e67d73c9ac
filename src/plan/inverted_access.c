/*
 * Conditions that an inverted index serves: which index, and what it is asked.
 *
 * Each condition becomes tests of indexed columns against values from outside of the table, under
 * AND and OR. What the index gives is tested again, so a condition may be served in part: of an AND
 * what can be, of an OR every arm or nothing. Of several indexes the one is taken that finds the
 * rows most cheaply, as far as they know the items.
 *
 * An index over an expression is over a hidden column; the expression is bound again from its text
 * and looked for in the conditions. A partial index serves where its predicate follows from them.
 */
#include "plan/plan_internal.h"
#include "sql/binder.h"

#include <string.h>

/* Rows are fetched one by one: of a larger share of the table a scan is as fast. */
#define SHARE_MAX 0.1
enum { ROWS_FREE = 10 }; /* So many rows are never worth a scan. */

typedef struct matcher {
    kdi_planner *p;
    kd_rel *scan;
    const kd_id_set *own;
    const kd_table_index *index;
    kd_expr **expressions; /* Per index column; NULL: a column of the table. */
} matcher;

/* --- Expressions of indexes ------------------------------------------------------------------ */

static const kd_column *table_column(const matcher *m, uint32_t column_no)
{
    const kd_table_entry *table = m->scan->as.scan.table;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return &table->columns[i];
    return NULL;
}

static kd_status expressions_bind(kd_ctx *ctx, matcher *m)
{
    const kd_index_definition *definition = &m->index->storage;
    m->expressions = KD_NEW_ARRAY(ctx, m->p->arena, kd_expr *, definition->column_count);
    if (m->expressions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < definition->column_count; i++) {
        const kd_column *column = table_column(m, definition->columns[i].column_no);
        if (column != NULL && column->hidden && m->p->options->bind != NULL)
            KD_TRY(kdi_scan_expression(ctx, m->p, m->scan, column->default_text,
                                       kd_type_of(KD_TYPE_UNKNOWN), &m->expressions[i]));
    }
    return KD_OK;
}

/* --- One test -------------------------------------------------------------------------------- */

typedef struct operator_test {
    const char *name;
    kd_item_test test;
    bool column_is_right;
} operator_test;

static const operator_test operator_tests[] = {
    {"@>", KD_ITEM_TEST_CONTAINS, false},     {"@>", KD_ITEM_TEST_CONTAINED, true},
    {"<@", KD_ITEM_TEST_CONTAINED, false},    {"<@", KD_ITEM_TEST_CONTAINS, true},
    {"&&", KD_ITEM_TEST_OVERLAPS, false},     {"&&", KD_ITEM_TEST_OVERLAPS, true},
    {"=", KD_ITEM_TEST_EQUAL, false},         {"=", KD_ITEM_TEST_EQUAL, true},
    {"?", KD_ITEM_TEST_EXISTS, false},        {"?|", KD_ITEM_TEST_EXISTS_ANY, false},
    {"?&", KD_ITEM_TEST_EXISTS_ALL, false},   {"@?", KD_ITEM_TEST_PATH_EXISTS, false},
    {"@@", KD_ITEM_TEST_PATH_MATCHES, false},
};

/* The column, or under a cast of varchar[] to text[]: their items are the same. */
static const kd_expr *bare_column(const kd_expr *expr)
{
    if (expr->kind == KD_EXPR_CAST && expr->type.is_array && expr->type.id == KD_TYPE_TEXT &&
        expr->arguments[0]->type.is_array && expr->arguments[0]->type.id == KD_TYPE_VARCHAR)
        expr = expr->arguments[0];
    return expr->kind == KD_EXPR_COLUMN ? expr : NULL;
}

/* Where the column or expression stands in the index; false: it does not. */
static bool index_column(const matcher *m, const kd_expr *expr, uint32_t *out_column)
{
    const kd_expr *column = bare_column(expr);
    const kd_index_definition *definition = &m->index->storage;
    const kd_table_entry *table = m->scan->as.scan.table;
    uint32_t position = 0;
    bool is_column = column != NULL && kdi_scan_position(m->scan, column->column, &position);
    for (uint32_t i = 0; i < definition->column_count; i++) {
        *out_column = i;
        if (m->expressions[i] != NULL && kd_expr_equal(m->expressions[i], expr))
            return true;
        if (is_column &&
            definition->columns[i].column_no == table->columns[position].storage.column_no)
            return true;
    }
    return false;
}

static bool is_text(kd_type type)
{
    return type.id == KD_TYPE_TEXT || type.id == KD_TYPE_VARCHAR;
}

/* Whether items made of the value are those that the column's values have. */
static bool value_fits(const matcher *m, uint32_t column, kd_item_test test, kd_type column_type,
                       kd_type type)
{
    if (!kd_item_class_answers(m->index->storage.columns[column].items, test))
        return false;
    switch (test) {
    case KD_ITEM_TEST_EXISTS:
        return !type.is_array && is_text(type);
    case KD_ITEM_TEST_EXISTS_ANY:
    case KD_ITEM_TEST_EXISTS_ALL:
        return type.is_array && is_text(type);
    case KD_ITEM_TEST_PATH_EXISTS:
    case KD_ITEM_TEST_PATH_MATCHES:
        return !type.is_array && type.id == KD_TYPE_JSONPATH;
    case KD_ITEM_TEST_HAS:
        column_type.is_array = false;
        break;
    default:
        break;
    }
    if (is_text(column_type) && is_text(type))
        return column_type.is_array == type.is_array;
    return kd_type_same(column_type, type) && column_type.modifier == type.modifier;
}

static kd_status test_make(kd_ctx *ctx, const matcher *m, const kd_expr *column_expr,
                           kd_expr *value, kd_item_test test, kd_item_condition **out)
{
    uint32_t column;
    bool uses_own;
    if (!index_column(m, column_expr, &column) ||
        !value_fits(m, column, test,
                    table_column(m, m->index->storage.columns[column].column_no)->storage.type,
                    value->type))
        return KD_OK;
    KD_TRY(kdi_uses_any(ctx, m->p, value, m->own, &uses_own));
    if (uses_own || kd_expr_is_volatile(value))
        return KD_OK;
    if (value->kind == KD_EXPR_CONSTANT) {
        kd_item_node *node;
        KD_TRY(kd_item_query(ctx, m->p->arena, m->index->storage.columns[column].items, 0, test,
                             &value->constant, &node));
        if (node->kind == KD_ITEM_NODE_EVERY)
            return KD_OK;
    }
    kd_item_condition *made = KD_NEW(ctx, m->p->arena, kd_item_condition);
    if (made == NULL)
        return KD_NOMEM;
    *made = (kd_item_condition){
        .kind = KD_ITEM_NODE_ITEM, .test = test, .column = column, .value = value};
    *out = made;
    return KD_OK;
}

static kd_status call_match(kd_ctx *ctx, const matcher *m, const kd_expr *call,
                            kd_item_condition **out)
{
    if (call->argument_count != 2)
        return KD_OK;
    for (size_t i = 0; i < sizeof operator_tests / sizeof *operator_tests && *out == NULL; i++) {
        const operator_test *it = &operator_tests[i];
        if (strcmp(call->function->name, it->name) == 0)
            KD_TRY(test_make(ctx, m, call->arguments[it->column_is_right],
                             call->arguments[!it->column_is_right], it->test, out));
    }
    return KD_OK;
}

/* --- Conditions ------------------------------------------------------------------------------ */

/* `*out` is NULL when the index cannot serve it. As deep as the expression. */
static kd_status condition_match(kd_ctx *ctx, const matcher *m, const kd_expr *condition,
                                 kd_item_condition **out);

static kd_status arms_match(kd_ctx *ctx, const matcher *m, const kd_expr *condition,
                            kd_item_condition **out)
{
    bool is_or = condition->kind == KD_EXPR_OR;
    kd_item_condition *joined = KD_NEW(ctx, m->p->arena, kd_item_condition);
    if (joined == NULL)
        return KD_NOMEM;
    joined->kind = is_or ? KD_ITEM_NODE_OR : KD_ITEM_NODE_AND;
    for (uint32_t i = 0; i < condition->argument_count; i++) {
        kd_item_condition *arm, **slot;
        KD_TRY(condition_match(ctx, m, condition->arguments[i], &arm));
        if (arm == NULL && is_or)
            return KD_OK;
        if (arm == NULL)
            continue;
        KD_TRY(KD_PUSH(ctx, m->p->arena, joined->children, joined->count, joined->capacity, &slot));
        *slot = arm;
    }
    *out = joined->count > 0 ? joined : NULL;
    return KD_OK;
}

static kd_status condition_match(kd_ctx *ctx, const matcher *m, const kd_expr *condition,
                                 kd_item_condition **out)
{
    *out = NULL;
    switch (condition->kind) {
    case KD_EXPR_CALL:
        return call_match(ctx, m, condition, out);
    case KD_EXPR_ANY_ARRAY:
        if (condition->all || strcmp(condition->function->name, "=") != 0)
            return KD_OK;
        return test_make(ctx, m, condition->arguments[1], condition->arguments[0], KD_ITEM_TEST_HAS,
                         out);
    case KD_EXPR_AND:
    case KD_EXPR_OR:
        return arms_match(ctx, m, condition, out);
    default:
        return KD_OK;
    }
}

static kd_status index_match(kd_ctx *ctx, const matcher *m, const kdi_conditions *conditions,
                             kd_item_condition **out_items, kdi_conditions *served)
{
    kd_item_condition *all = KD_NEW(ctx, m->p->arena, kd_item_condition);
    if (all == NULL)
        return KD_NOMEM;
    all->kind = KD_ITEM_NODE_AND;
    *served = (kdi_conditions){0};
    for (size_t i = 0; i < conditions->count; i++) {
        kd_item_condition *one, **slot;
        KD_TRY(condition_match(ctx, m, conditions->items[i], &one));
        if (one == NULL)
            continue;
        KD_TRY(KD_PUSH(ctx, m->p->arena, all->children, all->count, all->capacity, &slot));
        *slot = one;
        KD_TRY(kdi_conditions_add(ctx, m->p, served, conditions->items[i]));
    }
    *out_items = all;
    return KD_OK;
}

/* --- Costs ----------------------------------------------------------------------------------- */

/* The query of the constants among the values; others say nothing. */
static kd_status constants_query(kd_ctx *ctx, const matcher *m, const kd_item_condition *items,
                                 kd_item_node **out_node)
{
    *out_node = NULL;
    if (items->kind != KD_ITEM_NODE_ITEM) {
        for (size_t i = 0; i < items->count; i++) {
            kd_item_node *child;
            KD_TRY(constants_query(ctx, m, items->children[i], &child));
            KD_TRY(kd_item_node_join(ctx, m->p->arena, items->kind, child, out_node));
        }
        return KD_OK;
    }
    if (items->value->kind == KD_EXPR_CONSTANT)
        return kd_item_query(ctx, m->p->arena, m->index->storage.columns[items->column].items,
                             (uint8_t)items->column, items->test, &items->value->constant,
                             out_node);
    *out_node = KD_NEW(ctx, m->p->arena, kd_item_node); /* EVERY */
    return *out_node == NULL ? KD_NOMEM : KD_OK;
}

/* What the index says, or else what the conditions let through. */
static kd_status offer_estimate(kd_ctx *ctx, const matcher *m, kdi_inverted_offer *offer)
{
    const kd_statistics *statistics = m->p->options->statistics;
    kd_item_node *query;
    KD_TRY(constants_query(ctx, m, offer->items, &query));
    if (statistics != NULL && statistics->items != NULL && query->kind != KD_ITEM_NODE_EVERY &&
        statistics->items(ctx, statistics, m->p->arena, m->scan->as.scan.table, m->index, query,
                          &offer->cost, &offer->rows))
        return KD_OK;
    offer->rows = kdi_estimate(m->p, m->scan) * kdi_selectivity_all(m->p, &offer->served);
    offer->cost = offer->rows;
    return KD_OK;
}

kd_status kdi_inverted_access(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_id_set *own,
                              const kdi_conditions *conditions, kdi_inverted_offer *out_offer)
{
    const kd_table_entry *table = scan->as.scan.table;
    *out_offer = (kdi_inverted_offer){0};
    for (uint32_t i = 0; i < table->index_count; i++) {
        matcher m = {.p = p, .scan = scan, .own = own, .index = &table->indexes[i]};
        kdi_inverted_offer offer = {.index = m.index};
        bool holds = false;
        if (kd_index_is_inverted(&m.index->storage) && conditions->count > 0)
            KD_TRY(kdi_index_holds_all(ctx, p, scan, m.index, conditions, &holds));
        if (!holds)
            continue;
        KD_TRY(expressions_bind(ctx, &m));
        KD_TRY(index_match(ctx, &m, conditions, &offer.items, &offer.served));
        if (offer.items->count == 0)
            continue;
        KD_TRY(offer_estimate(ctx, &m, &offer));
        if (out_offer->index == NULL || offer.cost < out_offer->cost)
            *out_offer = offer;
    }
    if (out_offer->index != NULL && out_offer->cost > kdi_estimate(p, scan) * SHARE_MAX + ROWS_FREE)
        *out_offer = (kdi_inverted_offer){0};
    return KD_OK;
}
