/*
 * Runs SQL tests in sqllogictest's form against a database of its own.
 *
 *     run_sql [--mode delta|always|mixed] [--every N] [--show N] [--stop]
 *             [--misses FILE] [--directory DIR] FILE...
 *
 * A file is a list of records: "statement ok", "statement error [SQLSTATE]", "statement count N",
 * and "query TYPES [nosort|rowsort|valuesort] [label]" with results after "----". Types are T (text
 * exactly as PostgreSQL prints it), I (an integer) and R (three decimals), as the public suite has
 * them. Results may be a hash: "30 values hashing to ...". Conditions "skipif"/"onlyif" are taken
 * as for postgresql. Files that end in .zst are unpacked on the way.
 *
 * Beyond the public form: "connection NAME" (the next record runs in a session of that name), and
 * query results whose rows are on one line each, values separated by tabs, when the query line says
 * "tabs" (a tab or a line's end inside a value is shown as \t or \n). NULL is printed NULL, an
 * empty text (empty). `--show N` shows that many failures instead of 40. `--misses FILE` names the
 * failures that are known: lines of a part of the file's name, a tab, and a part of the report.
 *
 * Modes: delta leaves rows where they are written; always flushes after every statement; mixed
 * flushes and compacts now and then. `--every N` runs all statements but only each Nth query.
 */
#include <kade.h>

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { LINE_BYTES_MAX = 1 << 20, SESSIONS_MAX = 16, SHOWN_FAILURES = 40 };

typedef struct text {
    char *data;
    size_t size, capacity;
} text;

typedef struct strings {
    char **items;
    size_t count, capacity;
} strings;

typedef struct named_session {
    char name[32];
    kade_session *session;
} named_session;

typedef struct runner {
    const char *file;
    const char *mode;
    long every;
    long shown_max;
    bool stop;
    kade_database *database;
    named_session sessions[SESSIONS_MAX];
    size_t session_count;
    kade_session *current;
    long passed, failed, skipped, explained, query_number;
    char *misses; /* NULL: none are known */
    long hash_threshold;
    char *at; /* Where the file is being read. */
    int line_number;
} runner;

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "run_sql: out of memory\n");
        exit(2);
    }
    return memory;
}

static void text_add(text *to, const char *data, size_t size)
{
    if (to->size + size + 1 > to->capacity) {
        to->capacity = (to->size + size + 1) * 2;
        to->data = must(realloc(to->data, to->capacity));
    }
    memcpy(to->data + to->size, data, size);
    to->size += size;
    to->data[to->size] = '\0';
}

static void strings_add(strings *to, const char *data, size_t size)
{
    if (to->count == to->capacity) {
        to->capacity = to->capacity * 2 + 16;
        to->items = must(realloc(to->items, to->capacity * sizeof *to->items));
    }
    char *copy = must(malloc(size + 1));
    memcpy(copy, data, size);
    copy[size] = '\0';
    to->items[to->count++] = copy;
}

static void strings_clear(strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (strings){0};
}

/* --- Failures --------------------------------------------------------------------------------- */

/* Whether a line of the known misses is about this report. */
static bool is_known(const runner *run, const char *report)
{
    for (const char *at = run->misses; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '\n');
        size_t length = end == NULL ? strlen(at) : (size_t)(end - at);
        const char *tab = memchr(at, '\t', length);
        if (tab != NULL && at[0] != '#' &&
            memmem(run->file, strlen(run->file), at, (size_t)(tab - at)) != NULL &&
            memmem(report, strlen(report), tab + 1, length - (size_t)(tab + 1 - at)) != NULL)
            return true;
        at = end == NULL ? NULL : end + 1;
    }
    return false;
}

__attribute__((format(printf, 3, 4))) static bool fail(runner *run, int line, const char *format,
                                                       ...)
{
    char report[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(report, sizeof report, format, args);
    va_end(args);
    if (is_known(run, report)) {
        run->explained++;
        return false;
    }
    if (run->failed++ < run->shown_max)
        printf("%s:%d: [%s] %s\n", run->file, line, run->mode, report);
    return false;
}

/* --- The database ------------------------------------------------------------------------------
 */

static kade_session *session_of(runner *run, const char *name)
{
    for (size_t i = 0; i < run->session_count; i++)
        if (strcmp(run->sessions[i].name, name) == 0)
            return run->sessions[i].session;
    if (run->session_count == SESSIONS_MAX) {
        fprintf(stderr, "run_sql: too many connections\n");
        exit(2);
    }
    named_session *added = &run->sessions[run->session_count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    kade_error *error = NULL;
    if (kade_connect(run->database, &added->session, &error) != KADE_OK) {
        fprintf(stderr, "run_sql: connect: %s\n", error->message);
        exit(2);
    }
    char set[64];
    snprintf(set, sizeof set, "SET kade.flush_mode = '%s'",
             strcmp(run->mode, "delta") == 0 ? "off" : run->mode);
    if (kade_execute(added->session, set, KADE_NUL, NULL, NULL) != KADE_OK) {
        fprintf(stderr, "run_sql: %s\n", kade_session_error(added->session)->message);
        exit(2);
    }
    return added->session;
}

static void close_sessions(runner *run)
{
    for (size_t i = 0; i < run->session_count; i++)
        kade_disconnect(run->sessions[i].session);
    run->session_count = 0;
}

/* --- Running ------------------------------------------------------------------------------------
 */

typedef struct answer {
    strings values;
    size_t column_count;
    const char *types;
    bool tabs;
    kade_session *session;
    int64_t affected;
} answer;

/* A value that fits on one line among tabs. */
static void add_escaped(strings *values, const char *value, size_t size)
{
    text shown = {0};
    for (size_t i = 0; i < size; i++) {
        if (value[i] == '\n' || value[i] == '\t')
            text_add(&shown, value[i] == '\n' ? "\\n" : "\\t", 2);
        else
            text_add(&shown, value + i, 1);
    }
    strings_add(values, shown.data, shown.size);
    free(shown.data);
}

static void add_value(answer *got, kade_statement *statement, uint32_t column)
{
    char type = column < strlen(got->types) ? got->types[column] : 'T';
    char number[512];
    if (kade_column_is_null(statement, column)) {
        strings_add(&got->values, "NULL", 4);
        return;
    }
    if (type == 'R') {
        int length = snprintf(number, sizeof number, "%.3f", kade_column_double(statement, column));
        strings_add(&got->values, number, (size_t)length);
        return;
    }
    size_t size;
    const char *value = kade_column_text(statement, column, &size);
    if (type == 'I' && strpbrk(value, ".eE") != NULL) {
        int length = snprintf(number, sizeof number, "%lld",
                              (long long)kade_column_double(statement, column));
        strings_add(&got->values, number, (size_t)length);
        return;
    }
    if (type == 'I' && (strcmp(value, "t") == 0 || strcmp(value, "f") == 0)) {
        strings_add(&got->values, value[0] == 't' ? "1" : "0", 1);
        return;
    }
    if (type == 'I' && strspn(value, "-0123456789") < size) {
        strings_add(&got->values, "0", 1); /* A text among integers, as in the public suite. */
        return;
    }
    if (size == 0) {
        strings_add(&got->values, "(empty)", 7);
        return;
    }
    if (got->tabs)
        add_escaped(&got->values, value, size);
    else
        strings_add(&got->values, value, size);
}

static kade_status read_result(void *object, kade_statement *statement)
{
    answer *got = object;
    got->column_count = kade_column_count(statement);
    for (;;) {
        bool has_row;
        kade_status status = kade_step(statement, &has_row);
        if (status != KADE_OK)
            return status;
        if (!has_row)
            break;
        got->column_count = kade_column_count(statement);
        for (uint32_t i = 0; i < got->column_count; i++)
            add_value(got, statement, i);
    }
    got->affected = kade_rows_affected(statement);
    return KADE_OK;
}

static kade_status execute(runner *run, const char *sql, const char *types, bool tabs, answer *got)
{
    *got = (answer){.types = types, .tabs = tabs, .session = run->current};
    return kade_execute(run->current, sql, strlen(sql), read_result, got);
}

/* --- Reading the file ----------------------------------------------------------------------------
 */

static char *next_line(runner *run)
{
    if (*run->at == '\0')
        return NULL;
    char *line = run->at;
    char *end = strchr(line, '\n');
    if (end == NULL) {
        run->at = line + strlen(line);
    } else {
        run->at = end + 1;
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
    }
    run->line_number++;
    return line;
}

/* The statement's text: lines up to an empty one or "----". */
static bool read_sql(runner *run, text *sql)
{
    char *line;
    sql->size = 0;
    text_add(sql, "", 0);
    while ((line = next_line(run)) != NULL && line[0] != '\0') {
        if (strcmp(line, "----") == 0)
            return true;
        if (sql->size > 0)
            text_add(sql, "\n", 1);
        text_add(sql, line, strlen(line));
    }
    return false;
}

static void read_expected(runner *run, strings *expected)
{
    char *line;
    while ((line = next_line(run)) != NULL && line[0] != '\0')
        strings_add(expected, line, strlen(line));
}

static size_t split(char *line, char **words, size_t max)
{
    size_t count = 0;
    for (char *word = strtok(line, " \t"); word != NULL && count < max; word = strtok(NULL, " \t"))
        words[count++] = word;
    return count;
}

/* --- Comparing
 * ------------------------------------------------------------------------------------ */

static size_t row_width;

static int compare_values(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_rows(const void *a, const void *b)
{
    char *const *left = a, *const *right = b;
    for (size_t i = 0; i < row_width; i++) {
        int order = strcmp(left[i], right[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

static void sort_values(strings *values, const char *how, size_t width)
{
    row_width = width;
    if (values->count == 0 || width == 0)
        return;
    if (strcmp(how, "rowsort") == 0)
        qsort(values->items, values->count / width, width * sizeof(char *), compare_rows);
    else if (strcmp(how, "valuesort") == 0)
        qsort(values->items, values->count, sizeof(char *), compare_values);
}

static void hash_values(const strings *values, char out[33])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *md5 = must(EVP_MD_CTX_new());
    EVP_DigestInit_ex(md5, EVP_md5(), NULL);
    for (size_t i = 0; i < values->count; i++) {
        EVP_DigestUpdate(md5, values->items[i], strlen(values->items[i]));
        EVP_DigestUpdate(md5, "\n", 1);
    }
    EVP_DigestFinal_ex(md5, digest, &length);
    EVP_MD_CTX_free(md5);
    for (unsigned i = 0; i < 16; i++)
        snprintf(out + i * 2, 3, "%02x", digest[i]);
}

/* Rows on one line each become values. */
static void split_tabs(strings *expected)
{
    strings values = {0};
    for (size_t i = 0; i < expected->count; i++) {
        char *at = expected->items[i];
        for (char *tab; (tab = strchr(at, '\t')) != NULL; at = tab + 1)
            strings_add(&values, at, (size_t)(tab - at));
        strings_add(&values, at, strlen(at));
    }
    strings_clear(expected);
    *expected = values;
}

static bool same(runner *run, int line, const char *sql, const strings *got,
                 const strings *expected)
{
    if (expected->count == 1 && strstr(expected->items[0], " values hashing to ") != NULL) {
        char hash[33], wanted[80];
        hash_values(got, hash);
        snprintf(wanted, sizeof wanted, "%zu values hashing to %s", got->count, hash);
        if (strcmp(wanted, expected->items[0]) == 0)
            return true;
        return fail(run, line, "expected %s, got %s\n    in %.300s", expected->items[0], wanted,
                    sql);
    }
    if (got->count != expected->count) {
        return fail(run, line, "expected %zu values, got %zu%s%.300s\n    in %.300s",
                    expected->count, got->count, got->count > 0 ? ", first: " : "",
                    got->count > 0 ? got->items[0] : "", sql);
    }
    for (size_t i = 0; i < got->count; i++) {
        if (strcmp(got->items[i], expected->items[i]) == 0)
            continue;
        return fail(run, line, "value %zu: expected \"%.300s\", got \"%.300s\"\n    in %.300s",
                    i + 1, expected->items[i], got->items[i], sql);
    }
    return true;
}

/* --- Records
 * --------------------------------------------------------------------------------------- */

static void run_statement(runner *run, int line, const char *wanted, const char *detail,
                          const text *sql, bool skip)
{
    answer got;
    if (skip) {
        run->skipped++;
        return;
    }
    kade_status status = execute(run, sql->data, "", false, &got);
    const kade_error *error = kade_session_error(run->current);
    if (strcmp(wanted, "error") == 0) {
        if (status == KADE_OK)
            fail(run, line, "succeeded, but an error was expected: %.300s", sql->data);
        else if (detail != NULL && strcmp(detail, error->sqlstate) != 0)
            fail(run, line, "expected error %s, got %s: %s", detail, error->sqlstate,
                 error->message);
        else
            run->passed++;
    } else if (status != KADE_OK) {
        fail(run, line, "%s: %s\n    in %.300s", error->sqlstate, error->message, sql->data);
    } else if (strcmp(wanted, "count") == 0 && detail != NULL && atol(detail) != got.affected) {
        fail(run, line, "expected %s rows affected, got %lld", detail, (long long)got.affected);
    } else {
        run->passed++;
    }
    strings_clear(&got.values);
}

static void run_query(runner *run, int line, char **words, size_t word_count, const text *sql,
                      strings *expected, bool skip)
{
    const char *types = word_count > 1 ? words[1] : "T";
    const char *sort = "nosort";
    bool tabs = false;
    for (size_t i = 2; i < word_count; i++) {
        if (strcmp(words[i], "rowsort") == 0 || strcmp(words[i], "valuesort") == 0)
            sort = words[i];
        tabs |= strcmp(words[i], "tabs") == 0;
    }
    if (skip || (run->every > 1 && run->query_number++ % run->every != 0)) {
        run->skipped++;
        return;
    }
    answer got;
    if (tabs)
        split_tabs(expected);
    if (execute(run, sql->data, types, tabs, &got) != KADE_OK) {
        const kade_error *error = kade_session_error(run->current);
        fail(run, line, "%s: %s\n    in %.300s", error->sqlstate, error->message, sql->data);
    } else {
        sort_values(&got.values, sort, got.column_count);
        if (tabs)
            sort_values(expected, sort, got.column_count);
        if (same(run, line, sql->data, &got.values, expected))
            run->passed++;
    }
    strings_clear(&got.values);
}

/* Whether the record is for other engines; several conditions may stand above one record. */
static bool condition_skips(char **words, size_t count)
{
    bool ours = count > 1 && (strcmp(words[1], "postgresql") == 0 || strcmp(words[1], "kade") == 0);
    return strcmp(words[0], "skipif") == 0 ? ours : !ours;
}

static void run_record(runner *run, char *line, bool *skip)
{
    char *words[16];
    int started = run->line_number;
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", line);
    size_t count = split(copy, words, 16);
    if (count == 0 || words[0][0] == '#')
        return;
    if (strcmp(words[0], "skipif") == 0 || strcmp(words[0], "onlyif") == 0) {
        *skip |= condition_skips(words, count);
        return;
    }
    if (strcmp(words[0], "connection") == 0 && count > 1) {
        run->current = session_of(run, words[1]);
        return;
    }
    if (strcmp(words[0], "halt") == 0) {
        if (!*skip)
            run->at += strlen(run->at);
        *skip = false;
        return;
    }
    text sql = {0};
    strings expected = {0};
    if (strcmp(words[0], "statement") == 0) {
        if (read_sql(run, &sql))
            read_expected(run, &expected);
        run_statement(run, started, count > 1 ? words[1] : "ok", count > 2 ? words[2] : NULL, &sql,
                      *skip);
    } else if (strcmp(words[0], "query") == 0) {
        if (read_sql(run, &sql))
            read_expected(run, &expected);
        run_query(run, started, words, count, &sql, &expected, *skip);
    } else if (strcmp(words[0], "hash-threshold") != 0) {
        fail(run, started, "not a record: %s", line);
    }
    *skip = false;
    strings_clear(&expected);
    free(sql.data);
}

/* --- Files
 * ---------------------------------------------------------------------------------------- */

static bool read_file(const char *path, text *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    char buffer[65536];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_add(out, buffer, got);
    fclose(file);
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 4, ".zst") != 0)
        return true;
    unsigned long long plain_size = ZSTD_getFrameContentSize(out->data, out->size);
    if (plain_size == ZSTD_CONTENTSIZE_ERROR || plain_size == ZSTD_CONTENTSIZE_UNKNOWN)
        plain_size = 512ull << 20;
    char *plain = must(malloc((size_t)plain_size + 1));
    size_t size = ZSTD_decompress(plain, (size_t)plain_size, out->data, out->size);
    free(out->data);
    if (ZSTD_isError(size)) {
        free(plain);
        return false;
    }
    plain[size] = '\0';
    *out = (text){.data = plain, .size = size, .capacity = size + 1};
    return true;
}

static void run_file(runner *run, const char *path, const char *database_path)
{
    text content = {0};
    kade_error *error = NULL;
    run->file = path;
    run->line_number = 0;
    if (!read_file(path, &content)) {
        printf("%s: cannot be read\n", path);
        run->failed++;
        free(content.data);
        return;
    }
    if (kade_open(database_path, KADE_NUL, NULL, &run->database, &error) != KADE_OK) {
        printf("%s: cannot open %s: %s\n", path, database_path, error->message);
        kade_error_free(error);
        run->failed++;
        free(content.data);
        return;
    }
    run->current = session_of(run, "default");
    run->at = content.data;
    bool skip = false;
    char *line;
    while ((line = next_line(run)) != NULL) {
        run_record(run, line, &skip);
        if (run->stop && run->failed > 0)
            break;
    }
    close_sessions(run);
    kade_close(run->database);
    free(content.data);
}

int main(int argc, char **argv)
{
    runner run = {.mode = "delta", .every = 1, .shown_max = SHOWN_FAILURES};
    const char *directory = NULL;
    int file_count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
            run.mode = argv[++i];
        } else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc) {
            run.every = atol(argv[++i]);
        } else if (strcmp(argv[i], "--show") == 0 && i + 1 < argc) {
            run.shown_max = atol(argv[++i]);
        } else if (strcmp(argv[i], "--misses") == 0 && i + 1 < argc) {
            text known = {0};
            if (!read_file(argv[++i], &known))
                return 2;
            run.misses = known.data;
        } else if (strcmp(argv[i], "--directory") == 0 && i + 1 < argc) {
            directory = argv[++i];
        } else if (strcmp(argv[i], "--stop") == 0) {
            run.stop = true;
        } else {
            char path[4096];
            snprintf(path, sizeof path, "%s/sql-%d-%d.kade", directory == NULL ? "" : directory,
                     (int)getpid(), file_count++);
            run_file(&run, argv[i], directory == NULL ? ":memory:" : path);
        }
    }
    free(run.misses);
    printf("%ld passed, %ld failed, %ld skipped, %ld known misses\n", run.passed, run.failed,
           run.skipped, run.explained);
    return run.failed == 0 ? 0 : 1;
}
