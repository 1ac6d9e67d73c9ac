/*
 * Postings being collected: a hash table of keys; behind each a chain of pieces with its references
 * as differences, seven bits a byte. References that come out of order make differences that wrap
 * around; such lists are sorted when they are read.
 */
#include "table/posting_set.h"

#include "base/arena.h"
#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 1024, PIECE_BYTES_FIRST = 16, PIECE_BYTES_MAX = 4096, VARINT_BYTES_MAX = 10 };

typedef struct piece {
    struct piece *next;
    uint32_t used, capacity;
    uint8_t bytes[];
} piece;

typedef struct posting {
    kd_slice key;
    uint64_t hash;
    uint64_t last;
    uint64_t count;
    bool is_unsorted;
    piece *first, *end;
} posting;

struct kdi_posting_set {
    kd_arena *arena;
    posting *postings;
    size_t count, capacity;
    uint32_t *slots; /* Posting + 1; 0: free. */
    size_t slot_count;
    uint64_t total;

    /* Reading, in order. */
    size_t at; /* Posting, */
    uint64_t given;
    const piece *piece;
    uint32_t offset;
    uint64_t previous;
    uint64_t *sorted; /* Of an unsorted one: its references, each once. */
    size_t sorted_count, sorted_capacity;
};

kd_status kdi_posting_set_create(kd_ctx *ctx, kd_arena *parent, kdi_posting_set **out_set)
{
    *out_set = NULL;
    kd_arena *arena = kd_arena_create(ctx, parent, "postings", KD_ARENA_UNLIMITED);
    kdi_posting_set *set = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_posting_set);
    if (set != NULL)
        set->slots = KD_NEW_ARRAY(ctx, arena, uint32_t, SLOTS_FIRST);
    if (set == NULL || set->slots == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    set->arena = arena;
    set->slot_count = SLOTS_FIRST;
    *out_set = set;
    return KD_OK;
}

void kdi_posting_set_destroy(kdi_posting_set *set)
{
    if (set != NULL)
        kd_arena_destroy(set->arena);
}

uint64_t kdi_posting_set_count(const kdi_posting_set *set)
{
    return set->total;
}

size_t kdi_posting_set_bytes(const kdi_posting_set *set)
{
    return kd_arena_used_bytes(set->arena);
}

/* --- Adding ---------------------------------------------------------------------------------- */

static kd_status slots_double(kd_ctx *ctx, kdi_posting_set *set)
{
    size_t slot_count = set->slot_count * 2;
    uint32_t *slots = KD_NEW_ARRAY(ctx, set->arena, uint32_t, slot_count);
    if (slots == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < set->count; i++) {
        size_t at = set->postings[i].hash & (slot_count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    set->slots = slots;
    set->slot_count = slot_count;
    return KD_OK;
}

static kd_status posting_find(kd_ctx *ctx, kdi_posting_set *set, kd_slice key, posting **out)
{
    uint64_t hash = kd_hash_bytes(key.data, key.size_bytes);
    size_t at = hash & (set->slot_count - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->slot_count - 1)) {
        *out = &set->postings[set->slots[at] - 1];
        if ((*out)->hash == hash && kd_slice_equal((*out)->key, key))
            return KD_OK;
    }
    char *copy = kd_copy_text(ctx, set->arena, key.data, key.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    KD_TRY(KD_PUSH(ctx, set->arena, set->postings, set->count, set->capacity, out));
    **out = (posting){.key = {copy, key.size_bytes}, .hash = hash};
    set->slots[at] = (uint32_t)set->count;
    return KD_OK;
}

static kd_status piece_append(kd_ctx *ctx, kdi_posting_set *set, posting *it)
{
    uint32_t capacity = it->end == NULL ? PIECE_BYTES_FIRST : it->end->capacity * 2;
    if (capacity > PIECE_BYTES_MAX)
        capacity = PIECE_BYTES_MAX;
    piece *added = kd_alloc_raw(ctx, set->arena, sizeof *added + capacity);
    if (added == NULL)
        return KD_NOMEM;
    added->next = NULL;
    added->used = 0;
    added->capacity = capacity;
    if (it->end == NULL)
        it->first = added;
    else
        it->end->next = added;
    it->end = added;
    return KD_OK;
}

kd_status kdi_posting_set_add(kd_ctx *ctx, kdi_posting_set *set, kd_slice key, uint64_t ref)
{
    posting *it;
    if (set->count * 2 >= set->slot_count)
        KD_TRY(slots_double(ctx, set));
    KD_TRY(posting_find(ctx, set, key, &it));
    if (it->count > 0 && it->last == ref)
        return KD_OK;
    if (it->end == NULL || it->end->capacity - it->end->used < VARINT_BYTES_MAX)
        KD_TRY(piece_append(ctx, set, it));
    it->is_unsorted |= ref < it->last;
    uint64_t difference = ref - it->last;
    uint8_t *to = it->end->bytes + it->end->used;
    for (; difference >= 0x80; difference >>= 7)
        *to++ = (uint8_t)(difference | 0x80);
    *to++ = (uint8_t)difference;
    it->end->used = (uint32_t)(to - it->end->bytes);
    it->last = ref;
    it->count++;
    set->total++;
    return KD_OK;
}

/* --- Reading --------------------------------------------------------------------------------- */

static int posting_compare(const void *left, const void *right)
{
    const posting *a = left;
    const posting *b = right;
    return kd_slice_compare(a->key, b->key);
}

static int ref_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static uint64_t ref_read(kdi_posting_set *set)
{
    if (set->offset == set->piece->used) {
        set->piece = set->piece->next;
        set->offset = 0;
    }
    uint64_t difference = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t byte = set->piece->bytes[set->offset++];
        difference |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    set->previous += difference;
    return set->previous;
}

static kd_status posting_begin(kd_ctx *ctx, kdi_posting_set *set)
{
    const posting *it = &set->postings[set->at];
    set->given = 0;
    set->piece = it->first;
    set->offset = 0;
    set->previous = 0;
    set->sorted_count = 0;
    if (!it->is_unsorted)
        return KD_OK;
    KD_TRY(kd_array_reserve(ctx, set->arena, (void **)&set->sorted, &set->sorted_capacity,
                            it->count, sizeof *set->sorted));
    for (uint64_t i = 0; i < it->count; i++)
        set->sorted[i] = ref_read(set);
    qsort(set->sorted, it->count, sizeof *set->sorted, ref_compare);
    for (uint64_t i = 0; i < it->count; i++)
        if (i == 0 || set->sorted[i] != set->sorted[set->sorted_count - 1])
            set->sorted[set->sorted_count++] = set->sorted[i];
    return KD_OK;
}

kd_status kdi_posting_set_sort(kd_ctx *ctx, kdi_posting_set *set)
{
    if (set->count == 0)
        return KD_OK;
    qsort(set->postings, set->count, sizeof *set->postings, posting_compare);
    set->at = 0;
    return posting_begin(ctx, set);
}

kd_status kdi_posting_set_next(kd_ctx *ctx, void *object, kd_slice *out_key, uint64_t *out_ref,
                               bool *out_end)
{
    kdi_posting_set *set = object;
    while (set->at < set->count) {
        const posting *it = &set->postings[set->at];
        if (set->given < (it->is_unsorted ? set->sorted_count : it->count)) {
            *out_key = it->key;
            *out_ref = it->is_unsorted ? set->sorted[set->given] : ref_read(set);
            set->given++;
            *out_end = false;
            return KD_OK;
        }
        if (++set->at < set->count)
            KD_TRY(posting_begin(ctx, set));
    }
    *out_end = true;
    return KD_OK;
}
