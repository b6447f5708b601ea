# The C side of the benchmarks (benchmarks/README.md): ours, losses and peak in <build>/benchmarks/.
option(CF_BUILD_BENCHMARKS "Build the benchmarks' programs" OFF)

function(cf_benchmark name)
  add_executable(benchmark_${name} ${ARGN})
  set_target_properties(benchmark_${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/benchmarks)
endfunction()

if(CF_BUILD_BENCHMARKS)
  set(CF_BENCHMARKS ${PROJECT_SOURCE_DIR}/benchmarks)
  cf_benchmark(ours ${CF_BENCHMARKS}/ours.c ${CF_BENCHMARKS}/cases.c)
  target_link_libraries(benchmark_ours PRIVATE cf_internal)
  cf_benchmark(losses ${CF_BENCHMARKS}/losses.c)
  target_link_libraries(benchmark_losses PRIVATE cf_internal)
  # Alone, so that the machine's peak can be had whatever state the library is in. Its chains live in registers only
  # when the loops over them are unrolled.
  cf_benchmark(peak ${CF_BENCHMARKS}/peak.c ${PROJECT_SOURCE_DIR}/src/base/clock.c)
  target_include_directories(benchmark_peak PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(benchmark_peak PRIVATE Threads::Threads)
  target_compile_options(benchmark_peak PRIVATE -O3)
endif()
