/*
 * Time zones: names, fixed offsets, rules for far years.
 */
#include "test.h"

#include "types/zone.h"

static const kd_zone *zone_of(kd_ctx *ctx, kd_arena *arena, const char *name)
{
    const kd_zone *zone;
    CHECK_STATUS(ctx, kd_zone_open(ctx, arena, kd_slice_of(name), &zone));
    return zone;
}

TEST(zones_are_found_by_any_spelling)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const int64_t july_2100 = 4118083200;
    CHECK_TEXT(kd_zone_name(zone_of(&ctx, arena, "europe/berlin")), "Europe/Berlin");
    CHECK_TEXT(kd_zone_at_utc(zone_of(&ctx, arena, "Europe/Berlin"), july_2100).abbreviation,
               "CEST");
    CHECK_EQ(kd_zone_at_utc(zone_of(&ctx, arena, "+05:30"), 0).seconds,
             -19800); /* West, as in rules. */
    CHECK_EQ(kd_zone_at_utc(zone_of(&ctx, arena, "-3"), 0).seconds, 10800);
    CHECK_EQ(kd_zone_at_utc(zone_of(&ctx, arena, "EST5EDT"), july_2100).seconds, -14400);
    CHECK_EQ(kd_zone_at_utc(zone_of(&ctx, arena, "<+0330>-3:30"), 0).seconds, 12600);
    CHECK_EQ(kd_zone_at_utc(NULL, 0).seconds, 0);
    const kd_zone *zone;
    CHECK_FAILS_WITH(&ctx, kd_zone_open(&ctx, arena, KD_SLICE("Mars/Olympus"), &zone), "22023",
                     "not recognized");
    CHECK_FAILS(&ctx, kd_zone_open(&ctx, arena, KD_SLICE("../../etc/passwd"), &zone), "22023");
    CHECK_FAILS(&ctx, kd_zone_open(&ctx, arena, KD_SLICE("Europe"), &zone), "22023");
    kd_arena_destroy(arena);
}

TEST(gaps_and_overlaps_resolve_as_in_postgres)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_zone *zone = zone_of(&ctx, arena, "America/New_York");
    const int64_t gap = 1615689000;     /* 2021-03-14 02:30 */
    const int64_t overlap = 1636248600; /* 2021-11-07 01:30 */
    CHECK_EQ(kd_zone_at_local(zone, gap).seconds, -18000);
    CHECK_EQ(kd_zone_at_local(zone, overlap).seconds, -18000);
    kd_arena_destroy(arena);
}
