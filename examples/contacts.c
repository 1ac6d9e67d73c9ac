/*
 * A first program: open, create, insert with parameters, query, change inside a transaction.
 *
 *     cc contacts.c $(pkg-config --cflags --libs kade) -o contacts && ./contacts [DATABASE]
 */
#include <kade.h>

#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the session's error when a call failed. */
static void check(kade_session *session, kade_status status)
{
    if (status == KADE_OK)
        return;
    const kade_error *error = kade_session_error(session);
    fprintf(stderr, "%s: %s\n", error->sqlstate, error->message);
    if (error->hint[0] != '\0')
        fprintf(stderr, "hint: %s\n", error->hint);
    exit(1);
}

static void add_contact(kade_session *session, const char *name, const char *city, int64_t born)
{
    kade_statement *statement;
    check(session, kade_prepare(session,
                                "INSERT INTO contacts (name, city, born) VALUES ($1, $2, $3) "
                                "ON CONFLICT (name) DO UPDATE SET city = excluded.city",
                                KADE_NUL, &statement));
    bool has_row;
    check(session, kade_bind_text(statement, 1, name, KADE_NUL));
    check(session, kade_bind_text(statement, 2, city, KADE_NUL));
    check(session, kade_bind_int64(statement, 3, born));
    check(session, kade_step(statement, &has_row));
    kade_finalize(statement);
}

static void show_contacts(kade_session *session, int64_t born_before)
{
    kade_statement *statement;
    check(session, kade_prepare(session,
                                "SELECT name, city, born FROM contacts WHERE born < $1 "
                                "ORDER BY born",
                                KADE_NUL, &statement));
    check(session, kade_bind_int64(statement, 1, born_before));
    bool has_row;
    for (;;) {
        check(session, kade_step(statement, &has_row));
        if (!has_row)
            break;
        printf("%-16s %-12s %lld\n", kade_column_text(statement, 0, NULL),
               kade_column_text(statement, 1, NULL), (long long)kade_column_int64(statement, 2));
    }
    kade_finalize(statement);
}

int main(int argc, char **argv)
{
    kade_database *database;
    kade_session *session;
    kade_error *error = NULL;
    const char *path = argc > 1 ? argv[1] : ":memory:";
    if (kade_open(path, KADE_NUL, NULL, &database, &error) != KADE_OK ||
        kade_connect(database, &session, &error) != KADE_OK) {
        fprintf(stderr, "%s\n", error != NULL ? error->message : "out of memory");
        kade_error_free(error);
        return 1;
    }
    check(session, kade_execute(session,
                                "CREATE TABLE IF NOT EXISTS contacts ("
                                "  name text PRIMARY KEY, city text, born integer NOT NULL)",
                                KADE_NUL, NULL, NULL));
    add_contact(session, "Ada Lovelace", "London", 1815);
    add_contact(session, "Emmy Noether", "Erlangen", 1882);
    add_contact(session, "Grace Hopper", "New York", 1906);

    /* Nothing of this is there after the rollback. */
    check(session,
          kade_execute(session, "BEGIN; DELETE FROM contacts; ROLLBACK", KADE_NUL, NULL, NULL));
    show_contacts(session, 1900);

    kade_disconnect(session);
    kade_close(database);
    return 0;
}
