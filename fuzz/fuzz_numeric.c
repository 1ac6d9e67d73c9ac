/*
 * Numbers: text of decimals round-trips; stored bytes are refused or usable; a / b * b is near a.
 */
#include "base/world.h"
#include "types/number_text.h"
#include "types/value.h"
#include "types/numeric.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_check(kd_ctx *ctx, kd_arena *arena, kd_slice text)
{
    kd_decimal number;
    kd_decimal again;
    if (kd_decimal_parse(ctx, arena, text, &number) != KD_OK) {
        kd_error_clear(ctx);
        return;
    }
    kd_buffer out = kd_buffer_in(arena);
    if (kd_decimal_format(ctx, &number, &out) != KD_OK ||
        kd_decimal_parse(ctx, arena, kd_buffer_slice(&out), &again) != KD_OK ||
        kd_decimal_compare(&number, &again) != 0 || number.scale != again.scale)
        abort();
}

static void stored_check(kd_ctx *ctx, kd_arena *arena, kd_slice bytes)
{
    kd_str stored = kd_str_from(bytes.data, bytes.size_bytes);
    kd_decimal number;
    (void)kd_numeric_hash(bytes);
    if (kd_decimal_load(ctx, arena, &stored, &number) != KD_OK) {
        kd_error_clear(ctx);
        return;
    }
    kd_decimal result;
    if (kd_decimal_mul(ctx, arena, &number, &number, &result) != KD_OK ||
        kd_decimal_add(ctx, arena, &number, &result, &result) != KD_OK ||
        kd_decimal_div(ctx, arena, &result, &number, &result) != KD_OK)
        kd_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", 256u << 20);
    kd_slice text = {(const char *)data, size > 2000 ? 2000 : size};
    text_check(&ctx, arena, text);
    stored_check(&ctx, arena, text);
    static const kd_type_id ids[] = {KD_TYPE_INT2, KD_TYPE_INT8, KD_TYPE_FLOAT4, KD_TYPE_FLOAT8,
                                     KD_TYPE_BOOL, KD_TYPE_UUID, KD_TYPE_BYTEA};
    for (size_t i = 0; i <= sizeof ids / sizeof ids[0]; i++) {
        kd_type type = i == 0 ? kd_type_numeric(20, 5) : kd_type_of(ids[i - 1]);
        kd_value value;
        kd_buffer out = kd_buffer_in(arena);
        if (kd_value_parse(&ctx, arena, NULL, type, text, &value) == KD_OK) {
            kd_value again;
            if (kd_value_format(&ctx, NULL, &value, &out) != KD_OK ||
                kd_value_parse(&ctx, arena, NULL, type, kd_buffer_slice(&out), &again) != KD_OK ||
                kd_value_compare(&value, &again) != 0)
                abort();
        }
        kd_error_clear(&ctx);
    }
    kd_arena_destroy(arena);
    return 0;
}
