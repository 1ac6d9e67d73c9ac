/*
 * CREATE TABLE in all its forms, CREATE TABLE AS, TRUNCATE; rewriting a table's
 * rows into a new storage.
 */
#include "engine/define_internal.h"
#include "engine/view_text.h"

#include "engine/value_cast.h"
#include "engine/view_content.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- Storage
 * ------------------------------------------------------------------------------------------ */

static int position_of(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return (int)i;
    return -1;
}

kd_status kdi_draft_build(kd_ctx *ctx, kdi_draft *draft)
{
    kd_session *session = draft->run->session;
    kd_table_entry *entry = &draft->entry;
    KD_TRY(kdi_draft_sync(ctx, draft));
    if (entry->strategy != KD_PARTITION_NONE)
        return KD_OK;
    uint32_t *sort = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, entry->sort_column_count);
    if (sort == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < entry->sort_column_count; i++)
        sort[i] = (uint32_t)position_of(entry, entry->sort_column_nos[i]);
    KD_TRY(kd_table_create(ctx, session->txn, session->database->storage, entry->shape, sort,
                           entry->sort_column_count, &entry->table_no));
    draft->storage = kd_table_find(session->database->storage, entry->table_no);
    assert(draft->storage != NULL);
    for (uint32_t i = 0; i < entry->index_count; i++) {
        if (kd_slice_equal(draft->indexes[i].method, KD_SLICE("brin")))
            continue;
        KD_TRY(kdi_index_types_check(ctx, draft, &draft->indexes[i]));
        KD_TRY(kd_table_add_index(ctx, session->txn, draft->storage, &draft->indexes[i].storage,
                                  &draft->indexes[i].storage.index_no));
    }
    return KD_OK;
}

/* INSERT INTO new SELECT ... FROM old, through the ordinary ways: a query over the old table, and a
 * writer of the new one that fills what is generated. */
static kd_status copy_rows(kd_ctx *ctx, kdi_draft *draft, kd_slice select, const char *phase,
                           const kd_table_entry *new_table, const uint32_t *given,
                           uint32_t given_count)
{
    kd_status status = KD_OK;
    kd_run *run = draft->run, *reading = NULL;
    kd_prepared *query = NULL;
    kdi_table_writer *writer;
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, select, NULL, 0, &query));
    KD_TRY_OUT(kd_run_begin(ctx, query, NULL, 0, &reading));
    atomic_store(&run->session->progress.work.phase, phase);
    KD_TRY_OUT(
        kdi_table_writer_create(ctx, run->arena, run, new_table, given, given_count, &writer));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, reading, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(kdi_table_writer_insert(ctx, writer, &batch, NULL));
    }
out:
    if (reading != NULL) {
        kd_status ended = kd_run_end(ctx, reading);
        status = status == KD_OK ? ended : status;
    }
    kd_prepared_destroy(query);
    return status;
}

kd_status kdi_draft_rewrite(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *old_table,
                            const kdi_conversion *conversions, uint32_t count)
{
    kd_session *session = draft->run->session;
    kd_table *old_storage = kd_table_find(session->database->storage, old_table->table_no);
    kd_buffer select = kd_buffer_in(draft->arena);
    uint32_t given_count = 0;
    uint32_t *given = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, draft->entry.column_count);
    if (given == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_draft_build(ctx, draft));
    KD_TRY(kd_buffer_append_text(ctx, &select, "SELECT "));
    for (uint32_t i = 0; i < draft->entry.column_count; i++) {
        const kd_column *column = &draft->columns[i];
        kd_slice name = column->storage.name;
        bool is_new = position_of(old_table, column->storage.column_no) < 0;
        if (column->generated || is_new)
            continue; /* The writer makes these. */
        kd_slice text = {NULL, 0};
        for (uint32_t k = 0; k < count; k++)
            if (conversions[k].column_no == column->storage.column_no)
                text = conversions[k].text;
        if (text.data != NULL)
            KD_TRY(kd_buffer_append_format(ctx, &select, "%s%.*s", given_count == 0 ? "" : ", ",
                                           (int)text.size_bytes, text.data));
        else
            KD_TRY(kd_buffer_append_format(ctx, &select, "%s\"%.*s\"", given_count == 0 ? "" : ", ",
                                           (int)name.size_bytes, name.data));
        given[given_count++] = i;
    }
    KD_TRY(kd_buffer_append_text(ctx, &select, " FROM "));
    KD_TRY(kdi_append_table(ctx, &select, draft->run->catalog, old_table));
    KD_TRY(kdi_draft_sync(ctx, draft));
    KD_TRY(copy_rows(ctx, draft, kd_buffer_slice(&select), "rewrite", &draft->entry, given,
                     given_count));
    return kd_table_drop(ctx, session->txn, old_storage);
}

/* --- Partitions
 * ------------------------------------------------------------------------------------------ */

/* An expression in a partition key is a hidden generated column of the parent, which has no
 * storage: partitions do not have it, and compute it where they need it. */
static kd_status partition_expression(kd_ctx *ctx, kdi_draft *draft, const kd_ast_node *node,
                                      uint32_t *out_column_no)
{
    uint32_t columns = 0, count = draft->entry.column_count;
    kd_slice text;
    KD_TRY(kdi_draft_add_hidden(ctx, draft, node, kd_type_of(KD_TYPE_UNKNOWN),
                                "functions in partition key expression must be marked IMMUTABLE",
                                &text, out_column_no));
    for (uint32_t i = 0; i < count; i++) {
        bool uses;
        KD_TRY(kdi_draft_uses_column(ctx, draft, text, i, &uses));
        columns += uses;
        if (uses && draft->columns[i].generated)
            return KD_FAIL(ctx, KD_INVALID, "42P17",
                           "cannot use generated column in partition key");
    }
    if (columns == 0)
        return KD_FAIL(ctx, KD_INVALID, "42P17", "cannot use constant expression as partition key");
    return KD_OK;
}

static kd_status partition_item(kd_ctx *ctx, kdi_draft *draft, const kd_ast_index_item *item,
                                uint32_t *out_column_no)
{
    const kd_ast_column *column = (const kd_ast_column *)item->value;
    kd_slice name = item->column;
    if (name.size_bytes == 0 && column->node.kind == KD_AST_COLUMN && column->part_count == 1)
        name = column->parts[0]; /* In parentheses. */
    if (name.size_bytes == 0)
        return partition_expression(ctx, draft, item->value, out_column_no);
    int position = kdi_draft_find_column(draft, name);
    if (position < 0)
        return KD_FAIL(ctx, KD_INVALID, "42703",
                       "column \"%.*s\" named in partition key does not exist",
                       (int)name.size_bytes, name.data);
    *out_column_no = draft->columns[position].storage.column_no;
    return KD_OK;
}

static kd_status set_partition_by(kd_ctx *ctx, kdi_draft *draft, const kd_ast_partition_by *ast)
{
    static const kd_partition_strategy strategies[] = {KD_PARTITION_RANGE, KD_PARTITION_LIST,
                                                       KD_PARTITION_HASH};
    kd_table_entry *entry = &draft->entry;
    uint32_t count = (uint32_t)ast->items.count;
    uint32_t *numbers = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, count);
    if (numbers == NULL)
        return KD_NOMEM;
    if (count > 32 || (ast->method == KD_AST_PARTITION_LIST && count != 1))
        return KD_FAIL(ctx, KD_INVALID, "42P17",
                       "cannot use \"list\" partition strategy with more than one column");
    for (uint32_t i = 0; i < count; i++) {
        const kd_ast_index_item *item = (const kd_ast_index_item *)ast->items.items[i];
        KD_TRY(partition_item(ctx, draft, item, &numbers[i]));
    }
    entry->strategy = strategies[ast->method];
    entry->partition_column_count = count;
    entry->partition_column_nos = numbers;
    return KD_OK;
}

static bool is_word(const kd_ast_node *node, const char *word)
{
    const kd_ast_column *column = (const kd_ast_column *)node;
    return node->kind == KD_AST_COLUMN && column->part_count == 1 &&
           kd_slice_equal_ignoring_case(column->parts[0], kd_slice_of(word));
}

static kd_status bound_value(kd_ctx *ctx, kd_run *run, const kd_ast_node *node, kd_type type,
                             kd_value *out_value, int8_t *out_kind)
{
    kd_bind_options options;
    kd_column_id *ids;
    kd_expr *bound;
    kd_compiled_expr *compiled;
    *out_kind = is_word(node, "minvalue") ? -1 : is_word(node, "maxvalue") ? 1 : 0;
    *out_value = kd_value_null(type);
    if (*out_kind != 0)
        return KD_OK;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_expression(ctx, run->arena, &options, node, NULL, type, &ids, &bound));
    KD_TRY(kd_expr_compile(ctx, run->arena, bound, NULL, 0, &run->facts, NULL, 0, &compiled));
    return kd_expr_evaluate_row(ctx, compiled, run->arena, NULL, out_value);
}

static kd_status bound_side(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                            const kd_ast_list *items, bool is_list, const kd_value **out_values,
                            const int8_t **out_kinds)
{
    uint32_t count = (uint32_t)items->count;
    kd_value *values = KD_NEW_ARRAY(ctx, run->arena, kd_value, count);
    int8_t *kinds = KD_NEW_ARRAY(ctx, run->arena, int8_t, count);
    if (values == NULL || kinds == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int column = position_of(parent, parent->partition_column_nos[is_list ? 0 : i]);
        KD_TRY(bound_value(ctx, run, items->items[i], parent->columns[column].storage.type,
                           &values[i], &kinds[i]));
    }
    *out_values = values;
    *out_kinds = is_list ? NULL : kinds;
    return KD_OK;
}

static kd_status wrong_bound(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "42P16", "invalid bound specification for a %s partition",
                   what);
}

static kd_status make_bound(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                            const kd_ast_partition_bound *ast, kd_partition_bound *out)
{
    *out = (kd_partition_bound){.is_default = ast->form == KD_AST_BOUND_DEFAULT};
    if (out->is_default && parent->strategy == KD_PARTITION_HASH)
        return KD_FAIL(ctx, KD_INVALID, "42P16",
                       "a hash-partitioned table may not have a default partition");
    if (out->is_default && parent->strategy != KD_PARTITION_NONE)
        return KD_OK;
    switch (parent->strategy) {
    case KD_PARTITION_RANGE:
        if (ast->form != KD_AST_BOUND_FROM || ast->items.count != parent->partition_column_count ||
            ast->upper.count != parent->partition_column_count)
            return wrong_bound(ctx, "range");
        out->count = parent->partition_column_count;
        KD_TRY(bound_side(ctx, run, parent, &ast->items, false, &out->from, &out->from_kind));
        return bound_side(ctx, run, parent, &ast->upper, false, &out->to, &out->to_kind);
    case KD_PARTITION_LIST:
        if (ast->form != KD_AST_BOUND_IN)
            return wrong_bound(ctx, "list");
        out->count = (uint32_t)ast->items.count;
        return bound_side(ctx, run, parent, &ast->items, true, &out->from, &out->from_kind);
    case KD_PARTITION_HASH: {
        kd_value *both = KD_NEW_ARRAY(ctx, run->arena, kd_value, 2);
        if (ast->form != KD_AST_BOUND_WITH)
            return wrong_bound(ctx, "hash");
        if (both == NULL)
            return KD_NOMEM;
        if (ast->modulus < 1 || ast->remainder < 0 || ast->remainder >= ast->modulus)
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "remainder for hash partition must be less than modulus");
        both[0] = kd_value_i64(ast->modulus);
        both[1] = kd_value_i64(ast->remainder);
        out->count = 2;
        out->from = both;
        return KD_OK;
    }
    case KD_PARTITION_NONE:
        break;
    }
    return KD_FAIL(ctx, KD_INVALID, "42P17", "\"%.*s\" is not partitioned",
                   (int)parent->object.name.size_bytes, parent->object.name.data);
}

/* -1, 0, 1 of two range bounds. */
static int compare_bounds(const kd_value *a, const int8_t *a_kind, const kd_value *b,
                          const int8_t *b_kind, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a_kind[i] != b_kind[i])
            return a_kind[i] < b_kind[i] ? -1 : 1;
        if (a_kind[i] != 0)
            return 0;
        int order = kd_value_compare(&a[i], &b[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

static bool bounds_overlap(kd_partition_strategy strategy, const kd_partition_bound *a,
                           const kd_partition_bound *b)
{
    if (a->is_default || b->is_default)
        return a->is_default && b->is_default;
    if (strategy == KD_PARTITION_RANGE)
        return compare_bounds(a->from, a->from_kind, b->to, b->to_kind, a->count) < 0 &&
               compare_bounds(b->from, b->from_kind, a->to, a->to_kind, a->count) < 0;
    if (strategy == KD_PARTITION_HASH) { /* One modulus divides the other: see check_modulus. */
        int64_t smaller =
            a->from[0].as.i64 < b->from[0].as.i64 ? a->from[0].as.i64 : b->from[0].as.i64;
        return a->from[1].as.i64 % smaller == b->from[1].as.i64 % smaller;
    }
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t k = 0; k < b->count; k++)
            if (a->from[i].is_null || b->from[k].is_null
                    ? a->from[i].is_null && b->from[k].is_null
                    : kd_value_compare(&a->from[i], &b->from[k]) == 0)
                return true;
    return false;
}

static kd_status check_modulus(kd_ctx *ctx, const kd_partition_bound *bound,
                               const kd_table_entry *const *others, uint32_t count)
{
    int64_t modulus = bound->from[0].as.i64;
    for (uint32_t i = 0; i < count; i++) {
        int64_t other = others[i]->bound.from[0].as.i64;
        if (modulus % other != 0 && other % modulus != 0)
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "every hash partition modulus must be a factor of the next larger "
                           "modulus");
    }
    return KD_OK;
}

/* Rows that a default partition has taken must not belong to a new one. */
static kd_status check_default(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                               const kd_table_entry *holder, const kd_partition_bound *bound)
{
    bool any;
    KD_TRY(kdi_partition_has_row(ctx, run, parent, holder, bound, true, &any));
    if (any)
        return KD_FAIL(ctx, KD_INVALID, "23514",
                       "updated partition constraint for default partition \"%.*s\" would be "
                       "violated by some row",
                       (int)holder->object.name.size_bytes, holder->object.name.data);
    return KD_OK;
}

static kd_status check_bound(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                             const kd_partition_bound *bound, kd_slice name)
{
    const kd_table_entry **others;
    uint32_t count;
    if (parent->strategy == KD_PARTITION_RANGE && !bound->is_default &&
        compare_bounds(bound->from, bound->from_kind, bound->to, bound->to_kind, bound->count) >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42P17",
                       "empty range bound specified for partition \"%.*s\"", (int)name.size_bytes,
                       name.data);
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, parent->object.object_no, &others,
                                 &count));
    if (parent->strategy == KD_PARTITION_HASH)
        KD_TRY(check_modulus(ctx, bound, others, count));
    for (uint32_t i = 0; i < count; i++)
        if (bounds_overlap(parent->strategy, bound, &others[i]->bound))
            return KD_FAIL(ctx, KD_INVALID, "42P17",
                           "partition \"%.*s\" would overlap partition \"%.*s\"",
                           (int)name.size_bytes, name.data, (int)others[i]->object.name.size_bytes,
                           others[i]->object.name.data);
    for (uint32_t i = 0; i < count; i++)
        if (others[i]->bound.is_default && !bound->is_default)
            KD_TRY(check_default(ctx, run, parent, others[i], bound));
    return KD_OK;
}

kd_status kdi_make_partition_bound(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                                   const kd_ast_partition_bound *ast, kd_slice name,
                                   kd_partition_bound *out_bound)
{
    KD_TRY(make_bound(ctx, run, parent, ast, out_bound));
    return check_bound(ctx, run, parent, out_bound, name);
}

/* --- Columns from other tables
 * ---------------------------------------------------------------------------- */

static kd_status copy_column(kd_ctx *ctx, kdi_draft *draft, const kd_column *source, bool defaults)
{
    kd_column *column;
    KD_TRY(kdi_draft_add_column(ctx, draft, source->storage.name, source->storage.type, false,
                                &column));
    column->storage.not_null = source->storage.not_null;
    column->domain_no = source->domain_no;
    column->domain_not_null = source->domain_not_null;
    if (defaults || source->generated) {
        column->default_text = source->default_text;
        column->generated = source->generated;
        column->identity = source->identity;
        column->sequence_no = source->sequence_no;
    }
    return KD_OK;
}

kd_status kdi_draft_copy_foreign(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *parent,
                                 const kd_foreign_key *key)
{
    kd_foreign_key *added;
    uint32_t *numbers = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, key->column_count);
    if (numbers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < key->column_count; i++) {
        int theirs = position_of(parent, key->column_nos[i]);
        int ours = kdi_draft_find_column(draft, parent->columns[theirs].storage.name);
        numbers[i] = draft->columns[ours].storage.column_no;
    }
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->foreign_keys, draft->entry.foreign_count,
                   draft->foreign_capacity, &added));
    *added = *key;
    added->column_nos = numbers;
    return KD_OK;
}

/* An index like one of another table, over this draft's columns of the same names. */
kd_status kdi_draft_copy_index(kd_ctx *ctx, kdi_draft *draft, const kd_table_index *source)
{
    kd_ast_constraint constraint = {.what = source->is_primary ? KD_AST_CONSTRAINT_PRIMARY
                                                               : KD_AST_CONSTRAINT_UNIQUE,
                                    .is_exclusion = source->storage.exclusion,
                                    .nulls_not_distinct = source->storage.nulls_not_distinct,
                                    .deferrable = source->storage.deferrable,
                                    .initially_deferred = source->initially_deferred};
    if (source->is_constraint)
        return kdi_draft_add_key(ctx, draft, &constraint, source->key_texts,
                                 source->storage.column_count);
    /* Spelled out again, so that expressions and predicates get hidden columns of their own. */
    kd_buffer text = kd_buffer_in(draft->arena);
    KD_TRY(kd_buffer_append_format(ctx, &text, "CREATE %sINDEX ON t USING %.*s (",
                                   source->storage.unique ? "UNIQUE " : "",
                                   (int)source->method.size_bytes, source->method.data));
    for (uint32_t i = 0; i < source->storage.column_count; i++) {
        const kd_index_column *column = &source->storage.columns[i];
        kd_slice key = source->key_texts[i];
        bool is_column = kdi_draft_find_column(draft, key) >= 0;
        KD_TRY(kd_buffer_append_format(ctx, &text, "%s%s%.*s%s", i == 0 ? "" : ", ",
                                       is_column ? "\"" : "(", (int)key.size_bytes, key.data,
                                       is_column ? "\"" : ")"));
        if (column->items == KD_ITEMS_JSONB_PATH)
            KD_TRY(kd_buffer_append_text(ctx, &text, " jsonb_path_ops"));
        if (column->items == KD_ITEMS_NONE)
            KD_TRY(kd_buffer_append_format(
                ctx, &text, "%s%s", column->order.descending ? " DESC" : " ASC",
                column->order.nulls_first ? " NULLS FIRST" : " NULLS LAST"));
    }
    KD_TRY(kd_buffer_append_text(ctx, &text, ")"));
    if (source->predicate_text.size_bytes > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text, " WHERE %.*s",
                                       (int)source->predicate_text.size_bytes,
                                       source->predicate_text.data));
    kd_statement statement;
    KD_TRY(kd_parse_statement(ctx, draft->arena, kd_buffer_slice(&text), &statement));
    kd_prepared spelled = *draft->run->prepared, *before = draft->run->prepared;
    spelled.text = kd_buffer_slice(&text);
    draft->run->prepared = &spelled; /* Positions in the tree are of this text. */
    kd_status status = kdi_draft_add_index(ctx, draft, (const kd_ast_create_index *)statement.node);
    draft->run->prepared = before;
    return status;
}

static kd_status copy_checks(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *source)
{
    for (uint32_t i = 0; i < source->check_count; i++) {
        kd_check *added;
        KD_TRY(KD_PUSH(ctx, draft->arena, draft->checks, draft->entry.check_count,
                       draft->check_capacity, &added));
        *added = source->checks[i];
    }
    return KD_OK;
}

/* What LIKE takes over of a column: its default, generation, identity each only when asked for. */
static kd_status like_column(kd_ctx *ctx, kdi_draft *draft, const kd_column *source,
                             unsigned including)
{
    kd_column plain = *source;
    bool is_identity = source->identity != KD_IDENTITY_NONE;
    unsigned wanted = source->generated ? KD_AST_INCLUDING_GENERATED : KD_AST_INCLUDING_DEFAULTS;
    plain.identity = KD_IDENTITY_NONE;
    if (is_identity || (including & wanted) == 0) {
        plain.default_text = (kd_slice){"", 0};
        plain.generated = false;
        plain.sequence_no = 0;
    }
    KD_TRY(copy_column(ctx, draft, &plain, true));
    if (!is_identity || (including & KD_AST_INCLUDING_IDENTITY) == 0)
        return KD_OK;
    const kd_ast_constraint identity = {.what = KD_AST_CONSTRAINT_IDENTITY,
                                        .always = source->identity == KD_IDENTITY_ALWAYS};
    return kdi_draft_add_constraint(ctx, draft, &identity,
                                    kdi_draft_find_column(draft, source->storage.name));
}

static kd_status add_like(kd_ctx *ctx, kdi_draft *draft, const kd_ast_table_like *like)
{
    kd_run *run = draft->run;
    kd_bind_options options;
    const kd_object *object;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, &like->name, false, &object));
    if (object->kind != KD_OBJECT_TABLE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a table",
                       (int)like->name.name.size_bytes, like->name.name.data);
    const kd_table_entry *source = (const kd_table_entry *)object;
    for (uint32_t i = 0; i < source->visible_count; i++)
        KD_TRY(like_column(ctx, draft, &source->columns[i], like->including));
    if ((like->including & KD_AST_INCLUDING_CONSTRAINTS) != 0)
        KD_TRY(copy_checks(ctx, draft, source));
    for (uint32_t i = 0; i < source->index_count; i++)
        if ((like->including & KD_AST_INCLUDING_INDEXES) != 0)
            KD_TRY(kdi_draft_copy_index(ctx, draft, &source->indexes[i]));
    return KD_OK;
}

static kd_status add_partition_of(kd_ctx *ctx, kdi_draft *draft, const kd_ast_create_table *ast)
{
    const kd_table_entry *parent;
    KD_TRY(kdi_table_for_change(ctx, draft->run, &ast->partition_of, false, &parent));
    KD_TRY(kdi_make_partition_bound(ctx, draft->run, parent, ast->bound, draft->entry.object.name,
                                    &draft->entry.bound));
    draft->entry.parent_no = parent->object.object_no;
    for (uint32_t i = 0; i < parent->visible_count; i++)
        KD_TRY(copy_column(ctx, draft, &parent->columns[i], true));
    KD_TRY(copy_checks(ctx, draft, parent));
    for (uint32_t i = 0; i < parent->index_count; i++)
        KD_TRY(kdi_draft_copy_index(ctx, draft, &parent->indexes[i]));
    for (uint32_t i = 0; i < parent->foreign_count; i++)
        KD_TRY(kdi_draft_copy_foreign(ctx, draft, parent, &parent->foreign_keys[i]));
    return KD_OK;
}

/* --- CREATE TABLE
 * ----------------------------------------------------------------------------------------- */

/* WITH (orderby = 'a, b'): the order of rows inside segments. */
static kd_status set_options(kd_ctx *ctx, kdi_draft *draft, const kd_ast_list *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)options->items[i];
        if (!kd_slice_equal(option->name, KD_SLICE("orderby")) || option->value == NULL ||
            option->value->kind != KD_AST_CONSTANT)
            continue; /* PostgreSQL's storage parameters are accepted and mean nothing here. */
        kd_slice list = ((const kd_ast_constant *)option->value)->text;
        uint32_t *numbers = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, 16);
        if (numbers == NULL)
            return KD_NOMEM;
        const char *at = list.data, *end = list.data + list.size_bytes;
        while (at < end && draft->entry.sort_column_count < 16) {
            const char *stop = at;
            while (stop < end && *stop != ',')
                stop++;
            kd_slice name = {at, (size_t)(stop - at)};
            while (name.size_bytes > 0 && name.data[0] == ' ')
                name = (kd_slice){name.data + 1, name.size_bytes - 1};
            while (name.size_bytes > 0 && name.data[name.size_bytes - 1] == ' ')
                name.size_bytes--;
            int position = kdi_draft_find_column(draft, name);
            if (position < 0)
                return KD_FAIL(ctx, KD_INVALID, "42703",
                               "column \"%.*s\" of option orderby does not "
                               "exist",
                               (int)name.size_bytes, name.data);
            numbers[draft->entry.sort_column_count++] = draft->columns[position].storage.column_no;
            at = stop + 1;
        }
        draft->entry.sort_column_nos = numbers;
    }
    return KD_OK;
}

/* Columns first, so that constraints may name columns that come after them. */
static kd_status add_elements(kd_ctx *ctx, kdi_draft *draft, const kd_ast_list *elements,
                              bool columns)
{
    for (size_t i = 0; i < elements->count; i++) {
        const kd_ast_node *node = elements->items[i];
        bool is_column = node->kind == KD_AST_COLUMN_DEF || node->kind == KD_AST_TABLE_LIKE;
        if (is_column != columns)
            continue;
        if (node->kind == KD_AST_COLUMN_DEF) {
            const kd_ast_column_def *definition = (const kd_ast_column_def *)node;
            int position = kdi_draft_find_column(draft, definition->name);
            if (definition->has_type)
                KD_TRY(kdi_draft_add_definition(ctx, draft, definition));
            for (size_t c = 0; !definition->has_type && c < definition->constraints.count; c++)
                KD_TRY(kdi_draft_add_constraint(
                    ctx, draft, (const kd_ast_constraint *)definition->constraints.items[c],
                    position));
        } else if (node->kind == KD_AST_TABLE_LIKE) {
            KD_TRY(add_like(ctx, draft, (const kd_ast_table_like *)node));
        } else if (node->kind == KD_AST_CREATE_INDEX) {
            KD_TRY(kdi_draft_add_index(ctx, draft, (const kd_ast_create_index *)node));
        } else {
            KD_TRY(kdi_draft_add_constraint(ctx, draft, (const kd_ast_constraint *)node, -1));
        }
    }
    return KD_OK;
}

static kd_status add_late(kd_ctx *ctx, kdi_draft *draft, const kd_ast_list *elements)
{
    for (size_t i = 0; i < elements->count; i++) {
        const kd_ast_column_def *definition = (const kd_ast_column_def *)elements->items[i];
        if (elements->items[i]->kind == KD_AST_COLUMN_DEF && definition->has_type)
            KD_TRY(kdi_draft_add_late(ctx, draft, definition));
    }
    return KD_OK;
}

static kd_status set_temporary(kd_ctx *ctx, kdi_draft *draft, kd_ast_persistence persistence,
                               kd_ast_on_commit on_commit)
{
    kd_table_entry *entry = &draft->entry;
    entry->is_temporary = persistence == KD_AST_TEMPORARY;
    if (on_commit == KD_AST_ON_COMMIT_NONE)
        return KD_OK;
    if (!entry->is_temporary)
        return KD_FAIL(ctx, KD_INVALID, "42P16", "ON COMMIT can only be used on temporary tables");
    entry->on_commit = on_commit == KD_AST_ON_COMMIT_DELETE ? KD_ON_COMMIT_DELETE
                       : on_commit == KD_AST_ON_COMMIT_DROP ? KD_ON_COMMIT_DROP
                                                            : KD_ON_COMMIT_PRESERVE;
    draft->run->session->has_on_commit |= entry->on_commit != KD_ON_COMMIT_PRESERVE;
    return KD_OK;
}

kd_status kdi_create_table(kd_ctx *ctx, kd_run *run, const kd_ast_create_table *ast)
{
    uint32_t schema_no;
    bool exists;
    kdi_draft *draft;
    kdi_set_tag(run, "CREATE TABLE");
    if (ast->persistence == KD_AST_TEMPORARY)
        KD_TRY(kdi_temp_schema(ctx, run, &schema_no));
    else
        KD_TRY(kdi_target_schema(ctx, run, &ast->name, &schema_no));
    if (ast->or_replace) {
        const kd_object *old = kd_catalog_find_relation(run->catalog, schema_no, ast->name.name);
        if (old != NULL)
            KD_TRY(kdi_drop_object(ctx, run, old->object_no, false));
    }
    KD_TRY(kdi_check_free(ctx, run, schema_no, ast->name.name, KD_OBJECT_TABLE, ast->if_not_exists,
                          &exists));
    if (exists)
        return KD_OK;
    KD_TRY(kdi_draft_create(ctx, run, schema_no, ast->name.name, &draft));
    KD_TRY(set_temporary(ctx, draft, ast->persistence, ast->on_commit));
    if (ast->partition_of.position >= 0)
        KD_TRY(add_partition_of(ctx, draft, ast));
    KD_TRY(add_elements(ctx, draft, &ast->elements, true));
    KD_TRY(add_late(ctx, draft, &ast->elements));
    KD_TRY(add_elements(ctx, draft, &ast->elements, false));
    if (ast->partition_by != NULL)
        KD_TRY(set_partition_by(ctx, draft, ast->partition_by));
    KD_TRY(set_options(ctx, draft, &ast->options));
    KD_TRY(kdi_draft_build(ctx, draft));
    KD_TRY(kdi_draft_put(ctx, draft));
    return ast->partition_by == NULL ? KD_OK
                                     : kdi_keys_complete(ctx, run, draft->entry.object.object_no);
}

/* --- CREATE TABLE AS
 * ---------------------------------------------------------------------------------------- */

static kd_status columns_of_query(kd_ctx *ctx, kdi_draft *draft, const kd_prepared *query,
                                  const kd_ast_names *names)
{
    if (names->count > query->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42601", "too many column names were specified");
    for (uint32_t i = 0; i < query->column_count; i++) {
        kd_column *column;
        kd_type type = query->columns[i].type;
        if (type.id == KD_TYPE_UNKNOWN)
            type = kd_type_of(KD_TYPE_TEXT);
        KD_TRY(kdi_draft_add_column(ctx, draft,
                                    i < names->count ? names->items[i] : query->columns[i].name,
                                    type, false, &column));
    }
    return KD_OK;
}

/* The query without the INTO that would make it this statement again. */
static kd_status query_text(kd_ctx *ctx, kd_run *run, const kd_ast_create_table_as *ast,
                            kd_slice *out_text)
{
    kd_slice text;
    KD_TRY(kdi_node_text(ctx, run, ast->query, &text));
    char *plain = kd_alloc_raw(ctx, run->arena, text.size_bytes);
    if (plain == NULL)
        return KD_NOMEM;
    memcpy(plain, text.data, text.size_bytes);
    if (ast->into_end > ast->into_begin)
        memset(plain + (ast->into_begin - ast->query->position), ' ',
               (size_t)(ast->into_end - ast->into_begin));
    *out_text = (kd_slice){plain, text.size_bytes};
    return KD_OK;
}

kd_status kdi_create_table_as(kd_ctx *ctx, kd_run *run, const kd_ast_create_table_as *ast)
{
    kd_status status = KD_OK;
    uint32_t schema_no;
    bool exists;
    kdi_draft *draft;
    kd_prepared *query = NULL;
    kd_slice text;
    kdi_set_tag(run, ast->is_materialized_view ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS");
    if (ast->persistence == KD_AST_TEMPORARY)
        KD_TRY_OUT(kdi_temp_schema(ctx, run, &schema_no));
    else
        KD_TRY_OUT(kdi_target_schema(ctx, run, &ast->name, &schema_no));
    KD_TRY_OUT(kdi_check_free(ctx, run, schema_no, ast->name.name, KD_OBJECT_TABLE,
                              ast->if_not_exists, &exists));
    if (exists)
        return KD_OK;
    KD_TRY_OUT(query_text(ctx, run, ast, &text));
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, text, NULL, 0, &query));
    KD_TRY_OUT(kdi_draft_create(ctx, run, schema_no, ast->name.name, &draft));
    KD_TRY_OUT(set_temporary(ctx, draft, ast->persistence, ast->on_commit));
    KD_TRY_OUT(columns_of_query(ctx, draft, query, &ast->columns));
    KD_TRY_OUT(kdi_draft_build(ctx, draft));
    uint32_t *given = KD_NEW_ARRAY(ctx, run->arena, uint32_t, draft->entry.column_count);
    if (given == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    for (uint32_t i = 0; i < draft->entry.column_count; i++)
        given[i] = i;
    kd_stamp stamp = kd_txn_snapshot(run->session->txn).stamp; /* Before the rows are read. */
    if (!ast->with_no_data)
        KD_TRY_OUT(
            copy_rows(ctx, draft, text, "query", &draft->entry, given, draft->entry.column_count));
    if (ast->is_materialized_view) {
        KD_TRY_OUT(kdi_view_text_to_keep(ctx, run, text, &draft->entry.query_text));
        draft->entry.is_populated = !ast->with_no_data;
        KD_TRY_OUT(kdi_query_depends(ctx, run, query, &draft->entry.depends_on,
                                     &draft->entry.depends_count));
        KD_TRY_OUT(kdi_view_content_note(ctx, run, &draft->entry, text, stamp));
    }
    KD_TRY_OUT(kdi_draft_put(ctx, draft));
out:
    kd_prepared_destroy(query);
    return status;
}

/* CONCURRENTLY is accepted where PostgreSQL accepts it; nobody waits for a refresh here anyway. */
static kd_status check_concurrently(kd_ctx *ctx, const kd_ast_refresh *ast,
                                    const kd_table_entry *view)
{
    bool unique = false;
    if (!ast->concurrently)
        return KD_OK;
    if (ast->with_no_data)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "CONCURRENTLY and WITH NO DATA options cannot be used together");
    if (!view->is_populated)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "CONCURRENTLY cannot be used when the materialized view is not populated");
    for (uint32_t i = 0; i < view->index_count; i++)
        unique |=
            view->indexes[i].storage.unique && view->indexes[i].predicate_text.size_bytes == 0;
    if (unique)
        return KD_OK;
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "55000", "cannot refresh materialized view \"%.*s\" concurrently",
                (int)view->object.name.size_bytes, view->object.name.data);
    kd_error_set_hint(ctx, "Create a unique index with no WHERE clause on one or more columns of "
                           "the materialized view.");
    return status;
}

kd_status kdi_refresh(kd_ctx *ctx, kd_run *run, const kd_ast_refresh *ast)
{
    const kd_table_entry *table;
    kdi_draft *draft;
    kdi_set_tag(run, "REFRESH MATERIALIZED VIEW");
    KD_TRY(kdi_table_for_change(ctx, run, &ast->name, false, &table));
    if (table->query_text.size_bytes == 0)
        return KD_FAIL(ctx, KD_INVALID, "0A000", "\"%.*s\" is not a materialized view",
                       (int)ast->name.name.size_bytes, ast->name.name.data);
    KD_TRY(check_concurrently(ctx, ast, table));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    KD_TRY(kd_table_drop(ctx, run->session->txn, draft->storage));
    KD_TRY(kdi_draft_build(ctx, draft));
    uint32_t *given = KD_NEW_ARRAY(ctx, run->arena, uint32_t, draft->entry.visible_count);
    if (given == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < draft->entry.visible_count; i++)
        given[i] = i;
    draft->entry.is_populated = !ast->with_no_data;
    kd_stamp stamp = kd_txn_snapshot(run->session->txn).stamp; /* Before the rows are read. */
    if (!ast->with_no_data)
        KD_TRY(copy_rows(ctx, draft, table->query_text, "query", &draft->entry, given,
                         draft->entry.visible_count));
    KD_TRY(kdi_view_content_note(ctx, run, &draft->entry, table->query_text, stamp));
    return kdi_draft_put(ctx, draft);
}

/* --- TRUNCATE
 * ------------------------------------------------------------------------------------------------
 */

static bool is_listed(const kd_table_entry *const *tables, size_t count, uint32_t object_no)
{
    for (size_t i = 0; i < count; i++)
        if (tables[i]->object.object_no == object_no)
            return true;
    return false;
}

static kd_status restart_sequences(kd_ctx *ctx, kd_run *run, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const kd_object *object = table->columns[i].sequence_no == 0
                                      ? NULL
                                      : kd_catalog_get(run->catalog, table->columns[i].sequence_no);
        if (object == NULL)
            continue;
        kd_sequence_definition definition;
        int64_t last;
        bool called;
        uint64_t sequence_no = ((const kd_sequence_entry *)object)->sequence_no;
        KD_TRY(kd_sequence_get(ctx, run->session->database->storage, sequence_no, &definition,
                               &last, &called));
        KD_TRY(kd_sequence_set(ctx, run->session->database->storage, sequence_no, definition.start,
                               false));
    }
    return KD_OK;
}

/* The keys over all partitions begin anew as well. */
static kd_status renew_keys(kd_ctx *ctx, kd_run *run, const kd_table_entry *table)
{
    kdi_draft *draft;
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    KD_TRY(kdi_keys_drop(ctx, draft));
    KD_TRY(kdi_draft_put(ctx, draft));
    return kdi_keys_complete(ctx, run, table->object.object_no);
}

/* A truncated table gets a new, empty storage: the old one goes when nobody sees it any more. */
static kd_status truncate_table(kd_ctx *ctx, kd_run *run, const kd_table_entry *table, bool restart)
{
    kdi_draft *draft;
    KD_TRY(kdi_deferred_refuse(ctx, run, table, "TRUNCATE"));
    if (restart)
        KD_TRY(restart_sequences(ctx, run, table));
    if (table->strategy != KD_PARTITION_NONE) {
        const kd_table_entry **partitions;
        uint32_t count;
        KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, table->object.object_no,
                                     &partitions, &count));
        for (uint32_t i = 0; i < count; i++) {
            if (partitions[i]->table_no != 0)
                KD_TRY(kd_txn_lock_table(ctx, run->session->txn, partitions[i]->table_no,
                                         KD_TABLE_EXCLUSIVE, false));
            KD_TRY(truncate_table(ctx, run, partitions[i], false));
        }
        return renew_keys(ctx, run, table);
    }
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    KD_TRY(kd_table_drop(ctx, run->session->txn, draft->storage));
    KD_TRY(kdi_draft_build(ctx, draft));
    return kdi_draft_put(ctx, draft);
}

kd_status kdi_truncate(kd_ctx *ctx, kd_run *run, const kd_ast_truncate *ast)
{
    const kd_table_entry **tables = NULL;
    size_t count = 0, capacity = 0;
    kdi_set_tag(run, "TRUNCATE TABLE");
    for (size_t i = 0; i < ast->tables.count; i++) {
        const kd_ast_table_ref *ref = (const kd_ast_table_ref *)ast->tables.items[i];
        const kd_table_entry **added;
        KD_TRY(KD_PUSH(ctx, run->arena, tables, count, capacity, &added));
        KD_TRY(kdi_table_for_change(ctx, run, &ref->name, false, added));
    }
    for (size_t i = 0; i < count; i++) {
        kdi_referrer *referrers;
        uint32_t referrer_count;
        KD_TRY(kdi_foreign_referrers(ctx, run->arena, run->catalog, tables[i], &referrers,
                                     &referrer_count));
        for (uint32_t k = 0; k < referrer_count; k++) {
            const kd_table_entry *other = referrers[k].table;
            if (is_listed(tables, count, other->object.object_no))
                continue;
            if (ast->behavior != KD_AST_CASCADE) {
                kd_status status =
                    KD_FAIL(ctx, KD_INVALID, "0A000",
                            "cannot truncate a table referenced in a foreign key constraint");
                kd_error_set_detail(ctx, "Table \"%.*s\" references \"%.*s\".",
                                    (int)other->object.name.size_bytes, other->object.name.data,
                                    (int)tables[i]->object.name.size_bytes,
                                    tables[i]->object.name.data);
                kd_error_set_hint(ctx,
                                  "Truncate table \"%.*s\" at the same time, or use TRUNCATE "
                                  "... CASCADE.",
                                  (int)other->object.name.size_bytes, other->object.name.data);
                return status;
            }
            const kd_table_entry **added;
            KD_TRY(KD_PUSH(ctx, run->arena, tables, count, capacity, &added));
            *added = other;
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, other->table_no, KD_TABLE_EXCLUSIVE,
                                     false));
        }
    }
    for (size_t i = 0; i < count; i++) {
        KD_TRY(kdi_keys_leave(ctx, run, tables[i], tables[i]->parent_no));
        KD_TRY(truncate_table(ctx, run, tables[i], ast->restart_identity));
    }
    return KD_OK;
}
