/* cache_list.h: what the files of the public cache interface share. */
#ifndef HLI_PLAN_CACHE_LIST_H
#define HLI_PLAN_CACHE_LIST_H

#include "hl/cache.h"
#include "src/plan/cache.h"
#include <jansson.h>

#endif
