/*
 * Goal: frames line up on a terminal, whatever is in them. Method: frames of awkward cells,
 * compared as text.
 */
#include "shell/shell_internal.h"
#include "test.h"

#include <stdlib.h>

static void check_frame(kdi_mode mode, uint32_t width_max, const char *const *texts,
                        uint32_t column_count, size_t row_count, const char *expected)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    size_t cell_count = column_count * (row_count + 1);
    kdi_cell *cells = KD_NEW_ARRAY(&ctx, arena, kdi_cell, cell_count);
    bool *is_number = KD_NEW_ARRAY(&ctx, arena, bool, column_count);
    CHECK(cells != NULL);
    CHECK(is_number != NULL);
    for (size_t i = 0; i < cell_count; i++)
        CHECK_STATUS(&ctx, kdi_cell_make(&ctx, arena, texts[i], strlen(texts[i]), &cells[i]));
    is_number[0] = true;
    kdi_frame frame = {.column_count = column_count,
                       .headers = cells,
                       .is_number = is_number,
                       .cells = cells + column_count,
                       .row_count = row_count};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    CHECK_STATUS(&ctx, kdi_frame_write(&ctx, arena, out, mode, true, &frame, width_max));
    fclose(out);
    CHECK_TEXT(text, expected);
    free(text);
    kd_arena_destroy(arena);
}

TEST(frame_aligns_numbers_wide_characters_and_lines)
{
    static const char *const TEXTS[] = {"n", "name", "7", "日本", "1234", "two\nlines"};
    check_frame(KDI_MODE_ASCII, 0, TEXTS, 2, 2,
                "+------+-------+\n"
                "| n    | name  |\n"
                "+------+-------+\n"
                "|    7 | 日本  |\n"
                "| 1234 | two   |\n"
                "|      | lines |\n"
                "+------+-------+\n");
}

TEST(frame_shows_control_characters_as_escapes)
{
    static const char *const TEXTS[] = {"n", "v", "1", "a\033[2Jb\tc"};
    check_frame(KDI_MODE_BOX, 0, TEXTS, 2, 1,
                "┌───┬─────────────┐\n"
                "│ n │ v           │\n"
                "├───┼─────────────┤\n"
                "│ 1 │ a\\x1b[2Jb c │\n"
                "└───┴─────────────┘\n");
}

TEST(frame_narrows_wide_columns_to_the_terminal)
{
    static const char *const TEXTS[] = {"n", "v", "1", "abcdefghijklmnopqrstuvwxyz"};
    check_frame(KDI_MODE_ASCII, 20, TEXTS, 2, 1,
                "+---+--------------+\n"
                "| n | v            |\n"
                "+---+--------------+\n"
                "| 1 | abcdefghijk… |\n"
                "+---+--------------+\n");
}

TEST(frame_as_markdown_escapes_bars)
{
    static const char *const TEXTS[] = {"n", "v", "1", "a|b\nc"};
    check_frame(KDI_MODE_MARKDOWN, 0, TEXTS, 2, 1,
                "| n | v   |\n|--:|-----|\n| 1 | a\\|b<br>c |\n");
}
