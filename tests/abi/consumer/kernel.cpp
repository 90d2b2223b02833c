// kernel.cpp: the same from C++: handles in smart pointers, errors as exceptions.
#include <hl/hl.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

template <auto destroy> struct deleter {
  template <class T> void operator()(T *p) const { destroy(p); }
};
using context = std::unique_ptr<hl_context, deleter<hl_context_destroy>>;
using device = std::unique_ptr<hl_device, deleter<hl_device_close>>;
using kernel = std::unique_ptr<hl_kernel, deleter<hl_kernel_destroy>>;
using plan = std::unique_ptr<hl_plan, deleter<hl_plan_destroy>>;

void check(hl_status s, const hl_diag &diag) {
  if (s != HL_OK)
    throw std::runtime_error(diag.message);
}

kernel build(hl_context *ctx) {
  hl_diag diag{};
  hl_builder *b = nullptr;
  hl_kernel *out = nullptr;
  check(hl_builder_create(ctx, "twice", &diag, &b), diag);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  const hl_value size = hl_size(b, x, 0);
  hl_value i{};
  hl_tile_begin(b, &size, 1, &i);
  const hl_value v = hl_load(b, x, &i, 1);
  hl_store(b, y, &i, 1, hl_add(b, v, v));
  hl_tile_end(b, nullptr, nullptr);
  check(hl_builder_finish(b, &diag, &out), diag);
  return kernel(out);
}

void run() {
  std::vector<float> in(1000, 3.5F), out(1000);
  hl_diag diag{};
  hl_context *c = nullptr;
  check(hl_context_create(nullptr, &diag, &c), diag);
  const context ctx(c);
  hl_device *d = nullptr;
  check(hl_device_open(ctx.get(), "cpu", &diag, &d), diag);
  const device cpu(d);
  const kernel k = build(ctx.get());
  int64_t shape[1] = {static_cast<int64_t>(in.size())};
  hl_tensor x{};
  x.data = in.data();
  x.device.type = HL_DEVICE_CPU;
  x.ndim = 1;
  x.dtype = hl_dtype_to_dl(HL_F32);
  x.shape = shape;
  hl_tensor y = x;
  y.data = out.data();
  hl_arg args[2]{};
  args[0].kind = args[1].kind = HL_ARG_TENSOR;
  args[0].as.tensor = &x;
  args[1].as.tensor = &y;
  hl_plan_options options = HL_PLAN_OPTIONS_INIT;
  options.args = args;
  options.arg_count = 2;
  hl_plan *p = nullptr;
  check(hl_plan_create(cpu.get(), k.get(), &options, &diag, &p), diag);
  const plan made(p);
  check(hl_launch(made.get(), nullptr, args, 2, nullptr, &diag), diag);
  check(hl_device_synchronize(cpu.get(), &diag), diag);
  for (const float value : out)
    if (value != 7.0F)
      throw std::runtime_error("a wrong result");
}

} // namespace

int main() {
  try {
    run();
  } catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  std::printf("twice, by libhl %s\n", hl_version());
}
