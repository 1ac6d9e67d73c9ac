/*
 * Plans by hand: a table function that gives rows in every form of vector, a few functions and
 * aggregates, builders of expressions and plans, and rows out of an execution as text.
 */
#ifndef KD_TEST_PLAN_KIT_H
#define KD_TEST_PLAN_KIT_H

#include "exec/execute.h"

#include "test.h"

typedef struct kit {
    kd_ctx ctx;
    kd_arena *arena;
    kd_governor *governor;
    kd_workers *workers;
    kd_execute_options options;
    kd_session_facts facts;
    kd_text_settings text;
    uint32_t next_no;
    kd_column_id next_id;
    kd_plan *ctes[8];
    uint32_t cte_count;
    uint64_t source_batches; /* Given by sources. */
    uint64_t cancel_at;      /* The one with which the statement is cancelled; 0: none. */
    atomic_bool cancelled;
} kit;

/* `threads` 0: everything on the calling thread. */
kit *kit_open(size_t budget_bytes, unsigned threads);
void kit_close(kit *k);

/* One column of the source: value = f(row). */
typedef struct kit_column {
    kd_type type;
    uint64_t modulus; /* Values 0 .. modulus - 1, mixed by `salt`; text is "v<number>[-long]". */
    uint64_t salt;
    uint32_t null_every; /* 0: never; else about one row in so many. */
    kd_vector_form form;
    bool sequential; /* The row's number itself. */
    bool is_long;    /* Text longer than 12 bytes. */
} kit_column;

/* The value of a column in a row, by definition: what naive loops compute with. */
kd_value kit_value(kit *k, const kit_column *column, uint64_t row);

/* A source of `row_count` rows; columns get new ids. */
kd_plan *kit_source(kit *k, const kit_column *columns, uint32_t column_count, uint64_t row_count);
/* The plan's rows through a CTE: a source that several threads may read. */
kd_plan *kit_cte(kit *k, kd_plan *plan);
kd_plan *kit_plan(kit *k, kd_plan_kind kind, kd_plan *left, kd_plan *right);
/* Columns of the input(s), in order; `with_right` adds the right side's. */
void kit_take_columns(kit *k, kd_plan *plan, bool with_right);
void kit_add_column(kit *k, kd_plan *plan, kd_type type, kd_column_id *out_id);

kd_expr *kit_ref(kit *k, const kd_plan *plan, uint32_t column);
kd_expr *kit_id_ref(kit *k, kd_column_id id, kd_type type);
kd_expr *kit_i64(kit *k, int64_t value);
kd_expr *kit_i32(kit *k, int32_t value);
kd_expr *kit_text(kit *k, const char *value);
kd_expr *kit_null(kit *k, kd_type type);
/* By name: "+", "%", "/", "=", "<", "<=", ">", ">=", "<>" over int8; "t=", "upper", "length" over
 * text. */
kd_expr *kit_call(kit *k, const char *name, kd_expr *a, kd_expr *b);
kd_expr *kit_expr(kit *k, kd_expr_kind kind, kd_type type, uint32_t count, ...);
/* "sum", "count", "min" over int8, "string_agg" over text, "chain" (a hash
 * of values in their order) over text, "count*". */
kd_aggregate_call kit_aggregate(kit *k, const char *name, kd_expr *argument);

typedef struct kit_rows {
    uint64_t count;
    char **texts; /* "a|b|NULL", one per row. */
} kit_rows;

/* Runs to the end; rows in the order they came. */
kit_rows kit_run(kit *k, kd_plan *root);
kd_status kit_try(kit *k, kd_plan *root, uint64_t *out_count);
void kit_sort(kit_rows *rows);
/* Same rows in any order. */
void kit_check_same(kit_rows a, kit_rows b);
void kit_rows_add(kit *k, kit_rows *rows, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
