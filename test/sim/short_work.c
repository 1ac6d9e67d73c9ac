/*
 * See short_work.h.
 */
#include "short_work.h"

#include <stdio.h>
#include <string.h>

/* Each is one transaction or leaves all answers alone. '#' is the operation's place in the
 * workload. */
static const struct {
    const char *name, *sql;
} operations[] = {
    {"insert", "INSERT INTO t VALUES (10#, 1, 1, 'new #')"},
    {"update", "UPDATE t SET grp = grp + 1, txt = 'update #' WHERE id % 4 = 0"},
    {"delete", "DELETE FROM t WHERE id IN (SELECT min(id) FROM t UNION ALL SELECT max(id) FROM t)"},
    {"transaction",
     "BEGIN;INSERT INTO t VALUES (20#, 2, 2, 'kept');SAVEPOINT s;DELETE FROM t WHERE grp = 1;"
     "ROLLBACK TO s;UPDATE t SET parent = 2 WHERE parent = 1;INSERT INTO extra_log VALUES "
     "(20#);COMMIT"},
    {"parts",
     "BEGIN;INSERT INTO t SELECT 400 + 10 * # + i, 1, 1, repeat('part ', 40) FROM "
     "generate_series(0, 4) g (i);"
     "DELETE FROM t WHERE id = 24;CHECKPOINT;SAVEPOINT s;UPDATE t SET grp = 5 WHERE grp = 0;"
     "ROLLBACK TO s;UPDATE t SET grp = 4 WHERE id = 5;COMMIT"},
    {"rollback",
     "BEGIN;INSERT INTO t VALUES (30#, 2, 2, 'gone');DELETE FROM t WHERE grp = 0;ROLLBACK"},
    {"flush", "VACUUM"},
    {"checkpoint", "CHECKPOINT"},
    {"load", "COPY t FROM 'load#.csv' WITH (FORMAT csv)"},
    {"create index", "CREATE INDEX IF NOT EXISTS t_txt ON t (txt)"},
    {"drop index", "DROP INDEX IF EXISTS t_grp"},
    {"create table", "CREATE TABLE IF NOT EXISTS copied AS SELECT id, txt FROM t"},
    {"drop table", "DROP TABLE IF EXISTS extra"},
    {"number", "INSERT INTO t VALUES (1000 + nextval('numbers'), 0, 1, 'numbered')"},
    {"reopen", NULL},
    {"upsert", "INSERT INTO t SELECT i, 6, 1, 'upsert' FROM generate_series(10, 14) g (i)"
               " ON CONFLICT (id) DO UPDATE SET grp = excluded.grp"},
    {"merge",
     "MERGE INTO t USING (SELECT i FROM generate_series(11, 14) g (i)) n ON t.id = n.i WHEN "
     "MATCHED THEN"
     " UPDATE SET txt = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (n.i, 0, 1, 'merged')"},
    {"copy", "COPY t FROM STDIN WITH (FORMAT csv)"},
    {"lock",
     "BEGIN;SELECT id FROM t WHERE grp = 1 FOR UPDATE;UPDATE t SET grp = 3 WHERE grp = 1;COMMIT"},
    {"truncate", "TRUNCATE extra"},
    {"add column", "ALTER TABLE t ADD COLUMN more int NOT NULL DEFAULT 7"},
    {"add and drop column",
     "BEGIN;ALTER TABLE parent ADD COLUMN note text;UPDATE parent SET note = 'x';"
     "ALTER TABLE parent DROP COLUMN note;COMMIT"},
    {"unique index", "CREATE UNIQUE INDEX t_unique ON t (txt, id)"},
    {"check", "ALTER TABLE t ADD CONSTRAINT t_check CHECK (grp >= 0)"},
    {"partitions", "BEGIN;CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id);"
                   "CREATE TABLE low PARTITION OF whole FOR VALUES FROM (0) TO (10);"
                   "CREATE TABLE high PARTITION OF whole FOR VALUES FROM (10) TO (20);"
                   "INSERT INTO whole SELECT generate_series(5, 14);COMMIT"},
    {"cascade",
     "BEGIN;CREATE TABLE kid (id int PRIMARY KEY, up int REFERENCES extra ON DELETE CASCADE);"
     "INSERT INTO kid VALUES (1, 1), (2, 2);DELETE FROM extra WHERE id = 1;COMMIT"},
    {"inverted index",
     "BEGIN;CREATE TABLE doc (id int PRIMARY KEY, j jsonb);CREATE INDEX doc_j ON doc USING gin (j);"
     "INSERT INTO doc SELECT i, ('{\"k\": ' || i % 3 || '}')::jsonb FROM generate_series(1, 9) g "
     "(i);COMMIT"},
    {"view", "CREATE VIEW seen AS SELECT grp, count(*) AS n FROM t GROUP BY grp"},
    {"sort in files",
     "SET work_mem = '64kB';CREATE TABLE sorted AS SELECT a.id FROM t a, generate_series(1, 300) b"
     " ORDER BY md5(a.id || ' ' || b)"},
    {"set a number", "SELECT setval('numbers', 40)"},
    {"backup", "SELECT * FROM kade_backup('copies')"},
};
_Static_assert(sizeof operations / sizeof *operations == SHORT_OPERATIONS, "operations");

/* In a segment, in the delta, with marks on both, and the newest row in the log alone. */
static const char schema[] =
    "CREATE TABLE parent (id int PRIMARY KEY);INSERT INTO parent VALUES (1), (2);"
    "CREATE TABLE t (id int PRIMARY KEY, grp int, parent int REFERENCES parent, txt text);"
    "CREATE INDEX t_grp ON t (grp);CREATE SEQUENCE numbers;"
    "CREATE TABLE extra (id int PRIMARY KEY);INSERT INTO extra VALUES (1), (2);"
    "CREATE TABLE extra_log (id int PRIMARY KEY);"
    "INSERT INTO t SELECT i, i % 3, 1 + i % 2, 'old ' || i FROM generate_series(1, 12) g "
    "(i);VACUUM;"
    "INSERT INTO t SELECT i, i % 3, 1, 'later' FROM generate_series(20, 25) g (i);"
    "DELETE FROM t WHERE id IN (3, 21);UPDATE t SET txt = 'changed' WHERE id = 4;CHECKPOINT;"
    "INSERT INTO t VALUES (30, 1, 2, 'in the log')";

static const char *const loads[SHORT_PLACES] = {
    "5000,1,1,loaded\n5001,2,2,loaded\n5002,0,,loaded\n",
    "5100,1,1,loaded\n5101,2,2,loaded\n",
    "5200,1,,\n",
};

/* What is asked in each state. The condition says of which relation it is: absent ones are not
 * asked. */
static const struct {
    const char *relation, *sql;
} questions[] = {
    {"t", "SELECT id, grp, parent, txt FROM t ORDER BY id"},
    {"t", "SELECT id FROM t WHERE grp = 1 ORDER BY id"},
    {"t", "SELECT txt FROM t WHERE id = 4"},
    {"t_grp", "SELECT 't_grp'"},
    {"t_txt", "SELECT id FROM t WHERE txt = 'later' ORDER BY id"},
    {"extra", "SELECT id FROM extra ORDER BY id"},
    {"extra_log", "SELECT id FROM extra_log ORDER BY id"},
    {"copied", "SELECT id, txt FROM copied ORDER BY id"},
    {"t_unique", "SELECT 't_unique'"},
    {"whole", "SELECT id FROM whole ORDER BY id"},
    {"high", "SELECT id FROM high ORDER BY id"},
    {"kid", "SELECT id, up FROM kid ORDER BY id"},
    {"doc", "SELECT id FROM doc WHERE j @> '{\"k\": 1}' ORDER BY id"},
    {"seen", "SELECT grp, n FROM seen ORDER BY grp"},
    {"sorted", "SELECT count(*), sum(id) FROM sorted"},
};

static void load_make(kd_ctx *ctx, unsigned place)
{
    kd_file *file;
    char path[16];
    const char *text = loads[place];
    kd_world *world = ctx->world;
    (void)snprintf(path, sizeof path, "load%u.csv", place);
    CHECK_STATUS(ctx, world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(ctx, world->file_write(ctx, file, 0, text, strlen(text)));
    CHECK_STATUS(ctx, world->file_sync(ctx, file));
    world->file_close(world, file);
    CHECK_STATUS(ctx, world->directory_sync(ctx, "."));
}

sim_disk *short_work_base(void)
{
    sim_session it = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    for (unsigned i = 0; i < SHORT_PLACES; i++)
        load_make(&ctx, i);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &it));
    CHECK_STATUS(sim_session_ctx(&it), sim_script(&it, schema));
    sim_crash(sim);
    kd_database_abandon(it.database);
    sim_destroy(sim);
    return disk;
}

const char *short_operation_name(unsigned operation)
{
    return operations[operation].name;
}

static kd_status reopen(kd_ctx *ctx, sim_session *it)
{
    kd_database *closed = it->database;
    it->database = NULL;
    it->session = NULL;
    KD_TRY(kd_database_close(ctx, closed));
    return sim_session_open(ctx, it);
}

kd_status short_work_do(kd_ctx *ctx, sim_session *it, unsigned operation, unsigned place)
{
    char sql[1024];
    if (operations[operation].sql == NULL)
        return reopen(ctx, it);
    int length = snprintf(sql, sizeof sql, "%s", operations[operation].sql);
    CHECK((size_t)length < sizeof sql);
    for (char *at = strchr(sql, '#'); at != NULL; at = strchr(sql, '#'))
        *at = (char)('0' + place);
    it->copy_rows = "700,1,1,copied\n701,2,2,copied\n";
    kd_status status = sim_script(it, sql);
    if (status != KD_OK)
        ctx->error = sim_session_ctx(it)->error;
    return status;
}

static bool relation_exists(sim_session *it, const char *name)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_class WHERE relname = '%s'", name);
    return sim_number(it, sql) == 1;
}

kd_slice short_work_answers(sim_session *it, kd_arena *arena)
{
    kd_ctx *ctx = sim_session_ctx(it);
    kd_buffer text = kd_buffer_in(arena);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (!relation_exists(it, questions[i].relation))
            continue;
        CHECK_STATUS(ctx, kd_buffer_append_format(ctx, &text, "%s:\n", questions[i].sql));
        CHECK_STATUS(ctx, sim_statement(it, kd_slice_of(questions[i].sql), &text));
    }
    return kd_buffer_slice(&text);
}

static void must_fail(sim_session *it, const char *sql, const char *sqlstate)
{
    CHECK_FAILS(sim_session_ctx(it), sim_statement(it, kd_slice_of(sql), NULL), sqlstate);
}

void short_work_constraints(sim_session *it)
{
    kd_ctx *ctx = sim_session_ctx(it);
    must_fail(it, "INSERT INTO t SELECT id, 0, 1, 'twice' FROM t WHERE id < 100", "23505");
    must_fail(it, "INSERT INTO t VALUES (900, 0, 99, 'no parent')", "23503");
    must_fail(it, "DELETE FROM parent", "23503");
    CHECK_EQ(sim_number(it, "SELECT count(*) FROM t WHERE id >= 1000 AND id < 5000 AND"
                            " id >= 1000 + (SELECT nextval('numbers'))"),
             0);
    int64_t count = sim_number(it, "SELECT count(*) FROM t");
    CHECK_STATUS(ctx, sim_script(it, "INSERT INTO t VALUES (901, 1, 1, 'after the crash')"));
    CHECK_EQ(sim_number(it, "SELECT count(*) FROM t"), count + 1);
    CHECK_EQ(sim_number(it, "SELECT grp FROM t WHERE id = 901"), 1);
}
