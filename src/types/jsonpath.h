/*
 * The path language of SQL/JSON (ISO/IEC 9075-2, 9.39) as PostgreSQL has it: parsed paths and their
 * text. They are evaluated by builtin/jsonpath_evaluate.c.
 *
 * A stored jsonpath is its canonical text; it is parsed again where it is used, and functions keep
 * the parsed form of a constant.
 *
 * An item is a value, an operation or an accessor; `next` is the accessor that is applied to what
 * it gives. `$.a[1]` is ROOT -> KEY -> INDEX.
 */
#ifndef KD_TYPES_JSONPATH_H
#define KD_TYPES_JSONPATH_H

#include "base/bytes.h"

#include <stdbool.h>

enum { KD_JSONPATH_ITEMS_MAX = 10000, KD_JSONPATH_DEPTH_MAX = 200 };
/* In `first` and `last` of ANY: LAST. */
#define KD_JSONPATH_LAST UINT32_MAX

typedef enum kd_jsonpath_kind {
    KD_JSONPATH_ROOT,    /* $ */
    KD_JSONPATH_CURRENT, /* @ */
    KD_JSONPATH_LAST_INDEX,
    KD_JSONPATH_LITERAL,  /* `json` */
    KD_JSONPATH_VARIABLE, /* `text` */
    KD_JSONPATH_OR,
    KD_JSONPATH_AND,
    KD_JSONPATH_NOT,
    KD_JSONPATH_IS_UNKNOWN,
    KD_JSONPATH_EXISTS,
    KD_JSONPATH_EQUAL,
    KD_JSONPATH_NOT_EQUAL,
    KD_JSONPATH_LESS,
    KD_JSONPATH_GREATER,
    KD_JSONPATH_LESS_EQUAL,
    KD_JSONPATH_GREATER_EQUAL,
    KD_JSONPATH_STARTS_WITH,
    KD_JSONPATH_LIKE_REGEX, /* `left`, `text`, `flags` */
    KD_JSONPATH_ADD,
    KD_JSONPATH_SUBTRACT,
    KD_JSONPATH_MULTIPLY,
    KD_JSONPATH_DIVIDE,
    KD_JSONPATH_MODULO,
    KD_JSONPATH_PLUS,
    KD_JSONPATH_MINUS,
    KD_JSONPATH_KEY,         /* .key: `text` */
    KD_JSONPATH_ANY_KEY,     /* .* */
    KD_JSONPATH_ANY_ELEMENT, /* [*] */
    KD_JSONPATH_INDEX,       /* [a, b to c]: `ranges` */
    KD_JSONPATH_ANY,         /* **: `first`, `last` levels */
    KD_JSONPATH_FILTER,      /* ?( `left` ) */
    KD_JSONPATH_ABS,
    KD_JSONPATH_SIZE,
    KD_JSONPATH_TYPE,
    KD_JSONPATH_FLOOR,
    KD_JSONPATH_DOUBLE,
    KD_JSONPATH_CEILING,
    KD_JSONPATH_KEYVALUE,
    KD_JSONPATH_DATETIME, /* `left`: the template, or NULL */
} kd_jsonpath_kind;

enum {
    KD_JSONPATH_FLAG_I = 1,
    KD_JSONPATH_FLAG_S = 2,
    KD_JSONPATH_FLAG_M = 4,
    KD_JSONPATH_FLAG_X = 8,
    KD_JSONPATH_FLAG_Q = 16,
};

typedef struct kd_jsonpath_item kd_jsonpath_item;

typedef struct kd_jsonpath_range {
    kd_jsonpath_item *from;
    kd_jsonpath_item *to; /* NULL: one element. */
} kd_jsonpath_range;

struct kd_jsonpath_item {
    uint8_t kind; /* kd_jsonpath_kind */
    uint8_t flags;
    uint32_t pattern_no; /* LIKE_REGEX: which of the path's. */
    uint32_t first, last;
    kd_jsonpath_item *next;
    kd_jsonpath_item *left;
    kd_jsonpath_item *right;
    kd_slice text;
    kd_slice json; /* A stored jsonb. */
    kd_jsonpath_range *ranges;
    size_t range_count;
    size_t range_capacity;
};

typedef struct kd_jsonpath {
    bool is_strict;
    kd_jsonpath_item *root;
    uint32_t pattern_count;
} kd_jsonpath;

/* 42601 with PostgreSQL's messages; 54001 when it is nested too deeply. */
kd_status kd_jsonpath_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                            kd_jsonpath *out) KD_MUST_CHECK;
/* Canonical: strict $."a"[*]?(@."b" > 1) */
kd_status kd_jsonpath_format(kd_ctx *ctx, const kd_jsonpath *path, kd_buffer *out) KD_MUST_CHECK;

#endif
