#!/bin/sh
# consumer.sh BUILD-FOLDER CC CXX FLAGS: what cmake --install puts down can be
# found and linked by another project, from C and C++.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cmake --install "$1" --prefix "$tmp/prefix" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
mkdir "$tmp/src"
cat >"$tmp/src/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(hl 0.1 REQUIRED)
add_executable(full main.c)
target_link_libraries(full PRIVATE hl::hl)
add_executable(launch main.cpp)
target_link_libraries(launch PRIVATE hl::rt)
add_executable(alone main.c)
target_link_libraries(alone PRIVATE hl::rt-static)
END
cat >"$tmp/src/main.c" <<'END'
#include <hl/base.h>
#include <stdio.h>
int main(void) { return puts(hl_version()) < 0; }
END
cp "$tmp/src/main.c" "$tmp/src/main.cpp"
cmake -G Ninja -S "$tmp/src" -B "$tmp/build" -DCMAKE_PREFIX_PATH="$tmp/prefix" -DCMAKE_C_COMPILER="$2" \
    -DCMAKE_CXX_COMPILER="$3" -DCMAKE_C_FLAGS="${4:-}" -DCMAKE_CXX_FLAGS="${4:-}" >"$tmp/log" 2>&1 &&
    cmake --build "$tmp/build" >>"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
for program in full launch alone; do
    version=$("$tmp/build/$program")
    case $version in
    0.1.0*) echo "$program: $version" ;;
    *) echo "$program: no version 0.1.0 but '$version'"; exit 1 ;;
    esac
done
