/*
 * to_char of numbers and to_number: templates of 9, 0, D, G, S and so on.
 *
 * A number is first rounded to the template's places and written as plain digits;
 * then the template is walked and each place takes its digit.
 */
#include "builtin/signature_internal.h"

enum { PLACES_MAX = 128 };

typedef struct number_template {
    char places[PLACES_MAX]; /* '9', '0', '.', ',', ' ' and literals; one each. */
    bool literal[PLACES_MAX];
    int count;
    int before;     /* Digits before the point, */
    int after;      /* and after it. */
    int first_zero; /* Digit position of the first '0' before the point; -1: none. */
    bool fill_mode;
    bool has_point;
    bool sign_first, sign_last, minus_last, angle, has_sign;
    bool sign_fixed; /* SG first: stands before the blanks. */
    int ordinal;     /* 0, 'T' or 't' */
    bool exponent, roman, roman_is_small;
    bool has_shift; /* V: */
    int shift;      /* the digits after it, which the number is multiplied up to. */
} number_template;

static bool word_at(kd_slice text, size_t at, const char *word)
{
    size_t length = strlen(word);
    return at + length <= text.size_bytes &&
           kd_slice_equal_ignoring_case((kd_slice){text.data + at, length},
                                        (kd_slice){word, length});
}

static kd_status put(kd_ctx *ctx, number_template *it, char place, bool literal)
{
    if (it->count == PLACES_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22023", "number format is too long");
    it->literal[it->count] = literal;
    it->places[it->count++] = place;
    return KD_OK;
}

static kd_status put_digit(kd_ctx *ctx, number_template *it, char digit)
{
    if (it->has_point) {
        it->after++;
    } else {
        it->shift += it->has_shift;
        if (digit == '0' && it->first_zero < 0)
            it->first_zero = it->before;
        it->before++;
    }
    return put(ctx, it, digit, false);
}

/* Signs and other words; gives how many characters it took, 0 when it is none of them. */
static size_t read_word(kd_slice text, size_t at, number_template *it)
{
    if (word_at(text, at, "FM")) {
        it->fill_mode = true;
        return 2;
    }
    if (word_at(text, at, "MI")) {
        it->has_sign = it->minus_last = true;
        return 2;
    }
    if (word_at(text, at, "PR")) {
        it->has_sign = it->angle = true;
        return 2;
    }
    if (word_at(text, at, "SG") || word_at(text, at, "PL") || word_at(text, at, "S")) {
        size_t length = word_at(text, at, "SG") || word_at(text, at, "PL") ? 2 : 1;
        it->has_sign = true;
        it->sign_fixed = it->count == 0 && word_at(text, at, "SG");
        if (it->count == 0)
            it->sign_first = true;
        else
            it->sign_last = true;
        return length;
    }
    if (word_at(text, at, "TH")) {
        it->ordinal = text.data[at];
        return 2;
    }
    if (word_at(text, at, "EEEE")) {
        it->exponent = true;
        return 4;
    }
    if (word_at(text, at, "RN")) {
        it->roman = true;
        it->roman_is_small = text.data[at] == 'r';
        return 2;
    }
    return 0;
}

static kd_status v_with_point(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "42601", "cannot use \"V\" and decimal point together");
}

static kd_status read_template(kd_ctx *ctx, kd_slice text, number_template *it)
{
    *it = (number_template){.first_zero = -1};
    for (size_t at = 0; at < text.size_bytes;) {
        if (it->exponent)
            return KD_FAIL(ctx, KD_INVALID, "42601", "\"EEEE\" must be the last pattern used");
        size_t taken = read_word(text, at, it);
        if (taken > 0) {
            at += taken;
            continue;
        }
        char c = text.data[at++];
        if (c == '9' || c == '0') {
            KD_TRY(put_digit(ctx, it, c));
        } else if (c == '.' || c == 'D' || c == 'd') {
            if (it->has_shift)
                return v_with_point(ctx);
            if (it->has_point)
                return KD_FAIL(ctx, KD_INVALID, "42601", "multiple decimal points");
            it->has_point = true;
            KD_TRY(put(ctx, it, '.', false));
        } else if (c == ',' || c == 'G' || c == 'g') {
            KD_TRY(put(ctx, it, ',', false));
        } else if (c == 'V' || c == 'v') {
            if (it->has_point)
                return v_with_point(ctx);
            it->has_shift = true;
        } else if (c == 'L' || c == 'l') {
            KD_TRY(put(ctx, it, ' ', true));
        } else if (c == '"') {
            while (at < text.size_bytes && text.data[at] != '"')
                KD_TRY(put(ctx, it, text.data[at++], true));
            at += at < text.size_bytes;
        } else {
            KD_TRY(put(ctx, it, c, true));
        }
    }
    bool others = it->fill_mode || it->has_sign || it->ordinal != 0 || it->roman || it->has_shift;
    if (it->exponent && others)
        return KD_FAIL(ctx, KD_INVALID, "42601", "\"EEEE\" is incompatible with other formats");
    return KD_OK;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static const char *ordinal_of(kd_slice digits)
{
    size_t n = digits.size_bytes;
    if (n > 1 && digits.data[n - 2] == '1')
        return "th";
    char last = n > 0 ? digits.data[n - 1] : '0';
    return last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
}

typedef struct digits {
    bool negative;
    kd_slice whole; /* Without leading zeros; empty for 0. */
    kd_slice part;
    bool is_word; /* NaN or Infinity: nothing follows it. */
} digits;

/* Where the sign stands and what it is: into the text before the first place, or after the last. */
static kd_status append_sign(kd_ctx *ctx, const number_template *it, bool negative, bool leading,
                             kd_buffer *out)
{
    if (it->angle) {
        if (negative)
            return kd_buffer_append_byte(ctx, out, leading ? '<' : '>');
        return it->fill_mode ? KD_OK : kd_buffer_append_byte(ctx, out, ' ');
    }
    if (it->minus_last) {
        if (leading || (it->fill_mode && !negative))
            return KD_OK;
        return kd_buffer_append_byte(ctx, out, negative ? '-' : ' ');
    }
    if (it->has_sign) {
        if (leading != it->sign_first)
            return KD_OK;
        return kd_buffer_append_byte(ctx, out, negative ? '-' : '+');
    }
    if (!leading || (!negative && it->fill_mode))
        return KD_OK;
    return kd_buffer_append_byte(ctx, out, negative ? '-' : ' ');
}

/* How many digits after the point FM keeps: up to the last that is not 0 or stands at a '0'. */
static int kept_places(const number_template *it, kd_slice part)
{
    int kept = 0, position = 0;
    bool past_point = false;
    for (int i = 0; i < it->count; i++) {
        past_point |= !it->literal[i] && it->places[i] == '.';
        if (!past_point || it->literal[i] || (it->places[i] != '9' && it->places[i] != '0'))
            continue;
        char digit = (size_t)position < part.size_bytes ? part.data[position] : '0';
        position++;
        if (digit != '0' || it->places[i] == '0')
            kept = position;
    }
    return kept;
}

static kd_status append_places(kd_ctx *ctx, const number_template *it, const digits *number,
                               kd_buffer *out)
{
    int skipped = it->before - (int)number->whole.size_bytes; /* Places left of the first digit. */
    int start = it->first_zero >= 0 && it->first_zero < skipped ? it->first_zero : skipped;
    int digit = 0, place = 0, kept = it->fill_mode ? kept_places(it, number->part) : it->after;
    bool signed_yet = it->sign_fixed, past_point = false;
    bool overflow = skipped < 0;
    if (overflow)
        kept = it->after;
    if (it->sign_fixed)
        KD_TRY(append_sign(ctx, it, number->negative, true, out));
    for (int i = 0; i < it->count; i++) {
        char c = it->places[i];
        bool is_digit = !it->literal[i] && (c == '9' || c == '0');
        if (it->literal[i]) {
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
            continue;
        }
        if (!signed_yet && ((is_digit && (digit >= start || overflow)) || c == '.')) {
            KD_TRY(append_sign(ctx, it, number->negative, true, out));
            signed_yet = true;
        }
        if (c == '.') {
            if (number->is_word && !overflow)
                break;
            past_point = true;
            if (it->after > 0 || overflow)
                KD_TRY(kd_buffer_append_byte(ctx, out, '.'));
        } else if (c == ',') {
            if (digit > start || overflow)
                KD_TRY(kd_buffer_append_byte(ctx, out, ','));
            else if (!it->fill_mode)
                KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
        } else if (past_point) {
            if (place < kept)
                KD_TRY(kd_buffer_append_byte(ctx, out,
                                             overflow ? '#' : (uint8_t)number->part.data[place]));
            place++;
        } else {
            if (overflow)
                KD_TRY(kd_buffer_append_byte(ctx, out, '#'));
            else if (digit >= skipped)
                KD_TRY(
                    kd_buffer_append_byte(ctx, out, (uint8_t)number->whole.data[digit - skipped]));
            else if (digit >= start)
                KD_TRY(kd_buffer_append_byte(ctx, out, '0'));
            else if (!it->fill_mode)
                KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
            digit++;
        }
    }
    if (!signed_yet)
        KD_TRY(append_sign(ctx, it, number->negative, true, out));
    return KD_OK;
}

/* Splits "-123.45" into its parts. */
static void split_digits(kd_slice text, digits *out)
{
    *out = (digits){.negative = text.size_bytes > 0 && text.data[0] == '-'};
    if (out->negative) {
        text.data++;
        text.size_bytes--;
    }
    const char *point = memchr(text.data, '.', text.size_bytes);
    size_t whole = point == NULL ? text.size_bytes : (size_t)(point - text.data);
    out->whole = (kd_slice){text.data, whole};
    if (point != NULL)
        out->part = (kd_slice){point + 1, text.size_bytes - whole - 1};
    while (out->whole.size_bytes > 0 && out->whole.data[0] == '0') {
        out->whole.data++;
        out->whole.size_bytes--;
    }
}

/* RN: 15 places, or as many as it takes. */
static kd_status roman_to_char(kd_ctx *ctx, kd_call_env *env, const number_template *it,
                               const kd_decimal *value, void *result)
{
    static const struct {
        int value;
        const char *text;
    } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                 {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                 {5, "V"},    {4, "IV"},   {1, "I"}};
    kd_buffer text = kd_buffer_in(env->arena), out = kd_buffer_in(env->arena);
    kd_i128 number = 0;
    bool fits = value->kind == KD_DECIMAL_FINITE && kd_decimal_try_fixed(value, 0, &number) &&
                number > 0 && number < 4000;
    if (!fits)
        return kdi_return_text(result, KD_SLICE("###############"));
    for (size_t i = 0; i < KDI_COUNT(parts); i++)
        for (; number >= parts[i].value; number -= parts[i].value)
            KD_TRY(kd_buffer_append_text(ctx, &text, parts[i].text));
    for (size_t i = 0; i < text.size_bytes && it->roman_is_small; i++)
        text.data[i] = (char)(text.data[i] + 32);
    for (size_t i = text.size_bytes; i < 15 && !it->fill_mode; i++)
        KD_TRY(kd_buffer_append_byte(ctx, &out, ' '));
    KD_TRY(kd_buffer_append_slice(ctx, &out, kd_buffer_slice(&text)));
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
 * EEEE: one digit, the template's places, an exponent of two digits or more. A numeric that is
 * rounded up to ten has both digits before the point, as PostgreSQL writes it; a float has not.
 */
static kd_status exponent_to_char(kd_ctx *ctx, kd_call_env *env, const number_template *it,
                                  const kd_decimal *value, void *result)
{
    kd_buffer text = kd_buffer_in(env->arena), out = kd_buffer_in(env->arena);
    if (value->kind != KD_DECIMAL_FINITE) {
        KD_TRY(kd_buffer_append_byte(ctx, &out, ' '));
        for (int i = 0; i < it->before + it->after + 5; i++)
            KD_TRY(kd_buffer_append_byte(ctx, &out, i == it->before ? '.' : '#'));
        return kdi_return_buffer(result, &out);
    }
    /* The first four digits stand before the point while it is rounded: the exponent may be more
     * than rounding reaches. */
    kd_decimal moved = *value, rounded = *value;
    int exponent = 0, written = 0;
    if (value->digit_count > 0) {
        exponent = leading_exponent(value);
        moved.weight = 0;
        int lead = leading_exponent(&moved);
        KD_TRY(kd_decimal_round(ctx, env->arena, &moved, it->after - lead, &rounded));
        bool carried = leading_exponent(&rounded) > lead;
        if (carried && (env->argument_types[0].id == KD_TYPE_FLOAT8 ||
                        env->argument_types[0].id == KD_TYPE_INT4))
            exponent++;
        else if (carried)
            written = -1;
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
    kd_decimal factor;
    int64_t power = 1;
    for (int i = 0; i < places && i < 18; i++)
        power *= 10;
    KD_TRY(kd_decimal_from_i64(ctx, arena, power, &factor));
    return kd_decimal_mul(ctx, arena, io_value, &factor, io_value);
}

static kd_status number_to_char(kd_ctx *ctx, kd_call_env *env, const kd_decimal *value,
                                kd_slice format, void *result)
{
    number_template it;
    KD_TRY(read_template(ctx, format, &it));
    if (it.roman)
        return roman_to_char(ctx, env, &it, value, result);
    if (it.exponent)
        return exponent_to_char(ctx, env, &it, value, result);
    kd_buffer text = kd_buffer_in(env->arena), out = kd_buffer_in(env->arena);
    kd_decimal rounded = *value;
    if (it.shift > 0)
        KD_TRY(shifted(ctx, env->arena, it.shift, &rounded));
    if (value->kind == KD_DECIMAL_FINITE)
        KD_TRY(kd_decimal_round(ctx, env->arena, &rounded, it.after, &rounded));
    KD_TRY(kd_decimal_format(ctx, &rounded, &text));
    digits number;
    split_digits(kd_buffer_slice(&text), &number);
    number.is_word = value->kind != KD_DECIMAL_FINITE;
    /* A lone zero before the point is written where nothing else would be. */
    if (number.whole.size_bytes == 0 && it.before > 0 &&
        (it.after == 0 || it.first_zero >= 0 ||
         (it.fill_mode && kept_places(&it, number.part) == 0)))
        number.whole = KD_SLICE("0");
    KD_TRY(append_places(ctx, &it, &number, &out));
    bool fits = number.whole.size_bytes <= (size_t)it.before;
    if (it.ordinal != 0 && !number.negative && it.after == 0 && fits) {
        const char *ending = ordinal_of(number.whole);
        for (int i = 0; i < 2; i++)
            KD_TRY(kd_buffer_append_byte(
                ctx, &out, (uint8_t)(it.ordinal == 'T' ? ending[i] - 32 : ending[i])));
    }
    KD_TRY(append_sign(ctx, &it, number.negative, false, &out));
    return kdi_return_buffer(result, &out);
}

KDI_ROW(to_char)
{
    kd_decimal value;
    kd_slice format = kdi_arg_text(args, 1);
    if (format.size_bytes == 0)
        return kdi_return_text(result, format);
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    return number_to_char(ctx, env, &value, format, result);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Takes the digits, the sign and the point out of the text, as far as the template goes. */
KDI_ROW(to_number)
{
    kd_slice input = kdi_arg_text(args, 0);
    number_template it;
    KD_TRY(read_template(ctx, kdi_arg_text(args, 1), &it));
    kd_buffer digits_text = kd_buffer_in(env->arena);
    bool negative = false, has_point = false;
    int digit_count = 0, wanted = it.before + it.after;
    for (size_t i = 0; i < input.size_bytes; i++) {
        char c = input.data[i];
        if (c == '-' || (c == '<' && it.angle)) {
            negative = true;
        } else if (c == '.' && it.has_point && !has_point) {
            has_point = true;
            KD_TRY(kd_buffer_append_byte(ctx, &digits_text, '.'));
        } else if (c >= '0' && c <= '9' && digit_count < wanted) {
            digit_count++;
            KD_TRY(kd_buffer_append_byte(ctx, &digits_text, (uint8_t)c));
        } else if (c == '.') {
            break;
        }
    }
    if (digit_count == 0)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type numeric: \" \"");
    kd_decimal value;
    KD_TRY(kd_decimal_parse(ctx, env->arena, kd_buffer_slice(&digits_text), &value));
    if (negative)
        value = kd_decimal_negate(value);
    return kd_decimal_store(ctx, env->arena, &value, result);
}

static const kd_function functions[] = {
    IMMUTABLE("to_char", to_char, TEXT, NUMERIC, TEXT),
    IMMUTABLE("to_char", to_char, TEXT, INT4, TEXT),
    IMMUTABLE("to_char", to_char, TEXT, INT8, TEXT),
    IMMUTABLE("to_char", to_char, TEXT, FLOAT8, TEXT),
    IMMUTABLE("to_number", to_number, NUMERIC, TEXT, TEXT),
};

kd_status kdi_register_template_number(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
