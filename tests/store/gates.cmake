# A program that uses the shared library, for what cannot be seen where code generation is linked in.
add_executable(store_cold "${CMAKE_CURRENT_SOURCE_DIR}/store/cold/cold.c")
target_link_libraries(store_cold PRIVATE hl)
add_dependencies(store_cold hl-codegen)
set_target_properties(store_cold PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
hl_gate(store.cold cold.sh $<TARGET_FILE:store_cold> $<TARGET_FILE:hl> ${CMAKE_BINARY_DIR}/tests)
