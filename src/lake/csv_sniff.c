/*
 * Sniffing: delimiter and quote, header, names and types from the first records of a file.
 *
 * The delimiter is the candidate that splits the most records into the same number of fields, more
 * than one if any does. The first record is a header when it does not fit the columns' types, or,
 * where all is text, when it looks like names.
 */
#include "lake/csv_internal.h"
#include "lake/import_column_internal.h"

#include <assert.h>
#include <string.h>

enum { RECORDS_FOR_DIALECT = 200, RECORDS_FOR_TYPES = 20000, NAME_BYTES_MAX = 63 };

/* ---- Dialect ---- */

typedef struct dialect_score {
    uint32_t field_count; /* Of the first record that counts. */
    uint32_t same_count;  /* Records with as many. */
    uint32_t record_count;
} dialect_score;

static kd_status dialect_try(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                             kd_slice sample, dialect_score *out_score)
{
    size_t offset = 0;
    *out_score = (dialect_score){0};
    while (out_score->record_count < RECORDS_FOR_DIALECT) {
        kd_slice *fields;
        uint32_t count;
        KD_TRY(kdi_csv_record_split(ctx, arena, dialect, sample, &offset, &fields, &count));
        if (count == 0)
            break;
        if (count == 1 && fields[0].size_bytes == 0)
            continue; /* A blank line says nothing. */
        if (out_score->record_count == 0)
            out_score->field_count = count;
        out_score->record_count++;
        out_score->same_count += count == out_score->field_count;
    }
    return KD_OK;
}

/* Better: several fields before one; then the larger part of records that agree; then more fields.
 */
static bool score_is_better(const dialect_score *a, const dialect_score *b)
{
    if ((a->field_count > 1) != (b->field_count > 1))
        return a->field_count > 1;
    uint64_t a_part = (uint64_t)a->same_count * (b->record_count > 0 ? b->record_count : 1);
    uint64_t b_part = (uint64_t)b->same_count * (a->record_count > 0 ? a->record_count : 1);
    if (a_part != b_part)
        return a_part > b_part;
    return a->field_count > b->field_count;
}

static kd_status delimiter_sniff(kd_ctx *ctx, kd_arena *arena, kd_slice sample,
                                 kdi_csv_dialect *dialect)
{
    static const char CANDIDATES[] = {',', '\t', ';', '|'};
    dialect_score best = {0};
    char best_delimiter = ',';
    for (size_t i = 0; i < sizeof CANDIDATES; i++) {
        dialect->delimiter = CANDIDATES[i];
        dialect_score score;
        KD_TRY(dialect_try(ctx, arena, dialect, sample, &score));
        if (score_is_better(&score, &best)) {
            best = score;
            best_delimiter = CANDIDATES[i];
        }
    }
    dialect->delimiter = best_delimiter;
    return KD_OK;
}

/* Fields that begin with `quote`, by what stands before it. */
static size_t count_quoted(kd_slice sample, char quote)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < sample.size_bytes; i++) {
        bool begins = i == 0 || strchr(",;|\t\n", sample.data[i - 1]) != NULL;
        count += begins && sample.data[i] == quote;
    }
    return count;
}

/* ---- Header, names, types ---- */

static bool looks_like_name(kd_slice text)
{
    if (text.size_bytes == 0 || text.size_bytes > NAME_BYTES_MAX)
        return false;
    char first = text.data[0];
    bool is_letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    return is_letter || first == '_' || (unsigned char)first >= 0x80;
}

static bool fields_are_names(const kd_slice *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!looks_like_name(fields[i]))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (kd_slice_equal_ignoring_case(fields[i], fields[j]))
                return false;
    }
    return true;
}

static bool guess_takes(kdi_type_guess guess, kd_slice text)
{
    kd_type before = kdi_type_guess_end(&guess);
    kdi_type_guess_add(&guess, text);
    kd_type after = kdi_type_guess_end(&guess);
    return kd_type_same(before, after) || (kd_type_is_number(before) && kd_type_is_number(after));
}

/* `guesses` are of all records but the first. */
static bool first_is_header(const kd_slice *first, uint32_t count, const kdi_type_guess *guesses,
                            bool *first_value_recurs)
{
    bool any_typed = false;
    for (uint32_t i = 0; i < count; i++) {
        if (guesses[i].seen_count == 0)
            continue;
        if (kdi_type_guess_end(&guesses[i]).id == KD_TYPE_TEXT)
            continue;
        any_typed = true;
        if (first[i].size_bytes > 0 && !guess_takes(guesses[i], first[i]))
            return true;
    }
    if (any_typed || !fields_are_names(first, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (first_value_recurs[i])
            return false;
    return true;
}

static kd_status guess_types(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                             kd_slice sample, size_t offset, const kd_slice *first,
                             uint32_t column_count, kdi_type_guess *guesses,
                             bool *first_value_recurs)
{
    kd_arena *scratch = kd_arena_create(ctx, arena, "csv sniff", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = KD_OK;
    for (uint32_t i = 0; i < column_count; i++)
        guesses[i] = kdi_type_guess_begin();
    for (int record = 0; record < RECORDS_FOR_TYPES; record++) {
        if (record % 64 == 0)
            kd_arena_reset(scratch);
        kd_slice *fields;
        uint32_t count;
        KD_TRY_OUT(kdi_csv_record_split(ctx, scratch, dialect, sample, &offset, &fields, &count));
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count && i < column_count; i++) {
            if (fields[i].size_bytes == 0 || kd_slice_equal(fields[i], dialect->null_text))
                continue;
            kdi_type_guess_add(&guesses[i], fields[i]);
            first_value_recurs[i] |= kd_slice_equal(fields[i], first[i]);
        }
    }

out:
    kd_arena_destroy(scratch);
    return status;
}

/* Trimmed, made unique; "column3" where there is none. */
static kd_status name_make(kd_ctx *ctx, kd_arena *arena, const kd_import_column *columns,
                           uint32_t index, kd_slice wanted, kd_slice *out_name)
{
    while (wanted.size_bytes > 0 && wanted.data[0] == ' ')
        wanted = (kd_slice){wanted.data + 1, wanted.size_bytes - 1};
    while (wanted.size_bytes > 0 && wanted.data[wanted.size_bytes - 1] == ' ')
        wanted.size_bytes--;
    char *name = wanted.size_bytes > 0 ? kd_copy_text(ctx, arena, wanted.data, wanted.size_bytes)
                                       : kd_format_text(ctx, arena, "column%u", index + 1);
    if (name == NULL)
        return KD_NOMEM;
    uint32_t suffix = 0;
    for (uint32_t i = 0; i < index; i++) {
        if (!kd_slice_equal_ignoring_case(columns[i].name, kd_slice_of(name)))
            continue;
        name = kd_format_text(ctx, arena, "%.*s_%u", (int)wanted.size_bytes, wanted.data, ++suffix);
        if (name == NULL)
            return KD_NOMEM;
        i = UINT32_MAX; /* Compare with all of them again. */
    }
    *out_name = kd_slice_of(name);
    return KD_OK;
}

static kd_status columns_sniff(kd_ctx *ctx, kd_arena *arena, const kd_csv_options *options,
                               kd_slice sample, const kdi_csv_dialect *dialect,
                               kd_csv_schema *schema)
{
    size_t offset = 0;
    kd_slice *first;
    uint32_t count;
    KD_TRY(kdi_csv_record_split(ctx, arena, dialect, sample, &offset, &first, &count));
    kdi_type_guess *guesses = KD_NEW_ARRAY(ctx, arena, kdi_type_guess, count);
    bool *recurs = KD_NEW_ARRAY(ctx, arena, bool, count);
    kd_import_column *columns = KD_NEW_ARRAY(ctx, arena, kd_import_column, count);
    if (guesses == NULL || recurs == NULL || columns == NULL)
        return KD_NOMEM;
    KD_TRY(guess_types(ctx, arena, dialect, sample, offset, first, count, guesses, recurs));
    if (options->header == KD_CSV_HEADER_SNIFF)
        schema->has_header = first_is_header(first, count, guesses, recurs);
    for (uint32_t i = 0; i < count; i++) {
        if (!schema->has_header && first[i].size_bytes > 0)
            kdi_type_guess_add(&guesses[i], first[i]);
        kd_slice wanted = schema->has_header ? first[i] : (kd_slice){"", 0};
        KD_TRY(name_make(ctx, arena, columns, i, wanted, &columns[i].name));
        columns[i].type =
            options->all_text ? kd_type_of(KD_TYPE_TEXT) : kdi_type_guess_end(&guesses[i]);
    }
    schema->columns = columns;
    schema->column_count = count;
    return KD_OK;
}

/* With the columns given, a header is one when its fields are their names. */
static kd_status header_sniff(kd_ctx *ctx, kd_arena *arena, const kd_csv_options *options,
                              kd_slice sample, const kdi_csv_dialect *dialect, bool *out_has_header)
{
    size_t offset = 0;
    kd_slice *first;
    uint32_t count;
    KD_TRY(kdi_csv_record_split(ctx, arena, dialect, sample, &offset, &first, &count));
    *out_has_header = count > 0 && count == options->column_count;
    for (uint32_t i = 0; i < count && *out_has_header; i++)
        *out_has_header = kd_slice_equal_ignoring_case(first[i], options->columns[i].name);
    return KD_OK;
}

kd_status kdi_csv_sniff(kd_ctx *ctx, kd_arena *arena, const kd_csv_options *options,
                        kd_slice sample, kdi_csv_dialect *dialect, kd_csv_schema *out_schema)
{
    bool is_csv = options->format == KD_CSV_CSV;
    *dialect = (kdi_csv_dialect){
        .format = options->format,
        .delimiter = options->delimiter,
        .quote = is_csv ? options->quote : '\0',
        .escape = is_csv ? options->escape : '\\',
        .null_text = options->null_text,
    };
    if (is_csv && dialect->quote == 0) {
        bool single = count_quoted(sample, '"') == 0 && count_quoted(sample, '\'') >= 4;
        dialect->quote = single ? '\'' : '"';
    }
    if (is_csv && dialect->escape == 0)
        dialect->escape = dialect->quote;
    if (dialect->null_text.data == NULL)
        dialect->null_text = is_csv ? KD_SLICE("") : KD_SLICE("\\N");
    if (dialect->delimiter == 0 && is_csv)
        KD_TRY(delimiter_sniff(ctx, arena, sample, dialect));
    else if (dialect->delimiter == 0)
        dialect->delimiter = '\t';

    kd_csv_schema schema = {
        .columns = options->columns,
        .column_count = options->column_count,
        .has_header =
            options->header == KD_CSV_HEADER_YES || options->header == KD_CSV_HEADER_MATCH,
    };
    if (options->columns == NULL)
        KD_TRY(columns_sniff(ctx, arena, options, sample, dialect, &schema));
    else if (options->header == KD_CSV_HEADER_SNIFF)
        KD_TRY(header_sniff(ctx, arena, options, sample, dialect, &schema.has_header));
    schema.delimiter = dialect->delimiter;
    schema.quote = dialect->quote;
    schema.escape = dialect->escape;
    *out_schema = schema;
    return KD_OK;
}
