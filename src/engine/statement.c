/*
 * The life of statements: parse, bind, plan, run, end.
 *
 * A run that fails has its work undone before the failure is reported: its own
 * transaction is rolled back, or the open one back to the savepoint that the
 * statement began with, and is then FAILED. A statement that is its own
 * transaction and lost a conflict before it gave a row is run again.
 */
#include "engine/engine_internal.h"

#include "base/hash.h"
#include "engine/replan.h"
#include "engine/result_cache.h"
#include "engine/result_key.h"
#include "engine/short_path.h"
#include "engine/sample_store.h"
#include "engine/value_cast.h"
#include "engine/view_content.h"
#include "engine/watchdog.h"

#include <assert.h>
#include <string.h>

enum { RETRY_PAUSE_NS = 50 * 1000, RETRY_DOUBLINGS_MAX = 8 };

/* --- Preparing -----------------------------------------------------------------------------------
 */

static kdi_class class_of(const kd_ast_node *node)
{
    if (node == NULL)
        return KDI_EMPTY;
    switch (node->kind) {
    case KD_AST_SELECT:
    case KD_AST_SETOP:
    case KD_AST_INSERT:
    case KD_AST_UPDATE:
    case KD_AST_DELETE:
    case KD_AST_MERGE:
        return KDI_QUERY;
    case KD_AST_TRANSACTION:
        return KDI_TRANSACTION;
    case KD_AST_SET:
        return ((const kd_ast_set *)node)->what == KD_AST_SET_TRANSACTION ? KDI_TRANSACTION
                                                                          : KDI_UTILITY;
    default:
        return KDI_UTILITY;
    }
}

/* The tree lives with the plan: binding may write into it, so every plan gets a fresh one. */
static kd_status parse(kd_ctx *ctx, kd_prepared *prepared)
{
    kd_arena_reset(prepared->plan_arena);
    return kd_parse_statement(ctx, prepared->plan_arena, prepared->text, &prepared->statement);
}

/* A plan in the making: of `node` in `arena`, for any parameters or for these. */
typedef struct planning {
    kd_arena *arena;
    kd_ast_node *node;
    const kd_session_facts *facts;
    const kd_value *values;
    uint32_t value_count;
    const kdi_view_choice *views; /* NULL: none are read. */
    const kd_known_rows *known;
    uint32_t known_count;
    bool *out_is_repeatable;   /* NULL: nobody asks. */
    kd_bound_statement *bound; /* Out. */
    kd_statement_plan *plan;   /* Out. */
} planning;

static kd_status bind_and_plan(kd_ctx *ctx, kd_prepared *prepared, planning *it)
{
    kd_session *session = prepared->session;
    kd_bind_options options;
    KD_TRY(kdi_bind_options(ctx, it->arena, session, prepared->catalog, it->facts, &options));
    options.parameter_types = prepared->declared;
    options.parameter_count = prepared->declared_count;
    options.gives_positions = prepared->is_of_cursor;
    KD_TRY(kd_bind_statement(ctx, it->arena, &options, it->node, &it->bound));
    if (it->out_is_repeatable != NULL && !prepared->is_of_cursor)
        KD_TRY(kdi_query_is_repeatable(ctx, it->bound, it->out_is_repeatable));
    kd_statistics statistics = kdi_sample_store_statistics(
        session->database->samples, kd_txn_snapshot(session->txn), it->facts);
    kd_plan_options plan_options = {
        .catalog = prepared->catalog,
        .statistics = &statistics,
        .bind = &options,
        .no_index_scans =
            session->settings.enable_index_scan == 0 || session->settings.skip_damaged_rows != 0,
        .no_hash_joins = session->settings.enable_hash_join == 0,
        .joins_as_written = session->settings.join_collapse_limit == 1,
        .values = it->values,
        .value_count = it->value_count,
        .views = it->views == NULL ? NULL : it->views->views,
        .view_count = it->views == NULL ? 0 : it->views->count,
        .known = it->known,
        .known_count = it->known_count,
    };
    return kd_plan_statement(ctx, it->arena, &plan_options, it->bound, &it->plan);
}

/* They are asked for by whoever has values, when the next plan is not made yet or cannot be. */
static kd_status keep_parameter_types(kd_ctx *ctx, kd_prepared *prepared,
                                      const kd_bound_statement *bound)
{
    uint32_t count = bound->parameter_count;
    if (prepared->parameter_types == NULL || count != prepared->parameter_count)
        prepared->parameter_types = KD_NEW_ARRAY(ctx, prepared->arena, kd_type, count + 1);
    prepared->parameter_count = prepared->parameter_types == NULL ? 0 : count;
    if (prepared->parameter_types == NULL)
        return KD_NOMEM;
    if (count > 0)
        memcpy(prepared->parameter_types, bound->parameter_types,
               count * sizeof *prepared->parameter_types);
    return KD_OK;
}

static kd_status plan_query(kd_ctx *ctx, kd_prepared *prepared, const kd_session_facts *facts)
{
    planning general = {.arena = prepared->plan_arena,
                        .node = prepared->statement.node,
                        .facts = facts,
                        .known = prepared->known,
                        .known_count = prepared->known_count,
                        .out_is_repeatable = &prepared->is_repeatable};
    KD_TRY(bind_and_plan(ctx, prepared, &general));
    KD_TRY(kdi_plan_sources_note(ctx, prepared->plan_arena, prepared->session->database,
                                 general.plan, &prepared->sources));
    KD_TRY(keep_parameter_types(ctx, prepared, general.bound));
    prepared->bound = general.bound;
    prepared->plan = general.plan;
    prepared->choice.tried = 0;
    prepared->choice.values_count = false;
    prepared->choice.shape = kd_plan_shape(general.plan);
    if (prepared->bound->kind == KD_DML_SELECT) {
        prepared->column_count =
            prepared->bound->query->column_count - 2 * prepared->bound->position_count;
        prepared->columns = prepared->bound->query->columns;
    } else {
        prepared->column_count = prepared->bound->returning_count;
        prepared->columns = prepared->bound->returning_columns;
    }
    KD_TRY(kdi_short_read_make(ctx, prepared));
    return kdi_short_write_make(ctx, prepared);
}

static void forget_plan(kd_prepared *prepared)
{
    kd_catalog_unpin(prepared->catalog);
    prepared->catalog = NULL;
    prepared->bound = NULL;
    prepared->plan = NULL;
    prepared->columns = NULL;
    prepared->column_count = 0;
    prepared->short_read = NULL;
    prepared->short_write = NULL;
}

/* Settings that change what a text means or how it is planned. */
static uint64_t hash_settings(const kd_settings *settings)
{
    const int64_t numbers[] = {
        settings->enable_index_scan,
        settings->enable_hash_join,
        settings->join_collapse_limit == 1,
        settings->skip_damaged_rows,
        settings->date_order,
        settings->date_style,
        settings->interval_style,
        settings->extra_float_digits,
        settings->bytea_escape,
        (int64_t)(uintptr_t)settings->time_zone,
        settings->role_no,
        settings->session_role_no,
    };
    uint64_t path =
        kd_hash_bytes(settings->search_path_text.data, settings->search_path_text.size_bytes);
    return kd_hash_combine(path, kd_hash_bytes(numbers, sizeof numbers)) | 1;
}

/* The settings, files that were found changed, functions that were registered, whose rights count.
 */
static uint64_t settings_stamp(kd_session *session)
{
    if (session->settings_stamp == 0)
        session->settings_stamp = hash_settings(&session->settings);
    uint64_t functions =
        atomic_load_explicit(&session->database->function_changes, memory_order_relaxed);
    uint64_t stamp = (session->settings_stamp * 31 + session->file_stamp) * 31 + functions;
    return stamp * 31 + session->acting_role_no;
}

/* Makes sure that the plan is one for `catalog`. */
static kd_status ensure_plan(kd_ctx *ctx, kd_prepared *prepared, kd_catalog_version *catalog,
                             kd_txn *txn)
{
    uint64_t stamp = settings_stamp(prepared->session);
    bool holds = prepared->plan != NULL &&
                 kd_catalog_version_no(prepared->catalog) == kd_catalog_version_no(catalog) &&
                 !kdi_plan_sources_changed(prepared->session->database, &prepared->sources);
    if (holds && prepared->settings_stamp == stamp)
        return KD_OK;
    if (!holds)
        prepared->known_count = 0; /* It was counted in other tables. */
    if (prepared->plan != NULL || prepared->catalog != NULL) {
        forget_plan(prepared);
        KD_TRY(parse(ctx, prepared));
    }
    KD_TRY(kd_catalog_pin(ctx, prepared->session->database->catalog, txn, &prepared->catalog));
    kd_text_settings text;
    kd_session_facts facts;
    kdi_session_facts(prepared->session, prepared->catalog, &text, &facts);
    text.reads_now = &prepared->reads_now;
    prepared->settings_stamp = stamp;
    return plan_query(ctx, prepared, &facts);
}

void kdi_statement_begin(kd_session *session, bool others_are_open)
{
    if (others_are_open)
        kd_txn_keep_snapshot(session->txn);
    kd_txn_statement_begin(session->txn);
}

void kdi_statement_end(kd_session *session)
{
    if (session->runs != NULL || session->txn == NULL)
        return;
    kd_txn_keep_end(session->txn);
    kd_txn_rest(session->txn);
}

/* Plans once at prepare time, so that columns and parameters are known. */
static kd_status describe(kd_ctx *ctx, kd_prepared *prepared)
{
    kd_session *session = prepared->session;
    kd_status status = KD_OK;
    kd_catalog_version *catalog = NULL;
    bool owns = false;
    if (prepared->class == KDI_EMPTY || prepared->class == KDI_TRANSACTION)
        return KD_OK;
    if (session->state == KD_SESSION_FAILED)
        return kdi_aborted(ctx);
    KD_TRY_OUT(kdi_transaction_ensure(ctx, session, &owns));
    if (session->runs == NULL) /* Names are looked up where the statement will look. */
        kdi_statement_begin(session, false);
    kd_txn_wake(session->txn);
    KD_TRY_OUT(kd_catalog_pin(ctx, session->database->catalog, session->txn, &catalog));
    if (prepared->class == KDI_QUERY)
        KD_TRY_OUT(ensure_plan(ctx, prepared, catalog, session->txn));
    else {
        session->catalog = catalog;
        KD_TRY_OUT(kdi_utility_describe(ctx, prepared));
    }
out:
    kd_catalog_unpin(catalog);
    session->catalog = NULL;
    if (owns)
        kdi_transaction_discard(session);
    return status;
}

static void mark_failed(kd_session *session)
{
    if (session->is_explicit && session->state == KD_SESSION_IN_TRANSACTION)
        session->state = KD_SESSION_FAILED;
}

void kdi_note_failure(kd_session *session)
{
    mark_failed(session);
    bool is_outermost = session->runs == NULL || session->runs->next == NULL;
    if (session->state == KD_SESSION_FAILED && is_outermost && session->cursors == NULL)
        kdi_transaction_let_go(session);
}

/* What a statement is made of. */
typedef struct request {
    kd_slice text;
    const kd_type *types;
    uint32_t type_count;
    bool is_of_cursor;
    bool is_by_text; /* Nothing but the text says what it is. */
} request;

/* A statement that did not become one. */
static void create_failed(kd_session *session, kd_prepared *prepared)
{
    /* Within a run, as DECLARE's, its transaction has something to undo yet. */
    if (session->runs == NULL)
        kdi_note_failure(session);
    else
        mark_failed(session);
    kdi_prepared_release(prepared);
}

static kd_status prepared_create(kd_ctx *ctx, kd_session *session, const request *wanted,
                                 kd_prepared **out_prepared)
{
    kd_status status = KD_OK;
    *out_prepared = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "prepared statement", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_prepared *prepared = KD_NEW(ctx, arena, kd_prepared);
    char *copy = prepared == NULL
                     ? NULL
                     : kd_copy_text(ctx, arena, wanted->text.data, wanted->text.size_bytes);
    kd_type *declared =
        copy == NULL ? NULL : KD_NEW_ARRAY(ctx, arena, kd_type, wanted->type_count + 1);
    if (declared == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    if (wanted->type_count > 0)
        memcpy(declared, wanted->types, wanted->type_count * sizeof *declared);
    *prepared = (kd_prepared){.session = session,
                              .arena = arena,
                              .declared = declared,
                              .declared_count = wanted->type_count,
                              .text = {copy, wanted->text.size_bytes},
                              .is_of_cursor = wanted->is_of_cursor,
                              .is_by_text = wanted->is_by_text};
    prepared->plan_arena = kd_arena_create(ctx, NULL, "plan", KD_ARENA_UNLIMITED);
    if (prepared->plan_arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(parse(ctx, prepared));
    prepared->class = class_of(prepared->statement.node);
    prepared->statement_text =
        (kd_slice){prepared->text.data + prepared->statement.position,
                   (size_t)(prepared->statement.end - prepared->statement.position)};
    KD_TRY_OUT(describe(ctx, prepared));
    *out_prepared = prepared;
    prepared = NULL;
out:
    if (prepared != NULL)
        create_failed(session, prepared);
    return status;
}

/* One that is kept, its plan made anew where that is due; `*out_prepared` is NULL if there is none.
 */
static kd_status prepared_take(kd_ctx *ctx, kd_session *session, kd_slice text,
                               kd_prepared **out_prepared)
{
    kd_prepared *kept = kdi_plan_cache_take(session, text);
    *out_prepared = NULL;
    if (kept == NULL)
        return KD_OK;
    kd_status status = describe(ctx, kept);
    if (status != KD_OK)
        create_failed(session, kept);
    else
        *out_prepared = kept;
    return status;
}

kd_status kd_prepared_create(kd_ctx *ctx, kd_session *session, kd_slice text,
                             const kd_type *parameter_types, uint32_t parameter_count,
                             kd_prepared **out_prepared)
{
    request wanted = {.text = text,
                      .types = parameter_types,
                      .type_count = parameter_count,
                      .is_by_text = parameter_count == 0 && session->routine == NULL};
    *out_prepared = NULL;
    if (wanted.is_by_text)
        KD_TRY(prepared_take(ctx, session, text, out_prepared));
    return *out_prepared != NULL ? KD_OK : prepared_create(ctx, session, &wanted, out_prepared);
}

kd_status kdi_prepared_anew(kd_ctx *ctx, kd_session *session, kd_slice text, const kd_type *types,
                            uint32_t type_count, kd_prepared **out_prepared)
{
    request wanted = {.text = text, .types = types, .type_count = type_count};
    return prepared_create(ctx, session, &wanted, out_prepared);
}

kd_status kdi_prepared_of_cursor(kd_ctx *ctx, kd_session *session, kd_slice text,
                                 kd_prepared **out_prepared)
{
    return prepared_create(ctx, session, &(request){.text = text, .is_of_cursor = true},
                           out_prepared);
}

kd_status kd_prepared_from_script(kd_ctx *ctx, kd_session *session, kd_slice text,
                                  const kd_statement *statement, kd_prepared **out_prepared)
{
    kd_slice part = {text.data + statement->position,
                     (size_t)(statement->end - statement->position)};
    kd_status status = kd_prepared_create(ctx, session, part, NULL, 0, out_prepared);
    if (status != KD_OK && ctx->error.position >= 0)
        ctx->error.position += statement->position;
    return status;
}

void kd_prepared_destroy(kd_prepared *prepared)
{
    if (prepared != NULL && !kdi_plan_cache_keep(prepared))
        kdi_prepared_release(prepared);
}

void kdi_prepared_release(kd_prepared *prepared)
{
    if (prepared == NULL)
        return;
    forget_plan(prepared);
    kd_arena_destroy(prepared->plan_arena);
    kd_arena_destroy(prepared->arena);
}

uint32_t kd_prepared_parameter_count(const kd_prepared *prepared)
{
    return prepared->parameter_count;
}

kd_type kd_prepared_parameter_type(const kd_prepared *prepared, uint32_t index)
{
    assert(index < prepared->parameter_count);
    return prepared->parameter_types[index];
}

uint32_t kd_prepared_column_count(const kd_prepared *prepared)
{
    return prepared->column_count;
}

const kd_rel_column *kd_prepared_columns(const kd_prepared *prepared)
{
    return prepared->columns;
}

/* --- Runs ----------------------------------------------------------------------------------------
 */

static kd_status run_create(kd_ctx *ctx, kd_prepared *prepared, kd_run **out_run)
{
    *out_run = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "statement", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_run *run = KD_NEW(ctx, arena, kd_run);
    if (run == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    run->prepared = prepared;
    run->actuals = prepared->actuals;
    run->session = prepared->session;
    run->arena = arena;
    run->affected = -1;
    run->column_count = prepared->column_count;
    run->columns = prepared->columns;
    *out_run = run;
    return KD_OK;
}

/* Gives back what an attempt holds; the run itself stays for another one. */
static void run_release(kd_run *run)
{
    kd_execution_destroy(run->execution);
    run->execution = NULL;
    run->replan = NULL;
    kdi_result_release(run->result);
    run->result = NULL;
    kdi_result_draft_drop(run->draft);
    run->draft = NULL;
    run->result_key = (kd_slice){0};
    kd_catalog_unpin(run->catalog);
    run->catalog = NULL;
    run->rows = NULL;
    kd_row_log_destroy(run->log);
    run->log = NULL;
    run->log_next = 0;
    run->hides_own_work = false;
    run->given_count = 0;
}

static void run_unlink(kd_run *run)
{
    kd_session *session = run->session;
    kd_run **link = &session->runs;
    while (*link != NULL && *link != run)
        link = &(*link)->next;
    if (*link == run)
        *link = run->next;
    kdi_statement_end(session);
}

void kdi_run_park(kd_run *run)
{
    if (run->is_watched)
        kdi_watch_end(run->session);
    run->is_watched = false;
    run_unlink(run);
}

static void run_destroy(kd_run *run)
{
    run_release(run);
    if (run->is_watched)
        kdi_watch_end(run->session);
    run_unlink(run);
    if (run->session->runs == NULL)
        atomic_store(&run->session->progress.started_ns, 0);
    kd_arena_destroy(run->arena);
}

static kd_status cast_parameters(kd_ctx *ctx, kd_run *run, const kd_prepared *prepared,
                                 const kd_value *parameters, uint32_t parameter_count)
{
    run->parameter_count = prepared->parameter_count;
    run->parameters = KD_NEW_ARRAY(ctx, run->arena, kd_value, prepared->parameter_count + 1);
    if (run->parameters == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < prepared->parameter_count; i++) {
        kd_type type = prepared->parameter_types[i];
        kd_value given = i < parameter_count ? parameters[i] : kd_value_null(type);
        KD_TRY(kd_value_cast(ctx, run->arena, run->session->database->registry, &run->facts, &given,
                             type, KD_CAST_ASSIGNMENT, &run->parameters[i]));
    }
    return KD_OK;
}

static const char *spill_directory(const kd_session *session)
{
    return session->settings.temp_directory.size_bytes > 0 ? session->settings.temp_directory.data
                                                           : session->database->spill_directory;
}

/* As executions have it: 0 is none. */
static uint64_t spill_limit(const kd_session *session)
{
    int64_t limit = session->settings.temp_file_limit_bytes;
    return limit < 0 ? 0 : limit == 0 ? 1 : (uint64_t)limit;
}

static size_t memory_limit(const kd_run *run)
{
    const kd_settings *settings = &run->session->settings;
    bool is_other = run->is_maintenance && settings->maintenance_limit_bytes > 0;
    return (size_t)(is_other ? settings->maintenance_limit_bytes : settings->memory_limit_bytes);
}

/* Rows that the plan's scans are expected to read. */
static double scanned_rows(const kd_database *database, const kd_plan *plan, uint32_t depth)
{
    enum { DEPTH_MAX = 200 };
    if (plan == NULL || depth > DEPTH_MAX)
        return 0;
    if (plan->kind == KD_PLAN_SCAN) {
        kd_table *table = kd_table_find(database->storage, plan->as.scan.table->table_no);
        return table == NULL ? 0 : (double)kd_table_row_count_estimate(table);
    }
    double rows = 0;
    for (int i = 0; i < 2; i++)
        rows += scanned_rows(database, plan->inputs[i], depth + 1);
    for (uint32_t i = 0; i < plan->more_count; i++)
        rows += scanned_rows(database, plan->more[i], depth + 1);
    return rows;
}

void kdi_keep_actuals(kd_plan_actual *actuals, const kd_statement_plan *plan,
                      kd_execution *execution)
{
    const kd_plan_actual *found = execution == NULL ? NULL : kd_execution_actuals(execution);
    if (actuals != NULL && found != NULL)
        memcpy(actuals, found, (plan->plan_count + 1) * sizeof *actuals);
}

/* Queries, and inserts of what they find: who updates or deletes is not to miss rows. */
static bool may_skip_rows(const kd_run *run, const kd_bound_statement *bound)
{
    bool reads = bound == NULL || bound->kind == KD_DML_SELECT || bound->kind == KD_DML_INSERT;
    return run->session->settings.skip_damaged_rows != 0 && reads && !run->is_engines &&
           !run->is_maintenance;
}

static void skipped_tell(kd_run *run)
{
    kd_session *session = run->session;
    uint64_t rows = atomic_load(&run->skips.rows);
    uint64_t lost = atomic_load(&run->skips.lost_segments);
    if (rows > 0)
        kdi_session_notice(
            session, "WARNING", "XX001", "%llu rows in %llu damaged blocks were left out",
            (unsigned long long)rows, (unsigned long long)atomic_load(&run->skips.blocks));
    if (lost > 0)
        kdi_session_notice(session, "WARNING", "XX001",
                           "the rows of %llu segments that cannot be opened were left out",
                           (unsigned long long)lost);
}

kd_status kdi_run_execute(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                          kd_execution **out_execution)
{
    kd_session *session = run->session;
    kd_database *database = session->database;
    const kd_bound_statement *bound = run->bound;
    bool runs_routines = bound != NULL && bound->runs_routines; /* They have the session. */
    kd_execute_options options = {
        .workers = database->workers,
        .thread_max = runs_routines ? 1 : (unsigned)session->settings.threads,
        .governor = database->governor,
        .spill_directory = spill_directory(session),
        .spill_limit_bytes = spill_limit(session),
        .memory_limit_bytes = memory_limit(run),
        .waits_for_memory = run->owns_transaction && run->next == NULL,
        .txn = session->txn,
        .snapshot =
            run->reads_latest ? kd_table_settled(session->txn) : kd_txn_snapshot(session->txn),
        .storage = database->storage,
        .catalog = run->catalog,
        .facts = &run->facts,
        .parameters = run->parameters,
        .parameter_count = run->parameter_count,
        .collect_actuals = run->actuals != NULL,
        .progress_rows = run->phase != NULL ? &session->progress.work.rows_done : NULL,
        .skips = may_skip_rows(run, bound) ? &run->skips : NULL,
        .replanner = run->replan == NULL ? NULL : &run->replan->replanner,
        .given = run->given,
        .given_count = run->given_count,
    };
    if (run->phase != NULL) {
        double expected = scanned_rows(database, plan->root, 0);
        for (uint32_t i = 0; i < plan->cte_count; i++)
            expected += scanned_rows(database, plan->ctes[i], 0);
        kd_progress_begin(ctx, run->phase, (uint64_t)expected);
    }
    if (run->hides_own_work)
        options.snapshot.txn_no = 0;
    return kd_execution_create(ctx, run->arena, plan, &options, out_execution);
}

kd_status kdi_row_log_create(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                             const kd_rel_column *columns, uint32_t column_count,
                             kd_row_log **out_log)
{
    kd_row_log_options options = {
        .governor = session->database->governor,
        .spill_directory = spill_directory(session),
        .spill_limit_bytes = spill_limit(session),
        .memory_limit_bytes = (size_t)session->settings.memory_limit_bytes,
    };
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, column_count);
    *out_log = NULL;
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < column_count; c++)
        types[c] = columns[c].type;
    return kd_row_log_create(ctx, arena, &options, types, column_count, out_log);
}

kd_status kdi_run_start_log(kd_ctx *ctx, kd_run *run, const kd_rel_column *columns,
                            uint32_t column_count)
{
    run->columns = columns;
    run->column_count = column_count;
    if (column_count == 0)
        return KD_OK;
    return kdi_row_log_create(ctx, run->session, run->arena, columns, column_count, &run->log);
}

static kd_status parse_and_plan(kd_ctx *ctx, kd_prepared *prepared, planning *it)
{
    kd_statement statement;
    KD_TRY(kd_parse_statement(ctx, it->arena, prepared->text, &statement));
    it->node = statement.node;
    return bind_and_plan(ctx, prepared, it);
}

/* A plan for this run alone: for its values, or with views that are current for it. */
static kd_status plan_own(kd_ctx *ctx, kd_run *run, kd_prepared *prepared, bool for_values,
                          const kdi_view_choice *views, planning *out)
{
    if (run->own_arena == NULL)
        run->own_arena = kd_arena_create(ctx, run->arena, "plan", KD_ARENA_UNLIMITED);
    if (run->own_arena == NULL)
        return KD_NOMEM;
    kd_arena_reset(run->own_arena); /* Of an attempt before. */
    *out = (planning){.arena = run->own_arena,
                      .facts = &run->facts,
                      .values = for_values ? run->parameters : NULL,
                      .value_count = for_values ? run->parameter_count : 0,
                      .views = views,
                      .known = prepared->known,
                      .known_count = prepared->known_count};
    return parse_and_plan(ctx, prepared, out);
}

kd_status kdi_run_plan_known(kd_ctx *ctx, kd_run *run, kd_prepared *prepared, kd_arena *arena,
                             const kd_known_rows *known, uint32_t known_count,
                             const kd_bound_statement **out_bound,
                             const kd_statement_plan **out_plan)
{
    bool for_values = run->plan != prepared->plan;
    planning anew = {.arena = arena,
                     .facts = &run->facts,
                     .values = for_values ? run->parameters : NULL,
                     .value_count = for_values ? run->parameter_count : 0,
                     .known = known,
                     .known_count = known_count};
    KD_TRY(parse_and_plan(ctx, prepared, &anew));
    *out_bound = anew.bound;
    *out_plan = anew.plan;
    return KD_OK;
}

/* Which plan is run where none is kept that is better: the statement's own, or another one. */
static kd_status choose_with(kd_ctx *ctx, kd_run *run, kd_prepared *prepared,
                             const kdi_view_choice *views)
{
    bool for_values = kdi_plan_wants_values(prepared);
    planning own = {0};
    if (!for_values)
        prepared->choice.generic_runs++;
    if (!for_values && views->count == 0)
        return KD_OK;
    KD_TRY(plan_own(ctx, run, prepared, for_values, views, &own));
    if (for_values) {
        if (own.plan->view_uses == 0) /* Else it differs for another reason. */
            kdi_plan_note_values(prepared, own.plan);
        prepared->choice.custom_runs++;
    } else if (own.plan->view_uses == 0) {
        return KD_OK;
    }
    run->bound = own.bound;
    run->plan = own.plan;
    return KD_OK;
}

static kd_status choose_plan(kd_ctx *ctx, kd_run *run, kd_prepared *prepared)
{
    kdi_view_choice views;
    run->bound = prepared->bound;
    run->plan = prepared->plan;
    if (run->result != NULL)
        return KD_OK;
    KD_TRY(kdi_view_choice_make(ctx, run->arena, run, prepared, &views));
    kd_status status = choose_with(ctx, run, prepared, &views);
    kdi_view_choice_release(&views);
    return status;
}

kd_status kdi_run_plan_other(kd_ctx *ctx, kd_run *run, kd_prepared *prepared,
                             const kd_value *parameters, uint32_t parameter_count)
{
    KD_TRY(ensure_plan(ctx, prepared, run->catalog, run->session->txn));
    KD_TRY(cast_parameters(ctx, run, prepared, parameters, parameter_count));
    return choose_plan(ctx, run, prepared);
}

/* Rows that are kept from before, or what those of this run are to be kept under. */
static kd_status find_result(kd_ctx *ctx, kd_run *run)
{
    kd_session *session = run->session;
    kd_slice key;
    bool is_kept;
    KD_TRY(kdi_result_key(ctx, run->arena, run, run->prepared, &key, &is_kept));
    if (!is_kept)
        return KD_OK;
    run->result_next = 0;
    run->result =
        kdi_result_find(session->database->results, key, kd_txn_snapshot(session->txn).stamp);
    if (run->result == NULL)
        run->result_key = key;
    return KD_OK;
}

/* Binds the run to the session's transaction: catalog, facts, plan, parameters. */
static kd_status run_enter(kd_ctx *ctx, kd_run *run, const kd_value *parameters,
                           uint32_t parameter_count)
{
    kd_session *session = run->session;
    kd_prepared *prepared = run->prepared;
    KD_TRY(kd_catalog_pin(ctx, session->database->catalog, session->txn, &run->catalog));
    kdi_session_facts(session, run->catalog, &run->text, &run->facts);
    if (prepared->class == KDI_QUERY) {
        KD_TRY(ensure_plan(ctx, prepared, run->catalog, session->txn));
        run->columns = prepared->columns;
        run->column_count = prepared->column_count;
    }
    KD_TRY(cast_parameters(ctx, run, prepared, parameters, parameter_count));
    if (prepared->class != KDI_QUERY)
        return KD_OK;
    KD_TRY(find_result(ctx, run));
    return choose_plan(ctx, run, prepared);
}

/* Rows that are locked are given when all of them are: until then the statement may run again. */
static kd_status run_locking(kd_ctx *ctx, kd_run *run)
{
    KD_TRY(kdi_dml_read(ctx, run, run->plan, &run->rows));
    run->affected = (int64_t)run->rows->row_count;
    return kd_txn_wait_visible_durable(ctx, run->session->txn);
}

static bool plan_scans_only(const kd_plan *plan, uint32_t depth)
{
    enum { DEPTH_MAX = 200 };
    bool does = plan == NULL || depth < DEPTH_MAX;
    if (plan == NULL)
        return true;
    switch (plan->kind) {
    case KD_PLAN_INDEX_SCAN:
    case KD_PLAN_FUNCTION:
    case KD_PLAN_VIRTUAL:
    case KD_PLAN_APPLY:
    case KD_PLAN_LOCK_ROWS:
    case KD_PLAN_GIVEN:
        return false;
    default:
        break;
    }
    for (int i = 0; does && i < 2; i++)
        does = plan_scans_only(plan->inputs[i], depth + 1);
    for (uint32_t i = 0; does && i < plan->more_count; i++)
        does = plan_scans_only(plan->more[i], depth + 1);
    return does;
}

/* A query that takes rows from scans alone holds no memory but what those found: many changes may
 * come and go beside it. */
bool kdi_plan_scans_only(const kd_statement_plan *plan)
{
    bool does = plan->modifying_count == 0 && plan_scans_only(plan->root, 0);
    for (uint32_t i = 0; does && i < plan->cte_count; i++)
        does = plan_scans_only(plan->ctes[i], 0);
    return does;
}

static kd_status run_attempt(kd_ctx *ctx, kd_run *run, const kd_value *parameters,
                             uint32_t parameter_count)
{
    KD_TRY(run_enter(ctx, run, parameters, parameter_count));
    if (run->prepared->class == KDI_UTILITY)
        return kdi_utility_run(ctx, run);
    run->session->has_queried = true;
    if (run->bound->kind != KD_DML_SELECT || run->bound->modifying_cte_count > 0)
        return kdi_dml_run(ctx, run);
    run->affected = 0;
    if (run->result != NULL)
        return kd_txn_wait_visible_durable(ctx, run->session->txn);
    if (run->bound->for_update && run->actuals == NULL)
        return run_locking(ctx, run);
    if (run->session->runs == run && run->next == NULL && !run->hides_own_work &&
        kdi_plan_scans_only(run->plan))
        kd_txn_scan_only(run->session->txn); /* Before the first scan. */
    KD_TRY(kdi_replan_allow(ctx, run, run->prepared));
    KD_TRY(kdi_run_execute(ctx, run, run->plan, &run->execution));
    if (run->result_key.size_bytes > 0)
        run->draft = kdi_result_draft_begin(run, run->result_key);
    return KD_OK;
}

/* Undoes a failed attempt in transaction `txn_no`. `savepoint` is 0 when the statement is its own
 * transaction. */
static void undo_attempt(kd_session *session, bool owns, uint64_t txn_no, uint32_t savepoint)
{
    if (session->txn == NULL || (!owns && kd_txn_no(session->txn) != txn_no))
        return; /* The failing command ended it, and may have begun another. */
    if (owns)
        kdi_transaction_rollback(session);
    else
        kd_txn_rollback_to(session->txn, savepoint);
}

/* A conflict may be tried again where no row was given and no earlier statement's answer depends on
 * the old snapshot. */
static bool may_retry(kd_session *session, kd_status status, bool owns)
{
    if (status != KD_CONFLICT || strcmp(session->ctx.error.sqlstate, "40P01") == 0)
        return false;
    return owns || (session->txn != NULL && kd_txn_isolation(session->txn) == KD_READ_COMMITTED);
}

void kdi_conflict_pause(kd_ctx *ctx, int attempt)
{
    if (attempt == 0)
        return;
    int doublings = attempt < RETRY_DOUBLINGS_MAX ? attempt : RETRY_DOUBLINGS_MAX;
    ctx->world->sleep_ns(ctx->world, (uint64_t)RETRY_PAUSE_NS << doublings);
}

static kd_status run_with_retries(kd_ctx *ctx, kd_run *run, const kd_value *parameters,
                                  uint32_t parameter_count)
{
    kd_session *session = run->session;
    for (int attempt = 0;; attempt++) {
        uint32_t savepoint = 0;
        KD_TRY(kdi_transaction_ensure(ctx, session, &run->owns_transaction));
        kdi_statement_begin(session, run->next != NULL);
        uint64_t txn_no = kd_txn_no(session->txn);
        if (!run->owns_transaction)
            KD_TRY(kd_txn_savepoint(ctx, session->txn, &savepoint));
        kd_status status = run_attempt(ctx, run, parameters, parameter_count);
        if (status == KD_OK)
            status = kdi_deferred_run(ctx, session, false);
        if (status == KD_OK) {
            if (!run->owns_transaction)
                kd_txn_release(session->txn, savepoint);
            return KD_OK;
        }
        bool again = may_retry(session, status, run->owns_transaction) &&
                     attempt < KDI_CONFLICT_RETRIES && ctx == &session->ctx;
        run_release(run);
        undo_attempt(session, run->owns_transaction, txn_no, savepoint);
        if (!again) {
            kdi_note_failure(session);
            return status;
        }
        kd_error_clear(ctx);
        kdi_conflict_pause(ctx, attempt);
    }
}

static kd_status run_transaction_command(kd_ctx *ctx, kd_run *run)
{
    const kd_ast_node *node = run->prepared->statement.node;
    kd_status status =
        node->kind == KD_AST_SET
            ? kdi_set_transaction(ctx, run->session, (const kd_ast_set *)node, run->tag)
            : kdi_transaction_command(ctx, run->session, (const kd_ast_transaction *)node,
                                      run->tag);
    if (status != KD_OK)
        kdi_note_failure(run->session);
    return status;
}

/* For tests: what was written goes through flush and compaction before the next statement. */
static kd_status flush_for_tests(kd_ctx *ctx, kd_session *session)
{
    kd_slice mode = session->settings.flush_mode;
    session->statement_count++;
    if (session->txn != NULL || session->database->read_only ||
        kd_slice_equal(mode, KD_SLICE("off")))
        return KD_OK;
    bool always = kd_slice_equal(mode, KD_SLICE("always"));
    if (always || session->statement_count % 3 == 0)
        return kd_storage_flush(ctx, session->database->storage,
                                !always && session->statement_count % 7 == 0);
    return KD_OK;
}

/* A statement that has done all its work in begin is committed there, if it is its own transaction.
 */
static kd_status commit_if_done(kd_ctx *ctx, kd_run *run)
{
    if (run->execution != NULL || !run->owns_transaction || run->session->txn == NULL)
        return KD_OK;
    kd_catalog_unpin(run->catalog);
    run->catalog = NULL;
    run->owns_transaction = false;
    KD_TRY(kdi_transaction_commit(ctx, run->session));
    return flush_for_tests(ctx, run->session);
}

static bool is_short(const kd_prepared *prepared)
{
    return (prepared->short_read != NULL || prepared->short_write != NULL) &&
           prepared->actuals == NULL &&
           (prepared->parameter_count == 0 ||
            prepared->session->settings.plan_cache_mode != KDI_PLAN_CUSTOM) &&
           prepared->settings_stamp == settings_stamp(prepared->session);
}

static kd_status short_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                             uint32_t parameter_count, kd_run **out_run)
{
    if (prepared->short_read != NULL)
        return kdi_short_read_begin(ctx, prepared, parameters, parameter_count, out_run);
    KD_TRY(kdi_short_write_begin(ctx, prepared, parameters, parameter_count, out_run));
    kd_status status = *out_run == NULL ? KD_OK : flush_for_tests(ctx, prepared->session);
    if (status != KD_OK) {
        kdi_short_run_close(*out_run);
        *out_run = NULL;
    }
    return status;
}

/* Open cursors do not see what is written after they were declared. */
static bool may_write(const kd_prepared *prepared)
{
    if (prepared->class == KDI_QUERY)
        return prepared->bound == NULL || prepared->bound->kind != KD_DML_SELECT ||
               prepared->bound->modifying_cte_count > 0;
    if (prepared->class != KDI_UTILITY)
        return false;
    switch (prepared->statement.node->kind) {
    case KD_AST_DECLARE_CURSOR:
    case KD_AST_FETCH:
    case KD_AST_CLOSE:
    case KD_AST_PREPARE:
    case KD_AST_EXECUTE:
    case KD_AST_DEALLOCATE:
        return false;
    default:
        return true;
    }
}

kd_status kd_run_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                       uint32_t parameter_count, kd_run **out_run)
{
    kd_status status = KD_OK;
    kd_session *session = prepared->session;
    *out_run = NULL;
    kd_run *run = NULL;
    bool settles = session->cursors != NULL && may_write(prepared);
    if (is_short(prepared) && !settles) {
        KD_TRY_OUT(short_begin(ctx, prepared, parameters, parameter_count, out_run));
        if (*out_run != NULL) {
            prepared->choice.generic_runs++;
            return KD_OK;
        }
    }
    KD_TRY_OUT(run_create(ctx, prepared, &run));
    run->next = session->runs;
    session->runs = run;
    run->phase = "query";
    run->started_ns = ctx->world->monotonic_ns(ctx->world);
    if (run->next == NULL) { /* Not inside another statement. */
        atomic_store_explicit(&session->cancelled, false, memory_order_relaxed);
        kd_progress_begin(ctx, "query", 0);
        session->progress.told_ns = run->started_ns;
        atomic_store(&session->progress.started_ns, run->started_ns);
    }
    if (run->next == NULL && session->settings.statement_timeout_ms > 0) {
        uint64_t timeout_ns = (uint64_t)session->settings.statement_timeout_ms * 1000000;
        KD_TRY_OUT(kdi_watch_begin(ctx, session, run->started_ns + timeout_ns));
        run->is_watched = true;
    }

    if (prepared->class == KDI_TRANSACTION) {
        KD_TRY_OUT(run_transaction_command(ctx, run));
    } else if (prepared->class != KDI_EMPTY) {
        if (session->state == KD_SESSION_FAILED) {
            status = kdi_aborted(ctx);
            goto out;
        }
        if (settles)
            KD_TRY_OUT(kdi_cursors_settle(ctx, session, false));
        KD_TRY_OUT(run_with_retries(ctx, run, parameters, parameter_count));
        KD_TRY_OUT(commit_if_done(ctx, run));
    }
    *out_run = run;
out:
    if (status != KD_OK)
        kdi_watch_explain(ctx, session);
    if (status != KD_OK && run != NULL)
        run_destroy(run);
    return status;
}

static void run_failed(kd_run *run)
{
    kd_session *session = run->session;
    kd_execution_destroy(run->execution);
    run->execution = NULL;
    run->is_done = true;
    if (session->txn == NULL)
        return;
    if (run->owns_transaction)
        kdi_transaction_rollback(session);
    else
        kdi_note_failure(session);
    run->owns_transaction = false;
}

static void result_next(kd_run *run, kd_batch *out_batch, bool *out_end)
{
    run->is_done = *out_end = !kdi_result_batch(run->result, run->result_next++, out_batch);
    run->affected += out_batch->selected_count;
}

/* Rows that were given are kept as well, when all of them are there. */
static void draft_note(kd_run *run, const kd_batch *batch, bool is_end)
{
    if (batch->selected_count > 0 && !kdi_result_draft_add(run->draft, batch)) {
        run->draft = NULL;
    } else if (is_end) {
        kdi_result_draft_keep(run->draft);
        run->draft = NULL;
    }
}

kd_status kd_run_next(kd_ctx *ctx, kd_run *run, kd_batch *out_batch, bool *out_end)
{
    *out_batch = (kd_batch){0};
    *out_end = run->is_done;
    if (run->is_done)
        return KD_OK;
    if (run->is_short) {
        kdi_short_read_next(run, out_batch);
        return KD_OK;
    }
    if (run->result != NULL) {
        result_next(run, out_batch, out_end);
        return KD_OK;
    }
    if (run->rows != NULL) {
        kdi_row_set_next(run->rows, out_batch, out_end);
        run->is_done = *out_end;
        return KD_OK;
    }
    if (run->log != NULL) {
        KD_TRY(kd_row_log_read(ctx, run->log, run->log_next, KD_BATCH_ROWS, out_batch));
        run->log_next += out_batch->selected_count;
        run->is_done = *out_end = out_batch->selected_count == 0;
        return KD_OK;
    }
    if (run->execution == NULL) {
        run->is_done = true;
        *out_end = true;
        return KD_OK;
    }
    kd_status status = kdi_replan_next(ctx, run, out_batch, out_end);
    /* What was read is told only when a crash cannot take it back. */
    if (status == KD_OK && out_batch->selected_count > 0 && run->session->txn != NULL)
        status = kd_txn_wait_visible_durable(ctx, run->session->txn);
    if (status != KD_OK) {
        *out_batch = (kd_batch){0};
        *out_end = true;
        kdi_watch_explain(ctx, run->session);
        run_failed(run);
        return status;
    }
    run->affected += out_batch->selected_count;
    if (run->draft != NULL)
        draft_note(run, out_batch, *out_end);
    if (*out_end)
        run->is_done = true;
    return KD_OK;
}

kd_status kd_run_end(kd_ctx *ctx, kd_run *run)
{
    kd_session *session = run->session;
    kd_status status = KD_OK;
    bool owns = run->owns_transaction;
    if (run->is_short) {
        kdi_short_run_close(run);
        return KD_OK;
    }
    skipped_tell(run);
    run_destroy(run);
    if (owns && session->txn != NULL) {
        status = kdi_transaction_commit(ctx, session);
        if (status == KD_OK)
            status = flush_for_tests(ctx, session);
    }
    return status;
}

void kd_run_abandon(kd_run *run)
{
    if (run == NULL)
        return;
    if (run->is_short) {
        kdi_short_run_close(run);
        return;
    }
    kd_session *session = run->session;
    bool owns = run->owns_transaction;
    run_destroy(run);
    if (owns && session->txn != NULL)
        kdi_transaction_rollback(session);
}

const char *kd_run_tag(const kd_run *run)
{
    if (run->prepared->class == KDI_QUERY && run->prepared->bound->kind == KD_DML_SELECT)
        kdi_set_tag_count((kd_run *)(uintptr_t)run, "SELECT");
    return run->tag;
}

int64_t kd_run_affected(const kd_run *run)
{
    return run->affected;
}

const kd_text_settings *kd_run_text_settings(const kd_run *run)
{
    return &run->text;
}

uint32_t kd_run_column_count(const kd_run *run)
{
    return run->column_count;
}

const kd_rel_column *kd_run_columns(const kd_run *run)
{
    return run->columns;
}

/* --- Inside the engine
 * ---------------------------------------------------------------------------- */

static kd_status drain(kd_ctx *ctx, kd_run *run)
{
    bool end = run->execution == NULL;
    while (!end) {
        kd_batch batch;
        KD_TRY(kd_execution_next(ctx, run->execution, &batch, &end));
        run->affected += batch.selected_count;
    }
    return KD_OK;
}

static kd_status run_internal(kd_ctx *ctx, kd_session *session, kd_slice text,
                              const kd_value *parameters, uint32_t parameter_count,
                              const char *phase, int64_t *out_affected)
{
    kd_status status = KD_OK;
    kd_prepared *prepared = NULL;
    kd_run *run = NULL;
    if (out_affected != NULL)
        *out_affected = 0;
    KD_TRY_OUT(kd_prepared_create(ctx, session, text, NULL, 0, &prepared));
    KD_TRY_OUT(run_create(ctx, prepared, &run));
    run->reads_latest = true;
    run->is_engines = true;
    run->phase = phase;
    run->is_maintenance = phase != NULL; /* kdi_query_check */
    KD_TRY_OUT(run_attempt(ctx, run, parameters, parameter_count));
    KD_TRY_OUT(drain(ctx, run));
    if (out_affected != NULL)
        *out_affected = run->affected;
out:
    if (run != NULL)
        run_destroy(run);
    kd_prepared_destroy(prepared);
    return status;
}

/* The next rows of a run that is linked nowhere: what it kept, or what it computes. */
static kd_status nested_next(kd_ctx *ctx, kd_run *run, kd_batch *out_batch, bool *out_end)
{
    *out_batch = (kd_batch){0};
    *out_end = true;
    if (run->rows != NULL) {
        kdi_row_set_next(run->rows, out_batch, out_end);
    } else if (run->log != NULL) {
        KD_TRY(kd_row_log_read(ctx, run->log, run->log_next, KD_BATCH_ROWS, out_batch));
        run->log_next += out_batch->selected_count;
        *out_end = out_batch->selected_count == 0;
    } else if (run->execution != NULL) {
        return kd_execution_next(ctx, run->execution, out_batch, out_end);
    }
    return KD_OK;
}

static kd_status give_batch(kd_ctx *ctx, const kdi_nested *nested, kd_arena *arena,
                            const kd_batch *batch)
{
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, batch->column_count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = batch->selection == NULL ? i : batch->selection[i];
        for (uint32_t c = 0; c < batch->column_count; c++)
            values[c] = kd_vector_get(&batch->columns[c], row);
        KD_TRY(nested->take(ctx, nested->object, values, batch->column_count));
    }
    return KD_OK;
}

kd_status kdi_run_nested(kd_ctx *ctx, kd_session *session, const kdi_nested *nested)
{
    kd_status status = KD_OK;
    kd_prepared *prepared = NULL;
    kd_run *run = NULL;
    KD_TRY_OUT(kd_prepared_create(ctx, session, nested->text, nested->types,
                                  nested->parameter_count, &prepared));
    KD_TRY_OUT(run_create(ctx, prepared, &run));
    run->reads_latest = nested->reads_latest;
    run->phase = nested->phase;
    run->is_engines = run->is_maintenance = nested->phase != NULL;
    KD_TRY_OUT(run_attempt(ctx, run, nested->parameters, nested->parameter_count));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(nested_next(ctx, run, &batch, &end));
        if (batch.selected_count > 0 && nested->take != NULL)
            KD_TRY_OUT(give_batch(ctx, nested, run->arena, &batch));
    }
out:
    if (run != NULL)
        run_destroy(run);
    kd_prepared_destroy(prepared);
    return status;
}

kd_status kdi_run_internal(kd_ctx *ctx, kd_session *session, kd_slice text,
                           const kd_value *parameters, uint32_t parameter_count,
                           int64_t *out_affected)
{
    return run_internal(ctx, session, text, parameters, parameter_count, NULL, out_affected);
}

kd_status kdi_query_check(kd_ctx *ctx, kd_session *session, kd_slice text, int64_t *out_found)
{
    return run_internal(ctx, session, text, NULL, 0, "check", out_found);
}

kd_status kd_session_format_type(kd_ctx *ctx, kd_session *session, kd_type type, kd_buffer *out)
{
    if (!kd_type_is_named(type))
        return kd_type_format(ctx, type, out);
    const kd_catalog_version *catalog = session->catalog;
    if (catalog == NULL && session->runs != NULL)
        catalog = session->runs->catalog;
    const kd_object *object = catalog == NULL ? NULL : kd_catalog_get(catalog, type.object);
    KD_TRY(kd_buffer_append_slice(
        ctx, out,
        object == NULL ? kd_slice_of(kd_type_internal_name(kd_type_element(type))) : object->name));
    return type.is_array ? kd_buffer_append_text(ctx, out, "[]") : KD_OK;
}
