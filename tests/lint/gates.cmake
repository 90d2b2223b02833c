foreach(gate size words asserts includes docs)
  hl_gate(lint.${gate} ${gate}.sh ${CMAKE_SOURCE_DIR})
endforeach()
hl_gate(lint.selftest selftest.sh)
