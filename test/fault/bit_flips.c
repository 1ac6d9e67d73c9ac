/*
 * Every byte of a small database flipped, one at a time: opening it for reading and asking gives
 * the right answers or an error that names the file. FLIP_STRIDE=1 takes every byte; make test
 * takes some of each file.
 *
 * Then its blocks, of 4 KiB and of 512 bytes: each as if it had never been written (zeros), as any
 * other block of its file, as that of another file in the same place, and as it stood there at an
 * earlier moment; and files that are whole, but old. BLOCK_STRIDE=1 takes every pair; make test
 * some of them.
 *
 * The database is what a crash leaves: segments, index runs, a delta image, a root, and a log
 * with commits behind the checkpoint. Its last commit is about a table that nobody asks: a log's
 * last block that does not read is taken for the end that the crash tore.
 */
#include "test.h"

#include "base/world_memory.h"
#include "engine/database.h"
#include "engine/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILES_MAX = 64,
    PATH_BYTES = 128,
    STRIDE_USUAL = 151,
    BLOCK_STRIDE_USUAL = 41,
    ANSWER_BYTES = 128,
    OLD_FILES_MAX = 256,
};

typedef struct bytes {
    char path[PATH_BYTES];
    char *data;
    size_t size_bytes;
} bytes;

static kd_world *world;
static char paths[FILES_MAX][PATH_BYTES];
static size_t path_count;
static bytes olds[OLD_FILES_MAX]; /* Files as they stood while the database was made. */
static size_t old_count;

/* --- Statements ------------------------------------------------------------------------------ */

static kd_status run(kd_session *session, const char *sql, char *answer)
{
    kd_ctx *ctx = kd_session_ctx(session);
    kd_prepared *prepared;
    kd_run *it;
    kd_error_clear(ctx);
    kd_status status = kd_prepared_create(ctx, session, kd_slice_of(sql), NULL, 0, &prepared);
    if (status != KD_OK)
        return status;
    status = kd_run_begin(ctx, prepared, NULL, 0, &it);
    for (bool is_end = false; status == KD_OK && !is_end;) {
        kd_batch batch;
        status = kd_run_next(ctx, it, &batch, &is_end);
        if (status == KD_OK && !is_end && answer != NULL) {
            kd_value value = kd_vector_get(&batch.columns[0], kd_batch_row(&batch, 0));
            kd_slice text = kd_str_slice(&value.as.str);
            (void)snprintf(answer, ANSWER_BYTES, "%.*s", (int)text.size_bytes, text.data);
        }
        if (status != KD_OK)
            kd_run_abandon(it);
        else if (is_end)
            status = kd_run_end(ctx, it);
    }
    kd_prepared_destroy(prepared);
    return status;
}

static kd_status database_open(kd_ctx *ctx, bool read_only, kd_database **out_database,
                               kd_session **out_session)
{
    kd_database_options options = {.memory_budget_bytes = (uint64_t)64 << 20,
                                   .worker_count = 1,
                                   .no_background = true,
                                   .read_only = read_only,
                                   .wal_file_bytes = 64 << 10};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    KD_TRY(kd_database_open(ctx, "db", &options, out_database));
    kd_status status = kd_session_open(ctx, *out_database, &session_options, out_session);
    if (status != KD_OK)
        kd_database_abandon(*out_database);
    return status;
}

/* --- Files ------------------------------------------------------------------------------------ */

static kd_status path_note(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    if (entry->is_directory || strcmp(entry->name, "LOCK") == 0)
        return KD_OK;
    CHECK(path_count < FILES_MAX);
    (void)snprintf(paths[path_count++], PATH_BYTES, "%s/%s", (const char *)object, entry->name);
    return KD_OK;
}

static void paths_list(kd_ctx *ctx)
{
    static char folders[3][PATH_BYTES] = {"db", "db/wal", "db/units"};
    path_count = 0;
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ctx, world->directory_list(ctx, folders[i], path_note, folders[i]));
}

static bytes file_read(kd_ctx *ctx, const char *path)
{
    kd_file *file;
    uint64_t size_bytes;
    bytes read = {.data = NULL};
    CHECK_STATUS(ctx, world->file_open(ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(ctx, world->file_size(ctx, file, &size_bytes));
    read.data = malloc(size_bytes + 1);
    CHECK(read.data != NULL);
    CHECK_STATUS(ctx, world->file_read(ctx, file, 0, read.data, size_bytes, &read.size_bytes));
    CHECK_EQ(read.size_bytes, size_bytes);
    world->file_close(world, file);
    (void)snprintf(read.path, sizeof read.path, "%s", path);
    return read;
}

static bool is_equal(const bytes *a, const bytes *b)
{
    return a->size_bytes == b->size_bytes && memcmp(a->data, b->data, a->size_bytes) == 0;
}

/* Keeps every file as it is now, where it is another than it was. */
static void olds_keep(kd_ctx *ctx)
{
    paths_list(ctx);
    for (size_t i = 0; i < path_count; i++) {
        bytes now = file_read(ctx, paths[i]);
        bool is_known = false;
        for (size_t k = 0; k < old_count && !is_known; k++)
            is_known = strcmp(olds[k].path, now.path) == 0 && is_equal(&olds[k], &now);
        CHECK(old_count < OLD_FILES_MAX);
        if (is_known)
            free(now.data);
        else
            olds[old_count++] = now;
    }
}

/* --- The database ----------------------------------------------------------------------------- */

static void database_make(kd_ctx *ctx)
{
    static const char *const statements[] = {
        "CREATE TABLE t (id integer PRIMARY KEY, name text, x double precision, j jsonb)",
        "CREATE INDEX t_name ON t (name)",
        "CREATE SEQUENCE s",
        "CREATE TABLE other (a integer)",
        ("INSERT INTO t SELECT i, 'name ' || i % 70, i * 0.37, ('{\"k\":' || i || '}')::jsonb"
         " FROM generate_series(1, 2500) g (i)"),
        "VACUUM",
        "CHECKPOINT",
        "DELETE FROM t WHERE id % 50 = 0",
        "INSERT INTO t SELECT i, 'image', 1.5, NULL FROM generate_series(3001, 3300) g (i)",
        "CHECKPOINT",
        "UPDATE t SET name = 'changed' WHERE id BETWEEN 100 AND 140",
        "INSERT INTO t SELECT i, 'log', 2, '[]' FROM generate_series(4001, 4100) g (i)",
        "DELETE FROM t WHERE id = 4050",
        "INSERT INTO other VALUES (1)",
    };
    kd_database *database;
    kd_session *session;
    CHECK_STATUS(ctx, database_open(ctx, false, &database, &session));
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        CHECK_STATUS(kd_session_ctx(session), run(session, statements[i], NULL));
        olds_keep(ctx);
    }
    kd_database_abandon(database);
}

static const char *const questions[] = {
    ("SELECT (count(*) || ' ' || sum(id) || ' ' || sum(x)::numeric(20,2) || ' ' ||"
     " count(j))::text FROM t"),
    "SELECT (count(*) || ' ' || min(id))::text FROM t WHERE name = 'name 7'",
    "SELECT string_agg(name, ',' ORDER BY id)::text FROM t WHERE id IN (7, 120, 3005, 4020)",
    "SELECT sum((j ->> 'k')::int)::text FROM t WHERE id < 500",
};
enum { QUESTIONS = sizeof questions / sizeof *questions };
static char answers[QUESTIONS][ANSWER_BYTES];

/* Right, or wrong by the error in `out_error`. With `learn` the answers are kept. */
static kd_status questions_ask(kd_ctx *ctx, bool learn, kd_error *out_error)
{
    kd_database *database;
    kd_session *session;
    char answer[ANSWER_BYTES];
    kd_status status = database_open(ctx, true, &database, &session);
    if (status != KD_OK) {
        *out_error = ctx->error;
        kd_error_clear(ctx);
        return status;
    }
    for (int i = 0; status == KD_OK && i < QUESTIONS; i++) {
        status = run(session, questions[i], answer);
        if (status == KD_OK && learn)
            memcpy(answers[i], answer, sizeof answer);
        else if (status == KD_OK)
            CHECK_TEXT(answer, answers[i]);
        else
            *out_error = kd_session_ctx(session)->error;
    }
    kd_database_abandon(database);
    return status;
}

/* --- Flips ------------------------------------------------------------------------------------ */

static void byte_flip(kd_ctx *ctx, kd_file *file, uint64_t offset)
{
    uint8_t byte;
    size_t got;
    CHECK_STATUS(ctx, world->file_read(ctx, file, offset, &byte, 1, &got));
    byte ^= (uint8_t)(1u << (offset * 5 / 3 % 8));
    CHECK_STATUS(ctx, world->file_write(ctx, file, offset, &byte, 1));
}

/* By its name without what follows the dot. A file of the log that is not to be known as one any
 * more is missing from the log. */
static bool is_named(const char *path, const kd_error *error)
{
    char name[PATH_BYTES];
    if (strncmp(path, "db/wal/", 7) == 0 && strstr(error->message, "log") != NULL)
        return true;
    if (strcmp(path, "db/ROOT") == 0 && strcmp(error->sqlstate, "0A000") == 0)
        return true; /* "the database has format 33". */
    (void)snprintf(name, sizeof name, "%s", strrchr(path, '/') + 1);
    name[strcspn(name, ".")] = '\0';
    return strstr(error->message, name) != NULL || strstr(error->detail, name) != NULL;
}

/* Whether it was noticed; then it must be told as damage of that file. */
static bool damage_judge(const char *path, kd_status status, const kd_error *error)
{
    if (status == KD_OK)
        return false;
    if (status != KD_CORRUPT && status != KD_UNSUPPORTED)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
    if (!is_named(path, error))
        test_fail(__FILE__, __LINE__, "the file is not named: %s (%s)", error->message,
                  error->detail);
    return true;
}

/* Flips one byte after the other; answers how many flips were noticed. */
static uint64_t file_flip(kd_ctx *ctx, const char *path, uint64_t stride, uint64_t *out_tried)
{
    kd_file *file;
    uint64_t size_bytes, found = 0;
    CHECK_STATUS(ctx, world->file_open(ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(ctx, world->file_size(ctx, file, &size_bytes));
    for (uint64_t offset = size_bytes % stride / 2; offset < size_bytes; offset += stride) {
        kd_error error;
        test_note("byte %llu of %s", (unsigned long long)offset, path);
        byte_flip(ctx, file, offset);
        kd_status status = questions_ask(ctx, false, &error);
        byte_flip(ctx, file, offset);
        (*out_tried)++;
        found += damage_judge(path, status, &error);
    }
    world->file_close(world, file);
    return found;
}

static void lab_begin(kd_ctx *ctx)
{
    kd_error error;
    *ctx = test_ctx();
    world = kd_world_memory_create(ctx, ctx->world);
    CHECK(world != NULL);
    ctx->world = world;
    database_make(ctx);
    CHECK_STATUS(ctx, questions_ask(ctx, true, &error));
    CHECK_STATUS(ctx, questions_ask(ctx, false, &error));
    paths_list(ctx);
    CHECK(path_count > 5);
}

static void lab_end(kd_ctx *ctx)
{
    kd_error error;
    CHECK_STATUS(ctx, questions_ask(ctx, false, &error));
    for (size_t i = 0; i < old_count; i++)
        free(olds[i].data);
    kd_world_memory_destroy(world);
}

static uint64_t number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    uint64_t number = text != NULL ? strtoull(text, NULL, 10) : usual;
    CHECK(number > 0);
    return number;
}

TEST(a_byte_that_flips_anywhere_is_named_or_changes_no_answer)
{
    uint64_t stride = number_of("FLIP_STRIDE", STRIDE_USUAL), tried = 0, found = 0;
    kd_ctx ctx;
    (void)alarm(stride > 50 ? 300 : 0);
    lab_begin(&ctx);
    for (size_t i = 0; i < path_count; i++)
        found += file_flip(&ctx, paths[i], stride, &tried);
    CHECK(found > 0);
    printf("%llu flips in %llu bytes of %zu files, %llu named, the others changed nothing\n",
           (unsigned long long)tried, (unsigned long long)(tried * stride), path_count,
           (unsigned long long)found);
    lab_end(&ctx);
}

/* --- Blocks ----------------------------------------------------------------------------------- */

typedef struct swap {
    kd_ctx *ctx;
    bytes files[FILES_MAX];
    uint64_t stride, met; /* One of so many is tried. */
    uint64_t tried, found;
} swap;

static void file_write(kd_ctx *ctx, const char *path, uint64_t offset, const char *data,
                       size_t size_bytes)
{
    kd_file *file;
    CHECK_STATUS(ctx, world->file_open(ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(ctx, world->file_write(ctx, file, offset, data, size_bytes));
    world->file_close(world, file);
}

/* Puts other bytes at a place, asks, and puts the right ones back. */
static void block_try(swap *all, const bytes *file, size_t offset, const char *data,
                      size_t size_bytes, const char *what)
{
    kd_error error;
    if (size_bytes > file->size_bytes - offset)
        size_bytes = file->size_bytes - offset;
    if (memcmp(file->data + offset, data, size_bytes) == 0 || all->met++ % all->stride != 0)
        return;
    test_note("%zu bytes at %zu of %s: %s", size_bytes, offset, file->path, what);
    file_write(all->ctx, file->path, offset, data, size_bytes);
    kd_status status = questions_ask(all->ctx, false, &error);
    file_write(all->ctx, file->path, offset, file->data + offset, size_bytes);
    all->tried++;
    all->found += damage_judge(file->path, status, &error);
}

static void block_try_all(swap *all, const bytes *file, size_t offset, size_t block_bytes)
{
    static const char zeros[4096];
    block_try(all, file, offset, zeros, block_bytes, "zeros");
    for (size_t from = 0; from + block_bytes <= file->size_bytes; from += block_bytes)
        block_try(all, file, offset, file->data + from, block_bytes, "another of its blocks");
    for (size_t i = 0; i < path_count; i++) {
        const bytes *other = &all->files[i];
        if (other != file && offset + block_bytes <= other->size_bytes)
            block_try(all, file, offset, other->data + offset, block_bytes, other->path);
    }
    for (size_t i = 0; i < old_count; i++) {
        const bytes *old = &olds[i];
        if (strcmp(old->path, file->path) == 0 && offset + block_bytes <= old->size_bytes)
            block_try(all, file, offset, old->data + offset, block_bytes, "an older state");
    }
}

TEST(a_block_that_is_absent_foreign_or_old_is_named_or_changes_no_answer)
{
    static swap all;
    static const size_t sizes[] = {4096, 512};
    kd_ctx ctx;
    (void)alarm(0);
    lab_begin(&ctx);
    all = (swap){.ctx = &ctx, .stride = number_of("BLOCK_STRIDE", BLOCK_STRIDE_USUAL)};
    for (size_t i = 0; i < path_count; i++)
        all.files[i] = file_read(&ctx, paths[i]);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < path_count; i++)
            for (size_t offset = 0; offset < all.files[i].size_bytes; offset += sizes[k])
                block_try_all(&all, &all.files[i], offset, sizes[k]);
    CHECK(all.found > 0);
    printf("%llu of %llu blocks put in place of others, %llu named, the others changed nothing\n",
           (unsigned long long)all.tried, (unsigned long long)all.met,
           (unsigned long long)all.found);
    for (size_t i = 0; i < path_count; i++)
        free(all.files[i].data);
    lab_end(&ctx);
}

static void file_replace(kd_ctx *ctx, const bytes *with)
{
    kd_file *file;
    CHECK_STATUS(ctx, world->file_open(ctx, with->path, KD_FILE_WRITE | KD_FILE_TRUNCATE, &file));
    CHECK_STATUS(ctx, world->file_write(ctx, file, 0, with->data, with->size_bytes));
    world->file_close(world, file);
}

/* Not the log's: one that is whole and ends earlier is what an earlier crash would have left. A
 * root cannot know that it is old: what it names and is not there any more tells. */
TEST(a_file_that_is_whole_and_old_is_found_or_changes_no_answer)
{
    kd_ctx ctx;
    kd_error error;
    unsigned tried = 0, found = 0;
    lab_begin(&ctx);
    for (size_t i = 0; i < old_count; i++) {
        bool exists;
        CHECK_STATUS(&ctx, world->path_exists(&ctx, olds[i].path, &exists));
        if (!exists || strncmp(olds[i].path, "db/wal/", 7) == 0)
            continue;
        bytes now = file_read(&ctx, olds[i].path);
        bool is_same = is_equal(&now, &olds[i]);
        test_note("old state %zu, of %s", i, olds[i].path);
        file_replace(&ctx, &olds[i]);
        kd_status status = questions_ask(&ctx, false, &error);
        file_replace(&ctx, &now);
        free(now.data);
        tried += !is_same;
        found += status != KD_OK;
        if (status != KD_OK && status != KD_CORRUPT)
            test_fail(__FILE__, __LINE__, "%s %s", error.sqlstate, error.message);
    }
    CHECK(tried > 0);
    printf("%u old files put in place of newer ones, %u found, the others changed nothing\n", tried,
           found);
    lab_end(&ctx);
}
