/* two_llvms.c LIBRARY first|last: another LLVM, opened with all its symbols global, lives beside libhl's: it comes before
 * libhl compiles anything, or after; both work, and each has its own data. */
#include <dlfcn.h>
#include <hl/hl.h>
#include <stdio.h>
#include <string.h>

typedef void *(*make_fn)(void);
typedef void *(*module_fn)(const char *, void *);
typedef char *(*print_fn)(void *);
typedef void (*free_fn)(void *);

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found)
    fprintf(stderr, "no %s\n", name);
  return found;
}

/* Makes a module with the other LLVM. */
static int use_other(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!library)
    return fprintf(stderr, "%s\n", dlerror()), 1;
  union {
    void *p;
    make_fn make;
    module_fn module;
    print_fn print;
    free_fn release;
  } context = {symbol(library, "LLVMContextCreate")}, module = {symbol(library, "LLVMModuleCreateWithNameInContext")},
    print = {symbol(library, "LLVMPrintModuleToString")}, message = {symbol(library, "LLVMDisposeMessage")},
    drop_module = {symbol(library, "LLVMDisposeModule")}, drop = {symbol(library, "LLVMContextDispose")};
  if (!context.p || !module.p || !print.p || !message.p || !drop_module.p || !drop.p)
    return 1;
  void *c = context.make(), *m = module.module("other", c);
  char *text = print.print(m);
  const int bad = !strstr(text, "other");
  message.release(text);
  drop_module.release(m);
  drop.release(c);
  return bad;
}

/* Compiles a kernel with libhl, down to an object. */
static int use_hl(void) {
  static const char text[] = "hl 1 tile\n"
                             "kernel @twice {\n"
                             "  dim N\n"
                             "  param %x : tensor<f32[N]> in\n"
                             "  param %y : tensor<f32[N]> out\n"
                             "  axis $i tile over N\n"
                             "  body {\n"
                             "    %0 = size %x {dim = 0} : i64\n"
                             "    %1 = const {value = 0} : i64\n"
                             "    tile %1, %0 {axes = [$i]} (%i : tile<$i>) {\n"
                             "      %2 = load %x[%i] : f32[$i]\n"
                             "      %3 = add %2, %2 : f32[$i]\n"
                             "      store %y[%i], %3\n"
                             "      yield\n"
                             "    }\n"
                             "  }\n"
                             "}\n";
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  hl_kernel *k = NULL;
  hl_blob *blob = NULL;
  const hl_target *target = NULL;
  hl_shape_binding shape = {"N", 100};
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = &shape, o.shape_count = 1;
  hl_status s = hl_context_create(NULL, &diag, &ctx);
  if (s == HL_OK)
    s = hl_target_find((hl_str){"x86-64-v3", 9}, &diag, &target);
  if (s == HL_OK)
    s = hl_kernel_parse(ctx, (hl_str){text, sizeof text - 1}, "twice.hl", &diag, &k);
  if (s == HL_OK)
    s = hl_compile(ctx, k, target, &o, &diag, &blob);
  const int bad = s != HL_OK || hl_blob_size(blob) < 100;
  if (bad)
    fprintf(stderr, "%s:%u: %s: %s\n", diag.file, diag.line, hl_status_text(s), diag.message);
  hl_blob_release(blob);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
  return bad;
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  const int first = strcmp(argv[2], "first") == 0;
  int bad = first ? use_other(argv[1]) : use_hl();
  bad |= first ? use_hl() : use_other(argv[1]);
  bad |= use_hl() | use_other(argv[1]); /* and once more, with both there */
  printf("%s, %s: %s\n", argv[1], argv[2], bad ? "bad" : "ok");
  return bad;
}
