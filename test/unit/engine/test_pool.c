/*
 * Pools of sessions, values by key, several statements as one transaction.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static kade_pool *open_pool(const kit *it, uint32_t min, uint32_t max, uint32_t wait_ms)
{
    kade_pool *pool;
    kade_pool_options options = {
        .struct_bytes = sizeof options, .session_min = min, .session_max = max, .wait_ms = wait_ms};
    CHECK_EQ(kade_pool_open(it->database, &options, &pool, NULL), KADE_OK);
    return pool;
}

static kade_pool_statistics statistics_of(kade_pool *pool)
{
    kade_pool_statistics numbers = {.struct_bytes = sizeof numbers};
    kade_pool_read_statistics(pool, &numbers);
    return numbers;
}

TEST(a_pool_counts_what_is_used)
{
    kit it = kit_memory();
    kade_pool *pool = open_pool(&it, 1, 2, 1);
    kade_session *first, *second, *third;
    kade_error *error;
    CHECK_EQ(statistics_of(pool).idle, 1);
    CHECK_EQ(kade_pool_take(pool, &first, NULL), KADE_OK);
    CHECK_EQ(kade_pool_take(pool, &second, NULL), KADE_OK);
    CHECK_EQ(kade_pool_take(pool, &third, &error), KADE_BUSY);
    CHECK_TEXT(error->sqlstate, "53300");
    kade_error_free(error);
    kade_pool_statistics numbers = statistics_of(pool);
    CHECK_EQ(numbers.in_use, 2);
    CHECK_EQ(numbers.idle, 0);
    CHECK_EQ(numbers.timed_out_count, 1);
    CHECK_EQ(numbers.waited_count, 1);
    CHECK(numbers.utilisation == 1.0 && numbers.utilisation_mean > 0);
    kade_pool_give(pool, first);
    kade_pool_give(pool, second);
    kade_pool_give(pool, NULL);
    numbers = statistics_of(pool);
    CHECK_EQ(numbers.in_use, 0);
    CHECK_EQ(numbers.idle, 2);
    CHECK_EQ(numbers.in_use_peak, 2);
    CHECK_EQ(numbers.taken_count, 2);
    kade_pool_close(pool);
    kade_pool_close(NULL);
    kit_close(&it);
}

TEST(a_session_given_back_is_as_new)
{
    kit it = kit_memory();
    kade_pool *pool = open_pool(&it, 0, 1, 1000);
    kade_session *session;
    kade_statement *statement;
    bool has_row;
    kit_run(it.session, "CREATE TABLE t (id int)");
    CHECK_EQ(kade_pool_take(pool, &session, NULL), KADE_OK);
    kit_run(session, "SET work_mem = '1MB'; CREATE TEMP TABLE mine (a int);"
                     "BEGIN; INSERT INTO t VALUES (1)");
    CHECK_EQ(kade_prepare(session, "SELECT * FROM t", KADE_NUL, &statement), KADE_OK);
    CHECK_EQ(kade_step(statement, &has_row), KADE_OK); /* It still has rows. */
    kade_pool_give(pool, session);
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "0");
    CHECK_EQ(kade_pool_take(pool, &session, NULL), KADE_OK);
    CHECK_EQ(kade_session_transaction(session), KADE_TRANSACTION_NONE);
    CHECK_ROWS(session, "SHOW work_mem", "0");
    kit_fails(session, "SELECT * FROM mine", "42P01");
    kit_run(session, "BEGIN");
    kit_fails(session, "SELECT 1/0", "22012"); /* A failed transaction goes, too. */
    kade_pool_give(pool, session);
    CHECK_EQ(kade_pool_take(pool, &session, NULL), KADE_OK);
    CHECK_ROWS(session, "SELECT 1", "1");
    kade_pool_give(pool, session);
    kade_pool_close(pool);
    kit_close(&it);
}

TEST(a_pool_replaces_sessions_that_were_ended)
{
    kit it = kit_memory();
    kade_pool *pool = open_pool(&it, 0, 1, 1000);
    kade_session *session;
    kd_ctx ctx = test_ctx();
    CHECK_EQ(kade_pool_take(pool, &session, NULL), KADE_OK);
    kit_run(session, "SET idle_in_transaction_session_timeout = 1; BEGIN");
    for (int i = 0; i < 3000; i++) {
        ctx.world->sleep_ns(ctx.world, 20u * 1000 * 1000);
        if (kade_execute(session, "SELECT 1", KADE_NUL, NULL, NULL) != KADE_OK)
            break;
    }
    CHECK_TEXT(kade_session_error(session)->sqlstate, "25P03");
    kade_pool_give(pool, session);
    CHECK_EQ(statistics_of(pool).idle, 0);
    CHECK_EQ(kade_pool_take(pool, &session, NULL), KADE_OK);
    CHECK_ROWS(session, "SELECT 1", "1");
    kade_pool_give(pool, session);
    kade_pool_close(pool);
    kit_close(&it);
}

enum { USERS = 6, TURNS = 60, PLACES = 3 };

typedef struct user {
    kade_pool *pool;
    atomic_int *inside;
} user;

static void use_pool(void *object)
{
    user *self = object;
    for (int i = 0; i < TURNS; i++) {
        kade_session *session;
        int64_t one = 1;
        CHECK_EQ(kade_pool_take(self->pool, &session, NULL), KADE_OK);
        CHECK(atomic_fetch_add(self->inside, 1) < PLACES);
        kade_operation operations[] = {
            {.sql = "UPDATE counter SET n = n + 1 WHERE id = 1", .sql_bytes = KADE_NUL}};
        CHECK_KADE(session, kade_transaction(session, operations, 1, NULL));
        CHECK_EQ(operations[0].rows_affected, one);
        if (i % 7 == 0)
            kit_run(session, "BEGIN; INSERT INTO counter VALUES (DEFAULT, 1000)");
        (void)statistics_of(self->pool);
        (void)atomic_fetch_sub(self->inside, 1);
        kade_pool_give(self->pool, session);
    }
}

TEST(threads_share_a_pool)
{
    kit it = kit_memory();
    kade_pool *pool = open_pool(&it, 0, PLACES, 60000);
    kd_ctx ctx = test_ctx();
    kd_thread *threads[USERS];
    atomic_int inside = 0;
    user users[USERS];
    kit_run(it.session, "CREATE TABLE counter (id serial PRIMARY KEY, n int);"
                        "INSERT INTO counter (n) VALUES (0)");
    for (int i = 0; i < USERS; i++) {
        users[i] = (user){pool, &inside};
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "user", use_pool, &users[i], &threads[i]));
    }
    for (int i = 0; i < USERS; i++)
        kd_thread_join(ctx.world, threads[i]);
    CHECK_ROWS(it.session, "SELECT n FROM counter", "360");
    CHECK_EQ(statistics_of(pool).taken_count, USERS * TURNS);
    CHECK_EQ(statistics_of(pool).waiting, 0);
    kade_pool_close(pool);
    kit_close(&it);
}

static void check_value(kade_session *session, const char *key, const char *expected)
{
    const void *value;
    size_t size;
    CHECK_KADE(session, kade_kv_get(session, key, KADE_NUL, &value, &size));
    if (expected == NULL) {
        CHECK(value == NULL);
        return;
    }
    CHECK(value != NULL);
    CHECK_EQ(size, strlen(expected));
    CHECK_BYTES(value, expected, size);
}

TEST(values_are_kept_by_key)
{
    const char *path = kit_directory("keys");
    kit it = kit_open(path);
    bool was_there = true;
    check_value(it.session, "a", NULL);
    CHECK_KADE(it.session, kade_kv_delete(it.session, "a", KADE_NUL, &was_there));
    CHECK(!was_there);
    CHECK_KADE(it.session, kade_kv_set(it.session, "a", KADE_NUL, "one", 3));
    CHECK_KADE(it.session, kade_kv_set(it.session, "a", KADE_NUL, "two", 3));
    CHECK_KADE(it.session, kade_kv_set(it.session, "empty", KADE_NUL, "", 0));
    check_value(it.session, "a", "two");
    check_value(it.session, "empty", "");
    check_value(it.session, "b", NULL);
    kade_session *other = kit_connect(&it);
    kit_run(it.session, "BEGIN");
    CHECK_KADE(it.session, kade_kv_set(it.session, "a", KADE_NUL, "mine", 4));
    check_value(it.session, "a", "mine");
    check_value(other, "a", "two");
    kit_run(it.session, "ROLLBACK");
    check_value(it.session, "a", "two");
    CHECK_ROWS(other, "SELECT key, value FROM kade_kv ORDER BY key", "a|\\x74776f;empty|\\x");
    CHECK_KADE(it.session, kade_kv_delete(it.session, "a", KADE_NUL, &was_there));
    CHECK(was_there);
    CHECK_KADE(it.session, kade_kv_delete(it.session, "a", KADE_NUL, NULL));
    kit_close(&it);
    it = kit_open(path);
    check_value(it.session, "a", NULL);
    check_value(it.session, "empty", "");
    kit_close(&it);
    (void)kit_directory("keys");
}

TEST(operations_are_done_together_or_not_at_all)
{
    kit it = kit_memory();
    kade_transaction_result result;
    const char *first[] = {"1", "it's"}, *second[] = {"2", NULL}, *wrong[] = {"1", "twice"};
    const char insert[] = "INSERT INTO t VALUES ($1, $2)";
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, v text)");
    kade_operation operations[] = {
        {.sql = insert, .sql_bytes = KADE_NUL, .parameters = first, .parameter_count = 2},
        {.sql = insert, .sql_bytes = KADE_NUL, .parameters = second, .parameter_count = 2},
        {.sql = "UPDATE t SET v = v || '!'", .sql_bytes = KADE_NUL}};
    CHECK_KADE(it.session, kade_transaction(it.session, operations, 3, &result));
    CHECK_EQ(result.done_count, 3);
    CHECK_EQ(result.attempt_count, 1);
    CHECK_EQ(operations[2].rows_affected, 2);
    CHECK_ROWS(it.session, "SELECT * FROM t ORDER BY id", "1|it's!;2|~");
    operations[0].sql = "DELETE FROM t";
    operations[0].parameter_count = 0;
    operations[1].parameters = first;
    operations[2] = operations[1];
    operations[2].parameters = wrong;
    CHECK_EQ(kade_transaction(it.session, operations, 3, &result), KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "23505");
    CHECK_EQ(result.done_count, 2);
    CHECK_EQ(kade_session_transaction(it.session), KADE_TRANSACTION_NONE);
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "2");
    operations[0].parameter_count = 1;
    CHECK_EQ(kade_transaction(it.session, operations, 1, NULL), KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "08P01");
    operations[0] = (kade_operation){.sql = "COMMIT", .sql_bytes = KADE_NUL};
    CHECK_EQ(kade_transaction(it.session, operations, 1, NULL), KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "2D000");
    kit_run(it.session, "BEGIN");
    CHECK_EQ(kade_transaction(it.session, operations, 0, NULL), KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "25001");
    kit_close(&it);
}
