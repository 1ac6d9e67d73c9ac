/*
 * User-defined functions: arguments, results, failures, replacing, aggregates over groups.
 */
#include "engine_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_one(void *object, kade_call *call)
{
    kade_call_return_int64(call, kade_call_int64(call, 0) + *(const int *)object);
}

static void join_texts(void *object, kade_call *call)
{
    char text[256];
    size_t a_bytes, b_bytes;
    (void)object;
    const char *a = kade_call_text(call, 0, &a_bytes);
    const char *b = kade_call_text(call, 1, &b_bytes);
    if (kade_call_is_null(call, 1)) {
        kade_call_return_null(call);
        return;
    }
    if (a_bytes + b_bytes > sizeof text) {
        kade_call_fail(call, "22001", "too long", KADE_NUL);
        return;
    }
    memcpy(text, a, a_bytes);
    memcpy(text + a_bytes, b, b_bytes);
    kade_call_return_text(call, text, a_bytes + b_bytes);
}

static void count_destroy(void *object)
{
    (*(int *)object)++;
}

static void create(kit *it, const kade_scalar_options *options)
{
    kade_error *error;
    if (kade_create_scalar(it->database, options, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s", error->message);
}

TEST(a_scalar_function_is_called_and_replaced)
{
    kit it = kit_memory();
    static const char *const types[] = {"bigint"};
    int step = 1, other_step = 10;
    kade_scalar_options options = {.struct_bytes = sizeof options,
                                   .name = "Plus_Step",
                                   .argument_types = types,
                                   .argument_count = 1,
                                   .return_type = "bigint",
                                   .run = add_one,
                                   .object = &step,
                                   .is_volatile = true};
    create(&it, &options);
    CHECK_ROWS(it.session, "SELECT plus_step(41), plus_step(NULL)", "42|~");
    kit_run(it.session, "CREATE TABLE t AS SELECT g::bigint AS g FROM generate_series(1, 10000) g");
    CHECK_ROWS(it.session, "SELECT sum(plus_step(g)) FROM t", "50015000");
    options.object = &other_step;
    create(&it, &options);
    CHECK_ROWS(it.session, "SELECT plus_step(1)", "11");
    options.return_type = "text";
    kade_error *error;
    CHECK(kade_create_scalar(it.database, &options, &error) == KADE_INVALID);
    CHECK_TEXT(error->sqlstate, "42P13");
    kade_error_free(error);
    kit_close(&it);
}

TEST(texts_nulls_and_failures_of_a_function)
{
    kit it = kit_memory();
    static const char *const types[] = {"text", "integer"};
    kade_scalar_options options = {.struct_bytes = sizeof options,
                                   .name = "join_texts",
                                   .argument_types = types,
                                   .argument_count = 2,
                                   .return_type = "varchar",
                                   .run = join_texts,
                                   .takes_null = true};
    create(&it, &options);
    CHECK_ROWS(it.session, "SELECT join_texts('a rather long text ', 12), join_texts('x', NULL)",
               "a rather long text 12|~");
    kit_fails(it.session, "SELECT join_texts(repeat('x', 300), 1)", "22001");
    options.return_type = "nonsense";
    kade_error *error;
    CHECK(kade_create_scalar(it.database, &options, &error) == KADE_INVALID);
    CHECK_TEXT(error->sqlstate, "42704");
    kade_error_free(error);
    kit_close(&it);
}

typedef struct product {
    double *value; /* Something to clear. */
} product;

static double *value_of(product *state)
{
    if (state->value == NULL) {
        state->value = malloc(sizeof *state->value);
        CHECK(state->value != NULL);
        *state->value = 1;
    }
    return state->value;
}

static void product_add(void *object, void *state, kade_call *call)
{
    (void)object;
    *value_of(state) *= kade_call_double(call, 0);
}

static void product_combine(void *object, void *state, void *other)
{
    (void)object;
    *value_of(state) *= *value_of(other);
}

static void product_finish(void *object, void *state, kade_call *call)
{
    (void)object;
    kade_call_return_double(call, *value_of(state));
}

static void product_clear(void *object, void *state)
{
    (void)object;
    free(((product *)state)->value);
}

TEST(an_aggregate_over_groups)
{
    kit it = kit_memory();
    static const char *const types[] = {"double precision"};
    int destroyed = 0;
    kade_aggregate_options options = {.struct_bytes = sizeof options,
                                      .name = "product",
                                      .argument_types = types,
                                      .argument_count = 1,
                                      .return_type = "double precision",
                                      .state_bytes = sizeof(product),
                                      .add = product_add,
                                      .combine = product_combine,
                                      .finish = product_finish,
                                      .state_clear = product_clear,
                                      .object = &destroyed,
                                      .destroy = count_destroy};
    CHECK_EQ(kade_create_aggregate(it.database, &options, NULL), KADE_OK);
    CHECK_ROWS(it.session, "SELECT product(x) FROM (VALUES (2.0), (NULL), (3.5)) v(x)", "7");
    CHECK_ROWS(it.session, "SELECT product(1.0) WHERE false", "1");
    kit_run(it.session,
            "CREATE TABLE t AS SELECT g % 100 AS k, CASE WHEN g < 100 THEN 3 ELSE 1 END AS x "
            "FROM generate_series(0, 99999) g");
    CHECK_ROWS(it.session,
               "SELECT count(*), min(p), max(p) "
               "FROM (SELECT k, product(x) AS p FROM t GROUP BY k) q",
               "100|3|3");
    options.name = "product_alone";
    options.combine = NULL;
    CHECK_EQ(kade_create_aggregate(it.database, &options, NULL), KADE_OK);
    CHECK_ROWS(it.session,
               "SELECT sum(p) FROM (SELECT k, product_alone(x) AS p FROM t GROUP BY k) q", "300");
    CHECK_EQ(destroyed, 0);
    kit_close(&it);
    CHECK_EQ(destroyed, 2);
}

/* --- Registered beside statements --------------------------------------------------------------
 */

enum { REGISTRARS = 2, CALLERS = 2, ROUNDS = 150 };

typedef struct racer {
    kit *it;
    int no;
} racer;

static void *register_always(void *object)
{
    const racer *self = object;
    static const char *const types[] = {"bigint"};
    static int steps[2] = {1, 2};
    char name[32];
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(name, sizeof name, "step_%d_%d", self->no, i);
        kade_scalar_options options = {.struct_bytes = sizeof options,
                                       .name = name,
                                       .argument_types = types,
                                       .argument_count = 1,
                                       .return_type = "bigint",
                                       .run = add_one,
                                       .object = &steps[i % 2]};
        create(self->it, &options);
        options.name = "shared_step"; /* Replaced by whoever comes. */
        create(self->it, &options);
    }
    return NULL;
}

static void *call_always(void *object)
{
    const racer *self = object;
    kade_session *session;
    char sql[128];
    CHECK_EQ(kade_connect(self->it->database, &session, NULL), KADE_OK);
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(
            sql, sizeof sql,
            "CREATE TABLE t_%d_%d AS SELECT shared_step(g) FROM generate_series(1, 50) g", self->no,
            i);
        CHECK_EQ(kade_execute(session, sql, KADE_NUL, NULL, NULL), KADE_OK);
        (void)snprintf(sql, sizeof sql, "SELECT step_%d_%d(1)", self->no % REGISTRARS, i);
        if (kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
            CHECK_TEXT(kade_session_error(session)->sqlstate, "42883");
    }
    kade_disconnect(session);
    return NULL;
}

TEST(functions_are_registered_while_others_call_them)
{
    kit it = kit_memory();
    racer racers[REGISTRARS + CALLERS];
    pthread_t threads[REGISTRARS + CALLERS];
    static const char *const types[] = {"bigint"};
    static int step = 3;
    kade_scalar_options options = {.struct_bytes = sizeof options,
                                   .name = "shared_step",
                                   .argument_types = types,
                                   .argument_count = 1,
                                   .return_type = "bigint",
                                   .run = add_one,
                                   .object = &step};
    create(&it, &options);
    for (int i = 0; i < REGISTRARS + CALLERS; i++) {
        racers[i] = (racer){&it, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, i < REGISTRARS ? register_always : call_always,
                                &racers[i]),
                 0);
    }
    for (int i = 0; i < REGISTRARS + CALLERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_ROWS(it.session, "SELECT step_0_149(1), step_1_0(1)", "3|2");
    kit_close(&it);
}
