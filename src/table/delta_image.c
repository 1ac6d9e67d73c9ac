/*
 * Writing and loading delta images.
 */
#include "table/delta_image.h"

#include "base/checksum.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, FRAME_HEAD_BYTES = 9, FRAME_BYTES_MAX = 1 << 30 };

static kd_status image_path(kd_ctx *ctx, const char *directory, uint64_t unit, char *path)
{
    int length = snprintf(path, PATH_BYTES, "%s/%010llx.img", directory, (unsigned long long)unit);
    if (length < 0 || length >= PATH_BYTES)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "the path of the database is too long");
    return KD_OK;
}

static uint32_t frame_checksum(uint64_t database_id, uint64_t unit, uint64_t frame_no, uint8_t kind,
                               const void *payload, size_t size_bytes)
{
    char identity[25];
    kd_store_u64(identity, database_id);
    kd_store_u64(identity + 8, unit);
    kd_store_u64(identity + 16, frame_no);
    identity[24] = (char)kind;
    return kd_crc32c(kd_crc32c(0, identity, sizeof identity), payload, size_bytes);
}

/* --- Writing --------------------------------------------------------------------------------- */

kd_status kdi_image_begin(kd_ctx *ctx, kd_storage *storage, uint64_t unit,
                          kdi_image_writer *out_writer)
{
    char path[PATH_BYTES];
    *out_writer = (kdi_image_writer){.storage = storage, .unit = unit};
    KD_TRY(image_path(ctx, storage->units_directory, unit, path));
    out_writer->arena = kd_arena_create(ctx, NULL, "delta image", KD_ARENA_UNLIMITED);
    if (out_writer->arena == NULL)
        return KD_NOMEM;
    out_writer->frame = kd_buffer_in(out_writer->arena);
    return ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE,
                                 &out_writer->file);
}

void kdi_image_close(kdi_image_writer *writer)
{
    if (writer->file != NULL)
        writer->storage->world->file_close(writer->storage->world, writer->file);
    kd_arena_destroy(writer->arena);
    *writer = (kdi_image_writer){0};
}

static kd_status frame_start(kd_ctx *ctx, kdi_image_writer *writer, kdi_image_kind kind)
{
    static const char head[FRAME_HEAD_BYTES - 1] = {0};
    writer->frame.size_bytes = 0;
    KD_TRY(kd_buffer_append(ctx, &writer->frame, head, sizeof head));
    return kd_buffer_append_byte(ctx, &writer->frame, (uint8_t)kind);
}

static kd_status frame_write(kd_ctx *ctx, kdi_image_writer *writer)
{
    char *head = writer->frame.data;
    size_t payload = writer->frame.size_bytes - FRAME_HEAD_BYTES;
    if (payload > FRAME_BYTES_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a delta chunk is too large for the delta image");
    kd_store_u32(head, (uint32_t)payload);
    kd_store_u32(head + 4,
                 frame_checksum(writer->storage->database_id, writer->unit, writer->frame_count,
                                (uint8_t)head[8], head + FRAME_HEAD_BYTES, payload));
    KD_TRY(
        ctx->world->file_write(ctx, writer->file, writer->offset, head, writer->frame.size_bytes));
    writer->offset += writer->frame.size_bytes;
    writer->frame_count++;
    return KD_OK;
}

static bool slot_is_visible(const kdi_chunk *chunk, uint32_t slot, kd_snapshot snapshot)
{
    return kdi_stamp_seen(atomic_load(&chunk->begins[slot]), snapshot) &&
           !kdi_stamp_seen(atomic_load(&chunk->ends[slot]), snapshot);
}

static kd_status chunk_write(kd_ctx *ctx, kdi_image_writer *writer, const kd_table *table,
                             kdi_chunk *chunk, kd_snapshot snapshot)
{
    kd_buffer *frame = &writer->frame;
    bool has_rows = false;
    uint32_t used = kdi_chunk_used(chunk);
    KD_TRY(frame_start(ctx, writer, KDI_IMAGE_CHUNK));
    KD_TRY(kd_buffer_append_varint(ctx, frame, table->table_no));
    KD_TRY(kd_buffer_append_varint(ctx, frame, chunk->unit));
    KD_TRY(kd_buffer_append_varint(ctx, frame, chunk->set->version));
    for (uint32_t first = 0; first < used;) {
        uint32_t end = first;
        while (end < used && slot_is_visible(chunk, end, snapshot))
            end++;
        if (end > first) {
            KD_TRY(kd_buffer_append_varint(ctx, frame, first));
            KD_TRY(kd_buffer_append_varint(ctx, frame, end - first));
            KD_TRY(kdi_chunk_append_rows(ctx, chunk, first, end - first, frame));
            has_rows = true;
        }
        first = end + 1;
    }
    if (!has_rows)
        return KD_OK;
    KD_TRY(kd_buffer_append_varint(ctx, frame, 0));
    KD_TRY(kd_buffer_append_varint(ctx, frame, 0));
    return frame_write(ctx, writer);
}

static kd_status marks_write(kd_ctx *ctx, kdi_image_writer *writer, const kd_table *table,
                             const kdi_segment *segment, kd_snapshot snapshot)
{
    kd_buffer ended = kd_buffer_in(writer->arena);
    uint32_t count = 0;
    uint32_t before = 0;
    kd_stamp begin = atomic_load(&segment->begin);
    if (kdi_is_in_flight(begin) || begin > snapshot.stamp)
        return KD_OK; /* The root does not name it: the log brings it, and its marks. */
    for (uint32_t i = 0; i < segment->row_count; i++) {
        if (i % KD_VECTOR_ROWS == 0 && atomic_load(&segment->marks[i / KD_VECTOR_ROWS]) == NULL) {
            i += KD_VECTOR_ROWS - 1;
            continue;
        }
        if (!kdi_stamp_seen(kdi_segment_end(segment, i), snapshot))
            continue;
        KD_TRY(kd_buffer_append_varint(ctx, &ended, i - before));
        before = i;
        count++;
    }
    if (count == 0)
        return KD_OK;
    KD_TRY(frame_start(ctx, writer, KDI_IMAGE_MARKS));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, table->table_no));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, segment->unit));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, count));
    KD_TRY(kd_buffer_append_slice(ctx, &writer->frame, kd_buffer_slice(&ended)));
    return frame_write(ctx, writer);
}

static kd_status remap_write(kd_ctx *ctx, kdi_image_writer *writer, const kd_table *table,
                             const kdi_remap *remap)
{
    KD_TRY(frame_start(ctx, writer, KDI_IMAGE_REMAP));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, table->table_no));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, remap->unit));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, remap->count));
    KD_TRY(
        kd_buffer_append(ctx, &writer->frame, remap->refs, remap->count * sizeof remap->refs[0]));
    return frame_write(ctx, writer);
}

kd_status kdi_image_table(kd_ctx *ctx, kdi_image_writer *writer, const kd_table *table,
                          const kdi_unit_list *units, kd_snapshot snapshot)
{
    for (uint32_t i = 0; units != NULL && i < units->remap_count; i++)
        KD_TRY(remap_write(ctx, writer, table, units->remaps[i]));
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++)
        KD_TRY(marks_write(ctx, writer, table, units->segments[i], snapshot));
    for (uint32_t i = 0; units != NULL && i < units->chunk_count; i++) {
        KD_TRY(kd_progress_add(ctx, kdi_chunk_used(units->chunks[i])));
        KD_TRY(chunk_write(ctx, writer, table, units->chunks[i], snapshot));
    }
    return KD_OK;
}

kd_status kdi_image_finish(kd_ctx *ctx, kdi_image_writer *writer)
{
    KD_TRY(frame_start(ctx, writer, KDI_IMAGE_END));
    KD_TRY(kd_buffer_append_varint(ctx, &writer->frame, writer->frame_count));
    KD_TRY(frame_write(ctx, writer));
    KD_TRY(ctx->world->file_sync(ctx, writer->file));
    return ctx->world->directory_sync(ctx, writer->storage->units_directory);
}

kd_status kdi_image_path(kd_ctx *ctx, kd_arena *arena, const kd_storage *storage, uint64_t unit,
                         const char **out_path)
{
    char path[PATH_BYTES];
    *out_path = NULL;
    KD_TRY(image_path(ctx, storage->units_directory, unit, path));
    *out_path = kd_copy_text(ctx, arena, path, strlen(path));
    return *out_path == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_image_remove(kd_ctx *ctx, kd_storage *storage, uint64_t unit)
{
    char path[PATH_BYTES];
    KD_TRY(image_path(ctx, storage->units_directory, unit, path));
    return ctx->world->path_remove(ctx, path);
}

/* --- Loading --------------------------------------------------------------------------------- */

typedef struct loader {
    kd_storage *storage; /* NULL: a check, which only reads. */
    uint64_t database_id;
    kd_arena *arena; /* Reset after each frame. */
    kd_file *file;
    uint64_t unit;
    uint64_t offset, size;
    uint64_t frame_no;
} loader;

static kd_status damaged(kd_ctx *ctx, const loader *load, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "delta image %010llx, frame %llu at %llu: %s",
                   (unsigned long long)load->unit, (unsigned long long)load->frame_no,
                   (unsigned long long)load->offset, what);
}

static kd_status frame_read(kd_ctx *ctx, loader *load, uint8_t *out_kind, kd_slice *out_payload)
{
    char head[FRAME_HEAD_BYTES];
    size_t got;
    KD_TRY(ctx->world->file_read(ctx, load->file, load->offset, head, sizeof head, &got));
    uint32_t size_bytes = kd_load_u32(head);
    if (got != sizeof head || size_bytes > load->size - load->offset - sizeof head)
        return damaged(ctx, load, "the file ends too early");
    char *payload = kd_alloc_raw(ctx, load->arena, size_bytes + (size_t)1);
    if (payload == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->file_read(ctx, load->file, load->offset + sizeof head, payload, size_bytes,
                                 &got));
    if (got != size_bytes)
        return damaged(ctx, load, "the file ends too early");
    *out_kind = (uint8_t)head[8];
    if (kd_load_u32(head + 4) != frame_checksum(load->database_id, load->unit, load->frame_no,
                                                *out_kind, payload, size_bytes))
        return damaged(ctx, load, "checksum mismatch");
    *out_payload = (kd_slice){payload, size_bytes};
    load->offset += sizeof head + size_bytes;
    return KD_OK;
}

static kd_status runs_read(kd_ctx *ctx, loader *load, kd_table *table, kdi_chunk *chunk,
                           kd_reader *reader)
{
    kd_key_list keys = kd_key_list_in(load->arena);
    for (;;) {
        uint64_t first = kd_read_varint(reader);
        uint64_t count = kd_read_varint(reader);
        if (reader->failed || first + count > chunk->capacity)
            return damaged(ctx, load, "rows outside of their chunk");
        if (count == 0)
            return KD_OK;
        KD_TRY(kdi_chunk_read_rows(ctx, chunk, (uint32_t)first, (uint32_t)count, reader));
        for (uint64_t i = first; i < first + count; i++)
            atomic_store(&chunk->begins[i], 1);
        KD_TRY(
            kdi_indexes_add_rows(ctx, table, chunk, (uint32_t)first, (uint32_t)count, true, &keys));
        atomic_fetch_add(&table->row_count, (int64_t)count);
    }
}

static kd_status marks_read(kd_ctx *ctx, loader *load, kdi_segment *segment, kd_reader *reader)
{
    uint64_t count = kd_read_varint(reader);
    uint64_t ordinal = 0;
    for (uint64_t i = 0; i < count; i++) {
        _Atomic kd_stamp *end;
        ordinal += kd_read_varint(reader);
        if (reader->failed || ordinal >= segment->row_count)
            return damaged(ctx, load, "a delete mark outside of its segment");
        KD_TRY(kdi_segment_mark(ctx, segment, (uint32_t)ordinal, &end));
        atomic_store(end, KDI_STAMP_OLDEST);
    }
    atomic_store(&segment->ended_count, (uint32_t)count);
    return kdi_segment_shrink_marks(ctx, segment, KDI_STAMP_OLDEST);
}

static kd_status remap_read(kd_ctx *ctx, loader *load, kd_table *table, uint64_t unit,
                            kd_reader *reader)
{
    uint64_t count = kd_read_varint(reader);
    if (reader->failed || count > (uint64_t)(reader->end - reader->at) / sizeof(kd_rowref))
        return damaged(ctx, load, "a remap is cut off");
    kdi_remap *remap;
    KD_TRY(kdi_remap_make(ctx, load->storage, unit, (uint32_t)count, &remap));
    /* The checkpoint that wrote the image rewrote the indexes, or one before it had. */
    remap->unnamed_since = KDI_UNNAMED_BY_IMAGE;
    memcpy(remap->refs, kd_read_bytes(reader, count * sizeof(kd_rowref)),
           count * sizeof(kd_rowref));
    kdi_unit_change change = {.add_remaps = &remap, .add_remap_count = 1};
    kdi_unit_list *list;
    kd_status status = kdi_units_make(ctx, table, &change, &list);
    if (status != KD_OK) {
        kdi_remap_destroy(remap);
        return status;
    }
    kdi_units_publish(table, list);
    return KD_OK;
}

static kd_status frame_apply(kd_ctx *ctx, loader *load, uint8_t kind, kd_slice payload)
{
    kd_reader reader = kd_reader_of(payload);
    kd_table *table = kd_table_find(load->storage, kd_read_varint(&reader));
    uint64_t unit = kd_read_varint(&reader);
    if (reader.failed || table == NULL)
        return damaged(ctx, load, "it names a table that is not there");
    if (kind == KDI_IMAGE_CHUNK) {
        kdi_chunk *chunk;
        uint32_t version = (uint32_t)kd_read_varint(&reader);
        KD_TRY(kdi_delta_chunk(ctx, table, unit, version, &chunk));
        return runs_read(ctx, load, table, chunk, &reader);
    }
    if (kind == KDI_IMAGE_REMAP)
        return remap_read(ctx, load, table, unit, &reader);
    if (kind != KDI_IMAGE_MARKS)
        return damaged(ctx, load, "unknown kind");
    kdi_place place;
    if (!kdi_place_find(table, kdi_ref(unit, 0), &place) || place.chunk != NULL ||
        place.segment->unit != unit)
        return damaged(ctx, load, "it names a segment that is not there");
    return marks_read(ctx, load, place.segment, &reader);
}

static kd_status frames_load(kd_ctx *ctx, loader *load, const kd_damage_watch *watch)
{
    for (;;) {
        uint8_t kind = 0;
        kd_slice payload = {0};
        uint64_t before = load->offset;
        kd_arena_reset(load->arena);
        KD_TRY(frame_read(ctx, load, &kind, &payload));
        if (kind == KDI_IMAGE_END) {
            kd_reader reader = kd_reader_of(payload);
            if (kd_read_varint(&reader) != load->frame_no)
                return damaged(ctx, load, "frames are missing");
            return KD_OK;
        }
        if (load->storage != NULL)
            KD_TRY(frame_apply(ctx, load, kind, payload));
        else
            KD_TRY(watch->read(ctx, watch->object, load->offset - before));
        load->frame_no++;
    }
}

static kd_status file_open(kd_ctx *ctx, const char *directory, loader *load)
{
    char path[PATH_BYTES];
    KD_TRY(image_path(ctx, directory, load->unit, path));
    load->arena = kd_arena_create(ctx, NULL, "delta image", KD_ARENA_UNLIMITED);
    if (load->arena == NULL)
        return KD_NOMEM;
    kd_status status = ctx->world->file_open(ctx, path, KD_FILE_READ, &load->file);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "delta image %010llx: the file is missing",
                       (unsigned long long)load->unit);
    }
    KD_TRY(status);
    return ctx->world->file_size(ctx, load->file, &load->size);
}

static void file_close(kd_ctx *ctx, loader *load)
{
    if (load->file != NULL)
        ctx->world->file_close(ctx->world, load->file);
    kd_arena_destroy(load->arena);
}

kd_status kdi_image_load(kd_ctx *ctx, kd_storage *storage, uint64_t unit)
{
    loader load = {.storage = storage, .database_id = storage->database_id, .unit = unit};
    kd_status status = file_open(ctx, storage->units_directory, &load);
    if (status == KD_OK)
        status = frames_load(ctx, &load, NULL);
    file_close(ctx, &load);
    return status;
}

kd_status kdi_image_check(kd_ctx *ctx, const char *directory, uint64_t database_id, uint64_t unit,
                          kd_mutex *keeps, const kd_damage_watch *watch)
{
    loader load = {.database_id = database_id, .unit = unit};
    kd_damage damage = kd_damage_none();
    (void)snprintf(damage.file, sizeof damage.file, "units/%010llx.img", (unsigned long long)unit);
    kd_status status = file_open(ctx, directory, &load);
    if (keeps != NULL)
        kd_mutex_unlock(keeps);
    if (status == KD_OK)
        status = frames_load(ctx, &load, watch);
    damage.offset = load.offset;
    status = kd_damage_tell(ctx, watch, status, &damage);
    file_close(ctx, &load);
    return status;
}
