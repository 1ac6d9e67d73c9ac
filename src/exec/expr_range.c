/*
 * Comparisons of a column with a constant, decided on the encoded form.
 *
 * For integer types (dates, timestamps, fixed numerics) each operator is a range of values [low,
 * high], or the outside of one, whatever type the constant has: a numeric of more digits or a
 * timestamp within a day lies between two of the column's integers. FRAME vectors are compared by
 * offsets with the range moved by the base, and no value is ever expanded; a range that covers or
 * misses the whole frame is answered without looking at the rows. The loops write every row number
 * and advance past those that match, so that nothing is mispredicted.
 */
#include "exec/expr_internal.h"

#include "exec/kernel_internal.h"
#include "types/datetime.h"
#include "types/numeric.h"

#include <assert.h>

uint8_t kdi_test_of(const char *name)
{
    static const struct {
        const char *name;
        uint8_t test;
    } names[] = {
        {"=", KDI_TEST_EQ},  {"<>", KDI_TEST_NE}, {"!=", KDI_TEST_NE}, {"<", KDI_TEST_LT},
        {"<=", KDI_TEST_LE}, {">", KDI_TEST_GT},  {">=", KDI_TEST_GE},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].test;
    return KDI_TEST_NONE;
}

static uint8_t test_swap(uint8_t test)
{
    switch (test) {
    case KDI_TEST_LT:
        return KDI_TEST_GT;
    case KDI_TEST_LE:
        return KDI_TEST_GE;
    case KDI_TEST_GT:
        return KDI_TEST_LT;
    case KDI_TEST_GE:
        return KDI_TEST_LE;
    default:
        return test;
    }
}

/* The column itself, or under a cast that keeps values and their order. */
static kdi_node *range_source(kdi_node *node)
{
    while (node->expr->kind == KD_EXPR_CAST && !node->type.is_array && !node->is_constant &&
           !node->arguments[0]->type.is_array) {
        kd_type from = node->arguments[0]->type, to = node->type;
        bool wider =
            kd_type_is_integer(from) && kd_type_is_integer(to) &&
            kd_physical_bytes(kd_type_physical(from)) <= kd_physical_bytes(kd_type_physical(to));
        bool number =
            to.id == KD_TYPE_NUMERIC && to.modifier < 0 &&
            (from.id == KD_TYPE_NUMERIC || (kd_type_is_integer(from) && from.id != KD_TYPE_OID));
        bool day = from.id == KD_TYPE_DATE && to.id == KD_TYPE_TIMESTAMP;
        if (!wider && !number && !day)
            break;
        node = node->arguments[0];
    }
    return node;
}

/* Which constants a column may be compared with as integers. */
static bool bound_fits(kd_type column, kd_type bound)
{
    if (bound.is_array)
        return false;
    if (kd_type_is_integer(column))
        return kd_type_is_integer(bound) || bound.id == KD_TYPE_NUMERIC;
    if (column.id == KD_TYPE_DATE && bound.id == KD_TYPE_TIMESTAMP)
        return true;
    if (column.id == KD_TYPE_NUMERIC)
        return bound.id == KD_TYPE_NUMERIC || kd_type_is_integer(bound);
    return column.id == bound.id && column.object == bound.object;
}

void kdi_range_prepare(kdi_node *node)
{
    const kd_function *function = node->expr->function;
    if (node->argument_count != 2 || !function->strict || node->type.id != KD_TYPE_BOOL)
        return;
    uint8_t test = kdi_test_of(function->name);
    if (test == KDI_TEST_NONE)
        return;
    kdi_node *left = node->arguments[0], *right = node->arguments[1];
    if (left->is_constant) {
        kdi_node *swap = left;
        left = right;
        right = swap;
        test = test_swap(test);
    }
    kdi_node *column = range_source(left);
    if (!right->is_constant || column->is_constant || !kd_type_is_ordinal(column->type) ||
        !bound_fits(column->type, right->type))
        return;
    node->range_test = test;
    node->range_column = column;
    node->range_bound = right;
    node->select = kdi_select_range;
}

typedef struct range {
    int64_t low, high; /* Inclusive; low > high: nothing. */
    bool outside;      /* Rows that are not in it. */
} range;

/* The bound among the column's integers: the largest that is not above it, and whether that is the
 * bound itself. */
typedef struct cut {
    kd_i128 floor;
    bool is_exact;
} cut;

static int64_t clamp(kd_i128 value)
{
    return value < INT64_MIN ? INT64_MIN : value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static range range_of(uint8_t test, cut bound)
{
    static const range nothing = {1, 0, false};
    kd_i128 below = bound.is_exact ? bound.floor - 1 : bound.floor; /* The last that is less. */
    bool is_inside = bound.floor >= INT64_MIN && bound.floor <= INT64_MAX;
    switch (test) {
    case KDI_TEST_EQ:
    case KDI_TEST_NE:
        if (!bound.is_exact || !is_inside)
            return (range){1, 0, test == KDI_TEST_NE};
        return (range){(int64_t)bound.floor, (int64_t)bound.floor, test == KDI_TEST_NE};
    case KDI_TEST_LT:
        return below < INT64_MIN ? nothing : (range){INT64_MIN, clamp(below), false};
    case KDI_TEST_LE:
        return bound.floor < INT64_MIN ? nothing : (range){INT64_MIN, clamp(bound.floor), false};
    case KDI_TEST_GT:
        return bound.floor >= INT64_MAX ? nothing
                                        : (range){clamp(bound.floor + 1), INT64_MAX, false};
    default:
        return below >= INT64_MAX ? nothing : (range){clamp(below + 1), INT64_MAX, false};
    }
}

/* Rounded down to the scale; false for NaN, the infinities and what has too many digits. */
static kd_status numeric_cut(kd_ctx *ctx, kd_arena *arena, kd_value *bound, int scale, cut *out,
                             bool *out_fits)
{
    kd_decimal value, whole;
    *out_fits = false;
    KD_TRY(kd_decimal_from_payload(ctx, arena, bound->type, kd_value_payload(bound), &value));
    if (value.kind != KD_DECIMAL_FINITE || !kd_decimal_try_fixed(&value, scale, &out->floor))
        return KD_OK;
    KD_TRY(kd_decimal_from_fixed(ctx, arena, out->floor, scale, &whole));
    int order = kd_decimal_compare(&whole, &value);
    out->is_exact = order == 0;
    out->floor -= order > 0;
    *out_fits = true;
    return KD_OK;
}

static kd_status cut_of(kd_ctx *ctx, kd_arena *arena, kd_type column, kd_value *bound, cut *out,
                        bool *out_fits)
{
    *out_fits = true;
    if (bound->type.id == KD_TYPE_NUMERIC || column.id == KD_TYPE_NUMERIC) {
        int scale = column.id == KD_TYPE_NUMERIC ? kd_numeric_scale(column) : 0;
        return numeric_cut(ctx, arena, bound, scale, out, out_fits);
    }
    int64_t integer = kd_value_ordinal(bound);
    if (column.id != KD_TYPE_DATE || bound->type.id == KD_TYPE_DATE) {
        *out = (cut){integer, true};
        return KD_OK;
    }
    *out_fits = kd_timestamp_is_finite(integer);
    int64_t day = integer / KD_DAY_US - (integer % KD_DAY_US < 0);
    *out = (cut){day, integer % KD_DAY_US == 0};
    return KD_OK;
}

/* In range exactly when value - low, unsigned, is at most `span`. */
#define RANGE_LOOP(name, unsigned_type, kernel)                                                  \
    static uint32_t name(const void *values, kdi_kernel_range inside, const uint16_t *selection, \
                         uint32_t count, uint16_t *out_rows)                                     \
    {                                                                                            \
        const unsigned_type *from = values;                                                      \
        unsigned_type low = (unsigned_type)inside.low, span = (unsigned_type)inside.span;        \
        uint32_t kept = 0;                                                                       \
        if (selection == NULL)                                                                   \
            return kdi_kernels()->kernel(values, inside, count, out_rows);                       \
        for (uint32_t i = 0; i < count; i++) {                                                   \
            uint16_t row = selection[i];                                                         \
            out_rows[kept] = row;                                                                \
            kept += ((unsigned_type)(from[row] - low) <= span) ^ inside.outside;                 \
        }                                                                                        \
        return kept;                                                                             \
    }
RANGE_LOOP(range_8, uint8_t, select_8)
RANGE_LOOP(range_16, uint16_t, select_16)
RANGE_LOOP(range_32, uint32_t, select_32)
RANGE_LOOP(range_64, uint64_t, select_64)
#undef RANGE_LOOP

uint32_t kdi_rows_valid(const uint64_t *validity, uint16_t *rows, uint32_t count)
{
    if (validity == NULL)
        return count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = rows[i];
        rows[kept] = row;
        kept += kd_bit_get(validity, row);
    }
    return kept;
}

static uint32_t select_frame(const kd_vector *vector, range wanted, const uint16_t *selection,
                             uint32_t count, uint16_t *out_rows)
{
    uint64_t most = vector->width_bytes == 1   ? UINT8_MAX
                    : vector->width_bytes == 2 ? UINT16_MAX
                                               : UINT32_MAX;
    uint64_t last_room = (uint64_t)INT64_MAX - (uint64_t)vector->base;
    if (vector->base > 0 && last_room < most)
        most = last_room; /* Larger offsets would leave the type. */
    bool misses = wanted.low > wanted.high || wanted.high < vector->base;
    uint64_t low = 0;
    if (!misses && wanted.low > vector->base) {
        low = (uint64_t)wanted.low - (uint64_t)vector->base;
        misses = low > most;
    }
    if (misses)
        return wanted.outside ? kdi_rows_all(selection, count, out_rows) : 0;
    uint64_t high = (uint64_t)wanted.high - (uint64_t)vector->base;
    if (high > most)
        high = most;
    if (low == 0 && high == most)
        return wanted.outside ? 0 : kdi_rows_all(selection, count, out_rows);
    kdi_kernel_range inside = {low, high - low, wanted.outside};
    switch (vector->width_bytes) {
    case 1:
        return range_8(vector->values, inside, selection, count, out_rows);
    case 2:
        return range_16(vector->values, inside, selection, count, out_rows);
    default:
        return range_32(vector->values, inside, selection, count, out_rows);
    }
}

static uint32_t select_flat(const kd_vector *vector, range wanted, const uint16_t *selection,
                            uint32_t count, uint16_t *out_rows)
{
    int64_t least = vector->physical == KD_PHYS_I16   ? INT16_MIN
                    : vector->physical == KD_PHYS_I32 ? INT32_MIN
                                                      : INT64_MIN;
    int64_t most = -(least + 1);
    if (wanted.low < least)
        wanted.low = least;
    if (wanted.high > most)
        wanted.high = most;
    if (wanted.low > wanted.high)
        return wanted.outside ? kdi_rows_all(selection, count, out_rows) : 0;
    uint64_t low = (uint64_t)wanted.low;
    kdi_kernel_range inside = {low, (uint64_t)wanted.high - low, wanted.outside};
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_I16:
        return range_16(vector->values, inside, selection, count, out_rows);
    case KD_PHYS_I32:
        return range_32(vector->values, inside, selection, count, out_rows);
    default:
        assert(vector->physical == KD_PHYS_I64);
        return range_64(vector->values, inside, selection, count, out_rows);
    }
}

static uint32_t select_constant(const kd_vector *vector, range wanted, const uint16_t *selection,
                                uint32_t count, uint16_t *out_rows)
{
    if (kd_vector_is_null(vector, 0))
        return 0;
    kd_value value = kd_vector_get(vector, 0);
    int64_t integer = kd_value_ordinal(&value);
    bool inside = integer >= wanted.low && integer <= wanted.high;
    return inside != wanted.outside ? kdi_rows_all(selection, count, out_rows) : 0;
}

/* Of any form but a dictionary. */
static uint32_t range_rows(const kd_vector *vector, range wanted, const uint16_t *selection,
                           uint32_t count, uint16_t *out_rows)
{
    if (vector->form == KD_VECTOR_CONSTANT)
        return select_constant(vector, wanted, selection, count, out_rows);
    uint32_t kept = vector->form == KD_VECTOR_FRAME
                        ? select_frame(vector, wanted, selection, count, out_rows)
                        : select_flat(vector, wanted, selection, count, out_rows);
    return kdi_rows_valid(vector->validity, out_rows, kept);
}

uint32_t kdi_rows_within(const kd_vector *vector, int64_t low, int64_t high,
                         const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    return range_rows(vector, (range){low, high, false}, selection, count, out_rows);
}

kd_status kdi_select_range(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, uint16_t *out_rows, uint32_t *out_count)
{
    *out_count = 0;
    kd_vector vector, bound_vector;
    KD_TRY(kdi_node_evaluate(ctx, node->range_bound, frame, NULL, 1, &bound_vector));
    KD_TRY(kdi_node_evaluate(ctx, node->range_column, frame, selection, count, &vector));
    if (kd_vector_is_null(&bound_vector, 0))
        return KD_OK;
    kd_value bound = kd_vector_get(&bound_vector, 0);
    cut among;
    bool fits;
    KD_TRY(cut_of(ctx, frame->arena, node->range_column->type, &bound, &among, &fits));
    if (!fits) {
        KD_TRY(node->eval(ctx, node, frame, selection, count, &vector));
        *out_count = kdi_select_true(&vector, selection, count, out_rows);
        return KD_OK;
    }
    range wanted = range_of(node->range_test, among);
    if (vector.form == KD_VECTOR_DICT) {
        kd_vector flat;
        KD_TRY(kd_vector_flatten(ctx, frame->arena, &vector, selection, count,
                                 frame->input->row_count, &flat));
        vector = flat;
    }
    *out_count = range_rows(&vector, wanted, selection, count, out_rows);
    return KD_OK;
}
