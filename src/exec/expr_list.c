/*
 * Lists and arrays: IN, ARRAY[...], subscripts, ANY and ALL over an array.
 */
#include "exec/expr_internal.h"

#include "base/hash.h"
#include "types/array.h"

#include <assert.h>

static uint16_t row_at(const uint16_t *selection, uint32_t i)
{
    return selection == NULL ? (uint16_t)i : selection[i];
}

/* ---- IN ---- */

typedef struct list_set {
    bool has_null;
    uint32_t count;
    uint32_t slot_mask;
    uint32_t *slots; /* Index + 1 of a value; 0: free. */
    uint64_t *hashes;
    kd_value *values;
    uint64_t *bits; /* Not NULL: the candidates are integers, these bits from `low` on. */
    int64_t low;
    uint64_t span; /* Of the last bit. */
} list_set;

enum { LIST_BITS_MAX = 1 << 16 };

/* Bits for integers that lie close together. */
static kd_status set_bits(kd_ctx *ctx, kd_arena *arena, list_set *set)
{
    kd_physical physical = set->count == 0 ? KD_PHYS_STR : kd_type_physical(set->values[0].type);
    if (physical != KD_PHYS_I16 && physical != KD_PHYS_I32 && physical != KD_PHYS_I64)
        return KD_OK;
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < set->count; i++) {
        int64_t value = kd_value_ordinal(&set->values[i]);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    uint64_t span = (uint64_t)high - (uint64_t)low;
    if (span >= LIST_BITS_MAX)
        return KD_OK;
    set->bits = KD_NEW_ARRAY(ctx, arena, uint64_t, span / 64 + 1);
    if (set->bits == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < set->count; i++)
        kd_bit_set(set->bits, (uint32_t)(kd_value_ordinal(&set->values[i]) - low));
    set->low = low;
    set->span = span;
    return KD_OK;
}

static kd_status set_create(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, list_set **out_set)
{
    *out_set = NULL;
    uint32_t candidates = node->argument_count - 1;
    uint32_t slot_count = 4;
    while (slot_count < candidates * 2)
        slot_count *= 2;
    kd_arena *arena = node->state_arena;
    list_set *set = KD_NEW(ctx, arena, list_set);
    if (set == NULL)
        return KD_NOMEM;
    set->slots = KD_NEW_ARRAY(ctx, arena, uint32_t, slot_count);
    set->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, candidates);
    set->values = KD_NEW_ARRAY(ctx, arena, kd_value, candidates);
    if (set->slots == NULL || set->hashes == NULL || set->values == NULL)
        return KD_NOMEM;
    set->slot_mask = slot_count - 1;
    for (uint32_t i = 0; i < candidates; i++) {
        kd_vector vector;
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[i + 1], frame, NULL, 1, &vector));
        if (kd_vector_is_null(&vector, 0)) {
            set->has_null = true;
            continue;
        }
        kd_value *value = &set->values[set->count];
        *value = kd_vector_get(&vector, 0); /* Lives in the constant node. */
        uint64_t hash = kdi_payload_hash(value->type, &value->as);
        set->hashes[set->count++] = hash;
        uint32_t slot = (uint32_t)hash & set->slot_mask;
        while (set->slots[slot] != 0)
            slot = (slot + 1) & set->slot_mask;
        set->slots[slot] = set->count;
    }
    KD_TRY(set_bits(ctx, arena, set));
    *out_set = set;
    return KD_OK;
}

#define IN_BITS_LOOP(value)                                                \
    for (uint32_t i = 0; i < count; i++) {                                 \
        uint16_t row = row_at(selection, i);                               \
        uint64_t at = (uint64_t)(value) - (uint64_t)set->low;              \
        out[row] = at <= set->span && kd_bit_get(set->bits, (uint32_t)at); \
    }                                                                      \
    return true

/* Integers without NULLs on either side, as bits; false where that does not hold. */
static bool in_bits(const list_set *set, const kd_vector *needle, const uint16_t *selection,
                    uint32_t count, uint8_t *out)
{
    const void *values = needle->values;
    if (set->bits == NULL || set->has_null || needle->validity != NULL)
        return false;
    if (needle->form == KD_VECTOR_FRAME) {
        IN_BITS_LOOP(needle->base + kdi_code_at(needle, row));
    }
    if (needle->form != KD_VECTOR_FLAT)
        return false;
    switch ((kd_physical)needle->physical) {
    case KD_PHYS_I16:
        IN_BITS_LOOP((int64_t)((const int16_t *)values)[row]);
    case KD_PHYS_I32:
        IN_BITS_LOOP((int64_t)((const int32_t *)values)[row]);
    case KD_PHYS_I64:
        IN_BITS_LOOP(((const int64_t *)values)[row]);
    default:
        return false;
    }
}
#undef IN_BITS_LOOP

static bool set_contains(const list_set *set, kd_type type, const void *payload)
{
    uint64_t hash = kdi_payload_hash(type, payload);
    uint32_t slot = (uint32_t)hash & set->slot_mask;
    for (; set->slots[slot] != 0; slot = (slot + 1) & set->slot_mask) {
        uint32_t i = set->slots[slot] - 1;
        if (set->hashes[i] == hash && kdi_payload_equal(type, payload, &set->values[i].as))
            return true;
    }
    return false;
}

static kd_status in_set(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const kd_vector *needle,
                        const uint16_t *selection, uint32_t count, kd_vector *out)
{
    if (node->list == NULL) {
        list_set *created;
        KD_TRY(set_create(ctx, node, frame, &created));
        node->list = created;
    }
    const list_set *set = node->list;
    uint8_t *values = out->values;
    if (in_bits(set, needle, selection, count, values))
        return KD_OK;
    _Alignas(16) char scratch[16];
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        if (kd_vector_is_null(needle, row)) {
            kd_vector_set_null(out, row);
            continue;
        }
        values[row] = set_contains(set, needle->type, kd_vector_payload(needle, row, scratch));
        if (!values[row] && set->has_null)
            kd_vector_set_null(out, row);
    }
    return KD_OK;
}

static kd_status in_candidates(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                               const kd_vector *needle, const uint16_t *selection, uint32_t count,
                               kd_vector *out)
{
    uint8_t *values = out->values;
    uint16_t *open = node->rows[0];
    uint32_t open_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        values[row] = 0;
        if (kd_vector_is_null(needle, row))
            kd_vector_set_null(out, row);
        else
            open[open_count++] = row;
    }
    _Alignas(16) char scratch[2][16];
    for (uint32_t a = 1; a < node->argument_count && open_count > 0; a++) {
        kd_vector candidate;
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, open, open_count, &candidate));
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t row = open[i];
            bool is_null = kd_vector_is_null(&candidate, row);
            bool found = !is_null &&
                         kdi_payload_equal(needle->type, kd_vector_payload(needle, row, scratch[0]),
                                           kd_vector_payload(&candidate, row, scratch[1]));
            if (found) {
                values[row] = 1;
                kd_bit_set(out->validity, row);
            } else {
                if (is_null)
                    kd_bit_clear(out->validity, row);
                open[kept++] = row;
            }
        }
        open_count = kept;
    }
    return KD_OK;
}

kd_status kdi_eval_in_list(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out)
{
    kd_vector needle;
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, &needle));
    *out = kdi_node_result(node);
    for (uint32_t a = 1; a < node->argument_count; a++)
        if (!node->arguments[a]->is_constant)
            return in_candidates(ctx, node, frame, &needle, selection, count, out);
    return in_set(ctx, node, frame, &needle, selection, count, out);
}

/* ---- Arrays ---- */

/* Elements that are arrays themselves make one more dimension; NULL arrays are not allowed there.
 */
static kd_status array_nest(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const kd_value *parts,
                            kd_str *out)
{
    uint32_t part_count = node->argument_count;
    kd_array_shape shape = {0};
    kd_value *elements = NULL;
    uint32_t used = 0;
    for (uint32_t i = 0; i < part_count; i++) {
        kd_array part = {0};
        if (!parts[i].is_null)
            KD_TRY(kd_array_open(ctx, parts[i].type, kd_str_slice(&parts[i].as.str), &part));
        if (i == 0) {
            shape = part.shape;
            elements = KD_NEW_ARRAY(ctx, frame->arena, kd_value, (size_t)part.count * part_count);
            if (elements == NULL)
                return KD_NOMEM;
        } else if (part.shape.dimensions != shape.dimensions ||
                   memcmp(part.shape.lengths, shape.lengths, sizeof shape.lengths) != 0) {
            return KD_FAIL(ctx, KD_INVALID, "2202E",
                           "multidimensional arrays must have array expressions with matching "
                           "dimensions");
        }
        for (uint32_t e = 0; e < part.count; e++)
            elements[used++] = kd_array_get(&part, e);
    }
    if (used == 0)
        return kd_array_make(ctx, frame->arena, kd_type_element(node->type), NULL, 0, out);
    if (shape.dimensions >= KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "number of array dimensions exceeds the maximum");
    kd_array_shape nested = {.dimensions = shape.dimensions + 1};
    nested.lengths[0] = part_count;
    nested.lower_bounds[0] = 1;
    for (uint32_t d = 0; d < shape.dimensions; d++) {
        nested.lengths[d + 1] = shape.lengths[d];
        nested.lower_bounds[d + 1] = shape.lower_bounds[d];
    }
    return kd_array_make_shaped(ctx, frame->arena, kd_type_element(node->type), &nested, elements,
                                out);
}

kd_status kdi_eval_array(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, kd_vector *out)
{
    bool is_nested = node->argument_count > 0 && node->arguments[0]->type.is_array;
    for (uint32_t a = 0; a < node->argument_count; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    *out = kdi_node_result(node);
    kd_value *elements = KD_NEW_ARRAY(ctx, frame->arena, kd_value, node->argument_count);
    if (elements == NULL)
        return KD_NOMEM;
    kd_str *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        for (uint32_t a = 0; a < node->argument_count; a++)
            elements[a] = kd_vector_get(&node->argument_vectors[a], row);
        if (is_nested)
            KD_TRY(array_nest(ctx, node, frame, elements, &values[row]));
        else
            KD_TRY(kd_array_make(ctx, frame->arena, kd_type_element(node->type), elements,
                                 node->argument_count, &values[row]));
    }
    return KD_OK;
}

static kd_status subscript_one(kd_ctx *ctx, kdi_node *node, uint16_t row, kd_vector *out)
{
    int32_t subscripts[KD_ARRAY_DIMENSIONS_MAX];
    uint32_t subscript_count = node->argument_count - 1;
    for (uint32_t a = 0; a < node->argument_count; a++)
        if (kd_vector_is_null(&node->argument_vectors[a], row)) {
            kd_vector_set_null(out, row);
            return KD_OK;
        }
    if (subscript_count > KD_ARRAY_DIMENSIONS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "number of array dimensions exceeds the maximum");
    for (uint32_t s = 0; s < subscript_count; s++)
        subscripts[s] = kd_vector_get(&node->argument_vectors[s + 1], row).as.i32;
    kd_value stored = kd_vector_get(&node->argument_vectors[0], row);
    kd_array array;
    kd_slice bytes = kd_str_slice(&stored.as.str);
    if (stored.as.str.size_bytes <= KD_STR_INLINE_BYTES) {
        /* An inlined array would point into `stored`: read it where the vector keeps it. */
        _Alignas(16) char scratch[16];
        const kd_str *kept = kd_vector_payload(&node->argument_vectors[0], row, scratch);
        bytes = kd_str_slice(kept);
    }
    KD_TRY(kd_array_open(ctx, stored.type, bytes, &array));
    uint32_t index;
    if (!kd_array_find(&array, subscripts, subscript_count, &index)) {
        kd_vector_set_null(out, row);
        return KD_OK;
    }
    kd_value element = kd_array_get(&array, index);
    kd_vector_set(out, row, &element);
    return KD_OK;
}

kd_status kdi_eval_subscript(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < node->argument_count; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    *out = kdi_node_result(node);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(subscript_one(ctx, node, row_at(selection, i), out));
    return KD_OK;
}

/* ---- ANY, ALL ---- */

static kd_status any_one(kd_ctx *ctx, kdi_node *node, uint16_t row, kd_vector *out)
{
    bool all = node->expr->all;
    const kd_vector *needle = &node->argument_vectors[0];
    const kd_vector *arrays = &node->argument_vectors[1];
    if (kd_vector_is_null(arrays, row)) {
        kd_vector_set_null(out, row);
        return KD_OK;
    }
    _Alignas(16) char scratch[2][16];
    kd_array array;
    const kd_str *stored = kd_vector_payload(arrays, row, scratch[0]);
    KD_TRY(kd_array_open(ctx, arrays->type, kd_str_slice(stored), &array));
    bool needle_is_null = kd_vector_is_null(needle, row);
    const void *args[2] = {needle_is_null ? NULL : kd_vector_payload(needle, row, scratch[1])};
    bool saw_null = false;
    uint8_t answer = all;
    for (uint32_t e = 0; e < array.count && answer == (uint8_t)all; e++) {
        kd_value element = kd_array_get(&array, e);
        if (node->strict && (needle_is_null || element.is_null)) {
            saw_null = true;
            continue;
        }
        args[1] = element.is_null ? NULL : (const void *)&element.as;
        _Alignas(16) uint8_t result[16] = {0};
        bool is_null;
        KD_TRY(kdi_call_one(ctx, node, node->expr->function, args, result, &is_null));
        if (is_null)
            saw_null = true;
        else if ((result[0] != 0) != all)
            answer = !all;
    }
    ((uint8_t *)out->values)[row] = answer;
    if (saw_null && answer == (uint8_t)all)
        kd_vector_set_null(out, row);
    return KD_OK;
}

kd_status kdi_eval_any_array(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < 2; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    node->env.arena = frame->arena;
    *out = kdi_node_result(node);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(any_one(ctx, node, row_at(selection, i), out));
    return KD_OK;
}
