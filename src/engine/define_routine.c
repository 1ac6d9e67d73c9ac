/*
 * CREATE, ALTER and DROP of functions, procedures and macros.
 */
#include "engine/catalog_text.h"
#include "engine/routine_internal.h"

#include <string.h>

/* --- Types of arguments and results --- */

static bool pseudo_type(const kd_ast_type *ast, kd_type *out)
{
    static const struct {
        const char *name;
        uint8_t id;
        uint8_t is_array;
    } names[] = {{"anyelement", KD_PSEUDO_ANYELEMENT, 0},
                 {"anyarray", KD_PSEUDO_ANYARRAY, 0},
                 {"anynonarray", KD_PSEUDO_ANYELEMENT, 0},
                 {"anyenum", KD_PSEUDO_ANYENUM, 0},
                 {"anycompatible", KD_PSEUDO_ANYELEMENT, 0},
                 {"anycompatiblearray", KD_PSEUDO_ANYARRAY, 0},
                 {"anycompatiblenonarray", KD_PSEUDO_ANYELEMENT, 0},
                 {"record", KD_TYPE_RECORD, 0},
                 {"void", KD_TYPE_VOID, 0}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!kd_slice_equal(ast->name.name, kd_slice_of(names[i].name)) || ast->dimensions > 0)
            continue;
        *out = (kd_type){.id = names[i].id, .is_array = names[i].is_array, .modifier = -1};
        return true;
    }
    return false;
}

static bool is_polymorphic(kd_type type)
{
    return type.id >= KD_PSEUDO_ANY;
}

static kd_status bind_type(kd_ctx *ctx, kd_run *run, const kd_ast_type *ast, kd_type *out,
                           uint32_t *out_domain_no)
{
    kd_bind_options options;
    *out_domain_no = 0;
    if (pseudo_type(ast, out))
        return KD_OK;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_type(ctx, &options, ast, out));
    /* As in PostgreSQL, lengths of arguments and results mean nothing. */
    bool is_fixed = out->id == KD_TYPE_NUMERIC || out->id == KD_TYPE_VARCHAR ||
                    out->id == KD_TYPE_CHAR || out->id == KD_TYPE_BIT || out->id == KD_TYPE_VARBIT;
    if (is_fixed)
        out->modifier = -1;
    const kd_object *domain = ast->dimensions > 0 ? NULL : kdi_find_type(run, &ast->name);
    if (domain != NULL && domain->kind == KD_OBJECT_DOMAIN)
        *out_domain_no = domain->object_no;
    return KD_OK;
}

static kd_status wrong(kd_ctx *ctx, const char *message)
{
    return KD_FAIL(ctx, KD_INVALID, "42P13", "%s", message);
}

static kd_status bind_default(kd_ctx *ctx, kd_run *run, const kd_ast_routine_argument *ast,
                              kd_routine_argument *argument)
{
    kd_bind_options options;
    kd_column_id *ids;
    kd_expr *bound;
    kd_type type = is_polymorphic(argument->type) ? kd_type_of(KD_TYPE_UNKNOWN) : argument->type;
    if (argument->mode == KD_ARGUMENT_OUT || argument->mode == KD_ARGUMENT_TABLE)
        return wrong(ctx, "only input parameters can have default values");
    KD_TRY(kdi_node_text(ctx, run, ast->value, &argument->default_text));
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    return kd_bind_expression(ctx, run->arena, &options, ast->value, NULL, type, &ids, &bound);
}

static kd_status check_name(kd_ctx *ctx, const kd_routine_entry *entry, uint32_t index)
{
    const kd_routine_argument *own = &entry->arguments[index];
    for (uint32_t i = 0; i < index && own->name.size_bytes > 0; i++) {
        const kd_routine_argument *other = &entry->arguments[i];
        bool meets = (own->mode != KD_ARGUMENT_TABLE && own->mode != KD_ARGUMENT_OUT) ||
                     !kd_argument_is_input(other) || own->mode == KD_ARGUMENT_TABLE ||
                     other->mode == KD_ARGUMENT_INOUT || own->mode == KD_ARGUMENT_OUT;
        if (meets && kd_slice_equal(other->name, own->name))
            return KD_FAIL(ctx, KD_INVALID, "42P13", "parameter name \"%.*s\" used more than once",
                           (int)own->name.size_bytes, own->name.data);
    }
    return KD_OK;
}

static kd_status bind_arguments(kd_ctx *ctx, kd_run *run, const kd_ast_create_routine *ast,
                                kd_routine_entry *entry)
{
    kd_routine_argument *arguments =
        KD_NEW_ARRAY(ctx, run->arena, kd_routine_argument, ast->argument_count);
    bool had_default = false, had_variadic = false;
    if (arguments == NULL)
        return KD_NOMEM;
    if (ast->argument_count > 100)
        return KD_FAIL(ctx, KD_LIMIT, "54023", "functions cannot have more than 100 arguments");
    entry->arguments = arguments;
    for (size_t i = 0; i < ast->argument_count; i++) {
        const kd_ast_routine_argument *given = &ast->arguments[i];
        kd_routine_argument *argument = &arguments[i];
        *argument = (kd_routine_argument){.name = given->name,
                                          .mode = (kd_argument_mode)given->mode,
                                          .type = kd_type_of(KD_TYPE_UNKNOWN),
                                          .default_text = {"", 0}};
        if (given->name.size_bytes == 0)
            argument->name = (kd_slice){"", 0};
        if (entry->kind != KD_ROUTINE_MACRO)
            KD_TRY(bind_type(ctx, run, &given->type, &argument->type, &argument->domain_no));
        if (argument->type.id == KD_TYPE_VOID)
            return wrong(ctx, "SQL functions cannot have arguments of type void");
        KD_TRY(check_name(ctx, entry, (uint32_t)i));
        entry->argument_count++;
        bool is_input = kd_argument_is_input(argument);
        if (had_variadic && is_input)
            return wrong(ctx, "VARIADIC parameter must be the last input parameter");
        had_variadic |= argument->mode == KD_ARGUMENT_VARIADIC;
        if (argument->mode == KD_ARGUMENT_VARIADIC && !argument->type.is_array &&
            argument->type.id != KD_PSEUDO_ANYARRAY)
            return wrong(ctx, "VARIADIC parameter must be an array");
        if (given->value != NULL)
            KD_TRY(bind_default(ctx, run, given, argument));
        else if (had_default && is_input && argument->mode != KD_ARGUMENT_VARIADIC)
            return wrong(ctx, "input parameters after one with a default value must also have "
                              "defaults");
        had_default |= given->value != NULL;
    }
    return KD_OK;
}

/* The type of one row, from RETURNS and from the OUT arguments. */
static kd_status bind_result(kd_ctx *ctx, kd_run *run, const kd_ast_create_routine *ast,
                             kd_routine_entry *entry)
{
    uint32_t out_count = 0, last = 0;
    for (uint32_t i = 0; i < entry->argument_count; i++) {
        kd_argument_mode mode = entry->arguments[i].mode;
        if (mode == KD_ARGUMENT_IN || mode == KD_ARGUMENT_VARIADIC)
            continue;
        out_count++;
        last = i;
    }
    bool is_procedure = entry->kind == KD_ROUTINE_PROCEDURE;
    kd_type by_arguments = kd_type_of(is_procedure ? KD_TYPE_VOID : KD_TYPE_UNKNOWN);
    if (out_count == 1 && !is_procedure)
        by_arguments = entry->arguments[last].type;
    else if (out_count > 0)
        by_arguments = kd_type_of(KD_TYPE_RECORD);
    entry->result = by_arguments;
    entry->returns_set = ast->returns_table || ast->result.setof;
    if (!ast->has_result || ast->returns_table) {
        if (by_arguments.id == KD_TYPE_UNKNOWN && entry->kind == KD_ROUTINE_FUNCTION)
            return wrong(ctx, "function result type must be specified");
        if (out_count == 1 && !is_procedure)
            entry->result_domain_no = entry->arguments[last].domain_no;
        return KD_OK;
    }
    KD_TRY(bind_type(ctx, run, &ast->result, &entry->result, &entry->result_domain_no));
    if (out_count > 0 && !kd_type_same(entry->result, by_arguments)) {
        kd_buffer text = kd_buffer_in(run->arena);
        KD_TRY(kd_session_format_type(ctx, run->session, by_arguments, &text));
        return KD_FAIL(ctx, KD_INVALID, "42P13",
                       "function result type must be %s because of OUT parameters", text.data);
    }
    bool has_polymorphic = false;
    for (uint32_t i = 0; i < entry->argument_count; i++)
        has_polymorphic |=
            kd_argument_is_input(&entry->arguments[i]) && is_polymorphic(entry->arguments[i].type);
    if (is_polymorphic(entry->result) && !has_polymorphic) {
        kd_status status = wrong(ctx, "cannot determine result data type");
        kd_error_set_detail(ctx, "A result of a polymorphic type requires at least one input of a "
                                 "polymorphic type.");
        return status;
    }
    return KD_OK;
}

/* --- The body --- */

static kd_status take_body(kd_ctx *ctx, kd_run *run, const kd_ast_create_routine *ast,
                           kd_routine_entry *entry)
{
    static const kd_routine_body forms[] = {KD_BODY_STRING, KD_BODY_RETURN, KD_BODY_ATOMIC,
                                            KD_BODY_QUERY};
    bool is_sql = ast->language.size_bytes == 0 || kd_slice_equal(ast->language, KD_SLICE("sql"));
    if (!is_sql)
        return KD_FAIL(ctx, KD_INVALID, "42704", "language \"%.*s\" does not exist",
                       (int)ast->language.size_bytes, ast->language.data);
    if (!ast->has_body)
        return wrong(ctx, "no function body specified");
    if (ast->form == KD_AST_ROUTINE_STRING && ast->language.size_bytes == 0)
        return wrong(ctx, "no language specified");
    entry->form = forms[ast->form];
    switch (ast->form) {
    case KD_AST_ROUTINE_STRING:
        return kdi_copy_name(ctx, run->arena, ast->body, &entry->body);
    case KD_AST_ROUTINE_ATOMIC: {
        kd_slice part = {run->prepared->text.data + ast->body_begin,
                         (size_t)(ast->body_end - ast->body_begin)};
        return kdi_copy_name(ctx, run->arena, part, &entry->body);
    }
    case KD_AST_ROUTINE_RETURN:
    case KD_AST_ROUTINE_QUERY:
        break;
    }
    return kdi_node_text(ctx, run, ast->value, &entry->body);
}

static kd_status result_mismatch(kd_ctx *ctx, kd_run *run, const kd_routine_entry *entry,
                                 const char *detail)
{
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_session_format_type(ctx, run->session, entry->result, &text));
    kd_status status = KD_FAIL(ctx, KD_INVALID, "42P13",
                               "return type mismatch in function declared to return %s", text.data);
    kd_error_set_detail(ctx, "%s", detail);
    return status;
}

static kd_status check_result(kd_ctx *ctx, kd_run *run, const kd_routine_entry *entry,
                              const kdi_routine_check *check)
{
    const kd_registry *registry = run->session->database->registry;
    kd_record_shape shape = {1, &entry->result, NULL};
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, entry->argument_count + 1);
    uint32_t count = 0;
    if (types == NULL)
        return KD_NOMEM;
    if (entry->result.id == KD_TYPE_VOID || entry->kind == KD_ROUTINE_PROCEDURE)
        return KD_OK;
    if (check->column_count == 0)
        return result_mismatch(ctx, run, entry,
                               "Function's final statement must be SELECT or INSERT/UPDATE/DELETE "
                               "RETURNING.");
    bool is_row = entry->result.id == KD_TYPE_RECORD && !entry->result.is_array;
    for (uint32_t i = 0; i < entry->argument_count; i++)
        if (entry->arguments[i].mode != KD_ARGUMENT_IN &&
            entry->arguments[i].mode != KD_ARGUMENT_VARIADIC)
            types[count++] = entry->arguments[i].type;
    if (is_row && entry->result.object != 0)
        KD_TRY(kd_catalog_row_shape(ctx, run->arena, run->catalog, entry->result, &shape));
    else if (is_row && count > 0)
        shape = (kd_record_shape){count, types, NULL};
    else if (is_row)
        return KD_OK; /* Any row. */
    if (is_row && check->column_count == 1 && check->column_types[0].id == KD_TYPE_RECORD)
        return KD_OK; /* Looked at when it is called. */
    if (check->column_count != shape.field_count)
        return result_mismatch(ctx, run, entry,
                               is_row && check->column_count < shape.field_count
                                   ? "Final statement returns too few columns."
                               : is_row ? "Final statement returns too many columns."
                                        : "Final statement must return exactly one column.");
    for (uint32_t i = 0; i < shape.field_count; i++)
        if (!kd_registry_can_coerce(registry, check->column_types[i], shape.types[i],
                                    KD_CAST_ASSIGNMENT))
            return result_mismatch(ctx, run, entry,
                                   "The final statement's columns are of other types.");
    return KD_OK;
}

static kd_status check_body(kd_ctx *ctx, kd_run *run, kd_routine_entry *entry)
{
    kdi_routine_check check = {.run = run};
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, entry->argument_count + 1);
    uint32_t count = 0;
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < entry->argument_count; i++) {
        if (is_polymorphic(entry->arguments[i].type))
            return KD_OK; /* What it means depends on the call. */
        if (kd_argument_is_input(&entry->arguments[i]))
            types[count++] = entry->arguments[i].type;
    }
    if (entry->kind == KD_ROUTINE_MACRO) { /* Without types there is only its grammar to check. */
        kd_slice text;
        kd_statement statement;
        KD_TRY(kdi_routine_text(ctx, run->arena, entry, &text));
        return kd_parse_statement(ctx, run->arena, text, &statement);
    }
    KD_TRY(kdi_routine_check_body(ctx, entry, types, &check));
    KD_TRY(check_result(ctx, run, entry, &check));
    /* As in PostgreSQL, a body that is a string depends on nothing. */
    if (entry->form != KD_BODY_STRING) {
        entry->depends_on = check.depends_on;
        entry->depends_count = check.depends_count;
    }
    return KD_OK;
}

/* --- CREATE --- */

/* The routine in whose place another one would come. There is one macro of a name. */
static const kd_routine_entry *same_routine(const kd_run *run, const kd_routine_entry *entry)
{
    const kd_routine_entry *at = NULL;
    bool both_are_macros;
    do {
        at = kd_catalog_find_routine(run->catalog, entry->object.schema_no, entry->object.name, at);
        both_are_macros =
            at != NULL && at->kind == KD_ROUTINE_MACRO && entry->kind == KD_ROUTINE_MACRO;
    } while (at != NULL && !both_are_macros && !kd_routine_same_arguments(at, entry));
    return at;
}

static kd_status check_replaces(kd_ctx *ctx, kd_run *run, const kd_ast_create_routine *ast,
                                kd_routine_entry *entry)
{
    const kd_routine_entry *old = same_routine(run, entry);
    if (old == NULL)
        return kd_catalog_next_object_no(ctx, run->session->database->catalog,
                                         &entry->object.object_no);
    int size = (int)entry->object.name.size_bytes;
    const char *name = entry->object.name.data;
    if (!ast->or_replace)
        return KD_FAIL(ctx, KD_INVALID, "42723",
                       "function \"%.*s\" already exists with same argument types", size, name);
    if (old->kind != entry->kind)
        return KD_FAIL(ctx, KD_INVALID, "42809", "cannot change routine kind");
    if (entry->kind != KD_ROUTINE_MACRO &&
        (!kd_type_same(old->result, entry->result) || old->returns_set != entry->returns_set)) {
        kd_status status = wrong(ctx, "cannot change return type of existing function");
        kd_error_set_hint(ctx, "Use DROP FUNCTION %.*s first.", size, name);
        return status;
    }
    entry->object.object_no = old->object.object_no;
    entry->object.comment = old->object.comment;
    return KD_OK;
}

kd_status kdi_create_routine(kd_ctx *ctx, kd_run *run, const kd_ast_create_routine *ast)
{
    static const char *const tags[] = {"CREATE FUNCTION", "CREATE PROCEDURE", "CREATE MACRO"};
    static const kd_routine_kind kinds[] = {KD_ROUTINE_FUNCTION, KD_ROUTINE_PROCEDURE,
                                            KD_ROUTINE_MACRO};
    static const kd_volatility volatilities[] = {KD_VOLATILE, KD_IMMUTABLE, KD_STABLE, KD_VOLATILE};
    kd_routine_entry entry = {
        .object = {.kind = KD_OBJECT_ROUTINE, .name = ast->name.name, .comment = {"", 0}},
        .kind = kinds[ast->what],
        .volatility = volatilities[ast->options.volatility],
        .strict = ast->options.strict == KD_AST_ON,
        .security_definer = ast->options.security_definer};
    kdi_set_tag(run, tags[ast->what]);
    if (entry.kind == KD_ROUTINE_MACRO)
        entry.volatility = KD_STABLE;
    KD_TRY(kdi_target_schema(ctx, run, &ast->name, &entry.object.schema_no));
    KD_TRY(bind_arguments(ctx, run, ast, &entry));
    KD_TRY(bind_result(ctx, run, ast, &entry));
    KD_TRY(take_body(ctx, run, ast, &entry));
    entry.returns_set |= entry.form == KD_BODY_QUERY;
    KD_TRY(check_replaces(ctx, run, ast, &entry));
    KD_TRY(kdi_put(ctx, run, &entry.object)); /* The body may call it. */
    KD_TRY(check_body(ctx, run, &entry));
    return entry.depends_count == 0 ? KD_OK : kdi_put(ctx, run, &entry.object);
}

/* --- Routines by name --- */

static bool takes(kd_run *run, const kd_routine_entry *entry, const kd_type *types,
                  const uint32_t *domains, size_t count)
{
    size_t at = 0;
    (void)run;
    for (uint32_t i = 0; i < entry->argument_count; i++) {
        if (!kd_argument_is_input(&entry->arguments[i]))
            continue;
        if (at >= count || !kd_type_same(entry->arguments[i].type, types[at]) ||
            entry->arguments[i].domain_no != domains[at])
            return false;
        at++;
    }
    return at == count;
}

static bool kind_fits(kd_ast_object_kind wanted, kd_routine_kind kind)
{
    return wanted == KD_AST_OBJECT_ROUTINE ||
           (wanted == KD_AST_OBJECT_PROCEDURE) == (kind == KD_ROUTINE_PROCEDURE);
}

static kd_status signature_text(kd_ctx *ctx, kd_run *run, const kd_ast_object *object,
                                const kd_type *types, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_format(ctx, out, "%.*s(", (int)object->name.name.size_bytes,
                                   object->name.name.data));
    for (size_t i = 0; i < object->arg_type_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(kd_session_format_type(ctx, run->session, types[i], out));
    }
    return kd_buffer_append_text(ctx, out, ")");
}

kd_status kdi_named_routine(kd_ctx *ctx, kd_run *run, kd_ast_object_kind kind,
                            const kd_ast_object *object, bool missing_ok,
                            const kd_routine_entry **out)
{
    kd_bind_options options;
    const char *word = kind == KD_AST_OBJECT_PROCEDURE ? "procedure"
                       : kind == KD_AST_OBJECT_ROUTINE ? "routine"
                                                       : "function";
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, object->arg_type_count + 1);
    uint32_t *domains = KD_NEW_ARRAY(ctx, run->arena, uint32_t, object->arg_type_count + 1);
    bool qualified = object->name.schema.size_bytes > 0;
    kd_slice name = object->name.name;
    *out = NULL;
    if (types == NULL || domains == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < object->arg_type_count; i++)
        KD_TRY(bind_type(ctx, run, &object->arg_types[i], &types[i], &domains[i]));
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    for (uint32_t s = 0; s < (qualified ? 1 : options.search_path_count) && *out == NULL; s++) {
        const kd_object *schema = kd_catalog_find_schema(
            run->catalog, qualified ? object->name.schema : options.search_path[s]);
        const kd_routine_entry *at = NULL;
        while (schema != NULL &&
               (at = kd_catalog_find_routine(run->catalog, schema->object_no, name, at)) != NULL) {
            if (!kind_fits(kind, at->kind) ||
                (object->has_args && !takes(run, at, types, domains, object->arg_type_count)))
                continue;
            if (*out != NULL)
                return KD_FAIL(ctx, KD_INVALID, "42725", "%s name \"%.*s\" is not unique", word,
                               (int)name.size_bytes, name.data);
            *out = at;
        }
    }
    if (*out != NULL || missing_ok)
        return KD_OK;
    kd_buffer text = kd_buffer_in(run->arena);
    if (!object->has_args)
        return KD_FAIL(ctx, KD_INVALID, "42883", "could not find a %s named \"%.*s\"", word,
                       (int)name.size_bytes, name.data);
    KD_TRY(signature_text(ctx, run, object, types, &text));
    return KD_FAIL(ctx, KD_INVALID, "42883", "%s %s does not exist", word, text.data);
}

/* --- ALTER --- */

kd_status kdi_alter_routine(kd_ctx *ctx, kd_run *run, const kd_ast_alter_routine *ast)
{
    static const kd_volatility volatilities[] = {KD_VOLATILE, KD_IMMUTABLE, KD_STABLE, KD_VOLATILE};
    const kd_routine_entry *old;
    kdi_set_tag(run, ast->object == KD_AST_OBJECT_PROCEDURE ? "ALTER PROCEDURE" : "ALTER FUNCTION");
    KD_TRY(kdi_named_routine(ctx, run, ast->object, ast->target, false, &old));
    kd_routine_entry entry = *old;
    if (ast->options.volatility != KD_AST_VOLATILITY_UNSET)
        entry.volatility = volatilities[ast->options.volatility];
    if (ast->options.strict != KD_AST_UNSET)
        entry.strict = ast->options.strict == KD_AST_ON;
    entry.security_definer |= ast->options.security_definer;
    return kdi_put(ctx, run, &entry.object);
}

/* A routine under another name or in another schema must not meet one with the same arguments. */
kd_status kdi_move_routine(kd_ctx *ctx, kd_run *run, const kd_routine_entry *old, kd_slice name,
                           uint32_t schema_no)
{
    kd_routine_entry entry = *old;
    entry.object.name = name;
    entry.object.schema_no = schema_no;
    const kd_routine_entry *there = same_routine(run, &entry);
    if (there != NULL && there->object.object_no != entry.object.object_no)
        return KD_FAIL(ctx, KD_INVALID, "42723",
                       "function \"%.*s\" already exists with same argument types",
                       (int)name.size_bytes, name.data);
    return kdi_put(ctx, run, &entry.object);
}
