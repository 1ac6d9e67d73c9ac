/*
 * Where a statement ends: at a ';' outside quotes, dollar quotes, comments and parentheses. The
 * same lexical rules as the server's lexer, only coarser; what is inside is none of our business.
 */
#include "shell/shell_internal.h"

#include <string.h>

typedef enum split_state {
    SPLIT_PLAIN = 0,
    SPLIT_STRING,        /* '...' */
    SPLIT_STRING_ESCAPE, /* E'...' with backslashes */
    SPLIT_NAME,          /* "..." */
    SPLIT_DOLLAR,        /* $tag$...$tag$ */
    SPLIT_LINE_COMMENT,
    SPLIT_COMMENT, /* Nests. */
} split_state;

void kdi_splitter_init(kdi_splitter *splitter, kd_arena *arena)
{
    *splitter = (kdi_splitter){.text = kd_buffer_in(arena)};
}

kd_status kdi_splitter_feed(kd_ctx *ctx, kdi_splitter *splitter, const char *text,
                            size_t size_bytes)
{
    return kd_buffer_append(ctx, &splitter->text, text, size_bytes);
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || (unsigned char)byte >= 0x80;
}

/* At a '$': the size of "$tag$", or 0 when it is none (a parameter, say). */
static size_t dollar_tag_size(kd_slice text, size_t at)
{
    if (at > 0 && is_name_byte(text.data[at - 1]))
        return 0;
    for (size_t i = at + 1; i < text.size_bytes; i++) {
        char byte = text.data[i];
        if (byte == '$')
            return i + 1 - at;
        if (!is_name_byte(byte) || (i == at + 1 && byte >= '0' && byte <= '9'))
            return 0;
    }
    return 0;
}

/* In plain text: what byte `at` begins. Gives how many bytes were taken. */
static size_t plain_step(kdi_splitter *splitter, kd_slice text, size_t at)
{
    char byte = text.data[at];
    char next = at + 1 < text.size_bytes ? text.data[at + 1] : '\0';
    char before = at > 0 ? text.data[at - 1] : '\0';
    switch (byte) {
    case '\'': {
        bool is_escape =
            (before == 'e' || before == 'E') && (at < 2 || !is_name_byte(text.data[at - 2]));
        splitter->state = is_escape ? SPLIT_STRING_ESCAPE : SPLIT_STRING;
        return 1;
    }
    case '"':
        splitter->state = SPLIT_NAME;
        return 1;
    case '$': {
        size_t size = dollar_tag_size(text, at);
        if (size == 0)
            return 1;
        splitter->state = SPLIT_DOLLAR;
        splitter->tag_offset = at;
        splitter->tag_bytes = size;
        return size;
    }
    case '-':
        if (next != '-')
            return 1;
        splitter->state = SPLIT_LINE_COMMENT;
        return 2;
    case '/':
        if (next != '*')
            return 1;
        splitter->state = SPLIT_COMMENT;
        splitter->depth = 1;
        return 2;
    case '(':
        splitter->parentheses++;
        return 1;
    case ')':
        splitter->parentheses -= splitter->parentheses > 0;
        return 1;
    default:
        return 1;
    }
}

static size_t comment_step(kdi_splitter *splitter, kd_slice text, size_t at)
{
    char next = at + 1 < text.size_bytes ? text.data[at + 1] : '\0';
    if (text.data[at] == '/' && next == '*') {
        splitter->depth++;
        return 2;
    }
    if (text.data[at] == '*' && next == '/') {
        if (--splitter->depth == 0)
            splitter->state = SPLIT_PLAIN;
        return 2;
    }
    return 1;
}

static size_t dollar_step(kdi_splitter *splitter, kd_slice text, size_t at)
{
    size_t size = splitter->tag_bytes;
    if (text.data[at] != '$' || text.size_bytes - at < size ||
        memcmp(text.data + at, text.data + splitter->tag_offset, size) != 0)
        return 1;
    splitter->state = SPLIT_PLAIN;
    return size;
}

static size_t inner_step(kdi_splitter *splitter, kd_slice text, size_t at)
{
    char byte = text.data[at];
    switch ((split_state)splitter->state) {
    case SPLIT_STRING_ESCAPE:
        if (byte == '\\')
            return 2;
        if (byte == '\'')
            splitter->state = SPLIT_PLAIN;
        return 1;
    case SPLIT_STRING:
        if (byte == '\'')
            splitter->state = SPLIT_PLAIN; /* A doubled quote opens again at once. */
        return 1;
    case SPLIT_NAME:
        if (byte == '"')
            splitter->state = SPLIT_PLAIN;
        return 1;
    case SPLIT_DOLLAR:
        return dollar_step(splitter, text, at);
    case SPLIT_LINE_COMMENT:
        if (byte == '\n')
            splitter->state = SPLIT_PLAIN;
        return 1;
    case SPLIT_COMMENT:
        return comment_step(splitter, text, at);
    case SPLIT_PLAIN:
        break;
    }
    return 1;
}

static size_t step(kdi_splitter *splitter, kd_slice text, size_t at)
{
    return splitter->state == SPLIT_PLAIN ? plain_step(splitter, text, at)
                                          : inner_step(splitter, text, at);
}

size_t kdi_splitter_find(kdi_splitter *scan, kd_slice text, char byte)
{
    while (scan->offset < text.size_bytes) {
        size_t at = scan->offset;
        if (scan->state == SPLIT_PLAIN && text.data[at] == byte) {
            scan->offset = at + 1;
            return at;
        }
        scan->offset += step(scan, text, at);
    }
    return SIZE_MAX;
}

size_t kdi_splitter_next(kdi_splitter *splitter)
{
    kd_slice text = kd_buffer_slice(&splitter->text);
    while (splitter->offset < text.size_bytes) {
        size_t at = splitter->offset;
        if (splitter->state == SPLIT_PLAIN && text.data[at] == ';' && splitter->parentheses == 0) {
            splitter->offset = at + 1;
            return at + 1;
        }
        splitter->offset += step(splitter, text, at);
    }
    return 0;
}

void kdi_splitter_drop(kdi_splitter *splitter, size_t size_bytes)
{
    size_t left = splitter->text.size_bytes - size_bytes;
    if (left > 0)
        memmove(splitter->text.data, splitter->text.data + size_bytes, left);
    splitter->text.size_bytes = left;
    splitter->offset = 0;
    splitter->state = SPLIT_PLAIN;
    splitter->parentheses = 0;
}

void kdi_splitter_clear(kdi_splitter *splitter)
{
    kdi_splitter_drop(splitter, splitter->text.size_bytes);
}

bool kdi_splitter_is_blank(const kdi_splitter *splitter)
{
    kdi_splitter probe = *splitter;
    kd_slice text = kd_buffer_slice(&splitter->text);
    probe.offset = 0;
    probe.state = SPLIT_PLAIN;
    while (probe.offset < text.size_bytes) {
        size_t at = probe.offset;
        bool is_comment = probe.state == SPLIT_COMMENT || probe.state == SPLIT_LINE_COMMENT;
        if (is_comment) {
            probe.offset += inner_step(&probe, text, at);
            continue;
        }
        probe.offset += plain_step(&probe, text, at);
        is_comment = probe.state == SPLIT_COMMENT || probe.state == SPLIT_LINE_COMMENT;
        if (!is_comment && strchr(" \t\r\n\f\v", text.data[at]) == NULL)
            return false;
    }
    return probe.state != SPLIT_COMMENT;
}

char kdi_splitter_open(const kdi_splitter *splitter)
{
    switch ((split_state)splitter->state) {
    case SPLIT_STRING:
    case SPLIT_STRING_ESCAPE:
        return '\'';
    case SPLIT_NAME:
        return '"';
    case SPLIT_DOLLAR:
        return '$';
    case SPLIT_COMMENT:
        return '*';
    case SPLIT_LINE_COMMENT:
    case SPLIT_PLAIN:
        break;
    }
    if (splitter->parentheses > 0)
        return '(';
    return kdi_splitter_is_blank(splitter) ? '=' : '-';
}
