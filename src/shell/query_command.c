/*
 * Commands about the query being typed, or about the last one when nothing is: run it again, to a
 * file, every few seconds, or take it to an editor.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 256 };

/* A copy of the query, which is taken away where it was being typed. */
static kd_slice query_take(kdi_shell *shell, kd_arena *arena)
{
    bool is_typed = shell->query != NULL && !kdi_splitter_is_blank(shell->query);
    kd_slice text = kd_buffer_slice(is_typed ? &shell->query->text : &shell->last_query);
    const char *copy = kd_copy_text(&shell->ctx, arena, text.data, text.size_bytes);
    if (is_typed)
        kdi_splitter_clear(shell->query);
    return (kd_slice){copy, copy == NULL ? 0 : text.size_bytes};
}

static bool has_query(kdi_shell *shell, kd_slice sql)
{
    if (sql.size_bytes == 0)
        kdi_shell_complain(shell, "there is no query yet");
    return sql.size_bytes > 0;
}

static bool run_to(kdi_shell *shell, kd_slice sql, const char *path)
{
    FILE *before = shell->out;
    if (path != NULL)
        shell->out = fopen(path, "w");
    if (shell->out == NULL) {
        shell->out = before;
        kdi_shell_complain(shell, "cannot write %s", path);
        return false;
    }
    bool fine = kdi_shell_run_query(shell, sql);
    if (shell->out != before)
        fclose(shell->out);
    shell->out = before;
    return fine;
}

bool kdi_query_go(kdi_shell *shell, const char *path, bool expanded)
{
    kd_arena *arena = kd_arena_create(&shell->ctx, shell->arena, "query", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    kd_slice sql = query_take(shell, arena);
    bool was_expanded = shell->expanded;
    shell->expanded |= expanded;
    bool fine = has_query(shell, sql) && run_to(shell, sql, path);
    shell->expanded = was_expanded;
    kd_arena_destroy(arena);
    return fine;
}

bool kdi_query_print(kdi_shell *shell)
{
    bool is_typed = shell->query != NULL && !kdi_splitter_is_blank(shell->query);
    kd_slice text = kd_buffer_slice(is_typed ? &shell->query->text : &shell->last_query);
    fprintf(shell->out, "%.*s\n", (int)text.size_bytes, text.size_bytes == 0 ? "" : text.data);
    return true;
}

bool kdi_query_reset(kdi_shell *shell)
{
    if (shell->query != NULL)
        kdi_splitter_clear(shell->query);
    return true;
}

/* ---- \watch ---- */

/* [SECONDS] [i=SECONDS] [c=COUNT], as psql has it. */
static bool watch_options(kdi_shell *shell, const char *const *arguments, int count,
                          double *out_seconds, long *out_rounds)
{
    *out_seconds = 2;
    *out_rounds = 0;
    for (int i = 0; i < count; i++) {
        const char *text = arguments[i];
        char *end = NULL;
        if (strncmp(text, "c=", 2) == 0)
            *out_rounds = strtol(text + 2, &end, 10);
        else
            *out_seconds = strtod(strncmp(text, "i=", 2) == 0 ? text + 2 : text, &end);
        if (*end != '\0' || end == text || *out_seconds < 0 || *out_seconds > 86400 ||
            *out_rounds < 0) {
            kdi_shell_complain(shell, "\\watch: expected [SECONDS] [c=COUNT], not \"%s\"", text);
            return false;
        }
    }
    return true;
}

bool kdi_query_watch(kdi_shell *shell, const char *const *arguments, int count)
{
    double seconds;
    long rounds;
    if (!watch_options(shell, arguments, count, &seconds, &rounds))
        return false;
    kd_arena *arena = kd_arena_create(&shell->ctx, shell->arena, "query", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    kd_slice sql = query_take(shell, arena);
    bool fine = has_query(shell, sql);
    for (long round = 1; fine; round++) {
        fine = kdi_shell_run_query(shell, sql);
        if (round == rounds || !kdi_shell_wait(shell->ctx.world, seconds))
            break;
    }
    kd_arena_destroy(arena);
    return fine;
}

/* ---- \e ---- */

static bool file_fill(const char *path, kd_slice text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    bool fine = text.size_bytes == 0 || fwrite(text.data, 1, text.size_bytes, file) > 0;
    return fclose(file) == 0 && fine;
}

static bool file_read(kdi_shell *shell, const char *path, kdi_splitter *target)
{
    char block[4096];
    size_t size;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    kdi_splitter_clear(target);
    bool fine = true;
    while (fine && (size = fread(block, 1, sizeof block, file)) > 0)
        fine = kdi_splitter_feed(&shell->ctx, target, block, size) == KD_OK;
    fclose(file);
    return fine;
}

static const char *editor_name(void)
{
    const char *name = getenv("VISUAL");
    if (name == NULL)
        name = getenv("EDITOR");
    return name == NULL ? "vi" : name;
}

bool kdi_query_edit(kdi_shell *shell, const char *path)
{
    char own[PATH_BYTES], command[PATH_BYTES * 2];
    const char *folder = getenv("TMPDIR");
    bool is_own = path == NULL, fine = shell->query != NULL;
    if (is_own) {
        snprintf(own, sizeof own, "%.200s/kade-query-XXXXXX", folder == NULL ? "/tmp" : folder);
        int file = mkstemp(own);
        if (file >= 0)
            close(file);
        bool is_typed = fine && !kdi_splitter_is_blank(shell->query);
        kd_slice text = kd_buffer_slice(is_typed ? &shell->query->text : &shell->last_query);
        fine = fine && file >= 0 && file_fill(own, text);
        path = own;
    }
    int length = snprintf(command, sizeof command, "%s '%s'", editor_name(), path);
    fine = fine && length < (int)sizeof command && strchr(path, '\'') == NULL &&
           system(command) == 0 && file_read(shell, path, shell->query);
    if (!fine)
        kdi_shell_complain(shell, "the query could not be edited with %s", editor_name());
    if (is_own)
        unlink(own);
    return fine && kdi_shell_run_complete(shell, shell->query, false);
}
