/*
 * System views of relations, columns, types and functions.
 */
#include "engine/system_view_internal.h"

#include <assert.h>
#include <stdio.h>

/* --- pg_namespace ----------------------------------------------------------------------------- */

#define PG_NAMESPACE(X) X(oid, OID) X(nspname, TEXT) X(nspowner, OID) X(nspacl, TEXT)

static kd_status emit_namespace(kdi_sys_view *view, uint64_t number, kd_slice name)
{
    kdi_put_oid(view, number);
    kdi_put_text(view, name);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_null(view);
    return kdi_sys_emit(view);
}

static kd_status pg_namespace(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++)
        if (view->objects[i]->kind == KD_OBJECT_SCHEMA)
            KD_TRY(emit_namespace(view, view->objects[i]->object_no, view->objects[i]->name));
    if (kd_catalog_find_schema(view->version, KD_SLICE("information_schema")) != NULL)
        return KD_OK;
    return emit_namespace(view, KDI_INFORMATION_SCHEMA_NO, KD_SLICE("information_schema"));
}

/* --- pg_class --------------------------------------------------------------------------------- */

#define PG_CLASS(X)              \
    X(oid, OID)                  \
    X(relname, TEXT)             \
    X(relnamespace, OID)         \
    X(reltype, OID)              \
    X(reloftype, OID)            \
    X(relowner, OID)             \
    X(relam, OID)                \
    X(relfilenode, OID)          \
    X(reltablespace, OID)        \
    X(relpages, INT4)            \
    X(reltuples, FLOAT4)         \
    X(reltoastrelid, OID)        \
    X(relhasindex, BOOL)         \
    X(relisshared, BOOL)         \
    X(relpersistence, TEXT)      \
    X(relkind, TEXT)             \
    X(relnatts, INT2)            \
    X(relchecks, INT2)           \
    X(relhasrules, BOOL)         \
    X(relhastriggers, BOOL)      \
    X(relhassubclass, BOOL)      \
    X(relrowsecurity, BOOL)      \
    X(relforcerowsecurity, BOOL) \
    X(relispopulated, BOOL)      \
    X(relreplident, TEXT)        \
    X(relispartition, BOOL) X(relacl, TEXT_ARRAY) X(reloptions, TEXT_ARRAY) X(relpartbound, TEXT)

typedef struct relation_row {
    uint64_t number;
    kd_slice name;
    uint32_t schema_no;
    char kind;
    double row_count;
    bool has_index, is_temporary, has_partitions, is_partition;
    uint32_t column_count, check_count;
    kd_slice partition_bound;
    kd_slice method; /* Of an index. */
} relation_row;

/* pg_am's numbers. */
static uint64_t method_number(const relation_row *row)
{
    if (row->kind == 'r' || row->kind == 'm')
        return 2;
    if (row->kind != 'i')
        return 0;
    return kd_slice_equal(row->method, KD_SLICE("gin"))    ? 2742
           : kd_slice_equal(row->method, KD_SLICE("hash")) ? 405
           : kd_slice_equal(row->method, KD_SLICE("brin")) ? 3580
                                                           : 403;
}

static kd_status emit_relation(kdi_sys_view *view, const relation_row *row)
{
    kdi_put_oid(view, row->number);
    kdi_put_text(view, row->name);
    kdi_put_oid(view, row->schema_no);
    kdi_put_oid(view, strchr("rpmc", row->kind) != NULL ? row->number : 0);
    kdi_put_oid(view, 0);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_oid(view, method_number(row));
    kdi_put_oid(view, row->number);
    kdi_put_oid(view, 0);
    kdi_put_int4(view, (int64_t)(row->row_count / 100));
    kdi_put_float4(view, row->row_count);
    kdi_put_oid(view, 0);
    kdi_put_bool(view, row->has_index);
    kdi_put_bool(view, false);
    kdi_put_char(view, row->is_temporary ? 't' : 'p');
    kdi_put_char(view, row->kind);
    kdi_put_int2(view, (int)row->column_count);
    kdi_put_int2(view, (int)row->check_count);
    kdi_put_bool(view, row->kind == 'v');
    kdi_put_bool(view, false);
    kdi_put_bool(view, row->has_partitions);
    kdi_put_bool(view, false);
    kdi_put_bool(view, false);
    kdi_put_bool(view, true);
    kdi_put_char(view, 'd');
    kdi_put_bool(view, row->is_partition);
    kdi_put_nulls(view, 2);
    if (row->is_partition)
        kdi_put_text(view, row->partition_bound);
    else
        kdi_put_null(view);
    return kdi_sys_emit(view);
}

static double rows_of(const kdi_sys_view *view, uint64_t table_no)
{
    kd_table *table =
        table_no == 0 ? NULL : kd_table_find(kd_catalog_storage(view->version), table_no);
    return table == NULL ? 0 : (double)kd_table_row_count_estimate(table);
}

static kd_status emit_object(kdi_sys_view *view, const kd_object *object)
{
    relation_row row = {.number = object->object_no,
                        .name = object->name,
                        .schema_no = object->schema_no,
                        .kind = kdi_relation_kind(object)};
    const kd_table_entry *table = kdi_as_table(object);
    kd_buffer bound = kd_buffer_in(view->arena);
    if (table != NULL) {
        row.row_count = rows_of(view, table->table_no);
        row.has_index = table->index_count > 0;
        row.is_temporary = table->is_temporary;
        row.has_partitions = row.kind == 'p';
        row.is_partition = table->parent_no != 0;
        row.column_count = table->visible_count;
        row.check_count = table->check_count;
        kd_text_settings settings;
        kdi_session_text(view->session, (kd_catalog_version *)(uintptr_t)view->version, &settings);
        KD_TRY(kdi_text_partition_bound(view->ctx, view->version, &settings, table, &bound));
        row.partition_bound = kd_buffer_slice(&bound);
    } else if (object->kind == KD_OBJECT_VIEW) {
        const kd_view_entry *entry = (const kd_view_entry *)object;
        row.column_count = entry->column_count;
    } else if (object->kind == KD_OBJECT_INDEX) {
        const kd_table_index *index = NULL;
        if (kd_catalog_index_table(view->version, object->object_no, &index) != NULL) {
            row.column_count = index->storage.column_count;
            row.method = index->method;
        }
    }
    return emit_relation(view, &row);
}

static kd_status emit_table_indexes(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->index_count; i++)
        KD_TRY(emit_object(view, &table->indexes[i].object));
    return KD_OK;
}

static kd_status pg_class(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        if (object->kind == KD_OBJECT_COMPOSITE) {
            relation_row row = {.number = object->object_no,
                                .name = object->name,
                                .schema_no = object->schema_no,
                                .kind = 'c'};
            row.column_count = ((const kd_composite_entry *)object)->attribute_count;
            KD_TRY(emit_relation(view, &row));
        }
        if (!kdi_is_relation(object) || object->kind == KD_OBJECT_INDEX)
            continue;
        KD_TRY(emit_object(view, object));
        if (kdi_as_table(object) != NULL)
            KD_TRY(emit_table_indexes(view, kdi_as_table(object)));
    }
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++) {
        const kd_virtual_table *table = kdi_virtual_at(i);
        relation_row row = {.number = kdi_virtual_number(i),
                            .name = kd_slice_of(table->name),
                            .schema_no = kdi_schema_no_of(view, table),
                            .kind = 'v',
                            .column_count = table->column_count};
        KD_TRY(emit_relation(view, &row));
    }
    return KD_OK;
}

/* --- pg_attribute ----------------------------------------------------------------------------- */

#define PG_ATTRIBUTE(X)    \
    X(attrelid, OID)       \
    X(attname, TEXT)       \
    X(atttypid, OID)       \
    X(attstattarget, INT4) \
    X(attlen, INT2)        \
    X(attnum, INT2)        \
    X(attndims, INT4)      \
    X(atttypmod, INT4)     \
    X(attbyval, BOOL)      \
    X(attstorage, TEXT)    \
    X(attcompression, TEXT) \
    X(attalign, TEXT)      \
    X(attnotnull, BOOL)    \
    X(atthasdef, BOOL)     \
    X(atthasmissing, BOOL) \
    X(attidentity, TEXT)   \
    X(attgenerated, TEXT)  \
    X(attisdropped, BOOL)  \
    X(attislocal, BOOL)    \
    X(attinhcount, INT4) X(attcollation, OID) X(attacl, TEXT_ARRAY) X(attoptions, TEXT_ARRAY)

typedef struct attribute_row {
    uint64_t relation;
    kd_slice name;
    kd_type type;
    uint32_t number;
    bool not_null, has_default;
    const char *identity, *generated;
} attribute_row;

static kd_status emit_attribute(kdi_sys_view *view, const attribute_row *row)
{
    int length = kd_type_length_number(row->type);
    kdi_put_oid(view, row->relation);
    kdi_put_text(view, row->name);
    kdi_put_oid(view, kd_type_number(row->type));
    kdi_put_int4(view, -1);
    kdi_put_int2(view, length);
    kdi_put_int2(view, (int)row->number);
    kdi_put_int4(view, row->type.is_array);
    kdi_put_int4(view, kd_type_modifier_number(row->type));
    kdi_put_bool(view, length > 0 && length <= 8);
    kdi_put_char(view, length < 0 ? 'x' : 'p');
    kdi_put_literal(view, "");
    kdi_put_char(view, length == 1 ? 'c' : length == 2 ? 's' : length == 8 ? 'd' : 'i');
    kdi_put_bool(view, row->not_null);
    kdi_put_bool(view, row->has_default);
    kdi_put_bool(view, false);
    kdi_put_literal(view, row->identity);
    kdi_put_literal(view, row->generated);
    kdi_put_bool(view, false);
    kdi_put_bool(view, true);
    kdi_put_int4(view, 0);
    kdi_put_oid(view, kd_type_is_string(row->type) ? 100 : 0);
    kdi_put_nulls(view, 2);
    return kdi_sys_emit(view);
}

static kd_status table_attributes(kdi_sys_view *view, const kd_table_entry *table)
{
    for (uint32_t i = 0; i < table->visible_count; i++) {
        const kd_column *column = &table->columns[i];
        attribute_row row = {
            .relation = table->object.object_no,
            .name = column->storage.name,
            .type = column->storage.type,
            .number = column->storage.column_no,
            .not_null = column->storage.not_null,
            .has_default = column->default_text.size_bytes > 0,
            .identity = column->identity == KD_IDENTITY_ALWAYS       ? "a"
                        : column->identity == KD_IDENTITY_BY_DEFAULT ? "d"
                                                                     : "",
            .generated = column->generated ? "s" : "",
        };
        KD_TRY(emit_attribute(view, &row));
    }
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        for (uint32_t k = 0; k < index->storage.column_count; k++) {
            const kd_column *column = kdi_column_by_no(table, index->storage.columns[k].column_no);
            if (column == NULL)
                continue;
            attribute_row row = {.relation = index->object.object_no,
                                 .name = column->hidden ? KD_SLICE("expr") : column->storage.name,
                                 .type = column->storage.type,
                                 .number = k + 1,
                                 .identity = "",
                                 .generated = ""};
            KD_TRY(emit_attribute(view, &row));
        }
    }
    return KD_OK;
}

static kd_status view_attributes(kdi_sys_view *view, const kd_view_entry *entry)
{
    for (uint32_t i = 0; i < entry->column_count; i++) {
        attribute_row row = {.relation = entry->object.object_no,
                             .name = entry->column_names[i],
                             .type = entry->column_types[i],
                             .number = i + 1,
                             .identity = "",
                             .generated = ""};
        KD_TRY(emit_attribute(view, &row));
    }
    return KD_OK;
}

static kd_status composite_attributes(kdi_sys_view *view, const kd_composite_entry *entry)
{
    for (uint32_t i = 0; i < entry->attribute_count; i++) {
        attribute_row row = {.relation = entry->object.object_no,
                             .name = entry->attributes[i].name,
                             .type = entry->attributes[i].type,
                             .number = i + 1,
                             .identity = "",
                             .generated = ""};
        KD_TRY(emit_attribute(view, &row));
    }
    return KD_OK;
}

static kd_status pg_attribute(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        if (object->kind == KD_OBJECT_TABLE)
            KD_TRY(table_attributes(view, (const kd_table_entry *)object));
        else if (object->kind == KD_OBJECT_VIEW)
            KD_TRY(view_attributes(view, (const kd_view_entry *)object));
        else if (object->kind == KD_OBJECT_COMPOSITE)
            KD_TRY(composite_attributes(view, (const kd_composite_entry *)object));
    }
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++) {
        const kd_virtual_table *table = kdi_virtual_at(i);
        for (uint32_t k = 0; k < table->column_count; k++) {
            attribute_row row = {.relation = kdi_virtual_number(i),
                                 .name = kd_slice_of(table->column_names[k]),
                                 .type = table->column_types[k],
                                 .number = k + 1,
                                 .identity = "",
                                 .generated = ""};
            KD_TRY(emit_attribute(view, &row));
        }
    }
    return KD_OK;
}

/* --- pg_attrdef, pg_description --------------------------------------------------------------- */

#define PG_ATTRDEF(X) X(oid, OID) X(adrelid, OID) X(adnum, INT2) X(adbin, TEXT)

static kd_status pg_attrdef(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        for (uint32_t k = 0; table != NULL && k < table->visible_count; k++) {
            const kd_column *column = &table->columns[k];
            kd_buffer text = kd_buffer_in(view->arena);
            KD_TRY(kdi_text_default(view->ctx, view->version, column, &text));
            if (text.size_bytes == 0)
                continue;
            kdi_put_oid(view, (uint64_t)table->object.object_no << 16 | column->storage.column_no);
            kdi_put_oid(view, table->object.object_no);
            kdi_put_int2(view, (int)column->storage.column_no);
            kdi_put_text(view, kd_buffer_slice(&text));
            KD_TRY(kdi_sys_emit(view));
        }
    }
    return KD_OK;
}

#define PG_DESCRIPTION(X) X(objoid, OID) X(classoid, OID) X(objsubid, INT4) X(description, TEXT)

/* pg_class, pg_namespace and pg_type as PostgreSQL numbers them. */
static uint64_t class_of_object(const kd_object *object)
{
    return kdi_is_relation(object) ? 1259 : object->kind == KD_OBJECT_SCHEMA ? 2615 : 1247;
}

static kd_status emit_description(kdi_sys_view *view, const kd_object *object, uint32_t part,
                                  kd_slice text)
{
    if (text.size_bytes == 0)
        return KD_OK;
    kdi_put_oid(view, object->object_no);
    kdi_put_oid(view, class_of_object(object));
    kdi_put_int4(view, part);
    kdi_put_text(view, text);
    return kdi_sys_emit(view);
}

static kd_status pg_description(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        const kd_table_entry *table = kdi_as_table(object);
        kd_slice query;
        if (object->kind != KD_OBJECT_INDEX && !kdi_materialized_query(object, &query))
            KD_TRY(emit_description(view, object, 0, object->comment));
        for (uint32_t k = 0; table != NULL && k < table->visible_count; k++)
            KD_TRY(emit_description(view, object, table->columns[k].storage.column_no,
                                    table->columns[k].comment));
        for (uint32_t k = 0; table != NULL && k < table->index_count; k++)
            KD_TRY(emit_description(view, &table->indexes[k].object, 0,
                                    table->indexes[k].object.comment));
    }
    return KD_OK;
}

/* --- pg_type, pg_enum ------------------------------------------------------------------------- */

#define PG_TYPE(X)          \
    X(oid, OID)             \
    X(typname, TEXT)        \
    X(typnamespace, OID)    \
    X(typowner, OID)        \
    X(typlen, INT2)         \
    X(typbyval, BOOL)       \
    X(typtype, TEXT)        \
    X(typcategory, TEXT)    \
    X(typispreferred, BOOL) \
    X(typisdefined, BOOL)   \
    X(typdelim, TEXT)       \
    X(typrelid, OID)        \
    X(typelem, OID)         \
    X(typarray, OID)        \
    X(typinput, REGPROC)    \
    X(typnotnull, BOOL)     \
    X(typbasetype, OID)     \
    X(typtypmod, INT4) X(typndims, INT4) X(typcollation, OID) X(typdefault, TEXT)

typedef struct type_row {
    kd_type type; /* Of domains: the base. */
    uint64_t number, array_number, element_number, base_number;
    kd_slice name;
    uint32_t schema_no;
    char kind, category;
    bool not_null;
    kd_slice default_text;
} type_row;

static char category_of(kd_type type)
{
    if (type.is_array)
        return 'A';
    switch (type.id) {
    case KD_TYPE_BOOL:
        return 'B';
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
        return 'S';
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
    case KD_TYPE_TIMETZ:
        return 'D';
    case KD_TYPE_INTERVAL:
        return 'T';
    case KD_TYPE_ENUM:
        return 'E';
    case KD_TYPE_RECORD:
        return type.object == 0 ? 'P' : 'C';
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return 'V';
    case KD_TYPE_UNKNOWN:
        return 'X';
    case KD_TYPE_VOID:
        return 'P';
    default:
        return kd_type_is_number(type) || type.id == KD_TYPE_OID ? 'N' : 'U';
    }
}

static kd_status emit_type(kdi_sys_view *view, const type_row *row)
{
    int length = kd_type_length_number(row->type);
    kdi_put_oid(view, row->number);
    kdi_put_text(view, row->name);
    kdi_put_oid(view, row->schema_no);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_int2(view, length);
    kdi_put_bool(view, length > 0 && length <= 8);
    kdi_put_char(view, row->kind);
    kdi_put_char(view, row->category);
    kdi_put_bool(view, row->type.id == KD_TYPE_TEXT || row->type.id == KD_TYPE_FLOAT8 ||
                           row->type.id == KD_TYPE_BOOL || row->type.id == KD_TYPE_TIMESTAMPTZ);
    kdi_put_bool(view, true);
    kdi_put_char(view, ',');
    kdi_put_oid(view, row->kind == 'c' ? row->number : 0);
    kdi_put_oid(view, row->element_number);
    kdi_put_oid(view, row->array_number);
    kdi_put_oid(view, row->type.is_array ? KDI_ARRAY_IN_NO : 0);
    kdi_put_bool(view, row->not_null);
    kdi_put_oid(view, row->base_number);
    kdi_put_int4(view, row->base_number == 0 ? -1 : kd_type_modifier_number(row->type));
    kdi_put_int4(view, 0);
    kdi_put_oid(view, kd_type_is_string(row->type) ? 100 : 0);
    kdi_put_text_or_null(view, row->default_text);
    return kdi_sys_emit(view);
}

/* A type and its arrays. */
static kd_status emit_type_pair(kdi_sys_view *view, kd_type type, kd_slice name, uint32_t schema_no,
                                char kind)
{
    kd_type array = kd_type_array_of(type);
    type_row row = {.type = type,
                    .number = kd_type_number(type),
                    .array_number = kd_type_number(array),
                    .name = name,
                    .schema_no = schema_no,
                    .kind = kind,
                    .category = category_of(type)};
    KD_TRY(emit_type(view, &row));
    if (row.array_number == 0)
        return KD_OK;
    char *array_name =
        kd_format_text(view->ctx, view->arena, "_%.*s", (int)name.size_bytes, name.data);
    if (array_name == NULL)
        return KD_NOMEM;
    type_row of_array = {.type = array,
                         .number = row.array_number,
                         .element_number = row.number,
                         .name = kd_slice_of(array_name),
                         .schema_no = schema_no,
                         .kind = 'b',
                         .category = 'A'};
    return emit_type(view, &of_array);
}

static kd_status pg_type(kdi_sys_view *view)
{
    static const kd_reg_kind reg_kinds[] = {KD_REG_PROC, KD_REG_PROCEDURE, KD_REG_CLASS,
                                            KD_REG_TYPE, KD_REG_NAMESPACE, KD_REG_ROLE};
    const kd_object *schema = kd_catalog_find_schema(view->version, KD_SLICE("pg_catalog"));
    uint32_t schema_no = schema == NULL ? 0 : schema->object_no;
    for (int id = 0; id < KD_TYPE_COUNT; id++) {
        kd_type type = kd_type_of((kd_type_id)id);
        if (kd_type_number(type) == 0)
            continue; /* Enums and rows: each has its own. */
        KD_TRY(emit_type_pair(view, type, kd_slice_of(kd_type_internal_name(type)), schema_no,
                              id == KD_TYPE_VOID || id == KD_TYPE_UNKNOWN ? 'p' : 'b'));
    }
    for (size_t i = 0; i < sizeof reg_kinds / sizeof *reg_kinds; i++) {
        kd_type type = kd_type_of(KD_TYPE_OID);
        type.object = reg_kinds[i];
        KD_TRY(
            emit_type_pair(view, type, kd_slice_of(kd_type_internal_name(type)), schema_no, 'b'));
    }
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_object *object = view->objects[i];
        if (object->kind == KD_OBJECT_ENUM) {
            kd_type type = kd_type_of(KD_TYPE_ENUM);
            type.object = object->object_no;
            KD_TRY(emit_type_pair(view, type, object->name, object->schema_no, 'e'));
        } else if (object->kind == KD_OBJECT_COMPOSITE || object->kind == KD_OBJECT_TABLE) {
            kd_type type = kd_type_of(KD_TYPE_RECORD);
            type.object = object->object_no;
            KD_TRY(emit_type_pair(view, type, object->name, object->schema_no, 'c'));
        } else if (object->kind == KD_OBJECT_DOMAIN) {
            const kd_domain_entry *domain = (const kd_domain_entry *)object;
            type_row row = {.type = domain->base,
                            .number = object->object_no,
                            .base_number = kd_type_number(domain->base),
                            .name = object->name,
                            .schema_no = object->schema_no,
                            .kind = 'd',
                            .category = category_of(domain->base),
                            .not_null = domain->not_null,
                            .default_text = domain->default_text};
            KD_TRY(emit_type(view, &row));
        }
    }
    return KD_OK;
}

#define PG_ENUM(X) X(oid, OID) X(enumtypid, OID) X(enumsortorder, FLOAT4) X(enumlabel, TEXT)

static kd_status pg_enum(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        if (view->objects[i]->kind != KD_OBJECT_ENUM)
            continue;
        const kd_enum_entry *entry = (const kd_enum_entry *)view->objects[i];
        for (uint32_t k = 0; k < entry->label_count; k++) {
            kdi_put_oid(view, (uint64_t)entry->object.object_no << 16 | (k + 1));
            kdi_put_oid(view, entry->object.object_no);
            kdi_put_float4(view, k + 1);
            kdi_put_text(view, entry->labels[k]);
            KD_TRY(kdi_sys_emit(view));
        }
    }
    return KD_OK;
}

/* --- pg_proc ---------------------------------------------------------------------------------- */

#define PG_PROC(X)       \
    X(oid, OID)          \
    X(proname, TEXT)     \
    X(pronamespace, OID) \
    X(proowner, OID)     \
    X(prolang, OID)      \
    X(prokind, TEXT)     \
    X(proisstrict, BOOL) \
    X(proretset, BOOL)   \
    X(provolatile, TEXT) X(pronargs, INT2) X(prorettype, OID) X(proargtypes, TEXT) X(prosrc, TEXT)

typedef struct function_list {
    kdi_sys_view *view;
    kd_status status;
    uint32_t count;
    uint32_t schema_no;
} function_list;

static const char volatilities[] = {'i', 's', 'v'};

static kd_status emit_function(function_list *self, const kd_registered *it)
{
    kdi_sys_view *view = self->view;
    kd_buffer types = kd_buffer_in(view->arena);
    for (uint32_t i = 0; i < it->argument_count; i++)
        KD_TRY(kd_buffer_append_format(view->ctx, &types, i == 0 ? "%llu" : " %llu",
                                       (unsigned long long)kd_type_number(it->arguments[i])));
    kdi_put_oid(view, KDI_FUNCTION_NO_FIRST + self->count++);
    kdi_put_literal(view, it->name);
    kdi_put_oid(view, self->schema_no);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_oid(view, 12);
    kdi_put_char(view, it->kind == 'a' ? 'a' : 'f');
    kdi_put_bool(view, it->function != NULL && it->function->strict);
    kdi_put_bool(view, it->kind == 't');
    kdi_put_char(view, it->function != NULL ? volatilities[it->function->volatility]
                       : it->kind == 'a'    ? 'i'
                                            : 's');
    kdi_put_int2(view, (int)it->argument_count);
    kdi_put_oid(view, kd_type_number(it->result));
    kdi_put_text(view, kd_buffer_slice(&types));
    kdi_put_literal(view, it->name);
    return kdi_sys_emit(view);
}

static kd_status emit_routine(kdi_sys_view *view, const kd_routine_entry *routine)
{
    kd_buffer types = kd_buffer_in(view->arena);
    int count = 0;
    KD_TRY(kd_buffer_append_text(view->ctx, &types, ""));
    for (uint32_t i = 0; i < routine->argument_count; i++) {
        if (!kd_argument_is_input(&routine->arguments[i]))
            continue;
        KD_TRY(kd_buffer_append_format(
            view->ctx, &types, count++ == 0 ? "%llu" : " %llu",
            (unsigned long long)kd_type_number(routine->arguments[i].type)));
    }
    kdi_put_oid(view, routine->object.object_no);
    kdi_put_text(view, routine->object.name);
    kdi_put_oid(view, routine->object.schema_no);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_oid(view, 14);
    kdi_put_char(view, routine->kind == KD_ROUTINE_PROCEDURE ? 'p' : 'f');
    kdi_put_bool(view, routine->strict);
    kdi_put_bool(view, routine->returns_set);
    kdi_put_char(view, volatilities[routine->volatility]);
    kdi_put_int2(view, count);
    kdi_put_oid(view, kd_type_number(routine->result));
    kdi_put_text(view, kd_buffer_slice(&types));
    kdi_put_text(view, routine->form == KD_BODY_STRING ? routine->body : (kd_slice){"", 0});
    return kdi_sys_emit(view);
}

bool kdi_function_is_named(const char *name)
{
    return (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
}

static void visit_function(void *object, const kd_registered *it)
{
    function_list *self = object;
    if (self->status == KD_OK && kdi_function_is_named(it->name))
        self->status = emit_function(self, it);
}

static kd_status pg_proc(kdi_sys_view *view)
{
    const kd_object *schema = kd_catalog_find_schema(view->version, KD_SLICE("pg_catalog"));
    function_list self = {.view = view, .schema_no = schema == NULL ? 0 : schema->object_no};
    kd_registry_visit(kd_catalog_registry(view->version), visit_function, &self);
    for (uint32_t i = 0; i < view->object_count && self.status == KD_OK; i++)
        if (view->objects[i]->kind == KD_OBJECT_ROUTINE)
            self.status = emit_routine(view, (const kd_routine_entry *)view->objects[i]);
    return self.status;
}

KDI_VIEW(pg_namespace, PG_NAMESPACE)
KDI_VIEW(pg_class, PG_CLASS)
KDI_VIEW(pg_attribute, PG_ATTRIBUTE)
KDI_VIEW(pg_attrdef, PG_ATTRDEF)
KDI_VIEW(pg_description, PG_DESCRIPTION)
KDI_VIEW(pg_type, PG_TYPE)
KDI_VIEW(pg_enum, PG_ENUM)
KDI_VIEW(pg_proc, PG_PROC)

const kd_virtual_table *kdi_column_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_namespace", pg_namespace),
        KDI_VIEW_ENTRY("pg_catalog", "pg_class", pg_class),
        KDI_VIEW_ENTRY("pg_catalog", "pg_attribute", pg_attribute),
        KDI_VIEW_ENTRY("pg_catalog", "pg_attrdef", pg_attrdef),
        KDI_VIEW_ENTRY("pg_catalog", "pg_description", pg_description),
        KDI_VIEW_ENTRY("pg_catalog", "pg_type", pg_type),
        KDI_VIEW_ENTRY("pg_catalog", "pg_enum", pg_enum),
        KDI_VIEW_ENTRY("pg_catalog", "pg_proc", pg_proc),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
