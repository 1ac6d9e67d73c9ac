/*
 * The end of a process that no longer believes itself.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void kd_assert_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}
