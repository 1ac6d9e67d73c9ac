/*
 * The child that is killed: sessions that write all the time, and one that flushes, compacts
 * and checkpoints beside them.
 */
#include "kill_engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct worker {
    kade_session *session;
    test_random random;
    uint32_t thread, number;
    int64_t id;      /* Of the transaction's journal row. */
    bool is_refused; /* The disk refused a question of this transaction. */
} worker;

static kade_database *database;
static kill_load load;

static const char schema[] =
    "BEGIN;"
    /* Keys over all partitions; a row moves when it loses its parts. */
    "CREATE TABLE journal (id bigint PRIMARY KEY, cycle integer NOT NULL, thread integer NOT NULL,"
    "    number integer NOT NULL, kind text NOT NULL, parts integer NOT NULL CHECK (parts >= 0),"
    "    UNIQUE (cycle, thread, number)) PARTITION BY RANGE (parts);"
    "CREATE TABLE journal_none PARTITION OF journal FOR VALUES FROM (MINVALUE) TO (1);"
    "CREATE TABLE journal_some PARTITION OF journal FOR VALUES FROM (1) TO (MAXVALUE);"
    "CREATE VIEW upserts AS SELECT cycle, count(*) AS n FROM journal WHERE kind = 'upsert'"
    "    GROUP BY cycle;"
    "CREATE TABLE part (journal_id bigint NOT NULL REFERENCES journal (id) ON DELETE CASCADE,"
    "    no integer NOT NULL, body text NOT NULL, PRIMARY KEY (journal_id, no));"
    "CREATE TABLE account (id integer PRIMARY KEY,"
    "    amount bigint NOT NULL CHECK (amount > -1000000000));"
    "CREATE TABLE hot (cycle integer, key integer, n bigint NOT NULL, PRIMARY KEY (cycle, key));"
    "CREATE TABLE mine (thread integer, no integer, number bigint NOT NULL, PRIMARY KEY (thread, "
    "no));"
    "CREATE INDEX mine_number ON mine (number);"
    "CREATE TABLE bulk (batch bigint NOT NULL, no integer NOT NULL, x double precision NOT NULL,"
    "    name text NOT NULL, PRIMARY KEY (batch, no));"
    "CREATE INDEX bulk_name ON bulk (name);"
    "CREATE TABLE upto (i integer NOT NULL);" /* 1 .. 4096 */
    "INSERT INTO upto VALUES (1);"
    "CREATE TABLE flag (thread integer, name text, value integer NOT NULL,"
    "    PRIMARY KEY (thread, name));";

/* Whether the disk's fault, where one is expected, made it fail. */
static bool disk_failed(const kade_error *error)
{
    static const char *const sqlstates[] = {
        "58030", /* It could not be written, or the log has failed before. */
        "53100", /* It is full. */
        "42501", /* The file system has made itself read-only. */
    };
    for (size_t i = 0; i < sizeof sqlstates / sizeof *sqlstates; i++)
        if (load.disk_may_fail && strcmp(error->sqlstate, sqlstates[i]) == 0)
            return true;
    return false;
}

/* Ends the process: the parent sees that it was no kill. */
static void die(kade_session *session, const char *what)
{
    const kade_error *error = kade_session_error(session);
    if (disk_failed(error))
        _exit(0);
    fprintf(stderr, "load: %.400s: %s %s (%s)\n", what, error->sqlstate, error->message,
            error->detail);
    _exit(9);
}

static void must(kade_session *session, const char *sql)
{
    if (kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
        die(session, sql);
}

static void schema_create(kade_session *session)
{
    char sql[512];
    if (kit_has_relation(session, "flag"))
        return;
    must(session, schema);
    for (int count = 1; count < 4096; count *= 2) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO upto SELECT i + %d FROM upto", count);
        must(session, sql);
    }
    (void)snprintf(sql, sizeof sql, "INSERT INTO account SELECT i, %d FROM upto WHERE i <= %d",
                   ACCOUNT_START, ACCOUNTS);
    must(session, sql);
    for (int thread = 0; thread < LOAD_THREADS; thread++) {
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO mine SELECT %d, i, 0 FROM upto WHERE i <= %d;"
            "INSERT INTO flag VALUES (%d, 'index', 0), (%d, 'table', 0), (%d, 'column', 0);"
            "CREATE TABLE wide_%d (id integer PRIMARY KEY, note text);"
            "INSERT INTO wide_%d SELECT i, 'note ' || i FROM upto WHERE i <= 50;",
            thread, MINE_ROWS, thread, thread, thread, thread, thread);
        must(session, sql);
    }
    must(session, "COMMIT");
}

/* Runs a script; true when it committed. Losing to another transaction is no failure. A disk that
 * has failed is asked again: whatever is acknowledged after it has to be there as well. */
static bool attempt(worker *self, const char *sql)
{
    if (kade_execute(self->session, sql, KADE_NUL, NULL, NULL) == KADE_OK)
        return true;
    const char *sqlstate = kade_session_error(self->session)->sqlstate;
    if (disk_failed(kade_session_error(self->session)))
        kit_sleep_ms(2);
    else if (strcmp(sqlstate, "40001") != 0 && strcmp(sqlstate, "40P01") != 0)
        die(self->session, sql);
    if (kade_session_transaction(self->session) != KADE_TRANSACTION_NONE)
        must(self->session, "ROLLBACK");
    return false;
}

/* The number that a query gives; 0, and `is_refused`, where the disk refused it. */
__attribute__((format(printf, 2, 3))) static int64_t ask(worker *self, const char *format, ...)
{
    char sql[KIT_SQL_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    kade_statement *statement = NULL;
    bool has_row = false;
    int64_t value = 0;
    if (kade_prepare(self->session, sql, KADE_NUL, &statement) == KADE_OK &&
        kade_step(statement, &has_row) == KADE_OK)
        value = kade_column_int64(statement, 0);
    else if (disk_failed(kade_session_error(self->session)))
        self->is_refused = true;
    else
        die(self->session, sql);
    kade_finalize(statement);
    return value;
}

static int64_t flag_value(worker *self, const char *name)
{
    return ask(self, "SELECT value FROM flag WHERE thread = %u AND name = '%s'", self->thread,
               name);
}

/* "INSERT INTO journal ..." of the worker's next transaction. */
static const char *journal_row(worker *self, const char *kind, unsigned parts)
{
    static _Thread_local char sql[256];
    (void)snprintf(sql, sizeof sql, "INSERT INTO journal VALUES (%lld, %u, %u, %u, '%s', %u);",
                   (long long)self->id, load.cycle, self->thread, self->number, kind, parts);
    return sql;
}

static unsigned below(worker *self, unsigned bound)
{
    return (unsigned)test_random_below(&self->random, bound);
}

/* --- Transactions, by kind: each builds a script --------------------------------------------- */

static void single(worker *self, char *sql)
{
    (void)snprintf(sql, KIT_SQL_BYTES, "%s", journal_row(self, "single", 0));
}

static void with_parts(worker *self, char *sql)
{
    unsigned parts = 1 + below(self, 6);
    int at = snprintf(sql, KIT_SQL_BYTES, "BEGIN; %s", journal_row(self, "parts", parts));
    for (unsigned i = 0; i < parts; i++)
        at += snprintf(sql + at, (size_t)(KIT_SQL_BYTES - at),
                       "INSERT INTO part VALUES (%lld, %u, repeat('body', %u));",
                       (long long)self->id, i, below(self, 40));
    (void)snprintf(sql + at, (size_t)(KIT_SQL_BYTES - at), "COMMIT");
}

static void transfer(worker *self, char *sql)
{
    unsigned amount = below(self, 50), from = 1 + below(self, ACCOUNTS),
             to = 1 + below(self, ACCOUNTS);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; UPDATE account SET amount = amount - %u WHERE id = %u;"
                   "UPDATE account SET amount = amount + %u WHERE id = %u; %s COMMIT",
                   amount, from, amount, to, journal_row(self, "transfer", 0));
}

static void upsert(worker *self, char *sql)
{
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; INSERT INTO hot VALUES (%u, %u, 1)"
                   " ON CONFLICT (cycle, key) DO UPDATE SET n = hot.n + 1; %s COMMIT",
                   load.cycle, below(self, 5), journal_row(self, "upsert", 0));
}

static void all_mine(worker *self, char *sql)
{
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; UPDATE mine SET number = %lld WHERE thread = %u; %s COMMIT",
                   (long long)self->id, self->thread, journal_row(self, "mine", 0));
}

static void bulk(worker *self, char *sql)
{
    unsigned rows = 1000 + below(self, BULK_ROWS);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; %s INSERT INTO bulk SELECT %lld, i, i * 0.5, 'name ' || i %% 97"
                   " FROM upto WHERE i <= %u; COMMIT",
                   journal_row(self, "bulk", rows), (long long)self->id, rows);
}

static void unbulk(worker *self, char *sql)
{
    int64_t batch = ask(self,
                        "SELECT coalesce(min(id), 0) FROM journal WHERE thread = %u"
                        " AND kind = 'bulk' AND parts > 0",
                        self->thread);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; DELETE FROM bulk WHERE batch = %lld;"
                   "UPDATE journal SET parts = 0 WHERE id = %lld; %s COMMIT",
                   (long long)batch, (long long)batch, journal_row(self, "unbulk", 0));
}

static void index_toggle(worker *self, char *sql)
{
    bool is_there = flag_value(self, "index") != 0;
    char statement[128];
    if (is_there)
        (void)snprintf(statement, sizeof statement, "DROP INDEX mine_%u", self->thread);
    else
        (void)snprintf(statement, sizeof statement, "CREATE INDEX mine_%u ON mine (no, number)",
                       self->thread);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; %s; UPDATE flag SET value = %d WHERE thread = %u AND name = 'index';"
                   "%s COMMIT",
                   statement, !is_there, self->thread, journal_row(self, "index", 0));
}

static void table_toggle(worker *self, char *sql)
{
    bool is_there = flag_value(self, "table") != 0;
    char statements[256];
    if (is_there)
        (void)snprintf(statements, sizeof statements, "DROP TABLE side_%u", self->thread);
    else
        (void)snprintf(statements, sizeof statements,
                       "CREATE TABLE side_%u (a integer PRIMARY KEY, b text UNIQUE);"
                       "INSERT INTO side_%u SELECT i, 'b' || i FROM upto WHERE i <= 20",
                       self->thread, self->thread);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; %s; UPDATE flag SET value = %d WHERE thread = %u AND name = 'table';"
                   "%s COMMIT",
                   statements, !is_there, self->thread, journal_row(self, "table", 0));
}

/* Columns c1, c2, ... of wide_N, whose default is their number; from the sixth on they go again. */
static void column_step(worker *self, char *sql)
{
    int count = (int)flag_value(self, "column");
    char statement[128];
    bool adds = count < 6 && below(self, 3) != 0;
    if (count == 0 || adds)
        (void)snprintf(statement, sizeof statement,
                       "ALTER TABLE wide_%u ADD COLUMN c%d integer NOT NULL DEFAULT %d",
                       self->thread, count + 1, count + 1);
    else
        (void)snprintf(statement, sizeof statement, "ALTER TABLE wide_%u DROP COLUMN c%d",
                       self->thread, count);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; %s; UPDATE wide_%u SET note = 'changed' WHERE id = %u;"
                   "UPDATE flag SET value = %d WHERE thread = %u AND name = 'column'; %s COMMIT",
                   statement, self->thread, 1 + below(self, 50),
                   count == 0 || adds ? count + 1 : count - 1, self->thread,
                   journal_row(self, "column", 0));
}

static void with_savepoint(worker *self, char *sql)
{
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; %s SAVEPOINT s; INSERT INTO part VALUES (%lld, 99, 'never');"
                   "UPDATE account SET amount = amount + 1 WHERE id = 1; ROLLBACK TO s;"
                   "INSERT INTO part VALUES (%lld, 0, 'kept'), (%lld, 1, 'kept'); COMMIT",
                   journal_row(self, "savepoint", 2), (long long)self->id, (long long)self->id,
                   (long long)self->id);
}

static void part_delete(worker *self, char *sql)
{
    int64_t id = ask(self,
                     "SELECT coalesce(min(id), 0) FROM journal WHERE thread = %u"
                     " AND kind = 'parts' AND parts > 0",
                     self->thread);
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; DELETE FROM part WHERE journal_id = %lld;"
                   "UPDATE journal SET parts = 0 WHERE id = %lld; %s COMMIT",
                   (long long)id, (long long)id, journal_row(self, "unpart", 0));
}

static void forget_old(worker *self, char *sql)
{
    int oldest = (int)load.cycle - CYCLES_KEPT + 1;
    (void)snprintf(sql, KIT_SQL_BYTES,
                   "BEGIN; DELETE FROM bulk WHERE batch IN"
                   " (SELECT id FROM journal WHERE cycle < %d AND thread = %u);"
                   "DELETE FROM journal WHERE cycle < %d AND thread = %u; %s COMMIT",
                   oldest, self->thread, oldest, self->thread, journal_row(self, "forget", 0));
}

/* --- The worker's life ------------------------------------------------------------------------ */

typedef void (*kind_fn)(worker *self, char *sql);
static const struct {
    kind_fn fn;
    unsigned weight;
} kinds[] = {{single, 20},      {with_parts, 15}, {transfer, 20},      {upsert, 12},
             {all_mine, 8},     {bulk, 4},        {unbulk, 3},         {index_toggle, 1},
             {table_toggle, 2}, {column_step, 2}, {with_savepoint, 5}, {part_delete, 4}};

static kind_fn choose(worker *self)
{
    unsigned total = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        total += kinds[i].weight;
    unsigned drawn = below(self, total);
    size_t i = 0;
    while (drawn >= kinds[i].weight)
        drawn -= kinds[i++].weight;
    return kinds[i].fn;
}

static void acknowledge(worker *self)
{
    acknowledgement ack = {load.cycle, self->thread, self->number};
    if (write(load.ack_file, &ack, sizeof ack) != sizeof ack)
        _exit(8);
}

static void number_set(worker *self, uint32_t number)
{
    self->number = number;
    self->id = ((int64_t)load.cycle * LOAD_THREADS + self->thread) * NUMBER_MAX + number;
}

static void worker_run(void *object)
{
    worker *self = object;
    char sql[KIT_SQL_BYTES];
    number_set(self, load.first_number);
    while (self->number < NUMBER_MAX) {
        self->is_refused = false;
        if (self->number == 1)
            forget_old(self, sql);
        else
            choose(self)(self, sql);
        if (self->is_refused) {
            kit_sleep_ms(2);
        } else if (attempt(self, sql)) {
            acknowledge(self);
            number_set(self, self->number + 1);
        }
        if (below(self, 20) == 0) {
            (void)snprintf(sql, sizeof sql,
                           "BEGIN; %s UPDATE account SET amount = 0 WHERE id = %u;"
                           "ROLLBACK",
                           journal_row(self, "never", 0), 1 + below(self, ACCOUNTS));
            (void)attempt(self, sql);
        }
    }
}

static void upkeep_run(void *object)
{
    worker *self = object;
    for (;;) {
        kit_sleep_ms(below(self, 150));
        const char *sql = below(self, 2) == 0 ? "VACUUM" : "CHECKPOINT";
        if (kade_execute(self->session, sql, KADE_NUL, NULL, NULL) != KADE_OK &&
            !disk_failed(kade_session_error(self->session)))
            die(self->session, sql);
    }
}

static void database_open(void)
{
    kade_open_options options = {.struct_bytes = sizeof options,
                                 .memory_budget_bytes = (uint64_t)256 << 20};
    kade_error *error;
    if (kade_open(load.directory, KADE_NUL, &options, &database, &error) == KADE_OK)
        return;
    if (disk_failed(error))
        _exit(0);
    fprintf(stderr, "load: opening: %s %s\n", error->sqlstate, error->message);
    _exit(9);
}

void kill_engine_load(const kill_load *given)
{
    static worker workers[LOAD_THREADS + 1];
    load = *given;
    database_open();
    for (uint32_t i = 0; i <= LOAD_THREADS; i++)
        workers[i] = (worker){
            .session = kit_connect(database), .random = {load.seed + i * 7919}, .thread = i};
    schema_create(workers[0].session);
    for (uint32_t i = 0; i < LOAD_THREADS; i++)
        (void)kit_thread_start(worker_run, &workers[i]);
    upkeep_run(&workers[LOAD_THREADS]);
    _exit(0);
}
