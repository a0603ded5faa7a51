// 8-bit layers around a product that oneDNN makes. `layer.rs` is the Rust face.

#include "layer.h"

// Rows to make bytes of, as `layer.rs` lays them out.
struct Rows {
  const float *x; // [rows, width]
  Quantise to;
};

extern "C" {

void NAME(ute_quantise)(int64_t begin, int64_t end, void *given) {
  const auto &rows = *static_cast<const Rows *>(given);
  for (int64_t row = begin; row < end; ++row) quantise(rows.to, row, rows.x + row * rows.to.width);
}

void NAME(ute_finish)(int64_t begin, int64_t end, void *given) {
  const auto &f = *static_cast<const Finish *>(given);
  finish_rows(f, begin, end, f.sums + begin * f.width);
}

} // extern "C"
