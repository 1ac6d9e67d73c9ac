/*
 * The \d family, built on information_schema and pg_catalog as any client would.
 */
#include "shell/shell_internal.h"

#include <string.h>

#define USER_SCHEMAS "NOT IN ('pg_catalog', 'information_schema')"

typedef struct listing {
    const char *name; /* The command's letters after \d. */
    const char *title;
    const char *sql; /* $1 is a LIKE pattern of the name. */
} listing;

#define RELATIONS(kinds)                                                                           \
    "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", "                                      \
    "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' " \
    "WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' END "        \
    "AS \"Type\" FROM pg_catalog.pg_class c "                                                      \
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "                                    \
    "WHERE c.relkind IN (" kinds ") AND n.nspname " USER_SCHEMAS " AND c.relname LIKE $1 "         \
    "ORDER BY 1, 2"

static const listing LISTINGS[] = {
    {"", "List of relations", RELATIONS("'r', 'p', 'v', 'm', 'S'")},
    {"t", "List of tables", RELATIONS("'r', 'p'")},
    {"v", "List of views", RELATIONS("'v'")},
    {"s", "List of sequences", RELATIONS("'S'")},
    {"i", "List of indexes",
     "SELECT n.nspname AS \"Schema\", i.relname AS \"Name\", t.relname AS \"Table\", "
     "x.indisunique AS \"Unique\", x.indisprimary AS \"Primary\" "
     "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
     "JOIN pg_catalog.pg_class t ON t.oid = x.indrelid "
     "JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace "
     "WHERE n.nspname " USER_SCHEMAS " AND i.relname LIKE $1 ORDER BY 1, 2"},
    {"n", "List of schemas",
     "SELECT nspname AS \"Name\" FROM pg_catalog.pg_namespace "
     "WHERE nspname " USER_SCHEMAS " AND nspname LIKE $1 ORDER BY 1"},
    {"f", "List of functions",
     "SELECT n.nspname AS \"Schema\", p.proname AS \"Name\" FROM pg_catalog.pg_proc p "
     "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
     "WHERE p.proname LIKE $1 ORDER BY 1, 2"},
    {"T", "List of data types",
     "SELECT n.nspname AS \"Schema\", t.typname AS \"Name\" FROM pg_catalog.pg_type t "
     "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
     "WHERE t.typname LIKE $1 ORDER BY 1, 2"},
};

/* psql's patterns: * is any text, ? one character. Folded to lower case, as names are. */
static const char *like_pattern(kdi_shell *shell, const char *pattern)
{
    if (pattern == NULL)
        return "%";
    kd_buffer out = kd_buffer_in(shell->statement_arena);
    for (const char *at = pattern; *at != '\0'; at++) {
        char byte = *at;
        if (byte == '*')
            byte = '%';
        else if (byte == '?')
            byte = '_';
        else if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte + 32);
        bool is_sign = *at == '_' || *at == '%' || *at == '\\';
        if (is_sign && kd_buffer_append_byte(&shell->ctx, &out, '\\') != KD_OK)
            return "%";
        if (kd_buffer_append_byte(&shell->ctx, &out, (uint8_t)byte) != KD_OK)
            return "%";
    }
    return out.data == NULL ? "%" : out.data;
}

static bool list(kdi_shell *shell, const listing *found, const char *argument)
{
    const char *pattern = like_pattern(shell, argument);
    uint64_t row_count;
    bool fine = kdi_shell_query(shell, found->title, found->sql, &pattern, 1, &row_count);
    if (fine && row_count == 0)
        fprintf(stderr, "Did not find any %s.\n", found->title + strlen("List of "));
    return fine;
}

/* ---- \d NAME ---- */

static const char COLUMNS_SQL[] =
    "SELECT a.attname AS \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) AS \"Type\", "
    "CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS \"Nullable\", "
    "coalesce(c.column_default, '') AS \"Default\" "
    "FROM pg_catalog.pg_attribute a "
    "LEFT JOIN information_schema.columns c ON c.table_schema = $1 AND c.table_name = $2 "
    "AND c.column_name = a.attname "
    "WHERE a.attrelid = $3::bigint AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/* For catalogs without format_type: the standard's view alone. */
static const char COLUMNS_STANDARD_SQL[] =
    "SELECT column_name AS \"Column\", data_type AS \"Type\", "
    "CASE WHEN is_nullable = 'NO' THEN 'not null' ELSE '' END AS \"Nullable\", "
    "coalesce(column_default, '') AS \"Default\" FROM information_schema.columns "
    "WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position";

typedef struct detail {
    const char *title;
    const char *sql; /* $1 is the table's number. One text column. */
} detail;

static const detail DETAILS[] = {
    {"Indexes:", "SELECT pg_catalog.pg_get_indexdef(x.indexrelid) FROM pg_catalog.pg_index x "
                 "JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
                 "WHERE x.indrelid = $1::bigint ORDER BY x.indisprimary DESC, i.relname"},
    {"Check constraints:",
     "SELECT '\"' || conname || '\" ' || pg_catalog.pg_get_constraintdef(oid) "
     "FROM pg_catalog.pg_constraint WHERE conrelid = $1::bigint AND contype = 'c' ORDER BY "
     "conname"},
    {"Foreign-key constraints:",
     "SELECT '\"' || conname || '\" ' || pg_catalog.pg_get_constraintdef(oid) "
     "FROM pg_catalog.pg_constraint WHERE conrelid = $1::bigint AND contype = 'f' ORDER BY "
     "conname"},
    {"Referenced by:",
     "SELECT 'TABLE \"' || t.relname || '\" CONSTRAINT \"' || k.conname || '\" ' || "
     "pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k "
     "JOIN pg_catalog.pg_class t ON t.oid = k.conrelid "
     "WHERE k.confrelid = $1::bigint AND k.contype = 'f' ORDER BY k.conname"},
    {"View definition:", "SELECT pg_catalog.pg_get_viewdef(oid) FROM pg_catalog.pg_class "
                         "WHERE oid = $1::bigint AND relkind = 'v'"},
};

/* What this version's catalog cannot answer is left out. */
static void show_detail(kdi_shell *shell, const detail *what, const char *number)
{
    kade_statement *statement;
    if (kade_prepare(shell->session, what->sql, KADE_NUL, &statement) != KADE_OK)
        return;
    bool has_row = false, is_first = true;
    if (kade_bind_text(statement, 1, number, KADE_NUL) == KADE_OK)
        while (kade_step(statement, &has_row) == KADE_OK && has_row) {
            if (is_first)
                fprintf(shell->out, "%s\n", what->title);
            is_first = false;
            fprintf(shell->out, "    %s\n", kade_column_text(statement, 0, NULL));
        }
    kade_finalize(statement);
}

static bool query_is_known(kdi_shell *shell, const char *sql)
{
    kade_statement *statement;
    bool known = kade_prepare(shell->session, sql, KADE_NUL, &statement) == KADE_OK;
    kade_finalize(statement);
    return known;
}

/* Splits schema.name and folds what is not quoted. */
static void name_split(kdi_shell *shell, const char *argument, const char **out_schema,
                       const char **out_name)
{
    char *parts[2] = {NULL, NULL};
    int count = 0;
    const char *at = argument;
    while (*at != '\0' && count < 2) {
        char *part = kd_alloc(&shell->ctx, shell->statement_arena, strlen(at) + 1);
        if (part == NULL)
            break;
        size_t size = 0;
        bool quoted = *at == '"';
        at += quoted;
        while (*at != '\0' && (quoted ? *at != '"' : *at != '.')) {
            char byte = *at++;
            part[size++] = !quoted && byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
        }
        at += quoted && *at == '"';
        at += *at == '.';
        parts[count++] = part;
    }
    *out_schema = count == 2 ? parts[0] : NULL;
    *out_name = count == 2 ? parts[1] : parts[0];
}

static bool describe_relation(kdi_shell *shell, const char *argument)
{
    const char *schema, *name;
    name_split(shell, argument, &schema, &name);
    if (name == NULL)
        return false;
    if (schema == NULL) {
        const char *wanted[] = {name};
        schema = kdi_shell_lookup(shell,
                                  "SELECT table_schema FROM information_schema.tables "
                                  "WHERE table_name = $1 ORDER BY table_schema = 'public' DESC "
                                  "LIMIT 1",
                                  wanted, 1);
    }
    const char *pair[] = {schema == NULL ? "public" : schema, name};
    const char *number =
        kdi_shell_lookup(shell,
                         "SELECT c.oid FROM pg_catalog.pg_class c "
                         "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                         "WHERE n.nspname = $1 AND c.relname = $2",
                         pair, 2);
    if (number == NULL && schema == NULL) {
        kdi_shell_complain(shell, "Did not find any relation named \"%s\".", argument);
        return false;
    }
    char title[256];
    snprintf(title, sizeof title, "%s.%s", pair[0], name);
    bool rich = number != NULL && query_is_known(shell, COLUMNS_SQL);
    const char *parameters[] = {pair[0], name, number};
    bool fine = kdi_shell_query(shell, title, rich ? COLUMNS_SQL : COLUMNS_STANDARD_SQL, parameters,
                                rich ? 3 : 2, NULL);
    for (size_t i = 0; number != NULL && fine && i < sizeof DETAILS / sizeof DETAILS[0]; i++)
        show_detail(shell, &DETAILS[i], number);
    return fine;
}

bool kdi_describe_run(kdi_shell *shell, const char *name, const char *argument)
{
    kd_arena_reset(shell->statement_arena);
    bool has_pattern = argument != NULL && strpbrk(argument, "*?") != NULL;
    if (name[0] == '\0' && argument != NULL && !has_pattern)
        return describe_relation(shell, argument);
    for (size_t i = 0; i < sizeof LISTINGS / sizeof LISTINGS[0]; i++)
        if (strcmp(name, LISTINGS[i].name) == 0)
            return list(shell, &LISTINGS[i], argument);
    kdi_shell_complain(shell, "invalid command \\d%s; try \\? for help", name);
    return false;
}
