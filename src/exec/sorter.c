/*
 * Sorters: runs in memory and on disk, merged.
 */
#include "exec/sorter_internal.h"

#include <assert.h>

enum { RUN_PAGES_MIN = 4, FAN_IN_MIN = 8, FAN_IN_MAX = 256 };

void kdi_sorter_init(kdi_sorter *sorter, kd_world *world, kdi_budget *budget,
                     const kdi_row_layout *layout, const kdi_sort_column *columns,
                     uint32_t column_count)
{
    *sorter = (kdi_sorter){.world = world,
                           .budget = budget,
                           .order = kdi_sort_order_of(layout, columns, column_count)};
    kdi_row_store_init(&sorter->store, budget, layout);
}

static void run_clear(kdi_sorter *sorter, kdi_sort_run *run)
{
    kdi_row_store_clear(sorter->world, &run->store);
    kd_heap_free(sorter->world, &sorter->budget->account, run->entries);
    run->entries = NULL;
    run->count = 0;
}

void kdi_sorter_clear(kdi_sorter *sorter)
{
    if (sorter->world == NULL)
        return;
    kd_account *account = &sorter->budget->account;
    kdi_sort_merge_destroy(sorter->world, account, sorter->merge);
    sorter->merge = NULL;
    for (size_t r = 0; r < sorter->run_count; r++)
        run_clear(sorter, &sorter->runs[r]);
    kd_heap_free(sorter->world, account, sorter->runs);
    sorter->runs = NULL;
    sorter->run_count = sorter->run_capacity = 0;
    kdi_row_store_clear(sorter->world, &sorter->store);
    kdi_budget_promise(sorter->budget, &sorter->promise, 0);
}

uint64_t kdi_sorter_row_count(const kdi_sorter *sorter)
{
    uint64_t count = sorter->store.row_count;
    for (size_t r = 0; r < sorter->run_count; r++)
        count += sorter->runs[r].count;
    return count;
}

static kd_status runs_reserve(kd_ctx *ctx, kdi_sorter *sorter, size_t more)
{
    if (sorter->run_count + more <= sorter->run_capacity)
        return KD_OK;
    size_t capacity = sorter->run_capacity * 2 + more;
    kdi_sort_run *runs =
        kd_heap_resize(ctx, &sorter->budget->account, sorter->runs, capacity * sizeof *runs);
    if (runs == NULL)
        return KD_NOMEM;
    sorter->runs = runs;
    sorter->run_capacity = capacity;
    return KD_OK;
}

/* Copies a row to the end of a run on disk; full pages are written at once. */
static kd_status run_append(kd_ctx *ctx, kdi_sort_run *run, const char *row)
{
    char *copy;
    uint32_t pages = run->store.page_count;
    KD_TRY(kdi_row_store_copy(ctx, &run->store, row, true, &copy));
    run->count++;
    if (run->store.page_count > pages)
        return kdi_row_store_spill(ctx, &run->store, true);
    return KD_OK;
}

/* Writes the run's rows to disk, in order. */
static kd_status run_write(kd_ctx *ctx, kdi_sorter *sorter, kdi_sort_run *run)
{
    kd_status status = KD_OK;
    kdi_sort_run written = {0};
    kdi_row_store_init(&written.store, sorter->budget, sorter->order.layout);
    for (uint64_t i = 0; i < run->count; i++)
        KD_TRY_OUT(run_append(ctx, &written, run->entries[i].row));
    KD_TRY_OUT(kdi_row_store_spill(ctx, &written.store, false));
    kdi_sort_run swap = *run;
    *run = written;
    written = swap;
out:
    run_clear(sorter, &written);
    return status;
}

kd_status kdi_sorter_seal(kd_ctx *ctx, kdi_sorter *sorter)
{
    kdi_budget_promise(sorter->budget, &sorter->promise, 0);
    if (sorter->store.row_count == 0)
        return KD_OK;
    kdi_sort_entry *entries;
    KD_TRY(runs_reserve(ctx, sorter, 1));
    KD_TRY(kdi_sort_store(ctx, &sorter->store, &sorter->order, &entries));
    sorter->runs[sorter->run_count++] = (kdi_sort_run){
        .store = sorter->store, .entries = entries, .count = sorter->store.row_count};
    kdi_row_store_init(&sorter->store, sorter->budget, sorter->order.layout);
    return KD_OK;
}

kd_status kdi_sorter_make_room(kd_ctx *ctx, kdi_sorter *sorter)
{
    kdi_budget_promise(sorter->budget, &sorter->promise,
                       sorter->store.row_count * 2 * sizeof(kdi_sort_entry));
    if (sorter->store.page_count < RUN_PAGES_MIN || !kdi_budget_is_tight(sorter->budget, 0))
        return KD_OK;
    KD_TRY(kdi_sorter_seal(ctx, sorter));
    return run_write(ctx, sorter, &sorter->runs[sorter->run_count - 1]);
}

kd_status kdi_sorter_take(kd_ctx *ctx, kdi_sorter *sorter, kdi_sorter *source)
{
    assert(source->store.row_count == 0);
    KD_TRY(runs_reserve(ctx, sorter, source->run_count));
    if (source->run_count > 0)
        memcpy(sorter->runs + sorter->run_count, source->runs,
               source->run_count * sizeof *source->runs);
    sorter->run_count += source->run_count;
    source->run_count = 0;
    return KD_OK;
}

static size_t fan_in(const kdi_sorter *sorter)
{
    size_t pages = kdi_budget_limit_bytes(sorter->budget) / KD_GOVERNOR_PAGE_BYTES / 4;
    return pages < FAN_IN_MIN ? FAN_IN_MIN : pages > FAN_IN_MAX ? FAN_IN_MAX : pages;
}

/* Merges runs `first` .. `first + count - 1` into one on disk. */
static kd_status runs_unite(kd_ctx *ctx, kdi_sorter *sorter, size_t first, size_t count,
                            kdi_sort_run *out_run)
{
    kd_status status = KD_OK;
    kdi_sort_merge *merge = NULL;
    char *rows[KD_BATCH_ROWS];
    kdi_sort_run united = {0};
    kdi_row_store_init(&united.store, sorter->budget, sorter->order.layout);
    KD_TRY_OUT(kdi_sort_merge_create(ctx, &sorter->budget->account, &sorter->order,
                                     sorter->runs + first, count, &merge));
    for (uint32_t given = 1; given > 0;) {
        KD_TRY_OUT(kdi_sort_merge_next(ctx, merge, rows, &given));
        for (uint32_t i = 0; i < given; i++)
            KD_TRY_OUT(run_append(ctx, &united, rows[i]));
    }
    KD_TRY_OUT(kdi_row_store_spill(ctx, &united.store, false));
    for (size_t r = first; r < first + count; r++)
        run_clear(sorter, &sorter->runs[r]);
    *out_run = united;
    united = (kdi_sort_run){0};
    kdi_row_store_init(&united.store, sorter->budget, sorter->order.layout);
out:
    run_clear(sorter, &united);
    kdi_sort_merge_destroy(ctx->world, &sorter->budget->account, merge);
    return status;
}

/* One pass: neighbours are merged, so that rows of equal keys keep their order. */
static kd_status runs_pass(kd_ctx *ctx, kdi_sorter *sorter, size_t fan)
{
    size_t kept = 0;
    kd_status status = KD_OK;
    for (size_t first = 0; first < sorter->run_count; first += fan) {
        size_t count = sorter->run_count - first < fan ? sorter->run_count - first : fan;
        kdi_sort_run united = sorter->runs[first];
        if (count > 1 && status == KD_OK)
            status = runs_unite(ctx, sorter, first, count, &united);
        /* After a failure all runs stay, to be cleared. */
        if (status != KD_OK)
            return status;
        sorter->runs[first] = (kdi_sort_run){0};
        kdi_row_store_init(&sorter->runs[first].store, sorter->budget, sorter->order.layout);
        sorter->runs[kept++] = united;
    }
    sorter->run_count = kept;
    return KD_OK;
}

kd_status kdi_sorter_finish(kd_ctx *ctx, kdi_sorter *sorter)
{
    KD_TRY(kdi_sorter_seal(ctx, sorter));
    size_t on_disk = 0;
    for (size_t r = 0; r < sorter->run_count; r++)
        on_disk += sorter->runs[r].entries == NULL;
    if (on_disk > 0 && kdi_budget_is_tight(sorter->budget, on_disk * KD_GOVERNOR_PAGE_BYTES))
        for (size_t r = 0; r < sorter->run_count; r++)
            if (sorter->runs[r].entries != NULL)
                KD_TRY(run_write(ctx, sorter, &sorter->runs[r]));
    if (on_disk > 0)
        for (size_t fan = fan_in(sorter); sorter->run_count > fan;)
            KD_TRY(runs_pass(ctx, sorter, fan));
    if (sorter->run_count == 0 || (sorter->run_count == 1 && sorter->runs[0].entries != NULL))
        return KD_OK;
    return kdi_sort_merge_create(ctx, &sorter->budget->account, &sorter->order, sorter->runs,
                                 sorter->run_count, &sorter->merge);
}

bool kdi_sorter_is_in_memory(const kdi_sorter *sorter)
{
    for (size_t r = 0; r < sorter->run_count; r++)
        if (sorter->runs[r].entries == NULL)
            return false;
    return true;
}

kd_status kdi_sorter_next(kd_ctx *ctx, kdi_sorter *sorter, char **out_rows, uint32_t *out_count)
{
    *out_count = 0;
    if (sorter->merge != NULL)
        return kdi_sort_merge_next(ctx, sorter->merge, out_rows, out_count);
    if (sorter->run_count == 0)
        return KD_OK;
    const kdi_sort_run *run = &sorter->runs[0];
    uint64_t left = run->count - sorter->next;
    uint32_t count = left < KD_BATCH_ROWS ? (uint32_t)left : KD_BATCH_ROWS;
    for (uint32_t i = 0; i < count; i++)
        out_rows[i] = run->entries[sorter->next + i].row;
    sorter->next += count;
    /* Rows stand anywhere in memory: the next batch's are asked for while this one is read. */
    for (uint64_t i = sorter->next; i < run->count && i < sorter->next + KD_BATCH_ROWS; i++)
        __builtin_prefetch(run->entries[i].row);
    *out_count = count;
    return KD_OK;
}
