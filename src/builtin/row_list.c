/*
 * Rows of table functions that make all of them at once.
 */
#include "builtin/builtin_internal.h"

struct kdi_row_list {
    kd_arena *arena;
    uint32_t column_count;
    kd_type *types;
    kd_value *values;
    size_t count; /* Of values. */
    size_t capacity;
    size_t position;
    bool has_room;
    kd_vector *columns;
};

kd_status kdi_row_list_create(kd_ctx *ctx, kd_arena *arena, const kd_type *types,
                              uint32_t column_count, kdi_row_list **out_list)
{
    *out_list = NULL;
    kdi_row_list *list = KD_NEW(ctx, arena, kdi_row_list);
    if (list == NULL)
        return KD_NOMEM;
    list->arena = arena;
    list->column_count = column_count;
    list->types = KD_NEW_ARRAY(ctx, arena, kd_type, column_count);
    list->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    if (list->types == NULL || list->columns == NULL)
        return KD_NOMEM;
    memcpy(list->types, types, column_count * sizeof *types);
    *out_list = list;
    return KD_OK;
}

kd_status kdi_row_list_add(kd_ctx *ctx, kdi_row_list *list, const kd_value *values)
{
    for (uint32_t i = 0; i < list->column_count; i++) {
        kd_value *added;
        KD_TRY(KD_PUSH(ctx, list->arena, list->values, list->count, list->capacity, &added));
        *added = values[i];
    }
    return KD_OK;
}

/* Room for the first batch, which is the largest: a function that is called for each row of a table
 * often has a handful. */
static kd_status room_prepare(kd_ctx *ctx, kdi_row_list *list)
{
    size_t rows = list->column_count == 0 ? 0 : list->count / list->column_count;
    list->has_room = true;
    for (uint32_t i = 0; i < list->column_count; i++)
        KD_TRY(kd_vector_init_flat(ctx, list->arena, list->types[i],
                                   rows < KD_BATCH_ROWS ? (uint32_t)rows : KD_BATCH_ROWS,
                                   &list->columns[i]));
    return KD_OK;
}

kd_status kdi_row_list_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    kdi_row_list *list = cursor;
    KD_TRY(kd_check_cancelled(ctx));
    if (!list->has_room)
        KD_TRY(room_prepare(ctx, list));
    uint32_t rows = 0;
    for (; rows < KD_BATCH_ROWS && list->position < list->count; rows++)
        for (uint32_t i = 0; i < list->column_count; i++) {
            kd_vector *column = &list->columns[i];
            const kd_value *value = &list->values[list->position++];
            if (column->validity != NULL)
                kd_bit_set(column->validity, rows);
            kd_vector_set(column, rows, value);
        }
    *out_batch = (kd_batch){.row_count = rows,
                            .selected_count = rows,
                            .column_count = list->column_count,
                            .columns = list->columns};
    return KD_OK;
}

kd_status kdi_describe(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                       const char *const *names, const kd_type *types, uint32_t *out_column_count,
                       kd_slice **out_names, kd_type **out_types)
{
    *out_column_count = column_count;
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, column_count);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, column_count);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < column_count; i++) {
        (*out_names)[i] = kd_slice_of(names[i]);
        (*out_types)[i] = types[i];
    }
    return KD_OK;
}
