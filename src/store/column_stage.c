/*
 * Staging: rows of batches, in any form, into a column writer's current block.
 */
#include "store/column_writer.h"

#include <assert.h>

kd_status kdi_column_writer_init(kd_ctx *ctx, kdi_column_writer *column, kd_arena *arena,
                                 kd_type type, uint32_t column_index)
{
    *column = (kdi_column_writer){.arena = arena,
                                  .type = type,
                                  .physical = kd_type_physical(type),
                                  .column = column_index,
                                  .text = kd_buffer_in(arena)};
    column->entry.type = type;
    column->blocks = KD_NEW_ARRAY(ctx, arena, kdi_block_entry, KDI_SEGMENT_BLOCKS_MAX);
    column->validity = KD_NEW_ARRAY(ctx, arena, uint64_t, KDI_BLOCK_WORDS);
    if (column->blocks == NULL || column->validity == NULL)
        return KD_NOMEM;
    column->mode = KDI_PLAIN;
    if (column->physical == KD_PHYS_STR) {
        column->mode = KDI_CODES;
        return kdi_dictionary_init(ctx, &column->dictionary, arena, true,
                                   KDI_DICTIONARY_ENTRIES_MAX - 1);
    }
    if (kdi_type_takes_dictionary(type))
        column->mode = KDI_UNDECIDED;
    return kdi_column_plain_room(ctx, column);
}

kd_status kdi_column_plain_room(kd_ctx *ctx, kdi_column_writer *column)
{
    if (column->physical <= KD_PHYS_I64 && column->integers == NULL) {
        column->integers = KD_NEW_ARRAY(ctx, column->arena, int64_t, KD_BLOCK_ROWS);
        return column->integers == NULL ? KD_NOMEM : KD_OK;
    }
    if (column->physical == KD_PHYS_STR && column->ends == NULL) {
        column->ends = KD_NEW_ARRAY(ctx, column->arena, uint32_t, KD_BLOCK_ROWS);
        return column->ends == NULL ? KD_NOMEM : KD_OK;
    }
    if (column->physical > KD_PHYS_I64 && column->physical != KD_PHYS_STR &&
        column->fixed == NULL) {
        column->fixed = kd_alloc(ctx, column->arena,
                                 (size_t)KD_BLOCK_ROWS * kd_physical_bytes(column->physical));
        return column->fixed == NULL ? KD_NOMEM : KD_OK;
    }
    return KD_OK;
}

static bool may_be_null(const kd_vector *vector)
{
    if (vector->form == KD_VECTOR_DICT)
        return vector->dictionary->validity != NULL;
    return vector->validity != NULL;
}

/* Sets the rows' validity bits; false when one of them is NULL. */
static bool stage_validity(kdi_column_writer *column, const kd_vector *vector,
                           const kd_batch *batch, uint32_t from, uint32_t count)
{
    bool all_valid = true;
    bool check = may_be_null(vector);
    for (uint32_t i = 0; i < count; i++) {
        if (check && kd_vector_is_null(vector, kd_batch_row(batch, from + i))) {
            kd_bit_clear(column->validity, column->staged_rows + i);
            column->null_count++;
            all_valid = false;
        } else {
            kd_bit_set(column->validity, column->staged_rows + i);
        }
    }
    return all_valid;
}

#define GATHER(type)                                                  \
    do {                                                              \
        const type *values = vector->values;                          \
        if (batch->selection == NULL)                                 \
            for (uint32_t i = 0; i < count; i++)                      \
                out[i] = (int64_t)values[from + i];                   \
        else                                                          \
            for (uint32_t i = 0; i < count; i++)                      \
                out[i] = (int64_t)values[batch->selection[from + i]]; \
    } while (0)

static void gather_flat(const kd_vector *vector, const kd_batch *batch, uint32_t from,
                        uint32_t count, int64_t *out)
{
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_BOOL:
        GATHER(uint8_t);
        break;
    case KD_PHYS_I16:
        GATHER(int16_t);
        break;
    case KD_PHYS_I32:
        GATHER(int32_t);
        break;
    default:
        GATHER(int64_t);
        break;
    }
}

static void gather_frame(const kd_vector *vector, const kd_batch *batch, uint32_t from,
                         uint32_t count, int64_t *out)
{
    switch (vector->width_bytes) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    default:
        GATHER(uint32_t);
        break;
    }
    for (uint32_t i = 0; i < count; i++)
        out[i] = (int64_t)((uint64_t)out[i] + (uint64_t)vector->base);
}
#undef GATHER

static int64_t widen_payload(const void *payload, kd_physical physical)
{
    switch (physical) {
    case KD_PHYS_BOOL:
        return *(const uint8_t *)payload != 0;
    case KD_PHYS_I16:
        return (int16_t)kd_load_u16(payload);
    case KD_PHYS_I32:
        return (int32_t)kd_load_u32(payload);
    default:
        return (int64_t)kd_load_u64(payload);
    }
}

static void gather_integers(const kd_vector *vector, const kd_batch *batch, uint32_t from,
                            uint32_t count, int64_t *out)
{
    uint64_t scratch[2];
    if (vector->form == KD_VECTOR_FLAT) {
        gather_flat(vector, batch, from, count, out);
    } else if (vector->form == KD_VECTOR_FRAME) {
        gather_frame(vector, batch, from, count, out);
    } else {
        for (uint32_t i = 0; i < count; i++)
            out[i] =
                widen_payload(kd_vector_payload(vector, kd_batch_row(batch, from + i), scratch),
                              (kd_physical)vector->physical);
    }
}

/* NULL rows repeat the row before, so that they disturb neither runs nor ranges. */
static void fill_nulls(kdi_column_writer *column, uint32_t count)
{
    for (uint32_t row = column->staged_rows; row < column->staged_rows + count; row++)
        if (!kd_bit_get(column->validity, row))
            column->integers[row] = row == 0 ? 0 : column->integers[row - 1];
}

static kd_status stage_text(kd_ctx *ctx, kdi_column_writer *column, const kd_vector *vector,
                            const kd_batch *batch, uint32_t from, uint32_t count)
{
    uint64_t scratch[2];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = column->staged_rows + i;
        if (kd_bit_get(column->validity, row)) {
            const kd_str *str = kd_vector_payload(vector, kd_batch_row(batch, from + i), scratch);
            kd_slice bytes = kd_str_slice(str);
            if (bytes.size_bytes > (size_t)INT32_MAX - column->text.size_bytes)
                return KD_FAIL(ctx, KD_LIMIT, "54000",
                               "16,384 neighbouring values of a column have more than 2 GiB");
            KD_TRY(kd_buffer_append(ctx, &column->text, bytes.data, bytes.size_bytes));
        }
        column->ends[row] = (uint32_t)column->text.size_bytes;
    }
    return KD_OK;
}

static void stage_fixed(kdi_column_writer *column, const kd_vector *vector, const kd_batch *batch,
                        uint32_t from, uint32_t count)
{
    uint64_t scratch[2];
    size_t value_bytes = kd_physical_bytes(column->physical);
    uint8_t *target = column->fixed + column->staged_rows * value_bytes;
    for (uint32_t i = 0; i < count; i++, target += value_bytes) {
        if (kd_bit_get(column->validity, column->staged_rows + i))
            memcpy(target, kd_vector_payload(vector, kd_batch_row(batch, from + i), scratch),
                   value_bytes);
        else
            memset(target, 0, value_bytes);
    }
}

static kd_status code_room(kd_ctx *ctx, kdi_column_writer *column)
{
    if (column->codes[column->block_count] != NULL)
        return KD_OK;
    column->codes[column->block_count] = KD_NEW_ARRAY(ctx, column->arena, uint16_t, KD_BLOCK_ROWS);
    return column->codes[column->block_count] == NULL ? KD_NOMEM : KD_OK;
}

static kd_status add_code(kd_ctx *ctx, kdi_column_writer *column, const void *payload,
                          uint32_t *out_code, bool *out_full)
{
    if (column->physical == KD_PHYS_STR)
        return kdi_dictionary_add_string(ctx, &column->dictionary, payload, out_code, out_full);
    return kdi_dictionary_add_integer(ctx, &column->dictionary,
                                      widen_payload(payload, column->physical), out_code, out_full);
}

/* `*out_staged` is less than `count` when the dictionary is full. */
static kd_status stage_codes(kd_ctx *ctx, kdi_column_writer *column, const kd_vector *vector,
                             const kd_batch *batch, uint32_t from, uint32_t count,
                             uint32_t *out_staged)
{
    uint64_t scratch[2];
    KD_TRY(code_room(ctx, column));
    uint16_t *codes = column->codes[column->block_count] + column->staged_rows;
    bool check = may_be_null(vector);
    const void *previous = NULL; /* CONSTANT and DICT give the same address for the same value. */
    uint32_t code = 0;
    bool stable = vector->form == KD_VECTOR_DICT || vector->form == KD_VECTOR_CONSTANT;
    *out_staged = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = kd_batch_row(batch, from + i);
        if (check && kd_vector_is_null(vector, row)) {
            codes[i] = KDI_NULL_CODE;
            column->has_null = true;
            continue;
        }
        const void *payload = kd_vector_payload(vector, row, scratch);
        if (!stable || payload != previous) {
            bool full;
            KD_TRY(add_code(ctx, column, payload, &code, &full));
            if (full) {
                *out_staged = i;
                return KD_OK;
            }
            previous = payload;
        }
        codes[i] = (uint16_t)code;
    }
    *out_staged = count;
    return KD_OK;
}

static kd_status stage_plain(kd_ctx *ctx, kdi_column_writer *column, const kd_vector *vector,
                             const kd_batch *batch, uint32_t from, uint32_t count)
{
    bool all_valid = stage_validity(column, vector, batch, from, count);
    if (column->physical <= KD_PHYS_I64) {
        gather_integers(vector, batch, from, count, column->integers + column->staged_rows);
        if (!all_valid)
            fill_nulls(column, count);
    } else if (column->physical == KD_PHYS_STR) {
        KD_TRY(stage_text(ctx, column, vector, batch, from, count));
    } else {
        stage_fixed(column, vector, batch, from, count);
    }
    column->staged_rows += count;
    return KD_OK;
}

kd_status kdi_column_stage(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                           const kd_vector *vector, const kd_batch *batch, uint32_t from,
                           uint32_t count)
{
    assert(column->staged_rows + count <= KD_BLOCK_ROWS);
    if (column->mode == KDI_CODES) {
        uint32_t staged;
        KD_TRY(stage_codes(ctx, column, vector, batch, from, count, &staged));
        column->staged_rows += staged;
        if (staged == count)
            return KD_OK;
        KD_TRY(kdi_column_leave_codes(ctx, column, output));
        from += staged;
        count -= staged;
    }
    return stage_plain(ctx, column, vector, batch, from, count);
}
