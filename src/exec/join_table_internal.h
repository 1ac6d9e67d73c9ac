/*
 * The build side of a hash join: rows in a store, chained by hash.
 *
 * A slot holds the address of the first row of its chain and, in its upper 16 bits, a small filter
 * of all hashes in the chain: most probes without a match end at the slot. A row's header holds
 * its hash and the next row of the chain.
 *
 * A single integer key whose values lie close together needs no hashes: the table is direct then,
 * with a slot for every integer from the lowest key to the highest. Its chains hold rows of one
 * key, and a bitmap of the keys says which left rows may match at all.
 */
#ifndef KD_EXEC_JOIN_TABLE_INTERNAL_H
#define KD_EXEC_JOIN_TABLE_INTERNAL_H

#include "exec/row_store_internal.h"

typedef struct kdi_join_table {
    kd_world *world;
    kd_account *account;
    kdi_row_store *store;
    uint64_t *slots;
    uint32_t shift; /* Slot of a hash: hash >> shift. */
    bool is_direct;
    bool has_chains; /* Direct: some key has several rows. */
    int64_t low;     /* Direct: slot of a key: key - low, below `span`. */
    uint64_t span;
} kdi_join_table;

/* Chains all rows of the store whose header's flag does not say that a key is NULL. With
 * `is_one_key` the first column is the only key, compared with =. */
kd_status kdi_join_table_build(kd_ctx *ctx, kdi_join_table *table, kdi_row_store *store,
                               bool is_one_key) KD_MUST_CHECK;
void kdi_join_table_clear(kdi_join_table *table);

static inline uint64_t kdi_join_tag(uint64_t hash)
{
    return (uint64_t)1 << (48 + (hash & 15));
}

/* The first row that may match, or NULL. */
static inline char *kdi_join_table_first(const kdi_join_table *table, uint64_t hash)
{
    uint64_t slot = table->slots[hash >> table->shift];
    if ((slot & kdi_join_tag(hash)) == 0)
        return NULL;
    return (char *)(uintptr_t)(slot & (((uint64_t)1 << 48) - 1));
}

/* Direct: the first row of a key, or NULL. */
static inline char *kdi_join_table_of_key(const kdi_join_table *table, int64_t key)
{
    uint64_t at = (uint64_t)key - (uint64_t)table->low;
    return at < table->span ? (char *)(uintptr_t)table->slots[at] : NULL;
}

/* The upper bit of a row's chain word says that some probe row has met it: RIGHT and FULL joins set
 * it while other threads follow the chain. */
static inline char *kdi_join_row_next(const char *row)
{
    uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(row + 8), __ATOMIC_RELAXED);
    return (char *)(uintptr_t)(word & (((uint64_t)1 << 48) - 1));
}

static inline void kdi_join_row_set_met(char *row)
{
    uint64_t *word = (uint64_t *)(void *)(row + 8);
    uint64_t met = (uint64_t)1 << 63;
    if ((__atomic_load_n(word, __ATOMIC_RELAXED) & met) == 0)
        (void)__atomic_fetch_or(word, met, __ATOMIC_RELAXED);
}

static inline bool kdi_join_row_is_met(const char *row)
{
    return (kd_load_u64(row + 8) >> 63) != 0;
}

#endif
