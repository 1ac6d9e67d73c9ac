/*
 * Functions over the catalog: what psql, drivers and the shell's \d ask for.
 */
#include "engine/catalog_text.h"
#include "engine/session_function_internal.h"
#include "engine/view_text.h"
#include "engine/session_role.h"

#include "types/array.h"

#include <assert.h>

#define ARGS kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, bool *out_is_null

static const kd_object *object_of(const kd_call_env *env, const void *argument)
{
    int64_t number = *(const int64_t *)argument;
    if (number <= 0 || number > UINT32_MAX)
        return NULL;
    return kd_catalog_get(kdi_call_catalog(env), (uint32_t)number);
}

static const kd_table_entry *table_of(const kd_object *object)
{
    return object == NULL || object->kind != KD_OBJECT_TABLE ? NULL
                                                             : (const kd_table_entry *)object;
}

/* The buffer's text, or NULL when there is none. */
static kd_status return_buffer(kd_ctx *ctx, kd_call_env *env, const kd_buffer *buffer, void *result,
                               bool *out_is_null)
{
    *out_is_null = buffer->size_bytes == 0;
    return *out_is_null ? KD_OK : kdi_return_text(ctx, env, kd_buffer_slice(buffer), result);
}

/* --- Definitions ------------------------------------------------------------------------------ */

static kd_status call_format_type(ARGS)
{
    kd_type type;
    int32_t modifier = args[1] == NULL ? -1 : *(const int32_t *)args[1];
    *out_is_null = args[0] == NULL;
    if (*out_is_null)
        return KD_OK;
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    kd_buffer text = kd_buffer_in(env->arena);
    if (kdi_type_by_number(catalog, (uint64_t) * (const int64_t *)args[0], modifier, &type)) {
        KD_TRY(kdi_text_type(ctx, catalog, type, &text));
    } else {
        const kd_object *object = object_of(env, args[0]);
        bool is_domain = object != NULL && object->kind == KD_OBJECT_DOMAIN;
        KD_TRY(is_domain ? kdi_text_relation(ctx, catalog, object, &text)
                         : kd_buffer_append_text(ctx, &text, "???"));
    }
    return return_buffer(ctx, env, &text, result, out_is_null);
}

static kd_status call_get_expr(ARGS)
{
    *out_is_null = false;
    return kdi_return_text(ctx, env, kd_str_slice(args[0]), result);
}

static kd_status view_text(kd_ctx *ctx, kd_call_env *env, const kd_object *object,
                           const void *pretty, void *result, bool *out_is_null)
{
    kd_slice text = {"", 0};
    if (object != NULL)
        KD_TRY(kdi_view_text(ctx, env->arena, kdi_call_session(env), kdi_call_catalog(env),
                             env->facts, object, pretty != NULL && *(const uint8_t *)pretty != 0,
                             &text));
    *out_is_null = text.size_bytes == 0;
    return *out_is_null ? KD_OK : kdi_return_text(ctx, env, text, result);
}

static kd_status call_get_viewdef(ARGS)
{
    return view_text(ctx, env, object_of(env, args[0]), env->argument_count > 1 ? args[1] : NULL,
                     result, out_is_null);
}

static kd_status call_get_viewdef_named(ARGS)
{
    const kd_object *object;
    KD_TRY(kdi_find_relation_text(ctx, kdi_call_session(env), kdi_call_catalog(env),
                                  kd_str_slice(args[0]), &object));
    return view_text(ctx, env, object, env->argument_count > 1 ? args[1] : NULL, result,
                     out_is_null);
}

static kd_status call_get_indexdef(ARGS)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object = object_of(env, args[0]);
    int32_t column = env->argument_count > 1 ? *(const int32_t *)args[1] : 0;
    bool is_pretty = env->argument_count > 2 && *(const uint8_t *)args[2] != 0;
    kd_buffer text = kd_buffer_in(env->arena);
    const kd_table_index *index = NULL;
    const kd_table_entry *table = NULL;
    if (object != NULL && object->kind == KD_OBJECT_INDEX)
        table = kd_catalog_index_table(catalog, object->object_no, &index);
    if (table != NULL && column == 0)
        KD_TRY(kdi_text_index(ctx, catalog, table, index, is_pretty, &text));
    else if (table != NULL && column > 0 && (uint32_t)column <= index->storage.column_count)
        KD_TRY(kdi_text_index_key(ctx, table, index, (uint32_t)column - 1, &text));
    return return_buffer(ctx, env, &text, result, out_is_null);
}

static kd_status call_get_partkeydef(ARGS)
{
    const kd_object *object = object_of(env, args[0]);
    kd_buffer text = kd_buffer_in(env->arena);
    if (object != NULL && object->kind == KD_OBJECT_TABLE)
        KD_TRY(kdi_text_partition_key(ctx, (const kd_table_entry *)object, &text));
    return return_buffer(ctx, env, &text, result, out_is_null);
}

static kd_status call_get_constraintdef(ARGS)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    kdi_constraint constraint;
    kd_buffer text = kd_buffer_in(env->arena);
    if (kdi_constraint_find(catalog, (uint64_t) * (const int64_t *)args[0], &constraint))
        KD_TRY(kdi_text_constraint(ctx, catalog, &constraint, &text));
    return return_buffer(ctx, env, &text, result, out_is_null);
}

static kd_status call_get_serial_sequence(ARGS)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object;
    KD_TRY(kdi_find_relation_text(ctx, kdi_call_session(env), catalog, kd_str_slice(args[0]),
                                  &object));
    const kd_table_entry *table = table_of(object);
    kd_slice name = kd_str_slice(args[1]);
    kd_buffer text = kd_buffer_in(env->arena);
    for (uint32_t i = 0; table != NULL && i < table->visible_count; i++) {
        const kd_column *column = &table->columns[i];
        const kd_object *sequence =
            column->sequence_no == 0 ? NULL : kd_catalog_get(catalog, column->sequence_no);
        if (sequence == NULL || !kd_slice_equal(column->storage.name, name))
            continue;
        const kd_object *schema = kd_catalog_get(catalog, sequence->schema_no);
        KD_TRY(kd_name_append(ctx, schema == NULL ? KD_SLICE("public") : schema->name, &text));
        KD_TRY(kd_buffer_append_byte(ctx, &text, '.'));
        KD_TRY(kd_name_append(ctx, sequence->name, &text));
    }
    return return_buffer(ctx, env, &text, result, out_is_null);
}

/* --- Comments, names -------------------------------------------------------------------------- */

static kd_status call_obj_description(ARGS)
{
    const kd_object *object = object_of(env, args[0]);
    *out_is_null = object == NULL || object->comment.size_bytes == 0;
    return *out_is_null ? KD_OK : kdi_return_text(ctx, env, object->comment, result);
}

static kd_status call_col_description(ARGS)
{
    const kd_table_entry *table = table_of(object_of(env, args[0]));
    int32_t number = *(const int32_t *)args[1];
    const kd_column *column =
        table == NULL || number <= 0 ? NULL : kdi_column_by_no(table, (uint32_t)number);
    *out_is_null = column == NULL || column->comment.size_bytes == 0;
    return *out_is_null ? KD_OK : kdi_return_text(ctx, env, column->comment, result);
}

/* to_regclass and its kin: what casting fails to find is NULL. */
static kd_status call_to_reg(ARGS)
{
    static const char *const missing[] = {"42P01", "42704", "42883", "42725", "3F000"};
    kd_status status =
        kdi_reg_no(ctx, env->facts->text, env->result_type, kd_str_slice(args[0]), result);
    *out_is_null = status != KD_OK;
    for (size_t i = 0; status != KD_OK && i < sizeof missing / sizeof *missing; i++) {
        if (strcmp(ctx->error.sqlstate, missing[i]) != 0)
            continue;
        kd_error_clear(ctx);
        return KD_OK;
    }
    return status;
}

/* Visible: its schema is in the search path. */
static kd_status call_table_is_visible(ARGS)
{
    (void)ctx;
    const kd_session *session = kdi_call_session(env);
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object = object_of(env, args[0]);
    const kd_object *schema = object == NULL ? NULL : kd_catalog_get(catalog, object->schema_no);
    bool visible = object == NULL || schema == NULL;
    for (uint32_t i = 0; schema != NULL && i < session->settings.search_path_count; i++)
        visible = visible || kd_slice_equal(session->settings.search_path[i], schema->name);
    *out_is_null = false;
    *(uint8_t *)result = visible;
    return KD_OK;
}

static kd_status call_get_userbyid(ARGS)
{
    kd_buffer name = kd_buffer_in(env->arena);
    uint32_t role_no = (uint32_t) * (const int64_t *)args[0];
    const kd_role_entry *role = kd_role_entry_get(kdi_call_catalog(env), role_no);
    *out_is_null = false;
    if (role != NULL)
        return kdi_return_text(ctx, env, role->object.name, result);
    KD_TRY(kd_buffer_append_format(ctx, &name, "unknown (OID=%u)", role_no));
    return kdi_return_text(ctx, env, kd_buffer_slice(&name), result);
}

/* Whoever may connect may do everything, until there are grants. */
static kd_status call_has_privilege(ARGS)
{
    (void)ctx, (void)env, (void)args;
    *out_is_null = false;
    *(uint8_t *)result = true;
    return KD_OK;
}

static kd_status call_encoding_to_char(ARGS)
{
    *out_is_null = false;
    bool is_utf8 = *(const int32_t *)args[0] == 6;
    return kdi_return_text(ctx, env, is_utf8 ? KD_SLICE("UTF8") : KD_SLICE(""), result);
}

/* --- Sizes, numbers --------------------------------------------------------------------------- */

/* Rows times what a row takes uncompressed: an estimate from above. */
static int64_t table_bytes(const kd_catalog_version *catalog, const kd_table_entry *table)
{
    kd_table *storage =
        table == NULL ? NULL : kd_table_find(kd_catalog_storage(catalog), table->table_no);
    int64_t row_bytes = 0;
    for (uint32_t i = 0; table != NULL && i < table->column_count; i++)
        row_bytes += kd_physical_bytes(kd_type_physical(table->columns[i].storage.type));
    return storage == NULL ? 0 : (int64_t)kd_table_row_count_estimate(storage) * row_bytes;
}

static kd_status call_relation_size(ARGS)
{
    const kd_catalog_version *catalog = kdi_call_catalog(env);
    const kd_object *object;
    *out_is_null = false;
    if (env->argument_types[0].id == KD_TYPE_OID) {
        object = object_of(env, args[0]);
        *out_is_null = object == NULL;
    } else {
        kd_slice name = kd_str_slice(args[0]);
        KD_TRY(kdi_find_relation_text(ctx, kdi_call_session(env), catalog, name, &object));
        if (object == NULL)
            return KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s\" does not exist",
                           (int)name.size_bytes, name.data);
    }
    *(int64_t *)result = table_bytes(catalog, table_of(object));
    return KD_OK;
}

/* Tables have no maps and no initial copies here, and all their bytes in one place. */
static kd_status call_fork_size(ARGS)
{
    kd_slice fork = kd_str_slice(args[1]);
    bool is_main = kd_slice_equal(fork, KD_SLICE("main"));
    if (!is_main && !kd_slice_equal(fork, KD_SLICE("fsm")) &&
        !kd_slice_equal(fork, KD_SLICE("vm")) && !kd_slice_equal(fork, KD_SLICE("init"))) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "invalid fork name");
        kd_error_set_hint(ctx, "Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".");
        return status;
    }
    KD_TRY(call_relation_size(ctx, env, args, result, out_is_null));
    if (!is_main)
        *(int64_t *)result = 0;
    return KD_OK;
}

static kd_status call_size_pretty(ARGS)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    int64_t size = *(const int64_t *)args[0];
    int unit = 0;
    *out_is_null = false;
    /* As PostgreSQL: the next unit from 10 of it on, rounded half away from zero. */
    while (unit < 5 && (size >= 10 * 1024 || size <= -10 * 1024)) {
        size = (size + (size < 0 ? -512 : 512)) / 1024;
        unit++;
    }
    char *text = kd_format_text(ctx, env->arena, "%lld %s", (long long)size, units[unit]);
    return text == NULL ? KD_NOMEM : kdi_return_text(ctx, env, kd_slice_of(text), result);
}

/* Definitions of what there is none of: extended statistics. */
static kd_status call_absent(ARGS)
{
    (void)ctx, (void)env, (void)args, (void)result;
    *out_is_null = true;
    return KD_OK;
}

static kd_status call_backend_pid(ARGS)
{
    (void)ctx, (void)args;
    *out_is_null = false;
    *(int32_t *)result = (int32_t)kdi_call_session(env)->session_no;
    return KD_OK;
}

static kd_status call_txid_current(ARGS)
{
    (void)ctx, (void)args;
    const kd_session *session = kdi_call_session(env);
    *out_is_null = session->txn == NULL;
    if (session->txn != NULL)
        *(int64_t *)result = (int64_t)kd_txn_no(session->txn);
    return KD_OK;
}

/* --- Registration ----------------------------------------------------------------------------- */

#define T(name)                              \
    {                                        \
        .id = KD_TYPE_##name, .modifier = -1 \
    }
#define ONE(sql_name, a, out, fn)                                                     \
    {                                                                                 \
        .name = sql_name, .argument_count = 1, .arguments = {T(a)}, .result = T(out), \
        .volatility = KD_STABLE, .strict = true, .row = fn                            \
    }
#define TO_REG(sql_name, kind)                                                                    \
    {                                                                                             \
        .name = sql_name, .argument_count = 1, .arguments = {T(TEXT)},                            \
        .result = {.id = KD_TYPE_OID, .modifier = -1, .object = (kind)}, .volatility = KD_STABLE, \
        .strict = true, .row = call_to_reg                                                        \
    }
#define TWO(sql_name, a, b, out, fn)                                                        \
    {                                                                                       \
        .name = sql_name, .argument_count = 2, .arguments = {T(a), T(b)}, .result = T(out), \
        .volatility = KD_STABLE, .strict = true, .row = fn                                  \
    }
#define THREE(sql_name, a, b, c, out, fn)                                                         \
    {                                                                                             \
        .name = sql_name, .argument_count = 3, .arguments = {T(a), T(b), T(c)}, .result = T(out), \
        .volatility = KD_STABLE, .strict = true, .row = fn                                        \
    }
#define PRIVILEGE(sql_name)                                          \
    TWO(sql_name, TEXT, TEXT, BOOL, call_has_privilege),             \
        TWO(sql_name, OID, TEXT, BOOL, call_has_privilege),          \
        THREE(sql_name, TEXT, TEXT, TEXT, BOOL, call_has_privilege), \
        THREE(sql_name, TEXT, OID, TEXT, BOOL, call_has_privilege)

static const kd_function functions[] = {
    {.name = "format_type",
     .argument_count = 2,
     .arguments = {T(OID), T(INT4)},
     .result = T(TEXT),
     .volatility = KD_STABLE,
     .row = call_format_type},
    TWO("pg_get_expr", TEXT, OID, TEXT, call_get_expr),
    THREE("pg_get_expr", TEXT, OID, BOOL, TEXT, call_get_expr),
    ONE("pg_get_viewdef", OID, TEXT, call_get_viewdef),
    TWO("pg_get_viewdef", OID, BOOL, TEXT, call_get_viewdef),
    ONE("pg_get_viewdef", TEXT, TEXT, call_get_viewdef_named),
    TWO("pg_get_viewdef", TEXT, BOOL, TEXT, call_get_viewdef_named),
    ONE("pg_get_indexdef", OID, TEXT, call_get_indexdef),
    THREE("pg_get_indexdef", OID, INT4, BOOL, TEXT, call_get_indexdef),
    ONE("pg_get_partkeydef", OID, TEXT, call_get_partkeydef),
    ONE("pg_get_constraintdef", OID, TEXT, call_get_constraintdef),
    TWO("pg_get_constraintdef", OID, BOOL, TEXT, call_get_constraintdef),
    TWO("pg_get_serial_sequence", TEXT, TEXT, TEXT, call_get_serial_sequence),
    ONE("obj_description", OID, TEXT, call_obj_description),
    TWO("obj_description", OID, TEXT, TEXT, call_obj_description),
    TWO("col_description", OID, INT4, TEXT, call_col_description),
    TO_REG("to_regclass", KD_REG_CLASS),
    TO_REG("to_regtype", KD_REG_TYPE),
    TO_REG("to_regproc", KD_REG_PROC),
    TO_REG("to_regprocedure", KD_REG_PROCEDURE),
    TO_REG("to_regnamespace", KD_REG_NAMESPACE),
    TO_REG("to_regrole", KD_REG_ROLE),
    ONE("pg_table_is_visible", OID, BOOL, call_table_is_visible),
    ONE("pg_type_is_visible", OID, BOOL, call_table_is_visible),
    ONE("pg_function_is_visible", OID, BOOL, call_table_is_visible),
    ONE("pg_get_userbyid", OID, TEXT, call_get_userbyid),
    ONE("pg_encoding_to_char", INT4, TEXT, call_encoding_to_char),
    ONE("pg_relation_size", TEXT, INT8, call_relation_size),
    ONE("pg_relation_size", OID, INT8, call_relation_size),
    TWO("pg_relation_size", TEXT, TEXT, INT8, call_fork_size),
    TWO("pg_relation_size", OID, TEXT, INT8, call_fork_size),
    ONE("pg_table_size", TEXT, INT8, call_relation_size),
    ONE("pg_table_size", OID, INT8, call_relation_size),
    ONE("pg_total_relation_size", TEXT, INT8, call_relation_size),
    ONE("pg_total_relation_size", OID, INT8, call_relation_size),
    ONE("pg_size_pretty", INT8, TEXT, call_size_pretty),
    ONE("pg_relation_is_publishable", OID, BOOL, call_absent),
    ONE("pg_get_statisticsobjdef", OID, TEXT, call_absent),
    ONE("pg_get_statisticsobjdef_columns", OID, TEXT, call_absent),
    {.name = "pg_backend_pid",
     .result = T(INT4),
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_backend_pid},
    {.name = "txid_current",
     .result = T(INT8),
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_txid_current},
    {.name = "pg_current_xact_id",
     .result = T(INT8),
     .volatility = KD_STABLE,
     .strict = true,
     .row = call_txid_current},
    PRIVILEGE("has_table_privilege"),
    PRIVILEGE("has_schema_privilege"),
    PRIVILEGE("has_database_privilege"),
    PRIVILEGE("has_sequence_privilege"),
};

kd_status kdi_register_catalog_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof functions[0]);
}
