/*
 * The syntax tree of KadeQL: what the parser makes and the binder reads.
 *
 * Every node begins with a kd_ast_node: its kind and the byte range of the text
 * it was read from. Cast a kd_ast_node pointer to the struct named beside the
 * kind. Absent parts are NULL pointers, empty slices (size_bytes == 0) or
 * empty lists.
 *
 * Lifetime. Nodes live in the parser's arena. Slices point either into the
 * source text (which must outlive the tree) or into the arena, and are not
 * NUL-terminated. Names are folded to lower case already (unless quoted);
 * string constants have their escapes resolved. Nothing in the tree is shared:
 * each node has one parent, so passes may write into it.
 *
 * Depth. The parser limits nesting (KD_PARSER_DEPTH_MAX), but chains are built
 * without recursion and may be long:
 *   - `a AND b AND ...` and `a OR b OR ...` are one n-ary KD_AST_AND / KD_AST_OR.
 *   - `a + b + ...`, `a || b || ...`, casts `a::t::t`, subscripts, COLLATE, AT TIME ZONE
 *     and UNION chains are left-deep: the left spine may hold 100,000 nodes. Walk a left
 *     spine with a loop (kd_ast_left), or count depth and refuse with 54001.
 *   - Joins `a JOIN b JOIN c` are left-deep in the same way.
 *
 * Here are expressions, queries and data changes; ast_define.h has definitions, ast_session.h the
 * rest. Order of kinds: expressions, parts of queries, statements. kd_ast_kind_name
 * gives a name for messages and tests.
 */
#ifndef KD_SQL_AST_H
#define KD_SQL_AST_H

#include "base/bytes.h"

typedef enum kd_ast_kind {
    KD_AST_NONE = 0,

    /* Expressions. */
    KD_AST_CONSTANT,      /* kd_ast_constant */
    KD_AST_PARAM,         /* kd_ast_param: $1 */
    KD_AST_COLUMN,        /* kd_ast_column: a, t.a, s.t.a */
    KD_AST_STAR,          /* kd_ast_star: *, t.*, with EXCLUDE / REPLACE */
    KD_AST_OPERATOR,      /* kd_ast_operator: + - || and every other symbol */
    KD_AST_AND,           /* kd_ast_args, two or more */
    KD_AST_OR,            /* kd_ast_args, two or more */
    KD_AST_NOT,           /* kd_ast_unary */
    KD_AST_IS,            /* kd_ast_is: IS [NOT] NULL, TRUE, ... */
    KD_AST_DISTINCT_FROM, /* kd_ast_distinct_from */
    KD_AST_BETWEEN,       /* kd_ast_between */
    KD_AST_IN,            /* kd_ast_in */
    KD_AST_LIKE,          /* kd_ast_like */
    KD_AST_QUANTIFIED,    /* kd_ast_quantified: x = ANY (...) */
    KD_AST_SUBQUERY,      /* kd_ast_subquery: scalar, EXISTS, ARRAY(...) */
    KD_AST_CASE,          /* kd_ast_case */
    KD_AST_CAST,          /* kd_ast_cast */
    KD_AST_CALL,          /* kd_ast_call: functions, aggregates, window functions */
    KD_AST_COALESCE,      /* kd_ast_args */
    KD_AST_GREATEST,      /* kd_ast_args */
    KD_AST_LEAST,         /* kd_ast_args */
    KD_AST_NULLIF,        /* kd_ast_args, exactly two */
    KD_AST_GROUPING,      /* kd_ast_args */
    KD_AST_ROW,           /* kd_ast_args: ROW(...) or (a, b) */
    KD_AST_ARRAY,         /* kd_ast_args: ARRAY[...], nested brackets are KD_AST_ARRAY again */
    KD_AST_SUBSCRIPT,     /* kd_ast_subscript: a[1], a[1:2] */
    KD_AST_FIELD,         /* kd_ast_field: (e).f, (e).* */
    KD_AST_COLLATE,       /* kd_ast_collate */
    KD_AST_AT_TIME_ZONE,  /* kd_ast_at_time_zone */
    KD_AST_CURRENT,       /* kd_ast_current: CURRENT_DATE, USER, ... */
    KD_AST_DEFAULT,       /* kd_ast_node: DEFAULT in VALUES and SET */
    KD_AST_CURRENT_OF,    /* kd_ast_current_of: WHERE CURRENT OF c */

    /* Parts of queries. */
    KD_AST_TARGET,       /* kd_ast_target */
    KD_AST_SORT,         /* kd_ast_sort */
    KD_AST_WINDOW,       /* kd_ast_window */
    KD_AST_CTE,          /* kd_ast_cte */
    KD_AST_GROUPING_SET, /* kd_ast_grouping_set: in GROUP BY only */
    KD_AST_TABLE_REF,    /* kd_ast_table_ref: a table, view or CTE by name, or 'file' */
    KD_AST_TABLE_QUERY,  /* kd_ast_table_query: (SELECT ...) AS x */
    KD_AST_TABLE_CALL,   /* kd_ast_table_call: f(...) [WITH ORDINALITY], ROWS FROM (...) */
    KD_AST_JOIN,         /* kd_ast_join */
    KD_AST_LOCKING,      /* kd_ast_locking: FOR UPDATE OF ... */
    KD_AST_ASSIGNMENT,   /* kd_ast_assignment */
    KD_AST_ON_CONFLICT,  /* kd_ast_on_conflict */
    KD_AST_MERGE_WHEN,   /* kd_ast_merge_when */

    /* Parts of definitions. */
    KD_AST_COLUMN_DEF,      /* kd_ast_column_def */
    KD_AST_CONSTRAINT,      /* kd_ast_constraint */
    KD_AST_TABLE_LIKE,      /* kd_ast_table_like */
    KD_AST_INDEX_ITEM,      /* kd_ast_index_item */
    KD_AST_OPTION,          /* kd_ast_option: name [= value] */
    KD_AST_PARTITION_BY,    /* kd_ast_partition_by */
    KD_AST_PARTITION_BOUND, /* kd_ast_partition_bound */
    KD_AST_ALTER_ACTION,    /* kd_ast_alter_action */
    KD_AST_OBJECT,          /* kd_ast_object: a named thing in DROP, COMMENT, GRANT */
    KD_AST_NAME_ITEM,       /* kd_ast_name_item: one name in a list */
    KD_AST_PRIVILEGE,       /* kd_ast_privilege */

    /* Statements. */
    KD_AST_SELECT, /* kd_ast_select: also VALUES, TABLE, FROM-first */
    KD_AST_SETOP,  /* kd_ast_setop: UNION, INTERSECT, EXCEPT */
    KD_AST_INSERT,
    KD_AST_UPDATE,
    KD_AST_DELETE,
    KD_AST_MERGE,
    KD_AST_TRUNCATE,
    KD_AST_CREATE_SCHEMA,
    KD_AST_CREATE_TABLE,
    KD_AST_CREATE_TABLE_AS, /* also SELECT ... INTO and CREATE MATERIALIZED VIEW */
    KD_AST_CREATE_INDEX,
    KD_AST_CREATE_VIEW,
    KD_AST_CREATE_SEQUENCE,
    KD_AST_CREATE_ENUM,
    KD_AST_CREATE_DOMAIN,
    KD_AST_CREATE_COMPOSITE,
    KD_AST_CREATE_ROUTINE, /* FUNCTION, PROCEDURE, MACRO */
    KD_AST_CREATE_ROLE,    /* CREATE and ALTER ROLE / USER */
    KD_AST_CREATE_EXTENSION,
    KD_AST_ALTER_TABLE, /* also ALTER INDEX / VIEW / MATERIALIZED VIEW with table actions */
    KD_AST_ALTER_SEQUENCE,
    KD_AST_ALTER_ENUM,
    KD_AST_ALTER_DOMAIN,
    KD_AST_ALTER_COMPOSITE,
    KD_AST_ALTER_ROUTINE,
    KD_AST_RENAME,      /* ALTER ... RENAME of any object */
    KD_AST_ALTER_OWNER, /* ALTER ... OWNER TO, where it is not a table action */
    KD_AST_ALTER_SET_SCHEMA,
    KD_AST_DROP,
    KD_AST_OWNED, /* REASSIGN OWNED, DROP OWNED */
    KD_AST_COMMENT,
    KD_AST_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE */
    KD_AST_SET,         /* SET, RESET */
    KD_AST_SHOW,
    KD_AST_SET_CONSTRAINTS,
    KD_AST_PREPARE,
    KD_AST_EXECUTE,
    KD_AST_DEALLOCATE,
    KD_AST_DECLARE_CURSOR,
    KD_AST_FETCH, /* FETCH and MOVE */
    KD_AST_CLOSE,
    KD_AST_COPY,
    KD_AST_EXPLAIN,
    KD_AST_DESCRIBE,   /* DESCRIBE and SUMMARIZE */
    KD_AST_VACUUM,     /* VACUUM and ANALYZE */
    KD_AST_CHECKPOINT, /* kd_ast_node */
    KD_AST_LOCK,
    KD_AST_DISCARD,
    KD_AST_CALL_PROCEDURE,
    KD_AST_DO,
    KD_AST_GRANT,  /* GRANT and REVOKE, of privileges and of roles */
    KD_AST_NOTIFY, /* LISTEN, NOTIFY, UNLISTEN */
    KD_AST_REINDEX,
    KD_AST_CLUSTER,
    KD_AST_REFRESH, /* REFRESH MATERIALIZED VIEW */
    KD_AST_KIND_COUNT
} kd_ast_kind;

/* `text[position, end)` is what the node was read from, without outer parentheses. */
typedef struct kd_ast_node {
    kd_ast_kind kind;
    int32_t position;
    int32_t end;
    /* For an operator: where the operator itself stands, which is where messages point; for other
     * nodes the same as `position`. */
    int32_t mark;
} kd_ast_node;

typedef struct kd_ast_list {
    kd_ast_node **items;
    size_t count;
    size_t capacity;
} kd_ast_list;

typedef struct kd_ast_names {
    kd_slice *items;
    size_t count;
    size_t capacity;
} kd_ast_names;

/* [catalog.][schema.]name; absent qualifiers are empty. position < 0: no name at all. */
typedef struct kd_ast_name {
    int32_t position;
    int32_t end;
    kd_slice catalog;
    kd_slice schema;
    kd_slice name;
} kd_ast_name;

/* A type as written. Names with several words are one name as kd_type_find takes it: "double
 * precision", "timestamp with time zone", "bit varying", "character varying". */
typedef struct kd_ast_type {
    int32_t position;
    int32_t end;
    kd_ast_name name;
    kd_ast_list modifiers;    /* Expressions: numeric(10, 2). */
    uint32_t interval_fields; /* Set of KD_INTERVAL_...: INTERVAL DAY TO SECOND. */
    uint16_t dimensions;      /* 0: no array; int[][3] has 2. Bounds are read and ignored. */
    bool setof;
} kd_ast_type;

/* ---- Expressions ---- */

typedef enum kd_ast_constant_kind {
    KD_AST_NULL,
    KD_AST_BOOLEAN,
    KD_AST_INTEGER, /* Fits int64: `integer`; the binder picks int4 or int8 by its value. */
    KD_AST_DECIMAL, /* Any other number: `text`, underscores removed. numeric in PostgreSQL. */
    KD_AST_STRING,  /* `text`; of unknown type. */
    KD_AST_BITS,    /* B'01': text "b01"; X'1F': text "x1F". */
} kd_ast_constant_kind;

typedef struct kd_ast_constant {
    kd_ast_node node;
    kd_ast_constant_kind what;
    bool boolean;
    int64_t integer;
    kd_slice text; /* Also set for integers: the digits. */
} kd_ast_constant;

typedef struct kd_ast_param {
    kd_ast_node node;
    int32_t number; /* From 1. */
} kd_ast_param;

typedef struct kd_ast_column {
    kd_ast_node node;
    kd_slice *parts; /* column, or table.column, or schema.table.column ... the last is the name */
    size_t part_count;
} kd_ast_column;

typedef struct kd_ast_star {
    kd_ast_node node;
    kd_slice *parts; /* The qualifiers; none for a bare *. */
    size_t part_count;
    kd_ast_names exclude; /* EXCLUDE (a, b) */
    kd_ast_list replace;  /* REPLACE (e AS a): kd_ast_target, each with a name */
    kd_ast_list rename;   /* RENAME (a AS b): kd_ast_target of a string constant */
} kd_ast_star;

/* Also the left spine: `node.mark` is the operator's place. `left` is NULL for a prefix operator.
 * `!=` is given as `<>`. */
typedef struct kd_ast_operator {
    kd_ast_node node;
    kd_slice schema; /* OPERATOR(schema.+) */
    kd_slice name;
    kd_ast_node *left;
    kd_ast_node *right;
} kd_ast_operator;

typedef struct kd_ast_args {
    kd_ast_node node;
    kd_ast_list args;
    bool is_explicit; /* ROW: the word ROW was written. */
} kd_ast_args;

typedef struct kd_ast_unary {
    kd_ast_node node;
    kd_ast_node *operand;
} kd_ast_unary;

typedef enum kd_ast_is_test {
    KD_AST_IS_NULL,
    KD_AST_IS_TRUE,
    KD_AST_IS_FALSE,
    KD_AST_IS_UNKNOWN,
    KD_AST_IS_DOCUMENT,   /* Parsed so that the binder can refuse it. */
    KD_AST_IS_NORMALIZED, /* `form`: nfc, nfd, nfkc, nfkd */
} kd_ast_is_test;

typedef struct kd_ast_is {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_ast_is_test test;
    bool negated;
    kd_slice form;
} kd_ast_is;

typedef struct kd_ast_distinct_from {
    kd_ast_node node;
    kd_ast_node *left;
    kd_ast_node *right;
    bool negated; /* IS NOT DISTINCT FROM */
} kd_ast_distinct_from;

typedef struct kd_ast_between {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_ast_node *low;
    kd_ast_node *high;
    bool negated;
    bool symmetric;
} kd_ast_between;

typedef struct kd_ast_in {
    kd_ast_node node;
    kd_ast_node *operand; /* KD_AST_ROW for (a, b) IN ... */
    kd_ast_list items;    /* Used when query is NULL; at least one. */
    kd_ast_node *query;   /* KD_AST_SELECT, KD_AST_SETOP or NULL. */
    bool negated;
} kd_ast_in;

typedef enum kd_ast_like_kind {
    KD_AST_LIKE_LIKE,
    KD_AST_LIKE_ILIKE,
    KD_AST_LIKE_SIMILAR,
} kd_ast_like_kind;

typedef struct kd_ast_like {
    kd_ast_node node;
    kd_ast_like_kind what;
    bool negated;
    kd_ast_node *operand;
    kd_ast_node *pattern;
    kd_ast_node *escape; /* NULL without ESCAPE */
} kd_ast_like;

typedef struct kd_ast_quantified {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_slice schema;
    kd_slice operator_name; /* "=", "~~" for LIKE, "~~*" ILIKE, "!~~" NOT LIKE, "!~~*" NOT ILIKE */
    bool is_all;            /* ALL; else ANY or SOME */
    kd_ast_node *array;     /* One of these two. */
    kd_ast_node *query;
} kd_ast_quantified;

typedef enum kd_ast_subquery_kind {
    KD_AST_SUBQUERY_SCALAR,
    KD_AST_SUBQUERY_EXISTS,
    KD_AST_SUBQUERY_ARRAY,
} kd_ast_subquery_kind;

typedef struct kd_ast_subquery {
    kd_ast_node node;
    kd_ast_subquery_kind what;
    kd_ast_node *query; /* KD_AST_SELECT or KD_AST_SETOP */
} kd_ast_subquery;

typedef struct kd_ast_when {
    kd_ast_node *condition, *result;
} kd_ast_when;

typedef struct kd_ast_case {
    kd_ast_node node;
    kd_ast_node *operand; /* NULL for CASE WHEN */
    kd_ast_when *whens;
    size_t when_count;
    size_t when_capacity;
    kd_ast_node *otherwise; /* ELSE, or NULL */
} kd_ast_case;

typedef enum kd_ast_cast_form {
    KD_AST_CAST_FUNCTION, /* CAST(x AS t) */
    KD_AST_CAST_COLONS,   /* x::t */
    KD_AST_CAST_LITERAL,  /* t 'string': the operand is a string constant */
    KD_AST_CAST_TRY,      /* TRY_CAST(x AS t) */
} kd_ast_cast_form;

typedef struct kd_ast_cast {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_ast_type type;
    kd_ast_cast_form form;
} kd_ast_cast;

/* Special forms arrive here as PostgreSQL's functions: EXTRACT(f FROM x) is extract('f', x),
 * POSITION(a IN b) is position(b, a), SUBSTRING(s FROM i FOR n) is substring(s, i, n), TRIM is
 * btrim / ltrim / rtrim, OVERLAY is overlay, NORMALIZE is normalize. */
typedef struct kd_ast_arg {
    kd_slice name; /* name => value; else empty */
    int32_t position;
    bool variadic;
    kd_ast_node *value;
} kd_ast_arg;

typedef struct kd_ast_call {
    kd_ast_node node;
    kd_ast_name function;
    kd_ast_arg *args;
    size_t arg_count;
    size_t arg_capacity;
    kd_slice label;    /* The column's name where it is not the function's; may be empty. */
    bool special_form; /* Came from EXTRACT, TRIM, ...: resolve in pg_catalog. */
    bool star;         /* count(*) */
    bool distinct;
    bool ignore_nulls;        /* IGNORE NULLS (also inside the parentheses, as DuckDB has it) */
    kd_ast_list order_by;     /* kd_ast_sort, inside the parentheses */
    kd_ast_list within_group; /* kd_ast_sort, WITHIN GROUP (ORDER BY ...) */
    kd_ast_node *filter;
    struct kd_ast_window *over; /* NULL: no OVER */
} kd_ast_call;

typedef struct kd_ast_index_range {
    bool is_slice;
    kd_ast_node *lower; /* The index where !is_slice; may be NULL in a slice. */
    kd_ast_node *upper;
} kd_ast_index_range;

typedef struct kd_ast_subscript {
    kd_ast_node node;
    kd_ast_node *base;
    kd_ast_index_range *ranges; /* a[1][2:3] has two */
    size_t range_count;
    size_t range_capacity;
} kd_ast_subscript;

typedef struct kd_ast_field {
    kd_ast_node node;
    kd_ast_node *base;
    kd_slice name;
    bool star; /* (e).* */
} kd_ast_field;

typedef struct kd_ast_collate {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_ast_name collation;
} kd_ast_collate;

typedef struct kd_ast_at_time_zone {
    kd_ast_node node;
    kd_ast_node *operand;
    kd_ast_node *zone; /* NULL: AT LOCAL */
} kd_ast_at_time_zone;

typedef enum kd_ast_current_kind {
    KD_AST_CURRENT_DATE,
    KD_AST_CURRENT_TIME,
    KD_AST_CURRENT_TIMESTAMP,
    KD_AST_LOCALTIME,
    KD_AST_LOCALTIMESTAMP,
    KD_AST_CURRENT_USER, /* also CURRENT_ROLE and USER */
    KD_AST_SESSION_USER,
    KD_AST_CURRENT_CATALOG,
    KD_AST_CURRENT_SCHEMA,
} kd_ast_current_kind;

typedef struct kd_ast_current {
    kd_ast_node node;
    kd_ast_current_kind what;
    int32_t precision; /* -1: none */
} kd_ast_current;

typedef struct kd_ast_current_of {
    kd_ast_node node;
    kd_slice cursor;
} kd_ast_current_of;

/* ---- Parts of queries ---- */

typedef struct kd_ast_name_item {
    kd_ast_node node;
    kd_ast_name name;
} kd_ast_name_item;

typedef struct kd_ast_target {
    kd_ast_node node;
    kd_ast_node *value; /* An expression or KD_AST_STAR. */
    kd_slice alias;     /* Empty: the binder derives the name. */
} kd_ast_target;

typedef enum kd_ast_nulls {
    KD_AST_NULLS_DEFAULT,
    KD_AST_NULLS_FIRST,
    KD_AST_NULLS_LAST,
} kd_ast_nulls;

typedef enum kd_ast_direction {
    KD_AST_DIRECTION_DEFAULT,
    KD_AST_ASCENDING,
    KD_AST_DESCENDING,
    KD_AST_USING, /* `using_operator` */
} kd_ast_direction;

typedef struct kd_ast_sort {
    kd_ast_node node;
    kd_ast_node *value;
    kd_ast_direction direction;
    kd_ast_nulls nulls;
    kd_slice using_schema;
    kd_slice using_operator;
} kd_ast_sort;

typedef enum kd_ast_frame_mode {
    KD_AST_FRAME_NONE, /* No frame clause: RANGE UNBOUNDED PRECEDING .. CURRENT ROW. */
    KD_AST_FRAME_ROWS,
    KD_AST_FRAME_RANGE,
    KD_AST_FRAME_GROUPS,
} kd_ast_frame_mode;

typedef enum kd_ast_bound_kind {
    KD_AST_UNBOUNDED_PRECEDING,
    KD_AST_PRECEDING,
    KD_AST_CURRENT_ROW,
    KD_AST_FOLLOWING,
    KD_AST_UNBOUNDED_FOLLOWING,
} kd_ast_bound_kind;

typedef struct kd_ast_frame_bound {
    kd_ast_bound_kind what;
    kd_ast_node *offset; /* PRECEDING and FOLLOWING */
} kd_ast_frame_bound;

typedef enum kd_ast_exclude {
    KD_AST_EXCLUDE_NONE, /* also NO OTHERS */
    KD_AST_EXCLUDE_CURRENT_ROW,
    KD_AST_EXCLUDE_GROUP,
    KD_AST_EXCLUDE_TIES,
} kd_ast_exclude;

typedef struct kd_ast_window {
    kd_ast_node node;
    kd_slice name; /* WINDOW name AS (...); OVER name: only this is set and is_reference */
    bool is_reference;
    kd_slice base; /* OVER (base ORDER BY ...) */
    kd_ast_list partition_by;
    kd_ast_list order_by; /* kd_ast_sort */
    kd_ast_frame_mode frame;
    kd_ast_frame_bound start;
    kd_ast_frame_bound end; /* Filled in as CURRENT ROW when BETWEEN is not written. */
    kd_ast_exclude exclude;
} kd_ast_window;

typedef enum kd_ast_materialized {
    KD_AST_MATERIALIZED_DEFAULT,
    KD_AST_MATERIALIZED,
    KD_AST_NOT_MATERIALIZED,
} kd_ast_materialized;

typedef struct kd_ast_cte {
    kd_ast_node node;
    kd_slice name;
    kd_ast_names columns;
    kd_ast_materialized materialized;
    kd_ast_node *statement; /* SELECT, SETOP, INSERT, UPDATE, DELETE, MERGE */
    /* SEARCH and CYCLE */
    kd_ast_names search_columns;
    kd_slice search_sequence; /* Empty: no SEARCH. */
    bool search_breadth;
    kd_ast_names cycle_columns;
    kd_slice cycle_mark;        /* Empty: no CYCLE. */
    kd_ast_node *cycle_to;      /* NULL: true */
    kd_ast_node *cycle_default; /* NULL: false */
    kd_slice cycle_path;
} kd_ast_cte;

typedef struct kd_ast_with {
    bool recursive;
    kd_ast_list ctes; /* kd_ast_cte; empty: no WITH */
} kd_ast_with;

typedef enum kd_ast_grouping_kind {
    KD_AST_GROUPING_EMPTY,  /* () */
    KD_AST_GROUPING_SETS,   /* items: expressions, KD_AST_ROW or KD_AST_GROUPING_SET */
    KD_AST_GROUPING_ROLLUP, /* items: expressions; (a, b) is a KD_AST_ROW that counts as one */
    KD_AST_GROUPING_CUBE,
} kd_ast_grouping_kind;

typedef struct kd_ast_grouping_set {
    kd_ast_node node;
    kd_ast_grouping_kind what;
    kd_ast_list items;
} kd_ast_grouping_set;

/* AS name (a, b) or AS name (a int, b text) or AS (a int, b text). */
typedef struct kd_ast_alias {
    kd_slice name;
    kd_ast_names columns;
    kd_ast_list column_defs; /* kd_ast_column_def with name, type, collation */
} kd_ast_alias;

/* TABLESAMPLE method (args) REPEATABLE (seed); USING SAMPLE has a size instead of arguments. */
typedef struct kd_ast_sample {
    kd_ast_name method; /* position < 0: no TABLESAMPLE */
    kd_ast_list args;
    kd_ast_node *seed;
    kd_ast_node *size; /* USING SAMPLE: how many rows, or percent of them. */
    bool is_percent;
} kd_ast_sample;

typedef struct kd_ast_table_ref {
    kd_ast_node node;
    kd_ast_name name;
    bool is_file; /* FROM 'file.csv': name.name holds the string */
    bool only;
    kd_ast_alias alias;
    kd_ast_sample sample;
} kd_ast_table_ref;

typedef struct kd_ast_table_query {
    kd_ast_node node;
    kd_ast_node *query;
    bool lateral;
    bool single_column; /* The query must have one column. */
    kd_ast_alias alias; /* The name may be empty, as in PostgreSQL 16. */
} kd_ast_table_query;

typedef struct kd_ast_table_call {
    kd_ast_node node;
    kd_ast_list calls; /* One, or several with ROWS FROM: kd_ast_call or other expressions */
    kd_ast_list *call_column_defs; /* ROWS FROM (f(x) AS (a int)): one list per call, or NULL */
    bool rows_from;
    bool lateral;
    bool ordinality;
    kd_ast_alias alias;
} kd_ast_table_call;

typedef enum kd_ast_join_kind {
    KD_AST_JOIN_INNER,
    KD_AST_JOIN_LEFT,
    KD_AST_JOIN_RIGHT,
    KD_AST_JOIN_FULL,
    KD_AST_JOIN_CROSS,
    KD_AST_JOIN_SEMI, /* SEMI / ANTI / ASOF / POSITIONAL JOIN: DuckDB's forms */
    KD_AST_JOIN_ANTI,
    KD_AST_JOIN_POSITIONAL,
} kd_ast_join_kind;

typedef struct kd_ast_join {
    kd_ast_node node;
    kd_ast_join_kind what;
    bool natural;
    bool asof;
    kd_ast_node *left;
    kd_ast_node *right;
    kd_ast_node *condition;     /* ON */
    kd_ast_names using_columns; /* USING */
    kd_slice using_alias;       /* USING (...) AS x */
    kd_ast_alias alias;         /* (a JOIN b) AS x */
} kd_ast_join;

typedef enum kd_ast_lock_strength {
    KD_AST_FOR_KEY_SHARE,
    KD_AST_FOR_SHARE,
    KD_AST_FOR_NO_KEY_UPDATE,
    KD_AST_FOR_UPDATE,
} kd_ast_lock_strength;

typedef enum kd_ast_lock_wait {
    KD_AST_LOCK_BLOCK,
    KD_AST_LOCK_NOWAIT,
    KD_AST_LOCK_SKIP,
} kd_ast_lock_wait;

typedef struct kd_ast_locking {
    kd_ast_node node;
    kd_ast_lock_strength strength;
    kd_ast_lock_wait wait;
    kd_ast_list tables; /* kd_ast_name_item; empty: all */
} kd_ast_locking;

/* The tail that belongs to a whole query, be it a SELECT or a set operation. */
typedef struct kd_ast_query_tail {
    kd_ast_with with;
    kd_ast_list order_by; /* kd_ast_sort */
    bool order_by_all;    /* ORDER BY ALL: order_by has one item, value NULL, for its direction */
    kd_ast_node *limit;   /* NULL: none (also LIMIT ALL and LIMIT NULL stay what they are) */
    bool limit_all;       /* LIMIT ALL */
    bool limit_percent;   /* LIMIT 10% */
    bool with_ties;       /* FETCH FIRST n ROWS WITH TIES */
    kd_ast_node *offset;
    kd_ast_list locking; /* kd_ast_locking */
} kd_ast_query_tail;

typedef struct kd_ast_into {
    kd_ast_name name; /* position < 0: none */
    bool temporary;
    bool unlogged;
    int begin, end; /* The clause's bytes */
} kd_ast_into;

/* Parentheses leave no trace: `(SELECT ...) ORDER BY 1` is the inner query with that tail. A clause
 * that both have (`(SELECT ... LIMIT 1) LIMIT 2`) is an error, as in PostgreSQL. */
typedef struct kd_ast_select {
    kd_ast_node node;
    kd_ast_query_tail tail;
    bool is_values;     /* VALUES: only `values` and the tail */
    kd_ast_list values; /* kd_ast_args of kind KD_AST_ROW */
    bool distinct;      /* SELECT DISTINCT */
    kd_ast_list distinct_on;
    kd_ast_list targets; /* kd_ast_target; may be empty (SELECT FROM t); FROM-first without SELECT
                          * and TABLE t have one star */
    kd_ast_into into;
    kd_ast_list from; /* Comma list: TABLE_REF, TABLE_QUERY, TABLE_CALL, JOIN */
    kd_ast_node *where;
    kd_ast_list group_by; /* Expressions and kd_ast_grouping_set */
    bool group_by_all;
    bool group_by_distinct;
    kd_ast_node *having;
    kd_ast_list windows; /* kd_ast_window with names */
    kd_ast_node *qualify;
    kd_ast_sample sample; /* USING SAMPLE: of what FROM gives. */
} kd_ast_select;

typedef enum kd_ast_setop_kind { KD_AST_UNION, KD_AST_INTERSECT, KD_AST_EXCEPT } kd_ast_setop_kind;

typedef struct kd_ast_setop {
    kd_ast_node node; /* mark: the word UNION, ... */
    kd_ast_query_tail tail;
    kd_ast_setop_kind what;
    bool all;
    bool by_name;      /* UNION [ALL] BY NAME */
    kd_ast_node *left; /* May be a long left spine. */
    kd_ast_node *right;
} kd_ast_setop;

/* ---- Data changes ---- */

/* SET column[subscripts] = value, or SET (a, b) = row or query. */
typedef struct kd_ast_assignment {
    kd_ast_node node;
    kd_ast_list targets; /* kd_ast_node: KD_AST_COLUMN, KD_AST_SUBSCRIPT or KD_AST_FIELD on one */
    bool is_multiple;    /* (a, b) = ...: value is KD_AST_ROW or KD_AST_SUBQUERY */
    kd_ast_node *value;  /* May be KD_AST_DEFAULT (also inside the row). */
} kd_ast_assignment;

typedef struct kd_ast_on_conflict {
    kd_ast_node node;
    kd_ast_list inference; /* kd_ast_index_item */
    kd_ast_node *inference_where;
    kd_slice constraint; /* ON CONSTRAINT name */
    bool do_update;      /* else DO NOTHING */
    kd_ast_list assignments;
    kd_ast_node *where;
} kd_ast_on_conflict;

typedef enum kd_ast_overriding {
    KD_AST_OVERRIDING_NONE,
    KD_AST_OVERRIDING_USER,
    KD_AST_OVERRIDING_SYSTEM,
} kd_ast_overriding;

typedef struct kd_ast_insert {
    kd_ast_node node;
    kd_ast_with with;
    kd_ast_name table;
    kd_slice alias;
    kd_ast_list columns; /* As the targets of kd_ast_assignment. */
    bool by_name;        /* INSERT INTO t BY NAME SELECT ... */
    kd_ast_overriding overriding;
    kd_ast_node *source; /* SELECT (VALUES included) or SETOP; NULL: DEFAULT VALUES */
    kd_ast_on_conflict *on_conflict;
    kd_ast_list returning; /* kd_ast_target */
} kd_ast_insert;

typedef struct kd_ast_update {
    kd_ast_node node;
    kd_ast_with with;
    kd_ast_table_ref *table;
    kd_ast_list assignments;
    kd_ast_list from;
    kd_ast_node *where; /* May be KD_AST_CURRENT_OF. */
    kd_ast_list returning;
} kd_ast_update;

typedef struct kd_ast_delete {
    kd_ast_node node;
    kd_ast_with with;
    kd_ast_table_ref *table;
    kd_ast_list using_from;
    kd_ast_node *where;
    kd_ast_list returning;
} kd_ast_delete;

typedef enum kd_ast_merge_match {
    KD_AST_MERGE_MATCHED,
    KD_AST_MERGE_NOT_MATCHED, /* BY TARGET */
    KD_AST_MERGE_NOT_MATCHED_BY_SOURCE,
} kd_ast_merge_match;

typedef enum kd_ast_merge_do {
    KD_AST_MERGE_NOTHING,
    KD_AST_MERGE_UPDATE,
    KD_AST_MERGE_DELETE,
    KD_AST_MERGE_INSERT,
} kd_ast_merge_do;

typedef struct kd_ast_merge_when {
    kd_ast_node node;
    kd_ast_merge_match match;
    kd_ast_node *condition;
    kd_ast_merge_do action;
    kd_ast_list assignments;
    kd_ast_list columns;
    kd_ast_overriding overriding;
    kd_ast_args *values; /* NULL: DEFAULT VALUES */
} kd_ast_merge_when;

typedef struct kd_ast_merge {
    kd_ast_node node;
    kd_ast_with with;
    kd_ast_table_ref *target;
    kd_ast_node *source; /* TABLE_REF, TABLE_QUERY, ... */
    kd_ast_node *condition;
    kd_ast_list whens;
    kd_ast_list returning;
} kd_ast_merge;

typedef enum kd_ast_behavior {
    KD_AST_BEHAVIOR_DEFAULT, /* RESTRICT */
    KD_AST_RESTRICT,
    KD_AST_CASCADE,
} kd_ast_behavior;

typedef struct kd_ast_truncate {
    kd_ast_node node;
    kd_ast_list tables; /* kd_ast_table_ref */
    bool restart_identity;
    kd_ast_behavior behavior;
} kd_ast_truncate;

/* "select", "column", ...: never NULL. */
const char *kd_ast_kind_name(kd_ast_kind kind);

/* The next node down a left spine: an operator's left operand, a cast's operand, a join's or set
 * operation's left side ...; NULL when `node` begins no spine. */
kd_ast_node *kd_ast_left(const kd_ast_node *node);

static inline bool kd_ast_is_query(const kd_ast_node *node)
{
    return node != NULL && (node->kind == KD_AST_SELECT || node->kind == KD_AST_SETOP);
}

/* The text that `node` was read from; `source` is what the parser was given. This is how views,
 * defaults, checks and index expressions are stored: verbatim. */
static inline kd_slice kd_ast_text(kd_slice source, const kd_ast_node *node)
{
    return (kd_slice){source.data + node->position, (size_t)(node->end - node->position)};
}

#endif
