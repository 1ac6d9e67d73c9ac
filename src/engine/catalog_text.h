/*
 * Catalog entries as SQL text, for pg_get_*def and the system views, and
 * PostgreSQL's numbers of types.
 */
#ifndef KD_ENGINE_CATALOG_TEXT_H
#define KD_ENGINE_CATALOG_TEXT_H

#include "catalog/catalog.h"
#include "types/type_number.h"

/* The name of a relation; with its schema unless that is "public". */
kd_status kdi_text_relation(kd_ctx *ctx, const kd_catalog_version *version, const kd_object *object,
                            kd_buffer *out) KD_MUST_CHECK;
/* "integer", "numeric(10,2)", an enum's name. */
kd_status kdi_text_type(kd_ctx *ctx, const kd_catalog_version *version, kd_type type,
                        kd_buffer *out) KD_MUST_CHECK;
/* The default or the generating expression of a column; nothing when there is none. A sequence's
 * number is shown as its name. */
kd_status kdi_text_default(kd_ctx *ctx, const kd_catalog_version *version, const kd_column *column,
                           kd_buffer *out) KD_MUST_CHECK;
/* CREATE [UNIQUE] INDEX ... */
kd_status kdi_text_index(kd_ctx *ctx, const kd_catalog_version *version,
                         const kd_table_entry *table, const kd_table_index *index, bool is_pretty,
                         kd_buffer *out) KD_MUST_CHECK;
/* One column or expression of an index, from 0. */
kd_status kdi_text_index_key(kd_ctx *ctx, const kd_table_entry *table, const kd_table_index *index,
                             uint32_t position, kd_buffer *out) KD_MUST_CHECK;

/* "FOR VALUES FROM (1) TO (10)", "DEFAULT"; nothing for a table that is no partition. */
kd_status kdi_text_partition_bound(kd_ctx *ctx, const kd_catalog_version *version,
                                   const kd_text_settings *settings,
                                   const kd_table_entry *partition, kd_buffer *out) KD_MUST_CHECK;
/* "RANGE (day, city)"; nothing for a table without partitions. */
kd_status kdi_text_partition_key(kd_ctx *ctx, const kd_table_entry *table,
                                 kd_buffer *out) KD_MUST_CHECK;

/*
 * Constraints of a table have no objects: they are counted, those of indexes first, then checks,
 * then foreign keys, and their number is made from the table's and this count.
 */
typedef struct kdi_constraint {
    const kd_table_entry *table;
    kd_slice name;
    char kind; /* p u c f */
    const kd_table_index *index;
    const kd_check *check;
    const kd_foreign_key *key;
    uint64_t number;
} kdi_constraint;

uint32_t kdi_constraint_count(const kd_table_entry *table);
/* False when the index at that count is no constraint. */
bool kdi_constraint_at(const kd_table_entry *table, uint32_t count, kdi_constraint *out);
bool kdi_constraint_find(const kd_catalog_version *version, uint64_t number, kdi_constraint *out);
/* "PRIMARY KEY (id)", "CHECK (x > 0)", "FOREIGN KEY (a) REFERENCES t(b)" */
kd_status kdi_text_constraint(kd_ctx *ctx, const kd_catalog_version *version,
                              const kdi_constraint *constraint, kd_buffer *out) KD_MUST_CHECK;

/* As kd_type_of_number, and the catalog's own types. False for an unknown number. */
bool kdi_type_by_number(const kd_catalog_version *version, uint64_t number, int32_t modifier,
                        kd_type *out_type);

/* A materialized view is a table with the query that fills it. The query, or false. */
bool kdi_materialized_query(const kd_object *object, kd_slice *out_query);

const kd_column *kdi_column_by_no(const kd_table_entry *table, uint32_t column_no);

#endif
