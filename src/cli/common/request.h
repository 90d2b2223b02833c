/* request.h: what the commands are asked about: a kernel of the ladder or of a file, its dtype, the sizes of
 * its dimensions, a target and a configuration. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "examples/example.h"
#include "hl/hl.h"

#define CLI_MAX_DIMS 16

typedef struct cli_shape {
  uint32_t count;
  char name[CLI_MAX_DIMS][64];
  hl_shape_binding bind[CLI_MAX_DIMS]; /* bind[i].dim points to name[i] */
} cli_shape;

typedef struct cli_kernel {
  const hl_example *example; /* NULL: from a file */
  hl_kernel *kernel;
  hl_dtype dtype; /* of an example's inputs */
} cli_kernel;

/* A name of the ladder, or a file whose name ends in .hl or holds a slash.  Returns 0 or an exit code, like all
 * below, after a message. */
int cli_kernel_open(const char *who, hl_context *ctx, const char *what, hl_dtype dtype, cli_kernel *out);
void cli_kernel_close(cli_kernel *k);
/* An example with words and the nearest name for what is unknown. */
const hl_example *cli_example_find(const char *who, const char *name);
int cli_dtype_parse(const char *who, const char *text, hl_dtype *out);
bool cli_example_has(const hl_example *e, hl_dtype dtype);

/* "M=1024,N=7" adds to a shape. */
int cli_shape_parse(const char *who, const char *text, cli_shape *out);
int64_t cli_shape_get(const cli_shape *s, const char *dim); /* -1: not there */
void cli_shape_set(cli_shape *s, const char *dim, size_t length, int64_t size);
/* Gives every dimension of the kernel a size: `given`, else `usual` (an example's, may be NULL), else the
 * kernel's own example size.  Names in `given` that the kernel does not have are an error. */
int cli_shape_complete(const char *who, const cli_kernel *k, const cli_shape *given, const int64_t *usual,
                       cli_shape *out);
/* Sizes in the order of an example's dims. */
void cli_shape_of_example(const hl_example *e, const int64_t *size, cli_shape *out);
void cli_shape_sizes(const hl_example *e, const cli_shape *s, int64_t *size);
/* "M=33 N=65" */
char *cli_shape_text(const cli_shape *s);

/* Is it the name of a device, whether or not it is here?  0, or an exit code after a message. */
int cli_device_check(const char *who, const char *name, bool interp);
int cli_target_parse(const char *who, const char *text, const hl_target **out);

/* "default" or NULL, "random:SEED", JSON, or @FILE with JSON. */
hl_status cli_config_make(const char *text, const hl_kernel *k, const cli_shape *s, const hl_target *target,
                          hl_diag *diag, hl_config **out);
/* The same for a command line: 0, or an exit code after a message: 2 for words or values that --config cannot take. */
int cli_config_open(const char *who, const char *text, const hl_kernel *k, const cli_shape *s, const hl_target *target,
                    hl_config **out);
/* Canonical JSON, to be freed. */
char *cli_config_text(const hl_config *c);

/* What "cpu", "cuda:1", "null" and "interp" are compiled for. */
hl_status cli_device_target(hl_device *dev, hl_diag *diag, const hl_target **out);

#endif
