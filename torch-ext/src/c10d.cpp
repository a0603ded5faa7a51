// The C face of c10d: key-value stores and process groups. As `ext.cpp`: null, or a message.

#include "guard.h"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

using std::chrono::milliseconds;

struct UteStore {
  c10::intrusive_ptr<c10d::Store> store;
  uint16_t port;
};

struct UteGroup {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
};

// Work in flight, and the tensors that it reads and writes.
struct UteWork {
  c10::intrusive_ptr<c10d::Work> work;
  std::vector<at::Tensor> held;
};

namespace {

// The reductions, in the order of Rust's.
c10d::ReduceOp reduction(int32_t op) {
  switch (op) {
  case 0: return c10d::ReduceOp::SUM;
  case 1: return c10d::ReduceOp::MIN;
  case 2: return c10d::ReduceOp::MAX;
  default: throw std::runtime_error("unknown reduction");
  }
}

// What goes wrong is thrown, and told by who catches it: libtorch would print it before, with a C++ back trace, once for every try. Who asks for its log
// (`TORCH_CPP_LOG_LEVEL`) has it.
void quiet() {
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
}

void hand(c10::intrusive_ptr<c10d::Work> work, std::vector<at::Tensor> held, UteWork **out) {
  *out = new UteWork{std::move(work), std::move(held)};
}

} // namespace

extern "C" {

// ---- stores ---------------------------------------------------------------------------------------------------

// `workers` < 0: the server does not wait for any.
char *ute_store_tcp(const char *host, uint16_t port, bool server, int64_t workers, int64_t timeout_ms, UteStore **out) {
  return guarded([&] {
    quiet();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = server;
    options.waitWorkers = workers >= 0;
    if (workers >= 0) options.numWorkers = static_cast<std::size_t>(workers);
    options.timeout = milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    const auto bound = store->getPort();
    *out = new UteStore{std::move(store), bound};
  });
}
char *ute_store_prefix(const char *prefix, UteStore *of, UteStore **out) {
  return guarded([&] {
    *out = new UteStore{c10::make_intrusive<c10d::PrefixStore>(std::string(prefix), of->store), of->port};
  });
}
// A second connection to the same store, for another thread.
char *ute_store_clone(UteStore *of, UteStore **out) {
  return guarded([&] { *out = new UteStore{of->store->clone(), of->port}; });
}
void ute_store_drop(UteStore *s) { delete s; }
uint16_t ute_store_port(UteStore *s) { return s->port; }

char *ute_store_set(UteStore *s, const char *key, const uint8_t *value, size_t n) {
  return guarded([&] { s->store->set(key, std::vector<uint8_t>(value, value + n)); });
}
// `out` is freed with `ute_free`.
char *ute_store_get(UteStore *s, const char *key, uint8_t **out, size_t *n) {
  return guarded([&] {
    const auto value = s->store->get(key);
    *out = static_cast<uint8_t *>(malloc(value.size() + 1));
    if (!*out) throw std::bad_alloc();
    std::memcpy(*out, value.data(), value.size());
    *n = value.size();
  });
}
char *ute_store_add(UteStore *s, const char *key, int64_t by, int64_t *out) {
  return guarded([&] { *out = s->store->add(key, by); });
}
char *ute_store_check(UteStore *s, const char *key, bool *out) {
  return guarded([&] { *out = s->store->check({std::string(key)}); });
}
char *ute_store_wait(UteStore *s, const char *key, int64_t timeout_ms) {
  return guarded([&] { s->store->wait({std::string(key)}, milliseconds(timeout_ms)); });
}
char *ute_store_delete(UteStore *s, const char *key, bool *out) {
  return guarded([&] { *out = s->store->deleteKey(key); });
}

// ---- process groups -------------------------------------------------------------------------------------------

// `interface`: a network interface's name, or null; `address`: a name or number of this machine, or null: its own name's.
char *ute_group_gloo(UteStore *store, int32_t rank, int32_t size, int64_t timeout_ms, const char *interface,
                     const char *address, UteGroup **out) {
  return guarded([&] {
    using c10d::ProcessGroupGloo;
    auto options = ProcessGroupGloo::Options::create(milliseconds(timeout_ms));
    options->devices.push_back(interface ? ProcessGroupGloo::createDeviceForInterface(interface)
                               : address ? ProcessGroupGloo::createDeviceForHostname(address)
                                         : ProcessGroupGloo::createDefaultDevice());
    *out = new UteGroup{c10::make_intrusive<ProcessGroupGloo>(store->store, rank, size, options)};
  });
}
void ute_group_drop(UteGroup *g) { delete g; }

char *ute_group_all_reduce(UteGroup *g, at::Tensor *tensor, int32_t op, UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = reduction(op);
    hand(g->group->allreduce(tensors, options), tensors, out);
  });
}
char *ute_group_broadcast(UteGroup *g, at::Tensor *tensor, int64_t root, UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    hand(g->group->broadcast(tensors, options), tensors, out);
  });
}
// `outputs`: one for each rank, all of `input`'s shape.
char *ute_group_all_gather(UteGroup *g, at::Tensor *const *outputs, size_t n, at::Tensor *input, UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> all;
    for (size_t i = 0; i < n; ++i) all.push_back(*outputs[i]);
    std::vector<std::vector<at::Tensor>> lists{all};
    std::vector<at::Tensor> inputs{*input};
    auto work = g->group->allgather(lists, inputs);
    all.push_back(*input);
    hand(std::move(work), std::move(all), out);
  });
}
// `inputs`: one for each rank, all of `output`'s shape.
char *ute_group_reduce_scatter(UteGroup *g, at::Tensor *output, at::Tensor *const *inputs, size_t n, int32_t op,
                               UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> all;
    for (size_t i = 0; i < n; ++i) all.push_back(*inputs[i]);
    std::vector<at::Tensor> outputs{*output};
    std::vector<std::vector<at::Tensor>> lists{all};
    c10d::ReduceScatterOptions options;
    options.reduceOp = reduction(op);
    auto work = g->group->reduce_scatter(outputs, lists, options);
    all.push_back(*output);
    hand(std::move(work), std::move(all), out);
  });
}
char *ute_group_send(UteGroup *g, at::Tensor *tensor, int32_t to, int32_t tag, UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    hand(g->group->send(tensors, to, tag), tensors, out);
  });
}
char *ute_group_recv(UteGroup *g, at::Tensor *tensor, int32_t from, int32_t tag, UteWork **out) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    hand(g->group->recv(tensors, from, tag), tensors, out);
  });
}
char *ute_group_barrier(UteGroup *g, UteWork **out) {
  return guarded([&] { hand(g->group->barrier(), {}, out); });
}

// Waits, and drops the work.
char *ute_work_wait(UteWork *w, int64_t timeout_ms) {
  return guarded([&] {
    std::unique_ptr<UteWork> own(w);
    if (!own->work->wait(milliseconds(timeout_ms))) throw std::runtime_error("the work was aborted");
  });
}
bool ute_work_is_done(UteWork *w) { return w->work->isCompleted(); }
void ute_work_drop(UteWork *w) { delete w; }

} // extern "C"
