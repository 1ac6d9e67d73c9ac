/*
 * kade serve: a database for clients on the network.
 *
 * One thread runs libuv's loop: it accepts, holds the connections that rest, and keeps the time.
 * Connections on which something arrives are given to a thread of the crew, which reads, runs
 * statements and answers until nothing is left to do.
 */
#ifndef KD_SERVER_SERVER_H
#define KD_SERVER_SERVER_H

#include "base/ctx.h"

#include <stdint.h>

typedef struct kd_server_options {
    const char *path;     /* The database's directory, made when absent, or ":memory:". */
    const char *settings; /* Lines "name = value", before settings.conf. May be NULL. */
    /* Called once clients can connect, with what they connect to: "127.0.0.1:5432, ...". NULL:
     * nobody wants to know. */
    void (*ready)(void *object, const char *places, uint16_t port);
    void *object;
} kd_server_options;

/*
 * Opens the database, serves it until SIGINT or SIGTERM, and closes it. The first signal lets open
 * transactions go on for shutdown_timeout; a second one ends them at once.
 */
kd_status kd_server_run(kd_ctx *ctx, const kd_server_options *options) KD_MUST_CHECK;

#endif
