/*
 * Log lines: what a process tells its operator, on standard error.
 *
 *     2026-11-21T04:12:47.123456Z warn  wal     recovery ended at a torn block file=... offset=...
 *
 * Library code returns failures and does not log them; lines are for programs, and
 * for events that no caller is waiting for. Thread-safe; a line is written at once.
 */
#ifndef KD_BASE_LOG_H
#define KD_BASE_LOG_H

#include "base/ctx.h"

typedef enum kd_log_level {
    KD_LOG_DEBUG,
    KD_LOG_INFO,
    KD_LOG_WARN,
    KD_LOG_ERROR,
    KD_LOG_OFF,
} kd_log_level;

/* For the whole process; KD_LOG_WARN at the start. */
void kd_log_set_level(kd_log_level level);
bool kd_log_is_on(kd_log_level level);
/* `module` is a literal. Details follow the sentence as key=value in the format. */
void kd_log(kd_world *world, kd_log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
