/*
 * LIKE and ILIKE.
 *
 * A pattern is cut at its '%' into segments of bytes, of which some stand for any
 * character ('_'). The first and the last are anchored unless '%' stands before or
 * after them; those between are searched from left to right, and the leftmost place
 * is always right because a segment takes a fixed number of characters. A segment
 * without '_' is found by kd_slice_find, so '%word%' is one call of it.
 *
 * The cut pattern is kept between calls; a constant pattern is not looked at again.
 */
#include "builtin/signature_internal.h"
#include "types/utf8.h"

typedef struct segment {
    char *bytes;
    bool *is_any;      /* Per byte: '_'. */
    size_t size_bytes; /* '_' counts one. */
    size_t length;     /* Characters. */
    bool has_any;
} segment;

typedef struct like_pattern {
    kd_arena *arena;
    kd_slice source; /* The pattern as written, copied. */
    segment *segments;
    size_t count;
    size_t capacity;
    bool starts_open; /* With '%'. */
    bool ends_open;
    bool is_cut_short; /* Ends with a backslash: an error for texts that come so far. */
} like_pattern;

static kd_status segment_begin(kd_ctx *ctx, like_pattern *pattern, size_t room)
{
    segment *next;
    KD_TRY(
        KD_PUSH(ctx, pattern->arena, pattern->segments, pattern->count, pattern->capacity, &next));
    next->bytes = kd_alloc(ctx, pattern->arena, room);
    next->is_any = KD_NEW_ARRAY(ctx, pattern->arena, bool, room);
    return next->bytes == NULL || next->is_any == NULL ? KD_NOMEM : KD_OK;
}

static kd_status pattern_cut(kd_ctx *ctx, like_pattern *pattern, kd_slice text)
{
    segment *current = NULL;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        if (c == '%') {
            pattern->starts_open |= i == 0;
            pattern->ends_open = true;
            current = NULL;
            continue;
        }
        pattern->ends_open = false;
        if (current == NULL) {
            KD_TRY(segment_begin(ctx, pattern, text.size_bytes - i));
            current = &pattern->segments[pattern->count - 1];
        }
        bool any = c == '_';
        if (c == '\\') {
            if (++i < text.size_bytes) {
                c = text.data[i];
            } else {
                any = true;
                pattern->is_cut_short = pattern->ends_open = true;
            }
        }
        current->bytes[current->size_bytes] = c;
        current->is_any[current->size_bytes++] = any;
        current->has_any |= any;
        current->length += ((uint8_t)c & 0xc0) != 0x80;
    }
    return KD_OK;
}

static kd_status pattern_of(kd_ctx *ctx, kd_call_env *env, kd_slice text, bool fold,
                            like_pattern **out)
{
    like_pattern *pattern = env->state;
    *out = pattern;
    if (pattern != NULL && (env->argument_is_constant[1] || kd_slice_equal(pattern->source, text)))
        return KD_OK;
    kd_arena *arena =
        pattern == NULL ? kd_arena_create(ctx, env->state_arena, "LIKE pattern", KD_ARENA_UNLIMITED)
                        : pattern->arena;
    env->state = NULL;
    if (arena == NULL)
        return KD_NOMEM;
    if (pattern != NULL)
        kd_arena_reset(arena);
    pattern = KD_NEW(ctx, arena, like_pattern);
    if (pattern == NULL)
        return KD_NOMEM;
    pattern->arena = arena;
    pattern->source.data = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    pattern->source.size_bytes = text.size_bytes;
    if (pattern->source.data == NULL)
        return KD_NOMEM;
    kd_buffer folded = kd_buffer_in(arena);
    if (fold) {
        KD_TRY(kd_utf8_append_lower(ctx, text, &folded));
        text = kd_buffer_slice(&folded);
    }
    KD_TRY(pattern_cut(ctx, pattern, text));
    env->state = pattern;
    *out = pattern;
    return KD_OK;
}

/* Whether the segment stands at `at`; `*out_size` is how many bytes it takes there. */
static bool segment_at(const segment *it, const char *at, size_t size_bytes, size_t *out_size)
{
    if (!it->has_any) {
        *out_size = it->size_bytes;
        return size_bytes >= it->size_bytes && memcmp(at, it->bytes, it->size_bytes) == 0;
    }
    size_t taken = 0;
    for (size_t i = 0; i < it->size_bytes; i++) {
        if (taken >= size_bytes)
            return false;
        uint32_t width = 1;
        if (it->is_any[i])
            (void)kd_utf8_decode(at + taken, size_bytes - taken, &width);
        else if (at[taken] != it->bytes[i])
            return false;
        taken += width;
    }
    *out_size = taken;
    return true;
}

static bool segment_find(const segment *it, kd_slice *io_text)
{
    if (!it->has_any) {
        const char *at = kd_slice_find(*io_text, (kd_slice){it->bytes, it->size_bytes});
        if (at == NULL)
            return false;
        size_t skipped = (size_t)(at - io_text->data) + it->size_bytes;
        io_text->data += skipped;
        io_text->size_bytes -= skipped;
        return true;
    }
    for (size_t i = 0; i < io_text->size_bytes; i++) {
        size_t taken;
        if (((uint8_t)io_text->data[i] & 0xc0) == 0x80 ||
            !segment_at(it, io_text->data + i, io_text->size_bytes - i, &taken))
            continue;
        io_text->data += i + taken;
        io_text->size_bytes -= i + taken;
        return true;
    }
    return false;
}

/* The last segment at the text's end. */
static bool segment_ends(const segment *it, kd_slice text)
{
    size_t start = text.size_bytes;
    if (!it->has_any) {
        if (it->size_bytes > start)
            return false;
        start -= it->size_bytes;
    } else {
        for (size_t i = 0; i < it->length; i++) {
            if (start == 0)
                return false;
            start--;
            while (start > 0 && ((uint8_t)text.data[start] & 0xc0) == 0x80)
                start--;
        }
    }
    size_t taken;
    return segment_at(it, text.data + start, text.size_bytes - start, &taken) &&
           start + taken == text.size_bytes;
}

static bool pattern_matches(const like_pattern *pattern, kd_slice text)
{
    size_t first = 0, last = pattern->count;
    if (pattern->count == 0)
        return pattern->starts_open || text.size_bytes == 0;
    if (!pattern->starts_open) {
        size_t taken;
        if (!segment_at(&pattern->segments[0], text.data, text.size_bytes, &taken))
            return false;
        text.data += taken;
        text.size_bytes -= taken;
        first = 1;
        if (pattern->count == 1 && !pattern->ends_open)
            return text.size_bytes == 0;
    }
    if (!pattern->ends_open)
        last--;
    for (size_t i = first; i < last; i++)
        if (!segment_find(&pattern->segments[i], &text))
            return false;
    return pattern->ends_open || segment_ends(&pattern->segments[last], text);
}

static kd_status like_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, bool fold,
                         bool negated, void *result)
{
    like_pattern *pattern;
    KD_TRY(pattern_of(ctx, env, kdi_arg_text(args, 1), fold, &pattern));
    kd_slice text = kdi_arg_text(args, 0);
    kd_buffer folded = kd_buffer_in(env->arena);
    if (fold) {
        KD_TRY(kd_utf8_append_lower(ctx, text, &folded));
        text = kd_buffer_slice(&folded);
    }
    bool matches = pattern_matches(pattern, text);
    if (matches && pattern->is_cut_short)
        return KD_FAIL(ctx, KD_INVALID, "22025", "LIKE pattern must not end with escape character");
    *(uint8_t *)result = matches != negated;
    return KD_OK;
}

KDI_ROW(like)
{
    return like_of(ctx, env, args, false, false, result);
}

KDI_ROW(not_like)
{
    return like_of(ctx, env, args, false, true, result);
}

KDI_ROW(ilike)
{
    return like_of(ctx, env, args, true, false, result);
}

KDI_ROW(not_ilike)
{
    return like_of(ctx, env, args, true, true, result);
}

KDI_PADDED(char_like, like)
KDI_PADDED(char_not_like, not_like)
KDI_PADDED(char_ilike, ilike)
KDI_PADDED(char_not_ilike, not_ilike)

/* Bytes: '_' stands for one byte, not a character, so the text is taken as Latin-1 would be. */
static bool bytes_match(kd_slice text, kd_slice pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, star_t = 0;
    while (t < text.size_bytes) {
        bool escaped = p + 1 < pattern.size_bytes && pattern.data[p] == '\\';
        if (p < pattern.size_bytes && !escaped && pattern.data[p] == '%') {
            star = ++p;
            star_t = t;
        } else if (p < pattern.size_bytes && ((!escaped && pattern.data[p] == '_') ||
                                              pattern.data[p + escaped] == text.data[t])) {
            p += 1 + escaped;
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.size_bytes && pattern.data[p] == '%')
        p++;
    return p == pattern.size_bytes;
}

KDI_ROW(bytes_like)
{
    *(uint8_t *)result = bytes_match(kdi_arg_text(args, 0), kdi_arg_text(args, 1));
    return KD_OK;
}

KDI_ROW(bytes_not_like)
{
    *(uint8_t *)result = !bytes_match(kdi_arg_text(args, 0), kdi_arg_text(args, 1));
    return KD_OK;
}

KDI_ROW(bytes_like_escape)
{
    kd_slice pattern = kdi_arg_text(args, 0), escape = kdi_arg_text(args, 1);
    kd_buffer buffer = kd_buffer_in(env->arena);
    if (escape.size_bytes > 1)
        return KD_FAIL(ctx, KD_INVALID, "22025", "invalid escape string");
    bool is_taken = false; /* Escaped: stands for itself. */
    for (size_t i = 0; i < pattern.size_bytes; i++) {
        char c = pattern.data[i];
        if (!is_taken && escape.size_bytes > 0 && c == escape.data[0]) {
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, '\\'));
            is_taken = true;
            continue;
        }
        if (c == '\\' && !is_taken)
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, '\\'));
        KD_TRY(kd_buffer_append_byte(ctx, &buffer, (uint8_t)c));
        is_taken = false;
    }
    return kdi_return_buffer(result, &buffer);
}

/* Rewrites a pattern with another escape character to one with the backslash. */
KDI_ROW(like_escape)
{
    kd_slice pattern = kdi_arg_text(args, 0), escape = kdi_arg_text(args, 1);
    if (escape.size_bytes > 0 && kd_utf8_length(escape) != 1) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22025", "invalid escape string");
        kd_error_set_hint(ctx, "Escape string must be empty or one character.");
        return status;
    }
    kd_buffer buffer = kd_buffer_in(env->arena);
    uint32_t width;
    for (size_t i = 0; i < pattern.size_bytes; i += width) {
        (void)kd_utf8_decode(pattern.data + i, pattern.size_bytes - i, &width);
        kd_slice character = {pattern.data + i, width};
        if (escape.size_bytes > 0 && kd_slice_equal(character, escape)) {
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, '\\'));
            i += width;
            if (i >= pattern.size_bytes)
                break;
            (void)kd_utf8_decode(pattern.data + i, pattern.size_bytes - i, &width);
            character = (kd_slice){pattern.data + i, width};
        } else if (pattern.data[i] == '\\') {
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, '\\'));
        }
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, character));
    }
    return kdi_return_buffer(result, &buffer);
}

static const kd_function functions[] = {
    IMMUTABLE("~~", like, BOOL, TEXT, TEXT),
    IMMUTABLE("!~~", not_like, BOOL, TEXT, TEXT),
    IMMUTABLE("~~*", ilike, BOOL, TEXT, TEXT),
    IMMUTABLE("!~~*", not_ilike, BOOL, TEXT, TEXT),
    IMMUTABLE("~~", char_like, BOOL, CHAR, TEXT),
    IMMUTABLE("!~~", char_not_like, BOOL, CHAR, TEXT),
    IMMUTABLE("~~*", char_ilike, BOOL, CHAR, TEXT),
    IMMUTABLE("!~~*", char_not_ilike, BOOL, CHAR, TEXT),
    IMMUTABLE("~~", bytes_like, BOOL, BYTEA, BYTEA),
    IMMUTABLE("!~~", bytes_not_like, BOOL, BYTEA, BYTEA),
    IMMUTABLE("like", like, BOOL, TEXT, TEXT),
    IMMUTABLE("notlike", not_like, BOOL, TEXT, TEXT),
    IMMUTABLE("like_escape", like_escape, TEXT, TEXT, TEXT),
    IMMUTABLE("like_escape", bytes_like_escape, BYTEA, BYTEA, BYTEA),
};

kd_status kdi_register_like(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
