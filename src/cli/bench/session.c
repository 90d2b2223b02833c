/* session.c: opens a device for measuring: streams, events, the reference libraries. */
#include <stdio.h>
#include <string.h>

#include "src/cli/bench/session.h"

static hl_status open_gpu(session *s, hl_diag *diag) {
  hl_status st = hl_stream_create(s->place.dev, diag, &s->clock.stream);
  if (st == HL_OK)
    st = hl_event_create(s->place.dev, diag, &s->clock.begin);
  if (st == HL_OK)
    st = hl_event_create(s->place.dev, diag, &s->clock.end);
  if (st == HL_OK)
    st = cuda_open(s->info.id.index, diag, &s->clock.cuda);
  s->clock.graphs = true;
  hl_diag none = {0};
  if (st == HL_OK && cuda_blas_open(s->clock.cuda, s->o->cublas, &none) != HL_OK)
    fprintf(stderr, "%s: no cuBLAS to compare with: %s\n", s->o->who, none.message);
  return st;
}

hl_status session_open(session *s, hl_diag *diag) {
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  c.cpu_threads = s->threads;
  hl_status st = hl_context_create(&c, diag, &s->place.ctx);
  if (st == HL_OK)
    st = hl_device_open(s->place.ctx, s->o->device, diag, &s->place.dev);
  if (st == HL_OK)
    st = cli_device_target(s->place.dev, diag, &s->place.target);
  s->info.size = sizeof s->info;
  if (st == HL_OK)
    st = hl_device_get_info(s->place.dev, &s->info);
  s->clock.dev = s->place.dev;
  s->gpu = st == HL_OK && s->info.id.type == HL_DEVICE_CUDA;
  return st == HL_OK && s->gpu ? open_gpu(s, diag) : st;
}

void session_close(session *s) {
  hl_event_destroy(s->clock.begin);
  hl_event_destroy(s->clock.end);
  hl_stream_destroy(s->clock.stream);
  cuda_close(s->clock.cuda);
  hl_device_close(s->place.dev);
  hl_context_destroy(s->place.ctx);
}
