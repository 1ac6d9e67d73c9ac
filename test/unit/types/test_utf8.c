/*
 * UTF-8: what is valid, counting, case.
 */
#include "test.h"

#include "types/utf8.h"

TEST(wrong_sequences_are_found_wherever_they_stand)
{
    static const char *const wrong[] = {"\x80",         "\xc0\x80",         "\xc3", "\xe0\x80\x80",
                                        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xf0\x9f\x98"};
    char text[80];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t at = 0; at < 50; at++) {
            memset(text, 'a', sizeof text);
            memcpy(text + at, wrong[i], strlen(wrong[i]));
            size_t bad;
            CHECK(!kd_utf8_is_valid((kd_slice){text, at + strlen(wrong[i])}, &bad));
            CHECK_EQ(bad, at);
        }
    }
    memset(text, 'a', sizeof text);
    text[40] = '\0';
    size_t bad;
    CHECK(!kd_utf8_is_valid((kd_slice){text, sizeof text}, &bad));
    CHECK_EQ(bad, 40);
    CHECK(kd_utf8_is_valid(KD_SLICE("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80"), NULL));
    kd_ctx ctx = test_ctx();
    CHECK_FAILS_WITH(&ctx, kd_utf8_check(&ctx, KD_SLICE("a\xff")), "22021", "0xff");
}

TEST(characters_are_counted_and_mapped)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_slice text = KD_SLICE("gr\xc3\xbc"
                             "n ist \xc3\x84pfel");
    CHECK_EQ(kd_utf8_length(text), 14);
    CHECK_EQ(kd_utf8_offset(text, 4), 5);
    CHECK_EQ(kd_utf8_offset(text, 100), text.size_bytes);
    kd_buffer out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_utf8_append_upper(&ctx, text, &out));
    CHECK_TEXT(out.data, "GR\xc3\x9cN IST \xc3\x84PFEL");
    out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_utf8_append_lower(&ctx, text, &out));
    CHECK_TEXT(out.data, "gr\xc3\xbcn ist \xc3\xa4pfel");
    out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_utf8_append_initcap(&ctx, KD_SLICE("hELLO wORLD-x 3a"), &out));
    CHECK_TEXT(out.data, "Hello World-X 3a");
    kd_arena_destroy(arena);
}
