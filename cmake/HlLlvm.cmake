# LLVM 22 through llvm-config, as hl_dep_llvm (shared library) or, in a
# self-contained build, its static archives. lld comes only as archives.

find_program(HL_LLVM_CONFIG NAMES llvm-config-22 llvm-config
  HINTS /usr/lib/llvm-22/bin DOC "llvm-config of LLVM 22")
if(NOT HL_LLVM_CONFIG)
  message(FATAL_ERROR "LLVM 22 is missing: install llvm-22-dev and liblld-22-dev, or set HL_LLVM_CONFIG")
endif()

function(hl_llvm_config result)
  execute_process(COMMAND ${HL_LLVM_CONFIG} ${ARGN} OUTPUT_VARIABLE text
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(text UNIX_COMMAND "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

hl_llvm_config(HL_LLVM_VERSION --version)
if(NOT HL_LLVM_VERSION MATCHES "^22\\.")
  message(FATAL_ERROR "${HL_LLVM_CONFIG} is of LLVM ${HL_LLVM_VERSION}, but 22 is needed")
endif()
hl_llvm_config(HL_LLVM_INCLUDE --includedir)
hl_llvm_config(HL_LLVM_LIBDIR --libdir)

add_library(hl_dep_llvm INTERFACE)
target_include_directories(hl_dep_llvm SYSTEM INTERFACE ${HL_LLVM_INCLUDE})

# lld as a library is used by one C++ file; without the file it is not linked.
set(HL_LLD_LIBS "")
file(GLOB HL_LLD_SOURCE CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/codegen/lld.cpp")
if(HL_LLD_SOURCE)
  set(HL_LLD_LIBS ${HL_LLVM_LIBDIR}/liblldELF.a ${HL_LLVM_LIBDIR}/liblldCommon.a)
endif()

if(HL_SELF_CONTAINED)
  hl_llvm_config(components --components)
  set(wanted core passes analysis target mc bitreader bitwriter irreader linker option lto
    debuginfodwarf windowsdriver ${HL_LLVM_TARGETS})
  set(known "")
  foreach(component IN LISTS wanted)
    if(component IN_LIST components)
      list(APPEND known ${component})
    else()
      message(WARNING "LLVM has no component ${component}")
    endif()
  endforeach()
  hl_llvm_config(archives --link-static --libs ${known})
  # Of LLVM's own dependencies only these two are used by what is linked.
  foreach(library z zstd)
    find_library(HL_${library}_ARCHIVE lib${library}.a)
    mark_as_advanced(HL_${library}_ARCHIVE)
    if(HL_${library}_ARCHIVE)
      list(APPEND archives ${HL_${library}_ARCHIVE})
    else()
      list(APPEND archives -l${library})
    endif()
  endforeach()
  target_link_directories(hl_dep_llvm INTERFACE ${HL_LLVM_LIBDIR})
  target_link_libraries(hl_dep_llvm INTERFACE ${HL_LLD_LIBS} ${archives} rt dl m)
  target_link_options(hl_dep_llvm INTERFACE -static-libgcc -static-libstdc++)
else()
  hl_llvm_config(shared --link-shared --libs)
  target_link_directories(hl_dep_llvm INTERFACE ${HL_LLVM_LIBDIR})
  target_link_libraries(hl_dep_llvm INTERFACE ${HL_LLD_LIBS} ${shared})
  if(HL_LLD_LIBS)
    target_link_libraries(hl_dep_llvm INTERFACE z zstd)
  endif()
endif()
