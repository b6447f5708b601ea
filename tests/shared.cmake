# Sources that several tests share (tests.cmake's globs make one executable of one file).
foreach(name gradient reference shard compute)
  target_sources(test_integration_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/reference/reference.c
    ${PROJECT_SOURCE_DIR}/tests/reference/trial.c)
endforeach()
foreach(name small mnist)
  target_sources(test_golden_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/golden/golden.c)
endforeach()

# NEON against this processor, under emulation (tests/neon/run.sh).
add_executable(neon_hashes ${PROJECT_SOURCE_DIR}/tests/neon/hashes.c)
target_link_libraries(neon_hashes PRIVATE cf_internal)
cf_script_test(neon.bits neon/run.sh neon ${PROJECT_SOURCE_DIR} $<TARGET_FILE:neon_hashes>)
