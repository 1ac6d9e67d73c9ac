/*
 * Cursors: DECLARE, FETCH, MOVE, CLOSE.
 *
 * A cursor holds its query's run, parked: rows are read when a FETCH needs them, and what has been
 * read is kept in a log, so that the cursor can go back (NO SCROLL forgets it). A parked run has no
 * thread; it has its snapshot, which is pinned.
 *
 * Rows of tables say where they are in columns behind those that are fetched, for WHERE CURRENT OF;
 * those of the row that the cursor stands on are kept, since the log may have forgotten it.
 *
 * The cursor sees what there was when it was declared. Its transaction's own work would be seen
 * too, so whoever is about to write something has all open cursors read to their ends first. The
 * same happens to cursors WITH HOLD at the transaction's commit.
 */
#include "engine/engine_internal.h"

#include <stdio.h>

typedef struct cursor {
    kdi_named named; /* Its run is NULL when all rows are in the log. */
    kd_row_log *log;
    uint32_t column_count;
    const kd_rel_column *columns;
    bool is_forward_only;
    bool has_failed; /* A FETCH has; there will not be another. */
    bool has_pin;
    uint32_t pin;
    int64_t position; /* 0 before the first row, 1 on it, count + 1 after the last. */
    uint32_t table_count;
    const kd_bound_position *tables; /* Whose rows its rows are. */
    kd_value *places;                /* Of each: the reference and the partition, at `position`. */
} cursor;

static cursor *cursor_find(kd_session *session, kd_slice name)
{
    for (kdi_named *it = session->cursors; it != NULL; it = it->next)
        if (kd_slice_equal(it->name, name))
            return (cursor *)it;
    return NULL;
}

static kd_status cursor_missing(kd_ctx *ctx, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "34000", "cursor \"%.*s\" does not exist", (int)name.size_bytes,
                   name.data);
}

static void cursor_unpin(kd_session *session, cursor *it)
{
    if (it->has_pin)
        kd_txn_unpin(kd_storage_txns(session->database->storage), it->pin);
    it->has_pin = false;
}

static void cursor_destroy(kd_session *session, cursor *it)
{
    kd_run_abandon(it->named.run);
    cursor_unpin(session, it);
    kd_row_log_destroy(it->log);
    kd_prepared_destroy(it->named.prepared);
    kd_arena_destroy(it->named.arena);
}

/* ---- Reading ---- */

/* One more batch of the query into the log; the run is over when there is none. */
static kd_status cursor_pull(kd_ctx *ctx, kd_session *session, cursor *it)
{
    kd_batch batch;
    bool end;
    KD_TRY(kd_check_cancelled(ctx));
    KD_TRY(kd_run_next(ctx, it->named.run, &batch, &end));
    if (batch.selected_count > 0)
        KD_TRY(kd_row_log_append(ctx, it->log, &batch));
    if (!end)
        return KD_OK;
    kd_run *run = it->named.run;
    it->named.run = NULL;
    cursor_unpin(session, it);
    return kd_run_end(ctx, run);
}

/* Reads until `count` rows are there, or the query ends. */
static kd_status cursor_load(kd_ctx *ctx, kd_session *session, cursor *it, uint64_t count)
{
    while (it->named.run != NULL && kd_row_log_count(it->log) < count)
        KD_TRY(cursor_pull(ctx, session, it));
    return KD_OK;
}

kd_status kdi_cursors_settle(kd_ctx *ctx, kd_session *session, bool only_held)
{
    for (kdi_named *it = session->cursors; it != NULL; it = it->next)
        if (!only_held || it->hold)
            KD_TRY(cursor_load(ctx, session, (cursor *)it, UINT64_MAX));
    return KD_OK;
}

void kdi_cursors_close(kd_session *session, bool all)
{
    kdi_named **link = &session->cursors;
    while (*link != NULL) {
        kdi_named *it = *link;
        if (!all && it->hold && it->run == NULL && it->has_committed) {
            link = &it->next;
            continue;
        }
        *link = it->next;
        cursor_destroy(session, (cursor *)it);
    }
}

void kdi_cursors_committed(kd_session *session)
{
    for (kdi_named *it = session->cursors; it != NULL; it = it->next)
        it->has_committed = it->hold;
}

/* ---- DECLARE ---- */

static kd_status cursor_open(kd_ctx *ctx, kd_session *session, cursor *it, kd_slice text)
{
    KD_TRY(kdi_prepared_of_cursor(ctx, session, text, &it->named.prepared));
    KD_TRY(kd_run_begin(ctx, it->named.prepared, NULL, 0, &it->named.run));
    kdi_run_park(it->named.run);
    KD_TRY(kd_txn_pin(ctx, kd_storage_txns(session->database->storage),
                      kd_txn_snapshot_stamp(session->txn), &it->pin));
    it->has_pin = true;
    it->columns = kd_run_columns(it->named.run);
    it->column_count = kd_run_column_count(it->named.run);
    const kd_bound_statement *bound = it->named.prepared->bound;
    it->table_count = bound->position_count;
    it->tables = bound->positions;
    it->places = KD_NEW_ARRAY(ctx, it->named.arena, kd_value, 2 * (size_t)it->table_count);
    if (it->places == NULL)
        return KD_NOMEM;
    return kdi_row_log_create(ctx, session, it->named.arena, it->columns,
                              it->column_count + 2 * it->table_count, &it->log);
}

static kd_status declare(kd_ctx *ctx, kd_run *run, const kd_ast_declare_cursor *ast)
{
    kd_session *session = run->session;
    kdi_set_tag(run, "DECLARE CURSOR");
    if (!session->is_explicit && !ast->hold)
        return KD_FAIL(ctx, KD_INVALID, "25P01",
                       "DECLARE CURSOR can only be used in transaction blocks");
    if (cursor_find(session, ast->name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P03", "cursor \"%.*s\" already exists",
                       (int)ast->name.size_bytes, ast->name.data);
    kd_arena *arena = kd_arena_create(ctx, NULL, "cursor", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    cursor *added = KD_NEW(ctx, arena, cursor);
    char *name = kd_copy_text(ctx, arena, ast->name.data, ast->name.size_bytes);
    if (added == NULL || name == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    added->named.arena = arena;
    added->named.hold = ast->hold;
    added->named.name = (kd_slice){name, ast->name.size_bytes};
    added->is_forward_only = ast->scroll == KD_AST_OFF;
    kd_slice text = {run->prepared->text.data + ast->query->position,
                     (size_t)(ast->query->end - ast->query->position)};
    kd_status status = cursor_open(ctx, session, added, text);
    if (status == KD_OK && ast->hold && added->named.prepared->bound->for_update) {
        status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                         "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported");
        kd_error_set_detail(ctx, "Holdable cursors must be READ ONLY.");
    }
    if (status != KD_OK) {
        cursor_destroy(session, added);
        return status;
    }
    added->is_forward_only |= added->named.prepared->bound->for_update;
    added->named.next = session->cursors;
    session->cursors = &added->named;
    return KD_OK;
}

/* ---- FETCH and MOVE ---- */

/* What a FETCH does: where its rows go (NULL: MOVE) and how many there were. */
typedef struct fetching {
    kd_session *session;
    cursor *it;
    kd_row_log *rows;
    int64_t count;
} fetching;

/* Notes where the rows of tables are that the cursor stands on, if it does. */
static kd_status places_note(kd_ctx *ctx, cursor *it)
{
    kd_batch batch;
    if (it->table_count == 0 || it->position < 1 ||
        it->position > (int64_t)kd_row_log_count(it->log))
        return KD_OK;
    KD_TRY(kd_row_log_read(ctx, it->log, (uint64_t)it->position - 1, 1, &batch));
    for (uint32_t i = 0; i < 2 * it->table_count; i++)
        it->places[i] = kd_vector_get(&batch.columns[it->column_count + i], 0);
    return KD_OK;
}

/* Goes to a row, and gives it when there is one. */
static kd_status row_give(kd_ctx *ctx, fetching *work, int64_t position)
{
    cursor *it = work->it;
    if (position < 1) {
        it->position = 0;
        return KD_OK;
    }
    KD_TRY(cursor_load(ctx, work->session, it, (uint64_t)position));
    int64_t last = (int64_t)kd_row_log_count(it->log);
    it->position = position > last ? last + 1 : position;
    if (position > last)
        return KD_OK;
    work->count++;
    KD_TRY(places_note(ctx, it));
    if (work->rows == NULL)
        return KD_OK;
    kd_batch batch;
    KD_TRY(kd_row_log_read(ctx, it->log, (uint64_t)position - 1, 1, &batch));
    batch.column_count = it->column_count;
    return kd_row_log_append(ctx, work->rows, &batch);
}

static kd_status rows_forward(kd_ctx *ctx, fetching *work, int64_t wanted)
{
    cursor *it = work->it;
    while (wanted > 0) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(cursor_load(ctx, work->session, it, (uint64_t)it->position + 1));
        int64_t left = (int64_t)kd_row_log_count(it->log) - it->position;
        if (left <= 0) {
            it->position = (int64_t)kd_row_log_count(it->log) + 1;
            break;
        }
        int64_t taken = wanted < left ? wanted : left;
        if (work->rows != NULL) {
            kd_batch batch;
            KD_TRY(kd_row_log_read(ctx, it->log, (uint64_t)it->position, (uint64_t)taken, &batch));
            batch.column_count = it->column_count;
            KD_TRY(kd_row_log_append(ctx, work->rows, &batch));
            taken = batch.selected_count;
        }
        it->position += taken;
        work->count += taken;
        wanted -= taken;
        if (wanted == 0 || it->is_forward_only)
            KD_TRY(places_note(ctx, it));
        if (it->is_forward_only)
            kd_row_log_forget(it->log, (uint64_t)it->position);
    }
    return KD_OK;
}

static kd_status rows_backward(kd_ctx *ctx, fetching *work, int64_t wanted)
{
    for (int64_t before = -1; wanted > 0 && work->count != before; wanted--) {
        before = work->count;
        KD_TRY(row_give(ctx, work, work->it->position - 1));
        KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

static kd_status forward_check(kd_ctx *ctx, const fetching *work, int64_t target)
{
    if (!work->it->is_forward_only || target > work->it->position)
        return KD_OK;
    (void)KD_FAIL(ctx, KD_INVALID, "55000", "cursor can only scan forward");
    kd_error_set_hint(ctx, "Declare it with SCROLL option to enable backward scan.");
    return KD_INVALID;
}

static kd_status fetch_rows(kd_ctx *ctx, fetching *work, const kd_ast_fetch *ast)
{
    cursor *it = work->it;
    if (ast->direction == KD_AST_FETCH_ABSOLUTE && ast->count < 0) {
        KD_TRY(cursor_load(ctx, work->session, it, UINT64_MAX));
        int64_t target = (int64_t)kd_row_log_count(it->log) + 1 + ast->count;
        KD_TRY(forward_check(ctx, work, target));
        return row_give(ctx, work, target);
    }
    if (ast->direction == KD_AST_FETCH_ABSOLUTE || ast->direction == KD_AST_FETCH_RELATIVE) {
        int64_t target = ast->count + (ast->direction == KD_AST_FETCH_RELATIVE ? it->position : 0);
        KD_TRY(forward_check(ctx, work, target));
        return row_give(ctx, work, target);
    }
    bool backward = (ast->direction == KD_AST_FETCH_BACKWARD) != (ast->count < 0);
    int64_t wanted = ast->all ? INT64_MAX : ast->count < 0 ? -ast->count : ast->count;
    if (wanted == 0 || backward)
        KD_TRY(forward_check(ctx, work, it->position));
    if (wanted == 0)
        return row_give(ctx, work, it->position);
    return backward ? rows_backward(ctx, work, wanted) : rows_forward(ctx, work, wanted);
}

static kd_status fetch(kd_ctx *ctx, kd_run *run, const kd_ast_fetch *ast)
{
    cursor *it = cursor_find(run->session, ast->cursor);
    if (it == NULL)
        return cursor_missing(ctx, ast->cursor);
    if (it->has_failed)
        return KD_FAIL(ctx, KD_INVALID, "55000", "portal \"%.*s\" cannot be run",
                       (int)ast->cursor.size_bytes, ast->cursor.data);
    if (!ast->is_move)
        KD_TRY(kdi_run_start_log(ctx, run, it->columns, it->column_count));
    fetching work = {.session = run->session, .it = it, .rows = run->log};
    kd_status status = fetch_rows(ctx, &work, ast);
    it->has_failed = status != KD_OK;
    KD_TRY(status);
    run->affected = work.count;
    (void)snprintf(run->tag, sizeof run->tag, "%s %lld", ast->is_move ? "MOVE" : "FETCH",
                   (long long)work.count);
    return KD_OK;
}

/* ---- WHERE CURRENT OF ---- */

/* Which of the cursor's tables is meant; -1: none. */
static int table_find(const cursor *it, const kd_catalog_version *catalog,
                      const kd_table_entry *table, bool locked, uint32_t *out_count)
{
    int found = -1;
    *out_count = 0;
    for (uint32_t i = 0; i < it->table_count; i++) {
        const kd_object *own = kd_catalog_get(catalog, it->tables[i].object_no);
        if (own == NULL || it->tables[i].is_locked != locked ||
            !kdi_is_part_of(catalog, table, own->object_no))
            continue;
        found = (int)i;
        ++*out_count;
    }
    return found;
}

static kd_status not_positioned(kd_ctx *ctx, kd_slice name, const char *what,
                                const kd_table_entry *table)
{
    kd_slice own = table == NULL ? KD_SLICE("") : table->object.name;
    const char *quote = table == NULL ? "" : "\"";
    return KD_FAIL(ctx, KD_INVALID, "24000", "cursor \"%.*s\" %s%s%.*s%s", (int)name.size_bytes,
                   name.data, what, quote, (int)own.size_bytes, own.data, quote);
}

kd_status kdi_cursor_place(kd_ctx *ctx, kd_session *session, kd_slice name,
                           const kd_catalog_version *catalog, const kd_table_entry *table,
                           kd_rowref *out_place, bool *out_found)
{
    const cursor *it = cursor_find(session, name);
    uint32_t count;
    *out_found = false;
    if (it == NULL)
        return cursor_missing(ctx, name);
    if (it->named.has_committed)
        return not_positioned(ctx, name, "is held from a previous transaction", NULL);
    bool locks = it->named.prepared->bound->for_update;
    int found = table_find(it, catalog, table, locks, &count);
    if (count != 1)
        return not_positioned(ctx, name,
                              !locks       ? "is not a simply updatable scan of table "
                              : count == 0 ? "does not have a FOR UPDATE/SHARE reference to table "
                                           : "has multiple FOR UPDATE/SHARE references to table ",
                              table);
    if (it->position < 1 || it->position > (int64_t)kd_row_log_count(it->log))
        return not_positioned(ctx, name, "is not positioned on a row", NULL);
    const kd_value *place = &it->places[2 * found];
    const kd_object *leaf = place[0].is_null || place[1].is_null
                                ? NULL
                                : kd_catalog_get(catalog, (uint32_t)place[1].as.i64);
    kd_table *storage = leaf == NULL ? NULL
                                     : kd_table_find(session->database->storage,
                                                     ((const kd_table_entry *)leaf)->table_no);
    if (storage == NULL)
        return KD_OK; /* An outer join has made the row up. */
    return kd_table_find_place(ctx, storage, kd_txn_snapshot(session->txn),
                               (kd_rowref)place[0].as.i64, out_place, out_found);
}

/* ---- CLOSE ---- */

static kd_status close_cursor(kd_ctx *ctx, kd_run *run, const kd_ast_close *ast)
{
    kd_session *session = run->session;
    kdi_set_tag(run, ast->name.size_bytes == 0 ? "CLOSE CURSOR ALL" : "CLOSE CURSOR");
    if (ast->name.size_bytes == 0) {
        kdi_cursors_close(session, true);
        return KD_OK;
    }
    cursor *it = cursor_find(session, ast->name);
    if (it == NULL)
        return cursor_missing(ctx, ast->name);
    kdi_named **link = &session->cursors;
    while (*link != &it->named)
        link = &(*link)->next;
    *link = it->named.next;
    cursor_destroy(session, it);
    return KD_OK;
}

kd_status kdi_cursor_command(kd_ctx *ctx, kd_run *run, const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_DECLARE_CURSOR:
        return declare(ctx, run, (const kd_ast_declare_cursor *)node);
    case KD_AST_FETCH:
        return fetch(ctx, run, (const kd_ast_fetch *)node);
    default:
        return close_cursor(ctx, run, (const kd_ast_close *)node);
    }
}
