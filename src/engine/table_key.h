/*
 * Unique keys over all partitions of a table.
 *
 * A key that holds the partition columns is kept by the partitions' own indexes: equal keys meet in
 * one partition. Any other stands once more in a table of the storage that has no entry of its own
 * in the catalog (kd_table_index.key_table_no): the key's columns, then the object number of the
 * partition whose row has it, under one unique index. Whoever writes a row of a partition writes
 * that table too, in the same transaction, so uniqueness waits, rolls back and recovers as in any
 * table.
 *
 * Rows whose key has a NULL (unless NULLs are not distinct) or that a partial index leaves out have
 * no entry. References to the partitioned table look the key up there and lock its entry.
 */
#ifndef KD_ENGINE_TABLE_KEY_H
#define KD_ENGINE_TABLE_KEY_H

#include "engine/engine_internal.h"

/* Such a key as it concerns the rows of one partition. */
typedef struct kdi_table_key {
    const kd_table_entry *owner; /* The partitioned table. */
    const kd_table_index *index; /* Its index. */
    kd_table *storage;
    const kd_table_shape *shape; /* Of `storage`. */
    uint32_t *positions;         /* Per column of the index: where the partition has it. */
    int64_t predicate;  /* Where the partition has a partial index's condition; -1: none. */
    kd_value partition; /* The partition's number. */
} kdi_table_key;

/* Whether equal keys can stand in different partitions. */
bool kdi_key_spans_partitions(const kd_table_entry *parent, const kd_table_index *index);
/* An index of a partition (or of another table with these columns) that is over the same as the
 * index of another table: the same columns by name, the same expressions by text. */
bool kdi_index_is_counterpart(const kd_table_entry *parent, const kd_table_index *index,
                              const kd_table_entry *table, const kd_table_index *own);

/* Fills in a key, of which owner and index are given, for the rows of a partition; locks its table
 * for writing. */
kd_status kdi_table_key_of(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                           const kd_table_entry *partition, kdi_table_key *key) KD_MUST_CHECK;
/* The keys of `first`, an ancestor of the partition or soon to be one, and of `first`'s ancestors
 * over their partitions. */
kd_status kdi_table_keys_find(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                              const kd_table_entry *partition, uint32_t first_no,
                              kdi_table_key **out_keys, uint32_t *out_count) KD_MUST_CHECK;

/* Enters the selected rows of a batch in the partition's shape. 23505. */
kd_status kdi_table_key_insert(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key, kd_arena *arena,
                               const kd_batch *rows) KD_MUST_CHECK;
/* The same with a bulk load of the key's table. */
kd_status kdi_table_key_load(kd_ctx *ctx, kd_bulk_load *load, const kdi_table_key *key,
                             kd_arena *arena, const kd_batch *rows) KD_MUST_CHECK;
/* One row. With `tells` a key that is taken is told instead of failing: `*out_taken`, and the
 * outcome is about the key's table. */
kd_status kdi_table_key_insert_row(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key,
                                   const kd_value *values, bool tells, kd_insert_outcome *out_entry,
                                   bool *out_taken) KD_MUST_CHECK;
kd_status kdi_table_key_delete(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key, kd_arena *arena,
                               const kd_value *values) KD_MUST_CHECK;
/* Whether an update makes another entry of the row's. */
bool kdi_table_key_changes(const kdi_table_key *key, const kd_value *old_values,
                           const kd_value *new_values);
/* The row that an entry, got from kdi_table_key_insert_row, belongs to; `*out_partition` NULL when
 * it has gone meanwhile. */
kd_status kdi_table_key_row(kd_ctx *ctx, kd_run *run, const kdi_table_key *key, kd_arena *arena,
                            kd_rowref entry, const kd_value *values,
                            const kd_table_entry **out_partition, kd_rowref *out_ref) KD_MUST_CHECK;

#endif
