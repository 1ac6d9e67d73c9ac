/*
 * System views: schemas, relations, sessions; and the list of all views.
 */
#include "engine/system_view_internal.h"

#include <assert.h>

/* --- Values -------------------------------------------------------------------------------------------- */

static void put(kdi_view *view, kd_value value)
{
    assert(view->value_count < sizeof view->values / sizeof view->values[0]);
    view->values[view->value_count++] = value;
}

void kdi_put_null(kdi_view *view)
{
    put(view, kd_value_null(kd_type_of(KD_TYPE_TEXT)));
}

void kdi_put_text(kdi_view *view, kd_slice text)
{
    put(view, kd_value_text(text));
}

void kdi_put_literal(kdi_view *view, const char *text)
{
    kdi_put_text(view, kd_slice_of(text));
}

void kdi_put_bool(kdi_view *view, bool value)
{
    put(view, kd_value_bool(value));
}

void kdi_put_yes_no(kdi_view *view, bool value)
{
    kdi_put_literal(view, value ? "YES" : "NO");
}

void kdi_put_int2(kdi_view *view, int value)
{
    put(view, (kd_value){.type = kd_type_of(KD_TYPE_INT2), .as.i16 = (int16_t)value});
}

void kdi_put_int4(kdi_view *view, int64_t value)
{
    put(view, kd_value_i32((int32_t)value));
}

void kdi_put_int8(kdi_view *view, int64_t value)
{
    put(view, kd_value_i64(value));
}

void kdi_put_oid(kdi_view *view, uint64_t value)
{
    put(view, (kd_value){.type = kd_type_of(KD_TYPE_OID), .as.i64 = (int64_t)value});
}

void kdi_put_float4(kdi_view *view, double value)
{
    put(view, (kd_value){.type = kd_type_of(KD_TYPE_FLOAT4), .as.f32 = (float)value});
}

kd_status kdi_view_emit(kdi_view *view)
{
    view->value_count = 0;
    return view->emit(view->ctx, view->object, view->values);
}

kd_slice kdi_object_name(const kd_catalog_version *version, uint32_t object_no)
{
    const kd_object *object = kd_catalog_get(version, object_no);
    return object == NULL ? KD_SLICE("") : object->name;
}

bool kdi_is_relation(const kd_object *object)
{
    return object->kind == KD_OBJECT_TABLE || object->kind == KD_OBJECT_VIEW ||
           object->kind == KD_OBJECT_INDEX || object->kind == KD_OBJECT_SEQUENCE;
}

char kdi_relation_kind(const kd_object *object)
{
    switch (object->kind) {
    case KD_OBJECT_TABLE:
        return ((const kd_table_entry *)object)->strategy == KD_PARTITION_NONE ? 'r' : 'p';
    case KD_OBJECT_VIEW:
        return ((const kd_view_entry *)object)->is_materialized ? 'm' : 'v';
    case KD_OBJECT_INDEX:
        return 'i';
    default:
        return 'S';
    }
}

/* --- The list -------------------------------------------------------------------------------------------- */

const kd_virtual_tables *kdi_system_views(void)
{
    static const kd_virtual_tables views = {0};
    return &views;
}
