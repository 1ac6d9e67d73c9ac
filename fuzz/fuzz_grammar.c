/*
 * Statements by a grammar (statement.grammar) for a database in memory with tables of most types, a
 * partitioned one and views: nearly all of them pass the parser and most the binder, so that what
 * lies behind is reached. The input's bytes choose between the ways to write a rule; when they are
 * used up a generator of random numbers that they seed goes on, so that short inputs give whole
 * statements too. A new database every 50 inputs.
 *
 *     FUZZ_SHOW=1 fuzz_grammar INPUT     shows the statements of an input
 */
#include "fuzz_engine.h"

#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum {
    RULES_MAX = 200,
    WAYS_MAX = 1500,
    PARTS_MAX = 12000,
    STATEMENTS = 8,
    INPUTS_PER_DATABASE = 50,
    TEXT_MAX = 4000, /* From here on every rule is written in its shortest way. */
    DEPTH_MAX = 12
};

typedef struct grammar_part {
    const char *text;
    int rule; /* -1: the text stands for itself. */
    bool is_optional;
} grammar_part;

typedef struct grammar_way {
    int first, count; /* Of the parts. */
    int height;       /* Of the lowest tree that this way gives. */
} grammar_way;

typedef struct grammar_rule {
    const char *name;
    int first, count; /* Of the ways. */
    int height;
} grammar_rule;

typedef struct grammar {
    grammar_rule rules[RULES_MAX];
    grammar_way ways[WAYS_MAX];
    grammar_part parts[PARTS_MAX];
    int rule_count, way_count, part_count, root;
} grammar;

typedef struct chooser {
    const uint8_t *data;
    size_t size_bytes;
    uint64_t random;
} chooser;

typedef struct script {
    char text[1 << 16];
    size_t size_bytes;
} script;

static const char *const beginning[] = {
    "CREATE TYPE mood AS ENUM ('bad', 'ok', 'good')",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE TYPE pair AS (x int, y text)",
    "CREATE SEQUENCE q",
    "CREATE TABLE t (a integer PRIMARY KEY, b text, c numeric(10,2), d date, e timestamptz,"
    " f jsonb, g int[], h boolean, i float8, k interval, l mood)",
    "CREATE TABLE u (a integer, x bigint)",
    "CREATE TABLE w (a serial PRIMARY KEY, n int REFERENCES t ON DELETE SET NULL, r pair,"
    " m int GENERATED ALWAYS AS (n * 2) STORED, o positive DEFAULT 1)",
    "CREATE TABLE p (a int, b text) PARTITION BY RANGE (a)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (3)",
    "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3) TO (100)",
    "CREATE TABLE p3 PARTITION OF p DEFAULT",
    "CREATE UNIQUE INDEX ON p (a)",
    "CREATE INDEX ON t (b, d DESC)",
    "CREATE INDEX ON u (x) WHERE a IS NOT NULL",
    "INSERT INTO t VALUES"
    " (1, 'abc', 1.5, '2020-01-01', '2020-01-01 00:00+00', '{\"k\": 1, \"l\": [1, 2]}', '{1,2}',"
    " true, 0.5, '1 day', 'ok'),"
    " (2, 'x', NULL, '2020-02-29', NULL, '{\"k\": \"z\"}', '{}', false, 'NaN', NULL, 'bad'),"
    " (3, NULL, 7, NULL, '2021-03-28 01:30+00', '[1, null]', NULL, NULL, -1e300, '1 mon', NULL),"
    " (4, 'abd', 0, 'infinity', 'infinity', NULL, '{3,NULL}', true, NULL, '-1 year', 'good')",
    "INSERT INTO u VALUES (1, 10), (1, 20), (3, 30), (NULL, 5)",
    "INSERT INTO u SELECT s % 7, s FROM generate_series(1, 60) s",
    "INSERT INTO p SELECT s, 'v' || s % 3 FROM generate_series(-2, 8) s",
    "INSERT INTO w (n) VALUES (1), (NULL)",
    "CREATE VIEW v AS SELECT a, b FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS x FROM u GROUP BY a",
    "CREATE FUNCTION fi(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'",
    "CREATE FUNCTION ft(text, int) RETURNS text LANGUAGE sql RETURN $1 || $2",
    "PREPARE pr (int, text) AS SELECT $1 + a, $2 || b FROM t WHERE a = $1",
    "SET statement_timeout = 1000",
    "SET work_mem = '64kB'",
};

/* ---- Reading the grammar ---- */

static char *grammar_text(void)
{
    static char text[1 << 16];
    FILE *file = fopen(FUZZ_GRAMMAR, "rb");
    if (file == NULL)
        abort();
    size_t size_bytes = fread(text, 1, sizeof text - 1, file);
    if (size_bytes == 0 || size_bytes == sizeof text - 1)
        abort();
    (void)fclose(file);
    text[size_bytes] = 0;
    return text;
}

static void read_way(grammar *it, char *line)
{
    if (it->way_count == WAYS_MAX || it->rule_count == 0)
        abort();
    grammar_way *way = &it->ways[it->way_count++];
    way->first = it->part_count;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (it->part_count == PARTS_MAX)
            abort();
        it->parts[it->part_count++] = (grammar_part){.text = word, .rule = -1};
        way->count++;
    }
    it->rules[it->rule_count - 1].count++;
}

static void read_lines(grammar *it, char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '#')
            continue;
        if (*line == ' ') {
            read_way(it, line);
            continue;
        }
        if (it->rule_count == RULES_MAX)
            abort();
        it->rules[it->rule_count++] = (grammar_rule){.name = line, .first = it->way_count};
    }
}

static int find_rule(const grammar *it, const char *name, size_t size_bytes)
{
    for (int i = 0; i < it->rule_count; i++)
        if (strlen(it->rules[i].name) == size_bytes &&
            memcmp(it->rules[i].name, name, size_bytes) == 0)
            return i;
    return -1;
}

static void resolve(grammar *it)
{
    for (int i = 0; i < it->part_count; i++) {
        grammar_part *part = &it->parts[i];
        size_t size_bytes = strlen(part->text);
        size_t start = (part->text[0] == '?') + 1u;
        if (size_bytes <= start + 1 || part->text[start - 1] != '<' ||
            !islower((unsigned char)part->text[start]) || part->text[size_bytes - 1] != '>')
            continue;
        part->is_optional = start == 2;
        part->rule = find_rule(it, part->text + start, size_bytes - start - 1);
        if (part->rule < 0) {
            fprintf(stderr, "no rule %s\n", part->text);
            abort();
        }
    }
}

static int way_height(const grammar *it, const grammar_way *way)
{
    int height = 0;
    for (int i = way->first; i < way->first + way->count; i++) {
        const grammar_part *part = &it->parts[i];
        if (part->rule >= 0 && !part->is_optional && it->rules[part->rule].height >= height)
            height = it->rules[part->rule].height + 1;
    }
    return height;
}

/* Until nothing gets lower: every rule must have an end. */
static void measure(grammar *it)
{
    for (int i = 0; i < it->rule_count; i++)
        it->rules[i].height = RULES_MAX;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < it->rule_count; i++) {
            grammar_rule *rule = &it->rules[i];
            for (int j = rule->first; j < rule->first + rule->count; j++) {
                it->ways[j].height = way_height(it, &it->ways[j]);
                if (it->ways[j].height < rule->height) {
                    rule->height = it->ways[j].height;
                    changed = true;
                }
            }
        }
    }
    for (int i = 0; i < it->rule_count; i++)
        if (it->rules[i].height >= RULES_MAX)
            abort();
}

static const grammar *grammar_read(void)
{
    static grammar it;
    if (it.rule_count == 0) {
        read_lines(&it, grammar_text());
        resolve(&it);
        measure(&it);
        it.root = find_rule(&it, "statement", 9);
    }
    return &it;
}

/* ---- Writing statements ---- */

static unsigned choose(chooser *it, unsigned count)
{
    if (it->size_bytes > 0) {
        it->size_bytes--;
        return *it->data++ % count;
    }
    it->random = it->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(it->random >> 33) % count;
}

static void append(script *out, const char *text)
{
    size_t size_bytes = strlen(text);
    if (out->size_bytes + size_bytes + 1 >= sizeof out->text)
        return;
    memcpy(out->text + out->size_bytes, text, size_bytes);
    out->size_bytes += size_bytes;
    out->text[out->size_bytes++] = ' ';
}

static int lowest_way(const grammar *it, const grammar_rule *rule)
{
    int best = rule->first;
    for (int i = rule->first; i < rule->first + rule->count; i++)
        if (it->ways[i].height < it->ways[best].height)
            best = i;
    return best;
}

static void write_rule(const grammar *it, int number, int depth, chooser *from, script *out)
{
    const grammar_rule *rule = &it->rules[number];
    bool must_end = depth > DEPTH_MAX || out->size_bytes > TEXT_MAX;
    int chosen =
        must_end ? lowest_way(it, rule) : rule->first + (int)choose(from, (unsigned)rule->count);
    const grammar_way *way = &it->ways[chosen];
    for (int i = way->first; i < way->first + way->count; i++) {
        const grammar_part *part = &it->parts[i];
        if (part->rule < 0)
            append(out, part->text);
        else if (!part->is_optional || (!must_end && choose(from, 3) == 0))
            write_rule(it, part->rule, depth + 1, from, out);
    }
}

static void begin(fuzz_engine *engine)
{
    fuzz_engine_open(engine, (uint64_t)48 << 20);
    for (size_t i = 0; i < sizeof beginning / sizeof *beginning; i++)
        if (fuzz_run(engine, kd_slice_of(beginning[i]), NULL, 0) != KD_OK) {
            fprintf(stderr, "%s\n%s\n", beginning[i],
                    kd_session_ctx(engine->session)->error.message);
            abort();
        }
}

static void run_statement(fuzz_engine *engine, chooser *from)
{
    static script text;
    const grammar *it = grammar_read();
    text.size_bytes = 0;
    write_rule(it, it->root, 0, from, &text);
    bool shows = getenv("FUZZ_SHOW") != NULL;
    if (shows)
        fprintf(stderr, "%.*s;\n", (int)text.size_bytes, text.text);
    kd_status status = fuzz_run(engine, (kd_slice){text.text, text.size_bytes}, NULL, 0);
    if (shows && status != KD_OK)
        fprintf(stderr, "-- %s %s\n", kd_session_ctx(engine->session)->error.sqlstate,
                kd_session_ctx(engine->session)->error.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static fuzz_engine engine;
    static int count;
    chooser from = {data, size_bytes, 1469598103934665603u};
    for (size_t i = 0; i < size_bytes; i++)
        from.random = (from.random ^ data[i]) * 1099511628211u;
    if (engine.database == NULL)
        begin(&engine);
    for (int i = 0; i < STATEMENTS; i++)
        run_statement(&engine, &from);
    if (kd_session_get_state(engine.session) != KD_SESSION_IDLE)
        (void)!fuzz_run(&engine, KD_SLICE("ROLLBACK"), NULL, 0);
    if (kd_session_get_state(engine.session) != KD_SESSION_IDLE)
        abort();
    if (++count % INPUTS_PER_DATABASE == 0) {
        fuzz_engine_close(&engine);
        engine.database = NULL;
    }
    return 0;
}
