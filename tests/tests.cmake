# Tests that are scripts: the command as a user runs it, the installed library, the examples in C.

# cf_script_test(NAME SCRIPT LABEL ARGUMENT...): exit code 77 means skipped.
function(cf_script_test name script label)
  add_test(NAME ${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/${script} ${ARGN}
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${CF_TEST_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

if(TARGET cuttlefish_command)
  foreach(script cli_wrong cli_commands cli_signals cli_terminal run_folder disk_full kill_resume)
    cf_script_test(integration.${script} integration/${script}.sh integration ${PROJECT_BINARY_DIR}/cuttlefish
      ${PROJECT_SOURCE_DIR})
  endforeach()
  # Clusters of up to 44 processes: one at a time, and under a sanitizer only the small ones, which need no data.
  foreach(script cluster_same cluster_scale cluster_tcp cluster_matrix cluster_chaos cluster_up cluster_ask
      cluster_bad_days)
    cf_script_test(integration.${script} integration/${script}.sh integration ${PROJECT_BINARY_DIR}/cuttlefish
      ${PROJECT_SOURCE_DIR})
    set_tests_properties(integration.${script} PROPERTIES RESOURCE_LOCK cluster)
    if(CF_SANITIZE)
      set_tests_properties(integration.${script} PROPERTIES ENVIRONMENT "CUTTLEFISH_DATA=")
    endif()
  endforeach()
endif()

set(CF_SANITIZE_FLAGS "")
if(CF_SANITIZE)
  set(CF_SANITIZE_FLAGS "-fsanitize=${CF_SANITIZE}")
endif()
find_program(CF_CXX_COMPILER NAMES c++ g++ clang++ REQUIRED)
cf_script_test(install.consumers install/run.sh install ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER}
  "${CF_SANITIZE_FLAGS}")
cf_script_test(install.symbols install/symbols.sh install ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
cf_script_test(install.header install/header.sh install ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER} ${CF_CXX_COMPILER})

# examples/c: built against the public header and the shared library alone, run in empty folders of their own. MNIST is
# taken from where the environment says, or from this source tree.
function(cf_example_test name)
  add_executable(example_${name} ${PROJECT_SOURCE_DIR}/examples/c/${name}.c)
  target_link_libraries(example_${name} PRIVATE cuttlefish)
  set(folder ${PROJECT_BINARY_DIR}/examples/${name})
  set(data "\${CUTTLEFISH_DATA:-${PROJECT_SOURCE_DIR}/data/mnist}")
  set(line "rm -rf '${folder}' && mkdir -p '${folder}' && cd '${folder}' && CUTTLEFISH_DATA=\"${data}\" \"$@\"")
  add_test(NAME examples.${name} COMMAND sh -c "${line}" example $<TARGET_FILE:example_${name}> ${ARGN})
  set_tests_properties(examples.${name} PROPERTIES LABELS examples TIMEOUT ${CF_TEST_TIMEOUT}
    SKIP_REGULAR_EXPRESSION "cuttlefish data get mnist")
endfunction()
cf_example_test(train_xor)
cf_example_test(predict_digit ${PROJECT_SOURCE_DIR}/examples/mnist/mlp.yaml)

include(${PROJECT_SOURCE_DIR}/tests/shared.cmake)
include(${PROJECT_SOURCE_DIR}/tests/sim/sim.cmake)

# Left out until it is known why its supervised processes sometimes hang; the clusters of the scripts above cover them.
set_tests_properties(cluster.nodes PROPERTIES DISABLED TRUE)
