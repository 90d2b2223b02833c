/* nvptx.c: NVIDIA targets: limits and matrix instructions of sm_80 and sm_90a.
 *
 * Limits are those of the CUDA programming guide's table of compute capabilities; a block may use all
 * of a multiprocessor's shared memory but 1 KB.  Fragment layouts are those of the PTX manual ("Matrix
 * fragments for mma.m16n8k16"): basis vectors {row, column}. */
#include "src/target/target.h"

/* clang-format off: the tables read better as they are */
#define VEC(r, c) {{r, c}}

/* A: 16 x 16, B: 16 x 8, D: 16 x 8 of 16-bit operands.  A register pair holds two neighbours along k. */
#define ATOM_A16 {.rank = 2, .reg_bits = 3, .lane_bits = 5, .reg = {VEC(0, 1), VEC(8, 0), VEC(0, 8)}, \
                  .lane = {VEC(0, 2), VEC(0, 4), VEC(1, 0), VEC(2, 0), VEC(4, 0)}}
#define ATOM_B16 {.rank = 2, .reg_bits = 2, .lane_bits = 5, .reg = {VEC(1, 0), VEC(8, 0)}, \
                  .lane = {VEC(2, 0), VEC(4, 0), VEC(0, 1), VEC(0, 2), VEC(0, 4)}}
#define ATOM_D16 {.rank = 2, .reg_bits = 2, .lane_bits = 5, .reg = {VEC(0, 1), VEC(8, 0)}, \
                  .lane = {VEC(0, 2), VEC(0, 4), VEC(1, 0), VEC(2, 0), VEC(4, 0)}}
/* mma.m16n8k8 of tf32, which lies in 32-bit registers: A 16 x 8, B 8 x 8, D as of 16-bit operands. */
#define ATOM_A32 {.rank = 2, .reg_bits = 2, .lane_bits = 5, .reg = {VEC(8, 0), VEC(0, 4)}, \
                  .lane = {VEC(0, 1), VEC(0, 2), VEC(1, 0), VEC(2, 0), VEC(4, 0)}}
#define ATOM_B32 {.rank = 2, .reg_bits = 1, .lane_bits = 5, .reg = {VEC(4, 0)}, \
                  .lane = {VEC(1, 0), VEC(2, 0), VEC(0, 1), VEC(0, 2), VEC(0, 4)}}
/* mma.m8n8k4 of doubles: A 8 x 4, B 4 x 8, D 8 x 8. */
#define ATOM_A64 {.rank = 2, .lane_bits = 5, .lane = {VEC(0, 1), VEC(0, 2), VEC(1, 0), VEC(2, 0), VEC(4, 0)}}
#define ATOM_B64 {.rank = 2, .lane_bits = 5, .lane = {VEC(1, 0), VEC(2, 0), VEC(0, 1), VEC(0, 2), VEC(0, 4)}}
#define ATOM_D64 {.rank = 2, .reg_bits = 1, .lane_bits = 5, .reg = {VEC(0, 1)}, \
                  .lane = {VEC(0, 2), VEC(0, 4), VEC(1, 0), VEC(2, 0), VEC(4, 0)}}

static const hli_matrix_row matrix_rows[] = {
    {.name = "mma.m16n8k16.bf16", .m = 16, .n = 8, .k = 16, .in = HL_BF16, .acc = HL_F32, .min_arch = 80,
     .a = ATOM_A16, .b = ATOM_B16, .d = ATOM_D16, .intrinsic = "llvm.nvvm.mma.m16n8k16.row.col.bf16"},
    {.name = "mma.m16n8k16.f16", .m = 16, .n = 8, .k = 16, .in = HL_F16, .acc = HL_F32, .min_arch = 80,
     .a = ATOM_A16, .b = ATOM_B16, .d = ATOM_D16, .intrinsic = "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"},
    {.name = "mma.m16n8k8.tf32", .m = 16, .n = 8, .k = 8, .in = HL_F32, .acc = HL_F32, .min_arch = 80, .tf32 = true,
     .a = ATOM_A32, .b = ATOM_B32, .d = ATOM_D16, .intrinsic = "llvm.nvvm.mma.m16n8k8.row.col.tf32"},
    {.name = "mma.m8n8k4.f64", .m = 8, .n = 8, .k = 4, .in = HL_F64, .acc = HL_F64, .min_arch = 80,
     .a = ATOM_A64, .b = ATOM_B64, .d = ATOM_D64, .intrinsic = "llvm.nvvm.mma.m8n8k4.row.col.f64"},
};

/* What all rows share. */
#define NVPTX_COMMON                                                                                     \
  .family = HLI_FAMILY_NVPTX, .triple = "nvptx64-nvidia-cuda", .warp_size = 32, .vector_bytes = 16,      \
  .max_threads = 1024, .max_warps = 16, .regs_per_thread = 255, .regs_per_unit = 65536, .async_copy = true, \
  .matrix = matrix_rows, .matrix_count = HLI_COUNT(matrix_rows)

const hl_target hli_nvptx_targets[] = {
    {.name = "nvptx:sm_80", .cpu = "sm_80", .features = "+ptx70", .arch = 80,
     .shared_bytes = 163 * 1024, .shared_unit = 164 * 1024, .units = 108, NVPTX_COMMON},
    {.name = "nvptx:sm_90a", .cpu = "sm_90a", .features = "+ptx80", .arch = 90,
     .shared_bytes = 227 * 1024, .shared_unit = 228 * 1024, .units = 132, NVPTX_COMMON},
};
const uint32_t hli_nvptx_target_count = HLI_COUNT(hli_nvptx_targets);
