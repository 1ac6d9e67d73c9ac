/*
 * Vectors: reading single rows of any form, and turning any form into flat values in bulk.
 *
 * The bulk loops stand alone on plain arrays, one per width of value and of code; they move bytes
 * of 1, 2, 4, 8 or 16 without looking at the type.
 */
#include "types/vector.h"

#include <assert.h>

kd_status kd_vector_init_flat(kd_ctx *ctx, kd_arena *arena, kd_type type, uint32_t capacity,
                              kd_vector *out_vector)
{
    *out_vector = (kd_vector){.type = type};
    kd_physical physical = kd_type_physical(type);
    void *values = kd_alloc_array(ctx, arena, capacity, kd_physical_bytes(physical));
    if (values == NULL)
        return KD_NOMEM;
    size_t validity_bytes = ((size_t)capacity + 63) / 64 * 8;
    uint64_t *validity = kd_alloc_raw(ctx, arena, validity_bytes);
    if (validity == NULL)
        return KD_NOMEM;
    memset(validity, 0xff, validity_bytes);
    out_vector->physical = (uint8_t)physical;
    out_vector->form = KD_VECTOR_FLAT;
    out_vector->values = values;
    out_vector->validity = validity;
    return KD_OK;
}

kd_status kd_vector_init_constant(kd_ctx *ctx, kd_arena *arena, const kd_value *value,
                                  kd_vector *out_vector)
{
    KD_TRY(kd_vector_init_flat(ctx, arena, value->type, 1, out_vector));
    out_vector->form = KD_VECTOR_CONSTANT;
    if (value->is_null)
        kd_bit_clear(out_vector->validity, 0);
    else
        memcpy(out_vector->values, &value->as,
               kd_physical_bytes((kd_physical)out_vector->physical));
    return KD_OK;
}

static uint32_t code_at(const void *codes, uint32_t width_bytes, uint32_t row)
{
    switch (width_bytes) {
    case 1:
        return ((const uint8_t *)codes)[row];
    case 2:
        return ((const uint16_t *)codes)[row];
    default:
        return ((const uint32_t *)codes)[row];
    }
}

bool kd_vector_is_null(const kd_vector *vector, uint32_t row)
{
    const uint64_t *validity = vector->validity;
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_CONSTANT:
        return validity != NULL && !kd_bit_get(validity, 0);
    case KD_VECTOR_DICT:
        validity = vector->dictionary->validity;
        return validity != NULL &&
               !kd_bit_get(validity, code_at(vector->values, vector->width_bytes, row));
    case KD_VECTOR_FLAT:
    case KD_VECTOR_FRAME:
        break;
    }
    return validity != NULL && !kd_bit_get(validity, row);
}

const void *kd_vector_payload(const kd_vector *vector, uint32_t row, void *scratch)
{
    size_t value_bytes = kd_physical_bytes((kd_physical)vector->physical);
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_CONSTANT:
        return vector->values;
    case KD_VECTOR_DICT: {
        uint32_t code = code_at(vector->values, vector->width_bytes, row);
        assert(code < vector->dictionary_count);
        return (const char *)vector->dictionary->values + code * value_bytes;
    }
    case KD_VECTOR_FRAME: {
        uint64_t offset = code_at(vector->values, vector->width_bytes, row);
        int64_t value = (int64_t)((uint64_t)vector->base + offset);
        memcpy(scratch, &value, value_bytes);
        return scratch;
    }
    case KD_VECTOR_FLAT:
        break;
    }
    return (const char *)vector->values + row * value_bytes;
}

kd_value kd_vector_get(const kd_vector *vector, uint32_t row)
{
    kd_value value = kd_value_null(vector->type);
    if (kd_vector_is_null(vector, row))
        return value;
    value.is_null = false;
    char scratch[16];
    memcpy(&value.as, kd_vector_payload(vector, row, scratch),
           kd_physical_bytes((kd_physical)vector->physical));
    return value;
}

void kd_vector_set(kd_vector *vector, uint32_t row, const kd_value *value)
{
    assert(vector->form == KD_VECTOR_FLAT);
    if (value->is_null) {
        kd_vector_set_null(vector, row);
        return;
    }
    size_t value_bytes = kd_physical_bytes((kd_physical)vector->physical);
    memcpy((char *)vector->values + row * value_bytes, &value->as, value_bytes);
    if (vector->validity != NULL)
        kd_bit_set(vector->validity, row);
}

void kd_vector_set_null(kd_vector *vector, uint32_t row)
{
    assert(vector->form == KD_VECTOR_FLAT);
    assert(vector->validity != NULL);
    size_t value_bytes = kd_physical_bytes((kd_physical)vector->physical);
    memset((char *)vector->values + row * value_bytes, 0, value_bytes);
    kd_bit_clear(vector->validity, row);
}

/*
 * The loops. `spread` writes each selected row's value at the row's own position (flatten) and
 * `pack` at consecutive positions (gather); rows NULL means 0 .. count-1.
 */
typedef struct move_16 {
    uint64_t words[2];
} move_16;

#define MOVE_LOOPS(bits, value_type)                                                          \
    static void pack_##bits(const value_type *restrict source, const uint16_t *restrict rows, \
                            uint32_t count, value_type *restrict target)                      \
    {                                                                                         \
        for (uint32_t i = 0; i < count; i++)                                                  \
            target[i] = source[rows[i]];                                                      \
    }                                                                                         \
    static void fill_##bits(const value_type *restrict source, uint32_t count,                \
                            value_type *restrict target)                                      \
    {                                                                                         \
        value_type value = *source;                                                           \
        for (uint32_t i = 0; i < count; i++)                                                  \
            target[i] = value;                                                                \
    }                                                                                         \
    static void look_up_##bits(const value_type *restrict dictionary,                         \
                               const uint32_t *restrict codes, uint32_t count,                \
                               value_type *restrict target)                                   \
    {                                                                                         \
        for (uint32_t i = 0; i < count; i++)                                                  \
            target[i] = dictionary[codes[i]];                                                 \
    }
MOVE_LOOPS(8, uint8_t)
MOVE_LOOPS(16, uint16_t)
MOVE_LOOPS(32, uint32_t)
MOVE_LOOPS(64, uint64_t)
MOVE_LOOPS(128, move_16)
#undef MOVE_LOOPS

static void pack_values(const void *source, const uint16_t *rows, uint32_t count,
                        size_t value_bytes, void *target)
{
    if (rows == NULL) {
        memcpy(target, source, count * value_bytes);
        return;
    }
    switch (value_bytes) {
    case 1:
        pack_8(source, rows, count, target);
        break;
    case 2:
        pack_16(source, rows, count, target);
        break;
    case 4:
        pack_32(source, rows, count, target);
        break;
    case 8:
        pack_64(source, rows, count, target);
        break;
    default:
        pack_128(source, rows, count, target);
        break;
    }
}

static void fill_values(const void *source, uint32_t count, size_t value_bytes, void *target)
{
    switch (value_bytes) {
    case 1:
        fill_8(source, count, target);
        break;
    case 2:
        fill_16(source, count, target);
        break;
    case 4:
        fill_32(source, count, target);
        break;
    case 8:
        fill_64(source, count, target);
        break;
    default:
        fill_128(source, count, target);
        break;
    }
}

static void look_up_values(const void *dictionary, const uint32_t *codes, uint32_t count,
                           size_t value_bytes, void *target)
{
    switch (value_bytes) {
    case 1:
        look_up_8(dictionary, codes, count, target);
        break;
    case 2:
        look_up_16(dictionary, codes, count, target);
        break;
    case 4:
        look_up_32(dictionary, codes, count, target);
        break;
    case 8:
        look_up_64(dictionary, codes, count, target);
        break;
    default:
        look_up_128(dictionary, codes, count, target);
        break;
    }
}

/* Codes or offsets of the rows, widened to 32 bits; `rows` NULL means start .. start+count-1. */
static void widen_codes(const void *codes, uint32_t width_bytes, const uint16_t *rows,
                        uint32_t start, uint32_t count, uint32_t *restrict out)
{
#define WIDEN(type)                               \
    do {                                          \
        const type *narrow = (const type *)codes; \
        if (rows == NULL)                         \
            for (uint32_t i = 0; i < count; i++)  \
                out[i] = narrow[start + i];       \
        else                                      \
            for (uint32_t i = 0; i < count; i++)  \
                out[i] = narrow[rows[i]];         \
    } while (0)
    switch (width_bytes) {
    case 1:
        WIDEN(uint8_t);
        break;
    case 2:
        WIDEN(uint16_t);
        break;
    default:
        WIDEN(uint32_t);
        break;
    }
#undef WIDEN
}

static void add_base(int64_t base, const uint32_t *restrict offsets, uint32_t count,
                     size_t value_bytes, void *target)
{
    if (value_bytes == 8) {
        uint64_t *restrict wide = target;
        for (uint32_t i = 0; i < count; i++)
            wide[i] = (uint64_t)base + offsets[i];
    } else if (value_bytes == 4) {
        uint32_t *restrict middle = target;
        for (uint32_t i = 0; i < count; i++)
            middle[i] = (uint32_t)base + offsets[i];
    } else {
        uint16_t *restrict narrow = target;
        for (uint32_t i = 0; i < count; i++)
            narrow[i] = (uint16_t)((uint32_t)base + offsets[i]);
    }
}

/* Copies `count` bits starting at bit 0 of `source` to bit `start` of `target`. */
static void bits_copy(const uint64_t *source, uint32_t count, uint64_t *target, uint32_t start)
{
    for (uint32_t i = 0; i < count; i += 64) {
        uint32_t piece = count - i < 64 ? count - i : 64;
        uint64_t mask = piece == 64 ? UINT64_MAX : ((uint64_t)1 << piece) - 1;
        uint64_t word = source[i >> 6] & mask;
        uint32_t at = start + i;
        uint32_t shift = at & 63;
        uint64_t *low = &target[at >> 6];
        *low = (*low & ~(mask << shift)) | word << shift;
        if (shift + piece > 64) {
            uint32_t spilled = 64 - shift;
            low[1] = (low[1] & ~(mask >> spilled)) | word >> spilled;
        }
    }
}

static void bits_fill(uint64_t *target, uint32_t start, uint32_t count, bool set)
{
    while (count > 0) {
        uint32_t shift = start & 63;
        uint32_t piece = 64 - shift < count ? 64 - shift : count;
        uint64_t mask = (piece == 64 ? UINT64_MAX : ((uint64_t)1 << piece) - 1) << shift;
        if (set)
            target[start >> 6] |= mask;
        else
            target[start >> 6] &= ~mask;
        start += piece;
        count -= piece;
    }
}

static void bit_put(uint64_t *bits, uint32_t index, bool set)
{
    uint64_t mask = (uint64_t)1 << (index & 63);
    uint64_t word = bits[index >> 6] & ~mask;
    bits[index >> 6] = word | (set ? mask : 0);
}

static void gather_validity(const kd_vector *source, const uint16_t *rows, uint32_t count,
                            const uint32_t *codes, kd_vector *target, uint32_t start)
{
    const uint64_t *validity = source->validity;
    if (source->form == KD_VECTOR_DICT)
        validity = source->dictionary->validity;
    if (validity == NULL) {
        bits_fill(target->validity, start, count, true);
    } else if (source->form == KD_VECTOR_CONSTANT) {
        bits_fill(target->validity, start, count, kd_bit_get(validity, 0));
    } else if (codes != NULL) {
        for (uint32_t i = 0; i < count; i++)
            bit_put(target->validity, start + i, kd_bit_get(validity, codes[i]));
    } else if (rows == NULL) {
        bits_copy(validity, count, target->validity, start);
    } else {
        for (uint32_t i = 0; i < count; i++)
            bit_put(target->validity, start + i, kd_bit_get(validity, rows[i]));
    }
}

enum { CODE_CHUNK = 1024 };

/* Values and validity of the rows into positions start ..; the codes pass through the stack. */
static void gather_rows(const kd_vector *source, const uint16_t *rows, uint32_t count,
                        kd_vector *target, uint32_t start)
{
    size_t value_bytes = kd_physical_bytes((kd_physical)source->physical);
    char *at = (char *)target->values + start * value_bytes;
    if (source->form == KD_VECTOR_FLAT || source->form == KD_VECTOR_CONSTANT) {
        if (source->form == KD_VECTOR_FLAT)
            pack_values(source->values, rows, count, value_bytes, at);
        else
            fill_values(source->values, count, value_bytes, at);
        gather_validity(source, rows, count, NULL, target, start);
        return;
    }
    uint32_t codes[CODE_CHUNK];
    for (uint32_t done = 0; done < count; done += CODE_CHUNK) {
        uint32_t piece = count - done < CODE_CHUNK ? count - done : CODE_CHUNK;
        const uint16_t *piece_rows = rows == NULL ? NULL : rows + done;
        widen_codes(source->values, source->width_bytes, piece_rows, done, piece, codes);
        if (source->form == KD_VECTOR_DICT) {
            look_up_values(source->dictionary->values, codes, piece, value_bytes,
                           at + done * value_bytes);
            gather_validity(source, piece_rows, piece, codes, target, start + done);
        } else {
            add_base(source->base, codes, piece, value_bytes, at + done * value_bytes);
        }
    }
    if (source->form == KD_VECTOR_FRAME)
        gather_validity(source, rows, count, NULL, target, start);
}

/* Moves values that were gathered to the front to their own rows, from the last to the first so
 * that nothing is overwritten before it moved: rows[i] >= i always. */
static void spread_rows(kd_vector *flat, const uint16_t *rows, uint32_t count)
{
    size_t value_bytes = kd_physical_bytes((kd_physical)flat->physical);
    char *values = flat->values;
    for (uint32_t i = count; i-- > 0;) {
        if (rows[i] == i)
            break; /* All before it are at home too. */
        memcpy(values + rows[i] * value_bytes, values + i * value_bytes, value_bytes);
        bit_put(flat->validity, rows[i], kd_bit_get(flat->validity, i));
    }
}

kd_status kd_vector_flatten(kd_ctx *ctx, kd_arena *arena, const kd_vector *vector,
                            const uint16_t *selection, uint32_t selected_count, uint32_t row_count,
                            kd_vector *out_flat)
{
    if (vector->form == KD_VECTOR_FLAT) {
        *out_flat = *vector;
        return KD_OK;
    }
    KD_TRY(kd_vector_init_flat(ctx, arena, vector->type, row_count, out_flat));
    /* Dead rows are never read: a producer may have decoded the living ones only. */
    if (selection == NULL || vector->form == KD_VECTOR_CONSTANT) {
        gather_rows(vector, NULL, row_count, out_flat, 0);
    } else {
        gather_rows(vector, selection, selected_count, out_flat, 0);
        spread_rows(out_flat, selection, selected_count);
    }
    return KD_OK;
}

static kd_status copy_far_strings(kd_ctx *ctx, kd_arena *arena, kd_vector *target, uint32_t start,
                                  uint32_t count)
{
    kd_str *strings = target->values;
    size_t total_bytes = 0;
    for (uint32_t i = start; i < start + count; i++)
        if (strings[i].size_bytes > KD_STR_INLINE_BYTES && kd_bit_get(target->validity, i))
            total_bytes += strings[i].size_bytes;
    if (total_bytes == 0)
        return KD_OK;
    char *at = kd_alloc_raw(ctx, arena, total_bytes);
    if (at == NULL)
        return KD_NOMEM;
    for (uint32_t i = start; i < start + count; i++) {
        uint32_t size_bytes = strings[i].size_bytes;
        if (size_bytes <= KD_STR_INLINE_BYTES || !kd_bit_get(target->validity, i))
            continue;
        memcpy(at, kd_str_data(&strings[i]), size_bytes);
        strings[i] = kd_str_from(at, size_bytes);
        at += size_bytes;
    }
    return KD_OK;
}

kd_status kd_vector_gather(kd_ctx *ctx, kd_arena *arena, const kd_vector *source,
                           const uint16_t *selection, uint32_t selected_count, kd_vector *target,
                           uint32_t start)
{
    assert(target->form == KD_VECTOR_FLAT);
    assert(target->physical == source->physical);
    assert(target->validity != NULL);
    gather_rows(source, selection, selected_count, target, start);
    if (source->physical == KD_PHYS_STR && arena != NULL)
        return copy_far_strings(ctx, arena, target, start, selected_count);
    return KD_OK;
}
