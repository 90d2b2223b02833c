/* The conformance matrix in the interpreter, kernels lowered to LOOP for the host.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("interpreter, lowered to LOOP for the host",
                      &(exec_options){.target = "host", .configs = 5, .most_work = 3e6});
}
