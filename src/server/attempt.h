/*
 * Passwords that were wrong, by where they came from: whoever guesses is slowed down.
 *
 * After five in a row from an address for a role, the next is heard a second later, then two, four,
 * up to a minute. A right one clears the count; so does an hour of silence. What comes from one
 * address for many roles counts together as well, so that going through names is no faster.
 */
#ifndef KD_SERVER_ATTEMPT_H
#define KD_SERVER_ATTEMPT_H

#include "base/map.h"
#include "base/thread.h"

typedef struct kdi_attempts {
    kd_world *world;
    kd_account *account;
    kd_mutex mutex;
    kd_map places; /* By role and address, and by address alone. */
} kdi_attempts;

void kdi_attempts_init(kdi_attempts *attempts, kd_world *world, kd_account *account);
void kdi_attempts_clear(kdi_attempts *attempts);
/* How long the next try from there has to wait, in ns; 0: not at all. Any thread, as all. */
uint64_t kdi_attempts_wait_ns(kdi_attempts *attempts, kd_slice role, kd_slice address);
/* Without memory for it a wrong one is not counted. */
void kdi_attempts_note(kdi_attempts *attempts, kd_slice role, kd_slice address, bool was_right);

#endif
