# src/ -> one object library -> cuttlefish (shared), cuttlefish_static, the command.
# Every room is a folder; a file is in the build because it is there. *_test.c belongs to cmake/tests.cmake.
file(GLOB_RECURSE CF_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
list(FILTER CF_SOURCES EXCLUDE REGEX "_test\\.c$")
list(FILTER CF_SOURCES EXCLUDE REGEX "/src/cli/")
file(GLOB CF_CLI_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
list(FILTER CF_CLI_SOURCES EXCLUDE REGEX "_test\\.c$")

add_library(cf_objects OBJECT ${CF_SOURCES})
target_include_directories(cf_objects PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(cf_objects PUBLIC ${CF_LIBRARIES})

# One kernel source, compiled once for each instruction set that the compiler can make (numerics/README.md).
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(src/numerics/kernels_avx2.c PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  set_source_files_properties(src/numerics/kernels_avx512.c PROPERTIES
    COMPILE_OPTIONS "-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mavx2;-mfma;-mprefer-vector-width=512")
endif()

# What the tests link: all symbols, hidden ones too.
add_library(cf_internal STATIC $<TARGET_OBJECTS:cf_objects>)
target_include_directories(cf_internal PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(cf_internal PUBLIC ${CF_LIBRARIES})

add_library(cuttlefish SHARED $<TARGET_OBJECTS:cf_objects>)
target_link_libraries(cuttlefish PRIVATE ${CF_LIBRARIES})
target_include_directories(cuttlefish PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(cuttlefish PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(cuttlefish PRIVATE -Wl,--no-undefined)

if(CF_CLI_SOURCES)
  # The command is linked to the objects themselves, so that one file is enough to run it anywhere.
  add_executable(cuttlefish_command ${CF_CLI_SOURCES})
  target_link_libraries(cuttlefish_command PRIVATE cf_internal)
  set_target_properties(cuttlefish_command PROPERTIES OUTPUT_NAME cuttlefish
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endif()
