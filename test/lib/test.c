/*
 * The runner: forks a child per test, gives it a time limit, counts.
 *
 * A child that ends by exit(0) passed. Leaving through exit lets LeakSanitizer
 * look, and it turns the exit code into a failure by itself.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, TIMEOUT_SECONDS = 300 };

static test_case *first_test;
static test_case **last_link = &first_test;
static bool is_forked = true;
static char note[512];
static char directory[128];

void test_register(test_case *entry)
{
    *last_link = entry;
    last_link = &entry->next;
}

static _Noreturn void end_failed(void)
{
    if (note[0] != '\0')
        fprintf(stderr, "    while: %s\n", note);
    fflush(NULL);
    if (!is_forked)
        abort();
    _exit(1);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    end_failed();
}

void test_skip(const char *format, ...)
{
    printf("    skipped: ");
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(NULL);
    _exit(EXIT_SKIPPED);
}

void test_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(note, sizeof note, format, args);
    va_end(args);
}

void test_check_eq(const char *file, int line, const char *text, long long actual,
                   long long expected)
{
    if (actual != expected)
        test_fail(file, line, "CHECK_EQ failed: %s is %lld (0x%llx), expected %lld (0x%llx)", text,
                  actual, (unsigned long long)actual, expected, (unsigned long long)expected);
}

void test_check_text(const char *file, int line, const char *text, const char *actual,
                     const char *expected)
{
    bool equal =
        actual == NULL || expected == NULL ? actual == expected : strcmp(actual, expected) == 0;
    if (!equal)
        test_fail(file, line, "CHECK_TEXT failed: %s\n    is       \"%s\"\n    expected \"%s\"",
                  text, actual == NULL ? "(null)" : actual, expected == NULL ? "(null)" : expected);
}

void test_check_slice(const char *file, int line, const char *text, kd_slice actual,
                      const char *expected)
{
    if (!kd_slice_equal(actual, kd_slice_of(expected)))
        test_fail(file, line, "CHECK_SLICE failed: %s\n    is       \"%.*s\"\n    expected \"%s\"",
                  text, (int)actual.size_bytes, actual.data, expected);
}

void test_check_bytes(const char *file, int line, const char *text, const void *actual,
                      const void *expected, size_t size_bytes)
{
    const unsigned char *a = actual;
    const unsigned char *b = expected;
    for (size_t i = 0; i < size_bytes; i++)
        if (a[i] != b[i])
            test_fail(file, line, "CHECK_BYTES failed: %s differs at byte %zu: %02x, expected %02x",
                      text, i, a[i], b[i]);
}

void test_check_ok(const char *file, int line, const char *text, const kd_ctx *ctx,
                   kd_status status)
{
    const kd_error *error = &ctx->error;
    if (status == KD_OK && error->status == KD_OK)
        return;
    if (error->status == KD_OK)
        test_fail(file, line, "%s gave status %d with no record", text, status);
    test_fail(file, line, "%s gave status %d: %s: %s%s%s%s%s (from %s:%d)", text, status,
              error->sqlstate, error->message,
              error->detail[0] == '\0' ? "" : "\n    detail: ", error->detail,
              error->hint[0] == '\0' ? "" : "\n    hint: ", error->hint,
              error->file == NULL ? "?" : error->file, error->line);
}

void test_check_fails_with(const char *file, int line, const char *text, kd_ctx *ctx,
                           kd_status status, const char *sqlstate, const char *part)
{
    const kd_error *error = &ctx->error;
    if (status == KD_OK)
        test_fail(file, line, "%s succeeded, expected %s", text, sqlstate);
    if (error->status != status)
        test_fail(file, line, "%s gave status %d, the record says %d", text, status, error->status);
    if (strcmp(error->sqlstate, sqlstate) != 0)
        test_fail(file, line, "%s failed with %s \"%s\", expected %s", text, error->sqlstate,
                  error->message, sqlstate);
    if (strstr(error->message, part) == NULL)
        test_fail(file, line, "%s failed with \"%s\", which has no \"%s\"", text, error->message,
                  part);
    kd_error_clear(ctx);
}

void test_check_fails(const char *file, int line, const char *text, kd_ctx *ctx, kd_status status,
                      const char *sqlstate)
{
    test_check_fails_with(file, line, text, ctx, status, sqlstate, "");
}

kd_ctx test_ctx(void)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    return ctx;
}

kd_arena *test_arena(kd_ctx *ctx)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    return arena;
}

/* Written into a buffer first: the name is needed in the parent too, which removes it. */
static void directory_name(pid_t pid)
{
    const char *parent = getenv("KD_TEST_DIRECTORY");
    (void)snprintf(directory, sizeof directory, "%s/kade-test-%d", parent != NULL ? parent : "/tmp",
                   (int)pid);
}

static void directory_remove(pid_t pid)
{
    directory_name(pid);
    struct stat info;
    if (lstat(directory, &info) == 0 && S_ISDIR(info.st_mode)) {
        pid_t child = fork();
        if (child == 0) {
            execlp("rm", "rm", "-rf", "--", directory, (char *)NULL);
            _exit(127);
        }
        (void)waitpid(child, NULL, 0);
    }
    directory[0] = '\0';
}

const char *test_directory(void)
{
    if (directory[0] == '\0') {
        directory_name(getpid());
        if (mkdir(directory, 0700) != 0)
            test_fail(__FILE__, __LINE__, "cannot create %s: %s", directory, strerror(errno));
    }
    return directory;
}

const char *test_path(const char *name)
{
    const char *parent = test_directory();
    size_t size_bytes = strlen(parent) + strlen(name) + 2;
    static char *paths[64]; /* Reachable, so that the leak check stays quiet. */
    static unsigned next_path;
    char **path = &paths[next_path++ % 64];
    free(*path);
    *path = malloc(size_bytes);
    CHECK(*path != NULL);
    (void)snprintf(*path, size_bytes, "%s/%s", parent, name);
    return *path;
}

uint64_t test_seed_count(uint64_t usual)
{
    const char *text = getenv("KADE_TEST_SEEDS");
    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

/* SplitMix64: any state is a good state. */
uint64_t test_random_next(test_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t test_random_below(test_random *random, uint64_t bound)
{
    return bound == 0 ? 0 : test_random_next(random) % bound;
}

typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

static outcome run_forked(const test_case *entry)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return FAILED;
    }
    if (child == 0) {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(TIMEOUT_SECONDS);
        entry->run();
        exit(0);
    }
    int result = 0;
    while (waitpid(child, &result, 0) < 0 && errno == EINTR) {
    }
    (void)kill(-child, SIGKILL); /* Processes that a failed test has left, stopped ones too. */
    directory_remove(child);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0)
        return PASSED;
    if (WIFEXITED(result) && WEXITSTATUS(result) == EXIT_SKIPPED)
        return SKIPPED;
    if (WIFSIGNALED(result) && WTERMSIG(result) == SIGALRM)
        fprintf(stderr, "    timed out after %d s\n", TIMEOUT_SECONDS);
    else if (WIFSIGNALED(result))
        fprintf(stderr, "    ended by signal %d\n", WTERMSIG(result));
    else
        fprintf(stderr, "    ended with exit code %d\n", WEXITSTATUS(result));
    return FAILED;
}

static outcome run_here(const test_case *entry)
{
    note[0] = '\0';
    entry->run();
    directory_remove(getpid());
    return PASSED;
}

static bool is_chosen(const test_case *entry, char **filters, int filter_count)
{
    for (int i = 0; i < filter_count; i++)
        if (strstr(entry->name, filters[i]) != NULL)
            return true;
    return filter_count == 0;
}

int main(int argument_count, char **arguments)
{
    bool list = false;
    bool verbose = false;
    int first = 1;
    for (; first < argument_count && arguments[first][0] == '-'; first++) {
        if (strcmp(arguments[first], "--list") == 0)
            list = true;
        else if (strcmp(arguments[first], "--no-fork") == 0)
            is_forked = false;
        else if (strcmp(arguments[first], "--verbose") == 0)
            verbose = true;
        else {
            fprintf(stderr, "usage: %s [--list] [--no-fork] [--verbose] [FILTER...]\n",
                    arguments[0]);
            return 2;
        }
    }
    int counts[3] = {0};
    for (const test_case *entry = first_test; entry != NULL; entry = entry->next) {
        if (!is_chosen(entry, arguments + first, argument_count - first))
            continue;
        if (list) {
            printf("%s\n", entry->name);
            continue;
        }
        struct timespec begin, end;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        outcome result = is_forked ? run_forked(entry) : run_here(entry);
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        counts[result]++;
        double seconds =
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
        if (result == FAILED || verbose)
            printf("%s %s (%.2f s)\n", result == FAILED ? "FAILED" : "ok", entry->name, seconds);
        else if (result == SKIPPED)
            printf("skipped %s\n", entry->name);
        fflush(stdout);
    }
    if (!list)
        printf("%d passed, %d failed, %d skipped\n", counts[PASSED], counts[FAILED],
               counts[SKIPPED]);
    return counts[FAILED] == 0 ? 0 : 1;
}
