/*
 * The forms of SQL/JSON: JSON_EXISTS, JSON_VALUE, JSON_QUERY, the constructors JSON_OBJECT and
 * JSON_ARRAY, JSON_SCALAR, JSON_SERIALIZE, IS JSON.
 *
 * Each becomes a call of a function with a name that no user writes; what the clauses say is an
 * integer of enum kd_json_clause (builtin/sql_json.c reads it). JSON_VALUE and JSON_QUERY give what
 * their last two arguments are, the values for ON EMPTY and ON ERROR, cast to the type of
 * RETURNING.
 */
#include "sql/parser_internal.h"
#include "types/json_clause.h"

/* --- Pieces of trees --- */

static kd_ast_type type_named(const char *name)
{
    kd_ast_type type = {.position = -1, .end = -1, .name = kdi_no_name()};
    type.name.name = kd_slice_of(name);
    return type;
}

static kd_status cast_to(kd_parser *p, const kd_ast_type *type, kd_ast_node **io_expr)
{
    kd_ast_cast *cast = KDI_NODE_AT(p, KD_AST_CAST, kd_ast_cast, (*io_expr)->position);
    if (cast == NULL)
        return KD_NOMEM;
    cast->operand = *io_expr;
    cast->type = *type;
    cast->form = KD_AST_CAST_FUNCTION;
    kdi_finish(p, &cast->node);
    *io_expr = &cast->node;
    return KD_OK;
}

static kd_status cast_to_name(kd_parser *p, const char *name, kd_ast_node **io_expr)
{
    kd_ast_type type = type_named(name);
    return cast_to(p, &type, io_expr);
}

static kd_status null_constant(kd_parser *p, kd_ast_node **out)
{
    kd_ast_constant *null = KDI_NODE(p, KD_AST_CONSTANT, kd_ast_constant);
    if (null == NULL)
        return KD_NOMEM;
    null->what = KD_AST_NULL;
    null->text = KD_SLICE("null");
    *out = &null->node;
    return KD_OK;
}

static kd_status push_integer(kd_parser *p, kd_ast_call *call, int64_t value)
{
    kd_ast_node *constant = kdi_integer_constant(p, value, p->token.position);
    return constant == NULL ? KD_NOMEM : kdi_push_arg(p, call, constant);
}

static bool next_word(kd_parser *p, const char *word)
{
    return kdi_token_is_word(kdi_peek(p, 1), word);
}

/* --- Clauses --- */

/* v FORMAT JSON is v as JSON. */
static kd_status json_expr(kd_parser *p, kd_ast_node **out)
{
    KD_TRY(kdi_expr(p, out));
    if (!kdi_at_word(p, "format") || !next_word(p, "json"))
        return KD_OK;
    kdi_advance(p);
    kdi_advance(p);
    return cast_to_name(p, "json", out);
}

/* [PASSING v AS name, ...]: a jsonb object. */
static kd_status passing(kd_parser *p, kd_ast_node **out)
{
    kd_ast_call *object;
    KD_TRY(kdi_parse_make_call(p, "jsonb_build_object", p->token.position, &object));
    if (kdi_accept(p, KW_PASSING))
        do {
            kd_ast_node *value;
            kd_slice name;
            KD_TRY(json_expr(p, &value));
            KD_TRY(kdi_expect(p, KW_AS));
            int32_t position = p->token.position;
            KD_TRY(kdi_label(p, &name));
            kd_ast_node *key = kdi_string_constant(p, name, position);
            if (key == NULL)
                return KD_NOMEM;
            KD_TRY(cast_to_name(p, "text", &key));
            KD_TRY(kdi_push_arg(p, object, key));
            KD_TRY(kdi_push_arg(p, object, value));
        } while (kdi_accept_token(p, ','));
    kdi_finish(p, &object->node);
    *out = &object->node;
    return KD_OK;
}

/* [RETURNING type [FORMAT JSON]] */
static kd_status returning(kd_parser *p, const char *usual, kd_ast_type *out)
{
    *out = type_named(usual);
    if (!kdi_accept(p, KW_RETURNING))
        return KD_OK;
    KD_TRY(kdi_type(p, out));
    if (kdi_at_word(p, "format") && next_word(p, "json")) {
        kdi_advance(p);
        kdi_advance(p);
    }
    return KD_OK;
}

typedef struct behaviors {
    int64_t on_empty, on_error;
    kd_ast_node *empty_default, *error_default;
} behaviors;

/* NULL, ERROR, EMPTY [ARRAY | OBJECT], TRUE, FALSE, UNKNOWN or DEFAULT v; -1: none of them. */
static kd_status behavior(kd_parser *p, int64_t *out, kd_ast_node **out_default)
{
    *out_default = NULL;
    if (kdi_accept(p, KW_NULL)) {
        *out = KD_CLAUSE_NULL;
    } else if (kdi_accept_word(p, "error")) {
        *out = KD_CLAUSE_ERROR;
    } else if (kdi_accept(p, KW_TRUE)) {
        *out = KD_CLAUSE_TRUE;
    } else if (kdi_accept(p, KW_FALSE)) {
        *out = KD_CLAUSE_FALSE;
    } else if (kdi_accept(p, KW_UNKNOWN)) {
        *out = KD_CLAUSE_UNKNOWN;
    } else if (kdi_accept_word(p, "empty")) {
        bool is_object = kdi_accept(p, KW_OBJECT);
        if (!is_object)
            (void)kdi_accept(p, KW_ARRAY);
        *out = is_object ? KD_CLAUSE_EMPTY_OBJECT : KD_CLAUSE_EMPTY_ARRAY;
    } else if (kdi_accept(p, KW_DEFAULT)) {
        *out = KD_CLAUSE_DEFAULT;
        return kdi_expr(p, out_default);
    } else {
        *out = -1;
    }
    return KD_OK;
}

/* [behavior ON EMPTY] [behavior ON ERROR] */
static kd_status on_clauses(kd_parser *p, behaviors *io)
{
    for (int i = 0; i < 2; i++) {
        int64_t how;
        kd_ast_node *value;
        KD_TRY(behavior(p, &how, &value));
        if (how < 0)
            return KD_OK;
        KD_TRY(kdi_expect(p, KW_ON));
        if (i == 0 && kdi_accept_word(p, "empty")) {
            io->on_empty = how;
            io->empty_default = value;
            continue;
        }
        if (!kdi_accept_word(p, "error"))
            return kdi_syntax_error(p, i == 0 ? "EMPTY or ERROR" : "ERROR");
        io->on_error = how;
        io->error_default = value;
        return KD_OK;
    }
    return KD_OK;
}

/* The value to give instead, cast to the type that is returned. */
static kd_status push_instead(kd_parser *p, kd_ast_call *call, int64_t how, kd_ast_node *value,
                              const kd_ast_type *type)
{
    const char *text = how == KD_CLAUSE_EMPTY_ARRAY    ? "[]"
                       : how == KD_CLAUSE_EMPTY_OBJECT ? "{}"
                                                       : NULL;
    if (value == NULL && text != NULL) {
        value = kdi_string_constant(p, kd_slice_of(text), p->token.position);
        if (value == NULL)
            return KD_NOMEM;
    }
    if (value == NULL)
        KD_TRY(null_constant(p, &value));
    KD_TRY(cast_to(p, type, &value));
    return kdi_push_arg(p, call, value);
}

/* --- JSON_EXISTS, JSON_VALUE, JSON_QUERY --- */

/* (value, path [PASSING ...]: the first three arguments. */
static kd_status path_arguments(kd_parser *p, kd_ast_call *call)
{
    kd_ast_node *arg;
    KD_TRY(json_expr(p, &arg));
    KD_TRY(cast_to_name(p, "jsonb", &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_expect_token(p, ','));
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(cast_to_name(p, "jsonpath", &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(passing(p, &arg));
    return kdi_push_arg(p, call, arg);
}

static kd_status exists_form(kd_parser *p, kd_ast_call *call)
{
    behaviors how = {.on_error = KD_CLAUSE_FALSE};
    KD_TRY(path_arguments(p, call));
    KD_TRY(on_clauses(p, &how));
    return push_integer(p, call, how.on_error);
}

static kd_status value_form(kd_parser *p, kd_ast_call *call)
{
    behaviors how = {.on_empty = KD_CLAUSE_NULL, .on_error = KD_CLAUSE_NULL};
    kd_ast_type type;
    KD_TRY(path_arguments(p, call));
    KD_TRY(returning(p, "text", &type));
    KD_TRY(on_clauses(p, &how));
    KD_TRY(push_integer(p, call, how.on_empty | how.on_error << KD_CLAUSE_ON_ERROR_SHIFT));
    KD_TRY(push_instead(p, call, how.on_empty, how.empty_default, &type));
    return push_instead(p, call, how.on_error, how.error_default, &type);
}

/* [WITHOUT [ARRAY] WRAPPER | WITH [CONDITIONAL | UNCONDITIONAL] [ARRAY] WRAPPER] */
static kd_status wrapper(kd_parser *p, int64_t *io_flags)
{
    if (!kdi_at(p, KW_WITH) && !kdi_at(p, KW_WITHOUT))
        return KD_OK;
    bool with = kdi_at(p, KW_WITH);
    kdi_advance(p);
    bool conditional = with && kdi_accept_word(p, "conditional");
    if (with && !conditional)
        (void)kdi_accept_word(p, "unconditional");
    (void)kdi_accept(p, KW_ARRAY);
    if (!kdi_accept(p, KW_WRAPPER))
        return kdi_syntax_error(p, "WRAPPER");
    if (with)
        *io_flags |= conditional ? KD_CLAUSE_WRAP_MANY : KD_CLAUSE_WRAP;
    return KD_OK;
}

/* [KEEP | OMIT QUOTES [ON SCALAR STRING]] */
static kd_status quotes(kd_parser *p, int64_t *io_flags)
{
    bool omit = kdi_at_word(p, "omit");
    if (!omit && !kdi_at_word(p, "keep"))
        return KD_OK;
    kdi_advance(p);
    if (!kdi_accept_word(p, "quotes"))
        return kdi_syntax_error(p, "QUOTES");
    if (kdi_accept(p, KW_ON)) {
        if (!kdi_accept_word(p, "scalar") || !kdi_accept_word(p, "string"))
            return kdi_syntax_error(p, "SCALAR STRING");
    }
    if (omit)
        *io_flags |= KD_CLAUSE_OMIT_QUOTES;
    return KD_OK;
}

static kd_status query_form(kd_parser *p, kd_ast_call *call)
{
    behaviors how = {.on_empty = KD_CLAUSE_NULL, .on_error = KD_CLAUSE_NULL};
    kd_ast_type type;
    int64_t flags = 0;
    KD_TRY(path_arguments(p, call));
    KD_TRY(returning(p, "jsonb", &type));
    KD_TRY(wrapper(p, &flags));
    KD_TRY(quotes(p, &flags));
    KD_TRY(on_clauses(p, &how));
    flags |= how.on_empty | how.on_error << KD_CLAUSE_ON_ERROR_SHIFT;
    KD_TRY(push_integer(p, call, flags));
    KD_TRY(push_instead(p, call, how.on_empty, how.empty_default, &type));
    return push_instead(p, call, how.on_error, how.error_default, &type);
}

/* --- Constructors --- */

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
    if (kdi_at(p, KW_WITH) || kdi_at(p, KW_WITHOUT)) {
        bool with = kdi_at(p, KW_WITH);
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_UNIQUE));
        (void)kdi_accept_word(p, "keys");
        *io_flags |= with ? KD_CLAUSE_UNIQUE : 0;
    }
    return KD_OK;
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
    KD_TRY(returning(p, "json", &type));
    kd_ast_node *constant = kdi_integer_constant(p, flags, p->token.position);
    if (constant == NULL)
        return KD_NOMEM;
    call->args[0].value = constant;
    *out = &call->node;
    kdi_finish(p, *out);
    return cast_to(p, &type, out);
}

/* After the first key: [KEY] k VALUE v or k : v; false when it is an ordinary call. */
static kd_status object_form(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    int64_t flags = 0;
    KD_TRY(push_integer(p, call, 0));
    while (!ends_values(p)) {
        kd_ast_node *key, *value;
        KD_TRY(kdi_expr(p, &key));
        if (call->arg_count == 1 && (kdi_at_token(p, ')') || kdi_at_token(p, ','))) {
            /* json_object('{a,1}') and json_object(keys, values) are functions. */
            call->function.name = KD_SLICE("json_object");
            call->args[0].value = key;
            while (kdi_accept_token(p, ',')) {
                KD_TRY(kdi_expr(p, &value));
                KD_TRY(kdi_push_arg(p, call, value));
            }
            *out = &call->node;
            return KD_OK;
        }
        if (!kdi_accept_token(p, ':') && !kdi_accept(p, KW_VALUE))
            return kdi_syntax_error(p, "':' or VALUE");
        KD_TRY(json_expr(p, &value));
        KD_TRY(kdi_push_arg(p, call, key));
        KD_TRY(kdi_push_arg(p, call, value));
        if (!kdi_accept_token(p, ','))
            break;
    }
    KD_TRY(constructor_clauses(p, &flags));
    return constructed(p, call, flags, out);
}

static kd_status array_form(kd_parser *p, kd_ast_call *call, kd_ast_node **out)
{
    int64_t flags = KD_CLAUSE_ABSENT;
    KD_TRY(push_integer(p, call, 0));
    while (!ends_values(p)) {
        kd_ast_node *value;
        KD_TRY(json_expr(p, &value));
        KD_TRY(kdi_push_arg(p, call, value));
        if (!kdi_accept_token(p, ','))
            break;
    }
    KD_TRY(constructor_clauses(p, &flags));
    return constructed(p, call, flags, out);
}

static kd_status serialize_form(kd_parser *p, kd_ast_node **out)
{
    kd_ast_type type;
    KD_TRY(json_expr(p, out));
    KD_TRY(returning(p, "text", &type));
    return cast_to(p, &type, out);
}

/* --- By name --- */

static const struct {
    const char *word;
    const char *function;
    kd_status (*path)(kd_parser *p, kd_ast_call *call);
    kd_status (*constructor)(kd_parser *p, kd_ast_call *call, kd_ast_node **out);
} forms[] = {
    {"json_exists", "sql json exists", exists_form, NULL},
    {"json_value", "sql json value", value_form, NULL},
    {"json_query", "sql json query", query_form, NULL},
    {"json_object", "sql json object", NULL, object_form},
    {"json_array", "sql json array", NULL, array_form},
    {"json_scalar", "to_json", NULL, NULL},
    {"json_serialize", NULL, NULL, NULL},
};

kd_status kdi_json_form(kd_parser *p, bool *out_found, kd_ast_node **out_expr)
{
    *out_found = false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!kdi_at_word(p, forms[i].word) || !kdi_next_is_token(p, '('))
            continue;
        kd_ast_call *call;
        *out_found = true;
        KD_TRY(kdi_parse_make_call(p, forms[i].function == NULL ? "" : forms[i].function,
                                   p->token.position, &call));
        kdi_advance(p);
        KD_TRY(kdi_expect_token(p, '('));
        *out_expr = &call->node;
        if (forms[i].path != NULL) {
            KD_TRY(forms[i].path(p, call));
        } else if (forms[i].constructor != NULL) {
            KD_TRY(forms[i].constructor(p, call, out_expr));
        } else if (forms[i].function != NULL) {
            kd_ast_node *value;
            KD_TRY(kdi_expr(p, &value));
            KD_TRY(kdi_push_arg(p, call, value));
        } else {
            KD_TRY(serialize_form(p, out_expr));
        }
        KD_TRY(kdi_expect_token(p, ')'));
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
    kdi_advance(p);
    if (kdi_accept(p, KW_OBJECT))
        what = 1;
    else if (kdi_accept(p, KW_ARRAY))
        what = 2;
    else if (kdi_accept_word(p, "scalar"))
        what = 3;
    else
        (void)kdi_accept(p, KW_VALUE);
    if ((kdi_at(p, KW_WITH) || kdi_at(p, KW_WITHOUT)) && kdi_next_is(p, KW_UNIQUE)) {
        what |= kdi_at(p, KW_WITH) ? KD_CLAUSE_UNIQUE : 0;
        kdi_advance(p);
        kdi_advance(p);
        (void)kdi_accept_word(p, "keys");
    }
    KD_TRY(kdi_push_arg(p, call, operand));
    KD_TRY(push_integer(p, call, what));
    kdi_finish(p, &call->node);
    *out_expr = &call->node;
    return KD_OK;
}
