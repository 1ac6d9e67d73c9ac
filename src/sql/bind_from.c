/*
 * FROM: tables, views, partitioned tables, system views, files, sub-queries.
 */
#include "sql/bind_internal.h"

#include "sql/ast_define.h"

kdi_scope *kdi_beyond_lateral(kdi_scope *scope)
{
    int depth = scope == NULL ? 0 : scope->depth;
    while (scope != NULL && scope->is_lateral && scope->depth == depth)
        scope = scope->outer;
    return scope;
}

/* --- Aliases --- */

static kd_status alias_columns(kd_ctx *ctx, const kd_ast_alias *alias, kdi_source *source)
{
    size_t count = alias->columns.count + alias->column_defs.count;
    if (count > source->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42P10",
                       "table \"%.*s\" has %u columns available but %zu columns specified",
                       KDI_S(source->alias), source->column_count, count);
    for (size_t i = 0; i < alias->columns.count; i++)
        source->columns[i].name = alias->columns.items[i];
    for (size_t i = 0; i < alias->column_defs.count; i++)
        source->columns[i].name = ((const kd_ast_column_def *)alias->column_defs.items[i])->name;
    return KD_OK;
}

kd_status kdi_apply_alias(kd_ctx *ctx, kdi_binder *b, const kd_ast_alias *alias, kd_slice schema,
                          kd_slice default_name, kd_rel *rel, uint32_t visible_count,
                          kdi_names *names)
{
    bool named = alias->name.size_bytes > 0;
    kdi_source source = {.alias = named ? alias->name : default_name,
                         .schema = named ? (kd_slice){NULL, 0} : schema,
                         .column_count = visible_count,
                         .scan = rel->kind == KD_REL_SCAN ? rel : NULL};
    source.columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, visible_count);
    if (source.columns == NULL)
        return KD_NOMEM;
    memcpy(source.columns, rel->columns, visible_count * sizeof *source.columns);
    KD_TRY(alias_columns(ctx, alias, &source));
    for (uint32_t i = 0; i < visible_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, names, source.columns[i]));
    return kdi_names_add_source(ctx, b, names, source);
}

/* --- Tables --- */

static kd_status scan_one(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                          const kd_table_entry *named_by, kd_slice alias, bool with_ref,
                          int position, kd_rel **out)
{
    uint32_t count = named_by->visible_count;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_SCAN, position, count + with_ref);
    uint32_t *positions = KD_NEW_ARRAY(ctx, b->arena, uint32_t, count);
    if (rel == NULL || positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_table_column *wanted = &named_by->columns[i].storage;
        uint32_t at = i;
        if (table != named_by)
            for (at = 0; at < table->visible_count; at++)
                if (kd_slice_equal(table->columns[at].storage.name, wanted->name))
                    break;
        if (at >= table->visible_count)
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "partition \"%.*s\" lacks a column",
                           KDI_S(table->object.name));
        positions[i] = at;
        rel->columns[i] =
            (kd_rel_column){.id = kdi_next_id(b), .type = wanted->type, .name = wanted->name};
    }
    if (with_ref) {
        rel->as.scan.ref_column = kdi_next_id(b);
        rel->columns[count] =
            (kd_rel_column){.id = rel->as.scan.ref_column, .type = kd_type_of(KD_TYPE_INT8)};
    }
    rel->as.scan.table = table;
    rel->as.scan.alias = alias.size_bytes > 0 ? alias : table->object.name;
    rel->as.scan.positions = positions;
    if (table == b->target || (b->target != NULL && table->parent_no != 0 &&
                               table->parent_no == b->target->object.object_no))
        b->reads_target = true;
    *out = rel;
    return KD_OK;
}

/* With references, a partition's rows also say which partition they are of. */
static kd_status scan_partition(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                                const kd_table_entry *parent, kd_slice alias, bool with_ref,
                                int position, kd_rel **out)
{
    if (table->strategy != KD_PARTITION_NONE)
        return kdi_scan_parent(ctx, b, table, parent, alias, with_ref, position, out);
    KD_TRY(scan_one(ctx, b, table, parent, alias, with_ref, position, out));
    if (!with_ref)
        return KD_OK;
    uint32_t count = (*out)->column_count + 1;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i + 1 < count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &(*out)->columns[i], position);
        names[i] = (*out)->columns[i].name;
    }
    exprs[count - 1] = kdi_constant(ctx, b, kd_value_i64(table->object.object_no), -1);
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i] == NULL)
            return KD_NOMEM;
    return kdi_rel_project(ctx, b, *out, exprs, names, count, true, out);
}

/* A balanced tree of UNION ALL, so that a thousand partitions nest ten deep. */
static kd_status union_of(kd_ctx *ctx, kdi_binder *b, kd_rel **rels, uint32_t count, kd_rel **out)
{
    if (count == 1) {
        *out = rels[0];
        return KD_OK;
    }
    kd_rel *left, *right;
    KD_TRY(union_of(ctx, b, rels, count / 2, &left));
    KD_TRY(union_of(ctx, b, rels + count / 2, count - count / 2, &right));
    return kdi_set_rel(ctx, b, KD_SET_UNION, true, left, right, left->position, out);
}

kd_status kdi_scan_parent(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *parent,
                          const kd_table_entry *named_by, kd_slice alias, bool with_ref,
                          int position, kd_rel **out)
{
    const kd_table_entry **partitions;
    uint32_t count;
    KD_TRY(kd_catalog_partitions(ctx, b->arena, b->options->catalog, parent->object.object_no,
                                 &partitions, &count));
    if (count == 0) { /* No partition: no rows, but the columns. */
        kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_VALUES, position,
                                  named_by->visible_count + (with_ref ? 2 : 0));
        if (rel == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < rel->column_count; i++) {
            rel->columns[i].id = kdi_next_id(b);
            rel->columns[i].type = kd_type_of(KD_TYPE_INT8);
            if (i >= named_by->visible_count)
                continue;
            rel->columns[i].type = named_by->columns[i].storage.type;
            rel->columns[i].name = named_by->columns[i].storage.name;
        }
        *out = rel;
        return KD_OK;
    }
    kd_rel **rels = KD_NEW_ARRAY(ctx, b->arena, kd_rel *, count);
    if (rels == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_enter(ctx, b));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(
            scan_partition(ctx, b, partitions[i], named_by, alias, with_ref, position, &rels[i]));
    kdi_leave(b);
    return union_of(ctx, b, rels, count, out);
}

kd_status kdi_scan_table(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                         bool with_ref, int position, kd_rel **out)
{
    if (table->strategy != KD_PARTITION_NONE)
        return kdi_scan_parent(ctx, b, table, table, alias, with_ref, position, out);
    return scan_one(ctx, b, table, table, alias, with_ref, position, out);
}

/* --- Views --- */

static kd_status expand_view(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view, kd_rel **out)
{
    kd_statement statement;
    KD_TRY(kdi_enter(ctx, b));
    KD_TRY(kd_parse_statement(ctx, b->arena, view->query_text, &statement));
    if (!kd_ast_is_query(statement.node))
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "view \"%.*s\" has no query",
                       KDI_S(view->object.name));
    kdi_with *with = b->with;
    int deepest = b->deepest, shallowest = b->shallowest;
    b->with = NULL;
    b->inside_text++;
    KD_TRY(kdi_bind_query(ctx, b, NULL, statement.node, out));
    b->inside_text--;
    b->with = with;
    b->deepest = deepest;
    b->shallowest = shallowest;
    if ((*out)->column_count < view->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42P10", "view \"%.*s\" no longer has its columns",
                       KDI_S(view->object.name));
    kdi_leave(b);
    return KD_OK;
}

static kd_status bind_view(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view,
                           const kd_ast_table_ref *ast, kdi_names *names, kd_rel **out)
{
    KD_TRY(expand_view(ctx, b, view, out));
    kd_rel named = **out;
    named.kind = KD_REL_PROJECT; /* Only a carrier of names. */
    named.columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, view->column_count);
    if (named.columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < view->column_count; i++) {
        named.columns[i] = (*out)->columns[i];
        named.columns[i].name = view->column_names[i];
    }
    KD_TRY(kdi_apply_alias(ctx, b, &ast->alias, ast->name.schema, view->object.name, &named,
                           view->column_count, names));
    names->sources[names->source_count - 1].row_name = view->object.name;
    return KD_OK;
}

/* A sequence as a relation of one row: a view over what the engine's functions tell. */
static kd_status bind_sequence(kd_ctx *ctx, kdi_binder *b, const kd_object *sequence,
                               const kd_ast_table_ref *ast, kdi_names *names, kd_rel **out)
{
    static const kd_slice columns[] = {{"last_value", 10}, {"log_cnt", 7}, {"is_called", 9}};
    char *text = kd_format_text(ctx, b->arena,
                                "SELECT pg_catalog.kade_sequence_value(%u), 0::bigint, "
                                "pg_catalog.kade_sequence_is_called(%u)",
                                sequence->object_no, sequence->object_no);
    if (text == NULL)
        return KD_NOMEM;
    kd_view_entry view = {.object = *sequence,
                          .query_text = kd_slice_of(text),
                          .column_count = sizeof columns / sizeof *columns,
                          .column_names = columns};
    return bind_view(ctx, b, &view, ast, names, out);
}

/* --- Items --- */

static kd_status bind_virtual(kd_ctx *ctx, kdi_binder *b, const kd_virtual_table *table,
                              int position, kd_rel **out)
{
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_VIRTUAL, position, table->column_count);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.virtual_table.table = table;
    for (uint32_t i = 0; i < table->column_count; i++)
        rel->columns[i] = (kd_rel_column){.id = kdi_next_id(b),
                                          .type = table->column_types[i],
                                          .name = kd_slice_of(table->column_names[i])};
    *out = rel;
    return KD_OK;
}

static kd_status bind_file(kd_ctx *ctx, kdi_binder *b, const kd_ast_table_ref *ast,
                           kdi_names *names, kd_rel **out)
{
    static const struct {
        const char *ending, *function;
    } readers[] = {{".parquet", "read_parquet"},
                   {".ndjson", "read_ndjson"},
                   {".jsonl", "read_ndjson"},
                   {".json", "read_json"},
                   {".arrow", "read_arrow"}};
    kd_slice path = ast->name.name;
    kd_slice function_name = KD_SLICE("read_csv");
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        kd_slice ending = kd_slice_of(readers[i].ending);
        if (path.size_bytes > ending.size_bytes &&
            memcmp(path.data + path.size_bytes - ending.size_bytes, ending.data,
                   ending.size_bytes) == 0)
            function_name = kd_slice_of(readers[i].function);
    }
    const kd_table_function *function;
    kd_type text = kd_type_of(KD_TYPE_TEXT), wanted;
    if (!kd_registry_find_table_function(b->registry, function_name, &text, 1, &function, &wanted))
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "files like \"%.*s\" cannot be read",
                              KDI_S(path)));
    kd_expr *argument = kdi_constant(ctx, b, kd_value_text(path), ast->node.position);
    kd_expr **arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, 1);
    if (argument == NULL || arguments == NULL)
        return KD_NOMEM;
    arguments[0] = argument;
    KD_TRY(kdi_table_function_rel(ctx, b, function, arguments, 1, NULL, ast->node.position, out));
    return kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, path, *out,
                           (*out)->column_count, names);
}

static kd_status not_sampled(kd_ctx *ctx, kdi_binder *b, const kd_ast_table_ref *ast)
{
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                          "TABLESAMPLE clause can only be applied to tables and materialized "
                          "views"));
}

static kd_status bind_table_ref(kd_ctx *ctx, kdi_binder *b, const kd_ast_table_ref *ast,
                                kdi_names *names, kd_rel **out)
{
    if (ast->is_file)
        return bind_file(ctx, b, ast, names, out);
    kdi_with *with = ast->name.schema.size_bytes == 0 ? kdi_find_with(b, ast->name.name) : NULL;
    bool sampled = ast->sample.method.position >= 0 && ast->sample.method.name.size_bytes > 0;
    if (with != NULL) {
        if (sampled)
            return not_sampled(ctx, b, ast);
        uint32_t hidden = with->working ? with->hidden_count : 0;
        KD_TRY(kdi_use_with(ctx, b, with, ast->node.position, out));
        KD_TRY(kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, ast->name.name, *out,
                               (*out)->column_count - hidden, names));
        names->sources[names->source_count - 1].is_working = with->working;
        return KD_OK;
    }
    const kd_object *object;
    const kd_virtual_table *system_view;
    KD_TRY(kdi_find_relation(ctx, b, &ast->name, false, &object, &system_view));
    bool is_table = system_view == NULL && object->kind == KD_OBJECT_TABLE;
    if (sampled && !is_table)
        return not_sampled(ctx, b, ast);
    if (system_view != NULL) {
        KD_TRY(bind_virtual(ctx, b, system_view, ast->node.position, out));
        return kdi_apply_alias(ctx, b, &ast->alias, ast->name.schema, ast->name.name, *out,
                               system_view->column_count, names);
    }
    if (b->inside_text == 0)
        KD_TRY(kdi_authorize(ctx, b, object, 'r'));
    KD_TRY(kdi_note_object(ctx, b, &ast->node, object));
    if (object->kind == KD_OBJECT_VIEW)
        return bind_view(ctx, b, (const kd_view_entry *)object, ast, names, out);
    if (object->kind == KD_OBJECT_SEQUENCE)
        return bind_sequence(ctx, b, object, ast, names, out);
    if (!is_table)
        return kdi_at(ctx, b, ast->name.position,
                      KD_FAIL(ctx, KD_INVALID, "42809", "cannot open relation \"%.*s\"",
                              KDI_S(ast->name.name)));
    const kd_table_entry *table = (const kd_table_entry *)object;
    if (table->query_text.size_bytes > 0 && !table->is_populated && b->inside_text == 0) {
        KD_FAIL(ctx, KD_INVALID, "55000", "materialized view \"%.*s\" has not been populated",
                KDI_S(ast->name.name));
        kd_error_set_hint(ctx, "Use the REFRESH MATERIALIZED VIEW command.");
        return KD_INVALID;
    }
    bool with_ref = sampled || (b->wants_refs && table->strategy == KD_PARTITION_NONE);
    KD_TRY(kdi_scan_table(ctx, b, table, ast->alias.name, with_ref, ast->node.position, out));
    if (sampled)
        KD_TRY(kdi_sample_table(ctx, b, &ast->sample, &(*out)->columns[table->visible_count], out));
    /* schema.table.column names the table also where FROM found it by the search path. */
    const kd_object *schema = kd_catalog_get(b->options->catalog, object->schema_no);
    KD_TRY(kdi_apply_alias(ctx, b, &ast->alias, schema == NULL ? ast->name.schema : schema->name,
                           ast->name.name, *out, table->visible_count, names));
    names->sources[names->source_count - 1].row_object = object->object_no;
    names->sources[names->source_count - 1].is_table = true;
    return KD_OK;
}

static kd_status bind_table_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                  const kd_ast_table_query *ast, kdi_names *names, kd_rel **out)
{
    kdi_scope *outer = ast->lateral ? scope : kdi_beyond_lateral(scope);
    KD_TRY(kdi_bind_query(ctx, b, outer, ast->query, out));
    if (ast->single_column && (*out)->column_count != 1)
        return kdi_at(ctx, b, ast->query->position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "subquery must return only one column"));
    return kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, (kd_slice){NULL, 0}, *out,
                           (*out)->column_count, names);
}

static kd_status bind_item(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           kdi_names *names, kd_rel **out)
{
    switch (node->kind) {
    case KD_AST_TABLE_REF:
        return bind_table_ref(ctx, b, (const kd_ast_table_ref *)node, names, out);
    case KD_AST_TABLE_QUERY:
        return bind_table_query(ctx, b, scope, (const kd_ast_table_query *)node, names, out);
    case KD_AST_TABLE_CALL:
        return kdi_bind_table_call(ctx, b, scope, (const kd_ast_table_call *)node, names, out);
    case KD_AST_JOIN:
        return kdi_bind_join(ctx, b, scope, (const kd_ast_join *)node, names, out);
    default:
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "unexpected item in FROM");
    }
}

kd_status kdi_bind_from_item(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kdi_names *names, kd_rel **out)
{
    *out = NULL;
    KD_TRY(kdi_enter(ctx, b));
    kd_status status = bind_item(ctx, b, scope, node, names, out);
    kdi_leave(b);
    if (status != KD_OK)
        return kdi_at(ctx, b, node->position, status);
    if (node->kind != KD_AST_JOIN)
        KD_TRY(kdi_note_item(ctx, b, node, &names->sources[names->source_count - 1]));
    for (size_t i = 0; i < names->source_count; i++)
        if (names->sources[i].rel == NULL)
            names->sources[i].rel = *out;
    return KD_OK;
}

kd_status kdi_bind_from(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_list *from,
                        kdi_names *names, kd_rel **out)
{
    *out = NULL;
    for (size_t i = 0; i < from->count; i++) {
        kdi_scope lateral = {.outer = outer,
                             .names = *names,
                             .depth = outer == NULL ? 0 : outer->depth + 1,
                             .is_lateral = true};
        kdi_names item = {0};
        kd_rel *rel;
        KD_TRY(kdi_bind_from_item(ctx, b, &lateral, from->items[i], &item, &rel));
        kd_status status = kdi_names_add(ctx, b, names, &item);
        if (status != KD_OK)
            return kdi_at(ctx, b, from->items[i]->position, status);
        if (*out == NULL)
            *out = rel;
        else
            KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_INNER, *out, rel, NULL, out));
    }
    if (*out == NULL)
        *out = kdi_rel_one_row(ctx, b);
    return *out == NULL ? KD_NOMEM : KD_OK;
}
