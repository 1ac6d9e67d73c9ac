/*
 * Assignment to a part of a column: SET a[1] = x, SET c.f = y, SET c.f[2:3].g = z, SET j['k'] = v.
 *
 * It is bound as an assignment of the whole column, computed from what the column
 * holds (NULL for a new row) by kade_assign of module builtin, which takes the way to the part as
 * a list of integers.
 */
#include "sql/bind_internal.h"

bool kdi_is_part(const kd_ast_node *target)
{
    return target->kind == KD_AST_SUBSCRIPT || target->kind == KD_AST_FIELD;
}

static const kd_ast_node *base_of(const kd_ast_node *target)
{
    return target->kind == KD_AST_SUBSCRIPT ? ((const kd_ast_subscript *)target)->base
                                            : ((const kd_ast_field *)target)->base;
}

const kd_ast_node *kdi_part_column(const kd_ast_node *target)
{
    while (kdi_is_part(target))
        target = base_of(target);
    return target;
}

/* The way to the part, as it is being made. */
typedef struct way {
    kdi_scope *scope;
    const kd_column *column;
    kd_type type;               /* Of what stands where the way has come to. */
    const kd_ast_subscript *in; /* The subscripts inside a jsonb, at the way's end. */
    kd_expr **numbers;
    size_t count, capacity;
    uint32_t domain_no; /* Of the field at the way's end; 0: none. */
} way;

static kd_status push_number(kd_ctx *ctx, kdi_binder *b, way *w, kd_expr *number)
{
    kd_expr **slot;
    if (number == NULL)
        return KD_NOMEM;
    KD_TRY(KD_PUSH(ctx, b->arena, w->numbers, w->count, w->capacity, &slot));
    *slot = number;
    return KD_OK;
}

static kd_status push_constant(kd_ctx *ctx, kdi_binder *b, way *w, int32_t number)
{
    return push_number(ctx, b, w, kdi_constant(ctx, b, kd_value_i32(number), -1));
}

static kd_status push_bound(kd_ctx *ctx, kdi_binder *b, way *w, const kd_ast_node *node)
{
    kd_expr *bound;
    if (node == NULL)
        return push_constant(ctx, b, w, 0);
    KD_TRY(kdi_bind_expr(ctx, b, w->scope, node, &bound));
    KD_TRY(kdi_coerce(ctx, b, kd_type_of(KD_TYPE_INT4), KD_CAST_ASSIGNMENT, &bound));
    return push_number(ctx, b, w, bound);
}

static kd_status step_into_array(kd_ctx *ctx, kdi_binder *b, way *w, const kd_ast_subscript *ast)
{
    bool is_slice = false;
    for (size_t i = 0; i < ast->range_count; i++)
        is_slice |= ast->ranges[i].is_slice;
    KD_TRY(push_constant(ctx, b, w, is_slice ? KD_STEP_SLICE : KD_STEP_ELEMENT));
    KD_TRY(push_constant(ctx, b, w, (int32_t)ast->range_count));
    for (size_t i = 0; i < ast->range_count; i++) {
        const kd_ast_index_range *range = &ast->ranges[i];
        if (!is_slice) {
            KD_TRY(push_bound(ctx, b, w, range->lower));
        } else if (!range->is_slice) { /* Beside a slice, [n] is [1:n]. */
            KD_TRY(push_constant(ctx, b, w, 3));
            KD_TRY(push_constant(ctx, b, w, 1));
            KD_TRY(push_bound(ctx, b, w, range->lower));
        } else {
            KD_TRY(push_constant(ctx, b, w, (range->lower != NULL) | (range->upper != NULL) << 1));
            KD_TRY(push_bound(ctx, b, w, range->lower));
            KD_TRY(push_bound(ctx, b, w, range->upper));
        }
    }
    if (!is_slice)
        w->type = kd_type_element(w->type);
    return KD_OK;
}

static kd_status step_into_jsonb(kd_ctx *ctx, kdi_binder *b, way *w, const kd_ast_subscript *ast)
{
    for (size_t i = 0; i < ast->range_count; i++)
        if (ast->ranges[i].is_slice)
            return kdi_at(
                ctx, b, ast->node.position,
                KD_FAIL(ctx, KD_INVALID, "42804", "jsonb subscript does not support slices"));
    w->in = ast;
    return KD_OK;
}

static kd_status step_into_row(kd_ctx *ctx, kdi_binder *b, way *w, const kd_ast_field *ast)
{
    kd_record_shape shape;
    bool known = false;
    if (w->in == NULL && w->type.id == KD_TYPE_RECORD && !w->type.is_array)
        KD_TRY(kdi_row_shape(ctx, b, w->type, &shape, &known));
    kd_slice column = w->column->storage.name;
    const char *type = kdi_type_text(ctx, b, w->type);
    if (!known)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42804",
                              "cannot assign to field \"%.*s\" of column \"%.*s\" because its type "
                              "%s is not a composite type",
                              KDI_S(ast->name), KDI_S(column), type));
    for (uint32_t i = 0; i < shape.field_count; i++) {
        if (!kd_slice_equal(shape.names[i], ast->name))
            continue;
        w->domain_no = kdi_field_domain(b, w->type, i);
        w->type = shape.types[i];
        KD_TRY(push_constant(ctx, b, w, KD_STEP_FIELD));
        return push_constant(ctx, b, w, (int32_t)i);
    }
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42703",
                          "cannot assign to field \"%.*s\" of column \"%.*s\" because there is no "
                          "such column in data type %s",
                          KDI_S(ast->name), KDI_S(column), type));
}

/* From the column inwards: targets nest the other way round. */
static kd_status walk(kd_ctx *ctx, kdi_binder *b, way *w, const kd_ast_node *target)
{
    if (!kdi_is_part(target))
        return KD_OK;
    KD_TRY(kdi_enter(ctx, b));
    KD_TRY(walk(ctx, b, w, base_of(target)));
    kdi_leave(b);
    w->domain_no = 0;
    if (target->kind == KD_AST_FIELD)
        return step_into_row(ctx, b, w, (const kd_ast_field *)target);
    if (w->in == NULL && w->type.is_array)
        return step_into_array(ctx, b, w, (const kd_ast_subscript *)target);
    if (w->in == NULL && w->type.id == KD_TYPE_JSONB)
        return step_into_jsonb(ctx, b, w, (const kd_ast_subscript *)target);
    return kdi_at(ctx, b, target->position,
                  KD_FAIL(ctx, KD_INVALID, "42804",
                          "cannot subscript type %s because it does not support subscripting",
                          kdi_type_text(ctx, b, w->type)));
}

/* ARRAY[...] of the subscripts as texts. */
static kd_status inside_array(kd_ctx *ctx, kdi_binder *b, const way *w, kd_expr **out)
{
    const kd_ast_subscript *ast = w->in;
    kd_type text = kd_type_of(KD_TYPE_TEXT);
    kd_expr *expr = *out =
        kdi_expr_new(ctx, b, KD_EXPR_ARRAY, kd_type_array_of(text), -1, (uint32_t)ast->range_count);
    if (expr == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->range_count; i++) {
        KD_TRY(kdi_bind_expr(ctx, b, w->scope, ast->ranges[i].lower, &expr->arguments[i]));
        KD_TRY(kdi_coerce(ctx, b, text, KD_CAST_ASSIGNMENT, &expr->arguments[i]));
    }
    return KD_OK;
}

static kd_status value_of(kd_ctx *ctx, kdi_binder *b, const way *w, const kd_ast_node *target,
                          kd_expr **io_value)
{
    kd_type given = (*io_value)->type;
    if (!kdi_is_unknown(given) &&
        !kd_registry_can_coerce(b->registry, given, w->type, KD_CAST_ASSIGNMENT)) {
        const char *wanted_text = kdi_type_text(ctx, b, w->type);
        const char *given_text = kdi_type_text(ctx, b, given);
        if (target->kind == KD_AST_FIELD)
            KD_FAIL(ctx, KD_INVALID, "42804",
                    "subfield \"%.*s\" is of type %s but expression is of type %s",
                    KDI_S(((const kd_ast_field *)target)->name), wanted_text, given_text);
        else
            KD_FAIL(ctx, KD_INVALID, "42804",
                    "subscripted assignment to \"%.*s\" requires type %s but expression is of type "
                    "%s",
                    KDI_S(w->column->storage.name), wanted_text, given_text);
        kd_error_set_hint(ctx, "You will need to rewrite or cast the expression.");
        return kdi_at(ctx, b, (*io_value)->position, KD_INVALID);
    }
    KD_TRY(kdi_coerce(ctx, b, w->type, KD_CAST_ASSIGNMENT, io_value));
    const kd_object *domain =
        w->domain_no == 0 ? NULL : kd_catalog_get(b->options->catalog, w->domain_no);
    if (domain == NULL)
        return KD_OK;
    return kdi_check_domain(ctx, b, (const kd_domain_entry *)domain, io_value);
}

kd_status kdi_part_type(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *target,
                        const kd_column *column, kd_type *out_type)
{
    way w = {.scope = scope, .column = column, .type = column->storage.type};
    KD_TRY(walk(ctx, b, &w, target));
    *out_type = w.type;
    return KD_OK;
}

kd_status kdi_assign_part(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *target,
                          const kd_column *column, kd_expr *old, kd_expr *value, kd_expr **out)
{
    way w = {.scope = scope, .column = column, .type = column->storage.type};
    kd_expr *arguments[4] = {old, value, NULL, NULL};
    KD_TRY(walk(ctx, b, &w, target));
    KD_TRY(value_of(ctx, b, &w, target, &arguments[1]));
    kd_type path = kd_type_array_of(kd_type_of(KD_TYPE_INT4));
    arguments[2] = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, path, -1, (uint32_t)w.count);
    if (arguments[2] == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < w.count; i++)
        arguments[2]->arguments[i] = w.numbers[i];
    if (w.in != NULL)
        KD_TRY(inside_array(ctx, b, &w, &arguments[3]));
    KD_TRY(kdi_call(ctx, b, KD_SLICE("kade_assign"), arguments, w.in == NULL ? 3 : 4,
                    target->position, out));
    (*out)->type = column->storage.type;
    return KD_OK;
}
