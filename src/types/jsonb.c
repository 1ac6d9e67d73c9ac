/*
 * Reading jsonb: opening values, lookups, order, hash, containment.
 *
 * Recursive functions go as deep as the parser lets values be nested (KD_JSONB_DEPTH_MAX); frames
 * are small, and each carries its depth.
 */
#include "types/jsonb.h"

#include "base/hash.h"

enum { HEADER_BYTES = 4 };

static inline kd_jsonb open_value(kd_slice stored)
{
    const kd_jsonb null_value = {.kind = KD_JSONB_NULL, .body = {"", 0}};
    if (stored.size_bytes < HEADER_BYTES)
        return null_value;
    uint32_t header = kd_load_u32(stored.data);
    kd_jsonb value = {.kind = header & 15,
                      .count = header >> 4,
                      .body = {stored.data + HEADER_BYTES, stored.size_bytes - HEADER_BYTES}};
    switch (value.kind) {
    case KD_JSONB_NUMBER:
    case KD_JSONB_STRING:
        if (value.count > value.body.size_bytes)
            return null_value;
        value.body.size_bytes = value.count;
        return value;
    case KD_JSONB_ARRAY:
        return (uint64_t)value.count * 4 > value.body.size_bytes ? null_value : value;
    case KD_JSONB_OBJECT:
        return (uint64_t)value.count * 8 > value.body.size_bytes ? null_value : value;
    case KD_JSONB_FALSE:
    case KD_JSONB_TRUE:
        value.body.size_bytes = 0;
        return value;
    default:
        return null_value;
    }
}

kd_jsonb kd_jsonb_open(kd_slice stored)
{
    return open_value(stored);
}

/* Piece `index` of an area that begins at `area` and whose ends are the u32s at `ends`; empty when
 * the offsets do not fit. */
static inline kd_slice piece(const kd_jsonb *container, size_t ends, size_t area, uint32_t index)
{
    const char *table = container->body.data + ends;
    uint32_t start = index == 0 ? 0 : kd_load_u32(table + ((size_t)index - 1) * 4);
    uint32_t end = kd_load_u32(table + (size_t)index * 4);
    if (start > end || area > container->body.size_bytes || end > container->body.size_bytes - area)
        return (kd_slice){"", 0};
    return (kd_slice){container->body.data + area + start, end - start};
}

kd_slice kd_jsonb_key(const kd_jsonb *object, uint32_t index)
{
    return piece(object, 0, (size_t)object->count * 8, index);
}

kd_slice kd_jsonb_element(const kd_jsonb *container, uint32_t index)
{
    size_t count = container->count;
    if (container->kind == KD_JSONB_ARRAY)
        return piece(container, 0, count * 4, index);
    size_t key_bytes = kd_load_u32(container->body.data + (count - 1) * 4);
    return piece(container, count * 4, count * 8 + key_bytes, index);
}

/* By length, then bytes. */
static int key_compare(kd_slice a, kd_slice b)
{
    if (a.size_bytes != b.size_bytes)
        return a.size_bytes < b.size_bytes ? -1 : 1;
    return a.size_bytes == 0 ? 0 : memcmp(a.data, b.data, a.size_bytes);
}

static bool field_find(const kd_jsonb *object, kd_slice key, uint32_t *out_index)
{
    uint32_t low = 0;
    uint32_t high = object->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = key_compare(kd_jsonb_key(object, middle), key);
        if (order == 0) {
            *out_index = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool kd_jsonb_get_field(kd_slice stored, kd_slice key, kd_slice *out_value)
{
    kd_jsonb object = kd_jsonb_open(stored);
    uint32_t index;
    *out_value = (kd_slice){"", 0};
    if (object.kind != KD_JSONB_OBJECT || !field_find(&object, key, &index))
        return false;
    *out_value = kd_jsonb_element(&object, index);
    return true;
}

bool kd_jsonb_get_field_near(kd_slice stored, kd_slice key, uint32_t *io_near, kd_slice *out_value)
{
    kd_jsonb object = open_value(stored);
    if (object.kind != KD_JSONB_OBJECT)
        return false;
    bool is_near = false;
    if (*io_near < object.count) {
        kd_slice there = piece(&object, 0, (size_t)object.count * 8, *io_near);
        is_near =
            there.size_bytes == key.size_bytes && memcmp(there.data, key.data, key.size_bytes) == 0;
    }
    if (!is_near && !field_find(&object, key, io_near))
        return false;
    *out_value = kd_jsonb_element(&object, *io_near);
    return true;
}

bool kd_jsonb_get_element(kd_slice stored, int64_t index, kd_slice *out_value)
{
    kd_jsonb array = kd_jsonb_open(stored);
    *out_value = (kd_slice){"", 0};
    if (array.kind != KD_JSONB_ARRAY)
        return false;
    if (index < 0)
        index += array.count;
    if (index < 0 || index >= array.count)
        return false;
    *out_value = kd_jsonb_element(&array, (uint32_t)index);
    return true;
}

static bool index_parse(kd_slice text, int64_t *out)
{
    bool negative = text.size_bytes > 0 && text.data[0] == '-';
    size_t at = negative;
    int64_t value = 0;
    if (text.size_bytes == at || text.size_bytes > 11)
        return false;
    for (; at < text.size_bytes; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        value = value * 10 + (text.data[at] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

bool kd_jsonb_get_path(kd_slice stored, const kd_slice *steps, uint32_t step_count,
                       kd_slice *out_value)
{
    *out_value = stored;
    for (uint32_t i = 0; i < step_count; i++) {
        int64_t index;
        bool found = kd_jsonb_open(*out_value).kind == KD_JSONB_ARRAY
                         ? index_parse(steps[i], &index) &&
                               kd_jsonb_get_element(*out_value, index, out_value)
                         : kd_jsonb_get_field(*out_value, steps[i], out_value);
        if (!found)
            return false;
    }
    return true;
}

kd_status kd_jsonb_as_text(kd_ctx *ctx, kd_arena *arena, kd_slice stored, bool *out_is_null,
                           kd_slice *out_text)
{
    kd_jsonb value = kd_jsonb_open(stored);
    *out_is_null = value.kind == KD_JSONB_NULL;
    *out_text = (kd_slice){"", 0};
    if (*out_is_null)
        return KD_OK;
    if (value.kind == KD_JSONB_STRING) {
        *out_text = value.body;
        return KD_OK;
    }
    kd_buffer text = kd_buffer_in(arena);
    KD_TRY(kd_jsonb_format(ctx, stored, &text));
    *out_text = kd_buffer_slice(&text);
    return KD_OK;
}

const char *kd_jsonb_typeof(kd_slice stored)
{
    static const char *const names[7] = {"null",   "boolean", "boolean", "number",
                                         "string", "array",   "object"};
    return names[kd_jsonb_open(stored).kind];
}

/* ---- Order and hash ---- */

/* Object > array > boolean > number > string > null; false < true. */
static int kind_rank(uint8_t kind)
{
    static const uint8_t ranks[7] = {0, 3, 4, 2, 1, 5, 6};
    return ranks[kind];
}

static int order_of(int difference)
{
    return (difference > 0) - (difference < 0);
}

static int compare_at(kd_slice a, kd_slice b, uint32_t depth)
{
    kd_jsonb left = kd_jsonb_open(a);
    kd_jsonb right = kd_jsonb_open(b);
    if (left.kind != right.kind)
        return order_of(kind_rank(left.kind) - kind_rank(right.kind));
    if (left.kind == KD_JSONB_STRING)
        return order_of(kd_slice_compare(left.body, right.body));
    if (left.kind == KD_JSONB_NUMBER)
        return kd_numeric_compare(left.body, right.body);
    if ((left.kind != KD_JSONB_ARRAY && left.kind != KD_JSONB_OBJECT) || depth > KD_JSONB_DEPTH_MAX)
        return 0;
    if (left.count != right.count)
        return left.count < right.count ? -1 : 1;
    for (uint32_t i = 0; i < left.count; i++) {
        int order = 0;
        if (left.kind == KD_JSONB_OBJECT)
            order = kd_slice_compare(kd_jsonb_key(&left, i), kd_jsonb_key(&right, i));
        if (order == 0)
            order = compare_at(kd_jsonb_element(&left, i), kd_jsonb_element(&right, i), depth + 1);
        if (order != 0)
            return order_of(order);
    }
    return 0;
}

static bool is_empty_array(kd_slice stored)
{
    kd_jsonb value = kd_jsonb_open(stored);
    return value.kind == KD_JSONB_ARRAY && value.count == 0;
}

int kd_jsonb_compare(kd_slice a, kd_slice b)
{
    /* PostgreSQL's quirk: an empty array that is the whole value is below everything. */
    bool a_is_empty = is_empty_array(a);
    bool b_is_empty = is_empty_array(b);
    if (a_is_empty || b_is_empty)
        return b_is_empty - a_is_empty;
    return compare_at(a, b, 0);
}

static uint64_t hash_at(kd_slice stored, uint32_t depth)
{
    kd_jsonb value = kd_jsonb_open(stored);
    uint64_t seed = kd_hash_u64(value.kind);
    if (value.kind == KD_JSONB_STRING)
        return kd_hash_combine(seed, kd_hash_bytes(value.body.data, value.body.size_bytes));
    if (value.kind == KD_JSONB_NUMBER)
        return kd_hash_combine(seed, kd_numeric_hash(value.body));
    if ((value.kind != KD_JSONB_ARRAY && value.kind != KD_JSONB_OBJECT) ||
        depth > KD_JSONB_DEPTH_MAX)
        return seed;
    for (uint32_t i = 0; i < value.count; i++) {
        if (value.kind == KD_JSONB_OBJECT) {
            kd_slice key = kd_jsonb_key(&value, i);
            seed = kd_hash_combine(seed, kd_hash_bytes(key.data, key.size_bytes));
        }
        seed = kd_hash_combine(seed, hash_at(kd_jsonb_element(&value, i), depth + 1));
    }
    return seed;
}

uint64_t kd_jsonb_hash(kd_slice stored)
{
    return hash_at(stored, 0);
}

/* ---- Containment ---- */

static bool is_container(const kd_jsonb *value)
{
    return value->kind == KD_JSONB_ARRAY || value->kind == KD_JSONB_OBJECT;
}

static kd_status contains_at(kd_ctx *ctx, kd_slice a, kd_slice b, uint32_t depth, bool *out);

/* Is there an element of `array` equal to the scalar, or a container that contains the container?
 */
static kd_status array_holds(kd_ctx *ctx, const kd_jsonb *array, kd_slice wanted, uint32_t depth,
                             bool *out)
{
    kd_jsonb wanted_value = kd_jsonb_open(wanted);
    *out = false;
    for (uint32_t i = 0; i < array->count && !*out; i++) {
        kd_slice element = kd_jsonb_element(array, i);
        if (!is_container(&wanted_value))
            *out = compare_at(element, wanted, depth) == 0;
        else if (kd_jsonb_open(element).kind == wanted_value.kind)
            KD_TRY(contains_at(ctx, element, wanted, depth, out));
    }
    return KD_OK;
}

static kd_status contains_at(kd_ctx *ctx, kd_slice a, kd_slice b, uint32_t depth, bool *out)
{
    kd_jsonb left = kd_jsonb_open(a);
    kd_jsonb right = kd_jsonb_open(b);
    *out = false;
    if (depth > KD_JSONB_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "JSON is nested too deeply");
    if (left.kind != right.kind || !is_container(&left)) {
        *out = !is_container(&left) && !is_container(&right) && kd_jsonb_compare(a, b) == 0;
        return KD_OK;
    }
    *out = true;
    for (uint32_t i = 0; i < right.count && *out; i++) {
        kd_slice wanted = kd_jsonb_element(&right, i);
        if (left.kind == KD_JSONB_ARRAY) {
            KD_TRY(array_holds(ctx, &left, wanted, depth + 1, out));
            continue;
        }
        uint32_t index;
        *out = field_find(&left, kd_jsonb_key(&right, i), &index);
        if (*out)
            KD_TRY(contains_at(ctx, kd_jsonb_element(&left, index), wanted, depth + 1, out));
    }
    return KD_OK;
}

kd_status kd_jsonb_contains(kd_ctx *ctx, kd_slice a, kd_slice b, bool *out)
{
    /* At the top an array contains a scalar that is one of its elements. */
    kd_jsonb left = kd_jsonb_open(a);
    kd_jsonb right = kd_jsonb_open(b);
    if (left.kind == KD_JSONB_ARRAY && !is_container(&right))
        return array_holds(ctx, &left, b, 0, out);
    return contains_at(ctx, a, b, 0, out);
}

bool kd_jsonb_exists(kd_slice stored, kd_slice key)
{
    kd_jsonb value = kd_jsonb_open(stored);
    uint32_t index;
    if (value.kind == KD_JSONB_OBJECT)
        return field_find(&value, key, &index);
    if (value.kind == KD_JSONB_STRING)
        return kd_slice_equal(value.body, key);
    if (value.kind != KD_JSONB_ARRAY)
        return false;
    for (uint32_t i = 0; i < value.count; i++) {
        kd_jsonb element = kd_jsonb_open(kd_jsonb_element(&value, i));
        if (element.kind == KD_JSONB_STRING && kd_slice_equal(element.body, key))
            return true;
    }
    return false;
}

/* ---- Checking ---- */

static kd_status fail_damaged(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored jsonb is damaged");
}

static kd_status check_at(kd_ctx *ctx, kd_slice stored, uint32_t depth);

/* The ends ascend and stay inside; the last one of the values is the end of the body. */
static kd_status container_check(kd_ctx *ctx, const kd_jsonb *value, uint32_t depth)
{
    bool is_object = value->kind == KD_JSONB_OBJECT;
    size_t count = value->count;
    const char *table = value->body.data;
    size_t tables = count * (is_object ? 8 : 4);
    size_t area = value->body.size_bytes - tables;
    uint64_t key_bytes = is_object && count > 0 ? kd_load_u32(table + (count - 1) * 4) : 0;
    if (key_bytes > area)
        return fail_damaged(ctx);
    uint64_t value_bytes =
        count > 0 ? kd_load_u32(table + (is_object ? 2 * count - 1 : count - 1) * 4) : 0;
    if (key_bytes + value_bytes != area)
        return fail_damaged(ctx);
    for (uint32_t i = 0; i < count; i++) {
        if (is_object && i > 0 &&
            key_compare(kd_jsonb_key(value, i - 1), kd_jsonb_key(value, i)) >= 0)
            return fail_damaged(ctx);
        uint32_t start = i == 0 ? 0 : kd_load_u32(table + ((is_object ? count : 0) + i - 1) * 4);
        uint32_t end = kd_load_u32(table + ((is_object ? count : 0) + i) * 4);
        if (start > end || end > value_bytes)
            return fail_damaged(ctx);
        KD_TRY(check_at(ctx, kd_jsonb_element(value, i), depth + 1));
    }
    return KD_OK;
}

static kd_status check_at(kd_ctx *ctx, kd_slice stored, uint32_t depth)
{
    if (depth > KD_JSONB_DEPTH_MAX || stored.size_bytes < HEADER_BYTES)
        return fail_damaged(ctx);
    kd_jsonb value = kd_jsonb_open(stored);
    if (value.kind != (kd_load_u32(stored.data) & 15))
        return fail_damaged(ctx);
    if (is_container(&value))
        return container_check(ctx, &value, depth);
    bool has_body = value.kind == KD_JSONB_NUMBER || value.kind == KD_JSONB_STRING;
    if (value.kind == KD_JSONB_NULL)
        value.body.size_bytes = 0;
    if (value.body.size_bytes + HEADER_BYTES != stored.size_bytes ||
        (!has_body && value.count != 0))
        return fail_damaged(ctx);
    return KD_OK;
}

kd_status kd_jsonb_check(kd_ctx *ctx, kd_slice stored)
{
    return check_at(ctx, stored, 0);
}
