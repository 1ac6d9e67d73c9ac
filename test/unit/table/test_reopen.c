/*
 * Opening and closing: wrong directories, a database in use, reading only, faults everywhere.
 */
#include "sim_world.h"
#include "table_fixture.h"

static void file_write(kd_ctx *ctx, const char *path, const char *text)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, 0, text, strlen(text)));
    ctx->world->file_close(ctx->world, file);
}

static kd_storage_options options_for(kd_governor *governor, const char *directory)
{
    return (kd_storage_options){
        .directory = directory, .governor = governor, .no_background = true};
}

TEST(a_directory_that_is_no_database_is_refused_and_left_alone)
{
    kd_ctx ctx = test_ctx();
    kd_storage *storage;
    bool exists;
    kd_governor *governor = kd_governor_create(&ctx, 64 << 20);
    CHECK_STATUS(&ctx, ctx.world->directory_create(&ctx, test_path("photos")));
    file_write(&ctx, test_path("photos/cat.jpg"), "a cat");
    kd_storage_options options = options_for(governor, test_path("photos"));
    CHECK_FAILS(&ctx, kd_storage_open(&ctx, &options, &storage), "58P01");
    CHECK_STATUS(&ctx, ctx.world->path_exists(&ctx, test_path("photos/LOCK"), &exists));
    CHECK(!exists);
    options = options_for(governor, test_path("nowhere"));
    options.read_only = true;
    CHECK_FAILS(&ctx, kd_storage_open(&ctx, &options, &storage), "58P01");
    CHECK_STATUS(&ctx, ctx.world->path_exists(&ctx, test_path("nowhere"), &exists));
    CHECK(!exists);
    kd_governor_destroy(governor);
}

TEST(a_database_in_use_is_refused)
{
    table_fixture f;
    kd_storage *second;
    fixture_open(&f);
    CHECK_FAILS(&f.ctx, kd_storage_open(&f.ctx, &f.options, &second), "55006");
    fixture_close(&f);
}

TEST(a_database_opened_for_reading_gives_its_rows_and_takes_none)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 1, "flushed", 10);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, false));
    txn = fixture_begin(&f);
    fixture_insert(&f, txn, 2, "in the log", 20);
    fixture_commit(&f, txn);
    kd_storage_abandon(f.storage);
    f.options.read_only = true;
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), 2);
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 2), 20);
    CHECK_EQ(fixture_try_insert(&f, txn, 3, "refused", 30, NULL), KD_INVALID);
    CHECK_TEXT(f.ctx.error.sqlstate, "25006");
    kd_error_clear(&f.ctx);
    kd_txn_rollback(txn);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    f.options.read_only = false;
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), 2);
    fixture_close(&f);
}

TEST(a_dropped_table_and_index_leave_no_files)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    for (int i = 0; i < 100; i++)
        fixture_insert(&f, txn, i, "a row", i);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, false));
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    CHECK(kd_storage_read_statistics(f.storage).segment_count > 0);
    txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_table_drop_index(&f.ctx, txn, f.table, f.secondary));
    CHECK_STATUS(&f.ctx, kd_table_drop(&f.ctx, txn, f.table));
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    CHECK_STATUS(&f.ctx, kd_storage_open(&f.ctx, &f.options, &f.storage));
    CHECK(kd_table_find(f.storage, f.table_no) == NULL);
    CHECK_EQ(kd_storage_read_statistics(f.storage).segment_count, 0);
    fixture_close(&f);
}

/* --- Faults ---------------------------------------------------------------------------------- */

static kd_status rows_work(kd_ctx *ctx, table_fixture *f)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    KD_TRY(kd_txn_begin(ctx, kd_storage_txns(f->storage), &options, &txn));
    kd_status status = KD_OK;
    kd_rowref ref = KD_ROWREF_NONE;
    for (int i = 0; status == KD_OK && i < 5; i++) {
        kd_insert_outcome outcome;
        kd_value values[3] = {kd_value_i64(i),
                              kd_value_text(KD_SLICE("a name of more than twelve bytes")),
                              kd_value_i32(i)};
        status = kd_table_insert_row(ctx, txn, f->table, &f->shape, values, NULL, &outcome);
        ref = outcome.ref;
    }
    kd_write_outcome outcome;
    uint32_t position = 2;
    kd_value value = kd_value_i32(77);
    if (status == KD_OK)
        status =
            kd_table_update(ctx, txn, f->table, &f->shape, ref, &position, &value, 1, &outcome);
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    KD_TRY(kd_txn_commit(ctx, txn));
    KD_TRY(kd_table_flush(ctx, f->table));
    return kd_storage_checkpoint(ctx, f->storage);
}

static kd_status table_make(kd_ctx *ctx, table_fixture *f)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_index_column column = {.column_no = 1};
    kd_index_definition primary = {.name = KD_SLICE("t_pkey"),
                                   .columns_text = KD_SLICE("id"),
                                   .unique = true,
                                   .predicate_column_no = -1,
                                   .column_count = 1,
                                   .columns = &column};
    fixture_define(f);
    KD_TRY(kd_txn_begin(ctx, kd_storage_txns(f->storage), &options, &txn));
    kd_status status = kd_table_create(ctx, txn, f->storage, &f->shape, NULL, 0, &f->table_no);
    if (status == KD_OK) {
        f->table = kd_table_find(f->storage, f->table_no);
        status = kd_table_add_index(ctx, txn, f->table, &primary, &f->primary);
    }
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    return kd_txn_commit(ctx, txn);
}

static kd_status life(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    table_fixture f = {.ctx = *ctx};
    f.governor = kd_governor_create(ctx, 64 << 20);
    if (f.governor == NULL)
        return KD_NOMEM;
    f.options = options_for(f.governor, "db");
    f.options.wal_file_bytes = 64 * 1024;
    kd_status status = kd_storage_open(ctx, &f.options, &f.storage);
    if (status == KD_OK) {
        status = table_make(ctx, &f);
        if (status == KD_OK)
            status = rows_work(ctx, &f);
        if (status == KD_OK)
            status = kd_storage_close(ctx, f.storage);
        else
            kd_storage_abandon(f.storage);
    }
    kd_governor_destroy(f.governor);
    return status;
}

TEST(every_single_fault_is_survived)
{
    sim_sweep_faults_tolerated(life, NULL);
}

TEST(a_checkpoint_leaves_out_what_is_in_flight)
{
    table_fixture f;
    fixture_open(&f);
    int64_t first, value;
    uint64_t sequence_no;
    kd_sequence_definition definition = {.start = 1, .increment = 1, .min = 1, .max = 1000};
    kd_table_column added = {.column_no = 4,
                             .type = kd_type_of(KD_TYPE_INT4),
                             .name = KD_SLICE("added"),
                             .missing = kd_value_i32(77)};
    for (int commits = 1; commits >= 0; commits--) {
        kd_txn *txn = fixture_begin(&f);
        CHECK_STATUS(&f.ctx, kd_sequence_create(&f.ctx, txn, f.storage, &definition, &sequence_no));
        CHECK_STATUS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, sequence_no, &first));
        CHECK_STATUS(&f.ctx, kd_table_add_column(&f.ctx, txn, f.table, &added));
        fixture_insert(&f, txn, commits, "in flight", 1);
        kd_bulk_load *load;
        kd_vector columns[3];
        CHECK_STATUS(&f.ctx, kd_bulk_load_begin(&f.ctx, txn, f.table, &f.shape, &load));
        for (int i = 0; i < 3; i++) {
            kd_value values[3] = {kd_value_i64(10 + commits), fixture_text("loaded"),
                                  kd_value_i32(1)};
            CHECK_STATUS(&f.ctx, kd_vector_init_constant(&f.ctx, f.arena, &values[i], &columns[i]));
        }
        kd_batch batch = {
            .row_count = 1, .selected_count = 1, .column_count = 3, .columns = columns};
        CHECK_STATUS(&f.ctx, kd_bulk_load_append(&f.ctx, load, &batch));
        CHECK_STATUS(&f.ctx, kd_bulk_load_finish(&f.ctx, load));
        kd_bulk_load_destroy(load);
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
        if (commits)
            fixture_commit(&f, txn);
        else
            kd_txn_rollback(txn);
        kd_storage_abandon(f.storage);
        fixture_reopen(&f);
        CHECK_EQ(fixture_count(&f), 2);
        CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
        if (commits) {
            CHECK_STATUS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, sequence_no, &value));
            CHECK(value > first);
        } else {
            CHECK_FAILS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, sequence_no, &value), "42P01");
        }
        added.column_no++;
    }
    fixture_close(&f);
}

/* A transaction's redo is in the log in parts; another one commits, so that the checkpoint's stamp
 * lies behind the parts. Replay has to begin before it all the same. */
TEST(parts_from_before_a_checkpoint_count_with_the_commit_behind_it)
{
    table_fixture f;
    fixture_open(&f);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    f.options.redo_stream_bytes = 64;
    fixture_reopen(&f);
    for (int64_t round = 0; round < 3; round++) {
        kd_txn *parted = fixture_begin(&f);
        fixture_insert(&f, parted, 10 * round, "a text that is long enough to go in a part", 1);
        fixture_insert(&f, parted, 10 * round + 1, "another text that goes in a part of its own",
                       1);
        kd_txn *other = fixture_begin(&f);
        fixture_insert(&f, other, 10 * round + 2, "other", 1);
        fixture_commit(&f, other);
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
        fixture_insert(&f, parted, 10 * round + 3, "behind the checkpoint", 1);
        if (round == 1)
            kd_txn_rollback(parted);
        else
            fixture_commit(&f, parted);
        kd_storage_abandon(f.storage);
        fixture_reopen(&f);
        CHECK_EQ(fixture_count(&f), round == 0 ? 4 : round == 1 ? 5 : 9);
    }
    fixture_close(&f);
}

static void check_name(table_fixture *f, const char *name, const char *detail)
{
    kd_txn *txn = fixture_begin(f);
    CHECK_EQ(fixture_try_insert(f, txn, 1, "again", 2, NULL), KD_INVALID);
    CHECK_TEXT(f->ctx.error.constraint, name);
    CHECK_TEXT(f->ctx.error.detail, detail);
    kd_error_clear(&f->ctx);
    kd_txn_rollback(txn);
}

TEST(an_index_keeps_the_name_that_it_was_given_later)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 1, "one", 1);
    fixture_commit(&f, txn);
    kd_index_definition named = {
        .index_no = f.primary, .name = KD_SLICE("other"), .columns_text = KD_SLICE("number")};
    txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_table_rename_index(&f.ctx, txn, f.table, &named));
    kd_txn_rollback(txn);
    check_name(&f, "t_pkey", "Key (id)=(1) already exists.");
    /* There and back in one transaction, with a savepoint between. */
    kd_index_definition back = {
        .index_no = f.primary, .name = KD_SLICE("t_pkey"), .columns_text = KD_SLICE("id")};
    uint32_t savepoint;
    txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_table_rename_index(&f.ctx, txn, f.table, &named));
    CHECK_STATUS(&f.ctx, kd_table_rename_index(&f.ctx, txn, f.table, &back));
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &savepoint));
    CHECK_STATUS(&f.ctx, kd_table_rename_index(&f.ctx, txn, f.table, &named));
    kd_txn_rollback_to(txn, savepoint);
    fixture_commit(&f, txn);
    check_name(&f, "t_pkey", "Key (id)=(1) already exists.");
    txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_table_rename_index(&f.ctx, txn, f.table, &named));
    fixture_commit(&f, txn);
    check_name(&f, "other", "Key (number)=(1) already exists.");
    kd_storage_abandon(f.storage); /* From the log, then from the root. */
    fixture_reopen(&f);
    check_name(&f, "other", "Key (number)=(1) already exists.");
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    check_name(&f, "other", "Key (number)=(1) already exists.");
    fixture_close(&f);
}

static atomic_uint_fast64_t written_bytes;
static kd_status (*world_write)(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                                size_t size_bytes);

static kd_status counted_write(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                               size_t size_bytes)
{
    atomic_fetch_add(&written_bytes, size_bytes);
    return world_write(ctx, file, offset, source, size_bytes);
}

TEST(a_close_after_reopening_writes_next_to_nothing)
{
    enum { ROWS = 20000 };
    table_fixture f;
    kd_ctx ctx = test_ctx();
    kd_world world = *ctx.world;
    world_write = world.file_write;
    world.file_write = counted_write;
    ctx.world = &world;
    fixture_open_in(&f, ctx, test_path("db"), false);
    kd_txn *txn = fixture_begin(&f);
    for (int64_t id = 0; id < ROWS; id++)
        fixture_insert(&f, txn, id, "a row that moves", (int32_t)id);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, false));
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    for (int i = 0; i < 2; i++) {
        fixture_reopen(&f);
        txn = fixture_begin(&f);
        CHECK_EQ(fixture_score(&f, txn, ROWS - 1), ROWS - 1);
        fixture_commit(&f, txn);
        if (i > 0) {
            txn = fixture_begin(&f);
            fixture_insert(&f, txn, ROWS, "one more", 0);
            fixture_commit(&f, txn);
        }
        atomic_store(&written_bytes, 0);
        CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
        CHECK(atomic_load(&written_bytes) <= (i > 0 ? 32 * 1024 : 4096));
    }
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), ROWS + 1);
    fixture_close(&f);
}
