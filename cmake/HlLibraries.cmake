# libhl-rt (launch only), libhl (everything but LLVM) and libhl-codegen
# (everything that touches LLVM; opened by libhl from the folder it lies in).
#
# libhl holds the runtime too, so a program links one of the two. Their
# symbols carry different version names, so that both can be in one process.

set(HL_SYSTEM_LIBS hl_dep_ffi Threads::Threads ${CMAKE_DL_LIBS} m)

function(hl_shared name)
  cmake_parse_arguments(arg "" "MAP" "OBJECTS;LIBS" ${ARGN})
  target_sources(${name} PRIVATE ${arg_OBJECTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBS})
  target_link_options(${name} PRIVATE -Wl,-Bsymbolic -Wl,--no-undefined
    "-Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/${arg_MAP}")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${CMAKE_SOURCE_DIR}/cmake/${arg_MAP}")
endfunction()

function(hl_public name export)
  set_target_properties(${name} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
    EXPORT_NAME ${export} LINKER_LANGUAGE C)
  target_include_directories(${name} INTERFACE
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(hl::${export} ALIAS ${name})
endfunction()

add_library(hl-rt SHARED)
hl_shared(hl-rt MAP hl-rt.map OBJECTS ${HL_RT_OBJECTS} LIBS ${HL_SYSTEM_LIBS})
hl_public(hl-rt rt)

add_library(hl-rt-static STATIC ${HL_RT_OBJECTS})
set_target_properties(hl-rt-static PROPERTIES OUTPUT_NAME hl-rt)
hl_public(hl-rt-static rt-static)
target_link_libraries(hl-rt-static INTERFACE ffi pthread ${CMAKE_DL_LIBS} m)

add_library(hl SHARED)
hl_shared(hl MAP hl.map OBJECTS ${HL_OBJECTS} $<TARGET_OBJECTS:hl_load_dynamic_obj>
  LIBS hl_dep_jansson hl_dep_lmdb ${HL_SYSTEM_LIBS})
hl_public(hl hl)

add_library(hl-codegen MODULE)
hl_shared(hl-codegen MAP hl-codegen.map
  OBJECTS $<TARGET_OBJECTS:hl_base_obj> $<TARGET_OBJECTS:hl_core_obj> $<TARGET_OBJECTS:hl_codegen_obj>
  LIBS hl_dep_llvm hl_dep_jansson ${HL_SYSTEM_LIBS})
set_target_properties(hl-codegen PROPERTIES LINKER_LANGUAGE CXX)

# All of it in one archive with code generation linked in: for the tests,
# which see internals, and for self-contained programs.
add_library(hl_internal STATIC ${HL_STATIC_OBJECTS} $<TARGET_OBJECTS:hl_examples_obj>)
target_include_directories(hl_internal PUBLIC
  "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
target_compile_definitions(hl_internal PUBLIC HL_STATIC_CODEGEN=1)
target_link_libraries(hl_internal PUBLIC hl_dep_llvm hl_dep_jansson hl_dep_lmdb ${HL_SYSTEM_LIBS})
set_target_properties(hl_internal PROPERTIES LINKER_LANGUAGE CXX)
add_dependencies(hl_internal hl_build_id)
