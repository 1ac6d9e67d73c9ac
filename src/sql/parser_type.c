/*
 * Type names: several words, modifiers, interval fields, array bounds.
 */
#include "sql/parser_internal.h"
#include "types/interval.h"

static kd_status modifiers(kd_parser *p, kd_ast_type *type)
{
    if (!kdi_accept_token(p, '('))
        return KD_OK;
    KD_TRY(kdi_expr_list(p, &type->modifiers));
    return kdi_expect_token(p, ')');
}

/* time and timestamp: [(n)] [WITH TIME ZONE | WITHOUT TIME ZONE] */
static kd_status time_type(kd_parser *p, kd_ast_type *type, bool is_timestamp)
{
    KD_TRY(modifiers(p, type));
    bool with = kdi_at(p, KW_WITH) && kdi_next_is(p, KW_TIME);
    bool without = kdi_at(p, KW_WITHOUT) && kdi_next_is(p, KW_TIME);
    type->name.name = is_timestamp ? KD_SLICE("timestamp") : KD_SLICE("time");
    if (!with && !without)
        return KD_OK;
    kdi_advance(p);
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_ZONE));
    if (with)
        type->name.name =
            is_timestamp ? KD_SLICE("timestamp with time zone") : KD_SLICE("time with time zone");
    return KD_OK;
}

static uint32_t interval_field(const kdi_token *token)
{
    switch (token->keyword) {
    case KW_YEAR:
        return KD_INTERVAL_YEAR;
    case KW_MONTH:
        return KD_INTERVAL_MONTH;
    case KW_DAY:
        return KD_INTERVAL_DAY;
    case KW_HOUR:
        return KD_INTERVAL_HOUR;
    case KW_MINUTE:
        return KD_INTERVAL_MINUTE;
    case KW_SECOND:
        return KD_INTERVAL_SECOND;
    default:
        return 0;
    }
}

kd_status kdi_interval_fields(kd_parser *p, kd_ast_type *type)
{
    uint32_t first = interval_field(&p->token);
    if (first == 0)
        return KD_OK;
    kdi_advance(p);
    uint32_t last = first;
    if (kdi_accept(p, KW_TO)) {
        last = interval_field(&p->token);
        bool is_year_month = first == KD_INTERVAL_YEAR && last == KD_INTERVAL_MONTH;
        bool is_day_time = first >= KD_INTERVAL_DAY && last > first;
        if (!is_year_month && !is_day_time)
            return kdi_syntax_error(p, NULL);
        kdi_advance(p);
    }
    type->interval_fields = (last << 1) - first; /* All fields from first to last. */
    return last == KD_INTERVAL_SECOND ? modifiers(p, type) : KD_OK;
}

static kd_status character_type(kd_parser *p, kd_ast_type *type)
{
    bool is_varying = kdi_accept(p, KW_VARYING);
    type->name.name = is_varying ? KD_SLICE("character varying") : KD_SLICE("character");
    return modifiers(p, type);
}

static kd_status float_type(kd_parser *p, kd_ast_type *type)
{
    type->name.name = KD_SLICE("float8");
    if (!kdi_accept_token(p, '('))
        return KD_OK;
    int32_t position = p->token.position;
    int64_t bits;
    KD_TRY(kdi_integer(p, &bits));
    if (bits < 1)
        return kdi_fail_at(p, "22023", position, "precision for type float must be at least 1 bit");
    if (bits > 53)
        return kdi_fail_at(p, "22023", position,
                           "precision for type float must be less than 54 bits");
    if (bits <= 24)
        type->name.name = KD_SLICE("float4");
    return kdi_expect_token(p, ')');
}

/* Built-in types whose names are words of the grammar. */
static kd_status builtin_type(kd_parser *p, kd_ast_type *type, bool *out_found)
{
    *out_found = true;
    kdi_keyword word = (kdi_keyword)p->token.keyword;
    if (word == KW_DOUBLE && kdi_next_is(p, KW_PRECISION)) {
        kdi_advance(p);
        kdi_advance(p);
        type->name.name = KD_SLICE("double precision");
        return KD_OK;
    }
    switch (word) {
    case KW_INT:
    case KW_INTEGER:
    case KW_SMALLINT:
    case KW_BIGINT:
    case KW_REAL:
    case KW_BOOLEAN:
        type->name.name = p->token.text;
        kdi_advance(p);
        return KD_OK;
    case KW_DEC:
    case KW_DECIMAL:
    case KW_NUMERIC:
        kdi_advance(p);
        type->name.name = KD_SLICE("numeric");
        return modifiers(p, type);
    case KW_FLOAT:
        kdi_advance(p);
        return float_type(p, type);
    case KW_BIT:
        kdi_advance(p);
        type->name.name = kdi_accept(p, KW_VARYING) ? KD_SLICE("bit varying") : KD_SLICE("bit");
        return modifiers(p, type);
    case KW_NATIONAL:
        kdi_advance(p);
        if (!kdi_at(p, KW_CHAR) && !kdi_at(p, KW_CHARACTER))
            return kdi_syntax_error(p, "CHARACTER");
        kdi_advance(p);
        return character_type(p, type);
    case KW_CHAR:
    case KW_CHARACTER:
    case KW_NCHAR:
        kdi_advance(p);
        return character_type(p, type);
    case KW_VARCHAR:
        kdi_advance(p);
        type->name.name = KD_SLICE("character varying");
        return modifiers(p, type);
    case KW_TIME:
    case KW_TIMESTAMP:
        kdi_advance(p);
        return time_type(p, type, word == KW_TIMESTAMP);
    case KW_INTERVAL:
        kdi_advance(p);
        type->name.name = KD_SLICE("interval");
        return kdi_at_token(p, '(') ? modifiers(p, type) : kdi_interval_fields(p, type);
    default:
        *out_found = false;
        return KD_OK;
    }
}

bool kdi_at_type_literal(kd_parser *p)
{
    const kdi_token *next;
    switch (p->token.keyword) {
    case KW_INT:
    case KW_INTEGER:
    case KW_SMALLINT:
    case KW_BIGINT:
    case KW_REAL:
    case KW_BOOLEAN:
    case KW_DEC:
    case KW_DECIMAL:
    case KW_NUMERIC:
    case KW_FLOAT:
    case KW_VARCHAR:
    case KW_INTERVAL:
        next = kdi_peek(p, 1);
        return next->kind == TOKEN_STRING || next->kind == '(';
    case KW_NATIONAL:
    case KW_BIT:
    case KW_CHAR:
    case KW_CHARACTER:
    case KW_NCHAR:
        next = kdi_peek(p, 1);
        return next->kind == TOKEN_STRING || next->kind == '(' || next->keyword == KW_VARYING ||
               next->keyword == KW_CHAR || next->keyword == KW_CHARACTER;
    case KW_DOUBLE:
        return kdi_next_is(p, KW_PRECISION);
    case KW_TIME:
    case KW_TIMESTAMP:
        next = kdi_peek(p, 1);
        return next->kind == TOKEN_STRING || next->kind == '(' ||
               ((next->keyword == KW_WITH || next->keyword == KW_WITHOUT) &&
                kdi_peek(p, 2)->keyword == KW_TIME);
    default:
        return false;
    }
}

kd_status kdi_simple_type(kd_parser *p, kd_ast_type *out_type)
{
    int32_t position = p->token.position;
    *out_type = (kd_ast_type){.position = position, .name.position = position};
    bool found;
    KD_TRY(builtin_type(p, out_type, &found));
    if (found) {
        out_type->end = out_type->name.end = p->previous.end;
        return KD_OK;
    }
    if (!kdi_is_function_name(&p->token))
        return kdi_syntax_error(p, "a type");
    kd_ast_name *name = &out_type->name;
    name->name = p->token.text;
    kdi_advance(p);
    for (int part = 1; kdi_at_token(p, '.'); part++) {
        if (part == 3)
            return kdi_fail_at(p, "42601", position,
                               "improper qualified name (too many dotted names)");
        kdi_advance(p);
        name->catalog = name->schema;
        name->schema = name->name;
        KD_TRY(kdi_label(p, &name->name));
    }
    name->end = p->previous.end;
    if (kdi_at_token(p, '%') && kdi_next_is(p, KW_TYPE))
        return kdi_unsupported(p, p->token.position, "%TYPE");
    KD_TRY(modifiers(p, out_type));
    out_type->end = p->previous.end;
    return KD_OK;
}

kd_status kdi_type(kd_parser *p, kd_ast_type *out_type)
{
    int32_t position = p->token.position;
    bool setof = kdi_accept(p, KW_SETOF);
    KD_TRY(kdi_simple_type(p, out_type));
    out_type->position = position;
    out_type->setof = setof;
    int64_t ignored;
    if (kdi_accept(p, KW_ARRAY)) {
        out_type->dimensions = 1;
        if (kdi_accept_token(p, '[')) {
            KD_TRY(kdi_integer(p, &ignored));
            KD_TRY(kdi_expect_token(p, ']'));
        }
    } else {
        while (kdi_at_token(p, '[')) {
            kdi_advance(p);
            if (!kdi_at_token(p, ']'))
                KD_TRY(kdi_integer(p, &ignored));
            KD_TRY(kdi_expect_token(p, ']'));
            if (out_type->dimensions == 6)
                return kdi_fail_at(p, "54000", position,
                                   "number of array dimensions exceeds the maximum allowed (6)");
            out_type->dimensions++;
        }
    }
    out_type->end = p->previous.end;
    return KD_OK;
}
