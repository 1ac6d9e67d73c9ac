/*
 * Plans that are kept.
 *
 * A session keeps the statements that it was asked for by their texts when they are done with, and
 * takes them out again when the same text comes: whoever has a statement has it alone. A statement
 * that was taken is planned anew where the catalog, settings or statistics have changed, as any
 * prepared one is. All of it belongs to the session's thread.
 *
 * With parameters, the first runs get plans of their own, made for the values. When all of those
 * did what the general plan does, that one serves from then on.
 */
#ifndef KD_ENGINE_PLAN_CACHE_H
#define KD_ENGINE_PLAN_CACHE_H

#include "engine/statement.h"
#include "plan/physical.h"

enum { KDI_PLAN_BUCKETS = 256 };

/* plan_cache_mode */
typedef enum kdi_plan_mode {
    KDI_PLAN_AUTO = 0,
    KDI_PLAN_GENERIC,
    KDI_PLAN_CUSTOM,
} kdi_plan_mode;

/* The statements of one session that nobody has. Zeroed: empty. */
typedef struct kdi_plan_cache {
    kd_prepared *buckets[KDI_PLAN_BUCKETS];
    kd_prepared *newest, *oldest;
    uint32_t count;
    size_t used_bytes;
    bool is_closed; /* The session ends: nothing is kept any more. */
} kdi_plan_cache;

/* A statement's place in it. */
typedef struct kdi_plan_place {
    kd_prepared *next; /* In the bucket. */
    kd_prepared *newer, *older;
    uint64_t hash;
    size_t bytes;
    uint64_t uses; /* How often it was taken. */
} kdi_plan_place;

/* NULL: there is none of this text. */
kd_prepared *kdi_plan_cache_take(kd_session *session, kd_slice text);
/* False: it is not worth keeping, or there is no room. The least recently used make way. */
bool kdi_plan_cache_keep(kd_prepared *prepared);
/* DISCARD PLANS. */
void kdi_plan_cache_clear(kd_session *session);
/* From now on nothing is kept. */
void kdi_plan_cache_close(kd_session *session);

/* A table that a plan was made for, and how many rows it had. */
typedef struct kdi_plan_source {
    uint64_t table_no;
    uint64_t rows;
} kdi_plan_source;

/* What statistics a plan was made of. */
typedef struct kdi_plan_sources {
    uint32_t count;
    size_t capacity;
    kdi_plan_source *items;
    uint64_t analyses; /* That had been run by then. */
} kdi_plan_sources;

kd_status kdi_plan_sources_note(kd_ctx *ctx, kd_arena *arena, kd_database *database,
                                const kd_statement_plan *plan,
                                kdi_plan_sources *out_sources) KD_MUST_CHECK;
/* Whether a plan made now could well be another one: ANALYZE has run, or a table has grown or
 * shrunk so much that its sample is taken anew. */
bool kdi_plan_sources_changed(kd_database *database, const kdi_plan_sources *sources);

/* General plans and those for values. */
typedef struct kdi_plan_choice {
    uint32_t tried;    /* Plans for values since the general one was made. */
    uint64_t shape;    /* Of the general one. */
    bool values_count; /* One of them did something else. */
    uint64_t generic_runs, custom_runs;
} kdi_plan_choice;

/* Whether the next run of the statement, which has a plan, wants one for its values. */
bool kdi_plan_wants_values(const kd_prepared *prepared);
void kdi_plan_note_values(kd_prepared *prepared, const kd_statement_plan *plan);

#endif
