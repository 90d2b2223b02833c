hl_gate(abi.symbols-hl    symbols.sh $<TARGET_FILE:hl>    ${CMAKE_CURRENT_SOURCE_DIR}/abi/hl.symbols)
hl_gate(abi.symbols-hl-rt symbols.sh $<TARGET_FILE:hl-rt> ${CMAKE_CURRENT_SOURCE_DIR}/abi/hl-rt.symbols)
hl_gate(abi.declared      declared.sh $<TARGET_FILE:hl>   ${CMAKE_SOURCE_DIR}/include)
hl_gate(abi.headers       headers.sh ${CMAKE_SOURCE_DIR}/include ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})

set(objects "${HL_STATIC_OBJECTS};$<TARGET_OBJECTS:hl_load_dynamic_obj>")
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/objects.txt" CONTENT "$<JOIN:${objects},\n>\n")
hl_gate(abi.globals globals.sh ${CMAKE_BINARY_DIR}/objects.txt ${CMAKE_CURRENT_SOURCE_DIR}/abi/globals.allow)
hl_gate(abi.selftest selftest.sh ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})

set(sanitize "")
if(HL_SANITIZE)
  set(sanitize "-fsanitize=${HL_SANITIZE}")
endif()
hl_gate(abi.consumer consumer.sh ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER} "${sanitize}")
hl_gate(abi.runtime runtime.sh $<TARGET_FILE:hl-rt> $<TARGET_FILE:hl-rt-static> ${CMAKE_C_COMPILER} ${CMAKE_SOURCE_DIR} "${HL_SANITIZE}")
hl_gate(abi.two-llvms two_llvms.sh $<TARGET_FILE:hl> $<TARGET_FILE:hl-rt> $<TARGET_FILE:hl-codegen> ${CMAKE_C_COMPILER}
  ${CMAKE_SOURCE_DIR} "${sanitize}")
set_tests_properties(abi.consumer abi.two-llvms PROPERTIES TIMEOUT 900 ENVIRONMENT
  "ASAN_OPTIONS=detect_leaks=1;LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/lint/lsan.supp:print_suppressions=0")
