/*
 * Time zones: rules read from the system's TZif files (RFC 8536) under /usr/share/zoneinfo, POSIX
 * rules ("EST5EDT,M3.2.0,M11.1.0") and fixed offsets.
 *
 * A zone is immutable once opened and lives in the arena it was opened in. All times here are whole
 * seconds since 1970-01-01; offsets are seconds east of Greenwich.
 */
#ifndef KD_TYPES_ZONE_H
#define KD_TYPES_ZONE_H

#include "base/bytes.h"

typedef struct kd_zone kd_zone;

typedef struct kd_zone_offset {
    int32_t seconds; /* East of Greenwich. */
    bool is_dst;
    const char *abbreviation; /* "CEST"; lives as long as the zone. */
} kd_zone_offset;

/* Lives as long as the process. */
const kd_zone *kd_zone_utc(void);

/* `name`: an entry of the zone database in any case ("europe/berlin"), an abbreviation of
 * kd_zone_abbreviation or one that changed with time ("MSK"), "UTC", a POSIX rule, or an offset,
 * which counts west as in a rule ("+05:30"). `*out_zone` is NULL when there is no such zone. */
kd_status kd_zone_find(kd_ctx *ctx, kd_arena *arena, kd_slice name,
                       const kd_zone **out_zone) KD_MUST_CHECK;
/* As kd_zone_find; fails with 22023 `time zone "x" not recognized` when there is none. */
kd_status kd_zone_open(kd_ctx *ctx, kd_arena *arena, kd_slice name,
                       const kd_zone **out_zone) KD_MUST_CHECK;
kd_status kd_zone_open_fixed(kd_ctx *ctx, kd_arena *arena, int32_t east_seconds,
                             const kd_zone **out_zone) KD_MUST_CHECK;

const char *kd_zone_name(const kd_zone *zone); /* As the database spells it. */
/* `zone` NULL is UTC in both. */
kd_zone_offset kd_zone_at_utc(const kd_zone *zone, int64_t unix_seconds);
/* The offset to subtract from a local time to get UTC. Where the clock went back the time occurs
 * twice and standard time (the later offset) is taken; in a gap, too, the offset before it, as
 * PostgreSQL does. */
kd_zone_offset kd_zone_at_local(const kd_zone *zone, int64_t local_seconds);

/* Abbreviations with a fixed meaning in input ("EST", "CEST", "Z"), in any case. */
bool kd_zone_abbreviation(kd_slice name, int32_t *out_east_seconds, bool *out_is_dst);

#endif
