/*
 * Compiled expressions: a tree of nodes with their state allocated beforehand.
 *
 * A node evaluates over the selected rows of a batch and gives a vector whose values stand at the
 * rows' own positions. Nodes own their result buffers, so that a batch costs no allocation;
 * results are valid until the node is evaluated again.
 *
 * Two properties decide how often a node really works. A node without columns and without volatile
 * calls is constant: it is evaluated once, at first use, so that an error in a branch never taken
 * is never raised. A node over a single column without volatile calls, whose column comes as DICT,
 * is evaluated once per dictionary entry and answers with the same codes over the results.
 */
#ifndef KD_EXEC_EXPR_INTERNAL_H
#define KD_EXEC_EXPR_INTERNAL_H

#include "exec/execute.h"
#include "exec/view_internal.h"

enum { KDI_EXPR_DEPTH_MAX = 2000, KDI_DICTIONARY_MAX = 65536 };

/* What expressions may refer to besides the columns of their input. */
typedef struct kdi_scope {
    const kd_session_facts *facts;
    const kd_value *parameters;
    uint32_t parameter_count;
    uint32_t outer_count; /* Inside an APPLY: columns of the left rows ... */
    const kd_column_id *outer_ids;
    const kd_value *outer_values; /* ... and the values that they have now. */
} kdi_scope;

typedef struct kdi_frame {
    kd_arena *arena; /* The batch's. */
    const kd_batch *input;
} kdi_frame;

typedef struct kdi_node kdi_node;
typedef struct kdi_fixed kdi_fixed; /* expr_fixed_internal.h */
typedef struct kdi_json_path kdi_json_path;
typedef kd_status (*kdi_node_eval)(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                   const uint16_t *selection, uint32_t count, kd_vector *out);
/* Writes the rows that are true; `out_rows` may be `selection` itself. */
typedef kd_status (*kdi_node_select)(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                     const uint16_t *selection, uint32_t count, uint16_t *out_rows,
                                     uint32_t *out_count);

/* Results of a node over one dictionary. */
typedef struct kdi_dictionary_cache {
    kd_arena *arena;
    uint64_t dictionary_id; /* 0: empty. */
    uint64_t failed_id;     /* An entry that no row uses may fail: this dictionary goes by rows. */
    uint64_t salt;
    kd_vector results;
} kdi_dictionary_cache;

struct kdi_node {
    const kd_expr *expr;
    kd_type type;
    kdi_node_eval eval;
    kdi_node_select select; /* NULL: evaluate, then look. */
    uint32_t argument_count;
    kdi_node **arguments;
    kd_vector *argument_vectors;
    kd_vector *flat_arguments; /* Room for vector functions' FLAT arguments. */
    uint32_t column;           /* COLUMN: position in the input. */
    uint32_t column_refs;      /* 0, 1: all of `single_column`, 2: several. */
    uint32_t single_column;
    bool is_volatile;
    bool is_constant;
    bool constant_ready;
    kd_vector constant;
    kd_vector result; /* FLAT room of `capacity` rows. */
    uint32_t capacity;
    uint16_t *rows[2]; /* Selections of nodes that narrow. */
    kd_arena *state_arena;
    kdi_dictionary_cache *dictionary;
    /* Calls and casts. */
    kd_call_env env;
    kd_row_function row;
    kd_vector_function vector;
    bool strict;
    const void **payloads; /* Per argument, for row functions. */
    char *scratch;         /* 16 bytes per argument. */
    /* Comparison of a column with a constant, as a range (expr_range.c). */
    uint8_t range_test;
    bool range_swapped;
    kdi_node *range_column;
    kdi_node *range_bound;
    kdi_fixed *fixed;   /* Not NULL: values that can be had as fixed numbers. */
    uint8_t fixed_test; /* A comparison of such. */
    void *list;         /* IN_LIST: its set. */
    /* Integer parts of dates and timestamps (expr_date.c). */
    void *part;
    kdi_node *part_source;
    kdi_json_path *json; /* A path into jsonb, or the number there (expr_json.c). */
};

struct kd_compiled_expr {
    kdi_node *root;
    uint32_t id_count;
    const kd_column_id *ids;
    kd_vector *row_columns; /* For kd_expr_evaluate_row. */
    uint16_t *rows;
};

kd_status kdi_expr_compile(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                           const kd_column_id *ids, uint32_t id_count, const kdi_scope *scope,
                           kd_compiled_expr **out_compiled) KD_MUST_CHECK;
/* For batches of one row only: takes little memory. */
kd_status kdi_expr_compile_row(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                               const kd_column_id *ids, uint32_t id_count, const kdi_scope *scope,
                               kd_compiled_expr **out_compiled) KD_MUST_CHECK;

/* The entry for nodes: constants, dictionaries, then the node's own evaluation. */
kd_status kdi_node_evaluate(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                            const uint16_t *selection, uint32_t count,
                            kd_vector *out) KD_MUST_CHECK;
kd_status kdi_node_select_rows(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                               const uint16_t *selection, uint32_t count, uint16_t *out_rows,
                               uint32_t *out_count) KD_MUST_CHECK;
/* The node's FLAT room with every row valid. */
kd_vector kdi_node_result(kdi_node *node);

kd_status kdi_eval_and(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out);
kd_status kdi_eval_or(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                      uint32_t count, kd_vector *out);
kd_status kdi_eval_not(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out);
kd_status kdi_eval_is_null(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out);
kd_status kdi_eval_is_distinct(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                               const uint16_t *selection, uint32_t count, kd_vector *out);
kd_status kdi_eval_case(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, kd_vector *out);
kd_status kdi_eval_coalesce(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                            const uint16_t *selection, uint32_t count, kd_vector *out);
kd_status kdi_select_and(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, uint16_t *out_rows, uint32_t *out_count);
kd_status kdi_select_or(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, uint16_t *out_rows, uint32_t *out_count);
kd_status kdi_eval_call(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, kd_vector *out);
kd_status kdi_eval_spread(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                          uint32_t count, kd_vector *out);
kd_status kdi_eval_retype(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                          uint32_t count, kd_vector *out);
kd_status kdi_eval_in_list(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out);
kd_status kdi_eval_array(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, kd_vector *out);
kd_status kdi_eval_subscript(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kd_vector *out);
kd_status kdi_eval_any_array(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kd_vector *out);
kd_status kdi_eval_row(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out);
kd_status kdi_eval_field(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, kd_vector *out);
/* Chooses how a cast works; the argument is compiled already. */
kd_status kdi_cast_prepare(kd_ctx *ctx, kdi_node *node) KD_MUST_CHECK;
/* Recognises casts that give a timestamp's date or an integer field of it. */
kd_status kdi_date_prepare(kd_ctx *ctx, kdi_node *node) KD_MUST_CHECK;
/* Recognises calls that give an integer field of a date or a timestamp as a numeric. */
kd_status kdi_field_prepare(kd_ctx *ctx, kdi_node *node) KD_MUST_CHECK;
/* Whether such a cast gives a frame where a dictionary of one batch would give codes. */
bool kdi_date_goes_first(const kdi_node *node, const kd_vector *source, uint32_t count);
/* Recognises chains of -> and ->> with constant keys, and casts of what they give to numbers. */
kd_status kdi_json_prepare(kd_ctx *ctx, kdi_node *node) KD_MUST_CHECK;
void kdi_json_number_prepare(kdi_node *node);
/* The operators of comparison, by name. */
enum {
    KDI_TEST_NONE = 0,
    KDI_TEST_EQ,
    KDI_TEST_NE,
    KDI_TEST_LT,
    KDI_TEST_LE,
    KDI_TEST_GT,
    KDI_TEST_GE
};
uint8_t kdi_test_of(const char *name);
/* Takes the rows of `taken` out of `rows`; both ascend. */
uint32_t kdi_rows_subtract(uint16_t *rows, uint32_t count, const uint16_t *taken,
                           uint32_t taken_count);
/* All of the selected rows; `out_rows` may be the selection. */
uint32_t kdi_rows_all(const uint16_t *selection, uint32_t count, uint16_t *out_rows);
/* Keeps the rows that are valid. */
uint32_t kdi_rows_valid(const uint64_t *validity, uint16_t *rows, uint32_t count);
/* The rows where a boolean vector is true. */
uint32_t kdi_select_true(const kd_vector *vector, const uint16_t *selection, uint32_t count,
                         uint16_t *out_rows);
/* The rows with low <= value <= high of a type with kd_type_is_ordinal, in any form but a
 * dictionary; none with NULL. `out_rows` may be the selection. */
uint32_t kdi_rows_within(const kd_vector *vector, int64_t low, int64_t high,
                         const uint16_t *selection, uint32_t count, uint16_t *out_rows);
/* Recognises column-with-constant comparisons. */
void kdi_range_prepare(kdi_node *node);
kd_status kdi_select_range(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, uint16_t *out_rows, uint32_t *out_count);
/* One call of a row function with values in place; used for elements too. */
kd_status kdi_call_one(kd_ctx *ctx, kdi_node *node, const kd_function *function,
                       const void *const *args, void *result, bool *out_is_null) KD_MUST_CHECK;

#endif
