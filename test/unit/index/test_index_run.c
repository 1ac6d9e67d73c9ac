/*
 * Runs: every damaged byte of a small one is found and named; random bytes never crash.
 */
#include "index/run.h"
#include "test.h"

#include <stdio.h>

typedef struct run_fixture {
    kd_ctx ctx;
    kd_account account;
    kd_segment_options files;
} run_fixture;

static void begin(run_fixture *self)
{
    memset(self, 0, sizeof *self);
    self->ctx = test_ctx();
    kd_account_init(&self->account, NULL, "test", SIZE_MAX);
    self->files.directory = test_directory();
    self->files.database_id = 77;
    self->files.account = &self->account;
    CHECK_STATUS(&self->ctx,
                 kd_block_cache_create(&self->ctx, &self->account, 1 << 20, &self->files.cache));
}

static void end(run_fixture *self)
{
    kd_block_cache_destroy(self->files.cache);
    CHECK_EQ(atomic_load(&self->account.used_bytes), 0);
}

static void write_small_run(run_fixture *self)
{
    kdi_run_writer *writer;
    CHECK_STATUS(&self->ctx, kdi_run_writer_create(&self->ctx, &self->files, 3, 9, &writer));
    for (int i = 0; i < 100; i++) {
        char key[32];
        int length = snprintf(key, sizeof key, "key %03d%s", i, i % 2 == 0 ? "" : " longer");
        CHECK_STATUS(&self->ctx,
                     kdi_run_writer_add(&self->ctx, writer, (kd_slice){key, (size_t)length},
                                        (uint64_t)i * 5, i % 10 == 0));
    }
    CHECK_STATUS(&self->ctx, kdi_run_writer_finish(&self->ctx, writer));
    kdi_run_writer_destroy(writer);
}

static kd_status open_and_check(run_fixture *self)
{
    kdi_run *run;
    kd_status status = kdi_run_open(&self->ctx, &self->files, 3, 9, &run);
    if (status == KD_OK)
        status = kdi_run_check(&self->ctx, run);
    kdi_run_unref(run);
    return status;
}

static void write_at(kd_ctx *ctx, uint64_t offset, uint8_t byte)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, test_path("3-9.run"), KD_FILE_WRITE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, offset, &byte, 1));
    ctx->world->file_close(ctx->world, file);
}

TEST(every_damaged_byte_of_a_run_is_found)
{
    run_fixture self;
    static uint8_t bytes[16 << 10];
    size_t size_bytes;
    kd_file *file;
    begin(&self);
    write_small_run(&self);
    CHECK_STATUS(&self.ctx, open_and_check(&self));
    CHECK_STATUS(&self.ctx,
                 self.ctx.world->file_open(&self.ctx, test_path("3-9.run"), KD_FILE_READ, &file));
    CHECK_STATUS(&self.ctx,
                 self.ctx.world->file_read(&self.ctx, file, 0, bytes, sizeof bytes, &size_bytes));
    self.ctx.world->file_close(self.ctx.world, file);
    uint32_t found = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        test_note("byte %zu of %zu", i, size_bytes);
        write_at(&self.ctx, i, bytes[i] ^ 4);
        kd_status status = open_and_check(&self);
        if (status != KD_OK) {
            CHECK(status == KD_CORRUPT || status == KD_UNSUPPORTED);
            CHECK(strstr(self.ctx.error.message, "index run 3-9.run") != NULL);
            found++;
        } else {
            CHECK_EQ(bytes[i], 0); /* Padding before the trailer. */
        }
        kd_error_clear(&self.ctx);
        write_at(&self.ctx, i, bytes[i]);
    }
    CHECK(found > 1000);
    CHECK_STATUS(&self.ctx, open_and_check(&self));
    end(&self);
}

TEST(a_run_finds_marks_and_misses)
{
    run_fixture self;
    begin(&self);
    write_small_run(&self);
    kdi_run *run;
    kdi_tree_hit hits[4];
    uint32_t count;
    CHECK_STATUS(&self.ctx, kdi_run_open(&self.ctx, &self.files, 3, 9, &run));
    CHECK_STATUS(&self.ctx, kdi_run_find(&self.ctx, run, KD_SLICE("key 020"), 0, hits, 4, &count));
    CHECK_EQ(count, 1);
    CHECK(hits[0].removed && hits[0].ref == 100);
    CHECK_STATUS(&self.ctx, kdi_run_find(&self.ctx, run, KD_SLICE("key 021"), 0, hits, 4, &count));
    CHECK_EQ(count, 0);
    CHECK_STATUS(&self.ctx,
                 kdi_run_find(&self.ctx, run, KD_SLICE("key 021 longer"), 106, hits, 4, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(kdi_run_removed_count(run), 10);
    kdi_run_unref(run);
    end(&self);
}

TEST(random_run_blocks_are_parsed_safely)
{
    test_random random = {23};
    static uint8_t bytes[512];
    for (int round = 0; round < 100000; round++) {
        size_t size_bytes = 24 + test_random_below(&random, 400);
        for (size_t i = 0; i < size_bytes; i++)
            bytes[i] = (uint8_t)test_random_below(&random, 6);
        kdi_run_block_header header = {.size_bytes = (uint32_t)size_bytes,
                                       .entry_count = (uint16_t)test_random_below(&random, 40),
                                       .prefix_bytes = (uint16_t)test_random_below(&random, 9),
                                       .suffix_bytes = (uint16_t)test_random_below(&random, 9),
                                       .ref_bytes = (uint8_t)test_random_below(&random, 10)};
        if (test_random_below(&random, 2) == 0)
            header.suffix_bytes = KDI_RUN_KEYS_DIFFER;
        memcpy(bytes, &header, sizeof header);
        kdi_run_block block;
        (void)kdi_run_block_parse(bytes, size_bytes, &block);
    }
}
