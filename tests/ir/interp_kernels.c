/* interp_kernels.c: small kernels as text, for the interpreter's tests. */
#include "interp_util.h"

const char text_vector_add[] = "hl 1 tile\n"
                               "kernel @add {\n"
                               "  dim N\n"
                               "  param %x : tensor<f32[N]> in\n"
                               "  param %y : tensor<f32[N]> in\n"
                               "  param %out : tensor<f32[N]> out\n"
                               "  axis $i tile\n"
                               "  body {\n"
                               "    %n = size %x {dim = 0} : i64\n"
                               "    %c0 = const {value = 0} : i64\n"
                               "    tile %c0, %n {axes = [$i]} (%i : tile<$i>) {\n"
                               "      %a = load %x[%i] : f32[$i]\n"
                               "      %b = load %y[%i] : f32[$i]\n"
                               "      %s = add %a, %b : f32[$i]\n"
                               "      store %out[%i], %s\n"
                               "      yield\n"
                               "    }\n"
                               "  }\n"
                               "}\n";

const char text_vector_add_scheduled[] = "hl 1 tile\n"
                                         "kernel @add {\n"
                                         "  dim N\n"
                                         "  param %x : tensor<f32[N]> in\n"
                                         "  param %y : tensor<f32[N]> in\n"
                                         "  param %out : tensor<f32[N]> out\n"
                                         "  axis $i tile block 8\n"
                                         "  grid [N / 8]\n"
                                         "  body {\n"
                                         "    %pid = program_id : i64\n"
                                         "    %n = size %x {dim = 0} : i64\n"
                                         "    %c8 = const {value = 8} : i64\n"
                                         "    %bi = mul %pid, %c8 : i64\n"
                                         "    %i = range %bi, %n {axis = $i} : tile<$i>\n"
                                         "    %a = load %x[%i] : f32[$i]\n"
                                         "    %b = load %y[%i] : f32[$i]\n"
                                         "    %s = add %a, %b : f32[$i]\n"
                                         "    store %out[%i], %s\n"
                                         "  }\n"
                                         "}\n";

/* Lanes beyond the end hold 1, not 0, where the sum is taken. */
const char text_row_sum[] = "hl 1 tile\n"
                            "kernel @sum {\n"
                            "  dim M\n"
                            "  dim N\n"
                            "  param %x : tensor<f32[M, N]> in\n"
                            "  param %out : tensor<f32[M]> out\n"
                            "  axis $i tile\n"
                            "  axis $j tile\n"
                            "  body {\n"
                            "    %m = size %x {dim = 0} : i64\n"
                            "    %n = size %x {dim = 1} : i64\n"
                            "    %c0 = const {value = 0} : i64\n"
                            "    tile %c0, %m {axes = [$i]} (%i : tile<$i>) {\n"
                            "      %z = const {value = 0x0p+0} : f32\n"
                            "      %one = const {value = 0x1p+0} : f32\n"
                            "      %z1 = broadcast %z {dims = []} : f32[$i]\n"
                            "      %r = tile %c0, %n, %z1 {axes = [$j]} (%j : tile<$j>, %acc : f32[$i]) {\n"
                            "        %v = load %x[%i, %j] : f32[$i, $j]\n"
                            "        %ones = broadcast %one {dims = []} : f32[$i, $j]\n"
                            "        %w = add %v, %ones : f32[$i, $j]\n"
                            "        %p = reduce %w {op = sum, axes = [1]} : f32[$i]\n"
                            "        %next = add %acc, %p : f32[$i]\n"
                            "        yield %next\n"
                            "      } : f32[$i]\n"
                            "      store %out[%i], %r\n"
                            "      yield\n"
                            "    }\n"
                            "  }\n"
                            "}\n";

const char text_row_sum_scheduled[] = "hl 1 tile\n"
                                      "kernel @sum {\n"
                                      "  dim M\n"
                                      "  dim N\n"
                                      "  param %x : tensor<f32[M, N]> in\n"
                                      "  param %out : tensor<f32[M]> out\n"
                                      "  axis $i tile block 4\n"
                                      "  axis $j tile block 8\n"
                                      "  grid [M / 4]\n"
                                      "  body {\n"
                                      "    %pid = program_id : i64\n"
                                      "    %m = size %x {dim = 0} : i64\n"
                                      "    %n = size %x {dim = 1} : i64\n"
                                      "    %c0 = const {value = 0} : i64\n"
                                      "    %c4 = const {value = 4} : i64\n"
                                      "    %c8 = const {value = 8} : i64\n"
                                      "    %bi = mul %pid, %c4 : i64\n"
                                      "    %i = range %bi, %m {axis = $i} : tile<$i>\n"
                                      "    %z = const {value = 0x0p+0} : f32\n"
                                      "    %one = const {value = 0x1p+0} : f32\n"
                                      "    %z1 = broadcast %z {dims = []} : f32[$i]\n"
                                      "    %r = for %c0, %n, %c8, %z1 (%b : i64, %acc : f32[$i]) {\n"
                                      "      %j = range %b, %n {axis = $j} : tile<$j>\n"
                                      "      %v = load %x[%i, %j] : f32[$i, $j]\n"
                                      "      %ones = broadcast %one {dims = []} : f32[$i, $j]\n"
                                      "      %w = add %v, %ones : f32[$i, $j]\n"
                                      "      %p = reduce %w {op = sum, axes = [1]} : f32[$i]\n"
                                      "      %next = add %acc, %p : f32[$i]\n"
                                      "      yield %next\n"
                                      "    } : f32[$i]\n"
                                      "    store %out[%i], %r\n"
                                      "  }\n"
                                      "}\n";

#define SOFTMAX_ROWS                                                                                                   \
  "    %mx = reduce %v {op = max, axes = [1]} : f32[$i]\n"                                                             \
  "    %mb = broadcast %mx {dims = [0]} : f32[$i, $N]\n"                                                               \
  "    %d = sub %v, %mb : f32[$i, $N]\n"                                                                               \
  "    %e = exp %d : f32[$i, $N]\n"                                                                                    \
  "    %s = reduce %e {op = sum, axes = [1]} : f32[$i]\n"                                                              \
  "    %sb = broadcast %s {dims = [0]} : f32[$i, $N]\n"                                                                \
  "    %q = div %e, %sb : f32[$i, $N]\n"

const char text_softmax[] = "hl 1 tile\n"
                            "kernel @softmax {\n"
                            "  dim M\n"
                            "  dim N\n"
                            "  param %x : tensor<f32[M, N]> in\n"
                            "  param %y : tensor<f32[M, N]> out\n"
                            "  axis $i tile\n"
                            "  axis $N full N\n"
                            "  body {\n"
                            "    %m = size %x {dim = 0} : i64\n"
                            "    %c0 = const {value = 0} : i64\n"
                            "    tile %c0, %m {axes = [$i]} (%i : tile<$i>) {\n"
                            "    %v = load %x[%i, :] : f32[$i, $N]\n" SOFTMAX_ROWS "    store %y[%i, :], %q\n"
                            "    yield\n"
                            "    }\n"
                            "  }\n"
                            "}\n";

#define SOFTMAX_HEAD(block, chunk)                                                                                     \
  "hl 1 tile\n"                                                                                                        \
  "kernel @softmax {\n"                                                                                                \
  "  dim M\n"                                                                                                          \
  "  dim N\n"                                                                                                          \
  "  param %x : tensor<f32[M, N]> in\n"                                                                                \
  "  param %y : tensor<f32[M, N]> out\n"                                                                               \
  "  axis $i tile block " block "\n"                                                                                   \
  "  axis $N full N" chunk "\n"                                                                                        \
  "  grid [M / " block "]\n"                                                                                           \
  "  body {\n"                                                                                                         \
  "    %pid = program_id : i64\n"                                                                                      \
  "    %m = size %x {dim = 0} : i64\n"                                                                                 \
  "    %n = size %x {dim = 1} : i64\n"                                                                                 \
  "    %c0 = const {value = 0} : i64\n"                                                                                \
  "    %cb = const {value = " block "} : i64\n"                                                                        \
  "    %bi = mul %pid, %cb : i64\n"                                                                                    \
  "    %i = range %bi, %m {axis = $i} : tile<$i>\n"

/* The axis has no block: it is begin..end, whatever that is. */
const char text_softmax_scheduled[] =
    SOFTMAX_HEAD("2", "") "    %c = range %c0, %n {axis = $N} : tile<$N>\n"
                          "    %v = load %x[%i, %c] : f32[$i, $N]\n" SOFTMAX_ROWS "    store %y[%i, %c], %q\n"
                          "  }\n"
                          "}\n";

const char text_softmax_chunks[] =
    SOFTMAX_HEAD("4", " block 8") "    %c8 = const {value = 8} : i64\n"
                                  "    %low = const {value = -inf} : f32\n"
                                  "    %z = const {value = 0x0p+0} : f32\n"
                                  "    %lows = broadcast %low {dims = []} : f32[$i]\n"
                                  "    %zs = broadcast %z {dims = []} : f32[$i]\n"
                                  "    %mx = for %c0, %n, %c8, %lows (%b : i64, %a : f32[$i]) {\n"
                                  "      %c = range %b, %n {axis = $N} : tile<$N>\n"
                                  "      %v = load %x[%i, %c] : f32[$i, $N]\n"
                                  "      %r = reduce %v {op = max, axes = [1]} : f32[$i]\n"
                                  "      %t = max %a, %r : f32[$i]\n"
                                  "      yield %t\n"
                                  "    } : f32[$i]\n"
                                  "    %mb = broadcast %mx {dims = [0]} : f32[$i, $N]\n"
                                  "    %s = for %c0, %n, %c8, %zs (%b1 : i64, %a1 : f32[$i]) {\n"
                                  "      %c1 = range %b1, %n {axis = $N} : tile<$N>\n"
                                  "      %v1 = load %x[%i, %c1] : f32[$i, $N]\n"
                                  "      %d1 = sub %v1, %mb : f32[$i, $N]\n"
                                  "      %e1 = exp %d1 : f32[$i, $N]\n"
                                  "      %r1 = reduce %e1 {op = sum, axes = [1]} : f32[$i]\n"
                                  "      %t1 = add %a1, %r1 : f32[$i]\n"
                                  "      yield %t1\n"
                                  "    } : f32[$i]\n"
                                  "    %sb = broadcast %s {dims = [0]} : f32[$i, $N]\n"
                                  "    for %c0, %n, %c8 (%b2 : i64) {\n"
                                  "      %c2 = range %b2, %n {axis = $N} : tile<$N>\n"
                                  "      %v2 = load %x[%i, %c2] : f32[$i, $N]\n"
                                  "      %d2 = sub %v2, %mb : f32[$i, $N]\n"
                                  "      %e2 = exp %d2 : f32[$i, $N]\n"
                                  "      %q2 = div %e2, %sb : f32[$i, $N]\n"
                                  "      store %y[%i, %c2], %q2\n"
                                  "      yield\n"
                                  "    }\n"
                                  "  }\n"
                                  "}\n";

#define MATMUL_PARAMS                                                                                                  \
  "  dim M\n"                                                                                                          \
  "  dim K\n"                                                                                                          \
  "  dim N\n"                                                                                                          \
  "  param %x : tensor<bf16[M, K]> in\n"                                                                               \
  "  param %y : tensor<bf16[K, N]> in\n"                                                                               \
  "  param %out : tensor<bf16[M, N]> out\n"

const char text_matmul[] = "hl 1 tile\n"
                           "kernel @matmul {\n" MATMUL_PARAMS "  axis $i tile\n"
                           "  axis $j tile\n"
                           "  axis $k tile\n"
                           "  body {\n"
                           "    %m = size %x {dim = 0} : i64\n"
                           "    %kk = size %x {dim = 1} : i64\n"
                           "    %n = size %y {dim = 1} : i64\n"
                           "    %c0 = const {value = 0} : i64\n"
                           "    tile %c0, %c0, %m, %n {axes = [$i, $j]} (%i : tile<$i>, %j : tile<$j>) {\n"
                           "      %z = const {value = 0x0p+0} : f32\n"
                           "      %acc0 = broadcast %z {dims = []} : f32[$i, $j]\n"
                           "      %acc = tile %c0, %kk, %acc0 {axes = [$k]} (%k : tile<$k>, %a : f32[$i, $j]) {\n"
                           "        %xv = load %x[%i, %k] : bf16[$i, $k]\n"
                           "        %yv = load %y[%k, %j] : bf16[$k, $j]\n"
                           "        %d = dot %xv, %yv, %a : f32[$i, $j]\n"
                           "        yield %d\n"
                           "      } : f32[$i, $j]\n"
                           "      %o = cast %acc : bf16[$i, $j]\n"
                           "      store %out[%i, %j], %o\n"
                           "      yield\n"
                           "    }\n"
                           "  }\n"
                           "}\n";

const char text_matmul_scheduled[] = "hl 1 tile\n"
                                     "kernel @matmul {\n" MATMUL_PARAMS "  axis $i tile block 4\n"
                                     "  axis $j tile block 8\n"
                                     "  axis $k tile block 2\n"
                                     "  grid [M / 4, N / 8]\n"
                                     "  body {\n"
                                     "    %pid = program_id : i64\n"
                                     "    %m = size %x {dim = 0} : i64\n"
                                     "    %kk = size %x {dim = 1} : i64\n"
                                     "    %n = size %y {dim = 1} : i64\n"
                                     "    %c0 = const {value = 0} : i64\n"
                                     "    %c2 = const {value = 2} : i64\n"
                                     "    %c4 = const {value = 4} : i64\n"
                                     "    %c7 = const {value = 7} : i64\n"
                                     "    %c8 = const {value = 8} : i64\n"
                                     "    %n7 = add %n, %c7 : i64\n"
                                     "    %nj = truncdiv %n7, %c8 : i64\n"
                                     "    %pi = truncdiv %pid, %nj : i64\n"
                                     "    %pj = rem %pid, %nj : i64\n"
                                     "    %bi = mul %pi, %c4 : i64\n"
                                     "    %bj = mul %pj, %c8 : i64\n"
                                     "    %i = range %bi, %m {axis = $i} : tile<$i>\n"
                                     "    %j = range %bj, %n {axis = $j} : tile<$j>\n"
                                     "    %z = const {value = 0x0p+0} : f32\n"
                                     "    %acc0 = broadcast %z {dims = []} : f32[$i, $j]\n"
                                     "    %acc = for %c0, %kk, %c2, %acc0 (%kb : i64, %a : f32[$i, $j]) {\n"
                                     "      %k = range %kb, %kk {axis = $k} : tile<$k>\n"
                                     "      %xv = load %x[%i, %k] : bf16[$i, $k]\n"
                                     "      %yv = load %y[%k, %j] : bf16[$k, $j]\n"
                                     "      %d = dot %xv, %yv, %a : f32[$i, $j]\n"
                                     "      yield %d\n"
                                     "    } : f32[$i, $j]\n"
                                     "    %o = cast %acc : bf16[$i, $j]\n"
                                     "    store %out[%i, %j], %o\n"
                                     "  }\n"
                                     "}\n";
