/*
 * Window functions against sums over frames by hand.
 */
#include "plan_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 600 };

typedef struct frame_case {
    kd_frame_mode mode;
    kd_frame_bound start, end;
    int64_t start_by, end_by;
    kd_frame_exclusion exclusion;
} frame_case;

typedef struct input_row {
    int64_t part, key, number;
} input_row;

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static int rows_order(const void *a, const void *b)
{
    const input_row *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void input_make(kit *k, const kit_column *columns, input_row *rows)
{
    for (uint64_t i = 0; i < ROWS; i++)
        rows[i] = (input_row){kit_value(k, &columns[0], i).as.i64,
                              kit_value(k, &columns[1], i).as.i64, (int64_t)i};
    qsort(rows, ROWS, sizeof *rows, rows_order);
}

/* Whether row `j` is in row `i`'s frame; indexes are of the sorted rows, both in one partition. */
static bool in_frame(const frame_case *c, const input_row *rows, int first, int i, int j)
{
    int64_t distance;
    if (c->mode == KD_FRAME_ROWS) {
        distance = j - i;
    } else if (c->mode == KD_FRAME_RANGE) {
        distance = rows[j].key - rows[i].key;
    } else {
        int64_t group_i = 0, group_j = 0;
        for (int at = first + 1; at <= i || at <= j; at++) {
            bool differs = rows[at].key != rows[at - 1].key;
            group_i += at <= i && differs;
            group_j += at <= j && differs;
        }
        distance = group_j - group_i;
    }
    int64_t low = c->start == KD_BOUND_UNBOUNDED_PRECEDING ? INT64_MIN
                  : c->start == KD_BOUND_PRECEDING         ? -c->start_by
                  : c->start == KD_BOUND_CURRENT           ? 0
                                                           : c->start_by;
    int64_t high = c->end == KD_BOUND_UNBOUNDED_FOLLOWING ? INT64_MAX
                   : c->end == KD_BOUND_PRECEDING         ? -c->end_by
                   : c->end == KD_BOUND_CURRENT           ? 0
                                                          : c->end_by;
    if (distance < low || distance > high)
        return false;
    bool peers = rows[i].key == rows[j].key;
    switch (c->exclusion) {
    case KD_EXCLUDE_CURRENT:
        return i != j;
    case KD_EXCLUDE_GROUP:
        return !peers;
    case KD_EXCLUDE_TIES:
        return i == j || !peers;
    default:
        return true;
    }
}

static kd_plan *window_of(kit *k, kd_plan *source, kd_window_call *calls, uint32_t call_count)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_WINDOW, source, NULL);
    kit_take_columns(k, plan, false);
    for (uint32_t i = 0; i < call_count; i++)
        kit_add_column(k, plan, calls[i].type, &calls[i].output);
    plan->as.window.partition_count = 1;
    plan->as.window.partition_by = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.window.partition_by[0] = kit_ref(k, source, 0);
    kd_sort_key *order = KD_NEW(&k->ctx, k->arena, kd_sort_key);
    *order = (kd_sort_key){.expr = kit_ref(k, source, 1)};
    plan->as.window.order_count = 1;
    plan->as.window.order_by = order;
    plan->as.window.call_count = call_count;
    plan->as.window.calls = calls;
    return plan;
}

static const kit_column columns[3] = {
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .modulus = 7, .salt = 3},
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .modulus = 40, .salt = 4},
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .sequential = true}};

static void frame_check(const frame_case *c)
{
    kit *k = kit_open(0, 0);
    input_row rows[ROWS];
    input_make(k, columns, rows);
    kd_plan *source = kit_source(k, columns, 3, ROWS);
    kd_aggregate_call sum = kit_aggregate(k, "sum", kit_ref(k, source, 2));
    kd_window_call calls[2] = {{.aggregate = sum.aggregate,
                                .argument_count = 1,
                                .arguments = sum.arguments,
                                .mode = c->mode,
                                .start = c->start,
                                .end = c->end,
                                .exclusion = c->exclusion,
                                .type = int8_type()}};
    if (c->start == KD_BOUND_PRECEDING || c->start == KD_BOUND_FOLLOWING)
        calls[0].start_offset = kit_i64(k, c->start_by);
    if (c->end == KD_BOUND_PRECEDING || c->end == KD_BOUND_FOLLOWING)
        calls[0].end_offset = kit_i64(k, c->end_by);
    calls[1] = calls[0];
    calls[1].aggregate = NULL;
    calls[1].argument_count = 0;
    kit_rows want = {0};
    for (int i = 0, first = 0; i < ROWS; i++) {
        if (i > 0 && rows[i].part != rows[first].part)
            first = i;
        int64_t total = 0, count = 0;
        for (int j = first; j < ROWS && rows[j].part == rows[i].part; j++)
            if (in_frame(c, rows, first, i, j)) {
                total += rows[j].number;
                count++;
            }
        char text[32] = "NULL";
        if (count > 0)
            (void)snprintf(text, sizeof text, "%lld", (long long)total);
        kit_rows_add(k, &want, "%lld|%lld|%lld|%s|%lld", (long long)rows[i].part,
                     (long long)rows[i].key, (long long)rows[i].number, text, (long long)count);
    }
    kit_check_same(kit_run(k, window_of(k, source, calls, 2)), want);
    kit_close(k);
}

TEST(frames_hold_the_rows_they_say)
{
    const struct {
        kd_frame_bound start, end;
        int64_t start_by, end_by;
    } bounds[] = {
        {KD_BOUND_UNBOUNDED_PRECEDING, KD_BOUND_CURRENT, 0, 0},
        {KD_BOUND_UNBOUNDED_PRECEDING, KD_BOUND_UNBOUNDED_FOLLOWING, 0, 0},
        {KD_BOUND_CURRENT, KD_BOUND_UNBOUNDED_FOLLOWING, 0, 0},
        {KD_BOUND_PRECEDING, KD_BOUND_FOLLOWING, 3, 2},
        {KD_BOUND_PRECEDING, KD_BOUND_PRECEDING, 5, 2},
        {KD_BOUND_FOLLOWING, KD_BOUND_FOLLOWING, 1, 4},
        {KD_BOUND_PRECEDING, KD_BOUND_CURRENT, 0, 0},
    };
    for (int mode = KD_FRAME_RANGE; mode <= KD_FRAME_GROUPS; mode++)
        for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++)
            for (int exclusion = 0; exclusion <= KD_EXCLUDE_TIES; exclusion++) {
                /* Which of several peers a ROWS frame holds is open: their order is. */
                frame_case c = {(kd_frame_mode)mode, bounds[b].start,
                                bounds[b].end,       bounds[b].start_by,
                                bounds[b].end_by,    (kd_frame_exclusion)exclusion};
                test_note("mode %d bounds %d exclusion %d", mode, (int)b, exclusion);
                frame_check(&c);
            }
}

TEST(ranks_and_neighbours)
{
    kit *k = kit_open(0, 0);
    input_row rows[ROWS];
    input_make(k, columns, rows);
    kd_plan *source = kit_source(k, columns, 3, ROWS);
    kd_expr *number[3] = {kit_ref(k, source, 2), kit_i64(k, 2), kit_i64(k, -1)};
    kd_expr *four[1] = {kit_i64(k, 4)};
    kd_window_call calls[6] = {
        {.name = KD_SLICE("row_number"), .type = int8_type()},
        {.name = KD_SLICE("rank"), .type = int8_type()},
        {.name = KD_SLICE("dense_rank"), .type = int8_type()},
        {.name = KD_SLICE("lag"), .argument_count = 3, .arguments = number, .type = int8_type()},
        {.name = KD_SLICE("last_value"),
         .argument_count = 1,
         .arguments = number,
         .start = KD_BOUND_UNBOUNDED_PRECEDING,
         .end = KD_BOUND_UNBOUNDED_FOLLOWING,
         .type = int8_type()},
        {.name = KD_SLICE("ntile"),
         .argument_count = 1,
         .arguments = four,
         .type = kd_type_of(KD_TYPE_INT4)},
    };
    kit_rows want = {0};
    for (int i = 0, first = 0; i < ROWS; i++) {
        if (i > 0 && rows[i].part != rows[first].part)
            first = i;
        int last = first, rank = 1, dense = 1;
        while (last + 1 < ROWS && rows[last + 1].part == rows[first].part)
            last++;
        for (int j = first; j < i; j++) {
            rank += rows[j].key != rows[i].key;
            dense += rows[j].key != rows[j + 1].key;
        }
        int size = last - first + 1, at = i - first;
        int small = size / 4, larger = size % 4;
        int tile = at < larger * (small + 1) ? at / (small + 1)
                                             : larger + (at - larger * (small + 1)) / small;
        kit_rows_add(k, &want, "%lld|%lld|%lld|%d|%d|%d|%lld|%lld|%d", (long long)rows[i].part,
                     (long long)rows[i].key, (long long)rows[i].number, at + 1, rank, dense,
                     at < 2 ? -1LL : (long long)rows[i - 2].number, (long long)rows[last].number,
                     tile + 1);
    }
    kit_check_same(kit_run(k, window_of(k, source, calls, 6)), want);
    kit_close(k);
}
