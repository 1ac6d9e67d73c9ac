/*
 * The JSON pull parser, and operations on JSON text.
 */
#include "types/json.h"

#include "types/utf8.h"

#include <assert.h>

enum {
    EXPECT_VALUE = 0,
    EXPECT_ELEMENT_OR_END, /* After '['. */
    EXPECT_KEY_OR_END,     /* After '{'. */
    EXPECT_KEY,            /* After ',' in an object. */
    EXPECT_COMMA_OR_END,   /* After a value inside a container. */
    EXPECT_NOTHING,        /* The outermost value is over. */
};

void kd_json_parser_init(kd_json_parser *parser, kd_slice text)
{
    parser->text = text;
    parser->offset = 0;
    parser->token = (kd_slice){text.data, 0};
    parser->token_offset = 0;
    parser->token_has_escape = false;
    parser->depth = 0;
    parser->expect = EXPECT_VALUE;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_byte(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool in_object(const kd_json_parser *parser)
{
    uint32_t level = parser->depth - 1;
    return (parser->is_object[level / 64] >> (level % 64)) & 1;
}

static void blanks_skip(kd_json_parser *parser)
{
    while (parser->offset < parser->text.size_bytes) {
        char c = parser->text.data[parser->offset];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            break;
        parser->offset++;
    }
}

/* ---- Failures, with PostgreSQL's details ---- */

static kd_status fail_syntax(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type json");
}

/* The token at `offset`, as a message shows it. */
static kd_slice token_at(const kd_json_parser *parser, size_t offset)
{
    const char *at = parser->text.data + offset;
    size_t left = parser->text.size_bytes - offset;
    size_t size = 0;
    if (left > 0 && *at == '"') {
        for (size = 1; size < left && at[size] != '"';)
            size += at[size] == '\\' && size + 1 < left ? 2 : 1;
        size += size < left;
    } else {
        while (size < left && (is_word_byte(at[size]) || at[size] == '-' || at[size] == '+' ||
                               (size > 0 && at[size] == '.')))
            size++;
        size += size == 0 && left > 0;
    }
    /* A message's text must be text. */
    size = size > 100 ? 100 : size;
    kd_slice token = {at, size};
    size_t good;
    if (!kd_utf8_is_valid(token, &good))
        token.size_bytes = good;
    return token;
}

static kd_status fail_expected(kd_ctx *ctx, const kd_json_parser *parser, const char *what)
{
    kd_status status = fail_syntax(ctx);
    if (parser->offset >= parser->text.size_bytes) {
        kd_error_set_detail(ctx, "The input string ended unexpectedly.");
        return status;
    }
    kd_slice token = token_at(parser, parser->offset);
    kd_error_set_detail(ctx, "Expected %s, but found \"%.*s\".", what, (int)token.size_bytes,
                        token.data);
    return status;
}

static kd_status fail_token(kd_ctx *ctx, const kd_json_parser *parser, size_t offset)
{
    kd_status status = fail_syntax(ctx);
    kd_slice token = token_at(parser, offset);
    kd_error_set_detail(ctx, "Token \"%.*s\" is invalid.", (int)token.size_bytes, token.data);
    return status;
}

/* ---- Tokens ---- */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool hex4(const char *at, size_t left, uint32_t *out)
{
    uint32_t value = 0;
    if (left < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return false;
        value = value * 16 + (uint32_t)digit;
    }
    *out = value;
    return true;
}

static kd_status escape_scan(kd_ctx *ctx, kd_json_parser *parser)
{
    const char *at = parser->text.data + parser->offset;
    size_t left = parser->text.size_bytes - parser->offset;
    if (left < 2) {
        parser->offset = parser->text.size_bytes;
        return fail_expected(ctx, parser, "");
    }
    if (at[1] == 'u') {
        uint32_t unit;
        if (!hex4(at + 2, left - 2, &unit)) {
            kd_status status = fail_syntax(ctx);
            kd_error_set_detail(ctx, "\"\\u\" must be followed by four hexadecimal digits.");
            return status;
        }
        parser->offset += 6;
        return KD_OK;
    }
    if (memchr("\"\\/bfnrt", at[1], 8) == NULL) {
        kd_status status = fail_syntax(ctx);
        kd_error_set_detail(ctx, "Escape sequence \"\\%c\" is invalid.",
                            at[1] >= ' ' && at[1] < 127 ? at[1] : '?');
        return status;
    }
    parser->offset += 2;
    return KD_OK;
}

/* Bytes from `at` that need no look: no quote, backslash, control; eight at a time. */
static size_t plain_string_prefix(const char *at, size_t left)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    size_t done = 0;
    for (; left - done >= 8; done += 8) {
        uint64_t word = kd_load_u64(at + done);
        uint64_t quote = word ^ (ones * '"');
        uint64_t slash = word ^ (ones * '\\');
        uint64_t stops =
            ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word);
        if ((stops & highs) != 0)
            break;
    }
    return done;
}

static kd_status string_scan(kd_ctx *ctx, kd_json_parser *parser)
{
    parser->token_offset = parser->offset++;
    parser->token_has_escape = false;
    size_t start = parser->offset;
    for (;;) {
        const char *data = parser->text.data;
        parser->offset +=
            plain_string_prefix(data + parser->offset, parser->text.size_bytes - parser->offset);
        if (parser->offset >= parser->text.size_bytes)
            return fail_expected(ctx, parser, "");
        unsigned char c = (unsigned char)data[parser->offset];
        if (c == '"')
            break;
        if (c == '\\') {
            parser->token_has_escape = true;
            KD_TRY(escape_scan(ctx, parser));
        } else if (c < 0x20) {
            kd_status status = fail_syntax(ctx);
            kd_error_set_detail(ctx, "Character with value 0x%02x must be escaped.", c);
            return status;
        } else {
            parser->offset++;
        }
    }
    parser->token = (kd_slice){parser->text.data + start, parser->offset - start};
    parser->offset++;
    return kd_utf8_check(ctx, parser->token);
}

static size_t digits_scan(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_digit(*at))
        at++;
    return (size_t)(at - start);
}

static kd_status number_scan(kd_ctx *ctx, kd_json_parser *parser)
{
    const char *start = parser->text.data + parser->offset;
    const char *end = parser->text.data + parser->text.size_bytes;
    const char *at = start + (*start == '-');
    size_t whole = digits_scan(at, end);
    bool is_right = whole == 1 || (whole > 1 && *at != '0');
    at += whole;
    if (is_right && at < end && *at == '.') {
        size_t fraction = digits_scan(++at, end);
        is_right = fraction > 0;
        at += fraction;
    }
    if (is_right && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        size_t exponent = digits_scan(at, end);
        is_right = exponent > 0;
        at += exponent;
    }
    if (!is_right || (at < end && (is_word_byte(*at) || *at == '.')))
        return fail_token(ctx, parser, parser->offset);
    parser->token_offset = parser->offset;
    parser->token = (kd_slice){start, (size_t)(at - start)};
    parser->offset += (size_t)(at - start);
    return KD_OK;
}

static kd_status literal_scan(kd_ctx *ctx, kd_json_parser *parser, kd_json_event *out)
{
    static const struct {
        const char *word;
        kd_json_event event;
    } literals[3] = {{"null", KD_JSON_NULL}, {"true", KD_JSON_TRUE}, {"false", KD_JSON_FALSE}};
    size_t size = 0;
    const char *at = parser->text.data + parser->offset;
    while (parser->offset + size < parser->text.size_bytes && is_word_byte(at[size]))
        size++;
    for (int i = 0; i < 3; i++) {
        if (kd_slice_equal((kd_slice){at, size}, kd_slice_of(literals[i].word))) {
            parser->token_offset = parser->offset;
            parser->token = (kd_slice){at, size};
            parser->offset += size;
            *out = literals[i].event;
            return KD_OK;
        }
    }
    return fail_token(ctx, parser, parser->offset);
}

/* ---- Grammar ---- */

static void value_is_over(kd_json_parser *parser)
{
    parser->expect = parser->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static kd_status container_begin(kd_ctx *ctx, kd_json_parser *parser, bool is_object,
                                 kd_json_event *out)
{
    if (parser->depth == KD_JSON_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "JSON is nested deeper than %d levels",
                       KD_JSON_DEPTH_MAX);
    uint32_t level = parser->depth++;
    uint64_t bit = (uint64_t)1 << (level % 64);
    uint64_t *word = &parser->is_object[level / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    parser->token_offset = parser->offset++;
    parser->expect = is_object ? EXPECT_KEY_OR_END : EXPECT_ELEMENT_OR_END;
    *out = is_object ? KD_JSON_OBJECT_BEGIN : KD_JSON_ARRAY_BEGIN;
    return KD_OK;
}

static kd_status container_end(kd_json_parser *parser, kd_json_event *out)
{
    *out = in_object(parser) ? KD_JSON_OBJECT_END : KD_JSON_ARRAY_END;
    parser->depth--;
    parser->token_offset = parser->offset++;
    value_is_over(parser);
    return KD_OK;
}

static kd_status value_next(kd_ctx *ctx, kd_json_parser *parser, char c, kd_json_event *out)
{
    if (c == '{' || c == '[')
        return container_begin(ctx, parser, c == '{', out);
    if (c == '"') {
        KD_TRY(string_scan(ctx, parser));
        *out = KD_JSON_STRING;
    } else if (c == '-' || is_digit(c)) {
        KD_TRY(number_scan(ctx, parser));
        *out = KD_JSON_NUMBER;
    } else if (is_word_byte(c)) {
        KD_TRY(literal_scan(ctx, parser, out));
    } else if (memchr("]},:", c, 4) != NULL) {
        return fail_expected(ctx, parser,
                             parser->expect == EXPECT_ELEMENT_OR_END ? "array element or \"]\""
                                                                     : "JSON value");
    } else {
        return fail_token(ctx, parser, parser->offset);
    }
    value_is_over(parser);
    return KD_OK;
}

static kd_status key_next(kd_ctx *ctx, kd_json_parser *parser, kd_json_event *out)
{
    KD_TRY(string_scan(ctx, parser));
    blanks_skip(parser);
    if (parser->offset >= parser->text.size_bytes || parser->text.data[parser->offset] != ':')
        return fail_expected(ctx, parser, "\":\"");
    parser->offset++;
    parser->expect = EXPECT_VALUE;
    *out = KD_JSON_KEY;
    return KD_OK;
}

kd_status kd_json_next(kd_ctx *ctx, kd_json_parser *parser, kd_json_event *out)
{
    *out = KD_JSON_END;
    for (;;) {
        blanks_skip(parser);
        bool is_over = parser->offset >= parser->text.size_bytes;
        char c = is_over ? '\0' : parser->text.data[parser->offset];
        switch (parser->expect) {
        case EXPECT_NOTHING:
            return is_over ? KD_OK : fail_expected(ctx, parser, "end of input");
        case EXPECT_COMMA_OR_END: {
            bool object = in_object(parser);
            if (!is_over && c == (object ? '}' : ']'))
                return container_end(parser, out);
            if (is_over || c != ',')
                return fail_expected(ctx, parser, object ? "\",\" or \"}\"" : "\",\" or \"]\"");
            parser->offset++;
            parser->expect = object ? EXPECT_KEY : EXPECT_VALUE;
            continue;
        }
        case EXPECT_KEY_OR_END:
        case EXPECT_KEY:
            if (!is_over && c == '"')
                return key_next(ctx, parser, out);
            if (!is_over && c == '}' && parser->expect == EXPECT_KEY_OR_END)
                return container_end(parser, out);
            return fail_expected(ctx, parser,
                                 parser->expect == EXPECT_KEY ? "string" : "string or \"}\"");
        case EXPECT_ELEMENT_OR_END:
            if (!is_over && c == ']')
                return container_end(parser, out);
            break;
        default:
            break;
        }
        if (is_over)
            return fail_expected(ctx, parser, "");
        return value_next(ctx, parser, c, out);
    }
}

kd_status kd_json_skip(kd_ctx *ctx, kd_json_parser *parser, kd_json_event event)
{
    if (event != KD_JSON_ARRAY_BEGIN && event != KD_JSON_OBJECT_BEGIN)
        return KD_OK;
    uint32_t depth = parser->depth;
    while (parser->depth >= depth)
        KD_TRY(kd_json_next(ctx, parser, &event));
    return KD_OK;
}

kd_status kd_json_check(kd_ctx *ctx, kd_slice text)
{
    kd_json_parser parser;
    kd_json_parser_init(&parser, text);
    kd_json_event event;
    do
        KD_TRY(kd_json_next(ctx, &parser, &event));
    while (event != KD_JSON_END);
    return KD_OK;
}

/* ---- Strings ---- */

static kd_status fail_surrogate(kd_ctx *ctx, const char *detail)
{
    kd_status status = fail_syntax(ctx);
    kd_error_set_detail(ctx, "%s", detail);
    return status;
}

/* The character of a \u escape at `at` ("\uXXXX..."), joining a surrogate pair. */
static kd_status unicode_unescape(kd_ctx *ctx, const char *at, size_t left, uint32_t *out_point,
                                  size_t *out_taken)
{
    uint32_t unit;
    *out_taken = 6;
    if (!hex4(at + 2, left - 2, &unit))
        return fail_surrogate(ctx, "\"\\u\" must be followed by four hexadecimal digits.");
    *out_point = unit;
    if (unit == 0) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22P05", "unsupported Unicode escape sequence");
        kd_error_set_detail(ctx, "\\u0000 cannot be converted to text.");
        return status;
    }
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return fail_surrogate(ctx, "Unicode low surrogate must follow a high surrogate.");
    if (unit < 0xd800 || unit > 0xdbff)
        return KD_OK;
    uint32_t low;
    if (left < 12 || at[6] != '\\' || at[7] != 'u' || !hex4(at + 8, left - 8, &low) ||
        low < 0xdc00 || low > 0xdfff)
        return fail_surrogate(ctx, "Unicode low surrogate must follow a high surrogate.");
    *out_taken = 12;
    *out_point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return KD_OK;
}

kd_status kd_json_unescape(kd_ctx *ctx, kd_arena *arena, kd_slice token, bool has_escape,
                           kd_slice *out)
{
    *out = token;
    if (!has_escape)
        return KD_OK;
    *out = (kd_slice){"", 0};
    char *bytes = kd_alloc_raw(ctx, arena, token.size_bytes + 4); /* Never longer than escaped. */
    if (bytes == NULL)
        return KD_NOMEM;
    size_t size = 0;
    for (size_t i = 0; i < token.size_bytes;) {
        const char *at = token.data + i;
        if (*at != '\\' || token.size_bytes - i < 2) {
            bytes[size++] = *at;
            i++;
            continue;
        }
        if (at[1] == 'u') {
            uint32_t code_point = 0;
            size_t taken;
            KD_TRY(unicode_unescape(ctx, at, token.size_bytes - i, &code_point, &taken));
            size += kd_utf8_encode(code_point, bytes + size);
            i += taken;
            continue;
        }
        static const char names[] = "bfnrt";
        static const char values[] = "\b\f\n\r\t";
        const char *name = strchr(names, at[1]);
        bytes[size++] = name == NULL ? at[1] : values[name - names];
        i += 2;
    }
    *out = (kd_slice){bytes, size};
    return KD_OK;
}

kd_status kd_json_append_string(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    static const char hex[] = "0123456789abcdef";
    char *start;
    KD_TRY(kd_buffer_reserve(ctx, out, text.size_bytes * 6 + 2, &start));
    char *at = start;
    *at++ = '"';
    for (size_t i = 0; i < text.size_bytes;) {
        size_t plain = plain_string_prefix(text.data + i, text.size_bytes - i);
        memcpy(at, text.data + i, plain);
        at += plain;
        i += plain;
        if (i == text.size_bytes)
            break;
        unsigned char c = (unsigned char)text.data[i++];
        static const char controls[] = "\b\f\n\r\t\"\\";
        static const char names[] = "bfnrt\"\\";
        const char *control = c == 0 ? NULL : strchr(controls, c);
        if (control != NULL) {
            *at++ = '\\';
            *at++ = names[control - controls];
        } else if (c < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = hex[c >> 4];
            at[5] = hex[c & 15];
            at += 6;
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    out->size_bytes += (size_t)(at - start);
    out->data[out->size_bytes] = '\0';
    return KD_OK;
}

/* ---- Operators on text ---- */

/* The text of the value that `event` began, to its end. */
static kd_status value_text(kd_ctx *ctx, kd_json_parser *parser, kd_json_event event, kd_slice *out)
{
    size_t start = parser->token_offset;
    KD_TRY(kd_json_skip(ctx, parser, event));
    *out = (kd_slice){parser->text.data + start, parser->offset - start};
    return KD_OK;
}

kd_status kd_json_get_field(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice key,
                            bool *out_found, kd_slice *out_value)
{
    *out_found = false;
    *out_value = (kd_slice){"", 0};
    kd_json_parser parser;
    kd_json_parser_init(&parser, text);
    kd_json_event event;
    KD_TRY(kd_json_next(ctx, &parser, &event));
    if (event != KD_JSON_OBJECT_BEGIN)
        return KD_OK;
    for (;;) {
        KD_TRY(kd_json_next(ctx, &parser, &event));
        if (event != KD_JSON_KEY)
            return KD_OK;
        kd_slice name;
        KD_TRY(kd_json_unescape(ctx, arena, parser.token, parser.token_has_escape, &name));
        bool matches = kd_slice_equal(name, key);
        kd_slice value;
        KD_TRY(kd_json_next(ctx, &parser, &event));
        KD_TRY(value_text(ctx, &parser, event, &value));
        if (matches) {
            *out_found = true;
            *out_value = value;
        }
    }
}

static kd_status element_count(kd_ctx *ctx, kd_slice text, int64_t *out)
{
    kd_json_parser parser;
    kd_json_parser_init(&parser, text);
    kd_json_event event;
    *out = 0;
    KD_TRY(kd_json_next(ctx, &parser, &event));
    for (;;) {
        KD_TRY(kd_json_next(ctx, &parser, &event));
        if (event == KD_JSON_ARRAY_END)
            return KD_OK;
        KD_TRY(kd_json_skip(ctx, &parser, event));
        ++*out;
    }
}

kd_status kd_json_get_element(kd_ctx *ctx, kd_slice text, int64_t index, bool *out_found,
                              kd_slice *out_value)
{
    *out_found = false;
    *out_value = (kd_slice){"", 0};
    kd_json_parser parser;
    kd_json_parser_init(&parser, text);
    kd_json_event event;
    KD_TRY(kd_json_next(ctx, &parser, &event));
    if (event != KD_JSON_ARRAY_BEGIN)
        return KD_OK;
    if (index < 0) {
        int64_t count;
        KD_TRY(element_count(ctx, text, &count));
        index += count;
    }
    for (int64_t i = 0; index >= 0; i++) {
        KD_TRY(kd_json_next(ctx, &parser, &event));
        if (event == KD_JSON_ARRAY_END)
            return KD_OK;
        KD_TRY(value_text(ctx, &parser, event, out_value));
        *out_found = i == index;
        if (*out_found)
            return KD_OK;
    }
    return KD_OK;
}

kd_status kd_json_as_text(kd_ctx *ctx, kd_arena *arena, kd_slice value, bool *out_is_null,
                          kd_slice *out_text)
{
    *out_is_null = false;
    *out_text = value;
    kd_json_parser parser;
    kd_json_parser_init(&parser, value);
    kd_json_event event;
    KD_TRY(kd_json_next(ctx, &parser, &event));
    *out_is_null = event == KD_JSON_NULL;
    if (event != KD_JSON_STRING)
        return KD_OK;
    return kd_json_unescape(ctx, arena, parser.token, parser.token_has_escape, out_text);
}

const char *kd_json_typeof(kd_slice text)
{
    size_t at = 0;
    while (at < text.size_bytes && memchr(" \n\t\r", text.data[at], 4) != NULL)
        at++;
    switch (at < text.size_bytes ? text.data[at] : 'n') {
    case '{':
        return "object";
    case '[':
        return "array";
    case '"':
        return "string";
    case 't':
    case 'f':
        return "boolean";
    case 'n':
        return "null";
    default:
        return "number";
    }
}
