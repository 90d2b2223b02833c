/* info.c: hl info: versions, targets with their limits and passes, devices, the cache. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/machine.h"
#include "src/cli/hl/hl.h"

static const char info_help[] =
    "usage: hl info\n\n"
    "Prints the versions, the targets that kernels can be compiled for with their limits and passes, the devices of\n"
    "this machine, the cache, and the limits of the library.\n\n"
    "  -h, --help    this text\n";

static void print_target(const hl_target *t) {
  const hl_str name = hl_target_name(t);
  hl_target_info i = {.size = sizeof i};
  if (hl_target_get_info(t, &i) != HL_OK)
    return;
  printf("  %-14.*s %s", (int)name.len, name.ptr, i.triple[0] ? i.triple : "this machine");
  if (strcmp(i.family, "cpu") == 0)
    printf(", vectors of %u bytes, %u registers", i.vector_bytes, i.registers);
  else
    printf(", blocks of %u threads, %u registers a thread, %.0f KiB shared memory", i.max_threads, i.registers,
           (double)i.shared_bytes / 1024);
  printf("\n%17s", "passes");
  const char *pass;
  for (uint32_t p = 0; (pass = hl_pass_name(t, p)); p++)
    printf("%s %s", p ? "," : "", pass);
  puts("");
}

static void print_device(hl_context *ctx, const char *name) {
  hl_diag diag = {0};
  hl_device *dev = NULL;
  hl_device_info i = {.size = sizeof i};
  if (hl_device_open(ctx, name, &diag, &dev) != HL_OK) {
    printf("  %-8s none: %s\n", name, diag.message);
    return;
  }
  hl_device_get_info(dev, &i);
  printf("  %-8s %s, target %s, %d %s, %.1f GiB memory, %.1f MiB last-level cache, %s\n", name, i.name, i.target,
         i.units, strcmp(name, "cpu") == 0 ? "threads" : "multiprocessors", (double)i.memory_bytes / 0x1p30,
         (double)i.l2_bytes / 0x1p20, i.driver);
  hl_device_close(dev);
}

static void print_devices(hl_context *ctx) {
  hl_diag diag = {0};
  char name[32], features[1024];
  int32_t gpus = 0;
  puts("devices");
  print_device(ctx, "cpu");
  cli_cpu_features(features, sizeof features);
  if (features[0])
    printf("%17s %s\n", "features", features);
  if (hl_device_count(ctx, "cuda", &diag, &gpus) != HL_OK || gpus < 1)
    print_device(ctx, "cuda"); /* says why there is none */
  for (int32_t i = 0; i < gpus; i++) {
    snprintf(name, sizeof name, "cuda:%d", i);
    print_device(ctx, name);
  }
}

static void print_cache(hl_context *ctx) {
  hl_diag diag = {0};
  hl_cache_info i = {.size = sizeof i};
  if (hl_cache_get_info(ctx, &diag, &i) == HL_OK)
    printf("cache\n  %s: %llu configurations, %llu compiled kernels, %.1f MB%s\n", i.path, (unsigned long long)i.tuning,
           (unsigned long long)i.code, (double)i.bytes * 1e-6, i.writable ? "" : ", read only");
  else
    printf("cache\n  none: %s\n", diag.message);
}

int hl_cmd_info(int argc, char **argv) {
  static const struct option table[] = {{"help", no_argument, 0, 'h'}, {0}};
  for (int o; (o = cli_next_option("hl info", argc, argv, table)) != -1;) {
    if (o != 'h')
      return CLI_MISUSE;
    fputs(info_help, stdout);
    return 0;
  }
  if (optind < argc)
    return cli_misuse("hl info", "takes no operand; '%s' is one too many", argv[optind]);
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  const hl_status s = hl_context_create(NULL, &diag, &ctx);
  if (s != HL_OK)
    return cli_report("hl info", s, &diag);
  printf("versions\n  libhl    %s\n  LLVM     %s\n", hl_version(), hl_llvm_version());
  puts("targets");
  const hl_target *t;
  for (uint32_t i = 0; (t = hl_target_at(i)); i++)
    print_target(t);
  print_devices(ctx);
  print_cache(ctx);
  printf("limits\n  %d dimensions of a tensor, %u kernels in `hl list`\n", HL_MAX_RANK, hl_example_count);
  hl_context_destroy(ctx);
  return 0;
}
