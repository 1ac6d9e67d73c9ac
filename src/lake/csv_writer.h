/*
 * Writing batches as CSV, TSV or COPY's text format. Writers append to a buffer; the caller empties
 * it into a file, a pipe or a client when it likes.
 */
#ifndef KD_LAKE_CSV_WRITER_H
#define KD_LAKE_CSV_WRITER_H

#include "lake/csv.h"

typedef struct kd_csv_write_options {
    kd_csv_format format;
    char delimiter;     /* 0: ',' for CSV, tab for TEXT */
    char quote;         /* 0: '"' */
    char escape;        /* 0: the quote itself */
    bool quote_all;     /* FORCE_QUOTE *: every value that is not NULL */
    kd_slice null_text; /* data NULL: "" for CSV, "\N" for TEXT */
} kd_csv_write_options;

/* The header line: the columns' names. */
kd_status kd_csv_write_header(kd_ctx *ctx, const kd_csv_write_options *options,
                              const kd_slice *names, uint32_t column_count,
                              kd_buffer *out) KD_MUST_CHECK;
/* The batch's selected rows, as PostgreSQL's COPY TO writes them, LF line ends. */
kd_status kd_csv_write_batch(kd_ctx *ctx, const kd_csv_write_options *options,
                             const kd_text_settings *settings, const kd_batch *batch,
                             kd_buffer *out) KD_MUST_CHECK;

#endif
