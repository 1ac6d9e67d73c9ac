/*
 * Row stores: rows kept by blocking operators, in governor pages of 256 KiB.
 *
 *   row:   [header, 0 or 16 bytes] [columns by descending alignment] [one NULL bit per column]
 *          [extra bytes, 16-aligned: aggregate states]
 *   page:  rows grow up from the start, bytes of far strings grow down from the end
 *
 * A far string points at bytes in its own page (or in a blob of the page, when a row's strings do
 * not fit one), so a page can be written to a file as it is and read back at another address: its
 * strings are moved by the difference.
 */
#ifndef KD_EXEC_ROW_STORE_INTERNAL_H
#define KD_EXEC_ROW_STORE_INTERNAL_H

#include "base/governor.h"
#include "exec/view_internal.h"

/* ---- The pages that one execution may use ---- */

typedef struct kdi_spill_file kdi_spill_file;

/* The statement's, or an operator's part of it: what a part uses is the statement's as well, whose
 * limit holds; the part only tells whose it was. */
typedef struct kdi_budget kdi_budget;
struct kdi_budget {
    kdi_budget *whole; /* NULL: this is it. */
    kd_governor *governor;
    kdi_spill_file *spill;
    kd_account account;       /* Heap memory beside the pages: slots, entries, lists of pages. */
    size_t limit_bytes;       /* SIZE_MAX: only the governor's. */
    atomic_size_t used_bytes; /* Pages. */
    atomic_size_t most_bytes; /* That a part has used, as far as was noted. */
    atomic_size_t spilled_bytes;
    atomic_size_t promised_bytes; /* What several threads will need soon, as for sorting. */
};

void kdi_budget_init(kdi_budget *budget, kd_governor *governor, size_t limit_bytes);
void kdi_budget_init_part(kdi_budget *part, kdi_budget *whole);
/* Notes what is used now and gives the most that was noted. */
size_t kdi_budget_most_bytes(kdi_budget *budget);
void kdi_budget_note_spill(kdi_budget *budget, size_t size_bytes);
/* The least of the statement's and the database's limit. */
size_t kdi_budget_limit_bytes(const kdi_budget *budget);
kd_status kdi_budget_get_page(kd_ctx *ctx, kdi_budget *budget, bool must_have,
                              void **out_page) KD_MUST_CHECK;
void kdi_budget_put_page(kdi_budget *budget, void *page);
/* Changes what one of the statement's operators will need, from `*promise` to `size_bytes`. */
void kdi_budget_promise(kdi_budget *budget, size_t *promise, size_t size_bytes);
/* Whether `more_bytes` and a few pages would not fit: time to spill. Operators ask before they take
 * a batch and then take what the batch needs, so that they never stop in the middle of one. */
bool kdi_budget_is_tight(const kdi_budget *budget, size_t more_bytes);

/* ---- Layout ---- */

typedef struct kdi_row_layout {
    uint32_t column_count;
    const kd_type *types;
    uint8_t *physicals;
    uint32_t *offsets;
    uint32_t null_offset;
    uint32_t extra_offset;
    uint32_t row_bytes;
    uint32_t str_count;
    uint32_t *str_columns;
} kdi_row_layout;

enum { KDI_ROW_HEADER_BYTES = 16 }; /* hash, next */

kd_status kdi_row_layout_init(kd_ctx *ctx, kd_arena *arena, const kd_type *types,
                              uint32_t column_count, bool has_header, uint32_t extra_bytes,
                              kdi_row_layout *out_layout) KD_MUST_CHECK;

static inline bool kdi_row_is_null(const kdi_row_layout *layout, const char *row, uint32_t column)
{
    return (row[layout->null_offset + column / 8] >> (column % 8)) & 1;
}

static inline const void *kdi_row_at(const kdi_row_layout *layout, const char *row, uint32_t column)
{
    return row + layout->offsets[column];
}

static inline uint64_t kdi_row_hash(const char *row)
{
    return kd_load_u64(row);
}

/* Whether two rows have the same values in `count` columns from `first`; NULL equals NULL. */
bool kdi_row_columns_equal(const kdi_row_layout *layout, const char *a, const char *b,
                           uint32_t first, uint32_t count);
kd_value kdi_row_get(const kdi_row_layout *layout, const char *row, uint32_t column);

/* ---- Store ---- */

/* Strings of one row that do not fit a page. */
typedef struct kdi_blob kdi_blob;
struct kdi_blob {
    kdi_blob *next;
    size_t size_bytes;
    char *memory; /* NULL: on disk. */
    uint64_t file_offset;
    uint64_t old_address; /* While on disk. */
    uint32_t checksum;    /* As was written. */
};

#define KDI_NOT_ON_FILE UINT64_MAX

typedef struct kdi_page {
    char *memory; /* NULL: on disk. */
    uint32_t row_count;
    uint32_t heap_start; /* Lowest byte used by strings. */
    uint32_t checksum;   /* While on disk: CRC-32C of rows and strings, as they were written. */
    kdi_blob *blobs;
    uint64_t file_offset; /* Its place in the file, KDI_NOT_ON_FILE: none. */
    uint64_t old_address;
} kdi_page;

typedef struct kdi_row_store {
    const kdi_row_layout *layout;
    kdi_budget *budget;
    kdi_page *pages;
    uint32_t page_count;
    uint32_t page_capacity;
    uint32_t spilled_count; /* Leading pages that were offered to the file already. */
    uint64_t row_count;
} kdi_row_store;

void kdi_row_store_init(kdi_row_store *store, kdi_budget *budget, const kdi_row_layout *layout);
/* Gives all pages back. The store can be used again. */
void kdi_row_store_clear(kd_world *world, kdi_row_store *store);

/*
 * Appends rows from views, one per column; `subset` (may be NULL) lists which of the views' rows.
 * `out_rows` receives the addresses. When the budget says no (and `must_have` is false), fewer
 * rows than `count` are appended: the caller spills and goes on with the rest.
 */
kd_status kdi_row_store_append(kd_ctx *ctx, kdi_row_store *store, const kdi_view *views,
                               const uint16_t *subset, uint32_t count, bool must_have,
                               char **out_rows, uint32_t *out_appended) KD_MUST_CHECK;
/* Copies one row of the same layout, header and extra bytes too. NULL: the budget said no. */
kd_status kdi_row_store_copy(kd_ctx *ctx, kdi_row_store *store, const char *row, bool must_have,
                             char **out_row) KD_MUST_CHECK;
/* Moves all pages of `source` to the end of `target`. */
kd_status kdi_row_store_move(kd_ctx *ctx, kdi_row_store *target,
                             kdi_row_store *source) KD_MUST_CHECK;

/* Forgets the rows but keeps the first page for the next ones. */
void kdi_row_store_rewind(kd_world *world, kdi_row_store *store);

/* Writes all pages in memory to the spill file (but the last one with `keep_last`, which is still
 * being filled). Addresses of their rows are void. */
kd_status kdi_row_store_spill(kd_ctx *ctx, kdi_row_store *store, bool keep_last) KD_MUST_CHECK;
/* Makes sure that a page is in memory. */
kd_status kdi_row_store_load(kd_ctx *ctx, kdi_row_store *store, uint32_t page_index) KD_MUST_CHECK;
/* Gives a page's memory back for good: its rows are gone. */
void kdi_row_store_drop_page(kd_world *world, kdi_row_store *store, uint32_t page_index);
void kdi_page_clear(kd_world *world, kdi_budget *budget, kdi_page *page);
/* A copy of a page that is on disk, in memory of its own; the caller clears it. */
kd_status kdi_page_read(kd_ctx *ctx, const kdi_row_store *store, uint32_t page_index,
                        kdi_page *out_page) KD_MUST_CHECK;

static inline char *kdi_page_row(const kdi_row_store *store, const kdi_page *page, uint32_t i)
{
    return page->memory + (size_t)i * store->layout->row_bytes;
}

/* Walks the rows of a store that is in memory. */
typedef struct kdi_row_cursor {
    uint32_t page;
    uint32_t row;
} kdi_row_cursor;

/* Up to `capacity` addresses; 0 at the end. */
uint32_t kdi_row_store_next(const kdi_row_store *store, kdi_row_cursor *cursor, uint32_t capacity,
                            char **out_rows);

/* One column of `count` rows into the FLAT vector, at positions[i] (NULL: i). The strings stay in
 * the store. */
void kdi_rows_gather(const kdi_row_layout *layout, uint32_t column, char *const *rows,
                     const uint16_t *positions, uint32_t count, kd_vector *target);

/* Keeps the pairs (view row subset[i], rows[i]) that are equal in the column, moving both arrays
 * up. NULL equals NULL. */
uint32_t kdi_rows_match(const kdi_row_layout *layout, uint32_t column, const kdi_view *view,
                        uint16_t *subset, char **rows, uint32_t count);

#endif
