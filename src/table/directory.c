/*
 * Directories: number -> object in two levels, so that looking one up is two loads.
 */
#include "table/table_internal.h"

void kdi_directory_init(kdi_directory *directory, kd_storage *storage)
{
    directory->storage = storage;
    kd_mutex_init(&directory->lock, storage->world);
}

void kdi_directory_clear(kdi_directory *directory)
{
    kd_storage *storage = directory->storage;
    for (uint32_t i = 0; i < KDI_DIRECTORY_BLOCKS; i++)
        kd_heap_free(storage->world, &storage->account, atomic_load(&directory->blocks[i]));
    kd_mutex_clear(&directory->lock);
}

void *kdi_directory_find(kdi_directory *directory, uint64_t number)
{
    if (number >= (uint64_t)KDI_DIRECTORY_BLOCK * KDI_DIRECTORY_BLOCKS)
        return NULL;
    _Atomic(void *) *block = atomic_load(&directory->blocks[number / KDI_DIRECTORY_BLOCK]);
    return block == NULL ? NULL : atomic_load(&block[number % KDI_DIRECTORY_BLOCK]);
}

kd_status kdi_directory_put(kd_ctx *ctx, kdi_directory *directory, uint64_t number, void *object)
{
    kd_storage *storage = directory->storage;
    kd_status status = KD_OK;
    if (number >= (uint64_t)KDI_DIRECTORY_BLOCK * KDI_DIRECTORY_BLOCKS)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "too many tables or sequences were ever created");
    kd_mutex_lock(&directory->lock);
    _Atomic(void *) *block = atomic_load(&directory->blocks[number / KDI_DIRECTORY_BLOCK]);
    if (block == NULL) {
        block = kd_heap_alloc(ctx, &storage->account, KDI_DIRECTORY_BLOCK * sizeof *block);
        if (block == NULL)
            status = KD_NOMEM;
        else
            atomic_store(&directory->blocks[number / KDI_DIRECTORY_BLOCK], block);
    }
    if (status == KD_OK) {
        atomic_store(&block[number % KDI_DIRECTORY_BLOCK], object);
        if (number >= atomic_load(&directory->end))
            atomic_store(&directory->end, number + 1);
    }
    kd_mutex_unlock(&directory->lock);
    return status;
}

void kdi_directory_remove(kdi_directory *directory, uint64_t number)
{
    _Atomic(void *) *block = atomic_load(&directory->blocks[number / KDI_DIRECTORY_BLOCK]);
    if (block != NULL)
        atomic_store(&block[number % KDI_DIRECTORY_BLOCK], NULL);
}
