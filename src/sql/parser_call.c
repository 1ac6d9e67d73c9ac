/*
 * Function calls: arguments, aggregates, windows, and the forms with words
 * between their arguments (EXTRACT, SUBSTRING, ...).
 */
#include "sql/parser_internal.h"

kd_status kdi_parse_make_call(kd_parser *p, const char *name, int32_t position,
                              kd_ast_call **out_call)
{
    *out_call = KDI_NODE_AT(p, KD_AST_CALL, kd_ast_call, position);
    if (*out_call == NULL)
        return KD_NOMEM;
    (*out_call)->special_form = true;
    (*out_call)->function =
        (kd_ast_name){.position = position, .end = position, .name = kd_slice_of(name)};
    return KD_OK;
}

kd_status kdi_push_arg(kd_parser *p, kd_ast_call *call, kd_ast_node *value)
{
    if (value == NULL)
        return KD_NOMEM;
    kd_ast_arg *arg;
    KD_TRY(KD_PUSH(p->ctx, p->arena, call->args, call->arg_count, call->arg_capacity, &arg));
    arg->value = value;
    arg->position = value->position;
    return KD_OK;
}

/* [name =>] value, or VARIADIC value. */
static kd_status argument(kd_parser *p, kd_ast_call *call)
{
    kd_ast_arg *arg;
    KD_TRY(KD_PUSH(p->ctx, p->arena, call->args, call->arg_count, call->arg_capacity, &arg));
    arg->position = p->token.position;
    arg->variadic = kdi_accept(p, KW_VARIADIC);
    if (kdi_is_function_name(&p->token) &&
        (kdi_next_is_token(p, TOKEN_EQUALS_GREATER) || kdi_next_is_token(p, TOKEN_COLON_EQUALS))) {
        arg->name = p->token.text;
        kdi_advance(p);
        kdi_advance(p);
    }
    if (kdi_at_token(p, '*') && kd_slice_equal(call->function.name, KD_SLICE("columns"))) {
        kd_ast_star *star = KDI_NODE(p, KD_AST_STAR, kd_ast_star);
        if (star == NULL)
            return KD_NOMEM;
        kdi_advance(p);
        arg->value = &star->node;
        return kdi_star_rest(p, star);
    }
    KD_TRY(kdi_expr(p, &arg->value));
    if (arg->variadic && kdi_at_token(p, ','))
        return kdi_syntax_error(p, "\")\": VARIADIC is for the last argument");
    return KD_OK;
}

static bool accept_null_treatment(kd_parser *p, bool *out_ignore)
{
    bool is_ignore = kdi_at_word(p, "ignore");
    if ((!is_ignore && !kdi_at_word(p, "respect")) || !kdi_next_is(p, KW_NULLS))
        return false;
    kdi_advance(p);
    kdi_advance(p);
    *out_ignore = is_ignore;
    return true;
}

static kd_status arguments(kd_parser *p, kd_ast_call *call)
{
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_accept_token(p, ')'))
        return KD_OK;
    if (kdi_at_token(p, '*') && kdi_next_is_token(p, ')')) {
        kdi_advance(p);
        kdi_advance(p);
        call->star = true;
        return KD_OK;
    }
    call->distinct = kdi_accept(p, KW_DISTINCT);
    bool has_quantifier = call->distinct || kdi_accept(p, KW_ALL);
    if (has_quantifier && kdi_at(p, KW_VARIADIC))
        return kdi_syntax_error(p, NULL);
    do {
        KD_TRY(argument(p, call));
    } while (kdi_accept_token(p, ','));
    (void)accept_null_treatment(p, &call->ignore_nulls);
    KD_TRY(kdi_order_by(p, &call->order_by));
    return kdi_expect_token(p, ')');
}

static kd_status within_group(kd_parser *p, kd_ast_call *call)
{
    int32_t position = p->token.position;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_GROUP));
    KD_TRY(kdi_expect_token(p, '('));
    if (!kdi_at(p, KW_ORDER))
        return kdi_syntax_error(p, "ORDER BY");
    KD_TRY(kdi_order_by(p, &call->within_group));
    KD_TRY(kdi_expect_token(p, ')'));
    if (call->order_by.count > 0)
        return kdi_fail_at(p, "42601", position,
                           "cannot use multiple ORDER BY clauses with WITHIN GROUP");
    if (call->distinct)
        return kdi_fail_at(p, "42601", position, "cannot use DISTINCT with WITHIN GROUP");
    for (size_t i = 0; i < call->arg_count; i++)
        if (call->args[i].variadic)
            return kdi_fail_at(p, "42601", position, "cannot use VARIADIC with WITHIN GROUP");
    return KD_OK;
}

static kd_status over(kd_parser *p, kd_ast_call *call)
{
    kdi_advance(p);
    call->over = KDI_NODE(p, KD_AST_WINDOW, kd_ast_window);
    if (call->over == NULL)
        return KD_NOMEM;
    if (kdi_at_token(p, '('))
        return kdi_window_spec(p, call->over);
    call->over->is_reference = true;
    KD_TRY(kdi_name(p, &call->over->name));
    kdi_finish(p, &call->over->node);
    return KD_OK;
}

kd_status kdi_parse_call_tail(kd_parser *p, kd_ast_call *call)
{
    if (kdi_at(p, KW_WITHIN) && kdi_next_is(p, KW_GROUP))
        KD_TRY(within_group(p, call));
    if (kdi_at(p, KW_FILTER) && kdi_next_is_token(p, '(')) {
        kdi_advance(p);
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_WHERE));
        KD_TRY(kdi_expr(p, &call->filter));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    (void)accept_null_treatment(p, &call->ignore_nulls);
    return kdi_at(p, KW_OVER) ? over(p, call) : KD_OK;
}

kd_status kdi_parse_call(kd_parser *p, kd_ast_name function, kd_ast_node **out_expr)
{
    *out_expr = NULL;
    kd_ast_call *call = KDI_NODE_AT(p, KD_AST_CALL, kd_ast_call, function.position);
    if (call == NULL)
        return KD_NOMEM;
    call->function = function;
    KD_TRY(arguments(p, call));
    KD_TRY(kdi_parse_call_tail(p, call));
    kdi_finish(p, &call->node);
    *out_expr = &call->node;
    return KD_OK;
}

/* ---- Windows ---- */

static kd_status frame_bound(kd_parser *p, kd_ast_frame_bound *bound)
{
    if (kdi_at(p, KW_UNBOUNDED) && (kdi_next_is(p, KW_PRECEDING) || kdi_next_is(p, KW_FOLLOWING))) {
        kdi_advance(p);
        bound->what =
            kdi_at(p, KW_PRECEDING) ? KD_AST_UNBOUNDED_PRECEDING : KD_AST_UNBOUNDED_FOLLOWING;
        kdi_advance(p);
        return KD_OK;
    }
    if (kdi_accept_two(p, KW_CURRENT, KW_ROW)) {
        bound->what = KD_AST_CURRENT_ROW;
        return KD_OK;
    }
    KD_TRY(kdi_expr(p, &bound->offset));
    bound->what = KD_AST_PRECEDING;
    if (kdi_accept(p, KW_PRECEDING))
        return KD_OK;
    bound->what = KD_AST_FOLLOWING;
    if (!kdi_accept(p, KW_FOLLOWING))
        return kdi_syntax_error(p, "PRECEDING or FOLLOWING");
    return KD_OK;
}

static kd_status check_frame(kd_parser *p, const kd_ast_window *window, int32_t position)
{
    kd_ast_bound_kind start = window->start.what;
    kd_ast_bound_kind end = window->end.what;
    const char *problem = NULL;
    if (start == KD_AST_UNBOUNDED_FOLLOWING)
        problem = "frame start cannot be UNBOUNDED FOLLOWING";
    else if (end == KD_AST_UNBOUNDED_PRECEDING)
        problem = "frame end cannot be UNBOUNDED PRECEDING";
    else if (start == KD_AST_CURRENT_ROW && end == KD_AST_PRECEDING)
        problem = "frame starting from current row cannot have preceding rows";
    else if (start == KD_AST_FOLLOWING && end == KD_AST_PRECEDING)
        problem = "frame starting from following row cannot have preceding rows";
    else if (start == KD_AST_FOLLOWING && end == KD_AST_CURRENT_ROW)
        problem = "frame starting from following row cannot end with current row";
    return problem == NULL ? KD_OK : kdi_fail_at(p, "42P20", position, problem);
}

static kd_status frame_exclusion(kd_parser *p, kd_ast_window *window)
{
    if (!kdi_accept(p, KW_EXCLUDE))
        return KD_OK;
    if (kdi_accept_two(p, KW_CURRENT, KW_ROW))
        window->exclude = KD_AST_EXCLUDE_CURRENT_ROW;
    else if (kdi_accept(p, KW_GROUP))
        window->exclude = KD_AST_EXCLUDE_GROUP;
    else if (kdi_accept(p, KW_TIES))
        window->exclude = KD_AST_EXCLUDE_TIES;
    else if (!kdi_accept_two(p, KW_NO, KW_OTHERS))
        return kdi_syntax_error(p, "CURRENT ROW, GROUP, TIES or NO OTHERS");
    return KD_OK;
}

static kd_status frame(kd_parser *p, kd_ast_window *window)
{
    window->start.what = KD_AST_UNBOUNDED_PRECEDING;
    window->end.what = KD_AST_CURRENT_ROW;
    if (kdi_at(p, KW_ROWS))
        window->frame = KD_AST_FRAME_ROWS;
    else if (kdi_at(p, KW_RANGE))
        window->frame = KD_AST_FRAME_RANGE;
    else if (kdi_at(p, KW_GROUPS))
        window->frame = KD_AST_FRAME_GROUPS;
    else
        return KD_OK;
    kdi_advance(p);
    int32_t position = p->token.position;
    bool is_between = kdi_accept(p, KW_BETWEEN);
    KD_TRY(frame_bound(p, &window->start));
    if (is_between) {
        KD_TRY(kdi_expect(p, KW_AND));
        KD_TRY(frame_bound(p, &window->end));
    }
    KD_TRY(check_frame(p, window, position));
    return frame_exclusion(p, window);
}

kd_status kdi_window_spec(kd_parser *p, kd_ast_window *window)
{
    KD_TRY(kdi_expect_token(p, '('));
    bool is_clause = kdi_at(p, KW_PARTITION) || kdi_at(p, KW_ROWS) || kdi_at(p, KW_RANGE) ||
                     kdi_at(p, KW_GROUPS);
    if (!is_clause && kdi_is_name(&p->token))
        KD_TRY(kdi_name(p, &window->base));
    if (kdi_accept(p, KW_PARTITION)) {
        KD_TRY(kdi_expect(p, KW_BY));
        KD_TRY(kdi_expr_list(p, &window->partition_by));
    }
    KD_TRY(kdi_order_by(p, &window->order_by));
    KD_TRY(frame(p, window));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &window->node);
    return KD_OK;
}

/* ---- Special forms ---- */

/* EXTRACT (field FROM source): the field is a word or a string. */
static kd_status extract_args(kd_parser *p, kd_ast_call *call)
{
    int32_t position = p->token.position;
    kd_slice field;
    KD_TRY(kdi_word_or_string(p, &field));
    KD_TRY(kdi_push_arg(p, call, kdi_string_constant(p, field, position)));
    KD_TRY(kdi_expect(p, KW_FROM));
    kd_ast_node *source;
    KD_TRY(kdi_expr(p, &source));
    return kdi_push_arg(p, call, source);
}

static kd_status position_args(kd_parser *p, kd_ast_call *call)
{
    kd_ast_node *part;
    kd_ast_node *whole;
    KD_TRY(kdi_restricted_expr(p, &part));
    KD_TRY(kdi_expect(p, KW_IN));
    KD_TRY(kdi_restricted_expr(p, &whole));
    KD_TRY(kdi_push_arg(p, call, whole));
    return kdi_push_arg(p, call, part);
}

/* After a first argument: plain commas make it an ordinary call. */
static kd_status more_args(kd_parser *p, kd_ast_call *call)
{
    while (kdi_accept_token(p, ',')) {
        kd_ast_node *arg;
        KD_TRY(kdi_expr(p, &arg));
        KD_TRY(kdi_push_arg(p, call, arg));
    }
    return KD_OK;
}

/* SUBSTRING (s FROM i [FOR n]), (s FOR n [FROM i]), (s SIMILAR p ESCAPE e) or (s, i, n). */
static kd_status substring_args(kd_parser *p, kd_ast_call *call)
{
    if (kdi_at_token(p, ')'))
        return KD_OK;
    kd_ast_node *text;
    kd_ast_node *from = NULL;
    kd_ast_node *count = NULL;
    KD_TRY(kdi_expr(p, &text));
    KD_TRY(kdi_push_arg(p, call, text));
    if (kdi_at_token(p, ','))
        return more_args(p, call);
    if (kdi_accept(p, KW_SIMILAR)) {
        KD_TRY(kdi_expr(p, &from));
        KD_TRY(kdi_expect(p, KW_ESCAPE));
        KD_TRY(kdi_expr(p, &count));
        KD_TRY(kdi_push_arg(p, call, from));
        return kdi_push_arg(p, call, count);
    }
    int32_t position = p->token.position;
    if (kdi_accept(p, KW_FROM))
        KD_TRY(kdi_expr(p, &from));
    if (kdi_accept(p, KW_FOR)) {
        KD_TRY(kdi_expr(p, &count));
        if (from == NULL && kdi_accept(p, KW_FROM))
            KD_TRY(kdi_expr(p, &from));
    }
    if (from == NULL && count != NULL)
        from = kdi_integer_constant(p, 1, position);
    if (from != NULL)
        KD_TRY(kdi_push_arg(p, call, from));
    return count != NULL ? kdi_push_arg(p, call, count) : KD_OK;
}

/* OVERLAY (s PLACING r FROM i [FOR n]) */
static kd_status overlay_args(kd_parser *p, kd_ast_call *call)
{
    if (kdi_at_token(p, ')'))
        return KD_OK;
    kd_ast_node *arg;
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    if (!kdi_accept(p, KW_PLACING))
        return more_args(p, call);
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    KD_TRY(kdi_expect(p, KW_FROM));
    KD_TRY(kdi_expr(p, &arg));
    KD_TRY(kdi_push_arg(p, call, arg));
    if (!kdi_accept(p, KW_FOR))
        return KD_OK;
    KD_TRY(kdi_expr(p, &arg));
    return kdi_push_arg(p, call, arg);
}

/* TRIM ([BOTH | LEADING | TRAILING] [characters] FROM s), or TRIM (s, characters). */
static kd_status trim_args(kd_parser *p, kd_ast_call *call)
{
    if (kdi_accept(p, KW_LEADING))
        call->function.name = KD_SLICE("ltrim");
    else if (kdi_accept(p, KW_TRAILING))
        call->function.name = KD_SLICE("rtrim");
    else
        (void)kdi_accept(p, KW_BOTH);
    kd_ast_node *characters = NULL;
    kd_ast_node *text;
    if (!kdi_at(p, KW_FROM))
        KD_TRY(kdi_expr(p, &characters));
    if (!kdi_accept(p, KW_FROM)) {
        KD_TRY(kdi_push_arg(p, call, characters));
        return more_args(p, call);
    }
    KD_TRY(kdi_expr(p, &text));
    KD_TRY(kdi_push_arg(p, call, text));
    KD_TRY(more_args(p, call));
    return characters != NULL ? kdi_push_arg(p, call, characters) : KD_OK;
}

static kd_status normalize_args(kd_parser *p, kd_ast_call *call)
{
    kd_ast_node *text;
    KD_TRY(kdi_expr(p, &text));
    KD_TRY(kdi_push_arg(p, call, text));
    if (!kdi_accept_token(p, ','))
        return KD_OK;
    if (!kdi_at(p, KW_NFC) && !kdi_at(p, KW_NFD) && !kdi_at(p, KW_NFKC) && !kdi_at(p, KW_NFKD))
        return kdi_syntax_error(p, "NFC, NFD, NFKC or NFKD");
    int32_t position = p->token.position;
    kd_slice form = p->token.text;
    kdi_advance(p);
    return kdi_push_arg(p, call, kdi_string_constant(p, form, position));
}

/* COLLATION FOR (expression) */
static kd_status collation_for(kd_parser *p, kd_ast_call *call)
{
    kd_ast_node *value;
    KD_TRY(kdi_expr(p, &value));
    return kdi_push_arg(p, call, value);
}

typedef struct special_form {
    kdi_keyword word;
    const char *function;
    kd_status (*arguments)(kd_parser *p, kd_ast_call *call);
} special_form;

static const special_form special_forms[] = {
    {KW_EXTRACT, "extract", extract_args},
    {KW_POSITION, "position", position_args},
    {KW_SUBSTRING, "substring", substring_args},
    {KW_OVERLAY, "overlay", overlay_args},
    {KW_TRIM, "btrim", trim_args},
    {KW_NORMALIZE, "normalize", normalize_args},
    {KW_COLLATION, "pg_collation_for", collation_for},
};

kd_status kdi_special_form(kd_parser *p, bool *out_found, kd_ast_node **out_expr)
{
    *out_found = false;
    for (size_t i = 0; i < sizeof special_forms / sizeof *special_forms; i++) {
        const special_form *form = &special_forms[i];
        if (!kdi_at(p, form->word))
            continue;
        if (form->word == KW_COLLATION && !kdi_next_is(p, KW_FOR))
            return KD_OK;
        kd_ast_call *call;
        KD_TRY(kdi_parse_make_call(p, form->function, p->token.position, &call));
        kdi_advance(p);
        if (form->word == KW_COLLATION)
            kdi_advance(p);
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(form->arguments(p, call));
        KD_TRY(kdi_expect_token(p, ')'));
        kdi_finish(p, &call->node);
        *out_found = true;
        *out_expr = &call->node;
        return KD_OK;
    }
    return KD_OK;
}
