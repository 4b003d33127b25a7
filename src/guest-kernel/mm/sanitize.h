/*
 * What AddressSanitizer is told in a hosted build: objects that are free must not be touched, not
 * even where mm has no debugging on. Debug caches poison by themselves and are left alone.
 */
#ifndef GK_MM_SANITIZE_H
#define GK_MM_SANITIZE_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE 1
#endif
#endif

#ifdef SANITIZE
void __asan_poison_memory_region(void const volatile *p, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *p, size_t bytes);
#define sanitize_free(p, bytes) __asan_poison_memory_region(p, bytes)
#define sanitize_used(p, bytes) __asan_unpoison_memory_region(p, bytes)
#else
#define sanitize_free(p, bytes) ((void)(p), (void)(bytes))
#define sanitize_used(p, bytes) ((void)(p), (void)(bytes))
#endif

#endif
