/* select.c: what --filter, --dtype, --shape and --config ask for, and whether the kernels can take it: a wrong command
 * line is found before anything is measured. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

bool bench_selected(const bench_options *o, const char *name) {
  regex_t re;
  if (!o->filter || regcomp(&re, o->filter, REG_EXTENDED | REG_NOSUB))
    return true;
  const bool found = regexec(&re, name, 0, NULL, 0) == 0;
  regfree(&re);
  return found;
}

static bool has_dim(const hl_example *e, const char *name) {
  for (int d = 0; d < HL_EXAMPLE_DIMS && e->dims[d]; d++)
    if (strcmp(e->dims[d], name) == 0)
      return true;
  return false;
}

/* Names of --shape that none of the jobs has are a mistake; those that some have not are not. */
static int check_dims(const bench_options *o, const bench_job *jobs, size_t count) {
  cli_shape all = {0};
  for (size_t i = 0; i < count; i++)
    for (int d = 0; d < HL_EXAMPLE_DIMS && jobs[i].example->dims[d]; d++)
      cli_shape_set(&all, jobs[i].example->dims[d], strlen(jobs[i].example->dims[d]), -1);
  for (uint32_t n = 0; n < o->shape.count; n++) {
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
      found = has_dim(jobs[i].example, o->shape.name[n]);
    if (found)
      continue;
    char *dims = cli_shape_text(&all);
    cli_misuse(o->who, "--shape: no chosen kernel has a dimension '%s'; they have %s", o->shape.name[n], dims);
    free(dims);
    return CLI_MISUSE;
  }
  return 0;
}

bench_job *bench_select(const bench_options *o, size_t *count) {
  size_t n = 0, room = 0;
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE; d++)
      room++;
  bench_job *jobs = cli_alloc(room, sizeof *jobs);
  for (uint32_t i = 0; i < hl_example_count; i++) {
    const hl_example *e = hl_examples[i];
    if (!bench_selected(o, e->name))
      continue;
    for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE; d++)
      if (o->dtype != HL_DTYPE_NONE ? *d == o->dtype : o->all_dtypes || d == e->dtypes)
        jobs[n++] = (bench_job){e, *d};
  }
  *count = n;
  if (n && check_dims(o, jobs, n) == 0)
    return jobs;
  if (!n)
    cli_misuse(o->who, "no kernel matches --filter and --dtype; `hl list` names them");
  free(jobs);
  return NULL;
}

int bench_shape(const bench_options *o, const bench_job *job, const hl_kernel *k, cli_shape *out) {
  cli_shape given = {0};
  cli_kernel kernel = {.example = job->example, .dtype = job->dtype};
  for (int i = 0; i < HL_EXAMPLE_DIMS && job->example->dims[i]; i++) {
    const int64_t size = cli_shape_get(&o->shape, job->example->dims[i]);
    if (size >= 0)
      cli_shape_set(&given, job->example->dims[i], strlen(job->example->dims[i]), size);
  }
  *out = (cli_shape){0};
  kernel.kernel = (hl_kernel *)(uintptr_t)k; /* only looked at */
  return cli_shape_complete(o->who, &kernel, &given, job->example->bench.size, out);
}

int bench_config_fits(const bench_options *o, const cli_place *place, const bench_job *jobs, size_t count) {
  int code = 0;
  for (size_t i = 0; o->config && !code && i < count; i++) {
    hl_diag diag = {0};
    hl_kernel *k = NULL;
    hl_config *config = NULL;
    cli_shape shape;
    if (jobs[i].example->build(place->ctx, jobs[i].dtype, &diag, &k) == HL_OK)
      code = bench_shape(o, &jobs[i], k, &shape);
    if (k && !code)
      code = cli_config_open(jobs[i].example->name, o->config, k, &shape, place->target, &config);
    hl_config_destroy(config);
    hl_kernel_destroy(k);
  }
  return code;
}
