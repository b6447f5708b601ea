# src/<room>/<file>_test.c -> ctest "<room>.<file>", one executable each (cmocka).
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
set(CF_TEST_TIMEOUT 600)

# cf_test(NAME SOURCE [LABEL...]): NAME is "<room>.<file>".
function(cf_test name source)
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE cf_internal PkgConfig::CMOCKA)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE CF_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    CF_BINARY_DIR="${PROJECT_BINARY_DIR}" CF_COMMAND="${PROJECT_BINARY_DIR}/cuttlefish")
  add_test(NAME ${name} COMMAND ${target} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARGN}" TIMEOUT ${CF_TEST_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

file(GLOB_RECURSE CF_UNIT_TESTS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*_test.c)
foreach(source ${CF_UNIT_TESTS})
  cmake_path(GET source STEM file)
  cmake_path(GET source PARENT_PATH room)
  cmake_path(GET room FILENAME room)
  string(REGEX REPLACE "_test$" "" file ${file})
  cf_test(${room}.${file} ${source} unit)
endforeach()

# tests/<kind>/<file>_test.c -> "<kind>.<file>"; further scripts are added by tests/tests.cmake.
file(GLOB CF_OTHER_TESTS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*/*_test.c)
foreach(source ${CF_OTHER_TESTS})
  cmake_path(GET source STEM file)
  cmake_path(GET source PARENT_PATH kind)
  cmake_path(GET kind FILENAME kind)
  string(REGEX REPLACE "_test$" "" file ${file})
  cf_test(${kind}.${file} ${source} ${kind})
endforeach()
include(${PROJECT_SOURCE_DIR}/tests/tests.cmake OPTIONAL)
include(${PROJECT_SOURCE_DIR}/tests/house.cmake)
