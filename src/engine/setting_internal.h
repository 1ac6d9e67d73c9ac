/*
 * Settings without effect, between setting.c and their list in setting_accepted.c.
 */
#ifndef KD_ENGINE_SETTING_INTERNAL_H
#define KD_ENGINE_SETTING_INTERNAL_H

#include "engine/setting.h"

typedef struct kdi_accepted_setting {
    const char *name;
    const char *kind; /* bool, integer, real, size, enum, string */
    const char *default_text;
    const char *labels; /* enum: "a|b|c" */
} kdi_accepted_setting;

/* NULL past the last. */
const kdi_accepted_setting *kdi_accepted_at(uint32_t index);
const kdi_accepted_setting *kdi_accepted_find(kd_slice name);
uint32_t kdi_accepted_index(const kdi_accepted_setting *it);
/* 22023 for what the kind does not take; else the value as it is shown. */
kd_status kdi_accepted_check(kd_ctx *ctx, const kdi_accepted_setting *it, kd_slice value,
                             kd_slice *out_value) KD_MUST_CHECK;
/* on, true, yes, 1 and their opposites. */
bool kdi_setting_parse_bool(kd_slice value, int64_t *out);

#endif
