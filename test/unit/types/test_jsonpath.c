/*
 * Paths of SQL/JSON: limits that SQL records do not reach. What paths mean, and their text, is in
 * test/sql/functions/jsonpath.test.
 */
#include "test.h"

#include "types/jsonpath.h"

static kd_status parse_repeated(kd_ctx *ctx, kd_arena *arena, const char *head, const char *piece,
                                int count, const char *tail)
{
    kd_buffer text = kd_buffer_in(arena);
    kd_jsonpath path;
    KD_TRY(kd_buffer_append_text(ctx, &text, head));
    for (int i = 0; i < count; i++)
        KD_TRY(kd_buffer_append_text(ctx, &text, piece));
    KD_TRY(kd_buffer_append_text(ctx, &text, tail));
    return kd_jsonpath_parse(ctx, arena, kd_buffer_slice(&text), &path);
}

TEST(jsonpath_refuses_what_is_nested_too_deeply)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "test", 64u << 20);
    CHECK(parse_repeated(&ctx, arena, "", "(", 50, "1") == KD_INVALID);
    kd_error_clear(&ctx);
    static const char *const pieces[] = {"(", "-", "!(", "$[", "exists(", "$ ? (", "1 + ", "1 * "};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        test_note("%s", pieces[i]);
        CHECK(parse_repeated(&ctx, arena, "", pieces[i], 1000, "1") == KD_LIMIT);
        CHECK_TEXT(ctx.error.sqlstate, "54001");
        kd_error_clear(&ctx);
    }
    CHECK(parse_repeated(&ctx, arena, "$", ".a", 20000, "") == KD_LIMIT);
    kd_error_clear(&ctx);
    CHECK(parse_repeated(&ctx, arena, "$", ".a", 5000, "") == KD_OK);
    kd_arena_destroy(arena);
}
