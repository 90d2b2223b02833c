/* cuda.h: the few functions of the CUDA driver and of cuBLAS that references on the GPU need. */
#ifndef CLI_CUDA_H
#define CLI_CUDA_H

#include "src/cli/bench/bench.h"

typedef struct cuda_bench cuda_bench;
typedef struct cuda_graph cuda_graph;
typedef struct cuda_kernel cuda_kernel;

/* Opens the driver with the device's primary context current in this thread. */
hl_status cuda_open(int32_t device, hl_diag *diag, cuda_bench **out);
void cuda_close(cuda_bench *c);
hl_status cuda_copy(cuda_bench *c, void *to, const void *from, size_t bytes, void *stream, hl_diag *diag);

hl_status cuda_capture_begin(cuda_bench *c, void *stream, hl_diag *diag);
hl_status cuda_capture_end(cuda_bench *c, void *stream, cuda_graph **out, hl_diag *diag);
hl_status cuda_graph_launch(cuda_bench *c, cuda_graph *g, void *stream, hl_diag *diag);
void cuda_graph_free(cuda_bench *c, cuda_graph *g); /* NULL is fine */

/* A kernel of a cubin or PTX, to launch without libhl. */
hl_status cuda_kernel_load(cuda_bench *c, const void *image, const char *name, hl_diag *diag, cuda_kernel **out);
void cuda_kernel_free(cuda_kernel *k);
hl_status cuda_kernel_launch(cuda_bench *c, cuda_kernel *k, unsigned blocks, unsigned threads, void *stream,
                             void **params, hl_diag *diag);

/* cuBLAS; `file` NULL: libcublas.so.13, then .12.  HL_ERR_NO_DRIVER when there is none. */
hl_status cuda_blas_open(cuda_bench *c, const char *file, hl_diag *diag);
int cuda_blas_version(const cuda_bench *c); /* 0: not open */
/* f16, bf16 and f32 accumulated in f32, f64. */
hl_status cuda_blas_gemm(cuda_bench *c, const gemm *g, const void *x, const void *y, void *out, void *stream,
                         hl_diag *diag);

#endif
