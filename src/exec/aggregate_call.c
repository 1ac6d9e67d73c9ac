/*
 * Stepping, combining and finishing aggregate calls.
 */
#include "exec/aggregate_internal.h"

#include "types/numeric.h"

#include <assert.h>

/* An ordered set that can do without the order, as a call of that kind; else the call itself. */
static kd_aggregate_call call_simplify(const kd_aggregate_call *call)
{
    kd_aggregate_call simple = *call;
    if (call->aggregate == NULL || call->aggregate->unsorted == NULL || call->distinct ||
        call->order_count != 1 || call->order[0].descending || call->argument_count != 2)
        return simple;
    kd_type type = call->arguments[1]->type;
    kd_type ordered = call->order[0].expr->type;
    if (type.is_array || ordered.is_array || ordered.id != type.id)
        return simple;
    switch (type.id) {
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_FLOAT8:
        simple.aggregate = call->aggregate->unsorted;
        simple.order_count = 0;
        return simple;
    default:
        return simple;
    }
}

static uint32_t call_state_bytes(const kd_aggregate_call *call)
{
    uint32_t bytes = call->aggregate == NULL ? 8 : call->aggregate->state_bytes;
    return (bytes + 15) / 16 * 16;
}

bool kdi_agg_is_parallel(const kd_aggregate_call *calls, uint32_t call_count)
{
    for (uint32_t i = 0; i < call_count; i++) {
        kd_aggregate_call call = call_simplify(&calls[i]);
        if (call.distinct || call.order_count > 0)
            return false;
        if (call.aggregate != NULL &&
            (call.aggregate->combine == NULL || call.aggregate->order_matters))
            return false;
        for (uint32_t a = 0; a < call.argument_count; a++)
            if (kdi_expr_is_volatile(call.arguments[a]))
                return false;
    }
    return true;
}

/* The rows that DISTINCT and ORDER BY keep: the group's address, arguments, order keys. */
static kd_status call_keep_rows(kd_ctx *ctx, kdi_op *op, kd_arena *arena, kdi_agg_call *self)
{
    const kd_aggregate_call *call = self->call;
    if (!call->distinct && call->order_count == 0)
        return KD_OK;
    uint32_t count = 1 + call->order_count + call->argument_count;
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, count);
    self->layout = KD_NEW(ctx, arena, kdi_row_layout);
    self->views = KD_NEW_ARRAY(ctx, arena, kdi_view, count);
    if (types == NULL || self->layout == NULL || self->views == NULL)
        return KD_NOMEM;
    types[0] = kd_type_of(KD_TYPE_INT8);
    /* DISTINCT compares the arguments; the order keys are functions of them then. */
    for (uint32_t i = 0; i < call->argument_count; i++)
        types[1 + i] = call->arguments[i]->type;
    for (uint32_t i = 0; i < call->order_count; i++)
        types[1 + call->argument_count + i] = call->order[i].expr->type;
    KD_TRY(kdi_row_layout_init(ctx, arena, types, count, true, 0, self->layout));
    kdi_budget *budget = op->budget;
    if (call->order_count > 0) {
        self->kept = KD_NEW(ctx, arena, kdi_sorter);
        self->kept_order = KD_NEW_ARRAY(ctx, arena, kdi_sort_column, call->order_count);
        if (self->kept == NULL || self->kept_order == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < call->order_count; i++)
            self->kept_order[i] = (kdi_sort_column){.column = 1 + call->argument_count + i,
                                                    .descending = call->order[i].descending,
                                                    .nulls_first = call->order[i].nulls_first};
        kdi_sorter_init(self->kept, ctx->world, budget, self->layout, self->kept_order,
                        call->order_count);
    }
    if (!call->distinct)
        return KD_OK;
    self->seen = KD_NEW(ctx, arena, kdi_group_table);
    if (self->seen == NULL)
        return KD_NOMEM;
    return kdi_group_table_init(ctx, arena, self->seen, budget, self->layout,
                                1 + call->argument_count);
}

static kd_status call_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena,
                             const kd_aggregate_call *call, const kd_plan *input,
                             kdi_agg_call *self)
{
    uint32_t count = call->argument_count;
    uint32_t order_count = call->order_count;
    self->call = call;
    self->aggregate = call->aggregate;
    KD_TRY(kdi_compile_all(ctx, op, arena, call->arguments, count, input, &self->arguments));
    self->order = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, order_count);
    self->argument_vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, count + order_count + 1);
    self->flat = KD_NEW_ARRAY(ctx, arena, kd_vector, count);
    self->payloads = KD_NEW_ARRAY(ctx, arena, const void *, count);
    self->scratch = kd_alloc_array(ctx, arena, count, 16);
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, count);
    if (self->order == NULL || self->argument_vectors == NULL || self->flat == NULL ||
        self->payloads == NULL || self->scratch == NULL || types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < order_count; i++)
        KD_TRY(kdi_compile(ctx, op, arena, call->order[i].expr, input, &self->order[i]));
    KD_TRY(kdi_compile(ctx, op, arena, call->filter, input, &self->filter));
    for (uint32_t i = 0; i < count; i++)
        types[i] = call->arguments[i]->type;
    self->env = (kd_call_env){
        .facts = op->exec->scope.facts,
        .state_arena = arena,
        .argument_count = count,
        .argument_types = types,
        .result_type = call->type,
        .data = call->aggregate == NULL ? NULL : call->aggregate->data,
    };
    for (uint32_t i = 0; i < count && i < KD_FUNCTION_ARGUMENTS_MAX; i++)
        self->env.argument_is_constant[i] = self->arguments[i]->root->is_constant;
    uint8_t state_kind = call->aggregate == NULL ? KD_STATE_OPAQUE : call->aggregate->state_kind;
    if (state_kind == KD_STATE_NUMERIC_SUM && !call->distinct && call->order_count == 0)
        KD_TRY(kdi_fixed_of(ctx, self->arguments[0]->root, &self->fixed));
    else if (state_kind == KD_STATE_INTEGER_SUM)
        KD_TRY(kdi_fixed_of_integer(ctx, self->arguments[0]->root, &self->fixed));
    return call_keep_rows(ctx, op, arena, self);
}

kd_status kdi_agg_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_type *key_types,
                         uint32_t key_count, const kd_aggregate_call *calls, uint32_t call_count,
                         const kd_plan *input, kdi_agg **out_agg)
{
    *out_agg = NULL;
    kdi_agg *agg = KD_NEW(ctx, arena, kdi_agg);
    if (agg == NULL)
        return KD_NOMEM;
    agg->op = op;
    agg->call_count = call_count;
    kd_aggregate_call *simple = KD_NEW_ARRAY(ctx, arena, kd_aggregate_call, call_count);
    if (simple == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < call_count; i++)
        simple[i] = call_simplify(&calls[i]);
    agg->calls = KD_NEW_ARRAY(ctx, arena, kdi_agg_call, call_count);
    agg->states = KD_NEW_ARRAY(ctx, arena, void *, KD_BATCH_ROWS);
    agg->state_rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    agg->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    agg->rows[0] = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    agg->rows[1] = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    agg->batch_arena = kd_arena_create(ctx, arena, "aggregate batch", KD_ARENA_UNLIMITED);
    if (agg->calls == NULL || agg->states == NULL || agg->state_rows == NULL ||
        agg->hashes == NULL || agg->rows[0] == NULL || agg->rows[1] == NULL ||
        agg->batch_arena == NULL)
        return KD_NOMEM;
    uint32_t state_bytes = 0;
    for (uint32_t i = 0; i < call_count; i++)
        state_bytes += call_state_bytes(&simple[i]);
    KD_TRY(kdi_row_layout_init(ctx, arena, key_types, key_count, true, state_bytes, &agg->layout));
    *out_agg = agg;
    uint32_t offset = agg->layout.extra_offset;
    for (uint32_t i = 0; i < call_count; i++) {
        agg->calls[i].state_offset = offset;
        offset += call_state_bytes(&simple[i]);
        KD_TRY(call_create(ctx, op, arena, &simple[i], input, &agg->calls[i]));
    }
    return KD_OK;
}

static void kept_clear(kdi_agg_call *self)
{
    if (self->seen != NULL)
        kdi_group_table_clear(self->seen);
    if (self->kept != NULL)
        kdi_sorter_clear(self->kept);
    kdi_distinct_spill_destroy(self->spill);
    self->spill = NULL;
    self->seen_group = NULL;
    self->seen_dictionary = 0;
}

void kdi_agg_destroy(kdi_agg *agg)
{
    if (agg == NULL)
        return;
    for (uint32_t i = 0; i < agg->call_count; i++)
        kept_clear(&agg->calls[i]);
}

void kdi_agg_init_row(const kdi_agg *agg, char *row)
{
    memset(row + agg->layout.extra_offset, 0, agg->layout.row_bytes - agg->layout.extra_offset);
    for (uint32_t i = 0; i < agg->call_count; i++)
        if (agg->calls[i].aggregate != NULL && agg->calls[i].aggregate->init != NULL)
            agg->calls[i].aggregate->init(row + agg->calls[i].state_offset);
}

/* ---- Stepping ---- */

static kd_status step_rows(kd_ctx *ctx, kdi_agg_call *self, const kd_vector *arguments,
                           const uint16_t *selection, uint32_t count, void *const *states)
{
    const kd_aggregate *aggregate = self->aggregate;
    uint32_t argument_count = self->env.argument_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        bool has_null = false;
        for (uint32_t a = 0; a < argument_count; a++) {
            bool is_null = kd_vector_is_null(&arguments[a], row);
            has_null |= is_null;
            self->payloads[a] =
                is_null ? NULL : kd_vector_payload(&arguments[a], row, self->scratch + 16 * a);
        }
        if (has_null && aggregate->skips_nulls)
            continue;
        KD_TRY(aggregate->step(ctx, &self->env, states[i], self->payloads));
    }
    return KD_OK;
}

static kd_status step_call(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self,
                           const kd_vector *arguments, const uint16_t *selection, uint32_t count,
                           uint32_t row_count, void *const *states)
{
    const kd_aggregate *aggregate = self->aggregate;
    self->env.arena = agg->batch_arena;
    if (aggregate == NULL) {
        for (uint32_t i = 0; i < count; i++)
            (*(int64_t *)states[i])++;
        return KD_OK;
    }
    if (aggregate->step_vector == NULL)
        return step_rows(ctx, self, arguments, selection, count, states);
    for (uint32_t a = 0; a < self->env.argument_count; a++) {
        self->flat[a] = arguments[a];
        if (arguments[a].form != KD_VECTOR_FLAT && arguments[a].form != KD_VECTOR_CONSTANT)
            KD_TRY(kd_vector_flatten(ctx, agg->batch_arena, &arguments[a], selection, count,
                                     row_count, &self->flat[a]));
    }
    return aggregate->step_vector(ctx, &self->env, states, self->flat, selection, count);
}

/* Rows whose (group, arguments) is new; `groups` is packed along. */
static kd_status distinct_filter(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self,
                                 const uint16_t *selection, uint32_t *count, char **groups,
                                 uint16_t *out_rows)
{
    const kd_aggregate_call *call = self->call;
    kd_vector group = {.type = kd_type_of(KD_TYPE_INT8),
                       .physical = KD_PHYS_I64,
                       .form = KD_VECTOR_FLAT,
                       .values = groups};
    KD_TRY(kdi_view_open(ctx, self->env.state_arena, &self->views[0], &group, NULL, *count));
    for (uint32_t i = 0; i < call->argument_count + call->order_count; i++)
        KD_TRY(kdi_view_open(ctx, self->env.state_arena, &self->views[1 + i],
                             &self->argument_vectors[i], selection, *count));
    for (uint32_t i = 0; i <= call->argument_count; i++)
        kdi_view_hash(&self->views[i], *count, i > 0, agg->hashes);
    if (self->spill != NULL) {
        KD_TRY(kdi_distinct_spill_add(ctx, self->spill, self->views, agg->hashes, *count, 0));
        *count = 0;
        return KD_OK;
    }
    uint32_t fresh_count;
    char **found = kd_alloc_array(ctx, agg->batch_arena, *count, sizeof(char *));
    uint16_t *fresh = kd_alloc_array(ctx, agg->batch_arena, *count, sizeof *fresh);
    if (found == NULL || fresh == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_group_table_find(ctx, self->seen, self->views, agg->hashes, *count, found, fresh,
                                &fresh_count));
    for (uint32_t i = 0; i < fresh_count; i++) {
        out_rows[i] = selection == NULL ? fresh[i] : selection[fresh[i]];
        groups[i] = groups[fresh[i]];
    }
    *count = fresh_count;
    return KD_OK;
}

/* DISTINCT over a dictionary in one group: a code met before needs no look-up. */
static kd_status codes_filter(kd_ctx *ctx, kdi_agg_call *self, const uint16_t *selection,
                              uint32_t *count, char *const *groups, uint16_t *out_rows,
                              bool *out_done)
{
    const kd_vector *vector = &self->argument_vectors[0];
    *out_done = false;
    if (self->call->argument_count != 1 || self->call->order_count > 0 ||
        vector->form != KD_VECTOR_DICT || vector->dictionary_id == 0 ||
        vector->dictionary_count > KDI_DICTIONARY_MAX)
        return KD_OK;
    for (uint32_t i = 1; i < *count; i++)
        if (groups[i] != groups[0])
            return KD_OK;
    if (self->seen_codes == NULL) {
        self->seen_codes = kd_alloc(ctx, self->env.state_arena, KDI_DICTIONARY_MAX);
        if (self->seen_codes == NULL)
            return KD_NOMEM;
    }
    if (self->seen_dictionary != vector->dictionary_id || self->seen_group != groups[0]) {
        memset(self->seen_codes, 0, vector->dictionary_count);
        self->seen_dictionary = vector->dictionary_id;
        self->seen_group = groups[0];
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        uint16_t row = selection == NULL ? (uint16_t)i : selection[i];
        uint8_t *seen = &self->seen_codes[kdi_code_at(vector, row)];
        out_rows[kept] = row;
        kept += !*seen;
        *seen = 1;
    }
    *count = kept;
    *out_done = true;
    return KD_OK;
}

static kd_status order_keep(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self,
                            const uint16_t *selection, uint32_t count, char **groups)
{
    const kd_aggregate_call *call = self->call;
    kd_vector group = {.type = kd_type_of(KD_TYPE_INT8),
                       .physical = KD_PHYS_I64,
                       .form = KD_VECTOR_FLAT,
                       .values = groups};
    KD_TRY(kdi_view_open(ctx, self->env.state_arena, &self->views[0], &group, NULL, count));
    for (uint32_t i = 0; i < call->argument_count + call->order_count; i++)
        KD_TRY(kdi_view_open(ctx, self->env.state_arena, &self->views[1 + i],
                             &self->argument_vectors[i], selection, count));
    char **rows = kd_alloc_array(ctx, agg->batch_arena, count, sizeof(char *));
    uint32_t appended;
    if (rows == NULL)
        return KD_NOMEM;
    return kdi_row_store_append(ctx, &self->kept->store, self->views, NULL, count, true, rows,
                                &appended);
}

/* The value of a row and the digits that it shows. */
static inline kd_i128 fixed_value(const kdi_fixed_vector *vector, uint32_t row, int *out_scale)
{
    *out_scale = vector->scale;
    kd_i128 value = kdi_fixed_at(vector, row);
    if (vector->scales != NULL && vector->scales[row] < vector->scale) {
        *out_scale = vector->scales[row];
        value /= kd_pow10_i128(vector->scale - *out_scale);
    }
    return value;
}

/* Sums of fixed numbers; sums of 64 bits cannot leave the 38 digits of the state. */
static kd_status fixed_step(kd_ctx *ctx, kdi_agg_call *self, const kdi_fixed_vector *vector,
                            const uint16_t *selection, uint32_t count, char *const *groups)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        kd_numeric_sum *sum = (void *)(groups[i] + self->state_offset);
        if (vector->validity != NULL && !kd_bit_get(vector->validity, row))
            continue;
        if (vector->wide == NULL && vector->scales == NULL && sum->big == NULL &&
            sum->scale == vector->scale) {
            sum->fixed += vector->values[vector->is_constant ? 0 : row];
            sum->count++;
            continue;
        }
        int scale;
        kd_i128 value = fixed_value(vector, row, &scale);
        KD_TRY(self->aggregate->add_sum(ctx, &self->env, sum, value, 1, scale));
    }
    return KD_OK;
}

static kd_status call_step(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self, const kd_batch *batch,
                           char *const *groups)
{
    const kd_aggregate_call *call = self->call;
    kd_batch own = *batch;
    char **packed = agg->state_rows;
    if (self->filter != NULL) {
        KD_TRY(kd_expr_select(ctx, self->filter, agg->batch_arena, batch, agg->rows[0],
                              &own.selected_count));
        own.selection = agg->rows[0];
        uint32_t next = 0;
        for (uint32_t i = 0; i < batch->selected_count && next < own.selected_count; i++)
            if (kd_batch_row(batch, i) == own.selection[next])
                packed[next++] = groups[i];
        assert(next == own.selected_count);
    } else {
        memcpy(packed, groups, own.selected_count * sizeof *packed);
    }
    if (own.selected_count == 0)
        return KD_OK;
    if (self->fixed != NULL && self->aggregate->state_kind == KD_STATE_NUMERIC_SUM) {
        kdi_fixed_vector vector;
        kdi_frame frame = {.arena = agg->batch_arena, .input = &own};
        bool done;
        self->env.arena = agg->batch_arena;
        KD_TRY(kdi_fixed_evaluate(ctx, self->fixed, &frame, own.selection, own.selected_count,
                                  &vector, &done));
        if (done)
            return fixed_step(ctx, self, &vector, own.selection, own.selected_count, packed);
    }
    for (uint32_t i = 0; i < call->argument_count; i++)
        KD_TRY(kd_expr_evaluate(ctx, self->arguments[i], agg->batch_arena, &own,
                                &self->argument_vectors[i]));
    for (uint32_t i = 0; i < call->order_count; i++)
        KD_TRY(kd_expr_evaluate(ctx, self->order[i], agg->batch_arena, &own,
                                &self->argument_vectors[call->argument_count + i]));
    const uint16_t *selection = own.selection;
    uint32_t count = own.selected_count;
    if (call->distinct) {
        bool narrowed;
        KD_TRY(codes_filter(ctx, self, selection, &count, packed, agg->rows[1], &narrowed));
        if (narrowed)
            selection = agg->rows[1];
        if (count == 0)
            return KD_OK;
        KD_TRY(distinct_filter(ctx, agg, self, selection, &count, packed, agg->rows[1]));
        selection = agg->rows[1];
    }
    if (call->order_count > 0)
        return call->distinct ? KD_OK : order_keep(ctx, agg, self, selection, count, packed);
    for (uint32_t i = 0; i < count; i++)
        agg->states[i] = packed[i] + self->state_offset;
    return step_call(ctx, agg, self, self->argument_vectors, selection, count, batch->row_count,
                     agg->states);
}

kd_status kdi_agg_step_call(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *call, const kd_batch *batch,
                            char *const *groups)
{
    return call_step(ctx, agg, call, batch, groups);
}

kd_status kdi_agg_step(kd_ctx *ctx, kdi_agg *agg, const kd_batch *batch, char *const *groups)
{
    for (uint32_t i = 0; i < agg->call_count; i++)
        KD_TRY(call_step(ctx, agg, &agg->calls[i], batch, groups));
    kd_arena_reset(agg->batch_arena);
    return KD_OK;
}

/* ---- ORDER BY inside calls ---- */

kd_status kdi_agg_make_room(kd_ctx *ctx, kdi_agg *agg)
{
    enum { TIGHT_ROWS_MIN = 1 << 12 };
    for (uint32_t c = 0; c < agg->call_count; c++) {
        kdi_agg_call *self = &agg->calls[c];
        if (self->kept != NULL && self->seen == NULL)
            KD_TRY(kdi_sorter_make_room(ctx, self->kept));
        if (self->seen == NULL || self->spill != NULL ||
            self->seen->store.row_count < TIGHT_ROWS_MIN ||
            !kdi_budget_is_tight(self->seen->store.budget, 0))
            continue;
        kdi_distinct_shape shape = {.types = self->layout->types,
                                    .key_count = 1 + self->call->argument_count,
                                    .column_count = self->call->order_count};
        KD_TRY(kdi_distinct_spill_create(ctx, agg->op, self->env.state_arena, shape, NULL,
                                         &self->spill));
        /* Without an order they have been stepped already. */
        KD_TRY(kdi_distinct_spill_take(ctx, self->spill, self->seen, self->call->order_count > 0));
    }
    return KD_OK;
}

/* Steps rows whose columns are the group, then the arguments. */
static kd_status settle_columns(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self,
                                const kd_vector *columns, uint32_t count)
{
    const uint64_t *groups = columns[0].values;
    for (uint32_t i = 0; i < count; i++)
        agg->states[i] = (char *)(uintptr_t)groups[i] + self->state_offset;
    KD_TRY(step_call(ctx, agg, self, columns + 1, NULL, count, count, agg->states));
    kd_arena_reset(agg->batch_arena);
    return KD_OK;
}

/* What DISTINCT wrote to disk: each key once, stepped or given to the order. */
static kd_status settle_distinct(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self)
{
    kd_batch batch;
    uint32_t column_count = self->layout->column_count, appended;
    char **rows = KD_NEW_ARRAY(ctx, self->env.state_arena, char *, KD_BATCH_ROWS);
    if (rows == NULL)
        return KD_NOMEM;
    for (;;) {
        KD_TRY(kdi_distinct_spill_next(ctx, self->spill, &batch));
        if (batch.selected_count == 0)
            return KD_OK;
        if (self->kept == NULL) {
            KD_TRY(settle_columns(ctx, agg, self, batch.columns, batch.selected_count));
            continue;
        }
        KD_TRY(kdi_sorter_make_room(ctx, self->kept));
        KD_TRY(kdi_views_open(ctx, self->env.state_arena, self->views, column_count, batch.columns,
                              NULL, batch.selected_count));
        KD_TRY(kdi_row_store_append(ctx, &self->kept->store, self->views, NULL,
                                    batch.selected_count, true, rows, &appended));
    }
}

static kd_status settle_order(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *self)
{
    kd_arena *arena = self->env.state_arena;
    uint32_t column_count = 1 + self->call->argument_count, count;
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    char **rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (columns == NULL || rows == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < column_count; c++)
        KD_TRY(kdi_vector_create(ctx, arena, self->layout->types[c], &columns[c]));
    if (self->spill == NULL && self->seen != NULL)
        KD_TRY(kdi_row_store_move(ctx, &self->kept->store, &self->seen->store));
    KD_TRY(kdi_sorter_finish(ctx, self->kept));
    for (;;) {
        KD_TRY(kdi_sorter_next(ctx, self->kept, rows, &count));
        if (count == 0)
            return KD_OK;
        for (uint32_t c = 0; c < column_count; c++)
            kdi_rows_gather(self->layout, c, rows, NULL, count, &columns[c]);
        KD_TRY(settle_columns(ctx, agg, self, columns, count));
        KD_TRY(kd_check_cancelled(ctx));
    }
}

kd_status kdi_agg_settle(kd_ctx *ctx, kdi_agg *agg)
{
    for (uint32_t c = 0; c < agg->call_count; c++) {
        kdi_agg_call *self = &agg->calls[c];
        if (self->spill != NULL)
            KD_TRY(settle_distinct(ctx, agg, self));
        if (self->kept != NULL)
            KD_TRY(settle_order(ctx, agg, self));
        kept_clear(self);
    }
    return KD_OK;
}

kd_status kdi_agg_combine(kd_ctx *ctx, kdi_agg *agg, char *target, const char *source)
{
    for (uint32_t i = 0; i < agg->call_count; i++) {
        kdi_agg_call *self = &agg->calls[i];
        char *state = target + self->state_offset;
        const char *other = source + self->state_offset;
        if (self->aggregate == NULL) {
            *(int64_t *)(void *)state += *(const int64_t *)(const void *)other;
            continue;
        }
        self->env.arena = agg->batch_arena;
        KD_TRY(self->aggregate->combine(ctx, &self->env, state, other));
    }
    return KD_OK;
}

kd_status kdi_agg_finish(kd_ctx *ctx, kdi_agg *agg, kd_arena *batch_arena, char *const *rows,
                         uint32_t count, kd_vector *columns)
{
    for (uint32_t c = 0; c < agg->call_count; c++) {
        kdi_agg_call *self = &agg->calls[c];
        kd_vector *column = &columns[c];
        size_t bytes = kd_physical_bytes((kd_physical)column->physical);
        kdi_bits_fill(column->validity, KD_BATCH_ROWS);
        self->env.arena = batch_arena;
        for (uint32_t i = 0; i < count; i++) {
            const char *state = rows[i] + self->state_offset;
            _Alignas(16) char result[16] = {0};
            bool is_null = false;
            if (self->aggregate == NULL)
                memcpy(result, state, 8);
            else
                KD_TRY(self->aggregate->finish(ctx, &self->env, state, result, &is_null));
            if (is_null)
                kd_vector_set_null(column, i);
            else
                memcpy((char *)column->values + i * bytes, result, bytes);
        }
    }
    return KD_OK;
}
