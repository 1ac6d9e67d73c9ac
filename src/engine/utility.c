/*
 * Statements that are not queries: who carries them out, and the small ones.
 */
#include "engine/engine_internal.h"

#include "engine/configuration.h"
#include "engine/notify.h"
#include "engine/define_role.h"
#include "engine/sample_store.h"
#include "engine/schema_change.h"
#include "engine/session_role.h"
#include "engine/table_key.h"
#include "table/usage.h"

#include <assert.h>
#include <stdio.h>

void kdi_set_tag(kd_run *run, const char *tag)
{
    (void)snprintf(run->tag, sizeof run->tag, "%s", tag);
}

/* Written by hand: every read of one row comes here, and printf would be a fifth of its time. */
void kdi_set_tag_count(kd_run *run, const char *words)
{
    char digits[24];
    size_t digit_count = 0;
    size_t size_bytes = strlen(words);
    uint64_t rest = run->affected < 0 ? 0 : (uint64_t)run->affected;
    do {
        digits[digit_count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    assert(size_bytes + 1 + digit_count < sizeof run->tag);
    memcpy(run->tag, words, size_bytes);
    run->tag[size_bytes++] = ' ';
    while (digit_count > 0)
        run->tag[size_bytes++] = digits[--digit_count];
    run->tag[size_bytes] = '\0';
}

/* --- SET, SHOW, RESET ----------------------------------------------------------------------------
 */

static kd_status setting_value(kd_ctx *ctx, const kd_ast_node *node, kd_slice *out_value)
{
    if (node->kind == KD_AST_CAST)
        return setting_value(ctx, ((const kd_ast_cast *)node)->operand, out_value);
    const kd_ast_constant *constant = (const kd_ast_constant *)node;
    if (node->kind != KD_AST_CONSTANT)
        return KD_FAIL(ctx, KD_INVALID, "22023", "SET takes constants");
    switch (constant->what) {
    case KD_AST_BOOLEAN:
        *out_value = kd_slice_of(constant->boolean ? "on" : "off");
        return KD_OK;
    case KD_AST_NULL:
        return KD_FAIL(ctx, KD_INVALID, "22023", "SET does not take NULL");
    default:
        *out_value = constant->text;
        return KD_OK;
    }
}

static kd_status set_characteristics(kd_ctx *ctx, kd_session *session, const kd_ast_set *ast)
{
    static const char *const levels[] = {NULL, "read committed", "read committed",
                                         "repeatable read", "serializable"};
    kd_settings *both[2] = {&session->settings, &session->committed};
    kdi_settings_keep(session);
    for (int i = 0; i < 2; i++) {
        if (ast->modes.isolation != KD_AST_ISOLATION_DEFAULT) {
            kd_slice level = kd_slice_of(levels[ast->modes.isolation]);
            KD_TRY(kd_settings_set(ctx, session->arena, both[i],
                                   KD_SLICE("default_transaction_isolation"), &level, 1));
        }
        if (ast->modes.read_only != KD_AST_UNSET)
            both[i]->read_only = ast->modes.read_only == KD_AST_ON;
    }
    return KD_OK;
}

kd_status kdi_setting_values(kd_ctx *ctx, const kd_ast_set *ast,
                             kd_slice values[KD_SEARCH_PATH_MAX], uint32_t *out_count)
{
    *out_count = 0;
    if (ast->values.count > KD_SEARCH_PATH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "too many values");
    for (size_t i = 0; i < ast->values.count; i++)
        KD_TRY(setting_value(ctx, ast->values.items[i], &values[i]));
    *out_count = (uint32_t)ast->values.count;
    return KD_OK;
}

void kdi_reset_settings(kd_session *session)
{
    const kd_settings before = session->settings;
    kdi_settings_keep(session);
    kdi_session_defaults(session, &session->settings);
    session->settings.role_no = before.role_no;
    session->settings.session_role_no = before.session_role_no;
    session->committed = session->settings;
}

/* One of the session's sets of values: what is in force, or what stays when SET LOCAL ends. */
static kd_status set_in(kd_ctx *ctx, kd_run *run, kd_settings *settings, kd_slice name,
                        const kd_slice *values, uint32_t count)
{
    kd_session *session = run->session;
    if (kdi_is_role_setting(name))
        return kdi_set_role(ctx, session, run->catalog, settings, name, count > 0 ? values : NULL);
    if (count > 0)
        return kd_settings_set(ctx, session->arena, settings, name, values, count);
    kd_settings *defaults = KD_NEW(ctx, run->arena, kd_settings);
    if (defaults == NULL)
        return KD_NOMEM;
    kdi_session_defaults(session, defaults);
    return kd_settings_reset(ctx, session->arena, settings, defaults, name);
}

static kd_status run_set(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast)
{
    kd_session *session = run->session;
    kd_slice values[KD_SEARCH_PATH_MAX];
    uint32_t count;
    if (ast->scope == KD_AST_SET_OF_ROLE)
        return kdi_alter_role_setting(ctx, run, ast);
    if (ast->scope != KD_AST_SET_OF_SESSION)
        return kdi_alter_configuration(ctx, run, ast);
    kdi_set_tag(run, ast->what == KD_AST_SET_TO_DEFAULT || ast->what == KD_AST_RESET_ALL ? "RESET"
                                                                                         : "SET");
    switch (ast->what) {
    case KD_AST_SET_CHARACTERISTICS:
        return set_characteristics(ctx, session, ast);
    case KD_AST_SET_TRANSACTION: /* See transaction.c. */
        return KD_OK;
    case KD_AST_RESET_ALL:
        kdi_reset_settings(session);
        return KD_OK;
    case KD_AST_SET_FROM_CURRENT:
        return KD_OK;
    case KD_AST_SET_SNAPSHOT:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "exported snapshots are not supported");
    case KD_AST_SET_VALUE:
    case KD_AST_SET_TO_DEFAULT:
        break;
    }
    KD_TRY(kdi_setting_values(ctx, ast, values, &count));
    kdi_settings_keep(session);
    KD_TRY(set_in(ctx, run, &session->settings, ast->name, values, count));
    return ast->local ? KD_OK : set_in(ctx, run, &session->committed, ast->name, values, count);
}

static kd_status show_all(kd_ctx *ctx, kd_run *run)
{
    static const char *const names[] = {"name", "setting", "description"};
    const kd_type types[] = {kd_type_of(KD_TYPE_TEXT), kd_type_of(KD_TYPE_TEXT),
                             kd_type_of(KD_TYPE_TEXT)};
    kd_rel_column *columns;
    kdi_row_set *rows;
    kd_setting_info info;
    KD_TRY(kdi_columns(ctx, run->arena, names, types, 3, &columns));
    KD_TRY(kdi_run_start_rows(ctx, run, columns, 3, &rows));
    for (uint32_t i = 0; kd_setting_at(i, &info); i++) {
        kd_slice value;
        KD_TRY(kdi_session_show(ctx, run->arena, run->session, kd_slice_of(info.name), &value));
        kd_value values[3] = {kd_value_text(kd_slice_of(info.name)), kd_value_text(value),
                              kd_value_text(kd_slice_of(info.description))};
        KD_TRY(kdi_row_set_add(ctx, rows, values));
    }
    return KD_OK;
}

bool kdi_show_fixed(kd_slice name, kd_slice *out_value)
{
    if (kd_slice_equal(name, KD_SLICE("server_version")))
        *out_value = KD_SLICE("15.0 (KadeDB)");
    else if (kd_slice_equal(name, KD_SLICE("server_version_num")))
        *out_value = KD_SLICE("150000");
    else if (kd_slice_equal(name, KD_SLICE("max_prepared_transactions")))
        *out_value = KD_SLICE("0");
    else if (kd_slice_equal(name, KD_SLICE("server_encoding")))
        *out_value = KD_SLICE("UTF8");
    else
        return false;
    return true;
}

bool kdi_show_special(kd_session *session, kd_slice name, kd_slice *out_value)
{
    static const char *const levels[] = {"read committed", "repeatable read", "serializable"};
    if (kd_slice_equal(name, KD_SLICE("transaction_isolation")))
        *out_value = kd_slice_of(levels[kd_txn_isolation(session->txn)]);
    else if (kd_slice_equal(name, KD_SLICE("transaction_read_only")))
        *out_value = kd_slice_of(kd_txn_is_read_only(session->txn) ? "on" : "off");
    else
        return kdi_show_fixed(name, out_value);
    return true;
}

static kd_status run_show(kd_ctx *ctx, kd_run *run, const kd_ast_show *ast)
{
    const kd_type text = kd_type_of(KD_TYPE_TEXT);
    kd_slice value;
    kdi_row_set *rows;
    kd_rel_column *columns;
    kdi_set_tag(run, "SHOW");
    if (kd_slice_equal(ast->name, KD_SLICE("all")))
        return show_all(ctx, run);
    if (!kdi_show_special(run->session, ast->name, &value))
        KD_TRY(kdi_session_show(ctx, run->arena, run->session, ast->name, &value));
    char *name = kd_copy_text(ctx, run->arena, ast->name.data, ast->name.size_bytes);
    if (name == NULL)
        return KD_NOMEM;
    const char *names[] = {name};
    KD_TRY(kdi_columns(ctx, run->arena, names, &text, 1, &columns));
    KD_TRY(kdi_run_start_rows(ctx, run, columns, 1, &rows));
    kd_value row = kd_value_text(value);
    return kdi_row_set_add(ctx, rows, &row);
}

/* --- Upkeep
 * --------------------------------------------------------------------------------------- */

static void note_analysis(void *storage, const kd_object *object)
{
    kd_table *table = object->kind == KD_OBJECT_TABLE
                          ? kd_table_find(storage, ((const kd_table_entry *)object)->table_no)
                          : NULL;
    if (table != NULL)
        kd_table_note_analysis(table, true);
}

/* Samples are taken again when somebody asks: to forget them is enough. */
static kd_status run_analyze(kd_ctx *ctx, kd_run *run, const kd_ast_vacuum *ast)
{
    kd_bind_options options;
    kd_session *session = run->session;
    kdi_sample_store *samples = session->database->samples;
    if (ast->item_count == 0) {
        kdi_sample_store_forget(samples, 0);
        atomic_fetch_add(&session->database->analyses, 1);
        kd_catalog_visit(run->catalog, note_analysis, session->database->storage);
        return KD_OK;
    }
    KD_TRY(kdi_bind_options(ctx, run->arena, session, run->catalog, &run->facts, &options));
    for (size_t i = 0; i < ast->item_count; i++) {
        const kd_object *object;
        KD_TRY(kd_bind_relation(ctx, &options, &ast->items[i].table, false, &object));
        if (object->kind == KD_OBJECT_TABLE && ((const kd_table_entry *)object)->table_no != 0)
            kdi_sample_store_forget(samples, ((const kd_table_entry *)object)->table_no);
        note_analysis(session->database->storage, object);
    }
    atomic_fetch_add(&session->database->analyses, 1);
    return KD_OK;
}

/* Storage work runs beside transactions, and waits for none: only the statement's own must not be
 * one that has written. */
static kd_status run_vacuum(kd_ctx *ctx, kd_run *run, const kd_ast_vacuum *ast)
{
    kdi_set_tag(run, ast->is_analyze ? "ANALYZE" : "VACUUM");
    if (!ast->is_analyze && run->session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25001", "VACUUM cannot run inside a transaction block");
    KD_TRY(run_analyze(ctx, run, ast));
    if (ast->is_analyze)
        return KD_OK;
    return kd_storage_flush(ctx, run->session->database->storage, true);
}

static kd_status run_checkpoint(kd_ctx *ctx, kd_run *run)
{
    kdi_set_tag(run, "CHECKPOINT");
    return kd_storage_checkpoint(ctx, run->session->database->storage);
}

static kd_table_lock lock_of(kd_slice mode)
{
    static const char *const names[KD_TABLE_LOCK_COUNT] = {
        [KD_TABLE_USE] = "access share",
        [KD_TABLE_LOCK_ROWS] = "row share",
        [KD_TABLE_WRITE] = "row exclusive",
        [KD_TABLE_KEEP_UP] = "share update exclusive",
        [KD_TABLE_SHARE] = "share",
        [KD_TABLE_SHARE_ALONE] = "share row exclusive",
        [KD_TABLE_READERS_ONLY] = "exclusive",
        [KD_TABLE_EXCLUSIVE] = "access exclusive",
    };
    for (int i = 0; i < KD_TABLE_LOCK_COUNT; i++)
        if (kd_slice_equal(mode, kd_slice_of(names[i])))
            return (kd_table_lock)i;
    return KD_TABLE_EXCLUSIVE;
}

static kd_status run_lock(kd_ctx *ctx, kd_run *run, const kd_ast_lock *ast)
{
    kd_session *session = run->session;
    kd_bind_options options;
    kdi_set_tag(run, "LOCK TABLE");
    if (!session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25P01",
                       "LOCK TABLE can only be used in transaction blocks");
    KD_TRY(kdi_bind_options(ctx, run->arena, session, run->catalog, &run->facts, &options));
    kd_table_lock lock = lock_of(ast->mode);
    for (size_t i = 0; i < ast->tables.count; i++) {
        const kd_ast_table_ref *ref = (const kd_ast_table_ref *)ast->tables.items[i];
        const kd_object *object;
        KD_TRY(kd_bind_relation(ctx, &options, &ref->name, false, &object));
        if (object->kind == KD_OBJECT_TABLE)
            KD_TRY(kd_txn_lock_table(ctx, session->txn, ((const kd_table_entry *)object)->table_no,
                                     lock, ast->nowait));
    }
    return KD_OK;
}

typedef struct constraint_search {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_catalog_version *catalog;
    kd_slice name;
    bool found; /* Those that cannot be deferred too. */
    kdi_constraint_id *ids;
    size_t count, capacity;
    kd_status status;
} constraint_search;

static void constraint_found(constraint_search *search, bool deferrable, uint64_t index_no)
{
    kdi_constraint_id *added;
    search->found = true;
    if (!deferrable || search->status != KD_OK)
        return;
    search->status =
        KD_PUSH(search->ctx, search->arena, search->ids, search->count, search->capacity, &added);
    if (search->status == KD_OK)
        *added = (kdi_constraint_id){.index_no = index_no, .name = search->name};
}

/* The key itself, or the one of a partitioned table that it is part of. */
static bool key_is_named(const constraint_search *search, const kd_table_entry *table,
                         const kd_table_index *index)
{
    if (kd_slice_equal(index->object.name, search->name))
        return true;
    if (table->parent_no == 0 || !index->storage.deferrable)
        return false;
    const kd_table_entry *parent =
        (const kd_table_entry *)kd_catalog_get(search->catalog, table->parent_no);
    for (uint32_t i = 0; i < parent->index_count; i++)
        if (kdi_index_is_counterpart(parent, &parent->indexes[i], table, index) &&
            key_is_named(search, parent, &parent->indexes[i]))
            return true;
    return false;
}

static void look_for_constraint(void *object, const kd_object *entry)
{
    constraint_search *search = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    if (entry->kind != KD_OBJECT_TABLE)
        return;
    for (uint32_t i = 0; i < table->foreign_count; i++)
        if (kd_slice_equal(table->foreign_keys[i].name, search->name))
            constraint_found(search, table->foreign_keys[i].deferrable, 0);
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_table_index *index = &table->indexes[i];
        if (index->is_constraint && key_is_named(search, table, index))
            constraint_found(search, index->storage.deferrable, index->storage.index_no);
    }
    for (uint32_t i = 0; i < table->check_count; i++)
        search->found |= kd_slice_equal(table->checks[i].name, search->name);
}

static kd_status choose_time(kd_ctx *ctx, kd_session *session, const kdi_constraint_id *id,
                             bool deferred)
{
    kdi_constraint_times *times = &session->constraints;
    kd_arena *arena = kd_txn_arena(session->txn);
    kdi_constraint_choice *choice = KD_NEW(ctx, arena, kdi_constraint_choice);
    char *copy = kd_copy_text(ctx, arena, id->name.data, id->name.size_bytes);
    if (choice == NULL || copy == NULL)
        return KD_NOMEM;
    if (!deferred)
        KD_TRY(kdi_deferred_run_only(ctx, session, id));
    *choice = (kdi_constraint_choice){
        times->choices, {.index_no = id->index_no, .name = {copy, id->name.size_bytes}}, deferred};
    times->choices = choice;
    return KD_OK;
}

static kd_status set_constraint(kd_ctx *ctx, kd_run *run, kd_slice name, bool deferred)
{
    constraint_search search = {
        .ctx = ctx, .arena = run->arena, .catalog = run->catalog, .name = name};
    kd_catalog_visit(run->catalog, look_for_constraint, &search);
    KD_TRY(search.status);
    if (!search.found)
        return KD_FAIL(ctx, KD_INVALID, "42704", "constraint \"%.*s\" does not exist",
                       (int)name.size_bytes, name.data);
    if (deferred && search.count == 0)
        return KD_FAIL(ctx, KD_INVALID, "42809", "constraint \"%.*s\" is not deferrable",
                       (int)name.size_bytes, name.data);
    for (size_t i = 0; i < search.count; i++)
        KD_TRY(choose_time(ctx, run->session, &search.ids[i], deferred));
    return KD_OK;
}

static kd_status run_set_constraints(kd_ctx *ctx, kd_run *run, const kd_ast_set_constraints *ast)
{
    kd_session *session = run->session;
    kdi_set_tag(run, "SET CONSTRAINTS");
    if (!session->is_explicit)
        kdi_session_notice(session, "WARNING", "25P01",
                           "SET CONSTRAINTS can only be used in transaction blocks");
    for (size_t i = 0; i < ast->names.count; i++) {
        const kd_ast_name_item *item = (const kd_ast_name_item *)ast->names.items[i];
        KD_TRY(set_constraint(ctx, run, item->name.name, ast->deferred));
    }
    if (ast->names.count > 0)
        return KD_OK;
    session->constraints.choices = NULL;
    session->constraints.mode =
        ast->deferred ? KDI_CONSTRAINTS_DEFERRED : KDI_CONSTRAINTS_IMMEDIATE;
    return ast->deferred ? KD_OK : kdi_deferred_run(ctx, session, true);
}

/* --- Dispatch
 * --------------------------------------------------------------------------------------- */

/* lint: long, because it is the one list of statements and who carries them out. */
static kd_status run_definition(kd_ctx *ctx, kd_run *run, const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_CREATE_SCHEMA:
        return kdi_create_schema(ctx, run, (const kd_ast_create_schema *)node);
    case KD_AST_CREATE_TABLE:
        return kdi_create_table(ctx, run, (const kd_ast_create_table *)node);
    case KD_AST_CREATE_TABLE_AS:
        return kdi_create_table_as(ctx, run, (const kd_ast_create_table_as *)node);
    case KD_AST_CREATE_INDEX:
        return kdi_create_index(ctx, run, (const kd_ast_create_index *)node);
    case KD_AST_REINDEX:
        return kdi_do_reindex(ctx, run, (const kd_ast_reindex *)node);
    case KD_AST_CREATE_VIEW:
        return kdi_create_view(ctx, run, (const kd_ast_create_view *)node);
    case KD_AST_CREATE_SEQUENCE:
        return kdi_create_sequence(ctx, run, (const kd_ast_create_sequence *)node);
    case KD_AST_CREATE_ENUM:
        return kdi_create_enum(ctx, run, (const kd_ast_create_enum *)node);
    case KD_AST_CREATE_DOMAIN:
        return kdi_create_domain(ctx, run, (const kd_ast_create_domain *)node);
    case KD_AST_ALTER_OWNER:
        return kdi_alter_owner(ctx, run, (const kd_ast_alter_owner *)node);
    case KD_AST_CALL_PROCEDURE:
        return kdi_run_call(ctx, run, (const kd_ast_call_procedure *)node);
    case KD_AST_CREATE_ROUTINE:
        return kdi_create_routine(ctx, run, (const kd_ast_create_routine *)node);
    case KD_AST_ALTER_ROUTINE:
        return kdi_alter_routine(ctx, run, (const kd_ast_alter_routine *)node);
    case KD_AST_CREATE_COMPOSITE:
        return kdi_create_composite(ctx, run, (const kd_ast_create_composite *)node);
    case KD_AST_ALTER_COMPOSITE:
        return kdi_alter_composite(ctx, run, (const kd_ast_alter_composite *)node);
    case KD_AST_ALTER_TABLE:
        return kdi_alter_table(ctx, run, (const kd_ast_alter_table *)node);
    case KD_AST_ALTER_SEQUENCE:
        return kdi_alter_sequence(ctx, run, (const kd_ast_alter_sequence *)node);
    case KD_AST_ALTER_ENUM:
        return kdi_alter_enum(ctx, run, (const kd_ast_alter_enum *)node);
    case KD_AST_ALTER_DOMAIN:
        return kdi_alter_domain(ctx, run, (const kd_ast_alter_domain *)node);
    case KD_AST_RENAME:
        return kdi_rename(ctx, run, (const kd_ast_rename *)node);
    case KD_AST_ALTER_SET_SCHEMA:
        return kdi_set_schema(ctx, run, (const kd_ast_alter_set_schema *)node);
    case KD_AST_DROP:
        return kdi_drop(ctx, run, (const kd_ast_drop *)node);
    case KD_AST_CREATE_ROLE:
        return kdi_role_definition(ctx, run, (const kd_ast_create_role *)node);
    case KD_AST_GRANT:
        if (((const kd_ast_grant *)node)->is_role)
            return kdi_grant_roles(ctx, run, (const kd_ast_grant *)node);
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "GRANT is not supported");
    case KD_AST_COMMENT:
        return kdi_comment(ctx, run, (const kd_ast_comment *)node);
    case KD_AST_TRUNCATE:
        return kdi_truncate(ctx, run, (const kd_ast_truncate *)node);
    case KD_AST_REFRESH:
        return kdi_refresh(ctx, run, (const kd_ast_refresh *)node);
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "%s is not supported",
                       kd_ast_kind_name(node->kind));
    }
}

static kd_status run_command(kd_ctx *ctx, kd_run *run, const kd_ast_node *node, bool *out_done)
{
    *out_done = true;
    switch (node->kind) {
    case KD_AST_SET:
        return run_set(ctx, run, (const kd_ast_set *)node);
    case KD_AST_SHOW:
        return run_show(ctx, run, (const kd_ast_show *)node);
    case KD_AST_SET_CONSTRAINTS:
        return run_set_constraints(ctx, run, (const kd_ast_set_constraints *)node);
    case KD_AST_PREPARE:
    case KD_AST_EXECUTE:
    case KD_AST_DEALLOCATE:
    case KD_AST_DECLARE_CURSOR:
    case KD_AST_FETCH:
    case KD_AST_CLOSE:
    case KD_AST_DISCARD:
        return kdi_named_command(ctx, run, node);
    case KD_AST_EXPLAIN:
        return kdi_explain(ctx, run, (const kd_ast_explain *)node);
    case KD_AST_DESCRIBE:
        return kdi_do_describe(ctx, run, (const kd_ast_describe *)node);
    case KD_AST_COPY:
        return kdi_copy(ctx, run, (const kd_ast_copy *)node);
    case KD_AST_VACUUM:
        return run_vacuum(ctx, run, (const kd_ast_vacuum *)node);
    case KD_AST_CHECKPOINT:
        return run_checkpoint(ctx, run);
    case KD_AST_LOCK:
        return run_lock(ctx, run, (const kd_ast_lock *)node);
    case KD_AST_NOTIFY:
        return kdi_notify_command(ctx, run, (const kd_ast_notify *)node);
    case KD_AST_CLUSTER:
        kdi_set_tag(run, "CLUSTER");
        return kd_storage_flush(ctx, run->session->database->storage, true);
    default:
        *out_done = false;
        return KD_OK;
    }
}

/* The columns of EXECUTE and FETCH are those of what they name, as it is now. */
static kd_status describe_named(kd_ctx *ctx, kd_prepared *prepared, const kd_ast_node *node)
{
    const kdi_named *named = NULL;
    if (node->kind == KD_AST_EXECUTE)
        named = kdi_find_prepared(prepared->session, ((const kd_ast_execute *)node)->name);
    else if (node->kind == KD_AST_FETCH && !((const kd_ast_fetch *)node)->is_move)
        named = kdi_find_cursor(prepared->session, ((const kd_ast_fetch *)node)->cursor);
    if (named == NULL)
        return KD_OK;
    uint32_t count = named->prepared->column_count;
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, prepared->arena, kd_rel_column, count + 1);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = named->prepared->columns[i];
        kd_slice name = columns[i].name;
        columns[i].name.data = kd_copy_text(ctx, prepared->arena, name.data, name.size_bytes);
        if (columns[i].name.data == NULL)
            return KD_NOMEM;
    }
    prepared->column_count = count;
    prepared->columns = columns;
    return KD_OK;
}

kd_status kdi_utility_describe(kd_ctx *ctx, kd_prepared *prepared)
{
    static const char *const plan_names[] = {"QUERY PLAN"};
    const kd_ast_node *node = prepared->statement.node;
    const kd_type text = kd_type_of(KD_TYPE_TEXT);
    kd_rel_column *columns = NULL;
    if (node->kind == KD_AST_EXPLAIN) {
        KD_TRY(kdi_columns(ctx, prepared->arena, plan_names, &text, 1, &columns));
        prepared->column_count = 1;
    } else if (node->kind == KD_AST_SHOW &&
               !kd_slice_equal(((const kd_ast_show *)node)->name, KD_SLICE("all"))) {
        kd_slice name = ((const kd_ast_show *)node)->name;
        char *copy = kd_copy_text(ctx, prepared->arena, name.data, name.size_bytes);
        if (copy == NULL)
            return KD_NOMEM;
        const char *names[] = {copy};
        KD_TRY(kdi_columns(ctx, prepared->arena, names, &text, 1, &columns));
        prepared->column_count = 1;
    }
    prepared->columns = columns;
    return columns == NULL ? describe_named(ctx, prepared, node) : KD_OK;
}

kd_status kdi_utility_run(kd_ctx *ctx, kd_run *run)
{
    const kd_ast_node *node = run->prepared->statement.node;
    bool done;
    kd_status status = run_command(ctx, run, node, &done);
    if (status != KD_OK || done)
        return status;
    if (kd_txn_is_read_only(run->session->txn))
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot execute %s in a read-only transaction",
                       kd_ast_kind_name(node->kind));
    KD_TRY(run_definition(ctx, run, node));
    return node->kind == KD_AST_REFRESH ? KD_OK : kdi_schema_change_write(ctx, run);
}
