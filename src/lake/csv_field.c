/*
 * From a field as it stands in the file to its value: quotes in CSV, backslashes in the text
 * format.
 */
#include "lake/csv_internal.h"

#include <string.h>

/* A quote opens and closes anywhere: ab"c,d"e is the one field abc,de, as PostgreSQL reads it. */
static size_t unquote(const kdi_csv_dialect *dialect, kd_slice raw, char *out)
{
    size_t size = 0;
    bool inside = false;
    for (size_t i = 0; i < raw.size_bytes; i++) {
        char byte = raw.data[i];
        bool has_next = i + 1 < raw.size_bytes;
        char next = has_next ? raw.data[i + 1] : '\0';
        if (inside && byte == dialect->escape && has_next &&
            (next == dialect->quote || next == dialect->escape)) {
            out[size++] = next;
            i++;
        } else if (byte == dialect->quote) {
            inside = !inside;
        } else {
            out[size++] = byte;
        }
    }
    return size;
}

static int digit_of(char byte, int base)
{
    int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                             : 99;
    return digit < base ? digit : -1;
}

/* \123 and \x41: up to `digits_max` digits from raw[*i + 1] on. False when there is none. */
static bool unescape_number(kd_slice raw, size_t *i, int base, int digits_max, char *out)
{
    int value = 0;
    int count = 0;
    while (count < digits_max && *i + 1 < raw.size_bytes) {
        int digit = digit_of(raw.data[*i + 1], base);
        if (digit < 0)
            break;
        value = value * base + digit;
        count++;
        (*i)++;
    }
    *out = (char)(value & 0xff);
    return count > 0;
}

static size_t unescape(kd_slice raw, char *out)
{
    static const char LETTERS[] = "bfnrtv";
    static const char MEANINGS[] = "\b\f\n\r\t\v";
    size_t size = 0;
    for (size_t i = 0; i < raw.size_bytes; i++) {
        char byte = raw.data[i];
        if (byte != '\\' || i + 1 == raw.size_bytes) {
            out[size++] = byte;
            continue;
        }
        byte = raw.data[++i];
        const char *letter = byte == '\0' ? NULL : strchr(LETTERS, byte);
        if (letter != NULL) {
            byte = MEANINGS[letter - LETTERS];
        } else if (byte == 'x') {
            if (!unescape_number(raw, &i, 16, 2, &byte))
                byte = 'x';
        } else if (digit_of(byte, 8) >= 0) {
            i--;
            (void)unescape_number(raw, &i, 8, 3, &byte);
        }
        out[size++] = byte;
    }
    return size;
}

kd_status kdi_csv_field_decode(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                               kd_slice raw, kd_slice *out_text, bool *out_is_null,
                               bool *out_was_quoted)
{
    *out_text = raw;
    *out_was_quoted = false;
    *out_is_null = kd_slice_equal(raw, dialect->null_text);
    if (*out_is_null || raw.size_bytes == 0)
        return KD_OK;
    char sign = dialect->format == KD_CSV_TEXT ? '\\' : dialect->quote;
    if (memchr(raw.data, sign, raw.size_bytes) == NULL)
        return KD_OK;
    if (dialect->format == KD_CSV_CSV && raw.size_bytes >= 2 && raw.data[0] == sign &&
        raw.data[raw.size_bytes - 1] == sign) {
        /* The usual case: quotes around, none (and no escape) inside. */
        kd_slice inner = {raw.data + 1, raw.size_bytes - 2};
        *out_was_quoted = true;
        if (inner.size_bytes == 0 ||
            (memchr(inner.data, sign, inner.size_bytes) == NULL &&
             memchr(inner.data, dialect->escape, inner.size_bytes) == NULL)) {
            *out_text = inner;
            return KD_OK;
        }
    }
    char *decoded = kd_alloc_raw(ctx, arena, raw.size_bytes);
    if (decoded == NULL)
        return KD_NOMEM;
    size_t size =
        dialect->format == KD_CSV_TEXT ? unescape(raw, decoded) : unquote(dialect, raw, decoded);
    *out_was_quoted = true;
    *out_text = (kd_slice){decoded, size};
    return KD_OK;
}

kd_status kdi_csv_record_split(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                               kd_slice sample, size_t *offset, kd_slice **out_fields,
                               uint32_t *out_count)
{
    kd_slice *fields = NULL;
    size_t count = 0, capacity = 0;
    size_t begin = *offset, at = *offset;
    bool inside = false;
    bool is_over = at >= sample.size_bytes;
    *out_fields = NULL;
    *out_count = 0;
    while (!is_over) {
        char byte = at < sample.size_bytes ? sample.data[at] : '\n';
        is_over = at >= sample.size_bytes;
        bool escapes = byte == dialect->escape && dialect->escape != dialect->quote &&
                       (inside || dialect->quote == 0);
        if (escapes && !is_over) {
            at += 2;
            continue;
        }
        if (byte == dialect->quote && dialect->quote != 0)
            inside = !inside;
        bool ends_record = byte == '\n' && (!inside || is_over);
        if (ends_record || (byte == dialect->delimiter && !inside)) {
            size_t end = at;
            if (ends_record && end > begin && sample.data[end - 1] == '\r')
                end--;
            kd_slice *field;
            KD_TRY(KD_PUSH(ctx, arena, fields, count, capacity, &field));
            bool is_null, was_quoted;
            kd_slice raw = {sample.data + begin, end - begin};
            KD_TRY(kdi_csv_field_decode(ctx, arena, dialect, raw, field, &is_null, &was_quoted));
            begin = at + 1;
        }
        at++;
        if (ends_record)
            break;
    }
    *offset = at < sample.size_bytes ? at : sample.size_bytes;
    *out_fields = fields;
    *out_count = (uint32_t)count;
    return KD_OK;
}
