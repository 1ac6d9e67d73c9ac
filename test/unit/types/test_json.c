/*
 * JSON: the public parsing suite (y_ accepted, n_ refused, i_ no crash), jsonb's round trip and its
 * operations, damaged jsonb refused.
 */
#include "test.h"

#include "types/jsonb.h"

#include <string.h>

typedef struct suite {
    kd_arena *arena;
    int accepted;
    int refused;
} suite;

static kd_status file_visit(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    suite *self = object;
    const char *name = entry->name;
    if (strlen(name) < 7 || name[1] != '_' || entry->is_directory)
        return KD_OK;
    char *path = kd_format_text(ctx, self->arena, "%s/%s", KD_JSON_SUITE, name);
    kd_file *file;
    uint64_t size_bytes;
    size_t read_bytes;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(ctx, ctx->world->file_size(ctx, file, &size_bytes));
    char *bytes = kd_alloc_raw(ctx, self->arena, size_bytes);
    CHECK(bytes != NULL);
    CHECK_STATUS(ctx, ctx->world->file_read(ctx, file, 0, bytes, size_bytes, &read_bytes));
    ctx->world->file_close(ctx->world, file);
    kd_slice text = {bytes, read_bytes};
    kd_status status = kd_json_check(ctx, text);
    kd_error_clear(ctx);
    test_note("%s", name);
    if (name[0] == 'y')
        CHECK(status == KD_OK);
    if (name[0] == 'n')
        CHECK(status != KD_OK);
    self->accepted += name[0] == 'y';
    self->refused += name[0] == 'n';
    kd_slice stored;
    kd_status binary_status = kd_jsonb_parse(ctx, self->arena, text, &stored);
    kd_error_clear(ctx);
    if (name[0] == 'n')
        CHECK(binary_status != KD_OK);
    if (binary_status == KD_OK)
        CHECK_STATUS(ctx, kd_jsonb_check(ctx, stored));
    return KD_OK;
}

TEST(json_parsing_suite_passes)
{
    kd_ctx ctx = test_ctx();
    suite self = {.arena = test_arena(&ctx)};
    bool exists;
    CHECK_STATUS(&ctx, ctx.world->path_exists(&ctx, KD_JSON_SUITE, &exists));
    if (!exists)
        TEST_SKIP("the JSON suite is not on this machine");
    CHECK_STATUS(&ctx, ctx.world->directory_list(&ctx, KD_JSON_SUITE, file_visit, &self));
    CHECK(self.accepted > 90);
    CHECK(self.refused > 180);
    kd_arena_destroy(self.arena);
}

TEST(deep_nesting_is_refused_without_recursion)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    size_t size = 100000;
    char *text = kd_alloc_raw(&ctx, arena, size);
    memset(text, '[', size);
    kd_slice out;
    CHECK_FAILS(&ctx, kd_json_check(&ctx, (kd_slice){text, size}), "54001");
    CHECK_FAILS(&ctx, kd_jsonb_parse(&ctx, arena, (kd_slice){text, size}, &out), "54001");
    memset(text + 5000, ']', 5000);
    CHECK_STATUS(&ctx, kd_json_check(&ctx, (kd_slice){text, 10000}));
    kd_arena_destroy(arena);
}

static kd_slice jsonb_of(kd_ctx *ctx, kd_arena *arena, const char *text)
{
    kd_slice stored;
    CHECK_STATUS(ctx, kd_jsonb_parse(ctx, arena, kd_slice_of(text), &stored));
    CHECK_STATUS(ctx, kd_jsonb_check(ctx, stored));
    return stored;
}

static void text_check(kd_ctx *ctx, kd_arena *arena, kd_slice stored, const char *expected)
{
    kd_buffer text = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_jsonb_format(ctx, stored, &text));
    CHECK_TEXT(text.data, expected);
}

TEST(jsonb_is_read_changed_and_written)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_slice stored =
        jsonb_of(&ctx, arena,
                 "{\"bb\":[1,2.50,{\"x\":null}],\"a\":\"\\u00e9\\n\",\"a\":12345678901234567890}");
    text_check(&ctx, arena, stored,
               "{\"a\": 12345678901234567890, \"bb\": [1, 2.50, {\"x\": null}]}");
    kd_slice found;
    const kd_slice path[] = {KD_SLICE("bb"), KD_SLICE("-1"), KD_SLICE("x")};
    CHECK(kd_jsonb_get_path(stored, path, 3, &found));
    CHECK_TEXT(kd_jsonb_typeof(found), "null");
    CHECK(!kd_jsonb_get_field(stored, KD_SLICE("c"), &found));
    CHECK(kd_jsonb_exists(stored, KD_SLICE("bb")));
    kd_slice changed;
    CHECK_STATUS(&ctx, kd_jsonb_set(&ctx, arena, stored, path, 2, jsonb_of(&ctx, arena, "true"),
                                    true, &changed));
    text_check(&ctx, arena, changed, "{\"a\": 12345678901234567890, \"bb\": [1, 2.50, true]}");
    CHECK_STATUS(&ctx, kd_jsonb_delete_key(&ctx, arena, changed, KD_SLICE("a"), &changed));
    CHECK_STATUS(
        &ctx, kd_jsonb_concat(&ctx, arena, changed, jsonb_of(&ctx, arena, "{\"c\":[]}"), &changed));
    text_check(&ctx, arena, changed, "{\"c\": [], \"bb\": [1, 2.50, true]}");
    bool contains;
    CHECK_STATUS(&ctx, kd_jsonb_contains(&ctx, changed, jsonb_of(&ctx, arena, "{\"bb\":[true]}"),
                                         &contains));
    CHECK(contains);
    kd_arena_destroy(arena);
}

TEST(damaged_jsonb_never_reads_outside)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_slice stored = jsonb_of(&ctx, arena, "{\"a\":[1,\"two\",{\"k\":[null,true]}],\"bcd\":-1.5}");
    test_random random = {3};
    for (int i = 0; i < 3000; i++) {
        kd_arena *scratch = test_arena(&ctx);
        size_t size = stored.size_bytes - test_random_below(&random, 4) * 3;
        char *copy = kd_alloc_raw(&ctx, scratch, size);
        memcpy(copy, stored.data, size);
        copy[test_random_below(&random, size)] = (char)test_random_next(&random);
        copy[test_random_below(&random, size)] = (char)test_random_next(&random);
        kd_slice damaged = {copy, size};
        kd_buffer text = kd_buffer_in(scratch);
        if (kd_jsonb_check(&ctx, damaged) != KD_OK)
            kd_error_clear(&ctx);
        if (kd_jsonb_format(&ctx, damaged, &text) != KD_OK)
            kd_error_clear(&ctx);
        CHECK(kd_jsonb_compare(damaged, damaged) == 0);
        (void)kd_jsonb_hash(damaged);
        kd_arena_destroy(scratch);
    }
    kd_arena_destroy(arena);
}

TEST(json_text_operators_work)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_slice text = KD_SLICE("{\"a\": [10, \"x\\ty\", null], \"b\": 1, \"b\": {\"c\": 2}}");
    bool found;
    bool is_null;
    kd_slice value;
    CHECK_STATUS(&ctx, kd_json_get_field(&ctx, arena, text, KD_SLICE("b"), &found, &value));
    CHECK_SLICE(value, "{\"c\": 2}");
    CHECK_STATUS(&ctx, kd_json_get_field(&ctx, arena, text, KD_SLICE("a"), &found, &value));
    kd_slice element;
    CHECK_STATUS(&ctx, kd_json_get_element(&ctx, value, -2, &found, &element));
    CHECK(found);
    CHECK_STATUS(&ctx, kd_json_as_text(&ctx, arena, element, &is_null, &element));
    CHECK_SLICE(element, "x\ty");
    CHECK_STATUS(&ctx, kd_json_get_element(&ctx, value, 3, &found, &element));
    CHECK(!found);
    kd_arena_destroy(arena);
}
