/*
 * What a backup consists of, as text: drawn in backup.h.
 */
#include "backup/backup_internal.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 6, END_LINE_BYTES = 13 }; /* "end " and 8 digits and the newline. */

kd_status kdi_text_seal(kd_ctx *ctx, kd_buffer *text)
{
    uint32_t sum = kd_crc32c(0, text->data, text->size_bytes);
    return kd_buffer_append_format(ctx, text, "end %08" PRIx32 "\n", sum);
}

static kd_status damaged(kd_ctx *ctx, const char *path, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "file \"%s\" is damaged: %s", path, what);
}

kd_status kdi_text_open(kd_ctx *ctx, const char *path, kd_slice text, const char *what,
                        kd_reader *out_lines)
{
    char end_line[END_LINE_BYTES + 1];
    size_t what_bytes = strlen(what);
    size_t kind_bytes = what_bytes - 1; /* Up to the version, which is one digit. */
    *out_lines = (kd_reader){0};
    if (text.size_bytes < what_bytes + 1 + END_LINE_BYTES ||
        memcmp(text.data, what, kind_bytes) != 0)
        return damaged(ctx, path, "it does not start as one");
    size_t body_bytes = text.size_bytes - END_LINE_BYTES;
    (void)snprintf(end_line, sizeof end_line, "end %08" PRIx32 "\n",
                   kd_crc32c(0, text.data, body_bytes));
    if (memcmp(text.data + body_bytes, end_line, END_LINE_BYTES) != 0)
        return damaged(ctx, path, "it is cut off or changed");
    char version = text.data[kind_bytes];
    if (version < '1' || version > what[kind_bytes] || text.data[what_bytes] != '\n')
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "file \"%s\" has a newer format than this program reads", path);
    *out_lines = kd_reader_of((kd_slice){text.data + what_bytes + 1, body_bytes - what_bytes - 1});
    return KD_OK;
}

kd_status kdi_line_next(kd_ctx *ctx, kd_arena *arena, kd_reader *lines, char *words[6],
                        uint32_t *out_count)
{
    *out_count = 0;
    size_t left = (size_t)(lines->end - lines->at);
    const char *newline = left == 0 ? NULL : memchr(lines->at, '\n', left);
    if (newline == NULL)
        return KD_OK;
    char *line = kd_copy_text(ctx, arena, lines->at, (size_t)(newline - lines->at));
    if (line == NULL)
        return KD_NOMEM;
    lines->at = newline + 1;
    for (char *at = line; at != NULL && *out_count < WORDS_MAX;) {
        words[(*out_count)++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    return KD_OK;
}

void kdi_backup_object_name(const kdi_backup_file *file, char out_name[KDI_OBJECT_NAME_BYTES])
{
    (void)snprintf(out_name, KDI_OBJECT_NAME_BYTES, "%016" PRIx64 "%016" PRIx64 "-%" PRIx64,
                   file->hash[0], file->hash[1], file->size_bytes);
}

kd_status kdi_file_line_append(kd_ctx *ctx, kd_buffer *text, const kdi_backup_file *file)
{
    KD_TRY(kd_buffer_append_format(ctx, text,
                                   "%s %s %" PRIu64 " %016" PRIx64 "%016" PRIx64 " %016" PRIx64,
                                   file->offset > 0 ? "part" : "file", file->name, file->size_bytes,
                                   file->hash[0], file->hash[1], file->tail));
    if (file->offset > 0)
        KD_TRY(kd_buffer_append_format(ctx, text, " %" PRIu64, file->offset));
    return kd_buffer_append_byte(ctx, text, '\n');
}

kd_status kdi_manifest_write(kd_ctx *ctx, const kdi_backups *backups, const kdi_manifest *manifest)
{
    const kd_backup_info *info = &manifest->info;
    kd_buffer text = kd_buffer_in(backups->arena);
    KD_TRY(kd_buffer_append_format(ctx, &text,
                                   "KADE BACKUP 2\ndatabase %016" PRIx64 "\ntaken %" PRId64
                                   "\nposition %" PRIu64 "\ncopied %" PRIu64 " %" PRIu64 " %" PRIu64
                                   "\n",
                                   manifest->database_id, info->taken_us, info->position,
                                   info->copied_count, info->copied_bytes, info->kept_bytes));
    KD_TRY(kd_buffer_append_format(
        ctx, &text,
        "checkpoint %" PRIu64 " %" PRIu64 "\nlog %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 "\n",
        manifest->stamp, manifest->replay_position, manifest->end.file_no, manifest->end.offset,
        manifest->end.link, manifest->end.incarnation));
    for (size_t i = 0; i < manifest->file_count; i++)
        KD_TRY(kdi_file_line_append(ctx, &text, &manifest->files[i]));
    KD_TRY(kdi_text_seal(ctx, &text));
    const char *name = kd_format_text(ctx, backups->arena, "%s.backup", info->id);
    if (name == NULL)
        return KD_NOMEM;
    return backups->store->kind->put(ctx, backups->store, name, kd_buffer_slice(&text));
}

/* A restore writes under these names: nothing that leads elsewhere. */
static bool name_is_valid(const char *name)
{
    if (strcmp(name, "ROOT") == 0 || strcmp(name, "settings.conf") == 0)
        return true;
    if (strncmp(name, "units/", 6) == 0)
        name += 6;
    else if (strncmp(name, "wal/", 4) == 0)
        name += 4;
    else
        return false;
    return *name != '\0' && *name != '.' && strchr(name, '/') == NULL;
}

bool kdi_file_line_read(char *words[6], uint32_t count, kdi_backup_file *out)
{
    char high[17];
    bool is_part = count == 6 && strcmp(words[0], "part") == 0;
    if ((!is_part && (count != 5 || strcmp(words[0], "file") != 0)) || strlen(words[3]) != 32 ||
        strlen(words[4]) != 16 || !name_is_valid(words[1]))
        return false;
    memcpy(high, words[3], 16);
    high[16] = '\0';
    *out = (kdi_backup_file){.name = words[1],
                             .offset = is_part ? strtoull(words[5], NULL, 10) : 0,
                             .size_bytes = strtoull(words[2], NULL, 10),
                             .hash = {strtoull(high, NULL, 16), strtoull(words[3] + 16, NULL, 16)},
                             .tail = strtoull(words[4], NULL, 16)};
    return true;
}

static kd_status line_take(kd_ctx *ctx, kd_arena *arena, const char *path, char *words[6],
                           uint32_t count, kdi_manifest *out)
{
    kd_backup_info *info = &out->info;
    if (strcmp(words[0], "database") == 0 && count == 2) {
        out->database_id = strtoull(words[1], NULL, 16);
    } else if (strcmp(words[0], "taken") == 0 && count == 2) {
        info->taken_us = strtoll(words[1], NULL, 10);
    } else if (strcmp(words[0], "position") == 0 && count == 2) {
        info->position = strtoull(words[1], NULL, 10);
    } else if (strcmp(words[0], "copied") == 0 && count == 4) {
        info->copied_count = strtoull(words[1], NULL, 10);
        info->copied_bytes = strtoull(words[2], NULL, 10);
        info->kept_bytes = strtoull(words[3], NULL, 10);
    } else if (strcmp(words[0], "checkpoint") == 0 && count == 3) {
        out->stamp = strtoull(words[1], NULL, 10);
        out->replay_position = strtoull(words[2], NULL, 10);
    } else if (strcmp(words[0], "log") == 0 && count == 5) {
        out->end.file_no = strtoull(words[1], NULL, 10);
        out->end.offset = strtoull(words[2], NULL, 10);
        out->end.link = (uint32_t)strtoul(words[3], NULL, 10);
        out->end.incarnation = (uint32_t)strtoul(words[4], NULL, 10);
    } else if (strcmp(words[0], "file") == 0 || strcmp(words[0], "part") == 0) {
        kdi_backup_file *file;
        KD_TRY(KD_PUSH(ctx, arena, out->files, out->file_count, out->file_capacity, &file));
        if (!kdi_file_line_read(words, count, file))
            return damaged(ctx, path, "a file's line is wrong");
        info->file_count++;
        info->file_bytes += file->size_bytes;
    } else {
        return damaged(ctx, path, "a line is wrong");
    }
    return KD_OK;
}

kd_status kdi_manifest_read(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                            const char *id, kdi_manifest *out)
{
    kd_slice text;
    kd_reader lines;
    char *words[WORDS_MAX];
    uint32_t count;
    *out = (kdi_manifest){0};
    const char *path = kd_format_text(ctx, arena, "%s/%s.backup", backups->target, id);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_store_get(ctx, arena, backups->store, path + strlen(backups->target) + 1, &text));
    KD_TRY(kdi_text_open(ctx, path, text, "KADE BACKUP 2", &lines));
    for (;;) {
        KD_TRY(kdi_line_next(ctx, arena, &lines, words, &count));
        if (count == 0)
            break;
        KD_TRY(line_take(ctx, arena, path, words, count, out));
    }
    if (lines.at != lines.end || out->file_count == 0 || strcmp(out->files[0].name, "ROOT") != 0 ||
        strlen(id) >= sizeof out->info.id)
        return damaged(ctx, path, "it is not complete");
    (void)snprintf(out->info.id, sizeof out->info.id, "%s", id);
    out->end.position = out->info.position;
    if (out->database_id != backups->database_id)
        return KD_FAIL(ctx, KD_INVALID, "55000", "backup \"%s\" is one of another database", id);
    return KD_OK;
}
