# sim.planted has its own copies of the files that mistakes are planted in, compiled with CFI_PLANTS; the linker takes
# them before those of the library.
file(GLOB CF_PLANTED_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/shard/*.c ${PROJECT_SOURCE_DIR}/src/store/*.c
  ${PROJECT_SOURCE_DIR}/src/node/volume*.c ${PROJECT_SOURCE_DIR}/src/wire/*.c)
list(FILTER CF_PLANTED_SOURCES EXCLUDE REGEX "_test\\.c$")
target_sources(test_sim_planted PRIVATE ${CF_PLANTED_SOURCES})
target_compile_definitions(test_sim_planted PRIVATE CFI_PLANTS)
set_tests_properties(sim.planted PROPERTIES TIMEOUT 1800)

if(TARGET cuttlefish_command)
  cf_script_test(sim.command sim/command.sh sim ${PROJECT_BINARY_DIR}/cuttlefish ${PROJECT_SOURCE_DIR})
endif()
