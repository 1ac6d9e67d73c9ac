/*
 * Indexes: of PRIMARY KEY and UNIQUE, and CREATE INDEX.
 *
 * An index is over stored columns. An expression in an index becomes a hidden
 * generated column, a WHERE clause a hidden boolean one, so that the storage below
 * knows neither.
 */
#include "engine/define_internal.h"

#include <assert.h>
#include <stdio.h>

enum { INDEX_COLUMNS_MAX = 32 };

kd_status kdi_columns_text(kd_ctx *ctx, kd_arena *arena, const kd_slice *texts, uint32_t count,
                           kd_slice *out_text)
{
    kd_buffer text = kd_buffer_in(arena);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, &text, ", "));
        KD_TRY(kd_buffer_append_slice(ctx, &text, texts[i]));
    }
    *out_text = kd_buffer_slice(&text);
    return KD_OK;
}

static kd_status push_index(kd_ctx *ctx, kdi_draft *draft, kd_slice name,
                            kd_table_index **out_index)
{
    kd_table_index *added;
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->indexes, draft->entry.index_count,
                   draft->index_capacity, &added));
    *added = (kd_table_index){.object = {.kind = KD_OBJECT_INDEX,
                                         .schema_no = draft->entry.object.schema_no,
                                         .comment = {"", 0}},
                              .method = KD_SLICE("btree"),
                              .predicate_text = {"", 0}};
    added->storage.predicate_column_no = -1;
    KD_TRY(kdi_copy_name(ctx, draft->arena, name, &added->object.name));
    added->storage.name = added->object.name;
    *out_index = added;
    return kd_catalog_next_object_no(ctx, draft->run->session->database->catalog,
                                     &added->object.object_no);
}

static kd_status set_columns(kd_ctx *ctx, kdi_draft *draft, kd_table_index *index,
                             const kd_index_column *columns, const kd_slice *texts, uint32_t count)
{
    kd_index_column *own_columns = KD_NEW_ARRAY(ctx, draft->arena, kd_index_column, count);
    kd_slice *own_texts = KD_NEW_ARRAY(ctx, draft->arena, kd_slice, count);
    if (own_columns == NULL || own_texts == NULL)
        return KD_NOMEM;
    memcpy(own_columns, columns, count * sizeof *columns);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_copy_name(ctx, draft->arena, texts[i], &own_texts[i]));
    index->storage.column_count = count;
    index->storage.columns = own_columns;
    index->key_texts = own_texts;
    return kdi_columns_text(ctx, draft->arena, own_texts, count, &index->storage.columns_text);
}

/* In an existing table the index is built at once; in a new one with the storage. */
static kd_status build_if_there(kd_ctx *ctx, kdi_draft *draft, kd_table_index *index)
{
    if (draft->storage == NULL)
        return KD_OK;
    return kd_table_add_index(ctx, draft->run->session->txn, draft->storage, &index->storage,
                              &index->storage.index_no);
}

/* --- PRIMARY KEY and UNIQUE
 * --------------------------------------------------------------------------- */

static kd_status one_primary_key(kd_ctx *ctx, const kdi_draft *draft)
{
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        if (draft->indexes[i].is_primary)
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "multiple primary keys for table \"%.*s\" are not allowed",
                           (int)draft->entry.object.name.size_bytes, draft->entry.object.name.data);
    return KD_OK;
}

/* Rows that are there must not have NULLs in a new primary key. */
static kd_status no_nulls(kd_ctx *ctx, kdi_draft *draft, kd_slice column)
{
    if (!draft->exists || draft->entry.table_no == 0)
        return KD_OK;
    int64_t found;
    kd_buffer text = kd_buffer_in(draft->arena);
    kd_slice table = draft->entry.object.name;
    KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, &text, draft->run->catalog, &draft->entry));
    KD_TRY(kd_buffer_append_format(ctx, &text, " WHERE \"%.*s\" IS NULL LIMIT 1",
                                   (int)column.size_bytes, column.data));
    KD_TRY(kdi_query_check(ctx, draft->run->session, kd_buffer_slice(&text), &found));
    if (found > 0)
        return KD_FAIL(ctx, KD_INVALID, "23502",
                       "column \"%.*s\" of relation \"%.*s\" contains null values",
                       (int)column.size_bytes, column.data, (int)table.size_bytes, table.data);
    return KD_OK;
}

static void note_deferral(kd_table_index *index, const kd_ast_constraint *constraint)
{
    index->storage.deferrable = constraint->deferrable || constraint->initially_deferred;
    index->initially_deferred = constraint->initially_deferred;
}

/* ADD CONSTRAINT ... USING INDEX: an index that is there becomes the constraint's. */
static kd_status key_from_index(kd_ctx *ctx, kdi_draft *draft, const kd_ast_constraint *constraint)
{
    kd_slice name = constraint->using_index;
    kd_table_index *index = NULL;
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        if (kd_slice_equal(draft->indexes[i].object.name, name))
            index = &draft->indexes[i];
    if (index == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42704", "index \"%.*s\" does not exist",
                       (int)name.size_bytes, name.data);
    if (index->is_constraint)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "index \"%.*s\" is already associated with a constraint",
                       (int)name.size_bytes, name.data);
    if (!index->storage.unique)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a unique index",
                       (int)name.size_bytes, name.data);
    if (index->storage.predicate_column_no >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is a partial index",
                       (int)name.size_bytes, name.data);
    bool is_primary = constraint->what == KD_AST_CONSTRAINT_PRIMARY;
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        int position = kdi_draft_find_column(draft, index->key_texts[i]);
        if (position < 0)
            return KD_FAIL(ctx, KD_INVALID, "42809", "index \"%.*s\" contains expressions",
                           (int)name.size_bytes, name.data);
        if (!is_primary || draft->columns[position].storage.not_null)
            continue;
        KD_TRY(no_nulls(ctx, draft, index->key_texts[i]));
        draft->columns[position].storage.not_null = true;
    }
    index->is_primary = is_primary;
    index->is_constraint = true;
    note_deferral(index, constraint);
    if (constraint->name.size_bytes > 0) {
        KD_TRY(kdi_copy_name(ctx, draft->arena, constraint->name, &index->object.name));
        index->storage.name = index->object.name;
    }
    /* The storage judges an index as it was made: one that is to be deferrable is made anew. */
    if (!index->storage.deferrable || draft->storage == NULL)
        return KD_OK;
    KD_TRY(kd_table_drop_index(ctx, draft->run->session->txn, draft->storage,
                               index->storage.index_no));
    return build_if_there(ctx, draft, index);
}

kd_status kdi_draft_add_key(kd_ctx *ctx, kdi_draft *draft, const kd_ast_constraint *constraint,
                            const kd_slice *names, uint32_t name_count)
{
    bool is_primary = constraint->what == KD_AST_CONSTRAINT_PRIMARY;
    kd_table_entry *entry = &draft->entry;
    kd_index_column columns[INDEX_COLUMNS_MAX];
    kd_slice name = constraint->name, middle = {"", 0};
    kd_table_index *index;
    if (name_count > INDEX_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "cannot use more than %d columns in an index",
                       INDEX_COLUMNS_MAX);
    if (is_primary)
        KD_TRY(one_primary_key(ctx, draft));
    if (constraint->using_index.size_bytes > 0)
        return key_from_index(ctx, draft, constraint);
    for (uint32_t i = 0; i < name_count; i++) {
        int position = kdi_draft_find_column(draft, names[i]);
        if (position < 0)
            return KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" named in key does not exist",
                           (int)names[i].size_bytes, names[i].data);
        columns[i] = (kd_index_column){.column_no = draft->columns[position].storage.column_no};
        if (is_primary && !draft->columns[position].storage.not_null) {
            KD_TRY(no_nulls(ctx, draft, names[i]));
            draft->columns[position].storage.not_null = true;
        }
    }
    if (!is_primary) {
        kd_buffer joined = kd_buffer_in(draft->arena);
        for (uint32_t i = 0; i < name_count; i++)
            KD_TRY(kd_buffer_append_format(ctx, &joined, "%s%.*s", i == 0 ? "" : "_",
                                           (int)names[i].size_bytes, names[i].data));
        middle = kd_buffer_slice(&joined);
    }
    if (name.size_bytes == 0)
        KD_TRY(kdi_choose_name(ctx, draft->run, draft, entry->object.schema_no, entry->object.name,
                               middle,
                               is_primary                 ? "pkey"
                               : constraint->is_exclusion ? "excl"
                                                          : "key",
                               &name));
    KD_TRY(push_index(ctx, draft, name, &index));
    KD_TRY(set_columns(ctx, draft, index, columns, names, name_count));
    index->is_primary = is_primary;
    index->is_constraint = true;
    index->storage.unique = true;
    index->storage.exclusion = constraint->is_exclusion;
    index->storage.nulls_not_distinct = constraint->nulls_not_distinct;
    note_deferral(index, constraint);
    return build_if_there(ctx, draft, index);
}

/* --- CREATE INDEX
 * ------------------------------------------------------------------------------------------ */

kd_status kdi_draft_add_hidden(kd_ctx *ctx, kdi_draft *draft, const kd_ast_node *node,
                               kd_type wanted, const char *immutable, kd_slice *out_text,
                               uint32_t *out_column_no)
{
    kd_slice text;
    kd_type type;
    kd_column *column;
    char name[32];
    KD_TRY(kdi_node_text(ctx, draft->run, node, &text));
    KD_TRY(kdi_draft_check_expression(ctx, draft, text, true, wanted, immutable, &type));
    (void)snprintf(name, sizeof name, "kade_key_%u", draft->entry.next_column_no);
    KD_TRY(kdi_draft_add_column(ctx, draft, kd_slice_of(name), type, true, &column));
    column->default_text = text;
    column->generated = true;
    *out_text = text;
    *out_column_no = column->storage.column_no;
    return KD_OK;
}

static kd_status index_column(kd_ctx *ctx, kdi_draft *draft, const kd_ast_index_item *item,
                              kd_index_column *out_column, kd_slice *out_text, bool *out_hidden)
{
    bool descending = item->direction == KD_AST_DESCENDING;
    *out_column =
        (kd_index_column){.order = {.descending = descending,
                                    .nulls_first = item->nulls == KD_AST_NULLS_DEFAULT
                                                       ? descending
                                                       : item->nulls == KD_AST_NULLS_FIRST}};
    if (item->column.size_bytes == 0) {
        *out_hidden = true;
        return kdi_draft_add_hidden(ctx, draft, item->value, kd_type_of(KD_TYPE_UNKNOWN),
                                    "functions in index expression must be marked IMMUTABLE",
                                    out_text, &out_column->column_no);
    }
    int position = kdi_draft_find_column(draft, item->column);
    if (position < 0) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" does not exist",
                                   (int)item->column.size_bytes, item->column.data);
        kd_error_set_position(ctx, item->node.position);
        return status;
    }
    *out_text = item->column;
    out_column->column_no = draft->columns[position].storage.column_no;
    return KD_OK;
}

/* What CREATE INDEX makes of each access method. */
typedef struct access_method {
    const char *name;
    bool is_built; /* Else it is only declared. */
    bool takes_unique;
    bool takes_several; /* Columns. */
    bool is_kept;       /* Else it is refused. */
    bool is_inverted;
} access_method;

/* Hash: an ordered index that the planner uses for equality only. BRIN: zone maps stand in every
 * segment. */
static const access_method access_methods[] = {
    {.name = "btree",
     .is_built = true,
     .takes_unique = true,
     .takes_several = true,
     .is_kept = true},
    {.name = "hash", .is_built = true, .is_kept = true},
    {.name = "brin", .takes_several = true, .is_kept = true},
    {.name = "gin", .is_built = true, .takes_several = true, .is_kept = true, .is_inverted = true},
    {.name = "gist"},
    {.name = "spgist"},
};

static kd_status method_find(kd_ctx *ctx, const kd_ast_create_index *ast,
                             const access_method **out_method)
{
    *out_method = &access_methods[0];
    size_t i = 0, count = sizeof access_methods / sizeof *access_methods;
    while (i < count && ast->method.size_bytes > 0 &&
           !kd_slice_equal(ast->method, kd_slice_of(access_methods[i].name)))
        i++;
    if (i == count)
        return KD_FAIL(ctx, KD_INVALID, "42704", "access method \"%.*s\" does not exist",
                       (int)ast->method.size_bytes, ast->method.data);
    const access_method *method = &access_methods[i];
    *out_method = method;
    if (!method->is_kept) {
        kd_status status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                   "access method \"%s\" is not supported", method->name);
        kd_error_set_hint(ctx, "USING gin serves documents and arrays.");
        return status;
    }
    bool is_unique = ast->unique && !method->takes_unique;
    if (is_unique || (ast->items.count > 1 && !method->takes_several))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "access method \"%s\" does not support %s indexes", method->name,
                       is_unique ? "unique" : "multicolumn");
    if (ast->include.count > 0 && method->is_inverted)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "access method \"%s\" does not support included columns", method->name);
    return KD_OK;
}

/* --- Inverted indexes ------------------------------------------------------------------------ */

static kd_type type_of_column(const kdi_draft *draft, uint32_t column_no)
{
    for (uint32_t i = 0; i < draft->entry.column_count; i++)
        if (draft->columns[i].storage.column_no == column_no)
            return draft->columns[i].storage.type;
    return kd_type_of(KD_TYPE_UNKNOWN);
}

static bool class_takes(kd_item_class items, kd_type type)
{
    if (items == KD_ITEMS_ARRAY)
        return type.is_array;
    return !type.is_array && type.id == KD_TYPE_JSONB;
}

static kd_status no_default_class(kd_ctx *ctx, const kdi_draft *draft, kd_type type)
{
    kd_buffer name = kd_buffer_in(draft->arena);
    KD_TRY(kd_type_format(ctx, type, &name));
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "42704",
                "data type %.*s has no default operator class for access method \"gin\"",
                (int)name.size_bytes, name.data);
    kd_error_set_hint(ctx, "You must specify an operator class for the index or define a default "
                           "operator class for the data type.");
    return status;
}

static kd_status class_by_name(kd_ctx *ctx, const kdi_draft *draft, kd_slice name, kd_type type,
                               kd_item_class *out_class)
{
    static const struct {
        const char *name;
        kd_item_class items;
    } classes[] = {{"jsonb_ops", KD_ITEMS_JSONB},
                   {"jsonb_path_ops", KD_ITEMS_JSONB_PATH},
                   {"array_ops", KD_ITEMS_ARRAY}};
    *out_class = KD_ITEMS_NONE;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (kd_slice_equal(name, kd_slice_of(classes[i].name)))
            *out_class = classes[i].items;
    if (*out_class == KD_ITEMS_NONE)
        return KD_FAIL(ctx, KD_INVALID, "42704",
                       "operator class \"%.*s\" does not exist for access method \"gin\"",
                       (int)name.size_bytes, name.data);
    if (class_takes(*out_class, type))
        return KD_OK;
    kd_buffer text = kd_buffer_in(draft->arena);
    KD_TRY(kd_type_format(ctx, type, &text));
    return KD_FAIL(ctx, KD_INVALID, "42804",
                   "operator class \"%.*s\" does not accept data type %.*s", (int)name.size_bytes,
                   name.data, (int)text.size_bytes, text.data);
}

static kd_status inverted_column(kd_ctx *ctx, const kdi_draft *draft, const kd_ast_index_item *item,
                                 kd_index_column *column)
{
    kd_type type = type_of_column(draft, column->column_no);
    if (item->direction != KD_AST_DIRECTION_DEFAULT)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "access method \"gin\" does not support ASC/DESC options");
    if (item->nulls != KD_AST_NULLS_DEFAULT)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "access method \"gin\" does not support NULLS FIRST/LAST options");
    column->order = (kd_key_order){0};
    if (item->opclass.name.size_bytes > 0)
        return class_by_name(ctx, draft, item->opclass.name, type, &column->items);
    column->items = type.is_array ? KD_ITEMS_ARRAY : KD_ITEMS_JSONB;
    return class_takes(column->items, type) ? KD_OK : no_default_class(ctx, draft, type);
}

kd_status kdi_index_types_check(kd_ctx *ctx, const kdi_draft *draft, const kd_table_index *index)
{
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        const kd_index_column *column = &index->storage.columns[i];
        kd_type type = type_of_column(draft, column->column_no);
        if (column->items != KD_ITEMS_NONE && !class_takes(column->items, type))
            return no_default_class(ctx, draft, type);
    }
    return KD_OK;
}

/* --- CREATE INDEX ---------------------------------------------------------------------------- */

/* table_a_b_idx */
static kd_status default_name(kd_ctx *ctx, kdi_draft *draft, const kd_ast_list *items,
                              kd_slice *out_name)
{
    kd_buffer middle = kd_buffer_in(draft->arena);
    for (size_t i = 0; i < items->count; i++) {
        kd_slice column = ((const kd_ast_index_item *)items->items[i])->column;
        if (i > 0)
            KD_TRY(kd_buffer_append_byte(ctx, &middle, '_'));
        KD_TRY(kd_buffer_append_slice(ctx, &middle,
                                      column.size_bytes > 0 ? column : KD_SLICE("expr")));
    }
    return kdi_choose_name(ctx, draft->run, draft, draft->entry.object.schema_no,
                           draft->entry.object.name, kd_buffer_slice(&middle), "idx", out_name);
}

kd_status kdi_draft_add_index(kd_ctx *ctx, kdi_draft *draft, const kd_ast_create_index *ast)
{
    kd_index_column columns[INDEX_COLUMNS_MAX];
    kd_slice texts[INDEX_COLUMNS_MAX], name = ast->name, predicate_text = {"", 0};
    uint32_t count = (uint32_t)ast->items.count, predicate_no = 0;
    bool hidden = false;
    kd_table_index *index;
    const access_method *method;
    KD_TRY(method_find(ctx, ast, &method));
    if (count > INDEX_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "cannot use more than %d columns in an index",
                       INDEX_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const kd_ast_index_item *item = (const kd_ast_index_item *)ast->items.items[i];
        KD_TRY(index_column(ctx, draft, item, &columns[i], &texts[i], &hidden));
        if (method->is_inverted)
            KD_TRY(inverted_column(ctx, draft, item, &columns[i]));
    }
    if (ast->where != NULL) {
        hidden = true;
        KD_TRY(kdi_draft_add_hidden(ctx, draft, ast->where, kd_type_of(KD_TYPE_BOOL),
                                    "functions in index predicate must be marked IMMUTABLE",
                                    &predicate_text, &predicate_no));
    }
    if (name.size_bytes == 0)
        KD_TRY(default_name(ctx, draft, &ast->items, &name));
    kd_table *old_storage = draft->storage;
    KD_TRY(push_index(ctx, draft, name, &index));
    KD_TRY(set_columns(ctx, draft, index, columns, texts, count));
    index->storage.unique = ast->unique;
    index->storage.nulls_not_distinct = ast->nulls_not_distinct;
    index->storage.predicate_column_no = ast->where == NULL ? -1 : (int64_t)predicate_no;
    index->predicate_text = predicate_text;
    if (ast->method.size_bytes > 0)
        KD_TRY(kdi_copy_name(ctx, draft->arena, ast->method, &index->method));
    if (!method->is_built) {
        kdi_session_notice(draft->run->session, "NOTICE", "00000",
                           "the index stores nothing: scans use the zone maps of every column");
        return KD_OK;
    }
    if (hidden && old_storage != NULL)
        return KD_OK; /* The caller rewrites the table and builds all indexes with it. */
    return build_if_there(ctx, draft, index);
}

kd_status kdi_draft_drop_index(kd_ctx *ctx, kdi_draft *draft, uint32_t position)
{
    kd_table_entry *entry = &draft->entry;
    assert(position < entry->index_count);
    const kd_table_index *index = &draft->indexes[position];
    if (draft->storage != NULL && index->storage.index_no != 0)
        KD_TRY(kd_table_drop_index(ctx, draft->run->session->txn, draft->storage,
                                   index->storage.index_no));
    KD_TRY(kdi_key_drop(ctx, draft->run, &draft->indexes[position]));
    entry->index_count--;
    for (uint32_t i = position; i < entry->index_count; i++)
        draft->indexes[i] = draft->indexes[i + 1];
    return KD_OK;
}

static bool has_hidden_beyond(const kdi_draft *draft, const kd_table_entry *table)
{
    return draft->entry.column_count > table->column_count;
}

/* A partitioned table's index stands on each partition, under a name of its own. */
static kd_status index_partitions(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                                  const kd_ast_create_index *ast)
{
    const kd_table_entry **partitions;
    uint32_t count;
    kd_ast_create_index own = *ast;
    own.name = (kd_slice){"", 0};
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, parent->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++) {
        kdi_draft *draft;
        if (partitions[i]->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, partitions[i]->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(kdi_draft_open(ctx, run, partitions[i], &draft));
        KD_TRY(kdi_draft_add_index(ctx, draft, &own));
        if (has_hidden_beyond(draft, partitions[i]) && draft->storage != NULL)
            KD_TRY(kdi_draft_rewrite(ctx, draft, partitions[i], NULL, 0));
        KD_TRY(kdi_draft_put(ctx, draft));
        if (partitions[i]->strategy != KD_PARTITION_NONE)
            KD_TRY(index_partitions(ctx, run, partitions[i], ast));
    }
    return kdi_keys_complete(ctx, run, parent->object.object_no);
}

kd_status kdi_create_index(kd_ctx *ctx, kd_run *run, const kd_ast_create_index *ast)
{
    const kd_table_entry *table;
    kdi_draft *draft;
    bool exists = false;
    kdi_set_tag(run, "CREATE INDEX");
    KD_TRY(kdi_table_for_change(ctx, run, &ast->table, false, &table));
    if (ast->name.size_bytes > 0)
        KD_TRY(kdi_check_free(ctx, run, table->object.schema_no, ast->name, KD_OBJECT_INDEX,
                              ast->if_not_exists, &exists));
    if (exists)
        return KD_OK;
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    KD_TRY(kdi_draft_add_index(ctx, draft, ast));
    if (has_hidden_beyond(draft, table) && draft->storage != NULL)
        KD_TRY(kdi_draft_rewrite(ctx, draft, table, NULL, 0));
    KD_TRY(kdi_draft_put(ctx, draft));
    if (table->strategy == KD_PARTITION_NONE)
        return KD_OK;
    return index_partitions(ctx, run, table, ast);
}
