/*
 * WITH: ordinary, recursive and data-modifying queries.
 *
 * A WITH query is bound once, where it is defined, which also reports its errors
 * when nothing uses it. It is bound anew at each use when it asks not to be
 * materialised, or when it names columns of an outer query, whose values differ
 * from row to row. Whether one that is used once is really materialised is for
 * the planner to say.
 *
 * The queries of WITH RECURSIVE see each other in any order: one that is named before its turn is
 * bound there and then. Two that need each other meet while both are being bound, which is refused.
 */
#include "base/assert.h"
#include "sql/bind_internal.h"

#include <limits.h>

kdi_with *kdi_find_with(const kdi_binder *b, kd_slice name)
{
    for (kdi_with *with = b->with; with != NULL; with = with->outer)
        if (kd_slice_equal(with->name, name))
            return with;
    return NULL;
}

static kd_status rename_columns(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, kd_rel **io_rel)
{
    const kd_ast_names *names = &with->ast->columns;
    kd_rel *rel = *io_rel;
    if (names->count == 0)
        return KD_OK;
    if (names->count > rel->column_count)
        return kdi_at(ctx, b, with->ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42P10",
                              "WITH query \"%.*s\" has %u columns available but %zu columns "
                              "specified",
                              KDI_S(with->name), rel->column_count, names->count));
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count);
    kd_slice *renamed = KD_NEW_ARRAY(ctx, b->arena, kd_slice, rel->column_count);
    if (exprs == NULL || renamed == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &rel->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
        renamed[i] = i < names->count ? names->items[i] : rel->columns[i].name;
    }
    return kdi_rel_project(ctx, b, rel, exprs, renamed, rel->column_count, true, io_rel);
}

/* --- Recursive queries --- */

static kd_status types_must_agree(kd_ctx *ctx, kdi_binder *b, const kdi_with *with,
                                  const kd_rel *start, const kd_rel *step, const kd_type *types)
{
    for (uint32_t i = 0; i < start->column_count; i++) {
        if (kd_type_same(start->columns[i].type, types[i]))
            continue;
        KD_FAIL(ctx, KD_INVALID, "42804",
                "recursive query \"%.*s\" column %u has type %s in non-recursive term but type %s "
                "overall",
                KDI_S(with->name), i + 1, kdi_type_text(ctx, b, start->columns[i].type),
                kdi_type_text(ctx, b, types[i]));
        kd_error_set_hint(ctx, "Cast the output of the non-recursive term to the correct type.");
        return kdi_at(ctx, b, step->position, KD_INVALID);
    }
    return KD_OK;
}

static kd_status recursive_rel(kd_ctx *ctx, kdi_binder *b, kdi_with *with, const kd_ast_setop *ast,
                               kd_rel *start, kd_rel *step, kd_rel **out)
{
    if (start->column_count != step->column_count)
        return kdi_at(ctx, b, ast->right->position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "each UNION query must have the same number of columns"));
    uint32_t count = start->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_type pair[2] = {start->columns[i].type, step->columns[i].type};
        if (!kd_registry_common_type(b->registry, pair, 2, &types[i]))
            types[i] = pair[1];
    }
    KD_TRY(types_must_agree(ctx, b, with, start, step, types));
    for (uint32_t i = 0; i < count; i++)
        types[i] = start->columns[i].type;
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_ASSIGNMENT, &step));
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_RECURSIVE, ast->node.position, count);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        rel->columns[i] =
            (kd_rel_column){.id = kdi_next_id(b), .type = types[i], .name = start->columns[i].name};
    rel->inputs[0] = start;
    rel->inputs[1] = step;
    rel->as.recursive.all = ast->all;
    rel->as.recursive.working_no = with->working_no;
    *out = rel;
    return KD_OK;
}

/* The working table has the type of the non-recursive term, without modifiers. */
static kd_status working_columns(kd_ctx *ctx, kdi_binder *b, kdi_with *with, kd_rel **io_start)
{
    kd_rel *start = *io_start;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, start->column_count);
    with->columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, start->column_count);
    if (types == NULL || with->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < start->column_count; i++) {
        types[i] = start->columns[i].type;
        types[i].modifier = -1;
    }
    KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, io_start));
    with->column_count = (*io_start)->column_count;
    memcpy(with->columns, (*io_start)->columns, with->column_count * sizeof *with->columns);
    for (uint32_t i = 0; i < with->column_count; i++)
        with->columns[i].type.modifier = -1;
    return KD_OK;
}

static bool has_tail(const kd_ast_query_tail *tail)
{
    return tail->order_by.count > 0 || tail->limit != NULL || tail->offset != NULL;
}

/* The query has ORDER BY, OFFSET or LIMIT, and uses itself. */
static kd_status refuse_tail(kd_ctx *ctx, kdi_binder *b, const kdi_with *with, int position)
{
    const kd_ast_query_tail *tail = &((const kd_ast_setop *)with->ast->statement)->tail;
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                          "%s in a recursive query is not implemented",
                          tail->order_by.count > 0 ? "ORDER BY"
                          : tail->offset != NULL   ? "OFFSET"
                                                   : "LIMIT"));
}

static kd_status bind_recursive(kd_ctx *ctx, kdi_binder *b, kdi_with *with, const kd_ast_setop *ast,
                                kd_rel **out)
{
    kd_rel *start, *step;
    kdi_with *saved = b->with;
    uint32_t uses = b->working_uses, reads = b->working_reads;
    KD_TRY(kdi_search_form(ctx, b, with, ast));
    with->starting = true;
    b->with = with->visible;
    KD_TRY(kdi_bind_with(ctx, b, with->scope, &ast->tail.with));
    kdi_with *inner = b->with;
    KD_TRY(kdi_bind_query(ctx, b, with->scope, ast->left, &start));
    with->starting = false;
    KD_TRY(rename_columns(ctx, b, with, &start));
    KD_TRY(kdi_search_start(ctx, b, with, &start));
    KD_TRY(working_columns(ctx, b, with, &start));
    with->working = true;
    with->working_no = ++b->last_working_no;
    b->with = inner;
    b->keep_unknown = true;
    b->step = with->hidden_count > 0 ? with : NULL;
    KD_TRY(kdi_bind_query(ctx, b, with->scope, ast->right, &step));
    b->keep_unknown = false;
    b->step = NULL;
    b->with = saved;
    b->working_uses = uses;
    b->working_reads = reads;
    with->working = false;
    if (!with->working_used && has_tail(&ast->tail)) {
        b->with = with->visible;
        with->has_tail = true;
        KD_TRY(kdi_bind_query(ctx, b, with->scope, &ast->node, out));
        with->has_tail = false;
        b->with = saved;
        return rename_columns(ctx, b, with, out);
    }
    if (!with->working_used) {
        kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, start->column_count);
        if (types == NULL)
            return KD_NOMEM;
        if (start->column_count != step->column_count)
            return kdi_at(ctx, b, ast->right->position,
                          KD_FAIL(ctx, KD_INVALID, "42601",
                                  "each UNION query must have the same number of columns"));
        for (uint32_t i = 0; i < start->column_count; i++)
            types[i] = start->columns[i].type;
        KD_TRY(kdi_cast_columns(ctx, b, types, KD_CAST_IMPLICIT, &step));
        return kdi_set_rel(ctx, b, KD_SET_UNION, ast->all, start, step, ast->node.mark, out);
    }
    if (has_tail(&ast->tail))
        return refuse_tail(ctx, b, with, ast->node.position);
    bool locks = ast->tail.locking.count > 0 ||
                 (ast->right->kind == KD_AST_SELECT &&
                  ((const kd_ast_select *)ast->right)->tail.locking.count > 0);
    if (locks)
        return kdi_at(ctx, b, ast->right->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "FOR UPDATE/SHARE in a recursive query is not implemented"));
    KD_TRY(kdi_search_step(ctx, b, with, &step));
    return recursive_rel(ctx, b, with, ast, start, step, out);
}

/* --- All --- */

static kd_status bind_rows(kd_ctx *ctx, kdi_binder *b, kdi_with *with, kd_rel **out)
{
    bool recursive = with->recursive;
    const kd_ast_cte *ast = with->ast;
    const kd_ast_setop *setop = (const kd_ast_setop *)ast->statement;
    if (recursive && ast->statement->kind == KD_AST_SETOP && setop->what == KD_AST_UNION)
        return bind_recursive(ctx, b, with, setop, out);
    if (ast->search_sequence.size_bytes > 0 || ast->cycle_mark.size_bytes > 0)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "WITH query is not recursive"));
    kdi_with *saved = b->with;
    with->formless = recursive;
    b->with = with->visible;
    KD_TRY(kdi_bind_query(ctx, b, with->scope, ast->statement, out));
    with->formless = false;
    b->with = saved;
    return rename_columns(ctx, b, with, out);
}

/* The columns of a data-modifying query's rows, under the names that WITH gives them. */
static kd_status modifying_columns(kd_ctx *ctx, kdi_binder *b, const kdi_with *with,
                                   const kd_bound_statement *bound, kd_rel **out)
{
    const kd_ast_names *names = &with->ast->columns;
    /* Its rows come from the statement: an empty VALUES carries the columns. */
    kd_rel *rows = kdi_rel_new(ctx, b, KD_REL_VALUES, -1, bound->returning_count);
    *out = rows;
    if (rows == NULL)
        return KD_NOMEM;
    if (names->count > bound->returning_count && bound->returning_count > 0)
        return kdi_at(ctx, b, with->ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42P10",
                              "WITH query \"%.*s\" has %u columns available but %zu columns "
                              "specified",
                              KDI_S(with->name), bound->returning_count, names->count));
    for (uint32_t i = 0; i < bound->returning_count; i++) {
        rows->columns[i] = bound->returning_columns[i];
        if (i < names->count)
            rows->columns[i].name = names->items[i];
    }
    return KD_OK;
}

static kd_status bind_modifying(kd_ctx *ctx, kdi_binder *b, kdi_with *with)
{
    kd_cte *cte = KD_NEW(ctx, b->arena, kd_cte);
    kd_bound_statement *bound = KD_NEW(ctx, b->arena, kd_bound_statement);
    if (cte == NULL || bound == NULL)
        return KD_NOMEM;
    if (!with->list->is_top)
        return kdi_at(ctx, b, with->ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "WITH clause containing a data-modifying statement must be at the "
                              "top level"));
    kdi_with *saved = b->with;
    const kd_table_entry *target = b->target;
    bool reads_target = b->reads_target;
    b->with = with->visible;
    b->target = NULL;
    b->view = NULL;
    b->reads_target = false;
    KD_TRY(kdi_bind_statement(ctx, b, with->ast->statement, bound));
    bound->reads_target |= b->reads_target;
    b->with = saved;
    b->target = target;
    b->reads_target = reads_target;
    cte->name = with->name;
    cte->materialized = true;
    KD_TRY(modifying_columns(ctx, b, with, bound, &cte->query));
    struct kd_bound_modifying_cte *added;
    KD_TRY(KD_PUSH(ctx, b->arena, b->modifying, b->modifying_count, b->modifying_capacity, &added));
    added->cte = cte;
    added->statement = bound;
    kd_cte **slot;
    KD_TRY(KD_PUSH(ctx, b->arena, b->ctes, b->cte_count, b->cte_capacity, &slot));
    *slot = cte;
    with->cte = cte;
    return KD_OK;
}

static kd_status bind_one(kd_ctx *ctx, kdi_binder *b, kdi_with *with)
{
    if (!kd_ast_is_query(with->ast->statement))
        return bind_modifying(ctx, b, with);
    int shallowest = b->shallowest, deepest = b->deepest;
    b->shallowest = INT_MAX;
    kd_rel *rows;
    uint32_t uses = b->working_uses, reads = b->working_reads;
    KD_TRY(bind_rows(ctx, b, with, &rows));
    /* It changes with every round of the recursion that it reads. */
    bool reads_working = b->working_reads > reads;
    b->working_uses = uses;
    bool correlated = with->scope != NULL && b->shallowest <= with->scope->depth;
    b->shallowest = b->shallowest < shallowest ? b->shallowest : shallowest;
    b->deepest = deepest;
    if (correlated || reads_working || with->ast->materialized == KD_AST_NOT_MATERIALIZED)
        return KD_OK;
    kd_cte *cte = KD_NEW(ctx, b->arena, kd_cte);
    kd_cte **slot;
    if (cte == NULL)
        return KD_NOMEM;
    KD_TRY(KD_PUSH(ctx, b->arena, b->ctes, b->cte_count, b->cte_capacity, &slot));
    cte->name = with->name;
    cte->query = rows;
    cte->materialized = with->ast->materialized == KD_AST_MATERIALIZED;
    cte->is_recursive = with->working_used;
    *slot = cte;
    with->cte = cte;
    return KD_OK;
}

/* Binds a query whose turn has come, which in WITH RECURSIVE may be in the midst of another one. */
static kd_status bind_pending(kd_ctx *ctx, kdi_binder *b, kdi_with *with)
{
    kd_assert(with->state == KDI_WITH_PENDING);
    const kdi_with *current = with->list->current, *step = b->step;
    bool keep_unknown = b->keep_unknown, wants_refs = b->wants_refs, rebinding = b->rebinding;
    b->keep_unknown = b->wants_refs = b->rebinding = false;
    b->step = NULL;
    with->list->current = with;
    with->state = KDI_WITH_BINDING;
    KD_TRY(bind_one(ctx, b, with));
    with->state = KDI_WITH_BOUND;
    with->list->current = current;
    b->step = step;
    b->rebinding = rebinding;
    b->wants_refs = wants_refs;
    b->keep_unknown = keep_unknown;
    return KD_OK;
}

kd_status kdi_bind_with(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_with *with)
{
    if (with->ctes.count == 0)
        return KD_OK;
    kdi_with *before = b->with;
    kdi_with *made = KD_NEW_ARRAY(ctx, b->arena, kdi_with, with->ctes.count);
    kdi_with_list *list = KD_NEW(ctx, b->arena, kdi_with_list);
    if (made == NULL || list == NULL)
        return KD_NOMEM;
    list->is_top = with == b->top_with;
    for (size_t i = 0; i < with->ctes.count; i++) {
        const kd_ast_cte *ast = (const kd_ast_cte *)with->ctes.items[i];
        for (size_t j = 0; j < i; j++)
            if (kd_slice_equal(made[j].name, ast->name))
                return kdi_at(ctx, b, ast->node.position,
                              KD_FAIL(ctx, KD_INVALID, "42712",
                                      "WITH query name \"%.*s\" specified more than once",
                                      KDI_S(ast->name)));
        made[i] = (kdi_with){.outer = i == 0 ? before : &made[i - 1],
                             .list = list,
                             .name = ast->name,
                             .ast = ast,
                             .scope = outer,
                             .recursive = with->recursive};
        made[i].visible = with->recursive ? &made[with->ctes.count - 1] : made[i].outer;
    }
    for (size_t i = 0; i < with->ctes.count; i++)
        if (made[i].state == KDI_WITH_PENDING)
            KD_TRY(bind_pending(ctx, b, &made[i]));
    b->with = &made[with->ctes.count - 1];
    return KD_OK;
}

static kd_status use_working(kd_ctx *ctx, kdi_binder *b, kdi_with *with, int position, kd_rel **out)
{
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_WORKING, position, with->column_count);
    if (rel == NULL)
        return KD_NOMEM;
    if (with->working_used && !b->rebinding)
        return kdi_at(
            ctx, b, position,
            KD_FAIL(ctx, KD_INVALID, "42P19",
                    "recursive reference to query \"%.*s\" must not appear more than once",
                    KDI_S(with->name)));
    with->working_used = true;
    with->working_rel = rel;
    b->working_uses++;
    b->working_reads++;
    rel->as.working.working_no = with->working_no;
    for (uint32_t i = 0; i < with->column_count; i++) {
        rel->columns[i] = with->columns[i];
        rel->columns[i].id = kdi_next_id(b);
    }
    *out = rel;
    return KD_OK;
}

kd_status kdi_refuse_working(kd_ctx *ctx, kdi_binder *b, uint32_t uses_before, const char *where)
{
    if (b->working_uses == uses_before)
        return KD_OK;
    const kdi_with *with = b->with;
    while (with->outer != NULL && !(with->working && with->list->current == with))
        with = with->outer;
    return KD_FAIL(ctx, KD_INVALID, "42P19",
                   "recursive reference to query \"%.*s\" must not appear within %s",
                   KDI_S(with->name), where);
}

/* A use inside the query itself. */
static kd_status use_self(kd_ctx *ctx, kdi_binder *b, kdi_with *with, int position, kd_rel **out)
{
    if (with->list->current != with)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "mutual recursion between WITH items is not implemented"));
    if (with->has_tail)
        return refuse_tail(ctx, b, with, position);
    if (with->starting)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42P19",
                              "recursive reference to query \"%.*s\" must not appear within its "
                              "non-recursive term",
                              KDI_S(with->name)));
    if (with->formless)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42P19",
                              "recursive query \"%.*s\" does not have the form non-recursive-term "
                              "UNION [ALL] recursive-term",
                              KDI_S(with->name)));
    if (!with->working)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_INVALID, "42P19",
                              "recursive query \"%.*s\" must not contain data-modifying statements",
                              KDI_S(with->name)));
    return use_working(ctx, b, with, position, out);
}

/* Binds the query anew for one more use of it. */
static kd_status bind_again(kd_ctx *ctx, kdi_binder *b, kdi_with *with, kd_rel **out)
{
    kdi_with saved = *with;
    const kdi_with *current = with->list->current;
    uint32_t uses = b->working_uses;
    bool rebinding = b->rebinding;
    with->state = KDI_WITH_BINDING;
    with->list->current = with;
    with->working_used = false;
    b->rebinding = true;
    KD_TRY(bind_rows(ctx, b, with, out));
    b->rebinding = rebinding;
    b->working_uses = uses;
    with->list->current = current;
    *with = saved;
    return KD_OK;
}

kd_status kdi_use_with(kd_ctx *ctx, kdi_binder *b, kdi_with *with, int position, kd_rel **out)
{
    if (with->state == KDI_WITH_PENDING)
        KD_TRY(bind_pending(ctx, b, with));
    if (with->state == KDI_WITH_BINDING)
        return use_self(ctx, b, with, position, out);
    if (with->cte == NULL)
        return bind_again(ctx, b, with, out);
    kd_cte *cte = with->cte;
    if (!kd_ast_is_query(with->ast->statement) && cte->query->column_count == 0)
        return kdi_at(ctx, b, position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "WITH query \"%.*s\" does not have a RETURNING clause",
                              KDI_S(with->name)));
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_CTE, position, cte->query->column_count);
    kd_column_id *ids = KD_NEW_ARRAY(ctx, b->arena, kd_column_id, cte->query->column_count);
    if (rel == NULL || ids == NULL)
        return KD_NOMEM;
    cte->use_count++;
    rel->as.cte.cte = cte;
    rel->as.cte.source_ids = ids;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        rel->columns[i] = cte->query->columns[i];
        ids[i] = rel->columns[i].id;
        rel->columns[i].id = kdi_next_id(b);
    }
    *out = rel;
    return KD_OK;
}
