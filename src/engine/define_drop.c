/*
 * DROP: objects, what belongs to them, and what depends on them.
 *
 * An object's own parts go with it always (a table's indexes and sequences, a
 * parent's partitions). What merely depends on it (views, foreign keys, columns of
 * a type) stops the drop with 2BP01, or goes too with CASCADE.
 */
#include "engine/catalog_text.h"
#include "engine/define_internal.h"

#include "engine/define_role.h"
#include "engine/table_key.h"
#include "engine/view_content.h"

#include <assert.h>
#include <string.h>

enum { DEPTH_MAX = 200 };

typedef struct drop {
    kd_run *run;
    bool cascade;
    uint32_t depth;
    uint32_t schema_no; /* The schema that goes; 0: none. */
    uint32_t within_no; /* The partitioned table that goes with everything below it; 0: none. */
} drop;

static kd_status drop_one(kd_ctx *ctx, drop *work, uint32_t object_no);

/* "table t", "column c of table t": what an object is called in messages. */
static kd_status describe(kd_ctx *ctx, const kd_object *object, kd_buffer *out)
{
    static const char *const words[] = {
        [KD_OBJECT_SCHEMA] = "schema",     [KD_OBJECT_TABLE] = "table",
        [KD_OBJECT_VIEW] = "view",         [KD_OBJECT_INDEX] = "index",
        [KD_OBJECT_SEQUENCE] = "sequence", [KD_OBJECT_ENUM] = "type",
        [KD_OBJECT_DOMAIN] = "type",       [KD_OBJECT_COMPOSITE] = "type",
        [KD_OBJECT_ROUTINE] = "function"};
    kd_slice query;
    const char *word = object->kind < sizeof words / sizeof *words && words[object->kind] != NULL
                           ? words[object->kind]
                           : "object";
    if (kdi_materialized_query(object, &query))
        word = "materialized view";
    return kd_buffer_append_format(ctx, out, "%s %.*s", word, (int)object->name.size_bytes,
                                   object->name.data);
}

/* 2BP01 with one dependent: `what` comes before its name ("constraint c on "), and may be empty. */
static kd_status refuse(kd_ctx *ctx, kd_arena *arena, const kd_object *object,
                        const kd_object *dependent, const char *what)
{
    kd_buffer of = kd_buffer_in(arena), by = kd_buffer_in(arena);
    KD_TRY(describe(ctx, object, &of));
    KD_TRY(describe(ctx, dependent, &by));
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "2BP01", "cannot drop %.*s because other objects depend on it",
                (int)of.size_bytes, of.data);
    kd_error_set_detail(ctx, "%s%.*s depends on %.*s", what, (int)by.size_bytes, by.data,
                        (int)of.size_bytes, of.data);
    kd_error_set_hint(ctx, "Use DROP ... CASCADE to drop the dependent objects too.");
    return status;
}

/* --- Collecting: a list of object numbers by a test
 * --------------------------------------------------- */

typedef struct collection {
    kd_ctx *ctx;
    kd_arena *arena;
    bool (*wanted)(const kd_object *entry, uint32_t of);
    uint32_t of;
    uint32_t *numbers;
    uint32_t count;
    size_t capacity;
    kd_status status;
} collection;

static void visit(void *object, const kd_object *entry)
{
    collection *list = object;
    uint32_t *added;
    if (list->status != KD_OK || !list->wanted(entry, list->of))
        return;
    list->status =
        KD_PUSH(list->ctx, list->arena, list->numbers, list->count, list->capacity, &added);
    if (list->status == KD_OK)
        *added = entry->object_no;
}

static kd_status collect(kd_ctx *ctx, kd_run *run, bool (*wanted)(const kd_object *, uint32_t),
                         uint32_t of, collection *out)
{
    *out = (collection){.ctx = ctx, .arena = run->arena, .wanted = wanted, .of = of};
    kd_catalog_visit(run->catalog, visit, out);
    return out->status;
}

static bool is_partition_of(const kd_object *entry, uint32_t of)
{
    return entry->kind == KD_OBJECT_TABLE && ((const kd_table_entry *)entry)->parent_no == of;
}

static bool is_owned_by(const kd_object *entry, uint32_t of)
{
    return entry->kind == KD_OBJECT_SEQUENCE &&
           ((const kd_sequence_entry *)entry)->owner_table_no == of;
}

static bool is_view_over(const kd_object *entry, uint32_t of)
{
    const kd_view_entry *view = (const kd_view_entry *)entry;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    const kd_routine_entry *routine = (const kd_routine_entry *)entry;
    bool is_view = entry->kind == KD_OBJECT_VIEW, is_table = entry->kind == KD_OBJECT_TABLE;
    bool is_routine = entry->kind == KD_OBJECT_ROUTINE;
    uint32_t count = is_view      ? view->depends_count
                     : is_table   ? table->depends_count
                     : is_routine ? routine->depends_count
                                  : 0;
    const uint32_t *depends_on = is_view      ? view->depends_on
                                 : is_table   ? table->depends_on
                                 : is_routine ? routine->depends_on
                                              : NULL;
    if (is_routine && entry->object_no == of)
        return false; /* It calls itself. */
    for (uint32_t i = 0; i < count; i++)
        if (depends_on[i] == of)
            return true;
    return false;
}

static bool refers_to(const kd_object *entry, uint32_t of)
{
    if (entry->kind != KD_OBJECT_TABLE || entry->object_no == of)
        return false;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; i < table->foreign_count; i++)
        if (table->foreign_keys[i].target_no == of)
            return true;
    return false;
}

static bool routine_has_type(const kd_routine_entry *routine, uint32_t of)
{
    bool has = kd_type_object_no(routine->result) == of || routine->result_domain_no == of;
    for (uint32_t i = 0; i < routine->argument_count && !has; i++)
        has = kd_type_object_no(routine->arguments[i].type) == of ||
              routine->arguments[i].domain_no == of;
    return has;
}

static bool has_column_of_type(const kd_object *entry, uint32_t of)
{
    if (entry->kind == KD_OBJECT_ROUTINE)
        return routine_has_type((const kd_routine_entry *)entry, of);
    if (entry->kind == KD_OBJECT_DOMAIN)
        return kd_type_object_no(((const kd_domain_entry *)entry)->base) == of;
    if (entry->kind == KD_OBJECT_COMPOSITE) {
        const kd_composite_entry *composite = (const kd_composite_entry *)entry;
        for (uint32_t i = 0; i < composite->attribute_count; i++)
            if (kd_type_object_no(composite->attributes[i].type) == of ||
                composite->attributes[i].domain_no == of)
                return true;
    }
    if (entry->kind != KD_OBJECT_TABLE)
        return false;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (kd_type_object_no(table->columns[i].storage.type) == of ||
            table->columns[i].domain_no == of)
            return true;
    return false;
}

static bool is_in_schema(const kd_object *entry, uint32_t of)
{
    return entry->schema_no == of && entry->kind != KD_OBJECT_INDEX;
}

/* Whether a default's text is a call of nextval with this sequence's name, with or without schema.
 */
static bool calls_nextval(kd_slice text, kd_slice sequence)
{
    static const char call[] = "nextval('";
    size_t call_bytes = sizeof call - 1;
    if (text.size_bytes < call_bytes || memcmp(text.data, call, call_bytes) != 0)
        return false;
    kd_slice name = {text.data + call_bytes, 0};
    size_t left = text.size_bytes - call_bytes;
    while (name.size_bytes < left && name.data[name.size_bytes] != '\'')
        name.size_bytes++;
    for (size_t i = name.size_bytes; i > 0; i--)
        if (name.data[i - 1] == '.') {
            name = (kd_slice){name.data + i, name.size_bytes - i};
            break;
        }
    if (name.size_bytes >= 2 && name.data[0] == '"')
        name = (kd_slice){name.data + 1, name.size_bytes - 2};
    return kd_slice_equal(name, sequence);
}

static bool uses_sequence(const kd_object *entry, uint32_t of)
{
    if (entry->kind != KD_OBJECT_TABLE)
        return false;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].sequence_no == of)
            return true;
    return false;
}

/* --- Dependents
 * ----------------------------------------------------------------------------------------- */

static kd_status drop_views_over(kd_ctx *ctx, drop *work, const kd_object *object)
{
    collection views;
    KD_TRY(collect(ctx, work->run, is_view_over, object->object_no, &views));
    for (uint32_t i = 0; i < views.count; i++) {
        const kd_object *view = kd_catalog_get(work->run->catalog, views.numbers[i]);
        if (view == NULL)
            continue;
        if (!work->cascade)
            return refuse(ctx, work->run->arena, object, view, "");
        KD_TRY(drop_one(ctx, work, view->object_no));
    }
    return KD_OK;
}

/* "constraint c on ": the first key of a table that refers to another. */
static const char *key_text(const drop *work, const kd_object *entry, const kd_object *target)
{
    const kd_table_entry *table = (const kd_table_entry *)entry;
    kd_ctx quiet = {.world = work->run->session->ctx.world};
    kd_error_clear(&quiet);
    for (uint32_t i = 0; i < table->foreign_count; i++) {
        kd_slice name = table->foreign_keys[i].name;
        if (table->foreign_keys[i].target_no != target->object_no)
            continue;
        const char *text = kd_format_text(&quiet, work->run->arena, "constraint %.*s on ",
                                          (int)name.size_bytes, name.data);
        return text == NULL ? "" : text;
    }
    return "";
}

static kd_status drop_foreign_keys_to(kd_ctx *ctx, drop *work, const kd_object *object)
{
    collection tables;
    KD_TRY(collect(ctx, work->run, refers_to, object->object_no, &tables));
    for (uint32_t i = 0; i < tables.count; i++) {
        const kd_object *entry = kd_catalog_get(work->run->catalog, tables.numbers[i]);
        kdi_draft *draft;
        uint32_t kept = 0;
        if (entry == NULL)
            continue;
        if (!work->cascade)
            return refuse(ctx, work->run->arena, object, entry, key_text(work, entry, object));
        KD_TRY(kdi_draft_open(ctx, work->run, (const kd_table_entry *)entry, &draft));
        for (uint32_t k = 0; k < draft->entry.foreign_count; k++)
            if (draft->foreign_keys[k].target_no != object->object_no)
                draft->foreign_keys[kept++] = draft->foreign_keys[k];
        draft->entry.foreign_count = kept;
        KD_TRY(kdi_draft_put(ctx, draft));
    }
    return KD_OK;
}

static kd_status drop_users_of_type(kd_ctx *ctx, drop *work, const kd_object *type);

/* --- By kind
 * ---------------------------------------------------------------------------------------------- */

static kd_status drop_sequence(kd_ctx *ctx, drop *work, const kd_sequence_entry *sequence)
{
    kd_session *session = work->run->session;
    KD_TRY(kd_sequence_drop(ctx, session->txn, session->database->storage, sequence->sequence_no));
    return kdi_remove(ctx, work->run, sequence->object.object_no);
}

/* The partitions of a table, and the table's keys over them. */
static kd_status drop_partitions(kd_ctx *ctx, drop *work, const kd_table_entry *table)
{
    collection partitions;
    kdi_draft *draft;
    bool is_outermost = work->within_no == 0;
    if (is_outermost && table->parent_no != 0) {
        KD_TRY(kdi_keys_leave(ctx, work->run, table, table->parent_no));
        /* With its schema go the tables that would miss it, or their keys. */
        if (work->schema_no == 0)
            KD_TRY(kdi_foreign_check_leaving(ctx, work->run, table));
    }
    if (table->strategy == KD_PARTITION_NONE)
        return KD_OK;
    if (is_outermost)
        work->within_no = table->object.object_no;
    KD_TRY(collect(ctx, work->run, is_partition_of, table->object.object_no, &partitions));
    for (uint32_t i = 0; i < partitions.count; i++)
        KD_TRY(drop_one(ctx, work, partitions.numbers[i]));
    if (is_outermost)
        work->within_no = 0;
    KD_TRY(kdi_draft_open(ctx, work->run, table, &draft));
    return kdi_keys_drop(ctx, draft);
}

static kd_status drop_table(kd_ctx *ctx, drop *work, const kd_table_entry *table)
{
    kd_session *session = work->run->session;
    collection partitions;
    KD_TRY(kdi_deferred_refuse(ctx, work->run, table, "DROP TABLE"));
    if (table->table_no != 0)
        KD_TRY(kd_txn_lock_table(ctx, session->txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
    KD_TRY(drop_views_over(ctx, work, &table->object));
    KD_TRY(drop_users_of_type(ctx, work, &table->object));
    KD_TRY(drop_foreign_keys_to(ctx, work, &table->object));
    KD_TRY(drop_partitions(ctx, work, table));
    for (uint32_t i = 0; i < table->column_count; i++) {
        const kd_object *sequence =
            table->columns[i].sequence_no == 0
                ? NULL
                : kd_catalog_get(work->run->catalog, table->columns[i].sequence_no);
        /* A partition's column shares its parent's sequence. */
        if (sequence != NULL &&
            ((const kd_sequence_entry *)sequence)->owner_table_no == table->object.object_no)
            KD_TRY(drop_sequence(ctx, work, (const kd_sequence_entry *)sequence));
    }
    KD_TRY(collect(ctx, work->run, is_owned_by, table->object.object_no, &partitions));
    for (uint32_t i = 0; i < partitions.count; i++)
        KD_TRY(drop_one(ctx, work, partitions.numbers[i]));
    if (table->query_text.size_bytes > 0)
        kdi_view_content_forget(session->database, table->object.object_no);
    if (table->table_no != 0)
        KD_TRY(kd_table_drop(ctx, session->txn,
                             kd_table_find(session->database->storage, table->table_no)));
    return kdi_remove(ctx, work->run, table->object.object_no);
}

/* Drops the index of `table` that is `index` of `owner` or, in a partition of it, over the same. */
static kd_status drop_index_of(kd_ctx *ctx, drop *work, const kd_table_entry *owner,
                               const kd_table_entry *table, const kd_table_index *index)
{
    kdi_draft *draft;
    collection partitions;
    uint32_t i = 0;
    if (table->table_no != 0)
        KD_TRY(kd_txn_lock_table(ctx, work->run->session->txn, table->table_no, KD_TABLE_EXCLUSIVE,
                                 false));
    KD_TRY(collect(ctx, work->run, is_partition_of, table->object.object_no, &partitions));
    for (uint32_t p = 0; p < partitions.count; p++) {
        const kd_object *partition = kd_catalog_get(work->run->catalog, partitions.numbers[p]);
        KD_TRY(drop_index_of(ctx, work, owner, (const kd_table_entry *)partition, index));
    }
    KD_TRY(kdi_draft_open(ctx, work->run, table, &draft));
    while (i < draft->entry.index_count &&
           (table == owner
                ? draft->indexes[i].object.object_no != index->object.object_no
                : draft->indexes[i].is_constraint ||
                      !kdi_index_is_counterpart(owner, index, table, &table->indexes[i])))
        i++;
    if (i == draft->entry.index_count)
        return KD_OK;
    if (table == owner) {
        kd_slice name = index->object.name;
        const char *subject =
            kd_format_text(ctx, work->run->arena, "index %.*s", (int)name.size_bytes, name.data);
        if (subject == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_references_drop(ctx, draft, table, index, work->cascade, subject, subject));
    }
    KD_TRY(kdi_draft_drop_index(ctx, draft, i));
    return kdi_draft_put(ctx, draft);
}

/* The index of the partitioned table that needs this one on its partition, and no other; NULL:
 * none.
 */
static const kd_table_index *index_above(const kd_catalog_version *catalog,
                                         const kd_table_entry *table, const kd_table_index *index)
{
    const kd_table_entry *parent =
        table->parent_no == 0 ? NULL
                              : (const kd_table_entry *)kd_catalog_get(catalog, table->parent_no);
    for (uint32_t i = 0; parent != NULL && i < parent->index_count; i++) {
        const kd_table_index *above = &parent->indexes[i];
        uint32_t count = 0;
        if (!kdi_index_is_counterpart(parent, above, table, index))
            continue;
        for (uint32_t k = 0; k < table->index_count; k++)
            count += kdi_index_is_counterpart(parent, above, table, &table->indexes[k]);
        if (count == 1)
            return above;
    }
    return NULL;
}

static kd_status refuse_part(kd_ctx *ctx, kd_slice part, kd_slice whole)
{
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "2BP01", "cannot drop index %.*s because index %.*s requires it",
                (int)part.size_bytes, part.data, (int)whole.size_bytes, whole.data);
    kd_error_set_hint(ctx, "You can drop index %.*s instead.", (int)whole.size_bytes, whole.data);
    return status;
}

static kd_status drop_index(kd_ctx *ctx, drop *work, uint32_t object_no)
{
    const kd_table_index *index;
    const kd_table_entry *table = kd_catalog_index_table(work->run->catalog, object_no, &index);
    if (table == NULL)
        return KD_OK;
    const kd_table_index *above = index_above(work->run->catalog, table, index);
    if (above != NULL)
        return refuse_part(ctx, index->object.name, above->object.name);
    if (index->is_constraint) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "2BP01",
                                   "cannot drop index %.*s because constraint %.*s on "
                                   "table %.*s requires it",
                                   (int)index->object.name.size_bytes, index->object.name.data,
                                   (int)index->object.name.size_bytes, index->object.name.data,
                                   (int)table->object.name.size_bytes, table->object.name.data);
        kd_error_set_hint(ctx, "You can drop constraint %.*s on table %.*s instead.",
                          (int)index->object.name.size_bytes, index->object.name.data,
                          (int)table->object.name.size_bytes, table->object.name.data);
        return status;
    }
    return drop_index_of(ctx, work, table, table, index);
}

typedef struct default_search {
    kd_ctx *ctx;
    kd_slice sequence;
    collection *users;
} default_search;

static void visit_defaults(void *object, const kd_object *entry)
{
    default_search *search = object;
    collection *users = search->users;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    uint32_t *added;
    if (entry->kind != KD_OBJECT_TABLE || users->status != KD_OK)
        return;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].generated ||
            !calls_nextval(table->columns[i].default_text, search->sequence))
            continue;
        users->status = KD_PUSH(search->ctx, users->arena, users->numbers, users->count,
                                users->capacity, &added);
        if (users->status == KD_OK)
            *added = entry->object_no;
        return;
    }
}

/* Tables whose defaults name the sequence in a call of nextval. */
static kd_status collect_defaults(kd_ctx *ctx, kd_run *run, const kd_sequence_entry *sequence,
                                  collection *users)
{
    default_search search = {.ctx = ctx, .sequence = sequence->object.name, .users = users};
    kd_catalog_visit(run->catalog, visit_defaults, &search);
    return users->status;
}

static kd_status drop_owned_sequence(kd_ctx *ctx, drop *work, const kd_sequence_entry *sequence)
{
    collection users;
    KD_TRY(collect(ctx, work->run, uses_sequence, sequence->object.object_no, &users));
    KD_TRY(collect_defaults(ctx, work->run, sequence, &users));
    for (uint32_t i = 0; i < users.count; i++) {
        const kd_object *table = kd_catalog_get(work->run->catalog, users.numbers[i]);
        kdi_draft *draft;
        if (!work->cascade)
            return refuse(ctx, work->run->arena, &sequence->object, table,
                          "default value of a column of ");
        KD_TRY(kdi_draft_open(ctx, work->run, (const kd_table_entry *)table, &draft));
        for (uint32_t c = 0; c < draft->entry.column_count; c++) {
            bool is_default = !draft->columns[c].generated &&
                              calls_nextval(draft->columns[c].default_text, sequence->object.name);
            if (draft->columns[c].sequence_no != sequence->object.object_no && !is_default)
                continue;
            draft->columns[c].sequence_no = 0;
            draft->columns[c].identity = KD_IDENTITY_NONE;
            draft->columns[c].default_text = (kd_slice){"", 0};
        }
        KD_TRY(kdi_draft_put(ctx, draft));
    }
    return drop_sequence(ctx, work, sequence);
}

/* The columns of a type go with it. */
static kd_status drop_columns_of(kd_ctx *ctx, drop *work, const kd_table_entry *table,
                                 uint32_t type_no)
{
    const kd_object *schema = kd_catalog_get(work->run->catalog, table->object.schema_no);
    for (uint32_t i = 0; i < table->visible_count; i++) {
        kd_slice name = table->columns[i].storage.name;
        kd_buffer text = kd_buffer_in(work->run->arena);
        bool is_of = kd_type_object_no(table->columns[i].storage.type) == type_no ||
                     table->columns[i].domain_no == type_no;
        if (!is_of || table->parent_no != 0)
            continue; /* A partition's columns go with its parent's. */
        KD_TRY(kd_buffer_append_format(
            ctx, &text, "ALTER TABLE \"%.*s\".\"%.*s\" DROP COLUMN \"%.*s\" CASCADE",
            (int)schema->name.size_bytes, schema->name.data, (int)table->object.name.size_bytes,
            table->object.name.data, (int)name.size_bytes, name.data));
        KD_TRY(kdi_run_internal(ctx, work->run->session, kd_buffer_slice(&text), NULL, 0, NULL));
        KD_TRY(kdi_catalog_refresh(ctx, work->run));
    }
    return KD_OK;
}

static kd_status drop_attributes_of(kd_ctx *ctx, drop *work, const kd_composite_entry *composite,
                                    uint32_t type_no)
{
    const kd_object *schema = kd_catalog_get(work->run->catalog, composite->object.schema_no);
    for (uint32_t i = 0; i < composite->attribute_count; i++) {
        const kd_attribute *attribute = &composite->attributes[i];
        kd_buffer text = kd_buffer_in(work->run->arena);
        if (kd_type_object_no(attribute->type) != type_no && attribute->domain_no != type_no)
            continue;
        KD_TRY(kd_buffer_append_format(
            ctx, &text, "ALTER TYPE \"%.*s\".\"%.*s\" DROP ATTRIBUTE \"%.*s\" CASCADE",
            (int)schema->name.size_bytes, schema->name.data, (int)composite->object.name.size_bytes,
            composite->object.name.data, (int)attribute->name.size_bytes, attribute->name.data));
        KD_TRY(kdi_run_internal(ctx, work->run->session, kd_buffer_slice(&text), NULL, 0, NULL));
        KD_TRY(kdi_catalog_refresh(ctx, work->run));
    }
    return KD_OK;
}

/* Columns and attributes of a type, and domains over it. A table's own columns go with it. */
static kd_status drop_users_of_type(kd_ctx *ctx, drop *work, const kd_object *type)
{
    collection users;
    KD_TRY(collect(ctx, work->run, has_column_of_type, type->object_no, &users));
    for (uint32_t i = 0; i < users.count; i++) {
        const kd_object *user = kd_catalog_get(work->run->catalog, users.numbers[i]);
        if (user == NULL || user->object_no == type->object_no)
            continue;
        bool is_whole = user->kind == KD_OBJECT_DOMAIN || user->kind == KD_OBJECT_ROUTINE;
        if (!work->cascade)
            return refuse(ctx, work->run->arena, type, user, is_whole ? "" : "a column of ");
        if (is_whole)
            KD_TRY(drop_one(ctx, work, user->object_no));
        else if (user->kind == KD_OBJECT_COMPOSITE)
            KD_TRY(
                drop_attributes_of(ctx, work, (const kd_composite_entry *)user, type->object_no));
        else
            KD_TRY(drop_columns_of(ctx, work, (const kd_table_entry *)user, type->object_no));
    }
    return KD_OK;
}

static kd_status drop_type(kd_ctx *ctx, drop *work, const kd_object *type)
{
    KD_TRY(drop_users_of_type(ctx, work, type));
    KD_TRY(drop_views_over(ctx, work, type));
    return kdi_remove(ctx, work->run, type->object_no);
}

static bool mentions(kd_slice text, kd_slice name)
{
    for (size_t i = 0; name.size_bytes > 0 && i + name.size_bytes <= text.size_bytes; i++)
        if (memcmp(text.data + i, name.data, name.size_bytes) == 0)
            return true;
    return false;
}

/* Whether an expression of a table has lost the routine that it calls. */
static kd_status has_lost(kd_ctx *ctx, kdi_draft *draft, kd_slice text, bool over_table,
                          kd_slice routine, bool *out_lost)
{
    *out_lost = false;
    if (!mentions(text, routine))
        return KD_OK;
    kd_status status = kdi_draft_check_expression(ctx, draft, text, over_table,
                                                  kd_type_of(KD_TYPE_UNKNOWN), NULL, NULL);
    *out_lost = status == KD_INVALID && strcmp(ctx->error.sqlstate, "42883") == 0;
    if (status != KD_OK && !*out_lost && status != KD_INVALID)
        return status;
    kd_error_clear(ctx);
    return KD_OK;
}

/* Defaults and checks go; columns and indexes that are computed by it stop the drop in any case. */
static kd_status drop_expressions(kd_ctx *ctx, drop *work, const kd_table_entry *table,
                                  const kd_object *routine)
{
    kdi_draft *draft;
    kd_slice name = routine->name;
    bool lost, any = false, stops = !work->cascade;
    uint32_t kept = 0;
    KD_TRY(kdi_draft_open(ctx, work->run, table, &draft));
    for (uint32_t i = 0; i < draft->entry.column_count; i++) {
        kd_column *column = &draft->columns[i];
        KD_TRY(has_lost(ctx, draft, column->default_text, column->generated, name, &lost));
        any |= lost;
        stops |= lost && column->generated;
        if (lost)
            column->default_text = (kd_slice){"", 0};
    }
    for (uint32_t i = 0; i < draft->entry.check_count; i++) {
        KD_TRY(has_lost(ctx, draft, draft->checks[i].expression_text, true, name, &lost));
        any |= lost;
        if (!lost)
            draft->checks[kept++] = draft->checks[i];
    }
    draft->entry.check_count = kept;
    if (any && stops)
        return refuse(ctx, work->run->arena, routine, &table->object, "an expression of ");
    return any ? kdi_draft_put(ctx, draft) : KD_OK;
}

static bool is_table(const kd_object *entry, uint32_t of)
{
    (void)of;
    return entry->kind == KD_OBJECT_TABLE;
}

static kd_status drop_from_tables(kd_ctx *ctx, drop *work, const kd_object *routine)
{
    collection tables;
    KD_TRY(collect(ctx, work->run, is_table, 0, &tables));
    for (uint32_t i = 0; i < tables.count; i++) {
        const kd_table_entry *table =
            (const kd_table_entry *)kd_catalog_get(work->run->catalog, tables.numbers[i]);
        bool uses = false;
        for (uint32_t c = 0; c < table->column_count; c++)
            uses |= mentions(table->columns[c].default_text, routine->name);
        for (uint32_t c = 0; c < table->check_count; c++)
            uses |= mentions(table->checks[c].expression_text, routine->name);
        if (uses)
            KD_TRY(drop_expressions(ctx, work, table, routine));
    }
    return KD_OK;
}

/* Views that call it no longer bind; other routines depend on it where they say so. */
static kd_status drop_routine(kd_ctx *ctx, drop *work, const kd_object *routine)
{
    KD_TRY(drop_views_over(ctx, work, routine));
    KD_TRY(kdi_remove(ctx, work->run, routine->object_no));
    KD_TRY(drop_from_tables(ctx, work, routine));
    return kdi_views_after(ctx, work->run, routine, work->cascade);
}

static kd_status drop_schema(kd_ctx *ctx, drop *work, const kd_object *schema)
{
    collection members;
    work->schema_no = schema->object_no;
    KD_TRY(collect(ctx, work->run, is_in_schema, schema->object_no, &members));
    for (uint32_t i = 0; i < members.count; i++) {
        const kd_object *member = kd_catalog_get(work->run->catalog, members.numbers[i]);
        if (member == NULL)
            continue; /* Went with an earlier one. */
        if (!work->cascade)
            return refuse(ctx, work->run->arena, schema, member, "");
        KD_TRY(drop_one(ctx, work, member->object_no));
    }
    return kdi_remove(ctx, work->run, schema->object_no);
}

static kd_status drop_one(kd_ctx *ctx, drop *work, uint32_t object_no)
{
    const kd_object *object = kd_catalog_get(work->run->catalog, object_no);
    kd_status status = KD_OK;
    if (object == NULL)
        return KD_OK;
    if (work->depth == DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "too many objects depend on each other");
    work->depth++;
    switch (object->kind) {
    case KD_OBJECT_TABLE:
        status = drop_table(ctx, work, (const kd_table_entry *)object);
        break;
    case KD_OBJECT_VIEW:
        status = drop_views_over(ctx, work, object);
        if (status == KD_OK)
            status = kdi_remove(ctx, work->run, object_no);
        if (status == KD_OK)
            status = kdi_views_after(ctx, work->run, object, work->cascade);
        break;
    case KD_OBJECT_INDEX:
        status = drop_index(ctx, work, object_no);
        break;
    case KD_OBJECT_SEQUENCE:
        status = drop_owned_sequence(ctx, work, (const kd_sequence_entry *)object);
        break;
    case KD_OBJECT_ENUM:
    case KD_OBJECT_DOMAIN:
    case KD_OBJECT_COMPOSITE:
        status = drop_type(ctx, work, object);
        break;
    case KD_OBJECT_ROUTINE:
        status = drop_routine(ctx, work, object);
        break;
    case KD_OBJECT_SCHEMA:
        status = drop_schema(ctx, work, object);
        break;
    case KD_OBJECT_ROLE: /* DROP ROLE and nothing else drops it: define_role.c. */
        break;
    }
    work->depth--;
    return status;
}

kd_status kdi_drop_object(kd_ctx *ctx, kd_run *run, uint32_t object_no, bool cascade)
{
    drop work = {.run = run, .cascade = cascade};
    return drop_one(ctx, &work, object_no);
}

/* --- The statement
 * --------------------------------------------------------------------------------------- */

typedef struct drop_kind {
    kd_ast_object_kind ast;
    kd_object_kind kind;
    const char *word;
    const char *tag;
    const char *missing_code;
} drop_kind;

static const drop_kind drop_kinds[] = {
    {KD_AST_OBJECT_TABLE, KD_OBJECT_TABLE, "table", "DROP TABLE", "42P01"},
    {KD_AST_OBJECT_MATERIALIZED_VIEW, KD_OBJECT_TABLE, "materialized view",
     "DROP MATERIALIZED VIEW", "42P01"},
    {KD_AST_OBJECT_VIEW, KD_OBJECT_VIEW, "view", "DROP VIEW", "42P01"},
    {KD_AST_OBJECT_INDEX, KD_OBJECT_INDEX, "index", "DROP INDEX", "42704"},
    {KD_AST_OBJECT_SEQUENCE, KD_OBJECT_SEQUENCE, "sequence", "DROP SEQUENCE", "42P01"},
    {KD_AST_OBJECT_SCHEMA, KD_OBJECT_SCHEMA, "schema", "DROP SCHEMA", "3F000"},
    {KD_AST_OBJECT_TYPE, KD_OBJECT_ENUM, "type", "DROP TYPE", "42704"},
    {KD_AST_OBJECT_DOMAIN, KD_OBJECT_DOMAIN, "type", "DROP DOMAIN", "42704"},
};

static const kd_object *look_up(const kd_run *run, const drop_kind *kind, const kd_ast_name *name)
{
    const kd_settings *settings = &run->session->settings;
    if (kind->kind == KD_OBJECT_SCHEMA)
        return kd_catalog_find_schema(run->catalog, name->name);
    bool is_type = kind->kind == KD_OBJECT_ENUM || kind->kind == KD_OBJECT_DOMAIN;
    const kd_object *temporary =
        name->schema.size_bytes > 0 || run->session->temp_schema_no == 0
            ? NULL
            : kd_catalog_find_relation(run->catalog, run->session->temp_schema_no, name->name);
    if (temporary != NULL)
        return temporary;
    for (uint32_t i = 0; i < settings->search_path_count || name->schema.size_bytes > 0; i++) {
        kd_slice schema_name =
            name->schema.size_bytes > 0 ? name->schema : settings->search_path[i];
        const kd_object *schema = kd_catalog_find_schema(run->catalog, schema_name);
        const kd_object *found = NULL;
        if (schema != NULL)
            found = is_type ? kd_catalog_find_type(run->catalog, schema->object_no, name->name)
                            : kd_catalog_find_relation(run->catalog, schema->object_no, name->name);
        if (found != NULL || name->schema.size_bytes > 0)
            return found;
    }
    return NULL;
}

/* DROP TYPE of what is a table's or a view's row type. */
static kd_status required_by_relation(kd_ctx *ctx, const kd_object *relation)
{
    const char *word = relation->kind == KD_OBJECT_VIEW ? "view" : "table";
    int size = (int)relation->name.size_bytes;
    const char *name = relation->name.data;
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "2BP01", "cannot drop type %.*s because %s %.*s requires it", size,
                name, word, size, name);
    kd_error_set_hint(ctx, "You can drop %s %.*s instead.", word, size, name);
    return status;
}

static kd_status drop_listed(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast,
                             const drop_kind *kind, const kd_ast_object *listed)
{
    const kd_object *object = look_up(run, kind, &listed->name);
    kd_slice name = listed->name.name;
    drop_kind other = *kind;
    bool is_type = kind->kind == KD_OBJECT_ENUM || kind->kind == KD_OBJECT_DOMAIN;
    other.kind = is_type ? KD_OBJECT_TABLE : KD_OBJECT_ENUM;
    const kd_object *namesake = object == NULL ? look_up(run, &other, &listed->name) : NULL;
    if (is_type && namesake != NULL &&
        (namesake->kind == KD_OBJECT_TABLE || namesake->kind == KD_OBJECT_VIEW))
        return required_by_relation(ctx, namesake);
    if (!is_type && namesake != NULL && namesake->kind == KD_OBJECT_COMPOSITE)
        object = namesake; /* It counts among the relations, and is of the wrong kind. */
    if (object == NULL && ast->if_exists) {
        kdi_session_notice(run->session, "NOTICE", "00000", "%s \"%.*s\" does not exist, skipping",
                           kind->word, (int)name.size_bytes, name.data);
        return KD_OK;
    }
    if (object == NULL)
        return KD_FAIL(ctx, KD_INVALID, kind->missing_code, "%s \"%.*s\" does not exist",
                       kind->word, (int)name.size_bytes, name.data);
    bool fits =
        object->kind == kind->kind || (kind->kind == KD_OBJECT_ENUM && kd_object_is_type(object));
    kd_slice query;
    bool is_materialized = kdi_materialized_query(object, &query);
    fits &= is_materialized == (ast->object == KD_AST_OBJECT_MATERIALIZED_VIEW);
    if (!fits)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a %s", (int)name.size_bytes,
                       name.data, ast->object == KD_AST_OBJECT_DOMAIN ? "domain" : kind->word);
    return kdi_drop_object(ctx, run, object->object_no, ast->behavior == KD_AST_CASCADE);
}

static kd_status drop_routines(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast)
{
    kdi_set_tag(run, ast->object == KD_AST_OBJECT_PROCEDURE ? "DROP PROCEDURE"
                     : ast->object == KD_AST_OBJECT_ROUTINE ? "DROP ROUTINE"
                                                            : "DROP FUNCTION");
    for (size_t i = 0; i < ast->objects.count; i++) {
        const kd_ast_object *listed = (const kd_ast_object *)ast->objects.items[i];
        const kd_routine_entry *routine;
        KD_TRY(kdi_named_routine(ctx, run, ast->object, listed, ast->if_exists, &routine));
        if (routine == NULL)
            kdi_session_notice(run->session, "NOTICE", "00000",
                               "function %.*s does not exist, skipping",
                               (int)listed->name.name.size_bytes, listed->name.name.data);
        else
            KD_TRY(kdi_drop_object(ctx, run, routine->object.object_no,
                                   ast->behavior == KD_AST_CASCADE));
    }
    return KD_OK;
}

kd_status kdi_drop(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast)
{
    if (ast->object == KD_AST_OBJECT_FUNCTION || ast->object == KD_AST_OBJECT_PROCEDURE ||
        ast->object == KD_AST_OBJECT_ROUTINE)
        return drop_routines(ctx, run, ast);
    if (ast->object == KD_AST_OBJECT_ROLE)
        return kdi_drop_roles(ctx, run, ast);
    for (size_t k = 0; k < sizeof drop_kinds / sizeof *drop_kinds; k++) {
        if (drop_kinds[k].ast != ast->object)
            continue;
        kdi_set_tag(run, drop_kinds[k].tag);
        for (size_t i = 0; i < ast->objects.count; i++)
            KD_TRY(drop_listed(ctx, run, ast, &drop_kinds[k],
                               (const kd_ast_object *)ast->objects.items[i]));
        return KD_OK;
    }
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "DROP of this kind of object is not supported");
}
