/*
 * What the CSV reader's files share: the dialect, the scanner that finds fields, the sniffer.
 */
#ifndef KD_LAKE_CSV_INTERNAL_H
#define KD_LAKE_CSV_INTERNAL_H

#include "lake/chunk_internal.h"
#include "lake/csv.h"

typedef struct kdi_csv_dialect {
    kd_csv_format format;
    char delimiter;
    char quote;  /* 0 in the text format. */
    char escape; /* The quote itself, or another; backslash in the text format. */
    kd_slice null_text;
} kdi_csv_dialect;

struct kd_csv_reader {
    kd_arena *arena;
    kdi_chunks chunks;
    kdi_csv_dialect dialect;
    kd_csv_options options;
    kd_csv_schema schema;
};

/*
 * The scanner: where fields end. A position is the offset of a delimiter or LF that is data to
 * nobody; KDI_CSV_RECORD_END marks the LFs.
 */
#define KDI_CSV_RECORD_END 0x80000000u

typedef struct kdi_csv_scan {
    size_t count;
    bool has_quote;   /* Fields may need unquoting (or unescaping). */
    bool has_return;  /* A CR somewhere. */
    bool has_special; /* Bytes over 0x7f or NUL: texts need checking. */
} kdi_csv_scan;

/* `positions` has room for `size_bytes` entries. */
void kdi_csv_scan_run(const kdi_csv_dialect *dialect, const char *data, size_t size_bytes,
                      uint32_t *positions, kdi_csv_scan *out_scan);

/* A field's value: quotes and escapes are removed (into `arena` where needed). Unquoted fields
 * equal to the dialect's null text are NULL. */
kd_status kdi_csv_field_decode(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                               kd_slice raw, kd_slice *out_text, bool *out_is_null,
                               bool *out_was_quoted) KD_MUST_CHECK;

/* Fills in what the options leave open from the sample: dialect, header, columns (in `arena`). */
kd_status kdi_csv_sniff(kd_ctx *ctx, kd_arena *arena, const kd_csv_options *options,
                        kd_slice sample, kdi_csv_dialect *dialect,
                        kd_csv_schema *out_schema) KD_MUST_CHECK;

/* One line of the sample, split and decoded; for sniffing and headers. Advances `*offset` past the
 * record. `*out_count` 0 at the end of the sample. */
kd_status kdi_csv_record_split(kd_ctx *ctx, kd_arena *arena, const kdi_csv_dialect *dialect,
                               kd_slice sample, size_t *offset, kd_slice **out_fields,
                               uint32_t *out_count) KD_MUST_CHECK;

#endif
