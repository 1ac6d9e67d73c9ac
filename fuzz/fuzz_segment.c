/*
 * Stored blocks of segments from arbitrary bytes: what passes the check decodes without
 * a fault, and single values agree with vectors.
 *
 * Input: byte 0 type, bytes 1-2 rows, byte 3 entries of a shared dictionary, then the block
 * without its checksum and size, which are filled in.
 */
#include "base/world.h"
#include "store/block_internal.h"

#include <stdlib.h>

enum { PREFIX_BYTES = 4, BLOCK_BYTES_MAX = 1 << 16, ENTRIES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static kd_type pick_type(uint8_t number)
{
    static const kd_type_id ids[] = {KD_TYPE_BOOL, KD_TYPE_INT2,   KD_TYPE_INT4,
                                     KD_TYPE_INT8, KD_TYPE_FLOAT8, KD_TYPE_TEXT,
                                     KD_TYPE_UUID, KD_TYPE_JSON,   KD_TYPE_INTERVAL};
    return kd_type_of(ids[number % (sizeof ids / sizeof ids[0])]);
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* Row by row against the vectors; strings by their bytes. */
static void compare(const kdi_decode_input *input, const kd_vector *vector, uint32_t first,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        kd_value alone, together = kd_vector_get(vector, i);
        kdi_block_get(input, first + i, &alone);
        must(alone.is_null == together.is_null);
        if (alone.is_null)
            continue;
        if (input->physical == KD_PHYS_STR)
            must(kd_str_equal(&alone.as.str, &together.as.str));
        else
            must(memcmp(&alone.as, &together.as, kd_physical_bytes(input->physical)) == 0);
    }
}

static void read_block(kd_ctx *ctx, kd_arena *arena, kdi_decode_input *input)
{
    kdi_decode_room room = {.arena = arena};
    uint32_t rows = input->view.row_count;
    if (rows > KD_BLOCK_ROWS)
        return; /* A dictionary: read value by value only. */
    for (uint32_t first = 0; first < rows; first += KD_BATCH_ROWS) {
        uint32_t count = rows - first > KD_BATCH_ROWS ? KD_BATCH_ROWS : rows - first;
        kd_vector vector;
        if (kdi_block_decode(ctx, input, first, count, &room, &vector) != KD_OK)
            return;
        compare(input, &vector, first, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static uint64_t words[BLOCK_BYTES_MAX / 8];
    static uint64_t dictionary_values[ENTRIES_MAX * 2];
    if (size_bytes < PREFIX_BYTES + 8 || size_bytes > BLOCK_BYTES_MAX - 16)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    uint8_t *block = (uint8_t *)words;
    size_t block_bytes = kdi_pad8(size_bytes - PREFIX_BYTES + 8);
    memset(block, 0, block_bytes);
    memcpy(block + 8, data + PREFIX_BYTES, size_bytes - PREFIX_BYTES);
    kdi_block_header header;
    memcpy(&header, block, sizeof header);
    header.size_bytes = (uint32_t)block_bytes;
    header.row_count = kd_load_u16(data + 1) + 1u;
    memcpy(block, &header, sizeof header);
    kdi_column_layout layout = {.type = pick_type(data[0])};
    layout.physical = kd_type_physical(layout.type);
    if (kdi_type_takes_dictionary(layout.type))
        layout.dictionary_entries = data[3] % ENTRIES_MAX;
    if (kdi_block_check(block, block_bytes, header.row_count, &layout) != NULL)
        return 0;
    kd_vector dictionary = {.type = layout.type,
                            .physical = (uint8_t)layout.physical,
                            .form = KD_VECTOR_FLAT,
                            .values = dictionary_values};
    kdi_decode_input input = {.view = kdi_block_view_of(block),
                              .type = layout.type,
                              .physical = layout.physical,
                              .shared = &dictionary,
                              .shared_count = layout.dictionary_entries,
                              .shared_id = 1,
                              .local_id = 2,
                              .codes_are_values = kdi_type_codes_are_values(layout.type)};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", 64 << 20);
    if (arena != NULL)
        read_block(&ctx, arena, &input);
    kd_arena_destroy(arena);
    return 0;
}
