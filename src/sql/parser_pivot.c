/*
 * PIVOT and UNPIVOT, which are queries written in another way.
 *
 *   PIVOT t ON k IN (v, ...) USING sum(x) GROUP BY g
 *     SELECT g, sum(x) FILTER (WHERE k = v) AS "v", ... FROM t GROUP BY ALL
 *   UNPIVOT t ON a, b INTO NAME n VALUE v
 *     SELECT * EXCLUDE (a, b) FROM t, LATERAL (VALUES ('a', a), ('b', b)) u (n, v)
 *     WHERE v IS NOT NULL
 *
 * Without GROUP BY, a pivot groups by the columns that it does not use otherwise. Several columns
 * multiply, and several aggregates stand side by side under "v_name".
 */
#include "sql/parser_internal.h"

enum { PIVOT_COLUMNS_MAX = 1600 };

/* One value of one pivoted expression. */
typedef struct pivot_value {
    kd_ast_node *value;
    kd_slice name;
} pivot_value;

typedef struct pivot_column {
    kd_ast_node *expr;
    pivot_value *values;
    size_t count, capacity;
} pivot_column;

typedef struct pivot {
    kd_parser *p;
    int32_t start;
    pivot_column *columns;
    size_t column_count, column_capacity;
    kd_ast_list aggregates; /* kd_ast_target */
    kd_ast_list groups;
    kd_ast_select *select;
} pivot;

static kd_slice text_copy(kd_parser *p, kd_slice a, const char *between, kd_slice b)
{
    char *text = kd_format_text(p->ctx, p->arena, "%.*s%s%.*s", (int)a.size_bytes, a.data, between,
                                (int)b.size_bytes, b.data);
    return text == NULL ? (kd_slice){NULL, 0} : kd_slice_of(text);
}

/* --- Parts of trees --- */

kd_status kdi_parse_select_of(kd_parser *p, int32_t start, kd_ast_node *from, kd_ast_select **out)
{
    kd_ast_select *select = *out = KDI_NODE_AT(p, KD_AST_SELECT, kd_ast_select, start);
    if (select == NULL)
        return KD_NOMEM;
    select->into.name = kdi_no_name();
    return kdi_push(p, &select->from, from);
}

kd_status kdi_parse_target(kd_parser *p, kd_ast_list *list, kd_ast_node *value, kd_slice alias)
{
    if (value == NULL)
        return KD_NOMEM;
    kd_ast_target *target = KDI_NODE_AT(p, KD_AST_TARGET, kd_ast_target, value->position);
    if (target == NULL)
        return KD_NOMEM;
    target->value = value;
    target->alias = alias;
    return kdi_push(p, list, &target->node);
}

kd_ast_node *kdi_parse_column(kd_parser *p, int32_t position, kd_slice name)
{
    kd_ast_column *column = KDI_NODE_AT(p, KD_AST_COLUMN, kd_ast_column, position);
    kd_slice *part = KD_NEW(p->ctx, p->arena, kd_slice);
    if (column == NULL || part == NULL)
        return NULL;
    *part = name;
    column->parts = part;
    column->part_count = 1;
    return &column->node;
}

static kd_ast_node *null_test(kd_parser *p, kd_ast_node *operand, bool negated)
{
    if (operand == NULL)
        return NULL;
    kd_ast_is *test = KDI_NODE_AT(p, KD_AST_IS, kd_ast_is, operand->position);
    if (test == NULL)
        return NULL;
    test->operand = operand;
    test->test = KD_AST_IS_NULL;
    test->negated = negated;
    return &test->node;
}

static kd_status and_push(kd_parser *p, kd_ast_node *condition, kd_ast_node **io_all)
{
    if (condition == NULL)
        return KD_NOMEM;
    if (*io_all == NULL) {
        *io_all = condition;
        return KD_OK;
    }
    kd_ast_args *both = KDI_NODE_AT(p, KD_AST_AND, kd_ast_args, condition->position);
    if (both == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_push(p, &both->args, *io_all));
    KD_TRY(kdi_push(p, &both->args, condition));
    *io_all = &both->node;
    return KD_OK;
}

/* Names of the columns in an expression: a pivot does not group by them. */
static kd_status collect_names(kd_parser *p, const kd_ast_node *node, int depth,
                               kd_ast_names *names)
{
    if (node == NULL || depth > 100)
        return KD_OK;
    switch (node->kind) {
    case KD_AST_COLUMN: {
        const kd_ast_column *column = (const kd_ast_column *)node;
        return kdi_push_name(p, names, column->parts[column->part_count - 1]);
    }
    case KD_AST_CALL: {
        const kd_ast_call *call = (const kd_ast_call *)node;
        for (size_t i = 0; i < call->arg_count; i++)
            KD_TRY(collect_names(p, call->args[i].value, depth + 1, names));
        return collect_names(p, call->filter, depth + 1, names);
    }
    case KD_AST_OPERATOR:
        KD_TRY(collect_names(p, ((const kd_ast_operator *)node)->left, depth + 1, names));
        return collect_names(p, ((const kd_ast_operator *)node)->right, depth + 1, names);
    case KD_AST_CAST:
        return collect_names(p, ((const kd_ast_cast *)node)->operand, depth + 1, names);
    default:
        return KD_OK;
    }
}

/* --- PIVOT --- */

static kd_status value_add(pivot *self, pivot_column *column, kd_ast_node *node, kd_slice alias)
{
    kd_parser *p = self->p;
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    pivot_value *added;
    if (node->kind != KD_AST_CONSTANT)
        return kdi_fail_at(p, "0A000", node->position, "values of PIVOT must be constants");
    KD_TRY(KD_PUSH(p->ctx, p->arena, column->values, column->count, column->capacity, &added));
    added->value = node;
    added->name = alias;
    if (alias.size_bytes > 0)
        return KD_OK;
    added->name = constant->what == KD_AST_NULL ? KD_SLICE("NULL")
                  : constant->what == KD_AST_BOOLEAN
                      ? kd_slice_of(constant->boolean ? "true" : "false")
                      : constant->text;
    return KD_OK;
}

/* ON k IN (v, ...), as an expression. */
static kd_status on_item(pivot *self)
{
    kd_parser *p = self->p;
    pivot_column *column;
    kd_ast_node *node;
    KD_TRY(KD_PUSH(p->ctx, p->arena, self->columns, self->column_count, self->column_capacity,
                   &column));
    KD_TRY(kdi_expr(p, &node));
    const kd_ast_in *in = (const kd_ast_in *)node;
    if (node->kind != KD_AST_IN || in->negated || in->query != NULL)
        return kdi_fail_at(p, "0A000", node->position,
                           "PIVOT must list its values: ON column IN (value, ...)");
    column->expr = in->operand;
    for (size_t i = 0; i < in->items.count; i++)
        KD_TRY(value_add(self, column, in->items.items[i], (kd_slice){NULL, 0}));
    return KD_OK;
}

/* FOR k IN (v AS name, ...) */
static kd_status for_item(pivot *self)
{
    kd_parser *p = self->p;
    pivot_column *column;
    KD_TRY(KD_PUSH(p->ctx, p->arena, self->columns, self->column_count, self->column_capacity,
                   &column));
    KD_TRY(kdi_primary(p, &column->expr));
    KD_TRY(kdi_expect(p, KW_IN));
    KD_TRY(kdi_expect_token(p, '('));
    do {
        kd_ast_node *value;
        kd_slice alias = {NULL, 0};
        KD_TRY(kdi_expr(p, &value));
        if (kdi_accept(p, KW_AS))
            KD_TRY(kdi_label(p, &alias));
        KD_TRY(value_add(self, column, value, alias));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

static kd_status count_star(kd_parser *p, int32_t position, kd_ast_node **out)
{
    kd_ast_call *count = KDI_NODE_AT(p, KD_AST_CALL, kd_ast_call, position);
    if (count == NULL)
        return KD_NOMEM;
    count->function = kdi_no_name();
    count->function.name = KD_SLICE("count");
    count->star = true;
    *out = &count->node;
    return KD_OK;
}

static kd_status aggregates(pivot *self)
{
    kd_parser *p = self->p;
    KD_TRY(kdi_targets(p, &self->aggregates));
    for (size_t i = 0; i < self->aggregates.count; i++) {
        const kd_ast_target *target = (const kd_ast_target *)self->aggregates.items[i];
        if (target->value->kind != KD_AST_CALL)
            return kdi_fail_at(p, "0A000", target->node.position,
                               "PIVOT takes calls of aggregates");
    }
    return KD_OK;
}

static kd_status group_columns(pivot *self)
{
    kd_parser *p = self->p;
    KD_TRY(kdi_expect(p, KW_BY));
    return kdi_expr_list(p, &self->groups);
}

/* The groups, or a star without what the pivot uses. */
static kd_status group_targets(pivot *self)
{
    kd_parser *p = self->p;
    kd_ast_list *targets = &self->select->targets;
    self->select->group_by_all = true;
    for (size_t i = 0; i < self->groups.count; i++)
        KD_TRY(kdi_parse_target(p, targets, self->groups.items[i], (kd_slice){NULL, 0}));
    if (self->groups.count > 0)
        return KD_OK;
    kd_ast_star *star = KDI_NODE_AT(p, KD_AST_STAR, kd_ast_star, self->start);
    if (star == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < self->column_count; i++)
        KD_TRY(collect_names(p, self->columns[i].expr, 0, &star->exclude));
    for (size_t i = 0; i < self->aggregates.count; i++)
        KD_TRY(collect_names(p, ((const kd_ast_target *)self->aggregates.items[i])->value, 0,
                             &star->exclude));
    return kdi_parse_target(p, targets, &star->node, (kd_slice){NULL, 0});
}

static kd_status condition_of(pivot *self, size_t column, const pivot_value *value,
                              kd_ast_node **io_all)
{
    kd_parser *p = self->p;
    kd_ast_node *expr = self->columns[column].expr;
    if (((const kd_ast_constant *)value->value)->what == KD_AST_NULL)
        return and_push(p, null_test(p, expr, false), io_all);
    kd_ast_operator *equal = KDI_NODE_AT(p, KD_AST_OPERATOR, kd_ast_operator, expr->position);
    if (equal == NULL)
        return KD_NOMEM;
    equal->name = KD_SLICE("=");
    equal->left = expr;
    equal->right = value->value;
    return and_push(p, &equal->node, io_all);
}

static kd_status aggregate_targets(pivot *self, kd_ast_node *condition, kd_slice name)
{
    kd_parser *p = self->p;
    bool several = self->aggregates.count > 1;
    for (size_t i = 0; i < self->aggregates.count; i++) {
        const kd_ast_target *target = (const kd_ast_target *)self->aggregates.items[i];
        kd_ast_call *call = KDI_NODE_AT(p, KD_AST_CALL, kd_ast_call, target->node.position);
        if (call == NULL)
            return KD_NOMEM;
        *call = *(const kd_ast_call *)target->value;
        kd_ast_node *filter = call->filter;
        KD_TRY(and_push(p, condition, &filter));
        call->filter = filter;
        kd_slice alias = name, suffix = target->alias;
        if (suffix.size_bytes == 0 && several)
            suffix = call->function.name;
        if (suffix.size_bytes > 0)
            alias = text_copy(p, name, "_", suffix);
        KD_TRY(kdi_parse_target(p, &self->select->targets, &call->node, alias));
    }
    return KD_OK;
}

/* Every combination of the columns' values, the first column's slowest. */
static kd_status combine(pivot *self)
{
    kd_parser *p = self->p;
    size_t total = 1;
    for (size_t i = 0; i < self->column_count; i++) {
        total *= self->columns[i].count;
        if (total * self->aggregates.count > PIVOT_COLUMNS_MAX)
            return kdi_fail_at(p, "54011", self->start, "PIVOT makes too many columns");
    }
    for (size_t n = 0; n < total; n++) {
        kd_ast_node *condition = NULL;
        kd_slice name = {NULL, 0};
        size_t rest = total, at = n;
        for (size_t i = 0; i < self->column_count; i++) {
            rest /= self->columns[i].count;
            const pivot_value *value = &self->columns[i].values[at / rest];
            at %= rest;
            KD_TRY(condition_of(self, i, value, &condition));
            name = i == 0 ? value->name : text_copy(p, name, "_", value->name);
        }
        KD_TRY(aggregate_targets(self, condition, name));
    }
    return KD_OK;
}

static kd_status pivot_finish(pivot *self, kd_ast_node *source, kd_ast_node **out_query)
{
    kd_parser *p = self->p;
    if (self->aggregates.count == 0) {
        kd_ast_node *count;
        KD_TRY(count_star(p, self->start, &count));
        KD_TRY(kdi_parse_target(p, &self->aggregates, count, (kd_slice){NULL, 0}));
    }
    KD_TRY(kdi_parse_select_of(p, self->start, source, &self->select));
    KD_TRY(group_targets(self));
    KD_TRY(combine(self));
    kdi_finish(p, &self->select->node);
    *out_query = &self->select->node;
    return KD_OK;
}

static kd_status pivot_query(kd_parser *p, kd_ast_node **out_query)
{
    pivot self = {.p = p, .start = p->token.position};
    kd_ast_node *source;
    kdi_advance(p);
    KD_TRY(kdi_from_item(p, &source));
    KD_TRY(kdi_expect(p, KW_ON));
    do {
        KD_TRY(on_item(&self));
    } while (kdi_accept_token(p, ','));
    if (kdi_accept(p, KW_USING))
        KD_TRY(aggregates(&self));
    if (kdi_accept(p, KW_GROUP))
        KD_TRY(group_columns(&self));
    return pivot_finish(&self, source, out_query);
}

/* t PIVOT (sum(x) FOR k IN (v, ...) GROUP BY g) */
static kd_status pivot_suffix(kd_parser *p, int32_t start, kd_ast_node *source,
                              kd_ast_node **out_query)
{
    pivot self = {.p = p, .start = start};
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(aggregates(&self));
    KD_TRY(kdi_expect(p, KW_FOR));
    do {
        KD_TRY(for_item(&self));
    } while (!kdi_at(p, KW_GROUP) && !kdi_at_token(p, ')'));
    if (kdi_accept(p, KW_GROUP))
        KD_TRY(group_columns(&self));
    KD_TRY(kdi_expect_token(p, ')'));
    return pivot_finish(&self, source, out_query);
}

/* --- UNPIVOT --- */

typedef struct unpivot {
    kd_parser *p;
    int32_t start;
    bool include_nulls;
    kd_ast_list rows;    /* KD_AST_ROW: a name, then columns */
    kd_ast_names used;   /* All of these columns. */
    kd_slice name;       /* The column of names ... */
    kd_ast_names values; /* ... and those of values. */
} unpivot;

static bool accept_nulls(kd_parser *p)
{
    bool include = kdi_at_word(p, "include") || kdi_at(p, KW_INCLUDE);
    if ((include || kdi_at(p, KW_EXCLUDE)) && kdi_next_is(p, KW_NULLS)) {
        kdi_advance(p);
        kdi_advance(p);
        return include;
    }
    return false;
}

/* a, (a, b), each with AS name */
static kd_status unpivot_item(unpivot *self)
{
    kd_parser *p = self->p;
    int32_t position = p->token.position;
    kd_ast_names columns = {0};
    if (kdi_at_token(p, '(')) {
        KD_TRY(kdi_name_parens(p, &columns));
    } else {
        kd_slice name;
        KD_TRY(kdi_name(p, &name));
        KD_TRY(kdi_push_name(p, &columns, name));
    }
    kd_slice label = columns.items[0];
    for (size_t i = 1; i < columns.count; i++)
        label = text_copy(p, label, "_", columns.items[i]);
    if (kdi_accept(p, KW_AS)) {
        if (kdi_at_token(p, TOKEN_STRING))
            KD_TRY(kdi_string(p, &label));
        else
            KD_TRY(kdi_label(p, &label));
    }
    kd_ast_args *row = KDI_NODE_AT(p, KD_AST_ROW, kd_ast_args, position);
    kd_ast_node *name = kdi_string_constant(p, label, position);
    if (row == NULL || name == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_push(p, &row->args, name));
    for (size_t i = 0; i < columns.count; i++) {
        kd_ast_node *column = kdi_parse_column(p, position, columns.items[i]);
        if (column == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_push(p, &row->args, column));
        KD_TRY(kdi_push_name(p, &self->used, columns.items[i]));
    }
    return kdi_push(p, &self->rows, &row->node);
}

static kd_status unpivot_items(unpivot *self)
{
    do {
        KD_TRY(unpivot_item(self));
    } while (kdi_accept_token(self->p, ','));
    return KD_OK;
}

static kd_status unpivot_finish(unpivot *self, kd_ast_node *source, kd_ast_node **out_query)
{
    kd_parser *p = self->p;
    kd_ast_select *select, *values = KDI_NODE_AT(p, KD_AST_SELECT, kd_ast_select, self->start);
    kd_ast_table_query *rows = KDI_NODE_AT(p, KD_AST_TABLE_QUERY, kd_ast_table_query, self->start);
    kd_ast_star *star = KDI_NODE_AT(p, KD_AST_STAR, kd_ast_star, self->start);
    if (values == NULL || rows == NULL || star == NULL)
        return KD_NOMEM;
    values->into.name = kdi_no_name();
    values->is_values = true;
    values->values = self->rows;
    rows->query = &values->node;
    rows->lateral = true;
    rows->alias.name = KD_SLICE("unpivot");
    KD_TRY(kdi_push_name(p, &rows->alias.columns, self->name));
    KD_TRY(kdi_parse_select_of(p, self->start, source, &select));
    for (size_t i = 0; i < self->values.count; i++) {
        KD_TRY(kdi_push_name(p, &rows->alias.columns, self->values.items[i]));
        kd_ast_node *column = kdi_parse_column(p, self->start, self->values.items[i]);
        if (!self->include_nulls)
            KD_TRY(and_push(p, null_test(p, column, true), &select->where));
    }
    KD_TRY(kdi_push(p, &select->from, &rows->node));
    star->exclude = self->used;
    KD_TRY(kdi_parse_target(p, &select->targets, &star->node, (kd_slice){NULL, 0}));
    kdi_finish(p, &select->node);
    *out_query = &select->node;
    return KD_OK;
}

/* UNPIVOT [INCLUDE NULLS] t ON a, b INTO NAME n VALUE v [, ...] */
static kd_status unpivot_query(kd_parser *p, kd_ast_node **out_query)
{
    unpivot self = {.p = p, .start = p->token.position, .name = KD_SLICE("name")};
    kd_ast_node *source;
    kdi_advance(p);
    self.include_nulls = accept_nulls(p);
    KD_TRY(kdi_from_item(p, &source));
    KD_TRY(kdi_expect(p, KW_ON));
    KD_TRY(unpivot_items(&self));
    if (!kdi_accept(p, KW_INTO)) {
        KD_TRY(kdi_push_name(p, &self.values, KD_SLICE("value")));
        return unpivot_finish(&self, source, out_query);
    }
    KD_TRY(kdi_expect(p, KW_NAME));
    KD_TRY(kdi_label(p, &self.name));
    KD_TRY(kdi_expect(p, KW_VALUE));
    do {
        kd_slice name;
        KD_TRY(kdi_label(p, &name));
        KD_TRY(kdi_push_name(p, &self.values, name));
    } while (kdi_accept_token(p, ','));
    return unpivot_finish(&self, source, out_query);
}

/* t UNPIVOT [INCLUDE NULLS] (v FOR n IN (a, b)) */
static kd_status unpivot_suffix(kd_parser *p, int32_t start, kd_ast_node *source,
                                kd_ast_node **out_query)
{
    unpivot self = {.p = p, .start = start};
    kdi_advance(p);
    self.include_nulls = accept_nulls(p);
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_at_token(p, '(')) {
        KD_TRY(kdi_name_parens(p, &self.values));
    } else {
        kd_slice name;
        KD_TRY(kdi_name(p, &name));
        KD_TRY(kdi_push_name(p, &self.values, name));
    }
    KD_TRY(kdi_expect(p, KW_FOR));
    KD_TRY(kdi_name(p, &self.name));
    KD_TRY(kdi_expect(p, KW_IN));
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(unpivot_items(&self));
    KD_TRY(kdi_expect_token(p, ')'));
    KD_TRY(kdi_expect_token(p, ')'));
    return unpivot_finish(&self, source, out_query);
}

/* --- Where they stand --- */

bool kdi_at_pivot_query(kd_parser *p)
{
    if (!kdi_at_word(p, "pivot") && !kdi_at_word(p, "unpivot"))
        return false;
    const kdi_token *next = kdi_peek(p, 1);
    return kdi_is_name(next) || next->kind == '(' || next->kind == TOKEN_STRING;
}

kd_status kdi_pivot_query(kd_parser *p, kd_ast_node **out_query)
{
    return kdi_at_word(p, "pivot") ? pivot_query(p, out_query) : unpivot_query(p, out_query);
}

bool kdi_at_pivot_suffix(kd_parser *p)
{
    if (kdi_at_word(p, "pivot"))
        return kdi_next_is_token(p, '(');
    return kdi_at_word(p, "unpivot") &&
           (kdi_next_is_token(p, '(') ||
            (kdi_peek(p, 2)->kind == TOKEN_KEYWORD && kdi_peek(p, 2)->keyword == KW_NULLS));
}

kd_status kdi_pivot_suffix(kd_parser *p, int32_t start, kd_ast_node *source,
                           kd_ast_node **out_query)
{
    return kdi_at_word(p, "pivot") ? pivot_suffix(p, start, source, out_query)
                                   : unpivot_suffix(p, start, source, out_query);
}
