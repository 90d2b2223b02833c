/* run.c: the one place that runs passes: checks what a pass needs, verifies after each, offers the kernel to
 * an observer (dumps, timing), stops after a named pass.  The paranoid build also prints and re-parses. */
#include "src/pass/pass.h"

static bool has_run(const char *const *done, uint32_t n, hl_str name) {
  for (uint32_t i = 0; i < n; i++)
    if (hli_str_eqz(name, done[i]))
      return true;
  return false;
}

/* Every blank-separated name in `needs` is among the passes that ran. */
static bool needs_met(const hli_pass *p, const char *const *done, uint32_t n) {
  for (const char *s = p->needs; *s;) {
    const char *e = strchr(s, ' ');
    const hl_str name = {s, e ? (size_t)(e - s) : strlen(s)};
    if (!has_run(done, n, name))
      return false;
    s += name.len + (e != NULL);
  }
  return true;
}

/* A defect of ours, not of the user's kernel. */
static hl_status broken(hl_diag *diag, const char *pass, const hl_diag *inner) {
  return hli_fail(diag, HL_ERR_INTERNAL, "after pass %s the kernel is invalid: %s", pass, inner->message);
}

#ifdef HL_PARANOID
static hl_status check_round_trip(const hl_kernel *k, const char *pass, hl_diag *diag) {
  hli_strbuf a, b;
  hl_kernel *again = NULL;
  hl_diag inner = {0};
  hli_sb_init(&a, k->alloc);
  hli_sb_init(&b, k->alloc);
  hli_print(k, &a);
  hl_status s =
      a.failed ? hli_fail_memory(diag, "printing") : hli_parse(k->alloc, (hl_str){a.data, a.len}, pass, &inner, &again);
  if (s == HL_ERR_MEMORY)
    s = hli_fail_memory(diag, "checking a pass");
  else if (s != HL_OK)
    s = broken(diag, pass, &inner);
  if (s == HL_OK) {
    hli_print(again, &b);
    if (b.failed)
      s = hli_fail_memory(diag, "checking a pass");
    else if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
      s = hli_fail(diag, HL_ERR_INTERNAL, "after pass %s the text does not round-trip", pass);
  }
  hl_kernel_destroy(again);
  hli_sb_free(&a);
  hli_sb_free(&b);
  return s;
}
#endif

static hl_status run_one(hli_pass_env *env, const hli_pass *p, hl_kernel **k) {
  hl_diag inner = {0};
  hl_status s = p->run(env, k);
  if (s != HL_OK)
    return s;
  if ((*k)->failed)
    return hli_fail_memory(env->diag, p->name);
  if ((*k)->stage != p->stage_after)
    return hli_fail(env->diag, HL_ERR_INTERNAL, "pass %s left stage %u, not %u", p->name, (*k)->stage, p->stage_after);
  s = hli_verify(*k, &inner, NULL);
  if (s == HL_ERR_MEMORY)
    return hli_fail_memory(env->diag, p->name);
  if (s != HL_OK)
    return broken(env->diag, p->name, &inner);
#ifdef HL_PARANOID
  s = check_round_trip(*k, p->name, env->diag);
#endif
  return s;
}

hl_status hli_run_pipeline(hli_pass_env *env, hl_kernel **k, const char *stop_after, hli_after_pass_fn after,
                           void *user) {
  const char *done[32];
  uint32_t n = 0;
  bool found = stop_after == NULL;
  for (uint32_t i = 0; i < hli_pipeline_length; i++) {
    const hli_pass *p = &hli_pipeline[i];
    if (!(p->families & (1u << env->target->family)))
      continue;
    if (n >= HLI_COUNT(done) || (*k)->stage != p->stage_before || !needs_met(p, done, n))
      return hli_fail(env->diag, HL_ERR_INTERNAL, "pass %s cannot run here", p->name);
    hl_status s = run_one(env, p, k);
    if (s != HL_OK)
      return s;
    done[n++] = p->name;
    if (after)
      after(user, p->name, *k);
    if (stop_after && strcmp(stop_after, p->name) == 0)
      return HL_OK;
  }
  return found ? HL_OK : hli_fail(env->diag, HL_ERR_ARG, "target %s has no pass '%s'", env->target->name, stop_after);
}
