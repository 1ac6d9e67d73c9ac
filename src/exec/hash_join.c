/*
 * HASH_JOIN, all kinds.
 *
 * The right side is built: every thread collects rows, the stores are united and chained once. A
 * left batch is then probed in rounds. A round finds at most one match per row, so its output is
 * the left batch itself, still encoded, with a shorter selection, and the right columns beside it.
 * Rows with more matches go to the next round; when only few such rows are left, their matches are
 * written out as pairs instead.
 *
 * NULL: a key that is NULL matches nothing, unless the key is IS NOT DISTINCT FROM. MARK is NULL
 * where no row matches and a NULL on either side leaves that open; ANTI_NULL (NOT IN) passes where
 * MARK is false.
 *
 * When memory is short during the build, rows are dealt by hash to partitions whose pages may be
 * spilled, and so are then all left rows, instead of being probed. When the left side ends, the
 * last thread joins partition by partition.
 */
#include "exec/join_code_internal.h"
#include "exec/join_table_internal.h"
#include "exec/join_wide_internal.h"
#include "exec/keep_internal.h"

#include "base/hash.h"

#include <assert.h>

enum {
    PAIR_SHARE = 4,
    PARTITION_BITS = 5,
    PARTITIONS = 1 << PARTITION_BITS,
    DEAL_PAGES_MIN = 4,
    PREFETCH_SLOTS_MIN = 1 << 14,
    SURPRISE_ROWS = 50000, /* Fewer are built sooner than a plan is made. */
    SURPRISE_FACTOR = 8,
};

typedef struct hash_join {
    kdi_op op;
    kd_join_kind kind;
    uint32_t key_count;
    uint32_t right_count;
    kdi_row_layout layout; /* Keys, then the right side's columns. */
    kdi_row_store store;
    kdi_join_table table;
    bool has_null_key; /* Some build row's key is NULL. */
    bool is_right_emitted;
    kdi_row_cursor unmet; /* Build rows given already by the flush. */
    uint64_t build_count;
    bool is_dealt;
    kdi_row_store parts[PARTITIONS];
    kdi_row_layout left_layout;           /* Dealt: the left side's columns, with a header. */
    kdi_row_store left_parts[PARTITIONS]; /* All threads' left rows. */
    kd_mutex lock;                        /* left_parts */
    uint32_t part;                        /* The partition at work, from 1. */
    uint32_t left_page;                   /* Of it, the left page to probe next. */
    bool is_part_open;
    const kdi_runtime_filter **filters; /* Per key; NULL: nobody asked, or there is none. */
} hash_join;

/* The probing half is an op of its own in the left pipeline. */
typedef struct hash_probe {
    kdi_op op;
    hash_join *join;
} hash_probe;

/* ---- Build ---- */

typedef struct build_local {
    kd_compiled_expr **keys;
    kd_vector *vectors;
    kdi_view *views;
    kdi_row_store store;
    kd_arena *arena;
    kd_arena *batch_arena;
    char **rows;
    uint64_t *hashes;
    bool has_null_key;
    bool is_dealt;
    kdi_row_store parts[PARTITIONS];
} build_local;

static kd_status sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    hash_join *self = (hash_join *)op;
    build_local *local = KD_NEW(ctx, arena, build_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    uint32_t count = self->layout.column_count;
    local->arena = arena;
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, count);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, count);
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "build batch", KD_ARENA_UNLIMITED);
    if (local->vectors == NULL || local->views == NULL || local->rows == NULL ||
        local->hashes == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->store, op->budget, &self->layout);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_init(&local->parts[p], op->budget, &self->layout);
    return kdi_compile_all(ctx, op, arena, op->plan->as.join.right_keys, self->key_count,
                           op->plan->inputs[1], &local->keys);
}

static void parts_clear(kd_world *world, kdi_row_store *parts)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_clear(world, &parts[p]);
}

static void sink_destroy(kdi_op *op, void *object)
{
    build_local *local = object;
    kdi_row_store_clear(op->exec->world, &local->store);
    parts_clear(op->exec->world, local->parts);
}

/* Moves the rows to their partitions, page by page, and spills when memory is short. */
static kd_status store_deal(kd_ctx *ctx, kdi_row_store *store, kdi_row_store *parts)
{
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        for (uint32_t i = 0; i < page->row_count; i++) {
            const char *row = kdi_page_row(store, page, i);
            char *copy;
            KD_TRY(kdi_row_store_copy(ctx, &parts[kdi_row_hash(row) >> (64 - PARTITION_BITS)], row,
                                      true, &copy));
        }
        kdi_row_store_drop_page(ctx->world, store, p);
        if (!kdi_budget_is_tight(store->budget, 0))
            continue;
        for (uint32_t k = 0; k < PARTITIONS; k++)
            KD_TRY(kdi_row_store_spill(ctx, &parts[k], false));
    }
    kdi_row_store_clear(ctx->world, store);
    return KD_OK;
}

static bool keys_null(const hash_join *self, const kdi_view *views, uint32_t i)
{
    for (uint32_t k = 0; k < self->key_count; k++)
        if (!self->op.plan->as.join.null_equal[k] && kdi_view_is_null(&views[k], i))
            return true;
    return false;
}

static bool views_have_validity(const hash_join *self, const kdi_view *views)
{
    for (uint32_t k = 0; k < self->key_count; k++)
        if (!self->op.plan->as.join.null_equal[k] && views[k].validity != NULL)
            return true;
    return false;
}

static kd_status build_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                            kdi_flow *out_flow)
{
    hash_join *self = (hash_join *)op;
    build_local *local = object;
    uint32_t count = in->selected_count;
    if (local->store.page_count >= DEAL_PAGES_MIN &&
        kdi_budget_is_tight(local->store.budget, local->store.row_count * 2 * sizeof(uint64_t))) {
        local->is_dealt = true;
        KD_TRY(store_deal(ctx, &local->store, local->parts));
    }
    kd_arena_reset(local->batch_arena);
    for (uint32_t k = 0; k < self->key_count; k++)
        KD_TRY(kd_expr_evaluate(ctx, local->keys[k], local->batch_arena, in, &local->vectors[k]));
    memcpy(local->vectors + self->key_count, in->columns, self->right_count * sizeof *in->columns);
    KD_TRY(kdi_views_open(ctx, local->arena, local->views, self->layout.column_count,
                          local->vectors, in->selection, count));
    for (uint32_t k = 0; k < self->key_count; k++)
        kdi_view_hash(&local->views[k], count, k > 0, local->hashes);
    uint32_t appended;
    KD_TRY(kdi_row_store_append(ctx, &local->store, local->views, NULL, count, true, local->rows,
                                &appended));
    bool may_be_null = views_have_validity(self, local->views);
    for (uint32_t i = 0; i < count; i++) {
        bool is_null = may_be_null && keys_null(self, local->views, i);
        kd_store_u64(local->rows[i], local->hashes[i]);
        kd_store_u64(local->rows[i] + 8, is_null);
        local->has_null_key |= is_null;
    }
    *out_flow = KDI_NEED_INPUT;
    return KD_OK;
}

static kd_status build_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    hash_join *self = (hash_join *)op;
    build_local *local = object;
    self->has_null_key |= local->has_null_key;
    self->is_dealt |= local->is_dealt;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        KD_TRY(kdi_row_store_move(ctx, &self->parts[p], &local->parts[p]));
    return kdi_row_store_move(ctx, &self->store, &local->store);
}

/* Build sides in partitions make none: their rows may be on disk. */
static kd_status filters_make(kd_ctx *ctx, hash_join *self)
{
    uint64_t wanted = self->op.plan->as.join.filter_keys;
    for (uint32_t k = 0; k < self->key_count && k < 64 && !self->is_dealt; k++)
        if ((wanted >> k & 1) != 0)
            KD_TRY(
                kdi_runtime_filter_create(ctx, self->op.arena, &self->store, k, &self->filters[k]));
    return KD_OK;
}

static bool is_one_key(const hash_join *self)
{
    return self->key_count == 1 && !self->op.plan->as.join.null_equal[0];
}

/* A build side that runtime filters made smaller than its tables say is no surprise the less. */
static kd_status tell_surprise(kd_ctx *ctx, const hash_join *self)
{
    const kd_plan *plan = self->op.plan;
    kd_replanner *replanner = self->op.exec->options->replanner;
    kd_known_rows found = {plan->as.join.build_key, (double)self->build_count};
    double expected_rows = plan->inputs[1]->row_estimate;
    bool stop = false;
    if (replanner == NULL || found.key == 0 || self->op.exec->is_sub ||
        self->build_count < SURPRISE_ROWS || found.rows < expected_rows * SURPRISE_FACTOR)
        return KD_OK;
    KD_TRY(replanner->surprised(ctx, replanner, found, expected_rows, &stop));
    return stop ? KD_FAIL(ctx, KD_CONFLICT, "40001", "the statement is planned anew") : KD_OK;
}

static kd_status build_finish(kd_ctx *ctx, kdi_op *op)
{
    hash_join *self = (hash_join *)op;
    self->build_count = self->store.row_count;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        self->build_count += self->parts[p].row_count;
    KD_TRY(tell_surprise(ctx, self));
    KD_TRY(filters_make(ctx, self));
    if (!self->is_dealt && !(self->store.page_count >= DEAL_PAGES_MIN &&
                             kdi_budget_is_tight(self->store.budget, self->store.row_count * 16)))
        return kdi_join_table_build(ctx, &self->table, &self->store, is_one_key(self));
    self->is_dealt = true;
    return store_deal(ctx, &self->store, self->parts);
}

static void build_close(kdi_op *op)
{
    hash_join *self = (hash_join *)op;
    kdi_join_table_clear(&self->table);
    kdi_row_store_clear(op->exec->world, &self->store);
    parts_clear(op->exec->world, self->parts);
    parts_clear(op->exec->world, self->left_parts);
    kd_mutex_clear(&self->lock);
}

static const kdi_op_class build_class = {
    .sink_create = sink_create,
    .sink_destroy = sink_destroy,
    .sink = build_sink,
    .combine = build_combine,
    .finish = build_finish,
    .close = build_close,
};

/* ---- Probe ---- */

typedef enum probe_phase { PROBE_START = 0, PROBE_ROUNDS, PROBE_PAIRS, PROBE_REST } probe_phase;

typedef struct probe_local {
    kdi_join_wide *wide;
    kdi_join_codes *codes; /* NULL: this join cannot go by codes. */
    kd_compiled_expr **keys;
    kd_vector *vectors;
    kdi_view *views;
    kd_arena *arena;
    kd_arena *batch_arena;
    probe_phase phase;
    uint64_t *hashes;
    char **at;        /* Per selected row: where its chain goes on. */
    char **hit;       /* The match of this round. */
    uint16_t *active; /* Selected rows that are still looking, ascending. */
    uint32_t active_count;
    uint16_t *open, *candidates;
    char **candidate_rows;
    uint8_t *flags;
    uint8_t *matched; /* Some match passed the condition. */
    uint8_t *null_key;
    uint16_t *rows; /* Selections of outputs. */
    uint16_t *pair_rows;
    char **pair_right;
    uint32_t pair_next; /* PAIRS: the active row to go on with. */
    /* Dealt. */
    kdi_appender appender;
    kdi_row_store left;
    kdi_row_store left_parts[PARTITIONS];
    kd_vector *left_columns;
    kd_batch left_batch;
    bool has_left_batch;
    char **left_rows;
    kdi_row_cursor left_cursor;
    bool has_left, is_last; /* The flush: this thread is through; so are all others. */
} probe_local;

static kd_status dealt_local_create(kd_ctx *ctx, hash_join *join, kdi_op *op, kd_arena *arena,
                                    probe_local *local)
{
    if (!join->is_dealt)
        return KD_OK;
    local->left_rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (local->left_rows == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->left, join->op.budget, &join->left_layout);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        kdi_row_store_init(&local->left_parts[p], join->op.budget, &join->left_layout);
    KD_TRY(kdi_columns_create(ctx, arena, op->plan->inputs[0], &local->left_columns));
    return kdi_appender_init(ctx, arena, join->left_layout.column_count, &local->appender);
}

static bool goes_by_codes(const hash_join *join, const kd_plan *plan)
{
    return (join->kind == KD_JOIN_INNER || join->kind == KD_JOIN_LEFT) && join->key_count == 1 &&
           !join->is_dealt && !plan->as.join.null_equal[0] && plan->as.join.residual == NULL &&
           plan->as.join.left_keys[0]->kind == KD_EXPR_COLUMN;
}

static kd_status probe_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    hash_join *join = ((hash_probe *)op)->join;
    probe_local *local = KD_NEW(ctx, arena, probe_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, join->key_count);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, join->key_count);
    local->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    local->at = KD_NEW_ARRAY(ctx, arena, char *, 4 * KD_BATCH_ROWS);
    local->active = KD_NEW_ARRAY(ctx, arena, uint16_t, 5 * KD_BATCH_ROWS);
    local->flags = KD_NEW_ARRAY(ctx, arena, uint8_t, 3 * KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "probe batch", KD_ARENA_UNLIMITED);
    if (local->vectors == NULL || local->views == NULL || local->hashes == NULL ||
        local->at == NULL || local->active == NULL || local->flags == NULL ||
        local->batch_arena == NULL)
        return KD_NOMEM;
    local->hit = local->at + KD_BATCH_ROWS;
    local->candidate_rows = local->hit + KD_BATCH_ROWS;
    local->pair_right = local->candidate_rows + KD_BATCH_ROWS;
    local->open = local->active + KD_BATCH_ROWS;
    local->candidates = local->open + KD_BATCH_ROWS;
    local->rows = local->candidates + KD_BATCH_ROWS;
    local->pair_rows = local->rows + KD_BATCH_ROWS;
    local->matched = local->flags + KD_BATCH_ROWS;
    local->null_key = local->matched + KD_BATCH_ROWS;
    KD_TRY(kdi_compile_all(ctx, op, arena, op->plan->as.join.left_keys, join->key_count,
                           op->plan->inputs[0], &local->keys));
    KD_TRY(dealt_local_create(ctx, join, op, arena, local));
    if (goes_by_codes(join, op->plan))
        KD_TRY(kdi_join_codes_create(ctx, arena, join->right_count, &local->codes));
    return kdi_join_wide_create(ctx, op, arena, op->plan->as.join.residual, &local->wide);
}

static void probe_local_destroy(kdi_op *op, void *object)
{
    probe_local *local = object;
    kdi_row_store_clear(op->exec->world, &local->left);
    parts_clear(op->exec->world, local->left_parts);
}

/* Whether it is enough to know that a row has a match. */
static bool has_enough(const hash_join *join, const probe_local *local)
{
    return !kdi_join_gives_right(join->kind) && join->kind != KD_JOIN_RIGHT_SEMI &&
           join->kind != KD_JOIN_RIGHT_ANTI && local->wide->condition == NULL;
}

static kd_status probe_keys(kd_ctx *ctx, hash_join *join, probe_local *local, const kd_batch *in)
{
    kd_arena_reset(local->batch_arena);
    for (uint32_t k = 0; k < join->key_count; k++)
        KD_TRY(kd_expr_evaluate(ctx, local->keys[k], local->batch_arena, in, &local->vectors[k]));
    return kdi_views_open(ctx, local->arena, local->views, join->key_count, local->vectors,
                          in->selection, in->selected_count);
}

/* Hashes of the left keys, in `hashes`. */
static void probe_hash(hash_join *join, probe_local *local, uint32_t count)
{
    for (uint32_t k = 0; k < join->key_count; k++)
        kdi_view_hash(&local->views[k], count, k > 0, local->hashes);
}

#define DIRECT_LOOP(name, value_type)                                                              \
    static void name(const kdi_join_table *table, const kdi_view *view, uint32_t count, char **at) \
    {                                                                                              \
        const value_type *values = view->values;                                                   \
        const uint32_t *index = view->index;                                                       \
        if (table->span > PREFETCH_SLOTS_MIN)                                                      \
            for (uint32_t i = 0; i < count; i++) {                                                 \
                uint64_t slot = (uint64_t)(int64_t)values[index[i]] - (uint64_t)table->low;        \
                __builtin_prefetch(&table->slots[slot < table->span ? slot : 0]);                  \
            }                                                                                      \
        for (uint32_t i = 0; i < count; i++)                                                       \
            at[i] = kdi_join_table_of_key(table, values[index[i]]);                                \
    }
DIRECT_LOOP(direct_i16, int16_t)
DIRECT_LOOP(direct_i32, int32_t)
DIRECT_LOOP(direct_i64, int64_t)
#undef DIRECT_LOOP

static void starts_direct(const kdi_join_table *table, const kdi_view *view, uint32_t count,
                          char **at)
{
    switch (view->physical) {
    case KD_PHYS_I16:
        direct_i16(table, view, count, at);
        break;
    case KD_PHYS_I32:
        direct_i32(table, view, count, at);
        break;
    default:
        direct_i64(table, view, count, at);
        break;
    }
}

static void starts_by_hash(const kdi_join_table *table, const uint64_t *hashes, uint32_t count,
                           char **at)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&table->slots[hashes[i] >> table->shift]);
    for (uint32_t i = 0; i < count; i++)
        at[i] = kdi_join_table_first(table, hashes[i]);
}

/* And the starts of their chains. */
static kd_status probe_begin(kd_ctx *ctx, hash_join *join, probe_local *local, const kd_batch *in)
{
    uint32_t count = in->selected_count;
    KD_TRY(probe_keys(ctx, join, local, in));
    memset(local->matched, 0, count);
    memset(local->null_key, 0, count);
    if (views_have_validity(join, local->views))
        for (uint32_t i = 0; i < count; i++)
            local->null_key[i] = keys_null(join, local->views, i);
    if (join->table.is_direct) {
        starts_direct(&join->table, &local->views[0], count, local->at);
    } else {
        probe_hash(join, local, count);
        starts_by_hash(&join->table, local->hashes, count, local->at);
    }
    uint32_t active = 0;
    bool reads_rows = !join->table.is_direct || !has_enough(join, local);
    for (uint32_t i = 0; i < count; i++) {
        char *first = local->at[i];
        if (reads_rows && first != NULL)
            __builtin_prefetch(first);
        local->active[active] = (uint16_t)i;
        active += first != NULL && !local->null_key[i];
    }
    local->active_count = active;
    return KD_OK;
}

/* A direct table has only rows of the key in a chain: each is a match. */
static void round_take(hash_join *join, probe_local *local)
{
    for (uint32_t i = 0; i < local->active_count; i++) {
        uint16_t position = local->active[i];
        char *row = local->at[position];
        local->hit[position] = row;
        local->at[position] = join->table.has_chains ? kdi_join_row_next(row) : NULL;
    }
}

/* The next match of each active row, into hit[]; rows without one leave the active list. `at` moves
 * past the match. */
static void round_find(hash_join *join, probe_local *local)
{
    if (join->table.is_direct) {
        round_take(join, local);
        return;
    }
    uint32_t open_count = local->active_count;
    memcpy(local->open, local->active, open_count * sizeof *local->open);
    for (uint32_t i = 0; i < local->active_count; i++)
        local->flags[local->active[i]] = 0;
    while (open_count > 0) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t position = local->open[i];
            char *row = local->at[position];
            local->candidates[count] = position;
            local->candidate_rows[count] = row;
            count += kdi_row_hash(row) == local->hashes[position];
        }
        for (uint32_t k = 0; k < join->key_count && count > 0; k++)
            count = kdi_rows_match(&join->layout, k, &local->views[k], local->candidates,
                                   local->candidate_rows, count);
        for (uint32_t i = 0; i < count; i++) {
            local->flags[local->candidates[i]] = 1;
            local->hit[local->candidates[i]] = local->candidate_rows[i];
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t position = local->open[i];
            char *next = kdi_join_row_next(local->at[position]);
            local->at[position] = next;
            local->open[kept] = position;
            kept += next != NULL && !local->flags[position];
        }
        open_count = kept;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < local->active_count; i++) {
        uint16_t position = local->active[i];
        local->active[kept] = position;
        kept += local->flags[position];
    }
    local->active_count = kept;
}

/* Kinds whose build rows without a match are given in the end. */
static bool gives_unmet(kd_join_kind kind)
{
    return kind == KD_JOIN_RIGHT || kind == KD_JOIN_FULL || kind == KD_JOIN_RIGHT_ANTI;
}

/* Active rows whose chain goes on; in SEMI and the like only those not matched yet. */
static void round_keep(const hash_join *join, probe_local *local)
{
    bool once = !kdi_join_gives_right(join->kind) && join->kind != KD_JOIN_RIGHT_SEMI &&
                join->kind != KD_JOIN_RIGHT_ANTI;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < local->active_count; i++) {
        uint16_t position = local->active[i];
        local->active[kept] = position;
        kept += local->at[position] != NULL && !(once && local->matched[position]);
    }
    local->active_count = kept;
}

static void right_gather(hash_join *join, probe_local *local, char *const *rows,
                         const uint16_t *positions, uint32_t count)
{
    kdi_join_wide *wide = local->wide;
    for (uint32_t c = 0; c < wide->right_count; c++) {
        kdi_rows_gather(&join->layout, join->key_count + c, rows, positions, count,
                        &wide->right_room[c]);
        wide->columns[wide->left_count + c] = wide->right_room[c];
    }
}

static kd_status single_check(kd_ctx *ctx, const hash_join *join, const probe_local *local,
                              uint16_t position)
{
    if (join->kind == KD_JOIN_SINGLE && local->matched[position])
        return KD_FAIL(ctx, KD_INVALID, "21000",
                       "more than one row returned by a subquery used as an expression");
    return KD_OK;
}

/*
 * The condition over the wide batch of `count` rows given by `rows` (ascending positions in it),
 * which belong to the selected left rows `owners` and the right rows `right`. Marks what passes;
 * gives the rows that pass.
 */
static kd_status matches_pass(kd_ctx *ctx, hash_join *join, probe_local *local, uint32_t row_count,
                              uint16_t *rows, const uint16_t *owners, char *const *right,
                              uint32_t *count)
{
    uint16_t passed[KD_BATCH_ROWS];
    uint32_t passed_count = *count;
    kdi_join_wide *wide = local->wide;
    if (wide->condition != NULL) {
        kd_batch batch = {.row_count = row_count,
                          .selected_count = *count,
                          .selection = rows,
                          .column_count = wide->left_count + wide->right_count,
                          .columns = wide->columns};
        KD_TRY(kd_expr_select(ctx, wide->condition, local->batch_arena, &batch, passed,
                              &passed_count));
    } else {
        memcpy(passed, rows, *count * sizeof *rows);
    }
    bool flags_right = gives_unmet(join->kind) || join->kind == KD_JOIN_RIGHT_SEMI;
    uint32_t next = 0;
    for (uint32_t i = 0; i < *count && next < passed_count; i++) {
        if (rows[i] != passed[next])
            continue;
        KD_TRY(single_check(ctx, join, local, owners[i]));
        local->matched[owners[i]] = 1;
        if (flags_right)
            kdi_join_row_set_met(right[i]);
        next++;
    }
    assert(next == passed_count);
    memcpy(rows, passed, passed_count * sizeof *rows);
    *count = passed_count;
    return KD_OK;
}

/* One round: its output when there is any. */
static kd_status probe_round(kd_ctx *ctx, hash_probe *self, probe_local *local, const kd_batch *in,
                             kd_batch *out)
{
    hash_join *join = self->join;
    round_find(join, local);
    uint32_t count = local->active_count;
    bool gives_right = kdi_join_gives_right(join->kind);
    if (count > 0) {
        for (uint32_t i = 0; i < count; i++) {
            uint16_t position = local->active[i];
            local->rows[i] = (uint16_t)kd_batch_row(in, position);
            local->candidate_rows[i] = local->hit[position];
        }
        memcpy(local->wide->columns, in->columns, in->column_count * sizeof *in->columns);
        if (gives_right || local->wide->condition != NULL)
            right_gather(join, local, local->candidate_rows, local->rows, count);
        KD_TRY(matches_pass(ctx, join, local, in->row_count, local->rows, local->active,
                            local->candidate_rows, &count));
        if (gives_right && count > 0)
            kdi_join_wide_emit(local->wide, &self->op, in->row_count, local->rows, count, out);
    }
    round_keep(join, local);
    return KD_OK;
}

static bool row_matches(const hash_join *join, const probe_local *local, uint16_t position,
                        char *row)
{
    if (kdi_row_hash(row) != local->hashes[position])
        return false;
    uint32_t equal = 1;
    for (uint32_t k = 0; k < join->key_count && equal > 0; k++)
        equal = kdi_rows_match(&join->layout, k, &local->views[k], &position, &row, 1);
    return equal > 0;
}

/* Up to a batch of pairs of the active rows and everything left in their chains. */
static kd_status probe_pairs(kd_ctx *ctx, hash_probe *self, probe_local *local, const kd_batch *in,
                             kd_batch *out)
{
    hash_join *join = self->join;
    kdi_join_wide *wide = local->wide;
    uint16_t *owners = local->candidates;
    uint32_t count = 0;
    while (local->pair_next < local->active_count && count < KD_BATCH_ROWS) {
        uint16_t position = local->active[local->pair_next];
        char *row = local->at[position];
        for (; row != NULL && count < KD_BATCH_ROWS; row = kdi_join_row_next(row)) {
            if (!join->table.is_direct && !row_matches(join, local, position, row))
                continue;
            owners[count] = position;
            local->pair_rows[count] = (uint16_t)kd_batch_row(in, position);
            local->pair_right[count++] = row;
        }
        local->at[position] = row;
        local->pair_next += row == NULL;
    }
    if (count == 0)
        return KD_OK;
    for (uint32_t c = 0; c < wide->left_count; c++) {
        KD_TRY(kd_vector_gather(ctx, NULL, &in->columns[c], local->pair_rows, count,
                                &wide->left_room[c], 0));
        wide->columns[c] = wide->left_room[c];
    }
    right_gather(join, local, local->pair_right, NULL, count);
    for (uint32_t i = 0; i < count; i++)
        local->rows[i] = (uint16_t)i;
    uint32_t row_count = count;
    KD_TRY(
        matches_pass(ctx, join, local, row_count, local->rows, owners, local->pair_right, &count));
    if (count > 0)
        kdi_join_wide_emit(wide, &self->op, row_count, local->rows, count, out);
    return KD_OK;
}

/* MARK's answer for a row without a match: NULL when a NULL leaves it open. */
static bool mark_is_open(const hash_join *join, const probe_local *local, uint32_t i)
{
    return join->build_count > 0 && (local->null_key[i] || join->has_null_key);
}

/* After the matches: left rows that did not match, or that did, or all of them with a mark. */
static void probe_rest(hash_probe *self, probe_local *local, const kd_batch *in, kd_batch *out)
{
    hash_join *join = self->join;
    kdi_join_wide *wide = local->wide;
    uint32_t count = 0;
    bool keeps_unmatched = join->kind == KD_JOIN_LEFT || join->kind == KD_JOIN_FULL ||
                           join->kind == KD_JOIN_SINGLE || join->kind == KD_JOIN_ANTI;
    if (join->kind == KD_JOIN_MARK)
        kdi_bits_fill(wide->mark.validity, KD_BATCH_ROWS);
    for (uint32_t i = 0; i < in->selected_count; i++) {
        uint16_t row = (uint16_t)kd_batch_row(in, i);
        bool matched = local->matched[i];
        local->rows[count] = row;
        if (join->kind == KD_JOIN_MARK) {
            ((uint8_t *)wide->mark.values)[row] = matched;
            if (!matched && mark_is_open(join, local, i))
                kd_bit_clear(wide->mark.validity, row);
            count++;
        } else if (join->kind == KD_JOIN_ANTI_NULL) {
            count += !matched && !mark_is_open(join, local, i);
        } else {
            count += keeps_unmatched ? !matched : join->kind == KD_JOIN_SEMI && matched;
        }
    }
    if (count == 0)
        return;
    memcpy(wide->columns, in->columns, in->column_count * sizeof *in->columns);
    kdi_join_wide_right_nulls(wide);
    kdi_join_wide_emit(wide, &self->op, in->row_count, local->rows, count, out);
}

static kd_status batch_probe(kd_ctx *ctx, hash_probe *self, probe_local *local, const kd_batch *in,
                             kd_batch *out, kdi_flow *out_flow)
{
    *out_flow = KDI_HAVE_MORE;
    if (local->phase == PROBE_START) {
        KD_TRY(probe_begin(ctx, self->join, local, in));
        local->phase = PROBE_ROUNDS;
        if (self->join->table.is_direct && has_enough(self->join, local)) {
            for (uint32_t i = 0; i < local->active_count; i++)
                local->matched[local->active[i]] = 1;
            local->phase = PROBE_REST;
        }
    }
    while (local->phase == PROBE_ROUNDS && out->selected_count == 0) {
        if (local->active_count == 0) {
            local->phase = PROBE_REST;
            break;
        }
        KD_TRY(probe_round(ctx, self, local, in, out));
        bool few =
            local->active_count > 0 && local->active_count < in->selected_count / PAIR_SHARE + 1;
        if (few && kdi_join_gives_right(self->join->kind)) {
            local->phase = PROBE_PAIRS;
            local->pair_next = 0;
        }
    }
    while (local->phase == PROBE_PAIRS && out->selected_count == 0) {
        if (local->pair_next == local->active_count) {
            local->phase = PROBE_REST;
            break;
        }
        KD_TRY(probe_pairs(ctx, self, local, in, out));
    }
    if (local->phase == PROBE_REST && out->selected_count == 0) {
        probe_rest(self, local, in, out);
        local->phase = PROBE_START;
        *out_flow = KDI_NEED_INPUT;
    }
    return KD_OK;
}

/* Dealt: left rows are put away by the hash of their keys. */
static kd_status left_put(kd_ctx *ctx, hash_join *join, probe_local *local, const kd_batch *in)
{
    KD_TRY(probe_keys(ctx, join, local, in));
    probe_hash(join, local, in->selected_count);
    KD_TRY(kdi_appender_add(ctx, &local->appender, &local->left, in));
    for (uint32_t i = 0; i < in->selected_count; i++) {
        kd_store_u64(local->appender.rows[i], local->hashes[i]);
        kd_store_u64(local->appender.rows[i] + 8, 0);
    }
    if (local->left.page_count < DEAL_PAGES_MIN)
        return KD_OK;
    return store_deal(ctx, &local->left, local->left_parts);
}

#define CODES_LOOP(name, code_type)                                                        \
    static uint32_t name(const kd_vector *key, const uint8_t *matched, const kd_batch *in, \
                         uint16_t *out_rows)                                               \
    {                                                                                      \
        const code_type *codes = key->values;                                              \
        uint32_t kept = 0;                                                                 \
        for (uint32_t i = 0; i < in->selected_count; i++) {                                \
            uint16_t row = (uint16_t)kd_batch_row(in, i);                                  \
            out_rows[kept] = row;                                                          \
            kept += matched[codes[row]];                                                   \
        }                                                                                  \
        return kept;                                                                       \
    }
CODES_LOOP(codes_u8, uint8_t)
CODES_LOOP(codes_u16, uint16_t)
CODES_LOOP(codes_u32, uint32_t)
#undef CODES_LOOP

/* The rows whose code has a match. */
static uint32_t codes_select(const kd_vector *key, const uint8_t *matched, const kd_batch *in,
                             uint16_t *out_rows)
{
    switch (key->width_bytes) {
    case 1:
        return codes_u8(key, matched, in, out_rows);
    case 2:
        return codes_u16(key, matched, in, out_rows);
    default:
        return codes_u32(key, matched, in, out_rows);
    }
}

/* A whole batch by the codes of its key; `*out_done` is false when that cannot be. */
static kd_status codes_probe(kd_ctx *ctx, hash_probe *self, probe_local *local, const kd_batch *in,
                             kd_batch *out, bool *out_done)
{
    hash_join *join = self->join;
    kdi_join_wide *wide = local->wide;
    const kdi_join_codes *codes = local->codes;
    kd_vector key;
    KD_TRY(kd_expr_evaluate(ctx, local->keys[0], local->batch_arena, in, &key));
    *out_done = false;
    if (!codes->is_of_slots)
        KD_TRY(kdi_join_codes_open(ctx, local->codes, self->op.exec->shared, &join->table,
                                   &join->layout, &key, in->selected_count, out_done));
    if (!*out_done && kdi_join_codes_fit(&join->table, &key)) {
        KD_TRY(kdi_view_open(ctx, local->arena, &local->views[0], &key, in->selection,
                             in->selected_count));
        KD_TRY(kdi_join_codes_of_slots(ctx, local->codes, self->op.exec->shared, &join->table,
                                       &join->layout, in, &local->views[0], &key, out_done));
    }
    if (!*out_done)
        return KD_OK;
    const uint16_t *rows = in->selection;
    uint32_t count = in->selected_count;
    if (join->kind != KD_JOIN_LEFT && !codes->all_matched) {
        count = codes_select(&key, codes->matched, in, local->rows);
        rows = local->rows;
    }
    if (count == 0)
        return KD_OK;
    memcpy(wide->columns, in->columns, in->column_count * sizeof *in->columns);
    for (uint32_t c = 0; c < wide->right_count; c++)
        wide->columns[wide->left_count + c] = kdi_join_codes_column(codes, &key, c);
    kdi_join_wide_emit(wide, &self->op, in->row_count, count == in->row_count ? NULL : rows, count,
                       out);
    return KD_OK;
}

static kd_status probe_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                            kd_batch *out, kdi_flow *out_flow)
{
    hash_probe *self = (hash_probe *)op;
    probe_local *local = object;
    if (local->codes != NULL && local->phase == PROBE_START) {
        bool done;
        *out_flow = KDI_NEED_INPUT;
        KD_TRY(codes_probe(ctx, self, local, in, out, &done));
        if (done)
            return KD_OK;
    }
    if (!self->join->is_dealt)
        return batch_probe(ctx, self, local, in, out, out_flow);
    *out_flow = KDI_NEED_INPUT;
    return left_put(ctx, self->join, local, in);
}

/* RIGHT and FULL: the right rows that nobody met; RIGHT_SEMI: those that somebody did. */
static void unmet_give(hash_join *join, probe_local *local, const kdi_op *op, kd_batch *out)
{
    uint32_t count = 0;
    char *row;
    bool met = join->kind == KD_JOIN_RIGHT_SEMI;
    if (!gives_unmet(join->kind) && !met)
        return;
    while (count < KD_BATCH_ROWS && kdi_row_store_next(&join->store, &join->unmet, 1, &row) == 1)
        if (kdi_join_row_is_met(row) == met)
            local->pair_right[count++] = row;
    if (count == 0)
        return;
    kdi_join_wide_left_nulls(local->wide);
    right_gather(join, local, local->pair_right, NULL, count);
    kdi_join_wide_emit(local->wide, op, count, NULL, count, out);
}

/* Brings the next partition's right rows in and chains them. */
static kd_status part_open(kd_ctx *ctx, hash_join *join)
{
    kdi_row_store *part = &join->parts[join->part];
    kdi_join_table_clear(&join->table);
    kdi_row_store_clear(ctx->world, &join->store);
    for (uint32_t p = 0; p < part->page_count; p++)
        KD_TRY(kdi_row_store_load(ctx, part, p));
    KD_TRY(kdi_row_store_move(ctx, &join->store, part));
    join->unmet = (kdi_row_cursor){0};
    join->left_page = 0;
    join->is_part_open = true;
    return kdi_join_table_build(ctx, &join->table, &join->store, is_one_key(join));
}

/* The next left rows of the partition at work, as a batch. */
static kd_status left_next(kd_ctx *ctx, hash_join *join, probe_local *local)
{
    kdi_row_store *left = &join->left_parts[join->part];
    local->has_left_batch = false;
    while (join->left_page < left->page_count) {
        KD_TRY(kdi_row_store_load(ctx, left, join->left_page));
        const kdi_page *page = &left->pages[join->left_page];
        uint32_t count = 0;
        while (count < KD_BATCH_ROWS && local->left_cursor.row < page->row_count)
            local->left_rows[count++] = kdi_page_row(left, page, local->left_cursor.row++);
        if (count > 0) {
            kdi_batch_gather(&join->left_layout, local->left_rows, count, local->left_columns,
                             &local->left_batch);
            local->has_left_batch = true;
            return KD_OK;
        }
        kdi_row_store_drop_page(ctx->world, left, join->left_page);
        join->left_page++;
        local->left_cursor.row = 0;
    }
    return KD_OK;
}

/* Joins partition by partition until there is a batch to give; `*out_end` when all are through. */
static kd_status parts_probe(kd_ctx *ctx, hash_probe *self, probe_local *local, kd_batch *out,
                             bool *out_end)
{
    hash_join *join = self->join;
    *out_end = false;
    while (out->selected_count == 0) {
        KD_TRY(kd_check_cancelled(ctx));
        if (join->part == PARTITIONS) {
            *out_end = true;
            return KD_OK;
        }
        if (!join->is_part_open)
            KD_TRY(part_open(ctx, join));
        if (!local->has_left_batch)
            KD_TRY(left_next(ctx, join, local));
        if (local->has_left_batch) {
            kdi_flow flow;
            KD_TRY(batch_probe(ctx, self, local, &local->left_batch, out, &flow));
            local->has_left_batch = flow == KDI_HAVE_MORE;
            continue;
        }
        unmet_give(join, local, &self->op, out);
        if (out->selected_count == 0) {
            join->part++;
            join->is_part_open = false;
        }
    }
    return KD_OK;
}

static kd_status left_hand_over(kd_ctx *ctx, hash_join *join, probe_local *local)
{
    kd_status status = KD_OK;
    KD_TRY(store_deal(ctx, &local->left, local->left_parts));
    kd_mutex_lock(&join->lock);
    for (uint32_t p = 0; p < PARTITIONS && status == KD_OK; p++)
        status = kdi_row_store_move(ctx, &join->left_parts[p], &local->left_parts[p]);
    kd_mutex_unlock(&join->lock);
    return status;
}

/* What only the last thread can know: the unmet right rows, the dealt partitions. */
static kd_status probe_flush(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out,
                             kdi_flow *out_flow)
{
    hash_probe *self = (hash_probe *)op;
    hash_join *join = self->join;
    probe_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    if (!local->has_left) {
        local->has_left = true;
        if (join->is_dealt)
            KD_TRY(left_hand_over(ctx, join, local));
        local->is_last = kdi_op_leave(op);
    }
    if (!local->is_last)
        return KD_OK;
    if (join->is_dealt) {
        bool end;
        KD_TRY(parts_probe(ctx, self, local, out, &end));
        *out_flow = end ? KDI_NEED_INPUT : KDI_HAVE_MORE;
        return KD_OK;
    }
    unmet_give(join, local, op, out);
    *out_flow = out->selected_count > 0 ? KDI_HAVE_MORE : KDI_NEED_INPUT;
    return KD_OK;
}

static const kdi_op_class probe_class = {
    .local_create = probe_local_create,
    .local_destroy = probe_local_destroy,
    .push = probe_push,
    .flush = probe_flush,
};

kd_status kdi_build_hash_join(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    hash_join *join;
    hash_probe *probe;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &build_class, sizeof *join, &join));
    kd_mutex_init(&join->lock, ctx->world);
    join->kind = plan->as.join.kind;
    join->key_count = plan->as.join.key_count;
    join->right_count = plan->inputs[1]->column_count;
    uint32_t count = join->key_count + join->right_count;
    kd_type *types = KD_NEW_ARRAY(ctx, pipeline->exec->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < join->key_count; k++)
        types[k] = plan->as.join.right_keys[k]->type;
    for (uint32_t c = 0; c < join->right_count; c++)
        types[join->key_count + c] = plan->inputs[1]->columns[c].type;
    KD_TRY(kdi_row_layout_init(ctx, pipeline->exec->arena, types, count, true, 0, &join->layout));
    kd_type *left_types;
    KD_TRY(kdi_plan_types(ctx, pipeline->exec->arena, plan->inputs[0], &left_types));
    KD_TRY(kdi_row_layout_init(ctx, pipeline->exec->arena, left_types,
                               plan->inputs[0]->column_count, true, 0, &join->left_layout));
    kdi_budget *budget = join->op.budget;
    kdi_row_store_init(&join->store, budget, &join->layout);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        kdi_row_store_init(&join->parts[p], budget, &join->layout);
        kdi_row_store_init(&join->left_parts[p], budget, &join->left_layout);
    }
    join->filters =
        KD_NEW_ARRAY(ctx, pipeline->exec->arena, const kdi_runtime_filter *, join->key_count);
    if (join->filters == NULL)
        return KD_NOMEM;
    /* The build side first, before everything that the left side needs: its keys filter there. */
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[1], &join->op));
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &probe_class, sizeof *probe, &probe));
    probe->join = join;
    return kdi_pipeline_add(ctx, pipeline, &probe->op);
}

const kdi_runtime_filter *kdi_hash_join_filter(const kd_execution *exec, uint32_t join_no,
                                               uint32_t key_no)
{
    for (const kdi_op *op = exec->made; op != NULL; op = op->next_made)
        if (op->class == &build_class && op->plan->no == join_no)
            return ((const hash_join *)op)->filters[key_no];
    return NULL;
}
