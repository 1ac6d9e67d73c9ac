/*
 * The evaluator of paths, after SQL/JSON's General Rules as PostgreSQL reads them.
 *
 * Lax mode takes arrays apart where a single item is wanted, takes single items for arrays of one,
 * and forgives what is missing; strict mode reports it. Inside predicates an error is no error but
 * makes the predicate unknown: `throws` is then off, and errors travel as KDI_PATH_ERROR.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/regexp_internal.h"
#include "types/jsonb.h"
#include "types/number_text.h"

#include <math.h>

enum { DEPTH_MAX = 2500 };

typedef kd_jsonpath_item item;
typedef kdi_path_value value;
typedef kdi_path_values values;
typedef kdi_path_result outcome;

typedef struct run {
    const kdi_path_call *call;
    kd_arena *arena;
    value current; /* @ */
    kd_slice base; /* keyvalue() counts its ids from here, */
    int64_t base_id;
    int64_t last_id;    /* and gives objects that it makes a number. */
    int64_t array_size; /* Of the innermost array being subscripted: last. */
    bool is_lax;
    bool forgives; /* Structural errors. */
    bool throws;
    int depth;
} run;

typedef enum truth { TRUTH_FALSE = 0, TRUTH_TRUE, TRUTH_UNKNOWN } truth;

/* Ends the function with an error of the path. */
#define RAISE(r, out, sqlstate, ...)                                                    \
    do {                                                                                \
        *(out) = KDI_PATH_ERROR;                                                        \
        return (r)->throws ? KD_FAIL(ctx, KD_INVALID, (sqlstate), __VA_ARGS__) : KD_OK; \
    } while (0)

static kd_status run_item(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                          values *found, outcome *out);
static kd_status run_predicate(kd_ctx *ctx, run *r, const item *it, const value *v, truth *out);

static value of_json(kd_slice json)
{
    return (value){.json = json};
}

static uint8_t kind_of(const value *v)
{
    return v->is_time ? KD_JSONB_STRING : kd_jsonb_open(v->json).kind;
}

static bool is_array(const value *v)
{
    return !v->is_time && kind_of(v) == KD_JSONB_ARRAY;
}

static bool is_container(const value *v)
{
    return !v->is_time && (kind_of(v) == KD_JSONB_ARRAY || kind_of(v) == KD_JSONB_OBJECT);
}

static kd_status push(kd_ctx *ctx, run *r, values *list, const value *v)
{
    value *added;
    if (list->capacity == 0) {
        list->items = &list->first;
        list->capacity = 1;
    }
    KD_TRY(KD_PUSH(ctx, r->arena, list->items, list->count, list->capacity, &added));
    *added = *v;
    return KD_OK;
}

/* Goes on with what follows the item, or keeps its value. */
static kd_status run_next(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                          outcome *out)
{
    *out = KDI_PATH_OK;
    if (it->next != NULL)
        return run_item(ctx, r, it->next, v, r->is_lax, found, out);
    return found == NULL ? KD_OK : push(ctx, r, found, v);
}

/* ---- Going into containers ---- */

typedef struct walk {
    uint32_t first, last; /* Levels. */
    bool forgives;        /* While the elements are run. */
    bool unwraps;
} walk;

/* Runs `it` (NULL: keeps the value) on the members of a container, and on theirs. */
static kd_status run_members(kd_ctx *ctx, run *r, const item *it, kd_slice container,
                             uint32_t level, walk how, values *found, outcome *out)
{
    *out = KDI_PATH_NOT_FOUND;
    if (level > how.last)
        return KD_OK;
    kd_jsonb opened = kd_jsonb_open(container);
    for (uint32_t i = 0; i < opened.count; i++) {
        value member = of_json(kd_jsonb_element(&opened, i));
        bool wanted =
            level >= how.first || (how.first == KD_JSONPATH_LAST && how.last == KD_JSONPATH_LAST &&
                                   !is_container(&member));
        if (wanted && it != NULL) {
            bool forgave = r->forgives;
            r->forgives |= how.forgives;
            KD_TRY(run_item(ctx, r, it, &member, how.unwraps, found, out));
            r->forgives = forgave;
        } else if (wanted) {
            *out = KDI_PATH_OK;
            if (found != NULL)
                KD_TRY(push(ctx, r, found, &member));
        }
        if (wanted && (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL)))
            return KD_OK;
        if (level < how.last && is_container(&member)) {
            if (++r->depth > DEPTH_MAX)
                return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath goes too deep");
            KD_TRY(run_members(ctx, r, it, member.json, level + 1, how, found, out));
            r->depth--;
            if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
                return KD_OK;
        }
    }
    return KD_OK;
}

/* The item on each element of an array that stands where one item is wanted. */
static kd_status run_unwrapped(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                               outcome *out)
{
    walk how = {.first = 1, .last = 1};
    return run_members(ctx, r, it, v->json, 1, how, found, out);
}

/* Runs an operand; in lax mode its arrays are taken apart. */
static kd_status run_operand(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                             values *found, outcome *out)
{
    if (!unwrap || !r->is_lax)
        return run_item(ctx, r, it, v, r->is_lax, found, out);
    values raw = {0};
    KD_TRY(run_item(ctx, r, it, v, true, &raw, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    for (size_t i = 0; i < raw.count; i++) {
        outcome ignored;
        if (is_array(&raw.items[i]))
            KD_TRY(run_unwrapped(ctx, r, NULL, &raw.items[i], found, &ignored));
        else
            KD_TRY(push(ctx, r, found, &raw.items[i]));
    }
    *out = KDI_PATH_OK;
    return KD_OK;
}

/* As run_operand, with errors kept inside. */
static kd_status run_quietly(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                             values *found, outcome *out)
{
    bool threw = r->throws;
    r->throws = false;
    KD_TRY(found == NULL ? run_item(ctx, r, it, v, r->is_lax, NULL, out)
                         : run_operand(ctx, r, it, v, unwrap, found, out));
    r->throws = threw;
    return KD_OK;
}

/* ---- Predicates ---- */

static bool order_holds(uint8_t kind, int order)
{
    switch ((kd_jsonpath_kind)kind) {
    case KD_JSONPATH_EQUAL:
        return order == 0;
    case KD_JSONPATH_NOT_EQUAL:
        return order != 0;
    case KD_JSONPATH_LESS:
        return order < 0;
    case KD_JSONPATH_GREATER:
        return order > 0;
    case KD_JSONPATH_LESS_EQUAL:
        return order <= 0;
    default:
        return order >= 0;
    }
}

/* null equals only null; things of other kinds, and containers, cannot be compared. */
static kd_status compare(kd_ctx *ctx, run *r, const item *it, const value *a, const value *b,
                         truth *out)
{
    uint8_t a_kind = kind_of(a), b_kind = kind_of(b);
    bool is_bool = a_kind == KD_JSONB_TRUE || a_kind == KD_JSONB_FALSE;
    int order = 0;
    bool known = true;
    *out = TRUTH_UNKNOWN;
    if (a_kind == KD_JSONB_NULL || b_kind == KD_JSONB_NULL) {
        bool holds =
            a_kind == b_kind ? order_holds(it->kind, 0) : it->kind == KD_JSONPATH_NOT_EQUAL;
        *out = holds ? TRUTH_TRUE : TRUTH_FALSE;
        return KD_OK;
    }
    if (a->is_time != b->is_time)
        return KD_OK;
    if (a->is_time)
        KD_TRY(kdi_path_compare_times(ctx, r->call, a, b, &order, &known));
    else if (is_bool && (b_kind == KD_JSONB_TRUE || b_kind == KD_JSONB_FALSE))
        order = (int)a_kind - (int)b_kind;
    else if (a_kind != b_kind || is_container(a))
        return KD_OK;
    else if (a_kind == KD_JSONB_NUMBER)
        order = kd_numeric_compare(kd_jsonb_open(a->json).body, kd_jsonb_open(b->json).body);
    else
        order = kd_slice_compare(kd_jsonb_open(a->json).body, kd_jsonb_open(b->json).body);
    if (known)
        *out = order_holds(it->kind, order) ? TRUTH_TRUE : TRUTH_FALSE;
    return KD_OK;
}

static kd_status starts_with(const value *a, const value *b, truth *out)
{
    *out = TRUTH_UNKNOWN;
    if (a->is_time || b->is_time || kind_of(a) != KD_JSONB_STRING || kind_of(b) != KD_JSONB_STRING)
        return KD_OK;
    kd_slice text = kd_jsonb_open(a->json).body, prefix = kd_jsonb_open(b->json).body;
    bool holds = text.size_bytes >= prefix.size_bytes &&
                 memcmp(text.data, prefix.data, prefix.size_bytes) == 0;
    *out = holds ? TRUTH_TRUE : TRUTH_FALSE;
    return KD_OK;
}

static kd_status like_regex(kd_ctx *ctx, run *r, const item *it, const value *v, truth *out)
{
    *out = TRUTH_UNKNOWN;
    if (v->is_time || kind_of(v) != KD_JSONB_STRING)
        return KD_OK;
    kdi_regexp_flags flags = {
        .ignore_case = (it->flags & KD_JSONPATH_FLAG_I) != 0,
        .literal = (it->flags & KD_JSONPATH_FLAG_Q) != 0,
        .dot_stops = (it->flags & KD_JSONPATH_FLAG_S) == 0,
        .lines = (it->flags & KD_JSONPATH_FLAG_M) != 0,
    };
    /* Each pattern of the path has a state of its own. */
    kd_call_env own = *r->call->env;
    own.state = r->call->patterns[it->pattern_no];
    kdi_regexp *regexp;
    bool found;
    KD_TRY(kdi_regexp_get(ctx, &own, it->text, flags, false, &regexp));
    r->call->patterns[it->pattern_no] = own.state;
    KD_TRY(kdi_regexp_test(ctx, regexp, kd_jsonb_open(v->json).body, &found));
    *out = found ? TRUTH_TRUE : TRUTH_FALSE;
    return KD_OK;
}

static kd_status test_pair(kd_ctx *ctx, run *r, const item *it, const value *a, const value *b,
                           truth *out)
{
    if (it->kind == KD_JSONPATH_LIKE_REGEX)
        return like_regex(ctx, r, it, a, out);
    if (it->kind == KD_JSONPATH_STARTS_WITH)
        return starts_with(a, b, out);
    return compare(ctx, r, it, a, b, out);
}

/* True when some pair of operands passes; strict mode looks at all of them for errors. */
static kd_status test_pairs(kd_ctx *ctx, run *r, const item *it, const value *v, truth *out)
{
    values left = {0}, right = {0};
    outcome result;
    bool unknown = false, passed = false;
    *out = TRUTH_UNKNOWN;
    KD_TRY(run_quietly(ctx, r, it->left, v, true, &left, &result));
    if (result == KDI_PATH_ERROR)
        return KD_OK;
    if (it->right != NULL) {
        bool unwrap = it->kind != KD_JSONPATH_STARTS_WITH;
        KD_TRY(run_quietly(ctx, r, it->right, v, unwrap, &right, &result));
        if (result == KDI_PATH_ERROR)
            return KD_OK;
    }
    size_t right_count = it->right == NULL ? 1 : right.count;
    bool is_decided = false;
    for (size_t i = 0; i < left.count && !is_decided; i++)
        for (size_t k = 0; k < right_count && !is_decided; k++) {
            truth one;
            const value *other = it->right == NULL ? NULL : &right.items[k];
            KD_TRY(test_pair(ctx, r, it, &left.items[i], other, &one));
            if (one == TRUTH_UNKNOWN && !r->is_lax)
                return KD_OK;
            unknown |= one == TRUTH_UNKNOWN;
            passed |= one == TRUTH_TRUE;
            is_decided = one == TRUTH_TRUE && r->is_lax;
        }
    *out = passed ? TRUTH_TRUE : unknown ? TRUTH_UNKNOWN : TRUTH_FALSE;
    return KD_OK;
}

static kd_status test_exists(kd_ctx *ctx, run *r, const item *it, const value *v, truth *out)
{
    values found = {0};
    outcome result;
    /* Strict mode wants the whole list, to know that there was no error. */
    KD_TRY(run_quietly(ctx, r, it->left, v, false, r->is_lax ? NULL : &found, &result));
    *out = result == KDI_PATH_ERROR ? TRUTH_UNKNOWN
           : r->is_lax              ? (result == KDI_PATH_OK ? TRUTH_TRUE : TRUTH_FALSE)
                                    : (found.count > 0 ? TRUTH_TRUE : TRUTH_FALSE);
    return KD_OK;
}

static kd_status run_predicate(kd_ctx *ctx, run *r, const item *it, const value *v, truth *out)
{
    truth left, right;
    *out = TRUTH_UNKNOWN;
    if (++r->depth > DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath goes too deep");
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_AND:
        KD_TRY(run_predicate(ctx, r, it->left, v, &left));
        right = TRUTH_FALSE;
        if (left != TRUTH_FALSE)
            KD_TRY(run_predicate(ctx, r, it->right, v, &right));
        *out = right == TRUTH_TRUE ? left : right;
        break;
    case KD_JSONPATH_OR:
        KD_TRY(run_predicate(ctx, r, it->left, v, &left));
        right = TRUTH_TRUE;
        if (left != TRUTH_TRUE)
            KD_TRY(run_predicate(ctx, r, it->right, v, &right));
        *out = right == TRUTH_FALSE ? left : right;
        break;
    case KD_JSONPATH_NOT:
        KD_TRY(run_predicate(ctx, r, it->left, v, &left));
        *out = left == TRUTH_UNKNOWN ? left : left == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE;
        break;
    case KD_JSONPATH_IS_UNKNOWN:
        KD_TRY(run_predicate(ctx, r, it->left, v, &left));
        *out = left == TRUTH_UNKNOWN ? TRUTH_TRUE : TRUTH_FALSE;
        break;
    case KD_JSONPATH_EXISTS:
        KD_TRY(test_exists(ctx, r, it, v, out));
        break;
    default:
        KD_TRY(test_pairs(ctx, r, it, v, out));
        break;
    }
    r->depth--;
    return KD_OK;
}

/* A predicate where a value is wanted: true, false or null. */
static kd_status run_truth(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                           outcome *out)
{
    truth answer;
    value made = {0};
    KD_TRY(run_predicate(ctx, r, it, v, &answer));
    if (answer == TRUTH_UNKNOWN)
        KD_TRY(kd_jsonb_make_null(ctx, r->arena, &made.json));
    else
        KD_TRY(kd_jsonb_make_bool(ctx, r->arena, answer == TRUTH_TRUE, &made.json));
    return run_next(ctx, r, it, &made, found, out);
}

static kd_status run_filter(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                            values *found, outcome *out)
{
    truth answer;
    if (unwrap && is_array(v))
        return run_unwrapped(ctx, r, it, v, found, out);
    value outer = r->current;
    r->current = *v;
    KD_TRY(run_predicate(ctx, r, it->left, v, &answer));
    r->current = outer;
    *out = KDI_PATH_NOT_FOUND;
    return answer == TRUTH_TRUE ? run_next(ctx, r, it, v, found, out) : KD_OK;
}

/* ---- Arithmetic ---- */

static const char *sign_of(uint8_t kind)
{
    static const char *const signs[] = {
        [KD_JSONPATH_ADD] = "+",    [KD_JSONPATH_SUBTRACT] = "-", [KD_JSONPATH_MULTIPLY] = "*",
        [KD_JSONPATH_DIVIDE] = "/", [KD_JSONPATH_MODULO] = "%",   [KD_JSONPATH_PLUS] = "+",
        [KD_JSONPATH_MINUS] = "-",
    };
    return signs[kind];
}

static bool is_number(const value *v)
{
    return !v->is_time && kind_of(v) == KD_JSONB_NUMBER;
}

static kd_status number_of(kd_ctx *ctx, run *r, const value *v, kd_decimal *out)
{
    kd_slice body = kd_jsonb_open(v->json).body;
    kd_str stored = kd_str_from(body.data, body.size_bytes);
    return kd_decimal_load(ctx, r->arena, &stored, out);
}

static kd_status single_number(kd_ctx *ctx, run *r, const item *it, const item *operand,
                               const char *side, const value *v, kd_decimal *out_number,
                               outcome *out)
{
    values found = {0};
    KD_TRY(run_operand(ctx, r, operand, v, true, &found, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    if (found.count != 1 || !is_number(&found.items[0]))
        RAISE(r, out, "22038", "%s operand of jsonpath operator %s is not a single numeric value",
              side, sign_of(it->kind));
    return number_of(ctx, r, &found.items[0], out_number);
}

static kd_status calculate(kd_ctx *ctx, run *r, uint8_t kind, const kd_decimal *a,
                           const kd_decimal *b, kd_decimal *out)
{
    switch ((kd_jsonpath_kind)kind) {
    case KD_JSONPATH_ADD:
        return kd_decimal_add(ctx, r->arena, a, b, out);
    case KD_JSONPATH_SUBTRACT:
        return kd_decimal_sub(ctx, r->arena, a, b, out);
    case KD_JSONPATH_MULTIPLY:
        return kd_decimal_mul(ctx, r->arena, a, b, out);
    case KD_JSONPATH_DIVIDE:
        return kd_decimal_div(ctx, r->arena, a, b, out);
    default:
        return kd_decimal_mod(ctx, r->arena, a, b, out);
    }
}

static kd_status run_binary(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                            outcome *out)
{
    kd_decimal left, right;
    value made = {0};
    KD_TRY(single_number(ctx, r, it, it->left, "left", v, &left, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    KD_TRY(single_number(ctx, r, it, it->right, "right", v, &right, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    kd_status status = calculate(ctx, r, it->kind, &left, &right, &left);
    if (status == KD_INVALID && !r->throws) {
        kd_error_clear(ctx);
        *out = KDI_PATH_ERROR;
        return KD_OK;
    }
    KD_TRY(status);
    KD_TRY(kd_jsonb_make_number(ctx, r->arena, &left, &made.json));
    return run_next(ctx, r, it, &made, found, out);
}

static kd_status run_unary(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                           outcome *out)
{
    values operands = {0};
    outcome total = KDI_PATH_NOT_FOUND;
    KD_TRY(run_operand(ctx, r, it->left, v, true, &operands, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    for (size_t i = 0; i < operands.count; i++) {
        value made = operands.items[i];
        kd_decimal number;
        if (!is_number(&made)) {
            if (found == NULL && it->next == NULL)
                continue;
            RAISE(r, out, "2203B", "operand of unary jsonpath operator %s is not a numeric value",
                  sign_of(it->kind));
        }
        KD_TRY(number_of(ctx, r, &made, &number));
        if (it->kind == KD_JSONPATH_MINUS)
            number = kd_decimal_negate(number);
        KD_TRY(kd_jsonb_make_number(ctx, r->arena, &number, &made.json));
        KD_TRY(run_next(ctx, r, it, &made, found, out));
        if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
            return KD_OK;
        if (*out == KDI_PATH_OK)
            total = KDI_PATH_OK;
    }
    *out = total;
    return KD_OK;
}

/* ---- Accessors ---- */

static kd_status run_key(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                         values *found, outcome *out)
{
    value member = {0};
    *out = KDI_PATH_NOT_FOUND;
    if (unwrap && is_array(v))
        return run_unwrapped(ctx, r, it, v, found, out);
    if (v->is_time || kind_of(v) != KD_JSONB_OBJECT) {
        if (r->forgives)
            return KD_OK;
        RAISE(r, out, "2203A", "jsonpath member accessor can only be applied to an object");
    }
    if (kd_jsonb_get_field(v->json, it->text, &member.json))
        return run_next(ctx, r, it, &member, found, out);
    if (r->forgives)
        return KD_OK;
    RAISE(r, out, "2203A", "JSON object does not contain key \"%.*s\"", (int)it->text.size_bytes,
          it->text.data);
}

static kd_status run_any_key(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                             values *found, outcome *out)
{
    walk how = {.first = 1, .last = 1, .unwraps = r->is_lax};
    *out = KDI_PATH_NOT_FOUND;
    if (unwrap && is_array(v))
        return run_unwrapped(ctx, r, it, v, found, out);
    if (!v->is_time && kind_of(v) == KD_JSONB_OBJECT)
        return run_members(ctx, r, it->next, v->json, 1, how, found, out);
    if (r->forgives)
        return KD_OK;
    RAISE(r, out, "2203C", "jsonpath wildcard member accessor can only be applied to an object");
}

static kd_status run_any_element(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                                 outcome *out)
{
    walk how = {.first = 1, .last = 1, .unwraps = r->is_lax};
    if (is_array(v))
        return run_members(ctx, r, it->next, v->json, 1, how, found, out);
    if (r->is_lax)
        return run_next(ctx, r, it, v, found, out);
    *out = KDI_PATH_NOT_FOUND;
    if (r->forgives)
        return KD_OK;
    RAISE(r, out, "22039", "jsonpath wildcard array accessor can only be applied to an array");
}

static kd_status run_any(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                         outcome *out)
{
    outcome below;
    walk how = {.first = it->first, .last = it->last, .forgives = true, .unwraps = r->is_lax};
    *out = KDI_PATH_NOT_FOUND;
    if (it->first == 0) {
        bool forgave = r->forgives;
        r->forgives = true;
        KD_TRY(run_next(ctx, r, it, v, found, out));
        r->forgives = forgave;
        if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
            return KD_OK;
    }
    if (!is_container(v))
        return KD_OK;
    KD_TRY(run_members(ctx, r, it->next, v->json, 1, how, found, &below));
    *out = below;
    return KD_OK;
}

static kd_status subscript(kd_ctx *ctx, run *r, const item *it, const value *v, int64_t *out_index,
                           outcome *out)
{
    values found = {0};
    kd_decimal number;
    kd_i128 whole;
    KD_TRY(run_item(ctx, r, it, v, r->is_lax, &found, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    if (found.count != 1 || !is_number(&found.items[0]))
        RAISE(r, out, "22033", "jsonpath array subscript is not a single numeric value");
    KD_TRY(number_of(ctx, r, &found.items[0], &number));
    KD_TRY(kd_decimal_trunc(ctx, r->arena, &number, 0, &number));
    if (!kd_decimal_try_fixed(&number, 0, &whole) || whole < INT32_MIN || whole > INT32_MAX)
        RAISE(r, out, "22033", "jsonpath array subscript is out of integer range");
    *out_index = (int64_t)whole;
    return KD_OK;
}

static kd_status run_range(kd_ctx *ctx, run *r, const item *it, const kd_jsonpath_range *range,
                           const value *v, values *found, outcome *out)
{
    int64_t from, to, size = r->array_size;
    KD_TRY(subscript(ctx, r, range->from, v, &from, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    to = from;
    if (range->to != NULL)
        KD_TRY(subscript(ctx, r, range->to, v, &to, out));
    if (*out == KDI_PATH_ERROR)
        return KD_OK;
    if (!r->forgives && (from < 0 || from > to || to >= size))
        RAISE(r, out, "22033", "jsonpath array subscript is out of bounds");
    from = from < 0 ? 0 : from;
    to = to >= size ? size - 1 : to;
    *out = KDI_PATH_NOT_FOUND;
    outcome total = KDI_PATH_NOT_FOUND;
    for (int64_t i = from; i <= to; i++) {
        value element = *v;
        if (is_array(v)) {
            kd_jsonb opened = kd_jsonb_open(v->json);
            element = of_json(kd_jsonb_element(&opened, (uint32_t)i));
        }
        KD_TRY(run_next(ctx, r, it, &element, found, out));
        if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
            return KD_OK;
        if (*out == KDI_PATH_OK)
            total = KDI_PATH_OK;
    }
    *out = total;
    return KD_OK;
}

static kd_status run_index(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                           outcome *out)
{
    *out = KDI_PATH_NOT_FOUND;
    if (!is_array(v) && !r->is_lax) {
        if (r->forgives)
            return KD_OK;
        RAISE(r, out, "22039", "jsonpath array accessor can only be applied to an array");
    }
    int64_t outer_size = r->array_size;
    r->array_size = is_array(v) ? (int64_t)kd_jsonb_open(v->json).count : 1;
    for (size_t i = 0; i < it->range_count; i++) {
        KD_TRY(run_range(ctx, r, it, &it->ranges[i], v, found, out));
        if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
            break;
    }
    r->array_size = outer_size;
    return KD_OK;
}

/* ---- Methods ---- */

static const char *method_name(uint8_t kind)
{
    static const char *const names[] = {
        [KD_JSONPATH_ABS] = "abs",           [KD_JSONPATH_SIZE] = "size",
        [KD_JSONPATH_TYPE] = "type",         [KD_JSONPATH_FLOOR] = "floor",
        [KD_JSONPATH_DOUBLE] = "double",     [KD_JSONPATH_CEILING] = "ceiling",
        [KD_JSONPATH_KEYVALUE] = "keyvalue", [KD_JSONPATH_DATETIME] = "datetime",
    };
    return names[kind];
}

static kd_status keep_string(kd_ctx *ctx, run *r, const item *it, const char *text, values *found,
                             outcome *out)
{
    value made = {0};
    KD_TRY(kd_jsonb_make_string(ctx, r->arena, kd_slice_of(text), &made.json));
    return run_next(ctx, r, it, &made, found, out);
}

static kd_status keep_number(kd_ctx *ctx, run *r, const item *it, const kd_decimal *number,
                             values *found, outcome *out)
{
    value made = {0};
    KD_TRY(kd_jsonb_make_number(ctx, r->arena, number, &made.json));
    return run_next(ctx, r, it, &made, found, out);
}

static kd_status run_type(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                          outcome *out)
{
    if (!v->is_time)
        return keep_string(ctx, r, it, kd_jsonb_typeof(v->json), found, out);
    return keep_string(ctx, r, it, kdi_path_time_name(v), found, out);
}

static kd_status run_size(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                          outcome *out)
{
    kd_decimal number;
    if (!is_array(v) && !r->is_lax) {
        *out = KDI_PATH_NOT_FOUND;
        if (!r->forgives)
            RAISE(r, out, "22039", "jsonpath item method .size() can only be applied to an array");
    }
    int64_t size = is_array(v) ? (int64_t)kd_jsonb_open(v->json).count : 1;
    KD_TRY(kd_decimal_from_i64(ctx, r->arena, size, &number));
    return keep_number(ctx, r, it, &number, found, out);
}

static kd_status run_rounding(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                              outcome *out)
{
    kd_decimal number;
    if (!is_number(v))
        RAISE(r, out, "22036", "jsonpath item method .%s() can only be applied to a numeric value",
              method_name(it->kind));
    KD_TRY(number_of(ctx, r, v, &number));
    if (it->kind == KD_JSONPATH_ABS)
        number = kd_decimal_abs(number);
    else if (it->kind == KD_JSONPATH_FLOOR)
        KD_TRY(kd_decimal_floor(ctx, r->arena, &number, &number));
    else
        KD_TRY(kd_decimal_ceil(ctx, r->arena, &number, &number));
    return keep_number(ctx, r, it, &number, found, out);
}

static kd_status run_double(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                            outcome *out)
{
    double number = 0;
    kd_decimal decimal;
    kd_status status;
    if (is_number(v)) {
        KD_TRY(number_of(ctx, r, v, &decimal));
        status = kd_decimal_to_double(ctx, r->arena, &decimal, &number);
    } else if (!v->is_time && kind_of(v) == KD_JSONB_STRING) {
        status = kd_float8_parse(ctx, kd_jsonb_open(v->json).body, &number);
    } else {
        RAISE(r, out, "22036",
              "jsonpath item method .double() can only be applied to a string or numeric value");
    }
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        RAISE(r, out, "22036",
              "%s argument of jsonpath item method .double() is %s double precision%s",
              is_number(v) ? "numeric" : "string",
              is_number(v) ? "out of range for type" : "not a valid representation of a",
              is_number(v) ? "" : " number");
    }
    KD_TRY(status);
    if (isnan(number) || isinf(number))
        RAISE(r, out, "22036",
              "string argument of jsonpath item method .double() is not a valid representation of "
              "a double precision number");
    KD_TRY(kd_decimal_from_double(ctx, r->arena, number, &decimal));
    return keep_number(ctx, r, it, &decimal, found, out);
}

/* {"id": ..., "key": ..., "value": ...} for each member. Ids differ from object to object. */
static kd_status run_keyvalue(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                              outcome *out)
{
    if (v->is_time || kind_of(v) != KD_JSONB_OBJECT)
        RAISE(r, out, "2203C", "jsonpath item method .keyvalue() can only be applied to an object");
    static const kd_slice names[3] = {{"id", 2}, {"key", 3}, {"value", 5}};
    kd_jsonb object = kd_jsonb_open(v->json);
    uintptr_t base = (uintptr_t)r->base.data, at = (uintptr_t)v->json.data;
    bool inside = at >= base && at < base + r->base.size_bytes;
    kd_decimal id;
    kd_slice fields[3];
    KD_TRY(kd_decimal_from_i64(
        ctx, r->arena, (inside ? (int64_t)(at - base) : 0) + r->base_id * INT64_C(10000000000),
        &id));
    KD_TRY(kd_jsonb_make_number(ctx, r->arena, &id, &fields[0]));
    outcome total = KDI_PATH_NOT_FOUND;
    *out = KDI_PATH_NOT_FOUND;
    for (uint32_t i = 0; i < object.count; i++) {
        value made = {0};
        KD_TRY(kd_jsonb_make_string(ctx, r->arena, kd_jsonb_key(&object, i), &fields[1]));
        fields[2] = kd_jsonb_element(&object, i);
        KD_TRY(kd_jsonb_make_object(ctx, r->arena, names, fields, 3, &made.json));
        kd_slice outer_base = r->base;
        int64_t outer_id = r->base_id;
        r->base = made.json;
        r->base_id = ++r->last_id;
        KD_TRY(run_next(ctx, r, it, &made, found, out));
        r->base = outer_base;
        r->base_id = outer_id;
        if (*out == KDI_PATH_ERROR || (*out == KDI_PATH_OK && found == NULL))
            return KD_OK;
        if (*out == KDI_PATH_OK)
            total = KDI_PATH_OK;
    }
    *out = total;
    return KD_OK;
}

static kd_status run_datetime(kd_ctx *ctx, run *r, const item *it, const value *v, values *found,
                              outcome *out)
{
    value made = {.is_time = true};
    if (v->is_time || kind_of(v) != KD_JSONB_STRING)
        RAISE(r, out, "22031", "jsonpath item method .datetime() can only be applied to a string");
    kd_slice template = it->left == NULL ? KD_SLICE("") : kd_jsonb_open(it->left->json).body;
    kd_status status = kdi_path_read_time(ctx, kdi_zone(r->call->env), kd_jsonb_open(v->json).body,
                                          it->left == NULL ? NULL : &template, &made);
    if (status == KD_INVALID && !r->throws) {
        kd_error_clear(ctx);
        *out = KDI_PATH_ERROR;
        return KD_OK;
    }
    KD_TRY(status);
    return run_next(ctx, r, it, &made, found, out);
}

static kd_status run_method(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                            values *found, outcome *out)
{
    if (it->kind == KD_JSONPATH_TYPE)
        return run_type(ctx, r, it, v, found, out);
    if (it->kind == KD_JSONPATH_SIZE)
        return run_size(ctx, r, it, v, found, out);
    if (unwrap && is_array(v))
        return run_unwrapped(ctx, r, it, v, found, out);
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_DOUBLE:
        return run_double(ctx, r, it, v, found, out);
    case KD_JSONPATH_KEYVALUE:
        return run_keyvalue(ctx, r, it, v, found, out);
    case KD_JSONPATH_DATETIME:
        return run_datetime(ctx, r, it, v, found, out);
    default:
        return run_rounding(ctx, r, it, v, found, out);
    }
}

/* ---- Values ---- */

/* Runs what follows with another object for keyvalue() to count from. */
static kd_status run_from(kd_ctx *ctx, run *r, const item *it, kd_slice json, int64_t id,
                          values *found, outcome *out)
{
    value v = of_json(json);
    kd_slice outer_base = r->base;
    int64_t outer_id = r->base_id;
    r->base = json;
    r->base_id = id;
    KD_TRY(run_next(ctx, r, it, &v, found, out));
    r->base = outer_base;
    r->base_id = outer_id;
    return KD_OK;
}

static kd_status run_value(kd_ctx *ctx, run *r, const item *it, values *found, outcome *out)
{
    kd_slice json;
    kd_decimal number;
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_ROOT:
        return run_from(ctx, r, it, r->call->json, 0, found, out);
    case KD_JSONPATH_CURRENT:
        return run_next(ctx, r, it, &r->current, found, out);
    case KD_JSONPATH_LAST_INDEX:
        KD_TRY(kd_decimal_from_i64(ctx, r->arena, r->array_size - 1, &number));
        return keep_number(ctx, r, it, &number, found, out);
    case KD_JSONPATH_VARIABLE:
        if (r->call->variables.size_bytes == 0 ||
            !kd_jsonb_get_field(r->call->variables, it->text, &json))
            return KD_FAIL(ctx, KD_INVALID, "42704", "could not find jsonpath variable \"%.*s\"",
                           (int)it->text.size_bytes, it->text.data);
        return run_from(ctx, r, it, json, 1, found, out);
    default:
        break;
    }
    value literal = of_json(it->json);
    return run_next(ctx, r, it, &literal, found, out);
}

static kd_status dispatch(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                          values *found, outcome *out)
{
    switch ((kd_jsonpath_kind)it->kind) {
    case KD_JSONPATH_KEY:
        return run_key(ctx, r, it, v, unwrap, found, out);
    case KD_JSONPATH_ANY_KEY:
        return run_any_key(ctx, r, it, v, unwrap, found, out);
    case KD_JSONPATH_ANY_ELEMENT:
        return run_any_element(ctx, r, it, v, found, out);
    case KD_JSONPATH_INDEX:
        return run_index(ctx, r, it, v, found, out);
    case KD_JSONPATH_ANY:
        return run_any(ctx, r, it, v, found, out);
    case KD_JSONPATH_FILTER:
        return run_filter(ctx, r, it, v, unwrap, found, out);
    case KD_JSONPATH_PLUS:
    case KD_JSONPATH_MINUS:
        return run_unary(ctx, r, it, v, found, out);
    default:
        break;
    }
    if (it->kind >= KD_JSONPATH_ABS)
        return run_method(ctx, r, it, v, unwrap, found, out);
    if (it->kind >= KD_JSONPATH_ADD)
        return run_binary(ctx, r, it, v, found, out);
    if (it->kind >= KD_JSONPATH_OR)
        return run_truth(ctx, r, it, v, found, out);
    return run_value(ctx, r, it, found, out);
}

static kd_status run_item(kd_ctx *ctx, run *r, const item *it, const value *v, bool unwrap,
                          values *found, outcome *out)
{
    *out = KDI_PATH_NOT_FOUND;
    KD_TRY(kd_check_cancelled(ctx));
    if (++r->depth > DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath goes too deep");
    KD_TRY(dispatch(ctx, r, it, v, unwrap, found, out));
    r->depth--;
    return KD_OK;
}

kd_status kdi_path_run(kd_ctx *ctx, const kdi_path_call *call, kdi_path_values *found,
                       kdi_path_result *out)
{
    run r = {.call = call,
             .arena = call->env->arena,
             .current = of_json(call->json),
             .base = call->json,
             .last_id = 1,
             .array_size = -1,
             .is_lax = !call->path->is_strict,
             .forgives = !call->path->is_strict,
             .throws = call->throws};
    value root = of_json(call->json);
    /* Strict mode wants the whole list, to know that there was no error. */
    values whole = {0};
    bool needs_list = found == NULL && !r.is_lax;
    KD_TRY(run_item(ctx, &r, call->path->root, &root, r.is_lax, needs_list ? &whole : found, out));
    if (needs_list && *out != KDI_PATH_ERROR)
        *out = whole.count > 0 ? KDI_PATH_OK : KDI_PATH_NOT_FOUND;
    return KD_OK;
}

kd_status kdi_path_value_json(kd_ctx *ctx, const kd_call_env *env, const kdi_path_value *v,
                              kd_slice *out)
{
    *out = v->json;
    if (!v->is_time)
        return KD_OK;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kdi_path_time_json(ctx, env, v, &text));
    return kd_jsonb_parse(ctx, env->arena, kd_buffer_slice(&text), out);
}
