/* machine.h: what this machine is: its processor's name and features, from /proc/cpuinfo. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stddef.h>

/* "AMD EPYC 9654"; "unknown" where the system does not say. */
void cli_cpu_name(char *text, size_t size);
/* Those that matter to generated code, separated by blanks: "avx2 fma avx512f ..."; "" where the system does not say.
 */
void cli_cpu_features(char *text, size_t size);
/* The first line of a file, without its newline; "" if there is none. */
void cli_first_line(const char *path, char *text, size_t size);

#endif
