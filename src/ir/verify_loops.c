/* verify_loops.c: the body of a kernel as its user wrote it: tile loops with pure statements between them.
 *
 * The top-level loops of a kernel are one launch: their programs run in any order, at the same time.  So nothing
 * with effects stands between them, they carry no values, and a later one may not touch what an earlier one wrote.
 * SPDX-License-Identifier: MIT */
#include "src/ir/verify.h"

typedef struct footprint { uint32_t reads, writes; } footprint; /* a bit per parameter */

static uint32_t param_bit(const hl_kernel *k, hli_value base) {
  for (uint32_t i = 0; i < k->params.len && i < 32; i++)
    if (k->params.data[i].value == base)
      return 1u << i;
  return 0;
}

static void touch(const hl_kernel *k, hli_op op, footprint *f) {
  const hli_op_data *o = hli_op_get(k, op);
  const hli_op_info *facts = hli_op_facts((hli_opcode)o->code);
  if (facts->family == HLI_FAM_ACCESS && o->operands.len) {
    uint32_t bit = param_bit(k, hli_operand(k, op, 0));
    if (o->code == HLI_OP_STORE || o->code == HLI_OP_ATOMIC)
      f->writes |= bit;
    else
      f->reads |= bit;
  }
  for (hli_op inner = o->region ? hli_first(k, o->region) : 0; inner; inner = hli_next(k, inner))
    touch(k, inner, f);
}

/* Parameters that may be the same memory as one of `mask`. */
static uint32_t with_aliases(const hl_kernel *k, uint32_t mask) {
  uint32_t all = mask;
  for (uint32_t i = 0; i < k->params.len && i < 32; i++) {
    if (mask >> i & 1)
      all |= k->params.data[i].may_alias;
    if (k->params.data[i].may_alias & mask)
      all |= 1u << i;
  }
  return all;
}

/* Does `loop` touch what `earlier`, a top-level loop before it, writes? */
static bool check_hazard(hli_verifier *v, hli_op loop, hli_op earlier) {
  const hl_kernel *k = v->k;
  footprint before = {0, 0}, now = {0, 0};
  touch(k, earlier, &before);
  touch(k, loop, &now);
  const uint32_t clash = with_aliases(k, before.writes) & (now.reads | now.writes);
  if (!clash)
    return true;
  const hli_op_data *a = hli_op_get(k, earlier), *b = hli_op_get(k, loop);
  const bool same_file = strcmp(a->file, b->file) == 0;
  hli_complain(v, loop,
               "this loop touches %s, which the top-level loop at %s%s%u writes: the loops of one kernel run at the "
               "same time, and there is no barrier between loops; make it two kernels or one loop",
               hli_verify_name(v, k->params.data[__builtin_ctz(clash)].value), same_file ? "line " : a->file,
               same_file ? "" : ":", a->line);
  return false;
}

static void check_top_loop(hli_verifier *v, hli_op op) {
  const hli_op_data *o = hli_op_get(v->k, op);
  if (o->result_count)
    hli_complain(v, op, "a top-level tile loop is the launch grid: it cannot carry values");
  if (o->region && hli_op_get(v->k, hli_first(v->k, o->region))->code == HLI_OP_YIELD)
    hli_complain(v, op, "the loop is empty: it has no effect");
}

static bool has_effects(const hl_kernel *k, hli_op op) {
  const hli_op_data *o = hli_op_get(k, op);
  if (hli_op_facts((hli_opcode)o->code)->effects & (HLI_EFF_WRITE | HLI_EFF_SYNC))
    return true;
  for (hli_op inner = o->region ? hli_first(k, o->region) : 0; inner; inner = hli_next(k, inner))
    if (has_effects(k, inner))
      return true;
  return false;
}

void hli_verify_loops(hli_verifier *v) {
  const hl_kernel *k = v->k;
  uint32_t loops = 0;
  if (v->complaints.len)
    return; /* structure first */
  for (hli_op op = hli_first(k, k->body); op; op = hli_next(k, op)) {
    if (hli_op_get(k, op)->code != HLI_OP_TILE) {
      if (has_effects(k, op))
        hli_complain(v, op, "a statement with effects outside the tile loops: move it into one");
      continue;
    }
    loops++;
    check_top_loop(v, op);
    for (hli_op o = hli_first(k, k->body); o != op; o = hli_next(k, o))
      if (hli_op_get(k, o)->code == HLI_OP_TILE && !check_hazard(v, op, o))
        break;
  }
  if (loops > HLI_MAX_ROOTS)
    hli_complain(v, 0, "%u top-level loops: at most %d are allowed; make it several kernels", loops, HLI_MAX_ROOTS);
  if (!loops)
    hli_complain(v, 0, "no loop in the kernel: its work belongs into a tile loop, which becomes the launch grid");
}
