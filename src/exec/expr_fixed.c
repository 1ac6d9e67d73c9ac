/*
 * Fixed numbers in bulk: see expr_fixed_internal.h.
 *
 * Arithmetic runs over all rows up to the last selected one, selected or not: nothing in it can
 * fail, and a loop without a selection runs in whole registers. Bounds travel with the values, so
 * one look at them per operation says how wide the result is.
 */
#include "exec/expr_fixed_internal.h"

#include "exec/kernel_internal.h"
#include "types/numeric.h"

#include <assert.h>

enum { FAILURES_MAX = 8 };

typedef enum fixed_kind {
    FIXED_SOURCE = 1,
    FIXED_CONSTANT,
    FIXED_ADD,
    FIXED_SUBTRACT,
    FIXED_MULTIPLY,
    FIXED_NEGATE,
    FIXED_CASE,
} fixed_kind;

struct kdi_fixed {
    fixed_kind kind;
    int scale;
    kdi_node *node;
    kdi_node *source;     /* SOURCE: its integers, times 10^-scale, are the values. */
    kdi_node_eval eval;   /* Operations: the general way. */
    kd_i128 constant;     /* CONSTANT */
    int64_t narrow;       /* And once more. */
    kdi_fixed **operands; /* CASE: of each arm; NULL for NULL. */
    bool is_mixed;        /* CASE: the arms' scales differ. */
    uint8_t *scales;
    int64_t *room;
    kd_i128 *wide_room;
    uint64_t *validity_room;
    uint32_t failure_count; /* Batches in a row that did not fit. */
};

static kd_i128 limit(void)
{
    return kd_pow10_i128(KD_FIXED_PRECISION_MAX);
}

static bool fits_narrow(kd_i128 low, kd_i128 high)
{
    return low >= INT64_MIN && high <= INT64_MAX;
}

static uint32_t rows_end(const uint16_t *selection, uint32_t count)
{
    return selection == NULL || count == 0 ? count : (uint32_t)selection[count - 1] + 1;
}

static size_t room_bytes(const kdi_fixed *fixed, size_t value_bytes)
{
    return fixed->node->capacity * value_bytes;
}

static kd_status room_open(kd_ctx *ctx, kdi_fixed *fixed)
{
    if (fixed->room == NULL)
        fixed->room =
            kd_alloc_raw(ctx, fixed->node->state_arena, room_bytes(fixed, sizeof(int64_t)));
    return fixed->room == NULL ? KD_NOMEM : KD_OK;
}

static kd_status wide_open(kd_ctx *ctx, kdi_fixed *fixed)
{
    if (fixed->wide_room == NULL)
        fixed->wide_room =
            kd_alloc_raw(ctx, fixed->node->state_arena, room_bytes(fixed, sizeof(kd_i128)));
    return fixed->wide_room == NULL ? KD_NOMEM : KD_OK;
}

static kd_status validity_open(kd_ctx *ctx, kdi_fixed *fixed)
{
    if (fixed->validity_room == NULL)
        fixed->validity_room = kd_alloc_raw(ctx, fixed->node->state_arena, KDI_BATCH_WORDS * 8);
    return fixed->validity_room == NULL ? KD_NOMEM : KD_OK;
}

/* ---- Sources ---- */

static void narrow_bounds(const int64_t *values, const uint16_t *selection, uint32_t count,
                          kdi_fixed_vector *out)
{
    int64_t low = 0, high = 0;
    uint32_t end = rows_end(selection, count);
    if (count > 0 && (selection == NULL || count >= end / 4)) {
        kdi_kernels()->bounds(values, end, &low, &high);
    } else if (count > 0) {
        low = high = values[selection[0]];
        for (uint32_t i = 1; i < count; i++) {
            int64_t value = values[selection[i]];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    }
    out->low = low;
    out->high = high;
}

/* Values of 128 bits that are all short go on as 64. */
static kd_status wide_source(kd_ctx *ctx, kdi_fixed *fixed, const kd_i128 *values,
                             const uint64_t *validity, const uint16_t *selection, uint32_t count,
                             kdi_fixed_vector *out)
{
    KD_TRY(room_open(ctx, fixed));
    out->wide = values;
    out->low = out->high = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        if (validity != NULL && !kd_bit_get(validity, row))
            continue;
        out->low = values[row] < out->low ? values[row] : out->low;
        out->high = values[row] > out->high ? values[row] : out->high;
    }
    if (!fits_narrow(out->low, out->high))
        return KD_OK;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        fixed->room[row] = (int64_t)values[row];
    }
    out->wide = NULL;
    out->values = fixed->room;
    return KD_OK;
}

static void frame_source(kdi_fixed *fixed, const kd_vector *vector, uint32_t end,
                         kdi_fixed_vector *out)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    uint64_t most = UINT32_MAX;
    if (vector->width_bytes == 1) {
        kernels->widen_u8(fixed->room, vector->values, vector->base, end);
        most = UINT8_MAX;
    } else if (vector->width_bytes == 2) {
        kernels->widen_u16(fixed->room, vector->values, vector->base, end);
        most = UINT16_MAX;
    } else {
        kernels->widen_u32(fixed->room, vector->values, vector->base, end);
    }
    out->values = fixed->room;
    out->low = vector->base;
    out->high = (kd_i128)vector->base + (kd_i128)most;
    if (out->high > INT64_MAX)
        out->high = INT64_MAX; /* The values are integers of the type. */
}

/* FLAT integers of any width. */
static kd_status flat_source(kd_ctx *ctx, kdi_fixed *fixed, const kd_vector *vector,
                             const uint16_t *selection, uint32_t count, kdi_fixed_vector *out)
{
    uint32_t end = rows_end(selection, count);
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_I16:
        kdi_kernels()->widen_i16(fixed->room, vector->values, 0, end);
        out->values = fixed->room;
        out->low = INT16_MIN;
        out->high = INT16_MAX;
        return KD_OK;
    case KD_PHYS_I32:
        kdi_kernels()->widen_i32(fixed->room, vector->values, 0, end);
        out->values = fixed->room;
        out->low = INT32_MIN;
        out->high = INT32_MAX;
        return KD_OK;
    case KD_PHYS_I64:
        out->values = vector->values;
        narrow_bounds(vector->values, selection, count, out);
        return KD_OK;
    default:
        assert(vector->physical == KD_PHYS_I128);
        return wide_source(ctx, fixed, vector->values, vector->validity, selection, count, out);
    }
}

static kd_status source_evaluate(kd_ctx *ctx, kdi_fixed *fixed, kdi_frame *frame,
                                 const uint16_t *selection, uint32_t count, kdi_fixed_vector *out,
                                 bool *out_done)
{
    kd_vector vector;
    KD_TRY(kdi_node_evaluate(ctx, fixed->source, frame, selection, count, &vector));
    KD_TRY(room_open(ctx, fixed));
    *out_done = true;
    if (vector.form == KD_VECTOR_CONSTANT) {
        kd_value value = kd_vector_get(&vector, 0);
        kd_physical physical = (kd_physical)vector.physical;
        *out_done = !value.is_null;
        out->is_constant = true;
        out->low = physical == KD_PHYS_I16   ? value.as.i16
                   : physical == KD_PHYS_I32 ? value.as.i32
                   : physical == KD_PHYS_I64 ? value.as.i64
                                             : value.as.i128;
        out->high = out->low;
        KD_TRY(wide_open(ctx, fixed));
        fixed->room[0] = (int64_t)out->low;
        fixed->wide_room[0] = out->low;
        out->values = fixed->room;
        if (!fits_narrow(out->low, out->low))
            out->wide = fixed->wide_room;
        return KD_OK;
    }
    if (vector.form == KD_VECTOR_DICT) {
        kd_vector flat;
        KD_TRY(kd_vector_flatten(ctx, frame->arena, &vector, selection, count,
                                 frame->input->row_count, &flat));
        vector = flat;
        if (selection != NULL && vector.physical == KD_PHYS_I64) {
            /* What was not selected is undefined in the copy: its bounds would say nothing. */
            out->values = vector.values;
            out->validity = vector.validity;
            narrow_bounds(vector.values, selection, count, out);
            return KD_OK;
        }
    }
    out->validity = vector.validity;
    if (vector.form == KD_VECTOR_FRAME) {
        frame_source(fixed, &vector, rows_end(selection, count), out);
        return KD_OK;
    }
    return flat_source(ctx, fixed, &vector, selection, count, out);
}

/* ---- Arithmetic ---- */

static kd_i128 least(kd_i128 a, kd_i128 b)
{
    return a < b ? a : b;
}

static kd_i128 most(kd_i128 a, kd_i128 b)
{
    return a > b ? a : b;
}

/* Operands and limits are below 10^38, so that sums do not overflow 128 bits. */
static bool bounds_product(const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                           kdi_fixed_vector *out)
{
    kd_i128 corners[4];
    if (__builtin_mul_overflow(a->low, b->low, &corners[0]) ||
        __builtin_mul_overflow(a->low, b->high, &corners[1]) ||
        __builtin_mul_overflow(a->high, b->low, &corners[2]) ||
        __builtin_mul_overflow(a->high, b->high, &corners[3]))
        return false;
    out->low = least(least(corners[0], corners[1]), least(corners[2], corners[3]));
    out->high = most(most(corners[0], corners[1]), most(corners[2], corners[3]));
    return true;
}

static bool bounds_of(fixed_kind kind, const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                      kdi_fixed_vector *out)
{
    if (kind == FIXED_MULTIPLY) {
        if (!bounds_product(a, b, out))
            return false;
    } else if (kind == FIXED_ADD) {
        if (__builtin_add_overflow(a->low, b->low, &out->low) ||
            __builtin_add_overflow(a->high, b->high, &out->high))
            return false;
    } else {
        if (__builtin_sub_overflow(a->low, b->high, &out->low) ||
            __builtin_sub_overflow(a->high, b->low, &out->high))
            return false;
    }
    return out->low > -limit() && out->high < limit();
}

/* Values at a larger scale; `vector` moves to the room of `fixed`. */
static kd_status rescale(kd_ctx *ctx, kdi_fixed *fixed, int scale, const uint16_t *selection,
                         uint32_t count, kdi_fixed_vector *vector, bool *io_done)
{
    if (scale == vector->scale)
        return KD_OK;
    assert(scale > vector->scale);
    kdi_fixed_vector before = *vector;
    kd_i128 power = kd_pow10_i128(scale - vector->scale);
    if (__builtin_mul_overflow(before.low, power, &vector->low) ||
        __builtin_mul_overflow(before.high, power, &vector->high) || vector->low <= -limit() ||
        vector->high >= limit()) {
        *io_done = false;
        return KD_OK;
    }
    vector->scale = scale;
    uint32_t end = before.is_constant ? 1 : rows_end(selection, count);
    if (fits_narrow(vector->low, vector->high) && before.wide == NULL) {
        KD_TRY(room_open(ctx, fixed));
        /* A factor of more than 64 bits leaves only zeros in them. */
        kdi_kernels()->multiply_add(fixed->room, before.values, (int64_t)power, 0, end);
        vector->values = fixed->room;
        return KD_OK;
    }
    KD_TRY(wide_open(ctx, fixed));
    for (uint32_t i = 0; i < (before.is_constant ? 1 : count); i++) {
        uint32_t row = before.is_constant || selection == NULL ? i : selection[i];
        fixed->wide_room[row] = (kd_i128)((kd_u128)kdi_fixed_at(&before, row) * (kd_u128)power);
    }
    vector->wide = fixed->wide_room;
    return KD_OK;
}

static void narrow_operate(fixed_kind kind, const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                           uint32_t end, int64_t *target)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    if (a->is_constant && b->is_constant) {
        uint64_t x = (uint64_t)a->values[0], y = (uint64_t)b->values[0];
        target[0] = (int64_t)(kind == FIXED_ADD ? x + y : kind == FIXED_SUBTRACT ? x - y : x * y);
    } else if (b->is_constant && kind != FIXED_MULTIPLY) {
        uint64_t addend = (uint64_t)b->values[0];
        kernels->multiply_add(target, a->values, 1, (int64_t)(kind == FIXED_ADD ? addend : -addend),
                              end);
    } else if (a->is_constant && kind != FIXED_MULTIPLY) {
        kernels->multiply_add(target, b->values, kind == FIXED_ADD ? 1 : -1, a->values[0], end);
    } else if (a->is_constant) {
        kernels->multiply_add(target, b->values, a->values[0], 0, end);
    } else if (b->is_constant) {
        kernels->multiply_add(target, a->values, b->values[0], 0, end);
    } else if (kind == FIXED_ADD) {
        kernels->add(target, a->values, b->values, end);
    } else if (kind == FIXED_SUBTRACT) {
        kernels->subtract(target, a->values, b->values, end);
    } else {
        kernels->multiply(target, a->values, b->values, end);
    }
}

static void wide_operate(fixed_kind kind, const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                         const uint16_t *selection, uint32_t count, kd_i128 *target)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        kd_u128 x = (kd_u128)kdi_fixed_at(a, row), y = (kd_u128)kdi_fixed_at(b, row);
        target[row] = (kd_i128)(kind == FIXED_ADD ? x + y : kind == FIXED_SUBTRACT ? x - y : x * y);
    }
}

static kd_status validity_merge(kd_ctx *ctx, kdi_fixed *fixed, const kdi_fixed_vector *a,
                                const kdi_fixed_vector *b, uint32_t end, kdi_fixed_vector *out)
{
    out->validity = a->validity != NULL ? a->validity : b->validity;
    if (a->validity == NULL || b->validity == NULL)
        return KD_OK;
    KD_TRY(validity_open(ctx, fixed));
    for (uint32_t w = 0; w < (end + 63) / 64; w++)
        fixed->validity_room[w] = a->validity[w] & b->validity[w];
    out->validity = fixed->validity_room;
    return KD_OK;
}

static kd_status binary_evaluate(kd_ctx *ctx, kdi_fixed *fixed, kdi_frame *frame,
                                 const uint16_t *selection, uint32_t count, kdi_fixed_vector *out,
                                 bool *out_done)
{
    static const int64_t zero = 0;
    kdi_fixed_vector a = {.values = &zero, .is_constant = true}, b;
    kdi_fixed *right = fixed->operands[1];
    fixed_kind kind = fixed->kind == FIXED_NEGATE ? FIXED_SUBTRACT : fixed->kind;
    if (fixed->operands[0] != NULL) {
        KD_TRY(kdi_fixed_evaluate(ctx, fixed->operands[0], frame, selection, count, &a, out_done));
        if (!*out_done)
            return KD_OK;
    } else {
        a.scale = right->scale;
    }
    KD_TRY(kdi_fixed_evaluate(ctx, right, frame, selection, count, &b, out_done));
    if (*out_done && kind != FIXED_MULTIPLY) {
        if (fixed->operands[0] != NULL)
            KD_TRY(rescale(ctx, fixed->operands[0], fixed->scale, selection, count, &a, out_done));
        if (*out_done)
            KD_TRY(rescale(ctx, right, fixed->scale, selection, count, &b, out_done));
    }
    if (!*out_done || !bounds_of(kind, &a, &b, out)) {
        *out_done = false;
        return KD_OK;
    }
    uint32_t end = rows_end(selection, count);
    out->is_constant = a.is_constant && b.is_constant;
    KD_TRY(validity_merge(ctx, fixed, &a, &b, end, out));
    if (fits_narrow(out->low, out->high) && a.wide == NULL && b.wide == NULL) {
        KD_TRY(room_open(ctx, fixed));
        narrow_operate(kind, &a, &b, end, fixed->room);
        out->values = fixed->room;
        return KD_OK;
    }
    KD_TRY(wide_open(ctx, fixed));
    wide_operate(kind, &a, &b, out->is_constant ? NULL : selection, out->is_constant ? 1 : count,
                 fixed->wide_room);
    out->wide = fixed->wide_room;
    return KD_OK;
}

/* ---- CASE ---- */

typedef struct case_state {
    uint16_t *open; /* Rows that no arm has taken. */
    uint32_t open_count;
    bool done;
} case_state;

/* The arm's values for these rows, at the scale of the CASE. */
static kd_status arm_take(kd_ctx *ctx, kdi_fixed *fixed, kdi_fixed *arm, kdi_frame *frame,
                          const uint16_t *rows, uint32_t count, kdi_fixed_vector *out,
                          bool *out_done)
{
    kdi_fixed_vector taken = {0};
    *out_done = true;
    if (arm == NULL) {
        for (uint32_t i = 0; i < count; i++)
            kd_bit_clear(fixed->validity_room, rows[i]);
        return KD_OK;
    }
    KD_TRY(kdi_fixed_evaluate(ctx, arm, frame, rows, count, &taken, out_done));
    int own_scale = taken.scale;
    if (*out_done)
        KD_TRY(rescale(ctx, arm, fixed->scale, rows, count, &taken, out_done));
    *out_done = *out_done && taken.wide == NULL;
    if (!*out_done)
        return KD_OK;
    for (uint32_t i = 0; i < count; i++)
        fixed->room[rows[i]] = taken.values[taken.is_constant ? 0 : rows[i]];
    for (uint32_t i = 0; taken.validity != NULL && i < count; i++)
        if (!kd_bit_get(taken.validity, rows[i]))
            kd_bit_clear(fixed->validity_room, rows[i]);
    for (uint32_t i = 0; fixed->is_mixed && i < count; i++)
        fixed->scales[rows[i]] = (uint8_t)own_scale;
    out->low = least(out->low, taken.low);
    out->high = most(out->high, taken.high);
    return KD_OK;
}

static kd_status case_evaluate(kd_ctx *ctx, kdi_fixed *fixed, kdi_frame *frame,
                               const uint16_t *selection, uint32_t count, kdi_fixed_vector *out,
                               bool *out_done)
{
    kdi_node *node = fixed->node;
    uint32_t pairs = node->argument_count / 2;
    uint16_t *open = node->rows[0], *taken = node->rows[1];
    uint32_t open_count = count;
    KD_TRY(room_open(ctx, fixed));
    KD_TRY(validity_open(ctx, fixed));
    kdi_bits_fill(fixed->validity_room, KD_BATCH_ROWS);
    for (uint32_t i = 0; i < count; i++)
        open[i] = selection == NULL ? (uint16_t)i : selection[i];
    *out_done = true;
    for (uint32_t p = 0; p < pairs && open_count > 0 && *out_done; p++) {
        uint32_t taken_count;
        KD_TRY(kdi_node_select_rows(ctx, node->arguments[2 * p], frame, open, open_count, taken,
                                    &taken_count));
        if (taken_count == 0)
            continue;
        KD_TRY(arm_take(ctx, fixed, fixed->operands[p], frame, taken, taken_count, out, out_done));
        open_count = kdi_rows_subtract(open, open_count, taken, taken_count);
    }
    if (open_count > 0 && *out_done)
        KD_TRY(
            arm_take(ctx, fixed, fixed->operands[pairs], frame, open, open_count, out, out_done));
    out->values = fixed->room;
    out->validity = fixed->validity_room;
    out->scales = fixed->is_mixed ? fixed->scales : NULL;
    return KD_OK;
}

kd_status kdi_fixed_evaluate(kd_ctx *ctx, kdi_fixed *fixed, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kdi_fixed_vector *out,
                             bool *out_done)
{
    *out = (kdi_fixed_vector){.scale = fixed->scale};
    *out_done = false;
    switch (fixed->kind) {
    case FIXED_CONSTANT:
        out->is_constant = true;
        out->low = out->high = fixed->constant;
        out->values = &fixed->narrow;
        out->wide = fits_narrow(out->low, out->low) ? NULL : &fixed->constant;
        *out_done = true;
        return KD_OK;
    case FIXED_SOURCE:
        return source_evaluate(ctx, fixed, frame, selection, count, out, out_done);
    default:
        break;
    }
    if (fixed->failure_count >= FAILURES_MAX)
        return KD_OK;
    if (fixed->kind == FIXED_CASE)
        KD_TRY(case_evaluate(ctx, fixed, frame, selection, count, out, out_done));
    else
        KD_TRY(binary_evaluate(ctx, fixed, frame, selection, count, out, out_done));
    fixed->failure_count = *out_done ? 0 : fixed->failure_count + 1;
    return KD_OK;
}

/* ---- As nodes ---- */

/* Numbers in their stored form, for who asks for them as ever. */
static kd_status eval_numeric(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                              const uint16_t *selection, uint32_t count, kd_vector *out)
{
    kdi_fixed *fixed = node->fixed;
    kdi_fixed_vector vector;
    bool done;
    KD_TRY(kdi_fixed_evaluate(ctx, fixed, frame, selection, count, &vector, &done));
    if (!done)
        return fixed->eval(ctx, node, frame, selection, count, out);
    *out = kdi_node_result(node);
    kd_str *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        if (vector.validity != NULL && !kd_bit_get(vector.validity, row)) {
            kd_vector_set_null(out, row);
            continue;
        }
        kd_i128 value = kdi_fixed_at(&vector, row);
        int scale = vector.scale;
        if (vector.scales != NULL) {
            value /= kd_pow10_i128(scale - vector.scales[row]);
            scale = vector.scales[row];
        }
        kd_decimal decimal;
        KD_TRY(kd_decimal_from_fixed(ctx, frame->arena, value, scale, &decimal));
        KD_TRY(kd_decimal_store(ctx, frame->arena, &decimal, &values[row]));
    }
    return KD_OK;
}

#define COMPARE_LOOP(name, operator)                                                           \
    static uint32_t name(const int64_t *a, uint32_t a_step, const int64_t *b, uint32_t b_step, \
                         const uint16_t *selection, uint32_t count, uint16_t *out_rows)        \
    {                                                                                          \
        uint32_t kept = 0;                                                                     \
        for (uint32_t i = 0; i < count; i++) {                                                 \
            uint32_t row = selection == NULL ? i : selection[i];                               \
            out_rows[kept] = (uint16_t)row;                                                    \
            kept += a[row * a_step] operator b[row * b_step];                                  \
        }                                                                                      \
        return kept;                                                                           \
    }
COMPARE_LOOP(compare_eq, ==)
COMPARE_LOOP(compare_ne, !=)
COMPARE_LOOP(compare_lt, <)
COMPARE_LOOP(compare_le, <=)
#undef COMPARE_LOOP

static uint32_t compare_wide(uint8_t test, const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                             const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        kd_i128 x = kdi_fixed_at(a, row), y = kdi_fixed_at(b, row);
        out_rows[kept] = (uint16_t)row;
        kept += test == KDI_TEST_EQ   ? x == y
                : test == KDI_TEST_NE ? x != y
                : test == KDI_TEST_LT ? x < y
                                      : x <= y;
    }
    return kept;
}

/* a > b is b < a. */
static uint32_t compare(uint8_t test, const kdi_fixed_vector *a, const kdi_fixed_vector *b,
                        const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    if (test == KDI_TEST_GT || test == KDI_TEST_GE)
        return compare(test == KDI_TEST_GT ? KDI_TEST_LT : KDI_TEST_LE, b, a, selection, count,
                       out_rows);
    if (a->wide != NULL || b->wide != NULL)
        return compare_wide(test, a, b, selection, count, out_rows);
    if (selection == NULL && !a->is_constant && !b->is_constant && test != KDI_TEST_EQ &&
        test != KDI_TEST_NE)
        return kdi_kernels()->less(a->values, b->values, test == KDI_TEST_LE, count, out_rows);
    uint32_t a_step = !a->is_constant, b_step = !b->is_constant;
    switch (test) {
    case KDI_TEST_EQ:
        return compare_eq(a->values, a_step, b->values, b_step, selection, count, out_rows);
    case KDI_TEST_NE:
        return compare_ne(a->values, a_step, b->values, b_step, selection, count, out_rows);
    case KDI_TEST_LT:
        return compare_lt(a->values, a_step, b->values, b_step, selection, count, out_rows);
    default:
        return compare_le(a->values, a_step, b->values, b_step, selection, count, out_rows);
    }
}

/* Both sides at one scale. */
static kd_status sides_evaluate(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                const uint16_t *selection, uint32_t count, kdi_fixed_vector *sides,
                                bool *out_done)
{
    kdi_fixed *operands[2];
    *out_done = true;
    for (int s = 0; s < 2 && *out_done; s++) {
        KD_TRY(kdi_fixed_of(ctx, node->arguments[s], &operands[s]));
        KD_TRY(kdi_fixed_evaluate(ctx, operands[s], frame, selection, count, &sides[s], out_done));
    }
    if (!*out_done)
        return KD_OK;
    int scale = sides[0].scale > sides[1].scale ? sides[0].scale : sides[1].scale;
    for (int s = 0; s < 2 && *out_done; s++)
        KD_TRY(rescale(ctx, operands[s], scale, selection, count, &sides[s], out_done));
    return KD_OK;
}

static kd_status select_compare(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                                const uint16_t *selection, uint32_t count, uint16_t *out_rows,
                                uint32_t *out_count)
{
    kdi_fixed_vector sides[2];
    bool done;
    KD_TRY(sides_evaluate(ctx, node, frame, selection, count, sides, &done));
    if (!done) {
        kd_vector vector;
        KD_TRY(kdi_eval_call(ctx, node, frame, selection, count, &vector));
        *out_count = kdi_select_true(&vector, selection, count, out_rows);
        return KD_OK;
    }
    *out_count = compare(node->fixed_test, &sides[0], &sides[1], selection, count, out_rows);
    for (int s = 0; s < 2; s++)
        *out_count = kdi_rows_valid(sides[s].validity, out_rows, *out_count);
    return KD_OK;
}

static kd_status eval_compare(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                              const uint16_t *selection, uint32_t count, kd_vector *out)
{
    kdi_fixed_vector sides[2];
    bool done;
    KD_TRY(sides_evaluate(ctx, node, frame, selection, count, sides, &done));
    if (!done)
        return kdi_eval_call(ctx, node, frame, selection, count, out);
    *out = kdi_node_result(node);
    uint8_t *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        values[row] = 0;
        for (int s = 0; s < 2; s++)
            if (sides[s].validity != NULL && !kd_bit_get(sides[s].validity, row))
                kd_vector_set_null(out, row);
    }
    uint16_t *rows = node->rows[0];
    uint32_t kept = compare(node->fixed_test, &sides[0], &sides[1], selection, count, rows);
    for (uint32_t i = 0; i < kept; i++)
        values[rows[i]] = 1;
    return KD_OK;
}

/* ---- Preparing ---- */

static kd_status fixed_create(kd_ctx *ctx, kdi_node *node, fixed_kind kind, int scale,
                              kdi_fixed **out_fixed)
{
    kdi_fixed *fixed = KD_NEW(ctx, node->state_arena, kdi_fixed);
    *out_fixed = fixed;
    if (fixed == NULL)
        return KD_NOMEM;
    fixed->kind = kind;
    fixed->scale = scale;
    fixed->node = node;
    node->fixed = fixed;
    return KD_OK;
}

static bool is_numeric(kd_type type)
{
    return type.id == KD_TYPE_NUMERIC && !type.is_array;
}

static bool is_integer(kd_type type)
{
    return kd_type_is_integer(type) && type.id != KD_TYPE_OID;
}

static kd_status constant_fixed(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed)
{
    if (!node->constant_ready || kd_vector_is_null(&node->constant, 0) ||
        !(is_numeric(node->type) || is_integer(node->type)))
        return KD_OK;
    kd_value value = kd_vector_get(&node->constant, 0);
    kd_decimal decimal;
    kd_i128 fixed;
    KD_TRY(kd_decimal_from_payload(ctx, node->state_arena, node->type, kd_value_payload(&value),
                                   &decimal));
    if (decimal.kind != KD_DECIMAL_FINITE || decimal.scale > KD_FIXED_PRECISION_MAX ||
        !kd_decimal_try_fixed(&decimal, decimal.scale, &fixed))
        return KD_OK;
    KD_TRY(fixed_create(ctx, node, FIXED_CONSTANT, decimal.scale, out_fixed));
    (*out_fixed)->constant = fixed;
    (*out_fixed)->narrow = (int64_t)fixed;
    return KD_OK;
}

kd_status kdi_fixed_of(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed)
{
    *out_fixed = node->fixed;
    if (node->fixed != NULL)
        return KD_OK;
    if (node->is_constant)
        return constant_fixed(ctx, node, out_fixed);
    kdi_node *source = node;
    bool widens =
        node->expr->kind == KD_EXPR_CAST && is_numeric(node->type) && node->type.modifier < 0;
    if (widens)
        source = node->arguments[0];
    kd_physical physical = kd_type_physical(source->type);
    if (source->is_constant || (!widens && !is_numeric(source->type)))
        return KD_OK;
    if (is_numeric(source->type) && (physical == KD_PHYS_I64 || physical == KD_PHYS_I128)) {
        KD_TRY(fixed_create(ctx, node, FIXED_SOURCE, kd_numeric_scale(source->type), out_fixed));
        (*out_fixed)->source = source;
    } else if (widens && is_integer(source->type)) {
        KD_TRY(fixed_create(ctx, node, FIXED_SOURCE, 0, out_fixed));
        (*out_fixed)->source = source;
    }
    return KD_OK;
}

static kd_status whole_fixed(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed)
{
    *out_fixed = node->fixed;
    if (node->fixed != NULL)
        return KD_OK;
    KD_TRY(fixed_create(ctx, node, FIXED_SOURCE, 0, out_fixed));
    (*out_fixed)->source = node;
    return KD_OK;
}

kd_status kdi_fixed_of_integer(kd_ctx *ctx, kdi_node *node, kdi_fixed **out_fixed)
{
    *out_fixed = node->fixed;
    return is_integer(node->type) ? whole_fixed(ctx, node, out_fixed) : KD_OK;
}

static fixed_kind kind_of(const kdi_node *node)
{
    const char *name = node->expr->function->name;
    if (strlen(name) != 1)
        return 0;
    if (node->argument_count == 1)
        return name[0] == '-' ? FIXED_NEGATE : 0;
    switch (name[0]) {
    case '+':
        return FIXED_ADD;
    case '-':
        return FIXED_SUBTRACT;
    case '*':
        return FIXED_MULTIPLY;
    default:
        return 0;
    }
}

static kd_status operation_prepare(kd_ctx *ctx, kdi_node *node)
{
    kdi_fixed *a = NULL, *b, *fixed;
    fixed_kind kind = kind_of(node);
    if (kind == 0 || node->argument_count > 2)
        return KD_OK;
    for (uint32_t i = 0; i < node->argument_count; i++)
        if (!is_numeric(node->arguments[i]->type))
            return KD_OK;
    if (node->argument_count == 2) {
        KD_TRY(kdi_fixed_of(ctx, node->arguments[0], &a));
        if (a == NULL || a->is_mixed)
            return KD_OK;
    }
    KD_TRY(kdi_fixed_of(ctx, node->arguments[node->argument_count - 1], &b));
    if (b == NULL || b->is_mixed)
        return KD_OK;
    int scale = a != NULL && a->scale > b->scale ? a->scale : b->scale;
    if (kind == FIXED_MULTIPLY)
        scale = a->scale + b->scale;
    kdi_fixed **operands = KD_NEW_ARRAY(ctx, node->state_arena, kdi_fixed *, 2);
    if (operands == NULL)
        return KD_NOMEM;
    if (scale > KD_FIXED_PRECISION_MAX)
        return KD_OK;
    KD_TRY(fixed_create(ctx, node, kind, scale, &fixed));
    operands[0] = a;
    operands[1] = b;
    fixed->operands = operands;
    fixed->eval = node->eval;
    node->eval = eval_numeric;
    return KD_OK;
}

static kd_status case_prepare(kd_ctx *ctx, kdi_node *node)
{
    uint32_t pairs = node->argument_count / 2;
    kdi_fixed **operands = KD_NEW_ARRAY(ctx, node->state_arena, kdi_fixed *, pairs + 1);
    uint8_t *scales = kd_alloc_raw(ctx, node->state_arena, node->capacity);
    if (operands == NULL || scales == NULL)
        return KD_NOMEM;
    int low = KD_FIXED_PRECISION_MAX, high = 0;
    for (uint32_t p = 0; p <= pairs; p++) {
        bool has_arm = p < pairs || node->argument_count % 2 == 1;
        kdi_node *arm = !has_arm ? NULL : node->arguments[p < pairs ? 2 * p + 1 : 2 * pairs];
        if (arm == NULL ||
            (arm->is_constant && arm->constant_ready && kd_vector_is_null(&arm->constant, 0)))
            continue;
        KD_TRY(kdi_fixed_of(ctx, arm, &operands[p]));
        if (operands[p] == NULL || operands[p]->is_mixed)
            return KD_OK;
        low = operands[p]->scale < low ? operands[p]->scale : low;
        high = operands[p]->scale > high ? operands[p]->scale : high;
    }
    kdi_fixed *fixed;
    KD_TRY(fixed_create(ctx, node, FIXED_CASE, high, &fixed));
    fixed->operands = operands;
    fixed->is_mixed = low < high;
    fixed->scales = scales;
    fixed->eval = node->eval;
    node->eval = eval_numeric;
    return KD_OK;
}

/* Integers of any width, or dates and times of one kind: compared as the integers that they are. */
static bool are_whole(const kdi_node *a, const kdi_node *b)
{
    if (a->is_constant || b->is_constant || a->type.is_array || b->type.is_array)
        return false;
    if (is_integer(a->type))
        return is_integer(b->type);
    return a->type.id == b->type.id &&
           (a->type.id == KD_TYPE_DATE || a->type.id == KD_TYPE_TIMESTAMP ||
            a->type.id == KD_TYPE_TIMESTAMPTZ || a->type.id == KD_TYPE_TIME);
}

static kd_status compare_prepare(kd_ctx *ctx, kdi_node *node)
{
    uint8_t test = kdi_test_of(node->expr->function->name);
    if (test == KDI_TEST_NONE || node->argument_count != 2)
        return KD_OK;
    bool whole = are_whole(node->arguments[0], node->arguments[1]);
    for (uint32_t i = 0; i < 2; i++) {
        kdi_fixed *operand = NULL;
        if (whole)
            KD_TRY(whole_fixed(ctx, node->arguments[i], &operand));
        else if (is_numeric(node->arguments[i]->type))
            KD_TRY(kdi_fixed_of(ctx, node->arguments[i], &operand));
        if (operand == NULL)
            return KD_OK;
    }
    node->fixed_test = test;
    node->eval = eval_compare;
    if (node->select == NULL)
        node->select = select_compare;
    return KD_OK;
}

kd_status kdi_fixed_prepare(kd_ctx *ctx, kdi_node *node)
{
    if (node->column_refs == 0 || node->is_volatile)
        return KD_OK;
    if (node->expr->kind == KD_EXPR_CASE && is_numeric(node->type) && node->type.modifier < 0)
        return case_prepare(ctx, node);
    if (node->expr->kind != KD_EXPR_CALL)
        return KD_OK;
    if (is_numeric(node->type) && node->type.modifier < 0)
        return operation_prepare(ctx, node);
    if (node->type.id == KD_TYPE_BOOL && !node->type.is_array)
        return compare_prepare(ctx, node);
    return KD_OK;
}
