/*
 * Objects: the contents of files, compressed where that helps. The form is drawn in backup.h.
 */
#include "backup/backup_internal.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <string.h>
#include <zstd.h>

enum {
    PIECE_HEADER_BYTES = 12,
    MAGIC_BYTES = 8,
    ZSTD_LEVEL = 1,  /* Blocks are encoded already: more effort gains little. */
    LEAST_GAIN = 16, /* One part in so many must be saved. */
};

static const char magic[] = "KADEOBJ1";
/* --- Writing --------------------------------------------------------------------------------- */

kd_status kdi_object_writer_open(kd_ctx *ctx, const kdi_backups *backups, const char *new_name,
                                 kdi_object_writer *out)
{
    *out = (kdi_object_writer){.arena = backups->arena};
    out->stored_capacity = PIECE_HEADER_BYTES + ZSTD_compressBound(KDI_PIECE_BYTES);
    out->new_path =
        kd_format_text(ctx, backups->arena, "%s/%s", backups->objects_directory, new_name);
    out->stored =
        out->new_path == NULL ? NULL : kd_alloc(ctx, backups->arena, out->stored_capacity);
    if (out->stored == NULL)
        return KD_NOMEM;
    out->zstd = ZSTD_createCCtx();
    return out->zstd != NULL ? KD_OK : KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
}

void kdi_object_writer_close(kd_ctx *ctx, kdi_object_writer *writer)
{
    if (writer->file != NULL) {
        kd_ctx own = {.world = ctx->world};
        ctx->world->file_close(ctx->world, writer->file);
        if (ctx->world->path_remove(&own, writer->new_path) != KD_OK)
            kd_error_clear(&own); /* The next backup overwrites it. */
    }
    ZSTD_freeCCtx(writer->zstd);
    *writer = (kdi_object_writer){0};
}

kd_status kdi_object_begin(kd_ctx *ctx, kdi_object_writer *writer)
{
    writer->plain_bytes = 0;
    writer->offset = MAGIC_BYTES;
    XXH3_128bits_reset(&writer->hash);
    KD_TRY(ctx->world->file_open(ctx, writer->new_path,
                                 KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &writer->file));
    return ctx->world->file_write(ctx, writer->file, 0, magic, MAGIC_BYTES);
}

size_t kdi_piece_pack(void *zstd, const void *bytes, size_t size_bytes, char *out, size_t capacity)
{
    if (size_bytes == 0)
        return 0;
    size_t stored_bytes = ZSTD_compressCCtx(zstd, out, capacity, bytes, size_bytes, ZSTD_LEVEL);
    if (!ZSTD_isError(stored_bytes) && stored_bytes + size_bytes / LEAST_GAIN < size_bytes)
        return stored_bytes;
    memcpy(out, bytes, size_bytes);
    return size_bytes;
}

const char *kdi_piece_unpack(const char *stored, size_t stored_bytes, char *plain,
                             size_t plain_bytes)
{
    if (stored_bytes == plain_bytes)
        return stored;
    size_t got = ZSTD_decompress(plain, plain_bytes, stored, stored_bytes);
    return ZSTD_isError(got) || got != plain_bytes ? NULL : plain;
}

static kd_status piece_write(kd_ctx *ctx, kdi_object_writer *writer, const void *bytes,
                             size_t size_bytes)
{
    char *payload = writer->stored + PIECE_HEADER_BYTES;
    size_t stored_bytes = kdi_piece_pack(writer->zstd, bytes, size_bytes, payload,
                                         writer->stored_capacity - PIECE_HEADER_BYTES);
    kd_store_u32(writer->stored, (uint32_t)size_bytes);
    kd_store_u32(writer->stored + 4, (uint32_t)stored_bytes);
    kd_store_u32(writer->stored + 8, kd_crc32c(0, payload, stored_bytes));
    size_t all_bytes = PIECE_HEADER_BYTES + stored_bytes;
    KD_TRY(ctx->world->file_write(ctx, writer->file, writer->offset, writer->stored, all_bytes));
    writer->offset += all_bytes;
    return KD_OK;
}

kd_status kdi_object_append(kd_ctx *ctx, kdi_object_writer *writer, const void *bytes,
                            size_t size_bytes)
{
    XXH3_128bits_update(&writer->hash, bytes, size_bytes);
    writer->plain_bytes += size_bytes;
    return size_bytes == 0 ? KD_OK : piece_write(ctx, writer, bytes, size_bytes);
}

kd_status kdi_object_copy(kd_ctx *ctx, kdi_object_writer *writer, const kdi_backups *backups,
                          kd_file *source, char *piece, kdi_backup_file *file,
                          kd_status (*passed)(kd_ctx *ctx, void *object, size_t size_bytes),
                          void *object, uint64_t *out_kept_bytes)
{
    size_t got_bytes;
    uint64_t size_bytes = file->size_bytes;
    KD_TRY(kdi_object_begin(ctx, writer));
    for (uint64_t offset = 0; offset < size_bytes; offset += got_bytes) {
        size_t piece_bytes =
            size_bytes - offset > KDI_PIECE_BYTES ? KDI_PIECE_BYTES : (size_t)(size_bytes - offset);
        KD_TRY(ctx->world->file_read(ctx, source, file->offset + offset, piece, piece_bytes,
                                     &got_bytes));
        if (got_bytes != piece_bytes)
            return KD_FAIL(ctx, KD_IO, "58030", "file \"%s\" became shorter while it was copied",
                           file->name);
        KD_TRY(kdi_object_append(ctx, writer, piece, got_bytes));
        if (passed != NULL)
            KD_TRY(passed(ctx, object, got_bytes));
    }
    return kdi_object_finish(ctx, writer, backups, file, out_kept_bytes);
}

kd_status kdi_file_measure(kd_ctx *ctx, kd_file *file, char *piece, kdi_backup_file *out)
{
    size_t got_bytes;
    KD_TRY(ctx->world->file_size(ctx, file, &out->size_bytes));
    uint64_t from = out->size_bytes > KDI_TAIL_BYTES ? out->size_bytes - KDI_TAIL_BYTES : 0;
    KD_TRY(ctx->world->file_read(ctx, file, from, piece, out->size_bytes - from, &got_bytes));
    out->tail = XXH3_64bits(piece, got_bytes);
    return KD_OK;
}

static const char *object_path(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                               const kdi_backup_file *file)
{
    char name[KDI_OBJECT_NAME_BYTES];
    kdi_backup_object_name(file, name);
    return kd_format_text(ctx, arena, "%s/%s", backups->objects_directory, name);
}

kd_status kdi_object_finish(kd_ctx *ctx, kdi_object_writer *writer, const kdi_backups *backups,
                            kdi_backup_file *file, uint64_t *out_kept_bytes)
{
    bool exists;
    *out_kept_bytes = 0;
    XXH128_hash_t hash = XXH3_128bits_digest(&writer->hash);
    file->size_bytes = writer->plain_bytes;
    file->hash[0] = hash.high64;
    file->hash[1] = hash.low64;
    KD_TRY(kdi_object_exists(ctx, backups, file, &exists));
    if (!exists) {
        KD_TRY(piece_write(ctx, writer, NULL, 0));
        KD_TRY(ctx->world->file_sync(ctx, writer->file));
    }
    ctx->world->file_close(ctx->world, writer->file);
    writer->file = NULL;
    if (exists)
        return ctx->world->path_remove(ctx, writer->new_path);
    const char *path = object_path(ctx, writer->arena, backups, file);
    if (path == NULL)
        return KD_NOMEM;
    *out_kept_bytes = writer->offset;
    return ctx->world->path_rename(ctx, writer->new_path, path);
}

kd_status kdi_object_exists(kd_ctx *ctx, const kdi_backups *backups, const kdi_backup_file *file,
                            bool *out_exists)
{
    const char *path = object_path(ctx, backups->arena, backups, file);
    *out_exists = false;
    return path == NULL ? KD_NOMEM : ctx->world->path_exists(ctx, path, out_exists);
}

/* --- Reading --------------------------------------------------------------------------------- */

typedef struct object_reader {
    const kdi_backup_file *of;
    const char *path;
    kd_file *file, *target;
    uint64_t offset, plain_bytes;
    XXH3_state_t *hash;
    char *plain, *stored;
} object_reader;

static kd_status damaged(kd_ctx *ctx, const object_reader *reader, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "backup object \"%s\" (file \"%s\") is damaged at offset %" PRIu64 ": %s",
                   reader->path, reader->of->name, reader->offset, what);
}

static kd_status bytes_read(kd_ctx *ctx, object_reader *reader, void *target, size_t size_bytes)
{
    size_t got_bytes;
    KD_TRY(
        ctx->world->file_read(ctx, reader->file, reader->offset, target, size_bytes, &got_bytes));
    if (got_bytes != size_bytes)
        return damaged(ctx, reader, "it is cut off");
    reader->offset += size_bytes;
    return KD_OK;
}

static kd_status piece_read(kd_ctx *ctx, object_reader *reader, bool *out_end)
{
    char header[PIECE_HEADER_BYTES];
    KD_TRY(bytes_read(ctx, reader, header, sizeof header));
    uint32_t plain_bytes = kd_load_u32(header), stored_bytes = kd_load_u32(header + 4);
    *out_end = plain_bytes == 0;
    if (plain_bytes > KDI_PIECE_BYTES || stored_bytes > plain_bytes)
        return damaged(ctx, reader, "a piece has a wrong size");
    KD_TRY(bytes_read(ctx, reader, reader->stored, stored_bytes));
    if (kd_crc32c(0, reader->stored, stored_bytes) != kd_load_u32(header + 8))
        return damaged(ctx, reader, "checksum mismatch");
    const char *plain = kdi_piece_unpack(reader->stored, stored_bytes, reader->plain, plain_bytes);
    if (plain == NULL)
        return damaged(ctx, reader, "a piece cannot be decompressed");
    XXH3_128bits_update(reader->hash, plain, plain_bytes);
    if (reader->target != NULL && plain_bytes > 0)
        KD_TRY(ctx->world->file_write(ctx, reader->target, reader->of->offset + reader->plain_bytes,
                                      plain, plain_bytes));
    reader->plain_bytes += plain_bytes;
    return kd_progress_add(ctx, plain_bytes);
}

static kd_status object_follow(kd_ctx *ctx, object_reader *reader)
{
    char start[MAGIC_BYTES];
    bool is_end = false;
    XXH3_128bits_reset(reader->hash);
    KD_TRY(bytes_read(ctx, reader, start, sizeof start));
    if (memcmp(start, magic, MAGIC_BYTES) != 0)
        return damaged(ctx, reader, "it does not start as one");
    while (!is_end)
        KD_TRY(piece_read(ctx, reader, &is_end));
    XXH128_hash_t hash = XXH3_128bits_digest(reader->hash);
    if (reader->plain_bytes != reader->of->size_bytes || hash.high64 != reader->of->hash[0] ||
        hash.low64 != reader->of->hash[1])
        return damaged(ctx, reader, "its bytes are others than those that were copied");
    return KD_OK;
}

kd_status kdi_object_read(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                          const kdi_backup_file *file, kd_file *target)
{
    XXH3_state_t hash;
    object_reader reader = {.of = file, .target = target, .hash = &hash};
    reader.path = object_path(ctx, arena, backups, file);
    reader.plain = reader.path == NULL ? NULL : kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    reader.stored = reader.plain == NULL ? NULL : kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    if (reader.stored == NULL)
        return KD_NOMEM;
    kd_status status = ctx->world->file_open(ctx, reader.path, KD_FILE_READ, &reader.file);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "backup object \"%s\" (file \"%s\") is missing",
                       reader.path, file->name);
    }
    KD_TRY(status);
    status = object_follow(ctx, &reader);
    ctx->world->file_close(ctx->world, reader.file);
    return status;
}
