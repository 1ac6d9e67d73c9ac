/*
 * Statements that nobody should write: whatever the text, the answer is a result or a clean error,
 * and the session goes on.
 *
 * Besides the named cases, a seeded generator writes token soup, and takes tokens away from,
 * doubles, swaps and replaces them in statements that are right. KADE_TEST_SEEDS says how many
 * thousand.
 */
#include "kade_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static kade_database *database;
static kade_session *session;

static void open_memory(void)
{
    database = kit_open(":memory:", (uint64_t)512 << 20);
    session = kit_connect(database);
}

static void close_all(void)
{
    CHECK_EQ(kit_int(session, "SELECT 41 + 1"), 42); /* The session still works. */
    kade_disconnect(session);
    kade_close(database);
}

/* `count` times `part` after `head`, then `tail_part` as often, then `tail`. The caller frees it.
 */
static char *repeat(const char *head, const char *part, const char *middle, const char *tail_part,
                    const char *tail, size_t count)
{
    size_t size = strlen(head) + strlen(middle) + strlen(tail) + 1 +
                  count * (strlen(part) + strlen(tail_part));
    char *text = malloc(size), *at = text;
    CHECK(text != NULL);
    at = stpcpy(at, head);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, part);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, tail_part);
    (void)stpcpy(at, tail);
    return text;
}

/* --- Depth and length ------------------------------------------------------------------------- */

TEST(nesting_of_every_kind_100000_deep_is_refused_or_answered)
{
    static const struct {
        const char *head, *part, *middle, *tail_part, *tail;
    } shapes[] = {
        {"SELECT ", "(", "1", ")", ""},
        {"SELECT ", "-", "1", "", ""},
        {"SELECT ", "- ", "1", "", ""},
        {"SELECT ", "NOT ", "true", "", ""},
        {"SELECT ", "1 + ", "1", "", ""},
        {"SELECT ", "1 + (", "1", ")", ""},
        {"SELECT ", "'a' || ", "'a'", "", ""},
        {"SELECT true", " AND true", "", "", ""},
        {"SELECT ", "(SELECT ", "1", ")", ""},
        {"SELECT * FROM ", "(SELECT * FROM ", "t", ") x", ""},
        {"SELECT ", "CASE WHEN true THEN ", "1", " END", ""},
        {"SELECT 1", "::int", "", "", ""},
        {"SELECT ", "CAST(", "1", " AS int)", ""},
        {"SELECT ", "abs(", "1", ")", ""},
        {"SELECT ", "ARRAY[", "1", "]", ""},
        {"SELECT a", "[1]", " FROM t", "", ""},
        {"SELECT 1", " UNION ALL SELECT 1", "", "", ""},
        {"", "(", "SELECT 1", ")", ""},
        {"SELECT * FROM t", ", t", "", "", ""},
        {"SELECT * FROM t", " CROSS JOIN t", "", "", ""},
        {"SELECT * FROM ", "(", "t", " CROSS JOIN t)", ""},
        {"SELECT 1 WHERE true ", "OR EXISTS (SELECT 1 WHERE true ", "", ")", ""},
        {"WITH ", "x AS (WITH ", "y AS (SELECT 1) SELECT 1", ") SELECT 1", " SELECT 1"},
        {"SELECT 1 IN (", "1, ", "1", "", ")"},
        {"SELECT a", ".a", "", "", " FROM t"},
        {"SELECT '", "[", "", "]", "'::jsonb"},
        {"SELECT '", "{\"a\":", "1", "}", "'::jsonb"},
        {"SELECT '", "{", "", "}", "'::int[]"},
        {"SELECT 'x' ~ '", "(", "x", ")", "'"},
        {"SELECT 'x' LIKE '", "%", "", "", "'"},
        {"SELECT 1 /*", "/*", "", "*/", "*/"},
        {"EXPLAIN ", "EXPLAIN ", "SELECT 1", "", ""},
        {"PREPARE p AS ", "PREPARE p AS ", "SELECT 1", "", ""},
        {"SELECT 1 ORDER BY 1", ", 1", "", "", ""},
        {"CREATE TABLE w (c0 int", ", c int", "", "", ")"},
        {"INSERT INTO t VALUES (1)", ", (1)", "", "", ""},
    };
    open_memory();
    kit_run(session, "CREATE TABLE t (a integer)");
    kit_run(session, "SET statement_timeout = 20000");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (size_t count = 100; count <= 100000; count = count * 10) {
            test_note("shape %zu, %zu deep", i, count);
            char *sql = repeat(shapes[i].head, shapes[i].part, shapes[i].middle,
                               shapes[i].tail_part, shapes[i].tail, count);
            const char *sqlstate = kit_try_bytes(session, sql, KADE_NUL);
            CHECK(strncmp(sqlstate, "XX", 2) != 0);
            free(sql);
        }
        CHECK_EQ(kit_int(session, "SELECT 1"), 1);
    }
    close_all();
}

TEST(a_statement_of_10_mb_is_read)
{
    open_memory();
    kit_run(session, "CREATE TABLE t (a integer, b text)");
    char *list =
        repeat("INSERT INTO t VALUES (1, 'a')", ", (2, 'some text of a row')", "", "", "", 400000);
    CHECK(strlen(list) > 10000000);
    const char *sqlstate = kit_try_bytes(session, list, KADE_NUL);
    if (strcmp(sqlstate, "00000") == 0)
        CHECK_EQ(kit_int(session, "SELECT count(*) FROM t"), 400001);
    else
        CHECK_TEXT(sqlstate, "54000"); /* A limit that says so. */
    free(list);
    char *literal = repeat("SELECT length('", "x", "", "", "')", 10000000);
    CHECK_EQ(kade_execute(session, literal, KADE_NUL, NULL, NULL), KADE_OK);
    free(literal);
    char *blanks = repeat("SELECT 1", " ", "", "", "", 10000000);
    CHECK_EQ(kade_execute(session, blanks, KADE_NUL, NULL, NULL), KADE_OK);
    free(blanks);
    char *name = repeat("SELECT ", "n", "", "", "", 10000000);
    CHECK(kade_execute(session, name, KADE_NUL, NULL, NULL) != KADE_OK);
    free(name);
    char *digits = repeat("SELECT ", "9", "", "", "", 10000000);
    (void)kit_try_bytes(session, digits, KADE_NUL);
    free(digits);
    close_all();
}

/* --- Bytes ------------------------------------------------------------------------------------ */

TEST(bytes_that_are_no_text_are_refused)
{
    static const char *const bad[] = {
        "\xff",     "\xc0\xaf", "\xed\xa0\x80",        "\xf5\x80\x80\x80",
        "\xe2\x82", "\x80",     "\xf8\x88\x80\x80\x80"};
    static const char *const frames[] = {"SELECT '%s'",      "SELECT \"%s\"", "SELECT %s",
                                         "SELECT 1 -- %s",   "SELECT $$%s$$", "SELECT E'%s'",
                                         "SELECT 1 /* %s */"};
    char sql[128];
    open_memory();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(sql, sizeof sql, frames[k], bad[i]);
#pragma GCC diagnostic pop
            const char *sqlstate = kit_try_bytes(session, sql, KADE_NUL);
            if (k < 2)
                CHECK_TEXT(sqlstate, "22021");
            CHECK(strncmp(sqlstate, "XX", 2) != 0);
        }
        kade_statement *statement;
        bool has_row;
        CHECK_EQ(kade_prepare(session, "SELECT length($1::text)", KADE_NUL, &statement), KADE_OK);
        kade_status status = kade_bind_text(statement, 1, bad[i], KADE_NUL);
        if (status == KADE_OK)
            status = kade_step(statement, &has_row);
        CHECK(status != KADE_OK);
        CHECK_TEXT(kade_session_error(session)->sqlstate, "22021");
        kade_finalize(statement);
    }
    static const char nul[] = "SELECT 'a\0b'";
    CHECK(strcmp(kit_try_bytes(session, nul, sizeof nul - 1), "00000") != 0);
    kade_statement *statement;
    CHECK_EQ(kade_prepare(session, "SELECT length($1::text)", KADE_NUL, &statement), KADE_OK);
    CHECK(kade_bind_text(statement, 1, "a\0b", 3) != KADE_OK);
    kade_finalize(statement);
    static const char nul_between[] = "SELECT 1\0;SELECT 2";
    CHECK(strcmp(kit_try_bytes(session, nul_between, sizeof nul_between - 1), "00000") != 0);
    kit_run(session, "%s", "");
    kit_run(session, "%s", ";;;");
    close_all();
}

TEST(values_out_of_range_say_so)
{
    static const struct {
        const char *expression, *sqlstate;
    } cases[] = {
        {"9223372036854775807 + 1", "22003"},
        {"2147483647 + 1", "22003"},
        {"32767::smallint + 1::smallint", "22003"},
        {"-(-9223372036854775807 - 1)", "22003"},
        {"(-9223372036854775807 - 1) / (-1)", "22003"},
        {"(-2147483647 - 1) / (-1)", "22003"},
        {"(-9223372036854775807 - 1) % (-1)", "00000"},
        {"abs(-9223372036854775807 - 1)", "22003"},
        {"9223372036854775807 * 2", "22003"},
        {"70000::smallint", "22003"},
        {"'99999999999'::int", "22003"},
        {"'1e400'::float8", "22003"},
        {"1e300::float8 * 1e300::float8", "22003"},
        {"'abc'::int", "22P02"},
        {"''::int", "22P02"},
        {"1 / 0", "22012"},
        {"1.0 / 0", "22012"},
        {"1 % 0", "22012"},
        {"1::float8 / 0", "22012"},
        {"'2001-02-29'::date", "22008"},
        {"'2001-13-01'::date", "22008"},
        {"'99999999-01-01'::date", "22008"},
        {"'5874898-01-01'::date", "22008"},
        {"'294277-01-01'::timestamp", "22008"},
        {"'25:00'::time", "22008"},
        {"'hello'::date", "22007"},
        {"'2001-01-01'::date + 2147483647", "22008"},
        {"'294276-12-31'::timestamp + interval '1 year'", "22008"},
        {"1::numeric(3,2) * 100", "00000"},
        {"12345::numeric(3,2)", "22003"},
        {"'x'::uuid", "22P02"},
        {"'{'::jsonb", "22P02"},
        {"'{1,2'::int[]", "22P02"},
        {"'maybe'::boolean", "22P02"},
        {"'\\xzz'::bytea", "22023"},
        {"sqrt(-1::float8)", "2201F"},
        {"ln(0::float8)", "2201E"},
        {"substr('abc', 1, -1)", "22011"},
        {"repeat('x', 2000000000)", "54000"},
        {"lpad('x', 2000000000)", "54000"},
        {"'x' ~ '('", "2201B"},
        {"'ab' LIKE 'a\\'", "22025"},
        {"chr(-1)", "22023"},
        {"chr(0)", "54000"},
        {"10::numeric ^ 1000000", "22003"},
        {"exp(100000::numeric)", "22003"},
        {"factorial(100000)", "22003"},
    };
    open_memory();
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = kit_try(session, "SELECT %s", cases[i].expression);
        if (strcmp(got, cases[i].sqlstate) != 0) {
            wrong++;
            fprintf(stderr, "    SELECT %s: expected %s, got %s %s\n", cases[i].expression,
                    cases[i].sqlstate, got, kade_session_error(session)->message);
        }
    }
    CHECK_EQ(wrong, 0);
    close_all();
}

/* --- Soup ---------------------------------------------------------------------------------------
 */

static const char *const words[] = {
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "ON",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "USING",
    "MERGE",
    "WHEN",
    "MATCHED",
    "THEN",
    "CREATE",
    "TABLE",
    "INDEX",
    "VIEW",
    "SEQUENCE",
    "TYPE",
    "SCHEMA",
    "DROP",
    "ALTER",
    "ADD",
    "COLUMN",
    "PRIMARY",
    "KEY",
    "UNIQUE",
    "REFERENCES",
    "CHECK",
    "DEFAULT",
    "NOT",
    "NULL",
    "AND",
    "OR",
    "IN",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "IS",
    "EXISTS",
    "ANY",
    "ALL",
    "CASE",
    "ELSE",
    "END",
    "CAST",
    "AS",
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "OUTER",
    "CROSS",
    "NATURAL",
    "LATERAL",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "WITH",
    "RECURSIVE",
    "RETURNING",
    "CONFLICT",
    "DO",
    "NOTHING",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "TO",
    "PREPARE",
    "EXECUTE",
    "COPY",
    "EXPLAIN",
    "ANALYZE",
    "SHOW",
    "OVER",
    "PARTITION",
    "ROWS",
    "FILTER",
    "ARRAY",
    "ROW",
    "INTERVAL",
    "DATE",
    "TRUE",
    "FALSE",
    "FOR",
    "SHARE",
    "NOWAIT",
    "TRUNCATE",
    "VACUUM",
    "CHECKPOINT",
    "IF",
    "CASCADE",
    "ASC",
    "DESC",
    "NULLS",
    "t",
    "u",
    "a",
    "b",
    "c",
    "x",
    "t.a",
    "u.*",
    "count",
    "sum",
    "max",
    "coalesce",
    "length",
    "now",
    "generate_series",
    "row_number",
    "int",
    "text",
    "numeric",
    "timestamp",
    "jsonb",
    "boolean",
    "1",
    "0",
    "-1",
    "3.5",
    "1e10",
    "'x'",
    "''",
    "'2001-01-01'",
    "'{1,2}'",
    "'{\"k\":1}'",
    "$1",
    "NULL",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    ",",
    ",",
    ";",
    ".",
    "*",
    "+",
    "-",
    "/",
    "%",
    "^",
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "||",
    "::",
    "~",
    "->",
    "->>",
    "@>",
    ":=",
    "=>",
    "|",
    "&",
    "#",
    "!",
    "?",
    "@",
    "\\",
    "\"",
    "'",
    "$$",
    "--",
    "/*",
    "*/",
};

static const char *const right_ones[] = {
    "SELECT a, count(*) FROM t WHERE b IS NOT NULL GROUP BY a HAVING count(*) > 1 ORDER BY 2 DESC "
    "LIMIT 3",
    "SELECT t.a, u.x FROM t LEFT JOIN u ON t.a = u.a WHERE u.x > 1 OR t.b LIKE 'a%'",
    "SELECT * FROM t WHERE a IN ( SELECT a FROM u WHERE u.x = t.a )",
    "SELECT * FROM t WHERE EXISTS ( SELECT 1 FROM u WHERE u.a = t.a )",
    "SELECT ( SELECT max ( x ) FROM u WHERE u.a = t.a ) FROM t",
    "WITH w AS ( SELECT a , b FROM t ) SELECT * FROM w JOIN u USING ( a )",
    "WITH RECURSIVE r AS ( SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5 ) SELECT * FROM "
    "r",
    "INSERT INTO t ( a , b ) VALUES ( 100 , 'x' ) ON CONFLICT ( a ) DO UPDATE SET b = excluded.b "
    "RETURNING *",
    "INSERT INTO u SELECT a , 1 FROM t",
    "UPDATE t SET b = u.x :: text FROM u WHERE t.a = u.a RETURNING t.*",
    "DELETE FROM t USING u WHERE t.a = u.a AND u.x = 2",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 'm' WHEN NOT MATCHED THEN "
    "INSERT VALUES ( u.a , 'n' , 1 )",
    "CREATE TABLE v ( a int PRIMARY KEY , b text NOT NULL DEFAULT 'x' , c numeric ( 10 , 2 ) CHECK "
    "( c > 0 ) , d int REFERENCES t ( a ) )",
    "CREATE INDEX i ON t ( b DESC , ( a + 1 ) ) WHERE a > 0",
    "CREATE VIEW w AS SELECT a FROM t WHERE a > 0",
    "CREATE TYPE mood AS ENUM ( 'sad' , 'ok' )",
    "CREATE SEQUENCE s START WITH 5 INCREMENT BY 2",
    "ALTER TABLE u ADD COLUMN y int DEFAULT 5",
    "ALTER TABLE u RENAME COLUMN x TO z",
    "DROP TABLE IF EXISTS v CASCADE",
    "TRUNCATE u",
    "SELECT CASE a WHEN 1 THEN 'one' ELSE 'other' END , CAST ( a AS text ) , a :: numeric / 3 FROM "
    "t",
    "SELECT DISTINCT ON ( b ) b , a FROM t ORDER BY b , a",
    "SELECT a FROM t UNION SELECT a FROM u EXCEPT SELECT 1 INTERSECT SELECT 2",
    "SELECT sum ( c ) FILTER ( WHERE a > 1 ) , string_agg ( b , ',' ORDER BY a ) FROM t",
    "SELECT row_number ( ) OVER ( PARTITION BY b ORDER BY a ) FROM t",
    "SELECT * FROM generate_series ( 1 , 5 ) g ( n ) WHERE n BETWEEN 2 AND 4",
    "SELECT ARRAY [ 1 , 2 , 3 ] [ 2 ] , '{\"a\":[1,2]}' :: jsonb -> 'a' ->> 0",
    "SELECT date '2001-01-01' + interval '1 day' , extract ( year FROM now ( ) )",
    "SELECT a FROM t WHERE b ~ '^a' FOR UPDATE SKIP LOCKED",
    "SELECT substring ( b FROM 1 FOR 2 ) , trim ( both 'x' FROM b ) , position ( 'a' IN b ) FROM t",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "COMMIT",
    "PREPARE p ( int ) AS SELECT $1 + 1",
    "EXECUTE p ( 5 )",
    "EXPLAIN ANALYZE SELECT * FROM t JOIN u USING ( a )",
    "DECLARE c CURSOR FOR SELECT * FROM t",
    "FETCH 2 FROM c",
    "SET search_path = public",
    "SHOW search_path",
    "COPY t TO STDOUT WITH ( FORMAT csv , HEADER )",
    "COPY t ( a , b ) FROM STDIN CSV",
    "VALUES ( 1 , 'a' ) , ( 2 , 'b' )",
    "SELECT a FROM t ORDER BY a LIMIT 1 OFFSET 1",
    "LOCK TABLE t IN SHARE MODE",
    "CREATE TABLE p2 ( a int , b int ) PARTITION BY RANGE ( a )",
    "CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM ( 1 ) TO ( 10 )",
    "SELECT greatest ( a , 2 ) , nullif ( a , 1 ) , a IS DISTINCT FROM 2 , ( a , b ) = ( 1 , 'x' ) "
    "FROM t",
    "SELECT * FROM t NATURAL JOIN u , LATERAL ( SELECT u.x + t.a AS q ) l",
};

enum { WORDS = sizeof words / sizeof *words, RIGHT_ONES = sizeof right_ones / sizeof *right_ones };
enum { TOKENS_MAX = 96, TOKEN_BYTES = 40, SOUP_ROUNDS_MAX = 30 };

typedef struct soup {
    char tokens[TOKENS_MAX][TOKEN_BYTES];
    size_t count;
} soup;

static void soup_add(soup *to, const char *token, size_t size)
{
    if (to->count == TOKENS_MAX || size >= TOKEN_BYTES)
        return;
    memcpy(to->tokens[to->count], token, size);
    to->tokens[to->count++][size] = '\0';
}

static void soup_split(soup *to, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        soup_add(to, text, size);
        text += size + strspn(text + size, " ");
    }
}

static void soup_mutate(soup *to, test_random *random)
{
    size_t at = (size_t)test_random_below(random, to->count);
    size_t other = (size_t)test_random_below(random, to->count);
    char held[TOKEN_BYTES];
    switch (test_random_below(random, 5)) {
    case 0: /* Take away. */
        memmove(to->tokens[at], to->tokens[at + 1], (to->count - at - 1) * TOKEN_BYTES);
        to->count--;
        break;
    case 1: /* Double. */
        if (to->count == TOKENS_MAX)
            break;
        memmove(to->tokens[at + 1], to->tokens[at], (to->count - at) * TOKEN_BYTES);
        to->count++;
        break;
    case 2: /* Swap. */
        memcpy(held, to->tokens[at], TOKEN_BYTES);
        memcpy(to->tokens[at], to->tokens[other], TOKEN_BYTES);
        memcpy(to->tokens[other], held, TOKEN_BYTES);
        break;
    default: /* Replace. */
        (void)snprintf(to->tokens[at], TOKEN_BYTES, "%s", words[test_random_below(random, WORDS)]);
        break;
    }
}

static void soup_make(soup *out, test_random *random)
{
    out->count = 0;
    if (test_random_below(random, 4) == 0) {
        size_t count = 1 + (size_t)test_random_below(random, 20);
        for (size_t i = 0; i < count; i++) {
            const char *word = words[test_random_below(random, WORDS)];
            soup_add(out, word, strlen(word));
        }
        return;
    }
    soup_split(out, right_ones[test_random_below(random, RIGHT_ONES)]);
    if (test_random_below(random, 3) == 0) { /* Two statements grown together. */
        size_t cut = (size_t)test_random_below(random, out->count);
        soup other = {.count = 0};
        soup_split(&other, right_ones[test_random_below(random, RIGHT_ONES)]);
        out->count = cut;
        for (size_t i = (size_t)test_random_below(random, other.count); i < other.count; i++)
            soup_add(out, other.tokens[i], strlen(other.tokens[i]));
    }
    for (uint64_t i = test_random_below(random, 4); i > 0 && out->count > 1; i--)
        soup_mutate(out, random);
}

static void soup_text(const soup *from, char *out, size_t capacity)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < from->count; i++)
        at += (size_t)snprintf(out + at, capacity - at, "%s ", from->tokens[i]);
}

static bool copy_read(void *object, void *target, size_t capacity, size_t *out_bytes)
{
    static const char rows[] = "501,abc\nx,y,z\n\"unfinished\n";
    bool *done = object;
    *out_bytes = *done || capacity < sizeof rows ? 0 : sizeof rows - 1;
    memcpy(target, rows, *out_bytes);
    *done = !*done;
    return true;
}

static bool copy_write(void *object, const void *source, size_t size)
{
    (void)object;
    (void)source;
    return size < 1 << 20;
}

static void soup_tables(void)
{
    kit_run(session, "CREATE TABLE t (a integer PRIMARY KEY, b text, c numeric(10,2))");
    kit_run(session, "CREATE TABLE u (a integer, x bigint)");
    kit_run(session,
            "INSERT INTO t VALUES (1, 'abc', 1.5), (2, 'x', NULL), (3, NULL, 7), (4, 'abd', 0)");
    kit_run(session, "INSERT INTO u VALUES (1, 10), (1, 20), (3, 30), (NULL, 5)");
    kit_run(session, "SET statement_timeout = 2000");
}

static void soup_close(void)
{
    if (kade_session_transaction(session) != KADE_TRANSACTION_NONE)
        kit_run(session, "ROLLBACK");
    close_all();
}

TEST(token_soup_never_ends_the_session)
{
    uint64_t rounds = test_seed_count(5);
    if (rounds > SOUP_ROUNDS_MAX)
        rounds = SOUP_ROUNDS_MAX;
    const char *first = getenv("SOUP_FIRST"); /* One statement again: SOUP_FIRST=n, seeds 0. */
    uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 0;
    uint64_t to = first != NULL && rounds == 0 ? from + 1 : from + rounds * 1000;
    uint64_t answered = 0;
    static soup one;
    static bool copy_done;
    char sql[TOKENS_MAX * TOKEN_BYTES];
    (void)alarm((unsigned)(120 + rounds * 30));
    for (uint64_t i = from; i < to; i++) {
        /* A database of its own now and then: what soup did before is forgotten. */
        if (i == from || i % 500 == 0) {
            if (i != from)
                soup_close();
            open_memory();
            kade_session_on_copy(session, copy_read, copy_write, &copy_done);
            soup_tables();
        }
        test_random random = {i};
        soup_make(&one, &random);
        soup_text(&one, sql, sizeof sql);
        test_note("soup %llu: %s", (unsigned long long)i, sql);
        if (getenv("SOUP_PRINT") != NULL) {
            fprintf(stderr, "%llu: %s\n", (unsigned long long)i, sql);
        }
        const char *sqlstate = kit_try_bytes(session, sql, KADE_NUL);
        if (strncmp(sqlstate, "XX", 2) == 0)
            test_fail(__FILE__, __LINE__, "an internal error: %s %s", sqlstate,
                      kade_session_error(session)->message);
        answered += strcmp(sqlstate, "00000") == 0;
        if (kade_session_transaction(session) != KADE_TRANSACTION_NONE &&
            test_random_below(&random, 3) == 0)
            (void)kit_try(session, "ROLLBACK");
    }
    soup_close();
    printf("%llu statements, %llu answered\n", (unsigned long long)(to - from),
           (unsigned long long)answered);
}
