/*
 * Reading an open segment: vectors through a reader, single values directly.
 */
#include "store/segment_open.h"

#include <assert.h>

typedef struct reader_slot {
    uint32_t column; /* UINT32_MAX: the column is absent (stamps that are all 0). */
    uint32_t block_no;
    kd_block *block; /* Pinned, or NULL. */
    kdi_decode_input input;
    kdi_decode_room room;
} reader_slot;

struct kd_segment_reader {
    kd_segment *segment;
    uint32_t slot_count;
    reader_slot *slots; /* slot_count, and one for the stamps. */
    uint64_t *stamps;   /* KD_BATCH_ROWS */
    uint64_t read_bytes;
};

kd_status kd_segment_reader_create(kd_ctx *ctx, kd_arena *arena, kd_segment *segment,
                                   const uint32_t *columns, uint32_t column_count,
                                   kd_segment_reader **out_reader)
{
    *out_reader = NULL;
    KD_TRY(kdi_segment_is_there(ctx, segment));
    kd_segment_reader *reader = KD_NEW(ctx, arena, kd_segment_reader);
    if (reader == NULL)
        return KD_NOMEM;
    reader->segment = segment;
    reader->slot_count = column_count;
    reader->slots = KD_NEW_ARRAY(ctx, arena, reader_slot, (size_t)column_count + 1);
    if (reader->slots == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < column_count; i++) {
        assert(columns[i] < segment->stored_count);
        reader->slots[i].column = columns[i];
        reader->slots[i].room.arena = arena;
    }
    reader->slots[column_count].column =
        segment->has_stamps ? segment->head.column_count : UINT32_MAX;
    reader->slots[column_count].room.arena = arena;
    *out_reader = reader;
    return KD_OK;
}

void kd_segment_reader_destroy(kd_segment_reader *reader)
{
    if (reader == NULL)
        return;
    for (uint32_t i = 0; i <= reader->slot_count; i++) {
        kd_block_put(reader->slots[i].block);
        reader->slots[i].block = NULL;
    }
}

uint64_t kd_segment_reader_read_bytes(const kd_segment_reader *reader)
{
    return reader->read_bytes;
}

static kd_status move_to_block(kd_ctx *ctx, kd_segment_reader *reader, reader_slot *slot,
                               uint32_t block_no)
{
    kd_segment *segment = reader->segment;
    if (slot->block != NULL && slot->block_no == block_no)
        return KD_OK;
    kd_block_put(slot->block);
    slot->block = NULL;
    slot->room.dictionary_of = 0; /* Its strings pointed into the block. */
    kd_block *block;
    KD_TRY(kdi_segment_pin(ctx, segment, slot->column, block_no, &block));
    kd_status status = kdi_segment_input(ctx, segment, slot->column, block_no, block, &slot->input);
    if (status != KD_OK) {
        kd_block_put(block);
        return status;
    }
    slot->block = block;
    slot->block_no = block_no;
    reader->read_bytes += segment->columns[slot->column].blocks[block_no].size_bytes;
    return KD_OK;
}

/* `rows` as for kd_segment_read_rows; NULL: all. */
static kd_status read_slot(kd_ctx *ctx, kd_segment_reader *reader, reader_slot *slot,
                           uint32_t first_row, uint32_t row_count, const uint16_t *rows,
                           uint32_t count, kd_vector *out_vector)
{
    assert(first_row % KD_VECTOR_ROWS == 0);
    assert(row_count > 0 && row_count <= KD_BATCH_ROWS);
    assert(first_row + row_count <= reader->segment->head.row_count);
    uint32_t block_no = first_row / KD_BLOCK_ROWS;
    assert((first_row + row_count - 1) / KD_BLOCK_ROWS == block_no);
    KD_TRY(move_to_block(ctx, reader, slot, block_no));
    if (rows != NULL)
        return kdi_block_decode_rows(ctx, &slot->input, first_row % KD_BLOCK_ROWS, row_count, rows,
                                     count, &slot->room, out_vector);
    return kdi_block_decode(ctx, &slot->input, first_row % KD_BLOCK_ROWS, row_count, &slot->room,
                            out_vector);
}

kd_status kd_segment_read(kd_ctx *ctx, kd_segment_reader *reader, uint32_t slot, uint32_t first_row,
                          uint32_t row_count, kd_vector *out_vector)
{
    assert(slot < reader->slot_count);
    return read_slot(ctx, reader, &reader->slots[slot], first_row, row_count, NULL, row_count,
                     out_vector);
}

kd_status kd_segment_read_rows(kd_ctx *ctx, kd_segment_reader *reader, uint32_t slot,
                               uint32_t first_row, uint32_t row_count, const uint16_t *rows,
                               uint32_t count, kd_vector *out_vector)
{
    assert(slot < reader->slot_count);
    return read_slot(ctx, reader, &reader->slots[slot], first_row, row_count, rows, count,
                     out_vector);
}

kd_status kd_segment_read_stamps(kd_ctx *ctx, kd_segment_reader *reader, uint32_t first_row,
                                 uint32_t row_count, const uint64_t **out_stamps)
{
    *out_stamps = NULL;
    reader_slot *slot = &reader->slots[reader->slot_count];
    if (slot->column == UINT32_MAX)
        return KD_OK;
    kd_vector vector;
    KD_TRY(read_slot(ctx, reader, slot, first_row, row_count, NULL, row_count, &vector));
    if (vector.form == KD_VECTOR_FLAT) {
        *out_stamps = vector.values;
        return KD_OK;
    }
    uint64_t scratch[2];
    if (vector.form == KD_VECTOR_CONSTANT && kd_load_u64(vector.values) == 0)
        return KD_OK;
    if (reader->stamps == NULL) {
        reader->stamps = KD_NEW_ARRAY(ctx, slot->room.arena, uint64_t, KD_BATCH_ROWS);
        if (reader->stamps == NULL)
            return KD_NOMEM;
    }
    for (uint32_t i = 0; i < row_count; i++)
        reader->stamps[i] = kd_load_u64(kd_vector_payload(&vector, i, scratch));
    *out_stamps = reader->stamps;
    return KD_OK;
}

static kd_status get_value(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t ordinal,
                           kd_arena *arena, kd_value *out_value)
{
    kd_status status = KD_OK;
    kd_block *block = NULL;
    uint32_t block_no = ordinal / KD_BLOCK_ROWS;
    KD_TRY_OUT(kdi_segment_pin(ctx, segment, column, block_no, &block));
    kdi_decode_input input;
    KD_TRY_OUT(kdi_segment_input(ctx, segment, column, block_no, block, &input));
    kdi_block_get(&input, ordinal % KD_BLOCK_ROWS, out_value);
    if (input.physical == KD_PHYS_STR && !out_value->is_null &&
        out_value->as.str.size_bytes > KD_STR_INLINE_BYTES)
        KD_TRY_OUT(kd_str_copy(ctx, arena, kd_str_slice(&out_value->as.str), &out_value->as.str));

out:
    kd_block_put(block);
    return status;
}

kd_status kd_segment_get(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t ordinal,
                         kd_arena *arena, kd_value *out_value)
{
    KD_TRY(kdi_segment_is_there(ctx, segment));
    assert(column < segment->stored_count && ordinal < segment->head.row_count);
    return get_value(ctx, segment, column, ordinal, arena, out_value);
}

kd_status kd_segment_get_stamp(kd_ctx *ctx, kd_segment *segment, uint32_t ordinal,
                               uint64_t *out_stamp)
{
    assert(ordinal < segment->head.row_count);
    *out_stamp = 0;
    KD_TRY(kdi_segment_is_there(ctx, segment));
    if (!segment->has_stamps)
        return KD_OK;
    kd_value value;
    KD_TRY(get_value(ctx, segment, segment->head.column_count, ordinal, NULL, &value));
    *out_stamp = (uint64_t)value.as.i64;
    return KD_OK;
}
