/*
 * Arrays: opening stored ones, making new ones, order and hash.
 */
#include "types/array.h"

#include "base/hash.h"

#include <assert.h>

static kd_status fail_damaged(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored array is damaged");
}

static bool shape_read(kd_reader *reader, uint32_t dimensions, kd_array_shape *out,
                       uint32_t *out_count)
{
    *out = (kd_array_shape){.dimensions = dimensions};
    uint64_t count = dimensions > 0;
    if (dimensions > KD_ARRAY_DIMENSIONS_MAX)
        return false;
    for (uint32_t i = 0; i < dimensions; i++) {
        out->lengths[i] = kd_read_u32(reader);
        out->lower_bounds[i] = (int32_t)kd_read_u32(reader);
        count *= out->lengths[i];
        if (count == 0 || count > KD_ARRAY_ELEMENTS_MAX)
            return false;
    }
    *out_count = (uint32_t)count;
    return !reader->failed;
}

static bool ends_ascend(const char *ends, uint32_t count, size_t limit)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t end = kd_load_u32(ends + (size_t)i * 4);
        if (end < before || end > limit)
            return false;
        before = end;
    }
    return before == limit;
}

static bool array_open(kd_type array_type, kd_slice stored, kd_array *out)
{
    *out = (kd_array){.element_type = kd_type_element(array_type)};
    kd_reader reader = kd_reader_of(stored);
    uint32_t dimensions = kd_read_u8(&reader);
    uint8_t has_bitmap = kd_read_u8(&reader);
    if (reader.failed || has_bitmap > 1 ||
        !shape_read(&reader, dimensions, &out->shape, &out->count))
        return false;
    if (has_bitmap)
        out->bitmap = kd_read_bytes(&reader, ((size_t)out->count + 7) / 8);
    kd_physical physical = kd_type_physical(out->element_type);
    if (physical == KD_PHYS_STR)
        out->ends = kd_read_bytes(&reader, (size_t)out->count * 4);
    if (reader.failed)
        return false;
    out->elements = reader.at;
    out->elements_bytes = (size_t)(reader.end - reader.at);
    if (physical == KD_PHYS_STR)
        return ends_ascend(out->ends, out->count, out->elements_bytes);
    return out->elements_bytes == (size_t)out->count * kd_physical_bytes(physical);
}

kd_status kd_array_open(kd_ctx *ctx, kd_type array_type, kd_slice stored, kd_array *out)
{
    if (array_open(array_type, stored, out))
        return KD_OK;
    *out = (kd_array){.element_type = kd_type_element(array_type)};
    return fail_damaged(ctx);
}

kd_value kd_array_get(const kd_array *array, uint32_t index)
{
    assert(index < array->count);
    kd_value value = kd_value_null(array->element_type);
    if (array->bitmap != NULL && ((array->bitmap[index / 8] >> (index % 8)) & 1) == 0)
        return value;
    value.is_null = false;
    kd_physical physical = kd_type_physical(array->element_type);
    if (physical == KD_PHYS_STR) {
        uint32_t start = index == 0 ? 0 : kd_load_u32(array->ends + ((size_t)index - 1) * 4);
        uint32_t end = kd_load_u32(array->ends + (size_t)index * 4);
        value.as.str = kd_str_from(array->elements + start, end - start);
        return value;
    }
    size_t size = kd_physical_bytes(physical);
    memcpy(&value.as, array->elements + index * size, size);
    if (physical == KD_PHYS_BOOL) { /* A damaged byte must not make a bool that is neither. */
        uint8_t byte = (uint8_t)array->elements[index];
        value.as.boolean = byte != 0;
    }
    return value;
}

bool kd_array_find(const kd_array *array, const int32_t *subscripts, uint32_t subscript_count,
                   uint32_t *out_index)
{
    *out_index = 0;
    if (subscript_count != array->shape.dimensions || subscript_count == 0)
        return false;
    uint32_t index = 0;
    for (uint32_t i = 0; i < subscript_count; i++) {
        int64_t offset = (int64_t)subscripts[i] - array->shape.lower_bounds[i];
        if (offset < 0 || offset >= array->shape.lengths[i])
            return false;
        index = index * array->shape.lengths[i] + (uint32_t)offset;
    }
    *out_index = index;
    return true;
}

kd_status kd_array_make(kd_ctx *ctx, kd_arena *arena, kd_type element_type,
                        const kd_value *elements, uint32_t count, kd_str *out)
{
    kd_array_shape shape = {.dimensions = count > 0, .lengths = {count}, .lower_bounds = {1}};
    return kd_array_make_shaped(ctx, arena, element_type, &shape, elements, out);
}

static kd_status bitmap_append(kd_ctx *ctx, const kd_value *elements, uint32_t count,
                               kd_buffer *out)
{
    char *bitmap;
    size_t size = ((size_t)count + 7) / 8;
    KD_TRY(kd_buffer_reserve(ctx, out, size, &bitmap));
    memset(bitmap, 0, size);
    for (uint32_t i = 0; i < count; i++)
        if (!elements[i].is_null)
            bitmap[i / 8] = (char)(bitmap[i / 8] | 1 << (i % 8));
    out->size_bytes += size;
    return KD_OK;
}

static kd_status strings_append(kd_ctx *ctx, const kd_value *elements, uint32_t count,
                                kd_buffer *out)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        end += elements[i].is_null ? 0 : elements[i].as.str.size_bytes;
        if (end > UINT32_MAX / 2)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "array is too large");
        KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)end));
    }
    for (uint32_t i = 0; i < count; i++)
        if (!elements[i].is_null)
            KD_TRY(kd_buffer_append_slice(ctx, out, kd_str_slice(&elements[i].as.str)));
    return KD_OK;
}

static kd_status elements_append(kd_ctx *ctx, kd_physical physical, const kd_value *elements,
                                 uint32_t count, kd_buffer *out)
{
    if (physical == KD_PHYS_STR)
        return strings_append(ctx, elements, count, out);
    char *at;
    size_t size = kd_physical_bytes(physical);
    KD_TRY(kd_buffer_reserve(ctx, out, size * count, &at));
    memset(at, 0, size * count);
    for (uint32_t i = 0; i < count; i++)
        if (!elements[i].is_null)
            memcpy(at + i * size, &elements[i].as, size);
    out->size_bytes += size * count;
    return KD_OK;
}

kd_status kd_array_make_shaped(kd_ctx *ctx, kd_arena *arena, kd_type element_type,
                               const kd_array_shape *shape, const kd_value *elements, kd_str *out)
{
    memset(out, 0, sizeof *out);
    assert(shape->dimensions <= KD_ARRAY_DIMENSIONS_MAX);
    uint64_t count = shape->dimensions > 0;
    for (uint32_t i = 0; i < shape->dimensions; i++) {
        count *= shape->lengths[i];
        if (count > KD_ARRAY_ELEMENTS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                           KD_ARRAY_ELEMENTS_MAX);
    }
    bool has_null = false;
    for (uint32_t i = 0; i < count; i++)
        has_null = has_null || elements[i].is_null;
    kd_buffer bytes = kd_buffer_in(arena);
    KD_TRY(kd_buffer_append_byte(ctx, &bytes, count == 0 ? 0 : (uint8_t)shape->dimensions));
    KD_TRY(kd_buffer_append_byte(ctx, &bytes, has_null));
    for (uint32_t i = 0; i < shape->dimensions && count > 0; i++) {
        KD_TRY(kd_buffer_append_u32(ctx, &bytes, shape->lengths[i]));
        KD_TRY(kd_buffer_append_u32(ctx, &bytes, (uint32_t)shape->lower_bounds[i]));
    }
    if (has_null)
        KD_TRY(bitmap_append(ctx, elements, (uint32_t)count, &bytes));
    KD_TRY(elements_append(ctx, kd_type_physical(element_type), elements, (uint32_t)count, &bytes));
    *out = kd_str_from(bytes.data, bytes.size_bytes);
    return KD_OK;
}

/* ---- Order and hash ---- */

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int kd_array_compare(kd_type array_type, kd_slice a, kd_slice b)
{
    kd_array left;
    kd_array right;
    if (!array_open(array_type, a, &left))
        left = (kd_array){.element_type = kd_type_element(array_type)};
    if (!array_open(array_type, b, &right))
        right = (kd_array){.element_type = kd_type_element(array_type)};
    uint32_t shared = left.count < right.count ? left.count : right.count;
    for (uint32_t i = 0; i < shared; i++) {
        kd_value x = kd_array_get(&left, i);
        kd_value y = kd_array_get(&right, i);
        int order = x.is_null || y.is_null ? x.is_null - y.is_null : kd_value_compare(&x, &y);
        if (order != 0)
            return order;
    }
    int order = compare_numbers(left.count, right.count);
    if (order == 0)
        order = compare_numbers(left.shape.dimensions, right.shape.dimensions);
    for (uint32_t i = 0; i < left.shape.dimensions && order == 0; i++)
        order = compare_numbers(left.shape.lengths[i], right.shape.lengths[i]);
    for (uint32_t i = 0; i < left.shape.dimensions && order == 0; i++)
        order = compare_numbers(left.shape.lower_bounds[i], right.shape.lower_bounds[i]);
    return order;
}

uint64_t kd_array_hash(kd_type array_type, kd_slice stored)
{
    kd_array array;
    if (!array_open(array_type, stored, &array))
        return 0;
    uint64_t hash = kd_hash_u64(array.count);
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        hash = kd_hash_combine(hash, kd_value_hash(&element));
    }
    return hash;
}
