/*
 * Goal: NDJSON lines become rows, shapes are sniffed, bad lines are refused or listed. Method:
 * small texts in memory.
 */
#include "lake/ndjson.h"
#include "lake_text.h"

static const kd_text_settings SETTINGS = {.extra_float_digits = 1};

static kd_status rows_read(kd_ctx *ctx, kd_arena *arena, kd_ndjson_reader *reader, kd_buffer *out,
                           kd_buffer *rejects)
{
    kd_ndjson_worker *worker;
    KD_TRY(kd_ndjson_worker_create(ctx, arena, reader, &SETTINGS, &worker));
    kd_batch batch;
    do {
        KD_TRY(kd_ndjson_worker_next(ctx, worker, &batch));
        KD_TRY(batch_to_text(ctx, &batch, out));
        const kd_import_rejects *found = kd_ndjson_worker_rejects(worker);
        for (size_t i = 0; i < found->count; i++)
            KD_TRY(kd_buffer_append_format(
                ctx, rejects, "%llu:%s\n", (unsigned long long)found->items[i].line,
                found->items[i].column == NULL ? "" : found->items[i].column));
    } while (batch.row_count > 0);
    return KD_OK;
}

/* The schema, then the rows. */
static kd_status ndjson_to_text(kd_ctx *ctx, kd_arena *arena, const char *text,
                                const kd_ndjson_options *options, kd_buffer *out,
                                kd_buffer *rejects)
{
    kd_status status = KD_OK;
    text_feed feed = {.text = kd_slice_of(text), .piece_bytes = 100};
    kd_text_source *source = NULL;
    kd_ndjson_reader *reader = NULL;
    const kd_import_column *columns;
    uint32_t count;
    KD_TRY_OUT(kd_text_source_open_callback(ctx, arena, text_feed_read, &feed, &source));
    KD_TRY_OUT(kd_ndjson_reader_create(ctx, arena, source, options, &reader));
    kd_ndjson_reader_schema(reader, &columns, &count);
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY_OUT(kd_buffer_append_format(ctx, out, "%s%.*s ", i > 0 ? ", " : "",
                                           (int)columns[i].name.size_bytes, columns[i].name.data));
        KD_TRY_OUT(kd_type_format(ctx, columns[i].type, out));
    }
    KD_TRY_OUT(kd_buffer_append_byte(ctx, out, '\n'));
    KD_TRY_OUT(rows_read(ctx, arena, reader, out, rejects));

out:
    kd_ndjson_reader_destroy(reader);
    kd_text_source_close(source);
    return status;
}

TEST(ndjson_shapes_are_sniffed_and_rows_read)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_buffer out = kd_buffer_in(arena);
    kd_ndjson_options options = {0};
    CHECK_STATUS(&ctx, ndjson_to_text(&ctx, arena,
                                      "{\"a\": 1, \"b\": \"x\\ny\", \"d\": \"2020-01-02\"}\n\n"
                                      "{\"b\": null, \"a\": 2, \"c\": {\"k\": [1, 2]}}\r\n"
                                      "{\"f\": 1.5, \"t\": true, \"m\": 1, \"z\": \"007\"}\n"
                                      "{\"m\": \"x\", \"a\": 9, \"a\": 10}",
                                      &options, &out, NULL));
    CHECK_SLICE(kd_buffer_slice(&out),
                "a bigint, b text, d date, c jsonb, f double precision, t boolean, m text, z text\n"
                "1|x\ny|2020-01-02|~|~|~|~|~\n"
                "2|~|~|{\"k\": [1, 2]}|~|~|~|~\n"
                "~|~|~|~|1.5|t|1|007\n"
                "10|~|~|~|~|~|x|~\n");
    kd_arena_destroy(arena);
}

TEST(ndjson_bad_lines_stop_or_are_listed)
{
    static const char TEXT[] = "{\"a\": 1}\n{\"a\": }\n[1]\n{\"a\": \"x\"}\n{\"a\": 5}\n";
    kd_import_column column = {.name = {"a", 1}, .type = kd_type_of(KD_TYPE_INT4)};
    kd_ndjson_options options = {.columns = &column, .column_count = 1};
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_buffer out = kd_buffer_in(arena), rejects = kd_buffer_in(arena);
    CHECK(ndjson_to_text(&ctx, arena, TEXT, &options, &out, &rejects) == KD_INVALID);
    CHECK_TEXT(ctx.error.sqlstate, "22P02");
    kd_error_clear(&ctx);
    options.on_error = KD_IMPORT_REJECT;
    out.size_bytes = 0;
    CHECK_STATUS(&ctx, ndjson_to_text(&ctx, arena, TEXT, &options, &out, &rejects));
    CHECK_SLICE(kd_buffer_slice(&out), "a integer\n1\n5\n");
    CHECK_SLICE(kd_buffer_slice(&rejects), "2:\n3:\n4:a\n");
    kd_arena_destroy(arena);
}
