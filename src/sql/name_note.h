/*
 * What the names in a query turned out to mean: told by the binder where it is asked to
 * (kd_bind_options.notes), for who writes the query's text anew (query_text.h).
 *
 * Notes belong to nodes of the syntax tree. What they name they name by numbers of objects and
 * columns, so they outlive the catalog version that they were made under. Only the statement's own
 * text is noted, not that of views and routines in it.
 */
#ifndef KD_SQL_NAME_NOTE_H
#define KD_SQL_NAME_NOTE_H

#include "base/map.h"
#include "sql/ast.h"
#include "sql/bound.h"

/* A column as a query may name it. */
typedef struct kd_noted_column {
    kd_slice source; /* The FROM item's alias; empty: the bare name is the only one. */
    kd_slice name;
    const kd_ast_node *item; /* The FROM item, where it is a relation of the catalog; else NULL. */
    uint32_t position;       /* In the item. */
} kd_noted_column;

typedef struct kd_name_note {
    const kd_expr *expr; /* An expression: what it was bound to. */
    /* A column: itself; a star: all that it stands for; a FROM item: its columns; a join: those
     * that it merges. */
    uint32_t column_count;
    kd_noted_column *columns;
    kd_slice alias;       /* A FROM item's. */
    uint32_t object_no;   /* A relation's in FROM, a named type's in a cast; else 0. */
    uint32_t *column_nos; /* A table's columns in FROM: their numbers. */
    bool is_aliased;      /* The alias was written. */
    bool keeps_names;     /* Columns of this FROM item are merged by name: they keep the names that
                           * they are bound by. */
} kd_name_note;

typedef struct kd_name_notes {
    kd_arena *arena;
    kd_account account;
    kd_map by_node;
    bool is_unclear; /* Something cannot be written in other words. */
} kd_name_notes;

/* They end with the arena. */
kd_status kd_name_notes_create(kd_ctx *ctx, kd_arena *arena,
                               kd_name_notes **out_notes) KD_MUST_CHECK;
/* NULL where nothing is known of the node. */
const kd_name_note *kd_name_note_of(const kd_name_notes *notes, const kd_ast_node *node);

#endif
