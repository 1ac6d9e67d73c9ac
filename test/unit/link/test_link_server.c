/*
 * The owner against clients that do not keep to the protocol: it refuses them, and
 * serves the others as before.
 */
#include "test.h"

#include "kade.h"

#include "link/frame_internal.h"

#include <string.h>

typedef struct raw {
    kd_ctx ctx;
    const kd_sockets *sockets;
    kd_socket *socket;
    kdi_frame_room out;
    kdi_frame_room in;
} raw;

static kade_database *owner;

static void raw_open(raw *client)
{
    *client = (raw){.ctx = test_ctx(), .sockets = kd_sockets_of(kd_world_posix())};
    CHECK_STATUS(&client->ctx,
                 client->sockets->connect(&client->ctx, test_path("shared/LINK"), &client->socket));
    CHECK_STATUS(&client->ctx, kdi_frame_room_init(&client->ctx, &client->out));
    CHECK_STATUS(&client->ctx, kdi_frame_room_init(&client->ctx, &client->in));
}

static void raw_close(raw *client)
{
    client->sockets->close(kd_world_posix(), client->socket);
    kdi_frame_room_clear(&client->out);
    kdi_frame_room_clear(&client->in);
}

static void raw_start(raw *client, kdi_frame_kind kind, uint32_t sequence)
{
    CHECK_STATUS(&client->ctx, kdi_frame_start(&client->ctx, &client->out, kind, sequence));
}

static void raw_u32(raw *client, uint32_t value)
{
    CHECK_STATUS(&client->ctx, kd_buffer_append_u32(&client->ctx, &client->out.bytes, value));
}

static void raw_send(raw *client)
{
    CHECK_STATUS(&client->ctx,
                 kdi_frame_send(&client->ctx, client->sockets, client->socket, &client->out));
}

static void raw_expect(raw *client, kdi_frame_kind kind)
{
    kdi_frame frame;
    CHECK_STATUS(&client->ctx, kdi_frame_receive(&client->ctx, client->sockets, client->socket,
                                                 KDI_FRAME_BYTES_MAX, &client->in, &frame));
    CHECK_EQ(frame.kind, kind);
}

static void raw_expect_end(raw *client)
{
    kdi_frame frame;
    CHECK_FAILS(&client->ctx,
                kdi_frame_receive(&client->ctx, client->sockets, client->socket,
                                  KDI_FRAME_BYTES_MAX, &client->in, &frame),
                "08006");
}

static void raw_hello(raw *client, uint32_t version)
{
    raw_start(client, KDI_FRAME_HELLO, 0);
    raw_u32(client, KDI_LINK_MAGIC);
    raw_u32(client, version);
    CHECK_STATUS(&client->ctx, kd_buffer_append(&client->ctx, &client->out.bytes, "\0\1\0", 3));
    raw_send(client);
}

static void own(void)
{
    (void)test_directory();
    CHECK(kade_open(test_path("shared"), KADE_NUL, NULL, &owner, NULL) == KADE_OK);
}

static void check_serves(void)
{
    kade_database *database;
    kade_session *session;
    CHECK(kade_open(test_path("shared"), KADE_NUL, NULL, &database, NULL) == KADE_OK);
    CHECK(kade_connect(database, &session, NULL) == KADE_OK);
    CHECK(kade_execute(session, "SELECT 1", KADE_NUL, NULL, NULL) == KADE_OK);
    kade_close(database);
}

TEST(another_version_is_refused)
{
    raw client;
    own();
    raw_open(&client);
    raw_hello(&client, KDI_LINK_VERSION + 1);
    raw_expect(&client, KDI_FRAME_FAILED);
    raw_expect_end(&client);
    raw_close(&client);
    check_serves();
    kade_close(owner);
}

TEST(somebody_who_does_not_greet_is_refused)
{
    raw client;
    own();
    raw_open(&client);
    raw_start(&client, KDI_FRAME_PREPARE, 1);
    raw_send(&client);
    raw_expect(&client, KDI_FRAME_FAILED);
    raw_expect_end(&client);
    raw_close(&client);

    static const char large[] = "\xff\xff\xff\x7f and more";
    raw_open(&client);
    CHECK_STATUS(&client.ctx,
                 client.sockets->send(&client.ctx, client.socket, large, sizeof large));
    raw_expect(&client, KDI_FRAME_FAILED);
    raw_close(&client);
    check_serves();
    kade_close(owner);
}

TEST(an_unknown_request_ends_the_session)
{
    raw client;
    own();
    raw_open(&client);
    raw_hello(&client, KDI_LINK_VERSION);
    raw_expect(&client, KDI_FRAME_WELCOME);
    raw_start(&client, KDI_FRAME_DONE, 1);
    raw_send(&client);
    raw_expect(&client, KDI_FRAME_FAILED);
    raw_expect_end(&client);
    raw_close(&client);
    check_serves();
    kade_close(owner);
}

TEST(random_frames_do_no_harm)
{
    own();
    uint64_t seeds = test_seed_count(100);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        raw client;
        test_random random = {.state = seed};
        test_note("seed %llu", (unsigned long long)seed);
        raw_open(&client);
        raw_hello(&client, KDI_LINK_VERSION);
        raw_expect(&client, KDI_FRAME_WELCOME);
        for (uint32_t i = 1; i < 10; i++) {
            kdi_frame_kind kind =
                (kdi_frame_kind)(KDI_FRAME_CANCEL + test_random_below(&random, 12));
            raw_start(&client, kind, i);
            if (kind == KDI_FRAME_PREPARE) {
                CHECK_STATUS(&client.ctx, kd_buffer_append_counted(&client.ctx, &client.out.bytes,
                                                                   KD_SLICE("SELECT $1::int")));
            } else if (kind != KDI_FRAME_HOOKS) {
                raw_u32(&client, (uint32_t)test_random_below(&random, 3));
                for (uint64_t n = test_random_below(&random, 40); n > 0; n--)
                    CHECK_STATUS(&client.ctx,
                                 kd_buffer_append_byte(&client.ctx, &client.out.bytes,
                                                       (uint8_t)test_random_below(&random, 5)));
            }
            if (kdi_frame_send(&client.ctx, client.sockets, client.socket, &client.out) != KD_OK)
                break; /* It had enough of this one. */
        }
        kd_error_clear(&client.ctx);
        raw_close(&client);
    }
    check_serves();
    kade_close(owner);
}
