/*
 * The model of sim_engine: the schema, what a session's rows are, and checking them.
 */
#include "sim_engine.h"

#include <stdio.h>
#include <string.h>

static const char *const schema[] = {
    "CREATE TABLE counter (owner int PRIMARY KEY, n bigint NOT NULL, transfers bigint NOT NULL)",
    /* A key over all partitions, references to it, and rows that move when they get another label.
     */
    "CREATE TABLE parent (id int PRIMARY KEY, owner int NOT NULL, label text NOT NULL,"
    " UNIQUE (owner, label)) PARTITION BY RANGE (label)",
    "CREATE TABLE parent_low PARTITION OF parent FOR VALUES FROM (MINVALUE) TO ('label 3')",
    "CREATE TABLE parent_high PARTITION OF parent FOR VALUES FROM ('label 3') TO (MAXVALUE)",
    "CREATE TABLE item (id int PRIMARY KEY, owner int NOT NULL, grp int,"
    " score int NOT NULL CHECK (score >= 0),"
    " parent int REFERENCES parent (id) ON DELETE CASCADE, name text NOT NULL,"
    " words text[] GENERATED ALWAYS AS (string_to_array(name, ' ')) STORED,"
    " doc jsonb GENERATED ALWAYS AS"
    " (('{\"owner\": ' || owner::text || ', \"name\": \"' || name || '\"}')::jsonb) STORED)",
    "CREATE INDEX item_grp ON item (owner, grp)",
    "CREATE INDEX item_name ON item (name)",
    "CREATE INDEX item_words ON item USING gin (words, doc)",
    "CREATE INDEX item_doc ON item USING gin (doc jsonb_path_ops)",
    "CREATE TABLE tag (item int NOT NULL REFERENCES item (id), no int NOT NULL,"
    " PRIMARY KEY (item, no))",
    "CREATE TABLE seat (owner int, guest int, place int NOT NULL, PRIMARY KEY (owner, guest),"
    " CONSTRAINT seat_place UNIQUE (owner, place) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE VIEW labelled AS SELECT i.id, i.owner, p.label, (SELECT count(*) FROM tag t"
    " WHERE t.item = i.id) AS tags FROM item i JOIN parent p ON p.id = i.parent",
    "CREATE VIEW scored AS SELECT id, score, name FROM item WHERE score >= 0 WITH CHECK OPTION",
    "CREATE TABLE big (owner int, batch int, i int, body text NOT NULL,"
    " PRIMARY KEY (owner, batch, i))",
    "CREATE SEQUENCE ticket_no",
    "CREATE TABLE ticket (no bigint PRIMARY KEY, owner int NOT NULL)",
    "CREATE TABLE account (id int PRIMARY KEY, amount bigint NOT NULL)",
};

void belongings_init(belongings *own)
{
    *own = (belongings){0};
    for (int i = 0; i < PARENTS; i++)
        own->parents[i] = ABSENT;
    for (int i = 0; i < SEATS; i++)
        own->seats[i] = ABSENT;
}

bool seats_clash(const belongings *own)
{
    unsigned taken = 0;
    for (int i = 0; i < SEATS; i++) {
        if (own->seats[i] == ABSENT)
            continue;
        if ((taken >> own->seats[i] & 1) != 0)
            return true;
        taken |= 1u << own->seats[i];
    }
    return false;
}

verdict schema_create(worker *self)
{
    verdict how = ask(self, "00000", ABSENT, NULL, "BEGIN");
    for (size_t i = 0; how == FORETOLD && i < sizeof schema / sizeof *schema; i++)
        how = ask(self, "00000", ABSENT, NULL, "%s", schema[i]);
    if (how == FORETOLD)
        how = ask(self, "00000", SESSIONS_MAX, NULL,
                  "INSERT INTO counter SELECT i, 0, 0 FROM generate_series(0, %d) g (i)",
                  SESSIONS_MAX - 1);
    if (how == FORETOLD)
        how = ask(self, "00000", ACCOUNTS + 1, NULL,
                  "INSERT INTO account SELECT i, CASE i WHEN 0 THEN 0 ELSE %d END"
                  " FROM generate_series(0, %d) g (i)",
                  ACCOUNT_START, ACCOUNTS);
    if (how == FORETOLD)
        how = ask(self, "00000", ABSENT, NULL, "COMMIT");
    return how;
}

/* --- A session's rows, as text ---------------------------------------------------------------- */

static verdict rows_add(worker *self, verdict so_far, char *out, const char *title, const char *sql)
{
    char rows[TEXT_BYTES];
    if (so_far != FORETOLD)
        return so_far;
    verdict how = ask_text(self, rows, "%s", sql);
    text_add(out, TEXT_BYTES, "%s:\n%s", title, rows);
    return how;
}

static const char *format(char *sql, const char *text, unsigned a, unsigned b)
{
    sql[0] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text_add(sql, SQL_BYTES, text, a, b);
#pragma GCC diagnostic pop
    return sql;
}

static verdict side_read(worker *self, char *out)
{
    char sql[SQL_BYTES];
    int64_t columns = 0;
    verdict how = ask_int(
        self, &columns,
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'side_%u'", self->no);
    if (how != FORETOLD || columns == 0)
        return how;
    text_add(out, TEXT_BYTES, "side columns: %lld\n", (long long)columns - 2);
    (void)format(sql, "SELECT a, b", 0, 0);
    for (int i = 1; i <= columns - 2; i++)
        text_add(sql, sizeof sql, ", c%d", i);
    text_add(sql, sizeof sql, " FROM side_%u ORDER BY a", self->no);
    return rows_add(self, how, out, "side", sql);
}

verdict belongings_read(worker *self, char *out)
{
    char sql[SQL_BYTES];
    unsigned no = self->no;
    out[0] = '\0';
    verdict how = rows_add(self, FORETOLD, out, "counter",
                           format(sql, "SELECT n, transfers FROM counter WHERE owner = %u", no, 0));
    how = rows_add(self, how, out, "parent",
                   format(sql, "SELECT id, label FROM parent WHERE owner = %u ORDER BY id", no, 0));
    how = rows_add(self, how, out, "item",
                   format(sql,
                          "SELECT id, grp, score, parent, name FROM item WHERE owner = %u"
                          " ORDER BY id",
                          no, 0));
    how = rows_add(self, how, out, "tag",
                   format(sql,
                          "SELECT item, count(*), max(no) FROM tag WHERE item >= %u AND item < %u"
                          " GROUP BY item ORDER BY item",
                          no * 1000, no * 1000 + 1000));
    how = rows_add(
        self, how, out, "seat",
        format(sql, "SELECT guest, place FROM seat WHERE owner = %u ORDER BY guest", no, 0));
    how = rows_add(self, how, out, "big",
                   format(sql,
                          "SELECT batch, count(*), sum(i), min(body), max(body) FROM big"
                          " WHERE owner = %u GROUP BY batch ORDER BY batch",
                          no, 0));
    how = rows_add(self, how, out, "ticket",
                   format(sql, "SELECT count(*) FROM ticket WHERE owner = %u", no, 0));
    how = rows_add(self, how, out, "relations",
                   format(sql,
                          "SELECT count(*) FROM pg_class WHERE relname IN ('side_%u', 'item_%u')",
                          no, no));
    return how == FORETOLD ? side_read(self, out) : how;
}

static void items_tell(const belongings *own, unsigned base, char *out)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        const item *one = &own->items[i];
        if (!one->is_there)
            continue;
        char group[16] = "-", parent[16] = "-";
        if (one->group != ABSENT)
            (void)snprintf(group, sizeof group, "%d", one->group);
        if (one->parent != ABSENT)
            (void)snprintf(parent, sizeof parent, "%u", base + (unsigned)one->parent);
        text_add(out, TEXT_BYTES, "%u|%s|%d|%s|name %d of an item\n", base + i, group, one->score,
                 parent, one->name_no);
    }
}

static void side_tell(const belongings *own, char *out)
{
    if (!own->has_side)
        return;
    text_add(out, TEXT_BYTES, "side columns: %d\nside:\n", own->side_columns);
    for (int i = 0; i < own->side_rows; i++) {
        text_add(out, TEXT_BYTES, "%d|b%d", i, i);
        for (int k = 1; k <= own->side_columns; k++)
            text_add(out, TEXT_BYTES, "|%d", k);
        text_add(out, TEXT_BYTES, "\n");
    }
}

void belongings_tell(const worker *self, const belongings *own, char *out)
{
    unsigned base = self->no * 1000;
    out[0] = '\0';
    text_add(out, TEXT_BYTES, "counter:\n%lld|%lld\nparent:\n", (long long)own->number,
             (long long)own->transfers);
    for (unsigned i = 0; i < PARENTS; i++)
        if (own->parents[i] != ABSENT)
            text_add(out, TEXT_BYTES, "%u|label %d\n", base + i, own->parents[i]);
    text_add(out, TEXT_BYTES, "item:\n");
    items_tell(own, base, out);
    text_add(out, TEXT_BYTES, "tag:\n");
    for (unsigned i = 0; i < ITEMS; i++)
        if (own->items[i].is_there && own->items[i].tags > 0)
            text_add(out, TEXT_BYTES, "%u|%d|%d\n", base + i, own->items[i].tags,
                     own->items[i].tags - 1);
    text_add(out, TEXT_BYTES, "seat:\n");
    for (int i = 0; i < SEATS; i++)
        if (own->seats[i] != ABSENT)
            text_add(out, TEXT_BYTES, "%d|%d\n", i, own->seats[i]);
    text_add(out, TEXT_BYTES, "big:\n");
    for (int i = 0; i < BATCHES; i++) {
        long long rows = own->batch_rows[i];
        if (rows > 0)
            text_add(out, TEXT_BYTES, "%d|%lld|%lld|text, %d|text, %d\n", i, rows,
                     rows * (rows - 1) / 2, own->batch_version[i], own->batch_version[i]);
    }
    text_add(out, TEXT_BYTES, "ticket:\n%d\nrelations:\n%d\n", own->tickets,
             own->has_side + own->has_index);
    side_tell(own, out);
}

/* --- Questions with foretold answers ---------------------------------------------------------- */

static verdict read_group(worker *self, const belongings *own)
{
    unsigned group = below(self, 5), base = self->no * 1000;
    char expected[TEXT_BYTES] = "";
    for (unsigned i = 0; i < ITEMS; i++)
        if (own->items[i].is_there && own->items[i].group == (int)group)
            text_add(expected, sizeof expected, "%u|%d\n", base + i, own->items[i].score);
    return ask(self, "00000", ABSENT, expected,
               "SELECT id, score FROM item WHERE owner = %u AND grp = %u ORDER BY id", self->no,
               group);
}

static verdict read_point(worker *self, const belongings *own)
{
    unsigned i = below(self, ITEMS), base = self->no * 1000;
    char expected[64] = "";
    if (own->items[i].is_there)
        text_add(expected, sizeof expected, "%d|name %d of an item\n", own->items[i].score,
                 own->items[i].name_no);
    return ask(self, "00000", ABSENT, expected, "SELECT score, name FROM item WHERE id = %u",
               base + i);
}

/* By the key, by the partition, and both. */
static verdict read_parent(worker *self, const belongings *own)
{
    unsigned i = below(self, PARENTS), base = self->no * 1000;
    int label = own->parents[i];
    const char *table = below(self, 2) == 0 || label == ABSENT ? "parent"
                        : label < 3                            ? "parent_low"
                                                               : "parent_high";
    char expected[64] = "";
    if (label != ABSENT)
        text_add(expected, sizeof expected, "label %d\n", label);
    return ask(self, "00000", ABSENT, expected, "SELECT label FROM %s WHERE id = %u", table,
               base + i);
}

static verdict read_join(worker *self, const belongings *own)
{
    unsigned base = self->no * 1000;
    char expected[TEXT_BYTES] = "";
    for (unsigned i = 0; i < ITEMS; i++) {
        const item *one = &own->items[i];
        if (one->is_there && one->parent != ABSENT)
            text_add(expected, sizeof expected, "%u|label %d|%d\n", base + i,
                     own->parents[one->parent], one->tags);
    }
    if (below(self, 2) == 0)
        return ask(self, "00000", ABSENT, expected,
                   "SELECT id, label, tags FROM labelled WHERE owner = %u ORDER BY id", self->no);
    return ask(self, "00000", ABSENT, expected,
               "SELECT i.id, p.label, (SELECT count(*) FROM tag t WHERE t.item = i.id)"
               " FROM item i JOIN parent p ON p.id = i.parent WHERE i.owner = %u ORDER BY i.id",
               self->no);
}

static verdict read_sums(worker *self, const belongings *own)
{
    int counts[6] = {0}, sums[6] = {0};
    char expected[TEXT_BYTES] = "";
    for (int i = 0; i < ITEMS; i++)
        if (own->items[i].is_there) {
            counts[own->items[i].group + 1]++;
            sums[own->items[i].group + 1] += own->items[i].score;
        }
    for (int group = ABSENT; group < 5; group++)
        if (counts[group + 1] > 0 && group == ABSENT)
            text_add(expected, sizeof expected, "-|%d|%d\n", counts[0], sums[0]);
        else if (counts[group + 1] > 0)
            text_add(expected, sizeof expected, "%d|%d|%d\n", group, counts[group + 1],
                     sums[group + 1]);
    return ask(self, "00000", ABSENT, expected,
               "SELECT grp, count(*), sum(score) FROM item WHERE owner = %u GROUP BY grp"
               " ORDER BY grp NULLS FIRST",
               self->no);
}

/* By the ordered index or by one of the inverted ones. */
static verdict read_name(worker *self, const belongings *own)
{
    static const char *const questions[] = {
        "SELECT id FROM item WHERE name = 'name %d of an item' AND owner = %u ORDER BY id",
        "SELECT id FROM item WHERE '%d' = ANY (words) AND owner = %u ORDER BY id",
        "SELECT id FROM item WHERE words && ARRAY['%d', 'x'] AND doc @> '{\"owner\": %u}'"
        " ORDER BY id",
        "SELECT id FROM item WHERE doc @> '{\"name\": \"name %d of an item\", \"owner\": %u}'"
        " ORDER BY id"};
    unsigned i = below(self, ITEMS), base = self->no * 1000;
    char expected[TEXT_BYTES] = "";
    for (unsigned k = 0; k < ITEMS; k++)
        if (own->items[k].is_there && own->items[k].name_no == own->items[i].name_no)
            text_add(expected, sizeof expected, "%u\n", base + k);
    return ask(self, "00000", ABSENT, expected,
               questions[below(self, sizeof questions / sizeof *questions)], own->items[i].name_no,
               self->no);
}

static verdict read_batch(worker *self, const belongings *own)
{
    unsigned batch = below(self, BATCHES);
    unsigned i = below(self, 40);
    char expected[64] = "";
    if ((int)i < own->batch_rows[batch])
        text_add(expected, sizeof expected, "text, %d\n", own->batch_version[batch]);
    return ask(self, "00000", ABSENT, expected,
               "SELECT body FROM big WHERE owner = %u AND batch = %u AND i = %u", self->no, batch,
               i);
}

/* By the deferrable key, under which two rows may stand. */
static verdict read_seat(worker *self, const belongings *own)
{
    int place = (int)below(self, SEATS);
    char expected[64] = "";
    for (int i = 0; i < SEATS; i++)
        if (own->seats[i] == place)
            text_add(expected, sizeof expected, "%d\n", i);
    return ask(self, "00000", ABSENT, expected,
               "SELECT guest FROM seat WHERE owner = %u AND place = %d ORDER BY guest", self->no,
               place);
}

static verdict read_all(worker *self, const belongings *own)
{
    char got[TEXT_BYTES], expected[TEXT_BYTES];
    verdict how = belongings_read(self, got);
    if (how != FORETOLD)
        return how;
    belongings_tell(self, own, expected);
    CHECK_TEXT(got, expected);
    return how;
}

verdict read_anything(worker *self, const belongings *own)
{
    static verdict (*const questions[])(worker * self, const belongings *own) = {
        read_group, read_point, read_parent, read_join, read_sums,
        read_name,  read_batch, read_seat,   read_all};
    if (below(self, 8) == 0) {
        verdict how = ask(self, "00000", ABSENT, NULL, "SET enable_indexscan = %s",
                          below(self, 2) == 0 ? "on" : "off");
        if (how != FORETOLD)
            return how;
    }
    return questions[below(self, sizeof questions / sizeof *questions)](self, own);
}

/* --- Everything ------------------------------------------------------------------------------- */

/* What belongs to nobody. */
verdict shared_check(worker *self)
{
    char expected[64] = "";
    int64_t transfers = 0, before = self->run->seen_transfers;
    verdict how = ask_int(self, &transfers, "SELECT amount FROM account WHERE id = 0");
    if (how != FORETOLD)
        return how;
    CHECK(transfers >= before); /* Another session may have been told of more meanwhile. */
    if (transfers > self->run->seen_transfers)
        self->run->seen_transfers = transfers;
    text_add(expected, sizeof expected, "%d|%d\n", ACCOUNTS, ACCOUNTS * ACCOUNT_START);
    return ask(self, "00000", ABSENT, expected,
               "SELECT count(*), sum(amount)::bigint FROM account WHERE id > 0");
}

static verdict doubt_resolve(worker *self)
{
    char got[TEXT_BYTES], expected[TEXT_BYTES];
    verdict how = belongings_read(self, got);
    if (how != FORETOLD)
        return how;
    if (self->in_doubt) {
        belongings_tell(self, &self->attempted, expected);
        if (strcmp(got, expected) == 0)
            self->committed = self->attempted;
    }
    belongings_tell(self, &self->committed, expected);
    CHECK_TEXT(got, expected);
    self->in_doubt = false;
    return FORETOLD;
}

/* The same rows by each index and without. */
static verdict indexes_check(worker *self)
{
    verdict how = FORETOLD;
    for (int round = 0; how == FORETOLD && round < 2; round++) {
        how = ask(self, "00000", ABSENT, NULL, "SET enable_indexscan = %s",
                  round == 0 ? "on" : "off");
        if (how == FORETOLD)
            how = read_group(self, &self->committed);
        if (how == FORETOLD)
            how = read_name(self, &self->committed);
        if (how == FORETOLD)
            how = read_batch(self, &self->committed);
    }
    return how;
}

verdict state_check(sim_run *run)
{
    int64_t transfers = 0, told = 0;
    for (unsigned i = 0; i < run->session_count; i++) {
        verdict how = doubt_resolve(&run->workers[i]);
        if (how == FORETOLD)
            how = indexes_check(&run->workers[i]);
        if (how != FORETOLD)
            return how;
        transfers += run->workers[i].committed.transfers;
    }
    worker *first = &run->workers[0];
    verdict how = shared_check(first);
    if (how == FORETOLD)
        how = ask_int(first, &told, "SELECT amount FROM account WHERE id = 0");
    if (how != FORETOLD)
        return how;
    CHECK_EQ(told, transfers);
    kd_ctx *ctx = kd_session_ctx(first->session);
    kd_status status = kd_storage_check(ctx, kd_database_storage(run->database));
    if (status == KD_OK)
        return FORETOLD;
    if (!run->may_fail || (status != KD_IO && status != KD_NOMEM && status != KD_LIMIT))
        test_fail(__FILE__, __LINE__, "the storage's check: %s %s", ctx->error.sqlstate,
                  ctx->error.message);
    kd_error_clear(ctx);
    return BROKEN;
}
