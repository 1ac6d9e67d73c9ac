/*
 * The lexer: PostgreSQL's tokens over UTF-8 text.
 *
 * Tokens are made one at a time and hold slices of the text; only names that
 * must be folded and strings with escapes are copied into the arena.
 */
#ifndef KD_SQL_LEXER_INTERNAL_H
#define KD_SQL_LEXER_INTERNAL_H

#include "sql/keyword_internal.h"

/* Single characters stand for themselves: , ( ) [ ] ; : . + - * / % ^ < > = */
typedef enum kdi_token_kind {
    TOKEN_END = 0,
    TOKEN_ERROR = 1, /* The failure is recorded already. */
    TOKEN_IDENT = 256,
    TOKEN_QUOTED_IDENT,
    TOKEN_KEYWORD,
    TOKEN_STRING,
    TOKEN_BITS,    /* text: b0101 or x1f */
    TOKEN_INTEGER, /* `integer`; text holds the digits */
    TOKEN_DECIMAL,
    TOKEN_PARAM, /* `integer` */
    TOKEN_OPERATOR,
    TOKEN_TYPECAST,       /* :: */
    TOKEN_DOT_DOT,        /* .. */
    TOKEN_COLON_EQUALS,   /* := */
    TOKEN_EQUALS_GREATER, /* => */
    TOKEN_LESS_EQUALS,
    TOKEN_GREATER_EQUALS,
    TOKEN_NOT_EQUALS, /* <> and != */
} kdi_token_kind;

typedef struct kdi_token {
    uint16_t kind;
    uint16_t keyword; /* kdi_keyword; KW_NO_WORD unless TOKEN_KEYWORD */
    int32_t position;
    int32_t end;
    kd_slice text; /* The name, the string's value, the operator. */
    int64_t integer;
} kdi_token;

typedef struct kdi_lexer {
    kd_arena *arena;
    kd_slice text;
    size_t at;
} kdi_lexer;

/* 22021 when the text is not UTF-8 or holds a NUL byte. `position` is where the failure points;
 * -1: at the byte itself. */
kd_status kdi_check_utf8(kd_ctx *ctx, kd_slice text, int32_t position) KD_MUST_CHECK;

/* On failure the token is TOKEN_ERROR and the failure is recorded. */
void kdi_lexer_next(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *out_token);

#endif
