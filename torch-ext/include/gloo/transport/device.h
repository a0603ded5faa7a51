// See gloo/algorithm.h.
#pragma once

#include <memory>

namespace gloo {
namespace transport {
class Device;
class UnboundBuffer {
 public:
  virtual ~UnboundBuffer() = default;
};
} // namespace transport
} // namespace gloo
