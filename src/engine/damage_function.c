/*
 * kade_check() and kade_check_files(directory): what a check of stored bytes finds, the former also
 * of constraints, as rows; kade_damage(): what was met since the opening.
 */
#include "engine/constraint_check.h"
#include "engine/session_function_internal.h"

#include <stdio.h>

enum { FOUND_MAX = 10000 }; /* More are counted. */

#define DAMAGE_COLUMNS(X) \
    X(severity, TEXT)     \
    X(problem, TEXT)      \
    X(file, TEXT)         \
    X(file_offset, INT8)  \
    X(size_bytes, INT8)   \
    X(schema_name, TEXT)  \
    X(table_name, TEXT)   \
    X(index_name, TEXT)   \
    X(column_name, TEXT)  \
    X(first_row, INT8)    \
    X(row_count, INT8) X(constraint_name, TEXT)

#define COLUMN_NAME(name, type) #name,
#define COLUMN_TYPE(name, type) KD_TYPE_##type,
#define COLUMN_PLACE(name, type) AT_##name,
static const char *const column_names[] = {DAMAGE_COLUMNS(COLUMN_NAME)};
static const kd_type_id column_types[] = {DAMAGE_COLUMNS(COLUMN_TYPE)};
enum { DAMAGE_COLUMNS(COLUMN_PLACE) COLUMNS };

typedef struct finding {
    kd_value values[COLUMNS];
} finding;

typedef struct check_cursor {
    kd_arena *arena;
    const kd_catalog_version *catalog;
    finding *list;
    size_t count, capacity;
    uint64_t left_out;
    size_t given;
    kd_vector columns[COLUMNS];
} check_cursor;

static kd_status describe(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                          const kd_value *args, uint32_t arg_count, uint32_t *out_column_count,
                          kd_slice **out_names, kd_type **out_types)
{
    (void)env;
    (void)args;
    (void)arg_count;
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, COLUMNS);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, COLUMNS);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        (*out_names)[i] = kd_slice_of(column_names[i]);
        (*out_types)[i] = kd_type_of(column_types[i]);
    }
    *out_column_count = COLUMNS;
    return KD_OK;
}

/* --- Names ------------------------------------------------------------------------------------ */

typedef struct table_search {
    uint64_t table_no;
    const kd_table_entry *found;
} table_search;

static void table_look(void *object, const kd_object *entry)
{
    table_search *search = object;
    if (entry->kind == KD_OBJECT_TABLE &&
        ((const kd_table_entry *)entry)->table_no == search->table_no)
        search->found = (const kd_table_entry *)entry;
}

/* The table that a finding is about; NULL: none that the catalog has. */
static const kd_table_entry *table_find(const kd_catalog_version *catalog, uint64_t table_no)
{
    table_search search = {.table_no = table_no};
    if (catalog != NULL && table_no != 0)
        kd_catalog_visit(catalog, table_look, &search);
    return search.found;
}

static kd_slice index_name(const kd_table_entry *table, uint64_t index_no)
{
    for (uint32_t i = 0; table != NULL && i < table->index_count; i++)
        if (table->indexes[i].storage.index_no == index_no)
            return table->indexes[i].object.name;
    return KD_SLICE("");
}

static kd_slice column_name(const kd_table_entry *table, int64_t column_no)
{
    for (uint32_t i = 0; table != NULL && i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return table->columns[i].storage.name;
    return KD_SLICE("");
}

/* --- Findings --------------------------------------------------------------------------------- */

/* A copy; NULL for an empty text. */
static kd_status text_value(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_value *out)
{
    kd_value value = kd_value_text(text);
    *out = kd_value_null(kd_type_of(KD_TYPE_TEXT));
    return text.size_bytes == 0 ? KD_OK : kd_value_copy(ctx, arena, &value, out);
}

static kd_value number_value(bool is_there, uint64_t number)
{
    return is_there ? kd_value_i64((int64_t)number) : kd_value_null(kd_type_of(KD_TYPE_INT8));
}

/* A new row with what every finding has; `*out_row` NULL: there are too many. */
static kd_status row_add(kd_ctx *ctx, check_cursor *cursor, bool is_note, const char *what,
                         const kd_table_entry *table, finding **out_row)
{
    const kd_object *schema =
        table == NULL ? NULL : kd_catalog_get(cursor->catalog, table->object.schema_no);
    *out_row = NULL;
    if (cursor->count >= FOUND_MAX) {
        cursor->left_out += !is_note;
        return KD_OK;
    }
    KD_TRY(KD_PUSH(ctx, cursor->arena, cursor->list, cursor->count, cursor->capacity, out_row));
    kd_value *values = (*out_row)->values;
    for (size_t i = 0; i < COLUMNS; i++)
        values[i] = kd_value_null(kd_type_of(column_types[i]));
    KD_TRY(text_value(ctx, cursor->arena, kd_slice_of(is_note ? "note" : "damage"),
                      &values[AT_severity]));
    KD_TRY(text_value(ctx, cursor->arena, kd_slice_of(what), &values[AT_problem]));
    if (table == NULL)
        return KD_OK;
    if (schema != NULL)
        KD_TRY(text_value(ctx, cursor->arena, schema->name, &values[AT_schema_name]));
    return text_value(ctx, cursor->arena, table->object.name, &values[AT_table_name]);
}

static kd_status found(kd_ctx *ctx, void *object, const kd_damage *damage, const char *what)
{
    check_cursor *cursor = object;
    kd_arena *arena = cursor->arena;
    const kd_table_entry *table = table_find(cursor->catalog, damage->table_no);
    finding *row;
    KD_TRY(row_add(ctx, cursor, damage->is_note, what, table, &row));
    if (row == NULL)
        return KD_OK;
    kd_value *values = row->values;
    KD_TRY(text_value(ctx, arena, kd_slice_of(damage->file), &values[AT_file]));
    KD_TRY(text_value(ctx, arena, index_name(table, damage->index_no), &values[AT_index_name]));
    KD_TRY(text_value(ctx, arena, column_name(table, damage->column_no), &values[AT_column_name]));
    values[AT_file_offset] =
        number_value(damage->file[0] != '\0' && damage->size_bytes > 0, damage->offset);
    values[AT_size_bytes] = number_value(damage->size_bytes > 0, damage->size_bytes);
    values[AT_first_row] = number_value(damage->first_row >= 0, (uint64_t)damage->first_row);
    values[AT_row_count] = number_value(damage->first_row >= 0, damage->row_count);
    return KD_OK;
}

static kd_status violation_found(kd_ctx *ctx, void *object, const kdi_violation *violation)
{
    check_cursor *cursor = object;
    finding *row;
    KD_TRY(row_add(ctx, cursor, violation->is_note, violation->problem, violation->table, &row));
    if (row == NULL)
        return KD_OK;
    kd_value *values = row->values;
    KD_TRY(text_value(ctx, cursor->arena, violation->column, &values[AT_column_name]));
    KD_TRY(text_value(ctx, cursor->arena, violation->constraint, &values[AT_constraint_name]));
    values[AT_row_count] = number_value(violation->row_count > 0, violation->row_count);
    return KD_OK;
}

static kd_status bytes_read(kd_ctx *ctx, void *object, uint64_t bytes)
{
    (void)object;
    return kd_progress_add(ctx, bytes);
}

static kd_status left_out_tell(kd_ctx *ctx, check_cursor *cursor)
{
    char text[96];
    kd_damage damage = kd_damage_none();
    if (cursor->left_out == 0)
        return KD_OK;
    (void)snprintf(text, sizeof text, "and %llu findings more",
                   (unsigned long long)cursor->left_out);
    cursor->count--; /* The last gives its room. */
    return found(ctx, cursor, &damage, text);
}

/* --- The functions ---------------------------------------------------------------------------- */

/* What was met since the opening. */
static kd_status met_before(kd_ctx *ctx, kd_storage *storage, check_cursor *cursor)
{
    kd_damage_record record;
    for (uint32_t i = 0;; i++) {
        bool is_there;
        kd_storage_damage_get(storage, i, &record, &is_there);
        if (!is_there)
            return KD_OK;
        KD_TRY(found(ctx, cursor, &record.damage, record.what));
    }
}

static kd_status check_files(kd_ctx *ctx, kd_arena *arena, const kd_database *database,
                             const kd_value *directory, const kd_damage_watch *watch)
{
    bool exists;
    if (directory->is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "the name of the directory is null");
    kd_slice name = kd_str_slice(&directory->as.str);
    const char *path = kd_copy_text(ctx, arena, name.data, name.size_bytes);
    if (path == NULL)
        return KD_NOMEM;
    /* Files of the disk, also for a database in memory. */
    kd_world *own = ctx->world;
    if (database->is_memory)
        ctx->world = kd_world_posix();
    kd_status status = ctx->world->path_exists(ctx, path, &exists);
    if (status == KD_OK && !exists)
        status = KD_FAIL(ctx, KD_INVALID, "58P01", "\"%s\" does not exist", path);
    if (status == KD_OK)
        status = kd_storage_check_files(ctx, kd_governor_account(database->governor), path, watch);
    ctx->world = own;
    return status;
}

static const char of_files[] = "files", of_past[] = "past"; /* As `data`. */

static kd_status open_check(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                            const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    (void)arg_count;
    kd_database *database = kdi_call_session(env)->database;
    check_cursor *cursor = KD_NEW(ctx, arena, check_cursor);
    *out_cursor = cursor;
    if (cursor == NULL)
        return KD_NOMEM;
    cursor->arena = arena;
    bool is_files = env->data == of_files;
    cursor->catalog = is_files ? NULL : kdi_call_catalog(env);
    const kd_damage_watch watch = {found, bytes_read, cursor};
    kd_progress_begin(ctx, "verify", 0);
    if (env->data == of_past)
        KD_TRY(met_before(ctx, database->storage, cursor));
    else
        KD_TRY(is_files ? check_files(ctx, arena, database, &args[0], &watch)
                        : kd_storage_check_all(ctx, database->storage, &watch));
    if (env->data == NULL)
        KD_TRY(kdi_constraints_check(
            ctx, arena, kdi_call_session(env), cursor->catalog, env->facts->text,
            &(kdi_violation_watch){.found = violation_found, .object = cursor}));
    KD_TRY(left_out_tell(ctx, cursor));
    for (uint32_t i = 0; i < COLUMNS; i++)
        KD_TRY(kd_vector_init_flat(ctx, arena, kd_type_of(column_types[i]), KD_BATCH_ROWS,
                                   &cursor->columns[i]));
    return KD_OK;
}

static kd_status next_findings(kd_ctx *ctx, void *object, kd_batch *out_batch)
{
    (void)ctx;
    check_cursor *cursor = object;
    size_t left = cursor->count - cursor->given;
    uint32_t count = left < KD_BATCH_ROWS ? (uint32_t)left : KD_BATCH_ROWS;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t column = 0; column < COLUMNS; column++)
            kd_vector_set(&cursor->columns[column], i,
                          &cursor->list[cursor->given + i].values[column]);
    cursor->given += count;
    *out_batch = (kd_batch){.row_count = count,
                            .selected_count = count,
                            .column_count = COLUMNS,
                            .columns = cursor->columns};
    return KD_OK;
}

static const kd_table_function functions[] = {
    {.name = "kade_check",
     .describe = describe,
     .open = open_check,
     .next = next_findings,
     .runs_statements = true},
    {.name = "kade_damage",
     .describe = describe,
     .open = open_check,
     .next = next_findings,
     .data = of_past},
    {.name = "kade_check_files",
     .argument_count = 1,
     .arguments = {{.id = KD_TYPE_TEXT, .modifier = -1}},
     .describe = describe,
     .open = open_check,
     .next = next_findings,
     .data = of_files},
};

kd_status kdi_register_damage_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, functions,
                                           sizeof functions / sizeof functions[0]);
}
