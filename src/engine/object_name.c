/*
 * Names of objects as values: regclass, regtype, regproc, regprocedure, regnamespace, regrole.
 *
 * A value is the object's number, as an oid is. Its text is the shortest name that finds the object
 * again by the search path, or the number where there is no such object. Numbers of types and of
 * some catalog views are PostgreSQL's; functions are numbered in the order of the registry.
 */
#include "engine/catalog_text.h"
#include "engine/session_function_internal.h"
#include "engine/system_view_internal.h"
#include "engine/session_role.h"
#include "sql/query_text.h"
#include "types/number_text.h"

#include <string.h>

enum { PARTS_MAX = 2 };

/* A name as written in SQL, taken apart: the last part is the object's own. */
typedef struct name_parts {
    char bytes[PARTS_MAX][2 * KDI_NAME_BYTES];
    kd_slice parts[PARTS_MAX];
    int count;
} name_parts;

/* One part of a name, folded unless quoted; moves `*at` behind it. */
static bool read_part(kd_slice text, size_t *at, char *out, size_t *out_bytes)
{
    size_t count = 0;
    bool quoted = *at < text.size_bytes && text.data[*at] == '"';
    if (quoted)
        (*at)++;
    for (; *at < text.size_bytes; (*at)++) {
        char byte = text.data[*at];
        if (quoted && byte == '"') {
            if (*at + 1 >= text.size_bytes || text.data[*at + 1] != '"')
                break;
            (*at)++;
        } else if (!quoted && (byte == '.' || byte == '"')) {
            break;
        } else if (!quoted && byte >= 'A' && byte <= 'Z') {
            byte = (char)(byte - 'A' + 'a');
        }
        if (count + 1 >= 2 * KDI_NAME_BYTES)
            return false;
        out[count++] = byte;
    }
    *out_bytes = count;
    if (quoted) {
        if (*at >= text.size_bytes)
            return false;
        (*at)++;
    }
    return count > 0;
}

static kd_status name_split(kd_ctx *ctx, kd_slice text, name_parts *out)
{
    size_t at = 0;
    bool fine = true;
    out->count = 0;
    while (fine && out->count < PARTS_MAX) {
        size_t size = 0;
        fine = read_part(text, &at, out->bytes[out->count], &size);
        out->parts[out->count] = (kd_slice){out->bytes[out->count], size};
        out->count++;
        if (at >= text.size_bytes || text.data[at] != '.')
            break;
        at++;
    }
    if (!fine || at < text.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "42602", "invalid name syntax");
    return KD_OK;
}

/* --- Relations -------------------------------------------------------------------------------- */

static const kd_object *find_by_path(const kd_session *session, const kd_catalog_version *catalog,
                                     kd_slice name, bool is_type)
{
    const kd_settings *settings = &session->settings;
    for (uint32_t i = 0; i < settings->search_path_count; i++) {
        kd_slice schema_name = settings->search_path[i];
        if (kd_slice_equal(schema_name, KD_SLICE("$user")))
            schema_name = kd_slice_of(kdi_role_text(catalog, kdi_current_role_no(session)));
        const kd_object *schema = kd_catalog_find_schema(catalog, schema_name);
        if (schema == NULL)
            continue;
        const kd_object *found = is_type
                                     ? kd_catalog_find_type(catalog, schema->object_no, name)
                                     : kd_catalog_find_relation(catalog, schema->object_no, name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static const kd_object *find_relation(const kd_session *session, const kd_catalog_version *catalog,
                                      const name_parts *name)
{
    const kd_object *temporary =
        session->temp_schema_no == 0 || name->count == 2
            ? NULL
            : kd_catalog_find_relation(catalog, session->temp_schema_no, name->parts[0]);
    if (temporary != NULL)
        return temporary;
    if (name->count == 1)
        return find_by_path(session, catalog, name->parts[0], false);
    const kd_object *schema = kd_catalog_find_schema(catalog, name->parts[0]);
    return schema == NULL ? NULL
                          : kd_catalog_find_relation(catalog, schema->object_no, name->parts[1]);
}

kd_status kdi_find_relation_text(kd_ctx *ctx, const kd_session *session,
                                 const kd_catalog_version *catalog, kd_slice text,
                                 const kd_object **out_object)
{
    name_parts name;
    *out_object = NULL;
    KD_TRY(name_split(ctx, text, &name));
    *out_object = find_relation(session, catalog, &name);
    return KD_OK;
}

/* A system view's number, or 0. pg_catalog stands before the search path. */
static uint64_t find_view(const name_parts *name)
{
    kd_slice schema = name->count == 2 ? name->parts[0] : KD_SLICE("pg_catalog");
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++) {
        const kd_virtual_table *view = kdi_virtual_at(i);
        if (kd_slice_equal(name->parts[name->count - 1], kd_slice_of(view->name)) &&
            kd_slice_equal(schema, kd_slice_of(view->schema)))
            return kdi_virtual_number(i);
    }
    return 0;
}

static kd_status class_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                          int64_t *out_no)
{
    const kd_catalog_version *catalog = settings->enum_object;
    name_parts name;
    KD_TRY(name_split(ctx, text, &name));
    *out_no = (int64_t)find_view(&name);
    if (*out_no != 0)
        return KD_OK;
    const kd_object *object = find_relation(settings->name_object, catalog, &name);
    if (object != NULL) {
        *out_no = object->object_no;
        return KD_OK;
    }
    if (name.count == 2 && kd_catalog_find_schema(catalog, name.parts[0]) == NULL)
        return KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                       (int)name.parts[0].size_bytes, name.parts[0].data);
    return KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s\" does not exist",
                   (int)text.size_bytes, text.data);
}

static kd_status append_view_name(kd_ctx *ctx, const kd_virtual_table *view, kd_buffer *out)
{
    if (strcmp(view->schema, "pg_catalog") != 0)
        KD_TRY(kd_buffer_append_format(ctx, out, "%s.", view->schema));
    return kd_buffer_append_text(ctx, out, view->name);
}

/* With its schema unless the search path leads to it. */
static kd_status append_object_name(kd_ctx *ctx, const kd_text_settings *settings,
                                    const kd_object *object, kd_buffer *out)
{
    const kd_session *session = settings->name_object;
    const kd_catalog_version *catalog = settings->enum_object;
    bool is_type = kd_object_is_type(object);
    bool is_visible = object->schema_no == session->temp_schema_no ||
                      find_by_path(session, catalog, object->name, is_type) == object;
    const kd_object *schema = kd_catalog_get(catalog, object->schema_no);
    if (!is_visible && schema != NULL) {
        KD_TRY(kd_name_append(ctx, schema->name, out));
        KD_TRY(kd_buffer_append_byte(ctx, out, '.'));
    }
    return kd_name_append(ctx, object->name, out);
}

static const kd_object *object_of(const kd_text_settings *settings, int64_t no)
{
    return no <= 0 || no > UINT32_MAX ? NULL : kd_catalog_get(settings->enum_object, (uint32_t)no);
}

static kd_status class_name(kd_ctx *ctx, const kd_text_settings *settings, int64_t no,
                            kd_buffer *out)
{
    const kd_object *object = object_of(settings, no);
    if (object != NULL && kdi_is_relation(object))
        return append_object_name(ctx, settings, object, out);
    for (uint32_t i = 0; kdi_virtual_at(i) != NULL; i++)
        if ((int64_t)kdi_virtual_number(i) == no)
            return append_view_name(ctx, kdi_virtual_at(i), out);
    return kd_buffer_append_format(ctx, out, "%lld", (long long)no);
}

/* --- Types ------------------------------------------------------------------------------------ */

/* A domain's own number: types are bound to what is below it. */
static kd_status domain_no(const kd_text_settings *settings, const kd_ast_type *type,
                           int64_t *out_no)
{
    const kd_catalog_version *catalog = settings->enum_object;
    const kd_object *found;
    kd_type built_in;
    *out_no = 0;
    if (type->dimensions > 0)
        return KD_OK;
    if (type->name.schema.size_bytes == 0) {
        found = kd_type_find(type->name.name, &built_in)
                    ? NULL
                    : find_by_path(settings->name_object, catalog, type->name.name, true);
    } else {
        const kd_object *schema = kd_catalog_find_schema(catalog, type->name.schema);
        found = schema == NULL ? NULL
                               : kd_catalog_find_type(catalog, schema->object_no, type->name.name);
    }
    if (found != NULL && found->kind == KD_OBJECT_DOMAIN)
        *out_no = found->object_no;
    return KD_OK;
}

static kd_status bind_type(kd_ctx *ctx, const kd_text_settings *settings, kd_arena *arena,
                           kd_slice text, kd_type *out_type, int64_t *out_no)
{
    kd_session *session = (kd_session *)(uintptr_t)settings->name_object;
    kd_bind_options options;
    kd_ast_type written;
    kd_session_facts facts = {.text = settings};
    KD_TRY(kd_parse_type(ctx, arena, text, &written));
    KD_TRY(kdi_bind_options(ctx, arena, session, settings->enum_object, &facts, &options));
    KD_TRY(kd_bind_type(ctx, &options, &written, out_type));
    KD_TRY(domain_no(settings, &written, out_no));
    if (*out_no == 0 && out_type->id == KD_TYPE_RECORD && out_type->object != 0)
        *out_no = out_type->object;
    if (*out_no == 0)
        *out_no = (int64_t)kd_type_number(*out_type);
    return KD_OK;
}

static kd_status type_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                         kd_type *out_type, int64_t *out_no)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "type name", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = bind_type(ctx, settings, arena, text, out_type, out_no);
    if (status != KD_OK)
        ctx->error.position = -1; /* It was one in the type's own text. */
    kd_arena_destroy(arena);
    return status;
}

static kd_status type_name(kd_ctx *ctx, const kd_text_settings *settings, int64_t no,
                           kd_buffer *out)
{
    kd_type type;
    const kd_object *object = object_of(settings, no);
    if (kdi_type_by_number(settings->enum_object, (uint64_t)no, -1, &type)) {
        if (!kd_type_is_named(type))
            return kd_type_format(ctx, type, out);
        KD_TRY(append_object_name(ctx, settings, object_of(settings, type.object), out));
        return type.is_array ? kd_buffer_append_text(ctx, out, "[]") : KD_OK;
    }
    if (object != NULL && (object->kind == KD_OBJECT_DOMAIN || object->kind == KD_OBJECT_TABLE))
        return append_object_name(ctx, settings, object, out);
    return kd_buffer_append_format(ctx, out, "%lld", (long long)no);
}

/* --- Functions -------------------------------------------------------------------------------- */

typedef struct function_search {
    kd_slice name;        /* Looked for: how many have it, */
    const kd_type *types; /* with these arguments unless NULL, */
    uint32_t type_count;  /* and the number of the last. */
    int64_t wanted_no;    /* Or: the function of this number. */
    int64_t next_no, found_no;
    uint32_t found_count;
    const char *found_name;
    const kd_type *found_types;
    uint32_t found_type_count;
} function_search;

static void look_at_function(void *object, const kd_registered *it)
{
    function_search *self = object;
    if (!kdi_function_is_named(it->name))
        return;
    int64_t no = self->next_no++;
    bool fits = self->wanted_no != 0 ? no == self->wanted_no
                                     : kd_slice_equal(self->name, kd_slice_of(it->name));
    if (fits && self->types != NULL) {
        fits = it->argument_count == self->type_count;
        for (uint32_t i = 0; fits && i < it->argument_count; i++)
            fits = kd_type_same(it->arguments[i], self->types[i]);
    }
    if (!fits)
        return;
    self->found_no = no;
    self->found_count++;
    self->found_name = it->name;
    self->found_types = it->arguments;
    self->found_type_count = it->argument_count;
}

static void search_functions(const kd_text_settings *settings, function_search *self)
{
    self->next_no = KDI_FUNCTION_NO_FIRST;
    kd_registry_visit(kd_catalog_registry(settings->enum_object), look_at_function, self);
}

static kd_status function_missing(kd_ctx *ctx, kd_slice text)
{
    return KD_FAIL(ctx, KD_INVALID, "42883", "function \"%.*s\" does not exist",
                   (int)text.size_bytes, text.data);
}

/* Functions live in pg_catalog alone. */
static bool is_in_catalog_schema(const name_parts *name)
{
    return name->count == 1 || kd_slice_equal(name->parts[0], KD_SLICE("pg_catalog"));
}

static kd_status function_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                             int64_t *out_no)
{
    name_parts name;
    KD_TRY(name_split(ctx, text, &name));
    function_search search = {.name = name.parts[name.count - 1]};
    if (kd_slice_equal(search.name, KD_SLICE("array_in"))) {
        *out_no = KDI_ARRAY_IN_NO;
        return KD_OK;
    }
    if (is_in_catalog_schema(&name))
        search_functions(settings, &search);
    if (search.found_count == 0)
        return function_missing(ctx, text);
    if (search.found_count > 1)
        return KD_FAIL(ctx, KD_INVALID, "42725", "more than one function named \"%.*s\"",
                       (int)text.size_bytes, text.data);
    *out_no = search.found_no;
    return KD_OK;
}

/* The types between the parentheses. */
static kd_status argument_types(kd_ctx *ctx, const kd_text_settings *settings, kd_slice list,
                                kd_type *types, uint32_t *out_count)
{
    size_t begin = 0, depth = 0;
    *out_count = 0;
    for (size_t at = 0; at <= list.size_bytes; at++) {
        char byte = at < list.size_bytes ? list.data[at] : ',';
        depth += byte == '(';
        depth -= byte == ')' && depth > 0;
        if (byte != ',' || depth > 0)
            continue;
        int64_t no;
        if (*out_count == KD_FUNCTION_ARGUMENTS_MAX)
            return KD_FAIL(ctx, KD_INVALID, "54023", "too many arguments");
        KD_TRY(type_no(ctx, settings, (kd_slice){list.data + begin, at - begin}, &types[*out_count],
                       &no));
        (*out_count)++;
        begin = at + 1;
    }
    return KD_OK;
}

static kd_status procedure_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                              int64_t *out_no)
{
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX];
    name_parts name;
    const char *open = memchr(text.data, '(', text.size_bytes);
    if (open == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "expected a left parenthesis");
    if (text.data[text.size_bytes - 1] != ')')
        return KD_FAIL(ctx, KD_INVALID, "22P02", "expected a right parenthesis");
    size_t before = (size_t)(open - text.data);
    kd_slice list = {open + 1, text.size_bytes - before - 2};
    while (before > 0 && text.data[before - 1] == ' ')
        before--;
    while (list.size_bytes > 0 && list.data[list.size_bytes - 1] == ' ')
        list.size_bytes--;
    KD_TRY(name_split(ctx, (kd_slice){text.data, before}, &name));
    function_search search = {.name = name.parts[name.count - 1], .types = types};
    if (list.size_bytes > 0)
        KD_TRY(argument_types(ctx, settings, list, types, &search.type_count));
    if (is_in_catalog_schema(&name))
        search_functions(settings, &search);
    if (search.found_count == 0)
        return function_missing(ctx, text);
    *out_no = search.found_no;
    return KD_OK;
}

static kd_status function_name(kd_ctx *ctx, const kd_text_settings *settings, int64_t no,
                               bool with_arguments, kd_buffer *out)
{
    if (no == KDI_ARRAY_IN_NO)
        return kd_buffer_append_text(ctx, out, "array_in");
    function_search search = {.wanted_no = no};
    search_functions(settings, &search);
    if (search.found_count == 0)
        return kd_buffer_append_format(ctx, out, "%lld", (long long)no);
    function_search same = {.name = kd_slice_of(search.found_name)};
    search_functions(settings, &same);
    if (same.found_count > 1 && !with_arguments)
        KD_TRY(kd_buffer_append_text(ctx, out, "pg_catalog."));
    KD_TRY(kd_name_append(ctx, kd_slice_of(search.found_name), out));
    if (!with_arguments)
        return KD_OK;
    for (uint32_t i = 0; i < search.found_type_count; i++) {
        KD_TRY(kd_buffer_append_byte(ctx, out, i == 0 ? '(' : ','));
        KD_TRY(type_name(ctx, settings, (int64_t)kd_type_number(search.found_types[i]), out));
    }
    return kd_buffer_append_text(ctx, out, search.found_type_count == 0 ? "()" : ")");
}

/* --- Schemas, roles --------------------------------------------------------------------------- */

static kd_status schema_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                           int64_t *out_no)
{
    name_parts name;
    KD_TRY(name_split(ctx, text, &name));
    const kd_object *schema =
        name.count == 1 ? kd_catalog_find_schema(settings->enum_object, name.parts[0]) : NULL;
    if (schema == NULL)
        return KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                       (int)text.size_bytes, text.data);
    *out_no = schema->object_no;
    return KD_OK;
}

static kd_status role_no(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                         int64_t *out_no)
{
    const kd_role_entry *role = NULL;
    name_parts name;
    KD_TRY(name_split(ctx, text, &name));
    if (name.count == 1)
        role = kd_role_entry_find(settings->enum_object, name.parts[0]);
    if (role == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42704", "role \"%.*s\" does not exist",
                       (int)text.size_bytes, text.data);
    *out_no = role->object.object_no;
    return KD_OK;
}

/* --- All -------------------------------------------------------------------------------------- */

static bool is_number(kd_slice text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.size_bytes > 0;
}

kd_status kdi_reg_no(kd_ctx *ctx, const kd_text_settings *settings, kd_type type, kd_slice text,
                     int64_t *out_no)
{
    kd_type bound;
    *out_no = 0;
    if (kd_slice_equal(text, KD_SLICE("-")))
        return KD_OK;
    if (is_number(text))
        return kd_integer_parse(ctx, text, "oid", 0, UINT32_MAX, out_no);
    switch ((kd_reg_kind)type.object) {
    case KD_REG_CLASS:
        return class_no(ctx, settings, text, out_no);
    case KD_REG_TYPE:
        return type_no(ctx, settings, text, &bound, out_no);
    case KD_REG_PROC:
        return function_no(ctx, settings, text, out_no);
    case KD_REG_PROCEDURE:
        return procedure_no(ctx, settings, text, out_no);
    case KD_REG_NAMESPACE:
        return schema_no(ctx, settings, text, out_no);
    case KD_REG_ROLE:
        break;
    }
    return role_no(ctx, settings, text, out_no);
}

kd_status kdi_reg_name(kd_ctx *ctx, const kd_text_settings *settings, kd_type type, int64_t no,
                       kd_buffer *out)
{
    const kd_object *object = object_of(settings, no);
    const kd_role_entry *role;
    if (no == 0)
        return kd_buffer_append_byte(ctx, out, '-');
    switch ((kd_reg_kind)type.object) {
    case KD_REG_CLASS:
        return class_name(ctx, settings, no, out);
    case KD_REG_TYPE:
        return type_name(ctx, settings, no, out);
    case KD_REG_PROC:
        return function_name(ctx, settings, no, false, out);
    case KD_REG_PROCEDURE:
        return function_name(ctx, settings, no, true, out);
    case KD_REG_NAMESPACE:
        if (object != NULL && object->kind == KD_OBJECT_SCHEMA)
            return kd_name_append(ctx, object->name, out);
        break;
    case KD_REG_ROLE:
        role = kd_role_entry_get(settings->enum_object, (uint32_t)no);
        if (role != NULL)
            return kd_name_append(ctx, role->object.name, out);
        break;
    }
    return kd_buffer_append_format(ctx, out, "%lld", (long long)no);
}
