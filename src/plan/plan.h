/* plan.h: the room that joins configuration, passes, the compiler library and the runtime. */
#ifndef HLI_PLAN_H
#define HLI_PLAN_H

#include "codegen/codegen.h"
#include "runtime/program.h"
#include "src/pass/pass.h"

/* A specialised copy of the kernel, with the tunables as in `tuned` (NULL: their defaults): what spaces and the cost model
 * look at. */
hl_status hli_specialized(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                          const hl_config *tuned, hl_diag *diag, hl_kernel **out);

/* Sizes by name; in the arena of the kernel that they were bound to. */
typedef struct hli_bindings {
  hl_shape_binding *data;
  uint32_t len;
  bool any_dtype; /* set by the caller: tensors need not have the parameters' dtypes */
} hli_bindings;
/* Takes sizes, strides, alignment and specialised scalars from arguments; k is a copy made for them. */
hl_status hli_bind_args(hl_kernel *k, const hl_arg *args, size_t count, hl_diag *diag, hli_bindings *b);

/* Is everything known, or bound by `shape`, that hl_specialize wants to be constant?  HL_ERR_ARG in words if not. */
hl_status hli_check_specialized(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, hl_diag *diag);

/* What a plan is to be made of, copied from the caller, so that it can be made later and elsewhere. */
typedef struct hli_order {
  hl_device *dev;
  hl_kernel *built, *bound; /* as it was given; with strides and alignment */
  hl_config *config;        /* NULL: none given */
  hli_bindings sizes;       /* in the arena of `bound` */
} hli_order;
/* Checks the options in the name of `what` and copies; `out` is only checked. */
hl_status hli_order_open(const char *what, hl_device *dev, const hl_kernel *k, const hl_plan_options *o, const void *out,
                         hl_diag *diag, hli_order *order);
hl_status hli_order_fill(const hli_order *order, hl_diag *diag, hl_plan **out); /* diag is not NULL */
void hli_order_close(hli_order *order);

/* The compiler library, opened on first use (kept by the context).  HL_ERR_UNSUPPORTED in words if it is not there. */
hl_status hli_codegen_load(hl_context *ctx, hl_diag *diag, const hlc_api **out);

/* Kernel -> LOOP or LANE text's kernel: the whole pipeline with the given or the default configuration. */
typedef struct hli_lower_request {
  const hl_kernel *kernel;
  const hl_target *target;
  const hl_shape_binding *shape;
  uint32_t shape_count;
  const hl_config *config; /* NULL: the default */
  const char *stop_after;  /* NULL: run all */
  hl_context *log;         /* dumps go to its logger after every pass; NULL: none */
} hli_lower_request;
hl_status hli_lower(const hli_lower_request *r, hl_diag *diag, hl_kernel **out);
/* The same; *chosen is the default configuration where the request has none, else NULL. */
hl_status hli_lower_chosen(const hli_lower_request *r, hl_diag *diag, hl_kernel **out, hl_config **chosen);
/* hl_config_default, and for a GPU the kernel lowered with it, since choosing takes that (else *lowered is NULL). */
hl_status hli_config_choose(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                            hl_diag *diag, hl_config **out, hl_kernel **lowered);

/* Compiles lowered IR to bytes. */
hl_status hli_generate(hl_context *ctx, const hl_kernel *lowered, const hl_target *target, hl_emit emit, hl_diag *diag,
                       hlc_result *out);

/* The launch descriptor of a lowered kernel and its image. Freed by hli_program_free. */
hl_status hli_describe(const hl_kernel *lowered, const hl_target *target, const hlc_result *image, hl_diag *diag,
                       hlr_program **out);
void hli_program_free(const hl_allocator *alloc, hlr_program *p);

#endif
