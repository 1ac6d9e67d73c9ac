/*
 * The texts of views: how they are shown, how they are kept, and how they follow what they read
 * when that is renamed.
 */
#ifndef KD_ENGINE_VIEW_TEXT_H
#define KD_ENGINE_VIEW_TEXT_H

#include "engine/engine_internal.h"
#include "sql/query_text.h"

/* The query of a view, materialized or not, as PostgreSQL's pg_get_viewdef lays it out, with a
 * semicolon; as it was written where it has no other words. Empty for what is no view. */
kd_status kdi_view_text(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                        const kd_catalog_version *catalog, const kd_session_facts *facts,
                        const kd_object *view, bool is_pretty, kd_slice *out_text) KD_MUST_CHECK;

/* What a new view keeps of its query: names found by the search path with their schemas, stars
 * written out, so that it means the same ever after. */
kd_status kdi_view_text_to_keep(kd_ctx *ctx, kd_run *run, kd_slice written,
                                kd_slice *out_text) KD_MUST_CHECK;

/* Views that may read what is about to be renamed. */
typedef struct kdi_renamed_views kdi_renamed_views;

/* Before an object (or one of its columns) gets another name or schema: `name` is the object's. */
kd_status kdi_views_before_rename(kd_ctx *ctx, kd_run *run, kd_slice name,
                                  kdi_renamed_views **out_views) KD_MUST_CHECK;
/* Afterwards: their texts are rewritten; 2BP01 for one that has no words for it. */
kd_status kdi_views_after_rename(kd_ctx *ctx, kd_run *run,
                                 const kdi_renamed_views *views) KD_MUST_CHECK;

#endif
