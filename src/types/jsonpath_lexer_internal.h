/*
 * Tokens of the path language.
 */
#ifndef KD_TYPES_JSONPATH_LEXER_INTERNAL_H
#define KD_TYPES_JSONPATH_LEXER_INTERNAL_H

#include "base/bytes.h"

#include <stdbool.h>

typedef enum kdi_jsonpath_token_kind {
    PATH_END = 0,
    PATH_NAME,   /* A word that is not quoted. */
    PATH_STRING, /* Quoted. */
    PATH_VARIABLE,
    PATH_INTEGER,
    PATH_NUMBER,
    PATH_EQUAL = 128, /* ==, = */
    PATH_NOT_EQUAL,   /* !=, <> */
    PATH_LESS_EQUAL,
    PATH_GREATER_EQUAL,
    PATH_AND,
    PATH_OR,
    PATH_ANY, /* ** */
    /* Others: the character itself. */
} kdi_jsonpath_token_kind;

typedef struct kdi_jsonpath_lexer {
    kd_arena *arena;
    kd_slice text;
    size_t at; /* Behind the token. */
    /* The token: */
    int kind;
    size_t start;
    kd_slice value; /* Decoded; of numbers their text. */
} kdi_jsonpath_lexer;

kd_status kdi_jsonpath_advance(kd_ctx *ctx, kdi_jsonpath_lexer *lexer) KD_MUST_CHECK;
/* 42601 at the token. */
kd_status kdi_jsonpath_error(kd_ctx *ctx, const kdi_jsonpath_lexer *lexer,
                             const char *message) KD_MUST_CHECK;

#endif
