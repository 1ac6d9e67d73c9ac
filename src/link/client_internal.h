/*
 * The client's side.
 *
 *   link_client.c    databases of other processes, the conversation: opening, closing, stopping
 *   link_call.c      a request and its answer, and the callbacks in between
 *   link_request.c   statements: prepare, begin, next, end
 */
#ifndef KD_LINK_CLIENT_INTERNAL_H
#define KD_LINK_CLIENT_INTERNAL_H

#include "link/message_internal.h"

#include "types/zone.h"

enum { KDI_LINK_TAG_BYTES = 64, KDI_LINK_NAMES = 3 };

struct kd_remote {
    kd_arena *arena;
    kd_world *world;
    const kd_sockets *sockets;
    const char *socket_path;
    bool read_only;
    uint64_t silence_ns; /* Of the owner, before it is asked whether it is alive. */
    const kd_registry *registry;
};

/* Zones that runs of the conversation have used. */
typedef struct kdi_used_zone kdi_used_zone;
struct kdi_used_zone {
    kdi_used_zone *next;
    kd_slice name;
    const kd_zone *zone;
};

typedef struct kdi_remote_talk {
    kd_conversation base;
    kd_ctx ctx;
    kd_arena *arena;
    kd_remote *remote;
    kd_socket *socket;
    kd_socket *control;
    uint64_t key;
    atomic_uint_least32_t sequence; /* Of the last request; read when stopping it. */
    bool is_greeted;
    bool is_gone;   /* The owner has. */
    bool is_silent; /* It has not, but does not answer. */
    kd_session_state state;
    kd_session_hooks hooks;
    uint8_t hook_bits; /* What the owner was told. */
    kdi_frame_room out;
    kdi_frame_room in;
    kdi_frame_room copy; /* Bytes of a COPY. */
    char error_file[KDI_SOURCE_NAME_BYTES];
    kdi_used_zone *zones;
    const char *names[KDI_LINK_NAMES]; /* Of session facts: appenders keep pointers to them. */
} kdi_remote_talk;

/* --- link_call.c ------------------------------------------------------------------------------ */

/* Begins a request; its payload goes to `talk->out.bytes`. */
kd_status kdi_call_start(kd_ctx *ctx, kdi_remote_talk *talk, kdi_frame_kind kind) KD_MUST_CHECK;
/* Sends it, and no answer will come. */
kd_status kdi_call_tell(kd_ctx *ctx, kdi_remote_talk *talk) KD_MUST_CHECK;
/* Sends it and waits for the answer of this kind; a failure there is one here. */
kd_status kdi_call_ask(kd_ctx *ctx, kdi_remote_talk *talk, kdi_frame_kind kind,
                       kdi_frame *out_answer) KD_MUST_CHECK;
/* Takes the session's state from an answer. */
kd_status kdi_call_state(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader) KD_MUST_CHECK;
/* The owner's failure, the payload of FAILED, becomes this call's. */
kd_status kdi_call_failed(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader);
/* 08006: and so will every later call. */
kd_status kdi_owner_gone(kd_ctx *ctx, kdi_remote_talk *talk);
/* Stops the request that is being answered; any thread, also a signal handler. */
void kdi_call_cancel(kd_conversation *conversation);

/* --- link_request.c --------------------------------------------------------------------------- */

kd_status kdi_remote_prepare(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                             kd_request **out_request) KD_MUST_CHECK;
void kdi_remote_destroy(kd_request *request);
kd_status kdi_remote_format_type(kd_ctx *ctx, kd_request *request, kd_type type,
                                 kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_remote_begin(kd_ctx *ctx, kd_request *request, const kd_value *parameters,
                           uint32_t parameter_count) KD_MUST_CHECK;
kd_status kdi_remote_next(kd_ctx *ctx, kd_request *request, kd_batch *out_batch,
                          bool *out_end) KD_MUST_CHECK;
kd_status kdi_remote_end(kd_ctx *ctx, kd_request *request) KD_MUST_CHECK;
void kdi_remote_abandon(kd_request *request);
const char *kdi_remote_tag(const kd_request *request);
int64_t kdi_remote_affected(const kd_request *request);

#endif
