/*
 * Runs transcripts of sessions that meet: run_isolation [--print] FILE.spec ...
 *
 *   == what the case is about        a new database in memory
 *   a: BEGIN                         session a runs a statement
 *   a! UPDATE t SET v = 1            and is waited for: its lock_timeout passes
 *     1<tab>x                        its rows, and its tag ("UPDATE 1") or "ERROR 40P01"
 *     waits                          it waits for another transaction
 *   b> UPDATE 1                      what a statement that waited gave, after the step that let it
 *   # ...                            a comment
 *
 * Steps are the lines of these forms; everything else is what must come out, and
 * --print prints what does. Sessions are READ COMMITTED, as those over PostgreSQL's
 * protocol. A step is over when every session is idle or waits for a transaction that has
 * not ended, so no run depends on time (a lock_timeout only has to be passed).
 */
#include "base/arena.h"
#include "base/heap.h"
#include "base/thread.h"
#include "engine/statement.h"
#include "table/storage.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX = 26, OUTPUT_BYTES = 1 << 16 };

typedef struct actor {
    char name;
    kd_session *session;
    kd_thread *thread;
    kd_mutex lock;
    kd_cond cond;
    const char *sql; /* What it is to run; NULL: nothing. */
    bool ends;
    atomic_bool is_busy;
    bool was_waiting;
    char output[OUTPUT_BYTES];
} actor;

typedef struct play {
    kd_world *world;
    kd_database *database;
    actor *actors[SESSIONS_MAX];
    char transcript[OUTPUT_BYTES * 4];
} play;

static void say(char *target, size_t size_bytes, const char *text)
{
    size_t used = strlen(target);
    (void)snprintf(target + used, size_bytes - used, "%s", text);
}

static void stop(const char *what, const kd_ctx *ctx)
{
    fprintf(stderr, "run_isolation: %s: %s\n", what, ctx->error.message);
    exit(2);
}

/* --- A session's thread ----------------------------------------------------------------------- */

static kd_status rows_say(kd_ctx *ctx, actor *self, kd_run *run, const kd_batch *batch,
                          kd_arena *arena)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        kd_buffer line = kd_buffer_in(arena);
        for (uint32_t c = 0; c < batch->column_count; c++) {
            kd_value value = kd_vector_get(&batch->columns[c], kd_batch_row(batch, i));
            if (c > 0)
                KD_TRY(kd_buffer_append_byte(ctx, &line, '\t'));
            if (value.is_null)
                KD_TRY(kd_buffer_append_text(ctx, &line, "NULL"));
            else
                KD_TRY(kd_value_format(ctx, kd_run_text_settings(run), &value, &line));
        }
        KD_TRY(kd_buffer_append(ctx, &line, "\n", 2));
        say(self->output, OUTPUT_BYTES, line.data);
    }
    return KD_OK;
}

static kd_status statement_run(kd_ctx *ctx, actor *self, kd_arena *arena)
{
    kd_status status;
    kd_prepared *prepared = NULL;
    kd_run *run = NULL;
    KD_TRY_OUT(kd_prepared_create(ctx, self->session, kd_slice_of(self->sql), NULL, 0, &prepared));
    KD_TRY_OUT(kd_run_begin(ctx, prepared, NULL, 0, &run));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, run, &batch, &end));
        KD_TRY_OUT(rows_say(ctx, self, run, &batch, arena));
    }
    if (kd_run_column_count(run) == 0 || strncmp(kd_run_tag(run), "SELECT", 6) != 0) {
        say(self->output, OUTPUT_BYTES, kd_run_tag(run));
        say(self->output, OUTPUT_BYTES, "\n");
    }
    kd_run *ended = run;
    run = NULL;
    status = kd_run_end(ctx, ended);
out:
    kd_run_abandon(run);
    kd_prepared_destroy(prepared);
    return status;
}

static void actor_run(actor *self)
{
    kd_ctx *ctx = kd_session_ctx(self->session);
    kd_error_clear(ctx);
    kd_arena *arena = kd_arena_create(ctx, NULL, "rows", KD_ARENA_UNLIMITED);
    if (arena == NULL || statement_run(ctx, self, arena) != KD_OK) {
        self->output[0] = '\0';
        say(self->output, OUTPUT_BYTES, "ERROR ");
        say(self->output, OUTPUT_BYTES, ctx->error.sqlstate);
        say(self->output, OUTPUT_BYTES, "\n");
    }
    kd_arena_destroy(arena);
}

static void actor_main(void *object)
{
    actor *self = object;
    kd_mutex_lock(&self->lock);
    while (!self->ends) {
        if (self->sql == NULL) {
            (void)kd_cond_wait(&self->cond, &self->lock, UINT64_MAX);
            continue;
        }
        kd_mutex_unlock(&self->lock);
        actor_run(self);
        kd_mutex_lock(&self->lock);
        self->sql = NULL;
        atomic_store(&self->is_busy, false);
    }
    kd_mutex_unlock(&self->lock);
}

static actor *actor_get(play *self, char name)
{
    actor **place = &self->actors[name - 'a'];
    if (*place != NULL)
        return *place;
    kd_ctx ctx = {.world = self->world};
    kd_session_options options = {.isolation = KD_READ_COMMITTED};
    actor *made = calloc(1, sizeof *made);
    if (made == NULL)
        exit(2);
    *place = made;
    made->name = name;
    kd_mutex_init(&made->lock, self->world);
    kd_cond_init(&made->cond, self->world);
    if (kd_session_open(&ctx, self->database, &options, &made->session) != KD_OK ||
        kd_thread_start(&ctx, "session", actor_main, made, &made->thread) != KD_OK)
        stop("session", &ctx);
    return made;
}

static void actor_end(play *self, actor *gone)
{
    kd_mutex_lock(&gone->lock);
    gone->ends = true;
    if (gone->sql != NULL)
        kd_session_cancel(gone->session);
    kd_cond_signal(&gone->cond);
    kd_mutex_unlock(&gone->lock);
    kd_thread_join(self->world, gone->thread);
    kd_session_close(gone->session);
    kd_cond_clear(&gone->cond);
    kd_mutex_clear(&gone->lock);
    free(gone);
}

/* --- The play --------------------------------------------------------------------------------- */

static void case_end(play *self)
{
    kd_ctx ctx = {.world = self->world};
    for (int i = 0; i < SESSIONS_MAX; i++) {
        if (self->actors[i] != NULL)
            actor_end(self, self->actors[i]);
        self->actors[i] = NULL;
    }
    if (self->database != NULL && kd_database_close(&ctx, self->database) != KD_OK)
        stop("close", &ctx);
    self->database = NULL;
}

static void case_begin(play *self)
{
    kd_ctx ctx = {.world = self->world};
    case_end(self);
    kd_database_options options = {.memory_budget_bytes = 256u << 20, .worker_count = 1};
    if (kd_database_open(&ctx, ":memory:", &options, &self->database) != KD_OK)
        stop("open", &ctx);
}

/* Until every session is idle or waits for a transaction that goes on. */
static void settle(play *self, const actor *until_idle)
{
    kd_txn_manager *txns = kd_storage_txns(kd_database_storage(self->database));
    for (;;) {
        uint32_t busy = 0;
        for (int i = 0; i < SESSIONS_MAX; i++)
            busy += self->actors[i] != NULL && atomic_load(&self->actors[i]->is_busy);
        bool is_waited_for = until_idle != NULL && atomic_load(&until_idle->is_busy);
        if (busy == 0 || (busy == kd_txn_waiting_count(txns) && !is_waited_for))
            return;
        self->world->sleep_ns(self->world, 1000000);
    }
}

/* What a session gave, each line behind `head`. */
static void output_say(play *self, const actor *by, const char *head)
{
    for (const char *line = by->output; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        char text[OUTPUT_BYTES];
        (void)snprintf(text, sizeof text, "%s%.*s\n", head, (int)length, line);
        say(self->transcript, sizeof self->transcript, text);
        line += length + (line[length] == '\n');
    }
}

static void step_run(play *self, char name, const char *sql, bool to_its_end)
{
    actor *by = actor_get(self, name);
    if (atomic_load(&by->is_busy)) {
        fprintf(stderr, "run_isolation: session %c still waits\n", name);
        exit(2);
    }
    kd_mutex_lock(&by->lock);
    by->output[0] = '\0';
    by->was_waiting = false;
    by->sql = sql;
    atomic_store(&by->is_busy, true);
    kd_cond_signal(&by->cond);
    kd_mutex_unlock(&by->lock);
    settle(self, to_its_end ? by : NULL);
    if (atomic_load(&by->is_busy))
        say(self->transcript, sizeof self->transcript, "  waits\n");
    else
        output_say(self, by, "  ");
    for (int i = 0; i < SESSIONS_MAX; i++) {
        actor *other = self->actors[i];
        if (other == NULL)
            continue;
        bool is_busy = atomic_load(&other->is_busy);
        char head[4] = {other->name, '>', ' ', '\0'};
        if (other->was_waiting && !is_busy)
            output_say(self, other, head);
        other->was_waiting = is_busy;
    }
}

static void line_run(play *self, char *line)
{
    bool is_step =
        line[0] >= 'a' && line[0] <= 'z' && (line[1] == ':' || line[1] == '!') && line[2] == ' ';
    bool is_case = strncmp(line, "== ", 3) == 0;
    if (is_case)
        case_begin(self);
    if (is_step || is_case || line[0] == '#' || line[0] == '\0') {
        say(self->transcript, sizeof self->transcript, line);
        say(self->transcript, sizeof self->transcript, "\n");
    }
    if (is_step)
        step_run(self, line[0], line + 3, line[1] == '!');
}

static char *file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, OUTPUT_BYTES * 4);
    if (file == NULL || text == NULL) {
        fprintf(stderr, "run_isolation: cannot read %s\n", path);
        exit(2);
    }
    size_t size = fread(text, 1, OUTPUT_BYTES * 4 - 1, file);
    text[size] = '\0';
    (void)fclose(file);
    return text;
}

/* Where two texts differ first. */
static void difference_show(const char *path, const char *wanted, const char *given)
{
    int line_no = 1;
    while (*wanted != '\0' && *wanted == *given) {
        line_no += *wanted == '\n';
        wanted++;
        given++;
    }
    printf("%s:%d: expected ...%.*s\n  but got ...%.*s\n", path, line_no,
           (int)strcspn(wanted, "\n"), wanted, (int)strcspn(given, "\n"), given);
}

static bool file_run(const char *path, bool prints)
{
    play *self = calloc(1, sizeof *self);
    char *wanted = file_read(path);
    char *text = file_read(path);
    if (self == NULL)
        exit(2);
    self->world = kd_world_posix();
    for (char *line = text; *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        char *next = end + (*end == '\n');
        *end = '\0';
        line_run(self, line);
        line = next;
    }
    case_end(self);
    bool is_same = strcmp(wanted, self->transcript) == 0;
    if (prints)
        printf("%s", self->transcript);
    else if (!is_same)
        difference_show(path, wanted, self->transcript);
    free(text);
    free(wanted);
    free(self);
    return is_same || prints;
}

int main(int argument_count, char **arguments)
{
    bool prints = argument_count > 1 && strcmp(arguments[1], "--print") == 0;
    int failed = 0;
    for (int i = prints ? 2 : 1; i < argument_count; i++)
        failed += !file_run(arguments[i], prints);
    if (!prints)
        printf("%d files, %d failed\n", argument_count - 1, failed);
    return failed > 0;
}
