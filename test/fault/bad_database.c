/*
 * Directories that are no database, or not a whole one any more: whatever is on the disk, opening
 * it and reading it gives the right answer or an error that names what is wrong, and a database of
 * which nothing is wrong works afterwards.
 */
#include "kade_kit.h"

#include "engine/database.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 64, ROWS = 3000 };

/* --- Files -------------------------------------------------------------------------------------
 */

static size_t file_read(const char *path, char **out_bytes)
{
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    *out_bytes = malloc(size + 1);
    CHECK(*out_bytes != NULL);
    CHECK_EQ(fread(*out_bytes, 1, size, file), size);
    (void)fclose(file);
    return size;
}

static void file_write(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
}

static void file_flip(const char *path, size_t offset, unsigned mask)
{
    char *bytes;
    size_t size = file_read(path, &bytes);
    CHECK(offset < size);
    bytes[offset] = (char)(bytes[offset] ^ (char)mask);
    file_write(path, bytes, size);
    free(bytes);
}

/* The files of a folder; names are kept. */
static size_t files_list(const char *folder, char names[FILES_MAX][512])
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && count < FILES_MAX)
            (void)snprintf(names[count++], 512, "%s/%s", folder, entry->d_name);
    (void)closedir(directory);
    return count;
}

/* --- Databases -----------------------------------------------------------------------------------
 */

static void fill(kade_session *session)
{
    kit_run(session, "CREATE TABLE n (i integer)");
    kit_run(session, "INSERT INTO n VALUES (1)");
    for (int count = 1; count < ROWS; count *= 2)
        kit_run(session, "INSERT INTO n SELECT i + %d FROM n", count);
    kit_run(session, "CREATE TABLE t (id integer PRIMARY KEY, name text, x double precision)");
    kit_run(session, "CREATE INDEX t_name ON t (name)");
    kit_run(session, "INSERT INTO t SELECT i, 'name ' || i %% 50, i * 0.5 FROM n WHERE i <= %d",
            ROWS);
}

/* A database whose rows are in segments, in the delta image and in the log; left as a crash
 * would when `crashes`. Made in a child, because a process has one at most. */
static void make(const char *path, bool crashes)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        kade_database *database = kit_open(path, 0);
        kade_session *session = kit_connect(database);
        fill(session);
        kit_run(session, "VACUUM");
        kit_run(session, "INSERT INTO t SELECT i + 10000, 'image', 1 FROM n WHERE i <= 100");
        kit_run(session, "CHECKPOINT");
        kit_run(session, "DELETE FROM t WHERE id <= 10");
        for (int i = 0; i < 50; i++)
            kit_run(session, "INSERT INTO t VALUES (%d, 'log', 2)", 20000 + i);
        if (!crashes)
            kade_close(database);
        _exit(0);
    }
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK_EQ(how, 0);
}

static const char expected[] = "3140 6507720";

/* Opens and asks; the answer is right, or the failure's SQLSTATE. With `message`, what it said. */
static const char *outcome(const char *path, char message[512])
{
    static char sqlstate[6];
    kade_open_options options = {.struct_bytes = sizeof options, .must_exist = true};
    kade_database *database;
    kade_error *error;
    char answer[64];
    message[0] = '\0';
    if (kade_open(path, KADE_NUL, &options, &database, &error) != KADE_OK) {
        (void)snprintf(sqlstate, sizeof sqlstate, "%s", error->sqlstate);
        (void)snprintf(message, 512, "%s %s", error->message, error->detail);
        kade_error_free(error);
        return sqlstate;
    }
    static const char *const questions[] = {
        "SELECT count(*) || ' ' || sum(id) FROM t",
        "SELECT count(*) FROM t WHERE name = 'name 7'",
        "SELECT count(*) FROM t WHERE id = 500 OR id = 10050 OR id = 20005",
    };
    static const char *const answers[] = {expected, "59", "3"};
    kade_session *session = kit_connect(database);
    (void)snprintf(sqlstate, sizeof sqlstate, "00000");
    for (size_t i = 0; i < 3 && sqlstate[0] == '0'; i++) {
        kade_statement *statement = NULL;
        bool has_row = false;
        kade_status status = kade_prepare(session, questions[i], KADE_NUL, &statement);
        if (status == KADE_OK)
            status = kade_step(statement, &has_row);
        if (status == KADE_OK) {
            (void)snprintf(answer, sizeof answer, "%s", kade_column_text(statement, 0, NULL));
            CHECK_TEXT(answer, answers[i]); /* Wrong answers are never given. */
        } else {
            (void)snprintf(sqlstate, sizeof sqlstate, "%s", kade_session_error(session)->sqlstate);
            (void)snprintf(message, 512, "%s", kade_session_error(session)->message);
        }
        kade_finalize(statement);
    }
    kade_disconnect(session);
    kade_close(database);
    return sqlstate;
}

/* Opens a copy of the database in a child, so that a crash is told from a failure and the original
 * stays as it was. The SQLSTATE comes back. */
static const char *outcome_of_copy(const char *path, char message[512])
{
    static char answer[1024];
    int ends[2];
    char copy[512], command[1200];
    (void)snprintf(copy, sizeof copy, "%s.copy", path);
    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", copy, path, copy);
    CHECK_EQ(system(command), 0);
    CHECK_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)alarm(30);
        char text[1024], told[512];
        (void)snprintf(text, 6, "%s", outcome(copy, told));
        (void)snprintf(text + 5, sizeof text - 5, "%s", told);
        CHECK(write(ends[1], text, strlen(text) + 1) > 0);
        _exit(0);
    }
    (void)close(ends[1]);
    ssize_t got = read(ends[0], answer, sizeof answer - 1);
    (void)close(ends[0]);
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK_EQ(how, 0);
    CHECK(got > 5);
    (void)snprintf(message, 512, "%.500s", answer + 5);
    answer[5] = '\0';
    return answer;
}

/* By its name without what follows the dot. */
static bool is_named(const char *file, const char *message)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s", strrchr(file, '/') + 1);
    name[strcspn(name, ".")] = '\0';
    return strstr(message, name) != NULL;
}

/* A damaged file is found by the check of all stored bytes, under its name. */
static bool check_names(const char *path, const char *file)
{
    kd_ctx ctx = test_ctx();
    kd_database_options options = {.no_background = true, .must_exist = true};
    kd_database *database;
    kd_status status = kd_database_open(&ctx, path, &options, &database);
    if (status == KD_OK) {
        status = kd_storage_check(&ctx, kd_database_storage(database));
        kd_database_abandon(database);
    }
    if (status == KD_OK)
        return false;
    CHECK_TEXT(ctx.error.sqlstate, "XX001");
    if (!is_named(file, ctx.error.message) && !is_named(file, ctx.error.detail))
        test_fail(__FILE__, __LINE__, "%s is not named: %s", file, ctx.error.message);
    return true;
}

/* --- No database
 * ---------------------------------------------------------------------------------- */

static void open_fails(const char *path, const kade_open_options *options, const char *sqlstate)
{
    kade_database *database;
    kade_error *error;
    kade_status status = kade_open(path, KADE_NUL, options, &database, &error);
    if (status == KADE_OK)
        test_fail(__FILE__, __LINE__, "%s was opened", path);
    if (strcmp(error->sqlstate, sqlstate) != 0)
        test_fail(__FILE__, __LINE__, "%s: expected %s, got %s %s", path, sqlstate, error->sqlstate,
                  error->message);
    CHECK(database == NULL);
    CHECK(error->message[0] != '\0');
    kade_error_free(error);
}

TEST(what_is_no_database_is_left_alone)
{
    kade_open_options must_exist = {.struct_bytes = sizeof must_exist, .must_exist = true};
    kade_open_options read_only = {.struct_bytes = sizeof read_only, .read_only = true};
    open_fails("", NULL, "22023");
    open_fails(test_path("absent"), &must_exist, "3D000");
    open_fails(test_path("absent"), &read_only, "3D000");
    open_fails(test_path("no/such/parent/db"), NULL, "58P01");
    file_write(test_path("file"), "hello", 5);
    open_fails(test_path("file"), NULL, "58P01");
    CHECK_EQ(mkdir(test_path("photos"), 0700), 0);
    file_write(test_path("photos/cat.jpg"), "meow", 4);
    open_fails(test_path("photos"), NULL, "58P01");
    char names[FILES_MAX][512];
    CHECK_EQ(files_list(test_path("photos"), names), 1);
    if (geteuid() != 0) {
        CHECK_EQ(mkdir(test_path("closed"), 0000), 0);
        open_fails(test_path("closed"), NULL, "42501");
    }
}

TEST(a_newer_format_is_named_and_left_alone)
{
    char message[512], found[16], *bytes;
    const char *path = test_path("db"), *root = test_path("db/ROOT");
    make(path, false);
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
    file_flip(root, 8, 0x40);
    CHECK(file_read(root, &bytes) > 8);
    (void)snprintf(found, sizeof found, " %d", bytes[8]);
    free(bytes);
    CHECK_TEXT(outcome_of_copy(path, message), "0A000");
    CHECK(strstr(message, found) != NULL);
    file_flip(root, 8, 0x40);
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
}

/* --- Damage
 * ----------------------------------------------------------------------------------------- */

TEST(a_root_cut_or_flipped_anywhere_is_detected)
{
    char message[512], *bytes;
    const char *path = test_path("db"), *root = test_path("db/ROOT");
    (void)alarm(600);
    make(path, false);
    size_t size = file_read(root, &bytes);
    for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
        test_note("cut to %zu bytes", cut);
        file_write(root, bytes, cut);
        CHECK_TEXT(outcome_of_copy(path, message), "XX001");
        CHECK(strstr(message, "ROOT") != NULL);
    }
    for (size_t at = 0; at < size; at += at < 48 ? 1 : 1 + size / 40) {
        test_note("byte %zu flipped", at);
        file_write(root, bytes, size);
        file_flip(root, at, 1u << (at % 8));
        const char *sqlstate = outcome_of_copy(path, message);
        if (at >= 8 && at < 12) /* The version. */
            CHECK(strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "XX001") == 0);
        else
            CHECK_TEXT(sqlstate, "XX001");
    }
    file_write(root, bytes, size);
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
    CHECK_EQ(unlink(root), 0); /* Lost as a whole: there are units and a log without it. */
    CHECK(strcmp(outcome_of_copy(path, message), "00000") != 0);
    free(bytes);
}

TEST(a_stored_byte_that_flips_is_found_and_its_file_named)
{
    static char names[FILES_MAX][512];
    char message[512];
    const char *path = test_path("db");
    test_random random = {1};
    int found = 0, harmless = 0;
    (void)alarm(900);
    make(path, false);
    size_t count = files_list(test_path("db/units"), names);
    CHECK(count >= 3);
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        CHECK_EQ(stat(names[i], &info), 0);
        for (int k = 0; k < 8; k++) {
            size_t at = (size_t)test_random_below(&random, (uint64_t)info.st_size);
            test_note("byte %zu of %s", at, names[i]);
            file_flip(names[i], at, 1u << (k % 8));
            const char *sqlstate = outcome_of_copy(path, message);
            if (strcmp(sqlstate, "00000") != 0)
                CHECK_TEXT(sqlstate, "XX001");
            if (check_names(path, names[i]))
                found++;
            else
                harmless++; /* Filling between parts, which nobody reads. */
            file_flip(names[i], at, 1u << (k % 8));
        }
    }
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
    CHECK(found > 0);
    printf("%d flips found, %d in filling\n", found, harmless);
}

TEST(a_file_that_is_gone_or_cut_is_named)
{
    static char names[FILES_MAX][512];
    char message[512], *bytes;
    const char *path = test_path("db");
    (void)alarm(600);
    make(path, false);
    size_t count = files_list(test_path("db/units"), names);
    for (size_t i = 0; i < count; i++) {
        size_t size = file_read(names[i], &bytes);
        for (int k = 0; k < 3; k++) {
            test_note("%s %s", names[i], k == 0 ? "gone" : "cut");
            if (k == 0)
                CHECK_EQ(unlink(names[i]), 0);
            else
                file_write(names[i], bytes, k == 1 ? 0 : size / 2);
            const char *sqlstate = outcome_of_copy(path, message);
            /* A run is built anew; a segment that no question reads is found by the check. */
            bool is_run = strstr(names[i], ".run") != NULL;
            bool is_unread = strstr(names[i], ".seg") != NULL && strcmp(sqlstate, "00000") == 0;
            if (is_run)
                CHECK_TEXT(sqlstate, "00000");
            else if (is_unread)
                CHECK(check_names(path, names[i]));
            else if (strcmp(sqlstate, "XX001") != 0 && strcmp(sqlstate, "58P01") != 0)
                test_fail(__FILE__, __LINE__, "%s: %s %s", names[i], sqlstate, message);
            if (!is_run && !is_unread && !is_named(names[i], message))
                test_fail(__FILE__, __LINE__, "%s is not named: %s", names[i], message);
            file_write(names[i], bytes, size);
        }
        free(bytes);
    }
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
}

TEST(a_log_damaged_below_its_end_is_no_shorter_log)
{
    static char names[FILES_MAX][512];
    char message[512], *bytes;
    const char *path = test_path("db");
    int refused = 0;
    (void)alarm(600);
    make(path, true);
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
    size_t count = files_list(test_path("db/wal"), names);
    CHECK(count >= 1);
    for (size_t i = 0; i < count; i++) {
        size_t size = file_read(names[i], &bytes), used = size;
        while (used > 0 && bytes[used - 1] == 0)
            used--;
        /* Not in the last quarter: that may be the end, torn by the crash. */
        for (size_t at = 0; at < used * 3 / 4; at += 1 + used / 40) {
            test_note("byte %zu of %s", at, names[i]);
            file_flip(names[i], at, 0x10);
            /* outcome() checks that an answer, if there is one, misses nothing. */
            const char *sqlstate = outcome_of_copy(path, message);
            if (strcmp(sqlstate, "00000") != 0) {
                CHECK_TEXT(sqlstate, "XX001");
                refused++;
            }
            file_write(names[i], bytes, size);
        }
        free(bytes);
    }
    CHECK(refused > 0);
}

/* --- Disks that refuse
 * -------------------------------------------------------------------------------- */

TEST(a_database_opened_for_reading_is_not_touched)
{
    const char *path = test_path("db");
    char answer[64];
    make(path, true);
    kade_open_options options = {.struct_bytes = sizeof options, .read_only = true};
    kade_database *database;
    CHECK_EQ(kade_open(path, KADE_NUL, &options, &database, NULL), KADE_OK);
    kade_session *session = kit_connect(database);
    kit_text(session, answer, sizeof answer, "SELECT count(*) || ' ' || sum(id) FROM t");
    CHECK_TEXT(answer, expected);
    kit_fails(session, "25006", "INSERT INTO t VALUES (-1, 'x', 1)");
    kit_fails(session, "25006", "UPDATE t SET x = 0");
    kit_fails(session, "25006", "DELETE FROM t");
    kit_fails(session, "25006", "CREATE TABLE other (a integer)");
    kit_fails(session, "25006", "DROP TABLE t");
    kit_fails(session, "25006", "TRUNCATE t");
    kit_run(session, "SELECT * FROM t ORDER BY x, id");
    kade_disconnect(session);
    kade_close(database);
    char message[512];
    CHECK_TEXT(outcome_of_copy(path, message), "00000");
}

/* A small file system of its own at `path`; skips the test where mounting is not allowed. */
static void small_disk(const char *path)
{
    CHECK_EQ(mkdir(path, 0700), 0);
    if (mount("kade-test", path, "tmpfs", 0, "size=24m") != 0)
        TEST_SKIP("cannot mount a tmpfs here: %s", strerror(errno));
}

/* Fills the disk; gives how many rows there are. */
static int64_t disk_fill(kade_session *session, int64_t first)
{
    const char *sqlstate = "00000";
    for (int i = (int)first; i < 100000; i++) {
        sqlstate = kit_try(
            session, "INSERT INTO t VALUES (%d, md5('%d') || repeat(md5('%d'), 200))", i, i, i);
        if (strcmp(sqlstate, "00000") != 0) {
            CHECK_TEXT(sqlstate, "53100");
            return i;
        }
    }
    CHECK(false);
    return 0;
}

TEST(a_full_disk_loses_nothing_that_was_acknowledged)
{
    const char *mounted = test_path("disk"), *path = test_path("disk/db");
    const char *ballast = test_path("disk/ballast");
    small_disk(mounted);
    char *bytes = calloc(1, 6 << 20);
    CHECK(bytes != NULL);
    file_write(ballast, bytes, 6 << 20);
    free(bytes);
    kade_database *database = kit_open(path, 0);
    kade_session *session = kit_connect(database);
    kit_run(session, "CREATE TABLE t (id integer PRIMARY KEY, body text)");
    int64_t acknowledged = disk_fill(session, 0);
    CHECK(acknowledged > 0);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), acknowledged);
    /* With room again the same session goes on, as if nothing had happened. */
    CHECK_EQ(unlink(ballast), 0);
    kit_run(session, "DELETE FROM t WHERE id < 10");
    kit_run(session, "INSERT INTO t SELECT g, 'again' FROM generate_series(0, 9) g");
    int64_t before = acknowledged;
    acknowledged = disk_fill(session, acknowledged);
    CHECK(acknowledged > before);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), acknowledged);
    kade_disconnect(session);
    kade_close(database);
    database = kit_open(path, 0);
    session = kit_connect(database);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), acknowledged);
    CHECK_EQ(kit_int(session, "SELECT max(id) FROM t"), acknowledged - 1);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t WHERE body = 'again'"), 10);
    kade_disconnect(session);
    kade_close(database);
    CHECK_EQ(umount2(mounted, MNT_DETACH), 0);
}

TEST(a_statement_that_finds_no_room_to_spill_fails_alone)
{
    const char *mounted = test_path("disk"), *path = test_path("disk/db");
    const char *sorting = "SELECT count(*) FROM (SELECT md5(g::text) || md5(g::text) AS x FROM "
                          "generate_series(1, %d) g ORDER BY x OFFSET 1) AS s";
    small_disk(mounted);
    kade_database *database = kit_open(path, 0);
    kade_session *session = kit_connect(database);
    kit_run(session, "CREATE TABLE t (id integer PRIMARY KEY)");
    kit_run(session, "SET memory_limit = '4MB'");
    kit_run(session, "BEGIN");
    kit_run(session, "INSERT INTO t VALUES (1)");
    kit_run(session, "COMMIT");
    CHECK_TEXT(kit_try(session, sorting, 600000), "53100");
    CHECK_TEXT(kit_try(session, sorting, 60000), "00000");
    kit_run(session, "INSERT INTO t VALUES (2)");
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), 2);
    kade_disconnect(session);
    kade_close(database);
    CHECK_EQ(umount2(mounted, MNT_DETACH), 0);
}

TEST(a_database_on_a_disk_that_is_read_only_can_be_read)
{
    const char *mounted = test_path("disk"), *path = test_path("disk/db");
    char answer[64];
    small_disk(mounted);
    make(path, false);
    if (mount(NULL, mounted, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
        TEST_SKIP("cannot mount a disk for reading here: %s", strerror(errno));
    open_fails(path, NULL, "42501");
    kade_open_options options = {.struct_bytes = sizeof options, .read_only = true};
    kade_database *database;
    kade_error *error;
    if (kade_open(path, KADE_NUL, &options, &database, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
    kade_session *session = kit_connect(database);
    kit_text(session, answer, sizeof answer, "SELECT count(*) || ' ' || sum(id) FROM t");
    CHECK_TEXT(answer, expected);
    kit_run(session, "SELECT * FROM t ORDER BY x, id");
    kit_fails(session, "25006", "INSERT INTO t VALUES (-1, 'x', 1)");
    kade_disconnect(session);
    kade_close(database);
    CHECK_EQ(umount2(mounted, MNT_DETACH), 0);
}
