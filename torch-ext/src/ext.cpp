// The C face of what libtorch has and `tch` does not bind. Every function returns null, or a message that the
// caller frees with `ute_free`; no C++ exception crosses into Rust.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

char *copy(const std::string &text) { return strdup(text.c_str()); }

// libtorch appends a C++ back trace to its messages: the first paragraph is the one that helps.
char *message(const std::exception &e) {
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

std::vector<at::Tensor> list(at::Tensor *const *tensors, size_t n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  // A null entry is an undefined tensor: "no gradient here".
  for (size_t i = 0; i < n; ++i) out.push_back(tensors[i] ? *tensors[i] : at::Tensor());
  return out;
}

void hand_over(const std::vector<at::Tensor> &from, std::vector<at::Tensor *> &to) {
  for (const auto &t : from) to.push_back(t.defined() ? new at::Tensor(t) : nullptr);
}

at::Generator generator(int64_t cuda_index) {
  if (cuda_index < 0) return at::globalContext().defaultGenerator(at::Device(at::kCPU));
  return at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(cuda_index)));
}

} // namespace

struct UteCall {
  c10::OperatorHandle op;
  torch::jit::Stack stack;
  std::vector<at::Tensor *> out;
};

extern "C" {

void ute_free(char *text) { free(text); }

// ---- any operator by name -------------------------------------------------------------------------------------

char *ute_call_new(const char *name, const char *overload, UteCall **out) {
  return guarded([&] {
    auto op = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!op.has_value())
      throw std::runtime_error(std::string("no operator ") + name + (*overload ? std::string(".") + overload : "") +
                               " in this libtorch");
    *out = new UteCall{*op, {}, {}};
  });
}
void ute_call_drop(UteCall *c) { delete c; }
void ute_push_none(UteCall *c) { c->stack.emplace_back(); }
void ute_push_int(UteCall *c, int64_t v) { c->stack.emplace_back(v); }
void ute_push_double(UteCall *c, double v) { c->stack.emplace_back(v); }
void ute_push_bool(UteCall *c, bool v) { c->stack.emplace_back(v); }
void ute_push_str(UteCall *c, const char *v) { c->stack.emplace_back(std::string(v)); }
void ute_push_tensor(UteCall *c, at::Tensor *v) { c->stack.emplace_back(*v); }
void ute_push_tensors(UteCall *c, at::Tensor *const *v, size_t n) {
  c->stack.emplace_back(c10::List<at::Tensor>(list(v, n)));
}
void ute_push_optional_tensors(UteCall *c, at::Tensor *const *v, size_t n) {
  c10::List<std::optional<at::Tensor>> l;
  for (auto &t : list(v, n)) l.push_back(t.defined() ? std::optional<at::Tensor>(t) : std::nullopt);
  c->stack.emplace_back(std::move(l));
}
void ute_push_ints(UteCall *c, const int64_t *v, size_t n) {
  c->stack.emplace_back(c10::List<int64_t>(at::ArrayRef<int64_t>(v, n)));
}
void ute_push_doubles(UteCall *c, const double *v, size_t n) {
  // A list of optional numbers (`Scalar?[]`) is a generic one that carries its element type: the schema has it.
  const auto &arguments = c->op.schema().arguments();
  if (c->stack.size() < arguments.size()) {
    const auto type = arguments[c->stack.size()].type()->cast<c10::ListType>();
    if (type && type->getElementType()->kind() == c10::TypeKind::OptionalType) {
      c10::impl::GenericList l(type->getElementType());
      for (size_t i = 0; i < n; ++i) l.push_back(c10::IValue(v[i]));
      c->stack.emplace_back(std::move(l));
      return;
    }
  }
  c->stack.emplace_back(c10::List<double>(at::ArrayRef<double>(v, n)));
}

// Runs the operator; arguments that were not pushed take the schema's defaults.
char *ute_call_run(UteCall *c, size_t *n_out) {
  return guarded([&] {
    const auto &schema = c->op.schema();
    const auto &arguments = schema.arguments();
    if (c->stack.size() > arguments.size())
      throw std::runtime_error("operator " + schema.name() + " takes " + std::to_string(arguments.size()) +
                               " arguments, " + std::to_string(c->stack.size()) + " were given");
    for (size_t i = c->stack.size(); i < arguments.size(); ++i) {
      if (!arguments[i].default_value())
        throw std::runtime_error("operator " + schema.name() + ": argument " + arguments[i].name() + " is missing");
      c->stack.push_back(*arguments[i].default_value());
    }
    // The boxed call trusts its stack; a wrong type there would be undefined behaviour, so the schema is checked first.
    schema.checkAndNormalizeInputs(c->stack);
    c->op.callBoxed(c->stack);
    for (const auto &v : c->stack) {
      if (v.isTensor()) hand_over({v.toTensor()}, c->out);
      else if (v.isTensorList()) hand_over(v.toTensorVector(), c->out);
      else if (!v.isNone()) throw std::runtime_error("operator " + schema.name() + " returns a " + v.tagKind() + ", not tensors");
    }
    *n_out = c->out.size();
  });
}
// Gives the outputs to the caller, who owns them; null stands for an undefined tensor.
void ute_call_take(UteCall *c, at::Tensor **out) {
  for (size_t i = 0; i < c->out.size(); ++i) out[i] = c->out[i];
  c->out.clear();
}

// ---- autograd -------------------------------------------------------------------------------------------------

char *ute_backward(at::Tensor *const *tensors, at::Tensor *const *grads, size_t n, bool retain, bool create) {
  return guarded([&] { torch::autograd::backward(list(tensors, n), list(grads, n), retain, create); });
}

char *ute_grad(at::Tensor *const *outputs, at::Tensor *const *grads, size_t n, at::Tensor *const *inputs, size_t m,
               bool retain, bool create, bool allow_unused, at::Tensor **out) {
  return guarded([&] {
    auto result =
        torch::autograd::grad(list(outputs, n), list(inputs, m), list(grads, n), retain, create, allow_unused);
    for (size_t i = 0; i < m; ++i) out[i] = result[i].defined() ? new at::Tensor(result[i]) : nullptr;
  });
}

// ---- random state ---------------------------------------------------------------------------------------------

char *ute_generator_get(int64_t cuda_index, at::Tensor **out) {
  return guarded([&] {
    auto g = generator(cuda_index);
    std::lock_guard<std::mutex> lock(g.mutex());
    *out = new at::Tensor(g.get_state());
  });
}
char *ute_generator_set(int64_t cuda_index, at::Tensor *state) {
  return guarded([&] {
    auto g = generator(cuda_index);
    std::lock_guard<std::mutex> lock(g.mutex());
    g.set_state(*state);
  });
}

// ---- the library itself ---------------------------------------------------------------------------------------

const char *ute_torch_version() { return TORCH_VERSION; }

char *ute_torch_path() {
  Dl_info info;
  // Taken from a symbol of libtorch_cpu, so it names the library that is really mapped, whatever the link line said.
  using Show = std::string (*)();
  Show symbol = &at::show_config;
  if (dladdr(reinterpret_cast<void *>(symbol), &info) && info.dli_fname) return copy(info.dli_fname);
  return copy("");
}
char *ute_show_config() { return copy(at::show_config()); }
char *ute_cpu_capability() { return copy(at::get_cpu_capability()); }

// Maps a library into the global scope, so that its static initialisers register their kernels.
char *ute_dlopen(const char *path) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return nullptr;
  const char *why = dlerror();
  return copy(why ? why : "dlopen failed");
}

// glibc gives large blocks back to the system when they are freed; a training step then faults every page of its
// activations in again. With these settings freed blocks stay in the process and are used by the next step.
bool ute_keep_freed_memory() {
#ifdef __GLIBC__
  return mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1 && mallopt(M_TRIM_THRESHOLD, INT32_MAX) == 1 &&
         mallopt(M_TOP_PAD, 64 << 20) == 1;
#else
  return false;
#endif
}

} // extern "C"
