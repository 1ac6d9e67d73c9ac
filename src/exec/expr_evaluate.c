/*
 * Evaluating nodes: constants once, dictionaries once per entry, everything else row by row in
 * bulk.
 */
#include "exec/expr_internal.h"

#include "base/hash.h"
#include "exec/kernel_internal.h"

#include <assert.h>

kd_vector kdi_node_result(kdi_node *node)
{
    kdi_bits_fill(node->result.validity, node->capacity);
    return node->result;
}

/* The result of row 0 kept for good. */
static kd_status constant_keep(kd_ctx *ctx, kdi_node *node, const kd_vector *vector)
{
    kd_value value = kd_vector_get(vector, 0);
    kd_value kept = kd_value_null(node->type);
    if (!value.is_null)
        KD_TRY(kd_value_copy(ctx, node->state_arena, &value, &kept));
    kept.type = node->type;
    KD_TRY(kd_vector_init_constant(ctx, node->state_arena, &kept, &node->constant));
    node->constant_ready = true;
    return KD_OK;
}

static kd_status constant_evaluate(kd_ctx *ctx, kdi_node *node, kdi_frame *frame)
{
    kd_batch nothing = {.row_count = 1, .selected_count = 1};
    kdi_frame own = {.arena = frame->arena, .input = &nothing};
    kd_vector result;
    KD_TRY(node->eval(ctx, node, &own, NULL, 1, &result));
    return constant_keep(ctx, node, &result);
}

/* ---- Dictionaries ---- */

static kd_status dictionary_chunk(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                  const kd_vector *source, uint32_t start, uint32_t count,
                                  kd_vector *results)
{
    kd_vector slice = *source->dictionary;
    size_t bytes = kd_physical_bytes((kd_physical)slice.physical);
    slice.values = (char *)slice.values + start * bytes;
    if (slice.validity != NULL)
        slice.validity += start / 64;
    uint32_t position = node->single_column;
    kd_vector *columns = KD_NEW_ARRAY(ctx, frame->arena, kd_vector, position + 1);
    if (columns == NULL)
        return KD_NOMEM;
    columns[position] = slice;
    kd_batch batch = {.row_count = count,
                      .selected_count = count,
                      .column_count = position + 1,
                      .columns = columns};
    kdi_frame own = {.arena = frame->arena, .input = &batch};
    kd_vector out;
    KD_TRY(node->eval(ctx, node, &own, NULL, count, &out));
    return kd_vector_gather(ctx, node->dictionary->arena, &out, NULL, count, results, start);
}

static kd_status dictionary_fill(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                 const kd_vector *source)
{
    kdi_dictionary_cache *cache = node->dictionary;
    cache->dictionary_id = 0;
    if (cache->arena == NULL) {
        cache->arena = kd_arena_create(ctx, node->state_arena, "dictionary", KD_ARENA_UNLIMITED);
        if (cache->arena == NULL)
            return KD_NOMEM;
    }
    kd_arena_reset(cache->arena);
    uint32_t entries = source->dictionary_count;
    uint32_t step = node->capacity;
    KD_TRY(kd_vector_init_flat(ctx, cache->arena, node->type, entries, &cache->results));
    for (uint32_t start = 0; start < entries; start += step) {
        uint32_t count = entries - start < step ? entries - start : step;
        KD_TRY(dictionary_chunk(ctx, node, frame, source, start, count, &cache->results));
    }
    return KD_OK;
}

static bool dictionary_is_worth_it(const kdi_dictionary_cache *cache, const kd_vector *source,
                                   uint32_t count)
{
    if (source->dictionary_count == 0 || source->dictionary_count > KDI_DICTIONARY_MAX ||
        count == 1)
        return false;
    if (source->dictionary_id == 0)
        return source->dictionary_count <= count;
    if (source->dictionary_id == cache->dictionary_id)
        return true;
    return source->dictionary_id != cache->failed_id && source->dictionary_count <= 8 * count;
}

static kd_status dictionary_evaluate(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                     const kd_vector *source, kd_vector *out, bool *out_done)
{
    kdi_dictionary_cache *cache = node->dictionary;
    *out_done = false;
    if (cache->dictionary_id == 0 || cache->dictionary_id != source->dictionary_id) {
        kd_status status = dictionary_fill(ctx, node, frame, source);
        if (status == KD_INVALID) {
            kd_error_clear(ctx);
            cache->failed_id = source->dictionary_id;
            return KD_OK;
        }
        if (status != KD_OK)
            return status;
        cache->dictionary_id = source->dictionary_id;
    }
    *out = *source;
    out->type = node->type;
    out->physical = node->result.physical;
    out->dictionary = &cache->results;
    out->dictionary_id =
        source->dictionary_id == 0 ? 0 : kd_hash_u64(source->dictionary_id + cache->salt) | 1;
    *out_done = true;
    return KD_OK;
}

kd_status kdi_node_evaluate(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                            const uint16_t *selection, uint32_t count, kd_vector *out)
{
    if (node->is_constant) {
        if (!node->constant_ready)
            KD_TRY(constant_evaluate(ctx, node, frame));
        *out = node->constant;
        return KD_OK;
    }
    if (node->eval == NULL) {
        assert(node->column < frame->input->column_count);
        *out = frame->input->columns[node->column];
        return KD_OK;
    }
    if (node->dictionary != NULL) {
        const kd_vector *source = &frame->input->columns[node->single_column];
        if (source->form == KD_VECTOR_DICT && !kdi_date_goes_first(node, source, count) &&
            dictionary_is_worth_it(node->dictionary, source, count)) {
            bool done;
            KD_TRY(dictionary_evaluate(ctx, node, frame, source, out, &done));
            if (done)
                return KD_OK;
        }
    }
    kd_status status = node->eval(ctx, node, frame, selection, count, out);
    if (status != KD_OK)
        kd_error_set_position(ctx, node->expr->position);
    return status;
}

kd_status kd_expr_evaluate(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *batch_arena,
                           const kd_batch *input, kd_vector *out_vector)
{
    kdi_frame frame = {.arena = batch_arena, .input = input};
    *out_vector = (kd_vector){0};
    return kdi_node_evaluate(ctx, compiled->root, &frame, input->selection, input->selected_count,
                             out_vector);
}

/* ---- Selecting ---- */

static uint32_t select_flat(const uint8_t *values, const uint64_t *validity,
                            const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = selection == NULL ? (uint16_t)i : selection[i];
        out_rows[kept] = row;
        kept += values[row] & (validity == NULL || kd_bit_get(validity, row));
    }
    return kept;
}

uint32_t kdi_rows_all(const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    if (selection == NULL)
        for (uint32_t i = 0; i < count; i++)
            out_rows[i] = (uint16_t)i;
    else if (selection != out_rows)
        memmove(out_rows, selection, count * sizeof *out_rows);
    return count;
}

/* The dictionary's true entries as bits, and how many they are. */
static uint32_t true_entries(const kd_vector *dictionary, uint32_t entry_count, uint64_t *bits)
{
    const uint8_t *values = dictionary->values;
    uint32_t count = 0;
    for (uint32_t e = 0; e < entry_count; e++) {
        uint64_t is_true =
            values[e] & (dictionary->validity == NULL || kd_bit_get(dictionary->validity, e));
        bits[e / 64] = e % 64 == 0 ? is_true : bits[e / 64] | is_true << (e % 64);
        count += (uint32_t)is_true;
    }
    return count;
}

static uint32_t select_members(const kd_vector *vector, const uint64_t *bits, uint32_t count,
                               uint16_t *out_rows)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    kdi_kernel_bits set = {.words = bits, .span = vector->dictionary_count - 1};
    if (vector->width_bytes == 1)
        return kernels->members_u8(vector->values, set, count, out_rows);
    if (vector->width_bytes == 2)
        return kernels->members_u16(vector->values, set, count, out_rows);
    return kernels->members_u32(vector->values, set, count, out_rows);
}

static uint32_t select_dictionary(const kd_vector *vector, const uint16_t *selection,
                                  uint32_t count, uint16_t *out_rows)
{
    uint64_t bits[KDI_BATCH_WORDS];
    uint32_t entries = vector->dictionary_count, kept = 0;
    bool by_bits = entries > 0 && entries <= KD_BATCH_ROWS && entries <= count;
    if (by_bits) {
        uint32_t trues = true_entries(vector->dictionary, entries, bits);
        if (trues == 0 || trues == entries)
            return trues == 0 ? 0 : kdi_rows_all(selection, count, out_rows);
        if (selection == NULL)
            return select_members(vector, bits, count, out_rows);
    }
    const uint8_t *values = vector->dictionary->values;
    const uint64_t *validity = vector->dictionary->validity;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = selection == NULL ? (uint16_t)i : selection[i];
        uint32_t code = kdi_code_at(vector, row);
        out_rows[kept] = row;
        kept += values[code] & (validity == NULL || kd_bit_get(validity, code));
    }
    return kept;
}

uint32_t kdi_select_true(const kd_vector *vector, const uint16_t *selection, uint32_t count,
                         uint16_t *out_rows)
{
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_CONSTANT:
        if (kd_vector_is_null(vector, 0) || *(const uint8_t *)vector->values == 0)
            return 0;
        return kdi_rows_all(selection, count, out_rows);
    case KD_VECTOR_DICT:
        return select_dictionary(vector, selection, count, out_rows);
    default:
        return select_flat(vector->values, vector->validity, selection, count, out_rows);
    }
}

kd_status kdi_node_select_rows(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                               const uint16_t *selection, uint32_t count, uint16_t *out_rows,
                               uint32_t *out_count)
{
    *out_count = 0;
    if (count == 0)
        return KD_OK;
    if (node->select != NULL && !node->is_constant) {
        bool by_codes = node->dictionary != NULL &&
                        frame->input->columns[node->single_column].form == KD_VECTOR_DICT;
        if (!by_codes)
            return node->select(ctx, node, frame, selection, count, out_rows, out_count);
    }
    kd_vector vector;
    KD_TRY(kdi_node_evaluate(ctx, node, frame, selection, count, &vector));
    *out_count = kdi_select_true(&vector, selection, count, out_rows);
    return KD_OK;
}

kd_status kd_expr_select(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *batch_arena,
                         const kd_batch *input, uint16_t *out_selection, uint32_t *out_count)
{
    kdi_frame frame = {.arena = batch_arena, .input = input};
    return kdi_node_select_rows(ctx, compiled->root, &frame, input->selection,
                                input->selected_count, out_selection, out_count);
}

/* ---- One row ---- */

kd_status kd_expr_evaluate_row(kd_ctx *ctx, kd_compiled_expr *compiled, kd_arena *arena,
                               const kd_value *values, kd_value *out_value)
{
    *out_value = kd_value_null(compiled->root->type);
    static uint64_t valid = 1, null = 0;
    if (compiled->row_columns == NULL && compiled->id_count > 0) {
        compiled->row_columns =
            KD_NEW_ARRAY(ctx, compiled->root->state_arena, kd_vector, compiled->id_count);
        if (compiled->row_columns == NULL)
            return KD_NOMEM;
    }
    for (uint32_t i = 0; i < compiled->id_count; i++)
        compiled->row_columns[i] = (kd_vector){
            .type = values[i].type,
            .physical = (uint8_t)kd_type_physical(values[i].type),
            .form = KD_VECTOR_CONSTANT,
            .values = kd_value_payload((kd_value *)(uintptr_t)&values[i]),
            .validity = values[i].is_null ? &null : &valid,
        };
    kd_batch batch = {.row_count = 1,
                      .selected_count = 1,
                      .column_count = compiled->id_count,
                      .columns = compiled->row_columns};
    kd_vector vector;
    KD_TRY(kd_expr_evaluate(ctx, compiled, arena, &batch, &vector));
    *out_value = kd_vector_get(&vector, 0);
    out_value->type = compiled->root->type;
    return KD_OK;
}
