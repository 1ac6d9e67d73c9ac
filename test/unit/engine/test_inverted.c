/*
 * Inverted indexes against scans: random documents and arrays, changed, moved to segments, merged
 * and opened again; every question is answered with the indexes and without.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 400, SQL_BYTES = 4096 };

typedef struct writer {
    test_random random;
    char text[SQL_BYTES];
    size_t used;
} writer;

static unsigned below(writer *self, unsigned bound)
{
    return (unsigned)test_random_below(&self->random, bound);
}

static void add(writer *self, const char *text)
{
    size_t size_bytes = strlen(text);
    CHECK(self->used + size_bytes < sizeof self->text);
    memcpy(self->text + self->used, text, size_bytes + 1);
    self->used += size_bytes;
}

static void add_number(writer *self, unsigned number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", number);
    add(self, text);
}

static void add_json(writer *self, unsigned depth)
{
    static const char *const scalars[] = {"null", "true",  "false", "1",    "2.0",
                                          "2",    "\"a\"", "\"b\"", "\"\"", "-1.5"};
    unsigned kind = depth == 3 ? 2 : below(self, 5);
    if (kind >= 2) {
        if (below(self, 3) == 0)
            add_number(self, below(self, 50));
        else
            add(self, scalars[below(self, sizeof scalars / sizeof *scalars)]);
        return;
    }
    unsigned count = below(self, 4);
    add(self, kind == 0 ? "{" : "[");
    for (unsigned i = 0; i < count; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "\"%c\":", 'a' + (int)below(self, 6));
        add(self, i > 0 ? "," : "");
        add(self, kind == 0 ? key : "");
        add_json(self, depth + 1);
    }
    add(self, kind == 0 ? "}" : "]");
}

static void add_array(writer *self)
{
    unsigned count = below(self, 5);
    add(self, "'{");
    for (unsigned i = 0; i < count; i++) {
        add(self, i > 0 ? "," : "");
        if (below(self, 9) == 0)
            add(self, "NULL");
        else
            add_number(self, below(self, 40));
    }
    add(self, "}'");
}

static void add_path(writer *self)
{
    static const char *const steps[] = {".a", ".b", ".c", "[*]", "[0]", ".*", ".**", ".d.size()"};
    static const char *const tests[] = {" == 1",    " == \"a\"", " == 2.0",           " > 1",
                                        " == null", " != 2",     " starts with \"a\""};
    unsigned count = 1 + below(self, 3);
    for (unsigned i = 0; i < count; i++)
        add(self, steps[below(self, sizeof steps / sizeof *steps)]);
    add(self, tests[below(self, sizeof tests / sizeof *tests)]);
}

static void add_question(writer *self)
{
    static const char *const array_tests[] = {"tags @> ", "tags && ", "tags <@ ", "tags = "};
    switch (below(self, 8)) {
    case 0:
    case 1:
        add(self, "doc @> '");
        add_json(self, 0);
        add(self, "'");
        break;
    case 2:
        add(self, "doc ? '");
        add(self, below(self, 2) == 0 ? "a'" : "b'");
        break;
    case 3:
        add(self, "doc ?| '{e,f}' AND doc ?& '{a,b}'");
        break;
    case 4:
        add(self, "doc @@ '$");
        add_path(self);
        add(self, below(self, 2) == 0 ? " && $.a == 1'" : " || $.b == 2'");
        break;
    case 5:
        add(self, "doc @? '$.a ? (@");
        add_path(self);
        add(self, ")'");
        break;
    case 6:
        add_number(self, below(self, 40));
        add(self, " = ANY (tags)");
        break;
    default:
        add(self, array_tests[below(self, 4)]);
        add_array(self);
        break;
    }
}

static void begin(writer *self, const char *text)
{
    self->used = 0;
    add(self, text);
}

static void rows_insert(writer *self, kade_session *session, unsigned *next_id)
{
    unsigned count = 1 + below(self, 12);
    begin(self, "INSERT INTO d VALUES ");
    for (unsigned i = 0; i < count; i++) {
        add(self, i > 0 ? ",(" : "(");
        add_number(self, ++*next_id);
        add(self, ",'");
        add_json(self, 0);
        add(self, "',");
        add_array(self);
        add(self, ")");
    }
    kit_run(session, self->text);
}

/* Changes by questions, so that the indexes find what is changed, too. */
static void rows_change(writer *self, kade_session *session)
{
    unsigned kind = below(self, 4);
    begin(self, kind == 0 ? "DELETE FROM d WHERE id % 17 = " : "UPDATE d SET ");
    if (kind == 1) {
        add(self, "doc = '");
        add_json(self, 0);
        add(self, "' WHERE id % 19 = ");
    } else if (kind == 2) {
        add(self, "tags = tags || ");
        add_number(self, below(self, 40));
        add(self, " WHERE id % 13 = ");
    } else if (kind == 3) {
        add(self, "doc = '{\"a\": 1}' WHERE id % 7 = 3 AND (");
        add_question(self);
        add(self, ") AND 1 = ");
    }
    add_number(self, below(self, 7));
    kit_run(session, self->text);
}

static void answers_agree(writer *self, kade_session *session)
{
    char indexed[1 << 16];
    begin(self, "SELECT id FROM d WHERE (");
    add_question(self);
    if (below(self, 3) == 0) {
        add(self, below(self, 2) == 0 ? ") OR (" : ") AND (");
        add_question(self);
    }
    add(self, ") ORDER BY id");
    test_note("%s", self->text);
    const char *rows = kit_rows(session, self->text);
    CHECK(strlen(rows) < sizeof indexed);
    memcpy(indexed, rows, strlen(rows) + 1);
    kit_run(session, "SET enable_indexscan = off");
    CHECK_TEXT(kit_rows(session, self->text), indexed);
    kit_run(session, "SET enable_indexscan = on");
}

static void random_run(uint64_t seed, const char *indexes)
{
    writer self = {.random = {seed}};
    const char *path = kit_directory("inverted");
    kit it = kit_open(path);
    unsigned next_id = 0;
    bool in_transaction = false;
    kit_run(it.session, "CREATE TABLE d (id int PRIMARY KEY, doc jsonb, tags int[])");
    kit_run(it.session, indexes);
    for (int step = 0; step < STEPS; step++) {
        unsigned what = below(&self, 40);
        if (what < 12) {
            rows_insert(&self, it.session, &next_id);
        } else if (what < 16) {
            rows_change(&self, it.session);
        } else if (what < 36) {
            answers_agree(&self, it.session);
        } else if (in_transaction) {
            kit_run(it.session, what == 36 ? "ROLLBACK" : "COMMIT");
            in_transaction = false;
        } else if (what == 36) {
            kit_run(it.session, "BEGIN");
            in_transaction = true;
        } else if (what == 37) {
            kit_run(it.session, "VACUUM");
        } else if (what == 38) {
            kit_run(it.session, "CHECKPOINT");
        } else {
            kit_close(&it);
            it = kit_open(path);
        }
    }
    if (in_transaction)
        kit_run(it.session, "COMMIT");
    kit_close(&it);
    (void)kit_directory("inverted");
}

TEST(an_inverted_index_answers_as_a_scan_does)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        random_run(seed, "CREATE INDEX ON d USING gin (doc); CREATE INDEX ON d USING gin (tags)");
}

TEST(an_index_of_paths_and_of_two_columns_answers_as_a_scan_does)
{
    for (uint64_t seed = 11; seed <= 14; seed++)
        random_run(seed, "CREATE INDEX ON d USING gin (doc jsonb_path_ops, tags)");
}

static bool plan_has(kade_session *session, const char *condition, const char *text)
{
    char sql[SQL_BYTES];
    (void)snprintf(sql, sizeof sql, "EXPLAIN SELECT * FROM d WHERE %s", condition);
    return strstr(kit_rows(session, sql), text) != NULL;
}

TEST(the_index_with_the_fewest_candidates_is_asked_and_none_for_many)
{
    kit it = kit_memory();
    kit_run(
        it.session,
        "CREATE TABLE d (id int, doc jsonb, tags int[]);"
        "CREATE INDEX d_keys ON d USING gin (doc);"
        "CREATE INDEX d_paths ON d USING gin (doc jsonb_path_ops);"
        "CREATE INDEX d_tags ON d USING gin (tags);"
        "INSERT INTO d SELECT g, jsonb_build_object('rare', g, 'often', true, 'flags',"
        " jsonb_build_object('rare', g % 100 = 0)), ARRAY[g % 3] FROM generate_series(1, 5000) g");
    CHECK(plan_has(it.session, "doc @> '{\"rare\": 7}'", "Inverted Index Scan using d_"));
    CHECK(plan_has(it.session, "doc @> '{\"flags\": {\"rare\": true}}'", "using d_paths on d"));
    CHECK(plan_has(it.session, "doc @> '{\"often\": true}'", "Seq Scan"));
    CHECK(plan_has(it.session, "doc @> '{}'", "Seq Scan"));
    CHECK(plan_has(it.session, "doc ? 'nothing'", "using d_keys on d"));
    CHECK(plan_has(it.session, "doc ? 'often'", "Seq Scan"));
    CHECK(plan_has(it.session, "tags @> '{1}'", "Seq Scan"));
    CHECK(plan_has(it.session, "tags @> '{1}' AND tags @> '{5}'", "using d_tags on d"));
    CHECK(plan_has(it.session, "tags @> '{5}' OR doc ? 'nothing'", "Seq Scan"));
    kit_run(it.session,
            "CREATE INDEX d_flags ON d USING gin ((doc -> 'flags'));"
            "CREATE INDEX d_few ON d USING gin (tags) WHERE id > 4990 AND tags <> '{}'");
    CHECK(plan_has(it.session, "doc -> 'flags' ? 'nothing'", "using d_flags on d"));
    CHECK(plan_has(it.session, "doc -> 'others' ? 'nothing'", "Seq Scan"));
    CHECK(plan_has(it.session, "tags @> '{1}' AND tags <> '{}' AND id > 4990", "using d_few on d"));
    CHECK(!plan_has(it.session, "tags @> '{1}' AND id > 4990", "d_few"));
    kit_close(&it);
}

TEST(rows_of_a_large_transaction_are_found)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE d (id int, doc jsonb, tags int[]);"
                        "CREATE INDEX d_doc ON d USING gin (doc, tags)");
    kit_run(it.session, "BEGIN;"
                        "INSERT INTO d SELECT g, jsonb_build_object('k', g % 1000, 's', repeat('x',"
                        " 900)), ARRAY[g % 500] FROM generate_series(1, 90000) g");
    CHECK_ROWS(it.session, "SELECT count(*), min(id) FROM d WHERE doc @> '{\"k\": 7}'", "90|7");
    kit_run(it.session, "DELETE FROM d WHERE doc @> '{\"k\": 7}'; SAVEPOINT s;"
                        "DELETE FROM d WHERE tags @> '{8}'; ROLLBACK TO s; COMMIT");
    CHECK_ROWS(it.session, "SELECT count(*) FROM d WHERE doc @> '{\"k\": 7}'", "0");
    CHECK_ROWS(it.session, "SELECT count(*) FROM d WHERE tags @> '{8}'", "180");
    CHECK(strstr(kit_rows(it.session, "EXPLAIN SELECT * FROM d WHERE tags @> '{8}'"),
                 "Inverted Index Scan using d_doc on d") != NULL);
    kit_close(&it);
}

TEST(serializable_transactions_that_meet_in_an_item_conflict)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kit_run(other, "SET default_transaction_isolation = 'serializable'");
    kit_run(it.session, "CREATE TABLE d (id int, tags int[]);"
                        "CREATE INDEX ON d USING gin (tags);"
                        "INSERT INTO d SELECT g, ARRAY[g] FROM generate_series(1, 100) g");
    kit_run(it.session, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    CHECK_ROWS(it.session, "SELECT count(*) FROM d WHERE tags @> '{200}'", "0");
    kit_run(other, "INSERT INTO d VALUES (0, '{300}')");
    kit_run(it.session, "INSERT INTO d VALUES (1000, '{1000}'); COMMIT");
    kit_run(it.session, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    CHECK_ROWS(it.session, "SELECT count(*) FROM d WHERE tags @> '{200}'", "0");
    kit_run(other, "INSERT INTO d VALUES (0, '{200, 300}')");
    kit_run(it.session, "INSERT INTO d VALUES (1001, '{1001}')");
    kit_fails(it.session, "COMMIT", "40001");
    kade_disconnect(other);
    kit_close(&it);
}
