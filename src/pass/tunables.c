/* tunables.c: gives the knobs that the user declared their values: those of the configuration, else their defaults.
 *
 * Runs first, so that everything behind it sees constants.  Owner of tunables.
 *
 *   tunable split = 4 power_of_two 1 16               tunable split = 8 power_of_two 1 16
 *   axis $k tile tunable split                        axis $k tile min 8 max 8
 *   %s = tunable {name = split} : i64          ->     %s = const {value = 8} : i64
 *
 * SPDX-License-Identifier: MIT */
#include "src/pass/pass.h"

static bool take_values(const hli_pass_env *env, hl_kernel *k) {
  for (uint32_t i = 0; i < k->tunables.len; i++) {
    hli_tunable *t = &k->tunables.data[i];
    t->preferred = hli_config_value(env->config, HLI_KNOB_TUNABLES, i, t->preferred);
    if (hli_tunable_fault(t)) {
      hli_fail(env->diag, HL_ERR_CONFIG, "kernel %s: the configuration gives tunable %s the value %lld: %s", k->name,
               t->name, (long long)t->preferred, hli_tunable_fault(t));
      return false;
    }
  }
  return true;
}

hl_status hli_pass_tunables(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  if (!take_values(env, k))
    return HL_ERR_CONFIG;
  for (hli_axis a = 1; a < k->axes.len; a++) {
    hli_axis_data *x = &k->axes.data[a];
    if (x->tunable)
      x->block_min = x->block_max = k->tunables.data[x->tunable - 1].preferred;
    x->tunable = 0;
  }
  const uint32_t count = k->ops.len;
  for (hli_op op = 1; op < count; op++) {
    const hli_op_data o = k->ops.data[op];
    if (o.dead || o.code != HLI_OP_TUNABLE)
      continue;
    hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
    const int64_t value = k->tunables.data[hli_attr(k, op, 0, 0)].preferred;
    const hli_value c = hli_make_const(&at, hli_dtype_of(k, o.results), (uint64_t)value);
    if (!c)
      break;
    k->values.data[c].name = k->values.data[o.results].name;
    hli_replace_uses(k, o.results, c);
    hli_op_remove(k, op);
  }
  return k->failed ? hli_fail_memory(env->diag, "applying a configuration") : HL_OK;
}
