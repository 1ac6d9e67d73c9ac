/*
 * One stored block of one column: its bytes, how they are chosen, checked and read.
 *
 *   offset  size  field
 *        0     4  checksum    CRC-32C of the identity (below) and of bytes 4 .. size_bytes
 *        4     4  size_bytes  of the whole block, a multiple of 8
 *        8     1  encoding    kdi_encoding
 *        9     1  flags       KDI_BLOCK_HAS_NULLS
 *       10     2  reserved    0
 *       12     4  row_count   1 .. 16,384 (a shared dictionary: its entries, up to 65,536)
 *       16        validity    with HAS_NULLS: one bit per row, set = not NULL, padded to 8 bytes
 *     then        payload     by encoding
 *
 * Identity, never stored: database id (8), unit (8), generation (8), column (4), block (4).
 *
 * Payloads; "packed" is bitpack.h's layout, one piece of 1,024 values per vector:
 *
 *   CONSTANT   is_null u32, size_bytes u32, then the payload of the value (strings: the bytes)
 *   RAW        the physical values, one after the other
 *   FRAME      integers: see kdi_frame_head. value = base + slope * i + factor * offset, where
 *              base and slope are the vector's and i the row in it; exceptions replace offsets
 *   RLE        integers: see kdi_run_head. O(log runs) for one value
 *   DICT       codes of the column's shared dictionary: width u32, reserved u32, packed codes
 *   LOCAL      codes of a dictionary of its own: see kdi_local_head
 *   STRINGS    end offsets u32 (row_count of them, padded to 8 bytes), then the bytes
 *   TEXT       strings with packed end offsets: a FRAME payload of row_count ends, then the bytes
 *   WIDE       128-bit integers: base (16), width u32, reserved u32, packed offsets
 *   DECIMAL    doubles that are decimals: see kdi_decimal_head (after ALP, Afroozeh, SIGMOD 2023)
 *
 * A dictionary is sorted, NULL last when there is one; a NULL row has NULL's code, and a block of
 * codes has no validity bits. Everything is checked when a block enters the cache
 * (kdi_block_check), so that reading it needs no further checks.
 */
#ifndef KD_STORE_BLOCK_INTERNAL_H
#define KD_STORE_BLOCK_INTERNAL_H

#include "base/bytes.h"
#include "store/bitpack.h"
#include "store/segment.h"
#include "types/vector.h"

typedef enum kdi_encoding {
    KDI_CONSTANT = 1,
    KDI_RAW = 2,
    KDI_FRAME = 3,
    KDI_RLE = 4,
    KDI_DICT = 5,
    KDI_LOCAL = 6,
    KDI_STRINGS = 7,
    KDI_WIDE = 8,
    KDI_DECIMAL = 9,
    KDI_TEXT = 10,
    KDI_ENCODING_COUNT
} kdi_encoding;

enum {
    KDI_BLOCK_HEADER_BYTES = 16,
    KDI_BLOCK_HAS_NULLS = 1,
    KDI_BLOCK_VECTORS = KD_BLOCK_ROWS / KD_VECTOR_ROWS,
    KDI_DICTIONARY_ENTRIES_MAX = 65536,
    KDI_DICTIONARY_BLOCK = UINT16_MAX, /* Block number of a column's shared dictionary. */
};

typedef struct kdi_block_header {
    uint32_t checksum;
    uint32_t size_bytes;
    uint8_t encoding;
    uint8_t flags;
    uint16_t reserved;
    uint32_t row_count;
} kdi_block_header;
_Static_assert(sizeof(kdi_block_header) == KDI_BLOCK_HEADER_BYTES, "on-disk layout");

typedef struct kdi_block_identity {
    uint64_t database_id;
    uint64_t unit;
    uint64_t generation; /* Drawn at random by the writer of the file. */
    uint32_t column;
    uint32_t block;
} kdi_block_identity;
_Static_assert(sizeof(kdi_block_identity) == 32, "no padding: it is hashed as bytes");

/* FRAME: this head, vector_count entries, then per vector its packed offsets (128 * width bytes),
 * its exceptions (exception_bytes each, padded to 8) and their rows in it (u16, padded to 8). */
typedef struct kdi_frame_head {
    int64_t factor; /* 1 or more. */
    uint32_t vector_count;
    uint32_t exception_bytes; /* 2, 4 or 8 */
} kdi_frame_head;
typedef struct kdi_frame_entry {
    int64_t base;
    int64_t slope;
    uint32_t data_at; /* From the start of the head. */
    uint8_t width;
    uint8_t reserved;
    uint16_t exception_count;
} kdi_frame_entry;
_Static_assert(sizeof(kdi_frame_head) == 16, "on-disk layout");
_Static_assert(sizeof(kdi_frame_entry) == 24, "on-disk layout");

/* RLE: this head, run_count offsets of offset_bytes (padded to 8), run_count first rows (u16,
 * ascending from 0, padded to 8). The value of a run = base + factor * offset. */
typedef struct kdi_run_head {
    int64_t base;
    int64_t factor;
    uint32_t run_count;
    uint32_t offset_bytes; /* 1, 2, 4 or 8 */
} kdi_run_head;
_Static_assert(sizeof(kdi_run_head) == 24, "on-disk layout");

/* LOCAL: this head, packed codes per vector, then entry_count - has_null values: i64 each, or u32
 * end offsets (padded to 8) and bytes. */
typedef struct kdi_local_head {
    uint32_t entry_count; /* NULL included. */
    uint32_t has_null;
    uint32_t width;
    uint32_t value_bytes; /* Of all the values together. */
} kdi_local_head;
_Static_assert(sizeof(kdi_local_head) == 16, "on-disk layout");

/* DECIMAL: this head, exception_count doubles, their rows in the block (u16, padded to 8), then a
 * FRAME payload of integers; value = integer / 10^exponent. */
typedef struct kdi_decimal_head {
    uint32_t exponent; /* 0 .. 18 */
    uint32_t exception_count;
} kdi_decimal_head;
_Static_assert(sizeof(kdi_decimal_head) == 8, "on-disk layout");

static inline size_t kdi_pad8(size_t size_bytes)
{
    return (size_bytes + 7) & ~(size_t)7;
}

static inline uint32_t kdi_vector_count(uint32_t row_count)
{
    return (row_count + KD_VECTOR_ROWS - 1) / KD_VECTOR_ROWS;
}

/* What a column's blocks are read with. */
typedef struct kdi_column_layout {
    kd_type type;
    kd_physical physical;
    uint32_t dictionary_entries; /* Of the shared dictionary, NULL included; 0 when none. */
} kdi_column_layout;

/* A block whose bytes were checked, taken apart. */
typedef struct kdi_block_view {
    kdi_encoding encoding;
    uint32_t row_count;
    const uint64_t *validity; /* NULL: no row is NULL. */
    const uint8_t *payload;
    size_t payload_bytes;
} kdi_block_view;

uint32_t kdi_block_checksum(const kdi_block_identity *identity, const void *block,
                            size_t size_bytes);
/* Bytes that passed kdi_block_check. */
kdi_block_view kdi_block_view_of(const void *block);
/* NULL when every structure holds, else what does not: "run starts do not ascend". Any bytes are
 * allowed; the checksum is not looked at. `block` is 8-byte aligned. */
const char *kdi_block_check(const void *block, size_t size_bytes, uint32_t row_count,
                            const kdi_column_layout *layout);

/* --- Integers (int_block.c, int_decode.c): BOOL, I16, I32, I64 as int64_t --- */

typedef struct kdi_int_profile {
    int64_t min, max;   /* Of the rows that are not NULL. */
    uint32_t run_count; /* Of equal neighbours; NULL rows repeat their neighbour. */
    uint64_t factor;    /* Divides every value - min; 1 or more. */
} kdi_int_profile;

/* Appends the payload of the cheapest encoding of FRAME, RLE (and RAW, for I16 .. I64); `force` is
 * one of them, or 0. */
kd_status kdi_ints_encode(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                          kd_physical physical, const kdi_int_profile *profile, kdi_encoding force,
                          kd_buffer *out, kdi_encoding *out_encoding) KD_MUST_CHECK;
void kdi_ints_profile(const int64_t *values, uint32_t row_count, kdi_int_profile *out_profile);
/* Exact bytes of the cheapest payload. */
size_t kdi_ints_cost(const int64_t *values, uint32_t row_count, kd_physical physical,
                     const kdi_int_profile *profile, kdi_encoding *out_encoding);
kd_status kdi_frame_append(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                           const kdi_int_profile *profile, kd_buffer *out) KD_MUST_CHECK;

const char *kdi_frame_check(const uint8_t *payload, size_t payload_bytes, uint32_t row_count,
                            size_t *out_used_bytes);
const char *kdi_runs_check(const uint8_t *payload, size_t payload_bytes, uint32_t row_count);
/* Where a checked frame ends. */
size_t kdi_frame_bytes(const uint8_t *payload);
int64_t kdi_frame_get(const uint8_t *payload, uint32_t row);

/* An RLE payload, taken apart. */
typedef struct kdi_runs {
    kdi_run_head head;
    const uint8_t *offsets;
    const uint8_t *starts; /* u16 each */
} kdi_runs;

static inline kdi_runs kdi_runs_of(const uint8_t *payload)
{
    kdi_runs runs;
    memcpy(&runs.head, payload, sizeof runs.head);
    runs.offsets = payload + sizeof runs.head;
    runs.starts = runs.offsets + kdi_pad8((size_t)runs.head.run_count * runs.head.offset_bytes);
    return runs;
}

static inline uint64_t kdi_load_integer(const uint8_t *source, uint32_t size_bytes)
{
    switch (size_bytes) {
    case 1:
        return *source;
    case 2:
        return kd_load_u16(source);
    case 4:
        return kd_load_u32(source);
    default:
        return kd_load_u64(source);
    }
}

static inline int64_t kdi_run_value(const kdi_runs *runs, uint32_t run)
{
    uint32_t size_bytes = runs->head.offset_bytes;
    uint64_t offset = kdi_load_integer(runs->offsets + (size_t)run * size_bytes, size_bytes);
    return (int64_t)((uint64_t)runs->head.base + (uint64_t)runs->head.factor * offset);
}

int64_t kdi_runs_get(const uint8_t *payload, uint32_t row);
uint32_t kdi_runs_find(const kdi_runs *runs, uint32_t row); /* Index of the row's run. */
/* The same where the run `low` begins at the row or before, and `high` after it or is the end. */
uint32_t kdi_runs_find_between(const kdi_runs *runs, uint32_t low, uint32_t high, uint32_t row);

/* One vector of a frame, taken apart. */
typedef struct kdi_frame_part {
    int64_t base, slope, factor;
    const uint8_t *packed;
    unsigned width;
    uint64_t max_offset; /* An upper bound, exceptions included. */
    uint32_t exception_count;
    uint32_t exception_bytes;
    const uint8_t *exceptions;
    const uint8_t *exception_rows; /* u16 each */
} kdi_frame_part;
kdi_frame_part kdi_frame_part_of(const uint8_t *payload, uint32_t vector);
uint64_t kdi_frame_exception(const kdi_frame_part *part, uint32_t index);
/* A whole vector as int64_t: room for 1,024. */
void kdi_frame_expand(const uint8_t *payload, uint32_t vector, int64_t *out);

/* --- Reading (block_decode.c) --- */

/* Room of one reader slot, allocated as needed. */
typedef struct kdi_decode_room {
    kd_arena *arena;
    void *values;         /* KD_BATCH_ROWS * 16 bytes */
    int64_t *wide;        /* KD_BATCH_ROWS * 8 bytes */
    uint8_t *scratch;     /* KD_VECTOR_ROWS * 8 bytes */
    kd_vector dictionary; /* LOCAL and RLE: what out_vector->dictionary points at. */
    void *dictionary_values;
    size_t dictionary_capacity;
    uint64_t dictionary_of; /* The LOCAL block that `dictionary` was made from; 0: none. */
    uint64_t constant[2];
    uint64_t constant_validity[1];
    uint64_t *null_bits;
} kdi_decode_room;

typedef struct kdi_decode_input {
    kdi_block_view view;
    kd_type type;
    kd_physical physical;
    const kd_vector *shared; /* The column's dictionary; NULL when it has none. */
    uint32_t shared_count;
    uint64_t shared_id;
    uint64_t local_id;     /* Not 0: the id a LOCAL dictionary gets. */
    bool codes_are_values; /* Equal values have equal codes: DICT may be given out. */
} kdi_decode_input;

/* Rows first_row .. + row_count of the block; first_row is a multiple of KD_VECTOR_ROWS. */
kd_status kdi_block_decode(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                           uint32_t row_count, kdi_decode_room *room,
                           kd_vector *out_vector) KD_MUST_CHECK;
/* The same where only some rows are asked for: `rows`, ascending, counted from first_row. The
 * others are whatever value the form allows. */
kd_status kdi_block_decode_rows(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                                uint32_t row_count, const uint16_t *rows, uint32_t count,
                                kdi_decode_room *room, kd_vector *out_vector) KD_MUST_CHECK;
/* One value; strings point into the block or the shared dictionary. */
void kdi_block_get(const kdi_decode_input *input, uint32_t row, kd_value *out_value);

/* Whether the type's blocks may be dictionary encoded, and whether equal values then have equal
 * codes in the order of the values. */
bool kdi_type_takes_dictionary(kd_type type);
bool kdi_type_codes_are_values(kd_type type);

/* Vectors' pointers are not const, though nobody writes through them. */
static inline void *kdi_unconst(const void *pointer)
{
    void *result;
    memcpy(&result, &pointer, sizeof result);
    return result;
}

#endif
