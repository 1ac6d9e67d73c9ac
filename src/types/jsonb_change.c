/*
 * Making jsonb values, and new values from old ones.
 */
#include "types/jsonb.h"

#include <assert.h>

enum { HEADER_BYTES = 4, SIZE_MAX_BYTES = (1 << 28) - 1 };

static kd_status fail_size(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_LIMIT, "54000", "jsonb value is larger than %d bytes", SIZE_MAX_BYTES);
}

static kd_status scalar_make(kd_ctx *ctx, kd_arena *arena, kd_jsonb_kind kind, kd_slice body,
                             kd_slice *out)
{
    *out = (kd_slice){"", 0};
    if (body.size_bytes > SIZE_MAX_BYTES)
        return fail_size(ctx);
    char *bytes = kd_alloc_raw(ctx, arena, HEADER_BYTES + body.size_bytes);
    if (bytes == NULL)
        return KD_NOMEM;
    kd_store_u32(bytes, (uint32_t)kind | (uint32_t)body.size_bytes << 4);
    if (body.size_bytes > 0)
        memcpy(bytes + HEADER_BYTES, body.data, body.size_bytes);
    *out = (kd_slice){bytes, HEADER_BYTES + body.size_bytes};
    return KD_OK;
}

kd_status kd_jsonb_make_null(kd_ctx *ctx, kd_arena *arena, kd_slice *out)
{
    return scalar_make(ctx, arena, KD_JSONB_NULL, (kd_slice){"", 0}, out);
}

kd_status kd_jsonb_make_bool(kd_ctx *ctx, kd_arena *arena, bool value, kd_slice *out)
{
    return scalar_make(ctx, arena, value ? KD_JSONB_TRUE : KD_JSONB_FALSE, (kd_slice){"", 0}, out);
}

kd_status kd_jsonb_make_string(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    return scalar_make(ctx, arena, KD_JSONB_STRING, text, out);
}

kd_status kd_jsonb_make_number(kd_ctx *ctx, kd_arena *arena, const kd_decimal *number,
                               kd_slice *out)
{
    static const char *const names[4] = {"", "NaN", "Infinity", "-Infinity"};
    if (number->kind != KD_DECIMAL_FINITE)
        return kd_jsonb_make_string(ctx, arena, kd_slice_of(names[number->kind & 3]), out);
    kd_str stored;
    KD_TRY(kd_decimal_store(ctx, arena, number, &stored));
    return scalar_make(ctx, arena, KD_JSONB_NUMBER, kd_str_slice(&stored), out);
}

/* Appends the pieces at `*at` and their ends, counted from the first, at `table`. */
static void pieces_write(const kd_slice *pieces, uint32_t count, char *table, char **at)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].size_bytes > 0)
            memcpy(*at, pieces[i].data, pieces[i].size_bytes);
        *at += pieces[i].size_bytes;
        end += (uint32_t)pieces[i].size_bytes;
        kd_store_u32(table + (size_t)i * 4, end);
    }
}

static size_t pieces_bytes(const kd_slice *pieces, uint32_t count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += pieces[i].size_bytes;
    return total;
}

kd_status kd_jsonb_make_array(kd_ctx *ctx, kd_arena *arena, const kd_slice *elements,
                              uint32_t count, kd_slice *out)
{
    *out = (kd_slice){"", 0};
    size_t size = HEADER_BYTES + (size_t)count * 4 + pieces_bytes(elements, count);
    if (size > SIZE_MAX_BYTES)
        return fail_size(ctx);
    char *bytes = kd_alloc_raw(ctx, arena, size);
    if (bytes == NULL)
        return KD_NOMEM;
    kd_store_u32(bytes, KD_JSONB_ARRAY | count << 4);
    char *at = bytes + HEADER_BYTES + (size_t)count * 4;
    pieces_write(elements, count, bytes + HEADER_BYTES, &at);
    *out = (kd_slice){bytes, size};
    return KD_OK;
}

typedef struct field {
    kd_slice key;
    kd_slice value;
} field;

static int key_compare(kd_slice a, kd_slice b)
{
    if (a.size_bytes != b.size_bytes)
        return a.size_bytes < b.size_bytes ? -1 : 1;
    return a.size_bytes == 0 ? 0 : memcmp(a.data, b.data, a.size_bytes);
}

/* Stable: of equal keys the later one stays behind the earlier. Runs of doubling width are merged
 * between two arrays; gives the one that holds the result. */
static field *fields_sort(field *fields, field *spare, uint32_t count)
{
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t start = 0; start < count; start += 2 * width) {
            uint64_t middle = start + width < count ? start + width : count;
            uint64_t end = start + 2 * width < count ? start + 2 * width : count;
            uint64_t left = start;
            uint64_t right = middle;
            for (uint64_t i = start; i < end; i++) {
                bool takes_left =
                    left < middle &&
                    (right >= end || key_compare(fields[left].key, fields[right].key) <= 0);
                spare[i] = takes_left ? fields[left++] : fields[right++];
            }
        }
        field *swapped = fields;
        fields = spare;
        spare = swapped;
    }
    return fields;
}

kd_status kd_jsonb_make_object(kd_ctx *ctx, kd_arena *arena, const kd_slice *keys,
                               const kd_slice *values, uint32_t count, kd_slice *out)
{
    *out = (kd_slice){"", 0};
    field *fields = KD_NEW_ARRAY(ctx, arena, field, (size_t)count * 2 + 1);
    kd_slice *pieces = KD_NEW_ARRAY(ctx, arena, kd_slice, (size_t)count * 2 + 1);
    if (fields == NULL || pieces == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (field){keys[i], values[i]};
    fields = fields_sort(fields, fields + count, count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && key_compare(fields[i].key, fields[i + 1].key) == 0)
            continue; /* A later one wins. */
        fields[kept++] = fields[i];
    }
    kd_slice *kept_keys = pieces;
    kd_slice *kept_values = pieces + kept;
    for (uint32_t i = 0; i < kept; i++) {
        kept_keys[i] = fields[i].key;
        kept_values[i] = fields[i].value;
    }
    size_t tables = HEADER_BYTES + (size_t)kept * 8;
    size_t size = tables + pieces_bytes(pieces, kept * 2);
    if (size > SIZE_MAX_BYTES)
        return fail_size(ctx);
    char *bytes = kd_alloc_raw(ctx, arena, size);
    if (bytes == NULL)
        return KD_NOMEM;
    kd_store_u32(bytes, KD_JSONB_OBJECT | kept << 4);
    char *at = bytes + tables;
    pieces_write(kept_keys, kept, bytes + HEADER_BYTES, &at);
    pieces_write(kept_values, kept, bytes + HEADER_BYTES + (size_t)kept * 4, &at);
    *out = (kd_slice){bytes, size};
    return KD_OK;
}

/* ---- Changing ---- */

/* Members of a container in lists that can be edited and put together again. */
typedef struct member_list {
    bool is_object;
    uint32_t count;
    kd_slice *keys;
    kd_slice *values;
} member_list;

static kd_status list_init(kd_ctx *ctx, kd_arena *arena, bool is_object, size_t capacity,
                           member_list *out)
{
    *out = (member_list){.is_object = is_object};
    if (capacity > KD_JSONB_COUNT_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "JSON container has too many members");
    out->keys = KD_NEW_ARRAY(ctx, arena, kd_slice, capacity + 1);
    out->values = KD_NEW_ARRAY(ctx, arena, kd_slice, capacity + 1);
    return out->keys == NULL || out->values == NULL ? KD_NOMEM : KD_OK;
}

static void list_add(member_list *list, kd_slice key, kd_slice value)
{
    list->keys[list->count] = key;
    list->values[list->count++] = value;
}

static void list_add_all(member_list *list, const kd_jsonb *value)
{
    for (uint32_t i = 0; i < value->count; i++)
        list_add(list, value->kind == KD_JSONB_OBJECT ? kd_jsonb_key(value, i) : (kd_slice){"", 0},
                 kd_jsonb_element(value, i));
}

static kd_status list_make(kd_ctx *ctx, kd_arena *arena, const member_list *list, kd_slice *out)
{
    if (list->is_object)
        return kd_jsonb_make_object(ctx, arena, list->keys, list->values, list->count, out);
    return kd_jsonb_make_array(ctx, arena, list->values, list->count, out);
}

static bool is_container(const kd_jsonb *value)
{
    return value->kind == KD_JSONB_ARRAY || value->kind == KD_JSONB_OBJECT;
}

kd_status kd_jsonb_concat(kd_ctx *ctx, kd_arena *arena, kd_slice a, kd_slice b, kd_slice *out)
{
    *out = (kd_slice){"", 0};
    kd_jsonb left = kd_jsonb_open(a);
    kd_jsonb right = kd_jsonb_open(b);
    bool both_objects = left.kind == KD_JSONB_OBJECT && right.kind == KD_JSONB_OBJECT;
    member_list list;
    KD_TRY(list_init(ctx, arena, both_objects, (size_t)left.count + right.count + 2, &list));
    if (both_objects) {
        list_add_all(&list, &left);
        list_add_all(&list, &right);
        return list_make(ctx, arena, &list, out);
    }
    /* Everything else becomes an array; what is not an array is one element of it. */
    const kd_jsonb *values[2] = {&left, &right};
    const kd_slice stored[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (values[i]->kind == KD_JSONB_ARRAY)
            list_add_all(&list, values[i]);
        else
            list_add(&list, (kd_slice){"", 0}, stored[i]);
    }
    return list_make(ctx, arena, &list, out);
}

static kd_status fail_scalar(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "cannot %s", what);
}

kd_status kd_jsonb_delete_key(kd_ctx *ctx, kd_arena *arena, kd_slice stored, kd_slice key,
                              kd_slice *out)
{
    *out = (kd_slice){"", 0};
    kd_jsonb value = kd_jsonb_open(stored);
    if (!is_container(&value))
        return fail_scalar(ctx, "delete from scalar");
    member_list list;
    KD_TRY(list_init(ctx, arena, value.kind == KD_JSONB_OBJECT, value.count, &list));
    for (uint32_t i = 0; i < value.count; i++) {
        kd_slice element = kd_jsonb_element(&value, i);
        kd_slice name = {"", 0};
        bool matches;
        if (list.is_object) {
            name = kd_jsonb_key(&value, i);
            matches = kd_slice_equal(name, key);
        } else {
            kd_jsonb text = kd_jsonb_open(element);
            matches = text.kind == KD_JSONB_STRING && kd_slice_equal(text.body, key);
        }
        if (!matches)
            list_add(&list, name, element);
    }
    return list_make(ctx, arena, &list, out);
}

kd_status kd_jsonb_delete_element(kd_ctx *ctx, kd_arena *arena, kd_slice stored, int64_t index,
                                  kd_slice *out)
{
    *out = (kd_slice){"", 0};
    kd_jsonb value = kd_jsonb_open(stored);
    if (value.kind == KD_JSONB_OBJECT)
        return fail_scalar(ctx, "delete from object using integer index");
    if (value.kind != KD_JSONB_ARRAY)
        return fail_scalar(ctx, "delete from scalar");
    if (index < 0)
        index += value.count;
    member_list list;
    KD_TRY(list_init(ctx, arena, false, value.count, &list));
    for (uint32_t i = 0; i < value.count; i++)
        if (i != index)
            list_add(&list, (kd_slice){"", 0}, kd_jsonb_element(&value, i));
    return list_make(ctx, arena, &list, out);
}

static kd_status step_index(kd_ctx *ctx, kd_slice step, uint32_t position, int64_t *out)
{
    bool negative = step.size_bytes > 0 && step.data[0] == '-';
    bool is_number = step.size_bytes > negative && step.size_bytes <= 10;
    *out = 0;
    for (size_t i = negative; i < step.size_bytes && is_number; i++) {
        is_number = step.data[i] >= '0' && step.data[i] <= '9';
        *out = *out * 10 + (step.data[i] - '0');
    }
    if (!is_number)
        return KD_FAIL(ctx, KD_INVALID, "22P02",
                       "path element at position %u is not an integer: \"%.*s\"", position,
                       (int)step.size_bytes, step.data);
    *out = negative ? -*out : *out;
    return KD_OK;
}

/* What to do at the end of a path. */
typedef struct path_change {
    const kd_slice *steps;
    uint32_t step_count;
    bool deletes;
    bool creates;
    kd_slice value;
} path_change;

/* Where the step leads in the container; `*out_index` == count: nowhere (`*out_prepends`: before
 * the first element). */
static kd_status step_find(kd_ctx *ctx, const kd_jsonb *value, kd_slice step, uint32_t position,
                           uint32_t *out_index, bool *out_prepends)
{
    *out_index = value->count;
    *out_prepends = false;
    if (value->kind == KD_JSONB_OBJECT) {
        for (uint32_t i = 0; i < value->count; i++)
            if (kd_slice_equal(kd_jsonb_key(value, i), step))
                *out_index = i;
        return KD_OK;
    }
    int64_t index;
    KD_TRY(step_index(ctx, step, position, &index));
    *out_prepends = index < -(int64_t)value->count;
    if (index < 0)
        index += value->count;
    if (index >= 0 && index < value->count)
        *out_index = (uint32_t)index;
    return KD_OK;
}

/* Recursion goes as deep as the path has steps, at most KD_JSONB_DEPTH_MAX. */
static kd_status path_apply(kd_ctx *ctx, kd_arena *arena, kd_slice stored,
                            const path_change *change, uint32_t level, kd_slice *out)
{
    kd_jsonb value = kd_jsonb_open(stored);
    *out = stored;
    if (!is_container(&value) || level >= KD_JSONB_DEPTH_MAX)
        return KD_OK;
    kd_slice step = change->steps[level];
    bool is_last = level + 1 == change->step_count;
    uint32_t found;
    bool prepends;
    KD_TRY(step_find(ctx, &value, step, level + 1, &found, &prepends));
    bool creates = found == value.count && is_last && change->creates && !change->deletes;
    if (found == value.count && !creates)
        return KD_OK;
    member_list list;
    KD_TRY(list_init(ctx, arena, value.kind == KD_JSONB_OBJECT, (size_t)value.count + 1, &list));
    if (creates && prepends)
        list_add(&list, step, change->value);
    for (uint32_t i = 0; i < value.count; i++) {
        kd_slice element = kd_jsonb_element(&value, i);
        if (i == found && is_last && change->deletes)
            continue;
        if (i == found && is_last)
            element = change->value;
        else if (i == found)
            KD_TRY(path_apply(ctx, arena, element, change, level + 1, &element));
        list_add(&list, list.is_object ? kd_jsonb_key(&value, i) : step, element);
    }
    if (creates && !prepends)
        list_add(&list, step, change->value);
    return list_make(ctx, arena, &list, out);
}

kd_status kd_jsonb_delete_path(kd_ctx *ctx, kd_arena *arena, kd_slice stored, const kd_slice *steps,
                               uint32_t step_count, kd_slice *out)
{
    *out = stored;
    kd_jsonb value = kd_jsonb_open(stored);
    if (!is_container(&value))
        return fail_scalar(ctx, "delete path in scalar");
    if (step_count == 0 || value.count == 0)
        return KD_OK;
    path_change change = {.steps = steps, .step_count = step_count, .deletes = true};
    return path_apply(ctx, arena, stored, &change, 0, out);
}

kd_status kd_jsonb_set(kd_ctx *ctx, kd_arena *arena, kd_slice stored, const kd_slice *steps,
                       uint32_t step_count, kd_slice value, bool create_if_missing, kd_slice *out)
{
    *out = stored;
    kd_jsonb target = kd_jsonb_open(stored);
    if (!is_container(&target))
        return fail_scalar(ctx, "set path in scalar");
    if (step_count == 0 || (target.count == 0 && !create_if_missing))
        return KD_OK;
    path_change change = {
        .steps = steps, .step_count = step_count, .creates = create_if_missing, .value = value};
    return path_apply(ctx, arena, stored, &change, 0, out);
}

static kd_status strip_at(kd_ctx *ctx, kd_arena *arena, kd_slice stored, uint32_t depth,
                          kd_slice *out)
{
    kd_jsonb value = kd_jsonb_open(stored);
    *out = stored;
    if (!is_container(&value) || depth > KD_JSONB_DEPTH_MAX)
        return KD_OK;
    member_list list;
    KD_TRY(list_init(ctx, arena, value.kind == KD_JSONB_OBJECT, value.count, &list));
    for (uint32_t i = 0; i < value.count; i++) {
        kd_slice element = kd_jsonb_element(&value, i);
        if (list.is_object && kd_jsonb_open(element).kind == KD_JSONB_NULL)
            continue;
        KD_TRY(strip_at(ctx, arena, element, depth + 1, &element));
        list_add(&list, list.is_object ? kd_jsonb_key(&value, i) : (kd_slice){"", 0}, element);
    }
    return list_make(ctx, arena, &list, out);
}

kd_status kd_jsonb_strip_nulls(kd_ctx *ctx, kd_arena *arena, kd_slice stored, kd_slice *out)
{
    return strip_at(ctx, arena, stored, 0, out);
}
