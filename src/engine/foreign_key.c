/*
 * Foreign keys, both ways.
 *
 * A row that refers looks its key up in the referenced table's unique index, in
 * the newest committed state, and locks what it finds with KEY SHARE, so that
 * the key stays until the transaction ends. What is missing may still come in
 * the same statement (or transaction, for deferred keys): it is put off and
 * looked up once more then.
 *
 * A row that is referred to and goes acts on its referrers with SQL statements
 * of the engine's own: DELETE, UPDATE, or a look whether there are any.
 */
#include "engine/engine_internal.h"

#include <assert.h>

enum { KEY_COLUMNS_MAX = 32 };

/* --- Finding tables, columns, indexes
 * --------------------------------------------------------------- */

typedef struct referrer_search {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_table_entry *table;  /* Whose rows are written. */
    const kd_table_entry *target; /* It, or a parent that it is a partition of. */
    kdi_referrer *found;
    uint32_t count;
    size_t capacity;
    kd_status status;
} referrer_search;

/* The key for a partition of the table that it refers to: the same columns by name. */
static kd_status key_of_partition(kd_ctx *ctx, kd_arena *arena, const kd_foreign_key *key,
                                  const kd_table_entry *parent, const kd_table_entry *partition,
                                  const kd_foreign_key **out_key)
{
    kd_foreign_key *own = KD_NEW(ctx, arena, kd_foreign_key);
    uint32_t *numbers = KD_NEW_ARRAY(ctx, arena, uint32_t, key->column_count);
    *out_key = own;
    if (own == NULL || numbers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < key->column_count; i++) {
        kd_slice name = {"", 0};
        for (uint32_t c = 0; c < parent->column_count; c++)
            if (parent->columns[c].storage.column_no == key->target_column_nos[i])
                name = parent->columns[c].storage.name;
        for (uint32_t c = 0; c < partition->visible_count; c++)
            if (kd_slice_equal(partition->columns[c].storage.name, name))
                numbers[i] = partition->columns[c].storage.column_no;
    }
    *own = *key;
    own->target_column_nos = numbers;
    return KD_OK;
}

static void visit_referrer(void *object, const kd_object *entry)
{
    referrer_search *search = object;
    if (entry->kind != KD_OBJECT_TABLE)
        return;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; i < table->foreign_count && search->status == KD_OK; i++) {
        kdi_referrer *added;
        const kd_foreign_key *key = &table->foreign_keys[i];
        if (key->target_no != search->target->object.object_no)
            continue;
        if (search->target != search->table)
            search->status = key_of_partition(search->ctx, search->arena, key, search->target,
                                              search->table, &key);
        if (search->status == KD_OK)
            search->status = KD_PUSH(search->ctx, search->arena, search->found, search->count,
                                     search->capacity, &added);
        if (search->status == KD_OK)
            *added = (kdi_referrer){.table = table, .key = key};
    }
}

kd_status kdi_foreign_referrers(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *catalog,
                                const kd_table_entry *table, kdi_referrer **out_referrers,
                                uint32_t *out_count)
{
    referrer_search search = {.ctx = ctx, .arena = arena, .table = table, .target = table};
    while (search.target != NULL && search.status == KD_OK) {
        kd_catalog_visit(catalog, visit_referrer, &search);
        uint32_t parent_no = search.target->parent_no;
        search.target =
            parent_no == 0 ? NULL : (const kd_table_entry *)kd_catalog_get(catalog, parent_no);
    }
    *out_referrers = search.found;
    *out_count = search.count;
    return search.status;
}

static uint32_t position_of(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return i;
    assert(false && "a foreign key's column exists");
    return 0;
}

static kd_slice column_name(const kd_table_entry *table, uint32_t column_no)
{
    return table->columns[position_of(table, column_no)].storage.name;
}

/* The unique index over exactly the referenced columns, and for each of its columns the position in
 * the foreign key. */
static const kd_table_index *index_of(const kd_table_entry *target, const kd_foreign_key *key,
                                      uint32_t *out_order)
{
    for (uint32_t i = 0; i < target->index_count; i++) {
        const kd_index_definition *index = &target->indexes[i].storage;
        if (!index->unique || index->deferrable || index->column_count != key->column_count ||
            index->predicate_column_no >= 0)
            continue;
        uint32_t matched = 0;
        for (uint32_t c = 0; c < index->column_count; c++)
            for (uint32_t k = 0; k < key->column_count; k++)
                if (index->columns[c].column_no == key->target_column_nos[k]) {
                    out_order[c] = k;
                    matched++;
                }
        if (matched == key->column_count)
            return &target->indexes[i];
    }
    return NULL;
}

/* --- Does the referenced row exist?
 * ------------------------------------------------------------------ */

/* The row of a table that has a key; for a key over all partitions, its entry. */
static kd_status lock_parent(kd_ctx *ctx, kd_session *session, kd_arena *arena, uint64_t table_no,
                             const kd_table_index *index, const kd_value *ordered, bool *out_found)
{
    kd_table *storage = kd_table_find(session->database->storage, table_no);
    kd_buffer key = kd_buffer_in(arena);
    *out_found = false;
    if (storage == NULL)
        return KD_OK;
    KD_TRY(kd_table_index_key(ctx, storage, index->storage.index_no, ordered,
                              index->storage.column_count, &key));
    for (;;) {
        kd_rowref ref;
        KD_TRY(kd_table_find_by_key(ctx, arena, storage, kd_table_settled(session->txn),
                                    index->storage.index_no, kd_buffer_slice(&key), &ref,
                                    out_found));
        if (!*out_found)
            return KD_OK;
        kd_write_outcome outcome;
        KD_TRY(kd_table_lock_row(ctx, session->txn, storage, ref, KD_LOCK_KEY_SHARE, KD_WAIT,
                                 &outcome));
        if (outcome.result == KD_WRITE_DONE)
            return KD_OK;
        /* Changed or gone while we waited: look again. */
    }
}

static kd_status exists_in(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                           const kd_catalog_version *catalog, const kd_table_entry *target,
                           const kd_foreign_key *key, const kd_value *values, bool *out_found)
{
    uint32_t order[KEY_COLUMNS_MAX];
    kd_value ordered[KEY_COLUMNS_MAX];
    const kd_table_index *index = index_of(target, key, order);
    *out_found = false;
    if (target->strategy != KD_PARTITION_NONE && (index == NULL || index->key_table_no == 0)) {
        const kd_table_entry **partitions;
        uint32_t count;
        KD_TRY(kd_catalog_partitions(ctx, arena, catalog, target->object.object_no, &partitions,
                                     &count));
        for (uint32_t i = 0; i < count && !*out_found; i++) {
            const kd_foreign_key *own;
            KD_TRY(key_of_partition(ctx, arena, key, target, partitions[i], &own));
            KD_TRY(exists_in(ctx, session, arena, catalog, partitions[i], own, values, out_found));
        }
        return KD_OK;
    }
    if (index == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "foreign key \"%.*s\" refers to no unique index",
                       (int)key->name.size_bytes, key->name.data);
    for (uint32_t i = 0; i < key->column_count; i++)
        ordered[i] = values[order[i]];
    return lock_parent(ctx, session, arena,
                       index->key_table_no != 0 ? index->key_table_no : target->table_no, index,
                       ordered, out_found);
}

static kd_status parent_exists(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                               const kd_catalog_version *catalog, const kd_foreign_key *key,
                               const kd_value *values, bool *out_found)
{
    const kd_table_entry *target = (const kd_table_entry *)kd_catalog_get(catalog, key->target_no);
    if (target == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "foreign key \"%.*s\" refers to no table",
                       (int)key->name.size_bytes, key->name.data);
    return exists_in(ctx, session, arena, catalog, target, key, values, out_found);
}

/* --- Messages
 * ----------------------------------------------------------------------------------------- */

static kd_status append_key(kd_ctx *ctx, kd_session *session, const kd_table_entry *table,
                            const uint32_t *column_nos, const kd_value *values, uint32_t count,
                            kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "Key ("));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(kd_buffer_append_slice(ctx, out, column_name(table, column_nos[i])));
    }
    KD_TRY(kd_buffer_append_text(ctx, out, ")=("));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(kd_value_format(ctx, &session->text, &values[i], out));
    }
    return kd_buffer_append_text(ctx, out, ")");
}

static void fill_detail(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                        const kd_table_entry *table, const uint32_t *column_nos,
                        const kd_value *values, uint32_t count, const char *what, kd_slice other)
{
    kd_ctx quiet = {.world = ctx->world};
    kd_error_clear(&quiet);
    kd_buffer text = kd_buffer_in(arena);
    if (append_key(&quiet, session, table, column_nos, values, count, &text) == KD_OK)
        kd_error_set_detail(ctx, "%.*s %s table \"%.*s\".", (int)text.size_bytes, text.data, what,
                            (int)other.size_bytes, other.data);
}

static void set_constraint(kd_ctx *ctx, kd_slice name)
{
    char text[KD_ERROR_NAME_BYTES] = {0};
    memcpy(text, name.data, name.size_bytes < sizeof text - 1 ? name.size_bytes : sizeof text - 1);
    kd_error_set_constraint(ctx, text);
}

static kd_status no_parent(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                           const kd_catalog_version *catalog, const kd_table_entry *child,
                           const kd_foreign_key *key, const kd_value *values)
{
    const kd_object *target = kd_catalog_get(catalog, key->target_no);
    kd_slice table = child->object.name;
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "23503",
                "insert or update on table \"%.*s\" "
                "violates foreign key constraint \"%.*s\"",
                (int)table.size_bytes, table.data, (int)key->name.size_bytes, key->name.data);
    set_constraint(ctx, key->name);
    fill_detail(ctx, arena, session, child, key->column_nos, values, key->column_count,
                "is not present in", target->name);
    return status;
}

static kd_status has_children(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                              const kd_catalog_version *catalog, const kd_table_entry *child,
                              const kd_foreign_key *key, const kd_value *values)
{
    const kd_table_entry *target = (const kd_table_entry *)kd_catalog_get(catalog, key->target_no);
    kd_slice parent = target->object.name, table = child->object.name;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "23503",
                               "update or delete on table \"%.*s\" "
                               "violates foreign key constraint \"%.*s\" on table \"%.*s\"",
                               (int)parent.size_bytes, parent.data, (int)key->name.size_bytes,
                               key->name.data, (int)table.size_bytes, table.data);
    set_constraint(ctx, key->name);
    fill_detail(ctx, arena, session, target, key->target_column_nos, values, key->column_count,
                "is still referenced from", table);
    return status;
}

/* --- Statements of the engine's own
 * ------------------------------------------------------------------- */

static kd_status append_quoted(kd_ctx *ctx, kd_buffer *out, kd_slice name)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "\""));
    for (size_t i = 0; i < name.size_bytes; i++) {
        if (name.data[i] == '"')
            KD_TRY(kd_buffer_append_text(ctx, out, "\""));
        KD_TRY(kd_buffer_append(ctx, out, &name.data[i], 1));
    }
    return kd_buffer_append_text(ctx, out, "\"");
}

kd_status kdi_append_table(kd_ctx *ctx, kd_buffer *out, const kd_catalog_version *catalog,
                           const kd_table_entry *table)
{
    const kd_object *schema = kd_catalog_get(catalog, table->object.schema_no);
    if (schema != NULL) {
        KD_TRY(append_quoted(ctx, out, schema->name));
        KD_TRY(kd_buffer_append_text(ctx, out, "."));
    }
    return append_quoted(ctx, out, table->object.name);
}

/* AND p."k" = c."f" ... */
static kd_status append_matches(kd_ctx *ctx, kd_buffer *out, const kd_table_entry *child,
                                const kd_foreign_key *key, const kd_table_entry *target)
{
    for (uint32_t i = 0; i < key->column_count; i++) {
        KD_TRY(kd_buffer_append_text(ctx, out, " AND p."));
        KD_TRY(append_quoted(ctx, out, column_name(target, key->target_column_nos[i])));
        KD_TRY(kd_buffer_append_text(ctx, out, " = c."));
        KD_TRY(append_quoted(ctx, out, column_name(child, key->column_nos[i])));
    }
    return KD_OK;
}

kd_status kdi_foreign_append_missing(kd_ctx *ctx, kd_buffer *out, const kd_catalog_version *catalog,
                                     const kd_table_entry *child, const kd_foreign_key *key,
                                     const kd_table_entry *target)
{
    KD_TRY(kd_buffer_append_text(ctx, out, " FROM "));
    KD_TRY(kdi_append_table(ctx, out, catalog, child));
    KD_TRY(kd_buffer_append_text(ctx, out, " c WHERE "));
    for (uint32_t i = 0; i < key->column_count; i++) {
        KD_TRY(append_quoted(ctx, out, column_name(child, key->column_nos[i])));
        KD_TRY(kd_buffer_append_text(ctx, out, " IS NOT NULL AND "));
    }
    KD_TRY(kd_buffer_append_text(ctx, out, "NOT EXISTS (SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, out, catalog, target));
    KD_TRY(kd_buffer_append_text(ctx, out, " p WHERE true"));
    KD_TRY(append_matches(ctx, out, child, key, target));
    return kd_buffer_append_text(ctx, out, ")");
}

/* WHERE "a" = $n AND "b" = $n+1 ... over the child's columns. */
static kd_status append_where(kd_ctx *ctx, kd_buffer *out, const kd_table_entry *child,
                              const kd_foreign_key *key, uint32_t first_parameter)
{
    for (uint32_t i = 0; i < key->column_count; i++) {
        KD_TRY(kd_buffer_append_text(ctx, out, i == 0 ? " WHERE " : " AND "));
        KD_TRY(append_quoted(ctx, out, column_name(child, key->column_nos[i])));
        KD_TRY(kd_buffer_append_format(ctx, out, " = $%u", first_parameter + i));
    }
    return KD_OK;
}

static kd_status children_exist(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                                const kd_catalog_version *catalog, const kd_table_entry *child,
                                const kd_foreign_key *key, const kd_value *values, bool *out_exist)
{
    kd_buffer text = kd_buffer_in(arena);
    int64_t found;
    KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, &text, catalog, child));
    KD_TRY(append_where(ctx, &text, child, key, 1));
    KD_TRY(kd_buffer_append_text(ctx, &text, " LIMIT 1"));
    KD_TRY(
        kdi_run_internal(ctx, session, kd_buffer_slice(&text), values, key->column_count, &found));
    *out_exist = found > 0;
    return KD_OK;
}

/* SET clauses of ON DELETE / ON UPDATE actions. `new_values` only for CASCADE. */
static kd_status append_set(kd_ctx *ctx, kd_buffer *out, const kd_table_entry *child,
                            const kd_foreign_key *key, kd_foreign_action action)
{
    for (uint32_t i = 0; i < key->column_count; i++) {
        KD_TRY(kd_buffer_append_text(ctx, out, i == 0 ? " SET " : ", "));
        KD_TRY(append_quoted(ctx, out, column_name(child, key->column_nos[i])));
        if (action == KD_FOREIGN_CASCADE)
            KD_TRY(kd_buffer_append_format(ctx, out, " = $%u", key->column_count + i + 1));
        else
            KD_TRY(kd_buffer_append_text(ctx, out,
                                         action == KD_FOREIGN_SET_NULL ? " = NULL" : " = DEFAULT"));
    }
    return KD_OK;
}

static kd_status run_action(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                            const kd_catalog_version *catalog, const kdi_referrer *referrer,
                            kd_foreign_action action, const kd_value *old_key,
                            const kd_value *new_key)
{
    const kd_foreign_key *key = referrer->key;
    kd_value parameters[KEY_COLUMNS_MAX * 2];
    uint32_t parameter_count = key->column_count;
    kd_buffer text = kd_buffer_in(arena);
    bool deletes = action == KD_FOREIGN_CASCADE && new_key == NULL;
    memcpy(parameters, old_key, key->column_count * sizeof *parameters);
    KD_TRY(kd_buffer_append_text(ctx, &text, deletes ? "DELETE FROM " : "UPDATE "));
    KD_TRY(kdi_append_table(ctx, &text, catalog, referrer->table));
    if (!deletes)
        KD_TRY(append_set(ctx, &text, referrer->table, key, action));
    if (action == KD_FOREIGN_CASCADE && new_key != NULL) {
        memcpy(parameters + key->column_count, new_key, key->column_count * sizeof *parameters);
        parameter_count *= 2;
    }
    KD_TRY(append_where(ctx, &text, referrer->table, key, 1));
    return kdi_run_internal(ctx, session, kd_buffer_slice(&text), parameters, parameter_count,
                            NULL);
}

/* --- Putting off
 * ----------------------------------------------------------------------------------- */

static kd_status put_off(kd_ctx *ctx, kd_session *session, kdi_deferred_kind kind,
                         const kd_table_entry *child, const kd_foreign_key *key,
                         const kd_value *values, bool to_commit)
{
    kd_arena *arena = kd_txn_arena(session->txn);
    kd_value *copies = KD_NEW_ARRAY(ctx, arena, kd_value, key->column_count);
    char *name = kd_copy_text(ctx, arena, key->name.data, key->name.size_bytes);
    if (copies == NULL || name == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < key->column_count; i++)
        KD_TRY(kd_value_copy(ctx, arena, &values[i], &copies[i]));
    kdi_deferred check = {.kind = kind,
                          .child_no = child->object.object_no,
                          .count = key->column_count,
                          .id = {.name = {name, key->name.size_bytes}},
                          .values = copies};
    return kdi_deferred_add(ctx, session, &check, to_commit);
}

static bool is_deferred(const kd_session *session, const kd_foreign_key *key)
{
    kdi_constraint_id id = {.name = key->name};
    return kdi_constraint_is_deferred(session, &id, key->deferrable, key->initially_deferred);
}

static bool any_null(const kd_value *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (values[i].is_null)
            return true;
    return false;
}

static bool all_null(const kd_value *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!values[i].is_null)
            return false;
    return true;
}

static bool same_key(const kd_value *a, const kd_value *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].is_null != b[i].is_null)
            return false;
        if (!a[i].is_null && kd_value_compare(&a[i], &b[i]) != 0)
            return false;
    }
    return true;
}

static void read_key(const kd_table_entry *table, const uint32_t *column_nos, uint32_t count,
                     const kd_value *row, kd_value *out_key)
{
    for (uint32_t i = 0; i < count; i++)
        out_key[i] = row[position_of(table, column_nos[i])];
}

static kd_status check_key(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                           const kd_foreign_key *key, const kd_value *values)
{
    kd_session *session = run->session;
    if (any_null(values, key->column_count)) {
        if (!key->match_full || all_null(values, key->column_count))
            return KD_OK;
        return no_parent(ctx, session, run->arena, run->catalog, table, key, values);
    }
    if (is_deferred(session, key))
        return put_off(ctx, session, KDI_DEFERRED_PARENT, table, key, values, true);
    bool found;
    KD_TRY(parent_exists(ctx, session, run->arena, run->catalog, key, values, &found));
    return found ? KD_OK : put_off(ctx, session, KDI_DEFERRED_PARENT, table, key, values, false);
}

kd_status kdi_foreign_check_row(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                                const kd_value *old_values, const kd_value *new_values)
{
    run->session->text = run->text;
    for (uint32_t i = 0; i < table->foreign_count; i++) {
        const kd_foreign_key *key = &table->foreign_keys[i];
        kd_value values[KEY_COLUMNS_MAX], before[KEY_COLUMNS_MAX];
        assert(key->column_count <= KEY_COLUMNS_MAX);
        read_key(table, key->column_nos, key->column_count, new_values, values);
        if (old_values != NULL) {
            read_key(table, key->column_nos, key->column_count, old_values, before);
            if (same_key(values, before, key->column_count))
                continue;
        }
        KD_TRY(check_key(ctx, run, table, key, values));
    }
    return KD_OK;
}

kd_status kdi_foreign_act(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                          const kdi_referrer *referrers, uint32_t referrer_count,
                          const kd_value *old_values, const kd_value *new_values)
{
    kd_session *session = run->session;
    session->text = run->text;
    for (uint32_t i = 0; i < referrer_count; i++) {
        const kd_foreign_key *key = referrers[i].key;
        kd_foreign_action action = new_values == NULL ? key->on_delete : key->on_update;
        kd_value before[KEY_COLUMNS_MAX], after[KEY_COLUMNS_MAX];
        read_key(table, key->target_column_nos, key->column_count, old_values, before);
        if (any_null(before, key->column_count))
            continue;
        if (new_values != NULL) {
            read_key(table, key->target_column_nos, key->column_count, new_values, after);
            if (same_key(before, after, key->column_count))
                continue;
        }
        if (action == KD_FOREIGN_NO_ACTION) {
            KD_TRY(put_off(ctx, session, KDI_DEFERRED_CHILDREN, referrers[i].table, key, before,
                           is_deferred(session, key)));
        } else if (action == KD_FOREIGN_RESTRICT) {
            bool exist;
            KD_TRY(children_exist(ctx, session, run->arena, run->catalog, referrers[i].table, key,
                                  before, &exist));
            if (exist)
                return has_children(ctx, session, run->arena, run->catalog, referrers[i].table, key,
                                    before);
        } else {
            KD_TRY(run_action(ctx, session, run->arena, run->catalog, &referrers[i], action, before,
                              new_values == NULL ? NULL : after));
            /* The default may be the very key that goes. */
            if (action == KD_FOREIGN_SET_DEFAULT)
                KD_TRY(put_off(ctx, session, KDI_DEFERRED_CHILDREN, referrers[i].table, key, before,
                               false));
        }
    }
    return KD_OK;
}

/* --- Partitions that leave
 * --------------------------------------------------------------------------- */

/* SELECT 1 FROM child c WHERE EXISTS (SELECT 1 FROM partition p WHERE p."k" = c."f" ...). */
static kd_status refers_to_partition(kd_ctx *ctx, kd_run *run, const kd_table_entry *partition,
                                     const kdi_referrer *referrer, bool *out_refers)
{
    const kd_foreign_key *key = referrer->key;
    kd_buffer text = kd_buffer_in(run->arena);
    int64_t found;
    KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, &text, run->catalog, referrer->table));
    KD_TRY(kd_buffer_append_text(ctx, &text, " c WHERE EXISTS (SELECT 1 FROM "));
    KD_TRY(kdi_append_table(ctx, &text, run->catalog, partition));
    KD_TRY(kd_buffer_append_text(ctx, &text, " p WHERE true"));
    KD_TRY(append_matches(ctx, &text, referrer->table, key, partition));
    KD_TRY(kd_buffer_append_text(ctx, &text, ") LIMIT 1"));
    KD_TRY(kdi_query_check(ctx, run->session, kd_buffer_slice(&text), &found));
    *out_refers = found > 0;
    return KD_OK;
}

kd_status kdi_foreign_check_leaving(kd_ctx *ctx, kd_run *run, const kd_table_entry *partition)
{
    kdi_referrer *referrers;
    uint32_t count;
    KD_TRY(kdi_foreign_referrers(ctx, run->arena, run->catalog, partition, &referrers, &count));
    for (uint32_t i = 0; i < count; i++) {
        const kd_foreign_key *key = referrers[i].key;
        bool refers;
        if (key->target_no == partition->object.object_no)
            continue; /* To the partition itself, wherever it is. */
        KD_TRY(refers_to_partition(ctx, run, partition, &referrers[i], &refers));
        if (!refers)
            continue;
        kd_slice name = partition->object.name, table = referrers[i].table->object.name;
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "23503",
                    "removing partition \"%.*s\" violates foreign key constraint \"%.*s\"",
                    (int)name.size_bytes, name.data, (int)key->name.size_bytes, key->name.data);
        set_constraint(ctx, key->name);
        kd_error_set_detail(ctx, "A row of it is still referenced from table \"%.*s\".",
                            (int)table.size_bytes, table.data);
        return status;
    }
    return KD_OK;
}

/* --- Looking again
 * ---------------------------------------------------------------------------------- */

static const kd_foreign_key *find_key(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->foreign_count; i++)
        if (kd_slice_equal(table->foreign_keys[i].name, name))
            return &table->foreign_keys[i];
    return NULL;
}

kd_status kdi_foreign_look_again(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                                 const kd_catalog_version *catalog, const kdi_deferred *it)
{
    const kd_table_entry *child = (const kd_table_entry *)kd_catalog_get(catalog, it->child_no);
    const kd_foreign_key *key = child == NULL ? NULL : find_key(child, it->id.name);
    if (key == NULL)
        return KD_OK; /* Dropped meanwhile. */
    bool parent, children;
    KD_TRY(parent_exists(ctx, session, arena, catalog, key, it->values, &parent));
    if (parent)
        return KD_OK;
    KD_TRY(children_exist(ctx, session, arena, catalog, child, key, it->values, &children));
    if (!children)
        return KD_OK;
    return it->kind == KDI_DEFERRED_PARENT
               ? no_parent(ctx, session, arena, catalog, child, key, it->values)
               : has_children(ctx, session, arena, catalog, child, key, it->values);
}
