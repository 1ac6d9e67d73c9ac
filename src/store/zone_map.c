/*
 * Zone maps: the bounds of a block as they stand in the footer.
 */
#include "store/column_writer.h"

#include <math.h>

bool kdi_type_keeps_bounds(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    if (physical == KD_PHYS_STR)
        return kdi_type_codes_are_values(type);
    return physical != KD_PHYS_INTERVAL;
}

void kdi_zone_integers(kdi_block_entry *entry, kd_physical physical, int64_t min, int64_t max)
{
    memset(entry->min, 0, sizeof entry->min);
    memset(entry->max, 0, sizeof entry->max);
    memcpy(entry->min, &min, kd_physical_bytes(physical));
    memcpy(entry->max, &max, kd_physical_bytes(physical));
    entry->flags = KDI_ENTRY_HAS_BOUNDS | KDI_ENTRY_EXACT;
}

/* The least string of KDI_BOUND_BYTES that no string with this start exceeds; false when there is
 * none (all bytes are 0xff). */
static bool round_up(kd_slice text, char out[KDI_BOUND_BYTES])
{
    memcpy(out, text.data, KDI_BOUND_BYTES);
    for (int i = KDI_BOUND_BYTES - 1; i >= 0; i--) {
        if ((uint8_t)out[i] != UINT8_MAX) {
            out[i] = (char)((uint8_t)out[i] + 1);
            memset(out + i + 1, 0, (size_t)(KDI_BOUND_BYTES - 1 - i));
            return true;
        }
    }
    return false;
}

void kdi_zone_string(kdi_block_entry *entry, kd_type type, kd_slice min, kd_slice max)
{
    entry->flags = 0;
    if (!kdi_type_keeps_bounds(type))
        return;
    char raised[KDI_BOUND_BYTES];
    bool exact = min.size_bytes <= KDI_BOUND_BYTES && max.size_bytes <= KDI_BOUND_BYTES;
    if (max.size_bytes > KDI_BOUND_BYTES) {
        if (!round_up(max, raised))
            return;
        max = (kd_slice){raised, KDI_BOUND_BYTES};
    }
    if (min.size_bytes > KDI_BOUND_BYTES)
        min.size_bytes = KDI_BOUND_BYTES;
    kd_str low = kd_str_from(min.data, min.size_bytes);
    kd_str high = kd_str_from(max.data, max.size_bytes);
    memcpy(entry->min, &low, sizeof low);
    memcpy(entry->max, &high, sizeof high);
    entry->flags = (uint8_t)(KDI_ENTRY_HAS_BOUNDS | (exact ? KDI_ENTRY_EXACT : 0));
}

void kdi_zone_fixed(kdi_block_entry *entry, kd_type type, const uint8_t *values, uint32_t row_count,
                    const uint64_t *validity)
{
    size_t value_bytes = kd_physical_bytes(kd_type_physical(type));
    const uint8_t *min = NULL, *max = NULL;
    entry->flags = 0;
    if (!kdi_type_keeps_bounds(type))
        return;
    for (uint32_t row = 0; row < row_count; row++) {
        const uint8_t *value = values + row * value_bytes;
        if (!kd_bit_get(validity, row))
            continue;
        if (min == NULL || kd_payload_compare(type, value, min) < 0)
            min = value;
        if (max == NULL || kd_payload_compare(type, value, max) > 0)
            max = value;
    }
    if (min == NULL)
        return;
    memset(entry->min, 0, sizeof entry->min);
    memset(entry->max, 0, sizeof entry->max);
    memcpy(entry->min, min, value_bytes);
    memcpy(entry->max, max, value_bytes);
    entry->flags = KDI_ENTRY_HAS_BOUNDS | KDI_ENTRY_EXACT;
}

/* Linear counting (Whang et al., TODS 1990) over 16,384 bits. */
uint32_t kdi_estimate_distinct(const int64_t *values, uint32_t row_count, uint32_t run_count)
{
    enum { BITS = 16384 };
    uint64_t seen[BITS / 64] = {0};
    if (run_count <= 2)
        return run_count;
    for (uint32_t i = 0; i < row_count; i++) {
        uint64_t hash = (uint64_t)values[i] * 0x9e3779b97f4a7c15u >> 50;
        seen[hash / 64] |= (uint64_t)1 << (hash % 64);
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < BITS / 64; i++)
        used += (uint32_t)__builtin_popcountll(seen[i]);
    if (used == BITS)
        return row_count;
    double estimate = -(double)BITS * log(1.0 - (double)used / BITS);
    return estimate > (double)run_count ? run_count : (uint32_t)estimate;
}
