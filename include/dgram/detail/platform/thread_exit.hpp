// SPDX-License-Identifier: BSL-1.0
// Calls a function when a thread ends. Unlike an object that is `thread_local`, this can fail.
#ifndef DGRAM_DETAIL_PLATFORM_THREAD_EXIT_HPP
#define DGRAM_DETAIL_PLATFORM_THREAD_EXIT_HPP

#include <dgram/config.hpp>

#if !defined(_WIN32)
#include <pthread.h>
#endif

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Calls `Function` when this thread ends, except for the program's first thread if that returns
/// from `main`. Returns false if there is no memory for that. The C library ends the program if
/// there is none for the destructor of a `thread_local` object.
template <void (*Function)() noexcept>
bool call_at_thread_exit() noexcept
{
#if defined(_WIN32)
  struct at_exit {
    void touch() noexcept {}
    ~at_exit() { Function(); }
  };
  static thread_local at_exit exit;
  exit.touch();
  return true;
#else
  struct key {
    pthread_key_t number{};
    bool is_valid = pthread_key_create(&number, [](void*) { Function(); }) == 0;
  };
  static const key registered;
  // The function is called for threads that have set a value. Which one does not matter.
  return registered.is_valid && pthread_setspecific(registered.number, &registered) == 0;
#endif
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
