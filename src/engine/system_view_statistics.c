/*
 * pg_stats: what the planner's samples say of each column.
 */
#include "engine/system_view_internal.h"

#include "engine/sample_store.h"

#include <math.h>
#include <stdlib.h>

enum { COMMON_MAX = 100, BOUNDS_MAX = 101 };

/* In two parts: the formatter does not settle on one long list. */
#define PG_STATS_OF(X) X(schemaname, TEXT) X(tablename, TEXT) X(attname, TEXT) X(inherited, BOOL)
#define PG_STATS(X)           \
    PG_STATS_OF(X)            \
    X(null_frac, FLOAT4)      \
    X(avg_width, INT4)        \
    X(n_distinct, FLOAT4)     \
    X(most_common_vals, TEXT) \
    X(most_common_freqs, TEXT) X(histogram_bounds, TEXT) X(correlation, FLOAT4)

/* A sampled value and where in the sample it stood. */
typedef struct placed_value {
    kd_value value;
    uint32_t row;
} placed_value;

/* Equal values that come one after the other in order. */
typedef struct value_run {
    uint32_t first, count;
} value_run;

typedef struct column_values {
    placed_value *items; /* Ascending, without NULLs. */
    uint32_t count, sampled;
    value_run *runs;
    uint32_t run_count, common_count; /* The most common runs come first. */
} column_values;

static int placed_order(const void *a, const void *b)
{
    const placed_value *left = a, *right = b;
    int order = kd_value_compare(&left->value, &right->value);
    return order != 0 ? order : left->row < right->row ? -1 : left->row > right->row;
}

static int run_order(const void *a, const void *b)
{
    const value_run *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return left->first < right->first ? -1 : left->first > right->first;
}

static bool has_order(kd_type type)
{
    return type.id != KD_TYPE_JSON && !type.is_array;
}

static kd_status values_order(kdi_sys_view *view, const kd_value *sampled, column_values *out)
{
    out->items = KD_NEW_ARRAY(view->ctx, view->arena, placed_value, out->sampled);
    out->runs = KD_NEW_ARRAY(view->ctx, view->arena, value_run, out->sampled);
    if (out->items == NULL || out->runs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < out->sampled; i++)
        if (!sampled[i].is_null)
            out->items[out->count++] = (placed_value){sampled[i], i};
    qsort(out->items, out->count, sizeof *out->items, placed_order);
    for (uint32_t i = 0; i < out->count; i++) {
        if (i > 0 && kd_value_compare(&out->items[i - 1].value, &out->items[i].value) == 0)
            out->runs[out->run_count - 1].count++;
        else
            out->runs[out->run_count++] = (value_run){i, 1};
    }
    qsort(out->runs, out->run_count, sizeof *out->runs, run_order);
    /* Common is what comes clearly more often than values do on the average. */
    double average = out->run_count == 0 ? 0 : (double)out->count / out->run_count;
    bool few = out->run_count <= COMMON_MAX && out->count > out->run_count * 2;
    while (out->common_count < out->run_count && out->common_count < COMMON_MAX &&
           out->runs[out->common_count].count > 1 &&
           (few || out->runs[out->common_count].count > average * 1.25))
        out->common_count++;
    return KD_OK;
}

static double average_width(const kd_value *sampled, uint32_t count)
{
    double bytes = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (sampled[i].is_null)
            continue;
        kd_physical physical = kd_type_physical(sampled[i].type);
        size_t size = kd_physical_bytes(physical);
        if (physical == KD_PHYS_STR) {
            size = kd_str_slice(&sampled[i].as.str).size_bytes;
            size += size < 127 ? 1 : 4; /* The length that PostgreSQL stores with it. */
        }
        bytes += (double)size;
        known++;
    }
    return known == 0 ? 0 : bytes / known;
}

static kd_status list_add(kdi_sys_view *view, kd_buffer *list, const kd_value *value)
{
    kd_buffer text = kd_buffer_in(view->arena);
    KD_TRY(kd_value_format(view->ctx, &view->session->text, value, &text));
    KD_TRY(kd_buffer_append_text(view->ctx, list, list->size_bytes == 0 ? "{" : ","));
    bool plain = text.size_bytes > 0;
    for (size_t i = 0; i < text.size_bytes && plain; i++)
        plain = strchr("{}\",\\ ", text.data[i]) == NULL;
    if (plain)
        return kd_buffer_append_slice(view->ctx, list, kd_buffer_slice(&text));
    KD_TRY(kd_buffer_append_byte(view->ctx, list, '"'));
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            KD_TRY(kd_buffer_append_byte(view->ctx, list, '\\'));
        KD_TRY(kd_buffer_append_byte(view->ctx, list, (uint8_t)text.data[i]));
    }
    return kd_buffer_append_byte(view->ctx, list, '"');
}

static kd_status put_list(kdi_sys_view *view, kd_buffer *list)
{
    if (list->size_bytes > 0)
        KD_TRY(kd_buffer_append_byte(view->ctx, list, '}'));
    kdi_put_text_or_null(view, kd_buffer_slice(list));
    return KD_OK;
}

static kd_status put_common(kdi_sys_view *view, const column_values *values)
{
    kd_buffer list = kd_buffer_in(view->arena), shares = kd_buffer_in(view->arena);
    for (uint32_t r = 0; r < values->common_count; r++) {
        KD_TRY(list_add(view, &list, &values->items[values->runs[r].first].value));
        KD_TRY(kd_buffer_append_format(view->ctx, &shares, "%s%.6g", r == 0 ? "{" : ",",
                                       (double)values->runs[r].count / values->sampled));
    }
    KD_TRY(put_list(view, &list));
    return put_list(view, &shares);
}

/* Buckets with equally many of the values that are not common. */
static kd_status put_histogram(kdi_sys_view *view, const column_values *values)
{
    kd_buffer list = kd_buffer_in(view->arena);
    uint32_t count = 0, *rest = KD_NEW_ARRAY(view->ctx, view->arena, uint32_t, values->count);
    bool *is_common = KD_NEW_ARRAY(view->ctx, view->arena, bool, values->count);
    if (rest == NULL || is_common == NULL)
        return KD_NOMEM;
    for (uint32_t r = 0; r < values->common_count; r++)
        for (uint32_t i = 0; i < values->runs[r].count; i++)
            is_common[values->runs[r].first + i] = true;
    for (uint32_t i = 0; i < values->count; i++) {
        rest[count] = i;
        count += !is_common[i];
    }
    uint32_t bounds = values->run_count - values->common_count < 2 ? 0
                      : count < BOUNDS_MAX                         ? count
                                                                   : BOUNDS_MAX;
    for (uint32_t b = 0; b < bounds; b++) {
        uint32_t at = (uint32_t)((uint64_t)b * (count - 1) / (bounds - 1));
        KD_TRY(list_add(view, &list, &values->items[rest[at]].value));
    }
    return put_list(view, &list);
}

/* Pearson's, of the rows' order with the values'. */
static void put_correlation(kdi_sys_view *view, const column_values *values)
{
    double n = values->count, sum = 0, squares = 0, products = 0;
    double other_sum = 0, other_squares = 0;
    for (uint32_t i = 0; i < values->count; i++) {
        double row = values->items[i].row, rank = i;
        sum += rank;
        squares += rank * rank;
        other_sum += row;
        other_squares += row * row;
        products += rank * row;
    }
    double spread = sqrt((n * squares - sum * sum) * (n * other_squares - other_sum * other_sum));
    if (values->count < 2 || !(spread > 0))
        kdi_put_null(view);
    else
        kdi_put_float4(view, (n * products - sum * other_sum) / spread);
}

static kd_status put_column(kdi_sys_view *view, const kd_table_entry *table, uint32_t position)
{
    kd_value *sampled;
    column_values values = {0};
    double distinct, population;
    kd_statistics statistics =
        kdi_sample_store_statistics(view->session->database->samples,
                                    kd_txn_snapshot(view->session->txn), &view->session->facts);
    KD_TRY(kdi_sample_store_column(view->ctx, &statistics, view->arena, table, position, &sampled,
                                   &values.sampled, &distinct, &population));
    if (values.sampled == 0)
        return KD_OK;
    if (has_order(table->columns[position].storage.type))
        KD_TRY(values_order(view, sampled, &values));
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < values.sampled; i++)
        nulls += sampled[i].is_null;
    kdi_put_text(view, kdi_object_name(view, table->object.schema_no));
    kdi_put_text(view, table->object.name);
    kdi_put_text(view, table->columns[position].storage.name);
    kdi_put_bool(view, false);
    kdi_put_float4(view, (double)nulls / values.sampled);
    kdi_put_int4(view, (int64_t)(average_width(sampled, values.sampled) + 0.5));
    /* As PostgreSQL has it: what grows with the table is a share of it, negated. */
    kdi_put_float4(view, distinct > population / 10 ? -distinct / population : distinct);
    KD_TRY(put_common(view, &values));
    KD_TRY(put_histogram(view, &values));
    put_correlation(view, &values);
    return kdi_sys_emit(view);
}

static kd_status pg_stats(kdi_sys_view *view)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        for (uint32_t c = 0; table != NULL && table->table_no != 0 && c < table->visible_count; c++)
            KD_TRY(put_column(view, table, c));
    }
    return KD_OK;
}

KDI_VIEW(pg_stats, PG_STATS)

const kd_virtual_table *kdi_statistics_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_stats", pg_stats),
    };
    *out_count = sizeof views / sizeof *views;
    return views;
}
