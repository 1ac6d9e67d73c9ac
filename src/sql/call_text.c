/*
 * Calls as normalised text: functions, aggregates, windows, and the forms with words between their
 * arguments; keys of ORDER BY, GROUP BY and windows.
 */
#include "sql/bind_internal.h"
#include "sql/query_text_internal.h"

/* --- Keys --- */

kd_status kdi_put_key(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node)
{
    bool is_bare = node->kind == KD_AST_COLUMN || node->kind == KD_AST_CONSTANT;
    bool parens = !is_bare && (kdi_is_pretty(w) || node->kind == KD_AST_CALL);
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_expr(ctx, w, node));
    return parens ? kdi_put_text(ctx, w, ")") : KD_OK;
}

kd_status kdi_put_direction(kd_ctx *ctx, kdi_writer *w, const kd_ast_sort *sort)
{
    bool descends = sort->direction == KD_AST_DESCENDING;
    if (descends)
        KD_TRY(kdi_put_text(ctx, w, " DESC"));
    if (sort->direction == KD_AST_USING)
        KD_TRY(kd_buffer_append_format(ctx, w->out, " USING %.*s", KDI_S(sort->using_operator)));
    if (sort->nulls == KD_AST_NULLS_FIRST && !descends)
        return kdi_put_text(ctx, w, " NULLS FIRST");
    return sort->nulls == KD_AST_NULLS_LAST && descends ? kdi_put_text(ctx, w, " NULLS LAST")
                                                        : KD_OK;
}

kd_status kdi_put_sorts(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)list->items[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_key(ctx, w, sort->value));
        KD_TRY(kdi_put_direction(ctx, w, sort));
    }
    return KD_OK;
}

/* --- Windows --- */

static kd_status put_bound(kd_ctx *ctx, kdi_writer *w, const kd_ast_frame_bound *bound)
{
    static const char *const words[] = {[KD_AST_UNBOUNDED_PRECEDING] = "UNBOUNDED PRECEDING",
                                        [KD_AST_PRECEDING] = " PRECEDING",
                                        [KD_AST_CURRENT_ROW] = "CURRENT ROW",
                                        [KD_AST_FOLLOWING] = " FOLLOWING",
                                        [KD_AST_UNBOUNDED_FOLLOWING] = "UNBOUNDED FOLLOWING"};
    if (bound->offset != NULL)
        KD_TRY(kdi_put_expr(ctx, w, bound->offset));
    return kdi_put_text(ctx, w, words[bound->what]);
}

static kd_status put_frame(kd_ctx *ctx, kdi_writer *w, const kd_ast_window *window)
{
    static const char *const modes[] = {[KD_AST_FRAME_NONE] = "",
                                        [KD_AST_FRAME_ROWS] = "ROWS",
                                        [KD_AST_FRAME_RANGE] = "RANGE",
                                        [KD_AST_FRAME_GROUPS] = "GROUPS"};
    static const char *const exclusions[] = {[KD_AST_EXCLUDE_NONE] = "",
                                             [KD_AST_EXCLUDE_CURRENT_ROW] = " EXCLUDE CURRENT ROW",
                                             [KD_AST_EXCLUDE_GROUP] = " EXCLUDE GROUP",
                                             [KD_AST_EXCLUDE_TIES] = " EXCLUDE TIES"};
    KD_TRY(kdi_put_text(ctx, w, modes[window->frame]));
    KD_TRY(kdi_put_text(ctx, w, " BETWEEN "));
    KD_TRY(put_bound(ctx, w, &window->start));
    KD_TRY(kdi_put_text(ctx, w, " AND "));
    KD_TRY(put_bound(ctx, w, &window->end));
    return kdi_put_text(ctx, w, exclusions[window->exclude]);
}

kd_status kdi_put_window(kd_ctx *ctx, kdi_writer *w, const kd_ast_window *window)
{
    const char *between = "";
    if (window->base.size_bytes > 0) {
        KD_TRY(kdi_put_name(ctx, w, window->base));
        between = " ";
    }
    if (window->partition_by.count > 0) {
        KD_TRY(kdi_put_text(ctx, w, between));
        KD_TRY(kdi_put_text(ctx, w, "PARTITION BY "));
        for (size_t i = 0; i < window->partition_by.count; i++) {
            KD_TRY(kdi_put_comma(ctx, w, i));
            KD_TRY(kdi_put_key(ctx, w, window->partition_by.items[i]));
        }
        between = " ";
    }
    if (window->order_by.count > 0) {
        KD_TRY(kdi_put_text(ctx, w, between));
        KD_TRY(kdi_put_text(ctx, w, "ORDER BY "));
        KD_TRY(kdi_put_sorts(ctx, w, &window->order_by));
        between = " ";
    }
    if (window->frame == KD_AST_FRAME_NONE)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, between));
    return put_frame(ctx, w, window);
}

static kd_status put_over(kd_ctx *ctx, kdi_writer *w, const kd_ast_window *over)
{
    KD_TRY(kdi_put_text(ctx, w, " OVER "));
    if (over->is_reference)
        return kdi_put_name(ctx, w, over->name);
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(kdi_put_window(ctx, w, over));
    return kdi_put_text(ctx, w, ")");
}

/* --- Forms with words --- */

/* NAME(a word b ...): the words stand before the arguments from the second on. Casts that the
 * binder added are told of literals only. */
static kd_status put_worded(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call, const char *open,
                            const char *const *words)
{
    const kd_name_note *note = kdi_note(w, call);
    bool is_call = note != NULL && note->expr != NULL && note->expr->kind == KD_EXPR_CALL &&
                   note->expr->argument_count == call->arg_count;
    KD_TRY(kdi_put_text(ctx, w, open));
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            KD_TRY(kdi_put_text(ctx, w, words[i - 1]));
        const kd_ast_node *value = call->args[i].value;
        bool tells = is_call && value->kind == KD_AST_CONSTANT;
        KD_TRY(kdi_put_coerced(ctx, w, value, NULL, tells ? note->expr->arguments[i] : NULL));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_extract(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call)
{
    const kd_ast_constant *field = (const kd_ast_constant *)call->args[0].value;
    KD_TRY(kdi_put_text(ctx, w, "EXTRACT("));
    KD_TRY(kdi_put_name(ctx, w, field->text));
    KD_TRY(kdi_put_text(ctx, w, " FROM "));
    KD_TRY(kdi_put_expr(ctx, w, call->args[1].value));
    return kdi_put_text(ctx, w, ")");
}

/* False: it has no words here. */
static kd_status put_special(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call, bool *out_is_put)
{
    static const char *const substring[] = {" FROM ", " FOR "};
    static const char *const overlay[] = {" PLACING ", " FROM ", " FOR "};
    static const char *const overlaps[] = {", ", ") OVERLAPS (", ", "};
    kd_slice name = call->function.name;
    *out_is_put = true;
    if (kd_slice_equal(name, KD_SLICE("extract")) && call->arg_count == 2 &&
        call->args[0].value->kind == KD_AST_CONSTANT)
        return put_extract(ctx, w, call);
    if (kd_slice_equal(name, KD_SLICE("substring")) && call->arg_count <= 3)
        return put_worded(ctx, w, call, "SUBSTRING(", substring);
    if (kd_slice_equal(name, KD_SLICE("overlay")) && call->arg_count <= 4)
        return put_worded(ctx, w, call, "OVERLAY(", overlay);
    if (kd_slice_equal(name, KD_SLICE("overlaps")) && call->arg_count == 4) {
        if (!kdi_is_pretty(w))
            KD_TRY(kdi_put_text(ctx, w, "("));
        KD_TRY(put_worded(ctx, w, call, "(", overlaps));
        return kdi_is_pretty(w) ? KD_OK : kdi_put_text(ctx, w, ")");
    }
    *out_is_put = false;
    return KD_OK;
}

/* --- Calls --- */

static kd_status put_function_name(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call)
{
    static const char *const known[] = {"position", "btrim",     "ltrim",
                                        "rtrim",    "normalize", "pg_collation_for"};
    if (call->special_form) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (kd_slice_equal(call->function.name, kd_slice_of(known[i])))
                return kd_buffer_append_format(ctx, w->out, "pg_catalog.\"%s\"", known[i]);
        w->is_given_up = true; /* A name that nobody may write. */
        return KD_OK;
    }
    if (call->function.schema.size_bytes > 0) {
        KD_TRY(kdi_put_name(ctx, w, call->function.schema));
        KD_TRY(kdi_put_text(ctx, w, "."));
    }
    return kdi_put_name(ctx, w, call->function.name);
}

static kd_status put_arguments(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call)
{
    const kd_name_note *note = kdi_note(w, call);
    bool is_call = note != NULL && note->expr != NULL && note->expr->kind == KD_EXPR_CALL &&
                   note->expr->argument_count == call->arg_count;
    if (call->distinct)
        KD_TRY(kdi_put_text(ctx, w, "DISTINCT "));
    if (call->star)
        KD_TRY(kdi_put_text(ctx, w, "*"));
    for (size_t i = 0; i < call->arg_count; i++) {
        const kd_ast_arg *arg = &call->args[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        if (arg->variadic)
            KD_TRY(kdi_put_text(ctx, w, "VARIADIC "));
        if (arg->name.size_bytes > 0) {
            KD_TRY(kdi_put_name(ctx, w, arg->name));
            KD_TRY(kdi_put_text(ctx, w, " => "));
            is_call = false;
        }
        KD_TRY(
            kdi_put_coerced(ctx, w, arg->value, NULL, is_call ? note->expr->arguments[i] : NULL));
    }
    if (call->order_by.count > 0) {
        KD_TRY(kdi_put_text(ctx, w, " ORDER BY "));
        KD_TRY(kdi_put_sorts(ctx, w, &call->order_by));
    }
    return call->ignore_nulls ? kdi_put_text(ctx, w, " IGNORE NULLS") : KD_OK;
}

kd_status kdi_put_call(kd_ctx *ctx, kdi_writer *w, const kd_ast_call *call)
{
    bool is_put = false;
    if (call->special_form)
        KD_TRY(put_special(ctx, w, call, &is_put));
    if (is_put)
        return KD_OK;
    KD_TRY(put_function_name(ctx, w, call));
    KD_TRY(kdi_put_text(ctx, w, "("));
    KD_TRY(put_arguments(ctx, w, call));
    KD_TRY(kdi_put_text(ctx, w, ")"));
    if (call->within_group.count > 0) {
        KD_TRY(kdi_put_text(ctx, w, " WITHIN GROUP (ORDER BY "));
        KD_TRY(kdi_put_sorts(ctx, w, &call->within_group));
        KD_TRY(kdi_put_text(ctx, w, ")"));
    }
    if (call->filter != NULL) {
        KD_TRY(kdi_put_text(ctx, w, " FILTER (WHERE "));
        KD_TRY(kdi_put_expr(ctx, w, call->filter));
        KD_TRY(kdi_put_text(ctx, w, ")"));
    }
    return call->over != NULL ? put_over(ctx, w, call->over) : KD_OK;
}
