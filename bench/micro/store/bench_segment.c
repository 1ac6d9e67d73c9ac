/*
 * Segments of flights: how fast they are written and read, and how large they are.
 *
 *     bench_segment [ROWS [FILE.csv]]
 *
 * FILE has lines "2001-01-01 00:01,-13,2345,ANC,LAX" under a heading; without one, rows like them
 * are made up. Every row read is compared with what was written before a time is printed.
 */
#include "base/world.h"
#include "store/segment.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 5, AIRPORTS = 229, MINUTES = 260640 };

typedef struct flights {
    uint32_t row_count;
    int64_t *departed; /* Microseconds since 2000. */
    int32_t *delay;
    int32_t *distance;
    kd_str *origin;
    kd_str *destination;
} flights;

typedef struct bench {
    kd_ctx ctx;
    kd_arena *arena;
    kd_account account;
    kd_segment_options options;
    flights data;
    uint32_t segment_count;
} bench;

static void must(const bench *self, kd_status status)
{
    if (status == KD_OK)
        return;
    (void)fprintf(stderr, "%s\n", self->ctx.error.message);
    exit(1);
}

static void *must_have(void *memory)
{
    if (memory == NULL)
        exit(1);
    return memory;
}

static double seconds(const bench *self)
{
    return (double)self->ctx.world->monotonic_ns(self->ctx.world) * 1e-9;
}

/* --- Data --- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static kd_str airport(uint32_t number)
{
    char code[3] = {(char)('A' + number / 26 % 26), (char)('A' + number % 26),
                    (char)('A' + number * 7 % 26)};
    return kd_str_from(code, sizeof code);
}

static void make_up(flights *data)
{
    uint64_t state = 1;
    for (uint32_t row = 0; row < data->row_count; row++) {
        uint64_t minute = (uint64_t)row * MINUTES / data->row_count;
        uint64_t from = next_random(&state) % AIRPORTS * (next_random(&state) % AIRPORTS);
        uint64_t to = next_random(&state) % AIRPORTS * (next_random(&state) % AIRPORTS);
        uint64_t late = next_random(&state) % 40 * (next_random(&state) % 40) / 20;
        data->departed[row] = (int64_t)(31622400 + minute * 60) * 1000000;
        data->delay[row] = (int32_t)late - 15;
        if (next_random(&state) % 200 == 0)
            data->delay[row] *= 20;
        data->origin[row] = airport((uint32_t)(from / AIRPORTS));
        data->destination[row] = airport((uint32_t)(to / AIRPORTS));
        data->distance[row] = (int32_t)((from * 31 + to * 17) % 2500 + 60);
    }
}

static int64_t minutes_of(const char *text)
{
    static const int days_before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int year = atoi(text), month = atoi(text + 5), day = atoi(text + 8);
    int64_t days = (year - 2000) * 365LL + (year > 2000) + days_before[month - 1] + day - 1;
    return (days * 24 + atoi(text + 11)) * 60 + atoi(text + 14);
}

static bool parse_line(const char *line, flights *data, uint32_t row)
{
    data->departed[row] = minutes_of(line) * 60000000;
    char *at;
    data->delay[row] = (int32_t)strtol(line + 17, &at, 10);
    if (*at != ',')
        return false;
    data->distance[row] = (int32_t)strtol(at + 1, &at, 10);
    if (strlen(at) < 8)
        return false;
    data->origin[row] = kd_str_from(at + 1, 3);
    data->destination[row] = kd_str_from(at + 5, 3);
    return true;
}

static void load_csv(flights *data, const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        perror(path);
        exit(1);
    }
    uint32_t row = 0;
    while (row < data->row_count && fgets(line, sizeof line, file) != NULL)
        row += parse_line(line, data, row);
    data->row_count = row;
    (void)fclose(file);
}

/* --- Writing --- */

static kd_vector flat(kd_type_id id, void *values)
{
    kd_type type = kd_type_of(id);
    return (kd_vector){.type = type,
                       .physical = (uint8_t)kd_type_physical(type),
                       .form = KD_VECTOR_FLAT,
                       .values = values};
}

static void write_segment(bench *self, uint32_t unit, uint32_t first, uint32_t count)
{
    static const uint32_t numbers[COLUMNS] = {1, 2, 3, 4, 5};
    const flights *data = &self->data;
    kd_type types[COLUMNS] = {kd_type_of(KD_TYPE_TIMESTAMP), kd_type_of(KD_TYPE_INT4),
                              kd_type_of(KD_TYPE_INT4), kd_type_of(KD_TYPE_TEXT),
                              kd_type_of(KD_TYPE_TEXT)};
    kd_segment_shape shape = {
        .unit = unit, .column_count = COLUMNS, .types = types, .column_nos = numbers};
    kd_segment_writer *writer;
    must(self, kd_segment_writer_create(&self->ctx, &self->options, &shape, &writer));
    for (uint32_t row = first; row < first + count; row += KD_BATCH_ROWS) {
        uint32_t rows = first + count - row;
        rows = rows > KD_BATCH_ROWS ? KD_BATCH_ROWS : rows;
        kd_vector columns[COLUMNS] = {
            flat(KD_TYPE_TIMESTAMP, data->departed + row), flat(KD_TYPE_INT4, data->delay + row),
            flat(KD_TYPE_INT4, data->distance + row), flat(KD_TYPE_TEXT, data->origin + row),
            flat(KD_TYPE_TEXT, data->destination + row)};
        kd_batch batch = {
            .row_count = rows, .selected_count = rows, .column_count = COLUMNS, .columns = columns};
        must(self, kd_segment_writer_append(&self->ctx, writer, &batch, NULL));
    }
    must(self, kd_segment_writer_finish(&self->ctx, writer));
    kd_segment_writer_destroy(writer);
}

static void write_all(bench *self)
{
    double start = seconds(self);
    self->segment_count = 0;
    for (uint32_t first = 0; first < self->data.row_count; first += KD_SEGMENT_ROWS_MAX) {
        uint32_t count = self->data.row_count - first;
        write_segment(self, ++self->segment_count, first,
                      count > KD_SEGMENT_ROWS_MAX ? KD_SEGMENT_ROWS_MAX : count);
    }
    double time = seconds(self) - start;
    (void)printf("write, durable: %u rows in %.3f s, %.1f M rows/s\n", self->data.row_count, time,
                 self->data.row_count / time / 1e6);
}

/* --- Reading --- */

static void check_batch(const bench *self, uint32_t column, const kd_vector *vector, uint32_t row,
                        uint32_t rows)
{
    const flights *data = &self->data;
    const void *sources[COLUMNS] = {data->departed, data->delay, data->distance, data->origin,
                                    data->destination};
    size_t value_bytes = kd_physical_bytes((kd_physical)vector->physical);
    uint64_t scratch[2];
    for (uint32_t i = 0; i < rows; i++) {
        const char *wanted = (const char *)sources[column] + (row + i) * value_bytes;
        if (memcmp(wanted, kd_vector_payload(vector, i, scratch), value_bytes) == 0)
            continue;
        (void)fprintf(stderr, "column %u row %u differs\n", column, row + i);
        exit(1);
    }
}

static void read_column(bench *self, kd_segment *segment, uint32_t column, uint32_t first,
                        bool check)
{
    kd_segment_reader *reader;
    kd_arena *arena = must_have(kd_arena_create(&self->ctx, NULL, "read", SIZE_MAX));
    must(self, kd_segment_reader_create(&self->ctx, arena, segment, &column, 1, &reader));
    uint32_t count = kd_segment_row_count(segment);
    for (uint32_t row = 0; row < count; row += KD_BATCH_ROWS) {
        uint32_t rows = count - row > KD_BATCH_ROWS ? KD_BATCH_ROWS : count - row;
        kd_vector vector;
        must(self, kd_segment_read(&self->ctx, reader, 0, row, rows, &vector));
        if (check)
            check_batch(self, column, &vector, first + row, rows);
    }
    kd_segment_reader_destroy(reader);
    kd_arena_destroy(arena);
}

static void read_all(bench *self, kd_segment **segments)
{
    static const char *names[COLUMNS] = {"departed", "delay", "distance", "origin", "destination"};
    enum { ROUNDS = 10 };
    for (uint32_t column = 0; column < COLUMNS; column++) {
        for (uint32_t i = 0; i < self->segment_count; i++)
            read_column(self, segments[i], column, i * KD_SEGMENT_ROWS_MAX, true);
        double start = seconds(self);
        for (int round = 0; round < ROUNDS; round++)
            for (uint32_t i = 0; i < self->segment_count; i++)
                read_column(self, segments[i], column, 0, false);
        double time = (seconds(self) - start) / ROUNDS;
        (void)printf("read %-12s %.2f ms, %.1f G rows/s\n", names[column], time * 1e3,
                     self->data.row_count / time / 1e9);
    }
}

static void get_some(bench *self, kd_segment **segments)
{
    enum { GETS = 200000 };
    uint64_t state = 7;
    double start = seconds(self);
    for (int i = 0; i < GETS; i++) {
        uint32_t row = (uint32_t)(next_random(&state) % self->data.row_count);
        for (uint32_t column = 0; column < COLUMNS; column++) {
            kd_value value;
            must(self, kd_segment_get(&self->ctx, segments[row / KD_SEGMENT_ROWS_MAX], column,
                                      row % KD_SEGMENT_ROWS_MAX, self->arena, &value));
        }
        if (i % 1000 == 0 && self->data.row_count == 0)
            break;
    }
    double time = (seconds(self) - start) / GETS;
    (void)printf("get a row of %d columns: %.0f ns\n", COLUMNS, time * 1e9);
}

int main(int argc, char **argv)
{
    bench self = {.ctx = {.world = kd_world_posix()}};
    uint32_t rows = argc > 1 ? (uint32_t)atoi(argv[1]) : 100000;
    kd_account_init(&self.account, NULL, "bench", SIZE_MAX);
    self.arena = must_have(kd_arena_create(&self.ctx, NULL, "bench", SIZE_MAX));
    flights *data = &self.data;
    data->row_count = rows;
    data->departed = must_have(KD_NEW_ARRAY(&self.ctx, self.arena, int64_t, rows));
    data->delay = must_have(KD_NEW_ARRAY(&self.ctx, self.arena, int32_t, rows));
    data->distance = must_have(KD_NEW_ARRAY(&self.ctx, self.arena, int32_t, rows));
    data->origin = must_have(KD_NEW_ARRAY(&self.ctx, self.arena, kd_str, rows));
    data->destination = must_have(KD_NEW_ARRAY(&self.ctx, self.arena, kd_str, rows));
    if (argc > 2)
        load_csv(data, argv[2]);
    else
        make_up(data);
    self.options.directory = "bench_segment.tmp";
    self.options.account = &self.account;
    must(&self, self.ctx.world->directory_create(&self.ctx, self.options.directory));
    must(&self,
         kd_block_cache_create(&self.ctx, &self.account, (size_t)1 << 30, &self.options.cache));
    write_all(&self);
    kd_segment *segments[64];
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < self.segment_count; i++) {
        must(&self, kd_segment_open(&self.ctx, &self.options, i + 1, &segments[i]));
        size_bytes += kd_segment_size_bytes(segments[i]);
    }
    (void)printf("size: %.2f MB, %.1f bits per row\n", (double)size_bytes / 1e6,
                 (double)size_bytes * 8 / data->row_count);
    read_all(&self, segments);
    get_some(&self, segments);
    for (uint32_t i = 0; i < self.segment_count; i++) {
        kd_segment_close(self.ctx.world, segments[i]);
        must(&self, kd_segment_remove(&self.ctx, &self.options, i + 1));
    }
    must(&self, self.ctx.world->path_remove(&self.ctx, self.options.directory));
    kd_block_cache_destroy(self.options.cache);
    kd_arena_destroy(self.arena);
    return 0;
}
