/*
 * SORT and TOP_N.
 *
 * Every thread collects rows of its own in a sorter: the output's columns, then those sort keys
 * that are not columns themselves. TOP_N keeps at most a few thousand more than it will give: when
 * that many have gathered, it sorts, drops the rest, and from then on refuses rows above the last
 * one kept by the first words of their key alone. When even those do not fit, it sorts everything.
 */
#include "exec/sorter_internal.h"

#include <assert.h>

enum { TOP_SLACK_ROWS = 2048 };

typedef struct sort_op {
    kdi_op op;
    kdi_row_layout layout;
    kdi_sort_column *columns;
    kdi_sort_order order;
    uint64_t offset, end;
    kd_scan_bound bound; /* TOP_N: of the first key, for scans; by the threads' last rows. */
    kdi_sorter sorter;
} sort_op;

typedef struct sort_local {
    kd_compiled_expr **keys; /* NULL where the key is a column. */
    kd_vector *vectors;
    kdi_view *views;
    kdi_sorter sorter;
    char **rows;
    kd_arena *arena;
    kd_arena *batch_arena;
    bool is_top;
    kdi_sort_entry *entries; /* TOP_N: of the rows in the sorter's store. */
    uint64_t entry_count, entry_capacity;
    kdi_sort_entry last;
    bool has_last;
} sort_local;

static kd_account *account_of(const sort_op *self)
{
    return &self->op.budget->account;
}

static bool is_top(const sort_op *self)
{
    return self->op.plan->kind == KD_PLAN_TOP_N && self->end < UINT64_MAX / 4;
}

static kd_status sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    sort_op *self = (sort_op *)op;
    const kd_plan *plan = op->plan;
    sort_local *local = KD_NEW(ctx, arena, sort_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    uint32_t count = self->layout.column_count;
    kdi_sorter_init(&local->sorter, op->exec->world, op->budget, &self->layout, self->columns,
                    plan->as.sort.key_count);
    local->is_top = is_top(self);
    local->keys = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, plan->as.sort.key_count);
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, count);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, count);
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "sort batch", KD_ARENA_UNLIMITED);
    if (local->keys == NULL || local->vectors == NULL || local->views == NULL ||
        local->rows == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < plan->as.sort.key_count; k++)
        if (self->columns[k].column >= plan->column_count)
            KD_TRY(kdi_compile(ctx, op, arena, plan->as.sort.keys[k].expr, plan->inputs[0],
                               &local->keys[k]));
    return KD_OK;
}

static void sink_destroy(kdi_op *op, void *object)
{
    sort_op *self = (sort_op *)op;
    sort_local *local = object;
    kdi_sorter_clear(&local->sorter);
    kd_heap_free(op->exec->world, account_of(self), local->entries);
    local->entries = NULL;
}

static kd_status entries_reserve(kd_ctx *ctx, sort_op *self, sort_local *local, uint64_t more)
{
    if (local->entry_count + more <= local->entry_capacity)
        return KD_OK;
    uint64_t capacity = local->entry_capacity * 2 + more;
    kdi_sort_entry *entries =
        kd_heap_resize(ctx, account_of(self), local->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return KD_NOMEM;
    local->entries = entries;
    local->entry_capacity = capacity;
    return KD_OK;
}

/* How many of the sorted entries may still be wanted. */
static uint64_t top_kept(const sort_op *self, const kdi_sort_entry *entries, uint64_t count)
{
    if (count <= self->end)
        return count;
    uint64_t kept = self->end;
    if (self->op.plan->as.sort.with_ties && kept > 0)
        while (kept < count &&
               kdi_sort_compare(&self->order, &entries[kept - 1], &entries[kept]) == 0)
            kept++;
    return kept;
}

/* What no thread's last row kept lets pass is not among the wanted rows of all. */
static void bound_tighten(sort_op *self, const char *last)
{
    const kdi_sort_column *key = &self->columns[0];
    kd_scan_bound *bound = &self->bound;
    if (!kd_type_is_ordinal(self->layout.types[key->column]) ||
        kdi_row_is_null(&self->layout, last, key->column))
        return;
    kd_value value = {.type = self->layout.types[key->column]};
    memcpy(kd_value_payload(&value), kdi_row_at(&self->layout, last, key->column),
           kd_physical_bytes(kd_type_physical(value.type)));
    int64_t ordinal = kd_value_ordinal(&value);
    int64_t known = atomic_load(&bound->value);
    while ((bound->is_least ? ordinal > known : ordinal < known) &&
           !atomic_compare_exchange_weak(&bound->value, &known, ordinal)) {
    }
    atomic_store_explicit(&bound->is_set, true, memory_order_release);
}

static kd_status top_prune(kd_ctx *ctx, sort_op *self, sort_local *local)
{
    kd_status status = KD_OK;
    kdi_row_store kept_rows;
    kdi_row_store_init(&kept_rows, self->op.budget, &self->layout);
    kdi_sort_entry *scratch =
        kd_heap_alloc_raw(ctx, account_of(self), (local->entry_count + 1) * sizeof *scratch);
    if (scratch == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kdi_sort_entries(ctx, &self->order, local->entries, scratch, local->entry_count));
    uint64_t kept = top_kept(self, local->entries, local->entry_count);
    for (uint64_t i = 0; i < kept; i++)
        KD_TRY_OUT(
            kdi_row_store_copy(ctx, &kept_rows, local->entries[i].row, true, &scratch[i].row));
    for (uint64_t i = 0; i < kept; i++)
        local->entries[i].row = scratch[i].row;
    local->entry_count = kept;
    kdi_row_store swap = local->sorter.store;
    local->sorter.store = kept_rows;
    kept_rows = swap;
    local->has_last = kept >= self->end && kept > 0;
    if (local->has_last) {
        local->last = local->entries[kept - 1];
        bound_tighten(self, local->last.row);
    }
out:
    kdi_row_store_clear(ctx->world, &kept_rows);
    kd_heap_free(ctx->world, account_of(self), scratch);
    return status;
}

/* Entries for the rows just appended. */
static kd_status top_add(kd_ctx *ctx, sort_op *self, sort_local *local, uint32_t count)
{
    KD_TRY(entries_reserve(ctx, self, local, count));
    for (uint32_t i = 0; i < count; i++) {
        kdi_sort_entry entry = kdi_sort_entry_of(&self->order, local->rows[i]);
        bool above =
            local->has_last && (entry.high > local->last.high ||
                                (entry.high == local->last.high && entry.low > local->last.low));
        if (!above)
            local->entries[local->entry_count++] = entry;
    }
    uint64_t slack = self->end < TOP_SLACK_ROWS ? TOP_SLACK_ROWS : self->end;
    if (local->entry_count > self->end + slack ||
        local->sorter.store.row_count >
            local->entry_count + self->end + 16 * (uint64_t)TOP_SLACK_ROWS)
        return top_prune(ctx, self, local);
    return KD_OK;
}

/* What TOP_N keeps does not fit: from now on the thread sorts all its rows. */
static kd_status top_leave(kd_ctx *ctx, sort_op *self, sort_local *local)
{
    if (local->entry_count > 0)
        KD_TRY(top_prune(ctx, self, local));
    kd_heap_free(ctx->world, account_of(self), local->entries);
    local->entries = NULL;
    local->entry_count = local->entry_capacity = 0;
    local->is_top = false;
    return KD_OK;
}

static kd_status room_make(kd_ctx *ctx, sort_op *self, sort_local *local)
{
    if (local->is_top && local->entry_count > 2 * (uint64_t)TOP_SLACK_ROWS &&
        kdi_budget_is_tight(local->sorter.budget, local->entry_count * sizeof(kdi_sort_entry)))
        KD_TRY(top_leave(ctx, self, local));
    return local->is_top ? KD_OK : kdi_sorter_make_room(ctx, &local->sorter);
}

/*
 * TOP_N: the selected rows whose first key is not behind that of the last row kept. Most rows end
 * here, before any other column is looked at.
 */
static kd_status top_prefilter(kd_ctx *ctx, sort_op *self, sort_local *local, const kd_batch *in,
                               uint16_t *out_rows, uint32_t *out_count)
{
    const kdi_sort_column *key = &self->columns[0];
    kdi_view *view = &local->views[key->column];
    const kdi_row_layout *layout = &self->layout;
    kd_type type = layout->types[key->column];
    const char *last = local->last.row;
    uint32_t kept = 0;
    KD_TRY(kdi_view_open(ctx, local->arena, view, &local->vectors[key->column], in->selection,
                         in->selected_count));
    bool last_is_null = kdi_row_is_null(layout, last, key->column);
    const void *bound = kdi_row_at(layout, last, key->column);
    for (uint32_t i = 0; i < in->selected_count; i++) {
        bool is_null = kdi_view_is_null(view, i);
        int compared;
        if (is_null || last_is_null)
            compared = is_null == last_is_null ? 0 : is_null == key->nulls_first ? -1 : 1;
        else if (view->physical == KD_PHYS_I32)
            compared = *(const int32_t *)kdi_view_at(view, i) < *(const int32_t *)bound   ? -1
                       : *(const int32_t *)kdi_view_at(view, i) > *(const int32_t *)bound ? 1
                                                                                          : 0;
        else
            compared = kd_payload_compare(type, kdi_view_at(view, i), bound);
        if (key->descending && !is_null && !last_is_null)
            compared = -compared;
        out_rows[kept] = (uint16_t)kd_batch_row(in, i);
        kept += compared <= 0;
    }
    *out_count = kept;
    return KD_OK;
}

static kd_status sort_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                           kdi_flow *out_flow)
{
    sort_op *self = (sort_op *)op;
    sort_local *local = object;
    const kd_plan *plan = op->plan;
    uint32_t columns = plan->column_count;
    KD_TRY(room_make(ctx, self, local));
    kd_arena_reset(local->batch_arena);
    memcpy(local->vectors, in->columns, columns * sizeof *in->columns);
    uint32_t used = columns;
    for (uint32_t k = 0; k < plan->as.sort.key_count; k++)
        if (local->keys[k] != NULL)
            KD_TRY(kd_expr_evaluate(ctx, local->keys[k], local->batch_arena, in,
                                    &local->vectors[used++]));
    const uint16_t *selection = in->selection;
    uint32_t count = in->selected_count;
    uint16_t near[KD_BATCH_ROWS];
    *out_flow = KDI_NEED_INPUT;
    if (local->has_last && plan->as.sort.key_count > 0) {
        KD_TRY(top_prefilter(ctx, self, local, in, near, &count));
        if (count == 0)
            return KD_OK;
        selection = near;
    }
    KD_TRY(kdi_views_open(ctx, local->arena, local->views, used, local->vectors, selection, count));
    uint32_t appended;
    KD_TRY(kdi_row_store_append(ctx, &local->sorter.store, local->views, NULL, count, true,
                                local->rows, &appended));
    return local->is_top ? top_add(ctx, self, local, appended) : KD_OK;
}

static kd_status sort_settle(kd_ctx *ctx, kdi_op *op, void *object)
{
    sort_op *self = (sort_op *)op;
    sort_local *local = object;
    if (local->is_top)
        KD_TRY(top_leave(ctx, self, local));
    return kdi_sorter_seal(ctx, &local->sorter);
}

static kd_status sort_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    return kdi_sorter_take(ctx, &((sort_op *)op)->sorter, &((sort_local *)object)->sorter);
}

static kd_status sort_finish(kd_ctx *ctx, kdi_op *op)
{
    return kdi_sorter_finish(ctx, &((sort_op *)op)->sorter);
}

/* ---- Giving ---- */

typedef struct sort_reader {
    kd_vector *columns;
    char **rows;        /* Of the current batch. */
    uint64_t position;  /* Rows read so far. */
    kdi_row_store last; /* WITH TIES: the last row within the limit. */
    kdi_sort_entry last_entry;
} sort_reader;

static kd_status local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    sort_op *self = (sort_op *)op;
    sort_reader *local = KD_NEW(ctx, arena, sort_reader);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->last, op->budget, &self->layout);
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (local->rows == NULL)
        return KD_NOMEM;
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

static void local_destroy(kdi_op *op, void *object)
{
    kdi_row_store_clear(op->exec->world, &((sort_reader *)object)->last);
}

/* How many of the batch's rows, which begin at local->position, are within the limit. */
static kd_status limit_apply(kd_ctx *ctx, sort_op *self, sort_reader *local, uint32_t *count)
{
    uint64_t first = local->position;
    if (self->op.plan->kind != KD_PLAN_TOP_N || first + *count < self->end)
        return KD_OK;
    uint32_t kept = first >= self->end ? 0 : (uint32_t)(self->end - first);
    if (!self->op.plan->as.sort.with_ties || self->end == 0) {
        *count = kept;
        return KD_OK;
    }
    if (local->last.row_count == 0) {
        char *copy;
        KD_TRY(kdi_row_store_copy(ctx, &local->last, local->rows[kept - 1], true, &copy));
        local->last_entry = kdi_sort_entry_of(&self->order, copy);
    }
    for (; kept < *count; kept++) {
        kdi_sort_entry entry = kdi_sort_entry_of(&self->order, local->rows[kept]);
        if (kdi_sort_compare(&self->order, &local->last_entry, &entry) != 0)
            break;
    }
    *count = kept;
    return KD_OK;
}

static kd_status sort_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    sort_op *self = (sort_op *)op;
    sort_reader *local = object;
    uint32_t count, skipped = 0;
    do {
        KD_TRY(kdi_sorter_next(ctx, &self->sorter, local->rows, &count));
        KD_TRY(limit_apply(ctx, self, local, &count));
        *out_end = count == 0;
        if (*out_end)
            return KD_OK;
        skipped = local->position >= self->offset ? 0
                  : self->offset - local->position >= count
                      ? count
                      : (uint32_t)(self->offset - local->position);
        local->position += count;
    } while (skipped == count);
    count -= skipped;
    for (uint32_t c = 0; c < op->plan->column_count; c++)
        kdi_rows_gather(&self->layout, c, local->rows + skipped, NULL, count, &local->columns[c]);
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = op->plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static double sort_rows(kdi_op *op)
{
    return (double)kdi_sorter_row_count(&((sort_op *)op)->sorter);
}

static void sort_close(kdi_op *op)
{
    kdi_sorter_clear(&((sort_op *)op)->sorter);
}

static const kdi_op_class sort_class = {
    .local_create = local_create,
    .local_destroy = local_destroy,
    .next = sort_next,
    .sink_create = sink_create,
    .sink_destroy = sink_destroy,
    .sink = sort_sink,
    .settle = sort_settle,
    .combine = sort_combine,
    .finish = sort_finish,
    .rows = sort_rows,
    .close = sort_close,
};

/* Columns of the store: the input's, then the keys that are not among them. */
static kd_status layout_make(kd_ctx *ctx, sort_op *self)
{
    const kd_plan *plan = self->op.plan;
    kd_arena *arena = self->op.arena;
    uint32_t count = plan->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, count + plan->as.sort.key_count);
    self->columns = KD_NEW_ARRAY(ctx, arena, kdi_sort_column, plan->as.sort.key_count);
    if (types == NULL || self->columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < count; c++)
        types[c] = plan->columns[c].type;
    for (uint32_t k = 0; k < plan->as.sort.key_count; k++) {
        const kd_sort_key *key = &plan->as.sort.keys[k];
        uint32_t column = key->expr->kind == KD_EXPR_COLUMN
                              ? kdi_column_find(plan->inputs[0], key->expr->column)
                              : UINT32_MAX;
        if (column == UINT32_MAX) {
            column = count++;
            types[column] = key->expr->type;
        }
        self->columns[k] = (kdi_sort_column){
            .column = column, .descending = key->descending, .nulls_first = key->nulls_first};
    }
    return kdi_row_layout_init(ctx, arena, types, count, false, 0, &self->layout);
}

const kd_scan_bound *kdi_top_bound(const kd_execution *exec, uint32_t top_no)
{
    for (const kdi_op *op = exec->made; op != NULL; op = op->next_made)
        if (op->class == &sort_class && op->plan->no == top_no)
            return &((const sort_op *)op)->bound;
    return NULL;
}

kd_status kdi_build_sort(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    sort_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &sort_class, sizeof *self, &self));
    KD_TRY(layout_make(ctx, self));
    self->order = kdi_sort_order_of(&self->layout, self->columns, plan->as.sort.key_count);
    self->end = UINT64_MAX;
    if (plan->as.sort.key_count > 0) {
        const kd_sort_key *key = &plan->as.sort.keys[0];
        self->bound.is_least = key->descending;
        self->bound.keeps_nulls = key->nulls_first;
        atomic_init(&self->bound.value, key->descending ? INT64_MIN : INT64_MAX);
    }
    if (plan->kind == KD_PLAN_TOP_N)
        KD_TRY(kdi_limit_evaluate(ctx, &self->op, plan->as.sort.count, plan->as.sort.offset,
                                  &self->offset, &self->end));
    kdi_sorter_init(&self->sorter, ctx->world, self->op.budget, &self->layout, self->columns,
                    plan->as.sort.key_count);
    self->op.is_serial = true; /* As a source: the order is the point. */
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[0], &self->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
