/*
 * Ordered groups: finding where they begin, and merging what several threads have.
 */
#include "exec/aggregate_order_internal.h"

#include <assert.h>

/* Longer runs of one key than this are for codes, which do not visit a group per row. */
enum { GROUP_ROWS_MAX = 64 };
/* Runs of one thread, and the groups that they have on average: else it is no order. */
enum { RUNS_MAX = 1024, RUN_GROUPS_MIN = 1024 };

kd_status kdi_group_order_init(kd_ctx *ctx, kd_arena *arena, const kd_type *key_types,
                               uint32_t key_count, kdi_group_order *out_order)
{
    kd_physical physical = key_count == 1 ? kd_type_physical(key_types[0]) : KD_PHYS_STR;
    *out_order = (kdi_group_order){.state = KDI_ORDER_LOST};
    if (physical != KD_PHYS_I16 && physical != KD_PHYS_I32 && physical != KD_PHYS_I64)
        return KD_OK;
    out_order->state = KDI_ORDER_OPEN;
    out_order->fresh = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *out_order->fresh);
    out_order->index = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *out_order->index);
    return out_order->fresh == NULL || out_order->index == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_row_stores_add(kd_ctx *ctx, kdi_row_store **stores, uint32_t *count,
                             kdi_row_store *source)
{
    kdi_row_store *grown =
        kd_heap_resize(ctx, &source->budget->account, *stores, (*count + 1u) * sizeof *grown);
    if (grown == NULL)
        return KD_NOMEM;
    *stores = grown;
    grown[(*count)++] = *source;
    kdi_row_store_init(source, source->budget, source->layout);
    return KD_OK;
}

void kdi_row_stores_clear(kd_world *world, kdi_row_store **stores, uint32_t *count)
{
    if (*count == 0)
        return;
    kdi_budget *budget = (*stores)[0].budget;
    for (uint32_t i = 0; i < *count; i++)
        kdi_row_store_clear(world, &(*stores)[i]);
    kd_heap_free(world, &budget->account, *stores);
    *stores = NULL;
    *count = 0;
}

void kdi_group_order_clear(kd_world *world, kdi_group_order *order)
{
    kdi_row_stores_clear(world, &order->runs, &order->run_count);
}

/* Where the key changes, and whether it never falls. */
#define BEGIN_LOOP(name, type)                                                                \
    static bool name(const kdi_view *view, uint32_t count, int64_t last_key, uint16_t *fresh, \
                     uint32_t *io_fresh)                                                      \
    {                                                                                         \
        const type *values = view->values;                                                    \
        uint32_t begun = *io_fresh, falls = 0;                                                \
        type before = (type)last_key;                                                         \
        for (uint32_t i = begun; i < count; i++) {                                            \
            type key = values[view->index[i]];                                                \
            fresh[begun] = (uint16_t)i;                                                       \
            begun += key != before;                                                           \
            falls |= key < before;                                                            \
            before = key;                                                                     \
        }                                                                                     \
        *io_fresh = begun;                                                                    \
        return falls == 0;                                                                    \
    }
BEGIN_LOOP(begin_i16, int16_t)
BEGIN_LOOP(begin_i32, int32_t)
BEGIN_LOOP(begin_i64, int64_t)
#undef BEGIN_LOOP

static int64_t key_at(const kdi_view *view, uint32_t i)
{
    switch ((kd_physical)view->physical) {
    case KD_PHYS_I16:
        return ((const int16_t *)view->values)[view->index[i]];
    case KD_PHYS_I32:
        return ((const int32_t *)view->values)[view->index[i]];
    default:
        return ((const int64_t *)view->values)[view->index[i]];
    }
}

static bool groups_begin(kdi_group_order *order, const kdi_view *view, uint32_t count,
                         uint32_t *out_fresh)
{
    int64_t last_key = order->last_key;
    *out_fresh = 0;
    if (order->last_row == NULL) { /* The first row begins a group whatever its key is. */
        last_key = key_at(view, 0);
        order->fresh[(*out_fresh)++] = 0;
    }
    switch ((kd_physical)view->physical) {
    case KD_PHYS_I16:
        return begin_i16(view, count, last_key, order->fresh, out_fresh);
    case KD_PHYS_I32:
        return begin_i32(view, count, last_key, order->fresh, out_fresh);
    default:
        return begin_i64(view, count, last_key, order->fresh, out_fresh);
    }
}

/* Appends the groups that begin; `rows` receives them. */
static kd_status groups_append(kd_ctx *ctx, kdi_group_order *order, kdi_group_table *table,
                               const kdi_agg *agg, const kdi_view *view, uint32_t fresh_count,
                               uint64_t *hashes, char **rows)
{
    kdi_view begun = *view;
    uint32_t appended;
    for (uint32_t i = 0; i < fresh_count; i++)
        order->index[i] = view->index[order->fresh[i]];
    begun.index = order->index;
    kdi_view_hash(&begun, fresh_count, false, hashes);
    KD_TRY(
        kdi_row_store_append(ctx, &table->store, &begun, NULL, fresh_count, true, rows, &appended));
    assert(appended == fresh_count);
    for (uint32_t i = 0; i < fresh_count; i++) {
        kd_store_u64(rows[i], hashes[i]);
        kd_store_u64(rows[i] + 8, 0);
        kdi_agg_init_row(agg, rows[i]);
    }
    return KD_OK;
}

/* Begins another run where the key falls between batches. */
static kd_status run_begin(kd_ctx *ctx, kdi_group_order *order, kdi_group_table *table,
                           const kdi_view *view)
{
    if (order->last_row == NULL || key_at(view, 0) >= order->last_key)
        return KD_OK;
    uint64_t groups = order->run_groups + table->store.row_count;
    if (order->run_count == RUNS_MAX || groups < (uint64_t)RUN_GROUPS_MIN * order->run_count)
        return KD_OK;
    order->run_groups = groups;
    order->last_row = NULL;
    return kdi_row_stores_add(ctx, &order->runs, &order->run_count, &table->store);
}

kd_status kdi_group_order_find(kd_ctx *ctx, kdi_group_order *order, kdi_group_table *table,
                               const kdi_agg *agg, const kdi_view *view, uint32_t count,
                               uint64_t *hashes, char **groups, bool *out_holds)
{
    uint32_t fresh_count;
    KD_TRY(run_begin(ctx, order, table, view));
    *out_holds = view->validity == NULL && groups_begin(order, view, count, &fresh_count);
    if (*out_holds && order->state == KDI_ORDER_OPEN)
        *out_holds = fresh_count * GROUP_ROWS_MAX >= count;
    if (!*out_holds)
        return KD_OK;
    char **rows = table->match_rows;
    KD_TRY(groups_append(ctx, order, table, agg, view, fresh_count, hashes, rows));
    char *row = order->last_row;
    for (uint32_t f = 0, i = 0; f <= fresh_count; f++) {
        uint32_t end = f < fresh_count ? order->fresh[f] : count;
        for (; i < end; i++)
            groups[i] = row;
        row = f < fresh_count ? rows[f] : row;
    }
    order->state = KDI_ORDER_HOLDS;
    order->last_row = row;
    order->last_key = key_at(view, count - 1);
    return KD_OK;
}

/* ---- Merging ---- */

static int64_t row_key(const kdi_row_store *store, const char *row)
{
    const void *at = kdi_row_at(store->layout, row, 0);
    switch ((kd_physical)store->layout->physicals[0]) {
    case KD_PHYS_I16: {
        int16_t key;
        memcpy(&key, at, sizeof key);
        return key;
    }
    case KD_PHYS_I32: {
        int32_t key;
        memcpy(&key, at, sizeof key);
        return key;
    }
    default: {
        int64_t key;
        memcpy(&key, at, sizeof key);
        return key;
    }
    }
}

/* A place in one store. */
typedef struct merge_head {
    const kdi_row_store *store;
    uint32_t page, row;
    int64_t key;
    char *at; /* NULL: at the end. */
} merge_head;

static void head_read(merge_head *head)
{
    const kdi_row_store *store = head->store;
    while (head->page < store->page_count && head->row >= store->pages[head->page].row_count) {
        head->page++;
        head->row = 0;
    }
    head->at = NULL;
    if (head->page == store->page_count)
        return;
    head->at = kdi_page_row(store, &store->pages[head->page], head->row);
    head->key = row_key(store, head->at);
}

/* To the first row whose key is `key` or more; whole pages below it are not looked at. */
static void head_advance(merge_head *head, int64_t key)
{
    const kdi_row_store *store = head->store;
    while (head->at != NULL && head->key < key) {
        const kdi_page *page = &store->pages[head->page];
        const char *last = kdi_page_row(store, page, page->row_count - 1);
        head->row = row_key(store, last) < key ? page->row_count : head->row + 1;
        head_read(head);
    }
}

/* The head with the least key; `*out_next` is the least key of the others, if there is one. */
static merge_head *head_least(merge_head *heads, uint32_t count, merge_head **out_next)
{
    merge_head *least = NULL, *next = NULL;
    for (uint32_t i = 0; i < count; i++) {
        merge_head *head = &heads[i];
        if (head->at == NULL)
            continue;
        if (least == NULL || head->key < least->key) {
            next = least;
            least = head;
        } else if (next == NULL || head->key < next->key) {
            next = head;
        }
    }
    *out_next = next;
    return least;
}

kd_status kdi_group_order_merge(kd_ctx *ctx, kdi_agg *agg, kdi_row_store *stores,
                                uint32_t store_count)
{
    merge_head *heads = KD_NEW_ARRAY(ctx, agg->batch_arena, merge_head, store_count);
    if (heads == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < store_count; i++) {
        heads[i].store = &stores[i];
        head_read(&heads[i]);
    }
    for (;;) {
        merge_head *next, *least = head_least(heads, store_count, &next);
        if (next == NULL)
            return KD_OK;
        if (least->key < next->key) {
            head_advance(least, next->key);
            continue;
        }
        KD_TRY(kdi_agg_combine(ctx, agg, next->at, least->at));
        kd_store_u64(least->at + 8, 1);
        least->row++;
        head_read(least);
    }
}
