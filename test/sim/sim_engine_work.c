/*
 * What the sessions of sim_engine do: statements of all kinds, alone and in transactions, each with
 * what it must give.
 *
 * An operation starts from `current`, makes `next` of it, and says how the statement must end.
 * Only a statement that succeeded makes `next` current.
 */
#include "sim_engine.h"

#include <stdio.h>
#include <string.h>

static unsigned base_of(const worker *self)
{
    return self->no * 1000;
}

/* The statement's end; what it must give is in the arguments, what it makes of the rows in `next`.
 */
static verdict settle(worker *self, const char *sqlstate, int64_t affected, const char *sql)
{
    verdict how = ask(self, sqlstate, affected, NULL, "%s", sql);
    if (how == FORETOLD && strcmp(sqlstate, "00000") == 0)
        self->current = self->next;
    else if (how == FORETOLD)
        self->has_failed = true;
    return how;
}

static void group_text(char *out, int group)
{
    if (group == ABSENT)
        (void)snprintf(out, 16, "NULL");
    else
        (void)snprintf(out, 16, "%d", group);
}

/* A parent that is there, none, or (seldom) one that is not. */
static int parent_choose(worker *self, const char **sqlstate)
{
    int parent = (int)below(self, PARENTS);
    if (self->next.parents[parent] != ABSENT)
        return parent;
    if (below(self, 6) != 0)
        return ABSENT;
    *sqlstate = "23503";
    return parent;
}

/* --- Items ------------------------------------------------------------------------------------ */

/* "(id, owner, grp, score, parent, name)" of a new item; *sqlstate when it cannot be. */
static void item_values(worker *self, unsigned i, char *sql, const char **sqlstate)
{
    item *one = &self->next.items[i];
    char group[16], parent[16] = "NULL";
    bool was_there = one->is_there;
    *one = (item){.is_there = true,
                  .group = (int)below(self, 6) - 1,
                  .score = (int)below(self, 1000),
                  .name_no = (int)below(self, 12)};
    one->parent = parent_choose(self, sqlstate);
    int score = one->score;
    if (below(self, 25) == 0) {
        score = -1;
        *sqlstate = "23514";
    }
    if (was_there && strcmp(*sqlstate, "23514") != 0)
        *sqlstate = "23505";
    group_text(group, one->group);
    if (one->parent != ABSENT)
        (void)snprintf(parent, sizeof parent, "%u", base_of(self) + (unsigned)one->parent);
    text_add(sql, SQL_BYTES, "(%u, %u, %s, %d, %s, 'name %d of an item')", base_of(self) + i,
             self->no, group, score, parent, one->name_no);
}

static verdict item_insert(worker *self)
{
    char sql[SQL_BYTES] = "INSERT INTO item VALUES ";
    const char *sqlstate = "00000";
    item_values(self, below(self, ITEMS), sql, &sqlstate);
    return settle(self, sqlstate, 1, sql);
}

/* Several at once: one that cannot be undoes all of them. Ids are distinct, and either all are new
 * and right, or exactly one is not. */
static verdict items_insert(worker *self)
{
    char sql[SQL_BYTES] = "INSERT INTO item VALUES ";
    const char *sqlstate = "00000";
    int64_t count = 0;
    unsigned first = below(self, ITEMS);
    for (unsigned i = first; i < ITEMS && count < 4 && strcmp(sqlstate, "00000") == 0; i++) {
        if (self->next.items[i].is_there && below(self, 12) != 0)
            continue;
        if (count > 0)
            text_add(sql, sizeof sql, ", ");
        item_values(self, i, sql, &sqlstate);
        count++;
    }
    return count == 0 ? FORETOLD : settle(self, sqlstate, count, sql);
}

static verdict item_update(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned i = below(self, ITEMS);
    item *one = &self->next.items[i];
    const char *sqlstate = "00000";
    bool by_view = below(self, 4) == 0; /* Which has no parent. */
    one->score += 1;
    text_add(sql, sizeof sql, "UPDATE %s SET score = score + 1", by_view ? "scored" : "item");
    if (below(self, 3) == 0) {
        one->name_no = (int)below(self, 12);
        text_add(sql, sizeof sql, ", name = 'name %d of an item'", one->name_no);
    }
    if (!by_view && below(self, 4) == 0) {
        one->parent = parent_choose(self, &sqlstate);
        char parent[16] = "NULL";
        if (one->parent != ABSENT)
            (void)snprintf(parent, sizeof parent, "%u", base_of(self) + (unsigned)one->parent);
        text_add(sql, sizeof sql, ", parent = %s", parent);
    }
    text_add(sql, sizeof sql, " WHERE id = %u", base_of(self) + i);
    if (!one->is_there) {
        self->next = self->current;
        return settle(self, "00000", 0, sql);
    }
    return settle(self, sqlstate, 1, sql);
}

static verdict items_update(worker *self)
{
    char sql[SQL_BYTES] = "";
    int group = (int)below(self, 5), wanted = (int)below(self, 5), least = (int)below(self, 600);
    int64_t count = 0;
    for (int i = 0; i < ITEMS; i++) {
        item *one = &self->next.items[i];
        if (!one->is_there || one->group != group || one->score < least)
            continue;
        one->group = wanted;
        one->score += 2;
        count++;
    }
    text_add(sql, sizeof sql,
             "UPDATE item SET grp = %d, score = score + 2 WHERE owner = %u AND grp = %d"
             " AND score >= %d",
             wanted, self->no, group, least);
    return settle(self, "00000", count, sql);
}

static void item_forget(item *one)
{
    *one = (item){.is_there = false};
}

static verdict item_delete(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned i = below(self, ITEMS);
    const item *one = &self->current.items[i];
    item_forget(&self->next.items[i]);
    text_add(sql, sizeof sql, "DELETE FROM item WHERE id = %u", base_of(self) + i);
    return settle(self, one->is_there && one->tags > 0 ? "23503" : "00000", one->is_there, sql);
}

static verdict items_delete(worker *self)
{
    char sql[SQL_BYTES] = "";
    int group = (int)below(self, 5);
    const char *sqlstate = "00000";
    int64_t count = 0;
    for (int i = 0; i < ITEMS; i++) {
        item *one = &self->next.items[i];
        if (!one->is_there || one->group != group)
            continue;
        if (one->tags > 0)
            sqlstate = "23503";
        item_forget(one);
        count++;
    }
    text_add(sql, sizeof sql, "DELETE FROM item WHERE owner = %u AND grp = %d", self->no, group);
    return settle(self, sqlstate, count, sql);
}

static verdict item_upsert(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned i = below(self, ITEMS);
    item *one = &self->next.items[i];
    bool nothing = below(self, 3) == 0;
    int score = (int)below(self, 50);
    int64_t affected = 1;
    if (!one->is_there)
        *one = (item){.is_there = true, .group = 1, .score = score, .parent = ABSENT, .name_no = 1};
    else if (nothing)
        affected = 0;
    else
        one->score += score;
    text_add(sql, sizeof sql,
             "INSERT INTO item VALUES (%u, %u, 1, %d, NULL, 'name 1 of an item')"
             " ON CONFLICT (id) DO %s",
             base_of(self) + i, self->no, score,
             nothing ? "NOTHING" : "UPDATE SET score = item.score + excluded.score");
    return settle(self, "00000", affected, sql);
}

static verdict item_merge(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned first = below(self, ITEMS - 3);
    for (unsigned i = first; i < first + 3; i++) {
        item *one = &self->next.items[i];
        if (one->is_there)
            one->score += 5;
        else
            *one = (item){.is_there = true, .group = 2, .score = 5, .parent = ABSENT, .name_no = 2};
    }
    text_add(
        sql, sizeof sql,
        "MERGE INTO item USING (SELECT i FROM generate_series(%u, %u) g (i)) n ON item.id = n.i"
        " WHEN MATCHED THEN UPDATE SET score = item.score + 5"
        " WHEN NOT MATCHED THEN INSERT VALUES (n.i, %u, 2, 5, NULL, 'name 2 of an item')",
        base_of(self) + first, base_of(self) + first + 2, self->no);
    return settle(self, "00000", 3, sql);
}

/* --- Parents and tags ------------------------------------------------------------------------- */

static bool label_is_taken(const belongings *own, int label, unsigned but)
{
    for (unsigned i = 0; i < PARENTS; i++)
        if (i != but && own->parents[i] == label)
            return true;
    return false;
}

static verdict parent_put(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned i = below(self, PARENTS);
    int label = (int)below(self, 7);
    bool is_there = self->next.parents[i] != ABSENT;
    const char *sqlstate = label_is_taken(&self->next, label, i) ? "23505" : "00000";
    bool is_second = is_there && below(self, 4) == 0; /* Of the id, in whatever partition. */
    if (is_second)
        sqlstate = "23505";
    self->next.parents[i] = label;
    if (is_there && !is_second)
        text_add(sql, sizeof sql, "UPDATE parent SET label = 'label %d' WHERE id = %u", label,
                 base_of(self) + i);
    else
        text_add(sql, sizeof sql, "INSERT INTO parent VALUES (%u, %u, 'label %d')",
                 base_of(self) + i, self->no, label);
    return settle(self, sqlstate, 1, sql);
}

/* Takes its items along, unless one of them has tags. */
static verdict parent_delete(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned k = below(self, PARENTS);
    bool is_there = self->next.parents[k] != ABSENT;
    const char *sqlstate = "00000";
    self->next.parents[k] = ABSENT;
    for (int i = 0; i < ITEMS; i++) {
        item *one = &self->next.items[i];
        if (!one->is_there || one->parent != (int)k)
            continue;
        if (one->tags > 0)
            sqlstate = "23503";
        item_forget(one);
    }
    text_add(sql, sizeof sql, "DELETE FROM parent WHERE id = %u", base_of(self) + k);
    return settle(self, sqlstate, is_there, sql);
}

static verdict tag_add(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned i = below(self, ITEMS);
    item *one = &self->next.items[i];
    text_add(sql, sizeof sql, "INSERT INTO tag VALUES (%u, %d)", base_of(self) + i,
             one->is_there ? one->tags : 0);
    one->tags++;
    return settle(self, one->is_there ? "00000" : "23503", 1, sql);
}

static verdict tags_delete(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned first = below(self, ITEMS), end = first + 1 + below(self, 8);
    int64_t count = 0;
    for (unsigned i = first; i < end && i < ITEMS; i++) {
        count += self->next.items[i].is_there ? self->next.items[i].tags : 0;
        self->next.items[i].tags = 0;
    }
    text_add(sql, sizeof sql,
             "DELETE FROM tag USING item WHERE tag.item = item.id AND"
             " item.owner = %u AND item.id >= %u AND item.id < %u",
             self->no, base_of(self) + first, base_of(self) + end);
    return settle(self, "00000", count, sql);
}

/* --- Batches: many rows at once --------------------------------------------------------------- */

static int batch_size(worker *self)
{
    return 1 + (int)(below(self, 8) == 0 ? below(self, 900) : below(self, 60));
}

/* The rows of the COPY under way as a file, which goes straight into segments. */
static bool batch_file_write(worker *self, const char *path)
{
    char rows[4096];
    size_t row_bytes;
    uint64_t offset = 0;
    kd_file *file = NULL;
    kd_ctx ctx = sim_ctx(self->run->sim);
    kd_status status =
        ctx.world->file_open(&ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &file);
    while (status == KD_OK && copy_read(self, rows, sizeof rows, &row_bytes) && row_bytes > 0) {
        status = ctx.world->file_write(&ctx, file, offset, rows, row_bytes);
        offset += row_bytes;
    }
    ctx.world->file_close(ctx.world, file);
    self->copy_sent = 0;
    return status == KD_OK;
}

static void batch_copy(worker *self, unsigned batch, int rows, char *sql)
{
    char path[32];
    self->copy_rows = rows;
    self->copy_sent = 0;
    self->copy_batch = (int)batch;
    snprintf(path, sizeof path, "load%u.csv", self->no);
    if (below(self, 2) == 0 && batch_file_write(self, path))
        text_add(sql, SQL_BYTES, "COPY big FROM '%s' WITH (FORMAT csv, HEADER false)", path);
    else
        text_add(sql, SQL_BYTES, "COPY big FROM STDIN WITH (FORMAT csv)");
}

static verdict batch_load(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned batch = below(self, BATCHES);
    int rows = batch_size(self);
    const char *sqlstate = self->next.batch_rows[batch] > 0 ? "23505" : "00000";
    self->next.batch_rows[batch] = rows;
    self->next.batch_version[batch] = 0;
    if (below(self, 3) == 0)
        text_add(sql, sizeof sql,
                 "INSERT INTO big SELECT %u, %u, i, 'text, 0' FROM generate_series(0, %d) g (i)",
                 self->no, batch, rows - 1);
    else
        batch_copy(self, batch, rows, sql);
    return settle(self, sqlstate, rows, sql);
}

static verdict batch_change(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned batch = below(self, BATCHES);
    int64_t rows = self->next.batch_rows[batch];
    if (below(self, 2) == 0) {
        self->next.batch_rows[batch] = self->next.batch_version[batch] = 0;
        text_add(sql, sizeof sql, "DELETE FROM big WHERE owner = %u AND batch = %u", self->no,
                 batch);
    } else {
        int version = ++self->next.batch_version[batch];
        if (rows == 0)
            self->next = self->current;
        text_add(sql, sizeof sql,
                 "UPDATE big SET body = 'text, %d' WHERE owner = %u AND batch = %u", version,
                 self->no, batch);
    }
    return settle(self, "00000", rows, sql);
}

/* --- Definitions ------------------------------------------------------------------------------ */

static verdict side_column(worker *self)
{
    char sql[SQL_BYTES] = "";
    belongings *next = &self->next;
    bool adds =
        next->side_columns == 0 || (next->side_columns < SIDE_COLUMNS_MAX && below(self, 2) == 0);
    if (adds)
        next->side_columns++;
    text_add(sql, sizeof sql,
             adds ? "ALTER TABLE side_%u ADD COLUMN c%d int NOT NULL DEFAULT %d"
                  : "ALTER TABLE side_%u DROP COLUMN c%d",
             self->no, next->side_columns, next->side_columns);
    if (!adds)
        next->side_columns--;
    return settle(self, "00000", ABSENT, sql);
}

static verdict side_change(worker *self)
{
    char sql[SQL_BYTES] = "";
    belongings *next = &self->next;
    unsigned which = below(self, 5);
    if (!next->has_side) {
        next->has_side = true;
        next->side_columns = next->side_rows = 0;
        text_add(sql, sizeof sql, "CREATE TABLE side_%u (a int PRIMARY KEY, b text UNIQUE)",
                 self->no);
    } else if (which == 0) {
        next->has_side = false;
        text_add(sql, sizeof sql, "DROP TABLE side_%u", self->no);
    } else if (which == 1) {
        next->side_rows = 0;
        text_add(sql, sizeof sql, "TRUNCATE side_%u", self->no);
    } else if (which == 2) {
        return side_column(self);
    } else {
        int rows = 1 + (int)below(self, 5);
        text_add(sql, sizeof sql,
                 "INSERT INTO side_%u (a, b) SELECT i, 'b' || i FROM generate_series(%d, %d) g (i)",
                 self->no, next->side_rows, next->side_rows + rows - 1);
        next->side_rows += rows;
        if (next->side_rows > 30)
            return FORETOLD;
        return settle(self, "00000", rows, sql);
    }
    return settle(self, "00000", ABSENT, sql);
}

static verdict index_toggle(worker *self)
{
    char sql[SQL_BYTES] = "";
    self->next.has_index = !self->current.has_index;
    if (self->next.has_index)
        text_add(sql, sizeof sql, "CREATE INDEX item_%u ON item (score, owner)", self->no);
    else
        text_add(sql, sizeof sql, "DROP INDEX item_%u", self->no);
    return settle(self, "00000", ABSENT, sql);
}

/* --- Seats: a deferrable key --------------------------------------------------------------------
 */

static verdict seats_settle(worker *self, int64_t affected, const char *sql)
{
    bool is_judged = !self->in_transaction || self->current.seats_at_once;
    return settle(self, is_judged && seats_clash(&self->next) ? "23505" : "00000", affected, sql);
}

static verdict seat_take(worker *self)
{
    char sql[SQL_BYTES] = "";
    unsigned guest = below(self, SEATS), place = below(self, SEATS);
    if (self->current.seats[guest] == ABSENT)
        text_add(sql, sizeof sql, "INSERT INTO seat VALUES (%u, %u, %u)", self->no, guest, place);
    else
        text_add(sql, sizeof sql, "UPDATE seat SET place = %u WHERE owner = %u AND guest = %u",
                 place, self->no, guest);
    self->next.seats[guest] = (int)place;
    return seats_settle(self, 1, sql);
}

/* Everybody moves on by one: in the midst of it seats are taken twice. */
static verdict seats_shift(worker *self)
{
    char sql[SQL_BYTES] = "";
    int64_t count = 0;
    for (int i = 0; i < SEATS; i++) {
        if (self->current.seats[i] == ABSENT)
            continue;
        self->next.seats[i] = (self->current.seats[i] + 1) % SEATS;
        count++;
    }
    text_add(sql, sizeof sql, "UPDATE seat SET place = (place + 1) %% %d WHERE owner = %u", SEATS,
             self->no);
    return seats_settle(self, count, sql);
}

static verdict seat_leave(worker *self)
{
    char sql[SQL_BYTES] = "";
    int place = (int)below(self, SEATS);
    int64_t count = 0;
    for (int i = 0; i < SEATS; i++) {
        if (self->current.seats[i] != place)
            continue;
        self->next.seats[i] = ABSENT;
        count++;
    }
    text_add(sql, sizeof sql, "DELETE FROM seat WHERE owner = %u AND place = %d", self->no, place);
    return seats_settle(self, count, sql);
}

static verdict seats_judge(worker *self)
{
    if (!self->in_transaction)
        return FORETOLD;
    bool at_once = !self->current.seats_at_once;
    self->next.seats_at_once = at_once;
    return settle(self, at_once && seats_clash(&self->current) ? "23505" : "00000", ABSENT,
                  at_once ? "SET CONSTRAINTS seat_place IMMEDIATE"
                          : "SET CONSTRAINTS seat_place DEFERRED");
}

/* --- What belongs to all ---------------------------------------------------------------------- */

static verdict ticket_draw(worker *self)
{
    char sql[SQL_BYTES] = "";
    int rows = 1 + (int)below(self, 3);
    self->next.tickets += rows;
    text_add(sql, sizeof sql,
             "INSERT INTO ticket SELECT nextval('ticket_no'), %u FROM generate_series(1, %d)",
             self->no, rows);
    return settle(self, "00000", rows, sql);
}

/* Three statements that are one: only inside a transaction. */
static verdict transfer(worker *self)
{
    unsigned from = 1 + below(self, ACCOUNTS), to = 1 + below(self, ACCOUNTS),
             amount = below(self, 20);
    if (!self->in_transaction)
        return FORETOLD;
    verdict how = ask(self, "00000", 1, NULL,
                      "UPDATE account SET amount = amount - %u WHERE id = %u", amount, from);
    if (how == FORETOLD)
        how = ask(self, "00000", 1, NULL, "UPDATE account SET amount = amount + %u WHERE id = %u",
                  amount, to);
    if (how == FORETOLD)
        how = ask(self, "00000", 1, NULL, "UPDATE account SET amount = amount + 1 WHERE id = 0");
    if (how == FORETOLD)
        how = ask(self, "00000", 1, NULL,
                  "UPDATE counter SET transfers = transfers + 1 WHERE owner = %u", self->no);
    if (how == FORETOLD)
        self->current.transfers++;
    return how;
}

static verdict lock_rows(worker *self)
{
    static const char *const ways[] = {"", " SKIP LOCKED", " NOWAIT"};
    char got[TEXT_BYTES];
    return ask_text(self, got, "SELECT id FROM account WHERE id IN (%u, %u) FOR %s%s",
                    1 + below(self, ACCOUNTS), 1 + below(self, ACCOUNTS),
                    below(self, 2) == 0 ? "UPDATE" : "SHARE", ways[below(self, 3)]);
}

static verdict read_own(worker *self)
{
    return read_anything(self, &self->current);
}

typedef verdict (*operation)(worker *self);
static const struct {
    operation run;
    unsigned weight;
} operations[] = {
    {item_insert, 12}, {items_insert, 6}, {item_update, 12}, {items_update, 6}, {item_delete, 4},
    {items_delete, 2}, {item_upsert, 6},  {item_merge, 3},   {parent_put, 8},   {parent_delete, 3},
    {tag_add, 4},      {tags_delete, 3},  {batch_load, 5},   {batch_change, 5}, {side_change, 5},
    {index_toggle, 1}, {ticket_draw, 3},  {transfer, 8},     {lock_rows, 3},    {read_own, 18},
    {seat_take, 8},    {seats_shift, 4},  {seat_leave, 3},   {seats_judge, 3},
};

static verdict operate(worker *self)
{
    unsigned total = 0, i = 0;
    for (size_t k = 0; k < sizeof operations / sizeof *operations; k++)
        total += operations[k].weight;
    unsigned drawn = below(self, total);
    while (drawn >= operations[i].weight)
        drawn -= operations[i++].weight;
    self->next = self->current;
    return operations[i].run(self);
}

/* --- Transactions ----------------------------------------------------------------------------- */

static kd_session_state state_of(const worker *self)
{
    return kd_session_get_state(self->session);
}

/* After anything that was not foretold: the session must be able to go back, unless there is no
 * memory at all. */
static void give_up(worker *self)
{
    self->in_transaction = false;
    for (int i = 0; i < 3 && state_of(self) != KD_SESSION_IDLE; i++) {
        verdict how = ask(self, "00000", ABSENT, NULL, "ROLLBACK");
        CHECK(how == FORETOLD || how == NO_MEMORY);
    }
    self->is_stuck = state_of(self) != KD_SESSION_IDLE;
}

static verdict savepoint_step(worker *self)
{
    unsigned count = self->savepoint_count;
    if (count > 0 && below(self, 2) == 0) {
        verdict how = ask(self, "00000", ABSENT, NULL, "ROLLBACK TO s%u", count - 1);
        if (how == FORETOLD)
            self->current = self->savepoints[count - 1];
        return how;
    }
    if (count > 0 && below(self, 3) == 0) {
        verdict how = ask(self, "00000", ABSENT, NULL, "RELEASE s%u", count - 1);
        if (how == FORETOLD)
            self->savepoint_count--;
        return how;
    }
    if (count == SAVEPOINTS_MAX)
        return FORETOLD;
    verdict how = ask(self, "00000", ABSENT, NULL, "SAVEPOINT s%u", count);
    if (how == FORETOLD)
        self->savepoints[self->savepoint_count++] = self->current;
    return how;
}

/* A statement failed as foretold: back to a savepoint, or the end. */
static verdict recover(worker *self, bool *out_goes_on)
{
    *out_goes_on = false;
    self->has_failed = false;
    CHECK_EQ(state_of(self), KD_SESSION_FAILED);
    if (below(self, 4) == 0) {
        verdict how = ask(self, "25P02", ABSENT, NULL, "SELECT 1");
        if (how != FORETOLD)
            return how;
    }
    if (self->savepoint_count > 0) {
        verdict how = ask(self, "00000", ABSENT, NULL, "ROLLBACK TO s%u", --self->savepoint_count);
        if (how != FORETOLD)
            return how;
        self->current = self->savepoints[self->savepoint_count++];
        *out_goes_on = true;
    }
    return FORETOLD;
}

/* The end of what changed something: acknowledged, undone, or nobody knows. */
static void conclude(worker *self, verdict how, const belongings *result)
{
    if (how == FORETOLD) {
        self->committed = *result;
    } else if (how == BROKEN) {
        self->attempted = *result;
        self->in_doubt = true;
    }
}

static void transaction_commit(worker *self)
{
    bool fails = seats_clash(&self->current);
    self->current.seats_at_once = false;
    verdict how = ask(self, fails ? "23505" : "00000", ABSENT, NULL, "COMMIT");
    if (!fails)
        conclude(self, how, &self->current);
    give_up(self);
}

static void transaction(worker *self)
{
    static const char *const levels[] = {"", " ISOLATION LEVEL READ COMMITTED",
                                         " ISOLATION LEVEL SERIALIZABLE",
                                         " ISOLATION LEVEL REPEATABLE READ"};
    self->current = self->committed;
    self->savepoint_count = 0;
    self->has_failed = false;
    verdict how = ask(self, "00000", ABSENT, NULL, "BEGIN%s", levels[below(self, 4)]);
    if (how != FORETOLD) {
        give_up(self);
        return;
    }
    self->in_transaction = true;
    how = ask(self, "00000", 1, NULL, "UPDATE counter SET n = n + 1 WHERE owner = %u", self->no);
    self->current.number++;
    for (unsigned steps = 1 + below(self, 6); how == FORETOLD && steps > 0; steps--) {
        how = below(self, 5) == 0 ? savepoint_step(self) : operate(self);
        if (how == FORETOLD && self->has_failed) {
            bool goes_on;
            how = recover(self, &goes_on);
            if (!goes_on) {
                give_up(self);
                return;
            }
        }
    }
    if (how != FORETOLD || below(self, 6) == 0)
        give_up(self);
    else
        transaction_commit(self);
}

static void single_statement(worker *self)
{
    self->current = self->committed;
    self->has_failed = false;
    self->in_transaction = false;
    verdict how = operate(self);
    bool changes = memcmp(&self->next, &self->committed, sizeof self->next) != 0;
    if (how == FORETOLD)
        self->committed = self->current;
    else if (changes)
        conclude(self, how, &self->next);
    CHECK_EQ(state_of(self), KD_SESSION_IDLE);
}

static void upkeep(worker *self)
{
    static const char *const works[] = {"CHECKPOINT", "VACUUM", "VACUUM item", "ANALYZE"};
    (void)ask(self, "00000", ABSENT, NULL, "%s", works[below(self, 4)]);
}

static void settings_change(worker *self)
{
    static const char *const settings[] = {"SET statement_timeout = 3", "SET statement_timeout = 0",
                                           "SET lock_timeout = 2", "SET lock_timeout = 0",
                                           "SET work_mem = '64kB'"};
    (void)ask(self, "00000", ABSENT, NULL, "%s", settings[below(self, 4)]);
}

void worker_run(void *object)
{
    worker *self = object;
    sim_run *run = self->run;
    unsigned steps = 4 + below(self, 16);
    while (steps-- > 0 && !self->in_doubt && !self->is_stuck && !sim_has_crashed(run->sim)) {
        unsigned which = below(self, 40);
        if (which < 2)
            upkeep(self);
        else if (which == 2)
            settings_change(self);
        else if (which == 3)
            sim_jump_clock(run->sim, (int64_t)below(self, 1000000) * 1000000 - 500000000000);
        else if (which == 4)
            (void)shared_check(self);
        else if (which < 20)
            single_statement(self);
        else
            transaction(self);
    }
    if (self->is_stuck) { /* Its client goes away, and its locks with it: others wait for them. */
        kd_session_close(self->session);
        self->session = NULL;
    }
    atomic_fetch_sub(&run->live_workers, 1);
}

void keeper_run(void *object)
{
    worker *self = object;
    kd_world *world = sim_kd_world(self->run->sim);
    while (atomic_load(&self->run->live_workers) > 0 && !sim_has_crashed(self->run->sim)) {
        upkeep(self);
        world->sleep_ns(world, below(self, 4) == 0 ? below(self, 2000000) : 1000);
    }
}
