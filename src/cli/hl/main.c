/* main.c: hl: looks at, compiles and runs kernels from the command line. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/hl/hl.h"

typedef struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
} command;

static const command commands[] = {
    {"list", hl_cmd_list, "the kernels of the ladder"},
    {"show", hl_cmd_show, "a kernel as text"},
    {"space", hl_cmd_space, "what a configuration can decide, as JSON"},
    {"compile", hl_cmd_compile, "lower a kernel for a target: IR, LLVM, assembly, object"},
    {"opt", hl_cmd_opt, "run passes on a kernel's text"},
    {"run", hl_cmd_run, "run a kernel on a device and check the result"},
    {"cache", hl_cmd_cache, "what is kept between runs: list, show, drop, export, import"},
    {"info", hl_cmd_info, "versions, targets, devices, the cache"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int help(void) {
  printf("usage: hl COMMAND [ARGUMENTS]\n\n");
  for (int i = 0; i < COMMANDS; i++)
    printf("  %-8s  %s\n", commands[i].name, commands[i].summary);
  printf("\nhl COMMAND --help says more.  A kernel is a name of `hl list` or a file NAME.hl.\n"
         "Exit code: 0 done, 1 failed or a wrong result, 2 a wrong command line.\n");
  return 0;
}

int main(int argc, char **argv) {
  const char *names[COMMANDS];
  if (argc < 2) {
    fputs("hl: wants a command\n", stderr);
    help();
    return CLI_MISUSE;
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
    return cli_finish("hl", help());
  if (!strcmp(argv[1], "--version"))
    return printf("hl %s\n", hl_version()) < 0 ? CLI_FAILED : cli_finish("hl", 0);
  for (int i = 0; i < COMMANDS; i++) {
    names[i] = commands[i].name;
    if (!strcmp(argv[1], names[i]))
      return cli_finish("hl", commands[i].run(argc - 1, argv + 1));
  }
  const char *near = cli_nearest(argv[1], names, COMMANDS);
  return near ? cli_misuse("hl", "there is no command '%s'; did you mean '%s'?", argv[1], near)
              : cli_misuse("hl", "there is no command '%s'", argv[1]);
}
