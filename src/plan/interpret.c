/* interpret.c: hl_interpret: the reference interpreter behind the public API.
 *
 * Without a target the kernel runs as it was built, in the blocks of the configuration if there is one.  With a
 * target it is specialised for the arguments' sizes, lowered like any kernel that is compiled, and the LOOP or
 * LANE form is what runs: a schedule is tried without the machine it is for.  SPDX-License-Identifier: MIT */
#include "src/plan/interpret.h"
#include "src/ir/interp/interp.h"
#include "src/plan/plan.h"

static hl_status read_options(const hl_interp_options *given, hl_diag *diag, hl_interp_options *out) {
  *out = (hl_interp_options)HL_INTERP_OPTIONS_INIT;
  if (!given)
    return HL_OK;
  if (!hli_struct_take(out, sizeof *out, given))
    return hli_fail(diag, HL_ERR_ARG, "hl_interp_options.size is %zu: start from HL_INTERP_OPTIONS_INIT", given->size);
  if (out->mode != HL_INTERP_TYPED && out->mode != HL_INTERP_EXACT)
    return hli_fail(diag, HL_ERR_ARG, "hl_interp_options.mode is %d: give HL_INTERP_TYPED or HL_INTERP_EXACT",
                    (int)out->mode);
  return HL_OK;
}

static hli_interp_options inner_options(const hl_interp_options *o) {
  return (hli_interp_options){.exact = o->mode == HL_INTERP_EXACT,
                              .race_check = o->race_check,
                              .program_check = o->race_check,
                              .max_steps = o->max_steps};
}

/* ---- as built ---- */

static hl_status run_built(const hl_allocator *alloc, const hl_kernel *k, const hl_arg *args, size_t n,
                           const hl_interp_options *o, hl_diag *diag) {
  hli_interp_options inner = inner_options(o);
  int64_t *blocks = NULL;
  hl_kernel *tuned = NULL;
  if (o->config && k->tunables.len) {
    hli_pass_env env = {.alloc = alloc, .config = o->config, .diag = diag};
    tuned = hli_kernel_clone(k);
    hl_status s = tuned ? hli_pass_tunables(&env, &tuned) : hli_fail_memory(diag, "interpreting a kernel");
    if (s != HL_OK) {
      hl_kernel_destroy(tuned);
      return s;
    }
    k = tuned;
  }
  if (o->config) {
    blocks = hli_calloc(alloc, k->axes.len, sizeof *blocks);
    if (!blocks) {
      hl_kernel_destroy(tuned);
      return hli_fail_memory(diag, "interpreting a kernel");
    }
    for (uint32_t a = 1, instance = 0; a < k->axes.len; a++)
      if (k->axes.data[a].kind == HLI_AXIS_TILE)
        blocks[a] = hli_config_value(o->config, HLI_KNOB_BLOCK_SIZES, instance++, 0);
    inner.blocks = blocks;
    inner.block_count = k->axes.len;
  }
  const hl_status s = hli_interp_run(k, alloc, args, n, &inner, diag);
  hli_release(alloc, blocks, k->axes.len * sizeof *blocks);
  hl_kernel_destroy(tuned);
  return s;
}

/* ---- lowered ---- */

static hl_status run_lowered(const hl_allocator *alloc, const hl_kernel *k, const hl_arg *args, size_t n,
                             const hl_interp_options *o, const char *stop_after, hl_diag *diag) {
  hli_interp_options inner = inner_options(o);
  hl_status s = hli_interp_check(k, alloc, args, n, &inner, diag);
  if (s)
    return s;
  hli_bindings bound = {.any_dtype = true}; /* exact results may go to f64 tensors; checked above */
  hl_kernel *lowered = NULL, *copy = hli_kernel_clone(k);
  if (!copy)
    return hli_fail_memory(diag, "interpreting a kernel");
  s = hli_bind_args(copy, args, n, diag, &bound);
  const hli_lower_request request = {.kernel = copy,
                                     .target = o->target,
                                     .shape = bound.data,
                                     .shape_count = bound.len,
                                     .config = o->config,
                                     .stop_after = stop_after};
  if (!s)
    s = hli_lower(&request, diag, &lowered);
  inner.half_lowered = stop_after && strcmp(stop_after, "lane") != 0;
  if (!s)
    s = hli_interp_run(lowered, alloc, args, n, &inner, diag);
  hl_kernel_destroy(lowered);
  hl_kernel_destroy(copy);
  return s;
}

/* ---- entries ---- */

hl_status hli_interpret(const hl_allocator *alloc, const hl_kernel *k, const hl_arg *args, size_t arg_count,
                        const hl_interp_options *options, const char *stop_after, hl_diag *diag) {
  hl_interp_options o;
  hl_status s = read_options(options, diag, &o);
  if (s)
    return s;
  return o.target ? run_lowered(alloc, k, args, arg_count, &o, stop_after, diag)
                  : run_built(alloc, k, args, arg_count, &o, diag);
}

hl_status hl_interpret(hl_context *ctx, const hl_kernel *k, const hl_arg *args, size_t arg_count,
                       const hl_interp_options *options, hl_diag *diag) {
  if (!ctx || !k)
    return hli_fail(diag, HL_ERR_ARG, "hl_interpret: %s is NULL", ctx ? "the kernel" : "the context");
  return hli_interpret(&ctx->alloc, k, args, arg_count, options, NULL, diag);
}
