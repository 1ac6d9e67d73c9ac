/*
 * Bound expressions to nodes.
 */
#include "exec/expr_fixed_internal.h"

#include <assert.h>
#include <stdatomic.h>

typedef struct compiler {
    kd_arena *arena;
    const kd_column_id *ids;
    uint32_t id_count;
    const kdi_scope *scope;
    uint32_t capacity; /* Rows per batch. */
    uint32_t depth;
} compiler;

/* Of all expressions of the process: results of two of them over one dictionary may meet in a third
 * (UNION ALL, one run after another of an APPLY), which keeps what it knows by dictionary. */
static _Atomic uint64_t last_salt;

static kd_status node_compile(kd_ctx *ctx, compiler *self, const kd_expr *expr, kdi_node **out);

static void properties_add(kdi_node *node, const kdi_node *argument)
{
    node->is_volatile |= argument->is_volatile;
    if (argument->column_refs == 0)
        return;
    if (node->column_refs == 0) {
        node->column_refs = argument->column_refs;
        node->single_column = argument->single_column;
    } else if (argument->column_refs > 1 || argument->single_column != node->single_column) {
        node->column_refs = 2;
    }
}

static kd_status constant_set(kd_ctx *ctx, compiler *self, kdi_node *node, const kd_value *value)
{
    kd_value typed = *value;
    typed.type = node->type;
    node->is_constant = true;
    node->constant_ready = true;
    return kd_vector_init_constant(ctx, self->arena, &typed, &node->constant);
}

static kd_status column_compile(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    const kd_expr *expr = node->expr;
    for (uint32_t i = 0; i < self->id_count; i++) {
        if (self->ids[i] != expr->column)
            continue;
        node->column = i;
        node->column_refs = 1;
        node->single_column = i;
        return KD_OK;
    }
    const kdi_scope *scope = self->scope;
    for (uint32_t i = 0; i < scope->outer_count; i++)
        if (scope->outer_ids[i] == expr->column)
            return constant_set(ctx, self, node, &scope->outer_values[i]);
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "column %u is not among an operator's inputs",
                   expr->column);
}

static kd_status parameter_compile(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    uint32_t no = node->expr->parameter_no;
    if (no == 0 || no > self->scope->parameter_count)
        return KD_FAIL(ctx, KD_INVALID, "08P01", "there is no value for parameter $%u", no);
    return constant_set(ctx, self, node, &self->scope->parameters[no - 1]);
}

static kd_status arguments_compile(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    const kd_expr *expr = node->expr;
    uint32_t count = expr->argument_count;
    node->argument_count = count;
    node->arguments = KD_NEW_ARRAY(ctx, self->arena, kdi_node *, count);
    node->argument_vectors = KD_NEW_ARRAY(ctx, self->arena, kd_vector, count);
    node->flat_arguments = KD_NEW_ARRAY(ctx, self->arena, kd_vector, count);
    if (node->arguments == NULL || node->argument_vectors == NULL || node->flat_arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(node_compile(ctx, self, expr->arguments[i], &node->arguments[i]));
        properties_add(node, node->arguments[i]);
    }
    return KD_OK;
}

static kd_status env_prepare(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    kd_type *types = KD_NEW_ARRAY(ctx, self->arena, kd_type, node->argument_count);
    node->payloads = KD_NEW_ARRAY(ctx, self->arena, const void *, node->argument_count);
    node->scratch = kd_alloc_array(ctx, self->arena, node->argument_count, 16);
    if (types == NULL || node->payloads == NULL || node->scratch == NULL)
        return KD_NOMEM;
    node->env = (kd_call_env){
        .facts = self->scope->facts,
        .state_arena = self->arena,
        .argument_count = node->argument_count,
        .argument_types = types,
        .result_type = node->type,
    };
    for (uint32_t i = 0; i < node->argument_count; i++) {
        types[i] = node->arguments[i]->type;
        if (i < KD_FUNCTION_ARGUMENTS_MAX)
            node->env.argument_is_constant[i] = node->arguments[i]->is_constant;
    }
    return KD_OK;
}

static kd_status call_prepare(kd_ctx *ctx, kdi_node *node)
{
    const kd_function *function = node->expr->function;
    if (function == NULL || (function->row == NULL && function->vector == NULL))
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a call has no function");
    node->eval = kdi_eval_call;
    node->row = function->row;
    node->vector = function->vector;
    node->strict = function->strict;
    node->env.data = function->data;
    node->is_volatile |= function->volatility == KD_VOLATILE;
    if (node->expr->spreads)
        node->eval = kdi_eval_spread;
    else
        kdi_range_prepare(node);
    return kdi_json_prepare(ctx, node);
}

static kd_status any_array_prepare(kd_ctx *ctx, kdi_node *node)
{
    const kd_function *function = node->expr->function;
    if (function == NULL || node->argument_count != 2)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "ANY needs an operator and an array");
    node->eval = kdi_eval_any_array;
    node->strict = function->strict;
    node->env.data = function->data;
    kd_type *types = (kd_type *)(uintptr_t)node->env.argument_types;
    types[1] = kd_type_element(types[1]);
    node->env.argument_is_constant[1] = false;
    return KD_OK;
}

static kd_status kind_prepare(kd_ctx *ctx, kdi_node *node)
{
    switch (node->expr->kind) {
    case KD_EXPR_CALL:
        KD_TRY(call_prepare(ctx, node));
        return kdi_field_prepare(ctx, node);
    case KD_EXPR_CAST:
        KD_TRY(kdi_cast_prepare(ctx, node));
        kdi_json_number_prepare(node);
        return kdi_date_prepare(ctx, node);
    case KD_EXPR_AND:
        node->eval = kdi_eval_and;
        node->select = kdi_select_and;
        return KD_OK;
    case KD_EXPR_OR:
        node->eval = kdi_eval_or;
        node->select = kdi_select_or;
        return KD_OK;
    case KD_EXPR_NOT:
        node->eval = kdi_eval_not;
        return KD_OK;
    case KD_EXPR_IS_NULL:
        node->eval = kdi_eval_is_null;
        return KD_OK;
    case KD_EXPR_IS_DISTINCT:
        node->eval = kdi_eval_is_distinct;
        return KD_OK;
    case KD_EXPR_CASE:
        node->eval = kdi_eval_case;
        return KD_OK;
    case KD_EXPR_COALESCE:
        node->eval = kdi_eval_coalesce;
        return KD_OK;
    case KD_EXPR_IN_LIST:
        node->eval = kdi_eval_in_list;
        return KD_OK;
    case KD_EXPR_ARRAY:
        node->eval = kdi_eval_array;
        return KD_OK;
    case KD_EXPR_SUBSCRIPT:
        node->eval = kdi_eval_subscript;
        return KD_OK;
    case KD_EXPR_ANY_ARRAY:
        return any_array_prepare(ctx, node);
    case KD_EXPR_ROW:
        node->eval = kdi_eval_row;
        return KD_OK;
    case KD_EXPR_FIELD:
        node->eval = kdi_eval_field;
        return KD_OK;
    case KD_EXPR_SUBQUERY:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "a sub-query is not supported here");
    default:
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "expression kind %d cannot be run",
                       (int)node->expr->kind);
    }
}

static kd_status room_prepare(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    node->is_constant = node->column_refs == 0 && !node->is_volatile;
    if (node->is_constant)
        node->capacity = 1;
    KD_TRY(kdi_vector_create_for(ctx, self->arena, node->type, node->capacity, &node->result));
    for (int i = 0; i < 2; i++) {
        node->rows[i] = kd_alloc_raw(ctx, self->arena, sizeof(uint16_t) * node->capacity);
        if (node->rows[i] == NULL)
            return KD_NOMEM;
    }
    if (node->column_refs != 1 || node->is_volatile)
        return KD_OK;
    node->dictionary = KD_NEW(ctx, self->arena, kdi_dictionary_cache);
    if (node->dictionary == NULL)
        return KD_NOMEM;
    node->dictionary->salt = atomic_fetch_add(&last_salt, 1) + 1;
    return KD_OK;
}

static kd_status node_fill(kd_ctx *ctx, compiler *self, kdi_node *node)
{
    switch (node->expr->kind) {
    case KD_EXPR_CONSTANT:
        return constant_set(ctx, self, node, &node->expr->constant);
    case KD_EXPR_COLUMN:
        return column_compile(ctx, self, node);
    case KD_EXPR_PARAMETER:
        return parameter_compile(ctx, self, node);
    default:
        break;
    }
    KD_TRY(arguments_compile(ctx, self, node));
    KD_TRY(env_prepare(ctx, self, node));
    KD_TRY(kind_prepare(ctx, node));
    KD_TRY(kdi_fixed_prepare(ctx, node));
    return room_prepare(ctx, self, node);
}

static kd_status node_compile(kd_ctx *ctx, compiler *self, const kd_expr *expr, kdi_node **out)
{
    *out = NULL;
    if (self->depth >= KDI_EXPR_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "the expression is nested too deeply");
    kdi_node *node = KD_NEW(ctx, self->arena, kdi_node);
    if (node == NULL)
        return KD_NOMEM;
    node->expr = expr;
    node->type = expr->type;
    node->state_arena = self->arena;
    node->capacity = self->capacity;
    self->depth++;
    kd_status status = node_fill(ctx, self, node);
    self->depth--;
    if (status == KD_OK)
        *out = node;
    else
        kd_error_set_position(ctx, expr->position);
    return status;
}

static kd_status compile(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr, const kd_column_id *ids,
                         uint32_t id_count, const kdi_scope *scope, uint32_t capacity,
                         kd_compiled_expr **out_compiled)
{
    *out_compiled = NULL;
    kd_compiled_expr *compiled = KD_NEW(ctx, arena, kd_compiled_expr);
    if (compiled == NULL)
        return KD_NOMEM;
    compiler self = {
        .arena = arena, .ids = ids, .id_count = id_count, .scope = scope, .capacity = capacity};
    KD_TRY(node_compile(ctx, &self, expr, &compiled->root));
    compiled->ids = ids;
    compiled->id_count = id_count;
    *out_compiled = compiled;
    return KD_OK;
}

kd_status kdi_expr_compile(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                           const kd_column_id *ids, uint32_t id_count, const kdi_scope *scope,
                           kd_compiled_expr **out_compiled)
{
    return compile(ctx, arena, expr, ids, id_count, scope, KD_BATCH_ROWS, out_compiled);
}

kd_status kdi_expr_compile_row(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                               const kd_column_id *ids, uint32_t id_count, const kdi_scope *scope,
                               kd_compiled_expr **out_compiled)
{
    return compile(ctx, arena, expr, ids, id_count, scope, 1, out_compiled);
}

kd_status kd_expr_compile(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                          const kd_column_id *ids, uint32_t id_count, const kd_session_facts *facts,
                          const kd_value *parameters, uint32_t parameter_count,
                          kd_compiled_expr **out_compiled)
{
    kdi_scope scope = {
        .facts = facts, .parameters = parameters, .parameter_count = parameter_count};
    return kdi_expr_compile(ctx, arena, expr, ids, id_count, &scope, out_compiled);
}

kd_status kd_expr_compile_row(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr,
                              const kd_column_id *ids, uint32_t id_count,
                              const kd_session_facts *facts, const kd_value *parameters,
                              uint32_t parameter_count, kd_compiled_expr **out_compiled)
{
    kdi_scope scope = {
        .facts = facts, .parameters = parameters, .parameter_count = parameter_count};
    return kdi_expr_compile_row(ctx, arena, expr, ids, id_count, &scope, out_compiled);
}
