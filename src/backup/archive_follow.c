/*
 * Following the log into an archive: one step copies what is new.
 *
 * A step reads where the log is durable, then copies the segments that are complete and not known,
 * then the log up to there: what that log names was complete before. What a step has written counts
 * once it is synced; a step that fails forgets what it knew, and the next one reads again what the
 * files have.
 */
#include "backup/archive_internal.h"

#include <inttypes.h>

typedef struct step {
    kd_archive *archive;
    kd_arena *arena;
    kdi_backups backups; /* The archive's, for this arena. */
    kdi_archive_writer writer;
    kdi_store_lock *lock;
    char *bytes; /* KDI_PIECE_BYTES of log that are not written yet. */
    size_t size_bytes;
    kdi_archive_piece piece; /* Their piece. */
    kdi_backup_file *copied; /* Segments. */
    size_t copied_count, copied_capacity;
    int64_t now_us;
    uint64_t end_position;
} step;

/* --- What the target has --------------------------------------------------------------------- */

void kdi_archive_forget(kd_archive *archive)
{
    kd_map_clear(&archive->known);
    kd_map_init(&archive->known, archive->world, archive->account);
    archive->is_open = false;
    archive->part = (kdi_archive_part){.bytes = archive->part.bytes};
}

static kd_status names_add(kd_ctx *ctx, kd_map *names, kdi_backup_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        KD_TRY(kd_map_put(ctx, names, kd_slice_of(files[i].name), &files[i], NULL));
    return KD_OK;
}

/* On a server the last part is what it has, without what is incomplete; it is put again as a whole.
 */
static kd_status part_learn(kd_ctx *ctx, step *run, kdi_archive_reader *reader)
{
    size_t got_bytes = 0;
    kdi_archive_part *part = &run->archive->part;
    if (part->bytes == NULL)
        part->bytes = kd_alloc_raw(ctx, run->archive->arena, KDI_ARCHIVE_PART_ROOM);
    if (part->bytes == NULL)
        return KD_NOMEM;
    if (reader->file_count > 0 && reader->offset <= KDI_ARCHIVE_PART_ROOM)
        KD_TRY(run->backups.store->kind->read(ctx, reader->file, 0, part->bytes,
                                              (size_t)reader->offset, &got_bytes));
    part->of = run->archive->last;
    part->size_bytes = got_bytes;
    return KD_OK;
}

/* Reads all pieces: where they end, and which segments they tell of. */
static kd_status pieces_read(kd_ctx *ctx, step *run, kdi_archive_reader *reader, kd_map *names)
{
    kd_archive *archive = run->archive;
    for (;;) {
        const kdi_archive_piece *piece;
        kdi_backup_file *files;
        size_t count;
        KD_TRY(kdi_archive_next(ctx, reader, &piece));
        if (piece == NULL)
            break;
        archive->until_us = piece->until_us;
        if (piece->kind != KDI_ARCHIVE_SEGMENTS)
            continue;
        KD_TRY(kdi_archive_segments(ctx, run->arena, reader, &files, &count));
        KD_TRY(names_add(ctx, names, files, count));
    }
    archive->at = reader->end;
    archive->last = (kdi_archive_file){0};
    if (reader->file_count > 0)
        archive->last = reader->files[reader->file_at];
    archive->file_bytes = reader->offset;
    return run->backups.store->is_remote ? part_learn(ctx, run, reader) : KD_OK;
}

/* The backup with which the archive begins, as long as it was not pruned; and the newest. */
static kd_status backups_read(kd_ctx *ctx, step *run, kd_map *names, kdi_manifest *out_first)
{
    kdi_manifest newest;
    const char *id;
    kd_archive *archive = run->archive;
    *out_first = (kdi_manifest){0};
    for (size_t i = 0; i < run->backups.id_count; i++)
        if (strcmp(run->backups.ids[i], archive->note.backup) == 0)
            KD_TRY(
                kdi_manifest_read(ctx, run->arena, &run->backups, archive->note.backup, out_first));
    KD_TRY(names_add(ctx, names, out_first->files, out_first->file_count));
    KD_TRY(kdi_backups_find(ctx, &run->backups, NULL, &id));
    KD_TRY(kdi_manifest_read(ctx, run->arena, &run->backups, id, &newest));
    return names_add(ctx, names, newest.files, newest.file_count);
}

static bool nothing_is_known(void *object, const char *path)
{
    (void)object;
    (void)path;
    return false;
}

/* A name says nothing alone: after a crash the number of a segment that was never installed may be
 * that of another one. */
static kd_status segments_compare(kd_ctx *ctx, step *run, const kd_map *names)
{
    kd_archive *archive = run->archive;
    kd_storage_file *files;
    size_t count, folder = strlen(kd_storage_directory(archive->storage)) + 1;
    KD_TRY(kd_storage_segments(ctx, run->arena, archive->storage, nothing_is_known, NULL, &files,
                               &count));
    for (size_t i = 0; i < count; i++) {
        kd_file *file;
        kdi_backup_file now = {.name = files[i].path + folder};
        kdi_backup_file *had = kd_map_find(names, kd_slice_of(now.name));
        if (had == NULL)
            continue;
        KD_TRY(ctx->world->file_open(ctx, files[i].path, KD_FILE_READ, &file));
        kd_status status = kdi_file_measure(ctx, file, run->bytes, &now);
        ctx->world->file_close(ctx->world, file);
        KD_TRY(status);
        if (had->size_bytes == now.size_bytes && had->tail == now.tail)
            KD_TRY(kd_map_put(ctx, &archive->known, kd_slice_of(now.name), archive, NULL));
    }
    return KD_OK;
}

static kd_status history_check(kd_ctx *ctx, const kd_archive *archive)
{
    kd_wal *log = kd_storage_log(archive->storage);
    if (archive->at.position > kd_wal_durable_position(log))
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "the archive in \"%s\" goes on to position %" PRIu64
                       ", behind the end of this database's log: it is that of another history",
                       archive->note.target, archive->at.position);
    return KD_OK;
}

static kd_status target_learn(kd_ctx *ctx, step *run, kdi_archive_reader *reader, kd_map *names)
{
    kd_archive *archive = run->archive;
    kdi_manifest first;
    KD_TRY(kdi_archive_open(ctx, run->arena, &run->backups, true, reader));
    KD_TRY(pieces_read(ctx, run, reader, names));
    KD_TRY(backups_read(ctx, run, names, &first));
    archive->begins = kdi_place_compare(&archive->at, &first.end) < 0;
    if (archive->begins) {
        archive->at = first.end;
        archive->until_us = 0;
    }
    if (archive->at.file_no == 0)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                       "the archive in \"%s\" has neither log nor the backup \"%s\"",
                       archive->note.target, archive->note.backup);
    KD_TRY(history_check(ctx, archive));
    KD_TRY(segments_compare(ctx, run, names));
    archive->is_open = true;
    archive->is_clean = false;
    return KD_OK;
}

/* Whose directory it is, and what is in it. Its lock is another one than the archive's. */
static kd_status target_open(kd_ctx *ctx, step *run)
{
    kd_map names;
    kd_archive *archive = run->archive;
    kdi_archive_reader reader = {0};
    kdi_backups looked;
    kd_status status = kdi_backups_open(ctx, run->arena, archive->note.target, KDI_BACKUPS_LOOK,
                                        kd_storage_database_id(archive->storage), &looked);
    run->backups.ids = looked.ids;
    run->backups.id_count = looked.id_count;
    kdi_backups_close(ctx, &looked);
    KD_TRY(status);
    kd_map_init(&names, ctx->world, archive->account);
    status = target_learn(ctx, run, &reader, &names);
    kdi_archive_close(ctx, &reader);
    kd_map_clear(&names);
    return status;
}

/* --- Copying --------------------------------------------------------------------------------- */

/* Another process that follows a copy of the database would make two histories into one. */
static kd_status owner_check(kd_ctx *ctx, step *run)
{
    bool exists;
    uint64_t size_bytes;
    const kd_archive *archive = run->archive;
    if (archive->last.file_no == 0)
        return KD_OK;
    const char *name = kdi_archive_name(ctx, run->arena, &archive->last);
    if (name == NULL)
        return KD_NOMEM;
    KD_TRY(archive->store->kind->has(ctx, archive->store, name, &exists, &size_bytes));
    if (!exists)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "archive file \"%s/%s\" is missing",
                       archive->note.target, name);
    if (size_bytes < archive->file_bytes)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "archive file \"%s/%s\" has been cut off",
                       archive->note.target, name);
    if (size_bytes > archive->file_bytes && archive->is_clean)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "another process writes into the archive in \"%s\"", archive->note.target);
    return KD_OK;
}

static kd_status writer_enter(kd_ctx *ctx, step *run, uint64_t file_no)
{
    const kd_archive *archive = run->archive;
    if (run->writer.is_open && run->writer.file_no == file_no)
        return KD_OK;
    return kdi_archive_writer_enter(ctx, run->arena, &run->writer, file_no,
                                    file_no == archive->last.file_no ? archive->file_bytes : 0);
}

static kd_status bytes_write(kd_ctx *ctx, step *run)
{
    kd_archive *archive = run->archive;
    if (run->size_bytes == 0)
        return KD_OK;
    kdi_archive_piece *piece = &run->piece;
    piece->begins = archive->begins;
    KD_TRY(writer_enter(ctx, run, piece->from.file_no));
    KD_TRY(kdi_archive_write(ctx, &run->writer, piece, (kd_slice){run->bytes, run->size_bytes}));
    run->size_bytes = 0;
    archive->begins = false;
    return KD_OK;
}

static kd_status log_take(kd_ctx *ctx, void *object, const kd_wal_place *from,
                          const kd_wal_place *to, kd_slice bytes)
{
    step *run = object;
    if (run->size_bytes + bytes.size_bytes > KDI_PIECE_BYTES ||
        (run->size_bytes > 0 && run->piece.from.file_no != from->file_no))
        KD_TRY(bytes_write(ctx, run));
    if (run->size_bytes == 0)
        run->piece = (kdi_archive_piece){.kind = KDI_ARCHIVE_LOG,
                                         .from = *from,
                                         .since_us = run->archive->until_us,
                                         .until_us = run->now_us};
    run->piece.to = *to;
    memcpy(run->bytes + run->size_bytes, bytes.data, bytes.size_bytes);
    run->size_bytes += bytes.size_bytes;
    return KD_OK;
}

static bool segment_is_known(void *object, const char *path)
{
    const kd_archive *archive = object;
    size_t folder = strlen(kd_storage_directory(archive->storage)) + 1;
    return kd_map_find(&archive->known, kd_slice_of(path + folder)) != NULL;
}

static kd_status segment_copy(kd_ctx *ctx, step *run, kdi_object_writer *writer, const char *path,
                              kd_buffer *lines)
{
    kd_file *source;
    uint64_t kept_bytes;
    kdi_backup_file *file;
    kd_status status = ctx->world->file_open(ctx, path, KD_FILE_READ, &source);
    if (status == KD_INVALID && strcmp(ctx->error.sqlstate, "58P01") == 0) {
        kd_error_clear(ctx); /* Nothing names it: its transaction was rolled back. */
        return KD_OK;
    }
    KD_TRY(status);
    kdi_backup_file copied = {.name =
                                  path + strlen(kd_storage_directory(run->archive->storage)) + 1};
    kdi_object_source bytes = {.file = source};
    status = kdi_file_measure(ctx, source, run->bytes, &copied);
    if (status == KD_OK)
        status = kdi_object_write(ctx, writer, &bytes, &copied, &kept_bytes);
    ctx->world->file_close(ctx->world, source);
    KD_TRY(status);
    KD_TRY(KD_PUSH(ctx, run->arena, run->copied, run->copied_count, run->copied_capacity, &file));
    *file = copied;
    return kdi_file_line_append(ctx, lines, file);
}

/* A piece of segments, as many as its size allows. */
static kd_status lines_write(kd_ctx *ctx, step *run, kd_buffer *lines)
{
    const kd_archive *archive = run->archive;
    if (lines->size_bytes == 0)
        return KD_OK;
    kdi_archive_piece piece = {.kind = KDI_ARCHIVE_SEGMENTS,
                               .from = archive->at,
                               .to = archive->at,
                               .since_us = archive->until_us,
                               .until_us = run->now_us};
    piece.to.position = run->end_position;
    KD_TRY(writer_enter(ctx, run, archive->at.file_no));
    KD_TRY(kdi_archive_write(ctx, &run->writer, &piece, kd_buffer_slice(lines)));
    lines->size_bytes = 0;
    return KD_OK;
}

static kd_status files_copy(kd_ctx *ctx, step *run, const kd_storage_file *files, size_t count,
                            kdi_object_writer *writer)
{
    enum { LINE_BYTES = 256 };
    kd_buffer lines = kd_buffer_in(run->arena);
    for (size_t i = 0; i < count; i++) {
        KD_TRY(segment_copy(ctx, run, writer, files[i].path, &lines));
        if (lines.size_bytes + LINE_BYTES > KDI_PIECE_BYTES)
            KD_TRY(lines_write(ctx, run, &lines));
    }
    KD_TRY(run->backups.store->kind->settle(ctx, run->backups.store, "objects"));
    return lines_write(ctx, run, &lines);
}

static kd_status segments_copy(kd_ctx *ctx, step *run)
{
    kdi_object_writer writer = {0};
    kd_storage_file *files;
    size_t count;
    KD_TRY(kd_storage_segments(ctx, run->arena, run->archive->storage, segment_is_known,
                               run->archive, &files, &count));
    if (count == 0)
        return KD_OK;
    /* On a server only who adds objects takes it: pruning removes them. */
    if (run->backups.store->is_remote)
        KD_TRY(kdi_archive_lock(ctx, run->backups.store, true, &run->lock));
    kd_status status = kdi_object_writer_open(ctx, &run->backups, "objects/new-archive", &writer);
    if (status == KD_OK)
        status = files_copy(ctx, run, files, count, &writer);
    kdi_object_writer_close(&writer);
    return status;
}

/* Everything is synced: it counts. */
static kd_status step_settle(kd_ctx *ctx, step *run, const kd_wal_place *to)
{
    kd_archive *archive = run->archive;
    for (size_t i = 0; i < run->copied_count; i++)
        KD_TRY(kd_map_put(ctx, &archive->known, kd_slice_of(run->copied[i].name), archive, NULL));
    if (run->writer.is_open) {
        bool is_remote = archive->store->is_remote;
        archive->last =
            is_remote ? archive->part.of : (kdi_archive_file){.file_no = run->writer.file_no};
        archive->file_bytes = is_remote ? archive->part.size_bytes : run->writer.offset;
        archive->is_clean = true;
    }
    archive->at = *to;
    return KD_OK;
}

static kd_status step_copy(kd_ctx *ctx, step *run)
{
    kd_archive *archive = run->archive;
    kd_wal_place to = archive->at;
    KD_TRY(owner_check(ctx, run));
    KD_TRY(kdi_archive_writer_open(ctx, run->arena, &run->backups, &archive->part, &run->writer));
    KD_TRY(segments_copy(ctx, run));
    KD_TRY(
        kd_wal_copy(ctx, kd_storage_log(archive->storage), &to, run->end_position, log_take, run));
    KD_TRY(bytes_write(ctx, run));
    KD_TRY(kdi_archive_writer_sync(ctx, &run->writer));
    return step_settle(ctx, run, &to);
}

/* --- A step ---------------------------------------------------------------------------------- */

static kd_status step_locked(kd_ctx *ctx, step *run)
{
    kd_archive *archive = run->archive;
    run->bytes = kd_alloc(ctx, run->arena, KDI_PIECE_BYTES);
    if (run->bytes == NULL)
        return KD_NOMEM;
    run->backups = (kdi_backups){.arena = run->arena,
                                 .target = archive->note.target,
                                 .store = archive->store,
                                 .database_id = kd_storage_database_id(archive->storage)};
    if (!archive->is_open)
        KD_TRY(target_open(ctx, run));
    return run->end_position > archive->at.position ? step_copy(ctx, run) : KD_OK;
}

static kd_status step_run(kd_ctx *ctx, step *run)
{
    kd_archive *archive = run->archive;
    bool exists;
    if (archive->store == NULL)
        KD_TRY(kdi_store_open(ctx, archive->arena, archive->note.target, &archive->store));
    kdi_store *store = archive->store;
    KD_TRY(store->kind->exists(ctx, store, &exists));
    if (!exists) /* What is not mounted is not made. */
        return KD_FAIL(ctx, KD_INVALID, "58P01", "there are no backups in \"%s\"",
                       archive->note.target);
    if (!store->is_remote) {
        KD_TRY(store->kind->has(ctx, store, "archive", &exists, NULL));
        if (!exists)
            KD_TRY(store->kind->make(ctx, store, "archive"));
        KD_TRY(kdi_archive_lock(ctx, store, true, &run->lock));
    }
    kd_status status = step_locked(ctx, run);
    kdi_archive_writer_close(ctx, &run->writer);
    store->kind->unlock(ctx, store, run->lock);
    return status;
}

kd_status kdi_archive_follow(kd_ctx *ctx, kd_archive *archive)
{
    kd_wal *log = kd_storage_log(archive->storage);
    /* In this order: what was acknowledged before this moment is durable. */
    step run = {.archive = archive, .now_us = ctx->world->wall_us(ctx->world)};
    run.end_position = kd_wal_durable_position(log);
    if (!archive->is_open || run.end_position > archive->at.position) {
        run.arena = kd_arena_create(ctx, NULL, "archive", KD_ARENA_UNLIMITED);
        if (run.arena == NULL)
            return KD_NOMEM;
        kd_status status = step_run(ctx, &run);
        kd_arena_destroy(run.arena);
        if (status != KD_OK)
            kdi_archive_forget(archive);
        KD_TRY(status);
    }
    archive->until_us = run.now_us;
    return kd_storage_archive_keep(ctx, archive->storage, archive->at.position);
}
