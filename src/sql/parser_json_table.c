/*
 * JSON_TABLE, which is a query written in another way:
 *
 *   JSON_TABLE(v, '$.a[*]' PASSING ... COLUMNS (n FOR ORDINALITY, x int PATH '$.x',
 *                                               NESTED '$.b[*]' COLUMNS (y text)))
 *     LATERAL (SELECT number0 AS n, JSON_VALUE(item0, '$.x' PASSING ... RETURNING int) AS x,
 *                     JSON_VALUE(item1, '$.y' PASSING ...) AS y
 *              FROM "sql json rows"(v, variables, clauses, '$.a[*]', parent, '$.b[*]', parent)
 *                   AS (variables, item0, number0, item1, number1))
 *
 * The function joins the items of nested paths to those of the paths around them (builtin/
 * sql_json_table.c); a column is an expression over its path's item, so that one nobody reads costs
 * nothing.
 */
#include "sql/parser_json_internal.h"

#include "sql/ast_define.h"

enum { NO_PARENT = -1, NAMES_MAX = 1600 };

typedef enum column_kind { ORDINAL, ORDINARY, QUERY, EXISTS } column_kind;

typedef struct table_column {
    column_kind kind;
    int32_t position;
    uint32_t path; /* Which path's items it is of. */
    kd_slice name;
    kd_slice steps; /* Its own path; data NULL: $.name. */
    kd_ast_type type;
    int64_t flags;
    kdi_json_behaviors how;
} table_column;

typedef struct table_path {
    int32_t position;
    int64_t parent;
    kd_slice text;
} table_path;

typedef struct json_table {
    kd_parser *p;
    table_column *columns;
    size_t column_count, column_capacity;
    table_path *paths;
    size_t path_count, path_capacity;
    kd_ast_names names; /* Of columns and paths. */
} json_table;

static kd_status add_name(json_table *self, kd_slice name, int32_t position)
{
    if (self->names.count >= NAMES_MAX)
        return kdi_fail_at(self->p, "54011", position, "JSON_TABLE can have at most 1600 columns");
    for (size_t i = 0; i < self->names.count; i++)
        if (kd_slice_equal(self->names.items[i], name)) {
            char *told = kd_format_text(self->p->ctx, self->p->arena,
                                        "duplicate JSON_TABLE column or path name: %.*s",
                                        (int)name.size_bytes, name.data);
            return told == NULL ? KD_NOMEM : kdi_fail_at(self->p, "42712", position, told);
        }
    return kdi_push_name(self->p, &self->names, name);
}

/* 'path' [AS name]: `*out_index` is its place. */
static kd_status take_path(json_table *self, int64_t parent, uint32_t *out_index)
{
    kd_parser *p = self->p;
    table_path *path;
    *out_index = (uint32_t)self->path_count;
    if (self->path_count >= NAMES_MAX)
        return kdi_fail_at(p, "54011", p->token.position, "JSON_TABLE can have at most 1600 paths");
    KD_TRY(KD_PUSH(p->ctx, p->arena, self->paths, self->path_count, self->path_capacity, &path));
    *path = (table_path){.position = p->token.position, .parent = parent};
    KD_TRY(kdi_string(p, &path->text));
    if (!kdi_accept(p, KW_AS))
        return KD_OK;
    kd_slice name;
    int32_t position = p->token.position;
    KD_TRY(kdi_name(p, &name));
    return add_name(self, name, position);
}

/* --- COLUMNS --- */

/* [PATH 'path'] */
static kd_status column_path(kd_parser *p, table_column *column)
{
    return kdi_accept_word(p, "path") ? kdi_string(p, &column->steps) : KD_OK;
}

/* Whether values of the type are read as JSON_QUERY gives them, as far as its name tells. */
static bool is_json_type(const kd_ast_type *type)
{
    return type->dimensions > 0 || kd_slice_equal(type->name.name, KD_SLICE("json")) ||
           kd_slice_equal(type->name.name, KD_SLICE("jsonb"));
}

/* type [EXISTS] [FORMAT JSON] [PATH 'path'] [wrapper] [quotes] [ON EMPTY] [ON ERROR] */
static kd_status typed_column(kd_parser *p, table_column *column)
{
    bool has_format = false;
    KD_TRY(kdi_type(p, &column->type));
    bool exists = kdi_accept(p, KW_EXISTS);
    if (!exists)
        KD_TRY(kdi_json_format(p, &has_format));
    KD_TRY(column_path(p, column));
    if (!exists)
        KD_TRY(kdi_json_wrapper(p, &column->flags));
    column->kind = exists                                                            ? EXISTS
                   : has_format || column->flags != 0 || is_json_type(&column->type) ? QUERY
                                                                                     : ORDINARY;
    column->how.allowed = exists                  ? KDI_JSON_OF_EXISTS
                          : column->kind == QUERY ? KDI_JSON_OF_QUERY
                                                  : KDI_JSON_OF_VALUE;
    column->how.on_error = exists ? KD_CLAUSE_FALSE : KD_CLAUSE_NULL;
    return kdi_json_on_clauses(p, &column->how);
}

static kd_status take_column(json_table *self, uint32_t path)
{
    kd_parser *p = self->p;
    table_column *column;
    KD_TRY(KD_PUSH(p->ctx, p->arena, self->columns, self->column_count, self->column_capacity,
                   &column));
    *column = (table_column){.path = path, .position = p->token.position};
    KD_TRY(kdi_name(p, &column->name));
    KD_TRY(add_name(self, column->name, column->position));
    if (!kdi_accept(p, KW_FOR))
        return typed_column(p, column);
    column->kind = ORDINAL;
    return kdi_expect(p, KW_ORDINALITY);
}

/* NESTED is a column's name unless a path follows. */
static bool at_nested(kd_parser *p)
{
    return kdi_at_word(p, "nested") &&
           (kdi_next_is_token(p, TOKEN_STRING) ||
            (kdi_json_next_word(p, "path") && kdi_peek(p, 2)->kind == TOKEN_STRING));
}

/* COLUMNS (column, ...) of the path at `path`. */
static kd_status take_columns(json_table *self, uint32_t path)
{
    kd_parser *p = self->p;
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_expect(p, KW_COLUMNS));
    KD_TRY(kdi_expect_token(p, '('));
    do {
        if (!at_nested(p)) {
            KD_TRY(take_column(self, path));
            continue;
        }
        uint32_t nested;
        kdi_advance(p);
        (void)kdi_accept_word(p, "path");
        KD_TRY(take_path(self, path, &nested));
        KD_TRY(take_columns(self, nested));
    } while (kdi_accept_token(p, ','));
    kdi_leave(p);
    return kdi_expect_token(p, ')');
}

/* --- The query --- */

static kd_slice numbered(kd_parser *p, const char *what, size_t number)
{
    char *text = kd_format_text(p->ctx, p->arena, "sql json %s %zu", what, number);
    return text == NULL ? (kd_slice){NULL, 0} : kd_slice_of(text);
}

static kd_ast_node *path_column(kd_parser *p, const char *what, size_t path, int32_t position)
{
    kd_slice name = numbered(p, what, path);
    return name.data == NULL ? NULL : kdi_parse_column(p, position, name);
}

static kd_status push_path(kd_parser *p, kd_ast_call *call, kd_slice text, int32_t position)
{
    kd_ast_node *path = kdi_string_constant(p, text, position);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_json_cast_to_name(p, "jsonpath", &path));
    return kdi_push_arg(p, call, path);
}

/* $."name" */
static kd_status named_path(kd_parser *p, kd_slice name, kd_slice *out)
{
    kd_buffer text = kd_buffer_in(p->arena);
    KD_TRY(kd_buffer_append_text(p->ctx, &text, "$.\""));
    for (size_t i = 0; i < name.size_bytes; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            KD_TRY(kd_buffer_append_byte(p->ctx, &text, '\\'));
        KD_TRY(kd_buffer_append_byte(p->ctx, &text, (uint8_t)name.data[i]));
    }
    KD_TRY(kd_buffer_append_byte(p->ctx, &text, '"'));
    *out = kd_buffer_slice(&text);
    return KD_OK;
}

static kd_status column_value(json_table *self, table_column *column, bool errors,
                              kd_ast_node **out)
{
    static const char *const functions[] = {
        [ORDINARY] = "sql json value", [QUERY] = "sql json query", [EXISTS] = "sql json exists"};
    kd_parser *p = self->p;
    kd_ast_call *call;
    *out =
        path_column(p, column->kind == ORDINAL ? "number" : "item", column->path, column->position);
    if (*out == NULL)
        return KD_NOMEM;
    if (column->kind == ORDINAL)
        return KD_OK;
    if (errors && !column->how.has_on_error)
        column->how.on_error = KD_CLAUSE_ERROR;
    if (column->steps.data == NULL)
        KD_TRY(named_path(p, column->name, &column->steps));
    KD_TRY(kdi_parse_make_call(p, functions[column->kind], column->position, &call));
    KD_TRY(kdi_push_arg(p, call, *out));
    KD_TRY(push_path(p, call, column->steps, column->position));
    KD_TRY(kdi_push_arg(p, call, path_column(p, "variables", 0, column->position)));
    *out = &call->node;
    if (column->kind != EXISTS)
        return kdi_json_push_behaviors(p, call, &column->how, column->flags | KD_CLAUSE_COLUMN,
                                       &column->type);
    KD_TRY(kdi_json_push_integer(p, call, column->how.on_error));
    return kdi_json_cast(p, &column->type, out);
}

/* The function's call; its columns get their names from the alias. */
static kd_status rows_item(json_table *self, kd_ast_call *call, bool errors, kd_ast_node **out)
{
    kd_parser *p = self->p;
    kd_ast_table_call *item =
        KDI_NODE_AT(p, KD_AST_TABLE_CALL, kd_ast_table_call, call->node.position);
    if (item == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_json_push_integer(p, call, errors ? KD_CLAUSE_ERROR : KD_CLAUSE_EMPTY_ARRAY));
    item->alias.name = KD_SLICE("sql json rows");
    KD_TRY(kdi_push_name(p, &item->alias.columns, numbered(p, "variables", 0)));
    for (size_t i = 0; i < self->path_count; i++) {
        KD_TRY(push_path(p, call, self->paths[i].text, self->paths[i].position));
        kd_ast_node *parent =
            kdi_integer_constant(p, self->paths[i].parent, self->paths[i].position);
        KD_TRY(kdi_push_arg(p, call, parent));
        KD_TRY(kdi_push_name(p, &item->alias.columns, numbered(p, "item", i)));
        KD_TRY(kdi_push_name(p, &item->alias.columns, numbered(p, "number", i)));
    }
    kdi_finish(p, &call->node);
    KD_TRY(kdi_push(p, &item->calls, &call->node));
    *out = &item->node;
    return KD_OK;
}

static kd_status table_query(json_table *self, kd_ast_call *call, bool errors,
                             kd_ast_table_query *out)
{
    kd_ast_node *rows, *value;
    kd_ast_select *select;
    KD_TRY(rows_item(self, call, errors, &rows));
    KD_TRY(kdi_parse_select_of(self->p, call->node.position, rows, &select));
    for (size_t i = 0; i < self->column_count; i++) {
        KD_TRY(column_value(self, &self->columns[i], errors, &value));
        kdi_finish(self->p, value);
        KD_TRY(kdi_parse_target(self->p, &select->targets, value, self->columns[i].name));
    }
    out->query = &select->node;
    out->lateral = true;
    out->alias.name = KD_SLICE("json_table");
    kdi_finish(self->p, &out->node);
    return KD_OK;
}

bool kdi_at_json_table(kd_parser *p)
{
    return kdi_at_word(p, "json_table") && kdi_next_is_token(p, '(');
}

kd_status kdi_json_table(kd_parser *p, kd_ast_table_query **out)
{
    json_table self = {.p = p};
    kdi_json_behaviors how = {.allowed = KDI_JSON_OF_TABLE, .on_error = KD_CLAUSE_EMPTY_ARRAY};
    kd_ast_node *arg;
    kd_ast_call *call;
    uint32_t root;
    *out = KDI_NODE(p, KD_AST_TABLE_QUERY, kd_ast_table_query);
    if (*out == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_parse_make_call(p, "sql json rows", p->token.position, &call));
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_json_expr(p, &arg));
    KD_TRY(kdi_json_cast_to_name(p, "jsonb", &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_expect_token(p, ','));
    KD_TRY(take_path(&self, NO_PARENT, &root));
    KD_TRY(kdi_json_passing(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(take_columns(&self, root));
    KD_TRY(kdi_json_on_clauses(p, &how));
    KD_TRY(kdi_expect_token(p, ')'));
    return table_query(&self, call, how.on_error == KD_CLAUSE_ERROR, *out);
}
