/*
 * Assignment to a part of a value: array elements and slices, jsonb subscripts.
 *
 * SET a[2] = 5 is bound as a = kade_array_set(a, 5, '{2}'). The functions are for the
 * binder; they can be called, but mean nothing by themselves.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/jsonb.h"

/* --- Arrays ----------------------------------------------------------------------------------- */

typedef struct subscripts {
    uint32_t count;
    int32_t values[KD_ARRAY_DIMENSIONS_MAX];
    bool is_null[KD_ARRAY_DIMENSIONS_MAX];
} subscripts;

static kd_status read_subscripts(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                                 uint32_t index, subscripts *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, env->argument_types[index], kdi_arg_text(args, index), &array));
    if (array.count > KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       array.count, KD_ARRAY_DIMENSIONS_MAX);
    out->count = array.count;
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value value = kd_array_get(&array, i);
        out->is_null[i] = value.is_null;
        out->values[i] = value.as.i32;
    }
    return KD_OK;
}

static kd_status no_null(kd_ctx *ctx, const subscripts *at)
{
    for (uint32_t i = 0; i < at->count; i++)
        if (at->is_null[i])
            return KD_FAIL(ctx, KD_INVALID, "22004",
                           "array subscript in assignment must not be null");
    return KD_OK;
}

static kd_status out_of_range(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "2202E", "array subscript out of range");
}

/* The elements of a one-dimensional array, stretched with NULLs so that `low` .. `high` are there.
 */
static kd_status stretch(kd_ctx *ctx, kd_call_env *env, const kd_array *array, int64_t low,
                         int64_t high, kd_array_shape *out_shape, kd_value **out_elements)
{
    int64_t first = array->count == 0 ? low : array->shape.lower_bounds[0];
    int64_t last = array->count == 0 ? high : first + array->count - 1;
    int64_t new_first = low < first ? low : first, new_last = high > last ? high : last;
    int64_t count = new_last - new_first + 1;
    if (count > KD_ARRAY_ELEMENTS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                       KD_ARRAY_ELEMENTS_MAX);
    *out_shape = (kd_array_shape){
        .dimensions = 1, .lengths = {(uint32_t)count}, .lower_bounds = {(int32_t)new_first}};
    *out_elements = KD_NEW_ARRAY(ctx, env->arena, kd_value, (size_t)count);
    if (*out_elements == NULL)
        return KD_NOMEM;
    for (int64_t i = 0; i < count; i++)
        (*out_elements)[i] = kd_value_null(array->element_type);
    for (uint32_t i = 0; i < array->count; i++)
        (*out_elements)[first - new_first + i] = kd_array_get(array, i);
    return KD_OK;
}

static kd_status open_old(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                          kd_array *out)
{
    *out = (kd_array){.element_type = kd_type_element(env->result_type)};
    return args[0] == NULL ? KD_OK
                           : kd_array_open(ctx, env->argument_types[0], kdi_arg_text(args, 0), out);
}

static kd_status in_form(kd_ctx *ctx, kd_call_env *env, kd_type type, kd_value *elements,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        KD_TRY(kdi_value_in_form(ctx, env->arena, type, &elements[i]));
    return KD_OK;
}

/* (array, value, subscripts) */
KDI_ROW(array_set)
{
    kd_type type = kd_type_element(env->result_type);
    kd_array array;
    subscripts at;
    KD_TRY(open_old(ctx, env, args, &array));
    KD_TRY(read_subscripts(ctx, env, args, 2, &at));
    KD_TRY(no_null(ctx, &at));
    kd_value value = kdi_arg_value(env, args, 1), *elements;
    kd_array_shape shape = array.shape;
    uint32_t index = 0;
    if (array.count > 0 && array.shape.dimensions != at.count)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "wrong number of array subscripts");
    if (at.count == 1) {
        KD_TRY(stretch(ctx, env, &array, at.values[0], at.values[0], &shape, &elements));
        index = (uint32_t)(at.values[0] - shape.lower_bounds[0]);
    } else if (array.count == 0) {
        shape = (kd_array_shape){.dimensions = at.count};
        for (uint32_t i = 0; i < at.count; i++) {
            shape.lengths[i] = 1;
            shape.lower_bounds[i] = at.values[i];
        }
        elements = &value;
    } else {
        if (!kd_array_find(&array, at.values, at.count, &index))
            return out_of_range(ctx);
        elements = KD_NEW_ARRAY(ctx, env->arena, kd_value, array.count);
        if (elements == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < array.count; i++)
            elements[i] = kd_array_get(&array, i);
    }
    elements[index] = value;
    size_t count = 1;
    for (uint32_t i = 0; i < shape.dimensions; i++)
        count *= shape.lengths[i];
    KD_TRY(in_form(ctx, env, type, elements, count));
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

/* (array, values, bounds): {low, high} of a one-dimensional array; a NULL bound is the array's. */
KDI_ROW(array_set_slice)
{
    kd_type type = kd_type_element(env->result_type);
    kd_array array, source;
    subscripts at;
    KD_TRY(open_old(ctx, env, args, &array));
    KD_TRY(read_subscripts(ctx, env, args, 2, &at));
    if (array.shape.dimensions > 1)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "wrong number of array subscripts");
    if (array.count == 0 && (at.is_null[0] || at.is_null[1])) {
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "2202E", "array slice subscript must provide both boundaries");
        kd_error_set_detail(ctx, "When assigning to a slice of an empty array value, slice "
                                 "boundaries must be fully specified.");
        return status;
    }
    if (args[1] == NULL) { /* A NULL source changes nothing. */
        *out_is_null = args[0] == NULL;
        return *out_is_null ? KD_OK : kdi_return_text(result, kdi_arg_text(args, 0));
    }
    KD_TRY(kd_array_open(ctx, env->argument_types[1], kdi_arg_text(args, 1), &source));
    int64_t low = at.is_null[0] ? array.shape.lower_bounds[0] : at.values[0];
    int64_t high =
        at.is_null[1] ? array.shape.lower_bounds[0] + (int64_t)array.count - 1 : at.values[1];
    if (low > high)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "upper bound cannot be less than lower bound");
    if (source.count < (uint64_t)(high - low + 1))
        return KD_FAIL(ctx, KD_INVALID, "2202E", "source array too small");
    kd_array_shape shape;
    kd_value *elements;
    KD_TRY(stretch(ctx, env, &array, low, high, &shape, &elements));
    for (int64_t i = low; i <= high; i++)
        elements[i - shape.lower_bounds[0]] = kd_array_get(&source, (uint32_t)(i - low));
    KD_TRY(in_form(ctx, env, type, elements, shape.lengths[0]));
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

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

/* (document, value, path) */
KDI_ROW(jsonb_set_at)
{
    kd_array steps;
    kd_slice document, answer;
    json_path path = {.steps = &steps, .arena = env->arena};
    KD_TRY(kd_array_open(ctx, env->argument_types[2], kdi_arg_text(args, 2), &steps));
    if (args[1] != NULL)
        path.value = kdi_arg_text(args, 1);
    else
        KD_TRY(kd_jsonb_make_null(ctx, env->arena, &path.value));
    if (args[0] != NULL)
        document = kdi_arg_text(args, 0);
    KD_TRY(put(ctx, &path, 0, args[0] != NULL ? &document : NULL, &answer));
    return kdi_return_text(result, answer);
}

static const kd_function functions[] = {
    LENIENT("kade_array_set", array_set, ELEMENTS, ELEMENTS, ELEMENT, KDI_ARRAY(INT4)),
    LENIENT("kade_array_set_slice", array_set_slice, ELEMENTS, ELEMENTS, ELEMENTS, KDI_ARRAY(INT4)),
    LENIENT("kade_jsonb_set", jsonb_set_at, JSONB, JSONB, JSONB, TEXTS),
};

kd_status kdi_register_subscript(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
