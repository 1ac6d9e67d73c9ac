/*
 * User-defined functions: kade.h's callbacks as functions of the registry.
 *
 * What is registered stays for the database's life, since plans point at it; the
 * callbacks are behind a pointer that replacing a function exchanges. Callbacks that
 * were replaced may still be running on some worker: their objects are destroyed when
 * the database closes.
 */
#include "engine/kade_internal.h"

#include "engine/value_cast.h"

#include <assert.h>

typedef struct callbacks {
    struct callbacks *earlier; /* Replaced ones. */
    void (*run)(void *object, kade_call *call);
    void (*add)(void *object, void *state, kade_call *call);
    void (*combine)(void *object, void *state, void *other);
    void (*finish)(void *object, void *state, kade_call *call);
    void (*state_clear)(void *object, void *state);
    size_t state_bytes;
    void *object;
    void (*destroy)(void *object);
} callbacks;

struct kdi_user_function {
    kdi_user_function *next;
    const kd_registry *registry;
    bool is_aggregate;
    kd_function function;
    kd_aggregate aggregate;
    callbacks *_Atomic now;
};

struct kade_call {
    kd_ctx *ctx;
    kd_call_env *env;
    const kd_registry *registry;
    const void *const *args;
    uint32_t count;
    kd_value result;
    kd_ctx read_ctx; /* Readers do not fail the call. */
    kd_status status;
};

/* --- Arguments and result --------------------------------------------------------------------- */

static kade_call call_of(kd_ctx *ctx, kd_call_env *env, const kd_registry *registry,
                         const void *const *args, uint32_t count)
{
    kade_call call = {.ctx = ctx,
                      .env = env,
                      .registry = registry,
                      .args = args,
                      .count = count,
                      .result = kd_value_null(env->result_type),
                      .read_ctx = {.world = ctx->world}};
    kd_error_clear(&call.read_ctx);
    return call;
}

uint32_t kade_call_count(const kade_call *call)
{
    return call->count;
}

bool kade_call_is_null(const kade_call *call, uint32_t index)
{
    return index >= call->count || call->args[index] == NULL;
}

static kd_value argument(const kade_call *call, uint32_t index)
{
    kd_value value = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    if (kade_call_is_null(call, index))
        return value;
    value.type = call->env->argument_types[index];
    value.is_null = false;
    memcpy(kd_value_payload(&value), call->args[index],
           kd_physical_bytes(kd_type_physical(value.type)));
    return value;
}

static kd_value argument_as(kade_call *call, uint32_t index, kd_type_id type)
{
    kd_value value = argument(call, index), cast;
    if (value.is_null || (value.type.id == type && !value.type.is_array))
        return value;
    if (kd_value_cast(&call->read_ctx, call->env->arena, call->registry, call->env->facts, &value,
                      kd_type_of(type), KD_CAST_EXPLICIT, &cast) == KD_OK)
        return cast;
    kd_error_clear(&call->read_ctx);
    return kd_value_null(kd_type_of(type));
}

bool kade_call_bool(kade_call *call, uint32_t index)
{
    kd_value value = argument_as(call, index, KD_TYPE_BOOL);
    return !value.is_null && value.as.boolean;
}

int64_t kade_call_int64(kade_call *call, uint32_t index)
{
    kd_value value = argument_as(call, index, KD_TYPE_INT8);
    return value.is_null ? 0 : value.as.i64;
}

double kade_call_double(kade_call *call, uint32_t index)
{
    kd_value value = argument_as(call, index, KD_TYPE_FLOAT8);
    return value.is_null ? 0 : value.as.f64;
}

static const char *give(kade_call *call, kd_slice bytes, size_t *out_bytes)
{
    const char *copy =
        kd_copy_text(&call->read_ctx, call->env->arena, bytes.data, bytes.size_bytes);
    if (copy == NULL)
        kd_error_clear(&call->read_ctx);
    if (out_bytes != NULL)
        *out_bytes = copy == NULL ? 0 : bytes.size_bytes;
    return copy == NULL ? "" : copy;
}

const char *kade_call_text(kade_call *call, uint32_t index, size_t *out_bytes)
{
    kd_value value = argument(call, index);
    if (out_bytes != NULL)
        *out_bytes = 0;
    if (value.is_null)
        return "";
    kd_buffer text = kd_buffer_in(call->env->arena);
    if (kd_value_format(&call->read_ctx, call->env->facts->text, &value, &text) != KD_OK) {
        kd_error_clear(&call->read_ctx);
        return "";
    }
    if (out_bytes != NULL)
        *out_bytes = text.size_bytes;
    return text.data == NULL ? "" : text.data;
}

const void *kade_call_blob(kade_call *call, uint32_t index, size_t *out_bytes)
{
    kd_value value = argument(call, index);
    if (value.is_null || value.type.id != KD_TYPE_BYTEA || value.type.is_array)
        return kade_call_text(call, index, out_bytes);
    return give(call, kd_str_slice(&value.as.str), out_bytes);
}

void kade_call_return_null(kade_call *call)
{
    call->result = kd_value_null(call->env->result_type);
}

void kade_call_return_bool(kade_call *call, bool value)
{
    call->result = kd_value_bool(value);
}

void kade_call_return_int64(kade_call *call, int64_t value)
{
    call->result = kd_value_i64(value);
}

void kade_call_return_double(kade_call *call, double value)
{
    call->result = kd_value_f64(value);
}

static void return_bytes(kade_call *call, kd_type_id type, kd_slice bytes)
{
    kd_value value = {.type = kd_type_of(type)};
    kd_status status = kd_str_copy(call->ctx, call->env->arena, bytes, &value.as.str);
    if (status == KD_OK)
        call->result = value;
    else
        call->status = status;
}

void kade_call_return_text(kade_call *call, const char *text, size_t text_bytes)
{
    return_bytes(call, KD_TYPE_TEXT, kdi_api_slice(text, text_bytes));
}

void kade_call_return_blob(kade_call *call, const void *blob, size_t blob_bytes)
{
    return_bytes(call, KD_TYPE_BYTEA, kdi_api_slice(blob, blob_bytes));
}

void kade_call_fail(kade_call *call, const char *sqlstate, const char *message,
                    size_t message_bytes)
{
    kd_slice text = kdi_api_slice(message, message_bytes);
    bool known = sqlstate != NULL && strlen(sqlstate) == 5;
    call->status = KD_FAIL(call->ctx, KD_INVALID, known ? sqlstate : "38000", "%.*s",
                           (int)text.size_bytes, text.data);
}

/* The result in the function's type, at `result`. */
static kd_status finish_call(kade_call *call, void *result, bool *out_is_null)
{
    kd_type type = call->env->result_type;
    kd_value cast;
    *out_is_null = call->result.is_null;
    KD_TRY(call->status);
    if (call->result.is_null)
        return KD_OK;
    KD_TRY(kd_value_cast(call->ctx, call->env->arena, call->registry, call->env->facts,
                         &call->result, type, KD_CAST_EXPLICIT, &cast));
    memcpy(result, kd_value_payload(&cast), kd_physical_bytes(kd_type_physical(type)));
    return KD_OK;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static callbacks *callbacks_of(const kdi_user_function *function)
{
    return atomic_load_explicit(&function->now, memory_order_acquire);
}

static kd_status call_scalar(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    const kdi_user_function *function = env->data;
    const callbacks *fns = callbacks_of(function);
    kade_call call = call_of(ctx, env, function->registry, args, env->argument_count);
    fns->run(fns->object, &call);
    return finish_call(&call, result, out_is_null);
}

/* The user's state does not move: the registry's holds its address. */
typedef struct state_holder {
    const callbacks *fns;
    void *user;
} state_holder;

static void clear_state(void *object)
{
    const state_holder *holder = object;
    holder->fns->state_clear(holder->fns->object, holder->user);
}

static kd_status make_state(kd_ctx *ctx, kd_arena *arena, const callbacks *fns,
                            state_holder *holder)
{
    if (holder->user != NULL)
        return KD_OK;
    void *user = kd_alloc(ctx, arena, fns->state_bytes);
    state_holder *kept = user == NULL ? NULL : KD_NEW(ctx, arena, state_holder);
    if (kept == NULL)
        return KD_NOMEM;
    *kept = (state_holder){.fns = fns, .user = user};
    if (fns->state_clear != NULL)
        KD_TRY(kd_arena_defer(ctx, arena, clear_state, kept));
    *holder = *kept;
    return KD_OK;
}

static kd_status step_aggregate(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    const kdi_user_function *function = env->data;
    state_holder *holder = state;
    KD_TRY(make_state(ctx, env->state_arena, callbacks_of(function), holder));
    kade_call call = call_of(ctx, env, function->registry, args, env->argument_count);
    holder->fns->add(holder->fns->object, holder->user, &call);
    return call.status;
}

static kd_status combine_aggregate(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    const state_holder *from = other;
    state_holder *holder = state;
    if (from->user == NULL)
        return KD_OK;
    KD_TRY(make_state(ctx, env->state_arena, from->fns, holder));
    holder->fns->combine(holder->fns->object, holder->user, from->user);
    return KD_OK;
}

static kd_status finish_aggregate(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                  bool *out_is_null)
{
    const kdi_user_function *function = env->data;
    state_holder holder = *(const state_holder *)state;
    KD_TRY(make_state(ctx, env->state_arena, callbacks_of(function), &holder));
    kade_call call = call_of(ctx, env, function->registry, NULL, 0);
    holder.fns->finish(holder.fns->object, holder.user, &call);
    return finish_call(&call, result, out_is_null);
}

/* --- Registration ----------------------------------------------------------------------------- */

typedef struct signature {
    char *name;
    uint32_t count;
    kd_type arguments[KD_FUNCTION_ARGUMENTS_MAX];
    kd_type result;
} signature;

static kd_status find_type(kd_ctx *ctx, const char *text, kd_type *out_type)
{
    char name[KDI_NAME_BYTES];
    size_t size = strlen(text);
    bool is_array = size > 2 && strcmp(text + size - 2, "[]") == 0;
    size -= is_array ? 2 : 0;
    bool fits = size < sizeof name;
    for (size_t i = 0; fits && i < size; i++)
        name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    if (!fits || !kd_type_find((kd_slice){name, size}, out_type))
        return KD_FAIL(ctx, KD_INVALID, "42704", "type \"%s\" does not exist", text);
    if (is_array)
        *out_type = kd_type_array_of(*out_type);
    return KD_OK;
}

static kd_status read_signature(kd_ctx *ctx, kd_arena *arena, const char *name,
                                const char *const *types, uint32_t count, const char *result,
                                signature *out)
{
    *out = (signature){.count = count};
    if (name == NULL || name[0] == '\0' || result == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a function has a name and a return type");
    if (count > KD_FUNCTION_ARGUMENTS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54023", "functions cannot have more than %d arguments",
                       KD_FUNCTION_ARGUMENTS_MAX);
    out->name = kd_copy_text(ctx, arena, name, strlen(name));
    if (out->name == NULL)
        return KD_NOMEM;
    for (char *at = out->name; *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(find_type(ctx, types[i], &out->arguments[i]));
    return find_type(ctx, result, &out->result);
}

static kdi_user_function *find_function(kade_database *database, const signature *wanted,
                                        bool is_aggregate)
{
    for (kdi_user_function *it = database->functions; it != NULL; it = it->next) {
        const char *name = is_aggregate ? it->aggregate.name : it->function.name;
        const kd_type *types = is_aggregate ? it->aggregate.arguments : it->function.arguments;
        uint32_t count = is_aggregate ? it->aggregate.argument_count : it->function.argument_count;
        bool same = it->is_aggregate == is_aggregate && count == wanted->count &&
                    strcmp(name, wanted->name) == 0;
        for (uint32_t i = 0; same && i < count; i++)
            same = kd_type_same(types[i], wanted->arguments[i]);
        if (same)
            return it;
    }
    return NULL;
}

/* What plans were made with cannot change under them. */
static bool may_replace(const kdi_user_function *old, const kdi_user_function *wanted)
{
    if (old->is_aggregate)
        return kd_type_same(old->aggregate.result, wanted->aggregate.result) &&
               old->aggregate.skips_nulls == wanted->aggregate.skips_nulls &&
               (old->aggregate.combine == NULL) == (wanted->aggregate.combine == NULL);
    return kd_type_same(old->function.result, wanted->function.result) &&
           old->function.strict == wanted->function.strict &&
           old->function.volatility == wanted->function.volatility;
}

static kd_status register_function(kd_ctx *ctx, kade_database *database, const signature *wanted,
                                   kdi_user_function *made, callbacks *fns)
{
    kd_registry *registry = kd_database_registry(database->inner);
    kdi_user_function *old = find_function(database, wanted, made->is_aggregate);
    if (old != NULL) {
        if (!may_replace(old, made))
            return KD_FAIL(ctx, KD_INVALID, "42P13",
                           "cannot change the return type or the properties of function \"%s\"",
                           wanted->name);
        fns->earlier = callbacks_of(old);
        atomic_store_explicit(&old->now, fns, memory_order_release);
        atomic_fetch_add(&database->inner->function_changes, 1);
        return KD_OK;
    }
    atomic_init(&made->now, fns);
    KD_TRY(made->is_aggregate ? kd_registry_add_aggregates(ctx, registry, &made->aggregate, 1)
                              : kd_registry_add_functions(ctx, registry, &made->function, 1));
    atomic_fetch_add(&database->inner->function_changes, 1);
    made->next = database->functions;
    database->functions = made;
    return KD_OK;
}

static kd_status check_local(kd_ctx *ctx, const kade_database *database)
{
    if (database->inner != NULL)
        return KD_OK;
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                   "functions can be registered only in the process that has the database open");
}

static kd_status create_scalar(kd_ctx *ctx, kade_database *database,
                               const kade_scalar_options *options)
{
    signature wanted;
    kd_arena *arena = database->arena;
    KD_TRY(check_local(ctx, database));
    KD_TRY(read_signature(ctx, arena, options->name, options->argument_types,
                          options->argument_count, options->return_type, &wanted));
    if (options->run == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a function needs its callback");
    kdi_user_function *made = KD_NEW(ctx, arena, kdi_user_function);
    callbacks *fns = KD_NEW(ctx, arena, callbacks);
    if (made == NULL || fns == NULL)
        return KD_NOMEM;
    *fns = (callbacks){.run = options->run, .object = options->object, .destroy = options->destroy};
    made->registry = kd_database_registry(database->inner);
    made->function = (kd_function){.name = wanted.name,
                                   .argument_count = wanted.count,
                                   .result = wanted.result,
                                   .volatility = options->is_volatile ? KD_VOLATILE : KD_IMMUTABLE,
                                   .strict = !options->takes_null,
                                   .row = call_scalar,
                                   .data = made};
    memcpy(made->function.arguments, wanted.arguments, sizeof wanted.arguments);
    return register_function(ctx, database, &wanted, made, fns);
}

static kd_status create_aggregate(kd_ctx *ctx, kade_database *database,
                                  const kade_aggregate_options *options)
{
    signature wanted;
    kd_arena *arena = database->arena;
    KD_TRY(check_local(ctx, database));
    KD_TRY(read_signature(ctx, arena, options->name, options->argument_types,
                          options->argument_count, options->return_type, &wanted));
    if (options->add == NULL || options->finish == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "an aggregate needs its callbacks");
    kdi_user_function *made = KD_NEW(ctx, arena, kdi_user_function);
    callbacks *fns = KD_NEW(ctx, arena, callbacks);
    if (made == NULL || fns == NULL)
        return KD_NOMEM;
    *fns = (callbacks){.add = options->add,
                       .combine = options->combine,
                       .finish = options->finish,
                       .state_clear = options->state_clear,
                       .state_bytes = options->state_bytes,
                       .object = options->object,
                       .destroy = options->destroy};
    made->registry = kd_database_registry(database->inner);
    made->is_aggregate = true;
    made->aggregate = (kd_aggregate){.name = wanted.name,
                                     .argument_count = wanted.count,
                                     .result = wanted.result,
                                     .state_bytes = sizeof(state_holder),
                                     .skips_nulls = !options->takes_null,
                                     .keeps_rows = true,
                                     .step = step_aggregate,
                                     .combine = options->combine == NULL ? NULL : combine_aggregate,
                                     .finish = finish_aggregate,
                                     .data = made};
    memcpy(made->aggregate.arguments, wanted.arguments, sizeof wanted.arguments);
    return register_function(ctx, database, &wanted, made, fns);
}

static kade_status report(kd_ctx *ctx, kd_status status, kade_error **out_error)
{
    if (status != KD_OK)
        kdi_error_give(&ctx->error, out_error);
    return (kade_status)status;
}

kade_status kade_create_scalar(kade_database *database, const kade_scalar_options *options,
                               kade_error **out_error)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kade_scalar_options all = {0};
    kd_error_clear(&ctx);
    if (out_error != NULL)
        *out_error = NULL;
    memcpy(&all, options, options->struct_bytes < sizeof all ? options->struct_bytes : sizeof all);
    kd_mutex_lock(&database->mutex);
    kd_status status = create_scalar(&ctx, database, &all);
    kd_mutex_unlock(&database->mutex);
    return report(&ctx, status, out_error);
}

kade_status kade_create_aggregate(kade_database *database, const kade_aggregate_options *options,
                                  kade_error **out_error)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kade_aggregate_options all = {0};
    kd_error_clear(&ctx);
    if (out_error != NULL)
        *out_error = NULL;
    memcpy(&all, options, options->struct_bytes < sizeof all ? options->struct_bytes : sizeof all);
    kd_mutex_lock(&database->mutex);
    kd_status status = create_aggregate(&ctx, database, &all);
    kd_mutex_unlock(&database->mutex);
    return report(&ctx, status, out_error);
}

void kdi_user_functions_end(kade_database *database)
{
    for (kdi_user_function *it = database->functions; it != NULL; it = it->next)
        for (const callbacks *fns = callbacks_of(it); fns != NULL; fns = fns->earlier)
            if (fns->destroy != NULL)
                fns->destroy(fns->object);
    database->functions = NULL;
}
