/* main.c: hl-bench: options and commands. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

static const char help[] =
    "usage: hl-bench [options]           time the kernels of the ladder against references\n"
    "       hl-bench check [options]     every kernel, dtype and odd shape in several configurations, right or not\n"
    "       hl-bench launch [options]    what a launch costs over a bare driver call\n"
    "       hl-bench compile [options]   how long kernels take to compile, alone and all at once\n"
    "       hl-bench growth [options]    what is lost when kernels are compiled and loaded 50 times in one process\n"
    "       hl-bench coldstart [options] from the start of a process to its first result, without and with the cache\n"
    "       hl-bench cache [options]     what the cache costs: opening, putting, finding\n"
    "       hl-bench compare A B         two files of --json: what became slower\n\n"
    "A kernel is first run once on fresh random data, its outputs poisoned with NaN, and compared with a reference in\n"
    "double precision; only when it is right is it timed.  Timing is interleaved: in every round each contestant runs\n"
    "for at least --min-time, until the figures are sure to --max-noise, or --max-time or --pairs are used up.  A\n"
    "reference's figure is its time over hl's: above 1 hl is faster.  The roof is what the machine can do: a copy, "
    "triad\n"
    "or read of as many bytes, or as many operations in registers, measured in the same rounds.\n\n"
    "References on the CPU: a copy, the obvious C loop (one thread, f32), and OpenBLAS for matrix products.  On a GPU: "
    "a\n"
    "device-to-device copy, and cuBLAS; times are taken by events around replayed graphs.\n\n"
    "  --filter RE       only kernels whose name matches the extended regular expression\n"
    "  --device D        cpu (default), cuda, cuda:1\n"
    "  --shape S         sizes of dimensions, M=8192,N=8192, for the kernels that have them; left out: the kernel's "
    "own\n"
    "  --dtype T         f32, bf16 ...; `all`; left out: each kernel's first\n"
    "  --config C        default, random:SEED, a JSON object or @FILE\n"
    "  --cold, --hot     launches rotate among buffers of twice the last-level cache, or use the same ones; left out:\n"
    "                    hot on the CPU, cold on a GPU\n"
    "  --threads N       CPU threads; left out: one, then all\n"
    "  --min-time S      seconds of a sample (0.005 on the CPU, 0.001 on a GPU)\n"
    "  --max-noise P     per cent: half the width of the 95 % intervals at which rounds end (1)\n"
    "  --max-time S      seconds of rounds for one kernel (2)\n"
    "  --pairs N         rounds, at most (101)\n"
    "  --timeout S       seconds that a step may take before the program gives up (300)\n"
    "  --json FILE       write the results there, - for the standard output\n"
    "  --csv FILE        the same as a table\n"
    "  --html FILE       the same as a page with a roofline and bars\n"
    "  --cublas FILE     the cuBLAS library, where libcublas.so.13 or .12 is not found by name\n"
    "  --configs N       check: random configurations beside the default one (5)\n"
    "  --jobs N          check: processes at a time (1)\n"
    "  --target T        compile: for a target that is not here, nvptx:sm_90a\n"
    "  --seed N          of the data; left out: a fresh one\n"
    "  -h, --help        this text\n\n"
    "Exit code: 0 all right, 1 something is wrong or failed, 2 a wrong command line.\n";

static const struct option table[] = {
    {"filter", required_argument, 0, 1},
    {"device", required_argument, 0, 2},
    {"shape", required_argument, 0, 3},
    {"dtype", required_argument, 0, 4},
    {"config", required_argument, 0, 5},
    {"threads", required_argument, 0, 6},
    {"pairs", required_argument, 0, 7},
    {"min-time", required_argument, 0, 8},
    {"timeout", required_argument, 0, 9},
    {"json", required_argument, 0, 10},
    {"cublas", required_argument, 0, 11},
    {"configs", required_argument, 0, 12},
    {"seed", required_argument, 0, 13},
    {"csv", required_argument, 0, 14},
    {"html", required_argument, 0, 15},
    {"cold", no_argument, 0, 16},
    {"hot", no_argument, 0, 17},
    {"max-noise", required_argument, 0, 18},
    {"max-time", required_argument, 0, 19},
    {"target", required_argument, 0, 20},
    {"jobs", required_argument, 0, 21},
    {"help", no_argument, 0, 'h'},
    {0},
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

static int check_config(const char *who) {
  const char *c = optarg;
  if (!strcmp(c, "default") || !strncmp(c, "random:", 7) || c[0] == '{' || c[0] == '@')
    return 0;
  return cli_misuse(who, "--config %s: wants default, random:SEED, a JSON object or @FILE", c);
}

static int take_cache(bench_options *o, bench_cache cache) {
  if (o->cache != CACHE_USUAL && o->cache != cache)
    return cli_misuse(o->who, "--cold and --hot exclude each other");
  o->cache = cache;
  return 0;
}

/* Words. */
static int take_word(bench_options *o, int option) {
  const char **const text[] = {[1] = &o->filter,  [2] = &o->device, [5] = &o->config, [10] = &o->json,
                               [11] = &o->cublas, [14] = &o->csv,   [15] = &o->html,  [20] = &o->target};
  *text[option] = optarg;
  return option == 1 ? check_filter(o->who) : option == 5 ? check_config(o->who) : 0;
}

static int take(bench_options *o, int option) {
  double percent;
  int code;
  switch (option) {
  case 1:
  case 2:
  case 5:
  case 10:
  case 11:
  case 14:
  case 15:
  case 20:
    return take_word(o, option);
  case 3:
    return cli_shape_parse(o->who, optarg, &o->shape);
  case 4:
    o->all_dtypes = strcmp(optarg, "all") == 0;
    return o->all_dtypes ? 0 : cli_dtype_parse(o->who, optarg, &o->dtype);
  case 6:
    return integer(o->who, "threads", 1, 256, &o->threads);
  case 7:
    return integer(o->who, "pairs", 1, 100000, &o->pairs);
  case 8:
    return number(o->who, "min-time", 0, 60, &o->min_time);
  case 9:
    return number(o->who, "timeout", 0, 1e6, &o->timeout);
  case 12:
    return integer(o->who, "configs", 0, 1000, &o->configs);
  case 21:
    return integer(o->who, "jobs", 1, BENCH_JOBS, &o->jobs);
  case 13:
    return cli_seed_parse(o->who, optarg, &o->seed);
  case 16:
  case 17:
    return take_cache(o, option == 16 ? CACHE_COLD : CACHE_HOT);
  case 18:
    code = number(o->who, "max-noise", 0, 100, &percent);
    o->max_noise = percent / 100;
    return code;
  case 19:
    return number(o->who, "max-time", 0, 3600, &o->max_time);
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
  const char *takes; /* options, each between blanks */
} command;

static const command commands[] = {
    {"", "hl-bench", bench_kernels,
     " filter device shape dtype config threads pairs min-time timeout json cublas seed csv html cold hot max-noise "
     "max-time "},
    {"launch", "hl-bench launch", bench_launch, " device config threads pairs timeout json seed "},
    {"check", "hl-bench check", bench_check, " filter device dtype timeout json configs jobs seed "},
    {"compile", "hl-bench compile", bench_compile,
     " filter device target shape dtype config threads pairs timeout json "},
    {"growth", "hl-bench growth", bench_growth, " filter shape dtype config pairs timeout json "},
    {"coldstart", "hl-bench coldstart", bench_coldstart, " filter device dtype pairs json "},
    {"cache", "hl-bench cache", bench_cache_costs, " device pairs timeout json "}};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* Is the option one that the command has a use for? */
static int check_use(const command *c, int option) {
  for (const struct option *o = table; o->name; o++) {
    if (o->val != option || option == 'h')
      continue;
    char *word = cli_format(" %s ", o->name);
    const bool takes = strstr(c->takes, word) != NULL;
    free(word);
    if (!takes)
      return cli_misuse(c->who, "takes no --%s", o->name);
  }
  return 0;
}

static int no_command(const char *who, const char *word) {
  const char *names[COMMANDS] = {"compare"};
  for (int i = 1; i < COMMANDS; i++)
    names[i] = commands[i].name;
  const char *near = cli_nearest(word, names, COMMANDS);
  return near ? cli_misuse(who, "there is no command '%s'; did you mean '%s'?", word, near)
              : cli_misuse(who, "there is no command '%s'; kernels are chosen with --filter", word);
}

static int run(const command *c, bench_options *o, int argc, char **argv) {
  for (int option; (option = cli_next_option(o->who, argc, argv, table)) != -1;) {
    int code = check_use(c, option);
    if (!code)
      code = take(o, option);
    if (code)
      return code < 0 ? 0 : code;
  }
  if (optind < argc)
    return no_command(o->who, argv[optind]);
  int code = cli_device_check(o->who, o->device, false);
  if (!code)
    code = report_check_files(o);
  if (code)
    return code;
  if (!strcmp(o->device, "cpu") && c->run == bench_kernels)
    blas_environment(o->argv);
  if (c->run != bench_check && c->run != bench_coldstart)
    bench_watch_start(o->who);
  return c->run(o);
}

int main(int argc, char **argv) {
  const command *c = &commands[0];
  bench_options o = {.device = "cpu",
                     .pairs = 101,
                     .max_noise = 0.01,
                     .max_time = 2,
                     .timeout = 300,
                     .configs = 5,
                     .jobs = 1,
                     .argc = argc,
                     .argv = argv};
  o.seed = cli_fresh_seed();
  if (argc > 1 && !strcmp(argv[1], "compare"))
    return cli_finish("hl-bench", bench_compare(argc - 1, argv + 1));
  if (argc > 1 && !strcmp(argv[1], "--version"))
    return printf("hl-bench %s\n", hl_version()) < 0 ? CLI_FAILED : cli_finish("hl-bench", 0);
  for (int i = 1; i < COMMANDS; i++)
    if (argc > 1 && !strcmp(argv[1], commands[i].name))
      c = &commands[i];
  o.who = c->who;
  const int skip = c != &commands[0];
  return cli_finish(o.who, run(c, &o, argc - skip, argv + skip));
}
