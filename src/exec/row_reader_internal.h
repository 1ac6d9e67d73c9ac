/*
 * Reading rows of a store whose pages may be on disk: in order, or by number.
 *
 * A reader keeps a few pages of its own, so that several threads may read one store, which nobody
 * changes meanwhile. The rows of a page stay where they are until as many other pages as the
 * reader keeps have been read.
 */
#ifndef KD_EXEC_ROW_READER_INTERNAL_H
#define KD_EXEC_ROW_READER_INTERNAL_H

#include "exec/row_store_internal.h"

enum { KDI_READER_PAGES = 8 };

typedef struct kdi_row_reader {
    kd_world *world;
    const kdi_row_store *store;
    kdi_page pages[KDI_READER_PAGES];
    uint32_t page_index[KDI_READER_PAGES]; /* Of the store; UINT32_MAX: none. */
    uint64_t used_at[KDI_READER_PAGES];
    uint64_t clock;
    uint64_t *first_rows; /* By number: of each page, and the end. On the heap. */
    uint32_t near_page;   /* Where the last row asked for stood. */
} kdi_row_reader;

void kdi_row_reader_init(kdi_row_reader *reader, kd_world *world, const kdi_row_store *store);
void kdi_row_reader_clear(kdi_row_reader *reader); /* A zeroed one is allowed. */
/* A page that is in memory. */
kd_status kdi_row_reader_page(kd_ctx *ctx, kdi_row_reader *reader, uint32_t page_index,
                              const kdi_page **out_page) KD_MUST_CHECK;
/* Up to `capacity` rows of one page; 0 at the end. */
kd_status kdi_row_reader_next(kd_ctx *ctx, kdi_row_reader *reader, kdi_row_cursor *cursor,
                              uint32_t capacity, char **out_rows,
                              uint32_t *out_count) KD_MUST_CHECK;
/* The rows that are there now can be asked for by number. */
kd_status kdi_row_reader_number(kd_ctx *ctx, kdi_row_reader *reader) KD_MUST_CHECK;
kd_status kdi_row_reader_row(kd_ctx *ctx, kdi_row_reader *reader, uint64_t row,
                             char **out_row) KD_MUST_CHECK;

#endif
