/*
 * Segments of a table: the file, its begin stamps, and marks of ended rows.
 */
#include "table/table_internal.h"

/* One segment that cannot be opened does not keep a database from opening: who reads it fails. */
static kd_status file_open(kd_ctx *ctx, kd_storage *storage, uint64_t unit, kd_segment **out_file)
{
    kd_status status = kd_segment_open(ctx, &storage->files, unit, out_file);
    if (status != KD_CORRUPT || !storage->is_recovering)
        return status;
    kd_error error = ctx->error;
    kd_error_clear(ctx);
    return kd_segment_open_lost(ctx, &storage->files, unit, error.message, out_file);
}

kd_status kdi_segment_open(kd_ctx *ctx, kd_storage *storage, uint64_t unit, kd_stamp begin,
                           kd_stamp stamps_max, kdi_segment **out_segment)
{
    *out_segment = NULL;
    kdi_segment *segment = KD_HEAP_NEW(ctx, &storage->account, kdi_segment);
    if (segment == NULL)
        return KD_NOMEM;
    segment->storage = storage;
    segment->unit = unit;
    segment->stamps_max = stamps_max;
    atomic_store(&segment->begin, begin);
    kd_segment *file;
    kd_status status = file_open(ctx, storage, unit, &file);
    segment->file = file;
    if (status == KD_OK) {
        segment->row_count = kd_segment_row_count(file);
        segment->vector_count = (segment->row_count + KD_VECTOR_ROWS - 1) / KD_VECTOR_ROWS;
        segment->marks =
            kd_heap_alloc(ctx, &storage->account, segment->vector_count * sizeof *segment->marks);
        if (segment->marks == NULL)
            status = KD_NOMEM;
    }
    if (status != KD_OK) {
        kd_segment_close(ctx->world, file);
        kd_heap_free(ctx->world, &storage->account, segment);
        return status;
    }
    atomic_fetch_add(&storage->segment_count, 1);
    atomic_fetch_add(&storage->segment_bytes, kd_segment_size_bytes(segment->file));
    *out_segment = segment;
    return KD_OK;
}

kd_status kdi_segment_make_private(kd_ctx *ctx, kd_storage *storage, uint64_t unit, kd_stamp begin,
                                   kdi_segment **out_segment)
{
    *out_segment = NULL;
    kdi_segment *segment = KD_HEAP_NEW(ctx, &storage->account, kdi_segment);
    if (segment == NULL)
        return KD_NOMEM;
    segment->storage = storage;
    segment->unit = unit;
    segment->row_count = KD_SEGMENT_ROWS_MAX;
    segment->is_private = true;
    segment->vector_count = (KD_SEGMENT_ROWS_MAX + KD_VECTOR_ROWS - 1) / KD_VECTOR_ROWS;
    segment->marks =
        kd_heap_alloc(ctx, &storage->account, segment->vector_count * sizeof *segment->marks);
    if (segment->marks == NULL) {
        kd_heap_free(ctx->world, &storage->account, segment);
        return KD_NOMEM;
    }
    atomic_store(&segment->begin, begin);
    atomic_fetch_add(&storage->segment_count, 1);
    *out_segment = segment;
    return KD_OK;
}

kd_status kdi_segment_complete(kd_ctx *ctx, kdi_segment *segment)
{
    kd_segment *file;
    KD_TRY(kd_segment_open(ctx, &segment->storage->files, segment->unit, &file));
    atomic_fetch_add(&segment->storage->segment_bytes, kd_segment_size_bytes(file));
    segment->row_count = kd_segment_row_count(file);
    segment->file = file;
    return KD_OK;
}

static void vector_free(void *object)
{
    kdi_mark_vector *vector = object;
    if (vector == NULL)
        return;
    kd_storage *storage = vector->storage;
    kd_heap_free(storage->world, &storage->account, atomic_load(&vector->nexts));
    kd_heap_free(storage->world, &storage->account, vector);
}

static void marks_free(kdi_segment *segment)
{
    kd_storage *storage = segment->storage;
    for (uint32_t i = 0; i < segment->vector_count; i++)
        vector_free(atomic_load(&segment->marks[i]));
    kd_heap_free(storage->world, &storage->account, segment->marks);
}

void kdi_segment_close(void *object)
{
    kdi_segment *segment = object;
    if (segment == NULL)
        return;
    kd_storage *storage = segment->storage;
    atomic_fetch_sub(&storage->segment_count, 1);
    if (segment->file != NULL)
        atomic_fetch_sub(&storage->segment_bytes, kd_segment_size_bytes(segment->file));
    marks_free(segment);
    kd_segment_close(storage->world, segment->file);
    if (segment->removes_file)
        kdi_doom(storage, segment->unit, 0, (kd_slice){0});
    kd_heap_free(storage->world, &storage->account, segment);
}

kd_stamp kdi_segment_end(const kdi_segment *segment, uint32_t ordinal)
{
    kdi_mark_vector *vector = atomic_load(&segment->marks[ordinal / KD_VECTOR_ROWS]);
    return vector == NULL ? KD_STAMP_NONE : kdi_mark_end(vector, ordinal % KD_VECTOR_ROWS);
}

/* With stamps; those of `small` (may be NULL) are carried over. */
static kdi_mark_vector *vector_make(kd_ctx *ctx, kd_storage *storage, const kdi_mark_vector *small)
{
    size_t bytes = sizeof(kdi_mark_vector) + KD_VECTOR_ROWS * sizeof(kd_stamp);
    kdi_mark_vector *made = kd_heap_alloc_raw(ctx, &storage->account, bytes);
    if (made == NULL)
        return NULL;
    made->storage = storage;
    made->is_small = false;
    atomic_init(&made->nexts, NULL);
    for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
        atomic_init(&made->ends[i], small == NULL ? KD_STAMP_NONE : kdi_mark_end(small, i));
    return made;
}

kd_status kdi_segment_mark(kd_ctx *ctx, kdi_segment *segment, uint32_t ordinal,
                           _Atomic kd_stamp **out_end)
{
    *out_end = NULL;
    kd_storage *storage = segment->storage;
    _Atomic(kdi_mark_vector *) *cell = &segment->marks[ordinal / KD_VECTOR_ROWS];
    kdi_mark_vector *vector = atomic_load(cell);
    if (vector == NULL || vector->is_small) {
        kdi_mark_vector *made = vector_make(ctx, storage, vector);
        if (made == NULL)
            return KD_NOMEM;
        kdi_mark_vector *old = vector;
        if (atomic_compare_exchange_strong(cell, &vector, made)) {
            vector = made;
            atomic_store(&segment->has_stamps, true);
            if (old != NULL)
                kd_txn_retire(storage->txns, &old->garbage, vector_free, old);
        } else {
            vector_free(made); /* Somebody else was faster. */
        }
    }
    *out_end = &vector->ends[ordinal % KD_VECTOR_ROWS];
    return KD_OK;
}

static bool vector_may_shrink(const kdi_mark_vector *vector, kd_stamp oldest)
{
    for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++) {
        kd_stamp end = atomic_load_explicit(&vector->ends[i], memory_order_relaxed);
        if (end > oldest && end != KD_STAMP_NONE)
            return false;
    }
    return true;
}

kd_status kdi_segment_shrink_marks(kd_ctx *ctx, kdi_segment *segment, kd_stamp oldest)
{
    kd_storage *storage = segment->storage;
    bool has_stamps = false;
    for (uint32_t at = 0; at < segment->vector_count; at++) {
        kdi_mark_vector *vector = atomic_load(&segment->marks[at]);
        if (vector == NULL || vector->is_small)
            continue;
        if (!vector_may_shrink(vector, oldest)) {
            has_stamps = true;
            continue;
        }
        kdi_mark_vector *made = KD_HEAP_NEW(ctx, &storage->account, kdi_mark_vector);
        if (made == NULL)
            return KD_NOMEM;
        made->storage = storage;
        made->is_small = true;
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++) {
            if (atomic_load(&vector->ends[i]) != KD_STAMP_NONE)
                made->ended[i / 64] |= (uint64_t)1 << (i % 64);
        }
        atomic_store(&segment->marks[at], made);
        kd_txn_retire(storage->txns, &vector->garbage, vector_free, vector);
    }
    atomic_store(&segment->has_stamps, has_stamps);
    return KD_OK;
}

kd_status kdi_segment_begin(kd_ctx *ctx, const kdi_segment *segment, uint32_t ordinal,
                            kd_stamp newest_needed, kd_stamp *out_begin)
{
    *out_begin = atomic_load(&segment->begin);
    if (kdi_is_in_flight(*out_begin) || *out_begin != 0 || newest_needed >= segment->stamps_max)
        return KD_OK;
    return kd_segment_get_stamp(ctx, segment->file, ordinal, out_begin);
}
