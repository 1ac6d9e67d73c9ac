/*
 * enum_first, enum_last, enum_range: they look at the argument's type, so that a
 * NULL of an enum is enough.
 */
#include "engine/session_function_internal.h"

#include "types/array.h"

#include <assert.h>

static kd_status labels_of(kd_ctx *ctx, const kd_call_env *env, const kd_enum_entry **out_entry)
{
    kd_type type = env->argument_types[0];
    const kd_object *object = kd_catalog_get(kdi_call_catalog(env), type.object);
    *out_entry = NULL;
    if (type.id != KD_TYPE_ENUM || object == NULL || object->kind != KD_OBJECT_ENUM)
        return KD_FAIL(ctx, KD_INVALID, "42804", "could not determine actual enum type");
    *out_entry = (const kd_enum_entry *)object;
    return KD_OK;
}

static kd_status call_enum_first(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                 void *result, bool *out_is_null)
{
    const kd_enum_entry *entry;
    (void)args;
    KD_TRY(labels_of(ctx, env, &entry));
    *out_is_null = entry->label_count == 0;
    if (!*out_is_null)
        *(int32_t *)result = entry->ranks[0];
    return KD_OK;
}

static kd_status call_enum_last(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                void *result, bool *out_is_null)
{
    const kd_enum_entry *entry;
    (void)args;
    KD_TRY(labels_of(ctx, env, &entry));
    *out_is_null = entry->label_count == 0;
    if (!*out_is_null)
        *(int32_t *)result = entry->ranks[entry->label_count - 1];
    return KD_OK;
}

/* All labels, or those between two of them; NULL is an open end. */
static kd_status call_enum_range(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                 void *result, bool *out_is_null)
{
    const kd_enum_entry *entry;
    KD_TRY(labels_of(ctx, env, &entry));
    kd_type type = env->argument_types[0];
    bool between = env->argument_count == 2;
    int32_t low = between && args[0] != NULL ? *(const int32_t *)args[0] : INT32_MIN;
    int32_t high = between && args[1] != NULL ? *(const int32_t *)args[1] : INT32_MAX;
    kd_value *values = KD_NEW_ARRAY(ctx, env->arena, kd_value, entry->label_count + 1);
    if (values == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < entry->label_count; i++)
        if (entry->ranks[i] >= low && entry->ranks[i] <= high)
            values[count++] = (kd_value){.type = type, .as.i32 = entry->ranks[i]};
    *out_is_null = false;
    return kd_array_make(ctx, env->arena, type, values, count, result);
}

#define ENUM_ARRAY                               \
    {                                            \
        .id = KD_PSEUDO_ANYARRAY, .modifier = -1 \
    }
#define ELEMENT                                    \
    {                                              \
        .id = KD_PSEUDO_ANYELEMENT, .modifier = -1 \
    }

static const kd_function functions[] = {
    {.name = "enum_first",
     .argument_count = 1,
     .arguments = {ELEMENT},
     .result = ELEMENT,
     .volatility = KD_STABLE,
     .row = call_enum_first},
    {.name = "enum_last",
     .argument_count = 1,
     .arguments = {ELEMENT},
     .result = ELEMENT,
     .volatility = KD_STABLE,
     .row = call_enum_last},
    {.name = "enum_range",
     .argument_count = 1,
     .arguments = {ELEMENT},
     .result = ENUM_ARRAY,
     .volatility = KD_STABLE,
     .row = call_enum_range},
    {.name = "enum_range",
     .argument_count = 2,
     .arguments = {ELEMENT, ELEMENT},
     .result = ENUM_ARRAY,
     .volatility = KD_STABLE,
     .row = call_enum_range},
};

kd_status kdi_register_enum_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof functions[0]);
}
