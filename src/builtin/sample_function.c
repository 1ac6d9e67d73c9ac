/*
 * What samples are drawn by: conditions and numbers that TABLESAMPLE and USING SAMPLE become.
 */
#include "base/hash.h"
#include "builtin/signature_internal.h"
#include "types/record.h"

/* A row reference is 40 bits of unit and 24 of ordinal; a block is 16,384 rows of a unit. */
enum { BLOCK_SHIFT = 14 };

static double hundredth(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53 * 100;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Reference, percent, a number that tells the samples of a statement apart, [seed]. Without a seed
 * the statement's time is one. */
static kd_status is_drawn(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                          uint32_t shift, void *result)
{
    if (args[1] == NULL)
        return KD_FAIL(ctx, KD_INVALID, "2202H", "TABLESAMPLE parameter cannot be null");
    double percent = KDI_ARG(double, args, 1);
    if (!(percent >= 0 && percent <= 100))
        return KD_FAIL(ctx, KD_INVALID, "2202H", "sample percentage must be between 0 and 100");
    uint64_t seed = 0;
    if (env->argument_count > 3) {
        if (args[3] == NULL)
            return KD_FAIL(ctx, KD_INVALID, "2202G",
                           "TABLESAMPLE REPEATABLE parameter cannot be null");
        seed = kd_hash_u64(bits_of(KDI_ARG(double, args, 3)));
    } else {
        seed = kd_hash_u64((uint64_t)env->facts->statement_us);
        seed = kd_hash_combine(seed, KDI_ARG(uint64_t, args, 2));
    }
    uint64_t place = KDI_ARG(uint64_t, args, 0) >> shift;
    *(uint8_t *)result = hundredth(kd_hash_combine(seed, kd_hash_u64(place))) < percent;
    return KD_OK;
}

KDI_ROW(sample_row)
{
    return is_drawn(ctx, env, args, 0, result);
}

KDI_ROW(sample_block)
{
    return is_drawn(ctx, env, args, BLOCK_SHIFT, result);
}

KDI_ROW(draw_by_seed)
{
    uint64_t row = kd_record_hash(kdi_arg_text(args, 0));
    uint64_t seed = kd_hash_u64(bits_of(KDI_ARG(double, args, 1)));
    *(double *)result = hundredth(kd_hash_combine(seed, row));
    return KD_OK;
}

#define RECORD KDI_TYPE(RECORD)
static const kd_function functions[] = {
    STABLE_LENIENT("sample_row", sample_row, BOOL, INT8, FLOAT8, INT8),
    STABLE_LENIENT("sample_row", sample_row, BOOL, INT8, FLOAT8, INT8, FLOAT8),
    STABLE_LENIENT("sample_block", sample_block, BOOL, INT8, FLOAT8, INT8),
    STABLE_LENIENT("sample_block", sample_block, BOOL, INT8, FLOAT8, INT8, FLOAT8),
    IMMUTABLE("sample_draw", draw_by_seed, FLOAT8, RECORD, FLOAT8),
};

kd_status kdi_register_sample(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
