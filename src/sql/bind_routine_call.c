/*
 * Which routine a call means: by the search path, the number and names of arguments, defaults,
 * VARIADIC and types.
 */
#include "sql/bind_routine_internal.h"

enum { CANDIDATES_MAX = 64 };

/* One way to take a call: given argument i is input argument places[i]. */
typedef struct way {
    const kd_routine_entry *routine;
    uint32_t input_count;
    const kd_routine_argument **inputs;
    uint32_t *places;
    kd_type *types;    /* Per given argument. */
    bool gathers;      /* The last given ones are elements of a VARIADIC array. */
    uint32_t gathered; /* The first of them. */
} way;

typedef struct search {
    const kd_ast_call *ast;
    uint32_t given_count;
    way ways[CANDIDATES_MAX];
    uint32_t count;
} search;

static const kd_routine_entry *next_routine(const kdi_binder *b, const kd_ast_name *name,
                                            uint32_t *io_schema, const kd_routine_entry *after)
{
    const kd_bind_options *options = b->options;
    bool qualified = name->schema.size_bytes > 0;
    uint32_t count = qualified ? 1 : options->search_path_count;
    for (; *io_schema < count; (*io_schema)++) {
        kd_slice schema_name = qualified ? name->schema : options->search_path[*io_schema];
        const kd_object *schema = kd_catalog_find_schema(options->catalog, schema_name);
        const kd_routine_entry *found =
            schema == NULL
                ? NULL
                : kd_catalog_find_routine(options->catalog, schema->object_no, name->name, after);
        if (found != NULL)
            return found;
        after = NULL;
    }
    return NULL;
}

bool kdi_has_routine(const kdi_binder *b, const kd_ast_name *name)
{
    uint32_t schema = 0;
    return next_routine(b, name, &schema, NULL) != NULL;
}

static kd_status list_inputs(kd_ctx *ctx, kdi_binder *b, way *w)
{
    const kd_routine_entry *routine = w->routine;
    w->inputs = KD_NEW_ARRAY(ctx, b->arena, const kd_routine_argument *, routine->argument_count);
    if (w->inputs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < routine->argument_count; i++)
        if (kd_argument_is_input(&routine->arguments[i]))
            w->inputs[w->input_count++] = &routine->arguments[i];
    return KD_OK;
}

static int place_named(const way *w, kd_slice name)
{
    for (uint32_t i = 0; i < w->input_count; i++)
        if (kd_slice_equal(w->inputs[i]->name, name))
            return (int)i;
    return -1;
}

/* Where each given argument goes; false: the routine cannot be called so. */
static bool take(const search *s, way *w, bool *taken)
{
    const kd_ast_call *ast = s->ast;
    bool written = s->given_count > 0 && ast->args[s->given_count - 1].variadic;
    bool has_variadic =
        w->input_count > 0 && w->inputs[w->input_count - 1]->mode == KD_ARGUMENT_VARIADIC;
    if (written && !has_variadic)
        return false;
    for (uint32_t i = 0; i < s->given_count; i++) {
        kd_slice name = ast->args[i].name;
        int place = name.size_bytes > 0 ? place_named(w, name) : (int)i;
        if (has_variadic && !written && name.size_bytes == 0 && i + 1 >= w->input_count) {
            if (!w->gathers)
                w->gathered = i;
            w->gathers = true;
            w->places[i] = w->input_count - 1;
            taken[w->input_count - 1] = true;
            continue;
        }
        if (place < 0 || (uint32_t)place >= w->input_count || taken[place])
            return false;
        taken[place] = true;
        w->places[i] = (uint32_t)place;
    }
    for (uint32_t i = 0; i < w->input_count; i++)
        if (!taken[i] && w->inputs[i]->default_text.size_bytes == 0)
            return false;
    return true;
}

static kd_status consider(kd_ctx *ctx, kdi_binder *b, search *s, const kd_routine_entry *routine,
                          kd_expr *const *given)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (kd_routine_same_arguments(s->ways[i].routine, routine))
            return KD_OK; /* Hidden by one earlier in the path. */
    if (s->count == CANDIDATES_MAX)
        return KD_OK;
    way *w = &s->ways[s->count];
    *w = (way){.routine = routine};
    KD_TRY(list_inputs(ctx, b, w));
    bool *taken = KD_NEW_ARRAY(ctx, b->arena, bool, w->input_count + 1);
    w->places = KD_NEW_ARRAY(ctx, b->arena, uint32_t, s->given_count + 1);
    w->types = KD_NEW_ARRAY(ctx, b->arena, kd_type, s->given_count + 1);
    if (taken == NULL || w->places == NULL || w->types == NULL)
        return KD_NOMEM;
    if (!take(s, w, taken))
        return KD_OK;
    for (uint32_t i = 0; i < s->given_count; i++) {
        w->types[i] = w->inputs[w->places[i]]->type;
        if (routine->kind == KD_ROUTINE_MACRO)
            w->types[i] = given[i]->type;
        else if (w->gathers && i >= w->gathered)
            w->types[i] = w->types[i].id == KD_PSEUDO_ANYARRAY
                              ? (kd_type){.id = KD_PSEUDO_ANYELEMENT, .modifier = -1}
                              : kd_type_element(w->types[i]);
    }
    s->count++;
    return KD_OK;
}

/* --- The arguments in order --- */

static kd_status default_argument(kd_ctx *ctx, kdi_binder *b, const kd_routine_argument *argument,
                                  kd_expr **out)
{
    kd_ast_node *node;
    kdi_query query = {.clause = "DEFAULT expressions"};
    kdi_scope scope = {.query = &query};
    kdi_frame *frame = b->frame;
    KD_TRY(kd_parse_expression(ctx, b->arena, argument->default_text, &node));
    b->inside_text++;
    b->frame = NULL;
    KD_TRY(kdi_bind_expr(ctx, b, &scope, node, out));
    b->frame = frame;
    b->inside_text--;
    return KD_OK;
}

static kd_status to_type(kd_ctx *ctx, kdi_binder *b, const kd_routine_argument *argument,
                         kd_type type, kd_expr **io_value)
{
    if (type.id == KD_TYPE_UNKNOWN)
        return kdi_settle(ctx, b, io_value);
    KD_TRY(kdi_coerce(ctx, b, type, KD_CAST_IMPLICIT, io_value));
    const kd_object *domain =
        argument->domain_no == 0 ? NULL : kd_catalog_get(b->options->catalog, argument->domain_no);
    return domain == NULL ? KD_OK
                          : kdi_check_domain(ctx, b, (const kd_domain_entry *)domain, io_value);
}

static kd_status gather(kd_ctx *ctx, kdi_binder *b, const search *s, const way *w,
                        kd_expr *const *given, const kd_type *wanted, kd_expr **out)
{
    uint32_t count = s->given_count - w->gathered;
    kd_expr *array =
        kdi_expr_new(ctx, b, KD_EXPR_ARRAY, kd_type_array_of(wanted[w->gathered]), -1, count);
    if (array == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        array->arguments[i] = given[w->gathered + i];
        KD_TRY(kdi_coerce(ctx, b, wanted[w->gathered], KD_CAST_IMPLICIT, &array->arguments[i]));
    }
    *out = array;
    return KD_OK;
}

static kd_status arrange(kd_ctx *ctx, kdi_binder *b, const search *s, const way *w,
                         kd_expr *const *given, const kd_type *wanted, kdi_routine_call *call)
{
    bool is_macro = w->routine->kind == KD_ROUTINE_MACRO;
    call->argument_count = w->input_count;
    call->arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, w->input_count);
    if (call->arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < s->given_count; i++) {
        kd_expr **slot = &call->arguments[w->places[i]];
        if (w->gathers && i >= w->gathered)
            break;
        *slot = given[i];
        KD_TRY(is_macro ? kdi_settle(ctx, b, slot)
                        : to_type(ctx, b, w->inputs[w->places[i]], wanted[i], slot));
    }
    if (w->gathers)
        KD_TRY(gather(ctx, b, s, w, given, wanted, &call->arguments[w->input_count - 1]));
    for (uint32_t i = 0; i < w->input_count; i++) {
        if (call->arguments[i] != NULL)
            continue;
        KD_TRY(default_argument(ctx, b, w->inputs[i], &call->arguments[i]));
        KD_TRY(is_macro ? kdi_settle(ctx, b, &call->arguments[i])
                        : to_type(ctx, b, w->inputs[i],
                                  kd_registry_resolve(w->inputs[i]->type, call->element),
                                  &call->arguments[i]));
    }
    return KD_OK;
}

static kd_status wrong_kind(kd_ctx *ctx, kdi_binder *b, const search *s, const kd_type *types)
{
    const char *signature = kdi_signature(ctx, b, s->ast->function.name, types, s->given_count);
    if (s->ways[0].routine->kind == KD_ROUTINE_PROCEDURE) {
        KD_FAIL(ctx, KD_INVALID, "42809", "%s is a procedure", signature);
        kd_error_set_hint(ctx, "To call a procedure, use CALL.");
    } else {
        KD_FAIL(ctx, KD_INVALID, "42809", "%s is not a procedure", signature);
        kd_error_set_hint(ctx, "To call a function, use SELECT.");
    }
    return kdi_at(ctx, b, s->ast->node.position, KD_INVALID);
}

kd_status kdi_find_routine(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **given,
                           bool wants_procedure, kdi_routine_call *out, bool *out_found)
{
    uint32_t schema = 0, count = (uint32_t)ast->arg_count, chosen;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count + 1);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count + 1);
    kd_signature *signatures = KD_NEW_ARRAY(ctx, b->arena, kd_signature, CANDIDATES_MAX);
    search *s = KD_NEW(ctx, b->arena, search);
    *out = (kdi_routine_call){.position = ast->node.position};
    *out_found = false;
    if (types == NULL || wanted == NULL || signatures == NULL || s == NULL)
        return KD_NOMEM;
    s->ast = ast;
    s->given_count = count;
    for (uint32_t i = 0; i < count; i++)
        types[i] = given[i]->type;
    for (const kd_routine_entry *at = NULL;
         (at = next_routine(b, &ast->function, &schema, at)) != NULL;)
        KD_TRY(consider(ctx, b, s, at, given));
    for (uint32_t i = 0; i < s->count; i++)
        signatures[i] = (kd_signature){count, s->ways[i].types};
    bool ambiguous;
    if (!kd_registry_choose(b->registry, signatures, s->count, types, count, &chosen, wanted,
                            &out->element, &out->is_exact, &ambiguous)) {
        if (!ambiguous)
            return KD_OK;
        KD_FAIL(ctx, KD_INVALID, "42725", "function %s is not unique",
                kdi_signature(ctx, b, ast->function.name, types, count));
        kd_error_set_hint(ctx, "Could not choose a best candidate function. You might need to add "
                               "explicit type casts.");
        return kdi_at(ctx, b, ast->node.position, KD_INVALID);
    }
    out->routine = s->ways[chosen].routine;
    *out_found = true;
    if ((out->routine->kind == KD_ROUTINE_PROCEDURE) != wants_procedure) {
        s->ways[0] = s->ways[chosen];
        return wrong_kind(ctx, b, s, types);
    }
    return arrange(ctx, b, s, &s->ways[chosen], given, wanted, out);
}

kd_status kd_bind_procedure(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            const kd_ast_call *ast, kd_bound_procedure *out)
{
    kdi_binder *b;
    kdi_query query = {.clause = "CALL arguments"};
    kdi_scope scope = {.query = &query};
    kdi_routine_call call;
    bool found;
    *out = (kd_bound_procedure){0};
    KD_TRY(kdi_binder_create(ctx, arena, options, &b));
    kd_expr **given = KD_NEW_ARRAY(ctx, arena, kd_expr *, ast->arg_count);
    if (given == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->arg_count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, &scope, ast->args[i].value, &given[i]));
    KD_TRY(kdi_find_routine(ctx, b, ast, given, true, &call, &found));
    if (!found) {
        kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, ast->arg_count + 1);
        if (types == NULL)
            return KD_NOMEM;
        for (size_t i = 0; i < ast->arg_count; i++)
            types[i] = given[i]->type;
        KD_FAIL(ctx, KD_INVALID, "42883", "procedure %s does not exist",
                kdi_signature(ctx, b, ast->function.name, types, (uint32_t)ast->arg_count));
        kd_error_set_hint(ctx, "No procedure matches the given name and argument types. You might "
                               "need to add explicit type casts.");
        return kdi_at(ctx, b, ast->node.position, KD_INVALID);
    }
    out->routine = call.routine;
    out->argument_count = call.argument_count;
    out->arguments = call.arguments;
    return kdi_routine_shape(ctx, b, &call, &out->shape, &out->is_row);
}
