/*
 * A disk that lies: one write of a life is lost, or lands in another place of its file, or in
 * another file, and the disk says that it was done. Every write of the life in turn, in each of
 * these ways. Afterwards the database gives the right answers, or the damage is found by its checks
 * and named (XX001), at once or at the next opening; never a wrong answer, and never the end of the
 * process.
 *
 * One case nobody can tell: a crash right after the log's last group was lost or overwritten.
 * Nothing on the disk knows yet that it was there (src/wal/README.md). It is counted.
 */
#include "sim_session.h"

#include "table/storage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each is a transaction, or changes no answer. */
static const char *const steps[] = {
    "CREATE TABLE t (id int PRIMARY KEY, grp int, txt text)",
    "CREATE INDEX t_grp ON t (grp)",
    "INSERT INTO t SELECT i, i % 5, 'text ' || i FROM generate_series(1, 300) g (i)",
    "VACUUM",
    "UPDATE t SET grp = 7 WHERE id % 10 = 3",
    "CHECKPOINT",
    "DELETE FROM t WHERE id BETWEEN 40 AND 60",
    "INSERT INTO t SELECT i, 8, 'later' FROM generate_series(400, 450) g (i)",
    "VACUUM",
    "CREATE TABLE u AS SELECT grp, count(*) AS n FROM t GROUP BY grp",
    "CHECKPOINT",
    "INSERT INTO t VALUES (500, 9, 'in the log')",
    "UPDATE u SET n = n + 1",
    "INSERT INTO t VALUES (501, 9, 'at the end')",
};
enum { STEPS = sizeof steps / sizeof *steps };

static const char *const questions[] = {
    "SELECT count(*), sum(id), min(txt), max(txt) FROM t",
    "SELECT id FROM t WHERE grp = 7 ORDER BY id",
    "SELECT txt FROM t WHERE id IN (3, 50, 420, 500, 501) ORDER BY id",
    "SELECT grp, n FROM u ORDER BY grp",
};

typedef enum ending { CLOSED, CRASHED } ending;

typedef struct life {
    sim_session on;
    int done; /* Steps that succeeded; the others were not tried. */
} life;

static char expected[2][4096]; /* Before the last step, and after it. */
static struct {
    unsigned writes, named_at_once, named_later, unharmed, untold;
} totals;

static kd_status answers_read(sim_session *it, char *out, size_t capacity_bytes)
{
    kd_arena *arena = test_arena(sim_session_ctx(it));
    kd_buffer text = kd_buffer_in(arena);
    kd_status status = KD_OK;
    for (size_t i = 0; status == KD_OK && i < sizeof questions / sizeof *questions; i++)
        status = sim_statement(it, kd_slice_of(questions[i]), &text);
    if (status == KD_OK)
        (void)snprintf(out, capacity_bytes, "%.*s", (int)text.size_bytes, text.data);
    kd_arena_destroy(arena);
    return status;
}

static kd_status work(life *it)
{
    for (it->done = 0; it->done < STEPS; it->done++)
        KD_TRY(sim_script(&it->on, steps[it->done]));
    return KD_OK;
}

/* A failure tells of the damage, and of nothing else. */
static void must_be_damage(const kd_error *error)
{
    if (strcmp(error->sqlstate, "XX001") != 0)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
}

/* Opens, asks, checks. Returns whether the damage was named. */
static bool aftermath(sim_disk *disk, bool may_lack_last)
{
    sim_session it = {.database = NULL};
    char answers[sizeof expected[0]];
    sim_world *sim = sim_create(disk, 3);
    kd_ctx ctx = sim_ctx(sim);
    kd_status status = sim_session_open(&ctx, &it);
    kd_error error = ctx.error;
    if (status == KD_OK) {
        status = answers_read(&it, answers, sizeof answers);
        error = sim_session_ctx(&it)->error;
        if (status == KD_OK && !(may_lack_last && strcmp(answers, expected[0]) == 0))
            CHECK_TEXT(answers, expected[1]);
        if (status == KD_OK)
            totals.untold += strcmp(answers, expected[1]) != 0;
    }
    if (status == KD_OK) {
        status = kd_storage_check(&ctx, kd_database_storage(it.database));
        error = ctx.error;
    }
    if (status != KD_OK)
        must_be_damage(&error);
    sim_crash(sim);
    if (it.database != NULL)
        kd_database_abandon(it.database);
    sim_destroy(sim);
    return status != KD_OK;
}

/* A life with its nth write spoilt; true when it had fewer. */
static bool life_with(uint64_t nth, sim_spoilt_write how, ending ends)
{
    life it = {.on = {.database = NULL}};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, nth);
    kd_ctx ctx = sim_ctx(sim);
    test_note("write %llu, way %d, ending %d", (unsigned long long)nth, (int)how, (int)ends);
    sim_spoil_nth_write(sim, nth, how);
    kd_status status = sim_session_open(&ctx, &it.on);
    kd_error error = ctx.error;
    if (status == KD_OK) {
        status = work(&it);
        error = sim_session_ctx(&it.on)->error;
    }
    if (status == KD_OK && ends == CLOSED) {
        status = kd_database_close(&ctx, it.on.database);
        error = ctx.error;
        it.on.database = NULL;
    }
    bool was_spoilt = sim_write_was_spoilt(sim);
    if (status != KD_OK) {
        CHECK(was_spoilt);
        must_be_damage(&error);
        totals.named_at_once++;
    }
    sim_crash(sim);
    if (it.on.database != NULL)
        kd_database_abandon(it.on.database);
    sim_destroy(sim);
    bool is_named = status != KD_OK || aftermath(disk, ends == CRASHED);
    totals.named_later += status == KD_OK && is_named;
    totals.unharmed += was_spoilt && !is_named;
    sim_disk_destroy(disk);
    totals.writes += was_spoilt;
    return !was_spoilt;
}

static void answers_learn(void)
{
    life it = {.done = 0};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &it.on));
    kd_ctx *own = sim_session_ctx(&it.on);
    for (int i = 0; i < STEPS; i++) {
        if (i == STEPS - 1)
            CHECK_STATUS(own, answers_read(&it.on, expected[0], sizeof expected[0]));
        CHECK_STATUS(own, sim_script(&it.on, steps[i]));
    }
    CHECK_STATUS(own, answers_read(&it.on, expected[1], sizeof expected[1]));
    sim_crash(sim);
    kd_database_abandon(it.on.database);
    sim_destroy(sim);
    sim_disk_destroy(disk);
}

TEST(a_write_that_is_lost_or_lands_elsewhere_is_named_or_changes_no_answer)
{
    (void)alarm(0);
    answers_learn();
    for (int how = SIM_WRITE_LOST; how <= SIM_WRITE_ASTRAY; how++)
        for (int ends = CLOSED; ends <= CRASHED; ends++)
            for (uint64_t nth = 1; !life_with(nth, (sim_spoilt_write)how, (ending)ends);)
                nth++;
    printf(
        "%u writes spoilt: %u named at once, %u at the next opening or check, %u changed nothing;"
        " of these %u took the last commit before a crash\n",
        totals.writes, totals.named_at_once, totals.named_later, totals.unharmed, totals.untold);
}
