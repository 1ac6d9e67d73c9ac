/*
 * What payloads are made of: errors, types, columns, values, text settings, rows.
 * Each has a writer and a reader; readers trust no byte and fail with 08P01.
 */
#ifndef KD_LINK_MESSAGE_INTERNAL_H
#define KD_LINK_MESSAGE_INTERNAL_H

#include "link/frame_internal.h"

#include "engine/conversation.h"

enum {
    KDI_LINK_COLUMNS_MAX = 65535,
    KDI_LINK_PARAMETERS_MAX = 65535,
    KDI_SOURCE_NAME_BYTES = 128,
    /* Rows are put into one frame up to about this. */
    KDI_ROWS_FRAME_BYTES = 4 << 20,
};

/* The record with all its texts; `file` of a record read is kept in `out_file`. */
kd_status kdi_error_put(kd_ctx *ctx, const kd_error *error, kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_error_get(kd_ctx *ctx, kd_reader *reader, kd_error *out_error,
                        char out_file[KDI_SOURCE_NAME_BYTES]) KD_MUST_CHECK;

kd_status kdi_type_put(kd_ctx *ctx, kd_type type, kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_type_get(kd_ctx *ctx, kd_reader *reader, kd_type *out_type) KD_MUST_CHECK;

/* A column or parameter: type, name, name of the type. */
typedef struct kdi_described {
    kd_type type;
    kd_slice name;
    kd_slice type_name;
} kdi_described;
kd_status kdi_described_put(kd_ctx *ctx, const kdi_described *item, kd_buffer *out) KD_MUST_CHECK;
/* Texts are copied into `arena`. */
kd_status kdi_described_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                            kdi_described *out_item) KD_MUST_CHECK;
/* A count, then each; at most `max`. */
kd_status kdi_described_list_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, uint32_t max,
                                 kdi_described **out_items, uint32_t *out_count) KD_MUST_CHECK;

/* Parameters with their types. Read values are copied into `arena`. */
kd_status kdi_parameters_put(kd_ctx *ctx, const kd_value *values, uint32_t count,
                             kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_parameters_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, kd_value **out_values,
                             uint32_t *out_count) KD_MUST_CHECK;

/* How values become text: everything of the settings but the labels of enums, which the client asks
 * for. `zone_name` and the names in `facts` point into the reader's bytes. */
typedef struct kdi_run_facts {
    kd_slice zone_name;
    kd_text_settings text;
    kd_slice user_name;
    kd_slice database_name;
    kd_slice schema_name;
    int64_t transaction_us;
    int64_t statement_us;
} kdi_run_facts;
kd_status kdi_run_facts_put(kd_ctx *ctx, const kd_session_facts *facts,
                            const kd_text_settings *text, kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_run_facts_get(kd_ctx *ctx, kd_reader *reader, kdi_run_facts *out_facts) KD_MUST_CHECK;

/*
 * Rows: u32 rows, u32 columns; per column the type, u8 1 when a bitmap of validity follows and the
 * bitmap (whole bytes, bit set = not NULL), then the values: fixed-size ones as they are; STR: u32
 * length each, then all bytes. A NULL takes a zero or an empty string.
 */
/* How many of the batch's selected rows from `first` on go into one frame: at least 1. */
uint32_t kdi_rows_that_fit(const kd_batch *batch, uint32_t first);
kd_status kdi_rows_put(kd_ctx *ctx, const kd_batch *batch, uint32_t first, uint32_t count,
                       kd_buffer *out) KD_MUST_CHECK;
/* Everything is copied into `arena`. */
kd_status kdi_rows_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                       kd_batch *out_batch) KD_MUST_CHECK;

#endif
