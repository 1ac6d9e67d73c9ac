/*
 * FROM as normalised text: relations, sub-queries, functions, joins, and their aliases.
 */
#include "sql/ast_define.h"
#include "sql/query_text_internal.h"

/* --- Aliases --- */

static kd_status put_column_names(kd_ctx *ctx, kdi_writer *w, const kd_name_note *note)
{
    KD_TRY(kdi_put_text(ctx, w, "("));
    for (uint32_t i = 0; i < note->column_count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_name(ctx, w, note->columns[i].name));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_column_defs(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *defs)
{
    KD_TRY(kdi_put_text(ctx, w, "("));
    for (size_t i = 0; i < defs->count; i++) {
        const kd_ast_column_def *def = (const kd_ast_column_def *)defs->items[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_name(ctx, w, def->name));
        KD_TRY(kdi_put_text(ctx, w, " "));
        KD_TRY(kdi_put_ast_type(ctx, w, &def->type));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_alias(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                           const kd_ast_alias *alias)
{
    const kd_name_note *note = kdi_note(w, node);
    if (note == NULL) {
        w->is_given_up = true;
        return KD_OK;
    }
    if (note->alias.size_bytes > 0) {
        KD_TRY(kdi_put_text(ctx, w, " "));
        KD_TRY(kdi_put_name(ctx, w, note->alias));
    }
    if (alias->column_defs.count > 0) {
        KD_TRY(kdi_put_text(ctx, w, note->alias.size_bytes > 0 ? "" : " AS "));
        return put_column_defs(ctx, w, &alias->column_defs);
    }
    bool lists = node->kind == KD_AST_TABLE_CALL || alias->columns.count > 0;
    return lists && note->column_count > 0 ? put_column_names(ctx, w, note) : KD_OK;
}

/* --- Relations --- */

/* Whether some column of the relation is no longer called as the query was bound. */
static bool has_renamed_column(const kdi_writer *w, const kd_ast_node *node)
{
    const kd_name_note *note = kdi_note(w, node);
    for (uint32_t i = 0; i < note->column_count; i++) {
        kd_noted_column bound = {.item = node, .name = note->columns[i].name, .position = i};
        if (!kd_slice_equal(kdi_name_of_position(w, &bound), bound.name))
            return true;
    }
    return false;
}

static kd_status put_file(kd_ctx *ctx, kdi_writer *w, const kd_ast_table_ref *ref)
{
    KD_TRY(kdi_put_quoted(ctx, w, ref->name.name));
    return ref->alias.name.size_bytes > 0 ? put_alias(ctx, w, &ref->node, &ref->alias) : KD_OK;
}

static kd_status put_relation(kd_ctx *ctx, kdi_writer *w, const kd_ast_table_ref *ref)
{
    const kd_name_note *note = kdi_note(w, ref);
    if (ref->is_file)
        return put_file(ctx, w, ref);
    if (ref->only)
        KD_TRY(kdi_put_text(ctx, w, "ONLY "));
    const kd_object *object = note == NULL || note->object_no == 0
                                  ? NULL
                                  : kd_catalog_get(w->options->catalog, note->object_no);
    if (note == NULL || (note->object_no != 0 && object == NULL)) {
        w->is_given_up = true;
        return KD_OK;
    }
    kd_noted_column any = {.source = note->alias, .item = &ref->node};
    kd_slice alias = kdi_source_now(w, &any);
    if (object != NULL) {
        KD_TRY(kdi_put_object(ctx, w, object));
    } else {
        if (ref->name.schema.size_bytes > 0) {
            KD_TRY(kdi_put_name(ctx, w, ref->name.schema));
            KD_TRY(kdi_put_text(ctx, w, "."));
        }
        KD_TRY(kdi_put_name(ctx, w, ref->name.name));
    }
    bool renames = object != NULL && (w->options->keeps_names || note->keeps_names) &&
                   has_renamed_column(w, &ref->node);
    bool lists = ref->alias.columns.count > 0 || renames;
    bool is_own_name = kd_slice_equal(alias, object != NULL ? object->name : ref->name.name);
    if (ref->alias.name.size_bytes > 0 || !is_own_name || lists) {
        KD_TRY(kdi_put_text(ctx, w, " "));
        KD_TRY(kdi_put_name(ctx, w, alias));
    }
    if (lists)
        KD_TRY(put_column_names(ctx, w, note));
    if (ref->sample.method.position < 0 || ref->sample.method.name.size_bytes == 0)
        return KD_OK;
    KD_TRY(kd_buffer_append_format(ctx, w->out, " TABLESAMPLE %.*s (",
                                   (int)ref->sample.method.name.size_bytes,
                                   ref->sample.method.name.data));
    KD_TRY(kdi_put_exprs(ctx, w, &ref->sample.args));
    KD_TRY(kdi_put_text(ctx, w, ")"));
    if (ref->sample.seed == NULL)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " REPEATABLE ("));
    KD_TRY(kdi_put_expr(ctx, w, ref->sample.seed));
    return kdi_put_text(ctx, w, ")");
}

/* --- Functions --- */

static kd_status put_table_call(kd_ctx *ctx, kdi_writer *w, const kd_ast_table_call *ast)
{
    if (ast->lateral)
        KD_TRY(kdi_put_text(ctx, w, "LATERAL "));
    if (ast->rows_from)
        KD_TRY(kdi_put_text(ctx, w, "ROWS FROM("));
    for (size_t i = 0; i < ast->calls.count; i++) {
        const kd_ast_list *defs = ast->call_column_defs == NULL ? NULL : &ast->call_column_defs[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_expr(ctx, w, ast->calls.items[i]));
        if (defs == NULL || defs->count == 0)
            continue;
        KD_TRY(kdi_put_text(ctx, w, " AS "));
        KD_TRY(put_column_defs(ctx, w, defs));
    }
    if (ast->rows_from)
        KD_TRY(kdi_put_text(ctx, w, ")"));
    if (ast->ordinality)
        KD_TRY(kdi_put_text(ctx, w, " WITH ORDINALITY"));
    return put_alias(ctx, w, &ast->node, &ast->alias);
}

/* --- Joins --- */

static const char *join_words(const kd_ast_join *join, bool is_inner)
{
    static const char *const words[] = {
        [KD_AST_JOIN_INNER] = " JOIN ",       [KD_AST_JOIN_LEFT] = " LEFT JOIN ",
        [KD_AST_JOIN_RIGHT] = " RIGHT JOIN ", [KD_AST_JOIN_FULL] = " FULL JOIN ",
        [KD_AST_JOIN_CROSS] = " CROSS JOIN ", [KD_AST_JOIN_SEMI] = " SEMI JOIN ",
        [KD_AST_JOIN_ANTI] = " ANTI JOIN ",   [KD_AST_JOIN_POSITIONAL] = " POSITIONAL JOIN "};
    if (join->asof)
        return is_inner ? " ASOF JOIN " : " ASOF LEFT JOIN ";
    return words[join->what];
}

static kd_status put_merged(kd_ctx *ctx, kdi_writer *w, const kd_ast_join *join,
                            const kd_name_note *note)
{
    KD_TRY(kdi_put_text(ctx, w, " USING "));
    KD_TRY(put_column_names(ctx, w, note));
    if (join->using_alias.size_bytes == 0)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " AS "));
    return kdi_put_name(ctx, w, join->using_alias);
}

static kd_status put_condition(kd_ctx *ctx, kdi_writer *w, const kd_ast_join *join)
{
    const kd_name_note *note = kdi_note(w, join);
    if (note != NULL && note->column_count > 0)
        return put_merged(ctx, w, join, note);
    bool needs_one = join->what != KD_AST_JOIN_CROSS && join->what != KD_AST_JOIN_POSITIONAL;
    if (join->condition == NULL) /* NATURAL, and no column that both have. */
        return needs_one ? kdi_put_text(ctx, w, " ON TRUE") : KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " ON "));
    if (!kdi_is_pretty(w))
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, join->condition));
    return kdi_is_pretty(w) ? KD_OK : kdi_put_text(ctx, w, ")");
}

static kd_status put_item(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node);

static kd_status put_join(kd_ctx *ctx, kdi_writer *w, const kd_ast_join *join)
{
    bool has_alias = join->alias.name.size_bytes > 0;
    bool parens = !kdi_is_pretty(w) || has_alias;
    bool right_parens = kdi_is_pretty(w) && join->right->kind == KD_AST_JOIN &&
                        ((const kd_ast_join *)join->right)->alias.name.size_bytes == 0;
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(put_item(ctx, w, join->left));
    if (join->what == KD_AST_JOIN_CROSS)
        KD_TRY(kdi_put_line(ctx, w, " CROSS JOIN ", -KDI_INDENT, KDI_INDENT, KDI_INDENT_PART));
    else
        KD_TRY(kdi_put_line(ctx, w, join_words(join, join->what == KD_AST_JOIN_INNER), -KDI_INDENT,
                            KDI_INDENT, KDI_INDENT_PART));
    if (right_parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(put_item(ctx, w, join->right));
    if (right_parens)
        KD_TRY(kdi_put_text(ctx, w, ")"));
    KD_TRY(put_condition(ctx, w, join));
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, ")"));
    if (!has_alias)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " "));
    KD_TRY(kdi_put_name(ctx, w, join->alias.name));
    if (join->alias.columns.count == 0)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, "("));
    for (size_t i = 0; i < join->alias.columns.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_name(ctx, w, join->alias.columns.items[i]));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_any_item(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    const kd_ast_table_query *query = (const kd_ast_table_query *)node;
    switch (node->kind) {
    case KD_AST_TABLE_REF:
        return put_relation(ctx, w, (const kd_ast_table_ref *)node);
    case KD_AST_TABLE_CALL:
        return put_table_call(ctx, w, (const kd_ast_table_call *)node);
    case KD_AST_JOIN:
        return put_join(ctx, w, (const kd_ast_join *)node);
    case KD_AST_TABLE_QUERY:
        KD_TRY(kdi_put_text(ctx, w, query->lateral ? "LATERAL (" : "("));
        KD_TRY(kdi_put_query(ctx, w, query->query, NULL, false));
        KD_TRY(kdi_put_text(ctx, w, ")"));
        return put_alias(ctx, w, node, &query->alias);
    default:
        w->is_given_up = true;
        return KD_OK;
    }
}

static kd_status put_item(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    if (w->is_given_up)
        return KD_OK;
    if (++w->depth > KD_PARSER_DEPTH_MAX)
        w->is_given_up = true;
    else
        KD_TRY(put_any_item(ctx, w, node));
    w->depth--;
    return KD_OK;
}

kd_status kdi_put_from(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (i == 0) {
            KD_TRY(kdi_put_line(ctx, w, " FROM ", -KDI_INDENT, KDI_INDENT, 2));
        } else {
            KD_TRY(kdi_put_text(ctx, w, ", "));
            KD_TRY(kdi_put_line(ctx, w, "", -KDI_INDENT, KDI_INDENT, KDI_INDENT_PART));
        }
        KD_TRY(put_item(ctx, w, from->items[i]));
    }
    return KD_OK;
}
