/*
 * Opening segments: the trailer, the footer, dictionaries, and loading of blocks.
 */
#include "store/segment_open.h"

#include "base/world.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static kd_status corrupt(kd_ctx *ctx, const kd_segment *segment, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s: %s", segment->name, what);
}

static kd_status corrupt_block(kd_ctx *ctx, const kd_segment *segment, uint32_t column,
                               uint32_t block, const char *what)
{
    uint32_t first_shred = segment->stored_count - segment->shred_count;
    if (column >= first_shred && block == KDI_DICTIONARY_BLOCK)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s, shred %u, dictionary: %s",
                       segment->name, column - first_shred, what);
    if (column >= first_shred)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s, shred %u, block %u: %s",
                       segment->name, column - first_shred, block, what);
    if (block == KDI_DICTIONARY_BLOCK)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s, column %u, dictionary: %s",
                       segment->name, column, what);
    if (segment->has_stamps && column == segment->head.column_count)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s, begin stamps, block %u: %s",
                       segment->name, block, what);
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "segment %s, column %u, block %u: %s", segment->name,
                   column, block, what);
}

/* --- Blocks --- */

/* Reads a stored block and checks checksum, identity and structure. */
static kd_status read_block(kd_ctx *ctx, const kd_segment *segment, uint32_t column, uint32_t block,
                            uint64_t offset, uint32_t size_bytes, uint32_t checksum,
                            uint32_t row_count, void *target)
{
    size_t got_bytes;
    KD_TRY(ctx->world->file_read(ctx, segment->file, offset, target, size_bytes, &got_bytes));
    if (got_bytes != size_bytes)
        return corrupt_block(ctx, segment, column, block, "the file is too short");
    kdi_block_identity identity = segment->identity;
    identity.column = segment->columns[column].number;
    identity.block = block;
    uint32_t stored = kd_load_u32(target);
    if (stored != checksum || kdi_block_checksum(&identity, target, size_bytes) != checksum)
        return corrupt_block(ctx, segment, column, block, "checksum mismatch");
    const char *wrong =
        kdi_block_check(target, size_bytes, row_count, &segment->columns[column].layout);
    if (wrong != NULL)
        return corrupt_block(ctx, segment, column, block, wrong);
    return KD_OK;
}

typedef struct block_load {
    const kd_segment *segment;
    uint32_t column;
    uint32_t block;
} block_load;

static kd_status load_block(kd_ctx *ctx, void *object, void *target)
{
    const block_load *load = object;
    const kdi_block_entry *entry = &load->segment->columns[load->column].blocks[load->block];
    return read_block(ctx, load->segment, load->column, load->block, entry->offset,
                      entry->size_bytes, entry->checksum, entry->row_count, target);
}

kd_status kdi_segment_pin(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t block,
                          kd_block **out_block)
{
    assert(column < segment->stored_count && block < segment->head.block_count);
    block_load load = {segment, column, block};
    return kd_block_cache_get(ctx, segment->cache, segment->identity.unit,
                              segment->columns[column].number * KDI_SEGMENT_BLOCKS_MAX + block,
                              segment->columns[column].blocks[block].size_bytes, load_block, &load,
                              out_block);
}

/* --- Dictionaries --- */

/* One heap block: the vector, its values, its validity, then the stored bytes that far strings
 * point into. */
static kd_status make_dictionary(kd_ctx *ctx, kd_segment *segment, uint32_t column,
                                 kd_vector **out_dictionary)
{
    kd_status status = KD_OK;
    *out_dictionary = NULL;
    const kdi_open_column *open = &segment->columns[column];
    const kdi_column_entry *entry = &open->entry;
    uint32_t value_count = entry->dictionary_entries - entry->dictionary_has_null;
    size_t value_bytes = kd_physical_bytes(open->layout.physical);
    size_t values_at = (sizeof(kd_vector) + 15) / 16 * 16;
    size_t bits_at = values_at + kdi_pad8(entry->dictionary_entries * value_bytes);
    size_t stored_at = bits_at + ((size_t)entry->dictionary_entries + 63) / 64 * 8;
    uint8_t *memory = kd_heap_alloc(ctx, segment->account, stored_at + entry->dictionary_bytes);
    if (memory == NULL)
        return KD_NOMEM;
    uint8_t *stored = memory + stored_at;
    KD_TRY_OUT(read_block(ctx, segment, column, KDI_DICTIONARY_BLOCK, entry->dictionary_offset,
                          entry->dictionary_bytes, entry->dictionary_checksum, value_count,
                          stored));
    kdi_decode_input input = {.view = kdi_block_view_of(stored),
                              .type = open->layout.type,
                              .physical = open->layout.physical};
    for (uint32_t i = 0; i < value_count; i++) {
        kd_value value;
        kdi_block_get(&input, i, &value);
        memcpy(memory + values_at + i * value_bytes, kd_value_payload(&value), value_bytes);
    }
    uint64_t *bits = (uint64_t *)(void *)(memory + bits_at);
    memset(bits, 0xff, stored_at - bits_at);
    if (entry->dictionary_has_null)
        kd_bit_clear(bits, value_count);
    kd_vector *dictionary = (kd_vector *)(void *)memory;
    *dictionary = (kd_vector){.type = open->layout.type,
                              .physical = (uint8_t)open->layout.physical,
                              .form = KD_VECTOR_FLAT,
                              .values = memory + values_at,
                              .validity = entry->dictionary_has_null ? bits : NULL};
    *out_dictionary = dictionary;
    memory = NULL;

out:
    kd_heap_free(ctx->world, segment->account, memory);
    return status;
}

kd_status kdi_segment_dictionary(kd_ctx *ctx, kd_segment *segment, uint32_t column,
                                 const kd_vector **out_dictionary)
{
    kd_status status = KD_OK;
    kdi_open_column *open = &segment->columns[column];
    *out_dictionary = NULL;
    if (open->layout.dictionary_entries == 0)
        return KD_OK;
    *out_dictionary = atomic_load_explicit(&open->dictionary, memory_order_acquire);
    if (*out_dictionary != NULL)
        return KD_OK;
    kd_mutex_lock(&segment->dictionary_mutex);
    kd_vector *dictionary = atomic_load_explicit(&open->dictionary, memory_order_acquire);
    if (dictionary == NULL) {
        KD_TRY_OUT(make_dictionary(ctx, segment, column, &dictionary));
        atomic_store_explicit(&open->dictionary, dictionary, memory_order_release);
    }
    *out_dictionary = dictionary;

out:
    kd_mutex_unlock(&segment->dictionary_mutex);
    return status;
}

/* Numbers that no two dictionaries of a database share: bit 63, unit (40 bits), column (11), block
 * (6); the shared one has bit 63 clear and no block. */
static uint64_t dictionary_id(const kd_segment *segment, uint32_t column)
{
    return (segment->identity.unit << 17) | ((uint64_t)(segment->columns[column].number + 1) << 6);
}

kd_status kdi_segment_input(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t block,
                            const kd_block *pinned, kdi_decode_input *out_input)
{
    const kdi_open_column *open = &segment->columns[column];
    *out_input =
        (kdi_decode_input){.view = kdi_block_view_of(kd_block_data(pinned)),
                           .type = open->layout.type,
                           .physical = open->layout.physical,
                           .codes_are_values = kdi_type_codes_are_values(open->layout.type)};
    if (out_input->view.encoding == KDI_DICT) {
        KD_TRY(kdi_segment_dictionary(ctx, segment, column, &out_input->shared));
        out_input->shared_count = open->layout.dictionary_entries;
        out_input->shared_id = dictionary_id(segment, column);
    } else if (out_input->view.encoding == KDI_LOCAL) {
        out_input->local_id = (uint64_t)1 << 63 | dictionary_id(segment, column) | block;
    }
    return KD_OK;
}

/* --- Open and close --- */

static kd_status read_trailer(kd_ctx *ctx, const kd_segment *segment, kdi_segment_trailer *trailer)
{
    if (segment->size_bytes < sizeof *trailer)
        return corrupt(ctx, segment, "the file is too short");
    size_t got_bytes;
    KD_TRY(ctx->world->file_read(ctx, segment->file, segment->size_bytes - sizeof *trailer, trailer,
                                 sizeof *trailer, &got_bytes));
    if (got_bytes != sizeof *trailer)
        return corrupt(ctx, segment, "the file is too short");
    if (memcmp(trailer->magic, KDI_SEGMENT_MAGIC, sizeof trailer->magic) != 0)
        return corrupt(ctx, segment, "the trailer is missing: the file is incomplete or foreign");
    if (kd_crc32c(0, trailer, offsetof(kdi_segment_trailer, checksum)) != trailer->checksum)
        return corrupt(ctx, segment, "the trailer's checksum does not match");
    if (trailer->format > KDI_SEGMENT_FORMAT)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "segment %s has format %u; this program reads up to %d", segment->name,
                       trailer->format, KDI_SEGMENT_FORMAT);
    if (trailer->unit != segment->identity.unit ||
        (segment->identity.database_id != 0 &&
         trailer->database_id != segment->identity.database_id))
        return corrupt(ctx, segment, "it belongs to another database or unit");
    if (trailer->footer_offset > segment->size_bytes ||
        trailer->footer_bytes > segment->size_bytes - trailer->footer_offset)
        return corrupt(ctx, segment, "the footer is outside the file");
    return KD_OK;
}

/* The footer's bytes; `target` has room for them. */
static kd_status read_footer_bytes(kd_ctx *ctx, const kd_segment *segment,
                                   const kdi_segment_trailer *trailer, uint8_t *target)
{
    size_t got_bytes;
    KD_TRY(ctx->world->file_read(ctx, segment->file, trailer->footer_offset, target,
                                 trailer->footer_bytes, &got_bytes));
    if (got_bytes != trailer->footer_bytes ||
        kdi_footer_checksum(trailer->database_id, trailer->unit, trailer->generation, target,
                            got_bytes) != trailer->footer_checksum)
        return corrupt(ctx, segment, "the footer's checksum does not match");
    return KD_OK;
}

static const char *check_head(const kd_segment *segment, size_t footer_bytes)
{
    const kdi_segment_head *head = &segment->head;
    if (head->column_count > KD_SEGMENT_COLUMNS_MAX || head->row_count > KD_SEGMENT_ROWS_MAX ||
        segment->shred_count > KDI_SHREDS_MAX)
        return "the footer has too many columns or rows";
    if (head->block_count != (head->row_count + KD_BLOCK_ROWS - 1) / KD_BLOCK_ROWS)
        return "the footer has a wrong number of blocks";
    size_t needed =
        sizeof *head + segment->stored_count *
                           (sizeof(kdi_column_entry) + head->block_count * sizeof(kdi_block_entry));
    bool fits = segment->shred_count > 0 ? needed <= footer_bytes : needed == footer_bytes;
    return fits ? NULL : "the footer has a wrong size";
}

static bool string_fits(const uint8_t *bound)
{
    return kd_load_u32(bound) <= KDI_BOUND_BYTES;
}

static const char *check_column(const kd_segment *segment, const kdi_open_column *column,
                                uint64_t limit)
{
    const kdi_column_entry *entry = &column->entry;
    if (entry->dictionary_bytes != 0 &&
        (entry->dictionary_offset > limit ||
         entry->dictionary_bytes > limit - entry->dictionary_offset ||
         entry->dictionary_bytes < KDI_BLOCK_HEADER_BYTES || entry->dictionary_has_null > 1 ||
         entry->dictionary_entries <= entry->dictionary_has_null ||
         entry->dictionary_entries > KDI_DICTIONARY_ENTRIES_MAX))
        return "the footer's dictionary is wrong";
    for (uint32_t i = 0; i < segment->head.block_count; i++) {
        const kdi_block_entry *block = &column->blocks[i];
        uint32_t rows = segment->head.row_count - i * KD_BLOCK_ROWS;
        rows = rows > KD_BLOCK_ROWS ? KD_BLOCK_ROWS : rows;
        if (block->offset > limit || block->size_bytes > limit - block->offset ||
            block->size_bytes < KDI_BLOCK_HEADER_BYTES || block->row_count != rows ||
            block->null_count > rows)
            return "the footer's block is wrong";
        if (column->layout.physical == KD_PHYS_STR &&
            (!string_fits(block->min) || !string_fits(block->max)))
            return "the footer's bounds are wrong";
    }
    return NULL;
}

/* What each shred is of: the rest of the footer, exactly. */
static bool parse_keys(kd_segment *segment, const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = segment->stored_count - segment->shred_count; i < segment->stored_count;
         i++) {
        kdi_open_column *shred = &segment->columns[i];
        int source = kd_segment_find_column(segment, shred->entry.column_no);
        if ((size_t)(end - at) < 4 || shred->entry.type.id != KD_TYPE_TEXT || source < 0 ||
            segment->columns[source].entry.type.id != KD_TYPE_JSONB)
            return false;
        uint32_t size_bytes = kd_load_u32(at);
        at += 4;
        if (size_bytes == 0 || size_bytes > (size_t)(end - at) || at[size_bytes - 1] != 0)
            return false;
        shred->keys = (kd_slice){(const char *)at, size_bytes};
        at += size_bytes;
    }
    return at == end;
}

static kd_status parse_footer(kd_ctx *ctx, kd_segment *segment, const uint8_t *footer,
                              size_t footer_bytes, uint64_t limit)
{
    if (footer_bytes < sizeof segment->head)
        return corrupt(ctx, segment, "the footer is cut off");
    memcpy(&segment->head, footer, sizeof segment->head);
    segment->has_stamps = (segment->head.flags & KDI_FOOTER_HAS_STAMPS) != 0;
    segment->shred_count = segment->head.flags >> KDI_FOOTER_SHREDS_SHIFT;
    segment->stored_count = segment->head.column_count + segment->has_stamps + segment->shred_count;
    const char *wrong = check_head(segment, footer_bytes);
    if (wrong != NULL)
        return corrupt(ctx, segment, wrong);
    segment->columns = KD_NEW_ARRAY(ctx, segment->arena, kdi_open_column, segment->stored_count);
    if (segment->columns == NULL)
        return KD_NOMEM;
    const uint8_t *entries = footer + sizeof segment->head;
    const uint8_t *blocks = entries + segment->stored_count * sizeof(kdi_column_entry);
    for (uint32_t i = 0; i < segment->stored_count; i++) {
        kdi_open_column *column = &segment->columns[i];
        memcpy(&column->entry, entries + i * sizeof column->entry, sizeof column->entry);
        if (column->entry.type.id >= KD_TYPE_COUNT)
            return corrupt(ctx, segment, "the footer has an unknown type");
        uint32_t behind = i - (segment->head.column_count + segment->has_stamps);
        bool is_shred = i >= segment->head.column_count + segment->has_stamps;
        column->number = is_shred ? KDI_SHRED_NUMBER_FIRST + behind : i;
        column->layout = (kdi_column_layout){.type = column->entry.type,
                                             .physical = kd_type_physical(column->entry.type)};
        if (column->entry.dictionary_bytes != 0)
            column->layout.dictionary_entries = column->entry.dictionary_entries;
        column->blocks =
            (const kdi_block_entry *)(const void *)(blocks + (size_t)i * segment->head.block_count *
                                                                 sizeof(kdi_block_entry));
        wrong = check_column(segment, column, limit);
        if (wrong != NULL)
            return corrupt(ctx, segment, wrong);
    }
    const uint8_t *keys = blocks + (size_t)segment->stored_count * segment->head.block_count *
                                       sizeof(kdi_block_entry);
    if (!parse_keys(segment, keys, footer + footer_bytes))
        return corrupt(ctx, segment, "the footer's shreds are wrong");
    return KD_OK;
}

static kd_status read_footer(kd_ctx *ctx, kd_segment *segment)
{
    kdi_segment_trailer trailer;
    KD_TRY(read_trailer(ctx, segment, &trailer));
    segment->identity.database_id = trailer.database_id;
    segment->identity.generation = trailer.generation;
    uint8_t *footer = kd_alloc(ctx, segment->arena, trailer.footer_bytes);
    if (footer == NULL)
        return KD_NOMEM;
    KD_TRY(read_footer_bytes(ctx, segment, &trailer, footer));
    return parse_footer(ctx, segment, footer, trailer.footer_bytes, trailer.footer_offset);
}

static kd_status open_file(kd_ctx *ctx, kd_segment *segment, const char *path)
{
    kd_status status = ctx->world->file_open(ctx, path, KD_FILE_READ, &segment->file);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        return corrupt(ctx, segment, "the file is missing");
    }
    KD_TRY(status);
    return ctx->world->file_size(ctx, segment->file, &segment->size_bytes);
}

kd_status kd_segment_file_path(kd_ctx *ctx, kd_arena *arena, const kd_segment_options *options,
                               uint64_t unit, const char **out_path)
{
    char path[KDI_SEGMENT_PATH_BYTES];
    *out_path = NULL;
    KD_TRY(kdi_segment_path(ctx, options->directory, unit, path));
    *out_path = kd_copy_text(ctx, arena, path, strlen(path));
    return *out_path == NULL ? KD_NOMEM : KD_OK;
}

kd_status kd_segment_is_complete(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                                 bool *out_is_complete)
{
    char path[KDI_SEGMENT_PATH_BYTES];
    kdi_segment_trailer trailer;
    kd_segment segment = {.world = ctx->world,
                          .identity = {.database_id = options->database_id, .unit = unit}};
    *out_is_complete = false;
    KD_TRY(kdi_segment_path(ctx, options->directory, unit, path));
    kd_status status = open_file(ctx, &segment, path);
    if (status == KD_OK)
        status = read_trailer(ctx, &segment, &trailer);
    ctx->world->file_close(ctx->world, segment.file);
    *out_is_complete = status == KD_OK;
    if (status != KD_CORRUPT)
        return status;
    kd_error_clear(ctx);
    return KD_OK;
}

/* Without a file yet. What was made before a failure is the caller's to close. */
static kd_status segment_make(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                              kd_segment **out_segment)
{
    kd_segment *segment = KD_HEAP_NEW(ctx, options->account, kd_segment);
    *out_segment = segment;
    if (segment == NULL)
        return KD_NOMEM;
    segment->world = ctx->world;
    segment->account = options->account;
    segment->cache = options->cache;
    segment->identity.database_id = options->database_id;
    segment->identity.unit = unit;
    kd_mutex_init(&segment->dictionary_mutex, ctx->world);
    (void)snprintf(segment->name, sizeof segment->name, "%010llx.seg", (unsigned long long)unit);
    segment->arena = kd_arena_create(ctx, NULL, "segment", KD_ARENA_UNLIMITED);
    return segment->arena == NULL ? KD_NOMEM : KD_OK;
}

kd_status kd_segment_open(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                          kd_segment **out_segment)
{
    kd_segment *segment;
    char path[KDI_SEGMENT_PATH_BYTES];
    *out_segment = NULL;
    kd_status status = segment_make(ctx, options, unit, &segment);
    KD_TRY_OUT(status);
    KD_TRY_OUT(kdi_segment_path(ctx, options->directory, unit, path));
    KD_TRY_OUT(open_file(ctx, segment, path));
    KD_TRY_OUT(read_footer(ctx, segment));
    *out_segment = segment;
    segment = NULL;

out:
    kd_segment_close(ctx->world, segment);
    return status;
}

kd_status kd_segment_open_lost(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                               const char *what, kd_segment **out_segment)
{
    kd_segment *segment;
    *out_segment = NULL;
    kd_status status = segment_make(ctx, options, unit, &segment);
    if (status == KD_OK) {
        segment->head.row_count = KD_SEGMENT_ROWS_MAX;
        segment->lost = kd_copy_text(ctx, segment->arena, what, strlen(what));
        status = segment->lost == NULL ? KD_NOMEM : KD_OK;
    }
    if (status != KD_OK) {
        kd_segment_close(ctx->world, segment);
        return status;
    }
    *out_segment = segment;
    return KD_OK;
}

bool kd_segment_is_lost(const kd_segment *segment)
{
    return segment->lost != NULL;
}

kd_status kdi_segment_is_there(kd_ctx *ctx, const kd_segment *segment)
{
    if (segment->lost == NULL)
        return KD_OK;
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "%s", segment->lost);
}

void kd_segment_close(kd_world *world, kd_segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->columns != NULL) {
        kd_block_cache_drop_unit(segment->cache, segment->identity.unit);
        for (uint32_t i = 0; i < segment->stored_count; i++)
            kd_heap_free(world, segment->account, atomic_load(&segment->columns[i].dictionary));
    }
    if (segment->file != NULL)
        world->file_close(world, segment->file);
    kd_mutex_clear(&segment->dictionary_mutex);
    kd_arena_destroy(segment->arena);
    kd_heap_free(world, segment->account, segment);
}

kd_status kd_segment_remove(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit)
{
    char path[KDI_SEGMENT_PATH_BYTES];
    KD_TRY(kdi_segment_path(ctx, options->directory, unit, path));
    kd_block_cache_drop_unit(options->cache, unit);
    return ctx->world->path_remove(ctx, path);
}

/* --- What it holds --- */

uint32_t kd_segment_row_count(const kd_segment *segment)
{
    return segment->head.row_count;
}

uint64_t kd_segment_size_bytes(const kd_segment *segment)
{
    return segment->size_bytes;
}

uint32_t kd_segment_column_count(const kd_segment *segment)
{
    return segment->head.column_count;
}

int kd_segment_find_column(const kd_segment *segment, uint32_t column_no)
{
    if (segment->lost != NULL)
        return 0;
    for (uint32_t i = 0; i < segment->head.column_count; i++)
        if (segment->columns[i].entry.column_no == column_no)
            return (int)i;
    return -1;
}

int kd_segment_find_shred(const kd_segment *segment, uint32_t column_no, kd_slice keys)
{
    for (uint32_t i = segment->stored_count - segment->shred_count; i < segment->stored_count; i++)
        if (segment->columns[i].entry.column_no == column_no &&
            kd_slice_equal(segment->columns[i].keys, keys))
            return (int)i;
    return -1;
}

kd_type kd_segment_column_type(const kd_segment *segment, uint32_t column)
{
    assert(column < segment->stored_count);
    return segment->columns[column].layout.type;
}

kd_status kd_segment_zone_map(kd_ctx *ctx, const kd_segment *segment, uint32_t column,
                              uint32_t block, kd_zone_map *out_map)
{
    *out_map = (kd_zone_map){0};
    KD_TRY(kdi_segment_is_there(ctx, segment));
    if (column >= segment->stored_count || block >= segment->head.block_count)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "segment %s has no block %u of column %u",
                       segment->name, block, column);
    const kdi_open_column *open = &segment->columns[column];
    const kdi_block_entry *entry = &open->blocks[block];
    kd_type type = open->layout.type;
    *out_map = (kd_zone_map){.has_bounds = (entry->flags & KDI_ENTRY_HAS_BOUNDS) != 0,
                             .exact = (entry->flags & KDI_ENTRY_EXACT) != 0,
                             .row_count = entry->row_count,
                             .null_count = entry->null_count,
                             .distinct_count = entry->distinct_count,
                             .min = {.type = type},
                             .max = {.type = type}};
    size_t value_bytes = kd_physical_bytes(open->layout.physical);
    memcpy(kd_value_payload(&out_map->min), entry->min, value_bytes);
    memcpy(kd_value_payload(&out_map->max), entry->max, value_bytes);
    return KD_OK;
}

/* --- Checking --- */

/* Of every stored column its dictionary and its blocks, the footer, and each block of the shreds
 * beside the documents. */
uint32_t kd_segment_piece_count(const kd_segment *segment)
{
    return segment->stored_count * (segment->head.block_count + 1) + 1 +
           (segment->shred_count > 0 ? segment->head.block_count : 0);
}

static kd_status check_footer(kd_ctx *ctx, const kd_segment *segment, kd_damage *damage)
{
    kdi_segment_trailer trailer;
    KD_TRY(read_trailer(ctx, segment, &trailer));
    damage->offset = trailer.footer_offset;
    damage->size_bytes = segment->size_bytes - trailer.footer_offset;
    uint8_t *footer = kd_heap_alloc_raw(ctx, segment->account, trailer.footer_bytes);
    if (footer == NULL)
        return KD_NOMEM;
    kd_status status = read_footer_bytes(ctx, segment, &trailer, footer);
    kd_heap_free(ctx->world, segment->account, footer);
    return status;
}

static kd_status check_dictionary(kd_ctx *ctx, const kd_segment *segment, uint32_t column,
                                  void *target)
{
    const kdi_column_entry *entry = &segment->columns[column].entry;
    return read_block(ctx, segment, column, KDI_DICTIONARY_BLOCK, entry->dictionary_offset,
                      entry->dictionary_bytes, entry->dictionary_checksum,
                      entry->dictionary_entries - entry->dictionary_has_null, target);
}

/* Where the piece is, and which rows need it. */
static void locate_piece(const kd_segment *segment, uint32_t column, uint32_t at, kd_damage *out)
{
    const kdi_open_column *open = &segment->columns[column];
    bool is_stamps = segment->has_stamps && column == segment->head.column_count;
    out->column_no = is_stamps ? -1 : (int64_t)open->entry.column_no;
    out->first_row = 0;
    out->row_count = segment->head.row_count;
    out->offset = open->entry.dictionary_offset;
    out->size_bytes = open->entry.dictionary_bytes;
    if (at == 0)
        return;
    const kdi_block_entry *block = &open->blocks[at - 1];
    out->first_row = (int64_t)(at - 1) * KD_BLOCK_ROWS;
    out->row_count = block->row_count;
    out->offset = block->offset;
    out->size_bytes = block->size_bytes;
}

kd_status kd_segment_check_piece(kd_ctx *ctx, kd_segment *segment, uint32_t piece,
                                 uint64_t *out_bytes, kd_damage *out_damage)
{
    uint32_t column = piece / (segment->head.block_count + 1);
    uint32_t at = piece % (segment->head.block_count + 1);
    kd_status status;
    *out_damage = kd_damage_none();
    (void)snprintf(out_damage->file, sizeof out_damage->file, "units/%s", segment->name);
    out_damage->table_no = segment->head.table_no;
    *out_bytes = 0;
    KD_TRY(kdi_segment_is_there(ctx, segment));
    uint32_t footer = segment->stored_count * (segment->head.block_count + 1);
    if (piece > footer)
        return kdi_segment_check_shreds(ctx, segment, piece - footer - 1, out_bytes, out_damage);
    if (piece == footer) {
        out_damage->first_row = 0;
        out_damage->row_count = segment->head.row_count;
        status = check_footer(ctx, segment, out_damage);
        *out_bytes = out_damage->size_bytes;
        return status;
    }
    locate_piece(segment, column, at, out_damage);
    *out_bytes = out_damage->size_bytes;
    if (out_damage->size_bytes == 0)
        return KD_OK; /* No dictionary. */
    /* Past the cache: what counts is what is on disk. */
    void *target = kd_heap_alloc_raw(ctx, segment->account, out_damage->size_bytes);
    if (target == NULL)
        return KD_NOMEM;
    block_load load = {segment, column, at - 1};
    status =
        at == 0 ? check_dictionary(ctx, segment, column, target) : load_block(ctx, &load, target);
    kd_heap_free(ctx->world, segment->account, target);
    return status;
}

kd_status kd_segment_check(kd_ctx *ctx, kd_segment *segment)
{
    uint32_t count = kd_segment_piece_count(segment);
    for (uint32_t piece = 0; piece < count; piece++) {
        uint64_t bytes;
        kd_damage damage;
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kd_segment_check_piece(ctx, segment, piece, &bytes, &damage));
    }
    return KD_OK;
}
