/*
 * Reading an archive piece by piece, in the order of the log.
 *
 * An incomplete piece at the very end of the last file is what a crash leaves of one, or what is
 * left of an archive that was cut off: it does not count, and whoever reads decides what that
 * means. Anywhere else it is damage.
 */
#include "backup/archive_internal.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <stdlib.h>

static const char suffix[] = ".log";
enum { NUMBER_DIGITS = 16, LOCK_TRIES = 100 };
static const uint64_t lock_nap_ns = UINT64_C(100000000);

const char *kdi_archive_name(kd_ctx *ctx, kd_arena *arena, const kdi_archive_file *file)
{
    if (file->part_no == 0)
        return kd_format_text(ctx, arena, "archive/%016" PRIx64 "%s", file->file_no, suffix);
    return kd_format_text(ctx, arena, "archive/%016" PRIx64 "-%016" PRIx64 "%s", file->file_no,
                          file->part_no, suffix);
}

kd_status kdi_archive_lock(kd_ctx *ctx, kdi_store *store, bool writes, kdi_store_lock **out_lock)
{
    for (int i = 1;; i++) {
        kd_status status = store->kind->lock(ctx, store, "archive/LOCK", writes, out_lock);
        if (status == KD_OK || strcmp(ctx->error.sqlstate, "55006") != 0 || i == LOCK_TRIES)
            return status;
        kd_error_clear(ctx);
        KD_TRY(kd_check_cancelled(ctx));
        ctx->world->sleep_ns(ctx->world, lock_nap_ns);
    }
}

/* --- The files ------------------------------------------------------------------------------- */

static kd_status entry_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    kdi_archive_reader *reader = object;
    char *end;
    kdi_archive_file *file, found = {.file_no = strtoull(entry->name, &end, 16)};
    bool is_one = !entry->is_directory && end - entry->name == NUMBER_DIGITS;
    if (is_one && *end == '-') {
        const char *part = end + 1;
        found.part_no = strtoull(part, &end, 16);
        is_one = end - part == NUMBER_DIGITS;
    }
    if (!is_one || strcmp(end, suffix) != 0)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, reader->arena, reader->files, reader->file_count, reader->file_capacity,
                   &file));
    *file = found;
    return KD_OK;
}

static int file_compare(const void *left, const void *right)
{
    const kdi_archive_file *a = left, *b = right;
    if (a->file_no != b->file_no)
        return a->file_no < b->file_no ? -1 : 1;
    return a->part_no < b->part_no ? -1 : a->part_no > b->part_no;
}

static kd_status file_enter(kd_ctx *ctx, kdi_archive_reader *reader, size_t at)
{
    kdi_store *store = reader->backups->store;
    kdi_archive_close(ctx, reader);
    reader->file_at = at;
    reader->offset = 0;
    const char *name = kdi_archive_name(ctx, reader->arena, &reader->files[at]);
    reader->path = name == NULL
                       ? NULL
                       : kd_format_text(ctx, reader->arena, "%s/%s", reader->backups->target, name);
    if (reader->path == NULL)
        return KD_NOMEM;
    KD_TRY(store->kind->read_open(ctx, store, name, &reader->file));
    return store->kind->size(ctx, reader->file, &reader->size_bytes);
}

static kd_status files_find(kd_ctx *ctx, kdi_archive_reader *reader)
{
    kdi_store *store = reader->backups->store;
    KD_TRY(store->kind->list(ctx, store, "archive", entry_look, reader));
    if (reader->file_count == 0)
        return KD_OK;
    qsort(reader->files, reader->file_count, sizeof *reader->files, file_compare);
    KD_TRY(file_enter(ctx, reader, reader->file_count - 1));
    reader->last_bytes = reader->size_bytes;
    return file_enter(ctx, reader, 0);
}

kd_status kdi_archive_open(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups, bool is_locked,
                           kdi_archive_reader *out)
{
    kdi_store_lock *lock = NULL;
    *out = (kdi_archive_reader){.arena = arena, .backups = backups};
    out->plain = kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    out->stored = out->plain == NULL ? NULL : kd_alloc(ctx, arena, KDI_PIECE_BYTES);
    if (out->stored == NULL)
        return KD_NOMEM;
    if (!is_locked)
        KD_TRY(kdi_archive_lock(ctx, backups->store, false, &lock));
    kd_status status = files_find(ctx, out);
    backups->store->kind->unlock(ctx, backups->store, lock);
    return status;
}

void kdi_archive_close(kd_ctx *ctx, kdi_archive_reader *reader)
{
    if (reader->file != NULL)
        reader->backups->store->kind->read_close(ctx, reader->file);
    reader->file = NULL;
}

/* --- Pieces ---------------------------------------------------------------------------------- */

static kd_status damaged(kd_ctx *ctx, const kdi_archive_reader *reader, uint64_t offset,
                         const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "archive file \"%s\" is damaged at offset %" PRIu64 ": %s", reader->path, offset,
                   what);
}

static kd_status bytes_read(kd_ctx *ctx, kdi_archive_reader *reader, uint64_t offset, void *target,
                            size_t size_bytes, size_t *out_read_bytes)
{
    return reader->backups->store->kind->read(ctx, reader->file, offset, target, size_bytes,
                                              out_read_bytes);
}

static bool is_last_file(const kdi_archive_reader *reader)
{
    return reader->file_at + 1 == reader->file_count;
}

/* Behind something that is no piece another one shows that it was one. */
static kd_status witness_find(kd_ctx *ctx, kdi_archive_reader *reader)
{
    uint64_t from = reader->offset + 1;
    while (from + KDI_ARCHIVE_HEADER_BYTES <= reader->size_bytes) {
        size_t got_bytes;
        size_t wanted = reader->size_bytes - from < KDI_PIECE_BYTES
                            ? (size_t)(reader->size_bytes - from)
                            : KDI_PIECE_BYTES;
        KD_TRY(bytes_read(ctx, reader, from, reader->stored, wanted, &got_bytes));
        for (size_t i = 0; i + KDI_ARCHIVE_HEADER_BYTES <= got_bytes; i++) {
            kdi_archive_piece piece;
            bool is_one;
            if (reader->stored[i] != 'K')
                continue;
            KD_TRY(kdi_archive_header_read(ctx, reader->path, reader->backups->database_id,
                                           reader->stored + i, &piece, &is_one));
            if (is_one)
                return damaged(ctx, reader, reader->offset, "a piece is changed or cut off");
        }
        if (got_bytes < wanted || got_bytes < KDI_ARCHIVE_HEADER_BYTES)
            break;
        from += got_bytes - KDI_ARCHIVE_HEADER_BYTES + 1;
    }
    return KD_OK;
}

/* There is no whole piece at the offset. */
static kd_status end_here(kd_ctx *ctx, kdi_archive_reader *reader)
{
    if (!is_last_file(reader))
        return damaged(ctx, reader, reader->offset, "a piece is changed or cut off");
    KD_TRY(witness_find(ctx, reader));
    reader->is_torn = true;
    return KD_OK;
}

static kd_status stored_read(kd_ctx *ctx, kdi_archive_reader *reader, bool *out_is_intact)
{
    size_t got_bytes;
    const kdi_archive_piece *piece = &reader->piece;
    KD_TRY(bytes_read(ctx, reader, reader->offset - piece->stored_bytes, reader->stored,
                      piece->stored_bytes, &got_bytes));
    *out_is_intact = got_bytes == piece->stored_bytes &&
                     kd_crc32c(0, reader->stored, got_bytes) == piece->checksum;
    return KD_OK;
}

/* At the offset; not found at the end of what counts. */
static kd_status piece_find(kd_ctx *ctx, kdi_archive_reader *reader, bool *out_found)
{
    char header[KDI_ARCHIVE_HEADER_BYTES];
    size_t got_bytes;
    bool is_one = false;
    uint64_t limit = is_last_file(reader) ? reader->last_bytes : reader->size_bytes;
    *out_found = false;
    if (reader->offset == limit)
        return KD_OK;
    if (limit - reader->offset >= sizeof header) {
        KD_TRY(bytes_read(ctx, reader, reader->offset, header, sizeof header, &got_bytes));
        if (got_bytes == sizeof header)
            KD_TRY(kdi_archive_header_read(ctx, reader->path, reader->backups->database_id, header,
                                           &reader->piece, &is_one));
    }
    uint64_t end = reader->offset + sizeof header + (is_one ? reader->piece.stored_bytes : 0);
    if (!is_one || end > limit)
        return end_here(ctx, reader);
    reader->offset = end;
    *out_found = true;
    if (end < limit || !is_last_file(reader))
        return KD_OK;
    KD_TRY(stored_read(ctx, reader, out_found)); /* The last of all may be torn. */
    if (*out_found)
        return KD_OK;
    reader->offset -= sizeof header + reader->piece.stored_bytes;
    return end_here(ctx, reader);
}

static kd_status order_check(kd_ctx *ctx, kdi_archive_reader *reader)
{
    const kdi_archive_piece *piece = &reader->piece;
    bool is_file_right = piece->from.file_no == reader->files[reader->file_at].file_no;
    if (piece->kind == KDI_ARCHIVE_SEGMENTS)
        return KD_OK;
    if (piece->kind != KDI_ARCHIVE_LOG || !is_file_right)
        return damaged(ctx, reader, reader->offset, "a piece is not what the file should have");
    if (!piece->begins && reader->end.file_no != 0 &&
        !kdi_place_continues(&reader->end, &piece->from))
        return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                       "the archive in \"%s\" has a gap: it lacks the log from position %" PRIu64
                       " to %" PRIu64 " (before file \"%s\")",
                       reader->backups->target, reader->end.position, piece->from.position,
                       reader->path);
    reader->end = piece->to;
    return KD_OK;
}

kd_status kdi_archive_next(kd_ctx *ctx, kdi_archive_reader *reader,
                           const kdi_archive_piece **out_piece)
{
    bool found = false;
    *out_piece = NULL;
    if (reader->file_count == 0 || reader->is_torn)
        return KD_OK;
    for (;;) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(piece_find(ctx, reader, &found));
        if (found || reader->is_torn || is_last_file(reader))
            break;
        KD_TRY(file_enter(ctx, reader, reader->file_at + 1));
    }
    if (!found)
        return KD_OK;
    *out_piece = &reader->piece;
    return order_check(ctx, reader);
}

kd_status kdi_archive_payload(kd_ctx *ctx, kdi_archive_reader *reader, kd_slice *out_plain)
{
    bool is_intact;
    const kdi_archive_piece *piece = &reader->piece;
    KD_TRY(stored_read(ctx, reader, &is_intact));
    const char *plain = !is_intact ? NULL
                                   : kdi_piece_unpack(reader->stored, piece->stored_bytes,
                                                      reader->plain, piece->plain_bytes);
    *out_plain = (kd_slice){plain, piece->plain_bytes};
    return plain != NULL
               ? KD_OK
               : damaged(ctx, reader, reader->offset - piece->stored_bytes, "checksum mismatch");
}

kd_status kdi_archive_segments(kd_ctx *ctx, kd_arena *arena, kdi_archive_reader *reader,
                               kdi_backup_file **out_files, size_t *out_count)
{
    kd_slice plain;
    char *words[6];
    uint32_t count;
    size_t capacity = 0;
    *out_files = NULL;
    *out_count = 0;
    KD_TRY(kdi_archive_payload(ctx, reader, &plain));
    for (kd_reader lines = kd_reader_of(plain);;) {
        kdi_backup_file *file;
        KD_TRY(kdi_line_next(ctx, arena, &lines, words, &count));
        if (count == 0)
            return KD_OK;
        KD_TRY(KD_PUSH(ctx, arena, *out_files, *out_count, capacity, &file));
        if (!kdi_file_line_read(words, count, file))
            return damaged(ctx, reader, reader->offset, "a segment's line is wrong");
    }
}

kd_status kdi_archive_torn(kd_ctx *ctx, const kdi_archive_reader *reader)
{
    if (!reader->is_torn)
        return KD_OK;
    (void)damaged(ctx, reader, reader->offset, "the last piece is incomplete");
    kd_error_set_detail(ctx, "The archive ends at position %" PRIu64 ".", reader->end.position);
    return KD_CORRUPT;
}

/* --- Listing --------------------------------------------------------------------------------- */

/* Every object that the segments need is read, every piece of log compared with its checksum. */
static kd_status piece_verify(kd_ctx *ctx, kd_arena *scratch, kdi_archive_reader *reader)
{
    kd_slice plain;
    kdi_backup_file *files;
    size_t count;
    kd_arena_reset(scratch);
    if (reader->piece.kind == KDI_ARCHIVE_LOG)
        return kdi_archive_payload(ctx, reader, &plain);
    KD_TRY(kdi_archive_segments(ctx, scratch, reader, &files, &count));
    for (size_t i = 0; i < count; i++)
        KD_TRY(kdi_object_read(ctx, scratch, reader->backups, &files[i], NULL));
    return KD_OK;
}

/* With a piece that begins, or segments before it. */
static bool is_new_stretch(const kdi_archive_reader *reader, const kd_archive_stretch *last)
{
    const kdi_archive_piece *piece = &reader->piece;
    if (last == NULL || last->log_bytes == 0)
        return last == NULL;
    if (piece->kind == KDI_ARCHIVE_LOG)
        return piece->begins;
    return kdi_place_compare(&piece->from, &reader->end) != 0;
}

static kd_status stretch_add(kd_ctx *ctx, kd_arena *arena, kdi_archive_reader *reader,
                             kd_archive_stretch **stretches, size_t *count, size_t *capacity)
{
    const kdi_archive_piece *piece = &reader->piece;
    kd_archive_stretch *stretch = *count == 0 ? NULL : *stretches + *count - 1;
    if (is_new_stretch(reader, stretch)) {
        KD_TRY(KD_PUSH(ctx, arena, *stretches, *count, *capacity, &stretch));
        *stretch = (kd_archive_stretch){.from_position = piece->from.position,
                                        .to_position = piece->from.position};
    }
    stretch->piece_count++;
    stretch->stored_bytes += KDI_ARCHIVE_HEADER_BYTES + piece->stored_bytes;
    if (piece->kind == KDI_ARCHIVE_LOG) {
        stretch->to_position = piece->to.position;
        stretch->until_us = piece->until_us;
        stretch->log_bytes += piece->plain_bytes;
        return KD_OK;
    }
    kdi_backup_file *files;
    size_t segment_count;
    KD_TRY(kdi_archive_segments(ctx, arena, reader, &files, &segment_count));
    stretch->segment_count += segment_count;
    return KD_OK;
}

static kd_status list_run(kd_ctx *ctx, kd_arena *arena, kd_arena *scratch,
                          kdi_archive_reader *reader, bool whole, kd_archive_stretch **stretches,
                          size_t *count)
{
    size_t capacity = 0;
    for (;;) {
        const kdi_archive_piece *piece;
        KD_TRY(kdi_archive_next(ctx, reader, &piece));
        if (piece == NULL)
            return kdi_archive_torn(ctx, reader);
        KD_TRY(stretch_add(ctx, arena, reader, stretches, count, &capacity));
        if (whole)
            KD_TRY(piece_verify(ctx, scratch, reader));
    }
}

kd_status kdi_archive_stretches(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                                bool whole, kd_archive_stretch **out_stretches, size_t *out_count)
{
    kdi_archive_reader reader = {0};
    *out_stretches = NULL;
    *out_count = 0;
    kd_arena *scratch = kd_arena_create(ctx, arena, "archive", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = kdi_archive_open(ctx, arena, backups, false, &reader);
    if (status == KD_OK)
        status = list_run(ctx, arena, scratch, &reader, whole, out_stretches, out_count);
    kdi_archive_close(ctx, &reader);
    kd_arena_destroy(scratch);
    return status;
}

kd_status kd_archive_list(kd_ctx *ctx, kd_arena *arena, const char *target, bool whole,
                          kd_archive_stretch **out_stretches, size_t *out_count)
{
    kdi_backups backups;
    kd_status status = kdi_backups_open(ctx, arena, target, KDI_BACKUPS_READ, 0, &backups);
    *out_count = 0;
    if (status == KD_OK)
        status = kdi_archive_stretches(ctx, arena, &backups, whole, out_stretches, out_count);
    kdi_backups_close(ctx, &backups);
    return status;
}
