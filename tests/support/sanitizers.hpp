// SPDX-License-Identifier: BSL-1.0
// Whether a sanitizer runs along, which has memory and descriptors of its own.
#ifndef DGRAM_TESTS_SUPPORT_SANITIZERS_HPP
#define DGRAM_TESTS_SUPPORT_SANITIZERS_HPP

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define DGRAM_TESTS_SANITIZED_HEAP 1
#endif
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DGRAM_TESTS_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define DGRAM_TESTS_THREAD_SANITIZER 1
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DGRAM_TESTS_SANITIZED_HEAP 1
#endif

#endif
