/* verify.c: is this kernel well-formed?
 *
 * A walk over all blocks that knows which values are visible, with the checks of the other verify_*.c files at
 * every op.  All complaints are collected (up to a limit); the first becomes the diagnostic, and a listing shows
 * each below the op it is about.  SPDX-License-Identifier: MIT */
#include "src/ir/verify.h"
#include <stdio.h>

/* ---- complaints --------------------------------------------------------------------------- */

void hli_complain(hli_verifier *v, hli_op op, const char *fmt, ...) {
  char text[HL_DIAG_TEXT];
  if (v->complaints.len >= HLI_VERIFY_MOST)
    return;
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  const char *copy = hli_arena_strdup(&v->arena, hli_str(text));
  if (!copy || !hli_vec_push(v->k->alloc, &v->complaints, ((hli_complaint){op, copy})))
    v->arena.failed = true;
}

const char *hli_verify_name(const hli_verifier *v, hli_value value) {
  const char *name = value < v->names.count ? v->names.of[value] : NULL;
  size_t len = name ? strlen(name) + 2 : 0;
  char *text = name ? hli_arena_alloc((hli_arena *)&v->arena, len) : NULL;
  if (!text)
    return "%?";
  (void)snprintf(text, len, "%%%s", name);
  return text;
}

const char *hli_verify_type(hli_verifier *v, hli_type type) {
  hli_strbuf sb;
  hli_sb_init(&sb, v->k->alloc);
  hli_print_type(v->k, type, &sb);
  const char *text = sb.failed ? NULL : hli_arena_strdup(&v->arena, (hl_str){sb.data, sb.len});
  hli_sb_free(&sb);
  return text ? text : "?";
}

/* ---- visibility ------------------------------------------------------------------------------ */

static void define(hli_verifier *v, hli_op op, hli_value value) {
  if (!value || value >= v->k->values.len) {
    hli_complain(v, op, "a value of the kernel has the impossible number %u", value);
    return;
  }
  if (v->state[value])
    hli_complain(v, op, "%s is defined twice", hli_verify_name(v, value));
  v->state[value] = 1;
  if (!hli_vec_push(v->k->alloc, &v->visible, value))
    v->arena.failed = true;
}

static void leave(hli_verifier *v, uint32_t mark) {
  while (v->visible.len > mark)
    v->state[v->visible.data[--v->visible.len]] = 2;
}

static void check_visible(hli_verifier *v, hli_op op) {
  for (uint32_t i = 0; i < hli_operand_count(v->k, op); i++) {
    hli_value x = hli_operand(v->k, op, i);
    if (!x || x >= v->k->values.len || v->state[x] == 1)
      continue; /* numbers that are out of range are hli_verify_op's affair */
    if (v->state[x] == 2)
      hli_complain(v, op, "%s belongs to a region that is over: carry it out of the loop", hli_verify_name(v, x));
    else
      hli_complain(v, op, "%s is used before it is defined", hli_verify_name(v, x));
  }
}

/* ---- the walk ------------------------------------------------------------------------------------ */

static void walk(hli_verifier *v, hli_block b);

static bool spans_ok(const hl_kernel *k, const hli_op_data *o) {
  bool ok = o->operands.off <= k->pool.len && o->operands.len <= k->pool.len - o->operands.off;
  for (uint32_t i = 0; i < HLI_MAX_ATTRS; i++)
    ok &= o->attrs[i].off <= k->ints.len && o->attrs[i].len <= k->ints.len - o->attrs[i].off;
  return ok && o->region < k->blocks.len;
}

static void walk_region(hli_verifier *v, hli_op op, hli_block region) {
  uint32_t mark = v->visible.len;
  if (v->depth >= HLI_MAX_NESTING) {
    hli_complain(v, op, "loops are nested more than %d deep", HLI_MAX_NESTING);
    return;
  }
  v->loops[v->depth++] = op;
  for (uint32_t i = 0; i < v->k->blocks.data[region].args.len; i++) {
    define(v, op, hli_block_arg(v->k, region, i));
    hli_verify_value_type(v, op, hli_block_arg(v->k, region, i));
  }
  walk(v, region);
  v->depth--;
  leave(v, mark);
}

static void walk_op(hli_verifier *v, hli_op op) {
  const hli_op_data *o = hli_op_get(v->k, op);
  if (!spans_ok(v->k, o)) {
    hli_complain(v, op, "the op's arrays lie outside the kernel's");
    return;
  }
  check_visible(v, op);
  if (hli_verify_op(v, op) && hli_own_region(v->k, op))
    walk_region(v, op, o->region);
  o = hli_op_get(v->k, op); /* inference may have moved arrays */
  for (uint32_t i = 0; i < o->result_count; i++) {
    define(v, op, o->results + i);
    hli_verify_value_type(v, op, o->results + i);
  }
}

static void walk(hli_verifier *v, hli_block b) {
  const hl_kernel *k = v->k;
  bool ended = false;
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    if (op >= k->ops.len || ++v->visited > k->ops.len || hli_op_get(k, op)->block != b) {
      hli_complain(v, 0, "the list of ops of a block is broken");
      return;
    }
    if (ended)
      hli_complain(v, op, "nothing may follow the yield of a region");
    ended = hli_op_facts((hli_opcode)hli_op_get(k, op)->code)->effects & HLI_EFF_TERM;
    if (ended && b == k->body)
      hli_complain(v, op, "the body does not end in a yield: only regions do");
    walk_op(v, op);
  }
  if (!ended && b != k->body)
    hli_complain(v, k->blocks.data[b].parent, "the region does not end in a yield");
}

/* ---- results ---------------------------------------------------------------------------------------- */

static void remark(void *ctx, hli_op op, uint32_t indent, hli_strbuf *out) {
  const hli_verifier *v = ctx;
  for (uint32_t i = 0; i < v->complaints.len; i++)
    if (v->complaints.data[i].op == op)
      hli_sb_printf(out, "%*s^ %s\n", (int)(2 * indent), "", v->complaints.data[i].text);
}

static void put_listing(hli_verifier *v, hli_strbuf *out) {
  hli_print_remarked(v->k, out, remark, v);
  for (uint32_t i = 0; i < v->complaints.len; i++)
    if (!v->complaints.data[i].op)
      hli_sb_printf(out, "^ %s\n", v->complaints.data[i].text);
}

static hl_status report(hli_verifier *v, hl_diag *diag, hli_strbuf *listing) {
  if (v->arena.failed || v->k->failed)
    return hli_fail_memory(diag, "verifying a kernel");
  if (v->complaints.len == 0)
    return HL_OK;
  const hli_complaint *first = &v->complaints.data[0];
  if (listing)
    put_listing(v, listing);
  if (!first->op)
    return hli_fail(diag, HL_ERR_BUILD, "kernel %s: %s", v->k->name, first->text);
  hli_strbuf line;
  hli_sb_init(&line, v->k->alloc);
  hli_print_op_named(v->k, &v->names, first->op, &line);
  const hli_op_data *o = hli_op_get(v->k, first->op);
  hl_status s = hli_fail_at(diag, HL_ERR_BUILD, o->file, o->line, 0, "kernel %s: %s, in '%s'", v->k->name, first->text,
                            line.failed ? "?" : line.data);
  hli_sb_free(&line);
  return s;
}

hl_status hli_verify(const hl_kernel *k, hl_diag *diag, hli_strbuf *listing) {
  if (k->failed)
    return hli_fail_memory(diag, "building a kernel");
  hli_verifier v = {.k = hli_kernel_clone(k)};
  if (!v.k || !hli_naming_init(&v.names, v.k)) {
    hl_kernel_destroy(v.k);
    return hli_fail_memory(diag, "verifying a kernel");
  }
  hli_arena_init(&v.arena, k->alloc);
  v.state = hli_arena_array(&v.arena, uint8_t, k->values.len);
  if (v.state && hli_verify_head(&v)) {
    for (uint32_t i = 0; i < v.k->params.len; i++)
      define(&v, 0, v.k->params.data[i].value);
    walk(&v, v.k->body);
    if (v.visited > HLI_TEXT_OPS)
      hli_complain(&v, 0, "the kernel has %u operations: at most %u are allowed", v.visited, HLI_TEXT_OPS);
    if (v.k->stage == HLI_STAGE_TILE && !v.k->scheduled)
      hli_verify_loops(&v);
  }
  hl_status s = report(&v, diag, listing);
  hli_vec_free(k->alloc, &v.complaints);
  hli_vec_free(k->alloc, &v.visible);
  hli_arena_free(&v.arena);
  hli_naming_free(&v.names);
  hl_kernel_destroy(v.k);
  return s;
}
