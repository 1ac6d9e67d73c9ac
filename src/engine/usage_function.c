/*
 * pg_stat_reset() and the functions that PostgreSQL's views of use are made of.
 */
#include "engine/session_function_internal.h"

#include "table/usage.h"

#define ARGS kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, bool *out_is_null

static void reset_table(void *storage, const kd_object *object)
{
    const kd_table_entry *entry = (const kd_table_entry *)object;
    if (object->kind != KD_OBJECT_TABLE)
        return;
    kd_table *table = entry->table_no == 0 ? NULL : kd_table_find(storage, entry->table_no);
    if (table != NULL)
        kd_table_usage_reset(table);
    for (uint32_t i = 0; i < entry->index_count; i++) {
        uint64_t key_table_no = entry->indexes[i].key_table_no;
        kd_table *keys = key_table_no == 0 ? NULL : kd_table_find(storage, key_table_no);
        if (keys != NULL)
            kd_table_usage_reset(keys);
    }
}

static kd_status call_reset(ARGS)
{
    (void)ctx, (void)args;
    kd_database *database = kdi_call_session(env)->database;
    *out_is_null = false;
    *(uint8_t *)result = 0;
    kd_catalog_visit(kdi_call_catalog(env), reset_table, database->storage);
    kdi_transactions_count_anew(database);
    atomic_store(&database->usage_reset_us, database->world->wall_us(database->world));
    return KD_OK;
}

/* Counters are never behind, and no session keeps a copy of them. */
static kd_status call_nothing(ARGS)
{
    (void)ctx, (void)env, (void)args;
    *out_is_null = false;
    *(uint8_t *)result = 0;
    return KD_OK;
}

#define EFFECT(function_name, function_row)                                    \
    {                                                                          \
        .name = function_name, .result = {.id = KD_TYPE_VOID, .modifier = -1}, \
        .volatility = KD_VOLATILE, .row = function_row                         \
    }

static const kd_function functions[] = {
    EFFECT("pg_stat_reset", call_reset),
    EFFECT("pg_stat_force_next_flush", call_nothing),
    EFFECT("pg_stat_clear_snapshot", call_nothing),
};

kd_status kdi_register_usage_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof *functions);
}
