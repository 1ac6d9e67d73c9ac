/*
 * Whether stored rows keep what their tables promise: CHECK, NOT NULL, foreign keys, unique keys,
 * partition bounds and generated columns, asked of the rows themselves by queries.
 */
#ifndef KD_ENGINE_CONSTRAINT_CHECK_H
#define KD_ENGINE_CONSTRAINT_CHECK_H

#include "engine/engine_internal.h"

/* A promise that rows break, or one that could not be asked about. */
typedef struct kdi_violation {
    const kd_table_entry *table;
    kd_slice constraint; /* Empty where the promise has no name. */
    kd_slice column;     /* Empty where it is about more than one. */
    uint64_t row_count;  /* Rows that break it; of a unique key: keys that come twice. */
    bool is_note;        /* The rows cannot be read. */
    const char *problem; /* With a few of the rows. */
} kdi_violation;

typedef struct kdi_violation_watch {
    kd_status (*found)(kd_ctx *ctx, void *object, const kdi_violation *violation);
    void *object;
} kdi_violation_watch;

/* All tables but temporary ones, at the snapshot of the session's statement. Constraints that are
 * NOT VALID, and exclusion constraints, are left out. The statement runs in one thread outside of
 * this; the queries take as many as the session may have. */
kd_status kdi_constraints_check(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                                const kd_catalog_version *catalog, const kd_text_settings *settings,
                                const kdi_violation_watch *watch) KD_MUST_CHECK;

#endif
