foreach(gate size words asserts includes)
  hl_gate(lint.${gate} ${gate}.sh ${CMAKE_SOURCE_DIR})
endforeach()
hl_gate(lint.selftest selftest.sh)
