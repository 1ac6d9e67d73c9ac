/*
 * Whether one condition follows from another: for predicates of partial indexes.
 */
#ifndef KD_SQL_IMPLICATION_H
#define KD_SQL_IMPLICATION_H

#include "sql/bound.h"

/* Whether `wanted` is true of every row that `given` is true of. False where that cannot be told:
 * only AND, OR, comparisons with constants, lists of constants and IS NOT NULL are looked into. */
bool kd_expr_implies(const kd_expr *given, const kd_expr *wanted);

#endif
