/*
 * The rows of JSON_TABLE (sql/parser_json_table.c): the items of its paths, nested ones joined to
 * those around them.
 *
 * Arguments: the value, the variables, what errors do, and for each path its text and the number of
 * the path around it (-1: none), which comes before it. Columns: the variables, and for each path
 * an item and its number. A row of items has NULLs for the paths beside the one that it comes from;
 * where no nested path has items, for all of them.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/signature_internal.h"
#include "types/json_clause.h"

enum { FIXED_ARGUMENTS = 3, NESTING_MAX = 1000 };

typedef struct table_path {
    kdi_path_call call;
    int32_t parent;
} table_path;

typedef struct table_rows {
    kd_call_env env;
    table_path *paths;
    uint32_t path_count;
    kd_value *row; /* What the row has so far. */
    kdi_row_list *list;
} table_rows;

static uint32_t item_column(uint32_t path)
{
    return 1 + 2 * path;
}

static uint32_t paths_of(uint32_t argument_count)
{
    return (argument_count - FIXED_ARGUMENTS) / 2;
}

static kd_status column_types(kd_ctx *ctx, kd_arena *arena, uint32_t path_count, kd_type **out)
{
    static const kd_type json = JSONB, number = INT4;
    *out = KD_NEW_ARRAY(ctx, arena, kd_type, 1 + 2 * (size_t)path_count);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)[0] = json;
    for (uint32_t i = 0; i < path_count; i++) {
        (*out)[item_column(i)] = json;
        (*out)[item_column(i) + 1] = number;
    }
    return KD_OK;
}

KDI_DESCRIBE(describe_rows)
{
    uint32_t count = 1 + 2 * paths_of(arg_count);
    kd_type *types;
    KD_TRY(column_types(ctx, arena, paths_of(arg_count), &types));
    const char **names = KD_NEW_ARRAY(ctx, arena, const char *, count);
    if (names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        names[i] = "item";
    return kdi_describe(ctx, arena, count, names, types, out_column_count, out_names, out_types);
}

/* A row for each item of the path in `json`, or several where nested paths have items. Recursion
 * follows the nesting of COLUMNS. */
static kd_status add_items(kd_ctx *ctx, table_rows *self, uint32_t path, kd_slice json, int depth,
                           bool *out_any)
{
    kdi_path_values found = {0};
    kdi_path_result answer;
    kd_value *item = &self->row[item_column(path)], *number = item + 1;
    if (depth > NESTING_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "nested paths are too deep");
    self->paths[path].call.json = json;
    KD_TRY(kd_check_cancelled(ctx));
    KD_TRY(kdi_path_run(ctx, &self->paths[path].call, &found, &answer));
    if (answer == KDI_PATH_ERROR)
        found.count = 0;
    *out_any = found.count > 0;
    for (size_t i = 0; i < found.count; i++) {
        kd_slice value;
        bool has_nested = false;
        KD_TRY(kdi_path_value_json(ctx, &self->env, &found.items[i], &value));
        item->is_null = number->is_null = false;
        item->as.str = kd_str_from(value.data, value.size_bytes);
        number->as.i32 = (int32_t)(i + 1);
        for (uint32_t inner = path + 1; inner < self->path_count; inner++) {
            bool any = false;
            if (self->paths[inner].parent == (int32_t)path)
                KD_TRY(add_items(ctx, self, inner, value, depth + 1, &any));
            has_nested |= any;
        }
        if (!has_nested)
            KD_TRY(kdi_row_list_add(ctx, self->list, self->row));
    }
    item->is_null = number->is_null = true;
    return KD_OK;
}

static kd_status open_paths(kd_ctx *ctx, table_rows *self, const kd_value *args, uint32_t count)
{
    bool throws = args[2].as.i32 == KD_CLAUSE_ERROR;
    self->path_count = count;
    self->paths = KD_NEW_ARRAY(ctx, self->env.arena, table_path, count);
    if (self->paths == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_value *path = &args[FIXED_ARGUMENTS + 2 * i];
        self->paths[i] = (table_path){
            .call = {.env = &self->env, .variables = kdi_value_text(&args[1]), .throws = throws},
            .parent = path[1].as.i32};
        KD_TRY(kdi_path_parse(ctx, kdi_value_text(path), &self->paths[i].call));
    }
    return KD_OK;
}

KDI_OPEN(open_rows)
{
    uint32_t count = paths_of(arg_count);
    table_rows self = {.env = *env};
    kd_type *types;
    bool any;
    self.env.arena = self.env.state_arena = arena;
    KD_TRY(column_types(ctx, arena, count, &types));
    KD_TRY(kdi_row_list_create(ctx, arena, types, 1 + 2 * count, &self.list));
    *out_cursor = self.list;
    for (uint32_t i = 0; i < arg_count; i++)
        if (args[i].is_null)
            return KD_OK;
    self.row = KD_NEW_ARRAY(ctx, arena, kd_value, 1 + 2 * (size_t)count);
    if (self.row == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < 1 + 2 * count; i++)
        self.row[i] = kd_value_null(types[i]);
    self.row[0] = args[1];
    KD_TRY(open_paths(ctx, &self, args, count));
    return add_items(ctx, &self, 0, kdi_value_text(&args[0]), 0, &any);
}

static const kd_table_function table_functions[] = {
    {KDI_SIGNATURE(JSONB, JSONB, INT4, ANY), .name = "sql json rows", .variadic = true,
     .describe = describe_rows, .open = open_rows, .next = kdi_row_list_next, .is_quick = true},
};

kd_status kdi_register_sql_json_table(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions));
}
