/*
 * Assignment to a part of a column: SET a[1] = x, SET a[2:3] = y, SET j['k'] = z.
 *
 * It is bound as an assignment of the whole column, computed from what the column
 * holds (NULL for a new row), by functions of module builtin.
 */
#include "sql/bind_internal.h"

bool kdi_is_part(const kd_ast_node *target)
{
    return target->kind == KD_AST_SUBSCRIPT || target->kind == KD_AST_FIELD;
}

const kd_ast_node *kdi_part_column(const kd_ast_node *target)
{
    while (kdi_is_part(target))
        target = target->kind == KD_AST_SUBSCRIPT ? ((const kd_ast_subscript *)target)->base
                                                  : ((const kd_ast_field *)target)->base;
    return target;
}

/* ARRAY[...] of the subscripts, each cast to `type`; a missing bound is NULL. */
static kd_status subscript_array(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                 const kd_ast_node *const *nodes, uint32_t count, kd_type type,
                                 kd_expr **out)
{
    kd_type array = type;
    array.is_array = 1;
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, array, -1, count);
    *out = expr;
    if (expr == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i] == NULL) {
            expr->arguments[i] = kdi_constant(ctx, b, kd_value_null(type), -1);
            if (expr->arguments[i] == NULL)
                return KD_NOMEM;
            continue;
        }
        KD_TRY(kdi_bind_expr(ctx, b, scope, nodes[i], &expr->arguments[i]));
        KD_TRY(kdi_coerce(ctx, b, type, KD_CAST_ASSIGNMENT, &expr->arguments[i]));
    }
    return KD_OK;
}

static kd_status value_of(kd_ctx *ctx, kdi_binder *b, kd_slice column, kd_type wanted,
                          kd_expr **io_value)
{
    kd_type given = (*io_value)->type;
    if (!kdi_is_unknown(given) &&
        !kd_registry_can_coerce(b->registry, given, wanted, KD_CAST_ASSIGNMENT)) {
        KD_FAIL(ctx, KD_INVALID, "42804",
                "subscripted assignment to \"%.*s\" requires type %s but expression is of type %s",
                KDI_S(column), kdi_type_text(ctx, b, wanted), kdi_type_text(ctx, b, given));
        kd_error_set_hint(ctx, "You will need to rewrite or cast the expression.");
        return kdi_at(ctx, b, (*io_value)->position, KD_INVALID);
    }
    return kdi_coerce(ctx, b, wanted, KD_CAST_ASSIGNMENT, io_value);
}

static kd_status assign_subscripts(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                   const kd_ast_subscript *ast, const kd_column *column,
                                   kd_expr *old, kd_expr *value, kd_expr **out)
{
    kd_type type = column->storage.type;
    uint32_t count = (uint32_t)ast->range_count;
    bool slices = false, is_json = !type.is_array && type.id == KD_TYPE_JSONB;
    const kd_ast_node **nodes = KD_NEW_ARRAY(ctx, b->arena, const kd_ast_node *, count + 2);
    if (nodes == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        slices |= ast->ranges[i].is_slice;
        nodes[i] = ast->ranges[i].lower;
    }
    if (!type.is_array && !is_json)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42804",
                              "cannot subscript type %s because it does not support subscripting",
                              kdi_type_text(ctx, b, type)));
    if (is_json && slices)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42804", "jsonb subscript does not support slices"));
    if (slices && count > 1)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "assignment to a slice of several dimensions is not supported"));
    if (slices) {
        nodes[1] = ast->ranges[0].upper;
        count = 2;
    }
    kd_expr *arguments[3] = {old, value, NULL};
    KD_TRY(value_of(ctx, b, column->storage.name, is_json || slices ? type : kd_type_element(type),
                    &arguments[1]));
    KD_TRY(subscript_array(ctx, b, scope, nodes, count,
                           kd_type_of(is_json ? KD_TYPE_TEXT : KD_TYPE_INT4), &arguments[2]));
    kd_slice function = is_json  ? KD_SLICE("kade_jsonb_set")
                        : slices ? KD_SLICE("kade_array_set_slice")
                                 : KD_SLICE("kade_array_set");
    return kdi_call(ctx, b, function, arguments, 3, ast->node.position, out);
}

kd_status kdi_assign_part(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *target,
                          const kd_column *column, kd_expr *old, kd_expr *value, kd_expr **out)
{
    const kd_ast_subscript *ast = (const kd_ast_subscript *)target;
    if (target->kind == KD_AST_SUBSCRIPT && ast->base->kind == KD_AST_COLUMN)
        return assign_subscripts(ctx, b, scope, ast, column, old, value, out);
    kd_slice name =
        target->kind == KD_AST_FIELD ? ((const kd_ast_field *)target)->name : column->storage.name;
    return kdi_at(
        ctx, b, target->position,
        KD_FAIL(ctx, KD_INVALID, "42804",
                "cannot assign to field \"%.*s\" of column \"%.*s\" because its type %s is "
                "not a composite type",
                KDI_S(name), KDI_S(column->storage.name),
                kdi_type_text(ctx, b, column->storage.type)));
}
