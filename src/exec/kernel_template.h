/*
 * Template of the kernels: included once per instruction set by a file that defines
 * KDI_KERNEL_SET and is compiled for that set. The loops are plain, so that the compiler turns
 * them into whole registers.
 */
#include "exec/kernel_internal.h"

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

#define WIDEN(name, type)                                                                 \
    static void name(int64_t *restrict target, const void *restrict values, int64_t base, \
                     uint32_t count)                                                      \
    {                                                                                     \
        const type *from = values;                                                        \
        for (uint32_t i = 0; i < count; i++)                                              \
            target[i] = (int64_t)((uint64_t)base + (uint64_t)(int64_t)from[i]);           \
    }
WIDEN(widen_u8, uint8_t)
WIDEN(widen_u16, uint16_t)
WIDEN(widen_u32, uint32_t)
WIDEN(widen_i16, int16_t)
WIDEN(widen_i32, int32_t)
#undef WIDEN

#define BINARY(name, operator)                                                            \
    static void name(int64_t *target, const int64_t *a, const int64_t *b, uint32_t count) \
    {                                                                                     \
        for (uint32_t i = 0; i < count; i++)                                              \
            target[i] = (int64_t)((uint64_t)a[i] operator(uint64_t) b[i]);                \
    }
BINARY(add, +)
BINARY(subtract, -)
BINARY(multiply, *)
#undef BINARY

static void multiply_add(int64_t *target, const int64_t *a, int64_t factor, int64_t addend,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        target[i] = (int64_t)((uint64_t)a[i] * (uint64_t)factor + (uint64_t)addend);
}

static void bounds(const int64_t *values, uint32_t count, int64_t *out_low, int64_t *out_high)
{
    int64_t low = values[0], high = values[0];
    for (uint32_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *out_low = low;
    *out_high = high;
}

static int64_t sum(const int64_t *values, uint32_t count)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += (uint64_t)values[i];
    return (int64_t)total;
}

#if defined(__AVX512BW__) && defined(__AVX512VL__)

static int64_t sum_masked(const int64_t *values, const uint64_t *mask, uint32_t count)
{
    __m512i even = _mm512_setzero_si512(), odd = even;
    const __mmask8 *parts = (const __mmask8 *)mask;
    for (uint32_t row = 0; row < count; row += 16) {
        const int64_t *from = values + row;
        even = _mm512_add_epi64(even, _mm512_maskz_loadu_epi64(parts[row / 8], from));
        odd = _mm512_add_epi64(odd, _mm512_maskz_loadu_epi64(parts[row / 8 + 1], from + 8));
    }
    return _mm512_reduce_add_epi64(_mm512_add_epi64(even, odd));
}

static void mask_equal(const uint8_t *codes, uint8_t code, uint32_t count, uint64_t *out_mask)
{
    const __m512i wanted = _mm512_set1_epi8((char)code);
    for (uint32_t row = 0; row < count; row += 64)
        out_mask[row / 64] = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(codes + row), wanted);
}

#endif

#define LARGEST(name, type)                                  \
    static uint32_t name(const void *values, uint32_t count) \
    {                                                        \
        const type *from = values;                           \
        type most = 0;                                       \
        for (uint32_t i = 0; i < count; i++)                 \
            most = from[i] > most ? from[i] : most;          \
        return most;                                         \
    }
LARGEST(largest_u8, uint8_t)
LARGEST(largest_u16, uint16_t)
LARGEST(largest_u32, uint32_t)
#undef LARGEST

#define CODES(name, type)                                                                     \
    static void name(uint32_t *restrict target, const void *restrict values, uint32_t factor, \
                     uint32_t addend, uint32_t count)                                         \
    {                                                                                         \
        const type *from = values;                                                            \
        for (uint32_t i = 0; i < count; i++)                                                  \
            target[i] += from[i] * factor + addend;                                           \
    }
CODES(codes_u8, uint8_t)
CODES(codes_u16, uint16_t)
CODES(codes_u32, uint32_t)
#undef CODES

/* ---- Selecting ---- */

/* Writes every row number and advances only past those that match: nothing to mispredict. */
#define SELECT_REST(type)                                                      \
    for (; row < count; row++) {                                               \
        type distance = (type)(((const type *)values)[row] - (type)range.low); \
        out_rows[kept] = (uint16_t)row;                                        \
        kept += (distance <= (type)range.span) ^ range.outside;                \
    }

#define LESS_REST                                                    \
    for (; row < count; row++) {                                     \
        out_rows[kept] = (uint16_t)row;                              \
        kept += (a[row] < b[row]) | (or_equal & (a[row] == b[row])); \
    }

#define MEMBERS_REST(type)                                                   \
    for (; row < count; row++) {                                             \
        bool inside = (uint32_t)((uint32_t)from[row] - set.low) <= set.span; \
        uint32_t at = inside ? (uint32_t)from[row] + set.add : 0;            \
        out_rows[kept] = (uint16_t)row;                                      \
        kept += inside & (uint32_t)(set.words[at / 64] >> (at % 64) & 1);    \
    }

#if defined(__AVX512BW__) && defined(__AVX512VL__)

/* Sixteen rows from `row` on, of which `mask` says which to take. What is written beyond those
 * taken lies within the rows looked at. */
static inline uint32_t rows_take(uint32_t mask, uint32_t row, uint16_t *out_rows)
{
    const __m512i steps = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i rows = _mm512_add_epi32(_mm512_set1_epi32((int)row), steps);
    __m512i taken = _mm512_maskz_compress_epi32((__mmask16)mask, rows);
    _mm256_storeu_si256((__m256i *)(void *)out_rows, _mm512_cvtepi32_epi16(taken));
    return (uint32_t)__builtin_popcount(mask & 0xffff);
}

#define SELECT(name, type, bits, lanes)                                                            \
    static uint32_t name(const void *values, kdi_kernel_range range, uint32_t count,               \
                         uint16_t *out_rows)                                                       \
    {                                                                                              \
        const __m512i low = _mm512_set1_epi##bits((int##bits##_t)range.low);                       \
        const __m512i span = _mm512_set1_epi##bits((int##bits##_t)range.span);                     \
        uint64_t flip = range.outside ? UINT64_MAX : 0;                                            \
        uint32_t kept = 0, row = 0;                                                                \
        for (; row + lanes <= count; row += lanes) {                                               \
            const type *from = (const type *)values + row;                                         \
            __m512i distance = _mm512_sub_epi##bits(_mm512_loadu_si512(from), low);                \
            uint64_t mask = (uint64_t)_mm512_cmple_epu##bits##_mask(distance, span) ^ flip;        \
            for (uint32_t part = 0; part < lanes; part += 16)                                      \
                kept += rows_take((uint32_t)(mask >> part) & 0xffff, row + part, out_rows + kept); \
        }                                                                                          \
        SELECT_REST(type)                                                                          \
        return kept;                                                                               \
    }
SELECT(select_8, uint8_t, 8, 64)
SELECT(select_16, uint16_t, 16, 32)
SELECT(select_32, uint32_t, 32, 16)
#undef SELECT

/*
 * Sixteen bits of two times eight. Not by widening and shifting: GCC 12 keeps a mask of eight bits
 * in one byte of the stack where a call comes between, as sanitizers put them, and reads four.
 */
static inline uint32_t mask_join(__mmask8 first, __mmask8 second)
{
    return (uint32_t)_mm512_kunpackb(second, first);
}

static uint32_t select_64(const void *values, kdi_kernel_range range, uint32_t count,
                          uint16_t *out_rows)
{
    const __m512i low = _mm512_set1_epi64((int64_t)range.low);
    const __m512i span = _mm512_set1_epi64((int64_t)range.span);
    uint32_t flip = range.outside ? 0xffff : 0;
    uint32_t kept = 0, row = 0;
    for (; row + 16 <= count; row += 16) {
        const uint64_t *from = (const uint64_t *)values + row;
        __m512i first = _mm512_sub_epi64(_mm512_loadu_si512(from), low);
        __m512i second = _mm512_sub_epi64(_mm512_loadu_si512(from + 8), low);
        uint32_t mask =
            mask_join(_mm512_cmple_epu64_mask(first, span), _mm512_cmple_epu64_mask(second, span));
        kept += rows_take(mask ^ flip, row, out_rows + kept);
    }
    SELECT_REST(uint64_t)
    return kept;
}

static uint32_t less(const int64_t *a, const int64_t *b, bool or_equal, uint32_t count,
                     uint16_t *out_rows)
{
    uint32_t flip = or_equal ? 0xffff : 0; /* a <= b is not b < a. */
    const int64_t *low = or_equal ? b : a, *high = or_equal ? a : b;
    uint32_t kept = 0, row = 0;
    for (; row + 16 <= count; row += 16) {
        uint32_t mask = mask_join(
            _mm512_cmplt_epi64_mask(_mm512_loadu_si512(low + row), _mm512_loadu_si512(high + row)),
            _mm512_cmplt_epi64_mask(_mm512_loadu_si512(low + row + 8),
                                    _mm512_loadu_si512(high + row + 8)));
        kept += rows_take(mask ^ flip, row, out_rows + kept);
    }
    LESS_REST
    return kept;
}

/* Which of sixteen offsets are in the set. */
static inline __mmask16 members_of(__m512i offsets, const kdi_kernel_bits *set)
{
    __m512i distance = _mm512_sub_epi32(offsets, _mm512_set1_epi32((int)set->low));
    __mmask16 inside = _mm512_cmple_epu32_mask(distance, _mm512_set1_epi32((int)set->span));
    __m512i at = _mm512_add_epi32(offsets, _mm512_set1_epi32((int)set->add));
    __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), inside,
                                                _mm512_srli_epi32(at, 5), set->words, 4);
    __m512i bits =
        _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(at, _mm512_set1_epi32(31)));
    return _mm512_test_epi32_mask(words, bits);
}

#define MEMBERS(name, type, load)                                                  \
    static uint32_t name(const void *offsets, kdi_kernel_bits set, uint32_t count, \
                         uint16_t *out_rows)                                       \
    {                                                                              \
        const type *from = offsets;                                                \
        uint32_t kept = 0, row = 0;                                                \
        for (; row + 16 <= count; row += 16)                                       \
            kept += rows_take(members_of(load, &set), row, out_rows + kept);       \
        MEMBERS_REST(type)                                                         \
        return kept;                                                               \
    }
MEMBERS(members_u8, uint8_t,
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(from + row))))
MEMBERS(members_u16, uint16_t,
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(from + row))))
MEMBERS(members_u32, uint32_t, _mm512_loadu_si512(from + row))
#undef MEMBERS

#else

#define SELECT(name, type)                                                           \
    static uint32_t name(const void *values, kdi_kernel_range range, uint32_t count, \
                         uint16_t *out_rows)                                         \
    {                                                                                \
        uint32_t kept = 0, row = 0;                                                  \
        SELECT_REST(type)                                                            \
        return kept;                                                                 \
    }
SELECT(select_8, uint8_t)
SELECT(select_16, uint16_t)
SELECT(select_32, uint32_t)
SELECT(select_64, uint64_t)
#undef SELECT

static uint32_t less(const int64_t *a, const int64_t *b, bool or_equal, uint32_t count,
                     uint16_t *out_rows)
{
    uint32_t kept = 0, row = 0;
    LESS_REST
    return kept;
}

#define MEMBERS(name, type)                                                        \
    static uint32_t name(const void *offsets, kdi_kernel_bits set, uint32_t count, \
                         uint16_t *out_rows)                                       \
    {                                                                              \
        const type *from = offsets;                                                \
        uint32_t kept = 0, row = 0;                                                \
        MEMBERS_REST(type)                                                         \
        return kept;                                                               \
    }
MEMBERS(members_u8, uint8_t)
MEMBERS(members_u16, uint16_t)
MEMBERS(members_u32, uint32_t)
#undef MEMBERS

#endif
#undef SELECT_REST
#undef MEMBERS_REST
#undef LESS_REST

const kdi_kernel_set KDI_KERNEL_SET = {
    .widen_u8 = widen_u8,
    .widen_u16 = widen_u16,
    .widen_u32 = widen_u32,
    .widen_i16 = widen_i16,
    .widen_i32 = widen_i32,
    .add = add,
    .subtract = subtract,
    .multiply = multiply,
    .multiply_add = multiply_add,
    .bounds = bounds,
    .sum = sum,
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    .sum_masked = sum_masked,
    .mask_equal = mask_equal,
#endif
    .largest_u8 = largest_u8,
    .largest_u16 = largest_u16,
    .largest_u32 = largest_u32,
    .codes_u8 = codes_u8,
    .codes_u16 = codes_u16,
    .codes_u32 = codes_u32,
    .select_8 = select_8,
    .select_16 = select_16,
    .select_32 = select_32,
    .select_64 = select_64,
    .less = less,
    .members_u8 = members_u8,
    .members_u16 = members_u16,
    .members_u32 = members_u32,
};
