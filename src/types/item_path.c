/*
 * What a jsonpath asks of an inverted index.
 *
 * Only what is certain: the keys on a path that has to give something, and the scalar that its end
 * is compared with for equality. Arrays are passed through, as in lax mode and by the items
 * themselves. What a method makes (size(), keyvalue() and others) is not in the document, so a path
 * is followed up to the first of them.
 */
#include "types/item_internal.h"

#include "types/jsonpath.h"

typedef kd_jsonpath_item step;

typedef struct builder {
    kd_arena *arena;
    kd_item_class what;
    uint8_t column;
} builder;

/* Where a path has come to. */
typedef struct end {
    uint64_t state;   /* jsonb_path_ops: of the keys up to here, */
    bool is_known;    /* where they are all told. */
    bool is_document; /* What stands here is part of the document. */
} end;

/* Recursion is bounded by the path parser's depth. */
static kd_status predicate_node(kd_ctx *ctx, const builder *b, const step *it, const end *current,
                                kd_item_node **out_node);

static kd_status key_join(kd_ctx *ctx, const builder *b, kd_slice key, kd_item_node **io_node)
{
    kd_key_list keys = kd_key_list_in(b->arena);
    KD_TRY(kdi_item_append(ctx, b->column, KDI_ITEM_KEY, key, &keys));
    return kdi_item_node_join_keys(ctx, b->arena, KD_ITEM_NODE_AND, &keys, 0, io_node);
}

static kd_status accessor_follow(kd_ctx *ctx, const builder *b, const step *it, end *at,
                                 kd_item_node **io_node)
{
    kd_item_node *inner;
    switch (it->kind) {
    case KD_JSONPATH_KEY:
        if (b->what == KD_ITEMS_JSONB)
            return key_join(ctx, b, it->text, io_node);
        at->state = kdi_item_path_step(at->state, it->text);
        return KD_OK;
    case KD_JSONPATH_ANY_ELEMENT:
    case KD_JSONPATH_INDEX:
        return KD_OK;
    case KD_JSONPATH_ANY_KEY:
    case KD_JSONPATH_ANY:
        at->is_known = false;
        return KD_OK;
    case KD_JSONPATH_FILTER:
        KD_TRY(predicate_node(ctx, b, it->left, at, &inner));
        return kd_item_node_join(ctx, b->arena, KD_ITEM_NODE_AND, inner, io_node);
    default:
        at->is_document = false;
        return KD_OK;
    }
}

/* What has to be there for the path to give anything. */
static kd_status path_follow(kd_ctx *ctx, const builder *b, const step *it, const end *current,
                             end *out_end, kd_item_node **io_node)
{
    *out_end = (end){0};
    if (it->kind == KD_JSONPATH_ROOT)
        *out_end = (end){KDI_ITEM_PATH_START, true, true};
    else if (it->kind == KD_JSONPATH_CURRENT)
        *out_end = *current;
    for (it = it->next; it != NULL && out_end->is_document; it = it->next)
        KD_TRY(accessor_follow(ctx, b, it, out_end, io_node));
    return KD_OK;
}

static kd_status scalar_join(kd_ctx *ctx, const builder *b, kd_slice json, const end *at,
                             kd_item_node **io_node)
{
    kd_key_list keys = kd_key_list_in(b->arena);
    kd_item_node *node = NULL;
    if (b->what == KD_ITEMS_JSONB_PATH) {
        if (!at->is_known)
            return KD_OK;
        KD_TRY(kdi_item_append_path(ctx, b->column, at->state, json, &keys));
    } else {
        /* It may be a member of an object or an element of an array. */
        KD_TRY(kdi_item_append_scalar(ctx, b->column, json, false, &keys));
        KD_TRY(kdi_item_append_scalar(ctx, b->column, json, true, &keys));
        kd_key_list_sort(&keys);
    }
    KD_TRY(kdi_item_node_join_keys(ctx, b->arena, KD_ITEM_NODE_OR, &keys, 0, &node));
    return kd_item_node_join(ctx, b->arena, KD_ITEM_NODE_AND, node, io_node);
}

static bool is_literal(const step *it)
{
    return it->kind == KD_JSONPATH_LITERAL && it->next == NULL;
}

static kd_status comparison_node(kd_ctx *ctx, const builder *b, const step *it, const end *current,
                                 kd_item_node **io_node)
{
    const step *sides[2] = {it->left, it->right};
    for (int i = 0; i < 2; i++) {
        end at;
        if (sides[i] == NULL || is_literal(sides[i]))
            continue;
        KD_TRY(path_follow(ctx, b, sides[i], current, &at, io_node));
        const step *other = sides[1 - i];
        if (it->kind == KD_JSONPATH_EQUAL && at.is_document && is_literal(other))
            KD_TRY(scalar_join(ctx, b, other->json, &at, io_node));
    }
    return KD_OK;
}

/* What has to be there for the predicate to be true; `*io_node` stays NULL where nothing is known.
 */
static kd_status predicate_join(kd_ctx *ctx, const builder *b, const step *it, const end *current,
                                kd_item_node **io_node)
{
    kd_item_node *sides[2];
    end at;
    switch (it->kind) {
    case KD_JSONPATH_AND:
    case KD_JSONPATH_OR:
        KD_TRY(predicate_node(ctx, b, it->left, current, &sides[0]));
        KD_TRY(predicate_node(ctx, b, it->right, current, &sides[1]));
        *io_node = sides[0];
        return kd_item_node_join(ctx, b->arena,
                                 it->kind == KD_JSONPATH_AND ? KD_ITEM_NODE_AND : KD_ITEM_NODE_OR,
                                 sides[1], io_node);
    case KD_JSONPATH_EXISTS:
        return path_follow(ctx, b, it->left, current, &at, io_node);
    case KD_JSONPATH_EQUAL:
    case KD_JSONPATH_NOT_EQUAL:
    case KD_JSONPATH_LESS:
    case KD_JSONPATH_GREATER:
    case KD_JSONPATH_LESS_EQUAL:
    case KD_JSONPATH_GREATER_EQUAL:
        return comparison_node(ctx, b, it, current, io_node);
    case KD_JSONPATH_STARTS_WITH:
    case KD_JSONPATH_LIKE_REGEX:
        return path_follow(ctx, b, it->left, current, &at, io_node);
    default:
        return KD_OK; /* Not, "is unknown": what is missing may make them true. */
    }
}

static kd_status predicate_node(kd_ctx *ctx, const builder *b, const step *it, const end *current,
                                kd_item_node **out_node)
{
    *out_node = NULL;
    KD_TRY(predicate_join(ctx, b, it, current, out_node));
    return *out_node != NULL ? KD_OK
                             : kdi_item_node_make(ctx, b->arena, KD_ITEM_NODE_EVERY, out_node);
}

kd_status kdi_item_path_query(kd_ctx *ctx, kd_arena *arena, kd_item_class what, uint8_t column,
                              kd_slice path, bool matches, kd_item_node **out_node)
{
    const builder b = {.arena = arena, .what = what, .column = column};
    const end root = {KDI_ITEM_PATH_START, true, true};
    kd_jsonpath parsed;
    end at;
    *out_node = NULL;
    KD_TRY(kd_jsonpath_parse(ctx, arena, path, &parsed));
    bool is_path = parsed.root->kind == KD_JSONPATH_ROOT;
    if (matches && !is_path)
        return predicate_node(ctx, &b, parsed.root, &root, out_node);
    /* A predicate always gives something: its truth. */
    if (is_path)
        KD_TRY(path_follow(ctx, &b, parsed.root, &root, &at, out_node));
    return *out_node != NULL ? KD_OK : kdi_item_node_make(ctx, arena, KD_ITEM_NODE_EVERY, out_node);
}
