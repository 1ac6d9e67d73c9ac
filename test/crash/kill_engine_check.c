/*
 * The child that opens what a kill left, and says whether it is right.
 */
#include "kill_engine.h"

#include "engine/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A count of rows that break a rule; the rule's text is in the failure's message. */
#define CHECK_NONE(session, ...) CHECK_EQ(kit_int(session, __VA_ARGS__), 0)

/* Reads and checks every stored byte below the SQL, then leaves as a crash would, so that the
 * next open recovers once more. */
static void check_storage(const char *directory)
{
    kd_ctx ctx = test_ctx();
    kd_database_options options = {.memory_budget_bytes = (uint64_t)256 << 20,
                                   .no_background = true};
    kd_database *database;
    CHECK_STATUS(&ctx, kd_database_open(&ctx, directory, &options, &database));
    CHECK_STATUS(&ctx, kd_storage_check(&ctx, kd_database_storage(database)));
    kd_database_abandon(database);
}

/* Every acknowledged number of this cycle is in the journal; of those not acknowledged at most
 * the last one of each thread and load. */
static void check_acknowledged(kade_session *session, uint32_t cycle, const char *ack_path,
                               kill_state *state)
{
    static bool is_there[LOAD_THREADS][NUMBER_MAX];
    int64_t present = 0, acknowledged = 0;
    kade_statement *statement;
    bool has_row;
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT thread, number FROM journal WHERE cycle = %u", cycle);
    CHECK_EQ(kade_prepare(session, sql, KADE_NUL, &statement), KADE_OK);
    while (kade_step(statement, &has_row) == KADE_OK && has_row) {
        bool *seen = &is_there[kade_column_int64(statement, 0)][kade_column_int64(statement, 1)];
        CHECK(!*seen);
        *seen = true;
        present++;
    }
    CHECK_TEXT(kade_session_error(session)->sqlstate, "00000");
    kade_finalize(statement);

    acknowledgement ack;
    FILE *file = fopen(ack_path, "r");
    CHECK(file != NULL);
    while (fread(&ack, sizeof ack, 1, file) == 1) {
        CHECK_EQ(ack.cycle, cycle);
        if (!is_there[ack.thread][ack.number])
            test_fail(__FILE__, __LINE__, "lost: transaction %u of thread %u in cycle %u",
                      ack.number, ack.thread, cycle);
        acknowledged++;
    }
    (void)fclose(file);
    CHECK(present <= acknowledged + (int64_t)state->loads * LOAD_THREADS);
    state->acknowledged += (uint64_t)acknowledged;
}

/* What earlier checks saw is still there, to the row. */
static void check_earlier(kade_session *session, uint32_t cycle, kill_state *state)
{
    for (uint32_t i = 0; i < CYCLES_KEPT && i < cycle; i++) {
        uint32_t one = cycle - i, slot = one % CYCLES_KEPT;
        int64_t rows = kit_int(session, "SELECT count(*) FROM journal WHERE cycle = %u", one);
        int64_t sum =
            kit_int(session, "SELECT coalesce(sum(number), 0) FROM journal WHERE cycle = %u", one);
        if (i > 0) {
            CHECK_EQ(rows, state->row_count[slot]);
            CHECK_EQ(sum, state->number_sum[slot]);
        }
        state->row_count[slot] = rows;
        state->number_sum[slot] = sum;
    }
}

static void check_whole(kade_session *session, uint32_t cycle)
{
    CHECK_NONE(session, "SELECT count(*) FROM journal WHERE kind = 'never'");
    CHECK_NONE(session, "SELECT count(*) FROM part WHERE no = 99");
    CHECK_NONE(session,
               "SELECT count(*) FROM journal j LEFT JOIN"
               " (SELECT journal_id, count(*) AS n FROM part GROUP BY journal_id) p"
               " ON p.journal_id = j.id WHERE j.kind <> 'bulk' AND j.parts <> coalesce(p.n, 0)");
    CHECK_NONE(session, "SELECT count(*) FROM journal j LEFT JOIN"
                        " (SELECT batch, count(*) AS n FROM bulk GROUP BY batch) b"
                        " ON b.batch = j.id WHERE j.kind = 'bulk' AND j.parts <> coalesce(b.n, 0)");
    CHECK_EQ(kit_int(session, "SELECT sum(amount) FROM account"), ACCOUNTS * ACCOUNT_START);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM account"), ACCOUNTS);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM mine"), LOAD_THREADS * MINE_ROWS);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM (SELECT DISTINCT thread, number FROM mine) x"),
             LOAD_THREADS);
    for (uint32_t i = 0; i < CYCLES_KEPT && i < cycle; i++)
        CHECK_EQ(
            kit_int(session, "SELECT coalesce(sum(n), 0) FROM hot WHERE cycle = %u", cycle - i),
            kit_int(session, "SELECT coalesce(sum(n), 0) FROM upserts WHERE cycle = %u",
                    cycle - i));
    for (uint32_t thread = 0; thread < LOAD_THREADS; thread++)
        CHECK(kit_int(session, "SELECT max(number) FROM mine WHERE thread = %u", thread) >=
              kit_int(session,
                      "SELECT coalesce(max(id), 0) FROM journal WHERE thread = %u"
                      " AND kind = 'mine'",
                      thread));
}

/* Every row of the partitions has one entry in the key over them, and there is none without a row:
 * an entry too many would keep a reference alive, or refuse a key that is free. */
static void check_keys(kade_session *session)
{
    kit_run(session, "BEGIN; CREATE TABLE kept AS SELECT * FROM journal;"
                     "DELETE FROM part; DELETE FROM journal;"
                     "INSERT INTO journal SELECT id, cycle, thread, number, kind,"
                     " 1 - least(parts, 1) FROM kept");
    CHECK_NONE(session, "SELECT count(*) FROM kept k LEFT JOIN journal j ON j.id = k.id"
                        " WHERE j.id IS NULL");
    kit_run(session, "ROLLBACK");
}

static void check_constraints(kade_session *session)
{
    CHECK_NONE(session, "SELECT count(*) FROM part p LEFT JOIN journal j ON j.id = p.journal_id"
                        " WHERE j.id IS NULL");
    CHECK_NONE(session, "SELECT count(*) FROM bulk b LEFT JOIN journal j ON j.id = b.batch"
                        " WHERE j.id IS NULL");
    CHECK_NONE(session, "SELECT count(*) FROM (SELECT id FROM journal GROUP BY id"
                        " HAVING count(*) > 1) x");
    CHECK_NONE(session, "SELECT count(*) FROM (SELECT cycle, thread, number FROM journal"
                        " GROUP BY cycle, thread, number HAVING count(*) > 1) x");
    CHECK_NONE(session, "SELECT count(*) FROM (SELECT batch, no FROM bulk GROUP BY batch, no"
                        " HAVING count(*) > 1) x");
    CHECK_NONE(session,
               "SELECT count(*) FROM journal WHERE cycle IS NULL OR kind IS NULL OR parts < 0");
    CHECK_NONE(session, "SELECT count(*) FROM bulk WHERE name IS NULL OR x <> no * 0.5");
}

static void check_definitions(kade_session *session)
{
    for (uint32_t thread = 0; thread < LOAD_THREADS; thread++) {
        int64_t index =
            kit_int(session, "SELECT value FROM flag WHERE thread = %u AND name = 'index'", thread);
        int64_t table =
            kit_int(session, "SELECT value FROM flag WHERE thread = %u AND name = 'table'", thread);
        int64_t columns = kit_int(
            session, "SELECT value FROM flag WHERE thread = %u AND name = 'column'", thread);
        CHECK_TEXT(kit_try(session, "BEGIN; DROP INDEX mine_%u; ROLLBACK", thread),
                   index != 0 ? "00000" : "42704");
        if (index == 0)
            kit_run(session, "ROLLBACK");
        CHECK_TEXT(kit_try(session, "SELECT * FROM side_%u", thread),
                   table != 0 ? "00000" : "42P01");
        if (table != 0)
            CHECK_EQ(kit_int(session, "SELECT count(*) FROM side_%u WHERE b = 'b' || a", thread),
                     20);
        CHECK_TEXT(kit_try(session, "SELECT c%lld FROM wide_%u", (long long)columns + 1, thread),
                   "42703");
        for (int64_t i = 1; i <= columns; i++)
            CHECK_EQ(kit_int(session, "SELECT count(*) FROM wide_%u WHERE c%lld = %lld", thread,
                             (long long)i, (long long)i),
                     50);
    }
}

/* The same questions with indexes and without. */
static void check_indexes(kade_session *session, uint32_t cycle, test_random *random)
{
    static const char *const questions[] = {
        "SELECT count(*) || ' ' || coalesce(sum(no), 0) FROM bulk WHERE name = 'name %u'",
        "SELECT count(*) || ' ' || coalesce(max(id), 0) FROM journal WHERE thread = %u",
        "SELECT count(*) || ' ' || coalesce(sum(no), 0) FROM mine WHERE no = %u",
        "SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM account WHERE id > %u",
        "SELECT count(*) || ' ' || coalesce(sum(no), 0) FROM part WHERE no = %u",
    };
    char with[128], without[128];
    for (int i = 0; i < 25; i++) {
        const char *question = questions[test_random_below(random, 5)];
        unsigned value = (unsigned)test_random_below(random, 97);
        char sql[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(sql, sizeof sql, question, value);
#pragma GCC diagnostic pop
        kit_run(session, "SET enable_indexscan = on");
        kit_text(session, with, sizeof with, "%s", sql);
        kit_run(session, "SET enable_indexscan = off");
        kit_text(session, without, sizeof without, "%s", sql);
        kit_run(session, "SET enable_indexscan = on");
        CHECK_TEXT(with, without);
    }
    /* Every row of the cycle is found by its key. */
    int64_t low = (int64_t)cycle * LOAD_THREADS * NUMBER_MAX;
    CHECK_NONE(session,
               "SELECT count(*) FROM journal j WHERE j.cycle = %u AND NOT EXISTS"
               " (SELECT 1 FROM journal k WHERE k.id = j.id AND k.id >= %lld)",
               cycle, (long long)low);
}

/* Constraints still refuse. */
static void check_refusals(kade_session *session)
{
    kit_fails(session, "23505", "INSERT INTO account VALUES (1, 5)");
    if (kit_int(session, "SELECT count(*) FROM journal") > 0) {
        kit_fails(
            session, "23505",
            "INSERT INTO journal SELECT id, -1, -1, -1, kind, 1 - least(parts, 1) FROM journal");
        kit_fails(session, "23505",
                  "INSERT INTO journal SELECT -1, cycle, thread, number, kind, 1 - least(parts, 1) "
                  "FROM journal LIMIT 1");
    }
    kit_fails(session, "23503", "INSERT INTO part VALUES (-1, 1, 'orphan')");
    kit_fails(session, "23502", "INSERT INTO account VALUES (100000, NULL)");
    kit_fails(session, "23514", "INSERT INTO account VALUES (100000, -2000000000)");
}

void kill_engine_check(const char *directory, uint32_t cycle, uint64_t seed, const char *ack_path,
                       kill_state *state)
{
    test_random random = {seed};
    if (test_random_below(&random, 2) == 0)
        check_storage(directory);
    kade_database *database = kit_open(directory, (uint64_t)256 << 20);
    kade_session *session = kit_connect(database);
    if (kit_has_relation(session, "flag")) {
        check_acknowledged(session, cycle, ack_path, state);
        check_earlier(session, cycle, state);
        check_whole(session, cycle);
        check_constraints(session);
        check_keys(session);
        check_definitions(session);
        check_indexes(session, cycle, &random);
        check_refusals(session);
    } else {
        CHECK_EQ(state->acknowledged, 0);
    }
    if (test_random_below(&random, 3) == 0)
        _exit(0); /* As another crash. */
    kade_disconnect(session);
    kade_close(database);
    _exit(0);
}
