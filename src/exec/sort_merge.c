/*
 * Merging sorted runs: a heap with the next entry of every run.
 *
 * A batch ends where a run's page ends: rows given point into pages, so a page that is through is
 * given back only at the next call.
 */
#include "exec/sort_internal.h"

#include <assert.h>

enum { NEAR_ROWS = 64, MEMORY_RUNS_MAX = 8 };

typedef struct source {
    kdi_sort_run *run;
    uint32_t page, row;             /* On disk. */
    uint64_t next;                  /* In memory. */
    kdi_sort_entry near[NEAR_ROWS]; /* On disk: of the next rows of the page. */
    uint32_t near_count, near_next;
} source;

typedef struct head {
    kdi_sort_entry entry;
    uint32_t source;
} head;

struct kdi_sort_merge {
    kdi_sort_order order;
    source *sources;
    head *heap;
    uint32_t heap_count;
    bool is_in_memory; /* A few runs, all of them. */
    uint32_t source_count;
    int64_t waiting; /* The source whose page is through; -1: none. */
};

static bool head_is_before(const kdi_sort_merge *merge, const head *a, const head *b)
{
    int compared = kdi_sort_compare(&merge->order, &a->entry, &b->entry);
    return compared != 0 ? compared < 0 : a->source < b->source;
}

static void sift_down(kdi_sort_merge *merge, uint32_t at)
{
    head moving = merge->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= merge->heap_count)
            break;
        if (child + 1 < merge->heap_count &&
            head_is_before(merge, &merge->heap[child + 1], &merge->heap[child]))
            child++;
        if (!head_is_before(merge, &merge->heap[child], &moving))
            break;
        merge->heap[at] = merge->heap[child];
        at = child;
    }
    merge->heap[at] = moving;
}

static void push_up(kdi_sort_merge *merge, uint32_t at)
{
    head moving = merge->heap[at];
    while (at > 0 && head_is_before(merge, &moving, &merge->heap[(at - 1) / 2])) {
        merge->heap[at] = merge->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    merge->heap[at] = moving;
}

/* The source's next entry in the page at hand; false when that is through. */
static bool source_entry(const kdi_sort_merge *merge, source *from, kdi_sort_entry *out)
{
    const kdi_sort_run *run = from->run;
    if (run->entries != NULL) {
        if (from->next >= run->count)
            return false;
        *out = run->entries[from->next++];
        return true;
    }
    if (from->near_next == from->near_count) {
        if (from->page >= run->store.page_count)
            return false;
        const kdi_page *page = &run->store.pages[from->page];
        char *rows[NEAR_ROWS];
        from->near_count = from->near_next = 0;
        while (from->near_count < NEAR_ROWS && from->row < page->row_count)
            rows[from->near_count++] = kdi_page_row(&run->store, page, from->row++);
        if (from->near_count == 0)
            return false;
        kdi_sort_entries_make(&merge->order, rows, from->near_count, from->near);
    }
    *out = from->near[from->near_next++];
    return true;
}

/* Goes on to the next page; false at the end of the run. */
static kd_status source_turn(kd_ctx *ctx, source *from, bool *out_more)
{
    kdi_row_store *store = &from->run->store;
    *out_more = false;
    if (from->run->entries != NULL)
        return KD_OK;
    if (from->page < store->page_count)
        kdi_row_store_drop_page(ctx->world, store, from->page);
    from->page++;
    from->row = 0;
    if (from->page >= store->page_count)
        return KD_OK;
    *out_more = true;
    return kdi_row_store_load(ctx, store, from->page);
}

static void head_add(kdi_sort_merge *merge, uint32_t index, kdi_sort_entry entry)
{
    merge->heap[merge->heap_count] = (head){.entry = entry, .source = index};
    push_up(merge, merge->heap_count++);
}

void kdi_sort_merge_destroy(kd_world *world, kd_account *account, kdi_sort_merge *merge)
{
    if (merge == NULL)
        return;
    kd_heap_free(world, account, merge->sources);
    kd_heap_free(world, account, merge->heap);
    kd_heap_free(world, account, merge);
}

kd_status kdi_sort_merge_create(kd_ctx *ctx, kd_account *account, const kdi_sort_order *order,
                                kdi_sort_run *runs, size_t run_count, kdi_sort_merge **out_merge)
{
    kd_status status = KD_OK;
    *out_merge = NULL;
    kdi_sort_merge *merge = KD_HEAP_NEW(ctx, account, kdi_sort_merge);
    if (merge == NULL)
        return KD_NOMEM;
    merge->order = *order;
    merge->waiting = -1;
    merge->sources = kd_heap_alloc(ctx, account, (run_count + 1) * sizeof *merge->sources);
    merge->heap = kd_heap_alloc(ctx, account, (run_count + 1) * sizeof *merge->heap);
    if (merge->sources == NULL || merge->heap == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    merge->source_count = (uint32_t)run_count;
    merge->is_in_memory = run_count <= MEMORY_RUNS_MAX;
    for (uint32_t i = 0; i < run_count; i++)
        merge->is_in_memory &= runs[i].entries != NULL;
    for (uint32_t i = 0; i < run_count; i++) {
        source *from = &merge->sources[i];
        from->run = &runs[i];
        if (merge->is_in_memory)
            continue;
        if (from->run->entries == NULL && from->run->store.page_count > 0)
            KD_TRY_OUT(kdi_row_store_load(ctx, &from->run->store, 0));
        kdi_sort_entry entry;
        if (source_entry(merge, from, &entry))
            head_add(merge, i, entry);
    }
    *out_merge = merge;
    merge = NULL;
out:
    kdi_sort_merge_destroy(ctx->world, account, merge);
    return status;
}

/* Which of the first entries comes first. Which one it is cannot be guessed, so there is no branch
 * on it: words are chosen by masks. */
static uint32_t least_find(const kdi_sort_order *order, const kdi_sort_entry *const *next,
                           uint32_t count)
{
    uint64_t high = next[0]->high, low = next[0]->low;
    uint32_t least = 0;
    for (uint32_t i = 1; i < count; i++) {
        uint64_t other_high = next[i]->high, other_low = next[i]->low;
        bool same_high = other_high == high;
        bool is_less = (other_high < high) | (same_high & (other_low < low));
        if (!order->is_decided && same_high && other_low == low && (low & 0xff) != 0)
            is_less = kdi_sort_compare(order, next[i], next[least]) < 0;
        uint64_t mask = (uint64_t)0 - is_less;
        high ^= (high ^ other_high) & mask;
        low ^= (low ^ other_low) & mask;
        least ^= (least ^ i) & (uint32_t)mask;
    }
    return least;
}

/* A few runs, all in memory, as the threads of a statement leave them: without a heap. */
static uint32_t memory_next(kdi_sort_merge *merge, char **out_rows)
{
    const kdi_sort_entry *next[MEMORY_RUNS_MAX], *end[MEMORY_RUNS_MAX];
    uint32_t sources[MEMORY_RUNS_MAX];
    uint32_t count = 0, open = 0;
    for (uint32_t i = 0; i < merge->source_count; i++) {
        const source *from = &merge->sources[i];
        if (from->next == from->run->count)
            continue;
        next[open] = from->run->entries + from->next;
        end[open] = from->run->entries + from->run->count;
        sources[open++] = i;
    }
    bool ended = open == 0;
    while (count < KD_BATCH_ROWS && !ended) {
        uint32_t least = least_find(&merge->order, next, open);
        char *row = next[least]->row;
        __builtin_prefetch(row);
        out_rows[count++] = row;
        ended = ++next[least] == end[least];
    }
    for (uint32_t i = 0; i < open; i++)
        merge->sources[sources[i]].next =
            (uint64_t)(next[i] - merge->sources[sources[i]].run->entries);
    return count;
}

kd_status kdi_sort_merge_next(kd_ctx *ctx, kdi_sort_merge *merge, char **out_rows,
                              uint32_t *out_count)
{
    *out_count = 0;
    KD_TRY(kd_check_cancelled(ctx));
    if (merge->is_in_memory) {
        *out_count = memory_next(merge, out_rows);
        return KD_OK;
    }
    if (merge->waiting >= 0) {
        uint32_t index = (uint32_t)merge->waiting;
        bool more;
        kdi_sort_entry entry;
        KD_TRY(source_turn(ctx, &merge->sources[index], &more));
        if (more && source_entry(merge, &merge->sources[index], &entry))
            head_add(merge, index, entry);
        merge->waiting = -1;
    }
    uint32_t count = 0;
    while (merge->heap_count > 0 && count < KD_BATCH_ROWS) {
        head *top = &merge->heap[0];
        uint32_t index = top->source;
        out_rows[count++] = top->entry.row;
        if (source_entry(merge, &merge->sources[index], &top->entry)) {
            sift_down(merge, 0);
            continue;
        }
        *top = merge->heap[--merge->heap_count];
        if (merge->heap_count > 0)
            sift_down(merge, 0);
        if (merge->sources[index].run->entries == NULL) {
            merge->waiting = index;
            break;
        }
    }
    *out_count = count;
    return KD_OK;
}
