/* The conformance matrix in the interpreter, kernels as built.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("interpreter, as built", &(exec_options){.target = NULL, .configs = 0, .most_work = 3e6});
}
