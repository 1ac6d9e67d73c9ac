/*
 * The list of what is known of materialized views. Contents are counted: whoever plans with one
 * holds it.
 */
#include "engine/view_content.h"

#include "engine/result_key.h"

struct kdi_view_content {
    atomic_uint holds; /* Of the list, and of those who plan. */
    kdi_view_content *next;
    kd_arena *arena;             /* Holds this struct. */
    kd_catalog_version *catalog; /* Pinned: the query is bound against it. */
    uint32_t object_no;
    uint64_t table_no; /* Of the storage that has the rows: the next REFRESH makes another. */
    kd_stamp stamp;
    uint64_t function_changes;
    kd_bound_statement *bound;
    uint32_t table_count; /* That the query reads. */
    size_t table_capacity;
    uint64_t *table_nos;
};

struct kdi_view_contents {
    kd_mutex lock;
    kdi_view_content *first;
};

kd_status kdi_view_contents_create(kd_ctx *ctx, kd_database *database,
                                   kdi_view_contents **out_contents)
{
    *out_contents = KD_NEW(ctx, database->arena, kdi_view_contents);
    if (*out_contents == NULL)
        return KD_NOMEM;
    kd_mutex_init(&(*out_contents)->lock, database->world);
    return KD_OK;
}

static void release(kdi_view_content *content)
{
    if (content == NULL || atomic_fetch_sub(&content->holds, 1) != 1)
        return;
    kd_catalog_unpin(content->catalog);
    kd_arena_destroy(content->arena);
}

void kdi_view_contents_destroy(kdi_view_contents *contents)
{
    while (contents != NULL && contents->first != NULL) {
        kdi_view_content *next = contents->first->next;
        release(contents->first);
        contents->first = next;
    }
    if (contents != NULL)
        kd_mutex_clear(&contents->lock);
}

/* --- Noting ----------------------------------------------------------------------------------- */

static kd_status note_tables(kd_ctx *ctx, kdi_view_content *it, const kd_rel *rel)
{
    if (rel->kind == KD_REL_SCAN) {
        uint64_t *added;
        KD_TRY(KD_PUSH(ctx, it->arena, it->table_nos, it->table_count, it->table_capacity, &added));
        *added = rel->as.scan.table->table_no;
    }
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(note_tables(ctx, it, rel->inputs[i]));
    return KD_OK;
}

/* Binds the query as the run does; false: its rows do not follow from stored ones alone. */
static kd_status bind(kd_ctx *ctx, kd_run *run, kd_slice text, kdi_view_content *it,
                      bool *out_is_of_use)
{
    bool reads_now = false;
    kd_statement statement;
    kd_text_settings settings = run->text;
    kd_session_facts facts = run->facts;
    kd_bind_options options;
    settings.reads_now = &reads_now;
    facts.text = &settings;
    KD_TRY(kd_parse_statement(ctx, it->arena, text, &statement));
    KD_TRY(kdi_bind_options(ctx, it->arena, run->session, it->catalog, &facts, &options));
    KD_TRY(kd_bind_statement(ctx, it->arena, &options, statement.node, &it->bound));
    KD_TRY(kdi_query_is_repeatable(ctx, it->bound, out_is_of_use));
    *out_is_of_use = *out_is_of_use && !reads_now && it->bound->cte_count == 0;
    return *out_is_of_use ? note_tables(ctx, it, it->bound->query) : KD_OK;
}

/* Takes what was known of the view out; `added` (NULL: nothing) comes in its place. */
static void replace(kdi_view_contents *contents, uint32_t object_no, kdi_view_content *added)
{
    kd_mutex_lock(&contents->lock);
    kdi_view_content **link = &contents->first, *gone;
    while (*link != NULL && (*link)->object_no != object_no)
        link = &(*link)->next;
    gone = *link;
    if (gone != NULL)
        *link = gone->next;
    if (added != NULL) {
        added->next = contents->first;
        contents->first = added;
    }
    kd_mutex_unlock(&contents->lock);
    release(gone);
}

void kdi_view_content_forget(kd_database *database, uint32_t object_no)
{
    replace(database->views, object_no, NULL);
}

kd_status kdi_view_content_note(kd_ctx *ctx, kd_run *run, const kd_table_entry *entry,
                                kd_slice text, kd_stamp stamp)
{
    kd_status status = KD_OK;
    kd_database *database = run->session->database;
    bool is_of_use = false;
    kdi_view_content *it = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "materialized view", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    it = KD_NEW(ctx, arena, kdi_view_content);
    char *copy = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    if (it == NULL || copy == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    *it = (kdi_view_content){.arena = arena,
                             .object_no = entry->object.object_no,
                             .table_no = entry->table_no,
                             .stamp = stamp,
                             .function_changes = atomic_load(&database->function_changes)};
    atomic_init(&it->holds, 1);
    KD_TRY_OUT(kd_catalog_pin(ctx, database->catalog, run->session->txn, &it->catalog));
    KD_TRY_OUT(bind(ctx, run, (kd_slice){copy, text.size_bytes}, it, &is_of_use));
out:
    if (status != KD_OK || !is_of_use) {
        release(it);
        it = NULL;
    }
    replace(database->views, entry->object.object_no, it);
    return status;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static bool reads_all_of(const kd_prepared *prepared, const kdi_view_content *it)
{
    for (uint32_t i = 0; i < it->table_count; i++) {
        uint32_t k = 0;
        while (k < prepared->sources.count &&
               prepared->sources.items[k].table_no != it->table_nos[i])
            k++;
        if (k == prepared->sources.count)
            return false;
    }
    return true;
}

/* The view's entry, if its rows are what its query gives to the snapshot; else NULL. */
static const kd_table_entry *current_entry(const kd_run *run, const kdi_view_content *it)
{
    const kd_database *database = run->session->database;
    kd_stamp snapshot = kd_txn_snapshot(run->session->txn).stamp;
    const kd_object *object = kd_catalog_get(run->catalog, it->object_no);
    if (object == NULL || object->kind != KD_OBJECT_TABLE ||
        it->function_changes != atomic_load(&database->function_changes))
        return NULL;
    const kd_table_entry *entry = (const kd_table_entry *)object;
    bool is_current = entry->table_no == it->table_no && entry->is_populated;
    for (uint32_t i = 0; is_current && i < it->table_count; i++) {
        kd_table *table = kd_table_find(database->storage, it->table_nos[i]);
        kd_stamp changed = table == NULL ? KD_STAMP_NONE : kd_table_changed(table);
        is_current = changed <= it->stamp && changed <= snapshot;
    }
    return is_current ? entry : NULL;
}

static kd_status add_view(kd_ctx *ctx, kd_arena *arena, const kd_run *run, kdi_view_content *it,
                          kdi_view_choice *choice)
{
    kd_plan_view *view;
    kdi_view_content **held;
    const kd_table_entry *entry = current_entry(run, it);
    if (entry == NULL)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, arena, choice->views, choice->count, choice->capacity, &view));
    *view = (kd_plan_view){.table = entry, .bound = it->bound};
    KD_TRY(KD_PUSH(ctx, arena, choice->held, choice->held_count, choice->held_capacity, &held));
    *held = it;
    atomic_fetch_add(&it->holds, 1);
    return KD_OK;
}

kd_status kdi_view_choice_make(kd_ctx *ctx, kd_arena *arena, const kd_run *run,
                               const kd_prepared *prepared, kdi_view_choice *out_choice)
{
    kd_status status = KD_OK;
    kd_session *session = run->session;
    kdi_view_contents *contents = session->database->views;
    *out_choice = (kdi_view_choice){0};
    if (session->settings.enable_view_rewrite == 0 || prepared->class != KDI_QUERY ||
        prepared->bound->kind != KD_DML_SELECT || prepared->bound->for_update ||
        prepared->is_of_cursor || !kdi_reads_committed_rows(run))
        return KD_OK;
    kd_mutex_lock(&contents->lock);
    for (kdi_view_content *it = contents->first; it != NULL && status == KD_OK; it = it->next)
        if (reads_all_of(prepared, it))
            status = add_view(ctx, arena, run, it, out_choice);
    kd_mutex_unlock(&contents->lock);
    if (status != KD_OK)
        kdi_view_choice_release(out_choice);
    return status;
}

void kdi_view_choice_release(kdi_view_choice *choice)
{
    while (choice->held_count > 0)
        release(choice->held[--choice->held_count]);
}
