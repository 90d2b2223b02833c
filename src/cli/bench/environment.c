/* environment.c: where and with what figures were taken: the block "environment" of the JSON files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"
#include "src/cli/common/machine.h"

static void command_line(json *j, const bench_options *o) {
  jw_open(j, "command", '[');
  for (int i = 0; i < o->argc; i++)
    jw_text(j, NULL, o->argv[i]);
  jw_close(j, ']');
}

static void device(json *j, hl_device *dev) {
  char text[256];
  hl_device_info info = {.size = sizeof info};
  if (!dev || hl_device_get_info(dev, &info) != HL_OK)
    return;
  jw_text(j, "device", info.name);
  jw_text(j, "target", info.target);
  jw_text(j, "driver", info.driver);
  cli_first_line("/proc/driver/nvidia/version", text, sizeof text);
  if (info.id.type == HL_DEVICE_CUDA && text[0])
    jw_text(j, "kernel_driver", text);
  jw_integer(j, "units", info.units);
  jw_integer(j, "last_level_cache_bytes", info.l2_bytes);
  jw_integer(j, "memory_bytes", info.memory_bytes);
}

void report_environment(json *j, const bench_options *o, hl_device *dev, const char *openblas, const char *cublas) {
  char text[1024];
  struct utsname u;
  const time_t now = time(NULL);
  struct tm utc;
  jw_open(j, "environment", '{');
  jw_text(j, "libhl", hl_version());
  if (getenv("HL_COMMIT") && getenv("HL_COMMIT")[0]) /* the checkout it was built from, if the caller says so */
    jw_text(j, "commit", getenv("HL_COMMIT"));
  jw_text(j, "compiler", __VERSION__);
  jw_text(j, "llvm", hl_llvm_version());
  command_line(j, o);
  if (gmtime_r(&now, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc))
    jw_text(j, "date", text);
  if (uname(&u) == 0) {
    snprintf(text, sizeof text, "%s %s %s", u.sysname, u.release, u.machine);
    jw_text(j, "system", text);
  }
  cli_first_line("/sys/devices/virtual/dmi/id/product_name", text, sizeof text);
  if (text[0])
    jw_text(j, "machine", text);
  cli_cpu_name(text, sizeof text);
  jw_text(j, "cpu", text);
  cli_cpu_features(text, sizeof text);
  jw_text(j, "cpu_features", text);
  jw_integer(j, "processors", sysconf(_SC_NPROCESSORS_ONLN));
  device(j, dev);
  if (openblas[0])
    jw_text(j, "openblas", openblas);
  if (cublas[0])
    jw_text(j, "cublas", cublas);
  snprintf(text, sizeof text, "%llu", (unsigned long long)o->seed);
  jw_text(j, "seed", text);
  jw_close(j, '}');
}
