/*
 * KD_ASAN, KD_TSAN: 1 where the build has AddressSanitizer or ThreadSanitizer, else 0.
 * gcc and clang tell it in different ways.
 */
#ifndef KD_BASE_SANITIZER_H
#define KD_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define KD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KD_ASAN 1
#endif
#endif
#ifndef KD_ASAN
#define KD_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define KD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KD_TSAN 1
#endif
#endif
#ifndef KD_TSAN
#define KD_TSAN 0
#endif

#endif
