/*
 * Which answers may be kept, and what says which answer it is.
 *
 * A query is repeatable when its answer follows from the rows of stored tables, the parameters and
 * what the key holds: no function but immutable ones, nothing that is read from elsewhere, no
 * references to rows, which move, no locks. The key is written out, not hashed: the catalog
 * version, what a text means by, the statement and its parameters.
 */
#include "engine/result_key.h"

#include "engine/result_cache.h"
#include "engine/session_role.h"
#include "sql/expr_walk.h"

typedef struct looking {
    const kd_bound_statement *bound;
    bool is_repeatable;
} looking;

static kd_status look_at_query(kd_ctx *ctx, looking *self, kd_rel *rel);

/* Texts of moments may be 'now'; those of rows and arrays may hold some. */
static bool cast_is_repeatable(kd_type from, kd_type to)
{
    bool is_parsed = kd_type_is_string(from) && !kd_type_is_string(to);
    bool is_plain = !to.is_array && (kd_type_is_number(to) || to.id == KD_TYPE_BOOL ||
                                     to.id == KD_TYPE_JSON || to.id == KD_TYPE_JSONB);
    return !kd_cast_is_stable(from, to) && (!is_parsed || is_plain);
}

static kd_status look_at_expr(kd_ctx *ctx, void *object, kd_expr **slot)
{
    looking *self = object;
    const kd_expr *expr = *slot;
    if (expr->function != NULL && expr->function->volatility != KD_IMMUTABLE)
        self->is_repeatable = false;
    if (expr->kind == KD_EXPR_CAST && !cast_is_repeatable(expr->arguments[0]->type, expr->type))
        self->is_repeatable = false;
    return expr->subquery == NULL ? KD_OK : look_at_query(ctx, self, expr->subquery);
}

static kd_status look_below(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return kd_expr_walk(ctx, slot, look_at_expr, object);
}

/* WITH queries are looked at once, from the statement's list. */
static bool is_listed(const kd_bound_statement *bound, const kd_cte *cte)
{
    for (uint32_t i = 0; i < bound->cte_count; i++)
        if (bound->ctes[i] == cte)
            return true;
    return false;
}

static bool reads_stored_rows(const looking *self, const kd_rel *rel)
{
    switch (rel->kind) {
    case KD_REL_SCAN:
        return rel->as.scan.ref_column == 0 && rel->as.scan.place == NULL;
    case KD_REL_CTE:
        return is_listed(self->bound, rel->as.cte.cte);
    case KD_REL_FUNCTION:
    case KD_REL_VIRTUAL:
    case KD_REL_LOCK:
        return false;
    default:
        return true;
    }
}

static kd_status look_at_query(kd_ctx *ctx, looking *self, kd_rel *rel)
{
    if (!self->is_repeatable)
        return KD_OK;
    self->is_repeatable = reads_stored_rows(self, rel);
    KD_TRY(kd_rel_visit_exprs(ctx, rel, look_below, self));
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(look_at_query(ctx, self, rel->inputs[i]));
    return KD_OK;
}

kd_status kdi_query_is_repeatable(kd_ctx *ctx, const kd_bound_statement *bound,
                                  bool *out_is_repeatable)
{
    looking self = {.bound = bound,
                    .is_repeatable = bound->kind == KD_DML_SELECT && !bound->for_update &&
                                     !bound->runs_routines && bound->modifying_cte_count == 0 &&
                                     bound->position_count == 0};
    for (uint32_t i = 0; i < bound->cte_count; i++)
        KD_TRY(look_at_query(ctx, &self, bound->ctes[i]->query));
    KD_TRY(look_at_query(ctx, &self, bound->query));
    *out_is_repeatable = self.is_repeatable;
    return KD_OK;
}

/* --- Keys ------------------------------------------------------------------------------------- */

bool kdi_reads_committed_rows(const kd_run *run)
{
    const kd_session *session = run->session;
    return session->settings.skip_damaged_rows == 0 && session->routine == NULL &&
           run->phase != NULL && !run->is_engines && !run->is_maintenance && !run->reads_latest &&
           !run->hides_own_work && !kd_txn_has_work(session->txn) &&
           kd_txn_isolation(session->txn) != KD_SERIALIZABLE;
}

static bool may_keep(const kd_run *run, const kd_prepared *prepared)
{
    const kd_session *session = run->session;
    return kdi_result_cache_is_on(session->database->results) &&
           session->settings.result_cache != 0 && prepared->is_repeatable && !prepared->reads_now &&
           kdi_reads_committed_rows(run);
}

static kd_status add_text(kd_ctx *ctx, kd_buffer *out, kd_slice text)
{
    KD_TRY(kd_buffer_append_u64(ctx, out, text.size_bytes));
    return kd_buffer_append_slice(ctx, out, text);
}

/* Values in the texts that read back the same. */
static kd_status add_parameter(kd_ctx *ctx, kd_buffer *out, const kd_run *run,
                               const kd_value *value)
{
    kd_text_settings exact = run->text;
    exact.date_style = KD_DATE_STYLE_ISO;
    exact.interval_style = KD_INTERVAL_STYLE_POSTGRES;
    exact.extra_float_digits = 1;
    exact.bytea_escape_output = false;
    KD_TRY(kd_buffer_append(ctx, out, &value->type, sizeof value->type));
    KD_TRY(kd_buffer_append_u64(ctx, out, value->is_null));
    size_t before = out->size_bytes;
    if (!value->is_null)
        KD_TRY(kd_value_format(ctx, &exact, value, out));
    return kd_buffer_append_u64(ctx, out, out->size_bytes - before);
}

kd_status kdi_result_key(kd_ctx *ctx, kd_arena *arena, const kd_run *run,
                         const kd_prepared *prepared, kd_slice *out_key, bool *out_is_kept)
{
    const kd_session *session = run->session;
    const kd_settings *settings = &session->settings;
    *out_is_kept = may_keep(run, prepared);
    if (!*out_is_kept)
        return KD_OK;
    kd_buffer key = kd_buffer_in(arena);
    const int64_t numbers[] = {
        (int64_t)kd_catalog_version_no(run->catalog),
        (int64_t)atomic_load(&session->database->function_changes),
        session->temp_schema_no,
        kdi_current_role_no(session),
        settings->session_role_no,
        settings->date_order,
        settings->date_style,
        settings->interval_style,
        settings->extra_float_digits,
        settings->bytea_escape,
        run->parameter_count,
    };
    KD_TRY(kd_buffer_append(ctx, &key, numbers, sizeof numbers));
    KD_TRY(add_text(ctx, &key, settings->search_path_text));
    KD_TRY(add_text(ctx, &key, settings->time_zone_name));
    KD_TRY(add_text(ctx, &key, prepared->statement_text));
    for (uint32_t i = 0; i < run->parameter_count; i++)
        KD_TRY(add_parameter(ctx, &key, run, &run->parameters[i]));
    *out_key = kd_buffer_slice(&key);
    return KD_OK;
}
