/*
 * Completion: keywords, and the names of tables, columns, schemas and functions, asked from the
 * catalog through SQL each time, so that what was created a moment ago is there.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const KEYWORDS[] = {
    "ABORT",
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTEA",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "CHECKPOINT",
    "COLUMN",
    "COMMIT",
    "CONFLICT",
    "CONSTRAINT",
    "COPY",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DOUBLE",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "GENERATED",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IF",
    "ILIKE",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "JSONB",
    "KEY",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATCHED",
    "MERGE",
    "NATURAL",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "PARTITION",
    "PRECISION",
    "PREPARE",
    "PRIMARY",
    "REAL",
    "REFERENCES",
    "RELEASE",
    "RENAME",
    "RESTRICT",
    "RETURNING",
    "RIGHT",
    "ROLLBACK",
    "ROW",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SEQUENCE",
    "SET",
    "SHOW",
    "SMALLINT",
    "START",
    "TABLE",
    "TEMPORARY",
    "TEXT",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TIMETZ",
    "TO",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "TYPE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "UUID",
    "VACUUM",
    "VALUES",
    "VARCHAR",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
};

static const char *const COMMANDS[] = {
    "\\?",   "\\copy",  "\\d",      "\\df",    "\\di",    "\\dn",     "\\ds",  "\\dT",
    "\\dt",  "\\dv",    "\\echo",   "\\i",     "\\l",     "\\o",      "\\q",   "\\timing",
    "\\x",   ".export", ".headers", ".help",   ".import", ".maxrows", ".mode", ".nullvalue",
    ".quit", ".read",   ".schema",  ".tables", ".timer",
};

typedef struct word_list {
    const char **words;
    size_t count;
    size_t capacity;
} word_list;

static bool is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || (unsigned char)byte >= 0x80;
}

static kd_status add_word(kdi_shell *shell, kd_arena *arena, word_list *list, const char *word)
{
    const char **item;
    KD_TRY(KD_PUSH(&shell->ctx, arena, list->words, list->count, list->capacity, &item));
    *item = word;
    return KD_OK;
}

/* Keywords follow the case in which the user types. */
static kd_status add_keywords(kdi_shell *shell, kd_arena *arena, kd_slice typed, word_list *list)
{
    bool is_lower = typed.size_bytes == 0 || (typed.data[0] >= 'a' && typed.data[0] <= 'z');
    for (size_t i = 0; i < sizeof KEYWORDS / sizeof KEYWORDS[0]; i++) {
        if (strncasecmp(KEYWORDS[i], typed.data, typed.size_bytes) != 0)
            continue;
        char *word = kd_copy_text(&shell->ctx, arena, KEYWORDS[i], strlen(KEYWORDS[i]));
        if (word == NULL)
            return KD_NOMEM;
        for (char *at = word; is_lower && *at != '\0'; at++)
            if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at + 32);
        KD_TRY(add_word(shell, arena, list, word));
    }
    return KD_OK;
}

/* One column of names; what the catalog cannot answer yet adds nothing. */
static kd_status add_names(kdi_shell *shell, kd_arena *arena, const char *sql, kd_slice typed,
                           word_list *list)
{
    kade_statement *statement;
    if (kade_prepare(shell->session, sql, KADE_NUL, &statement) != KADE_OK)
        return KD_OK;
    kd_status status = KD_OK;
    bool has_row;
    while (kade_step(statement, &has_row) == KADE_OK && has_row) {
        size_t size;
        const char *name = kade_column_text(statement, 0, &size);
        if (size < typed.size_bytes || strncasecmp(name, typed.data, typed.size_bytes) != 0)
            continue;
        char *word = kd_copy_text(&shell->ctx, arena, name, size);
        if (word == NULL)
            status = KD_NOMEM;
        else
            status = add_word(shell, arena, list, word);
        if (status != KD_OK)
            break;
    }
    kade_finalize(statement);
    return status;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_unique(word_list *list)
{
    if (list->count == 0)
        return;
    qsort(list->words, list->count, sizeof *list->words, compare_words);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(list->words[i], list->words[kept - 1]) != 0)
            list->words[kept++] = list->words[i];
    list->count = kept;
}

kd_status kdi_complete(kdi_shell *shell, kd_arena *arena, kd_slice line, const char ***out_words,
                       size_t *out_count, size_t *out_typed_bytes)
{
    word_list list = {0};
    size_t begin = line.size_bytes;
    while (begin > 0 && is_word_byte(line.data[begin - 1]))
        begin--;
    bool is_command = begin == 1 && (line.data[0] == '\\' || line.data[0] == '.');
    if (is_command)
        begin = 0;
    kd_slice typed = {line.data + begin, line.size_bytes - begin};
    for (size_t i = 0; is_command && i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (strncmp(COMMANDS[i], typed.data, typed.size_bytes) == 0)
            KD_TRY(add_word(shell, arena, &list, COMMANDS[i]));
    bool may_ask = kade_session_transaction(shell->session) != KADE_TRANSACTION_FAILED;
    if (!is_command && typed.size_bytes > 0)
        KD_TRY(add_keywords(shell, arena, typed, &list));
    if (!is_command && may_ask) {
        KD_TRY(add_names(shell, arena, "SELECT table_name FROM information_schema.tables", typed,
                         &list));
        KD_TRY(add_names(shell, arena,
                         "SELECT column_name FROM information_schema.columns "
                         "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
                         typed, &list));
        KD_TRY(
            add_names(shell, arena, "SELECT nspname FROM pg_catalog.pg_namespace", typed, &list));
    }
    sort_unique(&list);
    *out_words = list.words;
    *out_count = list.count;
    *out_typed_bytes = typed.size_bytes;
    return KD_OK;
}
