/*
 * Arena implementation: a chain of chunks, a bump pointer, a budget that is
 * charged to every ancestor, and a stack of cleanups.
 *
 * Worker threads allocate from arenas of their own under one statement arena, so
 * used_bytes of an ancestor is the one field that several threads change.
 */
#include "base/arena.h"
#include "base/sanitizer.h"
#include "base/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#if KD_ASAN
#include <sanitizer/asan_interface.h>
#define kdi_poison(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define kdi_unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { KDI_REDZONE_BYTES = 16 };
#else
#define kdi_poison(p, n) ((void)0)
#define kdi_unpoison(p, n) ((void)0)
enum { KDI_REDZONE_BYTES = 0 };
#endif

enum { KDI_ALIGN_BYTES = 16, KDI_CHUNK_BYTES = 4096, KDI_CHUNK_BYTES_MAX = 1 << 20 };

typedef struct chunk {
    struct chunk *next;
    size_t size_bytes; /* Including this header. */
    size_t used_bytes; /* Including this header. */
    size_t padding;    /* Keeps the payload 16-byte aligned. */
} chunk;
_Static_assert(sizeof(chunk) % KDI_ALIGN_BYTES == 0, "payload must start aligned");

typedef struct cleanup {
    struct cleanup *next;
    void (*fn)(void *object);
    void *object;
} cleanup;

struct kd_arena {
    kd_world *world;
    const char *name;
    kd_arena *parent;
    kd_arena *first_child;
    kd_arena *next_sibling;
    chunk *chunks;           /* Newest first; the oldest one holds this struct. */
    size_t next_chunk_bytes; /* Doubles up to a limit, so that large arenas have few chunks. */
    cleanup *cleanups;
    atomic_size_t used_bytes; /* Chunks of this arena and of all its descendants. */
    size_t budget_bytes;
    kd_account *account; /* Counts the same; NULL: none does. */
};

static size_t align_up(size_t size_bytes)
{
    return (size_bytes + KDI_ALIGN_BYTES - 1) & ~(size_t)(KDI_ALIGN_BYTES - 1);
}

/* Refunds `size_bytes` from `arena` up to, but not including, `end`. */
static void budget_refund(kd_arena *arena, const kd_arena *end, size_t size_bytes)
{
    for (; arena != end; arena = arena->parent) {
        size_t before =
            atomic_fetch_sub_explicit(&arena->used_bytes, size_bytes, memory_order_relaxed);
        assert(before >= size_bytes);
        (void)before;
        if (arena->account != NULL)
            kd_account_subtract(arena->account, size_bytes);
    }
}

/* Charges the arena and every ancestor, or none of them. */
static bool budget_charge(kd_arena *arena, size_t size_bytes)
{
    for (kd_arena *level = arena; level != NULL; level = level->parent) {
        size_t before =
            atomic_fetch_add_explicit(&level->used_bytes, size_bytes, memory_order_relaxed);
        if (level->account != NULL)
            kd_account_add(level->account, size_bytes);
        if (size_bytes > level->budget_bytes || before > level->budget_bytes - size_bytes) {
            budget_refund(arena, level->parent, size_bytes);
            return false;
        }
    }
    return true;
}

/*
 * Asked on every allocation, not on every chunk: most allocations are served
 * from a chunk already there, and a sweep that could only fail the others would
 * leave their error paths untested.
 */
static bool fault_due(kd_world *world)
{
    return world->allocation_fails != NULL && world->allocation_fails(world);
}

static chunk *chunk_create(kd_world *world, size_t size_bytes)
{
    chunk *new_chunk = world->memory_alloc(world, size_bytes);
    if (new_chunk == NULL)
        return NULL;
    *new_chunk = (chunk){.size_bytes = size_bytes, .used_bytes = sizeof(chunk)};
    kdi_poison(new_chunk + 1, size_bytes - sizeof(chunk));
    return new_chunk;
}

static void *chunk_take(chunk *from, size_t size_bytes)
{
    assert(size_bytes % KDI_ALIGN_BYTES == 0);
    if (size_bytes + KDI_REDZONE_BYTES > from->size_bytes - from->used_bytes)
        return NULL;
    void *memory = (char *)from + from->used_bytes;
    from->used_bytes += size_bytes + KDI_REDZONE_BYTES;
    kdi_unpoison(memory, size_bytes);
    return memory;
}

kd_arena *kd_arena_create(kd_ctx *ctx, kd_arena *parent, const char *name, size_t budget_bytes)
{
    chunk *first = NULL;
    if (!fault_due(ctx->world) && budget_charge(parent, KDI_CHUNK_BYTES)) {
        first = chunk_create(ctx->world, KDI_CHUNK_BYTES);
        if (first == NULL)
            budget_refund(parent, NULL, KDI_CHUNK_BYTES);
    }
    if (first == NULL) {
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "no memory to create arena \"%s\"", name);
        return NULL;
    }
    kd_arena *arena = chunk_take(first, align_up(sizeof(kd_arena)));
    assert(arena != NULL);
    *arena = (kd_arena){.world = ctx->world,
                        .name = name,
                        .parent = parent,
                        .chunks = first,
                        .next_chunk_bytes = KDI_CHUNK_BYTES,
                        .used_bytes = first->size_bytes,
                        .budget_bytes = budget_bytes};
    if (parent != NULL) {
        arena->next_sibling = parent->first_child;
        parent->first_child = arena;
    }
    return arena;
}

/*
 * A new chunk is twice the last one, so that large arenas have few chunks; a
 * request that would waste most of it gets a chunk of just its size. Near the
 * budget the doubled chunk may not fit where the request alone would.
 */
static void *grow_and_take(kd_arena *arena, size_t rounded_bytes)
{
    size_t needed_bytes = sizeof(chunk) + rounded_bytes + KDI_REDZONE_BYTES;
    size_t size_bytes = arena->next_chunk_bytes * 2;
    if (size_bytes > KDI_CHUNK_BYTES_MAX)
        size_bytes = KDI_CHUNK_BYTES_MAX;
    if (size_bytes < needed_bytes)
        size_bytes = needed_bytes;
    if (!budget_charge(arena, size_bytes)) {
        size_bytes = needed_bytes;
        if (!budget_charge(arena, size_bytes))
            return NULL;
    }
    chunk *new_chunk = chunk_create(arena->world, size_bytes);
    if (new_chunk == NULL) {
        budget_refund(arena, NULL, size_bytes);
        return NULL;
    }
    if (size_bytes <= KDI_CHUNK_BYTES_MAX && size_bytes > arena->next_chunk_bytes)
        arena->next_chunk_bytes = size_bytes;
    new_chunk->next = arena->chunks;
    arena->chunks = new_chunk;
    return chunk_take(new_chunk, rounded_bytes);
}

void *kd_alloc_raw(kd_ctx *ctx, kd_arena *arena, size_t size_bytes)
{
    assert(arena != NULL);

    void *memory = NULL;
    size_t rounded_bytes = align_up(size_bytes + (size_bytes == 0));
    if (rounded_bytes >= size_bytes && size_bytes < SIZE_MAX / 4 && !fault_due(arena->world)) {
        memory = chunk_take(arena->chunks, rounded_bytes);
        if (memory == NULL)
            memory = grow_and_take(arena, rounded_bytes);
    }
    if (memory == NULL)
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "arena \"%s\" cannot grow by %zu bytes (%zu used)",
                      arena->name, size_bytes, kd_arena_used_bytes(arena));
    return memory;
}

void *kd_alloc(kd_ctx *ctx, kd_arena *arena, size_t size_bytes)
{
    void *memory = kd_alloc_raw(ctx, arena, size_bytes);
    if (memory != NULL)
        memset(memory, 0, size_bytes);
    return memory;
}

void *kd_alloc_array(kd_ctx *ctx, kd_arena *arena, size_t count, size_t item_bytes)
{
    size_t size_bytes;
    if (__builtin_mul_overflow(count, item_bytes, &size_bytes))
        size_bytes = SIZE_MAX;
    return kd_alloc(ctx, arena, size_bytes);
}

char *kd_copy_text(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size_bytes)
{
    char *copy = kd_alloc_raw(ctx, arena, size_bytes + 1);
    if (copy == NULL)
        return NULL;
    if (size_bytes > 0)
        memcpy(copy, text, size_bytes);
    copy[size_bytes] = '\0';
    return copy;
}

char *kd_format_text(kd_ctx *ctx, kd_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    char *text = kd_alloc_raw(ctx, arena, (size_t)length + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

kd_status kd_array_reserve(kd_ctx *ctx, kd_arena *arena, void **items, size_t *capacity,
                           size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return KD_OK;
    size_t new_capacity = *capacity * 2 > needed ? *capacity * 2 : needed;
    if (new_capacity < 8)
        new_capacity = 8;
    void *grown = kd_alloc_array(ctx, arena, new_capacity, item_bytes);
    if (grown == NULL)
        return KD_NOMEM;
    if (*capacity > 0)
        memcpy(grown, *items, *capacity * item_bytes);
    *items = grown;
    *capacity = new_capacity;
    return KD_OK;
}

kd_status kd_arena_defer(kd_ctx *ctx, kd_arena *arena, void (*fn)(void *object), void *object)
{
    cleanup *entry = KD_NEW(ctx, arena, cleanup);
    if (entry == NULL)
        return KD_NOMEM;
    *entry = (cleanup){.next = arena->cleanups, .fn = fn, .object = object};
    arena->cleanups = entry;
    return KD_OK;
}

void kd_arena_charge_to(kd_arena *arena, kd_account *account)
{
    assert(arena->account == NULL);
    arena->account = account;
    kd_account_add(account, kd_arena_used_bytes(arena));
}

/* Frees everything but the oldest chunk, which holds the arena itself. */
void kd_arena_reset(kd_arena *arena)
{
    while (arena->first_child != NULL)
        kd_arena_destroy(arena->first_child);

    while (arena->cleanups != NULL) {
        cleanup *entry = arena->cleanups;
        arena->cleanups = entry->next;
        entry->fn(entry->object);
    }

    while (arena->chunks->next != NULL) {
        chunk *old = arena->chunks;
        arena->chunks = old->next;
        budget_refund(arena, NULL, old->size_bytes);
        kdi_unpoison(old, old->size_bytes);
        arena->world->memory_free(arena->world, old, old->size_bytes);
    }

    /* An arena that is reset for every batch would end at the largest chunks, which the system maps
     * and unmaps, whatever little it needs. */
    arena->next_chunk_bytes = KDI_CHUNK_BYTES;
    chunk *first = arena->chunks;
    size_t kept_bytes = sizeof(chunk) + align_up(sizeof(kd_arena)) + KDI_REDZONE_BYTES;
    first->used_bytes = kept_bytes;
    kdi_poison((char *)first + kept_bytes, first->size_bytes - kept_bytes);
}

static void unlink_from_parent(kd_arena *arena)
{
    kd_arena **link = &arena->parent->first_child;
    while (*link != arena)
        link = &(*link)->next_sibling;
    *link = arena->next_sibling;
}

void kd_arena_destroy(kd_arena *arena)
{
    if (arena == NULL)
        return;
    kd_arena_reset(arena);
    if (arena->parent != NULL)
        unlink_from_parent(arena);
    kd_world *world = arena->world;
    chunk *first = arena->chunks;
    budget_refund(arena, NULL, first->size_bytes);
    kdi_unpoison(first, first->size_bytes);
    world->memory_free(world, first, first->size_bytes);
}

size_t kd_arena_used_bytes(const kd_arena *arena)
{
    return atomic_load_explicit(&arena->used_bytes, memory_order_relaxed);
}
