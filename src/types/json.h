/*
 * JSON text (RFC 8259): a pull parser, and the few operations that work on the text itself.
 *
 * The parser is strict, checks UTF-8 and escapes, holds its nesting in bits and never recurses.
 */
#ifndef KD_TYPES_JSON_H
#define KD_TYPES_JSON_H

#include "base/bytes.h"

enum { KD_JSON_DEPTH_MAX = 10000 };

typedef enum kd_json_event {
    KD_JSON_END = 0, /* The text is over and was right. */
    KD_JSON_NULL,
    KD_JSON_FALSE,
    KD_JSON_TRUE,
    KD_JSON_NUMBER,
    KD_JSON_STRING,
    KD_JSON_KEY, /* Followed by the member's value. */
    KD_JSON_ARRAY_BEGIN,
    KD_JSON_ARRAY_END,
    KD_JSON_OBJECT_BEGIN,
    KD_JSON_OBJECT_END,
} kd_json_event;

/* Caller's storage; fields after `text` are the parser's own, except those marked. */
typedef struct kd_json_parser {
    kd_slice text;
    size_t offset;
    /* To read after an event: the token's bytes (of a string or key without the quotes), */
    kd_slice token;
    size_t token_offset;   /* where it starts (at the quote), */
    bool token_has_escape; /* whether kd_json_unescape is needed, */
    uint32_t depth;        /* and how many containers are open. */
    uint8_t expect;
    uint64_t is_object[(KD_JSON_DEPTH_MAX + 63) / 64];
} kd_json_parser;

void kd_json_parser_init(kd_json_parser *parser, kd_slice text);
/* Fails with 22P02 and PostgreSQL's detail, 22P05 for \u0000 in unescape, 54001 beyond the depth.
 */
kd_status kd_json_next(kd_ctx *ctx, kd_json_parser *parser, kd_json_event *out) KD_MUST_CHECK;
/* The decoded string; points at `token` itself when nothing was escaped. */
kd_status kd_json_unescape(kd_ctx *ctx, kd_arena *arena, kd_slice token, bool has_escape,
                           kd_slice *out) KD_MUST_CHECK;
/* After an event that began a value: skips the rest of it. */
kd_status kd_json_skip(kd_ctx *ctx, kd_json_parser *parser, kd_json_event event) KD_MUST_CHECK;

kd_status kd_json_check(kd_ctx *ctx, kd_slice text) KD_MUST_CHECK;
/* Appends the string with quotes and escapes. */
kd_status kd_json_append_string(kd_ctx *ctx, kd_slice text, kd_buffer *out) KD_MUST_CHECK;

/* Operators -> and ->> on json text. The value's text, as it stands; the last of equal keys. */
kd_status kd_json_get_field(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice key,
                            bool *out_found, kd_slice *out_value) KD_MUST_CHECK;
kd_status kd_json_get_element(kd_ctx *ctx, kd_slice text, int64_t index, bool *out_found,
                              kd_slice *out_value) KD_MUST_CHECK;
/* What ->> gives for a value's text: strings decoded, null as not found. */
kd_status kd_json_as_text(kd_ctx *ctx, kd_arena *arena, kd_slice value, bool *out_is_null,
                          kd_slice *out_text) KD_MUST_CHECK;
/* "object", "array", "string", "number", "boolean", "null" */
const char *kd_json_typeof(kd_slice text);

#endif
