/*
 * Commands of the shell itself: \name as psql has them, .name as sqlite3 and duckdb do. One line
 * each.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 8, INCLUDE_DEPTH_MAX = 16 };

typedef struct command_line {
    kdi_shell *shell;
    const char *name;
    const char *arguments[ARGUMENTS_MAX]; /* Unquoted. */
    int count;
    const char *rest; /* Everything after the name, as typed. */
} command_line;

typedef struct command {
    const char *name;
    const char *usage; /* NULL: not listed (another name of one that is). */
    const char *help;
    bool (*run)(command_line *line);
} command;

static const char *argument(const command_line *line, int index)
{
    return index < line->count ? line->arguments[index] : NULL;
}

/* "on", "off", or nothing for the other of the two. */
static bool toggle(const command_line *line, bool *value, const char *what)
{
    const char *wanted = argument(line, 0);
    if (wanted == NULL)
        *value = !*value;
    else if (strcmp(wanted, "on") == 0)
        *value = true;
    else if (strcmp(wanted, "off") == 0)
        *value = false;
    else {
        kdi_shell_complain(line->shell, "%s: expected on or off, not \"%s\"", what, wanted);
        return false;
    }
    if (line->shell->is_interactive)
        printf("%s is %s.\n", what, *value ? "on" : "off");
    return true;
}

static bool run_help(command_line *line)
{
    kdi_command_help(line->shell->out);
    return true;
}

static bool run_quit(command_line *line)
{
    line->shell->wants_exit = true;
    return true;
}

static bool run_expanded(command_line *line)
{
    return toggle(line, &line->shell->expanded, "Expanded display");
}

static bool run_timing(command_line *line)
{
    return toggle(line, &line->shell->show_timing, "Timing");
}

static bool run_headers(command_line *line)
{
    return toggle(line, &line->shell->show_header, "Header");
}

static bool run_mode(command_line *line)
{
    const char *wanted = argument(line, 0);
    if (wanted != NULL && kdi_mode_find(wanted, &line->shell->mode))
        return true;
    if (wanted != NULL)
        line->shell->has_failed = true;
    FILE *out = wanted == NULL ? line->shell->out : stderr;
    if (wanted == NULL)
        fprintf(out, "mode %s; others:", kdi_mode_name(line->shell->mode));
    else
        fprintf(out, "no mode \"%s\"; there are:", wanted);
    for (int i = 0; i < KDI_MODE_COUNT; i++)
        fprintf(out, " %s", kdi_mode_name((kdi_mode)i));
    fputc('\n', out);
    return wanted == NULL;
}

static bool run_null_text(command_line *line)
{
    kdi_shell *shell = line->shell;
    const char *wanted = argument(line, 0);
    char *kept = kd_copy_text(&shell->ctx, shell->arena, wanted == NULL ? "" : wanted,
                              wanted == NULL ? 0 : strlen(wanted));
    if (kept == NULL)
        return false;
    shell->null_text = kept;
    return true;
}

static bool run_rows_max(command_line *line)
{
    const char *wanted = argument(line, 0);
    if (wanted == NULL) {
        fprintf(line->shell->out, "%llu\n", (unsigned long long)line->shell->rows_max);
        return true;
    }
    char *end;
    unsigned long long value = strtoull(wanted, &end, 10);
    if (*end != '\0') {
        kdi_shell_complain(line->shell, ".maxrows: not a number: %s", wanted);
        return false;
    }
    line->shell->rows_max = value;
    return true;
}

static bool run_echo(command_line *line)
{
    for (int i = 0; i < line->count; i++)
        fprintf(line->shell->out, "%s%s", i > 0 ? " " : "", line->arguments[i]);
    fputc('\n', line->shell->out);
    return true;
}

static bool run_output(command_line *line)
{
    kdi_shell *shell = line->shell;
    const char *path = argument(line, 0);
    FILE *opened = stdout;
    if (path != NULL)
        opened = fopen(path, "w");
    if (opened == NULL) {
        kdi_shell_complain(shell, "cannot write %s", path);
        return false;
    }
    if (shell->out != stdout)
        fclose(shell->out);
    shell->out = opened;
    return true;
}

static bool run_include(command_line *line)
{
    kdi_shell *shell = line->shell;
    const char *path = argument(line, 0);
    if (path == NULL) {
        kdi_shell_complain(shell, "%s: missing file name", line->name);
        return false;
    }
    if (shell->include_depth >= INCLUDE_DEPTH_MAX) {
        kdi_shell_complain(shell, "%s: files include each other too deeply", line->name);
        return false;
    }
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        kdi_shell_complain(shell, "%s: cannot read %s", line->name, path);
        return false;
    }
    shell->include_depth++;
    bool fine = kdi_shell_run_stream(shell, stream, path);
    shell->include_depth--;
    fclose(stream);
    return fine;
}

static bool run_list_databases(command_line *line)
{
    fprintf(line->shell->out, "%s\n", line->shell->path);
    return true;
}

static bool run_tables(command_line *line)
{
    return kdi_describe_run(line->shell, "t", argument(line, 0));
}

static bool run_schema(command_line *line)
{
    return kdi_describe_run(line->shell, "", argument(line, 0));
}

static bool run_import(command_line *line)
{
    kdi_import_options options = {0};
    if (line->count == 4 && strcmp(line->arguments[2], "rejects") == 0)
        options.rejects_table = line->arguments[3];
    else if (line->count != 2) {
        kdi_shell_complain(line->shell, "usage: .import FILE TABLE [rejects TABLE]");
        return false;
    }
    return kdi_import_file(line->shell, line->arguments[0], line->arguments[1], &options);
}

/* \copy T FROM 'file' ...: the same as COPY, because the shell and the engine share the files. */
static bool run_copy(command_line *line)
{
    kdi_shell *shell = line->shell;
    char *sql = kd_format_text(&shell->ctx, shell->arena, "COPY %s", line->rest);
    return sql != NULL && kdi_shell_run(shell, kd_slice_of(sql));
}

static bool run_go(command_line *line)
{
    return kdi_query_go(line->shell, argument(line, 0), false);
}

static bool run_go_expanded(command_line *line)
{
    return kdi_query_go(line->shell, argument(line, 0), true);
}

static bool run_print(command_line *line)
{
    return kdi_query_print(line->shell);
}

static bool run_reset(command_line *line)
{
    return kdi_query_reset(line->shell);
}

static bool run_edit(command_line *line)
{
    return kdi_query_edit(line->shell, argument(line, 0));
}

static bool run_watch(command_line *line)
{
    return kdi_query_watch(line->shell, line->arguments, line->count);
}

/* \set NAME VALUE ...: the values one behind the other. */
static bool run_set(command_line *line)
{
    kdi_shell *shell = line->shell;
    const char *name = argument(line, 0);
    if (name == NULL) {
        kdi_variable_list(shell);
        return true;
    }
    kd_buffer value = kd_buffer_in(shell->arena);
    bool fine = kd_buffer_append_text(&shell->ctx, &value, "") == KD_OK;
    for (int i = 1; fine && i < line->count; i++)
        fine = kd_buffer_append_text(&shell->ctx, &value, line->arguments[i]) == KD_OK;
    return fine && kdi_variable_set(shell, name, value.data);
}

static bool run_unset(command_line *line)
{
    if (line->count != 1) {
        kdi_shell_complain(line->shell, "usage: \\unset NAME");
        return false;
    }
    kdi_variable_unset(line->shell, line->arguments[0]);
    return true;
}

/* What of \pset has a meaning here. */
static bool run_print_setting(command_line *line)
{
    const char *name = argument(line, 0);
    command_line rest = *line;
    rest.count = line->count > 0 ? line->count - 1 : 0;
    memmove(rest.arguments, line->arguments + 1, (size_t)rest.count * sizeof *rest.arguments);
    if (name != NULL && strcmp(name, "null") == 0)
        return run_null_text(&rest);
    if (name != NULL && strcmp(name, "tuples_only") == 0) {
        bool only = !line->shell->show_header;
        bool fine = toggle(&rest, &only, "Tuples only");
        line->shell->show_header = !only;
        return fine;
    }
    if (name != NULL && (strcmp(name, "expanded") == 0 || strcmp(name, "x") == 0))
        return run_expanded(&rest);
    if (name != NULL && strcmp(name, "format") == 0) {
        static const char *const names[][2] = {
            {"aligned", "box"}, {"unaligned", "plain"}, {"wrapped", "box"}};
        for (size_t i = 0; rest.count > 0 && i < sizeof names / sizeof names[0]; i++)
            if (strcmp(rest.arguments[0], names[i][0]) == 0)
                rest.arguments[0] = names[i][1];
        return run_mode(&rest);
    }
    kdi_shell_complain(line->shell,
                       "\\pset knows null, format, expanded and tuples_only, not \"%s\"",
                       name == NULL ? "" : name);
    return false;
}

static bool run_connection(command_line *line)
{
    fprintf(line->shell->out, "You are connected to database \"%s\" with kade %s.\n",
            line->shell->path, kade_version());
    return true;
}

static bool run_function(command_line *line)
{
    return kdi_describe_function(line->shell, argument(line, 0));
}

static bool run_system(command_line *line)
{
    fflush(line->shell->out);
    bool fine = line->rest[0] == '\0' || system(line->rest) == 0;
    if (!fine)
        line->shell->has_failed = true;
    return fine;
}

static bool run_directory(command_line *line)
{
    const char *path = argument(line, 0);
    if (path == NULL)
        path = getenv("HOME");
    if (path != NULL && chdir(path) == 0)
        return true;
    kdi_shell_complain(line->shell, "\\cd: cannot go to %s", path == NULL ? "the home" : path);
    return false;
}

static const command COMMANDS[] = {
    {"?", "\\?, .help", "this list", run_help},
    {"help", NULL, NULL, run_help},
    {"h", NULL, NULL, run_help},
    {"q", "\\q, .quit", "leave", run_quit},
    {"quit", NULL, NULL, run_quit},
    {"exit", NULL, NULL, run_quit},
    {"d", "\\d[S+] [NAME], .schema", "describe a table or view; without a name list all", NULL},
    {"dt", "\\dt \\dv \\dm \\di \\ds [PATTERN]",
     "tables, views, materialized views, indexes, sequences; + tells more, S shows the system's",
     NULL},
    {"dn", "\\dn \\df \\dT \\du [PATTERN]", "schemas, functions, types, roles", NULL},
    {"sf", "\\sf NAME", "the definition of a function", run_function},
    {"tables", ".tables [PATTERN]", "as \\dt", run_tables},
    {"schema", NULL, NULL, run_schema},
    {"l", "\\l", "the database's name", run_list_databases},
    {"mode", ".mode [MODE]", "box, ascii, markdown, csv, tabs, json, ndjson, plain, line",
     run_mode},
    {"x", "\\x [on|off]", "one block per row", run_expanded},
    {"timing", "\\timing [on|off], .timer", "show how long each statement takes", run_timing},
    {"timer", NULL, NULL, run_timing},
    {"headers", ".headers [on|off]", "column names above results", run_headers},
    {"nullvalue", ".nullvalue TEXT", "what NULL looks like", run_null_text},
    {"maxrows", ".maxrows [N]", "rows of a frame at the terminal; 0 shows all", run_rows_max},
    {"i", "\\i FILE, .read", "run a file", run_include},
    {"read", NULL, NULL, run_include},
    {"o", "\\o [FILE], .output", "send results to a file; without a name back here", run_output},
    {"output", NULL, NULL, run_output},
    {"echo", "\\echo TEXT", "write a text", run_echo},
    {"g", "\\g [FILE], \\gx", "run the query typed (or the last one); x: one block per row",
     run_go},
    {"gx", NULL, NULL, run_go_expanded},
    {"p", "\\p, \\r, \\e [FILE]", "show, drop, edit the query typed (or the last one)", run_print},
    {"r", NULL, NULL, run_reset},
    {"e", NULL, NULL, run_edit},
    {"edit", NULL, NULL, run_edit},
    {"watch", "\\watch [SECONDS] [c=COUNT]", "run it again and again; Ctrl-C ends it", run_watch},
    {"set", "\\set [NAME [VALUE]], \\unset NAME",
     "variables: :NAME, :'NAME' and :\"NAME\" in statements", run_set},
    {"unset", NULL, NULL, run_unset},
    {"pset", "\\pset null|format|expanded ...", "how results look, in psql's words",
     run_print_setting},
    {"conninfo", "\\conninfo", "what the shell is connected to", run_connection},
    {"!", "\\! COMMAND", "run a command of the system", run_system},
    {"cd", "\\cd [FOLDER]", "go to another folder", run_directory},
    {"copy", "\\copy TABLE FROM|TO 'FILE' ...", "as COPY", run_copy},
    {"import", ".import FILE TABLE [rejects TABLE]", "load a file; the table is made if absent",
     run_import},
};

void kdi_command_help(FILE *out)
{
    fputs("Statements end with ; and may span lines. Tab completes, Ctrl-C cancels.\n", out);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (COMMANDS[i].usage != NULL)
            fprintf(out, "  %-36s %s\n", COMMANDS[i].usage, COMMANDS[i].help);
}

/* Splits at blanks; '...' and "..." keep theirs ("..." keeps its quotes: it is a name). */
static bool split_arguments(kdi_shell *shell, const char *text, command_line *line)
{
    const char *at = text;
    while (line->count < ARGUMENTS_MAX) {
        while (*at == ' ' || *at == '\t')
            at++;
        if (*at == '\0' || (*at == ';' && at[1] == '\0'))
            return true;
        char *word = kd_alloc(&shell->ctx, shell->arena, strlen(at) + 1);
        if (word == NULL)
            return false;
        size_t size = 0;
        char open = '\0';
        while (*at != '\0' && (open != '\0' || (*at != ' ' && *at != '\t'))) {
            char byte = *at++;
            bool is_quote = byte == '\'' || byte == '"';
            if (byte == '\'' && open == byte && *at == byte) { /* A doubled quote is one. */
                word[size++] = *at++;
                continue;
            }
            if (open == '\0' && is_quote)
                open = byte;
            else if (byte == open)
                open = '\0';
            if (byte != '\'')
                word[size++] = byte;
        }
        if (size > 0 && word[size - 1] == ';' && *at == '\0')
            word[size - 1] = '\0';
        line->arguments[line->count++] = word;
    }
    return true;
}

bool kdi_command_run(kdi_shell *shell, const char *text)
{
    char *copy = kd_copy_text(&shell->ctx, shell->arena, text + 1, strlen(text + 1));
    if (copy == NULL)
        return false;
    size_t size = strlen(copy);
    while (size > 0 && strchr(" \t\r\n", copy[size - 1]) != NULL)
        copy[--size] = '\0';
    size_t name_bytes = strcspn(copy, " \t;");
    char *rest = copy + name_bytes;
    if (*rest != '\0')
        *rest++ = '\0';
    command_line line = {.shell = shell, .name = copy, .rest = rest};
    if (!split_arguments(shell, rest, &line))
        return false;
    if (text[0] == '\\' && copy[0] == 'd')
        return kdi_describe_run(shell, copy + 1, argument(&line, 0));
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (COMMANDS[i].run != NULL && strcmp(copy, COMMANDS[i].name) == 0)
            return COMMANDS[i].run(&line);
    kdi_shell_complain(shell, "invalid command %c%s; try %c%s for help", text[0], copy, text[0],
                       text[0] == '\\' ? "?" : "help");
    return false;
}
