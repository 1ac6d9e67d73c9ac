/*
 * What happens beside a checkpoint, between its capture and its end: moves of rows, and readers
 * that began before. A world whose first write of a checkpoint calls back puts both exactly there.
 */
#include "table_fixture.h"

enum { ROWS = 3000 };

static kd_world world;
static void (*beside)(table_fixture *f);
static table_fixture *fixture;

static kd_status write_beside(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                              size_t size_bytes)
{
    void (*once)(table_fixture * f) = beside;
    beside = NULL;
    if (once != NULL)
        once(fixture);
    return kd_world_posix()->file_write(ctx, file, offset, source, size_bytes);
}

static void rows_insert(table_fixture *f, int64_t first, int64_t count)
{
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = first; id < first + count; id++)
        fixture_insert(f, txn, id, "a name of some length", (int32_t)(id % 50));
    fixture_commit(f, txn);
}

static void open_beside(table_fixture *f)
{
    world = *kd_world_posix();
    world.file_write = write_beside;
    kd_ctx ctx = {.world = &world};
    kd_error_clear(&ctx);
    fixture = f;
    fixture_open_in(f, ctx, test_path("db"), false);
}

static kd_index_scan *scan_open(table_fixture *f, kd_txn *txn)
{
    kd_index_scan *scan;
    kd_index_scan_range range = {0};
    CHECK_STATUS(&f->ctx, kd_index_scan_open(&f->ctx, kd_txn_arena(txn), f->table,
                                             kd_txn_snapshot(txn), f->primary, &range, &scan));
    return scan;
}

static uint64_t scan_count(table_fixture *f, kd_index_scan *scan)
{
    uint64_t count = 0;
    for (;;) {
        kd_rowref ref;
        bool is_end;
        CHECK_STATUS(&f->ctx, kd_index_scan_next(&f->ctx, scan, &ref, &is_end));
        if (is_end)
            return count;
        count++;
    }
}

static kd_txn *reader;
static kd_index_scan *reader_scan;

static void reader_begin(table_fixture *f)
{
    reader = fixture_begin(f);
    reader_scan = scan_open(f, reader);
}

/* A cursor keeps the index as it was, with the places of before the flush. The checkpoint rewrote
 * the index and then forgot where those places had gone: the scan went on without the rows. */
TEST(an_index_scan_that_began_during_a_checkpoint_misses_nothing)
{
    table_fixture f;
    open_beside(&f);
    rows_insert(&f, 0, ROWS);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage)); /* Into runs. */
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));          /* Other places. */
    rows_insert(&f, ROWS, 1);                                       /* Something for the image. */
    beside = reader_begin;
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    CHECK(beside == NULL);
    CHECK_EQ(scan_count(&f, reader_scan), ROWS + 1);
    kd_index_scan_close(reader_scan);
    fixture_commit(&f, reader);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    fixture_close(&f);
}

static void insert_and_flush_beside(table_fixture *f)
{
    rows_insert(f, 10, ROWS);
    CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
}

/* Rows that were inserted and moved after the capture: the index runs of the checkpoint had
 * followed the move, recovery inserted them at their first place again, and an index scan gave them
 * twice. */
TEST(rows_that_come_and_move_during_a_checkpoint_have_one_entry_after_a_crash)
{
    table_fixture f;
    open_beside(&f);
    rows_insert(&f, 0, 10);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table)); /* So that runs follow moves. */
    beside = insert_and_flush_beside;
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    CHECK(beside == NULL);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    kd_txn *txn = fixture_begin(&f);
    kd_index_scan *scan = scan_open(&f, txn);
    CHECK_EQ(scan_count(&f, scan), ROWS + 10);
    kd_index_scan_close(scan);
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), ROWS + 10);
    fixture_close(&f);
}

static uint64_t checkpoints(table_fixture *f)
{
    return kd_storage_read_statistics(f->storage).checkpoint_count;
}

/* Waits for what must come; the bound only keeps a broken build from hanging. */
static void await_checkpoint(table_fixture *f, uint64_t before)
{
    for (int i = 0; i < 3000 && checkpoints(f) == before; i++)
        f->ctx.world->sleep_ns(f->ctx.world, 10u * 1000 * 1000);
    CHECK(checkpoints(f) > before);
}

TEST(checkpoints_come_with_time_once_something_is_written)
{
    table_fixture f;
    fixture_open(&f);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    f.options.no_background = false;
    f.options.checkpoint_ns = 1;
    fixture_reopen(&f);
    for (int64_t round = 0; round < 2; round++) {
        uint64_t before = checkpoints(&f);
        for (int64_t part = 0; part < 10; part++)
            rows_insert(&f, round * 10 * ROWS + part * ROWS, ROWS);
        await_checkpoint(&f, before);
    }
    CHECK_EQ(fixture_count(&f), 20 * ROWS);
    fixture_close(&f);
}

TEST(a_single_row_brings_a_checkpoint_and_nothing_brings_none)
{
    table_fixture f;
    fixture_open(&f);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    f.options.no_background = false;
    fixture_reopen(&f);
    kd_storage_set_checkpoint_ns(f.storage, 1);
    uint64_t before = checkpoints(&f);
    rows_insert(&f, 0, 1);
    await_checkpoint(&f, before);
    before = checkpoints(&f);
    f.ctx.world->sleep_ns(f.ctx.world, 500u * 1000 * 1000); /* Some ticks of the upkeep. */
    CHECK(checkpoints(&f) <= before + 1);                   /* The row may have come between two. */
    fixture_close(&f);
}
