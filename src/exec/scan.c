/*
 * Scans of stored tables: morsels of the table's readers, filtered exactly while they are still
 * encoded.
 */
#include "exec/pipeline_internal.h"
#include "exec/scan_sample_internal.h"
#include "exec/scan_select_internal.h"
#include "exec/scan_usage_internal.h"

#include <assert.h>

typedef struct scan_op {
    kdi_op op;
    kd_table *table;
    kd_table_scan *scan;
    kd_scan_filter *filters;
    uint32_t filter_count;
    uint32_t position_count;
    bool has_refs;
    uint32_t use_count; /* Runtime filters that there are. */
    const kdi_runtime_filter **runtime_filters;
    uint32_t *use_columns;
    const kd_scan_bound *bound; /* Of a TOP_N above; NULL: none. */
    uint32_t bound_column;
    atomic_uint_least64_t rows_read, rows_passed; /* Of readers that have ended. */
} scan_op;

static void places_release(void *table)
{
    kd_table_release_places(table);
}

kd_status kdi_hold_places(kd_ctx *ctx, kd_execution *exec, const kd_table_entry *table)
{
    kd_table *storage = kd_table_find(exec->options->storage, table->table_no);
    if (storage == NULL)
        return KD_OK; /* The opening will tell. */
    kd_table_hold_places(storage);
    kd_status status = kd_arena_defer(ctx, exec->arena, places_release, storage);
    if (status != KD_OK)
        kd_table_release_places(storage);
    return status;
}

typedef struct scan_local {
    kd_scan_reader *reader;
    kd_vector *columns;
    kdi_scan_select select;
    uint64_t rows_read, rows_passed, read_bytes;
} scan_local;

static kd_status filters_evaluate(kd_ctx *ctx, scan_op *self)
{
    const kd_plan *plan = self->op.plan;
    uint32_t count = plan->as.scan.prune_count;
    self->filters = KD_NEW_ARRAY(ctx, self->op.arena, kd_scan_filter,
                                 (size_t)count + (size_t)plan->as.scan.filter_count * 2);
    if (self->filters == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_scan_filter *filter = &self->filters[self->filter_count];
        filter->shape_position = plan->as.scan.prunes[i].shape_position;
        filter->test = plan->as.scan.prunes[i].test;
        if (plan->as.scan.prunes[i].value != NULL) {
            KD_TRY(kdi_evaluate_now(ctx, &self->op, self->op.arena, plan->as.scan.prunes[i].value,
                                    &filter->value));
            if (filter->value.is_null)
                continue; /* Nothing passes; the exact condition says so. */
        }
        self->filter_count++;
    }
    return KD_OK;
}

static void bounds_add(scan_op *self, uint32_t column, const kdi_runtime_filter *filter)
{
    kd_value ends[2];
    static const kd_scan_test tests[2] = {KD_SCAN_GREATER_EQUAL, KD_SCAN_LESS_EQUAL};
    const kd_slice *paths = self->op.plan->as.scan.paths;
    if (paths != NULL && paths[column].size_bytes > 0)
        return; /* Zone maps are those of the documents. */
    if (!kdi_runtime_filter_bounds(filter, &ends[0], &ends[1]))
        return;
    for (int e = 0; e < 2; e++)
        self->filters[self->filter_count++] =
            (kd_scan_filter){.shape_position = self->op.plan->as.scan.positions[column],
                             .test = tests[e],
                             .value = ends[e]};
}

/* What joins above have found out about their keys: bounds for zone maps, sets for rows. */
static kd_status runtime_filters_find(kd_ctx *ctx, scan_op *self)
{
    const kd_plan *plan = self->op.plan;
    uint32_t count = plan->as.scan.filter_count;
    self->runtime_filters = KD_NEW_ARRAY(ctx, self->op.arena, const kdi_runtime_filter *, count);
    self->use_columns = KD_NEW_ARRAY(ctx, self->op.arena, uint32_t, count);
    if (self->runtime_filters == NULL || self->use_columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_runtime_filter *from = &plan->as.scan.filters[i];
        uint32_t column = kdi_column_find(plan, from->column);
        const kdi_runtime_filter *filter =
            kdi_hash_join_filter(self->op.exec, from->join_no, from->key_no);
        if (filter == NULL || column >= self->position_count)
            continue;
        self->use_columns[self->use_count] = column;
        self->runtime_filters[self->use_count++] = filter;
        bounds_add(self, column, filter);
    }
    return KD_OK;
}

static void bound_find(scan_op *self)
{
    const kd_plan *plan = self->op.plan;
    self->bound_column =
        plan->as.scan.top_no == 0 ? UINT32_MAX : kdi_column_find(plan, plan->as.scan.top_column);
    if (self->bound_column < self->position_count)
        self->bound = kdi_top_bound(self->op.exec, plan->as.scan.top_no);
}

static kd_status scan_open(kd_ctx *ctx, kdi_op *op)
{
    scan_op *self = (scan_op *)op;
    const kd_plan *plan = op->plan;
    const kd_execute_options *options = op->exec->options;
    KD_TRY(filters_evaluate(ctx, self));
    KD_TRY(runtime_filters_find(ctx, self));
    bound_find(self);
    self->table = kd_table_find(options->storage, plan->as.scan.table->table_no);
    if (self->table == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the storage of table \"%.*s\" is missing",
                       (int)plan->as.scan.table->object.name.size_bytes,
                       plan->as.scan.table->object.name.data);
    kd_scan_spec spec = {.shape = plan->as.scan.table->shape,
                         .positions = plan->as.scan.positions,
                         .paths = plan->as.scan.paths,
                         .position_count = self->position_count,
                         .filters = self->filters,
                         .filter_count = self->filter_count,
                         .bound = self->bound,
                         .with_refs = self->has_refs,
                         .skips = options->skips,
                         .decodes_later = true};
    if (self->bound != NULL)
        spec.bound_position = plan->as.scan.positions[self->bound_column];
    KD_TRY(kdi_block_sample_prepare(ctx, op, plan->as.scan.condition, &spec));
    return kd_table_scan_open(ctx, op->arena, self->table, options->snapshot, &spec, &self->scan);
}

static double scan_rows(kdi_op *op)
{
    scan_op *self = (scan_op *)op;
    return self->scan == NULL ? 0 : (double)kd_table_scan_row_estimate(self->scan);
}

static kd_status scan_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    scan_op *self = (scan_op *)op;
    scan_local *local = KD_NEW(ctx, arena, scan_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, op->plan->column_count);
    if (local->columns == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_scan_select_create(ctx, op, arena, op->plan->as.scan.condition, self->use_count,
                                  self->position_count, &local->select));
    for (uint32_t i = 0; i < self->use_count; i++)
        local->select.uses[i] =
            (kdi_filter_use){.filter = self->runtime_filters[i], .column = self->use_columns[i]};
    KD_TRY(kd_scan_reader_create(ctx, arena, self->scan, &local->reader));
    local->select.reader = local->reader;
    local->select.bound = self->bound;
    local->select.bound_column = self->bound_column;
    return KD_OK;
}

static void scan_local_destroy(kdi_op *op, void *object)
{
    scan_op *self = (scan_op *)op;
    scan_local *local = object;
    atomic_fetch_add_explicit(&self->rows_read, local->rows_read, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->rows_passed, local->rows_passed, memory_order_relaxed);
    kd_scan_reader_destroy(local->reader);
}

static void scan_attach_refs(const scan_op *self, scan_local *local, const kd_rowref *refs,
                             kd_batch *out)
{
    memcpy(local->columns, out->columns, out->column_count * sizeof *out->columns);
    assert(out->column_count == self->position_count);
    local->columns[self->position_count] = (kd_vector){
        .type = kd_type_of(KD_TYPE_INT8),
        .physical = KD_PHYS_I64,
        .form = KD_VECTOR_FLAT,
        .values = (void *)(uintptr_t)refs,
    };
    out->columns = local->columns;
    out->column_count++;
}

/* What the reader has read by now. */
static void scan_note_bytes(scan_op *self, scan_local *local)
{
    uint64_t now = kd_scan_reader_read_bytes(local->reader);
    if (now == local->read_bytes)
        return;
    atomic_fetch_add_explicit(&self->op.read_bytes, now - local->read_bytes, memory_order_relaxed);
    local->read_bytes = now;
}

static kd_status scan_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    scan_op *self = (scan_op *)op;
    scan_local *local = object;
    for (;;) {
        const kd_rowref *refs = NULL;
        KD_TRY(kd_scan_reader_next(ctx, local->reader, out, &refs, out_end));
        if (*out_end)
            return KD_OK;
        if (self->has_refs)
            scan_attach_refs(self, local, refs, out);
        if (op->exec->options->progress_rows != NULL)
            (void)atomic_fetch_add_explicit(op->exec->options->progress_rows, out->selected_count,
                                            memory_order_relaxed);
        local->rows_read += out->selected_count;
        KD_TRY(kdi_scan_select_run(ctx, &local->select, out));
        local->rows_passed += out->selected_count;
        scan_note_bytes(self, local);
        if (out->selected_count > 0)
            return KD_OK;
        KD_TRY(kd_progress_add(ctx, 0));
    }
}

static void scan_close(kdi_op *op)
{
    scan_op *self = (scan_op *)op;
    if (self->scan != NULL)
        kdi_scan_count(op->plan, self->table, atomic_load(&self->rows_read),
                       atomic_load(&self->rows_passed), self->use_count > 0 || self->bound != NULL);
    kd_table_scan_close(self->scan);
    self->scan = NULL;
}

static const kdi_op_class scan_class = {
    .open = scan_open,
    .local_create = scan_local_create,
    .local_destroy = scan_local_destroy,
    .next = scan_next,
    .rows = scan_rows,
    .close = scan_close,
};

kd_status kdi_build_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    scan_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &scan_class, sizeof *self, &self));
    self->has_refs = plan->as.scan.ref_column != 0;
    self->position_count = plan->column_count - self->has_refs;
    if (plan->as.scan.holds_places)
        KD_TRY(kdi_hold_places(ctx, pipeline->exec, plan->as.scan.table));
    self->op.is_serial = kdi_expr_is_volatile(plan->as.scan.condition);
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- Index scans ---- */

/*
 * One range, or one per candidate of an IN list. Keys are made of the bounds' values by the table;
 * a NULL among them finds nothing, as no comparison with NULL is true.
 *
 * An inverted index gives all its references at the opening.
 */
typedef struct index_op {
    kdi_op op;
    kd_table *table;
    uint32_t position_count;
    bool has_refs;
    uint32_t range_count;
    kd_index_scan_range *ranges;
    kd_rowref *refs; /* Of an inverted index, or the one place that is asked for. */
    size_t ref_count;
} index_op;

typedef struct index_local {
    kd_index_scan *scan;
    kd_arena *scan_arena;
    kd_arena *batch_arena;
    uint32_t next_range;
    size_t next_ref;
    kd_index_usage usage;
    kd_vector *columns;
    kd_value *values;
    kd_compiled_expr *condition;
    uint16_t *rows;
} index_local;

static kd_status key_make(kd_ctx *ctx, index_op *self, const kd_value *values, uint32_t count,
                          kd_slice *out_key)
{
    kd_buffer key = kd_buffer_in(self->op.arena);
    KD_TRY(kd_buffer_reserve(ctx, &key, 16, NULL));
    KD_TRY(kd_table_index_key(ctx, self->table,
                              self->op.plan->as.index_scan.index->storage.index_no, values, count,
                              &key));
    *out_key = kd_buffer_slice(&key);
    return KD_OK;
}

/* The range for the equal values in `values`; a column of descending order swaps the bounds. */
static kd_status range_make(kd_ctx *ctx, index_op *self, kd_value *values, uint32_t equal_count,
                            kd_index_scan_range *range, bool *out_empty)
{
    const kd_plan *plan = self->op.plan;
    const kd_index_bound *bound = &plan->as.index_scan.bound;
    *range = (kd_index_scan_range){.descending = plan->as.index_scan.descending};
    *out_empty = false;
    for (uint32_t i = 0; i < equal_count; i++)
        if (values[i].is_null)
            *out_empty = true;
    if (*out_empty)
        return KD_OK;
    kd_slice prefix = {0};
    if (equal_count > 0)
        KD_TRY(key_make(ctx, self, values, equal_count, &prefix));
    range->low = range->high = prefix;
    kd_expr *ends[2] = {bound->low, bound->high};
    bool exclusive[2] = {bound->low_exclusive, bound->high_exclusive};
    if (ends[0] == NULL && ends[1] == NULL)
        return KD_OK;
    bool swapped = plan->as.index_scan.index->storage.columns[equal_count].order.descending;
    for (int e = 0; e < 2; e++) {
        if (ends[e] == NULL)
            continue;
        kd_value *value = &values[equal_count];
        KD_TRY(kdi_evaluate_now(ctx, &self->op, self->op.arena, ends[e], value));
        if (value->is_null) {
            *out_empty = true;
            return KD_OK;
        }
        kd_slice key;
        KD_TRY(key_make(ctx, self, values, equal_count + 1, &key));
        if ((e == 0) != swapped) {
            range->low = key;
            range->low_exclusive = exclusive[e];
        } else {
            range->high = key;
            range->high_exclusive = exclusive[e];
        }
    }
    return KD_OK;
}

/* Candidates in ascending order, each once, so that rows come in index order and only once. */
static kd_status in_values_evaluate(kd_ctx *ctx, index_op *self, kd_value **out_values,
                                    uint32_t *out_count)
{
    const kd_index_bound *bound = &self->op.plan->as.index_scan.bound;
    kd_value *values = KD_NEW_ARRAY(ctx, self->op.arena, kd_value, bound->in_count);
    *out_values = values;
    *out_count = 0;
    if (values == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < bound->in_count; i++) {
        kd_value value;
        KD_TRY(kdi_evaluate_now(ctx, &self->op, self->op.arena, bound->in_values[i], &value));
        if (value.is_null)
            continue;
        uint32_t at = 0;
        while (at < count && kd_value_compare(&values[at], &value) < 0)
            at++;
        if (at < count && kd_value_compare(&values[at], &value) == 0)
            continue;
        memmove(&values[at + 1], &values[at], (count - at) * sizeof *values);
        values[at] = value;
        count++;
    }
    bool backwards = self->op.plan->as.index_scan.descending !=
                     self->op.plan->as.index_scan.index->storage.columns[bound->equal_count - 1]
                         .order.descending;
    for (uint32_t i = 0; backwards && i < count / 2; i++) {
        kd_value swap = values[i];
        values[i] = values[count - 1 - i];
        values[count - 1 - i] = swap;
    }
    *out_count = count;
    return KD_OK;
}

/* What the index is asked, once its values are known. As deep as the condition. */
static kd_status items_query(kd_ctx *ctx, index_op *self, const kd_item_condition *items,
                             kd_item_node **out_node)
{
    const kd_index_definition *definition = &self->op.plan->as.index_scan.index->storage;
    *out_node = NULL;
    if (items->kind == KD_ITEM_NODE_ITEM) {
        kd_value value;
        KD_TRY(kdi_evaluate_now(ctx, &self->op, self->op.arena, items->value, &value));
        return kd_item_query(ctx, self->op.arena, definition->columns[items->column].items,
                             (uint8_t)items->column, items->test, &value, out_node);
    }
    for (size_t i = 0; i < items->count; i++) {
        kd_item_node *child;
        KD_TRY(items_query(ctx, self, items->children[i], &child));
        KD_TRY(kd_item_node_join(ctx, self->op.arena, items->kind, child, out_node));
    }
    return KD_OK;
}

static kd_status items_find(kd_ctx *ctx, index_op *self)
{
    const kd_plan *plan = self->op.plan;
    kd_item_node *query;
    KD_TRY(items_query(ctx, self, plan->as.index_scan.items, &query));
    return kd_table_find_items(ctx, self->op.arena, self->table, self->op.exec->options->snapshot,
                               plan->as.index_scan.index->storage.index_no, query, &self->refs,
                               &self->ref_count);
}

static kd_status place_find(kd_ctx *ctx, index_op *self)
{
    kd_value place;
    self->refs = KD_NEW(ctx, self->op.arena, kd_rowref);
    if (self->refs == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_evaluate_now(ctx, &self->op, self->op.arena, self->op.plan->as.index_scan.place,
                            &place));
    self->refs[0] = place.is_null ? KD_ROWREF_NONE : (kd_rowref)place.as.i64;
    self->ref_count = !place.is_null;
    return KD_OK;
}

static kd_status index_open(kd_ctx *ctx, kdi_op *op)
{
    index_op *self = (index_op *)op;
    const kd_plan *plan = op->plan;
    const kd_index_bound *bound = &plan->as.index_scan.bound;
    self->table = kd_table_find(op->exec->options->storage, plan->as.index_scan.table->table_no);
    if (self->table == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the storage of table \"%.*s\" is missing",
                       (int)plan->as.index_scan.table->object.name.size_bytes,
                       plan->as.index_scan.table->object.name.data);
    if (plan->as.index_scan.items != NULL)
        return items_find(ctx, self);
    if (plan->as.index_scan.place != NULL)
        return place_find(ctx, self);
    kd_value *values = KD_NEW_ARRAY(ctx, op->arena, kd_value, bound->equal_count + 1);
    uint32_t count = 1;
    kd_value *candidates = NULL;
    if (values == NULL)
        return KD_NOMEM;
    bool in_list = bound->in_list && bound->equal_count > 0;
    uint32_t plain = bound->equal_count - in_list;
    for (uint32_t i = 0; i < plain; i++)
        KD_TRY(kdi_evaluate_now(ctx, op, op->arena, bound->equals[i], &values[i]));
    if (in_list)
        KD_TRY(in_values_evaluate(ctx, self, &candidates, &count));
    self->ranges = KD_NEW_ARRAY(ctx, op->arena, kd_index_scan_range, count);
    if (self->ranges == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (in_list)
            values[plain] = candidates[i];
        bool empty;
        KD_TRY(range_make(ctx, self, values, bound->equal_count, &self->ranges[self->range_count],
                          &empty));
        self->range_count += !empty;
    }
    return KD_OK;
}

static kd_status index_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    index_local *local = KD_NEW(ctx, arena, index_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->scan_arena = kd_arena_create(ctx, arena, "index scan", KD_ARENA_UNLIMITED);
    local->batch_arena = kd_arena_create(ctx, arena, "index batch", KD_ARENA_UNLIMITED);
    local->values = KD_NEW_ARRAY(ctx, arena, kd_value, op->plan->column_count);
    local->rows = kd_alloc_raw(ctx, arena, sizeof(uint16_t) * KD_BATCH_ROWS);
    if (local->scan_arena == NULL || local->batch_arena == NULL || local->values == NULL ||
        local->rows == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_columns_create(ctx, arena, op->plan, &local->columns));
    return kdi_compile(ctx, op, arena, op->plan->as.index_scan.condition, op->plan,
                       &local->condition);
}

static void index_local_destroy(kdi_op *op, void *object)
{
    (void)op;
    index_local *local = object;
    kd_index_scan_close(local->scan);
    local->scan = NULL;
    if (op->plan->as.index_scan.index != NULL)
        kd_table_count_index(((index_op *)op)->table,
                             op->plan->as.index_scan.index->storage.index_no, &local->usage);
}

/* The next reference of all ranges. */
static kd_status index_ref(kd_ctx *ctx, index_op *self, index_local *local, kd_rowref *out_ref,
                           bool *out_end)
{
    *out_end = true;
    if (self->refs != NULL) {
        if (local->next_ref % KD_VECTOR_ROWS == 0)
            KD_TRY(kd_check_cancelled(ctx));
        *out_end = local->next_ref == self->ref_count;
        local->usage.scans = 1;
        if (!*out_end)
            *out_ref = self->refs[local->next_ref++];
        return KD_OK;
    }
    for (;;) {
        if (local->scan == NULL) {
            if (local->next_range == self->range_count)
                return KD_OK;
            kd_arena_reset(local->scan_arena);
            KD_TRY(kd_index_scan_open(ctx, local->scan_arena, self->table,
                                      self->op.exec->options->snapshot,
                                      self->op.plan->as.index_scan.index->storage.index_no,
                                      &self->ranges[local->next_range++], &local->scan));
            local->usage.scans++;
        }
        KD_TRY(kd_index_scan_next(ctx, local->scan, out_ref, out_end));
        if (!*out_end)
            return KD_OK;
        kd_index_scan_close(local->scan);
        local->scan = NULL;
    }
}

static kd_status index_fill(kd_ctx *ctx, index_op *self, index_local *local, uint32_t *out_count,
                            uint32_t most)
{
    const kd_plan *plan = self->op.plan;
    uint32_t count = 0;
    while (count < most) {
        kd_rowref ref;
        bool end, visible;
        KD_TRY(index_ref(ctx, self, local, &ref, &end));
        if (end)
            break;
        local->usage.entries++;
        KD_TRY(kd_table_get(ctx, local->batch_arena, self->table, self->op.exec->options->snapshot,
                            ref, plan->as.index_scan.table->shape, plan->as.index_scan.positions,
                            self->position_count, local->values, &visible));
        if (!visible)
            continue;
        local->usage.rows++;
        if (plan->as.index_scan.gives_place) /* An index may know an older one. */
            KD_TRY(kd_table_find_place(ctx, self->table, self->op.exec->options->snapshot, ref,
                                       &ref, &visible));
        for (uint32_t c = 0; c < self->position_count; c++)
            kd_vector_set(&local->columns[c], count, &local->values[c]);
        if (self->has_refs)
            ((uint64_t *)local->columns[self->position_count].values)[count] = ref;
        count++;
    }
    *out_count = count;
    return KD_OK;
}

static kd_status index_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    index_op *self = (index_op *)op;
    index_local *local = object;
    for (;;) {
        kd_arena_reset(local->batch_arena);
        uint32_t count;
        KD_TRY(index_fill(ctx, self, local, &count, KD_BATCH_ROWS));
        *out_end = count == 0;
        *out = (kd_batch){.row_count = count,
                          .selected_count = count,
                          .column_count = op->plan->column_count,
                          .columns = local->columns};
        if (count == 0 || local->condition == NULL)
            return KD_OK;
        KD_TRY(kd_expr_select(ctx, local->condition, local->batch_arena, out, local->rows, &count));
        if (count == 0)
            continue;
        out->selection = local->rows;
        out->selected_count = count;
        return KD_OK;
    }
}

static const kdi_op_class index_class = {
    .open = index_open,
    .local_create = index_local_create,
    .local_destroy = index_local_destroy,
    .next = index_next,
};

kd_status kdi_build_index_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    index_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &index_class, sizeof *self, &self));
    self->has_refs = plan->as.index_scan.ref_column != 0;
    self->position_count = plan->column_count - self->has_refs;
    if (plan->as.index_scan.holds_places)
        KD_TRY(kdi_hold_places(ctx, pipeline->exec, plan->as.index_scan.table));
    self->op.is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
