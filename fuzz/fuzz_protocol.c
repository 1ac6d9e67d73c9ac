/*
 * Any bytes as what a client sends to kade serve: from the first message on, or behind a login. The
 * connection ends or waits for more; nothing that it sends is left half done. A new database every
 * 500 inputs.
 */
#include "fuzz_engine.h"

#include "server/pg_internal.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { INPUT_BYTES_MAX = 8000, INPUTS_PER_DATABASE = 500, SOCKET_BYTES = 4 << 20 };

static const char *const beginning[] = {
    "CREATE TABLE t (a integer PRIMARY KEY, b text, c numeric(10,2))",
    "INSERT INTO t VALUES (1, 'abc', 1.5), (2, 'x', NULL), (3, NULL, 7)",
};

static const char login[] = "\0\0\0\x42\0\3\0\0user\0kade\0options\0-c statement_timeout=300\0"
                            "DateStyle\0ISO\0\0";

static kd_server server;
static fuzz_engine engine;

static void begin(void)
{
    fuzz_engine_open(&engine, (uint64_t)64 << 20);
    for (size_t i = 0; i < sizeof beginning / sizeof *beginning; i++)
        (void)!fuzz_run(&engine, kd_slice_of(beginning[i]), NULL, 0);
    kd_arena *arena = kd_arena_create(&engine.ctx, NULL, "server", KD_ARENA_UNLIMITED);
    memset(&server, 0, sizeof server);
    server.world = engine.ctx.world;
    server.arena = arena;
    server.database = engine.database;
    kd_account_init(&server.account, NULL, "connections", SIZE_MAX);
    kd_map_init(&server.named, server.world, &server.account);
    kd_mutex_init(&server.mutex, server.world);
    kdi_attempts_init(&server.attempts, server.world, &server.account);
    kd_database_server_settings(engine.database, &server.settings);
    atomic_store(&server.login_timeout_ns, server.settings.authentication_timeout_ns);
    if (arena == NULL || kdi_crew_create(&engine.ctx, arena, 1, 1, &server.crew) != KD_OK ||
        uv_loop_init(&server.loop) != 0 || uv_async_init(&server.loop, &server.wake, NULL) != 0)
        abort();
}

static void end(void)
{
    uv_close((uv_handle_t *)&server.wake, NULL);
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&server.loop);
    kdi_crew_stop(server.crew);
    kd_map_clear(&server.named);
    kdi_attempts_clear(&server.attempts);
    kd_mutex_clear(&server.mutex);
    kd_arena_destroy(server.arena);
    fuzz_engine_close(&engine);
}

/* Nobody reads what is sent. */
static bool gives_up(void *object)
{
    (void)object;
    return true;
}

static void serve(int descriptor)
{
    kdi_connection connection = {.server = &server,
                                 .peer = {.is_local = true, .user_id = geteuid()},
                                 .accepted_ns = server.world->monotonic_ns(server.world)};
    if (kdi_stream_init(&engine.ctx, &server.account, descriptor, &connection.stream) != KD_OK ||
        kdi_pg_create(&engine.ctx, &connection, &connection.pg) != KD_OK)
        abort();
    connection.stream.gives_up = gives_up;
    while (kdi_pg_serve(connection.pg))
        kdi_stream_rest(&connection.stream);
    kdi_pg_destroy(connection.pg);
    kdi_stream_close(&connection.stream);
    if (kd_map_count(&server.named) != 0 || atomic_load(&server.account.used_bytes) > 1 << 20)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static uint64_t count;
    int pair[2], room = SOCKET_BYTES;
    if (size_bytes == 0 || size_bytes > INPUT_BYTES_MAX ||
        fuzz_names_a_file((kd_slice){(const char *)data, size_bytes}))
        return 0;
    if (count % INPUTS_PER_DATABASE == 0) {
        if (count > 0)
            end();
        begin();
    }
    count++;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        abort();
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (data[0] % 2 == 1 && send(pair[0], login, sizeof login - 1, 0) < 0)
        abort();
    if (send(pair[0], data + 1, size_bytes - 1, 0) < 0 && size_bytes > 1)
        abort();
    (void)shutdown(pair[0], SHUT_WR);
    serve(pair[1]);
    (void)close(pair[0]);
    return 0;
}
