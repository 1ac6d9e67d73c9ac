/*
 * Faults: every allocation and disk call of an index's life fails in turn; whatever failed, what
 * was inserted before is still found.
 */
#include "index/index.h"
#include "sim_world.h"

enum { KEYS = 300 };

static void setup(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    CHECK_STATUS(ctx, ctx->world->directory_create(ctx, "db"));
}

static kd_slice key_make(uint32_t number, char room[40])
{
    memset(room, 'x', 40);
    room[0] = (char)(number >> 8);
    room[1] = (char)number;
    return (kd_slice){room, number % 3 == 0 ? 40 : 9}; /* Some outside of the nodes. */
}

static kd_status insert_range(kd_ctx *ctx, kd_index *index, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char room[40];
        KD_TRY(kd_index_insert(ctx, index, key_make(i, room), i));
    }
    return KD_OK;
}

static kd_status find_range(kd_ctx *ctx, kd_index *index, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char room[40];
        uint64_t ref;
        uint32_t count;
        KD_TRY(kd_index_find(ctx, index, key_make(i, room), &ref, 1, &count));
        CHECK_EQ(count, 1);
        CHECK_EQ(ref, i);
    }
    return KD_OK;
}

static kd_status scan_all(kd_ctx *ctx, kd_arena *arena, kd_index *index, uint32_t expected)
{
    kd_index_cursor *cursor;
    kd_index_range range = {0};
    uint32_t count = 0;
    bool at_end = false;
    KD_TRY(kd_index_cursor_open(ctx, arena, index, &range, &cursor));
    kd_status status = KD_OK;
    while (status == KD_OK && !at_end) {
        kd_slice key;
        uint64_t ref;
        status = kd_index_cursor_next(ctx, cursor, &key, &ref, &at_end);
        count += status == KD_OK && !at_end;
    }
    kd_index_cursor_close(cursor);
    if (status == KD_OK)
        CHECK_EQ(count, expected);
    return status;
}

static kd_status live(kd_ctx *ctx, kd_arena *arena, const kd_index_options *options,
                      kd_index **index)
{
    kd_slice manifest;
    KD_TRY(kd_index_create(ctx, options, index));
    KD_TRY(insert_range(ctx, *index, 0, KEYS));
    KD_TRY(kd_index_checkpoint(ctx, *index, NULL, NULL, false, arena, &manifest));
    KD_TRY(insert_range(ctx, *index, KEYS, 2 * KEYS));
    kd_status status = kd_index_checkpoint(ctx, *index, NULL, NULL, true, arena, &manifest);
    if (status != KD_OK) {
        /* Nothing is lost by a merge that failed, and the next one succeeds. */
        kd_error_clear(ctx);
        KD_TRY(find_range(ctx, *index, 0, 2 * KEYS));
        KD_TRY(kd_index_checkpoint(ctx, *index, NULL, NULL, true, arena, &manifest));
    }
    KD_TRY(kd_index_release_old(ctx, *index));
    kd_index_close(ctx->world, *index);
    *index = NULL;
    KD_TRY(kd_index_open(ctx, options, manifest, index));
    KD_TRY(find_range(ctx, *index, 0, 2 * KEYS));
    return scan_all(ctx, arena, *index, 2 * KEYS);
}

static kd_status whole_life(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_account account;
    kd_index *index = NULL;
    kd_segment_options files = {.directory = "db", .database_id = 7, .account = &account};
    kd_index_options options = {.index_no = 3, .files = &files, .account = &account};
    kd_account_init(&account, NULL, "test", SIZE_MAX);
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", SIZE_MAX);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_block_cache_create(ctx, &account, 1 << 20, &files.cache));
    KD_TRY_OUT(live(ctx, arena, &options, &index));

out:
    kd_index_close(ctx->world, index);
    kd_block_cache_destroy(files.cache);
    kd_arena_destroy(arena);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
    return status;
}

TEST(an_index_survives_every_single_fault)
{
    sim_sweep_faults_tolerated(whole_life, setup);
}
