/*
 * The texts of views.
 *
 * A view is kept as text. Before a rename each view whose text has the name is bound, which notes
 * what it reads by numbers; afterwards the text is written anew from the notes, with the names that
 * those numbers have now. Where new names would not do (parts that only stand as they were written,
 * a name that is taken) the old ones stay as aliases.
 */
#include "engine/view_text.h"

#include "engine/catalog_text.h"
#include "engine/define_internal.h"

#include <strings.h>

/* --- Texts --- */

/* The query of a view, materialized or not, and the names of its columns; else empty. */
static kd_status query_of(kd_ctx *ctx, kd_arena *arena, const kd_object *object,
                          kd_slice *out_query, kd_query_text_options *io_options)
{
    *out_query = (kd_slice){"", 0};
    if (object->kind == KD_OBJECT_VIEW) {
        const kd_view_entry *view = (const kd_view_entry *)object;
        *out_query = view->query_text;
        io_options->column_names = view->column_names;
        io_options->column_count = view->column_count;
        return KD_OK;
    }
    if (!kdi_materialized_query(object, out_query))
        return KD_OK;
    const kd_table_entry *table = (const kd_table_entry *)object;
    kd_slice *names = KD_NEW_ARRAY(ctx, arena, kd_slice, table->visible_count);
    if (names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->visible_count; i++)
        names[i] = table->columns[i].storage.name;
    io_options->column_names = names;
    io_options->column_count = table->visible_count;
    return KD_OK;
}

/* Binds a view's query; false when it does not bind, which is then forgotten. */
static kd_status note_query(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            kd_slice text, kd_noted_query *out_query, bool *out_binds)
{
    kd_ctx quiet = {.world = ctx->world, .cancelled = ctx->cancelled};
    kd_error_clear(&quiet);
    kd_status status = kd_noted_query_init(&quiet, arena, options, text, out_query);
    *out_binds = status == KD_OK;
    if (status == KD_OK || status == KD_INVALID || status == KD_UNSUPPORTED)
        return KD_OK;
    ctx->error = quiet.error;
    return status;
}

kd_status kdi_view_text(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                        const kd_catalog_version *catalog, const kd_session_facts *facts,
                        const kd_object *view, bool is_pretty, kd_slice *out_text)
{
    kd_slice written, text = {"", 0};
    kd_bind_options options;
    kd_noted_query query;
    bool binds;
    kd_query_text_options how = {.catalog = catalog, .is_pretty = is_pretty, .keeps_names = true};
    KD_TRY(query_of(ctx, arena, view, &written, &how));
    *out_text = written;
    if (written.size_bytes == 0)
        return KD_OK;
    KD_TRY(kdi_bind_options(ctx, arena, session, catalog, facts, &options));
    options.authorize = NULL;
    KD_TRY(note_query(ctx, arena, &options, written, &query, &binds));
    if (binds)
        KD_TRY(kd_query_text(ctx, arena, &query, &how, &text));
    if (text.size_bytes == 0)
        text = written;
    kd_buffer buffer = kd_buffer_in(arena);
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, text));
    if (text.data[text.size_bytes - 1] != ';')
        KD_TRY(kd_buffer_append_byte(ctx, &buffer, ';'));
    *out_text = kd_buffer_slice(&buffer);
    return KD_OK;
}

static bool have_same_columns(const kd_noted_query *a, const kd_noted_query *b)
{
    if (a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!kd_type_same(a->columns[i].type, b->columns[i].type))
            return false;
    return true;
}

/* The query in other words, as the catalog is now; empty when there are none, or when they would
 * not give the same columns. */
static kd_status reword(kd_ctx *ctx, kd_run *run, const kd_noted_query *query, bool keeps_names,
                        kd_slice *out_text)
{
    kd_bind_options options;
    kd_noted_query again;
    bool binds;
    kd_query_text_options how = {
        .catalog = run->catalog, .is_qualified = true, .keeps_names = keeps_names};
    KD_TRY(kd_query_text(ctx, run->arena, query, &how, out_text));
    if (out_text->size_bytes == 0)
        return KD_OK;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(note_query(ctx, run->arena, &options, *out_text, &again, &binds));
    if (!binds || !have_same_columns(query, &again))
        *out_text = (kd_slice){"", 0};
    return KD_OK;
}

kd_status kdi_view_text_to_keep(kd_ctx *ctx, kd_run *run, kd_slice written, kd_slice *out_text)
{
    kd_bind_options options;
    kd_noted_query query;
    bool binds;
    kd_slice text = {"", 0};
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(note_query(ctx, run->arena, &options, written, &query, &binds));
    if (binds)
        KD_TRY(reword(ctx, run, &query, true, &text));
    *out_text = text.size_bytes > 0 ? text : written;
    return KD_OK;
}

/* --- Renames --- */

typedef struct renamed_view {
    uint32_t object_no;
    kd_slice written;
    kd_noted_query query;
} renamed_view;

struct kdi_renamed_views {
    kd_ctx *ctx;
    kd_run *run;
    kd_slice name;
    kd_bind_options options;
    renamed_view *items;
    size_t count, capacity;
    kd_status status;
};

static bool has_name(kd_slice text, kd_slice name)
{
    for (size_t i = 0; i + name.size_bytes <= text.size_bytes; i++)
        if (strncasecmp(text.data + i, name.data, name.size_bytes) == 0)
            return true;
    return false;
}

static kd_status consider(kdi_renamed_views *views, const kd_object *object)
{
    kd_ctx *ctx = views->ctx;
    kd_run *run = views->run;
    kd_query_text_options unused = {0};
    kd_slice written;
    kd_noted_query query;
    bool binds;
    KD_TRY(query_of(ctx, run->arena, object, &written, &unused));
    /* A quote in a name is written twice. */
    bool has_quote = memchr(views->name.data, '"', views->name.size_bytes) != NULL;
    if (written.size_bytes == 0 || (!has_quote && !has_name(written, views->name)))
        return KD_OK;
    char *copy = kd_copy_text(ctx, run->arena, written.data, written.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    written.data = copy;
    KD_TRY(note_query(ctx, run->arena, &views->options, written, &query, &binds));
    if (!binds)
        return KD_OK;
    renamed_view *added;
    KD_TRY(KD_PUSH(ctx, run->arena, views->items, views->count, views->capacity, &added));
    *added = (renamed_view){object->object_no, written, query};
    return KD_OK;
}

static void visit(void *object, const kd_object *entry)
{
    kdi_renamed_views *views = object;
    if (views->status == KD_OK)
        views->status = consider(views, entry);
}

kd_status kdi_views_before_rename(kd_ctx *ctx, kd_run *run, kd_slice name,
                                  kdi_renamed_views **out_views)
{
    kdi_renamed_views *views = KD_NEW(ctx, run->arena, kdi_renamed_views);
    *out_views = views;
    if (views == NULL)
        return KD_NOMEM;
    *views = (kdi_renamed_views){.ctx = ctx, .run = run, .name = name};
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts,
                            &views->options));
    views->options.authorize = NULL;
    kd_catalog_visit(run->catalog, visit, views);
    return views->status;
}

static kd_status no_words(kd_ctx *ctx, const kdi_renamed_views *views, const kd_object *view)
{
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "2BP01", "cannot change %.*s because other objects depend on it",
                (int)views->name.size_bytes, views->name.data);
    kd_error_set_detail(ctx, "view %.*s depends on %.*s.", (int)view->name.size_bytes,
                        view->name.data, (int)views->name.size_bytes, views->name.data);
    return status;
}

static kd_status put_text(kd_ctx *ctx, kd_run *run, const kd_object *object, kd_slice text)
{
    if (object->kind == KD_OBJECT_VIEW) {
        kd_view_entry view = *(const kd_view_entry *)object;
        view.query_text = text;
        return kdi_put(ctx, run, &view.object);
    }
    kd_table_entry table = *(const kd_table_entry *)object;
    table.query_text = text;
    return kdi_put(ctx, run, &table.object);
}

kd_status kdi_views_after_rename(kd_ctx *ctx, kd_run *run, const kdi_renamed_views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        const renamed_view *item = &views->items[i];
        const kd_object *object = kd_catalog_get(run->catalog, item->object_no);
        kd_slice text;
        KD_TRY(reword(ctx, run, &item->query, false, &text));
        if (text.size_bytes == 0)
            KD_TRY(reword(ctx, run, &item->query, true, &text));
        if (text.size_bytes == 0)
            return no_words(ctx, views, object);
        if (!kd_slice_equal(text, item->written))
            KD_TRY(put_text(ctx, run, object, text));
    }
    return KD_OK;
}
