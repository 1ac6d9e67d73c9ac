/*
 * From a backup to a later moment: the log of the archive behind that of the backup, cut where it
 * is to end. Opening the database applies it.
 */
#include "backup/archive_internal.h"

#include "types/datetime.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t year_2000_us = INT64_C(946684800000000);
/* A commit has its time before its place in the log. Pieces that begin so much later have none that
 * is wanted. */
static const int64_t commit_delay_us = INT64_C(60000000);

enum { MOMENT_BYTES = 40 };

static const char *moment_text(int64_t moment_us, char out_text[MOMENT_BYTES])
{
    kd_civil civil;
    kd_timestamp_to_civil(moment_us - year_2000_us, &civil);
    (void)snprintf(out_text, MOMENT_BYTES, "%04u-%02u-%02u %02u:%02u:%02u.%06u+00",
                   (unsigned)civil.year % 10000, (unsigned)civil.month % 100,
                   (unsigned)civil.day % 100, (unsigned)civil.hour % 100,
                   (unsigned)civil.minute % 100, (unsigned)civil.second % 100,
                   (unsigned)civil.micros % 1000000);
    return out_text;
}

/* --- What can be had ------------------------------------------------------------------------- */

typedef struct log_search {
    kdi_archive_piece beyond; /* Log behind the backup that does not continue it. */
    bool has_beyond, ends_with_gap;
} log_search;

/* The backup has all of the piece. */
static bool is_before(const kdi_restore *run, const kdi_archive_piece *piece)
{
    const kd_wal_place *end = &run->manifest.end;
    if (end->file_no == 0)
        return piece->to.position <= end->position;
    return kdi_place_compare(&piece->to, end) <= 0;
}

static bool is_continued_by(const kd_wal_place *end, const kdi_archive_piece *piece)
{
    return kdi_place_continues(end, &piece->from) ||
           (piece->from.file_no == end->file_no && piece->from.offset < end->offset &&
            piece->to.offset > end->offset);
}

/* Through the headers: where the log behind the backup ends. */
static kd_status log_find(kd_ctx *ctx, kdi_restore *run, kdi_archive_reader *reader,
                          log_search *out)
{
    *out = (log_search){0};
    for (;;) {
        const kdi_archive_piece *piece;
        KD_TRY(kdi_archive_next(ctx, reader, &piece));
        if (piece == NULL)
            return KD_OK;
        if (piece->kind != KDI_ARCHIVE_LOG || (!run->has_log && is_before(run, piece)))
            continue;
        if (run->has_log ? piece->begins : !is_continued_by(&run->manifest.end, piece)) {
            out->beyond = *piece;
            out->has_beyond = !run->has_log;
            out->ends_with_gap = run->has_log;
            return KD_OK;
        }
        run->has_log = true;
        run->log_end = piece->to;
        run->log_until_us = piece->until_us;
    }
}

static kd_status not_continued(kd_ctx *ctx, const kdi_restore *run, const log_search *found)
{
    (void)KD_FAIL(ctx, KD_INVALID, "55000",
                  "the archive does not continue backup \"%s\", which ends at position %" PRIu64
                  ": behind it, it has the log from position %" PRIu64
                  ", after a gap or of another history",
                  run->manifest.info.id, run->manifest.info.position, found->beyond.from.position);
    kd_error_set_hint(ctx, "The backup alone can be restored by its name.");
    return KD_INVALID;
}

static kd_status out_of_reach(kd_ctx *ctx, const kdi_restore *run, const log_search *found)
{
    char text[MOMENT_BYTES];
    if (!run->has_log) {
        (void)KD_FAIL(ctx, KD_INVALID, "58P01", "nothing is archived behind backup \"%s\"",
                      run->manifest.info.id);
        kd_error_set_hint(ctx, "The backup alone can be restored by its name.");
    } else {
        (void)KD_FAIL(ctx, KD_INVALID, "58P01",
                      "the archive behind backup \"%s\" ends%s at position %" PRIu64 ", %s",
                      run->manifest.info.id, found->ends_with_gap ? " with a gap" : "",
                      run->log_end.position, moment_text(run->log_until_us, text));
        kd_error_set_hint(ctx, "The restore can go to that position, or to a moment before.");
    }
    return KD_INVALID;
}

static kd_status wish_check(kd_ctx *ctx, kdi_restore *run, const kdi_archive_reader *reader,
                            const log_search *found)
{
    const kd_restore_wish *wish = run->wish;
    bool is_latest = wish->moment_us == 0 && wish->to_position == 0;
    if (is_latest && found->has_beyond)
        return not_continued(ctx, run, found);
    if (is_latest)
        return kdi_archive_torn(ctx, reader);
    if (wish->to_position != 0) {
        uint64_t end = run->has_log ? run->log_end.position : run->manifest.info.position;
        return wish->to_position <= end ? KD_OK : out_of_reach(ctx, run, found);
    }
    bool is_reached = run->has_log && run->log_until_us >= wish->moment_us;
    return is_reached ? KD_OK : out_of_reach(ctx, run, found);
}

kd_status kdi_replay_plan(kd_ctx *ctx, kdi_restore *run)
{
    log_search found;
    kdi_archive_reader reader = {0};
    run->restored.position = run->manifest.info.position;
    run->restored.until_us = run->manifest.info.taken_us;
    if (run->wish->backup != NULL)
        return KD_OK;
    kd_status status = kdi_archive_open(ctx, run->arena, &run->backups, false, &reader);
    if (status == KD_OK)
        status = log_find(ctx, run, &reader, &found);
    if (status == KD_OK)
        status = wish_check(ctx, run, &reader, &found);
    kdi_archive_close(ctx, &reader);
    return status;
}

/* --- The archive's files --------------------------------------------------------------------- */

typedef struct log_writer {
    kdi_restore *run;
    kd_file *file;
    uint64_t file_no;
    kd_wal_place end; /* Of what is written. */
} log_writer;

static kd_status log_file_enter(kd_ctx *ctx, log_writer *writer, uint64_t file_no)
{
    char name[40];
    if (writer->file != NULL && writer->file_no == file_no)
        return KD_OK;
    if (writer->file != NULL)
        KD_TRY(ctx->world->file_sync(ctx, writer->file));
    ctx->world->file_close(ctx->world, writer->file);
    writer->file = NULL;
    writer->file_no = file_no;
    (void)snprintf(name, sizeof name, "wal/%016" PRIx64 ".log", file_no);
    return kdi_restored_open(ctx, writer->run, name, 0, &writer->file);
}

/* Without what the backup has of it. */
static kd_status log_piece_write(kd_ctx *ctx, log_writer *writer, kdi_archive_reader *reader)
{
    kd_slice plain;
    const kdi_archive_piece *piece = &reader->piece;
    const kd_wal_place *end = &writer->run->manifest.end;
    uint64_t had_bytes = 0;
    KD_TRY(kdi_archive_payload(ctx, reader, &plain));
    if (piece->from.file_no == end->file_no && piece->from.offset < end->offset)
        had_bytes = end->offset - piece->from.offset;
    KD_TRY(log_file_enter(ctx, writer, piece->from.file_no));
    KD_TRY(ctx->world->file_write(ctx, writer->file, piece->from.offset + had_bytes,
                                  plain.data + had_bytes, plain.size_bytes - had_bytes));
    writer->end = piece->to;
    return kd_progress_add(ctx, plain.size_bytes);
}

static kd_status segments_write(kd_ctx *ctx, kdi_restore *run, kdi_archive_reader *reader)
{
    kdi_backup_file *files;
    size_t count;
    if (reader->piece.to.position <= run->manifest.info.position)
        return KD_OK; /* The backup has what is needed of them. */
    KD_TRY(kdi_archive_segments(ctx, run->arena, reader, &files, &count));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(files[i].name, "units/", 6) != 0)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                           "archive file \"%s\" is damaged: \"%s\" is no segment", reader->path,
                           files[i].name);
        KD_TRY(kdi_file_restore(ctx, run, &files[i]));
    }
    return KD_OK;
}

static bool is_enough(const kdi_restore *run, const kdi_archive_piece *piece)
{
    const kd_restore_wish *wish = run->wish;
    return kdi_place_compare(&piece->to, &run->log_end) >= 0 ||
           (wish->to_position != 0 && piece->to.position >= wish->to_position) ||
           (wish->moment_us != 0 && piece->since_us - commit_delay_us > wish->moment_us);
}

static kd_status pieces_write(kd_ctx *ctx, log_writer *writer, kdi_archive_reader *reader)
{
    for (;;) {
        const kdi_archive_piece *piece;
        KD_TRY(kdi_archive_next(ctx, reader, &piece));
        if (piece == NULL)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the archive in \"%s\" has become shorter",
                           reader->backups->target);
        if (piece->kind == KDI_ARCHIVE_SEGMENTS) {
            KD_TRY(segments_write(ctx, writer->run, reader));
        } else if (!is_before(writer->run, piece)) {
            KD_TRY(log_piece_write(ctx, writer, reader));
            if (is_enough(writer->run, piece))
                return ctx->world->file_sync(ctx, writer->file);
        }
    }
}

/* --- Where it ends --------------------------------------------------------------------------- */

typedef struct cut_search {
    const kdi_restore *run;
    uint64_t end; /* Of the last record that is wanted. */
    bool is_over;
    int64_t last_us;
} cut_search;

static kd_status record_look(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    cut_search *search = object;
    const kd_restore_wish *wish = search->run->wish;
    bool is_commit = record->kind == KD_LOG_COMMIT;
    /* What the root has cannot be taken away. */
    bool may_end = record->position > search->run->manifest.stamp;
    int64_t commit_us = 0;
    if (search->is_over)
        return KD_OK;
    if (is_commit && record->payload.size_bytes < KD_LOG_COMMIT_HEAD_BYTES)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the log has a commit record that is cut off");
    if (is_commit)
        commit_us = (int64_t)kd_load_u64(record->payload.data + 8);
    search->is_over = may_end && ((wish->to_position != 0 && record->end > wish->to_position) ||
                                  (wish->moment_us != 0 && commit_us > wish->moment_us));
    if (search->is_over)
        return KD_OK;
    search->end = record->end;
    if (is_commit)
        search->last_us = commit_us;
    return KD_OK;
}

static kd_status log_scan(kd_ctx *ctx, const kdi_restore *run, kd_account *account,
                          const kd_wal_options *options, cut_search *search, uint64_t expected)
{
    kd_wal *log;
    KD_TRY(kd_wal_open(ctx, account, options, record_look, search, &log));
    uint64_t end = kd_wal_next_position(log);
    kd_wal_abandon(ctx->world, log);
    if (end == expected)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "55000",
                   "the archive does not continue backup \"%s\": it is that of another history",
                   run->manifest.info.id);
}

/* The log is cut behind the last record that is wanted; part of another one may be there too. */
static kd_status log_end(kd_ctx *ctx, kdi_restore *run, uint64_t expected)
{
    kd_account account;
    const kd_restore_wish *wish = run->wish;
    cut_search search = {.run = run, .last_us = run->manifest.info.taken_us};
    kd_wal_options options = {.directory =
                                  kd_format_text(ctx, run->arena, "%s/wal", run->directory),
                              .log_id = run->manifest.database_id,
                              .start_position = run->manifest.replay_position,
                              .read_only = true};
    if (options.directory == NULL)
        return KD_NOMEM;
    if (options.start_position < KD_WAL_POSITION_FIRST)
        options.start_position = 0;
    kd_account_init(&account, NULL, "restored log", SIZE_MAX);
    KD_TRY(log_scan(ctx, run, &account, &options, &search, expected));
    run->restored.position = search.end == 0 ? expected : search.end;
    run->restored.until_us = wish->moment_us != 0     ? wish->moment_us
                             : wish->to_position != 0 ? search.last_us
                                                      : run->log_until_us;
    return search.end == 0 ? KD_OK
                           : kd_wal_cut(ctx, &account, options.directory, options.log_id,
                                        options.start_position, search.end);
}

kd_status kdi_replay_write(kd_ctx *ctx, kdi_restore *run)
{
    kdi_archive_reader reader = {0};
    log_writer writer = {.run = run};
    if (!run->has_log)
        return KD_OK;
    kd_status status = kdi_archive_open(ctx, run->arena, &run->backups, false, &reader);
    if (status == KD_OK)
        status = pieces_write(ctx, &writer, &reader);
    ctx->world->file_close(ctx->world, writer.file);
    kdi_archive_close(ctx, &reader);
    KD_TRY(status);
    return log_end(ctx, run, writer.end.position);
}
