/*
 * Table entries in the making: columns, constraints, storage.
 */
#include "engine/define_internal.h"

#include "sql/expr_walk.h"
#include "store/segment.h"

#include <assert.h>
#include <string.h>

kd_status kdi_draft_create(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                           kdi_draft **out_draft)
{
    kdi_draft *draft = KD_NEW(ctx, run->arena, kdi_draft);
    *out_draft = draft;
    if (draft == NULL)
        return KD_NOMEM;
    draft->run = run;
    draft->arena = run->arena;
    draft->entry.object =
        (kd_object){.kind = KD_OBJECT_TABLE, .schema_no = schema_no, .comment = {"", 0}};
    draft->entry.next_column_no = 1;
    KD_TRY(kdi_copy_name(ctx, run->arena, name, &draft->entry.object.name));
    return kd_catalog_next_object_no(ctx, run->session->database->catalog,
                                     &draft->entry.object.object_no);
}

#define COPY_LIST(member, count_member, capacity_member)                                       \
    do {                                                                                       \
        draft->capacity_member = table->count_member;                                          \
        draft->member =                                                                        \
            kd_alloc_array(ctx, draft->arena, table->count_member, sizeof *draft->member);     \
        if (draft->member == NULL)                                                             \
            return KD_NOMEM;                                                                   \
        if (table->count_member > 0)                                                           \
            memcpy(draft->member, table->member, table->count_member * sizeof *draft->member); \
    } while (0)

kd_status kdi_draft_open(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                         kdi_draft **out_draft)
{
    kdi_draft *draft = KD_NEW(ctx, run->arena, kdi_draft);
    *out_draft = draft;
    if (draft == NULL)
        return KD_NOMEM;
    draft->run = run;
    draft->arena = run->arena;
    draft->entry = *table;
    draft->exists = true;
    COPY_LIST(columns, column_count, column_capacity);
    COPY_LIST(indexes, index_count, index_capacity);
    COPY_LIST(checks, check_count, check_capacity);
    COPY_LIST(foreign_keys, foreign_count, foreign_capacity);
    if (table->table_no != 0)
        draft->storage = kd_table_find(run->session->database->storage, table->table_no);
    return KD_OK;
}

kd_status kdi_draft_sync(kd_ctx *ctx, kdi_draft *draft)
{
    kd_table_entry *entry = &draft->entry;
    kd_table_shape *shape = KD_NEW(ctx, draft->arena, kd_table_shape);
    kd_table_column *columns =
        KD_NEW_ARRAY(ctx, draft->arena, kd_table_column, entry->column_count);
    if (shape == NULL || columns == NULL)
        return KD_NOMEM;
    entry->columns = draft->columns;
    entry->indexes = draft->indexes;
    entry->checks = draft->checks;
    entry->foreign_keys = draft->foreign_keys;
    entry->visible_count = 0;
    for (uint32_t i = 0; i < entry->column_count; i++) {
        columns[i] = draft->columns[i].storage;
        entry->visible_count += !draft->columns[i].hidden;
    }
    *shape = (kd_table_shape){
        .table_name = entry->object.name, .column_count = entry->column_count, .columns = columns};
    entry->shape = shape;
    return KD_OK;
}

/* The storage tells the names of keys in its errors. A key over all partitions has one of its own.
 */
static kd_status tell_index_names(kd_ctx *ctx, const kdi_draft *draft)
{
    kd_session *session = draft->run->session;
    for (uint32_t i = 0; i < draft->entry.index_count; i++) {
        const kd_table_index *index = &draft->indexes[i];
        kd_table *storage = index->key_table_no == 0
                                ? draft->storage
                                : kd_table_find(session->database->storage, index->key_table_no);
        if (storage != NULL && index->storage.unique)
            KD_TRY(kd_table_rename_index(ctx, session->txn, storage, &index->storage));
    }
    return KD_OK;
}

kd_status kdi_draft_put(kd_ctx *ctx, kdi_draft *draft)
{
    KD_TRY(tell_index_names(ctx, draft));
    KD_TRY(kdi_draft_sync(ctx, draft));
    return kdi_put(ctx, draft->run, &draft->entry.object);
}

int kdi_draft_find_column(const kdi_draft *draft, kd_slice name)
{
    for (uint32_t i = 0; i < draft->entry.column_count; i++)
        if (!draft->columns[i].hidden && kd_slice_equal(draft->columns[i].storage.name, name))
            return (int)i;
    return -1;
}

kd_status kdi_check_column_type(kd_ctx *ctx, kd_slice name, kd_type type)
{
    bool is_pseudo =
        type.id == KD_TYPE_VOID ||
        (type.id == KD_TYPE_RECORD && (type.object == 0 || (type.object & KD_ROW_IS_LOCAL) != 0));
    if (!is_pseudo)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "42P16", "column \"%.*s\" has pseudo-type %s",
                   (int)name.size_bytes, name.data, kd_type_internal_name(type));
}

kd_status kdi_check_column_name(kd_ctx *ctx, kd_slice name)
{
    if (!kd_is_system_column(name))
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "42701",
                   "column name \"%.*s\" conflicts with a system column name", (int)name.size_bytes,
                   name.data);
}

kd_status kdi_draft_add_column(kd_ctx *ctx, kdi_draft *draft, kd_slice name, kd_type type,
                               bool hidden, kd_column **out_column)
{
    kd_table_entry *entry = &draft->entry;
    kd_column *added;
    *out_column = NULL;
    KD_TRY(kdi_check_column_name(ctx, name));
    if (!hidden && kdi_draft_find_column(draft, name) >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42701",
                       draft->exists ? "column \"%.*s\" of relation \"%.*s\" already exists"
                                     : "column \"%.*s\" specified more than once",
                       (int)name.size_bytes, name.data, (int)entry->object.name.size_bytes,
                       entry->object.name.data);
    KD_TRY(kdi_check_column_type(ctx, name, type));
    if (entry->column_count >= KD_SEGMENT_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "tables can have at most %d columns",
                       KD_SEGMENT_COLUMNS_MAX);
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->columns, entry->column_count, draft->column_capacity,
                   &added));
    uint32_t at = entry->column_count - 1;
    for (; !hidden && at > 0 && draft->columns[at - 1].hidden; at--)
        draft->columns[at] = draft->columns[at - 1];
    added = &draft->columns[at];
    *added = (kd_column){.storage = {.column_no = entry->next_column_no++,
                                     .type = type,
                                     .missing = kd_value_null(type)},
                         .default_text = {"", 0},
                         .comment = {"", 0},
                         .hidden = hidden};
    KD_TRY(kdi_copy_name(ctx, draft->arena, name, &added->storage.name));
    *out_column = added;
    return KD_OK;
}

kd_status kdi_draft_uses_column(kd_ctx *ctx, kdi_draft *draft, kd_slice text, uint32_t position,
                                bool *out_uses)
{
    kd_run *run = draft->run;
    kd_bind_options options;
    kd_column_id *ids;
    kd_expr *bound;
    kd_id_set used = {.arena = draft->arena};
    *out_uses = false;
    KD_TRY(kdi_draft_sync(ctx, draft));
    KD_TRY(kdi_bind_options(ctx, draft->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_expression_text(ctx, draft->arena, &options, text, &draft->entry,
                                   kd_type_of(KD_TYPE_UNKNOWN), &ids, &bound));
    KD_TRY(kd_expr_columns(ctx, bound, &used));
    *out_uses = kd_id_set_has(&used, ids[position]);
    return KD_OK;
}

/* A generated column is made from stored ones only. */
static kd_status no_generated(kd_ctx *ctx, kdi_draft *draft, kd_slice text)
{
    for (uint32_t i = 0; i < draft->entry.column_count; i++) {
        bool uses = false;
        if (!draft->columns[i].generated || draft->columns[i].hidden)
            continue;
        KD_TRY(kdi_draft_uses_column(ctx, draft, text, i, &uses));
        if (!uses)
            continue;
        kd_slice name = draft->columns[i].storage.name;
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "42P17",
                    "cannot use generated column \"%.*s\" in column generation expression",
                    (int)name.size_bytes, name.data);
        kd_error_set_detail(ctx, "A generated column cannot reference another generated column.");
        return status;
    }
    return KD_OK;
}

kd_status kdi_draft_check_expression(kd_ctx *ctx, kdi_draft *draft, kd_slice text, bool over_table,
                                     kd_type wanted, const char *immutable, kd_type *out_type)
{
    kd_run *run = draft->run;
    kd_bind_options options;
    kd_column_id *ids;
    kd_expr *bound;
    KD_TRY(kdi_draft_sync(ctx, draft));
    KD_TRY(kdi_bind_options(ctx, draft->arena, run->session, run->catalog, &run->facts, &options));
    options.allow_parameters = false;
    KD_TRY(kd_bind_expression_text(ctx, draft->arena, &options, text,
                                   over_table ? &draft->entry : NULL, wanted, &ids, &bound));
    if (out_type != NULL)
        *out_type = bound->type;
    if (kd_expr_has_subquery(bound))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "cannot use subquery in a definition");
    if (immutable != NULL && !kd_expr_is_immutable(bound))
        return KD_FAIL(ctx, KD_INVALID, "42P17", "%s", immutable);
    return KD_OK;
}

/* --- Columns as written
 * ------------------------------------------------------------------------------ */

/* serial, bigserial, smallserial: an integer with a sequence of its own. */
static bool serial_type(kd_slice name, kd_type *out_type)
{
    static const struct {
        const char *name;
        kd_type_id id;
    } serials[] = {{"serial", KD_TYPE_INT4},      {"serial4", KD_TYPE_INT4},
                   {"bigserial", KD_TYPE_INT8},   {"serial8", KD_TYPE_INT8},
                   {"smallserial", KD_TYPE_INT2}, {"serial2", KD_TYPE_INT2}};
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++) {
        if (kd_slice_equal(name, kd_slice_of(serials[i].name))) {
            *out_type = kd_type_of(serials[i].id);
            return true;
        }
    }
    return false;
}

/* Gives the column a sequence: DEFAULT nextval(its number). */
static kd_status add_sequence(kd_ctx *ctx, kdi_draft *draft, kd_column *column,
                              const kd_ast_list *options)
{
    kd_table_entry *entry = &draft->entry;
    kd_slice name;
    KD_TRY(kdi_choose_name(ctx, draft->run, draft, entry->object.schema_no, entry->object.name,
                           column->storage.name, "seq", &name));
    KD_TRY(kdi_sequence_make(ctx, draft->run, entry->object.schema_no, name, column->storage.type,
                             options, entry->object.object_no, column->storage.column_no,
                             &column->sequence_no));
    char *text = kd_format_text(ctx, draft->arena, "nextval(%u::oid)", column->sequence_no);
    if (text == NULL)
        return KD_NOMEM;
    column->default_text = kd_slice_of(text);
    column->storage.not_null = true;
    return KD_OK;
}

/* A domain's NOT NULL, default and checks become the column's own. */
static kd_status add_domain(kd_ctx *ctx, kdi_draft *draft, kd_column *column,
                            const kd_ast_type *type)
{
    const kd_object *object = type->dimensions > 0 ? NULL : kdi_find_type(draft->run, &type->name);
    if (object == NULL || object->kind != KD_OBJECT_DOMAIN)
        return KD_OK;
    const kd_domain_entry *domain = (const kd_domain_entry *)object;
    column->domain_no = object->object_no;
    column->storage.not_null |= domain->not_null;
    column->domain_not_null = domain->not_null;
    kd_slice name = column->storage.name;
    for (uint32_t i = 0; i < domain->check_count; i++) {
        kd_check *added;
        KD_TRY(KD_PUSH(ctx, draft->arena, draft->checks, draft->entry.check_count,
                       draft->check_capacity, &added));
        added->name = domain->checks[i].name;
        KD_TRY(kdi_replace_name(ctx, draft->arena, domain->checks[i].expression_text,
                                KD_SLICE("value"), name, &added->expression_text));
    }
    return KD_OK;
}

/* Whether a column's constraint may name columns that come after it. */
static bool is_late(const kd_ast_node *node)
{
    kd_ast_constraint_kind what = ((const kd_ast_constraint *)node)->what;
    return what == KD_AST_CONSTRAINT_GENERATED || what == KD_AST_CONSTRAINT_CHECK;
}

kd_status kdi_draft_add_late(kd_ctx *ctx, kdi_draft *draft, const kd_ast_column_def *definition)
{
    int position = kdi_draft_find_column(draft, definition->name);
    assert(position >= 0);
    for (size_t i = 0; i < definition->constraints.count; i++)
        if (is_late(definition->constraints.items[i]))
            KD_TRY(kdi_draft_add_constraint(
                ctx, draft, (const kd_ast_constraint *)definition->constraints.items[i], position));
    return KD_OK;
}

/* NOT NULL after NULL; the other way round is seen when NULL is added. */
static kd_status check_null(kd_ctx *ctx, const kd_ast_column_def *definition)
{
    bool is_null = false;
    for (size_t i = 0; i < definition->constraints.count; i++) {
        kd_ast_constraint_kind what =
            ((const kd_ast_constraint *)definition->constraints.items[i])->what;
        is_null |= what == KD_AST_CONSTRAINT_NULL;
        if (is_null && what == KD_AST_CONSTRAINT_NOT_NULL)
            return KD_FAIL(ctx, KD_INVALID, "42601",
                           "conflicting NULL/NOT NULL declarations for column \"%.*s\"",
                           (int)definition->name.size_bytes, definition->name.data);
    }
    return KD_OK;
}

kd_status kdi_draft_add_definition(kd_ctx *ctx, kdi_draft *draft,
                                   const kd_ast_column_def *definition)
{
    kd_run *run = draft->run;
    kd_bind_options options;
    kd_type type;
    kd_column *column;
    bool is_serial = definition->type.name.schema.size_bytes == 0 &&
                     definition->type.dimensions == 0 &&
                     serial_type(definition->type.name.name, &type);
    KD_TRY(kdi_bind_options(ctx, draft->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(check_null(ctx, definition));
    if (!is_serial)
        KD_TRY(kd_bind_type(ctx, &options, &definition->type, &type));
    KD_TRY(kdi_draft_add_column(ctx, draft, definition->name, type, false, &column));
    KD_TRY(add_domain(ctx, draft, column, &definition->type));
    column = &draft->columns[kdi_draft_find_column(draft, definition->name)];
    if (is_serial)
        KD_TRY(add_sequence(ctx, draft, column, NULL));
    const kd_object *domain = definition->type.dimensions > 0 || is_serial
                                  ? NULL
                                  : kdi_find_type(run, &definition->type.name);
    for (size_t i = 0; i < definition->constraints.count; i++) {
        int position = kdi_draft_find_column(draft, definition->name);
        assert(position >= 0);
        if (!is_late(definition->constraints.items[i]))
            KD_TRY(kdi_draft_add_constraint(
                ctx, draft, (const kd_ast_constraint *)definition->constraints.items[i], position));
    }
    /* A domain's default is for columns that have none of their own. */
    column = &draft->columns[kdi_draft_find_column(draft, definition->name)];
    if (domain != NULL && domain->kind == KD_OBJECT_DOMAIN && column->default_text.size_bytes == 0)
        column->default_text = ((const kd_domain_entry *)domain)->default_text;
    return KD_OK;
}

/* --- Constraints
 * ---------------------------------------------------------------------------------------- */

static kd_status set_default(kd_ctx *ctx, kdi_draft *draft, kd_column *column,
                             const kd_ast_node *value)
{
    kd_type type = column->storage.type;
    KD_TRY(kdi_node_text(ctx, draft->run, value, &column->default_text));
    kd_slice text = column->default_text;
    kd_status status = kdi_draft_check_expression(ctx, draft, text, false, type, NULL, NULL);
    if (status != KD_OK && strcmp(ctx->error.sqlstate, "42703") == 0) {
        kd_error_clear(ctx);
        status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                         "cannot use column reference in DEFAULT expression");
    }
    kd_error_set_position(ctx, value->position);
    return status;
}

static kd_status set_generated(kd_ctx *ctx, kdi_draft *draft, kd_column *column,
                               const kd_ast_constraint *constraint)
{
    kd_type type = column->storage.type;
    kd_slice text;
    if (constraint->is_virtual)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "generated columns must be STORED; write GENERATED ALWAYS AS (...) STORED");
    if (column->default_text.size_bytes > 0)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "both default and generation expression specified for column \"%.*s\"",
                       (int)column->storage.name.size_bytes, column->storage.name.data);
    KD_TRY(kdi_node_text(ctx, draft->run, constraint->value, &text));
    KD_TRY(kdi_draft_check_expression(ctx, draft, text, true, type,
                                      "generation expression is not immutable", NULL));
    column->generated = true;
    KD_TRY(no_generated(ctx, draft, text));
    column->default_text = text;
    return KD_OK;
}

static kd_status check_is_condition(kd_ctx *ctx, kdi_draft *draft, kd_slice text)
{
    kd_status status =
        kdi_draft_check_expression(ctx, draft, text, true, kd_type_of(KD_TYPE_BOOL), NULL, NULL);
    if (status == KD_OK || strcmp(ctx->error.sqlstate, "42846") != 0)
        return status;
    kd_type type = kd_type_of(KD_TYPE_UNKNOWN);
    kd_error_clear(ctx);
    KD_TRY(kdi_draft_check_expression(ctx, draft, text, true, type, NULL, &type));
    return KD_FAIL(ctx, KD_INVALID, "42804", "argument of CHECK must be type boolean, not type %s",
                   kd_type_internal_name(type));
}

static kd_status add_check(kd_ctx *ctx, kdi_draft *draft, const kd_ast_constraint *constraint,
                           int column)
{
    kd_table_entry *entry = &draft->entry;
    kd_slice text, name = constraint->name;
    kd_check *added;
    KD_TRY(kdi_node_text(ctx, draft->run, constraint->value, &text));
    KD_TRY(check_is_condition(ctx, draft, text));
    if (name.size_bytes == 0)
        KD_TRY(kdi_choose_name(
            ctx, draft->run, draft, entry->object.schema_no, entry->object.name,
            column >= 0 ? draft->columns[column].storage.name : (kd_slice){"", 0}, "check", &name));
    else
        KD_TRY(kdi_copy_name(ctx, draft->arena, name, &name));
    for (uint32_t i = 0; i < entry->check_count; i++)
        if (kd_slice_equal(draft->checks[i].name, name))
            return KD_FAIL(ctx, KD_INVALID, "42710",
                           "constraint \"%.*s\" for relation \"%.*s\" already exists",
                           (int)name.size_bytes, name.data, (int)entry->object.name.size_bytes,
                           entry->object.name.data);
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->checks, entry->check_count, draft->check_capacity,
                   &added));
    *added = (kd_check){
        .name = name, .expression_text = text, .not_valid = draft->exists && constraint->not_valid};
    return KD_OK;
}

/* The columns that a foreign key refers to: as written, or the primary key. */
static kd_status target_columns(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *target,
                                const kd_ast_constraint *constraint, uint32_t count,
                                uint32_t *out_column_nos)
{
    uint32_t named = (uint32_t)constraint->references_columns.count;
    for (uint32_t i = 0; i < target->index_count && named == 0; i++) {
        const kd_index_definition *index = &target->indexes[i].storage;
        if (!target->indexes[i].is_primary)
            continue;
        if (index->deferrable)
            return KD_FAIL(ctx, KD_INVALID, "55000",
                           "cannot use a deferrable primary key for referenced table \"%.*s\"",
                           (int)target->object.name.size_bytes, target->object.name.data);
        if (index->column_count != count)
            return KD_FAIL(ctx, KD_INVALID, "42830",
                           "number of referencing and referenced columns "
                           "for foreign key disagree");
        for (uint32_t c = 0; c < count; c++)
            out_column_nos[c] = index->columns[c].column_no;
        return KD_OK;
    }
    if (named == 0)
        return KD_FAIL(ctx, KD_INVALID, "42704",
                       "there is no primary key for referenced table \"%.*s\"",
                       (int)target->object.name.size_bytes, target->object.name.data);
    if (named != count)
        return KD_FAIL(ctx, KD_INVALID, "42830",
                       "number of referencing and referenced columns for foreign key disagree");
    for (uint32_t i = 0; i < count; i++) {
        kd_slice name = constraint->references_columns.items[i];
        uint32_t c = 0;
        while (c < target->column_count && (target->columns[c].hidden ||
                                            !kd_slice_equal(target->columns[c].storage.name, name)))
            c++;
        if (c == target->column_count)
            return KD_FAIL(ctx, KD_INVALID, "42703",
                           "column \"%.*s\" referenced in foreign key constraint does not exist",
                           (int)name.size_bytes, name.data);
        out_column_nos[i] = target->columns[c].storage.column_no;
    }
    (void)draft;
    return KD_OK;
}

/* A unique key that is judged at once over just these columns stands behind every reference. */
static kd_status check_target_key(kd_ctx *ctx, const kd_table_entry *target,
                                  const uint32_t *column_nos, uint32_t count)
{
    kd_slice name = target->object.name;
    bool is_deferrable = false;
    for (uint32_t i = 0; i < target->index_count; i++) {
        const kd_index_definition *index = &target->indexes[i].storage;
        uint32_t matched = 0;
        if (!index->unique || index->exclusion || index->column_count != count ||
            index->predicate_column_no >= 0)
            continue;
        for (uint32_t c = 0; c < count; c++)
            for (uint32_t k = 0; k < count; k++)
                matched += index->columns[c].column_no == column_nos[k];
        if (matched == count && !index->deferrable)
            return KD_OK;
        is_deferrable |= matched == count;
    }
    if (is_deferrable)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "cannot use a deferrable unique constraint for referenced table \"%.*s\"",
                       (int)name.size_bytes, name.data);
    return KD_FAIL(ctx, KD_INVALID, "42830",
                   "there is no unique constraint matching given keys for referenced table "
                   "\"%.*s\"",
                   (int)name.size_bytes, name.data);
}

static const kd_column *column_of(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return &table->columns[i];
    return NULL;
}

static bool types_fit(kd_type a, kd_type b)
{
    return (kd_type_same(a, b) && kd_type_physical(a) == kd_type_physical(b)) ||
           (kd_type_is_integer(a) && kd_type_is_integer(b)) ||
           (kd_type_is_string(a) && kd_type_is_string(b));
}

kd_status kdi_foreign_types_check(kd_ctx *ctx, const kd_table_entry *table,
                                  const kd_table_entry *target, kd_slice name, const uint32_t *ours,
                                  const uint32_t *theirs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!types_fit(column_of(table, ours[i])->storage.type,
                       column_of(target, theirs[i])->storage.type))
            return KD_FAIL(ctx, KD_INVALID, "42804",
                           "foreign key constraint \"%.*s\" cannot be implemented: key columns are "
                           "of incompatible types",
                           (int)name.size_bytes, name.data);
    return KD_OK;
}

static kd_foreign_action action_of(kd_ast_fk_action action)
{
    static const kd_foreign_action actions[] = {KD_FOREIGN_NO_ACTION, KD_FOREIGN_RESTRICT,
                                                KD_FOREIGN_CASCADE, KD_FOREIGN_SET_NULL,
                                                KD_FOREIGN_SET_DEFAULT};
    return actions[action];
}

/* Rows that are there already must fit a new foreign key. */
kd_status kdi_draft_check_rows(kd_ctx *ctx, kdi_draft *draft, const kd_foreign_key *key,
                               const kd_table_entry *target)
{
    if (!draft->exists || draft->entry.table_no == 0)
        return KD_OK;
    int64_t missing;
    kd_buffer text = kd_buffer_in(draft->arena);
    KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT 1"));
    KD_TRY(kdi_foreign_append_missing(ctx, &text, draft->run->catalog, &draft->entry, key, target));
    KD_TRY(kd_buffer_append_text(ctx, &text, " LIMIT 1"));
    KD_TRY(kdi_query_check(ctx, draft->run->session, kd_buffer_slice(&text), &missing));
    if (missing > 0)
        return KD_FAIL(ctx, KD_INVALID, "23503",
                       "insert or update on table \"%.*s\" violates "
                       "foreign key constraint \"%.*s\"",
                       (int)draft->entry.object.name.size_bytes, draft->entry.object.name.data,
                       (int)key->name.size_bytes, key->name.data);
    return KD_OK;
}

static kd_status resolve_target(kd_ctx *ctx, kdi_draft *draft, const kd_ast_name *name,
                                const kd_table_entry **out_target)
{
    kd_run *run = draft->run;
    kd_bind_options options;
    const kd_object *object;
    /* A table may refer to itself before it is in the catalog. */
    *out_target = &draft->entry;
    if (name->schema.size_bytes == 0 && kd_slice_equal(name->name, draft->entry.object.name))
        return kdi_draft_sync(ctx, draft);
    KD_TRY(kdi_bind_options(ctx, draft->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, name, false, &object));
    if (object->kind != KD_OBJECT_TABLE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "referenced relation \"%.*s\" is not a table",
                       (int)name->name.size_bytes, name->name.data);
    *out_target = (const kd_table_entry *)object;
    bool temporary = draft->entry.is_temporary;
    if (temporary != (*out_target)->is_temporary)
        return KD_FAIL(
            ctx, KD_INVALID, "42P16", "constraints on %s tables may reference only %s tables",
            temporary ? "temporary" : "permanent", temporary ? "temporary" : "permanent");
    return KD_OK;
}

/* Writers of the referenced table who do not know the new key yet must not go on: they wait for the
 * lock, and then see that the entry is not theirs any more. */
static kd_status touch_target(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *target)
{
    kd_session *session = draft->run->session;
    const kd_table_entry **partitions;
    uint32_t count;
    if (target == &draft->entry)
        return KD_OK;
    if (target->strategy == KD_PARTITION_NONE) {
        KD_TRY(kd_txn_lock_table(ctx, session->txn, target->table_no, KD_TABLE_SHARE, false));
        return kd_catalog_put(ctx, session->database->catalog, session->txn, &target->object);
    }
    KD_TRY(kd_catalog_partitions(ctx, draft->arena, draft->run->catalog, target->object.object_no,
                                 &partitions, &count));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(touch_target(ctx, draft, partitions[i]));
    return KD_OK;
}

static kd_status add_foreign_key(kd_ctx *ctx, kdi_draft *draft, const kd_ast_constraint *constraint,
                                 const kd_slice *names, uint32_t count)
{
    kd_table_entry *entry = &draft->entry;
    const kd_table_entry *target;
    kd_slice name = constraint->name;
    kd_foreign_key *added;
    uint32_t *ours = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, count);
    uint32_t *theirs = KD_NEW_ARRAY(ctx, draft->arena, uint32_t, count);
    if (ours == NULL || theirs == NULL)
        return KD_NOMEM;
    if (constraint->match == KD_AST_MATCH_PARTIAL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "MATCH PARTIAL not yet implemented");
    /* The entry is read below, and may be the target too: it has to know the newest column. */
    KD_TRY(kdi_draft_sync(ctx, draft));
    KD_TRY(resolve_target(ctx, draft, &constraint->references, &target));
    for (uint32_t i = 0; i < count; i++) {
        int position = kdi_draft_find_column(draft, names[i]);
        if (position < 0)
            return KD_FAIL(ctx, KD_INVALID, "42703",
                           "column \"%.*s\" referenced in foreign key constraint does not exist",
                           (int)names[i].size_bytes, names[i].data);
        ours[i] = draft->columns[position].storage.column_no;
    }
    KD_TRY(target_columns(ctx, draft, target, constraint, count, theirs));
    KD_TRY(check_target_key(ctx, target, theirs, count));
    if (name.size_bytes == 0)
        KD_TRY(kdi_choose_name(ctx, draft->run, draft, entry->object.schema_no, entry->object.name,
                               names[0], "fkey", &name));
    else
        KD_TRY(kdi_copy_name(ctx, draft->arena, name, &name));
    KD_TRY(kdi_foreign_types_check(ctx, &draft->entry, target, name, ours, theirs, count));
    KD_TRY(touch_target(ctx, draft, target));
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->foreign_keys, entry->foreign_count,
                   draft->foreign_capacity, &added));
    *added =
        (kd_foreign_key){.name = name,
                         .target_no = target->object.object_no,
                         .column_count = count,
                         .column_nos = ours,
                         .target_column_nos = theirs,
                         .on_delete = action_of(constraint->on_delete),
                         .on_update = action_of(constraint->on_update),
                         .match_full = constraint->match == KD_AST_MATCH_FULL,
                         .deferrable = constraint->deferrable || constraint->initially_deferred,
                         .initially_deferred = constraint->initially_deferred,
                         .not_valid = draft->exists && constraint->not_valid};
    KD_TRY(kdi_draft_sync(ctx, draft));
    return constraint->not_valid ? KD_OK : kdi_draft_check_rows(ctx, draft, added, target);
}

/* lint: long, because it is the list of constraints. */
kd_status kdi_draft_add_constraint(kd_ctx *ctx, kdi_draft *draft,
                                   const kd_ast_constraint *constraint, int column)
{
    kd_column *own = column >= 0 ? &draft->columns[column] : NULL;
    const kd_slice *names = own != NULL ? &own->storage.name : constraint->columns.items;
    uint32_t name_count = own != NULL ? 1 : (uint32_t)constraint->columns.count;
    switch (constraint->what) {
    case KD_AST_CONSTRAINT_NOT_NULL:
        own->storage.not_null = true;
        own->domain_not_null = false;
        return KD_OK;
    case KD_AST_CONSTRAINT_NULL:
        /* A domain's NOT NULL stays. */
        if (own->storage.not_null && !own->domain_not_null)
            return KD_FAIL(ctx, KD_INVALID, "42601",
                           "conflicting NULL/NOT NULL declarations for column \"%.*s\"",
                           (int)own->storage.name.size_bytes, own->storage.name.data);
        return KD_OK;
    case KD_AST_CONSTRAINT_DEFAULT:
        if (own->default_text.size_bytes > 0)
            return KD_FAIL(ctx, KD_INVALID, "42601",
                           "multiple default values specified for column \"%.*s\"",
                           (int)own->storage.name.size_bytes, own->storage.name.data);
        return set_default(ctx, draft, own, constraint->value);
    case KD_AST_CONSTRAINT_GENERATED:
        return set_generated(ctx, draft, own, constraint);
    case KD_AST_CONSTRAINT_IDENTITY:
        if (!kd_type_is_integer(own->storage.type))
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "identity column type must be smallint, integer, or bigint");
        own->identity = constraint->always ? KD_IDENTITY_ALWAYS : KD_IDENTITY_BY_DEFAULT;
        return add_sequence(ctx, draft, own, &constraint->options);
    case KD_AST_CONSTRAINT_CHECK:
        return add_check(ctx, draft, constraint, column);
    case KD_AST_CONSTRAINT_PRIMARY:
    case KD_AST_CONSTRAINT_UNIQUE:
        return kdi_draft_add_key(ctx, draft, constraint, names, name_count);
    case KD_AST_CONSTRAINT_FOREIGN:
        return add_foreign_key(ctx, draft, constraint, names, name_count);
    }
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "unknown kind of constraint %d", constraint->what);
}
