/*
 * Pieces of an archive: their headers, and adding them to files. The form is drawn in archive.h.
 */
#include "backup/archive_internal.h"

#include "base/checksum.h"

#include <zstd.h>

enum { MAGIC_BYTES = 8, CHECKED_FROM = 12, FLAG_BEGINS = 1 };

static const char magic[] = "KADEARC1";

/* --- Headers --------------------------------------------------------------------------------- */

static uint32_t header_checksum(const char *header)
{
    return kd_crc32c(0, header + CHECKED_FROM, KDI_ARCHIVE_HEADER_BYTES - CHECKED_FROM);
}

static void header_make(char *header, uint64_t database_id, const kdi_archive_piece *piece)
{
    memset(header, 0, KDI_ARCHIVE_HEADER_BYTES);
    memcpy(header, magic, MAGIC_BYTES);
    kd_store_u32(header + 12, piece->checksum);
    kd_store_u64(header + 16, database_id);
    kd_store_u64(header + 24, piece->from.file_no);
    kd_store_u64(header + 32, piece->from.offset);
    kd_store_u64(header + 40, piece->from.position);
    kd_store_u64(header + 48, piece->to.position);
    kd_store_u64(header + 56, (uint64_t)piece->since_us);
    kd_store_u64(header + 64, (uint64_t)piece->until_us);
    kd_store_u32(header + 72, piece->plain_bytes);
    kd_store_u32(header + 76, piece->stored_bytes);
    kd_store_u32(header + 80, (uint32_t)piece->kind);
    kd_store_u32(header + 84, piece->begins ? FLAG_BEGINS : 0);
    kd_store_u32(header + 88, piece->from.link);
    kd_store_u32(header + 92, piece->from.incarnation);
    kd_store_u32(header + 96, piece->to.link);
    kd_store_u32(header + 100, piece->to.incarnation);
    kd_store_u32(header + 8, header_checksum(header));
}

kd_status kdi_archive_header_read(kd_ctx *ctx, const char *path, uint64_t database_id,
                                  const char *header, kdi_archive_piece *out, bool *out_is_one)
{
    *out_is_one = memcmp(header, magic, MAGIC_BYTES) == 0 &&
                  kd_load_u32(header + 8) == header_checksum(header);
    if (!*out_is_one)
        return KD_OK;
    if (kd_load_u64(header + 16) != database_id)
        return KD_FAIL(ctx, KD_INVALID, "55000", "archive file \"%s\" belongs to another database",
                       path);
    *out = (kdi_archive_piece){
        .kind = (kdi_archive_kind)kd_load_u32(header + 80),
        .begins = (kd_load_u32(header + 84) & FLAG_BEGINS) != 0,
        .from = {.file_no = kd_load_u64(header + 24),
                 .offset = kd_load_u64(header + 32),
                 .position = kd_load_u64(header + 40),
                 .link = kd_load_u32(header + 88),
                 .incarnation = kd_load_u32(header + 92)},
        .since_us = (int64_t)kd_load_u64(header + 56),
        .until_us = (int64_t)kd_load_u64(header + 64),
        .plain_bytes = kd_load_u32(header + 72),
        .stored_bytes = kd_load_u32(header + 76),
        .checksum = kd_load_u32(header + 12),
    };
    out->to = out->from;
    out->to.offset += out->kind == KDI_ARCHIVE_LOG ? out->plain_bytes : 0;
    out->to.position = kd_load_u64(header + 48);
    out->to.link = kd_load_u32(header + 96);
    out->to.incarnation = kd_load_u32(header + 100);
    *out_is_one = out->plain_bytes <= KDI_PIECE_BYTES && out->stored_bytes <= out->plain_bytes;
    return KD_OK;
}

bool kdi_place_continues(const kd_wal_place *from, const kd_wal_place *to)
{
    bool is_same = to->file_no == from->file_no && to->offset == from->offset;
    bool is_next = to->file_no == from->file_no + 1 && to->offset == 0;
    return (is_same || is_next) && to->position == from->position && to->link == from->link;
}

int kdi_place_compare(const kd_wal_place *left, const kd_wal_place *right)
{
    if (left->file_no != right->file_no)
        return left->file_no < right->file_no ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* --- Adding ---------------------------------------------------------------------------------- */

kd_status kdi_archive_writer_open(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                                  kdi_archive_part *part, kdi_archive_writer *out)
{
    *out = (kdi_archive_writer){
        .store = backups->store, .part = part, .database_id = backups->database_id};
    out->stored_capacity = KDI_ARCHIVE_HEADER_BYTES + ZSTD_compressBound(KDI_PIECE_BYTES);
    out->path = kd_format_text(ctx, arena, "%s/archive", backups->target);
    out->stored = out->path == NULL ? NULL : kd_alloc(ctx, arena, out->stored_capacity);
    if (out->stored == NULL)
        return KD_NOMEM;
    out->zstd = ZSTD_createCCtx();
    return out->zstd != NULL ? KD_OK : KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
}

void kdi_archive_writer_close(kd_ctx *ctx, kdi_archive_writer *writer)
{
    ctx->world->file_close(ctx->world, writer->file);
    ZSTD_freeCCtx(writer->zstd);
    *writer = (kdi_archive_writer){0};
}

/* --- To a server ----------------------------------------------------------------------------- */

static kd_status part_name(kd_ctx *ctx, const kdi_archive_part *part, kd_arena **out_arena,
                           const char **out_name)
{
    *out_name = NULL;
    *out_arena = kd_arena_create(ctx, NULL, "name of a part", KD_ARENA_UNLIMITED);
    if (*out_arena == NULL)
        return KD_NOMEM;
    *out_name = kdi_archive_name(ctx, *out_arena, &part->of);
    return *out_name == NULL ? KD_NOMEM : KD_OK;
}

static kd_status part_put(kd_ctx *ctx, kdi_archive_writer *writer)
{
    kd_arena *arena;
    const char *name;
    kdi_archive_part *part = writer->part;
    if (!part->is_changed)
        return KD_OK;
    kd_status status = part_name(ctx, part, &arena, &name);
    if (status == KD_OK)
        status = writer->store->kind->put(ctx, writer->store, name,
                                          (kd_slice){part->bytes, part->size_bytes});
    kd_arena_destroy(arena);
    part->is_changed &= status != KD_OK;
    return status;
}

/* Who has begun one of the same number follows the log of a copy of the database. */
static kd_status part_begin(kd_ctx *ctx, kdi_archive_writer *writer, uint64_t file_no)
{
    kd_arena *arena;
    const char *name;
    bool exists = false;
    kdi_archive_part *part = writer->part;
    KD_TRY(part_put(ctx, writer));
    part->of = (kdi_archive_file){.file_no = file_no, .part_no = part->of.part_no + 1};
    part->size_bytes = 0;
    kd_status status = part_name(ctx, part, &arena, &name);
    if (status == KD_OK)
        status = writer->store->kind->has(ctx, writer->store, name, &exists, NULL);
    kd_arena_destroy(arena);
    KD_TRY(status);
    if (exists)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "another process writes into the archive in \"%s\"", writer->store->target);
    return KD_OK;
}

static kd_status part_enter(kd_ctx *ctx, kdi_archive_writer *writer, uint64_t file_no)
{
    const kdi_archive_part *part = writer->part;
    if (part->of.file_no != file_no || part->of.part_no == 0)
        KD_TRY(part_begin(ctx, writer, file_no));
    writer->is_open = true;
    writer->file_no = file_no;
    return KD_OK;
}

static kd_status part_add(kd_ctx *ctx, kdi_archive_writer *writer, size_t size_bytes)
{
    kdi_archive_part *part = writer->part;
    if (part->size_bytes >= KDI_ARCHIVE_PART_BYTES)
        KD_TRY(part_begin(ctx, writer, writer->file_no));
    memcpy(part->bytes + part->size_bytes, writer->stored, size_bytes);
    part->size_bytes += size_bytes;
    part->is_changed = true;
    return KD_OK;
}

/* --- To a directory -------------------------------------------------------------------------- */

static kd_status file_enter(kd_ctx *ctx, kd_arena *arena, kdi_archive_writer *writer,
                            uint64_t file_no, uint64_t size_bytes)
{
    kd_world *world = ctx->world;
    uint64_t now_bytes;
    kdi_archive_file file = {.file_no = file_no};
    const char *name = kdi_archive_name(ctx, arena, &file);
    const char *path =
        name == NULL ? NULL : kd_format_text(ctx, arena, "%s/%s", writer->store->target, name);
    if (path == NULL)
        return KD_NOMEM;
    if (writer->file != NULL)
        KD_TRY(world->file_sync(ctx, writer->file));
    world->file_close(world, writer->file);
    writer->file = NULL;
    KD_TRY(world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &writer->file));
    KD_TRY(world->file_size(ctx, writer->file, &now_bytes));
    if (now_bytes > size_bytes)
        KD_TRY(world->file_resize(ctx, writer->file, size_bytes));
    writer->is_open = true;
    writer->file_no = file_no;
    writer->offset = size_bytes;
    return size_bytes > 0 ? KD_OK : world->directory_sync(ctx, writer->path);
}

/* --- Either ---------------------------------------------------------------------------------- */

kd_status kdi_archive_writer_enter(kd_ctx *ctx, kd_arena *arena, kdi_archive_writer *writer,
                                   uint64_t file_no, uint64_t size_bytes)
{
    return writer->store->is_remote ? part_enter(ctx, writer, file_no)
                                    : file_enter(ctx, arena, writer, file_no, size_bytes);
}

kd_status kdi_archive_write(kd_ctx *ctx, kdi_archive_writer *writer, kdi_archive_piece *piece,
                            kd_slice plain)
{
    char *payload = writer->stored + KDI_ARCHIVE_HEADER_BYTES;
    piece->plain_bytes = (uint32_t)plain.size_bytes;
    piece->stored_bytes =
        (uint32_t)kdi_piece_pack(writer->zstd, plain.data, plain.size_bytes, payload,
                                 writer->stored_capacity - KDI_ARCHIVE_HEADER_BYTES);
    piece->checksum = kd_crc32c(0, payload, piece->stored_bytes);
    header_make(writer->stored, writer->database_id, piece);
    size_t all_bytes = KDI_ARCHIVE_HEADER_BYTES + piece->stored_bytes;
    if (writer->store->is_remote)
        return part_add(ctx, writer, all_bytes);
    KD_TRY(ctx->world->file_write(ctx, writer->file, writer->offset, writer->stored, all_bytes));
    writer->offset += all_bytes;
    return KD_OK;
}

kd_status kdi_archive_writer_sync(kd_ctx *ctx, kdi_archive_writer *writer)
{
    if (!writer->is_open)
        return KD_OK;
    return writer->store->is_remote ? part_put(ctx, writer)
                                    : ctx->world->file_sync(ctx, writer->file);
}
