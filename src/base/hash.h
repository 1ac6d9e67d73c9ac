/*
 * Hashing: XXH3 for bytes, a multiply-fold for integers.
 *
 * Hashes are for memory only. What is stored on disk names its own function.
 */
#ifndef KD_BASE_HASH_H
#define KD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t kd_hash_bytes(const void *data, size_t size_bytes);

static inline uint64_t kd_hash_u64(uint64_t value)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(value ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t kd_hash_combine(uint64_t seed, uint64_t hash)
{
    return kd_hash_u64(seed * 31 + hash);
}

#endif
