/*
 * Goal: compressed input is recognised and read whole; broken input is refused. Method: the same
 * text compressed by zlib and libzstd in the test.
 */
#include "lake_text.h"

#include <zlib.h>
#include <zstd.h>

enum { TEXT_BYTES = 3000000 };

static kd_arena *arena_of(kd_ctx *ctx)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    return arena;
}

static char *text_make(kd_ctx *ctx, kd_arena *arena)
{
    char *text = kd_alloc_raw(ctx, arena, TEXT_BYTES);
    CHECK(text != NULL);
    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)('a' + i * i / 7 % 23);
    return text;
}

static kd_slice gzip_make(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size)
{
    z_stream stream = {0};
    CHECK_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uLong bound = deflateBound(&stream, size);
    char *out = kd_alloc_raw(ctx, arena, bound);
    CHECK(out != NULL);
    char *in = kd_copy_text(ctx, arena, text, size);
    stream.next_in = (Bytef *)in;
    stream.avail_in = (uInt)size;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)bound;
    CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    kd_slice made = {out, bound - stream.avail_out};
    deflateEnd(&stream);
    return made;
}

static kd_slice zstd_make(kd_ctx *ctx, kd_arena *arena, const char *text, size_t size)
{
    size_t bound = ZSTD_compressBound(size);
    char *out = kd_alloc_raw(ctx, arena, bound);
    CHECK(out != NULL);
    size_t made = ZSTD_compress(out, bound, text, size, 3);
    CHECK(!ZSTD_isError(made));
    return (kd_slice){out, made};
}

static kd_status read_all(kd_ctx *ctx, kd_arena *arena, kd_slice input, kd_buffer *out)
{
    text_feed feed = {.text = input, .piece_bytes = 777};
    kd_text_source *source;
    kd_status status = kd_text_source_open_callback(ctx, arena, text_feed_read, &feed, &source);
    while (status == KD_OK) {
        char piece[5000];
        size_t size;
        status = kd_text_source_read(ctx, source, piece, sizeof piece, &size);
        if (status != KD_OK || size == 0)
            break;
        status = kd_buffer_append(ctx, out, piece, size);
    }
    kd_text_source_close(source);
    return status;
}

TEST(text_source_reads_gzip_and_zstd_by_their_magic)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = arena_of(&ctx);
    char *text = text_make(&ctx, arena);
    kd_slice inputs[] = {
        {text, TEXT_BYTES},
        gzip_make(&ctx, arena, text, TEXT_BYTES),
        zstd_make(&ctx, arena, text, TEXT_BYTES),
    };
    for (int i = 0; i < 3; i++) {
        kd_buffer out = kd_buffer_in(arena);
        CHECK_STATUS(&ctx, read_all(&ctx, arena, inputs[i], &out));
        CHECK_EQ(out.size_bytes, TEXT_BYTES);
        CHECK(memcmp(out.data, text, TEXT_BYTES) == 0);
    }
    kd_arena_destroy(arena);
}

TEST(text_source_reads_concatenated_gzip_members)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = arena_of(&ctx);
    kd_slice first = gzip_make(&ctx, arena, "one\n", 4);
    kd_slice second = gzip_make(&ctx, arena, "two\n", 4);
    kd_buffer both = kd_buffer_in(arena), out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_buffer_append_slice(&ctx, &both, first));
    CHECK_STATUS(&ctx, kd_buffer_append_slice(&ctx, &both, second));
    CHECK_STATUS(&ctx, read_all(&ctx, arena, kd_buffer_slice(&both), &out));
    CHECK_SLICE(kd_buffer_slice(&out), "one\ntwo\n");
    kd_arena_destroy(arena);
}

TEST(text_source_refuses_cut_and_broken_compressed_data)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = arena_of(&ctx);
    char *text = text_make(&ctx, arena);
    kd_slice inputs[] = {
        gzip_make(&ctx, arena, text, TEXT_BYTES),
        zstd_make(&ctx, arena, text, TEXT_BYTES),
    };
    for (int i = 0; i < 2; i++) {
        kd_buffer out = kd_buffer_in(arena);
        kd_slice cut = {inputs[i].data, inputs[i].size_bytes / 2};
        CHECK_FAILS(&ctx, read_all(&ctx, arena, cut, &out), "22P04");
        char *broken = kd_copy_text(&ctx, arena, inputs[i].data, inputs[i].size_bytes);
        for (size_t at = 40; at < inputs[i].size_bytes; at += 50)
            broken[at] = (char)(broken[at] ^ 0x55);
        kd_slice bad = {broken, inputs[i].size_bytes};
        CHECK_FAILS(&ctx, read_all(&ctx, arena, bad, &out), "22P04");
    }
    kd_arena_destroy(arena);
}

TEST(text_source_of_a_missing_file_is_an_error)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = arena_of(&ctx);
    kd_text_source *source;
    CHECK_FAILS(&ctx, kd_text_source_open(&ctx, arena, "/nonexistent/file.csv", &source), "58P01");
    CHECK(source == NULL);
    kd_arena_destroy(arena);
}
