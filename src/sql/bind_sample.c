/*
 * TABLESAMPLE and USING SAMPLE.
 *
 * A table's sample is a condition over the scan's row references: sample_row draws by row,
 * sample_block by block, both by a hash of the reference and the seed, so that a seed gives the
 * same sample again and every thread decides alike. USING SAMPLE n ROWS sorts by chance and cuts.
 */
#include "sql/bind_internal.h"

static kd_status sample_number(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_ast_node *node, const char *clause, kd_expr **out)
{
    kdi_query query = {.clause = clause};
    kdi_scope inner = {.outer = scope, .query = &query, .depth = scope == NULL ? 0 : scope->depth};
    KD_TRY(kdi_bind_expr(ctx, b, &inner, node, out));
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_FLOAT8), KD_CAST_IMPLICIT, out);
}

static kd_status check_percent(kd_ctx *ctx, kdi_binder *b, const kd_expr *percent)
{
    const kd_expr *written = percent->kind == KD_EXPR_CAST ? percent->arguments[0] : percent;
    if (written->kind != KD_EXPR_CONSTANT)
        return KD_OK;
    if (written->constant.is_null)
        return kdi_at(ctx, b, percent->position,
                      KD_FAIL(ctx, KD_INVALID, "2202H", "TABLESAMPLE parameter cannot be null"));
    if (written->type.id != KD_TYPE_INT4 && written->type.id != KD_TYPE_FLOAT8)
        return KD_OK; /* The running sample will see. */
    double value = written->type.id == KD_TYPE_INT4 ? (double)written->constant.as.i32
                                                    : written->constant.as.f64;
    if (!(value >= 0 && value <= 100))
        return kdi_at(
            ctx, b, percent->position,
            KD_FAIL(ctx, KD_INVALID, "2202H", "sample percentage must be between 0 and 100"));
    return KD_OK;
}

/* The method's function; NULL when there is no such method. */
static const char *method_function(kd_slice method)
{
    if (kd_slice_equal(method, KD_SLICE("bernoulli")))
        return "sample_row";
    return kd_slice_equal(method, KD_SLICE("system")) ? "sample_block" : NULL;
}

kd_status kdi_sample_table(kd_ctx *ctx, kdi_binder *b, const kd_ast_sample *ast,
                           const kd_rel_column *refs, kd_rel **io_rel)
{
    const char *function = method_function(ast->method.name);
    int position = ast->method.position;
    if (function == NULL)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42704", "tablesample method %.*s does not exist",
                              KDI_S(ast->method.name)));
    if (ast->args.count != 1)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "2202H",
                              "tablesample method %.*s requires 1 argument, not %zu",
                              KDI_S(ast->method.name), ast->args.count));
    kd_expr *arguments[4] = {kdi_column_expr(ctx, b, refs, position), NULL, NULL, NULL}, *condition;
    KD_TRY(sample_number(ctx, b, NULL, ast->args.items[0], "TABLESAMPLE", &arguments[1]));
    KD_TRY(check_percent(ctx, b, arguments[1]));
    uint32_t count = 3;
    arguments[2] = kdi_constant(ctx, b, kd_value_i64(kdi_next_id(b)), -1);
    if (arguments[0] == NULL || arguments[2] == NULL)
        return KD_NOMEM;
    if (ast->seed != NULL) {
        KD_TRY(sample_number(ctx, b, NULL, ast->seed, "REPEATABLE", &arguments[count]));
        if (arguments[count]->kind == KD_EXPR_CONSTANT && arguments[count]->constant.is_null)
            return kdi_at(ctx, b, ast->seed->position,
                          KD_FAIL(ctx, KD_INVALID, "2202G",
                                  "TABLESAMPLE REPEATABLE parameter cannot be null"));
        count++;
    }
    KD_TRY(kdi_call(ctx, b, kd_slice_of(function), arguments, count, position, &condition));
    return kdi_rel_filter(ctx, b, condition, io_rel);
}

/* A number in [0, 100) per row: by chance, or by the row itself and the seed. */
static kd_status draw(kd_ctx *ctx, kdi_binder *b, const kd_ast_sample *ast, const kd_rel *rel,
                      kd_expr **out)
{
    if (ast->seed == NULL) {
        kd_expr *chance, *hundred = kdi_constant(ctx, b, kd_value_f64(100), -1);
        if (hundred == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_call(ctx, b, KD_SLICE("random"), NULL, 0, ast->method.position, &chance));
        return kdi_operator(ctx, b, KD_SLICE("*"), chance, hundred, ast->method.position, out);
    }
    kdi_source all = {.column_count = rel->column_count, .columns = rel->columns};
    kd_expr *arguments[2];
    KD_TRY(kdi_whole_row(ctx, b, &all, ast->method.position, &arguments[0]));
    KD_TRY(sample_number(ctx, b, NULL, ast->seed, "REPEATABLE", &arguments[1]));
    return kdi_call(ctx, b, KD_SLICE("sample_draw"), arguments, 2, ast->method.position, out);
}

static kd_status sample_rows(kd_ctx *ctx, kdi_binder *b, kd_expr *drawn, kd_expr *count,
                             kd_rel **io_rel)
{
    kd_rel *sort = kdi_rel_over(ctx, b, KD_REL_SORT, *io_rel);
    if (sort == NULL)
        return KD_NOMEM;
    sort->as.sort.key_count = 1;
    sort->as.sort.keys = KD_NEW(ctx, b->arena, kd_sort_key);
    kd_rel *limit = kdi_rel_over(ctx, b, KD_REL_LIMIT, sort);
    if (sort->as.sort.keys == NULL || limit == NULL)
        return KD_NOMEM;
    sort->as.sort.keys[0].expr = drawn;
    limit->as.limit.count = count;
    *io_rel = limit;
    return KD_OK;
}

kd_status kdi_sample_query(kd_ctx *ctx, kdi_binder *b, const kd_ast_sample *ast, kd_rel **io_rel)
{
    if (ast->size == NULL)
        return KD_OK;
    bool is_reservoir = kd_slice_equal(ast->method.name, KD_SLICE("reservoir"));
    if (ast->method.name.size_bytes > 0 && !is_reservoir &&
        method_function(ast->method.name) == NULL)
        return kdi_at(ctx, b, ast->method.position,
                      KD_FAIL(ctx, KD_INVALID, "42704", "sample method %.*s does not exist",
                              KDI_S(ast->method.name)));
    kd_expr *size, *drawn, *condition;
    KD_TRY(sample_number(ctx, b, NULL, ast->size, "USING SAMPLE", &size));
    KD_TRY(draw(ctx, b, ast, *io_rel, &drawn));
    if (!ast->is_percent) {
        KD_TRY(kdi_coerce(ctx, b, kd_type_of(KD_TYPE_INT8), KD_CAST_ASSIGNMENT, &size));
        return sample_rows(ctx, b, drawn, size, io_rel);
    }
    KD_TRY(check_percent(ctx, b, size));
    KD_TRY(kdi_operator(ctx, b, KD_SLICE("<"), drawn, size, ast->method.position, &condition));
    return kdi_rel_filter(ctx, b, condition, io_rel);
}
