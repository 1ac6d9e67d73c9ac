/*
 * COPY: files and streams in and out, rows that cannot be read.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <string.h>

static const char csv_path[] = "/tmp/kade_test_copy.csv";
static const char out_path[] = "/tmp/kade_test_copy_out";

TEST(csv_files_in_and_out)
{
    kit it = kit_memory();
    kit_write_file(csv_path, "id,name,price\n1,\"a, \"\"b\"\"\",1.50\n2,,\n");
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text, price numeric(8,2))");
    kit_run(it.session, "COPY t FROM '/tmp/kade_test_copy.csv' (FORMAT csv, HEADER)");
    CHECK_ROWS(it.session, "SELECT * FROM t ORDER BY id", "1|a, \"b\"|1.50;2|~|~");
    static const char *const formats[] = {"csv", "text", "json"};
    for (int i = 0; i < 3; i++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "COPY (SELECT * FROM t ORDER BY id) TO '%s' (FORMAT %s); CREATE TABLE c (LIKE t);"
                 "COPY c FROM '%s' (FORMAT %s)",
                 out_path, formats[i], out_path, formats[i]);
        kit_run(it.session, sql);
        CHECK_ROWS(it.session, "SELECT * FROM c ORDER BY id", "1|a, \"b\"|1.50;2|~|~");
        kit_run(it.session, "DROP TABLE c");
    }
    kit_fails(it.session, "COPY t FROM '/tmp/kade_test_no_such_file'", "58P01");
    remove(out_path);
    remove(csv_path);
    kit_close(&it);
}

TEST(a_bad_row_names_its_line_or_is_left_out)
{
    kit it = kit_memory();
    kit_write_file(csv_path, "1,2024-01-01\n2,never\n3\n4,2024-01-04\n");
    kit_run(it.session, "CREATE TABLE t (id int, d date)");
    kit_fails(it.session, "COPY t FROM '/tmp/kade_test_copy.csv' (FORMAT csv)", "22007");
    CHECK(strstr(kade_session_error(it.session)->detail, "2") != NULL);
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "0");
    kit_run(it.session, "COPY t FROM '/tmp/kade_test_copy.csv' (FORMAT csv, ON_ERROR ignore, "
                        "REJECTS_TABLE 'bad')");
    CHECK_ROWS(it.session, "SELECT id FROM t ORDER BY id", "1;4");
    CHECK_ROWS(it.session, "SELECT line, sqlstate, record FROM bad ORDER BY line",
               "2|22007|2,never;3|22P04|3");
    remove(csv_path);
    kit_close(&it);
}

typedef struct stream {
    const char *text;
    size_t at;
    char out[256];
    size_t out_bytes;
} stream;

static bool read_stream(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    stream *self = object;
    size_t left = strlen(self->text) - self->at;
    *out_bytes = left < capacity_bytes ? left : capacity_bytes;
    memcpy(target, self->text + self->at, *out_bytes);
    self->at += *out_bytes;
    return true;
}

static bool write_stream(void *object, const void *source, size_t size_bytes)
{
    stream *self = object;
    CHECK(self->out_bytes + size_bytes < sizeof self->out);
    memcpy(self->out + self->out_bytes, source, size_bytes);
    self->out_bytes += size_bytes;
    return true;
}

TEST(standard_streams_go_through_the_hooks)
{
    kit it = kit_memory();
    stream self = {.text = "1\tone\n2\t\\N\n"};
    kit_run(it.session, "CREATE TABLE t (id int, name text DEFAULT 'x')");
    kit_fails(it.session, "COPY t FROM STDIN", "08P01");
    kade_session_on_copy(it.session, read_stream, write_stream, &self);
    kit_run(it.session, "COPY t FROM STDIN");
    kit_run(it.session, "COPY t (name) TO STDOUT (FORMAT csv, HEADER)");
    CHECK_TEXT(self.out, "name\none\n\n");
    kit_close(&it);
}

TEST(files_can_be_queried_where_they_are)
{
    kit it = kit_memory();
    kit_write_file(csv_path, "id,born,name\n1,2024-02-03,Ann\n2,,\"B, C\"\n");
    CHECK_ROWS(it.session, "SELECT * FROM '/tmp/kade_test_copy.csv' ORDER BY id",
               "1|2024-02-03|Ann;2|~|B, C");
    CHECK_ROWS(it.session,
               "SELECT sum(id), max(born) + 1 FROM read_csv('/tmp/kade_test_copy.csv') r",
               "3|2024-02-04");
    kade_statement *statement;
    bool has_row;
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT * FROM '/tmp/kade_test_copy.csv'",
                                        KADE_NUL, &statement));
    /* The file changes between making the plan and running it. */
    kit_write_file(csv_path, "id,born,name\nx,y,z\n");
    CHECK(kade_step(statement, &has_row) == KADE_INVALID);
    CHECK_ROWS(it.session, "SELECT * FROM '/tmp/kade_test_copy.csv'", "x|y|z");
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK_TEXT(kade_column_text(statement, 0, NULL), "x");
    kade_finalize(statement);
    kit_write_file("/tmp/kade_test_copy.ndjson", "{\"a\": 1, \"b\": [1, 2]}\n{\"a\": 2}\n");
    CHECK_ROWS(it.session, "SELECT a, b FROM '/tmp/kade_test_copy.ndjson' ORDER BY a",
               "1|[1, 2];2|~");
    kit_fails(it.session, "SELECT * FROM 'nowhere.csv'", "58P01");
    remove(csv_path);
    remove("/tmp/kade_test_copy.ndjson");
    kit_close(&it);
}
