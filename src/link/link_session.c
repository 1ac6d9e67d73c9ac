/*
 * One client's session in the owner: its requests, one after the other.
 *
 * The session is a local conversation, as those of this process are. Failures of requests are in
 * the conversation's context and go to the client; failures of the connection are in the
 * connection's own and end it.
 *
 * Rows go out as the client asks for them, so a slow client holds a batch and no worker. An
 * answer brings as much as is at hand: the first rows with BEGIN, and where they are all, the
 * run has been ended as well, so that a short statement takes one round trip.
 */
#include "link/server_internal.h"

#include <assert.h>

/* After fewer rows than this another batch is looked for, to find the end. */
enum { LOOK_AHEAD_ROWS = 256, COPY_PIECE_BYTES = 1 << 20 };

enum rows_flags { ROWS_AT_END = 1, ROWS_RUN_OVER = 2 };

static kd_session_state state_of(const kdi_connection *connection)
{
    const kd_conversation *talk = connection->talk;
    return talk == NULL ? KD_SESSION_IDLE : talk->ops->state(talk);
}

static kd_status send_out(kdi_connection *connection)
{
    return kdi_frame_send(&connection->ctx, connection->server->sockets, connection->socket,
                          &connection->out);
}

kd_status kdi_send_failure(kd_ctx *ctx, kdi_connection *connection, uint32_t sequence,
                           const kd_error *error, kd_session_state state)
{
    KD_TRY(kdi_frame_start(ctx, &connection->out, KDI_FRAME_FAILED, sequence));
    KD_TRY(kd_buffer_append_byte(ctx, &connection->out.bytes, (uint8_t)state));
    KD_TRY(kdi_error_put(ctx, error, &connection->out.bytes));
    return kdi_frame_send(ctx, connection->server->sockets, connection->socket, &connection->out);
}

/* --- Callbacks, in the middle of a request ---------------------------------------------------- */

static kd_status hook_start(kdi_connection *connection, kdi_frame_kind kind)
{
    kd_error_clear(&connection->ctx);
    return kdi_frame_start(&connection->ctx, &connection->hook_out, kind,
                           atomic_load(&connection->current_sequence));
}

/* A failure here is the client's going: the request's answer will find that out. */
static bool hook_send(kdi_connection *connection, kd_status status)
{
    if (status == KD_OK)
        status = kdi_frame_send(&connection->ctx, connection->server->sockets, connection->socket,
                                &connection->hook_out);
    if (status != KD_OK)
        kd_error_clear(&connection->ctx);
    return status == KD_OK;
}

static void on_notice(void *object, const char *severity, const char *sqlstate, const char *message,
                      const char *hint)
{
    kdi_connection *connection = object;
    const char *const texts[] = {severity, sqlstate, message, hint == NULL ? "" : hint};
    kd_status status = hook_start(connection, KDI_FRAME_NOTICE);
    for (int i = 0; i < 4 && status == KD_OK; i++)
        status = kd_buffer_append_counted(&connection->ctx, &connection->hook_out.bytes,
                                          kd_slice_of(texts[i]));
    (void)hook_send(connection, status);
}

static bool on_progress(void *object, const char *phase, uint64_t rows_done, uint64_t rows_expected,
                        uint64_t elapsed_us)
{
    kdi_connection *connection = object;
    const uint64_t numbers[] = {rows_done, rows_expected, elapsed_us};
    kd_status status = hook_start(connection, KDI_FRAME_PROGRESS);
    kd_buffer *bytes = &connection->hook_out.bytes;
    if (status == KD_OK)
        status = kd_buffer_append_counted(&connection->ctx, bytes, kd_slice_of(phase));
    for (int i = 0; i < 3 && status == KD_OK; i++)
        status = kd_buffer_append_u64(&connection->ctx, bytes, numbers[i]);
    return hook_send(connection, status);
}

/* Sends what was made and waits for the client's reply of this kind; it begins with 1 to go on. */
static bool hook_ask(kdi_connection *connection, kd_status status, kdi_frame_kind kind,
                     kdi_frame *out_reply)
{
    *out_reply = (kdi_frame){0};
    if (!hook_send(connection, status))
        return false;
    status = kdi_frame_receive(&connection->ctx, connection->server->sockets, connection->socket,
                               KDI_FRAME_BYTES_MAX, &connection->hook_in, out_reply);
    if (status != KD_OK)
        kd_error_clear(&connection->ctx);
    if (status != KD_OK || out_reply->kind != kind) {
        connection->server->sockets->shutdown(connection->socket);
        return false;
    }
    return kd_read_u8(&out_reply->payload) == 1;
}

static bool on_copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    kdi_connection *connection = object;
    *out_bytes = 0;
    uint32_t wanted_bytes =
        capacity_bytes > COPY_PIECE_BYTES ? COPY_PIECE_BYTES : (uint32_t)capacity_bytes;
    kd_status status = hook_start(connection, KDI_FRAME_COPY_READ);
    if (status == KD_OK)
        status = kd_buffer_append_u32(&connection->ctx, &connection->hook_out.bytes, wanted_bytes);
    kdi_frame reply;
    if (!hook_ask(connection, status, KDI_FRAME_COPY_DATA, &reply))
        return false;
    kd_slice bytes = kd_read_slice(&reply.payload);
    if (reply.payload.failed || bytes.size_bytes > wanted_bytes)
        return false;
    if (bytes.size_bytes > 0)
        memcpy(target, bytes.data, bytes.size_bytes);
    *out_bytes = bytes.size_bytes;
    return true;
}

static bool on_copy_write(void *object, const void *source, size_t size_bytes)
{
    kdi_connection *connection = object;
    const char *at = source;
    while (size_bytes > 0) {
        size_t piece_bytes = size_bytes > COPY_PIECE_BYTES ? COPY_PIECE_BYTES : size_bytes;
        kd_status status = hook_start(connection, KDI_FRAME_COPY_WRITE);
        if (status == KD_OK)
            status = kd_buffer_append_counted(&connection->ctx, &connection->hook_out.bytes,
                                              (kd_slice){at, piece_bytes});
        kdi_frame reply;
        if (!hook_ask(connection, status, KDI_FRAME_COPY_TAKEN, &reply))
            return false;
        at += piece_bytes;
        size_bytes -= piece_bytes;
    }
    return true;
}

static kd_status serve_hooks(kdi_connection *connection, kdi_frame *frame)
{
    uint8_t bits = kd_read_u8(&frame->payload);
    if (frame->payload.failed)
        return kdi_protocol_fail(connection->talk->ctx, "a frame is too short");
    kd_session_hooks hooks = {
        .object = connection,
        .notice = (bits & KDI_HOOK_NOTICE) != 0 ? on_notice : NULL,
        .progress = (bits & KDI_HOOK_PROGRESS) != 0 ? on_progress : NULL,
        .copy_read = (bits & KDI_HOOK_COPY_READ) != 0 ? on_copy_read : NULL,
        .copy_write = (bits & KDI_HOOK_COPY_WRITE) != 0 ? on_copy_write : NULL,
    };
    connection->talk->ops->set_hooks(connection->talk, &hooks);
    return KD_OK;
}

/* --- Statements ------------------------------------------------------------------------------- */

static kd_status find_served(kdi_connection *connection, kdi_frame *frame, kdi_served **out_served)
{
    uint32_t number = kd_read_u32(&frame->payload);
    *out_served = NULL;
    if (frame->payload.failed || number >= connection->served_count ||
        connection->served[number].request == NULL)
        return kdi_protocol_fail(connection->talk->ctx, "there is no such statement");
    *out_served = &connection->served[number];
    return KD_OK;
}

static kd_status add_served(kdi_connection *connection, uint32_t *out_number)
{
    kd_ctx *ctx = connection->talk->ctx;
    kdi_served *added;
    for (*out_number = 0; *out_number < connection->served_count; ++*out_number)
        if (connection->served[*out_number].request == NULL)
            return KD_OK;
    if (connection->served_count >= KDI_STATEMENTS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a session may have %d statements at most",
                       KDI_STATEMENTS_MAX);
    return KD_PUSH(ctx, connection->arena, connection->served, connection->served_count,
                   connection->served_capacity, &added);
}

static kd_status put_described(kdi_connection *connection, kd_request *request, kd_type type,
                               kd_slice name)
{
    kd_ctx *ctx = connection->talk->ctx;
    kd_buffer type_name = kd_buffer_in(connection->scratch);
    if (type.id == KD_TYPE_UNKNOWN)
        KD_TRY(kd_buffer_append_text(ctx, &type_name, "unknown"));
    else
        KD_TRY(connection->talk->ops->format_type(ctx, request, type, &type_name));
    kdi_described item = {.type = type, .name = name, .type_name = kd_buffer_slice(&type_name)};
    return kdi_described_put(ctx, &item, &connection->out.bytes);
}

static kd_status put_columns(kdi_connection *connection, kd_request *request)
{
    kd_ctx *ctx = connection->talk->ctx;
    KD_TRY(kd_buffer_append_varint(ctx, &connection->out.bytes, request->column_count));
    for (uint32_t i = 0; i < request->column_count; i++)
        KD_TRY(
            put_described(connection, request, request->columns[i].type, request->columns[i].name));
    return KD_OK;
}

static kd_status answer_prepared(kdi_connection *connection, uint32_t sequence, uint32_t number,
                                 kd_request *request)
{
    kd_ctx *ctx = connection->talk->ctx;
    kd_buffer *out = &connection->out.bytes;
    KD_TRY(kdi_frame_start(ctx, &connection->out, KDI_FRAME_PREPARED, sequence));
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)state_of(connection)));
    KD_TRY(kd_buffer_append_u32(ctx, out, number));
    KD_TRY(kd_buffer_append_varint(ctx, out, request->parameter_count));
    for (uint32_t i = 0; i < request->parameter_count; i++)
        KD_TRY(put_described(connection, request, request->parameter_types[i], KD_SLICE("")));
    return put_columns(connection, request);
}

static kd_status serve_prepare(kdi_connection *connection, kdi_frame *frame)
{
    kd_conversation *talk = connection->talk;
    uint32_t number;
    kd_slice text = kd_read_slice(&frame->payload);
    if (frame->payload.failed)
        return kdi_protocol_fail(talk->ctx, "a statement is cut short");
    KD_TRY(add_served(connection, &number));
    kd_request *request;
    KD_TRY(talk->ops->prepare(talk->ctx, talk, text, &request));
    kd_status status = answer_prepared(connection, frame->sequence, number, request);
    if (status != KD_OK) {
        talk->ops->destroy(request);
        return status;
    }
    connection->served[number] = (kdi_served){.request = request};
    return KD_OK;
}

static void stop_served(kdi_connection *connection, kdi_served *served)
{
    if (served->is_running)
        connection->talk->ops->abandon(served->request);
    served->is_running = false;
    served->batch = (kd_batch){0};
}

static kd_status serve_destroy(kdi_connection *connection, kdi_frame *frame)
{
    kdi_served *served;
    KD_TRY(find_served(connection, frame, &served));
    stop_served(connection, served);
    connection->talk->ops->destroy(served->request);
    *served = (kdi_served){0};
    return KD_OK;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool is_drained(const kdi_served *served)
{
    return served->position >= served->batch.selected_count;
}

static kd_status fetch(kdi_connection *connection, kdi_served *served)
{
    const kd_conversation *talk = connection->talk;
    while (is_drained(served) && !served->at_end) {
        served->position = 0;
        KD_TRY(talk->ops->next(talk->ctx, served->request, &served->batch, &served->at_end));
    }
    return KD_OK;
}

/* The next rows, and what is known after them. */
static kd_status put_rows(kdi_connection *connection, kdi_served *served)
{
    kd_conversation *talk = connection->talk;
    kd_ctx *ctx = talk->ctx;
    kd_buffer *out = &connection->out.bytes;
    KD_TRY(fetch(connection, served));
    uint32_t count = is_drained(served) ? 0 : kdi_rows_that_fit(&served->batch, served->position);
    KD_TRY(kdi_rows_put(ctx, &served->batch, served->position, count, out));
    served->position += count;
    if (count < LOOK_AHEAD_ROWS)
        KD_TRY(fetch(connection, served));
    bool at_end = served->at_end && is_drained(served);
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)talk->ops->affected(served->request)));
    KD_TRY(kd_buffer_append_counted(ctx, out, kd_slice_of(talk->ops->tag(served->request))));
    bool is_over = at_end && !served->has_enums;
    if (is_over) {
        served->is_running = false;
        served->batch = (kd_batch){0};
        KD_TRY(talk->ops->end(ctx, served->request));
    }
    KD_TRY(kd_buffer_append_byte(
        ctx, out, (uint8_t)((at_end ? ROWS_AT_END : 0) | (is_over ? ROWS_RUN_OVER : 0))));
    return kd_buffer_append_byte(ctx, out, (uint8_t)state_of(connection));
}

static kd_status answer_running(kdi_connection *connection, uint32_t sequence, kdi_served *served)
{
    kd_ctx *ctx = connection->talk->ctx;
    const kd_request *request = served->request;
    KD_TRY(kdi_frame_start(ctx, &connection->out, KDI_FRAME_RUNNING, sequence));
    KD_TRY(put_columns(connection, served->request));
    KD_TRY(kdi_run_facts_put(ctx, request->facts, request->text, &connection->out.bytes));
    return put_rows(connection, served);
}

static kd_status serve_begin(kdi_connection *connection, kdi_frame *frame)
{
    kd_conversation *talk = connection->talk;
    kd_ctx *ctx = talk->ctx;
    kdi_served *served;
    kd_value *parameters;
    uint32_t parameter_count;
    KD_TRY(find_served(connection, frame, &served));
    stop_served(connection, served); /* Its last answer was too large to send. */
    KD_TRY(kdi_parameters_get(ctx, connection->scratch, &frame->payload, &parameters,
                              &parameter_count));
    if (parameter_count > served->request->parameter_count)
        return kdi_protocol_fail(ctx, "too many parameters");
    KD_TRY(talk->ops->begin(ctx, served->request, parameters, parameter_count));
    *served = (kdi_served){.request = served->request, .is_running = true};
    for (uint32_t i = 0; i < served->request->column_count; i++)
        if (served->request->columns[i].type.id == KD_TYPE_ENUM)
            served->has_enums = true;
    kd_status status = answer_running(connection, frame->sequence, served);
    if (status != KD_OK)
        stop_served(connection, served);
    return status;
}

static kd_status find_running(kdi_connection *connection, kdi_frame *frame, kdi_served **out_served)
{
    KD_TRY(find_served(connection, frame, out_served));
    if (!(*out_served)->is_running)
        return kdi_protocol_fail(connection->talk->ctx, "the statement is not running");
    return KD_OK;
}

static kd_status serve_next(kdi_connection *connection, kdi_frame *frame)
{
    kdi_served *served;
    KD_TRY(find_running(connection, frame, &served));
    kd_status status =
        kdi_frame_start(connection->talk->ctx, &connection->out, KDI_FRAME_ROWS, frame->sequence);
    if (status == KD_OK)
        status = put_rows(connection, served);
    if (status != KD_OK)
        stop_served(connection, served);
    return status;
}

static kd_status serve_end(kdi_connection *connection, kdi_frame *frame)
{
    kd_conversation *talk = connection->talk;
    kdi_served *served;
    KD_TRY(find_running(connection, frame, &served));
    if (frame->kind == KDI_FRAME_END) {
        served->is_running = false;
        served->batch = (kd_batch){0};
        KD_TRY(talk->ops->end(talk->ctx, served->request));
    } else {
        stop_served(connection, served);
    }
    KD_TRY(kdi_frame_start(talk->ctx, &connection->out, KDI_FRAME_DONE, frame->sequence));
    return kd_buffer_append_byte(talk->ctx, &connection->out.bytes, (uint8_t)state_of(connection));
}

/* The label of an enum's value, or the name of an object (regclass). */
static kd_status label_text(kd_ctx *ctx, const kd_text_settings *text, kd_type type, int32_t rank,
                            kd_buffer *out)
{
    kd_slice label;
    if (type.id == KD_TYPE_OID && text->object_name != NULL)
        return text->object_name(ctx, text, type, (uint32_t)rank, out);
    if (type.id != KD_TYPE_ENUM || text->enum_label == NULL)
        return kdi_protocol_fail(ctx, "this has no label");
    KD_TRY(text->enum_label(ctx, text->enum_object, type, rank, &label));
    return kd_buffer_append_slice(ctx, out, label);
}

static kd_status serve_label(kdi_connection *connection, kdi_frame *frame)
{
    kd_status status = KD_OK;
    kd_ctx *ctx = connection->talk->ctx;
    kdi_served *served;
    kd_type type;
    kd_arena *arena = kd_arena_create(ctx, NULL, "label", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_buffer label = kd_buffer_in(arena);
    KD_TRY_OUT(find_running(connection, frame, &served));
    KD_TRY_OUT(kdi_type_get(ctx, &frame->payload, &type));
    int32_t rank = (int32_t)kd_read_u32(&frame->payload);
    if (frame->payload.failed)
        KD_TRY_OUT(kdi_protocol_fail(ctx, "a request for a label is cut short"));
    KD_TRY_OUT(label_text(ctx, served->request->text, type, rank, &label));
    KD_TRY_OUT(kdi_frame_start(ctx, &connection->out, KDI_FRAME_LABEL_IS, frame->sequence));
    KD_TRY_OUT(kd_buffer_append_counted(ctx, &connection->out.bytes, kd_buffer_slice(&label)));
out:
    kd_arena_destroy(arena);
    return status;
}

/* --- The conversation ------------------------------------------------------------------------- */

/* `*out_answers`: the request has an answer, which has been made unless the status is a failure. */
static kd_status serve_request(kdi_connection *connection, kdi_frame *frame, bool *out_answers)
{
    kd_conversation *talk = connection->talk;
    *out_answers = true;
    switch ((kdi_frame_kind)frame->kind) {
    case KDI_FRAME_PREPARE:
        return serve_prepare(connection, frame);
    case KDI_FRAME_BEGIN:
        return serve_begin(connection, frame);
    case KDI_FRAME_NEXT:
        return serve_next(connection, frame);
    case KDI_FRAME_END:
    case KDI_FRAME_ABANDON:
        return serve_end(connection, frame);
    case KDI_FRAME_LABEL:
        return serve_label(connection, frame);
    case KDI_FRAME_DESTROY:
        *out_answers = false;
        return serve_destroy(connection, frame);
    case KDI_FRAME_HOOKS:
        *out_answers = false;
        return serve_hooks(connection, frame);
    case KDI_FRAME_FAIL:
        *out_answers = false;
        talk->ops->fail_transaction(talk, (kd_slice){"", 0});
        return KD_OK;
    default:
        return kdi_protocol_fail(talk->ctx, "a request of an unknown kind");
    }
}

static void close_session(kdi_connection *connection)
{
    kd_conversation *talk = connection->talk;
    if (talk == NULL)
        return;
    /* Nobody tells it to stop any more: rolling back is done to its end. */
    for (size_t i = 0; i < connection->served_count; i++) {
        kdi_served *served = &connection->served[i];
        if (served->request == NULL)
            continue;
        stop_served(connection, served);
        talk->ops->destroy(served->request);
    }
    kd_mutex_lock(&connection->server->mutex);
    connection->talk = NULL;
    kd_mutex_unlock(&connection->server->mutex);
    talk->ops->close(talk);
}

/* The client waits for it, so that its locks are free when it goes on. */
static bool serve_bye(kdi_connection *connection, const kdi_frame *frame)
{
    kd_ctx *ctx = &connection->ctx;
    close_session(connection);
    kd_status status = kdi_frame_start(ctx, &connection->out, KDI_FRAME_DONE, frame->sequence);
    if (status == KD_OK)
        status = kd_buffer_append_byte(ctx, &connection->out.bytes, KD_SESSION_IDLE);
    if (status == KD_OK)
        status = send_out(connection);
    if (status != KD_OK)
        kd_error_clear(ctx);
    return false;
}

/* Failures are answers. One of the protocol itself, or of the connection, ends it: false. */
static bool serve_frame(kdi_connection *connection, kdi_frame *frame)
{
    kd_ctx *ctx = connection->talk->ctx;
    bool answers;
    if (frame->kind == KDI_FRAME_BYE)
        return serve_bye(connection, frame);
    kd_error_clear(ctx);
    kd_arena_reset(connection->scratch);
    atomic_store(&connection->current_sequence, frame->sequence);
    kd_status status = serve_request(connection, frame, &answers);
    kd_error_clear(&connection->ctx);
    if (status == KD_OK && answers)
        status = send_out(connection);
    atomic_store(&connection->done_sequence, frame->sequence);
    if (status == KD_OK)
        return true;
    /* Too large to send is known only there; nothing has been sent then. */
    kd_error error = ctx->error.status != KD_OK ? ctx->error : connection->ctx.error;
    kd_error_clear(&connection->ctx);
    bool is_protocol = strcmp(error.sqlstate, "08P01") == 0 && error.status == KD_IO;
    if (kdi_send_failure(&connection->ctx, connection, frame->sequence, &error,
                         state_of(connection)) != KD_OK)
        return false;
    return !is_protocol && answers;
}

static kd_status open_session(kdi_connection *connection, kdi_frame *hello)
{
    kd_remote_server *server = connection->server;
    kd_ctx *ctx = &connection->ctx;
    uint8_t read_only = kd_read_u8(&hello->payload);
    uint8_t isolation = kd_read_u8(&hello->payload);
    kd_slice user = kd_read_slice(&hello->payload);
    if (hello->payload.failed || read_only > 1 || isolation > KD_SERIALIZABLE)
        return kdi_protocol_fail(ctx, "the greeting is malformed");
    char *user_name = kd_copy_text(ctx, connection->scratch, user.data, user.size_bytes);
    if (user_name == NULL)
        return KD_NOMEM;
    kd_session_options options = {.user_name = user.size_bytes == 0 ? NULL : user_name,
                                  .isolation = (kd_isolation)isolation,
                                  .read_only = read_only == 1};
    kd_conversation *talk;
    KD_TRY(kd_conversation_open_local(ctx, server->database, &options, &talk));
    kd_mutex_lock(&server->mutex);
    connection->talk = talk;
    connection->key = server->next_key;
    server->next_key += 2;
    kd_mutex_unlock(&server->mutex);
    return KD_OK;
}

void kdi_serve_session(kdi_connection *connection, kdi_frame *hello)
{
    kd_remote_server *server = connection->server;
    kd_ctx *ctx = &connection->ctx;
    kd_status status = open_session(connection, hello);
    if (status == KD_OK)
        status = kdi_frame_start(ctx, &connection->out, KDI_FRAME_WELCOME, hello->sequence);
    if (status == KD_OK)
        status = kd_buffer_append_u64(ctx, &connection->out.bytes, connection->key);
    if (status == KD_OK)
        status = send_out(connection);
    if (status != KD_OK) {
        kd_error refusal = ctx->error;
        kd_error_clear(ctx);
        if (kdi_send_failure(ctx, connection, hello->sequence, &refusal, KD_SESSION_IDLE) != KD_OK)
            kd_error_clear(ctx);
    }
    bool goes_on = status == KD_OK;
    while (goes_on) {
        kdi_frame frame;
        goes_on = kdi_frame_receive(ctx, server->sockets, connection->socket, KDI_FRAME_BYTES_MAX,
                                    &connection->in, &frame) == KD_OK &&
                  serve_frame(connection, &frame);
    }
    close_session(connection);
}
