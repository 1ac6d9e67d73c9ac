/*
 * A time zone's file of any bytes, or its rule as text: read or refused; what is read answers for
 * every instant, with offsets of at most a week.
 */
#include "base/world.h"
#include "types/zone.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { FILE_BYTES_MAX = 1 << 16, OFFSET_MAX = 168 * 3600 };

static void ask(const kd_zone *zone)
{
    static const int64_t instants[] = {
        INT64_MIN / 1000000, -62135596800,  -2208988800,        -1, 0, 1, 1700000000,
        4102444800,          9224318015999, INT64_MAX / 1000000};
    (void)kd_zone_name(zone);
    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        kd_zone_offset utc = kd_zone_at_utc(zone, instants[i]);
        kd_zone_offset local = kd_zone_at_local(zone, instants[i]);
        if (abs(utc.seconds) > OFFSET_MAX || abs(local.seconds) > OFFSET_MAX)
            abort();
    }
}

static kd_slice file;

static size_t file_read(kd_world *world, const char *path, void *target, size_t size_bytes)
{
    (void)world;
    if (strcmp(path, "/usr/share/zoneinfo/Fuzz") != 0)
        return 0;
    size_t taken = file.size_bytes < size_bytes ? file.size_bytes : size_bytes;
    memcpy(target, file.data, taken);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    const kd_zone *zone;
    if (size_bytes > FILE_BYTES_MAX)
        return 0;
    kd_world world = *kd_world_posix();
    kd_ctx ctx = {.world = &world};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)64 << 20);
    world.machine_read = file_read;
    file = (kd_slice){(const char *)data, size_bytes};
    if (kd_zone_find(&ctx, arena, KD_SLICE("Fuzz"), &zone) == KD_OK && zone != NULL)
        ask(zone);
    kd_error_clear(&ctx);
    if (kd_zone_find(&ctx, arena, file, &zone) == KD_OK && zone != NULL)
        ask(zone);
    kd_arena_destroy(arena);
    return 0;
}
