#!/usr/bin/env bash
# Correctness, speed, launch cost and the sanitizer on a machine with an NVIDIA GPU, in one go.
#   tools/measure-gpu.sh HL_BENCH OUT_DIR [quick]
# HL_BENCH is the self-contained program of the gpu preset; OUT_DIR gets one JSON file per question.
# Every step has its own deadline, so that a hanging kernel ends one step only.
# HL_COMMIT, if set, is recorded in the results.
set -u
bench=$(readlink -f "${1:?path of hl-bench}"); out=${2:?folder for results}; quick=${3:-}
mkdir -p "$out" && cd "$out" || exit 2
export PATH=${bench%/*}:$PATH # so that the recorded commands name no folder
bench=${bench##*/}
: "${HL_PTXAS:=$(command -v ptxas || ls /usr/local/cuda*/bin/ptxas 2>/dev/null | head -n 1)}"; export HL_PTXAS
cublas=$(python3 - 2>/dev/null <<'PY'
import glob, os
try:
    import nvidia
    roots = list(nvidia.__path__)
except ImportError:
    roots = []
for r in roots + ["/usr/local/cuda/lib64"]:
    for f in sorted(glob.glob(os.path.join(r, "**", "libcublas.so.1[23]"), recursive=True)):
        print(f); raise SystemExit
PY
)
[ -n "$cublas" ] && export LD_LIBRARY_PATH=${cublas%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
step() { # name, seconds, command...
  local name=$1 limit=$2; shift 2
  echo "== $name"
  timeout -k 5 "$limit" "$@" 2>&1 | tail -n 40
  local rc=${PIPESTATUS[0]}
  [ "$rc" -eq 0 ] || echo "-- $name: exit code $rc"
}
time_one() { # name, arguments of hl-bench...
  local name=$1; shift
  step "$name" 120 "$bench" --device cuda --timeout 60 --json "$name.json" "$@"
}
nvidia-smi --query-gpu=name,driver_version,clocks.sm,temperature.gpu --format=csv,noheader
time_one add --filter '^vector_add$' --dtype f32 --shape N=67108864
time_one sum --filter '^sum$' --dtype f32 --shape M=8192,N=8192
time_one softmax --filter '^softmax$' --dtype bf16 --shape M=8192,N=8192
time_one matmul_4096 --filter '^matmul$' --dtype bf16 --shape M=4096,K=4096,N=4096
step launch 120 "$bench" launch --device cuda --json launch.json
[ -n "$quick" ] && exit 0
time_one matmul_8192 --filter '^matmul$' --dtype bf16 --shape M=8192,K=8192,N=8192
time_one matmul_1024 --filter '^matmul$' --dtype bf16 --shape M=1024,K=1024,N=1024
time_one matmul_odd --filter '^matmul$' --dtype bf16 --shape M=8191,K=8200,N=7168
time_one softmax_odd --filter '^softmax$' --dtype bf16 --shape M=8191,N=8200
time_one softmax_long --filter '^softmax$' --dtype bf16 --shape M=4096,N=32768
time_one sum_odd --filter '^sum$' --dtype f32 --shape M=8191,N=8200
step check 400 "$bench" check --device cuda --jobs "$(nproc)" --json check.json
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    for k in vector_add:N=4099 sum:M=33,N=2051 softmax:M=33,N=2051 matmul:M=130,K=96,N=72; do
      step "$tool ${k%%:*}" 120 compute-sanitizer --tool "$tool" --error-exitcode 9 "$bench" --device cuda --filter "^${k%%:*}$" --dtype bf16 --shape "${k#*:}" --pairs 1 --min-time 0.00001
    done
  done
fi
