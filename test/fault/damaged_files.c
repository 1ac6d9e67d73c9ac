/*
 * Damage is told whole: several flips in several files, each with its file, table, column and rows;
 * what is not damaged is read as before. So are rows that break what the catalog says of them.
 */
#include "test.h"

#include "base/world_memory.h"
#include "engine/database.h"
#include "engine/engine_internal.h"
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

static void paths_list(lab *it)
{
    it->path_count = 0;
    CHECK_STATUS(&it->ctx, world->directory_list(&it->ctx, "db/units", path_note, it));
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
    paths_list(it);
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
    uint64_t of_a, of_image;
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
    const char *image = largest(&it, ".img", UINT64_MAX, &of_image);
    flip(&it, image, of_image - 20);
    answers(&it, "SELECT count(*)::text FROM kade_check_files('db') WHERE file LIKE '%.img'",
            "1\n");
    flip(&it, image, of_image - 20);
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

/* --- Constraints ------------------------------------------------------------------------------ */

/* Puts a table's entry into the catalog again, changed, as no statement would: no row is asked. */
static void promise(lab *it, const char *table, void (*change)(kd_table_entry *entry))
{
    kd_ctx *ctx = kd_session_ctx(it->session);
    kd_catalog_version *version;
    must(it, "BEGIN");
    CHECK_STATUS(ctx, kd_catalog_pin(ctx, it->database->catalog, it->session->txn, &version));
    const kd_object *schema = kd_catalog_find_schema(version, KD_SLICE("public"));
    const kd_object *found =
        kd_catalog_find_relation(version, schema->object_no, kd_slice_of(table));
    CHECK(found != NULL && found->kind == KD_OBJECT_TABLE);
    kd_table_entry entry = *(const kd_table_entry *)found;
    change(&entry);
    CHECK_STATUS(ctx, kd_catalog_put(ctx, it->database->catalog, it->session->txn, &entry.object));
    kd_catalog_unpin(version);
    must(it, "COMMIT");
}

static void make_valid(kd_table_entry *entry)
{
    static kd_check checks[4];
    static kd_foreign_key keys[4];
    CHECK(entry->check_count <= 4 && entry->foreign_count <= 4);
    for (uint32_t i = 0; i < entry->check_count; i++) {
        checks[i] = entry->checks[i];
        checks[i].not_valid = false;
    }
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        keys[i] = entry->foreign_keys[i];
        keys[i].not_valid = false;
    }
    entry->checks = checks;
    entry->foreign_keys = keys;
}

/* Its second column is NOT NULL, its third generated, its last index unique. */
static void make_strict(kd_table_entry *entry)
{
    static kd_column columns[8];
    static kd_table_index indexes[4];
    CHECK(entry->column_count <= 8 && entry->index_count <= 4);
    memcpy(columns, entry->columns, entry->column_count * sizeof *columns);
    memcpy(indexes, entry->indexes, entry->index_count * sizeof *indexes);
    columns[1].storage.not_null = true;
    columns[2].generated = true;
    columns[2].default_text = KD_SLICE("id * 2");
    indexes[entry->index_count - 1].storage.unique = true;
    entry->columns = columns;
    entry->indexes = indexes;
}

/* Of a partition from 0 to 10: to 5. */
static void make_narrow(kd_table_entry *entry)
{
    static kd_value to;
    to = kd_value_i64(5);
    to.type = entry->bound.to[0].type;
    entry->bound.to = &to;
}

/* Where the default partition has a row: from 5 to 15. */
static void make_wide(kd_table_entry *entry)
{
    static kd_value to;
    to = kd_value_i64(15);
    to.type = entry->bound.to[0].type;
    entry->bound.to = &to;
}

#define VIOLATIONS                                                                \
    "SELECT table_name, problem FROM kade_check() WHERE severity = 'damage' AND " \
    "file IS NULL ORDER BY 1, 2"

static void promises_make(lab *it)
{
    must(it, "CREATE TABLE parent (id integer PRIMARY KEY, \"a \"\"b\" text)");
    must(it, "CREATE TABLE child (a integer, b integer, p integer)");
    must(it, "INSERT INTO parent SELECT i, 'p' || i FROM generate_series(1, 1000) g (i)");
    must(it, "INSERT INTO child SELECT i, 2, i FROM generate_series(1, 1000) g (i)");
    must(it, "INSERT INTO child VALUES (1, NULL, NULL), (-7, 1, 2000), (-8, 1, 2001)");
    must(it, "ALTER TABLE child ADD CONSTRAINT positive CHECK (a > 0) NOT VALID");
    must(it, "ALTER TABLE child ADD CONSTRAINT ratio CHECK (10 / (b - 1) > 0) NOT VALID");
    must(it, "ALTER TABLE child ADD CONSTRAINT of_parent FOREIGN KEY (p) REFERENCES parent"
             " NOT VALID");
    must(it, "CREATE TABLE strict (id integer PRIMARY KEY, s text, twice integer, u text)");
    must(it, "CREATE INDEX strict_u ON strict (lower(u)) WHERE id < 900");
    must(it,
         "INSERT INTO strict SELECT i, 's', i * 2, 'u' || i FROM generate_series(1, 999) g (i)");
    must(it, "UPDATE strict SET s = NULL WHERE id IN (3, 900)");
    must(it, "UPDATE strict SET twice = 0 WHERE id = 17");
    must(it, "UPDATE strict SET u = 'U5' WHERE id IN (6, 901)");
    must(it, "CREATE TABLE parts (a integer, s text) PARTITION BY RANGE (a)");
    must(it, "CREATE TABLE narrow PARTITION OF parts FOR VALUES FROM (0) TO (10)");
    must(it, "CREATE TABLE wide PARTITION OF parts FOR VALUES FROM (10) TO (12)");
    must(it, "CREATE TABLE rest PARTITION OF parts DEFAULT");
    must(it, "INSERT INTO parts SELECT i, 's' FROM generate_series(0, 14) g (i)");
}

/* Rows in the delta, or flushed. */
static void violations_are_told(bool is_flushed)
{
    lab it;
    lab_start(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    promises_make(&it);
    if (is_flushed)
        must(&it, "VACUUM");
    answers(&it, VIOLATIONS, "");
    promise(&it, "child", make_valid);
    promise(&it, "strict", make_strict);
    promise(&it, "narrow", make_narrow);
    promise(&it, "wide", make_wide);
    answers(&it, VIOLATIONS,
            "child|2 rows violate check constraint \"positive\": (a, b, p)=(-7, 1, 2000), "
            "(a, b, p)=(-8, 1, 2001)\n"
            "child|2 rows violate foreign key constraint \"of_parent\": (a, b, p)=(-7, 1, 2000), "
            "(a, b, p)=(-8, 1, 2001)\n"
            "child|check constraint \"ratio\" fails for some row: division by zero\n"
            "narrow|5 rows violate the partition bound in \"parts\": (a)=(5), (a)=(6), (a)=(7)\n"
            "rest|3 rows violate the partition bound in \"parts\": (a)=(12), (a)=(13), (a)=(14)\n"
            "strict|1 key not unique in unique index \"strict_u\": (lower(u))=(u5)\n"
            "strict|1 row violates the expression of column \"twice\": (id)=(17)\n"
            "strict|2 rows violate NOT NULL of column \"s\": (id)=(3), (id)=(900)\n");
    answers(&it,
            "SELECT constraint_name, column_name, row_count::text FROM kade_check()"
            " WHERE table_name = 'child' ORDER BY 1",
            "of_parent|-|2\npositive|-|2\nratio|-|-\n");
    lab_end(&it);
}

TEST(rows_that_break_their_constraints_are_told)
{
    violations_are_told(false);
    violations_are_told(true);
}

/* A constraint whose column cannot be read is a note: the damage is told of the block. */
TEST(constraints_of_damaged_columns_are_noted)
{
    lab it;
    uint64_t of_a;
    lab_start(&it);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    must(&it, "ALTER TABLE a ADD CONSTRAINT a_all CHECK (id > 0 AND x > 0 AND s <> '')");
    lab_close(&it);
    paths_list(&it);
    const char *a = largest(&it, ".seg", UINT64_MAX, &of_a);
    flip(&it, a, of_a / 2);
    CHECK_STATUS(&it.ctx, lab_open(&it));
    answers(&it, DAMAGES, "1\n");
    answers(&it,
            "SELECT (problem LIKE 'check constraint \"a_all\" was not checked: %checksum%')::text"
            " FROM kade_check() WHERE severity = 'note' AND constraint_name = 'a_all'",
            "true\n");
    lab_end(&it);
}
