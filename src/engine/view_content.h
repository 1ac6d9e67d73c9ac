/*
 * What materialized views hold: for reading them in place of their queries.
 *
 * When a view's rows are made, its query is bound once more and kept with the stamp that the rows
 * were read at, in memory: after an opening a view is known again from its next REFRESH on. Its
 * rows are what the query gives at a snapshot if no table below has changed since that stamp, nor
 * since the snapshot. What else the answer depends on is in the bound query: a query that means the
 * same binds to the same tree.
 */
#ifndef KD_ENGINE_VIEW_CONTENT_H
#define KD_ENGINE_VIEW_CONTENT_H

#include "engine/engine_internal.h"

typedef struct kdi_view_contents kdi_view_contents; /* Of a database; any thread. */
typedef struct kdi_view_content kdi_view_content;

kd_status kdi_view_contents_create(kd_ctx *ctx, kd_database *database,
                                   kdi_view_contents **out_contents) KD_MUST_CHECK;
/* Before the catalog is closed. NULL is allowed. */
void kdi_view_contents_destroy(kdi_view_contents *contents);
/* The rows of `entry`, which is about to be put into the catalog, were read by the run's
 * transaction at `stamp` or later. Takes the place of what was known of the view. */
kd_status kdi_view_content_note(kd_ctx *ctx, kd_run *run, const kd_table_entry *entry,
                                kd_slice text, kd_stamp stamp) KD_MUST_CHECK;

/* The view is dropped. If that is undone, it is known again from its next REFRESH on. */
void kdi_view_content_forget(kd_database *database, uint32_t object_no);

/* Views that are current for a run and over tables that the prepared query reads, held until
 * kdi_view_choice_release. */
typedef struct kdi_view_choice {
    uint32_t count;
    size_t capacity;
    kd_plan_view *views;
    size_t held_count, held_capacity;
    kdi_view_content **held;
} kdi_view_choice;
kd_status kdi_view_choice_make(kd_ctx *ctx, kd_arena *arena, const kd_run *run,
                               const kd_prepared *prepared,
                               kdi_view_choice *out_choice) KD_MUST_CHECK;
void kdi_view_choice_release(kdi_view_choice *choice);

#endif
