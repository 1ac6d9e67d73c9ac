/*
 * Samples of tables, and the planner's questions answered from them.
 *
 * A sample is some 16,000 rows: runs of neighbouring rows would tell too little of a table that is
 * in some order, so it takes vectors all over the table and one of every n rows of each: not the
 * n-th, which would see a quarter of the values of i % 1000, but one that a hash draws. Columns are
 * read, decoded and kept when they are first asked for, row beside row, so that a condition over
 * several columns is answered with their correlation, and patterns and expressions like anything
 * else: by evaluating them. Nothing is stored: a column takes milliseconds, once, and again after
 * the table's row count has changed by a fifth.
 *
 * Distinct values are estimated from the sample by Haas and Stokes' Duj1 (JASA 1998), kept within
 * what the zone maps' counts allow, without which equal neighbours would make the sample look like
 * few values; columns with a unique index of their own are known.
 *
 * Samples are counted. The store's lock guards the list and the counts; a sample's own lock its
 * arena and what is filled in later. Columns are published complete and never change.
 */
#include "engine/sample_store.h"

#include "base/hash.h"
#include "base/thread.h"
#include "exec/execute.h"
#include "table/usage.h"

#include <math.h>
#include <stdatomic.h>

enum {
    SAMPLE_ROWS = 16 * 1024,
    SAMPLE_VECTORS = 64,
    SAMPLE_BYTES_MAX = 32 << 20,
    CHANGE_ROWS_MIN = 500,
    CHANGE_PERCENT = 20,
};

typedef struct table_sample table_sample;
struct table_sample {
    table_sample *next;
    kd_arena *arena; /* Holds this struct. */
    uint32_t refs;
    uint64_t table_no;
    uint64_t population; /* Rows of the table when the sample was taken. */
    uint32_t column_count;
    const uint32_t *column_nos;
    const kd_type *types;
    uint32_t stride, row_step; /* Which vectors, and which of their rows. */
    uint32_t row_count;
    uint32_t *batch_rows;
    size_t batch_count, batch_capacity;
    kd_mutex lock;
    _Atomic(kd_vector *) *columns; /* Each: a FLAT vector per batch; NULL until asked for. */
    _Atomic double *distinct;      /* Per column; 0: not asked for. */
};

struct kdi_sample_store {
    kd_world *world;
    kd_storage *storage;
    kd_mutex lock;
    table_sample *first;
};

/* What a question is asked with. */
typedef struct asking {
    const kd_statistics *statistics;
    const kd_table_entry *entry;
    kd_table *table;
    table_sample *sample;
} asking;

/* --- Reading a sample's rows ------------------------------------------------------------------ */

/* Rows of the scan's batch `batch_no` that belong to the sample. */
static uint32_t rows_choose(const table_sample *sample, const kd_batch *in, uint64_t batch_no,
                            uint16_t *rows)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->selected_count; i += sample->row_step) {
        uint32_t left = in->selected_count - i;
        uint32_t width = left < sample->row_step ? left : sample->row_step;
        uint32_t place = (uint32_t)(kd_hash_u64(batch_no << 32 | i) % width);
        rows[count++] = (uint16_t)kd_batch_row(in, i + place);
    }
    return count;
}

/* The first time: how many rows there are, in batches. */
static kd_status rows_count(kd_ctx *ctx, table_sample *sample, const kd_batch *in,
                            uint64_t batch_no)
{
    uint16_t rows[KD_BATCH_ROWS];
    uint32_t count = rows_choose(sample, in, batch_no, rows);
    if (sample->batch_count == 0 ||
        sample->batch_rows[sample->batch_count - 1] + count > KD_BATCH_ROWS) {
        uint32_t *slot;
        KD_TRY(KD_PUSH(ctx, sample->arena, sample->batch_rows, sample->batch_count,
                       sample->batch_capacity, &slot));
        *slot = 0;
    }
    sample->batch_rows[sample->batch_count - 1] += count;
    sample->row_count += count;
    return KD_OK;
}

typedef struct column_fill {
    kd_vector *vectors;
    size_t batch;
    uint32_t row;
    bool is_other; /* The rows are not those that were counted. */
} column_fill;

static kd_status rows_copy(kd_ctx *ctx, table_sample *sample, const kd_batch *in, uint64_t batch_no,
                           column_fill *fill)
{
    uint16_t rows[KD_BATCH_ROWS];
    uint32_t count = rows_choose(sample, in, batch_no, rows);
    if (fill->batch < sample->batch_count && fill->row == sample->batch_rows[fill->batch]) {
        fill->batch++;
        fill->row = 0;
    }
    fill->is_other = fill->batch == sample->batch_count ||
                     fill->row + count > sample->batch_rows[fill->batch] ||
                     kd_arena_used_bytes(sample->arena) > SAMPLE_BYTES_MAX;
    if (fill->is_other)
        return KD_OK;
    KD_TRY(kd_vector_gather(ctx, sample->arena, &in->columns[0], rows, count,
                            &fill->vectors[fill->batch], fill->row));
    fill->row += count;
    return KD_OK;
}

/* Over the sample's vectors, of one column (into `fill`) or of none. */
static kd_status rows_read(kd_ctx *ctx, const asking *a, uint32_t column, column_fill *fill)
{
    kd_status status = KD_OK;
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_snapshot committed = {.stamp = a->statistics->snapshot.stamp};
    kd_scan_spec spec = {.shape = a->entry->shape,
                         .positions = &column,
                         .position_count = fill != NULL,
                         .sample_stride = a->sample->stride};
    kd_arena *scratch = kd_arena_create(ctx, NULL, "sample", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_table_scan_open(ctx, scratch, a->table, committed, &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, scratch, scan, &reader));
    for (uint64_t batch_no = 0;; batch_no++) {
        kd_batch batch;
        bool end;
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, NULL, &end));
        if (end)
            break;
        if (fill == NULL)
            KD_TRY_OUT(rows_count(ctx, a->sample, &batch, batch_no));
        else
            KD_TRY_OUT(rows_copy(ctx, a->sample, &batch, batch_no, fill));
        if (fill != NULL && fill->is_other)
            break;
    }
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    kd_arena_destroy(scratch);
    return status;
}

/* The sample's lock is held. `*out_vectors` is NULL when the table's rows have moved. */
static kd_status column_read(kd_ctx *ctx, const asking *a, uint32_t column, kd_vector **out_vectors)
{
    table_sample *sample = a->sample;
    column_fill fill = {.vectors =
                            KD_NEW_ARRAY(ctx, sample->arena, kd_vector, sample->batch_count)};
    *out_vectors = NULL;
    if (fill.vectors == NULL)
        return KD_NOMEM;
    for (size_t b = 0; b < sample->batch_count; b++)
        KD_TRY(kd_vector_init_flat(ctx, sample->arena, sample->types[column], sample->batch_rows[b],
                                   &fill.vectors[b]));
    KD_TRY(rows_read(ctx, a, column, &fill));
    bool complete = !fill.is_other && fill.batch + 1 == sample->batch_count &&
                    fill.row == sample->batch_rows[fill.batch];
    if (complete)
        *out_vectors = fill.vectors;
    return KD_OK;
}

/* One vector per batch, or NULL. */
static kd_vector *column_get(kd_ctx *ctx, const asking *a, uint32_t column)
{
    table_sample *sample = a->sample;
    kd_vector *vectors = atomic_load(&sample->columns[column]);
    if (vectors != NULL || sample->row_count == 0)
        return vectors;
    kd_mutex_lock(&sample->lock);
    vectors = atomic_load(&sample->columns[column]);
    if (vectors == NULL && column_read(ctx, a, column, &vectors) == KD_OK)
        atomic_store(&sample->columns[column], vectors);
    kd_mutex_unlock(&sample->lock);
    if (vectors == NULL)
        kdi_sample_store_forget(a->statistics->self, sample->table_no);
    kd_error_clear(ctx);
    return vectors;
}

/* --- Distinct values ------------------------------------------------------------------------- */

/* Combined hashes of the columns' values, one per row; rows with a NULL are left out. */
static uint32_t hash_rows(const table_sample *sample, kd_vector *const *columns, uint32_t count,
                          uint64_t *hashes)
{
    uint32_t made = 0;
    for (size_t b = 0; b < sample->batch_count; b++)
        for (uint32_t row = 0; row < sample->batch_rows[b]; row++) {
            uint64_t hash = 0;
            bool is_null = false;
            for (uint32_t k = 0; k < count && !is_null; k++) {
                uint64_t scratch[2];
                const kd_vector *vector = &columns[k][b];
                is_null = kd_vector_is_null(vector, row);
                hash = hash * 0x9e3779b97f4a7c15u +
                       kd_payload_hash(vector->type, kd_vector_payload(vector, row, scratch));
            }
            hashes[made] = hash | 1; /* 0 is a free place below. */
            made += !is_null;
        }
    return made;
}

/* How many values there are among the hashes, and how many of them come once. */
static bool count_values(kd_ctx *ctx, kd_arena *arena, const uint64_t *hashes, uint32_t count,
                         uint32_t *out_distinct, uint32_t *out_once)
{
    uint32_t slots = 1, distinct = 0, once = 0;
    while (slots < count * 2)
        slots *= 2;
    uint64_t *seen = kd_alloc_array(ctx, arena, slots, sizeof *seen);
    uint8_t *times = kd_alloc_array(ctx, arena, slots, 1);
    if (seen == NULL || times == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)(hashes[i] * 0x9e3779b97f4a7c15u >> 32) & (slots - 1);
        while (seen[at] != 0 && seen[at] != hashes[i])
            at = (at + 1) & (slots - 1);
        distinct += seen[at] == 0;
        seen[at] = hashes[i];
        once += times[at] == 0;
        once -= times[at] == 1;
        times[at] = (uint8_t)(times[at] == 0 ? 1 : 2);
    }
    *out_distinct = distinct;
    *out_once = once;
    return true;
}

/* Duj1: how often values come once decides how many were not seen. 0: not known. */
static double estimate_distinct(kd_ctx *ctx, const table_sample *sample, kd_vector *const *columns,
                                uint32_t count)
{
    double estimate = 0;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "sample", KD_ARENA_UNLIMITED);
    uint64_t *hashes = scratch == NULL
                           ? NULL
                           : kd_alloc_raw(ctx, scratch, sizeof *hashes * (sample->row_count + 1));
    uint32_t distinct, once;
    if (hashes != NULL) {
        uint32_t rows = hash_rows(sample, columns, count, hashes);
        double n = rows;
        double population = (double)sample->population * n / sample->row_count;
        if (count_values(ctx, scratch, hashes, rows, &distinct, &once))
            estimate = rows == 0         ? 1
                       : population <= n ? distinct
                                         : n * distinct / (n - once + once * n / population);
        estimate = fmin(estimate, fmax(population, 1));
    }
    kd_arena_destroy(scratch);
    kd_error_clear(ctx);
    return estimate;
}

static bool is_unique_alone(const kd_table_entry *entry, uint32_t column_no)
{
    for (uint32_t i = 0; i < entry->index_count; i++) {
        const kd_index_definition *index = &entry->indexes[i].storage;
        if (index->unique && index->column_count == 1 && index->predicate_column_no < 0 &&
            index->columns[0].column_no == column_no)
            return true;
    }
    return false;
}

/* What the zone maps leave possible of the estimate. */
static double within_zones(kd_ctx *ctx, const asking *a, uint32_t column, double estimate)
{
    const table_sample *sample = a->sample;
    kd_column_zones zones;
    if (sample->row_count >= sample->population)
        return estimate;
    if (kd_table_column_zones(ctx, a->table, a->statistics->snapshot, sample->column_nos[column],
                              &zones) != KD_OK) {
        kd_error_clear(ctx);
        return estimate;
    }
    double delta = (double)sample->population - (double)zones.row_count;
    double most = (double)zones.distinct_sum + fmax(delta, 0);
    if (zones.block_count > 0 && zones.blocks_known == zones.block_count)
        estimate = fmin(estimate, most);
    return fmax(estimate, (double)zones.distinct_apart);
}

static double column_distinct(kd_ctx *ctx, const asking *a, uint32_t column)
{
    table_sample *sample = a->sample;
    double known = atomic_load(&sample->distinct[column]);
    if (known > 0)
        return known;
    known = (double)sample->population;
    if (!is_unique_alone(a->entry, sample->column_nos[column])) {
        kd_vector *vectors = column_get(ctx, a, column);
        if (vectors == NULL)
            return 0;
        known = within_zones(ctx, a, column, estimate_distinct(ctx, sample, &vectors, 1));
    }
    known = fmax(known, 1);
    atomic_store(&sample->distinct[column], known);
    return known;
}

/* --- Taking a sample -------------------------------------------------------------------------- */

static kd_status sample_fill(kd_ctx *ctx, kd_arena *arena, asking *a)
{
    table_sample *sample = KD_NEW(ctx, arena, table_sample);
    if (sample == NULL)
        return KD_NOMEM;
    uint32_t count = a->entry->column_count;
    uint32_t *column_nos = KD_NEW_ARRAY(ctx, arena, uint32_t, count);
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, count);
    sample->arena = arena;
    sample->table_no = a->entry->table_no;
    sample->population = kd_table_row_count_estimate(a->table);
    sample->column_count = count;
    sample->column_nos = column_nos;
    sample->types = types;
    sample->columns = kd_alloc_array(ctx, arena, count, sizeof *sample->columns);
    sample->distinct = kd_alloc_array(ctx, arena, count, sizeof *sample->distinct);
    if (column_nos == NULL || types == NULL || sample->columns == NULL || sample->distinct == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < count; c++) {
        column_nos[c] = a->entry->columns[c].storage.column_no;
        types[c] = a->entry->columns[c].storage.type;
    }
    uint64_t vectors = sample->population / KD_VECTOR_ROWS + 1;
    sample->stride = (uint32_t)((vectors + SAMPLE_VECTORS - 1) / SAMPLE_VECTORS);
    uint64_t rows = sample->population / sample->stride;
    sample->row_step = (uint32_t)((rows + SAMPLE_ROWS - 1) / SAMPLE_ROWS);
    sample->row_step += sample->row_step == 0;
    a->sample = sample;
    KD_TRY(rows_read(ctx, a, 0, NULL));
    if (sample->population < sample->row_count)
        sample->population = sample->row_count;
    return KD_OK;
}

/* --- The store ------------------------------------------------------------------------------- */

bool kdi_sample_is_old(uint64_t rows_before, uint64_t rows_now)
{
    uint64_t change = rows_now > rows_before ? rows_now - rows_before : rows_before - rows_now;
    return change > CHANGE_ROWS_MIN && change * 100 > rows_before * CHANGE_PERCENT;
}

static bool is_current(const table_sample *sample, const kd_table_entry *entry, uint64_t rows)
{
    if (kdi_sample_is_old(sample->population, rows))
        return false;
    if (sample->row_count == 0 && rows > 0)
        return false; /* Somebody's rows have been committed meanwhile. */
    bool same = sample->column_count == entry->column_count;
    for (uint32_t c = 0; same && c < sample->column_count; c++)
        same = sample->column_nos[c] == entry->columns[c].storage.column_no &&
               kd_type_same(sample->types[c], entry->columns[c].storage.type);
    return same;
}

/* The store's lock is held. */
static void sample_unref(table_sample *sample)
{
    if (--sample->refs > 0)
        return;
    kd_mutex_clear(&sample->lock);
    kd_arena_destroy(sample->arena);
}

/* The store's lock is held. */
static void sample_unlink(kdi_sample_store *store, uint64_t table_no)
{
    for (table_sample **link = &store->first; *link != NULL;) {
        table_sample *sample = *link;
        if (table_no != 0 && sample->table_no != table_no) {
            link = &sample->next;
            continue;
        }
        *link = sample->next;
        sample_unref(sample);
    }
}

static table_sample *sample_find(kdi_sample_store *store, const kd_table_entry *entry,
                                 uint64_t rows)
{
    table_sample *found = NULL;
    kd_mutex_lock(&store->lock);
    for (table_sample *at = store->first; at != NULL && found == NULL; at = at->next)
        if (at->table_no == entry->table_no && is_current(at, entry, rows))
            found = at;
    if (found != NULL)
        found->refs++;
    kd_mutex_unlock(&store->lock);
    return found;
}

/* Finds or takes the sample, counted. False: there is none to be had. */
static bool asking_begin(kd_ctx *ctx, const kd_statistics *statistics, const kd_table_entry *entry,
                         asking *a)
{
    kdi_sample_store *store = statistics->self;
    *a = (asking){.statistics = statistics, .entry = entry};
    a->table = entry->table_no == 0 ? NULL : kd_table_find(store->storage, entry->table_no);
    if (a->table == NULL)
        return false;
    a->sample = sample_find(store, entry, kd_table_row_count_estimate(a->table));
    if (a->sample != NULL)
        return true;
    kd_arena *arena = kd_arena_create(ctx, NULL, "table sample", KD_ARENA_UNLIMITED);
    if (arena == NULL || sample_fill(ctx, arena, a) != KD_OK) {
        kd_arena_destroy(arena);
        kd_error_clear(ctx);
        return false;
    }
    kd_mutex_init(&a->sample->lock, store->world);
    a->sample->refs = 2; /* The store's and the caller's. */
    kd_table_note_analysis(a->table, false);
    kd_mutex_lock(&store->lock);
    sample_unlink(store, entry->table_no);
    a->sample->next = store->first;
    store->first = a->sample;
    kd_mutex_unlock(&store->lock);
    return true;
}

static void asking_end(asking *a)
{
    kdi_sample_store *store = a->statistics->self;
    kd_mutex_lock(&store->lock);
    sample_unref(a->sample);
    kd_mutex_unlock(&store->lock);
}

/* --- Questions ------------------------------------------------------------------------------- */

enum { TOGETHER_MAX = 64 };

static double answer_distinct(kd_ctx *ctx, const kd_statistics *statistics,
                              const kd_table_entry *entry, const uint32_t *positions,
                              uint32_t count)
{
    asking a;
    kd_vector *columns[TOGETHER_MAX] = {NULL};
    double distinct = 0;
    if (count > TOGETHER_MAX || !asking_begin(ctx, statistics, entry, &a))
        return 0;
    if (count == 1) {
        distinct = column_distinct(ctx, &a, positions[0]);
    } else if (a.sample->row_count > 0) {
        uint32_t got = 0;
        while (got < count && (columns[got] = column_get(ctx, &a, positions[got])) != NULL)
            got++;
        if (got == count)
            distinct = estimate_distinct(ctx, a.sample, columns, count);
        for (uint32_t i = 0; i < count; i++)
            distinct = fmax(distinct, column_distinct(ctx, &a, positions[i]));
    }
    asking_end(&a);
    return distinct;
}

static kd_status count_passing(kd_ctx *ctx, kd_arena *arena, const asking *a,
                               const kd_sample_question *question, uint32_t *out_passed,
                               bool *out_known)
{
    kd_compiled_expr *compiled;
    uint16_t rows[KD_BATCH_ROWS];
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, question->column_count);
    kd_vector **sampled = KD_NEW_ARRAY(ctx, arena, kd_vector *, question->column_count);
    kd_arena *batch_arena = kd_arena_create(ctx, arena, "sample batch", KD_ARENA_UNLIMITED);
    if (columns == NULL || sampled == NULL || batch_arena == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < question->column_count; c++)
        if ((sampled[c] = column_get(ctx, a, question->positions[c])) == NULL)
            return KD_OK;
    KD_TRY(kd_expr_compile(ctx, arena, question->condition, question->ids, question->column_count,
                           a->statistics->facts, NULL, 0, &compiled));
    for (size_t b = 0; b < a->sample->batch_count; b++) {
        uint32_t count = a->sample->batch_rows[b];
        for (uint32_t c = 0; c < question->column_count; c++)
            columns[c] = sampled[c][b];
        kd_batch batch = {.row_count = count,
                          .selected_count = count,
                          .column_count = question->column_count,
                          .columns = columns};
        kd_arena_reset(batch_arena);
        KD_TRY(kd_expr_select(ctx, compiled, batch_arena, &batch, rows, &count));
        *out_passed += count;
    }
    *out_known = a->sample->row_count > 0;
    return KD_OK;
}

static bool answer_passing(kd_ctx *ctx, const kd_statistics *statistics, kd_arena *arena,
                           const kd_sample_question *question, uint32_t *out_passed,
                           uint32_t *out_sampled)
{
    asking a;
    bool known = false;
    *out_passed = 0;
    if (!asking_begin(ctx, statistics, question->table, &a))
        return false;
    kd_status status = count_passing(ctx, arena, &a, question, out_passed, &known);
    *out_sampled = a.sample->row_count;
    asking_end(&a);
    if (status != KD_OK)
        kd_error_clear(ctx); /* A value that the condition cannot take: run time will tell. */
    return status == KD_OK && known;
}

static kd_status column_copy(kd_ctx *ctx, kd_arena *arena, const table_sample *sample,
                             const kd_vector *vectors, kd_value **out_values)
{
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, sample->row_count);
    uint32_t count = 0;
    if (values == NULL)
        return KD_NOMEM;
    for (size_t b = 0; b < sample->batch_count; b++)
        for (uint32_t row = 0; row < sample->batch_rows[b]; row++) {
            kd_value value = kd_vector_get(&vectors[b], row);
            KD_TRY(kd_value_copy(ctx, arena, &value, &values[count++]));
        }
    *out_values = values;
    return KD_OK;
}

kd_status kdi_sample_store_column(kd_ctx *ctx, const kd_statistics *statistics, kd_arena *arena,
                                  const kd_table_entry *entry, uint32_t position,
                                  kd_value **out_values, uint32_t *out_count, double *out_distinct,
                                  double *out_population)
{
    asking a;
    kd_status status = KD_OK;
    *out_values = NULL;
    *out_count = 0;
    if (!asking_begin(ctx, statistics, entry, &a))
        return KD_OK;
    const kd_vector *vectors = column_get(ctx, &a, position);
    if (vectors != NULL) {
        *out_distinct = column_distinct(ctx, &a, position);
        *out_population = (double)a.sample->population;
        status = column_copy(ctx, arena, a.sample, vectors, out_values);
        *out_count = status == KD_OK ? a.sample->row_count : 0;
    }
    asking_end(&a);
    return status;
}

/* From the index itself, not from the sample. */
static bool answer_items(kd_ctx *ctx, const kd_statistics *statistics, kd_arena *arena,
                         const kd_table_entry *entry, const kd_table_index *index,
                         const kd_item_node *query, double *out_cost, double *out_rows)
{
    const kdi_sample_store *store = statistics->self;
    kd_table *table = kd_table_find(store->storage, entry->table_no);
    kd_items_estimate estimate;
    if (table == NULL)
        return false;
    if (kd_table_estimate_items(ctx, arena, table, index->storage.index_no, query, &estimate) !=
        KD_OK) {
        kd_error_clear(ctx);
        return false;
    }
    *out_cost = estimate.cost;
    *out_rows = estimate.rows;
    return true;
}

kd_statistics kdi_sample_store_statistics(kdi_sample_store *store, kd_snapshot snapshot,
                                          const kd_session_facts *facts)
{
    return (kd_statistics){.self = store,
                           .snapshot = snapshot,
                           .facts = facts,
                           .distinct = answer_distinct,
                           .passing = answer_passing,
                           .items = answer_items};
}

/* --- Life ------------------------------------------------------------------------------------ */

kd_status kdi_sample_store_create(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                                  kdi_sample_store **out_store)
{
    kdi_sample_store *store = KD_NEW(ctx, arena, kdi_sample_store);
    *out_store = store;
    if (store == NULL)
        return KD_NOMEM;
    store->world = ctx->world;
    store->storage = storage;
    kd_mutex_init(&store->lock, ctx->world);
    return KD_OK;
}

void kdi_sample_store_forget(kdi_sample_store *store, uint64_t table_no)
{
    kd_mutex_lock(&store->lock);
    sample_unlink(store, table_no);
    kd_mutex_unlock(&store->lock);
}

void kdi_sample_store_destroy(kdi_sample_store *store)
{
    if (store == NULL)
        return;
    kdi_sample_store_forget(store, 0);
    kd_mutex_clear(&store->lock);
}
