/*
 * Pipelines over synthetic encoded vectors: what the operators cost without storage.
 *
 * Three million rows: carrier (dictionary of 14), month (frame of 1 byte), delay (frame of 2
 * bytes), number (flat, distinct). Every figure is checked against the answer known from how the
 * rows are made. Usage: bench_pipeline [rows]
 */
#include "exec/execute.h"

#include "base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARRIERS = 14, COLUMNS = 4 };

typedef struct bench {
    kd_ctx ctx;
    kd_arena *arena;
    kd_governor *governor;
    uint64_t rows;
    uint8_t *carrier, *month;
    uint16_t *delay;
    int64_t *number;
    kd_vector dictionary;
    kd_plan *source;
    kd_column_id next_id;
} bench;

static bench b;

static void must(kd_status status)
{
    if (status == KD_OK)
        return;
    (void)fprintf(stderr, "failed: %s %s\n", b.ctx.error.sqlstate, b.ctx.error.message);
    exit(1);
}

static void *room(size_t bytes)
{
    void *memory = kd_alloc(&b.ctx, b.arena, bytes);
    if (memory == NULL)
        must(KD_NOMEM);
    return memory;
}

typedef struct cursor {
    uint64_t next;
    kd_vector columns[COLUMNS];
} cursor;

static kd_status source_open(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                             const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    (void)env;
    (void)args;
    (void)arg_count;
    *out_cursor = KD_NEW(ctx, arena, cursor);
    return *out_cursor == NULL ? KD_NOMEM : KD_OK;
}

static kd_status source_next(kd_ctx *ctx, void *object, kd_batch *out)
{
    (void)ctx;
    cursor *self = object;
    uint64_t remaining = b.rows - self->next;
    uint32_t count = remaining < KD_BATCH_ROWS ? (uint32_t)remaining : KD_BATCH_ROWS;
    self->columns[0] = (kd_vector){.type = kd_type_of(KD_TYPE_TEXT),
                                   .physical = KD_PHYS_STR,
                                   .form = KD_VECTOR_DICT,
                                   .width_bytes = 1,
                                   .values = b.carrier + self->next,
                                   .dictionary = &b.dictionary,
                                   .dictionary_count = CARRIERS,
                                   .dictionary_id = 7};
    self->columns[1] = (kd_vector){.type = kd_type_of(KD_TYPE_INT2),
                                   .physical = KD_PHYS_I16,
                                   .form = KD_VECTOR_FRAME,
                                   .width_bytes = 1,
                                   .base = 1,
                                   .values = b.month + self->next};
    self->columns[2] = (kd_vector){.type = kd_type_of(KD_TYPE_INT4),
                                   .physical = KD_PHYS_I32,
                                   .form = KD_VECTOR_FRAME,
                                   .width_bytes = 2,
                                   .base = -100,
                                   .values = b.delay + self->next};
    self->columns[3] = (kd_vector){.type = kd_type_of(KD_TYPE_INT8),
                                   .physical = KD_PHYS_I64,
                                   .form = KD_VECTOR_FLAT,
                                   .values = b.number + self->next};
    self->next += count;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = COLUMNS,
                      .columns = self->columns};
    return KD_OK;
}

static const kd_table_function source_function = {
    .name = "bench", .open = source_open, .next = source_next};

static kd_plan *plan_make(kd_plan_kind kind, kd_plan *left, kd_plan *right)
{
    kd_plan *plan = room(sizeof *plan);
    plan->kind = kind;
    plan->inputs[0] = left;
    plan->inputs[1] = right;
    return plan;
}

static void column_add(kd_plan *plan, kd_type type)
{
    kd_rel_column *columns = room((plan->column_count + 1) * sizeof *columns);
    if (plan->column_count > 0)
        memcpy(columns, plan->columns, plan->column_count * sizeof *columns);
    columns[plan->column_count++] = (kd_rel_column){.id = ++b.next_id, .type = type};
    plan->columns = columns;
}

static kd_plan *source_make(void)
{
    kd_plan *plan = plan_make(KD_PLAN_FUNCTION, NULL, NULL);
    plan->as.function.function = &source_function;
    column_add(plan, kd_type_of(KD_TYPE_TEXT));
    column_add(plan, kd_type_of(KD_TYPE_INT2));
    column_add(plan, kd_type_of(KD_TYPE_INT4));
    column_add(plan, kd_type_of(KD_TYPE_INT8));
    return plan;
}

static kd_expr *column_ref(const kd_plan *plan, uint32_t column)
{
    kd_expr *expr = room(sizeof *expr);
    expr->kind = KD_EXPR_COLUMN;
    expr->type = plan->columns[column].type;
    expr->column = plan->columns[column].id;
    return expr;
}

/* The comparison is made on the encoded form. */
static kd_status never_called(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    (void)env;
    (void)args;
    (void)result;
    (void)out_is_null;
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a comparison was not made on the encoded form");
}

static kd_expr *greater_than(kd_expr *left, int32_t bound)
{
    static const kd_function function = {
        .name = ">", .argument_count = 2, .strict = true, .row = never_called};
    kd_expr *constant = room(sizeof *constant);
    constant->kind = KD_EXPR_CONSTANT;
    constant->type = kd_type_of(KD_TYPE_INT4);
    constant->constant = kd_value_i32(bound);
    kd_expr *expr = room(sizeof *expr);
    expr->kind = KD_EXPR_CALL;
    expr->type = kd_type_of(KD_TYPE_BOOL);
    expr->function = &function;
    expr->argument_count = 2;
    expr->arguments = room(2 * sizeof *expr->arguments);
    expr->arguments[0] = left;
    expr->arguments[1] = constant;
    return expr;
}

typedef struct sum_state {
    kd_i128 sum;
    int64_t count;
    int64_t padding;
} sum_state;

static kd_status sum_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    sum_state *self = state;
    self->sum += env->argument_types[0].id == KD_TYPE_INT4 ? *(const int32_t *)args[0]
                                                           : *(const int64_t *)args[0];
    self->count++;
    return KD_OK;
}

static kd_status sum_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    ((sum_state *)state)->sum += ((const sum_state *)other)->sum;
    ((sum_state *)state)->count += ((const sum_state *)other)->count;
    return KD_OK;
}

static kd_status sum_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                            bool *out_is_null)
{
    (void)ctx;
    (void)env;
    *(int64_t *)result = (int64_t)((const sum_state *)state)->sum;
    *out_is_null = ((const sum_state *)state)->count == 0;
    return KD_OK;
}

static const kd_aggregate sum_aggregate = {.name = "sum",
                                           .state_bytes = sizeof(sum_state),
                                           .skips_nulls = true,
                                           .state_kind = KD_STATE_INTEGER_SUM,
                                           .step = sum_step,
                                           .combine = sum_combine,
                                           .finish = sum_finish};

/* count(*), sum(column) grouped by the keys. */
static kd_plan *group_make(kd_plan *input, uint32_t column, uint32_t key_count,
                           const uint32_t *keys)
{
    kd_plan *plan = plan_make(KD_PLAN_AGGREGATE, input, NULL);
    kd_aggregate_call *calls = room(2 * sizeof *calls);
    calls[0] = (kd_aggregate_call){.type = kd_type_of(KD_TYPE_INT8)};
    calls[1] = (kd_aggregate_call){
        .aggregate = &sum_aggregate, .argument_count = 1, .type = kd_type_of(KD_TYPE_INT8)};
    calls[1].arguments = room(sizeof(kd_expr *));
    calls[1].arguments[0] = column_ref(input, column);
    plan->as.aggregate.keys = room((key_count + 1) * sizeof(kd_expr *));
    plan->as.aggregate.key_count = key_count;
    plan->as.aggregate.call_count = 2;
    plan->as.aggregate.calls = calls;
    for (uint32_t k = 0; k < key_count; k++) {
        plan->as.aggregate.keys[k] = column_ref(input, keys[k]);
        column_add(plan, input->columns[keys[k]].type);
    }
    column_add(plan, kd_type_of(KD_TYPE_INT8));
    column_add(plan, kd_type_of(KD_TYPE_INT8));
    return plan;
}

static kd_plan *copy_columns(kd_plan *plan, const kd_plan *left, const kd_plan *right);

/* By `count` columns from `first`. */
static kd_plan *sort_make(kd_plan *input, uint32_t first, uint32_t count)
{
    kd_plan *plan = copy_columns(plan_make(KD_PLAN_SORT, input, NULL), input, NULL);
    kd_sort_key *keys = room(count * sizeof *keys);
    for (uint32_t k = 0; k < count; k++)
        keys[k].expr = column_ref(input, first + k);
    plan->as.sort.key_count = count;
    plan->as.sort.keys = keys;
    return plan;
}

static kd_plan *copy_columns(kd_plan *plan, const kd_plan *left, const kd_plan *right)
{
    uint32_t count = left->column_count + (right == NULL ? 0 : right->column_count);
    kd_rel_column *columns = room(count * sizeof *columns);
    memcpy(columns, left->columns, left->column_count * sizeof *columns);
    if (right != NULL)
        memcpy(columns + left->column_count, right->columns, right->column_count * sizeof *columns);
    plan->columns = columns;
    plan->column_count = count;
    return plan;
}

/* Best of five; the sum of the last column's values is the check. */
static void measure(const char *name, kd_plan *root, int64_t expected)
{
    uint64_t best = UINT64_MAX;
    int64_t sum = 0;
    for (int round = 0; round < 5; round++) {
        kd_execute_options options = {.governor = b.governor, .spill_directory = "."};
        kd_statement_plan plan = {.root = root};
        kd_execution *execution;
        uint64_t start = b.ctx.world->monotonic_ns(b.ctx.world);
        must(kd_execution_create(&b.ctx, b.arena, &plan, &options, &execution));
        sum = 0;
        for (;;) {
            kd_batch batch;
            bool end;
            must(kd_execution_next(&b.ctx, execution, &batch, &end));
            if (end)
                break;
            for (uint32_t i = 0; i < batch.selected_count; i++)
                sum +=
                    kd_vector_get(&batch.columns[batch.column_count - 1], kd_batch_row(&batch, i))
                        .as.i64;
        }
        kd_execution_destroy(execution);
        uint64_t took = b.ctx.world->monotonic_ns(b.ctx.world) - start;
        best = took < best ? took : best;
    }
    if (sum != expected) {
        (void)fprintf(stderr, "%s: wrong answer %lld, not %lld\n", name, (long long)sum,
                      (long long)expected);
        exit(1);
    }
    (void)printf("%-28s %8.2f ms %7.2f ns/row\n", name, (double)best / 1e6,
                 (double)best / (double)b.rows);
}

static void data_make(void)
{
    b.carrier = room(b.rows);
    b.month = room(b.rows);
    b.delay = room(b.rows * sizeof *b.delay);
    b.number = room(b.rows * sizeof *b.number);
    must(kd_vector_init_flat(&b.ctx, b.arena, kd_type_of(KD_TYPE_TEXT), CARRIERS, &b.dictionary));
    b.dictionary.validity = NULL;
    for (uint32_t i = 0; i < CARRIERS; i++) {
        char name[2] = {(char)('A' + i), 'X'};
        ((kd_str *)b.dictionary.values)[i] = kd_str_from(name, 2);
    }
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < b.rows; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b.carrier[i] = (uint8_t)(state % CARRIERS);
        b.month[i] = (uint8_t)((state >> 20) % 12);
        b.delay[i] = (uint16_t)((state >> 30) % 1500);
        b.number[i] = (int64_t)(i * 2654435761u % (b.rows * 4));
    }
}

int main(int argc, char **argv)
{
    b.rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;
    b.ctx = (kd_ctx){.world = kd_world_posix()};
    b.arena = kd_arena_create(&b.ctx, NULL, "bench", KD_ARENA_UNLIMITED);
    b.governor = kd_governor_create(&b.ctx, 0);
    if (b.arena == NULL || b.governor == NULL)
        must(KD_NOMEM);
    data_make();
    int64_t delays = 0, late = 0, numbers = 0;
    for (uint64_t i = 0; i < b.rows; i++) {
        int64_t delay = (int64_t)b.delay[i] - 100;
        delays += delay;
        late += delay > 700 ? delay : 0;
        numbers += b.number[i];
    }
    uint32_t keys[] = {0, 1}, number_key[] = {3};
    kd_plan *source = source_make();
    kd_plan *filter = copy_columns(plan_make(KD_PLAN_FILTER, source, NULL), source, NULL);
    filter->as.filter.condition = greater_than(column_ref(source, 2), 700);
    measure("sum", group_make(source, 2, 0, NULL), delays);
    measure("filter, sum", group_make(filter, 2, 0, NULL), late);
    measure("group by carrier", group_make(source, 2, 1, keys), delays);
    measure("group by carrier, month", group_make(source, 2, 2, keys), delays);
    measure("filter, group by carrier", group_make(filter, 2, 1, keys), late);
    measure("group by number (distinct)", group_make(source, 3, 1, number_key), numbers);

    kd_plan *right = source_make();
    kd_plan *join = copy_columns(plan_make(KD_PLAN_HASH_JOIN, source, right), source, right);
    join->as.join.key_count = 1;
    join->as.join.left_keys = room(sizeof(kd_expr *));
    join->as.join.right_keys = room(sizeof(kd_expr *));
    join->as.join.null_equal = room(sizeof(bool));
    join->as.join.left_keys[0] = column_ref(source, 3);
    join->as.join.right_keys[0] = column_ref(right, 3);
    measure("self-join on number, sum", group_make(join, 7, 0, NULL), numbers);

    measure("sort by number", sort_make(source, 3, 1), numbers);
    measure("sort by carrier (text)", sort_make(source, 0, 1), numbers);
    measure("sort by carrier, month, delay", sort_make(source, 0, 3), numbers);
    kd_arena_destroy(b.arena);
    kd_governor_destroy(b.governor);
    return 0;
}
