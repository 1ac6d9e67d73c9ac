/*
 * Views of vectors, and the hashes and comparisons that hash tables are built on.
 *
 * Hashes here are the executor's own: equal values (as kd_payload_equal has it) have equal hashes,
 * and the loops for integers and strings do not leave this file.
 */
#include "exec/view_internal.h"

#include "base/hash.h"

#include <assert.h>

enum { ENTRIES_MAX = 512 };

kd_status kdi_vector_create(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_vector *out_vector)
{
    return kdi_vector_create_for(ctx, arena, type, KD_BATCH_ROWS, out_vector);
}

/* Values are not zeroed: an operator's rooms are large, and most short statements touch a row or
 * two. */
kd_status kdi_vector_create_for(kd_ctx *ctx, kd_arena *arena, kd_type type, uint32_t capacity,
                                kd_vector *out_vector)
{
    *out_vector = (kd_vector){.type = type};
    kd_physical physical = kd_type_physical(type);
    void *values = kd_alloc_raw(ctx, arena, (size_t)capacity * kd_physical_bytes(physical));
    uint64_t *validity = kd_alloc_raw(ctx, arena, ((size_t)capacity + 63) / 64 * 8);
    if (values == NULL || validity == NULL)
        return KD_NOMEM;
    kdi_bits_fill(validity, capacity);
    out_vector->physical = (uint8_t)physical;
    out_vector->form = KD_VECTOR_FLAT;
    out_vector->values = values;
    out_vector->validity = validity;
    return KD_OK;
}

static void index_rows(uint32_t *restrict index, const uint16_t *restrict selection, uint32_t count)
{
    if (selection == NULL) {
        for (uint32_t i = 0; i < count; i++)
            index[i] = i;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        index[i] = selection[i];
}

#define WIDEN_LOOP(name, code_type)                                             \
    static void name(uint32_t *restrict index, const code_type *restrict codes, \
                     const uint16_t *restrict selection, uint32_t count)        \
    {                                                                           \
        if (selection == NULL) {                                                \
            for (uint32_t i = 0; i < count; i++)                                \
                index[i] = codes[i];                                            \
            return;                                                             \
        }                                                                       \
        for (uint32_t i = 0; i < count; i++)                                    \
            index[i] = codes[selection[i]];                                     \
    }
WIDEN_LOOP(widen_u8, uint8_t)
WIDEN_LOOP(widen_u16, uint16_t)
WIDEN_LOOP(widen_u32, uint32_t)
#undef WIDEN_LOOP

static void index_codes(uint32_t *index, const kd_vector *vector, const uint16_t *selection,
                        uint32_t count)
{
    switch (vector->width_bytes) {
    case 1:
        widen_u8(index, vector->values, selection, count);
        break;
    case 2:
        widen_u16(index, vector->values, selection, count);
        break;
    default:
        widen_u32(index, vector->values, selection, count);
        break;
    }
}

/* Frames are expanded to packed positions 0 .. count-1. */
#define EXPAND_LOOP(name, value_type)                                                             \
    static void name(value_type *restrict target, const uint32_t *restrict offsets, int64_t base, \
                     uint32_t count)                                                              \
    {                                                                                             \
        for (uint32_t i = 0; i < count; i++)                                                      \
            target[i] = (value_type)((uint64_t)base + offsets[i]);                                \
    }
EXPAND_LOOP(expand_i16, int16_t)
EXPAND_LOOP(expand_i32, int32_t)
EXPAND_LOOP(expand_i64, int64_t)
#undef EXPAND_LOOP

static void frame_expand(const kdi_view *view, const kd_vector *vector, uint32_t count)
{
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_I16:
        expand_i16(view->value_room, view->index_room, vector->base, count);
        break;
    case KD_PHYS_I32:
        expand_i32(view->value_room, view->index_room, vector->base, count);
        break;
    default:
        assert(vector->physical == KD_PHYS_I64);
        expand_i64(view->value_room, view->index_room, vector->base, count);
        break;
    }
}

static kd_status frame_open(kd_ctx *ctx, kd_arena *arena, kdi_view *view, const kd_vector *vector,
                            const uint16_t *selection, uint32_t count)
{
    if (view->value_room == NULL) {
        view->value_room = kd_alloc_raw(ctx, arena, (size_t)KD_BATCH_ROWS * 8);
        view->validity_room = kd_alloc_raw(ctx, arena, KDI_BATCH_WORDS * 8);
        if (view->value_room == NULL || view->validity_room == NULL) {
            view->value_room = NULL;
            return KD_NOMEM;
        }
    }
    index_codes(view->index_room, vector, selection, count);
    frame_expand(view, vector, count);
    view->values = view->value_room;
    view->validity = NULL;
    if (vector->validity != NULL) {
        kdi_bits_fill(view->validity_room, KD_BATCH_ROWS);
        for (uint32_t i = 0; i < count; i++)
            if (!kd_bit_get(vector->validity, selection == NULL ? i : selection[i]))
                kd_bit_clear(view->validity_room, i);
        view->validity = view->validity_room;
    }
    index_rows(view->index_room, NULL, count);
    return KD_OK;
}

kd_status kdi_view_open(kd_ctx *ctx, kd_arena *arena, kdi_view *view, const kd_vector *vector,
                        const uint16_t *selection, uint32_t count)
{
    assert(count <= KD_BATCH_ROWS);
    if (view->index_room == NULL) {
        view->index_room = kd_alloc_raw(ctx, arena, sizeof(uint32_t) * KD_BATCH_ROWS);
        if (view->index_room == NULL)
            return KD_NOMEM;
    }
    view->index = view->index_room;
    view->entry_count = 0;
    view->physical = vector->physical;
    view->type = vector->type;
    view->value_bytes = kd_physical_bytes((kd_physical)vector->physical);
    view->values = vector->values;
    view->validity = vector->validity;
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_FLAT:
        index_rows(view->index_room, selection, count);
        break;
    case KD_VECTOR_CONSTANT:
        memset(view->index_room, 0, sizeof(uint32_t) * count);
        break;
    case KD_VECTOR_DICT:
        index_codes(view->index_room, vector, selection, count);
        view->values = vector->dictionary->values;
        view->validity = vector->dictionary->validity;
        view->entry_count = vector->dictionary_count;
        break;
    case KD_VECTOR_FRAME:
        return frame_open(ctx, arena, view, vector, selection, count);
    }
    return KD_OK;
}

/* ---- Equality and hashes ---- */

bool kdi_type_is_bitwise(kd_type type)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
    case KD_PHYS_I16:
    case KD_PHYS_I32:
    case KD_PHYS_I64:
    case KD_PHYS_I128:
        return true;
    default:
        return false;
    }
}

bool kdi_type_is_plain_string(kd_type type)
{
    return !type.is_array &&
           (kd_type_is_string(type) || type.id == KD_TYPE_BYTEA || type.id == KD_TYPE_JSON);
}

static uint64_t str_hash(const kd_str *str)
{
    if (str->size_bytes <= KD_STR_INLINE_BYTES) {
        uint64_t low = kd_load_u64(str);
        uint64_t high = kd_load_u64((const char *)str + 8);
        return kd_hash_u64(low ^ kd_hash_u64(high));
    }
    return kd_hash_bytes(kd_str_data(str), str->size_bytes);
}

static uint64_t i128_hash(const void *payload)
{
    return kd_hash_u64(kd_load_u64(payload) ^ kd_hash_u64(kd_load_u64((const char *)payload + 8)));
}

uint64_t kdi_payload_hash(kd_type type, const void *payload)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return kd_hash_u64(*(const uint8_t *)payload);
    case KD_PHYS_I16: {
        int16_t value;
        memcpy(&value, payload, sizeof value);
        return kd_hash_u64((uint64_t)(int64_t)value);
    }
    case KD_PHYS_I32: {
        int32_t value;
        memcpy(&value, payload, sizeof value);
        return kd_hash_u64((uint64_t)(int64_t)value);
    }
    case KD_PHYS_I64:
        return kd_hash_u64(kd_load_u64(payload));
    case KD_PHYS_I128:
        return i128_hash(payload);
    case KD_PHYS_STR:
        if (kdi_type_is_plain_string(type))
            return str_hash(payload);
        break;
    default:
        break;
    }
    return kd_hash_u64(kd_payload_hash(type, payload));
}

bool kdi_payload_equal(kd_type type, const void *a, const void *b)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return *(const uint8_t *)a == *(const uint8_t *)b;
    case KD_PHYS_I16:
        return memcmp(a, b, 2) == 0;
    case KD_PHYS_I32:
        return memcmp(a, b, 4) == 0;
    case KD_PHYS_I64:
        return memcmp(a, b, 8) == 0;
    case KD_PHYS_I128:
        return memcmp(a, b, 16) == 0;
    case KD_PHYS_STR:
        if (kd_str_equal(a, b))
            return true;
        if (kdi_type_is_plain_string(type))
            return false;
        break; /* 1.0 and 1.00 differ in their bytes. */
    default:
        break;
    }
    return kd_payload_equal(type, a, b);
}

static const uint64_t null_hash = 0x5bd1e9955bd1e995u;

#define HASH_LOOP(name, value_type)                                                     \
    static void name(const value_type *restrict values, const uint32_t *restrict index, \
                     uint32_t count, uint64_t *restrict out)                            \
    {                                                                                   \
        for (uint32_t i = 0; i < count; i++)                                            \
            out[i] = kd_hash_u64((uint64_t)(int64_t)values[index[i]]);                  \
    }
HASH_LOOP(hash_u8, uint8_t)
HASH_LOOP(hash_i16, int16_t)
HASH_LOOP(hash_i32, int32_t)
HASH_LOOP(hash_i64, int64_t)
#undef HASH_LOOP

static void hash_strings(const kdi_view *view, uint32_t count, uint64_t *out)
{
    const kd_str *values = view->values;
    for (uint32_t i = 0; i < count; i++)
        if (!kdi_view_is_null(view, i))
            out[i] = str_hash(&values[view->index[i]]);
}

static void hash_others(const kdi_view *view, uint32_t count, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++)
        if (!kdi_view_is_null(view, i))
            out[i] = kdi_payload_hash(view->type, kdi_view_at(view, i));
}

static void hash_values(const kdi_view *view, uint32_t count, uint64_t *out)
{
    switch ((kd_physical)view->physical) {
    case KD_PHYS_BOOL:
        hash_u8(view->values, view->index, count, out);
        break;
    case KD_PHYS_I16:
        hash_i16(view->values, view->index, count, out);
        break;
    case KD_PHYS_I32:
        hash_i32(view->values, view->index, count, out);
        break;
    case KD_PHYS_I64:
        hash_i64(view->values, view->index, count, out);
        break;
    default:
        if (kdi_type_is_plain_string(view->type))
            hash_strings(view, count, out);
        else
            hash_others(view, count, out);
        break;
    }
    if (view->validity == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (!kd_bit_get(view->validity, view->index[i]))
            out[i] = null_hash;
}

/* Each entry once, where rows repeat them and a hash is dear. */
static void hash_entries(const kdi_view *view, uint32_t count, uint64_t *out)
{
    uint64_t entries[ENTRIES_MAX];
    uint32_t every[ENTRIES_MAX];
    kdi_view all = *view;
    all.index = every;
    for (uint32_t e = 0; e < view->entry_count; e++)
        every[e] = e;
    hash_values(&all, view->entry_count, entries);
    for (uint32_t i = 0; i < count; i++)
        out[i] = entries[view->index[i]];
}

static void hash_rows(const kdi_view *view, uint32_t count, uint64_t *out)
{
    bool repeats =
        view->entry_count > 0 && view->entry_count <= ENTRIES_MAX && view->entry_count * 4 <= count;
    if (repeats && view->physical == KD_PHYS_STR)
        hash_entries(view, count, out);
    else
        hash_values(view, count, out);
}

void kdi_view_hash(const kdi_view *view, uint32_t count, bool combine, uint64_t *hashes)
{
    if (!combine) {
        hash_rows(view, count, hashes);
        return;
    }
    uint64_t own[KD_BATCH_ROWS];
    hash_rows(view, count, own);
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = kd_hash_combine(hashes[i], own[i]);
}

void kdi_vector_copy_rows(const kd_vector *source, const uint16_t *selection, uint32_t count,
                          kd_vector *target)
{
    assert(target->form == KD_VECTOR_FLAT);
    size_t bytes = kd_physical_bytes((kd_physical)target->physical);
    _Alignas(16) char scratch[16];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        if (kd_vector_is_null(source, row)) {
            kd_vector_set_null(target, row);
            continue;
        }
        memcpy((char *)target->values + row * bytes, kd_vector_payload(source, row, scratch),
               bytes);
        kd_bit_set(target->validity, row);
    }
}
