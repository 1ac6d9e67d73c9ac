/*
 * The governor: pages within a budget, and statements that wait for their turn.
 */
#include "base/governor.h"
#include "base/thread.h"

#include "test.h"

enum { BUDGET = 16 << 20, TURNS = 2 }; /* Half of it, at 4 MiB for each. */

TEST(a_page_over_the_budget_must_be_asked_for)
{
    kd_ctx ctx = test_ctx();
    kd_governor *governor = kd_governor_create(&ctx, 2 * KD_GOVERNOR_PAGE_BYTES);
    void *pages[4];
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(&ctx, kd_governor_get_page(&ctx, governor, false, &pages[i]));
        CHECK(pages[i] != NULL);
    }
    CHECK_STATUS(&ctx, kd_governor_get_page(&ctx, governor, false, &pages[2]));
    CHECK(pages[2] == NULL);
    CHECK_STATUS(&ctx, kd_governor_get_page(&ctx, governor, true, &pages[2]));
    CHECK(pages[2] != NULL);
    for (int i = 0; i < 3; i++)
        kd_governor_put_page(governor, pages[i]);
    CHECK_EQ(kd_governor_used_bytes(governor), 0);
    kd_governor_destroy(governor);
}

typedef struct entrant {
    kd_ctx ctx;
    kd_governor *governor;
    kd_status status;
    atomic_bool is_through;
    atomic_bool cancelled;
} entrant;

static void enter(void *object)
{
    entrant *self = object;
    self->status = kd_governor_enter(&self->ctx, self->governor, true);
    atomic_store(&self->is_through, true);
}

TEST(a_statement_waits_until_another_has_left)
{
    kd_ctx ctx = test_ctx();
    kd_governor *governor = kd_governor_create(&ctx, BUDGET);
    for (int i = 0; i < TURNS; i++)
        CHECK_STATUS(&ctx, kd_governor_enter(&ctx, governor, true));
    entrant late = {.ctx = test_ctx(), .governor = governor};
    kd_thread *thread;
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "late", enter, &late, &thread));
    ctx.world->sleep_ns(ctx.world, 30 * 1000 * 1000);
    CHECK(!atomic_load(&late.is_through));
    /* One that holds locks does not wait, and counts. */
    CHECK_STATUS(&ctx, kd_governor_enter(&ctx, governor, false));
    CHECK_EQ(kd_governor_share_bytes(governor), BUDGET / 2 / 3);
    kd_governor_leave(governor);
    CHECK(!atomic_load(&late.is_through));
    kd_governor_leave(governor);
    kd_thread_join(ctx.world, thread);
    CHECK_EQ(late.status, KD_OK);
    for (int i = 0; i < TURNS; i++)
        kd_governor_leave(governor);
    kd_governor_destroy(governor);
}

TEST(cancelling_ends_the_wait)
{
    kd_ctx ctx = test_ctx();
    kd_governor *governor = kd_governor_create(&ctx, BUDGET);
    for (int i = 0; i < TURNS; i++)
        CHECK_STATUS(&ctx, kd_governor_enter(&ctx, governor, true));
    entrant late = {.ctx = test_ctx(), .governor = governor};
    late.ctx.cancelled = &late.cancelled;
    kd_thread *thread;
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "late", enter, &late, &thread));
    atomic_store(&late.cancelled, true);
    kd_thread_join(ctx.world, thread);
    CHECK_EQ(late.status, KD_CANCELLED);
    CHECK_TEXT(late.ctx.error.sqlstate, "57014");
    for (int i = 0; i < TURNS; i++)
        kd_governor_leave(governor);
    kd_governor_destroy(governor);
}
