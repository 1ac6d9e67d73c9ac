/*
 * Sequences: numbers handed out outside of transactions, never twice.
 *
 * The log is told ahead: a record says up to where values may be handed out, and
 * after a crash the sequence goes on behind that. The record precedes the commit
 * record of any transaction that uses the value, so it is durable before any use is.
 *
 * State in the log and in the root: number, start, increment, min, max (8 bytes each,
 * as two's complement), cycle, last, is_called.
 */
#include "table/table_internal.h"

enum { LOGGED_AHEAD = 32 };

static kd_status missing(kd_ctx *ctx, uint64_t sequence_no)
{
    return KD_FAIL(ctx, KD_INVALID, "42P01", "sequence %llu does not exist",
                   (unsigned long long)sequence_no);
}

static kd_status state_append(kd_ctx *ctx, const kdi_sequence *sequence, int64_t last,
                              bool is_called, kd_buffer *out)
{
    const kd_sequence_definition *definition = &sequence->definition;
    KD_TRY(kd_buffer_append_varint(ctx, out, sequence->sequence_no));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)definition->start));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)definition->increment));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)definition->min));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)definition->max));
    KD_TRY(kd_buffer_append_byte(ctx, out, definition->cycle));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)last));
    return kd_buffer_append_byte(ctx, out, is_called);
}

kd_status kdi_sequence_append(kd_ctx *ctx, const kdi_sequence *sequence, kd_buffer *out)
{
    return state_append(ctx, sequence, sequence->last, sequence->is_called, out);
}

static kd_status sequence_make(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                               kdi_sequence **out_sequence)
{
    kdi_sequence *sequence = KD_HEAP_NEW(ctx, &storage->account, kdi_sequence);
    *out_sequence = sequence;
    if (sequence == NULL)
        return KD_NOMEM;
    sequence->storage = storage;
    sequence->sequence_no = sequence_no;
    atomic_store(&sequence->dropped, KD_STAMP_NONE);
    kd_mutex_init(&sequence->lock, ctx->world);
    return KD_OK;
}

void kdi_sequence_destroy(void *object)
{
    kdi_sequence *sequence = object;
    if (sequence == NULL)
        return;
    kd_mutex_clear(&sequence->lock);
    kd_heap_free(sequence->storage->world, &sequence->storage->account, sequence);
}

kd_status kdi_sequence_apply(kd_ctx *ctx, kd_storage *storage, kd_reader *reader,
                             kdi_sequence **out_sequence)
{
    kdi_sequence read = {.sequence_no = kd_read_varint(reader)};
    read.definition.start = (int64_t)kd_read_u64(reader);
    read.definition.increment = (int64_t)kd_read_u64(reader);
    read.definition.min = (int64_t)kd_read_u64(reader);
    read.definition.max = (int64_t)kd_read_u64(reader);
    read.definition.cycle = kd_read_u8(reader) != 0;
    read.last = (int64_t)kd_read_u64(reader);
    read.is_called = kd_read_u8(reader) != 0;
    *out_sequence = NULL;
    if (reader->failed)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the stored state of a sequence is damaged");
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, read.sequence_no);
    if (sequence == NULL) {
        KD_TRY(sequence_make(ctx, storage, read.sequence_no, &sequence));
        kd_status status = kdi_directory_put(ctx, &storage->sequences, read.sequence_no, sequence);
        if (status != KD_OK) {
            kdi_sequence_destroy(sequence);
            return status;
        }
        atomic_store(&sequence->created, KD_STAMP_IN_FLIGHT);
    }
    sequence->definition = read.definition;
    sequence->last = read.last;
    sequence->is_called = read.is_called;
    if (read.sequence_no >= atomic_load(&storage->next_sequence_no))
        atomic_store(&storage->next_sequence_no, read.sequence_no + 1);
    *out_sequence = sequence;
    return KD_OK;
}

/* sequence->lock is held. */
static kd_status state_log(kd_ctx *ctx, kdi_sequence *sequence, int64_t last, bool is_called)
{
    kd_arena *scratch = kd_arena_create(ctx, NULL, "sequence", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_buffer payload = kd_buffer_in(scratch);
    kd_status status = state_append(ctx, sequence, last, is_called, &payload);
    if (status == KD_OK)
        status = kd_txn_log_alone(ctx, sequence->storage->txns, kd_buffer_slice(&payload), false);
    kd_arena_destroy(scratch);
    return status;
}

/* --- Creating and dropping ------------------------------------------------------------------- */

static void create_committed(void *object, kd_stamp stamp)
{
    kdi_sequence *sequence = object;
    atomic_store(&sequence->created, stamp);
}

static void sequence_unlink(kdi_sequence *sequence)
{
    kdi_directory_remove(&sequence->storage->sequences, sequence->sequence_no);
    kd_txn_retire(sequence->storage->txns, &sequence->garbage, kdi_sequence_destroy, sequence);
}

static void create_undone(void *object)
{
    sequence_unlink(object);
}

static void drop_committed(void *object, kd_stamp stamp)
{
    (void)stamp;
    sequence_unlink(object);
}

static const kdi_structural create_change = {create_committed, create_undone};
static const kdi_structural drop_change = {drop_committed, NULL};

kd_status kd_sequence_create(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                             const kd_sequence_definition *definition, uint64_t *out_sequence_no)
{
    kdi_write_set *writes;
    kdi_sequence *sequence;
    kd_buffer *redo;
    *out_sequence_no = 0;
    KD_TRY(kdi_writes_get(ctx, txn, storage, &writes));
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t redo_before = redo->size_bytes;
    uint64_t number = atomic_fetch_add(&storage->next_sequence_no, 1);
    KD_TRY(sequence_make(ctx, storage, number, &sequence));
    atomic_store(&sequence->created, KD_STAMP_IN_FLIGHT | kd_txn_no(txn));
    sequence->definition = *definition;
    sequence->last = definition->start;
    kd_status status = kd_buffer_append_byte(ctx, redo, KDI_REDO_SEQUENCE);
    if (status == KD_OK)
        status = kdi_sequence_append(ctx, sequence, redo);
    if (status == KD_OK)
        status = kdi_directory_put(ctx, &storage->sequences, number, sequence);
    if (status == KD_OK) {
        status = kdi_writes_structure(ctx, writes, &create_change, sequence);
        if (status != KD_OK)
            kdi_directory_remove(&storage->sequences, number);
    }
    if (status != KD_OK) {
        redo->size_bytes = redo_before;
        kdi_sequence_destroy(sequence);
        return status;
    }
    *out_sequence_no = number;
    return KD_OK;
}

kd_status kd_sequence_drop(kd_ctx *ctx, kd_txn *txn, kd_storage *storage, uint64_t sequence_no)
{
    kdi_write_set *writes;
    KD_TRY(kdi_writes_get(ctx, txn, storage, &writes));
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, sequence_no);
    if (sequence == NULL)
        return missing(ctx, sequence_no);
    KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_SEQUENCE_DROP, &sequence_no, 1));
    return kdi_writes_structure(ctx, writes, &drop_change, sequence);
}

/* --- Values ---------------------------------------------------------------------------------- */

static kd_status step(kd_ctx *ctx, const kdi_sequence *sequence, int64_t *out_value)
{
    const kd_sequence_definition *definition = &sequence->definition;
    if (!sequence->is_called) {
        *out_value = sequence->last;
        return KD_OK;
    }
    bool overflows = __builtin_add_overflow(sequence->last, definition->increment, out_value);
    bool ascends = definition->increment > 0;
    if (!overflows && *out_value >= definition->min && *out_value <= definition->max)
        return KD_OK;
    if (definition->cycle) {
        *out_value = ascends ? definition->min : definition->max;
        return KD_OK;
    }
    return KD_FAIL(ctx, KD_LIMIT, "2200H",
                   ascends ? "nextval: reached maximum value of sequence (%lld)"
                           : "nextval: reached minimum value of sequence (%lld)",
                   (long long)(ascends ? definition->max : definition->min));
}

/* Where the sequence stands after the values that one record allows. */
static int64_t ahead(const kdi_sequence *sequence, int64_t value)
{
    int64_t distance, last;
    const kd_sequence_definition *definition = &sequence->definition;
    if (__builtin_mul_overflow(definition->increment, (int64_t)LOGGED_AHEAD, &distance) ||
        __builtin_add_overflow(value, distance, &last) || last > definition->max ||
        last < definition->min)
        return value; /* Near the end every value is logged by itself. */
    return last;
}

kd_status kd_sequence_next(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                           int64_t *out_value)
{
    *out_value = 0;
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, sequence_no);
    if (sequence == NULL)
        return missing(ctx, sequence_no);
    int64_t value;
    kd_mutex_lock(&sequence->lock);
    kd_status status = step(ctx, sequence, &value);
    if (status == KD_OK && sequence->logged_ahead == 0) {
        int64_t last = ahead(sequence, value);
        status = state_log(ctx, sequence, last, true);
        if (status == KD_OK)
            sequence->logged_ahead = last == value ? 0 : LOGGED_AHEAD;
    } else if (status == KD_OK) {
        sequence->logged_ahead--;
    }
    if (status == KD_OK) {
        sequence->last = value;
        sequence->is_called = true;
        *out_value = value;
    }
    kd_mutex_unlock(&sequence->lock);
    return status;
}

kd_status kd_sequence_set(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no, int64_t value,
                          bool is_called)
{
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, sequence_no);
    if (sequence == NULL)
        return missing(ctx, sequence_no);
    kd_mutex_lock(&sequence->lock);
    kd_status status = KD_OK;
    const kd_sequence_definition *definition = &sequence->definition;
    if (value < definition->min || value > definition->max)
        status = KD_FAIL(ctx, KD_INVALID, "22003",
                         "setval: value %lld is out of bounds for sequence (%lld..%lld)",
                         (long long)value, (long long)definition->min, (long long)definition->max);
    if (status == KD_OK)
        status = state_log(ctx, sequence, value, is_called);
    if (status == KD_OK) {
        sequence->last = value;
        sequence->is_called = is_called;
        sequence->logged_ahead = 0;
    }
    kd_mutex_unlock(&sequence->lock);
    return status;
}

kd_status kd_sequence_get(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                          kd_sequence_definition *out_definition, int64_t *out_last,
                          bool *out_is_called)
{
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, sequence_no);
    if (sequence == NULL)
        return missing(ctx, sequence_no);
    kd_mutex_lock(&sequence->lock);
    if (out_definition != NULL)
        *out_definition = sequence->definition;
    if (out_last != NULL)
        *out_last = sequence->last;
    if (out_is_called != NULL)
        *out_is_called = sequence->is_called;
    kd_mutex_unlock(&sequence->lock);
    return KD_OK;
}

kd_status kd_sequence_alter(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                            const kd_sequence_definition *definition)
{
    kdi_sequence *sequence = kdi_directory_find(&storage->sequences, sequence_no);
    if (sequence == NULL)
        return missing(ctx, sequence_no);
    kd_mutex_lock(&sequence->lock);
    kd_sequence_definition old = sequence->definition;
    sequence->definition = *definition;
    kd_status status = state_log(ctx, sequence, sequence->last, sequence->is_called);
    if (status == KD_OK)
        sequence->logged_ahead = 0;
    else
        sequence->definition = old;
    kd_mutex_unlock(&sequence->lock);
    return status;
}
