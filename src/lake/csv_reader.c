/*
 * The CSV reader: sniffs, consumes the header, then hands chunks to workers.
 */
#include "lake/csv_internal.h"

#include <string.h>

kd_csv_options kd_csv_options_default(void)
{
    return (kd_csv_options){.skip_blank_lines = true};
}

/* The lines that the caller asked to drop, whatever is in them. */
static void lines_skip(kdi_chunks *chunks, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        kd_slice sample = kdi_chunks_sample(chunks);
        const char *end =
            sample.size_bytes == 0 ? NULL : memchr(sample.data, '\n', sample.size_bytes);
        size_t size_bytes = end == NULL ? sample.size_bytes : (size_t)(end - sample.data) + 1;
        kdi_chunks_skip(chunks, size_bytes, end != NULL);
    }
}

/* What sniffing may look at: whole records, or everything when the file is that small. */
static kd_slice sample_cut(const kdi_chunks *chunks, const kd_csv_options *options)
{
    kd_slice sample = kdi_chunks_sample(chunks);
    if (chunks->source_is_over)
        return sample;
    char quote = options->quote != 0 ? options->quote : '"';
    kdi_border border = {.quote = options->format == KD_CSV_CSV ? quote : '\0',
                         .escape = options->format == KD_CSV_CSV ? options->escape : '\\'};
    bool quote_is_open;
    size_t size = kdi_border_find_last(&border, sample.data, sample.size_bytes, &quote_is_open);
    if (size > 0)
        sample.size_bytes = size;
    return sample;
}

static kd_status header_match(kd_ctx *ctx, const kd_csv_reader *reader, const kd_slice *fields,
                              uint32_t count)
{
    const kd_csv_schema *schema = &reader->schema;
    if (count != schema->column_count)
        return KD_FAIL(ctx, KD_INVALID, "22P04",
                       "wrong number of fields in header line: got %u, expected %u", count,
                       schema->column_count);
    for (uint32_t i = 0; i < count; i++) {
        kd_slice name = schema->columns[i].name;
        if (!kd_slice_equal(fields[i], name))
            return KD_FAIL(ctx, KD_INVALID, "22P04",
                           "column name mismatch in header line field %u: got \"%.*s\", "
                           "expected \"%.*s\"",
                           i + 1, (int)fields[i].size_bytes, fields[i].data, (int)name.size_bytes,
                           name.data);
    }
    return KD_OK;
}

static kd_status header_consume(kd_ctx *ctx, kd_csv_reader *reader)
{
    kd_slice sample = kdi_chunks_sample(&reader->chunks);
    if (!reader->schema.has_header || sample.size_bytes == 0)
        return KD_OK;
    size_t offset = 0;
    kd_slice *fields;
    uint32_t count;
    KD_TRY(kdi_csv_record_split(ctx, reader->arena, &reader->dialect, sample, &offset, &fields,
                                &count));
    if (reader->options.header == KD_CSV_HEADER_MATCH)
        KD_TRY(header_match(ctx, reader, fields, count));
    kdi_chunks_skip(&reader->chunks, offset, kdi_count_bytes(sample.data, offset, '\n'));
    return KD_OK;
}

static kd_status reader_begin(kd_ctx *ctx, kd_csv_reader *reader, kd_text_source *source)
{
    KD_TRY(kdi_chunks_open(ctx, reader->arena, source, &reader->chunks));
    lines_skip(&reader->chunks, reader->options.skip_lines);
    kd_slice sample = sample_cut(&reader->chunks, &reader->options);
    KD_TRY(kdi_csv_sniff(ctx, reader->arena, &reader->options, sample, &reader->dialect,
                         &reader->schema));
    reader->chunks.border =
        (kdi_border){.quote = reader->dialect.quote, .escape = reader->dialect.escape};
    return header_consume(ctx, reader);
}

kd_status kd_csv_reader_create(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                               const kd_csv_options *options, kd_csv_reader **out_reader)
{
    *out_reader = NULL;
    kd_csv_reader *reader = KD_NEW(ctx, arena, kd_csv_reader);
    if (reader == NULL)
        return KD_NOMEM;
    reader->arena = arena;
    reader->options = *options;
    kd_status status = reader_begin(ctx, reader, source);
    if (status != KD_OK) {
        kd_csv_reader_destroy(reader);
        return status;
    }
    *out_reader = reader;
    return KD_OK;
}

void kd_csv_reader_destroy(kd_csv_reader *reader)
{
    if (reader != NULL)
        kdi_chunks_clear(&reader->chunks);
}

const kd_csv_schema *kd_csv_reader_schema(const kd_csv_reader *reader)
{
    return &reader->schema;
}
