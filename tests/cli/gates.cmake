# Tests of the commands and of the README's program.
if(TARGET hl-cli AND TARGET hl-bench)
  set(cli_env "ASAN_OPTIONS=detect_leaks=1" "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lint/lsan.supp:print_suppressions=0")
  hl_gate(cli.hl hl.sh $<TARGET_FILE:hl-cli>)
  hl_gate(cli.bench bench.sh $<TARGET_FILE:hl-bench>)
  hl_gate(cli.readme readme.sh ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER}
    "$<$<BOOL:${HL_SANITIZE}>:-fsanitize=${HL_SANITIZE}>")
  set_tests_properties(cli.hl cli.bench cli.readme PROPERTIES ENVIRONMENT "${cli_env}" TIMEOUT 900)
endif()
