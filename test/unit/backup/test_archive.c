/*
 * Following the log into an archive, and restoring from it: the latest, a moment, a position;
 * beside flushes, compactions, checkpoints, reopening and pruning.
 */
#include "archive_fixture.h"

enum { ROWS = 3000 };

TEST(an_archive_holds_what_was_committed_after_its_backup)
{
    archive_fixture a;
    archive_open(&a);
    rows_add(&a.f, 0, ROWS);
    archive_start(&a);
    rows_add(&a.f, ROWS, 5);
    archive_step(&a);
    rows_add(&a.f, ROWS + 5, 5); /* Not copied. */
    kd_restored restored;
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), ROWS + 5);
    archive_step(&a);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "newer", &restored), ROWS + 10);
    archive_close(&a);
}

/* Segments that the log installs, log files that checkpoints cut, and what reopening writes. */
TEST(an_archive_follows_flushes_compactions_checkpoints_and_openings)
{
    archive_fixture a;
    kd_restored restored;
    archive_open(&a);
    archive_start(&a);
    int64_t rows = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++, rows += ROWS) {
            rows_add(&a.f, rows, ROWS);
            CHECK_STATUS(&a.f.ctx, kd_table_flush(&a.f.ctx, a.f.table));
            if (i != 1)
                archive_step(&a);
            CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
            CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
        }
        if (round % 2 == 0)
            archive_reopen(&a, true);
        else
            archive_reopen(&a, false);
        rows_add(&a.f, rows, 7);
        rows += 7;
        archive_step(&a);
        char name[16];
        (void)snprintf(name, sizeof name, "new%d", round);
        CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, name, &restored), (uint64_t)rows);
    }
    kd_backup_info info;
    CHECK_STATUS(&a.f.ctx, kd_backup_verify(&a.f.ctx, a.target, NULL, &info));
    archive_close(&a);
}

/* What nobody but the archive wants goes with the first checkpoint after it was copied. */
TEST(segments_stay_until_they_are_archived)
{
    archive_fixture a;
    archive_open(&a);
    archive_start(&a);
    rows_add(&a.f, 0, ROWS);
    CHECK_STATUS(&a.f.ctx, kd_table_flush(&a.f.ctx, a.f.table));
    rows_add(&a.f, ROWS, ROWS);
    CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
    CHECK(kd_storage_archive_kept_bytes(a.f.storage) > 0);
    size_t before = segment_file_count(&a);
    archive_step(&a);
    CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
    CHECK(segment_file_count(&a) < before);
    kd_restored restored;
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 2 * ROWS);
    archive_close(&a);
}

TEST(a_restore_ends_at_a_moment_or_a_position)
{
    enum { STEPS = 8 };
    archive_fixture a;
    int64_t moments[STEPS];
    uint64_t positions[STEPS];
    kd_restored restored;
    kd_wal_statistics log;
    archive_open(&a);
    archive_start(&a);
    for (int i = 0; i < STEPS; i++) {
        rows_add(&a.f, i * 100, 100);
        if (i == 4)
            CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
        if (i % 3 == 0)
            archive_step(&a);
        a.f.ctx.world->sleep_ns(a.f.ctx.world, 2000000);
        moments[i] = a.f.ctx.world->wall_us(a.f.ctx.world);
        log = kd_wal_read_statistics(kd_storage_log(a.f.storage));
        positions[i] = log.next_position;
        a.f.ctx.world->sleep_ns(a.f.ctx.world, 2000000);
    }
    archive_step(&a);
    for (int i = 0; i < STEPS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "moment%d", i);
        kd_restore_wish moment = {.moment_us = moments[i]};
        CHECK_EQ(archive_restore(&a, moment, name, &restored), (uint64_t)(i + 1) * 100);
        (void)snprintf(name, sizeof name, "position%d", i);
        kd_restore_wish position = {.to_position = positions[i]};
        CHECK_EQ(archive_restore(&a, position, name, &restored), (uint64_t)(i + 1) * 100);
        CHECK(restored.position <= positions[i]);
    }
    kd_restore_wish late = {.moment_us = a.f.ctx.world->wall_us(a.f.ctx.world) + 1000000};
    archive_refused(&a, late, "58P01", "ends at position");
    kd_restore_wish early = {.moment_us = 1000000};
    archive_refused(&a, early, "58P01", "no backup");
    kd_restore_wish far = {.to_position = positions[STEPS - 1] + 100000};
    archive_refused(&a, far, "58P01", "ends at position");
    archive_close(&a);
}

/* A later backup takes over; what only the earlier ones need goes. */
TEST(pruning_keeps_the_archive_of_the_backups_that_stay)
{
    archive_fixture a;
    kd_backup_info info;
    kd_backup_pruned pruned;
    kd_restored restored;
    int64_t moments[4];
    archive_open(&a);
    archive_start(&a);
    for (int i = 0; i < 4; i++) {
        rows_add(&a.f, i * ROWS, ROWS);
        CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
        archive_step(&a);
        CHECK_STATUS(&a.f.ctx, kd_backup_take(&a.f.ctx, a.f.storage, a.target, 0, &info));
        moments[i] = a.f.ctx.world->wall_us(a.f.ctx.world);
        a.f.ctx.world->sleep_ns(a.f.ctx.world, 2000000);
    }
    rows_add(&a.f, 4 * ROWS, ROWS);
    archive_step(&a);
    CHECK_STATUS(&a.f.ctx,
                 kd_backup_prune(&a.f.ctx, a.target, &(kd_backup_keep){.count = 2}, &pruned));
    CHECK_EQ(pruned.backups, 3); /* And the one with which it began. */
    CHECK(pruned.log_files > 0);
    CHECK(pruned.objects > 0);
    CHECK_STATUS(&a.f.ctx, kd_backup_verify(&a.f.ctx, a.target, NULL, &info));
    kd_restore_wish third = {.moment_us = moments[2]};
    CHECK_EQ(archive_restore(&a, third, "third", &restored), 3 * ROWS);
    archive_refused(&a, (kd_restore_wish){.moment_us = moments[0]}, "58P01", "no backup");
    archive_reopen(&a, false); /* Without the backup with which it began. */
    rows_add(&a.f, 5 * ROWS, 1);
    archive_step(&a);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 5 * ROWS + 1);
    archive_close(&a);
}

TEST(a_stopped_archive_begins_anew_with_a_backup)
{
    archive_fixture a;
    kd_archive_status status;
    kd_restored restored;
    kd_archive_stretch *stretches;
    size_t count;
    archive_open(&a);
    archive_start(&a);
    rows_add(&a.f, 0, 10);
    CHECK_STATUS(&a.f.ctx, kd_archive_stop(&a.f.ctx, a.archive));
    CHECK_STATUS(&a.f.ctx, kd_archive_read_status(&a.f.ctx, a.f.arena, a.archive, &status));
    CHECK_EQ(status.state, KD_ARCHIVE_OFF);
    int64_t stopped_us = a.f.ctx.world->wall_us(a.f.ctx.world);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "stopped", &restored), 10);
    rows_add(&a.f, 10, 10);
    archive_step(&a); /* Nothing. */
    archive_refused(&a, (kd_restore_wish){.moment_us = stopped_us}, "58P01", "ends at position");
    archive_start(&a);
    rows_add(&a.f, 20, 10);
    CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
    archive_step(&a);
    CHECK_STATUS(&a.f.ctx,
                 kd_archive_list(&a.f.ctx, a.f.arena, a.target, true, &stretches, &count));
    CHECK_EQ(count, 2);
    CHECK(stretches[0].to_position < stretches[1].from_position);
    CHECK_EQ(stretches[0].segment_count, 0);
    CHECK(stretches[1].segment_count > 0);
    archive_refused(&a, (kd_restore_wish){.moment_us = stopped_us}, "58P01", "ends with a gap");
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 30);
    archive_close(&a);
}

/* With its thread: commits, flushes and checkpoints go on beside it. */
TEST(an_archive_follows_by_itself)
{
    archive_fixture a;
    kd_archive_status status;
    kd_restored restored;
    archive_open(&a);
    kd_archive_destroy(a.archive);
    CHECK_STATUS(&a.f.ctx, kd_archive_create(&a.f.ctx, a.f.storage, false, &a.archive));
    archive_start(&a);
    for (int i = 0; i < 10; i++) {
        rows_add(&a.f, i * 300, 300);
        if (i % 3 == 0)
            CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
        if (i % 3 == 1)
            CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
        a.f.ctx.world->sleep_ns(a.f.ctx.world, 100000000);
    }
    for (int i = 0; i < 300; i++) {
        CHECK_STATUS(&a.f.ctx, kd_archive_read_status(&a.f.ctx, a.f.arena, a.archive, &status));
        if (status.position == status.log_position)
            break;
        a.f.ctx.world->sleep_ns(a.f.ctx.world, 100000000);
    }
    CHECK_EQ(status.state, KD_ARCHIVE_FOLLOWING);
    CHECK_EQ(status.position, status.log_position);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 3000);
    archive_close(&a);
}

/* A database opens whatever the note in it says. */
TEST(a_damaged_note_is_told_and_replaced)
{
    archive_fixture a;
    kd_archive_status status;
    kd_file *file;
    char path[8192];
    archive_open(&a);
    archive_start(&a);
    (void)snprintf(path, sizeof path, "%s/" KD_ARCHIVE_FILE, a.f.options.directory);
    CHECK_STATUS(&a.f.ctx, a.f.ctx.world->file_open(&a.f.ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(&a.f.ctx, a.f.ctx.world->file_write(&a.f.ctx, file, 20, "?", 1));
    a.f.ctx.world->file_close(a.f.ctx.world, file);
    archive_reopen(&a, true);
    CHECK_STATUS(&a.f.ctx, kd_archive_read_status(&a.f.ctx, a.f.arena, a.archive, &status));
    CHECK_EQ(status.state, KD_ARCHIVE_GAP);
    CHECK(strstr(status.error, "is damaged") != NULL);
    rows_add(&a.f, 0, 10);
    archive_step(&a);
    archive_start(&a);
    rows_add(&a.f, 10, 10);
    archive_step(&a);
    kd_restored restored;
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 20);
    archive_close(&a);
}
