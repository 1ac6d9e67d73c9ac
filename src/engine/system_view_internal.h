/*
 * What the files of the system views share.
 *
 *   system_view.c           what all views need, and the list of them
 *   system_view_column.c    relations, columns, types, functions: pg_class, pg_attribute, ...
 *   system_view_key.c       pg_index, pg_constraint, pg_tables, pg_indexes, ...
 *   system_view_server.c    pg_settings, pg_database, ...
 *   system_view_activity.c  pg_stat_activity, kade_progress
 *   system_view_damage.c    kade_scrub
 *   system_view_plan.c      pg_prepared_statements, kade_plan_cache, ...
 *   system_view_standard.c  information_schema
 *   system_view_statistics.c  pg_stats
 *   system_view_usage.c     pg_stat_user_tables and its kin
 *   system_view_advice.c    kade_index_advice
 *   system_view_absent.c    catalogs of what there is none of
 *
 * A view's function visits the objects of the catalog version and emits rows. A
 * constraint has no object of its own: its number is made from its table's.
 */
#ifndef KD_ENGINE_SYSTEM_VIEW_INTERNAL_H
#define KD_ENGINE_SYSTEM_VIEW_INTERNAL_H

#include "engine/catalog_text.h"
#include "engine/engine_internal.h"
#include "table/usage.h"

/* The numbers of the schemas that are not in the catalog, as PostgreSQL has them where it can. */
enum {
    KDI_INFORMATION_SCHEMA_NO = 13000,
    KDI_OWNER_NO = 10,
    KDI_DATABASE_NO = 5,
    KDI_ARRAY_IN_NO = 750,         /* pg_type's typinput of arrays: drivers tell them by it. */
    KDI_FUNCTION_NO_FIRST = 100000 /* Functions, in the order of the registry. */
};

/* A view being read. Values of a row are put one after the other, then emitted. */
typedef struct kdi_sys_view {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_catalog_version *version;
    kd_session *session;
    kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values);
    void *object;
    const kd_type *types; /* Of the view's columns. */
    uint32_t column_count;
    const kd_object **objects; /* All of the catalog, by number. */
    uint32_t object_count;
    kd_value values[40];
    uint32_t value_count;
} kdi_sys_view;

typedef kd_status (*kdi_sys_rows)(kdi_sys_view *view);

/* One value more. */
void kdi_put_value(kdi_sys_view *view, kd_value value);
void kdi_put_null(kdi_sys_view *view);
void kdi_put_nulls(kdi_sys_view *view, uint32_t count);
void kdi_put_text(kdi_sys_view *view, kd_slice text);
/* NULL when it is empty. */
void kdi_put_text_or_null(kdi_sys_view *view, kd_slice text);
/* The query of a view, as pg_get_viewdef tells it. */
kd_status kdi_put_view_text(kdi_sys_view *view, const kd_object *object) KD_MUST_CHECK;
void kdi_put_literal(kdi_sys_view *view, const char *text);
void kdi_put_char(kdi_sys_view *view, char byte);
void kdi_put_bool(kdi_sys_view *view, bool value);
void kdi_put_yes_no(kdi_sys_view *view, bool value);
void kdi_put_int2(kdi_sys_view *view, int value);
void kdi_put_int4(kdi_sys_view *view, int64_t value);
void kdi_put_int8(kdi_sys_view *view, int64_t value);
void kdi_put_oid(kdi_sys_view *view, uint64_t value);
/* A timestamptz; 0 is NULL. */
void kdi_put_moment(kdi_sys_view *view, int64_t wall_us);
void kdi_put_float4(kdi_sys_view *view, double value);
void kdi_put_timestamptz(kdi_sys_view *view, int64_t us_since_1970);
/* text[] */
kd_status kdi_put_texts(kdi_sys_view *view, const kd_slice *texts, uint32_t count) KD_MUST_CHECK;
/* smallint[] */
kd_status kdi_put_numbers(kdi_sys_view *view, const uint32_t *numbers,
                          uint32_t count) KD_MUST_CHECK;
/* regtype[] */
kd_status kdi_put_types(kdi_sys_view *view, const kd_type *types, uint32_t count) KD_MUST_CHECK;
kd_status kdi_sys_emit(kdi_sys_view *view) KD_MUST_CHECK;

typedef struct kdi_sys_sequence {
    const kd_sequence_entry *entry;
    kd_sequence_definition definition;
    int64_t last;
    bool is_called; /* Else `last` was given to nobody. */
} kdi_sys_sequence;
/* A row for every sequence: `put_row` puts its values. */
kd_status kdi_sys_each_sequence(
    kdi_sys_view *view,
    kd_status (*put_row)(kdi_sys_view *view, const kdi_sys_sequence *sequence)) KD_MUST_CHECK;

/* "" for a number that is none. */
kd_slice kdi_object_name(const kdi_sys_view *view, uint32_t object_no);
bool kdi_is_relation(const kd_object *object);
/* pg_class.relkind */
char kdi_relation_kind(const kd_object *object);
/* The entry of a table, NULL for other objects. */
const kd_table_entry *kdi_as_table(const kd_object *object);
/* Since the counters began. */
kd_index_usage kdi_sys_index_usage(const kdi_sys_view *view, const kd_table_entry *table,
                                   const kd_table_index *index);
kd_slice kdi_owner_name(const kdi_sys_view *view);
uint32_t kdi_schema_no_of(const kdi_sys_view *view, const kd_virtual_table *table);
/* The number that a system view itself has in pg_class. */
uint64_t kdi_virtual_number(uint32_t position);
/* Whether pg_proc lists it: operators are functions as well. */
bool kdi_function_is_named(const char *name);

/* Sets the view up and runs `rows`. */
kd_status kdi_sys_run(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                      void *session,
                      kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values),
                      void *object, const kd_type *types, uint32_t column_count, kdi_sys_rows rows);

/*
 * Columns are listed once, X(name, TYPE), and give names and types. KDI_VIEW defines what the list
 * of views refers to: KDI_VIEW(pg_am, PG_AM) needs a function `pg_am`.
 */
#define KDI_COLUMN_NAME(column, type) #column,
#define KDI_COLUMN_TYPE(column, type) KDI_SQL_##type,
#define KDI_SQL_TEXT                       \
    {                                      \
        .id = KD_TYPE_TEXT, .modifier = -1 \
    }
#define KDI_SQL_REGPROC                                          \
    {                                                            \
        .id = KD_TYPE_OID, .modifier = -1, .object = KD_REG_PROC \
    }
#define KDI_SQL_BOOL                       \
    {                                      \
        .id = KD_TYPE_BOOL, .modifier = -1 \
    }
#define KDI_SQL_INT2                       \
    {                                      \
        .id = KD_TYPE_INT2, .modifier = -1 \
    }
#define KDI_SQL_INT4                       \
    {                                      \
        .id = KD_TYPE_INT4, .modifier = -1 \
    }
#define KDI_SQL_INT8                       \
    {                                      \
        .id = KD_TYPE_INT8, .modifier = -1 \
    }
#define KDI_SQL_OID                       \
    {                                     \
        .id = KD_TYPE_OID, .modifier = -1 \
    }
#define KDI_SQL_FLOAT4                       \
    {                                        \
        .id = KD_TYPE_FLOAT4, .modifier = -1 \
    }
#define KDI_SQL_FLOAT8                       \
    {                                        \
        .id = KD_TYPE_FLOAT8, .modifier = -1 \
    }
#define KDI_SQL_TIMESTAMPTZ                       \
    {                                             \
        .id = KD_TYPE_TIMESTAMPTZ, .modifier = -1 \
    }
#define KDI_SQL_INT2_ARRAY                                \
    {                                                     \
        .id = KD_TYPE_INT2, .is_array = 1, .modifier = -1 \
    }
#define KDI_SQL_REGTYPE_ARRAY                                                   \
    {                                                                           \
        .id = KD_TYPE_OID, .is_array = 1, .modifier = -1, .object = KD_REG_TYPE \
    }
#define KDI_SQL_TEXT_ARRAY                                \
    {                                                     \
        .id = KD_TYPE_TEXT, .is_array = 1, .modifier = -1 \
    }

#define KDI_VIEW(view_name, COLUMNS)                                                         \
    static const char *const view_name##_names[] = {COLUMNS(KDI_COLUMN_NAME)};               \
    static const kd_type view_name##_types[] = {COLUMNS(KDI_COLUMN_TYPE)};                   \
    static kd_status view_name##_rows(                                                       \
        kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version, void *session,      \
        kd_status (*emit)(kd_ctx * ctx, void *object, const kd_value *values), void *object) \
    {                                                                                        \
        return kdi_sys_run(ctx, arena, version, session, emit, object, view_name##_types,    \
                           sizeof view_name##_types / sizeof(kd_type), view_name);           \
    }
#define KDI_VIEW_ENTRY(schema_name, sql_name, view_name)                      \
    {                                                                         \
        .schema = schema_name, .name = sql_name,                              \
        .column_count = sizeof view_name##_types / sizeof(kd_type),           \
        .column_names = view_name##_names, .column_types = view_name##_types, \
        .rows = view_name##_rows                                              \
    }

/* The lists of the files. */
const kd_virtual_table *kdi_damage_views(uint32_t *out_count);
const kd_virtual_table *kdi_column_views(uint32_t *out_count);
const kd_virtual_table *kdi_absent_views(uint32_t *out_count);
const kd_virtual_table *kdi_activity_views(uint32_t *out_count);
const kd_virtual_table *kdi_key_views(uint32_t *out_count);
const kd_virtual_table *kdi_server_views(uint32_t *out_count);
const kd_virtual_table *kdi_standard_views(uint32_t *out_count);
const kd_virtual_table *kdi_type_views(uint32_t *out_count);
const kd_virtual_table *kdi_statistics_views(uint32_t *out_count);
const kd_virtual_table *kdi_usage_views(uint32_t *out_count);
const kd_virtual_table *kdi_advice_views(uint32_t *out_count);
const kd_virtual_table *kdi_plan_views(uint32_t *out_count);
const kd_virtual_table *kdi_role_views(uint32_t *out_count);
/* All of them. */
const kd_virtual_table *kdi_virtual_at(uint32_t position); /* NULL past the last. */

#endif
