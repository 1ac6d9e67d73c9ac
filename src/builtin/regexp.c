/*
 * Compiling and matching through PCRE2.
 *
 * PCRE2's memory comes from an arena of the expression, which is reset when the
 * pattern changes; only machine code (JIT) lives elsewhere and is given back by a
 * cleanup of that arena.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "builtin/regexp_internal.h"

#include <pcre2.h>

enum { MATCH_LIMIT = 10000000, DFA_WORKSPACE = 4000 };

struct kdi_regexp {
    kd_arena *arena;
    kd_ctx *ctx; /* Of the running call: PCRE2 allocates through it. */
    kd_slice source;
    kdi_regexp_flags flags;
    pcre2_general_context *general;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    uint32_t group_count;
    bool wants_longest;
    bool use_jit;
};

static void *memory_get(size_t size_bytes, void *object)
{
    kdi_regexp *regexp = object;
    return kd_alloc_raw(regexp->ctx, regexp->arena, size_bytes);
}

static void memory_give(void *memory, void *object)
{
    (void)memory; /* The arena ends as a whole. */
    (void)object;
}

static void code_free(void *object)
{
    pcre2_code_free(object);
}

static kd_status compile_failed(kd_ctx *ctx, int error)
{
    static const struct {
        int error;
        const char *text;
    } messages[] = {
        {PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS, "parentheses () not balanced"},
        {PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS, "parentheses () not balanced"},
        {PCRE2_ERROR_MISSING_SQUARE_BRACKET, "brackets [] not balanced"},
        {PCRE2_ERROR_QUANTIFIER_INVALID, "quantifier operand invalid"},
        {PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER, "invalid repetition count(s)"},
        {PCRE2_ERROR_QUANTIFIER_TOO_BIG, "invalid repetition count(s)"},
        {PCRE2_ERROR_CLASS_RANGE_ORDER, "invalid character range"},
        {PCRE2_ERROR_CLASS_INVALID_RANGE, "invalid character range"},
        {PCRE2_ERROR_UNKNOWN_POSIX_CLASS, "invalid character class"},
        {PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE, "invalid backreference number"},
    };
    for (size_t i = 0; i < KDI_COUNT(messages); i++)
        if (messages[i].error == error)
            return KD_FAIL(ctx, KD_INVALID, "2201B", "invalid regular expression: %s",
                           messages[i].text);
    char text[256];
    if (error == PCRE2_ERROR_HEAP_FAILED ||
        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text) < 0)
        return KD_NOMEM;
    return KD_FAIL(ctx, KD_INVALID, "2201B", "invalid regular expression: %s", text);
}

static uint32_t compile_options(const kdi_regexp_flags *flags)
{
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C;
    if (flags->ignore_case)
        options |= PCRE2_CASELESS;
    if (flags->expanded && !flags->literal)
        options |= PCRE2_EXTENDED;
    if (!flags->dot_stops)
        options |= PCRE2_DOTALL;
    /* In lines, ^ also stands after a newline that ends the text. */
    options |= flags->lines ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : PCRE2_DOLLAR_ENDONLY;
    return options;
}

static kd_status compile(kd_ctx *ctx, kdi_regexp *regexp)
{
    kdi_regexp_pattern pattern = {.text = kd_buffer_in(regexp->arena)};
    kdi_regexp_flags flags = regexp->flags;
    KD_TRY(kdi_regexp_translate(ctx, regexp->source, &flags, &pattern));
    regexp->general = pcre2_general_context_create(memory_get, memory_give, regexp);
    if (regexp->general == NULL)
        return KD_NOMEM;
    pcre2_compile_context *how = pcre2_compile_context_create(regexp->general);
    regexp->limits = pcre2_match_context_create(regexp->general);
    if (how == NULL || regexp->limits == NULL)
        return KD_NOMEM;
    pcre2_set_newline(how, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(how, 250);
    pcre2_set_match_limit(regexp->limits, MATCH_LIMIT);
    int error;
    PCRE2_SIZE offset;
    kd_slice text = kd_buffer_slice(&pattern.text);
    regexp->code = pcre2_compile((PCRE2_SPTR)(text.data == NULL ? "" : text.data), text.size_bytes,
                                 compile_options(&flags), &error, &offset, how);
    if (regexp->code == NULL)
        return compile_failed(ctx, error);
    KD_TRY(kd_arena_defer(ctx, regexp->arena, code_free, regexp->code));
    regexp->use_jit = pcre2_jit_compile(regexp->code, PCRE2_JIT_COMPLETE) == 0;
    (void)pcre2_pattern_info(regexp->code, PCRE2_INFO_CAPTURECOUNT, &regexp->group_count);
    regexp->match = pcre2_match_data_create_from_pattern(regexp->code, regexp->general);
    regexp->wants_longest = pattern.has_choice && !pattern.has_lazy;
    return regexp->match == NULL ? KD_NOMEM : KD_OK;
}

static bool same_flags(kdi_regexp_flags a, kdi_regexp_flags b)
{
    return a.ignore_case == b.ignore_case && a.expanded == b.expanded && a.literal == b.literal &&
           a.dot_stops == b.dot_stops && a.lines == b.lines;
}

kd_status kdi_regexp_get(kd_ctx *ctx, kd_call_env *env, kd_slice pattern, kdi_regexp_flags flags,
                         bool constant, kdi_regexp **out)
{
    kdi_regexp *regexp = env->state;
    *out = regexp;
    if (regexp != NULL) {
        regexp->ctx = ctx;
        if (constant ||
            (same_flags(regexp->flags, flags) && kd_slice_equal(regexp->source, pattern)))
            return KD_OK;
    }
    kd_arena *arena = regexp != NULL
                          ? regexp->arena
                          : kd_arena_create(ctx, env->state_arena, "regexp", KD_ARENA_UNLIMITED);
    env->state = NULL;
    *out = NULL;
    if (arena == NULL)
        return KD_NOMEM;
    if (regexp != NULL)
        kd_arena_reset(arena);
    regexp = KD_NEW(ctx, arena, kdi_regexp);
    if (regexp == NULL)
        return KD_NOMEM;
    *regexp = (kdi_regexp){.arena = arena, .ctx = ctx, .flags = flags};
    regexp->source.data = kd_copy_text(ctx, arena, pattern.data, pattern.size_bytes);
    regexp->source.size_bytes = pattern.size_bytes;
    if (regexp->source.data == NULL)
        return KD_NOMEM;
    KD_TRY(compile(ctx, regexp));
    env->state = regexp;
    *out = regexp;
    return KD_OK;
}

uint32_t kdi_regexp_group_count(const kdi_regexp *regexp)
{
    return regexp->group_count;
}

static kd_status match_failed(kd_ctx *ctx, int error)
{
    if (error == PCRE2_ERROR_NOMEMORY && ctx->error.status != KD_OK)
        return KD_NOMEM;
    if (error == PCRE2_ERROR_MATCHLIMIT || error == PCRE2_ERROR_DEPTHLIMIT ||
        error == PCRE2_ERROR_HEAPLIMIT || error == PCRE2_ERROR_JIT_STACKLIMIT)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "regular expression failed: it needs too many steps for this text");
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "regular expression failed: PCRE2 error %d", error);
}

/* As pcre2_match; JIT's small stack running out is tried again without it. */
static int match_at(kdi_regexp *regexp, kd_slice text, size_t start, uint32_t options)
{
    PCRE2_SPTR data = (PCRE2_SPTR)(text.data == NULL ? "" : text.data);
    options |= PCRE2_NO_UTF_CHECK;
    int answer = pcre2_match(regexp->code, data, text.size_bytes, start, options, regexp->match,
                             regexp->limits);
    if (answer == PCRE2_ERROR_JIT_STACKLIMIT)
        answer = pcre2_match(regexp->code, data, text.size_bytes, start, options | PCRE2_NO_JIT,
                             regexp->match, regexp->limits);
    return answer;
}

/* After a match: where PCRE2's choice of an alternative is shorter than the longest match from the
 * same place, matches again with that end. */
static int match_longest(kdi_regexp *regexp, kd_slice text, int answer)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(regexp->match);
    size_t start = found[0], end = found[1];
    if (end == text.size_bytes)
        return answer;
    pcre2_match_data *data = pcre2_match_data_create(1, regexp->general);
    int workspace[DFA_WORKSPACE];
    if (data == NULL)
        return PCRE2_ERROR_NOMEMORY;
    int longest = pcre2_dfa_match(regexp->code, (PCRE2_SPTR)text.data, text.size_bytes, start,
                                  PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, data, regexp->limits,
                                  workspace, DFA_WORKSPACE);
    size_t new_end = longest < 0 ? end : pcre2_get_ovector_pointer(data)[1];
    if (new_end <= end)
        return answer;
    kd_slice cut = {text.data, new_end};
    int again = match_at(regexp, cut, start, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_JIT);
    return again > 0 ? again : match_at(regexp, text, start, PCRE2_ANCHORED);
}

kd_status kdi_regexp_find(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text, size_t start,
                          bool *out_found)
{
    *out_found = false;
    int answer = match_at(regexp, text, start, 0);
    if (answer > 0 && regexp->wants_longest)
        answer = match_longest(regexp, text, answer);
    *out_found = answer > 0;
    return answer > 0 || answer == PCRE2_ERROR_NOMATCH ? KD_OK : match_failed(ctx, answer);
}

kd_status kdi_regexp_test(kd_ctx *ctx, kdi_regexp *regexp, kd_slice text, bool *out_found)
{
    int answer = match_at(regexp, text, 0, 0);
    *out_found = answer > 0;
    return answer > 0 || answer == PCRE2_ERROR_NOMATCH ? KD_OK : match_failed(ctx, answer);
}

bool kdi_regexp_group(const kdi_regexp *regexp, uint32_t group, size_t *out_start, size_t *out_end)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(regexp->match);
    if (group > regexp->group_count || found[group * 2] == PCRE2_UNSET)
        return false;
    *out_start = found[group * 2];
    *out_end = found[group * 2 + 1];
    return true;
}
