/*
 * to_char of numbers and to_number: templates of 9, 0, D, G, S and so on.
 *
 * A template becomes a list of nodes and what they say together (how many places, which signs). A
 * number is first rounded to the template's places and written as plain digits; then the nodes are
 * walked and each place takes its digit. to_number walks the nodes over the input instead.
 */
#include "builtin/signature_internal.h"
#include "types/utf8.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

typedef enum node_kind {
    NODE_TEXT, /* Stands for itself. */
    NODE_NINE,
    NODE_ZERO,
    NODE_POINT,
    NODE_COMMA,
    NODE_CURRENCY, /* A blank: there is no locale. */
    NODE_MINUS,
    NODE_PLUS,
    NODE_SIGN,   /* SG */
    NODE_ANCHOR, /* S: written with the first or the last digit. */
    NODE_BRACKET,
    NODE_ORDINAL,
    NODE_ROMAN,
    NODE_SHIFT, /* V */
    NODE_EXPONENT,
    NODE_FILL,
    NODE_BLANK,
    NODE_NONE, /* Known, without meaning. */
} node_kind;

/* Written in capitals or in small letters. */
static const struct {
    const char *text;
    node_kind kind;
} keywords[] = {
    {"EEEE", NODE_EXPONENT}, {"FM", NODE_FILL},    {"MI", NODE_MINUS}, {"PL", NODE_PLUS},
    {"PR", NODE_BRACKET},    {"RN", NODE_ROMAN},   {"SG", NODE_SIGN},  {"SP", NODE_NONE},
    {"TH", NODE_ORDINAL},    {",", NODE_COMMA},    {".", NODE_POINT},  {"0", NODE_ZERO},
    {"9", NODE_NINE},        {"B", NODE_BLANK},    {"C", NODE_NONE},   {"D", NODE_POINT},
    {"G", NODE_COMMA},       {"L", NODE_CURRENCY}, {"S", NODE_ANCHOR}, {"V", NODE_SHIFT},
};

typedef struct node {
    uint8_t kind;
    bool is_small;
    kd_slice text;
} node;

typedef enum anchor { ANCHOR_NONE = 0, ANCHOR_FIRST, ANCHOR_LAST } anchor;

typedef struct number_template {
    node *nodes;
    size_t count;
    int before;        /* Places before the point, */
    int after;         /* and after it. */
    int shift;         /* Digits after V, which the number is multiplied up to. */
    int zero_begin;    /* Place of the first '0', when has_zero. */
    int zero_end;      /* Places up to the last '0'. */
    int anchor_before; /* Places before S. */
    anchor anchor;
    bool has_point, has_zero, has_shift, has_blank, fill_mode;
    bool has_anchor, has_bracket, has_minus, has_plus, exponent, roman;
} number_template;

/* --- Reading templates -------------------------------------------------------------------------
 */

static kd_status template_error(kd_ctx *ctx, const char *message)
{
    return KD_FAIL(ctx, KD_INVALID, "42601", "%s", message);
}

static kd_status note_sign(kd_ctx *ctx, number_template *it, node_kind kind)
{
    bool others = it->has_plus || it->has_minus || it->has_bracket;
    if (kind == NODE_ANCHOR) {
        if (it->has_anchor)
            return template_error(ctx, "cannot use \"S\" twice");
        if (others)
            return template_error(ctx, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        it->has_anchor = true;
        it->anchor = it->has_point ? ANCHOR_LAST : ANCHOR_FIRST;
        it->anchor_before = it->before;
        return KD_OK;
    }
    if (kind == NODE_BRACKET) {
        if (it->has_anchor || it->has_plus || it->has_minus)
            return template_error(ctx, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        it->has_bracket = true;
        return KD_OK;
    }
    if (it->has_anchor)
        return template_error(ctx, kind == NODE_MINUS  ? "cannot use \"S\" and \"MI\" together"
                                   : kind == NODE_PLUS ? "cannot use \"S\" and \"PL\" together"
                                                       : "cannot use \"S\" and \"SG\" together");
    it->has_minus |= kind != NODE_PLUS;
    it->has_plus |= kind != NODE_MINUS;
    return KD_OK;
}

static kd_status note_digit(kd_ctx *ctx, number_template *it, bool is_zero)
{
    if (it->has_bracket)
        return template_error(ctx, is_zero ? "\"0\" must be ahead of \"PR\""
                                           : "\"9\" must be ahead of \"PR\"");
    if (!is_zero && it->has_shift) {
        it->shift++;
        return KD_OK;
    }
    if (is_zero && !it->has_zero && !it->has_point) {
        it->has_zero = true;
        it->zero_begin = it->before;
    }
    *(it->has_point ? &it->after : &it->before) += 1;
    if (is_zero)
        it->zero_end = it->before + it->after;
    return KD_OK;
}

static kd_status note_exponent(kd_ctx *ctx, number_template *it)
{
    if (it->has_blank || it->fill_mode || it->has_anchor || it->has_bracket || it->has_minus ||
        it->has_plus || it->roman || it->has_shift) {
        kd_status status = template_error(ctx, "\"EEEE\" is incompatible with other formats");
        kd_error_set_detail(ctx, "\"EEEE\" may only be used together with digit and decimal point "
                                 "patterns.");
        return status;
    }
    it->exponent = true;
    return KD_OK;
}

/* What the template as a whole learns from one node. */
static kd_status note(kd_ctx *ctx, number_template *it, node_kind kind)
{
    if (it->exponent)
        return template_error(ctx, kind == NODE_EXPONENT
                                       ? "cannot use \"EEEE\" twice"
                                       : "\"EEEE\" must be the last pattern used");
    switch (kind) {
    case NODE_NINE:
    case NODE_ZERO:
        return note_digit(ctx, it, kind == NODE_ZERO);
    case NODE_POINT:
        if (it->has_point)
            return template_error(ctx, "multiple decimal points");
        if (it->has_shift)
            return template_error(ctx, "cannot use \"V\" and decimal point together");
        it->has_point = true;
        return KD_OK;
    case NODE_SHIFT:
        if (it->has_point)
            return template_error(ctx, "cannot use \"V\" and decimal point together");
        it->has_shift = true;
        return KD_OK;
    case NODE_BLANK:
        it->has_blank |= it->before == 0 && it->after == 0 && !it->has_zero;
        return KD_OK;
    case NODE_FILL:
        it->fill_mode = true;
        return KD_OK;
    case NODE_ROMAN:
        it->roman = true;
        return KD_OK;
    case NODE_EXPONENT:
        return note_exponent(ctx, it);
    case NODE_ANCHOR:
    case NODE_BRACKET:
    case NODE_MINUS:
    case NODE_PLUS:
    case NODE_SIGN:
        return note_sign(ctx, it, kind);
    default:
        return KD_OK;
    }
}

static bool keyword_at(kd_slice text, size_t at, const char *word, bool *out_is_small)
{
    size_t small = 0, large = 0, i = 0;
    for (; word[i] != '\0'; i++) {
        char c = at + i < text.size_bytes ? text.data[at + i] : '\0';
        bool is_small = c >= 'a' && c <= 'z';
        if ((is_small ? (char)(c - 32) : c) != word[i])
            return false;
        small += is_small;
        large += c >= 'A' && c <= 'Z';
    }
    *out_is_small = small > 0;
    return small == 0 || large == 0;
}

static void put_text(number_template *it, kd_slice format, size_t *io_at)
{
    uint32_t width;
    (void)kd_utf8_decode(format.data + *io_at, format.size_bytes - *io_at, &width);
    it->nodes[it->count++] = (node){.kind = NODE_TEXT, .text = {format.data + *io_at, width}};
    *io_at += width;
}

/* Text in double quotes stands for itself; a backslash in it takes the next character as it is. */
static void put_quoted(number_template *it, kd_slice format, size_t *io_at)
{
    for (++*io_at; *io_at < format.size_bytes && format.data[*io_at] != '"';) {
        if (format.data[*io_at] == '\\' && *io_at + 1 < format.size_bytes)
            ++*io_at;
        put_text(it, format, io_at);
    }
    *io_at += *io_at < format.size_bytes;
}

static kd_status read_template(kd_ctx *ctx, kd_arena *arena, kd_slice format, number_template *it)
{
    *it = (number_template){.nodes = KD_NEW_ARRAY(ctx, arena, node, format.size_bytes + 1)};
    if (it->nodes == NULL)
        return KD_NOMEM;
    for (size_t at = 0; at < format.size_bytes;) {
        bool is_small;
        size_t i = 0;
        while (i < KDI_COUNT(keywords) && !keyword_at(format, at, keywords[i].text, &is_small))
            i++;
        if (i < KDI_COUNT(keywords)) {
            KD_TRY(note(ctx, it, keywords[i].kind));
            it->nodes[it->count++] =
                (node){.kind = (uint8_t)keywords[i].kind, .is_small = is_small};
            at += strlen(keywords[i].text);
        } else if (format.data[at] == '"') {
            put_quoted(it, format, &at);
        } else {
            at +=
                format.data[at] == '\\' && at + 1 < format.size_bytes && format.data[at + 1] == '"';
            put_text(it, format, &at);
        }
    }
    return KD_OK;
}

/* --- Writing ---------------------------------------------------------------------------------- */

typedef struct writer {
    number_template *it;
    kd_buffer *out;
    const char *digits; /* The number without its sign. */
    const char *at;     /* The next of them; they may be fewer than the places. */
    const char *last;   /* With FM: the last one written, NULL: all are. */
    bool negative;
    bool sign_is_written;
    bool in_number; /* A digit has just been written: a comma may follow. */
    bool is_at_end; /* The digits ended before the places: nothing follows. */
    int blanks;     /* Places left of the first digit. */
    int place;
    int place_count;
} writer;

static kd_status put(kd_ctx *ctx, writer *self, char c)
{
    return kd_buffer_append_byte(ctx, self->out, (uint8_t)c);
}

/* The last digit after the point that is not 0, or the point; NULL without a point. */
static const char *last_digit_that_counts(const char *digits)
{
    const char *last = strchr(digits, '.');
    for (const char *at = last; at != NULL && *at != '\0'; at++)
        if (*at != '.' && *at != '0')
            last = at;
    return last;
}

/* Fill mode cuts zeros at the end, but not those that a '0' asks for. */
static void find_last(writer *self)
{
    const number_template *it = self->it;
    if (!it->fill_mode || !it->has_point)
        return;
    self->last = last_digit_that_counts(self->digits);
    if (self->last == NULL || it->zero_end <= self->blanks)
        return;
    int at = (int)strlen(self->digits) - 1;
    if (at > it->zero_end - self->blanks)
        at = it->zero_end - self->blanks;
    if (self->last < self->digits + at)
        self->last = self->digits + at;
}

static void writer_begin(writer *self)
{
    number_template *it = self->it;
    if (it->has_plus || it->has_minus) { /* MI, PL, SG write the sign; PL alone not the minus. */
        self->sign_is_written = it->has_minus;
    } else {
        it->has_bracket &= self->negative || !it->fill_mode;
        self->sign_is_written = !self->negative && it->fill_mode && !it->has_anchor;
        if (it->anchor == ANCHOR_FIRST && it->before == it->anchor_before)
            it->anchor = ANCHOR_LAST;
    }
    self->place_count = it->after + it->before - 1;
    find_last(self);
    if (!self->sign_is_written && self->blanks == 0)
        self->place_count++;
}

/* The lone zero before the point, which is a blank. */
static bool is_zero_before_point(const writer *self)
{
    return !self->it->has_zero && self->at == self->digits && *self->digits == '0' &&
           self->it->after != 0;
}

static bool last_is_point(const writer *self)
{
    return self->last != NULL && *self->last == '.';
}

/* The sign before the first digit, when the place comes that it belongs to. */
static kd_status put_sign(kd_ctx *ctx, writer *self)
{
    const number_template *it = self->it;
    bool begins = self->place >= self->blanks || (it->has_zero && it->zero_begin == self->place);
    if (self->sign_is_written || !begins || (is_zero_before_point(self) && !last_is_point(self)))
        return KD_OK;
    if (it->has_anchor && it->anchor != ANCHOR_FIRST)
        return KD_OK;
    self->sign_is_written = true;
    if (it->has_anchor)
        return put(ctx, self, self->negative ? '-' : '+');
    if (it->has_bracket)
        return put(ctx, self, self->negative ? '<' : ' ');
    if (self->negative)
        return put(ctx, self, '-');
    return it->fill_mode ? KD_OK : put(ctx, self, ' ');
}

/* The digit or the point that comes next. */
static kd_status put_next(kd_ctx *ctx, writer *self, node_kind kind)
{
    char c = *self->at;
    bool is_cut = self->last != NULL && self->at > self->last && kind != NODE_ZERO;
    if (c == '.') {
        KD_TRY(put(ctx, self, c));
    } else if (is_cut) {
        /* A zero that fill mode leaves out. */
    } else if (is_zero_before_point(self)) {
        if (!self->it->fill_mode)
            KD_TRY(put(ctx, self, ' '));
        else if (last_is_point(self))
            KD_TRY(put(ctx, self, '0'));
    } else if (c == '\0') {
        self->is_at_end = true;
        return KD_OK;
    } else {
        KD_TRY(put(ctx, self, c));
        self->in_number = true;
    }
    self->at += c != '\0';
    return KD_OK;
}

static kd_status put_place(kd_ctx *ctx, writer *self, node_kind kind)
{
    const number_template *it = self->it;
    self->in_number = false;
    KD_TRY(put_sign(ctx, self));
    if (self->place >= self->blanks) {
        KD_TRY(put_next(ctx, self, kind));
    } else if (it->has_zero && it->zero_begin <= self->place) {
        KD_TRY(put(ctx, self, '0'));
        self->in_number = true;
    } else if (!it->fill_mode) {
        KD_TRY(put(ctx, self, ' '));
    }
    if (self->is_at_end)
        return KD_OK;
    int end = self->place_count + (self->blanks > 0) + it->has_point;
    if (self->last != NULL && self->last == self->at)
        end = self->place;
    self->place++;
    if (self->place != end)
        return KD_OK;
    if (it->has_bracket && self->sign_is_written)
        return put(ctx, self, self->negative ? '>' : ' ');
    if (it->anchor == ANCHOR_LAST)
        return put(ctx, self, self->negative ? '-' : '+');
    return KD_OK;
}

static kd_status put_ordinal(kd_ctx *ctx, writer *self, bool is_small)
{
    const number_template *it = self->it;
    if (it->roman || *self->digits == '#' || self->negative || it->has_point)
        return KD_OK;
    size_t size = strlen(self->digits);
    char last = self->digits[size - 1];
    if (last < '0' || last > '9')
        return KD_FAIL(ctx, KD_INVALID, "22P02", "\"%s\" is not a number", self->digits);
    if (size > 1 && self->digits[size - 2] == '1')
        last = '0';
    const char *ending = last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
    for (; *ending != '\0'; ending++)
        KD_TRY(put(ctx, self, is_small ? *ending : (char)(*ending - 32)));
    return KD_OK;
}

static kd_status put_roman(kd_ctx *ctx, writer *self, bool is_small)
{
    for (size_t i = strlen(self->digits); i < 15 && !self->it->fill_mode; i++)
        KD_TRY(put(ctx, self, ' '));
    for (const char *at = self->digits; *at != '\0'; at++)
        KD_TRY(put(ctx, self, is_small && *at >= 'A' ? (char)(*at + 32) : *at));
    return KD_OK;
}

static kd_status put_node(kd_ctx *ctx, writer *self, const node *it)
{
    bool fills = self->it->fill_mode;
    switch ((node_kind)it->kind) {
    case NODE_TEXT:
        return kd_buffer_append_slice(ctx, self->out, it->text);
    case NODE_NINE:
    case NODE_ZERO:
    case NODE_POINT:
        return self->it->roman ? KD_OK : put_place(ctx, self, (node_kind)it->kind);
    case NODE_COMMA:
        return self->in_number ? put(ctx, self, ',') : fills ? KD_OK : put(ctx, self, ' ');
    case NODE_CURRENCY:
        return put(ctx, self, ' ');
    case NODE_MINUS:
        return self->negative ? put(ctx, self, '-') : fills ? KD_OK : put(ctx, self, ' ');
    case NODE_PLUS:
        return !self->negative ? put(ctx, self, '+') : fills ? KD_OK : put(ctx, self, ' ');
    case NODE_SIGN:
        return put(ctx, self, self->negative ? '-' : '+');
    case NODE_ORDINAL:
        return put_ordinal(ctx, self, it->is_small);
    case NODE_ROMAN:
        return put_roman(ctx, self, it->is_small);
    default:
        return KD_OK;
    }
}

/* `digits` ends in NUL and may have a sign. */
static kd_status write_number(kd_ctx *ctx, kd_call_env *env, number_template *it, char *digits,
                              void *result)
{
    kd_buffer out = kd_buffer_in(env->arena);
    writer self = {.it = it, .out = &out, .negative = *digits == '-'};
    digits += self.negative;
    int before = (int)strcspn(digits, ".");
    it->before += it->shift;
    if (it->roman) {
        *it = (number_template){
            .nodes = it->nodes, .count = it->count, .roman = true, .fill_mode = it->fill_mode};
    } else if (before > it->before) {
        digits = kd_alloc(ctx, env->arena, (size_t)(it->before + it->after + 2));
        if (digits == NULL)
            return KD_NOMEM;
        memset(digits, '#', (size_t)(it->before + it->after + 1));
        digits[it->before] = '.';
        digits[it->before + it->after + 1] = '\0';
    } else {
        self.blanks = it->before - before;
    }
    self.digits = self.at = digits;
    writer_begin(&self);
    for (size_t i = 0; i < it->count && !self.is_at_end; i++)
        KD_TRY(put_node(ctx, &self, &it->nodes[i]));
    return kdi_return_buffer(result, &out);
}

static char *roman_of(kd_ctx *ctx, kd_arena *arena, int64_t number)
{
    static const struct {
        int value;
        const char *text;
    } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                 {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                 {5, "V"},    {4, "IV"},   {1, "I"}};
    char *text = kd_alloc(ctx, arena, 16);
    if (text == NULL)
        return NULL;
    if (number < 1 || number > 3999) {
        memset(text, '#', 15);
        return text;
    }
    char *at = text;
    for (size_t i = 0; i < KDI_COUNT(parts); i++) {
        for (; number >= parts[i].value; number -= parts[i].value) {
            size_t size = strlen(parts[i].text);
            memcpy(at, parts[i].text, size);
            at += size;
        }
    }
    return text;
}

/* What an exponent's form of NaN or infinity is. */
static kd_status no_exponent(kd_ctx *ctx, kd_call_env *env, const number_template *it, void *result)
{
    kd_buffer out = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_byte(ctx, &out, ' '));
    for (int i = 0; i < it->before + it->after + 5; i++)
        KD_TRY(kd_buffer_append_byte(ctx, &out, i == it->before ? '.' : '#'));
    return kdi_return_buffer(result, &out);
}

/* Of one digit before the point; 0 for zero. */
static int leading_exponent(const kd_decimal *value)
{
    if (value->digit_count == 0)
        return 0;
    uint16_t digit = value->digits[0];
    int lead = digit >= 1000 ? 3 : digit >= 100 ? 2 : digit >= 10 ? 1 : 0;
    return value->weight * KD_NUMERIC_BASE_DIGITS + lead;
}

/*
 * EEEE: one digit, the template's places, an exponent of two digits or more. A number that is
 * rounded up to ten has both digits before the point, as PostgreSQL writes it.
 */
static kd_status exponent_to_char(kd_ctx *ctx, kd_call_env *env, const number_template *it,
                                  const kd_decimal *value, void *result)
{
    kd_buffer text = kd_buffer_in(env->arena), out = kd_buffer_in(env->arena);
    if (value->kind != KD_DECIMAL_FINITE)
        return no_exponent(ctx, env, it, result);
    /* The first four digits stand before the point while it is rounded: the exponent may be more
     * than rounding reaches. */
    kd_decimal moved = *value, rounded = *value;
    int exponent = 0, written = 0;
    if (value->digit_count > 0) {
        exponent = leading_exponent(value);
        moved.weight = 0;
        int lead = leading_exponent(&moved);
        KD_TRY(kd_decimal_round(ctx, env->arena, &moved, it->after - lead, &rounded));
        written = leading_exponent(&rounded) > lead ? -1 : 0;
    }
    KD_TRY(kd_decimal_format(ctx, &rounded, &text));
    KD_TRY(kd_buffer_append_byte(ctx, &out, rounded.negative ? '-' : ' '));
    bool begun = rounded.digit_count == 0;
    for (size_t i = 0; i < text.size_bytes && written <= it->after; i++) {
        char c = text.data[i];
        begun |= c >= '1' && c <= '9';
        if (c < '0' || c > '9' || !begun)
            continue;
        if (written == 1)
            KD_TRY(kd_buffer_append_byte(ctx, &out, '.'));
        KD_TRY(kd_buffer_append_byte(ctx, &out, (uint8_t)c));
        written++;
    }
    for (; written <= it->after; written++) {
        if (written == 1)
            KD_TRY(kd_buffer_append_byte(ctx, &out, '.'));
        KD_TRY(kd_buffer_append_byte(ctx, &out, '0'));
    }
    KD_TRY(kd_buffer_append_format(ctx, &out, "e%c%02d", exponent < 0 ? '-' : '+',
                                   exponent < 0 ? -exponent : exponent));
    return kdi_return_buffer(result, &out);
}

static kd_status shifted(kd_ctx *ctx, kd_arena *arena, int places, kd_decimal *io_value)
{
    static const uint16_t one_digit[4] = {1, 10, 100, 1000};
    kd_decimal factor = {.digits = &one_digit[places % KD_NUMERIC_BASE_DIGITS],
                         .digit_count = 1,
                         .weight = places / KD_NUMERIC_BASE_DIGITS};
    return kd_decimal_mul(ctx, arena, io_value, &factor, io_value);
}

static kd_status roman_to_char(kd_ctx *ctx, kd_call_env *env, number_template *it,
                               const kd_decimal *value, void *result)
{
    kd_i128 whole = 0;
    if (value->kind != KD_DECIMAL_FINITE)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "cannot convert %s to integer",
                       value->kind == KD_DECIMAL_NAN ? "NaN" : "infinity");
    if (!kd_decimal_try_fixed(value, 0, &whole) || whole != (int32_t)whole)
        return KD_FAIL(ctx, KD_INVALID, "22003", "integer out of range");
    char *roman = roman_of(ctx, env->arena, (int64_t)whole);
    return roman == NULL ? KD_NOMEM : write_number(ctx, env, it, roman, result);
}

static kd_status decimal_to_char(kd_ctx *ctx, kd_call_env *env, const kd_decimal *value,
                                 kd_slice format, void *result)
{
    number_template it;
    KD_TRY(read_template(ctx, env->arena, format, &it));
    if (it.exponent)
        return exponent_to_char(ctx, env, &it, value, result);
    kd_buffer text = kd_buffer_in(env->arena);
    kd_decimal rounded = *value;
    if (it.shift > 0)
        KD_TRY(shifted(ctx, env->arena, it.shift, &rounded));
    if (value->kind == KD_DECIMAL_FINITE)
        KD_TRY(kd_decimal_round(ctx, env->arena, &rounded, it.roman ? 0 : it.after, &rounded));
    if (it.roman)
        return roman_to_char(ctx, env, &it, &rounded, result);
    KD_TRY(kd_decimal_format(ctx, &rounded, &text));
    KD_TRY(kd_buffer_append_byte(ctx, &text, '\0'));
    return write_number(ctx, env, &it, text.data, result);
}

/* No more digits than `digits_max` are true of a floating-point number; none beyond them are
 * written. */
static kd_status float_to_char(kd_ctx *ctx, kd_call_env *env, double value, int digits_max,
                               kd_slice format, void *result)
{
    number_template it;
    KD_TRY(read_template(ctx, env->arena, format, &it));
    if (it.exponent && !isfinite(value))
        return no_exponent(ctx, env, &it, result);
    if (it.exponent) {
        char *text = kd_format_text(ctx, env->arena, "%+.*e", it.after, value);
        if (text == NULL)
            return KD_NOMEM;
        if (text[0] == '+')
            text[0] = ' ';
        return kdi_return_text(result, kd_slice_of(text));
    }
    char *text;
    if (it.roman) {
        text = roman_of(ctx, env->arena, value > 0 && value < 4000 ? (int64_t)rint(value) : 0);
    } else {
        value *= pow(10, it.shift);
        if (digits_max == FLT_DIG)
            value = (double)(float)value;
        text = kd_format_text(ctx, env->arena, "%.0f", fabs(value));
        if (text == NULL)
            return KD_NOMEM;
        int before = (int)strlen(isinf(value) ? "Infinity" : text);
        if (before >= digits_max)
            it.after = 0;
        else if (before + it.after > digits_max)
            it.after = digits_max - before;
        text = isnan(value) ? kd_format_text(ctx, env->arena, "NaN")
               : isinf(value)
                   ? kd_format_text(ctx, env->arena, value < 0 ? "-Infinity" : "Infinity")
                   : kd_format_text(ctx, env->arena, "%.*f", it.after, value);
    }
    return text == NULL ? KD_NOMEM : write_number(ctx, env, &it, text, result);
}

KDI_ROW(to_char)
{
    kd_decimal value;
    kd_slice format = kdi_arg_text(args, 1);
    if (format.size_bytes == 0)
        return kdi_return_text(result, format);
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    return decimal_to_char(ctx, env, &value, format, result);
}

KDI_ROW(f32_to_char)
{
    kd_slice format = kdi_arg_text(args, 1);
    if (format.size_bytes == 0)
        return kdi_return_text(result, format);
    return float_to_char(ctx, env, (double)KDI_ARG(float, args, 0), FLT_DIG, format, result);
}

KDI_ROW(f64_to_char)
{
    kd_slice format = kdi_arg_text(args, 1);
    if (format.size_bytes == 0)
        return kdi_return_text(result, format);
    return float_to_char(ctx, env, KDI_ARG(double, args, 0), DBL_DIG, format, result);
}

/* An int4 with an exponent is written as a float8: it is exact, and 9.99 rounds to 1.0e+01. */
KDI_ROW(i32_to_char)
{
    number_template it;
    kd_slice format = kdi_arg_text(args, 1);
    KD_TRY(read_template(ctx, env->arena, format, &it));
    if (it.exponent)
        return float_to_char(ctx, env, KDI_ARG(int32_t, args, 0), DBL_DIG, format, result);
    return to_char(ctx, env, args, result, out_is_null);
}

/* --- Reading ---------------------------------------------------------------------------------- */

typedef struct reader {
    const number_template *it;
    const char *at, *end;
    kd_buffer *out; /* Digits and the point. */
    char sign;      /* ' ' as long as none has been read. */
    int before, after;
    bool has_point;
} reader;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Blanks and letters where a sign or a word might stand; what belongs to a number stays. */
static void skip_others(reader *self, int count)
{
    for (; count > 0 && self->at < self->end; count--) {
        uint32_t width;
        if (*self->at == '\0' || strchr("0123456789.,+-", *self->at) != NULL)
            return;
        (void)kd_utf8_decode(self->at, (size_t)(self->end - self->at), &width);
        self->at += width;
    }
}

static void take_sign_before(reader *self)
{
    if (self->sign != ' ' || self->before + self->after > 0)
        return;
    bool is_minus = *self->at == '-' || (*self->at == '<' && self->it->has_bracket);
    if (!is_minus && *self->at != '+')
        return;
    self->sign = is_minus ? '-' : '+';
    self->at++;
}

/* A sign behind the last digit: S is bound to it, MI, PL and SG may come early. */
static void take_sign_behind(reader *self, bool has_read)
{
    const number_template *it = self->it;
    if (self->sign != ' ' || self->before + self->after == 0)
        return;
    if (it->has_anchor && has_read && self->at + 1 < self->end && !is_digit(self->at[1])) {
        if (self->at[1] == '-' || self->at[1] == '+')
            self->sign = *++self->at;
    } else if (!has_read && !it->has_anchor && (it->has_plus || it->has_minus)) {
        if (*self->at == '-' || *self->at == '+')
            self->sign = *self->at;
    }
}

static kd_status take_place(kd_ctx *ctx, reader *self, node_kind kind)
{
    bool has_read = false;
    self->at += *self->at == ' ';
    if (self->at == self->end)
        return KD_OK;
    if (kind != NODE_POINT)
        take_sign_before(self);
    if (self->at == self->end)
        return KD_OK;
    if (is_digit(*self->at)) {
        if (self->has_point && self->after == self->it->after)
            return KD_OK;
        KD_TRY(kd_buffer_append_byte(ctx, self->out, (uint8_t)*self->at));
        *(self->has_point ? &self->after : &self->before) += 1;
        has_read = true;
    } else if (self->it->has_point && !self->has_point && *self->at == '.') {
        KD_TRY(kd_buffer_append_byte(ctx, self->out, '.'));
        self->has_point = has_read = true;
    }
    take_sign_behind(self, has_read);
    return KD_OK;
}

/* One character that may be the sign; anything else may be skipped. */
static void take_sign(reader *self, const char *signs)
{
    if (*self->at != '\0' && strchr(signs, *self->at) != NULL)
        self->sign = *self->at++;
    else
        skip_others(self, 1);
}

static kd_status take_node(kd_ctx *ctx, reader *self, const node *it)
{
    uint32_t width;
    switch ((node_kind)it->kind) {
    case NODE_TEXT: /* One character of the input, whatever it is. */
        (void)kd_utf8_decode(self->at, (size_t)(self->end - self->at), &width);
        self->at += width;
        return KD_OK;
    case NODE_NINE:
    case NODE_ZERO:
    case NODE_POINT:
        KD_TRY(take_place(ctx, self, (node_kind)it->kind));
        self->at += self->at < self->end;
        return KD_OK;
    case NODE_COMMA:
        if (!self->it->fill_mode)
            self->at += *self->at == ',';
        return KD_OK;
    case NODE_CURRENCY:
        skip_others(self, 1);
        return KD_OK;
    case NODE_ORDINAL:
        if (self->sign != '-' && !self->it->has_point)
            skip_others(self, 2);
        return KD_OK;
    case NODE_MINUS:
        take_sign(self, "-");
        return KD_OK;
    case NODE_PLUS:
        take_sign(self, "+");
        return KD_OK;
    case NODE_SIGN:
        take_sign(self, "+-");
        return KD_OK;
    default:
        return KD_OK;
    }
}

static kd_status number_of(kd_ctx *ctx, kd_call_env *env, const number_template *it,
                           const reader *self, kd_decimal *out)
{
    kd_buffer text = kd_buffer_in(env->arena);
    kd_slice digits = kd_buffer_slice(self->out);
    if (digits.size_bytes > 0 && digits.data[digits.size_bytes - 1] == '.')
        digits.size_bytes--;
    KD_TRY(kd_buffer_append_byte(ctx, &text, (uint8_t)self->sign));
    KD_TRY(kd_buffer_append_slice(ctx, &text, digits));
    KD_TRY(kd_decimal_parse(ctx, env->arena, kd_buffer_slice(&text), out));
    if (out->digit_count > 0 && leading_exponent(out) >= it->before + it->shift)
        return KD_FAIL(ctx, KD_INVALID, "22003", "numeric field overflow");
    if (it->shift > 0) {
        static const uint16_t tenths[4] = {1, 1000, 100, 10};
        int places = it->shift;
        kd_decimal factor = {.digits = &tenths[places % KD_NUMERIC_BASE_DIGITS],
                             .digit_count = 1,
                             .weight =
                                 -((places + KD_NUMERIC_BASE_DIGITS - 1) / KD_NUMERIC_BASE_DIGITS),
                             .scale = places > 16 ? places : 16};
        KD_TRY(kd_decimal_mul(ctx, env->arena, out, &factor, out));
    }
    return KD_OK;
}

/* Takes the digits, the sign and the point out of the text, as far as the template goes. */
KDI_ROW(to_number)
{
    kd_slice input = kdi_arg_text(args, 0), format = kdi_arg_text(args, 1);
    number_template it;
    *out_is_null = format.size_bytes == 0;
    if (*out_is_null)
        return KD_OK;
    KD_TRY(read_template(ctx, env->arena, format, &it));
    if (it.exponent || it.roman)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "\"%s\" not supported for input",
                       it.exponent ? "EEEE" : "RN");
    kd_buffer digits = kd_buffer_in(env->arena);
    reader self = {.it = &it,
                   .at = input.data,
                   .end = input.data + input.size_bytes,
                   .out = &digits,
                   .sign = ' '};
    for (size_t i = 0; i < it.count && self.at < self.end; i++)
        KD_TRY(take_node(ctx, &self, &it.nodes[i]));
    kd_decimal value;
    KD_TRY(number_of(ctx, env, &it, &self, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

static const kd_function functions[] = {
    IMMUTABLE("to_char", to_char, TEXT, NUMERIC, TEXT),
    IMMUTABLE("to_char", i32_to_char, TEXT, INT4, TEXT),
    IMMUTABLE("to_char", to_char, TEXT, INT8, TEXT),
    IMMUTABLE("to_char", f32_to_char, TEXT, FLOAT4, TEXT),
    IMMUTABLE("to_char", f64_to_char, TEXT, FLOAT8, TEXT),
    IMMUTABLE("to_number", to_number, NUMERIC, TEXT, TEXT),
};

kd_status kdi_register_template_number(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
