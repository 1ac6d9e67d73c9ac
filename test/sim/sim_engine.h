/*
 * What the parts of sim_engine share: one run, its sessions, and the model of what each of
 * them owns.
 *
 * Several sessions work at once in the same tables, so that they meet in indexes, flushes, log
 * groups and locks; but every row of item, parent, tag, batch, ticket and side belongs to one of
 * them, which alone changes it. So each session's model is exact under every isolation, and
 * each of its answers can be foretold. The accounts belong to all: their sum stays, and row 0
 * counts the transfers.
 */
#ifndef KD_TEST_SIM_ENGINE_H
#define KD_TEST_SIM_ENGINE_H

#include "sim_world.h"

#include "base/thread.h"
#include "engine/database.h"
#include "engine/statement.h"

enum {
    SESSIONS_MAX = 3,
    PARENTS = 5,
    ITEMS = 24,
    SEATS = 6,
    BATCHES = 4,
    ACCOUNTS = 6,
    ACCOUNT_START = 100,
    SIDE_COLUMNS_MAX = 3,
    SAVEPOINTS_MAX = 3,
    SQL_BYTES = 8192,
    TEXT_BYTES = 16384, /* Of an answer. */
    ABSENT = -1,
};

typedef struct item {
    bool is_there;
    int group; /* ABSENT: NULL. */
    int score;
    int parent; /* ABSENT: NULL. */
    int name_no;
    int tags;
} item;

/* All that one session owns. */
typedef struct belongings {
    int64_t number; /* counter.n: grows with every transaction. */
    int64_t transfers;
    int parents[PARENTS]; /* The label's number, or ABSENT. */
    item items[ITEMS];
    int seats[SEATS];   /* Where each guest sits, or ABSENT. Two on one until the commit. */
    bool seats_at_once; /* In this transaction: by SET CONSTRAINTS. */
    int batch_rows[BATCHES];
    int batch_version[BATCHES];
    int tickets;
    bool has_side;
    int side_columns;
    int side_rows;
    bool has_index;
} belongings;

typedef struct sim_run sim_run;

typedef struct worker {
    sim_run *run;
    unsigned no;
    kd_session *session;
    test_random random;
    belongings committed; /* Acknowledged. */
    belongings attempted; /* What a commit in doubt would give. */
    bool in_doubt;
    belongings current; /* Inside a transaction: what it sees. */
    belongings next;    /* What the statement under way would give. */
    bool in_transaction;
    bool has_failed; /* The transaction, by a statement that was foretold to fail. */
    bool is_stuck;   /* Cannot even roll back: memory is gone for good. */
    unsigned savepoint_count;
    belongings savepoints[SAVEPOINTS_MAX];
    int copy_rows, copy_sent; /* Of the COPY under way. */
    int copy_batch;
    int64_t answered; /* Statements that gave what was foretold. */
} worker;

struct sim_run {
    uint64_t seed;
    sim_disk *disk;
    sim_world *sim;
    kd_database *database;
    test_random random;
    bool may_fail; /* Faults are planned in this life. */
    bool has_schema;
    int64_t seen_transfers; /* The most that any answer told. */
    unsigned session_count;
    worker workers[SESSIONS_MAX];
    bool has_keeper;
    worker keeper;            /* Owns nothing: flushes, compacts and checkpoints all the time. */
    atomic_uint live_workers; /* Whom the keeper works beside. */
};

/* How a statement ended. */
typedef enum verdict {
    FORETOLD = 0, /* Rows, count or SQLSTATE as expected. */
    CONFLICT,     /* Another session, a time-out or a cancel came between: nothing was done. */
    NO_MEMORY,    /* Nothing was done. */
    BROKEN,       /* Disk or power failed. */
} verdict;

/* sim_engine_ask.c */

/* Runs one statement. `sqlstate`: "00000", or how it must fail. `affected` ABSENT: any. `rows`
 * NULL: any; otherwise one line for each row, values separated by '|', NULL as "-". */
verdict ask(worker *self, const char *sqlstate, int64_t affected, const char *rows,
            const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The rows into `out`, of TEXT_BYTES. */
verdict ask_text(worker *self, char *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The first value of the only row. */
verdict ask_int(worker *self, int64_t *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* printf to the end of `text`, of `capacity` bytes. */
void text_add(char *text, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes);

/* sim_engine_model.c */
void belongings_init(belongings *own);
/* Whether two guests have one seat: the key is taken, once it is judged. */
bool seats_clash(const belongings *own);
verdict schema_create(worker *self);
/* What the database holds of the session, and what it must hold by the model. */
verdict belongings_read(worker *self, char *out);
void belongings_tell(const worker *self, const belongings *own, char *out);
/* Decides commits in doubt, and checks everything. */
verdict state_check(sim_run *run);
verdict shared_check(worker *self);
/* A question about the session's rows, with the answer of the model. */
verdict read_anything(worker *self, const belongings *own);

/* sim_engine_work.c */
void worker_run(void *object);
void keeper_run(void *object);

unsigned below(worker *self, unsigned bound);

#endif
