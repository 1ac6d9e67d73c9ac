/*
 * Sessions by chance over lists and registers, at each isolation level and with kills; what they
 * saw is checked for anomalies (history.h). KADE_TEST_SEEDS says how many histories of each kind
 * (with
 * --no-fork there is no time limit).
 */
#include "history.h"
#include "kade_kit.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORKERS = 6,
    TXNS = 4000,
    VALUES = 4000000,
    LIVE_KEYS = 8,      /* Transactions meet on so few keys at a time, */
    TXNS_PER_STEP = 24, /* and after so many one of them gives way to a new one. */
    REGISTERS = 12,
    LIST_MAX = 4096,
    KILLS_MAX = 25,
};

static const char *const level_names[] = {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};

typedef struct worker {
    history *history;
    history_level level;
    kade_database *database;
    bool keeps_results; /* Reads are such as are kept: see result_key.h. */
    kade_session *session;
    kade_statement *append, *upsert, *read, *read_locked, *scan, *set, *get;
    test_random random;
    kit_thread *thread;
} worker;

/* --- Statements ------------------------------------------------------------------------------- */

static kade_statement *prepare(worker *self, const char *sql)
{
    kade_statement *statement;
    if (kade_prepare(self->session, sql, KADE_NUL, &statement) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", sql, kade_session_error(self->session)->message);
    return statement;
}

static void prepare_all(worker *self)
{
    if (self->history->is_of_registers) {
        self->set = prepare(self, "UPDATE registers SET previous = v, v = $2 WHERE k = $1"
                                  " RETURNING previous");
        self->get = prepare(self, self->keeps_results ? "SELECT v FROM registers WHERE k + 0 = $1"
                                                      : "SELECT v FROM registers WHERE k = $1");
        return;
    }
    self->append = prepare(self, "UPDATE lists SET v = v || $2::int WHERE k = $1");
    self->upsert = prepare(self, "INSERT INTO lists VALUES ($1, $1 % 4, ARRAY[$2::int])"
                                 " ON CONFLICT (k) DO UPDATE SET v = lists.v || $2::int");
    self->read = prepare(self, "SELECT k, v FROM lists WHERE k = $1");
    self->read_locked = prepare(self, "SELECT k, v FROM lists WHERE k = $1 FOR UPDATE");
    self->scan = prepare(self, "SELECT k, v FROM lists WHERE part = $1 AND k BETWEEN $2 AND $3");
}

/* False when the transaction is lost to another; anything else that fails ends the test. */
static bool is_well(worker *self, kade_status status)
{
    if (status == KADE_OK)
        return true;
    const kade_error *error = kade_session_error(self->session);
    if (strcmp(error->sqlstate, "40001") != 0 && strcmp(error->sqlstate, "40P01") != 0)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
    return false;
}

static bool run_bound(worker *self, kade_statement *statement, uint32_t key, uint32_t value)
{
    bool has_row;
    CHECK(kade_bind_int64(statement, 1, key) == KADE_OK);
    CHECK(kade_bind_int64(statement, 2, value) == KADE_OK);
    return is_well(self, kade_step(statement, &has_row));
}

static void maybe_pause(worker *self)
{
    uint64_t chance = test_random_below(&self->random, 8);
    if (chance == 0)
        (void)usleep((useconds_t)test_random_below(&self->random, 300));
    else if (chance < 3)
        (void)sched_yield();
}

/* "{1,2,3}" as the values of a read. */
static void list_keep(history *it, history_op *op, const char *text)
{
    uint32_t list[LIST_MAX], size = 0;
    for (const char *at = text + 1; *at != '}' && *at != '\0'; at += *at == ',') {
        char *end;
        CHECK(size < LIST_MAX);
        list[size++] = (uint32_t)strtoul(at, &end, 10);
        at = end;
    }
    uint32_t *values = history_values_add(it, size, &op->first);
    CHECK(values != NULL);
    memcpy(values, list, size * sizeof *values);
    op->size = size;
}

/* --- Operations on lists ---------------------------------------------------------------------- */

static bool list_append(worker *self, history_txn *txn, uint32_t key)
{
    history_op *op = history_op_add(self->history, txn, true, key);
    if (test_random_below(&self->random, 2) == 0) {
        if (!run_bound(self, self->append, key, op->value))
            return false;
        if (kade_rows_affected(self->append) == 1)
            return true;
    }
    return run_bound(self, self->upsert, key, op->value);
}

/* The rows of a statement that reads lists; `ops` are the reads of the keys from `base` on. */
static bool lists_fetch(worker *self, kade_statement *statement, history_op **ops, uint32_t base,
                        uint32_t step)
{
    bool has_row;
    for (;;) {
        if (!is_well(self, kade_step(statement, &has_row)))
            return false;
        if (!has_row)
            return true;
        uint32_t key = (uint32_t)kade_column_int64(statement, 0);
        list_keep(self->history, ops[(key - base) / step], kade_column_text(statement, 1, NULL));
    }
}

static bool list_read(worker *self, history_txn *txn, uint32_t key)
{
    history_op *op = history_op_add(self->history, txn, false, key);
    kade_statement *statement =
        test_random_below(&self->random, 6) == 0 ? self->read_locked : self->read;
    CHECK(kade_bind_int64(statement, 1, key) == KADE_OK);
    return lists_fetch(self, statement, &op, key, 1);
}

/* A predicate that two live keys match, whether they are there yet or not. */
static bool lists_scan(worker *self, history_txn *txn, uint32_t key)
{
    history_op *ops[2] = {history_op_add(self->history, txn, false, key),
                          history_op_add(self->history, txn, false, key + 4)};
    CHECK(kade_bind_int64(self->scan, 1, key % 4) == KADE_OK);
    CHECK(kade_bind_int64(self->scan, 2, key) == KADE_OK);
    CHECK(kade_bind_int64(self->scan, 3, key + 4) == KADE_OK);
    return lists_fetch(self, self->scan, ops, key, 4);
}

static bool list_operation(worker *self, history_txn *txn, uint32_t base)
{
    uint32_t key = base + (uint32_t)test_random_below(&self->random, LIVE_KEYS);
    uint64_t what = test_random_below(&self->random, 10);
    if (what < 5)
        return list_append(self, txn, key);
    if (what < 8 || txn->op_count + 2 > HISTORY_OPS_MAX || key + 4 >= self->history->key_count)
        return list_read(self, txn, key);
    return lists_scan(self, txn, key);
}

/* --- Operations on registers ------------------------------------------------------------------ */

static bool register_operation(worker *self, history_txn *txn)
{
    bool is_write = test_random_below(&self->random, 2) == 0, has_row = false;
    uint32_t key = (uint32_t)test_random_below(&self->random, REGISTERS);
    history_op *op = history_op_add(self->history, txn, is_write, key);
    kade_statement *statement = is_write ? self->set : self->get;
    CHECK(kade_bind_int64(statement, 1, key) == KADE_OK);
    CHECK(!is_write || kade_bind_int64(statement, 2, op->value) == KADE_OK);
    if (!is_well(self, kade_step(statement, &has_row)))
        return false;
    CHECK(has_row);
    uint32_t value = (uint32_t)kade_column_int64(statement, 0);
    if (is_write) {
        op->previous = value;
        return is_well(self, kade_step(statement, &has_row));
    }
    uint32_t *seen = history_values_add(self->history, 1, &op->first);
    CHECK(seen != NULL);
    *seen = value;
    op->size = 1;
    if (!is_well(self, kade_step(statement, &has_row)))
        return false;
    CHECK(!has_row); /* One row, whatever versions it has. */
    return true;
}

/* --- Transactions ----------------------------------------------------------------------------- */

static bool operations(worker *self, history_txn *txn, uint64_t count)
{
    uint32_t base = (uint32_t)(txn - self->history->txns) / TXNS_PER_STEP;
    for (uint64_t i = 0; i < count && txn->op_count < HISTORY_OPS_MAX; i++) {
        if (!(self->history->is_of_registers ? register_operation(self, txn)
                                             : list_operation(self, txn, base)))
            return false;
        if (count > 1)
            maybe_pause(self);
    }
    return true;
}

/* `txn` from its beginning to its end; its outcome. */
static history_outcome transaction(worker *self, history_txn *txn)
{
    if (test_random_below(&self->random, 4) == 0) { /* One statement, which commits itself. */
        atomic_store(&txn->outcome, HISTORY_COMMITTING);
        return operations(self, txn, 1) ? HISTORY_COMMITTED : HISTORY_ABORTED;
    }
    kit_run(self->session, "BEGIN ISOLATION LEVEL %s", level_names[self->level]);
    if (!operations(self, txn, 1 + test_random_below(&self->random, 5)) ||
        test_random_below(&self->random, 20) == 0) {
        kit_run(self->session, "ROLLBACK");
        return HISTORY_ABORTED;
    }
    atomic_store(&txn->outcome, HISTORY_COMMITTING);
    bool is_done = is_well(self, kade_execute(self->session, "COMMIT", KADE_NUL, NULL, NULL));
    if (kade_session_transaction(self->session) != KADE_TRANSACTION_NONE)
        kit_run(self->session, "ROLLBACK");
    return is_done ? HISTORY_COMMITTED : HISTORY_ABORTED;
}

static void work(void *object)
{
    worker *self = object;
    self->session = kit_connect(self->database);
    kit_run(self->session, "SET default_transaction_isolation = '%s'", level_names[self->level]);
    prepare_all(self);
    history_txn *txn;
    while ((txn = history_begin(self->history)) != NULL) {
        history_outcome outcome = transaction(self, txn);
        txn->ended = history_tick(self->history);
        atomic_store(&txn->outcome, outcome);
        if (test_random_below(&self->random, 500) == 0) /* Rows move to segments meanwhile. */
            kit_run(self->session, "%s",
                    test_random_below(&self->random, 2) == 0 ? "VACUUM" : "CHECKPOINT");
    }
    kade_disconnect(self->session);
}

static void work_together(history *it, history_level level, kade_database *database, uint64_t seed,
                          bool keeps_results)
{
    worker workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.history = it,
                              .level = level,
                              .database = database,
                              .keeps_results = keeps_results,
                              .random = {.state = seed * WORKERS + i + 1}};
        workers[i].thread = kit_thread_start(work, &workers[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        kit_thread_join(workers[i].thread);
}

/* --- Histories -------------------------------------------------------------------------------- */

static history *history_new(bool is_of_registers)
{
    history *it = history_create(is_of_registers,
                                 is_of_registers ? REGISTERS : TXNS / TXNS_PER_STEP + LIVE_KEYS,
                                 TXNS, VALUES);
    CHECK(it != NULL);
    return it;
}

static void tables_make(kade_database *database, bool is_of_registers)
{
    kade_session *session = kit_connect(database);
    if (is_of_registers) {
        kit_run(session, "CREATE TABLE registers (k int PRIMARY KEY, v int, previous int)");
        kit_run(session, "INSERT INTO registers SELECT i, 0, 0 FROM generate_series(0, %d) g (i)",
                REGISTERS - 1);
    } else {
        kit_run(session, "CREATE TABLE lists (k int PRIMARY KEY, part int, v int[] NOT NULL)");
    }
    kade_disconnect(session);
}

/* What the keys hold in the end. */
static void finals_read(history *it, kade_database *database)
{
    worker self = {.history = it, .database = database, .session = kit_connect(database)};
    kade_statement *statement =
        prepare(&self, it->is_of_registers ? "SELECT k, '{' || v || '}' FROM registers WHERE v <> 0"
                                           : "SELECT k, v FROM lists");
    bool has_row;
    while (is_well(&self, kade_step(statement, &has_row)) && has_row) {
        history_op op = {0};
        uint32_t key = (uint32_t)kade_column_int64(statement, 0);
        CHECK(key < it->key_count);
        list_keep(it, &op, kade_column_text(statement, 1, NULL));
        it->final_first[key] = op.first;
        it->final_size[key] = op.size;
    }
    kade_disconnect(self.session);
}

/* Fails for what the level forbids; adds what was found to `total`. */
static void judge(const history *it, history_level level, history_report *total)
{
    history_report report;
    CHECK(history_check(it, level, &report));
    for (unsigned i = 0; i < HISTORY_ANOMALIES; i++) {
        if (report.found[i] > 0 && history_forbids(level, (history_anomaly)i))
            test_fail(__FILE__, __LINE__, "%s: %u of %s: %s", level_names[level], report.found[i],
                      history_anomaly_names[i], report.first[i]);
        total->found[i] += report.found[i];
    }
    total->committed += report.committed;
    total->edges += report.edges;
}

static void total_tell(const history_report *total, history_level level)
{
    printf("%s: %u transactions took effect, %u dependencies", level_names[level], total->committed,
           total->edges);
    for (unsigned i = 0; i < HISTORY_ANOMALIES; i++) {
        if (total->found[i] > 0)
            printf(", %u of %s", total->found[i], history_anomaly_names[i]);
    }
    printf("\n");
}

static void results_keep(kade_database *database)
{
    kade_session *session = kit_connect(database);
    kit_run(session, "ALTER SYSTEM SET result_cache_bytes = '4MB'");
    kade_disconnect(session);
}

/* Answers come again from what is kept, where their tables have not changed. */
static void check_kept(kade_database *database)
{
    kade_session *session = kit_connect(database);
    worker self = {.session = session};
    kade_statement *statement = prepare(&self, "SELECT hits FROM kade_result_cache");
    bool has_row;
    CHECK(is_well(&self, kade_step(statement, &has_row)) && has_row);
    CHECK(kade_column_int64(statement, 0) > 0);
    kade_finalize(statement);
    kade_disconnect(session);
}

static void histories(bool is_of_registers, history_level level, bool keeps_results)
{
    history_report total = {0};
    uint64_t count = test_seed_count(200);
    for (uint64_t seed = 1; seed <= (count + 199) / 200; seed++) {
        test_note("history %llu", (unsigned long long)seed);
        kade_database *database = kit_open(":memory:", 0);
        history *it = history_new(is_of_registers);
        tables_make(database, is_of_registers);
        if (keeps_results)
            results_keep(database);
        work_together(it, level, database, seed, keeps_results);
        finals_read(it, database);
        if (keeps_results)
            check_kept(database);
        kade_close(database);
        judge(it, level, &total);
        history_destroy(it);
    }
    total_tell(&total, level);
    CHECK(total.committed > 0);
}

TEST(lists_at_read_committed_are_never_torn)
{
    histories(false, HISTORY_READ_COMMITTED, false);
}

TEST(lists_at_snapshot_form_no_cycle_that_snapshots_forbid)
{
    histories(false, HISTORY_SNAPSHOT, false);
}

TEST(lists_at_serializable_form_no_cycle)
{
    histories(false, HISTORY_SERIALIZABLE, false);
}

TEST(registers_at_read_committed_are_never_torn)
{
    histories(true, HISTORY_READ_COMMITTED, false);
}

TEST(registers_at_snapshot_form_no_cycle_that_snapshots_forbid)
{
    histories(true, HISTORY_SNAPSHOT, false);
}

TEST(registers_at_serializable_form_no_cycle)
{
    histories(true, HISTORY_SERIALIZABLE, false);
}

TEST(registers_at_read_committed_with_kept_results)
{
    histories(true, HISTORY_READ_COMMITTED, true);
}

TEST(registers_at_snapshot_with_kept_results)
{
    histories(true, HISTORY_SNAPSHOT, true);
}

TEST(lists_at_snapshot_with_kept_results)
{
    histories(false, HISTORY_SNAPSHOT, true);
}

/* --- Kills ------------------------------------------------------------------------------------ */

_Noreturn static void child(history *it, history_level level, uint64_t seed)
{
    kade_database *database = kit_open(test_path("db"), 0);
    work_together(it, level, database, seed, false);
    kade_close(database);
    _exit(0);
}

/* Children work on one history, each until it is killed some time after its first transaction; what
 * KILLS_MAX of them leave is done by one that is not killed. */
static uint32_t work_and_kill(history *it, history_level level, test_random *random)
{
    for (uint32_t kills = 0;; kills++) {
        uint32_t begun = atomic_load(&it->txn_count);
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            child(it, level, test_random_next(random));
        int how;
        pid_t ended = 0;
        while (ended == 0 && atomic_load(&it->txn_count) == begun && begun < it->txn_capacity) {
            kit_sleep_ms(2);
            ended = waitpid(pid, &how, WNOHANG);
        }
        if (kills < KILLS_MAX && ended == 0) {
            kit_sleep_ms((unsigned)(20 + test_random_below(random, 200)));
            (void)kill(pid, SIGKILL);
        }
        if (ended == 0)
            CHECK_EQ(waitpid(pid, &how, 0), pid);
        if (WIFEXITED(how)) {
            CHECK_EQ(WEXITSTATUS(how), 0);
            return kills;
        }
        (void)test_random_next(random);
    }
}

TEST(lists_survive_kills)
{
    history_report total = {0};
    uint64_t count = test_seed_count(200);
    uint32_t kills = 0;
    (void)test_directory();
    for (uint64_t seed = 1; seed <= (count + 199) / 200; seed++) {
        test_note("history %llu", (unsigned long long)seed);
        test_random random = {.state = seed};
        history_level level = (history_level)(seed % 3);
        history *it = history_new(false);
        kade_database *database = kit_open(test_path("db"), 0);
        kade_session *session = kit_connect(database);
        kit_run(session, "DROP TABLE IF EXISTS lists");
        kade_disconnect(session);
        tables_make(database, false);
        kade_close(database);
        kills += work_and_kill(it, level, &random);
        database = kit_open(test_path("db"), 0);
        finals_read(it, database);
        kade_close(database);
        judge(it, level, &total);
        history_destroy(it);
    }
    printf("%u kills; ", kills);
    total_tell(&total, HISTORY_SERIALIZABLE);
    CHECK(kills > 0);
}
