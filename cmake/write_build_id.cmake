# Writes HEADER from the contents of the files in LIST, only when it changes.
file(STRINGS "${LIST}" files)
set(all "${VERSION} ${LLVM}\n")
foreach(file IN LISTS files)
  file(SHA256 "${file}" hash)
  file(RELATIVE_PATH name "${ROOT}" "${file}")
  string(APPEND all "${hash} ${name}\n")
endforeach()
string(SHA256 id "${all}")
string(SUBSTRING "${id}" 0 32 id)
string(CONCAT text
  "#ifndef HL_BUILD_ID_H\n#define HL_BUILD_ID_H\n"
  "#define HL_BUILD_ID \"${id}\"\n"
  "#define HL_BUILD_VERSION \"${VERSION}\"\n"
  "#define HL_BUILD_LLVM_VERSION \"${LLVM}\"\n#endif\n")
set(old "")
if(EXISTS "${HEADER}")
  file(READ "${HEADER}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${HEADER}" "${text}")
endif()
