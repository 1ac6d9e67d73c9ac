/*
 * How tables and indexes are used, counted since the database was opened or pg_stat_reset() was
 * called: pg_stat_all_tables, pg_stat_all_indexes and their kin, pg_stat_database.
 *
 * Columns are PostgreSQL 15's. What has no counterpart here is NULL: dead rows are not counted,
 * blocks are not read through a cache of pages.
 */
#include "engine/system_view_internal.h"

/* In parts: the formatter does not settle on one long list. */
#define PG_STAT_TABLES_READ(X) \
    X(relid, OID)              \
    X(schemaname, TEXT)        \
    X(relname, TEXT)           \
    X(seq_scan, INT8) X(seq_tup_read, INT8) X(idx_scan, INT8) X(idx_tup_fetch, INT8)
#define PG_STAT_TABLES_WRITTEN(X) \
    X(n_tup_ins, INT8)            \
    X(n_tup_upd, INT8)            \
    X(n_tup_del, INT8)            \
    X(n_tup_hot_upd, INT8)        \
    X(n_live_tup, INT8)           \
    X(n_dead_tup, INT8) X(n_mod_since_analyze, INT8) X(n_ins_since_vacuum, INT8)
#define PG_STAT_TABLES(X)            \
    PG_STAT_TABLES_READ(X)           \
    PG_STAT_TABLES_WRITTEN(X)        \
    X(last_vacuum, TIMESTAMPTZ)      \
    X(last_autovacuum, TIMESTAMPTZ)  \
    X(last_analyze, TIMESTAMPTZ)     \
    X(last_autoanalyze, TIMESTAMPTZ) \
    X(vacuum_count, INT8)            \
    X(autovacuum_count, INT8) X(analyze_count, INT8) X(autoanalyze_count, INT8)

/* Which schemas a view shows. */
typedef enum shown {
    SHOWN_ALL,
    SHOWN_USER,
    SHOWN_SYSTEM,
} shown;

static bool is_shown(const kdi_sys_view *view, const kd_table_entry *table, shown which)
{
    bool is_system =
        kd_slice_equal(kdi_object_name(view, table->object.schema_no), KD_SLICE("pg_catalog"));
    return which == SHOWN_ALL || is_system == (which == SHOWN_SYSTEM);
}

/* NULL: a partitioned parent, which has no rows. */
static kd_table *storage_of(const kdi_sys_view *view, const kd_table_entry *table)
{
    return table->table_no == 0 ? NULL
                                : kd_table_find(view->session->database->storage, table->table_no);
}

kd_index_usage kdi_sys_index_usage(const kdi_sys_view *view, const kd_table_entry *table,
                                   const kd_table_index *index)
{
    uint64_t table_no = index->key_table_no != 0 ? index->key_table_no : table->table_no;
    kd_table *storage = kd_table_find(view->session->database->storage, table_no);
    return storage == NULL ? (kd_index_usage){0}
                           : kd_table_index_usage_get(storage, index->storage.index_no);
}

static kd_index_usage index_total(const kdi_sys_view *view, const kd_table_entry *table)
{
    kd_index_usage sum = {0};
    for (uint32_t i = 0; i < table->index_count; i++) {
        kd_index_usage usage = kdi_sys_index_usage(view, table, &table->indexes[i]);
        sum.scans += usage.scans;
        sum.entries += usage.entries;
        sum.rows += usage.rows;
    }
    return sum;
}

static void put_count(kdi_sys_view *view, uint64_t count)
{
    kdi_put_int8(view, (int64_t)count);
}

static void put_time(kdi_sys_view *view, const kd_analysis_times *times)
{
    if (times->count == 0)
        kdi_put_null(view);
    else
        kdi_put_timestamptz(view, times->last_us);
}

static kd_status put_table(kdi_sys_view *view, const kd_table_entry *table)
{
    kd_table *storage = storage_of(view, table);
    kd_table_usage usage = {0};
    kd_table_analysis analysis = {0};
    if (storage != NULL) {
        usage = kd_table_usage_get(storage);
        analysis = kd_table_analysis_get(storage);
    }
    kd_index_usage indexes = index_total(view, table);
    kdi_put_oid(view, table->object.object_no);
    kdi_put_text(view, kdi_object_name(view, table->object.schema_no));
    kdi_put_text(view, table->object.name);
    put_count(view, usage.scans);
    put_count(view, usage.scan_rows);
    if (table->index_count == 0) {
        kdi_put_nulls(view, 2);
    } else {
        put_count(view, indexes.scans);
        put_count(view, indexes.rows);
    }
    put_count(view, usage.inserted);
    put_count(view, usage.updated);
    put_count(view, usage.deleted);
    put_count(view, 0);
    put_count(view, storage == NULL ? 0 : kd_table_row_count_estimate(storage));
    kdi_put_null(view);
    put_count(view, analysis.rows_changed);
    put_count(view, usage.inserted);
    kdi_put_nulls(view, 2);
    put_time(view, &analysis.asked);
    put_time(view, &analysis.automatic);
    put_count(view, 0);
    put_count(view, 0);
    put_count(view, analysis.asked.count);
    put_count(view, analysis.automatic.count);
    return kdi_sys_emit(view);
}

static kd_status put_tables(kdi_sys_view *view, shown which)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        if (table != NULL && is_shown(view, table, which))
            KD_TRY(put_table(view, table));
    }
    return KD_OK;
}

static kd_status pg_stat_all_tables(kdi_sys_view *view)
{
    return put_tables(view, SHOWN_ALL);
}

static kd_status pg_stat_user_tables(kdi_sys_view *view)
{
    return put_tables(view, SHOWN_USER);
}

static kd_status pg_stat_sys_tables(kdi_sys_view *view)
{
    return put_tables(view, SHOWN_SYSTEM);
}

#define PG_STAT_INDEXES(X) \
    X(relid, OID)          \
    X(indexrelid, OID)     \
    X(schemaname, TEXT)    \
    X(relname, TEXT)       \
    X(indexrelname, TEXT) X(idx_scan, INT8) X(idx_tup_read, INT8) X(idx_tup_fetch, INT8)

static kd_status put_index(kdi_sys_view *view, const kd_table_entry *table,
                           const kd_table_index *index)
{
    kd_index_usage usage = kdi_sys_index_usage(view, table, index);
    kdi_put_oid(view, table->object.object_no);
    kdi_put_oid(view, index->object.object_no);
    kdi_put_text(view, kdi_object_name(view, table->object.schema_no));
    kdi_put_text(view, table->object.name);
    kdi_put_text(view, index->object.name);
    put_count(view, usage.scans);
    put_count(view, usage.entries);
    put_count(view, usage.rows);
    return kdi_sys_emit(view);
}

/* As in PostgreSQL, not those of partitioned parents, whose partitions have the entries: but for a
 * key over all partitions, which is stored by itself. */
static kd_status put_indexes(kdi_sys_view *view, shown which)
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        if (table == NULL || !is_shown(view, table, which))
            continue;
        for (uint32_t k = 0; k < table->index_count; k++)
            if (table->table_no != 0 || table->indexes[k].key_table_no != 0)
                KD_TRY(put_index(view, table, &table->indexes[k]));
    }
    return KD_OK;
}

static kd_status pg_stat_all_indexes(kdi_sys_view *view)
{
    return put_indexes(view, SHOWN_ALL);
}

static kd_status pg_stat_user_indexes(kdi_sys_view *view)
{
    return put_indexes(view, SHOWN_USER);
}

static kd_status pg_stat_sys_indexes(kdi_sys_view *view)
{
    return put_indexes(view, SHOWN_SYSTEM);
}

#define PG_STAT_DATABASE_ROWS(X) \
    X(datid, OID)                \
    X(datname, TEXT)             \
    X(numbackends, INT4)         \
    X(xact_commit, INT8)         \
    X(xact_rollback, INT8)       \
    X(blks_read, INT8)           \
    X(blks_hit, INT8)            \
    X(tup_returned, INT8)        \
    X(tup_fetched, INT8) X(tup_inserted, INT8) X(tup_updated, INT8) X(tup_deleted, INT8)
#define PG_STAT_DATABASE(X)               \
    PG_STAT_DATABASE_ROWS(X)              \
    X(conflicts, INT8)                    \
    X(temp_files, INT8)                   \
    X(temp_bytes, INT8)                   \
    X(deadlocks, INT8)                    \
    X(checksum_failures, INT8)            \
    X(checksum_last_failure, TIMESTAMPTZ) \
    X(blk_read_time, FLOAT8)              \
    X(blk_write_time, FLOAT8)             \
    X(session_time, FLOAT8)               \
    X(active_time, FLOAT8)                \
    X(idle_in_transaction_time, FLOAT8)   \
    X(sessions, INT8)                     \
    X(sessions_abandoned, INT8)           \
    X(sessions_fatal, INT8) X(sessions_killed, INT8) X(stats_reset, TIMESTAMPTZ)

static void put_reset_time(kdi_sys_view *view)
{
    int64_t reset_us =
        atomic_load_explicit(&view->session->database->usage_reset_us, memory_order_relaxed);
    if (reset_us == 0)
        kdi_put_null(view);
    else
        kdi_put_timestamptz(view, reset_us);
}

static kd_status pg_stat_database(kdi_sys_view *view)
{
    kd_database *database = view->session->database;
    kd_table_usage rows = {0};
    kd_index_usage fetched = {0};
    for (uint32_t i = 0; i < view->object_count; i++) {
        const kd_table_entry *table = kdi_as_table(view->objects[i]);
        kd_table *storage = table == NULL ? NULL : storage_of(view, table);
        if (storage == NULL)
            continue;
        kd_table_usage usage = kd_table_usage_get(storage);
        kd_index_usage indexes = index_total(view, table);
        rows.scan_rows += usage.scan_rows;
        rows.inserted += usage.inserted;
        rows.updated += usage.updated;
        rows.deleted += usage.deleted;
        fetched.entries += indexes.entries;
        fetched.rows += indexes.rows;
    }
    kd_mutex_lock(&database->mutex);
    int64_t session_count = database->session_count;
    kd_mutex_unlock(&database->mutex);
    kdi_transaction_counts transactions = kdi_transactions_counted(database);
    kdi_put_oid(view, KDI_DATABASE_NO);
    kdi_put_literal(view, database->name);
    kdi_put_int4(view, session_count);
    put_count(view, transactions.committed);
    put_count(view, transactions.rolled_back);
    kdi_put_nulls(view, 2);
    put_count(view, rows.scan_rows + fetched.entries);
    put_count(view, fetched.rows);
    put_count(view, rows.inserted);
    put_count(view, rows.updated);
    put_count(view, rows.deleted);
    put_count(view, 0); /* Nothing is cancelled on behalf of a replay. */
    kdi_put_nulls(view, 2);
    put_count(view, transactions.deadlocks);
    kdi_put_nulls(view, 11);
    put_reset_time(view);
    return kdi_sys_emit(view);
}

KDI_VIEW(pg_stat_all_tables, PG_STAT_TABLES)
KDI_VIEW(pg_stat_user_tables, PG_STAT_TABLES)
KDI_VIEW(pg_stat_sys_tables, PG_STAT_TABLES)
KDI_VIEW(pg_stat_all_indexes, PG_STAT_INDEXES)
KDI_VIEW(pg_stat_user_indexes, PG_STAT_INDEXES)
KDI_VIEW(pg_stat_sys_indexes, PG_STAT_INDEXES)
KDI_VIEW(pg_stat_database, PG_STAT_DATABASE)

const kd_virtual_table *kdi_usage_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_all_tables", pg_stat_all_tables),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_user_tables", pg_stat_user_tables),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_sys_tables", pg_stat_sys_tables),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_all_indexes", pg_stat_all_indexes),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_user_indexes", pg_stat_user_indexes),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_sys_indexes", pg_stat_sys_indexes),
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_database", pg_stat_database),
    };
    *out_count = sizeof views / sizeof *views;
    return views;
}
