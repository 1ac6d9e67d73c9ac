/*
 * Histories of transactions over lists and registers, and the anomalies in them, in the way of Elle
 * (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB
 * 2020), with the phenomena of Adya, Liskov and O'Neil (2000).
 *
 * Every write has a value of its own, so that a read tells whose write it saw. A key's versions
 * have a known order: of a list, the elements as they stand in the end; of a register, the chain of
 * what each write says that it replaced. From both follow the dependencies between transactions: ww
 * (the next version of a key), wr (a version and who read it), rw (who read a version, and who
 * replaced it).
 *
 * A history lies in memory that processes share, so that one that is killed leaves what it knew.
 */
#ifndef KD_TEST_HISTORY_H
#define KD_TEST_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_OPS_MAX = 8 };

typedef enum history_outcome {
    HISTORY_OPEN = 0,       /* Never asked to commit: must leave nothing. */
    HISTORY_COMMITTING = 1, /* Asked, not answered: all of it or nothing. */
    HISTORY_COMMITTED = 2,
    HISTORY_ABORTED = 3
} history_outcome;

typedef struct history_op {
    bool is_write;
    uint32_t key;
    uint32_t value;       /* A write's, from history_value(). */
    uint32_t previous;    /* A register's write: the value that it replaced, 0 for none. */
    uint32_t first, size; /* A read's values, in history.values: a list, or a register's one. */
    uint64_t began;       /* The clock before the statement. */
} history_op;

typedef struct history_txn {
    _Atomic uint32_t outcome; /* history_outcome */
    uint32_t op_count;
    uint64_t began, ended; /* The clock before its first statement and after its end; 0: never. */
    history_op ops[HISTORY_OPS_MAX];
} history_txn;

typedef struct history {
    uint32_t key_count, txn_capacity, value_capacity;
    bool is_of_registers;
    _Atomic uint32_t txn_count, value_count;
    _Atomic uint64_t clock;
    history_txn *txns;
    uint32_t *values;
    /* What every key holds in the end: a list (sizes may be 0), or a register's one value. */
    uint32_t *final_first, *final_size;
} history;

/* NULL when there is no memory. */
history *history_create(bool is_of_registers, uint32_t key_count, uint32_t txn_capacity,
                        uint32_t value_capacity);
void history_destroy(history *it);

uint64_t history_tick(history *it);
/* A new transaction, open; NULL when all are used. */
history_txn *history_begin(history *it);
/* A new operation of `txn`, whose statement begins now. */
history_op *history_op_add(history *it, history_txn *txn, bool is_write, uint32_t key);
/* The value that `op`, a write of `txn`, writes: never 0, never twice. */
uint32_t history_value(const history *it, const history_txn *txn, const history_op *op);
/* Room for `size` values, or NULL; `*out_first` is their place in history.values. */
uint32_t *history_values_add(history *it, uint32_t size, uint32_t *out_first);

typedef enum history_anomaly {
    HISTORY_LOST_WRITE,    /* Committed, and not there in the end, or overwritten unseen. */
    HISTORY_PARTIAL,       /* Some writes of a transaction are there and others not. */
    HISTORY_ABORTED_READ,  /* G1a: a value that was never committed. */
    HISTORY_MIDDLE_READ,   /* G1b: a value that its transaction replaced itself. */
    HISTORY_WRONG_ORDER,   /* A list that is no beginning of the final one. */
    HISTORY_OWN_WRITE,     /* A transaction does not see what it wrote. */
    HISTORY_STALE_READ,    /* A write is not seen that was acknowledged before. */
    HISTORY_G0,            /* A cycle of ww. */
    HISTORY_G1C,           /* A cycle of ww and wr. */
    HISTORY_G_NONADJACENT, /* A cycle with rw, no two of them in a row; G-single is of this kind. */
    HISTORY_G2,            /* A cycle with rw that snapshots allow: write skew. */
    HISTORY_ANOMALIES
} history_anomaly;

extern const char *const history_anomaly_names[HISTORY_ANOMALIES];

typedef enum history_level {
    HISTORY_READ_COMMITTED,
    HISTORY_SNAPSHOT,
    HISTORY_SERIALIZABLE
} history_level;

typedef struct history_report {
    uint32_t committed; /* Transactions, those in doubt that took effect among them. */
    uint32_t edges;     /* Dependencies between them. */
    uint32_t found[HISTORY_ANOMALIES]; /* How many; of cycles, the knots of transactions in them. */
    char first[HISTORY_ANOMALIES][256]; /* The first of each, in words. */
} history_report;

/* Finds all anomalies; the level only says from when on a read must see what was acknowledged: its
 * statement's beginning, or its transaction's. False when there is no memory. */
bool history_check(const history *it, history_level level, history_report *out);
/* Whether a level forbids it. */
bool history_forbids(history_level level, history_anomaly anomaly);

#endif
