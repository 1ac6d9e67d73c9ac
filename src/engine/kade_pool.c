/*
 * Pools of sessions in the public API.
 *
 * A session is in use from kade_pool_take to kade_pool_give, and idle in the pool otherwise; what
 * lies idle is clean: it is made so when it comes back, not when it is taken. The pool's mutex is
 * held for its lists and numbers only, never while a session does something.
 */
#include "engine/kade_internal.h"

#include "base/assert.h"
#include "engine/watchdog.h"

enum { SESSIONS_MAX_USUAL = 16, WAIT_MS_USUAL = 30000 };

typedef struct pooled {
    struct pooled *next;
    kade_session *session; /* NULL: the place is free for a session to be opened. */
    uint64_t taken_ns;
} pooled;

struct kade_pool {
    kd_arena *arena;
    kd_world *world;
    kade_database *database;
    uint32_t session_max;
    uint64_t wait_ns;
    kd_mutex lock; /* Guards the rest. */
    kd_cond changed;
    pooled *idle; /* Newest first: the warmest is taken. */
    pooled *in_use;
    pooled *empty;
    uint64_t opened_ns;
    uint64_t used_ns; /* Of sessions that came back. */
    kade_pool_statistics numbers;
};

/* --- Sessions ------------------------------------------------------------------------------- */

/* As if just opened: nothing of what its last user did is left. */
static bool make_clean(kade_session *session)
{
    static const char discard[] = "DISCARD ALL";
    kdi_session_end_objects(session);
    kade_session_on_notice(session, NULL, NULL);
    kade_session_on_progress(session, NULL, NULL);
    kade_session_on_copy(session, NULL, NULL, NULL);
    if (kade_session_transaction(session) != KADE_TRANSACTION_NONE &&
        kade_execute(session, "ROLLBACK", KADE_NUL, NULL, NULL) != KADE_OK)
        return false;
    return kade_execute(session, discard, sizeof discard - 1, NULL, NULL) == KADE_OK;
}

/* The watchdog may have ended one that lay idle for too long. */
static bool is_alive(kade_session *session)
{
    kd_session *inner = session->inner;
    if (inner == NULL)
        return true; /* In another process: its first call tells. */
    kdi_idle_end(inner);
    bool alive = inner->ended_sqlstate == NULL;
    kdi_idle_begin(inner);
    return alive;
}

static void push(pooled **list, pooled *it)
{
    it->next = *list;
    *list = it;
}

static pooled *pop(pooled **list)
{
    pooled *it = *list;
    if (it != NULL)
        *list = it->next;
    return it;
}

/* The lock is held. */
static void put_in_use(kade_pool *pool, pooled *it)
{
    it->taken_ns = pool->world->monotonic_ns(pool->world);
    push(&pool->in_use, it);
    pool->numbers.taken_count++;
    if (++pool->numbers.in_use > pool->numbers.in_use_peak)
        pool->numbers.in_use_peak = pool->numbers.in_use;
}

static void put_empty(kade_pool *pool, pooled *it)
{
    it->session = NULL;
    kd_mutex_lock(&pool->lock);
    push(&pool->empty, it);
    kd_cond_signal(&pool->changed);
    kd_mutex_unlock(&pool->lock);
}

/* --- Taking and giving ---------------------------------------------------------------------- */

/* A place with an idle session or with none yet; NULL when there was neither in time. */
static pooled *take_place(kade_pool *pool)
{
    kd_world *world = pool->world;
    uint64_t started_ns = world->monotonic_ns(world), now_ns = started_ns;
    pooled *it = NULL;
    bool has_waited = false;
    kd_mutex_lock(&pool->lock);
    for (;;) {
        it = pop(&pool->idle);
        pool->numbers.idle -= it != NULL;
        if (it == NULL)
            it = pop(&pool->empty);
        if (it != NULL || now_ns - started_ns >= pool->wait_ns)
            break;
        pool->numbers.waiting++;
        has_waited = true;
        (void)kd_cond_wait(&pool->changed, &pool->lock, pool->wait_ns - (now_ns - started_ns));
        pool->numbers.waiting--;
        now_ns = world->monotonic_ns(world);
    }
    pool->numbers.waited_count += has_waited;
    pool->numbers.waited_us += (now_ns - started_ns) / 1000;
    pool->numbers.timed_out_count += it == NULL;
    kd_mutex_unlock(&pool->lock);
    return it;
}

kade_status kade_pool_take(kade_pool *pool, kade_session **out_session, kade_error **out_error)
{
    *out_session = NULL;
    if (out_error != NULL)
        *out_error = NULL;
    pooled *it = take_place(pool);
    if (it == NULL) {
        kd_ctx ctx = {.world = pool->world};
        kd_error_clear(&ctx);
        kd_status status =
            KD_FAIL(&ctx, KD_BUSY, "53300", "no session of the pool became free within %llu ms",
                    (unsigned long long)(pool->wait_ns / 1000000));
        kdi_error_give(&ctx.error, out_error);
        return (kade_status)status;
    }
    if (it->session != NULL && !is_alive(it->session)) {
        kade_disconnect(it->session);
        it->session = NULL;
    }
    if (it->session == NULL) {
        kade_status status = kade_connect(pool->database, &it->session, out_error);
        if (status != KADE_OK) {
            put_empty(pool, it);
            return status;
        }
    }
    kd_mutex_lock(&pool->lock);
    put_in_use(pool, it);
    kd_mutex_unlock(&pool->lock);
    *out_session = it->session;
    return KADE_OK;
}

void kade_pool_give(kade_pool *pool, kade_session *session)
{
    if (session == NULL)
        return;
    bool is_clean = make_clean(session);
    kd_mutex_lock(&pool->lock);
    pooled **link = &pool->in_use;
    while (*link != NULL && (*link)->session != session)
        link = &(*link)->next;
    pooled *it = *link;
    kd_assert(it != NULL); /* It was taken from this pool. */
    *link = it->next;
    pool->numbers.in_use--;
    pool->used_ns += pool->world->monotonic_ns(pool->world) - it->taken_ns;
    if (is_clean) {
        push(&pool->idle, it);
        pool->numbers.idle++;
        kd_cond_signal(&pool->changed);
    }
    kd_mutex_unlock(&pool->lock);
    if (!is_clean) {
        kade_disconnect(session);
        put_empty(pool, it);
    }
}

void kade_pool_read_statistics(kade_pool *pool, kade_pool_statistics *out_statistics)
{
    uint32_t wanted_bytes = out_statistics->struct_bytes;
    kd_mutex_lock(&pool->lock);
    kade_pool_statistics numbers = pool->numbers;
    uint64_t now_ns = pool->world->monotonic_ns(pool->world), used_ns = pool->used_ns;
    for (const pooled *it = pool->in_use; it != NULL; it = it->next)
        used_ns += now_ns - it->taken_ns;
    kd_mutex_unlock(&pool->lock);
    double possible_ns = (double)(now_ns - pool->opened_ns) * (double)pool->session_max;
    numbers.session_max = pool->session_max;
    numbers.utilisation = (double)numbers.in_use / (double)pool->session_max;
    numbers.utilisation_mean = possible_ns > 0 ? (double)used_ns / possible_ns : 0;
    numbers.struct_bytes = wanted_bytes;
    memcpy(out_statistics, &numbers, wanted_bytes < sizeof numbers ? wanted_bytes : sizeof numbers);
}

/* --- Lives ---------------------------------------------------------------------------------- */

/* The sessions that are there from the start. */
static kade_status open_sessions(kade_pool *pool, uint32_t count, kade_error **out_error)
{
    for (uint32_t i = 0; i < count && pool->empty != NULL; i++) {
        kade_session *session;
        kade_status status = kade_connect(pool->database, &session, out_error);
        if (status != KADE_OK)
            return status;
        pooled *it = pop(&pool->empty);
        it->session = session;
        push(&pool->idle, it);
        pool->numbers.idle++;
    }
    return KADE_OK;
}

static kd_status create(kd_ctx *ctx, kade_database *database, const kade_pool_options *options,
                        kade_pool **out_pool)
{
    *out_pool = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "pool", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    uint32_t count = options->session_max == 0 ? SESSIONS_MAX_USUAL : options->session_max;
    kade_pool *pool = KD_NEW(ctx, arena, kade_pool);
    pooled *places = pool == NULL ? NULL : KD_NEW_ARRAY(ctx, arena, pooled, count);
    if (places == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    uint32_t wait_ms = options->wait_ms == 0 ? WAIT_MS_USUAL : options->wait_ms;
    pool->arena = arena;
    pool->world = ctx->world;
    pool->database = database;
    pool->session_max = count;
    pool->wait_ns = (uint64_t)wait_ms * 1000000;
    pool->opened_ns = ctx->world->monotonic_ns(ctx->world);
    for (uint32_t i = 0; i < count; i++)
        push(&pool->empty, &places[i]);
    kd_mutex_init(&pool->lock, ctx->world);
    kd_cond_init(&pool->changed, ctx->world);
    *out_pool = pool;
    return KD_OK;
}

kade_status kade_pool_open(kade_database *database, const kade_pool_options *options,
                           kade_pool **out_pool, kade_error **out_error)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kade_pool_options all = {0};
    kade_pool *pool;
    kd_error_clear(&ctx);
    *out_pool = NULL;
    if (out_error != NULL)
        *out_error = NULL;
    if (options != NULL)
        memcpy(&all, options,
               options->struct_bytes < sizeof all ? options->struct_bytes : sizeof all);
    if (create(&ctx, database, &all, &pool) != KD_OK) {
        kdi_error_give(&ctx.error, out_error);
        return KADE_NOMEM;
    }
    kade_status status = open_sessions(pool, all.session_min, out_error);
    if (status != KADE_OK)
        kade_pool_close(pool);
    else
        *out_pool = pool;
    return status;
}

void kade_pool_close(kade_pool *pool)
{
    if (pool == NULL)
        return;
    kd_assert(pool->in_use == NULL);
    for (pooled *it = pool->idle; it != NULL; it = it->next)
        kade_disconnect(it->session);
    kd_cond_clear(&pool->changed);
    kd_mutex_clear(&pool->lock);
    kd_arena_destroy(pool->arena);
}
