/*
 * Functions and operators of rows.
 */
#include "builtin/signature_internal.h"
#include "types/record.h"

#define RECORD KDI_TYPE(RECORD)

/* Rows are comparable when they have as many columns of the same types. */
static kd_status order_of(kd_ctx *ctx, const void *const *args, int *out_order)
{
    kd_slice stored[2] = {kdi_arg_text(args, 0), kdi_arg_text(args, 1)};
    kd_record rows[2];
    KD_TRY(kd_record_open(ctx, stored[0], &rows[0]));
    KD_TRY(kd_record_open(ctx, stored[1], &rows[1]));
    for (uint32_t i = 0; i < rows[0].field_count && i < rows[1].field_count; i++) {
        kd_value values[2];
        bool found;
        KD_TRY(kd_record_next(ctx, &rows[0], NULL, &values[0], &found));
        KD_TRY(kd_record_next(ctx, &rows[1], NULL, &values[1], &found));
        kd_type a = values[0].type, b = values[1].type;
        if (a.id == KD_TYPE_JSON || a.id == KD_TYPE_JSONPATH)
            return KD_FAIL(ctx, KD_INVALID, "42883",
                           "could not identify an equality operator for type %s",
                           kd_type_internal_name(a));
        if (!kd_type_same(a, b) && !(a.id == KD_TYPE_RECORD && b.id == KD_TYPE_RECORD))
            return KD_FAIL(ctx, KD_INVALID, "42804",
                           "cannot compare dissimilar column types %s and %s at record column %u",
                           kd_type_internal_name(a), kd_type_internal_name(b), i + 1);
    }
    if (rows[0].field_count != rows[1].field_count)
        return KD_FAIL(ctx, KD_INVALID, "42804",
                       "cannot compare record types with different numbers of columns");
    *out_order = kd_record_compare(stored[0], stored[1]);
    return KD_OK;
}

#define ROW_TEST(name, test)                 \
    KDI_ROW(name)                            \
    {                                        \
        int order;                           \
        KD_TRY(order_of(ctx, args, &order)); \
        *(uint8_t *)result = order test 0;   \
        return KD_OK;                        \
    }
ROW_TEST(equal, ==)
ROW_TEST(unequal, !=)
ROW_TEST(less, <)
ROW_TEST(less_equal, <=)
ROW_TEST(greater, >)
ROW_TEST(greater_equal, >=)

/* (a, b) op (c, d) as SQL has it: the first pair that is not equal decides, and a NULL before it
 * leaves the answer open; for = and <> later pairs may still decide. `*out_order` is 2 for NULL. */
static kd_status order_by_pairs(kd_ctx *ctx, const void *const *args, bool only_equality,
                                int *out_order)
{
    kd_record rows[2];
    bool found = true, has_null = false;
    *out_order = 0;
    KD_TRY(kd_record_open(ctx, kdi_arg_text(args, 0), &rows[0]));
    KD_TRY(kd_record_open(ctx, kdi_arg_text(args, 1), &rows[1]));
    while (found && *out_order == 0) {
        kd_value a, b;
        KD_TRY(kd_record_next(ctx, &rows[0], NULL, &a, &found));
        if (found)
            KD_TRY(kd_record_next(ctx, &rows[1], NULL, &b, &found));
        if (!found)
            break;
        if (a.is_null || b.is_null) {
            has_null = true;
            if (!only_equality)
                break;
            continue;
        }
        *out_order = kd_value_compare(&a, &b);
    }
    if (*out_order == 0 && has_null)
        *out_order = 2;
    return KD_OK;
}

#define PAIRS_TEST(name, equality, test)                     \
    KDI_ROW(name)                                            \
    {                                                        \
        int order;                                           \
        KD_TRY(order_by_pairs(ctx, args, equality, &order)); \
        *out_is_null = order == 2;                           \
        *(uint8_t *)result = order test 0;                   \
        return KD_OK;                                        \
    }
PAIRS_TEST(pairs_equal, true, ==)
PAIRS_TEST(pairs_unequal, true, !=)
PAIRS_TEST(pairs_less, false, <)
PAIRS_TEST(pairs_less_equal, false, <=)
PAIRS_TEST(pairs_greater, false, >)
PAIRS_TEST(pairs_greater_equal, false, >=)

/* Whether every field is (not) NULL; a NULL row counts as a row of NULLs. */
static kd_status all_fields(kd_ctx *ctx, const void *const *args, bool null, void *result)
{
    bool answer = args[0] != NULL || null, found = args[0] != NULL;
    kd_record row = {0};
    if (found)
        KD_TRY(kd_record_open(ctx, kdi_arg_text(args, 0), &row));
    while (found && answer) {
        kd_value value;
        KD_TRY(kd_record_next(ctx, &row, NULL, &value, &found));
        answer = !found || value.is_null == null;
    }
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(is_null)
{
    return all_fields(ctx, args, true, result);
}

KDI_ROW(is_not_null)
{
    return all_fields(ctx, args, false, result);
}

/* Members one a line where the second argument asks for it. */
KDI_ROW(row_to_json)
{
    kd_buffer text = kd_buffer_in(env->arena);
    kd_value row = kdi_arg_value(env, args, 0);
    bool lines = env->argument_count > 1 && KDI_ARG(uint8_t, args, 1);
    KD_TRY(kdi_append_json_row(ctx, kdi_settings(env), &row, lines ? ",\n " : ",", &text));
    return kdi_return_buffer(result, &text);
}

/* Rows of a type that was altered: what the tables that hold them are rewritten with. */
KDI_ROW(conform)
{
    kd_value value = kdi_arg_value(env, args, 0);
    value.type = env->result_type;
    KD_TRY(kd_record_conform(ctx, env->arena, kdi_settings(env), &value));
    memcpy(result, kd_value_payload(&value), kd_physical_bytes(kd_type_physical(value.type)));
    return KD_OK;
}

static const kd_function functions[] = {
    IMMUTABLE("=", equal, BOOL, RECORD, RECORD),
    IMMUTABLE("<>", unequal, BOOL, RECORD, RECORD),
    IMMUTABLE("<", less, BOOL, RECORD, RECORD),
    IMMUTABLE("<=", less_equal, BOOL, RECORD, RECORD),
    IMMUTABLE(">", greater, BOOL, RECORD, RECORD),
    IMMUTABLE(">=", greater_equal, BOOL, RECORD, RECORD),
    /* What comparisons of rows with queries and IS NULL become: */
    IMMUTABLE("row_eq", pairs_equal, BOOL, RECORD, RECORD),
    IMMUTABLE("row_ne", pairs_unequal, BOOL, RECORD, RECORD),
    IMMUTABLE("row_lt", pairs_less, BOOL, RECORD, RECORD),
    IMMUTABLE("row_le", pairs_less_equal, BOOL, RECORD, RECORD),
    IMMUTABLE("row_gt", pairs_greater, BOOL, RECORD, RECORD),
    IMMUTABLE("row_ge", pairs_greater_equal, BOOL, RECORD, RECORD),
    LENIENT("row_is_null", is_null, BOOL, RECORD),
    LENIENT("row_is_not_null", is_not_null, BOOL, RECORD),
    STABLE("kade_conform", conform, ELEMENT, ELEMENT),
    STABLE("row_to_json", row_to_json, JSON, RECORD),
    STABLE("row_to_json", row_to_json, JSON, RECORD, BOOL),
};

kd_status kdi_register_row(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
