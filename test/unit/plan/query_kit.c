/*
 * SQL from text to rows.
 */
#include "query_kit.h"

#include "builtin/builtin.h"
#include "sql/ast_define.h"
#include "sql/parser.h"

query_kit *query_kit_open(void)
{
    static query_kit kit;
    query_kit *k = &kit;
    memset(k, 0, sizeof *k);
    k->ctx = test_ctx();
    k->arena = test_arena(&k->ctx);
    k->governor = kd_governor_create(&k->ctx, 1u << 30);
    CHECK(k->governor != NULL);
    CHECK_STATUS(&k->ctx, kd_registry_create(&k->ctx, k->arena, &k->registry));
    CHECK_STATUS(&k->ctx, kd_builtin_register(&k->ctx, k->registry));
    kd_storage_options options = {
        .directory = test_path("db"), .governor = k->governor, .no_background = true};
    CHECK_STATUS(&k->ctx, kd_storage_open(&k->ctx, &options, &k->storage));
    CHECK_STATUS(&k->ctx, kd_catalog_open(&k->ctx, k->arena, k->storage, k->registry, &k->catalog));
    k->facts.text = &k->text;
    k->path[0] = KD_SLICE("public");
    return k;
}

void query_kit_close(query_kit *k)
{
    kd_catalog_close(k->catalog);
    CHECK_STATUS(&k->ctx, kd_storage_close(&k->ctx, k->storage));
    kd_arena_destroy(k->arena);
    kd_governor_destroy(k->governor);
}

static kd_txn *begin(query_kit *k)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_READ_COMMITTED};
    CHECK_STATUS(&k->ctx, kd_txn_begin(&k->ctx, kd_storage_txns(k->storage), &options, &txn));
    kd_txn_statement_begin(txn);
    return txn;
}

typedef struct prepared {
    kd_catalog_version *version;
    kd_bind_options bind;
    kd_plan_options plan_options;
    kd_bound_statement *bound;
    kd_statement_plan *plan;
} prepared;

static void options_fill(query_kit *k, prepared *p)
{
    p->bind = (kd_bind_options){.catalog = p->version,
                                .facts = &k->facts,
                                .search_path = k->path,
                                .search_path_count = 1,
                                .allow_parameters = true};
    p->plan_options = (kd_plan_options){.catalog = p->version};
}

static kd_status prepare(query_kit *k, kd_txn *txn, const char *sql, prepared *p)
{
    kd_statement statement;
    memset(p, 0, sizeof *p);
    CHECK_STATUS(&k->ctx, kd_catalog_pin(&k->ctx, k->catalog, txn, &p->version));
    options_fill(k, p);
    KD_TRY(kd_parse_statement(&k->ctx, k->arena, kd_slice_of(sql), &statement));
    KD_TRY(kd_bind_statement(&k->ctx, k->arena, &p->bind, statement.node, &p->bound));
    return kd_plan_statement(&k->ctx, k->arena, &p->plan_options, p->bound, &p->plan);
}

kd_status query_kit_plan(query_kit *k, const char *sql)
{
    kd_txn *txn = begin(k);
    prepared p;
    kd_status status = prepare(k, txn, sql, &p);
    kd_catalog_unpin(p.version);
    kd_txn_rollback(txn);
    return status;
}

/* --- Tables --- */

typedef struct draft {
    kd_table_entry entry;
    kd_column columns[32];
    kd_table_column shape_columns[32];
    kd_table_shape shape;
    kd_table_index indexes[8];
    kd_index_column index_columns[8][4];
} draft;

static void draft_index(query_kit *k, draft *d, bool primary, const kd_ast_names *names)
{
    kd_table_index *index = &d->indexes[d->entry.index_count];
    kd_index_column *columns = d->index_columns[d->entry.index_count];
    index->is_primary = primary;
    index->is_constraint = true;
    index->storage.unique = true;
    index->storage.predicate_column_no = -1;
    index->storage.columns = columns;
    index->storage.column_count = (uint32_t)names->count;
    char *name =
        kd_format_text(&k->ctx, k->arena, "%.*s_key%u", (int)d->entry.object.name.size_bytes,
                       d->entry.object.name.data, d->entry.index_count);
    index->object.name = index->storage.name = kd_slice_of(name);
    index->object.kind = KD_OBJECT_INDEX;
    index->object.schema_no = d->entry.object.schema_no;
    CHECK_STATUS(&k->ctx, kd_catalog_next_object_no(&k->ctx, k->catalog, &index->object.object_no));
    for (size_t n = 0; n < names->count; n++)
        for (uint32_t c = 0; c < d->entry.column_count; c++)
            if (kd_slice_equal(names->items[n], d->columns[c].storage.name)) {
                columns[n].column_no = d->columns[c].storage.column_no;
                if (primary)
                    d->columns[c].storage.not_null = d->shape_columns[c].not_null = true;
            }
    kd_slice *texts = KD_NEW_ARRAY(&k->ctx, k->arena, kd_slice, names->count);
    for (size_t n = 0; n < names->count; n++)
        texts[n] = names->items[n];
    index->key_texts = texts;
    d->entry.index_count++;
}

static void create_table(query_kit *k, kd_txn *txn, const prepared *p,
                         const kd_ast_create_table *ast)
{
    draft *d = KD_NEW(&k->ctx, k->arena, draft);
    const kd_object *schema = kd_catalog_find_schema(p->version, KD_SLICE("public"));
    d->entry.object = (kd_object){
        .schema_no = schema->object_no, .kind = KD_OBJECT_TABLE, .name = ast->name.name};
    for (size_t i = 0; i < ast->elements.count; i++) {
        const kd_ast_column_def *def = (const kd_ast_column_def *)ast->elements.items[i];
        if (def->node.kind != KD_AST_COLUMN_DEF)
            continue;
        kd_type type;
        CHECK_STATUS(&k->ctx, kd_bind_type(&k->ctx, &p->bind, &def->type, &type));
        uint32_t at = d->entry.column_count++;
        d->columns[at].storage = (kd_table_column){
            .column_no = at + 1, .type = type, .name = def->name, .missing = kd_value_null(type)};
        d->shape_columns[at] = d->columns[at].storage;
    }
    d->entry.visible_count = d->entry.column_count;
    d->entry.next_column_no = d->entry.column_count + 1;
    d->entry.columns = d->columns;
    for (size_t i = 0; i < ast->elements.count; i++) {
        const kd_ast_column_def *def = (const kd_ast_column_def *)ast->elements.items[i];
        const kd_ast_constraint *alone = (const kd_ast_constraint *)ast->elements.items[i];
        if (def->node.kind == KD_AST_CONSTRAINT)
            draft_index(k, d, alone->what == KD_AST_CONSTRAINT_PRIMARY, &alone->columns);
        for (size_t c = 0; def->node.kind == KD_AST_COLUMN_DEF && c < def->constraints.count; c++) {
            const kd_ast_constraint *it = (const kd_ast_constraint *)def->constraints.items[c];
            kd_slice column = def->name;
            kd_ast_names names = {.items = &column, .count = 1};
            if (it->what == KD_AST_CONSTRAINT_PRIMARY || it->what == KD_AST_CONSTRAINT_UNIQUE)
                draft_index(k, d, it->what == KD_AST_CONSTRAINT_PRIMARY, &names);
            if (it->what == KD_AST_CONSTRAINT_NOT_NULL)
                d->columns[i].storage.not_null = d->shape_columns[i].not_null = true;
        }
    }
    d->shape = (kd_table_shape){ast->name.name, d->entry.column_count, d->shape_columns};
    d->entry.shape = &d->shape;
    d->entry.indexes = d->indexes;
    CHECK_STATUS(&k->ctx,
                 kd_catalog_next_object_no(&k->ctx, k->catalog, &d->entry.object.object_no));
    CHECK_STATUS(&k->ctx,
                 kd_table_create(&k->ctx, txn, k->storage, &d->shape, NULL, 0, &d->entry.table_no));
    kd_table *table = kd_table_find(k->storage, d->entry.table_no);
    for (uint32_t i = 0; i < d->entry.index_count; i++)
        CHECK_STATUS(&k->ctx, kd_table_add_index(&k->ctx, txn, table, &d->indexes[i].storage,
                                                 &d->indexes[i].storage.index_no));
    CHECK_STATUS(&k->ctx, kd_catalog_put(&k->ctx, k->catalog, txn, &d->entry.object));
}

static void create_view(query_kit *k, kd_txn *txn, const prepared *p, const char *sql,
                        const kd_ast_create_view *ast)
{
    kd_view_entry view = {.object = {.kind = KD_OBJECT_VIEW, .name = ast->name.name}};
    view.object.schema_no = kd_catalog_find_schema(p->version, KD_SLICE("public"))->object_no;
    view.query_text = kd_ast_text(kd_slice_of(sql), ast->query);
    kd_bound_statement *bound;
    CHECK_STATUS(&k->ctx, kd_bind_statement(&k->ctx, k->arena, &p->bind, ast->query, &bound));
    uint32_t count = bound->query->column_count;
    kd_slice *names = KD_NEW_ARRAY(&k->ctx, k->arena, kd_slice, count);
    kd_type *types = KD_NEW_ARRAY(&k->ctx, k->arena, kd_type, count);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = i < ast->columns.count ? ast->columns.items[i] : bound->query->columns[i].name;
        types[i] = bound->query->columns[i].type;
    }
    view.column_count = count;
    view.column_names = names;
    view.column_types = types;
    CHECK_STATUS(&k->ctx, kd_catalog_next_object_no(&k->ctx, k->catalog, &view.object.object_no));
    CHECK_STATUS(&k->ctx, kd_catalog_put(&k->ctx, k->catalog, txn, &view.object));
}

/* --- Rows --- */

typedef void (*row_taker)(query_kit *k, void *object, const kd_value *values, uint32_t count);

static kd_status execute(query_kit *k, kd_txn *txn, const prepared *p, row_taker take, void *object)
{
    kd_execute_options options = {.governor = k->governor,
                                  .spill_directory = test_path("spill"),
                                  .txn = txn,
                                  .snapshot = kd_txn_snapshot(txn),
                                  .storage = k->storage,
                                  .catalog = p->version,
                                  .facts = &k->facts};
    kd_execution *execution;
    KD_TRY(kd_execution_create(&k->ctx, k->arena, p->plan, &options, &execution));
    kd_status status = KD_OK;
    for (;;) {
        kd_batch batch;
        bool end;
        status = kd_execution_next(&k->ctx, execution, &batch, &end);
        if (status != KD_OK || end)
            break;
        for (uint32_t r = 0; r < batch.selected_count; r++) {
            kd_value values[64];
            uint32_t row = batch.selection == NULL ? r : batch.selection[r];
            for (uint32_t c = 0; c < batch.column_count; c++)
                values[c] = kd_vector_get(&batch.columns[c], row);
            take(k, object, values, batch.column_count);
        }
    }
    kd_execution_destroy(execution);
    return status;
}

static void take_text(query_kit *k, void *object, const kd_value *values, uint32_t count)
{
    kd_buffer *out = object;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            CHECK_STATUS(&k->ctx, kd_buffer_append_byte(&k->ctx, out, '|'));
        if (values[i].is_null)
            CHECK_STATUS(&k->ctx, kd_buffer_append_byte(&k->ctx, out, '~'));
        else
            CHECK_STATUS(&k->ctx, kd_value_format(&k->ctx, &k->text, &values[i], out));
    }
    CHECK_STATUS(&k->ctx, kd_buffer_append_byte(&k->ctx, out, '\n'));
}

const char *query_kit_rows(query_kit *k, const char *sql)
{
    kd_txn *txn = begin(k);
    prepared p;
    test_note("%s", sql);
    CHECK_STATUS(&k->ctx, prepare(k, txn, sql, &p));
    kd_buffer out = kd_buffer_in(k->arena);
    CHECK_STATUS(&k->ctx, kd_buffer_append_text(&k->ctx, &out, ""));
    CHECK_STATUS(&k->ctx, execute(k, txn, &p, take_text, &out));
    kd_catalog_unpin(p.version);
    kd_txn_rollback(txn);
    return out.size_bytes == 0 ? "" : out.data;
}

const char *query_kit_explain(query_kit *k, const char *sql)
{
    kd_txn *txn = begin(k);
    prepared p;
    test_note("%s", sql);
    CHECK_STATUS(&k->ctx, prepare(k, txn, sql, &p));
    kd_buffer out = kd_buffer_in(k->arena);
    CHECK_STATUS(&k->ctx, kd_plan_explain(&k->ctx, k->arena, p.plan, NULL, &out));
    kd_catalog_unpin(p.version);
    kd_txn_rollback(txn);
    return out.data;
}

typedef struct inserting {
    kd_txn *txn;
    const kd_bound_statement *bound;
    kd_table *table;
} inserting;

static void take_insert(query_kit *k, void *object, const kd_value *values, uint32_t count)
{
    inserting *self = object;
    const kd_table_entry *target = self->bound->target;
    kd_value row[32];
    CHECK_EQ(count, self->bound->target_count);
    for (uint32_t i = 0; i < target->column_count; i++)
        row[i] = kd_value_null(target->columns[i].storage.type);
    for (uint32_t i = 0; i < count; i++)
        row[self->bound->target_positions[i]] = values[i];
    kd_insert_outcome outcome;
    CHECK_STATUS(&k->ctx, kd_table_insert_row(&k->ctx, self->txn, self->table, target->shape, row,
                                              NULL, &outcome));
}

void query_kit_run(query_kit *k, const char *sql)
{
    kd_txn *txn = begin(k);
    prepared p = {0};
    kd_statement statement;
    test_note("%s", sql);
    CHECK_STATUS(&k->ctx, kd_parse_statement(&k->ctx, k->arena, kd_slice_of(sql), &statement));
    if (statement.node->kind == KD_AST_INSERT) {
        CHECK_STATUS(&k->ctx, prepare(k, txn, sql, &p));
        inserting self = {.txn = txn,
                          .bound = p.bound,
                          .table = kd_table_find(k->storage, p.bound->target->table_no)};
        CHECK_STATUS(&k->ctx, execute(k, txn, &p, take_insert, &self));
    } else {
        CHECK_STATUS(&k->ctx, kd_catalog_pin(&k->ctx, k->catalog, txn, &p.version));
        options_fill(k, &p);
        if (statement.node->kind == KD_AST_CREATE_VIEW)
            create_view(k, txn, &p, sql, (const kd_ast_create_view *)statement.node);
        else
            create_table(k, txn, &p, (const kd_ast_create_table *)statement.node);
    }
    kd_catalog_unpin(p.version);
    CHECK_STATUS(&k->ctx, kd_txn_commit(&k->ctx, txn));
}
