/*
 * Taking, restoring and pruning backups, alone and beside everything that changes files.
 */
#include "backup_fixture.h"

enum { ROWS = 20000, ROWS_BESIDE = 500 };

static kd_backup_info backup(table_fixture *f)
{
    kd_backup_info info;
    CHECK_STATUS(&f->ctx, kd_backup_take(&f->ctx, f->storage, test_path("backups"), 0, &info));
    return info;
}

static uint64_t restore(table_fixture *f, const char *id, const char *name)
{
    kd_backup_info info;
    char directory[4096];
    (void)snprintf(directory, sizeof directory, "%s", test_path(name));
    CHECK_STATUS(&f->ctx, kd_backup_restore(&f->ctx, test_path("backups"), id, directory, &info));
    return restored_rows(f, directory);
}

TEST(a_backup_holds_what_was_committed)
{
    table_fixture f;
    fixture_open(&f);
    CHECK(backup(&f).file_count > 0); /* An empty table. */
    rows_add(&f, 0, ROWS);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    rows_add(&f, ROWS, 5);
    kd_backup_info info = backup(&f);
    rows_add(&f, ROWS + 5, 5);
    CHECK_EQ(restore(&f, NULL, "new"), ROWS + 5);
    CHECK_STATUS(&f.ctx, kd_backup_verify(&f.ctx, test_path("backups"), info.id, &info));
    fixture_close(&f);
}

TEST(later_backups_copy_what_is_new)
{
    table_fixture f;
    fixture_open(&f);
    rows_add(&f, 0, ROWS * 5);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    kd_backup_info first = backup(&f);
    rows_add(&f, ROWS * 5, ROWS / 20);
    kd_backup_info second = backup(&f);
    CHECK(second.copied_count < second.file_count); /* Not the segment. */
    CHECK(second.copied_bytes < second.file_bytes);
    CHECK_EQ(restore(&f, first.id, "old"), ROWS * 5);
    CHECK_EQ(restore(&f, second.id, "new"), ROWS * 5 + ROWS / 20);
    fixture_close(&f);
}

/* Of the log too: a file of it that has grown since is not copied again from its beginning. */
TEST(a_later_backup_copies_little_of_the_log)
{
    table_fixture f;
    fixture_open(&f);
    rows_add(&f, 0, ROWS / 2);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    kd_backup_info first = backup(&f);
    kd_backup_info unchanged = backup(&f);
    CHECK(unchanged.copied_bytes < first.file_bytes / 10);
    for (int i = 0; i < 5; i++) {
        rows_add(&f, ROWS / 2 + i * 100, 100);
        CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, false));
        (void)backup(&f);
    }
    CHECK_EQ(restore(&f, NULL, "new"), ROWS / 2 + 500);
    CHECK_EQ(restore(&f, first.id, "old"), ROWS / 2);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    fixture_reopen(&f);
    rows_add(&f, ROWS / 2 + 500, 100);
    kd_backup_info later = backup(&f);
    CHECK(later.copied_bytes < later.file_bytes / 2);
    CHECK_EQ(restore(&f, NULL, "newer"), ROWS / 2 + 600);
    fixture_close(&f);
}

static int64_t day_us;

static int64_t wall_of_a_day(kd_world *world)
{
    (void)world;
    return day_us;
}

TEST(pruning_keeps_one_of_each_day_and_month)
{
    enum { DAYS = 60, PATH_BYTES = 1024 };
    table_fixture f;
    kd_backup_pruned pruned;
    kd_backup_info *infos;
    size_t count;
    char target[PATH_BYTES]; /* That of test_path is used again. */
    (void)snprintf(target, sizeof target, "%s", test_path("backups"));
    fixture_open(&f);
    rows_add(&f, 0, 100);
    kd_world world = *f.ctx.world, *real = f.ctx.world;
    world.wall_us = wall_of_a_day;
    f.ctx.world = &world;
    day_us = INT64_C(1767225600000000); /* 2026-01-01 */
    for (int i = 0; i < DAYS; i++) {
        (void)backup(&f);
        day_us += INT64_C(3600000000); /* Two a day: the later one stays. */
        (void)backup(&f);
        day_us += INT64_C(82800000000);
    }
    kd_backup_keep keep = {.daily = 7, .monthly = 12};
    CHECK_STATUS(&f.ctx, kd_backup_prune(&f.ctx, target, &keep, &pruned));
    kd_arena_reset(f.arena);
    CHECK_STATUS(&f.ctx, kd_backup_list(&f.ctx, f.arena, target, &infos, &count));
    CHECK_EQ(count, 8); /* 31 January; 23 February to 1 March. */
    CHECK_EQ(pruned.backups, 2 * DAYS - 8);
    CHECK(strncmp(infos[0].id, "20260131T01", 11) == 0);
    CHECK(strncmp(infos[1].id, "20260223T01", 11) == 0);
    CHECK(strncmp(infos[7].id, "20260301T01", 11) == 0);
    /* Of two months, January is none. */
    keep = (kd_backup_keep){.count = 1, .monthly = 2};
    CHECK_STATUS(&f.ctx, kd_backup_prune(&f.ctx, target, &keep, &pruned));
    kd_arena_reset(f.arena);
    CHECK_STATUS(&f.ctx, kd_backup_list(&f.ctx, f.arena, target, &infos, &count));
    CHECK_EQ(count, 2);
    CHECK(strncmp(infos[0].id, "20260228T01", 11) == 0);
    f.ctx.world = real;
    CHECK_EQ(restore(&f, NULL, "new"), 100);
    fixture_close(&f);
}

TEST(pruning_takes_what_no_backup_needs)
{
    table_fixture f;
    kd_backup_pruned pruned;
    kd_backup_info *infos;
    size_t count;
    const char *target = test_path("backups");
    fixture_open(&f);
    for (int i = 0; i < 4; i++) {
        rows_add(&f, i * ROWS, ROWS);
        CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, true));
        backup(&f);
    }
    CHECK_FAILS(&f.ctx, kd_backup_prune(&f.ctx, target, &(kd_backup_keep){.count = 0}, &pruned),
                "22023");
    CHECK_STATUS(&f.ctx,
                 kd_backup_prune(&f.ctx, target,
                                 &(kd_backup_keep){.count = 1, .age_us = INT64_C(3600000000)},
                                 &pruned));
    CHECK_EQ(pruned.backups, 0); /* All are younger than an hour. */
    CHECK_STATUS(&f.ctx, kd_backup_prune(&f.ctx, target, &(kd_backup_keep){.count = 2}, &pruned));
    CHECK_EQ(pruned.backups, 2);
    CHECK(pruned.objects > 0);
    kd_arena_reset(f.arena);
    CHECK_STATUS(&f.ctx, kd_backup_list(&f.ctx, f.arena, target, &infos, &count));
    CHECK_EQ(count, 2);
    char older[KD_BACKUP_ID_BYTES];
    (void)snprintf(older, sizeof older, "%s", infos[0].id);
    CHECK_EQ(restore(&f, older, "old"), 3 * ROWS);
    CHECK_EQ(restore(&f, NULL, "new"), 4 * ROWS);
    fixture_close(&f);
}

/* --- Beside everything else ------------------------------------------------------------------ */

static kd_world world;
static table_fixture *beside;
static int64_t beside_rows;
static unsigned beside_turn;

/* Before each file is copied: rows, then a flush, a compaction or a checkpoint. */
static kd_status open_beside(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file)
{
    table_fixture *f = beside;
    size_t length = strlen(path);
    if (f != NULL && length > 12 && strcmp(path + length - 12, "/objects/new") == 0) {
        beside = NULL; /* Not inside of itself. */
        kd_error_clear(&f->ctx);
        rows_add(f, beside_rows, ROWS_BESIDE);
        beside_rows += ROWS_BESIDE;
        if (beside_turn % 3 == 0)
            CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
        if (beside_turn % 3 == 1)
            CHECK_STATUS(&f->ctx, kd_storage_flush(&f->ctx, f->storage, true));
        CHECK_STATUS(&f->ctx, kd_storage_checkpoint(&f->ctx, f->storage));
        beside_turn++;
        beside = f;
    }
    return kd_world_posix()->file_open(ctx, path, flags, out_file);
}

TEST(a_backup_beside_flushes_compactions_and_checkpoints_is_whole)
{
    table_fixture f;
    world = *kd_world_posix();
    world.file_open = open_beside;
    kd_ctx ctx = {.world = &world};
    beside = NULL;
    fixture_open_in(&f, ctx, test_path("db"), true);
    rows_add(&f, 0, ROWS);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    rows_add(&f, ROWS, ROWS);
    beside_rows = 2 * ROWS;
    for (unsigned turn = 0; turn < 3; turn++) {
        kd_ctx own = {.world = &world};
        kd_backup_info info;
        char name[16];
        int64_t rows_before = beside_rows;
        beside_turn = turn;
        beside = &f;
        CHECK_STATUS(&own, kd_backup_take(&own, f.storage, test_path("backups"), 0, &info));
        beside = NULL;
        CHECK(beside_turn > turn);
        (void)snprintf(name, sizeof name, "new%u", turn);
        uint64_t rows = restore(&f, info.id, name);
        CHECK(rows >= (uint64_t)rows_before && rows <= (uint64_t)beside_rows);
    }
    fixture_close(&f);
}

/* What a checkpoint beside a backup has replaced goes with the next one. */
TEST(what_a_backup_held_goes_afterwards)
{
    table_fixture f;
    kd_storage_hold hold;
    bool exists;
    fixture_open(&f);
    rows_add(&f, 0, ROWS);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    kd_arena *arena = kd_arena_create(&f.ctx, NULL, "hold", KD_ARENA_UNLIMITED);
    CHECK_STATUS(&f.ctx, kd_storage_hold_begin(&f.ctx, arena, f.storage, &hold));
    rows_add(&f, ROWS, ROWS);
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, true));
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    for (size_t i = 0; i < hold.file_count; i++) {
        CHECK_STATUS(&f.ctx, f.ctx.world->path_exists(&f.ctx, hold.files[i].path, &exists));
        CHECK(exists);
    }
    kd_storage_hold_end(f.storage, &hold);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    size_t gone = 0;
    for (size_t i = 0; i < hold.file_count; i++) {
        CHECK_STATUS(&f.ctx, f.ctx.world->path_exists(&f.ctx, hold.files[i].path, &exists));
        gone += !exists;
    }
    CHECK(gone >= 2); /* The image and the segment. */
    kd_arena_destroy(arena);
    fixture_close(&f);
}

static void rows_add_scored(table_fixture *f, int64_t first, int32_t score)
{
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = first; id < first + ROWS; id++)
        fixture_insert(f, txn, id, "a name of some length", score);
    fixture_commit(f, txn);
    CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
}

/* Of one database, under another directory and with an arena of its own. */
static void twin_open(const table_fixture *f, const char *directory, table_fixture *twin)
{
    *twin = *f;
    twin->options.directory = directory;
    twin->arena = kd_arena_create(&twin->ctx, NULL, "twin", KD_ARENA_UNLIMITED);
    CHECK(twin->arena != NULL);
    fixture_reopen(twin);
}

static void twin_close(table_fixture *twin)
{
    CHECK_STATUS(&twin->ctx, kd_storage_check(&twin->ctx, twin->storage));
    CHECK_STATUS(&twin->ctx, kd_storage_close(&twin->ctx, twin->storage));
    kd_arena_destroy(twin->arena);
}

/* A database and one that was made of its backup both go on: the same numbers, sizes and even rows,
 * but other scores. A file counts as known by its end, not by its name and size. */
TEST(twins_that_share_a_directory_of_backups_keep_their_own_files)
{
    table_fixture f, twin, again;
    kd_backup_info info;
    int64_t sum;
    fixture_open(&f);
    rows_add_scored(&f, 0, 1);
    backup(&f);
    CHECK_STATUS(&f.ctx,
                 kd_backup_restore(&f.ctx, test_path("backups"), NULL, test_path("twin"), &info));
    twin_open(&f, test_path("twin"), &twin);
    rows_add_scored(&f, ROWS, 2);
    rows_add_scored(&twin, ROWS, 3);
    backup(&f);
    backup(&twin);
    twin_close(&twin);
    CHECK_STATUS(&f.ctx,
                 kd_backup_restore(&f.ctx, test_path("backups"), NULL, test_path("again"), &info));
    twin_open(&f, test_path("again"), &again);
    kd_txn *txn = fixture_begin(&again);
    CHECK_EQ(fixture_scan(&again, kd_txn_snapshot(txn), &sum), 2 * ROWS);
    CHECK_EQ(sum, ROWS * 1 + ROWS * 3);
    fixture_commit(&again, txn);
    twin_close(&again);
    fixture_close(&f);
}
