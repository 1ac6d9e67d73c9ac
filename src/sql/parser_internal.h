/*
 * The parser's state and what its files use of each other.
 *
 * A recursive descent over tokens, with precedence climbing for expressions.
 * There is no going back: two tokens of lookahead decide everything, and what
 * they cannot decide (a parenthesis that may hold an expression, a query or a
 * join) is parsed once and named afterwards.
 *
 * A lexical failure arrives as a TOKEN_ERROR, which nothing accepts, so
 * kdi_advance and kdi_accept need no status.
 */
#ifndef KD_SQL_PARSER_INTERNAL_H
#define KD_SQL_PARSER_INTERNAL_H

#include "sql/ast_session.h"
#include "sql/lexer_internal.h"
#include "sql/parser.h"

enum { KDI_AHEAD_MAX = 2 };

struct kd_parser {
    kd_ctx *ctx;
    kd_arena *arena;
    kdi_lexer lexer;
    kdi_token token;                /* The current one. */
    kdi_token ahead[KDI_AHEAD_MAX]; /* Those after it, as far as they were asked for. */
    int ahead_count;
    kdi_token previous; /* For ends of nodes, and for hints about the word before. */
    int depth;
    int32_t param_max;
};

/* ---- Tokens (parser.c) ---- */

void kdi_advance(kd_parser *p);
const kdi_token *kdi_peek(kd_parser *p, int distance); /* 1 or 2 */

static inline bool kdi_at(const kd_parser *p, kdi_keyword keyword)
{
    return p->token.keyword == (uint16_t)keyword;
}

static inline bool kdi_at_token(const kd_parser *p, int kind)
{
    return p->token.kind == kind;
}

static inline bool kdi_next_is(kd_parser *p, kdi_keyword keyword)
{
    return kdi_peek(p, 1)->keyword == (uint16_t)keyword;
}

static inline bool kdi_next_is_token(kd_parser *p, int kind)
{
    return kdi_peek(p, 1)->kind == kind;
}

static inline bool kdi_accept(kd_parser *p, kdi_keyword keyword)
{
    if (!kdi_at(p, keyword))
        return false;
    kdi_advance(p);
    return true;
}

static inline bool kdi_accept_token(kd_parser *p, int kind)
{
    if (p->token.kind != kind)
        return false;
    kdi_advance(p);
    return true;
}

/* Two words, or neither. */
bool kdi_accept_two(kd_parser *p, kdi_keyword first, kdi_keyword second);
/* An unquoted name that is no keyword, such as `qualify`. */
bool kdi_at_word(const kd_parser *p, const char *word);
bool kdi_accept_word(kd_parser *p, const char *word);
bool kdi_token_is_word(const kdi_token *token, const char *word);

/* 42601 at the current token. `expected` is what would have been right, or NULL. */
kd_status kdi_syntax_error(kd_parser *p, const char *expected);
/* A failure with a place. */
kd_status kdi_fail_at(kd_parser *p, const char *sqlstate, int32_t position, const char *message);
/* Fails when the query has an INTO, which only a statement of its own may have. */
kd_status kdi_refuse_into(kd_parser *p, const kd_ast_node *query, const char *sqlstate,
                          const char *message);
kd_status kdi_unsupported(kd_parser *p, int32_t position, const char *what);
kd_status kdi_expect(kd_parser *p, kdi_keyword keyword) KD_MUST_CHECK;
kd_status kdi_expect_token(kd_parser *p, int kind) KD_MUST_CHECK;
kd_status kdi_parse_enter(kd_parser *p) KD_MUST_CHECK; /* One nesting level deeper. */

static inline void kdi_leave(kd_parser *p)
{
    p->depth--;
}

/* ---- Nodes and names (parser.c) ---- */

/* A zeroed node that begins at `position`. NULL: no memory. */
void *kdi_node_at(kd_parser *p, kd_ast_kind kind, size_t bytes, int32_t position);
#define KDI_NODE(p, kind, type) \
    ((type *)kdi_node_at((p), (kind), sizeof(type), (p)->token.position))
#define KDI_NODE_AT(p, kind, type, position) \
    ((type *)kdi_node_at((p), (kind), sizeof(type), (position)))

/* The node ends where the last consumed token did. */
static inline void kdi_finish(const kd_parser *p, kd_ast_node *node)
{
    node->end = p->previous.end;
}

kd_status kdi_push(kd_parser *p, kd_ast_list *list, kd_ast_node *node) KD_MUST_CHECK;
kd_status kdi_push_name(kd_parser *p, kd_ast_names *names, kd_slice name) KD_MUST_CHECK;

/* Whether a token may be a name: of a column or table, of a function or type, a label after AS. */
bool kdi_is_name(const kdi_token *token);
bool kdi_is_function_name(const kdi_token *token);
bool kdi_is_label(const kdi_token *token);

kd_status kdi_name(kd_parser *p, kd_slice *out_name) KD_MUST_CHECK;  /* ColId */
kd_status kdi_label(kd_parser *p, kd_slice *out_name) KD_MUST_CHECK; /* ColLabel */
kd_status kdi_string(kd_parser *p, kd_slice *out_text) KD_MUST_CHECK;
kd_status kdi_word_or_string(kd_parser *p, kd_slice *out_text) KD_MUST_CHECK;
kd_status kdi_integer(kd_parser *p, int64_t *out_value) KD_MUST_CHECK; /* No sign. */
kd_status kdi_signed_integer(kd_parser *p, int64_t *out_value) KD_MUST_CHECK;
kd_status kdi_role(kd_parser *p, kd_slice *out_name) KD_MUST_CHECK;
kd_status kdi_qualified_name(kd_parser *p, kd_ast_name *out_name) KD_MUST_CHECK;
kd_status kdi_name_list(kd_parser *p, kd_ast_names *names) KD_MUST_CHECK;   /* a, b */
kd_status kdi_name_parens(kd_parser *p, kd_ast_names *names) KD_MUST_CHECK; /* (a, b) */
kd_status kdi_optional_name_parens(kd_parser *p, kd_ast_names *names) KD_MUST_CHECK;
kd_status kdi_qualified_name_list(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;

static inline kd_ast_name kdi_no_name(void)
{
    return (kd_ast_name){.position = -1, .end = -1};
}

/* IF EXISTS, IF NOT EXISTS. */
kd_status kdi_if_exists(kd_parser *p, bool *out_found) KD_MUST_CHECK;
kd_status kdi_if_not_exists(kd_parser *p, bool *out_found) KD_MUST_CHECK;
kd_ast_behavior kdi_behavior(kd_parser *p); /* [CASCADE | RESTRICT] */

/* (name [= value], prefix.name = value, ...): WITH, COPY, EXPLAIN, ... parser_option.c */
kd_status kdi_option_parens(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_push_option(kd_parser *p, kd_ast_list *list, const char *name,
                          kd_ast_node *value) KD_MUST_CHECK;
kd_status kdi_push_flag(kd_parser *p, kd_ast_list *list, const char *name,
                        bool value) KD_MUST_CHECK;
kd_status kdi_sequence_options(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;

/* ---- Types (parser_type.c) ---- */

kd_status kdi_type(kd_parser *p, kd_ast_type *out_type) KD_MUST_CHECK;
/* Without array bounds: what may stand before a string literal. */
kd_status kdi_simple_type(kd_parser *p, kd_ast_type *out_type) KD_MUST_CHECK;
/* Whether the current keyword begins a built-in type that a string may follow. */
bool kdi_at_type_literal(kd_parser *p);
kd_status kdi_interval_fields(kd_parser *p, kd_ast_type *type) KD_MUST_CHECK;

/* ---- Expressions ---- */

kd_status kdi_expr(kd_parser *p, kd_ast_node **out_expr) KD_MUST_CHECK;            /* a_expr */
kd_status kdi_restricted_expr(kd_parser *p, kd_ast_node **out_expr) KD_MUST_CHECK; /* b_expr */
kd_status kdi_primary(kd_parser *p, kd_ast_node **out_expr) KD_MUST_CHECK;         /* c_expr */
kd_status kdi_expr_list(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
/* May a token begin an expression? For clauses that are optional before one. */
bool kdi_begins_expr(const kdi_token *token);
/* The operator's symbol: a token or OPERATOR(schema.symbol). */
kd_status kdi_any_operator(kd_parser *p, kd_slice *out_schema, kd_slice *out_name) KD_MUST_CHECK;
kd_status kdi_subscripts(kd_parser *p, kd_ast_node **io_expr) KD_MUST_CHECK; /* [..] and .f */
/* Constants for other files. */
kd_ast_node *kdi_string_constant(kd_parser *p, kd_slice text, int32_t position);
kd_ast_node *kdi_integer_constant(kd_parser *p, int64_t value, int32_t position);
kd_ast_node *kdi_boolean_constant(kd_parser *p, bool value, int32_t position);

/* Goes on with the operators that follow an operand, which began at `start`. */
kd_status kdi_expr_after(kd_parser *p, int32_t start, kd_ast_node *left,
                         kd_ast_node **out_expr) KD_MUST_CHECK;
/* `(` items `)`: `*out_query` is set when what was inside is a query; else `items` has them. */
kd_status kdi_parens_items(kd_parser *p, kd_ast_list *items, kd_ast_node **out_query) KD_MUST_CHECK;

/* parser_call.c: `function` is parsed, `(` is the current token. */
kd_status kdi_parse_call(kd_parser *p, kd_ast_name function, kd_ast_node **out_expr) KD_MUST_CHECK;
/* [WITHIN GROUP (...)] [FILTER (...)] [OVER ...] */
kd_status kdi_parse_call_tail(kd_parser *p, kd_ast_call *call) KD_MUST_CHECK;
kd_status kdi_window_spec(kd_parser *p, kd_ast_window *window) KD_MUST_CHECK;
/* EXTRACT, SUBSTRING, ... and the other words with a syntax of their own. */
kd_status kdi_special_form(kd_parser *p, bool *out_found, kd_ast_node **out_expr) KD_MUST_CHECK;
/* parser_json.c: JSON_VALUE(...) and its kin; at JSON behind IS [NOT]. */
kd_status kdi_json_form(kd_parser *p, bool *out_found, kd_ast_node **out_expr) KD_MUST_CHECK;
kd_status kdi_is_json(kd_parser *p, kd_ast_node *operand, kd_ast_node **out_expr) KD_MUST_CHECK;
bool kdi_at_json_format(kd_parser *p); /* FORMAT JSON, which is no alias FORMAT. */
bool kdi_at_json_table(kd_parser *p);
kd_status kdi_json_table(kd_parser *p, kd_ast_table_query **out) KD_MUST_CHECK; /* No alias. */
kd_status kdi_parse_make_call(kd_parser *p, const char *name, int32_t position,
                              kd_ast_call **out_call) KD_MUST_CHECK;
kd_status kdi_push_arg(kd_parser *p, kd_ast_call *call, kd_ast_node *value) KD_MUST_CHECK;

/* ---- Queries ---- */

/* PIVOT and UNPIVOT (parser_pivot.c): as queries, and after an item of FROM. */
bool kdi_at_pivot_query(kd_parser *p);
kd_status kdi_pivot_query(kd_parser *p, kd_ast_node **out_query) KD_MUST_CHECK;
bool kdi_at_pivot_suffix(kd_parser *p);
kd_status kdi_pivot_suffix(kd_parser *p, int32_t start, kd_ast_node *source,
                           kd_ast_node **out_query) KD_MUST_CHECK;
/* Parts of queries that are written in another way. */
kd_status kdi_parse_select_of(kd_parser *p, int32_t start, kd_ast_node *from,
                              kd_ast_select **out) KD_MUST_CHECK;
kd_status kdi_parse_target(kd_parser *p, kd_ast_list *list, kd_ast_node *value,
                           kd_slice alias) KD_MUST_CHECK;
kd_ast_node *kdi_parse_column(kd_parser *p, int32_t position, kd_slice name);
bool kdi_at_query(kd_parser *p); /* SELECT, VALUES, TABLE, WITH, FROM; not `(` */
kd_status kdi_query(kd_parser *p, kd_ast_node **out_query) KD_MUST_CHECK;
/* Goes on after a first operand that was in parentheses: set operations and the tail. */
kd_status kdi_query_after(kd_parser *p, int32_t start, kd_ast_node *first,
                          kd_ast_node **out_query) KD_MUST_CHECK;
bool kdi_at_query_tail(kd_parser *p); /* UNION, ORDER, LIMIT, ... */
/* `(` query `)`, the query given bare. */
kd_status kdi_query_parens(kd_parser *p, kd_ast_node **out_query) KD_MUST_CHECK;
kd_status kdi_with(kd_parser *p, kd_ast_with *out_with) KD_MUST_CHECK;
/* A query or a data-modifying statement: CTEs, PREPARE, COPY, EXPLAIN. */
kd_status kdi_preparable(kd_parser *p, kd_ast_node **out_statement) KD_MUST_CHECK;
kd_status kdi_targets(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_star_rest(kd_parser *p, kd_ast_star *star) KD_MUST_CHECK; /* EXCLUDE, REPLACE */
kd_status kdi_sort_list(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_order_by(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK; /* [ORDER BY ...] */
kd_status kdi_sort_direction(kd_parser *p, kd_ast_direction *out_direction,
                             kd_ast_nulls *out_nulls) KD_MUST_CHECK;

kd_status kdi_using_sample(kd_parser *p, kd_ast_sample *sample) KD_MUST_CHECK;
kd_status kdi_from_list(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_from_item(kd_parser *p, kd_ast_node **out_item) KD_MUST_CHECK;
kd_status kdi_relation(kd_parser *p, kd_ast_table_ref **out_table) KD_MUST_CHECK; /* [ONLY] t [*] */
bool kdi_at_qualify(kd_parser *p);

/* ---- Statements ---- */

kd_status kdi_statement(kd_parser *p, kd_ast_node **out_statement) KD_MUST_CHECK;
kd_status kdi_insert(kd_parser *p, kd_ast_with with, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_update(kd_parser *p, kd_ast_with with, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_delete(kd_parser *p, kd_ast_with with, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_merge(kd_parser *p, kd_ast_with with, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_where(kd_parser *p, kd_ast_node **out_where) KD_MUST_CHECK; /* [WHERE ...] */

kd_status kdi_column_def(kd_parser *p, kd_ast_column_def **out_column) KD_MUST_CHECK;
kd_status kdi_table_constraint(kd_parser *p, kd_ast_constraint **out) KD_MUST_CHECK;
kd_status kdi_domain_constraint(kd_parser *p, kd_ast_constraint **out) KD_MUST_CHECK;
kd_status kdi_constraint_attributes(kd_parser *p, kd_ast_constraint *constraint) KD_MUST_CHECK;
kd_status kdi_identity(kd_parser *p, kd_ast_constraint **out) KD_MUST_CHECK; /* GENERATED ... */
bool kdi_at_table_constraint(kd_parser *p);
/* (a DESC, (e) opclass, ...) */
kd_status kdi_index_items(kd_parser *p, kd_ast_list *list) KD_MUST_CHECK;
kd_status kdi_index_tail(kd_parser *p, kd_ast_create_index *index) KD_MUST_CHECK;
kd_status kdi_inline_index(kd_parser *p, kd_ast_create_index **out) KD_MUST_CHECK;
kd_status kdi_partition_bound(kd_parser *p, kd_ast_partition_bound **out) KD_MUST_CHECK;

kd_status kdi_create(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
/* At TABLE; `table` has what was read before it. */
kd_status kdi_parse_create_table(kd_parser *p, kd_ast_create_table *table,
                                 kd_ast_node **out) KD_MUST_CHECK;
/* parser_routine.c */
bool kdi_at_routine(const kd_parser *p);
kd_status kdi_parse_create_routine(kd_parser *p, int32_t position, bool or_replace,
                                   kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_alter_routine(kd_parser *p, int32_t position, kd_ast_object_kind object,
                                  kd_ast_object *target, kd_ast_node **out) KD_MUST_CHECK;
/* Behind TYPE name (parser_define_type.c). */
kd_status kdi_create_type(kd_parser *p, int32_t position, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_alter_type(kd_parser *p, int32_t position, const kd_ast_name *name,
                         kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_alter(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_alter_table(kd_parser *p, kd_ast_object_kind object, int32_t position,
                                kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_drop(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_comment(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_truncate(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
/* Reads `TABLE`, `MATERIALIZED VIEW`, ... */
kd_status kdi_object_kind(kd_parser *p, kd_ast_object_kind *out_kind) KD_MUST_CHECK;
kd_status kdi_object(kd_parser *p, kd_ast_object_kind kind, kd_ast_object **out) KD_MUST_CHECK;

kd_status kdi_transaction(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_set(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_reset(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
/* ALTER SYSTEM and ALTER DATABASE name: what stands behind the name, SET or RESET. */
/* SET or RESET, of what `whose` says: scope, database, role. */
kd_status kdi_alter_settings(kd_parser *p, int32_t position, const kd_ast_set *whose,
                             kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_show(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_prepare(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_execute(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_deallocate(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_declare(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_fetch(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_close(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_notify(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;

kd_status kdi_parse_copy(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_explain(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_describe(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_vacuum(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_lock(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_discard(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_call_procedure(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_do(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_grant(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_owned_tail(kd_parser *p, int32_t position, bool is_reassign,
                         kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_reassign_owned(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_role_statement(kd_parser *p, bool is_alter, int32_t position,
                             kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_default_privileges(kd_parser *p, int32_t position, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_reindex(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_cluster(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
kd_status kdi_parse_refresh(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;

#endif
