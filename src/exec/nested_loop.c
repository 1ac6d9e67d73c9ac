/*
 * NESTED_LOOP: every left row against every kept right row.
 *
 * Two orders, chosen per left batch by which side is longer: right row by right row with the left
 * batch as it came (its columns stay encoded, the right ones are constants), or left row by left
 * row with batches of right rows. Either way the condition sees whole batches. Right rows that are
 * on disk are read once per left batch: a block of them meets all its rows before the next one.
 */
#include "exec/join_wide_internal.h"
#include "exec/keep_internal.h"

#include <assert.h>

typedef struct nested_op {
    kdi_op op;
    kd_join_kind kind;
    kdi_keep *keep;
    uint64_t *met; /* RIGHT, FULL: a bit per right row. */
    uint64_t right_count;
    bool is_on_disk;
} nested_op;

typedef struct nested_local {
    kdi_join_wide *wide;
    kd_arena *batch_arena;
    char **right_rows;
    uint16_t *rows;
    uint8_t *matched;
    uint8_t *open; /* MARK: the condition was NULL for some right row. */
    kdi_row_reader reader;
    kdi_row_cursor cursor;
    uint64_t right_row;   /* Number of the cursor's row. */
    uint32_t block_count; /* Right rows at hand, on disk. */
    uint32_t left_next;
    bool started, by_right, rest;
    bool has_left, is_last; /* The flush. */
} nested_local;

static kd_status nested_open(kd_ctx *ctx, kdi_op *op)
{
    nested_op *self = (nested_op *)op;
    self->right_count = self->keep->store.row_count;
    self->is_on_disk = self->keep->store.spilled_count > 0;
    if (self->kind != KD_JOIN_RIGHT && self->kind != KD_JOIN_FULL)
        return KD_OK;
    self->met = KD_NEW_ARRAY(ctx, op->arena, uint64_t, self->right_count / 64 + 1);
    return self->met == NULL ? KD_NOMEM : KD_OK;
}

static kd_status nested_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    nested_local *local = KD_NEW(ctx, arena, nested_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_reader_init(&local->reader, ctx->world, &((nested_op *)op)->keep->store);
    local->right_rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->rows = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    local->matched = KD_NEW_ARRAY(ctx, arena, uint8_t, KD_BATCH_ROWS);
    local->open = KD_NEW_ARRAY(ctx, arena, uint8_t, KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "loop batch", KD_ARENA_UNLIMITED);
    if (local->right_rows == NULL || local->rows == NULL || local->matched == NULL ||
        local->open == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    return kdi_join_wide_create(ctx, op, arena, op->plan->as.join.residual, &local->wide);
}

static void nested_local_destroy(kdi_op *op, void *object)
{
    (void)op;
    kdi_row_reader_clear(&((nested_local *)object)->reader);
}

static void row_met(nested_op *self, uint64_t row)
{
    if (self->met != NULL)
        (void)__atomic_fetch_or(&self->met[row / 64], (uint64_t)1 << (row % 64), __ATOMIC_RELAXED);
}

/* Rows for which the condition is true; NULLs are noted for MARK. */
static kd_status condition_select(kd_ctx *ctx, nested_op *self, nested_local *local,
                                  const kd_batch *batch, uint32_t *out_count, bool *out_null)
{
    kdi_join_wide *wide = local->wide;
    *out_null = false;
    kd_arena_reset(local->batch_arena);
    if (wide->condition == NULL) {
        for (uint32_t i = 0; i < batch->selected_count; i++)
            local->rows[i] = (uint16_t)kd_batch_row(batch, i);
        *out_count = batch->selected_count;
        return KD_OK;
    }
    if (self->kind != KD_JOIN_MARK && self->kind != KD_JOIN_ANTI_NULL)
        return kd_expr_select(ctx, wide->condition, local->batch_arena, batch, local->rows,
                              out_count);
    kd_vector truth;
    uint32_t count = 0;
    KD_TRY(kd_expr_evaluate(ctx, wide->condition, local->batch_arena, batch, &truth));
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint16_t row = (uint16_t)kd_batch_row(batch, i);
        kd_value value = kd_vector_get(&truth, row);
        if (value.is_null) {
            *out_null = true;
            if (local->by_right)
                local->open[row] = 1;
        }
        local->rows[count] = row;
        count += !value.is_null && value.as.boolean;
    }
    *out_count = count;
    return KD_OK;
}

static kd_status single_check(kd_ctx *ctx, const nested_op *self, bool again)
{
    if (self->kind == KD_JOIN_SINGLE && again)
        return KD_FAIL(ctx, KD_INVALID, "21000",
                       "more than one row returned by a subquery used as an expression");
    return KD_OK;
}

/* The left batch against the next right row. */
static kd_status step_right(kd_ctx *ctx, nested_op *self, nested_local *local, const kd_batch *in,
                            kd_batch *out, bool *out_end)
{
    kdi_join_wide *wide = local->wide;
    char *row;
    uint32_t right_count;
    KD_TRY(kdi_row_reader_next(ctx, &local->reader, &local->cursor, 1, &row, &right_count));
    *out_end = right_count == 0;
    if (*out_end)
        return KD_OK;
    uint64_t right_row = local->right_row++;
    memcpy(wide->columns, in->columns, in->column_count * sizeof *in->columns);
    for (uint32_t c = 0; c < wide->right_count; c++) {
        kd_vector *room = &wide->right_room[c];
        kdi_rows_gather(&self->keep->layout, c, &row, NULL, 1, room);
        wide->columns[wide->left_count + c] = *room;
        wide->columns[wide->left_count + c].form = KD_VECTOR_CONSTANT;
    }
    kd_batch batch = *in;
    batch.columns = wide->columns;
    batch.column_count = wide->left_count + wide->right_count;
    uint32_t count;
    bool null;
    KD_TRY(condition_select(ctx, self, local, &batch, &count, &null));
    if (count == 0)
        return KD_OK;
    row_met(self, right_row);
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(single_check(ctx, self, local->matched[local->rows[i]]));
        local->matched[local->rows[i]] = 1;
    }
    if (kdi_join_gives_right(self->kind))
        kdi_join_wide_emit(wide, &self->op, in->row_count, local->rows, count, out);
    return KD_OK;
}

/* One left row against the right rows at hand, which begin with number `first_row`. */
static kd_status pair_step(kd_ctx *ctx, nested_op *self, nested_local *local, const kd_batch *in,
                           uint16_t left, uint32_t right_count, uint64_t first_row, kd_batch *out)
{
    kdi_join_wide *wide = local->wide;
    for (uint32_t c = 0; c < wide->left_count; c++) {
        kd_value value = kd_vector_get(&in->columns[c], left);
        kd_vector *room = &wide->left_room[c];
        kd_vector_set(room, 0, &value);
        wide->columns[c] = *room;
        wide->columns[c].form = KD_VECTOR_CONSTANT;
    }
    for (uint32_t c = 0; c < wide->right_count; c++) {
        kdi_rows_gather(&self->keep->layout, c, local->right_rows, NULL, right_count,
                        &wide->right_room[c]);
        wide->columns[wide->left_count + c] = wide->right_room[c];
    }
    kd_batch batch = {.row_count = right_count,
                      .selected_count = right_count,
                      .column_count = wide->left_count + wide->right_count,
                      .columns = wide->columns};
    uint32_t count;
    bool null;
    KD_TRY(condition_select(ctx, self, local, &batch, &count, &null));
    local->open[left] |= null;
    if (count == 0)
        return KD_OK;
    KD_TRY(single_check(ctx, self, local->matched[left] || count > 1));
    local->matched[left] = 1;
    for (uint32_t i = 0; i < count; i++)
        row_met(self, first_row + local->rows[i]);
    if (kdi_join_gives_right(self->kind))
        kdi_join_wide_emit(wide, &self->op, right_count, local->rows, count, out);
    return KD_OK;
}

/* The next left row against the next batch of right rows. */
static kd_status step_left(kd_ctx *ctx, nested_op *self, nested_local *local, const kd_batch *in,
                           kd_batch *out, bool *out_end)
{
    *out_end = local->left_next == in->selected_count;
    if (*out_end)
        return KD_OK;
    uint16_t left = (uint16_t)kd_batch_row(in, local->left_next);
    uint32_t right_count;
    KD_TRY(kdi_row_reader_next(ctx, &local->reader, &local->cursor, KD_BATCH_ROWS,
                               local->right_rows, &right_count));
    bool once = !kdi_join_gives_right(self->kind);
    if (right_count == 0 || (once && local->matched[left])) {
        local->left_next++;
        local->cursor = (kdi_row_cursor){0};
        local->right_row = 0;
        return KD_OK;
    }
    uint64_t first_row = local->right_row;
    local->right_row += right_count;
    return pair_step(ctx, self, local, in, left, right_count, first_row, out);
}

/* The next left row against the block of right rows; the next block when all have met it. */
static kd_status step_block(kd_ctx *ctx, nested_op *self, nested_local *local, const kd_batch *in,
                            kd_batch *out, bool *out_end)
{
    if (local->block_count == 0 || local->left_next == in->selected_count) {
        local->right_row += local->block_count;
        local->left_next = 0;
        KD_TRY(kdi_row_reader_next(ctx, &local->reader, &local->cursor, KD_BATCH_ROWS,
                                   local->right_rows, &local->block_count));
        *out_end = local->block_count == 0;
        return KD_OK;
    }
    uint16_t left = (uint16_t)kd_batch_row(in, local->left_next++);
    if (!kdi_join_gives_right(self->kind) && local->matched[left])
        return KD_OK;
    return pair_step(ctx, self, local, in, left, local->block_count, local->right_row, out);
}

static void step_rest(nested_op *self, nested_local *local, const kd_batch *in, kd_batch *out)
{
    kdi_join_wide *wide = local->wide;
    uint32_t count = 0;
    bool keeps_unmatched = self->kind == KD_JOIN_LEFT || self->kind == KD_JOIN_FULL ||
                           self->kind == KD_JOIN_SINGLE || self->kind == KD_JOIN_ANTI;
    kdi_bits_fill(wide->mark.validity, KD_BATCH_ROWS);
    for (uint32_t i = 0; i < in->selected_count; i++) {
        uint16_t row = (uint16_t)kd_batch_row(in, i);
        bool matched = local->matched[row];
        local->rows[count] = row;
        if (self->kind == KD_JOIN_MARK) {
            ((uint8_t *)wide->mark.values)[row] = matched;
            if (!matched && local->open[row])
                kd_bit_clear(wide->mark.validity, row);
            count++;
        } else if (self->kind == KD_JOIN_ANTI_NULL) {
            count += !matched && !local->open[row];
        } else {
            count += keeps_unmatched ? !matched : self->kind == KD_JOIN_SEMI && matched;
        }
    }
    if (count == 0)
        return;
    memcpy(wide->columns, in->columns, in->column_count * sizeof *in->columns);
    kdi_join_wide_right_nulls(wide);
    kdi_join_wide_emit(wide, &self->op, in->row_count, local->rows, count, out);
}

static kd_status nested_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                             kd_batch *out, kdi_flow *out_flow)
{
    nested_op *self = (nested_op *)op;
    nested_local *local = object;
    *out_flow = KDI_HAVE_MORE;
    if (!local->started) {
        local->started = true;
        local->rest = false;
        local->by_right = self->right_count <= in->selected_count;
        local->cursor = (kdi_row_cursor){0};
        local->right_row = 0;
        local->left_next = 0;
        local->block_count = 0;
        memset(local->matched, 0, KD_BATCH_ROWS);
        memset(local->open, 0, KD_BATCH_ROWS);
    }
    while (!local->rest && out->selected_count == 0) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(local->by_right    ? step_right(ctx, self, local, in, out, &local->rest)
               : self->is_on_disk ? step_block(ctx, self, local, in, out, &local->rest)
                                  : step_left(ctx, self, local, in, out, &local->rest));
    }
    if (local->rest && out->selected_count == 0) {
        step_rest(self, local, in, out);
        local->started = false;
        *out_flow = KDI_NEED_INPUT;
    }
    return KD_OK;
}

static kd_status nested_flush(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out,
                              kdi_flow *out_flow)
{
    nested_op *self = (nested_op *)op;
    nested_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    if (!local->has_left) {
        local->has_left = true;
        local->is_last = kdi_op_leave(op);
        local->cursor = (kdi_row_cursor){0};
        local->right_row = 0;
    }
    if (self->met == NULL || !local->is_last)
        return KD_OK;
    uint32_t count = 0, read = 1;
    while (count == 0 && read > 0) {
        KD_TRY(kdi_row_reader_next(ctx, &local->reader, &local->cursor, KD_BATCH_ROWS,
                                   local->right_rows, &read));
        for (uint32_t i = 0; i < read; i++)
            if (!kd_bit_get(self->met, (uint32_t)local->right_row++))
                local->right_rows[count++] = local->right_rows[i];
    }
    if (count == 0)
        return KD_OK;
    kdi_join_wide *wide = local->wide;
    kdi_join_wide_left_nulls(wide);
    for (uint32_t c = 0; c < wide->right_count; c++) {
        kdi_rows_gather(&self->keep->layout, c, local->right_rows, NULL, count,
                        &wide->right_room[c]);
        wide->columns[wide->left_count + c] = wide->right_room[c];
    }
    kdi_join_wide_emit(wide, op, count, NULL, count, out);
    *out_flow = KDI_HAVE_MORE;
    return KD_OK;
}

static const kdi_op_class nested_class = {
    .open = nested_open,
    .local_create = nested_local_create,
    .local_destroy = nested_local_destroy,
    .push = nested_push,
    .flush = nested_flush,
};

kd_status kdi_build_nested_loop(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    nested_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &nested_class, sizeof *self, &self));
    self->kind = plan->as.join.kind;
    self->op.is_serial = kdi_expr_is_volatile(plan->as.join.residual);
    KD_TRY(kdi_keep_create(ctx, pipeline->exec, plan, plan->inputs[1], &self->keep));
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[1], &self->keep->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
