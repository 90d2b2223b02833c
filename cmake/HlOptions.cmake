# Switches, the language level, warnings and sanitizers.

option(HL_TESTS "Build the tests (needs cmocka)" ON)
option(HL_SELF_CONTAINED "Link LLVM and all other libraries statically into hl and hl-bench" OFF)
option(HL_PARANOID "Print, re-parse and verify after every pass" OFF)
set(HL_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
set(HL_LLVM_TARGETS "x86;aarch64;nvptx;amdgpu" CACHE STRING "LLVM back ends of a self-contained build")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

include(GNUInstallDirs)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")

# The interpreter rounds every operation on its own: contraction stays off.
add_compile_options(-ffp-contract=off -ffunction-sections -fdata-sections -Wall -Wextra -Wshadow
  -Wvla "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>"
  "$<$<COMPILE_LANGUAGE:C>:-Werror=implicit;-Werror=incompatible-pointer-types>")
add_link_options(-Wl,--as-needed -Wl,--gc-sections)

if(HL_PARANOID)
  add_compile_definitions(HL_PARANOID=1)
endif()

if(HL_SANITIZE)
  add_compile_options(-fsanitize=${HL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HL_SANITIZE})
endif()

find_program(HL_CCACHE ccache)
mark_as_advanced(HL_CCACHE)
if(HL_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${HL_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HL_CCACHE})
endif()
