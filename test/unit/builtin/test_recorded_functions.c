/*
 * Functions, operators, aggregates and table functions against what PostgreSQL 15
 * answered (recorded_functions.h). A difference is printed with both answers.
 */
#include "call_fixture.h"
#include "recorded_functions.h"

#include <stdio.h>

static const char *call_recorded(call_fixture *fixture, const struct recorded *it)
{
    switch (it->kind) {
    case 'F':
        return call_function(fixture, it->name, it->arguments);
    case 'T':
        return call_table_function(fixture, it->name, it->arguments);
    default:
        return call_aggregate(fixture, it->name, it->arguments, it->kind == 'O');
    }
}

/* Failures agree in code and message; PostgreSQL's own message may be longer than ours records. */
TEST(functions_answer_as_postgresql_does)
{
    call_fixture fixture;
    call_fixture_init(&fixture);
    int differences = 0;
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        const struct recorded *it = &recorded[i];
        const char *answer = call_recorded(&fixture, it);
        if (strcmp(answer, it->answer) == 0)
            continue;
        differences++;
        printf("  %c %s(", it->kind, it->name);
        for (int a = 0; a < CALL_ARGUMENTS_MAX && it->arguments[a] != NULL; a++)
            printf("%s%s", a > 0 ? " , " : "", it->arguments[a]);
        printf(")\n    PostgreSQL %s\n    here       %s\n", it->answer, answer);
    }
    CHECK_EQ(differences, 0);
    call_fixture_clear(&fixture);
}
