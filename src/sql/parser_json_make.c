/*
 * The forms of SQL/JSON that make JSON: JSON_OBJECT, JSON_ARRAY, the aggregates JSON_OBJECTAGG and
 * JSON_ARRAYAGG, JSON(), JSON_SCALAR, JSON_SERIALIZE.
 */
#include "sql/parser_json_internal.h"

/* [NULL | ABSENT ON NULL] [WITH | WITHOUT UNIQUE [KEYS]] */
static kd_status constructor_clauses(kd_parser *p, int64_t *io_flags)
{
    bool absent = kdi_at_word(p, "absent");
    if (absent || kdi_at(p, KW_NULL)) {
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_ON));
        KD_TRY(kdi_expect(p, KW_NULL));
        *io_flags = absent ? KD_CLAUSE_ABSENT : 0;
    }
    return kdi_json_unique(p, io_flags);
}

static bool ends_values(kd_parser *p)
{
    return kdi_at_token(p, ')') || kdi_at_word(p, "absent") || kdi_at(p, KW_RETURNING) ||
           (kdi_at(p, KW_NULL) && kdi_next_is(p, KW_ON));
}

/* Finishes the call: its flags come first, its type is what RETURNING says. */
static kd_status constructed(kd_parser *p, kd_ast_call *call, int64_t flags, kd_ast_node **out)
{
    kd_ast_type type;
    KD_TRY(kdi_json_returning(p, "json", &type));
    kd_ast_node *constant = kdi_integer_constant(p, flags, p->token.position);
    if (constant == NULL)
        return KD_NOMEM;
    call->args[0].value = constant;
    *out = &call->node;
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, *out);
    return kdi_json_returned(p, &type, out);
}

/* --- JSON_OBJECT, JSON_ARRAY --- */

/* json_object('{a,1}') and json_object(keys, values) are functions; the first argument is read. */
static kd_status object_function(kd_parser *p, kd_ast_call *call, kd_ast_node *first,
                                 kd_ast_node **out)
{
    call->function.name = KD_SLICE("json_object");
    call->args[0].value = first;
    while (kdi_accept_token(p, ',')) {
        kd_ast_node *value;
        KD_TRY(kdi_expr(p, &value));
        KD_TRY(kdi_push_arg(p, call, value));
    }
    *out = &call->node;
    return kdi_expect_token(p, ')');
}

/* Behind a key: VALUE v or : v. */
static kd_status member_value(kd_parser *p, kd_ast_node **out)
{
    if (!kdi_accept_token(p, ':') && !kdi_accept(p, KW_VALUE))
        return kdi_syntax_error(p, "':' or VALUE");
    return kdi_json_expr(p, out);
}

kd_status kdi_json_object(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    int64_t flags = 0;
    KD_TRY(kdi_json_push_integer(p, call, 0));
    while (!ends_values(p)) {
        kd_ast_node *key, *value;
        KD_TRY(kdi_expr(p, &key));
        if (call->arg_count == 1 && (kdi_at_token(p, ')') || kdi_at_token(p, ',')))
            return object_function(p, call, key, out);
        KD_TRY(member_value(p, &value));
        KD_TRY(kdi_push_arg(p, call, key));
        KD_TRY(kdi_push_arg(p, call, value));
        if (!kdi_accept_token(p, ','))
            break;
    }
    KD_TRY(constructor_clauses(p, &flags));
    return constructed(p, call, flags, out);
}

/* JSON_ARRAY(query): the aggregate of its rows, in their order; [] where there is none. */
static kd_status array_of_query(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    static const kd_slice item = {"sql json item", 13};
    int32_t position = p->token.position;
    kd_ast_type type;
    kd_ast_node *query, *value, *empty;
    bool is_json;
    KD_TRY(kdi_query(p, &query));
    KD_TRY(kdi_refuse_into(p, query, "42601", "SELECT ... INTO is not allowed here"));
    KD_TRY(kdi_json_format(p, &is_json));
    KD_TRY(kdi_json_returning(p, "json", &type));
    KD_TRY(kdi_expect_token(p, ')'));
    bool is_binary = kd_slice_equal(type.name.name, KD_SLICE("jsonb"));
    call->function.name = is_binary ? KD_SLICE("jsonb_agg_strict") : KD_SLICE("json_agg_strict");
    value = kdi_parse_column(p, position, item);
    if (value == NULL)
        return KD_NOMEM;
    if (is_json)
        KD_TRY(kdi_json_cast_to_name(p, "json", &value));
    KD_TRY(kdi_push_arg(p, call, value));
    kdi_finish(p, &call->node);
    empty = kdi_string_constant(p, KD_SLICE("[]"), position);
    kd_ast_args *both = KDI_NODE_AT(p, KD_AST_COALESCE, kd_ast_args, position);
    kd_ast_table_query *from = KDI_NODE_AT(p, KD_AST_TABLE_QUERY, kd_ast_table_query, position);
    kd_ast_subquery *answer = KDI_NODE_AT(p, KD_AST_SUBQUERY, kd_ast_subquery, position);
    kd_ast_select *select;
    if (empty == NULL || both == NULL || from == NULL || answer == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_push(p, &both->args, &call->node));
    KD_TRY(kdi_push(p, &both->args, empty));
    from->query = query;
    from->single_column = true;
    KD_TRY(kdi_push_name(p, &from->alias.columns, item));
    KD_TRY(kdi_parse_select_of(p, position, &from->node, &select));
    KD_TRY(kdi_parse_target(p, &select->targets, &both->node, call->label));
    answer->query = &select->node;
    *out = &answer->node;
    kdi_finish(p, *out);
    return kdi_json_returned(p, &type, out);
}

kd_status kdi_json_array(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    int64_t flags = KD_CLAUSE_ABSENT;
    if (kdi_at_query(p))
        return array_of_query(p, call, out);
    KD_TRY(kdi_json_push_integer(p, call, 0));
    while (!ends_values(p)) {
        kd_ast_node *value;
        KD_TRY(kdi_json_expr(p, &value));
        KD_TRY(kdi_push_arg(p, call, value));
        if (!kdi_accept_token(p, ','))
            break;
    }
    KD_TRY(constructor_clauses(p, &flags));
    return constructed(p, call, flags, out);
}

/* --- JSON_OBJECTAGG, JSON_ARRAYAGG --- */

/* Picks the aggregate: `names` are of json, then of jsonb; by what UNIQUE KEYS and ABSENT say. */
static kd_status aggregated(kd_parser *p, kd_ast_call *call, int64_t flags,
                            const char *const names[2][4], kd_ast_node **out)
{
    kd_ast_type type;
    KD_TRY(kdi_json_returning(p, "json", &type));
    KD_TRY(kdi_expect_token(p, ')'));
    int which = ((flags & KD_CLAUSE_UNIQUE) != 0) * 2 + ((flags & KD_CLAUSE_ABSENT) != 0);
    bool is_binary = kd_slice_equal(type.name.name, KD_SLICE("jsonb"));
    call->function.name = kd_slice_of(names[is_binary][which]);
    KD_TRY(kdi_parse_call_tail(p, call));
    kdi_finish(p, &call->node);
    *out = &call->node;
    return kdi_json_returned(p, &type, out);
}

kd_status kdi_json_object_agg(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    static const char *const names[2][4] = {
        {"json_object_agg", "json_object_agg_strict", "json_object_agg_unique",
         "json_object_agg_unique_strict"},
        {"jsonb_object_agg", "jsonb_object_agg_strict", "jsonb_object_agg_unique",
         "jsonb_object_agg_unique_strict"}};
    int64_t flags = 0;
    kd_ast_node *arg;
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(member_value(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(constructor_clauses(p, &flags));
    return aggregated(p, call, flags, names, out);
}

kd_status kdi_json_array_agg(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    static const char *const names[2][4] = {{"json_agg", "json_agg_strict"},
                                            {"jsonb_agg", "jsonb_agg_strict"}};
    int64_t flags = KD_CLAUSE_ABSENT;
    kd_ast_node *arg;
    KD_TRY(kdi_json_expr(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_order_by(p, &call->order_by));
    KD_TRY(constructor_clauses(p, &flags));
    if ((flags & KD_CLAUSE_UNIQUE) != 0)
        return kdi_syntax_error(p, "RETURNING");
    return aggregated(p, call, flags, names, out);
}

/* --- JSON(), JSON_SCALAR, JSON_SERIALIZE --- */

kd_status kdi_json_scalar(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    kd_ast_node *value;
    KD_TRY(kdi_expr(p, &value));
    KD_TRY(kdi_push_arg(p, call, value));
    *out = &call->node;
    return kdi_expect_token(p, ')');
}

/* The text of a value, checked to be JSON. */
static kd_status parse_call(kd_parser *p, kd_ast_call *call, bool may_be_unique)
{
    bool has_format;
    int64_t flags = 0;
    kd_ast_node *value;
    KD_TRY(kdi_expr(p, &value));
    KD_TRY(kdi_json_format(p, &has_format));
    if (may_be_unique)
        KD_TRY(kdi_json_unique(p, &flags));
    KD_TRY(kdi_push_arg(p, call, value));
    return kdi_json_push_integer(p, call, flags);
}

kd_status kdi_json_serialize(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    kd_ast_type type;
    KD_TRY(parse_call(p, call, false));
    KD_TRY(kdi_json_returning(p, "text", &type));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &call->node);
    *out = &call->node;
    return kdi_json_returned(p, &type, out);
}

kd_status kdi_json_parse(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    KD_TRY(parse_call(p, call, true));
    *out = &call->node;
    return kdi_expect_token(p, ')');
}
