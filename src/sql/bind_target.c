/*
 * Select lists: expressions, stars, and the names of columns that have none.
 */
#include "sql/bind_internal.h"

static kd_slice cast_name(const kd_ast_cast *cast)
{
    kd_slice name = kdi_target_name(cast->operand);
    kd_type type;
    if (!kd_slice_equal(name, KD_SLICE("?column?")))
        return name;
    if (kd_type_find(cast->type.name.name, &type))
        return kd_slice_of(kd_type_internal_name(type));
    return cast->type.name.name;
}

static kd_slice subquery_name(const kd_ast_subquery *ast)
{
    if (ast->what == KD_AST_SUBQUERY_EXISTS)
        return KD_SLICE("exists");
    if (ast->what == KD_AST_SUBQUERY_ARRAY)
        return KD_SLICE("array");
    const kd_ast_node *query = ast->query;
    while (query->kind == KD_AST_SETOP)
        query = ((const kd_ast_setop *)query)->left;
    const kd_ast_select *select = (const kd_ast_select *)query;
    if (select->targets.count != 1)
        return select->is_values ? KD_SLICE("column1") : KD_SLICE("?column?");
    const kd_ast_target *target = (const kd_ast_target *)select->targets.items[0];
    return target->alias.size_bytes > 0 ? target->alias : kdi_target_name(target->value);
}

static kd_slice current_name(kd_ast_current_kind what)
{
    static const char *const names[] = {[KD_AST_CURRENT_DATE] = "current_date",
                                        [KD_AST_CURRENT_TIME] = "current_time",
                                        [KD_AST_CURRENT_TIMESTAMP] = "current_timestamp",
                                        [KD_AST_LOCALTIME] = "localtime",
                                        [KD_AST_LOCALTIMESTAMP] = "localtimestamp",
                                        [KD_AST_CURRENT_USER] = "current_user",
                                        [KD_AST_SESSION_USER] = "session_user",
                                        [KD_AST_CURRENT_CATALOG] = "current_catalog",
                                        [KD_AST_CURRENT_SCHEMA] = "current_schema"};
    return kd_slice_of(names[what]);
}

static kd_slice case_name(const kd_ast_case *ast)
{
    kd_slice name = ast->otherwise == NULL ? KD_SLICE("?column?") : kdi_target_name(ast->otherwise);
    return kd_slice_equal(name, KD_SLICE("?column?")) ? KD_SLICE("case") : name;
}

kd_slice kdi_target_name(const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_COLUMN: {
        const kd_ast_column *column = (const kd_ast_column *)node;
        return column->parts[column->part_count - 1];
    }
    case KD_AST_CALL: {
        const kd_ast_call *call = (const kd_ast_call *)node;
        return call->label.size_bytes > 0 ? call->label : call->function.name;
    }
    case KD_AST_CAST:
        return cast_name((const kd_ast_cast *)node);
    case KD_AST_SUBQUERY:
        return subquery_name((const kd_ast_subquery *)node);
    case KD_AST_CURRENT:
        return current_name(((const kd_ast_current *)node)->what);
    case KD_AST_CASE:
        return case_name((const kd_ast_case *)node);
    case KD_AST_FIELD:
        return ((const kd_ast_field *)node)->name;
    case KD_AST_SUBSCRIPT:
        return kdi_target_name(((const kd_ast_subscript *)node)->base);
    case KD_AST_COLLATE:
        return kdi_target_name(((const kd_ast_collate *)node)->operand);
    case KD_AST_AT_TIME_ZONE:
        return KD_SLICE("timezone");
    case KD_AST_COALESCE:
        return KD_SLICE("coalesce");
    case KD_AST_GREATEST:
        return KD_SLICE("greatest");
    case KD_AST_LEAST:
        return KD_SLICE("least");
    case KD_AST_NULLIF:
        return KD_SLICE("nullif");
    case KD_AST_GROUPING:
        return KD_SLICE("grouping");
    case KD_AST_ARRAY:
        return KD_SLICE("array");
    case KD_AST_ROW:
        return KD_SLICE("row");
    case KD_AST_CONSTANT:
        if (((const kd_ast_constant *)node)->what == KD_AST_BOOLEAN)
            return KD_SLICE("bool");
        break;
    default:
        break;
    }
    return KD_SLICE("?column?");
}

static kd_status target_add(kd_ctx *ctx, kdi_binder *b, kdi_targets *targets, kd_expr *expr,
                            kd_slice name)
{
    kd_expr **slot;
    kd_slice *name_slot;
    KD_TRY(KD_PUSH(ctx, b->arena, targets->exprs, targets->count, targets->expr_capacity, &slot));
    KD_TRY(KD_PUSH(ctx, b->arena, targets->names, targets->name_count, targets->name_capacity,
                   &name_slot));
    *slot = expr;
    *name_slot = name;
    return KD_OK;
}

static bool is_listed(const kd_ast_names *names, kd_slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (kd_slice_equal(names->items[i], name))
            return true;
    return false;
}

static kd_status star_columns(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_star *ast,
                              const kd_rel_column **out_columns, size_t *out_count,
                              kdi_scope **out_scope)
{
    *out_scope = scope;
    if (ast->part_count == 0) {
        *out_columns = scope->names.columns;
        *out_count = scope->names.column_count;
        if (scope->names.source_count == 0)
            return kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42601",
                                  "SELECT * with no tables specified is not valid"));
        return KD_OK;
    }
    kd_slice alias = ast->parts[ast->part_count - 1];
    kd_slice schema = ast->part_count > 1 ? ast->parts[ast->part_count - 2] : (kd_slice){NULL, 0};
    kdi_scope *at;
    const kdi_source *source = kdi_find_source(scope, schema, alias, &at);
    *out_scope = at;
    if (source == NULL)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42P01",
                              "missing FROM-clause entry for table \"%.*s\"", KDI_S(alias)));
    *out_columns = source->columns;
    *out_count = source->column_count;
    if (at->depth > b->deepest)
        b->deepest = at->depth;
    if (at->depth < b->shallowest)
        b->shallowest = at->depth;
    return KD_OK;
}

static kd_status bind_star(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_star *ast,
                           kdi_targets *out)
{
    const kd_rel_column *columns = NULL;
    size_t count = 0;
    kdi_scope *found_in;
    KD_TRY(star_columns(ctx, b, scope, ast, &columns, &count, &found_in));
    KD_TRY(kdi_note_columns(ctx, b, scope, found_in, &ast->node, columns, count));
    if (ast->exclude.count > 0 || ast->replace.count > 0 || ast->rename.count > 0)
        kdi_note_unclear(b);
    for (size_t i = 0; i < count; i++) {
        if (is_listed(&ast->exclude, columns[i].name))
            continue;
        kd_expr *expr = NULL;
        for (size_t r = 0; r < ast->replace.count && expr == NULL; r++) {
            const kd_ast_target *replaced = (const kd_ast_target *)ast->replace.items[r];
            if (kd_slice_equal(replaced->alias, columns[i].name)) {
                KD_TRY(kdi_bind_expr(ctx, b, scope, replaced->value, &expr));
                KD_TRY(kdi_settle(ctx, b, &expr));
            }
        }
        if (expr == NULL)
            expr = kdi_column_expr(ctx, b, &columns[i], ast->node.position);
        if (expr == NULL)
            return KD_NOMEM;
        kd_slice name = columns[i].name;
        for (size_t r = 0; r < ast->rename.count; r++) {
            const kd_ast_target *renamed = (const kd_ast_target *)ast->rename.items[r];
            if (kd_slice_equal(((const kd_ast_constant *)renamed->value)->text, columns[i].name))
                name = renamed->alias;
        }
        KD_TRY(target_add(ctx, b, out, expr, name));
    }
    return KD_OK;
}

static bool is_star(const kd_ast_node *node)
{
    return node->kind == KD_AST_STAR ||
           (node->kind == KD_AST_FIELD && ((const kd_ast_field *)node)->star);
}

kd_status kdi_expand_star(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          kdi_targets *out)
{
    if (node->kind == KD_AST_STAR)
        return bind_star(ctx, b, scope, (const kd_ast_star *)node, out);
    kd_expr **exprs;
    kd_record_shape shape;
    kdi_note_unclear(b);
    KD_TRY(kdi_bind_fields(ctx, b, scope, (const kd_ast_field *)node, &exprs, &shape));
    for (uint32_t i = 0; i < shape.field_count; i++)
        KD_TRY(target_add(ctx, b, out, exprs[i], shape.names[i]));
    return KD_OK;
}

/* One column, or as many as COLUMNS(...) in it stands for. */
static kd_status bind_target(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                             const kd_ast_target *target, kdi_targets *out)
{
    kdi_columns saved = b->columns;
    b->columns = (kdi_columns){0};
    do {
        kd_expr *expr;
        KD_TRY(kdi_bind_expr(ctx, b, scope, target->value, &expr));
        kd_slice name = target->alias.size_bytes > 0 ? target->alias
                        : b->columns.count > 0       ? b->columns.name
                                                     : kdi_target_name(target->value);
        KD_TRY(target_add(ctx, b, out, expr, name));
    } while (++b->columns.index < b->columns.count);
    b->columns = saved;
    return KD_OK;
}

kd_status kdi_bind_targets(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                           kdi_targets *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const kd_ast_target *target = (const kd_ast_target *)list->items[i];
        if (is_star(target->value)) {
            KD_TRY(kdi_expand_star(ctx, b, scope, target->value, out));
            continue;
        }
        if (scope->query != NULL)
            scope->query->alias_limit = i;
        KD_TRY(bind_target(ctx, b, scope, target, out));
    }
    if (scope->query != NULL)
        scope->query->alias_limit = list->count;
    return KD_OK;
}

/* --- COLUMNS --- */

static kd_status matches(kd_ctx *ctx, kdi_binder *b, const kd_ast_constant *pattern, kd_slice name,
                         bool *out_matches)
{
    kd_value values[2] = {kd_value_text(name), kd_value_text(pattern->text)};
    kd_type types[2] = {values[0].type, values[1].type}, wanted[2], result;
    const kd_function *function;
    KD_TRY(kdi_find_operator(ctx, b, KD_SLICE("~"), types[0], types[1], pattern->node.position,
                             &function, wanted, &result));
    kd_call_env env = {.facts = b->options->facts,
                       .arena = b->arena,
                       .state_arena = b->arena,
                       .argument_count = 2,
                       .argument_types = types,
                       .result_type = result,
                       .data = function->data};
    const void *args[2] = {&values[0].as, &values[1].as};
    _Alignas(16) uint8_t answer[16] = {0};
    bool is_null = false;
    if (function->row == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "~ is no row function");
    KD_TRY(function->row(ctx, &env, args, answer, &is_null));
    *out_matches = !is_null && answer[0] != 0;
    return KD_OK;
}

/* COLUMNS('regex'), COLUMNS(*): the column whose turn it is; the target is bound once for each. */
kd_status kdi_bind_columns(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                           kd_expr **out)
{
    kdi_targets found = {0};
    const kd_ast_node *argument = ast->arg_count == 1 ? ast->args[0].value : NULL;
    kd_ast_star star = {.node = ast->node};
    if (argument != NULL && argument->kind == KD_AST_STAR)
        star = *(const kd_ast_star *)argument;
    const kd_ast_constant *pattern = (const kd_ast_constant *)argument;
    bool has_pattern =
        argument != NULL && argument->kind == KD_AST_CONSTANT && pattern->what == KD_AST_STRING;
    if (!ast->star && !has_pattern && (argument == NULL || argument->kind != KD_AST_STAR))
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COLUMNS takes * or a regular expression"));
    star.node.kind = KD_AST_STAR;
    kdi_note_unclear(b);
    KD_TRY(bind_star(ctx, b, scope, &star, &found));
    size_t kept = 0;
    for (size_t i = 0; i < found.count; i++) {
        bool is_kept = true;
        if (has_pattern)
            KD_TRY(matches(ctx, b, pattern, found.names[i], &is_kept));
        found.exprs[kept] = found.exprs[i];
        found.names[kept] = found.names[i];
        kept += is_kept;
    }
    if (kept == 0)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42703", "COLUMNS matches no column"));
    if (b->columns.count > 0 && b->columns.count != kept)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "several COLUMNS in one expression must match as many columns"));
    b->columns.count = kept;
    b->columns.name = found.names[b->columns.index];
    *out = found.exprs[b->columns.index];
    return KD_OK;
}
