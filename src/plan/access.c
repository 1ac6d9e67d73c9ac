/*
 * How a table is read: a scan with tests for zone maps, or an index.
 */
#include "plan/plan_internal.h"

#include "types/numeric.h"

typedef struct access {
    kdi_planner *p;
    kd_rel *scan;
    kd_id_set own;
    const kd_table_entry *table;
    const kd_expr *key; /* What comparisons are looked for of; NULL: columns. */
} access;

bool kdi_scan_position(const kd_rel *scan, kd_column_id id, uint32_t *out_position)
{
    uint32_t count = scan->column_count - (scan->as.scan.ref_column != 0);
    for (uint32_t i = 0; i < count; i++)
        if (scan->columns[i].id == id) {
            *out_position = scan->as.scan.positions[i];
            return true;
        }
    return false;
}

static bool column_position(const access *a, kd_column_id id, uint32_t *out_position)
{
    return kdi_scan_position(a->scan, id, out_position);
}

/* --- Comparisons that zone maps and indexes understand --- */

typedef kdi_comparison comparison;

bool kdi_scan_test_of(const char *name, bool swapped, kd_scan_test *out)
{
    static const struct {
        const char *name;
        kd_scan_test test, swapped;
    } tests[] = {
        {"=", KD_SCAN_EQUAL, KD_SCAN_EQUAL},
        {"<", KD_SCAN_LESS, KD_SCAN_GREATER},
        {"<=", KD_SCAN_LESS_EQUAL, KD_SCAN_GREATER_EQUAL},
        {">", KD_SCAN_GREATER, KD_SCAN_LESS},
        {">=", KD_SCAN_GREATER_EQUAL, KD_SCAN_LESS_EQUAL},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp(tests[i].name, name) == 0) {
            *out = swapped ? tests[i].swapped : tests[i].test;
            return true;
        }
    return false;
}

static kd_expr *retyped(kd_ctx *ctx, access *a, const kd_expr *constant, kd_value value)
{
    (void)constant;
    return kdi_make_constant(ctx, a->p, value);
}

bool kdi_constant_integer(const kd_value *value, int64_t *out)
{
    switch (value->type.id) {
    case KD_TYPE_INT2:
        *out = value->as.i16;
        return true;
    case KD_TYPE_INT4:
        *out = value->as.i32;
        return true;
    case KD_TYPE_INT8:
        *out = value->as.i64;
        return true;
    default:
        return false;
    }
}

static bool integer_to(int64_t number, kd_type type, kd_value *out)
{
    *out = (kd_value){.type = type};
    switch (type.id) {
    case KD_TYPE_INT2:
        out->as.i16 = (int16_t)number;
        return number == (int16_t)number;
    case KD_TYPE_INT4:
        out->as.i32 = (int32_t)number;
        return number == (int32_t)number;
    case KD_TYPE_INT8:
        out->as.i64 = number;
        return true;
    default:
        return false;
    }
}

/* A numeric constant in the column's own form, when it is exactly that. */
static kd_status numeric_to(kd_ctx *ctx, access *a, const kd_value *from, kd_type type,
                            kd_value *out, bool *out_fits)
{
    *out_fits = false;
    kd_decimal value, back;
    kd_i128 fixed;
    kd_value copy = *from;
    KD_TRY(kd_decimal_from_payload(ctx, a->p->arena, from->type, kd_value_payload(&copy), &value));
    int scale = kd_numeric_scale(type);
    if (value.kind != KD_DECIMAL_FINITE || !kd_decimal_try_fixed(&value, scale, &fixed))
        return KD_OK;
    KD_TRY(kd_decimal_from_fixed(ctx, a->p->arena, fixed, scale, &back));
    kd_i128 limit = kd_pow10_i128(kd_numeric_precision(type));
    if (kd_decimal_compare(&value, &back) != 0 || fixed >= limit || fixed <= -limit)
        return KD_OK;
    *out = (kd_value){.type = type};
    if (kd_type_physical(type) == KD_PHYS_I64)
        out->as.i64 = (int64_t)fixed;
    else
        out->as.i128 = fixed;
    *out_fits = true;
    return KD_OK;
}

/* The value as one of the column's type; NULL when there is no such thing. */
static kd_status value_for(kd_ctx *ctx, access *a, kd_type type, kd_expr *value, kd_expr **out)
{
    *out = NULL;
    if (kd_type_same(type, value->type) &&
        (type.id != KD_TYPE_NUMERIC || type.modifier == value->type.modifier ||
         (!kd_numeric_is_fixed(type) && !kd_numeric_is_fixed(value->type)))) {
        *out = value;
        return KD_OK;
    }
    if (value->kind != KD_EXPR_CONSTANT || value->constant.is_null || type.is_array ||
        value->type.is_array)
        return KD_OK;
    kd_value made;
    int64_t number;
    if (type.id == KD_TYPE_NUMERIC && kd_numeric_is_fixed(type) && kd_type_is_number(value->type)) {
        bool fits;
        KD_TRY(numeric_to(ctx, a, &value->constant, type, &made, &fits));
        if (!fits)
            return KD_OK;
    } else if (kdi_constant_integer(&value->constant, &number)) {
        if (!integer_to(number, type, &made))
            return KD_OK;
    } else if (type.id == KD_TYPE_VARCHAR && value->type.id == KD_TYPE_TEXT) {
        made = value->constant;
        made.type = type;
    } else {
        return KD_OK;
    }
    *out = retyped(ctx, a, value, made);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* The column itself, or under a cast that keeps the order of its values. */
static const kd_expr *bare_column(const kd_expr *expr)
{
    if (expr->kind == KD_EXPR_CAST && !expr->type.is_array) {
        const kd_expr *inner = expr->arguments[0];
        bool widens = kd_type_is_integer(inner->type) && kd_type_is_integer(expr->type);
        bool text = inner->type.id == KD_TYPE_VARCHAR && expr->type.id == KD_TYPE_TEXT &&
                    !inner->type.is_array;
        bool numeric = inner->type.id == KD_TYPE_NUMERIC && expr->type.id == KD_TYPE_NUMERIC &&
                       expr->type.modifier == -1;
        if (widens || text || numeric)
            expr = inner;
    }
    return expr->kind == KD_EXPR_COLUMN ? expr : NULL;
}

static kd_status constant_side(kd_ctx *ctx, access *a, const kd_expr *expr, bool *out)
{
    KD_TRY(kdi_uses_any(ctx, a->p, expr, &a->own, out));
    *out = !*out && !kd_expr_is_volatile(expr);
    return KD_OK;
}

/* The column that a side of a comparison is, or the expression that is asked for. */
static const kd_expr *compared_side(const access *a, const kd_expr *side, uint32_t *out_position)
{
    if (a->key != NULL)
        return kd_expr_equal(a->key, side) ? side : NULL;
    const kd_expr *column = bare_column(side);
    return column != NULL && column_position(a, column->column, out_position) ? column : NULL;
}

/* `column op value-without-own-columns`; false for anything else. */
static kd_status comparison_of(kd_ctx *ctx, access *a, const kd_expr *condition, comparison *out,
                               bool *out_found)
{
    *out_found = false;
    bool negated = condition->kind == KD_EXPR_NOT;
    const kd_expr *inner = negated ? condition->arguments[0] : condition;
    if (inner->kind == KD_EXPR_IS_NULL && inner->arguments[0]->kind == KD_EXPR_COLUMN) {
        out->test = negated ? KD_SCAN_IS_NOT_NULL : KD_SCAN_IS_NULL;
        out->value = NULL;
        *out_found = column_position(a, inner->arguments[0]->column, &out->position);
        return KD_OK;
    }
    if (condition->kind != KD_EXPR_CALL || condition->argument_count != 2)
        return KD_OK;
    out->value = NULL;
    for (int side = 0; side < 2; side++) {
        const kd_expr *column = compared_side(a, condition->arguments[side], &out->position);
        bool constant;
        if (column == NULL || !kdi_scan_test_of(condition->function->name, side == 1, &out->test))
            continue;
        KD_TRY(constant_side(ctx, a, condition->arguments[1 - side], &constant));
        if (!constant)
            continue;
        KD_TRY(value_for(ctx, a, column->type, condition->arguments[1 - side], &out->value));
        *out_found = out->value != NULL;
        return KD_OK;
    }
    return KD_OK;
}

/* --- Scans --- */

static kd_status add_prune(kd_ctx *ctx, access *a, kd_plan *plan, size_t *capacity,
                           const comparison *test)
{
    struct kd_plan_prune *added;
    KD_TRY(KD_PUSH(ctx, a->p->arena, plan->as.scan.prunes, plan->as.scan.prune_count, *capacity,
                   &added));
    added->shape_position = test->position;
    added->test = test->test;
    added->value = test->value;
    return KD_OK;
}

/* IN (5, 9, 7): between the smallest and the largest. */
static kd_status prune_in_list(kd_ctx *ctx, access *a, kd_plan *plan, size_t *capacity,
                               const kd_expr *list)
{
    const kd_expr *column = bare_column(list->arguments[0]);
    comparison low = {.test = KD_SCAN_GREATER_EQUAL}, high = {.test = KD_SCAN_LESS_EQUAL};
    if (column == NULL || !column_position(a, column->column, &low.position))
        return KD_OK;
    for (uint32_t i = 1; i < list->argument_count; i++) {
        kd_expr *value = list->arguments[i];
        if (value->kind != KD_EXPR_CONSTANT)
            return KD_OK;
        if (value->constant.is_null)
            continue;
        KD_TRY(value_for(ctx, a, column->type, value, &value));
        if (value == NULL)
            return KD_OK;
        if (low.value == NULL || kd_value_compare(&value->constant, &low.value->constant) < 0)
            low.value = value;
        if (high.value == NULL || kd_value_compare(&value->constant, &high.value->constant) > 0)
            high.value = value;
    }
    if (low.value == NULL)
        return KD_OK;
    high.position = low.position;
    KD_TRY(add_prune(ctx, a, plan, capacity, &low));
    return add_prune(ctx, a, plan, capacity, &high);
}

static kd_status add_prunes(kd_ctx *ctx, access *a, const kdi_conditions *conditions, kd_plan *plan)
{
    size_t capacity = 0;
    for (size_t i = 0; i < conditions->count; i++) {
        comparison test;
        bool found;
        KD_TRY(comparison_of(ctx, a, conditions->items[i], &test, &found));
        if (found)
            KD_TRY(add_prune(ctx, a, plan, &capacity, &test));
        else if (conditions->items[i]->kind == KD_EXPR_IN_LIST)
            KD_TRY(prune_in_list(ctx, a, plan, &capacity, conditions->items[i]));
    }
    return KD_OK;
}

/* Columns and positions of the plan; the row reference comes last where it is needed. */
static kd_status access_columns(kd_ctx *ctx, access *a, const kd_id_set *needed, kd_plan *plan,
                                const uint32_t **out_positions, kd_column_id *out_ref)
{
    const kd_rel *rel = a->scan;
    KD_TRY(kdi_plan_columns(ctx, a->p, rel->columns, rel->column_count, needed, plan));
    uint32_t *positions = KD_NEW_ARRAY(ctx, a->p->arena, uint32_t, rel->column_count);
    if (positions == NULL)
        return KD_NOMEM;
    uint32_t at = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (!kd_id_set_has(needed, rel->columns[i].id))
            continue;
        if (rel->columns[i].id == rel->as.scan.ref_column)
            *out_ref = rel->as.scan.ref_column;
        else
            positions[at++] = rel->as.scan.positions[i];
    }
    *out_positions = positions;
    return KD_OK;
}

/* --- Indexes --- */

typedef struct candidate {
    const kd_table_index *index;
    uint32_t equal_count;
    kd_expr **equals;     /* Per leading column. */
    const kd_expr **used; /* The conditions that they are; NULL where the last is a list. */
    bool in_list;         /* The last of them is one of these values. */
    uint32_t in_count;
    kd_expr **in_values;
    comparison low, high; /* Of the next column, where `value` is set. */
    bool gives_order, descending;
} candidate;

static bool is_index_column(const access *a, const kd_table_index *index, uint32_t k,
                            uint32_t position)
{
    return k < index->storage.column_count &&
           a->table->columns[position].storage.column_no == index->storage.columns[k].column_no;
}

/* column IN (constants): all of the column's type. */
static kd_status match_list(kd_ctx *ctx, access *a, const kd_expr *list, uint32_t k, candidate *out,
                            bool *out_matched)
{
    *out_matched = false;
    if (list->kind != KD_EXPR_IN_LIST || list->argument_count > 1001)
        return KD_OK;
    const kd_expr *column = bare_column(list->arguments[0]);
    uint32_t position;
    if (column == NULL || !column_position(a, column->column, &position) ||
        !is_index_column(a, out->index, k, position))
        return KD_OK;
    kd_expr **values = KD_NEW_ARRAY(ctx, a->p->arena, kd_expr *, list->argument_count);
    if (values == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 1; i < list->argument_count; i++) {
        bool constant;
        KD_TRY(constant_side(ctx, a, list->arguments[i], &constant));
        if (!constant)
            return KD_OK;
        KD_TRY(value_for(ctx, a, column->type, list->arguments[i], &values[count]));
        if (values[count++] == NULL)
            return KD_OK;
    }
    out->in_values = values;
    out->in_count = count;
    *out_matched = true;
    return KD_OK;
}

static kd_status match_equal(kd_ctx *ctx, access *a, const kdi_conditions *conditions, uint32_t k,
                             candidate *out, bool *out_matched)
{
    *out_matched = false;
    for (size_t i = 0; i < conditions->count; i++) {
        comparison test;
        bool found;
        KD_TRY(comparison_of(ctx, a, conditions->items[i], &test, &found));
        if (!found || test.test != KD_SCAN_EQUAL ||
            !is_index_column(a, out->index, k, test.position))
            continue;
        out->equals[k] = test.value;
        out->used[k] = conditions->items[i];
        *out_matched = true;
        return KD_OK;
    }
    for (size_t i = 0; i < conditions->count && !*out_matched; i++) {
        KD_TRY(match_list(ctx, a, conditions->items[i], k, out, out_matched));
        out->in_list = *out_matched;
    }
    return KD_OK;
}

/* Bounds of the column after the equal ones. The conditions stay: NULLs lie beyond an open end. */
static kd_status match_range(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                             candidate *out)
{
    for (size_t i = 0; i < conditions->count; i++) {
        comparison test;
        bool found;
        KD_TRY(comparison_of(ctx, a, conditions->items[i], &test, &found));
        if (!found || !is_index_column(a, out->index, out->equal_count, test.position))
            continue;
        if (test.test == KD_SCAN_GREATER || test.test == KD_SCAN_GREATER_EQUAL)
            out->low = test;
        else if (test.test == KD_SCAN_LESS || test.test == KD_SCAN_LESS_EQUAL)
            out->high = test;
    }
    return KD_OK;
}

/* Whether the index, after its equal columns, is in the order that a LIMIT above asks for. */
static void match_order(const access *a, candidate *out)
{
    const kdi_planner *p = a->p;
    bool forwards = true, backwards = true;
    if (p->order_scan != a->scan || out->in_list ||
        out->equal_count + p->order_count > out->index->storage.column_count)
        return;
    for (uint32_t i = 0; i < p->order_count; i++) {
        const kd_sort_key *key = &p->order[i];
        kd_key_order order = out->index->storage.columns[out->equal_count + i].order;
        uint32_t position;
        if (key->expr->kind != KD_EXPR_COLUMN ||
            !column_position(a, key->expr->column, &position) ||
            !is_index_column(a, out->index, out->equal_count + i, position))
            return;
        bool has_nulls = !a->table->columns[position].storage.not_null;
        forwards &= key->descending == order.descending &&
                    (!has_nulls || key->nulls_first == order.nulls_first);
        backwards &= key->descending != order.descending &&
                     (!has_nulls || key->nulls_first != order.nulls_first);
    }
    out->gives_order = forwards || backwards;
    out->descending = !forwards;
}

static kd_status match_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                             const kd_table_index *index, candidate *out)
{
    *out = (candidate){.index = index};
    uint32_t count = index->storage.column_count;
    out->equals = KD_NEW_ARRAY(ctx, a->p->arena, kd_expr *, count);
    out->used = KD_NEW_ARRAY(ctx, a->p->arena, const kd_expr *, count);
    if (out->equals == NULL || out->used == NULL)
        return KD_NOMEM;
    while (out->equal_count < count && !out->in_list) {
        bool matched;
        KD_TRY(match_equal(ctx, a, conditions, out->equal_count, out, &matched));
        if (!matched)
            break;
        out->equal_count++;
    }
    if (!out->in_list && out->equal_count < count)
        KD_TRY(match_range(ctx, a, conditions, out));
    match_order(a, out);
    return KD_OK;
}

static bool is_unique_match(const candidate *it)
{
    return it->index->storage.unique && it->equal_count == it->index->storage.column_count &&
           !it->in_list;
}

/* Rows read from the index until the LIMIT is full, against reading and sorting the whole table. */
static bool order_pays(const access *a, const kdi_conditions *conditions, const candidate *it)
{
    double kept = kdi_selectivity_all(a->p, conditions);
    if (it->equal_count > 0 || it->low.value != NULL || it->high.value != NULL)
        kept = 1;
    double rows = kdi_estimate(a->p, a->scan);
    return it->gives_order && a->p->order_limit / (kept > 1e-6 ? kept : 1e-6) * 100 < rows;
}

/* A unique key that is fixed gives one row; any other index is taken for an equality on its first
 * column, since somebody thought that selective enough to make it, or for its order. */
static kd_status choose_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                              candidate *out)
{
    *out = (candidate){0};
    int best = 0;
    for (uint32_t i = 0; i < a->table->index_count; i++) {
        const kd_table_index *index = &a->table->indexes[i];
        bool hashed = kd_slice_equal(index->method, KD_SLICE("hash"));
        bool ordered = index->method.size_bytes == 0 ||
                       kd_slice_equal(index->method, KD_SLICE("btree")) || hashed;
        bool serves = false;
        if (ordered)
            KD_TRY(kdi_index_holds_all(ctx, a->p, a->scan, index, conditions, &serves));
        if (!serves)
            continue;
        candidate found;
        KD_TRY(match_index(ctx, a, conditions, index, &found));
        int score = 0;
        if (is_unique_match(&found))
            score = 1000;
        else if (order_pays(a, conditions, &found))
            score = 500;
        else if (found.equal_count > 0)
            score = (int)found.equal_count * 10 - (found.in_list ? 5 : 0) +
                    (found.low.value != NULL) + (found.high.value != NULL);
        if (score > best) {
            *out = found;
            best = score;
        }
    }
    return KD_OK;
}

static kd_status bound_fill(kd_ctx *ctx, access *a, const candidate *chosen, kd_index_bound *bound)
{
    bound->equal_count = chosen->equal_count;
    bound->equals = KD_NEW_ARRAY(ctx, a->p->arena, kd_expr *, chosen->equal_count);
    if (bound->equals == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < chosen->equal_count; k++)
        bound->equals[k] = chosen->equals[k];
    bound->in_list = chosen->in_list;
    bound->in_count = chosen->in_count;
    bound->in_values = chosen->in_values;
    if (chosen->in_list)
        bound->equals[chosen->equal_count - 1] = chosen->in_values[0];
    bound->low = chosen->low.value;
    bound->high = chosen->high.value;
    bound->low_exclusive = chosen->low.value != NULL && chosen->low.test == KD_SCAN_GREATER;
    bound->high_exclusive = chosen->high.value != NULL && chosen->high.test == KD_SCAN_LESS;
    return KD_OK;
}

/* A node that reads an index and tests `rest` on what it gives. */
static kd_status index_node(kd_ctx *ctx, access *a, const kd_table_index *index,
                            const kdi_conditions *rest, const kd_id_set *needed, double rows,
                            kd_plan **out)
{
    kdi_planner *p = a->p;
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_INDEX_SCAN, rows < 1 ? 1 : rows, 0);
    if (plan == NULL)
        return KD_NOMEM;
    kd_id_set wanted = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, &wanted, needed));
    KD_TRY(kdi_conditions_join(ctx, p, rest, &plan->as.index_scan.condition));
    if (plan->as.index_scan.condition != NULL)
        KD_TRY(kd_expr_columns(ctx, plan->as.index_scan.condition, &wanted));
    KD_TRY(access_columns(ctx, a, &wanted, plan, &plan->as.index_scan.positions,
                          &plan->as.index_scan.ref_column));
    plan->as.index_scan.table = a->table;
    plan->as.index_scan.gives_place = a->scan->as.scan.gives_place;
    plan->as.index_scan.holds_places = a->scan->as.scan.holds_places;
    plan->as.index_scan.alias = a->scan->as.scan.alias;
    plan->as.index_scan.index = index;
    *out = plan;
    return KD_OK;
}

static kd_status plan_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                            const candidate *chosen, const kd_id_set *needed, kd_plan **out)
{
    kdi_planner *p = a->p;
    kdi_conditions rest = {0};
    for (size_t i = 0; i < conditions->count; i++) {
        bool covered = false;
        for (uint32_t k = 0; k < chosen->equal_count; k++)
            covered |= chosen->used[k] == conditions->items[i];
        if (!covered)
            KD_TRY(kdi_conditions_add(ctx, p, &rest, conditions->items[i]));
    }
    double rows = kdi_estimate(p, a->scan) * 0.01;
    if (chosen->in_list)
        rows = chosen->in_count;
    if (is_unique_match(chosen))
        rows = 1;
    KD_TRY(index_node(ctx, a, chosen->index, &rest, needed, rows, out));
    (*out)->as.index_scan.descending = chosen->descending && chosen->gives_order;
    if (chosen->gives_order)
        p->order_met = true;
    return bound_fill(ctx, a, chosen, &(*out)->as.index_scan.bound);
}

/* --- Places ---------------------------------------------------------------------------------- */

/* The value of `ctid = value` that no row of the table has a part in; NULL: something else. */
static kd_status place_of_condition(kd_ctx *ctx, const access *a, const kd_expr *condition,
                                    kd_expr **out)
{
    *out = NULL;
    if (condition->kind != KD_EXPR_CALL || condition->argument_count != 2 ||
        strcmp(condition->function->name, "=") != 0)
        return KD_OK;
    for (int side = 0; side < 2 && *out == NULL; side++) {
        const kd_expr *place = condition->arguments[side];
        kd_expr *value = condition->arguments[1 - side];
        if (place->kind != KD_EXPR_CALL || place->type.id != KD_TYPE_TID ||
            place->argument_count != 1 || place->arguments[0]->kind != KD_EXPR_COLUMN ||
            place->arguments[0]->column != a->scan->as.scan.ref_column)
            continue;
        kd_id_set used = kdi_set(a->p);
        KD_TRY(kd_expr_columns(ctx, value, &used));
        if (!kd_id_set_overlaps(&used, &a->own) && !kd_expr_is_volatile(value))
            *out = value;
    }
    return KD_OK;
}

/* The row at one place; every condition is tested on it. */
static kd_status plan_place(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                            const kd_id_set *needed, kd_plan **out)
{
    kd_expr *place = a->scan->as.scan.place;
    *out = NULL;
    for (size_t i = 0; i < conditions->count && place == NULL && a->scan->as.scan.gives_place; i++)
        KD_TRY(place_of_condition(ctx, a, conditions->items[i], &place));
    if (place == NULL)
        return KD_OK;
    KD_TRY(index_node(ctx, a, NULL, conditions, needed, 1, out));
    (*out)->as.index_scan.place = place;
    return KD_OK;
}

/* By an inverted index: every condition is tested on the rows that it gives. Rows that the index
 * has counted are not estimated again. */
static kd_status plan_inverted(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                               const kd_id_set *needed, kd_plan **out)
{
    kdi_inverted_offer offer;
    kdi_conditions others = {0};
    *out = NULL;
    KD_TRY(kdi_inverted_access(ctx, a->p, a->scan, &a->own, conditions, &offer));
    if (offer.index == NULL)
        return KD_OK;
    for (size_t i = 0; i < conditions->count; i++) {
        bool is_served = false;
        for (size_t k = 0; k < offer.served.count; k++)
            is_served |= offer.served.items[k] == conditions->items[i];
        if (!is_served)
            KD_TRY(kdi_conditions_add(ctx, a->p, &others, conditions->items[i]));
    }
    double rows = offer.rows * kdi_selectivity_all(a->p, &others);
    KD_TRY(index_node(ctx, a, offer.index, conditions, needed, rows, out));
    (*out)->as.index_scan.items = offer.items;
    return kdi_conditions_join(ctx, a->p, &offer.served, &(*out)->as.index_scan.items_condition);
}

/* Whether an equality of `column` with something outside could use an index: for joins. */
kd_status kdi_index_serves(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, kdi_conditions *conditions,
                           bool *out_serves)
{
    access a = {.p = p, .scan = scan, .own = kdi_set(p), .table = scan->as.scan.table};
    KD_TRY(kd_rel_column_set(ctx, scan, &a.own));
    candidate chosen;
    *out_serves = false;
    if (p->options->no_index_scans)
        return KD_OK;
    KD_TRY(choose_index(ctx, &a, conditions, &chosen));
    *out_serves = chosen.index != NULL && chosen.equal_count > 0;
    return KD_OK;
}

kd_status kdi_comparison_of(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_expr *condition,
                            kdi_comparison *out, bool *out_found)
{
    access a = {.p = p, .scan = scan, .own = kdi_set(p), .table = scan->as.scan.table};
    KD_TRY(kd_rel_column_set(ctx, scan, &a.own));
    return comparison_of(ctx, &a, condition, out, out_found);
}

kd_status kdi_comparison_with(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_expr *key,
                              const kd_expr *condition, kdi_comparison *out, bool *out_found)
{
    access a = {.p = p, .scan = scan, .own = kdi_set(p), .table = scan->as.scan.table, .key = key};
    KD_TRY(kd_rel_column_set(ctx, scan, &a.own));
    *out = (kdi_comparison){0};
    return comparison_of(ctx, &a, condition, out, out_found);
}

/* --- The order of conditions --- */

/* Comparisons of columns, constants and parameters: none fails, whatever the row. */
static bool never_fails(const kd_expr *expr)
{
    switch (expr->kind) {
    case KD_EXPR_COLUMN:
    case KD_EXPR_CONSTANT:
    case KD_EXPR_PARAMETER:
        return true;
    case KD_EXPR_CAST:
        if (bare_column(expr) == NULL)
            return false;
        break;
    case KD_EXPR_CALL: {
        kd_scan_test test;
        const char *name = expr->function->name;
        if (expr->argument_count != 2 ||
            (!kdi_scan_test_of(name, false, &test) && strcmp(name, "<>") != 0 &&
             strcmp(name, "~~") != 0 && strcmp(name, "!~~") != 0))
            return false;
        break;
    }
    case KD_EXPR_AND:
    case KD_EXPR_OR:
    case KD_EXPR_NOT:
    case KD_EXPR_IS_NULL:
    case KD_EXPR_IN_LIST:
        break;
    default:
        return false;
    }
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!never_fails(expr->arguments[i]))
            return false;
    return true;
}

/* Rough work per row, in comparisons of a column with a constant. */
static double work_of(const kd_expr *expr)
{
    double work = expr->kind == KD_EXPR_COLUMN ? 0.5 : 0;
    if (expr->kind == KD_EXPR_CALL)
        work = strstr(expr->function->name, "~~") != NULL ? 10 : 0.5;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        work += work_of(expr->arguments[i]);
    return work;
}

enum { ORDER_ROWS_MIN = 50000, ORDER_CONDITIONS_MAX = 16 };

/* Conditions are evaluated one after the other on the rows that are left: those that drop most rows
 * for their work go first. Only what cannot fail moves, and stays before what can. */
static kd_status order_conditions(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                                  const kdi_conditions *list, kdi_conditions *out)
{
    double ranks[ORDER_CONDITIONS_MAX];
    kd_expr *items[ORDER_CONDITIONS_MAX];
    size_t count = 0;
    bool ordered = list->count > 1 && list->count <= ORDER_CONDITIONS_MAX &&
                   p->options->statistics != NULL && kdi_estimate(p, scan) >= ORDER_ROWS_MIN;
    for (size_t i = 0; i < list->count && ordered; i++) {
        if (!never_fails(list->items[i]))
            continue;
        double rank = (1 - kdi_selectivity(p, list->items[i])) / (work_of(list->items[i]) + 0.1);
        size_t at = count++;
        for (; at > 0 && ranks[at - 1] < rank; at--) {
            ranks[at] = ranks[at - 1];
            items[at] = items[at - 1];
        }
        ranks[at] = rank;
        items[at] = list->items[i];
    }
    for (size_t i = 0; i < count; i++)
        KD_TRY(kdi_conditions_add(ctx, p, out, items[i]));
    for (size_t i = 0; i < list->count; i++)
        if (!ordered || !never_fails(list->items[i]))
            KD_TRY(kdi_conditions_add(ctx, p, out, list->items[i]));
    return KD_OK;
}

kd_status kdi_plan_access(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, kdi_conditions *conditions,
                          const kd_id_set *needed, kd_plan **out)
{
    access a = {.p = p, .scan = scan, .own = kdi_set(p), .table = scan->as.scan.table};
    KD_TRY(kd_rel_column_set(ctx, scan, &a.own));
    KD_TRY(plan_place(ctx, &a, conditions, needed, out));
    if (*out != NULL)
        return kdi_partition_gates(ctx, p, scan, conditions, *out);
    if ((conditions->count > 0 || p->order_scan == scan) && !p->options->no_index_scans) {
        candidate chosen;
        KD_TRY(choose_index(ctx, &a, conditions, &chosen));
        if (chosen.index != NULL) {
            KD_TRY(plan_index(ctx, &a, conditions, &chosen, needed, out));
            return kdi_partition_gates(ctx, p, scan, conditions, *out);
        }
        KD_TRY(plan_inverted(ctx, &a, conditions, needed, out));
        if (*out != NULL)
            return kdi_partition_gates(ctx, p, scan, conditions, *out);
    }
    kd_id_set wanted = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, &wanted, needed));
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_SCAN, kdi_estimate(p, scan), 0);
    if (plan == NULL)
        return KD_NOMEM;
    kdi_conditions ordered = {0};
    KD_TRY(order_conditions(ctx, p, scan, conditions, &ordered));
    KD_TRY(kdi_conditions_join(ctx, p, &ordered, &plan->as.scan.condition));
    if (plan->as.scan.condition != NULL) {
        KD_TRY(kd_expr_columns(ctx, plan->as.scan.condition, &wanted));
        plan->row_estimate *= kdi_selectivity_all(p, conditions);
    }
    KD_TRY(access_columns(ctx, &a, &wanted, plan, &plan->as.scan.positions,
                          &plan->as.scan.ref_column));
    plan->as.scan.table = a.table;
    plan->as.scan.holds_places = scan->as.scan.holds_places;
    plan->as.scan.alias = scan->as.scan.alias;
    KD_TRY(add_prunes(ctx, &a, conditions, plan));
    KD_TRY(kdi_scan_condition_paths(ctx, p, needed, plan));
    *out = plan;
    return kdi_partition_gates(ctx, p, scan, conditions, plan);
}
