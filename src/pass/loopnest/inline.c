/* inline.c: a `for` whose trip count is known to be 0 or 1 becomes straight code.
 *
 *   %r = for %c0, %c1000, %c1024, %init (%kb, %a) { ...; yield %d }   ->   ... with %c0, %init; %r = %d
 *
 * So a matrix product whose K fits one block needs no accumulator in memory. */
#include "src/pass/loopnest/nest.h"

/* -1: unknown or more than one. */
static int64_t few_trips(const hl_kernel *k, hli_op op) {
  hli_scalar b, e, s;
  if (!hli_const_value(k, hli_operand(k, op, 0), &b) || !hli_const_value(k, hli_operand(k, op, 1), &e) ||
      !hli_const_value(k, hli_operand(k, op, 2), &s) || s.i <= 0)
    return -1;
  if (b.i >= e.i) return 0;
  return e.i - b.i <= s.i ? 1 : -1;
}

/* Clones the region before the loop and forwards its results. */
static void splice(hl_kernel *k, hli_op op, int64_t trips) {
  const uint32_t n = k->ops.data[op].result_count, values = k->values.len;
  hli_value *map = hli_calloc(k->alloc, values, sizeof *map);
  if (!map) {
    k->failed = true;
    return;
  }
  for (hli_value v = 0; v < values; v++)
    map[v] = v;
  hli_block body = k->ops.data[op].region;
  map[hli_block_arg(k, body, 0)] = hli_operand(k, op, 0);
  for (uint32_t i = 0; i < n; i++)
    map[hli_block_arg(k, body, 1 + i)] = hli_operand(k, op, 3 + i);
  hli_cursor at = {.k = k, .block = k->ops.data[op].block, .before = op};
  hli_op yield = k->blocks.data[body].last;
  for (hli_op o = hli_first(k, body); trips && o != yield && !k->failed; o = hli_next(k, o))
    hli_op_clone(&at, k, o, map);
  for (uint32_t i = 0; i < n && !k->failed; i++) {
    hli_value r = trips ? map[hli_operand(k, yield, i)] : hli_operand(k, op, 3 + i);
    hli_replace_uses(k, hli_result(k, op, i), r);
  }
  hli_op_remove(k, op);
  hli_release(k->alloc, map, values * sizeof *map);
}

static void mark_dead(hl_kernel *k, hli_block b) {
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    k->ops.data[op].dead = true;
    if (k->ops.data[op].region) mark_dead(k, k->ops.data[op].region);
  }
}

static void inline_block(hl_kernel *k, hli_block b) {
  for (hli_op op = hli_first(k, b); op && !k->failed;) {
    hli_op next = hli_next(k, op);
    if (k->ops.data[op].code == HLI_OP_FOR) {
      int64_t trips = few_trips(k, op);
      if (trips >= 0) {
        hli_op before = k->ops.data[op].prev;
        splice(k, op, trips);
        mark_dead(k, k->ops.data[op].region);
        op = before ? hli_next(k, before) : hli_first(k, b); /* look into what was spliced */
        continue;
      }
      inline_block(k, k->ops.data[op].region);
    }
    op = next;
  }
}

void ln_inline_single_trips(hl_kernel *k) { inline_block(k, k->body); }
