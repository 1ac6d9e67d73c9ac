/*
 * GROUP BY: its items, grouping sets, and the rule that everything else must be
 * grouped by or aggregated.
 *
 * grouping(a, b) is kept as a ROW of its arguments until the keys are known;
 * the rewrite then makes it of the aggregate's grouping_id column.
 */
#include "sql/bind_internal.h"

#include <limits.h>

enum { KEYS_MAX = 63, SETS_MAX = 4096 };

/* --- Items --- */

static bool from_has(const kdi_scope *scope, kd_slice name)
{
    for (size_t i = 0; i < scope->names.column_count; i++)
        if (kd_slice_equal(scope->names.columns[i].name, name))
            return true;
    return false;
}

/* A position, a column of FROM, an output name, or an expression: in this order. `*out_target` is
 * where it stands in the select list, UINT32_MAX if it does not. */
static kd_status bind_item(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           const kdi_targets *targets, kd_expr **out, uint32_t *out_target)
{
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    const kd_ast_column *column = (const kd_ast_column *)node;
    if (node->kind == KD_AST_CONSTANT && constant->what == KD_AST_INTEGER) {
        if (constant->integer < 1 || constant->integer > (int64_t)targets->count)
            return kdi_at(ctx, b, node->position,
                          KD_FAIL(ctx, KD_INVALID, "42P10",
                                  "GROUP BY position %lld is not in select list",
                                  (long long)constant->integer));
        *out_target = (uint32_t)constant->integer - 1;
        *out = targets->exprs[*out_target];
        return KD_OK;
    }
    if (node->kind == KD_AST_COLUMN && column->part_count == 1 &&
        !from_has(scope, column->parts[0])) {
        for (size_t i = 0; i < targets->count; i++)
            if (kd_slice_equal(targets->names[i], column->parts[0])) {
                *out_target = (uint32_t)i;
                *out = targets->exprs[i];
                return KD_OK;
            }
    }
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, out));
    KD_TRY(kdi_settle(ctx, b, out));
    *out_target = 0;
    while (*out_target < targets->count && !kd_expr_equal(targets->exprs[*out_target], *out))
        ++*out_target;
    if (*out_target == targets->count)
        *out_target = UINT32_MAX;
    return KD_OK;
}

/* Whether it has the result of a window call, or else of an aggregate. */
static bool uses_output(const kd_expr *expr, const kdi_query *query, bool of_window)
{
    bool is_column = expr->kind == KD_EXPR_COLUMN;
    for (size_t i = 0; is_column && !of_window && i < query->call_count; i++)
        if (query->calls[i].output == expr->column)
            return true;
    for (size_t w = 0; is_column && of_window && w < query->window_count; w++)
        for (size_t c = 0; c < query->windows[w]->call_count; c++)
            if (query->windows[w]->calls[c].output == expr->column)
                return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (uses_output(expr->arguments[i], query, of_window))
            return true;
    return false;
}

static bool has_grouping(const kd_expr *expr, uint32_t depth)
{
    bool has = expr->kind == KD_EXPR_GROUPING && expr->field == depth;
    for (uint32_t i = 0; !has && i < expr->argument_count; i++)
        has = has_grouping(expr->arguments[i], depth);
    return has;
}

/* Two places of the select list are two keys, even with one expression, where `target` says which.
 */
static kd_status add_key(kd_ctx *ctx, kdi_binder *b, kdi_query *query, kd_expr *expr,
                         uint32_t target, uint32_t *out_index)
{
    for (size_t i = 0; i < query->key_count; i++)
        if (kd_expr_equal(query->keys[i], expr) &&
            (target == UINT32_MAX || query->key_targets[i] == UINT32_MAX ||
             query->key_targets[i] == target)) {
            *out_index = (uint32_t)i;
            return KD_OK;
        }
    if (uses_output(expr, query, true))
        return kdi_at(
            ctx, b, expr->position,
            KD_FAIL(ctx, KD_INVALID, "42P20", "window functions are not allowed in GROUP BY"));
    if (uses_output(expr, query, false))
        return kdi_at(
            ctx, b, expr->position,
            KD_FAIL(ctx, KD_INVALID, "42803", "aggregate functions are not allowed in GROUP BY"));
    kd_expr **slot;
    uint32_t *target_slot;
    KD_TRY(KD_PUSH(ctx, b->arena, query->keys, query->key_count, query->key_capacity, &slot));
    KD_TRY(KD_PUSH(ctx, b->arena, query->key_targets, query->key_target_count,
                   query->key_target_capacity, &target_slot));
    *slot = expr;
    *target_slot = target;
    *out_index = (uint32_t)query->key_count - 1;
    return KD_OK;
}

static kd_status bind_key(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          const kdi_targets *targets, bool in_sets, uint32_t *out_index)
{
    kd_expr *expr;
    uint32_t target = UINT32_MAX;
    KD_TRY(bind_item(ctx, b, scope, node, targets, &expr, &target));
    KD_TRY(kdi_check_equality(ctx, b, expr->type, expr->position));
    if (has_grouping(expr, (uint32_t)scope->depth))
        return kdi_at(
            ctx, b, expr->position,
            KD_FAIL(ctx, KD_INVALID, "42803", "aggregate functions are not allowed in GROUP BY"));
    return add_key(ctx, b, scope->query, expr, in_sets ? target : UINT32_MAX, out_index);
}

/* --- Grouping sets --- */

typedef struct set_list {
    uint64_t *sets;
    size_t count, capacity;
} set_list;

static kd_status set_add(kd_ctx *ctx, kdi_binder *b, set_list *list, uint64_t set)
{
    if (list->count >= SETS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "too many grouping sets present (maximum 4096)");
    uint64_t *slot;
    KD_TRY(KD_PUSH(ctx, b->arena, list->sets, list->count, list->capacity, &slot));
    *slot = set;
    return KD_OK;
}

/* The keys of (a, b), one after the other; ROW(a, b) is one key, a row. NULL: no such list. */
static const kd_ast_list *key_list(const kd_ast_node *node)
{
    const kd_ast_args *row = (const kd_ast_args *)node;
    return node->kind == KD_AST_ROW && !row->is_explicit ? &row->args : NULL;
}

/* The keys of one item: an expression, or a list in parentheses. */
static kd_status item_mask(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           const kdi_targets *targets, uint64_t *out_mask)
{
    const kd_ast_list one = {.items = (kd_ast_node **)(uintptr_t)&node, .count = 1};
    const kd_ast_list *items = key_list(node);
    if (items == NULL)
        items = &one;
    if (node->kind == KD_AST_GROUPING_SET)
        items = &((const kd_ast_grouping_set *)node)->items;
    *out_mask = 0;
    for (size_t i = 0; i < items->count; i++) {
        uint32_t index;
        KD_TRY(bind_key(ctx, b, scope, items->items[i], targets, true, &index));
        if (index >= KEYS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54011", "too many grouping expressions");
        *out_mask |= (uint64_t)1 << index;
    }
    return KD_OK;
}

static kd_status expand_rollup_cube(kd_ctx *ctx, kdi_binder *b, bool cube, const uint64_t *masks,
                                    size_t count, set_list *out)
{
    if (!cube) {
        for (size_t kept = count + 1; kept-- > 0;) {
            uint64_t set = 0;
            for (size_t i = 0; i < kept; i++)
                set |= masks[i];
            KD_TRY(set_add(ctx, b, out, set));
        }
        return KD_OK;
    }
    if (count > 12)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "CUBE is limited to 12 elements");
    for (uint32_t choice = (uint32_t)1 << count; choice-- > 0;) {
        uint64_t set = 0;
        for (size_t i = 0; i < count; i++)
            if ((choice >> (count - 1 - i) & 1) != 0)
                set |= masks[i];
        KD_TRY(set_add(ctx, b, out, set));
    }
    return KD_OK;
}

static kd_status expand(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                        const kdi_targets *targets, set_list *out)
{
    const kd_ast_grouping_set *ast = (const kd_ast_grouping_set *)node;
    if (node->kind != KD_AST_GROUPING_SET) {
        uint64_t mask;
        KD_TRY(item_mask(ctx, b, scope, node, targets, &mask));
        return set_add(ctx, b, out, mask);
    }
    if (ast->what == KD_AST_GROUPING_EMPTY)
        return set_add(ctx, b, out, 0);
    if (ast->what == KD_AST_GROUPING_SETS) {
        KD_TRY(kdi_enter(ctx, b));
        for (size_t i = 0; i < ast->items.count; i++)
            KD_TRY(expand(ctx, b, scope, ast->items.items[i], targets, out));
        kdi_leave(b);
        return KD_OK;
    }
    uint64_t *masks = KD_NEW_ARRAY(ctx, b->arena, uint64_t, ast->items.count);
    if (masks == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->items.count; i++)
        KD_TRY(item_mask(ctx, b, scope, ast->items.items[i], targets, &masks[i]));
    return expand_rollup_cube(ctx, b, ast->what == KD_AST_GROUPING_CUBE, masks, ast->items.count,
                              out);
}

/* Several items multiply: GROUP BY a, ROLLUP (b, c). */
static kd_status bind_sets(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_select *ast,
                           const kdi_targets *targets)
{
    set_list product = {0};
    KD_TRY(set_add(ctx, b, &product, 0));
    for (size_t i = 0; i < ast->group_by.count; i++) {
        set_list item = {0}, next = {0};
        KD_TRY(expand(ctx, b, scope, ast->group_by.items[i], targets, &item));
        for (size_t p = 0; p < product.count; p++)
            for (size_t q = 0; q < item.count; q++)
                KD_TRY(set_add(ctx, b, &next, product.sets[p] | item.sets[q]));
        product = next;
    }
    kdi_query *query = scope->query;
    if (ast->group_by_distinct) {
        size_t kept = 0;
        for (size_t i = 0; i < product.count; i++) {
            size_t at = 0;
            while (at < kept && product.sets[at] != product.sets[i])
                at++;
            if (at == kept)
                product.sets[kept++] = product.sets[i];
        }
        product.count = kept;
    }
    query->sets = product.sets;
    query->set_count = product.count;
    query->grouping_id = kdi_next_id(b);
    return KD_OK;
}

kd_status kdi_bind_group_by(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_select *ast,
                            const kdi_targets *targets)
{
    kdi_query *query = scope->query;
    uint32_t index;
    bool sets = false;
    for (size_t i = 0; i < ast->group_by.count; i++)
        sets |= ast->group_by.items[i]->kind == KD_AST_GROUPING_SET;
    if (ast->group_by_all)
        for (size_t i = 0; i < targets->count; i++)
            if (!uses_output(targets->exprs[i], query, true) &&
                !uses_output(targets->exprs[i], query, false) &&
                !has_grouping(targets->exprs[i], (uint32_t)scope->depth))
                KD_TRY(add_key(ctx, b, query, targets->exprs[i], UINT32_MAX, &index));
    if (sets) {
        KD_TRY(bind_sets(ctx, b, scope, ast, targets));
    } else {
        for (size_t i = 0; i < ast->group_by.count; i++) {
            const kd_ast_node *node = ast->group_by.items[i];
            const kd_ast_list *keys = key_list(node);
            if (keys == NULL)
                KD_TRY(bind_key(ctx, b, scope, node, targets, false, &index));
            for (size_t k = 0; keys != NULL && k < keys->count; k++)
                KD_TRY(bind_key(ctx, b, scope, keys->items[k], targets, false, &index));
        }
    }
    /* Room for columns that depend on a primary key among the keys. */
    size_t room = query->key_count;
    for (size_t i = 0; i < scope->names.source_count; i++)
        room += scope->names.sources[i].column_count;
    query->key_ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, room);
    if (query->key_ids == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < query->key_count; i++)
        query->key_ids[i] = kdi_next_id(b);
    return KD_OK;
}

/* --- grouping() --- */

/* `field` of it is the depth of the query whose grouping it asks for. */
kd_status kdi_bind_grouping(kd_ctx *ctx, kdi_binder *b, kd_expr **arguments, uint32_t count,
                            int position, kd_expr **out)
{
    kd_expr *expr =
        kdi_expr_new(ctx, b, KD_EXPR_GROUPING, kd_type_of(KD_TYPE_INT4), position, count);
    if (expr == NULL)
        return KD_NOMEM;
    memcpy(expr->arguments, arguments, count * sizeof *arguments);
    *out = expr;
    return KD_OK;
}

static uint32_t key_index(const kdi_query *query, const kd_expr *expr)
{
    for (uint32_t i = 0; i < query->key_count; i++)
        if (kd_expr_equal(query->keys[i], expr))
            return i;
    return UINT32_MAX;
}

/* The bits of grouping_id, put together with the leftmost argument's highest. */
static kd_status grouping_value(kd_ctx *ctx, kdi_binder *b, kdi_query *query, kd_expr *call,
                                kd_expr **out)
{
    kd_rel_column id = {.id = query->grouping_id, .type = kd_type_of(KD_TYPE_INT8)};
    kd_expr *total = kdi_constant(ctx, b, kd_value_i64(0), call->position);
    if (total == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        uint32_t key = key_index(query, call->arguments[i]);
        if (key == UINT32_MAX)
            return kdi_at(ctx, b, call->position,
                          KD_FAIL(ctx, KD_INVALID, "42803",
                                  "arguments to GROUPING must be grouping expressions of the "
                                  "associated query level"));
        if (query->set_count == 0)
            continue;
        kd_expr *column = kdi_column_expr(ctx, b, &id, call->position);
        kd_expr *shift = kdi_constant(ctx, b, kd_value_i32((int32_t)key), -1);
        kd_expr *one = kdi_constant(ctx, b, kd_value_i64(1), -1);
        kd_expr *up =
            kdi_constant(ctx, b, kd_value_i32((int32_t)(call->argument_count - 1 - i)), -1);
        if (column == NULL || shift == NULL || one == NULL || up == NULL)
            return KD_NOMEM;
        kd_expr *bit;
        KD_TRY(kdi_operator(ctx, b, KD_SLICE(">>"), column, shift, -1, &bit));
        KD_TRY(kdi_operator(ctx, b, KD_SLICE("&"), bit, one, -1, &bit));
        KD_TRY(kdi_operator(ctx, b, KD_SLICE("<<"), bit, up, -1, &bit));
        KD_TRY(kdi_operator(ctx, b, KD_SLICE("|"), total, bit, -1, &total));
    }
    *out = total;
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_INT4), KD_CAST_ASSIGNMENT, out);
}

/* --- The rewrite --- */

typedef struct rewrite {
    kdi_binder *b;
    kdi_scope *scope;
} rewrite;

static kd_status key_column(kd_ctx *ctx, kdi_binder *b, const kdi_query *query, uint32_t key,
                            const kd_expr *was, kd_expr **out)
{
    kd_rel_column column = {.id = query->key_ids[key], .type = was->type};
    *out = kdi_column_expr(ctx, b, &column, was->position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static const kdi_source *source_of(const kdi_scope *scope, kd_column_id id, uint32_t *out_column)
{
    for (size_t i = 0; i < scope->names.source_count; i++)
        for (uint32_t c = 0; c < scope->names.sources[i].column_count; c++)
            if (scope->names.sources[i].columns[c].id == id) {
                *out_column = c;
                return &scope->names.sources[i];
            }
    return NULL;
}

/* Whether all grouping sets have the key. */
static bool is_in_all_sets(const kdi_query *query, size_t key)
{
    for (size_t i = 0; i < query->set_count; i++)
        if (key >= KEYS_MAX || (query->sets[i] >> key & 1) == 0)
            return false;
    return true;
}

/* Whether the keys hold the whole primary key of the source's table. */
static bool primary_key_is_grouped(const kdi_query *query, const kdi_source *source)
{
    if (source->scan == NULL)
        return false;
    const kd_table_entry *table = source->scan->as.scan.table;
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_index_definition *index = &table->indexes[i].storage;
        if (!table->indexes[i].is_primary || index->deferrable)
            continue;
        for (uint32_t k = 0; k < index->column_count; k++) {
            bool found = false;
            for (uint32_t c = 0; c < source->column_count && !found; c++) {
                if (table->columns[source->scan->as.scan.positions[c]].storage.column_no !=
                    index->columns[k].column_no)
                    continue;
                for (size_t g = 0; g < query->key_count; g++)
                    found |= query->keys[g]->kind == KD_EXPR_COLUMN &&
                             query->keys[g]->column == source->columns[c].id &&
                             is_in_all_sets(query, g);
            }
            if (!found)
                return false;
        }
        return true;
    }
    return false;
}

/* The name of a column that an item has besides those of its list; NULL: none of them. */
static const char *hidden_column(const kd_rel *rel, kd_column_id id)
{
    if (rel == NULL)
        return NULL;
    return rel->row_column.id == id  ? "*"
           : rel->place_column == id ? "ctid"
           : rel->leaf_column == id  ? "tableoid"
                                     : NULL;
}

static kd_status check_column(kd_ctx *ctx, rewrite *r, kd_expr **slot)
{
    kdi_query *query = r->scope->query;
    uint32_t at;
    const kdi_source *source = source_of(r->scope, (*slot)->column, &at);
    if (source == NULL) {
        /* A whole row, a merged column, or none of ours. */
        for (size_t i = 0; i < r->scope->names.source_count; i++) {
            const kdi_source *item = &r->scope->names.sources[i];
            const char *column = hidden_column(item->rel, (*slot)->column);
            if (column != NULL)
                return kdi_at(ctx, r->b, (*slot)->position,
                              KD_FAIL(ctx, KD_INVALID, "42803",
                                      "column \"%.*s.%s\" must appear in the GROUP BY clause or be "
                                      "used in an aggregate function",
                                      KDI_S(item->alias), column));
        }
        for (size_t i = 0; i < r->scope->names.column_count; i++)
            if (r->scope->names.columns[i].id == (*slot)->column)
                return kdi_at(ctx, r->b, (*slot)->position,
                              KD_FAIL(ctx, KD_INVALID, "42803",
                                      "column \"%.*s\" must appear in the GROUP BY clause or be "
                                      "used in an aggregate function",
                                      KDI_S(r->scope->names.columns[i].name)));
        return KD_OK;
    }
    if (primary_key_is_grouped(query, source)) {
        uint32_t index;
        KD_TRY(add_key(ctx, r->b, query, *slot, UINT32_MAX, &index));
        query->key_ids[index] = kdi_next_id(r->b);
        if (query->set_count > 0 && index >= KEYS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54011", "too many grouping expressions");
        for (size_t i = 0; i < query->set_count; i++)
            query->sets[i] |= (uint64_t)1 << index;
        return key_column(ctx, r->b, query, index, *slot, slot);
    }
    bool named = source->alias.size_bytes > 0;
    return kdi_at(ctx, r->b, (*slot)->position,
                  KD_FAIL(ctx, KD_INVALID, "42803",
                          "column \"%.*s%s%.*s\" must appear in the GROUP BY clause or be used in "
                          "an aggregate function",
                          KDI_S(source->alias), named ? "." : "", KDI_S(source->columns[at].name)));
}

static kd_status rewrite_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    rewrite *r = object;
    kdi_query *query = r->scope->query;
    kd_expr *expr = *slot;
    if (expr->kind == KD_EXPR_GROUPING && expr->field != (uint32_t)r->scope->depth)
        return KD_OK;
    if (expr->kind == KD_EXPR_GROUPING)
        return grouping_value(ctx, r->b, query, expr, slot);
    if (expr->kind == KD_EXPR_CONSTANT)
        return KD_OK;
    uint32_t key = key_index(query, expr);
    if (key != UINT32_MAX)
        return key_column(ctx, r->b, query, key, expr, slot);
    return expr->kind == KD_EXPR_COLUMN ? check_column(ctx, r, slot) : KD_OK;
}

static bool needs_rewrite(const kd_expr *expr)
{
    if (expr->kind != KD_EXPR_CONSTANT && expr->kind != KD_EXPR_PARAMETER)
        return true;
    return false;
}

/* Shared parts (BETWEEN's operand) must be rewritten once: copies are made on the way down. */
static kd_status copy_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    rewrite *r = object;
    if (!needs_rewrite(*slot) || (*slot)->argument_count == 0)
        return KD_OK;
    kd_expr *copy = KD_NEW(ctx, r->b->arena, kd_expr);
    if (copy == NULL)
        return KD_NOMEM;
    *copy = **slot;
    copy->arguments = KD_NEW_ARRAY(ctx, r->b->arena, kd_expr *, copy->argument_count);
    if (copy->arguments == NULL)
        return KD_NOMEM;
    memcpy(copy->arguments, (*slot)->arguments, copy->argument_count * sizeof *copy->arguments);
    *slot = copy;
    return KD_OK;
}

kd_status kdi_group_target(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, uint32_t target,
                           kd_expr **slot)
{
    const kdi_query *query = scope->query;
    for (uint32_t i = 0; query->set_count > 0 && i < query->key_target_count; i++)
        if (query->key_targets[i] == target)
            return key_column(ctx, b, query, i, *slot, slot);
    return kdi_group_rewrite(ctx, b, scope, slot);
}

kd_status kdi_group_rewrite(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kd_expr **slot)
{
    rewrite r = {.b = b, .scope = scope};
    /* A constant is what it is, unless it is grouped by and some sets are without it. */
    if ((*slot)->kind == KD_EXPR_CONSTANT && scope->query->set_count > 0) {
        uint32_t key = key_index(scope->query, *slot);
        if (key != UINT32_MAX)
            return key_column(ctx, b, scope->query, key, *slot, slot);
    }
    KD_TRY(kd_expr_walk(ctx, slot, copy_slot, &r));
    return kd_expr_walk_deep(ctx, slot, rewrite_slot, &r);
}

static kd_status refuse_key(kd_ctx *ctx, void *object, kd_expr **slot)
{
    const rewrite *r = object;
    const kdi_query *query = r->scope->query;
    for (size_t i = 0; i < query->key_count; i++)
        if ((*slot)->kind == KD_EXPR_COLUMN && (*slot)->column == query->key_ids[i])
            return kdi_at(ctx, r->b, (*slot)->position,
                          KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                  "grouped columns before WITHIN GROUP are not supported with "
                                  "grouping sets"));
    return KD_OK;
}

/* Calls take these arguments from the group's rows, where columns that a set is without are not yet
 * NULL. */
kd_status kdi_check_direct(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope)
{
    rewrite r = {.b = b, .scope = scope};
    for (size_t i = 0; i < scope->query->direct_count; i++) {
        kd_expr *argument = scope->query->direct[i];
        KD_TRY(kdi_group_rewrite(ctx, b, scope, &argument));
        if (scope->query->set_count > 0)
            KD_TRY(kd_expr_walk_deep(ctx, &argument, refuse_key, &r));
    }
    return KD_OK;
}

kd_status kdi_group_rel(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kd_rel **io_rel)
{
    kdi_query *query = scope->query;
    bool sets = query->set_count > 0;
    uint32_t keys = (uint32_t)query->key_count, calls = (uint32_t)query->call_count;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_AGGREGATE, (*io_rel)->position, keys + calls + sets);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < keys; i++)
        rel->columns[i] = (kd_rel_column){.id = query->key_ids[i], .type = query->keys[i]->type};
    for (uint32_t i = 0; i < calls; i++)
        rel->columns[keys + i] =
            (kd_rel_column){.id = query->calls[i].output, .type = query->calls[i].type};
    if (sets)
        rel->columns[keys + calls] =
            (kd_rel_column){.id = query->grouping_id, .type = kd_type_of(KD_TYPE_INT8)};
    rel->inputs[0] = *io_rel;
    rel->as.aggregate.key_count = keys;
    rel->as.aggregate.keys = query->keys;
    rel->as.aggregate.key_ids = query->key_ids;
    rel->as.aggregate.call_count = calls;
    rel->as.aggregate.calls = query->calls;
    rel->as.aggregate.set_count = (uint32_t)query->set_count;
    rel->as.aggregate.sets = query->sets;
    rel->as.aggregate.grouping_id = sets ? query->grouping_id : 0;
    *io_rel = rel;
    return KD_OK;
}
