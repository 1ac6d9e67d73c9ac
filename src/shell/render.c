/*
 * Results as text, in the mode that the user chose. CSV, JSON and plain stream row by row; frames
 * collect their rows first, because the widths depend on all of them.
 */
#include "shell/shell_internal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const MODE_NAMES[KDI_MODE_COUNT] = {
    "box", "ascii", "markdown", "csv", "tabs", "json", "ndjson", "plain", "line",
};

const char *kdi_mode_name(kdi_mode mode)
{
    return mode < KDI_MODE_COUNT ? MODE_NAMES[mode] : NULL;
}

bool kdi_mode_find(const char *name, kdi_mode *out_mode)
{
    for (int i = 0; i < KDI_MODE_COUNT; i++) {
        if (strcmp(name, MODE_NAMES[i]) == 0) {
            *out_mode = (kdi_mode)i;
            return true;
        }
    }
    return false;
}

static bool type_is_number(int type)
{
    return (type >= KADE_TYPE_INT2 && type <= KADE_TYPE_NUMERIC) || type == KADE_TYPE_OID;
}

/* ---- Streams ---- */

static void csv_value(FILE *out, const char *text, size_t size_bytes, char delimiter)
{
    bool needs_quotes = size_bytes == 0;
    for (size_t i = 0; i < size_bytes; i++)
        needs_quotes |=
            text[i] == delimiter || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    if (!needs_quotes) {
        fwrite(text, 1, size_bytes, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '"')
            fputc('"', out);
        fputc(text[i], out);
    }
    fputc('"', out);
}

static void json_string(FILE *out, const char *text, size_t size_bytes)
{
    fputc('"', out);
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte == '\n')
            fputs("\\n", out);
        else if (byte == '\t')
            fputs("\\t", out);
        else if (byte < 0x20)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static void json_value(FILE *out, kade_statement *statement, uint32_t column)
{
    if (kade_column_is_null(statement, column)) {
        fputs("null", out);
        return;
    }
    size_t size;
    const char *text = kade_column_text(statement, column, &size);
    int type = kade_column_type(statement, column);
    char last = size > 0 ? text[size - 1] : '\0';
    bool is_number = type_is_number(type) && last >= '0' && last <= '9';
    if (type == KADE_TYPE_BOOL)
        fputs(kade_column_bool(statement, column) ? "true" : "false", out);
    else if (is_number || type == KADE_TYPE_JSON || type == KADE_TYPE_JSONB)
        fwrite(text, 1, size, out);
    else
        json_string(out, text, size);
}

static void json_row(FILE *out, kade_statement *statement)
{
    fputc('{', out);
    for (uint32_t c = 0; c < kade_column_count(statement); c++) {
        if (c > 0)
            fputc(',', out);
        size_t size;
        const char *name = kade_column_name(statement, c, &size);
        json_string(out, name, size);
        fputc(':', out);
        json_value(out, statement, c);
    }
    fputc('}', out);
}

static void separated_row(kdi_shell *shell, kade_statement *statement)
{
    char delimiter = shell->mode == KDI_MODE_CSV ? ',' : shell->mode == KDI_MODE_TABS ? '\t' : '|';
    for (uint32_t c = 0; c < kade_column_count(statement); c++) {
        if (c > 0)
            fputc(delimiter, shell->out);
        if (kade_column_is_null(statement, c)) {
            fputs(shell->null_text, shell->out);
            continue;
        }
        size_t size;
        const char *text = kade_column_text(statement, c, &size);
        if (shell->mode == KDI_MODE_PLAIN)
            fwrite(text, 1, size, shell->out);
        else
            csv_value(shell->out, text, size, delimiter);
    }
    fputc('\n', shell->out);
}

static void separated_header(kdi_shell *shell, kade_statement *statement)
{
    char delimiter = shell->mode == KDI_MODE_CSV ? ',' : shell->mode == KDI_MODE_TABS ? '\t' : '|';
    for (uint32_t c = 0; c < kade_column_count(statement); c++) {
        if (c > 0)
            fputc(delimiter, shell->out);
        size_t size;
        const char *name = kade_column_name(statement, c, &size);
        if (shell->mode == KDI_MODE_PLAIN)
            fwrite(name, 1, size, shell->out);
        else
            csv_value(shell->out, name, size, delimiter);
    }
    fputc('\n', shell->out);
}

static void line_row(kdi_shell *shell, kade_statement *statement, uint64_t row_no)
{
    uint32_t widest = 0;
    uint32_t column_count = kade_column_count(statement);
    for (uint32_t c = 0; c < column_count; c++) {
        size_t size;
        const char *name = kade_column_name(statement, c, &size);
        uint32_t width = kdi_text_width(name, size);
        widest = width > widest ? width : widest;
    }
    fprintf(shell->out, "-[ RECORD %llu ]-\n", (unsigned long long)row_no);
    for (uint32_t c = 0; c < column_count; c++) {
        size_t size;
        const char *name = kade_column_name(statement, c, &size);
        fprintf(shell->out, "%s%*s | ", name, (int)(widest - kdi_text_width(name, size)), "");
        const char *text = shell->null_text;
        if (!kade_column_is_null(statement, c))
            text = kade_column_text(statement, c, NULL);
        fprintf(shell->out, "%s\n", text);
    }
}

static kade_status stream_rows(kdi_shell *shell, kade_statement *statement, uint64_t *out_row_count)
{
    FILE *out = shell->out;
    bool as_lines = shell->expanded || shell->mode == KDI_MODE_LINE;
    bool as_array = shell->mode == KDI_MODE_JSON;
    bool as_json = as_array || shell->mode == KDI_MODE_NDJSON;
    bool has_row;
    kade_status status = kade_step(statement, &has_row);
    if (status != KADE_OK)
        return status;
    if (as_array)
        fputs("[", out);
    else if (!as_json && !as_lines && shell->show_header)
        separated_header(shell, statement);
    while (status == KADE_OK && has_row) {
        (*out_row_count)++;
        if (as_array)
            fputs(*out_row_count > 1 ? ",\n " : "", out);
        if (as_json)
            json_row(out, statement);
        else if (as_lines)
            line_row(shell, statement, *out_row_count);
        else
            separated_row(shell, statement);
        if (as_json && !as_array)
            fputc('\n', out);
        status = kade_step(statement, &has_row);
    }
    if (as_array)
        fputs("]\n", out);
    return status;
}

/* ---- Frames ---- */

static uint32_t terminal_width(const kdi_shell *shell)
{
    struct winsize size;
    if (!shell->out_is_terminal || shell->out != stdout ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

typedef struct frame_rows {
    kdi_cell *cells;
    size_t count;
    size_t capacity;
} frame_rows;

static kd_status frame_row(kdi_shell *shell, kade_statement *statement, frame_rows *rows)
{
    for (uint32_t c = 0; c < kade_column_count(statement); c++) {
        size_t size = strlen(shell->null_text);
        const char *text = shell->null_text;
        if (!kade_column_is_null(statement, c))
            text = kade_column_text(statement, c, &size);
        kdi_cell *cell;
        KD_TRY(KD_PUSH(&shell->ctx, shell->statement_arena, rows->cells, rows->count,
                       rows->capacity, &cell));
        KD_TRY(kdi_cell_make(&shell->ctx, shell->statement_arena, text, size, cell));
    }
    return KD_OK;
}

static kd_status frame_begin(kdi_shell *shell, kade_statement *statement, kdi_frame *frame)
{
    frame->column_count = kade_column_count(statement);
    kdi_cell *headers =
        KD_NEW_ARRAY(&shell->ctx, shell->statement_arena, kdi_cell, frame->column_count);
    bool *is_number = KD_NEW_ARRAY(&shell->ctx, shell->statement_arena, bool, frame->column_count);
    if (headers == NULL || is_number == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < frame->column_count; c++) {
        size_t size;
        const char *name = kade_column_name(statement, c, &size);
        KD_TRY(kdi_cell_make(&shell->ctx, shell->statement_arena, name, size, &headers[c]));
        is_number[c] = type_is_number(kade_column_type(statement, c));
    }
    frame->headers = headers;
    frame->is_number = is_number;
    return KD_OK;
}

static kade_status shell_memory_failed(kdi_shell *shell)
{
    kdi_shell_complain(shell, "%s", shell->ctx.error.message);
    kd_error_clear(&shell->ctx);
    return KADE_NOMEM;
}

static kade_status frame_rows_read(kdi_shell *shell, kade_statement *statement, const char *title,
                                   uint64_t *out_row_count)
{
    kdi_frame frame = {.title = title};
    frame_rows rows = {0};
    bool has_row, was_cut = false;
    kade_status status = kade_step(statement, &has_row);
    if (status != KADE_OK)
        return status;
    if (frame_begin(shell, statement, &frame) != KD_OK)
        return shell_memory_failed(shell);
    while (status == KADE_OK && has_row) {
        if (shell->is_interactive && shell->rows_max != 0 && *out_row_count == shell->rows_max) {
            was_cut = true;
            break;
        }
        (*out_row_count)++;
        if (frame_row(shell, statement, &rows) != KD_OK)
            return shell_memory_failed(shell);
        status = kade_step(statement, &has_row);
    }
    if (status != KADE_OK)
        return status;
    frame.cells = rows.cells;
    frame.row_count = frame.column_count == 0 ? 0 : rows.count / frame.column_count;
    if (title != NULL && frame.row_count == 0)
        return KADE_OK;
    if (kdi_frame_write(&shell->ctx, shell->statement_arena, shell->out, shell->mode,
                        shell->show_header, &frame, terminal_width(shell)) != KD_OK)
        return shell_memory_failed(shell);
    if (was_cut)
        fprintf(shell->out, "The first %llu rows; .maxrows changes how many are shown.\n",
                (unsigned long long)*out_row_count);
    return KADE_OK;
}

kade_status kdi_render(kdi_shell *shell, kade_statement *statement, const char *title,
                       uint64_t *out_row_count)
{
    *out_row_count = 0;
    bool is_frame = !shell->expanded && shell->mode <= KDI_MODE_MARKDOWN;
    kade_status status = is_frame ? frame_rows_read(shell, statement, title, out_row_count)
                                  : stream_rows(shell, statement, out_row_count);
    fflush(shell->out);
    return status;
}
