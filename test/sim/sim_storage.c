/*
 * The storage in the simulated world: crashes at random disk calls, faults everywhere.
 *
 * One workload thread changes rows in transactions of a few rows that keep a sum, crossing flushes,
 * bulk loads, compactions and checkpoints; the machine loses power at a random disk call. After
 * each crash the database is opened again on what the disk kept. Acknowledged transactions must be
 * there, one that was in the middle of its commit may be, and nothing else. Meanwhile snapshots are
 * held over all of that, and keep what they saw.
 */
#include "sim_world.h"
#include "table/storage_check.h"
#include "table/table.h"
#include "table/upkeep.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    IDS = 120,
    HOT_IDS = 6,
    HOLDERS = 5,
    ABSENT = -1,
    LIVES = 6,
    NAME_BYTES = 64,
    COMMITS = 1000
};

typedef struct state {
    int32_t scores[IDS];
} state;

/* A snapshot that is held, and what it saw. */
typedef struct holder {
    kd_txn *txn;
    state seen;
} holder;

typedef struct sim_run {
    sim_disk *disk;
    test_random random;
    state acknowledged;
    state attempted; /* What a commit in doubt would give. */
    bool in_doubt;
    bool no_sync;     /* Then a crash may take the newest commits away, */
    state *committed; /* but not those before the last checkpoint, and none between others. */
    size_t committed_count;
    uint64_t index_entries_in_memory;
    uint64_t full_count; /* Of failures because the disk was full. */
    uint64_t table_no, primary;
    kd_governor *governor;
    kd_storage *storage;
    kd_table *table;
    kd_arena *arena;
    holder holders[HOLDERS];
} sim_run;

static kd_table_column columns[3];
static kd_table_shape shape;
static const uint32_t positions[3] = {0, 1, 2};

static void shape_define(void)
{
    static const char *const names[3] = {"id", "name", "score"};
    static const kd_type_id types[3] = {KD_TYPE_INT8, KD_TYPE_TEXT, KD_TYPE_INT4};
    for (uint32_t i = 0; i < 3; i++)
        columns[i] = (kd_table_column){.column_no = i + 1,
                                       .type = kd_type_of(types[i]),
                                       .name = kd_slice_of(names[i]),
                                       .missing = kd_value_null(kd_type_of(types[i]))};
    shape = (kd_table_shape){.table_name = KD_SLICE("t"), .column_count = 3, .columns = columns};
}

static kd_status storage_open(kd_ctx *ctx, sim_run *run)
{
    kd_storage_options options = {.directory = "db",
                                  .governor = run->governor,
                                  .wal_file_bytes = 256 * 1024,
                                  .index_entries_in_memory = run->index_entries_in_memory,
                                  .no_sync = run->no_sync,
                                  .no_background = true};
    return kd_storage_open(ctx, &options, &run->storage);
}

static kd_status txn_begin(kd_ctx *ctx, sim_run *run, kd_txn **out_txn)
{
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    return kd_txn_begin(ctx, kd_storage_txns(run->storage), &options, out_txn);
}

static kd_status table_create_in(kd_ctx *ctx, sim_run *run, kd_txn *txn)
{
    uint32_t sort = 2;
    kd_index_column id_column = {.column_no = 1};
    kd_index_column score_column = {.column_no = 3};
    kd_index_definition primary = {.name = KD_SLICE("t_pkey"),
                                   .columns_text = KD_SLICE("id"),
                                   .unique = true,
                                   .predicate_column_no = -1,
                                   .column_count = 1,
                                   .columns = &id_column};
    kd_index_definition secondary = primary;
    secondary.name = KD_SLICE("t_score");
    secondary.unique = false;
    secondary.columns = &score_column;
    uint64_t secondary_no;
    KD_TRY(kd_table_create(ctx, txn, run->storage, &shape, &sort, 1, &run->table_no));
    run->table = kd_table_find(run->storage, run->table_no);
    KD_TRY(kd_table_add_index(ctx, txn, run->table, &primary, &run->primary));
    return kd_table_add_index(ctx, txn, run->table, &secondary, &secondary_no);
}

/* The table that a crash before its acknowledgement may have left has number 1 too. */
static kd_status table_get(kd_ctx *ctx, sim_run *run)
{
    kd_txn *txn;
    run->table = kd_table_find(run->storage, 1);
    if (run->table != NULL) {
        run->table_no = 1;
        run->primary = 1;
        return KD_OK;
    }
    KD_TRY(txn_begin(ctx, run, &txn));
    kd_status status = table_create_in(ctx, run, txn);
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    CHECK_EQ(run->table_no, 1);
    return kd_txn_commit(ctx, txn);
}

static void name_of(int id, int32_t score, char *name)
{
    (void)snprintf(name, NAME_BYTES, "%d has %d%s", id, score, id % 3 == 0 ? "" : " points by now");
}

static kd_status row_insert(kd_ctx *ctx, sim_run *run, kd_txn *txn, int id, int32_t score)
{
    char name[NAME_BYTES];
    kd_insert_outcome outcome;
    name_of(id, score, name);
    kd_value values[3] = {kd_value_i64(id), kd_value_text(kd_slice_of(name)), kd_value_i32(score)};
    return kd_table_insert_row(ctx, txn, run->table, &shape, values, NULL, &outcome);
}

static kd_status row_change(kd_ctx *ctx, sim_run *run, kd_txn *txn, int id, int32_t score)
{
    kd_rowref ref;
    bool is_found;
    char name[NAME_BYTES];
    kd_value key_value = kd_value_i64(id);
    kd_buffer key = kd_buffer_in(run->arena);
    kd_snapshot snapshot = kd_txn_snapshot(txn);
    kd_write_outcome outcome;
    uint32_t changed[2] = {1, 2};
    KD_TRY(kd_table_index_key(ctx, run->table, run->primary, &key_value, 1, &key));
    KD_TRY(kd_table_find_by_key(ctx, run->arena, run->table, snapshot, run->primary,
                                kd_buffer_slice(&key), &ref, &is_found));
    CHECK(is_found);
    if (score == ABSENT)
        return kd_table_delete(ctx, txn, run->table, ref, &outcome);
    name_of(id, score, name);
    kd_value values[2] = {kd_value_text(kd_slice_of(name)), kd_value_i32(score)};
    return kd_table_update(ctx, txn, run->table, &shape, ref, changed, values, 2, &outcome);
}

static kd_status rows_change(kd_ctx *ctx, sim_run *run, kd_txn *txn)
{
    uint64_t count = 1 + test_random_below(&run->random, 6);
    for (uint64_t i = 0; i < count; i++) {
        int id = (int)test_random_below(&run->random, i % 2 == 0 ? HOT_IDS : IDS);
        int32_t *score = &run->attempted.scores[id];
        int32_t wanted = (int32_t)test_random_below(&run->random, 1000);
        if (*score == ABSENT) {
            KD_TRY(row_insert(ctx, run, txn, id, wanted));
        } else {
            wanted = wanted % 4 == 0 ? ABSENT : wanted;
            KD_TRY(row_change(ctx, run, txn, id, wanted));
        }
        *score = wanted;
    }
    return KD_OK;
}

static kd_status rows_bulk(kd_ctx *ctx, sim_run *run, kd_txn *txn)
{
    kd_bulk_load *load;
    kd_vector vectors[3];
    uint32_t count = 0;
    for (int i = 0; i < 3; i++)
        KD_TRY(kd_vector_init_flat(ctx, run->arena, columns[i].type, KD_BATCH_ROWS, &vectors[i]));
    for (int id = 0; id < IDS; id++) {
        if (run->attempted.scores[id] != ABSENT || test_random_below(&run->random, 3) != 0)
            continue;
        kd_value key = kd_value_i64(id);
        kd_value score = kd_value_i32(id * 2);
        char *name = kd_alloc(ctx, run->arena, NAME_BYTES);
        if (name == NULL)
            return KD_NOMEM;
        name_of(id, id * 2, name);
        kd_value text = kd_value_text(kd_slice_of(name));
        kd_vector_set(&vectors[0], count, &key);
        kd_vector_set(&vectors[1], count, &text);
        kd_vector_set(&vectors[2], count, &score);
        count++;
        run->attempted.scores[id] = id * 2;
    }
    if (count == 0)
        return KD_OK;
    kd_batch batch = {
        .row_count = count, .selected_count = count, .column_count = 3, .columns = vectors};
    KD_TRY(kd_bulk_load_begin(ctx, txn, run->table, &shape, &load));
    kd_status status = kd_bulk_load_append(ctx, load, &batch);
    if (status == KD_OK)
        status = kd_bulk_load_finish(ctx, load);
    kd_bulk_load_destroy(load);
    return status;
}

static kd_status work_commit(kd_ctx *ctx, sim_run *run, bool is_bulk)
{
    kd_txn *txn;
    run->attempted = run->acknowledged;
    KD_TRY(txn_begin(ctx, run, &txn));
    kd_status status = is_bulk ? rows_bulk(ctx, run, txn) : rows_change(ctx, run, txn);
    kd_arena_reset(run->arena);
    if (status != KD_OK || test_random_below(&run->random, 10) == 0) {
        kd_txn_rollback(txn);
        return status;
    }
    run->in_doubt = true;
    KD_TRY(kd_txn_commit(ctx, txn));
    run->in_doubt = false;
    run->acknowledged = run->attempted;
    if (run->no_sync && run->committed_count < COMMITS)
        run->committed[run->committed_count++] = run->acknowledged;
    return KD_OK;
}

/* Everything committed so far is on the disk. */
static void committed_settle(sim_run *run)
{
    if (!run->no_sync)
        return;
    run->committed[0] = run->acknowledged;
    run->committed_count = 1;
}

static kd_status work_checkpoint(kd_ctx *ctx, sim_run *run)
{
    KD_TRY(kd_storage_checkpoint(ctx, run->storage));
    committed_settle(run);
    return KD_OK;
}

static kd_status state_read(kd_ctx *ctx, sim_run *run, kd_txn *txn, state *out_state);

/* Begins a snapshot, looks whether it still sees what it saw, or ends it. */
static kd_status work_hold(kd_ctx *ctx, sim_run *run)
{
    state now;
    holder *held = &run->holders[test_random_below(&run->random, HOLDERS)];
    uint64_t what = test_random_below(&run->random, 4);
    if (held->txn == NULL) {
        held->seen = run->acknowledged;
        return txn_begin(ctx, run, &held->txn);
    }
    if (what == 0) {
        kd_txn_rollback(held->txn);
        held->txn = NULL;
        return KD_OK;
    }
    if (what == 1)
        return KD_OK;
    KD_TRY(state_read(ctx, run, held->txn, &now));
    kd_arena_reset(run->arena);
    CHECK_EQ(memcmp(&now, &held->seen, sizeof now), 0);
    return KD_OK;
}

static void holders_end(sim_run *run)
{
    for (int i = 0; i < HOLDERS; i++) {
        if (run->holders[i].txn != NULL)
            kd_txn_rollback(run->holders[i].txn);
        run->holders[i].txn = NULL;
    }
}

static kd_status work(kd_ctx *ctx, sim_run *run)
{
    if (test_random_below(&run->random, 5) == 0)
        return work_hold(ctx, run);
    switch (test_random_below(&run->random, 24)) {
    case 0:
        return kd_table_flush(ctx, run->table);
    case 1:
        return kd_table_compact(ctx, run->table);
    case 2:
        return work_checkpoint(ctx, run);
    case 3:
        return work_commit(ctx, run, true);
    case 4:
        return kdi_flush_over(ctx, run->table, 1);
    default:
        return work_commit(ctx, run, false);
    }
}

/* --- Checking -------------------------------------------------------------------------------- */

static kd_status state_read(kd_ctx *ctx, sim_run *run, kd_txn *txn, state *out_state)
{
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_scan_spec spec = {.shape = &shape, .positions = positions, .position_count = 3};
    for (int id = 0; id < IDS; id++)
        out_state->scores[id] = ABSENT;
    kd_status status = KD_OK;
    KD_TRY_OUT(kd_table_scan_open(ctx, run->arena, run->table, kd_txn_snapshot(txn), &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, run->arena, scan, &reader));
    for (;;) {
        kd_batch batch;
        bool is_end;
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, NULL, &is_end));
        if (is_end)
            break;
        for (uint32_t i = 0; i < batch.selected_count; i++) {
            uint32_t row = kd_batch_row(&batch, i);
            char name[NAME_BYTES];
            kd_value id = kd_vector_get(&batch.columns[0], row);
            kd_value text = kd_vector_get(&batch.columns[1], row);
            kd_value score = kd_vector_get(&batch.columns[2], row);
            CHECK(id.as.i64 >= 0 && id.as.i64 < IDS);
            CHECK_EQ(out_state->scores[id.as.i64], ABSENT);
            name_of((int)id.as.i64, score.as.i32, name);
            CHECK_SLICE(kd_str_slice(&text.as.str), name);
            out_state->scores[id.as.i64] = score.as.i32;
        }
    }
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static void state_check(kd_ctx *ctx, sim_run *run)
{
    state now;
    kd_txn *txn;
    CHECK_STATUS(ctx, txn_begin(ctx, run, &txn));
    CHECK_STATUS(ctx, state_read(ctx, run, txn, &now));
    kd_txn_rollback(txn);
    if (run->in_doubt && memcmp(&now, &run->attempted, sizeof now) == 0)
        run->acknowledged = run->attempted;
    for (size_t i = 0; run->no_sync && i < run->committed_count; i++) {
        if (memcmp(&now, &run->committed[i], sizeof now) == 0)
            run->acknowledged = now;
    }
    uint32_t lost = 0;
    for (int id = 0; id < IDS; id++)
        lost += now.scores[id] != run->acknowledged.scores[id];
    if (lost > 0 && getenv("SIM_DEBUG") != NULL) {
        for (int id = 0; id < IDS; id++)
            printf("%d: now %d, acknowledged %d, attempted %d (%d)\n", id, now.scores[id],
                   run->acknowledged.scores[id], run->attempted.scores[id], run->in_doubt);
    }
    CHECK_EQ(lost, 0);
    run->in_doubt = false;
    committed_settle(run); /* Opening the log has synced it. */
    CHECK_STATUS(ctx, kd_storage_check(ctx, run->storage));
}

typedef enum life_kind { LIFE_CRASHES, LIFE_FAULTY, LIFE_FULL, LIFE_CHECKS } life_kind;

/* A full disk: whatever met it did not happen, and what comes after it goes on. */
static kd_status work_with_little_room(kd_ctx *ctx, sim_run *run)
{
    uint64_t choice = test_random_below(&run->random, 8);
    if (choice == 0)
        sim_disk_set_capacity(run->disk, 0);
    else if (choice == 1)
        sim_disk_set_capacity(run->disk, sim_disk_used_bytes(run->disk) +
                                             test_random_below(&run->random, 300000));
    kd_status status = work(ctx, run);
    if (status == KD_IO && strcmp(ctx->error.sqlstate, "53100") == 0) {
        kd_error_clear(ctx);
        run->full_count++;
        run->in_doubt = false;
        state_check(ctx, run);
        return KD_OK;
    }
    return status;
}

/* Work goes on after a failure that is not a commit's: a failed flush or checkpoint harms nothing.
 */
static kd_status work_through(kd_ctx *ctx, sim_run *run, life_kind kind, int steps)
{
    kd_status status = KD_OK;
    for (int i = 0; i < steps; i++) {
        status = kind == LIFE_FULL ? work_with_little_room(ctx, run) : work(ctx, run);
        if (status != KD_OK && (kind != LIFE_FAULTY || run->in_doubt))
            break;
        kd_error_clear(ctx);
        status = KD_OK;
    }
    return status;
}

/* One life of the machine: opens, checks, works until power is lost or the work is done. */
static void live(sim_run *run, uint64_t seed, life_kind kind, uint64_t nth, int steps)
{
    sim_world *sim = sim_create(run->disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    run->governor = kd_governor_create(&ctx, 64 << 20);
    run->arena = kd_arena_create(&ctx, NULL, "sim", KD_ARENA_UNLIMITED);
    CHECK(run->governor != NULL && run->arena != NULL);
    if (kind == LIFE_CRASHES)
        sim_crash_at(sim, nth);
    else if (kind == LIFE_FAULTY)
        sim_fail_nth_disk_call(sim, nth, nth % 4 == 0);
    run->storage = NULL;
    kd_status status = storage_open(&ctx, run);
    if (status == KD_OK)
        status = table_get(&ctx, run);
    if (status == KD_OK && kind == LIFE_CHECKS)
        state_check(&ctx, run);
    if (status == KD_OK)
        status = work_through(&ctx, run, kind, steps);
    if (status != KD_OK && !sim_has_crashed(sim) && kind != LIFE_FAULTY)
        test_fail(__FILE__, __LINE__, "%s: %s", ctx.error.sqlstate, ctx.error.message);
    kd_error_clear(&ctx);
    sim_disk_set_capacity(run->disk, 0);
    if (!sim_has_crashed(sim))
        sim_crash(sim);
    holders_end(run);
    kd_storage_abandon(run->storage);
    kd_arena_destroy(run->arena);
    kd_governor_destroy(run->governor);
    CHECK_EQ(sim_open_file_count(sim), 0);
    sim_destroy(sim);
}

TEST(no_crash_loses_an_acknowledged_commit_or_shows_half_of_one)
{
    uint64_t seeds = test_seed_count(15);
    shape_define();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        sim_run run = {
            .disk = sim_disk_create(), .random = {seed}, .index_entries_in_memory = seed % 2 * 8};
        for (int id = 0; id < IDS; id++)
            run.acknowledged.scores[id] = ABSENT;
        for (uint64_t life = 0; life < LIVES; life++) {
            test_note("seed %llu, life %llu", (unsigned long long)seed, (unsigned long long)life);
            uint64_t nth = 1 + test_random_below(&run.random, life % 2 == 0 ? 400 : 60);
            live(&run, seed * 100 + life, life % 3 == 2 ? LIFE_FAULTY : LIFE_CRASHES, nth, 60);
            live(&run, seed * 100 + life + 50, LIFE_CHECKS, 0, 0);
        }
        sim_disk_destroy(run.disk);
    }
}

TEST(a_full_disk_undoes_what_met_it_and_harms_nothing_else)
{
    uint64_t seeds = test_seed_count(15);
    uint64_t full_count = 0;
    shape_define();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        sim_run run = {
            .disk = sim_disk_create(), .random = {seed}, .index_entries_in_memory = seed % 2 * 8};
        for (int id = 0; id < IDS; id++)
            run.acknowledged.scores[id] = ABSENT;
        for (uint64_t life = 0; life < 2; life++) {
            test_note("seed %llu, life %llu", (unsigned long long)seed, (unsigned long long)life);
            live(&run, seed * 100 + life, LIFE_FULL, 0, 150);
            live(&run, seed * 100 + life + 50, LIFE_CHECKS, 0, 0);
        }
        full_count += run.full_count;
        sim_disk_destroy(run.disk);
    }
    CHECK(full_count > seeds);
}

TEST(a_crash_without_syncs_takes_only_the_newest_commits)
{
    uint64_t seeds = test_seed_count(15);
    shape_define();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        sim_run run = {.disk = sim_disk_create(), .random = {seed}, .no_sync = true};
        run.committed = calloc(COMMITS, sizeof *run.committed);
        CHECK(run.committed != NULL);
        for (int id = 0; id < IDS; id++)
            run.acknowledged.scores[id] = ABSENT;
        committed_settle(&run);
        for (uint64_t life = 0; life < LIVES; life++) {
            test_note("seed %llu, life %llu", (unsigned long long)seed, (unsigned long long)life);
            uint64_t nth = 1 + test_random_below(&run.random, life % 2 == 0 ? 400 : 60);
            live(&run, seed * 100 + life, LIFE_CRASHES, nth, 60);
            live(&run, seed * 100 + life + 50, LIFE_CHECKS, 0, 0);
        }
        free(run.committed);
        sim_disk_destroy(run.disk);
    }
}
