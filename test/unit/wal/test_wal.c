/*
 * The log on the real disk: what was appended comes back in order, whatever its size;
 * the end is found after a crash; damage is named.
 */
#include "base/thread.h"
#include "wal_fixture.h"

#include <stdio.h>

typedef struct log_test {
    kd_ctx ctx;
    kd_account account;
    kd_arena *arena;
    kd_wal_options options;
    kd_wal *wal;
    uint64_t next_seen; /* The next record that a visit must show. */
    uint64_t last_position;
} log_test;

static kd_status see_next(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    log_test *test = object;
    CHECK_EQ(fixture_check(record), test->next_seen);
    CHECK(record->position > test->last_position);
    test->last_position = record->position;
    test->next_seen++;
    return KD_OK;
}

static void log_begin(log_test *test)
{
    *test = (log_test){.ctx = test_ctx()};
    kd_account_init(&test->account, NULL, "log test", SIZE_MAX);
    test->arena = test_arena(&test->ctx);
    test->options = (kd_wal_options){
        .directory = test_path("wal"),
        .log_id = FIXTURE_LOG_ID,
        .create = true,
        .file_bytes = 256 << 10,
        .buffer_bytes = 1 << 20,
    };
}

static void log_open(log_test *test)
{
    test->next_seen = 0;
    test->last_position = 0;
    CHECK_STATUS(&test->ctx, kd_wal_open(&test->ctx, &test->account, &test->options, see_next, test,
                                         &test->wal));
}

static kd_status log_try_open(log_test *test)
{
    test->next_seen = 0;
    test->last_position = 0;
    return kd_wal_open(&test->ctx, &test->account, &test->options, see_next, test, &test->wal);
}

static void log_close(log_test *test)
{
    CHECK_STATUS(&test->ctx, kd_wal_close(&test->ctx, test->wal));
    test->wal = NULL;
}

static void log_crash(log_test *test)
{
    kd_wal_abandon(test->ctx.world, test->wal);
    test->wal = NULL;
}

static void log_end(log_test *test)
{
    CHECK_EQ(atomic_load(&test->account.used_bytes), 0);
    kd_arena_destroy(test->arena);
}

static uint64_t log_append(log_test *test, uint64_t number, size_t payload_bytes)
{
    kd_arena *arena = kd_arena_create(&test->ctx, test->arena, "append", KD_ARENA_UNLIMITED);
    kd_buffer buffer = kd_buffer_in(arena);
    fixture_record(&test->ctx, &buffer, number, payload_bytes);
    uint64_t position, end;
    CHECK_STATUS(&test->ctx, kd_wal_append(&test->ctx, test->wal, buffer.data, buffer.size_bytes,
                                           &position, &end));
    CHECK_EQ(end - position, buffer.size_bytes);
    kd_arena_destroy(arena);
    return end;
}

static void log_commit(log_test *test, uint64_t number, size_t payload_bytes)
{
    uint64_t end = log_append(test, number, payload_bytes);
    CHECK_STATUS(&test->ctx, kd_wal_wait_durable(&test->ctx, test->wal, end));
    CHECK(kd_wal_durable_position(test->wal) >= end);
}

/* One of the log's files, changed behind its back. */
static void file_change(log_test *test, uint64_t file_no, uint64_t offset, unsigned char mask)
{
    kd_world *world = test->ctx.world;
    kd_file *file;
    char name[64];
    (void)snprintf(name, sizeof name, "wal/%016llx.log", (unsigned long long)file_no);
    CHECK_STATUS(&test->ctx, world->file_open(&test->ctx, test_path(name), KD_FILE_WRITE, &file));
    unsigned char byte;
    size_t read_bytes;
    CHECK_STATUS(&test->ctx, world->file_read(&test->ctx, file, offset, &byte, 1, &read_bytes));
    byte ^= mask;
    CHECK_STATUS(&test->ctx, world->file_write(&test->ctx, file, offset, &byte, 1));
    world->file_close(world, file);
}

TEST(wal_gives_back_what_was_committed)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    CHECK_EQ(kd_wal_next_position(test.wal), KD_WAL_POSITION_FIRST);
    for (uint64_t i = 0; i < 20; i++)
        log_commit(&test, i, 8 + i * 37);
    log_close(&test);
    log_open(&test);
    CHECK_EQ(test.next_seen, 20);
    log_commit(&test, 20, 8);
    log_crash(&test);
    log_open(&test);
    CHECK_EQ(test.next_seen, 21);
    test.next_seen = 0;
    test.last_position = 0;
    CHECK_STATUS(&test.ctx, kd_wal_replay(&test.ctx, test.wal, 0, see_next, &test));
    CHECK_EQ(test.next_seen, 21);
    log_close(&test);
    log_end(&test);
}

TEST(wal_takes_records_of_every_size_across_blocks_and_files)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    static const size_t sizes[] = {8,      4000, 4027,    4028,    4096, 100000, 262144,
                                   300000, 9,    1 << 20, 3500000, 8,    8192};
    uint64_t count = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            if (i % 3 == 0)
                log_commit(&test, count++, sizes[i]);
            else
                (void)log_append(&test, count++, sizes[i]);
        CHECK_STATUS(&test.ctx, kd_wal_flush(&test.ctx, test.wal));
        log_crash(&test);
        log_open(&test);
        CHECK_EQ(test.next_seen, count);
    }
    CHECK(kd_wal_read_statistics(test.wal).file_count > 20);
    log_close(&test);
    log_end(&test);
}

static kd_status entry_count(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    uint64_t *count = object;
    (void)ctx;
    *count += entry->name[0] != '.';
    return KD_OK;
}

/* A spare that becomes a file is none any more: nothing else lies in the directory. */
static void no_file_is_left_over(log_test *test)
{
    uint64_t count = 0;
    kd_wal_statistics statistics = kd_wal_read_statistics(test->wal);
    CHECK_STATUS(&test->ctx, test->ctx.world->directory_list(&test->ctx, test->options.directory,
                                                             entry_count, &count));
    CHECK(count <= statistics.file_count + statistics.spare_count + 1); /* One may be ahead. */
}

TEST(wal_recovers_from_a_noted_position_and_truncates_before_it)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    for (uint64_t i = 0; i < 500; i++)
        log_commit(&test, i, 3000);
    uint64_t noted = kd_wal_next_position(test.wal);
    for (uint64_t i = 500; i < 600; i++)
        log_commit(&test, i, 3000);
    CHECK_STATUS(&test.ctx, kd_wal_slot_set(&test.ctx, test.wal, "replica", noted - 100000, 0));
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, noted));
    kd_wal_statistics statistics = kd_wal_read_statistics(test.wal);
    CHECK(statistics.oldest_position <= noted - 100000);
    CHECK(statistics.oldest_position > KD_WAL_POSITION_FIRST);
    CHECK_EQ(statistics.spare_count, 4);
    kd_wal_slot_drop(test.ctx.world, test.wal, "replica");
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, noted));
    CHECK(kd_wal_read_statistics(test.wal).oldest_position > noted - 256 * 1024);
    CHECK_FAILS(&test.ctx, kd_wal_replay(&test.ctx, test.wal, 0, see_next, &test), "58P01");
    for (uint64_t i = 600; i < 900; i++)
        log_commit(&test, i, 3000);
    CHECK_EQ(kd_wal_read_statistics(test.wal).files_recycled, 4);
    no_file_is_left_over(&test);
    log_crash(&test);
    CHECK_FAILS(&test.ctx, log_try_open(&test), "XX001");
    test.options.start_position = noted;
    test.next_seen = 500;
    test.last_position = 0;
    CHECK_STATUS(&test.ctx,
                 kd_wal_open(&test.ctx, &test.account, &test.options, see_next, &test, &test.wal));
    CHECK_EQ(test.next_seen, 900);
    log_close(&test);
    log_end(&test);
}

TEST(wal_prepares_one_spare_when_the_file_is_half_full)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    log_commit(&test, 0, 1000);
    CHECK_STATUS(&test.ctx, kd_wal_prepare(&test.ctx, test.wal));
    CHECK_EQ(kd_wal_read_statistics(test.wal).spare_count, 0);
    log_commit(&test, 1, 200000);
    CHECK_STATUS(&test.ctx, kd_wal_prepare(&test.ctx, test.wal));
    CHECK_STATUS(&test.ctx, kd_wal_prepare(&test.ctx, test.wal));
    CHECK_EQ(kd_wal_read_statistics(test.wal).spare_count, 1);
    log_commit(&test, 2, 200000);
    kd_wal_statistics statistics = kd_wal_read_statistics(test.wal);
    CHECK_EQ(statistics.spare_count, 0);
    CHECK_EQ(statistics.files_recycled, 1);
    no_file_is_left_over(&test);
    log_crash(&test);
    log_open(&test);
    CHECK_EQ(test.next_seen, 3);
    log_close(&test);
    log_end(&test);
}

TEST(wal_slot_keeps_the_log_until_it_is_dropped)
{
    log_test test;
    bool found;
    uint64_t position;
    log_begin(&test);
    log_open(&test);
    CHECK_STATUS(&test.ctx, kd_wal_slot_set(&test.ctx, test.wal, "copy", KD_WAL_POSITION_FIRST, 0));
    for (uint64_t i = 0; i < 300; i++)
        log_commit(&test, i, 3000);
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, UINT64_MAX));
    CHECK_EQ(kd_wal_read_statistics(test.wal).oldest_position, KD_WAL_POSITION_FIRST);
    kd_wal_slot_drop(test.ctx.world, test.wal, "another");
    kd_wal_slot_find(test.wal, "copy", &position, &found);
    CHECK(found);
    CHECK_EQ(position, KD_WAL_POSITION_FIRST);
    kd_wal_slot_drop(test.ctx.world, test.wal, "copy");
    kd_wal_slot_find(test.wal, "copy", &position, &found);
    CHECK(!found);
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, UINT64_MAX));
    CHECK(kd_wal_read_statistics(test.wal).oldest_position > KD_WAL_POSITION_FIRST);
    log_close(&test);
    log_end(&test);
}

TEST(wal_slot_over_its_limit_is_lost_and_counted)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    CHECK_STATUS(&test.ctx,
                 kd_wal_slot_set(&test.ctx, test.wal, "slow", KD_WAL_POSITION_FIRST, 500000));
    for (uint64_t i = 0; i < 300; i++)
        (void)log_append(&test, i, 3000);
    CHECK_STATUS(&test.ctx, kd_wal_flush(&test.ctx, test.wal));
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, UINT64_MAX));
    CHECK_EQ(kd_wal_read_statistics(test.wal).slots_lost, 1);
    bool found;
    uint64_t position;
    kd_wal_slot_find(test.wal, "slow", &position, &found);
    CHECK(!found);
    CHECK_FAILS(&test.ctx, kd_wal_slot_set(&test.ctx, test.wal, "slow", KD_WAL_POSITION_FIRST, 0),
                "58P01");
    log_close(&test);
    log_end(&test);
}

static kd_status archive_count(kd_ctx *ctx, void *object, const char *path, uint64_t file_no,
                               uint64_t start_position, uint64_t end_position)
{
    int *left = object;
    CHECK(start_position < end_position && path != NULL && file_no > 0);
    if (*left == 0)
        return KD_FAIL(ctx, KD_IO, "58030", "the archive is full");
    (*left)--;
    return KD_OK;
}

TEST(wal_keeps_what_the_archive_did_not_take)
{
    log_test test;
    int archive_left = 2;
    log_begin(&test);
    test.options.archive = archive_count;
    test.options.archive_object = &archive_left;
    log_open(&test);
    for (uint64_t i = 0; i < 400; i++)
        (void)log_append(&test, i, 3000);
    CHECK_STATUS(&test.ctx, kd_wal_flush(&test.ctx, test.wal));
    unsigned before = kd_wal_read_statistics(test.wal).file_count;
    CHECK(before >= 4);
    CHECK_FAILS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, UINT64_MAX), "58030");
    CHECK_EQ(kd_wal_read_statistics(test.wal).file_count, before);
    archive_left = 100;
    CHECK_STATUS(&test.ctx, kd_wal_truncate_before(&test.ctx, test.wal, UINT64_MAX));
    CHECK_EQ(kd_wal_read_statistics(test.wal).file_count, 1);
    CHECK_EQ(archive_left, 100 - (int)before + 3);
    log_close(&test);
    log_end(&test);
}

TEST(wal_drops_a_torn_tail_and_goes_on_behind_it)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    for (uint64_t i = 0; i < 5; i++)
        log_commit(&test, i, 100);
    log_crash(&test);
    /* Header page, opening block, five blocks: the last one is at page 6. */
    file_change(&test, 1, 6 * 4096 + 200, 0x10);
    log_open(&test);
    CHECK_EQ(test.next_seen, 4);
    log_commit(&test, 4, 5000);
    log_crash(&test);
    log_open(&test);
    CHECK_EQ(test.next_seen, 5);
    log_close(&test);
    log_end(&test);
}

TEST(wal_names_a_damaged_block_that_had_been_durable)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    for (uint64_t i = 0; i < 200; i++)
        log_commit(&test, i, 3000);
    log_close(&test);
    file_change(&test, 1, 10 * 4096 + 77, 0x01);
    CHECK_FAILS_WITH(&test.ctx, log_try_open(&test), "XX001",
                     "0000000000000001.log\" is damaged at offset 40960");
    file_change(&test, 1, 10 * 4096 + 77, 0x01);
    file_change(&test, 2, 100, 0x80); /* The padding of a file's header counts too. */
    CHECK_FAILS_WITH(&test.ctx, log_try_open(&test), "XX001",
                     "0000000000000002.log\" is damaged at offset 0");
    file_change(&test, 2, 100, 0x80);
    log_open(&test);
    CHECK_EQ(test.next_seen, 200);
    log_close(&test);
    log_end(&test);
}

TEST(wal_names_the_last_block_damaged_after_a_clean_close)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    for (uint64_t i = 0; i < 3; i++)
        log_commit(&test, i, 100);
    log_close(&test);
    file_change(&test, 1, 4 * 4096 + 100, 0x04);
    CHECK_FAILS_WITH(&test.ctx, log_try_open(&test), "XX001", "offset 16384");
    log_end(&test);
}

TEST(wal_names_a_log_that_ends_before_what_the_root_knows)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    for (uint64_t i = 0; i < 3; i++)
        log_commit(&test, i, 100);
    test.options.known_durable_position = kd_wal_durable_position(test.wal);
    log_crash(&test);
    log_open(&test);
    log_crash(&test);
    file_change(&test, 1, 4 * 4096 + 100, 0x04);
    file_change(&test, 1, 5 * 4096 + 100, 0x04); /* The second opening's block is no witness now. */
    file_change(&test, 1, 5 * 4096 + 10, 0x04);
    CHECK_FAILS(&test.ctx, log_try_open(&test), "XX001");
    log_end(&test);
}

TEST(wal_refuses_a_foreign_log_and_a_newer_format)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    log_commit(&test, 0, 100);
    log_close(&test);
    test.options.log_id = FIXTURE_LOG_ID + 1;
    CHECK_FAILS_WITH(&test.ctx, log_try_open(&test), "55000", "another database");
    log_end(&test);
}

TEST(wal_absent_where_it_must_be_is_an_error)
{
    log_test test;
    log_begin(&test);
    test.options.create = false;
    CHECK_FAILS(&test.ctx, log_try_open(&test), "58P01");
    CHECK_STATUS(&test.ctx, test.ctx.world->directory_create(&test.ctx, test.options.directory));
    CHECK_FAILS(&test.ctx, log_try_open(&test), "XX001");
    CHECK(test.wal == NULL);
    log_end(&test);
}

TEST(wal_read_only_shows_everything_and_changes_nothing)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    log_commit(&test, 0, 100);
    log_crash(&test);
    test.options.read_only = true;
    log_open(&test);
    CHECK_EQ(test.next_seen, 1);
    char record[KD_WAL_FRAME_BYTES + 8] = {8, 0, 0, 0, FIXTURE_KIND};
    CHECK_FAILS(&test.ctx, kd_wal_append(&test.ctx, test.wal, record, sizeof record, NULL, NULL),
                "25006");
    log_close(&test);
    log_end(&test);
}

TEST(wal_in_memory_counts_positions_and_waits_for_nothing)
{
    log_test test;
    log_begin(&test);
    test.options.directory = NULL;
    log_open(&test);
    uint64_t end = log_append(&test, 0, 5 << 20);
    CHECK_STATUS(&test.ctx, kd_wal_wait_durable(&test.ctx, test.wal, end));
    CHECK_EQ(kd_wal_next_position(test.wal), end);
    log_close(&test);
    log_end(&test);
}

static void reserved_note(void *object, uint64_t position, uint64_t end)
{
    uint64_t *noted = object;
    noted[0] = position;
    noted[1] = end;
}

TEST(wal_reservation_holds_back_what_follows_it)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    kd_buffer buffer = kd_buffer_in(test.arena);
    fixture_record(&test.ctx, &buffer, 0, 50);
    kd_wal_reservation reservation;
    uint64_t noted[2];
    CHECK_STATUS(&test.ctx, kd_wal_reserve(&test.ctx, test.wal, buffer.size_bytes, 0, reserved_note,
                                           noted, &reservation));
    CHECK_EQ(noted[0], reservation.position);
    CHECK_EQ(noted[1], reservation.end);
    uint64_t durable = kd_wal_durable_position(test.wal);
    uint64_t end = log_append(&test, 1, 100);
    CHECK_EQ(kd_wal_durable_position(test.wal), durable);
    CHECK_STATUS(&test.ctx, kd_wal_fill(&test.ctx, test.wal, &reservation, buffer.data));
    CHECK_STATUS(&test.ctx, kd_wal_wait_durable(&test.ctx, test.wal, end));
    log_crash(&test);
    log_open(&test);
    CHECK_EQ(test.next_seen, 2);
    log_close(&test);
    log_end(&test);
}

enum { THREAD_COUNT = 8, RECORDS_PER_THREAD = 60 };

typedef struct appender {
    log_test *test;
    kd_thread *thread;
    uint64_t number;
} appender;

static void append_many(void *object)
{
    appender *self = object;
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    test_random random = {.state = self->number};
    for (uint64_t i = 0; i < RECORDS_PER_THREAD; i++) {
        kd_arena_reset(arena);
        kd_buffer buffer = kd_buffer_in(arena);
        size_t payload_bytes = 8 + test_random_below(&random, i % 10 == 9 ? 700000 : 3000);
        fixture_record(&ctx, &buffer, self->number << 32 | i, payload_bytes);
        uint64_t end;
        if (i % 2 == 0) {
            CHECK_STATUS(&ctx, kd_wal_append(&ctx, self->test->wal, buffer.data, buffer.size_bytes,
                                             NULL, &end));
        } else {
            kd_wal_reservation reservation;
            CHECK_STATUS(&ctx, kd_wal_reserve(&ctx, self->test->wal, buffer.size_bytes, 0, NULL,
                                              NULL, &reservation));
            CHECK_STATUS(&ctx, kd_wal_fill(&ctx, self->test->wal, &reservation, buffer.data));
            end = reservation.end;
        }
        if (i % 5 != 0)
            CHECK_STATUS(&ctx, kd_wal_wait_durable(&ctx, self->test->wal, end));
    }
    CHECK_STATUS(&ctx, kd_wal_flush(&ctx, self->test->wal));
    kd_arena_destroy(arena);
}

static kd_status see_by_thread(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    uint64_t *next = object;
    uint64_t number = fixture_check(record);
    CHECK((number >> 32) < THREAD_COUNT);
    CHECK_EQ(number & UINT32_MAX, next[number >> 32]++);
    return KD_OK;
}

TEST(wal_keeps_every_record_of_several_threads_in_order)
{
    log_test test;
    log_begin(&test);
    log_open(&test);
    appender appenders[THREAD_COUNT];
    for (uint64_t i = 0; i < THREAD_COUNT; i++) {
        appenders[i] = (appender){.test = &test, .number = i};
        CHECK_STATUS(&test.ctx, kd_thread_start(&test.ctx, "appender", append_many, &appenders[i],
                                                &appenders[i].thread));
    }
    for (int i = 0; i < THREAD_COUNT; i++)
        kd_thread_join(test.ctx.world, appenders[i].thread);
    log_crash(&test);
    uint64_t next[THREAD_COUNT] = {0};
    CHECK_STATUS(&test.ctx, kd_wal_open(&test.ctx, &test.account, &test.options, see_by_thread,
                                        next, &test.wal));
    for (int i = 0; i < THREAD_COUNT; i++)
        CHECK_EQ(next[i], RECORDS_PER_THREAD);
    log_close(&test);
    log_end(&test);
}
