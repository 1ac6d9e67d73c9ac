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
    "       kade backup DB TARGET --every 12h [--keep N ...]\n"
    "                                              again and again (s, m, h, d), and prune; until\n"
    "                                              Ctrl-C\n"
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
    double every_seconds; /* 0: once. */
} backup_words;

/* "90", "30m", "12h", "1d". */
static bool seconds_parse(const char *text, double *out_seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (end != text && strcmp(end, units[i].unit) == 0)
            *out_seconds = number * units[i].seconds;
    return *out_seconds >= 1 && *out_seconds <= 366 * 86400.0;
}

static uint64_t *number_named(backup_words *words, const char *name)
{
    const struct {
        const char *name;
        uint64_t *number;
    } options[] = {{"--rate", &words->rate},
                   {"--keep", &words->keep},
                   {"--days", &words->days},
                   {"--keep-daily", &words->daily},
                   {"--keep-monthly", &words->monthly}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(name, options[i].name) == 0)
            return options[i].number;
    return NULL;
}

static bool words_parse(backup_words *out, int argc, char **argv)
{
    *out = (backup_words){0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t *number = number_named(out, argv[i]);
        bool is_every = strcmp(argv[i], "--every") == 0;
        if (number != NULL || is_every) {
            if (is_every ? !seconds_parse(value, &out->every_seconds)
                         : !kdi_parse_size(value, number))
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

static const char *prune_sql(kdi_shell *shell, const backup_words *parsed)
{
    return kd_format_text(&shell->ctx, shell->arena,
                          "SELECT * FROM kade_backup_prune(%s, %llu, %llu, %llu, %llu)",
                          kdi_quote_literal(shell, parsed->words[1]),
                          (unsigned long long)parsed->keep, (unsigned long long)parsed->days,
                          (unsigned long long)parsed->daily, (unsigned long long)parsed->monthly);
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
        return prune_sql(shell, parsed);
    return kd_format_text(&shell->ctx, shell->arena, "SELECT * FROM kade_backup(%s, %llu)", target,
                          (unsigned long long)parsed->rate);
}

static bool needs_no_database(const char *word)
{
    return strcmp(word, "list") == 0 || strcmp(word, "verify") == 0 || strcmp(word, "prune") == 0;
}

static bool has_keeps(const backup_words *parsed)
{
    return parsed->keep > 0 || parsed->daily > 0 || parsed->monthly > 0;
}

static bool backup_words_fit(const backup_words *parsed)
{
    if (parsed->count < 2)
        return false;
    bool is_prune = strcmp(parsed->words[0], "prune") == 0;
    bool may_name = strcmp(parsed->words[0], "verify") == 0;
    bool may_repeat = !needs_no_database(parsed->words[0]);
    bool repeats = parsed->every_seconds > 0;
    return (parsed->count == 2 || may_name) && (may_repeat || !repeats) &&
           (is_prune ? has_keeps(parsed) : !has_keeps(parsed) || repeats);
}

/* One command; with --every and something to keep, what is old goes too. */
static bool backup_run(const backup_words *parsed, bool *out_was_cancelled)
{
    kdi_shell shell;
    *out_was_cancelled = false;
    const char *first = parsed->words[0];
    bool fine = kdi_program_open(&shell, needs_no_database(first) ? ":memory:" : first, true);
    if (fine) {
        const char *sql = backup_sql(&shell, parsed);
        fine = sql != NULL && kdi_shell_run(&shell, kd_slice_of(sql));
    }
    if (fine && parsed->every_seconds > 0 && has_keeps(parsed)) {
        const char *sql = prune_sql(&shell, parsed);
        fine = sql != NULL && kdi_shell_run(&shell, kd_slice_of(sql));
    }
    if (!fine && shell.session != NULL)
        *out_was_cancelled = strcmp(kade_session_error(shell.session)->sqlstate, "57014") == 0;
    kdi_program_close(&shell);
    return fine;
}

/* Every so often, counted from the begin of the last one; a minute after one that failed. The
 * database is open only meanwhile. A first one that fails ends it: the words may be wrong. */
static bool backup_repeat(const backup_words *parsed)
{
    static const double retry_seconds = 60;
    kd_world *world = kd_world_posix();
    for (bool is_first = true;; is_first = false) {
        uint64_t begun_ns = world->monotonic_ns(world);
        bool was_cancelled, fine = backup_run(parsed, &was_cancelled);
        if (was_cancelled || (!fine && is_first))
            return false;
        (void)fflush(stdout);
        double took = (double)(world->monotonic_ns(world) - begun_ns) / 1e9;
        double left = parsed->every_seconds - took;
        if (!fine && left > retry_seconds)
            left = retry_seconds;
        if (!kdi_shell_wait(world, left > 0 ? left : 0))
            return true;
    }
}

int kdi_backup_main(int argc, char **argv)
{
    backup_words parsed;
    if (!words_parse(&parsed, argc, argv) || !backup_words_fit(&parsed)) {
        fputs(backup_usage, stderr);
        return 2;
    }
    bool was_cancelled;
    bool fine =
        parsed.every_seconds > 0 ? backup_repeat(&parsed) : backup_run(&parsed, &was_cancelled);
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
