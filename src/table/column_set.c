/*
 * Column sets: one version of a table's columns, and its stored form.
 */
#include "table/table_internal.h"

#include <string.h>

enum { COLUMNS_MAX = KD_SEGMENT_COLUMNS_MAX };

int kdi_set_find(const kdi_column_set *set, uint32_t column_no, uint32_t hint)
{
    if (hint < set->count && set->columns[hint].column_no == column_no)
        return (int)hint;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->columns[i].column_no == column_no)
            return (int)i;
    }
    return -1;
}

static kd_status column_copy(kd_ctx *ctx, kd_arena *arena, const kd_table_column *column,
                             kd_table_column *out_copy)
{
    *out_copy = *column;
    char *name = kd_copy_text(ctx, arena, column->name.data, column->name.size_bytes);
    if (name == NULL)
        return KD_NOMEM;
    out_copy->name = (kd_slice){name, column->name.size_bytes};
    kd_value missing = column->missing;
    if (missing.type.id == KD_TYPE_UNKNOWN && !missing.is_null)
        missing = kd_value_null(column->type); /* A missing value left out is NULL. */
    return kd_value_copy(ctx, arena, &missing, &out_copy->missing);
}

kd_status kdi_set_make(kd_ctx *ctx, kd_arena *arena, const kd_table_column *columns, uint32_t count,
                       uint32_t version, kdi_column_set **out_set)
{
    *out_set = NULL;
    if (count > COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "tables can have at most %d columns", COLUMNS_MAX);
    kdi_column_set *set = KD_NEW(ctx, arena, kdi_column_set);
    if (set == NULL)
        return KD_NOMEM;
    set->version = version;
    set->count = count;
    set->columns = KD_NEW_ARRAY(ctx, arena, kd_table_column, count);
    set->physicals = KD_NEW_ARRAY(ctx, arena, uint8_t, count);
    set->widths = KD_NEW_ARRAY(ctx, arena, uint32_t, count);
    if (set->columns == NULL || set->physicals == NULL || set->widths == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(column_copy(ctx, arena, &columns[i], &set->columns[i]));
        set->physicals[i] = (uint8_t)kd_type_physical(columns[i].type);
        set->widths[i] = kd_physical_bytes((kd_physical)set->physicals[i]);
    }
    *out_set = set;
    return KD_OK;
}

kd_status kdi_set_append(kd_ctx *ctx, const kdi_column_set *set, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_varint(ctx, out, set->version));
    KD_TRY(kd_buffer_append_varint(ctx, out, set->count));
    for (uint32_t i = 0; i < set->count; i++) {
        const kd_table_column *column = &set->columns[i];
        KD_TRY(kd_buffer_append_varint(ctx, out, column->column_no));
        KD_TRY(kd_buffer_append(ctx, out, &column->type, sizeof column->type));
        KD_TRY(kd_buffer_append_byte(ctx, out, column->not_null));
        KD_TRY(kd_buffer_append_counted(ctx, out, column->name));
        KD_TRY(kd_value_append(ctx, &column->missing, out));
    }
    return KD_OK;
}

static kd_status column_read(kd_ctx *ctx, kd_reader *reader, kd_table_column *out_column)
{
    *out_column = (kd_table_column){0};
    out_column->column_no = (uint32_t)kd_read_varint(reader);
    const char *type = kd_read_bytes(reader, sizeof out_column->type);
    if (type != NULL)
        memcpy(&out_column->type, type, sizeof out_column->type);
    out_column->not_null = kd_read_u8(reader) != 0;
    out_column->name = kd_read_slice(reader);
    if (reader->failed || out_column->type.id >= KD_TYPE_COUNT)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "a stored column definition is damaged");
    return kd_value_read(ctx, out_column->type, reader, &out_column->missing);
}

kd_status kdi_set_read(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, kdi_column_set **out_set)
{
    *out_set = NULL;
    uint32_t version = (uint32_t)kd_read_varint(reader);
    uint64_t count = kd_read_varint(reader);
    if (reader->failed || count > COLUMNS_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "a stored column list is damaged");
    kd_table_column *columns = KD_NEW_ARRAY(ctx, arena, kd_table_column, count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint64_t i = 0; i < count; i++)
        KD_TRY(column_read(ctx, reader, &columns[i]));
    return kdi_set_make(ctx, arena, columns, (uint32_t)count, version, out_set);
}
