/* libhl: tile kernels from C.  Includes the whole stable API.  SPDX-License-Identifier: MIT */
#ifndef HL_HL_H
#define HL_HL_H
#include "hl/base.h"
#include "hl/ops.h"
#include "hl/kernel.h"
#include "hl/config.h"
#include "hl/compile.h"
#include "hl/cache.h"
#include "hl/runtime.h"
#endif
