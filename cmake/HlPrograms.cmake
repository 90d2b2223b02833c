# hl and hl-bench. They use the public interface only: they link libhl, or
# everything statically in a self-contained build.

function(hl_program name folder)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.c")
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources} $<TARGET_OBJECTS:hl_cli_obj>)
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE=)
  if(HL_SELF_CONTAINED)
    target_link_libraries(${name} PRIVATE hl_internal)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
    add_custom_target(${name}-strip COMMAND ${CMAKE_STRIP} $<TARGET_FILE:${name}> DEPENDS ${name})
    list(APPEND HL_STRIP ${name}-strip)
  else()
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:hl_examples_obj>)
    target_link_libraries(${name} PRIVATE hl Threads::Threads ${CMAKE_DL_LIBS} m)
    add_dependencies(${name} hl-codegen)
  endif()
  list(APPEND HL_PROGRAMS ${name})
  set(HL_PROGRAMS ${HL_PROGRAMS} PARENT_SCOPE)
  set(HL_STRIP ${HL_STRIP} PARENT_SCOPE)
endfunction()

set(HL_PROGRAMS "")
set(HL_STRIP "")
hl_program(hl-cli src/cli/hl)
hl_program(hl-bench src/cli/bench)
if(TARGET hl-bench) # compare reads JSON
  target_link_libraries(hl-bench PRIVATE hl_dep_jansson)
endif()
if(TARGET hl-cli)
  set_target_properties(hl-cli PROPERTIES OUTPUT_NAME hl)
endif()

# What only the self-contained link can get wrong: the back ends and lld, all in one program.
if(HL_SELF_CONTAINED AND TARGET hl-cli)
  enable_testing()
  add_test(NAME self-contained.cpu COMMAND hl-cli run matmul --shape M=33,K=17,N=40)
  add_test(NAME self-contained.ptx COMMAND hl-cli compile matmul --dtype bf16 --target nvptx:sm_90a --emit asm)
  set_tests_properties(self-contained.ptx PROPERTIES PASS_REGULAR_EXPRESSION "mma\\.sync")
endif()

if(HL_STRIP)
  add_custom_target(strip DEPENDS ${HL_STRIP})
endif()

# What hl-bench compares with is compiled for this machine, as anybody would:
# the examples' obvious loops and the loops of the memory roofs. A self-contained
# program runs elsewhere, and sanitizers want their own options.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(HL_REFERENCE_OPTIONS -O3)
  if(NOT HL_SELF_CONTAINED)
    list(APPEND HL_REFERENCE_OPTIONS -march=native -ffp-contract=fast)
  endif()
  target_compile_options(hl_examples_obj PRIVATE ${HL_REFERENCE_OPTIONS})
  set_source_files_properties("${CMAKE_SOURCE_DIR}/src/cli/bench/roof_loops.c" PROPERTIES
    COMPILE_OPTIONS "${HL_REFERENCE_OPTIONS}")
endif()
