#include "rt.h"
#include "runtime/internal.h"
#include <unistd.h>

/* ---- allocator ------------------------------------------------------------------ */

static void *heap_alloc(void *user, size_t size, size_t align) {
  rt_heap *heap = user;
  long number = atomic_fetch_add(&heap->count, 1);
  long fail_at = atomic_load(&heap->fail_at);
  if (fail_at >= 0 && (number == fail_at || (heap->sticky && number > fail_at)))
    return NULL;
  if (size > (size_t)1 << 38)
    return NULL; /* sanitizers would stop the program */
  size_t rounded = (size + align - 1) / align * align;
  void *ptr = aligned_alloc(align, rounded);
  if (!ptr)
    return NULL;
  memset(ptr, 0xA5, rounded); /* whoever forgets to initialise finds this */
  atomic_fetch_add(&heap->live, 1);
  atomic_fetch_add(&heap->bytes, (long)size);
  return ptr;
}

static void heap_release(void *user, void *ptr, size_t size) {
  rt_heap *heap = user;
  if (!ptr)
    return;
  atomic_fetch_sub(&heap->live, 1);
  atomic_fetch_sub(&heap->bytes, (long)size);
  free(ptr);
}

hl_context_options rt_options(rt_heap *heap) {
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  if (heap) {
    atomic_store(&heap->fail_at, -1);
    o.allocator = (hl_allocator){heap_alloc, heap_release, heap};
  }
  return o;
}

hl_context *rt_context(const hl_context_options *options) {
  hl_diag diag;
  hl_context *ctx = NULL;
  assert_ok(hl_context_create(options, &diag, &ctx), diag);
  return ctx;
}

/* ---- kernels ----------------------------------------------------------------------- */

const char *rt_source_dir(void) {
  const char *dir = getenv("HL_SOURCE_DIR");
  return dir ? dir : ".";
}

static const char *compiler(void) {
  const char *cc = getenv("CC");
  return cc && *cc ? cc : "cc";
}

static hl_blob *read_blob(const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 0, SEEK_END), 0);
  long size = ftell(f);
  rewind(f);
  char *bytes = malloc((size_t)size);
  assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
  fclose(f);
  hl_blob *blob = hli_blob_create(NULL, bytes, (size_t)size);
  free(bytes);
  return blob;
}

hl_blob *rt_compile(const char *source) {
  char path[] = "/tmp/hl-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  char command[512];
  snprintf(command, sizeof command, "%s -shared -fPIC -O1 -x c -o %s - -lm", compiler(), path);
  FILE *cc = popen(command, "w");
  assert_non_null(cc);
  fputs(source, cc);
  assert_int_equal(pclose(cc), 0);
  hl_blob *blob = read_blob(path);
  unlink(path);
  return blob;
}

void rt_compile_file(const char *file, const char *flags, const char *path) {
  char command[2048];
  const char *root = rt_source_dir();
  snprintf(command, sizeof command, "%s -std=gnu11 -shared -fPIC -O1 -I%s -I%s/include %s -o %s %s/%s", compiler(),
           root, root, flags, path, root, file);
  assert_int_equal(system(command), 0);
}

const char rt_axpy_source[] =
    "#include <stdint.h>\n"
    "struct block { const float *x; float *y; int64_t n; float a; int32_t k; };\n"
    "void axpy(const void *b, int64_t begin, int64_t end, void *scratch) {\n"
    "  const struct block *p = b; (void)scratch;\n"
    "  for (int64_t i = begin * 64; i < end * 64 && i < p->n; i++) p->y[i] = p->a * p->x[i] + p->y[i] + p->k;\n"
    "}\n";

void rt_axpy_init(rt_axpy *p, hlr_image_kind kind, hl_blob *image) {
  *p = (rt_axpy){
      .dims = {{"N", HLR_DYNAMIC, 1}, {"M", HLR_DYNAMIC, 1}},
      .params =
          {{.name = "x", .is_tensor = true, .dtype = HL_F32, .rank = 1, .strides = {1}, .align = 4},
           {.name = "y", .is_tensor = true, .written = true, .dtype = HL_F32, .rank = 1, .strides = {1}, .align = 4},
           {.name = "a", .dtype = HL_F32},
           {.name = "k", .dtype = HL_I32}},
      .slots = {{HLR_PTR, HL_DTYPE_NONE, 0, 0},
                {HLR_PTR, HL_DTYPE_NONE, 1, 0},
                {HLR_SIZE, HL_I64, 0, 0},
                {HLR_SCALAR, HL_F32, 2, 0},
                {HLR_SCALAR, HL_I32, 3, 0}},
  };
  p->steps[0] = (hlr_step){.entry = "axpy",
                           .image_kind = kind,
                           .image = image,
                           .threads = 1,
                           .cluster = 1,
                           .grain = 1,
                           .extent_count = 1,
                           .extents = {{.dim = 0, .block = 64}},
                           .slot_count = 5,
                           .slots = p->slots};
  p->program = (hlr_program){.name = "axpy",
                             .dim_count = 1,
                             .param_count = 4,
                             .step_count = 1,
                             .dims = p->dims,
                             .params = p->params,
                             .steps = p->steps};
}

/* ---- arguments ------------------------------------------------------------------------ */

void rt_tensor(rt_vector *v, hl_device *dev, void *data, hl_dtype dtype, int rank, int64_t d0, int64_t d1, int64_t d2) {
  hl_device_info info = {.size = sizeof info};
  assert_int_equal(hl_device_get_info(dev, &info), HL_OK);
  *v = (rt_vector){.shape = {d0, d1, d2}};
  v->tensor =
      (hl_tensor){.data = data, .device = info.id, .ndim = rank, .dtype = hl_dtype_to_dl(dtype), .shape = v->shape};
}

hl_arg rt_arg(const rt_vector *v) {
  return (hl_arg){HL_ARG_TENSOR, {.tensor = &v->tensor}};
}
hl_arg rt_f64(double value) {
  return (hl_arg){HL_ARG_F64, {.f64 = value}};
}
hl_arg rt_i64(int64_t value) {
  return (hl_arg){HL_ARG_I64, {.i64 = value}};
}

static void check_fill(hl_device *dev, hl_buffer *buf, uint32_t element, uint64_t value, size_t height) {
  enum { BYTES = 512, LEAD = 8, WIDTH = 3 };
  unsigned char memory[BYTES];
  hl_diag d;
  const size_t pitch = (size_t)element * 5;
  const hl_driver_fill fill = {(char *)hl_buffer_data(buf) + LEAD, value, element, WIDTH, height, pitch};
  assert_ok(hl_buffer_fill(buf, 0x5a, NULL, &d), d);
  assert_ok(dev->driver->fill(dev->self, NULL, &fill, &d), d);
  assert_ok(hl_buffer_read(buf, 0, memory, BYTES, NULL, &d), d);
  assert_ok(hl_device_synchronize(dev, &d), d);
  for (size_t i = 0; i < BYTES; i++) {
    const size_t column = (i - LEAD) % pitch;
    const bool inside = i >= LEAD && i - LEAD < height * pitch && column < (size_t)WIDTH * element;
    assert_int_equal(memory[i], inside ? (value >> 8 * (column % element)) & 0xff : 0x5a);
  }
}

void rt_check_fills(hl_device *dev) {
  static const uint64_t values[] = {0, UINT64_C(0x1122334455667788), UINT64_MAX};
  hl_buffer *buf;
  hl_diag d;
  assert_ok(hl_buffer_create(dev, 512, &d, &buf), d);
  for (uint32_t element = 1; element <= 8; element *= 2)
    for (int v = 0; v < 3; v++)
      for (size_t height = 1; height <= 4; height += 3)
        check_fill(dev, buf, element, values[v], height);
  hl_buffer_destroy(buf);
}
