/*
 * A real ext4 over a block device that fails: nbdkit's error filter, nbdfuse, a loop device.
 * KADE_TEST_SEEDS says how often: a tenth of it; DEVICE_SEED chooses another course.
 *
 * Linux drops a page whose writing failed, and calls it clean: the next fsync succeeds, the next
 * read still finds the page in memory, and after a remount it is gone. So per cycle the
 * load of kill_engine works while writes begin to fail (all, half or few of them, with EIO or
 * ENOSPC) or the file system is full, and goes on committing where it is let. Sometimes the device
 * recovers under it, sometimes a second process opens what the page cache shows and commits
 * more. Then everything is unmounted, the device mends, and after e2fsck and a fresh mount the
 * check of kill_engine looks for every acknowledged transaction.
 *
 * Needs root, FUSE, loop devices, and Debian's packages nbdkit, libnbd-bin, fuse3, e2fsprogs;
 * skipped elsewhere. A janitor unmounts whatever way this process ends.
 */
#include "kill_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECK_SECONDS_MAX = 120, PATH_BYTES = 128, COMMAND_BYTES = 1024 };

static char folder[PATH_BYTES]; /* Image, sockets and mount points. */
static kill_state *state;

/* --- The device ------------------------------------------------------------------------------- */

/* Runs a command of the shell in `folder`: its exit status. */
__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
    char command[COMMAND_BYTES];
    int at = snprintf(command, sizeof command, "exec 2>>'%s/errors'; cd '%s' && ", folder, folder);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(command + at, sizeof command - (size_t)at, format, args);
    va_end(args);
    CHECK(length < (int)sizeof command - at);
    int how = system(command);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 255;
}

static void device_detach(void)
{
    (void)shell("if [ -s loop ]; then umount mnt || umount -l mnt; losetup -d $(cat loop);"
                " rm -f loop; fi;"
                " if [ -s nbdfuse.pid ]; then fusermount3 -u fuse || fusermount3 -uz fuse; fi;"
                " for name in nbdfuse nbdkit; do if [ -s $name.pid ]; then pid=$(cat $name.pid);"
                " kill $pid; while kill -0 $pid; do sleep 0.02; done; rm -f $name.pid; fi; done;"
                " rm -f socket");
}

/* `percent` of writes fail with `error` while the file "fail" exists. */
static bool device_attach(const char *error, unsigned percent)
{
    return shell("nbdkit -U %s/socket -P %s/nbdkit.pid --filter=error file image error=%s"
                 " error-pwrite-rate=%u%% error-zero-rate=%u%% error-trim-rate=%u%%"
                 " error-file=%s/fail",
                 folder, folder, error, percent, percent, percent, folder) == 0 &&
           shell(
               "(nbdfuse -P %s/nbdfuse.pid fuse/disk --unix socket >>errors 2>&1 &)"
               " && for i in $(seq 250); do [ -s nbdfuse.pid ] && exit 0; sleep 0.02; done; exit 1",
               folder) == 0 &&
           shell("losetup --find --show fuse/disk >loop") == 0;
}

/* 1 is e2fsck's "errors were corrected". */
static bool device_mount(void)
{
    return shell("e2fsck -p $(cat loop) >>errors; [ $? -le 1 ]") == 0 &&
           shell("mount -t ext4 $(cat loop) mnt") == 0;
}

/* A process that outlives this one and takes the device away: it waits for the end of a pipe. */
static void janitor_start(void)
{
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t janitor = fork();
    CHECK(janitor >= 0);
    if (janitor != 0) {
        (void)close(ends[0]);
        return; /* The other end stays open as long as this process lives. */
    }
    char byte;
    (void)close(ends[1]);
    (void)setsid();
    (void)alarm(0);
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    device_detach();
    (void)shell("rm -rf '%s'", folder);
    _exit(0);
}

static void device_create(void)
{
    if (geteuid() != 0)
        TEST_SKIP("mounting needs root");
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.90s/kade-device-XXXXXX", base == NULL ? "/tmp" : base);
    CHECK(mkdtemp(folder) != NULL);
    janitor_start();
    if (shell("for name in nbdkit nbdfuse fusermount3 losetup mkfs.ext4 e2fsck; do"
              " command -v $name >/dev/null || exit 1; done") != 0)
        TEST_SKIP("needs nbdkit, libnbd-bin, fuse3 and e2fsprogs");
    CHECK_EQ(shell("mkdir fuse mnt && truncate -s 400M image && mkfs.ext4 -q image"), 0);
    if (!device_attach("EIO", 0) || !device_mount())
        TEST_SKIP("FUSE, a loop device or mounting is not permitted here");
    device_detach();
}

/* --- Faults ----------------------------------------------------------------------------------- */

typedef enum fault_kind { FAULT_DEVICE, FAULT_FULL } fault_kind;

/* The file system has at most a MiB left. */
static void disk_fill(test_random *random)
{
    struct statvfs room;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.100s/mnt", folder);
    CHECK_EQ(statvfs(path, &room), 0);
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    uint64_t left_bytes = test_random_below(random, 1 << 20);
    if (free_bytes > left_bytes)
        (void)shell("fallocate -l %llu mnt/filler", (unsigned long long)(free_bytes - left_bytes));
}

static void fault_begin(fault_kind kind, test_random *random)
{
    if (kind == FAULT_FULL)
        disk_fill(random);
    else
        CHECK_EQ(shell("touch fail"), 0);
}

static void fault_end(void)
{
    (void)shell("rm -f fail mnt/filler");
}

/* --- One cycle -------------------------------------------------------------------------------- */

static void path_of(char *out, const char *name)
{
    (void)snprintf(out, PATH_BYTES, "%.100s/%s", folder, name);
}

static pid_t load_start(uint32_t cycle, uint32_t first_number, uint64_t seed)
{
    char ack_path[PATH_BYTES], database[PATH_BYTES];
    path_of(ack_path, "acknowledged");
    path_of(database, "mnt/db");
    int ack_file = open(ack_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(ack_file >= 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        kill_engine_load(&(kill_load){.directory = database,
                                      .cycle = cycle,
                                      .first_number = first_number,
                                      .seed = seed,
                                      .ack_file = ack_file,
                                      .disk_may_fail = true});
    }
    (void)close(ack_file);
    state->loads++;
    return child;
}

/* Killed, or it could not open the database: anything else is a crash or an unexpected failure. */
static void load_end(pid_t child)
{
    int how;
    (void)kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &how, 0), child);
    bool was_killed = WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
    if (!was_killed && !(WIFEXITED(how) && WEXITSTATUS(how) == 0))
        test_fail(__FILE__, __LINE__, "the load ended by itself: status 0x%x", (unsigned)how);
}

static void load_under_fault(uint32_t cycle, test_random *random)
{
    fault_kind kind = test_random_below(random, 4) == 0 ? FAULT_FULL : FAULT_DEVICE;
    pid_t child = load_start(cycle, 1, test_random_next(random));
    kit_sleep_ms((unsigned)(50 + test_random_below(random, 900)));
    fault_begin(kind, random);
    kit_sleep_ms((unsigned)(20 + test_random_below(random, 500)));
    if (test_random_below(random, 2) == 0) {
        /* The device recovers under the process that saw it fail: the trap is open. */
        fault_end();
        kit_sleep_ms((unsigned)test_random_below(random, 400));
    }
    load_end(child);
    fault_end();
    if (test_random_below(random, 2) == 0) {
        /* What the page cache shows is not what the device has. */
        child = load_start(cycle, NUMBER_MAX / 2, test_random_next(random));
        kit_sleep_ms((unsigned)(100 + test_random_below(random, 500)));
        load_end(child);
    }
}

static void check(uint32_t cycle, uint64_t seed)
{
    char ack_path[PATH_BYTES], database[PATH_BYTES];
    path_of(ack_path, "acknowledged");
    path_of(database, "mnt/db");
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(CHECK_SECONDS_MAX);
        kill_engine_check(database, cycle, seed, ack_path, state);
    }
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
        test_fail(__FILE__, __LINE__, "the check failed: status 0x%x", (unsigned)how);
}

static void one_cycle(uint32_t cycle, test_random *random)
{
    static const char *const errors[] = {"EIO", "EIO", "ENOSPC"};
    static const unsigned percents[] = {100, 50, 10};
    CHECK(device_attach(errors[test_random_below(random, 3)],
                        percents[test_random_below(random, 3)]));
    CHECK(device_mount());
    CHECK_EQ(shell(": >acknowledged"), 0);
    state->loads = 0;
    load_under_fault(cycle, random);
    device_detach();
    CHECK(device_attach("EIO", 0));
    CHECK(device_mount());
    check(cycle, test_random_next(random));
    device_detach();
}

TEST(an_ext4_over_a_failing_device_loses_nothing_acknowledged)
{
    uint64_t cycles = (test_seed_count(30) + 9) / 10;
    const char *seed_text = getenv("DEVICE_SEED");
    test_random random = {seed_text != NULL ? strtoull(seed_text, NULL, 10) : cycles};
    (void)alarm((unsigned)(cycles * 20 + 60));
    device_create();
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(state != MAP_FAILED);
    for (uint32_t cycle = 1; cycle <= cycles; cycle++) {
        test_note("failure %u of %llu", cycle, (unsigned long long)cycles);
        one_cycle(cycle, &random);
    }
    printf("%llu failures of the device, %llu acknowledged transactions, none lost\n",
           (unsigned long long)cycles, (unsigned long long)state->acknowledged);
}
