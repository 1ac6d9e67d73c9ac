/*
 * kill -9 of a real process under a mixed load, many times.
 * KADE_TEST_SEEDS says how often: a tenth of it (with --no-fork there is no time limit).
 *
 * The child opens the database with its background threads on and works in three threads: each
 * owns some rows and in every transaction sets all of them to the next number; now and then it
 * bulk-loads rows or deletes them again. After a commit it writes "thread, number" to a pipe. The
 * parent kills it at a random moment, opens the database itself and checks: every acknowledged
 * number is there, all rows of a thread agree, indexes and rows agree.
 */
#include "base/thread.h"
#include "table/storage_check.h"
#include "table/table.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROWS = 40, BULK_ROWS = 3000, ID_STRIDE = 1000000 };

typedef struct acknowledgement {
    uint32_t thread;
    uint32_t number;
} acknowledgement;

static kd_table_column columns[3];
static kd_table_shape shape;
static const uint32_t positions[3] = {0, 1, 2};
static kd_storage *storage;
static kd_table *table;
static uint64_t primary = 1;
static int ack_pipe;

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

static void storage_open(kd_ctx *ctx, kd_governor *governor, const char *directory)
{
    kd_storage_options options = {.directory = directory,
                                  .governor = governor,
                                  .wal_file_bytes = 1 << 20,
                                  .checkpoint_log_bytes = 2 << 20,
                                  .delta_flush_bytes = 512 * 1024};
    CHECK_STATUS(ctx, kd_storage_open(ctx, &options, &storage));
}

static kd_txn *txn_begin(kd_ctx *ctx)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    CHECK_STATUS(ctx, kd_txn_begin(ctx, kd_storage_txns(storage), &options, &txn));
    return txn;
}

static void table_ensure(kd_ctx *ctx)
{
    table = kd_table_find(storage, 1);
    if (table != NULL)
        return;
    uint64_t table_no, secondary;
    uint32_t sort = 0;
    kd_index_column id_column = {.column_no = 1};
    kd_index_column score_column = {.column_no = 3};
    kd_index_definition definition = {.name = KD_SLICE("t_pkey"),
                                      .columns_text = KD_SLICE("id"),
                                      .unique = true,
                                      .predicate_column_no = -1,
                                      .column_count = 1,
                                      .columns = &id_column};
    kd_txn *txn = txn_begin(ctx);
    CHECK_STATUS(ctx, kd_table_create(ctx, txn, storage, &shape, &sort, 1, &table_no));
    table = kd_table_find(storage, table_no);
    CHECK_STATUS(ctx, kd_table_add_index(ctx, txn, table, &definition, &primary));
    definition.name = KD_SLICE("t_score");
    definition.unique = false;
    definition.columns = &score_column;
    CHECK_STATUS(ctx, kd_table_add_index(ctx, txn, table, &definition, &secondary));
    CHECK_STATUS(ctx, kd_txn_commit(ctx, txn));
}

/* --- The child ------------------------------------------------------------------------------- */

typedef struct worker {
    uint32_t number; /* Of the thread. */
    uint32_t next;
    kd_thread *thread;
} worker;

static bool row_find(kd_ctx *ctx, kd_arena *arena, kd_txn *txn, int64_t id, kd_rowref *out_ref)
{
    bool is_found;
    kd_value value = kd_value_i64(id);
    kd_buffer key = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_table_index_key(ctx, table, primary, &value, 1, &key));
    CHECK_STATUS(ctx, kd_table_find_by_key(ctx, arena, table, kd_txn_snapshot(txn), primary,
                                           kd_buffer_slice(&key), out_ref, &is_found));
    return is_found;
}

static void row_set(kd_ctx *ctx, kd_arena *arena, kd_txn *txn, int64_t id, uint32_t number)
{
    kd_rowref ref;
    kd_value values[3] = {kd_value_i64(id), kd_value_text(KD_SLICE("a row of a worker's own")),
                          kd_value_i32((int32_t)number)};
    if (!row_find(ctx, arena, txn, id, &ref)) {
        kd_insert_outcome outcome;
        CHECK_STATUS(ctx, kd_table_insert_row(ctx, txn, table, &shape, values, NULL, &outcome));
        return;
    }
    kd_write_outcome outcome;
    CHECK_STATUS(
        ctx, kd_table_update(ctx, txn, table, &shape, ref, &positions[2], &values[2], 1, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_DONE);
}

/* Rows beside the worker's own: loaded when they are not there, else deleted. */
static void bulk_toggle(kd_ctx *ctx, kd_arena *arena, kd_txn *txn, int64_t first)
{
    kd_rowref ref;
    if (row_find(ctx, arena, txn, first, &ref)) {
        for (int64_t id = first; id < first + BULK_ROWS; id++) {
            kd_write_outcome outcome;
            CHECK(row_find(ctx, arena, txn, id, &ref));
            CHECK_STATUS(ctx, kd_table_delete(ctx, txn, table, ref, &outcome));
        }
        return;
    }
    kd_bulk_load *load;
    kd_vector vectors[3];
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ctx,
                     kd_vector_init_flat(ctx, arena, columns[i].type, KD_BATCH_ROWS, &vectors[i]));
    CHECK_STATUS(ctx, kd_bulk_load_begin(ctx, txn, table, &shape, &load));
    for (uint32_t done = 0; done < BULK_ROWS; done += KD_VECTOR_ROWS) {
        uint32_t count = BULK_ROWS - done < KD_VECTOR_ROWS ? BULK_ROWS - done : KD_VECTOR_ROWS;
        for (uint32_t i = 0; i < count; i++) {
            kd_value id = kd_value_i64(first + done + i);
            kd_value name = kd_value_text(KD_SLICE("loaded in bulk"));
            kd_value score = kd_value_i32(7);
            kd_vector_set(&vectors[0], i, &id);
            kd_vector_set(&vectors[1], i, &name);
            kd_vector_set(&vectors[2], i, &score);
        }
        kd_batch batch = {
            .row_count = count, .selected_count = count, .column_count = 3, .columns = vectors};
        CHECK_STATUS(ctx, kd_bulk_load_append(ctx, load, &batch));
    }
    CHECK_STATUS(ctx, kd_bulk_load_finish(ctx, load));
    kd_bulk_load_destroy(load);
}

static void worker_run(void *object)
{
    worker *self = object;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "worker", KD_ARENA_UNLIMITED);
    int64_t base = (int64_t)self->number * ID_STRIDE;
    for (;; self->next++) {
        kd_txn *txn = txn_begin(&ctx);
        for (int64_t row = 0; row < ROWS; row++)
            row_set(&ctx, arena, txn, base + row, self->next);
        if (self->next % 32 == self->number)
            bulk_toggle(&ctx, arena, txn, base + 1000);
        kd_arena_reset(arena);
        CHECK_STATUS(&ctx, kd_txn_commit(&ctx, txn));
        acknowledgement ack = {self->number, self->next};
        if (write(ack_pipe, &ack, sizeof ack) != sizeof ack)
            _exit(1);
    }
}

static void child_run(const char *directory, const uint32_t *next)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    worker workers[THREADS];
    kd_governor *governor = kd_governor_create(&ctx, 256 << 20);
    storage_open(&ctx, governor, directory);
    table_ensure(&ctx);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.number = i, .next = next[i]};
        CHECK_STATUS(&ctx,
                     kd_thread_start(&ctx, "worker", worker_run, &workers[i], &workers[i].thread));
    }
    for (uint32_t i = 0; i < THREADS; i++)
        kd_thread_join(ctx.world, workers[i].thread);
}

/* --- The parent ------------------------------------------------------------------------------ */

static void rows_check(kd_ctx *ctx, uint32_t *numbers)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "check", KD_ARENA_UNLIMITED);
    kd_txn *txn = txn_begin(ctx);
    for (uint32_t i = 0; i < THREADS; i++) {
        uint32_t seen = 0;
        int64_t base = (int64_t)i * ID_STRIDE;
        for (int64_t row = 0; row < ROWS; row++) {
            kd_rowref ref;
            kd_value value;
            bool is_visible = false;
            if (row_find(ctx, arena, txn, base + row, &ref))
                CHECK_STATUS(ctx, kd_table_get(ctx, arena, table, kd_txn_snapshot(txn), ref, &shape,
                                               &positions[2], 1, &value, &is_visible));
            uint32_t number = is_visible ? (uint32_t)value.as.i32 : 0;
            if (row == 0)
                seen = number;
            CHECK_EQ(number, seen); /* No half transaction. */
        }
        CHECK(seen >= numbers[i]); /* Nothing acknowledged was lost. */
        CHECK(seen <= numbers[i] + 1);
        numbers[i] = seen;
        uint32_t loaded = 0;
        for (int64_t row = 0; row < BULK_ROWS; row++) {
            kd_rowref ref;
            loaded += row_find(ctx, arena, txn, base + 1000 + row, &ref);
            kd_arena_reset(arena);
        }
        CHECK(loaded == 0 || loaded == BULK_ROWS);
    }
    CHECK_STATUS(ctx, kd_txn_commit(ctx, txn));
    kd_arena_destroy(arena);
}

static void reopen_and_check(const char *directory, uint32_t *numbers, bool closes)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_governor *governor = kd_governor_create(&ctx, 256 << 20);
    CHECK(governor != NULL);
    storage_open(&ctx, governor, directory);
    table = kd_table_find(storage, 1);
    if (table != NULL) {
        rows_check(&ctx, numbers);
        CHECK_STATUS(&ctx, kd_storage_check(&ctx, storage));
    } else {
        CHECK_EQ(numbers[0] + numbers[1] + numbers[2], 0);
    }
    if (closes)
        CHECK_STATUS(&ctx, kd_storage_close(&ctx, storage));
    else
        kd_storage_abandon(storage);
    kd_governor_destroy(governor);
}

static uint64_t cycle(const char *directory, test_random *random, uint32_t *numbers)
{
    int ends[2];
    uint32_t next[THREADS];
    uint64_t acknowledged = 0;
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < THREADS; i++)
        next[i] = numbers[i] + 1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(ends[0]);
        ack_pipe = ends[1];
        child_run(directory, next);
        _exit(0);
    }
    close(ends[1]);
    pid_t killer = fork(); /* So that the parent can read all the while. */
    if (killer == 0) {
        (void)usleep((useconds_t)(1000 + test_random_below(random, 1000 * 1000)));
        (void)kill(child, SIGKILL);
        _exit(0);
    }
    acknowledgement ack;
    while (read(ends[0], &ack, sizeof ack) == sizeof ack) {
        numbers[ack.thread] = ack.number;
        acknowledged++;
    }
    close(ends[0]);
    int how;
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    CHECK_EQ(waitpid(killer, &how, 0), killer);
    (void)test_random_next(random);
    return acknowledged;
}

TEST(kills_at_random_moments_lose_no_acknowledged_transaction)
{
    uint64_t cycles = (test_seed_count(60) + 9) / 10;
    const char *directory = test_path("db");
    test_random random = {cycles * 31 + 7};
    uint32_t numbers[THREADS] = {0};
    uint64_t acknowledged = 0;
    shape_define();
    for (uint64_t i = 0; i < cycles; i++) {
        test_note("kill %llu", (unsigned long long)i);
        acknowledged += cycle(directory, &random, numbers);
        reopen_and_check(directory, numbers, i % 3 == 0);
    }
    printf("%llu kills, %llu acknowledged transactions, none lost\n", (unsigned long long)cycles,
           (unsigned long long)acknowledged);
}
