find_program(QEMU @executable@)
if(QEMU)
  add_test(NAME @prefix@_golden COMMAND "${QEMU}" -machine @machine@ -no-user-config -nodefaults
    -display none -semihosting-config enable=on,target=native
    -kernel "$<TARGET_FILE:@prefix@_golden>")
  set_tests_properties(@prefix@_golden PROPERTIES TIMEOUT 600)
else()
  message(STATUS "@executable@ is not on PATH: run @prefix@_golden from a debugger with semihosting")
endif()
