/* The conformance matrix in the interpreter, kernels lowered to LANE for nvptx:sm_80.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("interpreter, lowered to LANE for nvptx:sm_80",
                      &(exec_options){.target = "nvptx:sm_80", .configs = 5, .most_work = 3e6});
}
