/*
 * Queries as normalised text.
 *
 * The structure is the syntax tree's; what its names mean comes from the binder's notes. Relations
 * and columns go by the names that they have in the catalog version that is given, which need not
 * be the one that the query was bound under: so a view's text follows what it reads when that is
 * renamed. Parts that have no other words stand as they were written.
 */
#include "sql/query_text_internal.h"

#include "sql/bind_internal.h"
#include "sql/keyword_internal.h"

#include <string.h>

/* --- Names --- */

static bool is_plain(kd_slice name)
{
    char folded[KDI_KEYWORD_BYTES_MAX] = {0};
    if (name.size_bytes == 0 || name.size_bytes > 63)
        return false;
    for (size_t i = 0; i < name.size_bytes; i++) {
        char byte = name.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || byte == '_';
        if (!letter && (i == 0 || !((byte >= '0' && byte <= '9') || byte == '$')))
            return false;
    }
    if (name.size_bytes > sizeof folded)
        return true;
    memcpy(folded, name.data, name.size_bytes);
    kdi_keyword word = kdi_keyword_find(folded, name.size_bytes);
    return word == KW_NO_WORD || kdi_keyword_kind(word) == KDI_WORD_UNRESERVED;
}

kd_status kd_name_append(kd_ctx *ctx, kd_slice name, kd_buffer *out)
{
    if (is_plain(name))
        return kd_buffer_append_slice(ctx, out, name);
    KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
    for (size_t i = 0; i < name.size_bytes; i++) {
        if (name.data[i] == '"')
            KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)name.data[i]));
    }
    return kd_buffer_append_byte(ctx, out, '"');
}

kd_status kdi_put_name(kd_ctx *ctx, kdi_writer *w, kd_slice name)
{
    return kd_name_append(ctx, name, w->out);
}

/* What the search path is taken to find. */
static bool is_found(const kd_object *schema)
{
    const kd_slice temporary = KD_SLICE("pg_temp_");
    return kd_slice_equal(schema->name, KD_SLICE("public")) ||
           (schema->name.size_bytes > temporary.size_bytes &&
            memcmp(schema->name.data, temporary.data, temporary.size_bytes) == 0);
}

kd_status kdi_put_object(kd_ctx *ctx, kdi_writer *w, const kd_object *object)
{
    const kd_object *schema = kd_catalog_get(w->options->catalog, object->schema_no);
    if (schema != NULL && (w->options->is_qualified || !is_found(schema))) {
        KD_TRY(kdi_put_name(ctx, w, schema->name));
        KD_TRY(kdi_put_text(ctx, w, "."));
    }
    return kdi_put_name(ctx, w, object->name);
}

kd_slice kdi_name_of_position(const kdi_writer *w, const kd_noted_column *column)
{
    const kd_name_note *note = kdi_note(w, column->item);
    const kd_object *object =
        note == NULL ? NULL : kd_catalog_get(w->options->catalog, note->object_no);
    if (object != NULL && object->kind == KD_OBJECT_VIEW) {
        const kd_view_entry *view = (const kd_view_entry *)object;
        return column->position < view->column_count ? view->column_names[column->position]
                                                     : column->name;
    }
    if (object == NULL || object->kind != KD_OBJECT_TABLE || note->column_nos == NULL)
        return column->name;
    const kd_table_entry *table = (const kd_table_entry *)object;
    for (uint32_t i = 0; i < table->visible_count; i++)
        if (table->columns[i].storage.column_no == note->column_nos[column->position])
            return table->columns[i].storage.name;
    return column->name;
}

kd_slice kdi_column_now(const kdi_writer *w, const kd_noted_column *column)
{
    const kd_ast_table_ref *ref = (const kd_ast_table_ref *)column->item;
    if (ref == NULL || w->options->keeps_names || ref->alias.columns.count > 0 ||
        kdi_note(w, ref)->keeps_names)
        return column->name;
    return kdi_name_of_position(w, column);
}

kd_slice kdi_source_now(const kdi_writer *w, const kd_noted_column *column)
{
    const kd_ast_table_ref *ref = (const kd_ast_table_ref *)column->item;
    if (ref == NULL || w->options->keeps_names || ref->alias.name.size_bytes > 0)
        return column->source;
    const kd_name_note *note = kdi_note(w, ref);
    const kd_object *object = kd_catalog_get(w->options->catalog, note->object_no);
    return object == NULL ? column->source : object->name;
}

/* --- Layout --- */

enum { INDENT_MAX = 40 };

kd_status kdi_put_line(kd_ctx *ctx, kdi_writer *w, const char *text, int before, int after,
                       int plus)
{
    w->indent += before;
    while (w->out->size_bytes > 0 && w->out->data[w->out->size_bytes - 1] == ' ')
        w->out->size_bytes--;
    int spaces = w->indent < 0 ? 0 : w->indent;
    if (spaces >= INDENT_MAX)
        spaces = (INDENT_MAX + (spaces - INDENT_MAX) / (KDI_INDENT / 2)) % INDENT_MAX;
    KD_TRY(kdi_put_text(ctx, w, "\n"));
    for (int i = 0; i < spaces + plus; i++)
        KD_TRY(kdi_put_text(ctx, w, " "));
    KD_TRY(kdi_put_text(ctx, w, text));
    w->indent += after;
    if (w->indent < 0)
        w->indent = 0;
    return KD_OK;
}

kd_status kdi_put_comma(kd_ctx *ctx, kdi_writer *w, size_t index)
{
    return index == 0 ? KD_OK : kdi_put_text(ctx, w, ", ");
}

/* --- The select list --- */

/* A column of the result: an expression, or one of those that a star stands for. */
typedef struct result_column {
    const kd_ast_node *node;
    const kd_noted_column *column; /* NULL: the expression is none. */
    kd_slice name;
} result_column;

typedef struct result_columns {
    result_column *items;
    size_t count, capacity;
} result_columns;

static kd_status add_result(kd_ctx *ctx, kdi_writer *w, result_columns *list, result_column item)
{
    result_column *added;
    KD_TRY(KD_PUSH(ctx, w->out->arena, list->items, list->count, list->capacity, &added));
    *added = item;
    return KD_OK;
}

static kd_status collect_results(kd_ctx *ctx, kdi_writer *w, const kd_ast_select *select,
                                 result_columns *list)
{
    for (size_t i = 0; i < select->targets.count; i++) {
        const kd_ast_target *target = (const kd_ast_target *)select->targets.items[i];
        const kd_name_note *note = kdi_note(w, target->value);
        const kd_ast_star *star = (const kd_ast_star *)target->value;
        bool is_star = target->value->kind == KD_AST_STAR;
        if (is_star && (note == NULL || star->exclude.count + star->replace.count > 0 ||
                        star->rename.count > 0)) {
            w->is_given_up = true;
            return KD_OK;
        }
        for (uint32_t c = 0; is_star && c < note->column_count; c++)
            KD_TRY(add_result(
                ctx, w, list,
                (result_column){target->value, &note->columns[c], note->columns[c].name}));
        if (is_star)
            continue;
        bool is_column =
            target->value->kind == KD_AST_COLUMN && note != NULL && note->column_count == 1;
        kd_slice name =
            target->alias.size_bytes > 0 ? target->alias : kdi_target_name(target->value);
        KD_TRY(
            add_result(ctx, w, list,
                       (result_column){target->value, is_column ? &note->columns[0] : NULL, name}));
    }
    return KD_OK;
}

static kd_status put_result(kd_ctx *ctx, kdi_writer *w, const result_column *item)
{
    if (item->column != NULL)
        return kdi_put_column(ctx, w, item->column);
    KD_TRY(kdi_put_expr(ctx, w, item->node));
    return !w->in_set && kdi_is_untyped(w, item->node) ? kdi_put_text(ctx, w, "::text") : KD_OK;
}

/* Each on a line of its own; an expression that begins a line itself follows on the comma's. */
static kd_status put_results(kd_ctx *ctx, kdi_writer *w, const result_columns *list,
                             const kd_slice *names, bool is_nameless)
{
    for (size_t i = 0; i < list->count; i++) {
        const result_column *item = &list->items[i];
        kd_slice name = names != NULL ? names[i] : item->name;
        bool is_case = item->column == NULL && item->node->kind == KD_AST_CASE;
        KD_TRY(kdi_put_text(ctx, w, i == 0 ? " " : ", "));
        if (i > 0 && !is_case)
            KD_TRY(kdi_put_line(ctx, w, "", -KDI_INDENT, KDI_INDENT, KDI_INDENT_PART));
        KD_TRY(put_result(ctx, w, item));
        bool is_shown = item->column != NULL
                            ? !kd_slice_equal(kdi_column_now(w, item->column), name)
                            : !is_nameless || !kd_slice_equal(name, KD_SLICE("?column?"));
        if (!is_shown)
            continue;
        KD_TRY(kdi_put_text(ctx, w, " AS "));
        KD_TRY(kdi_put_name(ctx, w, name));
    }
    return KD_OK;
}

/* A key by number or by the name of a result is that result; NULL: it is an expression. */
static const result_column *result_of_key(const kdi_writer *w, const result_columns *list,
                                          const kd_ast_node *node, bool is_set)
{
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    const kd_ast_column *column = (const kd_ast_column *)node;
    const kd_name_note *note = kdi_note(w, node);
    if (node->kind == KD_AST_CONSTANT && constant->what == KD_AST_INTEGER &&
        constant->integer >= 1 && (uint64_t)constant->integer <= list->count)
        return &list->items[constant->integer - 1];
    bool is_name = node->kind == KD_AST_COLUMN && column->part_count == 1 &&
                   (is_set || note == NULL || note->column_count == 0);
    for (size_t i = 0; is_name && i < list->count; i++)
        if (kd_slice_equal(list->items[i].name, column->parts[0]))
            return &list->items[i];
    return NULL;
}

static kd_status put_result_key(kd_ctx *ctx, kdi_writer *w, const result_columns *list,
                                const kd_ast_node *node)
{
    const result_column *result = result_of_key(w, list, node, false);
    if (result == NULL)
        return kdi_put_key(ctx, w, node);
    return result->column != NULL ? kdi_put_column(ctx, w, result->column)
                                  : kdi_put_key(ctx, w, result->node);
}

/* --- Tails --- */

/* `list` NULL: of a set operation, whose columns go by number. */
static kd_status put_order(kd_ctx *ctx, kdi_writer *w, const kd_ast_query_tail *tail,
                           const result_columns *list, const result_columns *numbered)
{
    KD_TRY(kdi_put_line(ctx, w, " ORDER BY ", -KDI_INDENT, KDI_INDENT, 1));
    for (size_t i = 0; i < tail->order_by.count; i++) {
        const kd_ast_sort *sort = (const kd_ast_sort *)tail->order_by.items[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        const result_column *result = tail->order_by_all || list != NULL
                                          ? NULL
                                          : result_of_key(w, numbered, sort->value, true);
        if (tail->order_by_all)
            KD_TRY(kdi_put_text(ctx, w, "ALL"));
        else if (list != NULL)
            KD_TRY(put_result_key(ctx, w, list, sort->value));
        else if (result != NULL)
            KD_TRY(kd_buffer_append_format(ctx, w->out, "%zu",
                                           (size_t)(result - numbered->items) + 1));
        else
            KD_TRY(kdi_put_key(ctx, w, sort->value));
        KD_TRY(kdi_put_direction(ctx, w, sort));
    }
    return KD_OK;
}

static kd_status put_limit(kd_ctx *ctx, kdi_writer *w, const kd_ast_query_tail *tail)
{
    if (tail->offset != NULL) {
        KD_TRY(kdi_put_line(ctx, w, " OFFSET ", -KDI_INDENT, KDI_INDENT, 0));
        KD_TRY(kdi_put_expr(ctx, w, tail->offset));
    }
    if (tail->limit == NULL)
        return KD_OK;
    if (tail->with_ties) {
        KD_TRY(kdi_put_line(ctx, w, " FETCH FIRST (", -KDI_INDENT, KDI_INDENT, 0));
        KD_TRY(kdi_put_expr(ctx, w, tail->limit));
        return kdi_put_text(ctx, w, ") ROWS WITH TIES");
    }
    KD_TRY(kdi_put_line(ctx, w, " LIMIT ", -KDI_INDENT, KDI_INDENT, 0));
    KD_TRY(kdi_put_expr(ctx, w, tail->limit));
    return tail->limit_percent ? kdi_put_text(ctx, w, "%") : KD_OK;
}

static kd_status put_locking(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *locking)
{
    static const char *const strengths[] = {[KD_AST_FOR_KEY_SHARE] = " FOR KEY SHARE",
                                            [KD_AST_FOR_SHARE] = " FOR SHARE",
                                            [KD_AST_FOR_NO_KEY_UPDATE] = " FOR NO KEY UPDATE",
                                            [KD_AST_FOR_UPDATE] = " FOR UPDATE"};
    for (size_t i = 0; i < locking->count; i++) {
        const kd_ast_locking *lock = (const kd_ast_locking *)locking->items[i];
        KD_TRY(kdi_put_line(ctx, w, strengths[lock->strength], -KDI_INDENT, KDI_INDENT, 0));
        for (size_t t = 0; t < lock->tables.count; t++) {
            KD_TRY(kdi_put_text(ctx, w, t == 0 ? " OF " : ", "));
            KD_TRY(
                kdi_put_name(ctx, w, ((const kd_ast_name_item *)lock->tables.items[t])->name.name));
            w->has_verbatim = true;
        }
        if (lock->wait != KD_AST_LOCK_BLOCK)
            KD_TRY(kdi_put_text(ctx, w,
                                lock->wait == KD_AST_LOCK_NOWAIT ? " NOWAIT" : " SKIP LOCKED"));
    }
    return KD_OK;
}

/* --- WITH --- */

static kd_status put_names(kd_ctx *ctx, kdi_writer *w, const kd_ast_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_name(ctx, w, names->items[i]));
    }
    return KD_OK;
}

static kd_status put_search(kd_ctx *ctx, kdi_writer *w, const kd_ast_cte *cte)
{
    if (cte->search_sequence.size_bytes > 0) {
        KD_TRY(kdi_put_text(
            ctx, w, cte->search_breadth ? " SEARCH BREADTH FIRST BY " : " SEARCH DEPTH FIRST BY "));
        KD_TRY(put_names(ctx, w, &cte->search_columns));
        KD_TRY(kdi_put_text(ctx, w, " SET "));
        KD_TRY(kdi_put_name(ctx, w, cte->search_sequence));
    }
    if (cte->cycle_mark.size_bytes == 0)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " CYCLE "));
    KD_TRY(put_names(ctx, w, &cte->cycle_columns));
    KD_TRY(kdi_put_text(ctx, w, " SET "));
    KD_TRY(kdi_put_name(ctx, w, cte->cycle_mark));
    if (cte->cycle_to != NULL) {
        KD_TRY(kdi_put_text(ctx, w, " TO "));
        KD_TRY(kdi_put_expr(ctx, w, cte->cycle_to));
        KD_TRY(kdi_put_text(ctx, w, " DEFAULT "));
        KD_TRY(kdi_put_expr(ctx, w, cte->cycle_default));
    }
    KD_TRY(kdi_put_text(ctx, w, " USING "));
    return kdi_put_name(ctx, w, cte->cycle_path);
}

static kd_status put_with(kd_ctx *ctx, kdi_writer *w, const kd_ast_with *with)
{
    if (with->ctes.count == 0)
        return KD_OK;
    w->indent += KDI_INDENT;
    KD_TRY(kdi_put_text(ctx, w, with->recursive ? " WITH RECURSIVE " : " WITH "));
    for (size_t i = 0; i < with->ctes.count; i++) {
        const kd_ast_cte *cte = (const kd_ast_cte *)with->ctes.items[i];
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_name(ctx, w, cte->name));
        if (cte->columns.count > 0) {
            KD_TRY(kdi_put_text(ctx, w, "("));
            KD_TRY(put_names(ctx, w, &cte->columns));
            KD_TRY(kdi_put_text(ctx, w, ")"));
        }
        KD_TRY(kdi_put_text(ctx, w,
                            cte->materialized == KD_AST_MATERIALIZED ? " AS MATERIALIZED ("
                            : cte->materialized == KD_AST_NOT_MATERIALIZED
                                ? " AS NOT MATERIALIZED ("
                                : " AS ("));
        KD_TRY(kdi_put_line(ctx, w, "", 0, 0, 0));
        KD_TRY(kdi_put_query(ctx, w, cte->statement, NULL, false));
        KD_TRY(kdi_put_line(ctx, w, ")", 0, 0, 0));
        KD_TRY(put_search(ctx, w, cte));
    }
    w->indent -= KDI_INDENT;
    return kdi_put_line(ctx, w, "", 0, 0, 0);
}

/* --- SELECT --- */

static kd_status put_group_item(kd_ctx *ctx, kdi_writer *w, const result_columns *list,
                                const kd_ast_node *node);

static kd_status put_grouping_set(kd_ctx *ctx, kdi_writer *w, const result_columns *list,
                                  const kd_ast_grouping_set *set)
{
    static const char *const words[] = {[KD_AST_GROUPING_EMPTY] = "(",
                                        [KD_AST_GROUPING_SETS] = "GROUPING SETS (",
                                        [KD_AST_GROUPING_ROLLUP] = "ROLLUP(",
                                        [KD_AST_GROUPING_CUBE] = "CUBE("};
    KD_TRY(kdi_put_text(ctx, w, words[set->what]));
    for (size_t i = 0; i < set->items.count; i++) {
        bool bare = set->what == KD_AST_GROUPING_SETS && set->items.items[i]->kind != KD_AST_ROW &&
                    set->items.items[i]->kind != KD_AST_GROUPING_SET;
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(kdi_put_text(ctx, w, bare ? "(" : ""));
        KD_TRY(put_group_item(ctx, w, list, set->items.items[i]));
        KD_TRY(kdi_put_text(ctx, w, bare ? ")" : ""));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_group_item(kd_ctx *ctx, kdi_writer *w, const result_columns *list,
                                const kd_ast_node *node)
{
    if (node->kind == KD_AST_GROUPING_SET)
        return put_grouping_set(ctx, w, list, (const kd_ast_grouping_set *)node);
    if (node->kind != KD_AST_ROW)
        return put_result_key(ctx, w, list, node);
    const kd_ast_args *row = (const kd_ast_args *)node;
    KD_TRY(kdi_put_text(ctx, w, "("));
    for (size_t i = 0; i < row->args.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(put_result_key(ctx, w, list, row->args.items[i]));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_groups(kd_ctx *ctx, kdi_writer *w, const kd_ast_select *select,
                            const result_columns *list)
{
    if (select->group_by.count == 0 && !select->group_by_all)
        return KD_OK;
    KD_TRY(kdi_put_line(ctx, w, " GROUP BY ", -KDI_INDENT, KDI_INDENT, 1));
    if (select->group_by_all)
        return kdi_put_text(ctx, w, "ALL");
    if (select->group_by_distinct)
        KD_TRY(kdi_put_text(ctx, w, "DISTINCT "));
    for (size_t i = 0; i < select->group_by.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(put_group_item(ctx, w, list, select->group_by.items[i]));
    }
    return KD_OK;
}

static kd_status put_clause(kd_ctx *ctx, kdi_writer *w, const char *words, int plus,
                            const kd_ast_node *condition)
{
    if (condition == NULL)
        return KD_OK;
    KD_TRY(kdi_put_line(ctx, w, words, -KDI_INDENT, KDI_INDENT, plus));
    return kdi_put_expr(ctx, w, condition);
}

static kd_status put_windows(kd_ctx *ctx, kdi_writer *w, const kd_ast_list *windows)
{
    for (size_t i = 0; i < windows->count; i++) {
        const kd_ast_window *window = (const kd_ast_window *)windows->items[i];
        if (i == 0)
            KD_TRY(kdi_put_line(ctx, w, " WINDOW ", -KDI_INDENT, KDI_INDENT, 1));
        else
            KD_TRY(kdi_put_text(ctx, w, ", "));
        KD_TRY(kdi_put_name(ctx, w, window->name));
        KD_TRY(kdi_put_text(ctx, w, " AS ("));
        KD_TRY(kdi_put_window(ctx, w, window));
        KD_TRY(kdi_put_text(ctx, w, ")"));
    }
    return KD_OK;
}

static const kd_ast_list *values_row(const kd_ast_select *select, size_t index)
{
    return &((const kd_ast_args *)select->values.items[index])->args;
}

/* No row gives the column a type: it is text. */
static bool is_untyped_column(const kdi_writer *w, const kd_ast_select *select, size_t column)
{
    bool is_untyped = !w->in_set;
    for (size_t i = 0; i < select->values.count && is_untyped; i++)
        is_untyped = kdi_is_untyped(w, values_row(select, i)->items[column]);
    return is_untyped;
}

static kd_status put_values(kd_ctx *ctx, kdi_writer *w, const kd_ast_select *select)
{
    size_t column_count = values_row(select, 0)->count;
    bool *is_text = KD_NEW_ARRAY(ctx, w->out->arena, bool, column_count);
    if (is_text == NULL)
        return KD_NOMEM;
    for (size_t c = 0; c < column_count; c++)
        is_text[c] = is_untyped_column(w, select, c);
    KD_TRY(kdi_put_text(ctx, w, "VALUES "));
    for (size_t i = 0; i < select->values.count; i++) {
        const kd_ast_list *row = values_row(select, i);
        KD_TRY(kdi_put_text(ctx, w, i == 0 ? "(" : ", ("));
        for (size_t c = 0; c < row->count; c++) {
            KD_TRY(kdi_put_text(ctx, w, c == 0 ? "" : ","));
            KD_TRY(kdi_put_expr(ctx, w, row->items[c]));
            KD_TRY(kdi_put_text(ctx, w, is_text[c] ? "::text" : ""));
        }
        KD_TRY(kdi_put_text(ctx, w, ")"));
    }
    return KD_OK;
}

static kd_status put_distinct(kd_ctx *ctx, kdi_writer *w, const kd_ast_select *select,
                              const result_columns *list)
{
    if (!select->distinct && select->distinct_on.count == 0)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " DISTINCT"));
    if (select->distinct_on.count == 0)
        return KD_OK;
    KD_TRY(kdi_put_text(ctx, w, " ON ("));
    for (size_t i = 0; i < select->distinct_on.count; i++) {
        KD_TRY(kdi_put_comma(ctx, w, i));
        KD_TRY(put_result_key(ctx, w, list, select->distinct_on.items[i]));
    }
    return kdi_put_text(ctx, w, ")");
}

static kd_status put_select(kd_ctx *ctx, kdi_writer *w, const kd_ast_select *select,
                            const kd_slice *names, bool is_nameless)
{
    result_columns list = {0};
    KD_TRY(put_with(ctx, w, &select->tail.with));
    w->indent += KDI_INDENT;
    KD_TRY(kdi_put_text(ctx, w, " "));
    if (select->is_values) {
        KD_TRY(put_values(ctx, w, select));
    } else {
        KD_TRY(collect_results(ctx, w, select, &list));
        if (w->is_given_up || select->sample.size != NULL) {
            w->is_given_up = true;
            return KD_OK;
        }
        KD_TRY(kdi_put_text(ctx, w, "SELECT"));
        KD_TRY(put_distinct(ctx, w, select, &list));
        KD_TRY(put_results(ctx, w, &list, names, is_nameless));
        KD_TRY(kdi_put_from(ctx, w, &select->from));
        KD_TRY(put_clause(ctx, w, " WHERE ", 1, select->where));
        KD_TRY(put_groups(ctx, w, select, &list));
        KD_TRY(put_clause(ctx, w, " HAVING ", 0, select->having));
        KD_TRY(put_windows(ctx, w, &select->windows));
        KD_TRY(put_clause(ctx, w, " QUALIFY ", 0, select->qualify));
    }
    if (select->tail.order_by.count > 0)
        KD_TRY(put_order(ctx, w, &select->tail, select->is_values ? NULL : &list, &list));
    KD_TRY(put_limit(ctx, w, &select->tail));
    return put_locking(ctx, w, &select->tail.locking);
}

/* --- Set operations --- */

static kd_status put_set(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node, const kd_slice *names,
                         bool is_nameless);

static bool has_tail(const kd_ast_node *node)
{
    const kd_ast_query_tail *tail = node->kind == KD_AST_SETOP
                                        ? &((const kd_ast_setop *)node)->tail
                                        : &((const kd_ast_select *)node)->tail;
    return tail->with.ctes.count > 0 || tail->order_by.count > 0 || tail->locking.count > 0 ||
           tail->limit != NULL || tail->offset != NULL;
}

/* One side: a query, in parentheses where it has clauses of its own. */
static kd_status put_side(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node,
                          const kd_slice *names, bool is_nameless)
{
    if (node->kind == KD_AST_SETOP && !has_tail(node))
        return put_set(ctx, w, node, names, is_nameless);
    bool parens = has_tail(node), in_set = w->in_set;
    if (parens)
        KD_TRY(kdi_put_text(ctx, w, "("));
    w->in_set = true;
    KD_TRY(kdi_put_query(ctx, w, node, names, is_nameless));
    w->in_set = in_set;
    return parens ? kdi_put_text(ctx, w, ")") : KD_OK;
}

static kd_status put_set(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *node, const kd_slice *names,
                         bool is_nameless)
{
    static const char *const words[] = {
        [KD_AST_UNION] = "UNION ", [KD_AST_INTERSECT] = "INTERSECT ", [KD_AST_EXCEPT] = "EXCEPT "};
    const kd_ast_setop *set = (const kd_ast_setop *)node;
    const kd_ast_setop *left = (const kd_ast_setop *)set->left;
    bool nests_left = set->left->kind == KD_AST_SETOP && !has_tail(set->left);
    bool nests_right = set->right->kind == KD_AST_SETOP && !has_tail(set->right);
    bool parens = nests_left && (left->what != set->what || left->all != set->all);
    if (++w->depth > KD_PARSER_DEPTH_MAX || set->by_name)
        w->is_given_up = true;
    if (w->is_given_up)
        return KD_OK;
    if (parens) {
        KD_TRY(kdi_put_text(ctx, w, "("));
        KD_TRY(kdi_put_line(ctx, w, "", KDI_INDENT, 0, 0));
    }
    KD_TRY(put_side(ctx, w, set->left, names, is_nameless));
    KD_TRY(kdi_put_line(ctx, w, parens ? ") " : "", parens ? -KDI_INDENT : 0, 0, 0));
    KD_TRY(kdi_put_text(ctx, w, words[set->what]));
    KD_TRY(kdi_put_text(ctx, w, set->all ? "ALL " : ""));
    KD_TRY(kdi_put_text(ctx, w, nests_right ? "(" : ""));
    KD_TRY(kdi_put_line(ctx, w, "", nests_right ? KDI_INDENT : 0, 0, 0));
    KD_TRY(put_side(ctx, w, set->right, names, true));
    if (nests_right) {
        w->indent -= KDI_INDENT;
        KD_TRY(kdi_put_line(ctx, w, ")", 0, 0, 0));
    }
    w->depth--;
    return KD_OK;
}

static kd_status put_set_query(kd_ctx *ctx, kdi_writer *w, const kd_ast_setop *set,
                               const kd_slice *names, bool is_nameless)
{
    const kd_ast_node *first = &set->node;
    result_columns list = {0};
    KD_TRY(put_with(ctx, w, &set->tail.with));
    KD_TRY(put_set(ctx, w, &set->node, names, is_nameless));
    while (first->kind == KD_AST_SETOP)
        first = ((const kd_ast_setop *)first)->left;
    if (!((const kd_ast_select *)first)->is_values)
        KD_TRY(collect_results(ctx, w, (const kd_ast_select *)first, &list));
    if (w->is_given_up)
        return KD_OK;
    if (set->tail.order_by.count > 0)
        KD_TRY(put_order(ctx, w, &set->tail, NULL, &list));
    KD_TRY(put_limit(ctx, w, &set->tail));
    return put_locking(ctx, w, &set->tail.locking);
}

kd_status kdi_put_query(kd_ctx *ctx, kdi_writer *w, const kd_ast_node *query, const kd_slice *names,
                        bool is_nameless)
{
    int indent = w->indent;
    if (++w->depth > KD_PARSER_DEPTH_MAX || !kd_ast_is_query(query))
        w->is_given_up = true;
    if (w->is_given_up)
        return KD_OK;
    if (query->kind == KD_AST_SETOP)
        KD_TRY(put_set_query(ctx, w, (const kd_ast_setop *)query, names, is_nameless));
    else
        KD_TRY(put_select(ctx, w, (const kd_ast_select *)query, names, is_nameless));
    w->indent = indent;
    w->depth--;
    return KD_OK;
}

/* --- The whole --- */

kd_status kd_noted_query_init(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                              kd_slice text, kd_noted_query *out_query)
{
    kd_statement statement;
    kd_bound_statement *bound;
    kd_bind_options noting = *options;
    *out_query = (kd_noted_query){.text = text};
    KD_TRY(kd_name_notes_create(ctx, arena, &out_query->notes));
    noting.notes = out_query->notes;
    KD_TRY(kd_parse_statement(ctx, arena, text, &statement));
    out_query->node = statement.node;
    KD_TRY(kd_bind_statement(ctx, arena, &noting, statement.node, &bound));
    if (bound->query == NULL)
        return KD_OK;
    out_query->column_count = bound->query->column_count;
    out_query->columns = bound->query->columns;
    return KD_OK;
}

/* Whether a relation's new name is another item's alias too, which columns would be taken from. */
static bool names_collide(const kdi_writer *w)
{
    uint32_t cursor = 0, other_cursor;
    const kd_map_entry *entry, *other;
    while ((entry = kd_map_next(&w->query->notes->by_node, &cursor)) != NULL) {
        const kd_name_note *note = entry->value;
        const kd_object *object =
            note->alias.size_bytes == 0 || note->object_no == 0 || note->is_aliased
                ? NULL
                : kd_catalog_get(w->options->catalog, note->object_no);
        if (object == NULL || kd_slice_equal(object->name, note->alias))
            continue;
        other_cursor = 0;
        while ((other = kd_map_next(&w->query->notes->by_node, &other_cursor)) != NULL)
            if (other != entry &&
                kd_slice_equal(((const kd_name_note *)other->value)->alias, object->name))
                return true;
    }
    return false;
}

kd_status kd_query_text(kd_ctx *ctx, kd_arena *arena, const kd_noted_query *query,
                        const kd_query_text_options *options, kd_slice *out_text)
{
    kd_buffer buffer = kd_buffer_in(arena);
    kdi_writer writer = {.query = query, .options = options, .out = &buffer};
    *out_text = (kd_slice){"", 0};
    bool has_names = options->column_count == query->column_count && options->column_count > 0;
    if (!options->keeps_names && names_collide(&writer))
        return KD_OK;
    KD_TRY(
        kdi_put_query(ctx, &writer, query->node, has_names ? options->column_names : NULL, false));
    bool is_free = !writer.has_verbatim && !query->notes->is_unclear;
    if (!writer.is_given_up && (is_free || options->keeps_names))
        *out_text = kd_buffer_slice(&buffer);
    return KD_OK;
}
