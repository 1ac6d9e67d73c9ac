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
    int rule_count, way_count, part_count;
    int root, beginning; /* Rules. */
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
        it.beginning = find_rule(&it, "beginning", 9);
        if (it.root < 0 || it.beginning < 0)
            abort();
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

/* Every way of the rule "beginning", one after the other. */
static void begin(fuzz_engine *engine)
{
    static script text;
    const grammar *it = grammar_read();
    const grammar_rule *rule = &it->rules[it->beginning];
    fuzz_engine_open(engine, (uint64_t)48 << 20);
    for (int i = 0; i < rule->count; i++) {
        const grammar_way *way = &it->ways[rule->first + i];
        text.size_bytes = 0;
        for (int j = 0; j < way->count; j++)
            append(&text, it->parts[way->first + j].text);
        if (fuzz_run(engine, (kd_slice){text.text, text.size_bytes}, NULL, 0) != KD_OK) {
            fprintf(stderr, "%.*s\n%s\n", (int)text.size_bytes, text.text,
                    kd_session_ctx(engine->session)->error.message);
            abort();
        }
    }
}

/* Again for every input: it may reset them. On a loaded machine they may time out as well. */
static void set_limits(fuzz_engine *engine)
{
    (void)!fuzz_run(engine, KD_SLICE("SET statement_timeout = 1000"), NULL, 0);
    (void)!fuzz_run(engine, KD_SLICE("SET work_mem = '64kB'"), NULL, 0);
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
    set_limits(&engine);
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
