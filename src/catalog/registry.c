/*
 * The registry of functions and casts, and overload resolution.
 *
 * Entries hang in hash chains by name. Adding prepends with a release store, so
 * lookups need no lock even while a user-defined function is being added.
 *
 * Resolution follows PostgreSQL's manual, sections 10.2 to 10.5, step by step.
 */
#include "base/hash.h"
#include "base/thread.h"
#include "catalog/function.h"

#include <assert.h>

enum { BUCKET_COUNT = 2048, CANDIDATES_MAX = 128 };

typedef struct entry {
    struct entry *next;                /* In its bucket, newest first. */
    struct entry *_Atomic next_in_all; /* In order of registration. */
    kd_slice name;
    char kind; /* 'f', 'a', 't' */
    uint32_t argument_count;
    const kd_type *arguments;
    bool variadic;
    kd_type result;
    const void *described; /* kd_function, kd_aggregate or kd_table_function. */
} entry;

struct kd_registry {
    kd_arena *arena;
    kd_mutex adding;
    entry *_Atomic buckets[BUCKET_COUNT];
    entry *_Atomic first;
    entry *last;
    const kd_cast *_Atomic casts[KD_TYPE_COUNT][KD_TYPE_COUNT];    /* Implicit and assignment. */
    const kd_cast *_Atomic explicit[KD_TYPE_COUNT][KD_TYPE_COUNT]; /* Only where written. */
};

/* --- Adding ---------------------------------------------------------------------------------- */

static void registry_clear(void *object)
{
    kd_registry *registry = object;
    kd_mutex_clear(&registry->adding);
}

kd_status kd_registry_create(kd_ctx *ctx, kd_arena *arena, kd_registry **out_registry)
{
    *out_registry = NULL;
    kd_registry *registry = KD_NEW(ctx, arena, kd_registry);
    if (registry == NULL)
        return KD_NOMEM;
    registry->arena = arena;
    kd_mutex_init(&registry->adding, ctx->world);
    KD_TRY(kd_arena_defer(ctx, arena, registry_clear, registry));
    *out_registry = registry;
    return KD_OK;
}

static entry *_Atomic *bucket_of(const kd_registry *registry, kd_slice name)
{
    uint64_t hash = kd_hash_bytes(name.data, name.size_bytes);
    return (entry * _Atomic *)&((kd_registry *)(uintptr_t)registry)->buckets[hash % BUCKET_COUNT];
}

static kd_status add(kd_ctx *ctx, kd_registry *registry, entry described)
{
    kd_mutex_lock(&registry->adding);
    entry *added = KD_NEW(ctx, registry->arena, entry);
    if (added != NULL) {
        *added = described;
        entry *_Atomic *bucket = bucket_of(registry, added->name);
        added->next = atomic_load_explicit(bucket, memory_order_relaxed);
        if (registry->last != NULL)
            atomic_store_explicit(&registry->last->next_in_all, added, memory_order_release);
        else
            atomic_store_explicit(&registry->first, added, memory_order_release);
        registry->last = added;
        atomic_store_explicit(bucket, added, memory_order_release);
    }
    kd_mutex_unlock(&registry->adding);
    return added == NULL ? KD_NOMEM : KD_OK;
}

kd_status kd_registry_add_functions(kd_ctx *ctx, kd_registry *registry,
                                    const kd_function *functions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const kd_function *it = &functions[i];
        assert((it->row == NULL) != (it->vector == NULL));
        KD_TRY(add(ctx, registry,
                   (entry){.name = kd_slice_of(it->name),
                           .kind = 'f',
                           .argument_count = it->argument_count,
                           .arguments = it->arguments,
                           .variadic = it->variadic,
                           .result = it->result,
                           .described = it}));
    }
    return KD_OK;
}

kd_status kd_registry_add_aggregates(kd_ctx *ctx, kd_registry *registry,
                                     const kd_aggregate *aggregates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const kd_aggregate *it = &aggregates[i];
        KD_TRY(add(ctx, registry,
                   (entry){.name = kd_slice_of(it->name),
                           .kind = 'a',
                           .argument_count = it->argument_count,
                           .arguments = it->arguments,
                           .variadic = it->variadic,
                           .result = it->result,
                           .described = it}));
    }
    return KD_OK;
}

kd_status kd_registry_add_table_functions(kd_ctx *ctx, kd_registry *registry,
                                          const kd_table_function *functions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const kd_table_function *it = &functions[i];
        KD_TRY(add(ctx, registry,
                   (entry){.name = kd_slice_of(it->name),
                           .kind = 't',
                           .argument_count = it->argument_count,
                           .arguments = it->arguments,
                           .variadic = it->variadic,
                           .result = kd_type_of(KD_TYPE_VOID),
                           .described = it}));
    }
    return KD_OK;
}

kd_status kd_registry_add_casts(kd_ctx *ctx, kd_registry *registry, const kd_cast *casts,
                                size_t count)
{
    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        const kd_cast *it = &casts[i];
        assert(it->no_work + (it->row != NULL) + (it->vector != NULL) == 1);
        atomic_store_explicit(it->context == KD_CAST_EXPLICIT
                                  ? &registry->explicit[it->from][it->to]
                                  : &registry->casts[it->from][it->to],
                              it, memory_order_release);
    }
    return KD_OK;
}

/* --- Casts ----------------------------------------------------------------------------------- */

const kd_cast *kd_registry_find_cast(const kd_registry *registry, kd_type from, kd_type to,
                                     kd_cast_context context)
{
    if (from.is_array != to.is_array || from.id >= KD_TYPE_COUNT || to.id >= KD_TYPE_COUNT)
        return NULL;
    const kd_cast *cast = NULL;
    if (context == KD_CAST_EXPLICIT)
        cast = atomic_load_explicit(&registry->explicit[from.id][to.id], memory_order_acquire);
    if (cast == NULL)
        cast = atomic_load_explicit(&registry->casts[from.id][to.id], memory_order_acquire);
    return cast != NULL && cast->context >= context ? cast : NULL;
}

static bool is_text(kd_type type)
{
    return !type.is_array &&
           (type.id == KD_TYPE_TEXT || type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_CHAR);
}

/* A row of no type of the catalog: any, or of a shape that one statement knows. */
static bool is_anonymous_row(kd_type type)
{
    return type.id == KD_TYPE_RECORD && (type.object == 0 || (type.object & KD_ROW_IS_LOCAL) != 0);
}

bool kd_registry_can_coerce(const kd_registry *registry, kd_type from, kd_type to,
                            kd_cast_context context)
{
    if (kd_type_same(from, to) || (from.id == KD_TYPE_UNKNOWN && !from.is_array))
        return true;
    if (to.id == KD_PSEUDO_ANY)
        return true;
    if (to.id == KD_PSEUDO_ANYNONARRAY)
        return !from.is_array;
    if (to.id == KD_TYPE_VOID || from.id == KD_TYPE_VOID)
        return false;
    if (from.is_array && to.is_array)
        return kd_registry_can_coerce(registry, kd_type_element(from), kd_type_element(to),
                                      context);
    if (from.id == KD_TYPE_RECORD && to.id == KD_TYPE_RECORD && from.is_array == to.is_array)
        return to.object == 0 || (is_anonymous_row(from) && !is_anonymous_row(to));
    if (kd_registry_find_cast(registry, from, to, context) != NULL)
        return true;
    /* By text: into text when assigned, out of text only when written. */
    if (is_text(to))
        return context <= KD_CAST_ASSIGNMENT;
    return is_text(from) && context == KD_CAST_EXPLICIT;
}

/* --- Type categories (pg_type.typcategory, typispreferred) -------------------------------------
 */

static char category(kd_type type)
{
    if (type.is_array)
        return 'A';
    switch (type.id) {
    case KD_TYPE_BOOL:
        return 'B';
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
    case KD_TYPE_FLOAT4:
    case KD_TYPE_FLOAT8:
    case KD_TYPE_NUMERIC:
    case KD_TYPE_OID:
        return 'N';
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
        return 'S';
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
    case KD_TYPE_TIMETZ:
        return 'D';
    case KD_TYPE_INTERVAL:
        return 'T';
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return 'V';
    case KD_TYPE_ENUM:
        return 'E';
    case KD_TYPE_RECORD:
        return 'C';
    case KD_TYPE_UNKNOWN:
        return 'X';
    default:
        return type.id >= KD_PSEUDO_ANY ? 'P' : 'U';
    }
}

static bool is_preferred(kd_type type)
{
    if (type.is_array)
        return false;
    return type.id == KD_TYPE_BOOL || type.id == KD_TYPE_FLOAT8 || type.id == KD_TYPE_OID ||
           type.id == KD_TYPE_TEXT || type.id == KD_TYPE_TIMESTAMPTZ ||
           type.id == KD_TYPE_INTERVAL || type.id == KD_TYPE_VARBIT;
}

static bool is_unknown(kd_type type)
{
    return type.id == KD_TYPE_UNKNOWN && !type.is_array;
}

static bool is_polymorphic(kd_type type)
{
    return type.id == KD_PSEUDO_ANYELEMENT || type.id == KD_PSEUDO_ANYARRAY ||
           type.id == KD_PSEUDO_ANYENUM;
}

bool kd_registry_common_type(const kd_registry *registry, const kd_type *types, uint32_t count,
                             kd_type *out_type)
{
    *out_type = kd_type_of(KD_TYPE_TEXT);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        if (is_unknown(types[i]))
            continue;
        if (!found) {
            *out_type = types[i];
            found = true;
            continue;
        }
        if (kd_type_same(types[i], *out_type)) {
            if (types[i].modifier != out_type->modifier)
                out_type->modifier = -1;
            continue;
        }
        if (is_anonymous_row(types[i]) && is_anonymous_row(*out_type) &&
            types[i].is_array == out_type->is_array) {
            out_type->object = 0;
            continue;
        }
        if (category(types[i]) != category(*out_type))
            return false;
        bool there = kd_registry_can_coerce(registry, *out_type, types[i], KD_CAST_IMPLICIT);
        bool back = kd_registry_can_coerce(registry, types[i], *out_type, KD_CAST_IMPLICIT);
        if (!is_preferred(*out_type) && there && (!back || is_preferred(types[i])))
            *out_type = types[i];
        else if (!back)
            return false;
        out_type->modifier = -1;
    }
    return true;
}

/* --- Candidates ------------------------------------------------------------------------------ */

typedef struct candidate {
    const entry *described;
    kd_type arguments[KD_FUNCTION_ARGUMENTS_MAX]; /* Polymorphic ones resolved. */
    kd_type element;                              /* What ANYELEMENT is; UNKNOWN: not used. */
} candidate;

static bool name_is_operator(kd_slice name)
{
    char c = name.size_bytes > 0 ? name.data[0] : 'a';
    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0);
}

/* The declared type of argument `index`; variadic ones repeat the last. */
static kd_type declared(const entry *described, uint32_t index)
{
    if (index >= described->argument_count)
        index = described->argument_count - 1;
    return described->arguments[index];
}

static bool count_fits(const entry *described, uint32_t count)
{
    if (described->variadic)
        return count >= described->argument_count;
    return count == described->argument_count;
}

/* Operators over arrays ask for one element type, as PostgreSQL's anyarray does; functions and ||
 * find a common one (anycompatible). */
static bool elements_must_be_same(const entry *described)
{
    return name_is_operator(described->name) && !kd_slice_equal(described->name, KD_SLICE("||"));
}

/* What ANYELEMENT means for these arguments; false when they do not agree. */
static bool resolve_element(const kd_registry *registry, const entry *described,
                            const kd_type *arguments, uint32_t count, kd_type *out_element)
{
    kd_type known[KD_FUNCTION_ARGUMENTS_MAX * 4];
    uint32_t known_count = 0;
    bool polymorphic = false, only_element = true;
    for (uint32_t i = 0; i < count && known_count < sizeof known / sizeof *known; i++) {
        kd_type wanted = declared(described, i);
        if (!is_polymorphic(wanted))
            continue;
        polymorphic = true;
        only_element &= wanted.id == KD_PSEUDO_ANYELEMENT;
        if (is_unknown(arguments[i]))
            continue;
        if (wanted.id == KD_PSEUDO_ANYARRAY) {
            if (!arguments[i].is_array)
                return false;
            known[known_count++] = kd_type_element(arguments[i]);
        } else {
            if (wanted.id == KD_PSEUDO_ANYENUM && arguments[i].id != KD_TYPE_ENUM)
                return false;
            known[known_count++] = arguments[i];
        }
    }
    *out_element = kd_type_of(KD_TYPE_UNKNOWN);
    if (!polymorphic)
        return true;
    if (known_count == 0) {
        /* An untyped literal may stand for a text, but not for an enum or an array. */
        *out_element = kd_type_of(KD_TYPE_TEXT);
        return only_element;
    }
    for (uint32_t i = 1; i < known_count && elements_must_be_same(described); i++)
        if (!kd_type_same(known[i], known[0]))
            return false;
    return kd_registry_common_type(registry, known, known_count, out_element);
}

static kd_type resolved(kd_type type, kd_type element)
{
    switch (type.id) {
    case KD_PSEUDO_ANYELEMENT:
    case KD_PSEUDO_ANYENUM:
        return element;
    case KD_PSEUDO_ANYARRAY:
        return element.is_array ? element : kd_type_array_of(element);
    default:
        return type;
    }
}

static kd_type wanted_type(const candidate *it, uint32_t index)
{
    return resolved(declared(it->described, index), it->element);
}

static bool fits(const kd_registry *registry, const entry *described, const kd_type *arguments,
                 uint32_t count, candidate *out_candidate)
{
    out_candidate->described = described;
    if (!count_fits(described, count) ||
        !resolve_element(registry, described, arguments, count, &out_candidate->element))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!kd_registry_can_coerce(registry, arguments[i], wanted_type(out_candidate, i),
                                    KD_CAST_IMPLICIT))
            return false;
    return true;
}

static bool is_exact(const candidate *it, const kd_type *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!kd_type_same(arguments[i], wanted_type(it, i)))
            return false;
    return true;
}

/* Keeps the candidates with the highest score. */
static uint32_t keep_best(candidate *list, uint32_t list_count, const int *scores)
{
    int best = 0;
    for (uint32_t i = 0; i < list_count; i++)
        best = i == 0 || scores[i] > best ? scores[i] : best;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list_count; i++)
        if (scores[i] == best)
            list[kept++] = list[i];
    return kept;
}

static uint32_t keep_most_exact(candidate *list, uint32_t list_count, const kd_type *arguments,
                                uint32_t count, bool preferred_too)
{
    int scores[CANDIDATES_MAX];
    for (uint32_t c = 0; c < list_count; c++) {
        scores[c] = 0;
        for (uint32_t i = 0; i < count; i++) {
            kd_type wanted = wanted_type(&list[c], i);
            if (is_unknown(arguments[i]))
                continue;
            if (kd_type_same(arguments[i], wanted))
                scores[c]++;
            else if (preferred_too && is_preferred(wanted) &&
                     category(wanted) == category(arguments[i]))
                scores[c]++;
        }
    }
    return keep_best(list, list_count, scores);
}

/* Step 4e: untyped literals choose the string category, or the one that all candidates agree on. */
static uint32_t keep_by_unknowns(candidate *list, uint32_t list_count, const kd_type *arguments,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_unknown(arguments[i]) || list_count < 2)
            continue;
        char chosen = category(wanted_type(&list[0], i));
        bool preferred_offered = false;
        for (uint32_t c = 0; c < list_count; c++) {
            char offered = category(wanted_type(&list[c], i));
            if (offered == 'S')
                chosen = 'S';
            else if (chosen != 'S' && offered != chosen)
                chosen = 0;
        }
        if (chosen == 0)
            continue;
        for (uint32_t c = 0; c < list_count; c++) {
            kd_type wanted = wanted_type(&list[c], i);
            preferred_offered |= category(wanted) == chosen && is_preferred(wanted);
        }
        int scores[CANDIDATES_MAX];
        for (uint32_t c = 0; c < list_count; c++) {
            kd_type wanted = wanted_type(&list[c], i);
            scores[c] = category(wanted) == chosen && (!preferred_offered || is_preferred(wanted));
        }
        list_count = keep_best(list, list_count, scores);
    }
    return list_count;
}

/* Step 4f: all typed arguments are of one type: assume it for the untyped ones. */
static uint32_t keep_by_same_type(const kd_registry *registry, candidate *list, uint32_t list_count,
                                  const kd_type *arguments, uint32_t count)
{
    kd_type same = kd_type_of(KD_TYPE_UNKNOWN);
    for (uint32_t i = 0; i < count; i++) {
        if (is_unknown(arguments[i]))
            continue;
        if (is_unknown(same))
            same = arguments[i];
        else if (!kd_type_same(same, arguments[i]))
            return list_count;
    }
    if (is_unknown(same))
        return list_count;
    int scores[CANDIDATES_MAX];
    int fitting = 0;
    for (uint32_t c = 0; c < list_count; c++) {
        scores[c] = 1;
        for (uint32_t i = 0; i < count; i++)
            if (!kd_registry_can_coerce(registry, same, wanted_type(&list[c], i), KD_CAST_IMPLICIT))
                scores[c] = 0;
        fitting += scores[c];
    }
    return fitting == 1 ? keep_best(list, list_count, scores) : list_count;
}

/* An untyped operand of a binary operator is first assumed to be of the other one's type. */
static bool prefer_other_operand(candidate *list, uint32_t list_count, const kd_type *arguments,
                                 uint32_t count)
{
    if (count != 2 || is_unknown(arguments[0]) == is_unknown(arguments[1]))
        return false;
    kd_type same = is_unknown(arguments[0]) ? arguments[1] : arguments[0];
    kd_type both[2] = {same, same};
    for (uint32_t c = 0; c < list_count; c++) {
        if (is_exact(&list[c], both, 2)) {
            list[0] = list[c];
            return true;
        }
    }
    return false;
}

/* A real beside another number makes a double precision, as PostgreSQL's operators over both do. */
static uint32_t drop_mixed_real(candidate *list, uint32_t list_count, const kd_type *arguments,
                                uint32_t count)
{
    if (count != 2 || (arguments[0].id == KD_TYPE_FLOAT4) == (arguments[1].id == KD_TYPE_FLOAT4))
        return list_count;
    if (category(arguments[0]) != 'N' || category(arguments[1]) != 'N')
        return list_count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list_count; i++)
        if (wanted_type(&list[i], 0).id != KD_TYPE_FLOAT4)
            list[kept++] = list[i];
    return kept;
}

/* A function that was added later hides one of the same name and arguments: a user's the built-in.
 */
static bool is_hidden(const candidate *list, uint32_t list_count, uint32_t count)
{
    const candidate *older = &list[list_count];
    for (uint32_t c = 0; c < list_count; c++) {
        bool same = list[c].described->variadic == older->described->variadic;
        for (uint32_t i = 0; i < count && same; i++)
            same = kd_type_same(wanted_type(&list[c], i), wanted_type(older, i));
        if (same)
            return true;
    }
    return false;
}

static uint32_t choose(const kd_registry *registry, candidate *list, uint32_t list_count,
                       kd_slice name, const kd_type *arguments, uint32_t count)
{
    if (list_count < 2 ||
        (name_is_operator(name) && prefer_other_operand(list, list_count, arguments, count)))
        return list_count > 0;
    list_count = keep_most_exact(list, list_count, arguments, count, false);
    if (list_count > 1)
        list_count = keep_most_exact(list, list_count, arguments, count, true);
    list_count = keep_by_unknowns(list, list_count, arguments, count);
    if (list_count > 1)
        list_count = keep_by_same_type(registry, list, list_count, arguments, count);
    return list_count;
}

static bool find(const kd_registry *registry, char kind, kd_slice name, const kd_type *arguments,
                 uint32_t count, candidate *out_found, bool *out_ambiguous)
{
    candidate list[CANDIDATES_MAX];
    uint32_t list_count = 0;
    *out_ambiguous = false;
    const entry *it = atomic_load_explicit(bucket_of(registry, name), memory_order_acquire);
    for (; it != NULL; it = it->next) {
        if (it->kind != kind || !kd_slice_equal(it->name, name) || list_count == CANDIDATES_MAX)
            continue;
        if (!fits(registry, it, arguments, count, &list[list_count]))
            continue;
        if (is_exact(&list[list_count], arguments, count)) {
            *out_found = list[list_count];
            return true;
        }
        if (!is_hidden(list, list_count, count))
            list_count++;
    }
    if (name_is_operator(name))
        list_count = drop_mixed_real(list, list_count, arguments, count);
    if (list_count == 0)
        return false;
    *out_ambiguous = choose(registry, list, list_count, name, arguments, count) > 1;
    *out_found = list[0];
    return !*out_ambiguous;
}

/* The types that arguments are cast to: declared ones, keeping the argument's modifier where the
 * type stays, and its own type where anything goes. */
static void fill_arguments(const candidate *found, const kd_type *arguments, uint32_t count,
                           kd_type *out_arguments)
{
    for (uint32_t i = 0; i < count; i++) {
        kd_type wanted = wanted_type(found, i);
        if (wanted.id == KD_PSEUDO_ANY || wanted.id == KD_PSEUDO_ANYNONARRAY)
            wanted = is_unknown(arguments[i]) ? kd_type_of(KD_TYPE_TEXT) : arguments[i];
        else if (kd_type_same(wanted, arguments[i]))
            wanted = arguments[i];
        out_arguments[i] = wanted;
    }
}

kd_type kd_registry_resolve(kd_type type, kd_type element)
{
    return resolved(type, element);
}

bool kd_registry_choose(const kd_registry *registry, const kd_signature *signatures,
                        uint32_t signature_count, const kd_type *arguments, uint32_t count,
                        uint32_t *out_index, kd_type *out_arguments, kd_type *out_element,
                        bool *out_is_exact, bool *out_ambiguous)
{
    entry entries[CANDIDATES_MAX];
    candidate list[CANDIDATES_MAX];
    uint32_t list_count = 0;
    *out_ambiguous = *out_is_exact = false;
    for (uint32_t i = 0; i < signature_count && i < CANDIDATES_MAX; i++) {
        /* By an operator's name: arguments of one polymorphic type are of one type. */
        entries[i] = (entry){.name = KD_SLICE("="),
                             .argument_count = signatures[i].argument_count,
                             .arguments = signatures[i].arguments};
        if (!fits(registry, &entries[i], arguments, count, &list[list_count]))
            continue;
        *out_is_exact = is_exact(&list[list_count], arguments, count);
        if (*out_is_exact) {
            list[0] = list[list_count];
            list_count = 1;
            break;
        }
        list_count++;
    }
    list_count = choose(registry, list, list_count, KD_SLICE("f"), arguments, count);
    *out_ambiguous = list_count > 1;
    if (list_count != 1)
        return false;
    *out_index = (uint32_t)(list[0].described - entries);
    *out_element = list[0].element;
    fill_arguments(&list[0], arguments, count, out_arguments);
    return true;
}

bool kd_registry_find_function(const kd_registry *registry, kd_slice name, const kd_type *arguments,
                               uint32_t argument_count, const kd_function **out_function,
                               kd_type *out_arguments, kd_type *out_result, bool *out_ambiguous)
{
    *out_function = NULL;
    candidate found;
    if (!find(registry, 'f', name, arguments, argument_count, &found, out_ambiguous))
        return false;
    const kd_function *function = found.described->described;
    fill_arguments(&found, arguments, argument_count, out_arguments);
    *out_result = function->result_type != NULL
                      ? function->result_type(out_arguments, argument_count)
                      : resolved(function->result, found.element);
    *out_function = function;
    return true;
}

bool kd_registry_find_aggregate(const kd_registry *registry, kd_slice name,
                                const kd_type *arguments, uint32_t argument_count,
                                const kd_aggregate **out_aggregate, kd_type *out_arguments,
                                kd_type *out_result)
{
    *out_aggregate = NULL;
    candidate found;
    bool ambiguous;
    if (!find(registry, 'a', name, arguments, argument_count, &found, &ambiguous))
        return false;
    const kd_aggregate *aggregate = found.described->described;
    fill_arguments(&found, arguments, argument_count, out_arguments);
    *out_result = aggregate->result_type != NULL
                      ? aggregate->result_type(out_arguments, argument_count)
                      : resolved(aggregate->result, found.element);
    *out_aggregate = aggregate;
    return true;
}

bool kd_registry_find_table_function(const kd_registry *registry, kd_slice name,
                                     const kd_type *arguments, uint32_t argument_count,
                                     const kd_table_function **out_function, kd_type *out_arguments)
{
    *out_function = NULL;
    candidate found;
    bool ambiguous;
    if (!find(registry, 't', name, arguments, argument_count, &found, &ambiguous))
        return false;
    fill_arguments(&found, arguments, argument_count, out_arguments);
    *out_function = found.described->described;
    return true;
}

static bool has_kind(const kd_registry *registry, kd_slice name, char kind)
{
    const entry *it = atomic_load_explicit(bucket_of(registry, name), memory_order_acquire);
    for (; it != NULL; it = it->next)
        if ((kind == 0 || it->kind == kind) && kd_slice_equal(it->name, name))
            return true;
    return false;
}

bool kd_registry_has_name(const kd_registry *registry, kd_slice name)
{
    return has_kind(registry, name, 0);
}

bool kd_registry_is_aggregate(const kd_registry *registry, kd_slice name)
{
    return has_kind(registry, name, 'a');
}

void kd_registry_visit(const kd_registry *registry,
                       void (*visit)(void *object, const kd_registered *it), void *object)
{
    const entry *it = atomic_load_explicit(&registry->first, memory_order_acquire);
    for (; it != NULL; it = it->next_in_all) {
        kd_registered shown = {.name = it->name.data,
                               .kind = it->kind,
                               .arguments = it->arguments,
                               .argument_count = it->argument_count,
                               .result = it->result,
                               .function = it->kind == 'f' ? it->described : NULL};
        visit(object, &shown);
    }
}
