/*
 * One value with its type: constants, parameters, keys, statistics, rows of the
 * short path. Not for data in bulk, which lives in vectors (vector.h).
 *
 * The comparison, hash, text and key functions here are the only definition of
 * equality and order of each type; kernels agree with them, and tests check it.
 */
#ifndef KD_TYPES_VALUE_H
#define KD_TYPES_VALUE_H

#include "types/str.h"
#include "types/type.h"

/* Field order as compared: never normalised into each other; see interval.h for equality. */
typedef struct kd_interval {
    int64_t micros;
    int32_t days;
    int32_t months;
} kd_interval;
_Static_assert(sizeof(kd_interval) == 16, "stored as it is");

typedef struct kd_value {
    kd_type type;
    bool is_null;
    union {
        bool boolean;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        kd_i128 i128;
        float f32;
        double f64;
        kd_str str;
        kd_interval interval;
    } as;
} kd_value;

static inline kd_value kd_value_null(kd_type type)
{
    return (kd_value){.type = type, .is_null = true};
}

kd_value kd_value_bool(bool value);
kd_value kd_value_i32(int32_t value);
kd_value kd_value_i64(int64_t value);
kd_value kd_value_f64(double value);
int64_t kd_value_ordinal(const kd_value *value); /* Of a type with kd_type_is_ordinal. */
kd_value kd_value_text(kd_slice text);           /* Points at the bytes; does not copy. */

/* Where a value's physical bytes stand inside it: kd_physical_bytes() of them. */
static inline void *kd_value_payload(kd_value *value)
{
    return &value->as;
}

/* Copies what the value points at into `arena`. */
kd_status kd_value_copy(kd_ctx *ctx, kd_arena *arena, const kd_value *value,
                        kd_value *out_copy) KD_MUST_CHECK;

/*
 * How text becomes values and back: what depends on the session.
 */
struct kd_record_shape;

typedef enum kd_date_style {
    KD_DATE_STYLE_ISO = 0,
    KD_DATE_STYLE_SQL,
    KD_DATE_STYLE_POSTGRES,
    KD_DATE_STYLE_GERMAN,
} kd_date_style;

typedef enum kd_interval_style {
    KD_INTERVAL_STYLE_POSTGRES = 0,
    KD_INTERVAL_STYLE_VERBOSE,
    KD_INTERVAL_STYLE_SQL,
    KD_INTERVAL_STYLE_ISO,
} kd_interval_style;

typedef struct kd_text_settings {
    const struct kd_zone *zone; /* TimeZone; NULL is UTC. */
    uint8_t date_order;         /* 0 MDY (default), 1 DMY, 2 YMD: for ambiguous input. */
    uint8_t date_style;         /* kd_date_style: of output. */
    uint8_t interval_style;     /* kd_interval_style: of output, and of signs in input. */
    int8_t extra_float_digits;  /* 1 (default): shortest text that reads back the same. */
    bool bytea_escape_output;   /* false: hex. */
    int64_t now_us;             /* For 'now', 'today', ...: transaction start, us since 2000 UTC. */
    bool *reads_now;            /* Set where `now_us` is made use of; NULL: nobody asks. */
    /* Enum labels live in the catalog: NULL refuses enums. The label's rank, or -1. */
    kd_status (*enum_rank)(kd_ctx *ctx, void *object, kd_type type, kd_slice label,
                           int32_t *out_rank);
    kd_status (*enum_label)(kd_ctx *ctx, void *object, kd_type type, int32_t rank,
                            kd_slice *out_label);
    void *enum_object;
    /* What a row type of the catalog holds; NULL refuses their text. Called with enum_object. */
    kd_status (*row_shape)(kd_ctx *ctx, void *object, kd_arena *arena, kd_type type,
                           struct kd_record_shape *out);
    /* Numbers of objects by their names and back, for regclass and its kin. NULL refuses them. */
    kd_status (*object_no)(kd_ctx *ctx, const struct kd_text_settings *settings, kd_type type,
                           kd_slice text, int64_t *out_no);
    kd_status (*object_name)(kd_ctx *ctx, const struct kd_text_settings *settings, kd_type type,
                             int64_t no, kd_buffer *out);
    const void *name_object;
} kd_text_settings;

/* Text to a value of `type` (its modifier applied: rounded, cut to length or refused as PostgreSQL
 * does on assignment). Fails with PostgreSQL's code and message: 22P02, 22003, 22008, 22001, ...
 * Memory for what the value points at comes from `arena`. */
kd_status kd_value_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type type, kd_slice text, kd_value *out_value) KD_MUST_CHECK;
/* The value's text as PostgreSQL's output function gives it. NULL appends nothing. */
kd_status kd_value_format(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                          kd_buffer *out) KD_MUST_CHECK;

/* char(n) and varchar(n): what is kept of a text. Blanks beyond the length are cut silently,
 * anything else is refused with 22001 or, in an explicit cast, cut. char loses its trailing blanks.
 */
kd_status kd_text_fit(kd_ctx *ctx, kd_type type, bool is_explicit_cast, kd_slice text,
                      kd_slice *out_text) KD_MUST_CHECK;

/* -1, 0, 1. Both of the same type, neither NULL. NaN equals itself and is above all numbers. */
int kd_value_compare(const kd_value *a, const kd_value *b);
/* Equal values have equal hashes (numeric 1.0 and 1.00, interval '1 day' and '24 hours'). */
uint64_t kd_value_hash(const kd_value *value);
/* Order and hash of physical payloads, for operators that hold raw columns. */
int kd_payload_compare(kd_type type, const void *a, const void *b);
bool kd_payload_equal(kd_type type, const void *a, const void *b);
uint64_t kd_payload_hash(kd_type type, const void *payload);

/*
 * Memory-comparable keys: memcmp order of the encodings is the order of the
 * values, for indexes and sorts. NULL takes one byte (0x01 first or 0xff last),
 * a value 0x02 and its bytes. `descending` inverts the value's bytes. Composite
 * keys are concatenations. Text is escaped (0x00 -> 0x00 0xff) and ends in 0x00
 * 0x00, so that no key is a prefix of another.
 */
typedef struct kd_key_order {
    bool descending;
    bool nulls_first;
} kd_key_order;

kd_status kd_key_append(kd_ctx *ctx, kd_type type, const void *payload, bool is_null,
                        kd_key_order order, kd_buffer *out) KD_MUST_CHECK;
/* False for types whose keys do not tell equal values apart (numeric without modifier loses its
 * display scale, intervals are normalised, -0.0 becomes 0.0): reading a key back then gives an
 * equal value, not always the same one. */
bool kd_key_is_exact(kd_type type);
/* Reads one column back. Fails with KD_CORRUPT when the bytes are no key of this type. */
kd_status kd_key_read(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_key_order order,
                      kd_reader *reader, kd_value *out_value) KD_MUST_CHECK;

/* Stored form of one value inside rows, log records and catalog bodies: a NULL flag byte, then the
 * payload, strings with a varint length. The type is known to the reader. */
kd_status kd_value_append(kd_ctx *ctx, const kd_value *value, kd_buffer *out) KD_MUST_CHECK;
/* Points into the reader's bytes where it can. */
kd_status kd_value_read(kd_ctx *ctx, kd_type type, kd_reader *reader,
                        kd_value *out_value) KD_MUST_CHECK;

#endif
