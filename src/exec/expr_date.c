/*
 * Dates and their parts out of timestamps, as integers: timestamp::date, extract(hour FROM x)::int.
 *
 * A table that grows with time has neighbours of the same minute and the same day, so the last
 * timestamp's answer and the last day's are kept, and most rows cost a comparison. The answers of
 * a batch lie close together: they go out as a FRAME of single bytes, which grouping takes as
 * codes. Without the numeric in between, an integer field needs no decimal per row.
 */
#include "exec/expr_internal.h"

#include "types/datetime.h"

enum { FRAME_MAX = 254 };

typedef struct date_part {
    bool is_date; /* The date itself. */
    kd_field field;
} date_part;

static int64_t timestamp_at(const kd_vector *vector, uint32_t row)
{
    const void *values = vector->values;
    if (vector->form == KD_VECTOR_FRAME)
        return vector->base + kdi_code_at(vector, row);
    return ((const int64_t *)values)[row];
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

/* Answers by position; `*out_plain` is false when a timestamp is infinite. */
static kd_status parts_take(kd_ctx *ctx, const date_part *part, const kd_vector *source,
                            const uint16_t *selection, uint32_t count, int32_t *values,
                            int32_t *bounds, bool *out_plain)
{
    part_memo memo = {.day_start = INT64_MIN};
    int32_t least = INT32_MAX, most = INT32_MIN;
    *out_plain = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        int64_t timestamp = timestamp_at(source, row);
        if (!memo.is_set || timestamp != memo.timestamp) {
            bool is_null = source->validity != NULL && !kd_bit_get(source->validity, row);
            if (is_null) {
                values[row] = memo.value;
                continue;
            }
            if (!kd_timestamp_is_finite(timestamp))
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

static kd_status part_eval(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out)
{
    const date_part *part = node->part;
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
    if (!plain)
        return kdi_eval_call(ctx, node, frame, selection, count, out);
    *out = node->result;
    out->validity = by_entries ? NULL : source.validity;
    if (bounds[0] > bounds[1])
        bounds[0] = bounds[1] = 0; /* All NULL. */
    int32_t base = bounds[0] >= 0 && bounds[1] <= FRAME_MAX ? 0 : bounds[0];
    bool is_frame = (int64_t)bounds[1] - base <= FRAME_MAX;
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
    if (is_frame)
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
        node->arguments[1]->type.id != KD_TYPE_TIMESTAMP)
        return false;
    return kd_field_find(kd_str_slice(&field->expr->constant.as.str), out) &&
           field_is_plain(*out, type);
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
