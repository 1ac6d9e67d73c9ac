/*
 * INSERT: target columns, VALUES with DEFAULT, SELECT.
 */
#include "sql/bind_internal.h"

static const uint32_t COMPUTED = UINT32_MAX; /* A view's column that values can not be given for. */

/* Without a column list a view's computed columns are refused only where values are given. */
static kd_status check_given(kd_ctx *ctx, kdi_binder *b, const kd_bound_statement *bound,
                             uint32_t given, int position)
{
    for (uint32_t i = 0; i < given; i++) {
        uint32_t unused;
        if (bound->target_positions[i] == COMPUTED)
            return kdi_at(ctx, b, position,
                          kdi_view_position(ctx, b->view, i, "insert into", &unused));
    }
    return KD_OK;
}

static kd_status bind_columns(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                              kd_bound_statement *bound)
{
    const kd_table_entry *table = bound->target;
    uint32_t all = b->view != NULL ? kdi_view_column_count(b->view) : table->visible_count;
    uint32_t count = ast->columns.count > 0 ? (uint32_t)ast->columns.count : all;
    bound->target_positions = KD_NEW_ARRAY(ctx, b->arena, uint32_t, table->visible_count + count);
    if (bound->target_positions == NULL)
        return KD_NOMEM;
    bound->target_count = count;
    for (uint32_t i = 0; i < count; i++) {
        bound->target_positions[i] = i;
        if (ast->columns.count == 0 && b->view != NULL)
            bound->target_positions[i] =
                kdi_view_is_computed(b->view, i) ? COMPUTED : kdi_view_position_of(b->view, i);
        if (ast->columns.count == 0)
            continue;
        KD_TRY(kdi_target_position(ctx, b, table, kdi_part_column(ast->columns.items[i]),
                                   "insert into", &bound->target_positions[i]));
        for (uint32_t j = 0; j < i; j++)
            if (bound->target_positions[j] == bound->target_positions[i] &&
                !(kdi_is_part(ast->columns.items[i]) && kdi_is_part(ast->columns.items[j])))
                return kdi_at(
                    ctx, b, ast->columns.items[i]->position,
                    KD_FAIL(ctx, KD_INVALID, "42701", "column \"%.*s\" specified more than once",
                            KDI_S(table->columns[bound->target_positions[i]].storage.name)));
    }
    return KD_OK;
}

static kd_status refuse_value(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                              const kd_column *column, int position)
{
    bool always =
        column->identity == KD_IDENTITY_ALWAYS && ast->overriding != KD_AST_OVERRIDING_SYSTEM;
    if (!column->generated && !always)
        return KD_OK;
    KD_FAIL(ctx, KD_INVALID, "428C9", "cannot insert a non-DEFAULT value into column \"%.*s\"",
            KDI_S(column->storage.name));
    if (column->generated) {
        kd_error_set_detail(ctx, "Column \"%.*s\" is a generated column.",
                            KDI_S(column->storage.name));
    } else {
        kd_error_set_detail(ctx,
                            "Column \"%.*s\" is an identity column defined as GENERATED ALWAYS.",
                            KDI_S(column->storage.name));
        kd_error_set_hint(ctx, "Use OVERRIDING SYSTEM VALUE to override.");
    }
    return kdi_at(ctx, b, position, KD_INVALID);
}

static kd_status count_mismatch(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                                uint32_t given, uint32_t wanted, int position)
{
    (void)ast;
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_INVALID, "42601",
                          given > wanted ? "INSERT has more expressions than target columns"
                                         : "INSERT has more target columns than expressions"));
}

/* Whether every row says DEFAULT for the column (OVERRIDING USER VALUE: for identity columns). */
static bool all_default(const kd_ast_insert *ast, const kd_ast_select *values,
                        const kd_column *column, uint32_t index)
{
    if (ast->overriding == KD_AST_OVERRIDING_USER && column->identity != KD_IDENTITY_NONE)
        return true;
    for (size_t r = 0; r < values->values.count; r++)
        if (((const kd_ast_args *)values->values.items[r])->args.items[index]->kind !=
            KD_AST_DEFAULT)
            return false;
    return true;
}

static kd_status bind_value(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_insert *ast,
                            const kd_bound_statement *bound, uint32_t position,
                            const kd_ast_node *node, kd_expr **out)
{
    const kd_column *column = &bound->target->columns[position];
    if (node->kind == KD_AST_DEFAULT)
        return kdi_default_expr(ctx, b, bound->target, position, out);
    KD_TRY(refuse_value(ctx, b, ast, column, node->position));
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, out));
    return kdi_assign(ctx, b, column, out);
}

/* What a column gets: one value, or parts of it by several. `listed` are the positions of the
 * values of a row. */
typedef struct insertion {
    const kd_ast_insert *ast;
    const kd_bound_statement *bound;
    kdi_scope *scope;
    const uint32_t *listed;
    uint32_t given;
} insertion;

static const kd_ast_node *part_of(const kd_ast_insert *ast, uint32_t index)
{
    const kd_ast_node *target = index < ast->columns.count ? ast->columns.items[index] : NULL;
    return target != NULL && kdi_is_part(target) ? target : NULL;
}

static bool has_parts(const kd_ast_insert *ast, uint32_t given)
{
    for (uint32_t i = 0; i < given; i++)
        if (part_of(ast, i) != NULL)
            return true;
    return false;
}

static kd_status part_is_default(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *part, int position)
{
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                          part->kind == KD_AST_FIELD ? "cannot set a subfield to DEFAULT"
                                                     : "cannot set an array element to DEFAULT"));
}

/* The parts given from value `first` on, put into a value that is NULL before. `values` are bound
 * ones, or NULL: those of `row`. */
static kd_status bind_parts(kd_ctx *ctx, kdi_binder *b, const insertion *in, uint32_t first,
                            const kd_ast_list *row, kd_expr **values, kd_expr **out)
{
    uint32_t position = in->listed[first];
    const kd_column *column = &in->bound->target->columns[position];
    *out = kdi_constant(ctx, b, kd_value_null(column->storage.type), -1);
    if (*out == NULL)
        return KD_NOMEM;
    for (uint32_t i = first; i < in->given; i++) {
        const kd_ast_node *part = part_of(in->ast, i);
        kd_expr *value;
        if (in->listed[i] != position)
            continue;
        if (values != NULL)
            value = values[i];
        else if (row->items[i]->kind == KD_AST_DEFAULT)
            return part_is_default(ctx, b, part, row->items[i]->position);
        else
            KD_TRY(kdi_bind_expr(ctx, b, in->scope, row->items[i], &value));
        KD_TRY(refuse_value(ctx, b, in->ast, column, part->position));
        KD_TRY(kdi_assign_part(ctx, b, in->scope, part, column, *out, value, out));
    }
    return kdi_assign(ctx, b, column, out);
}

static bool is_later_part(const insertion *in, uint32_t index)
{
    for (uint32_t i = 0; part_of(in->ast, index) != NULL && i < index; i++)
        if (in->listed[i] == in->listed[index])
            return true;
    return false;
}

static kd_status copy_positions(kd_ctx *ctx, kdi_binder *b, const kd_bound_statement *bound,
                                uint32_t count, insertion *in)
{
    uint32_t *listed = KD_NEW_ARRAY(ctx, b->arena, uint32_t, count);
    if (listed == NULL)
        return KD_NOMEM;
    if (count > 0)
        memcpy(listed, bound->target_positions, count * sizeof *listed);
    in->listed = listed;
    in->given = count;
    return KD_OK;
}

/* One row with set-returning functions is SELECT of what it holds: as many rows as these give. */
static kd_status as_select(kd_ctx *ctx, kdi_binder *b, const kd_ast_args *row,
                           const uint32_t *sources, uint32_t count, kd_ast_node **out)
{
    kd_ast_select *select = KD_NEW(ctx, b->arena, kd_ast_select);
    if (select == NULL)
        return KD_NOMEM;
    select->node = row->node;
    select->node.kind = KD_AST_SELECT;
    select->into.name.position = -1;
    for (uint32_t i = 0; i < count; i++) {
        kd_ast_target *target = KD_NEW(ctx, b->arena, kd_ast_target);
        kd_ast_node **slot;
        if (target == NULL)
            return KD_NOMEM;
        target->value = row->args.items[sources[i]];
        target->node = *target->value;
        target->node.kind = KD_AST_TARGET;
        KD_TRY(KD_PUSH(ctx, b->arena, select->targets.items, select->targets.count,
                       select->targets.capacity, &slot));
        *slot = &target->node;
    }
    *out = &select->node;
    return KD_OK;
}

static kd_status bind_query(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                            const kd_ast_node *source, kd_bound_statement *bound);

/* VALUES alone: each value goes straight to its column's type. */
static kd_status bind_values(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                             const kd_ast_select *values, kd_bound_statement *bound)
{
    uint32_t rows = (uint32_t)values->values.count;
    uint32_t given = (uint32_t)((const kd_ast_args *)values->values.items[0])->args.count;
    if (given > bound->target_count || (ast->columns.count > 0 && given < bound->target_count))
        return count_mismatch(ctx, b, ast, given, bound->target_count,
                              values->values.items[0]->position);
    KD_TRY(check_given(ctx, b, bound, given, values->values.items[0]->position));
    for (uint32_t r = 0; r < rows; r++)
        if (((const kd_ast_args *)values->values.items[r])->args.count != given)
            return kdi_at(
                ctx, b, values->values.items[r]->position,
                KD_FAIL(ctx, KD_INVALID, "42601", "VALUES lists must all be the same length"));
    uint32_t *sources = KD_NEW_ARRAY(ctx, b->arena, uint32_t, given);
    if (sources == NULL)
        return KD_NOMEM;
    uint32_t kept = 0;
    kdi_query query = {.clause = "VALUES", .srfs_ok = rows == 1 && !has_parts(ast, given)};
    kdi_scope scope = {.query = &query};
    insertion in = {.ast = ast, .bound = bound, .scope = &scope};
    KD_TRY(copy_positions(ctx, b, bound, given, &in));
    for (uint32_t i = 0; i < given; i++) {
        uint32_t position = in.listed[i];
        if (is_later_part(&in, i) ||
            (part_of(ast, i) == NULL &&
             all_default(ast, values, &bound->target->columns[position], i)))
            continue;
        sources[kept] = i;
        bound->target_positions[kept++] = position;
    }
    bound->target_count = kept;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_VALUES, values->node.position, kept);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.values.row_count = rows;
    rel->as.values.rows = KD_NEW_ARRAY(ctx, b->arena, kd_expr **, rows);
    if (rel->as.values.rows == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < kept; c++) {
        const kd_table_column *column = &bound->target->columns[bound->target_positions[c]].storage;
        rel->columns[c] =
            (kd_rel_column){.id = kdi_next_id(b), .type = column->type, .name = column->name};
    }
    for (uint32_t r = 0; r < rows; r++) {
        const kd_ast_args *row = (const kd_ast_args *)values->values.items[r];
        rel->as.values.rows[r] = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, kept);
        if (rel->as.values.rows[r] == NULL)
            return KD_NOMEM;
        for (uint32_t c = 0; c < kept; c++) {
            kd_expr **value = &rel->as.values.rows[r][c];
            if (part_of(ast, sources[c]) != NULL)
                KD_TRY(bind_parts(ctx, b, &in, sources[c], &row->args, NULL, value));
            else
                KD_TRY(bind_value(ctx, b, &scope, ast, bound, bound->target_positions[c],
                                  row->args.items[sources[c]], value));
        }
    }
    if (query.srf_count > 0) {
        kd_ast_node *select;
        KD_TRY(as_select(ctx, b, (const kd_ast_args *)values->values.items[0], sources, kept,
                         &select));
        return bind_query(ctx, b, ast, select, bound);
    }
    bound->query = rel;
    return KD_OK;
}

/* INSERT INTO t BY NAME SELECT: the query's column names say where they go. */
static kd_status positions_by_name(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound,
                                   const kd_rel *rel)
{
    bound->target_positions = KD_NEW_ARRAY(ctx, b->arena, uint32_t, rel->column_count);
    if (bound->target_positions == NULL)
        return KD_NOMEM;
    bound->target_count = rel->column_count;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        kd_slice part = rel->columns[i].name;
        kd_ast_column column = {.node = {.kind = KD_AST_COLUMN, .position = rel->position},
                                .parts = &part,
                                .part_count = 1};
        KD_TRY(kdi_target_position(ctx, b, bound->target, &column.node, "insert into",
                                   &bound->target_positions[i]));
    }
    return KD_OK;
}

/* Columns of the query that are parts of one column become that column. */
static kd_status gather_parts(kd_ctx *ctx, kdi_binder *b, const insertion *in,
                              kd_bound_statement *bound, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    uint32_t kept = 0;
    kd_expr **columns = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, in->given);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, in->given);
    if (columns == NULL || exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < in->given; i++) {
        columns[i] = kdi_column_expr(ctx, b, &rel->columns[i], rel->position);
        if (columns[i] == NULL)
            return KD_NOMEM;
    }
    for (uint32_t i = 0; i < in->given; i++) {
        if (is_later_part(in, i))
            continue;
        exprs[kept] = columns[i];
        if (part_of(in->ast, i) != NULL)
            KD_TRY(bind_parts(ctx, b, in, i, NULL, columns, &exprs[kept]));
        bound->target_positions[kept++] = in->listed[i];
    }
    bound->target_count = kept;
    return kdi_rel_project(ctx, b, rel, exprs, NULL, kept, true, io_rel);
}

static kd_status bind_query(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                            const kd_ast_node *source, kd_bound_statement *bound)
{
    kd_rel *rel;
    b->keep_unknown = true;
    KD_TRY(kdi_bind_query(ctx, b, NULL, source, &rel));
    b->keep_unknown = false;
    if (ast->by_name)
        KD_TRY(positions_by_name(ctx, b, bound, rel));
    if (rel->column_count > bound->target_count ||
        (ast->columns.count > 0 && rel->column_count < bound->target_count))
        return count_mismatch(ctx, b, ast, rel->column_count, bound->target_count,
                              source->position);
    KD_TRY(check_given(ctx, b, bound, rel->column_count, source->position));
    bound->target_count = rel->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, rel->column_count);
    if (types == NULL)
        return KD_NOMEM;
    kdi_query query = {.clause = "INSERT"};
    kdi_scope scope = {.query = &query};
    insertion in = {.ast = ast, .bound = bound, .scope = &scope};
    KD_TRY(copy_positions(ctx, b, bound, rel->column_count, &in));
    for (uint32_t i = 0; i < rel->column_count; i++) {
        const kd_column *column = &bound->target->columns[bound->target_positions[i]];
        KD_TRY(refuse_value(ctx, b, ast, column, source->position));
        types[i] = column->storage.type;
        if (part_of(ast, i) != NULL) {
            KD_TRY(kdi_part_type(ctx, b, &scope, part_of(ast, i), column, &types[i]));
            continue;
        }
        kd_expr *probe = kdi_column_expr(ctx, b, &rel->columns[i], source->position);
        if (probe == NULL)
            return KD_NOMEM;
        if (!kdi_is_unknown(probe->type))
            KD_TRY(kdi_assign(ctx, b, column, &probe));
    }
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_ASSIGNMENT, &rel));
    if (has_parts(ast, in.given))
        KD_TRY(gather_parts(ctx, b, &in, bound, &rel));
    bound->query = rel;
    return KD_OK;
}

/* --- The statement --- */

static bool is_plain_values(const kd_ast_node *source)
{
    const kd_ast_select *select = (const kd_ast_select *)source;
    return source->kind == KD_AST_SELECT && select->is_values &&
           select->tail.with.ctes.count == 0 && select->tail.order_by.count == 0 &&
           select->tail.limit == NULL && select->tail.offset == NULL;
}

kd_status kdi_bind_insert(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                          kd_bound_statement *bound)
{
    kdi_with *with = b->with;
    KD_TRY(kdi_bind_with(ctx, b, NULL, &ast->with));
    KD_TRY(kdi_bind_target(ctx, b, &ast->table, 'a', bound));
    kd_slice alias = ast->alias.size_bytes > 0 ? ast->alias : ast->table.name;
    KD_TRY(bind_columns(ctx, b, ast, bound));
    bound->overriding_system = ast->overriding == KD_AST_OVERRIDING_SYSTEM;
    if (ast->source == NULL)
        bound->target_count = 0;
    else if (is_plain_values(ast->source))
        KD_TRY(bind_values(ctx, b, ast, (const kd_ast_select *)ast->source, bound));
    else
        KD_TRY(bind_query(ctx, b, ast, ast->source, bound));
    KD_TRY(kdi_bind_conflict(ctx, b, ast->on_conflict, alias, bound));
    kdi_query query = {0};
    kdi_scope scope = {.query = &query};
    kdi_source source;
    KD_TRY(kdi_returning_source(ctx, b, bound, alias, &source));
    KD_TRY(kdi_names_add_source(ctx, b, &scope.names, source));
    for (uint32_t i = 0; i < source.column_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, &scope.names, source.columns[i]));
    KD_TRY(kdi_bind_returning(ctx, b, &scope, &ast->returning, bound));
    b->with = with;
    return KD_OK;
}
