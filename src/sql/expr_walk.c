/*
 * Walking bound trees.
 */
#include "sql/expr_walk.h"

#include "sql/routine_target.h"

typedef struct deep_walk {
    kd_expr_visit visit;
    void *object;
    uint32_t depth;
} deep_walk;

static kd_status visit_slot(kd_ctx *ctx, kd_expr **slot, kd_expr_visit visit, void *object)
{
    return *slot == NULL ? KD_OK : visit(ctx, object, slot);
}

static kd_status visit_list(kd_ctx *ctx, kd_expr **list, uint32_t count, kd_expr_visit visit,
                            void *object)
{
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(visit_slot(ctx, &list[i], visit, object));
    return KD_OK;
}

static kd_status visit_keys(kd_ctx *ctx, kd_sort_key *keys, uint32_t count, kd_expr_visit visit,
                            void *object)
{
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(visit_slot(ctx, &keys[i].expr, visit, object));
    return KD_OK;
}

static kd_status visit_aggregate(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit, void *object)
{
    KD_TRY(visit_list(ctx, rel->as.aggregate.keys, rel->as.aggregate.key_count, visit, object));
    for (uint32_t i = 0; i < rel->as.aggregate.call_count; i++) {
        kd_aggregate_call *call = &rel->as.aggregate.calls[i];
        KD_TRY(visit_list(ctx, call->arguments, call->argument_count, visit, object));
        KD_TRY(visit_slot(ctx, &call->filter, visit, object));
        KD_TRY(visit_keys(ctx, call->order, call->order_count, visit, object));
    }
    return KD_OK;
}

static kd_status visit_window(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit, void *object)
{
    KD_TRY(visit_list(ctx, rel->as.window.partition_by, rel->as.window.partition_count, visit,
                      object));
    KD_TRY(visit_keys(ctx, rel->as.window.order_by, rel->as.window.order_count, visit, object));
    for (uint32_t i = 0; i < rel->as.window.call_count; i++) {
        kd_window_call *call = &rel->as.window.calls[i];
        KD_TRY(visit_list(ctx, call->arguments, call->argument_count, visit, object));
        KD_TRY(visit_slot(ctx, &call->filter, visit, object));
        KD_TRY(visit_slot(ctx, &call->start_offset, visit, object));
        KD_TRY(visit_slot(ctx, &call->end_offset, visit, object));
    }
    return KD_OK;
}

kd_status kd_rel_visit_exprs(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit, void *object)
{
    switch (rel->kind) {
    case KD_REL_FUNCTION:
        return visit_list(ctx, rel->as.function.arguments, rel->as.function.argument_count, visit,
                          object);
    case KD_REL_VALUES:
        for (uint32_t i = 0; i < rel->as.values.row_count; i++)
            KD_TRY(visit_list(ctx, rel->as.values.rows[i], rel->column_count, visit, object));
        return KD_OK;
    case KD_REL_FILTER:
        return visit_slot(ctx, &rel->as.filter.condition, visit, object);
    case KD_REL_PROJECT:
        return visit_list(ctx, rel->as.project.exprs, rel->column_count, visit, object);
    case KD_REL_JOIN:
        return visit_slot(ctx, &rel->as.join.condition, visit, object);
    case KD_REL_AGGREGATE:
        return visit_aggregate(ctx, rel, visit, object);
    case KD_REL_WINDOW:
        return visit_window(ctx, rel, visit, object);
    case KD_REL_DISTINCT:
        return visit_list(ctx, rel->as.distinct.on, rel->as.distinct.on_count, visit, object);
    case KD_REL_SORT:
        return visit_keys(ctx, rel->as.sort.keys, rel->as.sort.key_count, visit, object);
    case KD_REL_LIMIT:
        KD_TRY(visit_slot(ctx, &rel->as.limit.count, visit, object));
        return visit_slot(ctx, &rel->as.limit.offset, visit, object);
    default:
        return KD_OK;
    }
}

static kd_status too_deep(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
}

static kd_status walk_expr(kd_ctx *ctx, kd_expr **slot, deep_walk *walk, bool enter);
static kd_status walk_rel(kd_ctx *ctx, kd_rel *rel, deep_walk *walk);

static kd_status deep_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return walk_expr(ctx, slot, object, true);
}

static kd_status walk_rel(kd_ctx *ctx, kd_rel *rel, deep_walk *walk)
{
    if (++walk->depth > KD_BOUND_DEPTH_MAX * 2)
        return too_deep(ctx);
    KD_TRY(kd_rel_visit_exprs(ctx, rel, deep_slot, walk));
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(walk_rel(ctx, rel->inputs[i], walk));
    walk->depth--;
    return KD_OK;
}

static kd_status walk_expr(kd_ctx *ctx, kd_expr **slot, deep_walk *walk, bool enter)
{
    if (*slot == NULL)
        return KD_OK;
    if (++walk->depth > KD_BOUND_DEPTH_MAX * 2)
        return too_deep(ctx);
    KD_TRY(walk->visit(ctx, walk->object, slot));
    kd_expr *expr = *slot;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(walk_expr(ctx, &expr->arguments[i], walk, enter));
    if (enter && expr->subquery != NULL)
        KD_TRY(walk_rel(ctx, expr->subquery, walk));
    walk->depth--;
    return KD_OK;
}

kd_status kd_expr_walk(kd_ctx *ctx, kd_expr **slot, kd_expr_visit visit, void *object)
{
    deep_walk walk = {.visit = visit, .object = object};
    return walk_expr(ctx, slot, &walk, false);
}

kd_status kd_expr_walk_deep(kd_ctx *ctx, kd_expr **slot, kd_expr_visit visit, void *object)
{
    deep_walk walk = {.visit = visit, .object = object};
    return walk_expr(ctx, slot, &walk, true);
}

kd_status kd_rel_walk(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit, void *object)
{
    deep_walk walk = {.visit = visit, .object = object};
    return walk_rel(ctx, rel, &walk);
}

/* --- Equality --- */

static bool constants_equal(const kd_value *a, const kd_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    if (a->type.id == KD_TYPE_UNKNOWN)
        return kd_str_equal(&a->as.str, &b->as.str);
    return kd_value_compare(a, b) == 0;
}

/* Each call that the engine runs by itself has a copy of its function. */
static bool same_function(const kd_function *a, const kd_function *b)
{
    if (a == b)
        return true;
    if (a->row == NULL || a->row != b->row || strcmp(a->name, "kade_call_routine") != 0 ||
        a->data == NULL || b->data == NULL)
        return false;
    return ((const kd_routine_target *)a->data)->routine_no ==
           ((const kd_routine_target *)b->data)->routine_no;
}

static bool nodes_equal(const kd_expr *a, const kd_expr *b)
{
    switch (a->kind) {
    case KD_EXPR_CONSTANT:
        return constants_equal(&a->constant, &b->constant);
    case KD_EXPR_COLUMN:
        return a->column == b->column;
    case KD_EXPR_PARAMETER:
        return a->parameter_no == b->parameter_no;
    case KD_EXPR_CALL:
        return same_function(a->function, b->function) && a->spreads == b->spreads &&
               a->function->volatility != KD_VOLATILE;
    case KD_EXPR_CAST:
        return a->cast == b->cast;
    case KD_EXPR_CASE:
        return a->case_has_else == b->case_has_else;
    case KD_EXPR_ANY_ARRAY:
        return a->function == b->function && a->all == b->all;
    case KD_EXPR_FIELD:
        return a->field == b->field;
    case KD_EXPR_SUBQUERY:
        return a->origin != NULL && b->origin != NULL && a->origin->field == b->origin->field &&
               kd_expr_equal(a->origin, b->origin);
    default:
        return true;
    }
}

bool kd_expr_equal(const kd_expr *a, const kd_expr *b)
{
    if (a == b && a->kind != KD_EXPR_CALL)
        return true;
    if (a->kind != b->kind || a->argument_count != b->argument_count ||
        !kd_type_same(a->type, b->type) || a->type.modifier != b->type.modifier ||
        !nodes_equal(a, b))
        return false;
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (!kd_expr_equal(a->arguments[i], b->arguments[i]))
            return false;
    return true;
}

/* --- Sets of columns --- */

bool kd_id_set_has(const kd_id_set *set, kd_column_id id)
{
    return id / 64 < set->word_count && (set->words[id / 64] >> (id % 64) & 1) != 0;
}

kd_status kd_id_set_add(kd_ctx *ctx, kd_id_set *set, kd_column_id id)
{
    size_t needed = id / 64 + 1;
    if (needed > set->word_count) {
        KD_TRY(kd_array_reserve(ctx, set->arena, (void **)&set->words, &set->word_capacity, needed,
                                sizeof *set->words));
        set->word_count = needed;
    }
    set->words[id / 64] |= (uint64_t)1 << (id % 64);
    return KD_OK;
}

bool kd_id_set_is_empty(const kd_id_set *set)
{
    for (size_t i = 0; i < set->word_count; i++)
        if (set->words[i] != 0)
            return false;
    return true;
}

bool kd_id_set_contains(const kd_id_set *set, const kd_id_set *part)
{
    for (size_t i = 0; i < part->word_count; i++) {
        uint64_t have = i < set->word_count ? set->words[i] : 0;
        if ((part->words[i] & ~have) != 0)
            return false;
    }
    return true;
}

bool kd_id_set_overlaps(const kd_id_set *a, const kd_id_set *b)
{
    for (size_t i = 0; i < a->word_count && i < b->word_count; i++)
        if ((a->words[i] & b->words[i]) != 0)
            return true;
    return false;
}

kd_status kd_id_set_unite(kd_ctx *ctx, kd_id_set *set, const kd_id_set *more)
{
    for (size_t i = 0; i < more->word_count; i++)
        for (uint64_t word = more->words[i]; word != 0; word &= word - 1)
            KD_TRY(kd_id_set_add(ctx, set, (kd_column_id)(i * 64 + (size_t)__builtin_ctzll(word))));
    return KD_OK;
}

/* --- Columns of trees --- */

static kd_status add_column(kd_ctx *ctx, void *object, kd_expr **slot)
{
    const kd_expr *expr = *slot;
    if (expr->kind == KD_EXPR_COLUMN)
        return kd_id_set_add(ctx, object, expr->column);
    if (expr->subquery != NULL)
        return kd_rel_free_columns(ctx, expr->subquery, object);
    return KD_OK;
}

kd_status kd_expr_columns(kd_ctx *ctx, const kd_expr *expr, kd_id_set *out)
{
    kd_expr *start = (kd_expr *)(uintptr_t)expr;
    return kd_expr_walk(ctx, &start, add_column, out);
}

static kd_status add_expr_columns(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return kd_expr_columns(ctx, *slot, object);
}

kd_status kd_rel_column_set(kd_ctx *ctx, const kd_rel *rel, kd_id_set *out)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        KD_TRY(kd_id_set_add(ctx, out, rel->columns[i].id));
    return KD_OK;
}

static kd_status collect(kd_ctx *ctx, kd_rel *rel, kd_id_set *used, kd_id_set *made)
{
    KD_TRY(kd_rel_visit_exprs(ctx, rel, add_expr_columns, used));
    KD_TRY(kd_rel_column_set(ctx, rel, made));
    if (rel->kind == KD_REL_AGGREGATE)
        for (uint32_t i = 0; i < rel->as.aggregate.key_count; i++)
            KD_TRY(kd_id_set_add(ctx, made, rel->as.aggregate.key_ids[i]));
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(collect(ctx, rel->inputs[i], used, made));
    return KD_OK;
}

kd_status kd_rel_free_columns(kd_ctx *ctx, const kd_rel *rel, kd_id_set *out)
{
    kd_id_set used = {.arena = out->arena}, made = {.arena = out->arena};
    KD_TRY(collect(ctx, (kd_rel *)(uintptr_t)rel, &used, &made));
    for (size_t i = 0; i < used.word_count && i < made.word_count; i++)
        used.words[i] &= ~made.words[i];
    return kd_id_set_unite(ctx, out, &used);
}

/* --- Properties --- */

bool kd_expr_is_volatile(const kd_expr *expr)
{
    if (expr->function != NULL && expr->function->volatility == KD_VOLATILE)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (kd_expr_is_volatile(expr->arguments[i]))
            return true;
    return expr->subquery != NULL && kd_rel_is_volatile(expr->subquery);
}

bool kd_expr_is_immutable(const kd_expr *expr)
{
    if (expr->subquery != NULL ||
        (expr->function != NULL && expr->function->volatility != KD_IMMUTABLE) ||
        (expr->kind == KD_EXPR_CAST && kd_cast_is_stable(expr->arguments[0]->type, expr->type)))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!kd_expr_is_immutable(expr->arguments[i]))
            return false;
    return true;
}

bool kd_expr_has_subquery(const kd_expr *expr)
{
    if (expr->kind == KD_EXPR_SUBQUERY)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (kd_expr_has_subquery(expr->arguments[i]))
            return true;
    return false;
}

static kd_status note_volatile(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    *(bool *)object |= kd_expr_is_volatile(*slot);
    return KD_OK;
}

bool kd_rel_is_volatile(kd_rel *rel)
{
    bool found = false;
    if (kd_rel_visit_exprs(NULL, rel, note_volatile, &found) != KD_OK || found)
        return true;
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL && kd_rel_is_volatile(rel->inputs[i]))
            return true;
    return rel->kind == KD_REL_LOCK;
}
