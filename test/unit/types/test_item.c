/*
 * Items of inverted indexes: whatever contains a value has the items that its query asks for.
 * Random documents and arrays are tested against the operators themselves.
 */
#include "test.h"

#include "types/array.h"
#include "types/item.h"
#include "types/jsonb.h"

#include <stdio.h>

enum { ROUNDS = 4000, DEPTH_MAX = 3 };

typedef struct fixture {
    kd_ctx ctx;
    kd_arena *arena;
    test_random random;
} fixture;

static fixture begin(uint64_t seed)
{
    fixture self = {.ctx = test_ctx(), .random = {seed}};
    self.arena = test_arena(&self.ctx);
    return self;
}

static uint32_t below(fixture *self, uint32_t bound)
{
    return (uint32_t)test_random_below(&self->random, bound);
}

/* --- Making documents ------------------------------------------------------------------------ */

static void scalar_write(fixture *self, kd_buffer *out)
{
    static const char *const scalars[] = {"1",     "1.0",   "2",     "-3.50", "null",  "true",
                                          "false", "\"a\"", "\"b\"", "\"\"",  "\"1\"", "1e3"};
    if (below(self, 12) == 0) {
        CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, '"'));
        uint32_t count = 60 + below(self, 10);
        for (uint32_t i = 0; i < count; i++)
            CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, 'x'));
        CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, '"'));
        return;
    }
    CHECK_STATUS(&self->ctx,
                 kd_buffer_append_text(&self->ctx, out,
                                       scalars[below(self, sizeof scalars / sizeof *scalars)]));
}

static void document_write(fixture *self, uint32_t depth, kd_buffer *out)
{
    uint32_t kind = depth == DEPTH_MAX ? 2 : below(self, 4);
    if (kind >= 2) {
        scalar_write(self, out);
        return;
    }
    uint32_t count = below(self, 4);
    CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, kind == 0 ? '{' : '['));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, ','));
        if (kind == 0)
            CHECK_STATUS(&self->ctx, kd_buffer_append_format(&self->ctx, out,
                                                             "\"%c\":", 'a' + (int)below(self, 4)));
        document_write(self, depth + 1, out);
    }
    CHECK_STATUS(&self->ctx, kd_buffer_append_byte(&self->ctx, out, kind == 0 ? '}' : ']'));
}

static kd_value document(fixture *self)
{
    kd_buffer text = kd_buffer_in(self->arena);
    kd_slice stored;
    document_write(self, 0, &text);
    CHECK_STATUS(&self->ctx,
                 kd_jsonb_parse(&self->ctx, self->arena, kd_buffer_slice(&text), &stored));
    return (kd_value){.type = kd_type_of(KD_TYPE_JSONB),
                      .as.str = kd_str_from(stored.data, stored.size_bytes)};
}

/* --- Asking ---------------------------------------------------------------------------------- */

static bool has_item(const kd_key_list *items, kd_slice item)
{
    for (size_t i = 0; i < items->count; i++)
        if (kd_slice_equal(kd_key_list_get(items, i), item))
            return true;
    return false;
}

static bool node_holds(const kd_item_node *node, const kd_key_list *items)
{
    bool is_and = node->kind == KD_ITEM_NODE_AND;
    if (node->kind == KD_ITEM_NODE_EVERY || node->kind == KD_ITEM_NODE_NO)
        return node->kind == KD_ITEM_NODE_EVERY;
    if (node->kind == KD_ITEM_NODE_ITEM)
        return has_item(items, node->item);
    for (size_t i = 0; i < node->count; i++)
        if (node_holds(node->children[i], items) != is_and)
            return !is_and;
    return is_and;
}

/* Whether the index would give the value for the question. */
static bool is_candidate(fixture *self, kd_item_class what, const kd_value *value,
                         kd_item_test test, const kd_value *question)
{
    kd_key_list items = kd_key_list_in(self->arena);
    kd_item_node *node;
    CHECK_STATUS(&self->ctx, kd_items_append(&self->ctx, what, 3, value, &items));
    kd_key_list_sort(&items);
    for (size_t i = 1; i < items.count; i++)
        CHECK(kd_slice_compare(kd_key_list_get(&items, i - 1), kd_key_list_get(&items, i)) < 0);
    for (size_t i = 0; i < items.count; i++) {
        CHECK(kd_key_list_get(&items, i).size_bytes <= KD_ITEM_BYTES_MAX);
        CHECK_EQ(kd_key_list_get(&items, i).data[0], 3);
    }
    CHECK_STATUS(&self->ctx,
                 kd_item_query(&self->ctx, self->arena, what, 3, test, question, &node));
    return node_holds(node, &items);
}

TEST(whatever_contains_a_document_has_its_items)
{
    fixture self = begin(1);
    uint32_t contained = 0, kept[2] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        kd_value a = document(&self), b = document(&self);
        bool contains;
        CHECK_STATUS(&self.ctx, kd_jsonb_contains(&self.ctx, kd_str_slice(&a.as.str),
                                                  kd_str_slice(&b.as.str), &contains));
        contained += contains;
        for (int i = 0; i < 2; i++) {
            kd_item_class what = i == 0 ? KD_ITEMS_JSONB : KD_ITEMS_JSONB_PATH;
            bool candidate = is_candidate(&self, what, &a, KD_ITEM_TEST_CONTAINS, &b);
            CHECK(candidate || !contains);
            kept[i] += candidate;
        }
        kd_arena_reset(self.arena);
    }
    /* And most that do not contain it do not. */
    CHECK(contained > ROUNDS / 50);
    CHECK(kept[0] < ROUNDS / 2);
    CHECK(kept[1] < ROUNDS / 2);
    kd_arena_destroy(self.arena);
}

TEST(whatever_has_a_key_has_its_item)
{
    fixture self = begin(2);
    static const char *const keys[] = {"a", "b", "", "1", "d", "nothing"};
    for (int round = 0; round < ROUNDS; round++) {
        kd_value a = document(&self);
        const char *key = keys[below(&self, sizeof keys / sizeof *keys)];
        kd_value text = kd_value_text(kd_slice_of(key));
        bool exists = kd_jsonb_exists(kd_str_slice(&a.as.str), kd_slice_of(key));
        CHECK(!exists || is_candidate(&self, KD_ITEMS_JSONB, &a, KD_ITEM_TEST_EXISTS, &text));
        kd_arena_reset(self.arena);
    }
    kd_arena_destroy(self.arena);
}

/* --- Arrays ---------------------------------------------------------------------------------- */

static kd_value array_of(fixture *self, const char *text)
{
    kd_type type = kd_type_of(KD_TYPE_NUMERIC);
    type.is_array = true;
    static const kd_text_settings settings = {.extra_float_digits = 1};
    kd_value value = {.type = type};
    CHECK_STATUS(&self->ctx, kd_array_parse(&self->ctx, self->arena, &settings, type,
                                            kd_slice_of(text), &value.as.str));
    return value;
}

TEST(arrays_are_found_by_their_elements)
{
    fixture self = begin(3);
    static const struct {
        const char *array, *question;
        kd_item_test test;
        bool expected;
    } cases[] = {
        {"{1,2.50}", "{2.5}", KD_ITEM_TEST_CONTAINS, true},
        {"{1,2}", "{3}", KD_ITEM_TEST_CONTAINS, false},
        {"{1,NULL}", "{1,NULL}", KD_ITEM_TEST_CONTAINS, false},
        {"{1}", "{}", KD_ITEM_TEST_CONTAINS, true},
        {"{}", "{1}", KD_ITEM_TEST_CONTAINED, true},
        {"{1,2}", "{1}", KD_ITEM_TEST_CONTAINED, true}, /* Tested again on the row. */
        {"{2}", "{1}", KD_ITEM_TEST_CONTAINED, false},
        {"{2}", "{}", KD_ITEM_TEST_CONTAINED, false},
        {"{1,2}", "{2,3}", KD_ITEM_TEST_OVERLAPS, true},
        {"{1,NULL}", "{NULL}", KD_ITEM_TEST_OVERLAPS, false},
        {"{1,2}", "{}", KD_ITEM_TEST_OVERLAPS, false},
        {"{}", "{}", KD_ITEM_TEST_EQUAL, true},
        {"{1}", "{}", KD_ITEM_TEST_EQUAL, false},
        {"{NULL}", "{NULL}", KD_ITEM_TEST_EQUAL, true},
        {"{1,1}", "{1.0,1}", KD_ITEM_TEST_EQUAL, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_note("%s and %s", cases[i].array, cases[i].question);
        kd_value array = array_of(&self, cases[i].array);
        kd_value question = array_of(&self, cases[i].question);
        CHECK_EQ(is_candidate(&self, KD_ITEMS_ARRAY, &array, cases[i].test, &question),
                 cases[i].expected);
    }
    kd_arena_destroy(self.arena);
}

TEST(null_is_contained_in_nothing)
{
    fixture self = begin(4);
    kd_value a = document(&self), null = kd_value_null(kd_type_of(KD_TYPE_JSONB));
    CHECK(!is_candidate(&self, KD_ITEMS_JSONB, &a, KD_ITEM_TEST_CONTAINS, &null));
    kd_arena_destroy(self.arena);
}
