/*
 * Routines as text: pg_get_functiondef and its kin.
 */
#include "engine/catalog_text.h"
#include "engine/routine_internal.h"
#include "sql/query_text.h"

static const char *mode_word(kd_argument_mode mode)
{
    switch (mode) {
    case KD_ARGUMENT_OUT:
        return "OUT ";
    case KD_ARGUMENT_INOUT:
        return "INOUT ";
    case KD_ARGUMENT_VARIADIC:
        return "VARIADIC ";
    default:
        return "";
    }
}

static kd_status append_type(kd_ctx *ctx, const kd_catalog_version *version, kd_type type,
                             uint32_t domain_no, kd_buffer *out)
{
    static const char *const pseudo[] = {"\"any\"", "anyelement", "anyarray", "anyenum",
                                         "anynonarray"};
    const kd_object *domain = domain_no == 0 ? NULL : kd_catalog_get(version, domain_no);
    if (domain != NULL)
        return kdi_text_relation(ctx, version, domain, out);
    if (type.id >= KD_PSEUDO_ANY)
        return kd_buffer_append_text(ctx, out, pseudo[type.id - KD_PSEUDO_ANY]);
    return kdi_text_type(ctx, version, type, out);
}

typedef enum arguments_what { ARGUMENTS_ALL, ARGUMENTS_IDENTITY, ARGUMENTS_TABLE } arguments_what;

static kd_status append_arguments(kd_ctx *ctx, const kd_catalog_version *version,
                                  const kd_routine_entry *routine, arguments_what what,
                                  kd_buffer *out)
{
    bool is_first = true;
    for (uint32_t i = 0; i < routine->argument_count; i++) {
        const kd_routine_argument *argument = &routine->arguments[i];
        bool is_column = argument->mode == KD_ARGUMENT_TABLE;
        if (is_column != (what == ARGUMENTS_TABLE) ||
            (what == ARGUMENTS_IDENTITY && !kd_argument_is_input(argument)))
            continue;
        KD_TRY(kd_buffer_append_format(ctx, out, "%s%s", is_first ? "" : ", ",
                                       mode_word(argument->mode)));
        is_first = false;
        if (argument->name.size_bytes > 0) {
            KD_TRY(kd_name_append(ctx, argument->name, out));
            KD_TRY(kd_buffer_append_text(ctx, out, routine->kind == KD_ROUTINE_MACRO ? "" : " "));
        }
        if (routine->kind != KD_ROUTINE_MACRO)
            KD_TRY(append_type(ctx, version, argument->type, argument->domain_no, out));
        if (what == ARGUMENTS_ALL && argument->default_text.size_bytes > 0)
            KD_TRY(kd_buffer_append_format(
                ctx, out, "%s%.*s", routine->kind == KD_ROUTINE_MACRO ? " := " : " DEFAULT ",
                (int)argument->default_text.size_bytes, argument->default_text.data));
    }
    return KD_OK;
}

static bool returns_table(const kd_routine_entry *routine)
{
    for (uint32_t i = 0; i < routine->argument_count; i++)
        if (routine->arguments[i].mode == KD_ARGUMENT_TABLE)
            return true;
    return false;
}

static kd_status append_result(kd_ctx *ctx, const kd_catalog_version *version,
                               const kd_routine_entry *routine, kd_buffer *out)
{
    if (returns_table(routine)) {
        KD_TRY(kd_buffer_append_text(ctx, out, "TABLE("));
        KD_TRY(append_arguments(ctx, version, routine, ARGUMENTS_TABLE, out));
        return kd_buffer_append_text(ctx, out, ")");
    }
    KD_TRY(kd_buffer_append_text(ctx, out, routine->returns_set ? "SETOF " : ""));
    return append_type(ctx, version, routine->result, routine->result_domain_no, out);
}

/* --- pg_get_functiondef --- */

static kd_status append_body(kd_ctx *ctx, const kd_routine_entry *routine, kd_buffer *out)
{
    const char *before = "AS $function$", *after = "$function$\n";
    if (routine->form == KD_BODY_RETURN) {
        before = "RETURN ";
        after = "\n";
    } else if (routine->form == KD_BODY_ATOMIC) {
        before = "BEGIN ATOMIC\n ";
        after = "\nEND\n";
    }
    KD_TRY(kd_buffer_append_text(ctx, out, before));
    KD_TRY(kd_buffer_append_slice(ctx, out, routine->body));
    return kd_buffer_append_text(ctx, out, after);
}

static kd_status append_definition(kd_ctx *ctx, const kd_catalog_version *version,
                                   const kd_routine_entry *routine, kd_buffer *out)
{
    static const char *const words[] = {"FUNCTION", "PROCEDURE", "MACRO"};
    static const char *const volatilities[] = {" IMMUTABLE", " STABLE", ""};
    const kd_object *schema = kd_catalog_get(version, routine->object.schema_no);
    bool is_macro = routine->kind == KD_ROUTINE_MACRO;
    KD_TRY(kd_buffer_append_format(ctx, out, "CREATE OR REPLACE %s ", words[routine->kind]));
    KD_TRY(kd_name_append(ctx, schema->name, out));
    KD_TRY(kd_buffer_append_text(ctx, out, "."));
    KD_TRY(kd_name_append(ctx, routine->object.name, out));
    KD_TRY(kd_buffer_append_text(ctx, out, "("));
    KD_TRY(append_arguments(ctx, version, routine, ARGUMENTS_ALL, out));
    KD_TRY(kd_buffer_append_text(ctx, out, ")"));
    if (is_macro)
        return kd_buffer_append_format(ctx, out, " AS %s%.*s\n",
                                       routine->form == KD_BODY_QUERY ? "TABLE " : "",
                                       (int)routine->body.size_bytes, routine->body.data);
    if (routine->kind == KD_ROUTINE_FUNCTION) {
        KD_TRY(kd_buffer_append_text(ctx, out, "\n RETURNS "));
        KD_TRY(append_result(ctx, version, routine, out));
    }
    KD_TRY(kd_buffer_append_text(ctx, out, "\n LANGUAGE sql\n"));
    const char *volatility =
        routine->kind == KD_ROUTINE_FUNCTION ? volatilities[routine->volatility] : "";
    if (*volatility != '\0' || routine->strict || routine->security_definer)
        KD_TRY(kd_buffer_append_format(ctx, out, "%s%s%s\n", volatility,
                                       routine->strict ? " STRICT" : "",
                                       routine->security_definer ? " SECURITY DEFINER" : ""));
    return append_body(ctx, routine, out);
}

/* --- The functions --- */

typedef kd_status (*append_part)(kd_ctx *ctx, const kd_catalog_version *version,
                                 const kd_routine_entry *routine, kd_buffer *out);

static kd_status part_text(kd_ctx *ctx, kd_call_env *env, const void *argument, append_part append,
                           void *result, bool *out_is_null)
{
    const kd_catalog_version *version = kdi_call_catalog(env);
    int64_t number = *(const int64_t *)argument;
    const kd_object *object =
        number <= 0 || number > UINT32_MAX ? NULL : kd_catalog_get(version, (uint32_t)number);
    kd_buffer text = kd_buffer_in(env->arena);
    *out_is_null = object == NULL || object->kind != KD_OBJECT_ROUTINE;
    if (*out_is_null)
        return KD_OK;
    KD_TRY(kd_buffer_append_text(ctx, &text, ""));
    KD_TRY(append(ctx, version, (const kd_routine_entry *)object, &text));
    return kdi_return_text(ctx, env, kd_buffer_slice(&text), result);
}

static kd_status all_arguments(kd_ctx *ctx, const kd_catalog_version *version,
                               const kd_routine_entry *routine, kd_buffer *out)
{
    return append_arguments(ctx, version, routine, ARGUMENTS_ALL, out);
}

static kd_status identity_arguments(kd_ctx *ctx, const kd_catalog_version *version,
                                    const kd_routine_entry *routine, kd_buffer *out)
{
    return append_arguments(ctx, version, routine, ARGUMENTS_IDENTITY, out);
}

#define PART(function, append)                                                        \
    static kd_status function(kd_ctx *ctx, kd_call_env *env, const void *const *args, \
                              void *result, bool *out_is_null)                        \
    {                                                                                 \
        return part_text(ctx, env, args[0], append, result, out_is_null);             \
    }
PART(call_arguments, all_arguments)
PART(call_identity, identity_arguments)
PART(call_result, append_result)
PART(call_definition, append_definition)

#define ENTRY(sql_name, function)                                                                  \
    {                                                                                              \
        .name = sql_name, .argument_count = 1, .arguments = {{.id = KD_TYPE_OID, .modifier = -1}}, \
        .result = {.id = KD_TYPE_TEXT, .modifier = -1}, .volatility = KD_STABLE, .strict = true,   \
        .row = function                                                                            \
    }

static const kd_function functions[] = {
    ENTRY("pg_get_function_arguments", call_arguments),
    ENTRY("pg_get_function_identity_arguments", call_identity),
    ENTRY("pg_get_function_result", call_result),
    ENTRY("pg_get_functiondef", call_definition),
};

kd_status kdi_register_routine_texts(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof *functions);
}
