/*
 * Choosing paths worth a column of their own, and filling the columns.
 *
 * The first rows of a segment are the sample. A path through objects is taken when most documents
 * have a scalar there and its texts are short: what is short costs little and is what conditions
 * and groups ask for.
 */
#include "store/shred_writer.h"

#include <stdlib.h>

enum {
    DEPTH_MAX = KD_JSONB_KEYS_NEAR,
    PATH_BYTES_MAX = 200,
    CANDIDATES_MAX = 128, /* Looked at, per column of documents. */
    SHREDS_OF_COLUMN_MAX = 32,
    SAMPLE_TEXT_BYTES = 32, /* Mean of what a path gives. */
    TEXT_BYTES_MAX = 1024,  /* One longer text anywhere, and the path is left to the documents. */
    SHARE_NUMERATOR = 4,    /* Of the documents have the path: four in five. */
    SHARE_DENOMINATOR = 5,
};

typedef struct candidate {
    kd_slice path;
    uint32_t count;
    uint64_t bytes;
} candidate;

typedef struct sampling {
    kd_arena *arena;
    uint32_t next; /* Where the next path probably stands: documents are made alike. */
    size_t count, capacity;
    candidate *items;
} sampling;

/* --- Choosing -------------------------------------------------------------------------------- */

static kd_status count_scalar(kd_ctx *ctx, sampling *s, kd_slice path, size_t bytes)
{
    size_t at = s->next;
    if (at >= s->count || !kd_slice_equal(s->items[at].path, path))
        for (at = 0; at < s->count && !kd_slice_equal(s->items[at].path, path);)
            at++;
    if (at == s->count) {
        candidate *place;
        if (s->count == CANDIDATES_MAX)
            return KD_OK;
        char *copy = kd_copy_text(ctx, s->arena, path.data, path.size_bytes);
        if (copy == NULL)
            return KD_NOMEM;
        KD_TRY(KD_PUSH(ctx, s->arena, s->items, s->count, s->capacity, &place));
        *place = (candidate){.path = {copy, path.size_bytes}};
    }
    s->items[at].count++;
    s->items[at].bytes += bytes;
    s->next = (uint32_t)at + 1;
    return KD_OK;
}

/* At most DEPTH_MAX deep. */
static kd_status count_fields(kd_ctx *ctx, sampling *s, const kd_jsonb *object, char *path,
                              size_t used, uint32_t depth)
{
    for (uint32_t i = 0; i < object->count; i++) {
        kd_slice key = kd_jsonb_key(object, i);
        kd_jsonb value = kd_jsonb_open(kd_jsonb_element(object, i));
        if (key.size_bytes >= PATH_BYTES_MAX - used)
            continue;
        memcpy(path + used, key.data, key.size_bytes);
        path[used + key.size_bytes] = 0;
        size_t size_bytes = used + key.size_bytes + 1;
        bool is_scalar = value.kind >= KD_JSONB_FALSE && value.kind <= KD_JSONB_STRING;
        if (is_scalar)
            KD_TRY(count_scalar(ctx, s, (kd_slice){path, size_bytes}, value.body.size_bytes));
        else if (value.kind == KD_JSONB_OBJECT && depth < DEPTH_MAX)
            KD_TRY(count_fields(ctx, s, &value, path, size_bytes, depth + 1));
    }
    return KD_OK;
}

static int shorter_first(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    double mean_a = (double)a->bytes / a->count, mean_b = (double)b->bytes / b->count;
    if (mean_a != mean_b)
        return mean_a < mean_b ? -1 : 1;
    return kd_slice_compare(a->path, b->path);
}

static kd_status sample_column(kd_ctx *ctx, sampling *s, const kd_vector *documents,
                               const kd_batch *batch, uint32_t *out_documents)
{
    _Alignas(16) char scratch[16];
    char path[PATH_BYTES_MAX];
    *out_documents = 0;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        if (kd_vector_is_null(documents, row))
            continue;
        const kd_str *stored = kd_vector_payload(documents, row, scratch);
        kd_jsonb document = kd_jsonb_open(kd_str_slice(stored));
        ++*out_documents;
        s->next = 0;
        if (document.kind == KD_JSONB_OBJECT)
            KD_TRY(count_fields(ctx, s, &document, path, 0, 1));
    }
    return KD_OK;
}

static kd_status add_shred(kd_ctx *ctx, kdi_shredder *shredder, uint32_t source, uint32_t column_no,
                           kd_slice path)
{
    kdi_shred *shred = &shredder->shreds[shredder->count];
    char *copy = kd_copy_text(ctx, shredder->arena, path.data, path.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    *shred = (kdi_shred){.source = source, .keys.bytes = {copy, path.size_bytes}};
    kd_type text = kd_type_of(KD_TYPE_TEXT);
    KD_TRY(kd_vector_init_flat(ctx, shredder->arena, text, KD_BATCH_ROWS, &shred->texts));
    KD_TRY(kdi_column_writer_init(ctx, &shred->column, shredder->arena, text,
                                  KDI_SHRED_NUMBER_FIRST + shredder->count));
    shred->column.entry.column_no = column_no;
    shredder->count++;
    return KD_OK;
}

static kd_status choose_of_column(kd_ctx *ctx, kdi_shredder *shredder,
                                  const kdi_column_writer *column, const kd_batch *batch)
{
    sampling s = {.arena = shredder->batch_arena};
    uint32_t documents, taken = 0;
    KD_TRY(sample_column(ctx, &s, &batch->columns[column->column], batch, &documents));
    if (s.count > 0)
        qsort(s.items, s.count, sizeof *s.items, shorter_first);
    for (size_t i = 0; i < s.count && taken < SHREDS_OF_COLUMN_MAX; i++) {
        const candidate *item = &s.items[i];
        if ((uint64_t)item->count * SHARE_DENOMINATOR < (uint64_t)documents * SHARE_NUMERATOR ||
            item->bytes > (uint64_t)item->count * SAMPLE_TEXT_BYTES)
            continue;
        if (shredder->shreds == NULL)
            shredder->shreds = KD_NEW_ARRAY(ctx, shredder->arena, kdi_shred, KDI_SHREDS_MAX);
        if (shredder->shreds == NULL)
            return KD_NOMEM;
        if (shredder->count == KDI_SHREDS_MAX)
            return KD_OK;
        KD_TRY(add_shred(ctx, shredder, column->column, column->entry.column_no, item->path));
        taken++;
    }
    return KD_OK;
}

kd_status kdi_shredder_choose(kd_ctx *ctx, kdi_shredder *shredder, const kdi_column_writer *columns,
                              uint32_t column_count, const kd_batch *batch)
{
    for (uint32_t i = 0; i < column_count; i++) {
        if (columns[i].type.id != KD_TYPE_JSONB || columns[i].type.is_array)
            continue;
        if (shredder->batch_arena == NULL)
            shredder->batch_arena =
                kd_arena_create(ctx, shredder->arena, "shreds", KD_ARENA_UNLIMITED);
        if (shredder->batch_arena == NULL)
            return KD_NOMEM;
        KD_TRY(choose_of_column(ctx, shredder, &columns[i], batch));
        kd_arena_reset(shredder->batch_arena);
    }
    return KD_OK;
}

/* --- Filling --------------------------------------------------------------------------------- */

static kd_status fill_row(kd_ctx *ctx, kdi_shredder *shredder, kdi_shred *shred,
                          const kd_vector *documents, uint32_t row, uint32_t to)
{
    _Alignas(16) char scratch[16];
    kd_slice text;
    bool is_null = true;
    if (!kd_vector_is_null(documents, row)) {
        const kd_str *stored = kd_vector_payload(documents, row, scratch);
        KD_TRY(kd_jsonb_follow_text(ctx, shredder->batch_arena, &shred->keys, kd_str_slice(stored),
                                    &is_null, &text));
    }
    if (is_null) {
        kd_vector_set_null(&shred->texts, to);
        return KD_OK;
    }
    shred->is_dropped |= text.size_bytes > TEXT_BYTES_MAX;
    ((kd_str *)shred->texts.values)[to] = kd_str_from(text.data, text.size_bytes);
    kd_bit_set(shred->texts.validity, to);
    return KD_OK;
}

static kd_status stage_part(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output,
                            const kd_batch *batch, uint32_t from, uint32_t count)
{
    kd_arena_reset(shredder->batch_arena);
    /* Row by row: a document that has been fetched gives all its texts. */
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t s = 0; s < shredder->count; s++) {
            kdi_shred *shred = &shredder->shreds[s];
            if (!shred->is_dropped)
                KD_TRY(fill_row(ctx, shredder, shred, &batch->columns[shred->source],
                                kd_batch_row(batch, from + i), i));
        }
    kd_batch part = {.row_count = count, .selected_count = count};
    for (uint32_t s = 0; s < shredder->count; s++) {
        kdi_shred *shred = &shredder->shreds[s];
        if (!shred->is_dropped)
            KD_TRY(kdi_column_stage(ctx, &shred->column, output, &shred->texts, &part, 0, count));
    }
    return KD_OK;
}

kd_status kdi_shredder_stage(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output,
                             const kd_batch *batch, uint32_t from, uint32_t count)
{
    for (uint32_t done = 0; done < count && shredder->count > 0;) {
        uint32_t part = count - done < KD_BATCH_ROWS ? count - done : KD_BATCH_ROWS;
        KD_TRY(stage_part(ctx, shredder, output, batch, from + done, part));
        done += part;
    }
    return KD_OK;
}

kd_status kdi_shredder_end_block(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output)
{
    for (uint32_t s = 0; s < shredder->count; s++)
        if (!shredder->shreds[s].is_dropped)
            KD_TRY(kdi_column_end_block(ctx, &shredder->shreds[s].column, output));
    return KD_OK;
}

void kdi_shredder_settle(kdi_shredder *shredder)
{
    uint32_t kept = 0;
    for (uint32_t s = 0; s < shredder->count; s++)
        if (!shredder->shreds[s].is_dropped)
            shredder->shreds[kept++] = shredder->shreds[s];
    shredder->count = kept;
}

kd_status kdi_shredder_finish(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output,
                              uint32_t row_count)
{
    for (uint32_t s = 0; s < shredder->count; s++)
        KD_TRY(kdi_column_finish(ctx, &shredder->shreds[s].column, output, row_count));
    return KD_OK;
}
