/*
 * The forms of SQL/JSON by name: JSON_EXISTS, JSON_VALUE and JSON_QUERY here, those that make JSON
 * in parser_json_make.c, JSON_TABLE in parser_json_table.c; and IS JSON.
 *
 * Each becomes a call of a function with a name that no user writes; what the clauses say is an
 * integer of enum kd_json_clause (builtin/sql_json.c reads it). JSON_VALUE and JSON_QUERY give what
 * their last two arguments are, the values for ON EMPTY and ON ERROR, cast to the type of
 * RETURNING.
 */
#include "sql/parser_json_internal.h"

/* --- JSON_EXISTS, JSON_VALUE, JSON_QUERY --- */

/* (value, path [PASSING ...]: the first three arguments. */
static kd_status path_arguments(kd_parser *p, kd_ast_call *call)
{
    kd_ast_node *arg;
    KD_TRY(kdi_json_expr(p, &arg));
    KD_TRY(kdi_json_cast_to_name(p, "jsonb", &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_expect_token(p, ','));
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(kdi_json_cast_to_name(p, "jsonpath", &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_json_passing(p, &arg));
    return kdi_push_arg(p, call, arg);
}

static kd_status exists_form(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    kdi_json_behaviors how = {.allowed = KDI_JSON_OF_EXISTS, .on_error = KD_CLAUSE_FALSE};
    KD_TRY(path_arguments(p, call));
    KD_TRY(kdi_json_on_clauses(p, &how));
    KD_TRY(kdi_json_push_integer(p, call, how.on_error));
    *out = &call->node;
    return kdi_expect_token(p, ')');
}

static kd_status value_form(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    kdi_json_behaviors how = {.allowed = KDI_JSON_OF_VALUE};
    kd_ast_type type;
    KD_TRY(path_arguments(p, call));
    KD_TRY(kdi_json_returning(p, "text", &type));
    KD_TRY(kdi_json_on_clauses(p, &how));
    KD_TRY(kdi_json_push_behaviors(p, call, &how, 0, &type));
    *out = &call->node;
    return kdi_expect_token(p, ')');
}

static kd_status query_form(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    kdi_json_behaviors how = {.allowed = KDI_JSON_OF_QUERY};
    kd_ast_type type;
    int64_t flags = 0;
    KD_TRY(path_arguments(p, call));
    KD_TRY(kdi_json_returning(p, "jsonb", &type));
    KD_TRY(kdi_json_wrapper(p, &flags));
    KD_TRY(kdi_json_on_clauses(p, &how));
    KD_TRY(kdi_json_push_behaviors(p, call, &how, flags, &type));
    *out = &call->node;
    return kdi_expect_token(p, ')');
}

/* --- By name --- */

static const struct {
    const char *word;
    const char *function;
    kdi_json_maker *parse;
} forms[] = {
    {"json_exists", "sql json exists", exists_form},
    {"json_value", "sql json value", value_form},
    {"json_query", "sql json query", query_form},
    {"json_object", "sql json object", kdi_json_object},
    {"json_array", "sql json array", kdi_json_array},
    {"json_objectagg", "json_object_agg", kdi_json_object_agg},
    {"json_arrayagg", "json_agg", kdi_json_array_agg},
    {"json_scalar", "to_json", kdi_json_scalar},
    {"json_serialize", "sql json parse", kdi_json_serialize},
    {"json", "sql json parse", kdi_json_parse},
};

kd_status kdi_json_form(kd_parser *p, bool *out_found, kd_ast_node **out_expr)
{
    *out_found = false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!kdi_at_word(p, forms[i].word) || !kdi_next_is_token(p, '('))
            continue;
        kd_ast_call *call;
        *out_found = true;
        KD_TRY(kdi_parse_make_call(p, forms[i].function, p->token.position, &call));
        call->label = kd_slice_of(forms[i].word);
        kdi_advance(p);
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(forms[i].parse(p, call, out_expr));
        kdi_finish(p, *out_expr);
        return KD_OK;
    }
    return KD_OK;
}

kd_status kdi_is_json(kd_parser *p, kd_ast_node *operand, kd_ast_node **out_expr)
{
    int64_t what = 0;
    kd_ast_call *call;
    KD_TRY(kdi_parse_make_call(p, "sql is json", operand->position, &call));
    call->label = KD_SLICE("?column?");
    kdi_advance(p);
    if (kdi_accept(p, KW_OBJECT))
        what = 1;
    else if (kdi_accept(p, KW_ARRAY))
        what = 2;
    else if (kdi_accept_word(p, "scalar"))
        what = 3;
    else
        (void)kdi_accept(p, KW_VALUE);
    KD_TRY(kdi_json_unique(p, &what));
    KD_TRY(kdi_push_arg(p, call, operand));
    KD_TRY(kdi_json_push_integer(p, call, what));
    kdi_finish(p, &call->node);
    *out_expr = &call->node;
    return KD_OK;
}
