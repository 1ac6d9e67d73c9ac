/*
 * Sort entries: normalised key prefixes, their comparison, and a stable merge sort over them.
 */
#include "exec/sort_internal.h"

#include <assert.h>

enum { PREFIX_BYTES = 16, INSERTION_MAX = 16 };

/* Bytes of a type's normalised value, 0 where only a comparison of the columns decides. */
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

static bool type_is_text(kd_type type)
{
    return !type.is_array && (kd_type_is_string(type) || type.id == KD_TYPE_BYTEA);
}

kdi_sort_order kdi_sort_order_of(const kdi_row_layout *layout, const kdi_sort_column *columns,
                                 uint32_t column_count)
{
    kdi_sort_order order = {.layout = layout, .columns = columns, .column_count = column_count};
    uint32_t total = 0;
    order.is_decided = true;
    for (uint32_t i = 0; i < column_count; i++) {
        uint32_t bytes = normal_bytes(layout->types[columns[i].column]);
        total += bytes + 1;
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

static uint64_t float_normal(uint64_t bits, uint64_t sign)
{
    return bits & sign ? ~bits : bits | sign;
}

/* Writes at most 16 bytes, whose memcmp order is the order of the values. */
static uint32_t value_normalise(kd_type type, const void *payload, uint8_t *out)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        out[0] = *(const uint8_t *)payload;
        return 1;
    case KD_PHYS_I16:
        store_big_endian(out, (uint16_t)(kd_load_u16(payload) ^ 0x8000u), 2);
        return 2;
    case KD_PHYS_I32:
        store_big_endian(out, kd_load_u32(payload) ^ 0x80000000u, 4);
        return 4;
    case KD_PHYS_I64:
        store_big_endian(out, kd_load_u64(payload) ^ ((uint64_t)1 << 63), 8);
        return 8;
    case KD_PHYS_I128:
        store_big_endian(out, kd_load_u64((const char *)payload + 8) ^ ((uint64_t)1 << 63), 8);
        store_big_endian(out + 8, kd_load_u64(payload), 8);
        return 16;
    case KD_PHYS_F32: {
        float value;
        memcpy(&value, payload, sizeof value);
        uint32_t bits = value != value ? 0x7fffffffu : value == 0 ? 0 : kd_load_u32(payload);
        store_big_endian(out, (uint32_t)(bits & 0x80000000u ? ~bits : bits | 0x80000000u), 4);
        return 4;
    }
    case KD_PHYS_F64: {
        double value;
        memcpy(&value, payload, sizeof value);
        uint64_t bits = value != value ? INT64_MAX : value == 0 ? 0 : kd_load_u64(payload);
        store_big_endian(out, float_normal(bits, (uint64_t)1 << 63), 8);
        return 8;
    }
    case KD_PHYS_STR: {
        const kd_str *str = payload;
        uint32_t bytes = !type_is_text(type)              ? 0
                         : str->size_bytes < PREFIX_BYTES ? str->size_bytes
                                                          : PREFIX_BYTES;
        if (bytes > 0)
            memcpy(out, kd_str_data(str), bytes);
        return bytes;
    }
    default:
        return 0;
    }
}

kdi_sort_entry kdi_sort_entry_of(const kdi_sort_order *order, char *row)
{
    uint8_t prefix[2 * PREFIX_BYTES] = {0};
    uint32_t used = 0;
    const kdi_row_layout *layout = order->layout;
    for (uint32_t i = 0; i < order->column_count && used < PREFIX_BYTES; i++) {
        const kdi_sort_column *column = &order->columns[i];
        kd_type type = layout->types[column->column];
        uint32_t fixed = normal_bytes(type);
        if (kdi_row_is_null(layout, row, column->column)) {
            prefix[used] = column->nulls_first ? 0 : 2;
            used += 1 + fixed;
        } else {
            prefix[used++] = 1;
            uint32_t bytes =
                value_normalise(type, kdi_row_at(layout, row, column->column), prefix + used);
            uint32_t span = fixed == 0 ? PREFIX_BYTES - used : fixed;
            for (uint32_t b = 0; column->descending && b < span; b++)
                prefix[used + b] = (uint8_t)~prefix[used + b];
            used += fixed == 0 ? bytes : fixed;
        }
        if (fixed == 0)
            break; /* Of unknown length: what follows would not line up. */
    }
    return (kdi_sort_entry){.high = __builtin_bswap64(kd_load_u64(prefix)),
                            .low = __builtin_bswap64(kd_load_u64(prefix + 8)),
                            .row = row};
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
        int compared =
            kd_payload_compare(layout->types[column->column], kdi_row_at(layout, a, column->column),
                               kdi_row_at(layout, b, column->column));
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
    return order->is_decided ? 0 : columns_compare(order, a->row, b->row);
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

void kdi_sort_entries(const kdi_sort_order *order, kdi_sort_entry *entries, kdi_sort_entry *scratch,
                      size_t count)
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
    char *row;
    while (kdi_row_store_next(store, &cursor, 1, &row) == 1)
        entries[count++] = kdi_sort_entry_of(order, row);
    assert(count == total);
    kdi_sort_entries(order, entries, scratch, total);
    kd_heap_free(ctx->world, account, scratch);
    *out_entries = entries;
    return KD_OK;
}
