/*
 * The shell's heart: runs statements, shows results and errors, reads scripts and the terminal.
 */
#include "shell/shell_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_SHOWN_BYTES = 100, /* Of a statement's line under an error. */
    CARET_MARGIN_BYTES = 60,
    PROGRESS_BAR_CELLS = 24,
};

/* ---- Interrupts: the handler only calls kade_cancel() and sets flags. ---- */

static kade_session *volatile running_session;
static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int signal_no)
{
    (void)signal_no;
    was_interrupted = 1;
    kade_session *session = running_session;
    if (session != NULL)
        kade_cancel(session);
}

void kdi_shell_catch_interrupts(kdi_shell *shell)
{
    (void)shell;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* No SA_RESTART: a read at the prompt ends. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
}

bool kdi_shell_take_interrupt(void)
{
    bool was = was_interrupted != 0;
    was_interrupted = 0;
    return was;
}

bool kdi_shell_wait(kd_world *world, double seconds)
{
    static const uint64_t step_ns = UINT64_C(50000000);
    uint64_t end_ns = world->monotonic_ns(world) + (uint64_t)(seconds * 1e9);
    while (world->monotonic_ns(world) < end_ns) {
        if (kdi_shell_take_interrupt())
            return false;
        uint64_t left_ns = end_ns - world->monotonic_ns(world);
        world->sleep_ns(world, left_ns < step_ns ? left_ns : step_ns);
    }
    return !kdi_shell_take_interrupt();
}

/* ---- Progress and notices ---- */

static bool progress_is_shown;

/* Of whole files; all others are of rows. */
static bool counts_bytes(const char *phase)
{
    return strcmp(phase, "verify") == 0 || strcmp(phase, "verify backup") == 0 ||
           strcmp(phase, "backup") == 0 || strcmp(phase, "restore") == 0;
}

bool kdi_shell_on_progress(void *object, const kade_progress *progress)
{
    (void)object;
    if (progress->elapsed_us < 500000)
        return true;
    progress_is_shown = true;
    double seconds = (double)progress->elapsed_us / 1e6;
    if (progress->fraction >= 0) {
        int filled = (int)(progress->fraction * PROGRESS_BAR_CELLS);
        fputs("\r[", stderr);
        for (int i = 0; i < PROGRESS_BAR_CELLS; i++)
            fputs(i < filled ? "#" : " ", stderr);
        fprintf(stderr, "] %3.0f %%", progress->fraction * 100);
    } else {
        fputs("\r", stderr);
    }
    bool of_bytes = counts_bytes(progress->phase);
    fprintf(stderr, " %s %llu %s, %.1f s\033[K", progress->phase,
            (unsigned long long)progress->rows_done / (of_bytes ? 1000 * 1000 : 1),
            of_bytes ? "MB" : "rows", seconds);
    fflush(stderr);
    return true;
}

void kdi_shell_progress_clear(void)
{
    if (progress_is_shown)
        fputs("\r\033[K", stderr);
    progress_is_shown = false;
}

static void on_notice(void *object, const kade_error *notice)
{
    (void)object;
    kdi_shell_progress_clear();
    fprintf(stderr, "%s:  %s\n", notice->severity, notice->message);
    if (notice->detail[0] != '\0')
        fprintf(stderr, "DETAIL:  %s\n", notice->detail);
    if (notice->hint[0] != '\0')
        fprintf(stderr, "HINT:  %s\n", notice->hint);
}

/* ---- Opening ---- */

static void show_open_error(kdi_shell *shell, kade_error *error)
{
    if (error == NULL) {
        kdi_shell_complain(shell, "out of memory");
        return;
    }
    kdi_shell_show_error(shell, error, (kd_slice){NULL, 0});
    kade_error_free(error);
}

bool kdi_shell_init(kdi_shell *shell)
{
    shell->arena = kd_arena_create(&shell->ctx, NULL, "shell", KD_ARENA_UNLIMITED);
    if (shell->arena == NULL)
        return false;
    shell->last_query = kd_buffer_in(shell->arena);
    shell->statement_arena =
        kd_arena_create(&shell->ctx, shell->arena, "statement", KD_ARENA_UNLIMITED);
    return shell->statement_arena != NULL;
}

kd_status kdi_shell_open(kdi_shell *shell)
{
    kade_error *error = NULL;
    kade_status status =
        kade_open(shell->path, KADE_NUL, &shell->open_options, &shell->database, &error);
    if (status == KADE_OK)
        status = kade_connect(shell->database, &shell->session, &error);
    if (status != KADE_OK) {
        show_open_error(shell, error);
        kdi_shell_close(shell);
        return KD_INVALID;
    }
    kade_session_on_notice(shell->session, on_notice, shell);
    if (isatty(STDERR_FILENO) != 0)
        kade_session_on_progress(shell->session, kdi_shell_on_progress, shell);
    return KD_OK;
}

void kdi_shell_close(kdi_shell *shell)
{
    kade_disconnect(shell->session);
    shell->session = NULL;
    kade_close(shell->database);
    shell->database = NULL;
}

/* The process that owned the database has gone: this one opens it itself. What cannot be opened
 * stays as it was, and says so at the next statement. */
static void reopen(kdi_shell *shell)
{
    kade_database *database = shell->database;
    kade_session *session = shell->session;
    shell->database = NULL;
    shell->session = NULL;
    if (kdi_shell_open(shell) != KD_OK) {
        shell->database = database;
        shell->session = session;
        return;
    }
    kade_disconnect(session);
    kade_close(database);
    fputs("The database was opened again; transaction and settings are those of a new session.\n",
          stderr);
}

/* ---- Errors ---- */

void kdi_shell_complain(kdi_shell *shell, const char *format, ...)
{
    shell->has_failed = true;
    if (shell->source_name != NULL)
        fprintf(stderr, "kade:%s:%llu: ", shell->source_name,
                (unsigned long long)shell->source_line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* "LINE 2: ..." and a caret below the byte at `position`. Long lines are cut around it. */
static void show_position(kd_slice sql, int64_t position)
{
    if (sql.data == NULL || position < 0 || (size_t)position > sql.size_bytes)
        return;
    size_t at = (size_t)position;
    size_t begin = at, end = at;
    while (begin > 0 && sql.data[begin - 1] != '\n')
        begin--;
    while (end < sql.size_bytes && sql.data[end] != '\n')
        end++;
    unsigned line_no = 1;
    for (size_t i = 0; i < begin; i++)
        line_no += sql.data[i] == '\n';
    const char *dots_before = "", *dots_after = "";
    if (at - begin > CARET_MARGIN_BYTES) {
        begin = at - CARET_MARGIN_BYTES;
        while (begin < at && ((unsigned char)sql.data[begin] & 0xc0) == 0x80)
            begin++;
        dots_before = "...";
    }
    if (end - begin > LINE_SHOWN_BYTES) {
        end = begin + LINE_SHOWN_BYTES;
        while (end > at && ((unsigned char)sql.data[end] & 0xc0) == 0x80)
            end--;
        dots_after = "...";
    }
    int prefix = fprintf(stderr, "LINE %u: %s", line_no, dots_before);
    for (size_t i = begin; i < end; i++)
        fputc(sql.data[i] == '\t' ? ' ' : sql.data[i], stderr);
    fprintf(stderr, "%s\n%*s^\n", dots_after,
            prefix + (int)kdi_text_width(sql.data + begin, at - begin), "");
}

void kdi_shell_show_error(kdi_shell *shell, const kade_error *error, kd_slice sql)
{
    shell->has_failed = true;
    kdi_shell_progress_clear();
    fflush(shell->out);
    if (shell->source_name != NULL)
        fprintf(stderr, "kade:%s:%llu: ", shell->source_name,
                (unsigned long long)shell->source_line);
    fprintf(stderr, "%s:  %s\n", error->severity[0] != '\0' ? error->severity : "ERROR",
            error->message);
    show_position(sql, error->position);
    if (error->detail[0] != '\0')
        fprintf(stderr, "DETAIL:  %s\n", error->detail);
    if (error->hint[0] != '\0')
        fprintf(stderr, "HINT:  %s\n", error->hint);
}

/* ---- Statements ---- */

typedef struct run_state {
    kdi_shell *shell;
    bool is_silent;
} run_state;

static kade_status on_result(void *object, kade_statement *statement)
{
    run_state *state = object;
    kdi_shell *shell = state->shell;
    bool has_row = true;
    kade_status status = KADE_OK;
    uint64_t row_count = 0;
    if (!state->is_silent && kade_column_count(statement) > 0) {
        status = kdi_render(shell, statement, NULL, &row_count);
        if (status == KADE_OK && shell->is_interactive && shell->mode <= KDI_MODE_MARKDOWN)
            fprintf(shell->out, "(%llu row%s)\n", (unsigned long long)row_count,
                    row_count == 1 ? "" : "s");
        return status;
    }
    while (status == KADE_OK && has_row)
        status = kade_step(statement, &has_row);
    const char *tag = kade_command_tag(statement);
    if (status == KADE_OK && !state->is_silent && shell->shows_tags && tag[0] != '\0') {
        kdi_shell_progress_clear();
        fprintf(shell->out, "%s\n", tag);
    }
    return status;
}

/* COPY ... FROM STDIN takes the shell's standard input; TO STDOUT writes where results go. */
static bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    (void)object;
    ssize_t got;
    do {
        got = read(STDIN_FILENO, target, capacity_bytes);
    } while (got < 0 && errno == EINTR && was_interrupted == 0);
    *out_bytes = got > 0 ? (size_t)got : 0;
    return got >= 0;
}

static bool copy_write(void *object, const void *source, size_t size_bytes)
{
    kdi_shell *shell = object;
    return fwrite(source, 1, size_bytes, shell->out) == size_bytes;
}

static bool run_with(kdi_shell *shell, kd_slice sql, run_state *state)
{
    kd_world *world = shell->ctx.world;
    kd_arena_reset(shell->statement_arena);
    kade_session_on_copy(shell->session, shell->is_interactive ? NULL : copy_read, copy_write,
                         shell);
    uint64_t begin_ns = world->monotonic_ns(world);
    was_interrupted = 0;
    running_session = shell->session;
    kade_status status = kade_execute(shell->session, sql.data, sql.size_bytes, on_result, state);
    running_session = NULL;
    was_interrupted = 0;
    kdi_shell_progress_clear();
    uint64_t took_ns = world->monotonic_ns(world) - begin_ns;
    if (status != KADE_OK)
        kdi_shell_show_error(shell, kade_session_error(shell->session), sql);
    if (shell->show_timing && !state->is_silent)
        fprintf(shell->out, "Time: %.3f ms\n", (double)took_ns / 1e6);
    fflush(shell->out);
    bool owner_has_gone = strcmp(kade_session_error(shell->session)->sqlstate, "08006") == 0;
    if (status != KADE_OK && owner_has_gone && shell->is_interactive)
        reopen(shell);
    return status == KADE_OK;
}

bool kdi_shell_run(kdi_shell *shell, kd_slice sql)
{
    run_state state = {.shell = shell};
    return run_with(shell, sql, &state);
}

bool kdi_shell_run_silently(kdi_shell *shell, kd_slice sql)
{
    run_state state = {.shell = shell, .is_silent = true};
    return run_with(shell, sql, &state);
}

static kade_status prepare_bound(kdi_shell *shell, const char *sql, const char *const *parameters,
                                 uint32_t parameter_count, kade_statement **out_statement)
{
    kade_status status = kade_prepare(shell->session, sql, KADE_NUL, out_statement);
    for (uint32_t i = 0; i < parameter_count && status == KADE_OK; i++)
        status = kade_bind_text(*out_statement, i + 1, parameters[i], KADE_NUL);
    return status;
}

bool kdi_shell_query(kdi_shell *shell, const char *title, const char *sql,
                     const char *const *parameters, uint32_t parameter_count,
                     uint64_t *out_row_count)
{
    uint64_t row_count = 0;
    kade_statement *statement = NULL;
    kade_status status = prepare_bound(shell, sql, parameters, parameter_count, &statement);
    if (status == KADE_OK)
        status = kdi_render(shell, statement, title, &row_count);
    if (status != KADE_OK)
        kdi_shell_show_error(shell, kade_session_error(shell->session), kd_slice_of(sql));
    kade_finalize(statement);
    if (out_row_count != NULL)
        *out_row_count = row_count;
    return status == KADE_OK;
}

const char *kdi_shell_lookup(kdi_shell *shell, const char *sql, const char *const *parameters,
                             uint32_t parameter_count)
{
    const char *found = NULL;
    bool has_row = false;
    kade_statement *statement = NULL;
    kade_status status = prepare_bound(shell, sql, parameters, parameter_count, &statement);
    if (status == KADE_OK)
        status = kade_step(statement, &has_row);
    if (status == KADE_OK && has_row && !kade_column_is_null(statement, 0)) {
        size_t size;
        const char *text = kade_column_text(statement, 0, &size);
        found = kd_copy_text(&shell->ctx, shell->statement_arena, text, size);
    }
    kade_finalize(statement);
    return found;
}

/* ---- Scripts ---- */

static bool is_command(const char *line, size_t size_bytes)
{
    return size_bytes > 1 && (line[0] == '\\' || (line[0] == '.' && line[1] >= 'a'));
}

static uint64_t count_lines(kd_slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size_bytes; i++)
        count += text.data[i] == '\n';
    return count;
}

/* Blanks before a statement are dropped, so that LINE 1 is its first line. */
static size_t leading_blanks(kd_slice text)
{
    size_t count = 0;
    while (count < text.size_bytes && strchr(" \t\r\n", text.data[count]) != NULL)
        count++;
    return count;
}

static void drop_counted(kdi_shell *shell, kdi_splitter *splitter, size_t size_bytes)
{
    shell->source_line += count_lines((kd_slice){splitter->text.data, size_bytes});
    kdi_splitter_drop(splitter, size_bytes);
}

bool kdi_shell_run_query(kdi_shell *shell, kd_slice sql)
{
    kd_arena *arena = kd_arena_create(&shell->ctx, shell->arena, "query", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    shell->last_query.size_bytes = 0;
    if (kd_buffer_append(&shell->ctx, &shell->last_query, sql.data, sql.size_bytes) != KD_OK)
        kd_error_clear(&shell->ctx);
    bool fine = kdi_shell_run(shell, kdi_variables_expand(shell, arena, sql));
    kd_arena_destroy(arena);
    return fine;
}

bool kdi_shell_run_complete(kdi_shell *shell, kdi_splitter *splitter, bool at_end)
{
    bool fine = true;
    while (fine && !shell->wants_exit) {
        size_t blanks = leading_blanks(kd_buffer_slice(&splitter->text));
        if (blanks > 0)
            drop_counted(shell, splitter, blanks);
        size_t size = kdi_splitter_next(splitter);
        if (size == 0 && at_end && !kdi_splitter_is_blank(splitter))
            size = splitter->text.size_bytes;
        if (size == 0)
            break;
        fine = kdi_shell_run_query(shell, (kd_slice){splitter->text.data, size});
        drop_counted(shell, splitter, size);
    }
    return fine;
}

/* A command that follows a query on its line: "SELECT 1 \gx". It is taken out of the text. */
static const char *command_behind(kdi_shell *shell, kdi_splitter *splitter)
{
    kdi_splitter scan = {0};
    kd_slice text = kd_buffer_slice(&splitter->text);
    size_t at = kdi_splitter_find(&scan, text, '\\');
    if (at == SIZE_MAX)
        return NULL;
    const char *command =
        kd_copy_text(&shell->ctx, shell->arena, text.data + at, text.size_bytes - at);
    if (command != NULL)
        splitter->text.size_bytes = at;
    return command;
}

static bool run_line(kdi_shell *shell, kdi_splitter *splitter, const char *line, size_t size_bytes)
{
    const char *command = NULL;
    kdi_splitter *outer = shell->query;
    bool fine = true;
    if (is_command(line, size_bytes) && kdi_splitter_is_blank(splitter)) {
        kdi_splitter_clear(splitter);
        command = kd_copy_text(&shell->ctx, shell->arena, line, size_bytes);
        fine = command != NULL;
    } else {
        if (kdi_splitter_feed(&shell->ctx, splitter, line, size_bytes) != KD_OK) {
            kdi_shell_complain(shell, "%s", shell->ctx.error.message);
            kd_error_clear(&shell->ctx);
            return false;
        }
        if (memchr(line, '\\', size_bytes) != NULL)
            command = command_behind(shell, splitter);
        fine = kdi_shell_run_complete(shell, splitter, false);
    }
    if (fine && command != NULL) {
        shell->query = splitter;
        fine = kdi_command_run(shell, command);
        shell->query = outer;
        shell->source_line++;
    }
    return fine;
}

bool kdi_shell_run_stream(kdi_shell *shell, FILE *stream, const char *name)
{
    kd_arena *arena = kd_arena_create(&shell->ctx, shell->arena, "script", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    const char *outer_name = shell->source_name;
    uint64_t outer_line = shell->source_line;
    shell->source_name = name;
    shell->source_line = 1;
    kdi_splitter splitter;
    kdi_splitter_init(&splitter, arena);
    char *line = NULL;
    size_t capacity = 0;
    bool fine = true;
    ssize_t size;
    while (fine && !shell->wants_exit && (size = getline(&line, &capacity, stream)) > 0)
        fine = run_line(shell, &splitter, line, (size_t)size);
    if (fine && !shell->wants_exit)
        fine = kdi_shell_run_complete(shell, &splitter, true);
    free(line);
    shell->source_name = outer_name;
    shell->source_line = outer_line;
    kd_arena_destroy(arena);
    return fine;
}

bool kdi_shell_run_text(kdi_shell *shell, const char *text)
{
    kd_arena *arena = kd_arena_create(&shell->ctx, shell->arena, "text", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    kdi_splitter splitter;
    kdi_splitter_init(&splitter, arena);
    bool fine = run_line(shell, &splitter, text, strlen(text));
    if (fine)
        fine = kdi_shell_run_complete(shell, &splitter, true);
    kd_arena_destroy(arena);
    return fine;
}

/* ---- The terminal ---- */

static const char *prompt_text(kdi_shell *shell, const kdi_splitter *splitter, char *out,
                               size_t size)
{
    const char *name = strrchr(shell->path, '/');
    name = name == NULL ? shell->path : name + 1;
    const char *mark = "";
    kade_transaction_state state = kade_session_transaction(shell->session);
    if (state == KADE_TRANSACTION_OPEN)
        mark = "*";
    else if (state == KADE_TRANSACTION_FAILED)
        mark = "!";
    snprintf(out, size, "%.40s%c%s> ", name, kdi_splitter_open(splitter), mark);
    return out;
}

/* Runs what is complete and remembers it; an error leaves the rest of the line behind. */
static void terminal_line(kdi_shell *shell, kdi_line_edit *edit, kdi_splitter *splitter,
                          const char *line, size_t size_bytes)
{
    if (is_command(line, size_bytes) && kdi_splitter_is_blank(splitter)) {
        kdi_line_edit_remember(edit, (kd_slice){line, size_bytes});
        (void)run_line(shell, splitter, line, size_bytes);
        return;
    }
    kdi_splitter probe = {.text = kd_buffer_in(shell->statement_arena)};
    kd_slice before = kd_buffer_slice(&splitter->text);
    if (kdi_splitter_feed(&shell->ctx, &probe, before.data, before.size_bytes) == KD_OK &&
        kdi_splitter_feed(&shell->ctx, &probe, line, size_bytes) == KD_OK) {
        kd_slice whole = kd_buffer_slice(&probe.text);
        kdi_splitter scan = {0};
        if (kdi_splitter_next(&probe) > 0 || kdi_splitter_find(&scan, whole, '\\') != SIZE_MAX)
            kdi_line_edit_remember(edit, whole);
    }
    kd_error_clear(&shell->ctx);
    if (!run_line(shell, splitter, line, size_bytes))
        kdi_splitter_clear(splitter);
}

void kdi_shell_run_terminal(kdi_shell *shell)
{
    kdi_line_edit *edit = kdi_line_edit_open(shell);
    kdi_splitter splitter;
    kdi_splitter_init(&splitter, shell->arena);
    while (!shell->wants_exit) {
        char prompt[64];
        size_t size = 0;
        was_interrupted = 0;
        const char *line =
            kdi_line_edit_read(edit, prompt_text(shell, &splitter, prompt, sizeof prompt), &size);
        if (kdi_shell_take_interrupt()) {
            kdi_splitter_clear(&splitter);
            fputs("^C\n", stdout);
            continue;
        }
        if (line == NULL)
            break;
        terminal_line(shell, edit, &splitter, line, size);
    }
    if (!shell->wants_exit)
        fputc('\n', stdout);
    kdi_line_edit_close(edit);
}
