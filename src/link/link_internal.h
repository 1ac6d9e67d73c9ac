/*
 * What link_register.c ties together.
 */
#ifndef KD_LINK_LINK_INTERNAL_H
#define KD_LINK_LINK_INTERNAL_H

#include "engine/conversation.h"

/* The socket's name in the database directory. */
#define KDI_SOCKET_NAME "LINK"

/* --- link_server.c ---------------------------------------------------------------------------- */

kd_status kdi_link_serve(kd_ctx *ctx, kd_database *database, const char *path,
                         kd_remote_server **out_server) KD_MUST_CHECK;
void kdi_link_stop(kd_remote_server *server);

/* --- link_client.c ---------------------------------------------------------------------------- */

kd_status kdi_link_open(kd_ctx *ctx, const char *path, const kd_database_options *options,
                        kd_remote **out_remote) KD_MUST_CHECK;
void kdi_link_close(kd_remote *remote);
kd_status kdi_link_connect(kd_ctx *ctx, kd_remote *remote, const kd_session_options *options,
                           kd_conversation **out_conversation) KD_MUST_CHECK;

#endif
