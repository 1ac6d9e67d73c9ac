/*
 * Strings of every form, bit strings and quoted names.
 *
 * A string without escapes is a slice of the text. Anything else is built in
 * the arena: doubled quotes, E'' and U&'' escapes, and parts that continue on
 * the next line.
 */
#include "sql/lexer_string_internal.h"

static kd_status fail_at(kd_ctx *ctx, const char *sqlstate, size_t position, const char *message)
{
    kd_status status = KD_FAIL(ctx, KD_INVALID, sqlstate, "%s", message);
    kd_error_set_position(ctx, (int)position);
    return status;
}

static char char_at(const kdi_lexer *lexer, size_t at)
{
    return at < lexer->text.size_bytes ? lexer->text.data[at] : '\0';
}

/* The length of the UTF-8 character at `data`, 0 if it is not one. */
static size_t utf8_size(const uint8_t *data, size_t left)
{
    uint8_t c = data[0];
    if (c < 0x80)
        return c == 0 ? 0 : 1;
    size_t size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((data[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && data[1] < 0xA0) || (c == 0xED && data[1] > 0x9F) ||
        (c == 0xF0 && data[1] < 0x90) || (c == 0xF4 && data[1] > 0x8F))
        return 0;
    return size;
}

kd_status kdi_check_utf8(kd_ctx *ctx, kd_slice text, int32_t position)
{
    const uint8_t *data = (const uint8_t *)text.data;
    size_t at = 0;
    while (at < text.size_bytes) {
        while (at + 8 <= text.size_bytes) {
            uint64_t word = kd_load_u64(data + at);
            const uint64_t ones = UINT64_C(0x0101010101010101);
            if ((word & (ones << 7)) != 0 || ((word - ones) & (ones << 7)) != 0)
                break;
            at += 8;
        }
        if (at >= text.size_bytes)
            break;
        size_t size = utf8_size(data + at, text.size_bytes - at);
        if (size == 0) {
            kd_status status =
                KD_FAIL(ctx, KD_INVALID, "22021",
                        "invalid byte sequence for encoding \"UTF8\": 0x%02x", data[at]);
            kd_error_set_position(ctx, position >= 0 ? position : (int)at);
            return status;
        }
        at += size;
    }
    return KD_OK;
}

static kd_status append_code_point(kd_ctx *ctx, kd_buffer *out, uint32_t code, size_t position)
{
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return fail_at(ctx, "42601", position, "invalid Unicode escape value");
    char bytes[4];
    size_t size;
    if (code < 0x80) {
        bytes[0] = (char)code;
        size = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xC0 | (code >> 6));
        bytes[1] = (char)(0x80 | (code & 0x3F));
        size = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | (code >> 12));
        bytes[1] = (char)(0x80 | ((code >> 6) & 0x3F));
        bytes[2] = (char)(0x80 | (code & 0x3F));
        size = 3;
    } else {
        bytes[0] = (char)(0xF0 | (code >> 18));
        bytes[1] = (char)(0x80 | ((code >> 12) & 0x3F));
        bytes[2] = (char)(0x80 | ((code >> 6) & 0x3F));
        bytes[3] = (char)(0x80 | (code & 0x3F));
        size = 4;
    }
    return kd_buffer_append(ctx, out, bytes, size);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `digits` hexadecimal digits at lexer->at, else `sqlstate`: E'' and U&'' strings differ.
 */
static kd_status read_hex(kd_ctx *ctx, kdi_lexer *lexer, int digits, const char *sqlstate,
                          uint32_t *out_code)
{
    *out_code = 0;
    for (int i = 0; i < digits; i++) {
        int value = hex_value(char_at(lexer, lexer->at));
        if (value < 0)
            return fail_at(ctx, sqlstate, lexer->at, "invalid Unicode escape");
        *out_code = *out_code << 4 | (uint32_t)value;
        lexer->at++;
    }
    return KD_OK;
}

/* The second half of a surrogate pair, written with the same escape form. */
static kd_status join_surrogates(kd_ctx *ctx, size_t position, uint32_t low, uint32_t *io_code)
{
    if (low < 0xDC00 || low > 0xDFFF)
        return fail_at(ctx, "42601", position, "invalid Unicode surrogate pair");
    *io_code = 0x10000 + ((*io_code - 0xD800) << 10) + (low - 0xDC00);
    return KD_OK;
}

/* lexer->at is after the backslash of an E'' string. */
static kd_status append_unicode_escape(kd_ctx *ctx, kdi_lexer *lexer, kd_buffer *out)
{
    size_t position = lexer->at - 1;
    bool is_long = char_at(lexer, lexer->at) == 'U';
    uint32_t code;
    lexer->at++;
    KD_TRY(read_hex(ctx, lexer, is_long ? 8 : 4, "22025", &code));
    if (code >= 0xD800 && code <= 0xDBFF) {
        char mark = char_at(lexer, lexer->at + 1);
        if (char_at(lexer, lexer->at) != '\\' || (mark | 0x20) != 'u')
            return fail_at(ctx, "42601", position, "invalid Unicode surrogate pair");
        lexer->at += 2;
        uint32_t low;
        KD_TRY(read_hex(ctx, lexer, mark == 'U' ? 8 : 4, "22025", &low));
        KD_TRY(join_surrogates(ctx, position, low, &code));
    }
    return append_code_point(ctx, out, code, position);
}

static kd_status append_escape(kd_ctx *ctx, kdi_lexer *lexer, kd_buffer *out)
{
    lexer->at++; /* The backslash. */
    if (lexer->at >= lexer->text.size_bytes)
        return KD_OK; /* The caller reports the missing quote. */
    char c = lexer->text.data[lexer->at];
    if (c == 'u' || c == 'U')
        return append_unicode_escape(ctx, lexer, out);
    if (c >= '0' && c <= '7') {
        unsigned value = 0;
        for (int i = 0; i < 3; i++) {
            char digit = char_at(lexer, lexer->at);
            if (digit < '0' || digit > '7')
                break;
            value = value * 8 + (unsigned)(digit - '0');
            lexer->at++;
        }
        return kd_buffer_append_byte(ctx, out, (uint8_t)value);
    }
    if (c == 'x' && hex_value(char_at(lexer, lexer->at + 1)) >= 0) {
        unsigned value = 0;
        lexer->at++;
        for (int i = 0; i < 2 && hex_value(char_at(lexer, lexer->at)) >= 0; i++)
            value = value * 16 + (unsigned)hex_value(char_at(lexer, lexer->at++));
        return kd_buffer_append_byte(ctx, out, (uint8_t)value);
    }
    static const char from[] = "bfnrtv";
    static const char to[] = "\b\f\n\r\t\v";
    const char *found = strchr(from, c);
    lexer->at++;
    return kd_buffer_append_byte(ctx, out, (uint8_t)(found != NULL ? to[found - from] : c));
}

/* After a closing quote: blanks with a line break in them, then another quote, continue the
 * string. Moves to that quote and gives true; else leaves the lexer where it is. */
static bool continues(kdi_lexer *lexer)
{
    size_t at = lexer->at;
    bool line_break = false;
    for (;; at++) {
        char c = char_at(lexer, at);
        if (c == '\n' || c == '\r') {
            line_break = true;
        } else if (c == '-' && char_at(lexer, at + 1) == '-') {
            while (at + 1 < lexer->text.size_bytes && lexer->text.data[at + 1] != '\n' &&
                   lexer->text.data[at + 1] != '\r')
                at++;
        } else if (c != ' ' && c != '\t' && c != '\f' && c != '\v') {
            break;
        }
    }
    if (!line_break || char_at(lexer, at) != '\'')
        return false;
    lexer->at = at;
    return true;
}

/* Reads from the opening quote through the closing one (and continuations). */
static kd_status read_body(kd_ctx *ctx, kdi_lexer *lexer, char quote, bool has_escapes,
                           kd_slice *out_text)
{
    *out_text = (kd_slice){NULL, 0};
    size_t start = lexer->at;
    kd_buffer buffer = kd_buffer_in(lexer->arena);
    bool is_copied = false;
    lexer->at++;
    size_t piece = lexer->at;
    for (;;) {
        const char *data = lexer->text.data;
        while (lexer->at < lexer->text.size_bytes && data[lexer->at] != quote &&
               !(has_escapes && data[lexer->at] == '\\'))
            lexer->at++;
        if (lexer->at >= lexer->text.size_bytes)
            return fail_at(ctx, "42601", start,
                           quote == '"' ? "unterminated quoted identifier"
                                        : "unterminated quoted string");
        kd_slice part = {data + piece, lexer->at - piece};
        bool is_doubled = data[lexer->at] == quote && char_at(lexer, lexer->at + 1) == quote;
        if (data[lexer->at] == '\\' || is_doubled) {
            KD_TRY(kd_buffer_append_slice(ctx, &buffer, part));
            is_copied = true;
            if (is_doubled) {
                KD_TRY(kd_buffer_append_byte(ctx, &buffer, (uint8_t)quote));
                lexer->at += 2;
            } else {
                KD_TRY(append_escape(ctx, lexer, &buffer));
            }
            piece = lexer->at;
            continue;
        }
        lexer->at++;
        bool goes_on = quote == '\'' && continues(lexer);
        if (!goes_on && !is_copied) {
            *out_text = part;
            return KD_OK;
        }
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, part));
        is_copied = true;
        if (!goes_on)
            break;
        lexer->at++;
        piece = lexer->at;
    }
    *out_text = kd_buffer_slice(&buffer);
    return has_escapes ? kdi_check_utf8(ctx, *out_text, (int32_t)start) : KD_OK;
}

/* An optional UESCAPE 'c' after a U& token. */
static kd_status read_uescape(kd_ctx *ctx, kdi_lexer *lexer, char *out_escape)
{
    *out_escape = '\\';
    kdi_lexer ahead = *lexer;
    kdi_token token;
    kdi_lexer_next(ctx, &ahead, &token);
    if (token.kind == TOKEN_ERROR)
        return ctx->error.status;
    if (token.keyword != KW_UESCAPE)
        return KD_OK;
    kdi_lexer_next(ctx, &ahead, &token);
    if (token.kind == TOKEN_ERROR)
        return ctx->error.status;
    if (token.kind != TOKEN_STRING)
        return fail_at(ctx, "42601", (size_t)token.position,
                       "UESCAPE must be followed by a simple string literal");
    char c = token.text.size_bytes == 1 ? token.text.data[0] : '\'';
    if (hex_value(c) >= 0 || strchr("+'\" \t\n\r\f\v", c) != NULL)
        return fail_at(ctx, "42601", (size_t)token.position, "invalid Unicode escape character");
    *out_escape = c;
    lexer->at = ahead.at;
    return KD_OK;
}

static kd_status read_unicode_code(kd_ctx *ctx, kdi_lexer *in, uint32_t *out_code)
{
    bool is_long = char_at(in, in->at) == '+';
    if (is_long)
        in->at++;
    return read_hex(ctx, in, is_long ? 6 : 4, "42601", out_code);
}

static kd_status unescape_unicode(kd_ctx *ctx, kdi_lexer *lexer, size_t position, kd_slice *io_text)
{
    char escape;
    KD_TRY(read_uescape(ctx, lexer, &escape));
    if (io_text->size_bytes == 0 || memchr(io_text->data, escape, io_text->size_bytes) == NULL)
        return KD_OK;
    kdi_lexer in = {.arena = lexer->arena, .text = *io_text};
    kd_buffer out = kd_buffer_in(lexer->arena);
    while (in.at < in.text.size_bytes) {
        char c = in.text.data[in.at++];
        if (c != escape || char_at(&in, in.at) == escape) {
            in.at += c == escape;
            KD_TRY(kd_buffer_append_byte(ctx, &out, (uint8_t)c));
            continue;
        }
        uint32_t code = 0;
        kd_status status = read_unicode_code(ctx, &in, &code);
        if (status == KD_OK && code >= 0xD800 && code <= 0xDBFF) {
            uint32_t low = 0;
            if (char_at(&in, in.at) == escape) {
                in.at++;
                status = read_unicode_code(ctx, &in, &low);
            }
            if (status == KD_OK)
                status = join_surrogates(ctx, position, low, &code);
        }
        if (status == KD_OK)
            status = append_code_point(ctx, &out, code, position);
        if (status != KD_OK) {
            ctx->error.position = (int)position; /* Offsets inside the value mean nothing. */
            return status;
        }
    }
    *io_text = kd_buffer_slice(&out);
    return KD_OK;
}

static kd_status lex_bits(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    size_t start = lexer->at;
    char kind = (char)(lexer->text.data[start] | 0x20);
    lexer->at++;
    kd_slice body;
    KD_TRY(read_body(ctx, lexer, '\'', false, &body));
    char *text = kd_alloc_raw(ctx, lexer->arena, body.size_bytes + 1);
    if (text == NULL)
        return KD_NOMEM;
    text[0] = kind;
    for (size_t i = 0; i < body.size_bytes; i++) {
        char c = body.data[i];
        if (kind == 'b' ? c != '0' && c != '1' : hex_value(c) < 0)
            return fail_at(ctx, "22P02", start,
                           kd_format_text(ctx, lexer->arena, "\"%c\" is not a valid %s digit", c,
                                          kind == 'b' ? "binary" : "hexadecimal"));
        text[i + 1] = c;
    }
    token->kind = TOKEN_BITS;
    token->text = (kd_slice){text, body.size_bytes + 1};
    return KD_OK;
}

kd_status kdi_lex_quoted(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    size_t start = lexer->at;
    char first = lexer->text.data[start];
    bool is_unicode = (first | 0x20) == 'u';
    if ((first | 0x20) == 'b' || (first | 0x20) == 'x')
        return lex_bits(ctx, lexer, token);
    if ((first | 0x20) == 'n') {
        /* N'...' is the type nchar before a string. */
        lexer->at++;
        token->kind = TOKEN_KEYWORD;
        token->keyword = KW_NCHAR;
        token->text = kdi_keyword_text(KW_NCHAR);
        return KD_OK;
    }
    if (is_unicode)
        lexer->at += 2;
    else if (first != '\'' && first != '"')
        lexer->at++;
    char quote = lexer->text.data[lexer->at];
    bool has_escapes = (first | 0x20) == 'e';
    KD_TRY(read_body(ctx, lexer, quote, has_escapes, &token->text));
    if (is_unicode)
        KD_TRY(unescape_unicode(ctx, lexer, start, &token->text));
    token->kind = quote == '"' ? TOKEN_QUOTED_IDENT : TOKEN_STRING;
    if (token->kind == TOKEN_QUOTED_IDENT) {
        if (token->text.size_bytes == 0)
            return fail_at(ctx, "42601", start,
                           "zero-length delimited identifier at or near \"\"\"\"");
        token->text.size_bytes = kdi_name_clip(token->text.data, token->text.size_bytes);
    }
    return KD_OK;
}

kd_status kdi_lex_dollar(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token)
{
    size_t start = lexer->at;
    size_t at = start + 1;
    while (at < lexer->text.size_bytes) {
        uint8_t c = (uint8_t)lexer->text.data[at];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 128;
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !(is_digit && at > start + 1))
            break;
        at++;
    }
    if (char_at(lexer, at) != '$')
        return fail_at(ctx, "42601", start, "syntax error at or near \"$\"");
    const char *tag = lexer->text.data + start;
    size_t tag_bytes = at + 1 - start;
    const char *body = tag + tag_bytes;
    size_t left = lexer->text.size_bytes - (at + 1);
    const char *end = memmem(body, left, tag, tag_bytes);
    if (end == NULL)
        return fail_at(ctx, "42601", start, "unterminated dollar-quoted string");
    token->kind = TOKEN_STRING;
    token->text = (kd_slice){body, (size_t)(end - body)};
    lexer->at = (size_t)(end - lexer->text.data) + tag_bytes;
    return KD_OK;
}
