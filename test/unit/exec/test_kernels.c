/*
 * The kernels of every instruction set that this machine has, against naive loops.
 */
#include "exec/kernel_internal.h"

#include "test.h"

#include <string.h>

enum { ROWS = 300, SETS_MAX = 3 };

static uint64_t mixed(uint64_t i)
{
    i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9u;
    return i ^ (i >> 27);
}

static uint32_t sets_find(const kdi_kernel_set **sets)
{
    uint32_t count = 0;
    sets[count++] = &kdi_kernels_baseline;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        sets[count++] = &kdi_kernels_avx2;
#endif
    if (kdi_kernels() != sets[count - 1])
        sets[count++] = kdi_kernels();
    return count;
}

static uint64_t value_at(const void *values, unsigned bytes, uint32_t row)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)values + (size_t)row * bytes, bytes);
    return value;
}

static void check_select(const kdi_kernel_set *set, unsigned bytes, kdi_kernel_range range,
                         uint32_t count)
{
    uint64_t values[ROWS];
    uint16_t got[ROWS], want[ROWS];
    uint32_t wanted = 0;
    uint64_t mask = bytes == 8 ? UINT64_MAX : ((uint64_t)1 << (bytes * 8)) - 1;
    for (uint32_t i = 0; i < ROWS; i++)
        values[i] = mixed(i + bytes + count) & 0x3f3f3f3f3f3f3f3fu;
    range.low &= mask;
    range.span &= mask;
    for (uint32_t row = 0; row < count; row++) {
        uint64_t distance = (value_at(values, bytes, row) - range.low) & mask;
        want[wanted] = (uint16_t)row;
        wanted += (distance <= range.span) != range.outside;
    }
    uint32_t kept = bytes == 1   ? set->select_8(values, range, count, got)
                    : bytes == 2 ? set->select_16(values, range, count, got)
                    : bytes == 4 ? set->select_32(values, range, count, got)
                                 : set->select_64(values, range, count, got);
    CHECK_EQ(kept, wanted);
    for (uint32_t i = 0; i < wanted; i++)
        CHECK_EQ(got[i], want[i]);
}

TEST(rows_in_a_range_are_selected_at_every_width)
{
    const kdi_kernel_set *sets[SETS_MAX];
    uint32_t set_count = sets_find(sets);
    const uint64_t spans[] = {0, 7, 0x1f, 0x1f1f1f1f1f1f1f1fu, UINT64_MAX};
    for (uint32_t s = 0; s < set_count; s++)
        for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
            for (uint32_t count = 0; count <= ROWS; count += count < 70 ? 1 : 77)
                for (size_t k = 0; k < sizeof spans / sizeof *spans; k++)
                    for (int outside = 0; outside < 2; outside++)
                        check_select(sets[s], bytes,
                                     (kdi_kernel_range){mixed(k), spans[k], outside != 0}, count);
}

static void check_members(const kdi_kernel_set *set, unsigned bytes, kdi_kernel_bits bits,
                          uint32_t count)
{
    uint32_t offsets[ROWS];
    uint16_t got[ROWS];
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        offsets[i] = (uint32_t)mixed(i + bytes) & 0x7f7f7f7fu;
    uint32_t kept = bytes == 1   ? set->members_u8(offsets, bits, count, got)
                    : bytes == 2 ? set->members_u16(offsets, bits, count, got)
                                 : set->members_u32(offsets, bits, count, got);
    for (uint32_t row = 0; row < count; row++) {
        uint32_t offset = (uint32_t)value_at(offsets, bytes, row);
        uint32_t at = offset + bits.add;
        if (offset - bits.low > bits.span || (bits.words[at / 64] >> (at % 64) & 1) == 0)
            continue;
        CHECK(wanted < kept);
        CHECK_EQ(got[wanted++], row);
    }
    CHECK_EQ(kept, wanted);
}

TEST(members_of_a_set_of_bits_are_selected)
{
    const kdi_kernel_set *sets[SETS_MAX];
    uint32_t set_count = sets_find(sets);
    static uint64_t words[1024];
    for (uint32_t i = 0; i < 1024; i++)
        words[i] = mixed(i);
    const kdi_kernel_bits tests[] = {{words, 0, 0, 0},
                                     {words, 0, 65535, 0},
                                     {words, 100, 5000, 0u - 100},
                                     {words, 0, 40000, 25000},
                                     {words, 0x7f000000u, 65535, 0u - 0x7f000000u}};
    for (uint32_t s = 0; s < set_count; s++)
        for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
            for (uint32_t count = 0; count <= ROWS; count += count < 40 ? 1 : 65)
                for (size_t k = 0; k < sizeof tests / sizeof *tests; k++)
                    check_members(sets[s], bytes, tests[k], count);
}

TEST(smaller_of_two_columns_are_selected)
{
    const kdi_kernel_set *sets[SETS_MAX];
    uint32_t set_count = sets_find(sets);
    int64_t a[ROWS], b[ROWS];
    uint16_t got[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        a[i] = (int64_t)mixed(i) >> (i % 3 == 0 ? 62 : 0);
        b[i] = i % 7 == 0 ? a[i] : (int64_t)mixed(i + ROWS) >> (i % 3 == 0 ? 62 : 0);
    }
    a[1] = INT64_MIN;
    b[1] = INT64_MAX;
    for (uint32_t s = 0; s < set_count; s++)
        for (uint32_t count = 0; count <= ROWS; count += count < 40 ? 1 : 65)
            for (int or_equal = 0; or_equal < 2; or_equal++) {
                uint32_t kept = sets[s]->less(a, b, or_equal != 0, count, got), wanted = 0;
                for (uint32_t row = 0; row < count; row++)
                    if (a[row] < b[row] || (or_equal != 0 && a[row] == b[row]))
                        CHECK_EQ(got[wanted++], row);
                CHECK_EQ(kept, wanted);
            }
}

TEST(sums_under_masks_read_only_what_is_chosen)
{
    const kdi_kernel_set *sets[SETS_MAX];
    uint32_t set_count = sets_find(sets);
    int64_t values[ROWS];
    uint8_t codes[(ROWS + 63) / 64 * 64] = {0};
    for (uint32_t i = 0; i < ROWS; i++) {
        values[i] = (int64_t)mixed(i) >> 12;
        codes[i] = (uint8_t)(mixed(i + 7) % 5);
    }
    for (uint32_t s = 0; s < set_count; s++)
        for (uint32_t count = 1; count <= ROWS && sets[s]->sum_masked != NULL; count += 13)
            for (uint8_t code = 0; code < 6; code++) {
                uint64_t mask[(ROWS + 63) / 64] = {0};
                int64_t total = 0;
                memset(codes + count, 5, sizeof codes - count);
                sets[s]->mask_equal(codes, code, count, mask);
                for (uint32_t i = 0; i < count; i++) {
                    CHECK_EQ(mask[i / 64] >> (i % 64) & 1, codes[i] == code);
                    total += codes[i] == code ? values[i] : 0;
                }
                if (code < 5) /* The tail has code 5: its rows are no values. */
                    CHECK(sets[s]->sum_masked(values, mask, count) == total);
                for (uint32_t i = count; i < ROWS; i++)
                    codes[i] = (uint8_t)(mixed(i + 7) % 5);
            }
}

TEST(sums_products_and_bounds_agree)
{
    const kdi_kernel_set *sets[SETS_MAX];
    uint32_t set_count = sets_find(sets);
    int64_t a[ROWS], b[ROWS], got[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        a[i] = (int64_t)mixed(i + 1) >> 20;
        b[i] = (int64_t)mixed(i + 1000) >> 40;
    }
    for (uint32_t s = 0; s < set_count; s++)
        for (uint32_t count = 1; count <= ROWS; count += 13) {
            int64_t low = a[0], high = a[0], total = 0, least, most;
            for (uint32_t i = 0; i < count; i++) {
                low = a[i] < low ? a[i] : low;
                high = a[i] > high ? a[i] : high;
                total += a[i];
            }
            sets[s]->bounds(a, count, &least, &most);
            CHECK(least == low && most == high);
            CHECK(sets[s]->sum(a, count) == total);
            sets[s]->multiply(got, a, b, count);
            for (uint32_t i = 0; i < count; i++)
                CHECK(got[i] == (int64_t)((uint64_t)a[i] * (uint64_t)b[i]));
            sets[s]->multiply_add(got, a, -3, 17, count);
            for (uint32_t i = 0; i < count; i++)
                CHECK(got[i] == a[i] * -3 + 17);
            sets[s]->widen_u16(got, a, -5, count);
            for (uint32_t i = 0; i < count; i++)
                CHECK(got[i] == (int64_t)value_at(a, 2, i) - 5);
            sets[s]->widen_i32(got, a, 9, count);
            for (uint32_t i = 0; i < count; i++)
                CHECK(got[i] == (int32_t)value_at(a, 4, i) + INT64_C(9));
        }
}
