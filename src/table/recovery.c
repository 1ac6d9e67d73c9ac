/*
 * Recovery: what the root names, then the log.
 *
 * Commits are applied in the order of the log, which is the order of stamps. The
 * parts of a large transaction are collected until its commit record comes; without
 * one they never count. Replay follows remaps, so that a delete that was logged for a
 * row's old place finds it at its new one.
 */
#include "base/map.h"
#include "table/checkpoint.h"
#include "table/delta_image.h"

#include <string.h>

typedef struct stream {
    kd_arena *arena;
    kd_buffer bytes;
} stream;

enum { MOVES_MAX = 64 };

typedef struct replay {
    kd_storage *storage;
    kd_stamp root_stamp; /* Everything up to here is in the root. */
    kd_stamp newest;
    bool has_news; /* The log goes on behind it. */
    uint64_t next_txn_no;
    kd_map streams;  /* Transaction number -> stream. */
    kd_arena *arena; /* Reset after each record. */
    /* Units of one table that were moved together: the table's list is made once for all. */
    kd_table *moved_table;
    kdi_remap *moves[MOVES_MAX];
    uint32_t move_count;
} replay;

static kd_status damaged(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the database root or log: %s", what);
}

static void number_above(_Atomic uint64_t *next, uint64_t number)
{
    if (atomic_load(next) <= number)
        atomic_store(next, number + 1);
}

/* --- The root -------------------------------------------------------------------------------- */

/* How many rows a lost segment had nobody knows. */
static void segment_look(kd_ctx *ctx, kd_table *table, kdi_segment *segment)
{
    kd_value unread;
    if (!kd_segment_is_lost(segment->file)) {
        atomic_fetch_add(&table->row_count, segment->row_count);
        return;
    }
    atomic_store(&segment->is_damaged, true);
    if (kd_segment_get(ctx, segment->file, 0, 0, NULL, &unread) != KD_OK) {
        kdi_damage_note_error(ctx, table, segment->unit, NULL);
        kd_error_clear(ctx);
    }
}

static kd_status segment_add(kd_ctx *ctx, kd_table *table, uint64_t unit, kd_stamp begin,
                             kd_stamp stamps_max, kdi_segment **out_segment)
{
    kdi_unit_list *list;
    KD_TRY(kdi_segment_open(ctx, table->storage, unit, begin, stamps_max, out_segment));
    kdi_unit_change change = {.add_segments = out_segment, .add_segment_count = 1};
    kd_status status = kdi_units_make(ctx, table, &change, &list);
    if (status != KD_OK) {
        kdi_segment_close(*out_segment);
        return status;
    }
    kdi_units_publish(table, list);
    segment_look(ctx, table, *out_segment);
    number_above(&table->storage->next_unit, unit);
    return KD_OK;
}

static kd_status index_add(kd_ctx *ctx, kd_table *table, kd_arena *arena, kd_reader *reader)
{
    kd_index_definition definition;
    kdi_index *index;
    KD_TRY(kdi_index_definition_read(ctx, arena, reader, &definition));
    kd_slice manifest = kd_read_slice(reader);
    if (reader->failed)
        return damaged(ctx, "an index definition is cut off");
    kd_status status = kdi_index_make(ctx, table, &definition, manifest, &index);
    if (status == KD_CORRUPT)
        status = kdi_index_make_damaged(ctx, table, &definition, manifest, &index);
    KD_TRY(status);
    status = kdi_index_list_change(ctx, table, index, NULL);
    if (status != KD_OK)
        kdi_index_destroy(index);
    return status;
}

static kd_status table_load(kd_ctx *ctx, kd_storage *storage, kd_arena *arena, kd_reader *reader)
{
    kd_table *table;
    KD_TRY(kdi_table_read(ctx, storage, reader, &table));
    atomic_store(&table->created, 1);
    kd_status status = kdi_directory_put(ctx, &storage->tables, table->table_no, table);
    if (status != KD_OK) {
        kdi_table_destroy(table);
        return status;
    }
    uint64_t segments = kd_read_varint(reader);
    for (uint64_t i = 0; i < segments && !reader->failed; i++) {
        kdi_segment *segment;
        uint64_t unit = kd_read_varint(reader);
        kd_stamp begin = kd_read_varint(reader);
        kd_stamp stamps_max = kd_read_varint(reader);
        if (!reader->failed)
            KD_TRY(segment_add(ctx, table, unit, begin, stamps_max, &segment));
    }
    uint64_t indexes = kd_read_varint(reader);
    for (uint64_t i = 0; i < indexes && !reader->failed; i++)
        KD_TRY(index_add(ctx, table, arena, reader));
    return reader->failed ? damaged(ctx, "a table definition is cut off") : KD_OK;
}

static kd_status body_load(kd_ctx *ctx, replay *run, kd_slice body)
{
    kd_storage *storage = run->storage;
    kd_reader reader = kd_reader_of(body);
    if (kd_read_varint(&reader) != KDI_BODY_VERSION)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "the database root has an unknown format");
    run->root_stamp = run->newest = kd_read_varint(&reader);
    storage->checkpoint_position = kd_read_varint(&reader);
    atomic_store(&storage->next_unit, kd_read_varint(&reader));
    atomic_store(&storage->next_table_no, kd_read_varint(&reader));
    atomic_store(&storage->next_sequence_no, kd_read_varint(&reader));
    atomic_store(&storage->next_index_no, kd_read_varint(&reader));
    run->next_txn_no = kd_read_varint(&reader);
    storage->image_unit = kd_read_varint(&reader);
    uint64_t tables = kd_read_varint(&reader);
    for (uint64_t i = 0; i < tables && !reader.failed; i++)
        KD_TRY(table_load(ctx, storage, run->arena, &reader));
    uint64_t sequences = kd_read_varint(&reader);
    for (uint64_t i = 0; i < sequences && !reader.failed; i++) {
        kdi_sequence *sequence;
        bool is_created = kd_read_u8(&reader) != 0;
        KD_TRY(kdi_sequence_apply(ctx, storage, &reader, &sequence));
        if (is_created)
            atomic_store(&sequence->created, 1);
    }
    if (reader.failed)
        return damaged(ctx, "the root's body ends too early");
    return storage->image_unit == 0 ? KD_OK : kdi_image_load(ctx, storage, storage->image_unit);
}

/* --- Redo ------------------------------------------------------------------------------------ */

static kd_status table_get(kd_ctx *ctx, const replay *run, kd_reader *reader, kd_table **out_table)
{
    uint64_t table_no = kd_read_varint(reader);
    *out_table = kd_table_find(run->storage, table_no);
    if (*out_table == NULL || reader->failed)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the log names table %llu, which is not there",
                       (unsigned long long)table_no);
    return KD_OK;
}

static kd_status rows_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_table *table;
    kdi_chunk *chunk;
    kd_key_list keys = kd_key_list_in(run->arena);
    KD_TRY(table_get(ctx, run, reader, &table));
    uint64_t unit = kd_read_varint(reader);
    uint64_t first = kd_read_varint(reader);
    uint64_t count = kd_read_varint(reader);
    uint64_t version = kd_read_varint(reader);
    if (reader->failed || first > KDI_CHUNK_SLOTS || count > KDI_CHUNK_SLOTS - first)
        return damaged(ctx, "rows outside of their chunk");
    KD_TRY(kdi_delta_chunk(ctx, table, unit, (uint32_t)version, &chunk));
    KD_TRY(kdi_chunk_read_rows(ctx, chunk, (uint32_t)first, (uint32_t)count, reader));
    for (uint64_t i = first; i < first + count; i++)
        atomic_store(&chunk->begins[i], stamp);
    number_above(&run->storage->next_unit, unit);
    atomic_fetch_add(&table->row_count, (int64_t)count);
    return kdi_indexes_add_rows(ctx, table, chunk, (uint32_t)first, (uint32_t)count, false, &keys);
}

static kd_status end_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_table *table;
    kdi_place place;
    _Atomic kd_stamp *end;
    KD_TRY(table_get(ctx, run, reader, &table));
    uint64_t unit = kd_read_varint(reader);
    uint64_t ordinal = kd_read_varint(reader);
    if (reader->failed)
        return damaged(ctx, "a delete is cut off");
    if (!kdi_place_find(table, kdi_ref(unit, (uint32_t)ordinal), &place))
        return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                       "the log deletes row %llu:%llu of table %llu, which is not there",
                       (unsigned long long)unit, (unsigned long long)ordinal,
                       (unsigned long long)table->table_no);
    KD_TRY(kdi_place_end_cell(ctx, &place, &end));
    if (place.segment != NULL && atomic_load(end) == KD_STAMP_NONE)
        atomic_fetch_add(&place.segment->ended_count, 1);
    atomic_store(end, stamp);
    atomic_fetch_sub(&table->row_count, 1);
    return KD_OK;
}

static kd_status table_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_table *table;
    KD_TRY(kdi_table_read(ctx, run->storage, reader, &table));
    atomic_store(&table->created, stamp);
    kd_status status = kdi_directory_put(ctx, &run->storage->tables, table->table_no, table);
    if (status != KD_OK) {
        kdi_table_destroy(table);
        return status;
    }
    number_above(&run->storage->next_table_no, table->table_no);
    return KD_OK;
}

static kd_status drop_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_table *table;
    KD_TRY(table_get(ctx, run, reader, &table));
    atomic_store(&table->dropped, stamp);
    return KD_OK;
}

static kd_status columns_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    kd_table *table;
    kdi_column_set *set;
    KD_TRY(table_get(ctx, run, reader, &table));
    KD_TRY(kdi_set_read(ctx, table->arena, reader, &set));
    if (set->version != table->set_count)
        return damaged(ctx, "a column list is out of order");
    KD_TRY(kdi_table_set_push(ctx, table, set));
    atomic_store(&table->sets_committed, table->set_count);
    return KD_OK;
}

static kd_status index_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    kd_table *table;
    kd_index_definition definition;
    kdi_index *index;
    KD_TRY(table_get(ctx, run, reader, &table));
    KD_TRY(kdi_index_definition_read(ctx, run->arena, reader, &definition));
    KD_TRY(kdi_index_make(ctx, table, &definition, (kd_slice){0}, &index));
    kd_snapshot latest = {.stamp = KDI_SNAPSHOT_LATEST};
    kd_status status = kdi_index_build(ctx, index, latest);
    if (status == KD_OK)
        status = kdi_index_list_change(ctx, table, index, NULL);
    if (status != KD_OK)
        kdi_index_destroy(index);
    number_above(&run->storage->next_index_no, definition.index_no);
    return status;
}

static kd_status index_drop_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    kd_table *table;
    KD_TRY(table_get(ctx, run, reader, &table));
    kdi_index *index = kdi_index_find(table, kd_read_varint(reader));
    if (index == NULL || reader->failed)
        return damaged(ctx, "an index that is dropped is not there");
    return kdi_index_unlink(ctx, index);
}

static kd_status index_name_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    kd_table *table;
    KD_TRY(table_get(ctx, run, reader, &table));
    kdi_index *index = kdi_index_find(table, kd_read_varint(reader));
    kd_slice name = kd_read_slice(reader);
    kd_slice columns_text = kd_read_slice(reader);
    if (index == NULL || reader->failed)
        return damaged(ctx, "an index that gets a name is not there");
    return kdi_index_set_texts(ctx, index, name, columns_text);
}

static kd_status sequence_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_reader at = *reader;
    kdi_sequence *known = kdi_directory_find(&run->storage->sequences, kd_read_varint(&at));
    kdi_sequence *sequence = NULL;
    if (known == NULL) {
        KD_TRY(kdi_sequence_apply(ctx, run->storage, reader, &sequence));
    } else {
        /* Its own transaction has taken values already, which the log told before. */
        kd_sequence_definition definition = known->definition;
        int64_t last = known->last;
        bool is_called = known->is_called;
        KD_TRY(kdi_sequence_apply(ctx, run->storage, reader, &sequence));
        sequence->definition = definition;
        sequence->last = last;
        sequence->is_called = is_called;
    }
    atomic_store(&sequence->created, stamp);
    return KD_OK;
}

static kd_status sequence_drop_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    uint64_t number = kd_read_varint(reader);
    kdi_sequence *sequence = kdi_directory_find(&run->storage->sequences, number);
    if (sequence == NULL || reader->failed)
        return damaged(ctx, "a sequence that is dropped is not there");
    kdi_directory_remove(&run->storage->sequences, number);
    kdi_sequence_destroy(sequence);
    return KD_OK;
}

/* The keys of a segment cannot be read: the indexes do not have them. */
static kd_status indexes_damage(kd_ctx *ctx, kd_table *table)
{
    kd_error error = ctx->error;
    const kdi_index_list *list = atomic_load(&table->indexes);
    kd_error_clear(ctx);
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        KD_TRY(kd_index_set_damage(ctx, list->items[i]->index, error.message));
    return KD_OK;
}

static kd_status install_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    kd_table *table;
    kdi_segment *segment;
    KD_TRY(table_get(ctx, run, reader, &table));
    uint64_t unit = kd_read_varint(reader);
    bool has_new_rows = kd_read_varint(reader) != 0;
    kd_stamp stamps_max = kd_read_varint(reader);
    if (reader->failed)
        return damaged(ctx, "the installation of a segment is cut off");
    KD_TRY(segment_add(ctx, table, unit, has_new_rows ? stamp : 0, stamps_max, &segment));
    if (!has_new_rows) {
        if (!kd_segment_is_lost(segment->file))
            atomic_fetch_sub(&table->row_count, segment->row_count); /* They are counted already. */
        return KD_OK;
    }
    kd_status status = kdi_indexes_add_segment(ctx, table, segment);
    return status == KD_CORRUPT ? indexes_damage(ctx, table) : status;
}

static kd_status moves_publish(kd_ctx *ctx, replay *run)
{
    if (run->move_count == 0)
        return KD_OK;
    const kdi_unit_list *units = atomic_load(&run->moved_table->units);
    KD_TRY(kdi_move_publish(ctx, run->moved_table, units == NULL ? NULL : units->segments,
                            units == NULL ? 0 : units->segment_count, false, run->moves,
                            run->move_count));
    run->move_count = 0;
    return KD_OK;
}

static kd_status move_apply(kd_ctx *ctx, replay *run, kd_reader *reader)
{
    kd_table *table;
    kdi_remap *remap;
    KD_TRY(table_get(ctx, run, reader, &table));
    if (run->moved_table != table || run->move_count == MOVES_MAX)
        KD_TRY(moves_publish(ctx, run));
    uint64_t unit = kd_read_varint(reader);
    uint64_t count = kd_read_varint(reader);
    const char *refs = NULL;
    if (!reader->failed && count < (1u << KD_ROWREF_ORDINAL_BITS))
        refs = kd_read_bytes(reader, count * sizeof(kd_rowref));
    if (refs == NULL)
        return damaged(ctx, "a move of rows is cut off");
    KD_TRY(kdi_remap_make(ctx, run->storage, unit, (uint32_t)count, &remap));
    memcpy(remap->refs, refs, count * sizeof(kd_rowref));
    run->moved_table = table;
    run->moves[run->move_count++] = remap;
    return KD_OK;
}

static kd_status op_apply(kd_ctx *ctx, replay *run, kd_reader *reader, kd_stamp stamp)
{
    switch ((kdi_redo)kd_read_u8(reader)) {
    case KDI_REDO_ROWS:
        return rows_apply(ctx, run, reader, stamp);
    case KDI_REDO_END:
        return end_apply(ctx, run, reader, stamp);
    case KDI_REDO_TABLE:
        return table_apply(ctx, run, reader, stamp);
    case KDI_REDO_DROP:
        return drop_apply(ctx, run, reader, stamp);
    case KDI_REDO_COLUMNS:
        return columns_apply(ctx, run, reader);
    case KDI_REDO_INDEX:
        return index_apply(ctx, run, reader);
    case KDI_REDO_INDEX_DROP:
        return index_drop_apply(ctx, run, reader);
    case KDI_REDO_INDEX_NAME:
        return index_name_apply(ctx, run, reader);
    case KDI_REDO_INSTALL:
        return install_apply(ctx, run, reader, stamp);
    case KDI_REDO_MOVE:
        return move_apply(ctx, run, reader);
    case KDI_REDO_SEQUENCE:
        return sequence_apply(ctx, run, reader, stamp);
    case KDI_REDO_SEQUENCE_DROP:
        return sequence_drop_apply(ctx, run, reader);
    }
    return damaged(ctx, "an unknown change");
}

static kd_status redo_apply(kd_ctx *ctx, replay *run, kd_slice redo, kd_stamp stamp)
{
    kd_reader reader = kd_reader_of(redo);
    while (reader.at < reader.end) {
        if ((kdi_redo)*reader.at != KDI_REDO_MOVE)
            KD_TRY(moves_publish(ctx, run));
        KD_TRY(op_apply(ctx, run, &reader, stamp));
    }
    KD_TRY(moves_publish(ctx, run));
    return reader.failed ? damaged(ctx, "a change is cut off") : KD_OK;
}

/* --- Records --------------------------------------------------------------------------------- */

static void stream_drop(replay *run, uint64_t txn_no)
{
    stream *found = kd_map_remove_u64(&run->streams, txn_no);
    if (found != NULL)
        kd_arena_destroy(found->arena);
}

static kd_status stream_get(kd_ctx *ctx, replay *run, uint64_t txn_no, stream **out_stream)
{
    *out_stream = kd_map_find_u64(&run->streams, txn_no);
    if (*out_stream != NULL)
        return KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "redo stream", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    stream *made = KD_NEW(ctx, arena, stream);
    kd_status status = made == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK) {
        made->arena = arena;
        made->bytes = kd_buffer_in(arena);
        status = kd_map_put_u64(ctx, &run->streams, txn_no, made, NULL);
    }
    if (status != KD_OK) {
        kd_arena_destroy(arena);
        return status;
    }
    *out_stream = made;
    return KD_OK;
}

static kd_status commit_visit(kd_ctx *ctx, replay *run, const kd_wal_record *record)
{
    kd_reader reader = kd_reader_of(record->payload);
    uint64_t txn_no = kd_read_u64(&reader);
    (void)kd_read_u64(&reader); /* The wall time is for others. */
    bool has_parts = kd_read_u8(&reader) != 0;
    if (reader.failed)
        return damaged(ctx, "a commit record is cut off");
    if (txn_no >= run->next_txn_no)
        run->next_txn_no = txn_no + 1;
    kd_status status = KD_OK;
    if (record->position > run->root_stamp) {
        kd_slice redo = {reader.at, (size_t)(reader.end - reader.at)};
        stream *parts = has_parts ? kd_map_find_u64(&run->streams, txn_no) : NULL;
        if (has_parts && parts == NULL)
            return damaged(ctx, "the parts of a transaction are missing");
        if (parts != NULL) {
            status = kd_buffer_append_slice(ctx, &parts->bytes, redo);
            redo = kd_buffer_slice(&parts->bytes);
        }
        if (status == KD_OK)
            status = redo_apply(ctx, run, redo, record->position);
        run->newest = record->position;
    }
    stream_drop(run, txn_no);
    return status;
}

static kd_status part_visit(kd_ctx *ctx, replay *run, const kd_wal_record *record)
{
    stream *parts;
    kd_reader reader = kd_reader_of(record->payload);
    uint64_t txn_no = kd_read_u64(&reader);
    if (reader.failed)
        return damaged(ctx, "a part of a transaction is cut off");
    if (txn_no >= run->next_txn_no)
        run->next_txn_no = txn_no + 1;
    KD_TRY(stream_get(ctx, run, txn_no, &parts));
    return kd_buffer_append(ctx, &parts->bytes, reader.at, (size_t)(reader.end - reader.at));
}

static kd_status cut_visit(kd_ctx *ctx, replay *run, const kd_wal_record *record)
{
    kd_reader reader = kd_reader_of(record->payload);
    stream *parts = kd_map_find_u64(&run->streams, kd_read_u64(&reader));
    uint64_t stays = kd_read_u64(&reader);
    if (reader.failed)
        return damaged(ctx, "a cut is cut off");
    /* Without parts it belongs to a transaction from before the root's position. */
    if (parts != NULL && stays < parts->bytes.size_bytes)
        parts->bytes.size_bytes = stays;
    return KD_OK;
}

static kd_status record_visit(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    replay *run = object;
    kd_arena_reset(run->arena);
    run->has_news |= record->position > run->root_stamp;
    switch ((kd_log_kind)record->kind) {
    case KD_LOG_COMMIT:
        return commit_visit(ctx, run, record);
    case KD_LOG_PART:
        return part_visit(ctx, run, record);
    case KD_LOG_CUT:
        return cut_visit(ctx, run, record);
    case KD_LOG_ALONE: {
        kd_reader reader = kd_reader_of(record->payload);
        kdi_sequence *sequence;
        if (record->position <= run->root_stamp)
            return KD_OK;
        return kdi_sequence_apply(ctx, run->storage, &reader, &sequence);
    }
    }
    return damaged(ctx, "a record of unknown kind");
}

static void sequences_prune(kd_storage *storage)
{
    uint64_t end = atomic_load(&storage->sequences.end);
    for (uint64_t i = 0; i < end; i++) {
        kdi_sequence *sequence = kdi_directory_find(&storage->sequences, i);
        if (sequence != NULL && kdi_is_in_flight(atomic_load(&sequence->created))) {
            kdi_directory_remove(&storage->sequences, i);
            kdi_sequence_destroy(sequence);
        }
    }
}

/* The log's buffer is a ring, whose size is a power of two. */
static size_t wal_buffer_bytes(uint64_t wanted_bytes)
{
    enum { LEAST_BYTES = 1 << 20 };
    size_t bytes = wanted_bytes == 0 ? 0 : LEAST_BYTES; /* 0: the log's own choice. */
    while (bytes < wanted_bytes)
        bytes *= 2;
    return bytes;
}

static kd_status log_open(kd_ctx *ctx, replay *run)
{
    kd_storage *storage = run->storage;
    kd_wal_options options = {
        .directory = storage->wal_directory,
        .log_id = storage->database_id,
        .create = storage->root_generation == 1,
        .start_position = storage->checkpoint_position <= 1 ? 0 : storage->checkpoint_position,
        .file_bytes = storage->options.wal_file_bytes,
        .buffer_bytes = wal_buffer_bytes(storage->options.wal_buffer_bytes),
        .no_sync = storage->options.no_sync,
        .read_only = storage->options.read_only};
    if (run->root_stamp > 1)
        options.known_durable_position = run->root_stamp;
    return kd_wal_open(ctx, &storage->account, &options, record_visit, run, &storage->wal);
}

/* Damaged indexes are built anew, unless nothing is to be written. */
static kd_status indexes_mend(kd_ctx *ctx, replay *run)
{
    kd_storage *storage = run->storage;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end && !storage->options.read_only; i++) {
        kd_table *table = kd_table_find(storage, i);
        const kdi_index_list *list = table == NULL ? NULL : atomic_load(&table->indexes);
        for (uint32_t k = 0; list != NULL && k < list->count; k++) {
            if (kd_index_damage(list->items[k]->index) == NULL)
                continue;
            run->has_news = true; /* The next root says it. */
            KD_TRY(kdi_index_mend(ctx, list->items[k]));
        }
    }
    return KD_OK;
}

kd_status kdi_recover(kd_ctx *ctx, kd_storage *storage, kd_slice root_body)
{
    replay run = {.storage = storage};
    run.arena = kd_arena_create(ctx, NULL, "recovery", KD_ARENA_UNLIMITED);
    if (run.arena == NULL)
        return KD_NOMEM;
    kd_map_init(&run.streams, ctx->world, &storage->account);
    storage->is_recovering = true;
    kd_status status = body_load(ctx, &run, root_body);
    if (status == KD_OK)
        status = log_open(ctx, &run);
    if (status == KD_OK)
        status = indexes_mend(ctx, &run);
    storage->is_recovering = false;
    sequences_prune(storage);
    for (uint32_t i = 0; i < run.move_count; i++) /* It failed. */
        kdi_remap_destroy(run.moves[i]);
    uint32_t cursor = 0;
    const kd_map_entry *entry;
    while ((entry = kd_map_next(&run.streams, &cursor)) != NULL)
        kd_arena_destroy(((stream *)entry->value)->arena);
    kd_map_clear(&run.streams);
    if (status == KD_OK) {
        kd_txn_manager_start(storage->txns, storage->options.read_only ? NULL : storage->wal,
                             run.newest, run.next_txn_no);
        if (!run.has_news && storage->root_generation > 1)
            storage->settled_position = kd_wal_read_statistics(storage->wal).next_position;
        (void)kd_txn_epoch_next(storage->txns); /* Nobody is there from before. */
        kdi_remaps_drop(ctx, storage, run.arena);
    }
    kd_arena_destroy(run.arena);
    return status;
}
