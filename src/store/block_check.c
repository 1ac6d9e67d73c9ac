/*
 * Checking the structure of a stored block: everything that reading relies on.
 *
 * The checksum finds accidents; this finds what a checksum cannot: a block that
 * was written wrong. It costs a pass over a block's small structures (and over its
 * codes, where a code could miss the dictionary) once per load into the cache.
 */
#include "base/checksum.h"
#include "store/block_internal.h"

uint32_t kdi_block_checksum(const kdi_block_identity *identity, const void *block,
                            size_t size_bytes)
{
    const char *bytes = block;
    uint32_t sum = kd_crc32c(0, identity, sizeof *identity);
    return kd_crc32c(sum, bytes + sizeof(uint32_t), size_bytes - sizeof(uint32_t));
}

kdi_block_view kdi_block_view_of(const void *block)
{
    kdi_block_header header;
    memcpy(&header, block, sizeof header);
    const uint8_t *at = (const uint8_t *)block + sizeof header;
    kdi_block_view view = {.encoding = (kdi_encoding)header.encoding,
                           .row_count = header.row_count};
    if ((header.flags & KDI_BLOCK_HAS_NULLS) != 0) {
        view.validity = (const uint64_t *)(const void *)at;
        at += (size_t)((header.row_count + 63) / 64) * 8;
    }
    view.payload = at;
    view.payload_bytes = (size_t)((const uint8_t *)block + header.size_bytes - at);
    return view;
}

static const char *check_constant(const kdi_block_view *view, const kdi_column_layout *layout)
{
    if (view->payload_bytes < 8)
        return "the constant is cut off";
    uint32_t is_null = kd_load_u32(view->payload);
    uint32_t size_bytes = kd_load_u32(view->payload + 4);
    if (is_null > 1 || size_bytes > view->payload_bytes - 8)
        return "the constant is cut off";
    if (is_null == 0 && layout->physical != KD_PHYS_STR &&
        size_bytes != kd_physical_bytes(layout->physical))
        return "the constant has a wrong size";
    if (is_null == 0 && layout->physical == KD_PHYS_BOOL && view->payload[8] > 1)
        return "a boolean is neither true nor false";
    return NULL;
}

static const char *check_raw(const kdi_block_view *view, const kdi_column_layout *layout)
{
    if (layout->physical == KD_PHYS_STR)
        return "raw values in a column of strings";
    if ((uint64_t)view->row_count * kd_physical_bytes(layout->physical) > view->payload_bytes)
        return "the values are cut off";
    if (layout->physical == KD_PHYS_BOOL)
        for (uint32_t i = 0; i < view->row_count; i++)
            if (view->payload[i] > 1)
                return "a boolean is neither true nor false";
    return NULL;
}

/* End offsets and bytes of `count` strings in `size_bytes`. */
static const char *check_ends(const uint8_t *ends, uint64_t count, size_t size_bytes)
{
    if (kdi_pad8(count * sizeof(uint32_t)) > size_bytes)
        return "the strings' offsets are cut off";
    size_t text_bytes = size_bytes - kdi_pad8(count * sizeof(uint32_t));
    uint32_t previous = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t end = kd_load_u32(ends + i * sizeof(uint32_t));
        if (end < previous || end > text_bytes)
            return "the strings' offsets are out of order";
        previous = end;
    }
    return NULL;
}

/* Packed codes below `entry_count`. Only widths that could hold a wrong code are unpacked. */
static const char *check_codes(const uint8_t *packed, uint32_t width, uint32_t row_count,
                               uint32_t entry_count, size_t available_bytes)
{
    uint64_t lanes[KDI_PACK_ROWS];
    uint32_t vector_count = kdi_vector_count(row_count);
    if (width > 16 || (size_t)vector_count * kdi_pack_bytes(width) > available_bytes)
        return "the codes are cut off";
    if (entry_count == 0)
        return "codes without a dictionary";
    if (((uint32_t)1 << width) <= entry_count)
        return NULL;
    for (uint32_t vector = 0; vector < vector_count; vector++) {
        kdi_unpack(packed + vector * kdi_pack_bytes(width), width, lanes);
        uint32_t highest = 0;
        for (uint32_t i = 0; i < KDI_PACK_ROWS; i++) {
            uint32_t code = width <= 8 ? ((const uint8_t *)lanes)[i] : ((const uint16_t *)lanes)[i];
            highest = code > highest ? code : highest;
        }
        if (highest >= entry_count)
            return "a code is outside the dictionary";
    }
    return NULL;
}

static const char *check_dict(const kdi_block_view *view, const kdi_column_layout *layout)
{
    if (view->payload_bytes < 8)
        return "the codes are cut off";
    return check_codes(view->payload + 8, kd_load_u32(view->payload), view->row_count,
                       layout->dictionary_entries, view->payload_bytes - 8);
}

static const char *check_local(const kdi_block_view *view, const kdi_column_layout *layout)
{
    kdi_local_head head;
    if (view->payload_bytes < sizeof head)
        return "the dictionary is cut off";
    memcpy(&head, view->payload, sizeof head);
    const uint8_t *packed = view->payload + sizeof head;
    size_t left = view->payload_bytes - sizeof head;
    if (head.has_null > 1 || head.entry_count > KDI_DICTIONARY_ENTRIES_MAX ||
        head.has_null > head.entry_count)
        return "the dictionary's head is wrong";
    const char *wrong = check_codes(packed, head.width, view->row_count, head.entry_count, left);
    if (wrong != NULL)
        return wrong;
    size_t codes_bytes = kdi_vector_count(view->row_count) * kdi_pack_bytes(head.width);
    left -= codes_bytes;
    uint64_t value_count = head.entry_count - head.has_null;
    if (head.value_bytes > left)
        return "the dictionary's values are cut off";
    if (layout->physical == KD_PHYS_STR)
        return check_ends(packed + codes_bytes, value_count, head.value_bytes);
    if (layout->physical == KD_PHYS_BOOL || layout->physical > KD_PHYS_I64 ||
        value_count * sizeof(int64_t) > head.value_bytes)
        return "the dictionary's values are cut off";
    return NULL;
}

/* The ends' frame, then that they ascend within the bytes behind it. */
static const char *check_text(const kdi_block_view *view, const kdi_column_layout *layout)
{
    int64_t ends[KD_VECTOR_ROWS];
    size_t used;
    if (layout->physical != KD_PHYS_STR)
        return "strings in a column that holds none";
    const char *wrong = kdi_frame_check(view->payload, view->payload_bytes, view->row_count, &used);
    if (wrong != NULL)
        return wrong;
    int64_t previous = 0, limit = (int64_t)(view->payload_bytes - used);
    for (uint32_t row = 0; row < view->row_count; row++) {
        if (row % KD_VECTOR_ROWS == 0)
            kdi_frame_expand(view->payload, row / KD_VECTOR_ROWS, ends);
        int64_t end = ends[row % KD_VECTOR_ROWS];
        if (end < previous || end > limit)
            return "the strings' offsets are out of order";
        previous = end;
    }
    return NULL;
}

static const char *check_wide(const kdi_block_view *view, const kdi_column_layout *layout)
{
    enum { HEAD_BYTES = 24 };
    if (layout->physical != KD_PHYS_I128 || view->payload_bytes < HEAD_BYTES)
        return "the wide frame is cut off";
    uint32_t width = kd_load_u32(view->payload + 16);
    if (width > 64 || kdi_vector_count(view->row_count) * kdi_pack_bytes(width) >
                          view->payload_bytes - HEAD_BYTES)
        return "the wide frame is cut off";
    return NULL;
}

static const char *check_decimal(const kdi_block_view *view, const kdi_column_layout *layout)
{
    kdi_decimal_head head;
    if (layout->physical != KD_PHYS_F64 || view->payload_bytes < sizeof head)
        return "the decimals are cut off";
    memcpy(&head, view->payload, sizeof head);
    if (head.exponent > 18 || head.exception_count > view->row_count)
        return "the decimals' head is wrong";
    size_t values_bytes = (size_t)head.exception_count * sizeof(double);
    size_t used = sizeof head + values_bytes + kdi_pad8((size_t)head.exception_count * 2);
    if (used > view->payload_bytes)
        return "the decimals are cut off";
    const uint8_t *rows = view->payload + sizeof head + values_bytes;
    uint32_t next = 0;
    for (uint32_t i = 0; i < head.exception_count; i++) {
        uint32_t row = kd_load_u16(rows + (size_t)i * 2);
        if (row < next || row >= view->row_count)
            return "rows of exceptions are out of order";
        next = row + 1;
    }
    return kdi_frame_check(view->payload + used, view->payload_bytes - used, view->row_count,
                           &used);
}

static const char *check_payload(const kdi_block_view *view, const kdi_column_layout *layout)
{
    size_t used;
    bool integers = layout->physical <= KD_PHYS_I64;
    switch (view->encoding) {
    case KDI_CONSTANT:
        return check_constant(view, layout);
    case KDI_RAW:
        return check_raw(view, layout);
    case KDI_FRAME:
        return integers
                   ? kdi_frame_check(view->payload, view->payload_bytes, view->row_count, &used)
                   : "a frame in a column that holds no integers";
    case KDI_RLE:
        return integers ? kdi_runs_check(view->payload, view->payload_bytes, view->row_count)
                        : "runs in a column that holds no integers";
    case KDI_DICT:
        return check_dict(view, layout);
    case KDI_LOCAL:
        return check_local(view, layout);
    case KDI_STRINGS:
        return layout->physical == KD_PHYS_STR
                   ? check_ends(view->payload, view->row_count, view->payload_bytes)
                   : "strings in a column that holds none";
    case KDI_TEXT:
        return check_text(view, layout);
    case KDI_WIDE:
        return check_wide(view, layout);
    case KDI_DECIMAL:
        return check_decimal(view, layout);
    default:
        return "the encoding is unknown";
    }
}

const char *kdi_block_check(const void *block, size_t size_bytes, uint32_t row_count,
                            const kdi_column_layout *layout)
{
    kdi_block_header header;
    if (size_bytes < sizeof header)
        return "the block is cut off";
    memcpy(&header, block, sizeof header);
    if (header.size_bytes != size_bytes || size_bytes % 8 != 0)
        return "the block has a wrong size";
    if (header.row_count != row_count || row_count == 0)
        return "the block has a wrong number of rows";
    if ((header.flags & ~KDI_BLOCK_HAS_NULLS) != 0 || header.reserved != 0)
        return "the block has unknown flags";
    if (row_count > KD_BLOCK_ROWS && header.encoding != KDI_RAW && header.encoding != KDI_STRINGS)
        return "the block has too many rows";
    if ((header.flags & KDI_BLOCK_HAS_NULLS) != 0 &&
        (header.encoding == KDI_CONSTANT || header.encoding == KDI_DICT ||
         header.encoding == KDI_LOCAL))
        return "the block has validity bits that its encoding does not take";
    if ((header.flags & KDI_BLOCK_HAS_NULLS) != 0 &&
        sizeof header + (size_t)((row_count + 63) / 64) * 8 > size_bytes)
        return "the validity bits are cut off";
    kdi_block_view view = kdi_block_view_of(block);
    return check_payload(&view, layout);
}
