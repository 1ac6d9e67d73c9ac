/*
 * information_schema: the standard's views.
 */
#include "engine/system_view_internal.h"
#include "types/interval.h"

#include <assert.h>

static void put_catalog(kdi_sys_view *view)
{
    kdi_put_literal(view, view->session->database->name);
}

/* Catalog, schema and name of an object. */
static void put_place(kdi_sys_view *view, const kd_object *object)
{
    put_catalog(view);
    kdi_put_text(view, kdi_object_name(view, object->schema_no));
    kdi_put_text(view, object->name);
}

static void put_number_or_null(kdi_sys_view *view, bool is_there, int64_t number)
{
    if (is_there)
        kdi_put_int4(view, number);
    else
        kdi_put_null(view);
}

/* --- schemata, tables, views ------------------------------------------------------------------ */

#define SCHEMATA(X)                        \
    X(catalog_name, TEXT)                  \
    X(schema_name, TEXT)                   \
    X(schema_owner, TEXT)                  \
    X(default_character_set_catalog, TEXT) \
    X(default_character_set_schema, TEXT) X(default_character_set_name, TEXT) X(sql_path, TEXT)

static kd_status emit_schema(kdi_sys_view *view, kd_slice name)
{
    put_catalog(view);
    kdi_put_text(view, name);
    kdi_put_text(view, kdi_owner_name(view));
    kdi_put_nulls(view, 4);
    return kdi_sys_emit(view);
}

static kd_status schemata(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++)
        if (view->objects[i]->kind == KD_OBJECT_SCHEMA)
            KD_TRY(emit_schema(view, view->objects[i]->name));
    if (kd_catalog_find_schema(view->version, KD_SLICE("information_schema")) != NULL)
        return KD_OK;
    return emit_schema(view, KD_SLICE("information_schema"));
}

#define TABLES(X)                         \
    X(table_catalog, TEXT)                \
    X(table_schema, TEXT)                 \
    X(table_name, TEXT)                   \
    X(table_type, TEXT)                   \
    X(self_referencing_column_name, TEXT) \
    X(reference_generation, TEXT)         \
    X(user_defined_type_catalog, TEXT)    \
    X(user_defined_type_schema, TEXT)     \
    X(user_defined_type_name, TEXT)       \
    X(is_insertable_into, TEXT) X(is_typed, TEXT) X(commit_action, TEXT)

static kd_status finish_table(kdi_sys_view *view, const char *type, bool insertable)
{
    kdi_put_literal(view, type);
    kdi_put_nulls(view, 5);
    kdi_put_yes_no(view, insertable);
    kdi_put_yes_no(view, false);
    kdi_put_null(view);
    return kdi_sys_emit(view);
}

static kd_status tables(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        const kd_table_entry *table = kdi_as_table(object);
        if (table == NULL && object->kind != KD_OBJECT_VIEW)
            continue;
        kd_slice query;
        if (kdi_materialized_query(object, &query))
            continue; /* The standard knows none. */
        put_place(view, object);
        KD_TRY(finish_table(view,
                            table == NULL         ? "VIEW"
                            : table->is_temporary ? "LOCAL TEMPORARY"
                                                  : "BASE TABLE",
                            table != NULL));
    }
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++) {
        put_catalog(view);
        kdi_put_literal(view, kdi_virtual_at(i)->schema);
        kdi_put_literal(view, kdi_virtual_at(i)->name);
        KD_TRY(finish_table(view, "VIEW", false));
    }
    return KD_OK;
}

#define VIEWS(X)                \
    X(table_catalog, TEXT)      \
    X(table_schema, TEXT)       \
    X(table_name, TEXT)         \
    X(view_definition, TEXT)    \
    X(check_option, TEXT)       \
    X(is_updatable, TEXT)       \
    X(is_insertable_into, TEXT) \
    X(is_trigger_updatable, TEXT) X(is_trigger_deletable, TEXT) X(is_trigger_insertable_into, TEXT)

static kd_status views(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_view_entry *entry = (const kd_view_entry *)view->objects[i];
        if (entry->object.kind != KD_OBJECT_VIEW)
            continue;
        put_place(view, &entry->object);
        KD_TRY(kdi_put_view_text(view, &entry->object));
        kdi_put_literal(view, entry->check_option == KD_CHECK_OPTION_LOCAL      ? "LOCAL"
                              : entry->check_option == KD_CHECK_OPTION_CASCADED ? "CASCADED"
                                                                                : "NONE");
        for (int k = 0; k < 5; k++)
            kdi_put_yes_no(view, false);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

/* --- columns ---------------------------------------------------------------------------------- */

#define COLUMNS(X)                    \
    X(table_catalog, TEXT)            \
    X(table_schema, TEXT)             \
    X(table_name, TEXT)               \
    X(column_name, TEXT)              \
    X(ordinal_position, INT4)         \
    X(column_default, TEXT)           \
    X(is_nullable, TEXT)              \
    X(data_type, TEXT)                \
    X(character_maximum_length, INT4) \
    X(character_octet_length, INT4)   \
    X(numeric_precision, INT4)        \
    X(numeric_precision_radix, INT4)  \
    X(numeric_scale, INT4)            \
    X(datetime_precision, INT4)       \
    X(interval_type, TEXT)            \
    X(interval_precision, INT4)       \
    X(collation_name, TEXT)           \
    X(domain_name, TEXT)              \
    X(udt_catalog, TEXT)              \
    X(udt_schema, TEXT)               \
    X(udt_name, TEXT)                 \
    X(dtd_identifier, TEXT)           \
    X(is_self_referencing, TEXT)      \
    X(is_identity, TEXT)              \
    X(identity_generation, TEXT)      \
    X(identity_start, TEXT)           \
    X(identity_increment, TEXT)       \
    X(identity_maximum, TEXT)         \
    X(identity_minimum, TEXT)         \
    X(identity_cycle, TEXT)           \
    X(is_generated, TEXT) X(generation_expression, TEXT) X(is_updatable, TEXT)

typedef struct standard_column {
    kd_slice schema, table, name;
    uint32_t position;
    kd_type type;
    kd_slice default_text;
    bool not_null, updatable;
    kd_column_identity identity;
    bool generated;
} standard_column;

/* data_type names the type without its modifier; enums and arrays are of their own kinds. */
static kd_status put_type(kdi_sys_view *view, kd_type type)
{
    if (type.is_array || type.id == KD_TYPE_ENUM) {
        kdi_put_literal(view, type.is_array ? "ARRAY" : "USER-DEFINED");
        return KD_OK;
    }
    kd_buffer text = kd_buffer_in(view->arena);
    type.modifier = -1;
    KD_TRY(kd_type_format(view->ctx, type, &text));
    kdi_put_text(view, kd_buffer_slice(&text));
    return KD_OK;
}

/* "DAY TO MINUTE" of interval day to minute. */
static kd_status put_interval_fields(kdi_sys_view *view, kd_type type)
{
    static const char word[] = "interval ";
    kd_buffer text = kd_buffer_in(view->arena);
    uint32_t fields = kd_interval_fields(type.modifier);
    if (fields == 0) {
        kdi_put_nulls(view, 1);
        return KD_OK;
    }
    KD_TRY(kd_type_format(view->ctx, type, &text));
    kd_slice named = {text.data + sizeof word - 1, text.size_bytes - (sizeof word - 1)};
    for (size_t i = 0; i < named.size_bytes; i++)
        if (text.data[sizeof word - 1 + i] >= 'a' && text.data[sizeof word - 1 + i] <= 'z')
            text.data[sizeof word - 1 + i] -= 32;
    kdi_put_text(view, named);
    return KD_OK;
}

static kd_status put_sizes(kdi_sys_view *view, kd_type type)
{
    bool is_text = !type.is_array && (type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_CHAR);
    bool is_number = !type.is_array && kd_type_is_number(type) && type.id != KD_TYPE_OID;
    bool is_numeric = is_number && type.id == KD_TYPE_NUMERIC;
    bool is_float = type.id == KD_TYPE_FLOAT4 || type.id == KD_TYPE_FLOAT8;
    bool is_time = !type.is_array && (kd_type_is_timestamp(type) || type.id == KD_TYPE_TIME ||
                                      type.id == KD_TYPE_TIMETZ || type.id == KD_TYPE_INTERVAL);
    int64_t bits = type.id == KD_TYPE_FLOAT4   ? 24
                   : type.id == KD_TYPE_FLOAT8 ? 53
                                               : kd_physical_bytes(kd_type_physical(type)) * 8;
    bool is_bits = !type.is_array && (type.id == KD_TYPE_BIT || type.id == KD_TYPE_VARBIT);
    put_number_or_null(view, (is_text || is_bits) && type.modifier >= 0, type.modifier);
    put_number_or_null(view, is_text || type.id == KD_TYPE_TEXT,
                       is_text && type.modifier >= 0 ? (int64_t)type.modifier * 4 : 1 << 30);
    put_number_or_null(view, is_number && (!is_numeric || type.modifier >= 0),
                       is_numeric ? kd_numeric_precision(type) : bits);
    put_number_or_null(view, is_number, is_numeric ? 10 : 2);
    put_number_or_null(view, is_number && !is_float && (!is_numeric || type.modifier >= 0),
                       is_numeric ? kd_numeric_scale(type) : 0);
    bool is_interval = type.id == KD_TYPE_INTERVAL && !type.is_array;
    uint32_t digits = kd_interval_digits(type.modifier);
    put_number_or_null(view, is_time || type.id == KD_TYPE_DATE,
                       type.id == KD_TYPE_DATE ? 0
                       : is_interval           ? (int32_t)(digits > 6 ? 6 : digits)
                       : type.modifier >= 0    ? type.modifier
                                               : 6);
    if (is_interval)
        KD_TRY(put_interval_fields(view, type));
    else
        kdi_put_nulls(view, 1);
    kdi_put_nulls(view, 3);
    return KD_OK;
}

static kd_status put_udt(kdi_sys_view *view, kd_type type)
{
    put_catalog(view);
    if (type.id != KD_TYPE_ENUM) {
        kdi_put_literal(view, "pg_catalog");
        kdi_put_literal(view, kd_type_internal_name(type));
        return KD_OK;
    }
    const kd_object *object = kd_catalog_get(view->version, type.object);
    kdi_put_text(view, object == NULL ? KD_SLICE("") : kdi_object_name(view, object->schema_no));
    char *name = kd_format_text(view->ctx, view->arena, "%s%.*s", type.is_array ? "_" : "",
                                object == NULL ? 0 : (int)object->name.size_bytes,
                                object == NULL ? "" : object->name.data);
    if (name == NULL)
        return KD_NOMEM;
    kdi_put_literal(view, name);
    return KD_OK;
}

static kd_status emit_column(kdi_sys_view *view, const standard_column *column)
{
    put_catalog(view);
    kdi_put_text(view, column->schema);
    kdi_put_text(view, column->table);
    kdi_put_text(view, column->name);
    kdi_put_int4(view, column->position);
    kdi_put_text_or_null(view, column->generated ? KD_SLICE("") : column->default_text);
    kdi_put_yes_no(view, !column->not_null);
    KD_TRY(put_type(view, column->type));
    KD_TRY(put_sizes(view, column->type));
    KD_TRY(put_udt(view, column->type));
    char *number = kd_format_text(view->ctx, view->arena, "%u", column->position);
    if (number == NULL)
        return KD_NOMEM;
    kdi_put_literal(view, number);
    kdi_put_yes_no(view, false);
    kdi_put_yes_no(view, column->identity != KD_IDENTITY_NONE);
    if (column->identity == KD_IDENTITY_NONE)
        kdi_put_null(view);
    else
        kdi_put_literal(view, column->identity == KD_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT");
    kdi_put_nulls(view, 4);
    kdi_put_yes_no(view, false);
    kdi_put_literal(view, column->generated ? "ALWAYS" : "NEVER");
    kdi_put_text_or_null(view, column->generated ? column->default_text : KD_SLICE(""));
    kdi_put_yes_no(view, column->updatable);
    return kdi_sys_emit(view);
}

static kd_status table_columns(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->visible_count; i++) {
        const kd_column *column = &table->columns[i];
        kd_buffer text = kd_buffer_in(view->arena);
        KD_TRY(kdi_text_default(view->ctx, view->version, column, &text));
        standard_column row = {.schema = kdi_object_name(view, table->object.schema_no),
                               .table = table->object.name,
                               .name = column->storage.name,
                               .position = i + 1,
                               .type = column->storage.type,
                               .default_text = kd_buffer_slice(&text),
                               .not_null = column->storage.not_null,
                               .updatable = !column->generated,
                               .identity = column->identity,
                               .generated = column->generated};
        KD_TRY(emit_column(view, &row));
    }
    return KD_OK;
}

static kd_status view_columns(kdi_sys_view *view, const kd_view_entry *entry)
{
    for (uint32_t i = 0; i < entry->column_count; i++) {
        standard_column row = {.schema = kdi_object_name(view, entry->object.schema_no),
                               .table = entry->object.name,
                               .name = entry->column_names[i],
                               .position = i + 1,
                               .type = entry->column_types[i]};
        KD_TRY(emit_column(view, &row));
    }
    return KD_OK;
}

static kd_status columns(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        if (object->kind == KD_OBJECT_TABLE)
            KD_TRY(table_columns(view, (const kd_table_entry *)object));
        else if (object->kind == KD_OBJECT_VIEW)
            KD_TRY(view_columns(view, (const kd_view_entry *)object));
    }
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++) {
        const kd_virtual_table *table = kdi_virtual_at(i);
        for (uint32_t k = 0; k < table->column_count; k++) {
            standard_column row = {.schema = kd_slice_of(table->schema),
                                   .table = kd_slice_of(table->name),
                                   .name = kd_slice_of(table->column_names[k]),
                                   .position = k + 1,
                                   .type = table->column_types[k]};
            KD_TRY(emit_column(view, &row));
        }
    }
    return KD_OK;
}

/* --- Constraints ------------------------------------------------------------------------------ */

typedef kd_status (*constraint_fn)(kdi_sys_view *view, const kdi_constraint *constraint);

static kd_status for_constraints(kdi_sys_view *view, constraint_fn each)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        kdi_constraint constraint;
        for (uint32_t k = 0; table != NULL && k < kdi_constraint_count(table); k++)
            if (kdi_constraint_at(table, k, &constraint))
                KD_TRY(each(view, &constraint));
    }
    return KD_OK;
}

static void put_constraint_name(kdi_sys_view *view, const kdi_constraint *constraint)
{
    put_catalog(view);
    kdi_put_text(view, kdi_object_name(view, constraint->table->object.schema_no));
    kdi_put_text(view, constraint->name);
}

#define TABLE_CONSTRAINTS(X)    \
    X(constraint_catalog, TEXT) \
    X(constraint_schema, TEXT)  \
    X(constraint_name, TEXT)    \
    X(table_catalog, TEXT)      \
    X(table_schema, TEXT)       \
    X(table_name, TEXT)         \
    X(constraint_type, TEXT)    \
    X(is_deferrable, TEXT) X(initially_deferred, TEXT) X(enforced, TEXT) X(nulls_distinct, TEXT)

static kd_status one_table_constraint(kdi_sys_view *view, const kdi_constraint *constraint)
{
    const kd_foreign_key *key = constraint->key;
    const kd_table_index *index = constraint->index;
    if (constraint->kind == 'x')
        return KD_OK; /* The standard has no EXCLUDE. */
    put_constraint_name(view, constraint);
    put_place(view, &constraint->table->object);
    kdi_put_literal(view, constraint->kind == 'p'   ? "PRIMARY KEY"
                          : constraint->kind == 'u' ? "UNIQUE"
                          : constraint->kind == 'c' ? "CHECK"
                                                    : "FOREIGN KEY");
    kdi_put_yes_no(view,
                   key != NULL ? key->deferrable : index != NULL && index->storage.deferrable);
    kdi_put_yes_no(view, key != NULL ? key->initially_deferred
                                     : index != NULL && index->initially_deferred);
    kdi_put_yes_no(view, true);
    if (constraint->kind == 'u')
        kdi_put_yes_no(view, !index->storage.nulls_not_distinct);
    else
        kdi_put_null(view);
    return kdi_sys_emit(view);
}

static kd_status table_constraints(kdi_sys_view *view)
{
    return for_constraints(view, one_table_constraint);
}

#define KEY_COLUMN_USAGE(X)     \
    X(constraint_catalog, TEXT) \
    X(constraint_schema, TEXT)  \
    X(constraint_name, TEXT)    \
    X(table_catalog, TEXT)      \
    X(table_schema, TEXT)       \
    X(table_name, TEXT)         \
    X(column_name, TEXT) X(ordinal_position, INT4) X(position_in_unique_constraint, INT4)

/* The column of a key at a position; NULL when there is none. */
static const kd_column *key_column(const kdi_constraint *constraint, uint32_t position)
{
    if (constraint->key != NULL)
        return position < constraint->key->column_count
                   ? kdi_column_by_no(constraint->table, constraint->key->column_nos[position])
                   : NULL;
    if (constraint->index == NULL || position >= constraint->index->storage.column_count)
        return NULL;
    return kdi_column_by_no(constraint->table,
                            constraint->index->storage.columns[position].column_no);
}

static kd_status one_key(kdi_sys_view *view, const kdi_constraint *constraint)
{
    const kd_column *column;
    for (uint32_t i = 0; (column = key_column(constraint, i)) != NULL; i++) {
        put_constraint_name(view, constraint);
        put_place(view, &constraint->table->object);
        kdi_put_text(view, column->storage.name);
        kdi_put_int4(view, i + 1);
        put_number_or_null(view, constraint->key != NULL, i + 1);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status key_column_usage(kdi_sys_view *view)
{
    return for_constraints(view, one_key);
}

#define CONSTRAINT_COLUMN_USAGE(X) \
    X(table_catalog, TEXT)         \
    X(table_schema, TEXT)          \
    X(table_name, TEXT)            \
    X(column_name, TEXT)           \
    X(constraint_catalog, TEXT) X(constraint_schema, TEXT) X(constraint_name, TEXT)

/* Of a foreign key: the columns referred to. */
static kd_status one_usage(kdi_sys_view *view, const kdi_constraint *constraint)
{
    const kd_table_entry *table = constraint->table;
    if (constraint->key != NULL) {
        const kd_object *target = kd_catalog_get(view->version, constraint->key->target_no);
        table = target == NULL ? NULL : kdi_as_table(target);
    }
    for (uint32_t i = 0; table != NULL; i++) {
        const kd_column *column =
            constraint->key == NULL ? key_column(constraint, i)
            : i < constraint->key->column_count
                ? kdi_column_by_no(table, constraint->key->target_column_nos[i])
                : NULL;
        if (column == NULL)
            break;
        put_place(view, &table->object);
        kdi_put_text(view, column->storage.name);
        put_constraint_name(view, constraint);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

static kd_status constraint_column_usage(kdi_sys_view *view)
{
    return for_constraints(view, one_usage);
}

#define REFERENTIAL_CONSTRAINTS(X)     \
    X(constraint_catalog, TEXT)        \
    X(constraint_schema, TEXT)         \
    X(constraint_name, TEXT)           \
    X(unique_constraint_catalog, TEXT) \
    X(unique_constraint_schema, TEXT)  \
    X(unique_constraint_name, TEXT) X(match_option, TEXT) X(update_rule, TEXT) X(delete_rule, TEXT)

/* The unique index of the target over just these columns. */
static const kd_table_index *target_index(const kd_table_entry *target, const kd_foreign_key *key)
{
    for (uint32_t i = 0; i < target->index_count; i++) {
        const kd_index_definition *index = &target->indexes[i].storage;
        bool same = index->unique && !index->deferrable && index->column_count == key->column_count;
        for (uint32_t k = 0; same && k < key->column_count; k++) {
            bool found = false;
            for (uint32_t n = 0; n < key->column_count; n++)
                found = found || index->columns[k].column_no == key->target_column_nos[n];
            same = found;
        }
        if (same)
            return &target->indexes[i];
    }
    return NULL;
}

static kd_status one_reference(kdi_sys_view *view, const kdi_constraint *constraint)
{
    static const char *const rules[] = {"NO ACTION", "RESTRICT", "CASCADE", "SET NULL",
                                        "SET DEFAULT"};
    const kd_foreign_key *key = constraint->key;
    if (key == NULL)
        return KD_OK;
    const kd_object *object = kd_catalog_get(view->version, key->target_no);
    const kd_table_entry *target = object == NULL ? NULL : kdi_as_table(object);
    const kd_table_index *index = target == NULL ? NULL : target_index(target, key);
    put_constraint_name(view, constraint);
    if (index == NULL)
        kdi_put_nulls(view, 3);
    else
        put_place(view, &index->object);
    kdi_put_literal(view, key->match_full ? "FULL" : "NONE");
    kdi_put_literal(view, rules[key->on_update]);
    kdi_put_literal(view, rules[key->on_delete]);
    return kdi_sys_emit(view);
}

static kd_status referential_constraints(kdi_sys_view *view)
{
    return for_constraints(view, one_reference);
}

#define CHECK_CONSTRAINTS(X)    \
    X(constraint_catalog, TEXT) \
    X(constraint_schema, TEXT) X(constraint_name, TEXT) X(check_clause, TEXT)

static kd_status one_check(kdi_sys_view *view, const kdi_constraint *constraint)
{
    if (constraint->check == NULL)
        return KD_OK;
    put_constraint_name(view, constraint);
    kdi_put_text(view, constraint->check->expression_text);
    return kdi_sys_emit(view);
}

static kd_status check_constraints(kdi_sys_view *view)
{
    return for_constraints(view, one_check);
}

/* --- sequences -------------------------------------------------------------------------------- */

#define SEQUENCES(X)                 \
    X(sequence_catalog, TEXT)        \
    X(sequence_schema, TEXT)         \
    X(sequence_name, TEXT)           \
    X(data_type, TEXT)               \
    X(numeric_precision, INT4)       \
    X(numeric_precision_radix, INT4) \
    X(numeric_scale, INT4)           \
    X(start_value, TEXT)             \
    X(minimum_value, TEXT) X(maximum_value, TEXT) X(increment, TEXT) X(cycle_option, TEXT)

static kd_status put_number_text(kdi_sys_view *view, int64_t number)
{
    char *text = kd_format_text(view->ctx, view->arena, "%lld", (long long)number);
    if (text == NULL)
        return KD_NOMEM;
    kdi_put_literal(view, text);
    return KD_OK;
}

static kd_status put_sequence(kdi_sys_view *view, const kdi_sys_sequence *sequence)
{
    kd_type type = sequence->entry->type;
    put_place(view, &sequence->entry->object);
    KD_TRY(put_type(view, type));
    kdi_put_int4(view, kd_physical_bytes(kd_type_physical(type)) * 8);
    kdi_put_int4(view, 2);
    kdi_put_int4(view, 0);
    KD_TRY(put_number_text(view, sequence->definition.start));
    KD_TRY(put_number_text(view, sequence->definition.min));
    KD_TRY(put_number_text(view, sequence->definition.max));
    KD_TRY(put_number_text(view, sequence->definition.increment));
    kdi_put_yes_no(view, sequence->definition.cycle);
    return KD_OK;
}

static kd_status sequences(kdi_sys_view *view)
{
    return kdi_sys_each_sequence(view, put_sequence);
}

KDI_VIEW(schemata, SCHEMATA)
KDI_VIEW(tables, TABLES)
KDI_VIEW(views, VIEWS)
KDI_VIEW(columns, COLUMNS)
KDI_VIEW(table_constraints, TABLE_CONSTRAINTS)
KDI_VIEW(key_column_usage, KEY_COLUMN_USAGE)
KDI_VIEW(constraint_column_usage, CONSTRAINT_COLUMN_USAGE)
KDI_VIEW(referential_constraints, REFERENTIAL_CONSTRAINTS)
KDI_VIEW(check_constraints, CHECK_CONSTRAINTS)
KDI_VIEW(sequences, SEQUENCES)

#define STANDARD(name) KDI_VIEW_ENTRY("information_schema", #name, name)

const kd_virtual_table *kdi_standard_views(uint32_t *out_count)
{
    static const kd_virtual_table all[] = {
        STANDARD(schemata),
        STANDARD(tables),
        STANDARD(views),
        STANDARD(columns),
        STANDARD(table_constraints),
        STANDARD(key_column_usage),
        STANDARD(constraint_column_usage),
        STANDARD(referential_constraints),
        STANDARD(check_constraints),
        STANDARD(sequences),
    };
    *out_count = sizeof all / sizeof all[0];
    return all;
}
