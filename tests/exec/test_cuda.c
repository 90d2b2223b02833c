/* The conformance matrix on an NVIDIA GPU; skipped with words where there is none.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("cuda", &(exec_options){.device = "cuda", .configs = 5});
}
