/*
 * Targets, backups and directories that must be refused, with nothing changed.
 */
#include "backup_fixture.h"

enum { ROWS = 3000 };

static char target[4096], place[4096];

static void made(table_fixture *f)
{
    kd_backup_info info;
    (void)snprintf(target, sizeof target, "%s", test_path("backups"));
    (void)snprintf(place, sizeof place, "%s", test_path("new"));
    fixture_open(f);
    rows_add(f, 0, ROWS);
    CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
    CHECK_STATUS(&f->ctx, kd_backup_take(&f->ctx, f->storage, target, 0, &info));
}

static void file_make(kd_ctx *ctx, const char *path)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    ctx->world->file_close(ctx->world, file);
}

TEST(a_target_of_something_else_is_refused)
{
    table_fixture f, other;
    kd_backup_info info;
    made(&f);
    fixture_open_in(&other, test_ctx(), test_path("other"), true);
    CHECK_FAILS_WITH(&f.ctx, kd_backup_take(&f.ctx, other.storage, target, 0, &info), "55000",
                     "another database");
    CHECK_FAILS_WITH(&f.ctx, kd_backup_take(&f.ctx, f.storage, test_path("other"), 0, &info),
                     "55000", "not a directory of KadeDB backups");
    CHECK_FAILS(&f.ctx, kd_backup_verify(&f.ctx, test_path("other"), NULL, &info), "55000");
    CHECK_FAILS(&f.ctx, kd_backup_verify(&f.ctx, test_path("absent"), NULL, &info), "58P01");
    CHECK_FAILS(&f.ctx, kd_backup_verify(&f.ctx, target, "yesterday", &info), "58P01");
    CHECK_STATUS(&f.ctx, kd_backup_verify(&f.ctx, target, NULL, &info));
    fixture_close(&other);
    fixture_close(&f);
}

TEST(a_restore_over_anything_is_refused)
{
    table_fixture f;
    kd_backup_info info;
    char path[8192];
    made(&f);
    CHECK_FAILS_WITH(&f.ctx, kd_backup_restore(&f.ctx, target, NULL, f.options.directory, &info),
                     "55000", "there is a database");
    CHECK_STATUS(&f.ctx, f.ctx.world->directory_create(&f.ctx, place));
    (void)snprintf(path, sizeof path, "%s/letter", place);
    file_make(&f.ctx, path);
    CHECK_FAILS_WITH(&f.ctx, kd_backup_restore(&f.ctx, target, NULL, place, &info), "55000",
                     "not empty");
    CHECK_STATUS(&f.ctx, f.ctx.world->path_remove(&f.ctx, path));
    CHECK_STATUS(&f.ctx, kd_backup_restore(&f.ctx, target, NULL, place, &info));
    CHECK_EQ(restored_rows(&f, place), ROWS);
    fixture_close(&f);
}

TEST(two_runs_at_once_are_refused)
{
    table_fixture f;
    kd_backup_info info;
    kd_file *lock;
    char path[8192];
    made(&f);
    (void)snprintf(path, sizeof path, "%s/LOCK", target);
    CHECK_STATUS(&f.ctx, f.ctx.world->file_open(&f.ctx, path, KD_FILE_WRITE | KD_FILE_LOCK, &lock));
    CHECK_FAILS(&f.ctx, kd_backup_take(&f.ctx, f.storage, target, 0, &info), "55006");
    CHECK_FAILS(&f.ctx, kd_backup_verify(&f.ctx, target, NULL, &info), "55006");
    f.ctx.world->file_close(f.ctx.world, lock);
    CHECK_STATUS(&f.ctx, kd_backup_take(&f.ctx, f.storage, target, 0, &info));
    fixture_close(&f);
}

/* --- Every file of a backup, cut off and changed --------------------------------------------- */

typedef struct path_list {
    const char *directory;
    char paths[64][8192];
    size_t count;
} path_list;

static kd_status path_add(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    path_list *list = object;
    (void)ctx;
    if (!entry->is_directory && strcmp(entry->name, "LOCK") != 0) {
        CHECK(list->count < 64);
        (void)snprintf(list->paths[list->count++], sizeof list->paths[0], "%s/%s", list->directory,
                       entry->name);
    }
    return KD_OK;
}

static void refused(table_fixture *f, const char *path)
{
    kd_backup_info info;
    bool exists;
    kd_backup_pruned pruned;
    CHECK(kd_backup_verify(&f->ctx, target, NULL, &info) == KD_CORRUPT);
    CHECK(strstr(f->ctx.error.message, path) != NULL);
    kd_error_clear(&f->ctx);
    CHECK(kd_backup_restore(&f->ctx, target, NULL, place, &info) == KD_CORRUPT);
    kd_error_clear(&f->ctx);
    CHECK_STATUS(&f->ctx, f->ctx.world->path_exists(&f->ctx, place, &exists));
    CHECK(!exists);
    if (strstr(path, "/objects/") == NULL) {
        CHECK(kd_backup_prune(&f->ctx, target, &(kd_backup_keep){.count = 1}, &pruned) ==
              KD_CORRUPT);
        kd_error_clear(&f->ctx);
    }
}

static void file_damage(table_fixture *f, const char *path)
{
    kd_world *w = f->ctx.world;
    kd_file *file;
    uint64_t size_bytes;
    size_t got_bytes;
    CHECK_STATUS(&f->ctx, w->file_open(&f->ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(&f->ctx, w->file_size(&f->ctx, file, &size_bytes));
    char *bytes = kd_alloc(&f->ctx, f->arena, size_bytes);
    CHECK(bytes != NULL);
    CHECK_STATUS(&f->ctx, w->file_read(&f->ctx, file, 0, bytes, size_bytes, &got_bytes));
    for (uint64_t part = 0; part < 5; part++) { /* A changed byte, from the first to the last. */
        uint64_t offset = part * (size_bytes - 1) / 4;
        char changed = (char)(bytes[offset] ^ 0x10);
        CHECK_STATUS(&f->ctx, w->file_write(&f->ctx, file, offset, &changed, 1));
        refused(f, path);
        CHECK_STATUS(&f->ctx, w->file_write(&f->ctx, file, offset, &bytes[offset], 1));
    }
    for (uint64_t part = 0; part < 4; part++) { /* Cut off. */
        CHECK_STATUS(&f->ctx, w->file_resize(&f->ctx, file, part * (size_bytes - 1) / 3));
        refused(f, path);
        CHECK_STATUS(&f->ctx, w->file_write(&f->ctx, file, 0, bytes, size_bytes));
    }
    w->file_close(w, file);
}

TEST(every_damaged_file_of_a_backup_is_found)
{
    table_fixture f;
    kd_backup_info info;
    static path_list list;
    char objects[8192];
    made(&f);
    (void)snprintf(objects, sizeof objects, "%s/objects", target);
    list = (path_list){.directory = target};
    CHECK_STATUS(&f.ctx, f.ctx.world->directory_list(&f.ctx, target, path_add, &list));
    list.directory = objects;
    CHECK_STATUS(&f.ctx, f.ctx.world->directory_list(&f.ctx, objects, path_add, &list));
    CHECK(list.count >= 5);
    for (size_t i = 0; i < list.count; i++)
        file_damage(&f, list.paths[i]);
    CHECK_STATUS(&f.ctx, kd_backup_restore(&f.ctx, target, NULL, place, &info));
    CHECK_EQ(restored_rows(&f, place), ROWS);
    fixture_close(&f);
}
