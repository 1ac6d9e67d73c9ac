/*
 * Schemas, views, comments, renames and changes of schema.
 */
#include "engine/catalog_text.h"
#include "engine/define_internal.h"
#include "engine/define_role.h"
#include "engine/view_text.h"

kd_status kdi_create_schema(kd_ctx *ctx, kd_run *run, const kd_ast_create_schema *ast)
{
    kd_object schema = {.kind = KD_OBJECT_SCHEMA, .name = ast->name, .comment = {"", 0}};
    kdi_set_tag(run, "CREATE SCHEMA");
    if (schema.name.size_bytes == 0)
        schema.name = ast->owner;
    if (kd_catalog_find_schema(run->catalog, schema.name) != NULL) {
        if (!ast->if_not_exists)
            return KD_FAIL(ctx, KD_INVALID, "42P06", "schema \"%.*s\" already exists",
                           (int)schema.name.size_bytes, schema.name.data);
        kdi_session_notice(run->session, "NOTICE", "42P06",
                           "schema \"%.*s\" already exists, skipping", (int)schema.name.size_bytes,
                           schema.name.data);
        return KD_OK;
    }
    if (ast->elements.count > 0)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "write the schema's objects as statements of their own");
    KD_TRY(kd_catalog_next_object_no(ctx, run->session->database->catalog, &schema.object_no));
    return kdi_put(ctx, run, &schema);
}

static kd_status view_columns(kd_ctx *ctx, kd_run *run, const kd_prepared *query,
                              const kd_ast_names *names, kd_view_entry *entry)
{
    kd_slice *column_names = KD_NEW_ARRAY(ctx, run->arena, kd_slice, query->column_count);
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, query->column_count);
    if (column_names == NULL || types == NULL)
        return KD_NOMEM;
    if (names->count > query->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "CREATE VIEW specifies more column names than columns");
    for (uint32_t i = 0; i < query->column_count; i++) {
        kd_slice name = i < names->count ? names->items[i] : query->columns[i].name;
        KD_TRY(kdi_copy_name(ctx, run->arena, name, &column_names[i]));
        types[i] = query->columns[i].type;
        KD_TRY(kdi_check_column_type(ctx, name, types[i]));
        for (uint32_t k = 0; k < i; k++)
            if (kd_slice_equal(column_names[i], column_names[k]))
                return KD_FAIL(ctx, KD_INVALID, "42701", "column \"%.*s\" specified more than once",
                               (int)name.size_bytes, name.data);
    }
    entry->column_count = query->column_count;
    entry->column_names = column_names;
    entry->column_types = types;
    return KD_OK;
}

/* What the bound query reads: tables by their scans. Views that it was written over are found by
 * name when they are dropped. */
static kd_status collect_tables(kd_ctx *ctx, kd_run *run, const kd_rel *rel, uint32_t depth,
                                uint32_t **objects, uint32_t *count, size_t *capacity)
{
    if (rel == NULL || depth > 500)
        return KD_OK;
    if (rel->kind == KD_REL_SCAN) {
        uint32_t *added;
        KD_TRY(KD_PUSH(ctx, run->arena, *objects, *count, *capacity, &added));
        *added = rel->as.scan.table->object.object_no;
    }
    if (rel->kind == KD_REL_CTE)
        KD_TRY(
            collect_tables(ctx, run, rel->as.cte.cte->query, depth + 1, objects, count, capacity));
    KD_TRY(collect_tables(ctx, run, rel->inputs[0], depth + 1, objects, count, capacity));
    return collect_tables(ctx, run, rel->inputs[1], depth + 1, objects, count, capacity);
}

kd_status kdi_query_depends(kd_ctx *ctx, kd_run *run, const kd_prepared *query,
                            const uint32_t **out_objects, uint32_t *out_count)
{
    uint32_t *objects = NULL;
    size_t capacity = 0;
    *out_count = 0;
    KD_TRY(collect_tables(ctx, run, query->bound->query, 0, &objects, out_count, &capacity));
    *out_objects = objects;
    return KD_OK;
}

/* CREATE OR REPLACE may add columns at the end, nothing else. */
static kd_status check_replacement(kd_ctx *ctx, const kd_view_entry *old, const kd_view_entry *new)
{
    if (new->column_count < old->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42P16", "cannot drop columns from view");
    for (uint32_t i = 0; i < old->column_count; i++) {
        if (!kd_slice_equal(old->column_names[i], new->column_names[i]))
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "cannot change name of view column \"%.*s\" to \"%.*s\"",
                           (int)old->column_names[i].size_bytes, old->column_names[i].data,
                           (int)new->column_names[i].size_bytes, new->column_names[i].data);
        if (!kd_type_same(old->column_types[i], new->column_types[i]))
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "cannot change data type of view column \"%.*s\"",
                           (int)old->column_names[i].size_bytes, old->column_names[i].data);
    }
    return KD_OK;
}

/* Whether a statement binds as the catalog is now; the attempt leaves no trace in the session. What
 * has nothing to do with the statement, such as a failed allocation, fails here. */
static kd_status text_binds(kd_ctx *ctx, kd_run *run, kd_slice text, bool *out_binds)
{
    kd_session *session = run->session;
    kd_session_state state = session->state;
    kd_ctx quiet = {.world = session->ctx.world, .cancelled = session->ctx.cancelled};
    kd_prepared *query;
    kd_error_clear(&quiet);
    kd_status status = kd_prepared_create(&quiet, session, text, NULL, 0, &query);
    session->state = state;
    kd_prepared_destroy(query);
    *out_binds = status == KD_OK;
    if (status == KD_OK || status == KD_INVALID || status == KD_UNSUPPORTED)
        return KD_OK;
    ctx->error = quiet.error;
    return status;
}

/* WITH CHECK OPTION, or the option check_option. */
static kd_status check_option(kd_ctx *ctx, const kd_ast_create_view *ast, kd_view_entry *entry)
{
    entry->check_option = ast->check_local      ? KD_CHECK_OPTION_LOCAL
                          : ast->check_cascaded ? KD_CHECK_OPTION_CASCADED
                                                : KD_CHECK_OPTION_NONE;
    for (size_t i = 0; i < ast->options.count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)ast->options.items[i];
        if (!kd_slice_equal(option->name, KD_SLICE("check_option")))
            continue;
        kd_slice value = option->value != NULL && option->value->kind == KD_AST_CONSTANT
                             ? ((const kd_ast_constant *)option->value)->text
                         : option->value != NULL && option->value->kind == KD_AST_COLUMN
                             ? ((const kd_ast_column *)option->value)->parts[0]
                             : (kd_slice){"", 0};
        if (kd_slice_equal(value, KD_SLICE("local")))
            entry->check_option = KD_CHECK_OPTION_LOCAL;
        else if (kd_slice_equal(value, KD_SLICE("cascaded")))
            entry->check_option = KD_CHECK_OPTION_CASCADED;
        else
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "invalid value for enum option \"check_option\": %.*s",
                           (int)value.size_bytes, value.data);
    }
    return KD_OK;
}

/* Whether rows can be written through the view: a DELETE on it binds. */
static kd_status check_updatable(kd_ctx *ctx, kd_run *run, const kd_object *view)
{
    kd_buffer text = kd_buffer_in(run->arena);
    const kd_object *schema = kd_catalog_get(run->catalog, view->schema_no);
    KD_TRY(kd_buffer_append_format(ctx, &text, "DELETE FROM \"%.*s\".\"%.*s\"",
                                   (int)schema->name.size_bytes, schema->name.data,
                                   (int)view->name.size_bytes, view->name.data));
    bool binds;
    KD_TRY(text_binds(ctx, run, kd_buffer_slice(&text), &binds));
    if (binds)
        return KD_OK;
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                   "WITH CHECK OPTION is supported only on automatically updatable views");
}

static kd_status append_names(kd_ctx *ctx, const kd_ast_names *names, kd_buffer *out)
{
    for (size_t i = 0; i < names->count; i++) {
        KD_TRY(kd_buffer_append_text(ctx, out, i == 0 ? "" : ", "));
        KD_TRY(kd_name_append(ctx, names->items[i], out));
    }
    return KD_OK;
}

/* CREATE RECURSIVE VIEW v (n) AS q: WITH RECURSIVE v (n) AS (q) SELECT n FROM v. */
static kd_status view_text(kd_ctx *ctx, kd_run *run, const kd_ast_create_view *ast,
                           kd_slice *out_text)
{
    KD_TRY(kdi_node_text(ctx, run, ast->query, out_text));
    if (!ast->recursive)
        return KD_OK;
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_buffer_append_text(ctx, &text, "WITH RECURSIVE "));
    KD_TRY(kd_name_append(ctx, ast->name.name, &text));
    KD_TRY(kd_buffer_append_text(ctx, &text, " ("));
    KD_TRY(append_names(ctx, &ast->columns, &text));
    KD_TRY(kd_buffer_append_text(ctx, &text, ") AS ("));
    KD_TRY(kd_buffer_append_slice(ctx, &text, *out_text));
    KD_TRY(kd_buffer_append_text(ctx, &text, ") SELECT "));
    KD_TRY(append_names(ctx, &ast->columns, &text));
    KD_TRY(kd_buffer_append_text(ctx, &text, " FROM "));
    KD_TRY(kd_name_append(ctx, ast->name.name, &text));
    *out_text = kd_buffer_slice(&text);
    return KD_OK;
}

kd_status kdi_create_view(kd_ctx *ctx, kd_run *run, const kd_ast_create_view *ast)
{
    kd_status status = KD_OK;
    bool exists;
    kd_prepared *query = NULL;
    kd_view_entry entry = {
        .object = {.kind = KD_OBJECT_VIEW, .name = ast->name.name, .comment = {"", 0}}};
    kdi_set_tag(run, "CREATE VIEW");
    KD_TRY_OUT(kdi_target_schema(ctx, run, &ast->name, &entry.object.schema_no));
    const kd_object *old =
        kd_catalog_find_relation(run->catalog, entry.object.schema_no, ast->name.name);
    bool replaces = ast->or_replace && old != NULL && old->kind == KD_OBJECT_VIEW;
    if (!replaces)
        KD_TRY_OUT(kdi_check_free(ctx, run, entry.object.schema_no, ast->name.name, KD_OBJECT_VIEW,
                                  ast->if_not_exists, &exists));
    if (!replaces && exists)
        return KD_OK;
    KD_TRY_OUT(view_text(ctx, run, ast, &entry.query_text));
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, entry.query_text, NULL, 0, &query));
    if (query->bound->modifying_cte_count > 0) {
        status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                         "views must not contain data-modifying statements in WITH");
        goto out;
    }
    KD_TRY_OUT(view_columns(ctx, run, query, &ast->columns, &entry));
    KD_TRY_OUT(kdi_query_depends(ctx, run, query, &entry.depends_on, &entry.depends_count));
    KD_TRY_OUT(check_option(ctx, ast, &entry));
    KD_TRY_OUT(kdi_view_text_to_keep(ctx, run, entry.query_text, &entry.query_text));
    if (replaces) {
        KD_TRY_OUT(check_replacement(ctx, (const kd_view_entry *)old, &entry));
        entry.object.object_no = old->object_no;
    } else {
        KD_TRY_OUT(kd_catalog_next_object_no(ctx, run->session->database->catalog,
                                             &entry.object.object_no));
    }
    KD_TRY_OUT(kdi_put(ctx, run, &entry.object));
    if (entry.check_option != KD_CHECK_OPTION_NONE)
        KD_TRY_OUT(check_updatable(ctx, run, &entry.object));
out:
    kd_prepared_destroy(query);
    return status;
}

/* --- Views that depend
 * ---------------------------------------------------------------------------------- */

typedef struct view_list {
    kd_ctx *ctx;
    kd_arena *arena;
    uint32_t *numbers;
    uint32_t count;
    size_t capacity;
    kd_status status;
} view_list;

/* The query of a view, materialized or not; else empty. */
static kd_slice query_of(const kd_object *object)
{
    kd_slice query;
    if (object->kind == KD_OBJECT_VIEW)
        return ((const kd_view_entry *)object)->query_text;
    (void)kdi_materialized_query(object, &query);
    return query;
}

static void collect_view(void *object, const kd_object *entry)
{
    view_list *list = object;
    uint32_t *added;
    if (query_of(entry).size_bytes == 0 || list->status != KD_OK)
        return;
    list->status =
        KD_PUSH(list->ctx, list->arena, list->numbers, list->count, list->capacity, &added);
    if (list->status == KD_OK)
        *added = entry->object_no;
}

kd_status kdi_views_after(kd_ctx *ctx, kd_run *run, const kd_object *changed, bool cascade)
{
    view_list list = {.ctx = ctx, .arena = run->arena};
    kd_catalog_visit(run->catalog, collect_view, &list);
    KD_TRY(list.status);
    for (uint32_t i = 0; i < list.count; i++) {
        const kd_object *object = kd_catalog_get(run->catalog, list.numbers[i]);
        bool binds = true;
        if (object != NULL)
            KD_TRY(text_binds(ctx, run, query_of(object), &binds));
        if (binds)
            continue;
        if (cascade) {
            KD_TRY(kdi_drop_object(ctx, run, object->object_no, true));
            continue;
        }
        kd_status status = KD_FAIL(ctx, KD_INVALID, "2BP01",
                                   "cannot change %.*s because other objects depend on it",
                                   (int)changed->name.size_bytes, changed->name.data);
        kd_error_set_detail(ctx, "view %.*s depends on %.*s.", (int)object->name.size_bytes,
                            object->name.data, (int)changed->name.size_bytes, changed->name.data);
        kd_error_set_hint(ctx, "Use CASCADE to drop the dependent objects too.");
        return status;
    }
    return KD_OK;
}

/* --- Names and comments
 * ------------------------------------------------------------------------------- */

/* Copies an entry of any kind to `arena`, so that its head can be changed. */
static kd_status entry_copy(kd_ctx *ctx, kd_arena *arena, const kd_object *entry,
                            kd_object **out_copy)
{
    size_t size = sizeof(kd_object);
    if (entry->kind == KD_OBJECT_TABLE)
        size = sizeof(kd_table_entry);
    else if (entry->kind == KD_OBJECT_VIEW)
        size = sizeof(kd_view_entry);
    else if (entry->kind == KD_OBJECT_SEQUENCE)
        size = sizeof(kd_sequence_entry);
    else if (entry->kind == KD_OBJECT_ENUM)
        size = sizeof(kd_enum_entry);
    else if (entry->kind == KD_OBJECT_DOMAIN)
        size = sizeof(kd_domain_entry);
    else if (entry->kind == KD_OBJECT_ROUTINE)
        size = sizeof(kd_routine_entry);
    else if (entry->kind == KD_OBJECT_COMPOSITE)
        size = sizeof(kd_composite_entry);
    *out_copy = kd_alloc(ctx, arena, size);
    if (*out_copy == NULL)
        return KD_NOMEM;
    memcpy(*out_copy, entry, size);
    return KD_OK;
}

static bool names_routine(kd_ast_object_kind kind)
{
    return kind == KD_AST_OBJECT_FUNCTION || kind == KD_AST_OBJECT_PROCEDURE ||
           kind == KD_AST_OBJECT_ROUTINE;
}

static kd_status find_object(kd_ctx *ctx, kd_run *run, kd_ast_object_kind kind,
                             const kd_ast_name *name, bool missing_ok, const kd_object **out_object)
{
    kd_bind_options options;
    *out_object = NULL;
    if (kind == KD_AST_OBJECT_SCHEMA) {
        *out_object = kd_catalog_find_schema(run->catalog, name->name);
        if (*out_object == NULL && !missing_ok)
            return KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                           (int)name->name.size_bytes, name->name.data);
        return KD_OK;
    }
    if (kind == KD_AST_OBJECT_TYPE || kind == KD_AST_OBJECT_DOMAIN) {
        uint32_t schema_no;
        KD_TRY(kdi_target_schema(ctx, run, name, &schema_no));
        *out_object = kd_catalog_find_type(run->catalog, schema_no, name->name);
        if (*out_object == NULL && !missing_ok)
            return KD_FAIL(ctx, KD_INVALID, "42704", "type \"%.*s\" does not exist",
                           (int)name->name.size_bytes, name->name.data);
        return KD_OK;
    }
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    return kd_bind_relation(ctx, &options, name, missing_ok, out_object);
}

/* Indexes live in their table's entry. */
static kd_status change_index(kd_ctx *ctx, kd_run *run, const kd_object *object, kd_slice new_name,
                              const kd_slice *comment)
{
    const kd_table_index *index;
    const kd_table_entry *table = kd_catalog_index_table(run->catalog, object->object_no, &index);
    kdi_draft *draft;
    if (comment == NULL && table->table_no != 0)
        KD_TRY(
            kd_txn_lock_table(ctx, run->session->txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        kd_table_index *own = &draft->indexes[i];
        if (own->object.object_no != object->object_no)
            continue;
        if (comment != NULL)
            own->object.comment = *comment;
        else
            own->object.name = own->storage.name = new_name;
    }
    return kdi_draft_put(ctx, draft);
}

/* Checks, generated columns and predicates are kept as text. */
static kd_status rename_in_texts(kd_ctx *ctx, kdi_draft *draft, kd_slice from, kd_slice to)
{
    for (uint32_t i = 0; i < draft->entry.check_count; i++)
        KD_TRY(kdi_replace_name(ctx, draft->arena, draft->checks[i].expression_text, from, to,
                                &draft->checks[i].expression_text));
    for (uint32_t i = 0; i < draft->entry.column_count; i++)
        if (draft->columns[i].generated)
            KD_TRY(kdi_replace_name(ctx, draft->arena, draft->columns[i].default_text, from, to,
                                    &draft->columns[i].default_text));
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        KD_TRY(kdi_replace_name(ctx, draft->arena, draft->indexes[i].predicate_text, from, to,
                                &draft->indexes[i].predicate_text));
    return KD_OK;
}

/* In the table and in its partitions, whose columns go by the parent's names. */
static kd_status rename_column_of(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                                  const kd_ast_rename *ast)
{
    kdi_draft *draft;
    const kd_table_entry **partitions;
    uint32_t count;
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    int position = kdi_draft_find_column(draft, ast->member);
    if (position < 0)
        return KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" does not exist",
                       (int)ast->member.size_bytes, ast->member.data);
    KD_TRY(kdi_check_column_name(ctx, ast->new_name));
    if (kdi_draft_find_column(draft, ast->new_name) >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42701",
                       "column \"%.*s\" of relation \"%.*s\" already exists",
                       (int)ast->new_name.size_bytes, ast->new_name.data,
                       (int)table->object.name.size_bytes, table->object.name.data);
    draft->columns[position].storage.name = ast->new_name;
    KD_TRY(rename_in_texts(ctx, draft, ast->member, ast->new_name));
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        kd_table_index *index = &draft->indexes[i];
        kd_slice *texts = KD_NEW_ARRAY(ctx, run->arena, kd_slice, index->storage.column_count);
        if (texts == NULL)
            return KD_NOMEM;
        for (uint32_t c = 0; c < index->storage.column_count; c++)
            texts[c] = kd_slice_equal(index->key_texts[c], ast->member) ? ast->new_name
                                                                        : index->key_texts[c];
        index->key_texts = texts;
        KD_TRY(kdi_columns_text(ctx, run->arena, texts, index->storage.column_count,
                                &index->storage.columns_text));
    }
    KD_TRY(kdi_draft_put(ctx, draft));
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, table->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i]->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, partitions[i]->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(rename_column_of(ctx, run, partitions[i], ast));
    }
    return KD_OK;
}

static kd_status rename_column(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast)
{
    const kd_table_entry *table;
    KD_TRY(kdi_table_for_change(ctx, run, &ast->name, ast->if_exists, &table));
    if (table == NULL)
        return KD_OK;
    kdi_renamed_views *views;
    if (table->parent_no != 0)
        return KD_FAIL(ctx, KD_INVALID, "42P16", "cannot rename inherited column \"%.*s\"",
                       (int)ast->member.size_bytes, ast->member.data);
    KD_TRY(kdi_views_before_rename(ctx, run, table->object.name, &views));
    KD_TRY(rename_column_of(ctx, run, table, ast));
    KD_TRY(kdi_views_after_rename(ctx, run, views));
    KD_TRY(kdi_rewrite_row_users(ctx, run, table->object.object_no));
    return kdi_views_after(ctx, run, &table->object, false);
}

/* The checks and foreign keys of that name; a key's index in a partition has a name of its own. */
static bool rename_checks(kdi_draft *draft, const kd_ast_rename *ast)
{
    bool found = false;
    for (uint32_t i = 0; i < draft->entry.check_count; i++)
        if (kd_slice_equal(draft->checks[i].name, ast->member)) {
            draft->checks[i].name = ast->new_name;
            found = true;
        }
    for (uint32_t i = 0; i < draft->entry.foreign_count; i++)
        if (kd_slice_equal(draft->foreign_keys[i].name, ast->member)) {
            draft->foreign_keys[i].name = ast->new_name;
            found = true;
        }
    return found;
}

static kd_status rename_checks_below(kd_ctx *ctx, kd_run *run, uint32_t parent_no,
                                     const kd_ast_rename *ast)
{
    const kd_table_entry **partitions;
    uint32_t count;
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, parent_no, &partitions, &count));
    for (uint32_t i = 0; i < count; i++) {
        kdi_draft *draft;
        if (partitions[i]->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, partitions[i]->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(kdi_draft_open(ctx, run, partitions[i], &draft));
        if (rename_checks(draft, ast))
            KD_TRY(kdi_draft_put(ctx, draft));
        KD_TRY(rename_checks_below(ctx, run, partitions[i]->object.object_no, ast));
    }
    return KD_OK;
}

static kd_status rename_constraint(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast)
{
    const kd_table_entry *table;
    kdi_draft *draft;
    KD_TRY(kdi_table_for_change(ctx, run, &ast->name, false, &table));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    bool is_check = rename_checks(draft, ast), found = is_check;
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        if (kd_slice_equal(draft->indexes[i].object.name, ast->member)) {
            draft->indexes[i].object.name = draft->indexes[i].storage.name = ast->new_name;
            found = true;
        }
    if (!found)
        return KD_FAIL(ctx, KD_INVALID, "42704",
                       "constraint \"%.*s\" for table \"%.*s\" does not exist",
                       (int)ast->member.size_bytes, ast->member.data,
                       (int)table->object.name.size_bytes, table->object.name.data);
    KD_TRY(kdi_draft_put(ctx, draft));
    return is_check ? rename_checks_below(ctx, run, table->object.object_no, ast) : KD_OK;
}

kd_status kdi_rename(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast)
{
    const kd_object *object;
    kd_object *copy;
    bool exists;
    if (ast->object == KD_AST_OBJECT_ROLE)
        return kdi_rename_role(ctx, run, ast);
    kdi_set_tag(run, ast->object == KD_AST_OBJECT_SCHEMA ? "ALTER SCHEMA" : "ALTER TABLE");
    if (ast->object == KD_AST_OBJECT_COLUMN)
        return ast->relation == KD_AST_OBJECT_TYPE ? kdi_rename_attribute(ctx, run, ast)
                                                   : rename_column(ctx, run, ast);
    if (ast->object == KD_AST_OBJECT_CONSTRAINT)
        return rename_constraint(ctx, run, ast);
    if (names_routine(ast->object)) {
        const kd_routine_entry *routine;
        kdi_set_tag(run, "ALTER FUNCTION");
        KD_TRY(kdi_named_routine(ctx, run, ast->object, ast->target, false, &routine));
        KD_TRY(kdi_move_routine(ctx, run, routine, ast->new_name, routine->object.schema_no));
        return kdi_views_after(ctx, run, &routine->object, false);
    }
    KD_TRY(find_object(ctx, run, ast->object, &ast->name, ast->if_exists, &object));
    if (object == NULL)
        return KD_OK;
    if (object->kind == KD_OBJECT_SCHEMA &&
        kd_catalog_find_schema(run->catalog, ast->new_name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P06", "schema \"%.*s\" already exists",
                       (int)ast->new_name.size_bytes, ast->new_name.data);
    if (object->kind != KD_OBJECT_SCHEMA)
        KD_TRY(kdi_check_free(ctx, run, object->schema_no, ast->new_name, object->kind, false,
                              &exists));
    if (object->kind == KD_OBJECT_INDEX)
        return change_index(ctx, run, object, ast->new_name, NULL);
    kdi_renamed_views *views;
    KD_TRY(kdi_views_before_rename(ctx, run, object->name, &views));
    KD_TRY(entry_copy(ctx, run->arena, object, &copy));
    copy->name = ast->new_name;
    KD_TRY(kdi_put(ctx, run, copy));
    return kdi_views_after_rename(ctx, run, views);
}

kd_status kdi_set_schema(kd_ctx *ctx, kd_run *run, const kd_ast_alter_set_schema *ast)
{
    const kd_object *object, *schema = kd_catalog_find_schema(run->catalog, ast->schema);
    kd_object *copy;
    bool exists;
    kdi_set_tag(run, "ALTER TABLE");
    if (schema == NULL)
        return KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                       (int)ast->schema.size_bytes, ast->schema.data);
    if (names_routine(ast->object)) {
        const kd_routine_entry *routine;
        kdi_set_tag(run, "ALTER FUNCTION");
        KD_TRY(kdi_named_routine(ctx, run, ast->object, ast->target, false, &routine));
        return kdi_move_routine(ctx, run, routine, routine->object.name, schema->object_no);
    }
    KD_TRY(find_object(ctx, run, ast->object, &ast->target->name, ast->if_exists, &object));
    if (object == NULL)
        return KD_OK;
    KD_TRY(kdi_check_free(ctx, run, schema->object_no, object->name, object->kind, false, &exists));
    kdi_renamed_views *views;
    KD_TRY(kdi_views_before_rename(ctx, run, object->name, &views));
    if (object->kind == KD_OBJECT_TABLE) {
        kdi_draft *draft;
        KD_TRY(kdi_draft_open(ctx, run, (const kd_table_entry *)object, &draft));
        draft->entry.object.schema_no = schema->object_no;
        for (uint32_t i = 0; i < draft->entry.index_count; i++)
            draft->indexes[i].object.schema_no = schema->object_no;
        KD_TRY(kdi_draft_put(ctx, draft));
        return kdi_views_after_rename(ctx, run, views);
    }
    KD_TRY(entry_copy(ctx, run->arena, object, &copy));
    copy->schema_no = schema->object_no;
    KD_TRY(kdi_put(ctx, run, copy));
    return kdi_views_after_rename(ctx, run, views);
}

/* There is one role, and it owns everything: the object only has to be there. */
kd_status kdi_alter_owner(kd_ctx *ctx, kd_run *run, const kd_ast_alter_owner *ast)
{
    const kd_object *object;
    const kd_routine_entry *routine;
    kdi_set_tag(run, names_routine(ast->object) ? "ALTER FUNCTION" : "ALTER TABLE");
    if (names_routine(ast->object))
        return kdi_named_routine(ctx, run, ast->object, ast->target, false, &routine);
    return find_object(ctx, run, ast->object, &ast->target->name, false, &object);
}

static kd_status comment_on_column(kd_ctx *ctx, kd_run *run, const kd_ast_comment *ast,
                                   kd_slice text)
{
    const kd_table_entry *table;
    kdi_draft *draft;
    const kd_object *type = kdi_find_type(run, &ast->target->name);
    if (type != NULL && type->kind == KD_OBJECT_COMPOSITE)
        return kdi_comment_on_attribute(ctx, run, type, ast->target->member, text);
    KD_TRY(kdi_table_for_change(ctx, run, &ast->target->name, false, &table));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    int position = kdi_draft_find_column(draft, ast->target->member);
    if (position < 0)
        return KD_FAIL(ctx, KD_INVALID, "42703",
                       "column \"%.*s\" of relation \"%.*s\" does not exist",
                       (int)ast->target->member.size_bytes, ast->target->member.data,
                       (int)table->object.name.size_bytes, table->object.name.data);
    draft->columns[position].comment = text;
    return kdi_draft_put(ctx, draft);
}

kd_status kdi_comment(kd_ctx *ctx, kd_run *run, const kd_ast_comment *ast)
{
    const kd_object *object;
    kd_object *copy;
    kd_slice text = ast->is_null ? (kd_slice){"", 0} : ast->text;
    kdi_set_tag(run, "COMMENT");
    if (ast->object == KD_AST_OBJECT_COLUMN)
        return comment_on_column(ctx, run, ast, text);
    if (ast->object == KD_AST_OBJECT_DATABASE)
        return KD_OK;
    if (names_routine(ast->object)) {
        const kd_routine_entry *routine;
        KD_TRY(kdi_named_routine(ctx, run, ast->object, ast->target, false, &routine));
        object = &routine->object;
    } else {
        KD_TRY(find_object(ctx, run, ast->object, &ast->target->name, false, &object));
    }
    if (object->kind == KD_OBJECT_INDEX)
        return change_index(ctx, run, object, (kd_slice){"", 0}, &text);
    KD_TRY(entry_copy(ctx, run->arena, object, &copy));
    copy->comment = text;
    return kdi_put(ctx, run, copy);
}
