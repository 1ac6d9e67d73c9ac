/*
 * kade backup and kade archive: the statements that they stand for.
 *
 * Taking a backup and changing an archive opens the database, or becomes a client of the process
 * that has it open; the rest needs none and runs in a database in memory.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>

static const char backup_usage[] =
    "usage: kade backup DB TARGET [--rate BYTES]   copy what the directory TARGET lacks\n"
    "       kade backup list TARGET\n"
    "       kade backup verify TARGET [BACKUP]     read it and compare checksums\n"
    "       kade backup prune TARGET [--keep N] [--days D] [--keep-daily N] [--keep-monthly N]\n"
    "                                              keep the newest N, those of D days, and one\n"
    "                                              of each of the last N days and months\n"
    "A database of the name list, verify or prune is written as ./list.\n";
static const char archive_usage[] =
    "usage: kade archive DB DIRECTORY [--keep BYTES]\n"
    "                                    copy its log there, continuously, beside its backups\n"
    "       kade archive DB              how far that is\n"
    "       kade archive DB --stop\n"
    "       kade archive list DIRECTORY  what is there\n"
    "DIRECTORY begins with '/'. A database of the name list is written as ./list.\n";

enum { WORDS_MAX = 3 };

typedef struct backup_words {
    const char *words[WORDS_MAX];
    int count;
    uint64_t rate, keep, days, daily, monthly;
} backup_words;

static bool words_parse(backup_words *out, int argc, char **argv)
{
    *out = (backup_words){0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t *number = NULL;
        if (strcmp(argv[i], "--rate") == 0)
            number = &out->rate;
        else if (strcmp(argv[i], "--keep") == 0)
            number = &out->keep;
        else if (strcmp(argv[i], "--days") == 0)
            number = &out->days;
        else if (strcmp(argv[i], "--keep-daily") == 0)
            number = &out->daily;
        else if (strcmp(argv[i], "--keep-monthly") == 0)
            number = &out->monthly;
        if (number != NULL) {
            if (!kdi_parse_size(value, number))
                return false;
            i++;
        } else if (argv[i][0] != '-' && out->count < WORDS_MAX) {
            out->words[out->count++] = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

/* NULL: not a command. The shell's arena holds it. */
static const char *backup_sql(kdi_shell *shell, const backup_words *parsed)
{
    const char *first = parsed->words[0];
    const char *target = kdi_quote_literal(shell, parsed->words[1]);
    if (strcmp(first, "list") == 0)
        return kd_format_text(&shell->ctx, shell->arena, "SELECT * FROM kade_backups(%s)", target);
    if (strcmp(first, "verify") == 0)
        return kd_format_text(
            &shell->ctx, shell->arena,
            "SELECT backup, files, bytes FROM kade_backup_verify(%s, %s)", target,
            parsed->words[2] == NULL ? "NULL" : kdi_quote_literal(shell, parsed->words[2]));
    if (strcmp(first, "prune") == 0)
        return kd_format_text(&shell->ctx, shell->arena,
                              "SELECT * FROM kade_backup_prune(%s, %llu, %llu, %llu, %llu)", target,
                              (unsigned long long)parsed->keep, (unsigned long long)parsed->days,
                              (unsigned long long)parsed->daily,
                              (unsigned long long)parsed->monthly);
    return kd_format_text(&shell->ctx, shell->arena, "SELECT * FROM kade_backup(%s, %llu)", target,
                          (unsigned long long)parsed->rate);
}

static bool needs_no_database(const char *word)
{
    return strcmp(word, "list") == 0 || strcmp(word, "verify") == 0 || strcmp(word, "prune") == 0;
}

static bool backup_words_fit(const backup_words *parsed)
{
    if (parsed->count < 2)
        return false;
    bool is_prune = strcmp(parsed->words[0], "prune") == 0;
    bool may_name = strcmp(parsed->words[0], "verify") == 0;
    bool keeps = parsed->keep > 0 || parsed->daily > 0 || parsed->monthly > 0;
    return (parsed->count == 2 || may_name) && is_prune == keeps;
}

int kdi_backup_main(int argc, char **argv)
{
    backup_words parsed;
    if (!words_parse(&parsed, argc, argv) || !backup_words_fit(&parsed)) {
        fputs(backup_usage, stderr);
        return 2;
    }
    kdi_shell shell;
    const char *first = parsed.words[0];
    bool fine = kdi_program_open(&shell, needs_no_database(first) ? ":memory:" : first, true);
    if (fine) {
        const char *sql = backup_sql(&shell, &parsed);
        fine = sql != NULL && kdi_shell_run(&shell, kd_slice_of(sql));
    }
    kdi_program_close(&shell);
    return fine ? 0 : 1;
}

static bool archive_words_parse(int argc, char **argv, const char *words[2], uint64_t *out_keep,
                                bool *out_stops)
{
    int count = 0;
    words[0] = words[1] = NULL;
    *out_keep = 0;
    *out_stops = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc) {
            if (!kdi_parse_size(argv[++i], out_keep))
                return false;
        } else if (strcmp(argv[i], "--stop") == 0) {
            *out_stops = true;
        } else if (argv[i][0] != '-' && count < 2) {
            words[count++] = argv[i];
        } else {
            return false;
        }
    }
    return words[0] != NULL && (words[1] == NULL || !*out_stops) &&
           (words[1] != NULL || *out_keep == 0);
}

int kdi_archive_main(int argc, char **argv)
{
    const char *words[2];
    uint64_t keep;
    bool stops;
    if (!archive_words_parse(argc, argv, words, &keep, &stops) ||
        (strcmp(words[0], "list") == 0 && (words[1] == NULL || keep > 0))) {
        fputs(archive_usage, stderr);
        return 2;
    }
    kdi_shell shell;
    bool lists = strcmp(words[0], "list") == 0;
    bool fine = kdi_program_open(&shell, lists ? ":memory:" : words[0], true);
    if (fine) {
        const char *sql = "SELECT * FROM kade_archive_status()";
        if (stops)
            sql = "SELECT * FROM kade_archive_stop()";
        else if (lists)
            sql = kd_format_text(&shell.ctx, shell.arena, "SELECT * FROM kade_archive(%s)",
                                 kdi_quote_literal(&shell, words[1]));
        else if (words[1] != NULL)
            sql = kd_format_text(&shell.ctx, shell.arena,
                                 "SELECT * FROM kade_archive_start(%s, %llu)",
                                 kdi_quote_literal(&shell, words[1]), (unsigned long long)keep);
        shell.expanded = !lists;
        fine = sql != NULL && kdi_shell_run(&shell, kd_slice_of(sql));
    }
    kdi_program_close(&shell);
    return fine ? 0 : 1;
}
