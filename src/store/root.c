/*
 * Reading and replacing the database root.
 */
#include "store/root.h"

#include "base/checksum.h"
#include "base/world.h"

#include <assert.h>
#include <stdio.h>

enum { PATH_BYTES = 4096, HEADER_BYTES = 48 };

#define ROOT_MAGIC "KADEROOT"

typedef struct root_header {
    char magic[8];
    uint32_t format_version;
    uint32_t checksum;
    uint64_t database_id;
    uint64_t generation;
    uint64_t body_bytes;
    uint64_t reserved;
} root_header;
_Static_assert(sizeof(root_header) == HEADER_BYTES, "on-disk layout");

static uint32_t root_checksum(root_header header, const void *body, size_t size_bytes)
{
    header.checksum = 0;
    return kd_crc32c(kd_crc32c(0, &header, sizeof header), body, size_bytes);
}

static kd_status root_path(kd_ctx *ctx, const char *directory, const char *name, char *path)
{
    int length = snprintf(path, PATH_BYTES, "%s/%s", directory, name);
    if (length < 0 || length >= PATH_BYTES)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "the path of the database is too long");
    return KD_OK;
}

/* What a crash before the first root may have left says nothing against a new database. */
static kd_status note_entry(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    bool *foreign = object;
    if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
        strcmp(entry->name, "ROOT.new") != 0)
        *foreign = true;
    return KD_OK;
}

static kd_status root_is_absent(kd_ctx *ctx, const char *directory)
{
    bool exists, foreign = false;
    KD_TRY(ctx->world->path_exists(ctx, directory, &exists));
    if (!exists)
        return KD_OK;
    KD_TRY(ctx->world->directory_list(ctx, directory, note_entry, &foreign));
    if (foreign)
        return KD_FAIL(ctx, KD_INVALID, "58P01", "\"%s\" is not a KadeDB database", directory);
    return KD_OK;
}

static kd_status check_header(kd_ctx *ctx, const char *path, const root_header *header,
                              uint64_t file_bytes)
{
    if (memcmp(header->magic, ROOT_MAGIC, sizeof header->magic) != 0)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "database root \"%s\": it does not start as one",
                       path);
    if (header->format_version > KD_ROOT_FORMAT_VERSION)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "the database has format %u; this program reads up to %d",
                       header->format_version, KD_ROOT_FORMAT_VERSION);
    if (header->body_bytes != file_bytes - HEADER_BYTES)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "database root \"%s\": it has a wrong size", path);
    return KD_OK;
}

static kd_status read_file(kd_ctx *ctx, kd_arena *arena, const char *path, kd_file *file,
                           kd_root *out_root)
{
    uint64_t file_bytes;
    size_t got_bytes;
    root_header header;
    KD_TRY(ctx->world->file_size(ctx, file, &file_bytes));
    if (file_bytes < HEADER_BYTES)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "database root \"%s\": it is cut off", path);
    char *bytes = kd_alloc(ctx, arena, file_bytes);
    if (bytes == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->file_read(ctx, file, 0, bytes, file_bytes, &got_bytes));
    if (got_bytes != file_bytes)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "database root \"%s\": it is cut off", path);
    memcpy(&header, bytes, sizeof header);
    KD_TRY(check_header(ctx, path, &header, file_bytes));
    kd_slice body = {bytes + HEADER_BYTES, file_bytes - HEADER_BYTES};
    if (root_checksum(header, body.data, body.size_bytes) != header.checksum)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "database root \"%s\": checksum mismatch", path);
    *out_root = (kd_root){.format_version = header.format_version,
                          .database_id = header.database_id,
                          .generation = header.generation,
                          .body = body};
    return KD_OK;
}

kd_status kd_root_read(kd_ctx *ctx, kd_arena *arena, const char *directory, kd_root *out_root,
                       bool *out_found)
{
    char path[PATH_BYTES];
    bool exists;
    *out_root = (kd_root){0};
    *out_found = false;
    KD_TRY(root_path(ctx, directory, "ROOT", path));
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    if (!exists)
        return root_is_absent(ctx, directory);
    kd_file *file;
    KD_TRY(ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    kd_status status = read_file(ctx, arena, path, file, out_root);
    ctx->world->file_close(ctx->world, file);
    *out_found = status == KD_OK;
    return status;
}

static kd_status write_new(kd_ctx *ctx, const char *path, const kd_root *root)
{
    kd_status status = KD_OK;
    kd_file *file = NULL;
    root_header header = {.format_version = KD_ROOT_FORMAT_VERSION,
                          .database_id = root->database_id,
                          .generation = root->generation,
                          .body_bytes = root->body.size_bytes};
    memcpy(header.magic, ROOT_MAGIC, sizeof header.magic);
    header.checksum = root_checksum(header, root->body.data, root->body.size_bytes);
    KD_TRY_OUT(
        ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &file));
    KD_TRY_OUT(ctx->world->file_write(ctx, file, 0, &header, sizeof header));
    if (root->body.size_bytes > 0)
        KD_TRY_OUT(ctx->world->file_write(ctx, file, sizeof header, root->body.data,
                                          root->body.size_bytes));
    KD_TRY_OUT(ctx->world->file_sync(ctx, file));

out:
    if (file != NULL)
        ctx->world->file_close(ctx->world, file);
    return status;
}

kd_status kd_root_write(kd_ctx *ctx, const char *directory, const kd_root *root,
                        bool *out_old_stays)
{
    *out_old_stays = true;
    char path[PATH_BYTES], new_path[PATH_BYTES];
    KD_TRY(root_path(ctx, directory, "ROOT", path));
    KD_TRY(root_path(ctx, directory, "ROOT.new", new_path));
    KD_TRY(write_new(ctx, new_path, root));
    *out_old_stays = false;
    KD_TRY(ctx->world->path_rename(ctx, new_path, path));
    return ctx->world->directory_sync(ctx, directory);
}
