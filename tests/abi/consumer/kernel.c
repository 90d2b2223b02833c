/* kernel.c: builds, compiles and launches a kernel, with nothing but the installed headers. */
#include <hl/hl.h>
#include <stdio.h>

static hl_status build(hl_context *ctx, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "twice", diag, &b);
  if (s != HL_OK)
    return s;
  hl_dim n = hl_dim_named(b, "N");
  hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT), i;
  hl_value size = hl_size(b, x, 0);
  hl_tile_begin(b, &size, 1, &i);
  hl_value v = hl_load(b, x, &i, 1);
  hl_store(b, y, &i, 1, hl_add(b, v, v));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

int main(void) {
  enum { N = 1000 };
  static float in[N], out[N];
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  hl_device *cpu = NULL;
  hl_kernel *kernel = NULL;
  hl_plan *plan = NULL;
  int64_t shape[1] = {N};
  hl_tensor x = {.data = in, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = shape};
  hl_tensor y = x;
  y.data = out;
  hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &x}, {.kind = HL_ARG_TENSOR, .as.tensor = &y}};
  hl_plan_options options = HL_PLAN_OPTIONS_INIT;
  options.args = args, options.arg_count = 2;
  for (int i = 0; i < N; i++)
    in[i] = (float)i;
  hl_status s = hl_context_create(NULL, &diag, &ctx);
  if (s == HL_OK)
    s = hl_device_open(ctx, "cpu", &diag, &cpu);
  if (s == HL_OK)
    s = build(ctx, &diag, &kernel);
  if (s == HL_OK)
    s = hl_plan_create(cpu, kernel, &options, &diag, &plan);
  if (s == HL_OK)
    s = hl_launch(plan, NULL, args, 2, NULL, &diag);
  if (s == HL_OK)
    s = hl_device_synchronize(cpu, &diag);
  hl_plan_destroy(plan);
  hl_kernel_destroy(kernel);
  hl_device_close(cpu);
  hl_context_destroy(ctx);
  if (s != HL_OK) {
    fprintf(stderr, "%s: %s\n", hl_status_text(s), diag.message);
    return 1;
  }
  for (int i = 0; i < N; i++)
    if (out[i] != 2 * in[i])
      return 2;
  printf("twice, by libhl %s\n", hl_version());
  return 0;
}
