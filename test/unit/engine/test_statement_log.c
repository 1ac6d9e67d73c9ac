/*
 * The statement log: what gets into it, what does not, and that files take turns.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 1 << 20 };

/* The file's text, in memory of the test's own; "" where there is none. */
static const char *read_log(const char *directory, const char *name)
{
    static char text[LOG_BYTES];
    char path[512];
    (void)snprintf(path, sizeof path, "%s/log/%s", directory, name);
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    if (file != NULL)
        CHECK_EQ(fclose(file), 0);
    return text;
}

TEST(nothing_is_logged_unless_asked_for)
{
    const char *path = kit_directory("log_off");
    kit it = kit_open(path);
    kit_run(it.session, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    kit_fails(it.session, "SELECT 1/0", "22012");
    kit_close(&it);
    CHECK_TEXT(read_log(path, "statements.log"), "");
    (void)kit_directory("log_off");
}

TEST(statements_are_logged_by_what_they_do)
{
    const char *path = kit_directory("log_kinds");
    kit it = kit_open(path);
    kit_run(it.session, "SET application_name = 'unit'; SET log_statement = 'ddl';"
                        "CREATE TABLE t (a int, b text);"
                        "INSERT INTO t VALUES (1, 'not this');"
                        "SET log_statement = 'mod';"
                        "INSERT INTO t VALUES (2, 'line\nfeed');"
                        "PREPARE p AS DELETE FROM t WHERE a = $1; EXECUTE p (2);"
                        "SELECT count(*) FROM t;"
                        "SET log_statement = 'all'; SELECT 'seen'");
    kit_close(&it);
    const char *log = read_log(path, "statements.log");
    CHECK(strstr(log, "unit: duration: ") != NULL);
    CHECK(strstr(log, "statement: CREATE TABLE t (a int, b text)\n") != NULL);
    CHECK(strstr(log, "'line\\nfeed')\n") != NULL);
    CHECK(strstr(log, "statement: EXECUTE p (2)\n") != NULL);
    CHECK(strstr(log, "SELECT 'seen'\n") != NULL);
    CHECK(strstr(log, "not this") == NULL);
    CHECK(strstr(log, "count(*)") == NULL);
    (void)kit_directory("log_kinds");
}

TEST(failures_and_slow_statements_are_logged)
{
    const char *path = kit_directory("log_failures");
    kit it = kit_open(path);
    kit_run(it.session, "SET log_min_error_statement = error");
    kit_fails(it.session, "SELECT 1/0", "22012");
    kit_fails(it.session, "SELECT nothing", "42703");
    kit_fails(it.session, "SELEC 1", "42601");
    kit_run(it.session, "SET log_min_error_statement = panic; SET log_min_duration_statement = 0;"
                        "SELECT 'slow'; SET log_min_duration_statement = '1d'; SELECT 'quick';"
                        "SET log_duration = on; SELECT 'length'");
    kit_close(&it);
    const char *log = read_log(path, "statements.log");
    CHECK(strstr(log, "sqlstate: 22012  statement: SELECT 1/0\n") != NULL);
    CHECK(strstr(log, "sqlstate: 42703  statement: SELECT nothing\n") != NULL);
    CHECK(strstr(log, "sqlstate: 42601  statement: SELEC 1\n") != NULL);
    CHECK(strstr(log, "sqlstate: 00000  statement: SELECT 'slow'\n") != NULL);
    CHECK(strstr(log, "quick") == NULL);
    CHECK(strstr(log, "sqlstate: 00000\n") != NULL);
    CHECK(strstr(log, "length") == NULL);
    (void)kit_directory("log_failures");
}

TEST(passwords_and_parameters_are_not_logged)
{
    const char *path = kit_directory("log_secret");
    kit it = kit_open(path);
    kade_statement *statement;
    bool has_row;
    kit_run(it.session, "SET log_min_error_statement = error; SET log_statement = 'all'");
    (void)kade_execute(it.session, "CREATE ROLE x PASSWORD 'hid''den' LOGIN", KADE_NUL, NULL, NULL);
    (void)kade_execute(it.session, "CREATE ROLE x PaSSword E'hid\\'den'", KADE_NUL, NULL, NULL);
    (void)kade_execute(it.session, "CREATE ROLE x PASSWORD $$hidden$$", KADE_NUL, NULL, NULL);
    CHECK_EQ(kade_prepare(it.session, "SELECT $1::text", KADE_NUL, &statement), KADE_OK);
    CHECK_EQ(kade_bind_text(statement, 1, "hidden", KADE_NUL), KADE_OK);
    CHECK_EQ(kade_step(statement, &has_row), KADE_OK);
    kit_close(&it);
    const char *log = read_log(path, "statements.log");
    CHECK(strstr(log, "PASSWORD '***' LOGIN") != NULL);
    CHECK(strstr(log, "SELECT $1::text") != NULL);
    CHECK(strstr(log, "hid") == NULL);
    (void)kit_directory("log_secret");
}

TEST(files_take_turns_by_size)
{
    const char *path = kit_directory("log_turns");
    kit it = kit_open(path);
    kit_run(it.session, "ALTER SYSTEM SET log_rotation_size = '4kB';"
                        "ALTER SYSTEM SET log_filename = 'turns.log'; SET log_statement = 'all'");
    for (int i = 0; i < 40; i++) { /* Each opening writes what it has before it ends. */
        char sql[64];
        (void)snprintf(sql, sizeof sql, "SELECT %d, repeat('x', 10)", i);
        kit_run(it.session, sql);
        if (i % 4 == 3) {
            kit_close(&it);
            it = kit_open(path);
            kit_run(it.session, "SET log_statement = 'all'");
            for (int k = 0; k < 8; k++)
                kit_run(it.session, "SELECT 'filling up the file of the log'");
        }
    }
    kit_close(&it);
    CHECK(strlen(read_log(path, "turns.log")) > 0);
    CHECK(strlen(read_log(path, "turns.log.1")) > 0);
    CHECK_TEXT(read_log(path, "turns.log.9"), "");
    (void)kit_directory("log_turns");
}
