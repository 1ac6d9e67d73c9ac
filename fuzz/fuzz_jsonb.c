/*
 * Any bytes as a stored jsonb: refused by the check, or safe for everything that reads one; the
 * value of its text reads back as an equal one. The first byte says where the bytes are cut in two.
 */
#include "base/world.h"
#include "types/jsonb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void walk(kd_slice stored, int depth)
{
    kd_jsonb value = kd_jsonb_open(stored);
    (void)kd_jsonb_typeof(stored);
    (void)kd_jsonb_hash(stored);
    if (depth > 50 || (value.kind != KD_JSONB_ARRAY && value.kind != KD_JSONB_OBJECT))
        return;
    for (uint32_t i = 0; i < value.count && i < 100; i++) {
        walk(kd_jsonb_element(&value, i), depth + 1);
        if (value.kind == KD_JSONB_OBJECT) {
            kd_slice found;
            must(kd_jsonb_get_field(stored, kd_jsonb_key(&value, i), &found));
            must(kd_jsonb_exists(stored, kd_jsonb_key(&value, i)));
        }
    }
}

/* By its text: the number inside may be one that nothing writes. False: it has none that reads. */
static bool read_back(kd_ctx *ctx, kd_arena *arena, kd_slice stored, kd_slice *out_again)
{
    kd_buffer text = kd_buffer_in(arena), pretty = kd_buffer_in(arena), twice = kd_buffer_in(arena);
    bool reads = kd_jsonb_format(ctx, stored, &text) == KD_OK &&
                 kd_jsonb_format_pretty(ctx, stored, &pretty) == KD_OK &&
                 kd_jsonb_parse(ctx, arena, kd_buffer_slice(&text), out_again) == KD_OK;
    kd_error_clear(ctx);
    if (!reads)
        return false;
    kd_slice once_more;
    must(kd_jsonb_format(ctx, *out_again, &twice) == KD_OK);
    must(kd_jsonb_parse(ctx, arena, kd_buffer_slice(&twice), &once_more) == KD_OK);
    must(kd_jsonb_compare(*out_again, once_more) == 0);
    must(kd_jsonb_hash(*out_again) == kd_jsonb_hash(once_more));
    return true;
}

static void relate(kd_ctx *ctx, kd_slice a, kd_slice b)
{
    bool contains;
    must((kd_jsonb_compare(a, b) < 0) == (kd_jsonb_compare(b, a) > 0));
    if (kd_jsonb_compare(a, b) == 0)
        must(kd_jsonb_hash(a) == kd_jsonb_hash(b));
    (void)!kd_jsonb_contains(ctx, a, b, &contains);
    kd_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 2)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)64 << 20);
    size_t cut = data[0] * (size_bytes - 1) / 255;
    kd_slice stored[2] = {{(const char *)data + 1, cut},
                          {(const char *)data + 1 + cut, size_bytes - 1 - cut}};
    kd_slice again[2];
    bool reads[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        bool is_right = kd_jsonb_check(&ctx, stored[i]) == KD_OK;
        kd_error_clear(&ctx);
        if (is_right) {
            walk(stored[i], 0);
            reads[i] = read_back(&ctx, arena, stored[i], &again[i]);
        }
    }
    if (reads[0] && reads[1])
        relate(&ctx, again[0], again[1]);
    kd_arena_destroy(arena);
    return 0;
}
