/*
 * Chains of versions, from an old one over `next` to the newest.
 *
 * Versions between, which nobody sees, are left behind by flush and compaction and go with
 * their chunks. Who stands at an older version - a snapshot sees it - still has to find the newest:
 * so before the move is published, the links of versions that stay are set past those that go.
 * Such a link is final (the end beside it is committed), so nobody else writes it.
 * A walker that took the old link holds table->publish shared until it has the place behind
 * it, and the publication comes after that.
 */
#include "table/segment_build.h"

kd_rowref kdi_newest_version(kd_table *table, const kdi_place *place)
{
    kdi_place at = *place;
    for (int step = 0; step < KDI_NEXT_STEPS_MAX; step++) {
        kd_stamp end = kdi_place_end(&at);
        if (end == KD_STAMP_NONE || kdi_is_in_flight(end))
            return at.ref;
        kd_rowref next = kdi_place_next(&at);
        if (next == KD_ROWREF_NONE || !kdi_place_find(table, next, &at))
            return KD_ROWREF_NONE;
    }
    return KD_ROWREF_NONE;
}

/* --- Cutting --------------------------------------------------------------------------------- */

/* The remap of a unit that goes; they ascend by unit. */
static const kdi_remap *remap_of(const kdi_rewrite *build, uint64_t unit)
{
    size_t low = 0, high = build->remap_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (build->remaps[middle]->unit < unit)
            low = middle + 1;
        else
            high = middle;
    }
    return low < build->remap_count && build->remaps[low]->unit == unit ? build->remaps[low] : NULL;
}

/* The first version from `next` on that stays; KD_ROWREF_NONE where the last one was deleted. */
static kd_rowref staying(const kdi_unit_list *units, const kdi_rewrite *build, kd_rowref next)
{
    for (int step = 0; step < KDI_NEXT_STEPS_MAX && next != KD_ROWREF_NONE; step++) {
        kdi_place place;
        if (!kdi_place_find_in(units, next, &place))
            return next;
        const kdi_remap *remap = remap_of(build, kdi_ref_unit(place.ref));
        if (remap == NULL ||
            (place.ordinal < remap->count && remap->refs[place.ordinal] != KD_ROWREF_NONE))
            return next;
        next = kdi_place_next(&place);
    }
    return next;
}

static void link_cut(const kdi_unit_list *units, const kdi_rewrite *build, _Atomic kd_rowref *link)
{
    kd_rowref next = atomic_load(link);
    if (next == KD_ROWREF_NONE)
        return;
    kd_rowref past = staying(units, build, next);
    if (past != next)
        atomic_store(link, past);
}

/* Versions that nobody sees stay too, in chunks where others are seen: chains lead over them. */
static bool may_lead_away(const kdi_rewrite *build, kd_stamp end)
{
    return !kdi_is_in_flight(end) && end <= build->live.newest;
}

static void chunk_cut(const kdi_unit_list *units, const kdi_rewrite *build, kdi_chunk *chunk)
{
    uint32_t used = kdi_chunk_used(chunk);
    const kdi_remap *remap = remap_of(build, chunk->unit);
    if (remap != NULL && remap->count == 0)
        return;
    for (uint32_t i = 0; i < used; i++) {
        if (may_lead_away(build, atomic_load(&chunk->ends[i])))
            link_cut(units, build, &chunk->nexts[i]);
    }
}

static void segment_cut(const kdi_unit_list *units, const kdi_rewrite *build,
                        const kdi_segment *segment)
{
    for (uint32_t at = 0; at < segment->vector_count; at++) {
        kdi_mark_vector *vector = atomic_load(&segment->marks[at]);
        _Atomic kd_rowref *nexts = vector == NULL ? NULL : atomic_load(&vector->nexts);
        for (uint32_t i = 0; nexts != NULL && i < KD_VECTOR_ROWS; i++) {
            if (may_lead_away(build, kdi_mark_end(vector, i)))
                link_cut(units, build, &nexts[i]);
        }
    }
}

void kdi_chains_cut(kdi_rewrite *build)
{
    const kdi_unit_list *units = atomic_load(&build->table->units);
    if (build->remap_count == 0 || build->live.count == 0)
        return; /* Nobody stands at a version whose follower goes: both had ended long ago. */
    for (uint32_t i = 0; i < units->chunk_count; i++)
        chunk_cut(units, build, units->chunks[i]);
    for (uint32_t i = 0; i < units->segment_count; i++)
        segment_cut(units, build, units->segments[i]);
}
