/*
 * Bit packing: every width, packed and unpacked by every kernel of this machine and value by value.
 */
#include "store/bitpack_internal.h"
#include "test.h"

static uint64_t lane(const void *lanes, unsigned width, uint32_t i)
{
    switch (kdi_pack_lane_bits(width)) {
    case 8:
        return ((const uint8_t *)lanes)[i];
    case 16:
        return ((const uint16_t *)lanes)[i];
    case 32:
        return ((const uint32_t *)lanes)[i];
    default:
        return ((const uint64_t *)lanes)[i];
    }
}

static void check_kernel(kdi_unpack_fn *unpack, const uint64_t *values, const void *packed,
                         unsigned width)
{
    uint64_t lanes[KDI_PACK_ROWS];
    unpack(packed, width, lanes);
    for (uint32_t i = 0; i < KDI_PACK_ROWS; i++)
        CHECK_EQ(lane(lanes, width, i), values[i]);
}

TEST(every_width_unpacks_to_what_was_packed)
{
    static uint64_t values[KDI_PACK_ROWS], packed[KDI_PACK_ROWS];
    test_random random = {1};
    for (unsigned width = 0; width <= 64; width++) {
        test_note("width %u", width);
        for (uint32_t i = 0; i < KDI_PACK_ROWS; i++) {
            uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
            values[i] = i % 7 == 0 ? mask : test_random_next(&random) & mask;
        }
        kdi_pack(values, width, packed);
        check_kernel(kdi_unpack, values, packed, width);
        check_kernel(kdi_unpack_baseline, values, packed, width);
        for (uint32_t i = 0; i < KDI_PACK_ROWS; i++)
            CHECK_EQ(kdi_pack_get(packed, width, i), values[i]);
    }
}
