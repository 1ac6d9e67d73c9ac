/*
 * Pieces that the forms of SQL/JSON share (parser_json_clause.c): parts of trees, and the clauses
 * PASSING, RETURNING, WRAPPER, QUOTES, ON EMPTY, ON ERROR.
 */
#ifndef KD_SQL_PARSER_JSON_INTERNAL_H
#define KD_SQL_PARSER_JSON_INTERNAL_H

#include "sql/parser_internal.h"
#include "types/json_clause.h"

/* ---- Parts of trees ---- */

kd_ast_type kdi_json_type(const char *name);
kd_status kdi_json_cast(kd_parser *p, const kd_ast_type *type, kd_ast_node **io_expr) KD_MUST_CHECK;
kd_status kdi_json_cast_to_name(kd_parser *p, const char *name,
                                kd_ast_node **io_expr) KD_MUST_CHECK;
kd_status kdi_json_push_integer(kd_parser *p, kd_ast_call *call, int64_t value) KD_MUST_CHECK;
/* The word after the current one. */
bool kdi_json_next_word(kd_parser *p, const char *word);

/* ---- Clauses ---- */

/* [FORMAT JSON [ENCODING name]] */
kd_status kdi_json_format(kd_parser *p, bool *out_found) KD_MUST_CHECK;
/* v [FORMAT JSON] */
kd_status kdi_json_expr(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
/* [PASSING v AS name, ...]: a jsonb object. */
kd_status kdi_json_passing(kd_parser *p, kd_ast_node **out) KD_MUST_CHECK;
/* [RETURNING type [FORMAT JSON]] */
kd_status kdi_json_returning(kd_parser *p, const char *usual, kd_ast_type *out) KD_MUST_CHECK;
/* JSON as what RETURNING says: a bytea holds its text. */
kd_status kdi_json_returned(kd_parser *p, const kd_ast_type *type,
                            kd_ast_node **io_expr) KD_MUST_CHECK;
/* [WITH | WITHOUT UNIQUE [KEYS]] */
kd_status kdi_json_unique(kd_parser *p, int64_t *io_flags) KD_MUST_CHECK;
/* [WITHOUT [ARRAY] WRAPPER | WITH [CONDITIONAL | UNCONDITIONAL] [ARRAY] WRAPPER], then
 * [KEEP | OMIT QUOTES [ON SCALAR STRING]]. */
kd_status kdi_json_wrapper(kd_parser *p, int64_t *io_flags) KD_MUST_CHECK;

/* What a form allows: a set of bits 1 << KD_CLAUSE_... */
typedef struct kdi_json_behaviors {
    uint32_t allowed;
    bool has_on_empty, has_on_error;
    int64_t on_empty, on_error;
    kd_ast_node *empty_default, *error_default;
} kdi_json_behaviors;

enum {
    KDI_JSON_OF_EXISTS =
        1 << KD_CLAUSE_ERROR | 1 << KD_CLAUSE_TRUE | 1 << KD_CLAUSE_FALSE | 1 << KD_CLAUSE_UNKNOWN,
    KDI_JSON_OF_VALUE = 1 << KD_CLAUSE_ERROR | 1 << KD_CLAUSE_NULL | 1 << KD_CLAUSE_DEFAULT,
    KDI_JSON_OF_QUERY =
        KDI_JSON_OF_VALUE | 1 << KD_CLAUSE_EMPTY_ARRAY | 1 << KD_CLAUSE_EMPTY_OBJECT,
    KDI_JSON_OF_TABLE = 1 << KD_CLAUSE_ERROR | 1 << KD_CLAUSE_EMPTY_ARRAY,
};

/* [behavior ON EMPTY] [behavior ON ERROR]; 42601 for those that are not allowed, and for ON EMPTY
 * where there is nothing to give but whether something is there. */
kd_status kdi_json_on_clauses(kd_parser *p, kdi_json_behaviors *io) KD_MUST_CHECK;
/* The last three arguments of JSON_VALUE and JSON_QUERY: the clauses, what to give on empty, what
 * on error. */
kd_status kdi_json_push_behaviors(kd_parser *p, kd_ast_call *call, const kdi_json_behaviors *how,
                                  int64_t flags, const kd_ast_type *type) KD_MUST_CHECK;

/* ---- Forms ---- */

/* JSON_OBJECT and the others that make JSON (parser_json_make.c): from behind `(` through `)`, and
 * what may follow an aggregate. `call` has the function's name. */
typedef kd_status kdi_json_maker(kd_parser *p, kd_ast_call *call, kd_ast_node **out);
kdi_json_maker kdi_json_object, kdi_json_array, kdi_json_object_agg, kdi_json_array_agg,
    kdi_json_scalar, kdi_json_serialize, kdi_json_parse;

#endif
