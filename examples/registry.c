/* registry.c: the table of examples, in the ladder's order. */
#include "examples/example.h"
#include <string.h>

extern const hl_example hl_example_vector_add, hl_example_sum, hl_example_softmax, hl_example_matmul;

const hl_example *const hl_examples[] = {&hl_example_vector_add, &hl_example_sum, &hl_example_softmax,
                                         &hl_example_matmul};
const uint32_t hl_example_count = sizeof hl_examples / sizeof hl_examples[0];

const hl_example *hl_example_find(const char *name) {
  for (uint32_t i = 0; i < hl_example_count; i++)
    if (strcmp(hl_examples[i]->name, name) == 0)
      return hl_examples[i];
  return NULL;
}
