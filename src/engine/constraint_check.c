/*
 * Constraints against rows: a query for each, which gives what identifies the rows that break it.
 * The planner takes no constraint for granted where it reads these rows: IS NULL is asked of them,
 * and groups are counted.
 */
#include "engine/constraint_check.h"

#include "engine/catalog_text.h"
#include "sql/query_text.h"
#include "types/utf8.h"

#include <string.h>

enum {
    EXAMPLES_MAX = 3,
    EXAMPLE_CHARACTERS = 60, /* Of a value. */
    LABEL_COLUMNS = 4,       /* That identify a row without a primary key. */
};

typedef struct checker {
    kd_arena *arena;
    kd_session *session;
    const kd_catalog_version *catalog;
    const kd_text_settings *settings;
    const kdi_violation_watch *watch;
    const kd_table_entry *table;
} checker;

/* One constraint, and what its query has found. */
typedef struct question {
    const checker *all;
    const char *what; /* "check constraint" */
    kd_slice name, column;
    bool counts_keys;
    kd_buffer text, label;
    /* Of a bound: the rows are all there are, and these are judged. */
    const kd_table_entry *parent;
    const kd_partition_bound *bound;
    bool breaks_inside; /* A default partition: what another one takes. */
    uint64_t found;
    kd_buffer examples;
} question;

static question question_of(const checker *all, const char *what, kd_slice name)
{
    return (question){.all = all,
                      .what = what,
                      .name = name,
                      .text = kd_buffer_in(all->arena),
                      .label = kd_buffer_in(all->arena),
                      .examples = kd_buffer_in(all->arena)};
}

/* --- Rows that break it ----------------------------------------------------------------------- */

/* " (a, b)=(1, 2)" */
static kd_status example_add(kd_ctx *ctx, question *q, const kd_value *values, uint32_t count)
{
    KD_TRY(kd_buffer_append_text(ctx, &q->examples, q->found == 1 ? ": (" : ", ("));
    KD_TRY(kd_buffer_append_slice(ctx, &q->examples, kd_buffer_slice(&q->label)));
    KD_TRY(kd_buffer_append_text(ctx, &q->examples, ")=("));
    for (uint32_t i = 0; i < count; i++) {
        kd_buffer value = kd_buffer_in(q->all->arena);
        KD_TRY(kd_buffer_append_text(ctx, &q->examples, i == 0 ? "" : ", "));
        if (values[i].is_null)
            KD_TRY(kd_buffer_append_text(ctx, &value, "null"));
        else
            KD_TRY(kd_value_format(ctx, q->all->settings, &values[i], &value));
        kd_slice text = kd_buffer_slice(&value);
        size_t kept = kd_utf8_offset(text, EXAMPLE_CHARACTERS);
        KD_TRY(kd_buffer_append_slice(ctx, &q->examples, (kd_slice){text.data, kept}));
        if (kept < text.size_bytes)
            KD_TRY(kd_buffer_append_text(ctx, &q->examples, "..."));
    }
    return kd_buffer_append_text(ctx, &q->examples, ")");
}

static kd_status take_row(kd_ctx *ctx, void *object, const kd_value *values, uint32_t count)
{
    question *q = object;
    if (q->bound != NULL && kd_partition_takes(q->parent, q->bound, values) != q->breaks_inside)
        return KD_OK;
    q->found++;
    return q->found > EXAMPLES_MAX ? KD_OK : example_add(ctx, q, values, count);
}

/* "3 rows violate check constraint "c": (id)=(1), ..." */
static kd_status tell(kd_ctx *ctx, question *q, const char *failure, bool is_note)
{
    kd_buffer text = kd_buffer_in(q->all->arena);
    const char *thing = q->counts_keys ? "key" : "row";
    bool is_one = q->found == 1;
    if (failure == NULL)
        KD_TRY(kd_buffer_append_format(ctx, &text, "%llu %s%s %s ", (unsigned long long)q->found,
                                       thing, is_one ? "" : "s",
                                       q->counts_keys ? "not unique in"
                                       : is_one       ? "violates"
                                                      : "violate"));
    KD_TRY(kd_buffer_append_text(ctx, &text, q->what));
    if (q->name.size_bytes > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text, " \"%.*s\"", (int)q->name.size_bytes,
                                       q->name.data));
    if (failure == NULL)
        KD_TRY(kd_buffer_append_slice(ctx, &text, kd_buffer_slice(&q->examples)));
    else
        KD_TRY(kd_buffer_append_format(
            ctx, &text, " %s: %s", is_note ? "was not checked" : "fails for some row", failure));
    KD_TRY(kd_buffer_append_byte(ctx, &text, '\0'));
    const kdi_violation violation = {.table = q->all->table,
                                     .constraint =
                                         q->column.size_bytes > 0 ? KD_SLICE("") : q->name,
                                     .column = q->column,
                                     .row_count = q->found,
                                     .is_note = is_note,
                                     .problem = kd_buffer_slice(&text).data};
    return q->all->watch->found(ctx, q->all->watch->object, &violation);
}

/* Damaged blocks are told by who reads the files: here they only keep rows from being asked. */
static kd_status ask(kd_ctx *ctx, question *q)
{
    const kdi_nested query = {
        .text = kd_buffer_slice(&q->text), .phase = "check", .take = take_row, .object = q};
    kd_status status = kdi_run_nested(ctx, q->all->session, &query);
    if (status == KD_CORRUPT || status == KD_INVALID) {
        const char *failure =
            kd_copy_text(ctx, q->all->arena, ctx->error.message, strlen(ctx->error.message));
        if (failure == NULL)
            return KD_NOMEM;
        kd_error_clear(ctx);
        return tell(ctx, q, failure, status == KD_CORRUPT);
    }
    if (status != KD_OK || q->found == 0)
        return status;
    return tell(ctx, q, NULL, false);
}

/* --- Queries ---------------------------------------------------------------------------------- */

/* SELECT columns FROM table: the primary key, or the first columns. */
static kd_status select_rows(kd_ctx *ctx, question *q)
{
    const kd_table_entry *table = q->all->table;
    const kd_table_index *key = NULL;
    for (uint32_t i = 0; i < table->index_count; i++)
        if (table->indexes[i].is_primary)
            key = &table->indexes[i];
    uint32_t count = key != NULL                            ? key->storage.column_count
                     : table->visible_count < LABEL_COLUMNS ? table->visible_count
                                                            : LABEL_COLUMNS;
    for (uint32_t i = 0; i < count; i++) {
        const kd_column *column = key == NULL
                                      ? &table->columns[i]
                                      : kdi_column_by_no(table, key->storage.columns[i].column_no);
        KD_TRY(kd_buffer_append_text(ctx, &q->label, i == 0 ? "" : ", "));
        KD_TRY(kd_name_append(ctx, column->storage.name, &q->label));
    }
    KD_TRY(kd_buffer_append_text(ctx, &q->text, "SELECT "));
    return kd_buffer_append_slice(ctx, &q->text, kd_buffer_slice(&q->label));
}

static kd_status select_where(kd_ctx *ctx, question *q)
{
    KD_TRY(select_rows(ctx, q));
    KD_TRY(kd_buffer_append_text(ctx, &q->text, " FROM "));
    KD_TRY(kdi_append_table(ctx, &q->text, q->all->catalog, q->all->table));
    return kd_buffer_append_text(ctx, &q->text, " WHERE ");
}

static kd_status check_conditions(kd_ctx *ctx, const checker *all)
{
    for (uint32_t i = 0; i < all->table->check_count; i++) {
        const kd_check *check = &all->table->checks[i];
        question q = question_of(all, "check constraint", check->name);
        if (check->not_valid)
            continue;
        KD_TRY(select_where(ctx, &q));
        KD_TRY(kd_buffer_append_format(ctx, &q.text, "NOT (%.*s)",
                                       (int)check->expression_text.size_bytes,
                                       check->expression_text.data));
        KD_TRY(ask(ctx, &q));
    }
    return KD_OK;
}

static kd_status check_not_null(kd_ctx *ctx, const checker *all, const kd_column *column)
{
    question q = question_of(all, "NOT NULL of column", column->storage.name);
    q.column = column->storage.name;
    KD_TRY(select_where(ctx, &q));
    KD_TRY(kd_name_append(ctx, column->storage.name, &q.text));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " IS NULL"));
    return ask(ctx, &q);
}

/* As texts, since not every type has an equality. */
static kd_status check_generated(kd_ctx *ctx, const checker *all, const kd_column *column)
{
    question q = question_of(all, "the expression of column", column->storage.name);
    q.column = column->storage.name;
    KD_TRY(select_where(ctx, &q));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, "CAST("));
    KD_TRY(kd_name_append(ctx, column->storage.name, &q.text));
    KD_TRY(kd_buffer_append_format(ctx, &q.text, " AS text) IS DISTINCT FROM CAST(CAST((%.*s) AS ",
                                   (int)column->default_text.size_bytes,
                                   column->default_text.data));
    KD_TRY(kd_session_format_type(ctx, all->session, column->storage.type, &q.text));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, ") AS text)"));
    return ask(ctx, &q);
}

static kd_status check_columns(kd_ctx *ctx, const checker *all)
{
    for (uint32_t i = 0; i < all->table->visible_count; i++) {
        const kd_column *column = &all->table->columns[i];
        if (column->storage.not_null)
            KD_TRY(check_not_null(ctx, all, column));
        if (column->generated)
            KD_TRY(check_generated(ctx, all, column));
    }
    return KD_OK;
}

static kd_status check_reference(kd_ctx *ctx, const checker *all, const kd_foreign_key *key)
{
    const kd_object *target = kd_catalog_get(all->catalog, key->target_no);
    question q = question_of(all, "foreign key constraint", key->name);
    if (target == NULL || target->kind != KD_OBJECT_TABLE)
        return tell(ctx, &q, "the table that it refers to is not there", false);
    KD_TRY(select_rows(ctx, &q));
    KD_TRY(kdi_foreign_append_missing(ctx, &q.text, all->catalog, all->table, key,
                                      (const kd_table_entry *)target));
    return ask(ctx, &q);
}

/* MATCH FULL: all columns are NULL, or none. */
static kd_status check_match_full(kd_ctx *ctx, const checker *all, const kd_foreign_key *key)
{
    question q = question_of(all, "MATCH FULL of foreign key constraint", key->name);
    KD_TRY(select_where(ctx, &q));
    for (int side = 0; side < 2; side++) {
        KD_TRY(kd_buffer_append_text(ctx, &q.text, side == 0 ? "(false" : ") AND (false"));
        for (uint32_t i = 0; i < key->column_count; i++) {
            KD_TRY(kd_buffer_append_text(ctx, &q.text, " OR "));
            KD_TRY(kd_name_append(
                ctx, kdi_column_by_no(all->table, key->column_nos[i])->storage.name, &q.text));
            KD_TRY(kd_buffer_append_text(ctx, &q.text, side == 0 ? " IS NULL" : " IS NOT NULL"));
        }
    }
    KD_TRY(kd_buffer_append_text(ctx, &q.text, ")"));
    return ask(ctx, &q);
}

static kd_status check_references(kd_ctx *ctx, const checker *all)
{
    for (uint32_t i = 0; i < all->table->foreign_count; i++) {
        const kd_foreign_key *key = &all->table->foreign_keys[i];
        if (key->not_valid)
            continue;
        KD_TRY(check_reference(ctx, all, key));
        if (key->match_full && key->column_count > 1)
            KD_TRY(check_match_full(ctx, all, key));
    }
    return KD_OK;
}

/* SELECT k1, k2 FROM (SELECT a AS k1, lower(b) AS k2 FROM table WHERE condition) q
 * WHERE k1 IS NOT NULL AND k2 IS NOT NULL GROUP BY k1, k2 HAVING count(*) > 1 */
static kd_status check_unique(kd_ctx *ctx, const checker *all, const kd_table_index *index)
{
    const kd_table_entry *table = all->table;
    question q =
        question_of(all, index->is_primary ? "primary key" : "unique index", index->object.name);
    kd_buffer keys = kd_buffer_in(all->arena), inner = kd_buffer_in(all->arena);
    kd_buffer present = kd_buffer_in(all->arena);
    q.counts_keys = true;
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        const char *comma = i == 0 ? "" : ", ";
        KD_TRY(kd_buffer_append_format(ctx, &keys, "%sk%u", comma, i));
        KD_TRY(kd_buffer_append_text(ctx, &q.label, comma));
        KD_TRY(kdi_text_index_key(ctx, table, index, i, &q.label));
        KD_TRY(kd_buffer_append_text(ctx, &inner, comma));
        KD_TRY(kdi_text_index_key(ctx, table, index, i, &inner));
        KD_TRY(kd_buffer_append_format(ctx, &inner, " AS k%u", i));
        if (!index->storage.nulls_not_distinct)
            KD_TRY(kd_buffer_append_format(ctx, &present, " AND k%u IS NOT NULL", i));
    }
    kd_slice names = kd_buffer_slice(&keys);
    KD_TRY(kd_buffer_append_text(ctx, &q.text, "SELECT "));
    KD_TRY(kd_buffer_append_slice(ctx, &q.text, names));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " FROM (SELECT "));
    KD_TRY(kd_buffer_append_slice(ctx, &q.text, kd_buffer_slice(&inner)));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " FROM "));
    KD_TRY(kdi_append_table(ctx, &q.text, all->catalog, table));
    if (index->predicate_text.size_bytes > 0)
        KD_TRY(kd_buffer_append_format(ctx, &q.text, " WHERE (%.*s)",
                                       (int)index->predicate_text.size_bytes,
                                       index->predicate_text.data));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, ") q WHERE true"));
    KD_TRY(kd_buffer_append_slice(ctx, &q.text, kd_buffer_slice(&present)));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " GROUP BY "));
    KD_TRY(kd_buffer_append_slice(ctx, &q.text, names));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " HAVING count(*) > 1"));
    return ask(ctx, &q);
}

/* A partitioned table's keys are its partitions', but for those that span them. */
static kd_status check_keys(kd_ctx *ctx, const checker *all)
{
    for (uint32_t i = 0; i < all->table->index_count; i++) {
        const kd_table_index *index = &all->table->indexes[i];
        bool is_asked = all->table->table_no != 0 || index->key_table_no != 0;
        if (index->storage.unique && !index->storage.exclusion && is_asked)
            KD_TRY(check_unique(ctx, all, index));
    }
    return KD_OK;
}

/* --- Partitions ------------------------------------------------------------------------------- */

/* The rows of the checker's table against one bound of `parent`. */
static kd_status check_bound(kd_ctx *ctx, const checker *all, const kd_table_entry *parent,
                             const kd_partition_bound *bound, bool breaks_inside)
{
    question q = question_of(all, "the partition bound in", parent->object.name);
    q.parent = parent;
    q.bound = bound;
    q.breaks_inside = breaks_inside;
    for (uint32_t k = 0; k < parent->partition_column_count; k++) {
        const kd_column *key = kdi_column_by_no(parent, parent->partition_column_nos[k]);
        KD_TRY(kd_buffer_append_text(ctx, &q.label, k == 0 ? "" : ", "));
        KD_TRY(key->hidden ? kd_buffer_append_slice(ctx, &q.label, key->default_text)
                           : kd_name_append(ctx, key->storage.name, &q.label));
    }
    KD_TRY(kd_buffer_append_text(ctx, &q.text, "SELECT "));
    KD_TRY(kd_buffer_append_slice(ctx, &q.text, kd_buffer_slice(&q.label)));
    KD_TRY(kd_buffer_append_text(ctx, &q.text, " FROM "));
    KD_TRY(kdi_append_table(ctx, &q.text, all->catalog, all->table));
    return ask(ctx, &q);
}

/* A partition's rows stand in its bound, and in those of the partitions that it is a part of. */
static kd_status check_bounds(kd_ctx *ctx, const checker *all)
{
    const kd_table_entry *part = all->table;
    while (part->parent_no != 0) {
        const kd_table_entry *parent =
            (const kd_table_entry *)kd_catalog_get(all->catalog, part->parent_no);
        const kd_table_entry **others;
        uint32_t count;
        if (!part->bound.is_default)
            KD_TRY(check_bound(ctx, all, parent, &part->bound, false));
        KD_TRY(
            kd_catalog_partitions(ctx, all->arena, all->catalog, part->parent_no, &others, &count));
        for (uint32_t i = 0; part->bound.is_default && i < count; i++)
            if (!others[i]->bound.is_default)
                KD_TRY(check_bound(ctx, all, parent, &others[i]->bound, true));
        part = parent;
    }
    return KD_OK;
}

/* --- All tables ------------------------------------------------------------------------------- */

typedef struct table_list {
    const kd_table_entry **tables; /* NULL: they are counted. */
    size_t count;
} table_list;

static void table_note(void *object, const kd_object *entry)
{
    table_list *list = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    if (entry->kind != KD_OBJECT_TABLE || table->is_temporary)
        return;
    if (list->tables != NULL)
        list->tables[list->count] = table;
    list->count++;
}

static kd_status check_table(kd_ctx *ctx, const checker *all)
{
    if (all->table->table_no != 0) {
        KD_TRY(check_columns(ctx, all));
        KD_TRY(check_conditions(ctx, all));
        KD_TRY(check_references(ctx, all));
        KD_TRY(check_bounds(ctx, all));
    }
    return check_keys(ctx, all);
}

kd_status kdi_constraints_check(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                                const kd_catalog_version *catalog, const kd_text_settings *settings,
                                const kdi_violation_watch *watch)
{
    table_list list = {.tables = NULL};
    kd_catalog_visit(catalog, table_note, &list);
    list.tables = KD_NEW_ARRAY(ctx, arena, const kd_table_entry *, list.count);
    if (list.tables == NULL)
        return KD_NOMEM;
    list.count = 0;
    kd_catalog_visit(catalog, table_note, &list);
    for (size_t i = 0; i < list.count; i++) {
        const checker all = {.arena = arena,
                             .session = session,
                             .catalog = catalog,
                             .settings = settings,
                             .watch = watch,
                             .table = list.tables[i]};
        KD_TRY(check_table(ctx, &all));
    }
    return KD_OK;
}
