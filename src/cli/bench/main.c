/* main.c: hl-bench: options and commands. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

static const char help[] =
    "usage: hl-bench [options]           time the kernels of the ladder against references\n"
    "       hl-bench launch [options]    what a launch costs over a bare driver call\n"
    "       hl-bench check [options]     every kernel, dtype and odd shape in several configurations, right or not\n\n"
    "A kernel is first run once on fresh random data, its outputs poisoned with NaN, and compared with a reference in\n"
    "double precision; only when it is right is it timed.  Timing is interleaved: in every round each contestant runs\n"
    "for at least --min-time.  A reference's figure is its time over hl's: above 1 hl is faster.\n\n"
    "CPU: references are the obvious C loop (one thread, f32), a copy, triad or read of as many bytes by as many "
    "threads,\n"
    "and OpenBLAS for matrix products.  GPU: a device-to-device copy of as many bytes, and cuBLAS; times are taken by\n"
    "events around replayed graphs, over buffers of more than twice the L2.\n\n"
    "  --filter RE       only kernels whose name matches the extended regular expression\n"
    "  --device D        cpu (default), cuda, cuda:1\n"
    "  --shape S         sizes of dimensions, M=8192,N=8192, for the kernels that have them; left out: the kernel's "
    "own\n"
    "  --dtype T         f32, bf16 ...; `all`; left out: each kernel's first\n"
    "  --config C        default, random:SEED, a JSON object or @FILE\n"
    "  --threads N       CPU threads; left out: one, then all\n"
    "  --pairs N         rounds (31)\n"
    "  --min-time S      seconds of a sample (0.005 on the CPU, 0.001 on a GPU)\n"
    "  --timeout S       seconds that a step may take before the program gives up (300)\n"
    "  --json FILE       write the results there, - for the standard output\n"
    "  --cublas FILE     the cuBLAS library, where libcublas.so.13 or .12 is not found by name\n"
    "  --configs N       check: random configurations beside the default one (5)\n"
    "  --seed N          of the data; left out: a fresh one\n"
    "  -h, --help        this text\n\n"
    "Exit code: 0 all right, 1 something is wrong or failed, 2 a wrong command line.\n";

static const struct option table[] = {
    {"filter", required_argument, 0, 1}, {"device", required_argument, 0, 2},   {"shape", required_argument, 0, 3},
    {"dtype", required_argument, 0, 4},  {"config", required_argument, 0, 5},   {"threads", required_argument, 0, 6},
    {"pairs", required_argument, 0, 7},  {"min-time", required_argument, 0, 8}, {"timeout", required_argument, 0, 9},
    {"json", required_argument, 0, 10},  {"cublas", required_argument, 0, 11},  {"configs", required_argument, 0, 12},
    {"seed", required_argument, 0, 13},  {"help", no_argument, 0, 'h'},         {0},
};

static int number(const char *who, const char *name, double least, double most, double *out) {
  char *end;
  *out = strtod(optarg, &end);
  if (end != optarg && !*end && *out >= least && *out <= most)
    return 0;
  return cli_misuse(who, "--%s '%s': wants a number from %g to %g", name, optarg, least, most);
}

static int integer(const char *who, const char *name, double least, double most, int *out) {
  double x;
  const int code = number(who, name, least, most, &x);
  *out = (int)x;
  return code;
}

static int check_filter(const char *who) {
  regex_t re;
  char words[256];
  const int bad = regcomp(&re, optarg, REG_EXTENDED | REG_NOSUB);
  if (!bad) {
    regfree(&re);
    return 0;
  }
  regerror(bad, &re, words, sizeof words);
  return cli_misuse(who, "--filter '%s': %s", optarg, words);
}

static int take(bench_options *o, int option) {
  switch (option) {
  case 1:
    o->filter = optarg;
    return check_filter(o->who);
  case 2:
    o->device = optarg;
    return 0;
  case 3:
    return cli_shape_parse(o->who, optarg, &o->shape);
  case 4:
    o->all_dtypes = strcmp(optarg, "all") == 0;
    return o->all_dtypes ? 0 : cli_dtype_parse(o->who, optarg, &o->dtype);
  case 5:
    o->config = optarg;
    return 0;
  case 6:
    return integer(o->who, "threads", 1, 256, &o->threads);
  case 7:
    return integer(o->who, "pairs", 1, 100000, &o->pairs);
  case 8:
    return number(o->who, "min-time", 0, 60, &o->min_time);
  case 9:
    return number(o->who, "timeout", 0, 1e6, &o->timeout);
  case 10:
    o->json = optarg;
    return 0;
  case 11:
    o->cublas = optarg;
    return 0;
  case 12:
    return integer(o->who, "configs", 0, 1000, &o->configs);
  case 13:
    return cli_seed_parse(o->who, optarg, &o->seed);
  case 'h':
    fputs(help, stdout);
    return -1;
  default:
    return CLI_MISUSE;
  }
}

typedef struct command {
  const char *name, *who;
  int (*run)(const bench_options *o);
} command;

int main(int argc, char **argv) {
  static const command commands[] = {{"", "hl-bench", bench_kernels},
                                     {"launch", "hl-bench launch", bench_launch},
                                     {"check", "hl-bench check", bench_check}};
  const char *names[] = {"launch", "check"};
  const command *c = &commands[0];
  bench_options o = {.device = "cpu", .pairs = 31, .timeout = 300, .configs = 5, .argc = argc, .argv = argv};
  o.seed = cli_fresh_seed();
  for (int i = 1; i < 3; i++)
    if (argc > 1 && !strcmp(argv[1], commands[i].name))
      c = &commands[i];
  if (c != &commands[0])
    argc--, argv++;
  o.who = c->who;
  for (int option; (option = cli_next_option(o.who, argc, argv, table)) != -1;) {
    const int code = take(&o, option);
    if (code)
      return code < 0 ? 0 : code;
  }
  if (optind < argc) {
    const char *near = cli_nearest(argv[optind], names, 2);
    return near ? cli_misuse(o.who, "there is no command '%s'; did you mean '%s'?", argv[optind], near)
                : cli_misuse(o.who, "there is no command '%s'; kernels are chosen with --filter", argv[optind]);
  }
  if (!strncmp(o.device, "hip", 3))
    return cli_fail(o.who, "device '%s': AMD GPUs (HIP) are not built in yet", o.device);
  if (!strcmp(o.device, "cpu") && c->run == bench_kernels)
    blas_environment(o.argv);
  if (c->run != bench_check)
    bench_watch_start(o.who);
  return c->run(&o);
}
