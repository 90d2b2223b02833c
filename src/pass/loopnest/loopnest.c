/* loopnest.c: scheduled TILE -> LOOP: tile values become loop nests of scalars and vectors.
 *
 * Expects: scheduled TILE (blocks chosen, program_id, `range` tiles, no ':' index).  Guarantees: LOOP only;
 * launch.grain and launch.scratch_bytes are set.  Owner of unroll and parallel_grain.
 *
 * Nothing is expanded to whole tiles: a value is evaluated *at an index* where it is wanted (eval.c), so
 * pointwise trees fuse with the loads below and the store or reduction above them.  It is put into memory only
 * where a reduction, a dot, a second nest or a loop needs it (plan.c).
 *
 *   %i = range %b, %m {axis = $i}                                for %i = %b, %e, %c1 {
 *   %c = range %c0, %n {axis = $N}                                 %a = for %N = %c0, %n, %c128, %low (%p) {
 *   %v = load %x[%i, %c] : f32[$i, $N]                               %v = load %x[%i, %N:] : f32[128]
 *   %m = reduce %v {op = max, axes = [1]} : f32[$i]                  %q = max %p, %v
 *   %mb = broadcast %m {dims = [0]} : f32[$i, $N]         ->         yield %q
 *   %d = sub %v, %mb                                               }
 *   store %y[%i, %c], %d                                           %m = reduce %a {op = max, axes = [0]} : f32
 *                                                                  for %N = %c0, %n, %c64 {
 *                                                                    ... load, sub, store
 * Vectors of a main loop are several registers wide (the knob unroll); a loop over single registers and a
 * masked partial one follow where the size does not divide.  What is left of a size that is known is one masked
 * vector; a short row of known size is nothing but one, and stays in registers from its first nest to its last. */
#include <stdio.h>
#include "src/pass/loopnest/nest.h"

/* Outputs beyond this are not read again from the cache before they fall out of it (measured: 16 MiB). */
#define STREAM_BYTES ((int64_t)16 << 20)

static hl_status fail(ln *c, hli_op op, hl_status status, const char *fmt, va_list ap) {
  if (c->status != HL_OK) return c->status;
  if (c->dst->failed || c->arena.failed) return c->status = hli_fail_memory(c->env->diag, "lowering a kernel to loops"); /* its consequence */
  char text[HL_DIAG_TEXT];
  vsnprintf(text, sizeof text, fmt, ap);
  const hli_op_data *o = hli_op_get(c->src, op);
  c->status = hli_fail_at(c->env->diag, status, op ? o->file : "", op ? o->line : 0, 0, "kernel %s: %s", c->src->name, text);
  return c->status;
}

hl_status ln_fail(ln *c, hl_status status, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fail(c, 0, status, fmt, ap);
  va_end(ap);
  return c->status;
}

hl_status ln_fail_at(ln *c, hli_op op, hl_status status, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fail(c, op, status, fmt, ap);
  va_end(ap);
  return c->status;
}

/* ---- tables over the source ---------------------------------------------------------------------- */

static void number_ops(ln *c, hli_block b, uint32_t *next) {
  for (hli_op op = hli_first(c->src, b); op; op = hli_next(c->src, op)) {
    c->order[op] = ++*next;
    if (c->src->ops.data[op].region) number_ops(c, c->src->ops.data[op].region, next);
  }
}

static void collect_uses(ln *c) {
  const hl_kernel *k = c->src;
  for (uint32_t pass = 0; pass < 2; pass++) {
    for (hli_op op = 1; op < k->ops.len; op++) {
      if (k->ops.data[op].dead) continue;
      for (uint32_t i = 0; i < hli_operand_count(k, op); i++) {
        hli_value v = hli_operand(k, op, i);
        if (pass == 0) c->use_at[v + 1]++;
        else c->uses[c->use_at[v]++] = op;
      }
    }
    if (pass == 0)
      for (hli_value v = 0; v < k->values.len; v++)
        c->use_at[v + 1] += c->use_at[v];
  }
  for (hli_value v = k->values.len; v > 0; v--) /* filling moved every start to its end */
    c->use_at[v] = c->use_at[v - 1];
  c->use_at[0] = 0;
}

static bool make_tables(ln *c) {
  const hl_kernel *k = c->src;
  uint32_t operands = 0, next = 0;
  for (hli_op op = 1; op < k->ops.len; op++)
    operands += k->ops.data[op].dead ? 0 : hli_operand_count(k, op);
  c->state = hli_arena_array(&c->arena, ln_state, k->values.len);
  c->use_at = hli_arena_array(&c->arena, uint32_t, k->values.len + 2);
  c->uses = hli_arena_array(&c->arena, hli_op, operands + 1);
  c->order = hli_arena_array(&c->arena, uint32_t, k->ops.len);
  if (c->arena.failed) return false;
  collect_uses(c);
  number_ops(c, k->body, &next);
  return true;
}

/* ---- stores that bypass the cache ---------------------------------------------------------------------- */

static int64_t tensor_bytes(const hl_kernel *k, hli_value tensor) {
  const hli_type_data *t = hli_type_of(k, tensor);
  int64_t n = hl_dtype_size((hl_dtype)t->dtype);
  for (uint32_t d = 0; d < t->rank; d++) {
    int64_t size = k->dims.data[t->dims[d]].value;
    if (size < 0 || (size && n > INT64_MAX / size)) return 0;
    n *= size;
  }
  return n;
}

static void choose_streams(ln *c) {
  const hl_kernel *k = c->src;
  uint64_t written = 0, read = 0;
  int64_t bytes = 0;
  for (hli_op op = 1; op < k->ops.len; op++) {
    uint16_t code = k->ops.data[op].code;
    if (k->ops.data[op].dead || (code != HLI_OP_LOAD && !ln_writes_memory(c, op))) continue;
    for (uint32_t p = 0; p < k->params.len && p < 64; p++)
      if (k->params.data[p].value == hli_operand(k, op, 0)) {
        if (code != HLI_OP_LOAD) written |= (uint64_t)1 << p;
        if (code != HLI_OP_STORE) read |= (uint64_t)1 << p;
      }
  }
  for (uint32_t p = 0; p < k->params.len && p < 64; p++)
    if (written >> p & 1) bytes += tensor_bytes(k, k->params.data[p].value);
  if (bytes > STREAM_BYTES) c->stream_params = written & ~read;
}

/* ---- the pass ----------------------------------------------------------------------------------------------- */

static void begin_body(ln *c) {
  c->level[0] = (ln_level){.at = {.k = c->dst, .block = c->dst->body, .file = ""}, .epoch = ++c->epoch};
  c->var_count = 1; /* number 0: index 0 */
  c->var[0].index = ln_i64(c, 0);
  c->first_buffer = c->dst->blocks.data[c->dst->body].first;
  for (uint32_t p = 0; p < c->src->params.len; p++)
    ln_put(c, c->src->params.data[p].value, (ln_val){c->dst->params.data[p].value, 0}, NULL);
}

static void finish_body(ln *c) {
  if (c->streams) hli_op_create(ln_at(c, 0), &(hli_op_desc){.code = HLI_OP_FENCE});
  c->dst->launch.scratch_bytes = (uint32_t)c->scratch;
  c->dst->launch.grain = (uint32_t)HLI_MAX(hli_config_value(c->env->config, HLI_KNOB_PARALLEL_GRAIN, 0, 1), 1);
}

hl_status hli_pass_loopnest(hli_pass_env *env, hl_kernel **pk) {
  ln_inline_single_trips(*pk);
  hl_status s = hli_pass_simplify(env, pk);
  if (s != HL_OK) return s;
  ln *c = hli_calloc(env->alloc, 1, sizeof *c);
  if (!c) return hli_fail_memory(env->diag, "lowering a kernel to loops");
  c->env = env;
  c->src = *pk;
  c->width = HLI_MAX(env->target->vector_bytes / 4, 1);
  c->unroll = HLI_MAX(hli_config_value(env->config, HLI_KNOB_UNROLL, 0, 4), 1);
  hli_arena_init(&c->arena, env->alloc);
  c->dst = hli_kernel_clone_header(c->src, HLI_STAGE_LOOP);
  if (!c->dst || !make_tables(c)) s = hli_fail_memory(env->diag, "lowering a kernel to loops");
  if (s == HL_OK) {
    begin_body(c);
    choose_streams(c);
    c->may_share = ln_may_share(c);
    ln_block(c, c->src->body, NULL, NULL, 0);
    finish_body(c);
    s = c->status != HL_OK ? c->status : c->dst->failed ? hli_fail_memory(env->diag, "lowering a kernel to loops") : HL_OK;
  }
  if (s == HL_OK) {
    hl_kernel_destroy(*pk);
    *pk = c->dst;
  } else {
    hl_kernel_destroy(c->dst);
  }
  hli_arena_free(&c->arena);
  hli_release(env->alloc, c, sizeof *c);
  return s;
}
