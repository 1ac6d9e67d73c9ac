/*
 * Queries as normalised text: names resolved and qualified, stars written out, types of literals
 * told, laid out as PostgreSQL's pg_get_viewdef does. The text reads back as the same query.
 */
#ifndef KD_SQL_QUERY_TEXT_H
#define KD_SQL_QUERY_TEXT_H

#include "sql/binder.h"
#include "sql/name_note.h"
#include "sql/parser.h"

/* A query with what its names mean. */
typedef struct kd_noted_query {
    kd_slice text;
    kd_ast_node *node;
    kd_name_notes *notes;
    uint32_t column_count;
    const kd_rel_column *columns;
} kd_noted_query;

/* Parses and binds. It ends with the arena. */
kd_status kd_noted_query_init(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                              kd_slice text, kd_noted_query *out_query) KD_MUST_CHECK;

typedef struct kd_query_text_options {
    const kd_catalog_version *catalog; /* Objects go by their names here. */
    bool is_pretty;                    /* Only the parentheses that are needed. */
    bool is_qualified; /* Every relation with its schema; else temporary ones and those of "public"
                        * without. */
    /* Relations and columns that go by other names than when the query was bound get aliases, so
     * that the rest of the text may stay. */
    bool keeps_names;
    const kd_slice *column_names; /* The query's columns go by these. */
    uint32_t column_count;
} kd_query_text_options;

/* Empty: there are no other words for this query, or not with these options. */
kd_status kd_query_text(kd_ctx *ctx, kd_arena *arena, const kd_noted_query *query,
                        const kd_query_text_options *options, kd_slice *out_text) KD_MUST_CHECK;

/* The name, quoted where it would not be read as one. */
kd_status kd_name_append(kd_ctx *ctx, kd_slice name, kd_buffer *out) KD_MUST_CHECK;

#endif
