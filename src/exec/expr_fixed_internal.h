/*
 * Numeric expressions over fixed numbers: sums, differences, products and CASE of numeric(p,s)
 * columns, integers and constants, evaluated as integers at a scale that is known beforehand.
 *
 * The scale is the one that PostgreSQL's rules give. Whether the integers fit is decided for every
 * batch from the values that are in it: 64 bits, else 128, else the batch goes the general way,
 * number by number.
 */
#ifndef KD_EXEC_EXPR_FIXED_INTERNAL_H
#define KD_EXEC_EXPR_FIXED_INTERNAL_H

#include "exec/expr_internal.h"

typedef struct kdi_fixed_vector {
    const int64_t *values; /* At the rows' own positions, or one when `is_constant`. */
    const kd_i128 *wide;   /* Not NULL: these instead. */
    const uint64_t *validity;
    const uint8_t *scales; /* Not NULL: digits that the row's value shows, at most `scale`. */
    kd_i128 low, high;     /* Of the selected rows' values. */
    int scale;
    bool is_constant;
} kdi_fixed_vector;

/* Recognises arithmetic, CASE and comparisons of fixed numbers; the arguments are compiled. */
kd_status kdi_fixed_prepare(kd_ctx *ctx, kdi_node *node) KD_MUST_CHECK;
/* How the node's values are had as fixed numbers; NULL when they are none. */
kd_status kdi_fixed_of(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed) KD_MUST_CHECK;
/* The same for integers: at scale 0. */
kd_status kdi_fixed_of_integer(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed) KD_MUST_CHECK;
/* The selected rows' values; false in `*out_done` when they do not fit. Rows that are not selected
 * hold anything. */
kd_status kdi_fixed_evaluate(kd_ctx *ctx, kdi_fixed *fixed, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kdi_fixed_vector *out,
                             bool *out_done) KD_MUST_CHECK;

static inline kd_i128 kdi_fixed_at(const kdi_fixed_vector *vector, uint32_t row)
{
    uint32_t at = vector->is_constant ? 0 : row;
    return vector->wide != NULL ? vector->wide[at] : vector->values[at];
}

#endif
