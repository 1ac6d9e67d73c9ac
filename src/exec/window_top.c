/*
 * The first rows of each partition, where no others are wanted: rows that cannot be among them are
 * left out before they are kept and sorted.
 *
 * A group per partition holds the first sort keys, as words, of the best rows so far. A row whose
 * word is behind all of them has as many rows before it as are wanted. Rows with equal words stay:
 * later keys may decide, and rank gives all of them the same place. NULL keys stay as well.
 */
#include "exec/window_top_internal.h"

#include "exec/group_table_internal.h"

enum {
    COUNT_MAX = 16,
    BYTES_MAX = 16 << 20, /* Of groups. */
    LOOK_ROWS = 1 << 16,  /* So often it is looked whether it pays. */
};

struct kdi_window_top {
    uint32_t count;           /* Rows wanted of each partition. */
    uint32_t partition_count; /* Columns. */
    bool descending;          /* The first sort key. */
    bool is_off;              /* It does not pay. */
    kd_arena *arena;
    kdi_row_layout layout; /* Partition; words of the best rows, those of the first rows first. */
    kdi_group_table table;
    kdi_view *views; /* Partition, then the first sort key. */
    uint64_t *hashes;
    char **groups;
    uint64_t rows;                   /* In all. */
    uint32_t looked_rows, kept_rows; /* Since the last look. */
};

static bool has_word(kd_type type)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_I16:
    case KD_PHYS_I32:
    case KD_PHYS_I64:
    case KD_PHYS_F64:
        return true;
    default:
        return false;
    }
}

kd_status kdi_window_top_create(kd_ctx *ctx, kd_arena *arena, kdi_budget *budget,
                                const kd_plan *plan, kdi_window_top **out_top)
{
    uint64_t count = plan->as.window.top_count;
    uint32_t partition_count = plan->as.window.partition_count;
    *out_top = NULL;
    if (count == 0 || count > COUNT_MAX || partition_count == 0 ||
        plan->as.window.order_count == 0 || !has_word(plan->as.window.order_by[0].expr->type))
        return KD_OK;
    kdi_window_top *top = KD_NEW(ctx, arena, kdi_window_top);
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, partition_count);
    if (top == NULL || types == NULL)
        return KD_NOMEM;
    top->count = (uint32_t)count;
    top->partition_count = partition_count;
    top->descending = plan->as.window.order_by[0].descending;
    top->arena = arena;
    top->views = KD_NEW_ARRAY(ctx, arena, kdi_view, partition_count + 1);
    top->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    top->groups = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (top->views == NULL || top->hashes == NULL || top->groups == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < partition_count; i++)
        types[i] = plan->as.window.partition_by[i]->type;
    KD_TRY(kdi_row_layout_init(ctx, arena, types, partition_count, true,
                               top->count * (uint32_t)sizeof(uint64_t), &top->layout));
    KD_TRY(kdi_group_table_init(ctx, arena, &top->table, budget, &top->layout, partition_count));
    *out_top = top;
    return KD_OK;
}

void kdi_window_top_clear(kdi_window_top *top)
{
    if (top != NULL)
        kdi_group_table_clear(&top->table);
}

/* Greater words are nearer to the front; 0 is where no row has been. */
static uint64_t word_of(const kdi_view *view, uint32_t i, bool descending)
{
    const uint64_t sign = (uint64_t)1 << 63;
    uint64_t word;
    if (view->physical == KD_PHYS_F64) {
        double value;
        memcpy(&value, kdi_view_at(view, i), sizeof value);
        uint64_t bits = 0; /* -0 is 0. */
        if (value != value)
            bits = INT64_MAX; /* After all others. */
        else if (value != 0)
            memcpy(&bits, &value, sizeof bits);
        word = bits & sign ? ~bits : bits | sign;
    } else {
        word = (uint64_t)kdi_view_integer(view, i) ^ sign;
    }
    return descending ? word : ~word;
}

/* False: so many rows come before it. */
static bool word_take(uint64_t *best, uint32_t count, uint64_t word)
{
    if (word < best[count - 1])
        return false;
    uint32_t at = count - 1;
    for (; at > 0 && best[at - 1] < word; at--)
        best[at] = best[at - 1];
    if (word > best[at])
        best[at] = word;
    return true;
}

/* Too many partitions, or rows that come in an order in which each is better than before. */
static void pays_look(kdi_window_top *top)
{
    uint64_t groups = top->table.store.row_count;
    bool is_large = groups * (top->layout.row_bytes + 2 * sizeof(uint64_t)) > BYTES_MAX;
    bool is_vain = top->looked_rows >= LOOK_ROWS && top->kept_rows > top->looked_rows / 4 * 3 &&
                   top->rows > groups * top->count * 4;
    if (is_large || is_vain || kdi_budget_is_tight(top->table.store.budget, 0)) {
        top->is_off = true;
        kdi_group_table_clear(&top->table);
    }
    if (top->looked_rows >= LOOK_ROWS)
        top->looked_rows = top->kept_rows = 0;
}

kd_status kdi_window_top_select(kd_ctx *ctx, kdi_window_top *top, const kd_vector *keys,
                                const kd_batch *batch, uint16_t *out_rows, uint32_t *out_count)
{
    uint32_t count = batch->selected_count, fresh_count, kept = 0;
    uint16_t fresh[KD_BATCH_ROWS];
    const kdi_view *first = &top->views[top->partition_count];
    KD_TRY(kdi_views_open(ctx, top->arena, top->views, top->partition_count + 1, keys,
                          batch->selection, count));
    for (uint32_t k = 0; k < top->partition_count; k++)
        kdi_view_hash(&top->views[k], count, k > 0, top->hashes);
    KD_TRY(kdi_group_table_find(ctx, &top->table, top->views, top->hashes, count, top->groups,
                                fresh, &fresh_count));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *best = (void *)(top->groups[i] + top->layout.extra_offset);
        out_rows[kept] = (uint16_t)kd_batch_row(batch, i);
        kept += kdi_view_is_null(first, i) ||
                word_take(best, top->count, word_of(first, i, top->descending));
    }
    top->rows += count;
    top->looked_rows += count;
    top->kept_rows += kept;
    *out_count = kept;
    pays_look(top);
    return KD_OK;
}

bool kdi_window_top_is_on(const kdi_window_top *top)
{
    return top != NULL && !top->is_off;
}
