/* The conformance matrix in the interpreter, kernels lowered to LANE for nvptx:sm_90a.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("interpreter, lowered to LANE for nvptx:sm_90a",
                      &(exec_options){.target = "nvptx:sm_90a", .configs = 5, .most_work = 3e6});
}
