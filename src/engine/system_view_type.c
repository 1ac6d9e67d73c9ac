/*
 * information_schema's views of types and routines.
 */
#include "engine/system_view_internal.h"

static void put_place(kdi_sys_view *view, const kd_object *object)
{
    kdi_put_literal(view, view->session->database->name);
    kdi_put_text(view, kdi_object_name(view, object->schema_no));
    kdi_put_text(view, object->name);
}

static kd_status put_type(kdi_sys_view *view, kd_type type)
{
    bool is_named = type.id == KD_TYPE_ENUM || (type.id == KD_TYPE_RECORD && type.object != 0);
    kd_buffer text = kd_buffer_in(view->arena);
    type.modifier = -1;
    if (type.is_array || is_named || type.id >= KD_TYPE_COUNT)
        KD_TRY(kd_buffer_append_text(view->ctx, &text,
                                     type.is_array             ? "ARRAY"
                                     : type.id < KD_TYPE_COUNT ? "USER-DEFINED"
                                                               : "anyelement"));
    else
        KD_TRY(kd_type_format(view->ctx, type, &text));
    kdi_put_text(view, kd_buffer_slice(&text));
    return KD_OK;
}

#define USER_DEFINED_TYPES(X)          \
    X(user_defined_type_catalog, TEXT) \
    X(user_defined_type_schema, TEXT)  \
    X(user_defined_type_name, TEXT) X(user_defined_type_category, TEXT) X(is_instantiable, TEXT)

static kd_status user_defined_types(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        if (view->objects[i]->kind != KD_OBJECT_COMPOSITE)
            continue;
        put_place(view, view->objects[i]);
        kdi_put_literal(view, "STRUCTURED");
        kdi_put_yes_no(view, true);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define ATTRIBUTES(X)          \
    X(udt_catalog, TEXT)       \
    X(udt_schema, TEXT)        \
    X(udt_name, TEXT)          \
    X(attribute_name, TEXT)    \
    X(ordinal_position, INT4)  \
    X(attribute_default, TEXT) \
    X(is_nullable, TEXT) X(data_type, TEXT)

static kd_status attributes(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_composite_entry *entry = (const kd_composite_entry *)view->objects[i];
        if (view->objects[i]->kind != KD_OBJECT_COMPOSITE)
            continue;
        for (uint32_t k = 0; k < entry->attribute_count; k++) {
            put_place(view, &entry->object);
            kdi_put_text(view, entry->attributes[k].name);
            kdi_put_int4(view, k + 1);
            kdi_put_null(view);
            kdi_put_yes_no(view, true);
            KD_TRY(put_type(view, entry->attributes[k].type));
            KD_TRY(kdi_sys_emit(view));
        }
    }
    return KD_OK;
}

#define ROUTINES(X)             \
    X(specific_catalog, TEXT)   \
    X(specific_schema, TEXT)    \
    X(specific_name, TEXT)      \
    X(routine_catalog, TEXT)    \
    X(routine_schema, TEXT)     \
    X(routine_name, TEXT)       \
    X(routine_type, TEXT)       \
    X(data_type, TEXT)          \
    X(routine_body, TEXT)       \
    X(routine_definition, TEXT) \
    X(external_language, TEXT) X(is_deterministic, TEXT) X(security_type, TEXT)

static kd_status emit_routine(kdi_sys_view *view, const kd_routine_entry *routine)
{
    bool is_procedure = routine->kind == KD_ROUTINE_PROCEDURE;
    char *name =
        kd_format_text(view->ctx, view->arena, "%.*s_%u", (int)routine->object.name.size_bytes,
                       routine->object.name.data, routine->object.object_no);
    if (name == NULL)
        return KD_NOMEM;
    kdi_put_literal(view, view->session->database->name);
    kdi_put_text(view, kdi_object_name(view, routine->object.schema_no));
    kdi_put_literal(view, name);
    put_place(view, &routine->object);
    kdi_put_literal(view, is_procedure ? "PROCEDURE" : "FUNCTION");
    if (is_procedure)
        kdi_put_null(view);
    else
        KD_TRY(put_type(view, routine->result));
    kdi_put_literal(view, "SQL");
    kdi_put_text(view, routine->body);
    kdi_put_literal(view, "SQL");
    kdi_put_yes_no(view, routine->volatility == KD_IMMUTABLE);
    kdi_put_literal(view, routine->security_definer ? "DEFINER" : "INVOKER");
    return kdi_sys_emit(view);
}

static kd_status routines(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++)
        if (view->objects[i]->kind == KD_OBJECT_ROUTINE)
            KD_TRY(emit_routine(view, (const kd_routine_entry *)view->objects[i]));
    return KD_OK;
}

KDI_VIEW(user_defined_types, USER_DEFINED_TYPES)
KDI_VIEW(attributes, ATTRIBUTES)
KDI_VIEW(routines, ROUTINES)

const kd_virtual_table *kdi_type_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("information_schema", "user_defined_types", user_defined_types),
        KDI_VIEW_ENTRY("information_schema", "attributes", attributes),
        KDI_VIEW_ENTRY("information_schema", "routines", routines),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
