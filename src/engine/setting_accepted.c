/*
 * PostgreSQL's settings that KadeDB takes and shows but that change nothing here: its planner's
 * switches and costs, its compiler, and what dumps and drivers set before they begin. A value is
 * checked as far as its kind goes.
 */
#include "engine/setting_internal.h"

#include "types/number_text.h"

#include <math.h>

static const kdi_accepted_setting accepted[] = {
    {"backslash_quote", "enum", "safe_encoding", "safe_encoding|on|off"},
    {"check_function_bodies", "bool", "on", NULL},
    {"constraint_exclusion", "enum", "partition", "partition|on|off"},
    {"cpu_index_tuple_cost", "real", "0.005", NULL},
    {"cpu_operator_cost", "real", "0.0025", NULL},
    {"cpu_tuple_cost", "real", "0.01", NULL},
    {"cursor_tuple_fraction", "real", "0.1", NULL},
    {"default_statistics_target", "integer", "100", NULL},
    {"default_table_access_method", "string", "heap", NULL},
    {"default_tablespace", "string", "", NULL},
    {"default_transaction_deferrable", "bool", "off", NULL},
    {"effective_cache_size", "size", "4GB", NULL},
    {"effective_io_concurrency", "integer", "1", NULL},
    {"enable_async_append", "bool", "on", NULL},
    {"enable_bitmapscan", "bool", "on", NULL},
    {"enable_gathermerge", "bool", "on", NULL},
    {"enable_hashagg", "bool", "on", NULL},
    {"enable_incremental_sort", "bool", "on", NULL},
    {"enable_indexonlyscan", "bool", "on", NULL},
    {"enable_material", "bool", "on", NULL},
    {"enable_memoize", "bool", "on", NULL},
    {"enable_mergejoin", "bool", "on", NULL},
    {"enable_nestloop", "bool", "on", NULL},
    {"enable_parallel_append", "bool", "on", NULL},
    {"enable_parallel_hash", "bool", "on", NULL},
    {"enable_partition_pruning", "bool", "on", NULL},
    {"enable_partitionwise_aggregate", "bool", "off", NULL},
    {"enable_partitionwise_join", "bool", "off", NULL},
    {"enable_seqscan", "bool", "on", NULL},
    {"enable_sort", "bool", "on", NULL},
    {"enable_tidscan", "bool", "on", NULL},
    {"escape_string_warning", "bool", "on", NULL},
    {"force_parallel_mode", "enum", "off", "off|on|regress"},
    {"from_collapse_limit", "integer", "8", NULL},
    {"geqo", "bool", "on", NULL},
    {"geqo_effort", "integer", "5", NULL},
    {"geqo_threshold", "integer", "12", NULL},
    {"hash_mem_multiplier", "real", "2", NULL},
    {"jit", "bool", "on", NULL},
    {"jit_above_cost", "real", "100000", NULL},
    {"jit_expressions", "bool", "on", NULL},
    {"jit_inline_above_cost", "real", "500000", NULL},
    {"jit_optimize_above_cost", "real", "500000", NULL},
    {"jit_tuple_deforming", "bool", "on", NULL},
    {"lc_messages", "string", "C", NULL},
    {"lc_monetary", "string", "C", NULL},
    {"lc_numeric", "string", "C", NULL},
    {"lc_time", "string", "C", NULL},
    {"maintenance_io_concurrency", "integer", "10", NULL},
    {"max_parallel_maintenance_workers", "integer", "2", NULL},
    {"max_parallel_workers", "integer", "8", NULL},
    {"max_parallel_workers_per_gather", "integer", "2", NULL},
    {"max_stack_depth", "size", "2MB", NULL},
    {"min_parallel_index_scan_size", "size", "512kB", NULL},
    {"min_parallel_table_scan_size", "size", "8MB", NULL},
    {"parallel_leader_participation", "bool", "on", NULL},
    {"parallel_setup_cost", "real", "1000", NULL},
    {"parallel_tuple_cost", "real", "0.1", NULL},
    {"random_page_cost", "real", "4", NULL},
    {"row_security", "bool", "on", NULL},
    {"seq_page_cost", "real", "1", NULL},
    {"synchronize_seqscans", "bool", "on", NULL},
    {"temp_tablespaces", "string", "", NULL},
    {"track_activities", "bool", "on", NULL},
    {"track_counts", "bool", "on", NULL},
    {"track_io_timing", "bool", "off", NULL},
    {"xmlbinary", "enum", "base64", "base64|hex"},
    {"xmloption", "enum", "content", "content|document"},
};
enum { ACCEPTED_COUNT = sizeof accepted / sizeof *accepted };

const kdi_accepted_setting *kdi_accepted_at(uint32_t index)
{
    return index < ACCEPTED_COUNT ? &accepted[index] : NULL;
}

const kdi_accepted_setting *kdi_accepted_find(kd_slice name)
{
    for (size_t i = 0; i < ACCEPTED_COUNT; i++)
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(accepted[i].name)))
            return &accepted[i];
    return NULL;
}

uint32_t kdi_accepted_index(const kdi_accepted_setting *it)
{
    return (uint32_t)(it - accepted);
}

/* The label of "a|b|c" that the value is, in any case. */
static bool find_label(const char *labels, kd_slice value, kd_slice *out)
{
    for (const char *at = labels; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        const char *end = strchr(at, '|');
        *out = (kd_slice){at, end == NULL ? strlen(at) : (size_t)(end - at)};
        if (kd_slice_equal_ignoring_case(value, *out))
            return true;
    }
    return false;
}

/* Digits, and for sizes a unit after them. */
static bool is_number(kd_slice value, bool is_size)
{
    static const char *const units[] = {"", "b", "kb", "mb", "gb", "tb"};
    size_t digits = 0;
    while (digits < value.size_bytes && (strchr("+-.", value.data[digits]) != NULL ||
                                         (value.data[digits] >= '0' && value.data[digits] <= '9')))
        digits++;
    kd_slice unit = {value.data + digits, value.size_bytes - digits};
    double number;
    if (!is_size)
        return kd_parse_double_fast(value, &number) && isfinite(number);
    bool is_known = false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        is_known |= kd_slice_equal_ignoring_case(unit, kd_slice_of(units[i]));
    return is_known && kd_parse_double_fast((kd_slice){value.data, digits}, &number);
}

kd_status kdi_accepted_check(kd_ctx *ctx, const kdi_accepted_setting *it, kd_slice value,
                             kd_slice *out_value)
{
    *out_value = value;
    int64_t is_on;
    if (strcmp(it->kind, "string") == 0)
        return KD_OK;
    if (strcmp(it->kind, "bool") == 0) {
        if (!kdi_setting_parse_bool(value, &is_on))
            return KD_FAIL(ctx, KD_INVALID, "22023", "parameter \"%s\" requires a Boolean value",
                           it->name);
        *out_value = kd_slice_of(is_on != 0 ? "on" : "off");
        return KD_OK;
    }
    bool is_right = strcmp(it->kind, "enum") == 0 ? find_label(it->labels, value, out_value)
                                                  : is_number(value, strcmp(it->kind, "size") == 0);
    if (is_right)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22023", "invalid value for parameter \"%s\": \"%.*s\"",
                   it->name, (int)value.size_bytes, value.data);
}
