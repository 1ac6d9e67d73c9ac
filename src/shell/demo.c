/*
 * kade demo: a database of three million real flights, a dozen statements with their answers and
 * times, and the shell on it.
 *
 * A directory that holds someone's own tables is refused; one that an earlier demo made (it has the
 * table kade_demo) is filled anew.
 */
#include "shell/shell_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

typedef struct demo_step {
    const char *title;
    const char *sql; /* %FLIGHTS% and %AIRPORTS% stand for the files. */
} demo_step;

static const demo_step STEPS[] = {
    {"Two tables. Every row of airports has a key; flights are looked up by time.",
     "CREATE TABLE airports (\n"
     "    iata text PRIMARY KEY, name text, city text, state text, country text,\n"
     "    latitude double precision, longitude double precision\n"
     ");\n"
     "CREATE TABLE flights (\n"
     "    departed timestamp NOT NULL, delay integer, distance integer NOT NULL,\n"
     "    origin text NOT NULL, destination text NOT NULL\n"
     ");"},
    {"3,376 airports from a CSV file, 3,000,000 flights from a compressed one; durable when done.",
     "COPY airports FROM %AIRPORTS% (FORMAT csv, HEADER true);\n"
     "COPY flights FROM %FLIGHTS% (FORMAT csv, HEADER true);"},
    {"What is in it?",
     "SELECT count(*) AS flights, min(departed) AS first, max(departed) AS last,\n"
     "       count(DISTINCT origin) AS airports\nFROM flights;"},
    {"The busiest airports, by name.",
     "SELECT a.iata, a.name, a.city, count(*) AS departures\n"
     "FROM flights f JOIN airports a ON a.iata = f.origin\n"
     "GROUP BY a.iata, a.name, a.city ORDER BY departures DESC LIMIT 5;"},
    {"How late is an average flight, by month, and how many are more than 15 minutes late?",
     "SELECT date_trunc('month', departed) AS month, count(*) AS flights,\n"
     "       round(avg(delay), 2) AS avg_delay,\n"
     "       round(100.0 * sum(CASE WHEN delay > 15 THEN 1 ELSE 0 END) / count(*), 1) AS late_pct\n"
     "FROM flights GROUP BY 1 ORDER BY 1;"},
    {"Fly in the morning: delay by hour of departure.",
     "SELECT extract(hour FROM departed) AS hour, count(*) AS flights,\n"
     "       round(avg(delay), 1) AS avg_delay\n"
     "FROM flights GROUP BY 1 ORDER BY avg_delay LIMIT 5;"},
    {"The longest routes in the data.",
     "SELECT origin, destination, distance, count(*) AS flights\n"
     "FROM flights GROUP BY origin, destination, distance ORDER BY distance DESC, flights DESC\n"
     "LIMIT 5;"},
    {"Routes whose two ends lie in the same state, with a common table expression.",
     "WITH inside AS (\n"
     "    SELECT o.state FROM flights f\n"
     "    JOIN airports o ON o.iata = f.origin JOIN airports d ON d.iata = f.destination\n"
     "    WHERE o.state = d.state\n"
     ")\n"
     "SELECT state, count(*) AS flights FROM inside GROUP BY state ORDER BY flights DESC LIMIT 5;"},
    {"One day at one airport.",
     "SELECT destination, count(*) AS flights, max(delay) AS worst_delay FROM flights\n"
     "WHERE origin = 'SFO' AND departed >= '2001-02-14' AND departed < '2001-02-15'\n"
     "GROUP BY destination ORDER BY flights DESC, destination LIMIT 5;"},
    {"One row by its key.",
     "SELECT name, city, latitude, longitude FROM airports WHERE iata = 'SEA';"},
    {"Changes are transactions: this one never happened.",
     "BEGIN;\n"
     "DELETE FROM flights WHERE delay > 60;\n"
     "SELECT count(*) AS flights_inside FROM flights;\n"
     "ROLLBACK;\n"
     "SELECT count(*) AS flights_after FROM flights;"},
    {"This one did: an update with a constraint that guards it, and the rows it changed.",
     "ALTER TABLE airports ADD CHECK (latitude BETWEEN -90 AND 90);\n"
     "UPDATE airports SET city = 'Seattle-Tacoma' WHERE iata = 'SEA' RETURNING iata, city;"},
    {"Documents beside columns.",
     "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb);\n"
     "INSERT INTO notes (body) VALUES\n"
     "    ('{\"airport\": \"SEA\", \"tags\": [\"rain\", \"coffee\"]}'),\n"
     "    ('{\"airport\": \"ANC\", \"tags\": [\"snow\"]}');\n"
     "SELECT a.name, n.body -> 'tags' AS tags FROM notes n\n"
     "JOIN airports a ON a.iata = n.body ->> 'airport' ORDER BY n.id;"},
};

static bool demo_refuses(kdi_shell *shell, const char *directory)
{
    const char *tables = kdi_shell_lookup(shell,
                                          "SELECT count(*) FROM information_schema.tables "
                                          "WHERE table_schema = 'public'",
                                          NULL, 0);
    if (tables == NULL) {
        kdi_shell_show_error(shell, kade_session_error(shell->session), (kd_slice){NULL, 0});
        return true;
    }
    if (strcmp(tables, "0") == 0)
        return false;
    const char *mark = kdi_shell_lookup(shell,
                                        "SELECT count(*) FROM information_schema.tables "
                                        "WHERE table_name = 'kade_demo'",
                                        NULL, 0);
    if (mark != NULL && strcmp(mark, "1") == 0)
        return false;
    fprintf(stderr, "kade demo: %s holds a database that no demo made; name another directory\n",
            directory);
    return true;
}

/* The sample data: beside the source tree, installed, or below the working directory. */
static const char *data_directory(kdi_shell *shell, const char *wanted)
{
    char program[PATH_BYTES];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash != NULL)
        *slash = '\0';
    static const char *const PLACES[] = {"../../data/flights", "../share/kade/flights",
                                         "../data/flights"};
    for (size_t i = 0; i < 2 + sizeof PLACES / sizeof PLACES[0]; i++) {
        char *path;
        if (i == 0 && wanted != NULL)
            path = kd_format_text(&shell->ctx, shell->arena, "%s", wanted);
        else if (i < 2)
            path = kd_format_text(&shell->ctx, shell->arena, "data/flights");
        else
            path = kd_format_text(&shell->ctx, shell->arena, "%s/%s", program, PLACES[i - 2]);
        if (path == NULL)
            return NULL;
        char *file = kd_format_text(&shell->ctx, shell->arena, "%s/flights.csv.zst", path);
        if (file != NULL && access(file, R_OK) == 0)
            return path;
        if (i == 0 && wanted != NULL)
            break;
    }
    fprintf(stderr, "kade demo: no flights.csv.zst found; name its directory with --data DIR\n");
    return NULL;
}

/* The statement with the files' names put in. */
static const char *step_text(kdi_shell *shell, const char *sql, const char *data)
{
    kd_buffer out = kd_buffer_in(shell->arena);
    const char *flights = kdi_quote_literal(
        shell, kd_format_text(&shell->ctx, shell->arena, "%s/flights.csv.zst", data));
    const char *airports = kdi_quote_literal(
        shell, kd_format_text(&shell->ctx, shell->arena, "%s/airports.csv", data));
    kd_status status = KD_OK;
    while (*sql != '\0' && status == KD_OK) {
        if (strncmp(sql, "%FLIGHTS%", 9) == 0) {
            status = kd_buffer_append_text(&shell->ctx, &out, flights);
            sql += 9;
        } else if (strncmp(sql, "%AIRPORTS%", 10) == 0) {
            status = kd_buffer_append_text(&shell->ctx, &out, airports);
            sql += 10;
        } else {
            status = kd_buffer_append_byte(&shell->ctx, &out, (uint8_t)*sql++);
        }
    }
    return status == KD_OK ? out.data : "";
}

static bool demo_walk(kdi_shell *shell, const char *data)
{
    shell->show_timing = true;
    shell->shows_tags = true;
    bool fine = true;
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && fine && !shell->wants_exit; i++) {
        const char *sql = step_text(shell, STEPS[i].sql, data);
        printf("\n-- %zu. %s\n%s\n", i + 1, STEPS[i].title, sql);
        fflush(stdout);
        fine = kdi_shell_run_text(shell, sql);
    }
    shell->show_timing = false;
    return fine;
}

static int demo_run(kdi_shell *shell, const char *directory, const char *wanted_data)
{
    const char *data = data_directory(shell, wanted_data);
    if (data == NULL || kdi_shell_open(shell) != KD_OK || demo_refuses(shell, directory))
        return 1;
    static const char BEGIN[] = "DROP TABLE IF EXISTS notes, flights, airports, kade_demo;"
                                "CREATE TABLE kade_demo (version text)";
    if (!kdi_shell_run_silently(shell, KD_SLICE(BEGIN)))
        return 1;
    printf("KadeDB %s. The demo's database is %s.\n", kade_version(), directory);
    if (!demo_walk(shell, data))
        return 1;
    bool stays = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
    printf("\nThe database stays in %s; open it with: kade %s\n", directory, directory);
    if (stays) {
        printf("This is the shell on it. \\? lists its commands, \\q leaves.\n");
        shell->is_interactive = true;
        kdi_shell_run_terminal(shell);
    }
    return 0;
}

int kdi_demo_main(int argc, char **argv)
{
    const char *directory = "kade-demo";
    const char *wanted_data = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            wanted_data = argv[++i];
        } else if (argv[i][0] != '-') {
            directory = argv[i];
        } else {
            fputs("usage: kade demo [DIRECTORY] [--data DIRECTORY]\n", stderr);
            return 2;
        }
    }
    kdi_shell shell = {.ctx = {.world = kd_world_posix()},
                       .path = directory,
                       .out = stdout,
                       .show_header = true,
                       .null_text = "",
                       .out_is_terminal = isatty(STDOUT_FILENO) != 0};
    shell.open_options.struct_bytes = sizeof shell.open_options;
    int code = 1;
    if (kdi_shell_init(&shell)) {
        kdi_shell_catch_interrupts(&shell);
        code = demo_run(&shell, directory, wanted_data);
    }
    kdi_shell_close(&shell);
    kd_arena_destroy(shell.arena);
    return code;
}
