/*
 * Encoding: a column's staged block, or its codes once the dictionary is known.
 */
#include "store/column_writer.h"

#include <assert.h>
#include <math.h>

enum { DECIMAL_EXPONENT_MAX = 14, DECIMAL_SAMPLES = 32 };

/* --- A block under construction --- */

kd_status kdi_output_begin(kd_ctx *ctx, kdi_block_output *output, uint32_t row_count,
                           const uint64_t *validity)
{
    static const kdi_block_header empty = {0};
    output->block.size_bytes = 0;
    KD_TRY(kd_buffer_append(ctx, &output->block, &empty, sizeof empty));
    if (validity == NULL)
        return KD_OK;
    return kd_buffer_append(ctx, &output->block, validity, (size_t)((row_count + 63) / 64) * 8);
}

static kd_status pad_block(kd_ctx *ctx, kd_buffer *block)
{
    static const char zeros[8] = {0};
    return kd_buffer_append(ctx, block, zeros, kdi_pad8(block->size_bytes) - block->size_bytes);
}

kd_status kdi_output_end(kd_ctx *ctx, kdi_block_output *output, kdi_encoding encoding,
                         uint32_t column, uint32_t block, uint32_t row_count, bool has_nulls,
                         kdi_block_entry *out_entry)
{
    KD_TRY(pad_block(ctx, &output->block));
    size_t size_bytes = output->block.size_bytes;
    if (size_bytes > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a block of a segment has more than 4 GiB");
    kdi_block_header header = {.size_bytes = (uint32_t)size_bytes,
                               .encoding = (uint8_t)encoding,
                               .flags = has_nulls ? KDI_BLOCK_HAS_NULLS : 0,
                               .row_count = row_count};
    memcpy(output->block.data, &header, sizeof header);
    output->identity.column = column;
    output->identity.block = block;
    header.checksum = kdi_block_checksum(&output->identity, output->block.data, size_bytes);
    memcpy(output->block.data, &header, sizeof header);
    out_entry->offset = kd_file_sink_offset(&output->sink);
    out_entry->size_bytes = header.size_bytes;
    out_entry->checksum = header.checksum;
    out_entry->row_count = row_count;
    out_entry->encoding = (uint8_t)encoding;
    return kd_file_sink_append(ctx, &output->sink, output->block.data, size_bytes);
}

static kd_status append_constant(kd_ctx *ctx, kd_buffer *out, bool is_null, const void *bytes,
                                 size_t size_bytes)
{
    KD_TRY(kd_buffer_append_u32(ctx, out, is_null));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)size_bytes));
    return kd_buffer_append(ctx, out, bytes, size_bytes);
}

static kd_status emit_all_null(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                               uint32_t block, uint32_t row_count)
{
    kdi_block_entry *entry = &column->blocks[block];
    entry->null_count = row_count;
    entry->flags = 0;
    KD_TRY(kdi_output_begin(ctx, output, row_count, NULL));
    KD_TRY(append_constant(ctx, &output->block, true, "", 0));
    return kdi_output_end(ctx, output, KDI_CONSTANT, column->column, block, row_count, false,
                          entry);
}

/* --- Integers --- */

/* Leading NULL rows have no row before them to repeat. */
static void fill_leading_nulls(kdi_column_writer *column)
{
    uint32_t first = 0;
    while (!kd_bit_get(column->validity, first))
        first++;
    for (uint32_t row = 0; row < first; row++)
        column->integers[row] = column->integers[first];
}

static kd_status encode_integers(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                                 uint32_t block)
{
    uint32_t row_count = column->staged_rows;
    bool has_nulls = column->null_count > 0;
    if (has_nulls)
        fill_leading_nulls(column);
    kdi_int_profile profile;
    kdi_ints_profile(column->integers, row_count, &profile);
    kdi_block_entry *entry = &column->blocks[block];
    entry->null_count = column->null_count;
    entry->distinct_count = kdi_estimate_distinct(column->integers, row_count, profile.run_count);
    kdi_zone_integers(entry, column->physical, profile.min, profile.max);
    KD_TRY(kdi_output_begin(ctx, output, row_count, has_nulls ? column->validity : NULL));
    kdi_encoding encoding = KDI_CONSTANT;
    if (profile.min == profile.max && !has_nulls &&
        (column->force == 0 || column->force == KDI_CONSTANT)) {
        KD_TRY(append_constant(ctx, &output->block, false, &profile.min,
                               kd_physical_bytes(column->physical)));
    } else {
        bool possible =
            column->force == KDI_FRAME || column->force == KDI_RLE || column->force == KDI_RAW;
        KD_TRY(kdi_ints_encode(ctx, column->integers, row_count, column->physical, &profile,
                               possible ? column->force : 0, &output->block, &encoding));
    }
    return kdi_output_end(ctx, output, encoding, column->column, block, row_count, has_nulls,
                          entry);
}

/* --- Doubles --- */

/* The integer d with d / 10^exponent == value, bit for bit. */
static bool decimal_of(double value, double power, int64_t *out)
{
    static const double limit = 4503599627370496.0; /* 2^52: exact in both directions. */
    double scaled = value * power;
    if (!(scaled > -limit && scaled < limit))
        return false;
    int64_t integer = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
    double back = (double)integer / power;
    *out = integer;
    return memcmp(&back, &value, sizeof back) == 0;
}

static double power_of_ten(uint32_t exponent)
{
    double power = 1;
    for (uint32_t i = 0; i < exponent; i++)
        power *= 10; /* Exact up to 10^22. */
    return power;
}

/* The exponent that fits most of a sample; false when none fits three of four. */
static bool choose_exponent(const double *values, uint32_t row_count, uint32_t *out_exponent)
{
    uint32_t best = 0;
    uint32_t step = row_count / DECIMAL_SAMPLES + 1;
    uint32_t samples = 0;
    for (uint32_t exponent = 0; exponent <= DECIMAL_EXPONENT_MAX; exponent++) {
        double power = power_of_ten(exponent);
        uint32_t fitting = 0;
        samples = 0;
        for (uint32_t row = 0; row < row_count; row += step, samples++) {
            int64_t ignored;
            fitting += decimal_of(values[row], power, &ignored);
        }
        if (fitting > best) {
            best = fitting;
            *out_exponent = exponent;
        }
        if (fitting == samples)
            break;
    }
    return best > 0 && best * 4 >= samples * 3;
}

/* Appends the DECIMAL payload; `*out_done` is false when the values are no decimals. */
static kd_status encode_decimals(kd_ctx *ctx, kdi_column_writer *column, kd_buffer *out,
                                 bool *out_done)
{
    const double *values = (const double *)(const void *)column->fixed;
    uint32_t row_count = column->staged_rows;
    kdi_decimal_head head = {0};
    *out_done = false;
    if (!choose_exponent(values, row_count, &head.exponent))
        return KD_OK;
    int64_t *integers = column->integers;
    if (integers == NULL) {
        integers = KD_NEW_ARRAY(ctx, column->arena, int64_t, KD_BLOCK_ROWS);
        if (integers == NULL)
            return KD_NOMEM;
        column->integers = integers;
    }
    uint16_t exceptions[KD_BLOCK_ROWS / 8];
    double power = power_of_ten(head.exponent);
    for (uint32_t row = 0; row < row_count; row++) {
        if (decimal_of(values[row], power, &integers[row]))
            continue;
        if (head.exception_count >= KD_BLOCK_ROWS / 8 || head.exception_count > row_count / 8)
            return KD_OK;
        exceptions[head.exception_count++] = (uint16_t)row;
        integers[row] = row == 0 ? 0 : integers[row - 1];
    }
    kdi_int_profile profile;
    kdi_ints_profile(integers, row_count, &profile);
    size_t start = out->size_bytes;
    KD_TRY(kd_buffer_append(ctx, out, &head, sizeof head));
    for (uint32_t i = 0; i < head.exception_count; i++)
        KD_TRY(kd_buffer_append(ctx, out, &values[exceptions[i]], sizeof(double)));
    for (uint32_t i = 0; i < head.exception_count; i++)
        KD_TRY(kd_buffer_append_u16(ctx, out, exceptions[i]));
    KD_TRY(pad_block(ctx, out));
    KD_TRY(kdi_frame_append(ctx, integers, row_count, &profile, out));
    *out_done = out->size_bytes - start < (size_t)row_count * sizeof(double);
    if (!*out_done)
        out->size_bytes = start;
    return KD_OK;
}

/* --- 128-bit integers --- */

static kd_status encode_wide(kd_ctx *ctx, kdi_column_writer *column, kd_buffer *out, bool *out_done)
{
    const kd_i128 *values = (const kd_i128 *)(const void *)column->fixed;
    uint32_t row_count = column->staged_rows;
    *out_done = false;
    kd_i128 min = 0, max = 0;
    bool any = false;
    for (uint32_t row = 0; row < row_count; row++) {
        if (!kd_bit_get(column->validity, row))
            continue;
        min = !any || values[row] < min ? values[row] : min;
        max = !any || values[row] > max ? values[row] : max;
        any = true;
    }
    kd_u128 range = (kd_u128)max - (kd_u128)min;
    if (range > UINT64_MAX)
        return KD_OK;
    uint32_t width = kdi_bit_width((uint64_t)range);
    size_t packed_bytes = kdi_vector_count(row_count) * kdi_pack_bytes(width);
    if (packed_bytes + 24 >= row_count * sizeof(kd_i128))
        return KD_OK;
    KD_TRY(kd_buffer_append(ctx, out, &min, sizeof min));
    KD_TRY(kd_buffer_append_u32(ctx, out, width));
    KD_TRY(kd_buffer_append_u32(ctx, out, 0));
    char *room;
    KD_TRY(kd_buffer_reserve(ctx, out, packed_bytes, &room));
    for (uint32_t first = 0; first < row_count; first += KD_VECTOR_ROWS) {
        uint64_t offsets[KD_VECTOR_ROWS] = {0};
        for (uint32_t i = 0; i < KD_VECTOR_ROWS && first + i < row_count; i++)
            if (kd_bit_get(column->validity, first + i))
                offsets[i] = (uint64_t)((kd_u128)values[first + i] - (kd_u128)min);
        kdi_pack(offsets, width, room + first / KD_VECTOR_ROWS * kdi_pack_bytes(width));
    }
    out->size_bytes += packed_bytes;
    *out_done = true;
    return KD_OK;
}

/* --- Types of fixed size that are no integers --- */

static bool all_equal(const uint8_t *values, uint32_t row_count, size_t value_bytes)
{
    for (uint32_t row = 1; row < row_count; row++)
        if (memcmp(values, values + row * value_bytes, value_bytes) != 0)
            return false;
    return true;
}

static kd_status encode_fixed(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                              uint32_t block)
{
    uint32_t row_count = column->staged_rows;
    size_t value_bytes = kd_physical_bytes(column->physical);
    bool has_nulls = column->null_count > 0;
    kdi_block_entry *entry = &column->blocks[block];
    entry->null_count = column->null_count;
    kdi_zone_fixed(entry, column->type, column->fixed, row_count, column->validity);
    KD_TRY(kdi_output_begin(ctx, output, row_count, has_nulls ? column->validity : NULL));
    bool done = false;
    kdi_encoding encoding = KDI_CONSTANT;
    bool raw = column->force == KDI_RAW;
    if (!has_nulls && !raw && all_equal(column->fixed, row_count, value_bytes)) {
        KD_TRY(append_constant(ctx, &output->block, false, column->fixed, value_bytes));
        done = true;
    }
    if (!done && !raw && column->physical == KD_PHYS_F64) {
        encoding = KDI_DECIMAL;
        KD_TRY(encode_decimals(ctx, column, &output->block, &done));
    }
    if (!done && !raw && column->physical == KD_PHYS_I128) {
        encoding = KDI_WIDE;
        KD_TRY(encode_wide(ctx, column, &output->block, &done));
    }
    if (!done) {
        encoding = KDI_RAW;
        KD_TRY(kd_buffer_append(ctx, &output->block, column->fixed, row_count * value_bytes));
    }
    return kdi_output_end(ctx, output, encoding, column->column, block, row_count, has_nulls,
                          entry);
}

/* --- Strings --- */

static kd_slice staged_text(const kdi_column_writer *column, uint32_t row)
{
    uint32_t start = row == 0 ? 0 : column->ends[row - 1];
    return (kd_slice){column->text.data + start, column->ends[row] - start};
}

static kd_status append_packed(kd_ctx *ctx, kd_buffer *out, const uint16_t *codes,
                               const uint32_t *rank, uint32_t null_code, uint32_t row_count,
                               uint32_t width)
{
    for (uint32_t first = 0; first < row_count; first += KD_VECTOR_ROWS) {
        uint64_t lanes[KD_VECTOR_ROWS] = {0};
        for (uint32_t i = 0; i < KD_VECTOR_ROWS && first + i < row_count; i++) {
            uint16_t code = codes[first + i];
            lanes[i] = code == KDI_NULL_CODE ? null_code : rank[code];
        }
        char *room;
        KD_TRY(kd_buffer_reserve(ctx, out, kdi_pack_bytes(width), &room));
        kdi_pack(lanes, width, room);
        out->size_bytes += kdi_pack_bytes(width);
    }
    return KD_OK;
}

/* The dictionary's strings in order: end offsets, padded, and bytes. */
static kd_status append_sorted_strings(kd_ctx *ctx, kd_buffer *out,
                                       const kdi_dictionary *dictionary, const uint32_t *order)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < dictionary->count; i++) {
        end += dictionary->strings[order[i]].size_bytes;
        KD_TRY(kd_buffer_append_u32(ctx, out, end));
    }
    KD_TRY(pad_block(ctx, out));
    for (uint32_t i = 0; i < dictionary->count; i++)
        KD_TRY(kd_buffer_append_slice(ctx, out, kd_str_slice(&dictionary->strings[order[i]])));
    return pad_block(ctx, out);
}

/* Codes of one staged block of strings, when they have few distinct values. */
static kd_status local_codes(kd_ctx *ctx, kdi_column_writer *column, kd_arena *scratch,
                             kdi_dictionary *dictionary, uint16_t *codes, bool *out_pays)
{
    uint32_t row_count = column->staged_rows;
    *out_pays = false;
    KD_TRY(kdi_dictionary_init(ctx, dictionary, scratch, true, row_count / 2 + 1));
    for (uint32_t row = 0; row < row_count; row++) {
        codes[row] = KDI_NULL_CODE;
        if (!kd_bit_get(column->validity, row))
            continue;
        kd_slice text = staged_text(column, row);
        kd_str str = kd_str_from(text.data, text.size_bytes);
        uint32_t code;
        bool full;
        KD_TRY(kdi_dictionary_add_string(ctx, dictionary, &str, &code, &full));
        if (full)
            return KD_OK;
        codes[row] = (uint16_t)code;
    }
    uint32_t entry_count = dictionary->count + (column->null_count > 0);
    size_t coded_bytes =
        sizeof(kdi_local_head) + dictionary->count * sizeof(uint32_t) + dictionary->text_bytes +
        kdi_vector_count(row_count) * kdi_pack_bytes(kdi_bit_width(entry_count - 1));
    *out_pays = coded_bytes < row_count * sizeof(uint32_t) + column->text.size_bytes;
    return KD_OK;
}

static kd_status encode_local(kd_ctx *ctx, kdi_column_writer *column, kd_buffer *out,
                              bool *out_done)
{
    kd_status status = KD_OK;
    *out_done = false;
    kd_arena *scratch = kd_arena_create(ctx, column->arena, "block dictionary", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    uint16_t *codes = KD_NEW_ARRAY(ctx, scratch, uint16_t, KD_BLOCK_ROWS);
    if (codes == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    kdi_dictionary dictionary;
    bool pays;
    KD_TRY_OUT(local_codes(ctx, column, scratch, &dictionary, codes, &pays));
    if (!pays)
        goto out;
    uint32_t *order, *rank;
    KD_TRY_OUT(kdi_dictionary_sort(ctx, &dictionary, scratch, &order, &rank));
    bool has_null = column->null_count > 0;
    kdi_local_head head = {.entry_count = dictionary.count + has_null, .has_null = has_null};
    head.width = kdi_bit_width(head.entry_count - 1);
    head.value_bytes = (uint32_t)(kdi_pad8((size_t)dictionary.count * sizeof(uint32_t)) +
                                  kdi_pad8(dictionary.text_bytes));
    KD_TRY_OUT(kd_buffer_append(ctx, out, &head, sizeof head));
    KD_TRY_OUT(
        append_packed(ctx, out, codes, rank, dictionary.count, column->staged_rows, head.width));
    KD_TRY_OUT(append_sorted_strings(ctx, out, &dictionary, order));
    *out_done = true;

out:
    kd_arena_destroy(scratch);
    return status;
}

static void zone_staged_text(kdi_column_writer *column, kdi_block_entry *entry, bool *out_equal)
{
    kd_slice min = {0}, max = {0};
    bool any = false;
    for (uint32_t row = 0; row < column->staged_rows; row++) {
        if (!kd_bit_get(column->validity, row))
            continue;
        kd_slice text = staged_text(column, row);
        if (!any || kd_slice_compare(text, min) < 0)
            min = text;
        if (!any || kd_slice_compare(text, max) > 0)
            max = text;
        any = true;
    }
    *out_equal = kd_slice_equal(min, max);
    kdi_zone_string(entry, column->type, min, max);
}

/* The ends as a frame, then the bytes: what strings of similar lengths take least room with. Undone
 * when plain ends are smaller. */
static kd_status encode_text(kd_ctx *ctx, kdi_column_writer *column, kd_buffer *out, bool *out_done)
{
    uint32_t row_count = column->staged_rows;
    *out_done = false;
    if (column->integers == NULL) {
        column->integers = KD_NEW_ARRAY(ctx, column->arena, int64_t, KD_BLOCK_ROWS);
        if (column->integers == NULL)
            return KD_NOMEM;
    }
    for (uint32_t row = 0; row < row_count; row++)
        column->integers[row] = column->ends[row];
    kdi_int_profile profile;
    kdi_ints_profile(column->integers, row_count, &profile);
    size_t start = out->size_bytes;
    KD_TRY(kdi_frame_append(ctx, column->integers, row_count, &profile, out));
    *out_done = out->size_bytes - start < row_count * sizeof(uint32_t);
    if (!*out_done) {
        out->size_bytes = start;
        return KD_OK;
    }
    return kd_buffer_append_slice(ctx, out, kd_buffer_slice(&column->text));
}

static kd_status encode_strings(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                                uint32_t block)
{
    uint32_t row_count = column->staged_rows;
    bool has_nulls = column->null_count > 0;
    kdi_block_entry *entry = &column->blocks[block];
    entry->null_count = column->null_count;
    bool equal, done = false;
    zone_staged_text(column, entry, &equal);
    KD_TRY(kdi_output_begin(ctx, output, row_count, NULL));
    if (equal && !has_nulls && column->force == 0) {
        kd_slice text = staged_text(column, 0);
        KD_TRY(append_constant(ctx, &output->block, false, text.data, text.size_bytes));
        return kdi_output_end(ctx, output, KDI_CONSTANT, column->column, block, row_count, false,
                              entry);
    }
    if ((column->try_local && column->force == 0) || column->force == KDI_LOCAL)
        KD_TRY(encode_local(ctx, column, &output->block, &done));
    if (done)
        return kdi_output_end(ctx, output, KDI_LOCAL, column->column, block, row_count, false,
                              entry);
    KD_TRY(kdi_output_begin(ctx, output, row_count, has_nulls ? column->validity : NULL));
    if (column->force != KDI_STRINGS)
        KD_TRY(encode_text(ctx, column, &output->block, &done));
    if (done)
        return kdi_output_end(ctx, output, KDI_TEXT, column->column, block, row_count, has_nulls,
                              entry);
    KD_TRY(kd_buffer_append(ctx, &output->block, column->ends, row_count * sizeof(uint32_t)));
    KD_TRY(pad_block(ctx, &output->block));
    KD_TRY(kd_buffer_append_slice(ctx, &output->block, kd_buffer_slice(&column->text)));
    return kdi_output_end(ctx, output, KDI_STRINGS, column->column, block, row_count, has_nulls,
                          entry);
}

kd_status kdi_column_encode_plain(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                                  uint32_t block)
{
    uint32_t row_count = column->staged_rows;
    kd_status status;
    if (column->null_count == row_count)
        status = emit_all_null(ctx, column, output, block, row_count);
    else if (column->physical <= KD_PHYS_I64)
        status = encode_integers(ctx, column, output, block);
    else if (column->physical == KD_PHYS_STR)
        status = encode_strings(ctx, column, output, block);
    else
        status = encode_fixed(ctx, column, output, block);
    column->staged_rows = 0;
    column->null_count = 0;
    column->text.size_bytes = 0;
    return status;
}

/* --- Codes --- */

/* Stages the values of `row_count` codes, as if they had come in PLAIN. */
static kd_status unstage_codes(kd_ctx *ctx, kdi_column_writer *column, const uint16_t *codes,
                               uint32_t row_count)
{
    for (uint32_t row = 0; row < row_count; row++) {
        uint16_t code = codes[row];
        if (code == KDI_NULL_CODE) {
            kd_bit_clear(column->validity, row);
            column->null_count++;
            if (column->physical <= KD_PHYS_I64)
                column->integers[row] = row == 0 ? 0 : column->integers[row - 1];
        } else {
            kd_bit_set(column->validity, row);
            if (column->physical <= KD_PHYS_I64)
                column->integers[row] = column->dictionary.integers[code];
            else
                KD_TRY(kd_buffer_append_slice(ctx, &column->text,
                                              kd_str_slice(&column->dictionary.strings[code])));
        }
        if (column->physical == KD_PHYS_STR)
            column->ends[row] = (uint32_t)column->text.size_bytes;
    }
    column->staged_rows = row_count;
    return KD_OK;
}

kd_status kdi_column_leave_codes(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output)
{
    uint32_t staged_rows = column->staged_rows;
    KD_TRY(kdi_column_plain_room(ctx, column));
    column->mode = KDI_PLAIN;
    column->null_count = 0;
    for (uint32_t block = 0; block < column->block_count; block++) {
        KD_TRY(unstage_codes(ctx, column, column->codes[block], KD_BLOCK_ROWS));
        KD_TRY(kdi_column_encode_plain(ctx, column, output, block));
    }
    column->staged_rows = 0;
    if (staged_rows > 0)
        KD_TRY(unstage_codes(ctx, column, column->codes[column->block_count], staged_rows));
    return KD_OK;
}

/* Whether codes would take at most three quarters of what the block takes otherwise, with a bit to
 * spare for values to come. */
static kd_status integers_want_codes(kd_ctx *ctx, kdi_column_writer *column, bool *out_want)
{
    enum { DISTINCT_MAX = KD_BLOCK_ROWS / 16 };
    uint32_t row_count = column->staged_rows;
    *out_want = false;
    if (column->null_count > 0)
        fill_leading_nulls(column);
    kdi_int_profile profile;
    kdi_ints_profile(column->integers, row_count, &profile);
    uint32_t distinct = kdi_estimate_distinct(column->integers, row_count, profile.run_count);
    if (distinct < 3 || distinct > DISTINCT_MAX)
        return KD_OK;
    kdi_encoding encoding;
    size_t plain_bytes =
        kdi_ints_cost(column->integers, row_count, column->physical, &profile, &encoding);
    uint32_t width = kdi_bit_width(distinct + distinct / 4);
    size_t coded_bytes =
        kdi_vector_count(row_count) * kdi_pack_bytes(width) + (size_t)distinct * sizeof(int64_t);
    *out_want = coded_bytes <= plain_bytes / 4 * 3;
    if (*out_want)
        return kdi_dictionary_init(ctx, &column->dictionary, column->arena, false,
                                   KDI_DICTIONARY_ENTRIES_MAX - 1);
    return KD_OK;
}

/* Moves the staged first block of integers to codes. */
static kd_status integers_to_codes(kd_ctx *ctx, kdi_column_writer *column)
{
    uint16_t *codes = KD_NEW_ARRAY(ctx, column->arena, uint16_t, KD_BLOCK_ROWS);
    if (codes == NULL)
        return KD_NOMEM;
    for (uint32_t row = 0; row < column->staged_rows; row++) {
        if (!kd_bit_get(column->validity, row)) {
            codes[row] = KDI_NULL_CODE;
            column->has_null = true;
            continue;
        }
        uint32_t code;
        bool full;
        KD_TRY(kdi_dictionary_add_integer(ctx, &column->dictionary, column->integers[row], &code,
                                          &full));
        assert(!full);
        codes[row] = (uint16_t)code;
    }
    column->codes[0] = codes;
    column->null_count = 0;
    column->mode = KDI_CODES;
    return KD_OK;
}

kd_status kdi_column_end_block(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output)
{
    assert(column->staged_rows > 0);
    if (column->mode == KDI_UNDECIDED) {
        bool want = false;
        if (column->force == KDI_DICT && column->null_count < column->staged_rows) {
            want = true;
            KD_TRY(kdi_dictionary_init(ctx, &column->dictionary, column->arena, false,
                                       KDI_DICTIONARY_ENTRIES_MAX - 1));
        } else if (column->force == 0 && column->null_count < column->staged_rows) {
            KD_TRY(integers_want_codes(ctx, column, &want));
        }
        column->mode = KDI_PLAIN;
        if (want)
            KD_TRY(integers_to_codes(ctx, column));
    }
    if (column->mode == KDI_CODES && column->physical == KD_PHYS_STR) {
        /* More values than half of the rows: codes would only cost. Values met in the first block
         * come again in later ones, so more of it may be different. */
        uint32_t rows = column->block_count * KD_BLOCK_ROWS + column->staged_rows;
        bool is_first = rows == KD_BLOCK_ROWS;
        bool unique = column->dictionary.count > (is_first ? rows / 4 * 3 : rows / 2) &&
                      rows > KD_VECTOR_ROWS;
        bool forced =
            column->force == KDI_STRINGS || column->force == KDI_LOCAL || column->force == KDI_TEXT;
        if ((unique && column->force == 0) || forced)
            KD_TRY(kdi_column_leave_codes(ctx, column, output));
        else
            column->try_local = true; /* For when it overflows later. */
    }
    if (column->mode == KDI_PLAIN)
        KD_TRY(kdi_column_encode_plain(ctx, column, output, column->block_count));
    column->block_count++;
    column->staged_rows = 0;
    return KD_OK;
}

static kd_status write_dictionary(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                                  const uint32_t *order)
{
    const kdi_dictionary *dictionary = &column->dictionary;
    kdi_block_entry entry = {0};
    kdi_encoding encoding = KDI_RAW;
    KD_TRY(kdi_output_begin(ctx, output, dictionary->count, NULL));
    if (dictionary->of_strings) {
        encoding = KDI_STRINGS;
        KD_TRY(append_sorted_strings(ctx, &output->block, dictionary, order));
    } else {
        uint32_t value_bytes = kd_physical_bytes(column->physical);
        for (uint32_t i = 0; i < dictionary->count; i++)
            KD_TRY(kd_buffer_append(ctx, &output->block, &dictionary->integers[order[i]],
                                    value_bytes));
    }
    KD_TRY(kdi_output_end(ctx, output, encoding, column->column, KDI_DICTIONARY_BLOCK,
                          dictionary->count, false, &entry));
    column->entry.dictionary_offset = entry.offset;
    column->entry.dictionary_bytes = entry.size_bytes;
    column->entry.dictionary_checksum = entry.checksum;
    column->entry.dictionary_entries = dictionary->count + column->has_null;
    column->entry.dictionary_has_null = column->has_null;
    return KD_OK;
}

/* What one block's codes hold: ranks, NULLs and how many different ones. */
typedef struct code_profile {
    uint32_t min_rank, max_rank; /* min > max: only NULLs. */
    uint32_t null_count;
    uint32_t distinct_count;
} code_profile;

static code_profile profile_codes(const uint16_t *codes, const uint32_t *rank, uint32_t row_count)
{
    uint64_t seen[KDI_DICTIONARY_ENTRIES_MAX / 64] = {0};
    code_profile profile = {.min_rank = UINT32_MAX};
    for (uint32_t row = 0; row < row_count; row++) {
        if (codes[row] == KDI_NULL_CODE) {
            profile.null_count++;
            continue;
        }
        uint32_t at = rank[codes[row]];
        profile.min_rank = at < profile.min_rank ? at : profile.min_rank;
        profile.max_rank = at > profile.max_rank ? at : profile.max_rank;
        profile.distinct_count += !kd_bit_get(seen, at);
        kd_bit_set(seen, at);
    }
    return profile;
}

static void zone_codes(kdi_column_writer *column, const uint32_t *order,
                       const code_profile *profile, kdi_block_entry *entry)
{
    uint32_t low = order[profile->min_rank], high = order[profile->max_rank];
    const kdi_dictionary *dictionary = &column->dictionary;
    if (dictionary->of_strings)
        kdi_zone_string(entry, column->type, kd_str_slice(&dictionary->strings[low]),
                        kd_str_slice(&dictionary->strings[high]));
    else
        kdi_zone_integers(entry, column->physical, dictionary->integers[low],
                          dictionary->integers[high]);
}

static kd_status emit_codes(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                            const uint32_t *order, const uint32_t *rank, uint32_t block,
                            uint32_t row_count)
{
    code_profile profile = profile_codes(column->codes[block], rank, row_count);
    kdi_block_entry *entry = &column->blocks[block];
    if (profile.null_count == row_count)
        return emit_all_null(ctx, column, output, block, row_count);
    entry->null_count = profile.null_count;
    entry->distinct_count = profile.distinct_count;
    zone_codes(column, order, &profile, entry);
    KD_TRY(kdi_output_begin(ctx, output, row_count, NULL));
    kdi_encoding encoding = KDI_DICT;
    if (profile.distinct_count == 1 && profile.null_count == 0 && column->force == 0) {
        encoding = KDI_CONSTANT;
        const kdi_dictionary *dictionary = &column->dictionary;
        uint32_t code = order[profile.min_rank];
        kd_slice value;
        if (dictionary->of_strings)
            value = kd_str_slice(&dictionary->strings[code]);
        else
            value = (kd_slice){(const char *)&dictionary->integers[code],
                               kd_physical_bytes(column->physical)};
        KD_TRY(append_constant(ctx, &output->block, false, value.data, value.size_bytes));
    } else {
        uint32_t entry_count = column->dictionary.count + column->has_null;
        uint32_t width = kdi_bit_width(entry_count - 1);
        KD_TRY(kd_buffer_append_u32(ctx, &output->block, width));
        KD_TRY(kd_buffer_append_u32(ctx, &output->block, 0));
        KD_TRY(append_packed(ctx, &output->block, column->codes[block], rank,
                             column->dictionary.count, row_count, width));
    }
    return kdi_output_end(ctx, output, encoding, column->column, block, row_count, false, entry);
}

kd_status kdi_column_finish(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                            uint32_t row_count)
{
    if (column->mode != KDI_CODES || row_count == 0)
        return KD_OK;
    uint32_t *order = NULL, *rank = NULL;
    if (column->dictionary.count > 0) {
        KD_TRY(kdi_dictionary_sort(ctx, &column->dictionary, column->arena, &order, &rank));
        KD_TRY(write_dictionary(ctx, column, output, order));
    }
    for (uint32_t block = 0; block * KD_BLOCK_ROWS < row_count; block++) {
        uint32_t rows = row_count - block * KD_BLOCK_ROWS;
        KD_TRY(emit_codes(ctx, column, output, order, rank, block,
                          rows > KD_BLOCK_ROWS ? KD_BLOCK_ROWS : rows));
    }
    return KD_OK;
}
