/* fill.c: what a plan does before its first kernel: tensors get their initial values.
 *
 * A tensor is taken apart into as few rectangles as its strides allow: rows of elements that lie next to each other,
 * at an equal distance.  What has more gaps than that is one fill per index of the outer dimensions.
 * SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

typedef struct shape {
  uint32_t rank;
  int64_t size[HL_MAX_RANK], stride[HL_MAX_RANK]; /* in elements, ascending, positive */
  int64_t base;                                   /* of the least address */
} shape;

/* False: there are no elements. */
static bool order_dims(const hl_tensor *t, shape *s) {
  *s = (shape){0};
  for (int d = 0; d < t->ndim; d++) {
    int64_t size = t->shape[d], stride = hlr_tensor_stride(t, d);
    if (size == 0)
      return false;
    if (size == 1)
      continue;
    if (stride < 0) {
      s->base += stride * (size - 1);
      stride = -stride;
    }
    uint32_t at = s->rank++;
    for (; at > 0 && s->stride[at - 1] > stride; at--)
      s->size[at] = s->size[at - 1], s->stride[at] = s->stride[at - 1];
    s->size[at] = size, s->stride[at] = stride;
  }
  return true;
}

/* Joins the dimensions from `d` on that continue a run of `count` elements at `stride`. */
static uint32_t join(const shape *s, uint32_t d, int64_t stride, int64_t *count) {
  while (d < s->rank && s->stride[d] == stride * *count)
    *count *= s->size[d++];
  return d;
}

static hl_status fill_tensor(const hl_plan *plan, const hlr_fill *f, const hl_tensor *t, void *native, hl_diag *diag) {
  const uint32_t element = hl_dtype_size(plan->program.params[f->param].dtype);
  shape s;
  if (!order_dims(t, &s))
    return HL_OK;
  int64_t width = 1, height = 1, pitch = 0, at[HL_MAX_RANK] = {0};
  uint32_t outer = join(&s, 0, 1, &width);
  if (outer < s.rank) {
    pitch = s.stride[outer];
    outer = join(&s, outer, pitch, &height);
  }
  for (;;) {
    int64_t offset = s.base;
    for (uint32_t d = outer; d < s.rank; d++)
      offset += at[d] * s.stride[d];
    const hl_driver_fill fill = {.dst = (char *)t->data + t->byte_offset + offset * (int64_t)element,
                                 .value = f->value,
                                 .element = element,
                                 .width = (size_t)width,
                                 .height = (size_t)height,
                                 .pitch = (size_t)pitch * element};
    hl_status status = plan->dev->driver->fill(plan->dev->self, native, &fill, diag);
    uint32_t d = outer;
    while (d < s.rank && ++at[d] == s.size[d])
      at[d++] = 0;
    if (status || d == s.rank)
      return status;
  }
}

hl_status hlr_fill_tensors(const hl_plan *plan, const hl_arg *args, void *native, hl_diag *diag) {
  hl_status status = HL_OK;
  for (uint32_t i = 0; i < plan->program.fill_count && !status; i++) {
    const hlr_fill *f = &plan->program.fills[i];
    status = fill_tensor(plan, f, args[f->param].as.tensor, native, diag);
  }
  return status;
}
