/*
 * The checker itself: planted anomalies are found and named, histories without one pass.
 */
#include "history.h"
#include "test.h"

#include <string.h>

typedef struct planted {
    history *it;
    history_txn *txns[8];
} planted;

static planted begin(bool is_of_registers, unsigned txns)
{
    planted p = {.it = history_create(is_of_registers, 4, 8, 64)};
    CHECK(p.it != NULL);
    for (unsigned i = 0; i < txns; i++)
        p.txns[i] = history_begin(p.it);
    return p;
}

static uint32_t write_of(planted *p, unsigned txn, uint32_t key)
{
    return history_op_add(p->it, p->txns[txn], true, key)->value;
}

static void keep(planted *p, const uint32_t *list, uint32_t size, uint32_t *first,
                 uint32_t *out_size)
{
    uint32_t *values = history_values_add(p->it, size, first);
    CHECK(values != NULL);
    for (uint32_t i = 0; i < size; i++)
        values[i] = list[i];
    *out_size = size;
}

static void read_of(planted *p, unsigned txn, uint32_t key, const uint32_t *list, uint32_t size)
{
    history_op *op = history_op_add(p->it, p->txns[txn], false, key);
    keep(p, list, size, &op->first, &op->size);
}

static void final(planted *p, uint32_t key, const uint32_t *list, uint32_t size)
{
    keep(p, list, size, &p->it->final_first[key], &p->it->final_size[key]);
}

static void end(planted *p, unsigned txn, history_outcome outcome)
{
    p->txns[txn]->ended = history_tick(p->it);
    atomic_store(&p->txns[txn]->outcome, outcome);
}

/* All that began and have no outcome commit now; then exactly the anomalies of `mask` are found. */
static void finds(planted *p, unsigned txns, unsigned mask)
{
    for (unsigned i = 0; i < txns; i++) {
        if (p->txns[i]->ended == 0)
            end(p, i, HISTORY_COMMITTED);
    }
    history_report report;
    CHECK(history_check(p->it, HISTORY_SERIALIZABLE, &report));
    for (unsigned i = 0; i < HISTORY_ANOMALIES; i++) {
        test_note("%s: %s", history_anomaly_names[i], report.first[i]);
        CHECK_EQ(report.found[i] > 0, (mask >> i) & 1);
    }
    history_destroy(p->it);
}

TEST(a_serial_history_passes)
{
    planted p = begin(false, 3);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 1, 0);
    read_of(&p, 0, 0, (uint32_t[]){a}, 1);
    read_of(&p, 2, 0, (uint32_t[]){a, b}, 2);
    final(&p, 0, (uint32_t[]){a, b}, 2);
    finds(&p, 3, 0);
}

TEST(a_lost_append_is_found)
{
    planted p = begin(false, 2);
    uint32_t a = write_of(&p, 0, 0);
    (void)write_of(&p, 1, 0);
    final(&p, 0, (uint32_t[]){a}, 1);
    finds(&p, 2, 1u << HISTORY_LOST_WRITE);
}

TEST(a_transaction_in_doubt_is_there_wholly_or_not)
{
    planted p = begin(false, 1);
    uint32_t a = write_of(&p, 0, 0);
    (void)write_of(&p, 0, 1);
    end(&p, 0, HISTORY_COMMITTING);
    final(&p, 0, (uint32_t[]){a}, 1);
    finds(&p, 1, 1u << HISTORY_PARTIAL);

    p = begin(false, 1);
    (void)write_of(&p, 0, 0);
    (void)write_of(&p, 0, 1);
    end(&p, 0, HISTORY_COMMITTING);
    finds(&p, 1, 0);
}

TEST(reads_of_aborted_and_replaced_values_are_found)
{
    planted p = begin(false, 2);
    uint32_t a = write_of(&p, 0, 0);
    end(&p, 0, HISTORY_ABORTED);
    read_of(&p, 1, 0, (uint32_t[]){a}, 1);
    finds(&p, 2, 1u << HISTORY_ABORTED_READ);

    p = begin(false, 2);
    a = write_of(&p, 0, 0);
    uint32_t b = write_of(&p, 0, 0);
    read_of(&p, 1, 0, (uint32_t[]){a}, 1);
    final(&p, 0, (uint32_t[]){a, b}, 2);
    /* It saw one write of the transaction and not the other: a cycle as well. */
    finds(&p, 2, 1u << HISTORY_MIDDLE_READ | 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);
}

TEST(lists_out_of_order_and_own_writes_unseen_are_found)
{
    planted p = begin(false, 3);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 1, 0);
    read_of(&p, 2, 0, (uint32_t[]){b, a}, 2);
    final(&p, 0, (uint32_t[]){a, b}, 2);
    finds(&p, 3, 1u << HISTORY_WRONG_ORDER);

    p = begin(false, 1);
    a = write_of(&p, 0, 0);
    read_of(&p, 0, 0, NULL, 0);
    final(&p, 0, (uint32_t[]){a}, 1);
    finds(&p, 1, 1u << HISTORY_OWN_WRITE);
}

TEST(a_read_that_misses_what_was_acknowledged_is_stale)
{
    planted p = begin(false, 1);
    uint32_t a = write_of(&p, 0, 0);
    end(&p, 0, HISTORY_COMMITTED);
    p.txns[1] = history_begin(p.it);
    read_of(&p, 1, 0, NULL, 0);
    final(&p, 0, (uint32_t[]){a}, 1);
    finds(&p, 2, 1u << HISTORY_STALE_READ);
}

TEST(dirty_writes_are_a_cycle_of_ww)
{
    planted p = begin(false, 2);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 0, 1);
    uint32_t c = write_of(&p, 1, 0), d = write_of(&p, 1, 1);
    final(&p, 0, (uint32_t[]){a, c}, 2);
    final(&p, 1, (uint32_t[]){d, b}, 2);
    finds(&p, 2,
          1u << HISTORY_G0 | 1u << HISTORY_G1C | 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);
}

TEST(transactions_that_see_each_other_are_G1c)
{
    planted p = begin(false, 2);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 1, 1);
    read_of(&p, 0, 1, (uint32_t[]){b}, 1);
    read_of(&p, 1, 0, (uint32_t[]){a}, 1);
    final(&p, 0, &a, 1);
    final(&p, 1, &b, 1);
    finds(&p, 2, 1u << HISTORY_G1C | 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);
}

TEST(read_skew_and_long_forks_are_forbidden_to_snapshots)
{
    planted p = begin(false, 2); /* Sees one write of the other transaction and not the second. */
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 0, 1);
    read_of(&p, 1, 0, &a, 1);
    read_of(&p, 1, 1, NULL, 0);
    final(&p, 0, &a, 1);
    final(&p, 1, &b, 1);
    finds(&p, 2, 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);

    p = begin(false, 4); /* Two writes, seen in opposite orders. */
    a = write_of(&p, 0, 0), b = write_of(&p, 1, 1);
    read_of(&p, 2, 0, &a, 1);
    read_of(&p, 2, 1, NULL, 0);
    read_of(&p, 3, 0, NULL, 0);
    read_of(&p, 3, 1, &b, 1);
    final(&p, 0, &a, 1);
    final(&p, 1, &b, 1);
    finds(&p, 4, 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);
}

TEST(write_skew_is_G2_and_nothing_else)
{
    planted p = begin(false, 2);
    read_of(&p, 0, 0, NULL, 0);
    read_of(&p, 1, 1, NULL, 0);
    uint32_t b = write_of(&p, 0, 1), a = write_of(&p, 1, 0);
    final(&p, 0, &a, 1);
    final(&p, 1, &b, 1);
    finds(&p, 2, 1u << HISTORY_G2);
}

TEST(registers_overwritten_unseen_are_lost_writes)
{
    planted p = begin(true, 2);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 1, 0);
    p.txns[1]->ops[0].previous = a;
    final(&p, 0, &b, 1);
    finds(&p, 2, 0);

    p = begin(true, 2);
    (void)write_of(&p, 0, 0), b = write_of(&p, 1, 0); /* Both replaced nothing. */
    final(&p, 0, &b, 1);
    finds(&p, 2, 1u << HISTORY_LOST_WRITE);
}

TEST(registers_read_behind_the_last_write_form_the_same_cycles)
{
    planted p = begin(true, 2);
    uint32_t a = write_of(&p, 0, 0), b = write_of(&p, 0, 1);
    read_of(&p, 1, 0, &a, 1);
    read_of(&p, 1, 1, (uint32_t[]){0}, 1);
    final(&p, 0, &a, 1);
    final(&p, 1, &b, 1);
    finds(&p, 2, 1u << HISTORY_G_NONADJACENT | 1u << HISTORY_G2);
}
