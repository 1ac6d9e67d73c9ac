/*
 * Names: relations and types by the search path, columns by scopes.
 */
#include "sql/bind_internal.h"
#include "types/bits.h"
#include "types/interval.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Relations --- */

static const kd_virtual_table *find_virtual(const kdi_binder *b, kd_slice schema, kd_slice name)
{
    const kd_virtual_tables *all = b->options->virtual_tables;
    for (uint32_t i = 0; all != NULL && i < all->count; i++) {
        const kd_virtual_table *it = &all->tables[i];
        if (kd_slice_equal(kd_slice_of(it->name), name) &&
            kd_slice_equal(kd_slice_of(it->schema),
                           schema.size_bytes > 0 ? schema : KD_SLICE("pg_catalog")))
            return it;
    }
    return NULL;
}

static const kd_object *find_in_schema(const kdi_binder *b, kd_slice schema, kd_slice name)
{
    const kd_object *found = kd_catalog_find_schema(b->options->catalog, schema);
    return found == NULL ? NULL
                         : kd_catalog_find_relation(b->options->catalog, found->object_no, name);
}

static const kd_object *find_catalog_type(const kdi_binder *b, const kd_ast_name *name)
{
    const kd_bind_options *options = b->options;
    uint32_t count = name->schema.size_bytes > 0 ? 1 : options->search_path_count;
    for (uint32_t i = 0; i < count; i++) {
        kd_slice schema_name = name->schema.size_bytes > 0 ? name->schema : options->search_path[i];
        const kd_object *schema = kd_catalog_find_schema(options->catalog, schema_name);
        const kd_object *found =
            schema == NULL ? NULL
                           : kd_catalog_find_type(options->catalog, schema->object_no, name->name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

kd_status kdi_find_relation(kd_ctx *ctx, kdi_binder *b, const kd_ast_name *name, bool missing_ok,
                            const kd_object **out_object, const kd_virtual_table **out_virtual)
{
    *out_object = NULL;
    if (out_virtual != NULL) {
        *out_virtual = find_virtual(b, name->schema, name->name);
        if (*out_virtual != NULL)
            return KD_OK;
    }
    if (name->schema.size_bytes > 0) {
        *out_object = find_in_schema(b, name->schema, name->name);
    } else {
        for (uint32_t i = 0; i < b->options->search_path_count && *out_object == NULL; i++)
            *out_object = find_in_schema(b, b->options->search_path[i], name->name);
        if (*out_object == NULL)
            *out_object = find_in_schema(b, KD_SLICE("pg_catalog"), name->name);
    }
    if (*out_object != NULL || missing_ok)
        return KD_OK;
    kd_status status;
    const kd_object *type = find_catalog_type(b, name);
    if (type != NULL && type->kind == KD_OBJECT_COMPOSITE)
        status =
            KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is a composite type", KDI_S(name->name));
    else if (name->schema.size_bytes > 0)
        status = KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s.%.*s\" does not exist",
                         KDI_S(name->schema), KDI_S(name->name));
    else
        status = KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s\" does not exist",
                         KDI_S(name->name));
    return kdi_at(ctx, b, name->position, status);
}

kd_status kdi_authorize(kd_ctx *ctx, kdi_binder *b, const kd_object *object, char privilege)
{
    if (b->options->authorize == NULL || object == NULL)
        return KD_OK;
    return b->options->authorize(ctx, b->options->authorize_object, object, privilege);
}

/* --- Types --- */

/* With its schema where the search path does not lead there. */
static const char *catalog_type_text(kd_ctx *ctx, kdi_binder *b, const kd_object *entry,
                                     const char *brackets)
{
    const kd_ast_name name = {.name = entry->name};
    const kd_object *schema = kd_catalog_get(b->options->catalog, entry->schema_no);
    const kd_object *found = find_catalog_type(b, &name), *relation = NULL;
    for (uint32_t i = 0; found == NULL && relation == NULL && i < b->options->search_path_count;
         i++)
        relation = find_in_schema(b, b->options->search_path[i], entry->name);
    if (found == entry || relation == entry || schema == NULL)
        return kd_format_text(ctx, b->arena, "%.*s%s", KDI_S(entry->name), brackets);
    return kd_format_text(ctx, b->arena, "%.*s.%.*s%s", KDI_S(schema->name), KDI_S(entry->name),
                          brackets);
}

const char *kdi_type_text(kd_ctx *ctx, kdi_binder *b, kd_type type)
{
    const char *brackets = type.is_array ? "[]" : "";
    bool is_local = type.id == KD_TYPE_RECORD && (type.object & KD_ROW_IS_LOCAL) != 0;
    if ((type.id == KD_TYPE_ENUM || type.id == KD_TYPE_RECORD) && type.object != 0 && !is_local) {
        const kd_object *entry = kd_catalog_get(b->options->catalog, type.object);
        if (entry != NULL)
            return catalog_type_text(ctx, b, entry, brackets);
    }
    if (type.id == KD_TYPE_RECORD) {
        kd_slice name = KD_SLICE("record");
        if (is_local && b->shapes[type.object & ~KD_ROW_IS_LOCAL].name.size_bytes > 0)
            name = b->shapes[type.object & ~KD_ROW_IS_LOCAL].name;
        return kd_format_text(ctx, b->arena, "%.*s%s", KDI_S(name), brackets);
    }
    kd_buffer buffer = kd_buffer_in(b->arena);
    type.modifier = -1;
    if (kd_type_format(ctx, type, &buffer) != KD_OK)
        return "?";
    return buffer.data;
}

static kd_status modifier_value(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node, int32_t *out)
{
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    int sign = 1;
    if (node->kind == KD_AST_OPERATOR) {
        const kd_ast_operator *op = (const kd_ast_operator *)node;
        if (op->left == NULL && kd_slice_equal(op->name, KD_SLICE("-"))) {
            constant = (const kd_ast_constant *)op->right;
            sign = -1;
        }
    }
    if (constant->node.kind != KD_AST_CONSTANT || constant->what != KD_AST_INTEGER ||
        constant->integer > INT32_MAX)
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              "type modifiers must be simple constants or identifiers"));
    *out = sign * (int32_t)constant->integer;
    return KD_OK;
}

static kd_status numeric_modifier(kd_ctx *ctx, int32_t precision, int32_t scale, kd_type *io_type)
{
    if (precision < 1 || precision > 1000)
        return KD_FAIL(ctx, KD_INVALID, "22023", "NUMERIC precision %d must be between 1 and 1000",
                       precision);
    if (scale < -1000 || scale > 1000)
        return KD_FAIL(ctx, KD_INVALID, "22023", "NUMERIC scale %d must be between -1000 and 1000",
                       scale);
    io_type->modifier = kd_type_numeric(precision, scale).modifier;
    return KD_OK;
}

static kd_status length_modifier(kd_ctx *ctx, int32_t length, kd_type *io_type)
{
    bool is_bits = io_type->id == KD_TYPE_BIT || io_type->id == KD_TYPE_VARBIT;
    const char *name = io_type->id == KD_TYPE_CHAR  ? "char"
                       : io_type->id == KD_TYPE_BIT ? "bit"
                       : is_bits                    ? "varbit"
                                                    : "varchar";
    int32_t length_max = is_bits ? KD_BITS_LENGTH_MAX : 10485760;
    if (length < 1)
        return KD_FAIL(ctx, KD_INVALID, "22023", "length for type %s must be at least 1", name);
    if (length > length_max)
        return KD_FAIL(ctx, KD_INVALID, "22023", "length for type %s cannot exceed %d", name,
                       length_max);
    io_type->modifier = length;
    return KD_OK;
}

static kd_status modifiers_apply(kd_ctx *ctx, kdi_binder *b, const kd_ast_type *type,
                                 kd_type *io_type)
{
    int32_t values[2] = {0, 0};
    size_t count = type->modifiers.count;
    if (count > 2)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid type modifier");
    for (size_t i = 0; i < count; i++)
        KD_TRY(modifier_value(ctx, b, type->modifiers.items[i], &values[i]));
    switch (io_type->id) {
    case KD_TYPE_NUMERIC:
        return numeric_modifier(ctx, values[0], values[1], io_type);
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return length_modifier(ctx, values[0], io_type);
    case KD_TYPE_TIME:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
        io_type->modifier = values[0] < 0 || values[0] > 6 ? 6 : values[0];
        return KD_OK;
    case KD_TYPE_INTERVAL:
        if (values[0] < 0)
            return KD_FAIL(ctx, KD_INVALID, "22023", "INTERVAL(%d) precision must not be negative",
                           values[0]);
        io_type->modifier =
            kd_interval_modifier(type->interval_fields, values[0] > 6 ? 6 : (uint32_t)values[0]);
        return KD_OK;
    default:
        return KD_FAIL(ctx, KD_INVALID, "42601", "type modifier is not allowed for type \"%.*s\"",
                       KDI_S(type->name.name));
    }
}

const kd_domain_entry *kdi_find_domain(const kdi_binder *b, const kd_ast_type *type)
{
    kd_type built_in;
    bool in_catalog_schema = type->name.schema.size_bytes == 0 ||
                             kd_slice_equal(type->name.schema, KD_SLICE("pg_catalog"));
    if (type->dimensions > 0 || (in_catalog_schema && kd_type_find(type->name.name, &built_in)))
        return NULL;
    const kd_object *found = find_catalog_type(b, &type->name);
    return found != NULL && found->kind == KD_OBJECT_DOMAIN ? (const kd_domain_entry *)found : NULL;
}

/* The elements of an array are checked nowhere, and an array holds no arrays. */
static kd_status refuse_elements(kd_ctx *ctx, kdi_binder *b, const kd_domain_entry *domain,
                                 int position)
{
    if (domain->check_count == 0 && !domain->not_null && !domain->base.is_array)
        return KD_OK;
    return kdi_at(ctx, b, position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                          "arrays of domain \"%.*s\" are not supported: %s",
                          KDI_S(domain->object.name),
                          domain->base.is_array ? "it is an array itself"
                                                : "its constraints would not be checked"));
}

kd_status kdi_bind_type(kd_ctx *ctx, kdi_binder *b, const kd_ast_type *type, kd_type *out_type)
{
    bool built_in_schema = type->name.schema.size_bytes == 0 ||
                           kd_slice_equal(type->name.schema, KD_SLICE("pg_catalog"));
    if (!(built_in_schema && kd_type_find(type->name.name, out_type))) {
        const kd_object *found = find_catalog_type(b, &type->name);
        if (found == NULL)
            KD_TRY(kdi_find_relation(ctx, b, &type->name, true, &found, NULL));
        if (found == NULL || (found->kind == KD_OBJECT_VIEW || found->kind == KD_OBJECT_SEQUENCE))
            return kdi_at(ctx, b, type->position,
                          KD_FAIL(ctx, KD_INVALID, "42704", "type \"%.*s\" does not exist",
                                  KDI_S(type->name.name)));
        if (found->kind == KD_OBJECT_DOMAIN) {
            *out_type = ((const kd_domain_entry *)found)->base;
            if (type->dimensions > 0)
                KD_TRY(refuse_elements(ctx, b, (const kd_domain_entry *)found, type->position));
        } else {
            bool is_row = found->kind == KD_OBJECT_TABLE || found->kind == KD_OBJECT_COMPOSITE;
            *out_type = kd_type_of(is_row ? KD_TYPE_RECORD : KD_TYPE_ENUM);
            out_type->object = found->object_no;
        }
    }
    if (type->modifiers.count > 0) {
        kd_status status = modifiers_apply(ctx, b, type, out_type);
        if (status != KD_OK)
            return kdi_at(ctx, b, type->position, status);
    } else if (type->interval_fields != 0) {
        out_type->modifier = kd_interval_modifier(type->interval_fields, KD_INTERVAL_DIGITS_ALL);
    } else if ((out_type->id == KD_TYPE_CHAR || out_type->id == KD_TYPE_BIT) &&
               !out_type->is_array && out_type->modifier < 0 &&
               !kd_slice_equal(type->name.name, KD_SLICE("bpchar"))) {
        out_type->modifier = 1; /* char is char(1), bit is bit(1) */
    }
    if (type->dimensions > 0)
        out_type->is_array = 1;
    return KD_OK;
}

/* --- Columns --- */

kd_status kdi_names_add_column(kd_ctx *ctx, kdi_binder *b, kdi_names *names, kd_rel_column column)
{
    kd_rel_column *added;
    KD_TRY(KD_PUSH(ctx, b->arena, names->columns, names->column_count, names->column_capacity,
                   &added));
    *added = column;
    return KD_OK;
}

kd_status kdi_names_add_source(kd_ctx *ctx, kdi_binder *b, kdi_names *names, kdi_source source)
{
    for (size_t i = 0; i < names->source_count; i++)
        if (source.alias.size_bytes > 0 && kd_slice_equal(names->sources[i].alias, source.alias) &&
            kd_slice_equal(names->sources[i].schema, source.schema))
            return KD_FAIL(ctx, KD_INVALID, "42712", "table name \"%.*s\" specified more than once",
                           KDI_S(source.alias));
    kdi_source *added;
    KD_TRY(KD_PUSH(ctx, b->arena, names->sources, names->source_count, names->source_capacity,
                   &added));
    *added = source;
    return KD_OK;
}

kd_status kdi_names_add(kd_ctx *ctx, kdi_binder *b, kdi_names *names, const kdi_names *more)
{
    for (size_t i = 0; i < more->column_count; i++)
        KD_TRY(kdi_names_add_column(ctx, b, names, more->columns[i]));
    for (size_t i = 0; i < more->source_count; i++)
        KD_TRY(kdi_names_add_source(ctx, b, names, more->sources[i]));
    return KD_OK;
}

const kdi_source *kdi_find_source(kdi_scope *scope, kd_slice schema, kd_slice alias,
                                  kdi_scope **out_scope)
{
    for (; scope != NULL; scope = scope->outer) {
        for (size_t i = 0; i < scope->names.source_count; i++) {
            const kdi_source *it = &scope->names.sources[i];
            if (!kd_slice_equal(it->alias, alias))
                continue;
            if (schema.size_bytes > 0 && !kd_slice_equal(it->schema, schema))
                continue;
            if (out_scope != NULL)
                *out_scope = scope;
            return it;
        }
    }
    return NULL;
}

static void found_at(kdi_binder *b, const kdi_scope *scope)
{
    b->found_depths |= (uint64_t)1 << (scope->depth < 63 ? scope->depth : 63);
    if (scope->depth > b->deepest)
        b->deepest = scope->depth;
    if (scope->depth < b->shallowest)
        b->shallowest = scope->depth;
}

static size_t count_named(const kd_rel_column *columns, size_t count, kd_slice name,
                          const kd_rel_column **out_found)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!kd_slice_equal(columns[i].name, name))
            continue;
        if (found++ == 0)
            *out_found = &columns[i];
    }
    return found;
}

static kd_status ambiguous(kd_ctx *ctx, kdi_binder *b, const kd_ast_column *ast, kd_slice name)
{
    return kdi_at(
        ctx, b, ast->node.position,
        KD_FAIL(ctx, KD_INVALID, "42702", "column reference \"%.*s\" is ambiguous", KDI_S(name)));
}

/* Levenshtein distance, cut off at names of 63 bytes. */
static uint32_t distance(kd_slice a, kd_slice b)
{
    uint32_t row[64];
    if (a.size_bytes > 63 || b.size_bytes > 63)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= b.size_bytes; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.size_bytes; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.size_bytes; j++) {
            uint32_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            uint32_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replaced < best ? replaced : best;
        }
    }
    return row[b.size_bytes];
}

static void hint_similar(kd_ctx *ctx, kdi_scope *scope, kd_slice alias, kd_slice name)
{
    const kdi_source *best_source = NULL;
    const kd_rel_column *best = NULL;
    uint32_t best_distance = (uint32_t)(name.size_bytes / 2) + 1;
    for (; scope != NULL; scope = scope->outer)
        for (size_t i = 0; i < scope->names.source_count; i++) {
            const kdi_source *source = &scope->names.sources[i];
            if (alias.size_bytes > 0 && !kd_slice_equal(source->alias, alias))
                continue;
            for (uint32_t c = 0; c < source->column_count; c++) {
                uint32_t d = distance(source->columns[c].name, name);
                if (d < best_distance) {
                    best_distance = d;
                    best = &source->columns[c];
                    best_source = source;
                }
            }
        }
    if (best != NULL)
        kd_error_set_hint(ctx, "Perhaps you meant to reference the column \"%.*s.%.*s\".",
                          KDI_S(best_source->alias), KDI_S(best->name));
}

static kd_status no_source(kd_ctx *ctx, kdi_binder *b, const kd_ast_column *ast, kd_slice alias)
{
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42P01", "missing FROM-clause entry for table \"%.*s\"",
                          KDI_S(alias)));
}

/* The name of an item of the select list that stands before this place, where no column has it. */
static kd_status bind_alias(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kd_slice name,
                            bool *out_found, kd_expr **out)
{
    kdi_query *query = scope == NULL ? NULL : scope->query;
    *out_found = false;
    for (size_t i = 0; query != NULL && query->aliases != NULL && i < query->alias_limit; i++) {
        const kd_ast_target *target = (const kd_ast_target *)query->aliases->items[i];
        if (!kd_slice_equal(target->alias, name) || target->value->kind == KD_AST_STAR)
            continue;
        size_t limit = query->alias_limit;
        *out_found = true;
        query->alias_limit = i;
        kd_status status = kdi_bind_expr(ctx, b, scope, target->value, out);
        query->alias_limit = limit;
        return status;
    }
    return KD_OK;
}

static kd_status bind_bare(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_column *ast,
                           kd_expr **out)
{
    kd_slice name = ast->parts[0];
    for (kdi_scope *at = scope; at != NULL; at = at->outer) {
        const kd_rel_column *found = NULL;
        size_t count = count_named(at->names.columns, at->names.column_count, name, &found);
        const kdi_source *source = NULL;
        size_t system_count = kdi_system_sources(&at->names, name, &source);
        if (count + system_count > 1)
            return ambiguous(ctx, b, ast, name);
        if (count + system_count == 0)
            continue;
        found_at(b, at);
        if (count == 0)
            return kdi_system_column(ctx, b, source, name, ast->node.position, out);
        KD_TRY(kdi_note_column(ctx, b, scope, at, &ast->node, found));
        *out = kdi_column_expr(ctx, b, found, ast->node.position);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    if (kdi_find_source(scope, (kd_slice){NULL, 0}, name, NULL) != NULL)
        return kdi_bind_whole_row(ctx, b, scope, ast, out);
    bool found;
    KD_TRY(bind_alias(ctx, b, scope, name, &found, out));
    if (!found)
        KD_TRY(kdi_bind_argument(ctx, b, name, ast->node.position, &found, out));
    if (found)
        return KD_OK;
    kdi_at(ctx, b, ast->node.position,
           KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" does not exist", KDI_S(name)));
    hint_similar(ctx, scope, (kd_slice){NULL, 0}, name);
    return KD_INVALID;
}

kd_status kdi_bind_whole_row(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_column *ast,
                             kd_expr **out)
{
    kd_slice alias = ast->parts[ast->part_count - 1];
    kd_slice schema = ast->part_count > 1 ? ast->parts[ast->part_count - 2] : (kd_slice){NULL, 0};
    kdi_scope *at = NULL;
    const kdi_source *source = kdi_find_source(scope, schema, alias, &at);
    if (source == NULL)
        return no_source(ctx, b, ast, alias);
    found_at(b, at);
    kdi_note_unclear(b);
    return kdi_whole_row(ctx, b, source, ast->node.position, out);
}

kd_status kdi_bind_column(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_column *ast,
                          kd_expr **out)
{
    *out = NULL;
    if (ast->part_count == 1)
        return bind_bare(ctx, b, scope, ast, out);
    kd_slice name = ast->parts[ast->part_count - 1];
    kd_slice alias = ast->parts[ast->part_count - 2];
    kd_slice schema = ast->part_count > 2 ? ast->parts[ast->part_count - 3] : (kd_slice){NULL, 0};
    kdi_scope *at = NULL;
    const kdi_source *source = kdi_find_source(scope, schema, alias, &at);
    bool is_argument = false;
    if (source == NULL && ast->part_count == 2)
        KD_TRY(kdi_bind_argument_part(ctx, b, alias, name, ast->node.position, &is_argument, out));
    if (is_argument)
        return KD_OK;
    if (source == NULL)
        return no_source(ctx, b, ast, alias);
    const kd_rel_column *found = NULL;
    size_t count = count_named(source->columns, source->column_count, name, &found);
    if (count > 1)
        return ambiguous(ctx, b, ast, name);
    if (count == 0 && kdi_has_system_column(source, name)) {
        found_at(b, at);
        return kdi_system_column(ctx, b, source, name, ast->node.position, out);
    }
    if (count == 0) {
        kdi_at(ctx, b, ast->node.position,
               KD_FAIL(ctx, KD_INVALID, "42703", "column %.*s.%.*s does not exist", KDI_S(alias),
                       KDI_S(name)));
        hint_similar(ctx, scope, alias, name);
        return KD_INVALID;
    }
    found_at(b, at);
    KD_TRY(kdi_note_column(ctx, b, scope, at, &ast->node, found));
    *out = kdi_column_expr(ctx, b, found, ast->node.position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}
