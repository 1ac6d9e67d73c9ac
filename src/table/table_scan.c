/*
 * Scans: morsels (a block of a segment, a chunk of the delta) handed out to readers.
 *
 * A scan pins what it reads: a slot among the transactions holds its snapshot and
 * everything that was reachable when it was opened. How far each chunk was filled at
 * that moment is noted, so that rows which the statement itself adds do not come back
 * to it. Segment vectors are given as they are stored, with a selection where rows
 * are not visible; delta rows are copied into flat vectors of the reader.
 */
#include "table/table_internal.h"

#include "base/hash.h"
#include "types/jsonb.h"

#include <stdlib.h>
#include <string.h>

struct kd_table_scan {
    kd_table *table;
    kd_snapshot snapshot;
    const kd_table_shape *shape;
    const uint32_t *positions;
    const kd_slice *paths;
    uint32_t position_count;
    const kd_scan_filter *filters;
    uint32_t filter_count;
    const kd_scan_bound *bound;
    uint32_t bound_position;
    kd_status (*block_test)(kd_ctx *ctx, void *object, kd_rowref first, bool *out_reads);
    void *block_test_object;
    bool with_refs;
    bool decodes_later;
    kd_scan_skips *skips;
    uint32_t sample_stride;
    uint32_t pin;
    const kdi_unit_list *units;
    uint32_t *chunk_used;    /* Of each chunk at the opening. */
    uint64_t *segment_first; /* Morsel number of each segment's first block. */
    uint64_t morsel_count;
    uint64_t row_estimate;
    _Atomic uint64_t next_morsel;
};

/* A path that is read as a column of text. */
typedef struct scan_path {
    kd_jsonb_keys keys;
    bool is_followed; /* The segment has no shred of it. */
    kd_vector texts;  /* Where it is followed; made at the first use. */
} scan_path;

struct kd_scan_reader {
    kd_table_scan *scan;
    kd_arena *arena;         /* Of what lives as long as the reader. */
    kd_arena *segment_arena; /* Of the open segment reader. */
    kd_vector *columns;
    kd_vector *flat; /* The reader's own vectors, for the delta. */
    uint16_t *selection;
    kd_rowref *refs;
    kdi_segment *segment; /* Whose reader is open. */
    kd_segment_reader *segment_reader;
    int *segment_columns;       /* Per position: slot of the segment reader, or -1. */
    bool *is_open;              /* Per position: still to be decoded for the last batch. */
    scan_path *paths;           /* Per position; NULL: the scan has none. */
    kd_arena *path_arena;       /* Texts of the last batch. */
    uint32_t first_row;         /* Of the last batch, in the segment, ... */
    uint32_t row_count;         /* ... and its rows. */
    uint32_t next_row, end_row; /* Left of the current segment morsel. */
    uint64_t first_vector;      /* Of the segment, counted through the table. */
    uint64_t read_bytes;        /* Without those of the open segment reader. */
};

static kd_status scan_measure(kd_ctx *ctx, kd_arena *arena, kd_table_scan *scan)
{
    static const kdi_unit_list empty = {0};
    scan->units = atomic_load(&scan->table->units);
    if (scan->units == NULL)
        scan->units = &empty;
    scan->chunk_used = KD_NEW_ARRAY(ctx, arena, uint32_t, scan->units->chunk_count);
    scan->segment_first = KD_NEW_ARRAY(ctx, arena, uint64_t, scan->units->segment_count + 1u);
    if (scan->chunk_used == NULL || scan->segment_first == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < scan->units->segment_count; i++) {
        const kdi_segment *segment = scan->units->segments[i];
        uint32_t rows = segment->file == NULL ? 0 : segment->row_count; /* Somebody's in flight. */
        scan->segment_first[i] = scan->morsel_count;
        scan->morsel_count += (rows + KD_BLOCK_ROWS - 1) / KD_BLOCK_ROWS;
        scan->row_estimate += rows;
    }
    scan->segment_first[scan->units->segment_count] = scan->morsel_count;
    for (uint32_t i = 0; i < scan->units->chunk_count; i++) {
        scan->chunk_used[i] = kdi_chunk_used(scan->units->chunks[i]);
        scan->row_estimate += scan->chunk_used[i];
    }
    scan->morsel_count += scan->units->chunk_count;
    return KD_OK;
}

kd_status kd_table_scan_open(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                             const kd_scan_spec *spec, kd_table_scan **out_scan)
{
    *out_scan = NULL;
    KD_TRY(kdi_serial_note_scan(ctx, table, snapshot, spec));
    KD_TRY(kdi_private_settle(ctx, table->storage, snapshot.txn_no));
    kd_table_scan *scan = KD_NEW(ctx, arena, kd_table_scan);
    if (scan == NULL)
        return KD_NOMEM;
    scan->table = table;
    scan->snapshot = snapshot;
    scan->shape = spec->shape;
    scan->positions = spec->positions;
    scan->paths = spec->paths;
    scan->position_count = spec->position_count;
    scan->filters = spec->filters;
    scan->filter_count = spec->filter_count;
    scan->bound = spec->bound;
    scan->bound_position = spec->bound_position;
    scan->with_refs = spec->with_refs;
    scan->skips = spec->skips;
    /* A block is left out whole: before any of it is given out. */
    scan->decodes_later = spec->decodes_later && spec->skips == NULL;
    scan->sample_stride = spec->sample_stride;
    scan->block_test = spec->block_test;
    scan->block_test_object = spec->block_test_object;
    KD_TRY(kd_txn_pin(ctx, table->storage->txns, snapshot.stamp, &scan->pin));
    kd_status status = scan_measure(ctx, arena, scan);
    if (status != KD_OK) {
        kd_txn_unpin(table->storage->txns, scan->pin);
        return status;
    }
    kd_txn_pin_reached(table->storage->txns, scan->pin, snapshot.txn_no);
    *out_scan = scan;
    return KD_OK;
}

void kd_table_scan_close(kd_table_scan *scan)
{
    if (scan == NULL)
        return;
    kd_txn_unpin(scan->table->storage->txns, scan->pin);
}

uint64_t kd_table_scan_row_estimate(const kd_table_scan *scan)
{
    return scan->row_estimate;
}

static kd_status paths_prepare(kd_ctx *ctx, kd_scan_reader *reader)
{
    const kd_table_scan *scan = reader->scan;
    reader->paths = KD_NEW_ARRAY(ctx, reader->arena, scan_path, scan->position_count);
    reader->path_arena = kd_arena_create(ctx, reader->arena, "scanned paths", KD_ARENA_UNLIMITED);
    if (reader->paths == NULL || reader->path_arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < scan->position_count; i++)
        reader->paths[i].keys.bytes = scan->paths[i];
    return KD_OK;
}

static inline bool is_path(const kd_table_scan *scan, uint32_t position)
{
    return scan->paths != NULL && scan->paths[position].size_bytes > 0;
}

static kd_type position_type(const kd_table_scan *scan, uint32_t position)
{
    return is_path(scan, position) ? kd_type_of(KD_TYPE_TEXT)
                                   : scan->shape->columns[scan->positions[position]].type;
}

kd_status kd_scan_reader_create(kd_ctx *ctx, kd_arena *arena, kd_table_scan *scan,
                                kd_scan_reader **out_reader)
{
    *out_reader = NULL;
    kd_scan_reader *reader = KD_NEW(ctx, arena, kd_scan_reader);
    if (reader == NULL)
        return KD_NOMEM;
    reader->scan = scan;
    reader->arena = arena;
    reader->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, scan->position_count);
    reader->flat = KD_NEW_ARRAY(ctx, arena, kd_vector, scan->position_count);
    reader->segment_columns = KD_NEW_ARRAY(ctx, arena, int, scan->position_count);
    reader->is_open = KD_NEW_ARRAY(ctx, arena, bool, scan->position_count);
    reader->selection = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    reader->refs = KD_NEW_ARRAY(ctx, arena, kd_rowref, scan->with_refs ? KD_BATCH_ROWS : 0);
    if (reader->columns == NULL || reader->flat == NULL || reader->segment_columns == NULL ||
        reader->is_open == NULL || reader->selection == NULL || reader->refs == NULL)
        return KD_NOMEM;
    reader->segment_arena = kd_arena_create(ctx, NULL, "segment scan", KD_ARENA_UNLIMITED);
    if (reader->segment_arena == NULL)
        return KD_NOMEM;
    if (scan->paths != NULL)
        KD_TRY(paths_prepare(ctx, reader));
    *out_reader = reader;
    return KD_OK;
}

void kd_scan_reader_destroy(kd_scan_reader *reader)
{
    if (reader == NULL)
        return;
    kd_segment_reader_destroy(reader->segment_reader);
    kd_arena_destroy(reader->segment_arena);
}

uint64_t kd_scan_reader_read_bytes(const kd_scan_reader *reader)
{
    return reader->read_bytes + (reader->segment_reader == NULL
                                     ? 0
                                     : kd_segment_reader_read_bytes(reader->segment_reader));
}

/* --- Segments -------------------------------------------------------------------------------- */

static bool zone_excludes(const kd_scan_filter *filter, const kd_zone_map *zone)
{
    if (filter->test == KD_SCAN_IS_NULL)
        return zone->null_count == 0;
    if (zone->null_count == zone->row_count)
        return true; /* No other test holds for NULL. */
    if (filter->test == KD_SCAN_IS_NOT_NULL || !zone->has_bounds)
        return false;
    int low = kd_value_compare(&filter->value, &zone->min);
    int high = kd_value_compare(&filter->value, &zone->max);
    switch (filter->test) {
    case KD_SCAN_EQUAL:
        return low < 0 || high > 0;
    case KD_SCAN_LESS:
        return low <= 0;
    case KD_SCAN_LESS_EQUAL:
        return low < 0;
    case KD_SCAN_GREATER:
        return high >= 0;
    case KD_SCAN_GREATER_EQUAL:
        return high > 0;
    case KD_SCAN_IS_NULL:
    case KD_SCAN_IS_NOT_NULL:
        break;
    }
    return false;
}

static bool bound_excludes(const kd_scan_bound *bound, const kd_zone_map *zone)
{
    if (!atomic_load_explicit(&bound->is_set, memory_order_acquire) ||
        (bound->keeps_nulls && zone->null_count > 0))
        return false;
    if (zone->null_count == zone->row_count)
        return true;
    int64_t value = atomic_load_explicit(&bound->value, memory_order_relaxed);
    if (!zone->has_bounds)
        return false;
    return bound->is_least ? kd_value_ordinal(&zone->max) < value
                           : kd_value_ordinal(&zone->min) > value;
}

static kd_status bound_test(kd_ctx *ctx, const kd_table_scan *scan, const kdi_segment *segment,
                            uint32_t block, bool *out_excluded)
{
    const kd_table_column *column = &scan->shape->columns[scan->bound_position];
    int at = kd_segment_find_column(segment->file, column->column_no);
    if (at < 0)
        return KD_OK;
    kd_zone_map zone;
    KD_TRY(kd_segment_zone_map(ctx, segment->file, (uint32_t)at, block, &zone));
    *out_excluded = bound_excludes(scan->bound, &zone);
    return KD_OK;
}

static kd_status block_is_excluded(kd_ctx *ctx, const kd_table_scan *scan,
                                   const kdi_segment *segment, uint32_t block, bool *out_excluded)
{
    *out_excluded = false;
    if (scan->block_test != NULL) {
        bool reads;
        KD_TRY(scan->block_test(ctx, scan->block_test_object,
                                kdi_ref(segment->unit, block * KD_BLOCK_ROWS), &reads));
        *out_excluded = !reads;
    }
    for (uint32_t i = 0; i < scan->filter_count && !*out_excluded; i++) {
        const kd_scan_filter *filter = &scan->filters[i];
        bool is_about_null = filter->test == KD_SCAN_IS_NULL || filter->test == KD_SCAN_IS_NOT_NULL;
        if (!is_about_null && filter->value.is_null) {
            *out_excluded = true;
            return KD_OK;
        }
        const kd_table_column *column = &scan->shape->columns[filter->shape_position];
        int at = kd_segment_find_column(segment->file, column->column_no);
        if (at < 0)
            continue;
        kd_zone_map zone;
        KD_TRY(kd_segment_zone_map(ctx, segment->file, (uint32_t)at, block, &zone));
        if (!is_about_null && !kd_type_same(filter->value.type, column->type))
            continue; /* Not comparable as they are. */
        *out_excluded = zone_excludes(filter, &zone);
    }
    if (scan->bound != NULL && !*out_excluded)
        return bound_test(ctx, scan, segment, block, out_excluded);
    return KD_OK;
}

/* --- Paths where they have no shred ---------------------------------------------------------- */

static kd_status path_text(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position,
                           const kd_str *document, kd_vector *texts, uint32_t row)
{
    bool is_null = true;
    kd_slice text;
    if (document != NULL)
        KD_TRY(kd_jsonb_follow_text(ctx, reader->path_arena, &reader->paths[position].keys,
                                    kd_str_slice(document), &is_null, &text));
    if (is_null) {
        kd_vector_set_null(texts, row);
        return KD_OK;
    }
    ((kd_str *)texts->values)[row] = kd_str_from(text.data, text.size_bytes);
    return KD_OK;
}

/* `rows` as for kd_segment_read_rows; NULL: all. At other rows there are empty texts. */
static kd_status path_follow(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position,
                             const kd_vector *documents, const uint16_t *rows, uint32_t count)
{
    _Alignas(16) char scratch[16];
    kd_vector *texts = &reader->paths[position].texts;
    if (texts->values == NULL)
        KD_TRY(kd_vector_init_flat(ctx, reader->arena, kd_type_of(KD_TYPE_TEXT), KD_BATCH_ROWS,
                                   texts));
    memset(texts->validity, 0xff, (KD_BATCH_ROWS / 64) * sizeof(uint64_t));
    if (rows != NULL)
        memset(texts->values, 0, KD_BATCH_ROWS * sizeof(kd_str));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows == NULL ? i : rows[i];
        bool is_null = kd_vector_is_null(documents, row);
        KD_TRY(path_text(ctx, reader, position,
                         is_null ? NULL : kd_vector_payload(documents, row, scratch), texts, row));
    }
    reader->columns[position] = *texts;
    return KD_OK;
}

/* The table's column is newer than the segment. */
static kd_status missing_column(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position)
{
    const kd_value *missing =
        &reader->scan->shape->columns[reader->scan->positions[position]].missing;
    kd_value text = kd_value_null(kd_type_of(KD_TYPE_TEXT));
    bool is_null = true;
    kd_slice slice;
    if (!is_path(reader->scan, position))
        return kd_vector_init_constant(ctx, reader->segment_arena, missing,
                                       &reader->columns[position]);
    if (!missing->is_null)
        KD_TRY(kd_jsonb_follow_text(ctx, reader->segment_arena, &reader->paths[position].keys,
                                    kd_str_slice(&missing->as.str), &is_null, &slice));
    text.is_null = is_null;
    if (!is_null)
        text.as.str = kd_str_from(slice.data, slice.size_bytes);
    return kd_vector_init_constant(ctx, reader->segment_arena, &text, &reader->columns[position]);
}

/* Where the segment has what the position wants, or -1. */
static int position_find(kd_scan_reader *reader, const kdi_segment *segment, uint32_t position)
{
    const kd_table_scan *scan = reader->scan;
    uint32_t column_no = scan->shape->columns[scan->positions[position]].column_no;
    if (is_path(scan, position)) {
        int shred = kd_segment_find_shred(segment->file, column_no, scan->paths[position]);
        reader->paths[position].is_followed = shred < 0;
        if (shred >= 0)
            return shred;
    }
    return kd_segment_find_column(segment->file, column_no);
}

static kd_status segment_enter(kd_ctx *ctx, kd_scan_reader *reader, kdi_segment *segment)
{
    const kd_table_scan *scan = reader->scan;
    reader->read_bytes = kd_scan_reader_read_bytes(reader);
    kd_segment_reader_destroy(reader->segment_reader);
    reader->segment_reader = NULL;
    reader->segment = NULL;
    kd_arena_reset(reader->segment_arena);
    uint32_t *columns = KD_NEW_ARRAY(ctx, reader->segment_arena, uint32_t, scan->position_count);
    if (columns == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < scan->position_count; i++) {
        int at = position_find(reader, segment, i);
        reader->segment_columns[i] = at < 0 ? -1 : (int)count;
        if (at >= 0)
            columns[count++] = (uint32_t)at;
    }
    KD_TRY(kd_segment_reader_create(ctx, reader->segment_arena, segment->file, columns, count,
                                    &reader->segment_reader));
    for (uint32_t i = 0; i < scan->position_count; i++) {
        if (reader->segment_columns[i] < 0)
            KD_TRY(missing_column(ctx, reader, i));
    }
    reader->segment = segment;
    return KD_OK;
}

static bool segment_has_marks(const kdi_segment *segment, uint32_t first, uint32_t count)
{
    for (uint32_t at = 0; at < count; at += KD_VECTOR_ROWS)
        if (atomic_load(&segment->marks[(first + at) / KD_VECTOR_ROWS]) != NULL)
            return true;
    return false;
}

/* Selects the visible rows; gives their number, and all of them as "no selection". */
static kd_status segment_select(kd_ctx *ctx, kd_scan_reader *reader, uint32_t first, uint32_t count,
                                uint32_t *out_selected)
{
    const kd_table_scan *scan = reader->scan;
    const kdi_segment *segment = reader->segment;
    kd_snapshot snapshot = scan->snapshot;
    const uint64_t *stamps = NULL;
    *out_selected = 0;
    kd_stamp begin = atomic_load(&segment->begin);
    if (begin != 0 && !kdi_stamp_seen(begin, snapshot))
        return KD_OK;
    if (begin == 0 && snapshot.stamp < segment->stamps_max)
        KD_TRY(kd_segment_read_stamps(ctx, reader->segment_reader, first, count, &stamps));
    if (stamps == NULL && !segment_has_marks(segment, first, count)) {
        *out_selected = count; /* All: nobody reads the selection. */
        return KD_OK;
    }
    uint32_t selected = 0;
    for (uint32_t at = 0; at < count; at += KD_VECTOR_ROWS) {
        kdi_mark_vector *marks = atomic_load(&segment->marks[(first + at) / KD_VECTOR_ROWS]);
        uint32_t end = count - at < KD_VECTOR_ROWS ? count : at + KD_VECTOR_ROWS;
        for (uint32_t i = at; i < end; i++) {
            bool is_visible = stamps == NULL || stamps[i] <= snapshot.stamp;
            if (marks != NULL)
                is_visible &= !kdi_stamp_seen(kdi_mark_end(marks, i - at), snapshot);
            reader->selection[selected] = (uint16_t)i;
            selected += is_visible;
        }
    }
    *out_selected = selected;
    return KD_OK;
}

/* `rows` as for kd_segment_read_rows; NULL: all. */
static kd_status column_decode(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position,
                               const uint16_t *rows, uint32_t count)
{
    const kd_table_scan *scan = reader->scan;
    uint32_t slot = (uint32_t)reader->segment_columns[position];
    bool is_followed = is_path(scan, position) && reader->paths[position].is_followed;
    kd_vector documents;
    kd_vector *column = is_followed ? &documents : &reader->columns[position];
    if (rows == NULL)
        KD_TRY(kd_segment_read(ctx, reader->segment_reader, slot, reader->first_row,
                               reader->row_count, column));
    else
        KD_TRY(kd_segment_read_rows(ctx, reader->segment_reader, slot, reader->first_row,
                                    reader->row_count, rows, count, column));
    reader->is_open[position] = false;
    if (is_followed)
        return path_follow(ctx, reader, position, &documents, rows,
                           rows == NULL ? reader->row_count : count);
    column->type = position_type(scan, position);
    return KD_OK;
}

kd_status kd_scan_reader_column(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position,
                                const uint16_t *rows, uint32_t count, kd_vector *io_column)
{
    if (!reader->is_open[position])
        return KD_OK;
    KD_TRY(column_decode(ctx, reader, position, rows, count));
    *io_column = reader->columns[position];
    return KD_OK;
}

static kd_status segment_batch(kd_ctx *ctx, kd_scan_reader *reader, uint32_t first, uint32_t count,
                               kd_batch *out_batch)
{
    const kd_table_scan *scan = reader->scan;
    uint32_t selected;
    KD_TRY(segment_select(ctx, reader, first, count, &selected));
    if (selected == 0)
        return KD_OK;
    if (reader->path_arena != NULL)
        kd_arena_reset(reader->path_arena);
    reader->first_row = first;
    reader->row_count = count;
    for (uint32_t i = 0; i < scan->position_count; i++) {
        reader->is_open[i] = reader->segment_columns[i] >= 0;
        if (reader->is_open[i] && !scan->decodes_later)
            KD_TRY(column_decode(ctx, reader, i, NULL, count));
    }
    for (uint32_t i = 0; scan->with_refs && i < count; i++)
        reader->refs[i] = kdi_ref(reader->segment->unit, first + i);
    *out_batch = (kd_batch){.row_count = count,
                            .selected_count = selected,
                            .selection = selected == count ? NULL : reader->selection,
                            .column_count = scan->position_count,
                            .columns = reader->columns};
    return KD_OK;
}

/* --- Delta ----------------------------------------------------------------------------------- */

static kd_status flat_ready(kd_ctx *ctx, kd_scan_reader *reader)
{
    const kd_table_scan *scan = reader->scan;
    for (uint32_t i = 0; i < scan->position_count; i++) {
        if (reader->flat[i].values == NULL)
            KD_TRY(kd_vector_init_flat(ctx, reader->arena, position_type(scan, i), KDI_CHUNK_SLOTS,
                                       &reader->flat[i]));
    }
    return KD_OK;
}

static uint32_t chunk_select(kd_scan_reader *reader, const kdi_chunk *chunk, uint32_t used)
{
    kd_snapshot snapshot = reader->scan->snapshot;
    uint32_t selected = 0;
    for (uint32_t i = 0; i < used; i++) {
        kd_stamp begin = atomic_load_explicit(&chunk->begins[i], memory_order_acquire);
        kd_stamp end = atomic_load_explicit(&chunk->ends[i], memory_order_acquire);
        reader->selection[selected] = (uint16_t)i;
        selected += kdi_stamp_seen(begin, snapshot) && !kdi_stamp_seen(end, snapshot);
    }
    return selected;
}

static void chunk_gather(const kdi_chunk *chunk, uint32_t column, const uint16_t *rows,
                         uint32_t count, kd_vector *target)
{
    uint32_t width = chunk->set->widths[column];
    const char *values = chunk->values[column];
    const uint8_t *nulls = chunk->nulls[column];
    char *out = target->values;
    memset(target->validity, 0xff, (KDI_CHUNK_SLOTS / 64) * sizeof(uint64_t));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(out + (size_t)i * width, values + (size_t)rows[i] * width, width);
        if (nulls[rows[i]] != 0)
            kd_bit_clear(target->validity, i);
    }
}

/* The path at `position` for the rows selected; the chunk may be older than the column. */
static kd_status chunk_follow(kd_ctx *ctx, kd_scan_reader *reader, const kdi_chunk *chunk,
                              int column, uint32_t position, uint32_t count)
{
    const kd_table_scan *scan = reader->scan;
    const kd_value *missing = &scan->shape->columns[scan->positions[position]].missing;
    kd_vector *texts = &reader->flat[position];
    memset(texts->validity, 0xff, (KDI_CHUNK_SLOTS / 64) * sizeof(uint64_t));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = reader->selection[i];
        const kd_str *document = missing->is_null ? NULL : &missing->as.str;
        if (column >= 0)
            document = chunk->nulls[column][slot] != 0
                           ? NULL
                           : kdi_chunk_payload(chunk, slot, (uint32_t)column);
        KD_TRY(path_text(ctx, reader, position, document, texts, i));
    }
    return KD_OK;
}

static kd_status chunk_batch(kd_ctx *ctx, kd_scan_reader *reader, uint32_t chunk_at,
                             kd_batch *out_batch)
{
    const kd_table_scan *scan = reader->scan;
    const kdi_chunk *chunk = scan->units->chunks[chunk_at];
    uint32_t count = chunk_select(reader, chunk, scan->chunk_used[chunk_at]);
    if (count == 0)
        return KD_OK;
    KD_TRY(flat_ready(ctx, reader));
    if (reader->path_arena != NULL)
        kd_arena_reset(reader->path_arena);
    memset(reader->is_open, 0, scan->position_count * sizeof *reader->is_open);
    for (uint32_t i = 0; i < scan->position_count; i++) {
        const kd_table_column *column = &scan->shape->columns[scan->positions[i]];
        int at = kdi_set_find(chunk->set, column->column_no, scan->positions[i]);
        if (is_path(scan, i)) {
            KD_TRY(chunk_follow(ctx, reader, chunk, at, i, count));
        } else if (at >= 0) {
            chunk_gather(chunk, (uint32_t)at, reader->selection, count, &reader->flat[i]);
            reader->read_bytes += (uint64_t)count * chunk->set->widths[at];
        } else {
            memset(reader->flat[i].validity, 0xff, (KDI_CHUNK_SLOTS / 64) * sizeof(uint64_t));
            for (uint32_t k = 0; k < count; k++)
                kd_vector_set(&reader->flat[i], k, &column->missing);
        }
    }
    for (uint32_t i = 0; scan->with_refs && i < count; i++)
        reader->refs[i] = kdi_ref(chunk->unit, reader->selection[i]);
    *out_batch = (kd_batch){.row_count = count,
                            .selected_count = count,
                            .column_count = scan->position_count,
                            .columns = reader->flat};
    return KD_OK;
}

/* --- Morsels --------------------------------------------------------------------------------- */

static kdi_segment *morsel_segment(const kd_table_scan *scan, uint64_t morsel, uint32_t *out_block)
{
    uint32_t low = 0;
    uint32_t high = scan->units->segment_count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (scan->segment_first[middle] <= morsel)
            low = middle;
        else
            high = middle;
    }
    *out_block = (uint32_t)(morsel - scan->segment_first[low]);
    return scan->units->segments[low];
}

/* The first vector from `vector` on that a sample takes: one of each `stride`, at a place that a
 * hash draws, so that no period of the table's rows is met. */
static uint64_t sample_next(uint32_t stride, uint64_t vector)
{
    for (uint64_t group = vector / stride;; group++) {
        uint64_t taken = group * stride + kd_hash_u64(group) % stride;
        if (taken >= vector)
            return taken;
    }
}

/* In a sample: over the rows of the current morsel that it leaves out. */
static void sample_move(kd_scan_reader *reader)
{
    if (reader->scan->sample_stride == 0)
        return;
    uint64_t vector = reader->first_vector + reader->next_row / KD_VECTOR_ROWS;
    uint64_t next = reader->next_row +
                    (sample_next(reader->scan->sample_stride, vector) - vector) * KD_VECTOR_ROWS;
    reader->next_row = next < reader->end_row ? (uint32_t)next : reader->end_row;
}

static kd_status segment_morsel(kd_ctx *ctx, kd_scan_reader *reader, uint64_t morsel)
{
    const kd_table_scan *scan = reader->scan;
    uint32_t block;
    kdi_segment *segment = morsel_segment(scan, morsel, &block);
    bool is_excluded;
    KD_TRY(block_is_excluded(ctx, scan, segment, block, &is_excluded));
    if (is_excluded)
        return KD_OK;
    if (reader->segment != segment)
        KD_TRY(segment_enter(ctx, reader, segment));
    reader->next_row = block * KD_BLOCK_ROWS;
    uint32_t end = reader->next_row + KD_BLOCK_ROWS;
    reader->end_row = end < segment->row_count ? end : segment->row_count;
    reader->first_vector = (morsel - block) * (KD_BLOCK_ROWS / KD_VECTOR_ROWS);
    sample_move(reader);
    return KD_OK;
}

/* Rows of the current segment morsel to give next, and steps over them. */
static uint32_t morsel_step(kd_scan_reader *reader)
{
    uint32_t most = reader->scan->sample_stride > 0 ? KD_VECTOR_ROWS : KD_BATCH_ROWS;
    uint32_t left = reader->end_row - reader->next_row;
    uint32_t count = left < most ? left : most;
    reader->next_row += count;
    sample_move(reader);
    return count;
}

/* Leaves out the rest of a block that cannot be read, and counts what the snapshot sees of it. */
static void block_skip(kd_ctx *ctx, kd_scan_reader *reader, const kdi_segment *segment,
                       uint32_t first)
{
    kd_scan_skips *skips = reader->scan->skips;
    uint64_t rows = 0;
    kd_error_clear(ctx);
    if (kd_segment_is_lost(segment->file)) {
        atomic_fetch_add(&skips->lost_segments, first == 0);
    } else {
        for (uint32_t at = first; at < reader->end_row; at += KD_BATCH_ROWS) {
            uint32_t left = reader->end_row - at, selected;
            uint32_t count = left < KD_BATCH_ROWS ? left : KD_BATCH_ROWS;
            bool is_open = reader->segment == segment;
            if (!is_open || segment_select(ctx, reader, at, count, &selected) != KD_OK) {
                kd_error_clear(ctx);
                selected = count;
            }
            rows += selected;
        }
        atomic_fetch_add(&skips->rows, rows);
        atomic_fetch_add(&skips->blocks, 1);
    }
    reader->next_row = reader->end_row = 0;
}

/* The next rows of the current block. */
static kd_status morsel_next(kd_ctx *ctx, kd_scan_reader *reader, kd_batch *out_batch)
{
    uint32_t first = reader->next_row;
    kd_status status = segment_batch(ctx, reader, first, morsel_step(reader), out_batch);
    if (status != KD_CORRUPT || reader->scan->skips == NULL)
        return status;
    *out_batch = (kd_batch){0};
    block_skip(ctx, reader, reader->segment, first);
    return KD_OK;
}

/* A block of a segment to read next, unless zone maps exclude it. */
static kd_status morsel_enter(kd_ctx *ctx, kd_scan_reader *reader, uint64_t morsel)
{
    const kd_table_scan *scan = reader->scan;
    kd_status status = segment_morsel(ctx, reader, morsel);
    if (status != KD_CORRUPT || scan->skips == NULL)
        return status;
    uint32_t block;
    const kdi_segment *segment = morsel_segment(scan, morsel, &block);
    uint32_t end = (block + 1) * KD_BLOCK_ROWS;
    reader->end_row = end < segment->row_count ? end : segment->row_count;
    block_skip(ctx, reader, segment, block * KD_BLOCK_ROWS);
    return KD_OK;
}

kd_status kd_scan_reader_next(kd_ctx *ctx, kd_scan_reader *reader, kd_batch *out_batch,
                              const kd_rowref **out_refs, bool *out_end)
{
    kd_table_scan *scan = reader->scan;
    *out_batch = (kd_batch){0};
    *out_end = false;
    if (out_refs != NULL)
        *out_refs = reader->refs;
    while (out_batch->selected_count == 0) {
        if (reader->next_row < reader->end_row) {
            KD_TRY(morsel_next(ctx, reader, out_batch));
            continue;
        }
        KD_TRY(kd_progress_add(ctx, 0));
        uint64_t morsel = atomic_fetch_add(&scan->next_morsel, 1);
        uint64_t segment_morsels = scan->segment_first[scan->units->segment_count];
        if (morsel >= scan->morsel_count) {
            *out_end = true;
            return KD_OK;
        }
        if (scan->bound != NULL && scan->bound->is_least)
            morsel = scan->morsel_count - 1 - morsel;
        if (morsel < segment_morsels)
            KD_TRY(morsel_enter(ctx, reader, morsel));
        else if (scan->sample_stride == 0 || sample_next(scan->sample_stride, morsel) == morsel)
            KD_TRY(chunk_batch(ctx, reader, (uint32_t)(morsel - segment_morsels), out_batch));
    }
    return KD_OK;
}

/* --- Zone maps together ---------------------------------------------------------------------- */

typedef struct zone_list {
    kd_zone_map *items;
    size_t count, capacity;
} zone_list;

static kd_status zones_add(kd_ctx *ctx, kd_arena *arena, const kdi_segment *segment,
                           uint32_t column_no, zone_list *list, kd_column_zones *zones)
{
    bool is_there = segment->file != NULL && !kd_segment_is_lost(segment->file);
    int at = is_there ? kd_segment_find_column(segment->file, column_no) : -1;
    uint32_t blocks = at < 0 ? 0 : (segment->row_count + KD_BLOCK_ROWS - 1) / KD_BLOCK_ROWS;
    for (uint32_t block = 0; block < blocks; block++) {
        kd_zone_map *zone;
        KD_TRY(KD_PUSH(ctx, arena, list->items, list->count, list->capacity, &zone));
        KD_TRY(kd_segment_zone_map(ctx, segment->file, (uint32_t)at, block, zone));
        zones->row_count += zone->row_count;
        zones->null_count += zone->null_count;
        zones->block_count++;
        zones->blocks_known += zone->distinct_count > 0;
        zones->distinct_sum += zone->distinct_count;
        if (zone->distinct_count > zones->distinct_apart)
            zones->distinct_apart = zone->distinct_count;
        list->count -= !zone->has_bounds;
    }
    return KD_OK;
}

static int zone_order(const void *a, const void *b)
{
    return kd_value_compare(&((const kd_zone_map *)a)->max, &((const kd_zone_map *)b)->max);
}

/* What blocks have together that share no value: always the next one that ends first. In a table
 * in the column's order, or in pieces of it, that is nearly all there is. */
static uint64_t zones_apart(const zone_list *list)
{
    const kd_value *end = NULL;
    uint64_t distinct = 0;
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, zone_order);
    for (size_t i = 0; i < list->count; i++) {
        const kd_zone_map *zone = &list->items[i];
        if (end != NULL && kd_value_compare(&zone->min, end) <= 0)
            continue;
        distinct += zone->distinct_count;
        end = &zone->max;
    }
    return distinct;
}

kd_status kd_table_column_zones(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                                uint32_t column_no, kd_column_zones *out_zones)
{
    kd_status status = KD_OK;
    uint32_t pin;
    zone_list list = {0};
    *out_zones = (kd_column_zones){0};
    kd_arena *scratch = kd_arena_create(ctx, NULL, "zone maps", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_txn_pin(ctx, table->storage->txns, snapshot.stamp, &pin));
    const kdi_unit_list *units = atomic_load(&table->units);
    for (uint32_t i = 0; units != NULL && status == KD_OK && i < units->segment_count; i++)
        status = zones_add(ctx, scratch, units->segments[i], column_no, &list, out_zones);
    uint64_t apart = status == KD_OK ? zones_apart(&list) : 0;
    if (apart > out_zones->distinct_apart)
        out_zones->distinct_apart = apart;
    kd_txn_unpin(table->storage->txns, pin);
out:
    kd_arena_destroy(scratch);
    return status;
}
