/*
 * The binder's entries: statements, stand-alone expressions, types, relations.
 */
#include "sql/bind_internal.h"

#include <limits.h>

/* --- Enum labels, for literals --- */

static const kd_enum_entry *enum_of(void *object, kd_type type)
{
    const kdi_binder *b = object;
    const kd_object *entry = kd_catalog_get(b->options->catalog, type.object);
    return entry != NULL && entry->kind == KD_OBJECT_ENUM ? (const kd_enum_entry *)entry : NULL;
}

static kd_status enum_rank(kd_ctx *ctx, void *object, kd_type type, kd_slice label,
                           int32_t *out_rank)
{
    (void)ctx;
    const kd_enum_entry *entry = enum_of(object, type);
    *out_rank = -1;
    for (uint32_t i = 0; entry != NULL && i < entry->label_count; i++)
        if (kd_slice_equal(entry->labels[i], label))
            *out_rank = entry->ranks[i];
    if (*out_rank >= 0 || entry == NULL)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input value for enum %.*s: \"%.*s\"",
                   KDI_S(entry->object.name), KDI_S(label));
}

static kd_status enum_label(kd_ctx *ctx, void *object, kd_type type, int32_t rank,
                            kd_slice *out_label)
{
    const kd_enum_entry *entry = enum_of(object, type);
    for (uint32_t i = 0; entry != NULL && i < entry->label_count; i++)
        if (entry->ranks[i] == rank) {
            *out_label = entry->labels[i];
            return KD_OK;
        }
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "an enum value has no label");
}

static kd_status row_shape(kd_ctx *ctx, void *object, kd_arena *arena, kd_type type,
                           kd_record_shape *out)
{
    const kdi_binder *b = object;
    return kd_catalog_row_shape(ctx, arena, b->options->catalog, type, out);
}

/* In the arena, since the settings for enum labels point back at it. */
kd_status kdi_binder_create(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            kdi_binder **out)
{
    kdi_binder *b = KD_NEW(ctx, arena, kdi_binder);
    *out = b;
    if (b == NULL)
        return KD_NOMEM;
    b->arena = arena;
    b->options = options;
    b->registry = kd_catalog_registry(options->catalog);
    b->deepest = -1;
    b->shallowest = INT_MAX;
    if (options->facts != NULL && options->facts->text != NULL)
        b->settings = *options->facts->text;
    if (b->settings.enum_rank == NULL) {
        b->settings.enum_rank = enum_rank;
        b->settings.enum_label = enum_label;
        b->settings.row_shape = row_shape;
        b->settings.enum_object = b;
    }
    if (options->parameter_count > 0) {
        b->parameter_types = KD_NEW_ARRAY(ctx, arena, kd_type, options->parameter_count);
        if (b->parameter_types == NULL)
            return KD_NOMEM;
        memcpy(b->parameter_types, options->parameter_types,
               options->parameter_count * sizeof *b->parameter_types);
        b->parameter_count = b->parameter_capacity = options->parameter_count;
    }
    return KD_OK;
}

/* --- Statements --- */

kd_status kdi_bind_statement(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                             kd_bound_statement *bound)
{
    switch (node->kind) {
    case KD_AST_SELECT:
    case KD_AST_SETOP:
        bound->kind = KD_DML_SELECT;
        return kdi_bind_query(ctx, b, NULL, node, &bound->query);
    case KD_AST_INSERT:
        bound->kind = KD_DML_INSERT;
        return kdi_bind_insert(ctx, b, (const kd_ast_insert *)node, bound);
    case KD_AST_UPDATE:
        bound->kind = KD_DML_UPDATE;
        return kdi_bind_update(ctx, b, (const kd_ast_update *)node, bound);
    case KD_AST_DELETE:
        bound->kind = KD_DML_DELETE;
        return kdi_bind_delete(ctx, b, (const kd_ast_delete *)node, bound);
    case KD_AST_MERGE:
        bound->kind = KD_DML_MERGE;
        return kdi_bind_merge(ctx, b, (const kd_ast_merge *)node, bound);
    default:
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "this statement is not for the binder");
    }
}

static const kd_ast_with *with_of(const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_SELECT:
        return &((const kd_ast_select *)node)->tail.with;
    case KD_AST_SETOP:
        return &((const kd_ast_setop *)node)->tail.with;
    case KD_AST_INSERT:
        return &((const kd_ast_insert *)node)->with;
    case KD_AST_UPDATE:
        return &((const kd_ast_update *)node)->with;
    case KD_AST_DELETE:
        return &((const kd_ast_delete *)node)->with;
    case KD_AST_MERGE:
        return &((const kd_ast_merge *)node)->with;
    default:
        return NULL;
    }
}

kd_status kd_bind_statement(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            const kd_ast_node *statement, kd_bound_statement **out_bound)
{
    *out_bound = NULL;
    kdi_binder *b;
    KD_TRY(kdi_binder_create(ctx, arena, options, &b));
    kd_bound_statement *bound = KD_NEW(ctx, arena, kd_bound_statement);
    if (bound == NULL)
        return KD_NOMEM;
    b->top_with = with_of(statement);
    KD_TRY(kdi_bind_statement(ctx, b, statement, bound));
    for (size_t i = 0; i < b->parameter_count; i++)
        if (kdi_is_unknown(b->parameter_types[i]))
            b->parameter_types[i] = kd_type_of(KD_TYPE_TEXT);
    bound->parameter_count = (uint32_t)b->parameter_count;
    bound->parameter_types = b->parameter_types;
    bound->cte_count = (uint32_t)b->cte_count;
    bound->ctes = b->ctes;
    bound->modifying_cte_count = (uint32_t)b->modifying_count;
    bound->modifying_ctes = b->modifying;
    bound->reads_target |= b->reads_target;
    bound->runs_routines = b->runs_routines;
    bound->for_update = b->locks_rows;
    bound->last_column_id = b->last_id;
    *out_bound = bound;
    return KD_OK;
}

/* --- Expressions --- */

static kd_status bind_alone(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *expr,
                            const kd_table_entry *table, kd_type wanted,
                            kd_column_id **out_shape_ids, kd_expr **out_bound)
{
    kdi_query query = {.clause = "this expression"};
    b->is_alone = true;
    kdi_scope scope = {.query = &query};
    if (table != NULL) {
        kd_column_id *ids;
        kdi_source source;
        KD_TRY(kdi_new_ids(ctx, b, table->column_count, &ids));
        KD_TRY(kdi_target_source(ctx, b, table, table->object.name, ids, &source));
        KD_TRY(kdi_names_add_source(ctx, b, &scope.names, source));
        for (uint32_t i = 0; i < source.column_count; i++)
            KD_TRY(kdi_names_add_column(ctx, b, &scope.names, source.columns[i]));
        if (out_shape_ids != NULL)
            *out_shape_ids = ids;
    }
    KD_TRY(kdi_bind_expr(ctx, b, &scope, expr, out_bound));
    if (wanted.id != KD_TYPE_UNKNOWN || wanted.is_array)
        return kdi_coerce(ctx, b, wanted, KD_CAST_ASSIGNMENT, out_bound);
    return kdi_settle(ctx, b, out_bound);
}

kd_status kd_bind_expression(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                             const kd_ast_node *expr, const kd_table_entry *table, kd_type wanted,
                             kd_column_id **out_shape_ids, kd_expr **out_bound)
{
    *out_bound = NULL;
    if (out_shape_ids != NULL)
        *out_shape_ids = NULL;
    kdi_binder *b;
    KD_TRY(kdi_binder_create(ctx, arena, options, &b));
    return bind_alone(ctx, b, expr, table, wanted, out_shape_ids, out_bound);
}

kd_status kd_bind_expression_text(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                                  kd_slice text, const kd_table_entry *table, kd_type wanted,
                                  kd_column_id **out_shape_ids, kd_expr **out_bound)
{
    *out_bound = NULL;
    if (out_shape_ids != NULL)
        *out_shape_ids = NULL;
    kd_ast_node *expr;
    KD_TRY(kd_parse_expression(ctx, arena, text, &expr));
    kdi_binder *b;
    KD_TRY(kdi_binder_create(ctx, arena, options, &b));
    b->inside_text++;
    return bind_alone(ctx, b, expr, table, wanted, out_shape_ids, out_bound);
}

/* --- Types and relations --- */

kd_status kd_bind_type(kd_ctx *ctx, const kd_bind_options *options, const kd_ast_type *type,
                       kd_type *out_type)
{
    *out_type = kd_type_of(KD_TYPE_UNKNOWN);
    kdi_binder b = {.options = options};
    return kdi_bind_type(ctx, &b, type, out_type);
}

kd_status kd_bind_relation(kd_ctx *ctx, const kd_bind_options *options, const kd_ast_name *name,
                           bool missing_ok, const kd_object **out_object)
{
    kdi_binder b = {.options = options};
    return kdi_find_relation(ctx, &b, name, missing_ok, out_object, NULL);
}
