/*
 * Row stores: layout, appending from views, reading back into vectors.
 */
#include "exec/row_store_internal.h"

#include "exec/spill_file_internal.h"

#include <assert.h>

/* ---- Budget ---- */

void kdi_budget_init(kdi_budget *budget, kd_governor *governor, size_t limit_bytes)
{
    budget->governor = governor;
    budget->limit_bytes = limit_bytes;
    kd_account *all = governor == NULL ? NULL : kd_governor_account(governor);
    kd_account_init(&budget->account, all, "statement", SIZE_MAX);
}

void kdi_budget_init_part(kdi_budget *part, kdi_budget *whole)
{
    part->whole = whole;
    part->governor = whole->governor;
    part->spill = whole->spill;
    part->limit_bytes = whole->limit_bytes;
    kd_account_init(&part->account, &whole->account, "operator", SIZE_MAX);
}

size_t kdi_budget_limit_bytes(const kdi_budget *budget)
{
    size_t all = kd_governor_budget_bytes(budget->governor);
    return budget->limit_bytes < all ? budget->limit_bytes : all;
}

size_t kdi_budget_most_bytes(kdi_budget *budget)
{
    size_t now = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) +
                 atomic_load_explicit(&budget->account.used_bytes, memory_order_relaxed);
    size_t most = atomic_load_explicit(&budget->most_bytes, memory_order_relaxed);
    while (most < now &&
           !atomic_compare_exchange_weak_explicit(&budget->most_bytes, &most, now,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    return most < now ? now : most;
}

void kdi_budget_note_spill(kdi_budget *budget, size_t size_bytes)
{
    for (; budget != NULL; budget = budget->whole)
        (void)atomic_fetch_add_explicit(&budget->spilled_bytes, size_bytes, memory_order_relaxed);
}

/* A part's page, beside the whole's account of it. */
static void part_note_page(kdi_budget *part)
{
    (void)atomic_fetch_add_explicit(&part->used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                    memory_order_relaxed);
    (void)kdi_budget_most_bytes(part);
}

kd_status kdi_budget_get_page(kd_ctx *ctx, kdi_budget *budget, bool must_have, void **out_page)
{
    if (budget->whole != NULL) {
        KD_TRY(kdi_budget_get_page(ctx, budget->whole, must_have, out_page));
        if (*out_page != NULL)
            part_note_page(budget);
        return KD_OK;
    }
    *out_page = NULL;
    size_t before = atomic_fetch_add_explicit(&budget->used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                              memory_order_relaxed);
    bool fits = must_have || before + KD_GOVERNOR_PAGE_BYTES <= budget->limit_bytes;
    kd_status status = KD_OK;
    if (fits)
        status = kd_governor_get_page(ctx, budget->governor, must_have, out_page);
    if (*out_page == NULL)
        (void)atomic_fetch_sub_explicit(&budget->used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                        memory_order_relaxed);
    return status;
}

void kdi_budget_put_page(kdi_budget *budget, void *page)
{
    if (page == NULL)
        return;
    kd_governor_put_page(budget->governor, page);
    for (; budget != NULL; budget = budget->whole)
        (void)atomic_fetch_sub_explicit(&budget->used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                        memory_order_relaxed);
}

void kdi_budget_promise(kdi_budget *budget, size_t *promise, size_t size_bytes)
{
    if (budget->whole != NULL)
        budget = budget->whole;
    if (size_bytes > *promise)
        (void)atomic_fetch_add_explicit(&budget->promised_bytes, size_bytes - *promise,
                                        memory_order_relaxed);
    else
        (void)atomic_fetch_sub_explicit(&budget->promised_bytes, *promise - size_bytes,
                                        memory_order_relaxed);
    *promise = size_bytes;
}

/* A statement within its share goes on when others have taken too much, which they give back at
 * their next batch: but not without end. */
static bool all_is_tight(const kdi_budget *budget, size_t own_bytes, size_t more_bytes)
{
    size_t total = kd_governor_used_bytes(budget->governor) + more_bytes;
    size_t all = kd_governor_budget_bytes(budget->governor);
    if (total <= all)
        return false;
    return own_bytes > kd_governor_share_bytes(budget->governor) || total > all + all / 8;
}

bool kdi_budget_is_tight(const kdi_budget *budget, size_t more_bytes)
{
    if (budget->whole != NULL)
        budget = budget->whole;
    size_t spare = 4 * (size_t)KD_GOVERNOR_PAGE_BYTES;
    size_t more =
        more_bytes + spare + atomic_load_explicit(&budget->promised_bytes, memory_order_relaxed);
    size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) +
                  atomic_load_explicit(&budget->account.used_bytes, memory_order_relaxed);
    if (budget->limit_bytes != SIZE_MAX && used + more > budget->limit_bytes)
        return true;
    return all_is_tight(budget, used + more, more);
}

/* ---- Layout ---- */

static uint32_t align_to(uint32_t offset, uint32_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

static uint32_t physical_alignment(uint8_t physical)
{
    if (physical == KD_PHYS_STR)
        return 8; /* Four would do; eight lets hashes load words. */
    if (physical == KD_PHYS_INTERVAL)
        return 8;
    return kd_physical_bytes((kd_physical)physical);
}

static uint32_t columns_place(kdi_row_layout *layout, uint32_t offset, uint32_t *row_alignment)
{
    for (uint32_t alignment = 16; alignment >= 1; alignment /= 2)
        for (uint32_t c = 0; c < layout->column_count; c++) {
            if (physical_alignment(layout->physicals[c]) != alignment)
                continue;
            if (alignment > *row_alignment)
                *row_alignment = alignment;
            offset = align_to(offset, alignment);
            layout->offsets[c] = offset;
            offset += kd_physical_bytes((kd_physical)layout->physicals[c]);
        }
    return offset;
}

kd_status kdi_row_layout_init(kd_ctx *ctx, kd_arena *arena, const kd_type *types,
                              uint32_t column_count, bool has_header, uint32_t extra_bytes,
                              kdi_row_layout *out_layout)
{
    kdi_row_layout *layout = out_layout;
    *layout = (kdi_row_layout){.column_count = column_count};
    kd_type *own_types = KD_NEW_ARRAY(ctx, arena, kd_type, column_count);
    layout->physicals = KD_NEW_ARRAY(ctx, arena, uint8_t, column_count);
    layout->offsets = KD_NEW_ARRAY(ctx, arena, uint32_t, column_count);
    layout->str_columns = KD_NEW_ARRAY(ctx, arena, uint32_t, column_count);
    if (own_types == NULL || layout->physicals == NULL || layout->offsets == NULL ||
        layout->str_columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < column_count; c++) {
        own_types[c] = types[c];
        layout->physicals[c] = (uint8_t)kd_type_physical(types[c]);
        if (layout->physicals[c] == KD_PHYS_STR)
            layout->str_columns[layout->str_count++] = c;
    }
    layout->types = own_types;
    uint32_t row_alignment = 8;
    uint32_t offset = columns_place(layout, has_header ? KDI_ROW_HEADER_BYTES : 0, &row_alignment);
    layout->null_offset = offset;
    offset += (column_count + 7) / 8;
    if (extra_bytes > 0) {
        row_alignment = 16;
        offset = align_to(offset, 16);
    }
    layout->extra_offset = offset;
    layout->row_bytes = align_to(offset + extra_bytes, row_alignment);
    if (layout->row_bytes == 0)
        layout->row_bytes = 8;
    if (layout->row_bytes > KD_GOVERNOR_PAGE_BYTES / 4)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "a row of %u columns is too wide to be processed",
                       column_count);
    return KD_OK;
}

bool kdi_row_columns_equal(const kdi_row_layout *layout, const char *a, const char *b,
                           uint32_t first, uint32_t count)
{
    for (uint32_t c = first; c < first + count; c++) {
        bool a_is_null = kdi_row_is_null(layout, a, c);
        bool b_is_null = kdi_row_is_null(layout, b, c);
        if (a_is_null != b_is_null)
            return false;
        if (!a_is_null && !kdi_payload_equal(layout->types[c], kdi_row_at(layout, a, c),
                                             kdi_row_at(layout, b, c)))
            return false;
    }
    return true;
}

kd_value kdi_row_get(const kdi_row_layout *layout, const char *row, uint32_t column)
{
    kd_value value = kd_value_null(layout->types[column]);
    if (kdi_row_is_null(layout, row, column))
        return value;
    value.is_null = false;
    memcpy(&value.as, kdi_row_at(layout, row, column),
           kd_physical_bytes((kd_physical)layout->physicals[column]));
    return value;
}

/* ---- Store ---- */

void kdi_row_store_init(kdi_row_store *store, kdi_budget *budget, const kdi_row_layout *layout)
{
    *store = (kdi_row_store){.layout = layout, .budget = budget};
}

void kdi_page_clear(kd_world *world, kdi_budget *budget, kdi_page *page)
{
    kdi_budget_put_page(budget, page->memory);
    page->memory = NULL;
    if (page->file_offset != KDI_NOT_ON_FILE)
        kdi_spill_file_put(budget->spill, page->file_offset);
    page->file_offset = KDI_NOT_ON_FILE;
    while (page->blobs != NULL) {
        kdi_blob *blob = page->blobs;
        page->blobs = blob->next;
        kd_heap_free(world, &budget->account, blob->memory);
        kd_heap_free(world, &budget->account, blob);
    }
}

void kdi_row_store_clear(kd_world *world, kdi_row_store *store)
{
    if (store->budget == NULL)
        return;
    for (uint32_t p = 0; p < store->page_count; p++)
        kdi_page_clear(world, store->budget, &store->pages[p]);
    kd_heap_free(world, &store->budget->account, store->pages);
    store->pages = NULL;
    store->page_count = store->page_capacity = store->spilled_count = 0;
    store->row_count = 0;
}

void kdi_row_store_rewind(kd_world *world, kdi_row_store *store)
{
    if (store->page_count == 0)
        return;
    for (uint32_t p = 1; p < store->page_count; p++)
        kdi_page_clear(world, store->budget, &store->pages[p]);
    kdi_page first = store->pages[0];
    if (first.memory == NULL || first.blobs != NULL || first.file_offset != KDI_NOT_ON_FILE) {
        kdi_row_store_clear(world, store);
        return;
    }
    store->pages[0] = (kdi_page){.memory = first.memory,
                                 .heap_start = KD_GOVERNOR_PAGE_BYTES,
                                 .file_offset = KDI_NOT_ON_FILE};
    store->page_count = 1;
    store->spilled_count = 0;
    store->row_count = 0;
}

static kd_status pages_reserve(kd_ctx *ctx, kdi_row_store *store, uint32_t more)
{
    if (store->page_count + more <= store->page_capacity)
        return KD_OK;
    uint32_t capacity = store->page_capacity == 0 ? 4 : store->page_capacity * 2;
    while (capacity < store->page_count + more)
        capacity *= 2;
    kdi_page *pages =
        kd_heap_resize(ctx, &store->budget->account, store->pages, capacity * sizeof *pages);
    if (pages == NULL)
        return KD_NOMEM;
    store->pages = pages;
    store->page_capacity = capacity;
    return KD_OK;
}

static kd_status page_add(kd_ctx *ctx, kdi_row_store *store, bool must_have, kdi_page **out_page)
{
    *out_page = NULL;
    KD_TRY(pages_reserve(ctx, store, 1));
    void *memory;
    KD_TRY(kdi_budget_get_page(ctx, store->budget, must_have, &memory));
    if (memory == NULL)
        return KD_OK;
    kdi_page *page = &store->pages[store->page_count++];
    *page = (kdi_page){
        .memory = memory, .heap_start = KD_GOVERNOR_PAGE_BYTES, .file_offset = KDI_NOT_ON_FILE};
    *out_page = page;
    return KD_OK;
}

static kd_status blob_add(kd_ctx *ctx, kdi_row_store *store, kdi_page *page, size_t size_bytes,
                          char **out_bytes)
{
    kd_account *account = &store->budget->account;
    kdi_blob *blob = KD_HEAP_NEW(ctx, account, kdi_blob);
    *out_bytes = NULL;
    if (blob == NULL)
        return KD_NOMEM;
    blob->memory = kd_heap_alloc_raw(ctx, account, size_bytes);
    if (blob->memory == NULL) {
        kd_heap_free(ctx->world, account, blob);
        return KD_NOMEM;
    }
    blob->next = page->blobs;
    blob->size_bytes = size_bytes;
    page->blobs = blob;
    *out_bytes = blob->memory;
    return KD_OK;
}

enum { BLOB_BYTES_MIN = KD_GOVERNOR_PAGE_BYTES / 2 };

/* Room for one row and the bytes of its far strings. `*out_row` NULL: the budget said no. */
static kd_status row_allocate(kd_ctx *ctx, kdi_row_store *store, size_t far_bytes, bool must_have,
                              char **out_row, char **out_far)
{
    uint32_t row_bytes = store->layout->row_bytes;
    bool in_blob = far_bytes > BLOB_BYTES_MIN;
    size_t needed = row_bytes + (in_blob ? 0 : far_bytes);
    *out_row = NULL;
    *out_far = NULL;
    kdi_page *page = store->page_count == 0 ? NULL : &store->pages[store->page_count - 1];
    if (page == NULL || page->memory == NULL ||
        (size_t)page->row_count * row_bytes + needed > page->heap_start) {
        KD_TRY(page_add(ctx, store, must_have, &page));
        if (page == NULL)
            return KD_OK;
    }
    if (in_blob) {
        KD_TRY(blob_add(ctx, store, page, far_bytes, out_far));
    } else {
        page->heap_start -= (uint32_t)far_bytes;
        *out_far = page->memory + page->heap_start;
    }
    *out_row = page->memory + (size_t)page->row_count * row_bytes;
    page->row_count++;
    store->row_count++;
    return KD_OK;
}

static size_t far_bytes_of(const kd_str *str)
{
    return str->size_bytes > KD_STR_INLINE_BYTES ? str->size_bytes : 0;
}

static size_t row_far_bytes(const kdi_row_layout *layout, const kdi_view *views, uint32_t i)
{
    size_t total = 0;
    for (uint32_t s = 0; s < layout->str_count; s++) {
        const kdi_view *view = &views[layout->str_columns[s]];
        if (!kdi_view_is_null(view, i))
            total += far_bytes_of(kdi_view_at(view, i));
    }
    return total;
}

/* Writes the strings of one row, far bytes to `far`. */
static void row_put_strings(const kdi_row_layout *layout, const kdi_view *views, uint32_t i,
                            char *row, char *far)
{
    for (uint32_t s = 0; s < layout->str_count; s++) {
        uint32_t c = layout->str_columns[s];
        const kdi_view *view = &views[c];
        if (kdi_view_is_null(view, i)) {
            memset(row + layout->offsets[c], 0, sizeof(kd_str));
            continue;
        }
        kd_str str;
        memcpy(&str, kdi_view_at(view, i), sizeof str);
        if (str.size_bytes > KD_STR_INLINE_BYTES) {
            memcpy(far, kd_str_data(&str), str.size_bytes);
            str = kd_str_from(far, str.size_bytes);
            far += str.size_bytes;
        }
        memcpy(row + layout->offsets[c], &str, sizeof str);
    }
}

#define SCATTER_LOOP(name, value_type)                                                          \
    static void name(const kdi_view *view, const uint16_t *subset, uint32_t count, char **rows, \
                     uint32_t offset)                                                           \
    {                                                                                           \
        const value_type *values = view->values;                                                \
        for (uint32_t i = 0; i < count; i++)                                                    \
            memcpy(rows[i] + offset, &values[view->index[subset == NULL ? i : subset[i]]],      \
                   sizeof(value_type));                                                         \
    }
typedef struct wide {
    uint64_t words[2];
} wide;
SCATTER_LOOP(scatter_1, uint8_t)
SCATTER_LOOP(scatter_2, uint16_t)
SCATTER_LOOP(scatter_4, uint32_t)
SCATTER_LOOP(scatter_8, uint64_t)
SCATTER_LOOP(scatter_16, wide)
#undef SCATTER_LOOP

static void column_scatter(const kdi_row_layout *layout, uint32_t column, const kdi_view *view,
                           const uint16_t *subset, uint32_t count, char **rows)
{
    uint32_t offset = layout->offsets[column];
    switch (view->value_bytes) {
    case 1:
        scatter_1(view, subset, count, rows, offset);
        break;
    case 2:
        scatter_2(view, subset, count, rows, offset);
        break;
    case 4:
        scatter_4(view, subset, count, rows, offset);
        break;
    case 8:
        scatter_8(view, subset, count, rows, offset);
        break;
    default:
        if (layout->physicals[column] != KD_PHYS_STR)
            scatter_16(view, subset, count, rows, offset);
        break;
    }
    if (view->validity == NULL)
        return;
    uint32_t byte = layout->null_offset + column / 8;
    for (uint32_t i = 0; i < count; i++) {
        bool is_null = kdi_view_is_null(view, subset == NULL ? i : subset[i]);
        rows[i][byte] = (char)(rows[i][byte] | (is_null << (column % 8)));
    }
}

kd_status kdi_row_store_append(kd_ctx *ctx, kdi_row_store *store, const kdi_view *views,
                               const uint16_t *subset, uint32_t count, bool must_have,
                               char **out_rows, uint32_t *out_appended)
{
    const kdi_row_layout *layout = store->layout;
    uint32_t null_bytes = (layout->column_count + 7) / 8;
    *out_appended = 0;
    uint32_t done = 0;
    for (; done < count; done++) {
        uint32_t i = subset == NULL ? done : subset[done];
        size_t far_bytes = layout->str_count == 0 ? 0 : row_far_bytes(layout, views, i);
        char *far;
        KD_TRY(row_allocate(ctx, store, far_bytes, must_have, &out_rows[done], &far));
        if (out_rows[done] == NULL)
            break;
        memset(out_rows[done] + layout->null_offset, 0, null_bytes);
        if (layout->str_count > 0)
            row_put_strings(layout, views, i, out_rows[done], far);
    }
    for (uint32_t c = 0; c < layout->column_count; c++)
        column_scatter(layout, c, &views[c], subset, done, out_rows);
    *out_appended = done;
    return KD_OK;
}

kd_status kdi_row_store_copy(kd_ctx *ctx, kdi_row_store *store, const char *row, bool must_have,
                             char **out_row)
{
    const kdi_row_layout *layout = store->layout;
    size_t far_bytes = 0;
    for (uint32_t s = 0; s < layout->str_count; s++)
        far_bytes += far_bytes_of(kdi_row_at(layout, row, layout->str_columns[s]));
    char *far;
    KD_TRY(row_allocate(ctx, store, far_bytes, must_have, out_row, &far));
    if (*out_row == NULL)
        return KD_OK;
    memcpy(*out_row, row, layout->row_bytes);
    for (uint32_t s = 0; s < layout->str_count && far_bytes > 0; s++) {
        uint32_t offset = layout->offsets[layout->str_columns[s]];
        kd_str str;
        memcpy(&str, row + offset, sizeof str);
        if (str.size_bytes <= KD_STR_INLINE_BYTES)
            continue;
        memcpy(far, kd_str_data(&str), str.size_bytes);
        str = kd_str_from(far, str.size_bytes);
        memcpy(*out_row + offset, &str, sizeof str);
        far += str.size_bytes;
    }
    return KD_OK;
}

kd_status kdi_row_store_move(kd_ctx *ctx, kdi_row_store *target, kdi_row_store *source)
{
    if (source->page_count == 0)
        return KD_OK;
    KD_TRY(pages_reserve(ctx, target, source->page_count));
    memcpy(target->pages + target->page_count, source->pages,
           source->page_count * sizeof *source->pages);
    target->page_count += source->page_count;
    target->row_count += source->row_count;
    source->page_count = source->spilled_count = 0;
    source->row_count = 0;
    return KD_OK;
}

uint32_t kdi_row_store_next(const kdi_row_store *store, kdi_row_cursor *cursor, uint32_t capacity,
                            char **out_rows)
{
    uint32_t count = 0;
    while (count < capacity && cursor->page < store->page_count) {
        const kdi_page *page = &store->pages[cursor->page];
        if (cursor->row >= page->row_count) {
            cursor->page++;
            cursor->row = 0;
            continue;
        }
        assert(page->memory != NULL);
        out_rows[count++] = kdi_page_row(store, page, cursor->row++);
    }
    return count;
}

#define GATHER_LOOP(name, value_type)                                               \
    static void name(char *const *rows, uint32_t offset, const uint16_t *positions, \
                     uint32_t count, value_type *values)                            \
    {                                                                               \
        if (positions == NULL) {                                                    \
            for (uint32_t i = 0; i < count; i++)                                    \
                memcpy(&values[i], rows[i] + offset, sizeof(value_type));           \
            return;                                                                 \
        }                                                                           \
        for (uint32_t i = 0; i < count; i++)                                        \
            memcpy(&values[positions[i]], rows[i] + offset, sizeof(value_type));    \
    }
GATHER_LOOP(gather_1, uint8_t)
GATHER_LOOP(gather_2, uint16_t)
GATHER_LOOP(gather_4, uint32_t)
GATHER_LOOP(gather_8, uint64_t)
GATHER_LOOP(gather_16, wide)
#undef GATHER_LOOP

void kdi_rows_gather(const kdi_row_layout *layout, uint32_t column, char *const *rows,
                     const uint16_t *positions, uint32_t count, kd_vector *target)
{
    assert(target->form == KD_VECTOR_FLAT && target->validity != NULL);
    uint32_t offset = layout->offsets[column];
    switch (kd_physical_bytes((kd_physical)layout->physicals[column])) {
    case 1:
        gather_1(rows, offset, positions, count, target->values);
        break;
    case 2:
        gather_2(rows, offset, positions, count, target->values);
        break;
    case 4:
        gather_4(rows, offset, positions, count, target->values);
        break;
    case 8:
        gather_8(rows, offset, positions, count, target->values);
        break;
    default:
        gather_16(rows, offset, positions, count, target->values);
        break;
    }
    uint32_t byte = layout->null_offset + column / 8;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = positions == NULL ? i : positions[i];
        uint64_t is_null = ((unsigned char)rows[i][byte] >> (column % 8)) & 1;
        uint64_t *word = &target->validity[position >> 6];
        *word = (*word & ~((uint64_t)1 << (position & 63))) | ((is_null ^ 1) << (position & 63));
    }
}

#define MATCH_LOOP(name, value_type)                                                           \
    static uint32_t name(const kdi_view *view, uint16_t *subset, char **rows, uint32_t offset, \
                         uint32_t count)                                                       \
    {                                                                                          \
        const value_type *values = view->values;                                               \
        uint32_t kept = 0;                                                                     \
        for (uint32_t i = 0; i < count; i++) {                                                 \
            value_type stored;                                                                 \
            memcpy(&stored, rows[i] + offset, sizeof stored);                                  \
            uint16_t position = subset[i];                                                     \
            char *row = rows[i];                                                               \
            subset[kept] = position;                                                           \
            rows[kept] = row;                                                                  \
            kept += stored == values[view->index[position]];                                   \
        }                                                                                      \
        return kept;                                                                           \
    }
MATCH_LOOP(match_1, uint8_t)
MATCH_LOOP(match_2, uint16_t)
MATCH_LOOP(match_4, uint32_t)
MATCH_LOOP(match_8, uint64_t)
#undef MATCH_LOOP

/* Strings whose bytes are their values. */
static uint32_t match_str(const kdi_view *view, uint16_t *subset, char **rows, uint32_t offset,
                          uint32_t count)
{
    const kd_str *values = view->values;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t position = subset[i];
        char *row = rows[i];
        subset[kept] = position;
        rows[kept] = row;
        kept += kd_str_equal((const kd_str *)(const void *)(row + offset),
                             &values[view->index[position]]);
    }
    return kept;
}

static uint32_t match_nulls(const kdi_row_layout *layout, uint32_t column, const kdi_view *view,
                            uint16_t *subset, char **rows, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t position = subset[i];
        char *row = rows[i];
        bool row_is_null = kdi_row_is_null(layout, row, column);
        bool is_null = kdi_view_is_null(view, position);
        subset[kept] = position;
        rows[kept] = row;
        if (row_is_null || is_null)
            kept += row_is_null == is_null;
        else
            kept += kdi_payload_equal(layout->types[column], kdi_row_at(layout, row, column),
                                      kdi_view_at(view, position));
    }
    return kept;
}

static bool rows_have_null(const kdi_row_layout *layout, uint32_t column, char *const *rows,
                           uint32_t count)
{
    uint32_t byte = layout->null_offset + column / 8;
    unsigned seen = 0;
    for (uint32_t i = 0; i < count; i++)
        seen |= (unsigned char)rows[i][byte];
    return (seen >> (column % 8)) & 1;
}

uint32_t kdi_rows_match(const kdi_row_layout *layout, uint32_t column, const kdi_view *view,
                        uint16_t *subset, char **rows, uint32_t count)
{
    bool text = kdi_type_is_plain_string(layout->types[column]);
    bool bitwise = kdi_type_is_bitwise(layout->types[column]) && view->value_bytes <= 8;
    if ((!bitwise && !text) || view->validity != NULL ||
        rows_have_null(layout, column, rows, count))
        return match_nulls(layout, column, view, subset, rows, count);
    uint32_t offset = layout->offsets[column];
    if (text)
        return match_str(view, subset, rows, offset, count);
    switch (view->value_bytes) {
    case 1:
        return match_1(view, subset, rows, offset, count);
    case 2:
        return match_2(view, subset, rows, offset, count);
    case 4:
        return match_4(view, subset, rows, offset, count);
    default:
        return match_8(view, subset, rows, offset, count);
    }
}
