/* pipeline.c: the order of passes, read like a table of contents. */
#include "hl/compile.h"
#include "src/pass/pass.h"

#define CPU (1u << HLI_FAMILY_CPU)
#define GPU (1u << HLI_FAMILY_NVPTX)
#define TILE HLI_STAGE_TILE
#define LOOP HLI_STAGE_LOOP
#define LANE HLI_STAGE_LANE

const hli_pass hli_pipeline[] = {
    /* name          function              where      before after  needs */
    {"tunables",   hli_pass_tunables,   CPU | GPU, TILE, TILE, ""},
    {"specialize", hli_pass_specialize, CPU | GPU, TILE, TILE, "tunables"},
    {"flatten",    hli_pass_flatten,    CPU | GPU, TILE, TILE, "specialize"},
    {"roll",       hli_pass_roll,       CPU | GPU, TILE, TILE, "specialize"},
    {"tile",       hli_pass_tile,       CPU | GPU, TILE, TILE, "specialize roll"},
    {"batch",      hli_pass_batch,      CPU | GPU, TILE, TILE, "tile"},
    {"mask",       hli_pass_mask,       GPU,       TILE, TILE, "tile batch"},
    {"layout",     hli_pass_layout,     GPU,       TILE, LANE, "mask"},
    {"stage",      hli_pass_stage,      GPU,       LANE, LANE, "layout"},
    {"lane",       hli_pass_lane,       GPU,       LANE, LANE, "layout stage"},
    {"loopnest",   hli_pass_loopnest,   CPU,       TILE, LOOP, "tile batch"},
    {"clean",      hli_pass_simplify,   CPU,       LOOP, LOOP, "loopnest"},
};
const uint32_t hli_pipeline_length = HLI_COUNT(hli_pipeline);

const char *hl_pass_name(const hl_target *target, uint32_t i) {
  for (uint32_t at = 0; target && at < hli_pipeline_length; at++)
    if (hli_pipeline[at].families & (1u << target->family) && i-- == 0)
      return hli_pipeline[at].name;
  return NULL;
}
