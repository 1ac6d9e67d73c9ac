/*
 * Table functions that make rows out of nothing or out of an array: generate_series,
 * generate_subscripts, unnest.
 *
 * A series makes its values batch by batch, so that a long one takes no memory.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/datetime.h"

/* --- generate_series -------------------------------------------------------------------------- */

typedef struct series {
    kd_arena *batches[2]; /* Of numerics: used in turn, since the next value is one batch older. */
    int turn;
    kd_type type;
    const kd_zone *zone;
    bool done;
    int64_t current, stop, step;
    kd_interval interval;
    bool descending;
    kd_decimal decimal, decimal_stop, decimal_step;
    kd_vector column;
} series;

static kd_status zero_step(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "step size cannot equal zero");
}

static kd_status series_create(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                               const kd_value *args, uint32_t arg_count, kd_type type, series **out)
{
    *out = KD_NEW(ctx, arena, series);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->type = type;
    (*out)->zone = kdi_zone(env);
    for (uint32_t i = 0; i < arg_count; i++)
        (*out)->done |= args[i].is_null;
    return kd_vector_init_flat(ctx, arena, type, KD_BATCH_ROWS, &(*out)->column);
}

static int64_t integer_of(const kd_value *value)
{
    return value->type.id == KD_TYPE_INT4 ? value->as.i32 : value->as.i64;
}

KDI_OPEN(integers_open)
{
    series *it;
    KD_TRY(series_create(ctx, arena, env, args, arg_count, args[0].type, &it));
    *out_cursor = it;
    if (it->done)
        return KD_OK;
    it->current = integer_of(&args[0]);
    it->stop = integer_of(&args[1]);
    it->step = arg_count > 2 ? integer_of(&args[2]) : 1;
    return it->step == 0 ? zero_step(ctx) : KD_OK;
}

static kd_status integers_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    series *it = cursor;
    KD_TRY(kd_check_cancelled(ctx));
    uint32_t rows = 0;
    while (rows < KD_BATCH_ROWS && !it->done) {
        if (it->step > 0 ? it->current > it->stop : it->current < it->stop)
            break;
        if (it->type.id == KD_TYPE_INT4)
            ((int32_t *)it->column.values)[rows++] = (int32_t)it->current;
        else
            ((int64_t *)it->column.values)[rows++] = it->current;
        it->done = __builtin_add_overflow(it->current, it->step, &it->current);
    }
    *out_batch = (kd_batch){
        .row_count = rows, .selected_count = rows, .column_count = 1, .columns = &it->column};
    return KD_OK;
}

KDI_OPEN(numerics_open)
{
    series *it;
    KD_TRY(series_create(ctx, arena, env, args, arg_count, kd_type_of(KD_TYPE_NUMERIC), &it));
    *out_cursor = it;
    if (it->done)
        return KD_OK;
    kd_decimal *targets[3] = {&it->decimal, &it->decimal_stop, &it->decimal_step};
    static const char *const names[3] = {"start", "stop", "step size"};
    KD_TRY(kd_decimal_from_i64(ctx, arena, 1, &it->decimal_step));
    for (uint32_t i = 0; i < arg_count; i++) {
        KD_TRY(kd_decimal_from_payload(ctx, arena, args[i].type, &args[i].as, targets[i]));
        if (targets[i]->kind != KD_DECIMAL_FINITE)
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           i < 2 ? "%s value cannot be %s" : "%s cannot be %s", names[i],
                           targets[i]->kind == KD_DECIMAL_NAN ? "NaN" : "infinity");
    }
    for (int i = 0; i < 2; i++) {
        it->batches[i] = kd_arena_create(ctx, arena, "series batch", KD_ARENA_UNLIMITED);
        if (it->batches[i] == NULL)
            return KD_NOMEM;
    }
    return kd_decimal_sign(&it->decimal_step) == 0 ? zero_step(ctx) : KD_OK;
}

static kd_status numerics_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    series *it = cursor;
    KD_TRY(kd_check_cancelled(ctx));
    uint32_t rows = 0;
    it->turn = 1 - it->turn;
    if (!it->done)
        kd_arena_reset(it->batches[it->turn]);
    int direction = kd_decimal_sign(&it->decimal_step);
    while (rows < KD_BATCH_ROWS && !it->done) {
        if (kd_decimal_compare(&it->decimal, &it->decimal_stop) * direction > 0) {
            it->done = true;
            break;
        }
        KD_TRY(kd_decimal_store(ctx, it->batches[it->turn], &it->decimal,
                                (kd_str *)it->column.values + rows++));
        KD_TRY(kd_decimal_add_exact(ctx, it->batches[it->turn], &it->decimal, &it->decimal_step,
                                    &it->decimal));
    }
    *out_batch = (kd_batch){
        .row_count = rows, .selected_count = rows, .column_count = 1, .columns = &it->column};
    return KD_OK;
}

KDI_OPEN(timestamps_open)
{
    series *it;
    KD_TRY(series_create(ctx, arena, env, args, arg_count, args[0].type, &it));
    *out_cursor = it;
    if (it->done)
        return KD_OK;
    it->current = args[0].as.i64;
    it->stop = args[1].as.i64;
    it->interval = args[2].as.interval;
    int order = kd_interval_compare(it->interval, (kd_interval){0});
    it->descending = order < 0;
    if (arg_count > 3)
        KD_TRY(kd_zone_open(ctx, arena, kdi_value_text(&args[3]), &it->zone));
    return order == 0 ? zero_step(ctx) : KD_OK;
}

static kd_status timestamps_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    series *it = cursor;
    KD_TRY(kd_check_cancelled(ctx));
    uint32_t rows = 0;
    while (rows < KD_BATCH_ROWS && !it->done) {
        if (it->descending ? it->current < it->stop : it->current > it->stop)
            break;
        ((int64_t *)it->column.values)[rows++] = it->current;
        KD_TRY(it->type.id == KD_TYPE_TIMESTAMPTZ
                   ? kd_timestamptz_add(ctx, it->zone, it->current, it->interval, &it->current)
                   : kd_timestamp_add(ctx, it->current, it->interval, &it->current));
    }
    *out_batch = (kd_batch){
        .row_count = rows, .selected_count = rows, .column_count = 1, .columns = &it->column};
    return KD_OK;
}

KDI_DESCRIBE(describe_series)
{
    static const char *const names[] = {"generate_series"};
    kd_type type = args[0].type;
    type.modifier = -1;
    return kdi_describe(ctx, arena, 1, names, &type, out_column_count, out_names, out_types);
}

/* --- generate_subscripts ---------------------------------------------------------------------- */

KDI_DESCRIBE(describe_subscripts)
{
    static const char *const names[] = {"generate_subscripts"};
    kd_type type = kd_type_of(KD_TYPE_INT4);
    return kdi_describe(ctx, arena, 1, names, &type, out_column_count, out_names, out_types);
}

KDI_OPEN(subscripts_open)
{
    series *it;
    KD_TRY(series_create(ctx, arena, env, args, arg_count, kd_type_of(KD_TYPE_INT4), &it));
    *out_cursor = it;
    if (it->done)
        return KD_OK;
    kd_array array;
    KD_TRY(kd_array_open(ctx, args[0].type, kdi_value_text(&args[0]), &array));
    int32_t dimension = args[1].as.i32;
    it->done = dimension < 1 || dimension > (int64_t)array.shape.dimensions;
    if (it->done)
        return KD_OK;
    int64_t lower = array.shape.lower_bounds[dimension - 1];
    int64_t upper = lower + array.shape.lengths[dimension - 1] - 1;
    bool reversed = arg_count > 2 && args[2].as.boolean;
    it->current = reversed ? upper : lower;
    it->stop = reversed ? lower : upper;
    it->step = reversed ? -1 : 1;
    return KD_OK;
}

/* --- unnest ----------------------------------------------------------------------------------- */

typedef struct unnest {
    uint32_t count;
    uint32_t position;
    uint32_t longest;
    kd_array arrays[KD_FUNCTION_ARGUMENTS_MAX];
    kd_vector columns[KD_FUNCTION_ARGUMENTS_MAX];
} unnest;

KDI_DESCRIBE(describe_unnest)
{
    const char *names[KD_FUNCTION_ARGUMENTS_MAX];
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX];
    if (arg_count > KD_FUNCTION_ARGUMENTS_MAX)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "unnest of more than %d arrays",
                       KD_FUNCTION_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < arg_count; i++) {
        names[i] = "unnest";
        types[i] = kd_type_element(args[i].type);
    }
    return kdi_describe(ctx, arena, arg_count, names, types, out_column_count, out_names,
                        out_types);
}

KDI_OPEN(unnest_open)
{
    unnest *it = KD_NEW(ctx, arena, unnest);
    *out_cursor = it;
    if (it == NULL)
        return KD_NOMEM;
    it->count = arg_count;
    for (uint32_t i = 0; i < arg_count; i++) {
        KD_TRY(kd_vector_init_flat(ctx, arena, kd_type_element(args[i].type), KD_BATCH_ROWS,
                                   &it->columns[i]));
        if (args[i].is_null)
            continue;
        KD_TRY(kd_array_open(ctx, args[i].type, kdi_value_text(&args[i]), &it->arrays[i]));
        if (it->arrays[i].count > it->longest)
            it->longest = it->arrays[i].count;
    }
    return KD_OK;
}

static kd_status unnest_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    unnest *it = cursor;
    KD_TRY(kd_check_cancelled(ctx));
    uint32_t rows = it->longest - it->position;
    if (rows > KD_BATCH_ROWS)
        rows = KD_BATCH_ROWS;
    for (uint32_t c = 0; c < it->count; c++)
        for (uint32_t row = 0; row < rows; row++) {
            uint32_t at = it->position + row;
            kd_value value = at < it->arrays[c].count ? kd_array_get(&it->arrays[c], at)
                                                      : kd_value_null(it->columns[c].type);
            kd_vector_set(&it->columns[c], row, &value);
        }
    it->position += rows;
    *out_batch = (kd_batch){.row_count = rows,
                            .selected_count = rows,
                            .column_count = it->count,
                            .columns = it->columns};
    return KD_OK;
}

/* information_schema._pg_expandarray, which drivers call about keys: elements and their places. */
KDI_DESCRIBE(describe_expand)
{
    const char *names[2] = {"x", "n"};
    kd_type types[2] = {kd_type_element(args[0].type), kd_type_of(KD_TYPE_INT4)};
    (void)arg_count;
    return kdi_describe(ctx, arena, 2, names, types, out_column_count, out_names, out_types);
}

KDI_OPEN(expand_open)
{
    unnest *it;
    KD_TRY(unnest_open(ctx, arena, env, args, arg_count, out_cursor));
    it = *out_cursor;
    it->count = 2;
    return kd_vector_init_flat(ctx, arena, kd_type_of(KD_TYPE_INT4), KD_BATCH_ROWS,
                               &it->columns[1]);
}

static kd_status expand_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    unnest *it = cursor;
    uint32_t before = it->position;
    it->count = 1;
    KD_TRY(unnest_next(ctx, it, out_batch));
    it->count = 2;
    out_batch->column_count = 2;
    for (uint32_t row = 0; row < out_batch->row_count; row++) {
        kd_value number = kd_value_i32((int32_t)(before + row + 1));
        kd_vector_set(&it->columns[1], row, &number);
    }
    return KD_OK;
}

#define SERIES(DESCRIBE, OPEN, NEXT, ...)                                                          \
    {                                                                                              \
        KDI_SIGNATURE(__VA_ARGS__), .name = "generate_series", .describe = DESCRIBE, .open = OPEN, \
                                    .next = NEXT                                                   \
    }
#define SUBSCRIPTS(...)                                                                       \
    {                                                                                         \
        KDI_SIGNATURE(__VA_ARGS__), .name = "generate_subscripts",                            \
                                    .describe = describe_subscripts, .open = subscripts_open, \
                                    .next = integers_next                                     \
    }

static const kd_table_function table_functions[] = {
    SERIES(describe_series, integers_open, integers_next, INT4, INT4),
    SERIES(describe_series, integers_open, integers_next, INT4, INT4, INT4),
    SERIES(describe_series, integers_open, integers_next, INT8, INT8),
    SERIES(describe_series, integers_open, integers_next, INT8, INT8, INT8),
    SERIES(describe_series, numerics_open, numerics_next, NUMERIC, NUMERIC),
    SERIES(describe_series, numerics_open, numerics_next, NUMERIC, NUMERIC, NUMERIC),
    SERIES(describe_series, timestamps_open, timestamps_next, TIMESTAMP, TIMESTAMP, INTERVAL),
    SERIES(describe_series, timestamps_open, timestamps_next, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL),
    SERIES(describe_series, timestamps_open, timestamps_next, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL,
           TEXT),
    SUBSCRIPTS(ELEMENTS, INT4),
    SUBSCRIPTS(ELEMENTS, INT4, BOOL),
    {.name = "unnest",
     .argument_count = 1,
     .arguments = {ELEMENTS},
     .describe = describe_unnest,
     .open = unnest_open,
     .next = unnest_next},
    {.name = "_pg_expandarray",
     .argument_count = 1,
     .arguments = {ELEMENTS},
     .describe = describe_expand,
     .open = expand_open,
     .next = expand_next},
    {.name = "unnest",
     .argument_count = 2,
     .arguments = {ANY, ANY},
     .variadic = true,
     .describe = describe_unnest,
     .open = unnest_open,
     .next = unnest_next},
};

kd_status kdi_register_series(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions));
}
