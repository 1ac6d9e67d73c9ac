/*
 * Every call failing, and power lost at disk calls all along, while a backup is taken and restored.
 */
#include "backup_fixture.h"
#include "sim_world.h"

enum { ROWS = 300 };

static kd_status database_open(kd_ctx *ctx, kd_governor *governor, kd_storage **out_storage)
{
    kd_storage_options options = {
        .directory = "db", .governor = governor, .wal_file_bytes = 1 << 16, .no_background = true};
    return kd_storage_open(ctx, &options, out_storage);
}

static void database_make(sim_world *sim, kd_ctx *ctx)
{
    table_fixture f;
    (void)sim;
    fixture_open_in(&f, *ctx, "db", true);
    rows_add(&f, 0, ROWS);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    rows_add(&f, ROWS, ROWS);
    fixture_close(&f);
}

static kd_status take_and_restore(sim_world *sim, kd_ctx *ctx)
{
    kd_storage *storage = NULL;
    kd_backup_info info;
    (void)sim;
    kd_governor *governor = kd_governor_create(ctx, 64 << 20);
    if (governor == NULL)
        return KD_NOMEM;
    kd_status status = database_open(ctx, governor, &storage);
    if (status == KD_OK)
        status = kd_backup_take(ctx, storage, "backups", 0, &info);
    if (status == KD_OK)
        status = kd_backup_restore(ctx, "backups", NULL, "new", &info);
    kd_storage_abandon(storage);
    kd_governor_destroy(governor);
    return status;
}

TEST(a_backup_survives_every_single_fault)
{
    sim_sweep_faults_tolerated(take_and_restore, database_make);
}

/* After the power is back: a backup that is there is whole, so is a restored database, and both can
 * be done again. */
static void look_after(sim_world *sim)
{
    table_fixture f = {.ctx = sim_ctx(sim)};
    kd_backup_info info;
    bool exists;
    f.governor = kd_governor_create(&f.ctx, 64 << 20);
    f.options = (kd_storage_options){.directory = "db",
                                     .governor = f.governor,
                                     .wal_file_bytes = 1 << 16,
                                     .no_background = true};
    fixture_define(&f);
    f.arena = kd_arena_create(&f.ctx, NULL, "fixture", KD_ARENA_UNLIMITED);
    kd_status status = kd_backup_verify(&f.ctx, "backups", NULL, &info);
    CHECK(status == KD_OK || strcmp(f.ctx.error.sqlstate, "58P01") == 0);
    kd_error_clear(&f.ctx);
    CHECK_STATUS(&f.ctx, f.ctx.world->path_exists(&f.ctx, "new/ROOT", &exists));
    CHECK_STATUS(&f.ctx, kd_storage_open(&f.ctx, &f.options, &f.storage));
    CHECK_STATUS(&f.ctx, kd_backup_take(&f.ctx, f.storage, "backups", 0, &info));
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    if (!exists)
        CHECK_STATUS(&f.ctx, kd_backup_restore(&f.ctx, "backups", NULL, "new", &info));
    kd_table *any = NULL;
    for (f.table_no = 1; any == NULL && f.table_no < 8; f.table_no += any == NULL) {
        f.options.directory = "new";
        CHECK_STATUS(&f.ctx, kd_storage_open(&f.ctx, &f.options, &f.storage));
        any = kd_table_find(f.storage, f.table_no);
        if (any != NULL) {
            int64_t sum;
            f.table = any;
            kd_txn *txn = fixture_begin(&f);
            CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(txn), &sum), 2 * ROWS);
            fixture_commit(&f, txn);
        }
        CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    }
    CHECK(any != NULL);
    kd_arena_destroy(f.arena);
    kd_governor_destroy(f.governor);
}

TEST(a_backup_survives_power_cuts)
{
    /* Every call at first, then every second, third, ... */
    for (uint64_t nth = 1;; nth += 1 + nth / 64) {
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, nth);
        kd_ctx ctx = sim_ctx(sim);
        database_make(sim, &ctx);
        sim_crash_at(sim, nth);
        (void)!take_and_restore(sim, &ctx);
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
