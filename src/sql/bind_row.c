/*
 * Rows: constructors, whole rows of FROM items, fields, comparisons, casts.
 *
 * A row's type is KD_TYPE_RECORD; its `object` says what it holds: a table or composite type of
 * the catalog, a shape of this statement (interned, so that equal shapes are one type), or 0 where
 * nobody knows before it runs. The values say it themselves (types/record.h).
 */
#include "sql/bind_internal.h"

#include "types/record.h"

/* --- Shapes --- */

static bool shapes_equal(const kdi_shape *a, kd_slice name, const kd_record_shape *b)
{
    if (a->shape.field_count != b->field_count || !kd_slice_equal(a->name, name))
        return false;
    for (uint32_t i = 0; i < b->field_count; i++)
        if (!kd_type_same(a->shape.types[i], b->types[i]) ||
            a->shape.types[i].modifier != b->types[i].modifier ||
            !kd_slice_equal(a->shape.names[i], b->names[i]))
            return false;
    return true;
}

static kd_status local_type(kd_ctx *ctx, kdi_binder *b, kd_slice name, const kd_record_shape *shape,
                            kd_type *out_type)
{
    *out_type = kd_type_of(KD_TYPE_RECORD);
    size_t at = 0;
    while (at < b->shape_count && !shapes_equal(&b->shapes[at], name, shape))
        at++;
    out_type->object = KD_ROW_IS_LOCAL | (uint32_t)at;
    if (at < b->shape_count)
        return KD_OK;
    kdi_shape *added;
    KD_TRY(KD_PUSH(ctx, b->arena, b->shapes, b->shape_count, b->shape_capacity, &added));
    *added = (kdi_shape){.name = name, .shape = *shape};
    return KD_OK;
}

kd_status kdi_row_shape(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_record_shape *out,
                        bool *out_known)
{
    *out_known = false;
    if (type.id != KD_TYPE_RECORD || type.is_array || type.object == 0)
        return KD_OK;
    if ((type.object & KD_ROW_IS_LOCAL) != 0) {
        *out = b->shapes[type.object & ~KD_ROW_IS_LOCAL].shape;
        *out_known = true;
        return KD_OK;
    }
    const kd_object *object = kd_catalog_get(b->options->catalog, type.object);
    if (object == NULL)
        return KD_OK;
    *out_known = true;
    return kd_catalog_row_shape(ctx, b->arena, b->options->catalog, type, out);
}

uint32_t kdi_field_domain(const kdi_binder *b, kd_type type, uint32_t index)
{
    if (type.id != KD_TYPE_RECORD || type.object == 0 || (type.object & KD_ROW_IS_LOCAL) != 0)
        return 0;
    const kd_object *object = kd_catalog_get(b->options->catalog, type.object);
    if (object == NULL)
        return 0;
    if (object->kind == KD_OBJECT_COMPOSITE)
        return ((const kd_composite_entry *)object)->attributes[index].domain_no;
    return ((const kd_table_entry *)object)->columns[index].domain_no;
}

/* --- Constructors --- */

/* ROW of these expressions, of `type` or, where that is 0, of a type of its own. */
static kd_status make_row(kd_ctx *ctx, kdi_binder *b, kd_expr **exprs, const kd_slice *names,
                          uint32_t count, kd_slice type_name, int position, kd_expr **out)
{
    if (count > KD_RECORD_FIELDS_MAX)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_LIMIT, "54011", "ROW expressions can have at most %d entries",
                              KD_RECORD_FIELDS_MAX));
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        bool untyped = kdi_is_unknown(exprs[i]->type);
        KD_TRY(kdi_settle(ctx, b, &exprs[i]));
        exprs[i]->untyped |=
            untyped && (exprs[i]->kind == KD_EXPR_CONSTANT || exprs[i]->kind == KD_EXPR_PARAMETER);
        types[i] = exprs[i]->type;
    }
    kd_record_shape shape = {count, types, names};
    kd_type type;
    KD_TRY(local_type(ctx, b, type_name, &shape, &type));
    kd_expr *row = kdi_expr_new(ctx, b, KD_EXPR_ROW, type, position, count);
    if (row == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) /* ROW() has none. */
        row->arguments[i] = exprs[i];
    row->field_names = names;
    *out = row;
    return KD_OK;
}

static kd_status field_push(kd_ctx *ctx, kdi_binder *b, kdi_targets *list, kd_expr *expr)
{
    kd_expr **slot;
    KD_TRY(KD_PUSH(ctx, b->arena, list->exprs, list->count, list->expr_capacity, &slot));
    *slot = expr;
    return KD_OK;
}

static kd_status bind_fields(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                             kdi_targets *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const kd_ast_node *node = list->items[i];
        bool star = node->kind == KD_AST_FIELD && ((const kd_ast_field *)node)->star;
        if (star || node->kind == KD_AST_STAR) {
            kdi_targets expanded = {0};
            KD_TRY(kdi_expand_star(ctx, b, scope, node, &expanded));
            for (size_t c = 0; c < expanded.count; c++)
                KD_TRY(field_push(ctx, b, out, expanded.exprs[c]));
            continue;
        }
        kd_expr *expr;
        KD_TRY(kdi_bind_expr(ctx, b, scope, node, &expr));
        KD_TRY(field_push(ctx, b, out, expr));
    }
    return KD_OK;
}

kd_status kdi_bind_row(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                       kd_expr ***out_exprs, uint32_t *out_count)
{
    kdi_targets list = {0};
    if (node->kind == KD_AST_ROW) {
        KD_TRY(bind_fields(ctx, b, scope, &((const kd_ast_args *)node)->args, &list));
    } else {
        kd_expr *expr;
        KD_TRY(kdi_bind_expr(ctx, b, scope, node, &expr));
        KD_TRY(field_push(ctx, b, &list, expr));
    }
    *out_exprs = list.exprs;
    *out_count = (uint32_t)list.count;
    return KD_OK;
}

/* Fields of a row that was written are called f1, f2, ... */
static kd_status f_names(kd_ctx *ctx, kdi_binder *b, uint32_t count, kd_slice **out)
{
    kd_slice *names = *out = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        char *name = kd_format_text(ctx, b->arena, "f%u", i + 1);
        if (name == NULL)
            return KD_NOMEM;
        names[i] = kd_slice_of(name);
    }
    return KD_OK;
}

kd_status kdi_make_row(kd_ctx *ctx, kdi_binder *b, kd_expr **exprs, uint32_t count, int position,
                       kd_expr **out)
{
    kd_slice *names;
    KD_TRY(f_names(ctx, b, count, &names));
    return make_row(ctx, b, exprs, names, count, (kd_slice){NULL, 0}, position, out);
}

kd_status kdi_named_row(kd_ctx *ctx, kdi_binder *b, kd_expr **exprs, const kd_slice *names,
                        uint32_t count, uint32_t object, int position, kd_expr **out)
{
    if (names == NULL)
        return kdi_make_row(ctx, b, exprs, count, position, out);
    KD_TRY(make_row(ctx, b, exprs, names, count, (kd_slice){NULL, 0}, position, out));
    if (object != 0)
        (*out)->type.object = object;
    return KD_OK;
}

kd_status kdi_shape_type(kd_ctx *ctx, kdi_binder *b, const kd_record_shape *shape, kd_type *out)
{
    return local_type(ctx, b, (kd_slice){NULL, 0}, shape, out);
}

kd_status kdi_bind_row_value(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_expr **out)
{
    kd_expr **exprs;
    uint32_t count;
    KD_TRY(kdi_bind_row(ctx, b, scope, node, &exprs, &count));
    return kdi_make_row(ctx, b, exprs, count, node->position, out);
}

/* --- Whole rows of FROM items --- */

/* Whether joins so far may extend the item's rows with NULLs. */
bool kdi_rel_is_nullable(const kd_rel *rel)
{
    for (const kd_rel *at = rel; at != NULL && at->above != NULL; at = at->above) {
        const kd_rel *above = at->above;
        if (above->kind != KD_REL_JOIN)
            continue;
        kd_join_kind kind = above->as.join.kind;
        bool on_right = above->inputs[1] == at;
        if (kind == KD_JOIN_FULL || (kind == KD_JOIN_LEFT && on_right) ||
            (kind == KD_JOIN_RIGHT && !on_right))
            return true;
    }
    return false;
}

kd_status kdi_rel_add_column(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_rel_column column)
{
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, rel->column_count + 1);
    if (columns == NULL)
        return KD_NOMEM;
    memcpy(columns, rel->columns, rel->column_count * sizeof *columns);
    columns[rel->column_count] = column;
    if (rel->kind == KD_REL_PROJECT) {
        kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count + 1);
        if (exprs == NULL)
            return KD_NOMEM;
        memcpy(exprs, rel->as.project.exprs, rel->column_count * sizeof *exprs);
        exprs[rel->column_count] = kdi_column_expr(ctx, b, &column, -1);
        if (exprs[rel->column_count] == NULL)
            return KD_NOMEM;
        rel->as.project.exprs = exprs;
    }
    rel->columns = columns;
    rel->column_count++;
    return KD_OK;
}

kd_status kdi_rel_expose(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_rel_column column)
{
    for (; rel != NULL; rel = rel->above) {
        bool gives = false;
        for (uint32_t i = 0; i < rel->column_count; i++)
            gives |= rel->columns[i].id == column.id;
        if (!gives)
            KD_TRY(kdi_rel_add_column(ctx, b, rel, column));
    }
    return KD_OK;
}

/* Makes the row below the joins, where a row extended with NULLs is a NULL and not a row of them,
 * and hands it up through what was built over the item. */
static kd_status column_below(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, kd_expr *row,
                              kd_rel_column *out_column)
{
    uint32_t count = rel->column_count + 1;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i + 1 < count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &rel->columns[i], -1);
        names[i] = rel->columns[i].name;
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    exprs[count - 1] = row;
    kd_rel *above = rel->above, *project;
    KD_TRY(kdi_rel_project(ctx, b, rel, exprs, names, count, true, &project));
    project->above = above;
    rel->above = project;
    *out_column = project->columns[count - 1];
    above->inputs[above->inputs[1] == rel] = project;
    return above == NULL ? KD_OK : kdi_rel_expose(ctx, b, above, *out_column);
}

/* A table that is being altered has other columns than its row type has still. */
static bool is_of_shape(const kdi_source *source, const kd_record_shape *shape)
{
    if (source->column_count != shape->field_count)
        return false;
    for (uint32_t i = 0; i < source->column_count; i++)
        if (!kd_type_same(source->columns[i].type, shape->types[i]))
            return false;
    return true;
}

kd_status kdi_whole_row(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, int position,
                        kd_expr **out)
{
    kd_rel *rel = source->rel;
    if (source->is_value) {
        *out = kdi_column_expr(ctx, b, &source->columns[0], position);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    if (rel != NULL && rel->row_column.id != 0) {
        *out = kdi_column_expr(ctx, b, &rel->row_column, position);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, source->column_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, source->column_count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    kd_type type = kd_type_of(KD_TYPE_RECORD);
    kd_record_shape shape;
    bool known;
    type.object = source->row_object;
    KD_TRY(kdi_row_shape(ctx, b, type, &shape, &known));
    known = known && is_of_shape(source, &shape);
    for (uint32_t i = 0; i < source->column_count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &source->columns[i], position);
        names[i] = known ? shape.names[i] : source->columns[i].name;
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    KD_TRY(make_row(ctx, b, exprs, names, source->column_count, source->row_name, position, out));
    if (known)
        (*out)->type.object = source->row_object;
    if (rel == NULL || !kdi_rel_is_nullable(rel))
        return KD_OK;
    KD_TRY(column_below(ctx, b, rel, *out, &rel->row_column));
    *out = kdi_column_expr(ctx, b, &rel->row_column, position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* --- Fields --- */

static kd_status make_field(kd_ctx *ctx, kdi_binder *b, kd_expr *row, const kd_record_shape *shape,
                            uint32_t index, int position, kd_expr **out)
{
    kd_expr *field = kdi_expr_new(ctx, b, KD_EXPR_FIELD, shape->types[index], position, 1);
    if (field == NULL)
        return KD_NOMEM;
    field->arguments[0] = row;
    field->field = index;
    field->name = shape->names[index];
    *out = field;
    return KD_OK;
}

kd_status kdi_row_field(kd_ctx *ctx, kdi_binder *b, kd_expr *row, const kd_record_shape *shape,
                        uint32_t index, int position, kd_expr **out)
{
    if (row->kind != KD_EXPR_ROW)
        return make_field(ctx, b, row, shape, index, position, out);
    *out = row->arguments[index];
    return KD_OK;
}

static kd_status not_composite(kd_ctx *ctx, kdi_binder *b, const kd_ast_field *ast, kd_type type)
{
    if (ast->star)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809", "type %s is not composite",
                              kdi_type_text(ctx, b, type)));
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42809",
                          "column notation .%.*s applied to type %s, which is not a composite type",
                          KDI_S(ast->name), kdi_type_text(ctx, b, type)));
}

static kd_status bind_base(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_field *ast,
                           kd_expr **out_row, kd_record_shape *out_shape)
{
    bool known;
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->base, out_row));
    kd_type type = (*out_row)->type;
    if (type.id != KD_TYPE_RECORD || type.is_array)
        return not_composite(ctx, b, ast, type);
    KD_TRY(kdi_row_shape(ctx, b, type, out_shape, &known));
    if (known)
        return KD_OK;
    if (ast->star)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809", "record type has not been registered"));
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42703",
                          "could not identify column \"%.*s\" in record data type",
                          KDI_S(ast->name)));
}

/* A field of an item of FROM is its column. One of a row that is written out is an expression of
 * its own, which is no grouping key because its column is one; the planner folds it. */
static kd_status written_field(kd_ctx *ctx, kdi_binder *b, const kd_ast_field *ast, kd_expr *row,
                               const kd_record_shape *shape, uint32_t index, kd_expr **out)
{
    bool is_item = ast->base->kind == KD_AST_COLUMN || ast->base->kind == KD_AST_STAR;
    if (is_item || (ast->star && kd_expr_has_subquery(row))) /* Which stands in one place only. */
        return kdi_row_field(ctx, b, row, shape, index, ast->node.position, out);
    return make_field(ctx, b, row, shape, index, ast->node.position, out);
}

kd_status kdi_bind_field(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_field *ast,
                         kd_expr **out)
{
    kd_expr *row;
    kd_record_shape shape;
    KD_TRY(bind_base(ctx, b, scope, ast, &row, &shape));
    for (uint32_t i = 0; i < shape.field_count; i++)
        if (kd_slice_equal(shape.names[i], ast->name))
            return written_field(ctx, b, ast, row, &shape, i, out);
    const char *type = kdi_type_text(ctx, b, row->type);
    bool anonymous = strcmp(type, "record") == 0;
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42703",
                          anonymous ? "could not identify column \"%.*s\" in %s data type"
                                    : "column \"%.*s\" not found in data type %s",
                          KDI_S(ast->name), type));
}

kd_status kdi_bind_fields(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_field *ast,
                          kd_expr ***out_exprs, kd_record_shape *out_shape)
{
    kd_expr *row;
    KD_TRY(bind_base(ctx, b, scope, ast, &row, out_shape));
    *out_exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, out_shape->field_count);
    if (*out_exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < out_shape->field_count; i++)
        KD_TRY(written_field(ctx, b, ast, row, out_shape, i, &(*out_exprs)[i]));
    return KD_OK;
}

/* --- IS NULL --- */

kd_status kdi_row_is_null(kd_ctx *ctx, kdi_binder *b, kd_expr *row, bool negated, int position,
                          kd_expr **out)
{
    kd_slice name = negated ? KD_SLICE("row_is_not_null") : KD_SLICE("row_is_null");
    return kdi_call(ctx, b, name, &row, 1, position, out);
}

/* --- Casts --- */

/* Whether casts to a row type have domains of fields to check. */
static bool has_domains(const kdi_binder *b, kd_type type, uint32_t field_count)
{
    for (uint32_t i = 0; i < field_count; i++)
        if (kdi_field_domain(b, type, i) != 0)
            return true;
    return false;
}

static kd_status check_field(kd_ctx *ctx, kdi_binder *b, kd_type type, uint32_t index,
                             kd_expr **io_value)
{
    uint32_t domain_no = kdi_field_domain(b, type, index);
    const kd_object *domain =
        domain_no == 0 ? NULL : kd_catalog_get(b->options->catalog, domain_no);
    return domain == NULL ? KD_OK
                          : kdi_check_domain(ctx, b, (const kd_domain_entry *)domain, io_value);
}

/* The function's columns get other ids, and those that are checked have theirs. */
kd_status kdi_check_columns(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel)
{
    kd_rel *rows = *io_rel;
    uint32_t count = rows->column_count;
    if (rows->kind != KD_REL_FUNCTION || !rows->as.function.function->wants_columns ||
        rows->as.function.argument_count < 2 ||
        !has_domains(b, rows->as.function.arguments[0]->type, count))
        return KD_OK;
    kd_rel *checked = kdi_rel_new(ctx, b, KD_REL_PROJECT, rows->position, count);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (checked == NULL || exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        checked->columns[i] = rows->columns[i];
        rows->columns[i].id = kdi_next_id(b);
        exprs[i] = kdi_column_expr(ctx, b, &rows->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
        KD_TRY(check_field(ctx, b, rows->as.function.arguments[0]->type, i, &exprs[i]));
    }
    checked->inputs[0] = rows;
    checked->as.project.exprs = exprs;
    *io_rel = checked;
    return KD_OK;
}

/* CASE WHEN row IS NULL THEN NULL ELSE ROW(its fields, checked) END. The row stands there more than
 * once, so volatile ones and sub-queries are left unchecked, as by casts to domains. */
kd_status kdi_check_fields(kd_ctx *ctx, kdi_binder *b, kd_expr **io_expr)
{
    kd_expr *row = *io_expr;
    kd_record_shape shape;
    bool known;
    KD_TRY(kdi_row_shape(ctx, b, row->type, &shape, &known));
    if (!known || !has_domains(b, row->type, shape.field_count) || kd_expr_is_volatile(row) ||
        kd_expr_has_subquery(row))
        return KD_OK;
    kd_expr *guarded = kdi_expr_new(ctx, b, KD_EXPR_CASE, row->type, row->position, 3);
    kd_expr *is_null = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, kd_type_of(KD_TYPE_BOOL), -1, 1);
    kd_expr *checked =
        kdi_expr_new(ctx, b, KD_EXPR_ROW, row->type, row->position, shape.field_count);
    if (guarded == NULL || is_null == NULL || checked == NULL)
        return KD_NOMEM;
    checked->field_names = shape.names;
    for (uint32_t i = 0; i < shape.field_count; i++) {
        kd_expr *copy;
        KD_TRY(kdi_copy_expr(ctx, b, row, &copy));
        KD_TRY(kdi_row_field(ctx, b, copy, &shape, i, row->position, &checked->arguments[i]));
        KD_TRY(check_field(ctx, b, row->type, i, &checked->arguments[i]));
    }
    is_null->arguments[0] = row;
    guarded->arguments[0] = is_null;
    guarded->arguments[1] = kdi_constant(ctx, b, kd_value_null(row->type), -1);
    guarded->arguments[2] = checked;
    guarded->case_has_else = true;
    *io_expr = guarded;
    return guarded->arguments[1] == NULL ? KD_NOMEM : KD_OK;
}

/* A literal that was written as a field is not a text yet where the row takes another type. */
static void unsettle(kdi_binder *b, kd_expr *field)
{
    if (!field->untyped)
        return;
    field->type = kd_type_of(KD_TYPE_UNKNOWN);
    if (field->kind == KD_EXPR_PARAMETER)
        b->parameter_types[field->parameter_no - 1] = field->type;
}

/* A row that is written out takes the fields' types of a row type of the catalog. */
kd_status kdi_coerce_row(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                         kd_expr **io_expr)
{
    kd_expr *expr = *io_expr;
    kd_record_shape shape;
    bool known = false;
    /* A row says itself what it is: a column stays one that an index can be looked up for. */
    if (type.object == 0 && context == KD_CAST_IMPLICIT)
        return KD_OK;
    if (expr->kind == KD_EXPR_CONSTANT && expr->constant.is_null) {
        *io_expr = kdi_constant(ctx, b, kd_value_null(type), expr->position);
        return *io_expr == NULL ? KD_NOMEM : KD_OK;
    }
    if (type.object != 0) {
        KD_TRY(kdi_row_shape(ctx, b, type, &shape, &known));
        if (!known || expr->kind != KD_EXPR_ROW || expr->argument_count != shape.field_count ||
            (expr->type.object & KD_ROW_IS_LOCAL) == 0)
            return kdi_at(ctx, b, expr->position,
                          KD_FAIL(ctx, KD_INVALID, "42846", "cannot cast type %s to %s",
                                  kdi_type_text(ctx, b, expr->type), kdi_type_text(ctx, b, type)));
    }
    kd_expr *made = kdi_expr_new(ctx, b, known ? KD_EXPR_ROW : KD_EXPR_CAST, type, expr->position,
                                 known ? shape.field_count : 1);
    if (made == NULL)
        return KD_NOMEM;
    if (!known) {
        made->arguments[0] = expr;
    } else {
        made->field_names = shape.names;
        for (uint32_t i = 0; i < shape.field_count; i++) { /* ROW() has none. */
            made->arguments[i] = expr->arguments[i];
            unsettle(b, made->arguments[i]);
            KD_TRY(kdi_coerce(ctx, b, shape.types[i], context, &made->arguments[i]));
            KD_TRY(check_field(ctx, b, type, i, &made->arguments[i]));
        }
    }
    *io_expr = made;
    return KD_OK;
}

/* --- Comparisons --- */

static kd_status not_a_row_operator(kd_ctx *ctx, const kdi_binder *b, kd_slice op, int position)
{
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                          "could not determine interpretation of row comparison operator %.*s",
                          KDI_S(op)));
}

bool kdi_is_row_comparison(const kd_ast_node *right)
{
    return right->kind == KD_AST_ROW ||
           (right->kind == KD_AST_SUBQUERY &&
            ((const kd_ast_subquery *)right)->what == KD_AST_SUBQUERY_SCALAR);
}

/* Both sides of each column become of one type, in which the operator compares. */
static kd_status match_columns(kd_ctx *ctx, kdi_binder *b, const kd_ast_operator *ast,
                               kd_expr **left, uint32_t count, kd_rel **io_rel)
{
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_type right = (*io_rel)->columns[i].type, wanted[2], result;
        const kd_function *function;
        KD_TRY(kdi_find_operator(ctx, b, ast->name, left[i]->type, right, ast->node.mark, &function,
                                 wanted, &result));
        if (!kd_registry_common_type(b->registry, wanted, 2, &types[i]))
            types[i] = wanted[0];
        KD_TRY(kdi_coerce(ctx, b, types[i], KD_CAST_IMPLICIT, &left[i]));
    }
    return kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, io_rel);
}

/* The query's row as one value. */
static kd_status row_of_query(kd_ctx *ctx, kdi_binder *b, const kd_slice *names, int position,
                              kd_rel *rel, kd_expr **out)
{
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count), *row;
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &rel->columns[i], position);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    KD_TRY(make_row(ctx, b, exprs, names, rel->column_count, (kd_slice){NULL, 0}, position, &row));
    KD_TRY(kdi_rel_project(ctx, b, rel, &row, NULL, 1, false, &rel));
    kd_expr *query = kdi_expr_new(ctx, b, KD_EXPR_SUBQUERY, row->type, position, 0);
    if (query == NULL)
        return KD_NOMEM;
    query->subquery_kind = KD_SUBQUERY_SCALAR;
    query->subquery = rel;
    *out = query;
    return KD_OK;
}

/* (a, b) < (SELECT ...): NULL where the query has no row. */
static kd_status compare_with_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                    const kd_ast_operator *ast, kd_expr **left, uint32_t count,
                                    kd_expr **out)
{
    static const char *const functions[][2] = {{"=", "row_eq"}, {"<>", "row_ne"},
                                               {"<", "row_lt"}, {"<=", "row_le"},
                                               {">", "row_gt"}, {">=", "row_ge"}};
    const char *function = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (kd_slice_equal(ast->name, kd_slice_of(functions[i][0])))
            function = functions[i][1];
    if (function == NULL)
        return not_a_row_operator(ctx, b, ast->name, ast->node.mark);
    kd_rel *rel;
    KD_TRY(kdi_bind_query(ctx, b, scope, ((const kd_ast_subquery *)ast->right)->query, &rel));
    if (rel->column_count != count)
        return kdi_at(ctx, b, ast->node.mark,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              rel->column_count < count ? "subquery has too few columns"
                                                        : "subquery has too many columns"));
    KD_TRY(match_columns(ctx, b, ast, left, count, &rel));
    kd_slice *names;
    kd_expr *sides[2];
    KD_TRY(f_names(ctx, b, count, &names));
    KD_TRY(make_row(ctx, b, left, names, count, (kd_slice){NULL, 0}, ast->node.mark, &sides[0]));
    KD_TRY(row_of_query(ctx, b, names, ast->right->position, rel, &sides[1]));
    return kdi_call(ctx, b, kd_slice_of(function), sides, 2, ast->node.mark, out);
}

kd_status kdi_bind_row_operator(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_operator *ast, kd_expr **out)
{
    kd_expr **left, **right;
    uint32_t left_count, right_count;
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->left, &left, &left_count));
    if (ast->right->kind == KD_AST_SUBQUERY)
        return compare_with_query(ctx, b, scope, ast, left, left_count, out);
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->right, &right, &right_count));
    if (left_count != right_count)
        return kdi_at(
            ctx, b, ast->node.mark,
            KD_FAIL(ctx, KD_INVALID, "42601", "unequal number of entries in row expressions"));
    return kdi_compare_rows(ctx, b, ast->name, left, right, left_count, ast->node.mark, out);
}

/* a < x OR (a = x AND (b < y OR ...)), from the last column to the first. */
static kd_status compare_in_order(kd_ctx *ctx, kdi_binder *b, kd_slice op, kd_expr **left,
                                  kd_expr **right, uint32_t count, int position, kd_expr **out)
{
    kd_slice strict = op.data[0] == '<' ? KD_SLICE("<") : KD_SLICE(">");
    kd_expr *rest;
    KD_TRY(kdi_operator(ctx, b, op, left[count - 1], right[count - 1], position, &rest));
    for (uint32_t i = count - 1; i-- > 0;) {
        kd_expr *less, *equal, *both;
        KD_TRY(kdi_operator(ctx, b, strict, left[i], right[i], position, &less));
        KD_TRY(kdi_operator(ctx, b, KD_SLICE("="), left[i], right[i], position, &equal));
        KD_TRY(kdi_and(ctx, b, equal, rest, &both));
        rest = kdi_expr_new(ctx, b, KD_EXPR_OR, kd_type_of(KD_TYPE_BOOL), position, 2);
        if (rest == NULL)
            return KD_NOMEM;
        rest->arguments[0] = less;
        rest->arguments[1] = both;
    }
    *out = rest;
    return KD_OK;
}

kd_status kdi_compare_rows(kd_ctx *ctx, kdi_binder *b, kd_slice op, kd_expr **left, kd_expr **right,
                           uint32_t count, int position, kd_expr **out)
{
    *out = NULL;
    if (count == 1)
        return kdi_operator(ctx, b, op, left[0], right[0], position, out);
    bool equal = kd_slice_equal(op, KD_SLICE("="));
    if (!equal && !kd_slice_equal(op, KD_SLICE("<>"))) {
        bool ordered = kd_slice_equal(op, KD_SLICE("<")) || kd_slice_equal(op, KD_SLICE("<=")) ||
                       kd_slice_equal(op, KD_SLICE(">")) || kd_slice_equal(op, KD_SLICE(">="));
        if (!ordered || count == 0)
            return not_a_row_operator(ctx, b, op, position);
        return compare_in_order(ctx, b, op, left, right, count, position, out);
    }
    if (count == 0)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "cannot compare rows of zero length"));
    kd_expr *all = kdi_expr_new(ctx, b, equal ? KD_EXPR_AND : KD_EXPR_OR, kd_type_of(KD_TYPE_BOOL),
                                position, count);
    if (all == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_operator(ctx, b, op, left[i], right[i], position, &all->arguments[i]));
    *out = all;
    return KD_OK;
}
