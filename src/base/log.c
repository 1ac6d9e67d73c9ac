/*
 * One line per event, put together first and written by one call, so that lines of
 * several threads never mix.
 */
#include "base/log.h"

#include "base/world.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static _Atomic int current_level = KD_LOG_WARN;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void kd_log_set_level(kd_log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool kd_log_is_on(kd_log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void kd_log(kd_world *world, kd_log_level level, const char *module, const char *format, ...)
{
    if (!kd_log_is_on(level) || level >= KD_LOG_OFF)
        return;
    char line[LINE_BYTES];
    int64_t now_us = world->wall_us(world);
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    size_t length = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &parts);
    length += (size_t)snprintf(line + length, sizeof line - length, ".%06dZ %-5s %-8s ",
                               (int)(now_us % 1000000), level_names[level], module);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line + length, sizeof line - length - 1, format, args);
    va_end(args);
    if (written > 0)
        length +=
            (size_t)written < sizeof line - length - 1 ? (size_t)written : sizeof line - length - 2;
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length); /* Nobody to tell if this fails. */
    (void)ignored;
}
