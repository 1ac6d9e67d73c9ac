/*
 * JSON objects as rows: json_to_record, json_to_recordset, json_populate_record and their jsonb
 * kin. Which columns they have is said where they are called.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/json.h"
#include "types/jsonb.h"
#include "types/record.h"

typedef struct converter {
    kd_arena *arena;
    const kd_text_settings *settings;
} converter;

/* `base` is the row to start from where the type is one; NULL: all NULLs. */
static kd_status to_value(kd_ctx *ctx, const converter *self, kd_type type, const kd_value *base,
                          kd_slice json, kd_value *out);

/* --- JSON arrays ------------------------------------------------------------------------------ */

typedef struct elements {
    kd_slice *items;
    size_t count, capacity;
} elements;

static kd_status split(kd_ctx *ctx, kd_arena *arena, kd_slice json, elements *out)
{
    kd_json_parser *parser = KD_NEW(ctx, arena, kd_json_parser);
    kd_json_event event;
    if (parser == NULL)
        return KD_NOMEM;
    kd_json_parser_init(parser, json);
    KD_TRY(kd_json_next(ctx, parser, &event));
    for (;;) {
        kd_slice *added;
        KD_TRY(kd_json_next(ctx, parser, &event));
        if (event == KD_JSON_ARRAY_END || event == KD_JSON_END)
            return KD_OK;
        size_t start = parser->token_offset;
        KD_TRY(kd_json_skip(ctx, parser, event));
        KD_TRY(KD_PUSH(ctx, arena, out->items, out->count, out->capacity, &added));
        *added = (kd_slice){json.data + start, parser->offset - start};
    }
}

typedef struct array_maker {
    const converter *converter;
    kd_type element_type;
    kd_array_shape shape;
    kd_value *values;
    size_t count, capacity;
} array_maker;

static kd_status add_elements(kd_ctx *ctx, array_maker *self, kd_slice json, uint32_t dimension)
{
    elements list = {0};
    if (dimension == KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "number of array dimensions exceeds the maximum");
    KD_TRY(split(ctx, self->converter->arena, json, &list));
    if (self->shape.dimensions <= dimension) {
        self->shape.dimensions = dimension + 1;
        self->shape.lengths[dimension] = (uint32_t)list.count;
        self->shape.lower_bounds[dimension] = 1;
    } else if (self->shape.lengths[dimension] != list.count) {
        return KD_FAIL(ctx, KD_INVALID, "22P02", "malformed JSON array");
    }
    for (size_t i = 0; i < list.count; i++) {
        bool nests = strcmp(kd_json_typeof(list.items[i]), "array") == 0 &&
                     self->element_type.id != KD_TYPE_JSON &&
                     self->element_type.id != KD_TYPE_JSONB;
        if (nests) {
            KD_TRY(add_elements(ctx, self, list.items[i], dimension + 1));
            continue;
        }
        if (self->shape.dimensions != dimension + 1)
            return KD_FAIL(ctx, KD_INVALID, "22P02", "malformed JSON array");
        kd_value *added;
        KD_TRY(KD_PUSH(ctx, self->converter->arena, self->values, self->count, self->capacity,
                       &added));
        KD_TRY(to_value(ctx, self->converter, self->element_type, NULL, list.items[i], added));
    }
    return KD_OK;
}

static kd_status to_array(kd_ctx *ctx, const converter *self, kd_type type, kd_slice json,
                          kd_str *out)
{
    array_maker maker = {.converter = self, .element_type = kd_type_element(type)};
    KD_TRY(add_elements(ctx, &maker, json, 0));
    if (maker.count == 0)
        maker.shape = (kd_array_shape){0};
    return kd_array_make_shaped(ctx, self->arena, maker.element_type, &maker.shape, maker.values,
                                out);
}

/* --- Values ----------------------------------------------------------------------------------- */

/* The object's members as the shape's fields; those that it lacks are taken from `values`. */
static kd_status to_fields(kd_ctx *ctx, const converter *self, const kd_record_shape *shape,
                           kd_slice json, kd_value *values)
{
    for (uint32_t i = 0; i < shape->field_count; i++) {
        bool found;
        kd_slice member;
        kd_value before = values[i];
        KD_TRY(kd_json_get_field(ctx, self->arena, json, shape->names[i], &found, &member));
        if (found)
            KD_TRY(to_value(ctx, self, shape->types[i], &before, member, &values[i]));
    }
    return KD_OK;
}

static kd_status base_values(kd_ctx *ctx, kd_arena *arena, const kd_record_shape *shape,
                             const kd_value *base, kd_value **out)
{
    kd_value *values = *out = KD_NEW_ARRAY(ctx, arena, kd_value, shape->field_count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < shape->field_count; i++) {
        values[i] = kd_value_null(shape->types[i]);
        if (base != NULL && !base->is_null && base->type.id == KD_TYPE_RECORD)
            KD_TRY(kd_record_get(ctx, kdi_value_text(base), i, shape->types[i], &values[i]));
    }
    return KD_OK;
}

static kd_status to_row(kd_ctx *ctx, const converter *self, kd_type type, const kd_value *base,
                        kd_slice json, kd_value *out)
{
    kd_record_shape shape;
    if (self->settings == NULL || self->settings->row_shape == NULL || type.object == 0)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "input of anonymous composite types is not implemented");
    KD_TRY(self->settings->row_shape(ctx, self->settings->enum_object, self->arena, type, &shape));
    kd_value *values;
    KD_TRY(base_values(ctx, self->arena, &shape, base, &values));
    KD_TRY(to_fields(ctx, self, &shape, json, values));
    out->is_null = false;
    return kd_record_make(ctx, self->arena, &shape, values, &out->as.str);
}

static kd_status to_value(kd_ctx *ctx, const converter *self, kd_type type, const kd_value *base,
                          kd_slice json, kd_value *out)
{
    const char *kind = kd_json_typeof(json);
    *out = kd_value_null(type);
    if (strcmp(kind, "null") == 0)
        return KD_OK;
    if (type.is_array && strcmp(kind, "array") == 0) {
        out->is_null = false;
        return to_array(ctx, self, type, json, &out->as.str);
    }
    bool is_row = type.id == KD_TYPE_RECORD && !type.is_array;
    if (is_row && strcmp(kind, "object") == 0)
        return to_row(ctx, self, type, base, json, out);
    if (is_row && strcmp(kind, "string") != 0) /* A string is a row's text. */
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot call populate_composite on %s",
                       strcmp(kind, "array") == 0 ? "an array" : "a scalar");
    if (type.is_array && strcmp(kind, "string") != 0) {
        KD_FAIL(ctx, KD_INVALID, "22P02", "expected JSON array");
        return KD_INVALID;
    }
    bool is_json = !type.is_array && (type.id == KD_TYPE_JSON || type.id == KD_TYPE_JSONB);
    bool is_null = false;
    if (!is_json)
        KD_TRY(kd_json_as_text(ctx, self->arena, json, &is_null, &json));
    return kd_value_parse(ctx, self->arena, self->settings, type, json, out);
}

kd_status kdi_json_to_value(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_slice json, kd_value *out)
{
    converter self = {.arena = arena, .settings = settings};
    return to_value(ctx, &self, type, NULL, json, out);
}

/* --- The functions ---------------------------------------------------------------------------- */

typedef struct record_kind {
    bool binary;
    bool populates; /* The first argument is a row to start from. */
    bool set;
    const char *name;
} record_kind;

static kd_status object_to_fields(kd_ctx *ctx, const converter *self, const kd_record_shape *shape,
                                  const char *name, kd_slice json, kd_value *values)
{
    const char *kind = kd_json_typeof(json);
    if (strcmp(kind, "object") != 0)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       strcmp(kind, "array") == 0 ? "cannot call %s on an array"
                                                  : "cannot call %s on a scalar",
                       name);
    return to_fields(ctx, self, shape, json, values);
}

static kd_status add_row(kd_ctx *ctx, const converter *self, const kd_record_shape *shape,
                         const kd_value *base, const char *name, kd_slice json, kdi_row_list *rows)
{
    kd_value *values;
    KD_TRY(base_values(ctx, self->arena, shape, base, &values));
    if (json.data != NULL)
        KD_TRY(object_to_fields(ctx, self, shape, name, json, values));
    return kdi_row_list_add(ctx, rows, values);
}

static kd_status open_records(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                              const kd_value *args, const record_kind *kind, void **out_cursor)
{
    const kd_record_shape *shape = env->data;
    const kd_value *base = kind->populates ? &args[0] : NULL;
    const kd_value *source = &args[kind->populates];
    kdi_row_list *rows;
    KD_TRY(kdi_row_list_create(ctx, arena, shape->types, shape->field_count, &rows));
    *out_cursor = rows;
    converter self = {.arena = arena, .settings = kdi_settings(env)};
    if (source->is_null)
        return kind->set || !kind->populates
                   ? KD_OK
                   : add_row(ctx, &self, shape, base, kind->name, (kd_slice){NULL, 0}, rows);
    kd_slice json = kdi_value_text(source);
    if (kind->binary) {
        kd_buffer text = kd_buffer_in(arena);
        KD_TRY(kd_jsonb_format(ctx, json, &text));
        json = kd_buffer_slice(&text);
    }
    if (!kind->set)
        return add_row(ctx, &self, shape, base, kind->name, json, rows);
    const char *what = kd_json_typeof(json);
    if (strcmp(what, "array") != 0)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       strcmp(what, "object") == 0 ? "cannot call %s on an object"
                                                   : "cannot call %s on a scalar",
                       kind->name);
    elements list = {0};
    KD_TRY(split(ctx, arena, json, &list));
    for (size_t i = 0; i < list.count; i++) {
        if (strcmp(kd_json_typeof(list.items[i]), "object") != 0)
            return KD_FAIL(ctx, KD_INVALID, "22023", "argument of %s must be an array of objects",
                           kind->name);
        KD_TRY(add_row(ctx, &self, shape, base, kind->name, list.items[i], rows));
    }
    return KD_OK;
}

/* As an expression json_populate_record is a row: of its first argument's type, or, where only that
 * row itself knows what it holds, of the same fields. */
static kd_status base_shape(kd_ctx *ctx, const converter *self, const kd_value *base,
                            const char *name, kd_record_shape *out)
{
    bool is_local = base->type.object == 0 || (base->type.object & KD_ROW_IS_LOCAL) != 0;
    if (!is_local && self->settings != NULL && self->settings->row_shape != NULL)
        return self->settings->row_shape(ctx, self->settings->enum_object, self->arena, base->type,
                                         out);
    kd_record row;
    if (base->is_null)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "could not determine row type for result of %s", name);
    KD_TRY(kd_record_open(ctx, kdi_value_text(base), &row));
    kd_type *types = KD_NEW_ARRAY(ctx, self->arena, kd_type, row.field_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, self->arena, kd_slice, row.field_count);
    if (types == NULL || names == NULL)
        return KD_NOMEM;
    *out = (kd_record_shape){row.field_count, types, names};
    for (uint32_t i = 0; i < out->field_count; i++) {
        kd_value value;
        bool found;
        KD_TRY(kd_record_next(ctx, &row, &names[i], &value, &found));
        types[i] = value.type;
    }
    return KD_OK;
}

static kd_status populate(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                          const record_kind *kind, void *result, bool *out_is_null)
{
    const converter self = {.arena = env->arena, .settings = kdi_settings(env)};
    kd_value base = kdi_arg_value(env, args, 0);
    kd_record_shape shape;
    kd_value *values;
    if (base.type.id != KD_TYPE_RECORD || base.type.is_array)
        return KD_FAIL(ctx, KD_INVALID, "42804", "first argument of %s must be a row type",
                       kind->name);
    if (args[1] == NULL) {
        *out_is_null = base.is_null;
        return base.is_null ? KD_OK : kdi_return_text(result, kdi_value_text(&base));
    }
    KD_TRY(base_shape(ctx, &self, &base, kind->name, &shape));
    KD_TRY(base_values(ctx, env->arena, &shape, &base, &values));
    kd_slice json = kdi_arg_text(args, 1);
    if (kind->binary) {
        kd_buffer text = kd_buffer_in(env->arena);
        KD_TRY(kd_jsonb_format(ctx, json, &text));
        json = kd_buffer_slice(&text);
    }
    KD_TRY(object_to_fields(ctx, &self, &shape, kind->name, json, values));
    return kd_record_make(ctx, env->arena, &shape, values, result);
}

#define POPULATE(function, binary)                                        \
    KDI_ROW(function##_row)                                               \
    {                                                                     \
        static const record_kind kind = {binary, true, false, #function}; \
        return populate(ctx, env, args, &kind, result, out_is_null);      \
    }
POPULATE(json_populate_record, false)
POPULATE(jsonb_populate_record, true)

KDI_DESCRIBE(describe)
{
    const kd_record_shape *shape = env->data;
    *out_column_count = shape->field_count;
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, shape->field_count);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, shape->field_count);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    memcpy(*out_names, shape->names, shape->field_count * sizeof **out_names);
    memcpy(*out_types, shape->types, shape->field_count * sizeof **out_types);
    return KD_OK;
}

#define RECORDS(function, binary, populates, set)                            \
    KDI_OPEN(function##_open)                                                \
    {                                                                        \
        static const record_kind kind = {binary, populates, set, #function}; \
        return open_records(ctx, arena, env, args, &kind, out_cursor);       \
    }
RECORDS(json_to_record, false, false, false)
RECORDS(jsonb_to_record, true, false, false)
RECORDS(json_to_recordset, false, false, true)
RECORDS(jsonb_to_recordset, true, false, true)
RECORDS(json_populate_record, false, true, false)
RECORDS(jsonb_populate_record, true, true, false)
RECORDS(json_populate_recordset, false, true, true)
RECORDS(jsonb_populate_recordset, true, true, true)

#define TO_ROWS(function, TYPE, COUNT, ...)                                          \
    {                                                                                \
        .name = #function, .argument_count = COUNT, .arguments = {__VA_ARGS__ TYPE}, \
        .describe = describe, .open = function##_open, .next = kdi_row_list_next,    \
        .wants_columns = true                                                        \
    }

#define ROW_FIRST KDI_TYPE(RECORD),
static const kd_table_function table_functions[] = {
    TO_ROWS(json_to_record, JSON, 1, ),
    TO_ROWS(jsonb_to_record, JSONB, 1, ),
    TO_ROWS(json_to_recordset, JSON, 1, ),
    TO_ROWS(jsonb_to_recordset, JSONB, 1, ),
    TO_ROWS(json_populate_record, JSON, 2, ROW_FIRST),
    TO_ROWS(jsonb_populate_record, JSONB, 2, ROW_FIRST),
    TO_ROWS(json_populate_recordset, JSON, 2, ROW_FIRST),
    TO_ROWS(jsonb_populate_recordset, JSONB, 2, ROW_FIRST),
};

static const kd_function functions[] = {
    STABLE_LENIENT("json_populate_record", json_populate_record_row, ELEMENT, ELEMENT, JSON),
    STABLE_LENIENT("jsonb_populate_record", jsonb_populate_record_row, ELEMENT, ELEMENT, JSONB),
};

kd_status kdi_register_json_record(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions)));
    return kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions));
}
