/*
 * Shreds: which paths a segment takes, that each row's text is what its document says, and that
 * damage to them is found and named.
 */
#include "segment_fixture.h"

#include "types/jsonb.h"

#include <stdio.h>

typedef struct shred_fixture {
    segment_fixture base;
    kd_vector documents;
    uint32_t row_count;
} shred_fixture;

static const char common_path[] = "a\0b", rare_path[] = "rare", mixed_path[] = "mixed",
                  long_path[] = "long", late_path[] = "late";

static kd_slice keys_of(const char *path, size_t size_bytes)
{
    return (kd_slice){path, size_bytes};
}
#define KEYS(path) keys_of(path, sizeof(path)) /* With the zero byte at the end. */

/* Kinds change from row to row, some documents are NULL or no objects; `late` gets a long text
 * after the sample. */
static void document_text(uint32_t row, char *out, size_t room)
{
    static const char *const mixed[] = {"1.50", "\"\\u00e4\"", "true", "1e30",
                                        "\"\"", "-0.0",        "\"x\""};
    static char tail[2000];
    memset(tail, 'y', sizeof tail - 1);
    int used = snprintf(out, room, "{\"a\": {\"b\": \"v%u\"}, \"mixed\": %s, \"long\": \"%.40s\"",
                        row % 7, row % 31 == 0 ? "{\"o\": [1, null]}" : mixed[row % 7], tail);
    const char *late = row == 5000 ? tail : "short";
    used += snprintf(out + used, room - (size_t)used, ", \"late\": \"%s\"", late);
    (void)snprintf(out + used, room - (size_t)used, "%s}", row % 3 == 0 ? ", \"rare\": 1" : "");
    if (row % 50 == 49)
        (void)snprintf(out, room, "[%u]", row);
    if (row % 60 == 59)
        (void)snprintf(out, room, "{\"a\": 5, \"mixed\": null}");
}

static void documents_make(shred_fixture *self, uint32_t row_count)
{
    kd_ctx *ctx = &self->base.ctx;
    self->row_count = row_count;
    CHECK_STATUS(ctx, kd_vector_init_flat(ctx, self->base.arena, kd_type_of(KD_TYPE_JSONB),
                                          row_count, &self->documents));
    for (uint32_t row = 0; row < row_count; row++) {
        char text[5000];
        kd_slice stored;
        document_text(row, text, sizeof text);
        CHECK_STATUS(ctx, kd_jsonb_parse(ctx, self->base.arena, kd_slice_of(text), &stored));
        ((kd_str *)self->documents.values)[row] = kd_str_from(stored.data, stored.size_bytes);
        if (row % 40 == 39)
            kd_vector_set_null(&self->documents, row);
    }
}

static void segment_write(shred_fixture *self, uint64_t unit)
{
    kd_ctx *ctx = &self->base.ctx;
    kd_type type = kd_type_of(KD_TYPE_JSONB);
    uint32_t number = 9;
    kd_segment_shape shape = {.unit = unit,
                              .table_no = 7,
                              .schema_version = 1,
                              .column_count = 1,
                              .types = &type,
                              .column_nos = &number};
    kd_segment_writer *writer;
    CHECK_STATUS(ctx, kd_segment_writer_create(ctx, &self->base.options, &shape, &writer));
    uint16_t selection[KD_BATCH_ROWS];
    for (uint32_t first = 0; first < self->row_count; first += KD_BATCH_ROWS) {
        uint32_t count = self->row_count - first;
        count = count > KD_BATCH_ROWS ? KD_BATCH_ROWS : count;
        kd_vector part = self->documents;
        part.values = (kd_str *)self->documents.values + first;
        part.validity = self->documents.validity + first / 64;
        for (uint32_t i = 0; i < count; i++)
            selection[i] = (uint16_t)i;
        kd_batch batch = {.row_count = count,
                          .selected_count = count,
                          .selection = first == 0 ? NULL : selection,
                          .column_count = 1,
                          .columns = &part};
        CHECK_STATUS(ctx, kd_segment_writer_append(ctx, writer, &batch, NULL));
    }
    CHECK_STATUS(ctx, kd_segment_writer_finish(ctx, writer));
    kd_segment_writer_destroy(writer);
}

/* Row by row what ->> gives of the document. */
static void check_path(shred_fixture *self, kd_segment *segment, kd_slice keys)
{
    kd_ctx *ctx = &self->base.ctx;
    int at = kd_segment_find_shred(segment, 9, keys);
    CHECK(at > 0);
    CHECK_EQ(kd_segment_column_type(segment, (uint32_t)at).id, KD_TYPE_TEXT);
    kd_jsonb_keys path = {.bytes = keys};
    for (uint32_t row = 0; row < self->row_count; row++) {
        kd_value value;
        kd_slice text;
        bool is_null = true;
        CHECK_STATUS(ctx,
                     kd_segment_get(ctx, segment, (uint32_t)at, row, self->base.arena, &value));
        if (!kd_vector_is_null(&self->documents, row))
            CHECK_STATUS(
                ctx, kd_jsonb_follow_text(ctx, self->base.arena, &path,
                                          kd_str_slice(&((kd_str *)self->documents.values)[row]),
                                          &is_null, &text));
        CHECK_EQ(value.is_null, is_null);
        if (!is_null)
            CHECK(kd_slice_equal(kd_str_slice(&value.as.str), text));
    }
}

TEST(frequent_short_paths_are_shredded)
{
    shred_fixture self = {0};
    fixture_begin(&self.base, 4 << 20);
    documents_make(&self, 20000);
    segment_write(&self, 3);
    kd_segment *segment;
    CHECK_STATUS(&self.base.ctx, kd_segment_open(&self.base.ctx, &self.base.options, 3, &segment));
    CHECK_EQ(kd_segment_column_count(segment), 1);
    check_path(&self, segment, KEYS(common_path));
    check_path(&self, segment, KEYS(mixed_path));
    CHECK_EQ(kd_segment_find_shred(segment, 9, KEYS(rare_path)), -1);
    CHECK_EQ(kd_segment_find_shred(segment, 9, KEYS(long_path)), -1);
    CHECK_EQ(kd_segment_find_shred(segment, 9, KEYS(late_path)), -1);
    CHECK_EQ(kd_segment_find_shred(segment, 8, KEYS(common_path)), -1);
    CHECK_STATUS(&self.base.ctx, kd_segment_check(&self.base.ctx, segment));
    kd_segment_close(self.base.ctx.world, segment);
    fixture_end(&self.base);
}

static void byte_turn(kd_ctx *ctx, const char *path, uint64_t offset)
{
    kd_file *file;
    size_t got_bytes;
    uint8_t byte;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(ctx, ctx->world->file_read(ctx, file, offset, &byte, 1, &got_bytes));
    ctx->world->file_close(ctx->world, file);
    byte ^= 0x10;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, offset, &byte, 1));
    ctx->world->file_close(ctx->world, file);
}

/* Every damaged piece of the file is found; those of shreds are named as such. */
TEST(damage_to_shreds_is_found_and_named)
{
    shred_fixture self = {0};
    fixture_begin(&self.base, 4 << 20);
    kd_ctx *ctx = &self.base.ctx;
    documents_make(&self, 200);
    segment_write(&self, 3);
    kd_segment *segment;
    CHECK_STATUS(ctx, kd_segment_open(ctx, &self.base.options, 3, &segment));
    uint32_t pieces = kd_segment_piece_count(segment), named = 0;
    kd_damage *places = KD_NEW_ARRAY(ctx, self.base.arena, kd_damage, pieces);
    CHECK(places != NULL);
    for (uint32_t i = 0; i < pieces; i++) {
        uint64_t bytes;
        CHECK_STATUS(ctx, kd_segment_check_piece(ctx, segment, i, &bytes, &places[i]));
    }
    kd_segment_close(ctx->world, segment);
    for (uint32_t i = 0; i < pieces; i++) {
        for (uint64_t at = 0; at < places[i].size_bytes; at += 7) {
            byte_turn(ctx, test_path("0000000003.seg"), places[i].offset + at);
            kd_status status = kd_segment_open(ctx, &self.base.options, 3, &segment);
            if (status == KD_OK)
                status = kd_segment_check(ctx, segment);
            bool is_padding = status == KD_OK; /* Before the trailer. */
            CHECK(is_padding || status == KD_CORRUPT || status == KD_UNSUPPORTED);
            CHECK(!is_padding || at > 0);
            named += !is_padding && strstr(ctx->error.message, "shred") != NULL;
            kd_error_clear(ctx);
            kd_segment_close(ctx->world, segment);
            byte_turn(ctx, test_path("0000000003.seg"), places[i].offset + at);
        }
    }
    CHECK(named > 0);
    fixture_end(&self.base);
}
