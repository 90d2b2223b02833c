/* registry.c: the table of examples, in the ladder's order. */
#include "examples/example.h"
#include <string.h>

#define LADDER(X)                                                                                                      \
  X(vector_add)                                                                                                        \
  X(exp)                                                                                                               \
  X(exp_bwd)                                                                                                           \
  X(swiglu)                                                                                                            \
  X(swiglu_bwd)                                                                                                        \
  X(geglu)                                                                                                             \
  X(geglu_bwd)                                                                                                         \
  X(sum)                                                                                                               \
  X(long_sum)                                                                                                          \
  X(concatenate)                                                                                                       \
  X(embedding)                                                                                                         \
  X(low_mem_dropout)                                                                                                   \
  X(softmax)                                                                                                           \
  X(log_softmax)                                                                                                       \
  X(softmax_online)                                                                                                    \
  X(softmax_bwd)                                                                                                       \
  X(rms_norm)                                                                                                          \
  X(layer_norm)                                                                                                        \
  X(cross_entropy)                                                                                                     \
  X(kl_div)                                                                                                            \
  X(jsd)                                                                                                               \
  X(grpo_loss)                                                                                                         \
  X(variance)                                                                                                          \
  X(rms_norm_bwd)                                                                                                      \
  X(layer_norm_bwd)                                                                                                    \
  X(column_sum)                                                                                                        \
  X(welford)                                                                                                           \
  X(rope)                                                                                                              \
  X(rope_bwd)                                                                                                          \
  X(qk_norm_rope)                                                                                                      \
  X(silu_mul_fp8)                                                                                                      \
  X(token_quant_fp8)                                                                                                   \
  X(rms_norm_block_quant)                                                                                              \
  X(matmul)                                                                                                            \
  X(matmul_nt)                                                                                                         \
  X(matmul_tn)                                                                                                         \
  X(addmm_relu)                                                                                                        \
  X(matmul_bias_gelu)                                                                                                  \
  X(silu_matmul)                                                                                                       \
  X(bmm)                                                                                                               \
  X(broadcast_matmul)                                                                                                  \
  X(matmul_layernorm)                                                                                                  \
  X(squeeze_excitation)                                                                                                \
  X(squeeze_excitation_bwd)

#define X(name) extern const hl_example hl_example_##name;
LADDER(X)
#undef X

#define X(name) &hl_example_##name,
const hl_example *const hl_examples[] = {LADDER(X)};
#undef X
const uint32_t hl_example_count = sizeof hl_examples / sizeof hl_examples[0];

const hl_example *hl_example_find(const char *name) {
  for (uint32_t i = 0; i < hl_example_count; i++)
    if (strcmp(hl_examples[i]->name, name) == 0)
      return hl_examples[i];
  return NULL;
}

void (*hl_example_plain_of(const hl_example *e, hl_dtype dtype))(void *const *args, const int64_t *size) {
  for (const hl_example_plain *p = e->plains; p && p->dtype != HL_DTYPE_NONE; p++)
    if (p->dtype == dtype)
      return p->run;
  return dtype == HL_F32 ? e->plain : NULL;
}
