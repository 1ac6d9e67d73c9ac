/*
 * The fields of a date's text: what looks like a date, a time, a number, a word, an offset.
 */
#include "types/date_field_internal.h"

#include <string.h>

static const kdi_date_word date_words[] = {
    {"jan", KDI_DATE_MONTH, 1},
    {"january", KDI_DATE_MONTH, 1},
    {"feb", KDI_DATE_MONTH, 2},
    {"february", KDI_DATE_MONTH, 2},
    {"mar", KDI_DATE_MONTH, 3},
    {"march", KDI_DATE_MONTH, 3},
    {"apr", KDI_DATE_MONTH, 4},
    {"april", KDI_DATE_MONTH, 4},
    {"may", KDI_DATE_MONTH, 5},
    {"jun", KDI_DATE_MONTH, 6},
    {"june", KDI_DATE_MONTH, 6},
    {"jul", KDI_DATE_MONTH, 7},
    {"july", KDI_DATE_MONTH, 7},
    {"aug", KDI_DATE_MONTH, 8},
    {"august", KDI_DATE_MONTH, 8},
    {"sep", KDI_DATE_MONTH, 9},
    {"sept", KDI_DATE_MONTH, 9},
    {"september", KDI_DATE_MONTH, 9},
    {"oct", KDI_DATE_MONTH, 10},
    {"october", KDI_DATE_MONTH, 10},
    {"nov", KDI_DATE_MONTH, 11},
    {"november", KDI_DATE_MONTH, 11},
    {"dec", KDI_DATE_MONTH, 12},
    {"december", KDI_DATE_MONTH, 12},
    {"sun", KDI_DATE_WEEKDAY, 0},
    {"sunday", KDI_DATE_WEEKDAY, 0},
    {"mon", KDI_DATE_WEEKDAY, 1},
    {"monday", KDI_DATE_WEEKDAY, 1},
    {"tue", KDI_DATE_WEEKDAY, 2},
    {"tues", KDI_DATE_WEEKDAY, 2},
    {"tuesday", KDI_DATE_WEEKDAY, 2},
    {"wed", KDI_DATE_WEEKDAY, 3},
    {"weds", KDI_DATE_WEEKDAY, 3},
    {"wednesday", KDI_DATE_WEEKDAY, 3},
    {"thu", KDI_DATE_WEEKDAY, 4},
    {"thur", KDI_DATE_WEEKDAY, 4},
    {"thurs", KDI_DATE_WEEKDAY, 4},
    {"thursday", KDI_DATE_WEEKDAY, 4},
    {"fri", KDI_DATE_WEEKDAY, 5},
    {"friday", KDI_DATE_WEEKDAY, 5},
    {"sat", KDI_DATE_WEEKDAY, 6},
    {"saturday", KDI_DATE_WEEKDAY, 6},
    {"am", KDI_DATE_AM, 0},
    {"pm", KDI_DATE_PM, 0},
    {"bc", KDI_DATE_BC, 0},
    {"ad", KDI_DATE_AD, 0},
    {"t", KDI_DATE_ISO_TIME, 0},
    {"j", KDI_DATE_UNIT, KDI_DATE_UNIT_JULIAN},
    {"jd", KDI_DATE_UNIT, KDI_DATE_UNIT_JULIAN},
    {"julian", KDI_DATE_UNIT, KDI_DATE_UNIT_JULIAN},
    {"y", KDI_DATE_UNIT, KDI_DATE_UNIT_YEAR},
    {"m", KDI_DATE_UNIT, KDI_DATE_UNIT_MONTH},
    {"d", KDI_DATE_UNIT, KDI_DATE_UNIT_DAY},
    {"h", KDI_DATE_UNIT, KDI_DATE_UNIT_HOUR},
    {"mm", KDI_DATE_UNIT, KDI_DATE_UNIT_MINUTE},
    {"s", KDI_DATE_UNIT, KDI_DATE_UNIT_SECOND},
    {"at", KDI_DATE_IGNORED, 0},
    {"on", KDI_DATE_IGNORED, 0},
    {"dst", KDI_DATE_DST, 0},
    {"epoch", KDI_DATE_EPOCH, 0},
    {"infinity", KDI_DATE_INFINITY, 0},
    {"now", KDI_DATE_NOW, 0},
    {"today", KDI_DATE_TODAY, 0},
    {"tomorrow", KDI_DATE_TOMORROW, 0},
    {"yesterday", KDI_DATE_YESTERDAY, 0},
    {"allballs", KDI_DATE_MIDNIGHT, 0},
};

const kdi_date_word *kdi_date_word_find(kd_slice word)
{
    for (size_t i = 0; i < sizeof date_words / sizeof date_words[0]; i++)
        if (kd_slice_equal(word, kd_slice_of(date_words[i].word)))
            return &date_words[i];
    return NULL;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* A number, a date with separators, or a time: what starts with a digit. */
static size_t number_field_scan(const char *at, size_t left, kdi_date_field_kind *out_kind)
{
    size_t size = 0;
    while (size < left && kdi_is_digit(at[size]))
        size++;
    *out_kind = KDI_DATE_FIELD_NUMBER;
    if (size == left)
        return size;
    char delimiter = at[size];
    if (delimiter == ':') {
        *out_kind = KDI_DATE_FIELD_TIME;
        while (size < left && (kdi_is_digit(at[size]) || is_one_of(at[size], ":.")))
            size++;
        return size;
    }
    if (!is_one_of(delimiter, "-/."))
        return size;
    size++;
    if (size < left && kdi_is_digit(at[size])) {
        *out_kind = delimiter == '.' ? KDI_DATE_FIELD_NUMBER : KDI_DATE_FIELD_DATE;
        while (size < left && kdi_is_digit(at[size]))
            size++;
        if (size < left && at[size] == delimiter) {
            *out_kind = KDI_DATE_FIELD_DATE;
            while (size < left && (kdi_is_digit(at[size]) || at[size] == delimiter))
                size++;
        }
        return size;
    }
    *out_kind = delimiter == '.' ? KDI_DATE_FIELD_NUMBER : KDI_DATE_FIELD_DATE;
    while (size < left &&
           (kdi_is_digit(at[size]) || kdi_is_letter(at[size]) || at[size] == delimiter)) {
        *out_kind = KDI_DATE_FIELD_DATE;
        size++;
    }
    return size;
}

/* A word; with separators inside it is a date ('jan-08-1999') or a zone ('america/new_york'). */
static size_t word_field_scan(const char *at, size_t left, kdi_date_field_kind *out_kind)
{
    size_t size = 0;
    while (size < left && kdi_is_letter(at[size]))
        size++;
    *out_kind = KDI_DATE_FIELD_WORD;
    if (size == left)
        return size;
    bool goes_on = is_one_of(at[size], "-/.");
    if ((at[size] == '+' || kdi_is_digit(at[size])) &&
        kdi_date_word_find((kd_slice){at, size}) == NULL)
        goes_on = true;
    if (!goes_on)
        return size;
    *out_kind = KDI_DATE_FIELD_DATE;
    while (size < left &&
           (kdi_is_letter(at[size]) || kdi_is_digit(at[size]) || is_one_of(at[size], "+-/_.:")))
        size++;
    return size;
}

/* `io_at` moves behind blanks after the sign, which comes along. */
static size_t signed_field_scan(char **io_at, size_t left, kdi_date_field_kind *out_kind)
{
    char *at = *io_at, sign = *at;
    size_t blanks = 0;
    while (blanks + 1 < left && kdi_is_blank(at[blanks + 1]))
        blanks++;
    at += blanks;
    left -= blanks;
    at[0] = sign;
    *io_at = at;
    size_t size = 1;
    if (size < left && kdi_is_digit(at[size])) {
        *out_kind = KDI_DATE_FIELD_OFFSET;
        while (size < left && (kdi_is_digit(at[size]) || is_one_of(at[size], ":.-")))
            size++;
        return size;
    }
    *out_kind = KDI_DATE_FIELD_SIGNED_WORD;
    while (size < left && kdi_is_letter(at[size]))
        size++;
    return size > 1 ? size : 0;
}

/* False when the text has a shape that no date has. */
bool kdi_date_fields_cut(kd_slice text, kdi_date_fields *list)
{
    list->count = 0;
    if (text.size_bytes > KDI_DATE_TEXT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        list->bytes[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    char *at = list->bytes, *end = at + text.size_bytes;
    while (at < end) {
        size_t left = (size_t)(end - at);
        if (kdi_is_blank(*at)) {
            at++;
            continue;
        }
        kdi_date_field_kind kind = KDI_DATE_FIELD_NUMBER;
        size_t size;
        if (kdi_is_digit(*at)) {
            size = number_field_scan(at, left, &kind);
        } else if (*at == '.') {
            for (size = 1; size < left && kdi_is_digit(at[size]);)
                size++;
        } else if (kdi_is_letter(*at)) {
            size = word_field_scan(at, left, &kind);
        } else if (*at == '+' || *at == '-') {
            size = signed_field_scan(&at, left, &kind);
            if (size == 0)
                return false;
        } else if (*at > ' ' && *at < 127) { /* Other punctuation separates. */
            at++;
            continue;
        } else {
            return false;
        }
        if (list->count == KDI_DATE_FIELDS_MAX)
            return false;
        list->fields[list->count++] = (kdi_date_field){.kind = kind, .text = {at, size}};
        at += size;
    }
    return list->count > 0;
}
