/* fuzz_verify.c: the verifier against kernels that a defective pass might leave behind: ids, attributes, types, links
 * and header facts of valid kernels are changed at random.  The verifier must give a status and a listing without
 * touching memory it should not, and what it accepts must make the round trip through text.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include "tests/fuzz/fuzz.h"

/* An id near the ones that exist, also 0 and just past the end. */
static uint32_t any_id(fuzz_random *r, uint32_t len) { return fuzz_below(r, len + 2); }

static int64_t any_int(fuzz_random *r) {
  static const int64_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 64, -1, -2, 't', 's', ':', 'v', 1000, INT64_MAX, INT64_MIN, 1ll << 40};
  return numbers[fuzz_below(r, HLI_COUNT(numbers))];
}

static void change_op(hl_kernel *k, fuzz_random *r) {
  hli_op op = fuzz_below(r, k->ops.len);
  hli_op_data *o = &k->ops.data[op];
  if (!op) return;
  switch (fuzz_below(r, 9)) {
  case 0: o->code = (uint16_t)fuzz_below(r, HLI_OP_COUNT + 1); break;
  case 1:
    if (o->operands.len) k->pool.data[o->operands.off + fuzz_below(r, o->operands.len)] = any_id(r, k->values.len);
    break;
  case 2: o->operands.len = fuzz_below(r, HLI_MIN(k->pool.len - o->operands.off, 70u) + 1); break;
  case 3: {
    hli_span *a = &o->attrs[fuzz_below(r, HLI_MAX_ATTRS)];
    if (a->len) k->ints.data[a->off + fuzz_below(r, a->len)] = any_int(r);
    break;
  }
  case 4: {
    int64_t ints[12];
    for (uint32_t i = 0; i < HLI_COUNT(ints); i++) ints[i] = any_int(r);
    hli_op_set_attr(k, op, fuzz_below(r, HLI_MAX_ATTRS), ints, fuzz_below(r, HLI_COUNT(ints)));
    break;
  }
  case 5: o->region = any_id(r, k->blocks.len); break;
  case 6: o->result_count = fuzz_below(r, 3); break;
  case 7: o->results = any_id(r, k->values.len); break;
  default: if (!o->dead) hli_op_remove(k, op); break;
  }
}

static void change_value(hl_kernel *k, fuzz_random *r) {
  hli_value_data *v = &k->values.data[fuzz_below(r, k->values.len)];
  hli_type_data *t = &k->types.data[fuzz_below(r, k->types.len)];
  switch (fuzz_below(r, 8)) {
  case 0:
  case 1: v->type = any_id(r, k->types.len); break;
  case 2: v->def = any_id(r, k->ops.len); break;
  case 3: t->kind = (uint8_t)fuzz_below(r, 6); break;
  case 4: t->dtype = (uint8_t)fuzz_below(r, HL_DTYPE_COUNT + 1); break;
  case 5: t->rank = (uint8_t)fuzz_below(r, 10); break;
  case 6: t->dims[fuzz_below(r, HL_MAX_RANK)] = any_id(r, k->axes.len); break;
  default: t->layout = any_id(r, k->layouts.len); break;
  }
}

static void change_block(hl_kernel *k, fuzz_random *r) {
  hli_block_data *b = &k->blocks.data[fuzz_below(r, k->blocks.len)];
  switch (fuzz_below(r, 3)) {
  case 0: b->parent = any_id(r, k->ops.len); break;
  case 1:
    if (b->args.len) k->pool.data[b->args.off + fuzz_below(r, b->args.len)] = any_id(r, k->values.len);
    break;
  default:
    if (b->args.len) b->args.len--;
    break;
  }
}

static void change_layout(hl_kernel *k, fuzz_random *r) {
  if (k->layouts.len < 2) return;
  hli_layout *l = &k->layouts.data[1 + fuzz_below(r, k->layouts.len - 1)];
  switch (fuzz_below(r, 6)) {
  case 0: l->rank = (uint8_t)fuzz_below(r, 7); break;
  case 1: l->reg_bits = (uint8_t)fuzz_below(r, 12); break;
  case 2: l->lane_bits = (uint8_t)fuzz_below(r, 8); break;
  case 3: l->warp_bits = (uint8_t)fuzz_below(r, 7); break;
  case 4: l->lane[fuzz_below(r, HLI_LAYOUT_LANE_BITS)].c[fuzz_below(r, HLI_LAYOUT_RANK)] = (int16_t)fuzz_next(r); break;
  default:
    l->repeats = (uint8_t)fuzz_below(r, 10);
    l->repeat[0] = (hli_layout_repeat){(uint8_t)fuzz_below(r, 5), (uint8_t)fuzz_below(r, 2), (uint16_t)fuzz_below(r, 70000)};
  }
}

static void change_head(hl_kernel *k, fuzz_random *r) {
  hli_dim_data *d = &k->dims.data[fuzz_below(r, k->dims.len)];
  hli_axis_data *a = &k->axes.data[fuzz_below(r, k->axes.len)];
  switch (fuzz_below(r, 11)) {
  case 0: d->value = any_int(r); break;
  case 1: d->multiple = any_int(r); break;
  case 2: d->kind = (uint8_t)fuzz_below(r, 4); break;
  case 3: a->kind = (uint8_t)fuzz_below(r, 4); break;
  case 4: a->block = any_int(r); break;
  case 5: a->dim = any_id(r, k->dims.len); break;
  case 6: k->stage = (uint8_t)fuzz_below(r, 6); break;
  case 7: k->scheduled = !k->scheduled; break;
  case 8: k->launch.warps = fuzz_below(r, 70); break;
  case 9:
    if (k->params.len) k->params.data[fuzz_below(r, k->params.len)].value = any_id(r, k->values.len);
    break;
  default: change_layout(k, r); break;
  }
}

static void change(hl_kernel *k, fuzz_random *r) {
  switch (fuzz_below(r, 8)) {
  case 0: change_value(k, r); break;
  case 1: change_block(k, r); break;
  case 2: change_head(k, r); break;
  case 3: change_layout(k, r); break;
  default: change_op(k, r); break;
  }
}

/* True if the kernel is still valid. */
static bool check(const hl_kernel *k) {
  hl_diag d = {0};
  hli_strbuf listing;
  hli_sb_init(&listing, NULL);
  hl_status s = hli_verify(k, &d, &listing);
  if (s != HL_OK && (s != HL_ERR_BUILD || !d.message[0] || !listing.data || !strchr(listing.data, '^'))) {
    (void)fprintf(stderr, "fuzz: a complaint without words: %s\n%s\n", d.message, listing.data ? listing.data : "");
    abort();
  }
  hli_sb_free(&listing);
  if (s == HL_OK) fuzz_round_trip(k);
  return s == HL_OK;
}

int main(void) {
  fuzz_random r = {fuzz_env("HL_FUZZ_SEED", 1)};
  uint64_t runs = fuzz_env("HL_FUZZ_RUNS", 40000), valid = 0;
  static fuzz_corpus corpus;
  hl_kernel *kernels[HLI_COUNT(corpus.text)];
  fuzz_load(&corpus, "roundtrip");
  for (uint32_t i = 0; i < corpus.count; i++)
    if (hli_parse(NULL, (hl_str){corpus.text[i], corpus.len[i]}, "corpus", NULL, &kernels[i]) != HL_OK) return 1;
  for (uint64_t i = 0; i < runs; i++) {
    hl_kernel *k = hli_kernel_clone(kernels[fuzz_below(&r, corpus.count)]);
    if (!k) return 1;
    for (uint32_t n = 1 + fuzz_below(&r, 3); n; n--) change(k, &r);
    valid += check(k);
    hl_kernel_destroy(k);
  }
  (void)printf("%llu kernels, %llu of them valid\n", (unsigned long long)runs, (unsigned long long)valid);
  for (uint32_t i = 0; i < corpus.count; i++) hl_kernel_destroy(kernels[i]);
  fuzz_unload(&corpus);
  return valid && valid < runs ? 0 : 1;
}
