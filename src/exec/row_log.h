/*
 * Rows kept in the order in which they came, on disk when memory is short, and read by number: what
 * cursors and copied results are held in.
 *
 * One thread at a time uses a log.
 */
#ifndef KD_EXEC_ROW_LOG_H
#define KD_EXEC_ROW_LOG_H

#include "base/governor.h"
#include "types/vector.h"

typedef struct kd_row_log kd_row_log;

typedef struct kd_row_log_options {
    kd_governor *governor;
    const char *spill_directory;
    uint64_t spill_limit_bytes; /* 0: none. */
    size_t memory_limit_bytes;  /* 0: the governor's. */
} kd_row_log_options;

/* `options` and `types` are copied, the directory's name is not. */
kd_status kd_row_log_create(kd_ctx *ctx, kd_arena *arena, const kd_row_log_options *options,
                            const kd_type *types, uint32_t column_count,
                            kd_row_log **out_log) KD_MUST_CHECK;
void kd_row_log_destroy(kd_row_log *log); /* NULL is allowed. */
kd_status kd_row_log_append(kd_ctx *ctx, kd_row_log *log, const kd_batch *batch) KD_MUST_CHECK;
uint64_t kd_row_log_count(const kd_row_log *log);
/* The rows from `first`, at most `count` of them and as many as are at hand together, at least one
 * when there is any. Valid until the next call with the same log. */
kd_status kd_row_log_read(kd_ctx *ctx, kd_row_log *log, uint64_t first, uint64_t count,
                          kd_batch *out_batch) KD_MUST_CHECK;
/* Rows before `first` will not be read again. */
void kd_row_log_forget(kd_row_log *log, uint64_t first);

#endif
