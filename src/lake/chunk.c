/*
 * Cutting a text source into chunks that end at record borders.
 *
 * With plain quoting a byte is inside quotes exactly when an odd number of quotes stands before it.
 * So the last border is found from the end: count all quotes once, then walk back. An escape that
 * is not the quote needs a walk from the start.
 */
#include "lake/chunk_internal.h"

#include <assert.h>
#include <string.h>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

enum { GROW_FACTOR = 2 };

kd_status kdi_chunks_open(kd_ctx *ctx, kd_arena *arena, kd_text_source *source, kdi_chunks *chunks)
{
    *chunks = (kdi_chunks){.source = source, .rest = kd_buffer_in(arena), .next_line = 1};
    kd_mutex_init(&chunks->lock, ctx->world);
    char *target;
    KD_TRY(kd_buffer_reserve(ctx, &chunks->rest, KDI_SAMPLE_BYTES, &target));
    size_t read_bytes;
    KD_TRY(kd_text_source_read(ctx, source, target, KDI_SAMPLE_BYTES, &read_bytes));
    chunks->rest.size_bytes = read_bytes;
    chunks->source_is_over = read_bytes < KDI_SAMPLE_BYTES;
    if (read_bytes >= 3 && memcmp(target, "\xef\xbb\xbf", 3) == 0)
        chunks->rest_at = 3; /* A byte order mark is no data. */
    return KD_OK;
}

void kdi_chunks_clear(kdi_chunks *chunks)
{
    if (chunks->source != NULL)
        kd_mutex_clear(&chunks->lock);
    chunks->source = NULL;
}

kd_slice kdi_chunks_sample(const kdi_chunks *chunks)
{
    kd_slice sample = {chunks->rest.data + chunks->rest_at,
                       chunks->rest.size_bytes - chunks->rest_at};
    return sample;
}

void kdi_chunks_skip(kdi_chunks *chunks, size_t size_bytes, uint64_t line_count)
{
    assert(chunks->rest_at + size_bytes <= chunks->rest.size_bytes);
    chunks->rest_at += size_bytes;
    chunks->next_line += line_count;
}

static size_t count_bytes_plain(const char *data, size_t size_bytes, char wanted)
{
    size_t total = 0;
    for (size_t i = 0; i < size_bytes; i++)
        total += data[i] == wanted;
    return total;
}

#ifdef __x86_64__

/* Every quote and line end of a file is counted while others wait for the lock. Byte-wide counters
 * take 255 rounds of 16 bytes; then they are summed. */
size_t kdi_count_bytes(const char *data, size_t size_bytes, char wanted)
{
    const __m128i all = _mm_set1_epi8(wanted);
    __m128i totals = _mm_setzero_si128();
    size_t at = 0;
    while (size_bytes - at >= 16) {
        __m128i counters = _mm_setzero_si128();
        for (int round = 0; round < 255 && size_bytes - at >= 16; round++, at += 16) {
            __m128i bytes;
            memcpy(&bytes, data + at, sizeof bytes);
            counters = _mm_sub_epi8(counters, _mm_cmpeq_epi8(bytes, all));
        }
        totals = _mm_add_epi64(totals, _mm_sad_epu8(counters, _mm_setzero_si128()));
    }
    uint64_t halves[2];
    memcpy(halves, &totals, sizeof halves);
    return halves[0] + halves[1] + count_bytes_plain(data + at, size_bytes - at, wanted);
}

#else

size_t kdi_count_bytes(const char *data, size_t size_bytes, char wanted)
{
    return count_bytes_plain(data, size_bytes, wanted);
}

#endif

static size_t find_last_escaped(const kdi_border *border, const char *data, size_t size_bytes,
                                bool *out_quote_is_open)
{
    size_t last = 0;
    bool in_quote = false;
    for (size_t i = 0; i < size_bytes; i++) {
        char byte = data[i];
        if (byte == border->escape && (in_quote || border->quote == 0)) {
            i++;
        } else if (byte == border->quote && border->quote != 0) {
            in_quote = !in_quote;
        } else if (byte == '\n' && !in_quote) {
            last = i + 1;
        }
    }
    *out_quote_is_open = in_quote;
    return last;
}

size_t kdi_border_find_last(const kdi_border *border, const char *data, size_t size_bytes,
                            bool *out_quote_is_open)
{
    *out_quote_is_open = false;
    if (border->escape != 0 && border->escape != border->quote)
        return find_last_escaped(border, data, size_bytes, out_quote_is_open);
    bool in_quote = false;
    if (border->quote != 0)
        in_quote = kdi_count_bytes(data, size_bytes, border->quote) % 2 != 0;
    *out_quote_is_open = in_quote;
    for (size_t i = size_bytes; i > 0; i--) {
        char byte = data[i - 1];
        if (byte == border->quote && border->quote != 0)
            in_quote = !in_quote;
        else if (byte == '\n' && !in_quote)
            return i;
    }
    return 0;
}

static kd_status chunk_reserve(kd_ctx *ctx, kd_arena *arena, kdi_chunk *chunk, size_t wanted)
{
    if (chunk->capacity_bytes >= wanted)
        return KD_OK;
    char *grown = kd_alloc_raw(ctx, arena, wanted + 2); /* + 2: see record_end_add. */
    if (grown == NULL)
        return KD_NOMEM;
    if (chunk->size_bytes > 0)
        memcpy(grown, chunk->data, chunk->size_bytes);
    chunk->data = grown;
    chunk->capacity_bytes = wanted;
    return KD_OK;
}

/* First what is left over, then the source, until the chunk is full or the data are over. */
static kd_status chunk_fill(kd_ctx *ctx, kdi_chunks *chunks, kdi_chunk *chunk)
{
    size_t left = chunks->rest.size_bytes - chunks->rest_at;
    size_t room = chunk->capacity_bytes - chunk->size_bytes;
    size_t taken = left < room ? left : room;
    if (taken > 0)
        memcpy(chunk->data + chunk->size_bytes, chunks->rest.data + chunks->rest_at, taken);
    chunk->size_bytes += taken;
    chunks->rest_at += taken;
    room -= taken;
    if (room == 0 || chunks->source_is_over)
        return KD_OK;
    size_t read_bytes;
    KD_TRY(kd_text_source_read(ctx, chunks->source, chunk->data + chunk->size_bytes, room,
                               &read_bytes));
    chunk->size_bytes += read_bytes;
    chunks->source_is_over = read_bytes < room;
    return KD_OK;
}

/* Gives back what follows the last border, to be the start of the next chunk. */
static kd_status chunk_cut(kd_ctx *ctx, kdi_chunks *chunks, kdi_chunk *chunk, size_t border_at)
{
    size_t cut_bytes = chunk->size_bytes - border_at;
    if (chunks->rest_at >= cut_bytes) {
        /* It came from there and is still there, or there is room before what is left. */
        chunks->rest_at -= cut_bytes;
        memcpy(chunks->rest.data + chunks->rest_at, chunk->data + border_at, cut_bytes);
    } else {
        assert(chunks->rest_at == chunks->rest.size_bytes);
        chunks->rest.size_bytes = 0;
        chunks->rest_at = 0;
        KD_TRY(kd_buffer_append(ctx, &chunks->rest, chunk->data + border_at, cut_bytes));
    }
    chunk->size_bytes = border_at;
    return KD_OK;
}

/* The file's last record may lack its LF, and an escape at the very end would make the one added
 * part of the field: then another one follows. */
static void record_end_add(kdi_chunk *chunk, const kdi_border *border)
{
    chunk->data[chunk->size_bytes++] = '\n';
    bool ignored;
    if (!chunk->quote_is_open &&
        kdi_border_find_last(border, chunk->data, chunk->size_bytes, &ignored) != chunk->size_bytes)
        chunk->data[chunk->size_bytes++] = '\n';
}

static kd_status next_locked(kd_ctx *ctx, kd_arena *arena, kdi_chunks *chunks, kdi_chunk *chunk)
{
    size_t wanted = KDI_CHUNK_BYTES;
    chunk->size_bytes = 0;
    chunk->quote_is_open = false;
    for (;;) {
        KD_TRY(chunk_reserve(ctx, arena, chunk, wanted));
        KD_TRY(chunk_fill(ctx, chunks, chunk));
        if (chunk->size_bytes == 0)
            return KD_OK;
        bool is_over = chunks->source_is_over && chunks->rest_at == chunks->rest.size_bytes;
        size_t border_at = kdi_border_find_last(&chunks->border, chunk->data, chunk->size_bytes,
                                                &chunk->quote_is_open);
        if (is_over) {
            if (border_at != chunk->size_bytes)
                record_end_add(chunk, &chunks->border);
            break;
        }
        if (border_at > 0) {
            chunk->quote_is_open = false;
            KD_TRY(chunk_cut(ctx, chunks, chunk, border_at));
            break;
        }
        if (chunk->size_bytes >= KDI_RECORD_BYTES_MAX)
            return KD_FAIL(ctx, KD_INVALID, "54000", "line %llu: record is longer than %d bytes",
                           (unsigned long long)chunks->next_line, KDI_RECORD_BYTES_MAX);
        wanted = chunk->capacity_bytes * GROW_FACTOR;
    }
    chunk->no = chunks->next_no++;
    chunk->first_line = chunks->next_line;
    chunks->next_line += kdi_count_bytes(chunk->data, chunk->size_bytes, '\n');
    return KD_OK;
}

kd_status kdi_chunks_next(kd_ctx *ctx, kd_arena *arena, kdi_chunks *chunks, kdi_chunk *chunk)
{
    kd_mutex_lock(&chunks->lock);
    kd_status status = next_locked(ctx, arena, chunks, chunk);
    kd_mutex_unlock(&chunks->lock);
    return status;
}
