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

/* --- RETURNING with sub-queries: a query over the rows of a data-modifying WITH
 * --------------------- */

static kd_status find_subquery(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    *(bool *)object |= (*slot)->kind == KD_EXPR_SUBQUERY;
    return KD_OK;
}

static kd_status returns_subquery(kd_ctx *ctx, const kd_bound_statement *bound, bool *out_does)
{
    *out_does = false;
    for (uint32_t i = 0; i < bound->returning_count; i++)
        KD_TRY(kd_expr_walk(ctx, &bound->returning[i], find_subquery, out_does));
    return KD_OK;
}

/* A column that RETURNING may name: of the target, or of what the query gives besides. */
static kd_rel_column named_column(const kd_bound_statement *bound, kd_column_id id)
{
    for (uint32_t i = 0; i < bound->target->column_count; i++)
        if (bound->target_ids[i] == id)
            return (kd_rel_column){.id = id, .type = bound->target->columns[i].storage.type};
    if (id != 0 && (id == bound->place_id || id == bound->leaf_id))
        return (kd_rel_column){.id = id, .type = kd_type_of(KD_TYPE_INT8)};
    for (uint32_t i = 0; bound->query != NULL && i < bound->query->column_count; i++)
        if (bound->query->columns[i].id == id)
            return bound->query->columns[i];
    return (kd_rel_column){0};
}

/* The columns that the expressions of RETURNING use become what the statement returns. */
static kd_status return_columns(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *inner,
                                kd_rel **out_scan)
{
    kd_id_set used = {.arena = b->arena};
    for (uint32_t i = 0; i < inner->returning_count; i++)
        KD_TRY(kd_expr_columns(ctx, inner->returning[i], &used));
    uint32_t most =
        inner->target->column_count + (inner->query == NULL ? 0 : inner->query->column_count) + 2;
    kd_rel *scan = kdi_rel_new(ctx, b, KD_REL_CTE, -1, most);
    kd_column_id *source = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, most);
    inner->returning = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, most);
    inner->returning_columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, most);
    if (scan == NULL || source == NULL || inner->returning == NULL ||
        inner->returning_columns == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (kd_column_id id = 1; id <= b->last_id && count < most; id++) {
        kd_rel_column column = named_column(inner, id);
        if (!kd_id_set_has(&used, id) || column.id == 0)
            continue;
        inner->returning[count] = kdi_column_expr(ctx, b, &column, -1);
        if (inner->returning[count] == NULL)
            return KD_NOMEM;
        scan->columns[count] = column;
        column.id = source[count] = kdi_next_id(b);
        inner->returning_columns[count++] = column;
    }
    if (count == 0) { /* The rows count all the same. */
        inner->returning[0] = kdi_constant(ctx, b, kd_value_bool(true), -1);
        if (inner->returning[0] == NULL)
            return KD_NOMEM;
        scan->columns[0] = (kd_rel_column){.id = kdi_next_id(b), .type = kd_type_of(KD_TYPE_BOOL)};
        inner->returning_columns[0] = scan->columns[0];
        inner->returning_columns[0].id = source[0] = kdi_next_id(b);
        count = 1;
    }
    inner->returning_count = count;
    scan->column_count = count;
    scan->as.cte.source_ids = source;
    *out_scan = scan;
    return KD_OK;
}

static kd_status returning_as_query(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound)
{
    kd_bound_statement *inner = KD_NEW(ctx, b->arena, kd_bound_statement);
    kd_cte *cte = KD_NEW(ctx, b->arena, kd_cte);
    kd_cte **slot;
    struct kd_bound_modifying_cte *added;
    uint32_t count = bound->returning_count;
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (inner == NULL || cte == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        names[i] = bound->returning_columns[i].name;
    kd_expr **exprs = bound->returning;
    *inner = *bound;
    inner->reads_target |= b->reads_target;
    *bound = (kd_bound_statement){.kind = KD_DML_SELECT, .written_as = inner->kind};
    kd_rel *scan, *rows;
    KD_TRY(return_columns(ctx, b, inner, &scan));
    rows = kdi_rel_new(ctx, b, KD_REL_VALUES, -1, inner->returning_count);
    if (rows == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < inner->returning_count; i++)
        rows->columns[i] = inner->returning_columns[i];
    *cte = (kd_cte){.name = KD_SLICE("returning"), .query = rows, .materialized = true};
    cte->use_count = 1;
    scan->as.cte.cte = cte;
    KD_TRY(KD_PUSH(ctx, b->arena, b->modifying, b->modifying_count, b->modifying_capacity, &added));
    *added = (struct kd_bound_modifying_cte){.cte = cte, .statement = inner};
    KD_TRY(KD_PUSH(ctx, b->arena, b->ctes, b->cte_count, b->cte_capacity, &slot));
    *slot = cte;
    b->reads_target = false;
    return kdi_rel_project(ctx, b, scan, exprs, names, count, false, &bound->query);
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
    bool has_subquery;
    b->top_with = with_of(statement);
    b->positioned = options->gives_positions ? statement : NULL;
    KD_TRY(kdi_bind_statement(ctx, b, statement, bound));
    bound->written_as = bound->kind;
    KD_TRY(returns_subquery(ctx, bound, &has_subquery));
    if (has_subquery)
        KD_TRY(returning_as_query(ctx, b, bound));
    for (size_t i = 0; i < b->parameter_count; i++)
        if (kdi_is_unknown(b->parameter_types[i]))
            b->parameter_types[i] = kd_type_of(KD_TYPE_TEXT);
    KD_TRY(kdi_number_conflict(ctx, b, bound));
    for (size_t i = 0; i < b->modifying_count; i++)
        KD_TRY(kdi_number_conflict(ctx, b, b->modifying[i].statement));
    bound->parameter_count = (uint32_t)b->parameter_count;
    bound->parameter_types = b->parameter_types;
    bound->cte_count = (uint32_t)b->cte_count;
    bound->ctes = b->ctes;
    bound->modifying_cte_count = (uint32_t)b->modifying_count;
    bound->modifying_ctes = b->modifying;
    bound->reads_target |= b->reads_target;
    bound->runs_routines = b->runs_routines;
    bound->for_update = b->locks_rows;
    bound->position_count = (uint32_t)b->position_count;
    bound->positions = b->positions;
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
