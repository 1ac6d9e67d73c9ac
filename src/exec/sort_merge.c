/*
 * Merging sorted runs: a heap with the next entry of every run.
 *
 * A batch ends where a run's page ends: rows given point into pages, so a page that is through is
 * given back only at the next call.
 */
#include "exec/sort_internal.h"

#include <assert.h>

typedef struct source {
    kdi_row_store *run; /* NULL: rows in memory. */
    uint32_t page, row;
    char *const *rows;
    uint64_t next, count;
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
    int64_t waiting; /* The source whose page is through; -1: none. */
};

static void sift_down(kdi_sort_merge *merge, uint32_t at)
{
    head moving = merge->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= merge->heap_count)
            break;
        if (child + 1 < merge->heap_count &&
            kdi_sort_compare(&merge->order, &merge->heap[child + 1].entry,
                             &merge->heap[child].entry) < 0)
            child++;
        if (kdi_sort_compare(&merge->order, &moving.entry, &merge->heap[child].entry) <= 0)
            break;
        merge->heap[at] = merge->heap[child];
        at = child;
    }
    merge->heap[at] = moving;
}

static void push_up(kdi_sort_merge *merge, uint32_t at)
{
    head moving = merge->heap[at];
    while (at > 0 &&
           kdi_sort_compare(&merge->order, &moving.entry, &merge->heap[(at - 1) / 2].entry) < 0) {
        merge->heap[at] = merge->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    merge->heap[at] = moving;
}

/* The source's next row in the page at hand; NULL when that is through. */
static char *source_row(source *from)
{
    if (from->run == NULL)
        return from->next < from->count ? from->rows[from->next++] : NULL;
    if (from->page >= from->run->page_count)
        return NULL;
    const kdi_page *page = &from->run->pages[from->page];
    return from->row < page->row_count ? kdi_page_row(from->run, page, from->row++) : NULL;
}

/* Goes on to the next page; false at the end of the run. */
static kd_status source_turn(kd_ctx *ctx, source *from, bool *out_more)
{
    *out_more = false;
    if (from->run == NULL)
        return KD_OK;
    if (from->page < from->run->page_count)
        kdi_row_store_drop_page(ctx->world, from->run, from->page);
    from->page++;
    from->row = 0;
    if (from->page >= from->run->page_count)
        return KD_OK;
    *out_more = true;
    return kdi_row_store_load(ctx, from->run, from->page);
}

static void head_add(kdi_sort_merge *merge, uint32_t index, char *row)
{
    merge->heap[merge->heap_count] =
        (head){.entry = kdi_sort_entry_of(&merge->order, row), .source = index};
    push_up(merge, merge->heap_count++);
}

kd_status kdi_sort_merge_create(kd_ctx *ctx, kd_arena *arena, const kdi_sort_order *order,
                                kdi_row_store *runs, size_t run_count, char *const *rows,
                                uint64_t row_count, kdi_sort_merge **out_merge)
{
    kdi_sort_merge *merge = KD_NEW(ctx, arena, kdi_sort_merge);
    *out_merge = merge;
    if (merge == NULL)
        return KD_NOMEM;
    merge->order = *order;
    merge->waiting = -1;
    merge->sources = KD_NEW_ARRAY(ctx, arena, source, run_count + 1);
    merge->heap = KD_NEW_ARRAY(ctx, arena, head, run_count + 1);
    if (merge->sources == NULL || merge->heap == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i <= run_count; i++) {
        source *from = &merge->sources[i];
        if (i < run_count) {
            from->run = &runs[i];
            if (from->run->page_count > 0)
                KD_TRY(kdi_row_store_load(ctx, from->run, 0));
        } else {
            from->rows = rows;
            from->count = row_count;
        }
        char *row = source_row(from);
        if (row != NULL)
            head_add(merge, i, row);
    }
    return KD_OK;
}

kd_status kdi_sort_merge_next(kd_ctx *ctx, kdi_sort_merge *merge, char **out_rows,
                              uint32_t *out_count)
{
    *out_count = 0;
    if (merge->waiting >= 0) {
        uint32_t index = (uint32_t)merge->waiting;
        bool more;
        KD_TRY(source_turn(ctx, &merge->sources[index], &more));
        char *row = more ? source_row(&merge->sources[index]) : NULL;
        if (row != NULL)
            head_add(merge, index, row);
        merge->waiting = -1;
    }
    uint32_t count = 0;
    while (merge->heap_count > 0 && count < KD_BATCH_ROWS) {
        head *top = &merge->heap[0];
        uint32_t index = top->source;
        out_rows[count++] = top->entry.row;
        char *row = source_row(&merge->sources[index]);
        if (row != NULL) {
            top->entry = kdi_sort_entry_of(&merge->order, row);
            sift_down(merge, 0);
            continue;
        }
        *top = merge->heap[--merge->heap_count];
        if (merge->heap_count > 0)
            sift_down(merge, 0);
        if (merge->sources[index].run != NULL) {
            merge->waiting = index;
            break;
        }
    }
    *out_count = count;
    return KD_OK;
}
