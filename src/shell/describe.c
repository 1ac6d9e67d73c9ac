/*
 * The \d family, built on information_schema and pg_catalog as any client would.
 */
#include "shell/shell_internal.h"

#include <string.h>

/* $1 a LIKE pattern of the schema, $2 one of the name, $3 'S' for system objects, too. */
#define IN_SCHEMAS(column) \
    "(" column " NOT IN ('pg_catalog', 'information_schema') OR $3 = 'S') AND " column " LIKE $1 "

typedef struct listing {
    const char *name; /* The command's letters after \d. */
    const char *title;
    const char *columns;
    const char *more_columns; /* With +. */
    const char *from;         /* FROM, WHERE, ORDER BY. */
    bool shows_system;        /* Also without S. */
} listing;

#define RELATION_COLUMNS                                                            \
    "n.nspname AS \"Schema\", c.relname AS \"Name\", "                              \
    "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' "       \
    "WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' " \
    "WHEN 'S' THEN 'sequence' END AS \"Type\""
#define RELATION_MORE                                                                   \
    ", c.reltuples::bigint AS \"Rows\", "                                               \
    "pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(c.oid)) AS \"Size\", " \
    "coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') AS \"Description\""
#define RELATIONS(kinds)                                                                       \
    RELATION_COLUMNS, RELATION_MORE,                                                           \
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " \
        "WHERE c.relkind IN (" kinds                                                           \
        ") AND " IN_SCHEMAS("n.nspname") "AND c.relname LIKE $2 ORDER BY 1, 2"

static const listing LISTINGS[] = {
    {"", "List of relations", RELATIONS("'r', 'p', 'v', 'm', 'S'"), false},
    {"t", "List of tables", RELATIONS("'r', 'p'"), false},
    {"v", "List of views", RELATIONS("'v'"), false},
    {"m", "List of materialized views", RELATIONS("'m'"), false},
    {"s", "List of sequences", RELATIONS("'S'"), false},
    {"i", "List of indexes",
     "n.nspname AS \"Schema\", i.relname AS \"Name\", t.relname AS \"Table\", "
     "x.indisunique AS \"Unique\", x.indisprimary AS \"Primary\"",
     ", pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(i.oid)) AS \"Size\", "
     "pg_catalog.pg_get_indexdef(i.oid) AS \"Definition\"",
     "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
     "JOIN pg_catalog.pg_class t ON t.oid = x.indrelid "
     "JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace "
     "WHERE " IN_SCHEMAS("n.nspname") "AND i.relname LIKE $2 ORDER BY 1, 2",
     false},
    {"n", "List of schemas", "n.nspname AS \"Name\"",
     ", coalesce(pg_catalog.obj_description(n.oid, 'pg_namespace'), '') AS \"Description\"",
     "FROM pg_catalog.pg_namespace n WHERE (n.nspname NOT IN ('pg_catalog', "
     "'information_schema') OR $3 = 'S') AND n.nspname LIKE $2 AND $1 <> '' ORDER BY 1",
     false},
    {"f", "List of functions",
     "n.nspname AS \"Schema\", p.proname AS \"Name\", "
     "pg_catalog.format_type(p.prorettype, NULL) AS \"Result\", "
     "coalesce((SELECT string_agg(pg_catalog.format_type(a.type::oid, NULL), ', ' ORDER BY a.n) "
     "FROM unnest(string_to_array(p.proargtypes, ' ')) WITH ORDINALITY AS a(type, n) "
     "WHERE a.type <> ''), '') AS \"Arguments\", "
     "CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' WHEN 'p' THEN 'procedure' "
     "ELSE 'function' END AS \"Type\"",
     "",
     "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
     "WHERE n.nspname LIKE $1 AND p.proname LIKE $2 AND $3 <> '' ORDER BY 1, 2, 4",
     true},
    {"T", "List of data types", "n.nspname AS \"Schema\", t.typname AS \"Name\"",
     ", coalesce((SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) "
     "FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '') AS \"Elements\"",
     "FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
     "WHERE n.nspname LIKE $1 AND t.typname LIKE $2 AND $3 <> '' ORDER BY 1, 2",
     true},
    {"u", "List of roles",
     "rolname AS \"Role\", rolsuper AS \"Superuser\", rolcanlogin AS \"Login\"", "",
     "FROM pg_catalog.pg_roles WHERE rolname LIKE $2 AND $1 <> '' AND $3 <> '' ORDER BY 1", true},
};

/* psql's patterns: * is any text, ? one character. Folded to lower case, as names are. */
static const char *like_pattern(kdi_shell *shell, kd_slice pattern)
{
    kd_buffer out = kd_buffer_in(shell->statement_arena);
    for (size_t i = 0; i < pattern.size_bytes; i++) {
        char byte = pattern.data[i];
        bool is_sign = byte == '_' || byte == '%' || byte == '\\';
        if (byte == '*')
            byte = '%';
        else if (byte == '?')
            byte = '_';
        else if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte + 32);
        if (is_sign && kd_buffer_append_byte(&shell->ctx, &out, '\\') != KD_OK)
            return "%";
        if (kd_buffer_append_byte(&shell->ctx, &out, (uint8_t)byte) != KD_OK)
            return "%";
    }
    return out.data == NULL ? "%" : out.data;
}

/* `argument` is NAME or SCHEMA.NAME, each a pattern; NULL: all. */
static bool list(kdi_shell *shell, const listing *found, const char *argument, bool verbose,
                 bool system)
{
    const char *dot = argument == NULL ? NULL : strchr(argument, '.');
    kd_slice schema = dot == NULL ? KD_SLICE("*") : (kd_slice){argument, (size_t)(dot - argument)};
    kd_slice name =
        argument == NULL ? KD_SLICE("*") : kd_slice_of(dot == NULL ? argument : dot + 1);
    /* Who names a schema means it. */
    const char *which = system || dot != NULL ? "S" : "U";
    const char *patterns[] = {like_pattern(shell, schema), like_pattern(shell, name), which};
    char *sql = kd_format_text(&shell->ctx, shell->statement_arena, "SELECT %s%s %s",
                               found->columns, verbose ? found->more_columns : "", found->from);
    uint64_t row_count;
    if (sql == NULL)
        return false;
    bool fine = kdi_shell_query(shell, found->title, sql, patterns, 3, &row_count);
    if (fine && row_count == 0)
        fprintf(stderr, "Did not find any %s.\n", found->title + strlen("List of "));
    return fine;
}

/* ---- \d NAME ---- */

static const char COLUMNS_SQL[] =
    "SELECT a.attname AS \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) AS \"Type\", "
    "CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS \"Nullable\", "
    "coalesce(c.column_default, '') AS \"Default\"";

static const char COLUMNS_MORE_SQL[] =
    ", coalesce(pg_catalog.col_description(a.attrelid, a.attnum), '') AS \"Description\"";

static const char COLUMNS_FROM_SQL[] =
    " FROM pg_catalog.pg_attribute a "
    "LEFT JOIN information_schema.columns c ON c.table_schema = $1 AND c.table_name = $2 "
    "AND c.column_name = a.attname "
    "WHERE a.attrelid = $3::bigint AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

typedef struct detail {
    const char *title;
    const char *sql; /* $1 is the table's number. One text column. */
} detail;

static const detail DETAILS[] = {
    {"Partition key:", "SELECT k FROM pg_catalog.pg_get_partkeydef($1::bigint::oid) k "
                       "WHERE k IS NOT NULL"},
    {"Partition of:",
     "SELECT p.relname || ' ' || coalesce(c.relpartbound, '') FROM pg_catalog.pg_inherits i "
     "JOIN pg_catalog.pg_class p ON p.oid = i.inhparent "
     "JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhrelid = $1::bigint"},
    {"Partitions:",
     "SELECT c.relname || ' ' || coalesce(c.relpartbound, '') FROM pg_catalog.pg_inherits i "
     "JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::bigint "
     "ORDER BY 1"},
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
    {"View definition:", "SELECT pg_catalog.pg_get_viewdef(oid, true) FROM pg_catalog.pg_class "
                         "WHERE oid = $1::bigint AND relkind IN ('v', 'm')"},
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

static bool describe_relation(kdi_shell *shell, const char *argument, bool verbose)
{
    const char *schema, *name;
    name_split(shell, argument, &schema, &name);
    if (name == NULL)
        return false;
    if (schema == NULL) {
        const char *wanted[] = {name};
        schema = kdi_shell_lookup(shell,
                                  "SELECT n.nspname FROM pg_catalog.pg_class c "
                                  "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                                  "WHERE c.relname = $1 ORDER BY n.nspname = 'public' DESC, "
                                  "n.nspname LIKE 'pg_temp%' DESC LIMIT 1",
                                  wanted, 1);
    }
    const char *pair[] = {schema == NULL ? "public" : schema, name};
    const char *number =
        kdi_shell_lookup(shell,
                         "SELECT c.oid FROM pg_catalog.pg_class c "
                         "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                         "WHERE n.nspname = $1 AND c.relname = $2",
                         pair, 2);
    char *sql = kd_format_text(&shell->ctx, shell->statement_arena, "%s%s%s", COLUMNS_SQL,
                               verbose ? COLUMNS_MORE_SQL : "", COLUMNS_FROM_SQL);
    if (number == NULL) {
        kdi_shell_complain(shell, "Did not find any relation named \"%s\".", argument);
        return false;
    }
    char title[256];
    snprintf(title, sizeof title, "%s.%s", pair[0], name);
    const char *parameters[] = {pair[0], name, number};
    bool fine = sql != NULL && kdi_shell_query(shell, title, sql, parameters, 3, NULL);
    for (size_t i = 0; fine && i < sizeof DETAILS / sizeof DETAILS[0]; i++)
        show_detail(shell, &DETAILS[i], number);
    return fine;
}

/* The definitions of all functions of a name; the types of arguments, as psql takes them, are left
 * aside. */
bool kdi_describe_function(kdi_shell *shell, const char *argument)
{
    const char *schema, *name;
    kd_arena_reset(shell->statement_arena);
    if (argument == NULL) {
        kdi_shell_complain(shell, "function name is required");
        return false;
    }
    char *bare =
        kd_copy_text(&shell->ctx, shell->statement_arena, argument, strcspn(argument, "("));
    if (bare == NULL)
        return false;
    name_split(shell, bare, &schema, &name);
    const char *wanted[] = {schema == NULL ? "" : schema, name};
    const char *text =
        kdi_shell_lookup(shell,
                         "SELECT string_agg(pg_catalog.pg_get_functiondef(p.oid), '' ORDER BY "
                         "p.oid) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n "
                         "ON n.oid = p.pronamespace "
                         "WHERE p.proname = $2 AND ($1 = '' OR n.nspname = $1)",
                         wanted, 2);
    if (text == NULL || *text == '\0') {
        kdi_shell_complain(shell, "function \"%s\" does not exist", argument);
        return false;
    }
    fputs(text, shell->out);
    return true;
}

/* The letters + and S may follow the command in any order, as in psql. */
bool kdi_describe_run(kdi_shell *shell, const char *command, const char *argument)
{
    char name[4] = "";
    size_t size = 0;
    bool verbose = strchr(command, '+') != NULL, system = strchr(command, 'S') != NULL;
    kd_arena_reset(shell->statement_arena);
    for (const char *at = command; *at != '\0'; at++)
        if (*at != '+' && *at != 'S' && size + 1 < sizeof name)
            name[size++] = *at;
    bool has_pattern = argument != NULL && strpbrk(argument, "*?") != NULL;
    if (name[0] == '\0' && argument != NULL && !has_pattern)
        return describe_relation(shell, argument, verbose);
    for (size_t i = 0; i < sizeof LISTINGS / sizeof LISTINGS[0]; i++)
        if (strcmp(name, LISTINGS[i].name) == 0)
            return list(shell, &LISTINGS[i], argument, verbose, system || LISTINGS[i].shows_system);
    kdi_shell_complain(shell, "invalid command \\d%s; try \\? for help", command);
    return false;
}
