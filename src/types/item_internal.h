/*
 * Single items: for item.c and the builders of queries.
 */
#ifndef KD_TYPES_ITEM_INTERNAL_H
#define KD_TYPES_ITEM_INTERNAL_H

#include "types/item.h"
#include "types/jsonb.h"

typedef enum kdi_item_letter {
    KDI_ITEM_KEY = 'K',
    KDI_ITEM_STRING = 'S',
    KDI_ITEM_NUMBER = 'N',
    KDI_ITEM_TRUE = 'T',
    KDI_ITEM_FALSE = 'F',
    KDI_ITEM_NULL = '0',
    KDI_ITEM_HASH = 'H',
    KDI_ITEM_ELEMENT = 'E',
    KDI_ITEM_EMPTY = 'Z',
} kdi_item_letter;

kd_status kdi_item_append(kd_ctx *ctx, uint8_t column, kdi_item_letter letter, kd_slice bytes,
                          kd_key_list *list) KD_MUST_CHECK;
kd_status kdi_item_append_element(kd_ctx *ctx, uint8_t column, kd_value element,
                                  kd_key_list *list) KD_MUST_CHECK;
/* A scalar of jsonb, as a member of an object or of an array. */
kd_status kdi_item_append_scalar(kd_ctx *ctx, uint8_t column, kd_slice stored, bool in_array,
                                 kd_key_list *list) KD_MUST_CHECK;

/* jsonb_path_ops: the state after one more key, and the item of a scalar there. */
enum { KDI_ITEM_PATH_START = 0 };
uint64_t kdi_item_path_step(uint64_t state, kd_slice key);
kd_status kdi_item_append_path(kd_ctx *ctx, uint8_t column, uint64_t state, kd_slice stored,
                               kd_key_list *list) KD_MUST_CHECK;

/* AND or OR of every key of the list from `first` on, joined to what was there. */
kd_status kdi_item_node_join_keys(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                                  const kd_key_list *list, size_t first,
                                  kd_item_node **io_node) KD_MUST_CHECK;
kd_status kdi_item_node_make(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                             kd_item_node **out_node) KD_MUST_CHECK;
/* What a path asks for: that it gives anything, or (`matches`) that it is true. */
kd_status kdi_item_path_query(kd_ctx *ctx, kd_arena *arena, kd_item_class what, uint8_t column,
                              kd_slice path, bool matches, kd_item_node **out_node) KD_MUST_CHECK;

#endif
