/*
 * Items: what an inverted index holds of a value, and what a condition asks of it.
 *
 * An item is a short byte string, prefixed by the position of its column in the index:
 *
 *   jsonb_ops        'K' a key, or a string in an array; 'S' a string in an object; 'N' a number
 * (its ordered key, key.c); 'T', 'F', '0' true, false, null jsonb_path_ops   'H' and 4 bytes: a
 * hash of the keys that lead to a scalar, and of the scalar array_ops        'E' an element (its
 * ordered key); '0' a NULL among them; 'Z' no elements
 *
 * What is longer than 64 bytes stands as its letter in lower case and an 8-byte hash. Hashes are
 * stored, so they are part of the format: FNV-1a of 64 bits, finished by splitmix64.
 *
 * A query is a tree over items that every row which passes the condition satisfies. The converse
 * does not hold: whoever asks an index tests the condition on the rows that it gives.
 */
#ifndef KD_TYPES_ITEM_H
#define KD_TYPES_ITEM_H

#include "types/value.h"

/* How a column is taken apart. Stored in index definitions. */
typedef enum kd_item_class {
    KD_ITEMS_NONE = 0, /* It is not: the index is ordered. */
    KD_ITEMS_JSONB = 1,
    KD_ITEMS_JSONB_PATH = 2,
    KD_ITEMS_ARRAY = 3,
} kd_item_class;

enum { KD_ITEM_CLASS_LAST = KD_ITEMS_ARRAY, KD_ITEM_BYTES_MAX = 66 };

/* Keys, one after the other in a buffer. */
typedef struct kd_key_span {
    uint32_t start, size_bytes;
} kd_key_span;
typedef struct kd_key_list {
    kd_buffer bytes;
    kd_key_span *spans; /* In the buffer's arena. */
    size_t count, capacity;
} kd_key_list;

static inline kd_key_list kd_key_list_in(kd_arena *arena)
{
    return (kd_key_list){.bytes = kd_buffer_in(arena)};
}

static inline void kd_key_list_clear(kd_key_list *list)
{
    list->bytes.size_bytes = 0;
    list->count = 0;
}

static inline kd_slice kd_key_list_get(const kd_key_list *list, size_t index)
{
    const kd_key_span *span = &list->spans[index];
    return (kd_slice){list->bytes.data + span->start, span->size_bytes};
}

/* The key that was appended to `bytes` since it had `start` bytes. */
kd_status kd_key_list_end(kd_ctx *ctx, kd_key_list *list, size_t start) KD_MUST_CHECK;
/* Ascending, each once. */
void kd_key_list_sort(kd_key_list *list);

/* Adds the items of a value that is not NULL; not sorted, and some perhaps several times. */
kd_status kd_items_append(kd_ctx *ctx, kd_item_class what, uint8_t column, const kd_value *value,
                          kd_key_list *list) KD_MUST_CHECK;

/* --- Queries --- */

typedef enum kd_item_test {
    KD_ITEM_TEST_CONTAINS,     /* column @> value */
    KD_ITEM_TEST_CONTAINED,    /* column <@ value; arrays */
    KD_ITEM_TEST_OVERLAPS,     /* && */
    KD_ITEM_TEST_EQUAL,        /* = */
    KD_ITEM_TEST_HAS,          /* value = ANY (column) */
    KD_ITEM_TEST_EXISTS,       /* ? */
    KD_ITEM_TEST_EXISTS_ANY,   /* ?| */
    KD_ITEM_TEST_EXISTS_ALL,   /* ?& */
    KD_ITEM_TEST_PATH_EXISTS,  /* @? */
    KD_ITEM_TEST_PATH_MATCHES, /* @@ */
} kd_item_test;

typedef enum kd_item_node_kind {
    KD_ITEM_NODE_EVERY, /* Says nothing: any row may pass. */
    KD_ITEM_NODE_NO,    /* No row passes. */
    KD_ITEM_NODE_ITEM,
    KD_ITEM_NODE_AND,
    KD_ITEM_NODE_OR,
} kd_item_node_kind;

typedef struct kd_item_node kd_item_node;
struct kd_item_node {
    kd_item_node_kind kind;
    kd_slice item;
    size_t count, capacity;
    kd_item_node **children;
};

/* Whether the class can answer the test at all. */
bool kd_item_class_answers(kd_item_class what, kd_item_test test);
/* The tree of `column test value`; a NULL value passes no row. */
kd_status kd_item_query(kd_ctx *ctx, kd_arena *arena, kd_item_class what, uint8_t column,
                        kd_item_test test, const kd_value *value,
                        kd_item_node **out_node) KD_MUST_CHECK;
/* AND or OR of what was there and `child`: `*io_node` begins as NULL. */
kd_status kd_item_node_join(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                            kd_item_node *child, kd_item_node **io_node) KD_MUST_CHECK;

#endif
