/*
 * The statement log: lines, the buffer between statements and the file, rotation.
 */
#include "engine/statement_log.h"

#include "types/datetime.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LINE_BYTES = 8192, /* Longer statements are cut. */
    BUFFER_BYTES = 256 * 1024,
    FILES_MAX = 8, /* Old ones that are kept. */
    PATH_BYTES = 4096,
};

typedef struct line {
    size_t size_bytes;
    char text[LINE_BYTES];
} line;

struct kdi_statement_log {
    kd_database *database;
    kd_world *world;
    kd_mutex lock; /* Guards what follows, to the next remark. */
    kd_cond changed;
    kd_thread *writer;
    bool stops;
    char *buffer; /* Filled by statements; of BUFFER_BYTES, as is the other one. */
    size_t size_bytes;
    uint64_t lost_count;
    kd_slice directory, file_name;
    uint64_t rotation_bytes;
    uint32_t place_no; /* Grows with every change of the place. */
    /* The writer's own. */
    char *writing;
    char path[PATH_BYTES];
    kd_file *file;
    uint32_t file_place_no;
    uint64_t file_bytes;
    uint64_t file_bytes_max;
};

kd_status kdi_statement_log_create(kd_ctx *ctx, kd_database *database, kdi_statement_log **out_log)
{
    kdi_statement_log *log = KD_NEW(ctx, database->arena, kdi_statement_log);
    *out_log = NULL;
    if (log == NULL)
        return KD_NOMEM;
    log->database = database;
    log->world = ctx->world;
    kd_mutex_init(&log->lock, ctx->world);
    kd_cond_init(&log->changed, ctx->world);
    *out_log = log;
    return KD_OK;
}

void kdi_statement_log_place(kdi_statement_log *log, kd_slice directory, kd_slice file_name,
                             uint64_t rotation_bytes)
{
    kd_mutex_lock(&log->lock);
    log->directory = directory;
    log->file_name = file_name;
    log->rotation_bytes = rotation_bytes;
    log->place_no++;
    kd_mutex_unlock(&log->lock);
}

/* --- The file: the writer alone ------------------------------------------------------------- */

static void close_file(kdi_statement_log *log)
{
    if (log->file != NULL)
        log->world->file_close(log->world, log->file);
    log->file = NULL;
}

static kd_status open_file(kd_ctx *ctx, kdi_statement_log *log)
{
    KD_TRY(ctx->world->file_open(ctx, log->path, KD_FILE_WRITE | KD_FILE_CREATE, &log->file));
    kd_status status = ctx->world->file_size(ctx, log->file, &log->file_bytes);
    if (status != KD_OK)
        close_file(log);
    return status;
}

/* <name> becomes <name>.1, that <name>.2, and so on. */
static kd_status rotate(kd_ctx *ctx, kdi_statement_log *log)
{
    char from[PATH_BYTES + 8], to[PATH_BYTES + 8];
    close_file(log);
    for (int i = FILES_MAX - 1; i >= 0; i--) {
        bool exists;
        if (i > 0)
            (void)snprintf(from, sizeof from, "%s.%d", log->path, i);
        else
            (void)snprintf(from, sizeof from, "%s", log->path);
        (void)snprintf(to, sizeof to, "%s.%d", log->path, i + 1);
        KD_TRY(ctx->world->path_exists(ctx, from, &exists));
        if (exists)
            KD_TRY(ctx->world->path_rename(ctx, from, to));
    }
    return KD_OK;
}

/* Takes over where the log is to be. False: nowhere. */
static bool find_place(kd_ctx *ctx, kdi_statement_log *log)
{
    const kd_database *database = log->database;
    char directory[PATH_BYTES];
    kd_mutex_lock(&log->lock);
    bool is_new = log->place_no != log->file_place_no;
    kd_slice folder = log->directory, name = log->file_name;
    log->file_bytes_max = log->rotation_bytes;
    log->file_place_no = log->place_no;
    kd_mutex_unlock(&log->lock);
    if (!is_new)
        return log->path[0] != '\0';
    close_file(log);
    log->path[0] = '\0';
    bool is_absolute = folder.size_bytes > 0 && folder.data[0] == '/';
    bool has_folder = !database->is_memory && !database->read_only;
    if (!is_absolute && !has_folder)
        return false; /* There is no directory of the database's to write into. */
    int length =
        snprintf(directory, sizeof directory, "%s%s%.*s", is_absolute ? "" : database->path,
                 is_absolute ? "" : "/", (int)folder.size_bytes, folder.data);
    if (length < 0 || (size_t)length + name.size_bytes + 2 > sizeof log->path)
        return false;
    if (ctx->world->directory_create(ctx, directory) != KD_OK)
        return false;
    memcpy(log->path, directory, (size_t)length);
    log->path[length] = '/';
    memcpy(log->path + length + 1, name.data, name.size_bytes);
    log->path[(size_t)length + 1 + name.size_bytes] = '\0';
    return true;
}

static kd_status write_out(kd_ctx *ctx, kdi_statement_log *log, size_t size_bytes)
{
    if (!find_place(ctx, log))
        return KD_FAIL(ctx, KD_IO, "58030", "the statement log has no place");
    if (log->file == NULL)
        KD_TRY(open_file(ctx, log));
    bool is_full = log->file_bytes_max > 0 && log->file_bytes > 0 &&
                   log->file_bytes + size_bytes > log->file_bytes_max;
    if (is_full) {
        KD_TRY(rotate(ctx, log));
        KD_TRY(open_file(ctx, log));
    }
    KD_TRY(ctx->world->file_write(ctx, log->file, log->file_bytes, log->writing, size_bytes));
    log->file_bytes += size_bytes;
    return KD_OK;
}

static void run_writer(void *object)
{
    kdi_statement_log *log = object;
    kd_ctx ctx = {.world = log->world};
    kd_mutex_lock(&log->lock);
    while (!log->stops || log->size_bytes > 0) {
        if (log->size_bytes == 0) {
            (void)kd_cond_wait(&log->changed, &log->lock, UINT64_MAX);
            continue;
        }
        char *filled = log->buffer;
        size_t size_bytes = log->size_bytes;
        log->buffer = log->writing;
        log->writing = filled;
        log->size_bytes = 0;
        kd_mutex_unlock(&log->lock);
        /* What cannot be written is lost: nobody waits for it. */
        bool is_written = write_out(&ctx, log, size_bytes) == KD_OK;
        kd_error_clear(&ctx);
        if (!is_written)
            close_file(log);
        kd_mutex_lock(&log->lock);
    }
    kd_mutex_unlock(&log->lock);
    close_file(log);
}

static kd_status start_writer(kd_ctx *ctx, kdi_statement_log *log)
{
    kd_account *account = kd_governor_account(log->database->governor);
    if (log->buffer == NULL)
        log->buffer = kd_heap_alloc_raw(ctx, account, BUFFER_BYTES);
    if (log->buffer != NULL && log->writing == NULL)
        log->writing = kd_heap_alloc_raw(ctx, account, BUFFER_BYTES);
    if (log->writing == NULL)
        return KD_NOMEM;
    return kd_thread_start(ctx, "statement log", run_writer, log, &log->writer);
}

void kdi_statement_log_destroy(kdi_statement_log *log)
{
    if (log == NULL)
        return;
    kd_mutex_lock(&log->lock);
    log->stops = true;
    kd_cond_signal(&log->changed);
    kd_mutex_unlock(&log->lock);
    kd_thread_join(log->world, log->writer);
    if (log->buffer != NULL) { /* An opening that failed early has no governor. */
        kd_account *account = kd_governor_account(log->database->governor);
        kd_heap_free(log->world, account, log->buffer);
        kd_heap_free(log->world, account, log->writing);
    }
    kd_cond_clear(&log->changed);
    kd_mutex_clear(&log->lock);
}

/* Puts a line into the buffer, or counts it as lost. */
static void add_line(kdi_statement_log *log, const line *added)
{
    char lost[64];
    int lost_bytes = 0;
    kd_ctx ctx = {.world = log->world};
    kd_mutex_lock(&log->lock);
    bool is_there = log->writer != NULL || start_writer(&ctx, log) == KD_OK;
    kd_error_clear(&ctx);
    if (log->lost_count > 0)
        lost_bytes = snprintf(lost, sizeof lost, "%llu lines were left out\n",
                              (unsigned long long)log->lost_count);
    size_t needed = (size_t)lost_bytes + added->size_bytes;
    if (!is_there || log->size_bytes + needed > BUFFER_BYTES) {
        log->lost_count++;
    } else {
        memcpy(log->buffer + log->size_bytes, lost, (size_t)lost_bytes);
        memcpy(log->buffer + log->size_bytes + lost_bytes, added->text, added->size_bytes);
        log->size_bytes += needed;
        log->lost_count = 0;
        kd_cond_signal(&log->changed);
    }
    kd_mutex_unlock(&log->lock);
}

/* --- Lines ---------------------------------------------------------------------------------- */

static void append(line *to, const char *text, size_t size_bytes)
{
    size_t room = sizeof to->text - 1 - to->size_bytes; /* The last byte ends the line. */
    size_bytes = size_bytes < room ? size_bytes : room;
    memcpy(to->text + to->size_bytes, text, size_bytes);
    to->size_bytes += size_bytes;
}

static void append_format(line *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append_format(line *to, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0)
        append(to, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

static const char secret_word[] = "password";
enum { SECRET_WORD_BYTES = sizeof secret_word - 1 };

/* Whether a string stands behind the word PASSWORD at `at`, and where what follows it begins. The
 * end of one that is not written in plain quotes is not looked for: all the rest goes with it. */
static bool find_secret(kd_slice text, size_t at, size_t *out_end)
{
    kd_slice found = {text.data + at, SECRET_WORD_BYTES};
    if (at + SECRET_WORD_BYTES >= text.size_bytes ||
        !kd_slice_equal_ignoring_case(found, (kd_slice){secret_word, SECRET_WORD_BYTES}))
        return false;
    size_t quote = at + SECRET_WORD_BYTES;
    while (quote < text.size_bytes && strchr(" \t\r\n", text.data[quote]) != NULL)
        quote++;
    *out_end = text.size_bytes;
    if (quote == text.size_bytes || strchr("'$EeUu/-", text.data[quote]) == NULL)
        return false;
    if (text.data[quote] != '\'') {
        char next = quote + 1 < text.size_bytes ? text.data[quote + 1] : ' ';
        return text.data[quote] == '$' || strchr("'&*-", next) != NULL; /* Comments too. */
    }
    for (size_t i = quote + 1; i < text.size_bytes; i++) {
        if (text.data[i] != '\'')
            continue;
        bool is_doubled = i + 1 < text.size_bytes && text.data[i + 1] == '\'';
        if (!is_doubled) {
            *out_end = i + 1;
            break;
        }
        i++;
    }
    return true;
}

kd_status kdi_hide_secrets(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out_text)
{
    kd_buffer shown = kd_buffer_in(arena);
    size_t end, copied = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if ((text.data[i] | 0x20) != 'p' || !find_secret(text, i, &end))
            continue;
        KD_TRY(kd_buffer_append(ctx, &shown, text.data + copied, i + SECRET_WORD_BYTES - copied));
        KD_TRY(kd_buffer_append_text(ctx, &shown, " '***'"));
        copied = end;
        i = end - 1;
    }
    *out_text = text;
    if (copied == 0)
        return KD_OK;
    KD_TRY(kd_buffer_append(ctx, &shown, text.data + copied, text.size_bytes - copied));
    *out_text = kd_buffer_slice(&shown);
    return KD_OK;
}

static void append_statement(line *to, kd_slice text)
{
    size_t end;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if ((text.data[i] | 0x20) == 'p' && find_secret(text, i, &end)) {
            append(to, text.data + i, SECRET_WORD_BYTES);
            append_format(to, " '***'");
            i = end - 1;
        } else if (text.data[i] == '\n') {
            append(to, "\\n", 2);
        } else {
            append(to, (unsigned char)text.data[i] < ' ' ? " " : text.data + i, 1);
        }
    }
}

static void begin_line(line *to, const kd_session *session)
{
    const kd_database *database = session->database;
    char time[64];
    kd_text_settings utc = {.zone = NULL};
    int64_t now_us = database->world->wall_us(database->world);
    int64_t micros = now_us % 1000000; /* Always six digits, so that lines are as wide. */
    size_t length = kd_timestamp_format(&utc, now_us - micros + KD_UNIX_EPOCH_US, time);
    to->size_bytes = 0;
    append_format(to, "%.*s.%06d UTC [%u] %s@%s", (int)length, time, (int)micros,
                  session->session_no, session->user_name, database->name);
    kd_slice program = session->settings.application_name;
    if (program.size_bytes > 0) {
        append(to, " ", 1);
        append_statement(to, program);
    }
    append(to, ": ", 2);
}

kd_log_statement kdi_statement_log_class(const kd_prepared *prepared)
{
    const kd_ast_node *node = prepared->statement.node;
    if (node != NULL && node->kind == KD_AST_EXPLAIN)
        node = ((const kd_ast_explain *)node)->statement;
    if (node != NULL && node->kind == KD_AST_PREPARE)
        node = ((const kd_ast_prepare *)node)->statement;
    if (node != NULL && node->kind == KD_AST_EXECUTE) {
        const kdi_named *named =
            kdi_find_prepared(prepared->session, ((const kd_ast_execute *)node)->name);
        return named == NULL ? KD_LOG_STATEMENT_ALL : kdi_statement_log_class(named->prepared);
    }
    if (node == NULL)
        return KD_LOG_STATEMENT_ALL;
    switch (node->kind) {
    case KD_AST_INSERT:
    case KD_AST_UPDATE:
    case KD_AST_DELETE:
    case KD_AST_MERGE:
    case KD_AST_TRUNCATE:
        return KD_LOG_STATEMENT_MOD;
    case KD_AST_COPY:
        return ((const kd_ast_copy *)node)->is_from ? KD_LOG_STATEMENT_MOD : KD_LOG_STATEMENT_ALL;
    case KD_AST_SET:
        return ((const kd_ast_set *)node)->scope == KD_AST_SET_OF_SESSION ? KD_LOG_STATEMENT_ALL
                                                                          : KD_LOG_STATEMENT_DDL;
    case KD_AST_GRANT:
    case KD_AST_CLUSTER:
    case KD_AST_REFRESH:
        return KD_LOG_STATEMENT_DDL;
    default:
        break;
    }
    if (node->kind >= KD_AST_CREATE_SCHEMA && node->kind <= KD_AST_COMMENT)
        return KD_LOG_STATEMENT_DDL;
    bool writes = prepared->bound != NULL && prepared->bound->modifying_cte_count > 0;
    return writes ? KD_LOG_STATEMENT_MOD : KD_LOG_STATEMENT_ALL;
}

void kdi_statement_log_add(kd_session *session, const kdi_logged *logged)
{
    const kd_settings *settings = &session->settings;
    kd_world *world = session->database->world;
    uint64_t passed_ns =
        logged->started_ns == 0 ? 0 : world->monotonic_ns(world) - logged->started_ns;
    bool is_slow = logged->started_ns != 0 && settings->log_min_duration_ms >= 0 &&
                   passed_ns >= (uint64_t)settings->log_min_duration_ms * 1000000;
    bool has_text = is_slow ||
                    (logged->class != KD_LOG_STATEMENT_NONE &&
                     settings->log_statement >= (int64_t)logged->class) ||
                    (logged->error != NULL && settings->log_min_error <= KD_LOG_ERRORS_UP_TO);
    if (!has_text && (settings->log_duration == 0 || logged->started_ns == 0))
        return;
    line added;
    begin_line(&added, session);
    append_format(&added, "duration: %.3f ms  sqlstate: %s", (double)passed_ns / 1e6,
                  logged->error == NULL ? "00000" : logged->error->sqlstate);
    if (has_text) {
        append_format(&added, "  statement: ");
        append_statement(&added, logged->text);
    }
    added.text[added.size_bytes++] = '\n';
    add_line(session->database->statement_log, &added);
}
