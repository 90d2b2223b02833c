hl_gate(abi.symbols-hl    symbols.sh $<TARGET_FILE:hl>    ${CMAKE_CURRENT_SOURCE_DIR}/abi/hl.symbols)
hl_gate(abi.symbols-hl-rt symbols.sh $<TARGET_FILE:hl-rt> ${CMAKE_CURRENT_SOURCE_DIR}/abi/hl-rt.symbols)
hl_gate(abi.declared      declared.sh $<TARGET_FILE:hl>   ${CMAKE_SOURCE_DIR}/include)
hl_gate(abi.headers       headers.sh ${CMAKE_SOURCE_DIR}/include ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})

set(objects "${HL_STATIC_OBJECTS};$<TARGET_OBJECTS:hl_load_dynamic_obj>")
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/objects.txt" CONTENT "$<JOIN:${objects},\n>\n")
hl_gate(abi.globals globals.sh ${CMAKE_BINARY_DIR}/objects.txt ${CMAKE_CURRENT_SOURCE_DIR}/abi/globals.allow)
hl_gate(abi.selftest selftest.sh ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})
