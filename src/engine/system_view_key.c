/*
 * System views of indexes, constraints, sequences and partitions, and the readable
 * ones over them: pg_tables, pg_views, pg_indexes.
 */
#include "engine/system_view_internal.h"

#include "types/array.h"

#include <assert.h>

/* Calls `each` for every table. */
static kd_status for_tables(kdi_sys_view *view,
                            kd_status (*each)(kdi_sys_view *view, const kd_table_entry *table))
{
    for (uint32_t i = 0; i < view->object_count; i++)
        if (kdi_as_table(view->objects[i]) != NULL)
            KD_TRY(each(view, kdi_as_table(view->objects[i])));
    return KD_OK;
}

/* --- pg_index --------------------------------------------------------------------------------- */

#define PG_INDEX(X)              \
    X(indexrelid, OID)           \
    X(indrelid, OID)             \
    X(indnatts, INT2)            \
    X(indnkeyatts, INT2)         \
    X(indisunique, BOOL)         \
    X(indnullsnotdistinct, BOOL) \
    X(indisprimary, BOOL)        \
    X(indisexclusion, BOOL)      \
    X(indimmediate, BOOL)        \
    X(indisclustered, BOOL)      \
    X(indisvalid, BOOL)          \
    X(indcheckxmin, BOOL)        \
    X(indisready, BOOL)          \
    X(indislive, BOOL)           \
    X(indisreplident, BOOL)      \
    X(indkey, INT2_ARRAY) X(indoption, INT2_ARRAY) X(indexprs, TEXT) X(indpred, TEXT)

/* Columns' numbers, 0 for expressions. */
static kd_status put_keys(kdi_sys_view *view, const kd_table_entry *table,
                          const kd_table_index *index)
{
    uint32_t count = index->storage.column_count;
    uint32_t *numbers = KD_NEW_ARRAY(view->ctx, view->arena, uint32_t, count + 1);
    if (numbers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_column *column = kdi_column_by_no(table, index->storage.columns[i].column_no);
        numbers[i] = column == NULL || column->hidden ? 0 : column->storage.column_no;
    }
    return kdi_put_numbers(view, numbers, count);
}

/* Bit 0: descending, bit 1: NULLs first. Counted from 0, as PostgreSQL's is. */
static kd_status put_options(kdi_sys_view *view, const kd_table_index *index)
{
    const kd_type type = kd_type_of(KD_TYPE_INT2);
    uint32_t count = index->storage.column_count;
    const kd_array_shape shape = {.dimensions = 1, .lengths = {count}, .lower_bounds = {0}};
    kd_value *options = KD_NEW_ARRAY(view->ctx, view->arena, kd_value, count + 1);
    kd_value array = {.type = kd_type_array_of(type)};
    if (options == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_key_order order = index->storage.columns[i].order;
        options[i] = (kd_value){.type = type};
        options[i].as.i16 = (int16_t)(order.descending | order.nulls_first << 1);
    }
    KD_TRY(kd_array_make_shaped(view->ctx, view->arena, type, &shape, options, &array.as.str));
    kdi_put_value(view, array);
    return KD_OK;
}

static kd_status put_expressions(kdi_sys_view *view, const kd_table_entry *table,
                                 const kd_table_index *index)
{
    kd_buffer text = kd_buffer_in(view->arena);
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        const kd_column *column = kdi_column_by_no(table, index->storage.columns[i].column_no);
        if (column == NULL || !column->hidden || index->key_texts == NULL)
            continue;
        if (text.size_bytes > 0)
            KD_TRY(kd_buffer_append_text(view->ctx, &text, ", "));
        KD_TRY(kd_buffer_append_slice(view->ctx, &text, index->key_texts[i]));
    }
    kdi_put_text_or_null(view, kd_buffer_slice(&text));
    return KD_OK;
}

static kd_status table_indexes(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        kdi_put_oid(view, index->object.object_no);
        kdi_put_oid(view, table->object.object_no);
        kdi_put_int2(view, (int)index->storage.column_count);
        kdi_put_int2(view, (int)index->storage.column_count);
        kdi_put_bool(view, index->storage.unique && !index->storage.exclusion);
        kdi_put_bool(view, index->storage.nulls_not_distinct);
        kdi_put_bool(view, index->is_primary);
        kdi_put_bool(view, index->storage.exclusion);
        kdi_put_bool(view, !index->storage.deferrable);
        kdi_put_bool(view, false);
        kdi_put_bool(view, true);
        kdi_put_bool(view, false);
        kdi_put_bool(view, true);
        kdi_put_bool(view, true);
        kdi_put_bool(view, false);
        KD_TRY(put_keys(view, table, index));
        KD_TRY(put_options(view, index));
        KD_TRY(put_expressions(view, table, index));
        kdi_put_text_or_null(view, index->predicate_text);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status pg_index(kdi_sys_view *view)
{
    return for_tables(view, table_indexes);
}

#define PG_INDEXES(X) \
    X(schemaname, TEXT) X(tablename, TEXT) X(indexname, TEXT) X(tablespace, TEXT) X(indexdef, TEXT)

static kd_status readable_indexes(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        kd_buffer text = kd_buffer_in(view->arena);
        KD_TRY(kdi_text_index(view->ctx, view->version, table, &table->indexes[i], false, &text));
        kdi_put_text(view, kdi_object_name(view, table->object.schema_no));
        kdi_put_text(view, table->object.name);
        kdi_put_text(view, table->indexes[i].object.name);
        kdi_put_null(view);
        kdi_put_text(view, kd_buffer_slice(&text));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status pg_indexes(kdi_sys_view *view)
{
    return for_tables(view, readable_indexes);
}

/* --- pg_constraint ---------------------------------------------------------------------------- */

#define PG_CONSTRAINT(X)   \
    X(oid, OID)            \
    X(conname, TEXT)       \
    X(connamespace, OID)   \
    X(contype, TEXT)       \
    X(condeferrable, BOOL) \
    X(condeferred, BOOL)   \
    X(convalidated, BOOL)  \
    X(conrelid, OID)       \
    X(contypid, OID)       \
    X(conindid, OID)       \
    X(conparentid, OID)    \
    X(confrelid, OID)      \
    X(confupdtype, TEXT)   \
    X(confdeltype, TEXT)   \
    X(confmatchtype, TEXT) \
    X(conislocal, BOOL)    \
    X(coninhcount, INT4)   \
    X(connoinherit, BOOL) X(conkey, INT2_ARRAY) X(confkey, INT2_ARRAY) X(conbin, TEXT)

static kd_status put_constraint_columns(kdi_sys_view *view, const kdi_constraint *constraint)
{
    if (constraint->key != NULL) {
        KD_TRY(kdi_put_numbers(view, constraint->key->column_nos, constraint->key->column_count));
        return kdi_put_numbers(view, constraint->key->target_column_nos,
                               constraint->key->column_count);
    }
    if (constraint->index != NULL)
        KD_TRY(put_keys(view, constraint->table, constraint->index));
    else
        kdi_put_null(view);
    kdi_put_null(view);
    return KD_OK;
}

static kd_status emit_constraint(kdi_sys_view *view, const kdi_constraint *constraint)
{
    static const char actions[] = {'a', 'r', 'c', 'n', 'd'};
    const kd_foreign_key *key = constraint->key;
    const kd_table_index *index = constraint->index;
    kdi_put_oid(view, constraint->number);
    kdi_put_text(view, constraint->name);
    kdi_put_oid(view, constraint->table->object.schema_no);
    kdi_put_char(view, constraint->kind);
    kdi_put_bool(view, key != NULL ? key->deferrable : index != NULL && index->storage.deferrable);
    kdi_put_bool(view, key != NULL ? key->initially_deferred
                                   : index != NULL && index->initially_deferred);
    kdi_put_bool(view, true);
    kdi_put_oid(view, constraint->table->object.object_no);
    kdi_put_oid(view, 0);
    kdi_put_oid(view, index == NULL ? 0 : index->object.object_no);
    kdi_put_oid(view, 0);
    kdi_put_oid(view, key == NULL ? 0 : key->target_no);
    kdi_put_char(view, key == NULL ? ' ' : actions[key->on_update]);
    kdi_put_char(view, key == NULL ? ' ' : actions[key->on_delete]);
    kdi_put_char(view, key == NULL ? ' ' : key->match_full ? 'f' : 's');
    kdi_put_bool(view, true);
    kdi_put_int4(view, 0);
    kdi_put_bool(view, constraint->kind != 'c');
    KD_TRY(put_constraint_columns(view, constraint));
    if (constraint->check != NULL)
        kdi_put_text(view, constraint->check->expression_text);
    else
        kdi_put_null(view);
    return kdi_sys_emit(view);
}

static kd_status table_constraints(kdi_sys_view *view, const kd_table_entry *table)
{
    kdi_constraint constraint;
    for (uint32_t i = 0; i < kdi_constraint_count(table); i++)
        if (kdi_constraint_at(table, i, &constraint))
            KD_TRY(emit_constraint(view, &constraint));
    return KD_OK;
}

static kd_status pg_constraint(kdi_sys_view *view)
{
    return for_tables(view, table_constraints);
}

/* --- pg_tables, pg_views, pg_matviews --------------------------------------------------------- */

#define PG_TABLES(X)    \
    X(schemaname, TEXT) \
    X(tablename, TEXT)  \
    X(tableowner, TEXT) \
    X(tablespace, TEXT) \
    X(hasindexes, BOOL) X(hasrules, BOOL) X(hastriggers, BOOL) X(rowsecurity, BOOL)

static kd_status readable_table(kdi_sys_view *view, const kd_table_entry *table)
{
    kd_slice query;
    if (kdi_materialized_query(&table->object, &query))
        return KD_OK;
    kdi_put_text(view, kdi_object_name(view, table->object.schema_no));
    kdi_put_text(view, table->object.name);
    kdi_put_text(view, kdi_owner_name(view));
    kdi_put_null(view);
    kdi_put_bool(view, table->index_count > 0);
    kdi_put_bool(view, false);
    kdi_put_bool(view, false);
    kdi_put_bool(view, false);
    return kdi_sys_emit(view);
}

static kd_status pg_tables(kdi_sys_view *view)
{
    return for_tables(view, readable_table);
}

#define PG_VIEWS(X) X(schemaname, TEXT) X(viewname, TEXT) X(viewowner, TEXT) X(definition, TEXT)

static kd_status pg_views(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_view_entry *entry = (const kd_view_entry *)view->objects[i];
        if (entry->object.kind != KD_OBJECT_VIEW)
            continue;
        kdi_put_text(view, kdi_object_name(view, entry->object.schema_no));
        kdi_put_text(view, entry->object.name);
        kdi_put_text(view, kdi_owner_name(view));
        KD_TRY(kdi_put_view_text(view, &entry->object));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define PG_MATVIEWS(X)    \
    X(schemaname, TEXT)   \
    X(matviewname, TEXT)  \
    X(matviewowner, TEXT) \
    X(tablespace, TEXT) X(hasindexes, BOOL) X(ispopulated, BOOL) X(definition, TEXT)

static kd_status pg_matviews(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        const kd_table_entry *table = kdi_as_table(object);
        kd_slice query;
        if (!kdi_materialized_query(object, &query))
            continue;
        kdi_put_text(view, kdi_object_name(view, object->schema_no));
        kdi_put_text(view, object->name);
        kdi_put_text(view, kdi_owner_name(view));
        kdi_put_null(view);
        kdi_put_bool(view, table != NULL && table->index_count > 0);
        kdi_put_bool(view, true);
        KD_TRY(kdi_put_view_text(view, object));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

/* --- Sequences, partitions -------------------------------------------------------------------- */

#define PG_SEQUENCES(X)    \
    X(schemaname, TEXT)    \
    X(sequencename, TEXT)  \
    X(sequenceowner, TEXT) \
    X(data_type, TEXT)     \
    X(start_value, INT8)   \
    X(min_value, INT8)     \
    X(max_value, INT8) X(increment_by, INT8) X(cycle, BOOL) X(cache_size, INT8) X(last_value, INT8)

static kd_status put_pg_sequences(kdi_sys_view *view, const kdi_sys_sequence *sequence)
{
    const kd_sequence_entry *entry = sequence->entry;
    kd_buffer type = kd_buffer_in(view->arena);
    KD_TRY(kd_type_format(view->ctx, entry->type, &type));
    kdi_put_text(view, kdi_object_name(view, entry->object.schema_no));
    kdi_put_text(view, entry->object.name);
    kdi_put_text(view, kdi_owner_name(view));
    kdi_put_text(view, kd_buffer_slice(&type));
    kdi_put_int8(view, sequence->definition.start);
    kdi_put_int8(view, sequence->definition.min);
    kdi_put_int8(view, sequence->definition.max);
    kdi_put_int8(view, sequence->definition.increment);
    kdi_put_bool(view, sequence->definition.cycle);
    kdi_put_int8(view, 1);
    if (sequence->is_called)
        kdi_put_int8(view, sequence->last);
    else
        kdi_put_null(view);
    return KD_OK;
}

static kd_status pg_sequences(kdi_sys_view *view)
{
    return kdi_sys_each_sequence(view, put_pg_sequences);
}

#define PG_SEQUENCE(X) \
    X(seqrelid, OID)   \
    X(seqtypid, OID)   \
    X(seqstart, INT8)  \
    X(seqincrement, INT8) X(seqmax, INT8) X(seqmin, INT8) X(seqcache, INT8) X(seqcycle, BOOL)

static kd_status put_pg_sequence(kdi_sys_view *view, const kdi_sys_sequence *sequence)
{
    kdi_put_oid(view, sequence->entry->object.object_no);
    kdi_put_oid(view, kd_type_number(sequence->entry->type));
    kdi_put_int8(view, sequence->definition.start);
    kdi_put_int8(view, sequence->definition.increment);
    kdi_put_int8(view, sequence->definition.max);
    kdi_put_int8(view, sequence->definition.min);
    kdi_put_int8(view, 1);
    kdi_put_bool(view, sequence->definition.cycle);
    return KD_OK;
}

static kd_status pg_sequence(kdi_sys_view *view)
{
    return kdi_sys_each_sequence(view, put_pg_sequence);
}

#define PG_INHERITS(X) \
    X(inhrelid, OID) X(inhparent, OID) X(inhseqno, INT4) X(inhdetachpending, BOOL)

static kd_status emit_partition(kdi_sys_view *view, const kd_table_entry *table)
{
    if (table->parent_no == 0)
        return KD_OK;
    kdi_put_oid(view, table->object.object_no);
    kdi_put_oid(view, table->parent_no);
    kdi_put_int4(view, 1);
    kdi_put_bool(view, false);
    return kdi_sys_emit(view);
}

static kd_status pg_inherits(kdi_sys_view *view)
{
    return for_tables(view, emit_partition);
}

KDI_VIEW(pg_index, PG_INDEX)
KDI_VIEW(pg_indexes, PG_INDEXES)
KDI_VIEW(pg_constraint, PG_CONSTRAINT)
KDI_VIEW(pg_tables, PG_TABLES)
KDI_VIEW(pg_views, PG_VIEWS)
KDI_VIEW(pg_matviews, PG_MATVIEWS)
KDI_VIEW(pg_sequences, PG_SEQUENCES)
KDI_VIEW(pg_sequence, PG_SEQUENCE)
KDI_VIEW(pg_inherits, PG_INHERITS)

const kd_virtual_table *kdi_key_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_index", pg_index),
        KDI_VIEW_ENTRY("pg_catalog", "pg_indexes", pg_indexes),
        KDI_VIEW_ENTRY("pg_catalog", "pg_constraint", pg_constraint),
        KDI_VIEW_ENTRY("pg_catalog", "pg_tables", pg_tables),
        KDI_VIEW_ENTRY("pg_catalog", "pg_views", pg_views),
        KDI_VIEW_ENTRY("pg_catalog", "pg_matviews", pg_matviews),
        KDI_VIEW_ENTRY("pg_catalog", "pg_sequences", pg_sequences),
        KDI_VIEW_ENTRY("pg_catalog", "pg_sequence", pg_sequence),
        KDI_VIEW_ENTRY("pg_catalog", "pg_inherits", pg_inherits),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
