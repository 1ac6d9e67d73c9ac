/*
 * Checks that are put off: of foreign keys (foreign_key.c) and of deferrable unique keys.
 *
 * What is put off to the end of the statement is made there. What waits for the commit
 * stays noted until its checks have all passed, and a savepoint keeps the list as it
 * was: checks made early by SET CONSTRAINTS are due again when the work is undone
 * that made them pass. A check of undone work finds nothing and passes.
 *
 * The storage tells which unique keys are in doubt (kd_table_doubts_take); whether their
 * time is the statement's end or the commit is decided here.
 */
#include "engine/engine_internal.h"

static bool same_constraint(const kdi_constraint_id *a, const kdi_constraint_id *b)
{
    return a->index_no == b->index_no && (a->index_no != 0 || kd_slice_equal(a->name, b->name));
}

bool kdi_constraint_is_deferred(const kd_session *session, const kdi_constraint_id *id,
                                bool deferrable, bool initially_deferred)
{
    const kdi_constraint_times *times = &session->constraints;
    if (!deferrable)
        return false;
    for (const kdi_constraint_choice *it = times->choices; it != NULL; it = it->next)
        if (same_constraint(&it->id, id))
            return it->deferred;
    return times->mode == KDI_CONSTRAINTS_AS_DECLARED ? initially_deferred
                                                      : times->mode == KDI_CONSTRAINTS_DEFERRED;
}

kd_status kdi_deferred_add(kd_ctx *ctx, kd_session *session, const kdi_deferred *check,
                           bool to_commit)
{
    kdi_deferred **head = to_commit ? &session->constraints.at_commit : &session->due;
    kdi_deferred *added = KD_NEW(ctx, kd_txn_arena(session->txn), kdi_deferred);
    if (added == NULL)
        return KD_NOMEM;
    *added = *check;
    added->next = *head;
    *head = added;
    return KD_OK;
}

/* --- Unique keys in doubt --------------------------------------------------------------------- */

typedef struct key_time {
    uint64_t index_no;
    bool exists; /* Else it was dropped meanwhile. */
    bool is_deferred;
} key_time;

/* One round of checks. Statements doubt keys of few indexes, but many of each. */
typedef struct judging {
    kd_session *session;
    kd_catalog_version *catalog;
    kd_arena *arena;
    key_time *times;
    size_t time_count, time_capacity;
} judging;

typedef struct key_search {
    const kd_session *session;
    key_time *time;
} key_search;

static void look_for_key(void *object, const kd_object *entry)
{
    key_search *search = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; entry->kind == KD_OBJECT_TABLE && i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        kdi_constraint_id id = {.index_no = index->storage.index_no};
        if (id.index_no != search->time->index_no)
            continue;
        search->time->exists = true;
        search->time->is_deferred = kdi_constraint_is_deferred(
            search->session, &id, index->storage.deferrable, index->initially_deferred);
    }
}

static kd_status key_time_of(kd_ctx *ctx, judging *j, uint64_t index_no, key_time *out_time)
{
    key_time *time;
    for (size_t i = 0; i < j->time_count; i++) {
        *out_time = j->times[i];
        if (out_time->index_no == index_no)
            return KD_OK;
    }
    KD_TRY(KD_PUSH(ctx, j->arena, j->times, j->time_count, j->time_capacity, &time));
    *time = (key_time){.index_no = index_no};
    key_search search = {.session = j->session, .time = time};
    kd_catalog_visit(j->catalog, look_for_key, &search);
    *out_time = *time;
    return KD_OK;
}

static kd_status judge_key(kd_ctx *ctx, judging *j, const kd_key_doubt *doubt)
{
    key_time time;
    KD_TRY(key_time_of(ctx, j, doubt->index_no, &time));
    return time.exists
               ? kd_table_doubt_judge(ctx, j->session->txn, j->session->database->storage, doubt)
               : KD_OK;
}

/* Judged here, or noted for the commit; with `notes_all` the caller judges all that is noted. */
static kd_status settle_doubts(kd_ctx *ctx, judging *j, const kd_key_doubt *doubts, size_t count,
                               bool notes_all)
{
    for (size_t i = 0; i < count; i++) {
        key_time time;
        KD_TRY(key_time_of(ctx, j, doubts[i].index_no, &time));
        if (!time.is_deferred && !notes_all) {
            KD_TRY(judge_key(ctx, j, &doubts[i]));
            continue;
        }
        kdi_deferred check = {
            .kind = KDI_DEFERRED_KEY, .id = {.index_no = doubts[i].index_no}, .doubt = &doubts[i]};
        KD_TRY(kdi_deferred_add(ctx, j->session, &check, true));
    }
    return KD_OK;
}

/* --- Making checks ---------------------------------------------------------------------------- */

static kd_status judging_begin(kd_ctx *ctx, judging *j, kd_session *session)
{
    kd_text_settings text;
    kd_session_facts facts;
    *j = (judging){.session = session};
    j->arena = kd_arena_create(ctx, NULL, "deferred checks", KD_ARENA_UNLIMITED);
    if (j->arena == NULL)
        return KD_NOMEM;
    KD_TRY(kd_catalog_pin(ctx, session->database->catalog, session->txn, &j->catalog));
    kdi_session_facts(session, j->catalog, &text, &facts);
    session->text = text;
    return KD_OK;
}

static void judging_end(judging *j)
{
    kd_catalog_unpin(j->catalog);
    kd_arena_destroy(j->arena);
}

/* Those of a list that are meant (NULL: all), oldest first. */
static kd_status judge_list(kd_ctx *ctx, judging *j, const kdi_deferred *newest,
                            const kdi_constraint_id *only)
{
    size_t count = 0;
    for (const kdi_deferred *it = newest; it != NULL; it = it->next)
        count++;
    const kdi_deferred **checks = KD_NEW_ARRAY(ctx, j->arena, const kdi_deferred *, count);
    if (checks == NULL)
        return KD_NOMEM;
    for (size_t i = count; i > 0; newest = newest->next)
        checks[--i] = newest;
    for (size_t i = 0; i < count; i++) {
        const kdi_deferred *it = checks[i];
        if (only != NULL && !same_constraint(&it->id, only))
            continue;
        KD_TRY(it->kind == KDI_DEFERRED_KEY
                   ? judge_key(ctx, j, it->doubt)
                   : kdi_foreign_look_again(ctx, j->session, j->arena, j->catalog, it));
    }
    return KD_OK;
}

/* --- When it is time -------------------------------------------------------------------------- */

kd_status kdi_deferred_run(kd_ctx *ctx, kd_session *session, bool at_commit)
{
    kd_status status = KD_OK;
    judging j;
    size_t doubt_count;
    const kd_key_doubt *doubts = kd_table_doubts_take(session->txn, &doubt_count);
    kdi_constraint_times *times = &session->constraints;
    if (doubt_count == 0 && session->due == NULL && (!at_commit || times->at_commit == NULL))
        return KD_OK;
    KD_TRY_OUT(judging_begin(ctx, &j, session));
    KD_TRY_OUT(settle_doubts(ctx, &j, doubts, doubt_count, at_commit));
    KD_TRY_OUT(judge_list(ctx, &j, session->due, NULL));
    if (at_commit) {
        KD_TRY_OUT(judge_list(ctx, &j, times->at_commit, NULL));
        times->at_commit = NULL;
    }
out:
    session->due = NULL; /* When one fails, the statement is undone. */
    judging_end(&j);
    return status;
}

kd_status kdi_deferred_run_only(kd_ctx *ctx, kd_session *session, const kdi_constraint_id *id)
{
    kd_status status = KD_OK;
    kdi_deferred *left = NULL, **end = &left;
    judging j;
    KD_TRY_OUT(judging_begin(ctx, &j, session));
    KD_TRY_OUT(judge_list(ctx, &j, session->constraints.at_commit, id));
    /* Copies: savepoints keep the old list. */
    for (const kdi_deferred *it = session->constraints.at_commit; it != NULL; it = it->next) {
        if (same_constraint(&it->id, id))
            continue;
        *end = KD_NEW(ctx, kd_txn_arena(session->txn), kdi_deferred);
        if (*end == NULL) {
            status = KD_NOMEM;
            goto out;
        }
        **end = *it;
        (*end)->next = NULL;
        end = &(*end)->next;
    }
    session->constraints.at_commit = left;
out:
    judging_end(&j);
    return status;
}

/* Whether a check that waits is one of the table's. */
static bool concerns(const kdi_deferred *it, const kd_catalog_version *catalog,
                     const kd_table_entry *table)
{
    if (it->kind == KDI_DEFERRED_KEY)
        return it->doubt->table_no == table->table_no;
    if (it->kind == KDI_DEFERRED_PARENT)
        return it->child_no == table->object.object_no;
    const kd_table_entry *child = (const kd_table_entry *)kd_catalog_get(catalog, it->child_no);
    for (uint32_t i = 0; child != NULL && i < child->foreign_count; i++)
        if (kd_slice_equal(child->foreign_keys[i].name, it->id.name))
            return child->foreign_keys[i].target_no == table->object.object_no;
    return false;
}

kd_status kdi_deferred_refuse(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                              const char *command)
{
    kd_slice name = table->object.name;
    for (const kdi_deferred *it = run->session->constraints.at_commit; it != NULL; it = it->next)
        if (concerns(it, run->catalog, table))
            return KD_FAIL(ctx, KD_INVALID, "55006",
                           "cannot %s \"%.*s\" because it has pending trigger events", command,
                           (int)name.size_bytes, name.data);
    return KD_OK;
}
