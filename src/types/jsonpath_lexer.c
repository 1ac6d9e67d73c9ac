/*
 * Cuts a path into tokens: names and strings with their escapes, numbers, operators, comments.
 */
#include "types/jsonpath_lexer_internal.h"

#include <string.h>

static char char_at(const kdi_jsonpath_lexer *lexer, size_t at)
{
    return at < lexer->text.size_bytes ? lexer->text.data[at] : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether the character goes on a name: all but blanks and those that mean something. */
static bool is_name(char c)
{
    return c != '\0' && !is_blank(c) && strchr("?%$.[]{}()|&!=<>@#,*:-+/\\\"", c) == NULL;
}

kd_status kdi_jsonpath_error(kd_ctx *ctx, const kdi_jsonpath_lexer *lexer, const char *message)
{
    if (lexer->start >= lexer->text.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "42601", "%s at end of jsonpath input", message);
    size_t size = lexer->at > lexer->start ? lexer->at - lexer->start : 1;
    /* Not in the middle of a character. */
    while (lexer->start + size < lexer->text.size_bytes &&
           ((uint8_t)lexer->text.data[lexer->start + size] & 0xc0) == 0x80)
        size++;
    return KD_FAIL(ctx, KD_INVALID, "42601", "%s at or near \"%.*s\" of jsonpath input", message,
                   (int)size, lexer->text.data + lexer->start);
}

/* ---- Escapes ---- */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `count_min` to `count_max` hexadecimal digits. */
static bool take_hex(kdi_jsonpath_lexer *lexer, int count_min, int count_max, uint32_t *out)
{
    int count = 0;
    *out = 0;
    for (; count < count_max && hex_value(char_at(lexer, lexer->at)) >= 0; count++)
        *out = *out << 4 | (uint32_t)hex_value(char_at(lexer, lexer->at++));
    return count >= count_min;
}

/* After "\u": XXXX or {X..XXXXXX}. */
static bool take_code(kdi_jsonpath_lexer *lexer, uint32_t *out)
{
    if (char_at(lexer, lexer->at) != '{')
        return take_hex(lexer, 4, 4, out);
    lexer->at++;
    return take_hex(lexer, 1, 6, out) && char_at(lexer, lexer->at++) == '}';
}

static kd_status append_code(kd_ctx *ctx, uint32_t code, kd_buffer *out)
{
    char bytes[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[size] | code);
    return kd_buffer_append(ctx, out, bytes, size);
}

static kd_status unicode_escape(kd_ctx *ctx, kdi_jsonpath_lexer *lexer, kd_buffer *out)
{
    uint32_t code, low;
    if (!take_code(lexer, &code))
        return kdi_jsonpath_error(ctx, lexer, "invalid Unicode escape sequence");
    if (code >= 0xd800 && code <= 0xdbff) {
        bool paired = char_at(lexer, lexer->at) == '\\' && char_at(lexer, lexer->at + 1) == 'u';
        lexer->at += paired ? 2 : 0;
        if (!paired || !take_code(lexer, &low) || low < 0xdc00 || low > 0xdfff)
            return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type jsonpath");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0)
        return KD_FAIL(ctx, KD_INVALID, "22P05", "unsupported Unicode escape sequence");
    if (code > 0x10ffff || (code >= 0xdc00 && code <= 0xdfff))
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type jsonpath");
    return append_code(ctx, code, out);
}

/* lexer->at is behind the backslash. */
static kd_status take_escape(kd_ctx *ctx, kdi_jsonpath_lexer *lexer, kd_buffer *out)
{
    static const char letters[] = "bfnrtv", meant[] = "\b\f\n\r\t\v";
    char c = char_at(lexer, lexer->at);
    uint32_t code;
    if (lexer->at >= lexer->text.size_bytes)
        return kdi_jsonpath_error(ctx, lexer, "unexpected end after backslash");
    lexer->at++;
    if (c == 'u')
        return unicode_escape(ctx, lexer, out);
    if (c == 'x') {
        if (!take_hex(lexer, 2, 2, &code))
            return kdi_jsonpath_error(ctx, lexer, "invalid hexadecimal character sequence");
        if (code == 0)
            return KD_FAIL(ctx, KD_INVALID, "22P05", "unsupported Unicode escape sequence");
        return append_code(ctx, code, out);
    }
    const char *letter = strchr(letters, c);
    return kd_buffer_append_byte(
        ctx, out, (uint8_t)(letter != NULL && c != '\0' ? meant[letter - letters] : c));
}

static kd_status take_quoted(kd_ctx *ctx, kdi_jsonpath_lexer *lexer)
{
    kd_buffer text = kd_buffer_in(lexer->arena);
    lexer->at++;
    while (true) {
        if (lexer->at >= lexer->text.size_bytes)
            return kdi_jsonpath_error(ctx, lexer, "unexpected end of quoted string");
        char c = lexer->text.data[lexer->at++];
        if (c == '"')
            break;
        if (c == '\\')
            KD_TRY(take_escape(ctx, lexer, &text));
        else
            KD_TRY(kd_buffer_append_byte(ctx, &text, (uint8_t)c));
    }
    lexer->value = kd_buffer_slice(&text);
    return KD_OK;
}

static kd_status take_name(kd_ctx *ctx, kdi_jsonpath_lexer *lexer)
{
    kd_buffer text = kd_buffer_in(lexer->arena);
    while (lexer->at < lexer->text.size_bytes) {
        char c = lexer->text.data[lexer->at];
        if (c == '\\') {
            lexer->at++;
            KD_TRY(take_escape(ctx, lexer, &text));
        } else if (is_name(c) && !(c == '/' && char_at(lexer, lexer->at + 1) == '*')) {
            KD_TRY(kd_buffer_append_byte(ctx, &text, (uint8_t)c));
            lexer->at++;
        } else {
            break;
        }
    }
    lexer->value = kd_buffer_slice(&text);
    return KD_OK;
}

/* ---- Tokens ---- */

static kd_status take_number(kd_ctx *ctx, kdi_jsonpath_lexer *lexer)
{
    size_t at = lexer->at;
    lexer->kind = PATH_INTEGER;
    if (char_at(lexer, at) == '0')
        at++;
    else
        while (is_digit(char_at(lexer, at)))
            at++;
    if (char_at(lexer, at) == '.') {
        lexer->kind = PATH_NUMBER;
        at++;
        while (is_digit(char_at(lexer, at)))
            at++;
    }
    if ((char_at(lexer, at) | 0x20) == 'e') {
        size_t digits = at + 1;
        digits += char_at(lexer, digits) == '+' || char_at(lexer, digits) == '-';
        if (is_digit(char_at(lexer, digits))) {
            lexer->kind = PATH_NUMBER;
            for (at = digits; is_digit(char_at(lexer, at)); at++)
                ;
        }
    }
    lexer->value = (kd_slice){lexer->text.data + lexer->start, at - lexer->start};
    lexer->at = at;
    if (lexer->kind == PATH_INTEGER && is_digit(char_at(lexer, at))) {
        lexer->at++;
        return kdi_jsonpath_error(ctx, lexer, "trailing junk after numeric literal");
    }
    if (is_name(char_at(lexer, at)) || char_at(lexer, at) == '\\') {
        lexer->at++;
        return kdi_jsonpath_error(ctx, lexer, "trailing junk after numeric literal");
    }
    return KD_OK;
}

static kd_status skip_blanks(kd_ctx *ctx, kdi_jsonpath_lexer *lexer)
{
    while (lexer->at < lexer->text.size_bytes) {
        if (is_blank(lexer->text.data[lexer->at])) {
            lexer->at++;
            continue;
        }
        if (char_at(lexer, lexer->at) != '/' || char_at(lexer, lexer->at + 1) != '*')
            break;
        for (lexer->at += 2;
             char_at(lexer, lexer->at) != '*' || char_at(lexer, lexer->at + 1) != '/'; lexer->at++)
            if (lexer->at >= lexer->text.size_bytes) {
                lexer->start = lexer->at;
                return kdi_jsonpath_error(ctx, lexer, "unexpected end of comment");
            }
        lexer->at += 2;
    }
    return KD_OK;
}

static const struct {
    char text[3];
    int kind;
} operators[] = {
    {"==", PATH_EQUAL},      {"!=", PATH_NOT_EQUAL},     {"<>", PATH_NOT_EQUAL},
    {"<=", PATH_LESS_EQUAL}, {">=", PATH_GREATER_EQUAL}, {"&&", PATH_AND},
    {"||", PATH_OR},         {"**", PATH_ANY},
};

static bool take_operator(kdi_jsonpath_lexer *lexer)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t size = strlen(operators[i].text);
        if (lexer->at + size <= lexer->text.size_bytes &&
            memcmp(lexer->text.data + lexer->at, operators[i].text, size) == 0) {
            lexer->kind = operators[i].kind;
            lexer->at += size;
            return true;
        }
    }
    return false;
}

kd_status kdi_jsonpath_advance(kd_ctx *ctx, kdi_jsonpath_lexer *lexer)
{
    KD_TRY(skip_blanks(ctx, lexer));
    lexer->start = lexer->at;
    lexer->value = (kd_slice){"", 0};
    lexer->kind = PATH_END;
    if (lexer->at >= lexer->text.size_bytes)
        return KD_OK;
    char c = lexer->text.data[lexer->at], next = char_at(lexer, lexer->at + 1);
    if (is_digit(c) || (c == '.' && is_digit(next)))
        return take_number(ctx, lexer);
    if (c == '"') {
        lexer->kind = PATH_STRING;
        return take_quoted(ctx, lexer);
    }
    if (c == '$' && (next == '"' || next == '\\' || is_name(next))) {
        lexer->kind = PATH_VARIABLE;
        lexer->at++;
        return next == '"' ? take_quoted(ctx, lexer) : take_name(ctx, lexer);
    }
    if (is_name(c) || c == '\\') {
        lexer->kind = PATH_NAME;
        return take_name(ctx, lexer);
    }
    if (!take_operator(lexer)) {
        lexer->kind = (unsigned char)c;
        lexer->at++;
    }
    return KD_OK;
}
