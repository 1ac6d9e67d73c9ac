/*
 * CRC-32C: known values, and both ways of computing it against each other.
 */
#include "base/checksum.h"
#include "base/hash.h"
#include "test.h"

TEST(crc32c_gives_the_published_values)
{
    unsigned char bytes[32] = {0};
    CHECK_EQ(kd_crc32c(0, "123456789", 9), 0xe3069283u);
    CHECK_EQ(kd_crc32c(0, bytes, sizeof bytes), 0x8a9136aau); /* RFC 3720, B.4. */
    memset(bytes, 0xff, sizeof bytes);
    CHECK_EQ(kd_crc32c(0, bytes, sizeof bytes), 0x62a8ab43u);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    CHECK_EQ(kd_crc32c(0, bytes, sizeof bytes), 0x46dd794eu);
    CHECK_EQ(kd_crc32c(0, "", 0), 0);
}

TEST(crc32c_by_table_and_by_instruction_agree_at_every_length)
{
    static unsigned char bytes[8192];
    test_random random = {.state = 1};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)test_random_next(&random);
    for (size_t size_bytes = 0; size_bytes < sizeof bytes - 8; size_bytes += 1 + size_bytes / 37)
        for (size_t shift = 0; shift < 8; shift += 3)
            CHECK_EQ(kd_crc32c(7, bytes + shift, size_bytes),
                     kd_crc32c_by_table(7, bytes + shift, size_bytes));
}

TEST(crc32c_continues_from_an_earlier_part)
{
    static unsigned char bytes[10000];
    memset(bytes, 0x5a, sizeof bytes);
    uint32_t whole = kd_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut < sizeof bytes; cut += 997)
        CHECK_EQ(kd_crc32c(kd_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
}

TEST(hash_of_equal_bytes_is_equal_and_spreads)
{
    CHECK_EQ(kd_hash_bytes("abc", 3), kd_hash_bytes("abc", 3));
    CHECK(kd_hash_bytes("abc", 3) != kd_hash_bytes("abd", 3));
    uint64_t low_bits_set = 0;
    for (uint64_t i = 0; i < 1024; i++)
        low_bits_set += kd_hash_u64(i) & 1;
    CHECK(low_bits_set > 400 && low_bits_set < 624);
}
