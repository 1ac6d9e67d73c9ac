/*
 * The shell's commands, and the shell when none is named.
 */
#include "shell/shell.h"

#include "shell/shell_internal.h"

#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_MAX = 1000, DEFINITIONS_MAX = 32, SCRIPTS_MAX = 64 };

static const kd_program PROGRAMS[] = {
    {"check", kdi_check_main, "tell what is damaged in a database"},
    {"demo", kdi_demo_main, "load three million flights and walk through some statements"},
    {"import", kdi_import_main, "load a CSV, TSV or NDJSON file into a table"},
    {"export", kdi_export_main, "write a table or query to a file"},
    {"backup", kdi_backup_main, "copy a database to a directory; list, verify, prune backups"},
    {"archive", kdi_archive_main, "copy a database's log beside its backups, continuously"},
    {"restore", kdi_restore_main, "make a database of a backup and the archive; fetch a table"},
};

/* What -c or -f asks for. */
typedef struct script {
    bool is_file;
    const char *text; /* Or the file's path. */
} script;

enum { PROGRAM_COUNT = sizeof PROGRAMS / sizeof *PROGRAMS };

typedef struct arguments {
    kdi_shell *shell;
    const kd_program *more; /* Commands of other modules. */
    size_t more_count;
    script scripts[SCRIPTS_MAX]; /* In the order given. */
    int script_count;
    bool is_quiet;
    bool mode_is_set;
    int exit_code;                            /* Not negative: leave with it. */
    const char *definitions[DEFINITIONS_MAX]; /* NAME=VALUE of -v. */
    int definition_count;
} arguments;

static void show_program(const kd_program *it)
{
    printf("  %-16s  %s\n", it->name, it->help);
}

static void show_help(const arguments *parsed)
{
    fputs("usage: kade [OPTIONS] [DATABASE]\n"
          "       kade COMMAND ...\n\n"
          "DATABASE is a directory, made when absent; without it the database is in memory.\n\n"
          "  -c SQL            run this and leave; may be given several times, with -f in between\n"
          "  -f FILE           run this file and leave\n"
          "  -v NAME=VALUE     a variable, as \\set makes it\n"
          "  --csv, --json, --markdown, --ndjson, --tabs, --plain, --line, --box, --ascii\n"
          "                    how results look\n"
          "  --no-header       no column names\n"
          "  --null TEXT       what NULL looks like\n"
          "  --timing          show how long each statement takes\n"
          "  --read-only       refuse every change\n"
          "  --memory SIZE     memory budget, such as 256M or 4G\n"
          "  --temp DIRECTORY  where large operations spill\n"
          "  -q                no greeting\n"
          "  --version, --help\n\nCommands:\n",
          stdout);
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        show_program(&PROGRAMS[i]);
    for (size_t i = 0; i < parsed->more_count; i++)
        show_program(&parsed->more[i]);
}

bool kdi_parse_size(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end == 'k' || *end == 'K')
        shift = 10;
    else if (*end == 'm' || *end == 'M')
        shift = 20;
    else if (*end == 'g' || *end == 'G')
        shift = 30;
    if (shift != 0)
        end++;
    while (*end == 'i' || *end == 'B')
        end++;
    *out = value << shift;
    return errno == 0 && end != text && *end == '\0' && (*out >> shift) == value;
}

/* An option with a value; NULL (and a complaint) when it is the last word. */
static const char *take_value(arguments *parsed, int argc, char **argv, int *index)
{
    if (*index + 1 < argc)
        return argv[++*index];
    fprintf(stderr, "kade: %s needs a value\n", argv[*index]);
    parsed->exit_code = 2;
    return NULL;
}

static bool parse_flag(arguments *parsed, const char *word)
{
    kdi_shell *shell = parsed->shell;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        show_help(parsed);
        parsed->exit_code = 0;
    } else if (strcmp(word, "--version") == 0) {
        printf("kade %s\n", kade_version());
        parsed->exit_code = 0;
    } else if (strcmp(word, "--read-only") == 0) {
        shell->open_options.read_only = true;
    } else if (strcmp(word, "--timing") == 0) {
        shell->show_timing = true;
    } else if (strcmp(word, "--no-header") == 0) {
        shell->show_header = false;
    } else if (strcmp(word, "-q") == 0) {
        parsed->is_quiet = true;
    } else if (strncmp(word, "--", 2) == 0 && kdi_mode_find(word + 2, &shell->mode)) {
        parsed->mode_is_set = true;
    } else {
        return false;
    }
    return true;
}

static void add_script(arguments *parsed, script added)
{
    if (parsed->script_count < SCRIPTS_MAX) {
        parsed->scripts[parsed->script_count++] = added;
        return;
    }
    fprintf(stderr, "kade: more than %d times -c and -f\n", SCRIPTS_MAX);
    parsed->exit_code = 2;
}

static void parse_option(arguments *parsed, int argc, char **argv, int *index)
{
    kdi_shell *shell = parsed->shell;
    const char *word = argv[*index];
    if (parse_flag(parsed, word))
        return;
    bool takes_value = strcmp(word, "-c") == 0 || strcmp(word, "-f") == 0 ||
                       strcmp(word, "--null") == 0 || strcmp(word, "--memory") == 0 ||
                       strcmp(word, "--temp") == 0 || strcmp(word, "-v") == 0;
    if (!takes_value) {
        fprintf(stderr, "kade: unknown option %s; try kade --help\n", word);
        parsed->exit_code = 2;
        return;
    }
    const char *value = take_value(parsed, argc, argv, index);
    if (value == NULL)
        return;
    if (strcmp(word, "-c") == 0 || strcmp(word, "-f") == 0) {
        add_script(parsed, (script){word[1] == 'f', value});
    } else if (strcmp(word, "-v") == 0) {
        if (parsed->definition_count < DEFINITIONS_MAX && strchr(value, '=') != NULL) {
            parsed->definitions[parsed->definition_count++] = value;
        } else {
            fprintf(stderr, "kade: -v: expected NAME=VALUE, not %s\n", value);
            parsed->exit_code = 2;
        }
    } else if (strcmp(word, "--null") == 0) {
        shell->null_text = value;
    } else if (strcmp(word, "--temp") == 0) {
        shell->open_options.temp_directory = value;
    } else if (!kdi_parse_size(value, &shell->open_options.memory_budget_bytes)) {
        fprintf(stderr, "kade: --memory: not a size: %s\n", value);
        parsed->exit_code = 2;
    }
}

static void parse_arguments(arguments *parsed, int argc, char **argv)
{
    for (int i = 1; i < argc && parsed->exit_code < 0; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            parse_option(parsed, argc, argv, &i);
        } else if (parsed->shell->path == NULL) {
            parsed->shell->path = argv[i];
        } else {
            fprintf(stderr, "kade: one database only, not also %s\n", argv[i]);
            parsed->exit_code = 2;
        }
    }
    if (parsed->shell->path == NULL)
        parsed->shell->path = ":memory:";
}

static void run_file(kdi_shell *shell, const char *path)
{
    FILE *stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (stream == NULL) {
        kdi_shell_complain(shell, "kade: cannot read %s: %s", path, strerror(errno));
        return;
    }
    if (!kdi_shell_run_stream(shell, stream, stream == stdin ? NULL : path))
        shell->has_failed = true;
    if (stream != stdin)
        fclose(stream);
}

/* One after the other, up to the first that fails. */
static void run_scripts(arguments *parsed)
{
    kdi_shell *shell = parsed->shell;
    for (int i = 0; i < parsed->script_count && !shell->has_failed; i++) {
        const script *it = &parsed->scripts[i];
        if (it->is_file)
            run_file(shell, it->text);
        else if (!kdi_shell_run_text(shell, it->text))
            shell->has_failed = true;
    }
}

static bool define_variables(arguments *parsed)
{
    kdi_shell *shell = parsed->shell;
    for (int i = 0; i < parsed->definition_count; i++) {
        const char *text = parsed->definitions[i], *value = strchr(text, '=');
        const char *name = kd_copy_text(&shell->ctx, shell->arena, text, (size_t)(value - text));
        if (name == NULL || !kdi_variable_set(shell, name, value + 1))
            return false;
    }
    return true;
}

static int shell_run(arguments *parsed)
{
    kdi_shell *shell = parsed->shell;
    if (!define_variables(parsed) || kdi_shell_open(shell) != KD_OK)
        return 1;
    if (parsed->script_count > 0) {
        run_scripts(parsed);
    } else if (isatty(STDIN_FILENO) == 0) {
        run_file(shell, "-");
    } else {
        shell->is_interactive = true;
        shell->shows_tags = true;
        if (!parsed->is_quiet)
            printf("KadeDB %s on %s. \\? lists commands, \\q leaves.\n", kade_version(),
                   shell->path);
        kdi_shell_run_terminal(shell);
        return 0;
    }
    return shell->has_failed ? 1 : 0;
}

static int run_shell(int argc, char **argv, const kd_program *more, size_t more_count)
{
    kdi_shell shell = {.ctx = {.world = kd_world_posix()},
                       .out = stdout,
                       .show_header = true,
                       .null_text = "",
                       .rows_max = ROWS_MAX,
                       .out_is_terminal = isatty(STDOUT_FILENO) != 0};
    shell.open_options.struct_bytes = sizeof shell.open_options;
    arguments parsed = {.shell = &shell, .more = more, .more_count = more_count, .exit_code = -1};
    parse_arguments(&parsed, argc, argv);
    if (parsed.exit_code >= 0)
        return parsed.exit_code;
    if (!parsed.mode_is_set && strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && shell.out_is_terminal)
        shell.mode = KDI_MODE_ASCII;
    int code = 1;
    if (kdi_shell_init(&shell)) {
        kdi_shell_catch_interrupts(&shell);
        code = shell_run(&parsed);
    }
    kdi_shell_close(&shell);
    if (fflush(shell.out) != 0)
        code = 1;
    kd_arena_destroy(shell.arena);
    return code;
}

static const kd_program *find_program(const kd_program *programs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, programs[i].name) == 0)
            return &programs[i];
    return NULL;
}

int kd_shell_main(int argc, char **argv, const kd_program *more, size_t more_count)
{
    const kd_program *found = NULL;
    if (argc > 1)
        found = find_program(PROGRAMS, PROGRAM_COUNT, argv[1]);
    if (argc > 1 && found == NULL)
        found = find_program(more, more_count, argv[1]);
    return found != NULL ? found->run(argc - 1, argv + 1) : run_shell(argc, argv, more, more_count);
}
