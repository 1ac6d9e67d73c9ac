/*
 * Notes on names, and the binder's hooks that make them.
 */
#include "sql/name_note.h"

#include "sql/bind_internal.h"

static void clear(void *object)
{
    kd_map_clear(object);
}

kd_status kd_name_notes_create(kd_ctx *ctx, kd_arena *arena, kd_name_notes **out_notes)
{
    kd_name_notes *notes = KD_NEW(ctx, arena, kd_name_notes);
    *out_notes = notes;
    if (notes == NULL)
        return KD_NOMEM;
    notes->arena = arena;
    kd_account_init(&notes->account, NULL, "notes on names", SIZE_MAX);
    kd_map_init(&notes->by_node, ctx->world, &notes->account);
    return kd_arena_defer(ctx, arena, clear, &notes->by_node);
}

const kd_name_note *kd_name_note_of(const kd_name_notes *notes, const kd_ast_node *node)
{
    return kd_map_find_u64(&notes->by_node, (uint64_t)(uintptr_t)node);
}

/* --- The binder's --- */

static kd_name_notes *notes_of(const kdi_binder *b)
{
    return b->inside_text == 0 ? b->options->notes : NULL;
}

static kd_status note_for(kd_ctx *ctx, kd_name_notes *notes, const kd_ast_node *node,
                          kd_name_note **out)
{
    *out = kd_map_find_u64(&notes->by_node, (uint64_t)(uintptr_t)node);
    if (*out != NULL)
        return KD_OK;
    *out = KD_NEW(ctx, notes->arena, kd_name_note);
    if (*out == NULL)
        return KD_NOMEM;
    return kd_map_put_u64(ctx, &notes->by_node, (uint64_t)(uintptr_t)node, *out, NULL);
}

/* Names of the catalog end with its version. */
static kd_status keep_name(kd_ctx *ctx, kd_name_notes *notes, kd_slice *io_name)
{
    if (io_name->size_bytes == 0)
        return KD_OK;
    char *copy = kd_copy_text(ctx, notes->arena, io_name->data, io_name->size_bytes);
    io_name->data = copy;
    return copy == NULL ? KD_NOMEM : KD_OK;
}

void kdi_note_unclear(kdi_binder *b)
{
    if (notes_of(b) != NULL)
        notes_of(b)->is_unclear = true;
}

kd_status kdi_note_expr(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node, const kd_expr *expr)
{
    kd_name_notes *notes = notes_of(b);
    kd_name_note *note;
    if (notes == NULL)
        return KD_OK;
    KD_TRY(note_for(ctx, notes, node, &note));
    note->expr = expr;
    return KD_OK;
}

kd_status kdi_note_object(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                          const kd_object *object)
{
    kd_name_notes *notes = notes_of(b);
    kd_name_note *note;
    if (notes == NULL)
        return KD_OK;
    KD_TRY(note_for(ctx, notes, node, &note));
    note->object_no = object->object_no;
    if (object->kind != KD_OBJECT_TABLE)
        return KD_OK;
    const kd_table_entry *table = (const kd_table_entry *)object;
    note->column_nos = KD_NEW_ARRAY(ctx, notes->arena, uint32_t, table->visible_count);
    if (note->column_nos == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->visible_count; i++)
        note->column_nos[i] = table->columns[i].storage.column_no;
    return KD_OK;
}

/* The column under its item's alias, if that leads to it from here; else its bare name. */
static kd_status tell_column(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_scope *found_in,
                             const kd_rel_column *column, kd_noted_column *out)
{
    kd_name_notes *notes = notes_of(b);
    *out = (kd_noted_column){.name = column->name};
    for (size_t i = 0; i < found_in->names.source_count; i++) {
        const kdi_source *source = &found_in->names.sources[i];
        for (uint32_t c = 0; c < source->column_count && out->source.size_bytes == 0; c++) {
            bool is_it = source->columns[c].id == column->id &&
                         kd_slice_equal(source->columns[c].name, column->name);
            if (!is_it || source->alias.size_bytes == 0 ||
                kdi_find_source(scope, (kd_slice){NULL, 0}, source->alias, NULL) != source)
                continue;
            *out = (kd_noted_column){source->alias, column->name, source->item, c};
        }
    }
    KD_TRY(keep_name(ctx, notes, &out->source));
    return keep_name(ctx, notes, &out->name);
}

kd_status kdi_note_column(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_scope *found_in,
                          const kd_ast_node *node, const kd_rel_column *column)
{
    return kdi_note_columns(ctx, b, scope, found_in, node, column, 1);
}

kd_status kdi_note_columns(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_scope *found_in,
                           const kd_ast_node *node, const kd_rel_column *columns, size_t count)
{
    kd_name_notes *notes = notes_of(b);
    kd_name_note *note;
    if (notes == NULL)
        return KD_OK;
    KD_TRY(note_for(ctx, notes, node, &note));
    note->columns = KD_NEW_ARRAY(ctx, notes->arena, kd_noted_column, count);
    if (note->columns == NULL)
        return KD_NOMEM;
    note->column_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        KD_TRY(tell_column(ctx, b, scope, found_in, &columns[i], &note->columns[i]));
    return KD_OK;
}

kd_status kdi_note_item(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node, kdi_source *source)
{
    kd_name_notes *notes = notes_of(b);
    kd_name_note *note;
    if (notes == NULL)
        return KD_OK;
    KD_TRY(note_for(ctx, notes, node, &note));
    note->alias = source->alias;
    KD_TRY(keep_name(ctx, notes, &note->alias));
    note->column_count = source->column_count;
    note->columns = KD_NEW_ARRAY(ctx, notes->arena, kd_noted_column, source->column_count);
    if (note->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < source->column_count; i++) {
        note->columns[i].name = source->columns[i].name;
        KD_TRY(keep_name(ctx, notes, &note->columns[i].name));
    }
    note->is_aliased = node->kind == KD_AST_TABLE_REF &&
                       ((const kd_ast_table_ref *)node)->alias.name.size_bytes > 0;
    source->item = node->kind == KD_AST_TABLE_REF && note->object_no != 0 ? node : NULL;
    return KD_OK;
}

kd_status kdi_note_merged(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *join,
                          const kd_slice *merged, size_t count, const kdi_names *sides[2])
{
    kd_name_notes *notes = notes_of(b);
    kd_name_note *note;
    if (notes == NULL || count == 0)
        return KD_OK;
    KD_TRY(note_for(ctx, notes, join, &note));
    note->columns = KD_NEW_ARRAY(ctx, notes->arena, kd_noted_column, count);
    if (note->columns == NULL)
        return KD_NOMEM;
    note->column_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        note->columns[i].name = merged[i];
        KD_TRY(keep_name(ctx, notes, &note->columns[i].name));
    }
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s]->source_count; i++) {
            kd_name_note *item = NULL;
            if (sides[s]->sources[i].item != NULL)
                KD_TRY(note_for(ctx, notes, sides[s]->sources[i].item, &item));
            if (item != NULL)
                item->keeps_names = true;
        }
    return KD_OK;
}
