/*
 * Damage is told whole: several flips in several files, each with its file, table, column and rows;
 * what is not damaged is read as before.
 */
#include "test.h"

#include "base/world_memory.h"
#include "engine/database.h"
#include "engine/statement.h"

#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 64, PATH_BYTES = 128, TEXT_BYTES = 4096 };

static kd_world *world;

typedef struct lab {
    kd_ctx ctx;
    kd_database *database;
    kd_session *session;
    bool read_only, has_background;
    char notice[256];      /* The last. */
    char text[TEXT_BYTES]; /* Of the last answer: rows in lines, NULL as "-". */
    char paths[FILES_MAX][PATH_BYTES];
    size_t path_count;
} lab;

/* --- Statements ------------------------------------------------------------------------------ */

static void row_append(lab *it, const kd_batch *batch, uint32_t row)
{
    size_t used = strlen(it->text);
    for (uint32_t i = 0; i < batch->column_count; i++) {
        kd_value value = kd_vector_get(&batch->columns[i], row);
        kd_slice text = kd_str_slice(&value.as.str);
        used += (size_t)snprintf(it->text + used, sizeof it->text - used, "%s%.*s",
                                 i > 0 ? "|" : "", value.is_null ? 1 : (int)text.size_bytes,
                                 value.is_null ? "-" : text.data);
        CHECK(used < sizeof it->text);
    }
    (void)snprintf(it->text + used, sizeof it->text - used, "\n");
}

/* The columns are texts. */
static kd_status run(lab *it, const char *sql)
{
    kd_ctx *ctx = kd_session_ctx(it->session);
    kd_prepared *prepared;
    kd_run *one;
    it->text[0] = '\0';
    kd_error_clear(ctx);
    kd_status status = kd_prepared_create(ctx, it->session, kd_slice_of(sql), NULL, 0, &prepared);
    if (status != KD_OK)
        return status;
    status = kd_run_begin(ctx, prepared, NULL, 0, &one);
    for (bool is_end = false; status == KD_OK && !is_end;) {
        kd_batch batch;
        status = kd_run_next(ctx, one, &batch, &is_end);
        for (uint32_t i = 0; status == KD_OK && !is_end && i < batch.selected_count; i++)
            row_append(it, &batch, kd_batch_row(&batch, i));
        if (status != KD_OK)
            kd_run_abandon(one);
        else if (is_end)
            status = kd_run_end(ctx, one);
    }
    kd_prepared_destroy(prepared);
    return status;
}

static void must(lab *it, const char *sql)
{
    CHECK_STATUS(kd_session_ctx(it->session), run(it, sql));
}

static void answers(lab *it, const char *sql, const char *expected)
{
    must(it, sql);
    CHECK_TEXT(it->text, expected);
}

/* --- The database ----------------------------------------------------------------------------- */

static void notice_note(void *object, const char *severity, const char *sqlstate,
                        const char *message, const char *detail)
{
    lab *it = object;
    (void)detail;
    (void)snprintf(it->notice, sizeof it->notice, "%s %s %s", severity, sqlstate, message);
}

static kd_status lab_open(lab *it)
{
    kd_database_options options = {.memory_budget_bytes = (uint64_t)64 << 20,
                                   .worker_count = 1,
                                   .no_background = !it->has_background,
                                   .read_only = it->read_only,
                                   .wal_file_bytes = 64 << 10};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    const kd_session_hooks hooks = {.object = it, .notice = notice_note};
    KD_TRY(kd_database_open(&it->ctx, "db", &options, &it->database));
    KD_TRY(kd_session_open(&it->ctx, it->database, &session_options, &it->session));
    kd_session_set_hooks(it->session, &hooks);
    return KD_OK;
}

static void lab_close(lab *it)
{
    CHECK_STATUS(&it->ctx, kd_database_close(&it->ctx, it->database));
    it->database = NULL;
}

static kd_status path_note(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    lab *it = object;
    if (entry->is_directory)
        return KD_OK;
    CHECK(it->path_count < FILES_MAX);
    (void)snprintf(it->paths[it->path_count++], PATH_BYTES, "db/units/%s", entry->name);
    return KD_OK;
}

static void lab_start(lab *it)
{
    *it = (lab){.ctx = test_ctx()};
    world = kd_world_memory_create(&it->ctx, it->ctx.world);
    CHECK(world != NULL);
    it->ctx.world = world;
    CHECK_STATUS(&it->ctx, lab_open(it));
    must(it, "CREATE TABLE a (id integer PRIMARY KEY, x double precision, s text)");
    must(it, "CREATE INDEX a_s ON a (s)");
    must(it, "CREATE TABLE b (id integer PRIMARY KEY, x integer)");
    must(it, "INSERT INTO a SELECT i, sqrt(i), 'text ' || i FROM generate_series(1, 40000) g (i)");
    must(it, "INSERT INTO b SELECT i, i * 7 % 1000 FROM generate_series(1, 40000) g (i)");
    must(it, "VACUUM");
    must(it, "INSERT INTO b VALUES (-1, -1)");
    must(it, "CHECKPOINT");
    lab_close(it);
    CHECK_STATUS(&it->ctx, world->directory_list(&it->ctx, "db/units", path_note, it));
}

static void lab_end(lab *it)
{
    if (it->database != NULL)
        kd_database_abandon(it->database);
    kd_world_memory_destroy(world);
}

static uint64_t file_bytes(lab *it, const char *path)
{
    kd_file *file;
    uint64_t size_bytes;
    CHECK_STATUS(&it->ctx, world->file_open(&it->ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(&it->ctx, world->file_size(&it->ctx, file, &size_bytes));
    world->file_close(world, file);
    return size_bytes;
}

static void flip(lab *it, const char *path, uint64_t offset)
{
    kd_file *file;
    uint8_t byte;
    size_t got;
    CHECK_STATUS(&it->ctx, world->file_open(&it->ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(&it->ctx, world->file_read(&it->ctx, file, offset, &byte, 1, &got));
    CHECK_EQ(got, 1);
    byte ^= 0x10;
    CHECK_STATUS(&it->ctx, world->file_write(&it->ctx, file, offset, &byte, 1));
    world->file_close(world, file);
}

/* The largest file of the kind whose size is below `below`. */
static const char *largest(lab *it, const char *suffix, uint64_t below, uint64_t *out_bytes)
{
    const char *found = NULL;
    *out_bytes = 0;
    for (size_t i = 0; i < it->path_count; i++) {
        size_t length = strlen(it->paths[i]);
        uint64_t bytes = file_bytes(it, it->paths[i]);
        if (strcmp(it->paths[i] + length - strlen(suffix), suffix) != 0 || bytes >= below ||
            bytes <= *out_bytes)
            continue;
        found = it->paths[i];
        *out_bytes = bytes;
    }
    CHECK(found != NULL);
    return found;
}

#define DAMAGES "SELECT count(*)::text FROM kade_check() WHERE severity = 'damage'"

/* --- Checks ----------------------------------------------------------------------------------- */

TEST(a_check_tells_every_damage_with_its_place)
{
    lab it;
    uint64_t of_a, of_b, of_run;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    const char *b = largest(&it, ".seg", of_a, &of_b);
    const char *index = largest(&it, ".run", UINT64_MAX, &of_run);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, "SELECT count(*)::text FROM kade_check()", "0\n");
    lab_close(&it);
    flip(&it, a, 200);
    flip(&it, a, of_a / 2);
    flip(&it, b, 200);
    flip(&it, index, of_run / 2);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, DAMAGES, "4\n");
    answers(&it,
            "SELECT table_name, count(*)::text, count(DISTINCT file)::text, min(row_count)::text"
            " FROM kade_check() WHERE severity = 'damage' AND file LIKE '%.seg'"
            " GROUP BY 1 ORDER BY 1",
            "a|2|1|16384\nb|1|1|16384\n");
    answers(&it,
            "SELECT table_name, index_name, (problem LIKE '%checksum mismatch%')::text"
            " FROM kade_check() WHERE severity = 'damage' AND file LIKE '%.run'",
            "a|a_s|true\n");
    answers(&it,
            "SELECT DISTINCT c.table_name, (c.column_name = ANY (ARRAY['id', 'x', 's']))::text"
            " FROM kade_check() c WHERE file LIKE '%.seg' AND first_row % 16384 = 0"
            " AND size_bytes > 0 ORDER BY 1",
            "a|true\nb|true\n");
    lab_end(&it);
}

/* Whatever byte flips in a segment or a run is found, or is one of those that nothing reads. */
TEST(a_check_finds_flips_anywhere_in_stored_blocks)
{
    lab it;
    uint64_t size_bytes;
    lab_start(&it);
    for (int kind = 0; kind < 2; kind++) {
        const char *path = largest(&it, kind == 0 ? ".seg" : ".run", UINT64_MAX, &size_bytes);
        CHECK_STATUS(&it.ctx, lab_open(&it));
        for (uint64_t i = 0; i < 40; i++) {
            uint64_t at = size_bytes / 2 / 40 * i;
            test_note("byte %llu of %s", (unsigned long long)at, path);
            flip(&it, path, at);
            answers(&it, DAMAGES, "1\n");
            flip(&it, path, at);
        }
        flip(&it, path, size_bytes - 1); /* The trailer. */
        answers(&it, DAMAGES, "1\n");
        flip(&it, path, size_bytes - 1);
        answers(&it, DAMAGES, "0\n");
        lab_close(&it);
    }
    lab_end(&it);
}

TEST(files_are_checked_where_the_database_does_not_open)
{
    lab it;
    uint64_t of_a;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    flip(&it, a, 200);
    flip(&it, "db/ROOT", 70);
    CHECK_EQ(lab_open(&it), KD_CORRUPT);
    kd_error_clear(&it.ctx);
    kd_database_options options = {.memory_budget_bytes = (uint64_t)64 << 20, .worker_count = 1};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    CHECK_STATUS(&it.ctx, kd_database_open(&it.ctx, "other", &options, &it.database));
    CHECK_STATUS(&it.ctx, kd_session_open(&it.ctx, it.database, &session_options, &it.session));
    answers(&it, "SELECT count(*)::text FROM kade_check_files('db') WHERE severity = 'damage'",
            "2\n");
    answers(&it, "SELECT file FROM kade_check_files('db') WHERE severity = 'damage' LIMIT 1",
            "ROOT\n");
    flip(&it, "db/ROOT", 70);
    answers(&it, "SELECT count(*)::text FROM kade_check_files('db')", "1\n");
    CHECK_EQ(run(&it, "SELECT * FROM kade_check_files('nowhere')"), KD_INVALID);
    lab_end(&it);
}

/* --- What is not damaged is there ------------------------------------------------------------- */

static void fails_naming(lab *it, const char *sql, const char *name)
{
    CHECK_EQ(run(it, sql), KD_CORRUPT);
    const kd_error *error = &kd_session_ctx(it->session)->error;
    CHECK_TEXT(error->sqlstate, "XX001");
    if (strstr(error->message, name) == NULL)
        test_fail(__FILE__, __LINE__, "%s is not named: %s", name, error->message);
}

/* The number of a table's segments; `it` is closed. */
static const char *segment_name(const char *path)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "%s", strrchr(path, '/') + 1);
    return name;
}

TEST(a_damaged_block_takes_only_its_rows_and_column)
{
    lab it;
    uint64_t of_a;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    flip(&it, a, of_a / 2);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    must(&it, "SELECT column_name || ' ' || first_row FROM kade_check() WHERE file IS NOT NULL");
    const char *damaged = it.text[0] == 'i' ? "id" : it.text[0] == 'x' ? "x" : "s";
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(%s)::text FROM a", damaged);
    fails_naming(&it, sql, segment_name(a));
    must(&it,
         strcmp(damaged, "s") == 0 ? "SELECT sum(id)::text FROM a" : "SELECT max(s)::text FROM a");
    answers(&it, "SELECT count(*)::text FROM b", "40001\n");
    must(&it, "SET skip_damaged_rows = on");
    must(&it, sql);
    CHECK(strcmp(it.text, "23616\n") == 0 || strcmp(it.text, "32768\n") == 0);
    CHECK(strstr(it.notice, "WARNING XX001") == it.notice);
    CHECK(strstr(it.notice, "rows in 1 damaged blocks were left out") != NULL);
    must(&it, "CREATE TABLE rescued AS SELECT * FROM a");
    must(&it, "SELECT (count(*) > 23000)::text FROM rescued");
    CHECK_TEXT(it.text, "true\n");
    CHECK_EQ(run(&it, "UPDATE a SET x = length(s) + id"), KD_CORRUPT);
    must(&it, "SET skip_damaged_rows = off");
    fails_naming(&it, sql, segment_name(a));
    must(&it, "CHECKPOINT");
    lab_end(&it);
}

TEST(compaction_leaves_a_damaged_segment_where_it_is)
{
    lab it;
    uint64_t of_a;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    flip(&it, a, of_a / 2);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    must(&it, "DELETE FROM a WHERE id <= 16384"); /* The damaged block is the second. */
    must(&it, "DELETE FROM b WHERE id % 2 = 0");
    fails_naming(&it, "VACUUM", segment_name(a));
    must(&it, "VACUUM");
    answers(&it, "SELECT count(*)::text FROM a", "23616\n");
    answers(&it, "SELECT count(*)::text FROM b", "20001\n");
    answers(&it, "SELECT count(DISTINCT file)::text FROM kade_damage()", "1\n");
    lab_end(&it);
}

TEST(a_database_opens_without_one_of_its_segments)
{
    lab it;
    uint64_t of_a;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    CHECK_STATUS(&it.ctx, world->path_remove(&it.ctx, a));
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, "SELECT count(*)::text FROM b", "40001\n");
    fails_naming(&it, "SELECT count(*)::text FROM a", segment_name(a));
    fails_naming(&it, "SELECT s FROM a WHERE x IS NULL", segment_name(a));
    fails_naming(&it, "SELECT s FROM a WHERE id = 7", segment_name(a));
    answers(&it, DAMAGES, "1\n");
    must(&it, "SET skip_damaged_rows = on");
    answers(&it, "SELECT count(*)::text FROM a", "0\n");
    CHECK(strstr(it.notice, "1 segments that cannot be opened") != NULL);
    must(&it, "VACUUM");
    must(&it, "CHECKPOINT");
    lab_close(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it)); /* It is still told. */
    fails_naming(&it, "SELECT count(*)::text FROM a", segment_name(a));
    must(&it, "DROP TABLE a");
    must(&it, "CHECKPOINT");
    lab_close(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, "SELECT count(*)::text FROM kade_check()", "0\n");
    lab_end(&it);
}

TEST(a_damaged_index_is_built_anew)
{
    lab it;
    uint64_t of_run;
    lab_start(&it);
    const char *index = largest(&it, ".run", UINT64_MAX, &of_run);
    flip(&it, index, of_run - 1); /* The trailer: it does not open. */
    it.read_only = true;
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, DAMAGES, "1\n");
    fails_naming(&it, "SELECT id::text FROM a WHERE s = 'text 77'", ".run");
    answers(&it, "SELECT count(*)::text FROM a", "40000\n");
    lab_close(&it);
    it.read_only = false;
    for (int round = 0; round < 2; round++) {
        CHECK_STATUS(&it.ctx, lab_open(&it));
        answers(&it, "SELECT id::text FROM a WHERE s = 'text 77'", "77\n");
        answers(&it, "SELECT count(*)::text FROM kade_check()", "0\n");
        lab_close(&it);
    }
    /* A block: it opens, and the check tells the next opening. */
    it.path_count = 0;
    CHECK_STATUS(&it.ctx, world->directory_list(&it.ctx, "db/units", path_note, &it));
    index = largest(&it, ".run", UINT64_MAX, &of_run);
    flip(&it, index, of_run / 2);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, DAMAGES, "1\n");
    must(&it, "CHECKPOINT");
    lab_close(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, "SELECT count(*)::text FROM kade_check()", "0\n");
    answers(&it, "SELECT id::text FROM a WHERE s = 'text 20077'", "20077\n");
    lab_end(&it);
}

/* While the database is open, with writers' rows that no checkpoint has seen. */
TEST(reindex_builds_a_damaged_index_anew)
{
    static const char *const statements[] = {"REINDEX INDEX a_s", "REINDEX (VERBOSE) TABLE a",
                                             "REINDEX SCHEMA CONCURRENTLY public",
                                             "REINDEX DATABASE kade"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        lab it;
        uint64_t of_run;
        lab_start(&it);
        const char *index = largest(&it, ".run", UINT64_MAX, &of_run);
        flip(&it, index, of_run / 2);
        CHECK_STATUS(&it.ctx, lab_open(&it));
        answers(&it, DAMAGES, "1\n");
        must(&it, "INSERT INTO a (id, s) SELECT 70077, s || ' late' FROM a WHERE id = 77");
        must(&it, "BEGIN");
        must(&it, "REINDEX TABLE a");
        must(&it, "ROLLBACK");
        answers(&it, DAMAGES, "1\n");
        must(&it, statements[i]);
        answers(&it, DAMAGES, "0\n");
        answers(&it, "SELECT id::text FROM a WHERE s = 'text 20077'", "20077\n");
        answers(&it, "SELECT id::text FROM a WHERE s = 'text 77 late'", "70077\n");
        must(&it, "CHECKPOINT");
        lab_close(&it);
        CHECK_STATUS(&it.ctx, lab_open(&it));
        answers(&it, "SELECT count(*)::text FROM kade_check()", "0\n");
        answers(&it, "SELECT id::text FROM a WHERE s = 'text 20077'", "20077\n");
        lab_end(&it);
    }
}

/* Asks until the answer is this. */
static void comes(lab *it, const char *sql, const char *expected)
{
    for (int i = 0; i < 600; i++) {
        must(it, sql);
        if (strcmp(it->text, expected) == 0)
            return;
        must(it, "SELECT (pg_sleep(0.05) IS NULL)::text");
    }
    CHECK_TEXT(it->text, expected);
}

TEST(scrubbing_finds_damage_and_goes_on)
{
    lab it;
    uint64_t of_a, of_run;
    lab_start(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    const char *index = largest(&it, ".run", UINT64_MAX, &of_run);
    it.has_background = true;
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, "SELECT state, passes::text FROM kade_scrub", "off|0\n");
    must(&it, "ALTER SYSTEM SET scrub_interval = 0");
    must(&it, "ALTER SYSTEM SET scrub_rate = '1GB'");
    comes(&it, "SELECT (passes > 1)::text FROM kade_scrub", "true\n");
    answers(&it, "SELECT count(*)::text FROM kade_damage()", "0\n");
    flip(&it, a, 200);
    flip(&it, index, of_run / 2);
    comes(&it, "SELECT count(*)::text FROM kade_damage()", "2\n");
    answers(&it, "SELECT table_name, count(index_name)::text FROM kade_damage() GROUP BY 1",
            "a|1\n");
    comes(&it, "SELECT (passes > 5 AND last_full_pass IS NOT NULL)::text FROM kade_scrub",
          "true\n");
    answers(&it, "SELECT count(*)::text FROM kade_damage()", "2\n");
    lab_close(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it)); /* Closing wrote down which index is to be built. */
    comes(&it, "SELECT count(*)::text FROM kade_damage()", "2\n");
    answers(&it, DAMAGES, "1\n");
    lab_end(&it);
}
