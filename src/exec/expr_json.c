/*
 * Paths into jsonb: doc->'a'->'b'->>'c' as one step from the document to what is wanted, and
 * numbers out of them without a text in between, (doc->>'n')::numeric.
 *
 * The values of a column are mostly made alike, so each step remembers where its key was and looks
 * there first. Documents are far apart in memory: the next ones are fetched while one is read.
 */
#include "exec/expr_internal.h"

#include "types/jsonb.h"

#include <assert.h>

/* Longer chains are several paths. */
enum { STEPS_MAX = 16, FETCH_AHEAD = 6 };

typedef struct path_step {
    kd_slice key; /* data NULL: `index`. */
    int64_t index;
    uint32_t near; /* Where the key was last. */
} path_step;

struct kdi_json_path {
    kdi_node *source;
    bool as_text;
    uint32_t count;
    path_step steps[STEPS_MAX];
};

/* --- Following -------------------------------------------------------------------------------- */

/* As to PostgreSQL a scalar is an array of itself. */
static bool follow_index(kd_slice stored, int64_t index, kd_slice *out)
{
    uint8_t kind = kd_jsonb_open(stored).kind;
    if (kind == KD_JSONB_ARRAY || kind == KD_JSONB_OBJECT)
        return kd_jsonb_get_element(stored, index, out);
    *out = stored;
    return index == 0 || index == -1;
}

static bool follow(kdi_json_path *path, kd_slice stored, kd_slice *out)
{
    *out = stored;
    for (uint32_t i = 0; i < path->count; i++) {
        path_step *step = &path->steps[i];
        bool found = step->key.data == NULL
                         ? follow_index(*out, step->index, out)
                         : kd_jsonb_get_field_near(*out, step->key, &step->near, out);
        if (!found)
            return false;
    }
    return true;
}

static inline const kd_str *document_at(const kd_vector *source, uint32_t row, char *scratch)
{
    return source->form == KD_VECTOR_FLAT ? &((const kd_str *)source->values)[row]
                                          : kd_vector_payload(source, row, scratch);
}

static inline void fetch_ahead(const kd_vector *source, const uint16_t *selection, uint32_t i,
                               uint32_t count)
{
    if (source->form != KD_VECTOR_FLAT || i + FETCH_AHEAD >= count)
        return;
    uint32_t row = selection == NULL ? i + FETCH_AHEAD : selection[i + FETCH_AHEAD];
    /* As a number: a row that is NULL may have no bytes. */
    uintptr_t bytes = (uintptr_t)kd_str_data(&((const kd_str *)source->values)[row]);
    __builtin_prefetch((const void *)bytes);
    __builtin_prefetch((const void *)(bytes + 64));
}

static bool find_at(kdi_json_path *path, const kd_vector *source, uint32_t row, kd_slice *out)
{
    _Alignas(16) char scratch[16];
    return !kd_vector_is_null(source, row) &&
           follow(path, kd_str_slice(document_at(source, row, scratch)), out);
}

/* What ->> gives: strings are where they stand. */
static kd_status text_of(kd_ctx *ctx, kd_arena *arena, kd_slice *io_value, bool *out_is_null)
{
    kd_jsonb opened = kd_jsonb_open(*io_value);
    *out_is_null = opened.kind == KD_JSONB_NULL;
    if (opened.kind != KD_JSONB_STRING)
        return kd_jsonb_as_text(ctx, arena, *io_value, out_is_null, io_value);
    *io_value = opened.body;
    return KD_OK;
}

static kd_status path_eval(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out)
{
    kdi_json_path *path = node->json;
    kd_vector source;
    KD_TRY(kdi_node_evaluate(ctx, path->source, frame, selection, count, &source));
    *out = kdi_node_result(node);
    kd_str *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        kd_slice value;
        fetch_ahead(&source, selection, i, count);
        bool is_null = !find_at(path, &source, row, &value);
        if (!is_null && path->as_text)
            KD_TRY(text_of(ctx, frame->arena, &value, &is_null));
        if (is_null)
            kd_vector_set_null(out, row);
        else
            values[row] = kd_str_from(value.data, value.size_bytes);
    }
    return KD_OK;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool integer_fits(kd_type type, kd_i128 value)
{
    return type.id == KD_TYPE_INT2   ? value >= INT16_MIN && value <= INT16_MAX
           : type.id == KD_TYPE_INT4 ? value >= INT32_MIN && value <= INT32_MAX
                                     : value >= INT64_MIN && value <= INT64_MAX;
}

/* The number as the type; `*out_done` is false where the text has to tell. */
static kd_status number_convert(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice stored,
                                kd_value *out, bool *out_done)
{
    kd_decimal number;
    kd_i128 fixed;
    kd_str bytes = kd_str_from(stored.data, stored.size_bytes);
    kd_physical physical = kd_type_physical(type);
    *out = (kd_value){.type = type, .as.str = bytes};
    *out_done = true;
    if (type.id == KD_TYPE_NUMERIC && type.modifier < 0)
        return KD_OK;
    KD_TRY(kd_decimal_load(ctx, arena, &bytes, &number));
    if (type.id == KD_TYPE_NUMERIC) {
        KD_TRY(kd_decimal_to_fixed(ctx, &number, type, &fixed));
    } else if (number.scale != 0 || !kd_decimal_try_fixed(&number, 0, &fixed) ||
               !integer_fits(type, fixed)) {
        *out_done = false;
        return KD_OK;
    }
    switch (physical) {
    case KD_PHYS_I16:
        out->as.i16 = (int16_t)fixed;
        return KD_OK;
    case KD_PHYS_I32:
        out->as.i32 = (int32_t)fixed;
        return KD_OK;
    case KD_PHYS_I64:
        out->as.i64 = (int64_t)fixed;
        return KD_OK;
    default:
        assert(physical == KD_PHYS_I128);
        out->as.i128 = fixed;
        return KD_OK;
    }
}

static kd_status number_at(kd_ctx *ctx, const kdi_node *node, kd_arena *arena, kd_slice stored,
                           kd_value *out)
{
    kd_jsonb opened = kd_jsonb_open(stored);
    const kd_session_facts *facts = node->env.facts;
    bool is_null, done = false;
    if (opened.kind == KD_JSONB_NUMBER)
        KD_TRY(number_convert(ctx, arena, node->type, opened.body, out, &done));
    if (done)
        return KD_OK;
    *out = kd_value_null(node->type);
    KD_TRY(text_of(ctx, arena, &stored, &is_null));
    if (is_null)
        return KD_OK;
    return kd_value_parse(ctx, arena, facts == NULL ? NULL : facts->text, node->type, stored, out);
}

static kd_status number_eval(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                             const uint16_t *selection, uint32_t count, kd_vector *out)
{
    kdi_json_path *path = node->json;
    kd_vector source;
    KD_TRY(kdi_node_evaluate(ctx, path->source, frame, selection, count, &source));
    *out = kdi_node_result(node);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        kd_slice stored;
        kd_value value;
        fetch_ahead(&source, selection, i, count);
        if (!find_at(path, &source, row, &stored)) {
            kd_vector_set_null(out, row);
            continue;
        }
        KD_TRY(number_at(ctx, node, frame->arena, stored, &value));
        kd_vector_set(out, row, &value);
    }
    return KD_OK;
}

/* --- Recognising ------------------------------------------------------------------------------ */

static bool is_step(const kdi_node *node)
{
    const char *name = node->expr->function->name;
    if (strcmp(name, "->") != 0 && strcmp(name, "->>") != 0)
        return false;
    if (node->eval != kdi_eval_call || node->argument_count != 2)
        return false;
    kd_type document = node->arguments[0]->type, key = node->arguments[1]->type;
    const kd_expr *by = node->arguments[1]->expr;
    return document.id == KD_TYPE_JSONB && !document.is_array && !key.is_array &&
           (key.id == KD_TYPE_TEXT || key.id == KD_TYPE_INT4) && by->kind == KD_EXPR_CONSTANT &&
           !by->constant.is_null;
}

kd_status kdi_json_prepare(kd_ctx *ctx, kdi_node *node)
{
    if (!is_step(node))
        return KD_OK;
    kdi_node *document = node->arguments[0];
    kdi_json_path *path = KD_NEW(ctx, node->state_arena, kdi_json_path);
    if (path == NULL)
        return KD_NOMEM;
    path->source = document;
    if (document->json != NULL && !document->is_constant && document->json->count < STEPS_MAX)
        *path = *document->json;
    const kd_value *by = &node->arguments[1]->expr->constant;
    path_step *step = &path->steps[path->count++];
    *step = (path_step){.index = by->as.i32};
    if (node->arguments[1]->type.id == KD_TYPE_TEXT)
        *step = (path_step){.key = kd_str_slice(&by->as.str)};
    path->as_text = strcmp(node->expr->function->name, "->>") == 0;
    node->json = path;
    node->eval = path_eval;
    return KD_OK;
}

void kdi_json_number_prepare(kdi_node *node)
{
    const kdi_node *text = node->arguments[0];
    kd_type type = node->type;
    bool is_integer = type.id == KD_TYPE_INT2 || type.id == KD_TYPE_INT4 || type.id == KD_TYPE_INT8;
    bool is_plain = is_integer || (type.id == KD_TYPE_NUMERIC &&
                                   (type.modifier < 0 || kd_type_physical(type) != KD_PHYS_STR));
    if (node->eval != kdi_eval_call || node->expr->cast != NULL || type.is_array || !is_plain ||
        text->json == NULL || !text->json->as_text)
        return;
    node->json = text->json;
    node->eval = number_eval;
}
