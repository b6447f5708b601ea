# house.tidy: the rules of the house (scripts/tidy.py), with the names of all tests that ctest knows.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(CF_TEST_NAMES ${PROJECT_BINARY_DIR}/test_names.txt)
add_test(NAME house.tidy
  COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/scripts/tidy.py --tests ${CF_TEST_NAMES})
add_test(NAME house.tidy_self_test
  COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/scripts/tidy.py --self-test)
set_tests_properties(house.tidy house.tidy_self_test PROPERTIES LABELS house TIMEOUT 60)

# What runs several threads at once; scripts/test.sh builds and runs these under ThreadSanitizer.
set(CF_THREAD_TESTS base.pool engine.train golden.small integration.reference integration.shard)

# Deferred: at the end of configuring every test has been added.
function(cf_finish_tests)
  get_property(names DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTY TESTS)
  list(JOIN names "\n" lines)
  file(WRITE ${CF_TEST_NAMES} "${lines}\n")
  set_property(TEST ${CF_THREAD_TESTS} APPEND PROPERTY LABELS threads)
endfunction()
cmake_language(DEFER DIRECTORY ${PROJECT_SOURCE_DIR} CALL cf_finish_tests)
