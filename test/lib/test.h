/*
 * The test harness. Tests register themselves and run one after another, each in
 * a child process with a time limit, so that a crash or a failed check ends one
 * test and not the run.
 *
 *     test_wal [--list] [--no-fork] [--verbose] [FILTER...]
 *
 * FILTER is a part of a name. --no-fork runs in this process, for debuggers, and
 * stops at the first failure. The last line is "N passed, N failed, N skipped".
 */
#ifndef KD_TEST_TEST_H
#define KD_TEST_TEST_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/ctx.h"
#include "base/world.h"

typedef struct test_case test_case;
struct test_case {
    const char *name;
    const char *file;
    void (*run)(void);
    test_case *next;
};

void test_register(test_case *entry);
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Printed with a failure: what the running test is busy with, such as the seed. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A name is the fact that the test proves. */
#define TEST(test_name)                                                                    \
    static void test_name(void);                                                           \
    __attribute__((constructor)) static void register_##test_name(void)                    \
    {                                                                                      \
        static test_case entry = {.name = #test_name, .file = __FILE__, .run = test_name}; \
        test_register(&entry);                                                             \
    }                                                                                      \
    static void test_name(void)

/* Ends the test as skipped, with the reason. */
#define TEST_SKIP(...) test_skip(__VA_ARGS__)

#define CHECK(expression) \
    ((expression) ? (void)0 : test_fail(__FILE__, __LINE__, "CHECK failed: %s", #expression))

/* Integers, compared as 64-bit; both values are printed. */
#define CHECK_EQ(actual, expected) \
    test_check_eq(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))
/* NUL-terminated texts; NULL equals NULL only. */
#define CHECK_TEXT(actual, expected) \
    test_check_text(__FILE__, __LINE__, #actual, (actual), (expected))
/* A kd_slice against a text. */
#define CHECK_SLICE(actual, expected) \
    test_check_slice(__FILE__, __LINE__, #actual, (actual), (expected))
#define CHECK_BYTES(actual, expected, size_bytes) \
    test_check_bytes(__FILE__, __LINE__, #actual, (actual), (expected), (size_bytes))
/* The call gives KD_OK; prints the recorded error otherwise. `ctx` is a pointer. */
#define CHECK_STATUS(ctx, call) test_check_ok(__FILE__, __LINE__, #call, (ctx), (call))
/* The call fails with this SQLSTATE, and the record agrees; the record is cleared. */
#define CHECK_FAILS(ctx, call, sqlstate) \
    test_check_fails(__FILE__, __LINE__, #call, (ctx), (call), (sqlstate))
/* As CHECK_FAILS, and the message contains `part`. */
#define CHECK_FAILS_WITH(ctx, call, sqlstate, part) \
    test_check_fails_with(__FILE__, __LINE__, #call, (ctx), (call), (sqlstate), (part))

void test_check_eq(const char *file, int line, const char *text, long long actual,
                   long long expected);
void test_check_text(const char *file, int line, const char *text, const char *actual,
                     const char *expected);
void test_check_slice(const char *file, int line, const char *text, kd_slice actual,
                      const char *expected);
void test_check_bytes(const char *file, int line, const char *text, const void *actual,
                      const void *expected, size_t size_bytes);
void test_check_ok(const char *file, int line, const char *text, const kd_ctx *ctx,
                   kd_status status);
void test_check_fails(const char *file, int line, const char *text, kd_ctx *ctx, kd_status status,
                      const char *sqlstate);
void test_check_fails_with(const char *file, int line, const char *text, kd_ctx *ctx,
                           kd_status status, const char *sqlstate, const char *part);

/* A fresh context on the real world. */
kd_ctx test_ctx(void);
/* An unlimited arena of its own; the test destroys it. */
kd_arena *test_arena(kd_ctx *ctx);
/* An empty directory on the real disk, removed after the test. The same one within a test. */
const char *test_directory(void);
/* "<test_directory()>/<name>"; valid until the test ends. */
const char *test_path(const char *name);

/* How long randomised tests run: the environment's KADE_TEST_SEEDS, or `usual`. */
uint64_t test_seed_count(uint64_t usual);

/* A small generator of its own, so that a seed gives the same test everywhere. */
typedef struct test_random {
    uint64_t state;
} test_random;
uint64_t test_random_next(test_random *random);
uint64_t test_random_below(test_random *random, uint64_t bound); /* 0 .. bound - 1. */

#endif
