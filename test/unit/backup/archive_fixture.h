/*
 * The table fixture with an archive that is moved on step by step.
 */
#ifndef KD_TEST_ARCHIVE_FIXTURE_H
#define KD_TEST_ARCHIVE_FIXTURE_H

#include "backup/archive.h"
#include "backup_fixture.h"

typedef struct archive_fixture {
    table_fixture f;
    kd_archive *archive;
    char target[4096];
} archive_fixture;

static inline void archive_create(archive_fixture *a)
{
    CHECK_STATUS(&a->f.ctx, kd_archive_create(&a->f.ctx, a->f.storage, true, &a->archive));
}

static inline void archive_open(archive_fixture *a)
{
    fixture_prepare(&a->f, test_ctx(), test_path("db"));
    a->f.options.wal_file_bytes = 1 << 16; /* Many small files. */
    CHECK_STATUS(&a->f.ctx, kd_storage_open(&a->f.ctx, &a->f.options, &a->f.storage));
    fixture_create_table(&a->f, true);
    (void)snprintf(a->target, sizeof a->target, "%s", test_path("backups"));
    archive_create(a);
}

static inline void archive_close(archive_fixture *a)
{
    kd_archive_destroy(a->archive);
    fixture_close(&a->f);
}

/* After a crash, or with a last step and a checkpoint. */
static inline void archive_reopen(archive_fixture *a, bool crashes)
{
    if (crashes) {
        kd_archive_abandon(a->archive);
        kd_storage_abandon(a->f.storage);
    } else {
        kd_archive_destroy(a->archive);
        CHECK_STATUS(&a->f.ctx, kd_storage_close(&a->f.ctx, a->f.storage));
    }
    fixture_reopen(&a->f);
    archive_create(a);
}

static inline void archive_start(archive_fixture *a)
{
    CHECK_STATUS(&a->f.ctx, kd_archive_start(&a->f.ctx, a->archive, a->target, 0));
}

static inline void archive_step(archive_fixture *a)
{
    CHECK_STATUS(&a->f.ctx, kd_archive_step(&a->f.ctx, a->archive));
}

static inline uint64_t archive_restore(archive_fixture *a, kd_restore_wish wish, const char *name,
                                       kd_restored *out_restored)
{
    char directory[4096];
    (void)snprintf(directory, sizeof directory, "%s", test_path(name));
    CHECK_STATUS(&a->f.ctx,
                 kd_backup_restore_to(&a->f.ctx, a->target, &wish, directory, out_restored));
    return restored_rows(&a->f, directory);
}

/* And nothing is there. */
static inline void archive_refused(archive_fixture *a, kd_restore_wish wish, const char *sqlstate,
                                   const char *words)
{
    kd_restored restored;
    bool exists;
    char directory[4096];
    (void)snprintf(directory, sizeof directory, "%s", test_path("refused"));
    CHECK_FAILS_WITH(&a->f.ctx,
                     kd_backup_restore_to(&a->f.ctx, a->target, &wish, directory, &restored),
                     sqlstate, words);
    CHECK_STATUS(&a->f.ctx, a->f.ctx.world->path_exists(&a->f.ctx, directory, &exists));
    CHECK(!exists);
}

static inline kd_status segment_file_look(kd_ctx *ctx, void *object,
                                          const kd_directory_entry *entry)
{
    (void)ctx;
    size_t length = strlen(entry->name);
    *(size_t *)object += length > 4 && strcmp(entry->name + length - 4, ".seg") == 0;
    return KD_OK;
}

static inline size_t segment_file_count(archive_fixture *a)
{
    size_t count = 0;
    char directory[8192];
    (void)snprintf(directory, sizeof directory, "%s/units", a->f.options.directory);
    CHECK_STATUS(&a->f.ctx,
                 a->f.ctx.world->directory_list(&a->f.ctx, directory, segment_file_look, &count));
    return count;
}

#endif
