/*
 * Every call failing, and power lost at disk calls all along, while an archive is started, follows
 * the log and is restored from.
 */
#include "archive_fixture.h"
#include "sim_world.h"

enum { ROWS = 200, ROUNDS = 3 };

static int64_t archived_rows; /* Committed before a step that went well. */

static void database_prepare(archive_fixture *a, kd_ctx ctx)
{
    fixture_prepare(&a->f, ctx, "db");
    a->f.options.wal_file_bytes = 1 << 16;
    (void)snprintf(a->target, sizeof a->target, "backups");
    a->archive = NULL;
}

static void database_make(sim_world *sim, kd_ctx *ctx)
{
    archive_fixture a;
    (void)sim;
    database_prepare(&a, *ctx);
    CHECK_STATUS(&a.f.ctx, kd_storage_open(&a.f.ctx, &a.f.options, &a.f.storage));
    fixture_create_table(&a.f, true);
    rows_add(&a.f, 0, ROWS);
    fixture_close(&a.f);
}

/* The table that the fixture made is the first that has rows. */
static kd_status database_open(archive_fixture *a)
{
    KD_TRY(kd_storage_open(&a->f.ctx, &a->f.options, &a->f.storage));
    a->f.table = NULL;
    for (a->f.table_no = 1; a->f.table == NULL && a->f.table_no < 8; a->f.table_no++)
        a->f.table = kd_table_find(a->f.storage, a->f.table_no);
    CHECK(a->f.table != NULL);
    a->f.table_no--;
    return kd_archive_create(&a->f.ctx, a->f.storage, true, &a->archive);
}

static kd_status rows_try(archive_fixture *a, int64_t first)
{
    kd_txn *txn;
    kd_rowref ref;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    KD_TRY(kd_txn_begin(&a->f.ctx, kd_storage_txns(a->f.storage), &options, &txn));
    for (int64_t id = first; id < first + ROWS; id++) {
        kd_status status = fixture_try_insert(&a->f, txn, id, "a name of some length", 1, &ref);
        if (status != KD_OK) {
            kd_txn_rollback(txn);
            return status;
        }
    }
    return kd_txn_commit(&a->f.ctx, txn);
}

static kd_status follow_rounds(archive_fixture *a)
{
    kd_restored restored;
    kd_restore_wish latest = {0};
    KD_TRY(database_open(a));
    KD_TRY(kd_archive_start(&a->f.ctx, a->archive, a->target, 0));
    archived_rows = ROWS;
    for (int64_t round = 1; round <= ROUNDS; round++) {
        KD_TRY(rows_try(a, round * ROWS));
        if (round == 2)
            KD_TRY(kd_storage_flush(&a->f.ctx, a->f.storage, true));
        KD_TRY(kd_archive_step(&a->f.ctx, a->archive));
        archived_rows = (round + 1) * ROWS;
        KD_TRY(kd_storage_checkpoint(&a->f.ctx, a->f.storage));
    }
    return kd_backup_restore_to(&a->f.ctx, a->target, &latest, "new", &restored);
}

static kd_status follow_and_restore(sim_world *sim, kd_ctx *ctx)
{
    archive_fixture a;
    (void)sim;
    archived_rows = 0;
    a.f.ctx = *ctx;
    a.f.governor = NULL;
    a.f.arena = kd_arena_create(ctx, NULL, "fixture", KD_ARENA_UNLIMITED);
    if (a.f.arena == NULL)
        return KD_NOMEM;
    a.f.storage = NULL;
    a.archive = NULL;
    a.f.governor = kd_governor_create(ctx, 64 << 20);
    kd_status status = a.f.governor == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK) {
        a.f.options = (kd_storage_options){.directory = "db",
                                           .governor = a.f.governor,
                                           .wal_file_bytes = 1 << 16,
                                           .no_background = true};
        fixture_define(&a.f);
        (void)snprintf(a.target, sizeof a.target, "backups");
        status = follow_rounds(&a);
        ctx->error = a.f.ctx.error;
    }
    kd_archive_abandon(a.archive);
    kd_storage_abandon(a.f.storage);
    kd_governor_destroy(a.f.governor);
    kd_arena_destroy(a.f.arena);
    return status;
}

TEST(an_archive_survives_every_single_fault)
{
    sim_sweep_faults_tolerated(follow_and_restore, database_make);
}

/* The rows of what the archive alone gives; an incomplete last piece left out. 0: nothing yet. */
static int64_t archive_rows(archive_fixture *a, const char *directory)
{
    kd_restored restored;
    kd_restore_wish wish = {0};
    unsigned long long position;
    kd_status status = kd_backup_restore_to(&a->f.ctx, a->target, &wish, directory, &restored);
    if (status == KD_CORRUPT &&
        sscanf(a->f.ctx.error.detail, "The archive ends at position %llu", &position) == 1) {
        kd_error_clear(&a->f.ctx);
        wish.to_position = position;
        /* Before any piece the backup is all there is. */
        if (position == 0)
            wish = (kd_restore_wish){.backup = NULL};
        status = kd_backup_restore_to(&a->f.ctx, a->target, &wish, directory, &restored);
    }
    if (status == KD_INVALID && strcmp(a->f.ctx.error.sqlstate, "58P01") == 0) {
        kd_error_clear(&a->f.ctx);
        return 0; /* No backup. */
    }
    CHECK_STATUS(&a->f.ctx, status);
    archive_fixture made = *a;
    int64_t sum;
    made.f.options.directory = directory;
    made.archive = NULL;
    CHECK_STATUS(&a->f.ctx, database_open(&made));
    CHECK_STATUS(&a->f.ctx, kd_storage_check(&a->f.ctx, made.f.storage));
    kd_txn *txn = fixture_begin(&made.f);
    int64_t rows = (int64_t)fixture_scan(&made.f, kd_txn_snapshot(txn), &sum);
    fixture_commit(&made.f, txn);
    kd_archive_destroy(made.archive);
    CHECK_STATUS(&a->f.ctx, kd_storage_close(&a->f.ctx, made.f.storage));
    CHECK_EQ(rows % ROWS, 0); /* No transaction in part. */
    return rows;
}

/* After the power is back: the archive alone has what it had; the database goes on, and the archive
 * with it, or it can be started. */
static void look_after(sim_world *sim)
{
    archive_fixture a;
    kd_archive_status status;
    int64_t sum;
    database_prepare(&a, sim_ctx(sim));
    CHECK(archive_rows(&a, "alone") >= archived_rows);
    CHECK_STATUS(&a.f.ctx, database_open(&a));
    CHECK_STATUS(&a.f.ctx, kd_archive_read_status(&a.f.ctx, a.f.arena, a.archive, &status));
    if (status.state == KD_ARCHIVE_OFF)
        archive_start(&a);
    archive_step(&a);
    kd_txn *txn = fixture_begin(&a.f);
    int64_t rows = (int64_t)fixture_scan(&a.f, kd_txn_snapshot(txn), &sum);
    fixture_commit(&a.f, txn);
    CHECK_EQ(archive_rows(&a, "again"), rows);
    archive_close(&a);
}

TEST(an_archive_survives_power_cuts)
{
    /* Every call at first, then every second, third, ... */
    for (uint64_t nth = 1;; nth += 1 + nth / 32) {
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, nth);
        kd_ctx ctx = sim_ctx(sim);
        database_make(sim, &ctx);
        sim_crash_at(sim, nth);
        (void)!follow_and_restore(sim, &ctx);
        bool has_crashed = sim_has_crashed(sim);
        sim_destroy(sim);
        sim = sim_create(disk, nth + 1);
        look_after(sim);
        sim_destroy(sim);
        sim_disk_destroy(disk);
        if (!has_crashed)
            break;
    }
}
