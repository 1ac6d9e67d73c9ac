/*
 * Functions and operators of arrays.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"

static kd_status open_array(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                            uint32_t index, kd_array *out)
{
    return kd_array_open(ctx, env->argument_types[index], kdi_arg_text(args, index), out);
}

/* The argument as an element of arrays of `type`. */
static kd_status element_argument(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                                  uint32_t index, kd_type type, kd_value *out)
{
    *out = kdi_arg_value(env, args, index);
    return kdi_value_in_form(ctx, env->arena, type, out);
}

static bool same_value(const kd_value *a, const kd_value *b)
{
    return a->is_null || b->is_null ? a->is_null && b->is_null : kd_value_compare(a, b) == 0;
}

static kd_status all_elements(kd_ctx *ctx, kd_arena *arena, const kd_array *array, kd_type type,
                              uint32_t room, kd_value **out)
{
    *out = KD_NEW_ARRAY(ctx, arena, kd_value, (size_t)array->count + room);
    if (*out == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < array->count; i++) {
        (*out)[i] = kd_array_get(array, i);
        KD_TRY(kdi_value_in_form(ctx, arena, type, &(*out)[i]));
    }
    return KD_OK;
}

/* --- Shape ------------------------------------------------------------------------------------ */

/* The dimension named by argument 1, from 0; NULL results for others. */
static kd_status dimension(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                           kd_array *out_array, uint32_t *out_index, bool *out_is_null)
{
    KD_TRY(open_array(ctx, env, args, 0, out_array));
    int32_t number = KDI_ARG(int32_t, args, 1);
    *out_is_null = number < 1 || number > (int64_t)out_array->shape.dimensions;
    *out_index = *out_is_null ? 0 : (uint32_t)number - 1;
    return KD_OK;
}

KDI_ROW(array_length)
{
    kd_array array;
    uint32_t at;
    KD_TRY(dimension(ctx, env, args, &array, &at, out_is_null));
    *(int32_t *)result = *out_is_null ? 0 : (int32_t)array.shape.lengths[at];
    return KD_OK;
}

KDI_ROW(array_lower)
{
    kd_array array;
    uint32_t at;
    KD_TRY(dimension(ctx, env, args, &array, &at, out_is_null));
    *(int32_t *)result = *out_is_null ? 0 : array.shape.lower_bounds[at];
    return KD_OK;
}

KDI_ROW(array_upper)
{
    kd_array array;
    uint32_t at;
    KD_TRY(dimension(ctx, env, args, &array, &at, out_is_null));
    if (!*out_is_null)
        *(int32_t *)result = array.shape.lower_bounds[at] + (int32_t)array.shape.lengths[at] - 1;
    return KD_OK;
}

KDI_ROW(array_ndims)
{
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    *out_is_null = array.shape.dimensions == 0;
    *(int32_t *)result = (int32_t)array.shape.dimensions;
    return KD_OK;
}

KDI_ROW(cardinality)
{
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    *(int32_t *)result = (int32_t)array.count;
    return KD_OK;
}

KDI_ROW(array_dims)
{
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    *out_is_null = array.shape.dimensions == 0;
    kd_buffer buffer = kd_buffer_in(env->arena);
    for (uint32_t i = 0; i < array.shape.dimensions; i++)
        KD_TRY(kd_buffer_append_format(ctx, &buffer, "[%d:%d]", array.shape.lower_bounds[i],
                                       array.shape.lower_bounds[i] +
                                           (int32_t)array.shape.lengths[i] - 1));
    return kdi_return_buffer(result, &buffer);
}

/* --- Putting together ------------------------------------------------------------------------- */

static kd_status not_one_dimensional(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22000", "argument must be empty or one-dimensional array");
}

/* One element more, before or after; a NULL array is an empty one. */
static kd_status extend(kd_ctx *ctx, kd_call_env *env, const void *const *args, uint32_t array_at,
                        void *result)
{
    uint32_t element_at = 1 - array_at;
    kd_type type = kd_type_element(env->result_type);
    kd_array array = {.element_type = type};
    if (args[array_at] != NULL)
        KD_TRY(open_array(ctx, env, args, array_at, &array));
    if (array.shape.dimensions > 1)
        return not_one_dimensional(ctx);
    kd_value *elements, added;
    KD_TRY(all_elements(ctx, env->arena, &array, type, 1, &elements));
    KD_TRY(element_argument(ctx, env, args, element_at, type, &added));
    if (array_at == 1)
        memmove(elements + 1, elements, array.count * sizeof *elements);
    elements[array_at == 1 ? 0 : array.count] = added;
    kd_array_shape shape = {.dimensions = 1,
                            .lengths = {array.count + 1},
                            .lower_bounds = {array.count > 0 ? array.shape.lower_bounds[0] : 1}};
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

KDI_ROW(array_append)
{
    return extend(ctx, env, args, 0, result);
}

KDI_ROW(array_prepend)
{
    return extend(ctx, env, args, 1, result);
}

static kd_status cannot_concatenate(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "2202E", "cannot concatenate incompatible arrays");
}

/* The shape of two arrays after each other; one may be an element of the other. */
static kd_status joined_shape(kd_ctx *ctx, const kd_array_shape *a, const kd_array_shape *b,
                              kd_array_shape *out)
{
    bool a_is_element = b->dimensions == a->dimensions + 1;
    bool b_is_element = a->dimensions == b->dimensions + 1;
    *out = a_is_element ? *b : *a;
    const kd_array_shape *one = a_is_element ? a : b;
    if (a_is_element || b_is_element) {
        for (uint32_t i = 0; i < one->dimensions; i++)
            if (one->lengths[i] != out->lengths[i + 1])
                return cannot_concatenate(ctx);
        out->lengths[0]++;
        return KD_OK;
    }
    if (a->dimensions != b->dimensions)
        return cannot_concatenate(ctx);
    for (uint32_t i = 1; i < a->dimensions; i++)
        if (a->lengths[i] != b->lengths[i] || a->lower_bounds[i] != b->lower_bounds[i])
            return cannot_concatenate(ctx);
    out->lengths[0] += b->lengths[0];
    return KD_OK;
}

KDI_ROW(array_cat)
{
    *out_is_null = args[0] == NULL && args[1] == NULL;
    if (*out_is_null)
        return KD_OK;
    kd_type type = kd_type_element(env->result_type);
    kd_array a = {.element_type = type}, b = {.element_type = type};
    if (args[0] != NULL)
        KD_TRY(open_array(ctx, env, args, 0, &a));
    if (args[1] != NULL)
        KD_TRY(open_array(ctx, env, args, 1, &b));
    kd_array_shape shape = a.count == 0 ? b.shape : a.shape;
    if (a.count > 0 && b.count > 0)
        KD_TRY(joined_shape(ctx, &a.shape, &b.shape, &shape));
    kd_value *elements, *more;
    KD_TRY(all_elements(ctx, env->arena, &a, type, b.count, &elements));
    KD_TRY(all_elements(ctx, env->arena, &b, type, 0, &more));
    if (b.count > 0)
        memcpy(elements + a.count, more, b.count * sizeof *more);
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

/* --- Searching and replacing ------------------------------------------------------------------ */

KDI_ROW(array_remove)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    if (array.shape.dimensions > 1)
        return KD_FAIL(ctx, KD_INVALID, "0A000",
                       "removing elements from multidimensional arrays is not supported");
    kd_type type = kd_type_element(env->result_type);
    kd_value *elements, wanted;
    KD_TRY(all_elements(ctx, env->arena, &array, type, 0, &elements));
    KD_TRY(element_argument(ctx, env, args, 1, type, &wanted));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < array.count; i++)
        if (!same_value(&elements[i], &wanted))
            elements[kept++] = elements[i];
    kd_array_shape shape = array.shape;
    shape.lengths[0] = kept;
    shape.dimensions = kept > 0;
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

KDI_ROW(array_replace)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    kd_type type = kd_type_element(env->result_type);
    kd_value *elements, wanted, with;
    KD_TRY(all_elements(ctx, env->arena, &array, type, 0, &elements));
    KD_TRY(element_argument(ctx, env, args, 1, type, &wanted));
    KD_TRY(element_argument(ctx, env, args, 2, type, &with));
    for (uint32_t i = 0; i < array.count; i++)
        if (same_value(&elements[i], &wanted))
            elements[i] = with;
    return kd_array_make_shaped(ctx, env->arena, type, &array.shape, elements, result);
}

static kd_status search_open(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                             kd_array *out_array, kd_value **out_elements, kd_value *out_wanted)
{
    KD_TRY(open_array(ctx, env, args, 0, out_array));
    if (out_array->shape.dimensions > 1)
        return KD_FAIL(ctx, KD_INVALID, "0A000",
                       "searching for elements in multidimensional arrays is not supported");
    kd_type type = kd_type_element(env->argument_types[0]);
    if (type.id == KD_TYPE_NUMERIC)
        type.modifier = -1;
    KD_TRY(all_elements(ctx, env->arena, out_array, type, 0, out_elements));
    return element_argument(ctx, env, args, 1, type, out_wanted);
}

KDI_ROW(array_position)
{
    *out_is_null = true;
    if (args[0] == NULL)
        return KD_OK;
    bool has_start = env->argument_count > 2;
    if (has_start && args[2] == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22004", "initial position must not be null");
    kd_array array;
    kd_value *elements, wanted;
    KD_TRY(search_open(ctx, env, args, &array, &elements, &wanted));
    int64_t lower = array.count > 0 ? array.shape.lower_bounds[0] : 1;
    int64_t start = has_start ? KDI_ARG(int32_t, args, 2) : lower;
    for (uint32_t i = 0; i < array.count; i++) {
        if (lower + i < start || !same_value(&elements[i], &wanted))
            continue;
        *out_is_null = false;
        *(int32_t *)result = (int32_t)(lower + i);
        return KD_OK;
    }
    return KD_OK;
}

KDI_ROW(array_positions)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_array array;
    kd_value *elements, wanted;
    KD_TRY(search_open(ctx, env, args, &array, &elements, &wanted));
    uint32_t found = 0;
    for (uint32_t i = 0; i < array.count; i++)
        if (same_value(&elements[i], &wanted))
            elements[found++] = kd_value_i32(array.shape.lower_bounds[0] + (int32_t)i);
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_INT4), elements, found, result);
}

/* Whether each element of `b` is in `a`; with `some`, whether one is. NULLs are in nothing. */
static kd_status compare_sets(kd_ctx *ctx, kd_call_env *env, const void *const *args, uint32_t a_at,
                              bool some, bool *out)
{
    kd_array a, b;
    KD_TRY(open_array(ctx, env, args, a_at, &a));
    KD_TRY(open_array(ctx, env, args, 1 - a_at, &b));
    kd_type type = a.element_type;
    if (type.id == KD_TYPE_NUMERIC)
        type.modifier = -1;
    kd_value *left, *right;
    KD_TRY(all_elements(ctx, env->arena, &a, type, 0, &left));
    KD_TRY(all_elements(ctx, env->arena, &b, type, 0, &right));
    *out = !some;
    for (uint32_t i = 0; i < b.count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < a.count && !found && !right[i].is_null; j++)
            found = !left[j].is_null && kd_value_compare(&left[j], &right[i]) == 0;
        if (found == some) {
            *out = some;
            return KD_OK;
        }
    }
    return KD_OK;
}

KDI_ROW(array_contains)
{
    bool answer;
    KD_TRY(compare_sets(ctx, env, args, 0, false, &answer));
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(array_contained)
{
    bool answer;
    KD_TRY(compare_sets(ctx, env, args, 1, false, &answer));
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(array_overlap)
{
    bool answer;
    KD_TRY(compare_sets(ctx, env, args, 0, true, &answer));
    *(uint8_t *)result = answer;
    return KD_OK;
}

/* --- Parts ------------------------------------------------------------------------------------ */

/* array[lower:upper]; a NULL bound is the array's own. Of several dimensions the first is cut. */
KDI_ROW(array_slice)
{
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    kd_type type = kd_type_element(env->argument_types[0]);
    kd_array_shape shape = array.shape;
    if (shape.dimensions == 0)
        return kd_array_make(ctx, env->arena, type, NULL, 0, result);
    int64_t first = shape.lower_bounds[0], last = first + shape.lengths[0] - 1;
    int64_t lower = args[1] == NULL ? first : KDI_ARG(int32_t, args, 1);
    int64_t upper = args[2] == NULL ? last : KDI_ARG(int32_t, args, 2);
    lower = lower < first ? first : lower;
    upper = upper > last ? last : upper;
    if (lower > upper)
        return kd_array_make(ctx, env->arena, type, NULL, 0, result);
    kd_value *elements;
    KD_TRY(all_elements(ctx, env->arena, &array, type, 0, &elements));
    uint32_t per_row = array.count / shape.lengths[0];
    shape.lengths[0] = (uint32_t)(upper - lower + 1);
    for (uint32_t i = 0; i < shape.dimensions; i++)
        shape.lower_bounds[i] = 1;
    return kd_array_make_shaped(ctx, env->arena, type, &shape,
                                elements + (size_t)(lower - first) * per_row, result);
}

/* What array[a:b][c:d] is of the array; see bind_slice in module sql for the bounds. */
typedef struct cut {
    uint32_t dimensions;
    int64_t lower[KD_ARRAY_DIMENSIONS_MAX]; /* Counted from the dimension's lower bound. */
    uint32_t lengths[KD_ARRAY_DIMENSIONS_MAX];
    bool is_null, is_empty;
} cut;

static void cut_along(const kd_array *bounds, uint32_t dimension, const kd_array *array, cut *out)
{
    int64_t first = array->shape.lower_bounds[dimension];
    int64_t last = first + array->shape.lengths[dimension] - 1, lower = first, upper = last;
    if (dimension * 3 < bounds->count) {
        kd_value given = kd_array_get(bounds, dimension * 3);
        kd_value low = kd_array_get(bounds, dimension * 3 + 1);
        kd_value high = kd_array_get(bounds, dimension * 3 + 2);
        out->is_null |= low.is_null || high.is_null;
        if ((given.as.i32 & 1) != 0 && low.as.i32 > first)
            lower = low.as.i32;
        if ((given.as.i32 & 2) != 0 && high.as.i32 < last)
            upper = high.as.i32;
    }
    out->is_empty |= lower > upper;
    out->lower[dimension] = lower - first;
    out->lengths[dimension] = lower > upper ? 0 : (uint32_t)(upper - lower + 1);
}

KDI_ROW(array_cut)
{
    kd_array array, bounds;
    kd_type type = kd_type_element(env->argument_types[0]);
    kd_value *all, *kept;
    cut parts = {0};
    KD_TRY(open_array(ctx, env, args, 0, &array));
    KD_TRY(open_array(ctx, env, args, 1, &bounds));
    parts.dimensions = array.shape.dimensions;
    parts.is_empty = array.count == 0 || bounds.count / 3 > parts.dimensions;
    for (uint32_t i = 0; i < bounds.count; i++)
        parts.is_null |= kd_array_get(&bounds, i).is_null;
    for (uint32_t i = 0; i < parts.dimensions; i++)
        cut_along(&bounds, i, &array, &parts);
    *out_is_null = parts.is_null;
    if (parts.is_null)
        return KD_OK;
    if (parts.is_empty)
        return kd_array_make(ctx, env->arena, type, NULL, 0, result);
    size_t count = 1;
    kd_array_shape shape = {.dimensions = parts.dimensions};
    for (uint32_t i = 0; i < parts.dimensions; i++) {
        shape.lengths[i] = parts.lengths[i];
        shape.lower_bounds[i] = 1;
        count *= parts.lengths[i];
    }
    KD_TRY(all_elements(ctx, env->arena, &array, type, 0, &all));
    kept = KD_NEW_ARRAY(ctx, env->arena, kd_value, count);
    if (kept == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, index = 0, scale = 1;
        for (uint32_t d = parts.dimensions; d-- > 0;) {
            index += ((size_t)parts.lower[d] + rest % parts.lengths[d]) * scale;
            rest /= parts.lengths[d];
            scale *= array.shape.lengths[d];
        }
        kept[i] = all[index];
    }
    return kd_array_make_shaped(ctx, env->arena, type, &shape, kept, result);
}

KDI_ROW(trim_array)
{
    kd_array array;
    KD_TRY(open_array(ctx, env, args, 0, &array));
    int32_t count = KDI_ARG(int32_t, args, 1);
    uint32_t length = array.shape.dimensions > 0 ? array.shape.lengths[0] : 0;
    if (count < 0 || (uint32_t)count > length)
        return KD_FAIL(ctx, KD_INVALID, "2202E",
                       "number of elements to trim must be between 0 and %u", length);
    if (length == 0) {
        *(kd_str *)result = *(const kd_str *)args[0];
        return KD_OK;
    }
    int32_t upper = array.shape.lower_bounds[0] + (int32_t)length - 1 - count;
    const void *own[3] = {args[0], NULL, &upper};
    return array_slice(ctx, env, own, result, out_is_null);
}

static kd_status dimensions_argument(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     uint32_t index, kd_array *out)
{
    if (args[index] == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22004",
                       "dimension array or low bound array cannot be null");
    KD_TRY(open_array(ctx, env, args, index, out));
    if (out->shape.dimensions > 1) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "2202E", "wrong number of array subscripts");
        kd_error_set_detail(ctx, "Dimension array must be one dimensional.");
        return status;
    }
    for (uint32_t i = 0; i < out->count; i++)
        if (kd_array_get(out, i).is_null)
            return KD_FAIL(ctx, KD_INVALID, "22004", "dimension values cannot be null");
    if (out->count > KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       out->count, KD_ARRAY_DIMENSIONS_MAX);
    return KD_OK;
}

KDI_ROW(array_fill)
{
    kd_array lengths, bounds;
    KD_TRY(dimensions_argument(ctx, env, args, 1, &lengths));
    if (env->argument_count > 2)
        KD_TRY(dimensions_argument(ctx, env, args, 2, &bounds));
    if (env->argument_count > 2 && bounds.count != lengths.count)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "wrong number of array subscripts");
    kd_array_shape shape = {.dimensions = lengths.count};
    uint64_t total = lengths.count > 0;
    for (uint32_t i = 0; i < lengths.count; i++) {
        int32_t length = kd_array_get(&lengths, i).as.i32;
        if (length < 0 || (total *= (uint64_t)length) > KD_ARRAY_ELEMENTS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                           KD_ARRAY_ELEMENTS_MAX);
        shape.lengths[i] = (uint32_t)length;
        shape.lower_bounds[i] = env->argument_count > 2 ? kd_array_get(&bounds, i).as.i32 : 1;
    }
    kd_type type = kd_type_element(env->result_type);
    if (total == 0)
        return kd_array_make(ctx, env->arena, type, NULL, 0, result);
    kd_value element, *elements = KD_NEW_ARRAY(ctx, env->arena, kd_value, total);
    if (elements == NULL)
        return KD_NOMEM;
    KD_TRY(element_argument(ctx, env, args, 0, type, &element));
    for (uint64_t i = 0; i < total; i++)
        elements[i] = element;
    return kd_array_make_shaped(ctx, env->arena, type, &shape, elements, result);
}

static const kd_function functions[] = {
    IMMUTABLE("array_length", array_length, INT4, ELEMENTS, INT4),
    IMMUTABLE("array_lower", array_lower, INT4, ELEMENTS, INT4),
    IMMUTABLE("array_upper", array_upper, INT4, ELEMENTS, INT4),
    IMMUTABLE("array_ndims", array_ndims, INT4, ELEMENTS),
    IMMUTABLE("cardinality", cardinality, INT4, ELEMENTS),
    IMMUTABLE("array_dims", array_dims, TEXT, ELEMENTS),
    LENIENT("array_append", array_append, ELEMENTS, ELEMENTS, ELEMENT),
    LENIENT("array_prepend", array_prepend, ELEMENTS, ELEMENT, ELEMENTS),
    LENIENT("array_cat", array_cat, ELEMENTS, ELEMENTS, ELEMENTS),
    LENIENT("||", array_append, ELEMENTS, ELEMENTS, ELEMENT),
    LENIENT("||", array_prepend, ELEMENTS, ELEMENT, ELEMENTS),
    LENIENT("||", array_cat, ELEMENTS, ELEMENTS, ELEMENTS),
    LENIENT("array_remove", array_remove, ELEMENTS, ELEMENTS, ELEMENT),
    LENIENT("array_replace", array_replace, ELEMENTS, ELEMENTS, ELEMENT, ELEMENT),
    LENIENT("array_position", array_position, INT4, ELEMENTS, ELEMENT),
    LENIENT("array_position", array_position, INT4, ELEMENTS, ELEMENT, INT4),
    LENIENT("array_positions", array_positions, KDI_ARRAY(INT4), ELEMENTS, ELEMENT),
    IMMUTABLE("@>", array_contains, BOOL, ELEMENTS, ELEMENTS),
    IMMUTABLE("<@", array_contained, BOOL, ELEMENTS, ELEMENTS),
    IMMUTABLE("&&", array_overlap, BOOL, ELEMENTS, ELEMENTS),
    LENIENT("array_slice", array_slice, ELEMENTS, ELEMENTS, INT4, INT4),
    IMMUTABLE("kade_array_slice", array_cut, ELEMENTS, ELEMENTS, KDI_ARRAY(INT4)),
    IMMUTABLE("trim_array", trim_array, ELEMENTS, ELEMENTS, INT4),
    LENIENT("array_fill", array_fill, ELEMENTS, ELEMENT, KDI_ARRAY(INT4)),
    LENIENT("array_fill", array_fill, ELEMENTS, ELEMENT, KDI_ARRAY(INT4), KDI_ARRAY(INT4)),
};

kd_status kdi_register_array(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
