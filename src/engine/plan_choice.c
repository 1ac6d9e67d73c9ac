/*
 * When a plan still serves: what it was made of, and whether the parameters' values matter to it.
 *
 * A general plan looks at the parameters when it is run: ranges of indexes, zone maps and
 * partitions are chosen then. What it cannot do is read a table in another way, or join in another
 * order, because a value is frequent. So it is not costs that are compared but what plans do: when
 * the first plans for values all do what the general one does, values do not matter.
 */
#include "engine/engine_internal.h"

#include "engine/sample_store.h"

enum { TRIES = 5, DEPTH_MAX = 500 };

/* --- What a plan was made of ------------------------------------------------------------------ */

typedef struct noting {
    kd_arena *arena;
    kd_storage *storage;
    kdi_plan_sources *sources;
} noting;

static kd_status note_table(kd_ctx *ctx, const noting *self, const kd_table_entry *entry)
{
    kdi_plan_sources *sources = self->sources;
    kd_table *table = kd_table_find(self->storage, entry->table_no);
    kdi_plan_source *added;
    for (uint32_t i = 0; i < sources->count; i++)
        if (sources->items[i].table_no == entry->table_no)
            return KD_OK;
    if (table == NULL)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, self->arena, sources->items, sources->count, sources->capacity, &added));
    *added =
        (kdi_plan_source){.table_no = entry->table_no, .rows = kd_table_row_count_estimate(table)};
    return KD_OK;
}

static kd_status note_plan(kd_ctx *ctx, const noting *self, const kd_plan *plan, uint32_t depth)
{
    if (plan == NULL || depth > DEPTH_MAX)
        return KD_OK;
    if (plan->kind == KD_PLAN_SCAN)
        KD_TRY(note_table(ctx, self, plan->as.scan.table));
    if (plan->kind == KD_PLAN_INDEX_SCAN)
        KD_TRY(note_table(ctx, self, plan->as.index_scan.table));
    for (int i = 0; i < 2; i++)
        KD_TRY(note_plan(ctx, self, plan->inputs[i], depth + 1));
    for (uint32_t i = 0; i < plan->more_count; i++)
        KD_TRY(note_plan(ctx, self, plan->more[i], depth + 1));
    return KD_OK;
}

kd_status kdi_plan_sources_note(kd_ctx *ctx, kd_arena *arena, kd_database *database,
                                const kd_statement_plan *plan, kdi_plan_sources *out_sources)
{
    noting self = {.arena = arena, .storage = database->storage, .sources = out_sources};
    *out_sources = (kdi_plan_sources){.analyses = atomic_load(&database->analyses)};
    KD_TRY(note_plan(ctx, &self, plan->root, 0));
    for (uint32_t i = 0; i < plan->cte_count; i++)
        KD_TRY(note_plan(ctx, &self, plan->ctes[i], 0));
    for (uint32_t i = 0; i < plan->modifying_count; i++)
        KD_TRY(note_plan(ctx, &self, plan->modifying[i].root, 0));
    return KD_OK;
}

bool kdi_plan_sources_changed(kd_database *database, const kdi_plan_sources *sources)
{
    if (sources->analyses != atomic_load(&database->analyses))
        return true;
    for (uint32_t i = 0; i < sources->count; i++) {
        kd_table *table = kd_table_find(database->storage, sources->items[i].table_no);
        if (table == NULL ||
            kdi_sample_is_old(sources->items[i].rows, kd_table_row_count_estimate(table)))
            return true;
    }
    return false;
}

/* --- General plans and those for values ------------------------------------------------------- */

bool kdi_plan_wants_values(const kd_prepared *prepared)
{
    const kdi_plan_choice *choice = &prepared->choice;
    if (prepared->class != KDI_QUERY || prepared->parameter_count == 0)
        return false;
    if (prepared->actuals != NULL) /* They are those of the statement's own plan. */
        return false;
    switch ((kdi_plan_mode)prepared->session->settings.plan_cache_mode) {
    case KDI_PLAN_GENERIC:
        return false;
    case KDI_PLAN_CUSTOM:
        return true;
    case KDI_PLAN_AUTO:
        break;
    }
    /* One row by its key: there is no better plan. */
    if (prepared->short_read != NULL || prepared->short_write != NULL)
        return false;
    return choice->tried < TRIES || choice->values_count;
}

void kdi_plan_note_values(kd_prepared *prepared, const kd_statement_plan *plan)
{
    kdi_plan_choice *choice = &prepared->choice;
    if (choice->tried < TRIES) {
        choice->tried++;
        choice->values_count |= kd_plan_shape(plan) != choice->shape;
    }
}
