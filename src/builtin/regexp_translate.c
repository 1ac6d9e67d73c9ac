/*
 * From PostgreSQL's advanced regular expressions to PCRE2's.
 *
 * Most of the two is the same. What differs: \m \M \y \Y (words), \A \Z, \B (a
 * backslash), character escapes, the flags in (?...) at the start, [[.x.]], and what
 * PCRE2 adds and PostgreSQL does not have: those are refused, as PostgreSQL does.
 */
#include "builtin/regexp_internal.h"
#include "types/utf8.h"

static kd_status bad(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "2201B", "invalid regular expression: %s", what);
}

static bool set_flag(char letter, kdi_regexp_flags *flags)
{
    switch (letter) {
    case 'i':
        flags->ignore_case = true;
        return true;
    case 'c':
        flags->ignore_case = false;
        return true;
    case 'n':
    case 'm':
        flags->dot_stops = flags->lines = true;
        return true;
    case 'p':
        flags->dot_stops = true;
        flags->lines = false;
        return true;
    case 'w':
        flags->dot_stops = false;
        flags->lines = true;
        return true;
    case 's':
        flags->dot_stops = flags->lines = false;
        return true;
    case 'x':
        flags->expanded = true;
        return true;
    case 't':
        flags->expanded = false;
        return true;
    case 'q':
        flags->literal = true;
        return true;
    case 'b':
    case 'e':
        return true; /* Older syntaxes: read as the newest, which contains most of them. */
    default:
        return false;
    }
}

kd_status kdi_regexp_flags_parse(kd_ctx *ctx, kd_slice text, kdi_regexp_flags *out)
{
    *out = (kdi_regexp_flags){0};
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == 'g') {
            out->global = true;
        } else if (!set_flag(text.data[i], out)) {
            uint32_t width;
            (void)kd_utf8_decode(text.data + i, text.size_bytes - i, &width);
            return KD_FAIL(ctx, KD_INVALID, "22023", "invalid regular expression option: \"%.*s\"",
                           (int)width, text.data + i);
        }
    }
    return KD_OK;
}

static kd_status append_literal(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || ((uint8_t)c & 0x80) != 0;
        if (!is_word)
            KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    return KD_OK;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Hexadecimal digits of \x, \u and \U: as many as there are, or exactly `wanted`. */
static kd_status append_code(kd_ctx *ctx, kd_slice source, size_t *io_at, size_t wanted,
                             kd_buffer *out)
{
    size_t start = *io_at;
    while (*io_at < source.size_bytes && is_hex(source.data[*io_at]) &&
           (wanted == 0 || *io_at - start < wanted))
        (*io_at)++;
    size_t count = *io_at - start;
    if (count == 0 || (wanted > 0 && count != wanted))
        return bad(ctx, "invalid escape \\ sequence");
    return kd_buffer_append_format(ctx, out, "\\x{%.*s}", (int)count, source.data + start);
}

/* The escape at `*io_at`, which is behind the backslash. */
static kd_status translate_escape(kd_ctx *ctx, kd_slice source, size_t *io_at, bool in_brackets,
                                  kd_buffer *out)
{
    static const struct {
        char letter;
        bool in_brackets;
        const char *text;
    } escapes[] = {
        {'a', true, "\\x07"},   {'b', true, "\\x08"},       {'B', true, "\\\\"},
        {'e', true, "\\x1b"},   {'f', true, "\\f"},         {'n', true, "\\n"},
        {'r', true, "\\r"},     {'t', true, "\\t"},         {'v', true, "\\x0b"},
        {'d', true, "0-9"},     {'s', true, "\\s"},         {'w', true, "\\w"},
        {'D', false, "[^0-9]"}, {'S', true, "\\S"},         {'W', true, "\\W"},
        {'A', false, "\\A"},    {'Z', false, "\\z"},        {'y', false, "\\b"},
        {'Y', false, "\\B"},    {'m', false, "\\b(?=\\w)"}, {'M', false, "\\b(?<=\\w)"},
    };
    if (*io_at >= source.size_bytes)
        return bad(ctx, "invalid escape \\ sequence");
    char c = source.data[(*io_at)++];
    for (size_t i = 0; i < KDI_COUNT(escapes); i++) {
        if (escapes[i].letter != c || (in_brackets && !escapes[i].in_brackets))
            continue;
        if (c == 'd' && !in_brackets)
            return kd_buffer_append_text(ctx, out, "[0-9]");
        return kd_buffer_append_text(ctx, out, escapes[i].text);
    }
    if (c == 'x')
        return append_code(ctx, source, io_at, 0, out);
    if (c == 'u')
        return append_code(ctx, source, io_at, 4, out);
    if (c == 'U')
        return append_code(ctx, source, io_at, 8, out);
    if (c == '0')
        return kd_buffer_append_text(ctx, out, "\\x00");
    if (c == 'c' && *io_at < source.size_bytes)
        return kd_buffer_append_format(ctx, out, "\\x%02x", source.data[(*io_at)++] & 0x1f);
    if (c >= '1' && c <= '9' && !in_brackets) {
        KD_TRY(kd_buffer_append_format(ctx, out, "\\g{%c", c));
        while (*io_at < source.size_bytes && source.data[*io_at] >= '0' &&
               source.data[*io_at] <= '9')
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)source.data[(*io_at)++]));
        return kd_buffer_append_byte(ctx, out, '}');
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return bad(ctx, "invalid escape \\ sequence");
    if (((uint8_t)c & 0x80) == 0)
        KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
    return kd_buffer_append_byte(ctx, out, (uint8_t)c);
}

/* "[:alpha:]", "[.x.]", "[=x=]" inside brackets, at its '['. */
static kd_status translate_class(kd_ctx *ctx, kd_slice source, size_t *io_at, kd_buffer *out)
{
    char kind = source.data[*io_at + 1];
    const char close[2] = {kind, ']'};
    const char *from = source.data + *io_at + 2;
    size_t left = source.size_bytes - *io_at - 2;
    const char *end = memmem(from, left, close, 2);
    if (end == NULL)
        return bad(ctx, "brackets [] not balanced");
    kd_slice name = {from, (size_t)(end - from)};
    *io_at += name.size_bytes + 4;
    if (kind != ':') {
        if (kd_utf8_length(name) != 1)
            return bad(ctx, "invalid collating element");
        return append_literal(ctx, name, out);
    }
    return kd_buffer_append_format(ctx, out, "[:%.*s:]", (int)name.size_bytes, name.data);
}

static kd_status translate_brackets(kd_ctx *ctx, kd_slice source, size_t *io_at,
                                    const kdi_regexp_flags *flags, kd_buffer *out)
{
    size_t at = *io_at + 1;
    kd_slice rest = {source.data + *io_at, source.size_bytes - *io_at};
    bool starts_word = rest.size_bytes >= 7 && memcmp(rest.data, "[[:<:]]", 7) == 0;
    if (starts_word || (rest.size_bytes >= 7 && memcmp(rest.data, "[[:>:]]", 7) == 0)) {
        *io_at += 7;
        return kd_buffer_append_text(ctx, out, starts_word ? "\\b(?=\\w)" : "\\b(?<=\\w)");
    }
    KD_TRY(kd_buffer_append_byte(ctx, out, '['));
    bool negated = at < source.size_bytes && source.data[at] == '^';
    if (negated) {
        KD_TRY(kd_buffer_append_text(ctx, out, flags->dot_stops ? "^\\n" : "^"));
        at++;
    }
    for (size_t first = at; at < source.size_bytes && (source.data[at] != ']' || at == first);) {
        char c = source.data[at];
        char next = at + 1 < source.size_bytes ? source.data[at + 1] : 0;
        if (c == '[' && (next == ':' || next == '.' || next == '=')) {
            KD_TRY(translate_class(ctx, source, &at, out));
        } else if (c == '\\') {
            at++;
            KD_TRY(translate_escape(ctx, source, &at, true, out));
        } else {
            if (c == '[' || c == ']')
                KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
            at++;
        }
    }
    if (at >= source.size_bytes)
        return bad(ctx, "brackets [] not balanced");
    *io_at = at + 1;
    return kd_buffer_append_byte(ctx, out, ']');
}

/* What follows '(': only the forms that PostgreSQL has. */
static kd_status check_group(kd_ctx *ctx, kd_slice source, size_t at)
{
    if (at + 1 < source.size_bytes && source.data[at + 1] == '*')
        return bad(ctx, "quantifier operand invalid");
    if (at + 1 >= source.size_bytes || source.data[at + 1] != '?')
        return KD_OK;
    char third = at + 2 < source.size_bytes ? source.data[at + 2] : 0;
    char fourth = at + 3 < source.size_bytes ? source.data[at + 3] : 0;
    if (third == ':' || third == '=' || third == '!' ||
        (third == '<' && (fourth == '=' || fourth == '!')))
        return KD_OK;
    return bad(ctx, "quantifier operand invalid");
}

/* A quantifier at `at` and what may follow it: one '?' makes it lazy, a second one is an error. */
static kd_status translate_quantifier(kd_ctx *ctx, kd_slice source, size_t *io_at,
                                      kdi_regexp_pattern *pattern)
{
    size_t at = *io_at;
    if (source.data[at] == '{') {
        while (at < source.size_bytes && source.data[at] != '}')
            at++;
        if (at == source.size_bytes)
            return bad(ctx, "braces {} not balanced");
    }
    at++;
    if (at < source.size_bytes && source.data[at] == '?') {
        pattern->has_lazy = true;
        at++;
    }
    char next = at < source.size_bytes ? source.data[at] : 0;
    if (next == '*' || next == '+' || next == '?')
        return bad(ctx, "quantifier operand invalid");
    KD_TRY(kd_buffer_append(ctx, &pattern->text, source.data + *io_at, at - *io_at));
    *io_at = at;
    return KD_OK;
}

static kd_status translate_body(kd_ctx *ctx, kd_slice source, const kdi_regexp_flags *flags,
                                kdi_regexp_pattern *pattern)
{
    kd_buffer *out = &pattern->text;
    for (size_t at = 0; at < source.size_bytes;) {
        char c = source.data[at];
        bool brace = c == '{' && at + 1 < source.size_bytes && source.data[at + 1] >= '0' &&
                     source.data[at + 1] <= '9';
        if (c == '\\') {
            at++;
            KD_TRY(translate_escape(ctx, source, &at, false, out));
        } else if (c == '[') {
            KD_TRY(translate_brackets(ctx, source, &at, flags, out));
        } else if (at + 2 < source.size_bytes && memcmp(source.data + at, "(?#", 3) == 0) {
            while (at < source.size_bytes && source.data[at] != ')')
                at++;
            at++;
        } else if (c == '*' || c == '+' || c == '?' || brace) {
            bool of_group = c == '?' && at > 0 && source.data[at - 1] == '(' &&
                            (at < 2 || source.data[at - 2] != '\\');
            if (of_group) {
                KD_TRY(kd_buffer_append_byte(ctx, out, '?'));
                at++;
            } else {
                KD_TRY(translate_quantifier(ctx, source, &at, pattern));
            }
        } else {
            if (c == '(')
                KD_TRY(check_group(ctx, source, at));
            pattern->has_choice |= c == '|';
            if (c == '{')
                KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
            at++;
        }
    }
    return KD_OK;
}

kd_status kdi_regexp_translate(kd_ctx *ctx, kd_slice source, kdi_regexp_flags *io_flags,
                               kdi_regexp_pattern *io_pattern)
{
    if (source.size_bytes >= 4 && memcmp(source.data, "***", 3) == 0) {
        if (source.data[3] != '=' && source.data[3] != ':')
            return bad(ctx, "quantifier operand invalid");
        io_flags->literal |= source.data[3] == '=';
        source.data += 4;
        source.size_bytes -= 4;
    }
    if (!io_flags->literal && source.size_bytes > 3 && memcmp(source.data, "(?", 2) == 0 &&
        source.data[2] >= 'a' && source.data[2] <= 'z') {
        size_t at = 2;
        for (; at < source.size_bytes && source.data[at] != ')'; at++)
            if (!set_flag(source.data[at], io_flags))
                return bad(ctx, "invalid embedded option");
        if (at == source.size_bytes)
            return bad(ctx, "parentheses () not balanced");
        source.data += at + 1;
        source.size_bytes -= at + 1;
    }
    if (io_flags->literal)
        return append_literal(ctx, source, &io_pattern->text);
    return translate_body(ctx, source, io_flags, io_pattern);
}
