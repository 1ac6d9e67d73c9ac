/*
 * Frames: results as a table with lines around, in Unicode, ASCII or Markdown. Widths are those of
 * the terminal (East Asian characters take two columns, combining marks none).
 */
#include "shell/shell_internal.h"

#include <string.h>
#include <utf8proc.h>

enum { COLUMN_WIDTH_MIN = 8 };

typedef struct frame_style {
    const char *top[4]; /* Left, line, crossing, right. */
    const char *middle[4];
    const char *bottom[4];
    const char *bar;
} frame_style;

static const frame_style BOX_STYLE = {
    .top = {"┌", "─", "┬", "┐"},
    .middle = {"├", "─", "┼", "┤"},
    .bottom = {"└", "─", "┴", "┘"},
    .bar = "│",
};
static const frame_style ASCII_STYLE = {
    .top = {"+", "-", "+", "+"},
    .middle = {"+", "-", "+", "+"},
    .bottom = {"+", "-", "+", "+"},
    .bar = "|",
};

/* The character at `at` and its width; broken UTF-8 counts as one column a byte. */
static size_t character_at(const char *text, size_t size_bytes, size_t at, uint32_t *out_width)
{
    utf8proc_int32_t code_point;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                             (utf8proc_ssize_t)(size_bytes - at), &code_point);
    if (size <= 0) {
        *out_width = 1;
        return 1;
    }
    int width = utf8proc_charwidth(code_point);
    *out_width = width > 0 ? (uint32_t)width : 0;
    return (size_t)size;
}

uint32_t kdi_text_width(const char *text, size_t size_bytes)
{
    uint32_t total = 0;
    for (size_t at = 0; at < size_bytes;) {
        uint32_t width;
        at += character_at(text, size_bytes, at, &width);
        total += width;
    }
    return total;
}

static bool is_control(char byte)
{
    return ((unsigned char)byte < 0x20 && byte != '\n') || byte == 0x7f;
}

/* Control characters would move the cursor: they become \x1b and the like, tabs blanks. */
kd_status kdi_cell_make(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size_bytes,
                        kdi_cell *out_cell)
{
    kd_buffer clean = kd_buffer_in(arena);
    size_t control_count = 0;
    for (size_t i = 0; i < size_bytes; i++)
        control_count += is_control(text[i]);
    KD_TRY(kd_buffer_reserve(ctx, &clean, size_bytes + 3 * control_count + 1, NULL));
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '\t')
            KD_TRY(kd_buffer_append_byte(ctx, &clean, ' '));
        else if (is_control(text[i]))
            KD_TRY(kd_buffer_append_format(ctx, &clean, "\\x%02x", (unsigned char)text[i]));
        else
            KD_TRY(kd_buffer_append_byte(ctx, &clean, (uint8_t)text[i]));
    }
    *out_cell = (kdi_cell){.text = clean.data == NULL ? "" : clean.data,
                           .size_bytes = (uint32_t)clean.size_bytes,
                           .line_count = 1};
    uint32_t line_begin = 0;
    for (uint32_t i = 0; i <= out_cell->size_bytes; i++) {
        if (i < out_cell->size_bytes && out_cell->text[i] != '\n')
            continue;
        uint32_t width = kdi_text_width(out_cell->text + line_begin, i - line_begin);
        if (width > out_cell->width)
            out_cell->width = width;
        out_cell->line_count += i < out_cell->size_bytes;
        line_begin = i + 1;
    }
    return KD_OK;
}

static void pad(FILE *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        fputc(' ', out);
}

static kd_slice cell_line(const kdi_cell *cell, uint32_t index)
{
    const char *at = cell->text;
    const char *end = cell->text + cell->size_bytes;
    for (uint32_t i = 0; i < index && at != NULL; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at == NULL ? NULL : at + 1;
    }
    if (at == NULL)
        return (kd_slice){"", 0};
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return (kd_slice){at, (size_t)((stop == NULL ? end : stop) - at)};
}

/* The text in exactly `width` columns; what does not fit ends in an ellipsis. */
static void write_fitted(FILE *out, kd_slice text, uint32_t width, bool right)
{
    uint32_t natural = kdi_text_width(text.data, text.size_bytes);
    if (natural <= width) {
        if (right)
            pad(out, width - natural);
        fwrite(text.data, 1, text.size_bytes, out);
        if (!right)
            pad(out, width - natural);
        return;
    }
    uint32_t used = 0;
    size_t at = 0;
    while (at < text.size_bytes) {
        uint32_t step_width;
        size_t step = character_at(text.data, text.size_bytes, at, &step_width);
        if (used + step_width + 1 > width)
            break;
        fwrite(text.data + at, 1, step, out);
        used += step_width;
        at += step;
    }
    fputs("…", out);
    pad(out, width - used - 1);
}

static void write_rule(FILE *out, const char *const parts[4], const uint32_t *widths,
                       uint32_t column_count)
{
    fputs(parts[0], out);
    for (uint32_t c = 0; c < column_count; c++) {
        for (uint32_t i = 0; i < widths[c] + 2; i++)
            fputs(parts[1], out);
        fputs(c + 1 < column_count ? parts[2] : parts[3], out);
    }
    fputc('\n', out);
}

static void write_cells(FILE *out, const char *bar, const kdi_cell *cells, const bool *is_number,
                        const uint32_t *widths, uint32_t column_count)
{
    uint32_t line_count = 1;
    for (uint32_t c = 0; c < column_count; c++)
        if (cells[c].line_count > line_count)
            line_count = cells[c].line_count;
    for (uint32_t line = 0; line < line_count; line++) {
        fputs(bar, out);
        for (uint32_t c = 0; c < column_count; c++) {
            fputc(' ', out);
            write_fitted(out, cell_line(&cells[c], line), widths[c],
                         is_number != NULL && is_number[c]);
            fputc(' ', out);
            fputs(bar, out);
        }
        fputc('\n', out);
    }
}

/* Makes the widest columns narrower until the frame fits the terminal. */
static void widths_fit(uint32_t *widths, uint32_t column_count, uint32_t width_max)
{
    for (;;) {
        uint32_t total = 1, widest = 0;
        for (uint32_t c = 0; c < column_count; c++) {
            total += widths[c] + 3;
            if (widths[c] > widths[widest])
                widest = c;
        }
        if (width_max == 0 || total <= width_max || widths[widest] <= COLUMN_WIDTH_MIN)
            return;
        uint32_t over = total - width_max;
        uint32_t room = widths[widest] - COLUMN_WIDTH_MIN;
        uint32_t step = over < room ? over : room;
        /* Not below the next widest at once: all wide columns share the loss. */
        widths[widest] -= step > 4 ? (step + 3) / 4 : step;
    }
}

static kd_status markdown_write(FILE *out, const kdi_frame *frame, const uint32_t *widths)
{
    for (size_t r = 0; r <= frame->row_count; r++) {
        const kdi_cell *cells =
            r == 0 ? frame->headers : frame->cells + (r - 1) * frame->column_count;
        fputc('|', out);
        for (uint32_t c = 0; c < frame->column_count; c++) {
            uint32_t bar_count = 0;
            for (uint32_t i = 0; i < cells[c].size_bytes; i++)
                bar_count += cells[c].text[i] == '|' || cells[c].text[i] == '\n';
            fputc(' ', out);
            bool right = frame->is_number[c] && r > 0;
            uint32_t padding =
                widths[c] - (cells[c].width < widths[c] ? cells[c].width : widths[c]);
            if (right)
                pad(out, padding);
            for (uint32_t i = 0; i < cells[c].size_bytes; i++) {
                char byte = cells[c].text[i];
                if (byte == '|')
                    fputs("\\|", out);
                else if (byte == '\n')
                    fputs("<br>", out);
                else
                    fputc(byte, out);
            }
            if (!right && bar_count == 0)
                pad(out, padding);
            fputs(" |", out);
        }
        fputc('\n', out);
        if (r > 0)
            continue;
        fputc('|', out);
        for (uint32_t c = 0; c < frame->column_count; c++) {
            for (uint32_t i = 0; i < widths[c] + 1; i++)
                fputc('-', out);
            fputs(frame->is_number[c] ? ":|" : "-|", out);
        }
        fputc('\n', out);
    }
    return KD_OK;
}

kd_status kdi_frame_write(kd_ctx *ctx, kd_arena *arena, FILE *out, kdi_mode mode, bool show_header,
                          const kdi_frame *frame, uint32_t width_max)
{
    uint32_t *widths = KD_NEW_ARRAY(ctx, arena, uint32_t, frame->column_count);
    if (widths == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < frame->column_count; c++) {
        widths[c] = show_header || mode == KDI_MODE_MARKDOWN ? frame->headers[c].width : 1;
        for (size_t r = 0; r < frame->row_count; r++) {
            uint32_t width = frame->cells[r * frame->column_count + c].width;
            if (width > widths[c])
                widths[c] = width;
        }
    }
    if (mode == KDI_MODE_MARKDOWN)
        return markdown_write(out, frame, widths);
    widths_fit(widths, frame->column_count, width_max);
    const frame_style *style = mode == KDI_MODE_ASCII ? &ASCII_STYLE : &BOX_STYLE;
    if (frame->title != NULL)
        fprintf(out, "%s\n", frame->title);
    write_rule(out, style->top, widths, frame->column_count);
    if (show_header) {
        write_cells(out, style->bar, frame->headers, NULL, widths, frame->column_count);
        write_rule(out, style->middle, widths, frame->column_count);
    }
    for (size_t r = 0; r < frame->row_count; r++)
        write_cells(out, style->bar, frame->cells + r * frame->column_count, frame->is_number,
                    widths, frame->column_count);
    write_rule(out, style->bottom, widths, frame->column_count);
    return KD_OK;
}
