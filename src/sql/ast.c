/*
 * What is asked of any node.
 */
#include "sql/ast.h"

static const char *const kind_names[KD_AST_KIND_COUNT] = {
    "none",
    "constant",
    "param",
    "column",
    "star",
    "operator",
    "and",
    "or",
    "not",
    "is",
    "distinct from",
    "between",
    "in",
    "like",
    "quantified",
    "subquery",
    "case",
    "cast",
    "call",
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "grouping",
    "row",
    "array",
    "subscript",
    "field",
    "collate",
    "at time zone",
    "current",
    "default",
    "current of",
    "target",
    "sort",
    "window",
    "cte",
    "grouping set",
    "table",
    "table query",
    "table call",
    "join",
    "locking",
    "assignment",
    "on conflict",
    "merge when",
    "column definition",
    "constraint",
    "table like",
    "index item",
    "option",
    "partition by",
    "partition bound",
    "alter action",
    "object",
    "name",
    "privilege",
    "select",
    "set operation",
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "create schema",
    "create table",
    "create table as",
    "create index",
    "create view",
    "create sequence",
    "create type",
    "create domain",
    "create type",
    "create function",
    "create role",
    "create extension",
    "alter table",
    "alter sequence",
    "alter type",
    "alter domain",
    "alter type",
    "alter function",
    "rename",
    "alter owner",
    "alter set schema",
    "drop",
    "owned",
    "comment",
    "transaction",
    "set",
    "show",
    "set constraints",
    "prepare",
    "execute",
    "deallocate",
    "declare cursor",
    "fetch",
    "close",
    "copy",
    "explain",
    "describe",
    "vacuum",
    "checkpoint",
    "lock",
    "discard",
    "call procedure",
    "do",
    "grant",
    "notify",
    "reindex",
    "cluster",
    "refresh",
};

const char *kd_ast_kind_name(kd_ast_kind kind)
{
    bool is_known = (unsigned)kind < KD_AST_KIND_COUNT && kind_names[kind] != NULL;
    return is_known ? kind_names[kind] : "unknown";
}

kd_ast_node *kd_ast_left(const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_OPERATOR:
        return ((const kd_ast_operator *)node)->left;
    case KD_AST_IS:
        return ((const kd_ast_is *)node)->operand;
    case KD_AST_DISTINCT_FROM:
        return ((const kd_ast_distinct_from *)node)->left;
    case KD_AST_BETWEEN:
        return ((const kd_ast_between *)node)->operand;
    case KD_AST_IN:
        return ((const kd_ast_in *)node)->operand;
    case KD_AST_LIKE:
        return ((const kd_ast_like *)node)->operand;
    case KD_AST_QUANTIFIED:
        return ((const kd_ast_quantified *)node)->operand;
    case KD_AST_CAST:
        return ((const kd_ast_cast *)node)->operand;
    case KD_AST_SUBSCRIPT:
        return ((const kd_ast_subscript *)node)->base;
    case KD_AST_FIELD:
        return ((const kd_ast_field *)node)->base;
    case KD_AST_COLLATE:
        return ((const kd_ast_collate *)node)->operand;
    case KD_AST_AT_TIME_ZONE:
        return ((const kd_ast_at_time_zone *)node)->operand;
    case KD_AST_JOIN:
        return ((const kd_ast_join *)node)->left;
    case KD_AST_SETOP:
        return ((const kd_ast_setop *)node)->left;
    default:
        return NULL;
    }
}
