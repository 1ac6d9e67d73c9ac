/*
 * JOIN: conditions, USING and NATURAL with their merged columns, aliases.
 */
#include "sql/bind_internal.h"

typedef struct join_state {
    const kd_ast_join *ast;
    kdi_names left, right;
    kd_join_kind kind;
    kd_expr *condition;
    size_t merged_count;
    kd_slice *merged_names;
    kd_expr **merged; /* What the merged columns are. */
    bool needs_project;
} join_state;

static kd_status join_kind(kd_ctx *ctx, kdi_binder *b, const kd_ast_join *ast, kd_join_kind *out)
{
    static const kd_join_kind kinds[] = {
        [KD_AST_JOIN_INNER] = KD_JOIN_INNER, [KD_AST_JOIN_LEFT] = KD_JOIN_LEFT,
        [KD_AST_JOIN_RIGHT] = KD_JOIN_RIGHT, [KD_AST_JOIN_FULL] = KD_JOIN_FULL,
        [KD_AST_JOIN_CROSS] = KD_JOIN_INNER, [KD_AST_JOIN_SEMI] = KD_JOIN_SEMI,
        [KD_AST_JOIN_ANTI] = KD_JOIN_ANTI};
    if (ast->asof || ast->what == KD_AST_JOIN_POSITIONAL)
        return kdi_at(
            ctx, b, ast->node.mark,
            KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "ASOF and POSITIONAL joins are not supported"));
    *out = kinds[ast->what];
    return KD_OK;
}

static const kd_rel_column *find_one(const kdi_names *names, kd_slice name, size_t *out_count)
{
    const kd_rel_column *found = NULL;
    *out_count = 0;
    for (size_t i = 0; i < names->column_count; i++)
        if (kd_slice_equal(names->columns[i].name, name)) {
            found = &names->columns[i];
            ++*out_count;
        }
    return found;
}

static kd_status side_column(kd_ctx *ctx, kdi_binder *b, join_state *join, const kdi_names *names,
                             kd_slice name, const char *side, const kd_rel_column **out)
{
    size_t count;
    *out = find_one(names, name, &count);
    int position = join->ast->node.mark;
    if (count == 0)
        return kdi_at(
            ctx, b, position,
            KD_FAIL(ctx, KD_INVALID, "42703",
                    "column \"%.*s\" specified in USING clause does not exist in %s table",
                    KDI_S(name), side));
    if (count > 1)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42702",
                              "common column name \"%.*s\" appears more than once in %s table",
                              KDI_S(name), side));
    return KD_OK;
}

static kd_status merge_column(kd_ctx *ctx, kdi_binder *b, join_state *join, kd_slice name)
{
    const kd_rel_column *left, *right;
    KD_TRY(side_column(ctx, b, join, &join->left, name, "left", &left));
    KD_TRY(side_column(ctx, b, join, &join->right, name, "right", &right));
    int position = join->ast->node.mark;
    kd_expr *pair[2] = {kdi_column_expr(ctx, b, left, position),
                        kdi_column_expr(ctx, b, right, position)};
    if (pair[0] == NULL || pair[1] == NULL)
        return KD_NOMEM;
    kd_expr *equal;
    KD_TRY(kdi_operator(ctx, b, KD_SLICE("="), pair[0], pair[1], position, &equal));
    KD_TRY(kdi_and(ctx, b, join->condition, equal, &join->condition));
    kd_type type;
    KD_TRY(kdi_unify(ctx, b, "JOIN/USING", pair, 2, &type));
    kd_expr *merged = join->kind == KD_JOIN_RIGHT ? pair[1] : pair[0];
    if (join->kind == KD_JOIN_FULL) {
        merged = kdi_expr_new(ctx, b, KD_EXPR_COALESCE, type, position, 2);
        if (merged == NULL)
            return KD_NOMEM;
        merged->arguments[0] = pair[0];
        merged->arguments[1] = pair[1];
    }
    join->needs_project |= merged->kind != KD_EXPR_COLUMN;
    join->merged_names[join->merged_count] = name;
    join->merged[join->merged_count++] = merged;
    return KD_OK;
}

static bool is_merged(const join_state *join, kd_slice name)
{
    for (size_t i = 0; i < join->merged_count; i++)
        if (kd_slice_equal(join->merged_names[i], name))
            return true;
    return false;
}

static kd_status bind_using(kd_ctx *ctx, kdi_binder *b, join_state *join)
{
    const kd_ast_join *ast = join->ast;
    size_t room = ast->natural ? join->left.column_count : ast->using_columns.count;
    join->merged_names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, room);
    join->merged = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, room);
    if (join->merged_names == NULL || join->merged == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->using_columns.count; i++)
        KD_TRY(merge_column(ctx, b, join, ast->using_columns.items[i]));
    for (size_t i = 0; ast->natural && i < join->left.column_count; i++) {
        size_t count;
        kd_slice name = join->left.columns[i].name;
        find_one(&join->right, name, &count);
        if (count > 0 && !is_merged(join, name))
            KD_TRY(merge_column(ctx, b, join, name));
    }
    return KD_OK;
}

static kd_status bind_on(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, join_state *join)
{
    kdi_query query = {.clause = "JOIN conditions"};
    kdi_scope scope = {
        .outer = outer, .query = &query, .depth = outer == NULL ? 0 : outer->depth + 1};
    KD_TRY(kdi_names_add(ctx, b, &scope.names, &join->left));
    KD_TRY(kdi_names_add(ctx, b, &scope.names, &join->right));
    return kdi_bind_condition(ctx, b, &scope, join->ast->condition, "JOIN/ON", &join->condition);
}

/* Gives merged columns that are expressions a column of their own, above the join. */
static kd_status project_merged(kd_ctx *ctx, kdi_binder *b, join_state *join, kd_rel **io_rel)
{
    uint32_t below = (*io_rel)->column_count;
    uint32_t count = below + (uint32_t)join->merged_count;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < below; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &(*io_rel)->columns[i], -1);
        names[i] = (*io_rel)->columns[i].name;
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    for (uint32_t i = below; i < count; i++) {
        exprs[i] = join->merged[i - below];
        names[i] = join->merged_names[i - below];
    }
    KD_TRY(kdi_rel_project(ctx, b, *io_rel, exprs, names, count, true, io_rel));
    for (size_t i = 0; i < join->merged_count; i++) {
        join->merged[i] = kdi_column_expr(ctx, b, &(*io_rel)->columns[below + i], -1);
        if (join->merged[i] == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

static kd_status join_names(kd_ctx *ctx, kdi_binder *b, join_state *join, kdi_names *names)
{
    bool one_side = join->kind == KD_JOIN_SEMI || join->kind == KD_JOIN_ANTI;
    for (size_t i = 0; i < join->merged_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, names,
                                    (kd_rel_column){.id = join->merged[i]->column,
                                                    .type = join->merged[i]->type,
                                                    .name = join->merged_names[i]}));
    const kdi_names *sides[2] = {&join->left, &join->right};
    for (int s = 0; s < (one_side ? 1 : 2); s++) {
        for (size_t i = 0; i < sides[s]->column_count; i++)
            if (!is_merged(join, sides[s]->columns[i].name))
                KD_TRY(kdi_names_add_column(ctx, b, names, sides[s]->columns[i]));
        for (size_t i = 0; i < sides[s]->source_count; i++)
            KD_TRY(kdi_names_add_source(ctx, b, names, sides[s]->sources[i]));
    }
    return KD_OK;
}

/* USING (...) AS x: the merged columns, which stand first, as a source of their own. */
static kd_status using_alias(kd_ctx *ctx, kdi_binder *b, const join_state *join, kdi_names *names)
{
    if (join->ast->using_alias.size_bytes == 0)
        return KD_OK;
    kdi_source source = {.alias = join->ast->using_alias,
                         .column_count = (uint32_t)join->merged_count,
                         .columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, join->merged_count)};
    if (source.columns == NULL)
        return KD_NOMEM;
    memcpy(source.columns, names->columns, join->merged_count * sizeof *source.columns);
    return kdi_names_add_source(ctx, b, names, source);
}

/* (a JOIN b) AS x: only x is visible. */
static kd_status join_alias(kd_ctx *ctx, kdi_binder *b, const kd_ast_join *ast, kdi_names *names)
{
    if (ast->alias.name.size_bytes == 0)
        return KD_OK;
    kd_rel carrier = {.kind = KD_REL_PROJECT,
                      .columns = names->columns,
                      .column_count = (uint32_t)names->column_count};
    kdi_names renamed = {0};
    KD_TRY(kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, ast->alias.name, &carrier,
                           carrier.column_count, &renamed));
    *names = renamed;
    return KD_OK;
}

static kd_status note_lateral(kd_ctx *ctx, kdi_binder *b, kd_rel *join)
{
    kd_id_set free_ids = {.arena = b->arena}, left = {.arena = b->arena};
    KD_TRY(kd_rel_free_columns(ctx, join->inputs[1], &free_ids));
    KD_TRY(kd_rel_column_set(ctx, join->inputs[0], &left));
    join->as.join.lateral = kd_id_set_overlaps(&free_ids, &left);
    if (join->as.join.lateral &&
        (join->as.join.kind == KD_JOIN_RIGHT || join->as.join.kind == KD_JOIN_FULL))
        return KD_FAIL(ctx, KD_INVALID, "42P10",
                       "the combining JOIN type must be INNER or LEFT for a LATERAL reference");
    return KD_OK;
}

kd_status kdi_bind_join(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_join *ast,
                        kdi_names *names, kd_rel **out)
{
    join_state join = {.ast = ast};
    KD_TRY(join_kind(ctx, b, ast, &join.kind));
    kd_rel *left, *right;
    uint32_t uses = b->working_uses;
    KD_TRY(kdi_bind_from_item(ctx, b, scope, ast->left, &join.left, &left));
    if (join.kind == KD_JOIN_RIGHT || join.kind == KD_JOIN_FULL)
        KD_TRY(kdi_refuse_working(ctx, b, uses, "an outer join"));
    uses = b->working_uses;
    kdi_scope lateral = {.outer = scope,
                         .names = join.left,
                         .is_lateral = true,
                         .depth = scope == NULL ? 0 : scope->depth};
    KD_TRY(kdi_bind_from_item(ctx, b, &lateral, ast->right, &join.right, &right));
    if (join.kind == KD_JOIN_LEFT || join.kind == KD_JOIN_FULL)
        KD_TRY(kdi_refuse_working(ctx, b, uses, "an outer join"));
    kdi_scope *outer = kdi_beyond_lateral(scope);
    if (ast->condition != NULL)
        KD_TRY(bind_on(ctx, b, outer, &join));
    else
        KD_TRY(bind_using(ctx, b, &join));
    KD_TRY(kdi_rel_join(ctx, b, join.kind, left, right, join.condition, out));
    if (ast->right->kind == KD_AST_TABLE_QUERY || ast->right->kind == KD_AST_TABLE_CALL)
        KD_TRY(note_lateral(ctx, b, *out));
    const kdi_names *sides[2] = {&join.left, &join.right};
    KD_TRY(kdi_note_merged(ctx, b, &ast->node, join.merged_names, join.merged_count, sides));
    if (join.needs_project)
        KD_TRY(project_merged(ctx, b, &join, out));
    KD_TRY(join_names(ctx, b, &join, names));
    KD_TRY(using_alias(ctx, b, &join, names));
    return join_alias(ctx, b, ast, names);
}
