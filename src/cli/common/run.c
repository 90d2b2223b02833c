/* run.c: runs a kernel once and judges what it wrote. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/run.h"
#include "src/cli/common/words.h"

static hl_status run_device(const cli_place *place, const hl_kernel *k, const hl_config *config, cli_args *args,
                            hl_diag *diag) {
  hl_plan *plan = NULL;
  hl_status s = cli_args_send(args, place->dev, diag);
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.config = config;
  o.args = args->device;
  o.arg_count = args->count;
  if (s == HL_OK)
    s = hl_plan_create(place->dev, k, &o, diag, &plan);
  if (s == HL_OK)
    s = hl_launch(plan, NULL, args->device, args->count, NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(place->dev, diag);
  hl_plan_destroy(plan);
  return s == HL_OK ? cli_args_fetch(args, place->dev, diag) : s;
}

hl_status cli_run(const cli_place *place, const hl_kernel *k, const hl_config *config, cli_args *args, hl_diag *diag) {
  if (place->dev)
    return run_device(place, k, config, args, diag);
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  o.target = place->target;
  o.config = config;
  return hl_interpret(place->ctx, k, args->host, args->count, &o, diag);
}

/* ---- cases ---- */

static hl_status run_case(const cli_place *place, const cli_case *c, const hl_kernel *k, const cli_shape *shape,
                          cli_outcome *out) {
  cli_args args = {0};
  hl_config *config = NULL;
  hl_status s = cli_args_create(k, shape, &out->diag, &args);
  if (s == HL_OK && place->target)
    s = c->config ? hl_config_random(k, shape->bind, shape->count, place->target, c->config, &out->diag, &config)
                  : hl_config_default(k, shape->bind, shape->count, place->target, &out->diag, &config);
  if (s == HL_OK) {
    char *json = cli_config_text(config);
    snprintf(out->config, sizeof out->config, "%s", json);
    free(json);
    out->diag = (hl_diag){0};
    cli_args_fill(&args, 1 + c->config);
    s = cli_run(place, k, config, &args, &out->diag);
  }
  if (s == HL_OK) {
    cli_args_reference(&args, c->example, 0);
    cli_args_judge(&args, c->example->reduction(c->size), &out->verdict);
  }
  hl_config_destroy(config);
  cli_args_free(&args);
  return s;
}

void cli_case_run(const cli_place *place, const cli_case *c, cli_outcome *out) {
  hl_kernel *k = NULL;
  cli_shape shape;
  *out = (cli_outcome){0};
  cli_shape_of_example(c->example, c->size, &shape);
  out->status = c->example->build(place->ctx, c->dtype, &out->diag, &k);
  if (out->status == HL_OK)
    out->status = run_case(place, c, k, &shape, out);
  hl_kernel_destroy(k);
}

bool cli_outcome_right(const cli_outcome *o) {
  return o->status == HL_OK && o->verdict.right;
}

const char *cli_outcome_words(const cli_outcome *o) {
  if (o->status != HL_OK)
    return o->diag.message[0] ? o->diag.message : hl_status_text(o->status);
  return o->verdict.words;
}

char *cli_case_text(const cli_case *c) {
  cli_shape shape;
  cli_shape_of_example(c->example, c->size, &shape);
  char *sizes = cli_shape_text(&shape);
  char *text = c->config ? cli_format("%s %s %s random:%u", c->example->name, hl_dtype_text(c->dtype), sizes, c->config)
                         : cli_format("%s %s %s default", c->example->name, hl_dtype_text(c->dtype), sizes);
  free(sizes);
  return text;
}
