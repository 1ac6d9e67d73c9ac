/*
 * Comparisons of a column with a constant, decided on the encoded form.
 *
 * For integer types (dates, timestamps, fixed numerics of one scale) each operator is a range of
 * values [low, high], or the outside of one. FRAME vectors are compared by offsets with the range
 * moved by the base, and no value is ever expanded; a range that covers or misses the whole frame
 * is answered without looking at the rows. The loops write every row number and advance past those
 * that match, so that nothing is mispredicted.
 */
#include "exec/expr_internal.h"

#include <assert.h>

enum range_test { TEST_NONE = 0, TEST_EQ, TEST_NE, TEST_LT, TEST_LE, TEST_GT, TEST_GE };

static uint8_t test_of(const char *name)
{
    static const struct {
        const char *name;
        uint8_t test;
    } names[] = {
        {"=", TEST_EQ},  {"<>", TEST_NE}, {"!=", TEST_NE}, {"<", TEST_LT},
        {"<=", TEST_LE}, {">", TEST_GT},  {">=", TEST_GE},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].test;
    return TEST_NONE;
}

static uint8_t test_swap(uint8_t test)
{
    switch (test) {
    case TEST_LT:
        return TEST_GT;
    case TEST_LE:
        return TEST_GE;
    case TEST_GT:
        return TEST_LT;
    case TEST_GE:
        return TEST_LE;
    default:
        return test;
    }
}

static bool type_is_range(kd_type type)
{
    if (type.is_array)
        return false;
    kd_physical physical = kd_type_physical(type);
    return physical == KD_PHYS_I16 || physical == KD_PHYS_I32 || physical == KD_PHYS_I64;
}

/* Widening an integer keeps its value: the comparison may look through the cast. */
static kdi_node *integer_source(kdi_node *node)
{
    while (node->expr->kind == KD_EXPR_CAST && kd_type_is_integer(node->type) &&
           kd_type_is_integer(node->arguments[0]->type) &&
           kd_physical_bytes(kd_type_physical(node->arguments[0]->type)) <=
               kd_physical_bytes(kd_type_physical(node->type)))
        node = node->arguments[0];
    return node;
}

static bool types_compare_as_integers(kd_type a, kd_type b)
{
    if (kd_type_is_integer(a) && kd_type_is_integer(b))
        return true;
    if (a.id != b.id || a.object != b.object)
        return false;
    return a.id != KD_TYPE_NUMERIC || kd_numeric_scale(a) == kd_numeric_scale(b);
}

void kdi_range_prepare(kdi_node *node)
{
    const kd_function *function = node->expr->function;
    if (node->argument_count != 2 || !function->strict || node->type.id != KD_TYPE_BOOL)
        return;
    uint8_t test = test_of(function->name);
    if (test == TEST_NONE)
        return;
    kdi_node *left = node->arguments[0], *right = node->arguments[1];
    if (left->is_constant) {
        kdi_node *swap = left;
        left = right;
        right = swap;
        test = test_swap(test);
    }
    kdi_node *column = integer_source(left);
    if (!right->is_constant || column->is_constant || !type_is_range(column->type) ||
        !type_is_range(right->type) || !types_compare_as_integers(column->type, right->type) ||
        !types_compare_as_integers(left->type, right->type))
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

static range range_of(uint8_t test, int64_t bound)
{
    switch (test) {
    case TEST_EQ:
        return (range){bound, bound, false};
    case TEST_NE:
        return (range){bound, bound, true};
    case TEST_LT:
        return bound == INT64_MIN ? (range){1, 0, false} : (range){INT64_MIN, bound - 1, false};
    case TEST_LE:
        return (range){INT64_MIN, bound, false};
    case TEST_GT:
        return bound == INT64_MAX ? (range){1, 0, false} : (range){bound + 1, INT64_MAX, false};
    default:
        return (range){bound, INT64_MAX, false};
    }
}

/* In range exactly when value - low, unsigned, is at most `span`. */
#define RANGE_LOOP(name, value_type, unsigned_type)                                          \
    static uint32_t name(const value_type *values, unsigned_type low, unsigned_type span,    \
                         bool outside, const uint16_t *selection, uint32_t count,            \
                         uint16_t *out_rows)                                                 \
    {                                                                                        \
        uint32_t kept = 0;                                                                   \
        if (selection == NULL) {                                                             \
            for (uint32_t i = 0; i < count; i++) {                                           \
                out_rows[kept] = (uint16_t)i;                                                \
                kept += ((unsigned_type)((unsigned_type)values[i] - low) <= span) ^ outside; \
            }                                                                                \
            return kept;                                                                     \
        }                                                                                    \
        for (uint32_t i = 0; i < count; i++) {                                               \
            uint16_t row = selection[i];                                                     \
            out_rows[kept] = row;                                                            \
            kept += ((unsigned_type)((unsigned_type)values[row] - low) <= span) ^ outside;   \
        }                                                                                    \
        return kept;                                                                         \
    }
RANGE_LOOP(range_u8, uint8_t, uint8_t)
RANGE_LOOP(range_u16, uint16_t, uint16_t)
RANGE_LOOP(range_u32, uint32_t, uint32_t)
RANGE_LOOP(range_i16, int16_t, uint16_t)
RANGE_LOOP(range_i32, int32_t, uint32_t)
RANGE_LOOP(range_i64, int64_t, uint64_t)
#undef RANGE_LOOP

static uint32_t rows_all(const uint16_t *selection, uint32_t count, uint16_t *out_rows)
{
    if (selection == NULL)
        for (uint32_t i = 0; i < count; i++)
            out_rows[i] = (uint16_t)i;
    else if (selection != out_rows)
        memmove(out_rows, selection, count * sizeof *out_rows);
    return count;
}

static uint32_t rows_valid(const uint64_t *validity, uint16_t *rows, uint32_t count)
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
        return wanted.outside ? rows_all(selection, count, out_rows) : 0;
    uint64_t high = (uint64_t)wanted.high - (uint64_t)vector->base;
    if (high > most)
        high = most;
    if (low == 0 && high == most)
        return wanted.outside ? 0 : rows_all(selection, count, out_rows);
    switch (vector->width_bytes) {
    case 1:
        return range_u8(vector->values, (uint8_t)low, (uint8_t)(high - low), wanted.outside,
                        selection, count, out_rows);
    case 2:
        return range_u16(vector->values, (uint16_t)low, (uint16_t)(high - low), wanted.outside,
                         selection, count, out_rows);
    default:
        return range_u32(vector->values, (uint32_t)low, (uint32_t)(high - low), wanted.outside,
                         selection, count, out_rows);
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
        return wanted.outside ? rows_all(selection, count, out_rows) : 0;
    uint64_t low = (uint64_t)wanted.low;
    uint64_t span = (uint64_t)wanted.high - low;
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_I16:
        return range_i16(vector->values, (uint16_t)low, (uint16_t)span, wanted.outside, selection,
                         count, out_rows);
    case KD_PHYS_I32:
        return range_i32(vector->values, (uint32_t)low, (uint32_t)span, wanted.outside, selection,
                         count, out_rows);
    default:
        assert(vector->physical == KD_PHYS_I64);
        return range_i64(vector->values, low, span, wanted.outside, selection, count, out_rows);
    }
}

static int64_t integer_of(const kd_value *value)
{
    switch (kd_type_physical(value->type)) {
    case KD_PHYS_I16:
        return value->as.i16;
    case KD_PHYS_I32:
        return value->as.i32;
    default:
        return value->as.i64;
    }
}

static uint32_t select_constant(const kd_vector *vector, range wanted, const uint16_t *selection,
                                uint32_t count, uint16_t *out_rows)
{
    if (kd_vector_is_null(vector, 0))
        return 0;
    kd_value value = kd_vector_get(vector, 0);
    int64_t integer = integer_of(&value);
    bool inside = integer >= wanted.low && integer <= wanted.high;
    return inside != wanted.outside ? rows_all(selection, count, out_rows) : 0;
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
    range wanted = range_of(node->range_test, integer_of(&bound));
    switch ((kd_vector_form)vector.form) {
    case KD_VECTOR_FRAME:
        *out_count = select_frame(&vector, wanted, selection, count, out_rows);
        break;
    case KD_VECTOR_FLAT:
        *out_count = select_flat(&vector, wanted, selection, count, out_rows);
        break;
    case KD_VECTOR_CONSTANT:
        *out_count = select_constant(&vector, wanted, selection, count, out_rows);
        return KD_OK;
    case KD_VECTOR_DICT: {
        kd_vector flat;
        KD_TRY(kd_vector_flatten(ctx, frame->arena, &vector, selection, count,
                                 frame->input->row_count, &flat));
        vector = flat;
        *out_count = select_flat(&vector, wanted, selection, count, out_rows);
        break;
    }
    }
    *out_count = rows_valid(vector.validity, out_rows, *out_count);
    return KD_OK;
}
