/*
 * Slowing down who guesses passwords.
 */
#include "server/attempt.h"

#include <string.h>

enum { FREE_COUNT = 5, DOUBLINGS_MAX = 6, PLACES_MAX = 20000, KEY_BYTES = 128 };
#define SECOND_NS UINT64_C(1000000000)
#define FORGET_NS (3600 * SECOND_NS)

typedef struct place {
    uint32_t count;
    uint64_t last_ns;
} place;

/* The role, a NUL, the address; without the role for all of them. */
static kd_slice key_of(kd_slice role, kd_slice address, char room[KEY_BYTES])
{
    size_t role_bytes = role.size_bytes < 64 ? role.size_bytes : 63;
    size_t address_bytes = address.size_bytes < 48 ? address.size_bytes : 47;
    if (role_bytes > 0)
        memcpy(room, role.data, role_bytes);
    room[role_bytes] = '\0';
    if (address_bytes > 0)
        memcpy(room + role_bytes + 1, address.data, address_bytes);
    return (kd_slice){room, role_bytes + 1 + address_bytes};
}

void kdi_attempts_init(kdi_attempts *attempts, kd_world *world, kd_account *account)
{
    *attempts = (kdi_attempts){.world = world, .account = account};
    kd_mutex_init(&attempts->mutex, world);
    kd_map_init(&attempts->places, world, account);
}

/* Those that are old, or all. The mutex is held, or nobody else has it. */
static void forget(kdi_attempts *attempts, bool all)
{
    uint64_t now_ns = attempts->world->monotonic_ns(attempts->world);
    uint32_t cursor = 0;
    const kd_map_entry *entry;
    while ((entry = kd_map_next(&attempts->places, &cursor)) != NULL) {
        place *it = entry->value;
        if (!all && now_ns - it->last_ns < FORGET_NS)
            continue;
        (void)kd_map_remove(&attempts->places, (kd_slice){entry->bytes, entry->size_bytes});
        kd_heap_free(attempts->world, attempts->account, it);
    }
}

void kdi_attempts_clear(kdi_attempts *attempts)
{
    forget(attempts, true);
    kd_map_clear(&attempts->places);
    kd_mutex_clear(&attempts->mutex);
}

/* `free_count` wrong ones cost nothing. */
static uint64_t wait_of(const kdi_attempts *attempts, kd_slice key, uint32_t free_count)
{
    uint64_t now_ns = attempts->world->monotonic_ns(attempts->world);
    const place *it = kd_map_find(&attempts->places, key);
    if (it == NULL || it->count < free_count || now_ns - it->last_ns >= FORGET_NS)
        return 0;
    uint32_t doublings = it->count - free_count;
    uint64_t wait_ns = SECOND_NS << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
    uint64_t passed_ns = now_ns - it->last_ns;
    return passed_ns < wait_ns ? wait_ns - passed_ns : 0;
}

uint64_t kdi_attempts_wait_ns(kdi_attempts *attempts, kd_slice role, kd_slice address)
{
    char own[KEY_BYTES], all[KEY_BYTES];
    kd_mutex_lock(&attempts->mutex);
    uint64_t own_ns = wait_of(attempts, key_of(role, address, own), FREE_COUNT);
    uint64_t all_ns = wait_of(attempts, key_of(KD_SLICE(""), address, all), 4 * FREE_COUNT);
    kd_mutex_unlock(&attempts->mutex);
    return own_ns > all_ns ? own_ns : all_ns;
}

static void count_wrong(kdi_attempts *attempts, kd_slice key)
{
    kd_ctx ctx = {.world = attempts->world};
    place *it = kd_map_find(&attempts->places, key);
    kd_error_clear(&ctx);
    if (it == NULL && kd_map_count(&attempts->places) >= PLACES_MAX)
        forget(attempts, false);
    if (it == NULL && kd_map_count(&attempts->places) < PLACES_MAX) {
        it = KD_HEAP_NEW(&ctx, attempts->account, place);
        if (it != NULL && kd_map_put(&ctx, &attempts->places, key, it, NULL) != KD_OK) {
            kd_heap_free(attempts->world, attempts->account, it);
            it = NULL;
        }
    }
    if (it == NULL)
        return;
    uint64_t now_ns = attempts->world->monotonic_ns(attempts->world);
    it->count = now_ns - it->last_ns >= FORGET_NS ? 1 : it->count + 1;
    it->last_ns = now_ns;
}

static void clear_place(kdi_attempts *attempts, kd_slice key)
{
    place *it = kd_map_remove(&attempts->places, key);
    kd_heap_free(attempts->world, attempts->account, it);
}

void kdi_attempts_note(kdi_attempts *attempts, kd_slice role, kd_slice address, bool was_right)
{
    char own[KEY_BYTES], all[KEY_BYTES];
    kd_slice own_key = key_of(role, address, own);
    kd_slice all_key = key_of(KD_SLICE(""), address, all);
    kd_mutex_lock(&attempts->mutex);
    if (was_right) {
        clear_place(attempts, own_key);
        clear_place(attempts, all_key);
    } else {
        count_wrong(attempts, own_key);
        count_wrong(attempts, all_key);
    }
    kd_mutex_unlock(&attempts->mutex);
}
