/*
 * Rows of a partition, and which of them are peers: equal by the ORDER BY.
 *
 * One bit per row says whether it begins a group; beside it stands, per word, how many groups began
 * before. Rows are asked about in order mostly, so the last answer is kept.
 */
#include "exec/window_internal.h"

#include <assert.h>

char *kdi_window_row_read(kdi_window_partition *p, uint64_t row)
{
    char *at;
    kd_status status = kdi_row_reader_row(p->ctx, p->reader, p->first_row + row, &at);
    if (status == KD_OK)
        return at;
    if (p->status == KD_OK)
        p->status = status;
    return p->blank;
}

static bool rows_agree(const kdi_window_partition *p, const char *a, const char *b)
{
    for (uint32_t i = 0; i < p->order_count; i++)
        if (!kdi_row_columns_equal(p->layout, a, b, p->order[i].column, 1))
            return false;
    return true;
}

kd_status kdi_window_peers_find(kd_ctx *ctx, kd_arena *arena, kdi_window_partition *p)
{
    uint64_t words = p->count / 64 + 1;
    p->starts = kd_alloc_array(ctx, arena, words, sizeof *p->starts);
    p->ranks = kd_alloc_array(ctx, arena, words, sizeof *p->ranks);
    if (p->starts == NULL || p->ranks == NULL)
        return KD_NOMEM;
    const char *before = NULL;
    for (uint64_t row = 0; row < p->count; row++) {
        const char *at = p->order_count == 0 ? "" : kdi_window_row(p, row);
        if (row % 64 == 0)
            p->ranks[row / 64] = p->group_count;
        if (row == 0 || !rows_agree(p, before, at)) {
            p->starts[row / 64] |= (uint64_t)1 << (row % 64);
            p->group_count++;
        }
        before = at;
        if (row % 2048 == 0)
            KD_TRY(kd_check_cancelled(ctx));
    }
    if (p->count % 64 == 0)
        p->ranks[p->count / 64] = p->group_count;
    return p->status;
}

kdi_window_frame kdi_window_peers(kdi_window_partition *p, uint64_t row)
{
    assert(row < p->count);
    if (row >= p->peers.start && row < p->peers.end)
        return p->peers;
    uint64_t word = row / 64;
    uint64_t bits = p->starts[word] & (UINT64_MAX >> (63 - row % 64));
    while (bits == 0)
        bits = p->starts[--word];
    p->peers.start = word * 64 + 63 - (uint64_t)__builtin_clzll(bits);
    word = row / 64;
    bits = row % 64 == 63 ? 0 : p->starts[word] & (UINT64_MAX << (row % 64 + 1));
    while (bits == 0 && word < p->count / 64)
        bits = p->starts[++word];
    p->peers.end = bits == 0 ? p->count : word * 64 + (uint64_t)__builtin_ctzll(bits);
    return p->peers;
}

uint64_t kdi_window_group(kdi_window_partition *p, uint64_t row)
{
    uint64_t upto = p->starts[row / 64] & (UINT64_MAX >> (63 - row % 64));
    return p->ranks[row / 64] + (uint64_t)__builtin_popcountll(upto) - 1;
}

uint64_t kdi_window_group_start(const kdi_window_partition *p, uint64_t group)
{
    if (group >= p->group_count)
        return p->count;
    uint64_t low = 0, high = p->count / 64 + 1;
    while (low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        if (p->ranks[middle] <= group)
            low = middle;
        else
            high = middle;
    }
    uint64_t bits = p->starts[low];
    for (uint64_t skip = group - p->ranks[low]; skip > 0; skip--)
        bits &= bits - 1;
    return low * 64 + (uint64_t)__builtin_ctzll(bits);
}
