/*
 * Objects: the contents of files, compressed where that helps. The form is drawn in backup.h.
 */
#include "backup/backup_internal.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

enum {
    PIECE_HEADER_BYTES = 12,
    MAGIC_BYTES = 8,
    ZSTD_LEVEL = 1, /* Blocks are encoded already: more effort gains little. */
    OBJECT_PATH_BYTES = KDI_OBJECT_NAME_BYTES + 16,
    LEAST_GAIN = 16, /* One part in so many must be saved. */
};

static const char magic[] = "KADEOBJ1";

/* --- Writing --------------------------------------------------------------------------------- */

kd_status kdi_object_writer_open(kd_ctx *ctx, const kdi_backups *backups, const char *scratch,
                                 kdi_object_writer *out)
{
    *out = (kdi_object_writer){.backups = backups, .scratch = scratch};
    out->stored_capacity = PIECE_HEADER_BYTES + ZSTD_compressBound(KDI_PIECE_BYTES);
    out->piece = kd_alloc(ctx, backups->arena, KDI_PIECE_BYTES);
    out->stored = out->piece == NULL ? NULL : kd_alloc(ctx, backups->arena, out->stored_capacity);
    if (out->stored == NULL)
        return KD_NOMEM;
    out->zstd = ZSTD_createCCtx();
    return out->zstd != NULL ? KD_OK : KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
}

void kdi_object_writer_close(kdi_object_writer *writer)
{
    ZSTD_freeCCtx(writer->zstd);
    *writer = (kdi_object_writer){0};
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

static kd_status piece_write(kd_ctx *ctx, kdi_object_writer *writer, kdi_storing *storing,
                             const void *bytes, size_t size_bytes, uint64_t *kept_bytes)
{
    char *payload = writer->stored + PIECE_HEADER_BYTES;
    size_t stored_bytes = kdi_piece_pack(writer->zstd, bytes, size_bytes, payload,
                                         writer->stored_capacity - PIECE_HEADER_BYTES);
    kd_store_u32(writer->stored, (uint32_t)size_bytes);
    kd_store_u32(writer->stored + 4, (uint32_t)stored_bytes);
    kd_store_u32(writer->stored + 8, kd_crc32c(0, payload, stored_bytes));
    size_t all_bytes = PIECE_HEADER_BYTES + stored_bytes;
    *kept_bytes += all_bytes;
    return writer->backups->store->kind->write(ctx, storing, writer->stored, all_bytes);
}

typedef kd_status piece_use(kd_ctx *ctx, void *object, const char *bytes, size_t size_bytes);

/* Each piece of the source in turn, and their hash. */
static kd_status source_read(kd_ctx *ctx, const kdi_object_writer *writer,
                             const kdi_object_source *source, const kdi_backup_file *file,
                             piece_use *use, void *object, XXH128_hash_t *out_hash)
{
    XXH3_state_t hash;
    XXH3_128bits_reset(&hash);
    size_t got_bytes;
    for (uint64_t offset = 0; offset < file->size_bytes; offset += got_bytes) {
        uint64_t left = file->size_bytes - offset;
        size_t piece_bytes = left > KDI_PIECE_BYTES ? KDI_PIECE_BYTES : (size_t)left;
        const char *bytes = source->file == NULL ? source->bytes + offset : writer->piece;
        got_bytes = piece_bytes;
        if (source->file != NULL)
            KD_TRY(ctx->world->file_read(ctx, source->file, file->offset + offset, writer->piece,
                                         piece_bytes, &got_bytes));
        if (got_bytes != piece_bytes)
            return KD_FAIL(ctx, KD_IO, "58030", "file \"%s\" became shorter while it was copied",
                           file->name);
        XXH3_128bits_update(&hash, bytes, piece_bytes);
        KD_TRY(use(ctx, object, bytes, piece_bytes));
    }
    *out_hash = XXH3_128bits_digest(&hash);
    return KD_OK;
}

static kd_status piece_pass(kd_ctx *ctx, void *object, const char *bytes, size_t size_bytes)
{
    const kdi_object_source *source = object;
    (void)bytes;
    return source->passed == NULL ? kd_check_cancelled(ctx)
                                  : source->passed(ctx, source->object, size_bytes);
}

typedef struct object_writing {
    kdi_object_writer *writer;
    kdi_storing *storing;
    uint64_t kept_bytes;
} object_writing;

static kd_status piece_store(kd_ctx *ctx, void *object, const char *bytes, size_t size_bytes)
{
    object_writing *now = object;
    KD_TRY(kd_check_cancelled(ctx));
    return piece_write(ctx, now->writer, now->storing, bytes, size_bytes, &now->kept_bytes);
}

static void object_name(const kdi_backup_file *file, char out_name[OBJECT_PATH_BYTES])
{
    char name[KDI_OBJECT_NAME_BYTES];
    kdi_backup_object_name(file, name);
    (void)snprintf(out_name, OBJECT_PATH_BYTES, "objects/%s", name);
}

static kd_status pieces_write(kd_ctx *ctx, object_writing *now, const kdi_object_source *source,
                              const kdi_backup_file *file)
{
    XXH128_hash_t hash;
    const kdi_store_kind *kind = now->writer->backups->store->kind;
    KD_TRY(kind->write(ctx, now->storing, magic, MAGIC_BYTES));
    now->kept_bytes = MAGIC_BYTES;
    KD_TRY(source_read(ctx, now->writer, source, file, piece_store, now, &hash));
    if (hash.high64 != file->hash[0] || hash.low64 != file->hash[1])
        return KD_FAIL(ctx, KD_IO, "58030", "file \"%s\" changed while it was copied", file->name);
    KD_TRY(piece_write(ctx, now->writer, now->storing, NULL, 0, &now->kept_bytes));
    return kind->write_finish(ctx, now->storing);
}

kd_status kdi_object_write(kd_ctx *ctx, kdi_object_writer *writer, const kdi_object_source *source,
                           kdi_backup_file *file, uint64_t *out_kept_bytes)
{
    char name[OBJECT_PATH_BYTES];
    XXH128_hash_t hash;
    bool exists;
    object_writing now = {.writer = writer};
    kdi_object_source reading = *source;
    kdi_store *store = writer->backups->store;
    *out_kept_bytes = 0;
    KD_TRY(source_read(ctx, writer, source, file, piece_pass, &reading, &hash));
    file->hash[0] = hash.high64;
    file->hash[1] = hash.low64;
    KD_TRY(kdi_object_exists(ctx, writer->backups, file, &exists));
    if (exists)
        return KD_OK;
    object_name(file, name);
    KD_TRY(store->kind->write_open(ctx, store, name, writer->scratch, &now.storing));
    kd_status status = pieces_write(ctx, &now, source, file);
    store->kind->write_close(ctx, now.storing);
    *out_kept_bytes = now.kept_bytes;
    return status;
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

kd_status kdi_object_exists(kd_ctx *ctx, const kdi_backups *backups, const kdi_backup_file *file,
                            bool *out_exists)
{
    char name[OBJECT_PATH_BYTES];
    object_name(file, name);
    return backups->store->kind->has(ctx, backups->store, name, out_exists, NULL);
}

/* --- Reading --------------------------------------------------------------------------------- */

typedef struct object_reader {
    const kdi_backup_file *of;
    const char *path; /* For messages. */
    kdi_store *store;
    kdi_stored *stored_object;
    kd_file *target;
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
    KD_TRY(reader->store->kind->read(ctx, reader->stored_object, reader->offset, target, size_bytes,
                                     &got_bytes));
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
    char name[OBJECT_PATH_BYTES];
    object_reader reader = {.of = file, .store = backups->store, .target = target, .hash = &hash};
    object_name(file, name);
    reader.path = kd_format_text(ctx, arena, "%s/%s", backups->target, name);
    reader.plain = reader.path == NULL ? NULL : kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    reader.stored = reader.plain == NULL ? NULL : kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    if (reader.stored == NULL)
        return KD_NOMEM;
    kd_status status =
        reader.store->kind->read_open(ctx, reader.store, name, &reader.stored_object);
    if (status == KD_INVALID && strcmp(ctx->error.sqlstate, "58P01") == 0) {
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "backup object \"%s\" (file \"%s\") is missing",
                       reader.path, file->name);
    }
    KD_TRY(status);
    status = object_follow(ctx, &reader);
    reader.store->kind->read_close(ctx, reader.stored_object);
    return status;
}
