/*
 * The bounds of a partition that is written by its own name: those of all its ancestors.
 */
#include "engine/catalog_text.h"
#include "engine/engine_internal.h"

#include <assert.h>

enum { PARTITION_KEYS_MAX = 32 };

/* One level: what the table, or its ancestor below `parent`, may hold. */
struct kdi_bounds {
    const kdi_bounds *next;
    const kd_table_entry *parent;
    const kd_partition_bound *bound;
    uint32_t sibling_count; /* Of a default partition: the others, whose rows it must not hold. */
    const kd_table_entry **siblings;
    struct {
        uint32_t position;      /* In the shape of the table that is written. */
        kd_compiled_expr *expr; /* Over it; NULL: the key is a column. */
    } keys[PARTITION_KEYS_MAX];
};

static uint32_t position_of(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, name))
            return i;
    assert(false && "a partition has its parent's columns");
    return 0;
}

static kd_status make_keys(kd_ctx *ctx, kd_arena *arena, kd_run *run, const kd_table_entry *table,
                           kdi_bounds *level)
{
    const kd_table_entry *parent = level->parent;
    assert(parent->partition_column_count <= PARTITION_KEYS_MAX);
    for (uint32_t k = 0; k < parent->partition_column_count; k++) {
        const kd_column *key = kdi_column_by_no(parent, parent->partition_column_nos[k]);
        if (key->hidden)
            KD_TRY(kdi_compile_text(ctx, arena, run, key->default_text, table, key->storage.type,
                                    &level->keys[k].expr));
        else
            level->keys[k].position = position_of(table, key->storage.name);
    }
    return KD_OK;
}

kd_status kdi_bounds_create(kd_ctx *ctx, kd_arena *arena, kd_run *run, const kd_table_entry *table,
                            const kdi_bounds **out_bounds)
{
    const kd_catalog_version *catalog = run->catalog;
    const kdi_bounds *lower = NULL;
    for (const kd_table_entry *child = table; child->parent_no != 0;) {
        kdi_bounds *level = KD_NEW(ctx, arena, kdi_bounds);
        if (level == NULL)
            return KD_NOMEM;
        level->parent = (const kd_table_entry *)kd_catalog_get(catalog, child->parent_no);
        level->bound = &child->bound;
        level->next = lower;
        KD_TRY(make_keys(ctx, arena, run, table, level));
        if (child->bound.is_default)
            KD_TRY(kd_catalog_partitions(ctx, arena, catalog, child->parent_no, &level->siblings,
                                         &level->sibling_count));
        lower = level;
        child = level->parent;
    }
    *out_bounds = lower;
    return KD_OK;
}

static bool level_holds(const kdi_bounds *level, const kd_value *keys)
{
    for (uint32_t i = 0; i < level->sibling_count; i++)
        if (!level->siblings[i]->bound.is_default &&
            kd_partition_takes(level->parent, &level->siblings[i]->bound, keys))
            return false;
    return kd_partition_takes(level->parent, level->bound, keys);
}

kd_status kdi_bounds_hold(kd_ctx *ctx, const kdi_bounds *bounds, kd_arena *arena,
                          const kd_value *values, bool *out_holds)
{
    kd_value keys[PARTITION_KEYS_MAX];
    *out_holds = true;
    for (; bounds != NULL && *out_holds; bounds = bounds->next) {
        for (uint32_t k = 0; k < bounds->parent->partition_column_count; k++)
            if (bounds->keys[k].expr == NULL)
                keys[k] = values[bounds->keys[k].position];
            else
                KD_TRY(kd_expr_evaluate_row(ctx, bounds->keys[k].expr, arena, values, &keys[k]));
        *out_holds = level_holds(bounds, keys);
    }
    return KD_OK;
}
