/*
 * See call_fixture.h.
 */
#include "call_fixture.h"

#include "types/array.h"
#include "types/zone.h"

#include <stdio.h>

typedef struct call {
    uint32_t count;
    kd_type types[CALL_ARGUMENTS_MAX];
    kd_slice texts[CALL_ARGUMENTS_MAX];
    kd_type wanted[CALL_ARGUMENTS_MAX];
    kd_value values[CALL_ARGUMENTS_MAX];
} call;

void call_fixture_init(call_fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->ctx = test_ctx();
    fixture->arena = test_arena(&fixture->ctx);
    CHECK_STATUS(&fixture->ctx,
                 kd_registry_create(&fixture->ctx, fixture->arena, &fixture->registry));
    CHECK_STATUS(&fixture->ctx, kd_builtin_register(&fixture->ctx, fixture->registry));
    const kd_zone *zone;
    CHECK_STATUS(&fixture->ctx,
                 kd_zone_open(&fixture->ctx, fixture->arena, KD_SLICE("Europe/Berlin"), &zone));
    fixture->settings = (kd_text_settings){.zone = zone, .extra_float_digits = 1};
    fixture->facts = (kd_session_facts){.text = &fixture->settings,
                                        .user_name = "kade",
                                        .database_name = "main",
                                        .current_schema = "public"};
}

void call_fixture_clear(call_fixture *fixture)
{
    kd_arena_destroy(fixture->arena);
}

static const char *failure(call_fixture *fixture)
{
    CHECK(fixture->ctx.error.status != KD_OK);
    const char *text = kd_format_text(&fixture->ctx, fixture->arena, "!%s %s",
                                      fixture->ctx.error.sqlstate, fixture->ctx.error.message);
    kd_error_clear(&fixture->ctx);
    return text;
}

static const char *answer_text(call_fixture *fixture, const kd_value *value)
{
    if (value->is_null)
        return "\\N";
    kd_buffer buffer = kd_buffer_in(fixture->arena);
    CHECK_STATUS(&fixture->ctx, kd_buffer_append_text(&fixture->ctx, &buffer, "="));
    CHECK_STATUS(&fixture->ctx, kd_value_format(&fixture->ctx, &fixture->settings, value, &buffer));
    return buffer.data;
}

static void read_arguments(const char *const *arguments, call *out)
{
    memset(out, 0, sizeof *out);
    for (; out->count < CALL_ARGUMENTS_MAX && arguments[out->count] != NULL; out->count++) {
        kd_slice whole = kd_slice_of(arguments[out->count]);
        const char *colon = strchr(whole.data, ':');
        CHECK(colon != NULL);
        kd_slice name = {whole.data, (size_t)(colon - whole.data)};
        bool is_array = name.size_bytes > 2 && memcmp(colon - 2, "[]", 2) == 0;
        name.size_bytes -= is_array ? 2 : 0;
        const char *paren = memchr(name.data, '(', name.size_bytes);
        int precision = 0, scale = 0;
        if (paren != NULL) {
            CHECK(sscanf(paren, "(%d,%d)", &precision, &scale) == 2);
            name.size_bytes = (size_t)(paren - name.data);
        }
        kd_type *type = &out->types[out->count];
        if (!kd_type_find(name, type))
            test_fail(__FILE__, __LINE__, "no type %.*s", (int)name.size_bytes, name.data);
        if (paren != NULL)
            *type = kd_type_numeric(precision, scale);
        type->is_array = is_array;
        out->texts[out->count] = kd_slice_of(colon + 1);
    }
}

static kd_status parse(call_fixture *fixture, kd_type type, kd_slice text, kd_value *out)
{
    *out = kd_value_null(type);
    if (kd_slice_equal(text, KD_SLICE("\\N")))
        return KD_OK;
    return kd_value_parse(&fixture->ctx, fixture->arena, &fixture->settings, type, text, out);
}

static kd_status run_vector(call_fixture *fixture, const kd_function *function, kd_call_env *env,
                            const call *call_, kd_value *answer)
{
    kd_vector vectors[CALL_ARGUMENTS_MAX], out;
    for (uint32_t i = 0; i < call_->count; i++)
        KD_TRY(
            kd_vector_init_constant(&fixture->ctx, fixture->arena, &call_->values[i], &vectors[i]));
    KD_TRY(kd_vector_init_flat(&fixture->ctx, fixture->arena, answer->type, 1, &out));
    KD_TRY(function->vector(&fixture->ctx, env, vectors, NULL, 1, &out));
    *answer = kd_vector_get(&out, 0);
    return KD_OK;
}

static kd_status run_row(call_fixture *fixture, const kd_function *function, kd_call_env *env,
                         const call *call_, kd_value *answer)
{
    const void *payloads[CALL_ARGUMENTS_MAX];
    for (uint32_t i = 0; i < call_->count; i++)
        payloads[i] = call_->values[i].is_null ? NULL : &call_->values[i].as;
    _Alignas(16) char result[16] = {0};
    bool is_null = false;
    KD_TRY(function->row(&fixture->ctx, env, payloads, result, &is_null));
    answer->is_null = is_null;
    memcpy(kd_value_payload(answer), result, kd_physical_bytes(kd_type_physical(answer->type)));
    return KD_OK;
}

const char *call_function(call_fixture *fixture, const char *name, const char *const *arguments)
{
    call call_;
    read_arguments(arguments, &call_);
    const kd_function *function;
    kd_value answer = {.is_null = false};
    bool ambiguous;
    if (!kd_registry_find_function(fixture->registry, kd_slice_of(name), call_.types, call_.count,
                                   &function, call_.wanted, &answer.type, &ambiguous))
        return ambiguous ? "!42725" : "!42883";
    bool has_null = false;
    for (uint32_t i = 0; i < call_.count; i++) {
        if (parse(fixture, call_.wanted[i], call_.texts[i], &call_.values[i]) != KD_OK)
            return failure(fixture);
        has_null |= call_.values[i].is_null;
    }
    if (has_null && function->strict)
        return "\\N";
    kd_call_env env = {.facts = &fixture->facts,
                       .arena = fixture->arena,
                       .state_arena = fixture->arena,
                       .argument_count = call_.count,
                       .argument_types = call_.wanted,
                       .result_type = answer.type,
                       .data = function->data};
    for (uint32_t i = 0; i < call_.count; i++)
        env.argument_is_constant[i] = true;
    kd_status status = function->vector != NULL
                           ? run_vector(fixture, function, &env, &call_, &answer)
                           : run_row(fixture, function, &env, &call_, &answer);
    return status == KD_OK ? answer_text(fixture, &answer) : failure(fixture);
}

typedef struct rows {
    kd_array arrays[CALL_ARGUMENTS_MAX];
    uint32_t count;
} rows;

static kd_status step_rows(call_fixture *fixture, const kd_aggregate *aggregate, kd_call_env *env,
                           const call *call_, const rows *in, uint32_t from, uint32_t to,
                           bool ordered_set, void *state)
{
    for (uint32_t row = from; row < to; row++) {
        kd_value values[CALL_ARGUMENTS_MAX];
        const void *payloads[CALL_ARGUMENTS_MAX];
        bool has_null = false;
        for (uint32_t i = 0; i < call_->count; i++) {
            bool direct = ordered_set && i + 1 < call_->count;
            values[i] = direct ? call_->values[i] : kd_array_get(&in->arrays[i], row);
            payloads[i] = values[i].is_null ? NULL : &values[i].as;
            has_null |= values[i].is_null;
        }
        if (has_null && aggregate->skips_nulls)
            continue;
        KD_TRY(aggregate->step(&fixture->ctx, env, state, payloads));
    }
    return KD_OK;
}

static kd_status run_aggregate(call_fixture *fixture, const kd_aggregate *aggregate,
                               kd_call_env *env, const call *call_, const rows *in,
                               bool ordered_set, kd_value *answer)
{
    _Alignas(16) char states[2][512] = {{0}};
    CHECK(aggregate->state_bytes <= sizeof states[0]);
    bool halves = !ordered_set && aggregate->combine != NULL;
    uint32_t half = halves ? in->count / 2 : 0;
    for (int i = 0; i < 2 && aggregate->init != NULL; i++)
        aggregate->init(states[i]);
    KD_TRY(step_rows(fixture, aggregate, env, call_, in, 0, halves ? half : in->count, ordered_set,
                     states[0]));
    if (halves) {
        KD_TRY(step_rows(fixture, aggregate, env, call_, in, half, in->count, false, states[1]));
        KD_TRY(aggregate->combine(&fixture->ctx, env, states[0], states[1]));
    }
    _Alignas(16) char result[16] = {0};
    KD_TRY(aggregate->finish(&fixture->ctx, env, states[0], result, &answer->is_null));
    memcpy(kd_value_payload(answer), result, kd_physical_bytes(kd_type_physical(answer->type)));
    return KD_OK;
}

const char *call_aggregate(call_fixture *fixture, const char *name, const char *const *arguments,
                           bool ordered_set)
{
    call call_;
    read_arguments(arguments, &call_);
    const kd_aggregate *aggregate;
    kd_value answer = {.is_null = false};
    if (!kd_registry_find_aggregate(fixture->registry, kd_slice_of(name), call_.types, call_.count,
                                    &aggregate, call_.wanted, &answer.type))
        return "!42883";
    rows in = {.count = 0};
    for (uint32_t i = 0; i < call_.count; i++) {
        bool direct = ordered_set && i + 1 < call_.count;
        kd_type type = direct ? call_.wanted[i] : kd_type_array_of(call_.wanted[i]);
        CHECK_STATUS(&fixture->ctx, parse(fixture, type, call_.texts[i], &call_.values[i]));
        if (direct)
            continue;
        CHECK_STATUS(&fixture->ctx,
                     kd_array_open(&fixture->ctx, type, kd_str_slice(&call_.values[i].as.str),
                                   &in.arrays[i]));
        in.count = in.arrays[i].count;
    }
    kd_call_env env = {.facts = &fixture->facts,
                       .arena = fixture->arena,
                       .state_arena = fixture->arena,
                       .argument_count = call_.count,
                       .argument_types = call_.wanted,
                       .result_type = answer.type,
                       .data = aggregate->data};
    kd_status status = run_aggregate(fixture, aggregate, &env, &call_, &in, ordered_set, &answer);
    return status == KD_OK ? answer_text(fixture, &answer) : failure(fixture);
}

static void append_row(call_fixture *fixture, const kd_batch *batch, uint32_t row, kd_buffer *out)
{
    kd_ctx *ctx = &fixture->ctx;
    if (out->size_bytes > 1)
        CHECK_STATUS(ctx, kd_buffer_append_text(ctx, out, " ; "));
    if (batch->column_count > 1)
        CHECK_STATUS(ctx, kd_buffer_append_text(ctx, out, "("));
    for (uint32_t i = 0; i < batch->column_count; i++) {
        kd_value value = kd_vector_get(&batch->columns[i], row);
        if (i > 0)
            CHECK_STATUS(ctx, kd_buffer_append_text(ctx, out, ","));
        if (value.is_null && batch->column_count == 1)
            CHECK_STATUS(ctx, kd_buffer_append_text(ctx, out, "\\N"));
        CHECK_STATUS(ctx, kd_value_format(ctx, &fixture->settings, &value, out));
    }
    if (batch->column_count > 1)
        CHECK_STATUS(ctx, kd_buffer_append_text(ctx, out, ")"));
}

static kd_status run_table_function(call_fixture *fixture, const kd_table_function *function,
                                    const kd_call_env *env, const call *call_, kd_buffer *out)
{
    kd_ctx *ctx = &fixture->ctx;
    uint32_t column_count;
    kd_slice *names;
    kd_type *types;
    void *cursor;
    KD_TRY(function->describe(ctx, fixture->arena, env, call_->values, call_->count, &column_count,
                              &names, &types));
    KD_TRY(function->open(ctx, fixture->arena, env, call_->values, call_->count, &cursor));
    kd_status status;
    kd_batch batch;
    while ((status = function->next(ctx, cursor, &batch)) == KD_OK && batch.row_count > 0) {
        CHECK_EQ(batch.column_count, column_count);
        for (uint32_t i = 0; i < column_count; i++)
            CHECK(kd_type_same(batch.columns[i].type, types[i]));
        for (uint32_t i = 0; i < batch.selected_count; i++)
            append_row(fixture, &batch, kd_batch_row(&batch, i), out);
    }
    if (function->close != NULL)
        function->close(cursor);
    return status;
}

const char *call_table_function(call_fixture *fixture, const char *name,
                                const char *const *arguments)
{
    call call_;
    read_arguments(arguments, &call_);
    const kd_table_function *function;
    if (!kd_registry_find_table_function(fixture->registry, kd_slice_of(name), call_.types,
                                         call_.count, &function, call_.wanted))
        return "!42883";
    for (uint32_t i = 0; i < call_.count; i++)
        if (parse(fixture, call_.wanted[i], call_.texts[i], &call_.values[i]) != KD_OK)
            return failure(fixture);
    kd_call_env env = {.facts = &fixture->facts,
                       .arena = fixture->arena,
                       .state_arena = fixture->arena,
                       .argument_count = call_.count,
                       .argument_types = call_.wanted,
                       .data = function->data};
    kd_buffer buffer = kd_buffer_in(fixture->arena);
    CHECK_STATUS(&fixture->ctx, kd_buffer_append_text(&fixture->ctx, &buffer, "="));
    if (run_table_function(fixture, function, &env, &call_, &buffer) != KD_OK)
        return failure(fixture);
    return buffer.size_bytes > 1 ? buffer.data : "\\N";
}
