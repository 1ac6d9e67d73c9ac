/*
 * Files that nobody should import: whatever is in them, COPY and reading them in place give rows or
 * an error that says where, the table stays as it was after an error, and the session goes on.
 */
#include "kade_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static kade_database *database;
static kade_session *session;

static void begin(void)
{
    database = kit_open(":memory:", (uint64_t)256 << 20);
    session = kit_connect(database);
    kit_run(session, "CREATE TABLE t (a integer PRIMARY KEY, b text NOT NULL, c numeric(6,2))");
    kit_run(session, "INSERT INTO t VALUES (-1, 'first', 1)");
}

static void finish(void)
{
    kade_disconnect(session);
    kade_close(database);
}

static const char *file_of(const char *name, const void *bytes, size_t size)
{
    const char *path = test_path(name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
    return path;
}

/* Nothing of the file is there, and the next statement works. */
static void check_unchanged(void)
{
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), 1);
    CHECK_EQ(kit_int(session, "SELECT a FROM t WHERE b = 'first'"), -1);
}

TEST(rows_that_are_not_right_are_refused_with_their_line)
{
    static const struct {
        const char *bytes;
        size_t size; /* 0: up to the NUL. */
        const char *sqlstate;
    } cases[] = {
        {"1,x,1\n2,\"y\n", 0, "22P04"},            /* A quote that never ends. */
        {"1,x,1\n2,\"y\"z\",1\n3,x,1\n", 0, NULL}, /* One in the middle: read or refused. */
        {"1,x,1\n2,y\n", 0, "22P04"},              /* Too few. */
        {"1,x,1\n2,y,1,9\n", 0, "22P04"},          /* Too many. */
        {"1,x,1\n\n2,y,1\n", 0, NULL},             /* An empty line. */
        {"1,x,1\n2,y,\xff\xfe\n", 0, "22021"},
        {"1,\xc3\x28,1\n", 0, "22021"},
        {"1,a\0b,1\n", 9, "22021"},
        {"1,x,1\nzwei,y,1\n", 0, "22P02"},
        {"1,x,1\n99999999999,y,1\n", 0, "22003"},
        {"1,x,123456.7\n", 0, "22003"},
        {"1,x,1\n1,y,1\n", 0, "23505"},
        {"-1,x,1\n", 0, "23505"},
        {"1,,1\n", 0, "23502"},
        {"1,x,1e400\n", 0, "22003"},
        {"1,x,NaN\n", 0, NULL},
        {"\xef\xbb\xbf"
         "1,x,1\n",
         0, NULL}, /* A byte order mark. */
        {"1,x,1\r\n2,y,2\n3,z,3\r", 0, NULL},
        {",,\n", 0, "23502"},
        {"\"\"\"\"\"", 0, "22P04"},
        {"1\n", 0, "22P04"},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = cases[i].size != 0 ? cases[i].size : strlen(cases[i].bytes);
        const char *path = file_of("bad.csv", cases[i].bytes, size);
        test_note("case %zu", i);
        const char *got = kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", path);
        if (cases[i].sqlstate != NULL && strcmp(got, cases[i].sqlstate) != 0)
            test_fail(__FILE__, __LINE__, "expected %s, got %s %s", cases[i].sqlstate, got,
                      kade_session_error(session)->message);
        CHECK(strncmp(got, "XX", 2) != 0);
        if (strcmp(got, "00000") == 0)
            kit_run(session, "DELETE FROM t WHERE a <> -1");
        check_unchanged();
        CHECK(strncmp(kit_try(session, "SELECT count(*) FROM '%s'", path), "XX", 2) != 0);
    }
    finish();
}

TEST(files_that_cannot_be_read_say_so)
{
    begin();
    kit_fails(session, "58P01", "COPY t FROM '%s' WITH (FORMAT csv)", test_path("absent.csv"));
    kit_fails(session, "58P01", "SELECT * FROM '%s'", test_path("absent.csv"));
    CHECK_EQ(mkdir(test_path("folder.csv"), 0700), 0);
    CHECK(strcmp(kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", test_path("folder.csv")),
                 "00000") != 0);
    CHECK(strcmp(kit_try(session, "SELECT * FROM '%s'", test_path("folder.csv")), "00000") != 0);
    kit_fails(session, "58030", "COPY t TO '%s' WITH (FORMAT csv)", test_path("folder.csv"));
    CHECK(strcmp(
              kit_try(session, "COPY t TO '%s' WITH (FORMAT csv)", test_path("no/such/folder.csv")),
              "00000") != 0);
    if (geteuid() != 0) {
        const char *path = file_of("secret.csv", "1,x,1\n", 6);
        CHECK_EQ(chmod(path, 0), 0);
        CHECK(strcmp(kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", path), "00000") != 0);
    }
    check_unchanged();
    finish();
}

TEST(empty_and_cut_files_are_read_or_refused)
{
    char bytes[4096], packed[4096];
    uLongf packed_bytes = sizeof packed;
    begin();
    kit_run(session, "COPY t FROM '%s' WITH (FORMAT csv)", file_of("empty.csv", "", 0));
    kit_run(session, "COPY t FROM '%s' WITH (FORMAT csv, HEADER)",
            file_of("head.csv", "a,b,c\n", 6));
    check_unchanged();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "1,x,1\n"[i % 6];
    CHECK_EQ(compress((Bytef *)packed, &packed_bytes, (const Bytef *)bytes, sizeof bytes), Z_OK);
    /* Named as compressed, and is not, or not as it should be. */
    static const char *const names[] = {"cut.csv.gz", "cut.csv.zst"};
    for (size_t i = 0; i < 2; i++) {
        const char *path = file_of(names[i], packed, packed_bytes);
        CHECK(strncmp(kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", path), "XX", 2) != 0);
        path = file_of(names[i], "\x1f\x8b\x08\x00\x28\xb5\x2f\xfd", i == 0 ? 4 : 8);
        CHECK(strcmp(kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", path), "00000") != 0);
        check_unchanged();
    }
    finish();
}

TEST(a_field_of_many_megabytes_is_read_or_refused)
{
    enum { HUGE_BYTES = 40 << 20 };
    char *bytes = malloc(HUGE_BYTES + 16);
    CHECK(bytes != NULL);
    memcpy(bytes, "1,\"", 3);
    memset(bytes + 3, 'x', HUGE_BYTES);
    memcpy(bytes + 3 + HUGE_BYTES, "\",1\n", 4);
    begin();
    const char *path = file_of("huge.csv", bytes, HUGE_BYTES + 7);
    const char *got = kit_try(session, "COPY t FROM '%s' WITH (FORMAT csv)", path);
    if (strcmp(got, "00000") == 0) {
        CHECK_EQ(kit_int(session, "SELECT length(b) FROM t WHERE a = 1"), HUGE_BYTES);
        kit_run(session, "DELETE FROM t WHERE a = 1");
    } else {
        CHECK(strcmp(got, "54000") == 0 || strcmp(got, "53200") == 0);
    }
    check_unchanged();
    free(bytes);
    finish();
}
