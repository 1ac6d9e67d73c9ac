/*
 * The shell's state, and what its files offer each other.
 *
 * The shell is a program over include/kade.h like any other; of the tree below it uses base only
 * (arenas, buffers). One thread; kade_cancel() from the signal handler is the one exception.
 */
#ifndef KD_SHELL_SHELL_INTERNAL_H
#define KD_SHELL_SHELL_INTERNAL_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/world.h"
#include "kade.h"

#include <stdio.h>

typedef enum kdi_mode {
    KDI_MODE_BOX = 0,
    KDI_MODE_ASCII, /* The box in ASCII, for terminals that are not UTF-8. */
    KDI_MODE_MARKDOWN,
    KDI_MODE_CSV,
    KDI_MODE_TABS,
    KDI_MODE_JSON,
    KDI_MODE_NDJSON,
    KDI_MODE_PLAIN, /* Values with '|' between, no frame. */
    KDI_MODE_LINE,  /* One "name = value" a line. */
    KDI_MODE_COUNT
} kdi_mode;

/* NULL when there is no such mode. */
const char *kdi_mode_name(kdi_mode mode);
bool kdi_mode_find(const char *name, kdi_mode *out_mode);

typedef struct kdi_splitter kdi_splitter;
typedef struct kdi_variable kdi_variable;

typedef struct kdi_shell {
    kd_ctx ctx;
    kd_arena *arena;           /* As long as the program. */
    kd_arena *statement_arena; /* Reset before every statement and command. */
    kade_database *database;
    kade_session *session;
    const char *path;
    kade_open_options open_options;
    FILE *out; /* Results; stdout, or a file after \o. */
    kdi_mode mode;
    bool expanded; /* \x: one block per row. */
    bool show_timing;
    bool show_header;
    bool is_interactive; /* A person types: prompts, tags, history. */
    bool shows_tags;
    bool out_is_terminal;
    const char *null_text;
    uint64_t rows_max; /* Rows of a frame, when interactive; 0: all. */
    bool wants_exit;
    bool has_failed; /* Some statement or command failed. */
    int include_depth;
    const char *source_name; /* A script's name for messages; NULL when typed. */
    uint64_t source_line;    /* Where the statement begins in it. */
    kdi_splitter *query;     /* What is being typed, for commands about it. */
    kd_buffer last_query;    /* What was run last. */
    kdi_variable *variables; /* \set */
} kdi_shell;

/* ---- shell.c ---- */

/* What every shell needs before it opens its database. On failure the arena may be there. */
bool kdi_shell_init(kdi_shell *shell);
kd_status kdi_shell_open(kdi_shell *shell);
void kdi_shell_close(kdi_shell *shell);
/* Ctrl-C: cancels the running statement, or empties the line being typed. */
void kdi_shell_catch_interrupts(kdi_shell *shell);
bool kdi_shell_take_interrupt(void);
/* Until the time is over or Ctrl-C is pressed: false then. */
bool kdi_shell_wait(kd_world *world, double seconds);
/* A line on stderr that stays until it is cleared, for kade_session_on_progress. */
bool kdi_shell_on_progress(void *object, const kade_progress *progress);
void kdi_shell_progress_clear(void);

/* Runs one statement, prints its result or error, and its time when asked. False when it failed. */
bool kdi_shell_run(kdi_shell *shell, kd_slice sql);
/* A statement of the shell's own: prints nothing but an error. */
bool kdi_shell_run_silently(kdi_shell *shell, kd_slice sql);
/* Runs a query with text parameters and prints the result under a title (NULL: none); nothing at
 * all when it has no rows. `*out_row_count` may be NULL. */
bool kdi_shell_query(kdi_shell *shell, const char *title, const char *sql,
                     const char *const *parameters, uint32_t parameter_count,
                     uint64_t *out_row_count);
/* The first column of the first row, in statement_arena; NULL when there is none or it failed. */
const char *kdi_shell_lookup(kdi_shell *shell, const char *sql, const char *const *parameters,
                             uint32_t parameter_count);
void kdi_shell_show_error(kdi_shell *shell, const kade_error *error, kd_slice sql);
/* A message of the shell itself, on stderr, as an error. */
void kdi_shell_complain(kdi_shell *shell, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reads statements and commands from a file until its end, the first error or \q. */
bool kdi_shell_run_stream(kdi_shell *shell, FILE *stream, const char *name);
bool kdi_shell_run_text(kdi_shell *shell, const char *text);
void kdi_shell_run_terminal(kdi_shell *shell);

/* Runs `sql` with its variables replaced, and remembers it as the last query. */
bool kdi_shell_run_query(kdi_shell *shell, kd_slice sql);
/* Runs what is complete of the query being typed; with `at_end` also what has no ';'. */
bool kdi_shell_run_complete(kdi_shell *shell, kdi_splitter *splitter, bool at_end);

/* ---- variable.c ---- */

bool kdi_variable_set(kdi_shell *shell, const char *name, const char *value);
void kdi_variable_unset(kdi_shell *shell, const char *name);
void kdi_variable_list(const kdi_shell *shell);
/* The text with :NAME, :'NAME' and :"NAME" replaced, in `arena` when anything was. */
kd_slice kdi_variables_expand(kdi_shell *shell, kd_arena *arena, kd_slice sql);

/* ---- query_command.c: commands about the query being typed ---- */

/* \\g, \\gx, \\p, \\r, \\e, \\watch; `arguments` has `count`. */
bool kdi_query_go(kdi_shell *shell, const char *path, bool expanded);
bool kdi_query_print(kdi_shell *shell);
bool kdi_query_reset(kdi_shell *shell);
bool kdi_query_edit(kdi_shell *shell, const char *path);
bool kdi_query_watch(kdi_shell *shell, const char *const *arguments, int count);

/* ---- splitter.c: finds where statements end ---- */

struct kdi_splitter {
    kd_buffer text; /* The statement so far. */
    size_t offset;  /* Bytes of it that were looked at. */
    int state;
    uint32_t depth; /* Of comments and parentheses. */
    uint32_t parentheses;
    size_t tag_offset; /* Where the open dollar quote's tag stands in `text`. */
    size_t tag_bytes;
};

void kdi_splitter_init(kdi_splitter *splitter, kd_arena *arena);
kd_status kdi_splitter_feed(kd_ctx *ctx, kdi_splitter *splitter, const char *text,
                            size_t size_bytes);
/* Where `byte` next stands outside quotes and comments; SIZE_MAX: nowhere. `scan` starts as {0} and
 * goes on from its `offset`; of it, `text` is not used. */
size_t kdi_splitter_find(kdi_splitter *scan, kd_slice text, char byte);
/* The first complete statement with its ';' is at the front: its size; else 0. */
size_t kdi_splitter_next(kdi_splitter *splitter);
void kdi_splitter_drop(kdi_splitter *splitter, size_t size_bytes);
void kdi_splitter_clear(kdi_splitter *splitter);
/* Nothing but blanks and finished comments. */
bool kdi_splitter_is_blank(const kdi_splitter *splitter);
/* What is open, for the prompt: '=' nothing yet, '-' a statement, '\'' '"' '$' '*' '(' inside
 * those. */
char kdi_splitter_open(const kdi_splitter *splitter);

/* ---- render.c: results as text ---- */

/* Steps the statement to its end and writes its rows; stops early at rows_max. */
kade_status kdi_render(kdi_shell *shell, kade_statement *statement, const char *title,
                       uint64_t *out_row_count);

/* ---- render_frame.c: results as a frame ---- */

typedef struct kdi_cell {
    const char *text; /* Without control characters but '\n'. */
    uint32_t size_bytes;
    uint32_t width; /* Columns on the terminal of its widest line. */
    uint32_t line_count;
} kdi_cell;

typedef struct kdi_frame {
    uint32_t column_count;
    const kdi_cell *headers;
    const bool *is_number; /* Aligned right. */
    const kdi_cell *cells; /* row_count * column_count */
    size_t row_count;
    const char *title;
} kdi_frame;

kd_status kdi_cell_make(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size_bytes,
                        kdi_cell *out_cell);
/* `width_max` 0: no limit. */
kd_status kdi_frame_write(kd_ctx *ctx, kd_arena *arena, FILE *out, kdi_mode mode, bool show_header,
                          const kdi_frame *frame, uint32_t width_max);
/* Columns that the text takes on a terminal. */
uint32_t kdi_text_width(const char *text, size_t size_bytes);

/* ---- command.c, describe.c ---- */

/* `line` begins with '\' or '.'. False when it failed. */
bool kdi_command_run(kdi_shell *shell, const char *line);
bool kdi_describe_function(kdi_shell *shell, const char *argument); /* \sf */
bool kdi_describe_run(kdi_shell *shell, const char *name, const char *argument);
void kdi_command_help(FILE *out);

/* ---- line_edit.c, complete.c ---- */

typedef struct kdi_line_edit kdi_line_edit;

/* NULL when the terminal cannot be edited on; then lines are read plainly. */
kdi_line_edit *kdi_line_edit_open(kdi_shell *shell);
/* The next line with its '\n' (valid until the next call); NULL at the end or an interrupt. */
const char *kdi_line_edit_read(kdi_line_edit *edit, const char *prompt, size_t *out_bytes);
/* A finished statement joins the history. */
void kdi_line_edit_remember(kdi_line_edit *edit, kd_slice text);
void kdi_line_edit_close(kdi_line_edit *edit);

/* Words that may follow `line` (its last word is being typed), sorted, in `arena`. */
kd_status kdi_complete(kdi_shell *shell, kd_arena *arena, kd_slice line, const char ***out_words,
                       size_t *out_count, size_t *out_typed_bytes);

/* ---- Programs: main.c dispatches, each returns the exit code ---- */

int kdi_check_main(int argc, char **argv);
int kdi_demo_main(int argc, char **argv);
int kdi_backup_main(int argc, char **argv);
int kdi_archive_main(int argc, char **argv);
int kdi_restore_main(int argc, char **argv);
/* For the commands that run one statement; a :memory: database always exists. To be closed also
 * when it fails. */
bool kdi_program_open(kdi_shell *shell, const char *path, bool must_exist);
void kdi_program_close(kdi_shell *shell);
/* Such as 10, 64k or 2G. */
bool kdi_parse_size(const char *text, uint64_t *out);
int kdi_import_main(int argc, char **argv);
int kdi_export_main(int argc, char **argv);

/* .import and kade import: loads a file into a table, which is made when absent. */
typedef struct kdi_import_options {
    const char *rejects_table; /* NULL: stop at the first bad row. */
    const char *format;        /* NULL: from the file's name. */
} kdi_import_options;

bool kdi_import_file(kdi_shell *shell, const char *file, const char *table,
                     const kdi_import_options *options);
/* Quoted as SQL wants it: 'it''s', "a ""b""" (dots separate the parts of a name). */
const char *kdi_quote_literal(kdi_shell *shell, const char *text);
const char *kdi_quote_name(kdi_shell *shell, const char *name);

#endif
