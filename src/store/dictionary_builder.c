/*
 * Dictionaries under construction: a flat array of values and a table of codes.
 */
#include "store/dictionary_builder.h"

#include "base/bytes.h"
#include "base/hash.h"

#include <assert.h>

enum { SLOTS_MIN = 256 };

kd_status kdi_dictionary_init(kd_ctx *ctx, kdi_dictionary *dictionary, kd_arena *arena,
                              bool of_strings, uint32_t count_max)
{
    *dictionary =
        (kdi_dictionary){.arena = arena, .of_strings = of_strings, .count_max = count_max};
    dictionary->slots = KD_NEW_ARRAY(ctx, arena, uint32_t, SLOTS_MIN);
    if (dictionary->slots == NULL)
        return KD_NOMEM;
    dictionary->slot_mask = SLOTS_MIN - 1;
    return KD_OK;
}

static uint64_t hash_string(const kd_str *str)
{
    if (str->size_bytes > KD_STR_INLINE_BYTES)
        return kd_hash_bytes(kd_str_data(str), str->size_bytes);
    /* Short strings are padded with zeros: the 16 bytes are the value. */
    const char *bytes = (const char *)str;
    return kd_hash_combine(kd_hash_u64(kd_load_u64(bytes)), kd_load_u64(bytes + 8));
}

static uint64_t hash_of(const kdi_dictionary *dictionary, uint32_t code)
{
    return dictionary->of_strings ? hash_string(&dictionary->strings[code])
                                  : kd_hash_u64((uint64_t)dictionary->integers[code]);
}

static kd_status grow_slots(kd_ctx *ctx, kdi_dictionary *dictionary)
{
    uint32_t slot_count = (dictionary->slot_mask + 1) * 2;
    uint32_t *slots = KD_NEW_ARRAY(ctx, dictionary->arena, uint32_t, slot_count);
    if (slots == NULL)
        return KD_NOMEM;
    for (uint32_t code = 0; code < dictionary->count; code++) {
        uint64_t at = hash_of(dictionary, code);
        while (slots[at & (slot_count - 1)] != 0)
            at++;
        slots[at & (slot_count - 1)] = code + 1;
    }
    dictionary->slots = slots;
    dictionary->slot_mask = slot_count - 1;
    return KD_OK;
}

/* Room for one more value, in the array and in the table. */
static kd_status make_room(kd_ctx *ctx, kdi_dictionary *dictionary)
{
    if ((dictionary->count + 1) * 2 > dictionary->slot_mask)
        KD_TRY(grow_slots(ctx, dictionary));
    if (dictionary->of_strings)
        return kd_array_reserve(ctx, dictionary->arena, (void **)&dictionary->strings,
                                &dictionary->capacity, dictionary->count + 1, sizeof(kd_str));
    return kd_array_reserve(ctx, dictionary->arena, (void **)&dictionary->integers,
                            &dictionary->capacity, dictionary->count + 1, sizeof(int64_t));
}

static void enter(kdi_dictionary *dictionary, uint64_t hash, uint32_t *out_code)
{
    while (dictionary->slots[hash & dictionary->slot_mask] != 0)
        hash++;
    *out_code = dictionary->count++;
    dictionary->slots[hash & dictionary->slot_mask] = *out_code + 1;
}

kd_status kdi_dictionary_add_string(kd_ctx *ctx, kdi_dictionary *dictionary, const kd_str *str,
                                    uint32_t *out_code, bool *out_full)
{
    assert(dictionary->of_strings);
    uint64_t hash = hash_string(str);
    *out_full = false;
    for (uint64_t at = hash;; at++) {
        uint32_t slot = dictionary->slots[at & dictionary->slot_mask];
        if (slot == 0)
            break;
        if (kd_str_equal(&dictionary->strings[slot - 1], str)) {
            *out_code = slot - 1;
            return KD_OK;
        }
    }
    *out_full = dictionary->count >= dictionary->count_max;
    if (*out_full)
        return KD_OK;
    KD_TRY(make_room(ctx, dictionary));
    KD_TRY(kd_str_copy(ctx, dictionary->arena, kd_str_slice(str),
                       &dictionary->strings[dictionary->count]));
    dictionary->text_bytes += str->size_bytes;
    enter(dictionary, hash, out_code);
    return KD_OK;
}

kd_status kdi_dictionary_add_integer(kd_ctx *ctx, kdi_dictionary *dictionary, int64_t value,
                                     uint32_t *out_code, bool *out_full)
{
    assert(!dictionary->of_strings);
    uint64_t hash = kd_hash_u64((uint64_t)value);
    *out_full = false;
    for (uint64_t at = hash;; at++) {
        uint32_t slot = dictionary->slots[at & dictionary->slot_mask];
        if (slot == 0)
            break;
        if (dictionary->integers[slot - 1] == value) {
            *out_code = slot - 1;
            return KD_OK;
        }
    }
    *out_full = dictionary->count >= dictionary->count_max;
    if (*out_full)
        return KD_OK;
    KD_TRY(make_room(ctx, dictionary));
    dictionary->integers[dictionary->count] = value;
    enter(dictionary, hash, out_code);
    return KD_OK;
}

static int compare_codes(const kdi_dictionary *dictionary, uint32_t a, uint32_t b)
{
    if (dictionary->of_strings)
        return kd_str_compare(&dictionary->strings[a], &dictionary->strings[b]);
    int64_t left = dictionary->integers[a], right = dictionary->integers[b];
    return (left > right) - (left < right);
}

/* Bottom-up merge sort: no recursion, no order that depends on addresses. */
kd_status kdi_dictionary_sort(kd_ctx *ctx, const kdi_dictionary *dictionary, kd_arena *arena,
                              uint32_t **out_order, uint32_t **out_rank)
{
    uint32_t count = dictionary->count;
    *out_order = NULL;
    *out_rank = NULL;
    uint32_t *from = KD_NEW_ARRAY(ctx, arena, uint32_t, count + 1);
    uint32_t *to = KD_NEW_ARRAY(ctx, arena, uint32_t, count + 1);
    if (from == NULL || to == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        from[i] = i;
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t start = 0; start < count; start += 2 * width) {
            uint32_t middle = start + width < count ? start + width : count;
            uint32_t end = start + 2 * width < count ? start + 2 * width : count;
            uint32_t left = start, right = middle;
            for (uint32_t at = start; at < end; at++) {
                bool take_left =
                    left < middle &&
                    (right >= end || compare_codes(dictionary, from[left], from[right]) <= 0);
                to[at] = take_left ? from[left++] : from[right++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (uint32_t i = 0; i < count; i++)
        to[from[i]] = i;
    *out_order = from;
    *out_rank = to;
    return KD_OK;
}
