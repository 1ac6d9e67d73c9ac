/*
 * Reading CSV, TSV and COPY's text format into batches.
 *
 *     kd_csv_options options = kd_csv_options_default();
 *     kd_csv_reader_create(ctx, arena, source, &options, &reader);   sniffs what is not given
 *     ... kd_csv_reader_schema(reader) ...
 *     per thread: kd_csv_worker_create(ctx, arena_of_thread, reader, &settings, &worker);
 *                 while (kd_csv_worker_next(ctx, worker, &batch) == KD_OK && batch.row_count > 0)
 *
 * The reader hands out chunks of about 1 MiB that end at a record border, under a lock: quotes are
 * counted from the start of the file on, so borders are exact even with line ends inside quotes.
 * Workers then split and parse their chunks on their own.
 *
 * Quoting is PostgreSQL's: a quote opens and closes anywhere in a field, a doubled quote (or escape
 * + quote) inside is a quote; an unquoted field equal to `null_text` is NULL. Records end in LF or
 * CRLF.
 */
#ifndef KD_LAKE_CSV_H
#define KD_LAKE_CSV_H

#include "lake/import.h"

typedef enum kd_csv_format {
    KD_CSV_CSV = 0,
    KD_CSV_TEXT, /* COPY's text format: backslash escapes, \N is NULL, no quotes. */
} kd_csv_format;

typedef enum kd_csv_header {
    KD_CSV_HEADER_SNIFF = 0,
    KD_CSV_HEADER_YES,
    KD_CSV_HEADER_NO,
    KD_CSV_HEADER_MATCH, /* The first line must name exactly the columns given. */
} kd_csv_header;

typedef struct kd_csv_options {
    kd_csv_format format;
    kd_csv_header header;
    char delimiter;      /* 0: sniffed among , ; tab | */
    char quote;          /* 0: sniffed: " or ' */
    char escape;         /* 0: the quote itself */
    kd_slice null_text;  /* data NULL: "" for CSV, "\N" for TEXT */
    uint64_t skip_lines; /* Dropped before the header. */
    kd_import_on_error on_error;
    bool ignore_extra;     /* Fields beyond the last column are dropped instead of refused. */
    bool null_padding;     /* Missing fields at the end are NULL instead of refused. */
    bool skip_blank_lines; /* Otherwise an empty line is a record with one empty field. */
    bool all_text;         /* Sniffing gives every column the type text. */
    /* NULL: names and types are sniffed. Otherwise one per field of the file, in its order. */
    const kd_import_column *columns;
    uint32_t column_count;
} kd_csv_options;

typedef struct kd_csv_schema {
    const kd_import_column *columns;
    uint32_t column_count;
    char delimiter, quote, escape;
    bool has_header;
} kd_csv_schema;

typedef struct kd_csv_reader kd_csv_reader;
typedef struct kd_csv_worker kd_csv_worker;

kd_csv_options kd_csv_options_default(void); /* CSV, everything sniffed. */

/* Takes the source (not its ownership) and reads its first chunk. `arena` keeps the reader's
 * buffers and the schema; it is used under the reader's lock only. */
kd_status kd_csv_reader_create(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                               const kd_csv_options *options,
                               kd_csv_reader **out_reader) KD_MUST_CHECK;
void kd_csv_reader_destroy(kd_csv_reader *reader); /* After its workers. NULL is allowed. */
const kd_csv_schema *kd_csv_reader_schema(const kd_csv_reader *reader);

/* One per thread. `arena` belongs to the worker's thread; the worker makes a child of it for
 * batches. `settings` outlives the worker. */
kd_status kd_csv_worker_create(kd_ctx *ctx, kd_arena *arena, kd_csv_reader *reader,
                               const kd_text_settings *settings,
                               kd_csv_worker **out_worker) KD_MUST_CHECK;

/*
 * The next rows of this worker: up to KD_BATCH_ROWS, FLAT columns in the schema's order; row_count
 * 0 is the end of the file. The batch and its strings live until the worker's next call. With
 * KD_IMPORT_STOP a bad row fails with 22P04 (missing data for column "x"; extra data after last
 * expected column; unterminated CSV quoted field), 22P02, 22003, ...; the detail names line and
 * column. With KD_IMPORT_REJECT a batch may be shorter than what was read, but is empty only at the
 * end.
 */
kd_status kd_csv_worker_next(kd_ctx *ctx, kd_csv_worker *worker, kd_batch *out_batch) KD_MUST_CHECK;
/* The rows left out by the worker's last call, valid until its next one. Ask at the end, too. */
const kd_import_rejects *kd_csv_worker_rejects(const kd_csv_worker *worker);
/* Where the last batch stands in the file: chunk numbers ascend with the file, and a worker's
 * batches of one chunk are in order. `*out_line` is the line of the batch's first record. */
void kd_csv_worker_position(const kd_csv_worker *worker, uint64_t *out_chunk_no,
                            uint64_t *out_line);

#endif
