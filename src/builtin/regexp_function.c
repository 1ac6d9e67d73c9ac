/*
 * Regular expression operators and functions.
 */
#include "builtin/regexp_internal.h"
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/utf8.h"

/* --- Operators -------------------------------------------------------------------------------- */

static kd_status matches(kd_ctx *ctx, kd_call_env *env, const void *const *args, bool fold,
                         bool negated, void *result)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags = {.ignore_case = fold};
    KD_TRY(kdi_regexp_get(ctx, env, kdi_arg_text(args, 1), flags, env->argument_is_constant[1],
                          &regexp));
    bool found;
    KD_TRY(kdi_regexp_test(ctx, regexp, kdi_arg_text(args, 0), &found));
    *(uint8_t *)result = found != negated;
    return KD_OK;
}

KDI_ROW(regexp_match_operator)
{
    return matches(ctx, env, args, false, false, result);
}

KDI_ROW(regexp_no_match)
{
    return matches(ctx, env, args, false, true, result);
}

KDI_ROW(regexp_match_fold)
{
    return matches(ctx, env, args, true, false, result);
}

KDI_ROW(regexp_no_match_fold)
{
    return matches(ctx, env, args, true, true, result);
}

KDI_PADDED(char_match_operator, regexp_match_operator)
KDI_PADDED(char_no_match, regexp_no_match)
KDI_PADDED(char_match_fold, regexp_match_fold)
KDI_PADDED(char_no_match_fold, regexp_no_match_fold)

/* --- Arguments of the functions --------------------------------------------------------------- */

enum { NO_ARGUMENT = 99 };

/* The pattern is argument 1, the flags argument `flags_at`. */
static kd_status open_pattern(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                              uint32_t flags_at, const char *function, kdi_regexp_flags *out_flags,
                              kdi_regexp **out)
{
    *out_flags = (kdi_regexp_flags){0};
    bool has_flags = flags_at < env->argument_count;
    if (has_flags)
        KD_TRY(kdi_regexp_flags_parse(ctx, kdi_arg_text(args, flags_at), out_flags));
    if (out_flags->global && function != NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "%s() does not support the \"global\" option",
                       function);
    bool constant =
        env->argument_is_constant[1] && (!has_flags || env->argument_is_constant[flags_at]);
    return kdi_regexp_get(ctx, env, kdi_arg_text(args, 1), *out_flags, constant, out);
}

/* An integer argument that must be at least `least`; `otherwise` when the call has none. */
static kd_status integer_argument(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                                  uint32_t index, const char *name, int32_t least,
                                  int32_t otherwise, int32_t *out)
{
    *out = index < env->argument_count ? KDI_ARG(int32_t, args, index) : otherwise;
    if (*out < least)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid value for parameter \"%s\": %d", name,
                       *out);
    return KD_OK;
}

/* The next place to look after a match: one character further when it was empty. */
static size_t after_match(kd_slice text, size_t start, size_t end)
{
    if (end > start)
        return end;
    uint32_t width = 1;
    if (end < text.size_bytes)
        (void)kd_utf8_decode(text.data + end, text.size_bytes - end, &width);
    return end + width;
}

/* Finds match number `wanted` at or after character `start`. */
static kd_status find_numbered(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text, int32_t start,
                               int32_t wanted, bool *out_found)
{
    size_t at = kd_utf8_offset(text, (size_t)start - 1);
    *out_found = false;
    if (start - 1 > (int64_t)kd_utf8_length(text))
        return KD_OK;
    while (at <= text.size_bytes) {
        KD_TRY(kdi_regexp_find(ctx, regexp, text, at, out_found));
        if (!*out_found || --wanted == 0)
            return KD_OK;
        size_t from = 0, to = 0;
        (void)kdi_regexp_group(regexp, 0, &from, &to);
        at = after_match(text, from, to);
        *out_found = false;
    }
    return KD_OK;
}

/* --- substring -------------------------------------------------------------------------------- */

/* The first group, or the whole match when the pattern has none. */
KDI_ROW(substring_pattern)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    kd_slice text = kdi_arg_text(args, 0);
    bool found;
    KD_TRY(open_pattern(ctx, env, args, NO_ARGUMENT, NULL, &flags, &regexp));
    KD_TRY(kdi_regexp_find(ctx, regexp, text, 0, &found));
    size_t from, to;
    uint32_t group = kdi_regexp_group_count(regexp) > 0;
    *out_is_null = !found || !kdi_regexp_group(regexp, group, &from, &to);
    if (*out_is_null)
        return KD_OK;
    return kdi_return_text(result, (kd_slice){text.data + from, to - from});
}

KDI_ROW(regexp_substr)
{
    int32_t start, number, group;
    KD_TRY(integer_argument(ctx, env, args, 2, "start", 1, 1, &start));
    KD_TRY(integer_argument(ctx, env, args, 3, "n", 1, 1, &number));
    KD_TRY(integer_argument(ctx, env, args, 5, "subexpr", 0, 0, &group));
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 4, "regexp_substr", &flags, &regexp));
    kd_slice text = kdi_arg_text(args, 0);
    bool found;
    KD_TRY(find_numbered(ctx, regexp, text, start, number, &found));
    size_t from, to;
    *out_is_null = !found || !kdi_regexp_group(regexp, (uint32_t)group, &from, &to);
    if (*out_is_null)
        return KD_OK;
    return kdi_return_text(result, (kd_slice){text.data + from, to - from});
}

KDI_ROW(regexp_instr)
{
    int32_t start, number, at_end, group;
    KD_TRY(integer_argument(ctx, env, args, 2, "start", 1, 1, &start));
    KD_TRY(integer_argument(ctx, env, args, 3, "n", 1, 1, &number));
    KD_TRY(integer_argument(ctx, env, args, 4, "endoption", 0, 0, &at_end));
    KD_TRY(integer_argument(ctx, env, args, 6, "subexpr", 0, 0, &group));
    if (at_end > 1)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid value for parameter \"endoption\": %d",
                       at_end);
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 5, "regexp_instr", &flags, &regexp));
    kd_slice text = kdi_arg_text(args, 0);
    bool found;
    KD_TRY(find_numbered(ctx, regexp, text, start, number, &found));
    size_t from, to;
    *(int32_t *)result = 0;
    if (found && kdi_regexp_group(regexp, (uint32_t)group, &from, &to))
        *(int32_t *)result = (int32_t)kd_utf8_length((kd_slice){text.data, at_end ? to : from}) + 1;
    return KD_OK;
}

KDI_ROW(regexp_like)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 2, "regexp_like", &flags, &regexp));
    bool found;
    KD_TRY(kdi_regexp_test(ctx, regexp, kdi_arg_text(args, 0), &found));
    *(uint8_t *)result = found;
    return KD_OK;
}

KDI_ROW(regexp_count)
{
    int32_t start;
    KD_TRY(integer_argument(ctx, env, args, 2, "start", 1, 1, &start));
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 3, "regexp_count", &flags, &regexp));
    kd_slice text = kdi_arg_text(args, 0);
    int32_t count = 0;
    size_t at = kd_utf8_offset(text, (size_t)start - 1);
    if (start - 1 > (int64_t)kd_utf8_length(text))
        at = text.size_bytes + 1;
    while (at <= text.size_bytes) {
        bool found;
        KD_TRY(kdi_regexp_find(ctx, regexp, text, at, &found));
        if (!found)
            break;
        size_t from = 0, to = 0;
        (void)kdi_regexp_group(regexp, 0, &from, &to);
        at = after_match(text, from, to);
        count++;
    }
    *(int32_t *)result = count;
    return KD_OK;
}

/* --- regexp_replace --------------------------------------------------------------------------- */

/* The replacement with \1 .. \9, \& and \\ filled in. */
static kd_status append_replacement(kd_ctx *ctx, const kdi_regexp *regexp, kd_slice text,
                                    kd_slice replacement, kd_buffer *out)
{
    for (size_t i = 0; i < replacement.size_bytes; i++) {
        char c = replacement.data[i];
        char next = i + 1 < replacement.size_bytes ? replacement.data[i + 1] : 0;
        size_t from, to;
        if (c == '\\' && (next == '&' || (next >= '1' && next <= '9'))) {
            i++;
            if (kdi_regexp_group(regexp, next == '&' ? 0 : (uint32_t)(next - '0'), &from, &to))
                KD_TRY(kd_buffer_append(ctx, out, text.data + from, to - from));
            continue;
        }
        if (c == '\\' && next == '\\')
            i++;
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    return KD_OK;
}

/* Replaces match number `number` after character `start`, or all of them from there when 0. */
static kd_status replace(kd_ctx *ctx, kd_call_env *env, const void *const *args, kdi_regexp *regexp,
                         int32_t start, int32_t number, void *result)
{
    kd_slice text = kdi_arg_text(args, 0), replacement = kdi_arg_text(args, 2);
    kd_buffer buffer = kd_buffer_in(env->arena);
    size_t copied = 0, at = kd_utf8_offset(text, (size_t)start - 1);
    int32_t seen = 0;
    bool any = false;
    while (at <= text.size_bytes) {
        bool found;
        KD_TRY(kdi_regexp_find(ctx, regexp, text, at, &found));
        if (!found)
            break;
        size_t from = 0, to = 0;
        (void)kdi_regexp_group(regexp, 0, &from, &to);
        at = after_match(text, from, to);
        seen++;
        if (number > 0 && seen < number)
            continue;
        any = true;
        KD_TRY(kd_buffer_append(ctx, &buffer, text.data + copied, from - copied));
        KD_TRY(append_replacement(ctx, regexp, text, replacement, &buffer));
        copied = to;
        if (number > 0)
            break;
    }
    if (!any) {
        *(kd_str *)result = *(const kd_str *)args[0];
        return KD_OK;
    }
    KD_TRY(kd_buffer_append(ctx, &buffer, text.data + copied, text.size_bytes - copied));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(regexp_replace)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    if (env->argument_count > 3) {
        kd_slice letters = kdi_arg_text(args, 3);
        if (letters.size_bytes > 0 && letters.data[0] >= '0' && letters.data[0] <= '9') {
            kd_status status =
                KD_FAIL(ctx, KD_INVALID, "22023", "invalid regular expression option: \"%c\"",
                        letters.data[0]);
            kd_error_set_hint(ctx, "If you meant to use regexp_replace() with a start parameter, "
                                   "cast the fourth argument to integer explicitly.");
            return status;
        }
    }
    KD_TRY(open_pattern(ctx, env, args, 3, NULL, &flags, &regexp));
    return replace(ctx, env, args, regexp, 1, flags.global ? 0 : 1, result);
}

KDI_ROW(regexp_replace_numbered)
{
    int32_t start, number;
    KD_TRY(integer_argument(ctx, env, args, 3, "start", 1, 1, &start));
    KD_TRY(integer_argument(ctx, env, args, 4, "n", 0, 1, &number));
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 5, NULL, &flags, &regexp));
    if (env->argument_count < 5 && flags.global)
        number = 0;
    return replace(ctx, env, args, regexp, start, number, result);
}

/* --- Matches and splitting as arrays ---------------------------------------------------------- */

/* The groups of the match just found as text[]; the whole match when there are none. */
static kd_status groups_as_array(kd_ctx *ctx, kd_arena *arena, const kdi_regexp *regexp,
                                 kd_slice text, kd_str *out)
{
    uint32_t count = kdi_regexp_group_count(regexp);
    uint32_t first = count > 0;
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, count + 1);
    if (values == NULL)
        return KD_NOMEM;
    uint32_t used = 0;
    for (uint32_t i = first; i <= count; i++, used++) {
        size_t from, to;
        values[used] = kd_value_null(kd_type_of(KD_TYPE_TEXT));
        if (kdi_regexp_group(regexp, i, &from, &to))
            values[used] = kd_value_text((kd_slice){text.data + from, to - from});
    }
    return kd_array_make(ctx, arena, kd_type_of(KD_TYPE_TEXT), values, used, out);
}

KDI_ROW(regexp_match)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    kd_slice letters = env->argument_count > 2 ? kdi_arg_text(args, 2) : KD_SLICE("");
    KD_TRY(kdi_regexp_flags_parse(ctx, letters, &flags));
    if (flags.global) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22023",
                                   "regexp_match() does not support the \"global\" option");
        kd_error_set_hint(ctx, "Use the regexp_matches function instead.");
        return status;
    }
    KD_TRY(open_pattern(ctx, env, args, 2, NULL, &flags, &regexp));
    bool found;
    KD_TRY(kdi_regexp_find(ctx, regexp, kdi_arg_text(args, 0), 0, &found));
    *out_is_null = !found;
    return found ? groups_as_array(ctx, env->arena, regexp, kdi_arg_text(args, 0), result) : KD_OK;
}

typedef kd_status (*part_visitor)(kd_ctx *ctx, void *object, kd_slice part);

/* The parts between matches. An empty match at the start, at the end or right after another one
 * does not split. */
static kd_status split(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text, part_visitor visit,
                       void *object)
{
    size_t start = 0, at = 0;
    while (at <= text.size_bytes) {
        bool found;
        KD_TRY(kdi_regexp_find(ctx, regexp, text, at, &found));
        if (!found)
            break;
        size_t from = 0, to = 0;
        (void)kdi_regexp_group(regexp, 0, &from, &to);
        at = after_match(text, from, to);
        if (from == to && (from == start || from >= text.size_bytes))
            continue;
        KD_TRY(visit(ctx, object, (kd_slice){text.data + start, from - start}));
        start = to;
    }
    return visit(ctx, object, (kd_slice){text.data + start, text.size_bytes - start});
}

typedef struct part_list {
    kd_arena *arena;
    kd_value *items;
    size_t count;
    size_t capacity;
} part_list;

static kd_status add_part(kd_ctx *ctx, void *object, kd_slice part)
{
    part_list *list = object;
    kd_value *item;
    KD_TRY(KD_PUSH(ctx, list->arena, list->items, list->count, list->capacity, &item));
    *item = kd_value_text(part);
    return KD_OK;
}

KDI_ROW(regexp_split_to_array)
{
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_pattern(ctx, env, args, 2, "regexp_split_to_array", &flags, &regexp));
    part_list list = {.arena = env->arena};
    KD_TRY(split(ctx, regexp, kdi_arg_text(args, 0), add_part, &list));
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_TEXT), list.items,
                         (uint32_t)list.count, result);
}

/* --- As table functions ----------------------------------------------------------------------- */

static const kd_type text_type = KDI_TYPE(TEXT);
static const kd_type texts_type = KDI_ARRAY(TEXT);

KDI_DESCRIBE(describe_matches)
{
    static const char *const names[] = {"regexp_matches"};
    return kdi_describe(ctx, arena, 1, names, &texts_type, out_column_count, out_names, out_types);
}

KDI_DESCRIBE(describe_split)
{
    static const char *const names[] = {"regexp_split_to_table"};
    return kdi_describe(ctx, arena, 1, names, &text_type, out_column_count, out_names, out_types);
}

/* Opens the pattern of a table function's call; `*out_regexp` is NULL when an argument is. */
static kd_status open_values(kd_ctx *ctx, kd_arena *arena, const kd_value *args, uint32_t arg_count,
                             const char *function, kdi_regexp_flags *out_flags,
                             kdi_regexp **out_regexp)
{
    *out_regexp = NULL;
    *out_flags = (kdi_regexp_flags){0};
    for (uint32_t i = 0; i < arg_count; i++)
        if (args[i].is_null)
            return KD_OK;
    const void *payloads[3] = {&args[0].as, &args[1].as, arg_count > 2 ? &args[2].as : NULL};
    kd_call_env own = {.arena = arena, .state_arena = arena, .argument_count = arg_count};
    return open_pattern(ctx, &own, payloads, 2, function, out_flags, out_regexp);
}

KDI_OPEN(open_matches)
{
    kdi_row_list *list;
    KD_TRY(kdi_row_list_create(ctx, arena, &texts_type, 1, &list));
    *out_cursor = list;
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_values(ctx, arena, args, arg_count, NULL, &flags, &regexp));
    if (regexp == NULL)
        return KD_OK;
    kd_slice text = kdi_value_text(&args[0]);
    for (size_t at = 0; at <= text.size_bytes;) {
        bool found;
        KD_TRY(kdi_regexp_find(ctx, regexp, text, at, &found));
        if (!found)
            break;
        kd_value row = {.type = texts_type};
        KD_TRY(groups_as_array(ctx, arena, regexp, text, &row.as.str));
        KD_TRY(kdi_row_list_add(ctx, list, &row));
        size_t from = 0, to = 0;
        (void)kdi_regexp_group(regexp, 0, &from, &to);
        at = flags.global ? after_match(text, from, to) : text.size_bytes + 1;
    }
    return KD_OK;
}

static kd_status add_row(kd_ctx *ctx, void *object, kd_slice part)
{
    kd_value row = kd_value_text(part);
    return kdi_row_list_add(ctx, object, &row);
}

KDI_OPEN(open_split)
{
    kdi_row_list *list;
    KD_TRY(kdi_row_list_create(ctx, arena, &text_type, 1, &list));
    *out_cursor = list;
    kdi_regexp *regexp;
    kdi_regexp_flags flags;
    KD_TRY(open_values(ctx, arena, args, arg_count, "regexp_split_to_table", &flags, &regexp));
    return regexp == NULL ? KD_OK : split(ctx, regexp, kdi_value_text(&args[0]), add_row, list);
}

/* --- SIMILAR TO ------------------------------------------------------------------------------- */

/* One character outside brackets, from SQL's syntax to ours. */
static kd_status append_similar(kd_ctx *ctx, char c, kd_buffer *out)
{
    if (c == '%')
        return kd_buffer_append_text(ctx, out, ".*");
    if (c == '_')
        return kd_buffer_append_byte(ctx, out, '.');
    if (c == '(')
        return kd_buffer_append_text(ctx, out, "(?:");
    if (c == '\\' || c == '.' || c == '^' || c == '$')
        KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
    return kd_buffer_append_byte(ctx, out, (uint8_t)c);
}

/* SQL's regular expression as an advanced one, anchored: '^(?:' ... ')$'. Escape and double quote
 * mark the parts of SUBSTRING (x SIMILAR p ESCAPE e). */
static kd_status similar(kd_ctx *ctx, kd_slice pattern, kd_slice escape, kd_buffer *out)
{
    bool in_brackets = false;
    int marks = 0;
    uint32_t width;
    KD_TRY(kd_buffer_append_text(ctx, out, "^(?:"));
    for (size_t i = 0; i < pattern.size_bytes; i += width) {
        (void)kd_utf8_decode(pattern.data + i, pattern.size_bytes - i, &width);
        kd_slice character = {pattern.data + i, width};
        char c = width == 1 ? pattern.data[i] : 0;
        if (escape.size_bytes > 0 && kd_slice_equal(character, escape) &&
            i + width < pattern.size_bytes) {
            i += width;
            (void)kd_utf8_decode(pattern.data + i, pattern.size_bytes - i, &width);
            if (pattern.data[i] == '"' && !in_brackets) {
                if (++marks > 2)
                    return KD_FAIL(ctx, KD_INVALID, "2200C",
                                   "SQL regular expression may not contain more than two "
                                   "escape-double-quote separators");
                KD_TRY(kd_buffer_append_text(ctx, out, marks == 1 ? "){1,1}?(" : "){1,1}(?:"));
                continue;
            }
            if (width == 1)
                KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
            KD_TRY(kd_buffer_append(ctx, out, pattern.data + i, width));
        } else if (in_brackets || c == '[') {
            in_brackets = c != ']';
            if (c == '\\')
                KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
            KD_TRY(kd_buffer_append_slice(ctx, out, character));
        } else if (c != 0) {
            KD_TRY(append_similar(ctx, c, out));
        } else {
            KD_TRY(kd_buffer_append_slice(ctx, out, character));
        }
    }
    return kd_buffer_append_text(ctx, out, ")$");
}

static kd_status similar_with(kd_ctx *ctx, kd_call_env *env, kd_slice pattern, kd_slice escape,
                              kd_buffer *out)
{
    if (escape.size_bytes > 0 && kd_utf8_length(escape) != 1) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22025", "invalid escape string");
        kd_error_set_hint(ctx, "Escape string must be empty or one character.");
        return status;
    }
    *out = kd_buffer_in(env->arena);
    return similar(ctx, pattern, escape, out);
}

KDI_ROW(similar_to_escape)
{
    kd_buffer buffer;
    kd_slice escape = env->argument_count > 1 ? kdi_arg_text(args, 1) : KD_SLICE("\\");
    KD_TRY(similar_with(ctx, env, kdi_arg_text(args, 0), escape, &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(substring_similar)
{
    kd_buffer buffer;
    KD_TRY(similar_with(ctx, env, kdi_arg_text(args, 1), kdi_arg_text(args, 2), &buffer));
    kd_str pattern = kd_str_from(buffer.data, buffer.size_bytes);
    const void *own[2] = {args[0], &pattern};
    return substring_pattern(ctx, env, own, result, out_is_null);
}

static const kd_function functions[] = {
    IMMUTABLE("~", regexp_match_operator, BOOL, TEXT, TEXT),
    IMMUTABLE("!~", regexp_no_match, BOOL, TEXT, TEXT),
    IMMUTABLE("~*", regexp_match_fold, BOOL, TEXT, TEXT),
    IMMUTABLE("!~*", regexp_no_match_fold, BOOL, TEXT, TEXT),
    IMMUTABLE("~", char_match_operator, BOOL, CHAR, TEXT),
    IMMUTABLE("!~", char_no_match, BOOL, CHAR, TEXT),
    IMMUTABLE("~*", char_match_fold, BOOL, CHAR, TEXT),
    IMMUTABLE("!~*", char_no_match_fold, BOOL, CHAR, TEXT),
    IMMUTABLE("substring", substring_pattern, TEXT, TEXT, TEXT),
    IMMUTABLE("substring", substring_similar, TEXT, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_substr", regexp_substr, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_substr", regexp_substr, TEXT, TEXT, TEXT, INT4),
    IMMUTABLE("regexp_substr", regexp_substr, TEXT, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("regexp_substr", regexp_substr, TEXT, TEXT, TEXT, INT4, INT4, TEXT),
    IMMUTABLE("regexp_substr", regexp_substr, TEXT, TEXT, TEXT, INT4, INT4, TEXT, INT4),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT, INT4),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT, INT4, INT4, INT4),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT, INT4, INT4, INT4, TEXT),
    IMMUTABLE("regexp_instr", regexp_instr, INT4, TEXT, TEXT, INT4, INT4, INT4, TEXT, INT4),
    IMMUTABLE("regexp_like", regexp_like, BOOL, TEXT, TEXT),
    IMMUTABLE("regexp_like", regexp_like, BOOL, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_count", regexp_count, INT4, TEXT, TEXT),
    IMMUTABLE("regexp_count", regexp_count, INT4, TEXT, TEXT, INT4),
    IMMUTABLE("regexp_count", regexp_count, INT4, TEXT, TEXT, INT4, TEXT),
    IMMUTABLE("regexp_replace", regexp_replace, TEXT, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_replace", regexp_replace, TEXT, TEXT, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_replace", regexp_replace_numbered, TEXT, TEXT, TEXT, TEXT, INT4),
    IMMUTABLE("regexp_replace", regexp_replace_numbered, TEXT, TEXT, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("regexp_replace", regexp_replace_numbered, TEXT, TEXT, TEXT, TEXT, INT4, INT4, TEXT),
    IMMUTABLE("regexp_match", regexp_match, TEXTS, TEXT, TEXT),
    IMMUTABLE("regexp_match", regexp_match, TEXTS, TEXT, TEXT, TEXT),
    IMMUTABLE("regexp_split_to_array", regexp_split_to_array, TEXTS, TEXT, TEXT),
    IMMUTABLE("regexp_split_to_array", regexp_split_to_array, TEXTS, TEXT, TEXT, TEXT),
    IMMUTABLE("similar_to_escape", similar_to_escape, TEXT, TEXT),
    IMMUTABLE("similar_to_escape", similar_to_escape, TEXT, TEXT, TEXT),
};

#define TABLE_FUNCTION(NAME, DESCRIBE, OPEN, ...)                                     \
    {                                                                                 \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .describe = DESCRIBE, .open = OPEN, \
                                    .next = kdi_row_list_next                         \
    }

static const kd_table_function table_functions[] = {
    TABLE_FUNCTION("regexp_matches", describe_matches, open_matches, TEXT, TEXT),
    TABLE_FUNCTION("regexp_matches", describe_matches, open_matches, TEXT, TEXT, TEXT),
    TABLE_FUNCTION("regexp_split_to_table", describe_split, open_split, TEXT, TEXT),
    TABLE_FUNCTION("regexp_split_to_table", describe_split, open_split, TEXT, TEXT, TEXT),
};

kd_status kdi_register_regexp(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions)));
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
