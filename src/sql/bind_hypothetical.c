/*
 * Hypothetical-set aggregates: where a row would stand among the group's.
 *
 *   rank(x) WITHIN GROUP (ORDER BY y)   count(*) FILTER (WHERE y before x) + 1
 *   dense_rank                          count(DISTINCT ROW(y)) FILTER (WHERE y before x) + 1
 *   percent_rank                        (rank - 1) / count(*), 0 where there are no rows
 *   cume_dist                           (count(*) FILTER (y before or equal x) + 1) / (count(*) +
 * 1)
 *
 * They are written so as syntax trees, which are then bound.
 */
#include "sql/bind_internal.h"

typedef struct maker {
    kd_ctx *ctx;
    kdi_binder *b;
    const kd_ast_call *call;
    kd_status status;
} maker;

static void *node_new(maker *m, kd_ast_kind kind, size_t size)
{
    kd_ast_node *node = kd_alloc(m->ctx, m->b->arena, size);
    if (node == NULL) {
        m->status = KD_NOMEM;
        return NULL;
    }
    *node = m->call->node;
    node->kind = kind;
    return node;
}

static void list_add(maker *m, kd_ast_list *list, kd_ast_node *item)
{
    kd_ast_node **slot;
    if (item == NULL ||
        KD_PUSH(m->ctx, m->b->arena, list->items, list->count, list->capacity, &slot) != KD_OK)
        m->status = KD_NOMEM;
    else
        *slot = item;
}

static kd_ast_node *arguments(maker *m, kd_ast_kind kind, kd_ast_node *a, kd_ast_node *b)
{
    kd_ast_args *node = node_new(m, kind, sizeof *node);
    if (node == NULL)
        return NULL;
    list_add(m, &node->args, a);
    if (b != NULL)
        list_add(m, &node->args, b);
    return &node->node;
}

static kd_ast_node *operation(maker *m, const char *name, kd_ast_node *left, kd_ast_node *right)
{
    kd_ast_operator *node = node_new(m, KD_AST_OPERATOR, sizeof *node);
    if (node == NULL)
        return NULL;
    node->name = kd_slice_of(name);
    node->left = left;
    node->right = right;
    if (left == NULL || right == NULL)
        m->status = KD_NOMEM;
    return &node->node;
}

static kd_ast_node *null_test(maker *m, kd_ast_node *operand, bool negated)
{
    kd_ast_is *node = node_new(m, KD_AST_IS, sizeof *node);
    if (node == NULL)
        return NULL;
    node->operand = operand;
    node->test = KD_AST_IS_NULL;
    node->negated = negated;
    return &node->node;
}

static kd_ast_node *integer(maker *m, int64_t value)
{
    kd_ast_constant *node = node_new(m, KD_AST_CONSTANT, sizeof *node);
    if (node == NULL)
        return NULL;
    node->what = KD_AST_INTEGER;
    node->integer = value;
    return &node->node;
}

static kd_ast_node *to_double(maker *m, kd_ast_node *operand)
{
    kd_ast_cast *node = node_new(m, KD_AST_CAST, sizeof *node);
    if (node == NULL)
        return NULL;
    node->operand = operand;
    node->type.name.name = KD_SLICE("float8");
    node->form = KD_AST_CAST_COLONS;
    return &node->node;
}

static bool is_descending(const kd_ast_sort *sort)
{
    return sort->direction == KD_AST_DESCENDING ||
           (sort->direction == KD_AST_USING && kd_slice_equal(sort->using_operator, KD_SLICE(">")));
}

/* COALESCE(key < value, one of them is NULL and stands accordingly) */
static kd_ast_node *sorts_before(maker *m, const kd_ast_sort *sort, kd_ast_node *value)
{
    bool descending = is_descending(sort);
    bool nulls_first =
        sort->nulls == KD_AST_NULLS_DEFAULT ? descending : sort->nulls == KD_AST_NULLS_FIRST;
    kd_ast_node *nulls = arguments(m, KD_AST_AND, null_test(m, sort->value, !nulls_first),
                                   null_test(m, value, nulls_first));
    return arguments(m, KD_AST_COALESCE, operation(m, descending ? ">" : "<", sort->value, value),
                     nulls);
}

static kd_ast_node *is_same(maker *m, kd_ast_node *left, kd_ast_node *right)
{
    kd_ast_distinct_from *node = node_new(m, KD_AST_DISTINCT_FROM, sizeof *node);
    if (node == NULL)
        return NULL;
    node->left = left;
    node->right = right;
    node->negated = true;
    return &node->node;
}

/* before(1) OR (same(1) AND (before(2) OR ...)), from the last key to the first. */
static kd_ast_node *stands_before(maker *m, bool or_equal)
{
    const kd_ast_call *call = m->call;
    kd_ast_node *rest = NULL;
    for (size_t i = call->arg_count; i-- > 0 && m->status == KD_OK;) {
        const kd_ast_sort *sort = (const kd_ast_sort *)call->within_group.items[i];
        kd_ast_node *value = call->args[i].value;
        kd_ast_node *before = sorts_before(m, sort, value);
        if (rest == NULL && !or_equal) {
            rest = before;
            continue;
        }
        kd_ast_node *same = is_same(m, sort->value, value);
        if (rest != NULL)
            same = arguments(m, KD_AST_AND, same, rest);
        rest = arguments(m, KD_AST_OR, before, same);
    }
    return rest;
}

/* count(*), or count(DISTINCT ROW(keys)), of the rows that pass both filters. */
static kd_ast_node *count_of(maker *m, kd_ast_node *condition, bool distinct)
{
    kd_ast_call *count = node_new(m, KD_AST_CALL, sizeof *count);
    if (count == NULL)
        return NULL;
    count->function = m->call->function;
    count->function.schema = (kd_slice){NULL, 0};
    count->function.name = KD_SLICE("count");
    count->star = !distinct;
    count->distinct = distinct;
    count->filter = m->call->filter;
    if (condition != NULL)
        count->filter = m->call->filter == NULL
                            ? condition
                            : arguments(m, KD_AST_AND, m->call->filter, condition);
    if (!distinct)
        return &count->node;
    kd_ast_args *row = node_new(m, KD_AST_ROW, sizeof *row);
    kd_ast_arg *arg = KD_NEW(m->ctx, m->b->arena, kd_ast_arg);
    if (row == NULL || arg == NULL) {
        m->status = KD_NOMEM;
        return NULL;
    }
    for (size_t i = 0; i < m->call->within_group.count; i++)
        list_add(m, &row->args, ((const kd_ast_sort *)m->call->within_group.items[i])->value);
    arg->value = &row->node;
    count->args = arg;
    count->arg_count = count->arg_capacity = 1;
    return &count->node;
}

/* COALESCE(part / NULLIF(whole, 0), 0) */
static kd_ast_node *share(maker *m, kd_ast_node *part, kd_ast_node *whole)
{
    kd_ast_node *divisor = arguments(m, KD_AST_NULLIF, whole, integer(m, 0));
    kd_ast_node *quotient = operation(m, "/", to_double(m, part), to_double(m, divisor));
    return arguments(m, KD_AST_COALESCE, quotient, integer(m, 0));
}

static kd_ast_node *written_out(maker *m)
{
    kd_slice name = m->call->function.name;
    if (kd_slice_equal(name, KD_SLICE("rank")))
        return operation(m, "+", count_of(m, stands_before(m, false), false), integer(m, 1));
    if (kd_slice_equal(name, KD_SLICE("dense_rank")))
        return operation(m, "+", count_of(m, stands_before(m, false), true), integer(m, 1));
    if (kd_slice_equal(name, KD_SLICE("percent_rank")))
        return share(m, count_of(m, stands_before(m, false), false), count_of(m, NULL, false));
    kd_ast_node *before =
        operation(m, "+", count_of(m, stands_before(m, true), false), integer(m, 1));
    return share(m, before, operation(m, "+", count_of(m, NULL, false), integer(m, 1)));
}

/* The values have to be comparable with the keys, and to be grouped: they are bound once for these
 * questions alone. */
static kd_status check_values(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast)
{
    int deepest = b->deepest;
    uint64_t depths = b->found_depths;
    for (size_t i = 0; i < ast->arg_count; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)ast->within_group.items[i];
        kd_expr *pair[2];
        kd_type types[2], common;
        KD_TRY(kdi_bind_expr(ctx, b, scope, sort->value, &pair[0]));
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->args[i].value, &pair[1]));
        types[0] = pair[0]->type;
        types[1] = pair[1]->type;
        if (!kd_registry_common_type(b->registry, types, 2, &common))
            return kdi_at(
                ctx, b, ast->args[i].value->position,
                KD_FAIL(ctx, KD_INVALID, "42804", "WITHIN GROUP types %s and %s cannot be matched",
                        kdi_type_text(ctx, b, types[0]), kdi_type_text(ctx, b, types[1])));
        if (scope != NULL && scope->query != NULL)
            KD_TRY(kdi_note_direct(ctx, b, scope->query, pair[1]));
    }
    b->deepest = deepest;
    b->found_depths = depths;
    return KD_OK;
}

kd_status kdi_bind_hypothetical(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_call *ast, kd_expr **out)
{
    static const char *const names[] = {"rank", "dense_rank", "percent_rank", "cume_dist"};
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known |= kd_slice_equal(ast->function.name, kd_slice_of(names[i]));
    if (!known || ast->arg_count != ast->within_group.count)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42883",
                              "function %.*s with %zu arguments and %zu sort columns does not "
                              "exist",
                              KDI_S(ast->function.name), ast->arg_count, ast->within_group.count));
    if (ast->distinct)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "cannot use DISTINCT with WITHIN GROUP"));
    KD_TRY(check_values(ctx, b, scope, ast));
    maker m = {.ctx = ctx, .b = b, .call = ast};
    const kd_ast_node *node = written_out(&m);
    return m.status != KD_OK ? m.status : kdi_bind_expr(ctx, b, scope, node, out);
}
