/*
 * Definitions in the making: what CREATE TABLE and ALTER TABLE share.
 *
 * A draft is a table entry whose lists can grow. Columns stand visible ones
 * first; hidden ones (keys of expression indexes, predicates of partial ones)
 * behind them. A draft becomes part of the catalog with kdi_draft_put.
 */
#ifndef KD_ENGINE_DEFINE_INTERNAL_H
#define KD_ENGINE_DEFINE_INTERNAL_H

#include "engine/engine_internal.h"

typedef struct kdi_draft {
    kd_run *run;
    kd_arena *arena;
    kd_table_entry entry; /* Lists are the growing ones below. */
    kd_column *columns;
    size_t column_capacity;
    kd_table_index *indexes;
    size_t index_capacity;
    kd_check *checks;
    size_t check_capacity;
    kd_foreign_key *foreign_keys;
    size_t foreign_capacity;
    kd_table *storage; /* NULL until it is made (and for parents). */
    bool exists;       /* ALTER: constraints must hold for the rows there. */
} kdi_draft;

/* --- define_name.c -------------------------------------------------------------------------------
 */

/* The schema that a new object goes to: the name's, or the first of the search path. 3F000. */
kd_status kdi_target_schema(kd_ctx *ctx, kd_run *run, const kd_ast_name *name,
                            uint32_t *out_schema_no) KD_MUST_CHECK;
/* 42P07 when a relation (or 42710 a type) of that name is there; with `if_not_exists` a notice and
 * `*out_exists`. The catalog version looked at is the transaction's newest. */
kd_status kdi_check_free(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                         kd_object_kind kind, bool if_not_exists, bool *out_exists) KD_MUST_CHECK;
/* "base_middle_suffix", made unique among relations of the schema and the constraints of `draft`.
 */
kd_status kdi_choose_name(kd_ctx *ctx, kd_run *run, const kdi_draft *draft, uint32_t schema_no,
                          kd_slice base, kd_slice middle, const char *suffix,
                          kd_slice *out_name) KD_MUST_CHECK;
/* The statement's text of a node, copied. */
kd_status kdi_node_text(kd_ctx *ctx, kd_run *run, const kd_ast_node *node,
                        kd_slice *out_text) KD_MUST_CHECK;
kd_status kdi_copy_name(kd_ctx *ctx, kd_arena *arena, kd_slice name,
                        kd_slice *out_copy) KD_MUST_CHECK;
/* `text` with every use of the name `from` as a column written as `to`, quoted. Strings, qualified
 * names' qualifiers and function names are left alone. */
kd_status kdi_replace_name(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice from, kd_slice to,
                           kd_slice *out_text) KD_MUST_CHECK;
/* A type of the search path (or the name's schema) that was created: an enum or domain; else NULL.
 */
const kd_object *kdi_find_type(const kd_run *run, const kd_ast_name *name);
/* The objects that a query reads, for what depends on them. */
kd_status kdi_query_depends(kd_ctx *ctx, kd_run *run, const kd_prepared *query,
                            const uint32_t **out_objects, uint32_t *out_count) KD_MUST_CHECK;
/* After a change of `changed`: views that no longer bind are dropped with `cascade`, else 2BP01. */
kd_status kdi_views_after(kd_ctx *ctx, kd_run *run, const kd_object *changed,
                          bool cascade) KD_MUST_CHECK;
/* The run sees the catalog as its own changes left it. Call after every kd_catalog_put. */
kd_status kdi_catalog_refresh(kd_ctx *ctx, kd_run *run) KD_MUST_CHECK;
kd_status kdi_put(kd_ctx *ctx, kd_run *run, const kd_object *entry) KD_MUST_CHECK;
kd_status kdi_remove(kd_ctx *ctx, kd_run *run, uint32_t object_no) KD_MUST_CHECK;
/* A table by name, locked EXCLUSIVE: 42P01, 42809 when it is something else. NULL with
 * `missing_ok`. */
kd_status kdi_table_for_change(kd_ctx *ctx, kd_run *run, const kd_ast_name *name, bool missing_ok,
                               const kd_table_entry **out_table) KD_MUST_CHECK;

/* --- define_composite.c
 * ---------------------------------------------------------------------------- */

/* Whether columns hold rows of a table or composite type, however deep. */
kd_status kdi_has_row_users(kd_ctx *ctx, kd_run *run, uint32_t object_no,
                            bool *out_has) KD_MUST_CHECK;
/* 0A000 when columns hold rows of this type, however deep. */
kd_status kdi_refuse_row_users(kd_ctx *ctx, kd_run *run, const kd_object *changed) KD_MUST_CHECK;
/* Rewrites the tables that hold rows of a type that was changed. */
kd_status kdi_rewrite_row_users(kd_ctx *ctx, kd_run *run, uint32_t object_no) KD_MUST_CHECK;
kd_status kdi_rename_attribute(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast) KD_MUST_CHECK;
kd_status kdi_comment_on_attribute(kd_ctx *ctx, kd_run *run, const kd_object *type,
                                   kd_slice attribute, kd_slice text) KD_MUST_CHECK;

/* --- define_routine.c
 * ------------------------------------------------------------------------------ */

/* A function, procedure or macro by name and, where they are written, types of arguments. */
kd_status kdi_named_routine(kd_ctx *ctx, kd_run *run, kd_ast_object_kind kind,
                            const kd_ast_object *object, bool missing_ok,
                            const kd_routine_entry **out) KD_MUST_CHECK;
kd_status kdi_move_routine(kd_ctx *ctx, kd_run *run, const kd_routine_entry *old, kd_slice name,
                           uint32_t schema_no) KD_MUST_CHECK;

/* --- define_draft.c
 * ------------------------------------------------------------------------------- */

kd_status kdi_draft_create(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                           kdi_draft **out_draft) KD_MUST_CHECK;
kd_status kdi_draft_open(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                         kdi_draft **out_draft) KD_MUST_CHECK;
/* Brings `entry` up to date with the lists (shape included). */
kd_status kdi_draft_sync(kd_ctx *ctx, kdi_draft *draft) KD_MUST_CHECK;
/* Gives the entry to the catalog. */
kd_status kdi_draft_put(kd_ctx *ctx, kdi_draft *draft) KD_MUST_CHECK;
/* Position of a column, or -1; hidden ones do not count. */
int kdi_draft_find_column(const kdi_draft *draft, kd_slice name);
/* A new column at the end of the visible (or hidden) ones; 42701 when the name is taken. */
/* 42P16 for types that no column may have. */
/* 42701 for the name of a system column. */
kd_status kdi_check_column_name(kd_ctx *ctx, kd_slice name) KD_MUST_CHECK;
kd_status kdi_check_column_type(kd_ctx *ctx, kd_slice name, kd_type type) KD_MUST_CHECK;
kd_status kdi_draft_add_column(kd_ctx *ctx, kdi_draft *draft, kd_slice name, kd_type type,
                               bool hidden, kd_column **out_column) KD_MUST_CHECK;
/* A column as written, with its constraints, keys included. Checks and generation expressions may
 * name any column: kdi_draft_add_late adds them when all are there. */
kd_status kdi_draft_add_definition(kd_ctx *ctx, kdi_draft *draft,
                                   const kd_ast_column_def *definition) KD_MUST_CHECK;
kd_status kdi_draft_add_late(kd_ctx *ctx, kdi_draft *draft,
                             const kd_ast_column_def *definition) KD_MUST_CHECK;
/* Whether an expression over the table names the column at a position. */
kd_status kdi_draft_uses_column(kd_ctx *ctx, kdi_draft *draft, kd_slice text, uint32_t position,
                                bool *out_uses) KD_MUST_CHECK;
/* 42804 where a foreign key's columns have types of which no value of one can be looked up as one
 * of the other. */
kd_status kdi_foreign_types_check(kd_ctx *ctx, const kd_table_entry *table,
                                  const kd_table_entry *target, kd_slice name, const uint32_t *ours,
                                  const uint32_t *theirs, uint32_t count) KD_MUST_CHECK;
/* 23503 when a row that is there has nothing to refer to. */
kd_status kdi_draft_check_rows(kd_ctx *ctx, kdi_draft *draft, const kd_foreign_key *key,
                               const kd_table_entry *target) KD_MUST_CHECK;
/* A table constraint, or a column's with `column` >= 0. */
kd_status kdi_draft_add_constraint(kd_ctx *ctx, kdi_draft *draft,
                                   const kd_ast_constraint *constraint, int column) KD_MUST_CHECK;
/* Indexes: of constraints and CREATE INDEX. `names`: plain columns. */
/* Of an inverted index: that its columns' types can still be taken apart as it does; 42704, 42804.
 */
kd_status kdi_index_types_check(kd_ctx *ctx, const kdi_draft *draft,
                                const kd_table_index *index) KD_MUST_CHECK;
/* "a, b" of an index's columns, for messages. */
kd_status kdi_columns_text(kd_ctx *ctx, kd_arena *arena, const kd_slice *texts, uint32_t count,
                           kd_slice *out_text) KD_MUST_CHECK;
kd_status kdi_draft_add_key(kd_ctx *ctx, kdi_draft *draft, const kd_ast_constraint *constraint,
                            const kd_slice *names, uint32_t name_count) KD_MUST_CHECK;
kd_status kdi_draft_add_index(kd_ctx *ctx, kdi_draft *draft,
                              const kd_ast_create_index *ast) KD_MUST_CHECK;
/* Makes the storage, then the indexes that wait for it. */
kd_status kdi_draft_build(kd_ctx *ctx, kdi_draft *draft) KD_MUST_CHECK;
/* A column of `own` has another type now: 42804 where a foreign key, the table's own or one that
 * refers to it, cannot be with that type. */
kd_status kdi_references_fit(kd_ctx *ctx, kdi_draft *own, uint32_t column_no) KD_MUST_CHECK;
/* The column's values were converted: 23503 where rows of others refer to what is not there now. */
kd_status kdi_references_hold(kd_ctx *ctx, kd_run *run, uint32_t object_no,
                              uint32_t column_no) KD_MUST_CHECK;
/* Foreign keys that refer by the unique index of `table`, whose draft is `own`, go with it; without
 * `cascade` they stop its drop (2BP01), told as that of `subject`, since they depend on `base`. */
kd_status kdi_references_drop(kd_ctx *ctx, kdi_draft *own, const kd_table_entry *table,
                              const kd_table_index *index, bool cascade, const char *subject,
                              const char *base) KD_MUST_CHECK;
/* Removes the index at `position` from draft and storage. */
kd_status kdi_draft_drop_index(kd_ctx *ctx, kdi_draft *draft, uint32_t position) KD_MUST_CHECK;
/* A hidden column that holds an expression over the row, of an index or of a partition key. Rows
 * that are there need it computed: the caller rewrites the table when it has any. `immutable` as
 * below. */
kd_status kdi_draft_add_hidden(kd_ctx *ctx, kdi_draft *draft, const kd_ast_node *node,
                               kd_type wanted, const char *immutable, kd_slice *out_text,
                               uint32_t *out_column_no) KD_MUST_CHECK;
/* Binds an expression over the draft's columns (or none), to see that it is right. Sub-queries are
 * refused (0A000). With `immutable`, that is the message (42P17) where the expression is not. */
kd_status kdi_draft_check_expression(kd_ctx *ctx, kdi_draft *draft, kd_slice text, bool over_table,
                                     kd_type wanted, const char *immutable,
                                     kd_type *out_type) KD_MUST_CHECK;
/* A column whose values come from an expression over the old table. */
typedef struct kdi_conversion {
    uint32_t column_no;
    kd_slice text;
} kdi_conversion;

/* Copies all rows into a new storage of the draft's shape. */
kd_status kdi_draft_rewrite(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *old_table,
                            const kdi_conversion *conversions, uint32_t count) KD_MUST_CHECK;

/* An index, a foreign key like one of another table, over the draft's columns of the same names. */
kd_status kdi_draft_copy_index(kd_ctx *ctx, kdi_draft *draft,
                               const kd_table_index *source) KD_MUST_CHECK;
kd_status kdi_draft_copy_foreign(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *parent,
                                 const kd_foreign_key *key) KD_MUST_CHECK;
/* Whether some row of `table` lies within the bound (or, not `inside`, without). */
kd_status kdi_partition_has_row(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                                const kd_table_entry *table, const kd_partition_bound *bound,
                                bool inside, bool *out_has) KD_MUST_CHECK;
/* The bound of a partition as written, checked against the parent's other partitions. */
kd_status kdi_make_partition_bound(kd_ctx *ctx, kd_run *run, const kd_table_entry *parent,
                                   const kd_ast_partition_bound *ast, kd_slice name,
                                   kd_partition_bound *out_bound) KD_MUST_CHECK;

/* --- define_key.c -------------------------------------------------------------------------------
 */

/* Makes and fills what the table's unique keys over all its partitions lack: see table_key.h. Call
 * when the table and its partitions are in the catalog as they will be. */
kd_status kdi_keys_complete(kd_ctx *ctx, kd_run *run, uint32_t table_no) KD_MUST_CHECK;
/* Drops the table behind a key; nothing for an index that has none. */
kd_status kdi_key_drop(kd_ctx *ctx, kd_run *run, kd_table_index *index) KD_MUST_CHECK;
kd_status kdi_keys_drop(kd_ctx *ctx, kdi_draft *draft) KD_MUST_CHECK;
/* The rows of a table (or of its partitions) come to be those of a partition, and cease to be: they
 * enter and leave the keys of `first` (0: none) and its ancestors. 23505. */
kd_status kdi_keys_enter(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                         uint32_t first_no) KD_MUST_CHECK;
kd_status kdi_keys_leave(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                         uint32_t first_no) KD_MUST_CHECK;

/* --- define_sequence.c
 * ---------------------------------------------------------------------------- */

/* A sequence for a column (serial, identity) or by itself. Options are kd_ast_option, may be none.
 */
kd_status kdi_sequence_make(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                            kd_type type, const kd_ast_list *options, uint32_t owner_table_no,
                            uint32_t owner_column_no, uint32_t *out_object_no) KD_MUST_CHECK;

/* Changes a sequence as ALTER SEQUENCE's options say. */
kd_status kdi_sequence_change(kd_ctx *ctx, kd_run *run, const kd_sequence_entry *entry,
                              const kd_ast_list *options) KD_MUST_CHECK;

/* --- define_drop.c
 * --------------------------------------------------------------------------------- */

/* Drops an object with all that belongs to it; with `cascade`, also what depends on it (2BP01). */
kd_status kdi_drop_object(kd_ctx *ctx, kd_run *run, uint32_t object_no, bool cascade) KD_MUST_CHECK;

#endif
