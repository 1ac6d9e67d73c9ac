/*
 * Calls of functions, procedures and macros that were created in SQL.
 *
 * A function whose body is one query is put in where it is called, as views are, so that filters
 * and joins reach into it. Its body is bound with a column in the place of each argument; when the
 * body is known, the arguments take these columns' places. One that would then be computed more
 * than once, or not in its time, becomes a column of a row that is made before.
 *
 * Everything else (several statements, data changes, a call of itself) is run by the engine when
 * the call is reached: kade_call_routine and kade_routine_rows.
 */
#include "sql/bind_routine_internal.h"

#include "sql/ast_define.h"

bool kdi_query_writes(const kd_ast_node *query)
{
    const kd_ast_query_tail *tail = query->kind == KD_AST_SELECT
                                        ? &((const kd_ast_select *)query)->tail
                                        : &((const kd_ast_setop *)query)->tail;
    if (tail->locking.count > 0)
        return true;
    for (size_t i = 0; i < tail->with.ctes.count; i++)
        if (!kd_ast_is_query(((const kd_ast_cte *)tail->with.ctes.items[i])->statement))
            return true;
    return false;
}

struct kdi_frame {
    kdi_frame *outer;
    const kd_routine_entry *routine;
    uint32_t count; /* Arguments that a call gives. */
    const kd_slice *names;
    kd_rel_column *columns; /* What stands for them. */
};

/* --- Names of arguments --- */

static kd_status argument_column(kd_ctx *ctx, kdi_binder *b, uint32_t index, int position,
                                 kd_expr **out)
{
    *out = kdi_column_expr(ctx, b, &b->frame->columns[index], position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static int find_argument(const kd_slice *names, uint32_t count, kd_slice name)
{
    for (uint32_t i = 0; i < count && name.size_bytes > 0; i++)
        if (kd_slice_equal(names[i], name))
            return (int)i;
    return -1;
}

/* A statement that the engine runs for a routine has parameters with names. */
static kd_status named_parameter(kd_ctx *ctx, kdi_binder *b, kd_slice name, int position,
                                 bool *out_found, kd_expr **out)
{
    const kd_bind_options *options = b->options;
    int at = options->parameter_names == NULL
                 ? -1
                 : find_argument(options->parameter_names, options->parameter_name_count, name);
    *out_found = at >= 0;
    if (at < 0)
        return KD_OK;
    const kd_ast_param parameter = {.node = {.kind = KD_AST_PARAM, .position = position},
                                    .number = at + 1};
    return kdi_bind_expr(ctx, b, NULL, &parameter.node, out);
}

kd_status kdi_bind_argument(kd_ctx *ctx, kdi_binder *b, kd_slice name, int position,
                            bool *out_found, kd_expr **out)
{
    if (b->frame == NULL)
        return named_parameter(ctx, b, name, position, out_found, out);
    int at = find_argument(b->frame->names, b->frame->count, name);
    *out_found = at >= 0;
    return at < 0 ? KD_OK : argument_column(ctx, b, (uint32_t)at, position, out);
}

kd_status kdi_bind_argument_number(kd_ctx *ctx, kdi_binder *b, const kd_ast_param *ast,
                                   kd_expr **out)
{
    if (ast->number < 1 || (uint32_t)ast->number > b->frame->count)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42P02", "there is no parameter $%d", ast->number));
    return argument_column(ctx, b, (uint32_t)ast->number - 1, ast->node.position, out);
}

/* function.argument, and argument.field */
kd_status kdi_bind_argument_part(kd_ctx *ctx, kdi_binder *b, kd_slice first, kd_slice second,
                                 int position, bool *out_found, kd_expr **out)
{
    kd_slice own = b->frame != NULL ? b->frame->routine->object.name : b->options->routine_name;
    *out_found = false;
    if (kd_slice_equal(own, first))
        KD_TRY(kdi_bind_argument(ctx, b, second, position, out_found, out));
    if (*out_found)
        return KD_OK;
    KD_TRY(kdi_bind_argument(ctx, b, first, position, out_found, out));
    kd_record_shape shape = {0};
    bool known = false;
    if (*out_found)
        KD_TRY(kdi_row_shape(ctx, b, (*out)->type, &shape, &known));
    *out_found = known;
    for (uint32_t i = 0; i < shape.field_count && known; i++)
        if (kd_slice_equal(shape.names[i], second))
            return kdi_row_field(ctx, b, *out, &shape, i, position, out);
    *out_found = false;
    return KD_OK;
}

/* --- The body --- */

static kd_status body_text(kd_ctx *ctx, kdi_binder *b, const kd_routine_entry *routine,
                           kd_slice *out)
{
    kd_buffer text = kd_buffer_in(b->arena);
    if (routine->form == KD_BODY_RETURN)
        KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT "));
    KD_TRY(kd_buffer_append_slice(ctx, &text, routine->body));
    *out = kd_buffer_slice(&text);
    return KD_OK;
}

/* The query that the body is; NULL where it is anything else. */
static kd_status body_query(kd_ctx *ctx, kdi_binder *b, const kd_routine_entry *routine,
                            const kd_ast_node **out)
{
    kd_slice text;
    kd_parser *parser;
    kd_statement statement, more;
    *out = NULL;
    KD_TRY(body_text(ctx, b, routine, &text));
    KD_TRY(kd_parser_create(ctx, b->arena, text, &parser));
    KD_TRY(kd_parser_next(ctx, parser, &statement));
    if (statement.node == NULL || !kd_ast_is_query(statement.node))
        return KD_OK;
    KD_TRY(kd_parser_next(ctx, parser, &more));
    if (more.node != NULL || kdi_query_writes(statement.node))
        return KD_OK;
    *out = statement.node;
    return KD_OK;
}

static bool is_active(const kdi_binder *b, const kd_routine_entry *routine)
{
    uint32_t depth = 0;
    for (const kdi_frame *at = b->frame; at != NULL; at = at->outer)
        if (at->routine == routine || ++depth == KDI_ROUTINE_DEPTH_MAX)
            return true;
    return b->options->routine_no == routine->object.object_no;
}

static kd_status frame_create(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                              kdi_frame **out)
{
    kdi_frame *frame = *out = KD_NEW(ctx, b->arena, kdi_frame);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, call->argument_count);
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, call->argument_count);
    if (frame == NULL || names == NULL || columns == NULL)
        return KD_NOMEM;
    uint32_t at = 0;
    for (uint32_t i = 0; i < call->routine->argument_count; i++) {
        if (!kd_argument_is_input(&call->routine->arguments[i]))
            continue;
        names[at] = call->routine->arguments[i].name;
        columns[at] = (kd_rel_column){
            .id = kdi_next_id(b), .type = call->arguments[at]->type, .name = names[at]};
        at++;
    }
    *frame = (kdi_frame){.outer = b->frame,
                         .routine = call->routine,
                         .count = call->argument_count,
                         .names = names,
                         .columns = columns};
    return KD_OK;
}

/* As if the body stood alone: it sees its arguments and nothing of the place of the call. */
static kd_status bind_body(kd_ctx *ctx, kdi_binder *b, kdi_frame *frame, const kd_ast_node *query,
                           kd_rel **out)
{
    kdi_with *with = b->with;
    int deepest = b->deepest, shallowest = b->shallowest;
    bool keep_unknown = b->keep_unknown, wants_refs = b->wants_refs;
    KD_TRY(kdi_enter(ctx, b));
    b->with = NULL;
    b->frame = frame;
    b->keep_unknown = b->wants_refs = false;
    b->inside_text++;
    kd_status status = kdi_bind_query(ctx, b, NULL, query, out);
    b->inside_text--;
    b->keep_unknown = keep_unknown;
    b->wants_refs = wants_refs;
    b->frame = frame->outer;
    b->with = with;
    b->deepest = deepest;
    b->shallowest = shallowest;
    kdi_leave(b);
    return status;
}

/* --- Arguments in the body --- */

typedef struct uses {
    kdi_binder *b;
    const kdi_frame *frame;
    kd_expr **arguments;
    uint32_t *counts;
    const bool *stays; /* Arguments that stay columns. */
} uses;

static int argument_of(const kdi_frame *frame, const kd_expr *expr)
{
    for (uint32_t i = 0; expr->kind == KD_EXPR_COLUMN && i < frame->count; i++)
        if (frame->columns[i].id == expr->column)
            return (int)i;
    return -1;
}

static kd_status count_use(kd_ctx *ctx, void *object, kd_expr **slot)
{
    uses *self = object;
    int at = argument_of(self->frame, *slot);
    (void)ctx;
    if (at >= 0)
        self->counts[at]++;
    return KD_OK;
}

static kd_status put_argument(kd_ctx *ctx, void *object, kd_expr **slot)
{
    uses *self = object;
    int at = argument_of(self->frame, *slot);
    if (at < 0 || self->stays[at])
        return KD_OK;
    return kdi_copy_expr(ctx, self->b, self->arguments[at], slot);
}

static uint32_t size_of(const kd_expr *expr, uint32_t limit)
{
    uint32_t size = 1;
    for (uint32_t i = 0; i < expr->argument_count && size < limit; i++)
        size += size_of(expr->arguments[i], limit - size);
    return size;
}

/* Whether an argument may stand wherever the body names it. */
static bool may_move(const kd_expr *argument, uint32_t use_count)
{
    enum { COPY_SIZE_MAX = 8 };
    if (kd_expr_is_volatile(argument) || kd_expr_has_subquery(argument))
        return false;
    return use_count < 2 || size_of(argument, COPY_SIZE_MAX + 1) <= COPY_SIZE_MAX;
}

/* A row of the arguments that stay columns. */
static kd_status arguments_row(kd_ctx *ctx, kdi_binder *b, const uses *all, kd_rel **out)
{
    uint32_t count = 0;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, all->frame->count);
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, all->frame->count);
    kd_rel *one = kdi_rel_one_row(ctx, b);
    if (exprs == NULL || columns == NULL || one == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < all->frame->count; i++)
        if (all->stays[i]) {
            exprs[count] = all->arguments[i];
            columns[count++] = all->frame->columns[i];
        }
    KD_TRY(kdi_rel_project(ctx, b, one, exprs, NULL, count, false, out));
    memcpy((*out)->columns, columns, count * sizeof *columns);
    return KD_OK;
}

/* SELECT expressions, without FROM: over one row of nothing. */
static bool is_expressions(const kd_rel *rel)
{
    return rel->kind == KD_REL_PROJECT && rel->inputs[0]->kind == KD_REL_VALUES &&
           rel->inputs[0]->column_count == 0 && rel->inputs[0]->as.values.row_count == 1;
}

/* Puts the arguments in. `*out_fits` false: the body cannot take them in its place. */
static kd_status put_arguments(kd_ctx *ctx, kdi_binder *b, const kdi_frame *frame,
                               const kdi_routine_call *call, size_t first_cte, kd_rel **io_rel,
                               bool *out_fits)
{
    bool *stays = KD_NEW_ARRAY(ctx, b->arena, bool, frame->count + 1), any = false;
    uint32_t *counts = KD_NEW_ARRAY(ctx, b->arena, uint32_t, frame->count + 1);
    uses all = {
        .b = b, .frame = frame, .arguments = call->arguments, .counts = counts, .stays = stays};
    if (stays == NULL || counts == NULL)
        return KD_NOMEM;
    *out_fits = true;
    for (size_t i = first_cte; i < b->cte_count; i++)
        KD_TRY(kd_rel_walk(ctx, b->ctes[i]->query, count_use, &all));
    for (uint32_t i = 0; i < frame->count; i++)
        if (counts[i] > 0 && call->arguments[i]->kind != KD_EXPR_CONSTANT)
            *out_fits = false; /* A WITH query is computed once, whatever row it is for. */
    if (!*out_fits)
        return KD_OK;
    KD_TRY(kd_rel_walk(ctx, *io_rel, count_use, &all));
    for (uint32_t i = 0; i < frame->count; i++) {
        stays[i] = counts[i] > 0 && !may_move(call->arguments[i], counts[i]);
        any |= stays[i];
    }
    for (size_t i = first_cte; i < b->cte_count; i++)
        KD_TRY(kd_rel_walk(ctx, b->ctes[i]->query, put_argument, &all));
    KD_TRY(kd_rel_walk(ctx, *io_rel, put_argument, &all));
    if (!any)
        return KD_OK;
    kd_rel *row;
    KD_TRY(arguments_row(ctx, b, &all, &row));
    if (is_expressions(*io_rel)) {
        (*io_rel)->inputs[0] = row;
        return KD_OK;
    }
    KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_INNER, row, *io_rel, NULL, io_rel));
    (*io_rel)->as.join.lateral = true;
    /* The body's columns alone. */
    kd_rel *body = (*io_rel)->inputs[1];
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, body->column_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, body->column_count);
    if (exprs == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < body->column_count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &body->columns[i], -1);
        names[i] = body->columns[i].name;
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    return kdi_rel_project(ctx, b, *io_rel, exprs, names, body->column_count, true, io_rel);
}

/* STRICT: rows of a set come, and values are not NULL, only where no argument is NULL. */
static kd_status any_is_null(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                             kd_expr **out)
{
    kd_expr *any =
        kdi_expr_new(ctx, b, KD_EXPR_OR, kd_type_of(KD_TYPE_BOOL), -1, call->argument_count);
    uint32_t count = 0;
    *out = NULL;
    if (any == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        const kd_expr *argument = call->arguments[i];
        if (argument->kind == KD_EXPR_CONSTANT && !argument->constant.is_null)
            continue;
        kd_expr *test = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, kd_type_of(KD_TYPE_BOOL), -1, 1);
        if (test == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_copy_expr(ctx, b, argument, &test->arguments[0]));
        any->arguments[count++] = test;
    }
    any->argument_count = count;
    *out = count == 0 ? NULL : count == 1 ? any->arguments[0] : any;
    return KD_OK;
}

/* --- What a call gives --- */

bool kdi_routine_gives_any_row(const kd_routine_entry *routine)
{
    bool any = routine->result.id == KD_TYPE_RECORD && !routine->result.is_array &&
               routine->result.object == 0;
    for (uint32_t i = 0; i < routine->argument_count; i++)
        any &= routine->arguments[i].mode == KD_ARGUMENT_IN ||
               routine->arguments[i].mode == KD_ARGUMENT_VARIADIC;
    return any;
}

kd_status kdi_routine_shape(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                            kd_record_shape *out, bool *out_is_row)
{
    const kd_routine_entry *routine = call->routine;
    kd_type result = kd_registry_resolve(routine->result, call->element);
    *out_is_row = false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < routine->argument_count; i++)
        count += routine->arguments[i].mode != KD_ARGUMENT_IN &&
                 routine->arguments[i].mode != KD_ARGUMENT_VARIADIC;
    if (count == 0 || result.id != KD_TYPE_RECORD || result.is_array || result.object != 0)
        return kdi_row_shape(ctx, b, result, out, out_is_row);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, count);
    if (types == NULL || names == NULL)
        return KD_NOMEM;
    *out = (kd_record_shape){count, types, names};
    *out_is_row = true;
    count = 0;
    for (uint32_t i = 0; i < routine->argument_count; i++) {
        const kd_routine_argument *argument = &routine->arguments[i];
        if (argument->mode == KD_ARGUMENT_IN || argument->mode == KD_ARGUMENT_VARIADIC)
            continue;
        types[count] = kd_registry_resolve(argument->type, call->element);
        names[count] = argument->name;
        if (names[count].size_bytes == 0) {
            char *name = kd_format_text(ctx, b->arena, "column%u", count + 1);
            if (name == NULL)
                return KD_NOMEM;
            names[count] = kd_slice_of(name);
        }
        count++;
    }
    return KD_OK;
}

static kd_status mismatch(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                          const char *detail)
{
    kd_type result = kd_registry_resolve(call->routine->result, call->element);
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "42P13", "return type mismatch in function declared to return %s",
                kdi_type_text(ctx, b, result));
    kd_error_set_detail(ctx, "%s", detail);
    return status;
}

/* The body's columns as the result's: cast as an assignment would. */
static kd_status shape_columns(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                               const kd_record_shape *shape, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    if (rel->column_count != shape->field_count)
        return mismatch(ctx, b, call,
                        rel->column_count > shape->field_count
                            ? "Final statement returns too many columns."
                            : "Final statement returns too few columns.");
    for (uint32_t i = 0; i < shape->field_count; i++)
        if (!kd_registry_can_coerce(b->registry, rel->columns[i].type, shape->types[i],
                                    KD_CAST_ASSIGNMENT)) {
            char *detail = kd_format_text(ctx, b->arena,
                                          "Final statement returns %s instead of %s at column %u.",
                                          kdi_type_text(ctx, b, rel->columns[i].type),
                                          kdi_type_text(ctx, b, shape->types[i]), i + 1);
            return detail == NULL ? KD_NOMEM : mismatch(ctx, b, call, detail);
        }
    return kdi_cast_columns(ctx, b, shape->types, KD_CAST_ASSIGNMENT, io_rel);
}

/* The body as a relation of the result's columns: several where it is a row. */
static kd_status inline_body(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call, kd_rel **out)
{
    const kd_ast_node *query = NULL;
    const kd_routine_entry *routine = call->routine;
    kdi_frame *frame;
    bool is_row, fits;
    kd_record_shape shape;
    size_t first_cte = b->cte_count;
    *out = NULL;
    if (routine->result.id == KD_TYPE_VOID || routine->security_definer || is_active(b, routine) ||
        b->inlined_count == KDI_ROUTINE_COUNT_MAX)
        return KD_OK;
    b->inlined_count++;
    KD_TRY(body_query(ctx, b, routine, &query));
    if (query == NULL)
        return KD_OK;
    kd_rel *rel;
    KD_TRY(frame_create(ctx, b, call, &frame));
    KD_TRY(bind_body(ctx, b, frame, query, &rel));
    bool once_per_row = routine->volatility != KD_VOLATILE || is_expressions(rel);
    if (!once_per_row && kd_rel_is_volatile(rel))
        return KD_OK;
    if (routine->kind != KD_ROUTINE_MACRO) {
        kd_type result = kd_registry_resolve(routine->result, call->element);
        KD_TRY(kdi_routine_shape(ctx, b, call, &shape, &is_row));
        bool gives_row = is_row && rel->column_count == 1 && shape.field_count != 0 &&
                         kd_type_same(rel->columns[0].type, result) && result.object != 0;
        if (!is_row || gives_row)
            shape = (kd_record_shape){1, &result, &rel->columns[0].name};
        bool anonymous = !is_row && result.id == KD_TYPE_RECORD && !result.is_array;
        if (!anonymous)
            KD_TRY(shape_columns(ctx, b, call, &shape, &rel));
    }
    if (b->is_alone && !(is_expressions(rel) && !kd_expr_has_subquery(rel->as.project.exprs[0])))
        return KD_OK; /* Definitions of tables hold no queries. */
    KD_TRY(put_arguments(ctx, b, frame, call, first_cte, &rel, &fits));
    if (fits)
        *out = rel;
    return KD_OK;
}

/* --- As a value --- */

/* kade_call_routine: the engine runs the body. */
static kd_status call_later(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call, kd_expr **out)
{
    const kd_routine_entry *routine = call->routine;
    kd_type any = kd_type_of(KD_TYPE_TEXT), wanted, found_result;
    const kd_function *registered;
    bool ambiguous, is_row;
    kd_record_shape *shape = KD_NEW(ctx, b->arena, kd_record_shape);
    kd_routine_target *target = KD_NEW(ctx, b->arena, kd_routine_target);
    kd_function *function = KD_NEW(ctx, b->arena, kd_function);
    if (shape == NULL || function == NULL || target == NULL)
        return KD_NOMEM;
    if (!kd_registry_find_function(b->registry, KD_SLICE("kade_call_routine"), &any, 1, &registered,
                                   &wanted, &found_result, &ambiguous))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "routines are run by a database only");
    b->runs_routines = true;
    KD_TRY(kdi_routine_shape(ctx, b, call, shape, &is_row));
    kd_type result = kd_registry_resolve(routine->result, call->element);
    if (is_row && result.object == 0)
        KD_TRY(kdi_shape_type(ctx, b, shape, &result));
    *target = (kd_routine_target){
        .routine_no = routine->object.object_no, .is_row = is_row, .shape = *shape};
    *function = *registered;
    /* The planner must not run it. Definitions of tables, which are not planned, look at it. */
    bool is_planned = !b->is_alone && routine->volatility == KD_IMMUTABLE;
    function->volatility = is_planned ? KD_STABLE : routine->volatility;
    function->strict = routine->strict;
    function->data = target;
    function->variadic = true;
    kd_expr *expr =
        kdi_expr_new(ctx, b, KD_EXPR_CALL, result, call->position, call->argument_count);
    if (expr == NULL)
        return KD_NOMEM;
    expr->function = function;
    for (uint32_t i = 0; i < call->argument_count; i++)
        expr->arguments[i] = call->arguments[i];
    *out = expr;
    return KD_OK;
}

static kd_status first_row(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel)
{
    kd_rel *limit = kdi_rel_over(ctx, b, KD_REL_LIMIT, *io_rel);
    if (limit == NULL)
        return KD_NOMEM;
    limit->as.limit.count = kdi_constant(ctx, b, kd_value_i64(1), -1);
    *io_rel = limit;
    return limit->as.limit.count == NULL ? KD_NOMEM : KD_OK;
}

/* An aggregate without groups: a limit would only keep it from becoming a join. */
static bool gives_one_row(const kd_rel *rel)
{
    while (rel->kind == KD_REL_PROJECT)
        rel = rel->inputs[0];
    return rel->kind == KD_REL_AGGREGATE && rel->as.aggregate.key_count == 0 &&
           rel->as.aggregate.set_count == 0;
}

static kd_status origin_of(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                           const kd_expr **out)
{
    kd_expr *origin =
        kdi_expr_new(ctx, b, KD_EXPR_ROW, kd_type_of(KD_TYPE_RECORD), -1, call->argument_count);
    if (origin == NULL)
        return KD_NOMEM;
    origin->field = call->routine->object.object_no;
    for (uint32_t i = 0; i < call->argument_count; i++)
        KD_TRY(kdi_copy_expr(ctx, b, call->arguments[i], &origin->arguments[i]));
    *out = origin;
    return KD_OK;
}

/* The first row of a relation as a value: one column, or a row of them. */
static kd_status value_of(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call, kd_rel *rel,
                          kd_expr **out)
{
    kd_record_shape shape = {0};
    bool is_row = false, plain = is_expressions(rel);
    if (call->routine->kind != KD_ROUTINE_MACRO)
        KD_TRY(kdi_routine_shape(ctx, b, call, &shape, &is_row));
    kd_type result = kd_registry_resolve(call->routine->result, call->element);
    is_row &= !(rel->column_count == 1 && kd_type_same(rel->columns[0].type, result));
    bool anonymous = !is_row && result.id == KD_TYPE_RECORD && !result.is_array &&
                     rel->columns[0].type.id != KD_TYPE_RECORD;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count), *value;
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        exprs[i] = plain ? rel->as.project.exprs[i] : kdi_column_expr(ctx, b, &rel->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    value = exprs[0];
    if (is_row || anonymous)
        KD_TRY(kdi_named_row(ctx, b, exprs, is_row ? shape.names : NULL, rel->column_count,
                             result.object, call->position, &value));
    *out = value;
    if (plain)
        return KD_OK;
    kd_rel *limit = rel;
    if (!gives_one_row(rel))
        KD_TRY(first_row(ctx, b, &limit));
    if (value->kind != KD_EXPR_COLUMN)
        KD_TRY(kdi_rel_project(ctx, b, limit, &value, NULL, 1, false, &limit));
    kd_expr *query = kdi_expr_new(ctx, b, KD_EXPR_SUBQUERY, value->type, call->position, 0);
    if (query == NULL)
        return KD_NOMEM;
    query->subquery_kind = KD_SUBQUERY_SCALAR;
    query->subquery = limit;
    if (!kd_rel_is_volatile(limit))
        KD_TRY(origin_of(ctx, b, call, &query->origin));
    *out = query;
    return KD_OK;
}

kd_status kdi_routine_value(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call, kd_expr **out)
{
    kd_rel *rel;
    kd_expr *is_null = NULL;
    if (call->routine->strict)
        KD_TRY(any_is_null(ctx, b, call, &is_null));
    bool guards =
        is_null != NULL && (kd_expr_is_volatile(is_null) || kd_expr_has_subquery(is_null));
    if (guards)
        return call_later(ctx, b, call, out);
    KD_TRY(inline_body(ctx, b, call, &rel));
    if (rel == NULL)
        return call_later(ctx, b, call, out);
    KD_TRY(value_of(ctx, b, call, rel, out));
    if (is_null == NULL)
        return KD_OK;
    kd_expr *guarded = kdi_expr_new(ctx, b, KD_EXPR_CASE, (*out)->type, call->position, 3);
    if (guarded == NULL)
        return KD_NOMEM;
    guarded->arguments[0] = is_null;
    guarded->arguments[1] = kdi_constant(ctx, b, kd_value_null((*out)->type), -1);
    guarded->arguments[2] = *out;
    guarded->case_has_else = true;
    *out = guarded;
    return guarded->arguments[1] == NULL ? KD_NOMEM : KD_OK;
}

/* --- In FROM --- */

/* What a call in FROM gives: its columns, under the names that the function says. */
static kd_status rows_shape(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                            const kd_record_shape *columns, kd_record_shape *out)
{
    bool is_row;
    KD_TRY(kdi_routine_shape(ctx, b, call, out, &is_row));
    if (is_row)
        return KD_OK;
    kd_type *result = KD_NEW(ctx, b->arena, kd_type);
    if (result == NULL)
        return KD_NOMEM;
    *result = kd_registry_resolve(call->routine->result, call->element);
    *out = (kd_record_shape){1, result, &call->routine->object.name};
    if (result->id != KD_TYPE_RECORD || result->is_array)
        return KD_OK;
    if (columns == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "a column definition list is required for functions returning \"record\"");
    *out = *columns;
    return KD_OK;
}

/* kade_routine_rows: the engine runs the body when its rows are wanted. */
static kd_status function_of(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                             const kd_record_shape *shape, const kd_table_function **out)
{
    kd_type any = kd_type_of(KD_TYPE_TEXT), wanted;
    const kd_table_function *registered;
    kd_table_function *function = KD_NEW(ctx, b->arena, kd_table_function);
    kd_routine_target *target = KD_NEW(ctx, b->arena, kd_routine_target);
    if (function == NULL || target == NULL)
        return KD_NOMEM;
    if (!kd_registry_find_table_function(b->registry, KD_SLICE("kade_routine_rows"), &any, 1,
                                         &registered, &wanted))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "routines are run by a database only");
    *target = (kd_routine_target){
        .routine_no = call->routine->object.object_no, .is_row = true, .shape = *shape};
    *function = *registered;
    function->data = target;
    b->runs_routines = true;
    *out = function;
    return KD_OK;
}

kd_status kdi_routine_function(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                               const kd_record_shape *columns, const kd_table_function **out)
{
    kd_record_shape shape;
    KD_TRY(rows_shape(ctx, b, call, columns, &shape));
    return function_of(ctx, b, call, &shape, out);
}

static kd_status rows_later(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                            const kd_record_shape *shape, kd_rel **out)
{
    const kd_table_function *function;
    KD_TRY(function_of(ctx, b, call, shape, &function));
    return kdi_table_function_rel(ctx, b, function, call->arguments, call->argument_count, NULL,
                                  call->position, out);
}

static kd_status rename_columns(kd_ctx *ctx, kdi_binder *b, const kd_record_shape *shape,
                                kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, rel->column_count);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        exprs[i] = kdi_column_expr(ctx, b, &rel->columns[i], -1);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    return kdi_rel_project(ctx, b, rel, exprs, shape->names, rel->column_count, false, io_rel);
}

/* A relation of one row-typed column becomes one of the row's fields. */
static kd_status open_row(kd_ctx *ctx, kdi_binder *b, const kd_record_shape *shape, kd_rel **io_rel)
{
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, shape->field_count);
    if (exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < shape->field_count; i++) {
        kd_expr *row = kdi_column_expr(ctx, b, &(*io_rel)->columns[0], -1);
        if (row == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_row_field(ctx, b, row, shape, i, -1, &exprs[i]));
    }
    return kdi_rel_project(ctx, b, *io_rel, exprs, shape->names, shape->field_count, false, io_rel);
}

kd_status kdi_routine_rows(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                           const kd_record_shape *columns, kd_rel **out)
{
    kd_rel *rel;
    kd_expr *is_null = NULL;
    kd_record_shape shape = {0};
    const kd_routine_entry *routine = call->routine;
    bool is_macro = routine->kind == KD_ROUTINE_MACRO;
    if (!is_macro)
        KD_TRY(rows_shape(ctx, b, call, columns, &shape));
    if (routine->strict)
        KD_TRY(any_is_null(ctx, b, call, &is_null));
    bool guards =
        is_null != NULL && (kd_expr_is_volatile(is_null) || kd_expr_has_subquery(is_null));
    if (guards)
        return rows_later(ctx, b, call, &shape, out);
    KD_TRY(inline_body(ctx, b, call, &rel));
    if (rel == NULL)
        return rows_later(ctx, b, call, &shape, out);
    *out = rel;
    if (is_macro)
        return KD_OK;
    if (columns != NULL && routine->result.object == 0 && routine->result.id == KD_TYPE_RECORD)
        KD_TRY(shape_columns(ctx, b, call, &shape, out));
    if (!routine->returns_set) { /* One row, come what may. */
        kd_rel *one = kdi_rel_one_row(ctx, b);
        if (one == NULL)
            return KD_NOMEM;
        KD_TRY(first_row(ctx, b, out));
        if (!is_expressions(rel))
            KD_TRY(kdi_rel_join(ctx, b, KD_JOIN_LEFT, one, *out, NULL, out));
    }
    kd_type result = kd_registry_resolve(routine->result, call->element);
    bool is_row_column = (*out)->column_count == 1 && result.object != 0 &&
                         result.id == KD_TYPE_RECORD && !result.is_array &&
                         kd_type_same((*out)->columns[0].type, result);
    KD_TRY(is_row_column ? open_row(ctx, b, &shape, out) : rename_columns(ctx, b, &shape, out));
    if (is_null == NULL)
        return KD_OK;
    kd_expr *none_is_null = kdi_not(ctx, b, is_null);
    return none_is_null == NULL ? KD_NOMEM : kdi_rel_filter(ctx, b, none_is_null, out);
}
