/*
 * Tells the engine that there is a way to other processes. The constructor does it for
 * every program that this file is linked into.
 */
#include "link/link.h"
#include "link/link_internal.h"

static const kd_remote_ops link_ops = {
    .serve = kdi_link_serve,
    .stop = kdi_link_stop,
    .open = kdi_link_open,
    .close = kdi_link_close,
    .connect = kdi_link_connect,
};

__attribute__((constructor)) void kd_link_register(void)
{
    kd_remote_register(&link_ops);
}
