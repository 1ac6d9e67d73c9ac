/*
 * AGGREGATE: hash tables from keys to states, one per thread, united at the end.
 *
 * A group is a row: its keys, then the states of the calls. With GROUPING SETS every input row is
 * looked up once per set, with the keys outside of the set NULL and the set's number as one more
 * key.
 *
 * A thread's table does not grow without end: when it is full, its groups are dealt out by hash to
 * partitions and it starts again, so that it stays in the cache. Partitions are stores whose pages
 * may be spilled. If there are any at the end, each is united in a table of its own by the thread
 * that reads it. Calls whose states cannot be combined (DISTINCT, ordered ones) keep one table:
 * when that is full, it keeps the groups that it has, and rows of other groups are put away by the
 * hash of their group (aggregate_later.c), to be grouped by themselves when the first ones are
 * through.
 */
#include "exec/aggregate_later_internal.h"
#include "exec/aggregate_order_internal.h"
#include "exec/group_code_internal.h"

#include <assert.h>

enum {
    PARTITION_BITS = KDI_LATER_BITS,
    PARTITIONS = KDI_LATER_PARTS,
    TABLE_ROWS_MAX = 1 << 16,
    REPEATING_ROWS_MAX = 1 << 20,
    TIGHT_ROWS_MIN = 1 << 12,
};

typedef struct agg_op {
    kdi_op op;
    uint32_t key_count;  /* Of the plan. */
    uint32_t held_count; /* And the set's number. */
    kd_type *key_types;
    kd_arena *shared_arena; /* States' bytes of the united table. */
    kdi_agg *agg;
    kdi_group_table table;
    bool can_deal; /* States can be combined. */
    bool is_dealt;
    kdi_row_store *ordered; /* Of threads whose groups came in order. */
    uint32_t ordered_count;
    bool has_taken; /* Some groups were united in place. */
    kdi_row_store parts[PARTITIONS];
    atomic_uint next_page; /* Or partition. */
    kdi_row_layout later_layout;
    kdi_row_store later[PARTITIONS]; /* Rows put away. */
    atomic_uint next_later;
} agg_op;

typedef struct agg_local {
    kd_compiled_expr **keys;
    kd_vector *vectors;
    kdi_view *views;
    kdi_group_table table;
    kdi_agg *agg;
    kd_arena *arena;
    kd_arena *batch_arena;
    char **groups;
    uint64_t *hashes;
    kdi_group_codes *codes;
    kdi_group_order order;
    uint64_t input_rows; /* Since the table was empty. */
    bool is_measured;    /* The table has grown beyond the cache, and ... */
    bool keeps_groups;   /* ... its groups seemed to come again. */
    bool is_dealt;
    kdi_row_store parts[PARTITIONS];
    kdi_later *later; /* NULL: no row has been put away. */
    uint32_t level;   /* 0, or that of the rows put away which it groups. */
} agg_local;

/* `states_parent` lives as long as the states that it makes. */
static kd_status agg_local_create(kd_ctx *ctx, agg_op *self, kd_arena *arena,
                                  kd_arena *states_parent, agg_local **out_local)
{
    kdi_op *op = &self->op;
    const kd_plan *plan = op->plan;
    agg_local *local = KD_NEW(ctx, arena, agg_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    kd_arena *states = kd_arena_create(ctx, states_parent, "aggregate states", KD_ARENA_UNLIMITED);
    local->batch_arena = kd_arena_create(ctx, arena, "group keys", KD_ARENA_UNLIMITED);
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, self->held_count);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, self->held_count);
    local->groups = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    if (states == NULL || local->batch_arena == NULL || local->vectors == NULL ||
        local->views == NULL || local->groups == NULL || local->hashes == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_compile_all(ctx, op, arena, plan->as.aggregate.keys, self->key_count,
                           plan->inputs[0], &local->keys));
    KD_TRY(kdi_agg_create(ctx, op, states, self->key_types, self->held_count,
                          plan->as.aggregate.calls, plan->as.aggregate.call_count, plan->inputs[0],
                          &local->agg));
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_init(&local->parts[p], op->budget, &self->agg->layout);
    KD_TRY(kdi_group_codes_create(ctx, arena, self->agg->call_count, &local->codes));
    KD_TRY(kdi_group_order_init(ctx, arena, self->key_types, self->held_count, &local->order));
    if (!self->can_deal)
        local->order.state = KDI_ORDER_LOST;
    return kdi_group_table_init(ctx, arena, &local->table, op->budget, &self->agg->layout,
                                self->held_count);
}

static kd_status sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    /* States may point into the arena of the thread that made them: it outlives the thread. */
    agg_local *local;
    kd_status status = agg_local_create(ctx, (agg_op *)op, arena, op->arena, &local);
    *out_local = local;
    return status;
}

static void parts_clear(kd_world *world, kdi_row_store *parts)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_clear(world, &parts[p]);
}

static void sink_destroy(kdi_op *op, void *object)
{
    agg_local *local = object;
    parts_clear(op->exec->world, local->parts);
    kdi_group_order_clear(op->exec->world, &local->order);
    kdi_later_destroy(local->later);
    kdi_group_table_clear(&local->table);
    kdi_agg_destroy(local->agg);
}

static uint32_t part_of(const char *row)
{
    return (uint32_t)(kdi_row_hash(row) >> (64 - PARTITION_BITS));
}

/* Deals the store's groups out, page by page, so that memory never holds many of them twice; spills
 * what is full when memory is short. */
static kd_status store_deal(kd_ctx *ctx, kdi_row_store *store, kdi_row_store *parts)
{
    for (uint32_t p = 0; p < store->page_count; p++) {
        for (uint32_t i = 0; i < store->pages[p].row_count; i++) {
            const char *row = kdi_page_row(store, &store->pages[p], i);
            char *copy;
            KD_TRY(kdi_row_store_copy(ctx, &parts[part_of(row)], row, true, &copy));
        }
        kdi_row_store_drop_page(ctx->world, store, p);
    }
    kdi_row_store_clear(ctx->world, store);
    if (!kdi_budget_is_tight(store->budget, 0))
        return KD_OK;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        KD_TRY(kdi_row_store_spill(ctx, &parts[p], false));
    return KD_OK;
}

static kd_status table_deal(kd_ctx *ctx, kdi_group_table *table, kdi_row_store *parts)
{
    kdi_group_table_forget(table);
    return store_deal(ctx, &table->store, parts);
}

/*
 * Whether there are so few groups that they are better kept, even beyond the cache: of D groups in
 * any order, n rows have about n - n * n / 2D.
 */
static bool groups_repeat(uint64_t input_rows, uint64_t groups)
{
    return input_rows > groups &&
           input_rows - groups > input_rows * input_rows / (2 * (uint64_t)REPEATING_ROWS_MAX);
}

static bool deal_is_due(const agg_op *self, agg_local *local)
{
    uint64_t rows = local->table.store.row_count;
    bool is_tight = kdi_budget_is_tight(local->table.store.budget, 0);
    if (!self->can_deal || rows + local->order.run_groups < TIGHT_ROWS_MIN)
        return false;
    if (local->order.state == KDI_ORDER_HOLDS)
        return is_tight; /* Nothing has to stay in the cache. */
    if (rows > TABLE_ROWS_MAX && !local->is_measured) {
        local->is_measured = true;
        local->keeps_groups = groups_repeat(local->input_rows, rows);
    }
    return rows > (local->keeps_groups ? REPEATING_ROWS_MAX : TABLE_ROWS_MAX) || is_tight;
}

static bool has_init(const kdi_agg *agg)
{
    for (uint32_t i = 0; i < agg->call_count; i++)
        if (agg->calls[i].aggregate != NULL && agg->calls[i].aggregate->init != NULL)
            return true;
    return false;
}

/* When the table is full and cannot be dealt, new groups have to wait. */
static bool later_is_due(const agg_op *self, const agg_local *local)
{
    return !self->can_deal && local->later == NULL && local->level < KDI_LATER_LEVELS &&
           local->table.store.row_count >= TIGHT_ROWS_MIN &&
           kdi_budget_is_tight(local->table.store.budget, 0);
}

static kd_status keys_open(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    uint32_t count = in->selected_count;
    KD_TRY(kdi_views_open(ctx, local->arena, local->views, self->held_count, local->vectors,
                          in->selection, count));
    for (uint32_t k = 0; k < self->held_count; k++)
        kdi_view_hash(&local->views[k], count, k > 0, local->hashes);
    if (self->held_count == 0)
        memset(local->hashes, 0, count * sizeof *local->hashes);
    return KD_OK;
}

static kd_status groups_find(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    uint16_t fresh[KD_BATCH_ROWS];
    uint32_t fresh_count;
    KD_TRY(keys_open(ctx, self, local, in));
    KD_TRY(kdi_group_table_find(ctx, &local->table, local->views, local->hashes, in->selected_count,
                                local->groups, fresh, &fresh_count));
    if (has_init(local->agg))
        for (uint32_t i = 0; i < fresh_count; i++)
            kdi_agg_init_row(local->agg, local->groups[fresh[i]]);
    return KD_OK;
}

/* Groups the batch by local->vectors; rows of groups that the table has no room for are put away.
 */
static kd_status rows_sink(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    if (local->later == NULL) {
        KD_TRY(groups_find(ctx, self, local, in));
        return kdi_agg_step(ctx, local->agg, in, local->groups);
    }
    kd_batch own;
    KD_TRY(keys_open(ctx, self, local, in));
    kdi_group_table_lookup(&local->table, local->views, local->hashes, in->selected_count,
                           local->groups);
    KD_TRY(
        kdi_later_put(ctx, local->later, local->vectors, local->hashes, in, local->groups, &own));
    return own.selected_count == 0 ? KD_OK : kdi_agg_step(ctx, local->agg, &own, local->groups);
}

static kd_status room_make(kd_ctx *ctx, agg_op *self, agg_local *local)
{
    if (later_is_due(self, local)) {
        KD_TRY(kdi_group_codes_settle(ctx, local->codes, local->agg));
        KD_TRY(kdi_later_create(ctx, &self->op, local->arena, &self->later_layout, self->held_count,
                                local->level, &local->later));
    }
    return self->can_deal ? KD_OK : kdi_agg_make_room(ctx, local->agg);
}

static kd_status keys_evaluate(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    for (uint32_t k = 0; k < self->key_count; k++)
        KD_TRY(kd_expr_evaluate(ctx, local->keys[k], local->batch_arena, in, &local->vectors[k]));
    return KD_OK;
}

static kd_status sets_sink(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    const kd_plan *plan = self->op.plan;
    kd_vector *full = KD_NEW_ARRAY(ctx, local->batch_arena, kd_vector, self->held_count);
    if (full == NULL)
        return KD_NOMEM;
    memcpy(full, local->vectors, self->key_count * sizeof *full);
    for (uint32_t s = 0; s < plan->as.aggregate.set_count; s++) {
        for (uint32_t k = 0; k < self->key_count; k++) {
            local->vectors[k] = full[k];
            if ((plan->as.aggregate.sets[s] >> k) & 1)
                continue;
            kd_value null = kd_value_null(full[k].type);
            KD_TRY(kd_vector_init_constant(ctx, local->batch_arena, &null, &local->vectors[k]));
        }
        kd_value number = kd_value_i32((int32_t)s);
        KD_TRY(kd_vector_init_constant(ctx, local->batch_arena, &number,
                                       &local->vectors[self->key_count]));
        KD_TRY(rows_sink(ctx, self, local, in));
    }
    return KD_OK;
}

/* The batch's groups through codes: only codes not seen yet go to the table. */
static kd_status codes_sink(kd_ctx *ctx, agg_op *self, agg_local *local, const kd_batch *in)
{
    kdi_group_codes *codes = local->codes;
    if (codes->missing_count > 0) {
        kd_batch fresh = *in;
        fresh.selection = codes->missing;
        fresh.selected_count = codes->missing_count;
        KD_TRY(groups_find(ctx, self, local, &fresh));
        for (uint32_t i = 0; i < codes->missing_count; i++)
            kdi_group_codes_set(codes, i, local->groups[i]);
    }
    bool has_groups = false;
    for (uint32_t c = 0; c < local->agg->call_count; c++) {
        bool done;
        KD_TRY(kdi_code_sum_step(ctx, codes, local->agg, c, in, &done));
        if (done)
            continue;
        for (uint32_t i = 0; i < in->selected_count && !has_groups; i++)
            local->groups[i] = codes->groups[codes->codes[i]];
        has_groups = true;
        KD_TRY(kdi_agg_step_call(ctx, local->agg, &local->agg->calls[c], in, local->groups));
    }
    if (local->agg->call_count > 0)
        kdi_code_rows_count(codes, in->selected_count);
    kd_arena_reset(local->agg->batch_arena);
    return KD_OK;
}

static kd_status groups_deal(kd_ctx *ctx, agg_local *local)
{
    local->is_dealt = true;
    local->input_rows = 0;
    local->is_measured = local->keeps_groups = false;
    local->order.state = KDI_ORDER_LOST;
    KD_TRY(kdi_group_codes_settle(ctx, local->codes, local->agg));
    for (uint32_t i = 0; i < local->order.run_count; i++)
        KD_TRY(store_deal(ctx, &local->order.runs[i], local->parts));
    kdi_group_order_clear(ctx->world, &local->order);
    return table_deal(ctx, &local->table, local->parts);
}

/* From here on groups are looked up. */
static kd_status order_lose(kd_ctx *ctx, agg_local *local)
{
    bool had_groups = local->order.state == KDI_ORDER_HOLDS;
    local->order.state = KDI_ORDER_LOST;
    if (!had_groups)
        return KD_OK;
    if (local->order.run_count > 0 || local->table.store.row_count > TABLE_ROWS_MAX)
        return groups_deal(ctx, local);
    return kdi_group_table_index(ctx, &local->table);
}

/* Groups the batch when they come in order, as all before them did. */
static kd_status order_sink(kd_ctx *ctx, agg_local *local, const kd_batch *in, bool *out_done)
{
    *out_done = false;
    if (local->order.state == KDI_ORDER_LOST)
        return KD_OK;
    KD_TRY(kdi_view_open(ctx, local->arena, &local->views[0], &local->vectors[0], in->selection,
                         in->selected_count));
    KD_TRY(kdi_group_order_find(ctx, &local->order, &local->table, local->agg, &local->views[0],
                                in->selected_count, local->hashes, local->groups, out_done));
    if (!*out_done)
        return order_lose(ctx, local);
    return kdi_agg_step(ctx, local->agg, in, local->groups);
}

static kd_status agg_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                          kdi_flow *out_flow)
{
    agg_op *self = (agg_op *)op;
    agg_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    if (deal_is_due(self, local))
        KD_TRY(groups_deal(ctx, local));
    KD_TRY(room_make(ctx, self, local));
    local->input_rows += in->selected_count;
    kd_arena_reset(local->batch_arena);
    KD_TRY(keys_evaluate(ctx, self, local, in));
    if (op->plan->as.aggregate.set_count > 0)
        return sets_sink(ctx, self, local, in);
    bool by_codes = false, in_order;
    KD_TRY(order_sink(ctx, local, in, &in_order));
    if (in_order)
        return KD_OK;
    if (local->later == NULL)
        KD_TRY(kdi_group_codes_open(ctx, local->codes, local->agg, local->vectors, self->key_count,
                                    in, &by_codes));
    if (by_codes)
        return codes_sink(ctx, self, local, in);
    return rows_sink(ctx, self, local, in);
}

/* Adds the groups of a page to the table. */
static kd_status page_unite(kd_ctx *ctx, kdi_group_table *table, kdi_agg *agg,
                            const kdi_row_store *store, uint32_t page_index)
{
    const kdi_page *page = &store->pages[page_index];
    for (uint32_t i = 0; i < page->row_count; i++) {
        const char *row = kdi_page_row(store, page, i);
        char *target;
        bool is_new;
        KD_TRY(kdi_group_table_adopt(ctx, table, row, &target, &is_new));
        if (!is_new)
            KD_TRY(kdi_agg_combine(ctx, agg, target, row));
    }
    kd_arena_reset(agg->batch_arena);
    return kd_check_cancelled(ctx);
}

/* The first table becomes the united one as it is. */
static void table_take(kdi_group_table *target, kdi_group_table *source)
{
    kdi_row_store store = target->store;
    uint64_t *slots = target->slots, mask = target->slot_mask;
    target->store = source->store;
    target->slots = source->slots;
    target->slot_mask = source->slot_mask;
    source->store = store;
    source->slots = slots;
    source->slot_mask = mask;
}

static kd_status ordered_take(kd_ctx *ctx, agg_op *self, agg_local *local)
{
    kdi_group_order *order = &local->order;
    for (uint32_t i = 0; i < order->run_count; i++)
        KD_TRY(kdi_row_stores_add(ctx, &self->ordered, &self->ordered_count, &order->runs[i]));
    return kdi_row_stores_add(ctx, &self->ordered, &self->ordered_count, &local->table.store);
}

/* Where all threads had order, their groups are united in place; else they go where others' are. */
static kd_status ordered_unite(kd_ctx *ctx, agg_op *self)
{
    bool alone = !self->is_dealt && self->table.store.row_count == 0;
    if (alone && self->ordered_count > 1) {
        KD_TRY(kdi_group_order_merge(ctx, self->agg, self->ordered, self->ordered_count));
        kd_arena_reset(self->agg->batch_arena);
        self->has_taken = true;
    }
    for (uint32_t i = 0; i < self->ordered_count; i++) {
        kdi_row_store *store = &self->ordered[i];
        if (alone)
            KD_TRY(kdi_row_store_move(ctx, &self->table.store, store));
        else if (self->is_dealt)
            KD_TRY(store_deal(ctx, store, self->parts));
        for (uint32_t p = 0; p < store->page_count; p++)
            KD_TRY(page_unite(ctx, &self->table, self->agg, store, p));
        kdi_row_store_clear(ctx->world, store);
    }
    return KD_OK;
}

/* Whether a thread's groups and those of threads before it are too many for one table. */
static bool unites_badly(const agg_op *self, const agg_local *local)
{
    uint64_t rows = self->table.store.row_count + local->table.store.row_count;
    size_t slot_bytes = rows * 4 * sizeof(uint64_t); /* As many as there may be after growing. */
    return self->can_deal && local->order.state != KDI_ORDER_HOLDS && rows > TIGHT_ROWS_MIN &&
           (self->is_dealt || rows > REPEATING_ROWS_MAX ||
            kdi_budget_is_tight(self->table.store.budget, slot_bytes));
}

/* A thread that dealt hands its partitions over; otherwise its groups go to the united table. */
static kd_status agg_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    agg_op *self = (agg_op *)op;
    agg_local *local = object;
    KD_TRY(kdi_group_codes_settle(ctx, local->codes, local->agg));
    KD_TRY(kdi_agg_settle(ctx, local->agg));
    if (local->is_dealt || unites_badly(self, local)) {
        self->is_dealt = true;
        KD_TRY(table_deal(ctx, &local->table, local->parts));
        for (uint32_t p = 0; p < PARTITIONS; p++)
            KD_TRY(kdi_row_store_move(ctx, &self->parts[p], &local->parts[p]));
        return KD_OK;
    }
    if (local->later != NULL)
        KD_TRY(kdi_later_take(ctx, local->later, self->later));
    if (local->order.state == KDI_ORDER_HOLDS)
        return ordered_take(ctx, self, local);
    if (self->table.store.row_count == 0) {
        table_take(&self->table, &local->table);
        return KD_OK;
    }
    kdi_row_store *store = &local->table.store;
    for (uint32_t p = 0; p < store->page_count; p++) {
        KD_TRY(page_unite(ctx, &self->table, self->agg, store, p));
        kdi_row_store_drop_page(ctx->world, store, p);
    }
    return KD_OK;
}

/* Without keys there is always a row, also over no input; so it is for the set (). */
static kd_status empty_groups_add(kd_ctx *ctx, agg_op *self)
{
    const kd_plan *plan = self->op.plan;
    uint32_t set_count = plan->as.aggregate.set_count;
    if (set_count == 0 && self->key_count > 0)
        return KD_OK;
    kdi_view *views = KD_NEW_ARRAY(ctx, self->op.arena, kdi_view, self->held_count);
    kd_vector *vectors = KD_NEW_ARRAY(ctx, self->op.arena, kd_vector, self->held_count);
    if (views == NULL || vectors == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < self->key_count; k++) {
        kd_value null = kd_value_null(self->key_types[k]);
        KD_TRY(kd_vector_init_constant(ctx, self->op.arena, &null, &vectors[k]));
    }
    for (uint32_t s = 0; s < (set_count == 0 ? 1 : set_count); s++) {
        if (set_count > 0) {
            if (plan->as.aggregate.sets[s] != 0)
                continue;
            kd_value number = kd_value_i32((int32_t)s);
            KD_TRY(
                kd_vector_init_constant(ctx, self->op.arena, &number, &vectors[self->key_count]));
        }
        uint64_t hash = 0;
        KD_TRY(kdi_views_open(ctx, self->op.arena, views, self->held_count, vectors, NULL, 1));
        for (uint32_t k = 0; k < self->held_count; k++)
            kdi_view_hash(&views[k], 1, k > 0, &hash);
        char *row;
        uint16_t fresh;
        uint32_t fresh_count;
        KD_TRY(
            kdi_group_table_find(ctx, &self->table, views, &hash, 1, &row, &fresh, &fresh_count));
        if (fresh_count == 1)
            kdi_agg_init_row(self->agg, row);
    }
    return KD_OK;
}

static kd_status agg_finish(kd_ctx *ctx, kdi_op *op)
{
    agg_op *self = (agg_op *)op;
    KD_TRY(empty_groups_add(ctx, self));
    KD_TRY(ordered_unite(ctx, self));
    if (self->is_dealt)
        return table_deal(ctx, &self->table, self->parts);
    return KD_OK;
}

/* ---- As a source ---- */

typedef struct agg_reader {
    kd_vector *columns;
    kdi_agg *agg; /* Of this thread: finishing uses its own environment. */
    kd_arena *batch_arena;
    char **rows;
    uint32_t page;
    uint32_t row;
    bool has_page;
    kdi_group_table table; /* Dealt: the partition at hand. */
    bool has_part;
    /* Rows put away: the groups of those at hand, and stores that wait. */
    agg_local *later;
    kd_arena *later_arena;
    kdi_row_cursor later_cursor;
    kdi_waiting *waiting;
    size_t waiting_count, waiting_capacity;
    kd_vector *later_columns;
    kd_arena *arena;
} agg_reader;

static kd_status local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    agg_op *self = (agg_op *)op;
    const kd_plan *plan = op->plan;
    agg_reader *local = KD_NEW(ctx, arena, agg_reader);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "group batch", KD_ARENA_UNLIMITED);
    if (local->rows == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_agg_create(ctx, op, arena, self->key_types, self->held_count,
                          plan->as.aggregate.calls, plan->as.aggregate.call_count, plan->inputs[0],
                          &local->agg));
    if (self->is_dealt)
        KD_TRY(kdi_group_table_init(ctx, arena, &local->table, op->budget, &self->agg->layout,
                                    self->held_count));
    return kdi_columns_create(ctx, arena, plan, &local->columns);
}

static void later_close(kdi_op *op, agg_reader *local)
{
    if (local->later != NULL)
        sink_destroy(op, local->later);
    kd_arena_destroy(local->later_arena);
    local->later = NULL;
    local->later_arena = NULL;
}

static void local_destroy(kdi_op *op, void *object)
{
    agg_reader *local = object;
    later_close(op, local);
    for (size_t i = 0; i < local->waiting_count; i++)
        kdi_row_store_clear(op->exec->world, &local->waiting[i].store);
    kdi_group_table_clear(&local->table);
    kdi_agg_destroy(local->agg);
}

static void grouping_fill(const agg_op *self, const agg_reader *local, uint32_t count,
                          kd_vector *column)
{
    const kd_plan *plan = self->op.plan;
    uint64_t all = self->key_count >= 64 ? UINT64_MAX : ((uint64_t)1 << self->key_count) - 1;
    int64_t *values = column->values;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t set = all;
        if (plan->as.aggregate.set_count > 0)
            set =
                plan->as.aggregate
                    .sets[kdi_row_get(&self->agg->layout, local->rows[i], self->key_count).as.i32];
        values[i] = (int64_t)(~set & all);
    }
}

/* Rows of the united table, page by page. */
static uint32_t table_rows(agg_op *self, agg_reader *local)
{
    const kdi_row_store *store = &self->table.store;
    uint32_t count = 0;
    while (count == 0) {
        if (!local->has_page || local->row >= store->pages[local->page].row_count) {
            local->page = atomic_fetch_add(&self->next_page, 1);
            local->row = 0;
            local->has_page = local->page < store->page_count;
            if (!local->has_page)
                return 0;
        }
        const kdi_page *page = &store->pages[local->page];
        while (count < KD_BATCH_ROWS && local->row < page->row_count) {
            local->rows[count] = kdi_page_row(store, page, local->row++);
            count += !self->has_taken || !kdi_group_is_taken(local->rows[count]);
        }
    }
    return count;
}

static kd_status part_unite(kd_ctx *ctx, agg_reader *local, kdi_row_store *part)
{
    kdi_row_store_clear(ctx->world, &local->table.store);
    kdi_group_table_forget(&local->table);
    for (uint32_t p = 0; p < part->page_count; p++) {
        KD_TRY(kdi_row_store_load(ctx, part, p));
        KD_TRY(page_unite(ctx, &local->table, local->agg, part, p));
        kdi_row_store_drop_page(ctx->world, part, p);
    }
    return KD_OK;
}

/* Rows of this thread's partition; the next partition when it is through. */
static kd_status part_rows(kd_ctx *ctx, agg_op *self, agg_reader *local, uint32_t *out_count)
{
    for (;;) {
        kdi_row_cursor cursor = {.page = local->page, .row = local->row};
        *out_count = 0;
        if (local->has_part)
            *out_count =
                kdi_row_store_next(&local->table.store, &cursor, KD_BATCH_ROWS, local->rows);
        local->page = cursor.page;
        local->row = cursor.row;
        if (*out_count > 0)
            return KD_OK;
        uint32_t part = atomic_fetch_add(&self->next_page, 1);
        if (part >= PARTITIONS)
            return KD_OK;
        KD_TRY(part_unite(ctx, local, &self->parts[part]));
        local->has_part = true;
        local->page = local->row = 0;
    }
}

/* Groups the rows of a store as the sink does, with fresh tables. */
static kd_status later_group(kd_ctx *ctx, agg_op *self, agg_reader *local, kdi_waiting *rows)
{
    const kd_plan *input = self->op.plan->inputs[0];
    local->later_arena = kd_arena_create(ctx, local->arena, "groups put away", KD_ARENA_UNLIMITED);
    if (local->later_arena == NULL)
        return KD_NOMEM;
    KD_TRY(agg_local_create(ctx, self, local->later_arena, local->later_arena, &local->later));
    local->later->level = rows->level;
    kdi_row_store *store = &rows->store;
    for (uint32_t p = 0; p < store->page_count; p++) {
        KD_TRY(kdi_row_store_load(ctx, store, p));
        for (uint32_t row = 0; row < store->pages[p].row_count;) {
            kd_batch batch;
            uint32_t count = 0;
            while (count < KD_BATCH_ROWS && row < store->pages[p].row_count)
                local->rows[count++] = kdi_page_row(store, &store->pages[p], row++);
            kdi_batch_gather(&self->later_layout, local->rows, count, local->later_columns, &batch);
            memcpy(local->later->vectors, batch.columns, self->held_count * sizeof *batch.columns);
            batch.columns += self->held_count;
            batch.column_count = input->column_count;
            KD_TRY(room_make(ctx, self, local->later));
            KD_TRY(rows_sink(ctx, self, local->later, &batch));
        }
        kdi_row_store_drop_page(ctx->world, store, p);
    }
    return kdi_agg_settle(ctx, local->later->agg);
}

/* The next store of rows put away: those of this thread's own tables first. */
static kd_status later_open(kd_ctx *ctx, agg_op *self, agg_reader *local, bool *out_found)
{
    kd_world *world = ctx->world;
    kdi_waiting rows = {.level = 1};
    if (local->later != NULL && local->later->later != NULL)
        KD_TRY(kdi_later_wait(ctx, local->later->later, local->arena, &local->waiting,
                              &local->waiting_count, &local->waiting_capacity));
    later_close(&self->op, local);
    *out_found = local->waiting_count > 0;
    if (*out_found)
        rows = local->waiting[--local->waiting_count];
    while (!*out_found) {
        uint32_t part = atomic_fetch_add(&self->next_later, 1);
        if (part >= PARTITIONS)
            return KD_OK;
        kdi_row_store_init(&rows.store, self->later[part].budget, &self->later_layout);
        KD_TRY(kdi_row_store_move(ctx, &rows.store, &self->later[part]));
        *out_found = rows.store.row_count > 0;
    }
    if (local->later_columns == NULL)
        KD_TRY(kdi_later_columns(ctx, local->arena, &self->later_layout, &local->later_columns));
    local->later_cursor = (kdi_row_cursor){0};
    kd_status status = later_group(ctx, self, local, &rows);
    kdi_row_store_clear(world, &rows.store);
    return status;
}

/* Groups of rows put away. */
static kd_status later_rows(kd_ctx *ctx, agg_op *self, agg_reader *local, uint32_t *out_count)
{
    bool found = true;
    while (found) {
        *out_count = 0;
        if (local->later != NULL)
            *out_count = kdi_row_store_next(&local->later->table.store, &local->later_cursor,
                                            KD_BATCH_ROWS, local->rows);
        if (*out_count > 0)
            return KD_OK;
        KD_TRY(later_open(ctx, self, local, &found));
    }
    return KD_OK;
}

static kd_status agg_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    agg_op *self = (agg_op *)op;
    agg_reader *local = object;
    uint32_t count;
    kd_arena_reset(local->batch_arena);
    if (self->is_dealt)
        KD_TRY(part_rows(ctx, self, local, &count));
    else
        count = table_rows(self, local);
    if (count == 0 && !self->can_deal)
        KD_TRY(later_rows(ctx, self, local, &count));
    *out_end = count == 0;
    if (*out_end)
        return KD_OK;
    for (uint32_t k = 0; k < self->key_count; k++)
        kdi_rows_gather(&self->agg->layout, k, local->rows, NULL, count, &local->columns[k]);
    KD_TRY(kdi_agg_finish(ctx, local->agg, local->batch_arena, local->rows, count,
                          local->columns + self->key_count));
    if (op->plan->as.aggregate.grouping_id != 0)
        grouping_fill(self, local, count, &local->columns[op->plan->column_count - 1]);
    *out_end = false;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = op->plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static double agg_rows(kdi_op *op)
{
    agg_op *self = (agg_op *)op;
    double rows = (double)self->table.store.row_count;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        rows += (double)self->parts[p].row_count + (double)self->later[p].row_count;
    return rows;
}

static void agg_close(kdi_op *op)
{
    agg_op *self = (agg_op *)op;
    kdi_group_table_clear(&self->table);
    kdi_row_stores_clear(op->exec->world, &self->ordered, &self->ordered_count);
    parts_clear(op->exec->world, self->parts);
    parts_clear(op->exec->world, self->later);
    kdi_agg_destroy(self->agg);
}

static const kdi_op_class agg_class = {
    .local_create = local_create,
    .local_destroy = local_destroy,
    .next = agg_next,
    .sink_create = sink_create,
    .sink_destroy = sink_destroy,
    .sink = agg_sink,
    .combine = agg_combine,
    .finish = agg_finish,
    .rows = agg_rows,
    .close = agg_close,
};

/* Rows put away: their keys, then the input's columns. */
static kd_status later_prepare(kd_ctx *ctx, agg_op *self)
{
    const kd_plan *input = self->op.plan->inputs[0];
    uint32_t count = self->held_count + input->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, self->op.arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    memcpy(types, self->key_types, self->held_count * sizeof *types);
    for (uint32_t c = 0; c < input->column_count; c++)
        types[self->held_count + c] = input->columns[c].type;
    KD_TRY(kdi_row_layout_init(ctx, self->op.arena, types, count, true, 0, &self->later_layout));
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_init(&self->later[p], self->op.budget, &self->later_layout);
    return KD_OK;
}

kd_status kdi_build_aggregate(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    agg_op *self;
    kd_arena *arena = pipeline->exec->arena;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &agg_class, sizeof *self, &self));
    self->key_count = plan->as.aggregate.key_count;
    self->held_count = self->key_count + (plan->as.aggregate.set_count > 0);
    self->key_types = KD_NEW_ARRAY(ctx, arena, kd_type, self->held_count);
    if (self->key_types == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < self->key_count; k++) {
        self->key_types[k] = plan->as.aggregate.keys[k]->type;
        self->op.sink_is_serial |= kdi_expr_is_volatile(plan->as.aggregate.keys[k]);
    }
    if (self->held_count > self->key_count)
        self->key_types[self->key_count] = kd_type_of(KD_TYPE_INT4);
    self->can_deal = kdi_agg_is_parallel(plan->as.aggregate.calls, plan->as.aggregate.call_count);
    self->op.sink_is_serial |= !self->can_deal;
    KD_TRY(kdi_agg_create(ctx, &self->op, arena, self->key_types, self->held_count,
                          plan->as.aggregate.calls, plan->as.aggregate.call_count, plan->inputs[0],
                          &self->agg));
    KD_TRY(kdi_group_table_init(ctx, arena, &self->table, self->op.budget, &self->agg->layout,
                                self->held_count));
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_init(&self->parts[p], self->op.budget, &self->agg->layout);
    if (!self->can_deal)
        KD_TRY(later_prepare(ctx, self));
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[0], &self->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
