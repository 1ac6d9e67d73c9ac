/*
 * What the families of built-in functions share: their registration, short names
 * for types in tables, and reading arguments.
 */
#ifndef KD_BUILTIN_BUILTIN_INTERNAL_H
#define KD_BUILTIN_BUILTIN_INTERNAL_H

#include "builtin/builtin.h"
#include "types/numeric.h"

/* One per family; called in order by kd_builtin_register. */
typedef kd_status (*kdi_family)(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_comparison(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_arithmetic(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_casts(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_aggregates(kd_ctx *ctx, kd_registry *registry);
extern const kd_aggregate kdi_percentile_disc_unsorted;
extern const kd_aggregate kdi_percentile_cont_unsorted;
kd_status kdi_register_text(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_concat(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_bytes(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_like(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_math(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_array(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_domain(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_subscript(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_series(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_statistics(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_collect(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_json(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_json_make(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_overlaps(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_identifier(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_bits(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_jsonpath(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_approximate(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_moment(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_sql_json(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_sql_json_table(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_misc(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_template_datetime(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_template_number(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_regexp(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_datetime(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_side_by_side(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_json_record(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_send(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_sample(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_row(kd_ctx *ctx, kd_registry *registry);

/* A type in a static table. */
#define KDI_TYPE(NAME)                       \
    {                                        \
        .id = KD_TYPE_##NAME, .modifier = -1 \
    }
#define KDI_ARRAY(NAME)                                     \
    {                                                       \
        .id = KD_TYPE_##NAME, .is_array = 1, .modifier = -1 \
    }
#define KDI_ANY                             \
    {                                       \
        .id = KD_PSEUDO_ANY, .modifier = -1 \
    }
#define KDI_ANYNONARRAY                             \
    {                                               \
        .id = KD_PSEUDO_ANYNONARRAY, .modifier = -1 \
    }
#define KDI_ANYELEMENT                             \
    {                                              \
        .id = KD_PSEUDO_ANYELEMENT, .modifier = -1 \
    }
#define KDI_ANYENUM                             \
    {                                           \
        .id = KD_PSEUDO_ANYENUM, .modifier = -1 \
    }
#define KDI_ANYARRAY                             \
    {                                            \
        .id = KD_PSEUDO_ANYARRAY, .modifier = -1 \
    }

#define KDI_COUNT(array) (sizeof(array) / sizeof *(array))

/* Argument `index` of a row function as a C type. */
#define KDI_ARG(type, args, index) (*(const type *)(args)[index])

/* One row function; most need only some of the parameters. */
#define KDI_ROW(name)                                                                    \
    static kd_status name(__attribute__((unused)) kd_ctx *ctx,                           \
                          __attribute__((unused)) kd_call_env *env,                      \
                          __attribute__((unused)) const void *const *args, void *result, \
                          __attribute__((unused)) bool *out_is_null)

static inline kd_slice kdi_arg_text(const void *const *args, uint32_t index)
{
    return kd_str_slice((const kd_str *)args[index]);
}

/* `text` lives in env->arena, in an argument, or forever. */
static inline kd_status kdi_return_text(void *result, kd_slice text)
{
    *(kd_str *)result = kd_str_from(text.data, text.size_bytes);
    return KD_OK;
}

static inline kd_status kdi_return_buffer(void *result, const kd_buffer *buffer)
{
    return kdi_return_text(result, kd_buffer_slice(buffer));
}

static inline const kd_text_settings *kdi_settings(const kd_call_env *env)
{
    return env->facts == NULL ? NULL : env->facts->text;
}

static inline const struct kd_zone *kdi_zone(const kd_call_env *env)
{
    return kdi_settings(env) == NULL ? NULL : kdi_settings(env)->zone;
}

/* Argument `index` with its type; a NULL pointer gives a NULL value. */
kd_value kdi_arg_value(const kd_call_env *env, const void *const *args, uint32_t index);
/* Writes the value's payload to a result of the same type. */
void kdi_return_value(const kd_value *value, void *result, bool *out_is_null);
/* A char(n) with its padding, for the few functions to which the blanks count. */
kd_status kdi_arg_padded(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                         uint32_t index, kd_str *out) KD_MUST_CHECK;
/* A row function over char(n) and another argument, made of one over text. */
#define KDI_PADDED(name, plain)                             \
    KDI_ROW(name)                                           \
    {                                                       \
        kd_str padded;                                      \
        KD_TRY(kdi_arg_padded(ctx, env, args, 0, &padded)); \
        const void *both[2] = {&padded, args[1]};           \
        return plain(ctx, env, both, result, out_is_null);  \
    }
/* Appends the value's text, as its output function gives it. */
kd_status kdi_append_argument(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                              uint32_t index, kd_buffer *out) KD_MUST_CHECK;
/* The value as to_json writes it; NULL as null. */
kd_status kdi_append_json(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                          kd_buffer *out) KD_MUST_CHECK;
/* As the name of a member: a string; not NULL. */
kd_status kdi_append_json_key(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                              kd_buffer *out) KD_MUST_CHECK;
/* An array, `between` the elements of its outermost dimension. */
kd_status kdi_append_json_array(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_value *value, const char *between,
                                kd_buffer *out) KD_MUST_CHECK;
/* A row as an object, `between` its members. */
kd_status kdi_append_json_row(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *row,
                              const char *between, kd_buffer *out) KD_MUST_CHECK;
/* JSON's text as a value of any type, as json_populate_record reads members. */
kd_status kdi_json_to_value(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_slice json, kd_value *out) KD_MUST_CHECK;
/* An element for an array of `type`: only the form of numerics may have to change. */
kd_status kdi_value_in_form(kd_ctx *ctx, kd_arena *arena, kd_type type,
                            kd_value *io_value) KD_MUST_CHECK;

/* A numeric, integer or floating argument as a decimal. */
static inline kd_status kdi_arg_decimal(kd_ctx *ctx, const kd_call_env *env,
                                        const void *const *args, uint32_t index, kd_decimal *out)
{
    return kd_decimal_from_payload(ctx, env->arena, env->argument_types[index], args[index], out);
}

/*
 * Table functions whose rows are made at open: a list of them is the cursor.
 */
typedef struct kdi_row_list kdi_row_list;
kd_status kdi_row_list_create(kd_ctx *ctx, kd_arena *arena, const kd_type *types,
                              uint32_t column_count, kdi_row_list **out_list) KD_MUST_CHECK;
/* `values`: one per column, pointing into memory that lives as long as the list. */
kd_status kdi_row_list_add(kd_ctx *ctx, kdi_row_list *list, const kd_value *values) KD_MUST_CHECK;
kd_status kdi_row_list_next(kd_ctx *ctx, void *cursor, kd_batch *out_batch) KD_MUST_CHECK;
/* What `describe` answers: names are literals, everything is copied. */
kd_status kdi_describe(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                       const char *const *names, const kd_type *types, uint32_t *out_column_count,
                       kd_slice **out_names, kd_type **out_types) KD_MUST_CHECK;
#define KDI_DESCRIBE(name)                                                                        \
    static kd_status name(                                                                        \
        kd_ctx *ctx, kd_arena *arena, __attribute__((unused)) const kd_call_env *env,             \
        __attribute__((unused)) const kd_value *args, __attribute__((unused)) uint32_t arg_count, \
        uint32_t *out_column_count, kd_slice **out_names, kd_type **out_types)
#define KDI_OPEN(name)                                                                          \
    static kd_status name(kd_ctx *ctx, kd_arena *arena,                                         \
                          __attribute__((unused)) const kd_call_env *env, const kd_value *args, \
                          __attribute__((unused)) uint32_t arg_count, void **out_cursor)
/* A value's text; the value stays where it is as long as the slice is used. */
static inline kd_slice kdi_value_text(const kd_value *value)
{
    return kd_str_slice(&value->as.str);
}

/* Whether the row is NULL in one of two arguments: kernels must not fail on such rows. */
static inline bool kdi_row_is_null(const kd_vector *args, uint32_t count, uint32_t row)
{
    for (uint32_t i = 0; i < count; i++)
        if (kd_vector_is_null(&args[i], row))
            return true;
    return false;
}

#endif
