/* cache.c: hl cache: what is kept between runs: listed, shown, dropped, carried to another machine. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/hl/hl.h"

static const char cache_help[] =
    "usage: hl cache list [--dir D]\n"
    "       hl cache show [--dir D] KEY\n"
    "       hl cache drop [--dir D] KEY...\n"
    "       hl cache drop [--dir D] --all | --tuning | --code\n"
    "       hl cache export [--dir D] [--code] [-o FILE]\n"
    "       hl cache import [--dir D] [--code] FILE\n\n"
    "Compiled kernels and tuned configurations are kept in a folder between runs.  A KEY is what `hl cache list`\n"
    "prints, or as many of its first digits as no other record has.\n\n"
    "  --dir D       the folder; left out: HL_CACHE_DIR, else $XDG_CACHE_HOME/hl, else ~/.cache/hl\n"
    "  --all         drop: everything\n"
    "  --tuning      drop: all configurations\n"
    "  --code        drop: all compiled kernels; export and import: these too.  Imported code will be run: only from\n"
    "                a file that you trust like a program\n"
    "  -o FILE       export: write there instead of the standard output\n"
    "  -h, --help    this text\n";

typedef struct request {
  const char *who, *dir, *out;
  bool all, tuning, code;
  char **operand;
  int operands;
} request;

/* ---- list ---- */

static const char *size_text(uint64_t bytes, char *text, size_t size) {
  if (bytes < 10000)
    snprintf(text, size, "%" PRIu64 " B", bytes);
  else if (bytes < 10000000)
    snprintf(text, size, "%.0f kB", (double)bytes * 1e-3);
  else
    snprintf(text, size, "%.0f MB", (double)bytes * 1e-6);
  return text;
}

static void print_entry(const hl_cache_entry *e) {
  char size[24], day[32] = "?";
  const time_t made = (time_t)e->made;
  struct tm tm;
  if (e->made && localtime_r(&made, &tm))
    strftime(day, sizeof day, "%Y-%m-%d %H:%M", &tm);
  printf("%-12.12s  %-6s  %-16s  %8s  %-14.*s  %.*s  %.*s  %.*s\n", e->key,
         e->kind == HL_CACHE_TUNING ? "tuning" : "code", day, size_text(e->bytes, size, sizeof size),
         (int)e->target.len, e->target.ptr, (int)e->kernel.len, e->kernel.ptr, (int)e->shape.len, e->shape.ptr,
         (int)e->config.len, e->config.ptr);
}

static hl_status list(hl_context *ctx, hl_diag *diag) {
  hl_cache_info info = {.size = sizeof info};
  hl_cache_list *l = NULL;
  char size[24];
  hl_status s = hl_cache_get_info(ctx, diag, &info);
  if (s == HL_OK)
    s = hl_cache_list_create(ctx, diag, &l);
  if (s != HL_OK)
    return s;
  printf("%s: %" PRIu64 " configurations, %" PRIu64 " compiled kernels, %s%s\n", info.path, info.tuning, info.code,
         size_text(info.bytes, size, sizeof size), info.writable ? "" : ", read only");
  for (uint32_t i = 0; i < hl_cache_list_count(l); i++) {
    hl_cache_entry e = {.size = sizeof e};
    if (hl_cache_list_entry(l, i, &e) == HL_OK)
      print_entry(&e);
  }
  hl_cache_list_destroy(l);
  return HL_OK;
}

/* ---- the others ---- */

static int run_list(const request *r, hl_context *ctx) {
  hl_diag diag = {0};
  if (r->operands)
    return cli_misuse(r->who, "takes no operand; '%s' is one too many", r->operand[0]);
  const hl_status s = list(ctx, &diag);
  return s == HL_OK ? 0 : cli_report(r->who, s, &diag);
}

static int write_blob(const request *r, hl_status s, const hl_diag *diag, hl_blob *blob) {
  if (s != HL_OK)
    return cli_report(r->who, s, diag);
  int code = cli_write_file(r->who, r->out, hl_blob_data(blob), hl_blob_size(blob));
  const char *text = hl_blob_data(blob);
  const size_t n = hl_blob_size(blob);
  if (!code && !r->out && n && text[n - 1] != '\n')
    puts("");
  hl_blob_release(blob);
  return code;
}

static int run_show(const request *r, hl_context *ctx) {
  hl_diag diag = {0};
  hl_blob *blob = NULL;
  if (r->operands != 1)
    return cli_misuse(r->who, "wants one KEY; `hl cache list` prints them");
  const hl_status s = hl_cache_show(ctx, r->operand[0], &diag, &blob);
  return write_blob(r, s, &diag, blob);
}

static int run_drop(const request *r, hl_context *ctx) {
  hl_diag diag = {0};
  uint64_t tuning = 0, code = 0;
  const int kinds = r->all + r->tuning + r->code;
  if (kinds > 1 || (kinds && r->operands) || (!kinds && !r->operands))
    return cli_misuse(r->who, "wants either keys, or one of --all, --tuning and --code");
  hl_status s = HL_OK;
  for (int i = 0; i < r->operands; i++) {
    s = hl_cache_drop(ctx, r->operand[i], &diag);
    if (s != HL_OK)
      return cli_report(r->who, s, &diag);
  }
  if (r->all || r->tuning)
    s = hl_cache_clear(ctx, HL_CACHE_TUNING, &diag, &tuning);
  if (s == HL_OK && (r->all || r->code))
    s = hl_cache_clear(ctx, HL_CACHE_CODE, &diag, &code);
  if (s != HL_OK)
    return cli_report(r->who, s, &diag);
  printf("dropped %" PRIu64 "\n", tuning + code + (uint64_t)r->operands);
  return 0;
}

static int run_export(const request *r, hl_context *ctx) {
  hl_diag diag = {0};
  hl_blob *blob = NULL;
  if (r->operands)
    return cli_misuse(r->who, "takes no operand; give -o FILE for a file");
  const hl_status s = hl_cache_export(ctx, r->code, &diag, &blob);
  return write_blob(r, s, &diag, blob);
}

static int run_import(const request *r, hl_context *ctx) {
  hl_diag diag = {0};
  uint64_t count = 0;
  size_t length;
  if (r->operands != 1)
    return cli_misuse(r->who, "wants one FILE that `hl cache export` wrote; - is the standard input");
  char *text = cli_read_file(r->who, r->operand[0], &length);
  if (!text)
    return CLI_FAILED;
  const hl_status s = hl_cache_import(ctx, (hl_str){text, length}, r->code, &diag, &count);
  free(text);
  if (s != HL_OK)
    return cli_report(r->who, s, &diag);
  printf("imported %" PRIu64 "%s\n", count, count || r->code ? "" : "; compiled kernels are imported with --code only");
  return 0;
}

/* ---- command line ---- */

enum { DIR = 1, ALL = 2, TUNING = 4, CODE = 8, OUT = 16 };

typedef struct action {
  const char *name, *who;
  int (*run)(const request *r, hl_context *ctx);
  int takes; /* options */
} action;

static const action actions[] = {{"list", "hl cache list", run_list, DIR},
                                 {"show", "hl cache show", run_show, DIR},
                                 {"drop", "hl cache drop", run_drop, DIR | ALL | TUNING | CODE},
                                 {"export", "hl cache export", run_export, DIR | CODE | OUT},
                                 {"import", "hl cache import", run_import, DIR | CODE}};
enum { ACTIONS = sizeof actions / sizeof actions[0] };

static int take(const action *a, request *r, int option) {
  static const char *const names[] = {
      [DIR] = "--dir", [ALL] = "--all", [TUNING] = "--tuning", [CODE] = "--code", [OUT] = "-o"};
  if (option == 'h') {
    fputs(cache_help, stdout);
    return -1;
  }
  if (option == 'o')
    option = OUT;
  if (option != DIR && option != ALL && option != TUNING && option != CODE && option != OUT)
    return CLI_MISUSE; /* the mistake was printed */
  if (!(a->takes & option))
    return cli_misuse(a->who, "takes no %s", names[option]);
  r->all |= option == ALL;
  r->tuning |= option == TUNING;
  r->code |= option == CODE;
  if (option == DIR)
    r->dir = optarg;
  if (option == OUT)
    r->out = optarg;
  return 0;
}

static int run(const action *a, int argc, char **argv) {
  static const struct option table[] = {{"dir", required_argument, 0, DIR},
                                        {"all", no_argument, 0, ALL},
                                        {"tuning", no_argument, 0, TUNING},
                                        {"code", no_argument, 0, CODE},
                                        {"output", required_argument, 0, 'o'},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};
  request r = {.who = a->who};
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  for (int o; (o = cli_next_option(a->who, argc, argv, table)) != -1;) {
    const int code = take(a, &r, o);
    if (code)
      return code < 0 ? 0 : code;
  }
  r.operand = argv + optind;
  r.operands = argc - optind;
  hl_context_options options = HL_CONTEXT_OPTIONS_INIT;
  options.cache_dir = r.dir;
  const hl_status s = hl_context_create(&options, &diag, &ctx);
  const int code = s == HL_OK ? a->run(&r, ctx) : cli_report(a->who, s, &diag);
  hl_context_destroy(ctx);
  return code;
}

int hl_cmd_cache(int argc, char **argv) {
  const char *names[ACTIONS];
  if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
    return fputs(cache_help, stdout) < 0;
  for (int i = 0; i < ACTIONS; i++) {
    names[i] = actions[i].name;
    if (argc > 1 && !strcmp(argv[1], names[i]))
      return run(&actions[i], argc - 1, argv + 1);
  }
  if (argc < 2)
    return cli_misuse("hl cache", "wants list, show, drop, export or import");
  if (argv[1][0] == '-')
    return cli_misuse("hl cache", "there is no option %s", argv[1]);
  const char *near = cli_nearest(argv[1], names, ACTIONS);
  return near ? cli_misuse("hl cache", "there is no action '%s'; did you mean '%s'?", argv[1], near)
              : cli_misuse("hl cache", "there is no action '%s'; there are list, show, drop, export and import",
                           argv[1]);
}
