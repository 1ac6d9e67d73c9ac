/*
 * What the NDJSON reader's files share.
 */
#ifndef KD_LAKE_NDJSON_INTERNAL_H
#define KD_LAKE_NDJSON_INTERNAL_H

#include "lake/chunk_internal.h"
#include "lake/ndjson.h"
#include "types/json.h"

struct kd_ndjson_reader {
    kd_arena *arena;
    kdi_chunks chunks;
    kd_ndjson_options options;
    const kd_import_column *columns;
    uint32_t column_count;
};

/* The next member of the line's object, or its end. */
typedef struct kdi_ndjson_member {
    kd_slice key;
    kd_json_event kind; /* Of the value; KD_JSON_END: no more members. */
    kd_slice text;      /* The value: decoded for strings, as written for everything else. */
    kd_slice source;    /* The value as written. */
} kdi_ndjson_member;

/* `line` is one record without its LF. Decoded strings come from `arena`. */
kd_status kdi_ndjson_begin(kd_ctx *ctx, kd_json_parser *parser, kd_slice line) KD_MUST_CHECK;
kd_status kdi_ndjson_next(kd_ctx *ctx, kd_arena *arena, kd_json_parser *parser,
                          kdi_ndjson_member *out_member) KD_MUST_CHECK;
bool kdi_ndjson_line_is_blank(kd_slice line);

kd_status kdi_ndjson_sniff(kd_ctx *ctx, kd_arena *arena, kd_slice sample,
                           const kd_import_column **out_columns, uint32_t *out_count) KD_MUST_CHECK;

#endif
