/*
 * Text to jsonb and back.
 *
 * The parser's events build values on an explicit stack: finished members wait in one list, and a
 * container that ends takes its members off the list's tail.
 */
#include "types/jsonb.h"

#include "types/number_text.h"

typedef struct member {
    kd_slice key; /* Of an object's field. */
    kd_slice value;
} member;

typedef struct frame {
    size_t first_member;
    kd_slice key; /* Of the container itself, in the object around it. */
} frame;

typedef struct builder {
    kd_ctx *ctx;
    kd_arena *arena;   /* For the result. */
    kd_arena *scratch; /* For everything else. */
    member *members;
    size_t member_count;
    size_t member_capacity;
    frame *frames;
    size_t frame_count;
    size_t frame_capacity;
    kd_slice key; /* The key read last. */
} builder;

static kd_status member_add(builder *self, kd_slice key, kd_slice value)
{
    member *added;
    KD_TRY(KD_PUSH(self->ctx, self->scratch, self->members, self->member_count,
                   self->member_capacity, &added));
    *added = (member){.key = key, .value = value};
    return KD_OK;
}

static kd_status container_finish(builder *self, bool is_object)
{
    frame top = self->frames[--self->frame_count];
    size_t count = self->member_count - top.first_member;
    if (count > KD_JSONB_COUNT_MAX)
        return KD_FAIL(self->ctx, KD_LIMIT, "54000", "JSON container has too many members");
    kd_slice *slices = KD_NEW_ARRAY(self->ctx, self->scratch, kd_slice, count * 2 + 1);
    if (slices == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++) {
        slices[i] = self->members[top.first_member + i].value;
        slices[count + i] = self->members[top.first_member + i].key;
    }
    self->member_count = top.first_member;
    /* Only the outermost value is the caller's. */
    kd_arena *arena = self->frame_count == 0 ? self->arena : self->scratch;
    kd_slice value;
    if (is_object)
        KD_TRY(kd_jsonb_make_object(self->ctx, arena, slices + count, slices, (uint32_t)count,
                                    &value));
    else
        KD_TRY(kd_jsonb_make_array(self->ctx, arena, slices, (uint32_t)count, &value));
    return member_add(self, top.key, value);
}

static kd_status number_make(builder *self, kd_arena *arena, kd_slice token, kd_slice *out)
{
    kd_decimal number;
    int64_t small;
    if (token.size_bytes > 0 && token.data[0] != '-' && kd_parse_int64(token, &small))
        KD_TRY(kd_decimal_from_i64(self->ctx, self->scratch, small, &number));
    else
        KD_TRY(kd_decimal_parse(self->ctx, self->scratch, token, &number));
    return kd_jsonb_make_number(self->ctx, arena, &number, out);
}

static kd_status event_build(builder *self, const kd_json_parser *parser, kd_json_event event)
{
    kd_arena *arena = self->frame_count == 0 ? self->arena : self->scratch;
    kd_slice value;
    switch (event) {
    case KD_JSON_KEY:
        return kd_json_unescape(self->ctx, self->scratch, parser->token, parser->token_has_escape,
                                &self->key);
    case KD_JSON_ARRAY_BEGIN:
    case KD_JSON_OBJECT_BEGIN: {
        frame *pushed;
        if (self->frame_count == KD_JSONB_DEPTH_MAX)
            return KD_FAIL(self->ctx, KD_LIMIT, "54001", "jsonb is nested deeper than %d levels",
                           KD_JSONB_DEPTH_MAX);
        KD_TRY(KD_PUSH(self->ctx, self->scratch, self->frames, self->frame_count,
                       self->frame_capacity, &pushed));
        *pushed = (frame){.first_member = self->member_count, .key = self->key};
        return KD_OK;
    }
    case KD_JSON_ARRAY_END:
    case KD_JSON_OBJECT_END:
        return container_finish(self, event == KD_JSON_OBJECT_END);
    case KD_JSON_NULL:
        KD_TRY(kd_jsonb_make_null(self->ctx, arena, &value));
        break;
    case KD_JSON_FALSE:
    case KD_JSON_TRUE:
        KD_TRY(kd_jsonb_make_bool(self->ctx, arena, event == KD_JSON_TRUE, &value));
        break;
    case KD_JSON_NUMBER:
        KD_TRY(number_make(self, arena, parser->token, &value));
        break;
    default: {
        kd_slice text;
        KD_TRY(kd_json_unescape(self->ctx, self->scratch, parser->token, parser->token_has_escape,
                                &text));
        KD_TRY(kd_jsonb_make_string(self->ctx, arena, text, &value));
        break;
    }
    }
    return member_add(self, self->key, value);
}

kd_status kd_jsonb_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    kd_status status = KD_OK;
    *out = (kd_slice){"", 0};
    builder self = {.ctx = ctx, .arena = arena};
    self.scratch = kd_arena_create(ctx, arena, "jsonb parse", KD_ARENA_UNLIMITED);
    if (self.scratch == NULL)
        return KD_NOMEM;
    kd_json_parser parser;
    kd_json_parser_init(&parser, text);
    for (;;) {
        kd_json_event event;
        KD_TRY_OUT(kd_json_next(ctx, &parser, &event));
        if (event == KD_JSON_END)
            break;
        KD_TRY_OUT(event_build(&self, &parser, event));
    }
    *out = self.members[0].value;
out:
    kd_arena_destroy(self.scratch);
    return status;
}

/* ---- Output ---- */

static kd_status number_append(kd_ctx *ctx, kd_slice stored, kd_buffer *out)
{
    kd_str str = kd_str_from(stored.data, stored.size_bytes);
    kd_decimal number;
    KD_TRY(kd_decimal_load(ctx, out->arena, &str, &number));
    return kd_decimal_format(ctx, &number, out);
}

static kd_status scalar_append(kd_ctx *ctx, const kd_jsonb *value, kd_buffer *out)
{
    switch (value->kind) {
    case KD_JSONB_FALSE:
        return kd_buffer_append_text(ctx, out, "false");
    case KD_JSONB_TRUE:
        return kd_buffer_append_text(ctx, out, "true");
    case KD_JSONB_NUMBER:
        return number_append(ctx, value->body, out);
    case KD_JSONB_STRING:
        return kd_json_append_string(ctx, value->body, out);
    default:
        return kd_buffer_append_text(ctx, out, "null");
    }
}

static kd_status line_begin(kd_ctx *ctx, uint32_t depth, kd_buffer *out)
{
    char *at;
    size_t blanks = (size_t)depth * 4;
    KD_TRY(kd_buffer_reserve(ctx, out, blanks + 1, &at));
    at[0] = '\n';
    memset(at + 1, ' ', blanks);
    at[blanks + 1] = '\0';
    out->size_bytes += blanks + 1;
    return KD_OK;
}

/* Depth is that of the value, which the parser bounded. */
static kd_status append_at(kd_ctx *ctx, kd_slice stored, bool is_pretty, uint32_t depth,
                           kd_buffer *out)
{
    kd_jsonb value = kd_jsonb_open(stored);
    bool is_object = value.kind == KD_JSONB_OBJECT;
    if (!is_object && value.kind != KD_JSONB_ARRAY)
        return scalar_append(ctx, &value, out);
    if (depth > KD_JSONB_DEPTH_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored jsonb is nested too deeply");
    KD_TRY(kd_buffer_append_text(ctx, out, is_object ? "{" : "["));
    for (uint32_t i = 0; i < value.count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, is_pretty ? "," : ", "));
        if (is_pretty)
            KD_TRY(line_begin(ctx, depth + 1, out));
        if (is_object) {
            KD_TRY(kd_json_append_string(ctx, kd_jsonb_key(&value, i), out));
            KD_TRY(kd_buffer_append_text(ctx, out, ": "));
        }
        KD_TRY(append_at(ctx, kd_jsonb_element(&value, i), is_pretty, depth + 1, out));
    }
    if (is_pretty)
        KD_TRY(line_begin(ctx, depth, out));
    return kd_buffer_append_text(ctx, out, is_object ? "}" : "]");
}

kd_status kd_jsonb_format(kd_ctx *ctx, kd_slice stored, kd_buffer *out)
{
    return append_at(ctx, stored, false, 0, out);
}

kd_status kd_jsonb_format_pretty(kd_ctx *ctx, kd_slice stored, kd_buffer *out)
{
    return append_at(ctx, stored, true, 0, out);
}
