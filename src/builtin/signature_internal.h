/*
 * Tables of functions in short: one line each, types by their bare names.
 */
#ifndef KD_BUILTIN_SIGNATURE_INTERNAL_H
#define KD_BUILTIN_SIGNATURE_INTERNAL_H

#include "builtin/builtin_internal.h"

#define BOOL KDI_TYPE(BOOL)
#define INT2 KDI_TYPE(INT2)
#define INT4 KDI_TYPE(INT4)
#define INT8 KDI_TYPE(INT8)
#define FLOAT4 KDI_TYPE(FLOAT4)
#define FLOAT8 KDI_TYPE(FLOAT8)
#define NUMERIC KDI_TYPE(NUMERIC)
#define CHAR KDI_TYPE(CHAR)
#define TEXT KDI_TYPE(TEXT)
#define BYTEA KDI_TYPE(BYTEA)
#define DATE KDI_TYPE(DATE)
#define TIME KDI_TYPE(TIME)
#define TIMETZ KDI_TYPE(TIMETZ)
#define TIMESTAMP KDI_TYPE(TIMESTAMP)
#define TIMESTAMPTZ KDI_TYPE(TIMESTAMPTZ)
#define TIMESTAMP_NS KDI_TYPE(TIMESTAMP_NS)
#define INTERVAL KDI_TYPE(INTERVAL)
#define UUID KDI_TYPE(UUID)
#define JSON KDI_TYPE(JSON)
#define JSONB KDI_TYPE(JSONB)
#define TEXTS KDI_ARRAY(TEXT)
#define ANY KDI_ANY
#define NONARRAY KDI_ANYNONARRAY
#define ELEMENT KDI_ANYELEMENT
#define ELEMENTS KDI_ANYARRAY

#define KDI_SIGNATURE(...) \
    .argument_count = sizeof((kd_type[]){__VA_ARGS__}) / sizeof(kd_type), .arguments = {__VA_ARGS__}
/* Name, row function, result type, argument types; strict. */
#define IMMUTABLE(NAME, ROW, RESULT, ...)                                                      \
    {                                                                                          \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT, .strict = true \
    }
#define STABLE(NAME, ROW, RESULT, ...)                                                          \
    {                                                                                           \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT, .strict = true, \
                                    .volatility = KD_STABLE                                     \
    }
/* Called with NULLs too. */
#define LENIENT(NAME, ROW, RESULT, ...)                                        \
    {                                                                          \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT \
    }
#define STABLE_LENIENT(NAME, ROW, RESULT, ...)                                  \
    {                                                                           \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT, \
                                    .volatility = KD_STABLE                     \
    }
/* The last argument repeats; called with NULLs too. Stable, since texts of any values are. */
#define VARIADIC(NAME, ROW, RESULT, ...)                                                          \
    {                                                                                             \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT, .variadic = true, \
                                    .volatility = KD_STABLE                                       \
    }
#define NO_ARGUMENTS(NAME, ROW, RESULT, HOW)                          \
    {                                                                 \
        .name = NAME, .row = ROW, .result = RESULT, .volatility = HOW \
    }

#endif
