/*
 * Every allocation and every disk call of the log's life fails once. The call that
 * needed it reports it, nothing leaks, and what was acknowledged before is still there
 * when the log is opened again.
 */
#include "sim_world.h"
#include "wal_fixture.h"

typedef struct seen {
    uint64_t count;
} seen;

static kd_status see_in_order(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    seen *self = object;
    CHECK_EQ(fixture_check(record), self->count);
    self->count++;
    return KD_OK;
}

static kd_wal_options options_small(void)
{
    return (kd_wal_options){
        .directory = "wal",
        .log_id = FIXTURE_LOG_ID,
        .create = true,
        .file_bytes = 64 << 10,
        .buffer_bytes = 1 << 20,
    };
}

static kd_account account;

static kd_status record_append(kd_ctx *ctx, kd_wal *wal, uint64_t number, size_t payload_bytes,
                               uint64_t *out_end)
{
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "append", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_buffer buffer = kd_buffer_in(arena);
    size_t mark;
    char *at;
    KD_TRY_OUT(kd_wal_record_begin(ctx, &buffer, FIXTURE_KIND, &mark));
    KD_TRY_OUT(kd_buffer_reserve(ctx, &buffer, payload_bytes, &at));
    fixture_payload(number, at, payload_bytes);
    buffer.size_bytes += payload_bytes;
    KD_TRY_OUT(kd_wal_record_end(ctx, &buffer, mark));
    KD_TRY_OUT(kd_wal_append(ctx, wal, buffer.data, buffer.size_bytes, NULL, out_end));
out:
    kd_arena_destroy(arena);
    return status;
}

/* What the last body acknowledged, looked at after it failed. */
static uint64_t acknowledged_count;

static kd_status life(sim_world *sim, kd_ctx *ctx)
{
    kd_status status = KD_OK;
    kd_wal *wal = NULL;
    seen before = {0};
    kd_account_init(&account, NULL, "wal", SIZE_MAX);
    kd_wal_options options = options_small();
    KD_TRY_OUT(kd_wal_open(ctx, &account, &options, see_in_order, &before, &wal));
    CHECK(before.count >= acknowledged_count);
    uint64_t next = before.count;
    acknowledged_count = next;
    uint64_t noted = 0;
    for (uint64_t i = 0; i < 12; i++) {
        uint64_t end;
        KD_TRY_OUT(record_append(ctx, wal, next++, i == 5 ? 200000 : 20 + i * 900, &end));
        if (i % 3 != 0)
            continue;
        KD_TRY_OUT(kd_wal_wait_durable(ctx, wal, end));
        acknowledged_count = next;
        noted = end;
    }
    KD_TRY_OUT(kd_wal_prepare(ctx, wal));
    seen again = {0};
    KD_TRY_OUT(kd_wal_replay(ctx, wal, 0, see_in_order, &again));
    CHECK(again.count >= acknowledged_count);
    KD_TRY_OUT(kd_wal_slot_set(ctx, wal, "reader", KD_WAL_POSITION_FIRST, 0));
    KD_TRY_OUT(kd_wal_truncate_before(ctx, wal, noted));
    kd_wal *closing = wal;
    wal = NULL; /* Gone in any case. */
    KD_TRY_OUT(kd_wal_close(ctx, closing));
    acknowledged_count = next;
out:
    kd_wal_abandon(sim_kd_world(sim), wal);
    return status;
}

static void life_forgotten(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    (void)ctx;
    acknowledged_count = 0;
}

static void life_before(sim_world *sim, kd_ctx *ctx)
{
    acknowledged_count = 0;
    CHECK_STATUS(ctx, life(sim, ctx));
}

TEST(wal_life_survives_every_single_fault)
{
    sim_sweep_faults(life, life_forgotten);
}

TEST(wal_reopening_survives_every_single_fault)
{
    sim_sweep_faults(life, life_before);
}

TEST(wal_keeps_what_it_acknowledged_before_any_fault)
{
    for (uint64_t nth = 1;; nth++) {
        test_note("disk call %llu fails", (unsigned long long)nth);
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, nth);
        kd_ctx ctx = sim_ctx(sim);
        acknowledged_count = 0;
        sim_fail_nth_disk_call(sim, nth, nth % 2 == 0);
        kd_status status = life(sim, &ctx);
        bool has_fired = sim_fault_fired(sim);
        sim_fail_nth_disk_call(sim, 0, false);
        CHECK((status == KD_OK) == !has_fired);
        if (nth % 3 == 0)
            sim_crash(sim);
        sim_destroy(sim);
        sim = sim_create(disk, nth);
        ctx = sim_ctx(sim);
        CHECK_STATUS(&ctx, life(sim, &ctx));
        sim_destroy(sim);
        sim_disk_destroy(disk);
        if (!has_fired)
            break;
    }
}

TEST(wal_fails_for_good_after_a_failed_write)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 5);
    kd_ctx ctx = sim_ctx(sim);
    kd_account_init(&account, NULL, "wal", SIZE_MAX);
    kd_wal_options options = options_small();
    kd_wal *wal;
    uint64_t end;
    CHECK_STATUS(&ctx, kd_wal_open(&ctx, &account, &options, NULL, NULL, &wal));
    CHECK_STATUS(&ctx, record_append(&ctx, wal, 0, 100, &end));
    sim_fail_nth_disk_call(sim, 1, false);
    CHECK_EQ(kd_wal_wait_durable(&ctx, wal, end), KD_IO);
    kd_error_clear(&ctx);
    /* The disk is well again, but what it lost nobody knows: nothing is tried again. */
    CHECK_FAILS_WITH(&ctx, kd_wal_wait_durable(&ctx, wal, end), "58030", "has failed");
    CHECK_FAILS(&ctx, record_append(&ctx, wal, 1, 100, &end), "58030");
    CHECK(kd_wal_read_statistics(wal).has_failed);
    CHECK_FAILS(&ctx, kd_wal_close(&ctx, wal), "58030");
    sim_destroy(sim);
    sim_disk_destroy(disk);
}

/* The log learned of a full disk after its records had their places, and was lost with it. */
TEST(wal_goes_on_when_a_full_disk_has_room_again)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 5);
    kd_ctx ctx = sim_ctx(sim);
    kd_account_init(&account, NULL, "wal", SIZE_MAX);
    kd_wal_options options = options_small();
    kd_wal *wal;
    uint64_t end, number = 0;
    CHECK_STATUS(&ctx, kd_wal_open(&ctx, &account, &options, NULL, NULL, &wal));
    for (uint64_t round = 1; round <= 3; round++) {
        sim_disk_set_capacity(disk, sim_disk_used_bytes(disk) + round * 100000);
        CHECK_FAILS_WITH(&ctx, record_append(&ctx, wal, number, 1 << 20, &end), "53100",
                         "No space left");
        /* Smaller ones find what is left of the room. */
        kd_status status;
        while ((status = record_append(&ctx, wal, number, 3000, &end)) == KD_OK) {
            CHECK_STATUS(&ctx, kd_wal_wait_durable(&ctx, wal, end));
            number++;
        }
        CHECK_FAILS(&ctx, status, "53100");
        CHECK(!kd_wal_read_statistics(wal).has_failed);
        CHECK_STATUS(&ctx, kd_wal_flush(&ctx, wal));
        sim_disk_set_capacity(disk, 0);
        CHECK_STATUS(&ctx, record_append(&ctx, wal, number++, 1 << 20, &end));
        CHECK_STATUS(&ctx, kd_wal_wait_durable(&ctx, wal, end));
    }
    sim_disk_set_capacity(disk, 1);
    CHECK_STATUS(&ctx, kd_wal_close(&ctx, wal)); /* The closing block had its place all along. */
    sim_disk_set_capacity(disk, 0);
    seen after = {0};
    CHECK_STATUS(&ctx, kd_wal_open(&ctx, &account, &options, see_in_order, &after, &wal));
    CHECK_EQ(after.count, number);
    CHECK_STATUS(&ctx, kd_wal_close(&ctx, wal));
    sim_destroy(sim);
    sim_disk_destroy(disk);
}
