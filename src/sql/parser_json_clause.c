/*
 * What the forms of SQL/JSON share: parts of trees and clauses.
 */
#include "sql/parser_json_internal.h"

/* --- Parts of trees --- */

kd_ast_type kdi_json_type(const char *name)
{
    kd_ast_type type = {.position = -1, .end = -1, .name = kdi_no_name()};
    type.name.name = kd_slice_of(name);
    return type;
}

kd_status kdi_json_cast(kd_parser *p, const kd_ast_type *type, kd_ast_node **io_expr)
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

kd_status kdi_json_cast_to_name(kd_parser *p, const char *name, kd_ast_node **io_expr)
{
    kd_ast_type type = kdi_json_type(name);
    return kdi_json_cast(p, &type, io_expr);
}

kd_status kdi_json_push_integer(kd_parser *p, kd_ast_call *call, int64_t value)
{
    return kdi_push_arg(p, call, kdi_integer_constant(p, value, p->token.position));
}

bool kdi_json_next_word(kd_parser *p, const char *word)
{
    return kdi_token_is_word(kdi_peek(p, 1), word);
}

/* --- Formats and types --- */

bool kdi_at_json_format(kd_parser *p)
{
    return kdi_at_word(p, "format") && kdi_json_next_word(p, "json");
}

kd_status kdi_json_format(kd_parser *p, bool *out_found)
{
    *out_found = kdi_at_json_format(p);
    if (!*out_found)
        return KD_OK;
    kdi_advance(p);
    kdi_advance(p);
    if (!kdi_accept(p, KW_ENCODING))
        return KD_OK;
    if (!kdi_at_word(p, "utf8") && !kdi_at_word(p, "utf16") && !kdi_at_word(p, "utf32"))
        return kdi_syntax_error(p, "UTF8");
    if (!kdi_at_word(p, "utf8"))
        return kdi_fail_at(p, "0A000", p->token.position, "unsupported JSON encoding");
    kdi_advance(p);
    return KD_OK;
}

kd_status kdi_json_expr(kd_parser *p, kd_ast_node **out)
{
    bool is_json;
    kd_ast_call *call;
    KD_TRY(kdi_expr(p, out));
    int32_t position = (*out)->position;
    KD_TRY(kdi_json_format(p, &is_json));
    if (!is_json)
        return KD_OK;
    KD_TRY(kdi_parse_make_call(p, "sql json parse", position, &call));
    KD_TRY(kdi_push_arg(p, call, *out));
    KD_TRY(kdi_json_push_integer(p, call, 0));
    kdi_finish(p, &call->node);
    *out = &call->node;
    return KD_OK;
}

kd_status kdi_json_passing(kd_parser *p, kd_ast_node **out)
{
    kd_ast_call *object;
    KD_TRY(kdi_parse_make_call(p, "jsonb_build_object", p->token.position, &object));
    if (kdi_accept(p, KW_PASSING))
        do {
            kd_ast_node *value;
            kd_slice name;
            KD_TRY(kdi_json_expr(p, &value));
            KD_TRY(kdi_expect(p, KW_AS));
            int32_t position = p->token.position;
            KD_TRY(kdi_label(p, &name));
            kd_ast_node *key = kdi_string_constant(p, name, position);
            if (key == NULL)
                return KD_NOMEM;
            KD_TRY(kdi_json_cast_to_name(p, "text", &key));
            KD_TRY(kdi_push_arg(p, object, key));
            KD_TRY(kdi_push_arg(p, object, value));
        } while (kdi_accept_token(p, ','));
    kdi_finish(p, &object->node);
    *out = &object->node;
    return KD_OK;
}

kd_status kdi_json_returning(kd_parser *p, const char *usual, kd_ast_type *out)
{
    bool has_format;
    *out = kdi_json_type(usual);
    if (!kdi_accept(p, KW_RETURNING))
        return KD_OK;
    KD_TRY(kdi_type(p, out));
    return kdi_json_format(p, &has_format);
}

kd_status kdi_json_returned(kd_parser *p, const kd_ast_type *type, kd_ast_node **io_expr)
{
    if (!kd_slice_equal(type->name.name, KD_SLICE("bytea")) || type->dimensions > 0)
        return kdi_json_cast(p, type, io_expr);
    kd_ast_call *call;
    const kd_ast_node *made = *io_expr;
    KD_TRY(kdi_json_cast_to_name(p, "text", io_expr));
    KD_TRY(kdi_parse_make_call(p, "convert_to", made->position, &call));
    if (made->kind == KD_AST_CALL)
        call->label = ((const kd_ast_call *)made)->label;
    KD_TRY(kdi_push_arg(p, call, *io_expr));
    KD_TRY(kdi_push_arg(p, call, kdi_string_constant(p, KD_SLICE("UTF8"), p->token.position)));
    kdi_finish(p, &call->node);
    *io_expr = &call->node;
    return KD_OK;
}

kd_status kdi_json_unique(kd_parser *p, int64_t *io_flags)
{
    bool with = kdi_at(p, KW_WITH);
    if ((!with && !kdi_at(p, KW_WITHOUT)) || !kdi_next_is(p, KW_UNIQUE))
        return KD_OK;
    kdi_advance(p);
    kdi_advance(p);
    (void)kdi_accept_word(p, "keys");
    if (with)
        *io_flags |= KD_CLAUSE_UNIQUE;
    return KD_OK;
}

/* --- WRAPPER and QUOTES --- */

static kd_status quotes(kd_parser *p, int64_t *io_flags)
{
    bool omit = kdi_at_word(p, "omit");
    int32_t position = p->token.position;
    if (!omit && !kdi_at_word(p, "keep"))
        return KD_OK;
    kdi_advance(p);
    if (!kdi_accept_word(p, "quotes"))
        return kdi_syntax_error(p, "QUOTES");
    if (kdi_accept(p, KW_ON)) {
        if (!kdi_accept_word(p, "scalar") || !kdi_accept_word(p, "string"))
            return kdi_syntax_error(p, "SCALAR STRING");
    }
    if (omit && (*io_flags & (KD_CLAUSE_WRAP | KD_CLAUSE_WRAP_MANY)) != 0)
        return kdi_fail_at(p, "42601", position,
                           "SQL/JSON QUOTES behavior must not be specified when WITH WRAPPER is "
                           "used");
    *io_flags |= omit ? KD_CLAUSE_OMIT_QUOTES : KD_CLAUSE_KEEP_QUOTES;
    return KD_OK;
}

kd_status kdi_json_wrapper(kd_parser *p, int64_t *io_flags)
{
    bool with = kdi_at(p, KW_WITH);
    if (with || kdi_at(p, KW_WITHOUT)) {
        kdi_advance(p);
        bool conditional = with && kdi_accept_word(p, "conditional");
        if (with && !conditional)
            (void)kdi_accept_word(p, "unconditional");
        (void)kdi_accept(p, KW_ARRAY);
        if (!kdi_accept(p, KW_WRAPPER))
            return kdi_syntax_error(p, "WRAPPER");
        *io_flags |= !with ? KD_CLAUSE_NO_WRAP : conditional ? KD_CLAUSE_WRAP_MANY : KD_CLAUSE_WRAP;
    }
    return quotes(p, io_flags);
}

/* --- ON EMPTY and ON ERROR --- */

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

static kd_status take_on_empty(kd_parser *p, kdi_json_behaviors *io, int64_t how,
                               kd_ast_node *value, int32_t position)
{
    if ((io->allowed & 1 << how) == 0 || (io->allowed & 1 << KD_CLAUSE_NULL) == 0)
        return kdi_fail_at(p, "42601", position, "invalid ON EMPTY behavior");
    io->has_on_empty = true;
    io->on_empty = how;
    io->empty_default = value;
    return KD_OK;
}

kd_status kdi_json_on_clauses(kd_parser *p, kdi_json_behaviors *io)
{
    for (int i = 0; i < 2; i++) {
        int64_t how;
        kd_ast_node *value;
        int32_t position = p->token.position;
        KD_TRY(behavior(p, &how, &value));
        if (how < 0)
            return KD_OK;
        KD_TRY(kdi_expect(p, KW_ON));
        if (i == 0 && kdi_accept_word(p, "empty")) {
            KD_TRY(take_on_empty(p, io, how, value, position));
            continue;
        }
        if (!kdi_accept_word(p, "error"))
            return kdi_syntax_error(p, i == 0 ? "EMPTY or ERROR" : "ERROR");
        if ((io->allowed & 1 << how) == 0)
            return kdi_fail_at(p, "42601", position, "invalid ON ERROR behavior");
        io->has_on_error = true;
        io->on_error = how;
        io->error_default = value;
        return KD_OK;
    }
    return KD_OK;
}

/* The value of DEFAULT, or NULL, as the type that is returned; EMPTY is made by the function. */
static kd_status push_instead(kd_parser *p, kd_ast_call *call, kd_ast_node *value,
                              const kd_ast_type *type)
{
    if (value == NULL) {
        kd_ast_constant *null = KDI_NODE(p, KD_AST_CONSTANT, kd_ast_constant);
        if (null == NULL)
            return KD_NOMEM;
        null->what = KD_AST_NULL;
        null->text = KD_SLICE("null");
        value = &null->node;
    }
    KD_TRY(kdi_json_cast(p, type, &value));
    return kdi_push_arg(p, call, value);
}

kd_status kdi_json_push_behaviors(kd_parser *p, kd_ast_call *call, const kdi_json_behaviors *how,
                                  int64_t flags, const kd_ast_type *type)
{
    flags |= how->on_empty | how->on_error << KD_CLAUSE_ON_ERROR_SHIFT;
    KD_TRY(kdi_json_push_integer(p, call, flags));
    KD_TRY(push_instead(p, call, how->empty_default, type));
    return push_instead(p, call, how->error_default, type);
}
