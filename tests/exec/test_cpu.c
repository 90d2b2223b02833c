/* The conformance matrix on the CPU.  ctest-timeout: 900 */
#include "tests/exec/exec.h"

int main(void) {
  return check_matrix("cpu", &(exec_options){.device = "cpu", .configs = 5});
}
