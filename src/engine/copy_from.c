/*
 * COPY ... FROM: files and STDIN into a table.
 *
 * Two ways. A large file for a table without checks, references, generated
 * columns or partitions is parsed and encoded on all threads, each with a bulk
 * loader of its own. Everything else goes through the table's writer, batch by
 * batch, in the file's order.
 */
#include "engine/copy_internal.h"

#include "engine/copy_binary.h"

#include <assert.h>
#include <stdio.h>

enum {
    WORKERS_MAX = 16,
    REJECTS_KEPT_MAX = 100000,
    PROGRESS_BATCHES = 64,
};

typedef struct load load;

typedef struct load_worker {
    load *owner;
    kd_ctx ctx;
    kd_arena *arena;
    kd_csv_worker *csv; /* One of the two. */
    kd_ndjson_worker *json;
    kd_bulk_load *bulk;
    uint64_t row_count;
    kd_status status;
} load_worker;

struct load {
    kd_run *run;
    const kdi_copy_options *options;
    const kd_table_entry *table;
    kd_text_source *source;
    kd_csv_reader *csv;
    kd_ndjson_reader *json;
    kdi_binary_reader *binary;
    kd_import_column *columns; /* Of the file, in its order. */
    uint32_t *positions;       /* The table's position of each. */
    uint32_t column_count;
    atomic_bool stop; /* A worker failed, or the statement was cancelled. */
    atomic_uint_least64_t rows;
    kd_mutex mutex;            /* Guards the rejects. */
    kd_import_rejects rejects; /* Copied into the run's arena. */
    uint64_t reject_count;
};

/* --- The file's columns
 * ------------------------------------------------------------------------------ */

static int find_column(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].hidden && kd_slice_equal(table->columns[i].storage.name, name))
            return (int)i;
    return -1;
}

static kd_status choose_columns(kd_ctx *ctx, load *work, const kd_ast_names *names)
{
    const kd_table_entry *table = work->table;
    kd_arena *arena = work->run->arena;
    uint32_t most = names->count > 0 ? (uint32_t)names->count : table->visible_count;
    work->columns = KD_NEW_ARRAY(ctx, arena, kd_import_column, most);
    work->positions = KD_NEW_ARRAY(ctx, arena, uint32_t, most);
    if (work->columns == NULL || work->positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < most; i++) {
        int position = names->count > 0 ? find_column(table, names->items[i]) : (int)i;
        if (position < 0)
            return KD_FAIL(ctx, KD_INVALID, "42703",
                           "column \"%.*s\" of relation \"%.*s\" does not exist",
                           (int)names->items[i].size_bytes, names->items[i].data,
                           (int)table->object.name.size_bytes, table->object.name.data);
        const kd_column *column = &table->columns[position];
        if (column->generated && names->count > 0)
            return KD_FAIL(ctx, KD_INVALID, "42P10", "column \"%.*s\" is a generated column",
                           (int)column->storage.name.size_bytes, column->storage.name.data);
        if (column->generated)
            continue;
        for (uint32_t k = 0; k < work->column_count; k++)
            if (work->positions[k] == (uint32_t)position)
                return KD_FAIL(ctx, KD_INVALID, "42701", "column \"%.*s\" specified more than once",
                               (int)column->storage.name.size_bytes, column->storage.name.data);
        work->positions[work->column_count] = (uint32_t)position;
        work->columns[work->column_count++] =
            (kd_import_column){.name = column->storage.name, .type = column->storage.type};
    }
    return KD_OK;
}

/* --- Sources
 * ------------------------------------------------------------------------------------------- */

static kd_status read_hook(kd_ctx *ctx, void *object, void *target, size_t capacity_bytes,
                           size_t *out_bytes)
{
    kd_session *session = object;
    if (!session->hooks.copy_read(session->hooks.object, target, capacity_bytes, out_bytes))
        return KD_FAIL(ctx, KD_CANCELLED, "57014", "COPY from stdin failed");
    return KD_OK;
}

static kd_status open_source(kd_ctx *ctx, load *work, const kd_ast_copy *ast)
{
    kd_session *session = work->run->session;
    const char *path;
    if (!ast->is_standard) {
        KD_TRY(kdi_copy_path(ctx, work->run, ast, &path));
        /* Files are the machine's, also for a database in memory. */
        kd_world *world = ctx->world;
        ctx->world = session->database->is_memory ? kd_world_memory_below(world) : world;
        kd_status status = kd_text_source_open(ctx, work->run->arena, path, &work->source);
        ctx->world = world;
        return status;
    }
    if (session->hooks.copy_read == NULL)
        return KD_FAIL(ctx, KD_INVALID, "08P01", "there is no data for COPY FROM STDIN here");
    KD_TRY(kdi_copy_announce(ctx, session, true, work->options->format, work->column_count));
    return kd_text_source_open_callback(ctx, work->run->arena, read_hook, session, &work->source);
}

static kd_status open_reader(kd_ctx *ctx, load *work)
{
    const kdi_copy_options *options = work->options;
    if (options->format >= KDI_COPY_ARROW)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COPY FROM does not read Arrow files");
    if (options->format == KDI_COPY_BINARY)
        return kdi_binary_reader_create(ctx, work->run, work->source, work->columns,
                                        work->column_count, &work->binary);
    if (options->format == KDI_COPY_JSON) {
        kd_ndjson_options json = {.on_error = options->on_error,
                                  .columns = work->columns,
                                  .column_count = work->column_count};
        return kd_ndjson_reader_create(ctx, work->run->arena, work->source, &json, &work->json);
    }
    bool is_csv = options->format == KDI_COPY_CSV;
    kd_csv_options csv = kd_csv_options_default();
    csv.format = is_csv ? KD_CSV_CSV : KD_CSV_TEXT;
    csv.header = options->header;
    csv.delimiter = options->delimiter != 0 ? options->delimiter : is_csv ? ',' : '\t';
    csv.quote = options->quote != 0 ? options->quote : '"';
    csv.escape = options->escape;
    csv.null_text = options->null_text;
    csv.on_error = options->on_error;
    csv.columns = work->columns;
    csv.column_count = work->column_count;
    return kd_csv_reader_create(ctx, work->run->arena, work->source, &csv, &work->csv);
}

/* --- Workers
 * -------------------------------------------------------------------------------------------- */

static kd_status keep_text(kd_ctx *ctx, kd_arena *arena, const char *text, const char **out_copy)
{
    *out_copy = text == NULL ? NULL : kd_copy_text(ctx, arena, text, strlen(text));
    return text != NULL && *out_copy == NULL ? KD_NOMEM : KD_OK;
}

static kd_status keep_reject(kd_ctx *ctx, load *work, const kd_import_reject *reject)
{
    kd_arena *arena = work->run->arena;
    kd_import_reject *added;
    work->reject_count++;
    if (work->options->rejects_table.size_bytes == 0 || work->rejects.count >= REJECTS_KEPT_MAX)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, arena, work->rejects.items, work->rejects.count, work->rejects.capacity,
                   &added));
    *added = *reject;
    KD_TRY(keep_text(ctx, arena, reject->column, &added->column));
    KD_TRY(keep_text(ctx, arena, reject->reason, &added->reason));
    const char *record = kd_copy_text(ctx, arena, reject->record.data, reject->record.size_bytes);
    added->record.data = record;
    return record == NULL ? KD_NOMEM : KD_OK;
}

static kd_status keep_rejects(kd_ctx *ctx, load_worker *worker)
{
    load *work = worker->owner;
    const kd_import_rejects *found = worker->csv != NULL ? kd_csv_worker_rejects(worker->csv)
                                                         : kd_ndjson_worker_rejects(worker->json);
    kd_status status = KD_OK;
    if (found->count == 0)
        return KD_OK;
    kd_mutex_lock(&work->mutex);
    for (size_t i = 0; i < found->count && status == KD_OK; i++)
        status = keep_reject(ctx, work, &found->items[i]);
    kd_mutex_unlock(&work->mutex);
    return status;
}

static kd_status next_batch(kd_ctx *ctx, load_worker *worker, kd_batch *out_batch)
{
    if (worker->owner->binary != NULL)
        return kdi_binary_reader_next(ctx, worker->owner->binary, out_batch);
    KD_TRY(worker->csv != NULL ? kd_csv_worker_next(ctx, worker->csv, out_batch)
                               : kd_ndjson_worker_next(ctx, worker->json, out_batch));
    return keep_rejects(ctx, worker);
}

static kd_status worker_create(kd_ctx *ctx, load *work, load_worker *out_worker)
{
    *out_worker = (load_worker){.owner = work};
    out_worker->ctx = (kd_ctx){.world = ctx->world, .cancelled = ctx->cancelled};
    kd_error_clear(&out_worker->ctx);
    out_worker->arena = kd_arena_create(ctx, work->run->arena, "copy", KD_ARENA_UNLIMITED);
    if (out_worker->arena == NULL)
        return KD_NOMEM;
    if (work->binary != NULL)
        return KD_OK;
    if (work->json != NULL)
        return kd_ndjson_worker_create(ctx, out_worker->arena, work->json, &work->run->text,
                                       &out_worker->json);
    return kd_csv_worker_create(ctx, out_worker->arena, work->csv, &work->run->text,
                                &out_worker->csv);
}

static kd_status report_progress(kd_ctx *ctx, load *work)
{
    kd_progress *progress = &work->run->session->progress.work;
    uint64_t rows = atomic_load_explicit(&work->rows, memory_order_relaxed);
    uint64_t done = kd_text_source_consumed_bytes(work->source);
    uint64_t total = kd_text_source_total_bytes(work->source);
    uint64_t expected = done == 0 || total == 0 ? 0 : rows * total / done;
    atomic_store(&progress->phase, "load");
    atomic_store(&progress->rows_done, rows);
    atomic_store(&progress->rows_expected, expected);
    return kd_progress_add(ctx, 0);
}

/* --- In bulk
 * --------------------------------------------------------------------------------------------- */

static kd_status bulk_rows(load_worker *worker, bool reports)
{
    load *work = worker->owner;
    kd_ctx *ctx = &worker->ctx;
    if (reports)
        ctx->progress = &work->run->session->progress.work;
    for (uint32_t batches = 0; !atomic_load_explicit(&work->stop, memory_order_relaxed);
         batches++) {
        kd_batch batch;
        KD_TRY(next_batch(ctx, worker, &batch));
        if (batch.row_count == 0)
            return kd_bulk_load_finish(ctx, worker->bulk);
        KD_TRY(kd_bulk_load_append(ctx, worker->bulk, &batch));
        worker->row_count += batch.selected_count;
        (void)atomic_fetch_add_explicit(&work->rows, batch.selected_count, memory_order_relaxed);
        if (reports && batches % PROGRESS_BATCHES == 0)
            KD_TRY(report_progress(ctx, work));
    }
    return KD_OK; /* Another worker has failed. */
}

static void bulk_worker(void *object)
{
    load_worker *worker = object;
    worker->status = bulk_rows(worker, false);
    if (worker->status != KD_OK)
        atomic_store_explicit(&worker->owner->stop, true, memory_order_relaxed);
}

/* The columns of the file as a shape of their own: the storage fills the others with NULL. */
static bool covers_all_columns(const load *work)
{
    if (work->column_count != work->table->column_count)
        return false;
    for (uint32_t i = 0; i < work->column_count; i++)
        if (work->positions[i] != i)
            return false;
    return true;
}

static bool may_load_in_bulk(const load *work)
{
    const kd_table_entry *table = work->table;
    uint64_t least_bytes = work->run->session->database->bulk_bytes_min;
    return work->binary == NULL && work->source != NULL &&
           kd_text_source_total_bytes(work->source) >= least_bytes &&
           table->strategy == KD_PARTITION_NONE && table->parent_no == 0 &&
           table->check_count == 0 && table->foreign_count == 0 && covers_all_columns(work);
}

static unsigned bulk_threads(const load *work)
{
    kd_session *session = work->run->session;
    unsigned threads = (unsigned)session->settings.threads;
    kd_world *world = session->database->world;
    if (threads == 0)
        threads = world->processor_count(world);
    return threads > WORKERS_MAX ? WORKERS_MAX : threads == 0 ? 1 : threads;
}

static kd_status load_in_bulk(kd_ctx *ctx, load *work)
{
    kd_status status = KD_OK;
    kd_session *session = work->run->session;
    unsigned count = bulk_threads(work), created = 0, started = 0;
    load_worker workers[WORKERS_MAX];
    kd_thread *threads[WORKERS_MAX] = {NULL};
    KD_TRY_OUT(kd_txn_lock_table(ctx, session->txn, work->table->table_no, KD_TABLE_WRITE, false));
    kd_table *storage = kd_table_find(session->database->storage, work->table->table_no);
    for (; created < count; created++) {
        KD_TRY_OUT(worker_create(ctx, work, &workers[created]));
        KD_TRY_OUT(kd_bulk_load_begin(ctx, session->txn, storage, work->table->shape,
                                      &workers[created].bulk));
    }
    for (started = 1; started < count; started++)
        KD_TRY_OUT(kd_thread_start(ctx, "copy", bulk_worker, &workers[started], &threads[started]));
    workers[0].status = bulk_rows(&workers[0], true);
out:
    if (status != KD_OK || (created > 0 && workers[0].status != KD_OK))
        atomic_store_explicit(&work->stop, true, memory_order_relaxed);
    for (unsigned i = 1; i < WORKERS_MAX; i++)
        kd_thread_join(session->database->world, threads[i]);
    for (unsigned i = 0; i < created; i++) {
        if (status == KD_OK && workers[i].status != KD_OK) {
            status = workers[i].status;
            ctx->error = workers[i].ctx.error;
        }
        work->run->affected += (int64_t)workers[i].row_count;
        kd_bulk_load_destroy(workers[i].bulk);
    }
    return status;
}

/* --- Through the writer
 * ------------------------------------------------------------------------------------ */

static kd_status filter_batch(kd_ctx *ctx, load *work, kd_compiled_expr *where, kd_arena *arena,
                              kd_batch *batch, uint16_t *selection)
{
    uint32_t count;
    if (where == NULL)
        return KD_OK;
    kd_arena_reset(arena);
    KD_TRY(kd_expr_select(ctx, where, arena, batch, selection, &count));
    batch->selection = selection;
    batch->selected_count = count;
    (void)work;
    return KD_OK;
}

/* WHERE of COPY: over the table's columns that the file gives. */
static kd_status compile_where(kd_ctx *ctx, load *work, const kd_ast_node *node,
                               kd_compiled_expr **out_where)
{
    kd_run *run = work->run;
    kd_bind_options options;
    kd_column_id *shape_ids;
    kd_expr *bound;
    *out_where = NULL;
    if (node == NULL)
        return KD_OK;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, run->arena, kd_column_id, work->column_count);
    if (ids == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_expression(ctx, run->arena, &options, node, work->table,
                              kd_type_of(KD_TYPE_BOOL), &shape_ids, &bound));
    for (uint32_t i = 0; i < work->column_count; i++)
        ids[i] = shape_ids[work->positions[i]];
    return kd_expr_compile(ctx, run->arena, bound, ids, work->column_count, &run->facts, NULL, 0,
                           out_where);
}

static kd_status load_in_order(kd_ctx *ctx, load *work, const kd_ast_copy *ast)
{
    kd_run *run = work->run;
    load_worker worker;
    kdi_table_writer *writer;
    kd_compiled_expr *where;
    uint16_t selection[KD_BATCH_ROWS];
    KD_TRY(compile_where(ctx, work, ast->where, &where));
    KD_TRY(kdi_table_writer_create(ctx, run->arena, run, work->table, work->positions,
                                   work->column_count, &writer));
    KD_TRY(worker_create(ctx, work, &worker));
    kd_arena *arena = kd_arena_create(ctx, run->arena, "copy filter", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    for (uint32_t batches = 0;; batches++) {
        kd_batch batch;
        KD_TRY(next_batch(ctx, &worker, &batch));
        if (batch.row_count == 0)
            return KD_OK;
        KD_TRY(filter_batch(ctx, work, where, arena, &batch, selection));
        if (batch.selected_count > 0)
            KD_TRY(kdi_table_writer_insert(ctx, writer, &batch, NULL));
        run->affected += batch.selected_count;
        (void)atomic_fetch_add_explicit(&work->rows, batch.selected_count, memory_order_relaxed);
        if (batches % PROGRESS_BATCHES == 0)
            KD_TRY(report_progress(ctx, work));
    }
}

/* --- Rejects
 * -------------------------------------------------------------------------------------------------
 */

static kd_value text_or_null(const char *text)
{
    return text == NULL ? kd_value_null(kd_type_of(KD_TYPE_TEXT))
                        : kd_value_text(kd_slice_of(text));
}

static kd_status store_rejects(kd_ctx *ctx, load *work, const kd_ast_copy *ast)
{
    kd_session *session = work->run->session;
    kd_slice name = work->options->rejects_table;
    if (work->reject_count > 0)
        kdi_session_notice(
            session, "NOTICE", "01000", "%llu row%s could not be read and %s left out",
            (unsigned long long)work->reject_count, work->reject_count == 1 ? "" : "s",
            work->reject_count == 1 ? "was" : "were");
    if (name.size_bytes == 0)
        return KD_OK;
    char *create = kd_format_text(ctx, work->run->arena,
                                  "CREATE TABLE IF NOT EXISTS \"%.*s\" (file text, line bigint, "
                                  "column_name text, sqlstate text, reason text, record text)",
                                  (int)name.size_bytes, name.data);
    char *insert = kd_format_text(ctx, work->run->arena,
                                  "INSERT INTO \"%.*s\" VALUES ($1, $2, $3, $4, $5, $6)",
                                  (int)name.size_bytes, name.data);
    if (create == NULL || insert == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_run_internal(ctx, session, kd_slice_of(create), NULL, 0, NULL));
    for (size_t i = 0; i < work->rejects.count; i++) {
        const kd_import_reject *reject = &work->rejects.items[i];
        kd_value values[6] = {kd_value_text(ast->is_standard ? KD_SLICE("stdin") : ast->file),
                              kd_value_i64((int64_t)reject->line),
                              text_or_null(reject->column),
                              text_or_null(reject->sqlstate),
                              text_or_null(reject->reason),
                              kd_value_text(reject->record)};
        KD_TRY(kdi_run_internal(ctx, session, kd_slice_of(insert), values, 6, NULL));
    }
    return KD_OK;
}

/* --- The statement
 * --------------------------------------------------------------------------------------------- */

static kd_status target_table(kd_ctx *ctx, kd_run *run, const kd_ast_name *name,
                              const kd_table_entry **out_table)
{
    kd_bind_options options;
    const kd_object *object;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, name, false, &object));
    if (object->kind != KD_OBJECT_TABLE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "cannot copy to \"%.*s\": it is not a table",
                       (int)name->name.size_bytes, name->name.data);
    *out_table = (const kd_table_entry *)object;
    return KD_OK;
}

kd_status kdi_copy_from(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast,
                        const kdi_copy_options *options)
{
    kd_status status = KD_OK;
    load work = {.run = run, .options = options};
    kd_mutex_init(&work.mutex, ctx->world);
    run->affected = 0;
    KD_TRY_OUT(target_table(ctx, run, &ast->table, &work.table));
    if (kd_txn_is_read_only(run->session->txn)) {
        status = KD_FAIL(ctx, KD_INVALID, "25006",
                         "cannot execute COPY FROM in a read-only transaction");
        goto out;
    }
    KD_TRY_OUT(choose_columns(ctx, &work, &ast->columns));
    KD_TRY_OUT(open_source(ctx, &work, ast));
    KD_TRY_OUT(open_reader(ctx, &work));
    if (ast->where == NULL && may_load_in_bulk(&work))
        KD_TRY_OUT(load_in_bulk(ctx, &work));
    else
        KD_TRY_OUT(load_in_order(ctx, &work, ast));
    KD_TRY_OUT(store_rejects(ctx, &work, ast));
    (void)snprintf(run->tag, sizeof run->tag, "COPY %lld", (long long)run->affected);
out:
    kd_csv_reader_destroy(work.csv);
    kd_ndjson_reader_destroy(work.json);
    kd_text_source_close(work.source);
    kd_mutex_clear(&work.mutex);
    return status;
}
