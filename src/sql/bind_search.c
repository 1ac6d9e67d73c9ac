/*
 * SEARCH and CYCLE of recursive WITH queries.
 *
 * The rows carry hidden columns behind the query's own: where SEARCH orders by, whether CYCLE met a
 * row again, and the path that it came by. The starting rows begin them; the step hands on those of
 * the row that it came from, and they are continued here.
 *
 *   DEPTH FIRST    ARRAY[ROW(columns)], then path || ROW(columns)
 *   BREADTH FIRST  ROW(0, columns), then ROW(depth + 1, columns)
 *   CYCLE          default, then whether ROW(columns) is in the path; rows that are are not
 * followed
 */
#include "sql/bind_internal.h"

static bool searches(const kd_ast_cte *ast)
{
    return ast->search_sequence.size_bytes > 0;
}

static bool finds_cycles(const kd_ast_cte *ast)
{
    return ast->cycle_mark.size_bytes > 0;
}

/* ROW(first, the named columns); `first` may be NULL. */
static kd_status row_of(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, const kd_ast_names *names,
                        const char *clause, kd_expr *first, const kd_rel *rel, kd_expr **out)
{
    uint32_t count = (uint32_t)names->count + (first != NULL), at = 0;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (exprs == NULL)
        return KD_NOMEM;
    if (first != NULL)
        exprs[at++] = first;
    for (size_t i = 0; i < names->count; i++) {
        for (uint32_t c = 0; c < rel->column_count && exprs[at] == NULL; c++)
            if (kd_slice_equal(rel->columns[c].name, names->items[i]))
                exprs[at] = kdi_column_expr(ctx, b, &rel->columns[c], -1);
        for (size_t k = 0; k < i; k++)
            if (kd_slice_equal(names->items[k], names->items[i]))
                return kdi_at(ctx, b, with->ast->node.position,
                              KD_FAIL(ctx, KD_INVALID, "42701",
                                      "%s column \"%.*s\" specified more than once", clause,
                                      KDI_S(names->items[i])));
        if (exprs[at++] == NULL)
            return kdi_at(ctx, b, with->ast->node.position,
                          KD_FAIL(ctx, KD_INVALID, "42601",
                                  "%s column \"%.*s\" not in WITH query column list", clause,
                                  KDI_S(names->items[i])));
    }
    return kdi_make_row(ctx, b, exprs, count, with->ast->node.position, out);
}

static kd_status array_of(kd_ctx *ctx, kdi_binder *b, kd_expr *row, kd_expr **out)
{
    *out = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, kd_type_array_of(row->type), row->position, 1);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->arguments[0] = row;
    return KD_OK;
}

/* TO and DEFAULT: true and false where they are not written. */
static kd_status bind_marks(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, kd_expr *out[2])
{
    const kd_ast_node *nodes[2] = {with->ast->cycle_to, with->ast->cycle_default};
    kdi_query query = {.clause = "CYCLE"};
    kdi_scope scope = {.query = &query};
    for (int i = 0; i < 2; i++) {
        out[i] = kdi_constant(ctx, b, kd_value_bool(i == 0), -1);
        if (out[i] == NULL)
            return KD_NOMEM;
        if (nodes[i] != NULL)
            KD_TRY(kdi_bind_expr(ctx, b, &scope, nodes[i], &out[i]));
    }
    kd_type type;
    return kdi_unify(ctx, b, "CYCLE", out, 2, &type);
}

/* `rel` with these columns behind its first `kept` ones. */
static kd_status extend(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, uint32_t kept,
                        kd_expr *const *hidden, kd_rel **io_rel)
{
    const kd_ast_cte *ast = with->ast;
    kd_slice hidden_names[3];
    uint32_t count = 0;
    if (searches(ast))
        hidden_names[count++] = ast->search_sequence;
    if (finds_cycles(ast)) {
        hidden_names[count++] = ast->cycle_mark;
        hidden_names[count++] = ast->cycle_path;
    }
    kd_rel *rel = *io_rel;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, kept + count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, kept + count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < kept + count; i++) {
        exprs[i] = i < kept ? kdi_column_expr(ctx, b, &rel->columns[i], -1) : hidden[i - kept];
        names[i] = i < kept ? rel->columns[i].name : hidden_names[i - kept];
        if (exprs[i] == NULL)
            return KD_NOMEM;
        for (uint32_t k = 0; i >= kept && k < i; k++)
            if (kd_slice_equal(names[k], names[i]))
                return kdi_at(ctx, b, ast->node.position,
                              KD_FAIL(ctx, KD_INVALID, "42601",
                                      "column name \"%.*s\" already used in WITH query column list",
                                      KDI_S(names[i])));
    }
    return kdi_rel_project(ctx, b, rel, exprs, names, kept + count, true, io_rel);
}

/* Both sides of the UNION are SELECTs. */
kd_status kdi_search_form(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, const kd_ast_setop *ast)
{
    if (!searches(with->ast) && !finds_cycles(with->ast))
        return KD_OK;
    if (ast->left->kind == KD_AST_SETOP)
        return kdi_at(ctx, b, ast->left->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "with a SEARCH or CYCLE clause, the left side of the UNION must be a "
                              "SELECT"));
    if (ast->right->kind == KD_AST_SETOP)
        return kdi_at(ctx, b, ast->right->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "42601",
                              "with a SEARCH or CYCLE clause, the right side of the UNION must be "
                              "a SELECT"));
    return KD_OK;
}

kd_status kdi_search_start(kd_ctx *ctx, kdi_binder *b, kdi_with *with, kd_rel **io_start)
{
    const kd_ast_cte *ast = with->ast;
    kd_expr *hidden[3], *row, *marks[2];
    uint32_t count = 0;
    if (searches(ast)) {
        kd_expr *depth = NULL;
        if (ast->search_breadth)
            depth = kdi_constant(ctx, b, kd_value_i64(0), -1);
        KD_TRY(row_of(ctx, b, with, &ast->search_columns, "search", depth, *io_start, &row));
        if (ast->search_breadth)
            hidden[count++] = row;
        else
            KD_TRY(array_of(ctx, b, row, &hidden[count++]));
    }
    if (finds_cycles(ast)) {
        KD_TRY(bind_marks(ctx, b, with, marks));
        hidden[count++] = marks[1];
        KD_TRY(row_of(ctx, b, with, &ast->cycle_columns, "cycle", NULL, *io_start, &row));
        KD_TRY(array_of(ctx, b, row, &hidden[count++]));
    }
    with->hidden_count = count;
    return count == 0 ? KD_OK : extend(ctx, b, with, (*io_start)->column_count, hidden, io_start);
}

static kd_status next_sequence(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, const kd_rel *step,
                               const kd_rel_column *column, kd_expr **out)
{
    const kd_ast_cte *ast = with->ast;
    kd_expr *before = kdi_column_expr(ctx, b, column, -1), *row, *depth = NULL;
    if (before == NULL)
        return KD_NOMEM;
    if (ast->search_breadth) {
        kd_record_shape shape;
        bool known;
        kd_expr *one = kdi_constant(ctx, b, kd_value_i64(1), -1);
        if (one == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_row_shape(ctx, b, column->type, &shape, &known));
        KD_TRY(kdi_row_field(ctx, b, before, &shape, 0, -1, &depth));
        KD_TRY(kdi_operator(ctx, b, KD_SLICE("+"), depth, one, -1, &depth));
    }
    KD_TRY(row_of(ctx, b, with, &ast->search_columns, "search", depth, step, &row));
    *out = row;
    return ast->search_breadth ? KD_OK : kdi_operator(ctx, b, KD_SLICE("||"), before, row, -1, out);
}

/* Whether the row is in the path, and the path with it. */
static kd_status next_path(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, const kd_rel *step,
                           const kd_rel_column *column, kd_expr *out[2])
{
    kd_expr *path = kdi_column_expr(ctx, b, column, -1), *row, *marks[2];
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(row_of(ctx, b, with, &with->ast->cycle_columns, "cycle", NULL, step, &row));
    KD_TRY(bind_marks(ctx, b, with, marks));
    kd_type wanted[2], result, boolean = kd_type_of(KD_TYPE_BOOL);
    kd_expr *any = kdi_expr_new(ctx, b, KD_EXPR_ANY_ARRAY, boolean, -1, 2);
    kd_expr *choice = kdi_expr_new(ctx, b, KD_EXPR_CASE, marks[0]->type, -1, 3);
    if (any == NULL || choice == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_find_operator(ctx, b, KD_SLICE("="), row->type, row->type, -1, &any->function,
                             wanted, &result));
    any->arguments[0] = row;
    any->arguments[1] = path;
    KD_TRY(kdi_coerce(ctx, b, wanted[0], KD_CAST_IMPLICIT, &any->arguments[0]));
    KD_TRY(kdi_coerce(ctx, b, kd_type_array_of(wanted[1]), KD_CAST_IMPLICIT, &any->arguments[1]));
    choice->case_has_else = true;
    choice->arguments[0] = any;
    choice->arguments[1] = marks[0];
    choice->arguments[2] = marks[1];
    out[0] = choice;
    return kdi_operator(ctx, b, KD_SLICE("||"), path, row, -1, &out[1]);
}

/* Rows that were met before are not followed. */
static kd_status follow_others(kd_ctx *ctx, kdi_binder *b, const kdi_with *with,
                               const kd_rel_column *mark, kd_rel **io_step)
{
    kd_expr *marks[2], *column = kdi_column_expr(ctx, b, mark, -1), *unmarked;
    if (column == NULL)
        return KD_NOMEM;
    KD_TRY(bind_marks(ctx, b, with, marks));
    KD_TRY(kdi_operator(ctx, b, KD_SLICE("<>"), column, marks[0], -1, &unmarked));
    return kdi_rel_filter(ctx, b, unmarked, io_step);
}

kd_status kdi_search_step(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, kd_rel **io_step)
{
    if (with->hidden_count == 0)
        return KD_OK;
    if ((*io_step)->column_count != with->column_count)
        return kdi_at(ctx, b, with->ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "each UNION query must have the same number of columns"));
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, with->column_count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < with->column_count; i++)
        types[i] = with->columns[i].type;
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_ASSIGNMENT, io_step));
    uint32_t kept = with->column_count - with->hidden_count, count = 0;
    kd_rel_column *names = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, with->column_count);
    if (names == NULL)
        return KD_NOMEM;
    /* The step's columns go by the query's names. */
    memcpy(names, (*io_step)->columns, with->column_count * sizeof *names);
    for (uint32_t i = 0; i < kept; i++)
        names[i].name = with->columns[i].name;
    kd_rel named = {.column_count = kept, .columns = names};
    kd_expr *hidden[3];
    if (searches(with->ast)) {
        KD_TRY(next_sequence(ctx, b, with, &named, &names[kept], &hidden[0]));
        count = 1;
    }
    if (finds_cycles(with->ast)) {
        KD_TRY(follow_others(ctx, b, with, &names[kept + count], io_step));
        KD_TRY(next_path(ctx, b, with, &named, &names[kept + count + 1], &hidden[count]));
    }
    return extend(ctx, b, with, kept, hidden, io_step);
}
