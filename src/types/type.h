/*
 * SQL types, and the nine physical types that hold their values.
 *
 *   SQL type               physical       held as
 *   boolean                BOOL           0 or 1
 *   smallint               I16
 *   integer, date, enum    I32            date: days since 2000-01-01; enum: rank (see below)
 *   bigint, oid, time      I64            time: microseconds since midnight, 0 .. 86,400,000,000
 *   timestamp, timestamptz I64            microseconds since 2000-01-01 (UTC for timestamptz)
 *   timetz                 I64            the instant, then the zone: see datetime.h
 *   tid                    I64            a row's unit and its ordinal there, see tid.h
 *   timestamp_ns           I64            nanoseconds since 1970-01-01 (UTC)
 *   real                   F32
 *   double precision       F64
 *   numeric(p,s), p <= 18  I64            value * 10^s
 *   numeric(p,s), p <= 38  I128           value * 10^s
 *   numeric                STR            variable length, see numeric.h
 *   uuid                   I128           big-endian, top bit flipped: sorts as its bytes do
 *   interval               INTERVAL       months, days, microseconds
 *   text, varchar, char, bytea, json      STR (char(n) is held without its padding blanks)
 *   bit, bit varying       STR            a character per bit, see bits.h
 *   jsonpath               STR            its text, see jsonpath.h
 *   jsonb                  STR            binary, see jsonb.h
 *   arrays                 STR            see array.h
 *   rows                   STR            see record.h
 *   unknown                STR            an untyped literal, before the binder gave it a type
 *
 * Infinite dates and timestamps are the extreme values of their integer. An enum's rank orders its
 * labels; ranks are spaced so that ADD VALUE BEFORE fits between two.
 */
#ifndef KD_TYPES_TYPE_H
#define KD_TYPES_TYPE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 kd_i128;
__extension__ typedef unsigned __int128 kd_u128;

/* Stored on disk and sent over links: values never change, new ones are added at the end. */
typedef enum kd_type_id {
    KD_TYPE_UNKNOWN = 0,
    KD_TYPE_BOOL = 1,
    KD_TYPE_INT2 = 2,
    KD_TYPE_INT4 = 3,
    KD_TYPE_INT8 = 4,
    KD_TYPE_FLOAT4 = 5,
    KD_TYPE_FLOAT8 = 6,
    KD_TYPE_NUMERIC = 7,
    KD_TYPE_TEXT = 8,
    KD_TYPE_VARCHAR = 9,
    KD_TYPE_CHAR = 10,
    KD_TYPE_BYTEA = 11,
    KD_TYPE_DATE = 12,
    KD_TYPE_TIME = 13,
    KD_TYPE_TIMESTAMP = 14,
    KD_TYPE_TIMESTAMPTZ = 15,
    KD_TYPE_TIMESTAMP_NS = 16,
    KD_TYPE_INTERVAL = 17,
    KD_TYPE_UUID = 18,
    KD_TYPE_JSON = 19,
    KD_TYPE_JSONB = 20,
    KD_TYPE_ENUM = 21,
    KD_TYPE_OID = 22,  /* Object numbers in catalog views; held as I64. */
    KD_TYPE_VOID = 23, /* Functions called for their effect. */
    KD_TYPE_RECORD = 24,
    KD_TYPE_BIT = 25,
    KD_TYPE_VARBIT = 26,
    KD_TYPE_JSONPATH = 27,
    KD_TYPE_TIMETZ = 28,
    KD_TYPE_TID = 29, /* Where a row is: the system column ctid. */
    KD_TYPE_COUNT
} kd_type_id;

typedef enum kd_physical {
    KD_PHYS_BOOL = 0, /* uint8_t, 0 or 1 */
    KD_PHYS_I16,
    KD_PHYS_I32,
    KD_PHYS_I64,
    KD_PHYS_I128,
    KD_PHYS_F32,
    KD_PHYS_F64,
    KD_PHYS_STR,      /* kd_str */
    KD_PHYS_INTERVAL, /* kd_interval */
    KD_PHYS_COUNT
} kd_physical;

/*
 * A type as a column or an expression has it. 12 bytes, passed by value, stored
 * as it is. `modifier` is -1 for none; numeric: precision * 256 + scale where that fits an integer
 * (precision up to 38, scale 0 .. precision), else with KD_NUMERIC_WIDE; varchar, char: the length
 * in characters; bit, bit varying: in bits; times and timestamps: digits of the second, 0 .. 6;
 * interval: see interval.h. An array has `is_array` set and describes its elements in the other
 * fields; dimensions are part of the value, not the type.
 */
typedef struct kd_type {
    uint8_t id; /* kd_type_id */
    uint8_t is_array;
    uint16_t reserved; /* 0 */
    int32_t modifier;
    uint32_t object; /* Enum: its object number in the catalog. Row: see KD_ROW_IS_LOCAL. oid: a
                      * kd_reg_kind or 0. Else 0. */
} kd_type;
_Static_assert(sizeof(kd_type) == 12, "stored as it is");

/* `object` of a row type: 0 for any row, the catalog's number of the table or composite type whose
 * rows these are, or, with this bit, the number of a shape that only one statement knows. */
#define KD_ROW_IS_LOCAL ((uint32_t)1 << 31)

/* `object` of an oid that is written as the name of what it numbers; the values are PostgreSQL's
 * numbers of these types. */
typedef enum kd_reg_kind {
    KD_REG_PROC = 24,
    KD_REG_PROCEDURE = 2202,
    KD_REG_CLASS = 2205,
    KD_REG_TYPE = 2206,
    KD_REG_NAMESPACE = 4089,
    KD_REG_ROLE = 4096,
} kd_reg_kind;

/* The catalog's object that the type is of, or 0. */
static inline uint32_t kd_type_object_no(kd_type type)
{
    return type.id == KD_TYPE_OID ? 0 : type.object;
}

/* Enums and rows of the catalog: types that are called as their object there. */
static inline bool kd_type_is_named(kd_type type)
{
    bool is_row = type.id == KD_TYPE_RECORD && type.object != 0;
    return type.id == KD_TYPE_ENUM || (is_row && (type.object & KD_ROW_IS_LOCAL) == 0);
}

static inline kd_type kd_type_of(kd_type_id id)
{
    return (kd_type){.id = (uint8_t)id, .modifier = -1};
}

static inline kd_type kd_type_array_of(kd_type element)
{
    element.is_array = 1;
    return element;
}

static inline kd_type kd_type_element(kd_type array)
{
    array.is_array = 0;
    return array;
}

/* Of a numeric that is held as an unconstrained one and rounded to its scale: precision 1 .. 1000
 * in the bits from 11 on, scale -1000 .. 1000 with 1000 added below. */
#define KD_NUMERIC_WIDE ((int32_t)1 << 30)
enum { KD_NUMERIC_SCALE_BIAS = 1000 };

static inline kd_type kd_type_numeric(int precision, int scale)
{
    kd_type type = kd_type_of(KD_TYPE_NUMERIC);
    bool is_fixed = precision <= 38 && scale >= 0 && scale <= precision;
    type.modifier = is_fixed ? precision * 256 + scale
                             : KD_NUMERIC_WIDE | precision << 11 | (scale + KD_NUMERIC_SCALE_BIAS);
    return type;
}

/* Whether a numeric is an integer in units of its last digit. */
static inline bool kd_numeric_is_fixed(kd_type type)
{
    return type.modifier >= 0 && (type.modifier & KD_NUMERIC_WIDE) == 0;
}

static inline int kd_numeric_precision(kd_type type)
{
    return (type.modifier & KD_NUMERIC_WIDE) != 0 ? (type.modifier & ~KD_NUMERIC_WIDE) >> 11
                                                  : type.modifier / 256;
}

static inline int kd_numeric_scale(kd_type type)
{
    return (type.modifier & KD_NUMERIC_WIDE) != 0 ? (type.modifier & 2047) - KD_NUMERIC_SCALE_BIAS
                                                  : type.modifier % 256;
}

/* Same id, array-ness and object; modifiers are ignored. */
static inline bool kd_type_same(kd_type a, kd_type b)
{
    return a.id == b.id && a.is_array == b.is_array && a.object == b.object;
}

kd_physical kd_type_physical(kd_type type);
uint32_t kd_physical_bytes(kd_physical physical); /* 1, 2, 4, 8 or 16 */

bool kd_type_is_ordinal(kd_type type);   /* values are integers of 16 to 64 bits in their order */
bool kd_type_is_string(kd_type type);    /* text, varchar, char, unknown; not arrays */
bool kd_type_is_integer(kd_type type);   /* smallint, integer, bigint, oid; not arrays */
bool kd_type_is_number(kd_type type);    /* integers, floats, numeric */
bool kd_type_is_timestamp(kd_type type); /* timestamp, timestamptz, timestamp_ns */

/* PostgreSQL's canonical name with modifier: "integer", "numeric(10,2)", "text[]",
 * "timestamp with time zone". For an enum the name is not known here: "enum". */
kd_status kd_type_format(kd_ctx *ctx, kd_type type, kd_buffer *out) KD_MUST_CHECK;
/* The short internal name ("int4", "timestamptz", "_text" for arrays), as pg_type has it. */
const char *kd_type_internal_name(kd_type type);
/* Looks a type name up: any spelling that PostgreSQL accepts in lower case, one or several words
 * with single blanks ("double precision", "int8", "timestamp with time zone"). No modifiers. */
bool kd_type_find(kd_slice name, kd_type *out_type);

#endif
