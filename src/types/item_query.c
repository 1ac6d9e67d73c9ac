/*
 * What conditions ask of an inverted index, as trees over items.
 */
#include "types/item_internal.h"

#include "types/array.h"

#include <assert.h>

bool kd_item_class_answers(kd_item_class what, kd_item_test test)
{
    switch (test) {
    case KD_ITEM_TEST_CONTAINS:
        return what != KD_ITEMS_NONE;
    case KD_ITEM_TEST_CONTAINED:
    case KD_ITEM_TEST_OVERLAPS:
    case KD_ITEM_TEST_EQUAL:
    case KD_ITEM_TEST_HAS:
        return what == KD_ITEMS_ARRAY;
    case KD_ITEM_TEST_EXISTS:
    case KD_ITEM_TEST_EXISTS_ANY:
    case KD_ITEM_TEST_EXISTS_ALL:
        return what == KD_ITEMS_JSONB;
    case KD_ITEM_TEST_PATH_EXISTS:
    case KD_ITEM_TEST_PATH_MATCHES:
        return what == KD_ITEMS_JSONB || what == KD_ITEMS_JSONB_PATH;
    }
    return false;
}

/* --- Nodes ----------------------------------------------------------------------------------- */

kd_status kdi_item_node_make(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                             kd_item_node **out_node)
{
    *out_node = KD_NEW(ctx, arena, kd_item_node);
    if (*out_node == NULL)
        return KD_NOMEM;
    (*out_node)->kind = kind;
    return KD_OK;
}

static kd_status child_add(kd_ctx *ctx, kd_arena *arena, kd_item_node *node, kd_item_node *child)
{
    kd_item_node **slot;
    KD_TRY(KD_PUSH(ctx, arena, node->children, node->count, node->capacity, &slot));
    *slot = child;
    return KD_OK;
}

kd_status kd_item_node_join(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                            kd_item_node *child, kd_item_node **io_node)
{
    assert(kind == KD_ITEM_NODE_AND || kind == KD_ITEM_NODE_OR);
    kd_item_node *node = *io_node;
    /* In a conjunction "every" says nothing and "no" everything, in a disjunction the converse. */
    kd_item_node_kind nothing = kind == KD_ITEM_NODE_AND ? KD_ITEM_NODE_EVERY : KD_ITEM_NODE_NO;
    kd_item_node_kind everything = kind == KD_ITEM_NODE_AND ? KD_ITEM_NODE_NO : KD_ITEM_NODE_EVERY;
    if (node == NULL || node->kind == nothing || child->kind == everything) {
        *io_node = child;
        return KD_OK;
    }
    if (child->kind == nothing || node->kind == everything)
        return KD_OK;
    if (node->kind != kind) {
        KD_TRY(kdi_item_node_make(ctx, arena, kind, io_node));
        KD_TRY(child_add(ctx, arena, *io_node, node));
    }
    return child_add(ctx, arena, *io_node, child);
}

kd_status kdi_item_node_join_keys(kd_ctx *ctx, kd_arena *arena, kd_item_node_kind kind,
                                  const kd_key_list *list, size_t first, kd_item_node **io_node)
{
    for (size_t i = first; i < list->count; i++) {
        kd_item_node *leaf;
        kd_slice key = kd_key_list_get(list, i);
        KD_TRY(kdi_item_node_make(ctx, arena, KD_ITEM_NODE_ITEM, &leaf));
        leaf->item.data = kd_copy_text(ctx, arena, key.data, key.size_bytes);
        leaf->item.size_bytes = key.size_bytes;
        if (leaf->item.data == NULL)
            return KD_NOMEM;
        KD_TRY(kd_item_node_join(ctx, arena, kind, leaf, io_node));
    }
    return KD_OK;
}

/* --- Conditions ------------------------------------------------------------------------------ */

typedef struct builder {
    kd_arena *arena;
    kd_item_class what;
    uint8_t column;
    kd_key_list keys;
} builder;

/* All of the value's items, or some of them; `if_none` when it has none. */
static kd_status keys_node(kd_ctx *ctx, builder *b, kd_item_node_kind kind,
                           kd_item_node_kind if_none, kd_item_node **out_node)
{
    *out_node = NULL;
    kd_key_list_sort(&b->keys);
    KD_TRY(kdi_item_node_join_keys(ctx, b->arena, kind, &b->keys, 0, out_node));
    return *out_node != NULL ? KD_OK : kdi_item_node_make(ctx, b->arena, if_none, out_node);
}

static kd_status json_contains(kd_ctx *ctx, builder *b, const kd_value *value,
                               kd_item_node **out_node)
{
    KD_TRY(kd_items_append(ctx, b->what, b->column, value, &b->keys));
    return keys_node(ctx, b, KD_ITEM_NODE_AND, KD_ITEM_NODE_EVERY, out_node);
}

/* ?, ?| and ?&: the keys are texts. NULLs among them are passed over. */
static kd_status key_exists(kd_ctx *ctx, builder *b, kd_item_test test, const kd_value *value,
                            kd_item_node **out_node)
{
    bool is_all = test == KD_ITEM_TEST_EXISTS_ALL;
    kd_slice bytes = kd_str_slice(&value->as.str);
    if (test == KD_ITEM_TEST_EXISTS) {
        KD_TRY(kdi_item_append(ctx, b->column, KDI_ITEM_KEY, bytes, &b->keys));
    } else {
        kd_array array;
        KD_TRY(kd_array_open(ctx, value->type, bytes, &array));
        for (uint32_t i = 0; i < array.count; i++) {
            kd_value element = kd_array_get(&array, i);
            if (!element.is_null)
                KD_TRY(kdi_item_append(ctx, b->column, KDI_ITEM_KEY, kd_str_slice(&element.as.str),
                                       &b->keys));
        }
    }
    return keys_node(ctx, b, is_all ? KD_ITEM_NODE_AND : KD_ITEM_NODE_OR,
                     is_all ? KD_ITEM_NODE_EVERY : KD_ITEM_NODE_NO, out_node);
}

/* The elements of an array; NULLs among them are equal to nothing but each other. */
static kd_status array_query(kd_ctx *ctx, builder *b, kd_item_test test, const kd_value *value,
                             kd_item_node **out_node)
{
    kd_array array;
    bool has_null = false;
    KD_TRY(kd_array_open(ctx, value->type, kd_str_slice(&value->as.str), &array));
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        has_null |= element.is_null;
        if (!element.is_null || test == KD_ITEM_TEST_EQUAL)
            KD_TRY(kdi_item_append_element(ctx, b->column, element, &b->keys));
    }
    if (test == KD_ITEM_TEST_CONTAINS && has_null)
        return kdi_item_node_make(ctx, b->arena, KD_ITEM_NODE_NO, out_node);
    if (test == KD_ITEM_TEST_CONTAINED || (test == KD_ITEM_TEST_EQUAL && array.count == 0))
        KD_TRY(kdi_item_append(ctx, b->column, KDI_ITEM_EMPTY, (kd_slice){"", 0}, &b->keys));
    bool is_any = test == KD_ITEM_TEST_CONTAINED || test == KD_ITEM_TEST_OVERLAPS;
    return keys_node(ctx, b, is_any ? KD_ITEM_NODE_OR : KD_ITEM_NODE_AND,
                     is_any ? KD_ITEM_NODE_NO : KD_ITEM_NODE_EVERY, out_node);
}

kd_status kd_item_query(kd_ctx *ctx, kd_arena *arena, kd_item_class what, uint8_t column,
                        kd_item_test test, const kd_value *value, kd_item_node **out_node)
{
    builder b = {.arena = arena, .what = what, .column = column, .keys = kd_key_list_in(arena)};
    assert(kd_item_class_answers(what, test));
    *out_node = NULL;
    if (value->is_null)
        return kdi_item_node_make(ctx, arena, KD_ITEM_NODE_NO, out_node);
    switch (test) {
    case KD_ITEM_TEST_CONTAINS:
        if (what != KD_ITEMS_ARRAY)
            return json_contains(ctx, &b, value, out_node);
        break;
    case KD_ITEM_TEST_EXISTS:
    case KD_ITEM_TEST_EXISTS_ANY:
    case KD_ITEM_TEST_EXISTS_ALL:
        return key_exists(ctx, &b, test, value, out_node);
    case KD_ITEM_TEST_HAS:
        KD_TRY(kdi_item_append_element(ctx, column, *value, &b.keys));
        return keys_node(ctx, &b, KD_ITEM_NODE_AND, KD_ITEM_NODE_NO, out_node);
    case KD_ITEM_TEST_PATH_EXISTS:
    case KD_ITEM_TEST_PATH_MATCHES:
        return kdi_item_path_query(ctx, arena, what, column, kd_str_slice(&value->as.str),
                                   test == KD_ITEM_TEST_PATH_MATCHES, out_node);
    case KD_ITEM_TEST_CONTAINED:
    case KD_ITEM_TEST_OVERLAPS:
    case KD_ITEM_TEST_EQUAL:
        break;
    }
    return array_query(ctx, &b, test, value, out_node);
}
