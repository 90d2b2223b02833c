/* cold.c: what a new process pays for a kernel that is in the cache: no compiler is loaded, and the code is mapped
 * under its name in the cache, where debuggers and profilers look for it.  Linked to the shared libhl, as programs are.
 *
 *   cold fill    compiles
 *   cold use     must not; prints the milliseconds from nothing to the end of the first launch */
#include <hl/hl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { M = 64, N = 1000 };
static _Alignas(64) float in[M][N], out[M][N];

static hl_kernel *softmax(hl_context *ctx, hl_diag *diag) {
  hl_builder *b;
  hl_kernel *kernel = NULL;
  if (hl_builder_create(ctx, "softmax", diag, &b) != HL_OK)
    return NULL;
  hl_dim dims[2] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  hl_value x = hl_param_tensor(b, "x", HL_F32, dims, 2, HL_IN), y = hl_param_tensor(b, "y", HL_F32, dims, 2, HL_OUT), i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_value v = hl_load(b, x, (hl_value[]){i, HL_ALL}, 2);
  hl_value e = hl_exp(b, hl_sub(b, v, hl_reduce_max(b, v, 1, true)));
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_div(b, e, hl_reduce_sum(b, e, 1, true)));
  hl_tile_end(b, NULL, NULL);
  hl_builder_finish(b, diag, &kernel);
  return kernel;
}

/* How many lines of the process's map have these words. */
static int mapped(const char *words) {
  char line[4096];
  int n = 0;
  FILE *f = fopen("/proc/self/maps", "r");
  while (f && fgets(line, sizeof line, f))
    n += strstr(line, words) != NULL;
  if (f)
    fclose(f);
  return n;
}

static double now_ms(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int check(int use) {
  double sum = 0;
  for (int j = 0; j < N; j++)
    sum += (double)out[7][j];
  const int compilers = mapped("libhl-codegen") + mapped("libLLVM"), code = mapped("/code/");
  if (sum < 0.9999 || sum > 1.0001)
    return printf("row 7 adds up to %g\n", sum), 1;
  if (use && compilers)
    return printf("a compiler is loaded\n"), 1;
  if (!use && !compilers)
    return printf("no compiler is loaded: the test sees nothing\n"), 1;
  if (!code)
    return printf("the code is not mapped from the cache\n"), 1;
  return 0;
}

int main(int argc, char **argv) {
  const int use = argc > 1 && strcmp(argv[1], "use") == 0;
  hl_context_options options = HL_CONTEXT_OPTIONS_INIT;
  hl_diag diag = {.status = HL_OK};
  hl_context *ctx;
  hl_device *cpu = NULL;
  hl_plan *plan = NULL;
  int64_t shape[2] = {M, N};
  for (int i = 0; i < M * N; i++)
    in[i / N][i % N] = (float)(i % 17);
  hl_tensor x = {.data = in, .device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F32), .shape = shape},
            y = x;
  y.data = out;
  hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &x}, {.kind = HL_ARG_TENSOR, .as.tensor = &y}};
  hl_plan_options po = HL_PLAN_OPTIONS_INIT;
  po.args = args, po.arg_count = 2;
  options.compile_policy = use ? HL_COMPILE_FORBID : HL_COMPILE_ALLOW;
  const double t0 = now_ms();
  if (hl_context_create(&options, &diag, &ctx) != HL_OK)
    return 1;
  hl_kernel *kernel = softmax(ctx, &diag);
  const double t1 = now_ms();
  if (kernel && hl_device_open(ctx, "cpu", &diag, &cpu) == HL_OK &&
      hl_plan_create(cpu, kernel, &po, &diag, &plan) == HL_OK && hl_launch(plan, NULL, args, 2, NULL, &diag) == HL_OK)
    (void)hl_device_synchronize(cpu, &diag);
  const double t2 = now_ms();
  if (diag.status != HL_OK)
    printf("%s\n", diag.message);
  else
    printf("%s: context and kernel %.3f ms, device, plan and first launch %.3f ms\n", use ? "use" : "fill", t1 - t0,
           t2 - t1);
  const int wrong = diag.status != HL_OK || check(use);
  hl_plan_destroy(plan);
  hl_device_close(cpu);
  hl_kernel_destroy(kernel);
  hl_context_destroy(ctx);
  return wrong;
}
