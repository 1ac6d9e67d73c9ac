/*
 * Templates of to_char, to_date and to_timestamp, read place by place.
 */
#ifndef KD_BUILTIN_TEMPLATE_INTERNAL_H
#define KD_BUILTIN_TEMPLATE_INTERNAL_H

#include "builtin/signature_internal.h"

typedef enum kdi_pattern_kind {
    KDI_P_AD,
    KDI_P_A_D,
    KDI_P_AM,
    KDI_P_A_M,
    KDI_P_CC,
    KDI_P_D,
    KDI_P_DAY,
    KDI_P_DD,
    KDI_P_DDD,
    KDI_P_DY,
    KDI_P_FF1,
    KDI_P_FF2,
    KDI_P_FF3,
    KDI_P_FF4,
    KDI_P_FF5,
    KDI_P_FF6,
    KDI_P_FX,
    KDI_P_HH,
    KDI_P_HH24,
    KDI_P_I,
    KDI_P_ID,
    KDI_P_IDDD,
    KDI_P_IW,
    KDI_P_IY,
    KDI_P_IYY,
    KDI_P_IYYY,
    KDI_P_J,
    KDI_P_MI,
    KDI_P_MM,
    KDI_P_MON,
    KDI_P_MONTH,
    KDI_P_MS,
    KDI_P_OF,
    KDI_P_Q,
    KDI_P_RM,
    KDI_P_SS,
    KDI_P_SSSS,
    KDI_P_TZ,
    KDI_P_TZH,
    KDI_P_TZM,
    KDI_P_US,
    KDI_P_W,
    KDI_P_WW,
    KDI_P_Y,
    KDI_P_Y_YYY,
    KDI_P_YY,
    KDI_P_YYY,
    KDI_P_YYYY,
} kdi_pattern_kind;

typedef enum kdi_place_form {
    KDI_PLACE_PATTERN,
    KDI_PLACE_SPACE,
    KDI_PLACE_SEPARATOR, /* Punctuation outside of quotes. */
    KDI_PLACE_CHARACTER,
} kdi_place_form;

/* One place of a template. */
typedef struct kdi_place {
    kdi_place_form form;
    kdi_pattern_kind kind;
    bool fill_mode;
    bool is_translated; /* TM: a name without padding. */
    bool is_quoted;
    char ending;   /* 'T' for TH, 't' for th, 0 for none */
    kd_slice text; /* As written: tells the case; or one character. */
} kdi_place;

typedef struct kdi_template {
    kd_slice text;
    size_t at;
    bool in_quotes;
} kdi_template;

/* False at the end. */
bool kdi_template_next(kdi_template *self, kdi_place *out);

extern const char *const kdi_month_names[12];
extern const char *const kdi_day_names[7];
/* I to XII. */
extern const char *const kdi_roman_months[12];

kd_status kdi_register_template_read(kd_ctx *ctx, kd_registry *registry);

#endif
