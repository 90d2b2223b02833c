/* fuzz_differential.c: random valid kernels in random configurations and shapes, compiled for the CPU (or lowered for
 * another target and interpreted), against the interpreter on the kernel as it was built.
 *
 * Results must be equal to the last bit (see random_kernel.h), and memory between the elements of a strided output
 * untouched.  A child process runs some hundred kernels at a time: one that crashes or hangs is reported by its seed
 * and the next child goes on behind it.
 *
 *   HL_FUZZ_RUNS=N    cases: kernel x configuration x shape (20000)
 *   HL_FUZZ_SEED=S    the first kernel's seed; with HL_FUZZ_RUNS=1 one kernel, with its text
 *   HL_TEST_PART=I/N  the I-th of N parts of them, each with seeds of its own
 *   HL_FUZZ_TARGET=T  lower for T and interpret that, instead of running on the CPU
 *
 * ctest-timeout: 1200
 * ctest-parts: 4
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "src/ir/interp/compare.h"
#include "src/ir/interp/interp.h"
#include "tests/fuzz/random_kernel.h"

enum { CHUNK = 250, HANG_SECONDS = 120, SHAPES = 4, GUARD = 0xA5 };

/* What the parent sees of a child, even of a dead one. */
typedef struct shared {
  uint64_t seed, cases, wrong;
  char what[256];
} shared;

typedef struct world {
  hl_context *ctx;
  hl_device *dev;
  const hl_target *target;
  bool interpret; /* the lowered kernel */
  bool show;
  shared *at;
} world;

/* ---- arguments -------------------------------------------------------------------------- */

typedef struct args {
  uint32_t count;
  hl_tensor tensor[FUZZ_PARAMS];
  int64_t shape[FUZZ_PARAMS][HL_MAX_RANK], stride[FUZZ_PARAMS][HL_MAX_RANK];
  size_t bytes[FUZZ_PARAMS];
  bool output[FUZZ_PARAMS];
  hl_arg arg[FUZZ_PARAMS];
} args;

static uint32_t dim_of(hl_str name) {
  for (uint32_t d = 0; d < FUZZ_DIMS; d++)
    if (hli_str_eqz(name, fuzz_dim_names[d]))
      return d;
  return FUZZ_DIMS;
}

static size_t element(hl_dtype d) {
  return hl_dtype_size(d);
}

/* Row-major, with some rows padded; by parameter the same in every shape of a kernel. */
static void place(const hl_param_info *info, const int64_t *size, fuzz_random r, args *a, uint32_t p) {
  int64_t step = 1;
  const bool padded = info->rank > 1 && fuzz_below(&r, 4) == 0;
  for (uint32_t d = info->rank; d-- > 0;) {
    const uint32_t named = dim_of(info->dim_name[d]);
    a->shape[p][d] = named < FUZZ_DIMS ? size[named] : info->dim_value[d];
    a->stride[p][d] = step;
    step *= a->shape[p][d];
    if (padded && d == info->rank - 1)
      step += 1 + fuzz_below(&r, 9);
  }
  a->bytes[p] = (size_t)(step > 0 ? step : 1) * element(info->dtype);
}

static void fill(const hl_param_info *info, fuzz_random *r, void *data, size_t bytes) {
  const size_t size = element(info->dtype);
  const int64_t low = (int64_t)info->spec.a, n = (int64_t)info->spec.b - low + 1;
  for (size_t i = 0; i < bytes / size; i++) {
    const int64_t x = low + fuzz_below(r, (uint32_t)n);
    hli_scalar s = {.i = x};
    if (hli_dtype_kind(info->dtype) == 'f')
      s.f = (double)x;
    const uint64_t bits = hli_scalar_to_bits(info->dtype, s);
    memcpy((char *)data + i * size, &bits, size);
  }
}

static void args_make(const hl_kernel *k, const int64_t *size, uint64_t seed, args *a) {
  *a = (args){.count = hl_kernel_param_count(k)};
  for (uint32_t p = 0; p < a->count; p++) {
    hl_param_info info = {.size = sizeof info};
    (void)hl_kernel_param(k, p, &info);
    fuzz_random r = {seed * 64 + p};
    place(&info, size, r, a, p);
    void *data = aligned_alloc(64, (a->bytes[p] + 63) / 64 * 64);
    a->output[p] = info.access != HL_IN;
    if (a->output[p])
      memset(data, GUARD, a->bytes[p]);
    else
      fill(&info, &r, data, a->bytes[p]);
    a->tensor[p] = (hl_tensor){.data = data,
                               .device = {HL_DEVICE_CPU, 0},
                               .ndim = (int32_t)info.rank,
                               .dtype = hl_dtype_to_dl(info.dtype),
                               .shape = a->shape[p],
                               .strides = a->stride[p]};
    a->arg[p] = (hl_arg){HL_ARG_TENSOR, {.tensor = &a->tensor[p]}};
  }
}

static void args_free(args *a) {
  for (uint32_t p = 0; p < a->count; p++)
    free(a->tensor[p].data);
}

/* ---- comparison --------------------------------------------------------------------------- */

/* The first byte between the elements that is no guard any more; -1: none. */
static int64_t trespass(const hl_tensor *t, size_t bytes) {
  const size_t size = element(hl_dtype_from_dl(t->dtype));
  unsigned char *own = calloc(bytes ? bytes : 1, 1);
  int64_t index[HL_MAX_RANK] = {0}, found = -1;
  for (bool more = true; more;) {
    int64_t at = 0;
    for (int32_t d = 0; d < t->ndim; d++)
      at += index[d] * t->strides[d];
    memset(own + (size_t)at * size, 1, size);
    more = false;
    for (int32_t d = t->ndim; d-- > 0 && !more;) {
      more = ++index[d] < t->shape[d];
      if (!more)
        index[d] = 0;
    }
  }
  for (size_t i = 0; i < bytes && found < 0; i++)
    if (!own[i] && ((unsigned char *)t->data)[i] != GUARD)
      found = (int64_t)i;
  free(own);
  return found;
}

/* True if all outputs are right; else the words say which is not. */
static bool fuzz_check(const fuzz_kernel *f, const args *got, const args *want, char *words, size_t size) {
  const hli_tolerance exact = {.steps = 1e-12, .slack = 1e-12, .magnitude = 1e-12};
  /* The functions are those of f32, also where the output is f64. */
  const hli_tolerance narrow = {.steps = 16, .acc = HL_F32}, wide = {.steps = 16 * 0x1p29, .acc = HL_F32};
  for (uint32_t p = 0; p < got->count; p++) {
    hl_diag d = {0};
    hli_comparison c;
    char text[400];
    if (!got->output[p])
      continue;
    const int64_t bad = trespass(&got->tensor[p], got->bytes[p]);
    if (bad >= 0) {
      snprintf(words, size, "parameter %u: byte %lld between its elements was written", p, (long long)bad);
      return false;
    }
    if (hli_compare(&got->tensor[p], &want->tensor[p],
                    !f->smooth[p]                     ? &exact
                    : got->tensor[p].dtype.bits == 64 ? &wide
                                                      : &narrow,
                    &d, &c) != HL_OK) {
      snprintf(words, size, "parameter %u: %.300s", p, d.message);
      return false;
    }
    if (!c.pass) {
      hli_comparison_text(&c, text, sizeof text);
      snprintf(words, size, "parameter %u: %s", p, text);
      return false;
    }
  }
  return true;
}

/* ---- one kernel --------------------------------------------------------------------------- */

static void complain(world *w, const fuzz_kernel *f, const int64_t *size, const hl_config *c, const char *words) {
  hl_blob *json = NULL;
  if (c)
    (void)hl_config_print(c, NULL, &json);
  (void)fprintf(stderr, "fuzz: seed %llu, A=%lld B=%lld C=%lld, %s: %s\n", (unsigned long long)w->at->seed,
                (long long)size[0], (long long)size[1], (long long)size[2],
                json ? (const char *)hl_blob_data(json) : "default configuration", words);
  hl_blob_release(json);
  if (w->at->wrong++ == 0 || w->show) {
    hl_blob *text = NULL;
    if (f->kernel && hl_kernel_print(f->kernel, NULL, &text) == HL_OK)
      (void)fprintf(stderr, "%s\n", (const char *)hl_blob_data(text));
    hl_blob_release(text);
  }
}

static hl_status truth(const world *w, const hl_kernel *k, fuzz_random *r, args *a, hl_diag *d) {
  int64_t blocks[64] = {0};
  for (uint32_t x = 1; x < k->axes.len && x < 64; x++)
    blocks[x] = k->axes.data[x].kind == HLI_AXIS_TILE ? (int64_t)1 << fuzz_below(r, 6) : 0;
  const hli_interp_options o = {.program_check = true, .blocks = blocks, .block_count = HLI_MIN(k->axes.len, 64)};
  (void)w;
  return hli_interp_run(k, NULL, a->arg, a->count, &o, d);
}

static hl_status run(const world *w, const hl_kernel *k, const hl_config *c, hl_plan **plan, args *a, hl_diag *d) {
  if (w->interpret) {
    hl_interp_options o = HL_INTERP_OPTIONS_INIT;
    o.target = w->target, o.config = c;
    return hl_interpret(w->ctx, k, a->arg, a->count, &o, d);
  }
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.config = c, o.args = a->arg, o.arg_count = a->count;
  hl_status s = *plan ? HL_OK : hl_plan_create(w->dev, k, &o, d, plan);
  if (s == HL_OK)
    s = hl_launch(*plan, NULL, a->arg, a->count, NULL, d);
  if (s == HL_ERR_GUARD) { /* a size of 1, or strides that happened to be 1: another plan */
    hl_plan_destroy(*plan);
    *plan = NULL;
    s = hl_plan_create(w->dev, k, &o, d, plan);
    if (s == HL_OK)
      s = hl_launch(*plan, NULL, a->arg, a->count, NULL, d);
  }
  return s == HL_OK ? hl_device_synchronize(w->dev, d) : s;
}

static void one_shape(world *w, const fuzz_kernel *f, const hl_config *c, hl_plan **plan, const int64_t *size,
                      fuzz_random *r) {
  args got, want;
  hl_diag d = {0};
  char words[900];
  args_make(f->kernel, size, w->at->seed, &got);
  args_make(f->kernel, size, w->at->seed, &want);
  hl_status s = truth(w, f->kernel, r, &want, &d);
  if (s != HL_OK) {
    snprintf(words, sizeof words, "the interpreter: %.600s", d.message);
    complain(w, f, size, c, words);
  } else if ((s = run(w, f->kernel, c, plan, &got, &d)) != HL_OK) {
    snprintf(words, sizeof words, "%s: %.600s", hl_status_text(s), d.message);
    complain(w, f, size, c, words);
  } else if (!fuzz_check(f, &got, &want, words, sizeof words)) {
    complain(w, f, size, c, words);
  }
  w->at->cases++;
  args_free(&got);
  args_free(&want);
}

static int64_t random_size(fuzz_random *r) {
  static const int64_t sizes[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 16, 31, 32, 33, 5, 47, 64, 65, 96};
  return sizes[fuzz_below(r, fuzz_below(r, 3) ? 12 : HLI_COUNT(sizes))];
}

/* A configuration for a shape; a static one has a plan of its own. */
static void one_config(world *w, const fuzz_kernel *f, bool random, fuzz_random *r) {
  int64_t size[FUZZ_DIMS];
  hl_config *c = NULL;
  hl_plan *plan = NULL;
  hl_diag d = {0};
  hl_shape_binding shape[FUZZ_DIMS];
  bool any = false;
  for (uint32_t i = 0; i < FUZZ_DIMS; i++) {
    shape[i] = (hl_shape_binding){fuzz_dim_names[i], size[i] = random_size(r)};
    any |= f->dynamic[i];
  }
  uint32_t n = 0;
  for (uint32_t x = 1; x < f->kernel->dims.len; x++)
    n += f->kernel->dims.data[x].name[0] != 0;
  if (random && hl_config_random(f->kernel, shape, n, w->target, fuzz_next(r), &d, &c) != HL_OK) {
    complain(w, f, size, NULL, d.message);
    return;
  }
  for (uint32_t i = 0; i < (any ? SHAPES : 1); i++) {
    for (uint32_t x = 0; x < FUZZ_DIMS && i; x++)
      size[x] = f->dynamic[x] ? random_size(r) : size[x];
    one_shape(w, f, c, &plan, size, r);
  }
  hl_plan_destroy(plan);
  hl_config_destroy(c);
}

static void one_kernel(world *w) {
  fuzz_kernel f;
  hl_diag d = {0};
  fuzz_random r = {w->at->seed ^ 0x5bd1e995};
  const int64_t none[FUZZ_DIMS] = {0};
  if (fuzz_kernel_make(w->ctx, w->at->seed, &d, &f) != HL_OK) {
    char words[900];
    snprintf(words, sizeof words, "not built: %s:%u: %.500s", d.file, d.line, d.message);
    complain(w, &f, none, NULL, words);
    w->at->cases++;
    return;
  }
  if (w->show) {
    hl_blob *text = NULL;
    if (hl_kernel_print(f.kernel, NULL, &text) == HL_OK)
      (void)fprintf(stderr, "%s\n", (const char *)hl_blob_data(text));
    hl_blob_release(text);
  }
  one_config(w, &f, false, &r);
  one_config(w, &f, true, &r);
  one_config(w, &f, true, &r);
  hl_kernel_destroy(f.kernel);
}

/* ---- processes ------------------------------------------------------------------------------- */

static int child(shared *at, uint64_t runs) {
  world w = {.at = at, .show = runs == 1};
  hl_diag d = {0};
  const char *target = getenv("HL_FUZZ_TARGET");
  w.interpret = target && target[0];
  hl_context_options options = HL_CONTEXT_OPTIONS_INIT;
  options.cache_dir = ""; /* every kernel is new */
  if (hl_context_create(&options, &d, &w.ctx) != HL_OK ||
      hl_target_find(hli_str(w.interpret ? target : "host"), &d, &w.target) != HL_OK ||
      hl_device_open(w.ctx, "cpu", &d, &w.dev) != HL_OK) {
    (void)fprintf(stderr, "fuzz: %s\n", d.message);
    return 2;
  }
  for (uint64_t i = 0; i < CHUNK && at->cases < runs; i++, at->seed++) {
    (void)alarm(HANG_SECONDS);
    one_kernel(&w);
  }
  hl_device_close(w.dev);
  hl_context_destroy(w.ctx);
  return 0;
}

/* What is one's own of all cases and seeds. */
static void take_part(uint64_t *runs, uint64_t *first) {
  unsigned part = 1, parts = 1;
  const char *text = getenv("HL_TEST_PART");
  if (text && (sscanf(text, "%u/%u", &part, &parts) != 2 || part < 1 || part > parts))
    part = parts = 1;
  *runs = *runs * part / parts - *runs * (part - 1) / parts;
  *first += UINT64_C(1000000) * (part - 1);
}

int main(void) {
  uint64_t runs = fuzz_env("HL_FUZZ_RUNS", 20000), first = fuzz_env("HL_FUZZ_SEED", 1);
  take_part(&runs, &first);
  shared *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED)
    return 1;
  at->seed = first;
  while (at->cases < runs) {
    (void)fflush(NULL);
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) /* ends the ordinary way: leaks are found at exit */
      return child(at, runs);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
      return 1;
    if (status == 0)
      continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
      return 1;
    (void)fprintf(stderr, "fuzz: seed %llu: the process %s %d\n", (unsigned long long)at->seed,
                  WIFSIGNALED(status) ? "died by signal" : "ended with",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    at->wrong++;
    at->cases++;
    at->seed++;
  }
  (void)fprintf(stderr, "fuzz: %llu cases of %llu kernels, %llu wrong\n", (unsigned long long)at->cases,
                (unsigned long long)(at->seed - first), (unsigned long long)at->wrong);
  return at->wrong != 0;
}
