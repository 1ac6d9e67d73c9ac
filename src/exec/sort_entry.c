/*
 * Sort entries: normalised key prefixes, their comparison, and sorting them: by one byte after the
 * other from the front, down to groups that are sorted by insertion.
 */
#include "exec/sort_internal.h"

#include <assert.h>

enum {
    PREFIX_BYTES = 16,
    DECIDED_BYTES = 15, /* Of a key that goes on. */
    DEPTH_MAX = 4,      /* A level takes 64 KiB of the stack. */
    KEY_BYTES = 48,     /* A value may begin at the prefix's last byte. */
    MAKE_ROWS = 256,
    INSERTION_MAX = 24,
    LOOK_ROWS = 2048, /* Cancellation is looked for where so many are moved. */
    STOPPED = 255,
};

/* Bytes of a type's normalised value, 0 where it is of no fixed length. */
static uint32_t normal_bytes(kd_type type)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return 1;
    case KD_PHYS_I16:
        return 2;
    case KD_PHYS_I32:
    case KD_PHYS_F32:
        return 4;
    case KD_PHYS_I64:
    case KD_PHYS_F64:
        return 8;
    case KD_PHYS_I128:
        return 16;
    default:
        return 0;
    }
}

/* Bytes that may be 0 say nothing about where they end. */
static bool type_is_text(kd_type type)
{
    return !type.is_array && kd_type_is_string(type);
}

static bool type_is_bytes(kd_type type)
{
    return !type.is_array && type.id == KD_TYPE_BYTEA;
}

kdi_sort_order kdi_sort_order_of(const kdi_row_layout *layout, const kdi_sort_column *columns,
                                 uint32_t column_count)
{
    kdi_sort_order order = {.layout = layout, .columns = columns, .column_count = column_count};
    uint32_t total = 0;
    order.is_decided = true;
    for (uint32_t i = 0; i < column_count; i++) {
        uint32_t bytes = normal_bytes(layout->types[columns[i].column]);
        total += bytes + !columns[i].never_null;
        if (bytes == 0 || total > PREFIX_BYTES)
            order.is_decided = false;
    }
    return order;
}

static void store_big_endian(uint8_t *out, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static void store_word(uint8_t *out, uint64_t value)
{
    kd_store_u64(out, __builtin_bswap64(value));
}

static uint64_t float_normal(uint64_t bits, uint64_t sign)
{
    return bits & sign ? ~bits : bits | sign;
}

/* Writes a value of fixed length, whose memcmp order is the order of the values. */
static void value_normalise(uint8_t physical, const void *payload, uint8_t *out)
{
    switch (physical) {
    case KD_PHYS_BOOL:
        out[0] = *(const uint8_t *)payload;
        return;
    case KD_PHYS_I16:
        store_big_endian(out, (uint16_t)(kd_load_u16(payload) ^ 0x8000u), 2);
        return;
    case KD_PHYS_I32:
        kd_store_u32(out, __builtin_bswap32(kd_load_u32(payload) ^ 0x80000000u));
        return;
    case KD_PHYS_I64:
        store_word(out, kd_load_u64(payload) ^ ((uint64_t)1 << 63));
        return;
    case KD_PHYS_I128:
        store_word(out, kd_load_u64((const char *)payload + 8) ^ ((uint64_t)1 << 63));
        store_word(out + 8, kd_load_u64(payload));
        return;
    case KD_PHYS_F32: {
        float value;
        memcpy(&value, payload, sizeof value);
        uint32_t bits = value != value ? 0x7fffffffu : value == 0 ? 0 : kd_load_u32(payload);
        store_big_endian(out, (uint32_t)(bits & 0x80000000u ? ~bits : bits | 0x80000000u), 4);
        return;
    }
    default: {
        double value;
        memcpy(&value, payload, sizeof value);
        uint64_t bits = value != value ? INT64_MAX : value == 0 ? 0 : kd_load_u64(payload);
        store_word(out, float_normal(bits, (uint64_t)1 << 63));
        return;
    }
    }
}

/* The keys being made of a few rows. */
typedef struct key_batch {
    char *const *rows;
    uint32_t count;
    uint8_t keys[MAKE_ROWS][KEY_BYTES];
    uint8_t used[MAKE_ROWS]; /* STOPPED: what follows would not line up. */
} key_batch;

static void bytes_turn(uint8_t *bytes, uint32_t count)
{
    for (uint32_t b = 0; b < count; b++)
        bytes[b] = (uint8_t)~bytes[b];
}

/* The first byte; false for NULL. */
static bool null_encode(const kdi_row_layout *layout, const kdi_sort_column *column,
                        const char *row, uint8_t *key, uint8_t *used)
{
    if (column->never_null)
        return true;
    bool is_null = kdi_row_is_null(layout, row, column->column);
    key[(*used)++] = !is_null ? 1 : column->nulls_first ? 0 : 2;
    return !is_null;
}

static void fixed_encode(const kdi_sort_order *order, const kdi_sort_column *column, uint8_t bytes,
                         key_batch *batch)
{
    uint8_t physical = order->layout->physicals[column->column];
    uint32_t offset = order->layout->offsets[column->column];
    for (uint32_t i = 0; i < batch->count; i++) {
        uint8_t *used = &batch->used[i];
        if (*used >= PREFIX_BYTES)
            continue;
        const char *row = batch->rows[i];
        if (null_encode(order->layout, column, row, batch->keys[i], used)) {
            uint8_t *out = batch->keys[i] + *used;
            value_normalise(physical, row + offset, out);
            if (column->descending)
                bytes_turn(out, bytes);
        }
        *used = (uint8_t)(*used + bytes);
    }
}

/* Text ends with a byte 0; of other bytes the prefix is taken, and nothing behind it. */
static void bytes_encode(const kdi_sort_order *order, const kdi_sort_column *column, bool is_text,
                         key_batch *batch)
{
    uint32_t offset = order->layout->offsets[column->column];
    uint32_t skipped = column == order->columns ? order->skip_bytes : 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint8_t *used = &batch->used[i];
        if (*used >= PREFIX_BYTES)
            continue;
        const char *row = batch->rows[i];
        if (!null_encode(order->layout, column, row, batch->keys[i], used))
            continue;
        kd_str str;
        memcpy(&str, row + offset, sizeof str);
        uint32_t bytes = str.size_bytes - skipped;
        bytes = bytes < PREFIX_BYTES ? bytes : PREFIX_BYTES;
        uint8_t *out = batch->keys[i] + *used;
        memcpy(out, kd_str_data(&str) + skipped, bytes);
        if (column->descending)
            bytes_turn(out, is_text ? bytes + 1 : PREFIX_BYTES);
        *used = is_text ? (uint8_t)(*used + bytes + 1) : STOPPED;
    }
}

static void other_encode(const kdi_sort_order *order, const kdi_sort_column *column,
                         key_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uint8_t *used = &batch->used[i];
        if (*used < PREFIX_BYTES &&
            null_encode(order->layout, column, batch->rows[i], batch->keys[i], used))
            *used = STOPPED;
    }
}

static void batch_encode(const kdi_sort_order *order, key_batch *batch)
{
    memset(batch->keys, 0, batch->count * sizeof batch->keys[0]);
    memset(batch->used, 0, batch->count);
    for (uint32_t k = 0; k < order->column_count; k++) {
        const kdi_sort_column *column = &order->columns[k];
        kd_type type = order->layout->types[column->column];
        uint32_t fixed = normal_bytes(type);
        if (fixed > 0)
            fixed_encode(order, column, (uint8_t)fixed, batch);
        else if (type_is_text(type) || type_is_bytes(type))
            bytes_encode(order, column, type_is_text(type), batch);
        else
            other_encode(order, column, batch);
    }
}

void kdi_sort_entries_make(const kdi_sort_order *order, char *const *rows, size_t count,
                           kdi_sort_entry *out_entries)
{
    key_batch batch;
    for (size_t done = 0; done < count; done += batch.count) {
        batch.rows = rows + done;
        batch.count = count - done < MAKE_ROWS ? (uint32_t)(count - done) : MAKE_ROWS;
        batch_encode(order, &batch);
        for (uint32_t i = 0; i < batch.count; i++) {
            uint8_t *key = batch.keys[i];
            if (!order->is_decided)
                key[PREFIX_BYTES - 1] = batch.used[i] >= PREFIX_BYTES;
            out_entries[done + i] = (kdi_sort_entry){.high = __builtin_bswap64(kd_load_u64(key)),
                                                     .low = __builtin_bswap64(kd_load_u64(key + 8)),
                                                     .row = rows[done + i]};
        }
    }
}

kdi_sort_entry kdi_sort_entry_of(const kdi_sort_order *order, char *row)
{
    kdi_sort_entry entry;
    kdi_sort_entries_make(order, &row, 1, &entry);
    return entry;
}

static int value_compare(const kdi_row_layout *layout, uint32_t column, const char *a,
                         const char *b)
{
    const void *x = kdi_row_at(layout, a, column), *y = kdi_row_at(layout, b, column);
    kd_type type = layout->types[column];
    switch ((kd_physical)layout->physicals[column]) {
    case KD_PHYS_I32: {
        int32_t left = (int32_t)kd_load_u32(x), right = (int32_t)kd_load_u32(y);
        return (left > right) - (left < right);
    }
    case KD_PHYS_I64: {
        int64_t left = (int64_t)kd_load_u64(x), right = (int64_t)kd_load_u64(y);
        return (left > right) - (left < right);
    }
    default:
        break;
    }
    return kd_payload_compare(type, x, y);
}

static int columns_compare(const kdi_sort_order *order, const char *a, const char *b)
{
    const kdi_row_layout *layout = order->layout;
    for (uint32_t i = 0; i < order->column_count; i++) {
        const kdi_sort_column *column = &order->columns[i];
        bool a_is_null = kdi_row_is_null(layout, a, column->column);
        bool b_is_null = kdi_row_is_null(layout, b, column->column);
        if (a_is_null && b_is_null)
            continue;
        if (a_is_null || b_is_null)
            return a_is_null == column->nulls_first ? -1 : 1;
        int compared = value_compare(layout, column->column, a, b);
        if (compared != 0)
            return column->descending ? -compared : compared;
    }
    return 0;
}

int kdi_sort_compare(const kdi_sort_order *order, const kdi_sort_entry *a, const kdi_sort_entry *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    if (order->is_decided || (a->low & 0xff) == 0)
        return 0;
    return columns_compare(order, a->row, b->row);
}

static void insertion_sort(const kdi_sort_order *order, kdi_sort_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        kdi_sort_entry moving = entries[i];
        size_t at = i;
        for (; at > 0 && kdi_sort_compare(order, &entries[at - 1], &moving) > 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = moving;
    }
}

static void merge(const kdi_sort_order *order, const kdi_sort_entry *left, size_t left_count,
                  const kdi_sort_entry *right, size_t right_count, kdi_sort_entry *out)
{
    if (kdi_sort_compare(order, &left[left_count - 1], right) <= 0) {
        memcpy(out, left, left_count * sizeof *out);
        memcpy(out + left_count, right, right_count * sizeof *out);
        return;
    }
    while (left_count > 0 && right_count > 0) {
        bool take_right = kdi_sort_compare(order, left, right) > 0;
        *out++ = take_right ? *right : *left;
        right += take_right;
        right_count -= take_right;
        left += !take_right;
        left_count -= !take_right;
    }
    memcpy(out, left, left_count * sizeof *out);
    memcpy(out + left_count, right, right_count * sizeof *out);
}

/* By comparison, for keys of equal words. */
static void merge_sort(const kdi_sort_order *order, kdi_sort_entry *entries,
                       kdi_sort_entry *scratch, size_t count)
{
    for (size_t start = 0; start < count; start += INSERTION_MAX)
        insertion_sort(order, entries + start,
                       count - start < INSERTION_MAX ? count - start : INSERTION_MAX);
    kdi_sort_entry *from = entries, *to = scratch;
    for (size_t width = INSERTION_MAX; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t left = count - start < width ? count - start : width;
            size_t right = count - start - left < width ? count - start - left : width;
            if (right == 0)
                memcpy(to + start, from + start, left * sizeof *to);
            else
                merge(order, from + start, left, from + start + left, right, to + start);
        }
        kdi_sort_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
}

/*
 * The order of rows that agree in the prefix and whose keys go on: what the prefix has decided is
 * left out. False when nothing is, as with types that have no prefix.
 */
static bool order_rest(const kdi_sort_order *order, const char *row, kdi_sort_order *out_rest)
{
    const kdi_row_layout *layout = order->layout;
    uint32_t used = 0, k = 0, skip_bytes = order->skip_bytes;
    for (; k < order->column_count; k++) {
        const kdi_sort_column *column = &order->columns[k];
        kd_type type = layout->types[column->column];
        uint32_t null_bytes = column->never_null ? 0 : 1, bytes = normal_bytes(type);
        bool is_null = kdi_row_is_null(layout, row, column->column);
        if (bytes == 0 && !is_null && !type_is_text(type))
            break;
        uint32_t left = 0;
        if (bytes == 0 && !is_null) {
            kd_str str;
            memcpy(&str, kdi_row_at(layout, row, column->column), sizeof str);
            left = str.size_bytes - skip_bytes;
            bytes = left + 1; /* And the byte that ends it. */
        }
        if (used + null_bytes + bytes > DECIDED_BYTES) {
            uint32_t room =
                used + null_bytes < DECIDED_BYTES ? DECIDED_BYTES - used - null_bytes : 0;
            skip_bytes += left == 0 ? 0 : room < left ? room : left;
            break;
        }
        used += null_bytes + bytes;
        skip_bytes = 0;
    }
    *out_rest = kdi_sort_order_of(layout, order->columns + k, order->column_count - k);
    out_rest->skip_bytes = skip_bytes;
    out_rest->depth = order->depth + 1;
    return k < order->column_count && (k > 0 || skip_bytes > order->skip_bytes);
}

static kd_status radix_sort(kd_ctx *ctx, const kdi_sort_order *order, kdi_sort_entry *entries,
                            kdi_sort_entry *scratch, size_t count, uint32_t byte, bool to_scratch);

/* Rows of equal words whose keys go on, by the next bytes of their keys. */
static kd_status ties_sort(kd_ctx *ctx, const kdi_sort_order *order, kdi_sort_entry *entries,
                           kdi_sort_entry *scratch, size_t count)
{
    kdi_sort_order rest;
    if (order->depth == DEPTH_MAX || !order_rest(order, entries[0].row, &rest)) {
        merge_sort(order, entries, scratch, count);
        return KD_OK;
    }
    uint64_t high = entries[0].high, low = entries[0].low;
    char *rows[MAKE_ROWS];
    for (size_t done = 0, step; done < count; done += step) {
        step = count - done < MAKE_ROWS ? count - done : MAKE_ROWS;
        for (size_t i = 0; i < step; i++)
            rows[i] = entries[done + i].row;
        kdi_sort_entries_make(&rest, rows, step, entries + done);
    }
    KD_TRY(radix_sort(ctx, &rest, entries, scratch, count, 0, false));
    for (size_t i = 0; i < count; i++) {
        entries[i].high = high;
        entries[i].low = low;
    }
    return KD_OK;
}

static uint8_t entry_byte(const kdi_sort_entry *entry, uint32_t byte)
{
    return (uint8_t)(byte < 8 ? entry->high >> (56 - 8 * byte) : entry->low >> (120 - 8 * byte));
}

/* Counts the entries per value of a byte; false when all have the same. */
static bool byte_count(const kdi_sort_entry *entries, size_t count, uint32_t byte, size_t *counts)
{
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = 0; i < count; i++)
        counts[entry_byte(&entries[i], byte)]++;
    return counts[entry_byte(&entries[0], byte)] != count;
}

/* The first byte from `byte` on that differs; their number when there is none. */
static uint32_t byte_find(const kdi_sort_entry *entries, size_t count, uint32_t byte,
                          size_t *counts)
{
    while (byte < PREFIX_BYTES && !byte_count(entries, count, byte, counts))
        byte++;
    return byte;
}

/* Entries that agree in the bytes before `byte`; the result goes to `scratch` when `to_scratch`.
 * One level per byte. */
static kd_status radix_sort(kd_ctx *ctx, const kdi_sort_order *order, kdi_sort_entry *entries,
                            kdi_sort_entry *scratch, size_t count, uint32_t byte, bool to_scratch)
{
    size_t counts[256];
    if (count >= LOOK_ROWS)
        KD_TRY(kd_check_cancelled(ctx));
    if (count > INSERTION_MAX)
        byte = byte_find(entries, count, byte, counts);
    if (count <= INSERTION_MAX || byte == PREFIX_BYTES) {
        if (count <= INSERTION_MAX)
            insertion_sort(order, entries, count);
        else if (!order->is_decided && (entries[0].low & 0xff) != 0)
            KD_TRY(ties_sort(ctx, order, entries, scratch, count));
        if (to_scratch)
            memcpy(scratch, entries, count * sizeof *entries);
        return KD_OK;
    }
    size_t ends[256], end = 0;
    for (uint32_t value = 0; value < 256; value++) {
        ends[value] = end;
        end += counts[value];
    }
    for (size_t i = 0; i < count; i++)
        scratch[ends[entry_byte(&entries[i], byte)]++] = entries[i];
    for (uint32_t value = 0; value < 256; value++) {
        size_t start = ends[value] - counts[value];
        if (counts[value] > 0)
            KD_TRY(radix_sort(ctx, order, scratch + start, entries + start, counts[value], byte + 1,
                              !to_scratch));
    }
    return KD_OK;
}

kd_status kdi_sort_entries(kd_ctx *ctx, const kdi_sort_order *order, kdi_sort_entry *entries,
                           kdi_sort_entry *scratch, size_t count)
{
    return count < 2 ? KD_OK : radix_sort(ctx, order, entries, scratch, count, 0, false);
}

kd_status kdi_sort_store(kd_ctx *ctx, const kdi_row_store *store, const kdi_sort_order *order,
                         kdi_sort_entry **out_entries)
{
    kd_account *account = &store->budget->account;
    uint64_t total = store->row_count, count = 0;
    *out_entries = NULL;
    kdi_sort_entry *entries = kd_heap_alloc_raw(ctx, account, (total + 1) * sizeof *entries);
    kdi_sort_entry *scratch = kd_heap_alloc_raw(ctx, account, (total + 1) * sizeof *entries);
    if (entries == NULL || scratch == NULL) {
        kd_heap_free(ctx->world, account, entries);
        kd_heap_free(ctx->world, account, scratch);
        return KD_NOMEM;
    }
    kdi_row_cursor cursor = {0};
    char *rows[MAKE_ROWS];
    for (uint32_t got = 1; got > 0; count += got) {
        got = kdi_row_store_next(store, &cursor, MAKE_ROWS, rows);
        kdi_sort_entries_make(order, rows, got, entries + count);
    }
    assert(count == total);
    kd_status status = kdi_sort_entries(ctx, order, entries, scratch, total);
    kd_heap_free(ctx->world, account, scratch);
    if (status != KD_OK) {
        kd_heap_free(ctx->world, account, entries);
        return status;
    }
    *out_entries = entries;
    return KD_OK;
}
