/*
 * Counters of tables and indexes, and notes of searches.
 */
#include "table/usage.h"

#include "table/table_internal.h"

#include <string.h>

/* Numbered from 1 as threads count for the first time; 0: not yet. */
static _Thread_local unsigned thread_no;
static atomic_uint last_thread_no;

/* The first threads have copies to themselves, which they change without locking the line. */
static bool has_own_copy(void)
{
    return thread_no <= KDI_USAGE_OWN_COPIES;
}

static _Atomic uint64_t *counts_of_thread(kdi_usage *usage)
{
    if (thread_no == 0)
        thread_no = atomic_fetch_add_explicit(&last_thread_no, 1, memory_order_relaxed) + 1;
    unsigned shared = thread_no % (KDI_USAGE_COPIES - KDI_USAGE_OWN_COPIES);
    unsigned copy = has_own_copy() ? thread_no - 1 : KDI_USAGE_OWN_COPIES + shared;
    return usage->copies[copy].counts;
}

static void count_add(_Atomic uint64_t *count, uint64_t added)
{
    if (added == 0)
        return;
    if (has_own_copy())
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + added,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(count, added, memory_order_relaxed);
}

static uint64_t total(kdi_usage *usage, kdi_usage_count which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < KDI_USAGE_COPIES; i++)
        sum += atomic_load_explicit(&usage->copies[i].counts[which], memory_order_relaxed);
    return sum;
}

static void clear(kdi_usage *usage)
{
    for (unsigned i = 0; i < KDI_USAGE_COPIES; i++)
        for (unsigned c = 0; c < KDI_USAGE_COUNTS; c++)
            atomic_store_explicit(&usage->copies[i].counts[c], 0, memory_order_relaxed);
}

void kdi_count_key(kdi_index *index, bool found)
{
    kdi_usage_count which = found ? KDI_INDEX_KEYS_FOUND : KDI_INDEX_KEYS_MISSED;
    count_add(&counts_of_thread(&index->usage)[which], 1);
}

void kd_table_count(kd_table *table, const kd_table_usage *added)
{
    _Atomic uint64_t *counts = counts_of_thread(&table->usage);
    count_add(&counts[KDI_TABLE_SCANS], added->scans);
    count_add(&counts[KDI_TABLE_SCAN_ROWS], added->scan_rows);
    count_add(&counts[KDI_TABLE_INSERTED], added->inserted);
    count_add(&counts[KDI_TABLE_UPDATED], added->updated);
    count_add(&counts[KDI_TABLE_DELETED], added->deleted);
}

void kd_table_count_index(kd_table *table, uint64_t index_no, const kd_index_usage *added)
{
    kdi_index *index = kdi_index_find(table, index_no);
    if (index == NULL)
        return;
    _Atomic uint64_t *counts = counts_of_thread(&index->usage);
    count_add(&counts[KDI_INDEX_SCANS], added->scans);
    count_add(&counts[KDI_INDEX_ENTRIES], added->entries);
    count_add(&counts[KDI_INDEX_ROWS], added->rows);
}

kd_table_usage kd_table_usage_get(kd_table *table)
{
    kdi_usage *usage = &table->usage;
    return (kd_table_usage){.scans = total(usage, KDI_TABLE_SCANS),
                            .scan_rows = total(usage, KDI_TABLE_SCAN_ROWS),
                            .inserted = total(usage, KDI_TABLE_INSERTED),
                            .updated = total(usage, KDI_TABLE_UPDATED),
                            .deleted = total(usage, KDI_TABLE_DELETED)};
}

static uint64_t index_scans(kdi_usage *usage)
{
    return total(usage, KDI_INDEX_SCANS) + total(usage, KDI_INDEX_KEYS_FOUND) +
           total(usage, KDI_INDEX_KEYS_MISSED);
}

static uint64_t table_reads(kd_table *table)
{
    uint64_t reads = total(&table->usage, KDI_TABLE_SCANS);
    const kdi_index_list *list = atomic_load_explicit(&table->indexes, memory_order_acquire);
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        reads += index_scans(&list->items[i]->usage);
    return reads;
}

void kdi_usage_begin(kdi_index *index)
{
    atomic_store_explicit(&index->reads_before, table_reads(index->table), memory_order_relaxed);
}

kd_index_usage kd_table_index_usage_get(kd_table *table, uint64_t index_no)
{
    kdi_index *index = kdi_index_find(table, index_no);
    if (index == NULL)
        return (kd_index_usage){0};
    uint64_t found = total(&index->usage, KDI_INDEX_KEYS_FOUND);
    uint64_t before = atomic_load_explicit(&index->reads_before, memory_order_relaxed);
    uint64_t reads = table_reads(table); /* Dropped indexes have taken theirs along. */
    return (kd_index_usage){.scans = index_scans(&index->usage),
                            .entries = total(&index->usage, KDI_INDEX_ENTRIES) + found,
                            .rows = total(&index->usage, KDI_INDEX_ROWS) + found,
                            .reads = reads > before ? reads - before : 0};
}

static bool same_search(const kd_table_search *a, const kd_table_search *b)
{
    return a->is_range == b->is_range && a->column_count == b->column_count &&
           memcmp(a->column_nos, b->column_nos, a->column_count * sizeof *a->column_nos) == 0;
}

/* Where `search` is kept, or may be. The lock is held. */
static kd_table_search *search_place(kdi_searches *kept, const kd_table_search *search)
{
    kd_table_search *least = &kept->items[0];
    for (uint32_t i = 0; i < kept->count; i++) {
        if (same_search(&kept->items[i], search))
            return &kept->items[i];
        if (kept->items[i].rows_read < least->rows_read)
            least = &kept->items[i];
    }
    if (kept->count < KD_SEARCHES_MAX)
        least = &kept->items[kept->count++];
    *least = *search;
    least->scans = least->rows_read = least->rows_passed = 0;
    return least;
}

void kd_table_note_search(kd_table *table, const kd_table_search *search)
{
    if (search->rows_read < KD_SEARCH_ROWS_MIN || search->column_count == 0)
        return;
    kd_mutex_lock(&table->usage_lock);
    if (table->searches == NULL) {
        kd_ctx own = {.world = table->storage->world};
        table->searches = KD_HEAP_NEW(&own, &table->storage->account, kdi_searches);
    }
    if (table->searches != NULL) {
        kd_table_search *kept = search_place(table->searches, search);
        kept->scans += search->scans;
        kept->rows_read += search->rows_read;
        kept->rows_passed += search->rows_passed;
    }
    kd_mutex_unlock(&table->usage_lock);
}

uint32_t kd_table_searches(kd_table *table, kd_table_search *out_searches)
{
    uint32_t count = 0;
    kd_mutex_lock(&table->usage_lock);
    if (table->searches != NULL) {
        count = table->searches->count;
        memcpy(out_searches, table->searches->items, count * sizeof *out_searches);
    }
    kd_mutex_unlock(&table->usage_lock);
    return count;
}

static void index_clear(kdi_index *index)
{
    clear(&index->usage);
    atomic_store_explicit(&index->reads_before, 0, memory_order_relaxed);
}

static uint64_t rows_changed(kd_table *table)
{
    kd_table_usage usage = kd_table_usage_get(table);
    return usage.inserted + usage.updated + usage.deleted;
}

void kd_table_note_analysis(kd_table *table, bool is_asked)
{
    kd_world *world = table->storage->world;
    uint64_t changed = rows_changed(table);
    kd_mutex_lock(&table->usage_lock);
    kd_analysis_times *times = is_asked ? &table->analysis.asked : &table->analysis.automatic;
    times->count++;
    times->last_us = world->wall_us(world);
    table->rows_changed_before = changed;
    kd_mutex_unlock(&table->usage_lock);
}

kd_table_analysis kd_table_analysis_get(kd_table *table)
{
    uint64_t changed = rows_changed(table);
    kd_mutex_lock(&table->usage_lock);
    kd_table_analysis analysis = table->analysis;
    uint64_t before = table->rows_changed_before;
    kd_mutex_unlock(&table->usage_lock);
    analysis.rows_changed = changed > before ? changed - before : 0;
    return analysis;
}

uint64_t kd_table_index_bytes(kd_table *table, uint64_t index_no)
{
    const kdi_index *index = kdi_index_find(table, index_no);
    return index == NULL ? 0 : kd_index_size_bytes(index->index);
}

void kd_table_usage_reset(kd_table *table)
{
    clear(&table->usage);
    const kdi_index_list *list = atomic_load_explicit(&table->indexes, memory_order_acquire);
    for (uint32_t i = 0; list != NULL && i < list->count; i++)
        index_clear(list->items[i]);
    kd_mutex_lock(&table->usage_lock);
    if (table->searches != NULL)
        table->searches->count = 0;
    table->analysis = (kd_table_analysis){0};
    table->rows_changed_before = 0;
    kd_mutex_unlock(&table->usage_lock);
}
