/*
 * Regular expressions: PostgreSQL's advanced syntax on PCRE2.
 *
 * A pattern is translated (regexp_translate.c), compiled once and kept with the
 * expression. Matching is bounded by PCRE2's match limit: a pattern that would
 * backtrack for ever fails instead. Where alternatives of different length match,
 * the longest one is taken, as POSIX and PostgreSQL want it and PCRE2 does not.
 */
#ifndef KD_BUILTIN_REGEXP_INTERNAL_H
#define KD_BUILTIN_REGEXP_INTERNAL_H

#include "builtin/builtin_internal.h"

typedef struct kdi_regexp_flags {
    bool ignore_case;
    bool expanded;  /* x */
    bool literal;   /* q */
    bool dot_stops; /* '.' and [^ ] do not match a newline (n, p) */
    bool lines;     /* ^ and $ match at lines (n, w) */
    bool global;    /* g: for regexp_replace and regexp_matches */
} kdi_regexp_flags;

/* 22023 for letters that are none; `allow_global` refuses g otherwise. */
kd_status kdi_regexp_flags_parse(kd_ctx *ctx, kd_slice text, kdi_regexp_flags *out) KD_MUST_CHECK;

typedef struct kdi_regexp_pattern {
    kd_buffer text;  /* For PCRE2. */
    bool has_choice; /* '|' somewhere. */
    bool has_lazy;   /* A non-greedy quantifier. */
} kdi_regexp_pattern;

/* To PCRE2's syntax; may change the flags as the pattern's own (?i) say. */
kd_status kdi_regexp_translate(kd_ctx *ctx, kd_slice source, kdi_regexp_flags *io_flags,
                               kdi_regexp_pattern *io_pattern) KD_MUST_CHECK;

typedef struct kdi_regexp kdi_regexp;

/* The compiled pattern, from the expression's state when it is the same as last time. `constant`:
 * pattern and flags never change between calls. */
kd_status kdi_regexp_get(kd_ctx *ctx, kd_call_env *env, kd_slice pattern, kdi_regexp_flags flags,
                         bool constant, kdi_regexp **out) KD_MUST_CHECK;
/* Groups in the pattern, without the whole. */
uint32_t kdi_regexp_group_count(const kdi_regexp *regexp);
/* Finds the first match at or after `start`; then groups can be asked for. */
kd_status kdi_regexp_find(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text, size_t start,
                          bool *out_found) KD_MUST_CHECK;
/* Only whether there is one. */
kd_status kdi_regexp_test(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text,
                          bool *out_found) KD_MUST_CHECK;
/* Group 0 is the whole match. False: it took no part. */
bool kdi_regexp_group(const kdi_regexp *regexp, uint32_t group, size_t *out_start, size_t *out_end);

#endif
