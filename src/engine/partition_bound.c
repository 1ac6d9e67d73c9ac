/*
 * The bounds of a partition that is written by its own name: those of all its ancestors.
 */
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
    uint32_t key_positions[PARTITION_KEYS_MAX]; /* In the shape of the table that is written. */
};

static uint32_t position_of(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, name))
            return i;
    assert(false && "a partition has its parent's columns");
    return 0;
}

static kd_slice key_name(const kd_table_entry *parent, uint32_t key)
{
    for (uint32_t i = 0; i < parent->column_count; i++)
        if (parent->columns[i].storage.column_no == parent->partition_column_nos[key])
            return parent->columns[i].storage.name;
    assert(false && "a partition key is a column");
    return (kd_slice){0};
}

kd_status kdi_bounds_create(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *catalog,
                            const kd_table_entry *table, const kdi_bounds **out_bounds)
{
    const kdi_bounds *lower = NULL;
    for (const kd_table_entry *child = table; child->parent_no != 0;) {
        kdi_bounds *level = KD_NEW(ctx, arena, kdi_bounds);
        if (level == NULL)
            return KD_NOMEM;
        level->parent = (const kd_table_entry *)kd_catalog_get(catalog, child->parent_no);
        level->bound = &child->bound;
        level->next = lower;
        assert(level->parent->partition_column_count <= PARTITION_KEYS_MAX);
        for (uint32_t k = 0; k < level->parent->partition_column_count; k++)
            level->key_positions[k] = position_of(table, key_name(level->parent, k));
        if (child->bound.is_default)
            KD_TRY(kd_catalog_partitions(ctx, arena, catalog, child->parent_no, &level->siblings,
                                         &level->sibling_count));
        lower = level;
        child = level->parent;
    }
    *out_bounds = lower;
    return KD_OK;
}

static bool level_holds(const kdi_bounds *level, const kd_value *values)
{
    kd_value keys[PARTITION_KEYS_MAX];
    for (uint32_t k = 0; k < level->parent->partition_column_count; k++)
        keys[k] = values[level->key_positions[k]];
    for (uint32_t i = 0; i < level->sibling_count; i++)
        if (!level->siblings[i]->bound.is_default &&
            kd_partition_takes(level->parent, &level->siblings[i]->bound, keys))
            return false;
    return kd_partition_takes(level->parent, level->bound, keys);
}

bool kdi_bounds_hold(const kdi_bounds *bounds, const kd_value *values)
{
    for (; bounds != NULL; bounds = bounds->next)
        if (!level_holds(bounds, values))
            return false;
    return true;
}
