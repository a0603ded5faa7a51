// The C face of what libtorch has and `tch` does not bind. Every function returns null, or a message that the
// caller frees with `ute_free`; no C++ exception crosses into Rust.

#include "guard.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

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

// ---- dropout --------------------------------------------------------------------------------------------------

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define UTE_LANES __attribute__((optimize("O3"), target_clones("avx512f", "avx2", "default")))
#else
#define UTE_LANES
#endif

// The next 624 numbers of the Mersenne Twister (Matsumoto & Nishimura 1998), as `at::mt19937` makes them.
UTE_LANES void next_block(uint32_t *p) {
  constexpr int n = at::MERSENNE_STATE_N, m = at::MERSENNE_STATE_M;
  const auto twist = [](uint32_t u, uint32_t v) {
    return (((u & at::UMASK) | (v & at::LMASK)) >> 1) ^ ((v & 1) * at::MATRIX_A);
  };
  for (int j = 0; j < n - m; ++j) p[j] = p[j + m] ^ twist(p[j], p[j + 1]);
  // What is written is read 227 numbers later: in strips that are shorter nothing waits for anything.
  for (int from = n - m; from < n - 1; from += 208) {
    const int to = std::min(from + 208, n - 1);
    const uint32_t *before = p + from - (n - m);
    uint32_t strip[208];
    for (int j = from; j < to; ++j) strip[j - from] = before[j - from] ^ twist(p[j], p[j + 1]);
    for (int j = from; j < to; ++j) p[j] = strip[j - from];
  }
  p[n - 1] = p[m - 1] ^ twist(p[n - 1], p[0]);
}

UTE_LANES void temper(const uint32_t *from, uint32_t *to, int n) {
  for (int i = 0; i < n; ++i) {
    uint32_t y = from[i];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    to[i] = y ^ (y >> 18);
  }
}

// Pairs of numbers as 53 bits: below the bound, `factor`, otherwise 0.
UTE_LANES void compare(const uint32_t *drawn, int64_t bound, float factor, float *to, int n) {
  for (int i = 0; i < n; ++i) {
    const int64_t bits = (static_cast<int64_t>(drawn[2 * i] & 0x1fffffu) << 32) | drawn[2 * i + 1];
    to[i] = bits < bound ? factor : 0.0f;
  }
}

// What `bernoulli_(keep)` and `div_(keep)` make of `n` numbers, and the generator where they leave it; libtorch draws them one by one.
void noise(at::mt19937_data_pod &s, double keep, float *to, size_t n) {
  const auto bound = static_cast<int64_t>(std::ceil(std::ldexp(keep, 53)));
  const float factor = 1.0f / static_cast<float>(keep);
  uint32_t drawn[at::MERSENNE_STATE_N + 1];
  size_t held = 0;
  while (n > 0) {
    if (s.left_ == 1) {
      next_block(s.state_.data());
      s.left_ = at::MERSENNE_STATE_N + 1;
      s.next_ = 0;
    }
    const size_t taken = std::min<size_t>(s.left_ - 1, 2 * n - held);
    temper(s.state_.data() + s.next_, drawn + held, static_cast<int>(taken));
    s.left_ -= static_cast<int>(taken);
    s.next_ += static_cast<uint32_t>(taken);
    const size_t have = held + taken, pairs = have / 2;
    compare(drawn, bound, factor, to, static_cast<int>(pairs));
    to += pairs;
    n -= pairs;
    held = have % 2;
    if (held) drawn[0] = drawn[have - 1];
  }
}

// ---- activation checkpointing ---------------------------------------------------------------------------------

// Runs a part of a model again on tensors that become Rust's own. Null, or a message that is freed here.
using Run = char *(*)(void *rust, at::Tensor *const *given, size_t n, at::Tensor **out);
using Drop = void (*)(void *rust);

// What Rust gave: dropped with the last graph that needs it.
struct Part : torch::CustomClassHolder {
  Part(void *rust, Run run, Drop drop) : rust(rust), run(run), drop(drop) {}
  ~Part() override { drop(rust); }
  void *rust;
  Run run;
  Drop drop;
};

// No graph was kept of the forward pass; the backward pass runs the part again with one, and asks it for the gradients.
struct Checkpoint : torch::autograd::Function<Checkpoint> {
  // `inputs`: the `given` that the part takes, then the parameters that it holds.
  static at::Tensor forward(torch::autograd::AutogradContext *ctx, c10::intrusive_ptr<Part> part, int64_t given,
                            at::Tensor *output, at::TensorList inputs) {
    ctx->save_for_backward(inputs.vec());
    ctx->saved_data["given"] = given;
    ctx->saved_data["part"] = c10::IValue::make_capsule(std::move(part));
    return *output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                 torch::autograd::variable_list grads) {
    if (at::GradMode::is_enabled())
      throw std::runtime_error("a checkpointed part has no second derivatives: switch checkpointing off for create_graph");
    // Refuses a second pass over a graph that was freed, and parameters that were changed in place since.
    const auto inputs = ctx->get_saved_variables();
    const auto n = static_cast<size_t>(ctx->saved_data["given"].toInt());
    const auto capsule = ctx->saved_data["part"].toCapsule();
    const auto *part = static_cast<const Part *>(capsule.get());
    at::AutoGradMode enabled(true);
    std::vector<at::Tensor> leaves;
    std::vector<at::Tensor *> taken;
    for (size_t i = 0; i < inputs.size(); ++i) {
      // Parameters are leaves already, and the part holds them itself.
      leaves.push_back(i < n ? inputs[i].detach().requires_grad_(inputs[i].requires_grad()) : inputs[i]);
      if (i < n) taken.push_back(new at::Tensor(leaves[i]));
    }
    at::Tensor *raw = nullptr;
    char *why = part->run(part->rust, taken.data(), n, &raw);
    std::unique_ptr<at::Tensor> output(raw);
    if (why) {
      const std::string text(why);
      free(why);
      throw std::runtime_error(text);
    }
    if (!output) throw std::runtime_error("a checkpointed part gave nothing");
    // One for each argument of `forward`: none for the part, its number of inputs and its output.
    torch::autograd::variable_list found(3 + inputs.size());
    if (!output->requires_grad()) return found;
    std::vector<at::Tensor> wanted;
    std::vector<size_t> places;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!leaves[i].requires_grad() || !ctx->needs_input_grad(i)) continue;
      wanted.push_back(leaves[i]);
      places.push_back(3 + i);
    }
    const auto of = torch::autograd::grad({*output}, wanted, {grads[0]}, false, false, true);
    for (size_t i = 0; i < of.size(); ++i) found[places[i]] = of[i];
    return found;
  }
};

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

bool ute_grad_enabled() { return at::GradMode::is_enabled(); }

// Ties `output`, which has no graph, to its `inputs`: the first `given` are the part's arguments, the others its parameters.
// `rust` is dropped whatever comes of it.
char *ute_checkpoint(void *rust, Run run, Drop drop, at::Tensor *const *inputs, size_t n, size_t given, at::Tensor *output,
                     at::Tensor **out) {
  return guarded([&] {
    auto part = c10::make_intrusive<Part>(rust, run, drop);
    // Only a `TensorList` is looked into for inputs.
    const auto all = list(inputs, n);
    *out = new at::Tensor(Checkpoint::apply(std::move(part), static_cast<int64_t>(given), output, at::TensorList(all)));
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

// Fills `out`, fp32 and contiguous on the CPU, with what dropout multiplies by.
char *ute_dropout_noise(at::Tensor *out, double keep) {
  return guarded([&] {
    auto g = generator(-1);
    auto *cpu = at::check_generator<at::CPUGeneratorImpl>(g);
    std::lock_guard<std::mutex> lock(g.mutex());
    auto state = cpu->engine().data();
    noise(state, keep, out->data_ptr<float>(), static_cast<size_t>(out->numel()));
    at::mt19937 engine;
    engine.set_data(state);
    cpu->set_engine(engine);
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

// What was freed and kept so goes back to the system: before something else, of other sizes, begins.
void ute_give_back_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(64 << 20);
#endif
}

// cuDNN may take fp32 convolutions in TF32 (10 bits of mantissa) and by libtorch's default does: off, as matrix products have it.
void ute_ieee_fp32() { at::globalContext().setAllowTF32CuDNN(false); }

} // extern "C"
