/*
 * The items of values. What PostgreSQL's operator classes of the same names index, in our own form.
 */
#include "types/item_internal.h"

#include "types/array.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM_PLAIN_BYTES_MAX = 64, HASH_BYTES = 8, PATH_HASH_BYTES = 4 };

#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* --- Lists of keys --------------------------------------------------------------------------- */

kd_status kd_key_list_end(kd_ctx *ctx, kd_key_list *list, size_t start)
{
    kd_key_span *added;
    assert(start <= list->bytes.size_bytes);
    if (list->bytes.size_bytes > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a row has too many index items");
    KD_TRY(KD_PUSH(ctx, list->bytes.arena, list->spans, list->count, list->capacity, &added));
    *added = (kd_key_span){(uint32_t)start, (uint32_t)(list->bytes.size_bytes - start)};
    return KD_OK;
}

static int span_compare(const kd_key_list *list, kd_key_span a, kd_key_span b)
{
    return kd_slice_compare((kd_slice){list->bytes.data + a.start, a.size_bytes},
                            (kd_slice){list->bytes.data + b.start, b.size_bytes});
}

static void sift_down(kd_key_list *list, size_t at, size_t count)
{
    kd_key_span span = list->spans[at];
    for (size_t child = 2 * at + 1; child < count; at = child, child = 2 * at + 1) {
        if (child + 1 < count && span_compare(list, list->spans[child + 1], list->spans[child]) > 0)
            child++;
        if (span_compare(list, list->spans[child], span) <= 0)
            break;
        list->spans[at] = list->spans[child];
    }
    list->spans[at] = span;
}

/* Heapsort: no room beside, and a row with a million elements is no catastrophe. */
static void spans_sort(kd_key_list *list)
{
    for (size_t i = list->count / 2; i > 0; i--)
        sift_down(list, i - 1, list->count);
    for (size_t i = list->count; i > 1; i--) {
        kd_key_span last = list->spans[i - 1];
        list->spans[i - 1] = list->spans[0];
        list->spans[0] = last;
        sift_down(list, 0, i - 1);
    }
}

void kd_key_list_sort(kd_key_list *list)
{
    if (list->count < 2)
        return;
    spans_sort(list);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (span_compare(list, list->spans[i], list->spans[kept - 1]) != 0)
            list->spans[kept++] = list->spans[i];
    list->count = kept;
}

/* --- Hashes ---------------------------------------------------------------------------------- */

static uint64_t fnv(uint64_t state, const char *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        state = (state ^ (uint8_t)bytes[i]) * FNV_PRIME;
    return state;
}

static uint64_t finish(uint64_t word)
{
    word += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

uint64_t kdi_item_path_step(uint64_t state, kd_slice key)
{
    return finish(fnv(state ^ FNV_START, key.data, key.size_bytes));
}

/* --- Single items ---------------------------------------------------------------------------- */

/* What was appended after the column and letter at `start`: hashed when it is long. */
static kd_status item_end(kd_ctx *ctx, kd_key_list *list, size_t start)
{
    char *at = list->bytes.data + start;
    size_t size_bytes = list->bytes.size_bytes - start - 2;
    if (size_bytes > ITEM_PLAIN_BYTES_MAX) {
        uint64_t hash = finish(fnv(FNV_START, at + 2, size_bytes));
        at[1] = (char)(at[1] + ('a' - 'A'));
        memcpy(at + 2, &hash, HASH_BYTES);
        list->bytes.size_bytes = start + 2 + HASH_BYTES;
    }
    return kd_key_list_end(ctx, list, start);
}

static kd_status item_begin(kd_ctx *ctx, kd_key_list *list, uint8_t column, kdi_item_letter letter,
                            size_t *out_start)
{
    *out_start = list->bytes.size_bytes;
    KD_TRY(kd_buffer_append_byte(ctx, &list->bytes, column));
    return kd_buffer_append_byte(ctx, &list->bytes, (uint8_t)letter);
}

kd_status kdi_item_append(kd_ctx *ctx, uint8_t column, kdi_item_letter letter, kd_slice bytes,
                          kd_key_list *list)
{
    size_t start;
    KD_TRY(item_begin(ctx, list, column, letter, &start));
    KD_TRY(kd_buffer_append_slice(ctx, &list->bytes, bytes));
    return item_end(ctx, list, start);
}

/* A value's ordered key, so that equal values give one item however they are written. */
static kd_status append_key(kd_ctx *ctx, uint8_t column, kdi_item_letter letter, kd_type type,
                            const void *payload, kd_key_list *list)
{
    size_t start;
    KD_TRY(item_begin(ctx, list, column, letter, &start));
    KD_TRY(kd_key_append(ctx, type, payload, false, (kd_key_order){0}, &list->bytes));
    return item_end(ctx, list, start);
}

kd_status kdi_item_append_scalar(kd_ctx *ctx, uint8_t column, kd_slice stored, bool in_array,
                                 kd_key_list *list)
{
    static const kdi_item_letter letters[] = {[KD_JSONB_NULL] = KDI_ITEM_NULL,
                                              [KD_JSONB_FALSE] = KDI_ITEM_FALSE,
                                              [KD_JSONB_TRUE] = KDI_ITEM_TRUE,
                                              [KD_JSONB_NUMBER] = KDI_ITEM_NUMBER,
                                              [KD_JSONB_STRING] = KDI_ITEM_STRING};
    kd_jsonb value = kd_jsonb_open(stored);
    assert(value.kind <= KD_JSONB_STRING);
    kdi_item_letter letter = letters[value.kind];
    if (value.kind == KD_JSONB_STRING)
        return kdi_item_append(ctx, column, in_array ? KDI_ITEM_KEY : letter, value.body, list);
    if (value.kind != KD_JSONB_NUMBER)
        return kdi_item_append(ctx, column, letter, (kd_slice){"", 0}, list);
    kd_str number = kd_str_from(value.body.data, value.body.size_bytes);
    kd_type type = kd_type_of(KD_TYPE_NUMERIC);
    type.modifier = -1;
    return append_key(ctx, column, letter, type, &number, list);
}

kd_status kdi_item_append_path(kd_ctx *ctx, uint8_t column, uint64_t state, kd_slice stored,
                               kd_key_list *list)
{
    /* The scalar's own item is what is hashed; it is then written over. */
    size_t start = list->bytes.size_bytes;
    KD_TRY(kdi_item_append_scalar(ctx, column, stored, false, list));
    list->count--;
    uint64_t hash = finish(
        fnv(state ^ FNV_START, list->bytes.data + start + 1, list->bytes.size_bytes - start - 1));
    list->bytes.size_bytes = start;
    return kdi_item_append(ctx, column, KDI_ITEM_HASH,
                           (kd_slice){(const char *)&hash, PATH_HASH_BYTES}, list);
}

/* --- jsonb ----------------------------------------------------------------------------------- */

typedef struct walk {
    kd_item_class what;
    uint8_t column;
    kd_key_list *list;
} walk;

/* Depth is the JSON parser's limit at most. */
static kd_status json_append(kd_ctx *ctx, const walk *w, kd_slice stored, uint64_t state,
                             bool in_array)
{
    kd_jsonb value = kd_jsonb_open(stored);
    if (value.kind != KD_JSONB_ARRAY && value.kind != KD_JSONB_OBJECT)
        return w->what == KD_ITEMS_JSONB_PATH
                   ? kdi_item_append_path(ctx, w->column, state, stored, w->list)
                   : kdi_item_append_scalar(ctx, w->column, stored, in_array, w->list);
    bool is_object = value.kind == KD_JSONB_OBJECT;
    for (uint32_t i = 0; i < value.count; i++) {
        uint64_t inner = state;
        if (is_object && w->what == KD_ITEMS_JSONB_PATH)
            inner = kdi_item_path_step(state, kd_jsonb_key(&value, i));
        else if (is_object)
            KD_TRY(kdi_item_append(ctx, w->column, KDI_ITEM_KEY, kd_jsonb_key(&value, i), w->list));
        KD_TRY(json_append(ctx, w, kd_jsonb_element(&value, i), inner, !is_object));
    }
    return KD_OK;
}

/* --- Arrays ---------------------------------------------------------------------------------- */

kd_status kdi_item_append_element(kd_ctx *ctx, uint8_t column, kd_value element, kd_key_list *list)
{
    if (element.is_null)
        return kdi_item_append(ctx, column, KDI_ITEM_NULL, (kd_slice){"", 0}, list);
    return append_key(ctx, column, KDI_ITEM_ELEMENT, element.type, kd_value_payload(&element),
                      list);
}

static kd_status array_append(kd_ctx *ctx, uint8_t column, const kd_value *value, kd_key_list *list)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, value->type, kd_str_slice(&value->as.str), &array));
    if (array.count == 0)
        return kdi_item_append(ctx, column, KDI_ITEM_EMPTY, (kd_slice){"", 0}, list);
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        KD_TRY(kdi_item_append_element(ctx, column, element, list));
    }
    return KD_OK;
}

kd_status kd_items_append(kd_ctx *ctx, kd_item_class what, uint8_t column, const kd_value *value,
                          kd_key_list *list)
{
    assert(!value->is_null);
    walk w = {.what = what, .column = column, .list = list};
    switch (what) {
    case KD_ITEMS_JSONB:
    case KD_ITEMS_JSONB_PATH:
        /* A scalar alone counts as an element, as PostgreSQL has it. */
        return json_append(ctx, &w, kd_str_slice(&value->as.str), KDI_ITEM_PATH_START, true);
    case KD_ITEMS_ARRAY:
        return array_append(ctx, column, value, list);
    case KD_ITEMS_NONE:
        break;
    }
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "no items are made of an ordered key");
}
