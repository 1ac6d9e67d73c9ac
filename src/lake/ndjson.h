/*
 * Reading newline-delimited JSON objects into batches: one object per line, its members are the
 * columns. The shape is that of csv.h: one reader, a worker per thread.
 *
 * Sniffing unites the members of the first chunk's objects: numbers become bigint, double precision
 * or numeric, strings that all look like dates, timestamps or uuids those types, objects and arrays
 * jsonb, members of mixed kinds text. A member that is absent or null is NULL; members that no
 * column names are ignored.
 */
#ifndef KD_LAKE_NDJSON_H
#define KD_LAKE_NDJSON_H

#include "lake/import.h"

typedef struct kd_ndjson_options {
    kd_import_on_error on_error;
    const kd_import_column *columns; /* NULL: sniffed. */
    uint32_t column_count;
} kd_ndjson_options;

typedef struct kd_ndjson_reader kd_ndjson_reader;
typedef struct kd_ndjson_worker kd_ndjson_worker;

kd_status kd_ndjson_reader_create(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                                  const kd_ndjson_options *options,
                                  kd_ndjson_reader **out_reader) KD_MUST_CHECK;
void kd_ndjson_reader_destroy(kd_ndjson_reader *reader); /* NULL is allowed. */
/* The columns live as long as the reader. */
void kd_ndjson_reader_schema(const kd_ndjson_reader *reader, const kd_import_column **out_columns,
                             uint32_t *out_count);

kd_status kd_ndjson_worker_create(kd_ctx *ctx, kd_arena *arena, kd_ndjson_reader *reader,
                                  const kd_text_settings *settings,
                                  kd_ndjson_worker **out_worker) KD_MUST_CHECK;
/* As kd_csv_worker_next. Malformed JSON is 22P02, "invalid JSON". */
kd_status kd_ndjson_worker_next(kd_ctx *ctx, kd_ndjson_worker *worker,
                                kd_batch *out_batch) KD_MUST_CHECK;
const kd_import_rejects *kd_ndjson_worker_rejects(const kd_ndjson_worker *worker);

#endif
