/*
 * How tables and indexes are used: counters since the database was opened, and what scans looked
 * for. Nothing of it is stored, and nothing of it may fail: what cannot be noted is not.
 *
 * Counters are kept several times over, each thread adding to one of the copies, so that threads
 * do not wait for each other's cache lines. Whoever reads them adds the copies up.
 */
#ifndef KD_TABLE_USAGE_H
#define KD_TABLE_USAGE_H

#include "table/table.h"

/* Rows that a transaction wrote count though it was rolled back. */
typedef struct kd_table_usage {
    uint64_t scans, scan_rows; /* Scans of the whole table, and visible rows that they read. */
    uint64_t inserted, updated, deleted;
} kd_table_usage;

typedef struct kd_index_usage {
    uint64_t scans;   /* Look-ups and ranges. */
    uint64_t entries; /* That those gave. */
    uint64_t rows;    /* That were visible. */
    uint64_t reads;   /* Of the table, by whatever way, since the index was made. */
} kd_index_usage;

/* Adds to the counters of the table; fields that are 0 cost nothing. */
void kd_table_count(kd_table *table, const kd_table_usage *added);
/* The same of an index (but for `reads`); nothing when there is none of that number. */
void kd_table_count_index(kd_table *table, uint64_t index_no, const kd_index_usage *added);
kd_table_usage kd_table_usage_get(kd_table *table);
kd_index_usage kd_table_index_usage_get(kd_table *table, uint64_t index_no);

/*
 * What scans of the whole table asked of columns that an index could have answered. A table keeps
 * few of them: when there is no room, the one that read the fewest rows makes way.
 */
enum { KD_SEARCH_COLUMNS_MAX = 4, KD_SEARCHES_MAX = 16, KD_SEARCH_ROWS_MIN = 1000 };

typedef struct kd_table_search {
    bool is_range;         /* One column, compared with <, <=, > or >=. */
    uint32_t column_count; /* Else: compared for equality, alone or in a list. */
    uint32_t column_nos[KD_SEARCH_COLUMNS_MAX]; /* Ascending. */
    uint64_t scans, rows_read, rows_passed;
} kd_table_search;

/* Adds a scan; one that read fewer than KD_SEARCH_ROWS_MIN rows is not worth an index. */
void kd_table_note_search(kd_table *table, const kd_table_search *search);
/* Copies what is kept into `out_searches` (room for KD_SEARCHES_MAX); returns how many. */
uint32_t kd_table_searches(kd_table *table, kd_table_search *out_searches);

/* When statistics for the planner were taken: asked for by ANALYZE, or by the planner itself. */
typedef struct kd_analysis_times {
    uint64_t count;
    int64_t last_us; /* Since 1970; no meaning while the count is 0. */
} kd_analysis_times;

typedef struct kd_table_analysis {
    kd_analysis_times asked, automatic;
    uint64_t rows_changed; /* Since the last of them. */
} kd_table_analysis;

void kd_table_note_analysis(kd_table *table, bool is_asked);
kd_table_analysis kd_table_analysis_get(kd_table *table);

/* What an index takes, in memory and in files. */
uint64_t kd_table_index_bytes(kd_table *table, uint64_t index_no);

/* Forgets counters, searches and analyses. Of what is counted meanwhile some may stay. */
void kd_table_usage_reset(kd_table *table);

#endif
