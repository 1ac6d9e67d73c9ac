/*
 * What the planner may ask about the contents of tables.
 *
 * The engine keeps a sample of each table's rows and answers from it (engine/sample_store.c); the
 * planner, which stands below, is handed this table of questions. No question fails: what cannot be
 * told is answered by "not known", and the planner guesses.
 */
#ifndef KD_PLAN_STATISTICS_H
#define KD_PLAN_STATISTICS_H

#include "sql/bound.h"

/* A condition over columns of one table; `ids[i]` is the column at `positions[i]` of its shape. */
typedef struct kd_sample_question {
    const kd_table_entry *table;
    const kd_column_id *ids;
    const uint32_t *positions;
    uint32_t column_count;
    const kd_expr *condition;
} kd_sample_question;

typedef struct kd_statistics {
    void *self;
    kd_snapshot snapshot;          /* What a new sample is taken of. */
    const kd_session_facts *facts; /* Of the statement; conditions are evaluated with them. */
    /* How many different values (for several columns: combinations) there are; 0: not known. */
    double (*distinct)(kd_ctx *ctx, const struct kd_statistics *statistics,
                       const kd_table_entry *table, const uint32_t *positions, uint32_t count);
    /* How many rows of the sample pass. False: not known. Scratch goes in `arena`. */
    bool (*passing)(kd_ctx *ctx, const struct kd_statistics *statistics, kd_arena *arena,
                    const kd_sample_question *question, uint32_t *out_passed,
                    uint32_t *out_sampled);
    /* What an inverted index says about a query: what answering it costs, in rows that are fetched
     * one by one, and how many rows it may give. False: not known. */
    bool (*items)(kd_ctx *ctx, const struct kd_statistics *statistics, kd_arena *arena,
                  const kd_table_entry *table, const kd_table_index *index,
                  const kd_item_node *query, double *out_cost, double *out_rows);
} kd_statistics;

#endif
