/*
 * What the three processes of kill_engine share: the schema's numbers and the record of what was
 * acknowledged.
 *
 * Every transaction of the load writes a row into `journal` that names its cycle, thread
 * and number in the thread, and what it did; everything else that it wrote can be computed from
 * that row or from a row of `flag` that it changed too. After its commit the load appends
 * (cycle, thread, number) to a file, which a kill cannot take back.
 */
#ifndef KD_TEST_KILL_ENGINE_H
#define KD_TEST_KILL_ENGINE_H

#include "kade_kit.h"

enum {
    LOAD_THREADS = 4,
    ACCOUNTS = 200,
    ACCOUNT_START = 1000,
    MINE_ROWS = 20,
    CYCLES_KEPT = 4, /* Older journal rows are deleted by the load. */
    BULK_ROWS = 3000,
    NUMBER_MAX = 100000, /* Transactions of a thread in one cycle. */
};

typedef struct acknowledgement {
    uint32_t cycle, thread, number;
} acknowledgement;

/* Shared by parent and children. */
typedef struct kill_state {
    uint64_t acknowledged;
    uint32_t loads; /* Of the cycle: each leaves a transaction of every thread in doubt. */
    /* Of the journal's rows by cycle modulo CYCLES_KEPT, as the last check saw them. */
    int64_t row_count[CYCLES_KEPT];
    int64_t number_sum[CYCLES_KEPT];
} kill_state;

typedef struct kill_load {
    const char *directory;
    uint32_t cycle, first_number; /* 1, or above what another load of this cycle reached. */
    uint64_t seed;
    int ack_file;
    bool disk_may_fail; /* Then what the disk refuses is tried again and again. */
} kill_load;

/* Runs until it is killed; with a disk that may fail it may leave with 0 when opening fails. */
_Noreturn void kill_engine_load(const kill_load *load);
/* Opens, recovers, checks everything; ends the process with 0 when all is right. */
_Noreturn void kill_engine_check(const char *directory, uint32_t cycle, uint64_t seed,
                                 const char *ack_path, kill_state *state);

#endif
