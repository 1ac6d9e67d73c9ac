/*
 * The database root: written and read back, every damaged byte found.
 */
#include "store/root.h"
#include "test.h"

static void write_root(kd_ctx *ctx, const char *directory, const char *body, uint64_t generation)
{
    kd_root root = {.format_version = KD_ROOT_FORMAT_VERSION,
                    .database_id = 99,
                    .generation = generation,
                    .body = kd_slice_of(body)};
    bool old_stays;
    CHECK_STATUS(ctx, kd_root_write(ctx, directory, &root, &old_stays));
}

TEST(a_root_reads_back_and_is_replaced)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_root root;
    bool found;
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found));
    CHECK(!found);
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_path("absent"), &root, &found));
    CHECK(!found);
    write_root(&ctx, test_directory(), "first", 1);
    write_root(&ctx, test_directory(), "", 2);
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found));
    CHECK(found && root.body.size_bytes == 0 && root.generation == 2);
    write_root(&ctx, test_directory(), "a longer body", 3);
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found));
    CHECK_SLICE(root.body, "a longer body");
    CHECK_EQ(root.database_id, 99);
    kd_arena_destroy(arena);
}

static void write_byte(kd_ctx *ctx, const char *path, uint64_t offset, char byte)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, offset, &byte, 1));
    ctx->world->file_close(ctx->world, file);
}

TEST(every_damaged_byte_of_a_root_is_found)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_root root;
    bool found;
    write_root(&ctx, test_directory(), "body", 1);
    const char *path = test_path("ROOT");
    kd_file *file;
    char bytes[52];
    size_t got_bytes;
    CHECK_STATUS(&ctx, ctx.world->file_open(&ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(&ctx, ctx.world->file_read(&ctx, file, 0, bytes, sizeof bytes, &got_bytes));
    ctx.world->file_close(ctx.world, file);
    CHECK_EQ(got_bytes, sizeof bytes);
    for (uint64_t i = 0; i < sizeof bytes; i++) {
        test_note("byte %llu", (unsigned long long)i);
        write_byte(&ctx, path, i, (char)(bytes[i] ^ 1));
        kd_status status = kd_root_read(&ctx, arena, test_directory(), &root, &found);
        CHECK(status == KD_CORRUPT || status == KD_UNSUPPORTED);
        CHECK(!found);
        kd_error_clear(&ctx);
        write_byte(&ctx, path, i, bytes[i]);
    }
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found));
    kd_arena_destroy(arena);
}

TEST(a_directory_of_something_else_is_refused)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_root root;
    bool found;
    write_byte(&ctx, test_path("ROOT.new"), 0, 'x');
    CHECK_STATUS(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found));
    write_byte(&ctx, test_path("holiday.jpg"), 0, 'x');
    CHECK_FAILS_WITH(&ctx, kd_root_read(&ctx, arena, test_directory(), &root, &found), "58P01",
                     "is not a KadeDB database");
    kd_arena_destroy(arena);
}
