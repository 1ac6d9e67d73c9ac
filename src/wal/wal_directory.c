/*
 * The files of a log's directory: their names, their headers, the list of them.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_DIGITS = 16 };

static const char spare_prefix[] = "spare-";
static const char suffix[] = ".log";

void kdi_wal_file_name(uint64_t file_no, char out_name[32])
{
    (void)snprintf(out_name, 32, "%016" PRIx64 "%s", file_no, suffix);
}

void kdi_wal_file_path(const kdi_wal_directory *directory, uint64_t file_no, char *out_path)
{
    (void)snprintf(out_path, KDI_PATH_BYTES, "%s/%016" PRIx64 "%s", directory->path, file_no,
                   suffix);
}

void kdi_wal_spare_path(const kdi_wal_directory *directory, uint64_t spare_no, char *out_path)
{
    (void)snprintf(out_path, KDI_PATH_BYTES, "%s/%s%016" PRIx64 "%s", directory->path, spare_prefix,
                   spare_no, suffix);
}

/* False when the name is not of the form that the log gives. */
static bool name_parse(const char *name, uint64_t *out_no, bool *out_is_spare)
{
    *out_no = 0;
    *out_is_spare = strncmp(name, spare_prefix, sizeof spare_prefix - 1) == 0;
    if (*out_is_spare)
        name += sizeof spare_prefix - 1;
    if (strlen(name) != NUMBER_DIGITS + sizeof suffix - 1 ||
        strcmp(name + NUMBER_DIGITS, suffix) != 0)
        return false;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            *out_no = *out_no * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out_no = *out_no * 16 + (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static kd_status array_reserve(kd_ctx *ctx, kd_account *account, void **items, size_t *capacity,
                               size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return KD_OK;
    size_t new_capacity = *capacity * 2 > needed ? *capacity * 2 : needed + 16;
    void *grown = kd_heap_resize(ctx, account, *items, new_capacity * item_bytes);
    if (grown == NULL)
        return KD_NOMEM;
    *items = grown;
    *capacity = new_capacity;
    return KD_OK;
}

kd_status kdi_wal_directory_add(kd_ctx *ctx, kdi_wal_directory *directory, const kdi_wal_file *file)
{
    void *items = directory->files;
    KD_TRY(array_reserve(ctx, directory->account, &items, &directory->file_capacity,
                         directory->file_count + 1, sizeof *file));
    directory->files = items;
    size_t at = directory->file_count++;
    for (; at > 0 && directory->files[at - 1].file_no > file->file_no; at--)
        directory->files[at] = directory->files[at - 1];
    directory->files[at] = *file;
    return KD_OK;
}

kd_status kdi_wal_directory_add_spare(kd_ctx *ctx, kdi_wal_directory *directory, uint64_t spare_no)
{
    void *items = directory->spares;
    KD_TRY(array_reserve(ctx, directory->account, &items, &directory->spare_capacity,
                         directory->spare_count + 1, sizeof *directory->spares));
    directory->spares = items;
    directory->spares[directory->spare_count++] = spare_no;
    if (spare_no >= directory->next_spare_no)
        directory->next_spare_no = spare_no + 1;
    return KD_OK;
}

kdi_wal_file *kdi_wal_directory_find(kdi_wal_directory *directory, uint64_t file_no)
{
    for (size_t i = 0; i < directory->file_count; i++)
        if (directory->files[i].file_no == file_no)
            return &directory->files[i];
    return NULL;
}

static kd_status entry_visit(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    kdi_wal_directory *directory = object;
    uint64_t number;
    bool is_spare;
    if (entry->is_directory || !name_parse(entry->name, &number, &is_spare))
        return KD_OK;
    if (is_spare)
        return kdi_wal_directory_add_spare(ctx, directory, number);
    return kdi_wal_directory_add(ctx, directory, &(kdi_wal_file){.file_no = number});
}

/* What the header says about a file of that name. An unreadable header is not a failure here:
 * whether the log may end before it is decided when the log is followed. */
static kd_status header_take(kd_ctx *ctx, const kdi_wal_directory *directory, kdi_wal_file *file,
                             const char *path, const void *page)
{
    if (!kdi_file_header_is_intact(page))
        return KD_OK;
    const kdi_file_header *header = page;
    if (header->version > KD_WAL_FORMAT_VERSION)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "log file \"%s\" has format version %u, this program reads up to %d", path,
                       header->version, KD_WAL_FORMAT_VERSION);
    if (header->log_id != directory->log_id)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "log file \"%s\" belongs to another database (id %016" PRIx64
                       ", expected %016" PRIx64 ")",
                       path, header->log_id, directory->log_id);
    if (header->file_no != file->file_no || header->file_bytes % KD_WAL_BLOCK_ALIGN_BYTES != 0 ||
        header->file_bytes <= KDI_WAL_HEADER_BYTES)
        return KD_OK;
    file->start_position = header->start_position;
    file->durable_position = header->durable_position;
    file->file_bytes = header->file_bytes;
    file->incarnation = header->incarnation;
    file->link = header->link;
    file->is_valid = true;
    return KD_OK;
}

static kd_status header_load(kd_ctx *ctx, const kdi_wal_directory *directory, kdi_wal_file *file,
                             char *page)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    kd_file *opened = NULL;
    char path[KDI_PATH_BYTES];
    kdi_wal_file_path(directory, file->file_no, path);
    KD_TRY_OUT(world->file_open(ctx, path, KD_FILE_READ, &opened));
    size_t read_bytes;
    KD_TRY_OUT(world->file_read(ctx, opened, 0, page, KDI_WAL_HEADER_BYTES, &read_bytes));
    if (read_bytes == KDI_WAL_HEADER_BYTES)
        KD_TRY_OUT(header_take(ctx, directory, file, path, page));
out:
    world->file_close(world, opened);
    return status;
}

kd_status kdi_wal_directory_load(kd_ctx *ctx, kdi_wal_directory *directory)
{
    kd_status status = KD_OK;
    char *page = kd_heap_alloc(ctx, directory->account, KDI_WAL_HEADER_BYTES);
    if (page == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(ctx->world->directory_list(ctx, directory->path, entry_visit, directory));
    for (size_t i = 0; i < directory->file_count; i++)
        KD_TRY_OUT(header_load(ctx, directory, &directory->files[i], page));
out:
    kd_heap_free(ctx->world, directory->account, page);
    return status;
}

void kdi_wal_directory_clear(kdi_wal_directory *directory)
{
    kd_heap_free(directory->world, directory->account, directory->files);
    kd_heap_free(directory->world, directory->account, directory->spares);
    directory->files = NULL;
    directory->spares = NULL;
    directory->file_count = directory->file_capacity = 0;
    directory->spare_count = directory->spare_capacity = 0;
}
