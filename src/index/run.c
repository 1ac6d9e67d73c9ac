/*
 * Reading runs: fences in memory, blocks through the cache.
 */
#include "index/run.h"

#include "base/checksum.h"
#include "index/index.h"
#include "store/block_cache.h"

#include <assert.h>
#include <stdio.h>

typedef struct run_fence {
    uint64_t offset;
    uint32_t size_bytes;
    uint32_t checksum;
    uint32_t entry_count;
    uint64_t first_ref;
    kd_slice first_key; /* In the footer's bytes. */
} run_fence;

struct kdi_run {
    kd_world *world;
    kd_account *account;
    kd_arena *arena;
    kd_block_cache *cache;
    kd_file *file;
    atomic_uint reference_count;
    uint32_t run_no;
    kdi_run_identity identity;
    uint64_t entry_count;
    uint64_t removed_count;
    uint32_t block_count;
    uint32_t filter_blocks;
    run_fence *fences;
    uint64_t *filter;
    uint64_t size_bytes;
    char name[48];
};

static kd_status corrupt(kd_ctx *ctx, const kdi_run *run, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "index run %s: %s", run->name, what);
}

/* --- Blocks --- */

const char *kdi_run_block_parse(const void *bytes, size_t size_bytes, kdi_run_block *out_block)
{
    kdi_run_block_header header;
    if (size_bytes < sizeof header)
        return "the block is cut off";
    memcpy(&header, bytes, sizeof header);
    if (header.size_bytes != size_bytes || header.entry_count == 0 || header.ref_bytes > 8 ||
        header.flags > KDI_RUN_HAS_REMOVED)
        return "the block's head is wrong";
    bool differ = header.suffix_bytes == KDI_RUN_KEYS_DIFFER;
    size_t ends_bytes = differ ? (size_t)header.entry_count * 2 : 0;
    size_t refs_bytes = (size_t)header.entry_count * header.ref_bytes;
    size_t marks_bytes = header.flags != 0 ? ((size_t)header.entry_count + 7) / 8 : 0;
    size_t fixed = sizeof header + header.prefix_bytes + ends_bytes + refs_bytes + marks_bytes;
    size_t suffix_total = differ ? 0 : (size_t)header.entry_count * header.suffix_bytes;
    if (fixed + suffix_total > size_bytes)
        return "the block is cut off";
    const char *at = (const char *)bytes + sizeof header;
    *out_block = (kdi_run_block){.entry_count = header.entry_count,
                                 .prefix = {at, header.prefix_bytes},
                                 .suffix_bytes = header.suffix_bytes,
                                 .ref_bytes = header.ref_bytes,
                                 .ref_base = header.ref_base};
    out_block->ends = (const uint8_t *)at + header.prefix_bytes;
    out_block->suffixes = at + header.prefix_bytes + ends_bytes;
    uint32_t previous = 0;
    for (uint32_t i = 0; differ && i < header.entry_count; i++) {
        uint32_t end = kd_load_u16(out_block->ends + (size_t)i * 2);
        if (end < previous)
            return "the keys' offsets are out of order";
        previous = end;
    }
    suffix_total = differ ? previous : suffix_total;
    if (fixed + suffix_total != size_bytes)
        return "the block has a wrong size";
    out_block->refs = (const uint8_t *)out_block->suffixes + suffix_total;
    if (header.flags != 0)
        out_block->removed = out_block->refs + refs_bytes;
    return NULL;
}

static kd_slice block_suffix(const kdi_run_block *block, uint32_t index)
{
    if (block->suffix_bytes != KDI_RUN_KEYS_DIFFER)
        return (kd_slice){block->suffixes + (size_t)index * block->suffix_bytes,
                          block->suffix_bytes};
    uint32_t start = index == 0 ? 0 : kd_load_u16(block->ends + ((size_t)index - 1) * 2);
    uint32_t end = kd_load_u16(block->ends + (size_t)index * 2);
    return (kd_slice){block->suffixes + start, end - start};
}

static uint64_t block_ref(const kdi_run_block *block, uint32_t index)
{
    uint64_t rest = 0;
    memcpy(&rest, block->refs + (size_t)index * block->ref_bytes, block->ref_bytes);
    return block->ref_base + rest;
}

static bool block_removed(const kdi_run_block *block, uint32_t index)
{
    return block->removed != NULL && (block->removed[index / 8] >> (index % 8) & 1) != 0;
}

/* Order of the key's start against the block's prefix; 0: the key goes on behind it. */
static int prefix_order(const kdi_run_block *block, kd_slice key)
{
    size_t known =
        key.size_bytes < block->prefix.size_bytes ? key.size_bytes : block->prefix.size_bytes;
    int order = known == 0 ? 0 : memcmp(key.data, block->prefix.data, known);
    if (order == 0 && key.size_bytes < block->prefix.size_bytes)
        return -1;
    return order;
}

static uint32_t block_lower_bound(const kdi_run_block *block, kd_slice key, uint64_t ref)
{
    int order = prefix_order(block, key);
    if (order != 0)
        return order < 0 ? 0 : block->entry_count;
    kd_slice rest = {key.data + block->prefix.size_bytes,
                     key.size_bytes - block->prefix.size_bytes};
    uint32_t low = 0, high = block->entry_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (kdi_entry_compare(block_suffix(block, middle), block_ref(block, middle), rest, ref) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool block_key_is(const kdi_run_block *block, uint32_t index, kd_slice key)
{
    if (prefix_order(block, key) != 0)
        return false;
    kd_slice rest = {key.data + block->prefix.size_bytes,
                     key.size_bytes - block->prefix.size_bytes};
    return kd_slice_equal(block_suffix(block, index), rest);
}

typedef struct block_load {
    const kdi_run *run;
    uint32_t block_no;
} block_load;

static kd_status corrupt_block(kd_ctx *ctx, const kdi_run *run, uint32_t block_no, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "index run %s, block %u: %s", run->name, block_no,
                   what);
}

/* Also checks the order within the block, so that searches may rely on it. */
static const char *block_order_check(const kdi_run_block *block, const run_fence *fence)
{
    if (block->entry_count != fence->entry_count || block_ref(block, 0) != fence->first_ref ||
        !block_key_is(block, 0, fence->first_key))
        return "the block does not start as its parent says";
    for (uint32_t i = 1; i < block->entry_count; i++)
        if (kdi_entry_compare(block_suffix(block, i - 1), block_ref(block, i - 1),
                              block_suffix(block, i), block_ref(block, i)) >= 0)
            return "the entries are out of order";
    return NULL;
}

static kd_status load_block(kd_ctx *ctx, void *object, void *target)
{
    const block_load *load = object;
    const kdi_run *run = load->run;
    const run_fence *fence = &run->fences[load->block_no];
    size_t got_bytes;
    KD_TRY(ctx->world->file_read(ctx, run->file, fence->offset, target, fence->size_bytes,
                                 &got_bytes));
    if (got_bytes != fence->size_bytes)
        return corrupt_block(ctx, run, load->block_no, "the file is too short");
    kdi_run_identity identity = run->identity;
    identity.block_no = load->block_no;
    if (kd_load_u32(target) != fence->checksum ||
        kdi_run_checksum(&identity, target, fence->size_bytes) != fence->checksum)
        return corrupt_block(ctx, run, load->block_no, "checksum mismatch");
    kdi_run_block block;
    const char *wrong = kdi_run_block_parse(target, fence->size_bytes, &block);
    if (wrong == NULL)
        wrong = block_order_check(&block, fence);
    return wrong == NULL ? KD_OK : corrupt_block(ctx, run, load->block_no, wrong);
}

static kd_status pin_block(kd_ctx *ctx, kdi_run *run, uint32_t block_no, kd_block **out_pinned,
                           kdi_run_block *out_block)
{
    block_load load = {run, block_no};
    KD_TRY(kd_block_cache_get(ctx, run->cache, run->identity.unit, block_no,
                              run->fences[block_no].size_bytes, load_block, &load, out_pinned));
    /* It was checked when it was loaded. */
    (void)kdi_run_block_parse(kd_block_data(*out_pinned), run->fences[block_no].size_bytes,
                              out_block);
    return KD_OK;
}

/* --- Open and close --- */

static kd_status read_fences(kd_ctx *ctx, kdi_run *run, kd_slice footer, uint64_t limit)
{
    kd_reader reader = kd_reader_of(footer);
    run->entry_count = kd_read_u64(&reader);
    run->removed_count = kd_read_u64(&reader);
    run->block_count = kd_read_u32(&reader);
    run->filter_blocks = kd_read_u32(&reader);
    if (reader.failed || run->block_count > footer.size_bytes ||
        run->filter_blocks > footer.size_bytes / 64)
        return corrupt(ctx, run, "the footer's head is wrong");
    run->fences = KD_NEW_ARRAY(ctx, run->arena, run_fence, (size_t)run->block_count + 1);
    run->filter = KD_NEW_ARRAY(ctx, run->arena, uint64_t, (size_t)run->filter_blocks * 8 + 1);
    if (run->fences == NULL || run->filter == NULL)
        return KD_NOMEM;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < run->block_count; i++) {
        run_fence *fence = &run->fences[i];
        fence->offset = kd_read_u64(&reader);
        fence->size_bytes = kd_read_u32(&reader);
        fence->checksum = kd_read_u32(&reader);
        fence->entry_count = kd_read_u32(&reader);
        fence->first_ref = kd_read_u64(&reader);
        fence->first_key = kd_read_slice(&reader);
        entries += fence->entry_count;
        if (reader.failed || fence->offset > limit || fence->size_bytes > limit - fence->offset ||
            fence->size_bytes < KDI_RUN_BLOCK_HEADER_BYTES)
            return corrupt(ctx, run, "the footer's block is wrong");
        if (i > 0 && kdi_entry_compare(fence[-1].first_key, fence[-1].first_ref, fence->first_key,
                                       fence->first_ref) >= 0)
            return corrupt(ctx, run, "the blocks are out of order");
    }
    const char *filter = kd_read_bytes(&reader, (size_t)run->filter_blocks * 64);
    if (filter == NULL || reader.at != reader.end || entries != run->entry_count)
        return corrupt(ctx, run, "the footer has a wrong size");
    memcpy(run->filter, filter, (size_t)run->filter_blocks * 64);
    return KD_OK;
}

static kd_status read_trailer(kd_ctx *ctx, const kdi_run *run, kdi_run_trailer *trailer)
{
    size_t got_bytes;
    if (run->size_bytes < sizeof *trailer)
        return corrupt(ctx, run, "the file is too short");
    KD_TRY(ctx->world->file_read(ctx, run->file, run->size_bytes - sizeof *trailer, trailer,
                                 sizeof *trailer, &got_bytes));
    if (got_bytes != sizeof *trailer ||
        memcmp(trailer->magic, KDI_RUN_MAGIC, sizeof trailer->magic) != 0)
        return corrupt(ctx, run, "the trailer is missing: the file is incomplete or foreign");
    if (kd_crc32c(0, trailer, offsetof(kdi_run_trailer, checksum)) != trailer->checksum)
        return corrupt(ctx, run, "the trailer's checksum does not match");
    if (trailer->format > KDI_RUN_FORMAT)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "index run %s has format %u; this program reads up to %d", run->name,
                       trailer->format, KDI_RUN_FORMAT);
    if (trailer->unit != run->identity.unit ||
        (run->identity.database_id != 0 && trailer->database_id != run->identity.database_id))
        return corrupt(ctx, run, "it belongs to another database or index");
    if (trailer->footer_offset > run->size_bytes ||
        trailer->footer_bytes > run->size_bytes - trailer->footer_offset)
        return corrupt(ctx, run, "the footer is outside the file");
    return KD_OK;
}

/* The footer's bytes; `target` has room for them. */
static kd_status read_footer_bytes(kd_ctx *ctx, const kdi_run *run, const kdi_run_trailer *trailer,
                                   char *target)
{
    size_t got_bytes;
    kdi_run_identity identity = {trailer->database_id, trailer->unit, trailer->generation,
                                 UINT64_MAX};
    KD_TRY(ctx->world->file_read(ctx, run->file, trailer->footer_offset, target,
                                 trailer->footer_bytes, &got_bytes));
    if (got_bytes != trailer->footer_bytes ||
        kd_crc32c(kd_crc32c(0, &identity, sizeof identity), target, got_bytes) !=
            trailer->footer_checksum)
        return corrupt(ctx, run, "the footer's checksum does not match");
    return KD_OK;
}

static kd_status read_footer(kd_ctx *ctx, kdi_run *run)
{
    kdi_run_trailer trailer;
    KD_TRY(ctx->world->file_size(ctx, run->file, &run->size_bytes));
    KD_TRY(read_trailer(ctx, run, &trailer));
    run->identity.database_id = trailer.database_id;
    run->identity.generation = trailer.generation;
    char *footer = kd_alloc(ctx, run->arena, trailer.footer_bytes);
    if (footer == NULL)
        return KD_NOMEM;
    KD_TRY(read_footer_bytes(ctx, run, &trailer, footer));
    return read_fences(ctx, run, (kd_slice){footer, trailer.footer_bytes}, trailer.footer_offset);
}

static kd_status open_file(kd_ctx *ctx, kdi_run *run, const char *path)
{
    kd_status status = ctx->world->file_open(ctx, path, KD_FILE_READ, &run->file);
    if (status != KD_INVALID)
        return status;
    kd_error_clear(ctx);
    return corrupt(ctx, run, "the file is missing");
}

kd_status kdi_run_open(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                       uint32_t run_no, kdi_run **out_run)
{
    kd_status status = KD_OK;
    *out_run = NULL;
    char path[KDI_RUN_PATH_BYTES];
    kdi_run *run = KD_HEAP_NEW(ctx, files->account, kdi_run);
    if (run == NULL)
        return KD_NOMEM;
    run->world = ctx->world;
    run->account = files->account;
    run->cache = files->cache;
    run->run_no = run_no;
    run->identity = (kdi_run_identity){.database_id = files->database_id,
                                       .unit = kdi_run_unit(index_no, run_no)};
    atomic_init(&run->reference_count, 1);
    (void)snprintf(run->name, sizeof run->name, "%llu-%u.run", (unsigned long long)index_no,
                   run_no);
    run->arena = kd_arena_create(ctx, NULL, "index run", KD_ARENA_UNLIMITED);
    if (run->arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(kdi_run_path(ctx, files->directory, index_no, run_no, path));
    KD_TRY_OUT(open_file(ctx, run, path));
    KD_TRY_OUT(read_footer(ctx, run));
    *out_run = run;
    run = NULL;

out:
    kdi_run_unref(run);
    return status;
}

kdi_run *kdi_run_ref(kdi_run *run)
{
    atomic_fetch_add_explicit(&run->reference_count, 1, memory_order_relaxed);
    return run;
}

void kdi_run_unref(kdi_run *run)
{
    if (run == NULL ||
        atomic_fetch_sub_explicit(&run->reference_count, 1, memory_order_acq_rel) > 1)
        return;
    kd_block_cache_drop_unit(run->cache, run->identity.unit);
    if (run->file != NULL)
        run->world->file_close(run->world, run->file);
    kd_arena_destroy(run->arena);
    kd_heap_free(run->world, run->account, run);
}

uint32_t kdi_run_no(const kdi_run *run)
{
    return run->run_no;
}

uint64_t kdi_run_count(const kdi_run *run)
{
    return run->entry_count;
}

uint64_t kdi_run_removed_count(const kdi_run *run)
{
    return run->removed_count;
}

uint64_t kdi_run_size_bytes(const kdi_run *run)
{
    return run->size_bytes;
}

size_t kdi_run_memory_bytes(const kdi_run *run)
{
    return kd_arena_used_bytes(run->arena);
}

/* --- Checking --- */

/* The blocks and the footer. */
uint32_t kdi_run_piece_count(const kdi_run *run)
{
    return run->block_count + 1;
}

static kd_status check_footer(kd_ctx *ctx, const kdi_run *run, kd_damage *damage)
{
    kdi_run_trailer trailer;
    KD_TRY(read_trailer(ctx, run, &trailer));
    damage->offset = trailer.footer_offset;
    damage->size_bytes = run->size_bytes - trailer.footer_offset;
    char *footer = kd_heap_alloc_raw(ctx, run->account, trailer.footer_bytes);
    if (footer == NULL)
        return KD_NOMEM;
    kd_status status = read_footer_bytes(ctx, run, &trailer, footer);
    kd_heap_free(ctx->world, run->account, footer);
    return status;
}

kd_status kdi_run_check_piece(kd_ctx *ctx, kdi_run *run, uint32_t piece, uint64_t *out_bytes,
                              kd_damage *out_damage)
{
    *out_damage = kd_damage_none();
    (void)snprintf(out_damage->file, sizeof out_damage->file, "units/%s", run->name);
    if (piece >= run->block_count) {
        kd_status status = check_footer(ctx, run, out_damage);
        *out_bytes = out_damage->size_bytes;
        return status;
    }
    const run_fence *fence = &run->fences[piece];
    out_damage->offset = fence->offset;
    out_damage->size_bytes = *out_bytes = fence->size_bytes;
    /* Past the cache: what counts is what is on disk. */
    void *target = kd_heap_alloc_raw(ctx, run->account, fence->size_bytes);
    if (target == NULL)
        return KD_NOMEM;
    block_load load = {run, piece};
    kd_status status = load_block(ctx, &load, target);
    kd_heap_free(ctx->world, run->account, target);
    return status;
}

kd_status kdi_run_check(kd_ctx *ctx, kdi_run *run)
{
    uint32_t count = kdi_run_piece_count(run);
    for (uint32_t piece = 0; piece < count; piece++) {
        uint64_t bytes;
        kd_damage damage;
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kdi_run_check_piece(ctx, run, piece, &bytes, &damage));
    }
    return KD_OK;
}

/* --- Finding --- */

/* The last block that starts at or before (key, ref); 0 when none does. */
static uint32_t find_block(const kdi_run *run, kd_slice key, uint64_t ref)
{
    uint32_t low = 0, high = run->block_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const run_fence *fence = &run->fences[middle];
        if (kdi_entry_compare(fence->first_key, fence->first_ref, key, ref) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : low - 1;
}

/* Behind the last entry of the key. */
static uint32_t block_upper_bound(const kdi_run_block *block, kd_slice key)
{
    uint32_t at = block_lower_bound(block, key, UINT64_MAX);
    bool has_last = at < block->entry_count && block_ref(block, at) == UINT64_MAX &&
                    block_key_is(block, at, key);
    return has_last ? at + 1 : at;
}

/* The same from an entry on that may be the key's first: few are looked at one by one. */
static uint32_t block_key_end(const kdi_run_block *block, uint32_t at, kd_slice key)
{
    enum { FEW = 8 };
    uint32_t end = at;
    while (end < block->entry_count && end - at < FEW && block_key_is(block, end, key))
        end++;
    return end - at < FEW ? end : block_upper_bound(block, key);
}

static void block_hits(const kdi_run_block *block, uint32_t at, uint32_t count, kdi_tree_hit *hits)
{
    const uint8_t *from = block->refs + (size_t)at * block->ref_bytes;
    for (uint32_t i = 0; i < count; i++, from += block->ref_bytes) {
        uint64_t rest = 0;
        for (uint32_t byte = block->ref_bytes; byte > 0; byte--)
            rest = rest << 8 | from[byte - 1];
        hits[i] = (kdi_tree_hit){block->ref_base + rest, block_removed(block, at + i)};
    }
}

kd_status kdi_run_find(kd_ctx *ctx, kdi_run *run, kd_slice key, uint64_t from_ref,
                       kdi_tree_hit *hits, uint32_t capacity, uint32_t *out_count)
{
    *out_count = 0;
    if (run->block_count == 0 ||
        !kdi_filter_may_have(run->filter, run->filter_blocks, kdi_filter_hash(key)))
        return KD_OK;
    uint32_t block_no = find_block(run, key, from_ref);
    bool more = true;
    for (bool first = true; more && block_no < run->block_count; block_no++, first = false) {
        kd_block *pinned;
        kdi_run_block block;
        KD_TRY(pin_block(ctx, run, block_no, &pinned, &block));
        uint32_t at = first ? block_lower_bound(&block, key, from_ref) : 0;
        uint32_t end = block_key_end(&block, at, key);
        uint32_t count = end - at < capacity - *out_count ? end - at : capacity - *out_count;
        block_hits(&block, at, count, hits + *out_count);
        *out_count += count;
        more = end == block.entry_count && *out_count < capacity;
        kd_block_put(pinned);
    }
    return KD_OK;
}

kd_status kdi_run_may_overlap(kd_ctx *ctx, kdi_run *run, kd_slice low, kd_slice high,
                              bool *out_overlaps)
{
    *out_overlaps = false;
    if (run->block_count == 0 || kd_slice_compare(run->fences[0].first_key, high) > 0)
        return KD_OK;
    if (kd_slice_compare(run->fences[run->block_count - 1].first_key, low) >= 0) {
        *out_overlaps = true;
        return KD_OK;
    }
    kd_block *pinned;
    kdi_run_block block;
    KD_TRY(pin_block(ctx, run, run->block_count - 1, &pinned, &block));
    *out_overlaps = block_lower_bound(&block, low, 0) < block.entry_count;
    kd_block_put(pinned);
    return KD_OK;
}

/* How many entries of the block stand before the key's first, or before its end. */
static kd_status entries_before(kd_ctx *ctx, kdi_run *run, uint32_t block_no, kd_slice key,
                                bool is_end, uint32_t *out_at)
{
    kd_block *pinned;
    kdi_run_block block;
    KD_TRY(pin_block(ctx, run, block_no, &pinned, &block));
    *out_at = is_end ? block_upper_bound(&block, key) : block_lower_bound(&block, key, 0);
    kd_block_put(pinned);
    return KD_OK;
}

kd_status kdi_run_key_count(kd_ctx *ctx, kdi_run *run, kd_slice key, uint64_t *out_count)
{
    uint32_t first_at, last_at;
    *out_count = 0;
    if (run->block_count == 0 ||
        !kdi_filter_may_have(run->filter, run->filter_blocks, kdi_filter_hash(key)))
        return KD_OK;
    uint32_t first = find_block(run, key, 0), last = find_block(run, key, UINT64_MAX);
    KD_TRY(entries_before(ctx, run, first, key, false, &first_at));
    KD_TRY(entries_before(ctx, run, last, key, true, &last_at));
    for (uint32_t i = first; i < last; i++)
        *out_count += run->fences[i].entry_count;
    *out_count += last_at;
    *out_count -= first_at;
    return KD_OK;
}

/* --- Cursors --- */

static kd_status cursor_move(kd_ctx *ctx, kdi_run_cursor *cursor, uint32_t block_no)
{
    kd_block_put(cursor->pinned);
    cursor->pinned = NULL;
    cursor->is_placed = false;
    KD_TRY(pin_block(ctx, cursor->run, block_no, &cursor->pinned, &cursor->block));
    cursor->block_no = block_no;
    cursor->is_placed = true;
    return KD_OK;
}

static bool block_entry_is(const kdi_run_block *block, uint32_t at, kd_slice key, uint64_t ref)
{
    return at < block->entry_count && block_ref(block, at) == ref && block_key_is(block, at, key);
}

kd_status kdi_run_cursor_seek(kd_ctx *ctx, kdi_run_cursor *cursor, const kdi_tree_position *from)
{
    kdi_run *run = cursor->run;
    cursor->descending = from->descending;
    cursor->is_placed = false;
    if (run->block_count == 0)
        return KD_OK;
    if (from->unbounded) {
        KD_TRY(cursor_move(ctx, cursor, from->descending ? run->block_count - 1 : 0));
        cursor->at = from->descending ? (int64_t)cursor->block.entry_count - 1 : 0;
    } else {
        KD_TRY(cursor_move(ctx, cursor, find_block(run, from->key, from->ref)));
        uint32_t at = block_lower_bound(&cursor->block, from->key, from->ref);
        bool equal = block_entry_is(&cursor->block, at, from->key, from->ref);
        cursor->at = at;
        if (from->descending)
            cursor->at -= !(equal && !from->exclusive);
        else
            cursor->at += equal && from->exclusive;
    }
    return KD_OK;
}

static void assemble(kdi_run_cursor *cursor, uint32_t at, kdi_index_entry *out_entry)
{
    const kdi_run_block *block = &cursor->block;
    kd_slice suffix = block_suffix(block, at);
    size_t size_bytes = block->prefix.size_bytes + suffix.size_bytes;
    if (size_bytes > KD_INDEX_KEY_BYTES_MAX)
        size_bytes = KD_INDEX_KEY_BYTES_MAX; /* The writer never makes one. */
    size_t prefix_bytes =
        block->prefix.size_bytes < size_bytes ? block->prefix.size_bytes : size_bytes;
    memcpy(cursor->key, block->prefix.data, prefix_bytes);
    memcpy(cursor->key + prefix_bytes, suffix.data, size_bytes - prefix_bytes);
    *out_entry = (kdi_index_entry){
        {cursor->key, size_bytes}, block_ref(block, at), block_removed(block, at)};
}

kd_status kdi_run_cursor_next(kd_ctx *ctx, kdi_run_cursor *cursor, kdi_index_entry *out_entry,
                              bool *out_end)
{
    *out_end = true;
    if (!cursor->is_placed)
        return KD_OK;
    if (cursor->at < 0) {
        if (cursor->block_no == 0)
            return KD_OK;
        KD_TRY(cursor_move(ctx, cursor, cursor->block_no - 1));
        cursor->at = (int64_t)cursor->block.entry_count - 1;
    } else if (cursor->at >= cursor->block.entry_count) {
        if (cursor->block_no + 1 >= cursor->run->block_count)
            return KD_OK;
        KD_TRY(cursor_move(ctx, cursor, cursor->block_no + 1));
        cursor->at = 0;
    }
    assemble(cursor, (uint32_t)cursor->at, out_entry);
    cursor->at += cursor->descending ? -1 : 1;
    *out_end = false;
    return KD_OK;
}

void kdi_run_cursor_clear(kdi_run_cursor *cursor)
{
    kd_block_put(cursor->pinned);
    cursor->pinned = NULL;
    cursor->is_placed = false;
}
