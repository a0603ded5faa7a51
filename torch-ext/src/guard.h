// How every function of the C face ends: null, or a message that the caller frees with `ute_free`. No C++ exception crosses into Rust.
#pragma once

#include <c10/util/Exception.h>

#include <cstring>
#include <exception>
#include <string>

namespace {

inline char *copy(const std::string &text) { return strdup(text.c_str()); }

// libtorch appends a C++ back trace to its messages: the first paragraph is the one that helps.
inline char *message(const std::exception &e) {
  if (auto *error = dynamic_cast<const c10::Error *>(&e)) return copy(error->what_without_backtrace());
  return copy(e.what());
}

template <typename F> char *guarded(F &&body) {
  try {
    body();
    return nullptr;
  } catch (const std::exception &e) {
    return message(e);
  } catch (...) {
    return copy("unknown C++ exception");
  }
}

} // namespace
