/*
 * Plans by hand.
 */
#include "plan_kit.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kit *kit_open(size_t budget_bytes, unsigned threads)
{
    static kit storage;
    kit *k = &storage;
    memset(k, 0, sizeof *k);
    k->ctx = test_ctx();
    k->arena = test_arena(&k->ctx);
    k->governor = kd_governor_create(&k->ctx, budget_bytes);
    CHECK(k->governor != NULL);
    if (threads > 0)
        CHECK_STATUS(&k->ctx, kd_workers_create(&k->ctx, threads, &k->workers));
    k->facts.text = &k->text;
    k->options = (kd_execute_options){.workers = k->workers,
                                      .governor = k->governor,
                                      .spill_directory = test_path("spill"),
                                      .facts = &k->facts};
    k->next_no = k->next_id = 1;
    k->ctx.cancelled = &k->cancelled;
    return k;
}

void kit_close(kit *k)
{
    kd_workers_destroy(k->workers);
    kd_arena_destroy(k->arena);
    CHECK_EQ(kd_governor_used_bytes(k->governor), 0);
    kd_governor_destroy(k->governor);
}

/* ---- Source ---- */

typedef struct source {
    kit *k;
    kit_column *columns;
    uint32_t column_count;
    uint64_t row_count;
    kd_vector *dictionaries;
    kd_table_function function;
} source;

typedef struct cursor {
    source *source;
    uint64_t next;
    kd_vector *columns;
    kd_arena *arena;
} cursor;

static uint64_t number_of(const kit_column *column, uint64_t row)
{
    if (column->sequential)
        return row;
    return kd_hash_u64(row * 2654435761u + column->salt) % column->modulus;
}

static bool null_of(const kit_column *column, uint64_t row)
{
    return column->null_every != 0 &&
           kd_hash_u64(row ^ (column->salt << 32) ^ 77) % column->null_every == 0;
}

static kd_status value_make(kd_ctx *ctx, kd_arena *arena, const kit_column *column, uint64_t number,
                            kd_value *out)
{
    kd_value value = {.type = column->type};
    switch (kd_type_physical(column->type)) {
    case KD_PHYS_BOOL:
        value.as.boolean = number % 2;
        break;
    case KD_PHYS_I16:
        value.as.i16 = (int16_t)number;
        break;
    case KD_PHYS_I32:
        value.as.i32 = (int32_t)number;
        break;
    case KD_PHYS_I64:
        value.as.i64 = (int64_t)number;
        break;
    case KD_PHYS_F64:
        value.as.f64 = (double)number / 4;
        break;
    case KD_PHYS_STR: {
        char *text = kd_format_text(ctx, arena, "v%llu%s", (unsigned long long)number,
                                    column->is_long ? "-and-so-on-and-on" : "");
        if (text == NULL)
            return KD_NOMEM;
        value.as.str = kd_str_from(text, strlen(text));
        break;
    }
    default:
        CHECK(false);
    }
    *out = value;
    return KD_OK;
}

static kd_value value_of(kit *k, const kit_column *column, uint64_t number)
{
    kd_value value;
    CHECK_STATUS(&k->ctx, value_make(&k->ctx, k->arena, column, number, &value));
    return value;
}

kd_value kit_value(kit *k, const kit_column *column, uint64_t row)
{
    if (null_of(column, row))
        return kd_value_null(column->type);
    return value_of(k, column, number_of(column, row));
}

static kd_status source_open(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                             const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    (void)args;
    (void)arg_count;
    cursor *self = KD_NEW(ctx, arena, cursor);
    *out_cursor = self;
    if (self == NULL)
        return KD_NOMEM;
    self->source = (source *)(uintptr_t)env->data;
    self->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, self->source->column_count);
    self->arena = kd_arena_create(ctx, arena, "source", KD_ARENA_UNLIMITED);
    return self->columns == NULL || self->arena == NULL ? KD_NOMEM : KD_OK;
}

/* Codes of 2 bytes into a dictionary of modulus + 1 entries, the last one NULL. */
static kd_status dict_fill(kd_ctx *ctx, cursor *self, uint32_t c, uint32_t count)
{
    const kit_column *column = &self->source->columns[c];
    kd_vector *dictionary = &self->source->dictionaries[c];
    uint16_t *codes = kd_alloc_array(ctx, self->arena, count, sizeof *codes);
    if (codes == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = (uint16_t)(null_of(column, self->next + i) ? column->modulus
                                                              : number_of(column, self->next + i));
    self->columns[c] = (kd_vector){.type = column->type,
                                   .physical = dictionary->physical,
                                   .form = KD_VECTOR_DICT,
                                   .width_bytes = 2,
                                   .values = codes,
                                   .dictionary = dictionary,
                                   .dictionary_count = (uint32_t)column->modulus + 1,
                                   .dictionary_id = column->salt % 2 ? 1000 + c : 0};
    return KD_OK;
}

static kd_status frame_fill(kd_ctx *ctx, cursor *self, uint32_t c, uint32_t count)
{
    const kit_column *column = &self->source->columns[c];
    uint32_t *offsets = kd_alloc_array(ctx, self->arena, count, sizeof *offsets);
    uint64_t *validity = kd_alloc_array(ctx, self->arena, KD_BATCH_ROWS / 64, 8);
    if (offsets == NULL || validity == NULL)
        return KD_NOMEM;
    int64_t base = -5;
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)(number_of(column, self->next + i) + 5);
        if (!null_of(column, self->next + i))
            kd_bit_set(validity, i);
    }
    self->columns[c] = (kd_vector){.type = column->type,
                                   .physical = (uint8_t)kd_type_physical(column->type),
                                   .form = KD_VECTOR_FRAME,
                                   .width_bytes = 4,
                                   .values = offsets,
                                   .base = base,
                                   .validity = column->null_every == 0 ? NULL : validity};
    return KD_OK;
}

static kd_status flat_fill(kd_ctx *ctx, cursor *self, uint32_t c, uint32_t count)
{
    const kit_column *column = &self->source->columns[c];
    KD_TRY(kd_vector_init_flat(ctx, self->arena, column->type, KD_BATCH_ROWS, &self->columns[c]));
    for (uint32_t i = 0; i < count; i++) {
        if (null_of(column, self->next + i)) {
            kd_vector_set_null(&self->columns[c], i);
            continue;
        }
        kd_value value;
        KD_TRY(value_make(ctx, self->arena, column, number_of(column, self->next + i), &value));
        kd_vector_set(&self->columns[c], i, &value);
    }
    return KD_OK;
}

static kd_status source_next(kd_ctx *ctx, void *object, kd_batch *out)
{
    cursor *self = object;
    kit *k = self->source->k;
    if (++k->source_batches == k->cancel_at)
        atomic_store(&k->cancelled, true);
    uint64_t remaining = self->source->row_count - self->next;
    uint32_t count = remaining < 1500 ? (uint32_t)remaining : 1500;
    kd_arena_reset(self->arena);
    for (uint32_t c = 0; c < self->source->column_count; c++) {
        switch (self->source->columns[c].form) {
        case KD_VECTOR_DICT:
            KD_TRY(dict_fill(ctx, self, c, count));
            break;
        case KD_VECTOR_FRAME:
            KD_TRY(frame_fill(ctx, self, c, count));
            break;
        default:
            KD_TRY(flat_fill(ctx, self, c, count));
            break;
        }
    }
    self->next += count;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = self->source->column_count,
                      .columns = self->columns};
    return KD_OK;
}

static void dictionary_make(kit *k, source *self, uint32_t c)
{
    const kit_column *column = &self->columns[c];
    kd_vector *dictionary = &self->dictionaries[c];
    uint32_t count = (uint32_t)column->modulus + 1;
    CHECK_STATUS(&k->ctx, kd_vector_init_flat(&k->ctx, k->arena, column->type, count, dictionary));
    for (uint32_t i = 0; i + 1 < count; i++) {
        kd_value value = value_of(k, column, i);
        kd_vector_set(dictionary, i, &value);
    }
    kd_vector_set_null(dictionary, count - 1);
}

kd_plan *kit_plan(kit *k, kd_plan_kind kind, kd_plan *left, kd_plan *right)
{
    kd_plan *plan = KD_NEW(&k->ctx, k->arena, kd_plan);
    CHECK(plan != NULL);
    plan->kind = kind;
    plan->no = k->next_no++;
    plan->inputs[0] = left;
    plan->inputs[1] = right;
    return plan;
}

void kit_add_column(kit *k, kd_plan *plan, kd_type type, kd_column_id *out_id)
{
    kd_rel_column *columns = KD_NEW_ARRAY(&k->ctx, k->arena, kd_rel_column, plan->column_count + 1);
    CHECK(columns != NULL);
    if (plan->column_count > 0)
        memcpy(columns, plan->columns, plan->column_count * sizeof *columns);
    columns[plan->column_count] = (kd_rel_column){.id = k->next_id, .type = type};
    plan->columns = columns;
    plan->column_count++;
    if (out_id != NULL)
        *out_id = k->next_id;
    k->next_id++;
}

void kit_take_columns(kit *k, kd_plan *plan, bool with_right)
{
    uint32_t left = plan->inputs[0]->column_count;
    uint32_t right = with_right ? plan->inputs[1]->column_count : 0;
    kd_rel_column *columns = KD_NEW_ARRAY(&k->ctx, k->arena, kd_rel_column, left + right);
    CHECK(columns != NULL);
    memcpy(columns, plan->inputs[0]->columns, left * sizeof *columns);
    if (right > 0)
        memcpy(columns + left, plan->inputs[1]->columns, right * sizeof *columns);
    plan->columns = columns;
    plan->column_count = left + right;
}

kd_plan *kit_source(kit *k, const kit_column *columns, uint32_t column_count, uint64_t row_count)
{
    source *self = KD_NEW(&k->ctx, k->arena, source);
    CHECK(self != NULL);
    self->k = k;
    self->columns = KD_NEW_ARRAY(&k->ctx, k->arena, kit_column, column_count);
    self->dictionaries = KD_NEW_ARRAY(&k->ctx, k->arena, kd_vector, column_count);
    CHECK(self->columns != NULL && self->dictionaries != NULL);
    memcpy(self->columns, columns, column_count * sizeof *columns);
    self->column_count = column_count;
    self->row_count = row_count;
    self->function = (kd_table_function){
        .name = "source", .open = source_open, .next = source_next, .data = self};
    kd_plan *plan = kit_plan(k, KD_PLAN_FUNCTION, NULL, NULL);
    plan->as.function.function = &self->function;
    plan->row_estimate = (double)row_count;
    for (uint32_t c = 0; c < column_count; c++) {
        kit_add_column(k, plan, columns[c].type, NULL);
        if (columns[c].form == KD_VECTOR_DICT)
            dictionary_make(k, self, c);
    }
    return plan;
}

kd_plan *kit_cte(kit *k, kd_plan *plan)
{
    CHECK(k->cte_count < 8);
    kd_plan *scan = kit_plan(k, KD_PLAN_CTE_SCAN, NULL, NULL);
    uint32_t *positions = KD_NEW_ARRAY(&k->ctx, k->arena, uint32_t, plan->column_count);
    CHECK(positions != NULL);
    for (uint32_t c = 0; c < plan->column_count; c++) {
        positions[c] = c;
        kit_add_column(k, scan, plan->columns[c].type, NULL);
    }
    scan->as.cte.cte_no = k->cte_count;
    scan->as.cte.source_positions = positions;
    k->ctes[k->cte_count++] = plan;
    return scan;
}

/* ---- Expressions ---- */

kd_expr *kit_expr(kit *k, kd_expr_kind kind, kd_type type, uint32_t count, ...)
{
    kd_expr *expr = KD_NEW(&k->ctx, k->arena, kd_expr);
    CHECK(expr != NULL);
    expr->kind = kind;
    expr->type = type;
    expr->position = -1;
    expr->argument_count = count;
    expr->arguments = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, count);
    CHECK(expr->arguments != NULL);
    va_list list;
    va_start(list, count);
    for (uint32_t i = 0; i < count; i++)
        expr->arguments[i] = va_arg(list, kd_expr *);
    va_end(list);
    return expr;
}

kd_expr *kit_id_ref(kit *k, kd_column_id id, kd_type type)
{
    kd_expr *expr = kit_expr(k, KD_EXPR_COLUMN, type, 0);
    expr->column = id;
    return expr;
}

kd_expr *kit_ref(kit *k, const kd_plan *plan, uint32_t column)
{
    CHECK(column < plan->column_count);
    return kit_id_ref(k, plan->columns[column].id, plan->columns[column].type);
}

static kd_expr *constant(kit *k, kd_value value)
{
    kd_expr *expr = kit_expr(k, KD_EXPR_CONSTANT, value.type, 0);
    expr->constant = value;
    return expr;
}

kd_expr *kit_i64(kit *k, int64_t value)
{
    return constant(k, kd_value_i64(value));
}

kd_expr *kit_i32(kit *k, int32_t value)
{
    return constant(k, kd_value_i32(value));
}

kd_expr *kit_text(kit *k, const char *value)
{
    return constant(k, kd_value_text(kd_slice_of(value)));
}

kd_expr *kit_null(kit *k, kd_type type)
{
    return constant(k, kd_value_null(type));
}

#define INT_ROW(name, out_type, expression)                                                     \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)ctx;                                                                              \
        (void)env;                                                                              \
        (void)out_is_null;                                                                      \
        int64_t a = *(const int64_t *)args[0], b = *(const int64_t *)args[1];                   \
        *(out_type *)result = (out_type)(expression);                                           \
        return KD_OK;                                                                           \
    }
INT_ROW(int_rem, int64_t, a % b)
INT_ROW(int_eq, uint8_t, a == b)
INT_ROW(int_ne, uint8_t, a != b)
INT_ROW(int_lt, uint8_t, a < b)
INT_ROW(int_le, uint8_t, a <= b)
INT_ROW(int_gt, uint8_t, a > b)
INT_ROW(int_ge, uint8_t, a >= b)

static kd_status int_div(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                         bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    int64_t a = *(const int64_t *)args[0], b = *(const int64_t *)args[1];
    if (b == 0)
        return KD_FAIL(ctx, KD_INVALID, "22012", "division by zero");
    *(int64_t *)result = a / b;
    return KD_OK;
}

static kd_status int_add_vector(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,
                                const uint16_t *selection, uint32_t count, kd_vector *out)
{
    (void)ctx;
    (void)env;
    int64_t *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        values[row] = ((int64_t *)args[0].values)[args[0].form == KD_VECTOR_CONSTANT ? 0 : row] +
                      ((int64_t *)args[1].values)[args[1].form == KD_VECTOR_CONSTANT ? 0 : row];
    }
    return KD_OK;
}

static kd_status text_eq(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                         bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(uint8_t *)result = kd_str_equal(args[0], args[1]);
    return KD_OK;
}

static kd_status text_length(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = ((const kd_str *)args[0])->size_bytes;
    return KD_OK;
}

static kd_status text_upper(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                            bool *out_is_null)
{
    (void)out_is_null;
    const kd_str *str = args[0];
    char *copy = kd_copy_text(ctx, env->arena, kd_str_data(str), str->size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < str->size_bytes; i++)
        if (copy[i] >= 'a' && copy[i] <= 'z')
            copy[i] = (char)(copy[i] - 'a' + 'A');
    kd_str upper = kd_str_from(copy, str->size_bytes);
    memcpy(result, &upper, sizeof upper);
    return KD_OK;
}

kd_expr *kit_call(kit *k, const char *name, kd_expr *a, kd_expr *b)
{
    static const struct {
        const char *name;
        const char *as;
        uint8_t result;
        kd_row_function row;
        kd_vector_function vector;
    } list[] = {
        {"+", "+", KD_TYPE_INT8, NULL, int_add_vector},
        {"%", "%", KD_TYPE_INT8, int_rem, NULL},
        {"/", "/", KD_TYPE_INT8, int_div, NULL},
        {"=", "=", KD_TYPE_BOOL, int_eq, NULL},
        {"<>", "<>", KD_TYPE_BOOL, int_ne, NULL},
        {"<", "<", KD_TYPE_BOOL, int_lt, NULL},
        {"<=", "<=", KD_TYPE_BOOL, int_le, NULL},
        {">", ">", KD_TYPE_BOOL, int_gt, NULL},
        {">=", ">=", KD_TYPE_BOOL, int_ge, NULL},
        {"t=", "=", KD_TYPE_BOOL, text_eq, NULL},
        {"length", "length", KD_TYPE_INT8, text_length, NULL},
        {"upper", "upper", KD_TYPE_TEXT, text_upper, NULL},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].name, name) != 0)
            continue;
        kd_function *function = KD_NEW(&k->ctx, k->arena, kd_function);
        CHECK(function != NULL);
        function->name = list[i].as;
        function->argument_count = b == NULL ? 1 : 2;
        function->result = kd_type_of(list[i].result);
        function->strict = true;
        function->row = list[i].row;
        function->vector = list[i].vector;
        kd_expr *expr = b == NULL ? kit_expr(k, KD_EXPR_CALL, function->result, 1, a)
                                  : kit_expr(k, KD_EXPR_CALL, function->result, 2, a, b);
        expr->function = function;
        return expr;
    }
    CHECK(false);
    return NULL;
}

/* ---- Aggregates ---- */

typedef struct int_state {
    kd_i128 value; /* As KD_STATE_INTEGER_SUM has it. */
    int64_t count;
    int64_t padding;
} int_state;

static kd_status sum_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    int_state *self = state;
    self->value += *(const int64_t *)args[0];
    self->count++;
    return KD_OK;
}

static kd_status sum_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    ((int_state *)state)->value += ((const int_state *)other)->value;
    ((int_state *)state)->count += ((const int_state *)other)->count;
    return KD_OK;
}

static kd_status sum_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                            bool *out_is_null)
{
    (void)ctx;
    (void)env;
    *(int64_t *)result = (int64_t)((const int_state *)state)->value;
    *out_is_null = ((const int_state *)state)->count == 0;
    return KD_OK;
}

static kd_status count_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                              bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = ((const int_state *)state)->count;
    return KD_OK;
}

static kd_status min_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    int_state *self = state;
    int64_t value = *(const int64_t *)args[0];
    if (self->count == 0 || value < self->value)
        self->value = value;
    self->count++;
    return KD_OK;
}

static kd_status min_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    const int_state *from = other;
    int64_t value = (int64_t)from->value;
    const void *args[1] = {&value};
    return from->count == 0 ? KD_OK : min_step(ctx, env, state, args);
}

typedef struct text_state {
    char *text;
    uint64_t size_bytes;
} text_state;

static kd_status agg_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    text_state *self = state;
    const kd_str *str = args[0];
    char *text = kd_format_text(ctx, env->state_arena, "%.*s%s%.*s", (int)self->size_bytes,
                                self->text == NULL ? "" : self->text, self->text == NULL ? "" : ",",
                                (int)str->size_bytes, kd_str_data(str));
    if (text == NULL)
        return KD_NOMEM;
    self->text = text;
    self->size_bytes = strlen(text);
    return KD_OK;
}

static kd_status agg_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                            bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const text_state *self = state;
    kd_str str = kd_str_from(self->text, self->size_bytes);
    memcpy(result, &str, sizeof str);
    *out_is_null = self->text == NULL;
    return KD_OK;
}

static kd_status chain_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    int64_t *self = state;
    const kd_str *str = args[0];
    *self = (int64_t)kd_hash_u64((uint64_t)*self * 31 +
                                 kd_hash_bytes(kd_str_data(str), str->size_bytes));
    return KD_OK;
}

static kd_status chain_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                              bool *out_is_null)
{
    (void)ctx;
    (void)env;
    memcpy(result, state, sizeof(int64_t));
    *out_is_null = false;
    return KD_OK;
}

kd_aggregate_call kit_aggregate(kit *k, const char *name, kd_expr *argument)
{
    static const kd_aggregate list[] = {
        {.name = "sum",
         .state_bytes = sizeof(int_state),
         .skips_nulls = true,
         .step = sum_step,
         .combine = sum_combine,
         .finish = sum_finish,
         .state_kind = KD_STATE_INTEGER_SUM},
        {.name = "count",
         .state_bytes = sizeof(int_state),
         .skips_nulls = true,
         .step = sum_step,
         .combine = sum_combine,
         .finish = count_finish},
        {.name = "min",
         .state_bytes = sizeof(int_state),
         .skips_nulls = true,
         .step = min_step,
         .combine = min_combine,
         .finish = sum_finish},
        {.name = "string_agg",
         .state_bytes = sizeof(text_state),
         .skips_nulls = true,
         .keeps_rows = true,
         .order_matters = true,
         .step = agg_step,
         .finish = agg_finish},
        {.name = "chain",
         .state_bytes = sizeof(int64_t),
         .skips_nulls = true,
         .order_matters = true,
         .step = chain_step,
         .finish = chain_finish},
    };
    kd_aggregate_call call = {.type = kd_type_of(KD_TYPE_INT8), .output = k->next_id++};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(list[i].name, name) == 0)
            call.aggregate = &list[i];
    if (strcmp(name, "string_agg") == 0)
        call.type = kd_type_of(KD_TYPE_TEXT);
    if (argument != NULL) {
        call.argument_count = 1;
        call.arguments = KD_NEW(&k->ctx, k->arena, kd_expr *);
        CHECK(call.arguments != NULL);
        call.arguments[0] = argument;
    }
    return call;
}

/* ---- Running ---- */

void kit_rows_add(kit *k, kit_rows *rows, const char *format, ...)
{
    char line[2048];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if ((rows->count & (rows->count - 1)) == 0) {
        char **texts = KD_NEW_ARRAY(&k->ctx, k->arena, char *, rows->count * 2 + 2);
        CHECK(texts != NULL);
        if (rows->count > 0)
            memcpy(texts, rows->texts, rows->count * sizeof *texts);
        rows->texts = texts;
    }
    rows->texts[rows->count++] = kd_copy_text(&k->ctx, k->arena, line, strlen(line));
}

static void row_add(kit *k, kit_rows *rows, const kd_batch *batch, uint32_t row)
{
    char line[2048];
    size_t used = 0;
    for (uint32_t c = 0; c < batch->column_count; c++) {
        kd_value value = kd_vector_get(&batch->columns[c], row);
        char *at = line + used;
        size_t room = sizeof line - used;
        int written;
        if (value.is_null)
            written = snprintf(at, room, "%sNULL", c > 0 ? "|" : "");
        else if (batch->columns[c].physical == KD_PHYS_STR)
            written = snprintf(at, room, "%s%.*s", c > 0 ? "|" : "", (int)value.as.str.size_bytes,
                               kd_str_data(&value.as.str));
        else if (batch->columns[c].physical == KD_PHYS_F64)
            written = snprintf(at, room, "%s%g", c > 0 ? "|" : "", value.as.f64);
        else {
            int64_t number = batch->columns[c].physical == KD_PHYS_I64   ? value.as.i64
                             : batch->columns[c].physical == KD_PHYS_I32 ? value.as.i32
                             : batch->columns[c].physical == KD_PHYS_I16 ? value.as.i16
                                                                         : value.as.boolean;
            written = snprintf(at, room, "%s%lld", c > 0 ? "|" : "", (long long)number);
        }
        used += (size_t)written;
        CHECK(used < sizeof line);
    }
    kit_rows_add(k, rows, "%.*s", (int)used, line);
}

static kd_status run(kit *k, kd_plan *root, kit_rows *rows, uint64_t *out_count)
{
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    kd_statement_plan plan = {.root = root,
                              .plan_count = k->next_no,
                              .working_count = 4,
                              .cte_count = k->cte_count,
                              .ctes = k->ctes};
    kd_arena *arena = kd_arena_create(&k->ctx, k->arena, "statement", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    *out_count = 0;
    KD_TRY_OUT(kd_execution_create(&k->ctx, arena, &plan, &k->options, &execution));
    for (;;) {
        kd_batch batch;
        bool end;
        KD_TRY_OUT(kd_execution_next(&k->ctx, execution, &batch, &end));
        if (end)
            break;
        CHECK(batch.selected_count > 0);
        CHECK_EQ(batch.column_count, root->column_count);
        *out_count += batch.selected_count;
        for (uint32_t i = 0; rows != NULL && i < batch.selected_count; i++)
            row_add(k, rows, &batch, kd_batch_row(&batch, i));
    }
out:
    kd_execution_destroy(execution);
    kd_arena_destroy(arena);
    return status;
}

kit_rows kit_run(kit *k, kd_plan *root)
{
    kit_rows rows = {0};
    uint64_t count;
    CHECK_STATUS(&k->ctx, run(k, root, &rows, &count));
    return rows;
}

kd_status kit_try(kit *k, kd_plan *root, uint64_t *out_count)
{
    return run(k, root, NULL, out_count);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void kit_sort(kit_rows *rows)
{
    if (rows->count > 0)
        qsort(rows->texts, rows->count, sizeof *rows->texts, compare_texts);
}

void kit_check_same(kit_rows a, kit_rows b)
{
    kit_sort(&a);
    kit_sort(&b);
    for (uint64_t i = 0; i < a.count && i < b.count; i++)
        if (strcmp(a.texts[i], b.texts[i]) != 0) {
            test_note("row %llu", (unsigned long long)i);
            CHECK_TEXT(a.texts[i], b.texts[i]);
        }
    CHECK_EQ(a.count, b.count);
}
