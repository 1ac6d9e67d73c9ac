/*
 * COPY: what its parts share.
 */
#ifndef KD_ENGINE_COPY_INTERNAL_H
#define KD_ENGINE_COPY_INTERNAL_H

#include "engine/engine_internal.h"
#include "lake/csv.h"
#include "lake/csv_writer.h"
#include "lake/ndjson.h"

typedef enum kdi_copy_format {
    KDI_COPY_TEXT = 0,
    KDI_COPY_CSV,
    KDI_COPY_JSON,
    KDI_COPY_BINARY, /* See copy_binary.h. */
    KDI_COPY_ARROW,  /* The file form. */
    KDI_COPY_ARROW_STREAM,
} kdi_copy_format;

typedef struct kdi_copy_options {
    kdi_copy_format format;
    kd_csv_header header;
    char delimiter, quote, escape; /* 0: the format's. */
    kd_slice null_text;            /* data NULL: the format's. */
    bool force_quote;
    kd_import_on_error on_error;
    kd_slice rejects_table; /* Empty: rejects are counted, not kept. */
} kdi_copy_options;

kd_status kdi_copy_read_options(kd_ctx *ctx, const kd_ast_copy *ast,
                                kdi_copy_options *out_options) KD_MUST_CHECK;
kd_status kdi_copy_from(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast,
                        const kdi_copy_options *options) KD_MUST_CHECK;
kd_status kdi_copy_to(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast,
                      const kdi_copy_options *options) KD_MUST_CHECK;
/* The session's hooks are told that a COPY through them begins. */
kd_status kdi_copy_announce(kd_ctx *ctx, kd_session *session, bool is_input, kdi_copy_format format,
                            uint32_t column_count) KD_MUST_CHECK;
/* NUL-terminated path of the statement's file. */
kd_status kdi_copy_path(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast,
                        const char **out_path) KD_MUST_CHECK;

#endif
