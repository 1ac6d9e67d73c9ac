/*
 * Plans whose operators keep rows, for tests of spilling: one per kind of operator and way to
 * spill.
 */
#ifndef KD_TEST_SPILL_PLANS_H
#define KD_TEST_SPILL_PLANS_H

#include "plan_kit.h"

enum { SPILL_PLANS = 23 };

/* Plan `which` over sources of about `rows` rows; `out_name` for notes. `in_order`: the order of
 * its rows is part of its answer. */
kd_plan *spill_plan(kit *k, int which, uint64_t rows, const char **out_name, bool *out_in_order);

#endif
