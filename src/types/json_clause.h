/*
 * What the clauses of SQL/JSON forms say, as one integer that the parser makes and the functions
 * behind the forms read.
 */
#ifndef KD_TYPES_JSON_CLAUSE_H
#define KD_TYPES_JSON_CLAUSE_H

enum kd_json_clause {
    /* ON EMPTY in bits 0 to 3, ON ERROR in bits 4 to 7. */
    KD_CLAUSE_NULL = 0,
    KD_CLAUSE_ERROR = 1,
    KD_CLAUSE_DEFAULT = 2,
    KD_CLAUSE_EMPTY_ARRAY = 3,
    KD_CLAUSE_EMPTY_OBJECT = 4,
    KD_CLAUSE_TRUE = 5,
    KD_CLAUSE_FALSE = 6,
    KD_CLAUSE_UNKNOWN = 7,
    KD_CLAUSE_BEHAVIOR_MASK = 15,
    KD_CLAUSE_ON_ERROR_SHIFT = 4,
    /* JSON_QUERY. */
    KD_CLAUSE_WRAP = 1 << 8,
    KD_CLAUSE_WRAP_MANY = 1 << 9, /* Only where there are several items. */
    KD_CLAUSE_OMIT_QUOTES = 1 << 10,
    KD_CLAUSE_KEEP_QUOTES = 1 << 13,
    KD_CLAUSE_NO_WRAP = 1 << 14,
    /* A column of JSON_TABLE: JSON_QUERY rather than JSON_VALUE where its type is a row. */
    KD_CLAUSE_COLUMN = 1 << 15,
    /* Constructors and IS JSON. */
    KD_CLAUSE_ABSENT = 1 << 11, /* NULLs are left out. */
    KD_CLAUSE_UNIQUE = 1 << 12, /* Keys must differ. */
    /* IS JSON: 0 VALUE, 1 OBJECT, 2 ARRAY, 3 SCALAR in bits 0 and 1. */
};

#endif
