/*
 * CRC-32C by table, or by the processor's instruction.
 *
 * The instruction has a latency of three cycles and can start every cycle, so long
 * inputs are cut into three stripes that run interleaved. Their checksums are joined
 * by a linear map ("append n zero bytes"), which is four table look-ups for the
 * fixed stripe length. All tables are computed at the first use.
 */
#include "base/checksum.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { STRIPE_BYTES = 1024, POLYNOMIAL_BITS = 32 };

static const uint32_t polynomial = 0x82f63b78u; /* Castagnoli, reflected. */

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static uint32_t byte_tables[8][256];
static uint32_t stripe_table[4][256]; /* The checksum after STRIPE_BYTES zero bytes. */
static uint32_t (*chosen)(uint32_t crc, const unsigned char *data, size_t size_bytes);

/* Eight bytes a step, each through a table of its own ("slicing by eight"). */
static uint32_t crc_by_table(uint32_t crc, const unsigned char *data, size_t size_bytes)
{
    for (; size_bytes >= 8; data += 8, size_bytes -= 8) {
        uint32_t low, high;
        memcpy(&low, data, 4);
        memcpy(&high, data + 4, 4);
        low ^= crc;
        crc = byte_tables[7][low & 0xff] ^ byte_tables[6][(low >> 8) & 0xff] ^
              byte_tables[5][(low >> 16) & 0xff] ^ byte_tables[4][low >> 24] ^
              byte_tables[3][high & 0xff] ^ byte_tables[2][(high >> 8) & 0xff] ^
              byte_tables[1][(high >> 16) & 0xff] ^ byte_tables[0][high >> 24];
    }
    for (; size_bytes > 0; data++, size_bytes--)
        crc = byte_tables[0][(crc ^ *data) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

static uint32_t after_stripe(uint32_t crc)
{
    return stripe_table[0][crc & 0xff] ^ stripe_table[1][(crc >> 8) & 0xff] ^
           stripe_table[2][(crc >> 16) & 0xff] ^ stripe_table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc,
                                                                     const unsigned char *data,
                                                                     size_t size_bytes)
{
    uint64_t a = crc;
    while (size_bytes >= 3 * STRIPE_BYTES) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < STRIPE_BYTES; i += 8) {
            uint64_t words[3];
            memcpy(&words[0], data + i, 8);
            memcpy(&words[1], data + STRIPE_BYTES + i, 8);
            memcpy(&words[2], data + 2 * STRIPE_BYTES + i, 8);
            a = _mm_crc32_u64(a, words[0]);
            b = _mm_crc32_u64(b, words[1]);
            c = _mm_crc32_u64(c, words[2]);
        }
        a = after_stripe((uint32_t)a) ^ b;
        a = after_stripe((uint32_t)a) ^ c;
        data += 3 * STRIPE_BYTES;
        size_bytes -= 3 * STRIPE_BYTES;
    }
    for (; size_bytes >= 8; data += 8, size_bytes -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        a = _mm_crc32_u64(a, word);
    }
    for (; size_bytes > 0; data++, size_bytes--)
        a = _mm_crc32_u8((uint32_t)a, *data);
    return (uint32_t)a;
}
#endif

static void tables_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
        byte_tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int table = 1; table < 8; table++) {
            uint32_t crc = byte_tables[table - 1][byte];
            byte_tables[table][byte] = byte_tables[0][crc & 0xff] ^ (crc >> 8);
        }
    /* The map is linear: the images of the 32 single bits give the whole of it. */
    static const unsigned char zeros[STRIPE_BYTES];
    uint32_t images[POLYNOMIAL_BITS];
    for (int bit = 0; bit < POLYNOMIAL_BITS; bit++)
        images[bit] = crc_by_table((uint32_t)1 << bit, zeros, STRIPE_BYTES);
    for (int table = 0; table < 4; table++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t image = 0;
            for (int bit = 0; bit < 8; bit++)
                if ((byte >> bit & 1) != 0)
                    image ^= images[table * 8 + bit];
            stripe_table[table][byte] = image;
        }
    chosen = crc_by_table;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        chosen = crc_by_instruction;
#endif
}

uint32_t kd_crc32c(uint32_t crc, const void *data, size_t size_bytes)
{
    (void)pthread_once(&tables_once, tables_fill);
    return ~chosen(~crc, data, size_bytes);
}

uint32_t kd_crc32c_by_table(uint32_t crc, const void *data, size_t size_bytes)
{
    (void)pthread_once(&tables_once, tables_fill);
    return ~crc_by_table(~crc, data, size_bytes);
}
