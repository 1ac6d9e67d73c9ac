/*
 * Writing runs: sorted entries to blocks, fences and the filter.
 */
#include "index/run.h"

#include "base/checksum.h"
#include "index/index.h"

#include <assert.h>
#include <stdio.h>

enum {
    BLOCK_TARGET_BYTES = 16 * 1024,
    BLOCK_ENTRIES_MAX = 8192,
    FILTER_KEYS_PER_BLOCK = 51, /* 512 bits, about ten for each key. */
    FILTER_AHEAD = 16, /* Filters do not fit the cache: blocks are asked for so many keys before. */
};

struct kdi_run_writer {
    kd_world *world;
    kd_account *account;
    kd_arena *arena;
    char *directory;
    char *path;
    kd_file_sink sink;
    kdi_run_identity identity;
    bool finished;
    uint64_t entry_count;
    uint64_t removed_count;
    uint32_t block_count;

    /* The block being filled: whole keys. */
    kd_buffer keys;
    uint32_t count;
    uint32_t ends[BLOCK_ENTRIES_MAX];
    uint64_t refs[BLOCK_ENTRIES_MAX];
    uint8_t removed[BLOCK_ENTRIES_MAX / 8];
    bool has_removed;

    kd_buffer block;  /* Its stored form. */
    kd_buffer fences; /* Per block, as in the footer. */
    uint64_t *hashes; /* Of distinct keys, for the filter; heap. */
    size_t hash_count, hash_capacity;
};

kd_status kdi_run_path(kd_ctx *ctx, const char *directory, uint64_t index_no, uint32_t run_no,
                       char *path)
{
    int length = snprintf(path, KDI_RUN_PATH_BYTES, "%s/%llu-%u.run", directory,
                          (unsigned long long)index_no, run_no);
    if (length < 0 || length >= KDI_RUN_PATH_BYTES)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "the path of an index run is too long");
    return KD_OK;
}

uint32_t kdi_run_checksum(const kdi_run_identity *identity, const void *bytes, size_t size_bytes)
{
    uint32_t sum = kd_crc32c(0, identity, sizeof *identity);
    return kd_crc32c(sum, (const char *)bytes + sizeof(uint32_t), size_bytes - sizeof(uint32_t));
}

/* --- The filter --- */

uint64_t kdi_filter_hash(kd_slice key)
{
    uint64_t word = kd_crc32c(0, key.data, key.size_bytes) | (uint64_t)key.size_bytes << 32;
    word += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static const uint64_t *filter_block(const uint64_t *words, uint32_t block_count, uint64_t hash)
{
    return words + ((hash >> 32) * block_count >> 32) * 8;
}

/* Six bits of the lower half, differently mixed for each of the eight words. */
static uint64_t filter_bit(uint64_t hash, uint32_t word)
{
    static const uint32_t salts[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                      0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};
    return (uint64_t)1 << ((uint32_t)((uint32_t)hash * salts[word]) >> 26);
}

void kdi_filter_add(uint64_t *words, uint32_t block_count, uint64_t hash)
{
    uint64_t *block = words + (filter_block(words, block_count, hash) - words);
    for (uint32_t i = 0; i < 8; i++)
        block[i] |= filter_bit(hash, i);
}

bool kdi_filter_may_have(const uint64_t *words, uint32_t block_count, uint64_t hash)
{
    if (block_count == 0)
        return true;
    const uint64_t *block = filter_block(words, block_count, hash);
    bool has = true;
    for (uint32_t i = 0; i < 8; i++)
        has = has && (block[i] & filter_bit(hash, i)) != 0;
    return has;
}

/* --- Create and destroy --- */

kd_status kdi_run_writer_create(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                                uint32_t run_no, kdi_run_writer **out_writer)
{
    kd_status status = KD_OK;
    *out_writer = NULL;
    kdi_run_writer *writer = KD_HEAP_NEW(ctx, files->account, kdi_run_writer);
    if (writer == NULL)
        return KD_NOMEM;
    char path[KDI_RUN_PATH_BYTES];
    writer->world = ctx->world;
    writer->account = files->account;
    writer->identity = (kdi_run_identity){.database_id = files->database_id,
                                          .unit = kdi_run_unit(index_no, run_no),
                                          .generation = ctx->world->random_u64(ctx->world)};
    writer->arena = kd_arena_create(ctx, NULL, "index run writer", KD_ARENA_UNLIMITED);
    if (writer->arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    writer->keys = kd_buffer_in(writer->arena);
    writer->block = kd_buffer_in(writer->arena);
    writer->fences = kd_buffer_in(writer->arena);
    KD_TRY_OUT(kdi_run_path(ctx, files->directory, index_no, run_no, path));
    writer->directory =
        kd_copy_text(ctx, writer->arena, files->directory, strlen(files->directory));
    writer->path = kd_copy_text(ctx, writer->arena, path, strlen(path));
    if (writer->directory == NULL || writer->path == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(kd_file_sink_open(ctx, &writer->sink, files->account, path));
    *out_writer = writer;
    writer = NULL;

out:
    kdi_run_writer_destroy(writer);
    return status;
}

void kdi_run_writer_destroy(kdi_run_writer *writer)
{
    if (writer == NULL)
        return;
    bool remove = !writer->finished && writer->path != NULL;
    kd_file_sink_close(writer->world, &writer->sink);
    if (remove) {
        /* A file that stays is found by nobody: no manifest names it. */
        kd_ctx ctx = {.world = writer->world};
        if (writer->world->path_remove(&ctx, writer->path) != KD_OK)
            kd_error_clear(&ctx);
    }
    kd_heap_free(writer->world, writer->account, writer->hashes);
    kd_arena_destroy(writer->arena);
    kd_heap_free(writer->world, writer->account, writer);
}

uint64_t kdi_run_writer_count(const kdi_run_writer *writer)
{
    return writer->entry_count;
}

/* --- Blocks --- */

static kd_slice key_at(const kdi_run_writer *writer, uint32_t index)
{
    uint32_t start = index == 0 ? 0 : writer->ends[index - 1];
    return (kd_slice){writer->keys.data + start, writer->ends[index] - start};
}

static uint32_t shared_prefix(kd_slice a, kd_slice b)
{
    size_t limit = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    size_t at = 0;
    while (at < limit && a.data[at] == b.data[at])
        at++;
    return (uint32_t)at;
}

static kd_status append_keys(kd_ctx *ctx, kdi_run_writer *writer, kdi_run_block_header *header)
{
    kd_buffer *out = &writer->block;
    kd_slice first = key_at(writer, 0);
    header->prefix_bytes = (uint16_t)shared_prefix(first, key_at(writer, writer->count - 1));
    bool same = true;
    for (uint32_t i = 1; i < writer->count && same; i++)
        same = key_at(writer, i).size_bytes == first.size_bytes;
    header->suffix_bytes =
        same ? (uint16_t)(first.size_bytes - header->prefix_bytes) : (uint16_t)KDI_RUN_KEYS_DIFFER;
    KD_TRY(kd_buffer_append(ctx, out, first.data, header->prefix_bytes));
    uint32_t end = 0;
    for (uint32_t i = 0; i < writer->count && !same; i++) {
        end += (uint32_t)key_at(writer, i).size_bytes - header->prefix_bytes;
        KD_TRY(kd_buffer_append_u16(ctx, out, (uint16_t)end));
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        kd_slice key = key_at(writer, i);
        KD_TRY(kd_buffer_append(ctx, out, key.data + header->prefix_bytes,
                                key.size_bytes - header->prefix_bytes));
    }
    return KD_OK;
}

static kd_status append_refs(kd_ctx *ctx, kdi_run_writer *writer, kdi_run_block_header *header)
{
    uint64_t low = writer->refs[0], high = writer->refs[0];
    for (uint32_t i = 1; i < writer->count; i++) {
        low = writer->refs[i] < low ? writer->refs[i] : low;
        high = writer->refs[i] > high ? writer->refs[i] : high;
    }
    header->ref_base = low;
    while (header->ref_bytes < 8 && (high - low) >> (8 * header->ref_bytes) != 0)
        header->ref_bytes++;
    for (uint32_t i = 0; i < writer->count; i++) {
        uint64_t rest = writer->refs[i] - low;
        KD_TRY(kd_buffer_append(ctx, &writer->block, &rest, header->ref_bytes));
    }
    if (!writer->has_removed)
        return KD_OK;
    header->flags = KDI_RUN_HAS_REMOVED;
    return kd_buffer_append(ctx, &writer->block, writer->removed, (writer->count + 7) / 8);
}

static kd_status append_fence(kd_ctx *ctx, kdi_run_writer *writer,
                              const kdi_run_block_header *header)
{
    kd_buffer *fences = &writer->fences;
    KD_TRY(kd_buffer_append_u64(ctx, fences, kd_file_sink_offset(&writer->sink)));
    KD_TRY(kd_buffer_append_u32(ctx, fences, header->size_bytes));
    KD_TRY(kd_buffer_append_u32(ctx, fences, header->checksum));
    KD_TRY(kd_buffer_append_u32(ctx, fences, header->entry_count));
    KD_TRY(kd_buffer_append_u64(ctx, fences, writer->refs[0]));
    return kd_buffer_append_counted(ctx, fences, key_at(writer, 0));
}

static kd_status end_block(kd_ctx *ctx, kdi_run_writer *writer)
{
    kdi_run_block_header header = {.entry_count = (uint16_t)writer->count};
    writer->block.size_bytes = 0;
    KD_TRY(kd_buffer_append(ctx, &writer->block, &header, sizeof header));
    KD_TRY(append_keys(ctx, writer, &header));
    KD_TRY(append_refs(ctx, writer, &header));
    header.size_bytes = (uint32_t)writer->block.size_bytes;
    memcpy(writer->block.data, &header, sizeof header);
    writer->identity.block_no = writer->block_count;
    header.checksum =
        kdi_run_checksum(&writer->identity, writer->block.data, writer->block.size_bytes);
    memcpy(writer->block.data, &header, sizeof header);
    KD_TRY(append_fence(ctx, writer, &header));
    KD_TRY(kd_file_sink_append(ctx, &writer->sink, writer->block.data, writer->block.size_bytes));
    writer->block_count++;
    writer->count = 0;
    writer->keys.size_bytes = 0;
    writer->has_removed = false;
    memset(writer->removed, 0, sizeof writer->removed);
    return KD_OK;
}

static bool block_is_full(const kdi_run_writer *writer, kd_slice next)
{
    if (writer->count == 0)
        return false;
    if (writer->count == BLOCK_ENTRIES_MAX)
        return true;
    size_t prefix = shared_prefix(key_at(writer, 0), next);
    size_t key_bytes = writer->keys.size_bytes + next.size_bytes - (writer->count + 1) * prefix;
    return key_bytes + (size_t)(writer->count + 1) * 5 > BLOCK_TARGET_BYTES;
}

static kd_status note_hash(kd_ctx *ctx, kdi_run_writer *writer, uint64_t hash)
{
    /* Equal keys stand side by side. */
    if (writer->hash_count > 0 && writer->hashes[writer->hash_count - 1] == hash)
        return KD_OK;
    if (writer->hash_count == writer->hash_capacity) {
        size_t capacity = writer->hash_capacity == 0 ? 1024 : writer->hash_capacity * 2;
        uint64_t *hashes =
            kd_heap_resize(ctx, writer->account, writer->hashes, capacity * sizeof *hashes);
        if (hashes == NULL)
            return KD_NOMEM;
        writer->hashes = hashes;
        writer->hash_capacity = capacity;
    }
    writer->hashes[writer->hash_count++] = hash;
    return KD_OK;
}

kd_status kdi_run_writer_add(kd_ctx *ctx, kdi_run_writer *writer, kd_slice key, uint64_t ref,
                             bool removed)
{
    assert(!writer->finished && key.size_bytes <= KD_INDEX_KEY_BYTES_MAX);
    if (block_is_full(writer, key))
        KD_TRY(end_block(ctx, writer));
    KD_TRY(note_hash(ctx, writer, kdi_filter_hash(key)));
    KD_TRY(kd_buffer_append_slice(ctx, &writer->keys, key));
    writer->ends[writer->count] = (uint32_t)writer->keys.size_bytes;
    writer->refs[writer->count] = ref;
    if (removed) {
        writer->removed[writer->count / 8] |= (uint8_t)(1u << (writer->count % 8));
        writer->has_removed = true;
        writer->removed_count++;
    }
    writer->count++;
    writer->entry_count++;
    return KD_OK;
}

/* --- Footer --- */

static kd_status append_filter(kd_ctx *ctx, kdi_run_writer *writer, kd_buffer *footer,
                               uint32_t block_count)
{
    char *room;
    size_t size_bytes = (size_t)block_count * 64;
    uint64_t *words = kd_heap_alloc(ctx, writer->account, size_bytes);
    if (words == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < writer->hash_count; i++) {
        if (i + FILTER_AHEAD < writer->hash_count)
            __builtin_prefetch(filter_block(words, block_count, writer->hashes[i + FILTER_AHEAD]),
                               1);
        kdi_filter_add(words, block_count, writer->hashes[i]);
    }
    kd_status status = kd_buffer_reserve(ctx, footer, size_bytes, &room);
    if (status == KD_OK) {
        memcpy(room, words, size_bytes);
        footer->size_bytes += size_bytes;
    }
    kd_heap_free(writer->world, writer->account, words);
    return status;
}

static kd_status build_footer(kd_ctx *ctx, kdi_run_writer *writer, kd_buffer *footer)
{
    uint32_t filter_blocks = (uint32_t)(writer->hash_count / FILTER_KEYS_PER_BLOCK + 1);
    KD_TRY(kd_buffer_append_u64(ctx, footer, writer->entry_count));
    KD_TRY(kd_buffer_append_u64(ctx, footer, writer->removed_count));
    KD_TRY(kd_buffer_append_u32(ctx, footer, writer->block_count));
    KD_TRY(kd_buffer_append_u32(ctx, footer, filter_blocks));
    KD_TRY(kd_buffer_append_slice(ctx, footer, kd_buffer_slice(&writer->fences)));
    return append_filter(ctx, writer, footer, filter_blocks);
}

kd_status kdi_run_writer_finish(kd_ctx *ctx, kdi_run_writer *writer)
{
    if (writer->count > 0)
        KD_TRY(end_block(ctx, writer));
    kd_buffer footer = kd_buffer_in(writer->arena);
    KD_TRY(build_footer(ctx, writer, &footer));
    if (footer.size_bytes > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "an index run is too large");
    kdi_run_trailer trailer = {.format = KDI_RUN_FORMAT,
                               .footer_offset = kd_file_sink_offset(&writer->sink),
                               .database_id = writer->identity.database_id,
                               .unit = writer->identity.unit,
                               .generation = writer->identity.generation,
                               .footer_bytes = (uint32_t)footer.size_bytes};
    memcpy(trailer.magic, KDI_RUN_MAGIC, sizeof trailer.magic);
    kdi_run_identity identity = writer->identity;
    identity.block_no = UINT64_MAX;
    trailer.footer_checksum =
        kd_crc32c(kd_crc32c(0, &identity, sizeof identity), footer.data, footer.size_bytes);
    trailer.checksum = kd_crc32c(0, &trailer, offsetof(kdi_run_trailer, checksum));
    KD_TRY(kd_file_sink_append(ctx, &writer->sink, footer.data, footer.size_bytes));
    KD_TRY(kd_file_sink_finish(ctx, &writer->sink, &trailer, sizeof trailer));
    KD_TRY(ctx->world->directory_sync(ctx, writer->directory));
    writer->finished = true;
    return KD_OK;
}
