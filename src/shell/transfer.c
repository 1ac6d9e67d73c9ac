/*
 * Import and export: the statements that .import, kade import and kade export stand for.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *kdi_quote_literal(kdi_shell *shell, const char *text)
{
    kd_buffer out = kd_buffer_in(shell->arena);
    if (kd_buffer_append_byte(&shell->ctx, &out, '\'') != KD_OK)
        return "''";
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'' && kd_buffer_append_byte(&shell->ctx, &out, '\'') != KD_OK)
            return "''";
        if (kd_buffer_append_byte(&shell->ctx, &out, (uint8_t)*at) != KD_OK)
            return "''";
    }
    if (kd_buffer_append_byte(&shell->ctx, &out, '\'') != KD_OK)
        return "''";
    return out.data;
}

static bool is_plain_name(const char *name)
{
    if (!((*name >= 'a' && *name <= 'z') || *name == '_'))
        return false;
    for (const char *at = name; *at != '\0'; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '_' || *at == '.'))
            return false;
    return true;
}

const char *kdi_quote_name(kdi_shell *shell, const char *name)
{
    if (is_plain_name(name) || name[0] == '"')
        return name;
    kd_buffer out = kd_buffer_in(shell->arena);
    kd_status status = kd_buffer_append_byte(&shell->ctx, &out, '"');
    for (const char *at = name; *at != '\0' && status == KD_OK; at++) {
        if (*at == '"')
            status = kd_buffer_append_byte(&shell->ctx, &out, '"');
        if (status == KD_OK)
            status = kd_buffer_append_byte(&shell->ctx, &out, (uint8_t)*at);
    }
    if (status == KD_OK)
        status = kd_buffer_append_byte(&shell->ctx, &out, '"');
    return status == KD_OK ? out.data : "\"\"";
}

typedef struct file_format {
    const char *suffix;
    const char *copy_options; /* For COPY ... FROM and TO. */
} file_format;

static const file_format FORMATS[] = {
    {".csv", "FORMAT csv, HEADER true"},
    {".tsv", "FORMAT csv, HEADER true, DELIMITER E'\\t'"},
    {".ndjson", "FORMAT json"},
    {".jsonl", "FORMAT json"},
    {".json", "FORMAT json"},
    {".arrow", "FORMAT arrow"},
    {".arrows", "FORMAT arrow_stream"},
};

static bool ends_with(const char *text, size_t size, const char *suffix)
{
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && strncasecmp(text + size - suffix_size, suffix, suffix_size) == 0;
}

/* By the name, a .gz or .zst at its end left out; CSV when nothing fits. */
static const file_format *format_of(const char *file, const char *wanted)
{
    char dotted[32];
    size_t size = strlen(file);
    if (wanted != NULL) {
        snprintf(dotted, sizeof dotted, ".%s", wanted);
        file = dotted;
        size = strlen(dotted);
    } else if (ends_with(file, size, ".gz")) {
        size -= 3;
    } else if (ends_with(file, size, ".zst")) {
        size -= 4;
    }
    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++)
        if (ends_with(file, size, FORMATS[i].suffix))
            return &FORMATS[i];
    return &FORMATS[0];
}

static bool table_exists(kdi_shell *shell, const char *table)
{
    kade_statement *statement;
    char *sql = kd_format_text(&shell->ctx, shell->arena, "SELECT * FROM %s LIMIT 0", table);
    if (sql == NULL || kade_prepare(shell->session, sql, KADE_NUL, &statement) != KADE_OK)
        return false;
    kade_finalize(statement);
    return true;
}

bool kdi_import_file(kdi_shell *shell, const char *file, const char *table,
                     const kdi_import_options *options)
{
    const char *quoted_table = kdi_quote_name(shell, table);
    const char *quoted_file = kdi_quote_literal(shell, file);
    const file_format *format = format_of(file, options->format);
    if (!table_exists(shell, quoted_table)) {
        /* The columns come from the file; the rows from COPY, which loads in bulk and may reject.
         */
        char *create =
            kd_format_text(&shell->ctx, shell->arena, "CREATE TABLE %s AS SELECT * FROM %s LIMIT 0",
                           quoted_table, quoted_file);
        if (create == NULL || !kdi_shell_run_silently(shell, kd_slice_of(create)))
            return false;
    }
    const char *rejects = "";
    if (options->rejects_table != NULL) {
        rejects = kd_format_text(&shell->ctx, shell->arena, ", ON_ERROR ignore, REJECTS_TABLE %s",
                                 kdi_quote_literal(shell, options->rejects_table));
        if (rejects == NULL)
            return false;
    }
    char *copy = kd_format_text(&shell->ctx, shell->arena, "COPY %s FROM %s (%s%s)", quoted_table,
                                quoted_file, format->copy_options, rejects);
    return copy != NULL && kdi_shell_run(shell, kd_slice_of(copy));
}

/* ---- kade import, kade export ---- */

bool kdi_program_open(kdi_shell *shell, const char *path, bool must_exist)
{
    *shell = (kdi_shell){.ctx = {.world = kd_world_posix()},
                         .path = path,
                         .out = stdout,
                         .shows_tags = true,
                         .show_header = true,
                         .null_text = ""};
    shell->open_options.struct_bytes = sizeof shell->open_options;
    shell->open_options.must_exist = must_exist;
    if (!kdi_shell_init(shell))
        return false;
    kdi_shell_catch_interrupts(shell);
    return kdi_shell_open(shell) == KD_OK;
}

void kdi_program_close(kdi_shell *shell)
{
    kdi_shell_close(shell);
    kd_arena_destroy(shell->arena);
}

int kdi_import_main(int argc, char **argv)
{
    kdi_import_options options = {0};
    const char *words[3] = {NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rejects") == 0 && i + 1 < argc)
            options.rejects_table = argv[++i];
        else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
            options.format = argv[++i];
        else if (count < 3 && argv[i][0] != '-')
            words[count++] = argv[i];
        else
            count = 4;
    }
    if (count != 3) {
        fputs("usage: kade import DB FILE TABLE [--rejects TABLE] [--format csv|tsv|ndjson]\n"
              "Loads a file (plain, .gz, .zst) into a table, which is made when absent.\n",
              stderr);
        return 2;
    }
    kdi_shell shell;
    bool fine = kdi_program_open(&shell, words[0], false);
    if (fine)
        fine = kdi_import_file(&shell, words[1], words[2], &options);
    kdi_program_close(&shell);
    return fine ? 0 : 1;
}

/* A query stays as it is, a table's name becomes one. */
static const char *export_source(kdi_shell *shell, const char *text)
{
    bool is_query = strncasecmp(text, "select ", 7) == 0 || strncasecmp(text, "with ", 5) == 0 ||
                    strncasecmp(text, "from ", 5) == 0 || strncasecmp(text, "values", 6) == 0;
    if (is_query)
        return kd_format_text(&shell->ctx, shell->arena, "(%s)", text);
    return kdi_quote_name(shell, text);
}

int kdi_export_main(int argc, char **argv)
{
    const char *wanted = NULL;
    const char *words[3] = {NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
            wanted = argv[++i];
        else if (count < 3)
            words[count++] = argv[i];
        else
            count = 4;
    }
    if (count != 3) {
        fputs("usage: kade export DB TABLE|QUERY FILE [--format csv|tsv|ndjson|arrow]\n", stderr);
        return 2;
    }
    kdi_shell shell;
    bool fine = kdi_program_open(&shell, words[0], false);
    if (fine) {
        const char *source = export_source(&shell, words[1]);
        char *sql = source == NULL ? NULL
                                   : kd_format_text(&shell.ctx, shell.arena, "COPY %s TO %s (%s)",
                                                    source, kdi_quote_literal(&shell, words[2]),
                                                    format_of(words[2], wanted)->copy_options);
        fine = sql != NULL && kdi_shell_run(&shell, kd_slice_of(sql));
    }
    kdi_program_close(&shell);
    return fine ? 0 : 1;
}
