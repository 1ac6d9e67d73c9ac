/*
 * Table functions side by side: ROWS FROM (f(), g()), SELECT f(), g().
 *
 * A batch ends where any part's batch ends, since a part's rows are only there until it is asked
 * for the next ones.
 */
#include "builtin/builtin_internal.h"

typedef struct part {
    const kd_side_part *described;
    kd_call_env env;
    void *cursor;
    kd_batch batch;
    uint32_t position; /* Rows of the batch that were given. */
    bool done;
    kd_value scalar; /* Of a part that is no function. */
} part;

typedef struct side_by_side {
    uint32_t part_count;
    part *parts;
    uint32_t column_count;
    kd_vector *columns;
} side_by_side;

static kd_status part_open(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                           const kd_value *args, part *it)
{
    const kd_side_part *described = it->described;
    if (described->function == NULL) {
        it->scalar = args[0];
        return KD_OK;
    }
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, described->argument_count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < described->argument_count; i++)
        types[i] = args[i].type;
    it->env = *env;
    it->env.state = NULL;
    it->env.argument_count = described->argument_count;
    it->env.argument_types = types;
    it->env.data = described->function->data;
    return described->function->open(ctx, arena, &it->env, args, described->argument_count,
                                     &it->cursor);
}

KDI_DESCRIBE(describe)
{
    (void)arena;
    *out_column_count = 0;
    *out_names = NULL;
    *out_types = NULL;
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "%s is described by who calls it", KD_SIDE_BY_SIDE);
}

static void close_parts(void *cursor)
{
    side_by_side *self = cursor;
    for (uint32_t i = 0; i < self->part_count; i++) {
        const part *it = &self->parts[i];
        if (it->cursor != NULL && it->described->function->close != NULL)
            it->described->function->close(it->cursor);
    }
}

KDI_OPEN(open_parts)
{
    const kd_side_by_side *described = env->data;
    side_by_side *self = KD_NEW(ctx, arena, side_by_side);
    *out_cursor = self;
    if (self == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < described->part_count; i++)
        self->column_count += described->parts[i].column_count;
    self->parts = KD_NEW_ARRAY(ctx, arena, part, described->part_count);
    self->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, self->column_count);
    if (self->parts == NULL || self->columns == NULL)
        return KD_NOMEM;
    kd_status status = KD_OK;
    uint32_t column = 0;
    for (uint32_t i = 0; i < described->part_count && status == KD_OK; i++) {
        part *it = &self->parts[i];
        it->described = &described->parts[i];
        self->part_count++;
        for (uint32_t c = 0; c < it->described->column_count && status == KD_OK; c++)
            status = kd_vector_init_flat(ctx, arena, it->described->column_types[c], KD_BATCH_ROWS,
                                         &self->columns[column++]);
        if (status == KD_OK)
            status = part_open(ctx, arena, env, args, it);
        args += it->described->function == NULL ? 1 : it->described->argument_count;
    }
    if (status != KD_OK)
        close_parts(self);
    return status;
}

/* How many rows the part can give at once; 0 at its end. */
static kd_status part_fill(kd_ctx *ctx, part *it, uint32_t *out_rows)
{
    *out_rows = 0;
    if (it->done)
        return KD_OK;
    if (it->described->function == NULL) {
        *out_rows = 1;
        return KD_OK;
    }
    if (it->position == it->batch.selected_count) {
        it->batch = (kd_batch){0};
        it->position = 0;
        KD_TRY(it->described->function->next(ctx, it->cursor, &it->batch));
    }
    *out_rows = it->batch.selected_count - it->position;
    it->done = *out_rows == 0;
    return KD_OK;
}

static void part_give(part *it, uint32_t rows, kd_vector *columns)
{
    uint32_t count = it->described->column_count;
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t row = it->done || it->described->function == NULL
                           ? 0
                           : kd_batch_row(&it->batch, it->position + r);
        for (uint32_t c = 0; c < count; c++) {
            kd_value value = kd_value_null(columns[c].type);
            if (!it->done && it->described->function == NULL)
                value = it->scalar;
            else if (!it->done)
                value = kd_vector_get(&it->batch.columns[c], row);
            kd_bit_set(columns[c].validity, r);
            kd_vector_set(&columns[c], r, &value);
        }
    }
    if (it->described->function == NULL)
        it->done = true;
    else if (!it->done)
        it->position += rows;
}

static kd_status next_rows(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    side_by_side *self = cursor;
    uint32_t rows = UINT32_MAX;
    for (uint32_t i = 0; i < self->part_count; i++) {
        uint32_t given;
        KD_TRY(part_fill(ctx, &self->parts[i], &given));
        if (given > 0 && given < rows)
            rows = given;
    }
    rows = rows == UINT32_MAX ? 0 : rows > KD_BATCH_ROWS ? KD_BATCH_ROWS : rows;
    kd_vector *columns = self->columns;
    for (uint32_t i = 0; i < self->part_count && rows > 0; i++) {
        part_give(&self->parts[i], rows, columns);
        columns += self->parts[i].described->column_count;
    }
    *out_batch = (kd_batch){.row_count = rows,
                            .selected_count = rows,
                            .column_count = self->column_count,
                            .columns = self->columns};
    return KD_OK;
}

static const kd_table_function side_by_side_function = {
    .name = KD_SIDE_BY_SIDE,
    .describe = describe,
    .open = open_parts,
    .next = next_rows,
    .close = close_parts,
};

kd_status kdi_register_side_by_side(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, &side_by_side_function, 1);
}
