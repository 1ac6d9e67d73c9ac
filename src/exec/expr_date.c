/*
 * Dates and their parts out of timestamps and dates, as integers: timestamp::date,
 * extract(hour FROM x)::int; and as numerics: extract(year FROM x).
 *
 * A table that grows with time has neighbours of the same minute and the same day, so the last
 * timestamp's answer and the last day's are kept, and most rows cost a comparison. Often a batch
 * has one answer, which goes out as a CONSTANT; else its answers lie close together: they go out as
 * a FRAME of single bytes, which grouping takes as codes. Without the numeric in between, an
 * integer field needs no decimal per row. Numerics go out as codes of a dictionary of all integers
 * in their range.
 */
#include "exec/expr_internal.h"

#include "base/hash.h"
#include "types/datetime.h"
#include "types/numeric.h"

/* Answers of one batch that a byte tells apart, NULL among them. */
enum { FRAME_MAX = 254 };
enum { TIMESTAMP_DAYS_MAX = 100 * 1000 * 1000 };

typedef struct date_part {
    bool is_date; /* The date itself. */
    kd_field field;
    bool is_numeric;
    /* Numerics: the dictionary of the integers from `low` on, NULL behind them. */
    kd_arena *arena;
    kd_vector dictionary;
    int32_t low;
    uint32_t count;
    uint64_t dictionary_id;
} date_part;

/* False for a date or a timestamp that is infinite, and for dates beyond all timestamps. */
static bool timestamp_at(const kd_vector *vector, uint32_t row, int64_t *out)
{
    const void *values = vector->values;
    bool is_date = vector->physical == KD_PHYS_I32;
    if (vector->form == KD_VECTOR_FRAME)
        *out = vector->base + kdi_code_at(vector, row);
    else
        *out = is_date ? ((const int32_t *)values)[row] : ((const int64_t *)values)[row];
    if (!is_date)
        return kd_timestamp_is_finite(*out);
    bool fits = *out >= -TIMESTAMP_DAYS_MAX && *out <= TIMESTAMP_DAYS_MAX;
    *out = fits ? *out * KD_DAY_US : 0;
    return fits;
}

typedef struct part_memo {
    int64_t timestamp, day_start;
    int32_t value, day_value;
    bool is_set;
} part_memo;

static kd_status memo_move(kd_ctx *ctx, const date_part *part, int64_t timestamp, part_memo *memo)
{
    uint64_t time = (uint64_t)timestamp - (uint64_t)memo->day_start;
    if (time >= (uint64_t)KD_DAY_US) {
        int32_t date = kd_timestamp_to_date(timestamp);
        kd_extract extracted = {.value = date};
        memo->day_start = (int64_t)date * KD_DAY_US;
        time = (uint64_t)timestamp - (uint64_t)memo->day_start;
        if (!part->is_date && part->field != KD_FIELD_HOUR && part->field != KD_FIELD_MINUTE)
            KD_TRY(kd_timestamp_extract(ctx, part->field, timestamp, &extracted));
        memo->day_value = (int32_t)extracted.value;
    }
    memo->is_set = true;
    memo->timestamp = timestamp;
    memo->value = memo->day_value;
    if (!part->is_date && part->field == KD_FIELD_HOUR)
        memo->value = (int32_t)(time / UINT64_C(3600000000));
    else if (!part->is_date && part->field == KD_FIELD_MINUTE)
        memo->value = (int32_t)(time / UINT64_C(60000000) % 60);
    return KD_OK;
}

/* Answers by position; `*out_plain` is false when there is one that is no small integer. */
static kd_status parts_take(kd_ctx *ctx, const date_part *part, const kd_vector *source,
                            const uint16_t *selection, uint32_t count, int32_t *values,
                            int32_t *bounds, bool *out_plain)
{
    part_memo memo = {.day_start = INT64_MIN};
    int32_t least = INT32_MAX, most = INT32_MIN;
    *out_plain = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        int64_t timestamp;
        bool fits = timestamp_at(source, row, &timestamp);
        if (!memo.is_set || !fits || timestamp != memo.timestamp) {
            bool is_null = source->validity != NULL && !kd_bit_get(source->validity, row);
            if (is_null) {
                values[row] = memo.value;
                continue;
            }
            if (!fits)
                return KD_OK;
            KD_TRY(memo_move(ctx, part, timestamp, &memo));
            least = memo.value < least ? memo.value : least;
            most = memo.value > most ? memo.value : most;
        }
        values[row] = memo.value;
    }
    bounds[0] = least;
    bounds[1] = most;
    *out_plain = true;
    return KD_OK;
}

static void frame_fill(kdi_node *node, const int32_t *values, const uint16_t *selection,
                       uint32_t count, uint32_t row_count, int32_t base, kd_vector *out)
{
    uint8_t *offsets = node->result.values;
    if (selection == NULL) {
        for (uint32_t i = 0; i < count; i++)
            offsets[i] = (uint8_t)(values[i] - base);
    } else {
        memset(offsets, 0, row_count);
        for (uint32_t i = 0; i < count; i++)
            offsets[selection[i]] = (uint8_t)(values[selection[i]] - base);
    }
    out->form = KD_VECTOR_FRAME;
    out->width_bytes = 1;
    out->base = base;
}

static void flat_fill(const int32_t *values, const uint16_t *selection, uint32_t count,
                      kd_vector *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        if (out->physical == KD_PHYS_I16)
            ((int16_t *)out->values)[row] = (int16_t)values[row];
        else if (out->physical == KD_PHYS_I32)
            ((int32_t *)out->values)[row] = values[row];
        else
            ((int64_t *)out->values)[row] = values[row];
    }
}

/* One answer for all rows. */
static void constant_fill(int32_t value, kd_vector *out)
{
    flat_fill(&value, NULL, 1, out);
    out->form = KD_VECTOR_CONSTANT;
    out->validity = NULL;
}

static bool has_plain_entries(const kd_vector *source, uint32_t count)
{
    return source->form == KD_VECTOR_DICT && source->dictionary_id == 0 &&
           source->dictionary->validity == NULL && source->dictionary_count <= count;
}

bool kdi_date_goes_first(const kdi_node *node, const kd_vector *source, uint32_t count)
{
    return node->part != NULL && node->part_source->eval == NULL &&
           has_plain_entries(source, count);
}

#define SPREAD_LOOP(name, code_type)                                                  \
    static void name(uint8_t *restrict offsets, const uint8_t *restrict table,        \
                     const void *restrict values, const uint16_t *restrict selection, \
                     uint32_t count)                                                  \
    {                                                                                 \
        const code_type *codes = values;                                              \
        if (selection == NULL)                                                        \
            for (uint32_t i = 0; i < count; i++)                                      \
                offsets[i] = table[codes[i]];                                         \
        else                                                                          \
            for (uint32_t i = 0; i < count; i++)                                      \
                offsets[selection[i]] = table[codes[selection[i]]];                   \
    }
SPREAD_LOOP(spread_u8, uint8_t)
SPREAD_LOOP(spread_u16, uint16_t)
SPREAD_LOOP(spread_u32, uint32_t)
#undef SPREAD_LOOP

/* A frame of the entries' answers, by the rows' codes. */
static kd_status entries_frame(kd_ctx *ctx, kdi_node *node, kd_arena *arena,
                               const kd_vector *source, const int32_t *answers,
                               const uint16_t *selection, uint32_t count, uint32_t row_count,
                               int32_t base, kd_vector *out)
{
    uint8_t *offsets = node->result.values;
    uint8_t *table = kd_alloc_raw(ctx, arena, source->dictionary_count);
    if (table == NULL)
        return KD_NOMEM;
    for (uint32_t e = 0; e < source->dictionary_count; e++)
        table[e] = (uint8_t)(answers[e] - base);
    if (selection != NULL)
        memset(offsets, 0, row_count);
    if (source->width_bytes == 1)
        spread_u8(offsets, table, source->values, selection, count);
    else if (source->width_bytes == 2)
        spread_u16(offsets, table, source->values, selection, count);
    else
        spread_u32(offsets, table, source->values, selection, count);
    out->form = KD_VECTOR_FRAME;
    out->width_bytes = 1;
    out->base = base;
    return KD_OK;
}

/* Entries' answers to the rows of their codes, one value each. */
static void entries_flat(const kd_vector *source, const int32_t *answers, const uint16_t *selection,
                         uint32_t count, int32_t *values)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        values[row] = answers[kdi_code_at(source, row)];
    }
}

/* A dictionary that has `low` .. `high` and all that it had before; `*out_fits` is false when they
 * are too many. */
static kd_status dictionary_reach(kd_ctx *ctx, kd_arena *state_arena, date_part *part, int32_t low,
                                  int32_t high, bool *out_fits)
{
    if (part->count > 0) {
        int32_t last = part->low + (int32_t)part->count - 1;
        low = part->low < low ? part->low : low;
        high = last > high ? last : high;
    }
    *out_fits = (int64_t)high - low < FRAME_MAX;
    uint32_t count = (uint32_t)(high - low) + 1;
    if (!*out_fits || count == part->count)
        return KD_OK;
    kd_vector *dictionary = &part->dictionary;
    kd_type type = kd_type_of(KD_TYPE_NUMERIC);
    if (part->arena == NULL)
        part->arena = kd_arena_create(ctx, state_arena, "date parts", KD_ARENA_UNLIMITED);
    if (part->arena == NULL)
        return KD_NOMEM;
    part->count = 0;
    kd_arena_reset(part->arena);
    KD_TRY(kd_vector_init_flat(ctx, part->arena, type, count + 1, dictionary));
    for (uint32_t i = 0; i < count; i++) {
        kd_decimal value;
        KD_TRY(kd_decimal_from_i64(ctx, part->arena, low + (int32_t)i, &value));
        KD_TRY(kd_decimal_store(ctx, part->arena, &value, &((kd_str *)dictionary->values)[i]));
    }
    kd_vector_set_null(dictionary, count);
    part->low = low;
    part->count = count;
    part->dictionary_id =
        kd_hash_u64((uint64_t)(uintptr_t)part + kd_hash_u64((uint64_t)low) + (uint64_t)count) | 1;
    return KD_OK;
}

/* Codes of the rows' integers; those of NULL name the last entry. */
static void codes_fill(const kdi_node *node, const date_part *part, const int32_t *values,
                       const uint64_t *validity, const uint16_t *selection, uint32_t count,
                       uint32_t row_count, kd_vector *out)
{
    uint8_t *codes = node->result.values;
    if (selection != NULL)
        memset(codes, 0, row_count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        bool is_null = validity != NULL && !kd_bit_get(validity, row);
        codes[row] = is_null ? (uint8_t)part->count : (uint8_t)(values[row] - part->low);
    }
    out->form = KD_VECTOR_DICT;
    out->width_bytes = 1;
    out->validity = NULL;
    out->dictionary = &part->dictionary;
    out->dictionary_count = part->count + 1;
    out->dictionary_id = part->dictionary_id;
}

static kd_status part_eval(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out)
{
    date_part *part = node->part;
    kd_vector source;
    bool plain = false;
    int32_t bounds[2];
    KD_TRY(kdi_node_evaluate(ctx, node->part_source, frame, selection, count, &source));
    uint32_t row_count = frame->input->row_count;
    bool by_entries = has_plain_entries(&source, count);
    bool taken = count > 0 && row_count <= node->capacity &&
                 (source.form == KD_VECTOR_FLAT || source.form == KD_VECTOR_FRAME || by_entries);
    uint32_t answer_count = by_entries ? source.dictionary_count : row_count;
    int32_t *answers = kd_alloc_raw(ctx, frame->arena, answer_count * sizeof *answers);
    if (answers == NULL)
        return KD_NOMEM;
    if (taken && by_entries)
        KD_TRY(
            parts_take(ctx, part, source.dictionary, NULL, answer_count, answers, bounds, &plain));
    else if (taken)
        KD_TRY(parts_take(ctx, part, &source, selection, count, answers, bounds, &plain));
    if (plain && bounds[0] > bounds[1])
        bounds[0] = bounds[1] = 0; /* All NULL. */
    if (plain && part->is_numeric)
        KD_TRY(dictionary_reach(ctx, node->state_arena, part, bounds[0], bounds[1], &plain));
    if (!plain)
        return kdi_eval_call(ctx, node, frame, selection, count, out);
    *out = node->result;
    out->validity = by_entries ? NULL : source.validity;
    if (bounds[0] == bounds[1] && out->validity == NULL && !part->is_numeric) {
        constant_fill(bounds[0], out);
        return KD_OK;
    }
    int32_t base = bounds[0] >= 0 && bounds[1] <= FRAME_MAX ? 0 : bounds[0];
    bool is_frame = (int64_t)bounds[1] - base <= FRAME_MAX && !part->is_numeric;
    if (by_entries && is_frame)
        return entries_frame(ctx, node, frame->arena, &source, answers, selection, count, row_count,
                             base, out);
    int32_t *values = answers;
    if (by_entries) {
        values = kd_alloc_raw(ctx, frame->arena, row_count * sizeof *values);
        if (values == NULL)
            return KD_NOMEM;
        entries_flat(&source, answers, selection, count, values);
    }
    if (part->is_numeric)
        codes_fill(node, part, values, out->validity, selection, count, row_count, out);
    else if (is_frame)
        frame_fill(node, values, selection, count, row_count, base, out);
    else
        flat_fill(values, selection, count, out);
    return KD_OK;
}

/* The fields that depend on the day, the hour or the minute, are integers and fit everywhere. */
static bool field_is_plain(kd_field field, kd_type type)
{
    switch (field) {
    case KD_FIELD_MINUTE:
    case KD_FIELD_HOUR:
    case KD_FIELD_DAY:
    case KD_FIELD_WEEK:
    case KD_FIELD_MONTH:
    case KD_FIELD_QUARTER:
    case KD_FIELD_DOW:
    case KD_FIELD_ISODOW:
    case KD_FIELD_DOY:
        return true;
    case KD_FIELD_YEAR:
        return type.id != KD_TYPE_INT2;
    default:
        return false;
    }
}

static bool field_is_extracted(const kdi_node *node, kd_type type, kd_field *out)
{
    if (node->expr->kind != KD_EXPR_CALL || node->argument_count != 2)
        return false;
    const char *name = node->expr->function->name;
    if (strcmp(name, "extract") != 0 && strcmp(name, "date_part") != 0)
        return false;
    const kdi_node *field = node->arguments[0];
    if (field->expr->kind != KD_EXPR_CONSTANT || field->expr->constant.is_null ||
        !kd_type_is_string(field->type) || node->arguments[1]->type.is_array ||
        (node->arguments[1]->type.id != KD_TYPE_TIMESTAMP &&
         node->arguments[1]->type.id != KD_TYPE_DATE))
        return false;
    if (!kd_field_find(kd_str_slice(&field->expr->constant.as.str), out) ||
        !field_is_plain(*out, type))
        return false;
    bool has_time = node->arguments[1]->type.id == KD_TYPE_TIMESTAMP;
    return has_time || (*out != KD_FIELD_HOUR && *out != KD_FIELD_MINUTE);
}

kd_status kdi_field_prepare(kd_ctx *ctx, kdi_node *node)
{
    kd_field field;
    if (node->eval != kdi_eval_call || node->type.is_array || node->type.id != KD_TYPE_NUMERIC ||
        !field_is_extracted(node, node->type, &field))
        return KD_OK;
    date_part *part = KD_NEW(ctx, node->state_arena, date_part);
    if (part == NULL)
        return KD_NOMEM;
    part->field = field;
    part->is_numeric = true;
    node->part = part;
    node->part_source = node->arguments[1];
    node->eval = part_eval;
    return KD_OK;
}

kd_status kdi_date_prepare(kd_ctx *ctx, kdi_node *node)
{
    kdi_node *argument = node->arguments[0];
    date_part part = {0};
    if (node->eval != kdi_eval_call || node->type.is_array || argument->type.is_array)
        return KD_OK;
    if (node->type.id == KD_TYPE_DATE && argument->type.id == KD_TYPE_TIMESTAMP) {
        part.is_date = true;
        node->part_source = argument;
    } else if (kd_type_is_integer(node->type) && node->type.id != KD_TYPE_OID &&
               field_is_extracted(argument, node->type, &part.field)) {
        node->part_source = argument->arguments[1];
    } else {
        return KD_OK;
    }
    date_part *kept = KD_NEW(ctx, node->state_arena, date_part);
    if (kept == NULL)
        return KD_NOMEM;
    *kept = part;
    node->part = kept;
    node->eval = part_eval;
    return KD_OK;
}
