/*
 * Syntax errors: PostgreSQL's words, the place, and what may have been meant.
 */
#include "sql/parser_internal.h"

enum { SHOWN_BYTES_MAX = 100, WORD_BYTES_MAX = 24 };

/* Words that people mistype; others give no hint. */
static const char *const candidates[] = {
    "SELECT",    "FROM",         "WHERE",   "GROUP",      "ORDER",    "HAVING",     "LIMIT",
    "OFFSET",    "INSERT",       "INTO",    "VALUES",     "UPDATE",   "DELETE",     "CREATE",
    "TABLE",     "INDEX",        "VIEW",    "ALTER",      "DROP",     "COLUMN",     "UNION",
    "EXCEPT",    "JOIN",         "INNER",   "LEFT",       "RIGHT",    "OUTER",      "USING",
    "BETWEEN",   "DISTINCT",     "PRIMARY", "REFERENCES", "FOREIGN",  "CONSTRAINT", "UNIQUE",
    "DEFAULT",   "RETURNING",    "BEGIN",   "COMMIT",     "ROLLBACK", "TRUNCATE",   "EXPLAIN",
    "ANALYZE",   "INTERSECT",    "EXISTS",  "SCHEMA",     "SEQUENCE", "CONFLICT",   "MERGE",
    "WITH",      "RECURSIVE",    "PREPARE", "EXECUTE",    "SHOW",     "GRANT",      "REVOKE",
    "PARTITION", "MATERIALIZED",
};

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t best = a < b ? a : b;
    return best < c ? best : c;
}

/* Edits between a word and a candidate; a swap of neighbours counts as one. */
static size_t edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swap && rows[(i - 2) % 3][j - 2] + 1 < row[j])
                row[j] = rows[(i - 2) % 3][j - 2] + 1;
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

static const char *suggest(const kdi_token *token)
{
    size_t size = token->text.size_bytes;
    if (token->kind != TOKEN_IDENT || size < 3 || size > WORD_BYTES_MAX)
        return NULL;
    char word[WORD_BYTES_MAX];
    for (size_t i = 0; i < size; i++) {
        char c = token->text.data[i];
        word[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    const char *best = NULL;
    size_t best_distance = size >= 6 ? 3 : 2; /* Fewer edits than this. */
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        size_t length = strlen(candidates[i]);
        size_t distance = edit_distance(word, size, candidates[i], length);
        if (distance > 0 && distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

kd_status kdi_syntax_error(kd_parser *p, const char *expected)
{
    kd_ctx *ctx = p->ctx;
    if (ctx->error.status != KD_OK)
        return ctx->error.status; /* The lexer's, of this token or of one ahead. */
    kd_status status;
    if (p->token.kind == TOKEN_END) {
        status = KD_FAIL(ctx, KD_INVALID, "42601", "syntax error at end of input");
    } else {
        size_t size = (size_t)(p->token.end - p->token.position);
        status = KD_FAIL(ctx, KD_INVALID, "42601", "syntax error at or near \"%.*s\"",
                         (int)(size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : size),
                         p->lexer.text.data + p->token.position);
    }
    kd_error_set_position(ctx, p->token.position);
    const char *meant = suggest(&p->token);
    if (meant == NULL)
        meant = suggest(&p->previous);
    if (meant != NULL)
        kd_error_set_hint(ctx, "Perhaps you meant \"%s\".", meant);
    else if (expected != NULL)
        kd_error_set_hint(ctx, "Expected %s.", expected);
    return status;
}
