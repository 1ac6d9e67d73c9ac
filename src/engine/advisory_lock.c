/*
 * Locks on numbers.
 *
 * One mutex guards all of them: they are few, and held long.
 */
#include "engine/advisory_lock.h"

#include "base/map.h"
#include "engine/session_function_internal.h"

#define ARGS kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, bool *out_is_null
#define WAIT_STEP_NS UINT64_C(20000000)
#define DEADLOCK_CHECK_NS UINT64_C(500000000)

enum { DEPTH_MAX = 64 };

typedef struct key {
    uint64_t number;
    uint64_t is_pair;
} key;

typedef struct lock lock;

/* What one session has of a lock, in one mode and for one length of time. */
typedef struct hold {
    struct hold *next_of_lock, *next_of_session;
    lock *lock;
    kd_session *session;
    uint64_t count;
    bool is_shared;
    bool is_transaction;
} hold;

struct lock {
    key key;
    hold *holds;
    uint32_t waiter_count; /* Who waits keeps the struct. */
};

/* A session that waits. */
typedef struct waiter {
    struct waiter *next;
    kd_session *session;
    lock *lock;
    bool is_shared;
} waiter;

struct kdi_advisory_locks {
    kd_world *world;
    kd_account account;
    kd_mutex mutex;
    kd_cond released;
    kd_map locks; /* By key. */
    waiter *waiters;
};

typedef struct kdi_advisory_locks manager;

kd_status kdi_advisory_open(kd_ctx *ctx, kd_database *database)
{
    manager *self = KD_NEW(ctx, database->arena, manager);
    if (self == NULL)
        return KD_NOMEM;
    self->world = database->world;
    kd_account_init(&self->account, NULL, "advisory locks", SIZE_MAX);
    kd_mutex_init(&self->mutex, database->world);
    kd_cond_init(&self->released, database->world);
    kd_map_init(&self->locks, database->world, &self->account);
    database->advisory = self;
    return KD_OK;
}

void kdi_advisory_close(kd_database *database)
{
    manager *self = database->advisory;
    if (self == NULL)
        return;
    kd_map_clear(&self->locks);
    kd_cond_clear(&self->released);
    kd_mutex_clear(&self->mutex);
    database->advisory = NULL;
}

/* --- Holding; the mutex is held ----------------------------------------------------------------
 */

static kd_slice key_bytes(const key *it)
{
    return (kd_slice){(const char *)it, sizeof *it};
}

static kd_status find_or_make(kd_ctx *ctx, manager *self, const key *wanted, lock **out)
{
    *out = kd_map_find(&self->locks, key_bytes(wanted));
    if (*out != NULL)
        return KD_OK;
    lock *added = KD_HEAP_NEW(ctx, &self->account, lock);
    if (added == NULL)
        return KD_NOMEM;
    added->key = *wanted;
    kd_status status = kd_map_put(ctx, &self->locks, key_bytes(wanted), added, NULL);
    if (status != KD_OK)
        kd_heap_free(self->world, &self->account, added);
    else
        *out = added;
    return status;
}

static void forget_if_unused(manager *self, lock *it)
{
    if (it->holds != NULL || it->waiter_count > 0)
        return;
    (void)kd_map_remove(&self->locks, key_bytes(&it->key));
    kd_heap_free(self->world, &self->account, it);
}

static bool is_in_the_way(const hold *it, const kd_session *session, bool is_shared)
{
    return it->session != session && !(is_shared && it->is_shared);
}

static bool may_take(const lock *it, const kd_session *session, bool is_shared)
{
    for (const hold *held = it->holds; held != NULL; held = held->next_of_lock)
        if (is_in_the_way(held, session, is_shared))
            return false;
    return true;
}

static kd_status take(kd_ctx *ctx, manager *self, lock *it, kd_session *session, bool is_shared,
                      bool is_transaction)
{
    for (hold *held = it->holds; held != NULL; held = held->next_of_lock)
        if (held->session == session && held->is_shared == is_shared &&
            held->is_transaction == is_transaction) {
            held->count++;
            return KD_OK;
        }
    hold *added = KD_HEAP_NEW(ctx, &self->account, hold);
    if (added == NULL)
        return KD_NOMEM;
    *added = (hold){.next_of_lock = it->holds,
                    .next_of_session = session->advisory,
                    .lock = it,
                    .session = session,
                    .count = 1,
                    .is_shared = is_shared,
                    .is_transaction = is_transaction};
    it->holds = added;
    session->advisory = added;
    return KD_OK;
}

/* `link` is the session's. */
static void let_go(manager *self, hold **link)
{
    hold *gone = *link;
    lock *it = gone->lock;
    *link = gone->next_of_session;
    hold **at = &it->holds;
    while (*at != gone)
        at = &(*at)->next_of_lock;
    *at = gone->next_of_lock;
    kd_heap_free(self->world, &self->account, gone);
    forget_if_unused(self, it);
    kd_cond_broadcast(&self->released);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static const waiter *waiter_of(const manager *self, const kd_session *session)
{
    const waiter *it = self->waiters;
    while (it != NULL && it->session != session)
        it = it->next;
    return it;
}

/* Whether somebody in the way of `it` waits, in the end, for `session`. */
static bool leads_back(const manager *self, const waiter *it, const kd_session *session,
                       uint32_t depth)
{
    if (depth > DEPTH_MAX)
        return false;
    for (const hold *held = it->lock->holds; held != NULL; held = held->next_of_lock) {
        if (!is_in_the_way(held, it->session, it->is_shared))
            continue;
        if (held->session == session)
            return true;
        const waiter *next = waiter_of(self, held->session);
        if (next != NULL && leads_back(self, next, session, depth + 1))
            return true;
    }
    return false;
}

/* In a circle of those who wait for each other. */
static bool is_deadlocked(const manager *self, const waiter *it)
{
    for (const hold *held = it->lock->holds; held != NULL; held = held->next_of_lock) {
        const waiter *next =
            is_in_the_way(held, it->session, it->is_shared) ? waiter_of(self, held->session) : NULL;
        if (next != NULL && leads_back(self, next, it->session, 0))
            return true;
    }
    return false;
}

static kd_status wait_step(kd_ctx *ctx, manager *self, const waiter *it, uint64_t began_ns)
{
    uint64_t timeout_ns = (uint64_t)it->session->settings.lock_timeout_ms * 1000000;
    uint64_t waited_ns = self->world->monotonic_ns(self->world) - began_ns;
    KD_TRY(kd_check_cancelled(ctx));
    if (timeout_ns > 0 && waited_ns >= timeout_ns)
        return KD_FAIL(ctx, KD_BUSY, "55P03", "canceling statement due to lock timeout");
    if (waited_ns >= DEADLOCK_CHECK_NS && is_deadlocked(self, it))
        return KD_FAIL(ctx, KD_BUSY, "40P01", "deadlock detected"); /* Not run again. */
    (void)kd_cond_wait(&self->released, &self->mutex, WAIT_STEP_NS);
    return KD_OK;
}

/* The mutex is held. */
static kd_status wait_for(kd_ctx *ctx, manager *self, waiter *own)
{
    kd_status status = KD_OK;
    uint64_t began_ns = self->world->monotonic_ns(self->world);
    own->next = self->waiters;
    self->waiters = own;
    own->lock->waiter_count++;
    while (status == KD_OK && !may_take(own->lock, own->session, own->is_shared))
        status = wait_step(ctx, self, own, began_ns);
    own->lock->waiter_count--;
    waiter **link = &self->waiters;
    while (*link != own)
        link = &(*link)->next;
    *link = own->next;
    return status;
}

/* --- Taking and giving back ------------------------------------------------------------------- */

typedef struct mode {
    bool tries; /* Says false instead of waiting. */
    bool is_shared;
    bool is_transaction;
} mode;

static kd_status acquire(kd_ctx *ctx, kd_session *session, const key *wanted, mode how,
                         bool *out_taken)
{
    manager *self = session->database->advisory;
    lock *it;
    kd_mutex_lock(&self->mutex);
    kd_status status = find_or_make(ctx, self, wanted, &it);
    if (status == KD_OK) {
        waiter own = {.session = session, .lock = it, .is_shared = how.is_shared};
        *out_taken = may_take(it, session, how.is_shared);
        if (!*out_taken && !how.tries) {
            status = wait_for(ctx, self, &own);
            *out_taken = status == KD_OK;
        }
        if (*out_taken)
            status = take(ctx, self, it, session, how.is_shared, how.is_transaction);
        forget_if_unused(self, it);
    }
    kd_mutex_unlock(&self->mutex);
    return status;
}

static bool release(kd_session *session, const key *wanted, bool is_shared)
{
    manager *self = session->database->advisory;
    bool found = false;
    kd_mutex_lock(&self->mutex);
    for (hold **link = (hold **)&session->advisory; *link != NULL && !found;
         link = &(*link)->next_of_session) {
        hold *it = *link;
        if (it->is_transaction || it->is_shared != is_shared ||
            !kd_slice_equal(key_bytes(&it->lock->key), key_bytes(wanted)))
            continue;
        found = true;
        if (--it->count == 0)
            let_go(self, link);
        break;
    }
    kd_mutex_unlock(&self->mutex);
    return found;
}

/* Those of its transaction, those of the session, or both. */
static void release_all(kd_session *session, bool of_transaction, bool of_session)
{
    manager *self = session->database->advisory;
    if (session->advisory == NULL)
        return;
    kd_mutex_lock(&self->mutex);
    for (hold **link = (hold **)&session->advisory; *link != NULL;) {
        if ((*link)->is_transaction ? of_transaction : of_session)
            let_go(self, link);
        else
            link = &(*link)->next_of_session;
    }
    kd_mutex_unlock(&self->mutex);
}

void kdi_advisory_transaction_ended(kd_session *session)
{
    release_all(session, true, false);
}

void kdi_advisory_forget(kd_session *session)
{
    release_all(session, true, true);
}

/* --- Functions -------------------------------------------------------------------------------- */

static key key_of(const kd_call_env *env, const void *const *args)
{
    if (env->argument_count == 1)
        return (key){.number = (uint64_t) * (const int64_t *)args[0]};
    return (key){.number = (uint64_t)(uint32_t) * (const int32_t *)args[0] << 32 |
                           (uint32_t) * (const int32_t *)args[1],
                 .is_pair = 1};
}

static kd_status call_lock(ARGS)
{
    const mode *how = env->data;
    key wanted = key_of(env, args);
    bool taken = false;
    *out_is_null = false;
    KD_TRY(acquire(ctx, kdi_call_session(env), &wanted, *how, &taken));
    *(bool *)result = taken; /* Of the void ones too, where nobody looks. */
    return KD_OK;
}

static kd_status call_unlock(ARGS)
{
    const mode *how = env->data;
    key wanted = key_of(env, args);
    (void)ctx;
    *out_is_null = false;
    *(bool *)result = release(kdi_call_session(env), &wanted, how->is_shared);
    if (!*(bool *)result)
        kdi_session_notice(kdi_call_session(env), "WARNING", "01000",
                           "you don't own a lock of type %s",
                           how->is_shared ? "ShareLock" : "ExclusiveLock");
    return KD_OK;
}

static kd_status call_unlock_all(ARGS)
{
    (void)ctx, (void)args;
    release_all(kdi_call_session(env), false, true);
    *out_is_null = false;
    *(bool *)result = false;
    return KD_OK;
}

#define T(name)                              \
    {                                        \
        .id = KD_TYPE_##name, .modifier = -1 \
    }
#define ONE_KEY(sql_name, out, call, ...)                                                        \
    {                                                                                            \
        .name = sql_name, .argument_count = 1, .arguments = {T(INT8)}, .result = T(out),         \
        .volatility = KD_VOLATILE, .strict = true, .row = call, .data = &(const mode)__VA_ARGS__ \
    }
#define TWO_KEYS(sql_name, out, call, ...)                                                        \
    {                                                                                             \
        .name = sql_name, .argument_count = 2, .arguments = {T(INT4), T(INT4)}, .result = T(out), \
        .volatility = KD_VOLATILE, .strict = true, .row = call, .data = &(const mode)__VA_ARGS__  \
    }
#define BOTH(sql_name, out, call, ...) \
    ONE_KEY(sql_name, out, call, __VA_ARGS__), TWO_KEYS(sql_name, out, call, __VA_ARGS__)

static const kd_function functions[] = {
    BOTH("pg_advisory_lock", VOID, call_lock, {false, false, false}),
    BOTH("pg_advisory_lock_shared", VOID, call_lock, {false, true, false}),
    BOTH("pg_advisory_xact_lock", VOID, call_lock, {false, false, true}),
    BOTH("pg_advisory_xact_lock_shared", VOID, call_lock, {false, true, true}),
    BOTH("pg_try_advisory_lock", BOOL, call_lock, {true, false, false}),
    BOTH("pg_try_advisory_lock_shared", BOOL, call_lock, {true, true, false}),
    BOTH("pg_try_advisory_xact_lock", BOOL, call_lock, {true, false, true}),
    BOTH("pg_try_advisory_xact_lock_shared", BOOL, call_lock, {true, true, true}),
    BOTH("pg_advisory_unlock", BOOL, call_unlock, {false, false, false}),
    BOTH("pg_advisory_unlock_shared", BOOL, call_unlock, {false, true, false}),
    {.name = "pg_advisory_unlock_all",
     .result = T(VOID),
     .volatility = KD_VOLATILE,
     .row = call_unlock_all},
};

kd_status kdi_register_advisory_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof functions[0]);
}
