/*
 * What the files of the system views share.
 *
 *   system_view.c           the list of all views; schemas, relations, sessions
 *   system_view_column.c    pg_attribute, pg_attrdef, pg_type, pg_enum, pg_proc
 *   system_view_key.c       pg_index, pg_constraint and the like
 *   system_view_standard.c  information_schema
 *
 * A view's function visits the objects of the catalog version and emits rows. A
 * constraint has no object of its own: its number is made from its table's.
 */
#ifndef KD_ENGINE_SYSTEM_VIEW_INTERNAL_H
#define KD_ENGINE_SYSTEM_VIEW_INTERNAL_H

#include "engine/engine_internal.h"

/* The numbers of the schemas that are not in the catalog, as PostgreSQL has them where it can. */
enum { KDI_INFORMATION_SCHEMA_NO = 13000, KDI_OWNER_NO = 10, KDI_DATABASE_NO = 5 };

/* A view being read. Values of a row are put one after the other, then emitted. */
typedef struct kdi_view {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_catalog_version *version;
    kd_session *session;
    kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values);
    void *object;
    const kd_object **objects; /* All, by number. */
    uint32_t object_count;
    kd_value values[40];
    uint32_t value_count;
} kdi_view;

typedef kd_status (*kdi_view_rows)(kdi_view *view);

/* One value more. Failures (of copying) are kept for kdi_view_emit. */
void kdi_put_null(kdi_view *view);
void kdi_put_text(kdi_view *view, kd_slice text);
void kdi_put_literal(kdi_view *view, const char *text);
void kdi_put_bool(kdi_view *view, bool value);
void kdi_put_yes_no(kdi_view *view, bool value);
void kdi_put_int2(kdi_view *view, int value);
void kdi_put_int4(kdi_view *view, int64_t value);
void kdi_put_int8(kdi_view *view, int64_t value);
void kdi_put_oid(kdi_view *view, uint64_t value);
void kdi_put_float4(kdi_view *view, double value);
kd_status kdi_view_emit(kdi_view *view) KD_MUST_CHECK;

/* "" for a number that is none. */
kd_slice kdi_object_name(const kd_catalog_version *version, uint32_t object_no);
bool kdi_is_relation(const kd_object *object);
/* pg_class.relkind */
char kdi_relation_kind(const kd_object *object);

#endif
