# A room is a few folders compiled into one object library. A room without
# files yet is allowed.

file(WRITE "${CMAKE_BINARY_DIR}/hl_empty.c.in" "extern int hl_empty;\n")
configure_file("${CMAKE_BINARY_DIR}/hl_empty.c.in" "${CMAKE_BINARY_DIR}/hl_empty.c" COPYONLY)

function(hl_object_library name)
  add_library(${name} OBJECT ${ARGN})
  target_include_directories(${name} PRIVATE
    "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
  target_compile_definitions(${name} PRIVATE HL_BUILD=1)
  add_dependencies(${name} hl_build_id)
endfunction()

function(hl_room name)
  set(sources "")
  foreach(folder IN LISTS ARGN)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS
      "${CMAKE_SOURCE_DIR}/${folder}/*.c" "${CMAKE_SOURCE_DIR}/${folder}/*.cpp")
    list(APPEND sources ${found})
  endforeach()
  if(NOT sources)
    set(sources "${CMAKE_BINARY_DIR}/hl_empty.c")
  endif()
  hl_object_library(${name} ${sources})
endfunction()

# Takes one file out of a room.
function(hl_room_without name file)
  get_target_property(sources ${name} SOURCES)
  list(REMOVE_ITEM sources "${CMAKE_SOURCE_DIR}/${file}")
  if(NOT sources)
    set(sources "${CMAKE_BINARY_DIR}/hl_empty.c")
  endif()
  set_target_properties(${name} PROPERTIES SOURCES "${sources}")
endfunction()

# hl_single(<name> <file> [definition...]): one file on its own.
function(hl_single name file)
  file(GLOB source CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${file}")
  if(NOT source)
    set(source "${CMAKE_BINARY_DIR}/hl_empty.c")
  endif()
  hl_object_library(${name} ${source})
  target_compile_definitions(${name} PRIVATE ${ARGN})
endfunction()
