/*
 * Goal: the CSV reader's answers, sniffing, and refusals. Method: small texts in memory, fed in
 * pieces, read back as text; large ones to cross chunk and batch borders.
 */
#include "base/thread.h"
#include "lake/csv_internal.h"
#include "lake_text.h"

typedef struct fixture {
    kd_ctx ctx;
    kd_arena *arena;
    kd_buffer out;
    kd_buffer rejects;
} fixture;

static fixture begin(void)
{
    fixture f = {.ctx = {.world = kd_world_posix()}};
    f.arena = kd_arena_create(&f.ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(f.arena != NULL);
    f.out = kd_buffer_in(f.arena);
    f.rejects = kd_buffer_in(f.arena);
    return f;
}

static void end(fixture *f)
{
    kd_arena_destroy(f->arena);
}

static void check_rows(const char *text, const kd_csv_options *options, const char *expected)
{
    fixture f = begin();
    CHECK_STATUS(&f.ctx, csv_to_text(&f.ctx, f.arena, kd_slice_of(text), options, &f.out, NULL));
    CHECK_SLICE(kd_buffer_slice(&f.out), expected);
    end(&f);
}

static void check_schema(const char *text, const char *expected)
{
    fixture f = begin();
    kd_csv_options options = kd_csv_options_default();
    CHECK_STATUS(&f.ctx, csv_schema_text(&f.ctx, f.arena, kd_slice_of(text), &options, &f.out));
    CHECK_SLICE(kd_buffer_slice(&f.out), expected);
    end(&f);
}

static void check_fails(const char *text, const kd_csv_options *options, const char *sqlstate,
                        const char *message, const char *detail)
{
    fixture f = begin();
    kd_status status = csv_to_text(&f.ctx, f.arena, kd_slice_of(text), options, &f.out, NULL);
    CHECK(status == KD_INVALID);
    CHECK_TEXT(f.ctx.error.sqlstate, sqlstate);
    CHECK_TEXT(f.ctx.error.message, message);
    CHECK_TEXT(f.ctx.error.detail, detail);
    end(&f);
}

static kd_import_column THREE[] = {
    {.name = {"id", 2}, .type = {.id = KD_TYPE_INT4, .modifier = -1}},
    {.name = {"name", 4}, .type = {.id = KD_TYPE_TEXT, .modifier = -1}},
    {.name = {"score", 5}, .type = {.id = KD_TYPE_FLOAT8, .modifier = -1}},
};

static kd_csv_options three_options(void)
{
    return (kd_csv_options){
        .delimiter = ',', .header = KD_CSV_HEADER_NO, .columns = THREE, .column_count = 3};
}

TEST(csv_header_and_types_are_sniffed)
{
    check_schema("departed,delay,distance,origin\n2001-01-01 00:01,-13,2345,ANC\n"
                 "2001-01-01 00:02,19,215,ATL\n",
                 "departed timestamp without time zone, delay integer, distance integer, "
                 "origin text");
    check_schema("a;b;c\n1;2.5;true\n2;3;false\n", "a integer, b double precision, c boolean");
    check_schema("1\tx\n2\ty\n", "column1 integer, column2 text");
    check_schema("zip,day,big\n01234,2020-02-29,99999999999\n", "zip text, day date, big bigint");
    check_schema("id,n\n7a1c1f3e-0b0e-4f6a-9f2f-0123456789ab,12345678901234567890\n",
                 "id uuid, n numeric");
    check_schema("t,u\n10:20:30,\n11:00:00,\n", "t time without time zone, u text");
    check_schema("name,city\nAnn,Rome\nBob,Oslo\n", "name text, city text");
    check_schema("x,x,\n1,2,3\n", "x integer, x_1 integer, column3 integer");
}

TEST(csv_quotes_delimiters_and_line_ends_are_read_as_postgresql_does)
{
    kd_csv_options options = three_options();
    check_rows("1,one,1.5\n2,\"two, too\",2\n", &options, "1|one|1.5\n2|two, too|2\n");
    check_rows("1,\"a \"\"quoted\"\" word\",0\r\n2,\"line\nbreak\",1\r\n", &options,
               "1|a \"quoted\" word|0\n2|line\nbreak|1\n");
    check_rows("1,ab\"c,d\"e,1\n", &options, "1|abc,de|1\n");
    check_rows(",,\n1,\"\",\n", &options, "~|~|~\n1||~\n");
    check_rows("1,no end,2", &options, "1|no end|2\n");
    check_rows("", &options, "");
    check_rows("1,\xc3\xa4\xe2\x82\xac,1e3\n", &options, "1|\xc3\xa4\xe2\x82\xac|1000\n");
    options.escape = '\\';
    check_rows("1,\"a \\\" b, c\",1\n2,\"x\",2\n", &options, "1|a \" b, c|1\n2|x|2\n");
}

TEST(csv_text_format_is_read_as_copy_does)
{
    kd_csv_options options = {
        .format = KD_CSV_TEXT, .header = KD_CSV_HEADER_NO, .columns = THREE, .column_count = 3};
    check_rows("1\ta\\tb\\\\c\t2\n\\N\t\\N\t\\N\n3\tx\\x41\\101\\\ny\t4\n\\.\n", &options,
               "1|a\tb\\c|2\n~|~|~\n3|xAA\ny|4\n");
    /* An escape as the last byte: the record's end must not be taken for a part of it. */
    options.columns = NULL;
    options.all_text = true;
    check_rows("a\tb\\", &options, "a|b\n\n");
}

TEST(csv_bad_rows_stop_with_line_and_column)
{
    kd_csv_options options = three_options();
    check_fails("1,a,1\nx,b,2\n", &options, "22P02", "invalid input syntax for type integer: \"x\"",
                "line 2, column id: \"x\"");
    check_fails("1,a,1\n2,b\n", &options, "22P04", "missing data for column \"score\"",
                "line 2: \"2,b\"");
    check_fails("1,\"a\nb\",1\n2,b,3,4\n", &options, "22P04",
                "extra data after last expected column", "line 3: \"2,b,3,4\"");
    check_fails("1,a,1\n2,\"open,3\n4,b,5\n", &options, "22P04", "unterminated CSV quoted field",
                "line 2");
    check_fails("1,a,nope\nx,b,2\n", &options, "22P02",
                "invalid input syntax for type double precision: \"nope\"",
                "line 1, column score: \"nope\"");
    check_fails("1,a\xff,1\n", &options, "22021",
                "invalid byte sequence for encoding \"UTF8\": 0xff",
                "line 1, column name: \"a\xff\"");
    check_fails("99999999999,a,1\n", &options, "22003",
                "value \"99999999999\" is out of range for type integer",
                "line 1, column id: \"99999999999\"");
}

TEST(csv_bad_rows_are_listed_when_asked)
{
    fixture f = begin();
    kd_csv_options options = three_options();
    options.on_error = KD_IMPORT_REJECT;
    kd_slice text = KD_SLICE("1,a,1\nx,b,2\n3,c\n4,d,y\n5,e,5\n6,\"open,6\n");
    CHECK_STATUS(&f.ctx, csv_to_text(&f.ctx, f.arena, text, &options, &f.out, &f.rejects));
    CHECK_SLICE(kd_buffer_slice(&f.out), "1|a|1\n5|e|5\n");
    CHECK_SLICE(kd_buffer_slice(&f.rejects),
                "6::unterminated CSV quoted field\n"
                "3::missing data for column \"score\"\n"
                "2:id:invalid input syntax for type integer: \"x\"\n"
                "4:score:invalid input syntax for type double precision: \"y\"\n");
    end(&f);
}

TEST(csv_ragged_rows_are_padded_or_cut_when_asked)
{
    kd_csv_options options = three_options();
    options.null_padding = true;
    options.ignore_extra = true;
    check_rows("1\n2,b,2,9,9\n", &options, "1|~|~\n2|b|2\n");
}

TEST(csv_headers_can_be_required_to_match)
{
    kd_csv_options options = three_options();
    options.header = KD_CSV_HEADER_MATCH;
    check_rows("id,name,score\n1,a,2\n", &options, "1|a|2\n");
    check_fails("id,nam,score\n1,a,2\n", &options, "22P04",
                "column name mismatch in header line field 2: got \"nam\", expected \"name\"", "");
    check_fails("id,name\n1,a\n", &options, "22P04",
                "wrong number of fields in header line: got 2, expected 3", "");
}

/* 60,000 rows with quoted line ends: many chunks, each cut at a true border. */
TEST(csv_chunks_end_at_record_borders)
{
    fixture f = begin();
    kd_buffer text = kd_buffer_in(f.arena);
    kd_buffer expected = kd_buffer_in(f.arena);
    for (int i = 0; i < 60000; i++) {
        CHECK_STATUS(&f.ctx, kd_buffer_append_format(&f.ctx, &text, "%d,\"x\n,%d\"\"\",%d.5\n", i,
                                                     i * 7, i % 100));
        CHECK_STATUS(&f.ctx, kd_buffer_append_format(&f.ctx, &expected, "%d|x\n,%d\"|%d.5\n", i,
                                                     i * 7, i % 100));
    }
    kd_csv_options options = three_options();
    CHECK_STATUS(&f.ctx,
                 csv_to_text(&f.ctx, f.arena, kd_buffer_slice(&text), &options, &f.out, NULL));
    CHECK_EQ(f.out.size_bytes, expected.size_bytes);
    CHECK(memcmp(f.out.data, expected.data, expected.size_bytes) == 0);
    end(&f);
}

/* A field longer than a chunk makes the chunk grow. */
TEST(csv_records_longer_than_a_chunk_are_read)
{
    fixture f = begin();
    kd_buffer text = kd_buffer_in(f.arena);
    CHECK_STATUS(&f.ctx, kd_buffer_append_text(&f.ctx, &text, "1,\""));
    for (int i = 0; i < 2000000; i++)
        CHECK_STATUS(&f.ctx, kd_buffer_append_byte(&f.ctx, &text, i % 80 == 0 ? '\n' : 'x'));
    CHECK_STATUS(&f.ctx, kd_buffer_append_text(&f.ctx, &text, "\",2\n3,y,4\n"));
    kd_csv_options options = three_options();
    CHECK_STATUS(&f.ctx,
                 csv_to_text(&f.ctx, f.arena, kd_buffer_slice(&text), &options, &f.out, NULL));
    CHECK_EQ(f.out.size_bytes, 2000000 + strlen("1||2\n3|y|4\n"));
    end(&f);
}

/* The vectorised scanner against the plain splitter, on random bytes of the dialect. */
TEST(csv_scanner_agrees_with_the_plain_one)
{
    static const char ALPHABET[] = {'a', ',', '"', '\n', '\r', 'b'};
    char data[300];
    uint32_t positions[300];
    uint64_t seed = 7;
    kdi_csv_dialect dialect = {.delimiter = ',', .quote = '"', .escape = '"'};
    for (int round = 0; round < 20000; round++) {
        size_t size = 1 + (size_t)(round % 299);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            data[i] = ALPHABET[(seed >> 33) % sizeof ALPHABET];
        }
        kdi_csv_scan scan;
        kdi_csv_scan_run(&dialect, data, size, positions, &scan);
        size_t count = 0;
        bool inside = false;
        for (size_t i = 0; i < size; i++) {
            inside ^= data[i] == '"';
            bool is_end = data[i] == '\n';
            if (inside || (data[i] != ',' && !is_end))
                continue;
            CHECK_EQ(positions[count], (uint32_t)i | (is_end ? KDI_CSV_RECORD_END : 0));
            count++;
        }
        CHECK_EQ(scan.count, count);
    }
}

typedef struct share {
    kd_ctx ctx;
    kd_csv_reader *reader;
    uint64_t row_count;
    int64_t sum;
    uint64_t last_chunk;
} share;

static kd_status share_read(share *self, kd_arena *arena)
{
    static const kd_text_settings SETTINGS = {.extra_float_digits = 1};
    kd_csv_worker *worker;
    KD_TRY(kd_csv_worker_create(&self->ctx, arena, self->reader, &SETTINGS, &worker));
    kd_batch batch;
    do {
        KD_TRY(kd_csv_worker_next(&self->ctx, worker, &batch));
        uint64_t chunk_no, line;
        kd_csv_worker_position(worker, &chunk_no, &line);
        CHECK(batch.row_count == 0 || chunk_no >= self->last_chunk);
        self->last_chunk = chunk_no;
        for (uint32_t i = 0; i < batch.row_count; i++) {
            int32_t id = ((const int32_t *)batch.columns[0].values)[i];
            CHECK(i > 0 || line == (uint64_t)id + 1);
            self->sum += id;
        }
        self->row_count += batch.row_count;
    } while (batch.row_count > 0);
    return KD_OK;
}

static void share_run(void *object)
{
    share *self = object;
    kd_arena *arena = kd_arena_create(&self->ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    CHECK_STATUS(&self->ctx, share_read(self, arena));
    kd_arena_destroy(arena);
}

TEST(csv_workers_on_several_threads_read_every_row_once)
{
    enum { THREADS = 4, ROWS = 150000 };
    fixture f = begin();
    kd_buffer text = kd_buffer_in(f.arena);
    for (int i = 0; i < ROWS; i++)
        CHECK_STATUS(&f.ctx,
                     kd_buffer_append_format(&f.ctx, &text, "%d,\"a name of %d\",0.5\n", i, i));
    text_feed feed = {.text = kd_buffer_slice(&text), .piece_bytes = 100000};
    kd_text_source *source;
    kd_csv_reader *reader;
    kd_csv_options options = three_options();
    CHECK_STATUS(&f.ctx,
                 kd_text_source_open_callback(&f.ctx, f.arena, text_feed_read, &feed, &source));
    CHECK_STATUS(&f.ctx, kd_csv_reader_create(&f.ctx, f.arena, source, &options, &reader));
    share shares[THREADS];
    kd_thread *threads[THREADS];
    uint64_t row_count = 0;
    int64_t sum = 0;
    for (int i = 0; i < THREADS; i++) {
        shares[i] = (share){.ctx = test_ctx(), .reader = reader};
        CHECK_STATUS(&f.ctx, kd_thread_start(&f.ctx, "csv", share_run, &shares[i], &threads[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        kd_thread_join(f.ctx.world, threads[i]);
        row_count += shares[i].row_count;
        sum += shares[i].sum;
    }
    CHECK_EQ(row_count, ROWS);
    CHECK_EQ(sum, (int64_t)ROWS * (ROWS - 1) / 2);
    kd_csv_reader_destroy(reader);
    kd_text_source_close(source);
    end(&f);
}
