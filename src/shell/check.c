/*
 * kade check: what is damaged in a database, whether it is open, closed, or does not open.
 */
#include "shell/shell_internal.h"

#include <string.h>
#include <unistd.h>

enum { EXIT_CLEAN = 0, EXIT_DAMAGE = 1, EXIT_FAILED = 2 };

/* The query's rows as lines of text, or as one array of JSON. */
static int report(kdi_shell *shell, const char *sql, bool is_json)
{
    kade_statement *statement;
    bool has_row = false;
    uint64_t damages = 0, rows = 0;
    if (kade_prepare(shell->session, sql, KADE_NUL, &statement) != KADE_OK) {
        kdi_shell_complain(shell, "kade: %s", kade_session_error(shell->session)->message);
        return EXIT_FAILED;
    }
    kade_status status;
    while ((status = kade_step(statement, &has_row)) == KADE_OK && has_row) {
        kdi_shell_progress_clear();
        damages += kade_column_bool(statement, 0);
        const char *text = kade_column_text(statement, 1, NULL);
        if (is_json)
            fputs(rows == 0 ? "[\n  " : ",\n  ", shell->out);
        fputs(text == NULL ? "" : text, shell->out);
        if (!is_json)
            fputc('\n', shell->out);
        rows++;
    }
    kdi_shell_progress_clear();
    if (status != KADE_OK)
        kdi_shell_complain(shell, "kade: %s", kade_session_error(shell->session)->message);
    kade_finalize(statement);
    if (status != KADE_OK)
        return EXIT_FAILED;
    if (is_json)
        fputs(rows == 0 ? "[]\n" : "\n]\n", shell->out);
    else if (damages == 0)
        fputs("no damage found\n", shell->out);
    else
        fprintf(shell->out, "%llu damaged places found\n", (unsigned long long)damages);
    return damages == 0 ? EXIT_CLEAN : EXIT_DAMAGE;
}

/* One line, or one object, of each row of `source`. */
static const char *query_of(kdi_shell *shell, const char *source, bool is_json)
{
    const char *line =
        is_json
            ? "to_json(c)::text"
            : "concat(severity, ': ', problem, "
              "CASE WHEN file IS NOT NULL THEN concat(E'\\n    file ', file, "
              "', bytes ' || file_offset || ' to ' || file_offset + size_bytes - 1) END, "
              "CASE WHEN table_name IS NOT NULL THEN concat(E'\\n    table ', schema_name, '.', "
              "table_name, ', index ' || index_name, ', column ' || column_name, "
              "', ' || row_count || ' rows from row ' || first_row) END)";
    return kd_format_text(&shell->ctx, shell->arena, "SELECT severity = 'damage', %s FROM %s c",
                          line, source);
}

static bool shell_open(kdi_shell *shell, const char *path)
{
    *shell = (kdi_shell){.ctx = {.world = kd_world_posix()}, .path = path, .out = stdout};
    shell->open_options.struct_bytes = sizeof shell->open_options;
    shell->open_options.read_only = strcmp(path, ":memory:") != 0;
    if (!kdi_shell_init(shell))
        return false;
    kdi_shell_catch_interrupts(shell);
    return kdi_shell_open(shell) == KD_OK;
}

static int check(const char *path, bool is_json)
{
    kdi_shell shell;
    static const char of_open[] = "kade_check()";
    const char *source = of_open;
    bool is_open = shell_open(&shell, path);
    if (!is_open) {
        /* Its files still say what is wrong with it. */
        kdi_shell_close(&shell);
        kd_arena_destroy(shell.arena);
        is_open = shell_open(&shell, ":memory:");
        source = !is_open ? NULL
                          : kd_format_text(&shell.ctx, shell.arena, "kade_check_files(%s)",
                                           kdi_quote_literal(&shell, path));
    }
    const char *sql = source == NULL ? NULL : query_of(&shell, source, is_json);
    int code = EXIT_FAILED;
    if (sql != NULL) {
        if (isatty(STDERR_FILENO) != 0)
            kade_session_on_progress(shell.session, kdi_shell_on_progress, NULL);
        code = report(&shell, sql, is_json);
    }
    if (code == EXIT_CLEAN && source != of_open) {
        fputs("kade: its files are whole for themselves, but the database does not open\n", stderr);
        code = EXIT_FAILED;
    }
    kdi_shell_close(&shell);
    kd_arena_destroy(shell.arena);
    return code;
}

int kdi_check_main(int argc, char **argv)
{
    const char *path = NULL;
    bool is_json = false, is_wrong = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            is_json = true;
        else if (path == NULL && argv[i][0] != '-')
            path = argv[i];
        else
            is_wrong = true;
    }
    if (path == NULL || is_wrong) {
        fputs("usage: kade check DIRECTORY [--json]\n"
              "Reads all of a database, which may be open elsewhere, and tells what is damaged.\n"
              "Writes nothing. Leaves with 0: no damage, 1: damage, 2: it could not check.\n",
              stderr);
        return EXIT_FAILED;
    }
    return check(path, is_json);
}
