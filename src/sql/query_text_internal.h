/*
 * What the writers of queries and of expressions share.
 */
#ifndef KD_SQL_QUERY_TEXT_INTERNAL_H
#define KD_SQL_QUERY_TEXT_INTERNAL_H

#include "sql/query_text.h"

typedef struct kdi_writer {
    const kd_noted_query *query;
    const kd_query_text_options *options;
    kd_buffer *out;
    int indent;
    int depth;
    bool in_set; /* Untyped literals may take their types from another side of a set operation. */
    bool has_verbatim; /* Parts stand as they were written. */
    bool is_given_up;
} kdi_writer;

enum { KDI_INDENT = 8, KDI_INDENT_PART = 4 };

static inline kd_status kdi_put_text(kd_ctx *ctx, kdi_writer *w, const char *text)
{
    return kd_buffer_append_text(ctx, w->out, text);
}

static inline const kd_name_note *kdi_note(const kdi_writer *w, const void *node)
{
    return kd_name_note_of(w->query->notes, (const kd_ast_node *)node);
}

static inline bool kdi_is_pretty(const kdi_writer *w)
{
    return w->options->is_pretty;
}

/* A new line that begins with `text`: the indentation is changed before and after it; `plus` is
 * for this line only. */
kd_status kdi_put_line(kd_ctx *ctx, kdi_writer *w, const char *text, int before, int after,
                       int plus) KD_MUST_CHECK;
kd_status kdi_put_name(kd_ctx *ctx, kdi_writer *w, kd_slice name) KD_MUST_CHECK;
/* ", " where it is not the first. */
kd_status kdi_put_comma(kd_ctx *ctx, kdi_writer *w, size_t index) KD_MUST_CHECK;
/* The query's layout begins at the indentation that is set. `names` are those of its columns;
 * `is_nameless` leaves out "?column?". */
kd_status kdi_put_query(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *query, const kd_slice *names,
                        bool is_nameless) KD_MUST_CHECK;

/* --- Expressions (expr_text.c) --- */

kd_status kdi_put_expr(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node) KD_MUST_CHECK;
/* With the cast that the binder put over it: `bound` is what its parent got, or NULL. */
kd_status kdi_put_coerced(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                          const kd_ast_node *parent, const kd_expr *bound) KD_MUST_CHECK;
kd_status kdi_put_exprs(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_put_column(kd_ctx *ctx, kdi_writer *w, const kd_noted_column *column) KD_MUST_CHECK;
kd_status kdi_put_type(kd_ctx *ctx, kdi_writer *w, kd_type type) KD_MUST_CHECK;
kd_status kdi_put_ast_type(kd_ctx *ctx, kdi_writer *w, const kd_ast_type *type) KD_MUST_CHECK;
/* A literal of no type yet, as a text. */
bool kdi_is_untyped(const kdi_writer *w, const kd_ast_node *node);
/* The text of the node as it is, in parentheses. */
kd_status kdi_put_verbatim(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node) KD_MUST_CHECK;
kd_status kdi_put_quoted(kd_ctx *ctx, kdi_writer *w, kd_slice text) KD_MUST_CHECK;

/* --- Calls and keys (call_text.c) --- */
/* As an item of ORDER BY, GROUP BY and their like. */
kd_status kdi_put_key(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node) KD_MUST_CHECK;
kd_status kdi_put_sorts(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *list) KD_MUST_CHECK;
/* What stands between the parentheses. */
kd_status kdi_put_window(kd_ctx *ctx, kdi_writer *w, const kd_ast_window *window) KD_MUST_CHECK;
kd_status kdi_put_call(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call) KD_MUST_CHECK;
kd_status kdi_put_direction(kd_ctx *ctx, kdi_writer *w, const kd_ast_sort *sort) KD_MUST_CHECK;

/* --- FROM (from_text.c) --- */
kd_status kdi_put_from(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *from) KD_MUST_CHECK;

/* --- Names (query_text.c) --- */

/* The name of the column now; the name of what it is of. */
kd_slice kdi_column_now(const kdi_writer *w, const kd_noted_column *column);
kd_slice kdi_source_now(const kdi_writer *w, const kd_noted_column *column);
/* The name that the item's relation has for the column itself, whatever aliases there are. */
kd_slice kdi_name_of_position(const kdi_writer *w, const kd_noted_column *column);
kd_status kdi_put_object(kd_ctx *ctx, kdi_writer *w, const kd_object *object) KD_MUST_CHECK;

#endif
