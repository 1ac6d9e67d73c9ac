/*
 * Finding the ends of fields, 64 bytes at a time.
 *
 * A block's delimiters, LFs and quotes become bit masks. A prefix XOR over the quotes gives the
 * bytes that are inside quotes (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019),
 * and what is left of the other two masks are positions. Chunks begin outside quotes always.
 *
 * The text format, and an escape that is not the quote, go byte by byte: there an escape decides
 * what the next byte is.
 */
#include "lake/csv_internal.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { BLOCK_BYTES = 64 };

typedef struct block_masks {
    uint64_t delimiter;
    uint64_t line_end;
    uint64_t quote;
    uint64_t carriage_return;
    uint64_t special;
} block_masks;

typedef block_masks (*block_fn)(const char *block, char delimiter, char quote);

static inline uint64_t prefix_xor(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

/* Always inlined into a function of one instruction set, where `masks_of` is a constant. */
static inline __attribute__((always_inline)) void scan_blocks(const kdi_csv_dialect *dialect,
                                                              const char *data, size_t size_bytes,
                                                              uint32_t *positions,
                                                              kdi_csv_scan *scan, block_fn masks_of)
{
    uint64_t any_quote = 0, any_return = 0, any_special = 0;
    uint64_t inside_carry = 0; /* All ones while a quote is open. */
    uint32_t *next = positions;
    for (size_t at = 0; at < size_bytes; at += BLOCK_BYTES) {
        char tail[BLOCK_BYTES];
        const char *block = data + at;
        if (size_bytes - at < BLOCK_BYTES) {
            memset(tail, ' ', sizeof tail);
            memcpy(tail, block, size_bytes - at);
            block = tail;
        }
        block_masks masks = masks_of(block, dialect->delimiter, dialect->quote);
        any_return |= masks.carriage_return;
        any_special |= masks.special;
        any_quote |= masks.quote;
        uint64_t inside = inside_carry;
        if (masks.quote != 0) {
            inside ^= prefix_xor(masks.quote);
            inside_carry = (uint64_t)((int64_t)inside >> 63);
        }
        uint64_t ends = masks.line_end & ~inside;
        uint64_t bits = ends | (masks.delimiter & ~inside);
        while (bits != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(bits);
            *next++ = (uint32_t)(at + bit) | (uint32_t)((ends >> bit & 1) << 31);
            bits &= bits - 1;
        }
    }
    scan->count = (size_t)(next - positions);
    scan->has_quote = any_quote != 0;
    scan->has_return = any_return != 0;
    scan->has_special = any_special != 0;
}

#ifdef __x86_64__

static inline uint64_t equal_sse2(const __m128i parts[4], char wanted)
{
    __m128i all = _mm_set1_epi8(wanted);
    uint64_t mask = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(parts[i], all));
        mask |= (uint64_t)bits << (16 * i);
    }
    return mask;
}

static block_masks masks_sse2(const char *block, char delimiter, char quote)
{
    __m128i parts[4];
    uint64_t high = 0;
    for (unsigned i = 0; i < 4; i++) {
        memcpy(&parts[i], block + 16 * i, 16);
        high |= (uint64_t)(unsigned)_mm_movemask_epi8(parts[i]) << (16 * i);
    }
    return (block_masks){
        .delimiter = equal_sse2(parts, delimiter),
        .line_end = equal_sse2(parts, '\n'),
        .quote = equal_sse2(parts, quote),
        .carriage_return = equal_sse2(parts, '\r'),
        .special = high | equal_sse2(parts, '\0'),
    };
}

static void scan_sse2(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                      uint32_t *positions, kdi_csv_scan *scan)
{
    scan_blocks(dialect, data, size_bytes, positions, scan, masks_sse2);
}

#define AVX2 __attribute__((target("avx2,bmi")))

AVX2 static inline uint64_t equal_avx2(__m256i low, __m256i high, char wanted)
{
    __m256i all = _mm256_set1_epi8(wanted);
    uint32_t low_bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all));
    uint32_t high_bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all));
    return low_bits | (uint64_t)high_bits << 32;
}

AVX2 static block_masks masks_avx2(const char *block, char delimiter, char quote)
{
    __m256i low, high;
    memcpy(&low, block, 32);
    memcpy(&high, block + 32, 32);
    uint64_t not_ascii =
        (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
    return (block_masks){
        .delimiter = equal_avx2(low, high, delimiter),
        .line_end = equal_avx2(low, high, '\n'),
        .quote = equal_avx2(low, high, quote),
        .carriage_return = equal_avx2(low, high, '\r'),
        .special = not_ascii | equal_avx2(low, high, '\0'),
    };
}

AVX2 static void scan_avx2(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                           uint32_t *positions, kdi_csv_scan *scan)
{
    scan_blocks(dialect, data, size_bytes, positions, scan, masks_avx2);
}

static void scan_plain(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                       uint32_t *positions, kdi_csv_scan *scan)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        scan_avx2(dialect, data, size_bytes, positions, scan);
    else
        scan_sse2(dialect, data, size_bytes, positions, scan);
}

#else

static uint64_t equal_bytes(const char *block, char wanted)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        mask |= (uint64_t)(block[i] == wanted) << i;
    return mask;
}

static block_masks masks_bytes(const char *block, char delimiter, char quote)
{
    uint64_t high = 0;
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        high |= (uint64_t)((unsigned char)block[i] >> 7) << i;
    return (block_masks){
        .delimiter = equal_bytes(block, delimiter),
        .line_end = equal_bytes(block, '\n'),
        .quote = equal_bytes(block, quote),
        .carriage_return = equal_bytes(block, '\r'),
        .special = high | equal_bytes(block, '\0'),
    };
}

static void scan_plain(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                       uint32_t *positions, kdi_csv_scan *scan)
{
    scan_blocks(dialect, data, size_bytes, positions, scan, masks_bytes);
}

#endif

static void scan_escaped(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                         uint32_t *positions, kdi_csv_scan *scan)
{
    size_t count = 0;
    bool inside = false;
    *scan = (kdi_csv_scan){0};
    for (size_t i = 0; i < size_bytes; i++) {
        char byte = data[i];
        scan->has_special |= byte <= 0;
        scan->has_return |= byte == '\r';
        if (byte == dialect->escape && (inside || dialect->quote == 0)) {
            scan->has_quote = true;
            i++;
        } else if (byte == dialect->quote && dialect->quote != 0) {
            scan->has_quote = true;
            inside = !inside;
        } else if (!inside && byte == '\n') {
            positions[count++] = (uint32_t)i | KDI_CSV_RECORD_END;
        } else if (!inside && byte == dialect->delimiter) {
            positions[count++] = (uint32_t)i;
        }
    }
    /* Escaped bytes were stepped over: look at them too. */
    if (scan->has_quote)
        for (size_t i = 0; i < size_bytes && !scan->has_special; i++)
            scan->has_special = data[i] <= 0;
    scan->count = count;
}

void kdi_csv_scan_run(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                      uint32_t *positions, kdi_csv_scan *out_scan)
{
    if (dialect->escape != dialect->quote)
        scan_escaped(dialect, data, size_bytes, positions, out_scan);
    else
        scan_plain(dialect, data, size_bytes, positions, out_scan);
}
