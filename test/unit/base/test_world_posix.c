/*
 * The real world keeps the promises of world.h, and words its failures as
 * PostgreSQL does.
 */
#include "base/world.h"
#include "test.h"

static kd_status count_entry(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    int *counts = object;
    counts[entry->is_directory]++;
    return KD_OK;
}

TEST(posix_missing_file_is_invalid_with_the_familiar_message)
{
    kd_ctx ctx = test_ctx();
    kd_file *file = (kd_file *)&ctx;
    CHECK_EQ(ctx.world->file_open(&ctx, "/no/such/file", KD_FILE_READ, &file), KD_INVALID);
    CHECK(file == NULL);
    CHECK_TEXT(ctx.error.sqlstate, "58P01");
    CHECK_TEXT(ctx.error.message,
               "could not open file \"/no/such/file\": No such file or directory");
}

TEST(posix_direct_file_gives_back_what_was_written)
{
    kd_ctx ctx = test_ctx();
    kd_world *world = ctx.world;
    kd_file *file;
    const char *path = test_path("direct");
    CHECK_STATUS(&ctx, world->file_open(
                           &ctx, path,
                           KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_DIRECT | KD_FILE_DSYNC, &file));
    unsigned char *block = world->memory_alloc(world, 8192);
    CHECK(block != NULL && (uintptr_t)block % KD_DIRECT_ALIGN_BYTES == 0);
    memset(block, 'k', 8192);
    CHECK_STATUS(&ctx, world->file_write(&ctx, file, 4096, block, 8192));
    CHECK_STATUS(&ctx, world->file_sync(&ctx, file));
    uint64_t size_bytes;
    CHECK_STATUS(&ctx, world->file_size(&ctx, file, &size_bytes));
    CHECK_EQ(size_bytes, 4096 + 8192);
    size_t read_bytes;
    CHECK_STATUS(&ctx, world->file_read(&ctx, file, 8192, block, 8192, &read_bytes));
    CHECK_EQ(read_bytes, 4096); /* Stops at the end of the file. */
    CHECK_EQ(block[0], 'k');
    world->file_close(world, file);
    world->memory_free(world, block, 8192);
}

TEST(posix_lock_is_exclusive_and_ends_with_the_file)
{
    kd_ctx ctx = test_ctx();
    kd_world *world = ctx.world;
    kd_file *first, *second;
    const char *path = test_path("lock");
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_LOCK;
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, flags, &first));
    CHECK_FAILS(&ctx, world->file_open(&ctx, path, flags, &second), "55006");
    world->file_close(world, first);
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, flags, &second));
    world->file_close(world, second);
    CHECK_FAILS(&ctx, world->file_open(&ctx, path, flags | KD_FILE_EXCLUSIVE, &first), "58P02");
}

TEST(posix_lock_is_shared_by_readers)
{
    kd_ctx ctx = test_ctx();
    kd_world *world = ctx.world;
    kd_file *first, *second, *third;
    const char *path = test_path("lock");
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &first));
    world->file_close(world, first);
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, KD_FILE_READ | KD_FILE_LOCK, &first));
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, KD_FILE_READ | KD_FILE_LOCK, &second));
    CHECK_FAILS(&ctx, world->file_open(&ctx, path, KD_FILE_WRITE | KD_FILE_LOCK, &third), "55006");
    world->file_close(world, first);
    world->file_close(world, second);
    CHECK_STATUS(&ctx, world->file_open(&ctx, path, KD_FILE_WRITE | KD_FILE_LOCK, &third));
    CHECK_FAILS(&ctx, world->file_open(&ctx, path, KD_FILE_READ | KD_FILE_LOCK, &first), "55006");
    world->file_close(world, third);
}

TEST(posix_names_are_made_listed_renamed_and_removed)
{
    kd_ctx ctx = test_ctx();
    kd_world *world = ctx.world;
    kd_file *file;
    const char *folder = test_path("folder");
    CHECK_STATUS(&ctx, world->directory_create(&ctx, folder));
    CHECK_STATUS(&ctx, world->directory_create(&ctx, folder));
    CHECK_STATUS(&ctx,
                 world->file_open(&ctx, test_path("a"), KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(&ctx, world->file_resize(&ctx, file, 100));
    world->file_close(world, file);
    CHECK_STATUS(&ctx, world->path_rename(&ctx, test_path("a"), test_path("b")));
    bool exists;
    CHECK_STATUS(&ctx, world->path_exists(&ctx, test_path("a"), &exists));
    CHECK(!exists);
    CHECK_STATUS(&ctx, world->directory_sync(&ctx, test_directory()));
    int counts[2] = {0};
    CHECK_STATUS(&ctx, world->directory_list(&ctx, test_directory(), count_entry, counts));
    CHECK_EQ(counts[0], 1);
    CHECK_EQ(counts[1], 1);
    CHECK_FAILS(&ctx, world->file_open(&ctx, folder, KD_FILE_READ, &file), "58030");
    CHECK_STATUS(&ctx, world->path_remove(&ctx, folder));
    CHECK_STATUS(&ctx, world->path_remove(&ctx, test_path("b")));
    CHECK_FAILS(&ctx, world->path_remove(&ctx, test_path("b")), "58P01");
}

TEST(posix_clock_and_machine_answer_sensibly)
{
    kd_world *world = kd_world_posix();
    uint64_t before_ns = world->monotonic_ns(world);
    world->sleep_ns(world, 1000000);
    CHECK(world->monotonic_ns(world) - before_ns >= 1000000);
    CHECK(world->wall_us(world) > 1600000000000000);
    CHECK(world->random_u64(world) != world->random_u64(world));
    CHECK(world->processor_count(world) >= 1);
    CHECK(world->memory_total_bytes(world) > (64u << 20));
}
