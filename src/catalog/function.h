/*
 * The registry of functions, operators, casts, aggregates and table functions.
 *
 * Implementations (module builtin, later the models) describe themselves with
 * the structs below and are added when a database opens; the binder resolves
 * names to them, exec calls them. An operator is a function whose name is the
 * operator's: "+", "||", "<=". A unary operator has one argument.
 *
 * Scalar functions come in two kinds. A row function gets pointers to the
 * arguments' physical values and writes one physical result; it is the ordinary
 * kind. A vector function gets whole FLAT or CONSTANT vectors and is for
 * arithmetic and comparisons, where the call per row would dominate. The
 * evaluator does the rest once for all: NULLs of strict functions, constant
 * arguments, and, for immutable strict functions of one DICT argument, calling
 * them once per dictionary entry.
 */
#ifndef KD_CATALOG_FUNCTION_H
#define KD_CATALOG_FUNCTION_H

#include "types/vector.h"

#include <stdatomic.h>

enum { KD_FUNCTION_ARGUMENTS_MAX = 8 };

/* Pseudo types of signatures, in kd_type.id. ANYELEMENT and ANYARRAY of one call agree with each
 * other; a result of such a type is derived from the arguments. */
enum kd_pseudo_type {
    KD_PSEUDO_ANY = 200, /* Anything, each argument by itself; passed as it is. */
    KD_PSEUDO_ANYELEMENT = 201,
    KD_PSEUDO_ANYARRAY = 202,
    KD_PSEUDO_ANYENUM = 203,
    KD_PSEUDO_ANYNONARRAY = 204, /* As ANY, but no array. */
};

/* What setseed leaves to the generators of random() that start after it. */
typedef struct kd_random_seed {
    atomic_bool is_set;
    _Atomic uint64_t next;
} kd_random_seed;

/* What a running call may know of its surroundings. One per expression instance and thread. */
typedef struct kd_session_facts {
    const kd_text_settings *text; /* Zone, date order, now: set for the statement. */
    const char *user_name;
    const char *session_user_name; /* As before SET ROLE; NULL: the same. */
    const char *database_name;
    const char *current_schema;
    int64_t transaction_us; /* now(): us since 2000-01-01 UTC. */
    int64_t statement_us;
    kd_random_seed *random_seed; /* The session's; may be NULL. */
    void *session;               /* The engine's, for functions that the engine itself registers. */
} kd_session_facts;

typedef struct kd_call_env {
    const kd_session_facts *facts;
    kd_arena *arena;       /* Results' bytes; reset with the batch. */
    kd_arena *state_arena; /* Lives as long as the expression: compiled patterns, ... */
    void *state;           /* The function's own between calls; starts as NULL. */
    uint32_t argument_count;
    const kd_type *argument_types; /* After coercion. */
    kd_type result_type;
    bool argument_is_constant[KD_FUNCTION_ARGUMENTS_MAX]; /* The same value in every call. */
    const void *data;                                     /* kd_function.data */
} kd_call_env;

typedef enum kd_volatility { KD_IMMUTABLE = 0, KD_STABLE, KD_VOLATILE } kd_volatility;

/* `args[i]` points at the physical value of argument i (NULL pointer: SQL NULL, only when not
 * strict). `result` has 16 bytes of room, zeroed. */
typedef kd_status (*kd_row_function)(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     void *result, bool *out_is_null);
/* Arguments are FLAT or CONSTANT; `out` is FLAT with room for row_count and all valid at the start.
 * Strict: rows that are NULL in some argument are set NULL by the evaluator afterwards, so the
 * function may compute garbage there but must not fail on it. `selection` NULL: all rows. */
typedef kd_status (*kd_vector_function)(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,
                                        const uint16_t *selection, uint32_t selected_count,
                                        kd_vector *out);

typedef struct kd_function {
    const char *name; /* Lower case, or an operator. */
    uint32_t argument_count;
    kd_type arguments[KD_FUNCTION_ARGUMENTS_MAX];
    bool variadic; /* The last argument may repeat (0 or more times). */
    kd_type result;
    kd_volatility volatility;
    bool strict;         /* NULL in, NULL out, without a call. */
    kd_row_function row; /* One of the two is set. */
    kd_vector_function vector;
    /* Gives the result's modifier from the arguments' types (numeric(p,s) keeps); may be NULL: -1.
     */
    kd_type (*result_type)(const kd_type *arguments, uint32_t argument_count);
    const char *const *argument_names; /* For name => value calls; may be NULL. */
    const void *data;
} kd_function;

/* States that the executor may step by itself, over encoded columns; OPAQUE is always right. */
typedef enum kd_aggregate_state {
    KD_STATE_OPAQUE = 0,
    KD_STATE_COUNT,       /* Begins with int64_t: rows without a NULL. */
    KD_STATE_INTEGER_SUM, /* Begins with kd_i128, the sum of one integer argument, then int64_t
                             count. */
    KD_STATE_NUMERIC_SUM, /* A kd_numeric_sum; `add_sum` is set. */
    KD_STATE_DOUBLE_SUM,  /* A kd_double_sum, of one argument. */
} kd_aggregate_state;

/* While `big` is NULL the sum is fixed * 10^-scale. */
typedef struct kd_numeric_sum {
    kd_i128 fixed;
    int64_t count;
    struct kd_decimal *big; /* In env->state_arena. */
    int32_t scale;
    int32_t padding[3];
} kd_numeric_sum;

typedef struct kd_double_sum {
    double sum;
    int64_t count;
} kd_double_sum;

/* Aggregates. States are `state_bytes` long, 16-byte aligned, zeroed before init, movable by
 * memcpy. */
typedef struct kd_aggregate {
    const char *name;
    uint32_t argument_count;
    kd_type arguments[KD_FUNCTION_ARGUMENTS_MAX];
    bool variadic;
    kd_type result;
    uint32_t state_bytes;
    bool skips_nulls; /* Rows with a NULL argument are not stepped. */
    bool keeps_rows;  /* State grows with the rows (string_agg): bytes live in env->state_arena. */
    bool order_matters; /* ORDER BY inside the call changes the answer. */
    uint8_t state_kind; /* kd_aggregate_state */
    uint8_t
        ordered_set; /* 1: WITHIN GROUP (percentile_cont); the sorted value is the last argument. */
    void (*init)(void *state); /* NULL: zeroed is right. */
    kd_status (*step)(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args);
    /* Optional bulk step: states[i] belongs to selected row i; arguments FLAT or CONSTANT; rows
     * with NULLs are to be skipped here when skips_nulls. */
    kd_status (*step_vector)(kd_ctx *ctx, kd_call_env *env, void *const *states,
                             const kd_vector *args, const uint16_t *selection,
                             uint32_t selected_count);
    /* NUMERIC_SUM: adds `count` values whose sum is `sum` * 10^-scale. */
    kd_status (*add_sum)(kd_ctx *ctx, kd_call_env *env, void *state, kd_i128 sum, int64_t count,
                         int scale);
    kd_status (*combine)(kd_ctx *ctx, kd_call_env *env, void *state, const void *other);
    kd_status (*finish)(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                        bool *out_is_null);
    kd_type (*result_type)(const kd_type *arguments, uint32_t argument_count);
    const void *data;
    /* Ordered sets: gives the same answer from rows in any order, where the sorted value is an
     * integer, double, date or time and the order ascending. May be NULL. */
    const struct kd_aggregate *unsorted;
} kd_aggregate;

/* Steps of the paths that kade_assign takes: what assignment to a part of a column becomes. */
typedef enum kd_assign_step {
    KD_STEP_FIELD = 0, /* position of the field */
    KD_STEP_ELEMENT,   /* n, then n subscripts */
    KD_STEP_SLICE,     /* n, then n times: bounds given (1 lower, 2 upper), lower, upper */
} kd_assign_step;

/* Functions in FROM: generate_series, unnest, read_csv. */
typedef struct kd_table_function kd_table_function;
struct kd_table_function {
    const char *name;
    uint32_t argument_count; /* Required ones; `options` are named extras. */
    kd_type arguments[KD_FUNCTION_ARGUMENTS_MAX];
    bool variadic;
    /* Names and types of the result's columns; arguments that are not constant are NULL values of
     * their type. */
    kd_status (*describe)(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                          const kd_value *args, uint32_t arg_count, uint32_t *out_column_count,
                          kd_slice **out_names, kd_type **out_types);
    kd_status (*open)(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env, const kd_value *args,
                      uint32_t arg_count, void **out_cursor);
    /* Fills up to KD_BATCH_ROWS rows; row_count 0 is the end. */
    kd_status (*next)(kd_ctx *ctx, void *cursor, kd_batch *out_batch);
    void (*close)(void *cursor); /* May be NULL. */
    /* Its columns are named where it is called: `data` of the copy that is called is then the
     * kd_record_shape of them. */
    bool wants_columns;
    /* A call is cheap, reads nothing but its arguments, and what its rows point to lives as long as
     * the arguments and the arena of `open`: it is called again for each row rather than
     * remembered, by several threads. */
    bool is_quick;
    bool runs_statements; /* In the session: the statement around it stays in one thread. */
    const char *const *argument_names; /* For name => value calls; may be NULL. */
    const void *data;
};

/*
 * Functions side by side, row by row, the shorter ones padded with NULLs: ROWS FROM, and several
 * set-returning functions in a select list. The table function of this name takes the arguments of
 * all of them, one after the other; its `data` says whose they are.
 */
#define KD_SIDE_BY_SIDE "rows from"
typedef struct kd_side_part {
    const kd_table_function *function; /* NULL: one row with the argument. */
    uint32_t argument_count;
    uint32_t column_count;
    const kd_type *column_types;
} kd_side_part;
typedef struct kd_side_by_side {
    uint32_t part_count;
    const kd_side_part *parts;
} kd_side_by_side;

/* How a cast may be applied without being written: PostgreSQL's contexts. */
typedef enum kd_cast_context {
    KD_CAST_EXPLICIT = 0,
    KD_CAST_ASSIGNMENT,
    KD_CAST_IMPLICIT,
} kd_cast_context;

/* From one type id to another; both not arrays. The row function has one argument and applies
 * env->result_type's modifier. A pair of types may have two: one for casts that are written
 * (context EXPLICIT: varchar(3) cuts) and one for the others (varchar(3) refuses). The same type
 * twice is a cast that applies a modifier. */
typedef struct kd_cast {
    uint8_t from; /* kd_type_id */
    uint8_t to;
    kd_cast_context context;
    bool no_work;        /* The physical value stays as it is: varchar -> text. No function then. */
    kd_row_function row; /* One of the two is set. */
    kd_vector_function vector;
} kd_cast;

typedef struct kd_registry kd_registry;

/* One value; `cast` NULL: by text. Between arrays it is that of the elements. The result is in the
 * call's arena. */
kd_status kd_cast_value(kd_ctx *ctx, kd_call_env *env, const kd_cast *cast, const kd_value *source,
                        kd_type target_type, kd_value *out) KD_MUST_CHECK;

/* Whether the answer depends on settings (time zone, styles) or on the moment ('now'). */
bool kd_cast_is_stable(kd_type from, kd_type to);

kd_status kd_registry_create(kd_ctx *ctx, kd_arena *arena,
                             kd_registry **out_registry) KD_MUST_CHECK;
/* The described things must outlive the registry (usually static arrays). */
kd_status kd_registry_add_functions(kd_ctx *ctx, kd_registry *registry,
                                    const kd_function *functions, size_t count) KD_MUST_CHECK;
kd_status kd_registry_add_aggregates(kd_ctx *ctx, kd_registry *registry,
                                     const kd_aggregate *aggregates, size_t count) KD_MUST_CHECK;
kd_status kd_registry_add_table_functions(kd_ctx *ctx, kd_registry *registry,
                                          const kd_table_function *functions,
                                          size_t count) KD_MUST_CHECK;
kd_status kd_registry_add_casts(kd_ctx *ctx, kd_registry *registry, const kd_cast *casts,
                                size_t count) KD_MUST_CHECK;

/*
 * Resolution by PostgreSQL's rules (manual, chapter 10): exact match first, then
 * candidates reachable by implicit casts, preferring preferred types, unknown
 * literals last. `out_arguments` are the types that the arguments are to be cast
 * to (room for argument_count), `out_result` the result's. Not found: false, and
 * the caller says 42883 (functions and operators) with the argument types; two
 * equally good: `*out_ambiguous`.
 */
bool kd_registry_find_function(const kd_registry *registry, kd_slice name, const kd_type *arguments,
                               uint32_t argument_count, const kd_function **out_function,
                               kd_type *out_arguments, kd_type *out_result, bool *out_ambiguous);
bool kd_registry_find_aggregate(const kd_registry *registry, kd_slice name,
                                const kd_type *arguments, uint32_t argument_count,
                                const kd_aggregate **out_aggregate, kd_type *out_arguments,
                                kd_type *out_result);
bool kd_registry_find_table_function(const kd_registry *registry, kd_slice name,
                                     const kd_type *arguments, uint32_t argument_count,
                                     const kd_table_function **out_function,
                                     kd_type *out_arguments);
/* Which of several signatures a call means, by the same rules: for routines of the catalog. Not
 * found: false, with `*out_ambiguous` where there are several. `*out_element` is what the
 * polymorphic types stand for. */
typedef struct kd_signature {
    uint32_t argument_count;
    const kd_type *arguments;
} kd_signature;
bool kd_registry_choose(const kd_registry *registry, const kd_signature *signatures,
                        uint32_t signature_count, const kd_type *arguments, uint32_t count,
                        uint32_t *out_index, kd_type *out_arguments, kd_type *out_element,
                        bool *out_is_exact, bool *out_ambiguous);
/* A polymorphic type where `element` is known; other types stay. */
kd_type kd_registry_resolve(kd_type type, kd_type element);
bool kd_registry_has_name(const kd_registry *registry, kd_slice name); /* Of any kind. */
bool kd_registry_is_aggregate(const kd_registry *registry, kd_slice name);
/* NULL when there is none that `context` allows. Text to and from anything (I/O casts) is found
 * too: explicit, and to text by assignment. Between arrays
 * the cast is that of their elements. */
const kd_cast *kd_registry_find_cast(const kd_registry *registry, kd_type from, kd_type to,
                                     kd_cast_context context);
bool kd_registry_can_coerce(const kd_registry *registry, kd_type from, kd_type to,
                            kd_cast_context context);
/* The common type of CASE, UNION, VALUES, ARRAY (PostgreSQL 10.5); false when there is none. */
bool kd_registry_common_type(const kd_registry *registry, const kd_type *types, uint32_t count,
                             kd_type *out_type);
typedef struct kd_registered {
    const char *name;
    char kind; /* 'f', 'a' (aggregate), 't' (table function) */
    const kd_type *arguments;
    uint32_t argument_count;
    kd_type result;
    const kd_function *function; /* NULL unless kind is 'f'. */
} kd_registered;

/* For completion and views: visits names in order of registration. */
void kd_registry_visit(const kd_registry *registry,
                       void (*visit)(void *object, const kd_registered *it), void *object);

#endif
