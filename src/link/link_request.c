/*
 * Statements of a conversation with the owner. Rows come in batches, each asked for
 * when it is wanted; what a batch holds belongs to its request until the next one.
 */
#include "link/client_internal.h"

#include <assert.h>
#include <stdio.h>

enum rows_flags { ROWS_AT_END = 1, ROWS_RUN_OVER = 2 };

/* Labels that were asked for in a run. */
typedef struct known_label known_label;
struct known_label {
    known_label *next;
    uint32_t object;
    int32_t rank;
    kd_slice label;
};

typedef struct remote_request {
    kd_request base;
    kd_arena *arena;
    kd_arena *run_arena; /* What a run is described by. */
    kd_arena *batch_arena;
    uint32_t number; /* In the owner. */
    kdi_described *parameters;
    kdi_described *described; /* The columns of base.columns. */
    kdi_described *statement_described;
    uint32_t statement_column_count;
    const kd_rel_column *statement_columns;
    bool is_running;
    bool is_over; /* The owner has ended the run. */
    bool at_end;
    bool has_batch; /* Came with the last answer, not given to the caller yet. */
    kd_batch batch;
    int64_t affected;
    char tag[KDI_LINK_TAG_BYTES];
    kd_text_settings text;
    kd_session_facts facts;
    known_label *labels;
} remote_request;

static kdi_remote_talk *talk_of(const kd_request *request)
{
    return (kdi_remote_talk *)request->conversation;
}

/* --- Descriptions ----------------------------------------------------------------------------- */

static kd_status get_columns(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                             kdi_described **out_described, kd_rel_column **out_columns,
                             uint32_t *out_count)
{
    *out_columns = NULL;
    KD_TRY(
        kdi_described_list_get(ctx, arena, reader, KDI_LINK_COLUMNS_MAX, out_described, out_count));
    *out_columns = KD_NEW_ARRAY(ctx, arena, kd_rel_column, *out_count);
    if (*out_columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < *out_count; i++)
        (*out_columns)[i] = (kd_rel_column){
            .id = i + 1, .type = (*out_described)[i].type, .name = (*out_described)[i].name};
    return KD_OK;
}

static kd_status get_prepared(kd_ctx *ctx, remote_request *request, kd_reader *reader)
{
    kd_request *base = &request->base;
    kd_rel_column *columns;
    KD_TRY(kdi_call_state(ctx, talk_of(base), reader));
    request->number = kd_read_u32(reader);
    KD_TRY(kdi_described_list_get(ctx, request->arena, reader, KDI_LINK_PARAMETERS_MAX,
                                  &request->parameters, &base->parameter_count));
    kd_type *types = KD_NEW_ARRAY(ctx, request->arena, kd_type, base->parameter_count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < base->parameter_count; i++)
        types[i] = request->parameters[i].type;
    base->parameter_types = types;
    KD_TRY(get_columns(ctx, request->arena, reader, &request->statement_described, &columns,
                       &request->statement_column_count));
    request->statement_columns = columns;
    return KD_OK;
}

/* Between runs the columns are those of the statement. */
static void leave_run(remote_request *request)
{
    request->is_running = false;
    request->has_batch = false;
    request->base.columns = request->statement_columns;
    request->base.column_count = request->statement_column_count;
    request->described = request->statement_described;
    request->base.text = NULL;
    request->base.facts = NULL;
}

kd_status kdi_remote_prepare(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                             kd_request **out_request)
{
    kd_status status = KD_OK;
    kdi_remote_talk *talk = (kdi_remote_talk *)conversation;
    kdi_frame answer;
    *out_request = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "link statement", KD_ARENA_UNLIMITED);
    remote_request *request = arena == NULL ? NULL : KD_NEW(ctx, arena, remote_request);
    if (request == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    request->base.conversation = conversation;
    request->arena = arena;
    request->affected = -1;
    request->run_arena = kd_arena_create(ctx, arena, "link run", KD_ARENA_UNLIMITED);
    request->batch_arena = kd_arena_create(ctx, arena, "link rows", KD_ARENA_UNLIMITED);
    if (request->run_arena == NULL || request->batch_arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(kdi_call_start(ctx, talk, KDI_FRAME_PREPARE));
    KD_TRY_OUT(kd_buffer_append_counted(ctx, &talk->out.bytes, text));
    KD_TRY_OUT(kdi_call_ask(ctx, talk, KDI_FRAME_PREPARED, &answer));
    KD_TRY_OUT(get_prepared(ctx, request, &answer.payload));
    leave_run(request);
    *out_request = &request->base;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    return status;
}

void kdi_remote_destroy(kd_request *base)
{
    remote_request *request = (remote_request *)base;
    if (request == NULL)
        return;
    assert(!request->is_running);
    kdi_remote_talk *talk = talk_of(base);
    kd_ctx ctx = {.world = talk->remote->world};
    kd_error_clear(&ctx);
    if (!talk->is_gone && (kdi_call_start(&ctx, talk, KDI_FRAME_DESTROY) != KD_OK ||
                           kd_buffer_append_u32(&ctx, &talk->out.bytes, request->number) != KD_OK ||
                           kdi_call_tell(&ctx, talk) != KD_OK))
        kd_error_clear(&ctx);
    kd_arena_destroy(request->arena);
}

static bool find_type_name(const kdi_described *items, uint32_t count, kd_type type,
                           kd_slice *out_name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kd_type_same(items[i].type, type) && items[i].type.modifier == type.modifier) {
            *out_name = items[i].type_name;
            return true;
        }
    }
    return false;
}

kd_status kdi_remote_format_type(kd_ctx *ctx, kd_request *base, kd_type type, kd_buffer *out)
{
    const remote_request *request = (const remote_request *)base;
    kd_slice name;
    if (find_type_name(request->described, base->column_count, type, &name) ||
        find_type_name(request->parameters, base->parameter_count, type, &name))
        return kd_buffer_append_slice(ctx, out, name);
    return kd_type_format(ctx, type, out);
}

/* --- Text settings of a run ------------------------------------------------------------------- */

static kd_status find_zone(kd_ctx *ctx, kdi_remote_talk *talk, kd_slice name,
                           const kd_zone **out_zone)
{
    *out_zone = NULL;
    if (kd_slice_equal(name, KD_SLICE("UTC")))
        return KD_OK;
    for (const kdi_used_zone *used = talk->zones; used != NULL; used = used->next) {
        if (kd_slice_equal(used->name, name)) {
            *out_zone = used->zone;
            return KD_OK;
        }
    }
    kdi_used_zone *used = KD_NEW(ctx, talk->arena, kdi_used_zone);
    char *copy = used == NULL ? NULL : kd_copy_text(ctx, talk->arena, name.data, name.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    KD_TRY(kd_zone_open(ctx, talk->arena, name, &used->zone));
    used->name = (kd_slice){copy, name.size_bytes};
    used->next = talk->zones;
    talk->zones = used;
    *out_zone = used->zone;
    return KD_OK;
}

static kd_status ask_label(kd_ctx *ctx, remote_request *request, kd_type type, int32_t rank,
                           known_label **out_known)
{
    kdi_remote_talk *talk = talk_of(&request->base);
    kdi_frame answer;
    type.is_array = 0;
    *out_known = NULL;
    KD_TRY(kdi_call_start(ctx, talk, KDI_FRAME_LABEL));
    KD_TRY(kd_buffer_append_u32(ctx, &talk->out.bytes, request->number));
    KD_TRY(kdi_type_put(ctx, type, &talk->out.bytes));
    KD_TRY(kd_buffer_append_u32(ctx, &talk->out.bytes, (uint32_t)rank));
    KD_TRY(kdi_call_ask(ctx, talk, KDI_FRAME_LABEL_IS, &answer));
    kd_slice label = kd_read_slice(&answer.payload);
    if (answer.payload.failed)
        return kdi_protocol_fail(ctx, "a label is cut short");
    known_label *known = KD_NEW(ctx, request->run_arena, known_label);
    char *copy =
        known == NULL ? NULL : kd_copy_text(ctx, request->run_arena, label.data, label.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    *known = (known_label){.next = request->labels,
                           .object = type.object,
                           .rank = rank,
                           .label = {copy, label.size_bytes}};
    request->labels = known;
    *out_known = known;
    return KD_OK;
}

/* Labels, and names of objects, are in the owner's catalog: asked for once each. */
static kd_status enum_label(kd_ctx *ctx, void *object, kd_type type, int32_t rank,
                            kd_slice *out_label)
{
    remote_request *request = object;
    known_label *known = request->labels;
    *out_label = (kd_slice){"", 0};
    while (known != NULL && (known->object != type.object || known->rank != rank))
        known = known->next;
    if (known == NULL)
        KD_TRY(ask_label(ctx, request, type, rank, &known));
    *out_label = known->label;
    return KD_OK;
}

static kd_status object_name(kd_ctx *ctx, const kd_text_settings *settings, kd_type type,
                             int64_t no, kd_buffer *out)
{
    kd_slice name;
    KD_TRY(enum_label(ctx, settings->enum_object, type, (int32_t)(uint32_t)no, &name));
    return kd_buffer_append_slice(ctx, out, name);
}

/* One of the session's names; it changes hardly ever. */
static kd_status keep_name(kd_ctx *ctx, kdi_remote_talk *talk, uint32_t index, kd_slice name)
{
    const char *have = talk->names[index];
    if (have != NULL && kd_slice_equal(kd_slice_of(have), name))
        return KD_OK;
    talk->names[index] = kd_copy_text(ctx, talk->arena, name.data, name.size_bytes);
    return talk->names[index] == NULL ? KD_NOMEM : KD_OK;
}

static kd_status get_facts(kd_ctx *ctx, remote_request *request, kd_reader *reader)
{
    kdi_remote_talk *talk = talk_of(&request->base);
    kdi_run_facts facts;
    KD_TRY(kdi_run_facts_get(ctx, reader, &facts));
    request->text = facts.text;
    request->text.enum_label = enum_label;
    request->text.object_name = object_name;
    request->text.enum_object = request;
    KD_TRY(find_zone(ctx, talk, facts.zone_name, &request->text.zone));
    KD_TRY(keep_name(ctx, talk, 0, facts.user_name));
    KD_TRY(keep_name(ctx, talk, 1, facts.database_name));
    KD_TRY(keep_name(ctx, talk, 2, facts.schema_name));
    request->facts = (kd_session_facts){
        .text = &request->text,
        .user_name = talk->names[0],
        .database_name = talk->names[1],
        .current_schema = talk->names[2],
        .transaction_us = facts.transaction_us,
        .statement_us = facts.statement_us,
    };
    return KD_OK;
}

/* --- Runs ------------------------------------------------------------------------------------- */

static kd_status get_rows(kd_ctx *ctx, remote_request *request, kd_reader *reader)
{
    kd_arena_reset(request->batch_arena);
    request->has_batch = false;
    KD_TRY(kdi_rows_get(ctx, request->batch_arena, reader, &request->batch));
    request->affected = (int64_t)kd_read_u64(reader);
    kd_slice tag = kd_read_slice(reader);
    uint8_t flags = kd_read_u8(reader);
    if (reader->failed || tag.size_bytes >= sizeof request->tag)
        return kdi_protocol_fail(ctx, "rows are malformed");
    memcpy(request->tag, tag.data, tag.size_bytes);
    request->tag[tag.size_bytes] = '\0';
    request->at_end = (flags & ROWS_AT_END) != 0;
    request->is_over = (flags & ROWS_RUN_OVER) != 0;
    request->has_batch = request->batch.row_count > 0;
    return kdi_call_state(ctx, talk_of(&request->base), reader);
}

static kd_status get_running(kd_ctx *ctx, remote_request *request, kd_reader *reader)
{
    kd_rel_column *columns;
    uint32_t column_count;
    kd_arena_reset(request->run_arena);
    request->labels = NULL;
    KD_TRY(
        get_columns(ctx, request->run_arena, reader, &request->described, &columns, &column_count));
    request->base.columns = columns;
    request->base.column_count = column_count;
    KD_TRY(get_facts(ctx, request, reader));
    request->base.text = &request->text;
    request->base.facts = &request->facts;
    return get_rows(ctx, request, reader);
}

kd_status kdi_remote_begin(kd_ctx *ctx, kd_request *base, const kd_value *parameters,
                           uint32_t parameter_count)
{
    remote_request *request = (remote_request *)base;
    kdi_remote_talk *talk = talk_of(base);
    kdi_frame answer;
    assert(!request->is_running);
    KD_TRY(kdi_call_start(ctx, talk, KDI_FRAME_BEGIN));
    KD_TRY(kd_buffer_append_u32(ctx, &talk->out.bytes, request->number));
    KD_TRY(kdi_parameters_put(ctx, parameters, parameter_count, &talk->out.bytes));
    KD_TRY(kdi_call_ask(ctx, talk, KDI_FRAME_RUNNING, &answer));
    kd_status status = get_running(ctx, request, &answer.payload);
    if (status != KD_OK) {
        leave_run(request);
        return status;
    }
    request->is_running = true;
    return KD_OK;
}

/* A failed fetch has ended the run. */
static kd_status fetch(kd_ctx *ctx, remote_request *request)
{
    kdi_remote_talk *talk = talk_of(&request->base);
    kdi_frame answer;
    request->is_over = true;
    KD_TRY(kdi_call_start(ctx, talk, KDI_FRAME_NEXT));
    KD_TRY(kd_buffer_append_u32(ctx, &talk->out.bytes, request->number));
    KD_TRY(kdi_call_ask(ctx, talk, KDI_FRAME_ROWS, &answer));
    return get_rows(ctx, request, &answer.payload);
}

kd_status kdi_remote_next(kd_ctx *ctx, kd_request *base, kd_batch *out_batch, bool *out_end)
{
    remote_request *request = (remote_request *)base;
    assert(request->is_running);
    *out_batch = (kd_batch){0};
    *out_end = true;
    while (!request->has_batch && !request->at_end)
        KD_TRY(fetch(ctx, request));
    if (request->has_batch) {
        request->has_batch = false;
        *out_batch = request->batch;
        *out_end = false;
    }
    return KD_OK;
}

static kd_status finish(kd_ctx *ctx, remote_request *request, kdi_frame_kind kind)
{
    kdi_remote_talk *talk = talk_of(&request->base);
    kdi_frame answer;
    bool is_over = request->is_over;
    leave_run(request);
    if (is_over)
        return KD_OK;
    KD_TRY(kdi_call_start(ctx, talk, kind));
    KD_TRY(kd_buffer_append_u32(ctx, &talk->out.bytes, request->number));
    KD_TRY(kdi_call_ask(ctx, talk, KDI_FRAME_DONE, &answer));
    return kdi_call_state(ctx, talk, &answer.payload);
}

kd_status kdi_remote_end(kd_ctx *ctx, kd_request *base)
{
    return finish(ctx, (remote_request *)base, KDI_FRAME_END);
}

void kdi_remote_abandon(kd_request *base)
{
    kd_ctx ctx = {.world = talk_of(base)->remote->world};
    kd_error_clear(&ctx);
    if (finish(&ctx, (remote_request *)base, KDI_FRAME_ABANDON) != KD_OK)
        kd_error_clear(&ctx);
}

const char *kdi_remote_tag(const kd_request *base)
{
    return ((const remote_request *)base)->tag;
}

int64_t kdi_remote_affected(const kd_request *base)
{
    return ((const remote_request *)base)->affected;
}
