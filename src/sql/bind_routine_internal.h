/*
 * Calls of routines, between the files that find out which one is meant (bind_routine_call.c) and
 * that put it in (bind_routine.c).
 */
#ifndef KD_SQL_BIND_ROUTINE_INTERNAL_H
#define KD_SQL_BIND_ROUTINE_INTERNAL_H

#include "sql/bind_internal.h"
#include "sql/routine_target.h"

/* Of functions that are put into each other; deeper ones are run when they are reached. */
enum { KDI_ROUTINE_DEPTH_MAX = 32, KDI_ROUTINE_COUNT_MAX = 1000 };

/* Whether WITH holds data changes, or rows are locked. */
bool kdi_query_writes(const kd_ast_node *query);
/* What one row of the result has as columns; `*out_is_row` false: it is one value. */
kd_status kdi_routine_shape(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                            kd_record_shape *out, bool *out_is_row) KD_MUST_CHECK;

#endif
