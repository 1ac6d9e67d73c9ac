/*
 * Reserving, filling, waiting: everything that the log's users do at once.
 *
 * A reservation moves next_position under the lock; the bytes are copied outside of it,
 * into a ring. What may be written is everything before the first reservation that is
 * still open. Whoever needs it written and finds no writer becomes the writer for one
 * group; meanwhile the next group collects.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

static uint64_t filled_end(const kd_wal *wal)
{
    return wal->first_open != NULL ? wal->first_open->filled : wal->next_position;
}

static kd_status failed(kd_ctx *ctx, const kd_wal *wal)
{
    return KD_FAIL(ctx, KD_IO, "58030", "the log has failed and takes no more changes: %s",
                   wal->error.message);
}

/*
 * What an append may take on the disk at most: every group that ends in it pads to 4 KiB, and
 * every block and file that it touches has a header. Groups end at its pieces or between appends.
 */
static uint64_t pledge_of(uint64_t size_bytes)
{
    return size_bytes + (size_bytes / KD_WAL_WHOLE_BYTES + 1) * KDI_PLEDGE_PIECE_BYTES;
}

/* Up to filled_end. */
static uint64_t pledge_filled(const kd_wal *wal)
{
    const kd_wal_reservation *open = wal->first_open;
    if (open == NULL)
        return wal->pledged_bytes;
    uint64_t filled_bytes = open->filled - open->position;
    return open->pledged_before_bytes + filled_bytes +
           filled_bytes / KD_WAL_WHOLE_BYTES * KDI_PLEDGE_PIECE_BYTES;
}

static kd_cond *next_group_cond(kd_wal *wal)
{
    return &wal->group_done[(wal->group_no + 1) & 1];
}

/* The caller is the writer from here on. Lock held. */
static void writing_begin(kd_wal *wal, uint64_t end)
{
    kd_assert(!wal->is_writing);
    wal->is_writing = true;
    wal->group_no++;
    wal->group_end = end;
}

/* Wakes those whose bytes were in the group, and one of the others to write the next. Lock held. */
static void writing_end(kd_ctx *ctx, kd_wal *wal, kd_status status)
{
    wal->is_writing = false;
    if (status == KD_OK) {
        kd_cond_broadcast(&wal->group_done[wal->group_no & 1]);
        kd_cond_signal(next_group_cond(wal));
    } else {
        wal->has_failed = true;
        wal->error = ctx->error;
        kd_cond_broadcast(&wal->group_done[0]);
        kd_cond_broadcast(&wal->group_done[1]);
    }
    kd_cond_broadcast(&wal->space);
}

/*
 * Writes one group. The lock is held on entry and on exit, not in between. There is something to
 * write, and nobody is writing.
 */
static kd_status group_write(kd_ctx *ctx, kd_wal *wal)
{
    uint64_t end = filled_end(wal);
    kd_assert(end > wal->written_position);
    writing_begin(wal, end);
    uint64_t pledged_bytes = pledge_filled(wal);
    uint64_t offset_before = wal->at.offset;
    uint64_t file_before = wal->at.file_no;
    kd_mutex_unlock(&wal->lock);

    kd_status status = kdi_wal_writer_write(ctx, wal, end);

    kd_mutex_lock(&wal->lock);
    if (status == KD_OK) {
        wal->written_position = end;
        wal->pledged_written_bytes = pledged_bytes;
        wal->room_bytes = kdi_wal_writer_room(wal);
        atomic_store_explicit(&wal->durable_position, end, memory_order_release);
        wal->used_bytes = wal->at.offset;
        wal->statistics.group_count++;
        wal->statistics.written_bytes +=
            wal->at.file_no == file_before ? wal->at.offset - offset_before : wal->at.offset;
    }
    writing_end(ctx, wal, status);
    return status;
}

/* Lock held on entry and exit, not in between. */
static kd_status written_sync(kd_ctx *ctx, kd_wal *wal)
{
    while (wal->is_writing) {
        wal->waiter_count++;
        (void)kd_cond_wait(next_group_cond(wal), &wal->lock, UINT64_MAX);
        wal->waiter_count--;
    }
    if (wal->has_failed)
        return failed(ctx, wal);
    writing_begin(wal, wal->written_position);
    kd_mutex_unlock(&wal->lock);

    kd_status status = kdi_wal_writer_sync(ctx, wal);

    kd_mutex_lock(&wal->lock);
    writing_end(ctx, wal, status);
    return status;
}

static void open_add(kd_wal *wal, kd_wal_reservation *reservation)
{
    reservation->previous = wal->last_open;
    reservation->next = NULL;
    if (wal->last_open != NULL)
        wal->last_open->next = reservation;
    else
        wal->first_open = reservation;
    wal->last_open = reservation;
}

static void open_remove(kd_wal *wal, kd_wal_reservation *reservation)
{
    if (reservation->previous != NULL)
        reservation->previous->next = reservation->next;
    else
        wal->first_open = reservation->next;
    if (reservation->next != NULL)
        reservation->next->previous = reservation->previous;
    else
        wal->last_open = reservation->previous;
}

/* Lock held on entry and exit, not in between: the caller looks again. */
static kd_status room_make(kd_ctx *ctx, kd_wal *wal)
{
    if (wal->is_writing) {
        wal->waiter_count++;
        (void)kd_cond_wait(next_group_cond(wal), &wal->lock, UINT64_MAX);
        wal->waiter_count--;
        return KD_OK;
    }
    writing_begin(wal, wal->written_position);
    kd_mutex_unlock(&wal->lock);

    bool passes = false;
    kd_status status = kdi_wal_writer_extend(ctx, wal, &passes);

    kd_mutex_lock(&wal->lock);
    wal->room_bytes = kdi_wal_writer_room(wal);
    writing_end(ctx, wal, passes ? KD_OK : status);
    return status;
}

/* There is room for what was reserved so far, for `size_bytes` more, and for the closing block.
 * Lock held on entry and exit. */
static kd_status room_get(kd_ctx *ctx, kd_wal *wal, size_t size_bytes)
{
    uint64_t needed_bytes = pledge_of(size_bytes) + KD_WAL_BLOCK_ALIGN_BYTES;
    bool has_waited = false;
    while (wal->pledged_bytes - wal->pledged_written_bytes + wal->held_bytes + needed_bytes >
           wal->room_bytes) {
        has_waited = true;
        KD_TRY(room_make(ctx, wal));
        if (wal->has_failed)
            return failed(ctx, wal);
    }
    /* Who was woken to write the next group and does not passes it on. */
    if (has_waited && !wal->is_writing && wal->waiter_count > 0)
        kd_cond_signal(next_group_cond(wal));
    return KD_OK;
}

/* Lock held on entry and exit. */
static kd_status reserve_prepare(kd_ctx *ctx, kd_wal *wal, size_t size_bytes)
{
    if (wal->options.read_only)
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database is open for reading only");
    if (wal->has_failed)
        return failed(ctx, wal);
    return wal->is_memory ? KD_OK : room_get(ctx, wal, size_bytes);
}

/* The lock is held. */
static void reserve(kd_wal *wal, size_t size_bytes, kd_wal_reservation *reservation)
{
    reservation->position = wal->next_position;
    reservation->end = wal->next_position + size_bytes;
    reservation->filled = reservation->position;
    reservation->pledged_before_bytes = wal->pledged_bytes;
    wal->pledged_bytes += pledge_of(size_bytes);
    wal->next_position = reservation->end;
    wal->statistics.append_count++;
    if (wal->is_memory)
        atomic_store_explicit(&wal->durable_position, wal->next_position, memory_order_release);
    open_add(wal, reservation);
}

static void held_end(kd_wal *wal, size_t held_bytes)
{
    if (held_bytes == 0)
        return;
    kd_assert(wal->held_bytes >= pledge_of(held_bytes));
    wal->held_bytes -= pledge_of(held_bytes);
}

kd_status kd_wal_hold(kd_ctx *ctx, kd_wal *wal, size_t size_bytes)
{
    kd_assert(size_bytes > 0);
    kd_mutex_lock(&wal->lock);
    kd_status status = reserve_prepare(ctx, wal, size_bytes);
    if (status == KD_OK)
        wal->held_bytes += pledge_of(size_bytes);
    kd_mutex_unlock(&wal->lock);
    return status;
}

void kd_wal_release(kd_wal *wal, size_t held_bytes)
{
    kd_mutex_lock(&wal->lock);
    held_end(wal, held_bytes);
    kd_mutex_unlock(&wal->lock);
}

kd_status kd_wal_reserve(kd_ctx *ctx, kd_wal *wal, size_t size_bytes, size_t held_bytes,
                         void (*on_reserved)(void *object, uint64_t position, uint64_t end),
                         void *object, kd_wal_reservation *out_reservation)
{
    kd_assert(size_bytes >= KD_WAL_FRAME_BYTES);
    *out_reservation = (kd_wal_reservation){0};
    kd_mutex_lock(&wal->lock);
    held_end(wal, held_bytes);
    kd_status status = reserve_prepare(ctx, wal, size_bytes);
    if (status == KD_OK) {
        reserve(wal, size_bytes, out_reservation);
        if (on_reserved != NULL)
            on_reserved(object, out_reservation->position, out_reservation->end);
    }
    kd_mutex_unlock(&wal->lock);
    return status;
}

/* Waits, writing if need be, until the ring has room for the bytes before `end`. Lock held. */
static kd_status space_wait(kd_ctx *ctx, kd_wal *wal, uint64_t end)
{
    bool has_waited = false;
    while (end - wal->written_position > wal->buffer_bytes) {
        wal->statistics.buffer_waits += !has_waited;
        has_waited = true;
        if (wal->has_failed)
            return failed(ctx, wal);
        if (!wal->is_writing && filled_end(wal) > wal->written_position) {
            KD_TRY(group_write(ctx, wal));
        } else {
            (void)kd_cond_wait(&wal->space, &wal->lock, UINT64_MAX);
        }
    }
    return wal->has_failed ? failed(ctx, wal) : KD_OK;
}

static void buffer_fill(kd_wal *wal, uint64_t position, const char *source, size_t size_bytes)
{
    size_t at = position & (wal->buffer_bytes - 1);
    size_t first_bytes = wal->buffer_bytes - at;
    if (first_bytes > size_bytes)
        first_bytes = size_bytes;
    memcpy(wal->buffer + at, source, first_bytes);
    if (size_bytes > first_bytes)
        memcpy(wal->buffer, source + first_bytes, size_bytes - first_bytes);
}

/* What was filled just now may be what somebody without a writer waits for. Lock held. */
static void progress_tell(kd_wal *wal, const kd_wal_reservation *reservation)
{
    if (wal->is_writing || wal->first_open != reservation)
        return;
    if (wal->waiter_count > 0)
        kd_cond_signal(next_group_cond(wal));
    if (wal->next_position - wal->written_position > wal->buffer_bytes)
        kd_cond_broadcast(&wal->space);
}

/*
 * Small ones become visible to the writer as a whole (KD_WAL_WHOLE_BYTES); large ones go through
 * the ring in pieces, each writable at once, so that they may be larger than the ring. Lock held on
 * entry and exit.
 */
static kd_status fill_pieces(kd_ctx *ctx, kd_wal *wal, kd_wal_reservation *reservation,
                             const char *source)
{
    uint64_t at = reservation->position;
    while (at < reservation->end) {
        uint64_t piece_bytes = reservation->end - at;
        if (piece_bytes > KD_WAL_WHOLE_BYTES)
            piece_bytes = KD_WAL_WHOLE_BYTES;
        KD_TRY(space_wait(ctx, wal, at + piece_bytes));
        kd_mutex_unlock(&wal->lock);
        buffer_fill(wal, at, source, piece_bytes);
        kd_mutex_lock(&wal->lock);
        at += piece_bytes;
        source += piece_bytes;
        reservation->filled = at;
        progress_tell(wal, reservation);
    }
    return KD_OK;
}

/* Lock held. */
static kd_status fill(kd_ctx *ctx, kd_wal *wal, kd_wal_reservation *reservation, const char *source)
{
    kd_status status = wal->is_memory ? KD_OK : fill_pieces(ctx, wal, reservation, source);
    open_remove(wal, reservation);
    return status;
}

kd_status kd_wal_fill(kd_ctx *ctx, kd_wal *wal, kd_wal_reservation *reservation,
                      const void *records)
{
    kd_mutex_lock(&wal->lock);
    kd_status status = fill(ctx, wal, reservation, records);
    kd_mutex_unlock(&wal->lock);
    return status;
}

static bool records_are_whole(const char *records, size_t size_bytes)
{
    while (size_bytes >= KD_WAL_FRAME_BYTES) {
        size_t record_bytes = KD_WAL_FRAME_BYTES + (size_t)kd_load_u32(records);
        if (records[4] == 0 || record_bytes > size_bytes)
            return false;
        records += record_bytes;
        size_bytes -= record_bytes;
    }
    return size_bytes == 0;
}

kd_status kd_wal_append(kd_ctx *ctx, kd_wal *wal, const void *records, size_t size_bytes,
                        uint64_t *out_position, uint64_t *out_end)
{
    kd_assert(size_bytes >= KD_WAL_FRAME_BYTES);
    kd_assert_slow(records_are_whole(records, size_bytes));
    if (out_position != NULL)
        *out_position = 0;
    if (out_end != NULL)
        *out_end = 0;
    kd_wal_reservation reservation;
    kd_mutex_lock(&wal->lock);
    kd_status status = reserve_prepare(ctx, wal, size_bytes);
    if (status == KD_OK) {
        reserve(wal, size_bytes, &reservation);
        status = fill(ctx, wal, &reservation, records);
    }
    kd_mutex_unlock(&wal->lock);
    if (status != KD_OK)
        return status;
    if (out_position != NULL)
        *out_position = reservation.position;
    if (out_end != NULL)
        *out_end = reservation.end;
    return KD_OK;
}

/* Until a group that ends behind `position` is on disk. Lock held on entry and exit. */
static kd_status durable_wait(kd_ctx *ctx, kd_wal *wal, uint64_t position)
{
    while (kd_wal_durable_position(wal) < position) {
        if (wal->has_failed)
            return failed(ctx, wal);
        if (!wal->is_writing && filled_end(wal) > wal->written_position) {
            KD_TRY(group_write(ctx, wal));
            continue;
        }
        bool is_covered = wal->is_writing && wal->group_end >= position;
        kd_cond *cond = is_covered ? &wal->group_done[wal->group_no & 1] : next_group_cond(wal);
        wal->waiter_count++;
        (void)kd_cond_wait(cond, &wal->lock, UINT64_MAX);
        wal->waiter_count--;
    }
    return KD_OK;
}

kd_status kd_wal_wait_durable(kd_ctx *ctx, kd_wal *wal, uint64_t position)
{
    if (kd_wal_durable_position(wal) >= position)
        return KD_OK;
    kd_mutex_lock(&wal->lock);
    kd_assert(position <= wal->next_position);
    kd_status status = durable_wait(ctx, wal, position);
    kd_mutex_unlock(&wal->lock);
    return status;
}

kd_status kd_wal_flush(kd_ctx *ctx, kd_wal *wal)
{
    KD_TRY(kd_wal_wait_durable(ctx, wal, kd_wal_next_position(wal)));
    if (!wal->options.no_sync || wal->is_memory || wal->options.read_only)
        return KD_OK;
    kd_mutex_lock(&wal->lock);
    kd_status status = written_sync(ctx, wal);
    kd_mutex_unlock(&wal->lock);
    return status;
}

uint64_t kd_wal_durable_position(const kd_wal *wal)
{
    return atomic_load_explicit(&wal->durable_position, memory_order_acquire);
}

uint64_t kd_wal_next_position(kd_wal *wal)
{
    kd_mutex_lock(&wal->lock);
    uint64_t position = wal->next_position;
    kd_mutex_unlock(&wal->lock);
    return position;
}
