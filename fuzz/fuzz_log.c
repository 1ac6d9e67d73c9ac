/*
 * A log file of any bytes: recovered, cut at a torn end, or refused, never worse.
 *
 * The first byte chooses: the bytes as the file itself, or - because checksums stop
 * nearly all of those - as the payload of properly sealed blocks, whose lengths and flags
 * come from the input too.
 */
#include "base/world_memory.h"
#include "wal/wal_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { LOG_ID = 9, FILE_BYTES = 64 << 10, KEPT_BLOCKS_MAX = 8 };

static const char path[] = "wal/0000000000000001.log";

static kd_status visit_sum(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    uint64_t *sum = object;
    for (size_t i = 0; i < record->payload.size_bytes; i++)
        *sum += (uint8_t)record->payload.data[i];
    return record->kind == 0 ? KD_INTERNAL : KD_OK;
}

static kd_status header_put(kd_ctx *ctx, kd_file *file, char *page)
{
    memset(page, 0, KDI_WAL_HEADER_BYTES);
    kdi_file_header *header = (kdi_file_header *)page;
    header->log_id = LOG_ID;
    header->file_no = 1;
    header->file_bytes = FILE_BYTES;
    header->start_position = KD_WAL_POSITION_FIRST;
    header->durable_position = KD_WAL_POSITION_FIRST;
    header->incarnation = 1;
    kdi_file_header_seal(page);
    return ctx->world->file_write(ctx, file, 0, page, KDI_WAL_HEADER_BYTES);
}

/* One block per round: two bytes of the input say how long it is, the next one its flags. */
static kd_status blocks_put(kd_ctx *ctx, kd_file *file, char *page, const uint8_t *data,
                            size_t size_bytes)
{
    uint64_t position = KD_WAL_POSITION_FIRST;
    uint64_t offset = KDI_WAL_HEADER_BYTES;
    uint32_t link = 0;
    for (int i = 0; i < KEPT_BLOCKS_MAX && size_bytes > 3; i++) {
        size_t payload_bytes = (data[0] | (size_t)data[1] << 8) % 4000;
        uint32_t flags = data[2] % 4;
        data += 3;
        size_bytes -= 3;
        if (payload_bytes > size_bytes)
            payload_bytes = size_bytes;
        memset(page, 0, KD_WAL_BLOCK_ALIGN_BYTES);
        kdi_block_header *header = (kdi_block_header *)page;
        *header = (kdi_block_header){.log_id = LOG_ID,
                                     .file_no = 1,
                                     .position = position,
                                     .durable_position = position,
                                     .payload_bytes = (uint32_t)payload_bytes,
                                     .link = link,
                                     .incarnation = 1,
                                     .flags = flags};
        memcpy(page + KDI_BLOCK_HEADER_BYTES, data, payload_bytes);
        kdi_block_seal(page);
        size_t block_bytes = (size_t)kdi_block_bytes(payload_bytes);
        KD_TRY(ctx->world->file_write(ctx, file, offset, page, block_bytes));
        offset += block_bytes;
        position += payload_bytes;
        link = header->checksum;
        data += payload_bytes;
        size_bytes -= payload_bytes;
    }
    return KD_OK;
}

static kd_status log_put(kd_ctx *ctx, const uint8_t *data, size_t size_bytes)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    static char page[2 * KD_WAL_BLOCK_ALIGN_BYTES];
    kd_file *file = NULL;
    KD_TRY_OUT(world->directory_create(ctx, "wal"));
    KD_TRY_OUT(world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    if (data[0] % 4 == 0) {
        KD_TRY_OUT(world->file_write(ctx, file, 0, data + 1, size_bytes - 1));
    } else {
        KD_TRY_OUT(header_put(ctx, file, page));
        KD_TRY_OUT(blocks_put(ctx, file, page, data + 1, size_bytes - 1));
    }
out:
    world->file_close(world, file);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 2 || size_bytes > FILE_BYTES)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_world *world = kd_world_memory_create(&ctx, kd_world_posix());
    if (world == NULL)
        return 0;
    ctx.world = world;
    kd_account account;
    kd_account_init(&account, NULL, "fuzz", SIZE_MAX);
    kd_status status = log_put(&ctx, data, size_bytes);
    kd_wal_options options = {.directory = "wal",
                              .log_id = LOG_ID,
                              .read_only = data[0] % 2 != 0,
                              .file_bytes = FILE_BYTES,
                              .buffer_bytes = 1 << 20};
    uint64_t sum = 0;
    kd_wal *wal;
    if (status == KD_OK && kd_wal_open(&ctx, &account, &options, visit_sum, &sum, &wal) == KD_OK)
        kd_wal_abandon(world, wal);
    kd_world_memory_destroy(world);
    return 0;
}
