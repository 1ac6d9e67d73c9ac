/*
 * Transactions of a session: their borders, savepoints by name, and the settings
 * that follow them.
 */
#include "engine/engine_internal.h"

#include "engine/advisory_lock.h"
#include "engine/notify.h"

#include <assert.h>
#include <stdio.h>

static kd_status txn_start(kd_ctx *ctx, kd_session *session, const kd_ast_transaction_modes *modes)
{
    const kd_settings *settings = &session->settings;
    kd_txn_options options = {
        .isolation = (kd_isolation)settings->isolation,
        .durability = (kd_durability)settings->durability,
        .read_only = settings->read_only != 0 || session->read_only,
        .lock_timeout_ns = (uint64_t)settings->lock_timeout_ms * 1000000,
    };
    if (modes != NULL) {
        if (modes->isolation == KD_AST_SERIALIZABLE)
            options.isolation = KD_SERIALIZABLE;
        else if (modes->isolation == KD_AST_REPEATABLE_READ)
            options.isolation = KD_SNAPSHOT_ISOLATION;
        else if (modes->isolation != KD_AST_ISOLATION_DEFAULT)
            options.isolation = KD_READ_COMMITTED;
        if (modes->read_only == KD_AST_OFF && session->read_only)
            return KD_FAIL(ctx, KD_INVALID, "25006", "the database was opened read-only");
        if (modes->read_only != KD_AST_UNSET)
            options.read_only = modes->read_only == KD_AST_ON;
    }
    KD_TRY(kd_txn_begin(ctx, kd_storage_txns(session->database->storage), &options, &session->txn));
    session->constraints = (kdi_constraint_times){.mode = KDI_CONSTRAINTS_AS_DECLARED};
    session->due = NULL;
    session->savepoints = NULL;
    session->has_let_go = false;
    session->has_queried = false;
    return KD_OK;
}

kd_status kdi_transaction_ensure(kd_ctx *ctx, kd_session *session, bool *out_owns)
{
    *out_owns = false;
    if (session->txn != NULL)
        return KD_OK;
    KD_TRY(txn_start(ctx, session, NULL));
    *out_owns = true;
    return KD_OK;
}

void kdi_settings_keep(kd_session *session)
{
    assert(session->txn != NULL);
    session->settings_stamp = 0;
    session->settings_changes++;
    if (session->settings_kept)
        return;
    session->at_begin = session->settings;
    session->committed = session->settings;
    session->settings_kept = true;
}

/* What is over with the transaction, however it ended. */
static void txn_ended(kd_session *session, bool committed)
{
    session->txn = NULL;
    kdi_advisory_transaction_ended(session);
    session->is_explicit = false;
    session->is_block = false;
    session->state = KD_SESSION_IDLE;
    session->constraints = (kdi_constraint_times){.mode = KDI_CONSTRAINTS_AS_DECLARED};
    session->due = NULL;
    session->savepoints = NULL;
    if (session->settings_kept) {
        session->settings = committed ? session->committed : session->at_begin;
        session->settings_kept = false;
        session->settings_stamp = 0;
        session->settings_changes++;
    }
}

typedef struct temporary_list {
    kd_ctx *ctx;
    kd_session *session;
    kd_arena *arena;
    kd_buffer text; /* What to do, as statements' texts, each ended by a NUL. */
    kd_status status;
} temporary_list;

static void note_on_commit(void *object, const kd_object *entry)
{
    temporary_list *list = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    if (list->status != KD_OK || entry->kind != KD_OBJECT_TABLE ||
        entry->schema_no != list->session->temp_schema_no ||
        table->on_commit == KD_ON_COMMIT_PRESERVE)
        return;
    bool drops = table->on_commit == KD_ON_COMMIT_DROP;
    list->status = kd_buffer_append_format(list->ctx, &list->text, "%s \"%s\".\"%.*s\"%s",
                                           drops ? "DROP TABLE IF EXISTS" : "DELETE FROM",
                                           list->session->temp_schema, (int)entry->name.size_bytes,
                                           entry->name.data, drops ? " CASCADE" : "");
    if (list->status == KD_OK)
        list->status = kd_buffer_append_byte(list->ctx, &list->text, '\0');
}

/* Temporary tables are emptied or dropped by the commit, as its last work. */
static kd_status act_on_commit(kd_ctx *ctx, kd_session *session)
{
    kd_catalog_version *catalog = NULL;
    if (!session->has_on_commit || kd_txn_is_read_only(session->txn) ||
        !kd_txn_has_work(session->txn))
        return KD_OK;
    temporary_list list = {.ctx = ctx, .session = session, .arena = kd_txn_arena(session->txn)};
    list.text = kd_buffer_in(list.arena);
    KD_TRY(kd_catalog_pin(ctx, session->database->catalog, session->txn, &catalog));
    kd_catalog_visit(catalog, note_on_commit, &list);
    kd_catalog_unpin(catalog);
    KD_TRY(list.status);
    for (size_t at = 0; at < list.text.size_bytes;) {
        kd_slice statement = kd_slice_of(list.text.data + at);
        KD_TRY(kdi_run_internal(ctx, session, statement, NULL, 0, NULL));
        at += statement.size_bytes + 1;
    }
    return KD_OK;
}

static void count_one(atomic_uint_least64_t *count)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

kd_status kdi_transaction_commit(kd_ctx *ctx, kd_session *session)
{
    assert(session->txn != NULL);
    kd_status status = kdi_deferred_run(ctx, session, true);
    if (status == KD_OK)
        status = kdi_cursors_settle(ctx, session, true);
    if (status == KD_OK)
        status = act_on_commit(ctx, session);
    if (status == KD_OK)
        kdi_cursors_committed(session);
    kdi_cursors_close(session, false);
    kd_txn *txn = session->txn;
    if (status == KD_OK)
        status = kd_txn_commit(ctx, txn);
    else
        kd_txn_rollback(txn);
    count_one(status == KD_OK ? &session->committed_count : &session->rolled_back_count);
    txn_ended(session, status == KD_OK);
    if (status == KD_OK)
        kdi_notify_committed(session);
    else
        kdi_notify_drop(session);
    return status;
}

void kdi_transaction_discard(kd_session *session)
{
    assert(session->txn != NULL);
    kdi_cursors_close(session, false);
    kd_txn_rollback(session->txn);
    kdi_notify_drop(session);
    txn_ended(session, false);
}

void kdi_transaction_rollback(kd_session *session)
{
    count_one(&session->rolled_back_count);
    kdi_transaction_discard(session);
}

/* The database's mutex is held. */
static kdi_transaction_counts all_counts(const kd_database *database)
{
    kdi_transaction_counts sum = database->ended;
    for (const kd_session *it = database->first_session; it != NULL; it = it->next) {
        if (it->is_internal)
            continue;
        sum.committed += atomic_load_explicit(&it->committed_count, memory_order_relaxed);
        sum.rolled_back += atomic_load_explicit(&it->rolled_back_count, memory_order_relaxed);
    }
    sum.deadlocks = kd_txn_manager_deadlock_count(kd_storage_txns(database->storage));
    return sum;
}

kdi_transaction_counts kdi_transactions_counted(kd_database *database)
{
    kd_mutex_lock(&database->mutex);
    kdi_transaction_counts sum = all_counts(database);
    sum.committed -= database->before_reset.committed;
    sum.rolled_back -= database->before_reset.rolled_back;
    sum.deadlocks -= database->before_reset.deadlocks;
    kd_mutex_unlock(&database->mutex);
    return sum;
}

void kdi_transactions_count_anew(kd_database *database)
{
    kd_mutex_lock(&database->mutex);
    database->before_reset = all_counts(database);
    kd_mutex_unlock(&database->mutex);
}

void kdi_transaction_let_go(kd_session *session)
{
    kd_ctx own = {.world = session->ctx.world};
    kd_txn_options options = {.isolation = KD_READ_COMMITTED, .durability = KD_DURABLE_LATER};
    kd_txn *rest;
    if (session->txn == NULL || session->savepoints != NULL || session->has_let_go)
        return;
    if (kd_txn_begin(&own, kd_storage_txns(session->database->storage), &options, &rest) != KD_OK) {
        kd_error_clear(&own); /* Others wait a little longer, then. */
        return;
    }
    kd_txn_rollback(session->txn);
    session->txn = rest;
    session->constraints = (kdi_constraint_times){.mode = KDI_CONSTRAINTS_AS_DECLARED};
    session->due = NULL;
    session->has_let_go = true;
}

/* --- Commands
 * -------------------------------------------------------------------------------------- */

static void set_tag(char tag[KDI_TAG_BYTES], const char *text)
{
    (void)snprintf(tag, KDI_TAG_BYTES, "%s", text);
}

kd_status kdi_block_begin(kd_ctx *ctx, kd_session *session)
{
    assert(session->txn == NULL);
    KD_TRY(txn_start(ctx, session, NULL));
    session->is_explicit = true;
    session->is_block = true;
    session->state = KD_SESSION_IN_TRANSACTION;
    return KD_OK;
}

kd_status kdi_block_end(kd_ctx *ctx, kd_session *session)
{
    if (!session->is_block)
        return KD_OK;
    if (session->state != KD_SESSION_FAILED)
        return kdi_transaction_commit(ctx, session);
    kdi_transaction_rollback(session);
    return KD_OK;
}

/* What a transaction that follows by AND CHAIN takes over. */
static kd_ast_transaction_modes modes_of(const kd_txn *txn)
{
    static const kd_ast_isolation levels[] = {KD_AST_READ_COMMITTED, KD_AST_REPEATABLE_READ,
                                              KD_AST_SERIALIZABLE};
    return (kd_ast_transaction_modes){.isolation = levels[kd_txn_isolation(txn)],
                                      .read_only =
                                          kd_txn_is_read_only(txn) ? KD_AST_ON : KD_AST_UNSET};
}

static kd_status set_isolation(kd_ctx *ctx, kd_session *session, kd_ast_isolation isolation)
{
    static const kd_isolation levels[] = {KD_SNAPSHOT_ISOLATION, KD_READ_COMMITTED,
                                          KD_READ_COMMITTED, KD_SNAPSHOT_ISOLATION,
                                          KD_SERIALIZABLE};
    if (isolation == KD_AST_ISOLATION_DEFAULT ||
        levels[isolation] == kd_txn_isolation(session->txn))
        return KD_OK;
    if (session->savepoints != NULL)
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
    if (session->has_queried || kd_txn_has_work(session->txn))
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "SET TRANSACTION ISOLATION LEVEL must be called before any query");
    /* Nothing has been seen or done: another one takes its place. Settings made since BEGIN stay.
     */
    kd_ast_transaction_modes modes = modes_of(session->txn);
    kd_settings now = session->settings, committed = session->committed;
    kd_settings at_begin = session->at_begin;
    modes.isolation = isolation;
    kd_txn_rollback(session->txn);
    txn_ended(session, false);
    KD_TRY(txn_start(ctx, session, &modes));
    session->settings = now;
    session->committed = committed;
    session->at_begin = at_begin;
    session->is_explicit = true;
    session->state = KD_SESSION_IN_TRANSACTION;
    return KD_OK;
}

static kd_status set_access(kd_ctx *ctx, kd_session *session, bool read_only)
{
    if (read_only == kd_txn_is_read_only(session->txn))
        return KD_OK;
    if (!read_only && session->read_only)
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database was opened read-only");
    if (!read_only && session->savepoints != NULL)
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "cannot set transaction read-write mode inside a read-only transaction");
    if (!read_only && session->has_queried)
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "transaction read-write mode must be set before any query");
    kd_txn_set_read_only(session->txn, read_only);
    return KD_OK;
}

static kd_status set_modes(kd_ctx *ctx, kd_session *session, const kd_ast_transaction_modes *modes)
{
    KD_TRY(set_isolation(ctx, session, modes->isolation));
    return modes->read_only == KD_AST_UNSET
               ? KD_OK
               : set_access(ctx, session, modes->read_only == KD_AST_ON);
}

kd_status kdi_aborted(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "25P02",
                   "current transaction is aborted, commands ignored until end of transaction "
                   "block");
}

static kd_status begin(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                       char tag[KDI_TAG_BYTES])
{
    set_tag(tag, "BEGIN");
    if (session->state == KD_SESSION_FAILED)
        return kdi_aborted(ctx);
    if (session->is_block) { /* From now on it was said. */
        session->is_block = false;
        return set_modes(ctx, session, &command->modes);
    }
    if (session->txn != NULL) {
        kdi_session_notice(session, "WARNING", "25001",
                           "there is already a transaction in progress");
        return set_modes(ctx, session, &command->modes);
    }
    KD_TRY(txn_start(ctx, session, &command->modes));
    session->is_explicit = true;
    session->state = KD_SESSION_IN_TRANSACTION;
    return KD_OK;
}

static kd_status chain(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                       const kd_ast_transaction_modes *modes)
{
    if (command->chain != KD_AST_ON)
        return KD_OK;
    KD_TRY(txn_start(ctx, session, modes));
    session->is_explicit = true;
    session->state = KD_SESSION_IN_TRANSACTION;
    return KD_OK;
}

static kd_status no_transaction(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                                const char *word)
{
    if (command->chain == KD_AST_ON)
        return KD_FAIL(ctx, KD_INVALID, "25P01",
                       "%s AND CHAIN can only be used in transaction blocks", word);
    kdi_session_notice(session, "WARNING", "25P01", "there is no transaction in progress");
    return KD_OK;
}

static kd_status commit(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                        char tag[KDI_TAG_BYTES])
{
    set_tag(tag, "COMMIT");
    if (session->txn == NULL || session->is_block)
        KD_TRY(no_transaction(ctx, session, command, "COMMIT"));
    if (session->txn == NULL)
        return KD_OK;
    kd_ast_transaction_modes modes = modes_of(session->txn);
    if (session->state == KD_SESSION_FAILED) {
        set_tag(tag, "ROLLBACK");
        kdi_transaction_rollback(session);
        return chain(ctx, session, command, &modes);
    }
    KD_TRY(kdi_transaction_commit(ctx, session));
    return chain(ctx, session, command, &modes);
}

static kd_status rollback(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                          char tag[KDI_TAG_BYTES])
{
    set_tag(tag, "ROLLBACK");
    if (session->txn == NULL || session->is_block)
        KD_TRY(no_transaction(ctx, session, command, "ROLLBACK"));
    if (session->txn == NULL)
        return KD_OK;
    kd_ast_transaction_modes modes = modes_of(session->txn);
    kdi_transaction_rollback(session);
    return chain(ctx, session, command, &modes);
}

/* --- SET TRANSACTION */

kd_status kdi_set_transaction(kd_ctx *ctx, kd_session *session, const kd_ast_set *ast,
                              char tag[KDI_TAG_BYTES])
{
    set_tag(tag, "SET");
    if (session->state == KD_SESSION_FAILED)
        return kdi_aborted(ctx);
    if (!session->is_explicit || session->is_block) {
        kdi_session_notice(session, "WARNING", "25P01",
                           "SET TRANSACTION can only be used in transaction blocks");
        return KD_OK;
    }
    return set_modes(ctx, session, &ast->modes);
}

/* --- Savepoints */

static kdi_named *find_savepoint(kd_session *session, kd_slice name)
{
    for (kdi_named *it = session->savepoints; it != NULL; it = it->next)
        if (kd_slice_equal(it->name, name))
            return it;
    return NULL;
}

static kd_status savepoint(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command)
{
    if (!session->is_explicit || session->is_block)
        return KD_FAIL(ctx, KD_INVALID, "25P01",
                       "SAVEPOINT can only be used in transaction blocks");
    if (session->state == KD_SESSION_FAILED)
        return kdi_aborted(ctx);
    kd_arena *arena = kd_txn_arena(session->txn);
    kdi_named *added = KD_NEW(ctx, arena, kdi_named);
    char *name = kd_copy_text(ctx, arena, command->name.data, command->name.size_bytes);
    if (added == NULL || name == NULL)
        return KD_NOMEM;
    KD_TRY(kd_txn_savepoint(ctx, session->txn, &added->savepoint));
    added->name = (kd_slice){name, command->name.size_bytes};
    added->constraints = session->constraints;
    added->said = session->said;
    added->next = session->savepoints;
    session->savepoints = added;
    return KD_OK;
}

static kd_status to_savepoint(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                              bool release)
{
    const char *words = release ? "RELEASE SAVEPOINT" : "ROLLBACK TO SAVEPOINT";
    if (!session->is_explicit || session->is_block)
        return KD_FAIL(ctx, KD_INVALID, "25P01", "%s can only be used in transaction blocks",
                       words);
    kdi_named *found = find_savepoint(session, command->name);
    if (found == NULL)
        return KD_FAIL(ctx, KD_INVALID, "3B001", "savepoint \"%.*s\" does not exist",
                       (int)command->name.size_bytes, command->name.data);
    if (release) {
        if (session->state == KD_SESSION_FAILED)
            return kdi_aborted(ctx);
        kd_txn_release(session->txn, found->savepoint);
        session->savepoints = found->next;
        return KD_OK;
    }
    /* Open cursors are not to miss what is undone now. */
    if (session->state != KD_SESSION_FAILED)
        KD_TRY(kdi_cursors_settle(ctx, session, false));
    kd_txn_rollback_to(session->txn, found->savepoint);
    session->savepoints = found;
    session->constraints = found->constraints;
    session->said = found->said;
    session->due = NULL;
    session->state = KD_SESSION_IN_TRANSACTION;
    return KD_OK;
}

/* --- Prepared transactions: as in PostgreSQL with its max_prepared_transactions of 0 --- */

static kd_status prepare_transaction(kd_ctx *ctx, kd_session *session, char tag[KDI_TAG_BYTES])
{
    set_tag(tag, "ROLLBACK");
    if (!session->is_explicit) {
        kdi_session_notice(session, "WARNING", "25P01", "there is no transaction in progress");
        return KD_OK;
    }
    bool has_failed = session->state == KD_SESSION_FAILED;
    kdi_transaction_rollback(session);
    if (has_failed)
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_UNSUPPORTED, "55000", "prepared transactions are disabled");
    kd_error_set_hint(ctx, "Two-phase commit is not part of KadeDB.");
    return status;
}

static kd_status end_prepared(kd_ctx *ctx, kd_session *session, const kd_ast_transaction *command,
                              const char *words)
{
    if (session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25001", "%s cannot run inside a transaction block", words);
    return KD_FAIL(ctx, KD_INVALID, "42704",
                   "prepared transaction with identifier \"%.*s\" does not exist",
                   (int)command->name.size_bytes, command->name.data);
}

kd_status kdi_transaction_command(kd_ctx *ctx, kd_session *session,
                                  const kd_ast_transaction *command, char tag[KDI_TAG_BYTES])
{
    switch (command->what) {
    case KD_AST_BEGIN:
        return begin(ctx, session, command, tag);
    case KD_AST_COMMIT:
        return commit(ctx, session, command, tag);
    case KD_AST_ROLLBACK:
        return rollback(ctx, session, command, tag);
    case KD_AST_SAVEPOINT:
        set_tag(tag, "SAVEPOINT");
        return savepoint(ctx, session, command);
    case KD_AST_RELEASE:
        set_tag(tag, "RELEASE");
        return to_savepoint(ctx, session, command, true);
    case KD_AST_ROLLBACK_TO:
        set_tag(tag, "ROLLBACK");
        return to_savepoint(ctx, session, command, false);
    case KD_AST_PREPARE_TRANSACTION:
        return prepare_transaction(ctx, session, tag);
    case KD_AST_COMMIT_PREPARED:
        return end_prepared(ctx, session, command, "COMMIT PREPARED");
    case KD_AST_ROLLBACK_PREPARED:
        break;
    }
    return end_prepared(ctx, session, command, "ROLLBACK PREPARED");
}
