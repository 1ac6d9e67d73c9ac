/*
 * Tokens that are not strings: names, numbers, operators, parameters, blanks.
 */
#include "sql/lexer_internal.h"

#include "sql/lexer_string_internal.h"

enum { NAME_BYTES_MAX = 63, OPERATOR_BYTES_MAX = 63 };

enum { BLANK = 1, NAME_START = 2, NAME_PART = 4, DIGIT = 8, OPERATOR = 16, SELF = 32, UPPER = 64 };

/* clang-format off */
#define L NAME_START | NAME_PART
#define U L | UPPER
#define H16(from) [from] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L
#define D DIGIT | NAME_PART
static const uint8_t classes[256] = {
    [' '] = BLANK, ['\t'] = BLANK, ['\n'] = BLANK, ['\r'] = BLANK, ['\f'] = BLANK, ['\v'] = BLANK,
    ['0'] = D, D, D, D, D, D, D, D, D, D,
    ['a'] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['A'] = U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
    ['_'] = L,
    H16(128), H16(144), H16(160), H16(176), H16(192), H16(208), H16(224), H16(240),
    ['$'] = NAME_PART,
    ['~'] = OPERATOR, ['!'] = OPERATOR, ['@'] = OPERATOR, ['#'] = OPERATOR, ['&'] = OPERATOR,
    ['|'] = OPERATOR, ['`'] = OPERATOR, ['?'] = OPERATOR,
    ['+'] = OPERATOR | SELF, ['-'] = OPERATOR | SELF, ['*'] = OPERATOR | SELF,
    ['/'] = OPERATOR | SELF, ['%'] = OPERATOR | SELF, ['<'] = OPERATOR | SELF,
    ['>'] = OPERATOR | SELF, ['='] = OPERATOR | SELF, ['^'] = OPERATOR | SELF,
    [','] = SELF, ['('] = SELF, [')'] = SELF, ['['] = SELF, [']'] = SELF, ['.'] = SELF,
    [';'] = SELF, [':'] = SELF,
};
#undef L
#undef U
#undef H16
#undef D
/* clang-format on */

static inline bool is(const kdi_lexer *lexer, size_t at, uint8_t class_set)
{
    return at < lexer->text.size_bytes && (classes[(uint8_t)lexer->text.data[at]] & class_set) != 0;
}

static inline char char_at(const kdi_lexer *lexer, size_t at)
{
    return at < lexer->text.size_bytes ? lexer->text.data[at] : '\0';
}

/* Skips a nested comment that begins at lexer->at. */
static kd_status skip_comment(kd_ctx *ctx, kdi_lexer *lexer)
{
    size_t start = lexer->at;
    size_t depth = 0;
    do {
        char c = char_at(lexer, lexer->at);
        char next = char_at(lexer, lexer->at + 1);
        if (lexer->at >= lexer->text.size_bytes) {
            kd_status status = KD_FAIL(ctx, KD_INVALID, "42601", "unterminated /* comment");
            kd_error_set_position(ctx, (int)start);
            return status;
        }
        if (c == '/' && next == '*') {
            depth++;
            lexer->at += 2;
        } else if (c == '*' && next == '/') {
            depth--;
            lexer->at += 2;
        } else {
            lexer->at++;
        }
    } while (depth > 0);
    return KD_OK;
}

static kd_status skip_blanks(kd_ctx *ctx, kdi_lexer *lexer)
{
    for (;;) {
        while (is(lexer, lexer->at, BLANK))
            lexer->at++;
        char c = char_at(lexer, lexer->at);
        char next = char_at(lexer, lexer->at + 1);
        if (c == '-' && next == '-') {
            while (lexer->at < lexer->text.size_bytes && lexer->text.data[lexer->at] != '\n' &&
                   lexer->text.data[lexer->at] != '\r')
                lexer->at++;
        } else if (c == '/' && next == '*') {
            KD_TRY(skip_comment(ctx, lexer));
        } else {
            return KD_OK;
        }
    }
}

size_t kdi_name_clip(const char *name, size_t size_bytes)
{
    if (size_bytes <= NAME_BYTES_MAX)
        return size_bytes;
    size_t size = NAME_BYTES_MAX;
    while (size > 0 && ((uint8_t)name[size] & 0xC0) == 0x80)
        size--;
    return size;
}

static kd_status lex_word(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    const char *start = lexer->text.data + lexer->at;
    const char *limit = lexer->text.data + lexer->text.size_bytes;
    const char *p = start;
    char folded[KDI_KEYWORD_BYTES_MAX] = {0};
    uint8_t seen = 0;
    for (; p < limit && (classes[(uint8_t)*p] & NAME_PART) != 0; p++) {
        uint8_t kind = classes[(uint8_t)*p];
        seen |= kind;
        size_t index = (size_t)(p - start);
        if (index < sizeof folded)
            folded[index] = (kind & UPPER) != 0 ? (char)(*p | 0x20) : *p;
    }
    size_t size = (size_t)(p - start);
    lexer->at += size;
    if (size < sizeof folded) {
        kdi_keyword keyword = kdi_keyword_find(folded, size);
        if (keyword != KW_NO_WORD) {
            token->kind = TOKEN_KEYWORD;
            token->keyword = (uint16_t)keyword;
            token->text = kdi_keyword_text(keyword);
            return KD_OK;
        }
    }
    token->kind = TOKEN_IDENT;
    size = kdi_name_clip(start, size);
    if ((seen & UPPER) == 0) {
        token->text = (kd_slice){start, size};
        return KD_OK;
    }
    char *copy = kd_alloc_raw(ctx, lexer->arena, size);
    if (copy == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < size; i++)
        copy[i] = (classes[(uint8_t)start[i]] & UPPER) != 0 ? (char)(start[i] | 0x20) : start[i];
    token->text = (kd_slice){copy, size};
    return KD_OK;
}

static kd_status number_failed(kd_ctx *ctx, const kdi_lexer *lexer, size_t start, size_t end,
                               const char *what)
{
    int shown = (int)(end - start > 60 ? 60 : end - start);
    kd_status status = KD_FAIL(ctx, KD_INVALID, "42601", "%s at or near \"%.*s\"", what, shown,
                               lexer->text.data + start);
    kd_error_set_position(ctx, (int)start);
    return status;
}

/* Digits with single underscores between them. */
static size_t skip_digits(const kdi_lexer *lexer, size_t at)
{
    while (is(lexer, at, DIGIT) || (char_at(lexer, at) == '_' && at > 0 &&
                                    is(lexer, at - 1, DIGIT) && is(lexer, at + 1, DIGIT)))
        at++;
    return at;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* 0x1F, 0o17, 0b101. Values that do not fit int64 are refused. */
static kd_status lex_radix(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token, int radix)
{
    size_t start = lexer->at;
    size_t at = start + 2;
    size_t digits = 0;
    uint64_t value = 0;
    bool overflow = false;
    for (;; at++) {
        if (char_at(lexer, at) == '_' && digit_value(char_at(lexer, at + 1)) < radix)
            at++;
        int digit = digit_value(char_at(lexer, at));
        if (digit >= radix)
            break;
        overflow = overflow || value > (uint64_t)(INT64_MAX - digit) / (uint64_t)radix;
        value = value * (uint64_t)radix + (uint64_t)digit;
        digits++;
    }
    if (digits == 0)
        return number_failed(ctx, lexer, start, at, "invalid hexadecimal, octal or binary integer");
    if (is(lexer, at, NAME_START))
        return number_failed(ctx, lexer, start, at + 1, "trailing junk after numeric literal");
    if (overflow)
        return number_failed(ctx, lexer, start, at, "integer out of range");
    lexer->at = at;
    token->kind = TOKEN_INTEGER;
    token->integer = (int64_t)value;
    token->text = (kd_slice){lexer->text.data + start, at - start};
    return KD_OK;
}

/* The digits without underscores; the text itself where it has none. */
static kd_status number_text(kd_ctx *ctx, kdi_lexer *lexer, size_t start, kd_slice *out_text)
{
    kd_slice raw = {lexer->text.data + start, lexer->at - start};
    *out_text = raw;
    if (memchr(raw.data, '_', raw.size_bytes) == NULL)
        return KD_OK;
    char *copy = kd_alloc_raw(ctx, lexer->arena, raw.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    size_t size = 0;
    for (size_t i = 0; i < raw.size_bytes; i++)
        if (raw.data[i] != '_')
            copy[size++] = raw.data[i];
    *out_text = (kd_slice){copy, size};
    return KD_OK;
}

static bool digits_to_int64(kd_slice digits, int64_t *out_value)
{
    *out_value = 0;
    int64_t value = 0;
    for (size_t i = 0; i < digits.size_bytes; i++) {
        int digit = digits.data[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out_value = value;
    return true;
}

static kd_status lex_number(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    size_t start = lexer->at;
    char second = (char)(char_at(lexer, start + 1) | 0x20);
    if (char_at(lexer, start) == '0' && (second == 'x' || second == 'o' || second == 'b'))
        return lex_radix(ctx, lexer, token, second == 'x' ? 16 : second == 'o' ? 8 : 2);
    size_t at = skip_digits(lexer, start);
    bool is_decimal = false;
    /* `1..10` is an integer and two dots. */
    if (char_at(lexer, at) == '.' && char_at(lexer, at + 1) != '.') {
        is_decimal = true;
        at = skip_digits(lexer, at + 1);
    }
    if ((char_at(lexer, at) | 0x20) == 'e') {
        size_t exponent = at + 1;
        if (char_at(lexer, exponent) == '+' || char_at(lexer, exponent) == '-')
            exponent++;
        if (!is(lexer, exponent, DIGIT))
            return number_failed(ctx, lexer, start, exponent,
                                 "trailing junk after numeric literal");
        is_decimal = true;
        at = skip_digits(lexer, exponent);
    }
    if (is(lexer, at, NAME_START))
        return number_failed(ctx, lexer, start, at + 1, "trailing junk after numeric literal");
    lexer->at = at;
    KD_TRY(number_text(ctx, lexer, start, &token->text));
    token->kind = TOKEN_DECIMAL;
    if (!is_decimal && digits_to_int64(token->text, &token->integer))
        token->kind = TOKEN_INTEGER;
    return KD_OK;
}

static kd_status lex_param(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    size_t start = lexer->at;
    lexer->at++;
    while (is(lexer, lexer->at, DIGIT))
        lexer->at++;
    kd_slice digits = {lexer->text.data + start + 1, lexer->at - start - 1};
    if (is(lexer, lexer->at, NAME_START))
        return number_failed(ctx, lexer, start, lexer->at + 1, "trailing junk after parameter");
    if (!digits_to_int64(digits, &token->integer) || token->integer > 65535 || token->integer == 0)
        return number_failed(ctx, lexer, start, lexer->at, "there is no parameter");
    token->kind = TOKEN_PARAM;
    return KD_OK;
}

/* The longest run of operator characters, cut before a comment; a run of several may end in + or
 * - only if it holds one of ~ ! @ # ^ & | ` ? %, so that `a=-1` is `a = -1`. */
static kd_status lex_operator(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    const char *start = lexer->text.data + lexer->at;
    size_t size = 0;
    bool has_special = false;
    while (is(lexer, lexer->at + size, OPERATOR)) {
        char c = start[size];
        char next = char_at(lexer, lexer->at + size + 1);
        if (size > 0 && ((c == '/' && next == '*') || (c == '-' && next == '-')))
            break;
        has_special = has_special || strchr("~!@#^&|`?%", c) != NULL;
        size++;
    }
    while (size > 1 && !has_special && (start[size - 1] == '+' || start[size - 1] == '-'))
        size--;
    if (size > OPERATOR_BYTES_MAX)
        return number_failed(ctx, lexer, lexer->at, lexer->at + size, "operator too long");
    token->text = (kd_slice){start, size};
    lexer->at += size;
    token->kind = TOKEN_OPERATOR;
    if (size == 1 && (classes[(uint8_t)*start] & SELF) != 0)
        token->kind = (uint8_t)*start;
    else if (size == 2 && memcmp(start, "=>", 2) == 0)
        token->kind = TOKEN_EQUALS_GREATER;
    else if (size == 2 && memcmp(start, ">=", 2) == 0)
        token->kind = TOKEN_GREATER_EQUALS;
    else if (size == 2 && memcmp(start, "<=", 2) == 0)
        token->kind = TOKEN_LESS_EQUALS;
    else if (size == 2 && (memcmp(start, "<>", 2) == 0 || memcmp(start, "!=", 2) == 0))
        token->kind = TOKEN_NOT_EQUALS;
    if (token->kind == TOKEN_NOT_EQUALS)
        token->text = KD_SLICE("<>");
    return KD_OK;
}

static kd_status lex_self(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    (void)ctx;
    char c = char_at(lexer, lexer->at);
    char next = char_at(lexer, lexer->at + 1);
    size_t size = 2;
    if (c == ':' && next == ':') {
        token->kind = TOKEN_TYPECAST;
    } else if (c == ':' && next == '=') {
        token->kind = TOKEN_COLON_EQUALS;
    } else if (c == '.' && next == '.') {
        token->kind = TOKEN_DOT_DOT;
    } else {
        token->kind = (uint8_t)c;
        size = 1;
    }
    token->text = (kd_slice){lexer->text.data + lexer->at, size};
    lexer->at += size;
    return KD_OK;
}

static kd_status lex_token(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    KD_TRY(skip_blanks(ctx, lexer));
    token->position = (int32_t)lexer->at;
    if (lexer->at >= lexer->text.size_bytes) {
        token->kind = TOKEN_END;
        token->text = (kd_slice){lexer->text.data + lexer->at, 0};
        return KD_OK;
    }
    char c = lexer->text.data[lexer->at];
    char next = char_at(lexer, lexer->at + 1);
    uint8_t kind = classes[(uint8_t)c];
    if (c == '\'' || c == '"')
        return kdi_lex_quoted(ctx, lexer, token);
    if ((kind & NAME_START) != 0) {
        bool is_string = next == '\'' && strchr("eEbBxXnN", c) != NULL;
        bool is_unicode =
            (c | 0x20) == 'u' && next == '&' &&
            (char_at(lexer, lexer->at + 2) == '\'' || char_at(lexer, lexer->at + 2) == '"');
        if (is_string || is_unicode)
            return kdi_lex_quoted(ctx, lexer, token);
        return lex_word(ctx, lexer, token);
    }
    if ((kind & DIGIT) != 0 || (c == '.' && is(lexer, lexer->at + 1, DIGIT)))
        return lex_number(ctx, lexer, token);
    if (c == '$') {
        if (is(lexer, lexer->at + 1, DIGIT))
            return lex_param(ctx, lexer, token);
        return kdi_lex_dollar(ctx, lexer, token);
    }
    if ((kind & OPERATOR) != 0)
        return lex_operator(ctx, lexer, token);
    if ((kind & SELF) != 0)
        return lex_self(ctx, lexer, token);
    return number_failed(ctx, lexer, lexer->at, lexer->at + 1, "syntax error");
}

void kdi_lexer_next(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *out_token)
{
    *out_token = (kdi_token){.kind = TOKEN_END};
    if (lex_token(ctx, lexer, out_token) != KD_OK)
        out_token->kind = TOKEN_ERROR;
    out_token->end = (int32_t)lexer->at;
}
