/*
 * The bounds of partitions: which of them a row belongs to.
 */
#include "engine/engine_internal.h"

#include <assert.h>

/* Whether the key is at or above (1), below (-1) a bound; MINVALUE and MAXVALUE as they say. */
static int compare_bound(const kd_value *keys, const kd_value *bound, const int8_t *kinds,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kinds != NULL && kinds[i] != 0)
            return kinds[i] < 0 ? 1 : -1;
        int order = kd_value_compare(&keys[i], &bound[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

bool kdi_bound_holds(const kd_table_entry *parent, const kd_partition_bound *bound,
                     const kd_value *keys)
{
    bool has_null = false;
    for (uint32_t i = 0; i < parent->partition_column_count; i++)
        has_null |= keys[i].is_null;
    if (bound->is_default)
        return true; /* Default partitions come last. */
    switch (parent->strategy) {
    case KD_PARTITION_RANGE:
        return !has_null && compare_bound(keys, bound->from, bound->from_kind, bound->count) >= 0 &&
               compare_bound(keys, bound->to, bound->to_kind, bound->count) < 0;
    case KD_PARTITION_LIST:
        for (uint32_t i = 0; i < bound->count; i++)
            if (bound->from[i].is_null
                    ? has_null
                    : !has_null && kd_value_compare(&keys[0], &bound->from[i]) == 0)
                return true;
        return false;
    case KD_PARTITION_HASH: {
        uint64_t hash = 0;
        for (uint32_t i = 0; i < parent->partition_column_count; i++)
            hash = hash * 31 + (keys[i].is_null ? 0 : kd_value_hash(&keys[i]));
        return hash % (uint64_t)bound->from[0].as.i64 == (uint64_t)bound->from[1].as.i64;
    }
    case KD_PARTITION_NONE:
        break;
    }
    return false;
}

/* --- A partition's own rows, seen from its ancestors
 * ---------------------------------------------- */

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
            kdi_bound_holds(level->parent, &level->siblings[i]->bound, keys))
            return false;
    return kdi_bound_holds(level->parent, level->bound, keys);
}

bool kdi_bounds_hold(const kdi_bounds *bounds, const kd_value *values)
{
    for (; bounds != NULL; bounds = bounds->next)
        if (!level_holds(bounds, values))
            return false;
    return true;
}
