/*
 * Faults: every allocation and disk call of writing, opening and reading a segment or a root fails
 * in turn; power is lost at every disk call.
 */
#include "sim_world.h"
#include "store/root.h"
#include "store/segment.h"

enum { ROWS = 3000, COLUMNS = 3 };

static const kd_type_id column_ids[COLUMNS] = {KD_TYPE_INT8, KD_TYPE_TEXT, KD_TYPE_FLOAT8};

typedef struct store {
    kd_account account;
    kd_segment_options options;
    kd_arena *arena;
} store;

static void setup(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    CHECK_STATUS(ctx, ctx->world->directory_create(ctx, "db"));
}

static kd_status store_begin(kd_ctx *ctx, store *self)
{
    memset(self, 0, sizeof *self);
    kd_account_init(&self->account, NULL, "test", SIZE_MAX);
    self->options =
        (kd_segment_options){.directory = "db", .database_id = 7, .account = &self->account};
    self->arena = kd_arena_create(ctx, NULL, "test", SIZE_MAX);
    if (self->arena == NULL)
        return KD_NOMEM;
    return kd_block_cache_create(ctx, &self->account, 1 << 20, &self->options.cache);
}

static void store_end(store *self)
{
    kd_block_cache_destroy(self->options.cache);
    kd_arena_destroy(self->arena);
    CHECK_EQ(atomic_load(&self->account.used_bytes), 0);
}

static kd_value value_at(uint32_t column, uint32_t row)
{
    static const char *names[4] = {"one", "two", "a text that is longer than twelve bytes", ""};
    if (column == 0)
        return kd_value_i64((int64_t)row * row);
    if (column == 1)
        return kd_value_text(kd_slice_of(names[row % 4]));
    return kd_value_f64(row / 4.0);
}

static kd_status append_rows(kd_ctx *ctx, store *self, kd_segment_writer *writer)
{
    for (uint32_t first = 0; first < ROWS; first += 1000) {
        kd_vector columns[COLUMNS];
        for (uint32_t c = 0; c < COLUMNS; c++) {
            KD_TRY(kd_vector_init_flat(ctx, self->arena, kd_type_of(column_ids[c]), 1000,
                                       &columns[c]));
            for (uint32_t i = 0; i < 1000; i++) {
                kd_value value = value_at(c, first + i);
                kd_vector_set(&columns[c], i, &value);
            }
        }
        kd_batch batch = {
            .row_count = 1000, .selected_count = 1000, .column_count = COLUMNS, .columns = columns};
        KD_TRY(kd_segment_writer_append(ctx, writer, &batch, NULL));
    }
    return KD_OK;
}

static kd_status write_segment(kd_ctx *ctx, store *self)
{
    static const uint32_t numbers[COLUMNS] = {1, 2, 3};
    kd_type types[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++)
        types[c] = kd_type_of(column_ids[c]);
    kd_segment_shape shape = {
        .unit = 1, .column_count = COLUMNS, .types = types, .column_nos = numbers};
    kd_segment_writer *writer;
    KD_TRY(kd_segment_writer_create(ctx, &self->options, &shape, &writer));
    kd_status status = append_rows(ctx, self, writer);
    if (status == KD_OK)
        status = kd_segment_writer_finish(ctx, writer);
    kd_segment_writer_destroy(writer);
    return status;
}

static kd_status read_rows(kd_ctx *ctx, store *self, kd_segment *segment)
{
    static const uint32_t columns[COLUMNS] = {0, 1, 2};
    kd_status status = KD_OK;
    kd_segment_reader *reader = NULL;
    KD_TRY_OUT(kd_segment_reader_create(ctx, self->arena, segment, columns, COLUMNS, &reader));
    for (uint32_t c = 0; c < COLUMNS; c++) {
        kd_vector vector;
        kd_value value;
        KD_TRY_OUT(kd_segment_read(ctx, reader, c, 2048, ROWS - 2048, &vector));
        kd_value got = kd_vector_get(&vector, 5), wanted = value_at(c, 2053);
        CHECK_EQ(kd_value_compare(&got, &wanted), 0);
        KD_TRY_OUT(kd_segment_get(ctx, segment, c, 2, self->arena, &value));
        wanted = value_at(c, 2);
        CHECK_EQ(kd_value_compare(&value, &wanted), 0);
    }

out:
    kd_segment_reader_destroy(reader);
    return status;
}

static kd_status open_and_read(kd_ctx *ctx, store *self)
{
    kd_segment *segment;
    KD_TRY(kd_segment_open(ctx, &self->options, 1, &segment));
    kd_status status = kd_segment_check(ctx, segment);
    if (status == KD_OK)
        status = read_rows(ctx, self, segment);
    kd_segment_close(ctx->world, segment);
    return status;
}

static kd_status write_and_read(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    store self;
    kd_status status = store_begin(ctx, &self);
    if (status == KD_OK)
        status = write_segment(ctx, &self);
    if (status == KD_OK)
        status = open_and_read(ctx, &self);
    store_end(&self);
    return status;
}

TEST(segments_survive_every_single_fault)
{
    sim_sweep_faults_tolerated(write_and_read, setup);
}

static kd_status replace_root(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_root root = {.format_version = KD_ROOT_FORMAT_VERSION,
                    .database_id = 1,
                    .generation = 2,
                    .body = KD_SLICE("new body")};
    bool found, old_stays;
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", SIZE_MAX);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_root_write(ctx, "db", &root, &old_stays));
    KD_TRY_OUT(kd_root_read(ctx, arena, "db", &root, &found));
    CHECK(found);

out:
    kd_arena_destroy(arena);
    return status;
}

TEST(roots_survive_every_single_fault)
{
    sim_sweep_faults(replace_root, setup);
}

/* Writes with a crash at the nth disk call; gives whether the write was said to be done. */
static bool crash_while_writing(sim_disk *disk, uint64_t nth, bool *out_crashed)
{
    sim_world *sim = sim_create(disk, nth);
    kd_ctx ctx = sim_ctx(sim);
    kd_status status = ctx.world->directory_create(&ctx, "db");
    CHECK_EQ(status, KD_OK);
    CHECK_EQ(ctx.world->directory_sync(&ctx, "."), KD_OK);
    sim_crash_at(sim, nth);
    store self;
    CHECK_STATUS(&ctx, store_begin(&ctx, &self));
    status = write_segment(&ctx, &self);
    store_end(&self);
    kd_error_clear(&ctx);
    *out_crashed = sim_has_crashed(sim);
    sim_destroy(sim);
    return status == KD_OK;
}

TEST(a_crash_leaves_a_whole_segment_or_none_that_opens)
{
    bool crashed = true;
    for (uint64_t nth = 1; crashed; nth++) {
        test_note("crash at disk call %llu", (unsigned long long)nth);
        sim_disk *disk = sim_disk_create();
        bool done = crash_while_writing(disk, nth, &crashed);
        sim_world *sim = sim_create(disk, 1000 + nth);
        kd_ctx ctx = sim_ctx(sim);
        store self;
        CHECK_STATUS(&ctx, store_begin(&ctx, &self));
        kd_status status = open_and_read(&ctx, &self);
        CHECK(done ? status == KD_OK : status == KD_OK || status == KD_CORRUPT);
        kd_error_clear(&ctx);
        store_end(&self);
        sim_destroy(sim);
        sim_disk_destroy(disk);
    }
}

TEST(a_crash_leaves_the_old_root_or_the_new_one)
{
    bool crashed = true;
    for (uint64_t nth = 1; crashed; nth++) {
        test_note("crash at disk call %llu", (unsigned long long)nth);
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, nth);
        kd_ctx ctx = sim_ctx(sim);
        setup(sim, &ctx);
        kd_root root = {.format_version = KD_ROOT_FORMAT_VERSION,
                        .database_id = 1,
                        .generation = 1,
                        .body = KD_SLICE("old")};
        bool old_stays;
        CHECK_STATUS(&ctx, kd_root_write(&ctx, "db", &root, &old_stays));
        CHECK_STATUS(&ctx, ctx.world->directory_sync(&ctx, "."));
        sim_crash_at(sim, nth);
        root.generation = 2;
        root.body = KD_SLICE("new");
        bool done = kd_root_write(&ctx, "db", &root, &old_stays) == KD_OK;
        kd_error_clear(&ctx);
        crashed = sim_has_crashed(sim);
        sim_destroy(sim);
        sim = sim_create(disk, 1000 + nth);
        ctx = sim_ctx(sim);
        kd_arena *arena = test_arena(&ctx);
        bool found;
        CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, "db", &root, &found));
        CHECK(found && (root.generation == 2 || (!done && root.generation == 1)));
        CHECK(root.generation == 1 || !old_stays);
        kd_arena_destroy(arena);
        sim_destroy(sim);
        sim_disk_destroy(disk);
    }
}
