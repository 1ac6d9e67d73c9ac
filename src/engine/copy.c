/*
 * COPY: its options, and which way it goes.
 */
#include "engine/copy_internal.h"

static kd_status option_text(kd_ctx *ctx, const kd_ast_option *option, kd_slice *out_text)
{
    const kd_ast_node *value = option->value;
    if (value == NULL) {
        *out_text = KD_SLICE("true");
        return KD_OK;
    }
    if (value->kind == KD_AST_CONSTANT) {
        const kd_ast_constant *constant = (const kd_ast_constant *)value;
        *out_text = constant->what == KD_AST_BOOLEAN
                        ? kd_slice_of(constant->boolean ? "true" : "false")
                        : constant->text;
        return KD_OK;
    }
    if (value->kind == KD_AST_COLUMN) {
        *out_text = ((const kd_ast_column *)value)->parts[0];
        return KD_OK;
    }
    return KD_FAIL(ctx, KD_INVALID, "22023", "COPY option \"%.*s\" takes a constant",
                   (int)option->name.size_bytes, option->name.data);
}

static kd_status one_character(kd_ctx *ctx, const char *name, kd_slice text, char *out)
{
    if (kd_slice_equal(text, KD_SLICE("\\t")))
        text = KD_SLICE("\t");
    if (text.size_bytes != 1)
        return KD_FAIL(ctx, KD_INVALID, "0A000", "COPY %s must be a single one-byte character",
                       name);
    *out = text.data[0];
    return KD_OK;
}

static bool is_true(kd_slice text)
{
    return kd_slice_equal_ignoring_case(text, KD_SLICE("true")) ||
           kd_slice_equal_ignoring_case(text, KD_SLICE("on")) ||
           kd_slice_equal(text, KD_SLICE("1"));
}

static kd_status read_format(kd_ctx *ctx, kd_slice text, kdi_copy_options *out)
{
    static const struct {
        const char *name;
        kdi_copy_format format;
    } formats[] = {{"text", KDI_COPY_TEXT},
                   {"csv", KDI_COPY_CSV},
                   {"json", KDI_COPY_JSON},
                   {"ndjson", KDI_COPY_JSON},
                   {"binary", KDI_COPY_BINARY},
                   {"arrow", KDI_COPY_ARROW},
                   {"arrow_stream", KDI_COPY_ARROW_STREAM}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (kd_slice_equal_ignoring_case(text, kd_slice_of(formats[i].name))) {
            out->format = formats[i].format;
            return KD_OK;
        }
    }
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "COPY format \"%.*s\" not recognized",
                               (int)text.size_bytes, text.data);
    kd_error_set_hint(ctx, "Known formats are text, csv, json, binary and arrow.");
    return status;
}

static kd_status read_on_error(kd_ctx *ctx, kd_slice text, kdi_copy_options *out)
{
    if (kd_slice_equal_ignoring_case(text, KD_SLICE("ignore")))
        out->on_error = KD_IMPORT_REJECT;
    else if (kd_slice_equal_ignoring_case(text, KD_SLICE("stop")))
        out->on_error = KD_IMPORT_STOP;
    else
        return KD_FAIL(ctx, KD_INVALID, "22023", "COPY ON_ERROR \"%.*s\" not recognized",
                       (int)text.size_bytes, text.data);
    return KD_OK;
}

static kd_status read_option(kd_ctx *ctx, const kd_ast_option *option, kdi_copy_options *out)
{
    kd_slice text, name = option->name;
    if (kd_slice_equal(name, KD_SLICE("force_quote"))) {
        out->force_quote = true;
        return KD_OK;
    }
    if (kd_slice_equal(name, KD_SLICE("force_not_null")) ||
        kd_slice_equal(name, KD_SLICE("force_null")))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COPY option \"%.*s\" is not supported",
                       (int)name.size_bytes, name.data);
    KD_TRY(option_text(ctx, option, &text));
    if (kd_slice_equal(name, KD_SLICE("format")))
        return read_format(ctx, text, out);
    if (kd_slice_equal(name, KD_SLICE("header"))) {
        out->header = kd_slice_equal_ignoring_case(text, KD_SLICE("match")) ? KD_CSV_HEADER_MATCH
                      : is_true(text)                                       ? KD_CSV_HEADER_YES
                                                                            : KD_CSV_HEADER_NO;
        return KD_OK;
    }
    if (kd_slice_equal(name, KD_SLICE("delimiter")))
        return one_character(ctx, "delimiter", text, &out->delimiter);
    if (kd_slice_equal(name, KD_SLICE("quote")))
        return one_character(ctx, "quote", text, &out->quote);
    if (kd_slice_equal(name, KD_SLICE("escape")))
        return one_character(ctx, "escape", text, &out->escape);
    if (kd_slice_equal(name, KD_SLICE("null"))) {
        out->null_text = text;
        return KD_OK;
    }
    if (kd_slice_equal(name, KD_SLICE("on_error")))
        return read_on_error(ctx, text, out);
    if (kd_slice_equal(name, KD_SLICE("rejects_table"))) {
        out->rejects_table = text;
        out->on_error = KD_IMPORT_REJECT;
        return KD_OK;
    }
    if (kd_slice_equal(name, KD_SLICE("encoding"))) {
        if (kd_slice_equal_ignoring_case(text, KD_SLICE("utf8")) ||
            kd_slice_equal_ignoring_case(text, KD_SLICE("utf-8")))
            return KD_OK;
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COPY reads and writes UTF8 only");
    }
    if (kd_slice_equal(name, KD_SLICE("freeze")))
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "42601", "option \"%.*s\" not recognized", (int)name.size_bytes,
                   name.data);
}

static bool ends_with(kd_slice text, const char *end)
{
    size_t length = strlen(end);
    return text.size_bytes >= length &&
           memcmp(text.data + text.size_bytes - length, end, length) == 0;
}

/* Without FORMAT a file's name tells: flights.csv.zst is CSV. */
static kdi_copy_format format_of_name(kd_slice file)
{
    if (ends_with(file, ".gz"))
        file.size_bytes -= 3;
    else if (ends_with(file, ".zst"))
        file.size_bytes -= 4;
    if (ends_with(file, ".csv"))
        return KDI_COPY_CSV;
    if (ends_with(file, ".ndjson") || ends_with(file, ".jsonl"))
        return KDI_COPY_JSON;
    return ends_with(file, ".arrow") ? KDI_COPY_ARROW : KDI_COPY_TEXT;
}

kd_status kdi_copy_announce(kd_ctx *ctx, kd_session *session, bool is_input, kdi_copy_format format,
                            uint32_t column_count)
{
    const kd_session_hooks *hooks = &session->hooks;
    kd_copy_kind kind = format == KDI_COPY_CSV      ? KD_COPY_QUOTED_LINES
                        : format == KDI_COPY_BINARY ? KD_COPY_PIECES
                        : format >= KDI_COPY_ARROW  ? KD_COPY_BYTES
                                                    : KD_COPY_LINES;
    if (hooks->copy_begin == NULL || hooks->copy_begin(hooks->object, is_input, kind, column_count))
        return KD_OK;
    return KD_FAIL(ctx, KD_CANCELLED, "57014", "COPY %s failed",
                   is_input ? "from stdin" : "to stdout");
}

kd_status kdi_copy_read_options(kd_ctx *ctx, const kd_ast_copy *ast, kdi_copy_options *out_options)
{
    *out_options =
        (kdi_copy_options){.header = KD_CSV_HEADER_NO, .format = format_of_name(ast->file)};
    for (size_t i = 0; i < ast->options.count; i++)
        KD_TRY(read_option(ctx, (const kd_ast_option *)ast->options.items[i], out_options));
    if (out_options->format == KDI_COPY_TEXT && out_options->quote != 0)
        return KD_FAIL(ctx, KD_INVALID, "0A000", "COPY quote available only in CSV mode");
    return KD_OK;
}

kd_status kdi_copy_path(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast, const char **out_path)
{
    *out_path = kd_copy_text(ctx, run->arena, ast->file.data, ast->file.size_bytes);
    return *out_path == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_copy(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast)
{
    kdi_copy_options options;
    if (ast->is_program)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COPY does not run programs; use a pipe");
    KD_TRY(kdi_copy_read_options(ctx, ast, &options));
    return ast->is_from ? kdi_copy_from(ctx, run, ast, &options)
                        : kdi_copy_to(ctx, run, ast, &options);
}
