/* machine.c: what this machine is, from /proc. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/common/machine.h"

/* The value behind "key : value" in /proc/cpuinfo, of the first processor. */
static bool cpuinfo(const char *key, char *text, size_t size) {
  char line[8192];
  bool found = false;
  FILE *f = fopen("/proc/cpuinfo", "r");
  while (!found && f && fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, key, strlen(key)) != 0 || !colon || !strchr("\t :", line[strlen(key)]))
      continue;
    colon += colon[1] == ' ' ? 2 : 1;
    snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
    found = true;
  }
  if (f)
    fclose(f);
  return found;
}

void cli_cpu_name(char *text, size_t size) {
  if (!cpuinfo("model name", text, size))
    snprintf(text, size, "unknown");
}

/* x86 and ARM: vectors, their dot products, matrix tiles. */
static bool matters(const char *flag) {
  static const char *const prefix[] = {"sse4", "avx", "amx", "sve", "asimd", "bf16", "i8mm"};
  static const char *const exact[] = {"fma", "f16c", "bmi2", "fp16", "gfni", "sme", "sme2"};
  for (size_t i = 0; i < sizeof prefix / sizeof prefix[0]; i++)
    if (strncmp(flag, prefix[i], strlen(prefix[i])) == 0)
      return true;
  for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
    if (strcmp(flag, exact[i]) == 0)
      return true;
  return false;
}

void cli_cpu_features(char *text, size_t size) {
  char flags[8192], *save = NULL;
  size_t used = 0;
  text[0] = 0;
  if (!cpuinfo("flags", flags, sizeof flags) && !cpuinfo("Features", flags, sizeof flags))
    return;
  for (char *f = strtok_r(flags, " ", &save); f; f = strtok_r(NULL, " ", &save))
    if (matters(f) && used + strlen(f) + 2 < size)
      used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", f);
}

void cli_first_line(const char *path, char *text, size_t size) {
  FILE *f = fopen(path, "r");
  text[0] = 0;
  if (f && fgets(text, (int)size, f))
    text[strcspn(text, "\n")] = 0;
  if (f)
    fclose(f);
}
