/*
 * Functions and procedures whose bodies are run as statements: those that the binder does not put
 * in where they are called, and every procedure.
 *
 * The arguments are the statements' parameters, by number and by name. What the last statement
 * gives is the result: its first row, or all of them.
 */
#include "engine/routine_internal.h"

#include "sql/routine_target.h"

enum { DEPTH_MAX = 100 };

/* --- Frames: what the parameters of statements inside a routine are called --- */

static kd_status frame_open(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                            const kd_routine_entry *routine, const kd_type *types,
                            kdi_routine_frame *frame)
{
    uint32_t depth = session->routine == NULL ? 1 : session->routine->depth + 1;
    kd_slice *names = KD_NEW_ARRAY(ctx, arena, kd_slice, routine->argument_count);
    if (names == NULL)
        return KD_NOMEM;
    if (depth > DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
    *frame = (kdi_routine_frame){.outer = session->routine,
                                 .routine_no = routine->object.object_no,
                                 .name = routine->object.name,
                                 .names = names,
                                 .types = types,
                                 .depth = depth};
    for (uint32_t i = 0; i < routine->argument_count; i++)
        if (kd_argument_is_input(&routine->arguments[i]))
            names[frame->count++] = routine->arguments[i].name;
    session->routine = frame;
    return KD_OK;
}

static void frame_close(kd_session *session, kdi_routine_frame *frame)
{
    if (session->routine == frame)
        session->routine = frame->outer;
}

/* Where it went wrong, for who only sees the call. Positions inside the body mean nothing there. */
static kd_status in_context(kd_ctx *ctx, const kd_routine_entry *routine, uint32_t statement_no,
                            kd_status status)
{
    if (status == KD_OK)
        return KD_OK;
    if (ctx->error.detail[0] == '\0')
        kd_error_set_detail(ctx, "SQL function \"%.*s\" statement %u.",
                            (int)routine->object.name.size_bytes, routine->object.name.data,
                            statement_no);
    kd_error_set_position(ctx, -1);
    return status;
}

/* --- Statements of a body --- */

kd_status kdi_routine_text(kd_ctx *ctx, kd_arena *arena, const kd_routine_entry *routine,
                           kd_slice *out)
{
    kd_buffer text = kd_buffer_in(arena);
    if (routine->form == KD_BODY_RETURN)
        KD_TRY(kd_buffer_append_text(ctx, &text, "SELECT "));
    KD_TRY(kd_buffer_append_slice(ctx, &text, routine->body));
    *out = kd_buffer_slice(&text);
    return KD_OK;
}

typedef kd_status (*visit_statement)(kd_ctx *ctx, void *object, kd_slice text, bool is_last,
                                     const kd_ast_node *node);

static kd_status each_statement(kd_ctx *ctx, kd_arena *arena, const kd_routine_entry *routine,
                                visit_statement visit, void *object)
{
    kd_slice text;
    kd_parser *parser;
    kd_statement statement, next;
    KD_TRY(kdi_routine_text(ctx, arena, routine, &text));
    KD_TRY(kd_parser_create(ctx, arena, text, &parser));
    KD_TRY(kd_parser_next(ctx, parser, &statement));
    for (uint32_t no = 1; statement.node != NULL; no++) {
        KD_TRY(kd_parser_next(ctx, parser, &next));
        const kd_slice part = {text.data + statement.position,
                               (size_t)(statement.end - statement.position)};
        KD_TRY(in_context(ctx, routine, no,
                          visit(ctx, object, part, next.node == NULL, statement.node)));
        statement = next;
    }
    return KD_OK;
}

/* --- Checking --- */

typedef struct checker {
    kd_session *session;
    kdi_routine_check *check;
    const kdi_routine_frame *frame;
} checker;

static kd_status note_dependents(kd_ctx *ctx, kdi_routine_check *check, const kd_prepared *query)
{
    const uint32_t *objects;
    uint32_t count, *added;
    if (query->bound == NULL)
        return KD_OK;
    KD_TRY(kdi_query_depends(ctx, check->run, query, &objects, &count));
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(KD_PUSH(ctx, check->run->arena, check->depends_on, check->depends_count,
                       check->depends_capacity, &added));
        *added = objects[i];
    }
    return KD_OK;
}

static kd_status check_statement(kd_ctx *ctx, void *object, kd_slice text, bool is_last,
                                 const kd_ast_node *node)
{
    checker *self = object;
    kdi_routine_check *check = self->check;
    kd_status status = KD_OK;
    kd_prepared *query = NULL;
    bool is_query = kd_ast_is_query(node) || node->kind == KD_AST_INSERT ||
                    node->kind == KD_AST_UPDATE || node->kind == KD_AST_DELETE ||
                    node->kind == KD_AST_MERGE;
    if (is_last)
        check->column_count = 0;
    if (!is_query)
        return KD_OK; /* It is looked at when it runs. */
    KD_TRY_OUT(kd_prepared_create(ctx, self->session, text, self->frame->types, self->frame->count,
                                  &query));
    KD_TRY_OUT(note_dependents(ctx, check, query));
    if (is_last) {
        uint32_t count = kd_prepared_column_count(query);
        check->column_types = KD_NEW_ARRAY(ctx, check->run->arena, kd_type, count);
        if (check->column_types == NULL) {
            status = KD_NOMEM;
            goto out;
        }
        check->column_count = count;
        for (uint32_t i = 0; i < count; i++)
            check->column_types[i] = kd_prepared_columns(query)[i].type;
    }
out:
    kd_prepared_destroy(query);
    return status;
}

kd_status kdi_routine_check_body(kd_ctx *ctx, const kd_routine_entry *routine, const kd_type *types,
                                 kdi_routine_check *check)
{
    kd_status status = KD_OK;
    kd_run *run = check->run;
    kdi_routine_frame frame = {0};
    checker self = {.session = run->session, .check = check, .frame = &frame};
    KD_TRY_OUT(frame_open(ctx, run->arena, run->session, routine, types, &frame));
    KD_TRY_OUT(each_statement(ctx, run->arena, routine, check_statement, &self));
out:
    frame_close(run->session, &frame);
    return status;
}

/* --- Running --- */

typedef struct runner {
    kd_session *session;
    const kdi_routine_frame *frame;
    const kd_routine_entry *routine;
    const kd_value *arguments;
    kdi_take_row take;
    void *object;
} runner;

static kd_status run_statement(kd_ctx *ctx, void *object, kd_slice text, bool is_last,
                               const kd_ast_node *node)
{
    runner *self = object;
    const kdi_nested nested = {.text = text,
                               .parameters = self->arguments,
                               .types = self->frame->types,
                               .parameter_count = self->frame->count,
                               .reads_latest = self->routine->volatility == KD_VOLATILE,
                               .take = is_last ? self->take : NULL,
                               .object = self->object};
    bool may_write = self->routine->volatility == KD_VOLATILE;
    if (!may_write && !kd_ast_is_query(node))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "%s is not allowed in a non-volatile function",
                       kd_ast_kind_name(node->kind));
    if (node->kind == KD_AST_TRANSACTION)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "%.*s is not allowed in an SQL function",
                       (int)text.size_bytes, text.data);
    return kdi_run_nested(ctx, self->session, &nested);
}

kd_status kdi_routine_run(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                          const kd_routine_entry *routine, const kd_value *arguments,
                          uint32_t count, kdi_take_row take, void *object)
{
    kd_status status = KD_OK;
    kdi_routine_frame frame = {0};
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = arguments[i].type;
    runner self = {.session = session,
                   .frame = &frame,
                   .routine = routine,
                   .arguments = arguments,
                   .take = take,
                   .object = object};
    KD_TRY_OUT(frame_open(ctx, arena, session, routine, types, &frame));
    KD_TRY_OUT(each_statement(ctx, arena, routine, run_statement, &self));
out:
    frame_close(session, &frame);
    return status;
}

/* --- Rows of a result --- */

/* A row as the result's shape has it; a single row value is taken apart where it must be. */
static kd_status fit_row(kd_ctx *ctx, kd_arena *arena, const kd_session *session,
                         const kd_session_facts *facts, const kd_record_shape *shape,
                         const kd_value *given, uint32_t given_count, kd_value *out)
{
    const kd_registry *registry = session->database->registry;
    bool is_one_row = given_count == 1 && given[0].type.id == KD_TYPE_RECORD &&
                      !given[0].type.is_array &&
                      (shape->field_count != 1 || shape->types[0].id != KD_TYPE_RECORD);
    kd_record row;
    bool found = true;
    if (is_one_row && !given[0].is_null)
        KD_TRY(kd_record_open(ctx, kd_str_slice(&given[0].as.str), &row));
    if (!is_one_row && given_count != shape->field_count)
        return KD_FAIL(ctx, KD_INVALID, "42804",
                       "function return row and query-specified return row do not match");
    for (uint32_t i = 0; i < shape->field_count; i++) {
        kd_value value = kd_value_null(shape->types[i]);
        if (!is_one_row)
            value = given[i];
        else if (!given[0].is_null)
            KD_TRY(kd_record_next(ctx, &row, NULL, &value, &found));
        KD_TRY(kd_value_cast(ctx, arena, registry, facts, &value, shape->types[i],
                             KD_CAST_ASSIGNMENT, &out[i]));
    }
    return KD_OK;
}

typedef struct one_row {
    kd_arena *arena;
    uint32_t count; /* UINT32_MAX: no row yet. */
    kd_value *values;
} one_row;

static kd_status take_first(kd_ctx *ctx, void *object, const kd_value *values, uint32_t count)
{
    one_row *self = object;
    if (self->count != UINT32_MAX)
        return KD_OK;
    self->values = KD_NEW_ARRAY(ctx, self->arena, kd_value, count);
    if (self->values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kd_value_copy(ctx, self->arena, &values[i], &self->values[i]));
    self->count = count;
    return KD_OK;
}

static kd_status routine_of(kd_ctx *ctx, const kd_call_env *env, const kd_routine_target **out,
                            const kd_routine_entry **out_routine)
{
    *out = env->data;
    const kd_object *object =
        *out == NULL ? NULL : kd_catalog_get(kdi_call_catalog(env), (*out)->routine_no);
    *out_routine = (const kd_routine_entry *)object;
    if (object == NULL || object->kind != KD_OBJECT_ROUTINE)
        return KD_FAIL(ctx, KD_INVALID, "42883", "this function is for calls of routines only");
    return KD_OK;
}

static kd_status call_routine(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    const kd_routine_target *target;
    const kd_routine_entry *routine;
    kd_session *session = kdi_call_session(env);
    kd_type type = env->result_type;
    one_row row = {.arena = env->arena, .count = UINT32_MAX};
    KD_TRY(routine_of(ctx, env, &target, &routine));
    kd_value *arguments = KD_NEW_ARRAY(ctx, env->arena, kd_value, env->argument_count);
    if (arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < env->argument_count; i++) {
        arguments[i] = kd_value_null(env->argument_types[i]);
        arguments[i].is_null = args[i] == NULL;
        if (args[i] != NULL)
            memcpy(kd_value_payload(&arguments[i]), args[i],
                   kd_physical_bytes(kd_type_physical(env->argument_types[i])));
    }
    KD_TRY(kdi_routine_run(ctx, env->arena, session, routine, arguments, env->argument_count,
                           take_first, &row));
    *out_is_null = row.count == UINT32_MAX || type.id == KD_TYPE_VOID;
    if (*out_is_null)
        return KD_OK;
    kd_value value;
    bool has_row = row.count == 1 && row.values[0].type.id == KD_TYPE_RECORD && !type.is_array;
    if (target->is_row && !(has_row && row.values[0].type.object == type.object)) {
        kd_value *fields = KD_NEW_ARRAY(ctx, env->arena, kd_value, target->shape.field_count);
        if (fields == NULL)
            return KD_NOMEM;
        KD_TRY(fit_row(ctx, env->arena, session, env->facts, &target->shape, row.values, row.count,
                       fields));
        value = (kd_value){.type = type};
        KD_TRY(kd_record_make(ctx, env->arena, &target->shape, fields, &value.as.str));
    } else {
        KD_TRY(kd_value_cast(ctx, env->arena, session->database->registry, env->facts,
                             &row.values[0], type, KD_CAST_ASSIGNMENT, &value));
    }
    *out_is_null = value.is_null;
    memcpy(result, kd_value_payload(&value), kd_physical_bytes(kd_type_physical(type)));
    return KD_OK;
}

/* --- Sets --- */

typedef struct row_cursor {
    kd_arena *arena;
    kd_session *session;
    const kd_session_facts *facts;
    kd_record_shape shape;
    kd_value *values; /* All rows, one after the other. */
    size_t value_count, value_capacity, next;
    kd_vector *columns;
} row_cursor;

static kd_status take_row(kd_ctx *ctx, void *object, const kd_value *values, uint32_t count)
{
    row_cursor *self = object;
    kd_value *row = KD_NEW_ARRAY(ctx, self->arena, kd_value, self->shape.field_count), *added;
    if (row == NULL)
        return KD_NOMEM;
    KD_TRY(fit_row(ctx, self->arena, self->session, self->facts, &self->shape, values, count, row));
    for (uint32_t i = 0; i < self->shape.field_count; i++) {
        KD_TRY(KD_PUSH(ctx, self->arena, self->values, self->value_count, self->value_capacity,
                       &added));
        KD_TRY(kd_value_copy(ctx, self->arena, &row[i], added));
    }
    return KD_OK;
}

static kd_status describe_rows(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                               const kd_value *args, uint32_t arg_count, uint32_t *out_column_count,
                               kd_slice **out_names, kd_type **out_types)
{
    const kd_routine_target *target = env->data;
    (void)args;
    (void)arg_count;
    if (target == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42883", "this function is for calls of routines only");
    uint32_t count = *out_column_count = target->shape.field_count;
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, count);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, count);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        (*out_names)[i] = target->shape.names[i];
        (*out_types)[i] = target->shape.types[i];
    }
    return KD_OK;
}

static kd_status open_rows(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                           const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    const kd_routine_target *target;
    const kd_routine_entry *routine;
    KD_TRY(routine_of(ctx, env, &target, &routine));
    row_cursor *cursor = KD_NEW(ctx, arena, row_cursor);
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, target->shape.field_count);
    if (cursor == NULL || columns == NULL)
        return KD_NOMEM;
    *cursor = (row_cursor){.arena = arena,
                           .session = kdi_call_session(env),
                           .facts = env->facts,
                           .shape = target->shape,
                           .columns = columns};
    for (uint32_t i = 0; i < target->shape.field_count; i++)
        KD_TRY(kd_vector_init_flat(ctx, arena, target->shape.types[i], KD_BATCH_ROWS, &columns[i]));
    *out_cursor = cursor;
    for (uint32_t i = 0; i < arg_count && routine->strict; i++)
        if (args[i].is_null)
            return KD_OK;
    return kdi_routine_run(ctx, arena, cursor->session, routine, args, arg_count, take_row, cursor);
}

static kd_status next_rows(kd_ctx *ctx, void *object, kd_batch *out_batch)
{
    row_cursor *self = object;
    uint32_t rows = 0, width = self->shape.field_count;
    KD_TRY(kd_check_cancelled(ctx));
    for (; rows < KD_BATCH_ROWS && self->next < self->value_count; rows++)
        for (uint32_t i = 0; i < width; i++) {
            kd_vector *column = &self->columns[i];
            if (column->validity != NULL)
                kd_bit_set(column->validity, rows);
            kd_vector_set(column, rows, &self->values[self->next++]);
        }
    *out_batch = (kd_batch){
        .row_count = rows, .selected_count = rows, .column_count = width, .columns = self->columns};
    return KD_OK;
}

static const kd_function functions[] = {
    {.name = "kade_call_routine",
     .argument_count = 1,
     .arguments = {{.id = KD_PSEUDO_ANY, .modifier = -1}},
     .variadic = true,
     .result = {.id = KD_TYPE_VOID, .modifier = -1},
     .volatility = KD_VOLATILE,
     .row = call_routine},
};

static const kd_table_function table_functions[] = {
    {.name = "kade_routine_rows",
     .argument_count = 1,
     .arguments = {{.id = KD_PSEUDO_ANY, .modifier = -1}},
     .variadic = true,
     .describe = describe_rows,
     .open = open_rows,
     .next = next_rows},
};

kd_status kdi_register_routine_functions(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_functions(ctx, registry, functions, 1));
    KD_TRY(kdi_register_routine_texts(ctx, registry));
    return kd_registry_add_table_functions(ctx, registry, table_functions, 1);
}

/* --- CALL --- */

static kd_status argument_values(kd_ctx *ctx, kd_run *run, const kd_bound_procedure *bound,
                                 kd_value **out)
{
    *out = KD_NEW_ARRAY(ctx, run->arena, kd_value, bound->argument_count);
    if (*out == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < bound->argument_count; i++) {
        kd_compiled_expr *compiled;
        KD_TRY(kd_expr_compile(ctx, run->arena, bound->arguments[i], NULL, 0, &run->facts,
                               run->parameters, run->parameter_count, &compiled));
        KD_TRY(kd_expr_evaluate_row(ctx, compiled, run->arena, NULL, &(*out)[i]));
        (*out)[i].type = bound->arguments[i]->type;
    }
    return KD_OK;
}

static kd_status give_row(kd_ctx *ctx, kd_run *run, const kd_bound_procedure *bound,
                          const one_row *row)
{
    uint32_t count = bound->shape.field_count;
    kd_value *fields = KD_NEW_ARRAY(ctx, run->arena, kd_value, count);
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, run->arena, kd_rel_column, count);
    kdi_row_set *rows;
    if (fields == NULL || columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = (kd_rel_column){
            .id = i + 1, .type = bound->shape.types[i], .name = bound->shape.names[i]};
        fields[i] = kd_value_null(columns[i].type);
    }
    if (row->count != UINT32_MAX)
        KD_TRY(fit_row(ctx, run->arena, run->session, &run->facts, &bound->shape, row->values,
                       row->count, fields));
    KD_TRY(kdi_run_start_rows(ctx, run, columns, count, &rows));
    return kdi_row_set_add(ctx, rows, fields);
}

kd_status kdi_run_call(kd_ctx *ctx, kd_run *run, const kd_ast_call_procedure *ast)
{
    kd_bind_options options;
    kd_bound_procedure bound;
    kd_value *arguments;
    one_row row = {.arena = run->arena, .count = UINT32_MAX};
    kdi_set_tag(run, "CALL");
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_procedure(ctx, run->arena, &options, ast->call, &bound));
    KD_TRY(argument_values(ctx, run, &bound, &arguments));
    KD_TRY(kdi_routine_run(ctx, run->arena, run->session, bound.routine, arguments,
                           bound.argument_count, take_first, &row));
    KD_TRY(kdi_catalog_refresh(ctx, run));
    return bound.is_row ? give_row(ctx, run, &bound, &row) : KD_OK;
}
