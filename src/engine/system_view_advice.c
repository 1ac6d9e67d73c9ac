/*
 * kade_index_advice: indexes that could go, and indexes that are missed.
 *
 * What it says follows from the catalog and from the counters (table/usage.h), by plain rules:
 *
 *   unused     no look-up came by the index though its table was read since; it keeps no key unique
 *              and does not serve a foreign key's columns
 *   duplicate  another index has the same columns in the same order, method and predicate
 *   redundant  another index goes on where this one ends
 *   missing foreign key index
 *              no index begins with the columns of a foreign key: deleting a row there reads this
 *              table
 *   missing    scans of the whole table read rows of which 5% or less met comparisons that an
 *              index could answer, and none does
 *
 * Partitions have the indexes of their parent: advice to drop one, or about a foreign key, is given
 * for tables that are no partitions. Uses of a parent's indexes are not added up, so that it has no
 * "unused" ones.
 */
#include "engine/system_view_internal.h"

#include "sql/query_text.h"

/* A search is worth an index when one row or less of so many passes. */
enum { SELECTIVE_SHARE = 20 };

#define KADE_INDEX_ADVICE(X) \
    X(kind, TEXT)            \
    X(schemaname, TEXT)      \
    X(relname, TEXT)         \
    X(indexrelname, TEXT)    \
    X(columns, TEXT_ARRAY)   \
    X(index_bytes, INT8) X(uses, INT8) X(rows_spared, INT8) X(statement, TEXT)

typedef struct advice {
    const char *kind;
    const kd_table_entry *table;
    const kd_table_index *index; /* NULL: one is missing. */
    uint32_t column_count;       /* Of a missing one: */
    const uint32_t *column_nos;
    uint64_t uses;        /* Scans by the index, or that asked for it. */
    uint64_t rows_spared; /* By a missing one. */
} advice;

static kd_table *storage_of(const kdi_sys_view *view, const kd_table_entry *table)
{
    return table->table_no == 0 ? NULL
                                : kd_table_find(view->session->database->storage, table->table_no);
}

static kd_status full_name(kdi_sys_view *view, const kd_object *object, kd_buffer *out)
{
    KD_TRY(kd_name_append(view->ctx, kdi_object_name(view, object->schema_no), out));
    KD_TRY(kd_buffer_append_byte(view->ctx, out, '.'));
    return kd_name_append(view->ctx, object->name, out);
}

static kd_status put_index_columns(kdi_sys_view *view, const advice *given)
{
    uint32_t count = given->index->storage.column_count;
    kd_slice *texts = KD_NEW_ARRAY(view->ctx, view->arena, kd_slice, count + 1);
    if (texts == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_buffer text = kd_buffer_in(view->arena);
        KD_TRY(kdi_text_index_key(view->ctx, given->table, given->index, i, &text));
        texts[i] = kd_buffer_slice(&text);
    }
    return kdi_put_texts(view, texts, count);
}

static kd_status put_missing_columns(kdi_sys_view *view, const advice *given)
{
    kd_slice *texts = KD_NEW_ARRAY(view->ctx, view->arena, kd_slice, given->column_count + 1);
    if (texts == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < given->column_count; i++) {
        const kd_column *column = kdi_column_by_no(given->table, given->column_nos[i]);
        texts[i] = column == NULL ? KD_SLICE("?") : column->storage.name;
    }
    return kdi_put_texts(view, texts, given->column_count);
}

static kd_status statement_of(kdi_sys_view *view, const advice *given, kd_buffer *out)
{
    if (given->index != NULL) {
        KD_TRY(kd_buffer_append_text(view->ctx, out, "DROP INDEX "));
        return full_name(view, &given->index->object, out);
    }
    KD_TRY(kd_buffer_append_text(view->ctx, out, "CREATE INDEX ON "));
    KD_TRY(full_name(view, &given->table->object, out));
    for (uint32_t i = 0; i < given->column_count; i++) {
        const kd_column *column = kdi_column_by_no(given->table, given->column_nos[i]);
        KD_TRY(kd_buffer_append_text(view->ctx, out, i == 0 ? " (" : ", "));
        if (column != NULL)
            KD_TRY(kd_name_append(view->ctx, column->storage.name, out));
    }
    return kd_buffer_append_byte(view->ctx, out, ')');
}

static kd_status put_advice(kdi_sys_view *view, const advice *given)
{
    kd_buffer statement = kd_buffer_in(view->arena);
    kd_table *storage = storage_of(view, given->table);
    KD_TRY(statement_of(view, given, &statement));
    kdi_put_literal(view, given->kind);
    kdi_put_text(view, kdi_object_name(view, given->table->object.schema_no));
    kdi_put_text(view, given->table->object.name);
    if (given->index != NULL) {
        kdi_put_text(view, given->index->object.name);
        KD_TRY(put_index_columns(view, given));
        kdi_put_int8(view, storage == NULL ? 0
                                           : (int64_t)kd_table_index_bytes(
                                                 storage, given->index->storage.index_no));
    } else {
        kdi_put_null(view);
        KD_TRY(put_missing_columns(view, given));
        kdi_put_null(view);
    }
    kdi_put_int8(view, (int64_t)given->uses);
    if (given->index != NULL)
        kdi_put_null(view);
    else
        kdi_put_int8(view, (int64_t)given->rows_spared);
    kdi_put_text(view, kd_buffer_slice(&statement));
    return kdi_sys_emit(view);
}

/* --- Indexes that could go -------------------------------------------------------------------- */

static bool is_among(const uint32_t *columns, uint32_t count, uint32_t column_no)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == column_no)
            return true;
    return false;
}

/* Whether the index begins with just these columns, in any order, and has all rows. */
static bool begins_with(const kd_table_index *index, const uint32_t *columns, uint32_t count)
{
    const kd_index_definition *definition = &index->storage;
    if (kd_index_is_inverted(definition) || definition->predicate_column_no >= 0 ||
        definition->column_count < count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!is_among(columns, count, definition->columns[i].column_no))
            return false;
    return true;
}

static bool serves_foreign_key(const kd_table_entry *table, const kd_table_index *index)
{
    for (uint32_t i = 0; i < table->foreign_count; i++)
        if (begins_with(index, table->foreign_keys[i].column_nos,
                        table->foreign_keys[i].column_count))
            return true;
    return false;
}

static kd_slice method_of(const kd_table_index *index)
{
    return index->method.size_bytes == 0 ? KD_SLICE("btree") : index->method;
}

/* Each index on an expression has a hidden column of its own: expressions are compared as text. */
static bool same_key(const kd_table_entry *table, const kd_table_index *a, const kd_table_index *b,
                     uint32_t position)
{
    const kd_index_column *left = &a->storage.columns[position];
    const kd_index_column *right = &b->storage.columns[position];
    if (left->order.descending != right->order.descending ||
        left->order.nulls_first != right->order.nulls_first || left->items != right->items)
        return false;
    if (left->column_no == right->column_no)
        return true;
    const kd_column *left_column = kdi_column_by_no(table, left->column_no);
    const kd_column *right_column = kdi_column_by_no(table, right->column_no);
    return left_column != NULL && right_column != NULL && left_column->hidden &&
           right_column->hidden && a->key_texts != NULL && b->key_texts != NULL &&
           kd_slice_equal(a->key_texts[position], b->key_texts[position]);
}

/* Whether `longer` has the columns of `index` first. */
static bool goes_on(const kd_table_entry *table, const kd_table_index *index,
                    const kd_table_index *longer)
{
    if (!kd_slice_equal(method_of(index), method_of(longer)) ||
        !kd_slice_equal(index->predicate_text, longer->predicate_text) ||
        index->storage.column_count > longer->storage.column_count)
        return false;
    for (uint32_t i = 0; i < index->storage.column_count; i++)
        if (!same_key(table, index, longer, i))
            return false;
    return true;
}

/* What keeps a constraint is not dropped by DROP INDEX, and what keeps a key unique does more than
 * to answer queries. */
static bool is_needed(const kd_table_index *index)
{
    return index->is_primary || index->is_constraint || index->storage.unique;
}

/* Of two indexes that say the same the later one goes. */
static const char *drop_kind(const kd_table_entry *table, uint32_t position)
{
    const kd_table_index *index = &table->indexes[position];
    const char *kind = NULL;
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *other = &table->indexes[i];
        if (i == position || !goes_on(table, index, other))
            continue;
        bool is_same = index->storage.column_count == other->storage.column_count;
        if (is_same && (is_needed(other) || i < position))
            return "duplicate";
        if (!is_same && !kd_index_is_inverted(&index->storage))
            kind = "redundant";
    }
    return kind;
}

static kd_status advise_to_drop(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        if (is_needed(index))
            continue;
        kd_index_usage usage = kdi_sys_index_usage(view, table, index);
        advice given = {
            .kind = drop_kind(table, i), .table = table, .index = index, .uses = usage.scans};
        if (given.kind == NULL && usage.scans == 0 && usage.reads > 0 &&
            !serves_foreign_key(table, index))
            given.kind = "unused";
        if (given.kind != NULL)
            KD_TRY(put_advice(view, &given));
    }
    return KD_OK;
}

/* --- Indexes that are missed ------------------------------------------------------------------ */

/* An index answers a search when it begins with the search's columns; a unique one also when its
 * whole key is among them. */
static bool answers(const kd_table_index *index, const kd_table_search *search)
{
    const kd_index_definition *definition = &index->storage;
    uint32_t found = 0;
    if (begins_with(index, search->column_nos, search->column_count))
        return true;
    while (found < definition->column_count &&
           is_among(search->column_nos, search->column_count, definition->columns[found].column_no))
        found++;
    return definition->unique && definition->predicate_column_no < 0 &&
           found == definition->column_count;
}

static bool is_missed(const kd_table_entry *table, const kd_table_search *search)
{
    if (search->rows_passed > search->rows_read / SELECTIVE_SHARE)
        return false;
    for (uint32_t i = 0; i < search->column_count; i++)
        if (kdi_column_by_no(table, search->column_nos[i]) == NULL)
            return false; /* Dropped since. */
    for (uint32_t i = 0; i < table->index_count; i++)
        if (answers(&table->indexes[i], search))
            return false;
    return true;
}

/* Whether an index for `longer` would answer `search` as well. */
static bool is_beginning(const kd_table_search *search, const kd_table_search *longer)
{
    bool is_less =
        search->column_count < longer->column_count ||
        (search->column_count == longer->column_count && search->is_range && !longer->is_range);
    return is_less && memcmp(search->column_nos, longer->column_nos,
                             search->column_count * sizeof *search->column_nos) == 0;
}

typedef struct missed_searches {
    uint32_t count;
    kd_table_search items[KD_SEARCHES_MAX];
} missed_searches;

static void missed_find(const kdi_sys_view *view, const kd_table_entry *table, missed_searches *out)
{
    kd_table_search kept[KD_SEARCHES_MAX];
    kd_table *storage = storage_of(view, table);
    uint32_t count = storage == NULL ? 0 : kd_table_searches(storage, kept);
    out->count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (is_missed(table, &kept[i]))
            out->items[out->count++] = kept[i];
}

static bool foreign_key_has_index(const kd_table_entry *table, const kd_foreign_key *key)
{
    for (uint32_t i = 0; i < table->index_count; i++)
        if (begins_with(&table->indexes[i], key->column_nos, key->column_count))
            return true;
    return false;
}

static bool same_columns(const kd_table_search *search, const kd_foreign_key *key)
{
    if (search->is_range || search->column_count != key->column_count)
        return false;
    for (uint32_t i = 0; i < key->column_count; i++)
        if (!is_among(search->column_nos, search->column_count, key->column_nos[i]))
            return false;
    return true;
}

/* Every row deleted from the referenced table has this one read once. Searches for the same columns
 * are added, and taken out of the list. */
static kd_status advise_foreign_keys(kdi_sys_view *view, const kd_table_entry *table,
                                     missed_searches *missed)
{
    for (uint32_t i = 0; i < table->foreign_count; i++) {
        const kd_foreign_key *key = &table->foreign_keys[i];
        const kd_object *object = kd_catalog_get(view->version, key->target_no);
        const kd_table_entry *target = object == NULL ? NULL : kdi_as_table(object);
        kd_table *storage = storage_of(view, table);
        kd_table *target_storage = target == NULL ? NULL : storage_of(view, target);
        if (foreign_key_has_index(table, key))
            continue;
        advice given = {.kind = "missing foreign key index",
                        .table = table,
                        .column_count = key->column_count,
                        .column_nos = key->column_nos};
        if (target_storage != NULL)
            given.uses = kd_table_usage_get(target_storage).deleted;
        if (storage != NULL)
            given.rows_spared = given.uses * kd_table_row_count_estimate(storage);
        for (uint32_t k = 0; k < missed->count; k++) {
            kd_table_search *search = &missed->items[k];
            if (!same_columns(search, key))
                continue;
            given.uses += search->scans;
            given.rows_spared += search->rows_read - search->rows_passed;
            *search = missed->items[--missed->count];
            k--;
        }
        KD_TRY(put_advice(view, &given));
    }
    return KD_OK;
}

/* Searches that one index would answer are one piece of advice. */
static kd_status advise_to_create(kdi_sys_view *view, const kd_table_entry *table,
                                  const missed_searches *missed)
{
    for (uint32_t i = 0; i < missed->count; i++) {
        const kd_table_search *search = &missed->items[i];
        advice given = {.kind = "missing",
                        .table = table,
                        .column_count = search->column_count,
                        .column_nos = search->column_nos,
                        .uses = search->scans,
                        .rows_spared = search->rows_read - search->rows_passed};
        bool is_part = false;
        for (uint32_t k = 0; k < missed->count && !is_part; k++) {
            const kd_table_search *other = &missed->items[k];
            is_part = is_beginning(search, other);
            if (!is_beginning(other, search))
                continue;
            given.uses += other->scans;
            given.rows_spared += other->rows_read - other->rows_passed;
        }
        if (!is_part)
            KD_TRY(put_advice(view, &given));
    }
    return KD_OK;
}

static kd_status kade_index_advice(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        if (table == NULL ||
            kd_slice_equal(kdi_object_name(view, table->object.schema_no), KD_SLICE("pg_catalog")))
            continue;
        missed_searches missed;
        missed_find(view, table, &missed);
        if (table->parent_no == 0) {
            KD_TRY(advise_to_drop(view, table));
            KD_TRY(advise_foreign_keys(view, table, &missed));
        }
        KD_TRY(advise_to_create(view, table, &missed));
    }
    return KD_OK;
}

KDI_VIEW(kade_index_advice, KADE_INDEX_ADVICE)

const kd_virtual_table *kdi_advice_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "kade_index_advice", kade_index_advice),
    };
    *out_count = sizeof views / sizeof *views;
    return views;
}
