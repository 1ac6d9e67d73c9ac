/*
 * Assignment to a part of a value: fields of rows, array elements and slices, jsonb subscripts.
 *
 * SET c.f[2] = 5 is bound as c = kade_assign(c, 5, path). The functions are for the
 * binder; they can be called, but mean nothing by themselves.
 *
 * A path is an int4[] of steps, outermost first:
 *
 *   KD_STEP_FIELD      position of the field
 *   KD_STEP_ELEMENT    n, then n subscripts
 *   KD_STEP_SLICE      n, then n times: bounds given (1 lower, 2 upper), lower, upper; the last
 * step
 *
 * With a fourth argument, a text[] of jsonb subscripts, the path leads to a jsonb and these go on.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/jsonb.h"
#include "types/record.h"

/* --- jsonb ------------------------------------------------------------------------------------ */

typedef struct json_path {
    const kd_array *steps;
    kd_arena *arena;
    kd_slice value;
} json_path;

/* A step in decimal is an index where the container is an array, or is to be made. */
static bool as_index(kd_slice step, int64_t *out_index)
{
    size_t at = step.size_bytes > 0 && step.data[0] == '-';
    int64_t number = 0;
    if (step.size_bytes == at || step.size_bytes > 10)
        return false;
    for (size_t i = at; i < step.size_bytes; i++) {
        if (step.data[i] < '0' || step.data[i] > '9')
            return false;
        number = number * 10 + (step.data[i] - '0');
    }
    *out_index = at ? -number : number;
    return true;
}

static kd_status put(kd_ctx *ctx, const json_path *path, uint32_t depth, const kd_slice *stored,
                     kd_slice *out);

static kd_status put_element(kd_ctx *ctx, const json_path *path, uint32_t depth,
                             const kd_slice *stored, kd_slice step, kd_slice *out)
{
    kd_slice none = {NULL, 0};
    kd_jsonb array = {.kind = KD_JSONB_ARRAY};
    int64_t index = 0;
    if (stored != NULL)
        array = kd_jsonb_open(*stored);
    if (!as_index(step, &index))
        return KD_FAIL(ctx, KD_INVALID, "22P02",
                       "path element at position %u is not an integer: \"%.*s\"", depth + 1,
                       (int)step.size_bytes, step.data);
    if (index < 0 && -index > (int64_t)array.count)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "path element at position %u is out of range: %lld", depth + 1,
                       (long long)index);
    index = index < 0 ? index + array.count : index;
    if (index > KD_JSONB_COUNT_MAX - 1)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "number of jsonb array elements exceeds the maximum");
    uint32_t count = (uint32_t)index + 1 > array.count ? (uint32_t)index + 1 : array.count;
    kd_slice *elements = KD_NEW_ARRAY(ctx, path->arena, kd_slice, count);
    if (elements == NULL)
        return KD_NOMEM;
    KD_TRY(kd_jsonb_make_null(ctx, path->arena, &none));
    for (uint32_t i = 0; i < count; i++)
        elements[i] = i < array.count ? kd_jsonb_element(&array, i) : none;
    bool exists = index < (int64_t)array.count;
    kd_slice old = elements[index];
    KD_TRY(put(ctx, path, depth + 1, exists ? &old : NULL, &elements[index]));
    return kd_jsonb_make_array(ctx, path->arena, elements, count, out);
}

static kd_status put_field(kd_ctx *ctx, const json_path *path, uint32_t depth,
                           const kd_slice *stored, kd_slice step, kd_slice *out)
{
    kd_slice object, old, changed;
    if (stored != NULL)
        object = *stored;
    else
        KD_TRY(kd_jsonb_make_object(ctx, path->arena, NULL, NULL, 0, &object));
    bool exists = kd_jsonb_get_field(object, step, &old);
    KD_TRY(put(ctx, path, depth + 1, exists ? &old : NULL, &changed));
    return kd_jsonb_set(ctx, path->arena, object, &step, 1, changed, true, out);
}

/* What stands at a place after the assignment; `stored` is NULL where nothing is yet. */
static kd_status put(kd_ctx *ctx, const json_path *path, uint32_t depth, const kd_slice *stored,
                     kd_slice *out)
{
    if (depth == path->steps->count) {
        *out = path->value;
        return KD_OK;
    }
    kd_value step_value = kd_array_get(path->steps, depth);
    kd_slice step = kd_str_slice(&step_value.as.str);
    int64_t index;
    if (step_value.is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "jsonb subscript in assignment must not be null");
    kd_jsonb_kind kind = stored != NULL           ? (kd_jsonb_kind)kd_jsonb_open(*stored).kind
                         : as_index(step, &index) ? KD_JSONB_ARRAY
                                                  : KD_JSONB_OBJECT;
    /* The step's bytes may stand in step_value itself. */
    char *copy = kd_copy_text(ctx, path->arena, step.data, step.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    step.data = copy;
    if (kind == KD_JSONB_ARRAY)
        return put_element(ctx, path, depth, stored, step, out);
    if (kind == KD_JSONB_OBJECT)
        return put_field(ctx, path, depth, stored, step, out);
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "cannot replace existing key");
    kd_error_set_detail(ctx,
                        "The path assumes key is a composite object, but it is a scalar value.");
    return status;
}

/* --- Rows and arrays -------------------------------------------------------------------------- */

typedef struct assigner {
    kd_arena *arena;
    const kd_text_settings *settings;
    kd_value value;         /* What the place becomes. */
    kd_array path;          /* int4 */
    const kd_array *inside; /* Subscripts of the jsonb at the path's end; NULL: none. */
} assigner;

typedef struct bounds {
    uint32_t count;
    uint8_t given[KD_ARRAY_DIMENSIONS_MAX];
    int32_t lower[KD_ARRAY_DIMENSIONS_MAX];
    int32_t upper[KD_ARRAY_DIMENSIONS_MAX];
} bounds;

static kd_status assign(kd_ctx *ctx, const assigner *self, uint32_t at, kd_value *io_value);

static kd_status step_number(kd_ctx *ctx, const assigner *self, uint32_t *io_at, int32_t *out)
{
    *out = 0;
    if (*io_at >= self->path.count)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a path of an assignment is damaged");
    kd_value number = kd_array_get(&self->path, (*io_at)++);
    if (number.is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "array subscript in assignment must not be null");
    *out = number.as.i32;
    return KD_OK;
}

static kd_status read_bounds(kd_ctx *ctx, const assigner *self, bool is_slice, uint32_t *io_at,
                             bounds *out)
{
    int32_t count, given;
    KD_TRY(step_number(ctx, self, io_at, &count));
    if (count < 1 || count > KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "number of array dimensions (%d) exceeds the maximum allowed (%d)", count,
                       KD_ARRAY_DIMENSIONS_MAX);
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < out->count; i++) {
        out->given[i] = 3;
        if (!is_slice) {
            KD_TRY(step_number(ctx, self, io_at, &out->lower[i]));
            out->upper[i] = out->lower[i];
            continue;
        }
        KD_TRY(step_number(ctx, self, io_at, &given));
        out->given[i] = (uint8_t)(given & 3);
        KD_TRY(step_number(ctx, self, io_at, &out->lower[i]));
        KD_TRY(step_number(ctx, self, io_at, &out->upper[i]));
    }
    return KD_OK;
}

static kd_status out_of_range(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "2202E", "array subscript out of range");
}

static kd_status wrong_number(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "2202E", "wrong number of array subscripts");
}

/* An array that does not exist yet gets exactly these bounds; every other one keeps its own, and
 * one of one dimension is stretched. */
static kd_status new_shape(kd_ctx *ctx, const kd_array *array, const bounds *at,
                           kd_array_shape *out)
{
    *out = array->shape;
    if (array->count == 0)
        out->dimensions = at->count;
    for (uint32_t i = 0; i < at->count; i++) {
        bool stretches = array->count == 0 || array->shape.dimensions == 1;
        int64_t first = array->count == 0 ? at->lower[i] : array->shape.lower_bounds[i];
        int64_t last = array->count == 0 ? at->upper[i] : first + array->shape.lengths[i] - 1;
        if (!stretches && (at->lower[i] < first || at->upper[i] > last))
            return out_of_range(ctx);
        first = at->lower[i] < first ? at->lower[i] : first;
        last = at->upper[i] > last ? at->upper[i] : last;
        if (last - first >= KD_ARRAY_ELEMENTS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                           KD_ARRAY_ELEMENTS_MAX);
        out->lower_bounds[i] = (int32_t)first;
        out->lengths[i] = (uint32_t)(last - first + 1);
    }
    return KD_OK;
}

/* The array's elements in their places of the new shape; NULLs elsewhere. */
static kd_status spread(kd_ctx *ctx, const assigner *self, const kd_array *array,
                        const kd_array_shape *shape, kd_value **out_elements, size_t *out_count)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < shape->dimensions && count <= KD_ARRAY_ELEMENTS_MAX; i++)
        count *= shape->lengths[i];
    if (count > KD_ARRAY_ELEMENTS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                       KD_ARRAY_ELEMENTS_MAX);
    kd_value *elements = *out_elements =
        KD_NEW_ARRAY(ctx, self->arena, kd_value, (size_t)count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++)
        elements[i] = kd_value_null(array->element_type);
    int64_t shift =
        array->count == 0 ? 0 : (int64_t)array->shape.lower_bounds[0] - shape->lower_bounds[0];
    for (uint32_t i = 0; i < array->count; i++)
        elements[shift + i] = kd_array_get(array, i);
    *out_count = (size_t)count;
    return KD_OK;
}

static kd_status finish_array(kd_ctx *ctx, const assigner *self, kd_type type,
                              const kd_array_shape *shape, kd_value *elements, size_t count,
                              kd_value *io_value)
{
    kd_type element = kd_type_element(type);
    for (size_t i = 0; i < count; i++)
        KD_TRY(kdi_value_in_form(ctx, self->arena, element, &elements[i]));
    *io_value = (kd_value){.type = type};
    return kd_array_make_shaped(ctx, self->arena, element, shape, elements, &io_value->as.str);
}

static kd_status open_array(kd_ctx *ctx, const kd_value *value, kd_array *out)
{
    *out = (kd_array){.element_type = kd_type_element(value->type)};
    return value->is_null ? KD_OK
                          : kd_array_open(ctx, value->type, kd_str_slice(&value->as.str), out);
}

static kd_status assign_element(kd_ctx *ctx, const assigner *self, uint32_t at, kd_value *io_value)
{
    kd_array array;
    bounds where;
    kd_array_shape shape;
    kd_value *elements;
    size_t count, index = 0;
    KD_TRY(read_bounds(ctx, self, false, &at, &where));
    KD_TRY(open_array(ctx, io_value, &array));
    if (array.count > 0 && array.shape.dimensions != where.count)
        return wrong_number(ctx);
    KD_TRY(new_shape(ctx, &array, &where, &shape));
    KD_TRY(spread(ctx, self, &array, &shape, &elements, &count));
    for (uint32_t i = 0; i < where.count; i++)
        index = index * shape.lengths[i] + (size_t)(where.lower[i] - shape.lower_bounds[i]);
    elements[index].type = array.element_type;
    KD_TRY(assign(ctx, self, at, &elements[index]));
    return finish_array(ctx, self, io_value->type, &shape, elements, count, io_value);
}

/* Bounds that were left out are the array's. */
static kd_status complete_bounds(kd_ctx *ctx, const kd_array *array, bounds *io_bounds)
{
    bool is_new = array->count == 0;
    if (!is_new && array->shape.dimensions < io_bounds->count)
        return wrong_number(ctx);
    for (uint32_t i = 0; i < io_bounds->count; i++) {
        if (is_new && io_bounds->given[i] != 3) {
            kd_status status = KD_FAIL(ctx, KD_INVALID, "2202E",
                                       "array slice subscript must provide both boundaries");
            kd_error_set_detail(ctx, "When assigning to a slice of an empty array value, slice "
                                     "boundaries must be fully specified.");
            return status;
        }
        if ((io_bounds->given[i] & 1) == 0)
            io_bounds->lower[i] = array->shape.lower_bounds[i];
        if ((io_bounds->given[i] & 2) == 0)
            io_bounds->upper[i] =
                (int32_t)(array->shape.lower_bounds[i] + (int64_t)array->shape.lengths[i] - 1);
        if (io_bounds->lower[i] > io_bounds->upper[i])
            return KD_FAIL(ctx, KD_INVALID, "2202E", "upper bound cannot be less than lower bound");
    }
    for (uint32_t i = io_bounds->count; !is_new && i < array->shape.dimensions; i++) {
        io_bounds->lower[i] = array->shape.lower_bounds[i];
        io_bounds->upper[i] =
            (int32_t)(array->shape.lower_bounds[i] + (int64_t)array->shape.lengths[i] - 1);
        io_bounds->count = i + 1;
    }
    return KD_OK;
}

/* The place of element `number` of the slice, row-major, among the elements of `shape`. */
static size_t slice_place(const kd_array_shape *shape, const bounds *where, uint64_t number)
{
    size_t index = 0, scale = 1;
    for (uint32_t i = where->count; i-- > 0;) {
        uint64_t length = (uint64_t)((int64_t)where->upper[i] - where->lower[i] + 1);
        int64_t subscript = where->lower[i] + (int64_t)(number % length);
        index += (size_t)(subscript - shape->lower_bounds[i]) * scale;
        scale *= shape->lengths[i];
        number /= length;
    }
    return index;
}

static kd_status assign_slice(kd_ctx *ctx, const assigner *self, uint32_t at, kd_value *io_value)
{
    kd_array array, source;
    bounds where;
    kd_array_shape shape;
    kd_value *elements;
    size_t count;
    uint64_t wanted = 1;
    KD_TRY(read_bounds(ctx, self, true, &at, &where));
    if (self->value.is_null)
        return KD_OK; /* A NULL source changes nothing. */
    KD_TRY(open_array(ctx, io_value, &array));
    KD_TRY(open_array(ctx, &self->value, &source));
    KD_TRY(complete_bounds(ctx, &array, &where));
    KD_TRY(new_shape(ctx, &array, &where, &shape));
    for (uint32_t i = 0; i < where.count && wanted <= source.count; i++)
        wanted *= (uint64_t)((int64_t)where.upper[i] - where.lower[i] + 1);
    if (wanted > source.count)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "source array too small");
    KD_TRY(spread(ctx, self, &array, &shape, &elements, &count));
    for (uint64_t i = 0; i < wanted; i++)
        elements[slice_place(&shape, &where, i)] = kd_array_get(&source, (uint32_t)i);
    return finish_array(ctx, self, io_value->type, &shape, elements, count, io_value);
}

static kd_status assign_field(kd_ctx *ctx, const assigner *self, uint32_t at, kd_value *io_value)
{
    int32_t index;
    kd_record row;
    kd_record_shape shape;
    kd_type type = io_value->type;
    KD_TRY(step_number(ctx, self, &at, &index));
    KD_TRY(self->settings->row_shape(ctx, self->settings->enum_object, self->arena, type, &shape));
    kd_value *values = KD_NEW_ARRAY(ctx, self->arena, kd_value, shape.field_count);
    if (values == NULL)
        return KD_NOMEM;
    if (index < 0 || (uint32_t)index >= shape.field_count)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a path of an assignment is damaged");
    bool found = !io_value->is_null;
    if (found)
        KD_TRY(kd_record_open(ctx, kd_str_slice(&io_value->as.str), &row));
    for (uint32_t i = 0; i < shape.field_count; i++) {
        values[i] = kd_value_null(shape.types[i]);
        if (!found)
            continue;
        KD_TRY(kd_record_next(ctx, &row, NULL, &values[i], &found));
        if (found)
            KD_TRY(kd_record_field_as(ctx, shape.types[i], &values[i]));
        else
            values[i] = kd_value_null(shape.types[i]);
    }
    KD_TRY(assign(ctx, self, at, &values[index]));
    *io_value = (kd_value){.type = type};
    return kd_record_make(ctx, self->arena, &shape, values, &io_value->as.str);
}

static kd_status assign_inside(kd_ctx *ctx, const assigner *self, kd_value *io_value)
{
    kd_slice document = kd_str_slice(&io_value->as.str), answer;
    json_path path = {.steps = self->inside, .arena = self->arena};
    if (self->value.is_null)
        KD_TRY(kd_jsonb_make_null(ctx, self->arena, &path.value));
    else
        path.value = kd_str_slice(&self->value.as.str);
    KD_TRY(put(ctx, &path, 0, io_value->is_null ? NULL : &document, &answer));
    *io_value = (kd_value){.type = io_value->type};
    io_value->as.str = kd_str_from(answer.data, answer.size_bytes);
    return KD_OK;
}

/* What stands at step `at` of the path, as it is after the assignment. */
static kd_status assign(kd_ctx *ctx, const assigner *self, uint32_t at, kd_value *io_value)
{
    int32_t step;
    if (at >= self->path.count && self->inside != NULL)
        return assign_inside(ctx, self, io_value);
    if (at >= self->path.count) {
        kd_type type = io_value->type;
        *io_value = self->value;
        return kdi_value_in_form(ctx, self->arena, type, io_value);
    }
    KD_TRY(step_number(ctx, self, &at, &step));
    if (step == KD_STEP_FIELD && io_value->type.id == KD_TYPE_RECORD && !io_value->type.is_array &&
        self->settings != NULL && self->settings->row_shape != NULL)
        return assign_field(ctx, self, at, io_value);
    if (step == KD_STEP_ELEMENT && io_value->type.is_array)
        return assign_element(ctx, self, at, io_value);
    if (step == KD_STEP_SLICE && io_value->type.is_array)
        return assign_slice(ctx, self, at, io_value);
    return KD_FAIL(ctx, KD_INVALID, "22023", "a path of an assignment is damaged");
}

/* (whole, value, path [, subscripts inside jsonb]) */
KDI_ROW(assign_part)
{
    kd_array inside;
    assigner self = {.arena = env->arena, .settings = kdi_settings(env)};
    kd_value whole = kdi_arg_value(env, args, 0);
    self.value = kdi_arg_value(env, args, 1);
    KD_TRY(kd_array_open(ctx, env->argument_types[2], kdi_arg_text(args, 2), &self.path));
    if (env->argument_count > 3) {
        KD_TRY(kd_array_open(ctx, env->argument_types[3], kdi_arg_text(args, 3), &inside));
        self.inside = &inside;
    }
    KD_TRY(assign(ctx, &self, 0, &whole));
    KD_TRY(kdi_value_in_form(ctx, env->arena, env->result_type, &whole));
    *out_is_null = whole.is_null;
    memcpy(result, kd_value_payload(&whole), kd_physical_bytes(kd_type_physical(whole.type)));
    return KD_OK;
}

static const kd_function functions[] = {
    STABLE_LENIENT("kade_assign", assign_part, ELEMENT, ELEMENT, ANY, KDI_ARRAY(INT4)),
    STABLE_LENIENT("kade_assign", assign_part, ELEMENT, ELEMENT, ANY, KDI_ARRAY(INT4), TEXTS),
};

kd_status kdi_register_subscript(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
