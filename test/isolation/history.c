/*
 * What a history records; safe from several threads, and readable after one of its processes died.
 */
#include "history.h"

#include <sys/mman.h>

const char *const history_anomaly_names[HISTORY_ANOMALIES] = {
    [HISTORY_LOST_WRITE] = "lost write",
    [HISTORY_PARTIAL] = "partial transaction",
    [HISTORY_ABORTED_READ] = "G1a",
    [HISTORY_MIDDLE_READ] = "G1b",
    [HISTORY_WRONG_ORDER] = "wrong order",
    [HISTORY_OWN_WRITE] = "own write not seen",
    [HISTORY_STALE_READ] = "stale read",
    [HISTORY_G0] = "G0",
    [HISTORY_G1C] = "G1c",
    [HISTORY_G_NONADJACENT] = "G-single or G-nonadjacent",
    [HISTORY_G2] = "G2",
};

static size_t history_bytes(uint32_t key_count, uint32_t txn_capacity, uint32_t value_capacity)
{
    return sizeof(history) + txn_capacity * sizeof(history_txn) +
           ((size_t)value_capacity + 2 * (size_t)key_count) * sizeof(uint32_t);
}

history *history_create(bool is_of_registers, uint32_t key_count, uint32_t txn_capacity,
                        uint32_t value_capacity)
{
    void *memory = mmap(NULL, history_bytes(key_count, txn_capacity, value_capacity),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    history *it = memory; /* All zero. */
    it->is_of_registers = is_of_registers;
    it->key_count = key_count;
    it->txn_capacity = txn_capacity;
    it->value_capacity = value_capacity;
    it->txns = (history_txn *)(it + 1);
    it->values = (uint32_t *)(it->txns + txn_capacity);
    it->final_first = it->values + value_capacity;
    it->final_size = it->final_first + key_count;
    return it;
}

void history_destroy(history *it)
{
    if (it != NULL)
        (void)munmap(it, history_bytes(it->key_count, it->txn_capacity, it->value_capacity));
}

uint64_t history_tick(history *it)
{
    return atomic_fetch_add(&it->clock, 1) + 1;
}

history_txn *history_begin(history *it)
{
    uint32_t index = atomic_load(&it->txn_count);
    do {
        if (index == it->txn_capacity)
            return NULL;
    } while (!atomic_compare_exchange_weak(&it->txn_count, &index, index + 1));
    it->txns[index].began = history_tick(it);
    return &it->txns[index];
}

history_op *history_op_add(history *it, history_txn *txn, bool is_write, uint32_t key)
{
    history_op *op = &txn->ops[txn->op_count++];
    *op = (history_op){.is_write = is_write, .key = key, .began = history_tick(it)};
    if (is_write)
        op->value = history_value(it, txn, op);
    return op;
}

uint32_t history_value(const history *it, const history_txn *txn, const history_op *op)
{
    return (uint32_t)((txn - it->txns) * HISTORY_OPS_MAX + (op - txn->ops)) + 1;
}

uint32_t *history_values_add(history *it, uint32_t size, uint32_t *out_first)
{
    uint32_t first = atomic_load(&it->value_count);
    do {
        if (size > it->value_capacity - first)
            return NULL;
    } while (!atomic_compare_exchange_weak(&it->value_count, &first, first + size));
    *out_first = first;
    return it->values + first;
}
