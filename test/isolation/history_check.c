/*
 * The anomalies of a history: versions first, then what reads saw of them, then the cycles of what
 * depends on what.
 */
#include "history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum edge_kind { EDGE_WW = 1, EDGE_WR = 2, EDGE_RW = 4 } edge_kind;

typedef struct edge {
    uint32_t from, to; /* Transactions, or nodes of a graph made of them. */
    edge_kind kind;
} edge;

typedef struct check {
    const history *it;
    history_level level;
    history_report *out;
    uint32_t txn_count, value_bound;
    bool *took_effect;     /* By transaction. */
    uint32_t *order;       /* The values of all keys' versions, key after key. */
    uint64_t *end_after;   /* By place in `order`: the earliest end of its writer and later ones. */
    uint32_t *order_first; /* By key; key_count + 1 of them. */
    uint32_t *place;       /* By value: 1 + its place among its key's versions; 0: none. */
    edge *edges;
    size_t edge_count, edge_capacity;
    bool has_memory;
} check;

__attribute__((format(printf, 3, 4))) static void found(check *c, history_anomaly what,
                                                        const char *format, ...)
{
    if (c->out->found[what]++ > 0)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->out->first[what], sizeof c->out->first[what], format, args);
    va_end(args);
}

static uint32_t writer_of(uint32_t value)
{
    return (value - 1) / HISTORY_OPS_MAX;
}

static const history_op *op_of(const check *c, uint32_t value)
{
    return &c->it->txns[writer_of(value)].ops[(value - 1) % HISTORY_OPS_MAX];
}

static uint32_t outcome_of(const check *c, uint32_t txn)
{
    return atomic_load(&c->it->txns[txn].outcome);
}

/* Whether `value` is what some write of `key` wrote. */
static bool is_write_of(const check *c, uint32_t value, uint32_t key)
{
    return value > 0 && value < c->value_bound && op_of(c, value)->is_write &&
           op_of(c, value)->value == value && op_of(c, value)->key == key;
}

static uint32_t version_count(const check *c, uint32_t key)
{
    return c->order_first[key + 1] - c->order_first[key];
}

/* --- Versions --------------------------------------------------------------------------------- */

static void version_add(check *c, uint32_t key, uint32_t value)
{
    uint32_t first = c->order_first[key], *end = &c->order_first[key + 1];
    if (!is_write_of(c, value, key)) {
        found(c, HISTORY_WRONG_ORDER, "key %u holds %u, which nobody wrote there", key, value);
        return;
    }
    if (c->place[value] != 0) {
        found(c, HISTORY_WRONG_ORDER, "key %u holds %u twice", key, value);
        return;
    }
    c->order[*end] = value;
    c->place[value] = ++*end - first;
}

static void list_versions(check *c, uint32_t key)
{
    for (uint32_t i = 0; i < c->it->final_size[key]; i++)
        version_add(c, key, c->it->values[c->it->final_first[key] + i]);
}

/* The chain from the register's first write to the value in the end. `next`: by value replaced, 0's
 * being the key's own. */
static void register_versions(check *c, uint32_t key, const uint32_t *next, uint32_t first)
{
    uint32_t last = 0;
    for (uint32_t value = first; value != 0; value = next[value]) {
        version_add(c, key, value);
        last = value;
    }
    uint32_t final = c->it->final_size[key] == 0 ? 0 : c->it->values[c->it->final_first[key]];
    if (final != last)
        found(c, HISTORY_LOST_WRITE, "register %u holds %u, the last write was %u", key, final,
              last);
}

/* Who replaced what; two that replaced the same: one overwrote the other unseen. */
static void replacements(check *c, uint32_t *next, uint32_t *first)
{
    for (uint32_t t = 0; t < c->txn_count; t++) {
        const history_txn *txn = &c->it->txns[t];
        for (uint32_t o = 0; outcome_of(c, t) == HISTORY_COMMITTED && o < txn->op_count; o++) {
            const history_op *op = &txn->ops[o];
            if (!op->is_write)
                continue;
            uint32_t *slot = op->previous == 0 ? &first[op->key] : &next[op->previous];
            if (*slot != 0)
                found(c, HISTORY_LOST_WRITE, "register %u: %u and %u both replaced %u", op->key,
                      *slot, op->value, op->previous);
            *slot = op->value;
        }
    }
}

static void all_versions(check *c)
{
    uint32_t *next = calloc(c->value_bound, sizeof *next);
    uint32_t *first = calloc(c->it->key_count, sizeof *first);
    c->has_memory = next != NULL && first != NULL;
    if (c->has_memory && c->it->is_of_registers)
        replacements(c, next, first);
    for (uint32_t key = 0; c->has_memory && key < c->it->key_count; key++) {
        c->order_first[key + 1] = c->order_first[key];
        if (c->it->is_of_registers)
            register_versions(c, key, next, first[key]);
        else
            list_versions(c, key);
    }
    free(next);
    free(first);
}

static uint64_t end_of(const check *c, uint32_t txn)
{
    uint64_t ended = c->it->txns[txn].ended;
    return ended == 0 || outcome_of(c, txn) != HISTORY_COMMITTED ? UINT64_MAX : ended;
}

static void ends_after(check *c)
{
    for (uint32_t key = 0; key < c->it->key_count; key++) {
        uint64_t least = UINT64_MAX;
        for (uint32_t i = c->order_first[key + 1]; i-- > c->order_first[key];) {
            uint64_t ended = end_of(c, writer_of(c->order[i]));
            least = ended < least ? ended : least;
            c->end_after[i] = least;
        }
    }
}

/* Which transactions took effect, and that they did so wholly. */
static void effects(check *c)
{
    for (uint32_t t = 0; t < c->txn_count; t++) {
        const history_txn *txn = &c->it->txns[t];
        uint32_t writes = 0, placed = 0, outcome = outcome_of(c, t);
        for (uint32_t o = 0; o < txn->op_count; o++) {
            writes += txn->ops[o].is_write;
            placed += txn->ops[o].is_write && c->place[txn->ops[o].value] != 0;
        }
        c->took_effect[t] =
            outcome == HISTORY_COMMITTED || (outcome == HISTORY_COMMITTING && placed > 0);
        c->out->committed += c->took_effect[t];
        if (outcome == HISTORY_COMMITTED && placed < writes)
            found(c, HISTORY_LOST_WRITE, "%u of %u writes of transaction %u are not there",
                  writes - placed, writes, t);
        else if (outcome == HISTORY_COMMITTING && placed > 0 && placed < writes)
            found(c, HISTORY_PARTIAL, "%u of %u writes of transaction %u are there", placed, writes,
                  t);
        else if (!c->took_effect[t] && placed > 0)
            found(c, HISTORY_ABORTED_READ, "transaction %u never committed and is there", t);
    }
}

/* --- Reads ------------------------------------------------------------------------------------ */

static void edge_add(check *c, uint32_t from, uint32_t to, edge_kind kind)
{
    if (from == to || !c->took_effect[from] || !c->took_effect[to])
        return;
    if (c->edge_count == c->edge_capacity) {
        size_t capacity = c->edge_capacity == 0 ? 1024 : c->edge_capacity * 2;
        edge *grown = realloc(c->edges, capacity * sizeof *grown);
        if (grown == NULL) {
            c->has_memory = false;
            return;
        }
        c->edges = grown;
        c->edge_capacity = capacity;
    }
    c->edges[c->edge_count++] = (edge){from, to, kind};
}

/* What a read saw of others: the first `count` versions of its key. */
static void versions_seen(check *c, uint32_t txn, const history_op *op, uint32_t count)
{
    const uint32_t *order = c->order + c->order_first[op->key];
    uint32_t size = version_count(c, op->key);
    if (count > 0)
        edge_add(c, writer_of(order[count - 1]), txn, EDGE_WR);
    if (count == size)
        return;
    uint32_t next = writer_of(order[count]);
    edge_add(c, txn, next, EDGE_RW);
    if (count > 0 && next == writer_of(order[count - 1]) && next != txn)
        found(c, HISTORY_MIDDLE_READ, "transaction %u saw %u of key %u, which %u replaced itself",
              txn, order[count - 1], op->key, next);
    uint64_t began = c->level == HISTORY_READ_COMMITTED ? op->began : c->it->txns[txn].began;
    if (c->end_after[c->order_first[op->key] + count] < began)
        found(c, HISTORY_STALE_READ,
              "transaction %u read version %u of key %u, and the next was there", txn, count,
              op->key);
}

static void value_unknown(check *c, uint32_t txn, const history_op *op, uint32_t value)
{
    bool is_lost = is_write_of(c, value, op->key) && c->took_effect[writer_of(value)];
    found(c, is_lost ? HISTORY_LOST_WRITE : HISTORY_ABORTED_READ,
          "transaction %u saw %u in key %u, which is not there in the end", txn, value, op->key);
}

/* `own`: the transaction's writes of the key before this read, `own_count` of them. */
static void list_seen(check *c, uint32_t txn, const history_op *op, const uint32_t *own,
                      uint32_t own_count)
{
    const uint32_t *values = c->it->values + op->first, *order = c->order + c->order_first[op->key];
    if (op->size < own_count ||
        memcmp(values + op->size - own_count, own, own_count * sizeof *own) != 0) {
        found(c, HISTORY_OWN_WRITE, "transaction %u: key %u does not end with its writes", txn,
              op->key);
        return;
    }
    uint32_t count = op->size - own_count;
    for (uint32_t i = 0; i < count; i++) {
        if (i < version_count(c, op->key) && values[i] == order[i])
            continue;
        if (values[i] >= c->value_bound || c->place[values[i]] == 0)
            value_unknown(c, txn, op, values[i]);
        else
            found(c, HISTORY_WRONG_ORDER, "transaction %u saw %u at %u of key %u", txn, values[i],
                  i, op->key);
        return;
    }
    if (own_count == 0)
        versions_seen(c, txn, op, count);
}

static void register_seen(check *c, uint32_t txn, const history_op *op, const uint32_t *own,
                          uint32_t own_count)
{
    uint32_t value = op->size == 0 ? 0 : c->it->values[op->first];
    if (own_count > 0) {
        if (value != own[own_count - 1])
            found(c, HISTORY_OWN_WRITE, "transaction %u: register %u holds %u", txn, op->key,
                  value);
    } else if (value == 0) {
        versions_seen(c, txn, op, 0);
    } else if (!is_write_of(c, value, op->key) || c->place[value] == 0) {
        value_unknown(c, txn, op, value);
    } else {
        versions_seen(c, txn, op, c->place[value]);
    }
}

static void reads_of(check *c, uint32_t txn)
{
    const history_txn *it = &c->it->txns[txn];
    for (uint32_t o = 0; o < it->op_count; o++) {
        const history_op *op = &it->ops[o];
        if (op->is_write)
            continue;
        uint32_t own[HISTORY_OPS_MAX], own_count = 0;
        for (uint32_t before = 0; before < o; before++) {
            if (it->ops[before].is_write && it->ops[before].key == op->key)
                own[own_count++] = it->ops[before].value;
        }
        if (c->it->is_of_registers)
            register_seen(c, txn, op, own, own_count);
        else
            list_seen(c, txn, op, own, own_count);
    }
}

static void all_edges(check *c)
{
    for (uint32_t key = 0; key < c->it->key_count; key++) {
        for (uint32_t i = c->order_first[key] + 1; i < c->order_first[key + 1]; i++)
            edge_add(c, writer_of(c->order[i - 1]), writer_of(c->order[i]), EDGE_WW);
    }
    for (uint32_t t = 0; t < c->txn_count; t++) {
        if (c->took_effect[t])
            reads_of(c, t);
    }
    c->out->edges = (uint32_t)c->edge_count;
}

/* --- Cycles ----------------------------------------------------------------------------------- */

/* A directed graph by adjacency, and Tarjan's search for its strongly connected components (1972),
 * with a stack of its own. */
typedef struct graph {
    uint32_t node_count;
    uint32_t *first, *targets; /* node_count + 1; one for each edge. */
    uint32_t *number, *low, *at, *stack, *path;
    bool *is_on_stack;
} graph;

static bool graph_make(graph *g, uint32_t node_count, const edge *edges, size_t edge_count)
{
    *g = (graph){.node_count = node_count};
    g->first = calloc((size_t)node_count + 2, sizeof *g->first);
    g->targets = calloc(edge_count + 1, sizeof *g->targets);
    g->number = calloc((size_t)node_count * 5 + 1, sizeof *g->number);
    g->is_on_stack = calloc((size_t)node_count + 1, sizeof *g->is_on_stack);
    if (g->first == NULL || g->targets == NULL || g->number == NULL || g->is_on_stack == NULL)
        return false;
    g->low = g->number + node_count;
    g->at = g->low + node_count;
    g->stack = g->at + node_count;
    g->path = g->stack + node_count;
    for (size_t i = 0; i < edge_count; i++)
        g->first[edges[i].from + 2]++;
    for (uint32_t node = 0; node < node_count; node++)
        g->first[node + 2] += g->first[node + 1];
    for (size_t i = 0; i < edge_count; i++)
        g->targets[g->first[edges[i].from + 1]++] = edges[i].to;
    return true;
}

static void graph_free(graph *g)
{
    free(g->first);
    free(g->targets);
    free(g->number);
    free(g->is_on_stack);
}

/* The component that `root` closes lies on top of the stack; a single node is no cycle. */
static uint32_t component_take(graph *g, uint32_t root, uint32_t *depth, uint32_t *members)
{
    uint32_t size = 0, node;
    do {
        node = g->stack[--*depth];
        g->is_on_stack[node] = false;
        if (size < HISTORY_OPS_MAX)
            members[size] = node;
        size++;
    } while (node != root);
    return size;
}

/* How many components have a cycle; some members of the first in `members`. */
static uint32_t graph_knots(graph *g, uint32_t *members, uint32_t *out_size)
{
    uint32_t knots = 0, numbered = 0, depth = 0;
    for (uint32_t start = 0; start < g->node_count; start++) {
        if (g->number[start] != 0)
            continue;
        uint32_t length = 0;
        g->path[length++] = start;
        while (length > 0) {
            uint32_t node = g->path[length - 1];
            if (g->number[node] == 0) {
                g->number[node] = g->low[node] = ++numbered;
                g->at[node] = g->first[node];
                g->stack[depth++] = node;
                g->is_on_stack[node] = true;
            }
            if (g->at[node] < g->first[node + 1]) {
                uint32_t to = g->targets[g->at[node]++];
                if (g->number[to] == 0)
                    g->path[length++] = to;
                else if (g->is_on_stack[to] && g->number[to] < g->low[node])
                    g->low[node] = g->number[to];
                continue;
            }
            length--;
            if (length > 0 && g->low[node] < g->low[g->path[length - 1]])
                g->low[g->path[length - 1]] = g->low[node];
            if (g->low[node] != g->number[node])
                continue;
            uint32_t some[HISTORY_OPS_MAX], size = component_take(g, node, &depth, some);
            if (size > 1 && knots++ == 0) {
                *out_size = size < HISTORY_OPS_MAX ? size : HISTORY_OPS_MAX;
                memcpy(members, some, *out_size * sizeof *members);
            }
        }
    }
    return knots;
}

static void knots_tell(check *c, history_anomaly what, uint32_t knots, const uint32_t *members,
                       uint32_t size, uint32_t nodes_each)
{
    if (knots == 0)
        return;
    char text[160] = "";
    for (uint32_t i = 0; i < size; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), " %u",
                       members[i] / nodes_each);
    found(c, what, "among transactions%s", text);
    c->out->found[what] = knots;
}

static void cycles_of(check *c, history_anomaly what, unsigned kinds)
{
    edge *chosen = calloc(c->edge_count + 1, sizeof *chosen);
    size_t count = 0;
    for (size_t i = 0; chosen != NULL && i < c->edge_count; i++) {
        if ((c->edges[i].kind & kinds) != 0)
            chosen[count++] = c->edges[i];
    }
    graph g = {0};
    uint32_t members[HISTORY_OPS_MAX], size = 0;
    if (chosen != NULL && graph_make(&g, c->txn_count, chosen, count))
        knots_tell(c, what, graph_knots(&g, members, &size), members, size, 1);
    else
        c->has_memory = false;
    graph_free(&g);
    free(chosen);
}

/*
 * Cycles in which no rw follows an rw: what snapshot isolation forbids (Cerone and Gotsman, 2016:
 * (ww or wr) followed by at most one rw has no cycle). A node says how its transaction was reached.
 */
static void cycles_without_adjacent_rw(check *c)
{
    edge *twice = calloc(c->edge_count * 2 + 1, sizeof *twice);
    size_t count = 0;
    for (size_t i = 0; twice != NULL && i < c->edge_count; i++) {
        uint32_t from = c->edges[i].from * 2, to = c->edges[i].to * 2;
        if (c->edges[i].kind == EDGE_RW) {
            twice[count++] = (edge){from, to + 1, EDGE_RW};
        } else {
            twice[count++] = (edge){from, to, EDGE_WW};
            twice[count++] = (edge){from + 1, to, EDGE_WW};
        }
    }
    graph g = {0};
    uint32_t members[HISTORY_OPS_MAX], size = 0;
    if (twice != NULL && graph_make(&g, c->txn_count * 2, twice, count))
        knots_tell(c, HISTORY_G_NONADJACENT, graph_knots(&g, members, &size), members, size, 2);
    else
        c->has_memory = false;
    graph_free(&g);
    free(twice);
}

bool history_check(const history *it, history_level level, history_report *out)
{
    *out = (history_report){0};
    check c = {.it = it, .level = level, .out = out, .txn_count = atomic_load(&it->txn_count)};
    c.value_bound = c.txn_count * HISTORY_OPS_MAX + 1;
    c.took_effect = calloc((size_t)c.txn_count + 1, sizeof *c.took_effect);
    c.order = calloc(c.value_bound, sizeof *c.order);
    c.end_after = calloc(c.value_bound, sizeof *c.end_after);
    c.order_first = calloc((size_t)it->key_count + 1, sizeof *c.order_first);
    c.place = calloc(c.value_bound, sizeof *c.place);
    if (c.took_effect != NULL && c.order != NULL && c.end_after != NULL && c.order_first != NULL &&
        c.place != NULL)
        all_versions(&c);
    if (c.has_memory) {
        ends_after(&c);
        effects(&c);
        all_edges(&c);
        cycles_of(&c, HISTORY_G0, EDGE_WW);
        cycles_of(&c, HISTORY_G1C, EDGE_WW | EDGE_WR);
        cycles_without_adjacent_rw(&c);
        cycles_of(&c, HISTORY_G2, EDGE_WW | EDGE_WR | EDGE_RW);
    }
    free(c.took_effect);
    free(c.order);
    free(c.end_after);
    free(c.order_first);
    free(c.place);
    free(c.edges);
    return c.has_memory;
}

bool history_forbids(history_level level, history_anomaly anomaly)
{
    if (anomaly == HISTORY_G_NONADJACENT)
        return level != HISTORY_READ_COMMITTED;
    if (anomaly == HISTORY_G2)
        return level == HISTORY_SERIALIZABLE;
    return true;
}
