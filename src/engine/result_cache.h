/*
 * Rows of queries that come again.
 *
 * With result_cache_bytes, a database keeps the rows of queries whose answer follows from their
 * text, their parameters, settings and the rows of stored tables alone. They are given again to
 * whoever asks the same while no transaction that either of the two sees, and the other does not,
 * has changed one of the tables: each table tells the stamp of its last change (table/table.h), and
 * what was read at one stamp is what another would read if that lies at or before both.
 *
 * Rows are counted in the governor's account, and go, the least recently used first, when there is
 * no room, or when statements find the budget used up. Any thread.
 */
#ifndef KD_ENGINE_RESULT_CACHE_H
#define KD_ENGINE_RESULT_CACHE_H

#include "engine/statement.h"
#include "table/table.h"

typedef struct kdi_result_cache kdi_result_cache;
typedef struct kdi_result kdi_result;

typedef struct kdi_result_counts {
    uint64_t hits, misses;
    uint64_t stale;   /* Dropped, since a table had changed. */
    uint64_t evicted; /* Dropped for want of room. */
    uint64_t entries, bytes, limit_bytes;
} kdi_result_counts;

kd_status kdi_result_cache_create(kd_ctx *ctx, kd_database *database,
                                  kdi_result_cache **out_cache) KD_MUST_CHECK;
/* NULL is allowed. No session is left, and the storage is gone. */
void kdi_result_cache_destroy(kdi_result_cache *cache);
void kdi_result_cache_limit(kdi_result_cache *cache, uint64_t limit_bytes);
bool kdi_result_cache_is_on(const kdi_result_cache *cache);
kdi_result_counts kdi_result_cache_counts(kdi_result_cache *cache);

/* The rows that a snapshot would find, held until kdi_result_release; NULL: they are not there. The
 * caller's transaction is open. */
kdi_result *kdi_result_find(kdi_result_cache *cache, kd_slice key, kd_stamp snapshot);
void kdi_result_release(kdi_result *result); /* NULL is allowed. */
/* False past the last batch. */
bool kdi_result_batch(const kdi_result *result, uint32_t index, kd_batch *out_batch);
uint64_t kdi_result_row_count(const kdi_result *result);

/* Rows on their way to be kept: noted as they are given. Goes with the run's arena. */
typedef struct kdi_result_draft kdi_result_draft;
/* NULL: there is no memory for it. */
kdi_result_draft *kdi_result_draft_begin(kd_run *run, kd_slice key);
/* False: there are too many, or there is no memory for them; the draft is over. */
bool kdi_result_draft_add(kdi_result_draft *draft, const kd_batch *batch);
/* These were all. */
void kdi_result_draft_keep(kdi_result_draft *draft);
void kdi_result_draft_drop(kdi_result_draft *draft); /* NULL is allowed. */

#endif
