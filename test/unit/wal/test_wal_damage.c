/*
 * Damage to stored bytes: every byte of a small log changes once, blocks are zeroed and
 * written to wrong places. Opening says XX001 and names a file, or gives every record.
 */
#include "sim_world.h"
#include "wal_fixture.h"

enum { RECORD_COUNT = 9, BLOCK_BYTES = KD_WAL_BLOCK_ALIGN_BYTES };

static const char log_path[] = "wal/0000000000000001.log";

typedef struct damage_test {
    sim_disk *disk;
    sim_world *sim;
    kd_ctx ctx;
    kd_account account;
    kd_wal_options options;
    uint64_t seen;
    uint64_t changed_number; /* This record has another content than the others' rule says. */
} damage_test;

static kd_status see_in_order(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    damage_test *test = object;
    if (test->seen != test->changed_number)
        CHECK_EQ(fixture_check(record), test->seen);
    test->seen++;
    return KD_OK;
}

/* A log of an opening block, RECORD_COUNT blocks and a closing block. */
static void damage_begin_changed(damage_test *test, uint64_t changed_number)
{
    *test = (damage_test){.disk = sim_disk_create(), .changed_number = changed_number};
    test->sim = sim_create(test->disk, 1);
    test->ctx = sim_ctx(test->sim);
    kd_account_init(&test->account, NULL, "wal", SIZE_MAX);
    test->options = (kd_wal_options){.directory = "wal",
                                     .log_id = FIXTURE_LOG_ID,
                                     .create = true,
                                     .file_bytes = 64 << 10,
                                     .buffer_bytes = 1 << 20};
    kd_ctx *ctx = &test->ctx;
    kd_wal *wal;
    CHECK_STATUS(ctx, kd_wal_open(ctx, &test->account, &test->options, NULL, NULL, &wal));
    kd_arena *arena = test_arena(ctx);
    for (uint64_t i = 0; i < RECORD_COUNT; i++) {
        kd_buffer buffer = kd_buffer_in(arena);
        uint64_t end;
        fixture_record(ctx, &buffer, i, 100 + i * 400);
        if (i == changed_number)
            buffer.data[buffer.size_bytes - 1] ^= 1;
        CHECK_STATUS(ctx, kd_wal_append(ctx, wal, buffer.data, buffer.size_bytes, NULL, &end));
        CHECK_STATUS(ctx, kd_wal_wait_durable(ctx, wal, end));
    }
    kd_arena_destroy(arena);
    CHECK_STATUS(ctx, kd_wal_close(ctx, wal));
    test->options.read_only = true;
}

static void damage_begin(damage_test *test)
{
    damage_begin_changed(test, UINT64_MAX);
}

static void damage_end(damage_test *test)
{
    sim_destroy(test->sim);
    sim_disk_destroy(test->disk);
}

/* True when the damage was noticed; otherwise everything is there. */
static bool damage_is_noticed(damage_test *test)
{
    kd_wal *wal;
    test->seen = 0;
    kd_status status =
        kd_wal_open(&test->ctx, &test->account, &test->options, see_in_order, test, &wal);
    if (status == KD_OK) {
        CHECK_EQ(test->seen, RECORD_COUNT);
        kd_wal_abandon(test->ctx.world, wal);
        return false;
    }
    CHECK_FAILS_WITH(&test->ctx, status, "XX001", "wal");
    return true;
}

TEST(wal_notices_every_changed_byte)
{
    damage_test test;
    damage_begin(&test);
    uint64_t closing_offset = (2 + RECORD_COUNT) * BLOCK_BYTES;
    CHECK(!damage_is_noticed(&test));
    for (uint64_t offset = 0; offset < closing_offset + BLOCK_BYTES; offset++) {
        bool is_sampled = offset % BLOCK_BYTES < 200 || offset % 29 == 0;
        if (!is_sampled)
            continue;
        test_note("byte %llu", (unsigned long long)offset);
        uint8_t mask = (uint8_t)(1 << offset % 8);
        sim_disk_flip(test.disk, log_path, offset, mask);
        /* Nothing is lost with the closing block. */
        CHECK_EQ(damage_is_noticed(&test), offset < closing_offset);
        sim_disk_flip(test.disk, log_path, offset, mask);
    }
    damage_end(&test);
}

/* Reads a block of the log, or writes one behind its back. */
static void block_transfer(damage_test *test, uint64_t block_no, char *bytes, bool is_write)
{
    kd_ctx *ctx = &test->ctx;
    kd_world *world = ctx->world;
    kd_file *file;
    size_t read_bytes = BLOCK_BYTES;
    uint64_t offset = block_no * BLOCK_BYTES;
    CHECK_STATUS(ctx, world->file_open(ctx, log_path, KD_FILE_WRITE, &file));
    if (is_write)
        CHECK_STATUS(ctx, world->file_write(ctx, file, offset, bytes, BLOCK_BYTES));
    else
        CHECK_STATUS(ctx, world->file_read(ctx, file, offset, bytes, BLOCK_BYTES, &read_bytes));
    CHECK_EQ(read_bytes, BLOCK_BYTES);
    world->file_close(world, file);
}

TEST(wal_notices_zeroed_and_misdirected_blocks)
{
    damage_test test;
    damage_begin(&test);
    static char kept[BLOCK_BYTES], other[BLOCK_BYTES];
    for (uint64_t to = 1; to < 2 + RECORD_COUNT; to++)
        for (uint64_t from = 0; from < 2 + RECORD_COUNT; from++) {
            if (from == to)
                continue;
            test_note("block %llu over block %llu", (unsigned long long)from,
                      (unsigned long long)to);
            block_transfer(&test, to, kept, false);
            if (from == 0)
                memset(other, 0, sizeof other);
            else
                block_transfer(&test, from, other, false);
            block_transfer(&test, to, other, true);
            CHECK(damage_is_noticed(&test));
            block_transfer(&test, to, kept, true);
        }
    CHECK(!damage_is_noticed(&test));
    damage_end(&test);
}

/* As when a part of an older copy of the file comes back: the block fits in everything but what
 * stood before it. */
TEST(wal_notices_a_block_of_another_history)
{
    damage_test first, second;
    static char bytes[BLOCK_BYTES];
    damage_begin(&first);
    block_transfer(&first, 7, bytes, false);
    damage_end(&first);
    damage_begin_changed(&second,
                         3); /* In block 5: the file's header and the opening come first. */
    CHECK(!damage_is_noticed(&second));
    block_transfer(&second, 7, bytes, true);
    CHECK(damage_is_noticed(&second));
    damage_end(&second);
}

TEST(wal_counts_its_openings_in_every_block)
{
    damage_test test;
    static char bytes[BLOCK_BYTES];
    damage_begin(&test);
    test.options.read_only = false;
    kd_wal *wal;
    CHECK_STATUS(&test.ctx,
                 kd_wal_open(&test.ctx, &test.account, &test.options, see_in_order, &test, &wal));
    kd_wal_abandon(test.ctx.world, wal);
    block_transfer(&test, 1, bytes, false);
    CHECK_EQ(kd_load_u32(bytes + 48), 1);
    block_transfer(&test, 3 + RECORD_COUNT, bytes, false);
    CHECK_EQ(kd_load_u32(bytes + 48), 2);
    CHECK_EQ(kd_load_u32(bytes + 52), 1); /* An opening block. */
    damage_end(&test);
}
