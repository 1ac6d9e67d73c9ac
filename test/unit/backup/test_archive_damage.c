/*
 * Archives that must be refused, with nothing changed; and archives that cannot be written, beside
 * which the database goes on.
 */
#include "archive_fixture.h"

#include <stdlib.h>

enum { ROWS = 2000 };

typedef struct path_list {
    const char *directory;
    char paths[64][8192];
    size_t count;
} path_list;

static kd_status path_add(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    path_list *list = object;
    size_t length = strlen(entry->name);
    (void)ctx;
    if (length > 4 && strcmp(entry->name + length - 4, ".log") == 0) {
        CHECK(list->count < 64);
        (void)snprintf(list->paths[list->count++], sizeof list->paths[0], "%s/%s", list->directory,
                       entry->name);
    }
    return KD_OK;
}

static int path_compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* The archive's files in order; at least three. */
static path_list *archive_files(archive_fixture *a)
{
    static path_list list;
    static char directory[8192];
    (void)snprintf(directory, sizeof directory, "%s/archive", a->target);
    list = (path_list){.directory = directory};
    CHECK_STATUS(&a->f.ctx, a->f.ctx.world->directory_list(&a->f.ctx, directory, path_add, &list));
    qsort(list.paths, list.count, sizeof list.paths[0], path_compare);
    CHECK(list.count >= 3);
    return &list;
}

static void archive_made(archive_fixture *a)
{
    archive_open(a);
    rows_add(&a->f, 0, 10);
    archive_start(a);
    for (int i = 0; i < 3; i++) {
        rows_add(&a->f, 10 + i * ROWS, ROWS);
        if (i == 1)
            CHECK_STATUS(&a->f.ctx, kd_storage_flush(&a->f.ctx, a->f.storage, true));
        archive_step(a);
    }
}

static void verify_refused(archive_fixture *a, const char *sqlstate, const char *words)
{
    kd_backup_info info;
    CHECK_FAILS_WITH(&a->f.ctx, kd_backup_verify(&a->f.ctx, a->target, NULL, &info), sqlstate,
                     words);
}

/* --- Damage ---------------------------------------------------------------------------------- */

static kd_slice file_get(archive_fixture *a, const char *path)
{
    kd_file *file;
    uint64_t size_bytes;
    size_t got_bytes;
    kd_world *w = a->f.ctx.world;
    CHECK_STATUS(&a->f.ctx, w->file_open(&a->f.ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(&a->f.ctx, w->file_size(&a->f.ctx, file, &size_bytes));
    char *bytes = kd_alloc(&a->f.ctx, a->f.arena, size_bytes);
    CHECK(bytes != NULL);
    CHECK_STATUS(&a->f.ctx, w->file_read(&a->f.ctx, file, 0, bytes, size_bytes, &got_bytes));
    w->file_close(w, file);
    return (kd_slice){bytes, got_bytes};
}

static void file_put(archive_fixture *a, const char *path, const char *bytes, size_t size_bytes)
{
    kd_file *file;
    kd_world *w = a->f.ctx.world;
    CHECK_STATUS(&a->f.ctx, w->file_open(&a->f.ctx, path,
                                         KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &file));
    CHECK_STATUS(&a->f.ctx, w->file_write(&a->f.ctx, file, 0, bytes, size_bytes));
    w->file_close(w, file);
}

TEST(every_damaged_file_of_an_archive_is_found)
{
    archive_fixture a;
    kd_backup_info info;
    archive_made(&a);
    path_list *list = archive_files(&a);
    for (size_t i = 0; i < list->count; i++) {
        const char *path = list->paths[i];
        kd_slice whole = file_get(&a, path);
        char *changed = kd_copy_text(&a.f.ctx, a.f.arena, whole.data, whole.size_bytes);
        for (size_t part = 0; part < 6; part++) {
            size_t offset = part * (whole.size_bytes - 1) / 5;
            changed[offset] ^= 0x10;
            file_put(&a, path, changed, whole.size_bytes);
            verify_refused(&a, "XX001", "archive");
            archive_refused(&a, (kd_restore_wish){0}, "XX001", "archive");
            changed[offset] ^= 0x10;
        }
        for (size_t part = 1; part < 5; part++) {
            file_put(&a, path, whole.data, part * (whole.size_bytes - 1) / 5);
            verify_refused(&a, "XX001", "archive");
            archive_refused(&a, (kd_restore_wish){0}, "XX001", "archive");
        }
        file_put(&a, path, whole.data, whole.size_bytes);
    }
    CHECK_STATUS(&a.f.ctx, kd_backup_verify(&a.f.ctx, a.target, NULL, &info));
    archive_close(&a);
}

/* What a crash leaves of a piece: the detail says what is there, and the next opening mends it. */
TEST(an_incomplete_last_piece_is_told_and_mended)
{
    archive_fixture a;
    kd_restored restored;
    unsigned long long position;
    archive_made(&a);
    path_list *list = archive_files(&a);
    const char *path = list->paths[list->count - 1];
    kd_slice whole = file_get(&a, path);
    file_put(&a, path, whole.data, whole.size_bytes - 5);
    archive_refused(&a, (kd_restore_wish){0}, "XX001", "the last piece is incomplete");
    kd_restore_wish wish = {0};
    kd_status status =
        kd_backup_restore_to(&a.f.ctx, a.target, &wish, test_path("torn"), &restored);
    CHECK(status == KD_CORRUPT);
    CHECK_EQ(sscanf(a.f.ctx.error.detail, "The archive ends at position %llu", &position), 1);
    kd_error_clear(&a.f.ctx);
    wish.to_position = position;
    CHECK(archive_restore(&a, wish, "torn", &restored) < 10 + 3 * ROWS);
    archive_reopen(&a, true);
    archive_step(&a);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "mended", &restored), 10 + 3 * ROWS);
    archive_close(&a);
}

TEST(a_gap_is_named_and_not_written_over)
{
    archive_fixture a;
    kd_archive_status status;
    archive_made(&a);
    path_list *list = archive_files(&a);
    const char *path = list->paths[1];
    kd_slice whole = file_get(&a, path);
    CHECK_STATUS(&a.f.ctx, a.f.ctx.world->path_remove(&a.f.ctx, path));
    verify_refused(&a, "XX001", "has a gap: it lacks the log from position");
    archive_refused(&a, (kd_restore_wish){0}, "XX001", "has a gap");
    archive_reopen(&a, false);
    rows_add(&a.f, 10 + 3 * ROWS, 10);
    CHECK_FAILS_WITH(&a.f.ctx, kd_archive_step(&a.f.ctx, a.archive), "XX001", "has a gap");
    CHECK_STATUS(&a.f.ctx, kd_archive_read_status(&a.f.ctx, a.f.arena, a.archive, &status));
    CHECK_EQ(status.state, KD_ARCHIVE_FAILING);
    CHECK(strstr(status.error, "has a gap") != NULL);
    file_put(&a, path, whole.data, whole.size_bytes); /* It was found again. */
    archive_step(&a);
    kd_restored restored;
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 10 + 3 * ROWS + 10);
    archive_close(&a);
}

/* --- Others' archives ------------------------------------------------------------------------ */

TEST(pieces_of_another_database_are_refused)
{
    archive_fixture a, other;
    archive_made(&a);
    fixture_open_in(&other.f, test_ctx(), test_path("other"), true);
    (void)snprintf(other.target, sizeof other.target, "%s", test_path("others"));
    archive_create(&other);
    archive_start(&other);
    rows_add(&other.f, 0, 10);
    archive_step(&other);
    CHECK_FAILS_WITH(&a.f.ctx, kd_archive_start(&a.f.ctx, other.archive, a.target, 0), "55000",
                     "another database");
    archive_step(&other); /* Its own goes on. */
    path_list *list = archive_files(&a);
    char path[8192 + 32];
    (void)snprintf(path, sizeof path, "%s/archive/%016x.log", other.target, 1);
    kd_slice foreign = file_get(&other, path), own = file_get(&a, list->paths[1]);
    file_put(&a, list->paths[1], foreign.data, foreign.size_bytes);
    verify_refused(&a, "55000", "belongs to another database");
    archive_refused(&a, (kd_restore_wish){0}, "55000", "belongs to another database");
    file_put(&a, list->paths[1], own.data, own.size_bytes);
    archive_close(&other);
    archive_close(&a);
}

/* What was restored has another history from then on: neither its log nor its backups continue the
 * archive of the original. */
TEST(another_history_is_refused)
{
    archive_fixture a, fork;
    kd_restored restored;
    kd_backup_info info;
    archive_made(&a);
    uint64_t position = kd_wal_durable_position(kd_storage_log(a.f.storage));
    rows_add(&a.f, 10 + 3 * ROWS, ROWS);
    archive_step(&a);
    kd_restore_wish wish = {.to_position = position};
    CHECK_EQ(archive_restore(&a, wish, "fork", &restored), 10 + 3 * ROWS);
    fork = a;
    fork.f.arena = kd_arena_create(&a.f.ctx, NULL, "fork", KD_ARENA_UNLIMITED);
    fork.f.options.directory = kd_format_text(&a.f.ctx, a.f.arena, "%s", test_path("fork"));
    fixture_reopen(&fork.f);
    archive_create(&fork);
    CHECK_FAILS_WITH(&a.f.ctx, kd_archive_start(&a.f.ctx, fork.archive, a.target, 0), "55000",
                     "another history");
    CHECK_STATUS(&a.f.ctx, kd_backup_take(&a.f.ctx, fork.f.storage, a.target, 0, &info));
    archive_refused(&a, (kd_restore_wish){0}, "55000", "does not continue backup");
    archive_refused(&a, (kd_restore_wish){.moment_us = info.taken_us + 1}, "58P01", "backup");
    CHECK_STATUS(&a.f.ctx,
                 kd_backup_restore(&a.f.ctx, a.target, info.id, test_path("alone"), &info));
    kd_archive_destroy(fork.archive);
    CHECK_STATUS(&a.f.ctx, kd_storage_close(&a.f.ctx, fork.f.storage));
    kd_arena_destroy(fork.f.arena);
    archive_close(&a);
}

TEST(a_restore_from_the_archive_over_anything_is_refused)
{
    archive_fixture a;
    kd_restored restored;
    kd_restore_wish wish = {0};
    archive_made(&a);
    CHECK_FAILS_WITH(
        &a.f.ctx, kd_backup_restore_to(&a.f.ctx, a.target, &wish, a.f.options.directory, &restored),
        "55000", "there is a database");
    archive_close(&a);
}

/* --- A full disk ----------------------------------------------------------------------------- */

static kd_world world;
static bool is_full;

static kd_status open_unless_full(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file)
{
    *out_file = NULL;
    if (is_full && strstr(path, "/archive/") != NULL && strstr(path, ".log") != NULL &&
        (flags & KD_FILE_WRITE) != 0)
        return KD_FAIL(ctx, KD_IO, "53100", "no room for \"%s\"", path);
    return kd_world_posix()->file_open(ctx, path, flags, out_file);
}

static void archive_open_full(archive_fixture *a)
{
    kd_ctx ctx = {.world = &world};
    world = *kd_world_posix();
    world.file_open = open_unless_full;
    is_full = false;
    fixture_prepare(&a->f, ctx, test_path("db"));
    a->f.options.wal_file_bytes = 1 << 16;
    CHECK_STATUS(&a->f.ctx, kd_storage_open(&a->f.ctx, &a->f.options, &a->f.storage));
    fixture_create_table(&a->f, true);
    (void)snprintf(a->target, sizeof a->target, "%s", test_path("backups"));
    archive_create(a);
}

static void check_state(archive_fixture *a, kd_archive_state state)
{
    kd_archive_status status;
    CHECK_STATUS(&a->f.ctx, kd_archive_read_status(&a->f.ctx, a->f.arena, a->archive, &status));
    CHECK_EQ(status.state, state);
}

TEST(a_full_disk_of_the_archive_stops_nobody)
{
    archive_fixture a;
    kd_restored restored;
    archive_open_full(&a);
    archive_start(&a);
    is_full = true;
    for (int i = 0; i < 4; i++) {
        rows_add(&a.f, i * ROWS, ROWS);
        CHECK_FAILS(&a.f.ctx, kd_archive_step(&a.f.ctx, a.archive), "53100");
        check_state(&a, KD_ARCHIVE_FAILING);
        CHECK_STATUS(&a.f.ctx, kd_storage_flush(&a.f.ctx, a.f.storage, true));
        CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
        if (i % 2 == 0)
            archive_reopen(&a, i == 0);
    }
    CHECK(kd_storage_archive_kept_bytes(a.f.storage) > 0);
    is_full = false;
    archive_step(&a);
    check_state(&a, KD_ARCHIVE_FOLLOWING);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 4 * ROWS);
    archive_close(&a);
}

TEST(an_archive_is_given_up_when_too_much_would_be_kept)
{
    archive_fixture a;
    kd_restored restored;
    archive_open_full(&a);
    CHECK_STATUS(&a.f.ctx, kd_archive_start(&a.f.ctx, a.archive, a.target, 100000));
    rows_add(&a.f, 0, 5);
    archive_step(&a);
    is_full = true;
    for (int i = 0; i < 3; i++)
        rows_add(&a.f, 5 + i * ROWS, ROWS);
    CHECK_FAILS(&a.f.ctx, kd_archive_step(&a.f.ctx, a.archive), "53100");
    check_state(&a, KD_ARCHIVE_GAP);
    CHECK_EQ(kd_storage_archive_kept_bytes(a.f.storage), 0);
    uint64_t before = kd_wal_read_statistics(kd_storage_log(a.f.storage)).oldest_position;
    CHECK_STATUS(&a.f.ctx, kd_storage_checkpoint(&a.f.ctx, a.f.storage));
    CHECK(kd_wal_read_statistics(kd_storage_log(a.f.storage)).oldest_position > before);
    is_full = false;
    archive_reopen(&a, true);
    archive_step(&a); /* Nothing: something is lost. */
    check_state(&a, KD_ARCHIVE_GAP);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "until then", &restored), 5);
    archive_start(&a);
    rows_add(&a.f, 5 + ROWS * 3, 5);
    archive_step(&a);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 10 + 3 * ROWS);
    archive_close(&a);
}

/* A backup that is still needed, or a disk that is not mounted. */
TEST(a_target_that_is_not_there_is_waited_for)
{
    archive_fixture a;
    kd_restored restored;
    char away[4096 + 8];
    archive_open(&a);
    archive_start(&a);
    (void)snprintf(away, sizeof away, "%s-away", a.target);
    CHECK_STATUS(&a.f.ctx, a.f.ctx.world->path_rename(&a.f.ctx, a.target, away));
    rows_add(&a.f, 0, 100);
    CHECK_FAILS(&a.f.ctx, kd_archive_step(&a.f.ctx, a.archive), "58P01");
    archive_reopen(&a, true);
    rows_add(&a.f, 100, 100);
    CHECK_FAILS(&a.f.ctx, kd_archive_step(&a.f.ctx, a.archive), "58P01");
    CHECK_STATUS(&a.f.ctx, a.f.ctx.world->path_rename(&a.f.ctx, away, a.target));
    archive_step(&a);
    CHECK_EQ(archive_restore(&a, (kd_restore_wish){0}, "new", &restored), 200);
    archive_close(&a);
}
