/*
 * Payloads of any bytes between two processes on a database: read, or refused with
 * 08P01. The first byte chooses the reader; rows that were accepted are written and read
 * again, and say the same.
 */
#include "link/message_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* Reads every value, as its user would. */
static uint64_t sum_of(const kd_batch *batch)
{
    uint64_t sum = batch->column_count;
    for (uint32_t c = 0; c < batch->column_count; c++) {
        for (uint32_t row = 0; row < batch->row_count; row++) {
            kd_value value = kd_vector_get(&batch->columns[c], row);
            if (value.is_null)
                continue;
            kd_physical physical = kd_type_physical(value.type);
            kd_slice bytes = {kd_value_payload(&value), kd_physical_bytes(physical)};
            if (physical == KD_PHYS_STR)
                bytes = kd_str_slice(&value.as.str);
            for (size_t i = 0; i < bytes.size_bytes; i++)
                sum = sum * 31 + (unsigned char)bytes.data[i];
        }
    }
    return sum;
}

static kd_status check_rows(kd_ctx *ctx, kd_arena *arena, kd_reader *reader)
{
    kd_batch batch;
    kd_batch again;
    kd_buffer buffer = kd_buffer_in(arena);
    KD_TRY(kdi_rows_get(ctx, arena, reader, &batch));
    KD_TRY(kdi_rows_put(ctx, &batch, 0, batch.selected_count, &buffer));
    kd_reader second = kd_reader_of(kd_buffer_slice(&buffer));
    if (kdi_rows_get(ctx, arena, &second, &again) != KD_OK || sum_of(&batch) != sum_of(&again))
        abort();
    return KD_OK;
}

static kd_status read_any(kd_ctx *ctx, kd_arena *arena, uint8_t choice, kd_reader *reader)
{
    kd_error error;
    char file[KDI_SOURCE_NAME_BYTES];
    kdi_described *items;
    kd_value *values;
    uint32_t count;
    kdi_run_facts facts;
    kdi_frame frame;
    switch (choice % 6) {
    case 0:
        return kdi_error_get(ctx, reader, &error, file);
    case 1:
        return kdi_described_list_get(ctx, arena, reader, KDI_LINK_COLUMNS_MAX, &items, &count);
    case 2:
        return kdi_parameters_get(ctx, arena, reader, &values, &count);
    case 3:
        return kdi_run_facts_get(ctx, reader, &facts);
    case 4:
        return kdi_frame_parse(ctx, (kd_slice){reader->at, (size_t)(reader->end - reader->at)},
                               &frame);
    default:
        return check_rows(ctx, arena, reader);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 1)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", KD_ARENA_UNLIMITED);
    kd_reader reader = kd_reader_of((kd_slice){(const char *)data + 1, size_bytes - 1});
    kd_status status = read_any(&ctx, arena, data[0], &reader);
    if (status != KD_OK && strcmp(ctx.error.sqlstate, "08P01") != 0)
        abort();
    kd_arena_destroy(arena);
    return 0;
}
