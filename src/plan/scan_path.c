/*
 * Paths into documents as columns of their scan.
 *
 * doc -> 'a' ->> 'b' over a scanned jsonb column becomes a column of text that the scan gives: from
 * a shred where a segment has one, else from the document. What stands above sees text. Where
 * nothing else is asked of the documents, the scan does not read them. ->> never fails, so that it
 * does not matter which rows it is taken of.
 */
#include "plan/plan_internal.h"

/* Longer chains are left to the expression. */
enum { STEPS_MAX = 16 };

typedef struct found_path {
    kd_column_id document, id;
    uint32_t position;
    kd_slice keys, name;
} found_path;

typedef struct path_search {
    kdi_planner *p;
    const kd_plan *scan;
    size_t count, capacity;
    found_path *items;
} path_search;

/* --- Recognising ----------------------------------------------------------------------------- */

static bool is_step(const kd_expr *expr, const char *name)
{
    if (expr->kind != KD_EXPR_CALL || expr->argument_count != 2 ||
        strcmp(expr->function->name, name) != 0)
        return false;
    const kd_expr *document = expr->arguments[0], *key = expr->arguments[1];
    return document->type.id == KD_TYPE_JSONB && !document->type.is_array &&
           key->kind == KD_EXPR_CONSTANT && key->type.id == KD_TYPE_TEXT && !key->type.is_array &&
           !key->constant.is_null;
}

/* The column of documents and the keys below it; `*out_document` is NULL for anything else. */
static kd_status path_of(kd_ctx *ctx, const kd_expr *expr, kd_buffer *keys,
                         const kd_expr **out_document)
{
    const kd_expr *steps[STEPS_MAX];
    uint32_t count = 0;
    *out_document = NULL;
    if (!is_step(expr, "->>"))
        return KD_OK;
    steps[count++] = expr;
    for (expr = expr->arguments[0]; is_step(expr, "->"); expr = expr->arguments[0]) {
        if (count == STEPS_MAX)
            return KD_OK;
        steps[count++] = expr;
    }
    if (expr->kind != KD_EXPR_COLUMN)
        return KD_OK;
    while (count > 0) {
        const kd_value *key = &steps[--count]->arguments[1]->constant;
        KD_TRY(kd_buffer_append_slice(ctx, keys, kd_str_slice(&key->as.str)));
        KD_TRY(kd_buffer_append_byte(ctx, keys, 0));
    }
    *out_document = expr;
    return KD_OK;
}

static bool scan_gives(const kd_plan *scan, kd_column_id id, uint32_t *out_at)
{
    for (uint32_t i = 0; i < scan->column_count; i++)
        if (scan->columns[i].id == id) {
            *out_at = i;
            return id != scan->as.scan.ref_column;
        }
    return false;
}

/* The column that is the path already, in the scan or of this search; else a new one. */
static kd_status path_column(kd_ctx *ctx, path_search *s, const kd_expr *expr,
                             kd_column_id document, uint32_t at, kd_slice keys,
                             kd_column_id *out_id)
{
    const kd_plan *scan = s->scan;
    found_path *place;
    for (uint32_t i = 0; scan->as.scan.paths != NULL && i < scan->column_count; i++)
        if (scan->as.scan.positions[i] == scan->as.scan.positions[at] &&
            kd_slice_equal(scan->as.scan.paths[i], keys)) {
            *out_id = scan->columns[i].id;
            return KD_OK;
        }
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].document == document && kd_slice_equal(s->items[i].keys, keys)) {
            *out_id = s->items[i].id;
            return KD_OK;
        }
    kd_buffer name = kd_buffer_in(s->p->arena);
    KD_TRY(kd_expr_format(ctx, expr, &name));
    KD_TRY(KD_PUSH(ctx, s->p->arena, s->items, s->count, s->capacity, &place));
    *place = (found_path){.document = document,
                          .id = ++s->p->last_id,
                          .position = scan->as.scan.positions[at],
                          .keys = keys,
                          .name = kd_buffer_slice(&name)};
    *out_id = place->id;
    return KD_OK;
}

static kd_status replace_path(kd_ctx *ctx, void *object, kd_expr **slot)
{
    path_search *s = object;
    kd_buffer keys = kd_buffer_in(s->p->arena);
    const kd_expr *document;
    uint32_t at;
    kd_column_id id;
    KD_TRY(path_of(ctx, *slot, &keys, &document));
    if (document == NULL || !scan_gives(s->scan, document->column, &at))
        return KD_OK;
    KD_TRY(path_column(ctx, s, *slot, document->column, at, kd_buffer_slice(&keys), &id));
    kd_expr *column = kdi_make_column(ctx, s->p, id, (*slot)->type);
    if (column == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].id == id)
            column->name = s->items[i].name;
    *slot = column;
    return KD_OK;
}

/* Replaces paths in a copy: the bound tree is still asked for estimates. */
static kd_status replace_paths(kd_ctx *ctx, path_search *s, kd_expr **slot)
{
    if (*slot == NULL)
        return KD_OK;
    KD_TRY(kdi_substitute(ctx, s->p, *slot, NULL, NULL, 0, slot));
    return kd_expr_walk(ctx, slot, replace_path, s);
}

/* --- The scan's columns ---------------------------------------------------------------------- */

static bool keeps(const kd_plan *scan, const kd_id_set *wanted, uint32_t i)
{
    return scan->columns[i].type.id != KD_TYPE_JSONB || kd_id_set_has(wanted, scan->columns[i].id);
}

/* Gives the scan the columns that were found and takes those documents that nobody wants. */
static kd_status scan_rebuild(kd_ctx *ctx, const path_search *s, const kd_id_set *wanted,
                              kd_plan *scan)
{
    size_t room = scan->column_count + s->count;
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, s->p->arena, kd_rel_column, room);
    uint32_t *positions = KD_NEW_ARRAY(ctx, s->p->arena, uint32_t, room);
    kd_slice *paths = KD_NEW_ARRAY(ctx, s->p->arena, kd_slice, room);
    if (columns == NULL || positions == NULL || paths == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < scan->column_count; i++) {
        if (!keeps(scan, wanted, i))
            continue;
        columns[count] = scan->columns[i];
        positions[count] = scan->as.scan.positions[i];
        if (scan->as.scan.paths != NULL)
            paths[count] = scan->as.scan.paths[i];
        count++;
    }
    for (size_t i = 0; i < s->count; i++) {
        columns[count] = (kd_rel_column){
            .id = s->items[i].id, .type = kd_type_of(KD_TYPE_TEXT), .name = s->items[i].name};
        positions[count] = s->items[i].position;
        paths[count++] = s->items[i].keys;
    }
    scan->columns = columns;
    scan->column_count = count;
    scan->as.scan.positions = positions;
    scan->as.scan.paths = paths;
    return KD_OK;
}

static bool takes_paths(const kd_plan *scan)
{
    if (scan->kind != KD_PLAN_SCAN || scan->as.scan.ref_column != 0)
        return false;
    for (uint32_t i = 0; i < scan->column_count; i++)
        if (scan->columns[i].type.id == KD_TYPE_JSONB && !scan->columns[i].type.is_array)
            return true;
    return false;
}

kd_status kdi_scan_condition_paths(kd_ctx *ctx, kdi_planner *p, const kd_id_set *needed,
                                   kd_plan *scan)
{
    path_search s = {.p = p, .scan = scan};
    kd_expr *condition = scan->as.scan.condition;
    kd_id_set wanted = kdi_set(p);
    if (condition == NULL || !takes_paths(scan))
        return KD_OK;
    KD_TRY(replace_paths(ctx, &s, &condition));
    if (s.count == 0)
        return KD_OK;
    KD_TRY(kd_id_set_unite(ctx, &wanted, needed));
    KD_TRY(kd_expr_columns(ctx, condition, &wanted));
    scan->as.scan.condition = condition;
    return scan_rebuild(ctx, &s, &wanted, scan);
}

kd_status kdi_scan_paths(kd_ctx *ctx, kdi_planner *p, kd_plan *input, kd_expr ***slots,
                         size_t count)
{
    path_search s = {.p = p, .scan = input};
    kd_id_set wanted = kdi_set(p);
    if (!takes_paths(input))
        return KD_OK;
    kd_expr **copies = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, count);
    if (copies == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++) {
        copies[i] = *slots[i];
        KD_TRY(replace_paths(ctx, &s, &copies[i]));
        if (copies[i] != NULL)
            KD_TRY(kd_expr_columns(ctx, copies[i], &wanted));
    }
    /* A document that is read all the same is there for its paths, too. */
    for (size_t i = 0; i < s.count; i++)
        if (kd_id_set_has(&wanted, s.items[i].document))
            return KD_OK;
    if (input->as.scan.condition != NULL)
        KD_TRY(kd_expr_columns(ctx, input->as.scan.condition, &wanted));
    for (size_t i = 0; i < count; i++)
        *slots[i] = copies[i];
    return scan_rebuild(ctx, &s, &wanted, input);
}
