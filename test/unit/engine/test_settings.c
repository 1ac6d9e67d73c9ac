/*
 * The database's settings: where they come from, what they do, who may change them; and that the
 * manual has them all.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kit open_with(const char *path, const char *settings)
{
    kit self = {0};
    kade_error *error = NULL;
    kade_open_options options = {.struct_bytes = sizeof options,
                                 .worker_count = 2,
                                 .memory_budget_bytes = 256u << 20,
                                 .settings = settings};
    if (kade_open(path, KADE_NUL, &options, &self.database, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "open %s: %s %s", path, error->sqlstate, error->message);
    CHECK_EQ(kade_connect(self.database, &self.session, NULL), KADE_OK);
    return self;
}

TEST(what_alter_system_sets_holds_at_once_and_after_a_reopen)
{
    const char *path = kit_directory("settings");
    kit it = kit_open(path);
    kit_run(it.session, "ALTER SYSTEM SET max_connections = 7;"
                        "ALTER SYSTEM SET search_path = \"It's\", public;"
                        "ALTER SYSTEM SET checkpoint_timeout TO '90s';"
                        "ALTER SYSTEM SET wal_buffers = '2MB'");
    CHECK_ROWS(it.session, "SHOW max_connections; SHOW search_path; SHOW checkpoint_timeout",
               "7;\"$user\", public;90s");
    CHECK_ROWS(
        it.session,
        "SELECT setting, pending_restart, source FROM pg_settings WHERE name = 'wal_buffers'",
        "16MB|t|configuration file");
    kade_session *other = kit_connect(&it);
    CHECK_ROWS(other, "SHOW search_path", "\"It's\", public");
    kit_run(other, "SET search_path = x; RESET search_path");
    CHECK_ROWS(other, "SHOW search_path", "\"It's\", public");
    kit_close(&it);
    it = kit_open(path);
    CHECK_ROWS(it.session, "SHOW max_connections; SHOW search_path; SHOW wal_buffers",
               "7;\"It's\", public;2MB");
    kit_run(it.session, "ALTER SYSTEM RESET search_path");
    other = kit_connect(&it);
    CHECK_ROWS(other, "SHOW search_path", "\"$user\", public");
    kit_run(it.session, "ALTER SYSTEM RESET ALL");
    CHECK_ROWS(it.session, "SHOW max_connections; SHOW checkpoint_timeout", "1000;5min");
    kit_close(&it);
    it = kit_open(path);
    CHECK_ROWS(it.session, "SHOW wal_buffers", "16MB");
    kit_close(&it);
    (void)kit_directory("settings");
}

TEST(settings_of_the_opening_come_before_the_file)
{
    const char *path = kit_directory("settings_opening");
    kit it = open_with(path, "# of this opening\n\n max_connections = 3\nwork_mem='8MB'\n");
    CHECK_ROWS(it.session, "SHOW max_connections; SHOW work_mem", "3;8MB");
    kit_run(it.session, "ALTER SYSTEM SET max_connections = 9");
    CHECK_ROWS(it.session, "SHOW max_connections", "3");
    CHECK_ROWS(it.session, "SELECT source FROM pg_settings WHERE name = 'max_connections'",
               "command line");
    kit_close(&it);
    it = kit_open(path);
    CHECK_ROWS(it.session, "SHOW max_connections; SHOW work_mem", "9;0");
    kit_close(&it);
    (void)kit_directory("settings_opening");
}

TEST(a_wrong_line_is_told_with_its_number)
{
    static const char *const wrong[] = {"max_connections = 0", "max_connections = 'x",
                                        "nonsense = 1", "work_mem 5", "checkpoint_timeout = 1s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[128];
        kade_database *database;
        kade_error *error;
        (void)snprintf(text, sizeof text, "work_mem = 1MB\n%s\n", wrong[i]);
        kade_open_options options = {.struct_bytes = sizeof options, .settings = text};
        test_note("%s", wrong[i]);
        CHECK(kade_open(":memory:", KADE_NUL, &options, &database, &error) == KADE_INVALID);
        CHECK_TEXT(error->sqlstate, "F0000");
        CHECK(strstr(error->message, "line 2") != NULL);
        kade_error_free(error);
    }
}

TEST(who_may_not_change_a_setting_is_told)
{
    kit it = kit_memory();
    kit_fails(it.session, "SET max_connections = 5", "55P02");
    kit_fails(it.session, "SET wal_buffers = '1MB'", "55P02");
    kit_fails(it.session, "RESET checkpoint_timeout", "55P02");
    kit_fails(it.session, "ALTER SYSTEM SET standard_conforming_strings = off", "55P02");
    kit_fails(it.session, "ALTER SYSTEM SET max_connections = 0", "22023");
    kit_fails(it.session, "ALTER SYSTEM SET shared_buffers = 'much'", "22023");
    kit_fails(it.session, "ALTER SYSTEM SET nonsense = 1", "42704");
    kit_fails(it.session, "ALTER SYSTEM SET log_filename = 'a/b'", "22023");
    kit_fails(it.session, "ALTER DATABASE memory SET max_connections = 5", "55P02");
    kit_fails(it.session, "ALTER DATABASE elsewhere SET work_mem = '1MB'", "3D000");
    kit_run(it.session, "ALTER DATABASE memory SET work_mem = '3MB'");
    kade_session *other = kit_connect(&it);
    CHECK_ROWS(other, "SHOW work_mem", "3MB");
    kit_run(it.session, "ALTER DATABASE memory RESET work_mem; BEGIN");
    kit_fails(it.session, "ALTER SYSTEM SET work_mem = '1MB'", "25001");
    kit_run(it.session, "ROLLBACK");
    kit_close(&it);
}

TEST(there_are_no_more_sessions_than_max_connections)
{
    kit it = kit_memory();
    kit_run(it.session, "ALTER SYSTEM SET max_connections = 2");
    kade_session *second = kit_connect(&it), *third;
    kade_error *error;
    CHECK(kade_connect(it.database, &third, &error) == KADE_LIMIT);
    CHECK_TEXT(error->sqlstate, "53300");
    kade_error_free(error);
    kade_disconnect(second);
    third = kit_connect(&it);
    kit_run(it.session, "ALTER SYSTEM SET max_connections = 3");
    second = kit_connect(&it);
    CHECK_ROWS(second, "SELECT count(*) FROM pg_stat_activity", "3");
    kit_close(&it);
}

static void give_up_place(void *object)
{
    kade_disconnect(object);
}

TEST(a_session_waits_for_its_place_for_the_connection_timeout)
{
    kit it = open_with(":memory:", "max_connections = 2\nconnection_timeout = '1min'");
    kade_session *second = kit_connect(&it);
    kd_ctx ctx = test_ctx();
    kd_thread *thread;
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "gives up", give_up_place, second, &thread));
    kade_session *third = kit_connect(&it); /* At once or when the other has gone. */
    kd_thread_join(ctx.world, thread);
    CHECK_ROWS(third, "SELECT 1", "1");
    kit_close(&it);
}

/* Tries until the session has been ended; the bound only keeps a broken build from hanging. */
static void await_end(kade_session *session, kade_session *watcher, const char *sql,
                      const char *sqlstate)
{
    (void)watcher;
    kd_ctx ctx = test_ctx();
    for (int i = 0; i < 3000; i++) {
        ctx.world->sleep_ns(ctx.world, 20u * 1000 * 1000);
        if (kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
            break;
    }
    CHECK_TEXT(kade_session_error(session)->sqlstate, sqlstate);
}

TEST(a_session_that_rests_too_long_in_a_transaction_is_ended)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);"
                        "SET idle_in_transaction_session_timeout = 1;"
                        "BEGIN; UPDATE t SET id = 2");
    /* Its lock goes with it: the other waits, and gets it. */
    kit_run(other, "UPDATE t SET id = 3");
    await_end(it.session, other, "SELECT 1", "25P03");
    CHECK_EQ(kade_session_transaction(it.session), KADE_TRANSACTION_NONE);
    kit_fails(it.session, "ROLLBACK", "25P03");
    CHECK_ROWS(other, "SELECT id FROM t", "3");
    kit_close(&it);
}

TEST(a_session_that_rests_too_long_is_ended)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kit_run(it.session,
            "SET idle_session_timeout = 1; SET idle_in_transaction_session_timeout = 0");
    await_end(it.session, other, "SELECT 1", "57P05");
    CHECK_ROWS(other, "SHOW idle_timeout", "0");
    kit_close(&it);
}

TEST(discard_all_leaves_nothing_of_a_session)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE SEQUENCE s; SELECT nextval('s'); SET work_mem = '1MB';"
                        "SET kade.mine = 'x'; CREATE TEMP TABLE t (a int);"
                        "PREPARE p AS SELECT 1; DISCARD ALL");
    CHECK_ROWS(it.session, "SHOW work_mem", "0");
    kit_fails(it.session, "EXECUTE p", "26000");
    kit_fails(it.session, "SELECT * FROM t", "42P01");
    kit_fails(it.session, "SELECT currval('s')", "55000");
    kit_fails(it.session, "SHOW kade.mine", "42704");
    kit_close(&it);
}

TEST(the_manual_has_every_setting)
{
    enum { PAGE_BYTES = 1 << 18 };
    char *page = calloc(1, PAGE_BYTES);
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    FILE *file = fopen(KADE_SOURCE "/docs/manual/settings.md", "rb");
    CHECK(file != NULL);
    CHECK(fread(page, 1, PAGE_BYTES - 1, file) > 0);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(kade_prepare(it.session, "SELECT '`' || name || '`' FROM pg_settings", KADE_NUL,
                          &statement),
             KADE_OK);
    while (kade_step(statement, &has_row) == KADE_OK && has_row) {
        const char *name = kade_column_text(statement, 0, NULL);
        test_note("%s", name);
        CHECK(strstr(page, name) != NULL);
    }
    free(page);
    kit_close(&it);
}
