/*
 * Line editing by libedit: history in a file, completion on Tab, Ctrl-C that empties the line.
 *
 * libedit reads through a function of ours, because its own goes on after an interrupted read and
 * the line would survive Ctrl-C.
 */
#include "shell/shell_internal.h"

#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_COUNT = 2000, PATH_BYTES = 4096, SHOWN_WORDS_MAX = 200 };

struct kdi_line_edit {
    kdi_shell *shell;
    EditLine *edit; /* NULL: plain reading. */
    History *history;
    const char *prompt;
    char history_path[PATH_BYTES];
    char *plain_line;
    size_t plain_capacity;
    kd_arena *arena; /* Of one completion. */
};

static char *prompt_of(EditLine *edit)
{
    kdi_line_edit *self = NULL;
    static char text[128]; /* libedit wants a char *; the prompt itself is constant. */
    el_get(edit, EL_CLIENTDATA, &self);
    snprintf(text, sizeof text, "%s", self->prompt);
    return text;
}

/* One character of the terminal; 0 on the end and on Ctrl-C, which both end the line. */
static int read_character(EditLine *edit, wchar_t *out)
{
    (void)edit;
    mbstate_t state;
    memset(&state, 0, sizeof state);
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got <= 0)
            return 0;
        size_t size = mbrtowc(out, &byte, 1, &state);
        if (size == 1 || size == 0)
            return 1;
        if (size == (size_t)-1) {
            *out = (wchar_t)(unsigned char)byte;
            return 1;
        }
    }
}

/* What all words have in common beyond the bytes typed already. */
static size_t common_prefix(const char **words, size_t count)
{
    size_t size = strlen(words[0]);
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < size && words[i][same] == words[0][same])
            same++;
        size = same;
    }
    return size;
}

static void show_words(const char **words, size_t count)
{
    fputc('\n', stdout);
    for (size_t i = 0; i < count && i < SHOWN_WORDS_MAX; i++)
        fprintf(stdout, "%-24s%s", words[i], i % 4 == 3 || i + 1 == count ? "\n" : " ");
    fflush(stdout);
}

static unsigned char on_tab(EditLine *edit, int key)
{
    (void)key;
    kdi_line_edit *self = NULL;
    el_get(edit, EL_CLIENTDATA, &self);
    const LineInfo *line = el_line(edit);
    kd_slice before = {line->buffer, (size_t)(line->cursor - line->buffer)};
    kd_arena_reset(self->arena);
    const char **words = NULL;
    size_t count = 0, typed_bytes = 0;
    if (kdi_complete(self->shell, self->arena, before, &words, &count, &typed_bytes) != KD_OK) {
        kd_error_clear(&self->shell->ctx);
        return CC_ERROR;
    }
    if (count == 0)
        return CC_ERROR;
    size_t prefix = common_prefix(words, count);
    char *text = kd_copy_text(&self->shell->ctx, self->arena, words[0], prefix);
    if (text == NULL)
        return CC_ERROR;
    if (prefix >= typed_bytes && (prefix > typed_bytes || count == 1)) {
        el_deletestr(edit, (int)typed_bytes);
        el_insertstr(edit, text);
        if (count == 1 && prefix > 0 && text[prefix - 1] != '(')
            el_insertstr(edit, " ");
        return CC_REFRESH;
    }
    show_words(words, count);
    return CC_REDISPLAY;
}

static void history_open(kdi_line_edit *self)
{
    HistEvent event;
    self->history = history_init();
    if (self->history == NULL)
        return;
    history(self->history, &event, H_SETSIZE, HISTORY_COUNT);
    history(self->history, &event, H_SETUNIQUE, 1);
    const char *home = getenv("HOME");
    const char *wanted = getenv("KADE_HISTORY");
    if (wanted != NULL)
        snprintf(self->history_path, sizeof self->history_path, "%s", wanted);
    else if (home != NULL)
        snprintf(self->history_path, sizeof self->history_path, "%s/.kade_history", home);
    if (self->history_path[0] != '\0')
        history(self->history, &event, H_LOAD, self->history_path);
    el_set(self->edit, EL_HIST, history, self->history);
}

kdi_line_edit *kdi_line_edit_open(kdi_shell *shell)
{
    kdi_line_edit *self = KD_NEW(&shell->ctx, shell->arena, kdi_line_edit);
    if (self == NULL)
        return NULL;
    self->shell = shell;
    self->arena = kd_arena_create(&shell->ctx, shell->arena, "completion", KD_ARENA_UNLIMITED);
    if (self->arena == NULL)
        return NULL;
    self->edit = el_init("kade", stdin, stdout, stderr);
    if (self->edit == NULL)
        return self;
    el_set(self->edit, EL_CLIENTDATA, self);
    el_set(self->edit, EL_PROMPT, prompt_of);
    el_set(self->edit, EL_EDITOR, "emacs");
    el_set(self->edit, EL_SIGNAL, 0);
    el_set(self->edit, EL_GETCFN, read_character);
    /* The narrow el_set would copy both texts and never free them. */
    el_wset(self->edit, EL_ADDFN, L"kade-complete", L"completes the word", on_tab);
    history_open(self);
    el_source(self->edit, NULL);
    el_set(self->edit, EL_BIND, "\t", "kade-complete", NULL);
    return self;
}

static const char *read_plain(kdi_line_edit *self, size_t *out_bytes)
{
    fputs(self->prompt, stdout);
    fflush(stdout);
    ssize_t size = getline(&self->plain_line, &self->plain_capacity, stdin);
    if (size <= 0) {
        clearerr(stdin);
        return NULL;
    }
    *out_bytes = (size_t)size;
    return self->plain_line;
}

const char *kdi_line_edit_read(kdi_line_edit *edit, const char *prompt, size_t *out_bytes)
{
    *out_bytes = 0;
    if (edit == NULL)
        return NULL;
    edit->prompt = prompt;
    if (edit->edit == NULL)
        return read_plain(edit, out_bytes);
    int count = 0;
    const char *line = el_gets(edit->edit, &count);
    if (line == NULL || count <= 0) {
        el_reset(edit->edit);
        return NULL;
    }
    *out_bytes = strlen(line);
    return line;
}

void kdi_line_edit_remember(kdi_line_edit *edit, kd_slice text)
{
    if (edit == NULL || edit->history == NULL)
        return;
    while (text.size_bytes > 0 && text.data[text.size_bytes - 1] == '\n')
        text.size_bytes--;
    if (text.size_bytes == 0)
        return;
    kd_arena_reset(edit->arena);
    char *entry = kd_copy_text(&edit->shell->ctx, edit->arena, text.data, text.size_bytes);
    if (entry == NULL) {
        kd_error_clear(&edit->shell->ctx);
        return;
    }
    HistEvent event;
    history(edit->history, &event, H_ENTER, entry);
    if (edit->history_path[0] != '\0')
        history(edit->history, &event, H_SAVE, edit->history_path);
}

void kdi_line_edit_close(kdi_line_edit *edit)
{
    if (edit == NULL)
        return;
    if (edit->history != NULL)
        history_end(edit->history);
    if (edit->edit != NULL)
        el_end(edit->edit);
    free(edit->plain_line);
}
