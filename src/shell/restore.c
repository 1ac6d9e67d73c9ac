/*
 * kade restore: a database of a backup and the archive behind it, or one table of it in another
 * database.
 *
 * For a table the whole is restored beside the database, under a name of its own, and removed in
 * the end. The table comes into the other database with all its rows in one transaction, or not at
 * all.
 */
#include "shell/shell_internal.h"

#include <string.h>

static const char usage[] =
    "usage: kade restore TARGET DIRECTORY                 the latest that there is\n"
    "       kade restore TARGET DIRECTORY --to MOMENT     such as '2026-12-01 14:02:59+00'\n"
    "       kade restore TARGET DIRECTORY --to-position N\n"
    "       kade restore TARGET DIRECTORY --backup BACKUP without what the archive has\n"
    "       kade restore TARGET --table TABLE --into DB [--as NAME] [--to ...]\n"
    "                                                     one table, into a database that is "
    "there\n"
    "TARGET is a directory of backups, DIRECTORY a new one.\n";

typedef struct restore_words {
    const char *target, *directory;
    const char *backup, *moment;
    uint64_t position;
    const char *table, *into, *as;
} restore_words;

static bool words_parse(restore_words *out, int argc, char **argv)
{
    *out = (restore_words){0};
    const struct {
        const char *name, **value;
    } options[] = {{"--backup", &out->backup},
                   {"--to", &out->moment},
                   {"--table", &out->table},
                   {"--into", &out->into},
                   {"--as", &out->as}};
    for (int i = 1; i < argc; i++) {
        const char **value = NULL;
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++)
            if (strcmp(argv[i], options[k].name) == 0)
                value = options[k].value;
        bool is_position = strcmp(argv[i], "--to-position") == 0;
        if ((value != NULL || is_position) && i + 1 == argc)
            return false;
        if (is_position && !kdi_parse_size(argv[++i], &out->position))
            return false;
        if (value != NULL)
            *value = argv[++i];
        else if (!is_position && (argv[i][0] == '-' || out->directory != NULL))
            return false;
        else if (!is_position)
            *(out->target == NULL ? &out->target : &out->directory) = argv[i];
    }
    int ends = (out->backup != NULL) + (out->moment != NULL) + (out->position != 0);
    bool is_table = out->table != NULL && out->into != NULL && out->directory == NULL;
    bool is_whole =
        out->directory != NULL && out->table == NULL && out->into == NULL && out->as == NULL;
    return out->target != NULL && ends <= 1 && (is_table || is_whole);
}

static const char *restore_sql(kdi_shell *shell, const restore_words *words, const char *directory)
{
    const char *target = kdi_quote_literal(shell, words->target);
    const char *quoted = kdi_quote_literal(shell, directory);
    if (words->backup != NULL)
        return kd_format_text(
            &shell->ctx, shell->arena,
            "SELECT backup, taken, files, bytes FROM kade_backup_restore(%s, %s, %s)", target,
            quoted, kdi_quote_literal(shell, words->backup));
    if (words->moment != NULL)
        return kd_format_text(&shell->ctx, shell->arena,
                              "SELECT * FROM kade_restore_to(%s, %s, %s::timestamptz)", target,
                              quoted, kdi_quote_literal(shell, words->moment));
    if (words->position != 0)
        return kd_format_text(&shell->ctx, shell->arena,
                              "SELECT * FROM kade_restore_to(%s, %s, %llu::bigint)", target, quoted,
                              (unsigned long long)words->position);
    return kd_format_text(&shell->ctx, shell->arena, "SELECT * FROM kade_restore(%s, %s)", target,
                          quoted);
}

static bool restore_run(const restore_words *words, const char *directory, bool is_silent)
{
    kdi_shell shell;
    bool fine = kdi_program_open(&shell, ":memory:", false);
    if (fine) {
        const char *sql = restore_sql(&shell, words, directory);
        fine = sql != NULL && (is_silent ? kdi_shell_run_silently(&shell, kd_slice_of(sql))
                                         : kdi_shell_run(&shell, kd_slice_of(sql)));
    }
    kdi_program_close(&shell);
    return fine;
}

/* --- One table ------------------------------------------------------------------------------- */

/* What is beside the table, a sequence for one, does not come with it: its defaults do not either.
 * A generated column has the values that it had. */
static const char columns_sql[] =
    "SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) ||"
    " CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END ||"
    " CASE WHEN d.adbin IS NOT NULL AND a.attgenerated = ''"
    "  AND pg_get_expr(d.adbin, d.adrelid) NOT LIKE '%nextval(%'"
    "  THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END, ', ' ORDER BY a.attnum)"
    " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped";
/* Without names, which belong to the table that may still be there. */
static const char constraints_sql[] =
    "SELECT string_agg('ADD ' || pg_get_constraintdef(oid), ', ' ORDER BY contype = 'c', oid)"
    " FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'c')";
static const char indexes_sql[] =
    "SELECT string_agg(regexp_replace(pg_get_indexdef(i.indexrelid),"
    " '^CREATE (UNIQUE )?INDEX .+? ON .+? USING ', 'CREATE \\1INDEX ON ' || $2 || ' USING '), ';')"
    " FROM pg_index i WHERE i.indrelid = $1::regclass AND NOT EXISTS"
    " (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))";

/* The statements that make the table, and its rows in a file. */
static const char *table_export(kdi_shell *shell, const restore_words *words, const char *file)
{
    const char *from = kdi_quote_name(shell, words->table);
    const char *to = kdi_quote_name(shell, words->as == NULL ? words->table : words->as);
    const char *parameters[] = {from, to};
    const char *columns = kdi_shell_lookup(shell, columns_sql, parameters, 1);
    if (columns == NULL) {
        kdi_shell_complain(shell, "there is no table %s in what was restored", from);
        return NULL;
    }
    kd_buffer text = kd_buffer_in(shell->arena);
    const char *quoted = kdi_quote_literal(shell, file);
    kd_status status = kd_buffer_append_format(
        &shell->ctx, &text, "CREATE TABLE %s (%s); COPY %s FROM %s (FORMAT csv);", to, columns, to,
        quoted);
    const char *constraints = kdi_shell_lookup(shell, constraints_sql, parameters, 1);
    if (status == KD_OK && constraints != NULL)
        status = kd_buffer_append_format(&shell->ctx, &text, "ALTER TABLE %s %s;", to, constraints);
    const char *indexes = kdi_shell_lookup(shell, indexes_sql, parameters, 2);
    if (status == KD_OK && indexes != NULL)
        status = kd_buffer_append_format(&shell->ctx, &text, "%s;", indexes);
    const char *copy =
        kd_format_text(&shell->ctx, shell->arena, "COPY %s TO %s (FORMAT csv)", from, quoted);
    if (status != KD_OK || copy == NULL || !kdi_shell_run_silently(shell, kd_slice_of(copy)))
        return NULL;
    return text.data;
}

static bool table_import(const restore_words *words, const char *statements)
{
    kdi_shell shell;
    bool fine = kdi_program_open(&shell, words->into, true) &&
                kdi_shell_run_silently(&shell, KD_SLICE("BEGIN")) &&
                kdi_shell_run_text(&shell, statements) && kdi_shell_run(&shell, KD_SLICE("COMMIT"));
    kdi_program_close(&shell);
    return fine;
}

/* --- What was restored beside goes again ----------------------------------------------------- */

typedef struct removal {
    kd_arena *arena;
    const char *directory;
} removal;

static kd_status tree_remove(kd_ctx *ctx, kd_arena *arena, const char *directory);

static kd_status entry_remove(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    const removal *run = object;
    if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
        return KD_OK;
    const char *path = kd_format_text(ctx, run->arena, "%s/%s", run->directory, entry->name);
    if (path == NULL)
        return KD_NOMEM;
    return entry->is_directory ? tree_remove(ctx, run->arena, path)
                               : ctx->world->path_remove(ctx, path);
}

static kd_status tree_remove(kd_ctx *ctx, kd_arena *arena, const char *directory)
{
    removal run = {.arena = arena, .directory = directory};
    KD_TRY(ctx->world->directory_list(ctx, directory, entry_remove, &run));
    return ctx->world->path_remove(ctx, directory);
}

static void beside_remove(const char *directory, const char *file)
{
    bool exists;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "removal", KD_ARENA_UNLIMITED);
    kd_status status = arena == NULL ? KD_NOMEM : ctx.world->path_exists(&ctx, file, &exists);
    if (status == KD_OK && exists)
        status = ctx.world->path_remove(&ctx, file);
    if (status == KD_OK)
        status = ctx.world->path_exists(&ctx, directory, &exists);
    if (status == KD_OK && exists)
        status = tree_remove(&ctx, arena, directory);
    if (status != KD_OK)
        fprintf(stderr, "could not remove \"%s\": %s\n", directory, ctx.error.message);
    kd_arena_destroy(arena);
}

/* The file's name must mean the same to the process that has the database open. */
static bool table_restore(const restore_words *words)
{
    kdi_shell shell;
    const char *statements = NULL;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "table", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return false;
    unsigned long long chance = ctx.world->random_u64(ctx.world);
    const char *directory =
        kd_format_text(&ctx, arena, "%s.restoring-%016llx", words->into, chance);
    const char *file = directory == NULL ? NULL : kd_format_text(&ctx, arena, "%s.csv", directory);
    bool fine = file != NULL && restore_run(words, directory, true);
    if (fine) {
        fine = kdi_program_open(&shell, directory, true);
        if (fine)
            statements = table_export(&shell, words, file);
        fine = statements != NULL && table_import(words, statements);
        kdi_program_close(&shell);
    }
    if (file != NULL)
        beside_remove(directory, file);
    kd_arena_destroy(arena);
    return fine;
}

int kdi_restore_main(int argc, char **argv)
{
    restore_words words;
    if (!words_parse(&words, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    bool fine =
        words.table != NULL ? table_restore(&words) : restore_run(&words, words.directory, false);
    return fine ? 0 : 1;
}
