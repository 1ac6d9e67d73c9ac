/*
 * The text of dates, times and intervals cut into fields by their looks, and the words that have a
 * meaning in it.
 */
#ifndef KD_TYPES_DATE_FIELD_INTERNAL_H
#define KD_TYPES_DATE_FIELD_INTERNAL_H

#include "base/bytes.h"

static inline bool kdi_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool kdi_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static inline bool kdi_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

typedef enum kdi_date_field_kind {
    KDI_DATE_FIELD_NUMBER,
    KDI_DATE_FIELD_DATE, /* Also names of zones, and numbers with '-' or '/' between them. */
    KDI_DATE_FIELD_TIME,
    KDI_DATE_FIELD_WORD,
    KDI_DATE_FIELD_OFFSET,
    KDI_DATE_FIELD_SIGNED_WORD,
} kdi_date_field_kind;

enum { KDI_DATE_FIELDS_MAX = 25, KDI_DATE_TEXT_BYTES_MAX = 255 };

typedef struct kdi_date_field {
    kdi_date_field_kind kind;
    kd_slice text; /* In lower case; a sign stands right before what it belongs to. */
} kdi_date_field;

typedef struct kdi_date_fields {
    char bytes[KDI_DATE_TEXT_BYTES_MAX + 1];
    uint32_t count;
    kdi_date_field fields[KDI_DATE_FIELDS_MAX];
} kdi_date_fields;

/* False when the text has a shape that no date has, or no fields. */
bool kdi_date_fields_cut(kd_slice text, kdi_date_fields *list);

typedef enum kdi_date_meaning {
    KDI_DATE_IGNORED = 1,
    KDI_DATE_MONTH,
    KDI_DATE_WEEKDAY,
    KDI_DATE_AM,
    KDI_DATE_PM,
    KDI_DATE_BC,
    KDI_DATE_AD,
    KDI_DATE_ISO_TIME,
    KDI_DATE_UNIT, /* A number of this unit follows: 'Y2001M12D27'. */
    KDI_DATE_DST,
    KDI_DATE_EPOCH,
    KDI_DATE_INFINITY,
    KDI_DATE_NOW,
    KDI_DATE_TODAY,
    KDI_DATE_TOMORROW,
    KDI_DATE_YESTERDAY,
    KDI_DATE_MIDNIGHT,
} kdi_date_meaning;

typedef enum kdi_date_unit {
    KDI_DATE_UNIT_NONE = 0,
    KDI_DATE_UNIT_JULIAN,
    KDI_DATE_UNIT_TIME, /* After 'T'. */
    KDI_DATE_UNIT_YEAR,
    KDI_DATE_UNIT_MONTH,
    KDI_DATE_UNIT_DAY,
    KDI_DATE_UNIT_HOUR,
    KDI_DATE_UNIT_MINUTE,
    KDI_DATE_UNIT_SECOND,
} kdi_date_unit;

typedef struct kdi_date_word {
    const char *word;
    uint8_t meaning;
    uint8_t value; /* A month from 1, a day of the week from Sunday, 0, a unit. */
} kdi_date_word;

/* NULL when it is none of them. */
const kdi_date_word *kdi_date_word_find(kd_slice word);

#endif
