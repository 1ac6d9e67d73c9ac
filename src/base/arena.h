/*
 * Arenas: memory that lives exactly as long as something the reader can name.
 *
 *     process > database > session > transaction > statement > batch
 *
 * Every arena has a parent and a byte budget. Destroying or resetting an arena
 * releases its children, then runs its cleanups newest first, then frees its
 * chunks. Nothing in an arena is freed one object at a time. There is no
 * "current" arena: the lifetime of an allocation is always written at the call.
 *
 * An arena belongs to one thread at a time. Worker threads each get a child of
 * the statement's arena, created before they start and destroyed after they are
 * joined; the budget of the parent is the only thing they share.
 */
#ifndef KD_BASE_ARENA_H
#define KD_BASE_ARENA_H

#include "base/heap.h"

typedef struct kd_arena kd_arena;

/* No budget of its own: only its ancestors' hold. */
#define KD_ARENA_UNLIMITED SIZE_MAX

/* `name` must be a literal: memory reports and limit errors show it. `parent` may be NULL. */
kd_arena *kd_arena_create(kd_ctx *ctx, kd_arena *parent, const char *name,
                          size_t budget_bytes) KD_MUST_CHECK;
/* From now on the arena and its descendants count in the account too, which outlives it. The arena
 * has just been made. */
void kd_arena_charge_to(kd_arena *arena, kd_account *account);
void kd_arena_reset(kd_arena *arena);
void kd_arena_destroy(kd_arena *arena); /* NULL is allowed. */

/* Zeroed and 16-byte aligned. NULL means failure, already recorded in `ctx`. A size of 0 is
 * allowed and gives a pointer that may not be read. */
void *kd_alloc(kd_ctx *ctx, kd_arena *arena, size_t size_bytes) KD_MUST_CHECK;
/* As kd_alloc, but not zeroed: for buffers that are overwritten at once. */
void *kd_alloc_raw(kd_ctx *ctx, kd_arena *arena, size_t size_bytes) KD_MUST_CHECK;
/* `count * item_bytes` with the multiplication checked. */
void *kd_alloc_array(kd_ctx *ctx, kd_arena *arena, size_t count, size_t item_bytes) KD_MUST_CHECK;
#define KD_NEW(ctx, arena, type) ((type *)kd_alloc((ctx), (arena), sizeof(type)))
#define KD_NEW_ARRAY(ctx, arena, type, count) \
    ((type *)kd_alloc_array((ctx), (arena), (count), sizeof(type)))

/* A NUL-terminated copy of `size_bytes` bytes. */
char *kd_copy_text(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size_bytes) KD_MUST_CHECK;
char *kd_format_text(kd_ctx *ctx, kd_arena *arena, const char *format, ...) KD_MUST_CHECK
    __attribute__((format(printf, 3, 4)));

/* Makes room for `needed` items in an array that grows inside an arena (the old copy stays in the
 * arena until it ends). New room is zeroed. */
kd_status kd_array_reserve(kd_ctx *ctx, kd_arena *arena, void **items, size_t *capacity,
                           size_t needed, size_t item_bytes) KD_MUST_CHECK;
/* Appends one zeroed item and gives its address. Usage:
 *     KD_PUSH(ctx, arena, list->items, list->count, list->capacity, out_item) */
#define KD_PUSH(ctx, arena, items, count, capacity, out_item)                                \
    ((*(out_item) = NULL), (kd_array_reserve((ctx), (arena), (void **)&(items), &(capacity), \
                                             (size_t)(count) + 1, sizeof *(items)) == KD_OK) \
                               ? (*(out_item) = &(items)[(count)++], KD_OK)                  \
                               : KD_NOMEM)

/* Runs `fn(object)` when the arena is reset or destroyed. */
kd_status kd_arena_defer(kd_ctx *ctx, kd_arena *arena, void (*fn)(void *object),
                         void *object) KD_MUST_CHECK;

size_t kd_arena_used_bytes(const kd_arena *arena);

#endif
