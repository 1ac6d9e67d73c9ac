/*
 * Finding a part of a text against a naive search: short texts of two letters, where nearly every
 * place is nearly right, in blocks of exactly their size.
 */
#include "base/bytes.h"

#include "test.h"

#include <stdlib.h>

static const char *naive_find(kd_slice text, kd_slice part)
{
    for (size_t at = 0; at + part.size_bytes <= text.size_bytes; at++)
        if (memcmp(text.data + at, part.data, part.size_bytes) == 0)
            return text.data + at;
    return NULL;
}

TEST(a_part_is_found_where_a_naive_search_finds_it)
{
    test_random random = {5};
    for (int round = 0; round < 30000; round++) {
        size_t text_bytes = (size_t)test_random_below(&random, 90);
        size_t part_bytes = (size_t)test_random_below(&random, round % 5 == 0 ? 80 : 6);
        char *text = malloc(text_bytes + 1), *part = malloc(part_bytes + 1);
        CHECK(text != NULL && part != NULL);
        uint64_t letters = 1 + test_random_below(&random, 3);
        for (size_t i = 0; i < text_bytes; i++)
            text[1 + i] = (char)('a' + test_random_below(&random, letters));
        for (size_t i = 0; i < part_bytes; i++)
            part[1 + i] = (char)('a' + test_random_below(&random, letters));
        kd_slice in = {text + 1, text_bytes}, what = {part + 1, part_bytes};
        CHECK(kd_slice_find(in, what) == naive_find(in, what));
        free(text);
        free(part);
    }
}
