/*
 * ALTER TABLE.
 *
 * Adding a column with a constant default writes nothing: rows that are there get
 * the value as the column's `missing` one. A default that differs per row, a change
 * of type and a stored generated column rewrite the table.
 */
#include "engine/catalog_text.h"
#include "engine/define_internal.h"
#include "engine/table_key.h"

#include "sql/expr_walk.h"
#include "sql/query_text.h"

#include <assert.h>

typedef struct alteration {
    kd_run *run;
    const kd_table_entry *table;
    kdi_draft *draft;
    const kd_table_entry *named; /* The parent that the statement names, as it was; else NULL. */
    bool rewrite;                /* The rows must be copied into a new storage. */
    kdi_conversion *conversions; /* Columns whose types change. */
    uint32_t conversion_count;
    size_t conversion_capacity;
} alteration;

static kd_status find_column(kd_ctx *ctx, const alteration *work, kd_slice name, int *out_position)
{
    *out_position = kdi_draft_find_column(work->draft, name);
    if (*out_position < 0)
        return KD_FAIL(ctx, KD_INVALID, "42703",
                       "column \"%.*s\" of relation \"%.*s\" does not exist", (int)name.size_bytes,
                       name.data, (int)work->table->object.name.size_bytes,
                       work->table->object.name.data);
    return KD_OK;
}

/* Rows for which a condition holds: constraints are checked with a query. */
static kd_status any_row(kd_ctx *ctx, const alteration *work, kd_slice condition, bool *out_any)
{
    kd_buffer text = kd_buffer_in(work->run->arena);
    int64_t found;
    KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, &text, work->run->catalog, work->table));
    KD_TRY(kd_buffer_append_format(ctx, &text, " WHERE %.*s LIMIT 1", (int)condition.size_bytes,
                                   condition.data));
    KD_TRY(kdi_query_check(ctx, work->run->session, kd_buffer_slice(&text), &found));
    *out_any = found > 0;
    return KD_OK;
}

/* --- Columns
 * ---------------------------------------------------------------------------------------------- */

/* The one value that a default has for all rows, if it is one. */
static kd_status constant_default(kd_ctx *ctx, alteration *work, kd_column *column, bool *out_is)
{
    kd_run *run = work->run;
    kd_bind_options options;
    kd_column_id *ids;
    kd_expr *bound;
    kd_compiled_expr *compiled;
    *out_is = !column->generated;
    if (column->default_text.size_bytes == 0 || column->generated)
        return KD_OK;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_expression_text(ctx, run->arena, &options, column->default_text, NULL,
                                   column->storage.type, &ids, &bound));
    *out_is = !kd_expr_is_volatile(bound);
    if (!*out_is)
        return KD_OK;
    KD_TRY(kd_expr_compile(ctx, run->arena, bound, NULL, 0, &run->facts, NULL, 0, &compiled));
    return kd_expr_evaluate_row(ctx, compiled, run->arena, NULL, &column->storage.missing);
}

static kd_status add_column(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    kdi_draft *draft = work->draft;
    const kd_ast_column_def *definition = action->column_def;
    bool is_constant, any;
    if (action->if_not_exists && kdi_draft_find_column(draft, definition->name) >= 0) {
        kdi_session_notice(work->run->session, "NOTICE", "42701",
                           "column \"%.*s\" of relation \"%.*s\" already exists, skipping",
                           (int)definition->name.size_bytes, definition->name.data,
                           (int)work->table->object.name.size_bytes, work->table->object.name.data);
        return KD_OK;
    }
    /* Keys over the new column are built with the rewritten storage, or over the column once it is
     * there. */
    kd_table *storage = draft->storage;
    draft->storage = NULL;
    draft->exists = false;
    uint32_t index_count = draft->entry.index_count, check_count = draft->entry.check_count;
    kd_status status = kdi_draft_add_definition(ctx, draft, definition);
    if (status == KD_OK)
        status = kdi_draft_add_late(ctx, draft, definition);
    draft->storage = storage;
    draft->exists = true;
    KD_TRY(status);
    kd_column *column = &draft->columns[kdi_draft_find_column(draft, definition->name)];
    if (storage == NULL)
        return KD_OK;
    KD_TRY(constant_default(ctx, work, column, &is_constant));
    /* Copying the rows through the writer also checks them. */
    if (!is_constant || draft->entry.index_count > index_count ||
        draft->entry.check_count > check_count) {
        work->rewrite = true;
        return KD_OK;
    }
    if (column->storage.not_null && column->storage.missing.is_null) {
        KD_TRY(any_row(ctx, work, KD_SLICE("true"), &any));
        if (any)
            return KD_FAIL(ctx, KD_INVALID, "23502",
                           "column \"%.*s\" of relation \"%.*s\" contains null values",
                           (int)definition->name.size_bytes, definition->name.data,
                           (int)work->table->object.name.size_bytes, work->table->object.name.data);
    }
    return kd_table_add_column(ctx, work->run->session->txn, storage, &column->storage);
}

static bool index_has_column(const kd_table_index *index, uint32_t column_no)
{
    for (uint32_t i = 0; i < index->storage.column_count; i++)
        if (index->storage.columns[i].column_no == column_no)
            return true;
    return index->storage.predicate_column_no == (int64_t)column_no;
}

static kd_status drop_column(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action);

typedef struct owned_search {
    uint32_t table_no, column_no;
    uint32_t found; /* A sequence that the column owns, by OWNED BY; 0: none. */
} owned_search;

static void visit_owned(void *object, const kd_object *entry)
{
    owned_search *search = object;
    const kd_sequence_entry *sequence = (const kd_sequence_entry *)entry;
    if (entry->kind == KD_OBJECT_SEQUENCE && sequence->owner_table_no == search->table_no &&
        sequence->owner_column_no == search->column_no)
        search->found = entry->object_no;
}

/* Generated columns that are made from the column stop the drop, or go with it. */
static kd_status drop_generated_from(kd_ctx *ctx, alteration *work,
                                     const kd_ast_alter_action *action, int position)
{
    uint32_t column_no = work->draft->columns[position].storage.column_no;
    for (uint32_t i = 0; i < work->draft->entry.column_count; i++) {
        const kd_column *other = &work->draft->columns[i];
        bool uses = false;
        uint32_t at = 0;
        while (work->draft->columns[at].storage.column_no != column_no)
            at++;
        if (other->generated && !other->hidden && i != at)
            KD_TRY(kdi_draft_uses_column(ctx, work->draft, other->default_text, at, &uses));
        if (!uses)
            continue;
        if (action->behavior == KD_AST_CASCADE) {
            kd_ast_alter_action dependent = *action;
            dependent.name = other->storage.name;
            KD_TRY(drop_column(ctx, work, &dependent));
            i = UINT32_MAX; /* From the start: the list has become shorter. */
            continue;
        }
        kd_slice table = work->table->object.name;
        kd_status status = KD_FAIL(
            ctx, KD_INVALID, "2BP01",
            "cannot drop column %.*s of table %.*s because other objects depend on it",
            (int)action->name.size_bytes, action->name.data, (int)table.size_bytes, table.data);
        kd_error_set_detail(ctx, "column %.*s of table %.*s depends on column %.*s of table %.*s",
                            (int)other->storage.name.size_bytes, other->storage.name.data,
                            (int)table.size_bytes, table.data, (int)action->name.size_bytes,
                            action->name.data, (int)table.size_bytes, table.data);
        kd_error_set_hint(ctx, "Use DROP ... CASCADE to drop the dependent objects too.");
        return status;
    }
    return KD_OK;
}

/* Foreign keys that refer by a unique key stop the drop of it or of its column, or go with it. */
static kd_status drop_keys_to(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action,
                              const kd_table_index *index)
{
    kd_arena *arena = work->run->arena;
    kd_slice table = work->table->object.name, name = index->object.name;
    bool of_column = action->what == KD_AST_DROP_COLUMN;
    if (of_column)
        name = action->name;
    const char *subject = kd_format_text(
        ctx, arena, of_column ? "column %.*s of table %.*s" : "constraint %.*s on table %.*s",
        (int)name.size_bytes, name.data, (int)table.size_bytes, table.data);
    const char *base =
        of_column ? subject
                  : kd_format_text(ctx, arena, "index %.*s", (int)name.size_bytes, name.data);
    if (subject == NULL || base == NULL)
        return KD_NOMEM;
    return kdi_references_drop(ctx, work->draft, work->table, index,
                               action->behavior == KD_AST_CASCADE, subject, base);
}

static kd_status drop_indexes_of(kd_ctx *ctx, kdi_draft *draft, uint32_t column_no)
{
    for (uint32_t i = draft->entry.index_count; i > 0; i--)
        if (index_has_column(&draft->indexes[i - 1], column_no))
            KD_TRY(kdi_draft_drop_index(ctx, draft, i - 1));
    return KD_OK;
}

static void remove_column(kdi_draft *draft, uint32_t position)
{
    draft->entry.column_count--;
    for (uint32_t i = position; i < draft->entry.column_count; i++)
        draft->columns[i] = draft->columns[i + 1];
}

/* What indexes keep of expressions over the column goes with it, and so do they. Hidden columns
 * stand behind all others. */
static kd_status drop_hidden_from(kd_ctx *ctx, kdi_draft *draft, uint32_t position)
{
    for (uint32_t i = draft->entry.column_count; i > position + 1; i--) {
        const kd_column *hidden = &draft->columns[i - 1];
        bool uses = false;
        if (hidden->hidden && hidden->generated)
            KD_TRY(kdi_draft_uses_column(ctx, draft, hidden->default_text, position, &uses));
        if (!uses)
            continue;
        KD_TRY(drop_indexes_of(ctx, draft, hidden->storage.column_no));
        remove_column(draft, i - 1);
    }
    return KD_OK;
}

/* 42P16 for a column of the partition key, or of an expression in it. */
static kd_status refuse_partition_key(kd_ctx *ctx, kdi_draft *draft, uint32_t position,
                                      const char *verb)
{
    const kd_table_entry *entry = &draft->entry;
    kd_slice name = draft->columns[position].storage.name;
    for (uint32_t i = 0; i < entry->partition_column_count; i++) {
        uint32_t key = 0;
        while (draft->columns[key].storage.column_no != entry->partition_column_nos[i])
            key++;
        bool uses = key == position;
        if (draft->columns[key].hidden)
            KD_TRY(kdi_draft_uses_column(ctx, draft, draft->columns[key].default_text, position,
                                         &uses));
        if (uses)
            return KD_FAIL(ctx, KD_INVALID, "42P16",
                           "cannot %s column \"%.*s\" because it is part of the partition key of "
                           "relation \"%.*s\"",
                           verb, (int)name.size_bytes, name.data,
                           (int)entry->object.name.size_bytes, entry->object.name.data);
    }
    return KD_OK;
}

static kd_status drop_column(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    kdi_draft *draft = work->draft;
    kd_table_entry *entry = &draft->entry;
    int position = kdi_draft_find_column(draft, action->name);
    if (position < 0 && action->if_exists)
        return KD_OK;
    KD_TRY(find_column(ctx, work, action->name, &position));
    uint32_t column_no = draft->columns[position].storage.column_no;
    KD_TRY(refuse_partition_key(ctx, draft, (uint32_t)position, "drop"));
    KD_TRY(drop_generated_from(ctx, work, action, position));
    KD_TRY(find_column(ctx, work, action->name, &position));
    for (uint32_t i = 0; i < entry->index_count; i++)
        if (index_has_column(&draft->indexes[i], column_no))
            KD_TRY(drop_keys_to(ctx, work, action, &draft->indexes[i]));
    KD_TRY(drop_indexes_of(ctx, draft, column_no));
    KD_TRY(drop_hidden_from(ctx, draft, (uint32_t)position));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        bool uses = false;
        for (uint32_t k = 0; k < draft->foreign_keys[i].column_count; k++)
            uses |= draft->foreign_keys[i].column_nos[k] == column_no;
        if (!uses)
            draft->foreign_keys[kept++] = draft->foreign_keys[i];
    }
    entry->foreign_count = kept;
    uint32_t sequence_no = draft->columns[position].sequence_no;
    remove_column(draft, (uint32_t)position);
    /* Checks that name the column no longer bind: they go with it. */
    kept = 0;
    for (uint32_t i = 0; i < entry->check_count; i++) {
        kd_status bound = kdi_draft_check_expression(ctx, draft, draft->checks[i].expression_text,
                                                     true, kd_type_of(KD_TYPE_BOOL), NULL, NULL);
        if (bound == KD_OK)
            draft->checks[kept++] = draft->checks[i];
        else if (bound == KD_INVALID)
            kd_error_clear(ctx);
        else
            return bound;
    }
    entry->check_count = kept;
    owned_search owned = {.table_no = entry->object.object_no, .column_no = column_no};
    kd_catalog_visit(work->run->catalog, visit_owned, &owned);
    if (sequence_no == 0 && owned.found == 0)
        return KD_OK;
    KD_TRY(kdi_draft_put(ctx, draft));
    if (owned.found != 0 && owned.found != sequence_no)
        KD_TRY(kdi_drop_object(ctx, work->run, owned.found, action->behavior == KD_AST_CASCADE));
    return sequence_no == 0 ? KD_OK : kdi_drop_object(ctx, work->run, sequence_no, false);
}

static kd_status alter_type(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    kd_run *run = work->run;
    kd_bind_options options;
    kd_type type;
    int position;
    kd_buffer text = kd_buffer_in(run->arena), type_text = kd_buffer_in(run->arena);
    KD_TRY(find_column(ctx, work, action->name, &position));
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_type(ctx, &options, &action->type, &type));
    KD_TRY(refuse_partition_key(ctx, work->draft, (uint32_t)position, "alter"));
    for (uint32_t i = 0; i < work->conversion_count; i++)
        if (work->conversions[i].column_no == work->draft->columns[position].storage.column_no)
            return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                           "cannot alter type of column \"%.*s\" twice",
                           (int)action->name.size_bytes, action->name.data);
    for (uint32_t i = 0; i < work->draft->entry.column_count; i++) {
        const kd_column *other = &work->draft->columns[i];
        bool uses = false;
        if (other->generated && !other->hidden)
            KD_TRY(kdi_draft_uses_column(ctx, work->draft, other->default_text, (uint32_t)position,
                                         &uses));
        if (!uses)
            continue;
        kd_status status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                   "cannot alter type of a column used by a generated column");
        kd_error_set_detail(ctx, "Column \"%.*s\" is used by generated column \"%.*s\".",
                            (int)action->name.size_bytes, action->name.data,
                            (int)other->storage.name.size_bytes, other->storage.name.data);
        return status;
    }
    kd_column *column = &work->draft->columns[position];
    bool by_cast = kd_registry_can_coerce(run->session->database->registry, column->storage.type,
                                          type, KD_CAST_ASSIGNMENT);
    if (action->value == NULL && !by_cast) {
        kd_status status = KD_FAIL(
            ctx, KD_INVALID, "42804", "column \"%.*s\" cannot be cast automatically to type %s",
            (int)action->name.size_bytes, action->name.data, kd_type_internal_name(type));
        kd_error_set_hint(ctx, "You might need to specify \"USING %.*s::%s\".",
                          (int)action->name.size_bytes, action->name.data,
                          kd_type_internal_name(type));
        return status;
    }
    column->storage.type = type;
    column->storage.missing = kd_value_null(type);
    column->domain_no = 0;
    KD_TRY(kdi_references_fit(ctx, work->draft, column->storage.column_no));
    KD_TRY(kd_session_format_type(ctx, run->session, type, &type_text));
    if (action->value != NULL) {
        kd_slice using_text;
        KD_TRY(kdi_node_text(ctx, run, action->value, &using_text));
        KD_TRY(kd_buffer_append_format(ctx, &text, "(%.*s)::%s", (int)using_text.size_bytes,
                                       using_text.data, type_text.data));
    } else {
        KD_TRY(kd_buffer_append_format(ctx, &text, "\"%.*s\"::%s", (int)action->name.size_bytes,
                                       action->name.data, type_text.data));
    }
    kdi_conversion *added;
    KD_TRY(KD_PUSH(ctx, run->arena, work->conversions, work->conversion_count,
                   work->conversion_capacity, &added));
    *added =
        (kdi_conversion){.column_no = column->storage.column_no, .text = kd_buffer_slice(&text)};
    work->rewrite = true;
    return KD_OK;
}

static kd_status set_not_null(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    int position;
    bool any;
    kd_buffer condition = kd_buffer_in(work->run->arena);
    KD_TRY(find_column(ctx, work, action->name, &position));
    KD_TRY(kd_buffer_append_format(ctx, &condition, "\"%.*s\" IS NULL",
                                   (int)action->name.size_bytes, action->name.data));
    KD_TRY(any_row(ctx, work, kd_buffer_slice(&condition), &any));
    if (any)
        return KD_FAIL(ctx, KD_INVALID, "23502",
                       "column \"%.*s\" of relation \"%.*s\" contains null values",
                       (int)action->name.size_bytes, action->name.data,
                       (int)work->table->object.name.size_bytes, work->table->object.name.data);
    work->draft->columns[position].storage.not_null = true;
    return KD_OK;
}

static kd_status drop_not_null(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    int position;
    KD_TRY(find_column(ctx, work, action->name, &position));
    uint32_t column_no = work->draft->columns[position].storage.column_no;
    for (uint32_t i = 0; i < work->draft->entry.index_count; i++)
        if (work->draft->indexes[i].is_primary &&
            index_has_column(&work->draft->indexes[i], column_no))
            return KD_FAIL(ctx, KD_INVALID, "42P16", "column \"%.*s\" is in a primary key",
                           (int)action->name.size_bytes, action->name.data);
    work->draft->columns[position].storage.not_null = false;
    return KD_OK;
}

static kd_status set_default(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    int position;
    kd_slice text = {"", 0};
    KD_TRY(find_column(ctx, work, action->name, &position));
    kd_column *column = &work->draft->columns[position];
    if (column->generated)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "column \"%.*s\" of relation \"%.*s\" is a generated "
                       "column",
                       (int)action->name.size_bytes, action->name.data,
                       (int)work->table->object.name.size_bytes, work->table->object.name.data);
    if (action->what == KD_AST_SET_DEFAULT) {
        KD_TRY(kdi_node_text(ctx, work->run, action->value, &text));
        KD_TRY(kdi_draft_check_expression(ctx, work->draft, text, false, column->storage.type, NULL,
                                          NULL));
    } else if (column->domain_no != 0) {
        /* Without a default of its own it has its domain's. */
        const kd_object *domain = kd_catalog_get(work->run->catalog, column->domain_no);
        if (domain != NULL && domain->kind == KD_OBJECT_DOMAIN)
            text = ((const kd_domain_entry *)domain)->default_text;
    }
    column->default_text = text;
    return KD_OK;
}

static kd_status change_identity(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    int position;
    KD_TRY(find_column(ctx, work, action->name, &position));
    kd_column *column = &work->draft->columns[position];
    kd_slice table = work->table->object.name;
    if (action->what == KD_AST_ADD_IDENTITY && column->identity != KD_IDENTITY_NONE)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "column \"%.*s\" of relation \"%.*s\" is already an identity column",
                       (int)action->name.size_bytes, action->name.data, (int)table.size_bytes,
                       table.data);
    if (action->what == KD_AST_ADD_IDENTITY && !column->storage.not_null)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "column \"%.*s\" of relation \"%.*s\" must be declared NOT NULL before "
                       "identity can be added",
                       (int)action->name.size_bytes, action->name.data, (int)table.size_bytes,
                       table.data);
    if (action->what == KD_AST_ADD_IDENTITY && column->default_text.size_bytes > 0)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "column \"%.*s\" of relation \"%.*s\" already has a default value",
                       (int)action->name.size_bytes, action->name.data, (int)table.size_bytes,
                       table.data);
    if (action->what == KD_AST_ADD_IDENTITY)
        return kdi_draft_add_constraint(ctx, work->draft, action->constraint, position);
    if (action->what == KD_AST_SET_IDENTITY && column->identity != KD_IDENTITY_NONE) {
        for (size_t i = 0; i < action->options.count; i++) {
            const kd_ast_option *option = (const kd_ast_option *)action->options.items[i];
            if (kd_slice_equal(option->name, KD_SLICE("generated")))
                column->identity = ((const kd_ast_constant *)option->value)->boolean
                                       ? KD_IDENTITY_ALWAYS
                                       : KD_IDENTITY_BY_DEFAULT;
        }
        const kd_object *sequence = kd_catalog_get(work->run->catalog, column->sequence_no);
        return sequence == NULL
                   ? KD_OK
                   : kdi_sequence_change(ctx, work->run, (const kd_sequence_entry *)sequence,
                                         &action->options);
    }
    if (column->identity == KD_IDENTITY_NONE) {
        if (action->if_exists)
            return KD_OK;
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "column \"%.*s\" of relation \"%.*s\" is not an identity column",
                       (int)action->name.size_bytes, action->name.data,
                       (int)work->table->object.name.size_bytes, work->table->object.name.data);
    }
    uint32_t sequence_no = column->sequence_no;
    column->identity = KD_IDENTITY_NONE;
    column->sequence_no = 0;
    column->default_text = (kd_slice){"", 0};
    KD_TRY(kdi_draft_put(ctx, work->draft));
    return kdi_drop_object(ctx, work->run, sequence_no, false);
}

/* --- Constraints
 * --------------------------------------------------------------------------------------------- */

static kd_status check_holds(kd_ctx *ctx, alteration *work, const kd_check *check)
{
    bool any;
    kd_buffer condition = kd_buffer_in(work->run->arena);
    KD_TRY(kd_buffer_append_format(ctx, &condition, "NOT (%.*s)",
                                   (int)check->expression_text.size_bytes,
                                   check->expression_text.data));
    KD_TRY(any_row(ctx, work, kd_buffer_slice(&condition), &any));
    if (any)
        return KD_FAIL(ctx, KD_INVALID, "23514",
                       "check constraint \"%.*s\" of relation \"%.*s\" is violated by some row",
                       (int)check->name.size_bytes, check->name.data,
                       (int)work->table->object.name.size_bytes, work->table->object.name.data);
    return KD_OK;
}

static kd_status add_constraint(kd_ctx *ctx, alteration *work, const kd_ast_constraint *constraint)
{
    uint32_t before = work->draft->entry.check_count;
    KD_TRY(kdi_draft_add_constraint(ctx, work->draft, constraint, -1));
    if (work->draft->entry.check_count == before || constraint->not_valid)
        return KD_OK;
    return check_holds(ctx, work, &work->draft->checks[before]);
}

static kd_status no_constraint(kd_ctx *ctx, const kd_table_entry *table, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "42704",
                   "constraint \"%.*s\" of relation \"%.*s\" does not exist", (int)name.size_bytes,
                   name.data, (int)table->object.name.size_bytes, table->object.name.data);
}

/* Rows from before the constraint are looked at now. */
static kd_status validate_constraint(kd_ctx *ctx, alteration *work,
                                     const kd_ast_alter_action *action)
{
    kdi_draft *draft = work->draft;
    kd_table_entry *entry = &draft->entry;
    for (uint32_t i = 0; i < entry->check_count; i++) {
        kd_check *check = &draft->checks[i];
        if (!kd_slice_equal(check->name, action->name))
            continue;
        if (check->not_valid)
            KD_TRY(check_holds(ctx, work, check));
        check->not_valid = false;
        return KD_OK;
    }
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        kd_foreign_key *key = &draft->foreign_keys[i];
        if (!kd_slice_equal(key->name, action->name))
            continue;
        const kd_object *target = kd_catalog_get(work->run->catalog, key->target_no);
        if (key->not_valid && target != NULL)
            KD_TRY(kdi_draft_check_rows(ctx, draft, key, (const kd_table_entry *)target));
        key->not_valid = false;
        return KD_OK;
    }
    for (uint32_t i = 0; i < entry->index_count; i++)
        if (draft->indexes[i].is_constraint &&
            kd_slice_equal(draft->indexes[i].object.name, action->name))
            return KD_FAIL(ctx, KD_INVALID, "42809",
                           "constraint \"%.*s\" of relation \"%.*s\" is not a foreign key or check "
                           "constraint",
                           (int)action->name.size_bytes, action->name.data,
                           (int)entry->object.name.size_bytes, entry->object.name.data);
    return no_constraint(ctx, entry, action->name);
}

static kd_status alter_constraint(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    kdi_draft *draft = work->draft;
    const kd_table_entry *entry = &draft->entry;
    const kd_ast_constraint *wanted = action->constraint;
    bool found = false;
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        kd_foreign_key *key = &draft->foreign_keys[i];
        if (!kd_slice_equal(key->name, action->name))
            continue;
        key->deferrable = wanted->deferrable || wanted->initially_deferred;
        key->initially_deferred = wanted->initially_deferred;
        return KD_OK;
    }
    for (uint32_t i = 0; i < entry->check_count; i++)
        found |= kd_slice_equal(draft->checks[i].name, action->name);
    for (uint32_t i = 0; i < entry->index_count; i++)
        found |= draft->indexes[i].is_constraint &&
                 kd_slice_equal(draft->indexes[i].object.name, action->name);
    if (!found)
        return no_constraint(ctx, entry, action->name);
    return KD_FAIL(ctx, KD_INVALID, "42809",
                   "constraint \"%.*s\" of relation \"%.*s\" is not a foreign key constraint",
                   (int)action->name.size_bytes, action->name.data,
                   (int)entry->object.name.size_bytes, entry->object.name.data);
}

/* A partition's key is the parent's over the same columns, under a name of its own. */
static bool is_named_key(const alteration *work, const kd_table_index *index, kd_slice name)
{
    const kd_table_entry *named = work->named;
    if (!index->is_constraint)
        return false;
    for (uint32_t i = 0; named != NULL && i < named->index_count; i++)
        if (named->indexes[i].is_constraint && kd_slice_equal(named->indexes[i].object.name, name))
            return kdi_index_is_counterpart(named, &named->indexes[i], work->table, index);
    return kd_slice_equal(index->object.name, name);
}

static kd_status drop_constraint(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    kdi_draft *draft = work->draft;
    kd_table_entry *entry = &draft->entry;
    for (uint32_t i = 0; i < entry->check_count; i++) {
        if (!kd_slice_equal(draft->checks[i].name, action->name))
            continue;
        entry->check_count--;
        for (uint32_t k = i; k < entry->check_count; k++)
            draft->checks[k] = draft->checks[k + 1];
        return KD_OK;
    }
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        if (!kd_slice_equal(draft->foreign_keys[i].name, action->name))
            continue;
        entry->foreign_count--;
        for (uint32_t k = i; k < entry->foreign_count; k++)
            draft->foreign_keys[k] = draft->foreign_keys[k + 1];
        return KD_OK;
    }
    for (uint32_t i = 0; i < entry->index_count; i++)
        if (is_named_key(work, &draft->indexes[i], action->name)) {
            KD_TRY(drop_keys_to(ctx, work, action, &draft->indexes[i]));
            return kdi_draft_drop_index(ctx, draft, i);
        }
    if (action->if_exists)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "42704",
                   "constraint \"%.*s\" of relation \"%.*s\" does not exist",
                   (int)action->name.size_bytes, action->name.data,
                   (int)entry->object.name.size_bytes, entry->object.name.data);
}

static kd_status detach_partition(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    const kd_table_entry *partition;
    kdi_draft *draft;
    KD_TRY(kdi_table_for_change(ctx, work->run, &action->parent, false, &partition));
    if (partition->parent_no != work->table->object.object_no)
        return KD_FAIL(ctx, KD_INVALID, "42P01",
                       "relation \"%.*s\" is not a partition of relation \"%.*s\"",
                       (int)partition->object.name.size_bytes, partition->object.name.data,
                       (int)work->table->object.name.size_bytes, work->table->object.name.data);
    KD_TRY(kdi_keys_leave(ctx, work->run, partition, partition->parent_no));
    KD_TRY(kdi_foreign_check_leaving(ctx, work->run, partition));
    KD_TRY(kdi_draft_open(ctx, work->run, partition, &draft));
    draft->entry.parent_no = 0;
    draft->entry.bound = (kd_partition_bound){0};
    return kdi_draft_put(ctx, draft);
}

static int column_named(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].hidden && kd_slice_equal(table->columns[i].storage.name, name))
            return (int)i;
    return -1;
}

static kd_status same_columns(kd_ctx *ctx, const kd_table_entry *parent,
                              const kd_table_entry *partition)
{
    for (uint32_t i = 0; i < parent->visible_count; i++) {
        const kd_table_column *column = &parent->columns[i].storage;
        int own = column_named(partition, column->name);
        if (own < 0 || !kd_type_same(partition->columns[own].storage.type, column->type))
            return KD_FAIL(ctx, KD_INVALID, "42804",
                           "table \"%.*s\" has no column \"%.*s\" of the "
                           "parent's type",
                           (int)partition->object.name.size_bytes, partition->object.name.data,
                           (int)column->name.size_bytes, column->name.data);
    }
    if (partition->visible_count == parent->visible_count)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "42804",
                   "table \"%.*s\" contains columns not found in parent \"%.*s\"",
                   (int)partition->object.name.size_bytes, partition->object.name.data,
                   (int)parent->object.name.size_bytes, parent->object.name.data);
}

static bool batch_has(const kd_table_entry *parent, const kd_partition_bound *bound, bool inside,
                      const kd_batch *batch)
{
    kd_value keys[32];
    for (uint32_t r = 0; r < batch->selected_count; r++) {
        for (uint32_t k = 0; k < parent->partition_column_count; k++)
            keys[k] = kd_vector_get(&batch->columns[k], kd_batch_row(batch, r));
        if (kd_partition_takes(parent, bound, keys) == inside)
            return true;
    }
    return false;
}

kd_status kdi_partition_has_row(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                                const kd_table_entry *table, const kd_partition_bound *bound,
                                bool inside, bool *out_has)
{
    kd_status status = KD_OK;
    kd_prepared *query = NULL;
    kd_run *reading = NULL;
    const kd_object *schema = kd_catalog_get(run->catalog, table->object.schema_no);
    kd_buffer text = kd_buffer_in(run->arena);
    *out_has = false;
    KD_TRY_OUT(kd_buffer_append_text(ctx, &text, "SELECT "));
    for (uint32_t k = 0; k < parent->partition_column_count; k++) {
        const kd_column *key = kdi_column_by_no(parent, parent->partition_column_nos[k]);
        KD_TRY_OUT(kd_buffer_append_text(ctx, &text, k == 0 ? "" : ", "));
        KD_TRY_OUT(key->hidden ? kd_buffer_append_slice(ctx, &text, key->default_text)
                               : kd_name_append(ctx, key->storage.name, &text));
    }
    KD_TRY_OUT(kd_buffer_append_format(
        ctx, &text, " FROM \"%.*s\".\"%.*s\"", (int)schema->name.size_bytes, schema->name.data,
        (int)table->object.name.size_bytes, table->object.name.data));
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, kd_buffer_slice(&text), NULL, 0, &query));
    KD_TRY_OUT(kd_run_begin(ctx, query, NULL, 0, &reading));
    for (bool end = false; !end && !*out_has;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, reading, &batch, &end));
        *out_has = batch_has(parent, bound, inside, &batch);
    }
out:
    kd_run_abandon(reading);
    kd_prepared_destroy(query);
    return status;
}

/* A default partition may hold what no other one does. */
static kd_status rows_fit(kd_ctx *ctx, alteration *work, const kd_table_entry *partition,
                          const kd_partition_bound *bound)
{
    const kd_table_entry **others;
    uint32_t count;
    bool any = false;
    KD_TRY(kd_catalog_partitions(ctx, work->run->arena, work->run->catalog,
                                 work->table->object.object_no, &others, &count));
    if (!bound->is_default)
        KD_TRY(kdi_partition_has_row(ctx, work->run, work->table, partition, bound, false, &any));
    for (uint32_t i = 0; bound->is_default && i < count && !any; i++)
        KD_TRY(kdi_partition_has_row(ctx, work->run, work->table, partition, &others[i]->bound,
                                     true, &any));
    if (any)
        return KD_FAIL(ctx, KD_INVALID, "23514",
                       "partition constraint of relation \"%.*s\" is violated by some row",
                       (int)partition->object.name.size_bytes, partition->object.name.data);
    return KD_OK;
}

/* What the parent asks of its rows, the partition must ask too. */
static kd_status same_constraints(kd_ctx *ctx, const kd_table_entry *parent,
                                  const kd_table_entry *partition)
{
    for (uint32_t i = 0; i < parent->check_count; i++) {
        kd_slice name = parent->checks[i].name;
        bool found = false;
        for (uint32_t k = 0; k < partition->check_count; k++)
            found |= kd_slice_equal(partition->checks[k].name, name);
        if (!found)
            return KD_FAIL(ctx, KD_INVALID, "42804", "child table is missing constraint \"%.*s\"",
                           (int)name.size_bytes, name.data);
    }
    for (uint32_t i = 0; i < parent->visible_count; i++) {
        kd_slice name = parent->columns[i].storage.name;
        int own = column_named(partition, name);
        if (own >= 0 && parent->columns[i].storage.not_null &&
            !partition->columns[own].storage.not_null)
            return KD_FAIL(ctx, KD_INVALID, "42804",
                           "column \"%.*s\" in child table must be marked NOT NULL",
                           (int)name.size_bytes, name.data);
    }
    return KD_OK;
}

static bool has_like(const kdi_draft *draft, const kd_table_index *index)
{
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        const kd_table_index *own = &draft->indexes[i];
        uint32_t same = 0;
        if (own->storage.unique != index->storage.unique ||
            own->storage.exclusion != index->storage.exclusion ||
            own->is_constraint != index->is_constraint ||
            own->storage.column_count != index->storage.column_count ||
            !kd_slice_equal(own->predicate_text, index->predicate_text))
            continue;
        for (uint32_t c = 0; c < own->storage.column_count; c++)
            same += kd_slice_equal(own->key_texts[c], index->key_texts[c]);
        if (same == own->storage.column_count)
            return true;
    }
    return false;
}

/* The parent's indexes and foreign keys that the partition has not got yet. */
static kd_status complete_partition(kd_ctx *ctx, alteration *work, kdi_draft *draft)
{
    const kd_table_entry *parent = work->table;
    for (uint32_t i = 0; i < parent->index_count; i++)
        if (!has_like(draft, &parent->indexes[i]))
            KD_TRY(kdi_draft_copy_index(ctx, draft, &parent->indexes[i]));
    for (uint32_t i = 0; i < parent->foreign_count; i++) {
        const kd_foreign_key *key = &parent->foreign_keys[i];
        bool found = false;
        for (uint32_t k = 0; k < draft->entry.foreign_count; k++)
            found |= kd_slice_equal(draft->foreign_keys[k].name, key->name);
        if (found)
            continue;
        KD_TRY(kdi_draft_copy_foreign(ctx, draft, parent, key));
        KD_TRY(kdi_draft_sync(ctx, draft));
        const kd_object *target = kd_catalog_get(work->run->catalog, key->target_no);
        KD_TRY(kdi_draft_check_rows(ctx, draft,
                                    &draft->foreign_keys[draft->entry.foreign_count - 1],
                                    (const kd_table_entry *)target));
    }
    return KD_OK;
}

/* The same for the partitions that an attached table brings along. */
static kd_status complete_below(kd_ctx *ctx, alteration *work, const kd_table_entry *table)
{
    const kd_table_entry **partitions;
    uint32_t count;
    KD_TRY(kd_catalog_partitions(ctx, work->run->arena, work->run->catalog, table->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++) {
        const kd_table_entry *below = partitions[i];
        kdi_draft *draft;
        if (below->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, work->run->session->txn, below->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(kdi_draft_open(ctx, work->run, below, &draft));
        KD_TRY(complete_partition(ctx, work, draft));
        if (draft->entry.column_count > below->column_count && draft->storage != NULL)
            KD_TRY(kdi_draft_rewrite(ctx, draft, below, NULL, 0));
        KD_TRY(kdi_draft_put(ctx, draft));
        KD_TRY(complete_below(ctx, work, below));
    }
    return table->strategy == KD_PARTITION_NONE
               ? KD_OK
               : kdi_keys_complete(ctx, work->run, table->object.object_no);
}

static kd_status attach_partition(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    const kd_table_entry *partition;
    kdi_draft *draft;
    kd_partition_bound bound;
    KD_TRY(kdi_table_for_change(ctx, work->run, &action->parent, false, &partition));
    if (partition->parent_no != 0)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is already a partition",
                       (int)partition->object.name.size_bytes, partition->object.name.data);
    KD_TRY(kdi_make_partition_bound(ctx, work->run, work->table, action->bound,
                                    partition->object.name, &bound));
    KD_TRY(same_columns(ctx, work->table, partition));
    KD_TRY(same_constraints(ctx, work->table, partition));
    KD_TRY(rows_fit(ctx, work, partition, &bound));
    KD_TRY(kdi_draft_open(ctx, work->run, partition, &draft));
    uint32_t columns = draft->entry.column_count;
    KD_TRY(complete_partition(ctx, work, draft));
    if (draft->entry.column_count > columns && draft->storage != NULL)
        KD_TRY(kdi_draft_rewrite(ctx, draft, partition, NULL, 0));
    draft->entry.parent_no = work->table->object.object_no;
    draft->entry.bound = bound;
    KD_TRY(kdi_draft_put(ctx, draft));
    KD_TRY(complete_below(ctx, work, partition));
    return kdi_keys_enter(
        ctx, work->run,
        (const kd_table_entry *)kd_catalog_get(work->run->catalog, partition->object.object_no),
        work->table->object.object_no);
}

/* --- Actions
 * -------------------------------------------------------------------------------------------------
 */

/* lint: long, because it is the list of actions. */
static kd_status act(kd_ctx *ctx, alteration *work, const kd_ast_alter_action *action)
{
    switch (action->what) {
    case KD_AST_ADD_COLUMN:
        return add_column(ctx, work, action);
    case KD_AST_DROP_COLUMN:
        return drop_column(ctx, work, action);
    case KD_AST_ALTER_TYPE:
        return alter_type(ctx, work, action);
    case KD_AST_SET_DEFAULT:
    case KD_AST_DROP_DEFAULT:
        return set_default(ctx, work, action);
    case KD_AST_SET_NOT_NULL:
        return set_not_null(ctx, work, action);
    case KD_AST_DROP_NOT_NULL:
        return drop_not_null(ctx, work, action);
    case KD_AST_ADD_IDENTITY:
    case KD_AST_SET_IDENTITY:
    case KD_AST_DROP_IDENTITY:
        return change_identity(ctx, work, action);
    case KD_AST_ADD_CONSTRAINT:
        return add_constraint(ctx, work, action->constraint);
    case KD_AST_DROP_CONSTRAINT:
        return drop_constraint(ctx, work, action);
    case KD_AST_ALTER_CONSTRAINT:
        return alter_constraint(ctx, work, action);
    case KD_AST_VALIDATE_CONSTRAINT:
        return validate_constraint(ctx, work, action);
    case KD_AST_ADD_INDEX:
        return kdi_draft_add_index(ctx, work->draft, action->index);
    case KD_AST_ATTACH_PARTITION:
        return attach_partition(ctx, work, action);
    case KD_AST_DETACH_PARTITION:
        return detach_partition(ctx, work, action);
    case KD_AST_SET_STATISTICS:
    case KD_AST_SET_STORAGE:
    case KD_AST_SET_COMPRESSION:
    case KD_AST_SET_COLUMN_OPTIONS:
    case KD_AST_SET_OPTIONS:
    case KD_AST_SET_LOGGED:
    case KD_AST_SET_UNLOGGED:
    case KD_AST_SET_TABLESPACE:
    case KD_AST_SET_METHOD:
    case KD_AST_SET_OWNER:
    case KD_AST_SET_REPLICA_IDENTITY:
    case KD_AST_CLUSTER_ON:
    case KD_AST_SET_WITHOUT_CLUSTER:
        return KD_OK; /* Accepted: they have no meaning here, or hold already. */
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "this action of ALTER TABLE is not supported");
    }
}

/* What a parent gets, its partitions get too. */
static kd_status alter_partitions(kd_ctx *ctx, kd_run *run, const kd_table_entry *named,
                                  const kd_table_entry *parent, const kd_ast_alter_table *ast);

/* Keys over all partitions of columns that get another type are made anew. */
static kd_status drop_changed_keys(kd_ctx *ctx, alteration *work)
{
    kdi_draft *draft = work->draft;
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        bool changes = false;
        for (uint32_t k = 0; k < work->conversion_count; k++)
            changes |= index_has_column(&draft->indexes[i], work->conversions[k].column_no);
        if (changes)
            KD_TRY(kdi_key_drop(ctx, work->run, &draft->indexes[i]));
    }
    return KD_OK;
}

/* A new check or foreign key has one name in a table and its partitions, a key one in each. */
static kd_status name_below(kd_ctx *ctx, const alteration *work, const kd_table_entry *before,
                            kd_ast_node **io_action)
{
    const kd_table_entry *entry = &work->draft->entry;
    const kd_ast_alter_action *action = (const kd_ast_alter_action *)*io_action;
    if (action->what != KD_AST_ADD_CONSTRAINT)
        return KD_OK;
    kd_ast_alter_action *own = KD_NEW(ctx, work->run->arena, kd_ast_alter_action);
    kd_ast_constraint *constraint = KD_NEW(ctx, work->run->arena, kd_ast_constraint);
    if (own == NULL || constraint == NULL)
        return KD_NOMEM;
    *own = *action;
    *constraint = *action->constraint;
    own->constraint = constraint;
    if (entry->check_count > before->check_count)
        constraint->name = work->draft->checks[before->check_count].name;
    else if (entry->foreign_count > before->foreign_count)
        constraint->name = work->draft->foreign_keys[before->foreign_count].name;
    else
        constraint->name = (kd_slice){"", 0};
    *io_action = &own->node;
    return KD_OK;
}

static kd_status alter_one(kd_ctx *ctx, kd_run *run, const kd_table_entry *named,
                           const kd_table_entry *table, const kd_ast_alter_table *ast)
{
    alteration work = {.run = run, .table = table, .named = named == table ? NULL : named};
    kd_ast_alter_table below = *ast;
    KD_TRY(kdi_deferred_refuse(ctx, run, table, "ALTER TABLE"));
    KD_TRY(kdi_draft_open(ctx, run, table, &work.draft));
    below.actions.items = KD_NEW_ARRAY(ctx, run->arena, kd_ast_node *, ast->actions.count);
    if (below.actions.items == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->actions.count; i++) {
        const kd_table_entry before = work.draft->entry;
        below.actions.items[i] = ast->actions.items[i];
        KD_TRY(act(ctx, &work, (const kd_ast_alter_action *)ast->actions.items[i]));
        if (table->strategy != KD_PARTITION_NONE)
            KD_TRY(name_below(ctx, &work, &before, &below.actions.items[i]));
    }
    KD_TRY(drop_changed_keys(ctx, &work));
    bool hidden_added = work.draft->entry.column_count - work.draft->entry.visible_count >
                        table->column_count - table->visible_count;
    if ((work.rewrite || hidden_added) && work.draft->storage != NULL)
        KD_TRY(kdi_draft_rewrite(ctx, work.draft, table, work.conversions, work.conversion_count));
    KD_TRY(kdi_draft_put(ctx, work.draft));
    for (size_t i = 0; i < ast->actions.count; i++) {
        const kd_ast_alter_action *action = (const kd_ast_alter_action *)ast->actions.items[i];
        if (action->what == KD_AST_DROP_COLUMN || action->what == KD_AST_ALTER_TYPE)
            KD_TRY(kdi_views_after(ctx, run, &table->object, action->behavior == KD_AST_CASCADE));
    }
    for (uint32_t i = 0; i < work.conversion_count; i++)
        KD_TRY(
            kdi_references_hold(ctx, run, table->object.object_no, work.conversions[i].column_no));
    if (table->strategy == KD_PARTITION_NONE)
        return KD_OK;
    KD_TRY(alter_partitions(ctx, run, named, table, &below));
    return kdi_keys_complete(ctx, run, table->object.object_no);
}

static kd_status alter_partitions(kd_ctx *ctx, kd_run *run, const kd_table_entry *named,
                                  const kd_table_entry *parent, const kd_ast_alter_table *ast)
{
    const kd_table_entry **partitions;
    uint32_t count;
    for (size_t i = 0; i < ast->actions.count; i++)
        if (((const kd_ast_alter_action *)ast->actions.items[i])->what >= KD_AST_ATTACH_PARTITION)
            return KD_OK;
    KD_TRY(kd_catalog_partitions(ctx, run->arena, run->catalog, parent->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i]->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, partitions[i]->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(alter_one(ctx, run, named, partitions[i], ast));
    }
    return KD_OK;
}

/* Changes that PostgreSQL refuses where some column holds rows of the table. */
static bool needs_no_row_users(const kd_ast_alter_action *action)
{
    if (action->what == KD_AST_ALTER_TYPE)
        return true;
    if (action->what != KD_AST_ADD_COLUMN)
        return false;
    for (size_t i = 0; i < action->column_def->constraints.count; i++) {
        const kd_ast_constraint *constraint =
            (const kd_ast_constraint *)action->column_def->constraints.items[i];
        if (constraint->what == KD_AST_CONSTRAINT_DEFAULT ||
            constraint->what == KD_AST_CONSTRAINT_GENERATED)
            return true;
    }
    return false;
}

/* Rows of the table that other tables hold follow its columns, one action at a time. */
static kd_status alter_row_type(kd_ctx *ctx, kd_run *run, uint32_t object_no,
                                const kd_ast_alter_table *ast)
{
    for (size_t i = 0; i < ast->actions.count; i++) {
        kd_ast_alter_table one = *ast;
        const kd_ast_alter_action *action = (const kd_ast_alter_action *)ast->actions.items[i];
        const kd_table_entry *table =
            (const kd_table_entry *)kd_catalog_get(run->catalog, object_no);
        one.actions = (kd_ast_list){.items = &ast->actions.items[i], .count = 1};
        if (needs_no_row_users(action))
            KD_TRY(kdi_refuse_row_users(ctx, run, &table->object));
        KD_TRY(alter_one(ctx, run, table, table, &one));
        if (action->what == KD_AST_ADD_COLUMN || action->what == KD_AST_DROP_COLUMN)
            KD_TRY(kdi_rewrite_row_users(ctx, run, object_no));
    }
    return KD_OK;
}

kd_status kdi_alter_table(kd_ctx *ctx, kd_run *run, const kd_ast_alter_table *ast)
{
    const kd_table_entry *table;
    kdi_set_tag(run, "ALTER TABLE");
    if (ast->object != KD_AST_OBJECT_TABLE && ast->object != KD_AST_OBJECT_MATERIALIZED_VIEW)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "ALTER of this kind of object takes RENAME and SET SCHEMA only");
    KD_TRY(kdi_table_for_change(ctx, run, &ast->name, ast->if_exists, &table));
    if (table == NULL) {
        kdi_session_notice(run->session, "NOTICE", "00000",
                           "relation \"%.*s\" does not exist, skipping",
                           (int)ast->name.name.size_bytes, ast->name.name.data);
        return KD_OK;
    }
    bool has_users;
    KD_TRY(kdi_has_row_users(ctx, run, table->object.object_no, &has_users));
    return has_users ? alter_row_type(ctx, run, table->object.object_no, ast)
                     : alter_one(ctx, run, table, table, ast);
}
