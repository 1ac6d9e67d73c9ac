/*
 * Goal: readers and writers survive the failure of any single allocation, read, or open, cleanly.
 * Method: whole imports and exports in the simulated world, failing the nth fallible call for every
 * n.
 */
#include "lake/arrow_ipc.h"
#include "lake/csv_writer.h"
#include "lake/ndjson.h"
#include "lake/ndjson_writer.h"
#include "lake_text.h"
#include "sim_world.h"

static const kd_text_settings SETTINGS = {.extra_float_digits = 1};
static const char CSV[] = "id,name,score,at\n1,\"a \"\"b\"\" long quoted text\",1.5,2001-02-03\n"
                          "2,,0.25,2002-03-04\nx,bad,1,2003-01-01\n";
static const char NDJSON[] = "{\"id\": 1, \"name\": \"a\\u00e4 somewhat longer\", \"c\": [1]}\n"
                             "{\"id\": \"bad\"}\n{\"id\": 2, \"d\": 1.5}\n";

static void file_make(kd_ctx *ctx, const char *path, const char *text)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, 0, text, strlen(text)));
    ctx->world->file_close(ctx->world, file);
}

static void setup(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    file_make(ctx, "in.csv", CSV);
    file_make(ctx, "in.ndjson", NDJSON);
}

static kd_status csv_rows_copy(kd_ctx *ctx, kd_arena *arena, kd_csv_reader *reader, kd_buffer *out)
{
    kd_csv_worker *worker;
    KD_TRY(kd_csv_worker_create(ctx, arena, reader, &SETTINGS, &worker));
    const kd_csv_schema *schema = kd_csv_reader_schema(reader);
    CHECK_EQ(schema->column_count, 4);
    kd_slice names[4];
    kd_type types[4];
    for (uint32_t i = 0; i < 4; i++) {
        names[i] = schema->columns[i].name;
        types[i] = schema->columns[i].type;
    }
    kd_arrow_writer *writer;
    KD_TRY(kd_arrow_writer_create(ctx, arena, KD_ARROW_FILE, &SETTINGS, names, types, 4, out,
                                  &writer));
    kd_batch batch;
    uint64_t row_count = 0;
    do {
        kd_csv_write_options options = {0};
        KD_TRY(kd_csv_worker_next(ctx, worker, &batch));
        row_count += batch.selected_count;
        KD_TRY(kd_csv_write_batch(ctx, &options, &SETTINGS, &batch, out));
        KD_TRY(kd_ndjson_write_batch(ctx, &SETTINGS, names, &batch, out));
        KD_TRY(kd_arrow_writer_batch(ctx, writer, &batch, out));
    } while (batch.row_count > 0);
    CHECK_EQ(row_count, 3);
    return kd_arrow_writer_end(ctx, writer, out);
}

static kd_status csv_copy(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_text_source *source = NULL;
    kd_csv_reader *reader = NULL;
    kd_csv_options options = kd_csv_options_default();
    options.on_error = KD_IMPORT_REJECT;
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_buffer out = kd_buffer_in(arena);
    KD_TRY_OUT(kd_text_source_open(ctx, arena, "in.csv", &source));
    KD_TRY_OUT(kd_csv_reader_create(ctx, arena, source, &options, &reader));
    KD_TRY_OUT(csv_rows_copy(ctx, arena, reader, &out));

out:
    kd_csv_reader_destroy(reader);
    kd_text_source_close(source);
    kd_arena_destroy(arena);
    return status;
}

static kd_status ndjson_rows_read(kd_ctx *ctx, kd_arena *arena, kd_ndjson_reader *reader)
{
    kd_ndjson_worker *worker;
    KD_TRY(kd_ndjson_worker_create(ctx, arena, reader, &SETTINGS, &worker));
    kd_batch batch;
    uint64_t row_count = 0;
    do {
        KD_TRY(kd_ndjson_worker_next(ctx, worker, &batch));
        row_count += batch.selected_count;
    } while (batch.row_count > 0);
    CHECK_EQ(row_count, 3);
    return KD_OK;
}

static kd_status ndjson_read(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_text_source *source = NULL;
    kd_ndjson_reader *reader = NULL;
    kd_ndjson_options options = {.on_error = KD_IMPORT_REJECT};
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_text_source_open(ctx, arena, "in.ndjson", &source));
    KD_TRY_OUT(kd_ndjson_reader_create(ctx, arena, source, &options, &reader));
    KD_TRY_OUT(ndjson_rows_read(ctx, arena, reader));

out:
    kd_ndjson_reader_destroy(reader);
    kd_text_source_close(source);
    kd_arena_destroy(arena);
    return status;
}

TEST(csv_import_and_exports_survive_every_single_fault)
{
    sim_sweep_faults(csv_copy, setup);
}

TEST(ndjson_import_survives_every_single_fault)
{
    sim_sweep_faults(ndjson_read, setup);
}
