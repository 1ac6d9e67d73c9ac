/*
 * Expressions as normalised text.
 *
 * Without is_pretty every operator stands in parentheses of its own; with it, whoever holds an
 * operand puts them where precedence asks for them. Casts that the binder added are told where an
 * operator, a function or a list of values needed them; literals have the type that they took.
 */
#include "sql/bind_internal.h"
#include "sql/query_text_internal.h"

static kd_status open_paren(kd_ctx *ctx, kdi_writer *w)
{
    return kdi_is_pretty(w) ? KD_OK : kdi_put_text(ctx, w, "(");
}

static kd_status close_paren(kd_ctx *ctx, kdi_writer *w)
{
    return kdi_is_pretty(w) ? KD_OK : kdi_put_text(ctx, w, ")");
}

/* --- Names and types --- */

kd_status kdi_put_column(kd_ctx *ctx, kdi_writer *w, const kd_noted_column *column)
{
    if (column->source.size_bytes > 0) {
        KD_TRY(kdi_put_name(ctx, w, kdi_source_now(w, column)));
        KD_TRY(kdi_put_text(ctx, w, "."));
    }
    return kdi_put_name(ctx, w, kdi_column_now(w, column));
}

kd_status kdi_put_type(kd_ctx *ctx, kdi_writer *w, kd_type type)
{
    if (!kd_type_is_named(type))
        return kd_type_format(ctx, type, w->out);
    const kd_object *object = kd_catalog_get(w->options->catalog, type.object);
    if (object == NULL) {
        w->is_given_up = true;
        return KD_OK;
    }
    KD_TRY(kdi_put_object(ctx, w, object));
    return type.is_array ? kdi_put_text(ctx, w, "[]") : KD_OK;
}

static kd_status put_type_name(kd_ctx *ctx, kdi_writer *w, const kd_ast_name *name)
{
    if (name->schema.size_bytes > 0) {
        KD_TRY(kdi_put_name(ctx, w, name->schema));
        KD_TRY(kdi_put_text(ctx, w, "."));
    }
    return kdi_put_name(ctx, w, name->name);
}

kd_status kdi_put_ast_type(kd_ctx *ctx, kdi_writer *w, const kd_ast_type *type)
{
    kd_type known;
    if (!kd_type_find(type->name.name, &known))
        KD_TRY(put_type_name(ctx, w, &type->name));
    else if (type->modifiers.count == 0 && type->interval_fields == 0)
        KD_TRY(kd_type_format(ctx, known, w->out));
    else if (type->position >= 0) /* Brackets are part of what was written. */
        return kd_buffer_append_slice(
            ctx, w->out,
            (kd_slice){w->query->text.data + type->position, (size_t)(type->end - type->position)});
    else
        w->is_given_up = true;
    return type->dimensions > 0 ? kdi_put_text(ctx, w, "[]") : KD_OK;
}

/* --- Literals --- */

kd_status kdi_put_quoted(kd_ctx *ctx, kdi_writer *w, kd_slice text)
{
    KD_TRY(kdi_put_text(ctx, w, "'"));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == '\'')
            KD_TRY(kdi_put_text(ctx, w, "'"));
        KD_TRY(kd_buffer_append_byte(ctx, w->out, (uint8_t)text.data[i]));
    }
    return kdi_put_text(ctx, w, "'");
}

static kd_status put_cast_to(kd_ctx *ctx, kdi_writer *w, kd_type type)
{
    if (kdi_is_unknown(type))
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, "::"));
    return kdi_put_type(ctx, w, type);
}

/* `type` is what it is bound to. */
static kd_status put_constant(kd_ctx *ctx, kdi_writer *w, const kd_ast_constant *constant,
                              kd_type type)
{
    switch (constant->what) {
    case KD_AST_NULL:
        KD_TRY(kdi_put_text(ctx, w, "NULL"));
        return put_cast_to(ctx, w, type);
    case KD_AST_BOOLEAN:
        return kdi_put_text(ctx, w, constant->boolean ? "true" : "false");
    case KD_AST_INTEGER:
        if (type.id != KD_TYPE_INT8 && constant->integer >= 0)
            return kd_buffer_append_slice(ctx, w->out, constant->text);
        KD_TRY(kd_buffer_append_format(ctx, w->out, "'%lld'", (long long)constant->integer));
        return put_cast_to(ctx, w, type);
    case KD_AST_DECIMAL:
        if (constant->text.data[0] != '-')
            return kd_buffer_append_slice(ctx, w->out, constant->text);
        KD_TRY(kdi_put_quoted(ctx, w, constant->text));
        return kdi_put_text(ctx, w, "::numeric");
    case KD_AST_STRING:
        KD_TRY(kdi_put_quoted(ctx, w, constant->text));
        return put_cast_to(ctx, w, type);
    case KD_AST_BITS: /* "b01" */
        KD_TRY(kd_buffer_append_slice(ctx, w->out, (kd_slice){constant->text.data, 1}));
        return kdi_put_quoted(ctx, w,
                              (kd_slice){constant->text.data + 1, constant->text.size_bytes - 1});
    }
    return KD_OK;
}

/* A literal, as what it became: `bound`, or where that is NULL what it was at first. */
static bool is_literal(const kd_ast_node *node)
{
    return node->kind == KD_AST_CONSTANT;
}

bool kdi_is_untyped(const kdi_writer *w, const kd_ast_node *node)
{
    const kd_name_note *note = kdi_note(w, node);
    return is_literal(node) && note != NULL && note->expr != NULL &&
           kdi_is_unknown(note->expr->type);
}

static kd_status put_literal(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                             const kd_expr *bound)
{
    const kd_name_note *note = kdi_note(w, node);
    kd_type type = kd_type_of(KD_TYPE_UNKNOWN);
    if (bound != NULL && bound->kind == KD_EXPR_CONSTANT)
        type = bound->type;
    else if (note != NULL && note->expr != NULL)
        type = note->expr->type;
    return put_constant(ctx, w, (const kd_ast_constant *)node, type);
}

/* --- Parentheses of pretty texts --- */

static bool is_call_like(kd_ast_kind kind)
{
    return kind == KD_AST_CALL || kind == KD_AST_COALESCE || kind == KD_AST_GREATEST ||
           kind == KD_AST_LEAST || kind == KD_AST_NULLIF || kind == KD_AST_GROUPING ||
           kind == KD_AST_ROW || kind == KD_AST_ARRAY || kind == KD_AST_CASE ||
           kind == KD_AST_CURRENT;
}

/* 2: * / %, 1: + -, 0: every other operator. */
static int level_of(const kd_ast_node *node)
{
    const kd_ast_operator *op = (const kd_ast_operator *)node;
    if (node->kind != KD_AST_OPERATOR || op->left == NULL || op->name.size_bytes != 1)
        return 0;
    char byte = op->name.data[0];
    return byte == '*' || byte == '/' || byte == '%' ? 2 : byte == '+' || byte == '-' ? 1 : 0;
}

/* x IN (SELECT ...) and its like. */
static bool has_own_parens(const kd_ast_node *node)
{
    return (node->kind == KD_AST_IN && ((const kd_ast_in *)node)->query != NULL &&
            !((const kd_ast_in *)node)->negated) ||
           (node->kind == KD_AST_QUANTIFIED && ((const kd_ast_quantified *)node)->query != NULL);
}

/* Whether the operand needs no parentheses under its parent. */
static bool is_simple(const kd_ast_node *node, const kd_ast_node *parent)
{
    kd_ast_kind kind = node->kind;
    if (parent == NULL || is_literal(node) || kind == KD_AST_COLUMN || is_call_like(kind) ||
        kind == KD_AST_SUBSCRIPT || kind == KD_AST_FIELD || kind == KD_AST_CAST)
        return true;
    if (is_call_like(parent->kind))
        return true;
    bool in_logic = parent->kind == KD_AST_AND || parent->kind == KD_AST_OR;
    bool is_or =
        kind == KD_AST_OR || (kind == KD_AST_BETWEEN && ((const kd_ast_between *)node)->negated);
    if (is_or)
        return parent->kind == KD_AST_OR;
    if (kind == KD_AST_AND || kind == KD_AST_NOT || kind == KD_AST_BETWEEN)
        return in_logic;
    if (in_logic || parent->kind == KD_AST_NOT)
        return has_own_parens(node) || (kind != KD_AST_IN && kind != KD_AST_QUANTIFIED);
    int level = level_of(node), above = level_of(parent);
    if (level == 0 || above == 0)
        return false;
    return level > above || (level == above && ((const kd_ast_operator *)parent)->left == node);
}

static kd_status put_operand(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                             const kd_ast_node *parent)
{
    bool parens = kdi_is_pretty(w) && !is_simple(node, parent);
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, node));
    return parens ? kdi_put_text(ctx, w, ")") : KD_OK;
}

/* Operators take numbers and times of different sizes as they are. */
static bool is_told(kd_type from, kd_type to)
{
    static const kd_type_id families[][3] = {
        {KD_TYPE_INT2, KD_TYPE_INT4, KD_TYPE_INT8},
        {KD_TYPE_FLOAT4, KD_TYPE_FLOAT8, KD_TYPE_FLOAT8},
        {KD_TYPE_DATE, KD_TYPE_TIMESTAMP, KD_TYPE_TIMESTAMPTZ}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        bool has_from = false, has_to = false;
        for (int t = 0; t < 3; t++) {
            has_from |= !from.is_array && from.id == families[i][t];
            has_to |= !to.is_array && to.id == families[i][t];
        }
        if (has_from && has_to)
            return false;
    }
    return true;
}

kd_status kdi_put_coerced(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                          const kd_ast_node *parent, const kd_expr *bound)
{
    const kd_name_note *note = kdi_note(w, node);
    const kd_expr *inner =
        bound != NULL && bound->kind == KD_EXPR_CAST ? bound->arguments[0] : bound;
    bool is_cast = inner != bound && note != NULL && bound != note->expr && inner == note->expr &&
                   is_told(inner->type, bound->type);
    if (is_literal(node) && !is_cast)
        return put_literal(ctx, w, node, inner);
    if (!is_cast)
        return put_operand(ctx, w, node, parent);
    bool parens = !kdi_is_pretty(w) || !is_simple(node, NULL) || level_of(node) > 0 ||
                  node->kind == KD_AST_OPERATOR;
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, node));
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, ")"));
    return put_cast_to(ctx, w, bound->type);
}

/* The argument that the node's bound form has at `index` of `count`; NULL where it has another. */
static const kd_expr *bound_argument(const kdi_writer *w, const kd_ast_node *node, size_t count,
                                     size_t index)
{
    const kd_name_note *note = kdi_note(w, node);
    if (note == NULL || note->expr == NULL || note->expr->argument_count != count)
        return NULL;
    kd_expr_kind kind = note->expr->kind;
    bool has_them = kind == KD_EXPR_CALL || kind == KD_EXPR_COALESCE || kind == KD_EXPR_IS_DISTINCT;
    return has_them ? note->expr->arguments[index] : NULL;
}

/* --- Operators --- */

static kd_status put_binary(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                            const kd_ast_node *left, const char *name, const kd_ast_node *right)
{
    KD_TRY(open_paren(ctx, w));
    if (left != NULL) {
        KD_TRY(kdi_put_coerced(ctx, w, left, node, bound_argument(w, node, 2, 0)));
        KD_TRY(kdi_put_text(ctx, w, " "));
    }
    KD_TRY(kdi_put_text(ctx, w, name));
    KD_TRY(kdi_put_text(ctx, w, " "));
    KD_TRY(kdi_put_coerced(ctx, w, right, node,
                           bound_argument(w, node, left == NULL ? 1 : 2, left == NULL ? 0 : 1)));
    return close_paren(ctx, w);
}

static kd_status put_operator(kd_ctx *ctx, kdi_writer *w, const kd_ast_operator *op)
{
    const char *name = op->schema.size_bytes > 0
                           ? kd_format_text(ctx, w->out->arena, "OPERATOR(%.*s.%.*s)",
                                            KDI_S(op->schema), KDI_S(op->name))
                           : kd_format_text(ctx, w->out->arena, "%.*s", KDI_S(op->name));
    if (name == NULL)
        return KD_NOMEM;
    return put_binary(ctx, w, &op->node, op->left, name, op->right);
}

static kd_status put_logic(kd_ctx *ctx, kdi_writer *w, const kd_ast_args *args)
{
    KD_TRY(open_paren(ctx, w));
    for (size_t i = 0; i < args->args.count; i++) {
        if (i > 0)
            KD_TRY(kdi_put_text(ctx, w, args->node.kind == KD_AST_AND ? " AND " : " OR "));
        KD_TRY(put_operand(ctx, w, args->args.items[i], &args->node));
    }
    return close_paren(ctx, w);
}

static kd_status put_not(kd_ctx *ctx, kdi_writer *w, const kd_ast_unary *ast)
{
    KD_TRY(open_paren(ctx, w));
    KD_TRY(kdi_put_text(ctx, w, "NOT "));
    KD_TRY(put_operand(ctx, w, ast->operand, &ast->node));
    return close_paren(ctx, w);
}

static kd_status put_is(kd_ctx *ctx, kdi_writer *w, const kd_ast_is *ast)
{
    static const char *const tests[] = {[KD_AST_IS_NULL] = "NULL",
                                        [KD_AST_IS_TRUE] = "TRUE",
                                        [KD_AST_IS_FALSE] = "FALSE",
                                        [KD_AST_IS_UNKNOWN] = "UNKNOWN"};
    if (ast->test > KD_AST_IS_UNKNOWN)
        return kdi_put_verbatim(ctx, w, &ast->node);
    KD_TRY(open_paren(ctx, w));
    KD_TRY(put_operand(ctx, w, ast->operand, &ast->node));
    KD_TRY(kdi_put_text(ctx, w, ast->negated ? " IS NOT " : " IS "));
    KD_TRY(kdi_put_text(ctx, w, tests[ast->test]));
    return close_paren(ctx, w);
}

static kd_status put_distinct(kd_ctx *ctx, kdi_writer *w, const kd_ast_distinct_from *ast)
{
    return put_binary(ctx, w, &ast->node, ast->left,
                      ast->negated ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM", ast->right);
}

/* x >= low AND x <= high, as the binder has it. */
static kd_status put_between(kd_ctx *ctx, kdi_writer *w, const kd_ast_between *ast)
{
    const kd_name_note *note = kdi_note(w, ast);
    const kd_expr *both = note == NULL ? NULL : note->expr;
    if (both != NULL && ast->negated && both->kind == KD_EXPR_NOT)
        both = both->arguments[0];
    if (ast->symmetric || both == NULL || both->kind != KD_EXPR_AND || both->argument_count != 2)
        return kdi_put_verbatim(ctx, w, &ast->node);
    const kd_ast_node *limits[2] = {ast->low, ast->high};
    const char *names[2] = {ast->negated ? " < " : " >= ", ast->negated ? " > " : " <= "};
    KD_TRY(open_paren(ctx, w));
    for (int i = 0; i < 2; i++) {
        const kd_expr *side = both->arguments[i];
        bool is_call = side->kind == KD_EXPR_CALL && side->argument_count == 2;
        if (i > 0)
            KD_TRY(kdi_put_text(ctx, w, ast->negated ? " OR " : " AND "));
        KD_TRY(open_paren(ctx, w));
        KD_TRY(
            kdi_put_coerced(ctx, w, ast->operand, &ast->node, is_call ? side->arguments[0] : NULL));
        KD_TRY(kdi_put_text(ctx, w, names[i]));
        KD_TRY(kdi_put_coerced(ctx, w, limits[i], &ast->node, is_call ? side->arguments[1] : NULL));
        KD_TRY(close_paren(ctx, w));
    }
    return close_paren(ctx, w);
}

/* NAME(a, b), [a, b] ... */
static kd_status put_args(kd_ctx *ctx, kdi_writer *w, const kd_ast_args *args, const char *open,
                          const char *close)
{
    KD_TRY(kdi_put_text(ctx, w, open));
    for (size_t i = 0; i < args->args.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_coerced(ctx, w, args->args.items[i], NULL,
                               bound_argument(w, &args->node, args->args.count, i)));
    }
    return kdi_put_text(ctx, w, close);
}

/* x IN (SELECT ...), x = ANY (SELECT ...), (x, y) IN (...) */
static kd_status put_in_query(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *operand,
                              const char *name, const kd_ast_node *query)
{
    KD_TRY(kdi_put_text(ctx, w, "("));
    if (operand->kind == KD_AST_ROW)
        KD_TRY(put_args(ctx, w, (const kd_ast_args *)operand, "(", ")"));
    else
        KD_TRY(put_operand(ctx, w, operand, query));
    KD_TRY(kdi_put_text(ctx, w, name));
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_query(ctx, w, query, NULL, true));
    return kdi_put_text(ctx, w, "))");
}

static kd_status put_in(kd_ctx *ctx, kdi_writer *w, const kd_ast_in *ast)
{
    if (ast->query != NULL && ast->negated) {
        KD_TRY(open_paren(ctx, w));
        KD_TRY(kdi_put_text(ctx, w, "NOT "));
        KD_TRY(put_in_query(ctx, w, ast->operand, " IN ", ast->query));
        return close_paren(ctx, w);
    }
    if (ast->query != NULL)
        return put_in_query(ctx, w, ast->operand, " IN ", ast->query);
    const kd_name_note *note = kdi_note(w, ast);
    const kd_expr *list = note == NULL ? NULL : note->expr;
    if (list != NULL && ast->negated && list->kind == KD_EXPR_NOT)
        list = list->arguments[0];
    bool is_list = list != NULL && list->kind == KD_EXPR_IN_LIST &&
                   list->argument_count == ast->items.count + 1;
    if (!is_list)
        return kdi_put_verbatim(ctx, w, &ast->node);
    KD_TRY(open_paren(ctx, w));
    KD_TRY(kdi_put_coerced(ctx, w, ast->operand, &ast->node, list->arguments[0]));
    KD_TRY(kdi_put_text(ctx, w, ast->negated ? " <> ALL (ARRAY[" : " = ANY (ARRAY["));
    for (size_t i = 0; i < ast->items.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_coerced(ctx, w, ast->items.items[i], NULL, list->arguments[i + 1]));
    }
    KD_TRY(kdi_put_text(ctx, w, "])"));
    return close_paren(ctx, w);
}

static kd_status put_like(kd_ctx *ctx, kdi_writer *w, const kd_ast_like *ast)
{
    if (ast->what == KD_AST_LIKE_SIMILAR || ast->escape != NULL)
        return kdi_put_verbatim(ctx, w, &ast->node);
    bool folds = ast->what == KD_AST_LIKE_ILIKE;
    const char *name = ast->negated ? (folds ? "!~~*" : "!~~") : (folds ? "~~*" : "~~");
    return put_binary(ctx, w, &ast->node, ast->operand, name, ast->pattern);
}

static kd_status put_quantified(kd_ctx *ctx, kdi_writer *w, const kd_ast_quantified *ast)
{
    const char *name = kd_format_text(ctx, w->out->arena, " %.*s %s ", KDI_S(ast->operator_name),
                                      ast->is_all ? "ALL" : "ANY");
    if (name == NULL)
        return KD_NOMEM;
    if (ast->schema.size_bytes > 0)
        return kdi_put_verbatim(ctx, w, &ast->node);
    if (ast->query != NULL) {
        bool is_in = !ast->is_all && kd_slice_equal(ast->operator_name, KD_SLICE("="));
        return put_in_query(ctx, w, ast->operand, is_in ? " IN " : name, ast->query);
    }
    const kd_name_note *note = kdi_note(w, ast);
    bool is_any = note != NULL && note->expr != NULL && note->expr->kind == KD_EXPR_ANY_ARRAY;
    KD_TRY(open_paren(ctx, w));
    KD_TRY(kdi_put_coerced(ctx, w, ast->operand, &ast->node,
                           is_any ? note->expr->arguments[0] : NULL));
    KD_TRY(kdi_put_text(ctx, w, name));
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_coerced(ctx, w, ast->array, NULL, is_any ? note->expr->arguments[1] : NULL));
    KD_TRY(kdi_put_text(ctx, w, ")"));
    return close_paren(ctx, w);
}

/* --- Everything else --- */

static kd_status put_subquery(kd_ctx *ctx, kdi_writer *w, const kd_ast_subquery *ast)
{
    static const char *const opens[] = {[KD_AST_SUBQUERY_SCALAR] = "(",
                                        [KD_AST_SUBQUERY_EXISTS] = "(EXISTS (",
                                        [KD_AST_SUBQUERY_ARRAY] = "ARRAY("};
    KD_TRY(kdi_put_text(ctx, w, opens[ast->what]));
    KD_TRY(kdi_put_query(ctx, w, ast->query, NULL, true));
    return kdi_put_text(ctx, w, ast->what == KD_AST_SUBQUERY_EXISTS ? "))" : ")");
}

static kd_status put_case(kd_ctx *ctx, kdi_writer *w, const kd_ast_case *ast)
{
    const kd_name_note *note = kdi_note(w, ast);
    const kd_expr *bound = note == NULL ? NULL : note->expr;
    if (bound != NULL && (bound->kind != KD_EXPR_CASE ||
                          bound->argument_count < ast->when_count * 2 + bound->case_has_else))
        bound = NULL;
    KD_TRY(kdi_put_line(ctx, w, "CASE", 0, KDI_INDENT_PART, 0));
    if (ast->operand != NULL) {
        KD_TRY(kdi_put_text(ctx, w, " "));
        KD_TRY(kdi_put_expr(ctx, w, ast->operand));
    }
    for (size_t i = 0; i < ast->when_count; i++) {
        KD_TRY(kdi_put_line(ctx, w, "WHEN ", 0, 0, 0));
        KD_TRY(kdi_put_expr(ctx, w, ast->whens[i].condition));
        KD_TRY(kdi_put_text(ctx, w, " THEN "));
        KD_TRY(kdi_put_coerced(ctx, w, ast->whens[i].result, NULL,
                               bound == NULL ? NULL : bound->arguments[i * 2 + 1]));
    }
    KD_TRY(kdi_put_line(ctx, w, "ELSE ", 0, 0, 0));
    if (ast->otherwise != NULL) {
        bool has_else = bound != NULL && bound->case_has_else;
        KD_TRY(kdi_put_coerced(ctx, w, ast->otherwise, NULL,
                               has_else ? bound->arguments[bound->argument_count - 1] : NULL));
    } else {
        KD_TRY(kdi_put_text(ctx, w, "NULL"));
        if (bound != NULL)
            KD_TRY(put_cast_to(ctx, w, bound->type));
    }
    return kdi_put_line(ctx, w, "END", -KDI_INDENT_PART, 0, 0);
}

static kd_status put_cast(kd_ctx *ctx, kdi_writer *w, const kd_ast_cast *ast)
{
    const kd_name_note *note = kdi_note(w, ast);
    const kd_object *domain = note == NULL || note->object_no == 0
                                  ? NULL
                                  : kd_catalog_get(w->options->catalog, note->object_no);
    bool has_no_length =
        ast->form == KD_AST_CAST_LITERAL && ast->type.modifiers.count == 0 && note != NULL &&
        note->expr != NULL &&
        (note->expr->type.id == KD_TYPE_CHAR || note->expr->type.id == KD_TYPE_BIT);
    /* As the type of a cast the word has the length 1, and fields stand with the type. */
    if (has_no_length || ast->type.interval_fields != 0)
        return kdi_put_verbatim(ctx, w, &ast->node);
    if (ast->form == KD_AST_CAST_TRY) {
        KD_TRY(kdi_put_text(ctx, w, "TRY_CAST("));
        KD_TRY(kdi_put_expr(ctx, w, ast->operand));
        KD_TRY(kdi_put_text(ctx, w, " AS "));
    } else if (is_literal(ast->operand)) {
        const kd_ast_constant *constant = (const kd_ast_constant *)ast->operand;
        bool bare = constant->what != KD_AST_STRING && constant->what != KD_AST_NULL;
        if (bare)
            KD_TRY(open_paren(ctx, w));
        KD_TRY(put_constant(ctx, w, constant, kd_type_of(KD_TYPE_UNKNOWN)));
        if (bare)
            KD_TRY(close_paren(ctx, w));
        KD_TRY(kdi_put_text(ctx, w, "::"));
    } else {
        bool parens = !kdi_is_pretty(w) || !is_simple(ast->operand, &ast->node);
        if (parens)
            KD_TRY(kdi_put_text(ctx, w, "("));
        KD_TRY(kdi_put_expr(ctx, w, ast->operand));
        KD_TRY(kdi_put_text(ctx, w, parens ? ")::" : "::"));
    }
    if (domain != NULL)
        KD_TRY(kdi_put_object(ctx, w, domain));
    else if (note != NULL && note->expr != NULL && kd_type_is_named(note->expr->type))
        KD_TRY(kdi_put_type(ctx, w, note->expr->type));
    else
        KD_TRY(kdi_put_ast_type(ctx, w, &ast->type));
    return ast->form == KD_AST_CAST_TRY ? kdi_put_text(ctx, w, ")") : KD_OK;
}

static kd_status put_subscript(kd_ctx *ctx, kdi_writer *w, const kd_ast_subscript *ast)
{
    bool parens = ast->base->kind != KD_AST_COLUMN;
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, ast->base));
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, ")"));
    for (size_t i = 0; i < ast->range_count; i++) {
        const kd_ast_index_range *range = &ast->ranges[i];
        KD_TRY(kdi_put_text(ctx, w, "["));
        if (range->lower != NULL)
            KD_TRY(kdi_put_expr(ctx, w, range->lower));
        if (range->is_slice)
            KD_TRY(kdi_put_text(ctx, w, ":"));
        if (range->upper != NULL)
            KD_TRY(kdi_put_expr(ctx, w, range->upper));
        KD_TRY(kdi_put_text(ctx, w, "]"));
    }
    return KD_OK;
}

static kd_status put_field(kd_ctx *ctx, kdi_writer *w, const kd_ast_field *ast)
{
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, ast->base));
    KD_TRY(kdi_put_text(ctx, w, ")."));
    return ast->star ? kdi_put_text(ctx, w, "*") : kdi_put_name(ctx, w, ast->name);
}

static kd_status put_current(kd_ctx *ctx, kdi_writer *w, const kd_ast_current *ast)
{
    static const char *const names[] = {[KD_AST_CURRENT_DATE] = "CURRENT_DATE",
                                        [KD_AST_CURRENT_TIME] = "CURRENT_TIME",
                                        [KD_AST_CURRENT_TIMESTAMP] = "CURRENT_TIMESTAMP",
                                        [KD_AST_LOCALTIME] = "LOCALTIME",
                                        [KD_AST_LOCALTIMESTAMP] = "LOCALTIMESTAMP",
                                        [KD_AST_CURRENT_USER] = "CURRENT_USER",
                                        [KD_AST_SESSION_USER] = "SESSION_USER",
                                        [KD_AST_CURRENT_CATALOG] = "CURRENT_CATALOG",
                                        [KD_AST_CURRENT_SCHEMA] = "CURRENT_SCHEMA"};
    KD_TRY(kdi_put_text(ctx, w, names[ast->what]));
    return ast->precision < 0 ? KD_OK
                              : kd_buffer_append_format(ctx, w->out, "(%d)", (int)ast->precision);
}

static kd_status put_zone(kd_ctx *ctx, kdi_writer *w, const kd_ast_at_time_zone *ast)
{
    const kd_expr *zone = bound_argument(w, &ast->node, 2, 0);
    if (ast->zone == NULL)
        return kdi_put_verbatim(ctx, w, &ast->node);
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_coerced(ctx, w, ast->operand, &ast->node, bound_argument(w, &ast->node, 2, 1)));
    KD_TRY(kdi_put_text(ctx, w, " AT TIME ZONE "));
    KD_TRY(kdi_put_coerced(ctx, w, ast->zone, &ast->node, zone));
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_collate(kd_ctx *ctx, kdi_writer *w, const kd_ast_collate *ast)
{
    KD_TRY(open_paren(ctx, w));
    KD_TRY(put_operand(ctx, w, ast->operand, &ast->node));
    KD_TRY(kdi_put_text(ctx, w, " COLLATE \""));
    KD_TRY(kd_buffer_append_slice(ctx, w->out, ast->collation.name));
    KD_TRY(kdi_put_text(ctx, w, "\""));
    return close_paren(ctx, w);
}

/* The node's own words. Names in them are those that it was bound by. */
kd_status kdi_put_verbatim(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    w->has_verbatim = true;
    if (node->position < 0 || node->end <= node->position)
        w->is_given_up = true;
    if (w->is_given_up)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kd_buffer_append_slice(ctx, w->out, kd_ast_text(w->query->text, node)));
    return kdi_put_text(ctx, w, ")");
}

/* A column, or what else a name may mean: a whole row, an item of the select list. */
static kd_status put_reference(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    const kd_name_note *note = kdi_note(w, node);
    return note != NULL && note->column_count == 1 ? kdi_put_column(ctx, w, &note->columns[0])
                                                   : kdi_put_verbatim(ctx, w, node);
}

/* lint: long, because every kind of expression has its line. */
static kd_status put_any(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_CONSTANT:
        return put_literal(ctx, w, node, NULL);
    case KD_AST_COLUMN:
        return put_reference(ctx, w, node);
    case KD_AST_OPERATOR:
        return put_operator(ctx, w, (const kd_ast_operator *)node);
    case KD_AST_AND:
    case KD_AST_OR:
        return put_logic(ctx, w, (const kd_ast_args *)node);
    case KD_AST_NOT:
        return put_not(ctx, w, (const kd_ast_unary *)node);
    case KD_AST_IS:
        return put_is(ctx, w, (const kd_ast_is *)node);
    case KD_AST_DISTINCT_FROM:
        return put_distinct(ctx, w, (const kd_ast_distinct_from *)node);
    case KD_AST_BETWEEN:
        return put_between(ctx, w, (const kd_ast_between *)node);
    case KD_AST_IN:
        return put_in(ctx, w, (const kd_ast_in *)node);
    case KD_AST_LIKE:
        return put_like(ctx, w, (const kd_ast_like *)node);
    case KD_AST_QUANTIFIED:
        return put_quantified(ctx, w, (const kd_ast_quantified *)node);
    case KD_AST_SUBQUERY:
        return put_subquery(ctx, w, (const kd_ast_subquery *)node);
    case KD_AST_CASE:
        return put_case(ctx, w, (const kd_ast_case *)node);
    case KD_AST_CAST:
        return put_cast(ctx, w, (const kd_ast_cast *)node);
    case KD_AST_CALL:
        return kdi_put_call(ctx, w, (const kd_ast_call *)node);
    case KD_AST_COALESCE:
        return put_args(ctx, w, (const kd_ast_args *)node, "COALESCE(", ")");
    case KD_AST_GREATEST:
        return put_args(ctx, w, (const kd_ast_args *)node, "GREATEST(", ")");
    case KD_AST_LEAST:
        return put_args(ctx, w, (const kd_ast_args *)node, "LEAST(", ")");
    case KD_AST_NULLIF:
        return put_args(ctx, w, (const kd_ast_args *)node, "NULLIF(", ")");
    case KD_AST_GROUPING:
        return put_args(ctx, w, (const kd_ast_args *)node, "GROUPING(", ")");
    case KD_AST_ROW:
        return put_args(ctx, w, (const kd_ast_args *)node, "ROW(", ")");
    case KD_AST_ARRAY:
        return put_args(ctx, w, (const kd_ast_args *)node, "ARRAY[", "]");
    case KD_AST_SUBSCRIPT:
        return put_subscript(ctx, w, (const kd_ast_subscript *)node);
    case KD_AST_FIELD:
        return put_field(ctx, w, (const kd_ast_field *)node);
    case KD_AST_COLLATE:
        return put_collate(ctx, w, (const kd_ast_collate *)node);
    case KD_AST_AT_TIME_ZONE:
        return put_zone(ctx, w, (const kd_ast_at_time_zone *)node);
    case KD_AST_CURRENT:
        return put_current(ctx, w, (const kd_ast_current *)node);
    default:
        return kdi_put_verbatim(ctx, w, node);
    }
}

kd_status kdi_put_expr(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    if (w->is_given_up)
        return KD_OK;
    if (++w->depth > KD_PARSER_DEPTH_MAX)
        w->is_given_up = true;
    else
        KD_TRY(put_any(ctx, w, node));
    w->depth--;
    return KD_OK;
}

kd_status kdi_put_exprs(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_expr(ctx, w, list->items[i]));
    }
    return KD_OK;
}
