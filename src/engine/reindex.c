/*
 * REINDEX: indexes are built anew from their tables, which is how one that is damaged is mended
 * without closing the database.
 *
 * Each table is locked EXCLUSIVE until the commit. CONCURRENTLY is the same: it says that the
 * caller would rather not wait, not that the answer is another.
 */
#include "engine/define_internal.h"
#include "engine/table_key.h"

typedef struct table_list {
    kd_ctx *ctx;
    kd_arena *arena;
    uint32_t schema_no;       /* 0: any. */
    uint32_t index_object_no; /* 0: any; else tables that have this index. */
    uint32_t *numbers;
    size_t count, capacity;
    kd_status status;
} table_list;

static bool has_index(const kd_table_entry *table, uint32_t object_no)
{
    for (uint32_t i = 0; i < table->index_count; i++)
        if (table->indexes[i].object.object_no == object_no)
            return true;
    return false;
}

static void note_table(void *object, const kd_object *entry)
{
    table_list *list = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    uint32_t *added;
    if (entry->kind != KD_OBJECT_TABLE || list->status != KD_OK)
        return;
    if (list->index_object_no != 0
            ? !has_index(table, list->index_object_no)
            : table->table_no == 0 || table->is_temporary ||
                  (list->schema_no != 0 && entry->schema_no != list->schema_no))
        return;
    list->status =
        KD_PUSH(list->ctx, list->arena, list->numbers, list->count, list->capacity, &added);
    if (list->status == KD_OK)
        *added = entry->object_no;
}

/* `only`: an index that is above (or is) the one to build; NULL: all of the table's. `owner` has
 * it. */
static kd_status rebuild(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                         const kd_table_entry *owner, const kd_table_index *only)
{
    kdi_draft *draft;
    kd_txn *txn = run->session->txn;
    if (table->table_no == 0)
        return KD_OK;
    KD_TRY(kd_txn_lock_table(ctx, txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
    KD_TRY(kdi_deferred_refuse(ctx, run, table, "REINDEX"));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        kd_index_definition *index = &draft->indexes[i].storage;
        bool is_wanted =
            only == NULL ||
            (table == owner ? draft->indexes[i].object.object_no == only->object.object_no
                            : kdi_index_is_counterpart(owner, only, table, &table->indexes[i]));
        /* Those without a number store nothing. */
        if (!is_wanted || index->index_no == 0 || draft->indexes[i].key_table_no != 0)
            continue;
        KD_TRY(kd_table_drop_index(ctx, txn, draft->storage, index->index_no));
        KD_TRY(kd_table_add_index(ctx, txn, draft->storage, index, &index->index_no));
    }
    return kdi_draft_put(ctx, draft);
}

/* The table's, and those of its partitions. */
static kd_status rebuild_below(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                               const kd_table_entry *owner, const kd_table_index *only)
{
    const kd_table_entry **partitions;
    uint32_t count;
    KD_TRY(rebuild(ctx, run, table, owner, only));
    if (table->strategy == KD_PARTITION_NONE)
        return KD_OK;
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, table->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(rebuild_below(ctx, run, partitions[i], owner, only));
    return KD_OK;
}

static kd_status reindex_index(kd_ctx *ctx, kd_run *run, const kd_object *object)
{
    table_list list = {.ctx = ctx, .arena = run->arena, .index_object_no = object->object_no};
    if (object->kind != KD_OBJECT_INDEX)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not an index",
                       (int)object->name.size_bytes, object->name.data);
    kd_catalog_visit(run->catalog, note_table, &list);
    KD_TRY(list.status);
    if (list.count == 0)
        return KD_OK;
    const kd_table_entry *table =
        (const kd_table_entry *)kd_catalog_get(run->catalog, list.numbers[0]);
    for (uint32_t i = 0; i < table->index_count; i++)
        if (table->indexes[i].object.object_no == object->object_no)
            return rebuild_below(ctx, run, table, table, &table->indexes[i]);
    return KD_OK;
}

static bool object_is(const kd_ast_reindex *ast, const char *word)
{
    return kd_slice_equal_ignoring_case(ast->object, kd_slice_of(word));
}

static kd_status reindex_relation(kd_ctx *ctx, kd_run *run, const kd_ast_reindex *ast)
{
    kd_bind_options options;
    const kd_object *object;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, &ast->name, false, &object));
    if (object_is(ast, "index"))
        return reindex_index(ctx, run, object);
    if (object->kind != KD_OBJECT_TABLE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a table or materialized view",
                       (int)object->name.size_bytes, object->name.data);
    const kd_table_entry *table = (const kd_table_entry *)object;
    return rebuild_below(ctx, run, table, table, NULL);
}

/* A schema's tables, or all. */
static kd_status reindex_many(kd_ctx *ctx, kd_run *run, const kd_object *schema)
{
    table_list list = {
        .ctx = ctx, .arena = run->arena, .schema_no = schema == NULL ? 0 : schema->object_no};
    kd_catalog_visit(run->catalog, note_table, &list);
    KD_TRY(list.status);
    for (size_t i = 0; i < list.count; i++) {
        const kd_table_entry *table =
            (const kd_table_entry *)kd_catalog_get(run->catalog, list.numbers[i]);
        if (table != NULL)
            KD_TRY(rebuild(ctx, run, table, table, NULL));
    }
    return KD_OK;
}

kd_status kdi_do_reindex(kd_ctx *ctx, kd_run *run, const kd_ast_reindex *ast)
{
    kdi_set_tag(run, "REINDEX");
    bool is_schema = object_is(ast, "schema"), is_system = object_is(ast, "system");
    bool is_relation = object_is(ast, "index") || object_is(ast, "table");
    if (run->session->is_explicit && (ast->concurrently || !is_relation))
        return KD_FAIL(ctx, KD_INVALID, "25001", "REINDEX %s cannot run inside a transaction block",
                       ast->concurrently ? "CONCURRENTLY"
                       : is_schema       ? "SCHEMA"
                       : is_system       ? "SYSTEM"
                                         : "DATABASE");
    if (is_relation)
        return reindex_relation(ctx, run, ast);
    if (is_system)
        return KD_OK; /* The catalog has no indexes that are stored. */
    if (!is_schema)
        return reindex_many(ctx, run, NULL);
    const kd_object *schema = kd_catalog_find_schema(run->catalog, ast->name.name);
    if (schema == NULL)
        return KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                       (int)ast->name.name.size_bytes, ast->name.name.data);
    return reindex_many(ctx, run, schema);
}
