/* blas.c: OpenBLAS as the reference of matrix products on the CPU, opened at run time. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

struct blas {
  void *library;
  void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
  void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
  void (*set_threads)(int);
  char *(*get_config)(void);
};

/* A library's function as a pointer of whatever type. */
static bool find(void *library, const char *name, void *pointer) {
  void *found = dlsym(library, name);
  *(void **)pointer = found;
  return found != NULL;
}

blas *blas_open(void) {
  blas *b = cli_alloc(1, sizeof *b);
  b->library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!b->library)
    b->library = dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
  if (b->library && find(b->library, "cblas_sgemm", &b->sgemm) && find(b->library, "cblas_dgemm", &b->dgemm) &&
      find(b->library, "openblas_set_num_threads", &b->set_threads) &&
      find(b->library, "openblas_get_config", &b->get_config))
    return b;
  free(b);
  return NULL;
}

/* The library stays loaded: its threads may still be about. */
void blas_close(blas *b) {
  free(b);
}

const char *blas_config(const blas *b) {
  return b ? b->get_config() : "";
}

void blas_threads(blas *b, int threads) {
  b->set_threads(threads);
}

void blas_gemm(blas *b, const gemm *g, const void *x, const void *y, void *out) {
  const int m = (int)g->m, n = (int)g->n, k = (int)g->k, tx = g->x_transposed ? TRANSPOSE : NO_TRANSPOSE,
            ty = g->y_transposed ? TRANSPOSE : NO_TRANSPOSE, lx = g->x_transposed ? m : k, ly = g->y_transposed ? k : n;
  if (g->dtype == HL_F64)
    b->dgemm(ROW_MAJOR, tx, ty, m, n, k, 1, x, lx, y, ly, 0, out, n);
  else
    b->sgemm(ROW_MAJOR, tx, ty, m, n, k, 1, x, lx, y, ly, 0, out, n);
}

void blas_environment(char **argv) {
#if defined(__x86_64__)
  /* Left alone, OpenBLAS takes its AVX2 kernels on processors with AVX-512 that it does not know by name, and half
   * the speed; the same where the environment was made for such a machine. */
  static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  const char *core = getenv("OPENBLAS_CORETYPE");
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw"))
    return;
  for (int i = 0; core && i < 3; i++)
    if (!strcmp(core, wide[i]))
      return;
  if (core)
    fprintf(stderr, "hl-bench: OPENBLAS_CORETYPE=%s would slow OpenBLAS down on this processor; taking SkylakeX\n",
            core);
  setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
  execv("/proc/self/exe", argv); /* its constructor reads the variable: start anew; if that fails, go on without */
#else
  (void)argv;
#endif
}
