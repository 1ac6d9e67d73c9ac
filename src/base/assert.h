/*
 * Assertions that stay on in every build: for the log, storage and whatever else would
 * write wrong bytes if the programmer's belief were wrong. Stopping is better than that.
 *
 * A stored byte, a user's input and the outside world are never asserted, only checked.
 */
#ifndef KD_BASE_ASSERT_H
#define KD_BASE_ASSERT_H

_Noreturn void kd_assert_failed(const char *file, int line, const char *expression);

#define kd_assert(expression) \
    ((expression) ? (void)0 : kd_assert_failed(__FILE__, __LINE__, #expression))

/* Debug builds only: for checks that cost more than what they guard. */
#ifdef NDEBUG
#define kd_assert_slow(expression) ((void)sizeof(expression))
#else
#define kd_assert_slow(expression) kd_assert(expression)
#endif

#endif
