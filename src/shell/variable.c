/*
 * Variables, as psql has them: \set NAME VALUE, then :NAME, :'NAME' and :"NAME" in statements.
 *
 * Only names that are set are replaced, and nothing inside quotes, comments and dollar quotes, so
 * casts (::) and array slices stay what they are.
 */
#include "shell/shell_internal.h"

#include <string.h>

struct kdi_variable {
    kdi_variable *next;
    const char *name;
    const char *value;
};

bool kdi_variable_set(kdi_shell *shell, const char *name, const char *value)
{
    kdi_variable *it = shell->variables;
    while (it != NULL && strcmp(it->name, name) != 0)
        it = it->next;
    const char *kept = kd_copy_text(&shell->ctx, shell->arena, value, strlen(value));
    if (kept == NULL)
        return false;
    if (it == NULL) {
        it = KD_NEW(&shell->ctx, shell->arena, kdi_variable);
        if (it == NULL)
            return false;
        it->name = kd_copy_text(&shell->ctx, shell->arena, name, strlen(name));
        if (it->name == NULL)
            return false;
        it->next = shell->variables;
        shell->variables = it;
    }
    it->value = kept;
    return true;
}

void kdi_variable_unset(kdi_shell *shell, const char *name)
{
    for (kdi_variable **link = &shell->variables; *link != NULL; link = &(*link)->next) {
        if (strcmp((*link)->name, name) == 0) {
            *link = (*link)->next;
            return;
        }
    }
}

void kdi_variable_list(const kdi_shell *shell)
{
    for (const kdi_variable *it = shell->variables; it != NULL; it = it->next)
        fprintf(shell->out, "%s = '%s'\n", it->name, it->value);
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_';
}

/* The variable named at the start of `text` and how many bytes name it; NULL: none. */
static const kdi_variable *variable_at(const kdi_shell *shell, kd_slice text, char *out_quote,
                                       size_t *out_bytes)
{
    size_t from = text.size_bytes > 0 && (text.data[0] == '\'' || text.data[0] == '"');
    size_t end = from;
    *out_quote = from > 0 ? text.data[0] : '\0';
    while (end < text.size_bytes && is_name_byte(text.data[end]))
        end++;
    *out_bytes = end + from;
    if (end == from || (from > 0 && (end == text.size_bytes || text.data[end] != *out_quote)))
        return NULL;
    for (const kdi_variable *it = shell->variables; it != NULL; it = it->next)
        if (kd_slice_equal(kd_slice_of(it->name), (kd_slice){text.data + from, end - from}))
            return it;
    return NULL;
}

/* The value as it is, or between quotes with those inside doubled. */
static kd_status append_value(kd_ctx *ctx, kd_buffer *out, const char *value, char quote)
{
    if (quote == '\0')
        return kd_buffer_append_text(ctx, out, value);
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)quote));
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == quote)
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)quote));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)*at));
    }
    return kd_buffer_append_byte(ctx, out, (uint8_t)quote);
}

static kd_status expand(kdi_shell *shell, kd_slice sql, kd_buffer *out)
{
    kdi_splitter scan = {0};
    size_t done = 0, at;
    while ((at = kdi_splitter_find(&scan, sql, ':')) != SIZE_MAX) {
        char quote;
        size_t bytes;
        kd_slice rest = {sql.data + at + 1, sql.size_bytes - at - 1};
        bool is_cast = at > 0 && sql.data[at - 1] == ':';
        const kdi_variable *found = is_cast ? NULL : variable_at(shell, rest, &quote, &bytes);
        if (found == NULL)
            continue;
        KD_TRY(kd_buffer_append(&shell->ctx, out, sql.data + done, at - done));
        KD_TRY(append_value(&shell->ctx, out, found->value, quote));
        done = at + 1 + bytes;
        scan.offset = done;
    }
    return kd_buffer_append(&shell->ctx, out, sql.data + done, sql.size_bytes - done);
}

kd_slice kdi_variables_expand(kdi_shell *shell, kd_arena *arena, kd_slice sql)
{
    kd_buffer out = kd_buffer_in(arena);
    if (shell->variables == NULL || memchr(sql.data, ':', sql.size_bytes) == NULL)
        return sql;
    if (expand(shell, sql, &out) == KD_OK)
        return kd_buffer_slice(&out);
    kd_error_clear(&shell->ctx);
    return sql;
}
