/*
 * kill -9 of a process under a mixed SQL load, many times over one directory.
 * KADE_TEST_SEEDS says how often: a tenth of it; KILL_SEED chooses another course.
 *
 * Per cycle a child opens the database through kade.h and works in several sessions; the
 * parent kills it at a random moment, sometimes while it still recovers; a second child opens the
 * directory and checks that every acknowledged transaction is there whole, none is there
 * in part, and constraints, indexes and stored bytes are right. The second child is sometimes
 * killed during its recovery too, and then started again.
 */
#include "kill_engine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECK_SECONDS_MAX = 60 };

static const char *database_path, *ack_path;
static kill_state *state;

static pid_t fork_or_fail(void)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    return child;
}

/* Some kills come at once, some late; most in the first half second. */
static unsigned kill_delay_ms(test_random *random)
{
    uint64_t which = test_random_below(random, 10);
    if (which == 0)
        return (unsigned)test_random_below(random, 30);
    if (which < 8)
        return (unsigned)(30 + test_random_below(random, 500));
    return (unsigned)(500 + test_random_below(random, 1500));
}

static void load_and_kill(uint32_t cycle, test_random *random)
{
    unsigned delay_ms = kill_delay_ms(random);
    uint64_t seed = test_random_next(random);
    int ack_file = open(ack_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    CHECK(ack_file >= 0);
    pid_t child = fork_or_fail();
    if (child == 0)
        kill_engine_load(&(kill_load){.directory = database_path,
                                      .cycle = cycle,
                                      .first_number = 1,
                                      .seed = seed,
                                      .ack_file = ack_file});
    (void)close(ack_file);
    kit_sleep_ms(delay_ms);
    (void)kill(child, SIGKILL);
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    /* Ended by itself means that a statement failed that must not, or a crash. */
    if (!WIFSIGNALED(how) || WTERMSIG(how) != SIGKILL)
        test_fail(__FILE__, __LINE__, "the load ended by itself: status 0x%x", (unsigned)how);
}

static void kill_checker_early(uint32_t cycle, test_random *random)
{
    uint64_t seed = test_random_next(random);
    pid_t child = fork_or_fail();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr); /* It is about to be killed anyway. */
        kill_engine_check(database_path, cycle, seed, ack_path, state);
    }
    kit_sleep_ms((unsigned)test_random_below(random, 120));
    (void)kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

static void check(uint32_t cycle, test_random *random)
{
    uint64_t seed = test_random_next(random);
    pid_t child = fork_or_fail();
    if (child == 0) {
        (void)alarm(CHECK_SECONDS_MAX);
        kill_engine_check(database_path, cycle, seed, ack_path, state);
    }
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
        test_fail(__FILE__, __LINE__, "the check failed: status 0x%x", (unsigned)how);
}

TEST(kills_of_the_engine_lose_nothing_and_leave_nothing_half_done)
{
    uint64_t cycles = (test_seed_count(120) + 9) / 10; /* A kill takes the time of many seeds. */
    const char *seed_text = getenv("KILL_SEED");
    test_random random = {seed_text != NULL ? strtoull(seed_text, NULL, 10) : cycles};
    (void)alarm((unsigned)(cycles * 10 + 60));
    database_path = test_path("db");
    ack_path = test_path("acknowledged");
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(state != MAP_FAILED);
    state->loads = 1;
    for (uint32_t cycle = 1; cycle <= cycles; cycle++) {
        test_note("kill %u of %llu", cycle, (unsigned long long)cycles);
        load_and_kill(cycle, &random);
        if (test_random_below(&random, 5) == 0)
            kill_checker_early(cycle, &random);
        check(cycle, &random);
    }
    printf("%llu kills, %llu acknowledged transactions, none lost\n", (unsigned long long)cycles,
           (unsigned long long)state->acknowledged);
}
